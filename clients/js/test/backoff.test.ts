import assert from "node:assert/strict";
import { test } from "node:test";
import { BACKOFF_DEFAULTS, delayMs } from "../src/backoff.js";
import { seededRandom } from "./simulated.js";

test("the upper limit of the delay doubles up to the maximum", () => {
  const almostOne = 1 - Number.EPSILON;
  const ceilings = [0, 1, 2, 5, 6, 31, 5_000].map((failures) =>
    Math.ceil(delayMs(BACKOFF_DEFAULTS, failures, almostOne)),
  );
  assert.deepEqual(ceilings, [500, 1000, 2000, 16_000, 30_000, 30_000, 30_000]);
});

test("a delay is a random part of its upper limit", () => {
  const random = seededRandom(7);
  for (let failures = 0; failures < 200; failures += 1) {
    const share = random();
    const delay = delayMs(BACKOFF_DEFAULTS, failures, share);
    assert.ok(Math.abs(delay - share * Math.min(30_000, 500 * 2 ** failures)) < 1e-6);
  }
});
