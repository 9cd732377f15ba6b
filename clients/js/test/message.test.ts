import assert from "node:assert/strict";
import { test } from "node:test";
import { byteLength, snapshot, toData, utf8Length } from "../src/message.js";
import { seededRandom } from "./simulated.js";

test("the length of a text is that of TextEncoder's bytes, lone surrogates included", () => {
  const random = seededRandom(3);
  const units = [0x41, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xffff];
  for (let round = 0; round < 2_000; round += 1) {
    const length = Math.floor(random() * 8);
    const codes = Array.from({ length }, () => units[Math.floor(random() * units.length)] ?? 0);
    const text = String.fromCharCode(...codes);
    assert.equal(utf8Length(text), new TextEncoder().encode(text).length, JSON.stringify(text));
  }
});

test("every kind of message has its length", () => {
  assert.equal(byteLength("Grüße, 🐟"), 13);
  assert.equal(byteLength(new Blob(["123"])), 3);
  assert.equal(byteLength(new ArrayBuffer(5)), 5);
  assert.equal(byteLength(new DataView(new ArrayBuffer(8), 2, 3)), 3);
});

test("what is neither text nor binary becomes text, as in a browser", () => {
  assert.deepEqual([1, null, undefined, { a: 1 }, [1, 2]].map(toData), [
    "1",
    "null",
    "undefined",
    "[object Object]",
    "1,2",
  ]);
  const binary = [new ArrayBuffer(1), new Uint8Array(1), new Blob([]), new SharedArrayBuffer(1)];
  assert.deepEqual(binary.map(toData), binary);
});

test("a snapshot copies only the bytes of the view", () => {
  const whole = new Uint8Array([1, 2, 3, 4]);
  const copies = [whole.buffer, whole.subarray(2), new DataView(whole.buffer, 1, 1)].map(snapshot);
  whole.fill(0);
  assert.deepEqual(
    copies.map((copy) => [...new Uint8Array(copy as ArrayBuffer)]),
    [[1, 2, 3, 4], [3, 4], [2]],
  );
});
