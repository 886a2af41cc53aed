/** The WebGPU device as a backend. */

import { isFloat, type DType, type HostArray } from "../../dtype.ts";
import { DeviceError, DTypeError, OutOfMemoryError } from "../../errors.ts";
import type { KernelStructure, RoutineStructure } from "../../graph/kernel.ts";
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
import { ConvProgram } from "./conv.ts";
import { findDevice, type FoundDevice, type NoDevice, type WebGpuOptions } from "./device.ts";
import { FusedProgram } from "./fused-program.ts";
import { MatmulProgram } from "./matmul.ts";
import { Pipelines } from "./pipelines.ts";
import { Pool, USAGE, type Slab } from "./pool.ts";
import type { Compiler, DeviceFigures, DeviceProgram } from "./program.ts";
import { Recorder } from "./recorder.ts";
import { CopyProgram, ScanProgram, ScatterProgram } from "./routines.ts";
import { Stream, type Gate } from "./stream.ts";
import { deviceItemSize, Staging, toDevice } from "./transfer.ts";

/** How a backend is made. */
export interface WebGpuBackendOptions extends WebGpuOptions {
  /** Adds the text of shaders to errors, and checks each kernel on its own. */
  readonly debug?: boolean | undefined;
  /** Most bytes of free buffers that are kept for reuse. */
  readonly poolBytes?: number | undefined;
  /** Figures of the device to choose by in place of its own, to try what another device would run. @internal */
  readonly figures?: Partial<DeviceFigures> | undefined;
}

/** Looks for a GPU and makes a backend of it, or says why there is none. */
export async function createWebGpuBackend(options: WebGpuBackendOptions = {}): Promise<WebGpuBackend | NoDevice> {
  const found = await findDevice(options);
  return "reason" in found ? found : new WebGpuBackend(found, options);
}

/** Memory in a slab of the pool. */
class Buffer implements DeviceBuffer {
  readonly id: number;
  readonly bytes: number;
  /** Null once released. */
  slab: Slab | null;

  constructor(id: number, slab: Slab) {
    this.id = id;
    this.bytes = slab.bytes;
    this.slab = slab;
  }
}

/** Allocations from this size on are known to have succeeded before work with them is submitted. */
const GATED_BYTES = 16 * 2 ** 20;

const DEFAULT_POOL_BYTES = 2 ** 30;

let nextBufferId = 1;

export class WebGpuBackend implements Backend {
  readonly type = "webgpu";
  readonly description: string;
  readonly isSoftware: boolean;
  readonly limits: BackendLimits;
  readonly #found: FoundDevice;
  readonly #device: GPUDevice;
  readonly #debug: boolean;
  readonly #pool: Pool;
  readonly #pipelines: Pipelines;
  readonly #recorder: Recorder;
  readonly #staging: Staging;
  readonly #stream: Stream;
  readonly #status: GPUBuffer;
  readonly #figures: DeviceFigures;
  readonly #programs = new Map<string, DeviceProgram>();
  readonly #compiler: Compiler;
  readonly #onError: (event: GPUUncapturedErrorEvent) => void;
  #destroyed = false;

  /** @internal Use `createWebGpuBackend`. */
  constructor(found: FoundDevice, options: WebGpuBackendOptions) {
    const { device } = found;
    this.#found = found;
    this.#device = device;
    this.#debug = options.debug ?? false;
    this.description = found.description;
    this.isSoftware = found.isSoftware;
    const { limits } = device;
    const maxBufferBytes = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    this.limits = {
      // One is the status word; scratch memory takes the place of an output.
      buffersPerKernel: limits.maxStorageBuffersPerShaderStage - 1,
      maxBufferBytes,
      fusesRows: (outer, inner) => outer >= 32 || inner <= 16384,
    };
    this.#figures = {
      isSoftware: found.isSoftware,
      maxGroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
      sharedBytes: limits.maxComputeWorkgroupStorageSize,
      busyGroups: found.isSoftware ? 8 : 256,
      ...options.figures,
    };
    this.#status = device.createBuffer({ size: 4, usage: USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST });
    this.#pipelines = new Pipelines(device, this.#debug);
    this.#recorder = new Recorder(device, this.#pipelines, this.#status, (submission, scope) =>
      this.#stream.submitted(submission, scope),
    );
    this.#staging = new Staging(device);
    this.#pool = new Pool(
      {
        maxBytes: maxBufferBytes,
        create: (bytes) => this.#create(bytes),
        destroy: (slab) => this.#stream.destroySlab(slab),
      },
      options.poolBytes ?? DEFAULT_POOL_BYTES,
    );
    this.#stream = new Stream(device, this.#recorder, this.#staging, this.#status, {
      take: (bytes) => this.#pool.take(bytes),
      give: (slab) => this.#pool.give(slab),
    });
    this.#compiler = { pipeline: (key, render) => this.#pipelines.find(key) ?? this.#pipelines.add(render()) };
    this.#onError = (event) => {
      event.preventDefault();
      this.#stream.fail(new DeviceError(`the GPU reported an error: ${event.error.message}`));
    };
    device.addEventListener("uncapturederror", this.#onError);
  }

  supports(dtype: DType): boolean {
    if (dtype === "float16") return this.#device.features.has("shader-f16");
    return dtype !== "float64";
  }

  bytesFor(dtype: DType, count: number): number {
    return Math.ceil((count * deviceItemSize(dtype)) / 4) * 4;
  }

  allocate(bytes: number): DeviceBuffer {
    this.#check();
    return new Buffer(nextBufferId++, this.#pool.take(bytes));
  }

  release(buffer: DeviceBuffer): void {
    const { slab } = buffer as Buffer;
    if (slab === null || this.#destroyed) return;
    (buffer as Buffer).slab = null;
    this.#pool.give(slab);
  }

  upload(buffer: DeviceBuffer, dtype: DType, data: HostArray): void {
    this.#check();
    this.#checkDType(dtype);
    const slab = slabOf(buffer);
    if (data.length === 0) return;
    const words = toDevice(dtype, data);
    if (words.byteLength > slab.bytes)
      throw new DeviceError(`cannot upload ${words.byteLength} bytes into a buffer of ${slab.bytes}`);
    this.#stream.upload(slab, words, words !== (data as ArrayBufferView));
  }

  prepare(structure: KernelStructure): Program {
    this.#check();
    let program = this.#programs.get(structure.key);
    if (program === undefined) {
      for (const slot of structure.buffers) this.#checkDType(slot.dtype);
      program = this.#makeProgram(structure);
      program.warm();
      this.#programs.set(structure.key, program);
    }
    return program;
  }

  #makeProgram(structure: KernelStructure): DeviceProgram {
    if (structure.kind === "fused") return new FusedProgram(structure, this.#compiler, this.#figures);
    return this.#makeRoutine(structure);
  }

  #makeRoutine(structure: RoutineStructure): DeviceProgram {
    switch (structure.name) {
      case "matmul":
        return new MatmulProgram(structure, this.#compiler, this.#figures);
      case "scatter":
        return new ScatterProgram(structure, this.#compiler, this.#figures);
      case "scan":
        return new ScanProgram(structure, this.#compiler, this.#figures);
      case "conv":
        return new ConvProgram(structure, this.#compiler, this.#figures);
      case "copy":
        return new CopyProgram(structure);
    }
  }

  run(calls: readonly Call[]): void {
    this.#check();
    const prepared = calls.map((call) => {
      const slabs = call.buffers.map(slabOf);
      return (call.program as DeviceProgram).prepare(call.data, slabs, call.tag);
    });
    if (this.#debug) for (const call of prepared) this.#stream.calls([call]);
    else this.#stream.calls(prepared);
  }

  read(requests: readonly ReadRequest[]): Promise<ReadResult> {
    if (this.#destroyed) return Promise.reject(destroyedError());
    try {
      const reads = requests.map((request) => {
        const slab = slabOf(request.buffer);
        const end = (request.offset + request.count) * deviceItemSize(request.dtype);
        if (request.offset < 0 || end > slab.bytes)
          throw new DeviceError(
            `cannot read elements ${request.offset} to ${request.offset + request.count} of a buffer of ${slab.bytes} bytes`,
          );
        return { slab, request };
      });
      return this.#stream.read(reads);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  synchronize(): Promise<void> {
    return this.#destroyed ? Promise.reject(destroyedError()) : this.#stream.synchronize();
  }

  memory(): BackendMemory {
    return this.#pool.figures();
  }

  resetPeakMemory(): void {
    this.#pool.resetPeak();
  }

  trim(bytes: number): void {
    if (!this.#destroyed) this.#pool.trim(bytes);
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#stream.lose(destroyedError());
    this.#device.removeEventListener("uncapturederror", this.#onError);
    this.#pool.clear();
    this.#recorder.destroy();
    this.#staging.destroy();
    this.#status.destroy();
    this.#programs.clear();
    if (this.#found.owned) this.#device.destroy();
  }

  #check(): void {
    if (this.#destroyed) throw destroyedError();
    this.#stream.check();
  }

  #checkDType(dtype: DType): void {
    if (this.supports(dtype)) return;
    const why = isFloat(dtype) && dtype === "float16" ? "this GPU has no shader-f16" : `${dtype} lives on the CPU only`;
    throw new DTypeError(`${dtype} is not available on ${this.description}: ${why}`);
  }

  /** A new buffer. Large ones hold up the queue until it is known that there was memory for them. */
  #create(bytes: number): GPUBuffer {
    const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
    this.#device.pushErrorScope("out-of-memory");
    const buffer = this.#device.createBuffer({ size: bytes, usage });
    const scope = this.#device.popErrorScope();
    this.#stream.watch(scope, () => new OutOfMemoryError(`the GPU could not give ${bytes} bytes`));
    if (bytes >= GATED_BYTES) {
      const gate: Gate = {
        open: false,
        done: scope.then(
          () => void (gate.open = true),
          () => void (gate.open = true),
        ),
      };
      this.#stream.gate(gate);
    }
    return buffer;
  }
}

function slabOf(buffer: DeviceBuffer): Slab {
  const { slab } = buffer as Buffer;
  if (slab === null) throw new DeviceError(`buffer ${buffer.id} was released`);
  return slab;
}

function destroyedError(): DeviceError {
  return new DeviceError("the device was destroyed");
}
