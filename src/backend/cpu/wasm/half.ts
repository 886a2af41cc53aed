/**
 * Routines on float16 that have code for float32 only: what they read is widened first, and what they write is rounded in the end. Sums are those of
 * float32, as GPUs have them.
 */

import type { DType } from "../../../dtype.ts";
import { Builder } from "../../../graph/builder.ts";
import type { ConvSide } from "../../../graph/convolution.ts";
import { unpackConv } from "../../../graph/convolution.ts";
import { fusedKey, type FusedStructure } from "../../../graph/kernel.ts";

/** The elements that an operand's strides reach: the first, and how many from there on. */
export interface Extent {
  readonly first: number;
  readonly count: number;
}

/** `steps` are pairs of a size and a stride. */
function extentOf(offset: number, steps: readonly (readonly [size: number, stride: number])[]): Extent {
  let [first, last] = [offset, offset];
  for (const [size, stride] of steps) {
    if (size === 0) return { first: offset, count: 0 };
    if (stride < 0) first += (size - 1) * stride;
    else last += (size - 1) * stride;
  }
  return { first, count: last - first + 1 };
}

/** What a `matmul` routine reads, and what it writes (see kernel.ts). */
export function matmulExtents(ints: readonly number[], rank: number): Extent[] {
  const [m, n, k] = ints as [number, number, number];
  const sizes = ints.slice(3, 3 + rank);
  const side = (at: number, rows: number, columns: number): Extent => {
    const [offset, row, column] = ints.slice(at) as [number, number, number];
    const batch = sizes.map((size, d) => [size, ints[at + 3 + d]!] as const);
    return extentOf(offset, [[rows, row], [columns, column], ...batch]);
  };
  const count = sizes.reduce((product, size) => product * size, m * n);
  return [side(3 + rank, m, k), side(6 + 2 * rank, k, n), { first: 0, count }];
}

/** What a `conv` routine reads, and what it writes: null if that has gaps, which would be lost. */
export function convExtents(ints: readonly number[], rank: number): Extent[] | null {
  const c = unpackConv(ints, rank);
  const side = (s: ConvSide, outer: number, channels: number, spatial: readonly number[]): Extent =>
    extentOf(s.offset, [
      [c.groups, s.group],
      [outer, s.outer],
      [channels, s.channel],
      ...spatial.map((size, d) => [size, s.spatial[d]!] as const),
    ]);
  const out = side(c.to, c.batch, c.outChannels, c.output);
  if (out.count !== c.output.reduce((product, size) => product * size, c.groups * c.batch * c.outChannels)) return null;
  return [side(c.from, c.batch, c.inChannels, c.input), side(c.weight, c.outChannels, c.inChannels, c.kernel), out];
}

/** A kernel over one dimension that copies elements of one type of float to another. */
export function castKernel(from: DType, to: DType): FusedStructure {
  const b = new Builder();
  const value = b.emit("load", "f", [], 0);
  const content: Omit<FusedStructure, "key"> = {
    kind: "fused",
    outerRank: 1,
    innerRank: 0,
    instrs: b.instrs,
    levels: ["row"],
    buffers: [
      { dtype: from, mode: "read" },
      { dtype: to, mode: "write" },
    ],
    accesses: [
      { buffer: 0, classes: "1" },
      { buffer: 1, classes: "1" },
    ],
    stores: [{ access: 1, value }],
    scalars: [],
    usesStatus: false,
  };
  return { ...content, key: fusedKey(content) };
}
