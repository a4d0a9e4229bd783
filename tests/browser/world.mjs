// What there is to see: applications, endpoints that answer and that fail, messages, a source.
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { api, base, eventually, token } from "./browser.mjs";
import { userCreated } from "./catalogue.mjs";

/** Everything that a page must show as the text that it is. */
export const HOSTILE = '<img src=x onerror=alert(1)><script>alert(2)</script>\u202egpj.exe\u202c\u0007\u200b"]]>{{7*7}}';
/** The same as it is shown. */
export const shown = (text) =>
  text.replace(/[\u202e\u202c\u0007\u200b]/g, (char) => `\\u${char.codePointAt(0).toString(16).padStart(4, "0")}`);
/** As much of it as a name may hold. */
export const NAME = HOSTILE.replace("\u0007", "");

/** Beyond what a double can hold, with a member of the payload's own name inside. */
export const EXACT = '{"id":9007199254740993123,"z":1.50,"a":{"payload":[]},"payload":"\\u00e9\\n"}';

/** What has arrived: each request's headers and body. */
export const arrived = [];

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  arrived.push({ headers: request.headers, body: Buffer.concat(parts).toString() });
  response.statusCode = request.url.startsWith("/fails") ? 500 : 200;
  response.end(request.url.startsWith("/fails") ? HOSTILE : "taken");
});
server.listen(0, "127.0.0.1");
await once(server, "listening");
const receiver = `http://127.0.0.1:${server.address().port}`;

export const close = () => server.close();

export async function build() {
  await userCreated();
  await api("PUT", "/api/v1/event-type/invoice.paid", { description: NAME });
  const app = await api("POST", "/api/v1/app", { name: `Acme ${NAME}`, uid: "acme", metadata: { plan: "gold" } });
  const other = await api("POST", "/api/v1/app", { name: "Other", uid: "other" });
  const endpoint = (app, body) => api("POST", `/api/v1/app/${app}/endpoint`, body);
  const good = await endpoint(app.id, { url: `${receiver}/takes`, description: "takes everything" });
  const bad = await endpoint(app.id, { url: `${receiver}/fails`, description: NAME });
  await endpoint(other.id, { url: `${receiver}/takes` });
  const message = await api("POST", `/api/v1/app/${app.id}/msg`, {
    eventType: "invoice.paid", eventId: "evt-1", channels: ["eu"], tags: ["red"], payload: { text: HOSTILE },
  });
  const exact = await exactly(app.id);
  for (let n = 0; n < 3; n += 1) await api("POST", `/api/v1/app/${other.id}/msg`, { eventType: "user.created", payload: { id: `usr_${n}` } });
  await eventually(async () => (await api("GET", `/api/v1/app/${app.id}/attempt/msg/${message.id}`)).data.length >= 2);
  const source = await api("POST", "/ingest/api/v1/source", { name: "GitHub", type: "github", config: { secret: "hush hush hush" } });
  await github(source.ingestUrl, "wrong");
  await github(source.ingestUrl, "hush hush hush");
  await eventually(async () => (await api("GET", `/ingest/api/v1/source/${source.id}/log`)).data.length === 1);
  return { app, other, good, bad, message, exact, source, alert: await alert() };
}

/** One that stays open: an endpoint fails as long as the walk lasts. */
async function alert() {
  const rule = await api("POST", "/api/v1/alert/rule", {
    name: `Something fails ${NAME}`, condition: { type: "endpoint_failing", forSecs: 1 }, holdSecs: 0, channels: [{ type: "operational" }],
  });
  return eventually(async () => (await api("GET", "/api/v1/alert?open=true")).data.find(({ ruleId }) => ruleId === rule.id));
}

/** A message whose payload is sent as this very text. */
async function exactly(appId) {
  const response = await fetch(`${base}/api/v1/app/${appId}/msg`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: `{"eventType":"user.created","payload":${EXACT}}`,
  });
  return response.json();
}

function github(url, secret) {
  const body = JSON.stringify({ text: HOSTILE });
  const signature = createHmac("sha256", secret).update(body).digest("hex");
  const headers = {
    "content-type": "application/json", "x-github-event": "push", "x-github-delivery": `d-${secret.length}`,
    "x-hub-signature-256": `sha256=${signature}`,
  };
  return fetch(url, { method: "POST", headers, body });
}
