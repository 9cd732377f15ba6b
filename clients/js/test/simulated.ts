// A world whose clock we move: timers, network, page, luck, and a server with WebSockets to it. Nothing here waits.
import type { Environment, Options } from "../src/index.js";
import type { WebSocketConstructor, WebSocketLike } from "../src/options.js";

/** Milliseconds from one side to the other. */
const LATENCY_MS = 20;

/** How the server treats who comes. */
export type Manner = "serves" | "refuses" | "hangs up" | "doesn't answer";

export class World {
  now = 1_000_000;
  online = true;
  manner: Manner = "serves";
  /** Messages as they reached the server, in order. */
  readonly received: unknown[] = [];
  /** Messages that were on their way when the connection broke. */
  readonly lostOnTheWay: unknown[] = [];
  /** All sockets ever made, oldest first, and when. */
  readonly sockets: SimulatedSocket[] = [];
  readonly dials: number[] = [];
  /** What the server answers to a message, if anything. */
  reply: (data: unknown) => string | undefined = () => undefined;
  /** Of the link, each way: what is sent waits until what was sent before it is through. */
  bytesPerSecond = Infinity;
  /** Bytes that the kernel takes of an upload at once, and that `bufferedAmount` no longer counts. */
  kernelBytes = 0;
  /** Timers fire only when a multiple of this has passed: a hidden tab, held back by its browser. */
  timerGrainMs = 1;
  random: () => number;

  readonly environment: Environment;
  readonly WebSocket: WebSocketConstructor;

  readonly #timers = new Map<number, { at: number; run: () => void }>();
  #lastTimer = 0;
  #networkListeners = new Set<(online: boolean) => void>();
  #visibleListeners = new Set<() => void>();

  constructor(seed = 1) {
    this.random = luck(seed);
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

  /** Lets time pass, timer by timer. */
  pass(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      let first: [number, { at: number; run: () => void }] | undefined;
      // In the order in which they were set, so of two at the same moment the older one stays first.
      for (const timer of this.#timers) if (timer[1].at < (first?.[1].at ?? Infinity)) first = timer;
      if (!first || first[1].at > end) break;
      this.#timers.delete(first[0]);
      this.now = Math.max(this.now, first[1].at);
      first[1].run();
    }
    this.now = end;
  }

  /** The clock jumps: nothing runs meanwhile, what is due runs afterwards. */
  sleep(ms: number): void {
    this.now += ms;
  }

  /** Lets promises go on. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  }

  setOnline(online: boolean): void {
    this.online = online;
    for (const listener of [...this.#networkListeners]) listener(online);
  }

  show(): void {
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

  /** The server dies and the kernel says so; who comes is refused. */
  kill(): void {
    this.manner = "refuses";
    for (const socket of this.sockets) socket.break();
  }
}

/** A WebSocket as a browser has it, to the server of its world. */
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
  /** What `close` was called with. */
  goodbye: [number?, string?] | undefined;
  /** The network swallows everything, and nobody is told. */
  dead = false;

  readonly #world: World;
  /** When everything that was sent so far is through the link. */
  #upFreeAt = 0;
  #downFreeAt = 0;
  /** Said by a test, instead of what the link makes of it. */
  #buffered: number | undefined;

  constructor(world: World, url: string, protocols: string | string[] = []) {
    // The checks that a browser makes before anything else.
    const parsed = new URL(url);
    if (!/^wss?:$/.test(parsed.protocol)) throw new DOMException(`not a WebSocket's address: ${url}`, "SyntaxError");
    this.#world = world;
    this.url = parsed.href;
    world.sockets.push(this);
    world.dials.push(world.now);
    const { manner } = world;
    if (manner === "doesn't answer") return;
    world.after(2 * LATENCY_MS, () => {
      if (this.readyState !== 0) return;
      if (manner === "refuses" || world.manner === "refuses") return this.break();
      this.readyState = 1;
      this.protocol = [protocols].flat()[0] ?? "";
      this.onopen?.({ type: "open" } as never);
      if (manner === "hangs up") this.end(1011, "busy");
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
    // A browser swallows it without a word.
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
    this.goodbye = reason === undefined ? (code === undefined ? [] : [code]) : [code ?? 1000, reason];
    const wasOpen = this.readyState === 1;
    this.readyState = 2;
    const uploadMs = wasOpen ? Math.max(0, this.#upFreeAt - this.#world.now) : 0;
    this.#world.after(uploadMs + 2 * LATENCY_MS, () => {
      if (!wasOpen) this.break();
      else if (!this.dead) this.#closed(code ?? 1005, reason ?? "", true);
    });
  }

  /** The server says something. */
  message(data: unknown): void {
    this.#downFreeAt = Math.max(this.#downFreeAt, this.#world.now) + this.#transferMs(data);
    const hear = () => {
      // As a browser does it: only whole messages, and none while closing.
      if (!this.dead && this.readyState === 1) this.onmessage?.({ type: "message", data, origin: this.url } as never);
    };
    if (this.#downFreeAt <= this.#world.now) hear();
    else this.#world.after(this.#downFreeAt - this.#world.now, hear);
  }

  /** The server closes. */
  end(code: number, reason = ""): void {
    this.#closed(code, reason, true);
  }

  /** The connection breaks, and the browser knows. */
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

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function luck(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
