// Every page, light and dark, wide and on a phone: it shows what it is for, breaks nothing, and can be used by
// everybody. HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN say which server; it is expected to be fresh.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessible, api, launch, loaded, openConsole, tab, token } from "./browser.mjs";
import { arrived, build, close, EXACT, HOSTILE, NAME, shown } from "./world.mjs";

/** Most that the first page may cost over the wire. */
const MOST_BYTES = 350_000;

let browser, world;

before(async () => {
  world = await build();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  close();
});

/** A path for each page, and a text that it shows once it has what it is for. */
function pages({ app, good, bad, message, source, alert }) {
  return [
    ["/", "Busiest applications"],
    ["/app", "Other"],
    [`/app/${app.id}`, "takes everything"],
    [`/app/${app.id}/activity`, "Activity"],
    [`/app/${app.id}/endpoint/${good.id}`, "Signing secret"],
    [`/app/${app.id}/endpoint/${bad.id}`, "500"],
    [`/app/${app.id}/msg`, message.id],
    [`/app/${app.id}/msg?type=user.created`, "user.created"],
    [`/app/${app.id}/msg?text=alert`, "Messages"],
    [`/app/${app.id}/msg/${message.id}`, "it failed while it handled the request"],
    ["/live", "Live tail"],
    ["/event-type", "Somebody signed up"],
    ["/event-type/user.created", "Try a payload"],
    ["/source", "GitHub"],
    [`/source/${source.id}`, "no signature matches"],
    ["/alerts", "Something fails"],
    ["/alerts?tab=rules", "Something fails"],
    [`/alerts/${alert.id}`, "What was found"],
    ["/usage", "Other"],
    ["/operate", "Nodes"],
    ["/operate?tab=storage", "Storage"],
    ["/operate?tab=tokens", "Tokens"],
    ["/operate?tab=audit", "Audit log"],
    ["/operate?tab=settings", "Payloads are kept for"],
    ["/no-such-page", "There is no such page."],
  ];
}

for (const look of [{ scheme: "light" }, { scheme: "dark" }, { scheme: "light", phone: true }]) {
  const name = `${look.scheme}${look.phone ? ", on a phone" : ""}`;
  test(`every page, ${name}`, { timeout: 240_000 }, async () => {
    const { page, fine, close } = await tab(browser, look);
    for (const [path, text] of pages(world)) {
      await openConsole(page, path);
      await page.locator("#main").getByText(text).first().waitFor();
      await loaded(page);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert(wide <= 0, `${path} is ${wide} pixels wider than the screen`);
      await accessible(page, `${path}, ${name}`);
      fine(`${path}, ${name}`);
    }
    await close();
  });
}

test("the first page is small, and its token leaves the address", async () => {
  const { page, close } = await tab(browser);
  const network = await page.context().newCDPSession(page);
  await network.send("Network.enable");
  const assets = new Set();
  let bytes = 0;
  network.on("Network.responseReceived", ({ requestId, response }) => {
    if (!response.url.includes("/api/")) assets.add(requestId);
  });
  network.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (assets.has(requestId)) bytes += encodedDataLength;
  });
  await openConsole(page);
  await page.getByText("Busiest applications").waitFor();
  await page.waitForLoadState("networkidle");
  console.log(`# the first page took ${bytes} bytes`);
  assert(bytes > 50_000 && bytes < MOST_BYTES, `${bytes}`);
  assert(!page.url().includes("#") && !page.url().includes(token));
  await close();
});

test("what others sent is text, to the letter", async () => {
  const { page, fine, close } = await tab(browser);
  const { app, bad, message, exact, source, alert } = world;
  const shows = (text) => page.locator("#main").getByText(text, { exact: false }).first().waitFor();
  await openConsole(page, `/app/${app.id}/msg/${message.id}`);
  await page.locator("pre[aria-label=Payload]").getByText(shown(JSON.stringify(HOSTILE))).waitFor();
  // The answer of the endpoint that fails.
  await page.getByRole("button", { name: "500" }).first().click();
  await page.locator("pre[aria-label=Response]").getByText(shown(HOSTILE)).waitFor();
  await openConsole(page, `/app/${app.id}/endpoint/${bad.id}`);
  await shows(shown(NAME));
  await openConsole(page, "/app");
  await shows(`Acme ${shown(NAME)}`);
  await openConsole(page, "/event-type");
  await shows(shown(NAME));
  for (const path of ["/alerts", "/alerts?tab=rules", `/alerts/${alert.id}`]) {
    await openConsole(page, path);
    await shows(`Something fails ${shown(NAME)}`);
  }
  await openConsole(page, `/source/${source.id}`);
  await page.getByRole("button", { name: "Examine" }).click();
  await page.getByRole("dialog").locator("pre[aria-label=Body]").getByText("alert(1)").waitFor();
  await accessible(page, "a rejected request");
  // Numbers keep their digits, and members their order.
  await openConsole(page, `/app/${app.id}/msg/${exact.id}`);
  const text = await page.locator("pre[aria-label=Payload]").innerText();
  assert.equal(text.replace(/\s+/g, ""), EXACT.replaceAll(" ", ""));
  assert.match(text, /\n {2}"a": \{\n {4}"payload": \[\]\n {2}\},\n/);
  // Much of it does not hold the page up: the rest is shown when it is asked for.
  const large = { eventType: "user.created", payload: { id: "x".repeat(200_000), last: "the end" } };
  const big = await api("POST", `/api/v1/app/${app.id}/msg`, large);
  await openConsole(page, `/app/${app.id}/msg/${big.id}`);
  await page.getByText("The first 64 KiB of 195.3 KiB").waitFor();
  assert((await page.locator("pre[aria-label=Payload]").innerText()).length <= 64 * 1024);
  await page.getByRole("button", { name: "Show all" }).click();
  await page.locator("pre[aria-label=Payload]").getByText("the end").waitFor();
  fine("hostile texts");
  await close();
});

test("the request of an attempt is shown as its receiver got it", { timeout: 120_000 }, async () => {
  const { app, good, exact } = world;
  const headersOf = async (page) => {
    const lines = (await page.locator("pre[aria-label='Request headers']").innerText()).trim().split("\n");
    return Object.fromEntries(lines.map((line) => line.split(/: (.*)/s, 2)));
  };
  // What the endpoint has by now is not what it was sent with.
  await api("PATCH", `/api/v1/app/${app.id}/endpoint/${good.id}/headers`, { headers: { "x-later": "yes", authorization: "hush" } });
  for (const look of [{ scheme: "light" }, { scheme: "dark" }, { scheme: "light", phone: true }]) {
    const { page, fine, close } = await tab(browser, look);
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await openConsole(page, `/app/${app.id}/msg/${exact.id}`);
    const attempt = page.getByRole("button", { name: "200" }).first();
    await attempt.waitFor();
    assert.equal(asked.filter((url) => url.endsWith("/headers")).length, 0, "it is loaded when it is opened");
    await attempt.focus();
    await page.keyboard.press("Enter");
    await page.locator("pre[aria-label='Request headers']").waitFor();
    const got = arrived.find(({ headers, body }) => headers["webhook-id"] === exact.id && body === EXACT && headers.host);
    const told = await headersOf(page);
    assert.match(told["webhook-signature"], /^v1,/);
    assert(arrived.some(({ headers }) => headers["webhook-signature"] === told["webhook-signature"]), "the very signature");
    for (const name of ["host", "content-length", "content-type", "user-agent", "webhook-id"]) assert.equal(told[name], got.headers[name], name);
    assert.equal(told["x-later"] ?? told.authorization, undefined);
    assert.equal(await page.locator("pre[aria-label='Request body']").innerText(), EXACT);
    await page.getByRole("button", { name: "Copy request body" }).waitFor();
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert(wide <= 0, `${wide} pixels wider than the screen`);
    await accessible(page, "the request of an attempt");
    fine("the request of an attempt");
    await close();
  }

  // What is secret is not shown, and what cannot be told is not made up.
  const { page, fine, close } = await tab(browser);
  const later = await api("POST", `/api/v1/app/${app.id}/msg`, { eventType: "user.created", payload: { id: "usr_later" } });
  await openConsole(page, `/app/${app.id}/msg/${later.id}`);
  await page.getByRole("button", { name: "200" }).first().click();
  await page.locator("pre[aria-label='Request headers']").getByText("authorization: ••••••").waitFor();
  assert.equal((await headersOf(page))["x-later"], "yes");
  await api("DELETE", `/api/v1/app/${app.id}/msg/${later.id}/content`);
  await page.reload();
  await page.getByRole("button", { name: "200" }).first().click();
  await page.getByText("it has expired, was deleted").waitFor();
  assert.equal((await headersOf(page))["webhook-signature"], undefined);
  assert.equal(await page.locator("pre[aria-label='Request body']").count(), 0);
  fine("what is not known");
  await close();
});
