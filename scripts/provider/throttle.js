// How often something may happen: counters that start anew when their time is over. They outlive a restart.

import { nowSeconds } from './store.js';

export class TooMany extends Error {
  constructor(seconds) {
    super(`too many; again in ${seconds} s`);
    this.seconds = seconds;
  }
}

export class Throttle {
  #counters;

  constructor(store) {
    // Many more than the few callers on loopback can make before the first ones are over.
    this.#counters = store.section('counters', 100_000);
  }

  // Throws TooMany when `name` has happened `max` times.
  check(name, max) {
    const counter = this.#counters.get(name);
    if (counter && counter.count >= max) {
      throw new TooMany(Math.max(1, counter.until - nowSeconds()));
    }
  }

  // Counts one, within `seconds` from the first one on.
  count(name, seconds) {
    const counter = this.#counters.get(name);
    if (counter) {
      this.#counters.replace(name, { ...counter, count: counter.count + 1 });
    } else {
      this.#counters.set(name, { count: 1, until: nowSeconds() + seconds }, seconds);
    }
  }
}
