// "Continue with Google": authorization code with PKCE, nonce and state; only what Google vouches for counts.

import * as client from 'openid-client';

import { cleanEmail, cleanName } from './accounts.js';
import { isLoopback } from './settings.js';

export class GoogleRefused extends Error {}

export class Google {
  #settings;
  #callback;
  #discovered;

  constructor(settings, callback) {
    this.#settings = settings;
    this.#callback = callback;
  }

  // Where to send the browser, and what to keep until it is back. `uid`: the interaction that it comes back to.
  async begin(uid) {
    const verifier = client.randomPKCECodeVerifier();
    const kept = { state: `${uid}.${client.randomState()}`, nonce: client.randomNonce(), verifier };
    const url = client.buildAuthorizationUrl(await this.#configuration(), {
      redirect_uri: this.#callback,
      scope: 'openid email profile',
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state: kept.state,
      nonce: kept.nonce,
      prompt: 'select_account',
    });
    return { url: url.href, kept };
  }

  // E-mail address and name (it may be undefined) of who came back. Throws GoogleRefused.
  async finish(search, kept) {
    let claims;
    try {
      const tokens = await client.authorizationCodeGrant(
        await this.#configuration(),
        new URL(this.#callback + search),
        {
          expectedState: kept.state,
          expectedNonce: kept.nonce,
          pkceCodeVerifier: kept.verifier,
          idTokenExpected: true,
        },
      );
      claims = tokens.claims();
    } catch (error) {
      report(error);
      throw new GoogleRefused('Google did not confirm who you are. Try again, or use your e-mail address.');
    }
    const email = cleanEmail(claims.email);
    if (email === undefined || claims.email_verified !== true) {
      throw new GoogleRefused('Google has not verified the e-mail address of that account. Use a code instead.');
    }
    return { email, name: cleanName(claims.name) };
  }

  // Discovered when it is first needed, and again after a failure: AMS starts without Google being there.
  #configuration() {
    const { issuer, clientId, clientSecret } = this.#settings;
    this.#discovered ??= client
      .discovery(new URL(issuer), clientId, undefined, client.ClientSecretPost(clientSecret), {
        execute: isLoopback(issuer) ? [client.allowInsecureRequests] : [],
      })
      .catch((error) => {
        this.#discovered = undefined;
        report(error);
        throw new GoogleRefused('Google does not answer. Try again later, or use your e-mail address.');
      });
    return this.#discovered;
  }
}

// For the console: why, without the parameters, which could still be used.
function report(error) {
  const why = error.error_description ?? error.error ?? error.cause?.message ?? '';
  console.error('Google:', error.message, why);
}
