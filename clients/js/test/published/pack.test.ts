// The package as `npm publish` would publish it, installed in a project.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { runInNewContext } from "node:vm";

const PACKAGE = join(import.meta.dirname, "../..");
const BIN = join(PACKAGE, "node_modules/.bin");

/** A project that has installed the package. */
let project: string;
let installed: string;

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: project, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

before(() => {
  project = mkdtempSync(join(tmpdir(), "sockeye-client-"));
  installed = join(project, "node_modules/sockeye-client");
  // `npm run check` has built it.
  run("npm", "pack", PACKAGE, "--ignore-scripts", "--pack-destination", project);
  run("mkdir", "-p", installed);
  run("tar", "-xzf", tarball(), "--strip-components", "1", "-C", installed);
});

after(() => rmSync(project, { recursive: true, force: true }));

function tarball(): string {
  const name = readdirSync(project).find((name) => name.endsWith(".tgz"));
  assert.ok(name);
  return join(project, name);
}

test("exactly these files are published", () => {
  const modules = [
    "backoff",
    "emitter",
    "environment",
    "errors",
    "events",
    "heartbeat",
    "index",
    "message",
    "mini-program",
    "options",
    "queue",
    "script",
    "socket",
    "state",
  ];
  const types = modules.flatMap((name) => [`dist/${name}.d.cts`, `dist/${name}.d.ts`]);
  const code = ["dist/index.cjs", "dist/index.js", "dist/sockeye.min.js"];
  const about = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json"];
  const files = run("tar", "-tzf", tarball()).trim().split("\n");
  assert.deepEqual(files.map((file) => file.replace("package/", "")).sort(), [...about, ...code, ...types].sort());
});

test("publint has nothing to say", () => {
  const said = run(join(BIN, "publint"), "--strict", tarball());
  assert.match(said, /All good!/);
});

test("every kind of import finds its types", () => {
  // Exits with 1 for any problem; the script for browsers is no module and has no types.
  run(join(BIN, "attw"), tarball(), "--format", "ascii", "--exclude-entrypoints", "sockeye.min.js");
});

test("import, require and <script> get the same class", () => {
  const use = 'typeof ReconnectingSocket.prototype.send + " " + ReconnectingSocket.CLOSED';
  writeFileSync(join(project, "a.mjs"), `import { ReconnectingSocket } from "sockeye-client"; console.log(${use})`);
  writeFileSync(
    join(project, "a.cjs"),
    `const { ReconnectingSocket } = require("sockeye-client"); console.log(${use})`,
  );
  assert.equal(run("node", "a.mjs").trim(), "function 3");
  assert.equal(run("node", "a.cjs").trim(), "function 3");
  const script = run("cat", join(installed, "dist/sockeye.min.js"));
  const global = { EventTarget, Event };
  assert.equal(runInNewContext(`${script}; const { ReconnectingSocket } = Sockeye; ${use}`, global), "function 3");
});

test("the README shows the examples as they are", () => {
  const readme = readFileSync(join(PACKAGE, "README.md"), "utf8");
  for (const name of ["chat.ts", "node.ts", "mini-program.ts"]) {
    assert.ok(readme.includes(`\`\`\`ts\n${readFileSync(join(PACKAGE, "examples", name), "utf8")}\`\`\``), name);
  }
});

test("the how-to shows lines of an example", () => {
  const example = readFileSync(join(PACKAGE, "examples/page.ts"), "utf8");
  const howTo = readFileSync(join(PACKAGE, "../../docs/howto/stay-connected-from-a-page.md"), "utf8");
  const blocks = [...howTo.matchAll(/```js\n(.*?)```/gs)].map(([, block = ""]) => block);
  assert.ok(blocks.length >= 4);
  for (const block of blocks) assert.ok(example.includes(block), block);
});

test("the examples compile against what is published", () => {
  run("cp", "-r", join(PACKAGE, "examples"), project);
  // The types of React, which one of the examples imports. The published package doesn't.
  for (const name of ["@types/react", "csstype"]) {
    run("mkdir", "-p", join(project, "node_modules", dirname(name)));
    run("ln", "-s", join(PACKAGE, "node_modules", name), join(project, "node_modules", name));
  }
  const options = [
    "--noEmit",
    "--strict",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
    "--types",
    "",
    "--jsx",
    "react-jsx",
  ];
  for (const [module, resolution] of [
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ] as const) {
    const files = readdirSync(join(project, "examples")).map((name) => join("examples", name));
    run(join(BIN, "tsc"), ...options, "--module", module, "--moduleResolution", resolution, ...files);
  }
});
