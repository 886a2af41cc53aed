/** Device memory in size classes, kept for reuse. */

import type { BackendMemory, Label } from "../backend.ts";
import { DeviceError, OutOfMemoryError } from "../../errors.ts";

/** Usage flags of WebGPU, spelt out because the globals that hold them do not exist everywhere. */
export const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 } as const;

/** Something that a shader can be bound to. */
export interface Bindable {
  /** Unique among all that were ever made. */
  readonly id: number;
  readonly gpu: GPUBuffer;
}

/** One GPUBuffer of the pool. */
export interface Segment extends Bindable {
  readonly bytes: number;
  /** Changes only while nothing was recorded with it. */
  gpu: GPUBuffer;
  /** Why there is no memory behind it, if so. */
  failure: Error | null;
  /** Number of the last piece of queued work that uses it. */
  lastUse: number;
  /** When it was released last, in milliseconds. */
  releasedAt: number;
}

/**
 * Memory that is handed out as one: a segment, or several of the largest size (but for the last) where it is more than a
 * GPUBuffer, or a binding, may have.
 */
export class Slab implements Bindable {
  readonly segments: readonly Segment[];
  readonly bytes: number;

  constructor(segments: readonly Segment[]) {
    this.segments = segments;
    this.bytes = segments.reduce((sum, s) => sum + s.bytes, 0);
  }

  get id(): number {
    return this.segments[0]!.id;
  }

  /** The only GPUBuffer. Throws if there are several: only what takes memory in pieces may be given such a slab. */
  get gpu(): GPUBuffer {
    if (this.segments.length > 1)
      throw new DeviceError(`${this.bytes} bytes lie in ${this.segments.length} buffers and cannot be bound as one`);
    return this.segments[0]!.gpu;
  }
}

/** Smallest buffer, bytes. */
const SMALLEST = 256;

/** How many times larger than asked for a buffer may be that is used again. */
const MOST_WASTE = 1.5;

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

/** A label, written out. */
export function textOf(label: Label | null): string | null {
  return typeof label === "function" ? label() : label;
}

/** What a pool needs of a device. */
export interface SegmentSource {
  /** Bytes of the largest segment, a multiple of 256. */
  readonly segmentBytes: number;
  /** Most bytes that are handed out as one. */
  readonly maxBytes: number;
  create(segment: Omit<Segment, "gpu">, label: Label | null): GPUBuffer;
  /** Destroys a segment's buffer once the work that is queued with it was submitted. */
  destroy(segment: Segment): void;
  /** Milliseconds of a clock. */
  now(): number;
}

/**
 * A released buffer is reused at once: the queue is ordered, so what was recorded before still sees the old content. Free
 * buffers beyond `budget` bytes are destroyed, the longest unused first.
 */
export class Pool {
  readonly #source: SegmentSource;
  /** By size, the oldest last: that is taken first, so that a step which is repeated finds the same segments, and its bind groups with them. */
  readonly #free = new Map<number, Segment[]>();
  /** Free segments in order of release. */
  readonly #order = new Set<Segment>();
  readonly #used = new Set<Slab>();
  #usedBytes = 0;
  #freeBytes = 0;
  #peak = 0;
  #nextId = 1;
  /** Most bytes of free buffers that are kept. */
  budget: number;
  /** Bytes that used and free buffers together should not pass. */
  within = Infinity;

  constructor(source: SegmentSource, budget: number) {
    this.#source = source;
    this.budget = budget;
  }

  /** Memory of at least `bytes`. Throws if it is more than a device can hold of one tensor; `label` says for what it is. */
  take(bytes: number, label: Label | null = null, orLarger = false): Slab {
    const { segmentBytes, maxBytes } = this.#source;
    if (bytes > maxBytes) {
      const figures = { asked: bytes, live: this.#usedBytes, pooled: this.#freeBytes };
      const note = `; one tensor can have ${maxBytes} bytes on this device`;
      throw new OutOfMemoryError(textOf(label), "GPU", figures, note);
    }
    const segments: Segment[] = [];
    let left = Math.max(bytes, 4);
    for (; left > segmentBytes; left -= segmentBytes) segments.push(this.#segment(segmentBytes, label, false));
    segments.push(this.#segment(Math.min(sizeClass(left), segmentBytes), label, orLarger));
    const slab = new Slab(segments);
    this.#used.add(slab);
    this.#peak = Math.max(this.#peak, this.#usedBytes + this.#freeBytes);
    return slab;
  }

  /** Bytes that `take(bytes)` takes, if it finds no larger buffer to use again. */
  bytesFor(bytes: number): number {
    const { segmentBytes } = this.#source;
    const whole = Math.max(Math.ceil(bytes / segmentBytes) - 1, 0);
    return whole * segmentBytes + Math.min(sizeClass(Math.max(bytes - whole * segmentBytes, 4)), segmentBytes);
  }

  /** A segment of at least `bytes`, counted as used. */
  #segment(bytes: number, label: Label | null, orLarger: boolean): Segment {
    const free = this.#free.get(bytes)?.at(-1) ?? (orLarger ? this.#larger(bytes) : undefined);
    if (free !== undefined) {
      this.#drop(free);
      this.#usedBytes += free.bytes;
      return free;
    }
    this.trim(Math.max(this.within - this.#usedBytes - bytes, 0));
    const segment = { id: this.#nextId++, bytes, failure: null, lastUse: 0, releasedAt: 0 };
    this.#usedBytes += bytes;
    return Object.assign(segment, { gpu: this.#source.create(segment, label) });
  }

  /** The smallest free segment of a larger class, where a new one would take more memory than there should be. */
  #larger(bytes: number): Segment | undefined {
    const fits = this.#usedBytes + this.#freeBytes + bytes <= this.within;
    if (fits || bytes === this.#source.segmentBytes) return undefined;
    let best: Segment | undefined;
    for (const segment of this.#order)
      if (segment.bytes > bytes && segment.bytes <= MOST_WASTE * bytes && segment.bytes < (best?.bytes ?? Infinity))
        best = segment;
    return best;
  }

  give(slab: Slab): void {
    if (!this.#used.delete(slab)) return;
    this.#usedBytes -= slab.bytes;
    for (const segment of slab.segments) {
      // What has no memory behind it serves nobody.
      if (segment.failure !== null) this.#source.destroy(segment);
      else this.#keep(segment);
    }
    if (this.#freeBytes > this.budget) this.trim(this.budget);
  }

  #keep(segment: Segment): void {
    segment.releasedAt = this.#source.now();
    this.#freeBytes += segment.bytes;
    this.#order.add(segment);
    const list = this.#free.get(segment.bytes);
    if (list === undefined) this.#free.set(segment.bytes, [segment]);
    else {
      let at = list.length;
      while (at > 0 && list[at - 1]!.id < segment.id) at--;
      list.splice(at, 0, segment);
    }
  }

  /** Destroys free buffers, the longest unused first, until `bytes` of them are left. */
  trim(bytes: number): void {
    for (const segment of this.#order) {
      if (this.#freeBytes <= bytes) return;
      this.#drop(segment);
      this.#source.destroy(segment);
    }
  }

  /** Destroys free buffers that were released before a time of the source's clock. Says whether free ones are left. */
  trimIdle(before: number): boolean {
    for (const segment of this.#order) {
      if (segment.releasedAt >= before) break;
      this.#drop(segment);
      this.#source.destroy(segment);
    }
    return this.#order.size > 0;
  }

  /** Takes free segments out of the pool for which `wanted` holds: the caller destroys them. */
  remove(wanted: (segment: Segment) => boolean): Segment[] {
    const removed = [...this.#order].filter(wanted);
    for (const segment of removed) this.#drop(segment);
    return removed;
  }

  /** Takes a free segment whose memory turned out not to exist out of the pool. */
  discard(segment: Segment): void {
    if (this.#order.has(segment)) this.#drop(segment);
  }

  #drop(segment: Segment): void {
    this.#order.delete(segment);
    const list = this.#free.get(segment.bytes)!;
    list.splice(list.lastIndexOf(segment), 1);
    this.#freeBytes -= segment.bytes;
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
    for (const slab of this.#used) for (const segment of slab.segments) this.#source.destroy(segment);
    this.#used.clear();
    this.#usedBytes = 0;
  }
}
