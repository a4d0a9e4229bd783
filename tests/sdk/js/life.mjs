// A full life with the official JavaScript clients against a running server.
// HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN say where it is; its retry schedule must be short.
// HOOKWRIGHT_TEST_SVIX names the client's package: `svix` (the newest) or `svix-1` (the last 1.x).
import assert from "node:assert/strict";
import test from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Receiver } from "./receiver.mjs";

const {
  HOOKWRIGHT_TEST_URL: serverUrl,
  HOOKWRIGHT_TEST_TOKEN: token,
  HOOKWRIGHT_TEST_SVIX: client = "svix",
} = process.env;
assert(serverUrl && token, "HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN must be set");
const { Svix, Webhook: SvixWebhook } = await import(client);

const svix = new Svix(token, { serverUrl });
const receiver = new Receiver();
const eventType = `invoice.paid.js${process.pid}`;
const payload = { invoice: "in_42", amount: 4200, note: "naïve ☃" };
let app, endpoint, secret, message, source;

// Both libraries must accept the arrival under the secret (they throw if it is not genuine), and see
// the payload that was sent. Svix's returns nothing since 2.0.
function verified(arrival, key) {
  const seen = new SvixWebhook(key).verify(arrival.body, arrival.headers);
  if (client === "svix-1") assert.deepEqual(seen, payload);
  assert.deepEqual(new StandardWebhook(key).verify(arrival.body, arrival.headers), payload);
  return arrival;
}

// Polls until `read` gives something that is not undefined.
async function eventually(what, read, seconds = 30) {
  const until = Date.now() + seconds * 1000;
  for (;;) {
    const value = await read();
    if (value !== undefined) return value;
    if (Date.now() > until) throw new Error(`${what}: not within ${seconds} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const attemptsOf = async (id) =>
  (await svix.messageAttempt.listByMsg(app.id, id, { withContent: true })).data;

// Each step needs the ones before it: after one that failed, the others are skipped.
let alive = true;
const step = (name, run) =>
  test(name, { timeout: 60_000 }, async (t) => {
    if (!alive) return t.skip("an earlier step failed");
    alive = false;
    await run();
    alive = true;
  });

await receiver.start();

await step("create an application", async () => {
  const uid = `life-js-${process.pid}`;
  app = await svix.application.create({ name: "Life", uid, metadata: { plan: "gold" } });
  assert.match(app.id, /^app_/);
  assert.deepEqual((await svix.application.get(uid)).metadata, { plan: "gold" });
  assert.equal((await svix.application.getOrCreate({ name: "Other", uid })).id, app.id);
});

await step("create an event type", async () => {
  const created = await svix.eventType.create({ name: eventType, description: "Paid" });
  assert.equal(created.name, eventType);
  const all = await svix.eventType.list({ limit: 250 });
  assert(all.data.some((t) => t.name === eventType));
});

await step("create an endpoint", async () => {
  // What 1.x calls `filterTypes` is `eventTypes` since 2.0.
  const types = { eventTypes: [eventType], filterTypes: [eventType] };
  endpoint = await svix.endpoint.create(app.id, { url: receiver.url, ...types });
  secret = (await svix.endpoint.getSecret(app.id, endpoint.id)).key;
  assert.match(secret, /^whsec_/);
  const listed = await svix.endpoint.list(app.id);
  assert.deepEqual(listed.data.map((e) => e.id), [endpoint.id]);
});

await step("send a message and verify its arrival", async () => {
  const eventId = `life-${process.pid}`;
  message = await svix.message.create(app.id, { eventType, eventId, payload });
  assert.match(message.id, /^msg_/);
  const arrival = verified(await receiver.next("the message"), secret);
  assert.equal(arrival.headers["webhook-id"], message.id);
  assert.throws(() => verified({ ...arrival, body: arrival.body.replace("42", "43") }, secret));
  assert.equal((await svix.message.get(app.id, eventId)).id, message.id);
  await assert.rejects(
    svix.message.create(app.id, { eventType, eventId, payload }),
    (e) => e.code === 409,
  );
});

await step("send twice with one idempotency key: one message", async () => {
  const key = { idempotencyKey: `life-key-${process.pid}` };
  const first = await svix.message.create(app.id, { eventType, payload }, key);
  const again = await svix.message.create(app.id, { eventType, payload }, key);
  assert.equal(again.id, first.id);
  assert.equal((await receiver.next("the keyed one")).headers["webhook-id"], first.id);
});

await step("list the attempts", async () => {
  const attempts = await eventually("one attempt", async () => {
    const found = await attemptsOf(message.id);
    return found.length > 0 ? found : undefined;
  });
  assert.equal(attempts.length, 1);
  assert.equal(attempts[0].status, 0);
  assert.equal(attempts[0].responseStatusCode, 200);
  assert.equal(attempts[0].response, "answered 200");
  assert.equal(attempts[0].endpointId, endpoint.id);
  const one = await svix.messageAttempt.get(app.id, message.id, attempts[0].id);
  assert.equal(one.id, attempts[0].id);
});

await step("rotate the secret: old and new verify", async () => {
  await svix.endpoint.rotateSecret(app.id, endpoint.id, {});
  const rotated = (await svix.endpoint.getSecret(app.id, endpoint.id)).key;
  assert.notEqual(rotated, secret);
  await svix.message.create(app.id, { eventType, payload });
  const arrival = await receiver.next("the message after rotation");
  verified(arrival, secret);
  verified(arrival, rotated);
  secret = rotated;
});

await step("resend", async () => {
  await svix.messageAttempt.resend(app.id, message.id, endpoint.id);
  const arrival = verified(await receiver.next("the resent message"), secret);
  assert.equal(arrival.headers["webhook-id"], message.id);
  const attempts = await eventually("two attempts", async () => {
    const found = await attemptsOf(message.id);
    return found.length === 2 ? found : undefined;
  });
  assert.deepEqual(attempts.map((a) => a.triggerType).sort(), [0, 1]);
});

await step("fail, then recover", async () => {
  const since = new Date(Date.now() - 1000);
  receiver.status = 500;
  const failing = await svix.message.create(app.id, { eventType, payload });
  await receiver.next("the first failing try");
  await eventually("the schedule's end", async () => {
    const options = { status: 2 };
    const page = await svix.messageAttempt.listAttemptedMessages(app.id, endpoint.id, options);
    return page.data.find((m) => m.id === failing.id);
  });
  const failed = await attemptsOf(failing.id);
  assert(failed.length > 1, `retried: ${failed.length} attempts`);
  assert(failed.every((a) => a.status === 2 && a.responseStatusCode === 500));
  for (let i = 1; i < failed.length; i++) await receiver.next("a retry");
  receiver.status = 200;
  const task = await svix.endpoint.recover(app.id, endpoint.id, { since });
  assert.match(task.id, /^qtask_/);
  const arrival = verified(await receiver.next("the recovered message"), secret);
  assert.equal(arrival.headers["webhook-id"], failing.id);

  const finished = async ({ id }) => {
    const { status, data } = await svix.backgroundTask.get(id);
    return status === "finished" ? data.messagesSent : undefined;
  };
  assert.equal(await eventually("the recovery's end", () => finished(task)), 1);
  const again = { since: failing.timestamp, eventTypes: [eventType], statusCodeClass: 200 };
  const replay = await svix.endpoint.bulkReplay(app.id, endpoint.id, again);
  assert.equal(replay.task, "endpoint.bulk-replay");
  const replayed = verified(await receiver.next("the replayed message"), secret);
  assert.equal(replayed.headers["webhook-id"], failing.id);
  assert.equal(await eventually("the replay's end", () => finished(replay)), 1);
  const missing = await svix.endpoint.replayMissing(app.id, endpoint.id, { since });
  assert.equal(await eventually("the other replay's end", () => finished(missing)), 0);
});

await step("statistics", async () => {
  const since = new Date(Date.now() - 3_600_000);
  const made = (await svix.messageAttempt.listByEndpoint(app.id, endpoint.id, { limit: 250 })).data.length;
  const finished = async ({ id }) => {
    const { status, data } = await svix.backgroundTask.get(id);
    return status === "finished" ? data : undefined;
  };
  // Counts are a few seconds old.
  await eventually("all attempts are counted", async () => {
    const range = { since, until: new Date(), appIds: [app.uid, "nobody"] };
    const task = await svix.statistics.aggregateAppStats(range);
    assert.deepEqual([task.task, task.unresolvedAppIds], ["application.stats", ["nobody"]]);
    const { appStats } = await eventually("the statistics' end", () => finished(task));
    assert.deepEqual(appStats.map((stats) => [stats.appId, stats.appUid]), [[app.id, app.uid]]);
    return appStats[0].messageDestinations === made ? true : undefined;
  });
  const task = await svix.statistics.aggregateEventTypes();
  assert.equal(task.task, "event-type.aggregate");
  const data = await eventually("the event types", () => finished(task));
  const own = data.event_types.find((types) => types.appId === app.id);
  assert.deepEqual(own.explicitlySubscribedEventTypes, [eventType]);
  assert.equal(own.hasCatchAllEndpoint, false);
});

// What 2.x calls `upsert` is `update` in 1.x.
const replacing = (api) => (api.upsert ?? api.update).bind(api);

await step("a source and its URL", async () => {
  const upsert = replacing(svix.ingest.source);
  const uid = `source-js-${process.pid}`;
  const config = { secret: "whsec_a_secret" };
  source = await svix.ingest.source.create({ name: "Stripe", uid, type: "stripe", config });
  assert.match(source.id, /^src_/);
  assert.match(source.ingestUrl, /\/in\/.+/);
  assert.equal((await svix.ingest.source.get(uid)).id, source.id);
  const listed = await svix.ingest.source.list({ limit: 250 });
  assert(listed.data.some((s) => s.id === source.id));
  const schedule = { schedule: "0 6 * * *", payload: "{}" };
  const put = { name: "Daily", uid, type: "cron", config: schedule };
  assert.equal((await upsert(uid, put)).config.schedule, "0 6 * * *");
  await upsert(uid, { name: "Stripe", uid, type: "stripe", config });
  const { ingestUrl } = await svix.ingest.source.rotateToken(source.id);
  assert.notEqual(ingestUrl, source.ingestUrl);
  // What 1.x calls `dashboard` is part of `authentication` since 2.0.
  const { dashboard, authentication } = svix.ingest;
  const access = dashboard
    ? await svix.ingest.dashboard(source.id, { readOnly: true })
    : await authentication.consumerPortalAccess(source.id, { readOnly: true });
  assert(access.url.includes("#key=") && access.token);
});

await step("endpoints of a source", async () => {
  const api = svix.ingest.endpoint;
  const made = await api.create(source.id, { url: receiver.url, uid: "mine" });
  assert.equal((await api.get(source.id, "mine")).id, made.id);
  assert.deepEqual((await api.list(source.id)).data.map((e) => e.id), [made.id]);
  const put = { url: receiver.url, uid: "mine", description: "changed" };
  assert.equal((await replacing(api)(source.id, made.id, put)).description, "changed");
  const { key } = await api.getSecret(source.id, made.id);
  await api.rotateSecret(source.id, made.id, {});
  assert.notEqual((await api.getSecret(source.id, made.id)).key, key);
  const set = api.setHeaders ? "setHeaders" : "updateHeaders";
  await api[set](source.id, made.id, { headers: { "x-a": "b" } });
  assert.deepEqual((await api.getHeaders(source.id, made.id)).headers, { "x-a": "b" });
  await api.delete(source.id, made.id);
  await assert.rejects(api.get(source.id, made.id), (e) => e.code === 404);
  await svix.ingest.source.delete(source.id);
  await assert.rejects(svix.ingest.source.get(source.id), (e) => e.code === 404);
});

await step("errors are the client's own", async () => {
  await assert.rejects(svix.application.get("app_nobody"), (e) => {
    assert.equal(e.code, 404);
    assert.equal(e.body.code, "not_found");
    return true;
  });
  await assert.rejects(
    svix.endpoint.create(app.id, { url: "ftp://example.com" }),
    (e) => e.code === 422 && Array.isArray(e.body.detail),
  );
});

await step("delete", async () => {
  await svix.endpoint.delete(app.id, endpoint.id);
  await assert.rejects(svix.endpoint.get(app.id, endpoint.id), (e) => e.code === 404);
  await svix.application.delete(app.id);
  await assert.rejects(svix.application.get(app.id), (e) => e.code === 404);
});

receiver.stop();
