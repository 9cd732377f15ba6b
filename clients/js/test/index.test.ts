import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import * as sockeye from "../src/index.js";
import * as script from "../src/script.js";

test("the exports are those of the README", () => {
  const names = ["DroppedEvent", "FailureEvent", "QueueFullError", "ReconnectingSocket", "StateEvent", "miniProgram"];
  assert.deepEqual(Object.keys(sockeye).sort(), names);
  assert.deepEqual(Object.keys(script).sort(), names.slice(0, -1));
});

test("every source has its test", () => {
  const tests = new Set(readdirSync(import.meta.dirname));
  const untested = readdirSync(`${import.meta.dirname}/../src`)
    .map((name) => name.replace(".ts", ".test.ts"))
    .filter((name) => !tests.has(name) && name !== "script.test.ts");
  assert.deepEqual(untested, []);
});
