// Plays Google: a second instance of oidc-provider, with one confidential client. Who sits at the browser is told by
// `PUT /person` with the claims as JSON; every sign-in is theirs at once.
// Environment: GOOGLE_REDIRECT_URI, and the client as AMS_GOOGLE_CLIENT_ID and AMS_GOOGLE_CLIENT_SECRET.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// The library is the provider's: it is installed once.
const require = createRequire(new URL('../../scripts/provider/package.json', import.meta.url));
const { default: Provider, interactionPolicy } = await import(pathToFileURL(require.resolve('oidc-provider')));

// Google lets people choose an account when it is asked to.
const policy = interactionPolicy.base();
policy.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);

let person;
const people = new Map();
const server = createServer();

server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: process.env.AMS_GOOGLE_CLIENT_ID,
      client_secret: process.env.AMS_GOOGLE_CLIENT_SECRET,
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: [process.env.GOOGLE_REDIRECT_URI],
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false, // Google's ID token has them all
    features: { devInteractions: { enabled: false } },
    cookies: { keys: ['of a test'] },
    // As at Google, whoever forgets one of these finds out.
    pkce: { required: () => true },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => people.get(id) }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid email profile');
      await grant.save();
      return grant;
    },
    interactions: { policy, url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  });
  provider.use(async (ctx, next) => {
    if (ctx.path.startsWith('/interaction/')) {
      people.set(person.sub, person);
      const { prompt } = await provider.interactionDetails(ctx.req, ctx.res);
      const result = { login: { accountId: person.sub }, [prompt.name]: { accountId: person.sub } };
      ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
      ctx.status = 303;
    } else if (ctx.method === 'PUT' && ctx.path === '/person') {
      const chunks = [];
      for await (const chunk of ctx.req) {
        chunks.push(chunk);
      }
      person = JSON.parse(Buffer.concat(chunks).toString());
      ctx.status = 204;
    } else {
      await next();
    }
  });
  server.on('request', provider.callback());
  console.log(`google serves ${issuer}`);
});
