/** Every cell of the notebook, on the CPU and on WebGPU: what it prints, plots and draws. */

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import * as tg from "#tapegrad";
import { codeOf, type CellOutput } from "../../demo/notebook/entry.ts";
import { notebook, SOURCE_FILES } from "../../demo/notebook/notebook.ts";
import { printed } from "../../demo/notebook/python-text.ts";
import { tapeLines } from "../../demo/notebook/tape-text.ts";
import type { PlotData } from "../../demo/plot-data.ts";
import { sum } from "../../demo/python.ts";
import { onDevice } from "../support/device.ts";
import { TEST_DEVICES } from "../support/portable.ts";
import {
  EXERCISES,
  expectedCells,
  expectPrinted,
  LARGEST_DIFFERENCE,
  largestDifference,
  RANDOM_CELL,
} from "./expected.ts";

/** What a cell gave. */
interface Seen {
  readonly lines: string[];
  readonly plots: PlotData[];
  readonly tapes: tg.TapeGraph[];
}

const cells = notebook.filter((entry) => entry.kind === "cell");
const cellOf = (label: string) => cells.find((cell) => cell.label === label)!;

async function runCell(label: string): Promise<Seen> {
  const seen: Seen = { lines: [], plots: [], tapes: [] };
  const output: CellOutput = {
    print: async (...values) => void seen.lines.push(...(await printed(values)).split("\n")),
    show: async (value) => void seen.lines.push(...(await printed([value])).split("\n")),
    plot: async (data) => void seen.plots.push(data),
    graph: async (tape) => void seen.tapes.push(tape),
  };
  await cellOf(label).run(output);
  return seen;
}

function expectClose(actual: readonly number[], exact: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(exact.length);
  expect(Math.max(...actual.map((value, i) => Math.abs(value - exact[i]!)))).toBeLessThan(tolerance);
}

test("the notebook has every cell of the original, in order, and the exercises", () => {
  expect(cells.map(({ label }) => label)).toEqual([...expectedCells.map(({ label }) => label), ...EXERCISES]);
});

test("every cell has code to show, and a label that does not exist is refused", () => {
  const source = SOURCE_FILES.map((file) =>
    readFileSync(new URL(`../../demo/notebook/${file}`, import.meta.url), "utf8"),
  ).join("\n");
  for (const { label } of cells) expect(codeOf(label, source).trim().length).toBeGreaterThan(10);
  expect(codeOf("1", source)).toContain('import * as tg from "tapegrad";');
  expect(codeOf("5", source)).toBe("y.backward();\nawait show(x.grad);");
  expect(() => codeOf("99", source)).toThrow('no code for cell "99"');
});

test("Python's sum adds one element after the other, and refuses an empty list", async () => {
  const total = sum(tg.tensor([1, 2, 4], { requiresGrad: true }));
  expect(await printed([total])).toBe("tensor(7., grad_fn=<AddBackward0>)");
  expect(() => sum([])).toThrow("sum: there is nothing to add");
});

describe.for(TEST_DEVICES)("on %s", (device) => {
  const seen = new Map<string, Seen>();

  beforeAll(async () => {
    await onDevice(device, async () => {
      tg.manualSeed(0);
      for (const { label } of cells) seen.set(label, await runCell(label));
    });
  });

  test.for(expectedCells.map(({ label }) => label))("cell %s prints what the notebook shows", (label) => {
    expectPrinted(label, seen.get(label)!.lines);
  });

  test("the random cell keeps its rule for positive and negative numbers", async () => {
    const signs = new Set<string>();
    await onDevice(device, async () => {
      for (let seed = 1; seed <= (device === "cpu" ? 100 : 10); seed++) {
        tg.manualSeed(seed);
        const { lines } = await runCell(RANDOM_CELL);
        expectPrinted(RANDOM_CELL, lines);
        signs.add(lines[0]!.startsWith("a: tensor(-") ? "negative" : "positive");
      }
    });
    expect(signs.size).toBe(2);
  });

  test("Ex 2 plots sin and, by autograd, its derivative", () => {
    const { plots, lines } = seen.get("Ex 2")!;
    expect(lines).toEqual([]);
    expect(plots).toHaveLength(1);
    const [{ x, curves }] = plots as [PlotData];
    expect(x.length).toBe(161);
    expect(x[0]).toBeCloseTo(-2 * Math.PI, 6);
    expect(x.at(-1)).toBeCloseTo(2 * Math.PI, 6);
    expect(curves.map(({ name }) => name)).toEqual(["f(x)", "f'(x)"]);
    expectClose(curves[0]!.y, x.map(Math.sin), 5e-7);
    expectClose(curves[1]!.y, x.map(Math.cos), 5e-7);
  });

  test("Ex 5 draws the dependency graph of f", () => {
    const { tapes } = seen.get("Ex 5")!;
    expect(tapes).toHaveLength(1);
    const [tape] = tapes as [tg.TapeGraph];
    const called = (id: number): string => `${tape.nodes[id]!.variable} (${tape.nodes[id]!.name})`;
    expect(tape.edges.map(({ from, to }) => `${called(from)} of ${called(to)}`).sort()).toEqual([
      "1/x (ReciprocalBackward0) of x (AccumulateGrad)",
      "f(x) (AddBackward0) of 1/x (ReciprocalBackward0)",
      "f(x) (AddBackward0) of log x² · sin x (MulBackward0)",
      "log x² (LogBackward0) of x² (PowBackward0)",
      "log x² · sin x (MulBackward0) of log x² (LogBackward0)",
      "log x² · sin x (MulBackward0) of sin x (SinBackward0)",
      "sin x (SinBackward0) of x (AccumulateGrad)",
      "x² (PowBackward0) of x (AccumulateGrad)",
    ]);
    expect(tapeLines(tape)[0]).toMatch(/^x +AccumulateGrad$/);
    expect(tapeLines(tape).at(-1)).toMatch(/^f\(x\) +AddBackward0 +of log x² · sin x, 1\/x$/);
    expect(tape.toDot()).toContain('[label="log x² · sin x"]');
  });

  test("Ex 5 plots the analytic derivative and the one by autograd, and tells how little they differ", () => {
    const { plots, lines } = seen.get("Ex 5")!;
    expect(plots).toHaveLength(1);
    const [{ x, curves, pole }] = plots as [PlotData];
    expect(pole).toBe(0);
    expect(curves.map(({ name }) => name)).toEqual(["analytic", "autograd"]);
    const exact = x.map((v) => (2 / v) * Math.sin(v) + Math.log(v * v) * Math.cos(v) - 1 / (v * v));
    for (const { y } of curves) expectClose(y, exact, LARGEST_DIFFERENCE);
    const apart = Math.max(...x.map((_, i) => Math.abs(curves[0]!.y[i]! - curves[1]!.y[i]!)));
    const told = largestDifference(lines);
    expect(told).toBeLessThan(LARGEST_DIFFERENCE);
    expect(told).toBeCloseTo(apart, 9);
  });
});
