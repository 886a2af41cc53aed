/** What NumPy's `print` shows of arrays of 64-bit numbers; fixtures made by NumPy hold it in place. */

import { exponential, fixed } from "../src/format/decimal.ts";
import type { NdArray, Nested } from "./numpy.ts";

const PRECISION = 8;
const THRESHOLD = 1000;
const EDGE_ITEMS = 3;
const LINE_WIDTH = 75;

const DOTS = "...";

/** What is shown of an array: numbers, and dots where rows or numbers are left out. */
type Shown = number | typeof DOTS | readonly Shown[];

/** Text of an array, as in `[[ 6.  0.]\n [ 0. 12.]]`; rank 0 as Python's `str` gives it. */
export function formatArray({ values, kind }: NdArray): string {
  if (typeof values === "number") return kind === "int" ? String(values) : scalarText(values);
  if (count(values) === 0) return "[]";
  const shown = shorten(values, count(values) > THRESHOLD);
  const format = (kind === "int" ? integerFormat : floatFormat)(numbersOf(shown));
  return layOut(shown, 0, (x) => (x === DOTS ? DOTS : format(x)));
}

function count(values: Nested): number {
  return typeof values === "number" ? 1 : values.length === 0 ? 0 : values.length * count(values[0]!);
}

/** Leaves out the middle of every dimension that is longer than its two edges. */
function shorten(values: Nested, cut: boolean): Shown {
  if (typeof values === "number") return values;
  const items = (part: readonly Nested[]): Shown[] => part.map((value) => shorten(value, cut));
  if (!cut || values.length <= 2 * EDGE_ITEMS) return items(values);
  return [...items(values.slice(0, EDGE_ITEMS)), DOTS, ...items(values.slice(-EDGE_ITEMS))];
}

function numbersOf(shown: Shown): number[] {
  if (shown === DOTS) return [];
  return typeof shown === "number" ? [shown] : shown.flatMap(numbersOf);
}

/** Brackets, line breaks and indentation; `depth` is the number of brackets that are open. */
function layOut(shown: Shown, depth: number, format: (x: number | typeof DOTS) => string): string {
  if (shown === DOTS || typeof shown === "number") return format(shown);
  const margin = " ".repeat(depth + 1);
  const items = shown.map((item) => layOut(item, depth + 1, format));
  const inner = shown.find((item) => item !== DOTS);
  if (typeof inner !== "number") return `[${items.join("\n".repeat(rankOf(inner!)) + margin)}]`;
  // Room for the bracket that closes this row and those around it.
  return `[${wrapped(items, margin, LINE_WIDTH - 1 - depth).slice(margin.length)}]`;
}

function rankOf(shown: Shown): number {
  return Array.isArray(shown) ? 1 + rankOf(shown.find((item) => item !== DOTS) as Shown) : 0;
}

/** Words in lines of at most `width` columns. A line that is followed by another loses the spaces at its end. */
function wrapped(words: readonly string[], margin: string, width: number): string {
  const lines: string[] = [];
  let line: string | null = null;
  for (const word of words) {
    if (line !== null && line.length + 1 + word.length > width) {
      lines.push(line.trimEnd());
      line = null;
    }
    line = line === null ? margin + word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}

function integerFormat(values: readonly number[]): (x: number) => string {
  const width = Math.max(...values.map((x) => String(x).length));
  return (x) => String(x).padStart(width);
}

/**
 * Every number with the fewest digits that tell it from its neighbours, at most eight of them after the point; the
 * points stand below each other. Scientific where a magnitude is 1e8 or more or below 1e-4, or the largest is over 1000
 * times the smallest; zeros, infinities and NaN have no part in that.
 */
function floatFormat(values: readonly number[]): (x: number) => string {
  const finite = values.filter(Number.isFinite);
  const magnitudes = finite.filter((x) => x !== 0).map(Math.abs);
  const low = Math.min(...magnitudes);
  const high = Math.max(...magnitudes);
  const scientific = magnitudes.length > 0 && (high >= 1e8 || low < 1e-4 || high / low > 1000);
  const measured = finite.map((x) => partsOf(shortest(x, scientific)));
  const longest = (part: keyof Parts): number => Math.max(0, ...measured.map((parts) => parts[part].length));
  const fraction = longest("fraction");
  const power = longest("power");
  const right = scientific ? fraction + 2 + power : fraction;
  const others = values.filter((x) => !Number.isFinite(x)).map((x) => special(x).length - right - 1);
  const left = Math.max(longest("whole"), ...others);
  return (x) => {
    if (!Number.isFinite(x)) return special(x).padStart(left + 1 + right);
    // Scientific form fills up with exact digits, which differ from zeros for subnormal numbers.
    const parts = partsOf(scientific ? exponential(x, fraction) : shortest(x, false));
    const start = `${parts.whole.padStart(left)}.`;
    if (!scientific) return start + parts.fraction.padEnd(fraction);
    return `${start}${parts.fraction.padEnd(fraction, "0")}e${parts.sign}${parts.power.padStart(power, "0")}`;
  };
}

/** A finite number with the fewest digits that tell it from its neighbours, rounded to eight after the point. */
function shortest(x: number, scientific: boolean): string {
  const magnitude = Math.abs(x);
  const text = scientific ? magnitude.toExponential() : String(magnitude);
  if ((/\.(\d+)/.exec(text)?.[1] ?? "").length > PRECISION) return (scientific ? exponential : fixed)(x, PRECISION);
  return (x < 0 || Object.is(x, -0) ? "-" : "") + text;
}

/** The parts of a number's text: `-1`, `25`, `-` and `05` of `-1.2500e-5`. */
interface Parts {
  readonly whole: string;
  readonly fraction: string;
  readonly sign: string;
  readonly power: string;
}

function partsOf(text: string): Parts {
  const [, whole, fraction, sign, power] = /^(-?\d+)(?:\.(\d*?)0*)?(?:e([+-])(\d+))?$/.exec(text)!;
  return { whole: whole!, fraction: fraction ?? "", sign: sign ?? "", power: power?.padStart(2, "0") ?? "" };
}

function special(x: number): string {
  return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
}

/** Python's `str` of a float. */
function scalarText(x: number): string {
  if (!Number.isFinite(x)) return special(x);
  const magnitude = Math.abs(x);
  const sign = x < 0 || Object.is(x, -0) ? "-" : "";
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e16))
    return sign + magnitude.toExponential().replace(/(?<=e[+-])(?=\d$)/, "0");
  return sign + (Number.isInteger(x) ? `${magnitude}.0` : String(magnitude));
}
