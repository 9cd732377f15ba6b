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
  /**
   * Milliseconds. A long message looks like silence until all of it is there, so each connection that is given up makes
   * the next one's time-out twice as long, up to this. It halves again with every twenty answers in a row that came
   * within `timeoutMs`. Default 300 000.
   */
  readonly timeoutMsMax?: number;
  /**
   * What is sent, or a function that makes it. Browsers can't send pings, so it is a message, and the server has to
   * understand it. There is no default: a broadcast room would pass it on to everybody.
   */
  readonly message: string | ArrayBufferLike | ArrayBufferView<ArrayBufferLike> | (() => string | ArrayBufferLike);
  /**
   * The answer. One for each beat is kept from the page, whenever it comes; every other message is life too, and goes to
   * the page. A function tells by the data. Default: any message is taken for an answer, and goes to the page.
   */
  readonly reply?: string | ((data: unknown) => boolean);
}

/** Milliseconds. Proxies cut after 60 s; 300 s are 5 MB at 16 KiB/s. */
export const HEARTBEAT_DEFAULTS = { intervalMs: 25_000, timeoutMs: 10_000, timeoutMsMax: 300_000 };

/**
 * Inputs are `start`, `handleLife`, `handleAnswer` and `handleTimeout`; afterwards ask `pollTimeout` when to call again.
 *
 * ```text
 *            intervalMs                    patience
 *   quiet ───────────────> "beat": asked ─────────────> "dead": the next connection has twice the patience
 *     ^                      │  timer ran late: "beat" again, once
 *     └────── any message ───┘
 * ```
 *
 * Whether the other side answers at all is taken for granted at first. Once a connection has ended as dead before any
 * answer ever came, it is doubted: beats go out, and nobody waits for an answer until there has been one.
 */
export class Heartbeat {
  /** The next beat, whether or not an answer is missing. */
  #beatAt = Infinity;
  /** `Infinity` while no answer is waited for. */
  #deadline = Infinity;
  #lifeAt = 0;
  /** When the answer that is waited for was asked for. */
  #askedAt = 0;
  /** Beats of this connection that have no answer yet. */
  #owed = 0;
  /** `timeoutMs <= #patienceMs`, over all connections. */
  #patienceMs: number;
  /** Waits in a row that ended within `timeoutMs`. */
  #prompt = 0;
  /** Whether the other side answers; `undefined`: taken for granted. */
  #answers: boolean | undefined;
  /** A late timer has been forgiven since the last sign of life. */
  #forgiven = false;

  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #timeoutMsMax: number;

  constructor({ intervalMs, timeoutMs, timeoutMsMax }: typeof HEARTBEAT_DEFAULTS) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#timeoutMsMax = Math.max(timeoutMs, timeoutMsMax);
    this.#patienceMs = timeoutMs;
  }

  /** A connection has opened. */
  start(now: number): void {
    this.#beatAt = now + this.#intervalMs;
    this.#owed = 0;
    this.#deadline = Infinity;
    this.handleLife(now);
  }

  /** Something came from the other side. */
  handleLife(now: number): void {
    if (this.waits) {
      this.#prompt = now - this.#askedAt > this.#timeoutMs ? 0 : this.#prompt + 1;
      if (this.#prompt >= PROMPT) {
        this.#prompt = 0;
        this.#patienceMs = Math.max(this.#timeoutMs, this.#patienceMs / 2);
      }
    }
    this.#lifeAt = now;
    this.#deadline = Infinity;
    this.#forgiven = false;
  }

  /** One of the beats was answered. */
  handleAnswer(): void {
    this.#owed -= 1;
    this.#answers = true;
  }

  /** What is to be done now, if anything. After "beat" the beat counts as sent. */
  handleTimeout(now: number): "beat" | "dead" | undefined {
    if (now >= this.#deadline) {
      // A timer that runs this late slept with the machine or was held back in a hidden tab; the answer may lie
      // in the queue behind it. Ask once more before calling it dead, but only once.
      if (this.#forgiven || now - this.#deadline < this.#patienceMs) {
        this.#patienceMs = Math.min(this.#patienceMs * 2, this.#timeoutMsMax);
        this.#prompt = 0;
        this.#answers ??= false;
        return "dead";
      }
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

  /** An answer may come. */
  get owed(): boolean {
    return this.#owed > 0;
  }

  /** Silence after a beat is a sign of death. */
  get isAnswered(): boolean {
    return this.#answers !== false && this.#timeoutMs !== Infinity;
  }

  #beat(now: number): "beat" {
    this.#beatAt = now + this.#intervalMs;
    this.#owed += 1;
    // The first question that nobody answered sets the deadline.
    if (!this.waits && this.isAnswered) {
      this.#askedAt = now;
      this.#deadline = now + this.#patienceMs;
    }
    return "beat";
  }
}

/** Eight minutes' worth at the default rhythm: a page that loads something long every few minutes stays with what it needs. */
const PROMPT = 20;
