/** The few things that the notebook does with NumPy, in plain arrays: a product and a repetition. */

/** Numbers, or arrays of equal lengths of them. */
export type Nested = number | readonly Nested[];

/** NumPy's array: nested numbers, and whether they are integers, which JavaScript's numbers do not tell. */
export interface NdArray {
  readonly values: Nested;
  readonly kind: "int" | "float";
}

/** Rank 1. */
export type Vector = readonly number[];

/** Rank 2. */
export type Matrix = readonly Vector[];

/** `np.array(values)`; Python's `[[1, 1]]` is of kind "int", its `[[1., 1.]]` of kind "float". */
export function array(values: Nested, kind: "int" | "float" = "float"): NdArray {
  return { values, kind };
}

/** `v @ J` of a row vector `[n]`, or rows `[m, n]`, and a matrix `[n, k]`. Throws a `RangeError` for other shapes. */
export function matmul(v: NdArray, J: NdArray): NdArray {
  const kind = v.kind === "int" && J.kind === "int" ? "int" : "float";
  const matrix = J.values;
  if (!isMatrix(matrix)) throw new RangeError("matmul: the second array is not a matrix");
  if (isVector(v.values)) return { kind, values: rowTimes(v.values, matrix) };
  if (!isMatrix(v.values)) throw new RangeError("matmul: the first array is not a vector or matrix");
  return { kind, values: v.values.map((row) => rowTimes(row, matrix)) };
}

function rowTimes(row: Vector, matrix: Matrix): Vector {
  if (row.length !== matrix.length)
    throw new RangeError(`matmul: a row of ${row.length} numbers cannot multiply a matrix of ${matrix.length} rows`);
  return matrix[0]!.map((_, j) => row.reduce((total, x, i) => total + x * matrix[i]![j]!, 0));
}

/** `np.repeat(a, n, axis=0)`: each row `n` times, one after the other. Throws a `RangeError` for rank 0. */
export function repeat(a: NdArray, n: number): NdArray {
  if (typeof a.values === "number") throw new RangeError("repeat: a number has no rows");
  return { kind: a.kind, values: a.values.flatMap((row) => Array.from({ length: n }, () => row)) };
}

function isVector(values: Nested): values is Vector {
  return typeof values !== "number" && values.every((x) => typeof x === "number");
}

function isMatrix(values: Nested): values is Matrix {
  return typeof values !== "number" && values.length > 0 && values.every(isVector);
}
