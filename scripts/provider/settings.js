// Environment → one frozen object. Every setting is explained in docs/settings.md.

import { join, resolve } from 'node:path';

export class SettingsError extends Error {}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

export function readSettings(environ) {
  const text = (name, otherwise) => environ[name] || otherwise; // an empty value counts as not set
  const port = whole(environ, 'AMS_PORT', 7071, 0, 65535);
  const data = resolve(text('AMS_DATA', '.local'));
  return Object.freeze({
    port: whole(environ, 'AMS_PROVIDER_PORT', 7072, 0, 65535),
    folder: join(data, 'provider'),
    outbox: join(data, 'mail'),
    mailFrom: text('AMS_MAIL_FROM', 'AMS <ams@localhost>'),
    redirectUris: redirectUris(text('AMS_PROVIDER_REDIRECT_URIS', `http://127.0.0.1:${port}/signed-in.html`)),
    codeSeconds: whole(environ, 'AMS_PROVIDER_CODE_S', 600, 1, 3600),
    codesPerAddress: whole(environ, 'AMS_PROVIDER_CODES_PER_ADDRESS', 100, 1, 1_000_000),
    tokenSeconds: whole(environ, 'AMS_PROVIDER_TOKEN_S', 900, 1, 86_400),
    google: google(text('AMS_GOOGLE_CLIENT_ID'), text('AMS_GOOGLE_CLIENT_SECRET'),
      text('AMS_GOOGLE_ISSUER', 'https://accounts.google.com')),
  });
}

function whole(environ, name, otherwise, min, max) {
  const value = environ[name] ? Number(environ[name]) : otherwise;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new SettingsError(`${name}: must be a whole number from ${min} to ${max}`);
  }
  return value;
}

function redirectUris(text) {
  const uris = text.split(/[\s,]+/).filter(Boolean);
  for (const uri of uris) {
    if (!isLoopback(uri) || uri.includes('#')) {
      throw new SettingsError('AMS_PROVIDER_REDIRECT_URIS: must be http URLs on loopback, without fragment');
    }
  }
  return uris;
}

function google(clientId, clientSecret, issuer) {
  if (!clientId && !clientSecret) {
    return null;
  }
  if (!clientId || !clientSecret) {
    throw new SettingsError('AMS_GOOGLE_CLIENT_ID and AMS_GOOGLE_CLIENT_SECRET: set both or none');
  }
  if (parsed(issuer)?.protocol !== 'https:' && !isLoopback(issuer)) {
    throw new SettingsError('AMS_GOOGLE_ISSUER: must be an https URL; http is for loopback only');
  }
  return { clientId, clientSecret, issuer };
}

// URL.parse, which Node 20 does not have everywhere.
function parsed(text) {
  return URL.canParse(text) ? new URL(text) : null;
}

export function isLoopback(uri) {
  const url = parsed(uri);
  return url !== null && url.protocol === 'http:' && LOOPBACK.has(url.hostname);
}
