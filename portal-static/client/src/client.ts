// The API, typed by schema.d.ts, which `scripts/ams openapi client` builds: paths, parameters, bodies and answers are
// checked by the compiler.
import createClient, { type Middleware } from "openapi-fetch";

import type { components, paths } from "./schema.d.ts";

export type Problem = components["schemas"]["Problem"];

/** Every error of AMS, thrown by the client: `problem.code` is stable, `problem.errors` names fields and rules. */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

/** `token` is asked before every request; without one, only public routes answer. */
export function createApi(baseUrl: string, token: () => string | null | Promise<string | null>) {
  const api = createClient<paths>({ baseUrl });
  const edge: Middleware = {
    async onRequest({ request }) {
      const value = await token();
      if (value !== null) request.headers.set("Authorization", `Bearer ${value}`);
      return request;
    },
    async onResponse({ response }) {
      if (response.headers.get("Content-Type") === "application/problem+json") {
        throw new ApiError((await response.json()) as Problem);
      }
    },
  };
  api.use(edge);
  return api;
}
