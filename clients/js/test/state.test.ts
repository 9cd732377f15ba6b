import assert from "node:assert/strict";
import { test } from "node:test";
import { Heartbeat } from "../src/heartbeat.js";
import { type Effect, Machine, type Rules } from "../src/state.js";

const RULES: Rules = {
  backoff: { baseMs: 500, maxMs: 30_000, minUptimeMs: 5_000 },
  connectTimeoutMs: 10_000,
  closeTimeoutMs: 5_000,
  heartbeat: undefined,
  random: () => 0.5,
  retry: (ended) => ended.code !== 1008,
  maxRetries: Infinity,
};

const BROKEN = { code: 1006, reason: "", wasClean: false };

/** The effects, one word each. */
function effects(machine: Machine): string {
  const words: string[] = [];
  for (let effect = machine.pollEffect(); effect; effect = machine.pollEffect()) words.push(word(effect));
  return words.join(" ");
}

function word(effect: Effect): string {
  if (effect.do === "state") return effect.state.name.toUpperCase();
  if (effect.do === "close") return `close:${effect.ended.cause}:${effect.ended.code}`;
  return effect.do;
}

function open(rules: Partial<Rules> = {}): Machine {
  const machine = new Machine({ ...RULES, ...rules });
  machine.start(0, true);
  machine.handleOpen(0);
  effects(machine);
  return machine;
}

test("a started machine dials, and opens", () => {
  const machine = new Machine(RULES);
  machine.start(0, true);
  assert.equal(effects(machine), "CONNECTING dial");
  assert.equal(machine.readyState, 0);
  machine.handleOpen(10);
  assert.equal(effects(machine), "open OPEN");
  assert.equal(machine.readyState, 1);
});

test("the delay after a lost connection is a random part of a limit that doubles with each failure", () => {
  const machine = open();
  machine.handleEnd(0, BROKEN, true);
  assert.equal(effects(machine), "close:lost:1006 WAITING");
  assert.deepEqual([machine.readyState, machine.state(0).retryIn, machine.state(0).failures], [0, 250, 1]);
  for (const [at, ceiling] of [
    [250, 1_000],
    [1_000, 2_000],
    [3_000, 4_000],
  ] as const) {
    machine.handleTimeout(machine.pollTimeout());
    assert.equal(effects(machine), "CONNECTING dial");
    machine.handleEnd(at, BROKEN, true);
    assert.equal(effects(machine), "close:failed:1006 WAITING");
    assert.equal(machine.state(at).retryIn, ceiling / 2);
  }
});

test("only a connection that lasted resets the count of failures", () => {
  const machine = open();
  machine.handleEnd(4_999, BROKEN, true);
  assert.equal(machine.state(4_999).failures, 1);
  machine.handleTimeout(6_000);
  machine.handleOpen(6_000);
  machine.handleEnd(10_999, BROKEN, true);
  assert.equal(machine.state(10_999).failures, 2);
  machine.handleTimeout(20_000);
  machine.handleOpen(20_000);
  machine.handleEnd(25_000, BROKEN, true);
  assert.deepEqual([machine.state(25_000).failures, machine.state(25_000).retryIn], [1, 250]);
});

test("after a final code it is closed", () => {
  const machine = open();
  machine.handleEnd(0, { code: 1008, reason: "banned", wasClean: true }, false);
  assert.equal(effects(machine), "close:lost:1008 CLOSED stop");
  assert.deepEqual([machine.readyState, machine.pollTimeout()], [3, Infinity]);
});

test("an attempt that exceeds connectTimeoutMs is abandoned", () => {
  const machine = new Machine(RULES);
  machine.start(0, true);
  effects(machine);
  assert.equal(machine.pollTimeout(), 10_000);
  machine.handleTimeout(10_000);
  assert.equal(effects(machine), "abandon close:timeout:1006 WAITING");
});

test("the next attempt waits for retry_ms plus the random delay", () => {
  for (const [reason, hint] of [
    ["retry_ms=4000", 4_000],
    ["restarting; retry_ms=4000, thanks", 4_000],
    ["retry_ms=0", 0],
    ["retry_ms=", 0],
    ["retry_ms=soon", 0],
    ["retry_ms=1.5", 0],
    ["retry_ms=-1", 0],
    ["no_retry_ms=4000", 0],
    // An hour at most.
    ["retry_ms=99999999999999999999", 3_600_000],
  ] as const) {
    const machine = open();
    machine.handleEnd(0, { code: 1012, reason, wasClean: true }, false);
    assert.equal(machine.state(0).retryIn, hint + 250, reason);
  }
});

test("neither the network nor visibility makes it dial before retry_ms is over", () => {
  const machine = open();
  machine.handleEnd(0, { code: 1012, reason: "retry_ms=4000", wasClean: true }, false);
  machine.handleNetwork(100, false);
  machine.handleNetwork(200, true);
  machine.handleVisible(300);
  assert.equal(machine.pollTimeout(), 4_000);
});

test("without a network an open connection is dropped at once, and the next is dialled when the network is restored", () => {
  const machine = open();
  machine.handleNetwork(100, false);
  assert.equal(effects(machine), "abandon close:offline:1006 OFFLINE");
  assert.equal(machine.state(100).retryIn, 250);
  // The browser may be wrong, so it tries, without a `state` event.
  machine.handleTimeout(350);
  assert.equal(effects(machine), "dial");
  machine.handleEnd(400, BROKEN, true);
  assert.equal(effects(machine), "close:failed:1006 OFFLINE");
  machine.handleNetwork(450, true);
  assert.equal(effects(machine), "WAITING");
  assert.equal(machine.pollTimeout(), 450);
  machine.handleTimeout(450);
  assert.equal(effects(machine), "CONNECTING dial");
  assert.equal(machine.state(450).failures, 0);
});

test("an attempt that began without a network is replaced when the network is restored", () => {
  const machine = open();
  machine.handleNetwork(100, false);
  machine.handleTimeout(350);
  effects(machine);
  machine.handleNetwork(400, true);
  assert.equal(effects(machine), "abandon close:offline:1006 CONNECTING dial");
});

test("a connection that opens ends the state offline", () => {
  const machine = new Machine(RULES);
  machine.start(0, false);
  assert.equal(effects(machine), "OFFLINE dial");
  machine.handleOpen(10);
  assert.equal(effects(machine), "open OPEN");
  machine.handleNetwork(20, true);
  assert.equal(effects(machine), "");
});

test("a page that becomes visible dials at once, but not more often than baseMs", () => {
  const machine = open({ random: () => 0.99 });
  for (let failures = 0; failures < 8; failures += 1) {
    machine.handleEnd(machine.pollTimeout(), BROKEN, true);
    machine.handleTimeout(machine.pollTimeout());
  }
  const dialled = 200_000;
  machine.handleEnd(dialled, BROKEN, true);
  machine.handleTimeout(machine.pollTimeout());
  const at = dialled + 29_700;
  machine.handleEnd(at + 10, BROKEN, true);
  machine.handleVisible(at + 20);
  assert.equal(machine.pollTimeout(), at + 500);
  machine.handleVisible(at + 499);
  assert.equal(machine.pollTimeout(), at + 500);
});

test("a heartbeat without a reply abandons the connection", () => {
  const machine = open({ heartbeat: new Heartbeat({ intervalMs: 1_000, timeoutMs: 400, timeoutMsMax: 400 }) });
  machine.handleTimeout(1_000);
  assert.equal(effects(machine), "heartbeat");
  assert.ok(machine.expectsReply);
  machine.handleTimeout(1_400);
  assert.equal(effects(machine), "abandon close:heartbeat:1006 WAITING");
});

test("a page that becomes visible after a long silence sends a heartbeat at once", () => {
  const machine = open({ heartbeat: new Heartbeat({ intervalMs: 25_000, timeoutMs: 10_000, timeoutMsMax: 300_000 }) });
  machine.handleVisible(10_000);
  assert.equal(effects(machine), "");
  machine.handleVisible(600_000);
  assert.equal(effects(machine), "heartbeat");
});

test("after sleep a connection without a heartbeat is replaced", () => {
  const machine = open();
  assert.equal(machine.pollTimeout(), 15_000);
  // Browsers delay the timers of hidden tabs by up to a minute.
  machine.handleTimeout(75_000);
  assert.equal(effects(machine), "");
  machine.handleTimeout(75_000 + 15_000 + 3_600_000);
  assert.equal(effects(machine), "abandon close:sleep:1006 WAITING");
});

test("close waits closeTimeoutMs for the peer's Close", () => {
  const machine = open();
  machine.close(0, true);
  assert.equal(machine.readyState, 2);
  machine.handleEnd(100, { code: 1000, reason: "", wasClean: true }, false);
  assert.equal(effects(machine), "close:closed:1000 CLOSED stop");

  const patient = open();
  patient.close(0, true);
  assert.equal(patient.pollTimeout(), 5_000);
  patient.handleTimeout(5_000);
  assert.equal(effects(patient), "abandon close:closed:1006 CLOSED stop");
});

test("close without a connection ends after the caller has returned", () => {
  const machine = open();
  machine.handleEnd(0, BROKEN, true);
  effects(machine);
  machine.close(10, false);
  assert.deepEqual([machine.readyState, effects(machine), machine.pollTimeout()], [2, "", 10]);
  machine.handleTimeout(10);
  assert.equal(effects(machine), "abandon close:closed:1006 CLOSED stop");
});

test("reconnect dials at once in every phase", () => {
  const ended = { cause: "replaced", code: 1000, reason: "", wasClean: true } as const;
  const machine = open();
  machine.reconnect(0, true, ended);
  assert.equal(effects(machine), "abandon close:replaced:1000 CONNECTING dial");
  machine.handleEnd(0, BROKEN, true);
  effects(machine);
  machine.reconnect(0, true, ended);
  assert.equal(effects(machine), "CONNECTING dial");
  machine.handleOpen(0);
  machine.handleEnd(0, { code: 1008, reason: "", wasClean: true }, false);
  effects(machine);
  machine.reconnect(0, true, ended);
  assert.equal(effects(machine), "CONNECTING dial");
});

test("after maxRetries failed attempts in a row it is closed, with that stopReason", () => {
  const machine = new Machine({ ...RULES, maxRetries: 2 });
  machine.start(0, true);
  for (const failures of [1, 2]) {
    machine.handleEnd(0, BROKEN, true);
    assert.deepEqual([machine.state(0).name, machine.state(0).failures], ["waiting", failures]);
    machine.handleTimeout(machine.pollTimeout());
  }
  effects(machine);
  machine.handleEnd(0, BROKEN, true);
  assert.equal(effects(machine), "close:failed:1006 CLOSED stop");
  const { name, failures, stopReason, ended } = machine.state(0);
  assert.deepEqual([name, failures, stopReason, ended?.cause], ["closed", 3, "maxRetries", "failed"]);
  assert.equal(machine.pollTimeout(), Infinity);
});

test("a lasting connection and reconnect begin the count of maxRetries anew", () => {
  const machine = open({ maxRetries: 1 });
  for (let count = 0; count < 5; count += 1) {
    const now = 100_000 * (count + 1);
    machine.handleEnd(now, BROKEN, true);
    assert.equal(machine.state(now).name, "waiting");
    machine.handleTimeout(machine.pollTimeout());
    machine.handleOpen(now + 1_000);
  }
  // This one doesn't last.
  machine.handleEnd(501_001, BROKEN, true);
  assert.equal(machine.state(501_001).stopReason, "maxRetries");
  machine.reconnect(501_001, true, { ...BROKEN, cause: "replaced" });
  machine.handleEnd(501_002, BROKEN, true);
  assert.deepEqual([machine.state(501_002).name, machine.state(501_002).stopReason], ["waiting", undefined]);
});

test("attempts without a network don't count towards maxRetries", () => {
  const machine = open({ maxRetries: 1 });
  machine.handleNetwork(100, false);
  for (let count = 0; count < 5; count += 1) {
    machine.handleTimeout(machine.pollTimeout());
    machine.handleEnd(1_000, BROKEN, true);
  }
  assert.equal(machine.state(1_000).name, "offline");
  machine.handleNetwork(2_000, true);
  machine.handleTimeout(2_000);
  machine.handleEnd(2_000, BROKEN, true);
  assert.equal(machine.state(2_000).name, "waiting");
  machine.handleTimeout(machine.pollTimeout());
  machine.handleEnd(3_000, BROKEN, true);
  assert.equal(machine.state(3_000).stopReason, "maxRetries");
});

test("stopReason tells startClosed, final and close apart", () => {
  const unstarted = new Machine(RULES);
  assert.deepEqual([unstarted.state(0).name, unstarted.state(0).stopReason], ["closed", "startClosed"]);
  const refused = open();
  refused.handleEnd(0, { code: 1008, reason: "", wasClean: true }, false);
  assert.equal(refused.state(0).stopReason, "final");
  const closed = open();
  assert.equal(closed.state(0).stopReason, undefined);
  closed.close(0, true);
  assert.equal(closed.state(0).stopReason, "close");
});
