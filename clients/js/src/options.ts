// What a socket can be told, and what holds if it isn't.
import { BACKOFF_DEFAULTS, type BackoffOptions } from "./backoff.js";
import { type Environment, PLATFORM } from "./environment.js";
import { HEARTBEAT_DEFAULTS, type HeartbeatOptions } from "./heartbeat.js";
import { QUEUE_DEFAULTS, type QueueOptions } from "./queue.js";
import type { Ended } from "./state.js";

/** A value, or a function that makes it before each attempt: fresh tokens. */
export type Fresh<T> = T | (() => T | PromiseLike<T>);

/** What this library needs of a WebSocket; the browser's, Node's and npm `ws`'s have it. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly extensions: string;
  readonly protocol: string;
  readonly readyState: number;
  readonly url: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  // A method, so that one which takes less than everything is good enough.
  send(data: never): void;
  close(code?: number, reason?: string): void;
}

/** Makes such a WebSocket: the class itself. */
export type WebSocketConstructor = new (url: string | URL, protocols?: string | string[]) => WebSocketLike;

export interface Options {
  /** How long to wait before the next attempt. */
  readonly backoff?: BackoffOptions;
  /** Off unless given: it needs a message that the server understands. */
  readonly heartbeat?: HeartbeatOptions;
  /** What is kept while there is no connection. */
  readonly queue?: QueueOptions;
  /** Close codes after which it would be no use to come back. Default `[1008]`. */
  readonly finalCodes?: readonly number[];
  /**
   * Decides instead of `finalCodes` whether to try again. `failures` counts the attempts in a row that failed before
   * this one.
   */
  readonly retry?: (ended: Ended, failures: number) => boolean;
  /**
   * How many attempts in a row may fail after a connection was lost, or after the first attempt failed. When all of them
   * have, the socket is closed, and its `state` event has the `stopReason` "maxRetries". Attempts that are made while
   * the browser reports no network don't count. Default `Infinity`; 0 never reconnects.
   */
  readonly maxRetries?: number;
  /** Whether to start closed, without an attempt, until `connect()` or `reconnect()` is called. Default false. */
  readonly startClosed?: boolean;
  /** Milliseconds for one attempt, including the functions for `url` and `protocols`. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds that `close()` waits for the other side's goodbye. Default 5 000. */
  readonly closeTimeoutMs?: number;
  /** The implementation. Default: the global one. */
  readonly WebSocket?: unknown;
  /** Clock, timers, luck, network and page: for tests, and for places that aren't browsers. */
  readonly environment?: Partial<Environment>;
}

export interface Settings {
  readonly backoff: Required<BackoffOptions>;
  readonly heartbeat: (HeartbeatOptions & typeof HEARTBEAT_DEFAULTS) | undefined;
  readonly queue: Required<QueueOptions>;
  readonly retry: (ended: Ended, failures: number) => boolean;
  readonly maxRetries: number;
  readonly startClosed: boolean;
  readonly connectTimeoutMs: number;
  readonly closeTimeoutMs: number;
  readonly WebSocket: WebSocketConstructor;
  readonly environment: Environment;
}

/** Fills in the defaults; refuses what can't work, and what there isn't. */
export function settings(options: Options): Settings {
  const implementation = options.WebSocket ?? (typeof WebSocket === "function" ? WebSocket : undefined);
  if (typeof implementation !== "function") {
    throw new TypeError("No WebSocket here: pass one as options.WebSocket, such as npm `ws`");
  }
  const { finalCodes = [POLICY_VIOLATION] } = options;
  const result: Settings = {
    backoff: { ...BACKOFF_DEFAULTS, ...options.backoff },
    heartbeat: options.heartbeat && { ...HEARTBEAT_DEFAULTS, ...options.heartbeat },
    queue: { ...QUEUE_DEFAULTS, ...options.queue },
    retry: options.retry ?? ((ended) => !finalCodes.includes(ended.code)),
    maxRetries: options.maxRetries ?? Infinity,
    startClosed: options.startClosed ?? false,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    closeTimeoutMs: options.closeTimeoutMs ?? 5_000,
    WebSocket: implementation as WebSocketConstructor,
    environment: { ...PLATFORM, ...options.environment },
  };
  checkNames("options", options, { ...result, finalCodes });
  checkNames("options.backoff", options.backoff, BACKOFF_DEFAULTS);
  checkNames("options.heartbeat", options.heartbeat, { ...HEARTBEAT_DEFAULTS, message: 0, reply: 0 });
  checkNames("options.queue", options.queue, QUEUE_DEFAULTS);
  checkNames("options.environment", options.environment, PLATFORM);
  if (result.heartbeat && result.heartbeat.message === undefined) {
    // Text that the server doesn't expect could be passed on to everybody in a room, or end the connection.
    throw new TypeError("options.heartbeat.message is missing");
  }
  checkNumbers({ ...result.backoff, ...result.heartbeat, ...result.queue, ...result });
  return result;
}

/** An option that nobody reads, such as one of another library, would be missed in silence. */
function checkNames(place: string, given: object | undefined, known: object): void {
  const names = Object.keys(known);
  for (const name of Object.keys(given ?? {})) {
    if (!names.includes(name)) throw new TypeError(`Unknown ${place}.${name}: known are ${names}`);
  }
}

/** A limit that is no number would be no limit. */
function checkNumbers(values: object): void {
  for (const [name, value] of Object.entries(values)) {
    // A heart that beats without a pause would be the end of the page.
    const least = name === "intervalMs" ? 1 : 0;
    if (/(Ms|Max|Retries)$/.test(name) && !(value >= least))
      throw new RangeError(`${name}: ${value} is not a number >= ${least}`);
  }
}

/** RFC 6455 section 7.4.1: "when there is no other more suitable status code" to say that we aren't wanted. */
const POLICY_VIOLATION = 1008;
