/**
 * How arguments are given: by position in PyTorch's order, and any of them but the first also by its camelCase name in one
 * trailing options object. A signature holds the names once, for the types and for the checks at run time.
 */

import { Impl } from "./base.ts";
import { checkDType } from "./dtype.ts";
import { ArgumentError } from "./errors.ts";

/** Arguments `K` in order, each of which (and all of `O`) may instead be named in a trailing object. */
export type Args<O extends object, K extends readonly unknown[]> =
  | ({} extends O ? [options?: O] : [options: O])
  | (K extends readonly [infer H, ...infer R] ? (H extends keyof O ? [O[H], ...Args<Omit<O, H>, R>] : never) : never);

/** A list of sizes or dimensions, as an array or as plain numbers, followed by options. */
export type VariadicArgs<O extends object> = readonly (number | readonly number[] | O | null | undefined)[];

/** Names of an operation's arguments. */
export interface Signature<O extends object, K extends readonly (keyof O)[]> {
  readonly name: string;
  readonly positional: K;
  readonly named: readonly string[];
  readonly aliases: Readonly<Record<string, string>>;
  /** Only for its type. */
  readonly options?: O;
}

/** Argument list of a signature. */
export type ArgsOf<S> = S extends Signature<infer O, infer K> ? Args<O, K> : never;

/** PyTorch's NumPy aliases. */
const NUMPY = { axis: "dim", keepdims: "keepdim" } as const;

/** Declares a signature: `signature<Options>()("name", ["positional"], ["named only"])`. */
export function signature<O extends object>() {
  return <const K extends readonly (keyof O & string)[]>(
    name: string,
    positional: K,
    named: readonly (keyof O & string)[] = [],
  ): Signature<O, K> => {
    const all: readonly string[] = [...positional, ...named];
    const aliases: Record<string, string> = {};
    for (const [alias, real] of Object.entries(NUMPY)) if (all.includes(real)) aliases[alias] = real;
    return { name, positional, named: all, aliases };
  };
}

/** True for an object that can only be meant as options: not a tensor, an array, a typed array or any class instance. */
export function isOptions(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Names that stand for one kind of value wherever they are used. */
const NAMES = {
  boolean:
    "replacement trackRunningStats affine elementwiseAffine batchFirst normFirst bidirectional keepdim unbiased accumulate requiresGrad sparseGrad ceilMode countIncludePad returnIndices antialias descending training full logTarget logInput swap " +
    "largest sorted right returnInverse returnCounts withReplacement asTuple hard isCausal outInt32 useInputStats includeLastOffset scaleGradByFreq sparse " +
    "inplace equalNan",
  "boolean or null": "alignCorners recomputeScaleFactor stable",
  number:
    "alpha beta eps ignoreIndex labelSmoothing margin delta rtol atol maxnorm momentum lambd negativeSlope minVal maxVal tau lower upper dropoutP dx",
  "number or null": "divisorOverride scale nan posinf neginf maxNorm paddingIdx",
  "Tensor or null":
    "weight bias posWeight runningMean runningVar prepend append fweights aweights sorter offsets perSampleWeights attnMask weights",
} as const;

type Kind = keyof typeof NAMES;

const KINDS: ReadonlyMap<string, Kind> = new Map(
  Object.entries(NAMES).flatMap(([kind, names]) => names.split(" ").map((name) => [name, kind as Kind] as const)),
);

/** The same for constructors, whose names are those of classes. */
const OF_CLASSES: Readonly<Record<string, Kind>> = { bias: "boolean", momentum: "number or null" };

/** Operations whose argument of such a name is of another kind. */
const OTHERWISE: Readonly<Record<string, Kind | null>> = {
  "logit.eps": "number or null",
  "rmsNorm.eps": "number or null",
  "RMSNorm.eps": "number or null",
  "lerp.weight": null,
  "lerp_.weight": null,
};

function isTensorValue(value: unknown): boolean {
  return value instanceof Object && (value as { impl?: unknown }).impl instanceof Impl;
}

function isClassName(name: string): boolean {
  return name[0]! >= "A" && name[0]! <= "Z";
}

/** Fails for a flag that is no boolean, a factor that is no number, an unknown dtype or a device that is no name. */
function checkKinds(name: string, values: Readonly<Record<string, unknown>>): void {
  for (const key of Object.keys(values)) {
    const value = values[key];
    if (key === "dtype" && value != null) checkDType(value, name);
    const usual = KINDS.get(key);
    const own =
      usual === undefined
        ? null
        : `${name}.${key}` in OTHERWISE
          ? OTHERWISE[`${name}.${key}`]
          : isClassName(name)
            ? OF_CLASSES[key]
            : undefined;
    const wanted = key === "device" && value !== null ? "string" : own === undefined ? usual! : own;
    const kind = value === null ? "null" : isTensorValue(value) ? "Tensor" : typeof value;
    if (wanted !== null && !wanted.split(" or ").includes(kind))
      throw new ArgumentError(`${name}: ${key} must be a ${wanted}, got ${describeValue(value)}`);
  }
}

/** A value in a message: short, whatever it is. */
export function describeValue(value: unknown): string {
  if (isTensorValue(value)) return "a Tensor";
  if (Array.isArray(value)) return "an array";
  switch (typeof value) {
    case "undefined":
      return "nothing";
    case "string":
      return JSON.stringify(value);
    case "object":
      return value === null ? "null" : "an object";
    case "function":
      return "a function";
    default:
      return String(value);
  }
}

/** Fails, with the name of the operation, unless the value is a tensor. */
export function requireTensor(name: string, what: string, value: unknown): void {
  if (!isTensorValue(value))
    throw new ArgumentError(
      `${name}: ${what} must be a Tensor, got ${describeValue(value)}; make one with tensor(...)`,
    );
}

/**
 * Arguments by name. Throws an `ArgumentError` for an unknown, repeated or surplus one, for those of the wrong kind, and, where the
 * operation's first argument is given as `input`, if that is no tensor.
 */
export function parse<O extends object, K extends readonly (keyof O)[]>(
  signature: Signature<O, K>,
  args: readonly unknown[],
  ...input: readonly unknown[]
): O {
  const { name, positional, named } = signature;
  if (input.length > 0) requireTensor(name, "input", input[0]);
  const result: Record<string, unknown> = {};
  let count = args.length;
  while (count > 0 && args[count - 1] === undefined) count--;
  let options: Record<string, unknown> | null = null;
  const last = count > 0 ? args[count - 1] : undefined;
  if (isOptions(last) && !isSliceLike(last)) {
    options = last;
    count--;
  }
  if (count > positional.length)
    throw new ArgumentError(
      `${name}: ${count} arguments given, but it takes at most ${positional.length}` +
        (positional.length > 0 ? ` (${positional.join(", ")})` : ""),
    );
  for (let i = 0; i < count; i++) if (args[i] !== undefined) result[positional[i] as string] = args[i];
  if (options !== null) applyOptions(name, named, signature.aliases, options, result);
  checkKinds(name, result);
  return result as O;
}

/** Copies named options into `result`; fails for unknown ones with the known names. */
export function applyOptions(
  name: string,
  named: readonly string[],
  aliases: Readonly<Record<string, string>>,
  options: Record<string, unknown>,
  result: Record<string, unknown>,
): void {
  for (const key of Object.keys(options)) {
    const real = aliases[key] ?? key;
    if (!named.includes(real))
      throw new ArgumentError(
        `${name}: unknown option "${key}"${suggestion(key, named)}; ` +
          (named.length > 0 ? `known are ${named.join(", ")}` : "it takes none"),
      );
    if (options[key] === undefined) continue;
    if (real in result) throw new ArgumentError(`${name}: "${real}" is given twice, by position and by name`);
    result[real] = options[key];
  }
}

/** Options that follow something variadic: `zeros(2, 3, { dtype })`. Gives the leading values and the options. */
export function splitOptions<O extends object>(
  name: string,
  args: readonly unknown[],
  known: readonly (keyof O & string)[],
): { values: unknown[]; options: Partial<O> } {
  const values = args.slice();
  while (values.length > 0 && values[values.length - 1] === undefined) values.pop();
  const result: Record<string, unknown> = {};
  if (values.length > 0 && isOptions(values[values.length - 1])) {
    const options = values.pop() as Record<string, unknown>;
    const aliases: Record<string, string> = (known as readonly string[]).includes("dim") ? { axis: "dim" } : {};
    applyOptions(name, known, aliases, options, result);
    checkKinds(name, result);
  }
  return { values, options: result as Partial<O> };
}

/** A list given as one array or as plain values. */
export function spread<T>(values: readonly unknown[]): T[] {
  return (values.length === 1 && Array.isArray(values[0]) ? [...(values[0] as unknown[])] : values) as T[];
}

function isSliceLike(value: Record<string, unknown>): boolean {
  return value["isSlice"] === true;
}

function suggestion(key: string, named: readonly string[]): string {
  const plain = (s: string): string => s.toLowerCase().replaceAll("_", "");
  const close = named.find((n) => plain(n) === plain(key)) ?? named.find((n) => distance(plain(n), plain(key)) <= 2);
  return close === undefined ? "" : ` (did you mean "${close}"?)`;
}

/** Edit distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length]!;
}

/** Fails unless `value` is a number. */
export function checkNumber(name: string, what: string, value: unknown): number {
  if (typeof value !== "number")
    throw new ArgumentError(`${name}: ${what} must be a number, got ${describeValue(value)}`);
  return value;
}

/** Fails unless `value` is an integer. */
export function checkInteger(name: string, what: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value))
    throw new ArgumentError(`${name}: ${what} must be an integer, got ${describeValue(value)}`);
  return value;
}

/** A list of integers, given as one number or an array. */
export function integers(name: string, what: string, value: unknown): number[] {
  if (typeof value === "number") return [checkInteger(name, what, value)];
  if (!Array.isArray(value))
    throw new ArgumentError(`${name}: ${what} must be an integer or an array of integers, got ${describeValue(value)}`);
  return value.map((v) => checkInteger(name, what, v));
}
