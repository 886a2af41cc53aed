// `node scripts/bootstrap.mjs scripts/<task>.ts ...`: installs the dependencies where they are missing or not those of the lockfile, then
// runs the task in the Node 24 among them. Runs on Node 20 and without any dependency.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const binaries = join(root, "node_modules", ".bin");
const node24 = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");

/** @param {string} path @returns {Record<string, { version?: string, optional?: boolean }> | null} */
function lockedPackages(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8")).packages;
  } catch {
    return null;
  }
}

/** Whether every package of the lockfile is installed in its version; optional ones (of other platforms) may be missing. */
function isInstalled() {
  const wanted = lockedPackages("package-lock.json");
  const present = lockedPackages("node_modules/.package-lock.json");
  if (wanted === null) throw new Error("package-lock.json is missing or cannot be read");
  if (present === null || !existsSync(node24)) return false;
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === "") return true;
    const found = present[path];
    return found === undefined ? optional === true : found.version === version;
  });
}

/** PATH with and without the folder of the dependencies' programs, which npm puts in front. */
const pathKey = Object.keys(process.env).find((key) => key.toUpperCase() === "PATH") ?? "PATH";
const ownPath = (process.env[pathKey] ?? "")
  .split(delimiter)
  .filter((folder) => !folder.startsWith(join(root, "node_modules")));

if (!isInstalled()) {
  console.log("Installing the dependencies (npm ci) ...");
  // Without node_modules/.bin on PATH: npm must not run in the Node that it replaces.
  const env = { ...process.env, [pathKey]: ownPath.join(delimiter) };
  const { status } = spawnSync("npm", ["ci"], {
    cwd: root,
    env,
    stdio: "inherit",
    shell: process.platform === "win32",
  });
  if (status !== 0) {
    console.error(
      "npm ci failed: see above. The dependencies need Node 20 or newer, npm, and a way to the npm registry.",
    );
    process.exit(1);
  }
  if (!isInstalled()) {
    console.error(
      "npm ci left out packages or their install scripts. Allow both (npm config: ignore-scripts=false, omit=) and try again.",
    );
    process.exit(1);
  }
}

const [task, ...rest] = process.argv.slice(2);
if (task === undefined) {
  console.error("usage: node scripts/bootstrap.mjs scripts/<task>.ts [arguments]");
  process.exit(2);
}
const child = spawn(node24, [join(root, task), ...rest], {
  cwd: root,
  env: { ...process.env, [pathKey]: [binaries, ...ownPath].join(delimiter) },
  stdio: "inherit",
});
// A terminal sends Ctrl-C to the task as well: wait for how it ends.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("error", (error) => {
  console.error(`The Node among the dependencies did not start: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + constants.signals[signal]));
