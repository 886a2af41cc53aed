/**
 * `npm run check`: the whole gate. Types, lint, format, embedded shaders, the build with its size and its package, the API reference,
 * and all tests. Goes on after a failure and says at the end what failed. With names of steps it runs only those.
 */

import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packPackage } from "./support/pack.ts";
import { ROOT } from "./support/environment.ts";
import { runNode, TOOLS } from "./support/run.ts";

/** Whether the flat files, compressed, are within the budget of package.json. */
function checkSize(): number {
  const { sizeBudget } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    sizeBudget: Readonly<Record<string, number>>;
  };
  let exitCode = 0;
  for (const [file, budget] of Object.entries(sizeBudget)) {
    const bytes = gzipSync(readFileSync(join(ROOT, file)), { level: 9 }).length;
    const fits = bytes <= budget;
    console.log(`${file}: ${bytes} bytes gzipped, ${fits ? "within" : "OVER"} the budget of ${budget}`);
    if (!fits) exitCode = 1;
  }
  return exitCode;
}

/** Lints the package that users would install. */
async function checkPackage(): Promise<number> {
  const folder = join(ROOT, ".cache", "check");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const tarball = packPackage(folder);
  const publint = await runNode(TOOLS.publint, [tarball, "--strict"]);
  const attw = await runNode(TOOLS.attw, [tarball, "--profile", "esm-only", "--no-emoji"]);
  return publint + attw;
}

const STEPS: Readonly<Record<string, () => Promise<number> | number>> = {
  types: async () =>
    (await runNode(TOOLS.tsc, ["--noEmit"])) + (await runNode(TOOLS.tsc, ["-p", "tsconfig.build.json"])),
  lint: () => runNode(TOOLS.oxlint),
  format: () => runNode(TOOLS.prettier, ["--check", "."]),
  shaders: () => runNode("scripts/shaders.mjs", ["--check"]),
  build: () => runNode("scripts/build.ts"),
  size: checkSize,
  package: checkPackage,
  docs: () => runNode(TOOLS.typedoc),
  tests: () => runNode("scripts/test.ts"),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(STEPS, name));
if (unknown.length > 0) {
  console.error(`unknown step ${unknown.join(", ")}; known are ${Object.keys(STEPS).join(", ")}`);
  process.exit(2);
}

const failed: string[] = [];
for (const [name, step] of Object.entries(STEPS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  console.log(`\n=== ${name}`);
  const started = performance.now();
  const exitCode = await step();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`=== ${name}: ${exitCode === 0 ? "ok" : "FAILED"} (${seconds} s)`);
  if (exitCode !== 0) failed.push(name);
}
console.log(failed.length === 0 ? "\nThe gate is open: everything passed." : `\nFailed: ${failed.join(", ")}`);
process.exit(failed.length === 0 ? 0 : 1);
