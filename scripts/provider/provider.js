// The certified library, configured: one public client for the portal and one for the terminal, PKCE always, access
// tokens for AMS as RFC 9068 says. What it shows and asks is in interactions.js.

import { createHash } from 'node:crypto';

import Provider, { errors } from 'oidc-provider';

import { adapters } from './adapter.js';
import { guard } from './guard.js';
import { interactions } from './interactions.js';
import { errorPage, signOutPage, signedOutPage } from './pages.js';

const AUDIENCE = 'ams';
const RESOURCE = 'urn:ams'; // what the audience is called where an absolute URI must be
const DAY_S = 86_400;
const SESSION_DAYS = 14;

export function createProvider(parts) {
  const { issuer, settings, keys, store, accounts } = parts;
  const clients = [
    { client_id: 'ams-portal', client_name: 'AMS', redirect_uris: settings.redirectUris,
      post_logout_redirect_uris: homes(settings.redirectUris) },
    // Of scripts/ams sign-in, which reads the code from the redirect and never follows it.
    { client_id: 'ams-terminal', client_name: 'AMS in the terminal', redirect_uris: [`${issuer}/terminal`] },
  ];
  const provider = new Provider(issuer, {
    adapter: adapters(store),
    clients: clients.map((client) => ({ ...PUBLIC_CLIENT, ...client })),
    jwks: keys.jwks,
    cookies: { keys: keys.cookies, names: COOKIES },
    responseTypes: ['code'],
    pkce: { required: () => true },
    allowOmittingSingleRegisteredRedirectUri: false,
    scopes: ['openid'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false, // the access token is for AMS, so what the portal shows is in the ID token
    findAccount: (ctx, id) => found(accounts.byId(id)),
    loadExistingGrant: grantEverything,
    extraTokenClaims: (ctx, token) => ({ ...claimsOf(accounts.byId(token.accountId)), sid: sessionId(token) }),
    issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: true,
    expiresWithSession: () => true,
    clientBasedCORS: (ctx, origin, client) => client.redirectUris.some((uri) => new URL(uri).origin === origin),
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    renderError: (ctx, out) => { render(ctx, errorPage(out.error_description ?? out.error)); },
    features: features(),
    ttl: {
      AccessToken: settings.tokenSeconds, AuthorizationCode: 60, IdToken: 3600, Interaction: 3600,
      Grant: SESSION_DAYS * DAY_S, RefreshToken: SESSION_DAYS * DAY_S, Session: SESSION_DAYS * DAY_S,
    },
  });
  provider.on('server_error', (ctx, error) => console.error(error));
  provider.use(guard(issuer, clients.flatMap((client) => client.redirect_uris)));
  provider.use(interactions(provider, parts));
  return provider;
}

const PUBLIC_CLIENT = {
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
};

// Cookies know no ports: names that nothing else on this machine uses.
const COOKIES = {
  session: 'ams_provider_session', interaction: 'ams_provider_interaction', resume: 'ams_provider_resume',
};

function features() {
  return {
    devInteractions: { enabled: false },
    dPoP: { enabled: false },
    pushedAuthorizationRequests: { enabled: false },
    revocation: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (ctx, form) => { render(ctx, signOutPage(form)); },
      postLogoutSuccessSource: (ctx) => { render(ctx, signedOutPage()); },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        if (resource !== RESOURCE) {
          throw new errors.InvalidTarget();
        }
        return { scope: '', audience: AUDIENCE, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } };
      },
    },
  };
}

const found = (account) => account && {
  accountId: account.id,
  claims: () => ({ sub: account.id, ...claimsOf(account) }),
};

// Whoever has an account has proven its address.
const claimsOf = ({ email, name }) => ({ email, email_verified: true, name });

// The same while a session's tokens are renewed. Not the stored id, which is nobody else's business.
const sessionId = ({ sessionUid, clientId }) =>
  createHash('sha256').update(JSON.stringify([sessionUid, clientId])).digest('base64url');

// Both clients are AMS's own: there is nobody to consent to.
async function grantEverything(ctx) {
  const { Grant } = ctx.oidc.provider;
  const { clientId } = ctx.oidc.client;
  const { accountId } = ctx.oidc.session;
  const id = ctx.oidc.session.grantIdFor(clientId);
  const existing = id && (await Grant.find(id));
  if (existing?.accountId === accountId) {
    return existing;
  }
  const grant = new Grant({ accountId, clientId });
  grant.addOIDCScope('openid email profile');
  await grant.save();
  return grant;
}

// Where people may be sent after signing out: the start pages beside the redirect URIs.
const homes = (uris) => [...new Set(uris.map((uri) => `${new URL(uri).origin}/`))];

function render(ctx, page) {
  ctx.type = 'html';
  ctx.body = page;
}
