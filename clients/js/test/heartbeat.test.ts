import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../src/heartbeat.js";

function started(): Heartbeat {
  const heartbeat = new Heartbeat({ intervalMs: 25_000, timeoutMs: 10_000, timeoutMsMax: 300_000 });
  heartbeat.start(0);
  return heartbeat;
}

test("it beats at every interval, whether or not something came", () => {
  const heartbeat = started();
  assert.equal(heartbeat.pollTimeout(), 25_000);
  heartbeat.handleLife(24_999);
  assert.equal(heartbeat.handleTimeout(24_999), undefined);
  assert.equal(heartbeat.handleTimeout(25_000), "beat");
  heartbeat.handleLife(25_040);
  assert.equal(heartbeat.pollTimeout(), 50_000);
  assert.equal(heartbeat.handleTimeout(50_000), "beat");
});

test("without an answer within the timeout the connection is dead", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  assert.ok(heartbeat.waits);
  assert.equal(heartbeat.pollTimeout(), 35_000);
  assert.equal(heartbeat.handleTimeout(34_999), undefined);
  assert.equal(heartbeat.handleTimeout(35_000), "dead");
});

test("any sign of life ends the wait", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  heartbeat.handleLife(34_999);
  assert.ok(!heartbeat.waits);
  assert.equal(heartbeat.handleTimeout(35_000), undefined);
});

test("a deadline longer than the interval counts from the first beat without an answer", () => {
  const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: 2_500, timeoutMsMax: 2_500 });
  heartbeat.start(0);
  assert.equal(heartbeat.handleTimeout(1_000), "beat");
  assert.equal(heartbeat.handleTimeout(2_000), "beat");
  assert.equal(heartbeat.handleTimeout(3_000), "beat");
  assert.equal(heartbeat.handleTimeout(3_500), "dead");
});

test("a timer that runs late is forgiven once", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  // The tab is hidden: the timer for 35 000 runs a minute late. The answer may lie behind it.
  assert.equal(heartbeat.handleTimeout(95_000), "beat");
  assert.equal(heartbeat.handleTimeout(160_000), "dead");
});

test("after a sign of life a late timer is forgiven again", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  assert.equal(heartbeat.handleTimeout(95_000), "beat");
  heartbeat.handleLife(95_050);
  assert.equal(heartbeat.handleTimeout(120_000), "beat");
  assert.equal(heartbeat.handleTimeout(190_000), "beat");
});

test("nobody needs to answer when the timeout is infinite", () => {
  const heartbeat = new Heartbeat({ intervalMs: 1_000, timeoutMs: Infinity, timeoutMsMax: 0 });
  heartbeat.start(0);
  for (let now = 1_000; now < 100_000; now += 1_000) assert.equal(heartbeat.handleTimeout(now), "beat");
});

test("a check beats at once, unless life was seen within the interval or an answer is waited for", () => {
  const heartbeat = started();
  assert.equal(heartbeat.check(24_999), undefined);
  assert.equal(heartbeat.check(25_000), "beat");
  assert.equal(heartbeat.check(25_001), undefined);
  assert.equal(heartbeat.pollTimeout(), 35_000);
});

/** Answers a beat of `heartbeat` after so many milliseconds, and says when that was. */
function answered(heartbeat: Heartbeat, at: number, afterMs: number): number {
  assert.equal(heartbeat.handleTimeout(at), "beat");
  heartbeat.handleLife(at + afterMs);
  heartbeat.handleAnswer();
  return at + 25_000;
}

test("each connection that is given up doubles the next one's time, up to a limit, and prompt answers halve it", () => {
  const heartbeat = new Heartbeat({ intervalMs: 25_000, timeoutMs: 10_000, timeoutMsMax: 35_000 });
  heartbeat.start(0);
  answered(heartbeat, 25_000, 40);
  for (const patience of [10_000, 20_000, 35_000, 35_000]) {
    heartbeat.start(0);
    heartbeat.handleTimeout(25_000);
    // Of longer times the next beat comes first.
    while (heartbeat.pollTimeout() < 25_000 + patience) heartbeat.handleTimeout(heartbeat.pollTimeout());
    assert.equal(heartbeat.handleTimeout(25_000 + patience), "dead");
  }
  heartbeat.start(0);
  let at = 25_000;
  for (let count = 0; count < 19; count += 1) at = answered(heartbeat, at, 9_999);
  // One that came late begins the count anew.
  at = answered(heartbeat, at, 10_001);
  for (let count = 0; count < 20; count += 1) at = answered(heartbeat, at, 40);
  heartbeat.handleTimeout(at);
  assert.equal(heartbeat.pollTimeout(), at + 17_500);
  // Never below what was asked for.
  heartbeat.handleLife(at + 40);
  heartbeat.handleAnswer();
  for (let count = 0; count < 40; count += 1) at = answered(heartbeat, at + 25_000, 40) - 25_000;
  heartbeat.handleTimeout(at + 25_000);
  assert.equal(heartbeat.pollTimeout(), at + 35_000);
});

test("who never answered is asked and not waited for, until there is an answer", () => {
  const heartbeat = started();
  heartbeat.handleTimeout(25_000);
  assert.equal(heartbeat.handleTimeout(35_000), "dead");
  heartbeat.start(100_000);
  assert.ok(!heartbeat.isAnswered);
  assert.equal(heartbeat.handleTimeout(125_000), "beat");
  assert.equal(heartbeat.pollTimeout(), 150_000);
  heartbeat.handleLife(125_040);
  heartbeat.handleAnswer();
  assert.ok(heartbeat.isAnswered);
  heartbeat.handleTimeout(150_000);
  assert.ok(heartbeat.waits);
});
