// What is around the socket: clock, timers, luck, and what the browser knows of network and page.

/** Can be given in parts: what is missing is the browser's, or Node's. */
export interface Environment {
  /** Milliseconds since any moment. Must not go back, and should go on while the machine sleeps. */
  now(): number;
  /** Uniform in [0, 1). */
  random(): number;
  setTimeout(callback: () => void, delayMs: number): unknown;
  clearTimeout(timer: unknown): void;
  /** The browser's opinion of the network, at the start. */
  online(): boolean;
  /** Calls back when the network goes or returns; answers with a function that ends that. */
  onNetwork(callback: (online: boolean) => void): () => void;
  /** Calls back when the page is looked at again or the program is woken; answers with a function that ends that. */
  onVisible(callback: () => void): () => void;
}

/** The environment of a page, a worker or Node: whatever of it is there. */
export const PLATFORM: Environment = {
  now: steadyClock(),
  random: () => Math.random(),
  setTimeout: (callback, delay) => setTimeout(callback, Math.min(delay, TIMER_MS_MAX)),
  clearTimeout: (timer) => clearTimeout(timer as number),
  online: () => typeof navigator !== "object" || navigator.onLine !== false,
  onNetwork(callback) {
    const online = () => callback(true);
    const offline = () => callback(false);
    return joined(listen(globalThis, "online", online), listen(globalThis, "offline", offline));
  },
  onVisible(callback) {
    if (typeof document !== "object") return () => {};
    const visible = () => {
      if (document.visibilityState === "visible") callback();
    };
    // `resume`: a tab that was frozen; `pageshow`: one that comes back out of the history.
    return joined(
      listen(document, "visibilitychange", visible),
      listen(document, "resume", callback),
      listen(globalThis, "pageshow", callback),
    );
  },
};

/**
 * `Date.now`, which goes on while the machine sleeps (`performance.now` doesn't everywhere), but for steps back: when
 * somebody sets the clock back by an hour, nothing here shall wait for an hour.
 */
export function steadyClock(): () => number {
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

function joined(...ends: (() => void)[]): () => void {
  return () => {
    for (const end of ends) end();
  };
}

/** A timer can't be set for longer; one that fires early is set again. */
const TIMER_MS_MAX = 0x7fffffff;
