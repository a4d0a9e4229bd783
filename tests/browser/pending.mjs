/** Routes that a server of this version may lack: their 404 is shown as a page that says so. */
import { base, token } from "./browser.mjs";

export const PENDING = [
  /^\/api\/v1\/analytics\//, /^\/api\/v1\/live$/, /^\/api\/v1\/operate\//, /^\/api\/v1\/audit-log/, /^\/api\/v1\/auth\/token/,
  /\/msg\/search$/, /\/state$/, /\/preview$/, /\/validate$/,
];

/** Whether the server describes a route. */
export async function has(path) {
  const response = await fetch(`${base}/api/v1/openapi.json`, { headers: { authorization: `Bearer ${token}` } });
  return path in (await response.json()).paths;
}
