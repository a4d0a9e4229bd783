// Pages over routes that this version may lack: skipped as long as it does.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, api, launch, openConsole, tab } from "./browser.mjs";
import { userCreated } from "./catalogue.mjs";
import { has, PENDING } from "./pending.mjs";

let browser, app, endpoint;

before(async () => {
  await userCreated();
  browser = await launch();
  app = await api("POST", "/api/v1/app", { name: "Later" });
  endpoint = await api("POST", `/api/v1/app/${app.id}/endpoint`, { url: "http://127.0.0.1:9/later", retrySchedule: ["1h"] });
});
after(() => browser?.close());

const send = (payload) => api("POST", `/api/v1/app/${app.id}/msg`, { eventType: "user.created", payload });

/** A test over a route, given a tab that is closed afterwards. */
function over(path, name, run) {
  test(name, { timeout: 60_000 }, async (t) => {
    if (!(await has(path))) return t.skip(`the server has no ${path}`);
    const { page, fine, close } = await tab(browser, { refused: PENDING });
    await run(page);
    fine(name);
    await close();
  });
}

over("/api/v1/live", "the live tail shows what happens, until it is paused", async (page) => {
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

over("/api/v1/auth/token", "a token is made, shown once, and revoked", async (page) => {
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

over("/api/v1/audit-log", "the audit log says who changed what", async (page) => {
  await openConsole(page, "/operate?tab=audit");
  await page.getByRole("row", { name: /application\.create/ }).first().waitFor();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export CSV" }).click();
  assert.equal((await saved).suggestedFilename(), "audit-log.csv");
});

over("/api/v1/operate/store", "nodes, and the store", async (page) => {
  await openConsole(page, "/operate");
  await page.getByText("(this one)").waitFor();
  await page.getByRole("tab", { name: "Storage" }).click();
  await page.getByText("Payloads are kept for").waitFor();
  await page.getByText("90 days").first().waitFor();
});

over("/api/v1/app/{app_id}/endpoint/{endpoint_id}/state", "how an endpoint is being sent to", async (page) => {
  await openConsole(page, `/app/${app.id}/endpoint/${endpoint.id}`);
  await page.getByText("Circuit breaker").waitFor();
});

over("/api/v1/app/{app_id}/msg/search", "text in payloads is found, and nothing else", async (page) => {
  const needle = await send({ id: "a Needle in a haystack" });
  await send({ id: "hay" });
  await openConsole(page, `/app/${app.id}/msg?text=needle`);
  await page.getByText(needle.id).waitFor();
  await page.getByText("All messages of this time were looked at.").waitFor();
  await page.getByText("1 found").waitFor();
  await accessible(page, "a search");
});

over("/api/v1/event-type/{event_type_name}/validate", "a payload is tried against the schema", async (page) => {
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

over("/api/v1/app/{app_id}/endpoint/{endpoint_id}/bulk-replay", "messages are counted, and sent again", async (page) => {
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
