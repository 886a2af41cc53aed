/** Plots in characters, and the notebook's Markdown as lines. */

import { describe, expect, test } from "vitest";
import { markdownLines } from "../../demo/notebook/markdown-text.ts";
import { piecesOf } from "../../demo/plot-data.ts";
import { textPlot } from "../../demo/text-plot.ts";

describe("textPlot", () => {
  test("draws two crossing lines with axes and a legend", () => {
    const plot = textPlot(
      {
        title: "lines",
        x: [0, 4],
        curves: [
          { name: "up", y: [0, 4] },
          { name: "down", y: [4, 0] },
        ],
      },
      17,
    );
    expect(plot).toEqual([
      "lines",
      "",
      "4 ┤○               ●",
      "  │ ○             ●",
      "  │  ○           ●",
      "  │   ○         ●",
      "3 ┤    ○       ●",
      "  │     ○     ●",
      "  │      ○   ●",
      "  │       ○ ●",
      "2 ┤        ◉",
      "  │       ● ○",
      "  │      ●   ○",
      "  │     ●     ○",
      "1 ┤    ●       ○",
      "  │   ●         ○",
      "  │  ●           ○",
      "  │ ●             ○",
      "0 ┤●               ○",
      "  └┬───────┬───────┬",
      "   0       2       4",
      "",
      "   ● up   ○ down   ◉ both",
    ]);
  });

  test("draws nothing across a pole or a value that is not finite", () => {
    const x = [-2, -1, 1, 2];
    const y = [1, 1, 1, 1];
    expect(piecesOf({ title: "", x, pole: 0, curves: [] }, { name: "", y })).toEqual([
      [
        [-2, 1],
        [-1, 1],
      ],
      [
        [1, 1],
        [2, 1],
      ],
    ]);
    expect(piecesOf({ title: "", x, curves: [] }, { name: "", y: [1, NaN, Infinity, 2] })).toEqual([
      [[-2, 1]],
      [[2, 2]],
    ]);
    const row = textPlot({ title: "", x, pole: 0, curves: [{ name: "f", y }] }, 9).find((line) => line.includes("●"))!;
    expect(row).toMatch(/┤●●●? +●?●●$/);
  });

  test("shows a constant, and says so where there is nothing to show", () => {
    const constant = textPlot({ title: "", x: [0, 1], curves: [{ name: "c", y: [3, 3] }] }, 8);
    expect(constant.some((line) => line.includes("●●●●●●●●"))).toBe(true);
    expect(textPlot({ title: "none", x: [0], curves: [{ name: "n", y: [NaN] }] })).toEqual([
      "none",
      "(no finite values)",
    ]);
    expect(textPlot({ title: "empty", x: [], curves: [{ name: "n", y: [] }] })).toEqual([
      "empty",
      "(no finite values)",
    ]);
  });

  test("a rounding error of float32 does not move an axis", () => {
    const rows = (top: number): string[] =>
      textPlot({ title: "", x: [0, 1], curves: [{ name: "c", y: [-1, top] }] }, 9);
    expect(rows(1 + 1e-7)).toEqual(rows(1));
    expect(rows(1 - 1e-7)).toEqual(rows(1));
  });

  test("small and large numbers have labels that tell them apart", () => {
    const labels = (y: number[]): string[] =>
      textPlot({ title: "", x: [0, 1], curves: [{ name: "c", y }] }, 9).flatMap(
        (line) => /^ *(\S+) ┤/.exec(line)?.[1] ?? [],
      );
    expect(labels([0, 0.004])).toEqual(["0.004", "0.003", "0.002", "0.001", "0.000"]);
    expect(labels([-20_000, 20_000])).toEqual(["20000", "10000", "0", "-10000", "-20000"]);
  });
});

describe("markdownLines", () => {
  test("shows formulas, emphasis, code and links as plain text", () => {
    expect(markdownLines("(log $x^2$) + $x^{-1}$, **bold**, `code()`, $v^T$, $\\log(x^2) \\cdot \\sin(x)$")).toEqual([
      "(log x²) + x⁻¹, bold, code(), vᵀ, log(x²) · sin(x)",
    ]);
    expect(markdownLines("[*Title*](https://example.org/)")).toEqual(["Title (https://example.org/)"]);
  });

  test("breaks lines and indents what follows a list's dash", () => {
    expect(markdownLines("- one two three\n    - four five six\n\nseven eight", 12)).toEqual([
      "- one two",
      "  three",
      "    - four",
      "      five",
      "      six",
      "",
      "seven eight",
    ]);
  });
});
