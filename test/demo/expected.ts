/** What the notebook's cells print, by test/fixtures/notebook.json; and the rule of the cell that draws a random number. */

import { readFileSync } from "node:fs";
import { expect } from "vitest";

/** A cell's label, and the lines that it printed in the notebook, without spaces at their ends. */
export interface ExpectedCell {
  readonly label: string;
  readonly output: readonly string[];
}

/** The notebook's cells in order. */
export const expectedCells = JSON.parse(
  readFileSync(new URL("../fixtures/notebook.json", import.meta.url), "utf8"),
) as readonly ExpectedCell[];

/** The cell that draws a random number. */
export const RANDOM_CELL = "11";

/** The exercises, of which the notebook has no output. */
export const EXERCISES = ["Ex 2", "Ex 5"] as const;

/** Most that autograd and the chain rule may differ by in the exercise that compares them. */
export const LARGEST_DIFFERENCE = 2e-5;

/** The number that the line `largest difference: tensor(...)` tells. */
export function largestDifference(lines: readonly string[]): number {
  const found = /^largest difference: tensor\((.*)\)$/m.exec(lines.join("\n"));
  return Number(found?.[1] ?? NaN);
}

/** f of the random cell over its argument, by plain numbers. */
function factorOf(a: number): number {
  let b = a * 2;
  while (Math.abs(b) < 1000) b *= 2;
  return (b > 0 ? b : 100 * b) / a;
}

/** Checks what a cell printed: as in the notebook, or, for the random cell, that its gradient is f(a) / a. */
export function expectPrinted(label: string, lines: readonly string[]): void {
  const printed = lines.map((line) => line.trimEnd());
  if (label !== RANDOM_CELL) {
    expect(printed).toEqual(expectedCells.find((cell) => cell.label === label)!.output);
    return;
  }
  expect(printed).toHaveLength(3);
  const a = Number(/^a: tensor\((-?\d+\.\d*(?:e[+-]\d+)?), requires_grad=True\)$/.exec(printed[0]!)?.[1] ?? NaN);
  const gradient = Number(/^a\.grad: tensor\((\d+\.\d*(?:e[+-]\d+)?)\)$/.exec(printed[1]!)?.[1] ?? NaN);
  // a is printed with four digits after the point; at a power of two that can be one doubling apart.
  const factors = [a - 5e-5, a, a + 5e-5].map(factorOf);
  expect(factors.map((factor) => factor.toPrecision(5))).toContain(gradient.toPrecision(5));
  expect(printed[2]).toBe("tensor(True)");
}
