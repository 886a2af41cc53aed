/**
 * How tensors are printed: as PyTorch prints them. The layout rules are those that `torch.set_printoptions` documents and
 * that its output shows; fixtures taken from PyTorch hold them in place.
 */

import type { DType } from "./dtype.ts";
import { ArgumentError } from "./errors.ts";

/** Options of printing (`torch.set_printoptions`). */
export interface PrintOptions {
  /** Digits after the point. */
  precision: number;
  /** Number of elements above which the middle of each dimension is left out. */
  threshold: number;
  /** Elements shown at each end of a dimension that is cut. */
  edgeitems: number;
  /** Columns of a line. */
  linewidth: number;
  /** Scientific notation: always, never, or (null) where the range of values asks for it. */
  sciMode: boolean | null;
}

const PROFILES: Readonly<Record<string, Partial<PrintOptions>>> = {
  default: { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80 },
  short: { precision: 2, threshold: 1000, edgeitems: 2, linewidth: 80 },
  full: { precision: 4, threshold: Infinity, edgeitems: 3, linewidth: 80 },
};

const current: PrintOptions = { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80, sciMode: null };

/** Sets options of printing; `profile` is `"default"`, `"short"` or `"full"` and is applied first. */
export function setPrintOptions(options: Partial<PrintOptions> & { profile?: string | null }): void {
  const { profile = null, ...rest } = options;
  if (profile !== null) {
    const values = PROFILES[profile];
    if (values === undefined)
      throw new ArgumentError(`setPrintOptions: unknown profile "${profile}"; known are ${Object.keys(PROFILES).join(", ")}`);
    Object.assign(current, values);
  }
  for (const [key, value] of Object.entries(rest)) {
    if (!(key in current))
      throw new ArgumentError(`setPrintOptions: unknown option "${key}"; known are ${Object.keys(current).join(", ")}, profile`);
    if (value !== undefined) Object.assign(current, { [key]: value });
  }
}

/** Options in force. */
export function getPrintOptions(): PrintOptions {
  return { ...current };
}

/** What is printed. `data` holds all elements in row-major order. */
export interface FormatInput {
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Name of the tape entry, if any. */
  readonly gradFn?: string | null;
  readonly requiresGrad?: boolean;
  readonly prefix?: string;
}

/** Text of a tensor as PyTorch's `print` shows it. */
export function formatTensor(input: FormatInput): string {
  const { data, shape, dtype, gradFn = null, requiresGrad = false, prefix = "tensor(" } = input;
  const suffixes: string[] = [];
  let body: string;
  if (data.length === 0) {
    if (shape.length !== 1) suffixes.push(`size=(${shape.join(", ")})`);
    if (dtype !== "float32") suffixes.push(`dtype=torch.${dtype}`);
    body = "[]";
  } else {
    if (dtype !== "float32" && dtype !== "bool") suffixes.push(`dtype=torch.${dtype}`);
    const cut = data.length > current.threshold;
    const shown = cut ? summarised(shape) : null;
    const values = shown === null ? data : shown.map((i) => data[i]!);
    body = layOut(data, shape, 0, 0, prefix.length, cut, formatterFor(values, dtype));
  }
  if (gradFn !== null) suffixes.push(`grad_fn=<${gradFn}>`);
  else if (requiresGrad) suffixes.push("requires_grad=True");
  return addSuffixes(prefix + body, suffixes, prefix.length);
}

/** Appends suffixes, each on a new line where it does not fit. */
function addSuffixes(text: string, suffixes: readonly string[], indent: number): string {
  let result = text;
  let last = text.length - text.lastIndexOf("\n") + 1;
  for (const suffix of suffixes) {
    if (last + suffix.length + 2 > current.linewidth) {
      result += `,\n${" ".repeat(indent)}${suffix}`;
      last = indent + suffix.length;
    } else {
      result += `, ${suffix}`;
      last += suffix.length + 2;
    }
  }
  return `${result})`;
}

/** Row-major positions of the elements that are shown when dimensions are cut. */
export function summarised(shape: readonly number[]): number[] {
  let positions = [0];
  shape.forEach((size) => {
    const next: number[] = [];
    for (const base of positions) for (const i of shownIndices(size)) next.push(base * size + i);
    positions = next;
  });
  return positions;
}

function shownIndices(size: number): number[] {
  const edge = current.edgeitems;
  const all = Array.from({ length: size }, (_, i) => i);
  return size > 2 * edge ? [...all.slice(0, edge), ...all.slice(size - edge)] : all;
}

interface Formatter {
  readonly width: number;
  format(value: number): string;
}

function formatterFor(values: ArrayLike<number>, dtype: DType): Formatter {
  if (dtype === "bool") return padded(values, (v) => (v ? "True" : "False"));
  if (dtype === "int32" || dtype === "uint8") return padded(values, String);
  return floatFormatter(values);
}

function padded(values: ArrayLike<number>, text: (value: number) => string): Formatter {
  let width = 0;
  for (let i = 0; i < values.length; i++) width = Math.max(width, text(values[i]!).length);
  return { width, format: (v) => text(v).padStart(width) };
}

function floatFormatter(values: ArrayLike<number>): Formatter {
  const { precision, sciMode } = current;
  const finite: number[] = [];
  for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i]!) && values[i] !== 0) finite.push(values[i]!);
  let integral = true;
  let low = Infinity;
  let high = 0;
  for (const v of finite) {
    if (!Number.isInteger(v)) integral = false;
    low = Math.min(low, Math.abs(v));
    high = Math.max(high, Math.abs(v));
  }
  const wide = finite.length > 0 && (high / low > 1000 || high > 1e8 || (!integral && low < 1e-4));
  const scientific = sciMode ?? wide;
  const text = (v: number): string => {
    if (Number.isNaN(v)) return "nan";
    if (!Number.isFinite(v)) return v > 0 ? "inf" : "-inf";
    if (scientific) return exponential(v, precision);
    return integral ? `${fixed(v, 0)}.` : fixed(v, precision);
  };
  let width = 1;
  for (const v of finite) width = Math.max(width, text(v).length);
  return { width, format: (v) => text(v).padStart(width) };
}

/** Python's `f"{v:.{digits}f}"`: ties of the exact value go to the even digit. */
export function fixed(v: number, digits: number): string {
  const sign = v < 0 || Object.is(v, -0) ? "-" : "";
  const x = Math.abs(v);
  if (x >= 1e21) return sign + BigInt(x).toString() + (digits > 0 ? `.${"0".repeat(digits)}` : "");
  return sign + evenTie(x.toFixed(digits), x.toFixed(100), digits);
}

/** Python's `f"{v:.{digits}e}"`, with an exponent of at least two digits. */
export function exponential(v: number, digits: number): string {
  const sign = v < 0 || Object.is(v, -0) ? "-" : "";
  const x = Math.abs(v);
  const [mantissa, exponent] = x.toExponential(digits).split("e") as [string, string];
  const [exact, exactExponent] = x.toExponential(100).split("e") as [string, string];
  const value = exponent === exactExponent ? evenTie(mantissa, exact, digits) : mantissa;
  const power = exponent.slice(1).padStart(2, "0");
  return `${sign}${value}e${exponent[0]}${power}`;
}

/** The rounded decimal, or its lower neighbour where the exact value is a tie and the neighbour's last digit is even. */
function evenTie(rounded: string, exact: string, digits: number): string {
  const point = exact.indexOf(".");
  const rest = exact.slice(point + 1 + digits);
  if (!/^50*$/.test(rest)) return rounded;
  const down = exact.slice(0, digits === 0 ? point : point + 1 + digits);
  return Number(down[down.length - 1]) % 2 === 0 ? down : rounded;
}

/** Nested brackets. `at` is the row-major position of the first element below dimension `d`. */
function layOut(
  data: ArrayLike<number>,
  shape: readonly number[],
  d: number,
  at: number,
  indent: number,
  cut: boolean,
  formatter: Formatter,
): string {
  if (d === shape.length) return formatter.format(data[at]!);
  const size = shape[d]!;
  const shorten = cut && size > 2 * current.edgeitems;
  const indices = shorten ? shownIndices(size) : Array.from({ length: size }, (_, i) => i);
  if (d === shape.length - 1) {
    const items = indices.map((i) => formatter.format(data[at + i]!));
    if (shorten) items.splice(current.edgeitems, 0, " ...");
    const perLine = Math.max(1, Math.floor((current.linewidth - indent) / (formatter.width + 2)));
    const lines: string[] = [];
    for (let i = 0; i < items.length; i += perLine) lines.push(items.slice(i, i + perLine).join(", "));
    return `[${lines.join(`,\n${" ".repeat(indent + 1)}`)}]`;
  }
  let step = 1;
  for (let e = d + 1; e < shape.length; e++) step *= shape[e]!;
  const parts = indices.map((i) => layOut(data, shape, d + 1, at + i * step, indent + 1, cut, formatter));
  if (shorten) parts.splice(current.edgeitems, 0, "...");
  return `[${parts.join(`,${"\n".repeat(shape.length - d - 1)}${" ".repeat(indent + 1)}`)}]`;
}
