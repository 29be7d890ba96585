// Messages go where AMS's own go on a machine without a mail server: one .eml file each, and a line on the console.

import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import nodemailer from 'nodemailer';

import { replaceFile } from './store.js';

export class Outbox {
  #folder;
  #sender;
  #composer = nodemailer.createTransport({ streamTransport: true, buffer: true });

  constructor(folder, sender) {
    this.#folder = folder;
    this.#sender = sender;
  }

  // Resolves when the file is there.
  async sendCode(email, code, seconds) {
    const { message } = await this.#composer.sendMail({
      from: this.#sender,
      to: email,
      subject: `${code} is your AMS sign-in code`,
      text: `Your code to sign in to AMS is ${code}\n\nIt works once, for ${minutes(seconds)}, in the window that asked `
        + 'for it. Nobody from AMS will ask you for it.\nIf you did not ask for it, ignore this message.\n',
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const stamp = new Date().toISOString().replaceAll(':', ''); // files sort by time
    await replaceFile(join(this.#folder, `sign-in_${stamp}_${randomUUID().slice(0, 8)}.eml`), message);
    console.log(`code for ${email}: ${code}`);
  }
}

const minutes = (seconds) => (seconds < 60 ? `${seconds} seconds` : `${Math.floor(seconds / 60)} minutes`);
