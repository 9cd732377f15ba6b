// Chromium by remote control. Orders come in as lines of JSON and are answered in order; what happens in the
// pages goes out as it happens. `src/browser.rs` is the other end.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [executablePath, ...args] = process.argv.slice(2);
// What a page does takes milliseconds; the machine may be busy.
const UNTIL_MS = 60_000;
const POLL_MS = 20;

const print = (value) => console.log(JSON.stringify(value));

const browser = await chromium.launch({
  executablePath,
  // People have it.
  ignoreDefaultArgs: ["--disable-back-forward-cache"],
  args: [
    // Root, as in a container, has no sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    // It would look for its maker's servers, one after the other, and wait for them.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    ...args,
  ],
});
const context = await browser.newContext({ ignoreHTTPSErrors: true });
const tabs = [];
// What counts the layouts of tabs, by their numbers.
const meters = new Map();

// A tab that is alone has cookies and storage of its own, as in another browser.
async function newTab({ alone, options }) {
  const page = await (alone ? await browser.newContext({ ignoreHTTPSErrors: true, ...options }) : context).newPage();
  const tab = tabs.push(page) - 1;
  const event = (what, text, extra = {}) => print({ tab, event: what, text, ...extra });
  page.on("dialog", async (dialog) => {
    event("dialog", dialog.message());
    await dialog.accept();
  });
  page.on("console", (message) => event("console", message.text()));
  page.on("pageerror", (error) => event("error", String(error)));
  page.on("websocket", (socket) => event("websocket", socket.url()));
  return tab;
}

const orders = {
  tab: newTab,
  open: async ({ tab, url }) => {
    const response = await tabs[tab].goto(url);
    return { status: response?.status() ?? null, version: await httpVersion(tabs[tab]) };
  },
  evaluate: ({ tab, script }) => tabs[tab].evaluate(script),
  click: ({ tab, selector }) => tabs[tab].click(selector),
  choose: ({ tab, selector, file }) => tabs[tab].setInputFiles(selector, file),
  resize: ({ tab, width, height }) => tabs[tab].setViewportSize({ width, height }),
  // From now on this address answers with this file or text, whatever its server says.
  serve: async ({ tab, url, file, text }) => {
    // Such a page comes from no address, and Chromium would ask whether it may reach this machine. Older ones don't know.
    await tabs[tab].context().grantPermissions(["local-network-access"]).catch(() => {});
    const answer = file ? { path: file } : { contentType: "text/html; charset=utf-8", body: text };
    await tabs[tab].route(url, (route) => route.fulfill(answer));
  },
  press: ({ tab, selector, key }) => tabs[tab].press(selector, key),
  // Playwright's own way waits for a navigation, and a page from the cache is none.
  back: ({ tab }) => tabs[tab].evaluate("history.back()").catch(() => null),
  key: ({ tab, key }) => tabs[tab].keyboard.press(key),
  media: ({ tab, media }) => tabs[tab].emulateMedia(media),
  offline: ({ tab, offline }) => tabs[tab].context().setOffline(offline),
  // A picture of the whole page.
  picture: ({ tab, file }) => tabs[tab].screenshot({ path: file, fullPage: true }).then(() => null),
  // How often the page was laid out since this was asked for the first time.
  layouts: async ({ tab }) => {
    // A session counts from its beginning, so it stays.
    if (!meters.has(tab)) {
      meters.set(tab, await tabs[tab].context().newCDPSession(tabs[tab]));
      await meters.get(tab).send("Performance.enable");
    }
    const { metrics } = await meters.get(tab).send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "LayoutCount").value;
  },
  fill: ({ tab, selector, text }) => tabs[tab].fill(selector, text),
  // Asked again and again until it is true. Playwright's own way to do it needs a page that allows eval.
  until: async ({ tab, script }) => {
    // While one page replaces another, there is none to ask.
    const isTrue = () => tabs[tab].evaluate(script).catch((error) => {
      if (!String(error).includes("context was destroyed")) throw error;
    });
    for (const end = Date.now() + UNTIL_MS; !(await isTrue());) {
      if (Date.now() > end) throw new Error(`not true within ${UNTIL_MS} ms`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  },
  quit: () => browser.close(),
};

// "h2", "http/1.1", or "" for pages that came from elsewhere.
const httpVersion = (page) =>
  page.evaluate(() => performance.getEntriesByType("navigation")[0]?.nextHopProtocol ?? "");

print({ ready: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  try {
    print({ answer: (await orders[order.do](order)) ?? null });
  } catch (error) {
    print({ failed: String(error) });
  }
  if (order.do === "quit") process.exit(0);
}
await browser.close();
