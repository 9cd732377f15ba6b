import assert from "node:assert/strict";
import { test } from "node:test";
import { settings } from "../src/options.js";
import { World } from "./simulated.js";

const { WebSocket } = new World();

test("what isn't said has a default", () => {
  const all = settings({ WebSocket });
  assert.deepEqual(all.backoff, { baseMs: 500, maxMs: 30_000, minUptimeMs: 10_000 });
  assert.deepEqual([all.connectTimeoutMs, all.closeTimeoutMs, all.heartbeat], [10_000, 5_000, undefined]);
  assert.deepEqual(settings({ WebSocket, heartbeat: {} }).heartbeat, {
    intervalMs: 25_000,
    timeoutMs: 10_000,
    message: "ping",
  });
  assert.equal(settings({ WebSocket, queue: { messagesMax: 3 } }).queue.bytesMax, 1 << 20);
});

test("a server that says 1008 doesn't want us back, unless told otherwise", () => {
  const ended = (code: number) => ({ cause: "lost", code, reason: "", wasClean: true }) as const;
  const final = (code: number, options = {}) => !settings({ WebSocket, ...options }).retry(ended(code), 0);
  assert.deepEqual(
    [1000, 1001, 1006, 1008, 1012].filter((code) => final(code)),
    [1008],
  );
  assert.deepEqual(
    [1000, 1008].filter((code) => final(code, { finalCodes: [1000] })),
    [1000],
  );
  assert.ok(!final(1008, { retry: () => true }));
});

test("a number that is none is refused with its name", () => {
  assert.throws(() => settings({ WebSocket, backoff: { baseMs: -1 } }), /RangeError: baseMs: -1/);
  assert.throws(() => settings({ WebSocket, queue: { bytesMax: Number.NaN } }), /bytesMax: NaN/);
  assert.throws(() => settings({ WebSocket, heartbeat: { intervalMs: 0 } }), /intervalMs: 0/);
});

test("without a WebSocket it says where to get one", () => {
  assert.throws(() => settings({ WebSocket: "ws" }), /TypeError: .*options\.WebSocket/);
});
