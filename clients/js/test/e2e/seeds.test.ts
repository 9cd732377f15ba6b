// Pages that were written for WebSocket, with ReconnectingSocket in its place, while the server is killed and restarted.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { executable, launch, pageOf, SCRIPT } from "./browser.js";
import { binary, Server, until } from "./server.js";

const skip = binary() === undefined || executable() === undefined;

/** Returns the script of a page with `new ReconnectingSocket` for `new WebSocket`, and nothing else changed. */
function seed(name: string): string {
  const text = readFileSync(join(import.meta.dirname, "../../../../crates/checks/tests/seeds", name), "utf8");
  const changed = text.replaceAll("new WebSocket(", "new ReconnectingSocket(");
  assert.notEqual(changed, text);
  return changed;
}

const NAMED = `${SCRIPT}; var ReconnectingSocket = Sockeye.ReconnectingSocket;`;

/** Opens such a page. The addresses in its code are mapped to our server. */
async function open(server: Server, ...scripts: string[]) {
  const rules = ["localhost:9998", "localhost:8080", "localhost:9605", "127.0.0.1:80"];
  const mapped = rules.map((from) => `MAP ${from} 127.0.0.1:${server.port}`).join(", ");
  const browser = await launch(`--host-resolver-rules=${mapped}`);
  const page = await pageOf(browser, server, NAMED, ...scripts);
  const said: string[] = [];
  page.on("dialog", async (dialog) => {
    said.push(dialog.message());
    await dialog.accept();
  });
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(`uncaught ${error}`));
  const count = (text: string) => said.filter((line) => line.includes(text)).length;
  return { browser, page, said, count, [Symbol.asyncDispose]: () => browser.close() };
}

/** Kills the server, and restarts it once the page has noticed. */
async function killAndRestart(server: Server, noticed: () => boolean | Promise<boolean>): Promise<void> {
  await server.kill();
  await until("the page says that the connection is closed", noticed);
  await server.restart();
}

const run = (page: Page, script: string) => page.addScriptTag({ content: script });

test("the page with alerts shows them again after a restart", { skip }, async () => {
  await using server = await Server.start();
  await using site = await open(server);
  await run(site.page, seed("alert.js"));
  await until("the echo", () => site.count("数据已接收...") === 1);
  await killAndRestart(server, () => site.count("连接已关闭...") > 0);
  await until("the echo again", () => site.count("数据已接收...") === 2);
  assert.equal(site.count("数据发送中..."), 2);
  assert.equal(site.count("uncaught"), 0, site.said.join("\n"));
});

test("the page of the broadcast room goes on, with the queued message", { skip }, async () => {
  await using server = await Server.start();
  // The file has markup up to the end of the two buttons, then a script.
  const [buttons = "", script = ""] = seed("broadcast.txt").split("</div>\n");
  await using site = await open(server);
  const { page } = site;
  await page.evaluate((html) => {
    document.body.insertAdjacentHTML("beforeend", html);
  }, `<div id="body"></div><input id="content">${buttons}</div>`);
  await run(page, script);
  const shows = (text: string) => async () => (await page.innerHTML("#body")).includes(text);
  await page.fill("#content", "大家好");
  await page.click("input[value=发送]");
  await until("the room's answer", shows("对方：大家好"));
  await killAndRestart(server, shows("系统：已和服务器断开连接！！！"));
  await page.fill("#content", "还在吗");
  await page.click("input[value=发送]");
  await until("the room's answer again", shows("对方：还在吗"));
});

test("the page with a link sends again after each reconnect", { skip }, async () => {
  await using server = await Server.start();
  await using site = await open(server);
  const [, script = ""] = /<script[^>]*>([\s\S]*)<\/script>/.exec(seed("click.html")) ?? [];
  await run(site.page, script);
  await site.page.evaluate("WebSocketTest()");
  // The echo arrives; the page's handler has a typo and throws.
  await until("the echo", () => site.count("evt is not defined") === 1);
  await killAndRestart(server, () => site.count("连接已关闭...") > 0);
  await until("the echo again", () => site.count("evt is not defined") === 2);
});

test("the page that logs to the console logs each connection", { skip }, async () => {
  await using server = await Server.start();
  await using site = await open(server);
  await run(site.page, seed("console.js"));
  await until("the echo", () => site.count("hello") === 1);
  await killAndRestart(server, () => site.count("close") > 0);
  await until("the echo again", () => site.count("hello") === 2);
  assert.equal(site.count("open"), 2);
});
