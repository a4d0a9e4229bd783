/** Routes that a server of this version may lack: their 404 is shown as a page that says so. */
export const PENDING = [
  /^\/api\/v1\/analytics\//, /^\/api\/v1\/live$/, /^\/api\/v1\/operate\//, /^\/api\/v1\/audit-log/, /^\/api\/v1\/auth\/token/,
  /\/msg\/search$/, /\/state$/, /\/preview$/, /\/validate$/,
];
