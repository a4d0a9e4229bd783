// One provider against the running server: what its official library takes for genuine is accepted,
// stored and delivered to the byte, and its tampered twin is refused by both.
// HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN say where the server is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Receiver } from "../../sdk/js/receiver.mjs";

const { HOOKWRIGHT_TEST_URL: server, HOOKWRIGHT_TEST_TOKEN: token } = process.env;
assert(server && token, "HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN must be set");

const { dependencies } = JSON.parse(readFileSync(new URL("package.json", import.meta.url)));

// A case has
// - `provider`: its id in the catalogue, which is a source's type; `config`: what the source is given
// - `library`: the npm package, official for that provider
// - `signs`: whether the library made the signature, rather than the provider's documented recipe
// - `request(url)`: a genuine one, `{headers, body}`; headers' names are in lower case
// - `accepts(request, url)`: what the library says of one; it may throw or resolve
// - `change`: what in the body the tampered twin has otherwise, as `[from, to]`, of one byte's difference
// - `hasId`: whether the provider gives its events ids
// The line that it answers is read by `cargo xtask providers`.
export async function prove(one) {
  const receiver = new Receiver();
  await receiver.start();
  try {
    await proveWith(receiver, one);
  } catch (cause) {
    throw new Error(`${one.provider} with ${one.library}: ${cause.message}`, { cause });
  } finally {
    receiver.stop();
  }
  const library = `${one.library}@${dependencies[one.library]}`;
  return [one.provider, "npm", library, one.signs ? "signs" : "judges"].join("\t");
}

async function proveWith(receiver, { provider, config, request, accepts, change, hasId }) {
  const source = await api("POST", "/ingest/api/v1/source", {
    name: provider,
    type: provider,
    config,
  });
  await api("POST", `/ingest/api/v1/source/${source.id}/endpoint`, { url: receiver.url });
  const genuine = await request(source.ingestUrl);
  const tampered = twin(genuine, change);
  assert(await judged(accepts, genuine, source.ingestUrl), "the library refuses the genuine one");
  assert(!(await judged(accepts, tampered, source.ingestUrl)), "the library accepts its twin");

  const messages = async () => (await api("GET", `/api/v1/app/${source.appId}/msg/`)).data;
  assert.equal(await posted(source.ingestUrl, tampered), 401, "status for the tampered one");
  assert.equal((await messages()).length, 0, "messages after the tampered one");
  assert.match(String(await posted(source.ingestUrl, genuine)), /^2/, "status for the genuine one");
  const arrived = await receiver.next("the event");
  assert.equal(arrived.body, genuine.body, "what the endpoint got");
  const [message, ...others] = await messages();
  assert.equal(others.length, 0, "one message is there");
  assert.equal(arrived.headers["webhook-id"], message.id);
  assert.equal(await posted(source.ingestUrl, tampered), 401, "status for the tampered one, again");
  assert.match(String(await posted(source.ingestUrl, genuine)), /^2/, "status for the repeated one");
  assert.equal((await messages()).length, hasId ? 1 : 2, "messages after the repeated one");
}

// The same request with one byte of its body changed.
function twin(request, [from, to] = ["1999", "1998"]) {
  const body = request.body.replace(from, to);
  assert.notEqual(body, request.body, `${from} must be in the body`);
  assert.equal(body.length, request.body.length);
  return { ...request, body };
}

async function judged(accepts, request, url) {
  try {
    return (await accepts(request, url)) !== false;
  } catch {
    return false;
  }
}

async function posted(url, { headers, body }) {
  const answer = await fetch(url, { method: "POST", headers, body });
  await answer.arrayBuffer();
  return answer.status;
}

async function api(method, path, body) {
  const answer = await fetch(server + path, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert(answer.ok, `${method} ${path} is answered ${answer.status}: ${text}`);
  return JSON.parse(text);
}
