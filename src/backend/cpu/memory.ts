/**
 * Memory of the CPU device. `WasmHeap` is one WebAssembly memory, which kernels address directly: it grows, ends at 4 GiB and never
 * shrinks: what is freed serves later tensors but stays with the process. `PlainMemory` is an ArrayBuffer a buffer, where
 * WebAssembly is not to be had.
 */

import { ITEM_SIZE, hostArray, type DType, type HostArray } from "../../dtype.ts";
import { OutOfMemoryError } from "../../errors.ts";
import type { DeviceBuffer } from "../backend.ts";

let nextId = 1;

/** A piece of memory on the CPU. */
export class CpuBuffer implements DeviceBuffer {
  readonly id = nextId++;
  readonly bytes: number;
  /** First byte in the memory it is a piece of. */
  readonly address: number;
  readonly #source: () => ArrayBufferLike;
  readonly #views = new Map<DType, HostArray>();
  #seen: ArrayBufferLike | null = null;
  free = false;

  /** `source` gives the memory as it is now: growing replaces it. */
  constructor(bytes: number, address: number, source: () => ArrayBufferLike) {
    this.bytes = bytes;
    this.address = address;
    this.#source = source;
  }

  /** The elements as an array of a dtype; not to be kept beyond the next allocation. */
  view(dtype: DType): HostArray {
    const memory = this.#source();
    if (memory !== this.#seen) {
      this.#views.clear();
      this.#seen = memory;
    }
    let view = this.#views.get(dtype);
    if (view === undefined) {
      view = viewOf(memory, dtype, this.address, Math.floor(this.bytes / ITEM_SIZE[dtype]));
      this.#views.set(dtype, view);
    }
    return view;
  }
}

/** Elements of a dtype from an address on. */
function viewOf(memory: ArrayBufferLike, dtype: DType, address: number, length: number): HostArray {
  const kind = hostArray(dtype, 0).constructor as new (
    buffer: ArrayBufferLike,
    offset: number,
    length: number,
  ) => HostArray;
  return new kind(memory, address, length);
}

/** Where buffers come from. */
export interface CpuMemory {
  /** A buffer of just `bytes` (a size class), or null if there is no memory for it. */
  take(bytes: number): CpuBuffer | null;
  /** Takes back a buffer for good. */
  give(buffer: CpuBuffer): void;
}

/** An ArrayBuffer for each buffer. */
export class PlainMemory implements CpuMemory {
  take(bytes: number): CpuBuffer | null {
    try {
      const memory = new ArrayBuffer(bytes);
      return new CpuBuffer(bytes, 0, () => memory);
    } catch {
      return null;
    }
  }

  give(): void {
    // The garbage collector has it.
  }
}

const PAGE = 65536;
const MAX_PAGES = 65536;
/** Bytes at the start that are not handed out: the status word, parameters of calls, and what threads agree by. */
export const RESERVED = 16384;
/** Bytes at the end that are not handed out, so that a vector may be read beyond the last element. */
const GUARD = 64;

/** Free memory between two addresses. */
interface Extent {
  start: number;
  end: number;
}

/** One WebAssembly memory with a best-fit allocator over it; neighbouring free pieces are joined. */
export class WasmHeap implements CpuMemory {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  /** Free pieces by address. */
  readonly #free: Extent[] = [];
  #end: number;
  #views: HeapViews;

  /** `shared`: to be used by several threads. Throws where the engine cannot have such a memory. */
  constructor(shared: boolean) {
    this.shared = shared;
    this.memory = openMemory(shared);
    this.#end = this.memory.buffer.byteLength - GUARD;
    this.#free.push({ start: RESERVED, end: this.#end });
    this.#views = new HeapViews(this.memory.buffer);
  }

  /** Arrays over all of the memory, as large as it is now. */
  get views(): HeapViews {
    if (this.#views.buffer !== this.memory.buffer) this.#views = new HeapViews(this.memory.buffer);
    return this.#views;
  }

  /** Elements of a dtype from an address on; not to be kept. */
  viewOf(dtype: DType, address: number, length: number): HostArray {
    return viewOf(this.memory.buffer, dtype, address, length);
  }

  /** Address of `bytes` (a multiple of 64), or -1 if there is no room and no more memory. */
  reserve(bytes: number): number {
    let found = this.#fit(bytes);
    if (found < 0 && this.#grow(bytes)) found = this.#fit(bytes);
    return found;
  }

  /** True if the memory can take `bytes` without growing. */
  fits(bytes: number): boolean {
    return this.#free.some((e) => e.end - e.start >= bytes);
  }

  #fit(bytes: number): number {
    let best = -1;
    let least = Infinity;
    this.#free.forEach((extent, i) => {
      const size = extent.end - extent.start;
      if (size >= bytes && size < least) {
        best = i;
        least = size;
      }
    });
    if (best < 0) return -1;
    const extent = this.#free[best]!;
    const address = extent.start;
    extent.start += bytes;
    if (extent.start === extent.end) this.#free.splice(best, 1);
    return address;
  }

  #grow(bytes: number): boolean {
    const last = this.#free[this.#free.length - 1];
    const atEnd = last !== undefined && last.end === this.#end ? last.end - last.start : 0;
    const now = this.memory.buffer.byteLength / PAGE;
    const needed = Math.ceil((bytes - atEnd) / PAGE);
    // Ahead of what is needed, if that can be had, as growing may be slow.
    for (const pages of [Math.max(needed, now >> 2, 256), needed]) {
      if (now + pages > MAX_PAGES && pages !== needed) continue;
      try {
        this.memory.grow(pages);
      } catch {
        continue;
      }
      const end = this.memory.buffer.byteLength - GUARD;
      const start = this.#end;
      this.#end = end;
      this.release(start, end - start);
      return true;
    }
    return false;
  }

  /** Takes back memory. */
  release(address: number, bytes: number): void {
    let low = 0;
    let high = this.#free.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#free[middle]!.start < address) low = middle + 1;
      else high = middle;
    }
    const before = this.#free[low - 1];
    const after = this.#free[low];
    const end = address + bytes;
    if (before !== undefined && before.end === address) {
      before.end = end;
      if (after !== undefined && after.start === end) {
        before.end = after.end;
        this.#free.splice(low, 1);
      }
    } else if (after !== undefined && after.start === end) after.start = address;
    else this.#free.splice(low, 0, { start: address, end });
  }

  /** Memory for the time of a call, to be released by it. Throws `OutOfMemoryError`. */
  scratch(bytes: number): { readonly address: number; readonly bytes: number } {
    const rounded = Math.ceil(bytes / 64) * 64;
    const address = this.reserve(rounded);
    if (address < 0) {
      const free = this.#free.reduce((sum, { start, end }) => sum + end - start, 0);
      const figures = { asked: bytes, live: this.memory.buffer.byteLength - free, pooled: free };
      throw new OutOfMemoryError(null, "CPU", figures, ", for working memory");
    }
    return { address, bytes: rounded };
  }

  take(bytes: number): CpuBuffer | null {
    const address = this.reserve(bytes);
    return address < 0 ? null : new CpuBuffer(bytes, address, () => this.memory.buffer);
  }

  give(buffer: CpuBuffer): void {
    this.release(buffer.address, buffer.bytes);
  }
}

/** Arrays over a whole memory. */
export class HeapViews {
  readonly buffer: ArrayBufferLike;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;

  constructor(buffer: ArrayBufferLike) {
    this.buffer = buffer;
    this.u8 = new Uint8Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}

/** A memory that may grow to 4 GiB, or as far as the engine can set addresses aside for. */
function openMemory(shared: boolean): WebAssembly.Memory {
  let problem: unknown;
  for (const maximum of [MAX_PAGES, MAX_PAGES / 2, MAX_PAGES / 4, MAX_PAGES / 8]) {
    try {
      return new WebAssembly.Memory({ initial: 32, maximum, shared });
    } catch (error) {
      problem = error;
    }
  }
  throw problem instanceof Error ? problem : new Error(String(problem));
}
