/** The few things that the notebook does with NumPy, in plain arrays: a product, a repetition, and NumPy's printed form. */

/** An array of rank 0 to 3; integers print without a point. */
export interface NdArray {
  readonly values: Nested;
  readonly kind: "int" | "float";
}

/** Nested arrays of numbers. */
export type Nested = number | readonly Nested[];

/** `np.array`: integers (as in Python, told by hand here, as JavaScript has one kind of number) or floats. */
export function array(values: Nested, kind: "int" | "float" = "float"): NdArray {
  return { values, kind };
}

/** `v @ J` of a matrix or vector `v` and a matrix `J`. */
export function matmul(v: NdArray, J: NdArray): NdArray {
  const right = J.values as readonly (readonly number[])[];
  const row = (left: readonly number[]): number[] =>
    right[0]!.map((_, j) => left.reduce((total, value, i) => total + value * right[i]![j]!, 0));
  const kind = v.kind === "int" && J.kind === "int" ? "int" : "float";
  const left = v.values as readonly Nested[];
  const isMatrix = Array.isArray(left[0]);
  return { kind, values: isMatrix ? (left as readonly (readonly number[])[]).map(row) : row(left as readonly number[]) };
}

/** `np.repeat(a, n, axis=0)`. */
export function repeat(a: NdArray, n: number): NdArray {
  return { kind: a.kind, values: (a.values as readonly Nested[]).flatMap((row) => Array.from({ length: n }, () => row)) };
}

/** What `print(a)` shows. */
export function formatArray(a: NdArray): string {
  const flat = flatten(a.values);
  const text = a.kind === "int" ? flat.map(String) : floatTexts(flat);
  if (typeof a.values === "number") return text[0]!.replace(/\.$/, ".0");
  const width = Math.max(...text.map((t) => t.length));
  let next = 0;
  const build = (values: Nested, depth: number): string => {
    if (typeof values === "number") return text[next++]!.padStart(width);
    const parts = values.map((v) => build(v, depth + 1));
    const inner = typeof values[0] === "number";
    return `[${parts.join(inner ? " " : `\n${" ".repeat(depth + 1)}`)}]`;
  };
  return build(a.values, 0);
}

function flatten(values: Nested): number[] {
  return typeof values === "number" ? [values] : values.flatMap(flatten);
}

/** Floats with as many digits after the point as the longest needs (at most eight), shorter ones padded with spaces. */
function floatTexts(values: readonly number[]): string[] {
  const texts = values.map((v) => {
    const short = String(Number(v.toFixed(8)));
    return short.includes(".") ? short : `${short}.`;
  });
  const digits = Math.max(...texts.map((t) => t.length - t.indexOf(".") - 1));
  return texts.map((t) => t + " ".repeat(digits - (t.length - t.indexOf(".") - 1)));
}
