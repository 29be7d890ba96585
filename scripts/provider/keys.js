// Keys that are made at the first start and stay: what signs tokens, what signs cookies, what codes are hashed with.

import { generateKeyPair, randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { replaceFile } from './store.js';

export async function loadKeys(folder) {
  const path = join(folder, 'keys.json');
  let keys;
  try {
    keys = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT') {
      throw error;
    }
    keys = await newKeys();
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await replaceFile(path, JSON.stringify(keys));
  }
  return { jwks: keys.jwks, cookies: keys.cookies, codes: Buffer.from(keys.codes, 'base64url') };
}

async function newKeys() {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: 2048 });
  const jwk = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
  const secret = () => randomBytes(32).toString('base64url');
  return { jwks: { keys: [jwk] }, cookies: [secret()], codes: secret() };
}
