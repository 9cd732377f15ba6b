// Chromium with pages whose origin is the server that they connect to.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { buildSync } from "esbuild";
import { type Browser, type CDPSession, chromium, type Page } from "playwright-core";
import { missing, type Server } from "./server.js";

const require = createRequire(import.meta.url);

/** Debian's name first; the rest are what other systems call it. */
const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

export function executable(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const paths = folders.flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return paths.find((path) => existsSync(path)) ?? missing("Chromium", "make chromium");
}

export function launch(...args: string[]): Promise<Browser> {
  return chromium.launch({
    executablePath: executable() ?? "",
    // Root, as in a container, can't use the sandbox. Background networking would contact its vendor.
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", ...args],
  });
}

/** The published script. */
export const SCRIPT = readFileSync(join(import.meta.dirname, "../../dist/sockeye.min.js"), "utf8");

/** A script of an npm package, or a bundle of a module that has none. */
export function foreign(path: string): string {
  return readFileSync(require.resolve(path), "utf8");
}

export function bundled(contents: string): string {
  const [bundle] = buildSync({
    stdin: { contents, resolveDir: import.meta.dirname },
    bundle: true,
    format: "iife",
    write: false,
  }).outputFiles;
  return bundle?.text ?? "";
}

/** Opens a page at the server's address, and adds these scripts. */
export async function pageOf(browser: Browser, server: Server, ...scripts: string[]): Promise<Page> {
  const page = await browser.newPage();
  // A document of the server itself, or Chromium would not let it connect to a local address.
  await page.goto(`${server.origin}/health/live`);
  const tags = scripts.map((script) => `<script>${script.replaceAll("</script", "<\\/script")}</script>`);
  await page.setContent(`<!doctype html><title>test</title><body>${tags.join("\n")}</body>`);
  return page;
}

/** A tab that can be hidden. Playwright's own pages always report that they are visible. */
export class Tab {
  readonly #session: CDPSession;
  readonly #target: string;
  readonly #id: string;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #last = 0;

  private constructor(session: CDPSession, target: string, id: string) {
    this.#session = session;
    this.#target = target;
    this.#id = id;
    session.on("Target.receivedMessageFromTarget", ({ sessionId, message }) => {
      const answer = JSON.parse(message);
      if (sessionId === id) this.#answers.get(answer.id)?.(answer);
    });
  }

  static async open(browser: Browser, url: string): Promise<Tab> {
    const session = await browser.newBrowserCDPSession();
    const { targetId } = await session.send("Target.createTarget", { url });
    const { sessionId } = await session.send("Target.attachToTarget", { targetId });
    return new Tab(session, targetId, sessionId);
  }

  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.#send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    const { result, exceptionDetails } = answer.result ?? {};
    if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
    return result?.value;
  }

  /** Brings the tab to the front. */
  async show(): Promise<void> {
    await this.#session.send("Target.activateTarget", { targetId: this.#target });
  }

  /** Freezes it, as a browser does with hidden tabs: no timers and no events until `wake`. */
  async freeze(): Promise<void> {
    await this.#send("Page.setWebLifecycleState", { state: "frozen" });
  }

  async wake(): Promise<void> {
    await this.#send("Page.setWebLifecycleState", { state: "active" });
  }

  async #send(method: string, params: object): Promise<Answer> {
    this.#last += 1;
    const id = this.#last;
    const answered = new Promise<Answer>((resolve) => this.#answers.set(id, resolve));
    const message = JSON.stringify({ id, method, params });
    await this.#session.send("Target.sendMessageToTarget", { sessionId: this.#id, message });
    return answered;
  }
}

interface Answer {
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: unknown };
}
