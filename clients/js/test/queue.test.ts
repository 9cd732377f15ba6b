import assert from "node:assert/strict";
import { test } from "node:test";
import { QueueFullError } from "../src/errors.js";
import { QUEUE_DEFAULTS, Queue, type QueueOptions } from "../src/queue.js";

const queue = (options: QueueOptions = {}) => new Queue({ ...QUEUE_DEFAULTS, ...options });

test("the oldest message leaves first", () => {
  const one = queue();
  for (const text of ["a", "b", ""]) assert.deepEqual(one.push(text, 0), []);
  assert.deepEqual([one.shift(), one.shift(), one.shift(), one.shift()], ["a", "b", "", undefined]);
});

test("a full queue rejects a message and keeps the others", () => {
  const one = queue({ messagesMax: 2 });
  one.push("a", 0);
  one.push("b", 0);
  assert.throws(() => one.push("c", 0), QueueFullError);
  assert.deepEqual(one.clear(), ["a", "b"]);
});

test("bytes are a limit too, in UTF-8", () => {
  const one = queue({ bytesMax: 6 });
  one.push("你", 0);
  one.push("好", 0);
  assert.equal(one.bytes, 6);
  assert.throws(() => one.push("!", 0), /1000 messages or 6 bytes/);
});

test("as many of the oldest are dropped as the newest needs", () => {
  const one = queue({ bytesMax: 4, whenFull: "drop-oldest" });
  for (const text of ["a", "b", "cc"]) one.push(text, 0);
  assert.deepEqual(one.push("ddd", 0), ["a", "b", "cc"]);
  assert.deepEqual(one.clear(), ["ddd"]);
  assert.equal(one.bytes, 0);
});

test("a message that can never fit is rejected, and nothing is dropped for it", () => {
  const one = queue({ bytesMax: 4, whenFull: "drop-oldest" });
  one.push("a", 0);
  assert.throws(() => one.push("12345", 0), QueueFullError);
  assert.equal(one.length, 1);
  assert.throws(() => queue({ messagesMax: 0, whenFull: "drop-oldest" }).push("a", 0), QueueFullError);
});

test("messages expire, oldest first", () => {
  const one = queue({ lifetimeMs: 100 });
  one.push("a", 0);
  one.push("b", 50);
  assert.equal(one.pollTimeout(), 100);
  assert.deepEqual(one.expire(99), []);
  assert.deepEqual(one.expire(100), ["a"]);
  assert.equal(one.pollTimeout(), 150);
  assert.deepEqual(one.expire(1_000), ["b"]);
  assert.equal(one.pollTimeout(), Infinity);
});

test("a buffer is copied when it is queued", () => {
  const one = queue();
  const bytes = new Uint8Array([1, 2, 3, 4]);
  one.push(bytes.subarray(1, 3), 0);
  bytes.fill(9);
  assert.deepEqual(new Uint8Array(one.shift() as ArrayBuffer), new Uint8Array([2, 3]));
});
