/**
 * How tensors are printed: as PyTorch prints them. A pure function of host data. The rules are those that
 * `torch.set_printoptions` documents and that its output shows; fixtures made by PyTorch hold them in place.
 */

import type { DType } from "./dtype.ts";
import { ArgumentError } from "./errors.ts";
import { exponential, fixed } from "./format/decimal.ts";

/** Options of printing, with the defaults of PyTorch. */
export interface PrintOptions {
  /** Digits after the point; 4. */
  readonly precision: number;
  /** A tensor of more elements than this is printed without its middle; 1000. */
  readonly threshold: number;
  /** How many elements, rows and matrices are shown at either end of a dimension that is cut; 3. */
  readonly edgeitems: number;
  /** Columns of a line; 80. */
  readonly linewidth: number;
  /** Scientific form always, never, or, with null, where the range of the values asks for it; null. */
  readonly sciMode: boolean | null;
}

/** What `setPrintOptions` takes: options, or a named set of them that the others then change. */
export type PrintSettings = Partial<PrintOptions> & {
  /** A named set of options. */
  readonly profile?: "default" | "short" | "full" | null;
};

const DEFAULTS: PrintOptions = { precision: 4, threshold: 1000, edgeitems: 3, linewidth: 80, sciMode: null };

const PROFILES: Readonly<Record<string, PrintOptions>> = {
  default: DEFAULTS,
  short: { ...DEFAULTS, precision: 2, edgeitems: 2 },
  full: { ...DEFAULTS, threshold: Infinity },
};

let current = DEFAULTS;

/**
 * Changes how tensors are printed from now on (`torch.set_printoptions`). `profile` is applied first. As in PyTorch,
 * `sciMode` goes back to null where it is not named. Throws an `ArgumentError`, with nothing changed, for an unknown
 * option or profile or a value out of range.
 *
 *     setPrintOptions({ precision: 2 });
 *     setPrintOptions({ profile: "default" });
 */
export function setPrintOptions(settings: PrintSettings): void {
  const { profile = null, ...options } = settings;
  const base = profile === null ? current : PROFILES[profile];
  if (base === undefined)
    throw new ArgumentError(
      `setPrintOptions: unknown profile "${profile}"; known are ${Object.keys(PROFILES).join(", ")}`,
    );
  current = merged({ ...base, sciMode: null }, options, "setPrintOptions");
}

/** The options in force (`torch.get_printoptions`). */
export function getPrintOptions(): PrintOptions {
  return { ...current };
}

/** `base` with the options that are given, checked. */
function merged(base: PrintOptions, options: Partial<PrintOptions>, where: string): PrintOptions {
  const result: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(options)) {
    if (!(name in DEFAULTS))
      throw new ArgumentError(
        `${where}: unknown option "${name}"; known are ${Object.keys(DEFAULTS).join(", ")}, profile`,
      );
    if (value === undefined || (value === null && name !== "sciMode")) continue;
    const valid =
      name === "sciMode"
        ? value === null || typeof value === "boolean"
        : typeof value === "number" &&
          value >= 0 &&
          (Number.isInteger(value) || (value === Infinity && name !== "precision"));
    if (!valid)
      throw new ArgumentError(
        `${where}: ${name} is ${String(value)}; it takes ${name === "sciMode" ? "true, false or null" : "an integer from 0 on"}`,
      );
    result[name] = value;
  }
  return result as unknown as PrintOptions;
}

/** What is printed. */
export interface FormatInput {
  /**
   * The elements in row-major order, each as its exact value (`float16` as numbers, `bool` as 0 and 1); see
   * `summarized`.
   */
  readonly data: ArrayLike<number>;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** True where `data` holds only the elements at `summaryIndices(shape, options)`. */
  readonly summarized?: boolean;
  /** Name of the tape entry, if any. */
  readonly gradFn?: string | null;
  /** Shown where there is no `gradFn`. */
  readonly requiresGrad?: boolean;
  /** Shown where it is given, as in `device='cuda:0'`. */
  readonly device?: string | null;
  /** The floating-point dtype that is not shown; float32. */
  readonly defaultDtype?: DType;
  /** What stands before the brackets; lines after the first are indented by its length. */
  readonly prefix?: string;
  /** Options that differ from those in force. */
  readonly options?: Partial<PrintOptions>;
}

/**
 * The text of a tensor as PyTorch's `print` shows it: `tensor([1., 2.], requires_grad=True)`. Throws an `ArgumentError`
 * where `data` has not as many elements as the shape (or its summary) needs.
 */
export function formatTensor(input: FormatInput): string {
  const { data, shape, dtype, summarized = false, prefix = "tensor(" } = input;
  const options = merged(current, input.options ?? {}, "formatTensor");
  const cut = summaryIndices(shape, options);
  const values = cut === null || summarized ? data : cut.map((i) => data[i]!);
  const needed = summarized && cut !== null ? cut.length : elements(shape);
  if (data.length !== needed)
    throw new ArgumentError(
      `formatTensor: shape [${shape.join(", ")}]${summarized ? ", summarized," : ""} has ${needed} elements, data ${data.length}`,
    );
  const body =
    elements(shape) === 0
      ? "[]"
      : new Layout(values, shape, formatterOf(values, dtype, options), cut !== null, options).text(0, prefix.length);
  return withSuffixes(prefix + body, suffixes(input), prefix.length, options.linewidth);
}

function elements(shape: readonly number[]): number {
  return shape.reduce((total, size) => total * size, 1);
}

/**
 * Row-major positions of the elements that are printed, or null where all of them are. A caller that reads them alone
 * passes them to `formatTensor` with `summarized: true`, and the same options to both.
 */
export function summaryIndices(shape: readonly number[], options?: Partial<PrintOptions>): number[] | null {
  const { threshold, edgeitems } = merged(current, options ?? {}, "summaryIndices");
  if (elements(shape) <= threshold) return null;
  let positions = [0];
  for (const size of shape) {
    const shown = Array.from({ length: Math.min(size, 2 * edgeitems) }, (_, i) =>
      size > 2 * edgeitems && i >= edgeitems ? size - 2 * edgeitems + i : i,
    );
    positions = positions.flatMap((before) => shown.map((i) => before * size + i));
  }
  return positions;
}

/** What follows the brackets, in PyTorch's order. */
function suffixes(input: FormatInput): string[] {
  const { shape, dtype, gradFn = null, requiresGrad = false, device = null, defaultDtype = "float32" } = input;
  const empty = elements(shape) === 0;
  const result: string[] = [];
  if (device !== null) result.push(`device='${device}'`);
  if (empty && shape.length !== 1) result.push(`size=(${shape.join(", ")})`);
  // True and False say that they are bool, unless there are none.
  if (dtype !== defaultDtype && (dtype !== "bool" || empty)) result.push(`dtype=torch.${dtype}`);
  if (gradFn !== null) result.push(`grad_fn=<${gradFn}>`);
  else if (requiresGrad) result.push("requires_grad=True");
  return result;
}

/** Appends suffixes, each on a line of its own where it does not fit into the last one. */
function withSuffixes(text: string, added: readonly string[], indent: number, linewidth: number): string {
  let result = text;
  // As PyTorch counts: two columns more than the line has, and after a suffix that took a new line none.
  let column = text.length - text.lastIndexOf("\n") + 1;
  for (const suffix of added) {
    if (column + suffix.length + 2 > linewidth) {
      result += `,\n${" ".repeat(indent)}${suffix}`;
      column = indent + suffix.length;
    } else {
      result += `, ${suffix}`;
      column += suffix.length + 2;
    }
  }
  return `${result})`;
}

/** How the elements of one tensor are written. */
interface ElementFormat {
  readonly width: number;
  /** Text of a value, padded on the left to the width; a longer one is kept whole. */
  text(value: number): string;
}

function formatterOf(values: ArrayLike<number>, dtype: DType, options: PrintOptions): ElementFormat {
  switch (dtype) {
    case "bool":
      return aligned(values, (value) => (value === 0 ? "False" : "True"));
    case "int32":
    case "uint8":
      return aligned(values, String);
    default:
      return floatFormat(values, options);
  }
}

/** Right-aligned in the width of the longest text among `measured`, as `write` gives it unless `measure` differs. */
function aligned(measured: ArrayLike<number>, write: (value: number) => string, measure = write): ElementFormat {
  let width = 1;
  for (let i = 0; i < measured.length; i++) width = Math.max(width, measure(measured[i]!).length);
  return { width, text: (value) => write(value).padStart(width) };
}

/**
 * Integers without digits after the point where all values are integers; scientific form where the largest magnitude is
 * above 1e8 or over 1000 times the smallest, or, among non-integers, the smallest is below 1e-4. Zeros, infinities and
 * NaN have no part in that nor in the width.
 */
function floatFormat(values: ArrayLike<number>, { precision, sciMode }: PrintOptions): ElementFormat {
  const measured: number[] = [];
  let low = Infinity;
  let high = 0;
  let integral = true;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value === 0 || !Number.isFinite(value)) continue;
    measured.push(value);
    low = Math.min(low, Math.abs(value));
    high = Math.max(high, Math.abs(value));
    integral &&= Number.isInteger(value);
  }
  const ranging = high / low > 1000 || high > 1e8 || (!integral && low < 1e-4);
  const write = (scientific: boolean) => (value: number) => {
    if (Number.isNaN(value)) return "nan";
    if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
    if (scientific) return exponential(value, precision);
    return integral ? `${fixed(value, 0)}.` : fixed(value, precision);
  };
  // PyTorch leaves the form of zeros alone, and measures the one that the range asks for, also where sciMode then asks
  // for the other.
  const scientific = measured.length > 0 && (sciMode ?? ranging);
  return aligned(measured, write(scientific), write(ranging));
}

/** Walks a tensor's elements once, in order, setting them between brackets. */
class Layout {
  readonly #values: ArrayLike<number>;
  readonly #shape: readonly number[];
  readonly #format: ElementFormat;
  readonly #cut: boolean;
  readonly #options: PrintOptions;
  #next = 0;

  constructor(
    values: ArrayLike<number>,
    shape: readonly number[],
    format: ElementFormat,
    cut: boolean,
    options: PrintOptions,
  ) {
    this.#values = values;
    this.#shape = shape;
    this.#format = format;
    this.#cut = cut;
    this.#options = options;
  }

  /** Text of what the dimensions from `dim` on hold, its opening bracket in column `indent`. */
  text(dim: number, indent: number): string {
    const remaining = this.#shape.length - dim;
    if (remaining === 0) return this.#format.text(this.#values[this.#next++]!);
    const { edgeitems, linewidth } = this.#options;
    const size = this.#shape[dim]!;
    const cut = this.#cut && size > 2 * edgeitems;
    const items = Array.from({ length: cut ? 2 * edgeitems : size }, () => this.text(dim + 1, indent + 1));
    if (cut) items.splice(edgeitems, 0, remaining === 1 && edgeitems > 0 ? " ..." : "...");
    const margin = " ".repeat(indent + 1);
    if (remaining > 1) return `[${items.join(`,${"\n".repeat(remaining - 1)}${margin}`)}]`;
    const perLine = Math.max(1, Math.floor((linewidth - indent) / (this.#format.width + 2)));
    const lines = Array.from({ length: Math.ceil(items.length / perLine) }, (_, i) =>
      items.slice(i * perLine, (i + 1) * perLine).join(", "),
    );
    return `[${lines.join(`,\n${margin}`)}]`;
  }
}
