/** Device memory in size classes, kept for reuse. */

import type { BackendMemory } from "../backend.ts";
import { OutOfMemoryError } from "../../errors.ts";

/** Usage flags of WebGPU, spelt out because the globals that hold them do not exist everywhere. */
export const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const;

/** One GPUBuffer of the pool. `gpu` changes only while nothing was recorded with it. */
export interface Slab {
  /** Unique among all slabs ever made. */
  readonly id: number;
  readonly bytes: number;
  gpu: GPUBuffer;
}

/** Smallest buffer, bytes. */
const SMALLEST = 256;

/**
 * Bytes of the size class that holds `bytes`: an eighth apart between powers of two, so that at most an eighth is wasted,
 * and a multiple of 256.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= SMALLEST) return SMALLEST;
  const power = 2 ** Math.floor(Math.log2(bytes));
  const step = Math.max(power / 8, SMALLEST);
  return Math.ceil(bytes / step) * step;
}

/** What a pool needs of a device. */
export interface SlabSource {
  readonly maxBytes: number;
  create(bytes: number): GPUBuffer;
  /** Destroys a slab's buffer once the work that is queued with it was submitted. */
  destroy(slab: Slab): void;
}

/**
 * A released buffer is reused at once: the queue is ordered, so what was recorded before still sees the old content. Free
 * buffers beyond `budget` bytes are destroyed, the longest unused first.
 */
export class Pool {
  readonly #source: SlabSource;
  readonly #free = new Map<number, Slab[]>();
  /** Free slabs in order of release. */
  readonly #order = new Set<Slab>();
  readonly #used = new Set<Slab>();
  #usedBytes = 0;
  #freeBytes = 0;
  #peak = 0;
  #nextId = 1;
  /** Most bytes of free buffers that are kept. */
  budget: number;

  constructor(source: SlabSource, budget: number) {
    this.#source = source;
    this.budget = budget;
  }

  take(bytes: number): Slab {
    const size = Math.min(
      sizeClass(Math.max(bytes, 4)),
      Math.max(this.#source.maxBytes - (this.#source.maxBytes % 4), 4),
    );
    if (size < bytes)
      throw new OutOfMemoryError(
        `cannot allocate ${bytes} bytes in one buffer: the device allows ${this.#source.maxBytes} at most`,
      );
    let slab = this.#free.get(size)?.pop();
    if (slab === undefined) slab = { id: this.#nextId++, bytes: size, gpu: this.#source.create(size) };
    else {
      this.#order.delete(slab);
      this.#freeBytes -= size;
    }
    this.#used.add(slab);
    this.#usedBytes += size;
    this.#peak = Math.max(this.#peak, this.#usedBytes + this.#freeBytes);
    return slab;
  }

  give(slab: Slab): void {
    if (!this.#used.delete(slab)) return;
    this.#usedBytes -= slab.bytes;
    this.#freeBytes += slab.bytes;
    this.#order.add(slab);
    const list = this.#free.get(slab.bytes);
    if (list === undefined) this.#free.set(slab.bytes, [slab]);
    else list.push(slab);
    if (this.#freeBytes > this.budget) this.trim(this.budget);
  }

  /** Destroys free buffers, the longest unused first, until `bytes` of them are left. */
  trim(bytes: number): void {
    for (const slab of this.#order) {
      if (this.#freeBytes <= bytes) return;
      this.#order.delete(slab);
      const list = this.#free.get(slab.bytes)!;
      list.splice(list.indexOf(slab), 1);
      this.#freeBytes -= slab.bytes;
      this.#source.destroy(slab);
    }
  }

  figures(): BackendMemory {
    return {
      usedBuffers: this.#used.size,
      usedBytes: this.#usedBytes,
      pooledBuffers: this.#order.size,
      pooledBytes: this.#freeBytes,
      peakBytes: this.#peak,
    };
  }

  resetPeak(): void {
    this.#peak = this.#usedBytes + this.#freeBytes;
  }

  /** Destroys everything. */
  clear(): void {
    this.trim(0);
    for (const slab of this.#used) this.#source.destroy(slab);
    this.#used.clear();
    this.#usedBytes = 0;
  }
}
