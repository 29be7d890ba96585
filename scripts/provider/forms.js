// The fields of a posted form.

const BYTES_MAX = 8192;

export async function readForm(ctx) {
  ctx.assert(ctx.is('application/x-www-form-urlencoded'), 415);
  const chunks = [];
  let size = 0;
  for await (const chunk of ctx.req) {
    size += chunk.length;
    ctx.assert(size <= BYTES_MAX, 413);
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString());
}
