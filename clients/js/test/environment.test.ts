import assert from "node:assert/strict";
import { test } from "node:test";
import { monotonicClock, PLATFORM } from "../src/environment.js";

/** Defines global variables while `run` runs. */
function withGlobals(things: Record<string, unknown>, run: () => void): void {
  const before = Object.keys(things).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(things)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  try {
    run();
  } finally {
    for (const [name, old] of before) {
      if (old) Object.defineProperty(globalThis, name, old);
      else Reflect.deleteProperty(globalThis, name);
    }
  }
}

test("outside of a browser there is a network, and there are no events", () => {
  assert.equal(PLATFORM.online(), true);
  PLATFORM.onVisible(() => assert.fail("no page"))();
  PLATFORM.onNetwork(() => assert.fail("no network events"))();
});

test("navigator.onLine is read, and its events are listened to", () => {
  const page = new EventTarget();
  const opinions: boolean[] = [];
  const listening = {
    navigator: { onLine: false },
    addEventListener: page.addEventListener.bind(page),
    removeEventListener: page.removeEventListener.bind(page),
  };
  withGlobals(listening, () => {
    assert.equal(PLATFORM.online(), false);
    const end = PLATFORM.onNetwork((online) => opinions.push(online));
    page.dispatchEvent(new Event("offline"));
    page.dispatchEvent(new Event("online"));
    end();
    page.dispatchEvent(new Event("offline"));
  });
  assert.deepEqual(opinions, [false, true]);
});

test("a page that becomes visible or is resumed calls back, a hidden one doesn't", () => {
  const document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  let calls = 0;
  withGlobals({ document }, () => {
    const end = PLATFORM.onVisible(() => {
      calls += 1;
    });
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(calls, 0);
    document.visibilityState = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    assert.equal(calls, 1);
    document.dispatchEvent(new Event("resume"));
    assert.equal(calls, 2);
    end();
    document.dispatchEvent(new Event("resume"));
  });
  assert.equal(calls, 2);
});

test("a delay beyond the platform's maximum is shortened, not fired at once", () => {
  const timer = PLATFORM.setTimeout(() => assert.fail("too early"), 2 ** 40) as NodeJS.Timeout;
  assert.ok(timer.hasRef());
  PLATFORM.clearTimeout(timer);
});

test("a clock that is set back doesn't go back, and it jumps forward after sleep", (context) => {
  let wall = 1_000_000;
  context.mock.method(Date, "now", () => wall);
  const now = monotonicClock();
  const start = now();
  wall += 500;
  assert.equal(now() - start, 500);
  wall -= 3_600_000;
  assert.equal(now() - start, 500);
  wall += 250;
  assert.equal(now() - start, 750);
  wall += 8 * 3_600_000;
  assert.equal(now() - start, 8 * 3_600_000 + 750);
});
