// The development provider: sign-in over OpenID Connect on loopback, for a machine that has no provider of its own.
// docs/sign-in.md says what it does; scripts/run starts it beside AMS.

import { once } from 'node:events';
import { createServer } from 'node:http';

import { Accounts } from './accounts.js';
import { Codes } from './codes.js';
import { Google } from './google.js';
import { loadKeys } from './keys.js';
import { Outbox } from './outbox.js';
import { createProvider } from './provider.js';
import { SettingsError, readSettings } from './settings.js';
import { Store } from './store.js';
import { Throttle } from './throttle.js';

const EXIT_MISCONFIGURED = 2;

async function listen(port) {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function serve(settings) {
  const server = await listen(settings.port); // first: with port 0, the issuer's name depends on it
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const keys = await loadKeys(settings.folder);
  const store = await Store.open(settings.folder);
  const provider = createProvider({
    issuer,
    settings,
    keys,
    store,
    accounts: new Accounts(store),
    codes: new Codes(store, new Throttle(store), keys.codes, settings),
    google: settings.google && new Google(settings.google, `${issuer}/google/callback`),
    outbox: new Outbox(settings.outbox, settings.mailFrom),
  });
  server.on('request', provider.callback());
  console.log(`the development provider serves ${issuer}`);

  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await store.saved();
    process.exit(0);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
}

try {
  await serve(readSettings(process.env));
} catch (error) {
  const known = error instanceof SettingsError || error.code !== undefined;
  console.error('the development provider cannot start:', known ? error.message : error);
  process.exit(error instanceof SettingsError ? EXIT_MISCONFIGURED : 1);
}
