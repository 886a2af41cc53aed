/** Starts other programs of the project. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./environment.ts";

/** Runs a Node program in the project's folder, showing what it prints; gives its exit code (128 and more: a signal). `flags` are Node's own. */
export function runNode(
  script: string,
  args: readonly string[] = [],
  variables: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const child = spawn(process.execPath, [...flags, join(ROOT, script), ...args], {
    cwd: ROOT,
    env: { ...process.env, ...variables },
    stdio: "inherit",
  });
  child.on("error", reject);
  child.on("exit", (code) => resolve(code ?? 128));
  return promise;
}

/** Scripts of the development dependencies, by the name of their command. */
export const TOOLS = {
  attw: "node_modules/@arethetypeswrong/cli/dist/index.js",
  oxlint: "node_modules/oxlint/bin/oxlint",
  prettier: "node_modules/prettier/bin/prettier.cjs",
  publint: "node_modules/publint/src/cli.js",
  tsc: "node_modules/typescript/bin/tsc",
  typedoc: "node_modules/typedoc/bin/typedoc",
  vitest: "node_modules/vitest/vitest.mjs",
} as const;
