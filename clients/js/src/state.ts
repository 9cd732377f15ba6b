// When to dial, when to give a connection up, and what the page is told. No socket, no timer, no clock: `now` is
// milliseconds since an origin that the caller picks, luck is an argument.
import { type BackoffOptions, delayMs } from "./backoff.js";
import type { Heartbeat } from "./heartbeat.js";

/** What the page can show. */
export type StateName = "connecting" | "open" | "waiting" | "offline" | "closed";

/**
 * Why a connection or an attempt ended:
 *
 * - `lost`: an open connection ended, by the other side or by the network; the close code says more;
 * - `failed`: an attempt didn't get as far as `open`, or the function for `url` or `protocols` failed;
 * - `timeout`: an attempt took longer than `connectTimeoutMs`;
 * - `heartbeat`: no answer within the heartbeat's `timeoutMs`;
 * - `sleep`: the machine slept, and there is no heartbeat to ask whether the connection still stands;
 * - `offline`: the browser says that the network has gone;
 * - `replaced`: `reconnect()` was called;
 * - `closed`: `close()` was called.
 */
export type Cause = "lost" | "failed" | "timeout" | "heartbeat" | "sleep" | "offline" | "replaced" | "closed";

/**
 * Why a closed socket makes no further attempt:
 *
 * - `close`: `close()` was called;
 * - `final`: the close code is one of `finalCodes`, or `retry` returned false;
 * - `maxRetries`: as many attempts in a row have failed as `maxRetries` allows;
 * - `startClosed`: that option is set, and neither `connect()` nor `reconnect()` has been called.
 */
export type StopReason = "close" | "final" | "maxRetries" | "startClosed";

/** How a connection or an attempt ended. */
export interface Ended {
  readonly cause: Cause;
  /** As in the `close` event. */
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** What a function of the page has thrown, or the WebSocket constructor. */
  readonly error?: unknown;
}

/** What the page is told with each `state` event, and what `socket.state` holds. */
export interface State {
  readonly name: StateName;
  /** Milliseconds until the next attempt, as of this event; in `waiting` and `offline`. */
  readonly retryIn?: number;
  /** Connections and attempts in a row that have ended; one that lasted at least `minUptimeMs` begins the count anew. */
  readonly failures: number;
  /** How the last connection or attempt ended. */
  readonly ended?: Ended;
  /** Why no attempt follows; in `closed`. */
  readonly stopReason?: StopReason;
}

/** What the driver has to do, in this order. */
export type Effect =
  | { readonly do: "dial" }
  | { readonly do: "beat" }
  /** Let go of the connection or attempt at once; whatever it still says isn't heard. */
  | { readonly do: "abandon"; readonly ended: Ended }
  | { readonly do: "open" }
  /** `failed`: an `error` event goes before the `close` event. */
  | { readonly do: "close"; readonly ended: Ended; readonly failed: boolean }
  | { readonly do: "state"; readonly state: State }
  /** Nothing comes after this, unless `reconnect` is called. */
  | { readonly do: "rest" };

/** What the machine goes by. */
export interface Rules {
  readonly backoff: Required<BackoffOptions>;
  readonly connectTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly heartbeat: Heartbeat | undefined;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether to try again after this ending. */
  readonly retry: (ended: Ended, failures: number) => boolean;
  /** Failures in a row after which no attempt follows, while there is a network. */
  readonly maxRetries: number;
}

type Phase = "connecting" | "open" | "waiting" | "closing" | "closed";

/**
 * Call an input or an order, then carry out `pollEffect` until it is empty, then call `handleTimeout` at `pollTimeout`.
 *
 * ```text
 *                 ┌────────────── retry time, online, visible ─────────────┐
 *                 v                                                        │
 *   start ─> connecting ── open ──> open ── lost, heartbeat, offline ──> waiting
 *              │  │                  │                                     ^ │
 *              │  └─ failed, timeout ┼─────────────────────────────────────┘ │
 *              v                     v                                       v
 *            closing <──────────── close() ─────────────────────────────> closing
 *              └── ended ──> closed <── the rule says "final" ── connecting, open
 * ```
 */
export class Machine {
  #phase: Phase = "closed";
  #online = true;
  /** Failures in a row, each of which doubles the next delay. */
  #failures = 0;
  #ended: Ended | undefined;
  /** Reported in `closed` only. */
  #stopReason: StopReason = "startClosed";
  readonly #effects: Effect[] = [];

  /** Ends the phase: the attempt in `connecting`, the pause in `waiting`, our patience in `closing`. */
  #phaseEndsAt = Infinity;
  /** In `waiting`: what the server has asked for; nothing dials before. */
  #notBefore = 0;
  #dialledAt = -Infinity;
  #openedAt = 0;
  /** In `open`: the next look at the clock, to notice that it jumped. */
  #watchAt = Infinity;

  readonly #rules: Rules;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  // ---- Orders ----

  /** The first attempt. */
  start(now: number, online: boolean): void {
    this.#online = online;
    this.#dial(now);
  }

  /** Ends it for good. The driver says whether there is a connection that can still say goodbye. */
  close(now: number, hasSocket: boolean): void {
    if (this.#phase === "closing" || this.#phase === "closed") return;
    this.#phase = "closing";
    this.#stopReason = "close";
    // Without a connection the ending is only put off until the caller has returned, as a browser does it.
    this.#phaseEndsAt = hasSocket ? now + this.#rules.closeTimeoutMs : now;
  }

  /** Dials at once, whatever the state; a connection that stands is replaced. */
  reconnect(now: number, online: boolean, ended: Ended): void {
    this.#online = online;
    if (this.#phase !== "waiting" && this.#phase !== "closed") this.#end(ended, false, "abandon");
    this.#failures = 0;
    this.#dial(now);
  }

  // ---- Inputs ----

  handleOpen(now: number): void {
    if (this.#phase !== "connecting") return;
    this.#phase = "open";
    this.#phaseEndsAt = Infinity;
    this.#openedAt = now;
    this.#watchAt = now + WATCH_MS;
    this.#rules.heartbeat?.start(now);
    // It works, whatever the browser thinks of the network.
    this.#online = true;
    this.#effects.push({ do: "open" });
    this.#tell(now);
  }

  /** A message came, or the other side has taken more of what we send. */
  handleLife(now: number): void {
    this.#rules.heartbeat?.handleLife(now);
    // Our goodbye waits behind what goes out still.
    if (this.#phase === "closing") this.#phaseEndsAt = now + this.#rules.closeTimeoutMs;
  }

  /** What came answers one of the beats. */
  handleAnswer(): void {
    this.#rules.heartbeat?.handleAnswer();
  }

  /** The connection or the attempt in charge has ended by itself. `failed`: the browser called it an error. */
  handleEnd(now: number, ended: Omit<Ended, "cause">, failed: boolean): void {
    if (this.#phase === "closing") return this.#finish(now, { ...ended, cause: "closed" }, failed, "close");
    const cause = this.#phase === "open" ? "lost" : "failed";
    this.#lose(now, { ...ended, cause }, failed, "close");
  }

  handleTimeout(now: number): void {
    if (now >= this.#phaseEndsAt) {
      if (this.#phase === "waiting") return this.#dial(now);
      if (this.#phase === "connecting") {
        const text = `no connection within ${this.#rules.connectTimeoutMs} ms`;
        return this.#lose(now, unclean("timeout", text), true, "abandon");
      }
      if (this.#phase === "closing") return this.#finish(now, unclean("closed", ""), false, "abandon");
    }
    if (this.#phase === "open") this.#watch(now, "timer");
  }

  /** The browser's opinion, which is sometimes wrong: "offline" makes nothing impossible. */
  handleNetwork(now: number, online: boolean): void {
    if (online === this.#online) return;
    this.#online = online;
    if (!online) {
      if (this.#phase === "waiting") this.#tell(now);
      // What is sent now would be lost in a dead connection; in the queue it waits.
      else this.#lose(now, unclean("offline", "the network is gone"), true, "abandon");
      return;
    }
    this.#failures = 0;
    if (this.#phase === "waiting") {
      this.#hurry(now, now);
      this.#tell(now);
    } else if (this.#phase === "connecting") {
      // It was begun without network, and may take long to find out that there is one now.
      this.#end(unclean("offline", "the network was gone"), true, "abandon");
      this.#dial(now);
    }
  }

  /** The page is looked at again, or the program was woken. */
  handleVisible(now: number): void {
    // Whoever switches to and fro doesn't dial more often than the first delay.
    if (this.#phase === "waiting") this.#hurry(now, this.#dialledAt + this.#rules.backoff.baseMs);
    if (this.#phase === "open") this.#watch(now, "visible");
  }

  // ---- Outputs ----

  pollEffect(): Effect | undefined {
    return this.#effects.shift();
  }

  pollTimeout(): number {
    if (this.#phase !== "open") return this.#phaseEndsAt;
    return Math.min(this.#watchAt, this.#rules.heartbeat?.pollTimeout() ?? Infinity);
  }

  // ---- Looks ----

  /** As `WebSocket.readyState`: waiting for the next attempt is connecting. */
  get readyState(): 0 | 1 | 2 | 3 {
    if (this.#phase === "open") return 1;
    if (this.#phase === "closing") return 2;
    return this.#phase === "closed" ? 3 : 0;
  }

  /** A beat has no answer yet. */
  get owesReply(): boolean {
    return this.#rules.heartbeat?.owed ?? false;
  }

  state(now: number): State {
    const retryIn = this.#phase === "waiting" ? Math.max(0, Math.ceil(this.#phaseEndsAt - now)) : undefined;
    const name = this.#name();
    return {
      name,
      failures: this.#failures,
      ...(retryIn !== undefined && { retryIn }),
      ...(this.#ended && { ended: this.#ended }),
      ...(name === "closed" && { stopReason: this.#stopReason }),
    };
  }

  // ---- Steps ----

  #name(): StateName {
    if (this.#phase === "open" || this.#phase === "closed") return this.#phase;
    if (this.#phase === "closing") return "closed";
    return this.#online ? this.#phase : "offline";
  }

  #dial(now: number): void {
    const wasOffline = this.#phase === "waiting" && !this.#online;
    this.#phase = "connecting";
    this.#dialledAt = now;
    this.#phaseEndsAt = now + this.#rules.connectTimeoutMs;
    // An attempt without network is a hope, not news.
    if (!wasOffline) this.#tell(now);
    this.#effects.push({ do: "dial" });
  }

  /** The connection or attempt is over: again later, or never. */
  #lose(now: number, ended: Ended, failed: boolean, how: "close" | "abandon"): void {
    if (this.#phase !== "connecting" && this.#phase !== "open") return;
    const lasted = this.#phase === "open" && now - this.#openedAt >= this.#rules.backoff.minUptimeMs;
    if (lasted) this.#failures = 0;
    const failuresBefore = this.#failures;
    this.#failures += 1;
    const isFinal = !this.#rules.retry(ended, failuresBefore);
    if (isFinal || (this.#online && failuresBefore >= this.#rules.maxRetries)) {
      this.#stopReason = isFinal ? "final" : "maxRetries";
      return this.#finish(now, ended, failed, how);
    }
    const delay = delayMs(this.#rules.backoff, failuresBefore, this.#rules.random());
    const hint = hintMs(ended);
    this.#phase = "waiting";
    this.#notBefore = now + hint;
    // On top of the hint: all its clients got the same one.
    this.#phaseEndsAt = this.#notBefore + delay;
    this.#end(ended, failed, how);
    this.#tell(now);
  }

  #finish(now: number, ended: Ended, failed: boolean, how: "close" | "abandon"): void {
    this.#phase = "closed";
    this.#phaseEndsAt = Infinity;
    this.#end(ended, failed, how);
    this.#tell(now);
    this.#effects.push({ do: "rest" });
  }

  #end(ended: Ended, failed: boolean, how: "close" | "abandon"): void {
    this.#ended = ended;
    if (how === "abandon") this.#effects.push({ do: "abandon", ended });
    this.#effects.push({ do: "close", ended, failed });
  }

  /** Brings the next attempt forward to `at`, but not before the server wants us. */
  #hurry(now: number, at: number): void {
    this.#phaseEndsAt = Math.min(this.#phaseEndsAt, Math.max(now, at, this.#notBefore));
  }

  /** Looks whether the connection is alive. */
  #watch(now: number, why: "timer" | "visible"): void {
    const { heartbeat } = this.#rules;
    const canAsk = heartbeat?.isAnswered;
    const slept = now - this.#watchAt >= SLEEP_MS;
    this.#watchAt = now + WATCH_MS;
    if (slept && !canAsk) return this.#lose(now, unclean("sleep", "the machine has slept"), true, "abandon");
    if (!heartbeat) return;
    const verdict = heartbeat.handleTimeout(now) ?? (slept || why === "visible" ? heartbeat.check(now) : undefined);
    if (verdict === "beat") this.#effects.push({ do: "beat" });
    if (verdict === "dead") this.#lose(now, unclean("heartbeat", "no sign of life"), true, "abandon");
  }

  #tell(now: number): void {
    this.#effects.push({ do: "state", state: this.state(now) });
  }
}

/** Milliseconds that the server asks us to stay away: `retry_ms=NUMBER`, a word of its own in the reason of its Close. */
function hintMs(ended: Ended): number {
  const hint = /(?:^|[\s,;()])retry_ms=(\d+)(?=$|[\s,;()])/.exec(ended.reason)?.[1];
  return Math.min(Number(hint ?? 0), HINT_MS_MAX);
}

/** A connection that we let go of: as far as a browser would know, it ended abnormally. */
function unclean(cause: Cause, reason: string): Ended {
  return { cause, code: 1006, reason, wasClean: false };
}

/** An hour. A server that asks for more has made a mistake. */
const HINT_MS_MAX = 3_600_000;

/** Between two looks at the clock. */
const WATCH_MS = 15_000;

/**
 * A look that comes this late means that the machine slept. Browsers hold the timers of hidden tabs back for a
 * minute; that is no sleep.
 */
const SLEEP_MS = 75_000;
