// Builds dist/, which is published: ESM, CommonJS, a script for <script>, and types for `import` and `require`.
import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

process.chdir(import.meta.dirname);
rmSync("dist", { recursive: true, force: true });

const shared = { bundle: true, target: "es2022" };
const library = { ...shared, entryPoints: ["src/index.ts"] };
await build({ ...library, format: "esm", outfile: "dist/index.js" });
await build({ ...library, format: "cjs", outfile: "dist/index.cjs" });
const script = { ...shared, entryPoints: ["src/script.ts"], format: "iife", globalName: "Sockeye" };
await build({ ...script, minify: true, outfile: "dist/sockeye.min.js" });

execFileSync("node_modules/.bin/tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit" });
// With `require`, TypeScript reads .d.cts files, which have to import .cjs files.
for (const name of readdirSync("dist").filter((name) => name.endsWith(".d.ts"))) {
  const types = readFileSync(`dist/${name}`, "utf8");
  writeFileSync(
    `dist/${name.replace(".d.ts", ".d.cts")}`,
    types.replaceAll(/(["']\.\/[a-z-]+)\.js(["'])/g, "$1.cjs$2"),
  );
}
for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) cpSync(`../../${licence}`, licence);
