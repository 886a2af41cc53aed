/** Convolution in JavaScript: panels of input columns, multiplied by the packed weight. */

import { fromHalf, toHalf, type DType, type HostArray } from "../../dtype.ts";
import { convPhases, unpackConv, widenConv, type Conv } from "../../graph/convolution.ts";

/** Output positions of a panel, and terms of the sum that it holds at a time. */
const COLUMNS = 128;
const TERMS = 512;

type Numbers = Float32Array | Float64Array;

/** See `conv` in kernel.ts. */
export function convolve(
  ints: readonly number[],
  rank: number,
  dtype: DType,
  [from, weight, to]: readonly HostArray[],
): void {
  const half = dtype === "float16";
  const numbers = (x: HostArray): Numbers => (half ? Float32Array.from(x, fromHalf) : (x as Numbers));
  const source = numbers(from!);
  const filter = numbers(weight!);
  for (const phase of convPhases(unpackConv(ints, rank))) run(widenConv(phase), source, filter, to!, half);
}

function run(c: Conv, source: Numbers, filter: Numbers, out: HostArray, half: boolean): void {
  const [k0, k1, k2] = c.kernel as [number, number, number];
  const taps = k0 * k1 * k2;
  const terms = c.inChannels * taps;
  const [o0, o1, o2] = c.output as [number, number, number];
  const rows = c.outChannels;
  const positions = c.batch * o0 * o1 * o2;
  const make = (length: number): Numbers =>
    source instanceof Float64Array ? new Float64Array(length) : new Float32Array(length);
  const packedRows = Math.ceil(rows / 4) * 4;
  const depth = Math.max(Math.min(TERMS, terms), 1);
  const panel = make(depth * COLUMNS);
  const packed = make(packedRows * depth);
  const sums = new Float64Array(packedRows * COLUMNS);
  // Of each column: its first element in the input, its coordinates there, and where it goes.
  const base = new Int32Array(COLUMNS);
  const [y0, y1, y2] = [new Int32Array(COLUMNS), new Int32Array(COLUMNS), new Int32Array(COLUMNS)];
  const target = new Int32Array(COLUMNS);
  const [s0, s1, s2] = c.stride as [number, number, number];
  const [d0, d1, d2] = c.dilation as [number, number, number];
  const [p0, p1, p2] = c.padding as [number, number, number];
  const [n0, n1, n2] = c.input as [number, number, number];
  const [f0, f1, f2] = c.from.spatial as [number, number, number];
  const [w0, w1, w2] = c.weight.spatial as [number, number, number];
  const [t0, t1, t2] = c.to.spatial as [number, number, number];
  for (let group = 0; group < c.groups; group++) {
    const fromAt = c.from.offset + group * c.from.group;
    const weightAt = c.weight.offset + group * c.weight.group;
    const toAt = c.to.offset + group * c.to.group;
    for (let first = 0; first < positions; first += COLUMNS) {
      const columns = Math.min(COLUMNS, positions - first);
      for (let j = 0; j < columns; j++) {
        let rest = first + j;
        const x2 = rest % o2;
        rest = (rest - x2) / o2;
        const x1 = rest % o1;
        rest = (rest - x1) / o1;
        const x0 = rest % o0;
        const n = (rest - x0) / o0;
        y0[j] = x0 * s0 - p0;
        y1[j] = x1 * s1 - p1;
        y2[j] = x2 * s2 - p2;
        base[j] = fromAt + n * c.from.outer + y0[j]! * f0 + y1[j]! * f1 + y2[j]! * f2;
        target[j] = toAt + n * c.to.outer + x0 * t0 + x1 * t1 + x2 * t2;
      }
      sums.fill(0);
      for (let begin = 0; begin < terms; begin += depth) {
        const count = Math.min(depth, terms - begin);
        for (let q = 0; q < count; q++) {
          let rest = begin + q;
          const a2 = rest % k2;
          rest = (rest - a2) / k2;
          const a1 = rest % k1;
          rest = (rest - a1) / k1;
          const a0 = rest % k0;
          const channel = (rest - a0) / k0;
          const [e0, e1, e2] = [a0 * d0, a1 * d1, a2 * d2];
          const shift = channel * c.from.channel + e0 * f0 + e1 * f1 + e2 * f2;
          const at = q * COLUMNS;
          for (let j = 0; j < columns; j++) {
            const inside =
              y0[j]! + e0 >= 0 &&
              y0[j]! + e0 < n0 &&
              y1[j]! + e1 >= 0 &&
              y1[j]! + e1 < n1 &&
              y2[j]! + e2 >= 0 &&
              y2[j]! + e2 < n2;
            panel[at + j] = inside ? source[base[j]! + shift]! : 0;
          }
          const w = weightAt + channel * c.weight.channel + a0 * w0 + a1 * w1 + a2 * w2;
          // Four rows lie side by side for each term.
          for (let i = 0; i < rows; i++)
            packed[(i >> 2) * 4 * depth + q * 4 + (i & 3)] = filter[w + i * c.weight.outer]!;
        }
        multiply(sums, packed, panel, packedRows, count, depth, columns);
      }
      for (let i = 0; i < rows; i++) {
        const lift = i * c.to.channel;
        const at = i * COLUMNS;
        if (half) for (let j = 0; j < columns; j++) out[target[j]! + lift] = toHalf(sums[at + j]!);
        else for (let j = 0; j < columns; j++) out[target[j]! + lift] = sums[at + j]!;
      }
    }
  }
}

/** sums += packed @ panel, four rows and two columns at a time. */
function multiply(
  sums: Float64Array,
  packed: Numbers,
  panel: Numbers,
  rows: number,
  terms: number,
  depth: number,
  columns: number,
): void {
  for (let i = 0; i < rows; i += 4) {
    const start = i * depth;
    const r0 = i * COLUMNS;
    const r1 = r0 + COLUMNS;
    const r2 = r1 + COLUMNS;
    const r3 = r2 + COLUMNS;
    for (let j = 0; j < columns; j += 2) {
      let c00 = 0;
      let c01 = 0;
      let c10 = 0;
      let c11 = 0;
      let c20 = 0;
      let c21 = 0;
      let c30 = 0;
      let c31 = 0;
      for (let q = 0, a = start, b = j; q < terms; q++, a += 4, b += COLUMNS) {
        const b0 = panel[b]!;
        const b1 = panel[b + 1]!;
        const a0 = packed[a]!;
        c00 += a0 * b0;
        c01 += a0 * b1;
        const a1 = packed[a + 1]!;
        c10 += a1 * b0;
        c11 += a1 * b1;
        const a2 = packed[a + 2]!;
        c20 += a2 * b0;
        c21 += a2 * b1;
        const a3 = packed[a + 3]!;
        c30 += a3 * b0;
        c31 += a3 * b1;
      }
      sums[r0 + j]! += c00;
      sums[r0 + j + 1]! += c01;
      sums[r1 + j]! += c10;
      sums[r1 + j + 1]! += c11;
      sums[r2 + j]! += c20;
      sums[r2 + j + 1]! += c21;
      sums[r3 + j]! += c30;
      sums[r3 + j + 1]! += c31;
    }
  }
}
