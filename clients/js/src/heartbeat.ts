// When to ask whether the other side is alive, and when to stop waiting for the answer. No timer, no clock:
// `now` is milliseconds since an origin that the caller picks.

/** What the page can send, to a server that has nothing to say and to proxies that cut silent connections. */
export interface HeartbeatOptions {
  /** Milliseconds between two beats. Default 25 000, below the 60 s after which most proxies cut. */
  readonly intervalMs?: number;
  /**
   * Milliseconds. When nothing has come for this long after a beat, the connection is given up at once. Default
   * 10 000. `Infinity`: nobody answers these beats.
   */
  readonly timeoutMs?: number;
  /** What is sent, or a function that makes it. Browsers can't send pings, so it is a message. Default `"ping"`. */
  readonly message?: string | ArrayBufferLike | ArrayBufferView<ArrayBufferLike> | (() => string | ArrayBufferLike);
  /**
   * The answer. It is kept from the page if it comes while a beat waits for one; every other message is life too, and
   * goes to the page. A function tells by the data. Default: everything goes to the page.
   */
  readonly reply?: string | ((data: unknown) => boolean);
}

/**
 * Inputs are `start`, `handleLife` and `handleTimeout`; afterwards ask `pollTimeout` when to call again.
 *
 * ```text
 *            intervalMs                    timeoutMs
 *   quiet ───────────────> "beat": asked ─────────────> "dead"
 *     ^                      │  timer ran late: "beat" again, once
 *     └────── any message ───┘
 * ```
 */
export class Heartbeat {
  /** The next beat, whether or not an answer is missing. */
  #beatAt = Infinity;
  /** `Infinity` while no answer is waited for. */
  #deadline = Infinity;
  #lifeAt = 0;
  /** A late timer has been forgiven since the last sign of life. */
  #forgiven = false;

  readonly #intervalMs: number;
  readonly #timeoutMs: number;

  constructor(intervalMs: number, timeoutMs: number) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
  }

  /** A connection has opened. */
  start(now: number): void {
    this.#beatAt = now + this.#intervalMs;
    this.handleLife(now);
  }

  /** Something came from the other side. */
  handleLife(now: number): void {
    this.#lifeAt = now;
    this.#deadline = Infinity;
    this.#forgiven = false;
  }

  /** What is to be done now, if anything. After "beat" the beat counts as sent. */
  handleTimeout(now: number): "beat" | "dead" | undefined {
    if (now >= this.#deadline) {
      // A timer that runs this late slept with the machine or was held back in a hidden tab; the answer may lie
      // in the queue behind it. Ask once more before calling it dead, but only once.
      if (this.#forgiven || now - this.#deadline < this.#timeoutMs) return "dead";
      this.#forgiven = true;
      this.#deadline = Infinity;
      return this.#beat(now);
    }
    return now >= this.#beatAt ? this.#beat(now) : undefined;
  }

  /** Is asked for outside the rhythm, when there is reason to doubt: it beats unless life was seen lately. */
  check(now: number): "beat" | undefined {
    return now - this.#lifeAt >= this.#intervalMs && !this.waits ? this.#beat(now) : undefined;
  }

  pollTimeout(): number {
    return Math.min(this.#beatAt, this.#deadline);
  }

  /** An answer is waited for. */
  get waits(): boolean {
    return this.#deadline !== Infinity;
  }

  #beat(now: number): "beat" {
    this.#beatAt = now + this.#intervalMs;
    // The first question that nobody answered sets the deadline.
    this.#deadline = Math.min(this.#deadline, now + this.#timeoutMs);
    return "beat";
  }
}
