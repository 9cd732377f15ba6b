import assert from "node:assert/strict";
import { test } from "node:test";
import { type Options, settings } from "../src/options.js";
import { World } from "./simulated.js";

const { WebSocket } = new World();

test("every option has a default", () => {
  const all = settings({ WebSocket });
  assert.deepEqual(all.backoff, { baseMs: 500, maxMs: 30_000, minUptimeMs: 10_000 });
  assert.deepEqual([all.maxRetries, all.startClosed], [Infinity, false]);
  assert.deepEqual([all.connectTimeoutMs, all.closeTimeoutMs, all.heartbeat], [10_000, 5_000, undefined]);
  assert.deepEqual(settings({ WebSocket, heartbeat: { message: "ping" } }).heartbeat, {
    intervalMs: 25_000,
    timeoutMs: 10_000,
    timeoutMsMax: 300_000,
    message: "ping",
  });
  assert.equal(settings({ WebSocket, queue: { messagesMax: 3 } }).queue.bytesMax, 1 << 20);
});

test("1008 is final by default", () => {
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

test("a number that is negative or NaN is refused by name", () => {
  assert.throws(() => settings({ WebSocket, backoff: { baseMs: -1 } }), /RangeError: baseMs: -1/);
  assert.throws(() => settings({ WebSocket, queue: { bytesMax: Number.NaN } }), /bytesMax: NaN/);
  assert.throws(() => settings({ WebSocket, maxRetries: -1 }), /maxRetries: -1/);
  assert.throws(() => settings({ WebSocket, heartbeat: { message: "ping", intervalMs: 0 } }), /intervalMs: 0/);
});

// Issue 13, D.25.
test("a heartbeat needs a message that the server understands", () => {
  for (const heartbeat of [{}, { message: undefined }, { intervalMs: 1_000, reply: "pong" }]) {
    assert.throws(() => settings({ WebSocket, heartbeat } as unknown as Options), /TypeError: .*heartbeat\.message/);
  }
});

test("an unknown option is refused by name, with a list of the known ones", () => {
  for (const [options, message] of [
    [{ maxEnqueuedMessages: 5 }, /TypeError: .*maxEnqueuedMessages.*queue/],
    [{ heartBeat: {} }, /heartBeat.*heartbeat/],
    [{ backoff: { base: 5 } }, /backoff\.base.*baseMs/],
    [{ queue: { maxMessages: 5 } }, /queue\.maxMessages.*messagesMax/],
    [{ heartbeat: { message: "ping", interval: 5 } }, /heartbeat\.interval.*intervalMs/],
    [{ environment: { Now: () => 0 } }, /environment\.Now.*now/],
  ] as const) {
    assert.throws(() => settings({ WebSocket, ...(options as object) }), message);
  }
  settings({ WebSocket, heartbeat: undefined, retry: undefined } as unknown as Options);
});

test("without a WebSocket the error says how to pass one", () => {
  assert.throws(() => settings({ WebSocket: "ws" }), /TypeError: .*options\.WebSocket/);
});
