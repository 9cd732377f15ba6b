// The messages that were sent while there was no connection: bounded, in order, and every dropped message is returned.
import { QueueFullError } from "./errors.js";
import { byteLength, type Data, snapshot } from "./message.js";

/** How many messages are kept while there is no connection, for how long, and what happens when the queue is full. */
export interface QueueOptions {
  /** Messages. Default 1 000; 0 keeps nothing. */
  readonly messagesMax?: number;
  /** Bytes of all messages together. Default 1 MiB. */
  readonly bytesMax?: number;
  /**
   * Milliseconds. A message that has been queued for longer is dropped, with a `dropped` event. Default `Infinity`.
   */
  readonly lifetimeMs?: number;
  /** What `send` does when the queue is full: throw a QueueFullError, or drop the oldest messages. Default "reject". */
  readonly whenFull?: "reject" | "drop-oldest";
}

/** 1 MiB is more than anybody types, and little for a phone. */
export const QUEUE_DEFAULTS: Required<QueueOptions> = {
  messagesMax: 1_000,
  bytesMax: 1 << 20,
  lifetimeMs: Infinity,
  whenFull: "reject",
};

interface QueuedMessage {
  readonly data: Data;
  readonly bytes: number;
  /** `Infinity`: never. */
  readonly expiresAt: number;
}

/** A queue of messages with limits for their number, bytes and age. */
export class Queue {
  readonly #options: Required<QueueOptions>;
  /** Oldest first; `expiresAt` never decreases. */
  readonly #messages: QueuedMessage[] = [];
  /** The sum of `bytes` of all messages. */
  #bytes = 0;

  constructor(options: Required<QueueOptions>) {
    this.#options = options;
  }

  /** Appends a message and returns the older messages that were dropped for it; throws a QueueFullError if it doesn't fit. */
  push(data: Data, now: number): Data[] {
    const { messagesMax, bytesMax, lifetimeMs, whenFull } = this.#options;
    const bytes = byteLength(data);
    // An empty queue has no room for it either, so nothing is dropped for it.
    const neverFits = messagesMax < 1 || bytes > bytesMax;
    const dropped: Data[] = [];
    while (this.#messages.length >= messagesMax || this.#bytes + bytes > bytesMax) {
      if (neverFits || whenFull === "reject") {
        throw new QueueFullError(`its limit of ${messagesMax} messages or ${bytesMax} bytes`);
      }
      dropped.push(...this.#shift());
    }
    this.#messages.push({ data: snapshot(data), bytes, expiresAt: now + lifetimeMs });
    this.#bytes += bytes;
    return dropped;
  }

  /** Removes and returns the oldest message. */
  shift(): Data | undefined {
    return this.#shift()[0];
  }

  /** Removes and returns the messages that have expired. */
  expire(now: number): Data[] {
    const expired: Data[] = [];
    while (now >= this.pollTimeout()) expired.push(...this.#shift());
    return expired;
  }

  /** Removes and returns all messages. */
  clear(): Data[] {
    const all = this.#messages.map(({ data }) => data);
    this.#messages.length = 0;
    this.#bytes = 0;
    return all;
  }

  /** Returns when the oldest message expires. */
  pollTimeout(): number {
    return this.#messages[0]?.expiresAt ?? Infinity;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#messages.length;
  }

  #shift(): Data[] {
    const oldest = this.#messages.shift();
    if (!oldest) return [];
    this.#bytes -= oldest.bytes;
    return [oldest.data];
  }
}
