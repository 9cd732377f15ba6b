// The size of what a page has to load.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { buildSync } from "esbuild";

/** Bytes, gzipped. The README promises less than 6 KB. */
const SOCKET_BYTES_MAX = 6_000;

const PACKAGE = `${import.meta.dirname}/../..`;

test("the script is smaller than the README promises", () => {
  const { length } = gzipSync(readFileSync(`${PACKAGE}/dist/sockeye.min.js`), { level: 9 });
  assert.ok(length < SOCKET_BYTES_MAX, `${length} bytes`);
});

test("a bundler that removes unused code gets no more than that", () => {
  const [bundle] = buildSync({
    stdin: { contents: 'export { ReconnectingSocket } from "sockeye-client"', resolveDir: PACKAGE },
    bundle: true,
    minify: true,
    format: "esm",
    write: false,
  }).outputFiles;
  assert.ok(bundle);
  assert.ok(bundle.text.includes("CONNECTING"));
  const { length } = gzipSync(bundle.contents, { level: 9 });
  assert.ok(length < SOCKET_BYTES_MAX, `${length} bytes`);
});
