/** Small slots of device memory for values of a few bytes, such as losses that nobody has read yet. */

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { DType } from "../dtype.ts";
import { routineKey, type BufferSlot } from "./kernel.ts";
import { figuresOf, type LiveValue } from "./figures.ts";
import type { Node } from "./node.ts";

/** Largest value that goes into a slot, bytes; and the size of a slot. */
export const ARENA_BYTES = 16;
/** Slots of the first block; each further block is twice as large, up to a bound. */
const FIRST_SLOTS = 64;
const MOST_SLOTS = 4096;

interface Block {
  readonly buffer: DeviceBuffer;
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
    let block = this.#blocks.findLast(
      ({ free, buffer }) => free.length > 0 && (this.#backend.faultOf?.(buffer, NO_PART) ?? null) === null,
    );
    if (block === undefined) {
      const slots = Math.min(FIRST_SLOTS * 2 ** this.#blocks.length, MOST_SLOTS);
      const buffer = this.#backend.allocate(slots * ARENA_BYTES);
      block = { buffer, slots, free: Array.from({ length: slots }, (_, i) => slots - 1 - i) };
      this.#blocks.push(block);
    }
    const owner = typeof WeakRef === "undefined" ? null : new WeakRef(node);
    const index = block.free.pop()!;
    const itemBytes = this.#backend.bytesFor(node.dtype, ARENA_BYTES) / ARENA_BYTES;
    const slot: Slot = { block, index, start: (index * ARENA_BYTES) / itemBytes, owner };
    this.#taken.add(slot);
    return slot;
  }

  /** Frees a slot; an empty block goes unless it is the first. */
  give(slot: Slot): void {
    if (!this.#taken.delete(slot)) return;
    const { block, index } = slot;
    block.free.push(index);
    if (block.free.length < block.slots || block === this.#blocks[0]) return;
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
    const result = this.nodes().map((node) => figuresOf(node, ARENA_BYTES));
    const rest = this.bytes - result.length * ARENA_BYTES;
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
