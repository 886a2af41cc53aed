/** Small slots of device memory for values of a few bytes, such as losses that nobody has read yet. */

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { DType } from "../dtype.ts";
import { routineKey, type BufferSlot } from "./kernel.ts";
import { figuresOf, type LiveValue } from "./figures.ts";
import type { Node } from "./node.ts";

/** Largest value that goes into a slot, bytes. */
export const ARENA_BYTES = 16;
/** Bytes of the slots that there are: most values are a single number. Each block has slots of one size. */
const SLOT_BYTES = [4, ARENA_BYTES] as const;
/** Bytes of the first blocks, and the part of all blocks that a further one has: what is not yet used of it is memory for nothing. */
const FIRST_BYTES = 256;
const GROWTH = 1 / 8;

interface Block {
  readonly buffer: DeviceBuffer;
  /** Of each slot. */
  readonly slotBytes: number;
  readonly free: number[];
  readonly slots: number;
}

/** What is told of (the rest of) a block. */
export function blockOf(bytes: number): LiveValue {
  const none = { isPrevious: false, isCached: true, site: null };
  return { bytes, shape: [bytes], dtype: "uint8", operation: "arena", owner: "unused", ...none };
}

/** No elements of a block: what is wrong with them is wrong with all of it. */
const NO_PART = { dtype: "uint8", offset: 0, count: 0 } as const;

/** A place in the arena. */
export interface Slot {
  readonly block: Block;
  readonly index: number;
  /** Where it begins in its block, in elements of its value's dtype. */
  readonly start: number;
  /** Whose value it holds, so that a read can bring it to the host in passing. */
  readonly owner: WeakRef<Node> | null;
}

/** The arena of a device. */
export class Arena {
  readonly #backend: Backend;
  readonly #blocks: Block[] = [];
  readonly #taken = new Set<Slot>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Bytes of all blocks. */
  get bytes(): number {
    return this.#blocks.reduce((sum, { buffer }) => sum + buffer.bytes, 0);
  }

  /** A free slot. */
  take(node: Node, bytes: number): Slot {
    if (bytes > ARENA_BYTES) throw new RangeError(`${bytes} bytes do not fit into a slot of ${ARENA_BYTES}`);
    const slotBytes = SLOT_BYTES.find((size) => size >= bytes)!;
    let block = this.#blocks.findLast(
      (b) =>
        b.slotBytes === slotBytes && b.free.length > 0 && (this.#backend.faultOf?.(b.buffer, NO_PART) ?? null) === null,
    );
    block ??= this.#grow(slotBytes);
    const owner = typeof WeakRef === "undefined" ? null : new WeakRef(node);
    const index = block.free.pop()!;
    const itemBytes = this.#backend.bytesFor(node.dtype, ARENA_BYTES) / ARENA_BYTES;
    const slot: Slot = { block, index, start: (index * slotBytes) / itemBytes, owner };
    this.#taken.add(slot);
    return slot;
  }

  #grow(slotBytes: number): Block {
    const buffer = this.#backend.allocate(Math.max(FIRST_BYTES, Math.ceil(this.bytes * GROWTH)));
    const slots = Math.floor(buffer.bytes / slotBytes);
    const block = { buffer, slotBytes, slots, free: Array.from({ length: slots }, (_, i) => slots - 1 - i) };
    this.#blocks.push(block);
    return block;
  }

  /** Frees a slot; an empty block goes unless it is the first of its size. */
  give(slot: Slot): void {
    if (!this.#taken.delete(slot)) return;
    const { block, index } = slot;
    block.free.push(index);
    const isFirst = this.#blocks.find((b) => b.slotBytes === block.slotBytes) === block;
    if (block.free.length < block.slots || isFirst) return;
    this.#blocks.splice(this.#blocks.indexOf(block), 1);
    this.#backend.release(block.buffer);
  }

  /** Values in slots that are still reachable. */
  nodes(): Node[] {
    const result: Node[] = [];
    for (const { owner } of this.#taken) {
      const node = owner?.deref();
      if (node !== undefined) result.push(node);
    }
    return result;
  }

  /** What is told of the values in slots, and of the rest of the blocks. */
  values(): LiveValue[] {
    const result = this.nodes().map((node) => figuresOf(node, node.slot!.block.slotBytes));
    const rest = this.bytes - result.reduce((sum, { bytes }) => sum + bytes, 0);
    if (rest === 0) return result;
    return [...result, blockOf(rest)];
  }

  /** Memory of all blocks. */
  buffers(): DeviceBuffer[] {
    return this.#blocks.map(({ buffer }) => buffer);
  }

  /** Copies the value in a buffer into a slot. */
  store(slot: Slot, dtype: DType, count: number, from: DeviceBuffer): void {
    this.#copy(dtype, from, 0, slot.block.buffer, slot.start, count);
  }

  /** Copies the value in a slot to the start of a buffer. */
  load(slot: Slot, dtype: DType, count: number, to: DeviceBuffer): void {
    this.#copy(dtype, slot.block.buffer, slot.start, to, 0, count);
  }

  #copy(dtype: DType, from: DeviceBuffer, start: number, to: DeviceBuffer, target: number, count: number): void {
    const buffers: BufferSlot[] = [
      { dtype, mode: "read" },
      { dtype, mode: "read-write" },
    ];
    const key = routineKey("copy", {}, buffers);
    const structure = { kind: "routine" as const, key, name: "copy" as const, attrs: {}, buffers, usesStatus: false };
    const program = this.#backend.prepare(structure);
    this.#backend.run([{ program, data: { ints: [count, start, target], scalars: [] }, buffers: [from, to], tag: 0 }]);
  }
}
