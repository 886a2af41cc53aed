/**
 * Cuts a nest of loops into pieces in which every access stays within one segment of its memory: how kernels run over tensors that
 * are larger than a buffer or a binding may be. Dispatches that are too long are cut the same way.
 */

import { DeviceError } from "../../errors.ts";
import type { WorkBudget } from "./budget.ts";
import type { Bindable, Slab } from "./pool.ts";

/** How an element number moves with the loops, from where, over which memory. */
export interface LoopAccess {
  /** Null for a number that is no address. */
  readonly slab: Slab | null;
  /** Bytes of an element. */
  readonly itemBytes: number;
  readonly offset: number;
  /** One a loop, outer then inner. */
  readonly strides: readonly number[];
}

/** A nest of loops. A piece of the inner loops is combined with the other pieces of the same outer ones. */
export interface LoopSpace {
  /** For errors. */
  readonly name: string;
  readonly outer: readonly number[];
  readonly inner: readonly number[];
  readonly accesses: readonly LoopAccess[];
  readonly segmentBytes: number;
  /** Most iterations of a piece. */
  readonly maxVolume: number;
  /** Whether the inner pieces of an outer piece can be worked on together; if not, the outer piece is cut further. */
  accepts?(rows: number, innerPieces: number): boolean;
}

/** A range of each loop. */
export interface Box {
  readonly first: readonly number[];
  readonly sizes: readonly number[];
}

/** Inner loops of a piece, and what the accesses become in it. */
export interface InnerPiece extends Box {
  /** First element of each access, counted from the start of its segment. */
  readonly offsets: readonly number[];
  /** The segment of each access, null for numbers. */
  readonly segments: readonly (Bindable | null)[];
}

/** Outer loops of a piece, with the pieces of the inner loops. */
export interface OuterPiece extends Box {
  readonly inner: readonly InnerPiece[];
}

/** Most pieces of one call. */
const MAX_PIECES = 1 << 16;

/** Iterations of a dispatch that its 32-bit counters hold with room to spare. */
const MAX_VOLUME = 2 ** 30;

/** Iterations of a dispatch that keep within a budget, each being so many units of work. */
export function maxVolume(budget: WorkBudget, units: number): number {
  return Math.max(1, Math.min(MAX_VOLUME, Math.floor(budget.units / units)));
}

interface Cut {
  /** Loop to cut, outer then inner, and the index that the second part begins with. */
  readonly dim: number;
  readonly at: number;
}

const volume = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** True if a call need not be cut. */
export function isWhole(slabs: readonly Slab[], iterations: number, maxVolume: number): boolean {
  if (iterations > maxVolume) return false;
  for (const slab of slabs) if (slab.segments.length > 1) return false;
  return true;
}

/** The pieces, in an order in which earlier ranges of a loop come first. Throws a `DeviceError` if they would be too many. */
export function cutLoops(space: LoopSpace): OuterPiece[] {
  const result: OuterPiece[] = [];
  let count = 0;
  const cutOuter = (outer: Box): void => {
    const inner = cutInner(space, outer);
    const rows = volume(outer.sizes);
    if (!Array.isArray(inner)) {
      split(outer, inner, cutOuter);
    } else if (inner.length > 1 && rows > 1 && space.accepts?.(rows, inner.length) === false) {
      split(outer, halved(outer.sizes, 0), cutOuter);
    } else {
      count += inner.length;
      if (count > MAX_PIECES) throw tooManyPieces(space);
      result.push({ ...outer, inner });
    }
  };
  cutOuter({ first: space.outer.map(() => 0), sizes: space.outer });
  return result;
}

function tooManyPieces(space: LoopSpace): DeviceError {
  const bytes = space.accesses.map((a) => a.slab?.bytes ?? 0);
  return new DeviceError(
    `${space.name} over ${Math.max(...bytes)} bytes does not run on this device: its buffers hold ${space.segmentBytes} bytes each, ` +
      `and the access pattern would need more than ${MAX_PIECES} dispatches. Use smaller tensors, or a layout in which neighbours lie together.`,
  );
}

function split(box: Box, { dim, at }: Cut, visit: (part: Box) => void): void {
  const part = (from: number, to: number): Box => ({
    first: box.first.map((f, d) => (d === dim ? f + from : f)),
    sizes: box.sizes.map((n, d) => (d === dim ? to - from : n)),
  });
  visit(part(0, at));
  visit(part(at, box.sizes[dim]!));
}

/** The longest loop in the middle. */
function halved(sizes: readonly number[], firstDim: number): Cut {
  let dim = 0;
  sizes.forEach((size, d) => {
    if (size > sizes[dim]!) dim = d;
  });
  return { dim: firstDim + dim, at: Math.floor(sizes[dim]! / 2) };
}

/** The pieces of the inner loops, or where the outer ones have to be cut first. */
function cutInner(space: LoopSpace, outer: Box): InnerPiece[] | Cut {
  const outerRank = outer.sizes.length;
  const pieces: InnerPiece[] = [];
  let refused: Cut | null = null;
  const visit = (inner: Box): void => {
    if (refused !== null) return;
    const first = [...outer.first, ...inner.first];
    const sizes = [...outer.sizes, ...inner.sizes];
    const cut = wantedCut(space, first, sizes, outerRank);
    if (cut === null) {
      pieces.push({ ...inner, ...windows(space, first, sizes) });
      if (pieces.length > MAX_PIECES) throw tooManyPieces(space);
    } else if (cut.dim < outerRank) refused = cut;
    else split(inner, { dim: cut.dim - outerRank, at: cut.at }, visit);
  };
  visit({ first: space.inner.map(() => 0), sizes: space.inner });
  return refused ?? pieces;
}

/** Lowest and highest element of an access in a box. */
function rangeOf(access: LoopAccess, first: readonly number[], sizes: readonly number[]): [number, number] {
  let low = access.offset;
  let high = access.offset;
  access.strides.forEach((stride, d) => {
    const start = stride * first[d]!;
    const end = start + stride * Math.max(sizes[d]! - 1, 0);
    low += Math.min(start, end);
    high += Math.max(start, end);
  });
  return [low, high];
}

function wantedCut(
  space: LoopSpace,
  first: readonly number[],
  sizes: readonly number[],
  outerRank: number,
): Cut | null {
  for (const access of space.accesses) {
    if (access.slab === null || access.slab.segments.length === 1) continue;
    const [low, high] = rangeOf(access, first, sizes);
    const perSegment = space.segmentBytes / access.itemBytes;
    if (Math.floor(low / perSegment) === Math.floor(high / perSegment)) continue;
    return cutBetween(access, low, high, (Math.floor(low / perSegment) + 1) * perSegment, sizes);
  }
  if (volume(sizes) <= space.maxVolume) return null;
  const outer = sizes.slice(0, outerRank);
  return volume(outer) > 1 ? halved(outer, 0) : halved(sizes.slice(outerRank), outerRank);
}

/** Cuts the loop that moves an access farthest where it comes to `boundary`. */
function cutBetween(access: LoopAccess, low: number, high: number, boundary: number, sizes: readonly number[]): Cut {
  let dim = 0;
  let farthest = 0;
  access.strides.forEach((stride, d) => {
    const span = Math.abs(stride) * (sizes[d]! - 1);
    if (span > farthest) [dim, farthest] = [d, span];
  });
  const stride = Math.abs(access.strides[dim]!);
  const rest = high - low - farthest;
  // So many indices keep below the boundary, whatever the other loops do; or else begin below it.
  let below = Math.floor((boundary - 1 - low - rest) / stride) + 1;
  if (below < 1) below = Math.ceil((boundary - low) / stride);
  below = Math.min(Math.max(below, 1), sizes[dim]! - 1);
  return { dim, at: access.strides[dim]! > 0 ? below : sizes[dim]! - below };
}

function windows(
  space: LoopSpace,
  first: readonly number[],
  sizes: readonly number[],
): { offsets: number[]; segments: (Bindable | null)[] } {
  const offsets: number[] = [];
  const segments: (Bindable | null)[] = [];
  for (const access of space.accesses) {
    let offset = access.offset;
    access.strides.forEach((stride, d) => (offset += stride * first[d]!));
    if (access.slab === null) {
      segments.push(null);
    } else {
      const perSegment = space.segmentBytes / access.itemBytes;
      const which = Math.floor(rangeOf(access, first, sizes)[0] / perSegment);
      const segment = access.slab.segments[which];
      if (segment === undefined)
        throw new DeviceError(`${space.name} reaches beyond its memory of ${access.slab.bytes} bytes`);
      segments.push(segment);
      offset -= which * perSegment;
    }
    offsets.push(offset);
  }
  return { offsets, segments };
}
