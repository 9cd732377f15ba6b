import assert from "node:assert/strict";
import { test } from "node:test";
import { BaseEvent, Emitter } from "../src/emitter.js";

class Bell extends Emitter {
  get onring(): unknown {
    return this.handler("ring");
  }
  set onring(handler: unknown) {
    this.setHandler("ring", handler);
  }
}

test("an emitter is the platform's EventTarget", () => {
  const bell = new Bell();
  assert.ok(bell instanceof EventTarget);
  const heard: unknown[] = [];
  bell.addEventListener("ring", (event) => heard.push(event.target), { once: true });
  bell.dispatchEvent(new BaseEvent("ring"));
  bell.dispatchEvent(new BaseEvent("ring"));
  assert.deepEqual(heard, [bell]);
});

test("a handler keeps its place among the listeners until it is null", () => {
  const bell = new Bell();
  const heard: string[] = [];
  const ring = () => {
    bell.dispatchEvent(new BaseEvent("ring"));
    return heard.splice(0).join(" ");
  };
  bell.onring = () => heard.push("old");
  bell.addEventListener("ring", () => heard.push("listener"));
  assert.equal(ring(), "old listener");
  bell.onring = () => heard.push("new");
  assert.equal(ring(), "new listener");
  bell.onring = null;
  assert.equal(ring(), "listener");
  bell.onring = () => heard.push("again");
  assert.equal(ring(), "listener again");
});

test("a handler that isn't a function is null", () => {
  const bell = new Bell();
  assert.equal(bell.onring, null);
  bell.onring = "ring";
  assert.equal(bell.onring, null);
  const handler = () => {};
  bell.onring = handler;
  assert.equal(bell.onring, handler);
});

test("a handler's `this` is the emitter", () => {
  const bell = new Bell();
  let self: unknown;
  bell.onring = function (this: unknown) {
    self = this;
  };
  bell.dispatchEvent(new BaseEvent("ring"));
  assert.equal(self, bell);
});
