// A simulated world: clock, timers, network, page visibility, random numbers, and a server. Nothing waits for real time.
import type { Environment, Options } from "../src/index.js";
import type { WebSocketConstructor, WebSocketLike } from "../src/options.js";

/** Milliseconds, one way. */
const LATENCY_MS = 20;

/** What the server does with a new connection. */
export type ServerMode = "serves" | "refuses" | "closes at once" | "is silent";

export class World {
  now = 1_000_000;
  online = true;
  mode: ServerMode = "serves";
  /** The messages that the server has received, in order. */
  readonly received: unknown[] = [];
  /** Messages that were in flight when the connection broke. */
  readonly lostOnTheWay: unknown[] = [];
  /** All sockets, oldest first, and when they were made. */
  readonly sockets: SimulatedSocket[] = [];
  readonly dials: number[] = [];
  /** Returns the server's reply to a message, if any. */
  reply: (data: unknown) => string | undefined = () => undefined;
  /** The bandwidth of the link, each way. */
  bytesPerSecond = Infinity;
  /** The size of the kernel's send buffer, whose bytes `bufferedAmount` doesn't count. */
  kernelBytes = 0;
  /** Timers fire only at multiples of this, like the throttled timers of a hidden tab. */
  timerGrainMs = 1;
  random: () => number;

  readonly environment: Environment;
  readonly WebSocket: WebSocketConstructor;

  readonly #timers = new Map<number, { at: number; run: () => void }>();
  #lastTimer = 0;
  #networkListeners = new Set<(online: boolean) => void>();
  #visibleListeners = new Set<() => void>();

  constructor(seed = 1) {
    this.random = seededRandom(seed);
    this.environment = {
      now: () => this.now,
      random: () => this.random(),
      setTimeout: (run, delay) => this.after(delay, run, this.timerGrainMs),
      clearTimeout: (timer) => this.#timers.delete(timer as number),
      online: () => this.online,
      onNetwork: (callback) => {
        this.#networkListeners.add(callback);
        return () => this.#networkListeners.delete(callback);
      },
      onVisible: (callback) => {
        this.#visibleListeners.add(callback);
        return () => this.#visibleListeners.delete(callback);
      },
    };
    const world = this;
    this.WebSocket = class extends SimulatedSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(world, String(url), protocols);
      }
    };
  }

  options(options: Options = {}): Options {
    return { WebSocket: this.WebSocket, environment: this.environment, ...options };
  }

  after(delayMs: number, run: () => void, grainMs = 1): number {
    this.#lastTimer += 1;
    const at = Math.ceil((this.now + Math.max(0, delayMs || 0)) / grainMs) * grainMs;
    this.#timers.set(this.#lastTimer, { at, run });
    return this.#lastTimer;
  }

  /** Advances the clock, timer by timer. */
  advance(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      let first: [number, { at: number; run: () => void }] | undefined;
      // Of two timers for the same moment the one that was set first fires first.
      for (const timer of this.#timers) if (timer[1].at < (first?.[1].at ?? Infinity)) first = timer;
      if (!first || first[1].at > end) break;
      this.#timers.delete(first[0]);
      this.now = Math.max(this.now, first[1].at);
      first[1].run();
    }
    this.now = end;
  }

  /** Lets the clock jump, as after sleep: due timers fire afterwards. */
  sleep(ms: number): void {
    this.now += ms;
  }

  /** Lets pending promises settle. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  }

  setOnline(online: boolean): void {
    this.online = online;
    for (const listener of [...this.#networkListeners]) listener(online);
  }

  becomeVisible(): void {
    for (const listener of [...this.#visibleListeners]) listener();
  }

  get timers(): number {
    return this.#timers.size;
  }

  get subscriptions(): number {
    return this.#networkListeners.size + this.#visibleListeners.size;
  }

  get last(): SimulatedSocket {
    const last = this.sockets.at(-1);
    if (!last) throw new Error("nobody has dialled");
    return last;
  }

  /** Kills the server: all connections break, and new ones are refused. */
  kill(): void {
    this.mode = "refuses";
    for (const socket of this.sockets) socket.break();
  }
}

/** A browser's WebSocket, connected to the simulated server. */
export class SimulatedSocket implements WebSocketLike {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  binaryType = "blob";
  readonly extensions = "";
  protocol = "";
  readyState = 0;
  readonly url: string;
  /** The arguments of `close`. */
  closedWith: [number?, string?] | undefined;
  /** The network drops everything without an event. */
  dead = false;

  readonly #world: World;
  /** When the link has carried everything that was sent so far. */
  #upFreeAt = 0;
  #downFreeAt = 0;
  /** Set by a test, in place of what the link computes. */
  #buffered: number | undefined;

  constructor(world: World, url: string, protocols: string | string[] = []) {
    // A browser's checks of the URL.
    const parsed = new URL(url);
    if (!/^wss?:$/.test(parsed.protocol)) throw new DOMException(`not a WebSocket's address: ${url}`, "SyntaxError");
    this.#world = world;
    this.url = parsed.href;
    world.sockets.push(this);
    world.dials.push(world.now);
    const { mode } = world;
    if (mode === "is silent") return;
    world.after(2 * LATENCY_MS, () => {
      if (this.readyState !== 0) return;
      if (mode === "refuses" || world.mode === "refuses") return this.break();
      this.readyState = 1;
      this.protocol = [protocols].flat()[0] ?? "";
      this.onopen?.({ type: "open" } as never);
      if (mode === "closes at once") this.end(1011, "busy");
    });
  }

  get bufferedAmount(): number {
    if (this.#buffered !== undefined) return this.#buffered;
    const { now, bytesPerSecond, kernelBytes } = this.#world;
    if (this.#upFreeAt <= now) return 0;
    return Math.max(0, Math.round(((this.#upFreeAt - now) * bytesPerSecond) / 1_000) - kernelBytes);
  }

  set bufferedAmount(bytes: number) {
    this.#buffered = bytes;
  }

  send(data: unknown): void {
    if (this.readyState === 0) throw new DOMException("still connecting", "InvalidStateError");
    // A browser discards it silently.
    if (this.readyState !== 1) throw new Error("a message for a socket that isn't open");
    this.#upFreeAt = Math.max(this.#upFreeAt, this.#world.now) + this.#transferMs(data);
    this.#world.after(this.#upFreeAt - this.#world.now + LATENCY_MS, () => {
      if (this.dead || this.readyState === 3) return void this.#world.lostOnTheWay.push(data);
      this.#world.received.push(data);
      const reply = this.#world.reply(data);
      if (reply !== undefined) this.#world.after(LATENCY_MS, () => this.message(reply));
    });
  }

  #transferMs(data: unknown): number {
    return (String(data).length * 1_000) / this.#world.bytesPerSecond;
  }

  close(code?: number, reason?: string): void {
    if (this.readyState >= 2) return;
    this.closedWith = reason === undefined ? (code === undefined ? [] : [code]) : [code ?? 1000, reason];
    const wasOpen = this.readyState === 1;
    this.readyState = 2;
    const uploadMs = wasOpen ? Math.max(0, this.#upFreeAt - this.#world.now) : 0;
    this.#world.after(uploadMs + 2 * LATENCY_MS, () => {
      if (!wasOpen) this.break();
      else if (!this.dead) this.#closed(code ?? 1005, reason ?? "", true);
    });
  }

  /** Sends a message from the server. */
  message(data: unknown): void {
    this.#downFreeAt = Math.max(this.#downFreeAt, this.#world.now) + this.#transferMs(data);
    const hear = () => {
      // As in a browser: only whole messages, and none while closing.
      if (!this.dead && this.readyState === 1) this.onmessage?.({ type: "message", data, origin: this.url } as never);
    };
    if (this.#downFreeAt <= this.#world.now) hear();
    else this.#world.after(this.#downFreeAt - this.#world.now, hear);
  }

  /** Closes the connection from the server. */
  end(code: number, reason = ""): void {
    this.#closed(code, reason, true);
  }

  /** Breaks the connection, with events. */
  break(): void {
    if (this.readyState === 3 || this.dead) return;
    this.readyState = 3;
    this.onerror?.({ type: "error" } as never);
    this.#closed(1006, "", false);
  }

  #closed(code: number, reason: string, wasClean: boolean): void {
    this.readyState = 3;
    this.onclose?.({ type: "close", code, reason, wasClean } as never);
  }
}

/** Returns a random number generator for [0, 1) with a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
