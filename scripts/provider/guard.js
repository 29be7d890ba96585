// Before every request: is it meant for this server, and what may a browser do with the answer?

export function guard(issuer, redirectUris) {
  const { host } = new URL(issuer);
  // Browsers apply `form-action` to redirects after a form too, and every sign-in ends with one.
  const ends = redirectUris.map((uri) => new URL(uri).origin);
  const policy = [
    "default-src 'none'", "style-src 'self'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    `form-action 'self' ${[...new Set(ends)].join(' ')}`,
  ].join('; ');

  return async (ctx, next) => {
    ctx.set({
      'Content-Security-Policy': policy,
      'X-Frame-Options': 'DENY',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
    });
    // A site whose name was pointed to this machine would send its own name: it gets nothing to work with.
    if (ctx.host !== host) {
      ctx.throw(421, `This server is ${issuer}.`);
    }
    await next();
  };
}
