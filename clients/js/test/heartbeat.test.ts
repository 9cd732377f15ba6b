import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../src/heartbeat.js";

function started(): Heartbeat {
  const heartbeat = new Heartbeat({ intervalMs: 25_000, timeoutMs: 10_000, timeoutMsMax: 300_000 });
  heartbeat.start(0);
  return heartbeat;
}

test("a heartbeat is sent at every interval, whether or not something was received", () => {
  const heartbeat = started();
  assert.equal(heartbeat.pollTimeout(), 25_000);
  heartbeat.handleActivity(24_999);
  assert.equal(heartbeat.handleTimeout(24_999), undefined);
  assert.equal(heartbeat.handleTimeout(25_000), "send");
  heartbeat.handleActivity(25_040);
  assert.equal(heartbeat.pollTimeout(), 50_000);
  assert.equal(heartbeat.handleTimeout(50_000), "send");
});

test("without a reply within the timeout the connection is dead", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  assert.ok(heartbeat.isWaiting);
  assert.equal(heartbeat.pollTimeout(), 35_000);
  assert.equal(heartbeat.handleTimeout(34_999), undefined);
  assert.equal(heartbeat.handleTimeout(35_000), "timeout");
});

test("anything that is received ends the deadline", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  heartbeat.handleActivity(34_999);
  assert.ok(!heartbeat.isWaiting);
  assert.equal(heartbeat.handleTimeout(35_000), undefined);
});

test("a timeout longer than the interval counts from the first heartbeat without a reply", () => {
  const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: 2_500, timeoutMsMax: 2_500 });
  heartbeat.start(0);
  assert.equal(heartbeat.handleTimeout(1_000), "send");
  assert.equal(heartbeat.handleTimeout(2_000), "send");
  assert.equal(heartbeat.handleTimeout(3_000), "send");
  assert.equal(heartbeat.handleTimeout(3_500), "timeout");
});

test("a late timer sends another heartbeat, once", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  // The tab is hidden: the timer for 35 000 runs a minute late, and the reply may be in the event queue.
  assert.equal(heartbeat.handleTimeout(95_000), "send");
  assert.equal(heartbeat.handleTimeout(160_000), "timeout");
});

test("after something was received a late timer sends another heartbeat again", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  assert.equal(heartbeat.handleTimeout(95_000), "send");
  heartbeat.handleActivity(95_050);
  assert.equal(heartbeat.handleTimeout(120_000), "send");
  assert.equal(heartbeat.handleTimeout(190_000), "send");
});

test("with an infinite timeout a missing reply has no consequence", () => {
  const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: Infinity, timeoutMsMax: 0 });
  heartbeat.start(0);
  for (let now = 1_000; now < 100_000; now += 1_000) assert.equal(heartbeat.handleTimeout(now), "send");
});

test("a check sends a heartbeat, unless something was received within the interval or a reply is expected", () => {
  const heartbeat = started();
  assert.equal(heartbeat.check(24_999), undefined);
  assert.equal(heartbeat.check(25_000), "send");
  assert.equal(heartbeat.check(25_001), undefined);
  assert.equal(heartbeat.pollTimeout(), 35_000);
});

/** Replies to a heartbeat after `afterMs`, and returns when the next one is due. */
function answered(heartbeat: Heartbeat, at: number, afterMs: number): number {
  assert.equal(heartbeat.handleTimeout(at), "send");
  heartbeat.handleActivity(at + afterMs);
  heartbeat.handleReply();
  return at + 25_000;
}

test("each dropped connection doubles the timeout, up to a limit, and quick replies halve it", () => {
  const heartbeat = new Heartbeat({ intervalMs: 25_000, timeoutMs: 10_000, timeoutMsMax: 35_000 });
  heartbeat.start(0);
  answered(heartbeat, 25_000, 40);
  for (const patience of [10_000, 20_000, 35_000, 35_000]) {
    heartbeat.start(0);
    heartbeat.handleTimeout(25_000);
    // With a longer timeout the next heartbeat comes first.
    while (heartbeat.pollTimeout() < 25_000 + patience) heartbeat.handleTimeout(heartbeat.pollTimeout());
    assert.equal(heartbeat.handleTimeout(25_000 + patience), "timeout");
  }
  heartbeat.start(0);
  let at = 25_000;
  for (let count = 0; count < 19; count += 1) at = answered(heartbeat, at, 9_999);
  // A late reply begins the count anew.
  at = answered(heartbeat, at, 10_001);
  for (let count = 0; count < 20; count += 1) at = answered(heartbeat, at, 40);
  heartbeat.handleTimeout(at);
  assert.equal(heartbeat.pollTimeout(), at + 17_500);
  // Never below `timeoutMs`.
  heartbeat.handleActivity(at + 40);
  heartbeat.handleReply();
  for (let count = 0; count < 40; count += 1) at = answered(heartbeat, at + 25_000, 40) - 25_000;
  heartbeat.handleTimeout(at + 25_000);
  assert.equal(heartbeat.pollTimeout(), at + 35_000);
});

test("a server that never replied has no deadline until its first reply", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  assert.equal(heartbeat.handleTimeout(35_000), "timeout");
  heartbeat.start(100_000);
  assert.ok(!heartbeat.detectsSilence);
  assert.equal(heartbeat.handleTimeout(125_000), "send");
  assert.equal(heartbeat.pollTimeout(), 150_000);
  heartbeat.handleActivity(125_040);
  heartbeat.handleReply();
  assert.ok(heartbeat.detectsSilence);
  heartbeat.handleTimeout(150_000);
  assert.ok(heartbeat.isWaiting);
});
