// The events of a socket: the browser's own four, and two more.
import { BaseEvent } from "./emitter.js";
import type { Data } from "./message.js";
import type { State } from "./state.js";

/** Something has changed that a page may want to show. */
export class StateEvent extends BaseEvent {
  readonly state: State;

  constructor(state: State) {
    super("state");
    this.state = state;
  }
}

/**
 * Why messages are gone: no room for them (`overflow`), waited longer than `lifetimeMs` (`expired`), no connection will
 * come for them (`closed`), or the connection broke before the browser had handed them to the network (`unsent`).
 */
export type DropReason = "overflow" | "expired" | "closed" | "unsent";

/** Messages of the page will not arrive. */
export class DroppedEvent extends BaseEvent {
  readonly reason: DropReason;
  /** Oldest first. Empty for `unsent`: a browser tells how much it still had, not which messages. */
  readonly messages: readonly Data[];
  readonly bytes: number;

  constructor(reason: DropReason, messages: readonly Data[], bytes: number) {
    super("dropped");
    this.reason = reason;
    this.messages = messages;
    this.bytes = bytes;
  }
}

/** An attempt or a connection has failed. As in browsers, the `close` event that follows says how it ended. */
export class FailureEvent extends BaseEvent {
  /** What a function for `url` or `protocols` has thrown, or the WebSocket constructor. */
  readonly error: unknown;
  readonly message: string;

  constructor(message: string, error: unknown) {
    super("error");
    this.message = message;
    this.error = error;
  }
}

/** A message has come. */
export function messageEvent(data: unknown, origin: string): MessageEvent {
  return event("message", { data, origin, lastEventId: "", source: null, ports: [] }, () => MessageEvent);
}

/** A connection or an attempt has ended. */
export function closeEvent(code: number, reason: string, wasClean: boolean): CloseEvent {
  return event("close", { code, reason, wasClean }, () => CloseEvent);
}

/** The browser's own event, or where there is none (Node 20, mini programs) one with the same properties. */
function event<E extends Event, I extends object>(
  type: string,
  properties: I,
  native: () => new (type: string, init: I) => E,
): E {
  let Native: (new (type: string, init: I) => E) | undefined;
  try {
    Native = native();
  } catch {
    // The name isn't defined here.
  }
  // Only if it is the kind of event that our target dispatches.
  if (Native && Native.prototype instanceof BaseEvent) return new Native(type, properties);
  return Object.assign(new BaseEvent(type), properties) as unknown as E;
}
