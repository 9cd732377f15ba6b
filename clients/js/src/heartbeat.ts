// When to send a heartbeat, and when a missing reply means that the connection is dead. No timer, no clock:
// `now` is milliseconds since an origin that the caller picks.

/** Messages that detect a dead connection, and keep proxies from closing an idle one. */
export interface HeartbeatOptions {
  /** Milliseconds between two heartbeats. Default 25 000, below the 60 s after which most proxies close idle connections. */
  readonly intervalMs?: number;
  /**
   * Milliseconds. When nothing has been received for this long after a heartbeat, the connection is dropped at once.
   * Default 10 000. `Infinity`: the server doesn't reply to heartbeats.
   */
  readonly timeoutMs?: number;
  /**
   * Milliseconds. A browser reports a long message only when all of it has been received. Each connection that is dropped
   * therefore doubles the timeout of the next one, up to this limit. Every twenty replies in a row within `timeoutMs` halve
   * it again. Default 300 000.
   */
  readonly timeoutMsMax?: number;
  /**
   * The message to send, or a function that returns it. Browsers can't send ping frames, so a heartbeat is a message that
   * the server has to understand. There is no default: a broadcast room would forward it to everybody.
   */
  readonly message: string | ArrayBufferLike | ArrayBufferView<ArrayBufferLike> | (() => string | ArrayBufferLike);
  /**
   * The server's reply, or a function that recognises it. One reply for each heartbeat is not dispatched as a `message`
   * event. Every message, reply or not, proves that the connection is alive. Default: any message counts as the reply, and
   * all of them are dispatched.
   */
  readonly reply?: string | ((data: unknown) => boolean);
}

/** Milliseconds. Most proxies close idle connections after 60 s; at 16 KiB/s, 300 s are enough for 5 MB. */
export const HEARTBEAT_DEFAULTS = { intervalMs: 25_000, timeoutMs: 10_000, timeoutMsMax: 300_000 };

/**
 * Call an input (`start`, `handleActivity`, `handleReply`, `handleTimeout`), then ask `pollTimeout` when to call
 * `handleTimeout` next.
 *
 * ```text
 *          intervalMs                 reply timeout
 *   idle ─────────────> "send": waiting ────────────> "timeout": the next connection has twice the reply timeout
 *    ^                     │  the timer ran late: "send" again, once
 *    └──── any message ────┘
 * ```
 *
 * A server may not reply to heartbeats at all. When the first connection has timed out before any reply was received,
 * heartbeats are still sent, but a missing reply has no consequence until a first reply has been received.
 */
export class Heartbeat {
  /** When to send the next heartbeat, whether or not a reply is missing. */
  #sendAt = Infinity;
  /** When the connection is dead without a reply; `Infinity` while no reply is expected. */
  #deadline = Infinity;
  #lastActivityAt = 0;
  /** When the heartbeat was sent whose reply sets the deadline. */
  #askedAt = 0;
  /** Heartbeats of this connection without a reply. */
  #pending = 0;
  /** `timeoutMs <= #replyTimeoutMs <= #timeoutMsMax`; kept from one connection to the next. */
  #replyTimeoutMs: number;
  /** Replies in a row that came within `timeoutMs`. */
  #quickReplies = 0;
  /** Whether the server replies to heartbeats; `undefined`: not known yet, so a reply is expected. */
  #replies: boolean | undefined;
  /** A heartbeat was sent again after a late timer, and nothing has been received since. */
  #askedAgain = false;

  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #timeoutMsMax: number;

  constructor({ intervalMs, timeoutMs, timeoutMsMax }: typeof HEARTBEAT_DEFAULTS) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#timeoutMsMax = Math.max(timeoutMs, timeoutMsMax);
    this.#replyTimeoutMs = timeoutMs;
  }

  /** Starts the timers of a new connection. */
  start(now: number): void {
    this.#sendAt = now + this.#intervalMs;
    this.#pending = 0;
    this.#deadline = Infinity;
    this.handleActivity(now);
  }

  /** Takes note that the peer is alive: a message was received, or an upload made progress. */
  handleActivity(now: number): void {
    if (this.isWaiting) {
      this.#quickReplies = now - this.#askedAt > this.#timeoutMs ? 0 : this.#quickReplies + 1;
      if (this.#quickReplies >= QUICK_REPLIES) {
        this.#quickReplies = 0;
        this.#replyTimeoutMs = Math.max(this.#timeoutMs, this.#replyTimeoutMs / 2);
      }
    }
    this.#lastActivityAt = now;
    this.#deadline = Infinity;
    this.#askedAgain = false;
  }

  /** Takes note of the reply to a heartbeat. */
  handleReply(): void {
    this.#pending -= 1;
    this.#replies = true;
  }

  /** Returns what has to be done now, if anything. The heartbeat of "send" counts as sent. */
  handleTimeout(now: number): "send" | "timeout" | undefined {
    if (now >= this.#deadline) {
      // A timer this late means that the machine slept or that the browser throttles a hidden tab: the event with the
      // reply may still be in the event queue. Send one more heartbeat before the connection counts as dead.
      if (this.#askedAgain || now - this.#deadline < this.#replyTimeoutMs) {
        this.#replyTimeoutMs = Math.min(this.#replyTimeoutMs * 2, this.#timeoutMsMax);
        this.#quickReplies = 0;
        this.#replies ??= false;
        return "timeout";
      }
      this.#askedAgain = true;
      this.#deadline = Infinity;
      return this.#send(now);
    }
    return now >= this.#sendAt ? this.#send(now) : undefined;
  }

  /** Asks for a heartbeat outside the interval, unless something was received within the last interval. */
  check(now: number): "send" | undefined {
    return now - this.#lastActivityAt >= this.#intervalMs && !this.isWaiting ? this.#send(now) : undefined;
  }

  pollTimeout(): number {
    return Math.min(this.#sendAt, this.#deadline);
  }

  /** Whether a reply is missing that has a deadline. */
  get isWaiting(): boolean {
    return this.#deadline !== Infinity;
  }

  /** Whether a heartbeat has had no reply. */
  get expectsReply(): boolean {
    return this.#pending > 0;
  }

  /** Whether a missing reply means that the connection is dead. */
  get detectsSilence(): boolean {
    return this.#replies !== false && this.#timeoutMs !== Infinity;
  }

  #send(now: number): "send" {
    this.#sendAt = now + this.#intervalMs;
    this.#pending += 1;
    // The oldest heartbeat without a reply sets the deadline.
    if (!this.isWaiting && this.detectsSilence) {
      this.#askedAt = now;
      this.#deadline = now + this.#replyTimeoutMs;
    }
    return "send";
  }
}

/** Eight minutes at the default interval, so that a page with a long download every few minutes keeps its longer timeout. */
const QUICK_REPLIES = 20;
