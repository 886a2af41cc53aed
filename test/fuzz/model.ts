/** The naive model: tensors as lists of numbers in row-major order, and PyTorch's rules spelt out over them, one element at a time. */

import type { DType } from "#tapegrad";

/** A tensor: its elements in row-major order, bool as 0 and 1. */
export interface Model {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: readonly number[];
}

/** What the model says of a call that must be refused. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Refuses the call. */
export function refuse(why: string): never {
  throw new Refused(why);
}

const ORDER: readonly DType[] = ["bool", "uint8", "int32", "float16", "float32", "float64"];

/** 0 bool, 1 integer, 2 float. */
export function category(dtype: DType): 0 | 1 | 2 {
  return dtype === "bool" ? 0 : dtype === "uint8" || dtype === "int32" ? 1 : 2;
}

/** True for floats. */
export function isFloat(dtype: DType): boolean {
  return category(dtype) === 2;
}

/** A tensor or a number. */
export type Operand = Model | number | boolean;

/** True for a model of a tensor. */
export function isModel(value: unknown): value is Model {
  return typeof value === "object" && value !== null && "data" in value && "dtype" in value;
}

/** PyTorch's result type of a mix of tensors and numbers. */
export function resultType(operands: readonly Operand[]): DType {
  const groups: [DType[], DType[], DType[]] = [[], [], []];
  for (const o of operands) {
    if (isModel(o)) groups[o.shape.length > 0 ? 0 : 1].push(o.dtype);
    else groups[2].push(typeof o === "boolean" ? "bool" : Number.isInteger(o) ? "int32" : "float32");
  }
  let result: DType | null = null;
  for (const group of groups) {
    if (group.length === 0) continue;
    const best = ORDER[Math.max(...group.map((d) => ORDER.indexOf(d)))]!;
    if (result === null) result = best;
    else if (category(best) > category(result)) result = ORDER[Math.max(ORDER.indexOf(result), ORDER.indexOf(best))]!;
  }
  return result!;
}

/** A number as a dtype holds it. */
export function store(dtype: DType, value: number): number {
  switch (dtype) {
    case "float64":
      return value;
    case "float32":
      return Math.fround(value);
    case "float16":
      return half(value);
    case "int32":
      return value | 0;
    case "uint8":
      return value & 255;
    case "bool":
      return value === 0 ? 0 : 1;
  }
}

function half(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(value))), -14);
  const unit = 2 ** (exponent - 10);
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  const result = rounded * unit;
  return Math.abs(result) >= 65520 ? Math.sign(result) * Infinity : result;
}

/** Converts a value of one dtype to another: floats to integers truncate, NaN to 0, and saturate at int32. */
export function convert(from: DType, to: DType, value: number): number {
  if (!isFloat(from) || isFloat(to) || to === "bool") return store(to, value);
  const whole = Number.isNaN(value) ? 0 : Math.min(Math.max(Math.trunc(value), -(2 ** 31)), 2 ** 31 - 1);
  return store(to, whole);
}

/** Number of elements. */
export function count(shape: readonly number[]): number {
  return shape.reduce((n, size) => n * size, 1);
}

/** Every coordinate of a shape in row-major order. */
export function* coordinates(shape: readonly number[]): Generator<readonly number[]> {
  const n = count(shape);
  const at = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < n; i++) {
    yield at;
    for (let d = shape.length - 1; d >= 0; d--) {
      if (++at[d]! < shape[d]!) break;
      at[d] = 0;
    }
  }
}

/** Position of a coordinate. */
export function position(shape: readonly number[], at: readonly number[]): number {
  let p = 0;
  for (let d = 0; d < shape.length; d++) p = p * shape[d]! + at[d]!;
  return p;
}

/** Element at a coordinate. */
export function get(m: Model, at: readonly number[]): number {
  return m.data[position(m.shape, at)]!;
}

/** A tensor whose elements are computed from their coordinates; they are stored as the dtype holds them. */
export function make(shape: readonly number[], dtype: DType, element: (at: readonly number[]) => number): Model {
  const data: number[] = [];
  for (const at of coordinates(shape)) data.push(store(dtype, element(at)));
  return { shape: [...shape], dtype, data };
}

/** The same tensor in another dtype. */
export function cast(m: Model, dtype: DType): Model {
  return m.dtype === dtype ? m : { ...m, dtype, data: m.data.map((v) => convert(m.dtype, dtype, v)) };
}

/** The same elements under another shape. */
export function reshaped(m: Model, shape: readonly number[]): Model {
  if (count(shape) !== m.data.length) refuse("another number of elements");
  return { ...m, shape: [...shape] };
}

/** The shape that shapes broadcast to. */
export function broadcast(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes)
    shape.forEach((n, i) => {
      const d = rank - shape.length + i;
      if (n === 1 || n === result[d]) return;
      if (result[d] !== 1) refuse("shapes do not broadcast");
      result[d] = n;
    });
  return result;
}

/** Element that broadcasting shows at a coordinate of a larger shape. */
export function spread(m: Model, at: readonly number[]): number {
  const lead = at.length - m.shape.length;
  let p = 0;
  for (let d = 0; d < m.shape.length; d++) p = p * m.shape[d]! + (m.shape[d] === 1 ? 0 : at[lead + d]!);
  return m.data[p]!;
}

/** An elementwise function of operands converted to `compute`, broadcast. */
export function elementwise(
  operands: readonly Operand[],
  compute: DType | readonly DType[],
  result: DType,
  f: (...values: number[]) => number,
): Model {
  const types = operands.map((_, i) => (typeof compute === "string" ? compute : compute[i]!));
  const shape = broadcast(...operands.filter(isModel).map((o) => o.shape));
  return make(shape, result, (at) =>
    f(
      ...operands.map((o, i) =>
        isModel(o) ? convert(o.dtype, types[i]!, spread(o, at)) : convert(numberType(o), types[i]!, Number(o)),
      ),
    ),
  );
}

function numberType(value: number | boolean): DType {
  return typeof value === "boolean" ? "bool" : "float64";
}

/** A dimension counted from the front. */
export function wrap(dim: number, rank: number): number {
  const span = Math.max(rank, 1);
  if (!Number.isInteger(dim) || dim < -span || dim >= span) refuse("dimension out of range");
  return dim < 0 ? dim + span : dim;
}

/** Distinct dimensions counted from the front; null or none stand for all. */
export function wrapAll(dims: number | readonly number[] | null | undefined, rank: number): number[] {
  const list = dims == null ? [] : typeof dims === "number" ? [dims] : dims;
  if (list.length === 0) return Array.from({ length: rank }, (_, d) => d);
  const result = list.map((d) => wrap(d, rank));
  if (new Set(result).size !== result.length) refuse("a dimension twice");
  return rank === 0 ? [] : result;
}

/** Combines over dimensions: `f` gets the elements of a cell in row-major order of the dimensions as given. */
export function reduce(
  m: Model,
  dims: readonly number[],
  keepdim: boolean,
  dtype: DType,
  f: (values: number[]) => number,
): Model {
  const rest = m.shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const inner = dims.map((d) => m.shape[d]!);
  const shape = keepdim ? m.shape.map((n, d) => (dims.includes(d) ? 1 : n)) : rest.map((d) => m.shape[d]!);
  return make(shape, dtype, (at) => {
    const full = new Array<number>(m.shape.length).fill(0);
    rest.forEach((d, i) => (full[d] = keepdim ? at[d]! : at[i]!));
    const values: number[] = [];
    for (const c of coordinates(inner)) {
      dims.forEach((d, i) => (full[d] = c[i]!));
      values.push(get(m, full));
    }
    return f(values);
  });
}

/** Sum as a dtype has it: integers wrap. */
export function sum(dtype: DType, values: readonly number[]): number {
  return isFloat(dtype) ? values.reduce((a, b) => a + b, 0) : values.reduce((a, b) => (a + b) | 0, 0);
}

/** Applies a function to each line along a dimension, which gives a line of its own. */
export function alongLines(
  m: Model,
  dim: number,
  dtype: DType,
  f: (values: number[]) => number[],
  length = m.shape[dim] ?? 1,
): Model {
  if (m.shape.length === 0) return { shape: [], dtype, data: f([...m.data]).map((v) => store(dtype, v)) };
  const shape = m.shape.with(dim, length);
  const lines = new Map<string, number[]>();
  return make(shape, dtype, (at) => {
    const key = at.toSpliced(dim, 1).join();
    let line = lines.get(key);
    if (line === undefined) {
      line = f(Array.from({ length: m.shape[dim]! }, (_, i) => get(m, at.with(dim, i))));
      lines.set(key, line);
    }
    return line[at[dim]!]!;
  });
}

/** A copy seen through a mapping of coordinates. */
export function mapped(
  m: Model,
  shape: readonly number[],
  source: (at: readonly number[]) => readonly number[],
): Model {
  return make(shape, m.dtype, (at) => get(m, source(at)));
}

/** Dimensions in another order. */
export function permuted(m: Model, order: readonly number[]): Model {
  const shape = order.map((d) => m.shape[d]!);
  return mapped(m, shape, (at) => {
    const source = new Array<number>(order.length);
    order.forEach((d, i) => (source[d] = at[i]!));
    return source;
  });
}

/** Every `step`-th slice of a dimension from `start`, `length` of them. */
export function sliced(m: Model, dim: number, start: number, length: number, step = 1): Model {
  return mapped(m, m.shape.with(dim, length), (at) => at.with(dim, start + at[dim]! * step));
}

/** One slice of a dimension, which is removed. */
export function selected(m: Model, dim: number, index: number): Model {
  return mapped(m, m.shape.toSpliced(dim, 1), (at) => at.toSpliced(dim, 0, index));
}

/** Broadcast to a shape. */
export function expanded(m: Model, shape: readonly number[]): Model {
  return make(shape, m.dtype, (at) => spread(m, at));
}

/** Joined along a dimension. */
export function joined(list: readonly Model[], dim: number, dtype: DType): Model {
  const shape = list[0]!.shape.with(
    dim,
    list.reduce((n, m) => n + m.shape[dim]!, 0),
  );
  return make(shape, dtype, (at) => {
    let i = at[dim]!;
    for (const m of list) {
      if (i < m.shape[dim]!) return convert(m.dtype, dtype, get(m, at.with(dim, i)));
      i -= m.shape[dim]!;
    }
    return NaN;
  });
}
