/** A device that runs nothing: it counts kernels and checks lifetimes, so that schedules are tested without hardware. */

import { hostArray, ITEM_SIZE, type DType, type HostArray } from "../dtype.ts";
import type { KernelStructure } from "../graph/kernel.ts";
import type {
  Backend,
  BackendLimits,
  BackendMemory,
  Call,
  DeviceBuffer,
  Program,
  ReadRequest,
  ReadResult,
} from "./backend.ts";

interface NullBuffer extends DeviceBuffer {
  released: boolean;
}

let nextId = 1;

/** The null backend. */
export class NullBackend implements Backend {
  readonly type = "null";
  readonly description = "nothing is computed";
  readonly isSoftware = false;
  readonly numerics = null;
  readonly limits: BackendLimits;
  /** Every kernel that was to run, in order, if calls are recorded. */
  calls: Call[] = [];
  readonly #recordsCalls: boolean;
  /** How often work was submitted. */
  submissions = 0;
  #usedBuffers = 0;
  #usedBytes = 0;
  #peakBytes = 0;

  constructor(
    options: {
      buffersPerKernel?: number;
      fusesRows?: (outer: number, inner: number) => boolean;
      fusesEpilogue?: BackendLimits["fusesEpilogue"];
      /** Whether `calls` grows (default true). */
      recordsCalls?: boolean;
    } = {},
  ) {
    this.#recordsCalls = options.recordsCalls ?? true;
    this.limits = {
      buffersPerKernel: options.buffersPerKernel ?? 8,
      maxBufferBytes: 2 ** 40,
      maxElements: 2 ** 50,
      fusesRows: options.fusesRows ?? ((outer, inner) => !(outer < 32 && inner > 16384)),
      fusesAttention: (width) => width <= 128,
      ...(options.fusesEpilogue === undefined ? {} : { fusesEpilogue: options.fusesEpilogue }),
    };
  }

  /** Forgets the calls so far. */
  reset(): void {
    this.calls = [];
    this.submissions = 0;
    this.#peakBytes = this.#usedBytes;
  }

  supports(_dtype: DType): boolean {
    return true;
  }

  bytesFor(dtype: DType, count: number): number {
    return ITEM_SIZE[dtype] * count;
  }

  allocationBytes(bytes: number): number {
    return bytes;
  }

  allocate(bytes: number): DeviceBuffer {
    const buffer: NullBuffer = { id: nextId++, bytes, released: false };
    this.#usedBuffers++;
    this.#usedBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    return buffer;
  }

  release(given: DeviceBuffer): void {
    const buffer = given as NullBuffer;
    if (buffer.released) throw new Error(`buffer ${buffer.id} was released twice`);
    buffer.released = true;
    this.#usedBuffers--;
    this.#usedBytes -= buffer.bytes;
  }

  upload(buffer: DeviceBuffer, _dtype: DType, _data: HostArray): void {
    checkLive(buffer);
  }

  prepare(structure: KernelStructure): Program {
    return { structure };
  }

  run(calls: readonly Call[]): void {
    // Without lists of what is looked at: on this device benchmarks measure what the graph costs.
    for (const { buffers, program } of calls) {
      const { structure } = program;
      for (let i = 0; i < buffers.length; i++) {
        const buffer = buffers[i]!;
        checkLive(buffer);
        if (structure.buffers[i]!.mode === "read") continue;
        if (buffers.indexOf(buffer) < i || buffers.includes(buffer, i + 1))
          throw new Error(`buffer ${buffer.id} is bound twice, once for writing, in ${structure.key}`);
      }
    }
    if (this.#recordsCalls) for (const call of calls) this.calls.push(call);
    this.submissions++;
  }

  readonly readSync = (requests: readonly ReadRequest[]): ReadResult => {
    for (const { buffer } of requests) checkLive(buffer);
    return { arrays: requests.map((r) => hostArray(r.dtype, r.count)), fault: 0 };
  };

  read(requests: readonly ReadRequest[]): Promise<ReadResult> {
    return Promise.resolve(this.readSync(requests));
  }

  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  memory(): BackendMemory {
    return {
      usedBuffers: this.#usedBuffers,
      usedBytes: this.#usedBytes,
      pooledBuffers: 0,
      pooledBytes: 0,
      peakBytes: this.#peakBytes,
    };
  }

  resetPeakMemory(): void {
    this.#peakBytes = this.#usedBytes;
  }

  trim(_bytes: number): void {}

  destroy(): void {}
}

function checkLive(buffer: DeviceBuffer): void {
  if ((buffer as NullBuffer).released) throw new Error(`buffer ${buffer.id} is used after it was released`);
}
