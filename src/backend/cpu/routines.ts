/** Kernels with an algorithm of their own, in JavaScript. Their numbers are laid out as `kernel.ts` says. */

import { fromHalf, toHalf, type DType, type HostArray } from "../../dtype.ts";
import { attend } from "./attention.ts";
import { convolve } from "./conv.ts";
import { sortRows } from "./sort.ts";
import type { RoutineData, RoutineStructure } from "../../graph/kernel.ts";

/** Runs a routine; gives true if an index was out of range. */
export function runRoutine(s: RoutineStructure, data: RoutineData, buffers: readonly HostArray[]): boolean {
  switch (s.name) {
    case "matmul":
      matmul(data.ints, Number(s.attrs["rank"]), s.buffers[0]!.dtype, buffers);
      return false;
    case "scatter":
      return scatter(s, data, buffers);
    case "scan":
      scan(String(s.attrs["kind"]), Number(s.attrs["rank"]), data.ints, s.buffers[0]!.dtype, buffers);
      return false;
    case "conv":
      convolve(data.ints, Number(s.attrs["rank"]), s.buffers[0]!.dtype, buffers);
      return false;
    case "sort":
      sortRows(s.attrs["order"] === "descending", Number(s.attrs["rank"]), data.ints, s.buffers[0]!.dtype, buffers);
      return false;
    case "attention":
      attend(s, data, buffers);
      return false;
    default:
      buffers[1]!.set(buffers[0]!.subarray(data.ints[1], data.ints[1]! + data.ints[0]!), data.ints[2]);
      return false;
  }
}

/** Calls `visit` with the offsets of every coordinate of `sizes` under several lists of strides. */
function walk(
  sizes: readonly number[],
  strides: readonly (readonly number[])[],
  visit: (offsets: readonly number[]) => void,
): void {
  const rank = sizes.length;
  const at = new Array<number>(rank).fill(0);
  const offsets = strides.map(() => 0);
  let left = sizes.reduce((a, b) => a * b, 1);
  while (left-- > 0) {
    visit(offsets);
    for (let d = rank - 1; d >= 0; d--) {
      at[d]!++;
      for (let s = 0; s < strides.length; s++) offsets[s]! += strides[s]![d]!;
      if (at[d]! < sizes[d]!) break;
      for (let s = 0; s < strides.length; s++) offsets[s]! -= strides[s]![d]! * sizes[d]!;
      at[d] = 0;
    }
  }
}

function matmul(ints: readonly number[], rank: number, dtype: DType, [a, b, out]: readonly HostArray[]): void {
  const [m, n, k] = ints as [number, number, number];
  const sizes = ints.slice(3, 3 + rank);
  const [offsetA, rowA, columnA, ...batchA] = ints.slice(3 + rank, 6 + 2 * rank) as [
    number,
    number,
    number,
    ...number[],
  ];
  const [offsetB, rowB, columnB, ...batchB] = ints.slice(6 + 2 * rank) as [number, number, number, ...number[]];
  const half = dtype === "float16";
  const integer = dtype === "int32" || dtype === "uint8";
  const source = (x: HostArray): HostArray => (half ? Float32Array.from(x, fromHalf) : x);
  const left = source(a!);
  const right = source(b!);
  const row = new Float64Array(n);
  const panel = integer
    ? new Int32Array(k * n)
    : dtype === "float64"
      ? new Float64Array(k * n)
      : new Float32Array(k * n);
  let batch = 0;
  let packed = -1;
  walk(sizes, [batchA, batchB], ([shiftA, shiftB]) => {
    const startB = offsetB + shiftB!;
    if (packed !== startB) {
      // The right matrix in row-major order, so that the innermost loop runs along memory.
      for (let p = 0; p < k; p++)
        for (let j = 0, at = startB + p * rowB; j < n; j++, at += columnB) panel[p * n + j] = right[at]!;
      packed = startB;
    }
    const outAt = batch++ * m * n;
    for (let i = 0; i < m; i++) {
      const rowStart = offsetA + shiftA! + i * rowA;
      if (integer) integerRow(left, rowStart, columnA, panel as Int32Array, k, n, out!, outAt + i * n);
      else {
        row.fill(0);
        addRows(row, left as Float32Array, rowStart, columnA, panel as Float32Array, k, n);
        if (half) for (let j = 0; j < n; j++) out![outAt + i * n + j] = toHalf(row[j]!);
        else (out as Float32Array).set(row, outAt + i * n);
      }
    }
  });
}

/** row += a @ panel, four rows of the panel at a time. */
function addRows(
  row: Float64Array,
  a: Float32Array,
  start: number,
  step: number,
  panel: Float32Array,
  k: number,
  n: number,
): void {
  let p = 0;
  for (; p + 3 < k; p += 4) {
    const a0 = a[start + p * step]!;
    const a1 = a[start + (p + 1) * step]!;
    const a2 = a[start + (p + 2) * step]!;
    const a3 = a[start + (p + 3) * step]!;
    const b0 = p * n;
    const b1 = b0 + n;
    const b2 = b1 + n;
    const b3 = b2 + n;
    for (let j = 0; j < n; j++)
      row[j] = row[j]! + a0 * panel[b0 + j]! + a1 * panel[b1 + j]! + a2 * panel[b2 + j]! + a3 * panel[b3 + j]!;
  }
  for (; p < k; p++) {
    const a0 = a[start + p * step]!;
    const b0 = p * n;
    for (let j = 0; j < n; j++) row[j] = row[j]! + a0 * panel[b0 + j]!;
  }
}

function integerRow(
  a: HostArray,
  start: number,
  step: number,
  panel: Int32Array,
  k: number,
  n: number,
  out: HostArray,
  at: number,
): void {
  for (let j = 0; j < n; j++) {
    let sum = 0;
    for (let p = 0; p < k; p++) sum = (sum + Math.imul(a[start + p * step]!, panel[p * n + j]!)) | 0;
    out[at + j] = sum;
  }
}

function scatter(s: RoutineStructure, data: RoutineData, [out, index, source]: readonly HostArray[]): boolean {
  const rank = Number(s.attrs["rank"]);
  const mode = String(s.attrs["mode"]);
  const { ints } = data;
  const dim = ints[0]!;
  const size = ints[1]!;
  const sizes = ints.slice(2, 2 + rank);
  const outStrides = ints.slice(2 + rank, 2 + 2 * rank);
  const outOffset = ints[2 + 2 * rank]!;
  const indexStrides = ints.slice(3 + 2 * rank, 3 + 3 * rank);
  const indexOffset = ints[3 + 3 * rank]!;
  const scalar = s.attrs["source"] === "scalar";
  const sourceStrides = scalar ? indexStrides.map(() => 0) : ints.slice(4 + 3 * rank, 4 + 4 * rank);
  const sourceOffset = scalar ? 0 : ints[4 + 4 * rank]!;
  const { dtype } = s.buffers[0]!;
  const read = (array: HostArray, at: number): number => (dtype === "float16" ? fromHalf(array[at]!) : array[at]!);
  const write = (at: number, value: number): void => {
    out![at] = dtype === "float16" ? toHalf(value) : dtype === "bool" ? (value !== 0 ? 1 : 0) : value;
  };
  const step = outStrides[dim]!;
  let failed = false;
  const last = rank - 1;
  if (last > dim && indexStrides[last] === 0 && !scalar && (mode === "set" || mode === "add") && isPlain(dtype)) {
    // A row has one index: its elements are added or copied in one loop.
    const without = (strides: readonly number[]): number[] => strides.slice(0, last);
    const still = without(outStrides).map((stride, d) => (d === dim ? 0 : stride));
    const lists = [still, without(indexStrides), without(sourceStrides)];
    walk(without(sizes), lists, ([o, i, v]) => {
      const position = index![indexOffset + i!]!;
      if (position < 0 || position >= size) failed = true;
      else {
        const to = outOffset + o! + position * step;
        const from = sourceOffset + v!;
        const steps = [outStrides[last]!, sourceStrides[last]!] as const;
        if (mode === "add") addRow(out!, to, steps[0], source!, from, steps[1], sizes[last]!);
        else setRow(out!, to, steps[0], source!, from, steps[1], sizes[last]!);
      }
    });
    return failed;
  }
  walk(sizes, [outStrides.map((stride, d) => (d === dim ? 0 : stride)), indexStrides, sourceStrides], ([o, i, v]) => {
    const position = index![indexOffset + i!]!;
    if (position < 0 || position >= size) {
      failed = true;
      return;
    }
    const at = outOffset + o! + position * step;
    const value = scalar ? data.scalars[0]! : read(source!, sourceOffset + v!);
    if (mode === "set") write(at, value);
    else write(at, combine(mode, read(out!, at), value, dtype));
  });
  return failed;
}

/** True if elements are stored as the numbers that they are. */
function isPlain(dtype: DType): boolean {
  return dtype !== "float16" && dtype !== "bool";
}

function addRow(
  out: HostArray,
  to: number,
  stepOut: number,
  source: HostArray,
  from: number,
  step: number,
  count: number,
): void {
  let o = to;
  let s = from;
  for (let i = 0; i < count; i++, o += stepOut, s += step) out[o] = out[o]! + source[s]!;
}

function setRow(
  out: HostArray,
  to: number,
  stepOut: number,
  source: HostArray,
  from: number,
  step: number,
  count: number,
): void {
  let o = to;
  let s = from;
  for (let i = 0; i < count; i++, o += stepOut, s += step) out[o] = source[s]!;
}

function combine(mode: string, x: number, y: number, dtype: DType): number {
  if (mode === "add") return x + y;
  if (mode === "prod") return dtype === "int32" || dtype === "uint8" ? Math.imul(x, y) : x * y;
  if (x !== x || y !== y) return NaN;
  return mode === "max" ? Math.max(x, y) : Math.min(x, y);
}

function scan(
  kind: string,
  rank: number,
  ints: readonly number[],
  dtype: DType,
  [input, out]: readonly HostArray[],
): void {
  const length = ints[0]!;
  const sizes = ints.slice(1, 1 + rank);
  const stepIn = ints[1 + rank]!;
  const outerIn = ints.slice(2 + rank, 2 + 2 * rank);
  const offsetIn = ints[2 + 2 * rank]!;
  const stepOut = ints[3 + 2 * rank]!;
  const outerOut = ints.slice(4 + 2 * rank, 4 + 3 * rank);
  const offsetOut = ints[4 + 3 * rank]!;
  const integer = dtype === "int32" || dtype === "uint8" || dtype === "bool";
  walk(sizes, [outerIn, outerOut], ([i, o]) => {
    let at = offsetIn + i!;
    let to = offsetOut + o!;
    let total = 0;
    if (kind === "sum" && !integer && dtype !== "float16") {
      for (let j = 0; j < length; j++, at += stepIn, to += stepOut) {
        // The first term as it is: -0 stays.
        total = j === 0 ? input![at]! : total + input![at]!;
        out![to] = total;
      }
      return;
    }
    for (let j = 0; j < length; j++, at += stepIn, to += stepOut) {
      const x = dtype === "float16" ? fromHalf(input![at]!) : input![at]!;
      if (j === 0) total = x;
      else if (kind === "sum") total = integer ? (total + x) | 0 : total + x;
      else total = kind === "prod" ? (integer ? Math.imul(total, x) : total * x) : combine(kind, total, x, dtype);
      out![to] = dtype === "float16" ? toHalf(total) : total;
    }
  });
}
