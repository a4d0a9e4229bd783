// The portal, as a customer has it: in a product's page, with the rights and the looks that the product gave it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, api, base, launch, loaded, tab } from "./browser.mjs";
import { userCreated } from "./catalogue.mjs";
import { product } from "./embed.mjs";

const PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/** The only one whose pages may embed the portal, by the server's settings. */
const PORT = Number(process.env.HOOKWRIGHT_TEST_PRODUCT_PORT);

let browser, app, stranger, endpoint, message;

before(async () => {
  await userCreated();
  browser = await launch();
  app = await api("POST", "/api/v1/app", { name: "Portal", uid: "portal" });
  stranger = await api("POST", "/api/v1/app", { name: "Stranger", uid: "stranger" });
  endpoint = await api("POST", `/api/v1/app/${app.id}/endpoint`, { url: "http://127.0.0.1:9/nobody", description: "nobody listens" });
  message = await api("POST", `/api/v1/app/${app.id}/msg`, { eventType: "user.created", payload: { id: "usr_1" } });
});

after(() => browser?.close());

const access = (body) => api("POST", `/api/v1/auth/app-portal-access/${app.id}`, body);

for (const scheme of ["light", "dark"]) {
  test(`its pages, ${scheme}`, { timeout: 120_000 }, async () => {
    const { page, fine, close } = await tab(browser);
    const { url } = await access({});
    const pages = [
      ["", "nobody listens"], [`/app/${app.id}/endpoint/${endpoint.id}`, "Signing secret"], [`/app/${app.id}/msg`, message.id],
      [`/app/${app.id}/msg/${message.id}`, "usr_1"], ["/live", "Live tail"], ["/event-type", "Somebody signed up"], [`/app/${app.id}/activity`, "Activity"],
    ];
    for (const [path, text] of pages) {
      await page.goto("about:blank");
      await page.goto(url.replace("/portal#", `/portal${path}?darkMode=${scheme === "dark"}#`));
      await page.getByText(text).first().waitFor();
      await loaded(page);
      assert.equal(await page.locator("html").getAttribute("data-mantine-color-scheme"), scheme);
      assert(!page.url().includes("key="), page.url());
      await accessible(page, `portal ${path}, ${scheme}`);
      fine(`portal ${path}, ${scheme}`);
    }
    const kept = await page.evaluate(() => JSON.stringify([sessionStorage, localStorage, document.cookie]));
    assert(!kept.includes("eyJ"), `a portal's token is in memory only: ${kept}`);
    await close();
  });
}

test("what the token does not allow is not offered", async () => {
  const { page, fine, close } = await tab(browser);
  const { url } = await access({ capabilities: ["ViewBase"] });
  await page.goto(url);
  await page.getByRole("link", { name: endpoint.url }).click();
  await page.getByText("Settings").waitFor();
  for (const name of ["Alerts", "Usage", "Operate", "Overview"]) assert.equal(await page.getByRole("link", { name }).count(), 0, name);
  for (const name of ["Edit", "Delete", "Disable", "Send test", "Send again", "Rotate", "Show"]) {
    assert.equal(await page.getByRole("button", { name, exact: true }).count(), 0, name);
  }
  await page.getByRole("link", { name: "Messages" }).click();
  // The endpoint's page, which has such links too, is gone.
  await page.getByRole("heading", { name: "Messages" }).waitFor();
  await page.getByRole("link", { name: "user.created" }).click();
  await page.getByText("usr_1").waitFor();
  assert.equal(await page.getByRole("button", { name: "Resend" }).count(), 0);
  await page.getByRole("button", { name: "No answer" }).first().click();
  await page.locator("pre[aria-label='Request headers']").getByText(`webhook-id: ${message.id}`).waitFor();
  fine("read only");
  await close();
});

test("a customer manages an endpoint, and sees nothing of others", async () => {
  const { page, close } = await tab(browser);
  const { url } = await access({});
  await page.goto(url);
  await page.getByRole("button", { name: "Add endpoint" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("URL").fill("http://127.0.0.1:9/mine");
  await dialog.getByRole("combobox", { name: "Event types" }).fill("user.created");
  await dialog.getByRole("combobox", { name: "Event types" }).press("Enter");
  await dialog.getByRole("button", { name: "Add endpoint" }).click();
  await page.getByRole("heading", { name: "http://127.0.0.1:9/mine" }).waitFor();
  await page.getByRole("button", { name: "Show" }).click();
  await page.getByText(/^whsec_/).waitFor();
  // Links of somebody else, opened within the session.
  const open = (path) => page.evaluate((path) => { history.pushState(null, "", path); dispatchEvent(new PopStateEvent("popstate")); }, `/portal${path}`);
  for (const path of ["/alerts", "/alerts/alert_1", "/usage"]) {
    await open(path);
    await page.waitForURL(`**/portal/app/${app.id}`);
  }
  await open(`/app/${stranger.id}`);
  await page.getByText("Not here").first().waitFor();
  await close();
});

test("it ends when its token does", async () => {
  const { page, close } = await tab(browser, { refused: [/./] });
  const { url } = await access({ sessionId: "s1" });
  await page.goto(url);
  await page.getByText("nobody listens").waitFor();
  await api("POST", `/api/v1/auth/app/${app.id}/expire-all`, { sessionIds: ["s1"] });
  await page.getByRole("link", { name: "Messages" }).first().click();
  await page.getByText("Your session has ended").waitFor();
  await close();
});

test("Svix's AppPortal shows it, unmodified, where the settings allow it", async () => {
  const { url } = await access({});
  const props = { url, darkMode: true, primaryColor: "#b91c1c", fontFamily: "serif", icon: PIXEL, fullSize: true };
  const allowed = await product(PORT, props);
  const page = await (await browser.newContext()).newPage();
  await page.goto(allowed.origin);
  const frame = page.frameLocator("iframe");
  await frame.getByText("nobody listens").waitFor();
  const portal = page.frames().find((each) => each.url().startsWith(base));
  const look = await portal.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    return {
      scheme: document.documentElement.dataset.mantineColorScheme,
      color: style.getPropertyValue("--mantine-color-brand-6"),
      font: getComputedStyle(document.body).fontFamily,
      icon: document.querySelector("img")?.src,
    };
  });
  assert.deepEqual([look.scheme, look.color, look.icon], ["dark", "#b91c1c", PIXEL]);
  assert.match(look.font, /Georgia/);
  // It says how high it is, and the component follows.
  await page.waitForFunction(() => parseInt(document.querySelector("iframe").style.height, 10) > 100);
  allowed.close();

  const forbidden = await product(0, props);
  const other = await (await browser.newContext()).newPage();
  const refused = other.waitForEvent("console", (message) => message.text().includes("frame-ancestors"));
  await other.goto(forbidden.origin);
  await refused;
  forbidden.close();
});
