// Pictures of the console as `hookwright dev` shows it: node screenshots.mjs <link> <directory>
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

const [link, directory] = process.argv.slice(2);
const { origin, hash } = new URL(link);
const token = hash.slice("#token=".length);
/** Until so much of the sample traffic is there. */
const MESSAGES = 60;
const PATIENCE_MS = 180_000;

async function api(path) {
  const response = await fetch(`${origin}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return (await response.json()).data;
}

async function eventually(read) {
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; ) {
    const value = await read().catch(() => undefined);
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error("the sample traffic did not come");
}

await eventually(async () => (await api("/app/globex/msg?limit=250&with_content=false")).length >= MESSAGES);
// One that was delivered at a later try tells most.
const retried = await eventually(async () => {
  const attempts = await api("/app/initech/attempt/endpoint/flaky?limit=100");
  return attempts.find(({ status, msgId }) => status === 0 && attempts.some((other) => other.msgId === msgId && other.status !== 0));
});
const [app] = (await api("/app?limit=50")).filter(({ uid }) => uid === "initech");

const pages = {
  overview: ["/?range=1h", "Busiest applications"],
  endpoint: [`/app/${app.id}/endpoint/${retried.endpointId}`, "Signing secret"],
  message: [`/app/${app.id}/msg/${retried.msgId}`, "it failed while it handled the request"],
};
mkdirSync(directory, { recursive: true });
const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu", "--disable-quic"] });
for (const colorScheme of ["light", "dark"]) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(link);
  for (const [name, [path, text]] of Object.entries(pages)) {
    await page.goto(`${origin}/console${path}`);
    await page.getByText(text).first().waitFor();
    await page.waitForFunction(() => !document.querySelector("[aria-busy=true]"));
    await page.screenshot({ path: join(directory, `${name}-${colorScheme}.png`), animations: "disabled" });
  }
  await context.close();
}
await browser.close();
