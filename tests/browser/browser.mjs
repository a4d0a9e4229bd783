// Chromium, and what every page of it is held to: no errors, nothing that the policy forbids, no serious
// accessibility problem.
import AxeBuilder from "@axe-core/playwright";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

const ARGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export const { HOOKWRIGHT_TEST_URL: base, HOOKWRIGHT_TEST_TOKEN: token } = process.env;
assert(base && token, "HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN must be set");

/** A fresh Chromium, from the PATH. */
export function launch() {
  const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  return chromium.launch({ executablePath, args: ARGS });
}

/** A tab that notes everything that is wrong. `refused` are answers that the walk asks for itself. */
export async function tab(browser, { scheme = "light", phone = false, refused = [] } = {}) {
  const viewport = phone ? { width: 390, height: 844 } : { width: 1280, height: 900 };
  const context = await browser.newContext({ viewport, colorScheme: scheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const wrong = [];
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => wrong.push(`exception: ${error.message}`));
  page.on("dialog", (dialog) => { wrong.push(`dialog: ${dialog.message()}`); void dialog.dismiss(); });
  page.on("console", (message) => {
    // Answers are looked at below, where it is known what was asked.
    const known = message.text().startsWith("Failed to load resource: the server responded");
    if (message.type() === "error" && !known) wrong.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== base && !["data:", "blob:"].includes(url.protocol)) wrong.push(`outside: ${url}`);
  });
  page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    const expected = refused.some((pattern) => pattern.test(pathname));
    if (response.status() >= 400 && !expected) wrong.push(`HTTP ${response.status()} ${pathname}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return {
    page,
    /** Fails if anything was wrong so far. */
    fine(where) {
      assert.deepEqual(wrong.splice(0), [], where);
    },
    close: () => context.close(),
  };
}

/** Fails on serious and critical problems for people who use a keyboard or a reader. */
export async function accessible(page, where) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const shown = serious.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map(({ html, any }) => `${html}  ${any[0]?.message ?? ""}`).slice(0, 4).join("\n  ")}`);
  assert.deepEqual(shown, [], where);
}

/** Until no list is loading any more. */
export async function loaded(page) {
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
}

/** Opens the console signed in, at a path of it. */
export async function openConsole(page, path = "/", bearer = token) {
  await page.goto(`${base}/console${path}#token=${bearer}`);
}

/** A call of the API; what it answers. */
export async function api(method, path, body, bearer = token) {
  const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" };
  const response = await fetch(base + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  assert(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Until `read` gives something. The server's own work is waited for, not the browser's. */
export async function eventually(read) {
  const until = Date.now() + 20_000;
  for (;;) {
    const value = await read();
    if (value) return value;
    if (Date.now() > until) throw new Error(`not within 20 s: ${read}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
