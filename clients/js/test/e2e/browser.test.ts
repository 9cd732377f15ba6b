// Chromium with the real server: lost networks, killed servers, hidden and frozen pages.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { bundled, executable, foreign, launch, pageOf, SCRIPT, Tab } from "./browser.js";
import { Middlebox } from "./middlebox.js";
import { binary, Server, until } from "./server.js";

const skip = binary() === undefined || executable() === undefined;

let browser: Browser;
before(async () => {
  if (!skip) browser = await launch();
});
after(() => browser?.close());

/** Makes `socket`, and logs its events in `heard`. Runs in the page. */
const FOLLOW = `
  const heard = [];
  function follow(url, options) {
    const socket = new Sockeye.ReconnectingSocket(url, [], options);
    socket.onmessage = ({ data }) => heard.push("message " + data);
    socket.onstate = ({ state }) => heard.push(state.name);
    window.socket = socket;
  }`;

async function follow(server: Server, url: string, options: object = {}): Promise<Page> {
  const page = await pageOf(browser, server, SCRIPT, FOLLOW);
  await page.evaluate(`follow(${JSON.stringify(url)}, ${JSON.stringify(options)})`);
  await becomes(page, "socket.readyState === 1");
  return page;
}

const becomes = (page: Page, expression: string) =>
  until(expression, async () => (await page.evaluate(expression)) === true);

const heard = (page: Page): Promise<string[]> => page.evaluate("heard.splice(0)");

/** Returns everything that a program can observe of a WebSocket; runs in the page with either class. */
const LIFE = `async (name, url) => {
  const Socket = name === "WebSocket" ? WebSocket : Sockeye.ReconnectingSocket;
  const seen = [];
  const attempt = (what, run) => {
    try { run(); seen.push(what + ": fine"); }
    catch (error) { seen.push(what + ": " + error.name + (error instanceof DOMException ? " (DOM)" : "")); }
  };
  attempt("no address", () => new Socket());
  for (const bad of ["https//x", "ftp://x", "ws://x/#fragment", "ws://x:99999"]) attempt(bad, () => new Socket(bad).close());
  for (const bad of [["a", "a"], "a b", [""]]) attempt("protocols " + bad, () => new Socket(url, bad));
  const socket = new Socket(url);
  const look = () => [socket.readyState, socket.url, socket.protocol, socket.extensions, socket.binaryType, socket.bufferedAmount];
  const tell = (event) => seen.push([event.type, event.constructor.name, event.target === socket, event.currentTarget === socket,
    event.eventPhase, event.bubbles, event.cancelable, event.data, event.origin, event.lastEventId, event.code, event.reason,
    event.wasClean, ...look()].join("|"));
  const next = (type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
  seen.push(socket instanceof EventTarget, Socket.OPEN, socket.CLOSING, look().join("|"),
    [socket.onopen, socket.onmessage, socket.onerror, socket.onclose].join("|"), "onopen" in socket, Socket.prototype.CLOSED);
  for (const type of ["open", "message", "error", "close"]) socket["on" + type] = tell;
  await next("open");
  attempt("send nothing", () => socket.send());
  for (const code of [0, 1, 1001, 2999, 5000, 66536, "x", null, -1]) {
    attempt("close " + code, () => socket.close(code));
  }
  attempt("long reason", () => socket.close(4000, "é".repeat(62)));
  socket.binaryType = "nonsense";
  const bytes = async (data) => [data.constructor.name, ...new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data)].join();
  for (const type of ["blob", "arraybuffer"]) {
    socket.binaryType = type;
    const eight = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
    for (const data of [eight, eight.buffer, eight.subarray(2, 4), new DataView(eight.buffer, 5), new Blob(["ab"])]) {
      socket.onmessage = null;
      socket.send(data);
      seen.push(await bytes((await next("message")).data));
    }
  }
  socket.onmessage = tell;
  for (const data of ["Grüße 🐟", "", 12, null, undefined, { toString: () => "object" }, "\\ud800"]) {
    socket.send(data);
    await next("message");
  }
  socket.close(4001, "再见");
  seen.push(look().join("|"));
  attempt("send late", () => socket.send("12345"));
  seen.push(socket.bufferedAmount);
  await next("close");
  attempt("close again", () => socket.close());
  seen.push(look().join("|"));
  return seen.map(String);
}`;

test("it behaves like the browser's own WebSocket", { skip }, async () => {
  await using server = await Server.start();
  const page = await pageOf(browser, server, SCRIPT);
  const lives = ["WebSocket", "ReconnectingSocket"].map((name) =>
    page.evaluate<string[]>(`(${LIFE})("${name}", "${server.url}/echo")`),
  );
  const [theirs, ours] = await Promise.all(lives);
  assert.deepEqual(ours, theirs);
  assert.ok((theirs?.length ?? 0) > 40);
});

test("after the server was killed a page reconnects and sends what was queued", { skip }, async () => {
  await using server = await Server.start();
  const page = await follow(server, `${server.url}/echo`);
  await server.kill();
  await becomes(page, 'socket.state.name === "waiting"');
  await page.evaluate('socket.send("one"); socket.send("two")');
  await server.restart();
  await becomes(page, "heard.length > 0 && heard.at(-1) === 'message two'");
  const words = await heard(page);
  assert.deepEqual(
    words.filter((word) => word.startsWith("message")),
    ["message one", "message two"],
  );
  assert.deepEqual(words.slice(0, 2), ["open", "waiting"]);
});

test("a page is offline at once, and reconnects at once when the network is restored", { skip }, async () => {
  await using server = await Server.start();
  // Without the `online` event it would wait for up to a minute.
  const page = await follow(server, `${server.url}/echo`, { backoff: { baseMs: 60_000, maxMs: 60_000 } });
  await page.evaluate("Math.random = () => 0.9");
  await heard(page);
  await page.context().setOffline(true);
  await becomes(page, 'socket.state.name === "offline"');
  await page.evaluate('socket.send("kept")');
  await page.context().setOffline(false);
  await becomes(page, "heard.includes('message kept')");
  assert.deepEqual(await heard(page), ["offline", "waiting", "connecting", "open", "message kept"]);
});

test("a socket that is made without a network opens when there is one", { skip }, async () => {
  await using server = await Server.start();
  const page = await pageOf(browser, server, SCRIPT, FOLLOW);
  await page.context().setOffline(true);
  await page.evaluate(`follow("${server.url}/echo", {})`);
  await becomes(page, 'socket.state.name === "offline" && socket.state.failures > 0');
  await page.context().setOffline(false);
  await becomes(page, "socket.readyState === 1");
});

test("a heartbeat keeps a connection through a proxy that closes idle ones, and without it the page reconnects", {
  skip,
}, async () => {
  await using server = await Server.start();
  const idleMs = 4_000;
  using quiet = await Middlebox.start(server.port, idleMs);
  using beating = await Middlebox.start(server.port, idleMs);
  const silent = await follow(server, `${quiet.url}/echo`);
  const alive = await follow(server, `${beating.url}/echo`, {
    heartbeat: { intervalMs: 200, message: "beat", reply: "beat" },
  });
  await until("the silent one was cut twice", () => quiet.cuts >= 2 && quiet.connections >= 3);
  await becomes(silent, "socket.readyState === 1");
  assert.deepEqual((await heard(silent)).slice(0, 4), ["open", "waiting", "connecting", "open"]);
  assert.deepEqual([beating.cuts, beating.connections, await heard(alive)], [0, 1, ["open"]]);
});

/** Opens a tab, and another one that hides it. */
async function hiddenTab(server: Server, url: string, options: object) {
  const tab = await Tab.open(browser, `${server.origin}/health/live`);
  await until("the page is there", async () => (await tab.evaluate("document.contentType")) === "text/plain");
  await tab.evaluate(`${SCRIPT}; ${FOLLOW}; follow(${JSON.stringify(url)}, ${JSON.stringify(options)})`);
  const becomes = (what: string) => until(what, async () => (await tab.evaluate(what)) === true);
  await becomes("socket.readyState === 1");
  const other = await Tab.open(browser, "about:blank");
  await other.show();
  await becomes('document.visibilityState === "hidden"');
  return { tab, becomes };
}

test("a frozen page reconnects when it is resumed", { skip }, async () => {
  await using server = await Server.start();
  using middlebox = await Middlebox.start(server.port, 60_000);
  const heartbeat = { intervalMs: 300, timeoutMs: 3_000, message: "beat", reply: "beat" };
  const { tab, becomes } = await hiddenTab(server, `${middlebox.url}/echo`, { heartbeat });
  await tab.evaluate(`window.plain = new WebSocket(${JSON.stringify(`${server.url}/echo`)})`);
  await becomes("plain.readyState === 1");
  await tab.freeze();
  middlebox.swallow();
  await tab.wake();
  await becomes("heard.filter((word) => word === 'open').length === 2");
  assert.ok(middlebox.connections >= 2);
  // Older releases of Chromium keep the WebSockets of a frozen page, newer ones close them.
  const cause = await tab.evaluate("socket.state.ended.cause");
  if (cause === "lost") await becomes("plain.readyState === 3");
  else assert.deepEqual([cause, await tab.evaluate("plain.readyState")], ["heartbeat", 1]);
});

test("a page that becomes visible doesn't wait for the next attempt", { skip }, async () => {
  await using server = await Server.start();
  const { tab, becomes } = await hiddenTab(server, `${server.url}/echo`, { backoff: { baseMs: 100, maxMs: 600_000 } });
  await tab.evaluate("Math.random = () => 0");
  await server.kill();
  await becomes("socket.state.failures >= 9");
  await tab.evaluate("Math.random = () => 0.99");
  await becomes('socket.state.name === "waiting" && socket.state.retryIn > 30_000');
  await tab.evaluate("window.plannedAt = Date.now() + socket.state.retryIn");
  await server.restart();
  await tab.show();
  await becomes("socket.readyState === 1");
  assert.ok(await tab.evaluate("Date.now() < plannedAt"));
});

test("it works in a worker", { skip }, async () => {
  await using server = await Server.start();
  const page = await pageOf(browser, server, SCRIPT);
  const worker = `${SCRIPT}; const socket = new Sockeye.ReconnectingSocket("${server.url}/echo");
    socket.onmessage = ({ data }) => postMessage(data);
    socket.send("from a worker");`;
  const answer = await page.evaluate((source) => {
    const url = URL.createObjectURL(new Blob([source]));
    return new Promise((resolve) => {
      new Worker(url).onmessage = ({ data }) => resolve(data);
    });
  }, worker);
  assert.equal(answer, "from a worker");
});

// ---- Other libraries ----

const OTHER_LIBRARIES = {
  "reconnecting-websocket": foreign("reconnecting-websocket/dist/reconnecting-websocket-iife.min.js"),
  partysocket: bundled('import WebSocket from "partysocket/ws"; globalThis.ReconnectingWebSocket = WebSocket;'),
};
for (const [name, script] of Object.entries(OTHER_LIBRARIES)) {
  test(`a page with npm ${name} reconnects to our server after it was killed`, { skip }, async () => {
    await using server = await Server.start();
    const page = await pageOf(browser, server, script);
    await page.evaluate(`
      window.heard = [];
      window.socket = new ReconnectingWebSocket("${server.url}/echo");
      socket.onmessage = ({ data }) => heard.push(data);
      socket.onopen = () => socket.send("hello");`);
    await becomes(page, "heard.length === 1");
    await server.kill();
    await becomes(page, "socket.readyState !== 1");
    await server.restart();
    await becomes(page, "heard.length === 2");
  });
}

for (const check of ["xhr", "image"]) {
  test(`Offline.js detects a killed and restarted server, by ${check}`, { skip }, async () => {
    await using server = await Server.start();
    const page = await pageOf(
      browser,
      server,
      `window.Offline = { options: { checks: { active: "${check}" }, reconnect: { initialDelay: 1 } } };`,
      foreign("offline-js/offline.min.js"),
      'window.heard = []; for (const name of ["up", "down"]) Offline.on(name, () => heard.push(name));',
    );
    /** Runs a check, as its users do, and waits for the result. */
    const ask = (answer: string) =>
      page.evaluate(`new Promise((resolve) => {
        Offline.on("confirmed-${answer}", resolve);
        Offline.check();
      }).then(() => Offline.state)`);
    assert.equal(await ask("up"), "up");
    await server.kill();
    assert.equal(await ask("down"), "down");
    await server.restart();
    // It checks again by itself.
    await becomes(page, 'Offline.state === "up"');
    assert.deepEqual(await page.evaluate("heard"), ["down", "up"]);
  });
}

test("Offline.js on a page of another origin can check our server", { skip }, async () => {
  await using server = await Server.start();
  await using elsewhere = await Server.start();
  const page = await pageOf(
    browser,
    elsewhere,
    `window.Offline = { options: { checks: { xhr: { url: "${server.origin}/favicon.ico" } } } };`,
    foreign("offline-js/offline.min.js"),
  );
  const answered = page.evaluate(
    'new Promise((resolve) => { Offline.on("confirmed-up", resolve); Offline.check(); }).then(() => "up")',
  );
  assert.equal(await answered, "up");
});
