// What goes on, and who may do what: the live tail, tokens, the audit log, searches, replays, usage.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { accessible, api, eventually, launch, openConsole, tab } from "./browser.mjs";
import { userCreated } from "./catalogue.mjs";

let browser, app, endpoint;

before(async () => {
  await userCreated();
  browser = await launch();
  app = await api("POST", "/api/v1/app", { name: "Operated" });
  endpoint = await api("POST", `/api/v1/app/${app.id}/endpoint`, { url: "http://127.0.0.1:9/operated", retrySchedule: ["1h"] });
});
after(() => browser?.close());

const send = (payload) => api("POST", `/api/v1/app/${app.id}/msg`, { eventType: "user.created", payload });

/** A test that is given a tab, which is closed afterwards. */
function walk(name, run) {
  test(name, { timeout: 60_000 }, async () => {
    const { page, fine, close } = await tab(browser);
    await run(page);
    fine(name);
    await close();
  });
}

walk("the live tail shows what happens, until it is paused", async (page) => {
  const listening = page.waitForResponse(/\/api\/v1\/live/);
  await openConsole(page, `/live?app=${app.id}`);
  await listening;
  await page.getByText("Waiting for something to happen").waitFor();
  const message = await send({ id: "usr_1" });
  await page.getByText("Message", { exact: true }).waitFor();
  await page.getByText("No answer").waitFor();
  await accessible(page, "the live tail");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Paused").waitFor();
  await page.getByRole("link", { name: "user.created" }).first().click();
  await page.getByText(message.id).first().waitFor();
});

walk("a token is made, shown once, and revoked", async (page) => {
  await openConsole(page, "/operate?tab=tokens");
  await page.getByRole("button", { name: "Create token" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("walker");
  await page.getByLabel("Only read").check();
  await page.getByRole("button", { name: "Create", exact: true }).click();
  const made = await page.getByRole("dialog").getByText(/^eyJ/).innerText();
  await accessible(page, "a new token");
  assert((await api("GET", "/api/v1/app", undefined, made)).data.length > 0);
  await page.getByRole("dialog").getByRole("button", { name: "Close" }).last().click();
  await page.getByRole("row", { name: /walker/ }).getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("row", { name: /walker/ }).getByText("Revoked").waitFor();
  await assert.rejects(api("GET", "/api/v1/app", undefined, made), /401/);
});

walk("the audit log says who changed what", async (page) => {
  await openConsole(page, "/operate?tab=audit");
  await page.getByRole("row", { name: /application\.create/ }).first().waitFor();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export CSV" }).click();
  assert.equal((await saved).suggestedFilename(), "audit-log.csv");
});

walk("nodes, and the store", async (page) => {
  await openConsole(page, "/operate");
  await page.getByText("(this one)").waitFor();
  await page.getByRole("tab", { name: "Storage" }).click();
  await page.getByText("Payloads are kept for").waitFor();
  await page.getByText("90 days").first().waitFor();
});

walk("how an endpoint is being sent to", async (page) => {
  await openConsole(page, `/app/${app.id}/endpoint/${endpoint.id}`);
  await page.getByText("Circuit breaker").waitFor();
});

walk("text in payloads is found, and nothing else", async (page) => {
  const needle = await send({ id: "a Needle in a haystack" });
  await send({ id: "hay" });
  await openConsole(page, `/app/${app.id}/msg?text=needle`);
  await page.getByText(needle.id).waitFor();
  await page.getByText("All messages of this time were looked at.").waitFor();
  await page.getByText("1 found").waitFor();
  await accessible(page, "a search");
});

walk("a payload is tried against the schema", async (page) => {
  await openConsole(page, "/event-type/user.created");
  const payload = page.getByLabel("Payload to try");
  await page.getByRole("button", { name: "Try" }).click();
  await page.getByText("It fits.").waitFor();
  await payload.fill("{}");
  await page.getByRole("button", { name: "Try" }).click();
  await page.getByText(/required/).last().waitFor();
  await payload.fill("{");
  await page.getByRole("button", { name: "Try" }).click();
  await page.getByText("Not JSON").waitFor();
});

walk("messages are counted, and sent again", async (page) => {
  await send({ id: "again" });
  await openConsole(page, `/app/${app.id}/endpoint/${endpoint.id}`);
  await page.getByRole("button", { name: "Send again" }).click();
  await page.getByLabel("All messages").check();
  await page.getByText(/\d+ messages would be sent again\./).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  await page.getByText(/Sending again|Done/).first().waitFor();
  await page.getByRole("progressbar").waitFor();
  await accessible(page, "its progress");
});

walk("a replay is paused, goes on, and is cancelled", async (page) => {
  const messages = Array.from({ length: 1_000 }, (_, n) => ({ eventType: "user.created", payload: { id: `usr_${n}` } }));
  const large = await api("POST", "/api/v1/app", { name: "Replayed" });
  await api("POST", `/api/v1/app/${large.id}/msg/batch`, { messages });
  // It takes one in a second, and a replay waits for its endpoint.
  const slow = await api("POST", `/api/v1/app/${large.id}/endpoint`, { url: "http://127.0.0.1:9/slow", throttleRate: 1, retrySchedule: [] });
  await openConsole(page, `/app/${large.id}/endpoint/${slow.id}`);
  await page.getByRole("button", { name: "Send again" }).click();
  await page.getByLabel("Missing messages").check();
  await page.getByText("1,000 messages would be sent again.").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  const shows = async (text, state) => {
    await page.getByRole("status").getByText(text).waitFor();
    const id = new URL(page.url()).searchParams.get("task");
    assert.equal((await api("GET", `/api/v1/background-task/${id}`)).state, state);
  };
  await page.getByRole("button", { name: "Pause", exact: true }).click();
  await shows("Paused", "paused");
  await accessible(page, "a paused replay");
  await page.getByRole("button", { name: "Resume", exact: true }).click();
  await shows("Sending again", "running");
  await page.getByRole("button", { name: "Cancel", exact: true }).click();
  await shows("Cancelled", "cancelled");
  assert.equal(await page.getByRole("button", { name: "Resume", exact: true }).count(), 0);
  await api("DELETE", `/api/v1/app/${large.id}`);
});

walk("usage of a month, by application, and as a file", async (page) => {
  await eventually(async () => {
    const month = new Date().toISOString().slice(0, 7);
    return (await api("GET", `/api/v1/analytics/usage?month=${month}`)).some((row) => row.appId === app.id && row.attempts > 0);
  });
  await openConsole(page, "/usage");
  await page.getByRole("row", { name: /Operated/ }).waitFor();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export CSV" }).click();
  const saved = await saving;
  assert.match(saved.suggestedFilename(), /^usage-\d{4}-\d\d\.csv$/);
  const text = await readFile(await saved.path(), "utf8");
  assert(text.split("\n").some((line) => line.startsWith(app.id) && line.includes("Operated")), text);
  await page.getByLabel("Month").selectOption({ index: 1 });
  await page.getByText("Nothing was used in this month").waitFor();
  assert.match(page.url(), /month=\d{4}-\d\d/);
});
