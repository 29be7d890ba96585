// People, by e-mail address: whoever proves an address, by code or through Google, is its account.

import { randomUUID } from 'node:crypto';

const NAME_CHARACTERS_MAX = 100;
const EMAIL_CHARACTERS_MAX = 254;
// What HTML's <input type=email> takes: no quotes, comments or lists, which a mailer could read as other recipients.
const EMAIL = /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

// In lower case, or undefined when it is none.
export function cleanEmail(text) {
  const email = String(text ?? '').trim().toLowerCase();
  return email.length <= EMAIL_CHARACTERS_MAX && EMAIL.test(email) ? email : undefined;
}

// As people may be shown it, or undefined when nothing is left.
export function cleanName(text) {
  const name = String(text ?? '').replace(/[\p{C}\s]+/gu, ' ').trim();
  return [...name].slice(0, NAME_CHARACTERS_MAX).join('').trim() || undefined;
}

export class Accounts {
  #accounts;

  constructor(store) {
    this.#accounts = store.section('accounts', Infinity); // each one has proven an address
  }

  byId(id) {
    return this.#accounts.get(id);
  }

  byEmail(email) {
    return this.byId(this.#accounts.find((account) => account.email === email));
  }

  // The caller awaits the store.
  add(email, name) {
    const account = { id: randomUUID(), email, name };
    this.#accounts.set(account.id, account);
    return account;
  }
}
