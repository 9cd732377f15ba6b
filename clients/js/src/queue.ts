// What the page sent while there was no connection. Bounded, in order, and never silent about what it loses.
import { QueueFullError } from "./errors.js";
import { byteLength, type Data, snapshot } from "./message.js";

/** How much may wait while there is no connection, for how long, and what happens beyond that. */
export interface QueueOptions {
  /** Messages. Default 1 000; 0 keeps nothing. */
  readonly messagesMax?: number;
  /** Bytes of all messages together. Default 1 MiB. */
  readonly bytesMax?: number;
  /**
   * Milliseconds. A message that has waited longer is dropped, with a `dropped` event. Default `Infinity`.
   */
  readonly lifetimeMs?: number;
  /** What `send` does when the queue is full: throw a `QueueFullError`, or drop the oldest. Default "reject". */
  readonly whenFull?: "reject" | "drop-oldest";
}

/** Bytes: 1 MiB is more than anybody types, and nothing to a phone. */
export const QUEUE_DEFAULTS: Required<QueueOptions> = {
  messagesMax: 1_000,
  bytesMax: 1 << 20,
  lifetimeMs: Infinity,
  whenFull: "reject",
};

interface Waiting {
  readonly data: Data;
  readonly bytes: number;
  /** `Infinity`: waits as long as it takes. */
  readonly expiresAt: number;
}

export class Queue {
  readonly #options: Required<QueueOptions>;
  /** Oldest first; `expiresAt` never falls. */
  readonly #waiting: Waiting[] = [];
  /** The sum of `bytes` over what waits. */
  #bytes = 0;

  constructor(options: Required<QueueOptions>) {
    this.#options = options;
  }

  /** Keeps a message, or throws a QueueFullError; answers with what had to go for it. */
  push(data: Data, now: number): Data[] {
    const { messagesMax, bytesMax, lifetimeMs, whenFull } = this.#options;
    const bytes = byteLength(data);
    // If not even an empty queue has room for it, dropping the others is of no use.
    const neverFits = messagesMax < 1 || bytes > bytesMax;
    const dropped: Data[] = [];
    while (this.#waiting.length >= messagesMax || this.#bytes + bytes > bytesMax) {
      if (neverFits || whenFull === "reject") {
        throw new QueueFullError(`its limit of ${messagesMax} messages or ${bytesMax} bytes`);
      }
      dropped.push(...this.#shift());
    }
    this.#waiting.push({ data: snapshot(data), bytes, expiresAt: now + lifetimeMs });
    this.#bytes += bytes;
    return dropped;
  }

  /** Takes the oldest message: none or one. */
  shift(): Data | undefined {
    return this.#shift()[0];
  }

  /** Takes what has waited for too long. */
  expire(now: number): Data[] {
    const expired: Data[] = [];
    while (now >= this.pollTimeout()) expired.push(...this.#shift());
    return expired;
  }

  /** Takes everything. */
  clear(): Data[] {
    const all = this.#waiting.map((waiting) => waiting.data);
    this.#waiting.length = 0;
    this.#bytes = 0;
    return all;
  }

  /** When the oldest message expires. */
  pollTimeout(): number {
    return this.#waiting[0]?.expiresAt ?? Infinity;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#waiting.length;
  }

  #shift(): Data[] {
    const oldest = this.#waiting.shift();
    if (!oldest) return [];
    this.#bytes -= oldest.bytes;
    return [oldest.data];
  }
}
