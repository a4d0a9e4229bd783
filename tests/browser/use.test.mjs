// What operators do, by mouse and by keyboard.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, api, base, eventually, launch, openConsole, tab, token } from "./browser.mjs";
import { userCreated } from "./catalogue.mjs";

let browser;

before(async () => {
  await userCreated();
  browser = await launch();
});
after(() => browser?.close());

test("signing in, by a pasted token; out; and when a token is refused", async () => {
  const { page, fine, close } = await tab(browser);
  await page.goto(`${base}/console/app`);
  await accessible(page, "sign in");
  await page.getByLabel("Token of your organization").fill("nonsense");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("That is not a token").waitFor();
  await page.getByLabel("Token of your organization").fill(token);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Applications", exact: true }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Applications", exact: true }).waitFor();
  fine("signing in");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await close();

  const refused = await tab(browser, { refused: [/./] });
  const [head, body] = token.split(".");
  await openConsole(refused.page, "/app", `${head}.${body}.AAAA`);
  await refused.page.getByText("You were signed out").waitFor();
  await refused.close();
});

test("an application, an endpoint, its secret and its headers, a test, and the way to what came of it", { timeout: 90_000 }, async () => {
  const { page, fine, close } = await tab(browser, { refused: [/^\/api\/v1\/app$/] });
  await openConsole(page, "/app");
  await page.getByRole("button", { name: "Create application" }).first().click();
  await page.getByRole("dialog").getByLabel("Name").fill("Walked");
  await page.getByRole("dialog").getByLabel("Uid").fill("with spaces");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  // 422: the fault stands at its field.
  await page.getByRole("dialog").getByLabel("Uid").and(page.locator("[aria-invalid=true]")).waitFor();
  await page.getByRole("dialog").getByLabel("Uid").fill("walked");
  await accessible(page, "the form of an application");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { name: "Walked" }).waitFor();

  await page.getByRole("button", { name: "Add endpoint" }).click();
  await page.getByRole("dialog").getByLabel("URL").fill("http://127.0.0.1:9/walked");
  await page.getByRole("dialog").getByRole("button", { name: "More settings" }).click();
  await page.getByRole("dialog").getByLabel("Rate limit").fill("7");
  await accessible(page, "the form of an endpoint");
  await page.getByRole("dialog").getByRole("button", { name: "Add endpoint" }).click();
  await page.getByRole("heading", { name: "http://127.0.0.1:9/walked" }).waitFor();
  await page.getByText("7 requests/s").waitFor();

  await page.getByRole("button", { name: "Show" }).click();
  const secret = await page.getByText(/^whsec_/).innerText();
  await page.getByRole("button", { name: "Rotate" }).click();
  await accessible(page, "a question");
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).click();
  await page.getByText("The secret was rotated").waitFor();
  await page.getByRole("button", { name: "Show" }).click();
  assert.notEqual(await page.getByText(/^whsec_/).innerText(), secret);

  await page.getByLabel("Name of a new header").fill("x-walk");
  await page.getByLabel("Value of the new header").fill("yes");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("x-walk:").waitFor();

  await page.getByRole("button", { name: "Send test" }).click();
  await page.getByRole("dialog").getByRole("combobox", { name: "Event type" }).click();
  await page.getByRole("option", { name: "user.created" }).click();
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByRole("link", { name: "see what came of it" }).click();
  await page.getByText("connection refused").first().waitFor();

  await page.getByRole("button", { name: "Resend" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resend" }).click();
  await page.getByText("Somebody asked for this try.").first().waitFor();
  fine("an operator's day");
  await close();
});

test("an endpoint is disabled, enabled and deleted, and what failed is sent again", { timeout: 60_000 }, async () => {
  const { page, fine, close } = await tab(browser, { refused: [/\/endpoint\/ep_[^/]*$/, /\/endpoint\/ep_[^/]*\/(stats|headers)$/, /\/attempt\/endpoint\//] });
  const app = await api("POST", "/api/v1/app", { name: "Paused" });
  const endpoint = await api("POST", `/api/v1/app/${app.id}/endpoint`, { url: "http://127.0.0.1:9/paused", retrySchedule: [] });
  const message = await api("POST", `/api/v1/app/${app.id}/msg`, { eventType: "user.created", payload: { id: "usr_1" } });
  await eventually(async () => (await api("GET", `/api/v1/app/${app.id}/msg/${message.id}/endpoint`)).data[0].status === 2);
  const confirm = async (name) => {
    await page.getByRole("button", { name, exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name, exact: true }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
  };
  await openConsole(page, `/app/${app.id}/endpoint/${endpoint.id}`);
  await confirm("Disable");
  await page.getByText("Disabled", { exact: true }).waitFor();
  await confirm("Enable");
  await page.getByText("Enabled", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Send again" }).click();
  await accessible(page, "sending again");
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  await page.getByText("Done").waitFor();
  // The link to its progress can be passed on.
  await page.reload();
  await page.getByText("Done").waitFor();
  await confirm("Delete");
  await page.getByText("No endpoints yet").waitFor();
  fine("an endpoint's life");
  await close();
});

test("the keyboard alone goes anywhere", async () => {
  const { page, fine, close } = await tab(browser);
  const app = await api("POST", "/api/v1/app", { name: "Keyboard" });
  await openConsole(page, "/event-type");
  await page.getByText("user.created").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("/");
  await page.keyboard.type(app.id);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("nonsense");
  await page.keyboard.press("Enter");
  await page.getByText("Not an id").waitFor();
  await accessible(page, "a wrong id");
  fine("the keyboard");
  await close();
});
