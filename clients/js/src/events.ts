// The events of a socket: the four of a WebSocket, `state` and `dropped`.
import { BaseEvent } from "./emitter.js";
import type { Data } from "./message.js";
import type { State } from "./state.js";

/** The state has changed. */
export class StateEvent extends BaseEvent {
  readonly state: State;

  constructor(state: State) {
    super("state");
    this.state = state;
  }
}

/**
 * Why messages were dropped:
 *
 * - `overflow`: the queue was full;
 * - `expired`: they waited longer than `queue.lifetimeMs`;
 * - `closed`: the socket is closed, so no connection will send them;
 * - `unsent`: the connection was lost before the browser had passed them to the network.
 */
export type DropReason = "overflow" | "expired" | "closed" | "unsent";

/** Messages that `send` accepted will not be sent. */
export class DroppedEvent extends BaseEvent {
  readonly reason: DropReason;
  /** Oldest first. Empty for `unsent`: a browser reports how many bytes it had not sent, but not which messages. */
  readonly messages: readonly Data[];
  readonly bytes: number;

  constructor(reason: DropReason, messages: readonly Data[], bytes: number) {
    super("dropped");
    this.reason = reason;
    this.messages = messages;
    this.bytes = bytes;
  }
}

/** An attempt or a connection has failed. As with a WebSocket, the `close` event that follows has code and reason. */
export class FailureEvent extends BaseEvent {
  /** The exception of a function for `url` or `protocols`, or of the WebSocket constructor; otherwise undefined. */
  readonly error: unknown;
  readonly message: string;

  constructor(message: string, error: unknown) {
    super("error");
    this.message = message;
    this.error = error;
  }
}

/** Returns a `message` event. */
export function messageEvent(data: unknown, origin: string): MessageEvent {
  return event("message", { data, origin, lastEventId: "", source: null, ports: [] }, () => MessageEvent);
}

/** Returns a `close` event. */
export function closeEvent(code: number, reason: string, wasClean: boolean): CloseEvent {
  return event("close", { code, reason, wasClean }, () => CloseEvent);
}

/** Returns the browser's own event, or one with the same properties where there is none (Node 20, mini programs). */
function event<E extends Event, I extends object>(
  type: string,
  properties: I,
  native: () => new (type: string, init: I) => E,
): E {
  let Native: (new (type: string, init: I) => E) | undefined;
  try {
    Native = native();
  } catch {
    // The class isn't defined on this platform.
  }
  // Our EventTarget dispatches only events that are derived from its own Event class.
  if (Native && Native.prototype instanceof BaseEvent) return new Native(type, properties);
  return Object.assign(new BaseEvent(type), properties) as unknown as E;
}
