import assert from "node:assert/strict";
import { test } from "node:test";
import { closeEvent, DroppedEvent, FailureEvent, messageEvent, StateEvent } from "../src/events.js";

test("message and close events are the platform's own where it has them", () => {
  const message = messageEvent("hello", "ws://example.com");
  assert.ok(message instanceof MessageEvent);
  assert.deepEqual([message.type, message.data, message.origin], ["message", "hello", "ws://example.com"]);
  const close = closeEvent(4001, "bye", true);
  assert.equal(close instanceof Event, true);
  if (typeof CloseEvent === "function") assert.ok(close instanceof CloseEvent);
  assert.deepEqual([close.type, close.code, close.reason, close.wasClean], ["close", 4001, "bye", true]);
});

test("the platform's CloseEvent is used if there is one", () => {
  class Close extends Event {
    readonly init: unknown;
    constructor(type: string, init: unknown) {
      super(type);
      this.init = init;
    }
  }
  const { CloseEvent } = globalThis;
  Object.assign(globalThis, { CloseEvent: Close });
  try {
    const close = closeEvent(1000, "", true);
    assert.ok(close instanceof Close);
    assert.deepEqual(close.init, { code: 1000, reason: "", wasClean: true });
  } finally {
    Object.assign(globalThis, { CloseEvent });
  }
});

test("state, dropped and error events have their properties", () => {
  const state = { name: "waiting", failures: 2, retryIn: 700 } as const;
  assert.deepEqual(new StateEvent(state).state, state);
  const dropped = new DroppedEvent("expired", ["a"], 1);
  assert.deepEqual([dropped.type, dropped.reason, dropped.messages, dropped.bytes], ["dropped", "expired", ["a"], 1]);
  const failure = new FailureEvent("failed", new Error("401"));
  assert.deepEqual([failure.type, failure.message, failure.error], ["error", "failed", new Error("401")]);
});
