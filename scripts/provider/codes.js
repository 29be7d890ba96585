// One-time codes by e-mail. All decisions are made without waiting in between, so parallel tries are counted one by one.

import { createHmac, randomInt, timingSafeEqual } from 'node:crypto';

const DIGITS = 6;
const TRIES_MAX = 5; // per code
const HOUR_S = 3600;
const DAY_S = 86_400;
const CODES_PER_EMAIL = 5; // an hour
// A day, over all codes of an address: guessing succeeds once in 50,000 days.
const WRONG_PER_EMAIL = 20;
const WRONG_PER_ADDRESS = 200; // an hour

export class Codes {
  #codes;
  #throttle;
  #key;
  #seconds;
  #perAddress;

  constructor(store, throttle, key, { codeSeconds, codesPerAddress }) {
    this.#codes = store.section('codes');
    this.#throttle = throttle;
    this.#key = key;
    this.#seconds = codeSeconds;
    this.#perAddress = codesPerAddress;
  }

  // A code for `email` that works in the interaction `uid` only; an older one stops working. Throws TooMany.
  issue(email, uid, address) {
    this.#throttle.check(`codes:${email}`, CODES_PER_EMAIL);
    this.#throttle.check(`codes-from:${address}`, this.#perAddress);
    this.#throttle.count(`codes:${email}`, HOUR_S);
    this.#throttle.count(`codes-from:${address}`, HOUR_S);
    const code = String(randomInt(10 ** DIGITS)).padStart(DIGITS, '0');
    this.#codes.set(email, { uid, hash: this.#hash(email, uid, code), wrong: 0 }, this.#seconds);
    return code;
  }

  // Whether there is a code that can still be tried.
  isOpen(email, uid) {
    return this.#codes.get(email)?.uid === uid;
  }

  // `right`, which uses the code up; `wrong`; or `gone`: expired, used, replaced, or tried too often. Throws TooMany.
  redeem(email, uid, code, address) {
    this.#throttle.check(`wrong:${email}`, WRONG_PER_EMAIL);
    this.#throttle.check(`wrong-from:${address}`, WRONG_PER_ADDRESS);
    const found = this.#codes.get(email);
    if (found?.uid !== uid) {
      return 'gone';
    }
    if (timingSafeEqual(Buffer.from(found.hash, 'hex'), Buffer.from(this.#hash(email, uid, code), 'hex'))) {
      this.#codes.delete(email);
      return 'right';
    }
    this.#throttle.count(`wrong:${email}`, DAY_S);
    this.#throttle.count(`wrong-from:${address}`, HOUR_S);
    if (found.wrong + 1 >= TRIES_MAX) {
      this.#codes.delete(email);
      return 'gone';
    }
    this.#codes.replace(email, { ...found, wrong: found.wrong + 1 });
    return 'wrong';
  }

  // Keyed: six digits alone could be found by trying all of them against a stolen file.
  #hash(email, uid, code) {
    return createHmac('sha256', this.#key).update(JSON.stringify([email, uid, code])).digest('hex');
  }
}
