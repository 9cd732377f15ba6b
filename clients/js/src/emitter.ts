// Events: the browser's EventTarget, or a small one where there is none (mini programs), and the `on…` properties.

/** Whether this place has events of its own. Old ones have the names and refuse to construct. */
const native = (() => {
  try {
    return new EventTarget() && new Event("x") && true;
  } catch {
    return false;
  }
})();

/** As much of an Event as a listener looks at. */
class PlainEvent {
  target: unknown = null;
  currentTarget: unknown = null;
  readonly defaultPrevented = false;
  readonly type: string;

  constructor(type: string, init: object = {}) {
    this.type = type;
    Object.assign(this, init);
  }

  preventDefault(): void {}
  stopPropagation(): void {}
  stopImmediatePropagation(): void {}
}

interface Registered {
  readonly type: string;
  readonly listener: EventListenerOrEventListenerObject;
  readonly once: boolean;
}

/** As much of an EventTarget as a WebSocket needs: nothing bubbles here. */
class PlainTarget {
  #registered: Registered[] = [];

  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    if (!listener || this.#registered.some((one) => one.type === type && one.listener === listener)) return;
    const once = typeof options === "object" && options.once === true;
    this.#registered = [...this.#registered, { type, listener, once }];
  }

  removeEventListener(type: string, listener: EventListenerOrEventListenerObject | null): void {
    this.#registered = this.#registered.filter((one) => one.type !== type || one.listener !== listener);
  }

  dispatchEvent(event: Event): boolean {
    Object.assign(event, { target: this, currentTarget: this });
    for (const one of this.#registered) {
      // A listener that an earlier one has removed isn't called.
      if (one.type !== event.type || !this.#registered.includes(one)) continue;
      if (one.once) this.removeEventListener(one.type, one.listener);
      try {
        if (typeof one.listener === "function") one.listener.call(this as unknown as EventTarget, event);
        else one.listener.handleEvent(event);
      } catch (error) {
        report(error);
      }
    }
    return true;
  }
}

/** The error of somebody's function: it is shown as uncaught, and stops nobody else. */
export function report(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}

/** What a socket is. */
export const Target = (native ? EventTarget : PlainTarget) as typeof EventTarget;

/** What its events are. */
export const BaseEvent = (native ? Event : PlainEvent) as typeof Event;

type Handler = (event: Event) => unknown;

/** An EventTarget with properties such as `onopen`, each of which is a listener that can be replaced in its place. */
export class Emitter extends Target {
  readonly #handlers = new Map<string, Handler | null>();

  protected handler<T>(type: string): T | null {
    return (this.#handlers.get(type) as T | null | undefined) ?? null;
  }

  protected setHandler(type: string, value: unknown): void {
    const handler = typeof value === "function" ? (value as Handler) : null;
    if (!this.#handlers.get(type)) {
      // HTML, "event handlers": the place in the order is that of the first function; without one there is none.
      this.removeEventListener(type, this.#call);
      if (handler) this.addEventListener(type, this.#call);
    }
    this.#handlers.set(type, handler);
  }

  readonly #call = (event: Event): void => {
    this.#handlers.get(event.type)?.call(this, event);
  };
}
