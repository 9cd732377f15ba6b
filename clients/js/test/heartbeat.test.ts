import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../src/heartbeat.js";

function started(): Heartbeat {
  const heartbeat = new Heartbeat(25_000, 10_000);
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
  const heartbeat = new Heartbeat(1_000, 2_500);
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
  const heartbeat = new Heartbeat(1_000, Infinity);
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
