// The options of a socket, their defaults and their checks.
import { BACKOFF_DEFAULTS, type BackoffOptions } from "./backoff.js";
import { type Environment, PLATFORM } from "./environment.js";
import { HEARTBEAT_DEFAULTS, type HeartbeatOptions } from "./heartbeat.js";
import { QUEUE_DEFAULTS, type QueueOptions } from "./queue.js";
import type { Ended } from "./state.js";

/** A value, or a function that is called before each attempt, for example to get a fresh token. */
export type Fresh<T> = T | (() => T | PromiseLike<T>);

/** The part of WebSocket that this library uses. The WebSockets of browsers, Node and npm `ws` have it. */
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
  // A method and not a property, so that an implementation may accept fewer types.
  send(data: never): void;
  close(code?: number, reason?: string): void;
}

/** The class of such a WebSocket. */
export type WebSocketConstructor = new (url: string | URL, protocols?: string | string[]) => WebSocketLike;

/** The options of a ReconnectingSocket. */
export interface Options {
  /** The delay before the next attempt. */
  readonly backoff?: BackoffOptions;
  /** Sends messages to keep the connection open and to detect a dead one. Off by default. */
  readonly heartbeat?: HeartbeatOptions;
  /** The messages that are sent while there is no connection. */
  readonly queue?: QueueOptions;
  /** Close codes after which the socket doesn't reconnect. Default `[1008]`. */
  readonly finalCodes?: readonly number[];
  /**
   * Returns whether to reconnect, instead of `finalCodes`. `failures` is `State.failures` before this ending. If it throws,
   * the error is reported as uncaught and the socket reconnects.
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
  /** Milliseconds. The time limit of one attempt, including the functions for `url` and `protocols`. Default 10 000. */
  readonly connectTimeoutMs?: number;
  /** Milliseconds. How long `close()` waits for the server's Close frame. Default 5 000. */
  readonly closeTimeoutMs?: number;
  /** The WebSocket class to use. Default: the global one. */
  readonly WebSocket?: unknown;
  /** Clock, timers, random numbers, network and page visibility: for tests, and for platforms that aren't browsers. */
  readonly environment?: Partial<Environment>;
}

/** The options with their defaults filled in. */
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

/** Fills in the defaults; throws a TypeError for an unknown or missing option, a RangeError for a wrong number. */
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
    // There is no default: a server could forward a text that it doesn't expect to everybody, or close the connection.
    throw new TypeError("options.heartbeat.message is missing");
  }
  checkNumbers({ ...result.backoff, ...result.heartbeat, ...result.queue, ...result });
  return result;
}

/** Throws for a name that isn't an option: a misspelt one, or one of another library, would otherwise be ignored. */
function checkNames(place: string, given: object | undefined, known: object): void {
  const names = Object.keys(known);
  for (const name of Object.keys(given ?? {})) {
    if (!names.includes(name)) throw new TypeError(`Unknown ${place}.${name}: known are ${names}`);
  }
}

/** Throws for a limit that is negative or not a number: comparisons with NaN are false, so it would limit nothing. */
function checkNumbers(values: object): void {
  for (const [name, value] of Object.entries(values)) {
    // A heartbeat every 0 ms would block the page.
    const least = name === "intervalMs" ? 1 : 0;
    if (/(Ms|Max|Retries)$/.test(name) && !(value >= least))
      throw new RangeError(`${name}: ${value} is not a number >= ${least}`);
  }
}

/** RFC 6455 section 7.4.1: the server ends the connection because of the client, and gives no better code. */
const POLICY_VIOLATION = 1008;
