import assert from "node:assert/strict";
import { test } from "node:test";
import { domException, QueueFullError } from "../src/errors.js";

test("the error of a full queue says which limit, and what to do", () => {
  const error = new QueueFullError("its limit of 3 messages");
  assert.equal(error.name, "QueueFullError");
  assert.match(error.message, /limit of 3 messages.*"state"/);
});

test("exceptions are DOMExceptions where the platform has them", () => {
  const error = domException("SyntaxError", "too long");
  assert.ok(error instanceof DOMException);
  assert.deepEqual([error.name, error.message], ["SyntaxError", "too long"]);
});

test("without DOMException they are errors of the same name", () => {
  const { DOMException } = globalThis;
  Reflect.deleteProperty(globalThis, "DOMException");
  try {
    const error = domException("InvalidAccessError", "1001");
    assert.ok(error instanceof Error);
    assert.deepEqual([error.name, error.message], ["InvalidAccessError", "1001"]);
  } finally {
    globalThis.DOMException = DOMException;
  }
});
