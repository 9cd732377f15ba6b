// When to connect, when to drop a connection, and which events to dispatch. No socket, no timer, no clock: `now` is
// milliseconds since an origin that the caller picks; random numbers are an argument.
import { type BackoffOptions, delayMs } from "./backoff.js";
import type { Heartbeat } from "./heartbeat.js";

/** The name of a state. */
export type StateName = "connecting" | "open" | "waiting" | "offline" | "closed";

/**
 * Why a connection or an attempt ended:
 *
 * - `lost`: the server or the network ended an open connection; the close code says more;
 * - `failed`: an attempt ended before it was open, or the function for `url` or `protocols` failed;
 * - `timeout`: an attempt took longer than `connectTimeoutMs`;
 * - `heartbeat`: nothing was received within the heartbeat's `timeoutMs`;
 * - `sleep`: the machine slept, and there is no heartbeat to check whether the connection survived;
 * - `offline`: the browser reported that the network is lost;
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
  /** Code, reason and `wasClean` are those of the `close` event. */
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** The exception of a function for `url` or `protocols`, or of the WebSocket constructor. */
  readonly error?: unknown;
}

/** The state of a socket, as in a `state` event and in `socket.state`. */
export interface State {
  readonly name: StateName;
  /** Milliseconds until the next attempt, at the time of the event; in `waiting` and `offline`. */
  readonly retryIn?: number;
  /** Connections and attempts in a row that have ended; one that lasted at least `minUptimeMs` begins the count anew. */
  readonly failures: number;
  /** How the last connection or attempt ended. */
  readonly ended?: Ended;
  /** Why no attempt follows; in `closed`. */
  readonly stopReason?: StopReason;
}

/** What the driver has to do, in the order of `pollEffect`. */
export type Effect =
  | { readonly do: "dial" }
  | { readonly do: "heartbeat" }
  /** Drop the connection or attempt at once, and ignore its later events. */
  | { readonly do: "abandon"; readonly ended: Ended }
  | { readonly do: "open" }
  /** Dispatch a `close` event; if `failed`, an `error` event before it. */
  | { readonly do: "close"; readonly ended: Ended; readonly failed: boolean }
  | { readonly do: "state"; readonly state: State }
  /** Release everything: no effect follows until `reconnect` is called. */
  | { readonly do: "stop" };

/** The parameters of a Machine. */
export interface Rules {
  readonly backoff: Required<BackoffOptions>;
  readonly connectTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly heartbeat: Heartbeat | undefined;
  /** Returns a random number, uniform in [0, 1). */
  readonly random: () => number;
  /** Returns whether to reconnect after this ending. */
  readonly retry: (ended: Ended, failures: number) => boolean;
  /** The number of failures in a row after which no attempt follows, while the browser reports a network. */
  readonly maxRetries: number;
}

type Phase = "connecting" | "open" | "waiting" | "closing" | "closed";

/**
 * The state machine of a socket. Call an input (`handle…`) or an order, then carry out the effects of `pollEffect` until
 * there is none, then call `handleTimeout` at the time of `pollTimeout`.
 *
 * ```text
 *                 ┌────────────── retry time, online, visible ─────────────┐
 *                 v                                                        │
 *   start ─> connecting ── open ──> open ── lost, heartbeat, offline ──> waiting
 *              │  │                  │                                     ^ │
 *              │  └─ failed, timeout ┼─────────────────────────────────────┘ │
 *              v                     v                                       v
 *            closing <──────────── close() ─────────────────────────────> closing
 *              └── ended ──> closed <── final code, maxRetries ── connecting, open
 * ```
 */
export class Machine {
  #phase: Phase = "closed";
  #online = true;
  /** Failures in a row; each doubles the upper limit of the next delay. */
  #failures = 0;
  #ended: Ended | undefined;
  /** Reported in `closed` only. */
  #stopReason: StopReason = "startClosed";
  readonly #effects: Effect[] = [];

  /** When the phase ends: the attempt in `connecting`, the delay in `waiting`, the wait for the peer in `closing`. */
  #phaseEndsAt = Infinity;
  /** In `waiting`: no attempt before this time, because the server asked for it. */
  #notBefore = 0;
  #dialledAt = -Infinity;
  #openedAt = 0;
  /** In `open`: when to check the clock next, to notice that it jumped. */
  #checkAt = Infinity;

  readonly #rules: Rules;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  // ---- Orders ----

  /** Begins the first attempt. */
  start(now: number, online: boolean): void {
    this.#online = online;
    this.#dial(now);
  }

  /** Closes without reconnecting. `hasSocket`: there is a connection to send a Close frame on. */
  close(now: number, hasSocket: boolean): void {
    if (this.#phase === "closing" || this.#phase === "closed") return;
    this.#phase = "closing";
    this.#stopReason = "close";
    // Without a connection there is nothing to wait for. As in a browser, the events come after the caller has returned.
    this.#phaseEndsAt = hasSocket ? now + this.#rules.closeTimeoutMs : now;
  }

  /** Connects at once, in any phase; an open connection is replaced. */
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
    this.#checkAt = now + CHECK_MS;
    this.#rules.heartbeat?.start(now);
    // There is a network, even if the browser reports none.
    this.#online = true;
    this.#effects.push({ do: "open" });
    this.#emitState(now);
  }

  /** Takes note that the peer is alive: a message was received, or an upload made progress. */
  handleActivity(now: number): void {
    this.#rules.heartbeat?.handleActivity(now);
    // The Close frame is sent after everything that was sent before it.
    if (this.#phase === "closing") this.#phaseEndsAt = now + this.#rules.closeTimeoutMs;
  }

  /** Takes note of the reply to a heartbeat. */
  handleReply(): void {
    this.#rules.heartbeat?.handleReply();
  }

  /** Takes note that the current connection or attempt has ended. `failed`: the browser dispatched an `error` event. */
  handleEnd(now: number, ended: Omit<Ended, "cause">, failed: boolean): void {
    if (this.#phase === "closing") return this.#finish(now, { ...ended, cause: "closed" }, failed, "close");
    const cause = this.#phase === "open" ? "lost" : "failed";
    this.#retryOrFinish(now, { ...ended, cause }, failed, "close");
  }

  handleTimeout(now: number): void {
    if (now >= this.#phaseEndsAt) {
      if (this.#phase === "waiting") return this.#dial(now);
      if (this.#phase === "connecting") {
        const text = `no connection within ${this.#rules.connectTimeoutMs} ms`;
        return this.#retryOrFinish(now, unclean("timeout", text), true, "abandon");
      }
      if (this.#phase === "closing") return this.#finish(now, unclean("closed", ""), false, "abandon");
    }
    if (this.#phase === "open") this.#checkLiveness(now, "timer");
  }

  /** Takes note of what the browser reports. It may be wrong, so attempts go on without a network. */
  handleNetwork(now: number, online: boolean): void {
    if (online === this.#online) return;
    this.#online = online;
    if (!online) {
      if (this.#phase === "waiting") this.#emitState(now);
      // On a dead connection messages would be lost; in the queue they are kept.
      else this.#retryOrFinish(now, unclean("offline", "no network"), true, "abandon");
      return;
    }
    this.#failures = 0;
    if (this.#phase === "waiting") {
      this.#advanceTo(now, now);
      this.#emitState(now);
    } else if (this.#phase === "connecting") {
      // The attempt began without a network, and may take long to fail.
      this.#end(unclean("offline", "no network"), true, "abandon");
      this.#dial(now);
    }
  }

  /** The page has become visible, or the program was resumed. */
  handleVisible(now: number): void {
    // Not more often than the first delay, even if the user switches tabs all the time.
    if (this.#phase === "waiting") this.#advanceTo(now, this.#dialledAt + this.#rules.backoff.baseMs);
    if (this.#phase === "open") this.#checkLiveness(now, "visible");
  }

  // ---- Outputs ----

  pollEffect(): Effect | undefined {
    return this.#effects.shift();
  }

  pollTimeout(): number {
    if (this.#phase !== "open") return this.#phaseEndsAt;
    return Math.min(this.#checkAt, this.#rules.heartbeat?.pollTimeout() ?? Infinity);
  }

  // ---- Looks ----

  /** The `readyState` of a WebSocket; `waiting` is CONNECTING. */
  get readyState(): 0 | 1 | 2 | 3 {
    if (this.#phase === "open") return 1;
    if (this.#phase === "closing") return 2;
    return this.#phase === "closed" ? 3 : 0;
  }

  /** Whether a heartbeat has had no reply. */
  get expectsReply(): boolean {
    return this.#rules.heartbeat?.expectsReply ?? false;
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
    // Without a network an attempt is unlikely to succeed: the state stays `offline`.
    if (!wasOffline) this.#emitState(now);
    this.#effects.push({ do: "dial" });
  }

  /** Ends the connection or attempt, and then waits for the next one or closes. */
  #retryOrFinish(now: number, ended: Ended, failed: boolean, how: "close" | "abandon"): void {
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
    // On top of the hint, because the server sent the same hint to all its clients.
    this.#phaseEndsAt = this.#notBefore + delay;
    this.#end(ended, failed, how);
    this.#emitState(now);
  }

  #finish(now: number, ended: Ended, failed: boolean, how: "close" | "abandon"): void {
    this.#phase = "closed";
    this.#phaseEndsAt = Infinity;
    this.#end(ended, failed, how);
    this.#emitState(now);
    this.#effects.push({ do: "stop" });
  }

  #end(ended: Ended, failed: boolean, how: "close" | "abandon"): void {
    this.#ended = ended;
    if (how === "abandon") this.#effects.push({ do: "abandon", ended });
    this.#effects.push({ do: "close", ended, failed });
  }

  /** Moves the next attempt forward to `at`, but not before the time that the server asked for. */
  #advanceTo(now: number, at: number): void {
    this.#phaseEndsAt = Math.min(this.#phaseEndsAt, Math.max(now, at, this.#notBefore));
  }

  /** Checks whether the connection is alive. */
  #checkLiveness(now: number, why: "timer" | "visible"): void {
    const { heartbeat } = this.#rules;
    const canCheck = heartbeat?.detectsSilence;
    const slept = now - this.#checkAt >= SLEEP_MS;
    this.#checkAt = now + CHECK_MS;
    if (slept && !canCheck) return this.#retryOrFinish(now, unclean("sleep", "the machine slept"), true, "abandon");
    if (!heartbeat) return;
    const verdict = heartbeat.handleTimeout(now) ?? (slept || why === "visible" ? heartbeat.check(now) : undefined);
    if (verdict === "send") this.#effects.push({ do: "heartbeat" });
    if (verdict === "timeout")
      this.#retryOrFinish(now, unclean("heartbeat", "no reply to the heartbeat"), true, "abandon");
  }

  #emitState(now: number): void {
    this.#effects.push({ do: "state", state: this.state(now) });
  }
}

/** Returns the milliseconds in `retry_ms=NUMBER`, a word in the reason of the server's Close frame: how long to stay away. */
function hintMs(ended: Ended): number {
  const hint = /(?:^|[\s,;()])retry_ms=(\d+)(?=$|[\s,;()])/.exec(ended.reason)?.[1];
  return Math.min(Number(hint ?? 0), HINT_MS_MAX);
}

/** Returns the ending of a connection that we dropped: 1006, as if the network had ended it. */
function unclean(cause: Cause, reason: string): Ended {
  return { cause, code: 1006, reason, wasClean: false };
}

/** Milliseconds. One hour; a longer hint is taken for a mistake. */
const HINT_MS_MAX = 3_600_000;

/** Milliseconds between two checks of the clock. */
const CHECK_MS = 15_000;

/**
 * Milliseconds. A check this late means that the machine slept. Browsers delay the timers of hidden tabs by up to a
 * minute, which is not sleep.
 */
const SLEEP_MS = 75_000;
