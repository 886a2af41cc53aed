/** Attention row by row, without a matrix of weights: the meaning of the routine that GPUs run in tiles. */

import { fromHalf, toHalf, type HostArray } from "../../dtype.ts";
import {
  statisticParts,
  unpackAttention,
  type Attention,
  type AttentionAttrs,
  type AttentionSide,
} from "../../graph/attention.ts";
import type { RoutineData, RoutineStructure } from "../../graph/kernel.ts";

type Numbers = Float32Array | Float64Array;

/** One matrix of a batch, packed row by row. */
interface Matrix {
  readonly data: Float64Array;
  readonly width: number;
}

/** See `attention` in kernel.ts. */
export function attend(
  structure: RoutineStructure,
  { ints, scalars }: RoutineData,
  buffers: readonly HostArray[],
): void {
  const attrs = structure.attrs as unknown as AttentionAttrs;
  const a = unpackAttention(ints, attrs);
  const half = structure.buffers[0]!.dtype === "float16";
  const numbers = (i: number): Numbers =>
    structure.buffers[i]!.dtype === "float16" ? Float32Array.from(buffers[i]!, fromHalf) : (buffers[i] as Numbers);
  const [query, key, value] = [numbers(0), numbers(1), numbers(2)];
  const isForward = attrs.pass === "forward";
  const [grad, packed, delta] = isForward ? [] : [numbers(3), numbers(4), numbers(5)];
  const mask = attrs.mask === "none" ? null : numbers(isForward ? 3 : 6);
  const out = buffers[buffers.length - 1]!;
  const store = (at: number, x: number): void => {
    out[at] = half ? toHalf(x) : x;
  };
  const batches = a.sizes.reduce((n, size) => n * size, 1);
  const results = batches * a.queries * a.valueWidth;
  const parts = statisticParts(structure.buffers[0]!.dtype);
  const scale = scalars[0]!;
  const scores = new Float64Array(a.keys);
  for (let batch = 0; batch < batches; batch++) {
    const at = coordinates(batch, a.sizes);
    const q = pack(query, a.query, at, a.queries, a.width);
    const k = pack(key, a.key, at, a.keys, a.width);
    const v = pack(value, a.value, at, a.keys, a.valueWidth);
    const score = (i: number): void => scoreRow(scores, a, attrs, q, k, mask, at, i, scale);
    if (isForward) {
      const row = new Float64Array(a.valueWidth);
      for (let i = 0; i < a.queries; i++) {
        score(i);
        const statistic = logSumExp(scores);
        row.fill(0);
        for (let j = 0; j < a.keys; j++) addScaled(row, 0, Math.exp(scores[j]! - statistic), v, j);
        const line = batch * a.queries + i;
        for (let c = 0; c < row.length; c++) store(line * row.length + c, row[c]!);
        const first = Math.fround(statistic);
        if (parts === 1) store(results + line, statistic);
        else {
          const coarse = fromHalf(toHalf(first));
          store(results + 2 * line, coarse);
          store(results + 2 * line + 1, Number.isFinite(coarse) ? statistic - coarse : 0);
        }
      }
      continue;
    }
    const g = pack(grad!, a.grad!, at, a.queries, a.valueWidth);
    const byQuery = new Float64Array(attrs.pass === "query" ? a.queries * a.width : 0);
    const byKey = new Float64Array(attrs.pass === "keyValue" ? a.keys * a.width : 0);
    const byValue = new Float64Array(attrs.pass === "keyValue" ? a.keys * a.valueWidth : 0);
    for (let i = 0; i < a.queries; i++) {
      score(i);
      const line = batch * a.queries + i;
      let statistic = packed![results + line * parts]!;
      if (parts === 2) statistic += packed![results + line * 2 + 1]!;
      for (let j = 0; j < a.keys; j++) {
        const p = Math.exp(scores[j]! - statistic);
        let dp = 0;
        for (let c = 0; c < a.valueWidth; c++) dp += g.data[i * g.width + c]! * v.data[j * v.width + c]!;
        const ds = p * (dp - delta![line]!);
        if (attrs.pass === "query") addScaled(byQuery, i * a.width, ds * scale, k, j);
        else {
          addScaled(byKey, j * a.width, ds * scale, q, i);
          addScaled(byValue, j * a.valueWidth, p, g, i);
        }
      }
    }
    byQuery.forEach((x, n) => store(batch * byQuery.length + n, x));
    byKey.forEach((x, n) => store(batch * byKey.length + n, x));
    byValue.forEach((x, n) => store(batches * byKey.length + batch * byValue.length + n, x));
  }
}

function coordinates(linear: number, sizes: readonly number[]): number[] {
  const result = sizes.map(() => 0);
  let rest = linear;
  for (let d = sizes.length - 1; d >= 0; d--) {
    result[d] = rest % sizes[d]!;
    rest = Math.floor(rest / sizes[d]!);
  }
  return result;
}

function startOf(side: AttentionSide, at: readonly number[]): number {
  return side.batch.reduce((sum, stride, d) => sum + stride * at[d]!, side.offset);
}

function pack(source: Numbers, side: AttentionSide, at: readonly number[], rows: number, width: number): Matrix {
  const data = new Float64Array(rows * width);
  const start = startOf(side, at);
  for (let i = 0; i < rows; i++)
    for (let c = 0; c < width; c++) data[i * width + c] = source[start + i * side.row + c * side.column]!;
  return { data, width };
}

/** Scores of query i with every key; -Infinity where it may not look. */
function scoreRow(
  scores: Float64Array,
  a: Attention,
  attrs: AttentionAttrs,
  q: Matrix,
  k: Matrix,
  mask: Numbers | null,
  at: readonly number[],
  i: number,
  scale: number,
): void {
  const maskAt = mask === null ? 0 : startOf(a.mask!, at) + i * a.mask!.row;
  for (let j = 0; j < a.keys; j++) {
    let sum = 0;
    for (let c = 0; c < a.width; c++) sum += q.data[i * a.width + c]! * k.data[j * a.width + c]!;
    sum *= scale;
    if (attrs.mask === "float") sum += mask![maskAt + j * a.mask!.column]!;
    if (attrs.mask === "bool" && mask![maskAt + j * a.mask!.column] === 0) sum = -Infinity;
    scores[j] = j > i + a.reach ? -Infinity : sum;
  }
}

/** NaN among the scores gives NaN, none that counts -Infinity. */
function logSumExp(scores: Float64Array): number {
  let peak = -Infinity;
  for (const s of scores) peak = Math.max(peak, s);
  if (peak === -Infinity) return peak;
  let sum = 0;
  for (const s of scores) sum += Math.exp(s - peak);
  return peak + Math.log(sum);
}

/** target[from...] += factor * row of a matrix. */
function addScaled(target: Float64Array, from: number, factor: number, { data, width }: Matrix, row: number): void {
  for (let c = 0; c < width; c++) target[from + c] = target[from + c]! + factor * data[row * width + c]!;
}
