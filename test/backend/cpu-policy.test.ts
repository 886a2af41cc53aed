/** The CPU where nothing may be compiled at run time, neither WebAssembly nor JavaScript from text: the portable suites pass all the same. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { Case } from "../support/portable.ts";

const SUITES = [
  "conformance with PyTorch",
  "layers conform with PyTorch",
  "training conforms with PyTorch",
  "backward",
  "in place",
  "func",
  "convolution",
  "pooling",
  "attention",
  "sorting",
  "float16",
  "numbers",
  "values and arguments",
];

type Line = Case & { readonly outcome: string | null };
interface Facts {
  readonly description: string;
  readonly functions: boolean;
  readonly modules: boolean;
}

let lines: Line[] = [];
let facts: Facts;

beforeAll(async () => {
  const args = ["--disable-warning=ExperimentalWarning", "--disallow-code-generation-from-strings"];
  const { stdout } = await promisify(execFile)(process.execPath, [...args, "test/support/forbidden.ts", ...SUITES], {
    cwd: process.cwd(),
    maxBuffer: 2 ** 26,
  });
  const parsed = stdout
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  facts = parsed.pop() as Facts;
  lines = parsed as Line[];
}, 600_000);

describe("without compilation at run time", () => {
  test("all of it is forbidden, and the device says what it does", () => {
    expect(facts).toEqual({ description: "CPU (JavaScript)", functions: true, modules: true });
  });

  test.each(SUITES)("%s", (suite) => {
    const own = lines.filter((line) => line.suite === suite);
    expect(own.length).toBeGreaterThan(4);
    expect(own.filter((line) => line.outcome !== null).map((line) => `${line.test}: ${line.outcome}`)).toEqual([]);
  });
});
