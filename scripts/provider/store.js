// What the provider remembers, in one file: sections of entries that expire.
//
// Reads and changes are in memory, so whoever changes something in one go cannot be overtaken. `saved` makes them last:
// callers that wait at the same time share one write, which replaces the file as a whole.

import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

const SECTION_MAX = 10_000; // entries; over it the oldest go, so that nobody fills the disk with requests

export const nowSeconds = () => Math.floor(Date.now() / 1000);

class Section {
  constructor(entries, max, onChange) {
    this.entries = new Map(entries);
    this.max = max;
    this.onChange = onChange;
  }

  // A copy: who changes it has to `set` it.
  get(key) {
    const entry = this.entries.get(key);
    return entry && !isOver(entry) ? structuredClone(entry.value) : undefined;
  }

  // `seconds` undefined: for good.
  set(key, value, seconds) {
    this.entries.delete(key); // to the end: entries are in order of their last change
    this.entries.set(key, { value: structuredClone(value), expires: seconds && nowSeconds() + seconds });
    if (this.entries.size > this.max) {
      this.forgetExpired();
    }
    while (this.entries.size > this.max) {
      this.entries.delete(this.entries.keys().next().value);
    }
    this.onChange();
  }

  // Changes the value of what is there, not how long it lives.
  replace(key, value) {
    const entry = this.entries.get(key);
    this.entries.set(key, { ...entry, value: structuredClone(value) });
    this.onChange();
  }

  delete(key) {
    if (this.entries.delete(key)) {
      this.onChange();
    }
  }

  find(matches) {
    for (const [key, entry] of this.entries) {
      if (!isOver(entry) && matches(entry.value)) {
        return key;
      }
    }
    return undefined;
  }

  deleteWhere(matches) {
    for (const [key, { value }] of this.entries) {
      if (matches(value)) {
        this.delete(key);
      }
    }
  }

  forgetExpired() {
    for (const [key, entry] of this.entries) {
      if (isOver(entry)) {
        this.entries.delete(key);
      }
    }
  }
}

export class Store {
  #path;
  #loaded;
  #sections = new Map();
  #changed = false;
  #writing = Promise.resolve();
  #queued;

  constructor(path, loaded) {
    this.#path = path;
    this.#loaded = loaded;
    for (const name of Object.keys(loaded)) {
      this.section(name, Infinity); // whoever uses it says how much it may hold
    }
  }

  static async open(folder) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'state.json');
    try {
      return new Store(path, JSON.parse(await readFile(path, 'utf8')));
    } catch (error) {
      if (error.code === 'ENOENT') {
        return new Store(path, {});
      }
      throw error;
    }
  }

  section(name, max = SECTION_MAX) {
    let section = this.#sections.get(name);
    if (!section) {
      section = new Section(this.#loaded[name] ?? [], max, () => { this.#changed = true; });
      this.#sections.set(name, section);
    }
    section.max = max;
    return section;
  }

  // Resolves when every change that was made before the call is on disk.
  saved() {
    this.#queued ??= (async () => {
      await this.#writing.catch(() => {}); // told to those who waited for it; what it had is still in memory
      this.#queued = undefined;
      this.#writing = this.#write();
      await this.#writing;
    })();
    return this.#queued;
  }

  async #write() {
    if (!this.#changed) {
      return;
    }
    this.#changed = false;
    try {
      await replaceFile(this.#path, this.#text());
    } catch (error) {
      this.#changed = true;
      throw error;
    }
  }

  #text() {
    const all = {};
    for (const [name, section] of this.#sections) {
      section.forgetExpired();
      all[name] = [...section.entries];
    }
    return JSON.stringify(all);
  }
}

const isOver = (entry) => entry.expires !== undefined && entry.expires <= nowSeconds();

// A reader, also one after a power cut, finds the old content or the new one. Only the owner may read it.
export async function replaceFile(path, text) {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
