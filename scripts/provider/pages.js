// What people see: server-rendered, no script, one style sheet.

import { readFileSync } from 'node:fs';

import { html, trusted } from './html.js';

export const STYLE = readFileSync(new URL('style.css', import.meta.url), 'utf8');

export const emailPage = ({ uid, email, problem, google }) =>
  page('Sign in to AMS', html`
    ${alert(problem)}
    <form method="post" action="/interaction/${uid}/email">
      <label for="email">E-mail address</label>
      <input id="email" name="email" type="email" value="${email}" autocomplete="email" maxlength="254" required
        autofocus ${wrong(problem)}>
      <button>Continue</button>
      <p class="hint">You get a code by e-mail. If you are new here, this makes your account.</p>
    </form>
    ${google && html`<p class="or">or</p>
    <p><a class="button" href="/interaction/${uid}/to-google">Continue with Google</a></p>`}
    ${cancel(uid)}`);

export const codePage = ({ uid, email, problem, open }) =>
  page('Enter your code', html`
    ${alert(problem)}
    ${open && html`<p>We sent a code to <strong>${email}</strong>. It is valid for a few minutes.</p>
    <form method="post" action="/interaction/${uid}/code">
      <label for="code">Code</label>
      <input id="code" name="code" class="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]*"
        maxlength="12" required autofocus ${wrong(problem)}>
      <button>Sign in</button>
    </form>`}
    <form method="post" action="/interaction/${uid}/email">
      <input type="hidden" name="email" value="${email}">
      <button class="quiet">Send a new code</button>
    </form>
    <p class="links"><a href="/interaction/${uid}">Use another address</a></p>
    ${cancel(uid)}`);

export const namePage = ({ uid, email, problem }) =>
  page('Welcome to AMS', html`
    ${alert(problem)}
    <p>Your address <strong>${email}</strong> is confirmed. What should we call you?</p>
    <form method="post" action="/interaction/${uid}/name">
      <label for="name">Name</label>
      <input id="name" name="name" autocomplete="name" maxlength="100" required autofocus ${wrong(problem)}>
      <button>Create account</button>
    </form>
    ${cancel(uid)}`);

// `form` is the library's, with its protection against forgery.
export const signOutPage = (form) =>
  page('Sign out of AMS?', html`
    ${trusted(form)}
    <button form="op.logoutForm" name="logout" value="yes" autofocus>Sign out</button>
    <button form="op.logoutForm" class="quiet">Stay signed in</button>`);

export const signedOutPage = () => page('You are signed out', html`<p>You can close this window.</p>`);

export const errorPage = (problem) =>
  page('This did not work', html`${alert(problem)}<p>Go back to AMS and start again.</p>`);

const alert = (problem) => problem && html`<p id="problem" role="alert">${problem}</p>`;
const wrong = (problem) => problem && html`aria-invalid="true" aria-describedby="problem"`;
const cancel = (uid) => html`<form method="post" action="/interaction/${uid}/cancel" class="links">
      <button class="link">Cancel</button></form>`;

function page(title, body) {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="robots" content="noindex">
  <title>${title}</title>
  <link rel="stylesheet" href="/style.css">
</head>
<body>
  <main>
    <p class="brand">AMS <span>development sign-in</span></p>
    <h1>${title}</h1>
    ${body}
  </main>
</body>
</html>
`.toString();
}
