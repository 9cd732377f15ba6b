// The real `sockeye`, which can be killed and restarted on the same port.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "../../../..");

/** Below the ephemeral ports, so that no outgoing connection takes the port while the server is down. */
const PORTS = { first: 20_000, count: 12_000 };

/** Milliseconds. The limit of a wait; only a failing test reaches it. */
export const LIMIT_MS = 30_000;

/** The binary that `CHECKS_SOCKEYE` names, or the one that `make e2e` has built. */
export function binary(): string | undefined {
  const path = process.env.CHECKS_SOCKEYE ?? join(ROOT, "target/debug/sockeye");
  return existsSync(path) ? path : missing("the binary `sockeye`", "cargo build -p sockeye-server");
}

/** Reports why a check is skipped on this machine; with CI=true that is an error. */
export function missing(what: string, remedy: string): undefined {
  const line = `${what}: not on this machine. To set it up: ${remedy}`;
  if (process.env.CI === "true") throw new Error(line);
  process.stderr.write(`skipped, ${line}\n`);
}

export class Server {
  readonly port: number;
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  /** Starts a server on a free port. */
  static async start(): Promise<Server> {
    for (const end = Date.now() + LIMIT_MS; ; ) {
      const server = new Server(PORTS.first + Math.floor(Math.random() * PORTS.count));
      if (await server.#start()) return server;
      if (Date.now() > end) throw new Error("no port was free");
    }
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}`;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Kills it with SIGKILL: no Close frame is sent, and new connections are refused. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Stops it with SIGTERM: every client receives a Close frame. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Stops the process with SIGSTOP: connections stay open, and nothing replies. */
  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Starts again, on the same port. */
  async restart(): Promise<void> {
    for (const end = Date.now() + LIMIT_MS; !(await this.#start()); ) {
      if (Date.now() > end) throw new Error(`port ${this.port} didn't come back`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end("SIGKILL");
  }

  async #start(): Promise<boolean> {
    const environment = Object.entries(process.env).filter(([name]) => !/^SOCKEYE_|_PROXY$/i.test(name));
    const started = spawn(binary() ?? "", ["serve", "--listen", `127.0.0.1:${this.port}`], {
      // A directory without a `sockeye.toml`.
      cwd: tmpdir(),
      env: Object.fromEntries(environment),
      stdio: ["ignore", "pipe", "ignore"],
    });
    this.#process = started;
    for await (const line of createInterface({ input: started.stdout })) {
      if (line.includes(`:${this.port}/`)) return true;
    }
    return false;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const ending = this.#process;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = once(ending, "exit");
    ending.kill(signal);
    await exited;
  }
}

/** Waits until something is true. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + LIMIT_MS; !(await isTrue()); ) {
    if (Date.now() > end) throw new Error(`not within ${LIMIT_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
