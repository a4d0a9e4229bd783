// Rules of alerts, made, tested and taken away by hand; and what fired.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { accessible, api, eventually, launch, openConsole, tab } from "./browser.mjs";

let browser, server, notices;

before(async () => {
  browser = await launch();
  notices = [];
  server = createServer(async (request, response) => {
    notices.push(JSON.parse(Buffer.concat(await request.toArray())));
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(async () => {
  await browser?.close();
  server.close();
});

const rules = async () => (await api("GET", "/api/v1/alert/rule")).data;
const select = (page, label, option) => page.getByRole("dialog").getByLabel(label, { exact: true }).selectOption({ label: option });

test("a rule is made, changed, tested, disabled and deleted by hand", { timeout: 90_000 }, async () => {
  const { page, fine, close } = await tab(browser, { refused: [/^\/api\/v1\/alert\/rule$/] });
  const dialog = page.getByRole("dialog");
  await openConsole(page, "/");
  await page.getByRole("link", { name: /^Alerts/ }).first().click();
  await page.getByRole("tab", { name: "Rules" }).click();
  await page.getByRole("button", { name: "Create rule" }).click();
  await select(page, "Tell me when", "Too few attempts succeed");
  await dialog.getByLabel("Success rate below").fill("0");
  await select(page, "Watched for", "Each endpoint");
  await dialog.getByLabel("Name").fill("By hand");
  await dialog.getByRole("button", { name: "Add channel" }).click();
  await page.getByRole("menuitem", { name: "A URL of yours" }).click();
  await dialog.getByRole("textbox", { name: "A URL of yours" }).fill(`http://127.0.0.1:${server.address().port}/hush-hush`);
  await dialog.getByRole("button", { name: "Add channel" }).click();
  await page.getByRole("menuitem", { name: "E-mail" }).click();
  await dialog.getByRole("textbox", { name: "E-mail" }).fill("ops@example.com");
  await accessible(page, "the form of a rule");
  await dialog.getByRole("button", { name: "Create" }).click();
  // 422: faults stand at their fields.
  await dialog.getByText("this server sends no e-mail").waitFor();
  await dialog.getByRole("button", { name: "Remove E-mail" }).click();
  await dialog.getByRole("button", { name: "Create" }).click();
  await dialog.getByLabel("Success rate below").and(page.locator("[aria-invalid=true]")).waitFor();
  await dialog.getByLabel("Success rate below").fill("90");
  await dialog.getByRole("button", { name: "Create" }).click();
  const row = page.getByRole("row", { name: /By hand/ });
  await row.getByText("Less than 90 % of attempts succeed in 5 min, for each endpoint").waitFor();
  await row.getByText("A URL of yours: 127.0.0.1").waitFor();
  await dialog.waitFor({ state: "detached" });
  assert(!(await page.content()).includes("hush-hush"));

  await row.getByRole("button", { name: "Send test notice" }).click();
  await dialog.getByText("Operational webhook", { exact: true }).waitFor();
  assert.equal(await dialog.getByText("Sent", { exact: true }).count(), 2);
  await accessible(page, "a test notice");
  await dialog.getByRole("button", { name: "Close" }).click();
  assert.deepEqual(notices.map(({ type, data }) => [type, data.test]), [["alert.fired", true]]);

  // The URL is kept by who does not paste another.
  await row.getByRole("button", { name: "Edit" }).click();
  await dialog.getByLabel("Success rate below").fill("80");
  await dialog.getByRole("button", { name: "Save" }).click();
  await row.getByText("Less than 80 %").waitFor();
  // One before it goes: it is asked for again, because the server keeps URLs by their places.
  await row.getByRole("button", { name: "Edit" }).click();
  await dialog.getByRole("button", { name: "Remove Operational webhook" }).click();
  await dialog.getByText("Paste the one at 127.0.0.1 again").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();

  await row.getByRole("button", { name: "Disable" }).click();
  await dialog.getByRole("button", { name: "Disable" }).click();
  await row.getByText("Off", { exact: true }).waitFor();
  await row.getByRole("button", { name: "Enable" }).click();
  await row.getByText("On", { exact: true }).waitFor();
  const [rule] = (await rules()).filter(({ name }) => name === "By hand");
  assert.deepEqual(rule.channels.map(({ type, host }) => [type, host ?? null]), [["operational", null], ["webhook", "127.0.0.1"]]);
  await row.getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await row.waitFor({ state: "detached" });
  assert.equal((await rules()).filter(({ name }) => name === "By hand").length, 0);
  fine("a rule's life");
  await close();
});

test("an open alert is seen on every page, and its notice's link leads to it", { timeout: 90_000 }, async () => {
  // Whether it is about a source is asked of the server; and there is no alert with a rule's id.
  const { page, fine, close } = await tab(browser, { refused: [/\/ingest\/api\/v1\/source\//, /\/api\/v1\/alert\/alert_/] });
  const app = await api("POST", "/api/v1/app", { name: "Silent" });
  const made = await api("POST", "/api/v1/alert/rule", { name: "Too quiet", condition: { type: "nothing_received", appId: app.id, windowSecs: 1 } });
  const alert = await eventually(async () => (await api("GET", "/api/v1/alert?open=true")).data.find(({ ruleId }) => ruleId === made.id));
  await openConsole(page, "/");
  await page.getByRole("navigation", { name: "Main" }).getByRole("link", { name: /Alerts \d+ open/ }).waitFor();
  await page.getByRole("link", { name: /(is|are) open$/ }).click();
  await page.getByRole("table", { name: "Open alerts" }).getByRole("link", { name: "Too quiet" }).click();
  await page.waitForURL(`**/console/alerts/${alert.id}`);
  await page.getByText(alert.text).waitFor();
  await page.getByRole("link", { name: app.id }).waitFor();
  await openConsole(page, `/alerts/${made.id.replace("arule_", "alert_")}`);
  await page.getByText("Not here").waitFor();
  fine("an alert");
  await api("DELETE", `/api/v1/alert/rule/${made.id}`);
  await close();
});
