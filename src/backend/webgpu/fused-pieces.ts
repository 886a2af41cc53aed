/** Cuts a fused kernel's call into pieces whose accesses each stay within one buffer. */

import { DeviceError } from "../../errors.ts";
import type { FusedData, FusedStructure } from "../../graph/kernel.ts";
import { describeKernel } from "./describe.ts";
import { scratchBytes, type FusedPlan } from "./fused.ts";
import { cutLoops, type InnerPiece, type OuterPiece } from "./pieces.ts";
import type { Bindable, Slab } from "./pool.ts";
import type { DeviceFigures } from "./program.ts";
import { deviceItemSize } from "./transfer.ts";
import type { Layout } from "./variants.ts";

/** A piece of the inner loops: the numbers of its call, and what its bindings are. */
export interface FusedInnerPiece {
  readonly data: FusedData;
  readonly layout: Layout;
  /** By number of the binding. */
  readonly memory: readonly Bindable[];
  /** Number of its first element among all that a row is reduced over, and the steps of the inner coordinates there. */
  readonly position: number;
  readonly positionSteps: readonly number[];
}

/** A piece of the outer loops. */
export interface FusedPiece {
  readonly rows: number;
  readonly inner: readonly FusedInnerPiece[];
}

/** No piece has more than `maxVolume` iterations. Throws a `DeviceError` where it cannot be done. */
export function cutFused(
  plan: FusedPlan,
  data: FusedData,
  slabs: readonly Slab[],
  device: DeviceFigures,
  maxVolume: number,
): FusedPiece[] {
  const { structure } = plan;
  const steps = rowMajor(data.inner);
  const pieces = cutLoops({
    name: describeKernel(structure),
    outer: data.outer,
    inner: data.inner,
    segmentBytes: device.segmentBytes,
    maxVolume,
    accesses: [
      ...structure.accesses.map(({ buffer }, i) => ({
        slab: buffer < 0 ? null : slabs[buffer]!,
        itemBytes: buffer < 0 ? 1 : deviceItemSize(structure.buffers[buffer]!.dtype),
        offset: data.offsets[i]!,
        strides: data.strides[i]!,
      })),
      // The position in the row, which is cut like an access.
      { slab: null, itemBytes: 1, offset: 0, strides: [...data.outer.map(() => 0), ...steps] },
    ],
    accepts: (rows, count) => 2 * scratchBytes(plan, rows, count) <= device.segmentBytes,
  });
  return pieces.map((outer) => ({
    rows: outer.sizes.reduce((n, size) => n * size, 1),
    inner: outer.inner.map((inner) => ({
      data: pieceData(data, outer, inner),
      ...layOut(structure, inner, slabs, device),
      position: inner.offsets[structure.accesses.length]!,
      positionSteps: steps,
    })),
  }));
}

function rowMajor(sizes: readonly number[]): number[] {
  const steps = sizes.map(() => 1);
  for (let d = sizes.length - 2; d >= 0; d--) steps[d] = steps[d + 1]! * sizes[d + 1]!;
  return steps;
}

function pieceData(data: FusedData, outer: OuterPiece, inner: InnerPiece): FusedData {
  return { ...data, outer: outer.sizes, inner: inner.sizes, offsets: inner.offsets.slice(0, data.offsets.length) };
}

/** Numbers the segments that a piece is bound to. */
function layOut(
  structure: FusedStructure,
  piece: InnerPiece,
  slabs: readonly Slab[],
  device: DeviceFigures,
): { layout: Layout; memory: Bindable[] } {
  const memory: Bindable[] = [];
  const numbers = new Map<string, number>();
  const written = new Set<number>();
  for (const store of structure.stores) written.add(piece.segments[store.access]!.id);
  const place = (segment: Bindable, slot: number): number => {
    // What is only read may be bound twice, which keeps apart slots of different types.
    const key = written.has(segment.id) ? `${segment.id}` : `${segment.id}:${slot}`;
    let number = numbers.get(key);
    if (number === undefined) {
      number = memory.push(segment) - 1;
      numbers.set(key, number);
    }
    return number;
  };
  const accesses = structure.accesses.map(({ buffer }, i) => (buffer < 0 ? -1 : place(piece.segments[i]!, buffer)));
  const read = new Set<number>();
  for (const instr of structure.instrs) if (instr.op === "loadAt") read.add(instr.imm as number);
  const tables = structure.buffers.map((_, slot) =>
    read.has(slot) ? slabs[slot]!.segments.map((s) => place(s, slot)) : [],
  );
  const most = device.maxBindings - 1;
  if (memory.length > most)
    throw new DeviceError(
      `${describeKernel(structure)} reads tensors of ${slabs.map((s) => s.bytes).join(", ")} bytes at computed positions: that takes ` +
        `${memory.length} buffers of at most ${device.segmentBytes} bytes at once, and this device binds ${most}. Use smaller tensors.`,
    );
  const key = `${accesses.join(",")};${tables.map((t) => t.join(".")).join(",")}`;
  return { layout: { key, accesses, tables, segmentBytes: device.segmentBytes }, memory };
}
