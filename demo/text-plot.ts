/** Plots in characters, for a terminal. */

import { piecesOf, type PlotData } from "./plot-data.ts";

const MARKS = ["●", "○", "▲", "△"];
const SEVERAL = "◉";
const ROWS_A_TICK = 4;

/** An axis from its first to its last tick, which lie around the values or within them. */
interface Axis {
  readonly ticks: readonly number[];
  readonly label: (tick: number) => string;
}

/**
 * Lines of text that show curves: a column has marks of each curve over the rows that it passes from half a column before to half a
 * column after, on straight lines between the points; nothing is drawn over a gap. `width` is the number of columns.
 */
export function textPlot(data: PlotData, width = 72): string[] {
  const curves = data.curves.map((curve) => piecesOf(data, curve));
  const points = curves.flat(2);
  if (points.length === 0) return [data.title, "(no finite values)"];
  const [left, right] = range(points.map(([x]) => x));
  const yAxis = axisAround(range(points.map(([, y]) => y)), 5);
  const low = yAxis.ticks[0]!;
  const high = yAxis.ticks.at(-1)!;
  const last = (yAxis.ticks.length - 1) * ROWS_A_TICK;

  const grid = Array.from({ length: last + 1 }, () => new Array<string>(width).fill(" "));
  const rowOf = (y: number): number => Math.round(((high - y) / (high - low)) * last);
  const step = (right - left) / (width - 1);
  const near = 0.49 * step; // a line of slope 1 stays thin
  curves.forEach((pieces, index) => {
    const mark = MARKS[index % MARKS.length]!;
    for (let column = 0; column < width; column++) {
      const x = left + step * column;
      const rows = [x - near, x, x + near].flatMap((x) => valueAt(pieces, x) ?? []).map(rowOf);
      for (let row = Math.min(...rows); row <= Math.max(...rows); row++)
        grid[row]![column] = grid[row]![column] === " " ? mark : SEVERAL;
    }
  });

  const labels = yAxis.ticks.map(yAxis.label);
  const margin = Math.max(...labels.map((label) => label.length));
  const rows = grid.map((row, i) => {
    const tick = i % ROWS_A_TICK === 0;
    const label = tick ? labels.at(-1 - i / ROWS_A_TICK)! : "";
    return `${label.padStart(margin)} ${tick ? "┤" : "│"}${row.join("")}`.trimEnd();
  });
  const legend = data.curves.map(({ name }, i) => `${MARKS[i % MARKS.length]} ${name}`);
  if (grid.some((row) => row.includes(SEVERAL))) legend.push(`${SEVERAL} ${legend.length === 2 ? "both" : "several"}`);
  const indent = " ".repeat(margin + 2);
  return [data.title, "", ...rows, ...bottom([left, right], width, margin), "", indent + legend.join("   ")];
}

/** The axis below the rows, and its labels. */
function bottom([left, right]: readonly [number, number], width: number, margin: number): string[] {
  const { ticks, label } = axisAround([left, right], Math.max(1, width / 8));
  const line = new Array<string>(width).fill("─");
  const labels = new Array<string>(width + margin + 2).fill(" ");
  for (const tick of ticks) {
    const column = Math.round(((tick - left) / (right - left)) * (width - 1));
    if (column < 0 || column >= width) continue;
    line[column] = "┬";
    const text = label(tick);
    const start = margin + 2 + column - Math.floor(text.length / 2);
    for (let i = 0; i < text.length; i++) labels[start + i] = text[i]!;
  }
  return [`${" ".repeat(margin)} └${line.join("")}`, labels.join("").trimEnd()];
}

/** A curve's value at x, by the straight line between its neighbours; null in a gap. */
function valueAt(pieces: readonly (readonly [number, number])[][], x: number): number | null {
  for (const piece of pieces) {
    if (x < piece[0]![0] || x > piece.at(-1)![0]) continue;
    const after = Math.max(
      1,
      piece.findIndex(([at]) => at >= x),
    );
    const [x0, y0] = piece[after - 1]!;
    const [x1, y1] = piece[after] ?? piece[0]!;
    return x1 === x0 ? y0 : y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
  }
  return null;
}

function range(values: readonly number[]): readonly [number, number] {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return low < high ? [low, high] : [low - 0.5, high + 0.5];
}

/** Multiples of 1, 2 or 5 times a power of ten, about `count` steps of them, that enclose a range. */
function axisAround([low, high]: readonly [number, number], count: number): Axis {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * (1 - SLACK)) ?? 10);
  const first = Math.floor(low / step + SLACK);
  const last = Math.ceil(high / step - SLACK);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + SLACK));
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step),
    label: (tick) => (Math.abs(tick) < step / 2 ? 0 : tick).toFixed(digits),
  };
}

/** Rounding of float32, which is not to add a tick. */
const SLACK = 1e-6;
