/** The interface that every device stands behind. The graph above it knows nothing else of a device. */

import type { DType, HostArray } from "../dtype.ts";
import type { DeviceLostError } from "../errors.ts";
import type { FusedStructure, KernelData, KernelStructure, RoutineStructure } from "../graph/kernel.ts";

/** Kind of a device. `null` runs nothing: it is for testing schedules and lifetimes. */
export type DeviceType = "cpu" | "webgpu" | "null";

/** A piece of device memory, owned by exactly one holder, given back by `release`. */
export interface DeviceBuffer {
  /** Unique within the process; never used again for another buffer. */
  readonly id: number;
  /** Bytes that it can hold (a size class, at least what was asked for). */
  readonly bytes: number;
}

/** A compiled (or compiling) kernel structure. */
export interface Program {
  readonly structure: KernelStructure;
}

/** One kernel to run. `buffers` follow the structure's slots. */
export interface Call {
  readonly program: Program;
  readonly data: KernelData;
  readonly buffers: readonly DeviceBuffer[];
  /** Non-zero number written to the status word by a failing `checkIndex` or `scatter`; the core maps it to an op. */
  readonly tag: number;
}

/** Elements to bring to the host: `count` elements of `dtype` from element `offset` on. */
export interface ReadRequest {
  readonly buffer: DeviceBuffer;
  readonly dtype: DType;
  readonly offset: number;
  readonly count: number;
}

/** What a read brings back. `fault` is the tag of the first failed index check since the last read, or 0. */
export interface ReadResult {
  readonly arrays: HostArray[];
  readonly fault: number;
}

/** Figures of a backend's memory, bytes. */
export interface BackendMemory {
  /** Buffers handed out and not yet released, and their bytes. */
  readonly usedBuffers: number;
  readonly usedBytes: number;
  /** Free buffers kept for reuse, and their bytes. */
  readonly pooledBuffers: number;
  readonly pooledBytes: number;
  /** Most that used and pooled bytes were together since the last reset. */
  readonly peakBytes: number;
}

/** The most that a device was measured to do. */
export interface Ceiling {
  /** Bytes a second of a copy in device memory, read and written ones together. */
  readonly bandwidth: number;
  /** Operations a second of float32 multiply-adds in registers (each is two), on all threads. */
  readonly flops: number;
}

/** What memory is for, in errors; written out only when there is one. */
export type Label = string | (() => string);

/** Bounds that the scheduler keeps to. */
export interface BackendLimits {
  /** Storage buffers that one kernel may bind (the status word not counted). */
  readonly buffersPerKernel: number;
  /** Most bytes of one tensor (which may lie in several buffers of the device). */
  readonly maxBufferBytes: number;
  /** Most bytes of a tensor that lies in one piece, on devices that have larger ones in several. */
  readonly pieceBytes?: number;
  /** Most elements of an intermediate value that is computed on the way, without ever being in memory: more would take too long. */
  readonly maxElements: number;
  /**
   * Whether a kernel may both reduce over `inner` elements and write full values for `outer` rows: a device that gives a row to
   * one workgroup says no where that leaves it idle.
   */
  fusesRows(outer: number, inner: number): boolean;
  /**
   * Whether elementwise work on the result of a routine (see `Epilogue` in kernel.ts) is better done before that is written, where nothing else reads it. `elements` are those of the
   * largest tensor that the work reads or writes. Devices that do not say keep the two apart.
   */
  fusesEpilogue?(routine: RoutineStructure, work: FusedStructure, elements: number): boolean;
  /** Whether the routine `sort` can give the first positions of each row alone. */
  readonly sortsFirst?: boolean;
  /**
   * Whether the routine `attention` is the better way for heads of this width (the widest of query, key and value) in tensors of so
   * many bytes at most. Devices that do not say compose attention of products and a softmax.
   */
  fusesAttention?(width: number, bytes: number): boolean;
}

/** A device: memory, compiled kernels, an ordered queue of work, and reads. All but reads are synchronous to the caller. */
export interface Backend {
  readonly type: DeviceType;
  /** Human-readable adapter or engine, such as "NVIDIA H200 (Vulkan)" or "CPU (JavaScript)". */
  readonly description: string;
  /** True if a GPU interface is emulated on the CPU. */
  readonly isSoftware: boolean;
  readonly limits: BackendLimits;

  /** True if tensors of this dtype can live here. */
  supports(dtype: DType): boolean;
  /** Bytes that `count` elements of `dtype` take in this device's memory (bool and uint8 may be wider than on the host). */
  bytesFor(dtype: DType, count: number): number;

  /** Bytes of memory that an allocation of so many bytes takes. */
  allocationBytes(bytes: number): number;
  /** Asks that used and pooled memory together stay within so many bytes, as far as free memory can be given back or used again. */
  readonly keepWithin?: (bytes: number) => void;
  /**
   * Memory with undefined content, from the pool where possible; `label` says what for, in errors. What is only used for a moment may
   * get more than it asked for, where that is at hand. Throws `OutOfMemoryError`, or,
   * where a device finds out later that it has no memory, everything rejects that reads a value which depends on this one.
   */
  allocate(bytes: number, label?: Label | null, use?: "kept" | "temporary"): DeviceBuffer;
  /** Gives memory back. Work submitted before still sees its content; the memory is reused only behind it. */
  release(buffer: DeviceBuffer): void;
  /** Queues a transfer of host elements (layout of `dtype`) to the start of a buffer; `data` may be changed afterwards. */
  upload(buffer: DeviceBuffer, dtype: DType, data: HostArray): void;

  /** Compiles a structure, or finds it by its key. Compilation may go on in the background; `run` waits in order. */
  prepare(structure: KernelStructure): Program;
  /**
   * Queues kernels, in order, behind everything queued before. Never waits. They run together or not at all: where memory, a
   * shader or a value that one of them needs is not there, none of them changes anything, and what they were to write is at fault.
   */
  run(calls: readonly Call[]): void;

  /** Waits for all that is queued, then gives the elements. Rejects with the device's error if one happened. */
  read(requests: readonly ReadRequest[]): Promise<ReadResult>;
  /** The same without waiting, on devices that can (the CPU). */
  readonly readSync?: (requests: readonly ReadRequest[]) => ReadResult;
  /** Resolves when all queued work is done; rejects with the device's error if one happened. */
  synchronize(): Promise<void>;

  /**
   * Names everything about the device that decides bits of results beyond the program itself: devices with equal text give equal
   * results. Null where nothing is computed.
   */
  readonly numerics: string | null;
  /** Most work of one dispatch, on devices that measure it: sums of very long rows are cut by it. Infinity if there is no bound. */
  work?: number;
  /** What was measured about the ways of running routines, by class of calls: names of the ways that are taken. */
  choices?: Readonly<Record<string, string>>;
  /**
   * From here on notes which calls could be run in several ways. The function given back ends that, measures the ways if it is told to, and resolves when the
   * fastest are known; it never rejects.
   */
  listenForChoices?(): (measures: boolean) => Promise<void>;
  /**
   * From here on tells how long each call takes that is given to `run`, milliseconds on the device, once that is known. The function given back ends that; it resolves
   * when all that can be told was told, and never rejects. Null where the device has no clock.
   */
  timeCalls?(hear: (call: Call, ms: number) => void): (() => Promise<void>) | null;
  /** Measures, for some milliseconds, the most that the device can do; null if it cannot be had. */
  measureCeiling?(): Promise<Ceiling | null>;
  /** Resolves with the error when the device goes away without `destroy()` having been called, on devices that can. */
  readonly lost?: Promise<DeviceLostError>;
  /** Why the value of a buffer (or of some of its elements) is not there, as far as it is known by now, on devices that find out late. */
  faultOf?(buffer: DeviceBuffer, part?: Omit<ReadRequest, "buffer"> | null): Error | null;

  memory(): BackendMemory;
  resetPeakMemory(): void;
  /** Frees pooled memory down to `bytes`. */
  trim(bytes: number): void;
  /** Frees everything; what is pending rejects, and later use throws, a `DeviceLostError` (a `DeviceError` on the CPU). */
  destroy(): void;
}
