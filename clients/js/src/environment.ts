// What the socket needs from its platform: clock, timers, random numbers, network status and page visibility.

/** Every part can be replaced by itself; the others stay the browser's, or Node's. */
export interface Environment {
  /** Returns milliseconds since any moment. Must never go back, and should go on while the machine sleeps. */
  now(): number;
  /** Returns a random number, uniform in [0, 1). */
  random(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
  /** Returns whether the browser reports a network. Asked before the first attempt. */
  online(): boolean;
  /** Calls back when the browser reports that the network is lost or restored; returns a function that unsubscribes. */
  onNetwork(callback: (online: boolean) => void): () => void;
  /** Calls back when the page becomes visible or the program is resumed; returns a function that unsubscribes. */
  onVisible(callback: () => void): () => void;
}

/** The environment of a page, a worker or Node. Parts that the platform lacks do nothing. */
export const PLATFORM: Environment = {
  now: monotonicClock(),
  random: () => Math.random(),
  setTimeout: (callback, delay) => setTimeout(callback, Math.min(delay, TIMER_MS_MAX)),
  clearTimeout: (timer) => clearTimeout(timer as number),
  online: () => typeof navigator !== "object" || navigator.onLine !== false,
  onNetwork(callback) {
    const online = () => callback(true);
    const offline = () => callback(false);
    return endAll(listen(globalThis, "online", online), listen(globalThis, "offline", offline));
  },
  onVisible(callback) {
    if (typeof document !== "object") return () => {};
    const visible = () => {
      if (document.visibilityState === "visible") callback();
    };
    // `resume`: the tab was frozen. `pageshow`: the page comes from the back/forward cache.
    return endAll(
      listen(document, "visibilitychange", visible),
      listen(document, "resume", callback),
      listen(globalThis, "pageshow", callback),
    );
  },
};

/**
 * Returns a clock like `Date.now` that never goes back, so that no timer is an hour late when the clock is set back by an
 * hour. `performance.now` is no substitute: on some platforms it stops while the machine sleeps.
 */
export function monotonicClock(): () => number {
  let last = Date.now();
  let lost = 0;
  return () => {
    const wall = Date.now();
    if (wall < last) lost += last - wall;
    last = wall;
    return wall + lost;
  };
}

function listen(target: Partial<EventTarget>, type: string, listener: () => void): () => void {
  target.addEventListener?.(type, listener);
  return () => target.removeEventListener?.(type, listener);
}

function endAll(...ends: (() => void)[]): () => void {
  return () => {
    for (const end of ends) end();
  };
}

/** Milliseconds. The longest delay of `setTimeout`; a timer that fires early is set again. */
const TIMER_MS_MAX = 0x7fffffff;
