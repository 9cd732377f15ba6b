// EventTarget and Event: the browser's own, or small replacements where there are none (mini programs); `on…` properties.

/** Whether EventTarget and Event can be constructed here. Old mini programs have the names only. */
const native = (() => {
  try {
    return new EventTarget() && new Event("x") && true;
  } catch {
    return false;
  }
})();

/** The properties and methods of an Event that listeners use. */
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

/** An EventTarget without bubbling and capturing, which a WebSocket doesn't need. */
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
      // A listener that an earlier listener has removed isn't called.
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

/** Throws the error of a listener or an option outside of our call stack, so that it is logged as uncaught and stops nothing. */
export function report(error: unknown): void {
  setTimeout(() => {
    throw error;
  });
}

/** The base class of a socket. */
export const Target = (native ? EventTarget : PlainTarget) as typeof EventTarget;

/** The base class of its events. */
export const BaseEvent = (native ? Event : PlainEvent) as typeof Event;

type Handler = (event: Event) => unknown;

/** An EventTarget with properties such as `onopen`: a new handler takes the place of the old one in the order of listeners. */
export class Emitter extends Target {
  readonly #handlers = new Map<string, Handler | null>();

  protected handler<T>(type: string): T | null {
    return (this.#handlers.get(type) as T | null | undefined) ?? null;
  }

  protected setHandler(type: string, value: unknown): void {
    const handler = typeof value === "function" ? (value as Handler) : null;
    if (!this.#handlers.get(type)) {
      // HTML, "event handlers": a handler keeps the place in the order that its first function got, until it is null.
      this.removeEventListener(type, this.#call);
      if (handler) this.addEventListener(type, this.#call);
    }
    this.#handlers.set(type, handler);
  }

  readonly #call = (event: Event): void => {
    this.#handlers.get(event.type)?.call(this, event);
  };
}
