// What the cases are made of: bodies, times, secrets and the one recipe that many providers document.
import { createHmac, randomUUID } from "node:crypto";

export const json = { "content-type": "application/json" };
export const form = { "content-type": "application/x-www-form-urlencoded" };

// An event with what it is to have, and a part that readers of JSON like to spell otherwise.
export const event = (fields) =>
  JSON.stringify({ ...fields, data: { amount: 1999, ratio: 1e21, note: "naïve ☃ / \u2028" } });

export const id = randomUUID;
export const seconds = () => Math.floor(Date.now() / 1000);

export const secret = "a secret of the test, not of anybody";
export const whsec = `whsec_${Buffer.from(secret).toString("base64")}`;

export const hmac = (encoding, key, ...parts) => {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return mac.digest(encoding);
};
