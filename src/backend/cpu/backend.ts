/** The CPU: everything runs at once, in the order in which it is asked for. */

import { ITEM_SIZE, hostArray, type DType, type HostArray, fromHalf, toHalf } from "../../dtype.ts";
import { DeviceError, OutOfMemoryError } from "../../errors.ts";
import type { FusedData, FusedStructure, KernelStructure, RoutineData } from "../../graph/kernel.ts";
import type {
  Backend,
  BackendLimits,
  BackendMemory,
  Call,
  DeviceBuffer,
  Program,
  ReadRequest,
  ReadResult,
} from "../backend.ts";
import * as math from "./math.ts";
import { renderFused, type FusedFunction } from "./render.ts";
import { runRoutine } from "./routines.ts";

const HELPERS = { ...math, fromHalf, toHalf };

/** Free memory kept for reuse, bytes. */
const POOL_BUDGET = 256 * 2 ** 20;

let nextId = 1;

class CpuBuffer implements DeviceBuffer {
  readonly id = nextId++;
  readonly bytes: number;
  readonly memory: ArrayBuffer;
  readonly #views = new Map<DType, HostArray>();
  free = false;

  constructor(bytes: number) {
    this.bytes = bytes;
    this.memory = new ArrayBuffer(bytes);
  }

  view(dtype: DType): HostArray {
    let view = this.#views.get(dtype);
    if (view === undefined) {
      const length = Math.floor(this.bytes / ITEM_SIZE[dtype]);
      const kind = hostArray(dtype, 0).constructor as new (
        buffer: ArrayBuffer,
        offset: number,
        length: number,
      ) => HostArray;
      view = new kind(this.memory, 0, length);
      this.#views.set(dtype, view);
    }
    return view;
  }
}

class CpuProgram implements Program {
  readonly structure: KernelStructure;
  readonly fused: FusedFunction | null;

  constructor(structure: KernelStructure) {
    this.structure = structure;
    this.fused = structure.kind === "fused" ? compile(structure) : null;
  }
}

function compile(structure: FusedStructure): FusedFunction {
  return new Function(
    "buffers",
    "sizes",
    "strides",
    "offsets",
    "scalars",
    "status",
    "tag",
    "H",
    renderFused(structure),
  ) as FusedFunction;
}

/** Sizes in which memory is handed out: four steps to each power of two, at least 64 bytes. */
function sizeClass(bytes: number): number {
  if (bytes <= 64) return 64;
  const step = 2 ** Math.max(Math.floor(Math.log2(bytes - 1)) - 2, 3);
  return Math.ceil(bytes / step) * step;
}

/** The CPU backend. */
export class CpuBackend implements Backend {
  readonly type = "cpu";
  readonly description = "CPU (JavaScript)";
  readonly isSoftware = false;
  readonly limits: BackendLimits = { buffersPerKernel: 64, maxBufferBytes: 2 ** 33, fusesRows: () => true };

  readonly #programs = new Map<string, CpuProgram>();
  readonly #pool = new Map<number, CpuBuffer[]>();
  readonly #status = new Int32Array(1);
  #usedBuffers = 0;
  #usedBytes = 0;
  #pooledBuffers = 0;
  #pooledBytes = 0;
  #peakBytes = 0;
  #destroyed = false;

  supports(_dtype: DType): boolean {
    return true;
  }

  bytesFor(dtype: DType, count: number): number {
    return ITEM_SIZE[dtype] * count;
  }

  allocate(bytes: number): DeviceBuffer {
    if (this.#destroyed) throw new DeviceError("the CPU device was destroyed");
    const size = sizeClass(bytes);
    const free = this.#pool.get(size);
    let buffer = free?.pop();
    if (buffer !== undefined) {
      this.#pooledBuffers--;
      this.#pooledBytes -= size;
      buffer.free = false;
    } else {
      try {
        buffer = new CpuBuffer(size);
      } catch {
        this.trim(0);
        try {
          buffer = new CpuBuffer(size);
        } catch {
          throw new OutOfMemoryError(`out of memory: ${bytes} bytes asked for, ${this.#usedBytes} in use on the CPU`);
        }
      }
    }
    this.#usedBuffers++;
    this.#usedBytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes + this.#pooledBytes);
    return buffer;
  }

  release(given: DeviceBuffer): void {
    const buffer = given as CpuBuffer;
    if (buffer.free) throw new Error(`buffer ${buffer.id} was released twice`);
    buffer.free = true;
    this.#usedBuffers--;
    this.#usedBytes -= buffer.bytes;
    if (this.#destroyed || this.#pooledBytes + buffer.bytes > POOL_BUDGET) return;
    const list = this.#pool.get(buffer.bytes);
    if (list === undefined) this.#pool.set(buffer.bytes, [buffer]);
    else list.push(buffer);
    this.#pooledBuffers++;
    this.#pooledBytes += buffer.bytes;
  }

  upload(buffer: DeviceBuffer, dtype: DType, data: HostArray): void {
    (buffer as CpuBuffer).view(dtype).set(data);
  }

  prepare(structure: KernelStructure): Program {
    let program = this.#programs.get(structure.key);
    if (program === undefined) {
      program = new CpuProgram(structure);
      this.#programs.set(structure.key, program);
    }
    return program;
  }

  run(calls: readonly Call[]): void {
    for (const call of calls) {
      const program = call.program as CpuProgram;
      const { structure } = program;
      const arrays = call.buffers.map((b, i) => (b as CpuBuffer).view(structure.buffers[i]!.dtype));
      if (program.fused !== null) {
        const data = call.data as FusedData;
        const sizes = [...data.outer, ...data.inner];
        program.fused(arrays, sizes, data.strides, data.offsets, data.scalars, this.#status, call.tag, HELPERS);
      } else if (structure.kind === "routine") {
        const failed = runRoutine(structure, call.data as RoutineData, arrays);
        if (failed && this.#status[0] === 0) this.#status[0] = call.tag;
      }
    }
  }

  readonly readSync = (requests: readonly ReadRequest[]): ReadResult => {
    const arrays = requests.map(({ buffer, dtype, offset, count }) =>
      (buffer as CpuBuffer).view(dtype).slice(offset, offset + count),
    );
    const fault = this.#status[0]!;
    this.#status[0] = 0;
    return { arrays, fault };
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
      pooledBuffers: this.#pooledBuffers,
      pooledBytes: this.#pooledBytes,
      peakBytes: this.#peakBytes,
    };
  }

  resetPeakMemory(): void {
    this.#peakBytes = this.#usedBytes + this.#pooledBytes;
  }

  trim(bytes: number): void {
    for (const [size, list] of this.#pool)
      while (list.length > 0 && this.#pooledBytes > bytes) {
        list.pop();
        this.#pooledBuffers--;
        this.#pooledBytes -= size;
      }
  }

  destroy(): void {
    this.#destroyed = true;
    this.trim(0);
  }
}
