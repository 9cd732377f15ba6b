// The real `sockeye`, on a port that it gets back after it was killed.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const ROOT = join(import.meta.dirname, "../../../..");

/** Outside of what the system hands out to whoever dials, so that nobody takes it while the server is away. */
const PORTS = { first: 20_000, count: 12_000 };

/** Milliseconds. Only a failure takes as long. */
export const LIMIT_MS = 30_000;

/** The binary that `CHECKS_SOCKEYE` names, or the one that `make e2e` has built. */
export function binary(): string | undefined {
  const path = process.env.CHECKS_SOCKEYE ?? join(ROOT, "target/debug/sockeye");
  return existsSync(path) ? path : missing("the binary `sockeye`", "cargo build -p sockeye-server");
}

/** Says why a check doesn't run here; where it has to run that is a failure. */
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

  /** Starts a server on a port that nobody has. */
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

  /** As `kill -9`: nobody says goodbye, and who dials is refused. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** As an operator stops it: everybody hears a Close. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  /** Stops it in its tracks: connections stand, and nothing answers. */
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
      // No `sockeye.toml` lies there.
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
