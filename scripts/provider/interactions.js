// Sign-in and sign-up: e-mail address → code → name (the first time), or Google → name if it gave none.
//
// What is known so far is kept under the interaction's id. oidc-provider sets that id in a cookie that only goes to
// /interaction/<id>, and every step here asks it for the interaction of that cookie: nobody continues somebody else's.

import { errors } from 'oidc-provider';

import { cleanEmail, cleanName } from './accounts.js';
import { readForm } from './forms.js';
import { GoogleRefused } from './google.js';
import { STYLE, codePage, emailPage, errorPage, namePage } from './pages.js';
import { TooMany } from './throttle.js';

const PATH = /^\/interaction\/([\w-]{1,64})(?:\/([a-z-]+))?$/;
const INTERACTION_S = 3600;

export function interactions(provider, parts) {
  const steps = new Steps(provider, parts);
  return async (ctx, next) => {
    const [, uid, step = 'start'] = PATH.exec(ctx.path) ?? [];
    if (ctx.method === 'GET' && ctx.path === '/style.css') {
      ctx.type = 'css';
      ctx.body = STYLE;
    } else if (ctx.method === 'GET' && ctx.path === '/google/callback' && parts.google) {
      comeBack(ctx);
    } else if (uid) {
      ctx.set('Cache-Control', 'no-store');
      await take(ctx, steps, uid, `${ctx.method} ${step}`);
    } else {
      await next();
    }
  };
}

// To where the interaction's cookie goes. The state is checked there.
function comeBack(ctx) {
  const uid = /^([\w-]{1,64})\./.exec(String(ctx.query.state))?.[1];
  ctx.assert(uid, 400, 'This answer from Google belongs to no sign-in.');
  ctx.status = 303;
  ctx.redirect(`/interaction/${uid}/google${ctx.search}`);
}

async function take(ctx, steps, uid, step) {
  const action = steps.table[step];
  ctx.assert(action, 404);
  try {
    const interaction = await steps.provider.interactionDetails(ctx.req, ctx.res);
    if (interaction.uid !== uid) {
      throw new errors.SessionNotFound();
    }
    await action(ctx, interaction);
  } catch (error) {
    if (!(error instanceof errors.SessionNotFound)) {
      throw error;
    }
    show(ctx, errorPage('This sign-in has expired, or was started in another browser.'), 400);
  }
}

class Steps {
  constructor(provider, { store, accounts, codes, outbox, google, settings }) {
    Object.assign(this, { provider, store, accounts, codes, outbox, google, settings });
    this.known = store.section('interactions');
    this.table = {
      'GET start': (ctx, interaction) => this.start(ctx, interaction),
      'POST email': (ctx, interaction) => this.sendCode(ctx, interaction),
      'GET code': (ctx, interaction) => this.askCode(ctx, interaction),
      'POST code': (ctx, interaction) => this.takeCode(ctx, interaction),
      'GET name': (ctx, interaction) => this.askName(ctx, interaction),
      'POST name': (ctx, interaction) => this.takeName(ctx, interaction),
      'POST cancel': (ctx, interaction) => this.cancel(ctx, interaction),
      'GET to-google': (ctx, interaction) => this.toGoogle(ctx, interaction),
      'GET google': (ctx, interaction) => this.fromGoogle(ctx, interaction),
    };
  }

  async start(ctx, { uid, prompt, params }) {
    if (prompt.name === 'consent') {
      await this.finish(ctx, { consent: {} }); // there is nobody to consent to: see grantEverything
      return;
    }
    this.askEmail(ctx, uid, cleanEmail(params.login_hint));
  }

  askEmail(ctx, uid, email, problem, status) {
    show(ctx, emailPage({ uid, email, problem, google: this.google }), status);
  }

  async sendCode(ctx, { uid }) {
    const given = (await readForm(ctx)).get('email');
    const email = cleanEmail(given);
    if (email === undefined) {
      this.askEmail(ctx, uid, given, 'That is not an e-mail address.', 400);
      return;
    }
    try {
      const code = this.codes.issue(email, uid, ctx.ip);
      this.know(uid, { email });
      await this.store.saved();
      await this.outbox.sendCode(email, code, this.settings.codeSeconds);
      seeOther(ctx, `/interaction/${uid}/code`);
    } catch (error) {
      this.askEmail(ctx, uid, email, slowDown(ctx, error, 'Too many codes were asked for.'), 429);
    }
  }

  async askCode(ctx, { uid }) {
    const { email } = this.knownOf(uid);
    if (email === undefined) {
      seeOther(ctx, `/interaction/${uid}`);
      return;
    }
    const open = this.codes.isOpen(email, uid);
    show(ctx, codePage({ uid, email, open, problem: open ? undefined : GONE }));
  }

  async takeCode(ctx, { uid }) {
    const code = ((await readForm(ctx)).get('code') ?? '').replaceAll(' ', '');
    const { email } = this.knownOf(uid);
    if (email === undefined) {
      seeOther(ctx, `/interaction/${uid}`);
      return;
    }
    try {
      const verdict = this.codes.redeem(email, uid, code, ctx.ip);
      if (verdict === 'right') {
        await this.signIn(ctx, uid, email);
        return;
      }
      await this.store.saved(); // a wrong try stays counted, whatever happens to this process
      const open = verdict === 'wrong';
      show(ctx, codePage({ uid, email, open, problem: open ? 'That is not the code.' : GONE }), 400);
    } catch (error) {
      const problem = slowDown(ctx, error, 'Too many wrong codes were tried.');
      show(ctx, codePage({ uid, email, open: false, problem }), 429);
    }
  }

  // With a proven address. `name`: what another provider calls the person.
  async signIn(ctx, uid, email, name) {
    const account = this.accounts.byEmail(email) ?? (name && this.accounts.add(email, name));
    if (account) {
      await this.finish(ctx, { login: { accountId: account.id } }, uid);
      return;
    }
    this.know(uid, { proven: email });
    await this.store.saved();
    seeOther(ctx, `/interaction/${uid}/name`);
  }

  async askName(ctx, { uid }) {
    const { proven } = this.knownOf(uid);
    if (proven === undefined) {
      seeOther(ctx, `/interaction/${uid}`);
      return;
    }
    show(ctx, namePage({ uid, email: proven }));
  }

  async takeName(ctx, { uid }) {
    const name = cleanName((await readForm(ctx)).get('name'));
    const { proven } = this.knownOf(uid);
    if (proven === undefined) {
      seeOther(ctx, `/interaction/${uid}`);
    } else if (name === undefined) {
      show(ctx, namePage({ uid, email: proven, problem: 'Please enter a name.' }), 400);
    } else {
      await this.signIn(ctx, uid, proven, name);
    }
  }

  async cancel(ctx, { uid }) {
    await this.finish(ctx, { error: 'access_denied', error_description: 'the sign-in was cancelled' }, uid);
  }

  async toGoogle(ctx, { uid }) {
    ctx.assert(this.google, 404);
    try {
      const { url, kept } = await this.google.begin(uid);
      this.know(uid, { google: kept });
      await this.store.saved();
      seeOther(ctx, url);
    } catch (error) {
      this.googleFailed(ctx, uid, error);
    }
  }

  async fromGoogle(ctx, { uid }) {
    ctx.assert(this.google, 404);
    const { google: kept } = this.knownOf(uid);
    if (kept === undefined) {
      seeOther(ctx, `/interaction/${uid}`);
      return;
    }
    this.know(uid, {}); // an answer is taken once
    try {
      const { email, name } = await this.google.finish(ctx.search, kept);
      await this.signIn(ctx, uid, email, name);
    } catch (error) {
      this.googleFailed(ctx, uid, error);
    }
  }

  googleFailed(ctx, uid, error) {
    if (!(error instanceof GoogleRefused)) {
      throw error;
    }
    this.askEmail(ctx, uid, undefined, error.message, 400);
  }

  knownOf(uid) {
    return this.known.get(uid) ?? {};
  }

  // One fact at a time: a proven address is forgotten when another way in is begun.
  know(uid, facts) {
    this.known.set(uid, facts, INTERACTION_S);
  }

  async finish(ctx, result, uid) {
    if (uid) {
      this.known.delete(uid);
    }
    seeOther(ctx, await this.provider.interactionResult(ctx.req, ctx.res, result)); // saves the store
  }
}

const GONE = 'This code does not work any more. Ask for a new one.';

// What to tell somebody who was stopped by a limit.
function slowDown(ctx, error, what) {
  if (!(error instanceof TooMany)) {
    throw error;
  }
  ctx.set('Retry-After', String(error.seconds));
  return `${what} Try again in ${Math.ceil(error.seconds / 60)} minutes.`;
}

function seeOther(ctx, url) {
  ctx.redirect(url);
  ctx.status = 303;
}

function show(ctx, page, status = 200) {
  ctx.status = status;
  ctx.type = 'html';
  ctx.body = page;
}
