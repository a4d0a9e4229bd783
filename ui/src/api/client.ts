/** The API as `openapi.json` describes it. */
import createFetchClient, { type Middleware } from "openapi-fetch";
import createClient from "openapi-react-query";
import type { components, paths } from "./schema";
import { currentToken, signOut } from "./session";

export type Schemas = components["schemas"];

/** An answer other than 2xx, or none. */
export class ApiError extends Error {
  constructor(
    /** 0: there was no answer. */
    readonly status: number,
    message: string,
    /** Of fields of the body, by name. */
    readonly fields: Record<string, string> = {},
  ) {
    super(message);
  }
}

/** Throws unless the answer is good. A refused token ends the session. */
export async function check(response: Response, token: string | null): Promise<Response> {
  if (response.ok) return response;
  const error = await read(response);
  if (error.status === 401 && token === currentToken()) {
    signOut(`You were signed out: ${error.message}`);
  }
  throw error;
}

async function read(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const detail = body && typeof body === "object" && "detail" in body ? body.detail : null;
  if (!Array.isArray(detail)) {
    return new ApiError(response.status, typeof detail === "string" ? detail : `HTTP ${response.status}`);
  }
  const faults = detail as Schemas["ValidationError"][];
  const name = (fault: Schemas["ValidationError"]) => fault.loc.slice(1).join(".");
  const fields = Object.fromEntries(faults.map((fault) => [name(fault), fault.msg]));
  const message = faults.map((fault) => `${name(fault)}: ${fault.msg}`).join("; ");
  return new ApiError(response.status, message, fields);
}

/** `fetch` with the token. */
export async function authorized(input: string, init: RequestInit = {}): Promise<Response> {
  const token = currentToken();
  const headers = new Headers(init.headers);
  if (token) headers.set("authorization", `Bearer ${token}`);
  let response;
  try {
    response = await fetch(input, { ...init, headers });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "The server cannot be reached. Is it running, and are you online?");
  }
  return check(response, token);
}

const tokens: Middleware = {
  onRequest({ request }) {
    const token = currentToken();
    if (token) request.headers.set("authorization", `Bearer ${token}`);
    return request;
  },
  async onResponse({ response, request }) {
    await check(response, request.headers.get("authorization")?.slice(7) ?? null);
  },
  onError() {
    return new ApiError(0, "The server cannot be reached. Is it running, and are you online?");
  },
};

export const api = createFetchClient<paths>({ baseUrl: location.origin });
api.use(tokens);

/** The same as hooks. */
export const $api = createClient(api);

/** For lists: the next page is where the last one ended. */
export const pages = {
  pageParamName: "iterator",
  initialPageParam: null,
  getNextPageParam: (last: { done: boolean; iterator?: string | null }) =>
    last.done ? undefined : (last.iterator ?? undefined),
} as const;
