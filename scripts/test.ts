/**
 * `npm test`: prepares the system, then runs every test: Node (CPU and Dawn), Chromium, Deno, the package. With arguments
 * (`npm test -- test/unit --project node`) it passes them to vitest. Closes with the line "N passed, N failed".
 */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./support/environment.ts";
import { runNode, TOOLS } from "./support/run.ts";
import { prepareTests } from "./support/system.ts";

const CACHE = join(ROOT, ".cache");
const RESULTS = join(CACHE, "test-results.json");
const COUNTS = join(CACHE, "test-counts.txt");

/** What is used of vitest's report. */
interface Results {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Counts tests. A file that could not be loaded and an error outside of any test count as a failure each. */
function count(exitCode: number, complete: boolean): Counts {
  let results: Results;
  try {
    results = JSON.parse(readFileSync(RESULTS, "utf8")) as Results;
  } catch {
    return { passed: 0, failed: 1 };
  }
  let failed = 0;
  for (const { name, status, assertionResults } of results.testResults) {
    let inFile = 0;
    for (const assertion of assertionResults) {
      if (assertion.status === "passed") continue;
      // A whole run leaves nothing out: what is skipped or still to do has not passed.
      if (assertion.status !== "failed" && !complete) continue;
      if (assertion.status !== "failed")
        console.error(`${assertion.status}, not passed: ${name}: ${assertion.fullName}`);
      inFile++;
    }
    failed += inFile === 0 && status === "failed" ? 1 : inFile;
  }
  return { passed: results.numPassedTests, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
}

const args = process.argv.slice(2);
mkdirSync(CACHE, { recursive: true });
for (const file of [RESULTS, COUNTS]) rmSync(file, { force: true });

const missing = prepareTests();
for (const message of missing) console.error(message);

const exitCode = await runNode(TOOLS.vitest, [
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${RESULTS}`,
  ...args,
]);
const { passed, failed } = count(exitCode, args.length === 0);
for (const message of missing) console.error(message);
writeFileSync(COUNTS, `${passed} passed, ${failed} failed\n`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
