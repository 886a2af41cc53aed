/** The WebGPU device as a backend. */

import { isFloat, type DType, type HostArray } from "../../dtype.ts";
import { DeviceError, DeviceLostError, DTypeError } from "../../errors.ts";
import type { KernelStructure, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import type {
  Backend,
  BackendLimits,
  BackendMemory,
  Call,
  Ceiling,
  DeviceBuffer,
  Label,
  Program,
  ReadRequest,
  ReadResult,
} from "../backend.ts";
import { AttentionProgram, fitsAttention } from "./attention.ts";
import { WorkBudget } from "./budget.ts";
import { measureCeiling } from "./ceiling.ts";
import { Choices } from "./choices.ts";
import { CallClock } from "./clock.ts";
import { ConvProgram } from "./conv.ts";
import { CopyProgram } from "./copy.ts";
import { describeKernel } from "./describe.ts";
import { EpilogueProgram, fitsEpilogue, withoutEpilogue } from "./epilogue.ts";
import { findDevice, type FoundDevice, type LimitName, type NoDevice, type WebGpuOptions } from "./device.ts";
import { FusedProgram } from "./fused-program.ts";
import { IdleTimer } from "./idle.ts";
import { MatmulProgram } from "./matmul.ts";
import { Pipelines } from "./pipelines.ts";
import { Pool, textOf, USAGE, type Segment, type Slab } from "./pool.ts";
import type { CallRecorder, Compiler, DeviceFigures, DeviceProgram, PreparedCall, Scratch } from "./program.ts";
import { Reader } from "./reader.ts";
import { Recorder } from "./recorder.ts";
import { Room } from "./room.ts";
import { ScanProgram } from "./scan.ts";
import { ScatterProgram } from "./scatter.ts";
import { SortProgram } from "./sort.ts";
import { faultIn, Stream, type ByteRange, type Content, type Gate, type ReadyCall, type Use } from "./stream.ts";
import { deviceItemSize, Staging, toDevice } from "./transfer.ts";
import { subgroupSize } from "./subgroups.ts";
import { Tuner } from "./tuner.ts";

/** How a backend is made. */
export interface WebGpuBackendOptions extends WebGpuOptions {
  /** Adds the text of shaders to errors, and checks each kernel on its own. */
  readonly debug?: boolean | undefined;
  /** Most bytes of free buffers that are kept for reuse; without it as many as `keepWithin` leaves room for, until they are idle. */
  readonly poolBytes?: number | undefined;
  /** Milliseconds after which a free buffer that nobody took is given back to the device. */
  readonly idleMs?: number | undefined;
  /** Most work of one dispatch, in units of `WorkBudget`, in place of what is measured. @internal */
  readonly dispatchWork?: number | undefined;
  /** Whether `warmup()` measures ways of running routines and takes the fastest; by default on hardware only. */
  readonly autotune?: boolean | undefined;
  /** Figures of the device to choose by in place of its own, to try what another device would run. @internal */
  readonly figures?: Partial<DeviceFigures> | undefined;
}

/** Looks for a GPU and makes a backend of it, or says why there is none. */
export async function createWebGpuBackend(options: WebGpuBackendOptions = {}): Promise<WebGpuBackend | NoDevice> {
  const found = await findDevice(options);
  return "reason" in found ? found : new WebGpuBackend(found, options);
}

/** Memory in a slab of the pool. */
class Buffer implements DeviceBuffer, Content {
  readonly id: number;
  readonly bytes: number;
  /** Null once released. */
  slab: Slab | null;
  fault: Error | null = null;
  faults: Content["faults"] = [];

  constructor(id: number, slab: Slab) {
    this.id = id;
    this.bytes = slab.bytes;
    this.slab = slab;
  }
}

/** Buffers that a fused kernel may use: what is read together must be there together, and some drivers would take a million. */
const MOST_BUFFERS = 16;

const DEFAULT_IDLE_MS = 5000;
/** How much more than was asked for the memory of programs of so many bytes may take, for buffers that a repeated step needs at other times. */
const ROOM = 1.1;
const ROOMY_BYTES = 2 ** 20;

/** Elements are numbered by int32 in kernels that read at computed positions; no tensor has more words than that. */
const MAX_TENSOR_BYTES = 2 ** 33 - 256;

let nextBufferId = 1;

export class WebGpuBackend implements Backend {
  readonly type = "webgpu";
  readonly description: string;
  readonly isSoftware: boolean;
  readonly numerics: string;
  readonly limits: BackendLimits;
  /** Resolves with the error when the device goes away without `destroy()` having been called. */
  readonly lost: Promise<DeviceLostError>;
  readonly #found: FoundDevice;
  readonly #device: GPUDevice;
  readonly #pool: Pool;
  /** Segments to destroy once the calls that are being prepared are queued; null while none are. */
  #doomed: Segment[] | null = null;
  readonly #pipelines: Pipelines;
  readonly #recorder: Recorder;
  readonly #staging: Staging;
  readonly #room: Room;
  readonly #stream: Stream;
  readonly #status: GPUBuffer;
  readonly #figures: DeviceFigures;
  readonly #programs = new Map<string, DeviceProgram>();
  readonly #compiler: Compiler;
  readonly #idle: IdleTimer;
  /** Null where nothing is measured. */
  readonly #tuner: Tuner | null;
  /** Segments of which it is not known yet whether there is memory behind them. */
  readonly #asked = new Set<number>();
  readonly #onError: (event: GPUUncapturedErrorEvent) => void;
  /** Makes calls tell how long they take; null while nobody wants to know. */
  #timed: ((call: PreparedCall, of: Call) => PreparedCall) | null = null;
  #destroyed = false;

  /** @internal Use `createWebGpuBackend`. */
  constructor(found: FoundDevice, options: WebGpuBackendOptions) {
    const { device } = found;
    const debug = options.debug ?? false;
    this.#found = found;
    this.#device = device;
    this.description = found.description;
    this.isSoftware = found.isSoftware;
    // A device may have more than was asked for.
    const limit = (name: LimitName): number => Math.min(device.limits[name], options.limits?.[name] ?? Infinity);
    const segmentBytes = Math.min(limit("maxBufferSize"), limit("maxStorageBufferBindingSize"));
    const figures: Omit<DeviceFigures, "choices"> = {
      isSoftware: found.isSoftware,
      maxGroupsPerDimension: limit("maxComputeWorkgroupsPerDimension"),
      sharedBytes: limit("maxComputeWorkgroupStorageSize"),
      subgroup: subgroupSize(device),
      busyGroups: found.isSoftware ? 8 : 256,
      segmentBytes: Math.max(segmentBytes - (segmentBytes % 256), 256),
      maxBindings: limit("maxStorageBuffersPerShaderStage"),
      budget: new WorkBudget(found.isSoftware, options.dispatchWork),
      ...options.figures,
    };
    const { maxGroupsPerDimension, sharedBytes, subgroup, busyGroups, maxBindings } = figures;
    const numbers = [maxGroupsPerDimension, sharedBytes, subgroup, busyGroups, figures.segmentBytes, maxBindings].join(
      "/",
    );
    this.numerics = `webgpu: ${found.description}: ${[...device.features].toSorted().join(" ")}: ${numbers}`;
    this.#figures = { ...figures, choices: new Choices(this.numerics) };
    this.limits = {
      // One is the status word; scratch memory takes the place of an output.
      buffersPerKernel: Math.min(this.#figures.maxBindings - 1, MOST_BUFFERS),
      maxBufferBytes: MAX_TENSOR_BYTES,
      pieceBytes: this.#figures.segmentBytes,
      maxElements: found.isSoftware ? 2 ** 32 : 2 ** 40,
      fusesRows: (outer, inner) => outer >= 32 || inner <= 16384,
      sortsFirst: true,
      fusesEpilogue: (routine, work, elements) => fitsEpilogue(this.#figures, routine, work, elements),
      // Software adapters take seconds to compile the tiles.
      fusesAttention: (width, bytes) =>
        !this.#figures.isSoftware && bytes <= this.#figures.segmentBytes && fitsAttention(this.#figures, width),
    };
    this.#status = device.createBuffer({ size: 4, usage: USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST });
    this.#pipelines = new Pipelines(device, debug, found.immediateBytes);
    this.#recorder = new Recorder(device, this.#pipelines, this.#status, this.#figures.budget, (submission, scope) =>
      this.#stream.submitted(submission, scope),
    );
    const { choices, segmentBytes: mostBytes } = this.#figures;
    this.#tuner =
      (options.autotune ?? !found.isSoftware) ? new Tuner(device, this.#recorder, choices, mostBytes) : null;
    this.#staging = new Staging(device);
    this.#pool = new Pool(
      {
        segmentBytes: this.#figures.segmentBytes,
        maxBytes: MAX_TENSOR_BYTES,
        create: (segment, label) => this.#create(segment, label),
        destroy: (segment) => {
          if (this.#doomed === null) this.#stream.destroySegment(segment);
          else this.#doomed.push(segment);
        },
        now: () => performance.now(),
      },
      options.poolBytes ?? Infinity,
    );
    this.#room = new Room(device, { freeIdle: () => this.#freeIdle(), figures: () => this.memory() });
    this.#stream = new Stream({
      device,
      recorder: this.#recorder,
      reader: new Reader(this.#recorder, this.#staging, this.#status, this.#room, this.#figures.segmentBytes),
      room: this.#room,
      budget: this.#figures.budget,
      segmentBytes: this.#figures.segmentBytes,
      debug,
    });
    this.lost = this.#stream.lost;
    this.#compiler = { pipeline: (key, render) => this.#pipelines.find(key) ?? this.#pipelines.add(render()) };
    this.#idle = new IdleTimer(options.idleMs ?? DEFAULT_IDLE_MS, (before) => this.#pool.trimIdle(before));
    this.#onError = (event) => {
      event.preventDefault();
      this.#stream.fail(new DeviceError(`the GPU reported an error: ${event.error.message}`));
    };
    device.addEventListener("uncapturederror", this.#onError);
  }

  /** Most work of one dispatch, in units of `WorkBudget`. */
  get work(): number {
    return this.#figures.budget.units;
  }

  set work(units: number) {
    this.#figures.budget.resume(units);
  }

  /** What was measured about the ways of running routines on this adapter. */
  get choices(): Readonly<Record<string, string>> {
    return this.#figures.choices.toRecord();
  }

  set choices(choices: Readonly<Record<string, string>>) {
    this.#figures.choices.resume(choices);
  }

  /** Notes calls that could be run in several ways, to measure them when it is asked to. */
  listenForChoices(): (measures: boolean) => Promise<void> {
    return this.#tuner?.listen() ?? (() => Promise.resolve());
  }

  /** Tells how long calls take, if the device has timestamps. */
  timeCalls(hear: (call: Call, ms: number) => void): (() => Promise<void>) | null {
    if (!this.#device.features.has("timestamp-query")) return null;
    const clock = new CallClock(this.#device, this.#recorder);
    this.#timed = (call, of) => ({
      pipelines: call.pipelines,
      record: (recorder, scratch) =>
        clock.time(
          () => call.record(recorder, scratch),
          (ms) => hear(of, ms),
        ),
    });
    return () => {
      this.#timed = null;
      return clock.finish();
    };
  }

  /** Measures the most that the device can do. */
  measureCeiling(): Promise<Ceiling | null> {
    return measureCeiling({
      device: this.#device,
      recorder: this.#recorder,
      pipelines: this.#pipelines,
      ...this.#figures,
    });
  }

  supports(dtype: DType): boolean {
    if (dtype === "float16") return this.#device.features.has("shader-f16");
    return dtype !== "float64";
  }

  bytesFor(dtype: DType, count: number): number {
    return Math.ceil((count * deviceItemSize(dtype)) / 4) * 4;
  }

  /** Bytes of memory that an allocation of so many bytes takes. */
  allocationBytes(bytes: number): number {
    return this.#pool.bytesFor(bytes);
  }

  /** Asks that used and pooled memory together stay within so many bytes, as far as free memory can be given back or used again. */
  keepWithin(bytes: number): void {
    // Working memory of kernels, and sizes that differ between the parts of a step, would else have buffers destroyed and made again in every step.
    this.#pool.within = bytes >= ROOMY_BYTES ? bytes * ROOM : bytes;
  }

  allocate(bytes: number, label: Label | null = null, use: "kept" | "temporary" = "kept"): DeviceBuffer {
    this.#check();
    return new Buffer(nextBufferId++, this.#pool.take(bytes, label, use === "temporary"));
  }

  release(buffer: DeviceBuffer): void {
    const { slab } = buffer as Buffer;
    if (slab === null || this.#destroyed) return;
    (buffer as Buffer).slab = null;
    this.#pool.give(slab);
    this.#idle.start();
  }

  /** Why the value of a buffer is not there, as far as it is known by now; null if nothing is wrong with it. */
  faultOf(buffer: DeviceBuffer, part: Omit<ReadRequest, "buffer"> | null = null): Error | null {
    const { slab } = buffer as Buffer;
    if (slab === null) return null;
    return faultIn({ content: buffer as Buffer, slab, range: part === null ? null : rangeOf(part) });
  }

  upload(buffer: DeviceBuffer, dtype: DType, data: HostArray): void {
    this.#check();
    this.#checkDType(dtype);
    const slab = slabOf(buffer);
    if (data.length === 0) return;
    const words = toDevice(dtype, data);
    if (words.byteLength > slab.bytes)
      throw new DeviceError(`cannot upload ${words.byteLength} bytes into a buffer of ${slab.bytes}`);
    this.#stream.upload({ content: buffer as Buffer, slab }, words, words !== (data as ArrayBufferView));
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
    if (structure.epilogue !== undefined) {
      const plain = withoutEpilogue(structure);
      const routine =
        plain.name === "conv"
          ? new ConvProgram(plain, this.#compiler, this.#figures)
          : new MatmulProgram(plain, this.#compiler, this.#figures);
      return new EpilogueProgram(structure, routine, this.#compiler, this.#figures);
    }
    switch (structure.name) {
      case "matmul":
        return new MatmulProgram(structure, this.#compiler, this.#figures);
      case "scatter":
        return new ScatterProgram(structure, this.#compiler, this.#figures);
      case "scan":
        return new ScanProgram(structure, this.#compiler, this.#figures);
      case "conv":
        return new ConvProgram(structure, this.#compiler, this.#figures);
      case "sort":
        return new SortProgram(structure, this.#compiler, this.#figures);
      case "attention":
        return new AttentionProgram(structure, this.#compiler, this.#figures);
      case "copy":
        return new CopyProgram(structure, this.#figures);
    }
  }

  run(calls: readonly Call[]): void {
    this.#check();
    const reads: Use[] = [];
    const writes: Use[] = [];
    const slabsOf = calls.map((call) => call.buffers.map(slabOf));
    const prepared = calls.map((call, position) => {
      const program = call.program as DeviceProgram;
      const slabs = slabsOf[position]!;
      if (program.inPieces !== true) this.#checkWhole(program.structure, slabs);
      slabs.forEach((slab, i) => {
        const uses = program.structure.buffers[i]!.mode === "read" ? reads : writes;
        uses.push({ content: call.buffers[i] as Buffer, slab, range: copiedRange(call, i) });
      });
      return this.#tuner?.isListening === true
        ? this.#tuner.prepare(program, call.data, slabs, call.tag)
        : program.prepare(call.data, slabs, call.tag);
    });
    // Memory that calls give back may be destroyed to make room for that of others, but only behind them.
    const doomed: Segment[] = [];
    this.#doomed = doomed;
    const timed = this.#timed;
    try {
      const ready = prepared.map((call, i): ReadyCall => {
        const { structure } = calls[i]!.program;
        const scratch = call.scratch === false ? [] : this.#scratchOf(call, structure);
        return { call: timed === null ? call : timed(call, calls[i]!), scratch };
      });
      const describe = (segment: Segment): string | null => {
        const uses = (slab: Slab): boolean => slab.segments.includes(segment);
        const first = calls.find((_, i) => slabsOf[i]!.some(uses) || ready[i]!.scratch.some(uses));
        return first === undefined ? null : describeKernel(first.program.structure);
      };
      this.#stream.calls({ calls: ready, reads, writes, describe });
    } finally {
      this.#doomed = null;
      for (const segment of doomed) this.#stream.destroySegment(segment);
    }
  }

  #checkWhole(structure: KernelStructure, slabs: readonly Slab[]): void {
    const large = slabs.find((slab) => slab.segments.length > 1);
    if (large !== undefined)
      throw new DeviceError(
        `${describeKernel(structure)} cannot take a tensor of ${large.bytes} bytes on this device: it binds at most ` +
          `${this.#figures.segmentBytes} bytes as one buffer, and only elementwise operations, reductions, copies, gathers, scatters, ` +
          "scans and matmul run over several. Use smaller tensors, or the CPU.",
      );
  }

  /** Sets memory apart for what a call needs while it runs: it is free again for what is queued behind it. */
  #scratchOf(call: PreparedCall, structure: KernelStructure): Slab[] {
    const slabs: Slab[] = [];
    const scratch: Scratch = {
      take: (bytes) => {
        if (bytes > this.#figures.segmentBytes)
          throw new DeviceError(
            `${describeKernel(structure)} needs ${bytes} bytes of working memory, and this device binds at most ` +
              `${this.#figures.segmentBytes} bytes as one buffer. Use smaller tensors.`,
          );
        const slab = this.#pool.take(bytes, describeKernel(structure));
        slabs.push(slab);
        return slab;
      },
      give: (slab) => this.#pool.give(slab),
    };
    call.record(RECORDS_NOTHING, scratch);
    return slabs;
  }

  read(requests: readonly ReadRequest[]): Promise<ReadResult> {
    try {
      this.#check();
      const reads = requests.map((request) => {
        const slab = slabOf(request.buffer);
        const end = (request.offset + request.count) * deviceItemSize(request.dtype);
        if (request.offset < 0 || end > slab.bytes)
          throw new DeviceError(
            `cannot read elements ${request.offset} to ${request.offset + request.count} of a buffer of ${slab.bytes} bytes`,
          );
        return { content: request.buffer as Buffer, slab, range: rangeOf(request), request };
      });
      return this.#stream.read(reads);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  synchronize(): Promise<void> {
    return this.#stream.synchronize();
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
    this.#idle.stop();
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
    this.#stream.check();
  }

  #checkDType(dtype: DType): void {
    if (this.supports(dtype)) return;
    const why = isFloat(dtype) && dtype === "float16" ? "this GPU has no shader-f16" : `${dtype} lives on the CPU only`;
    throw new DTypeError(`${dtype} is not available on ${this.description}: ${why}`);
  }

  /** A new GPUBuffer. What is queued behind it waits until it is known that there was memory for it. */
  #create(segment: Omit<Segment, "gpu">, label: Label | null): GPUBuffer {
    const usage = USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST;
    const make = (): GPUBuffer => this.#device.createBuffer({ size: segment.bytes, usage });
    const { result, succeeded } = this.#room.attempt(make);
    this.#asked.add(segment.id);
    const known = async (): Promise<void> => {
      try {
        if (!(await succeeded)) await this.#createAgain(segment as Segment, label, make);
      } catch {
        // The device is gone, which is reported by itself.
      }
      this.#asked.delete(segment.id);
      gate.open = true;
    };
    const gate: Gate = { open: false, done: known() };
    this.#stream.gate(gate);
    return result;
  }

  async #createAgain(segment: Segment, label: Label | null, make: () => GPUBuffer): Promise<void> {
    await this.#room.makeRoom();
    const { result, succeeded } = this.#room.attempt(make);
    if (await succeeded) {
      segment.gpu = result;
      return;
    }
    const what = textOf(label) ?? this.#stream.describe(segment) ?? "allocating";
    segment.failure = this.#room.error(what, segment.bytes);
    this.#pool.discard(segment);
    this.#stream.fail(segment.failure);
  }

  /** Destroys what is kept for reuse, so far as nothing that is queued uses it. */
  #freeIdle(): void {
    if (this.#destroyed) return;
    this.#staging.clear();
    for (const segment of this.#pool.remove((s) => this.#stream.isDone(s) && !this.#asked.has(s.id))) {
      this.#recorder.forget(segment.id);
      segment.gpu.destroy();
    }
  }
}

/** Takes no notice of what is recorded. */
const RECORDS_NOTHING: CallRecorder = { dispatch: () => undefined, copy: () => undefined };

/** The bytes that elements lie in. */
function rangeOf({ dtype, offset, count }: Omit<ReadRequest, "buffer">): ByteRange {
  const size = deviceItemSize(dtype);
  return [offset * size, (offset + count) * size];
}

/** The bytes of its source (0) or target (1) that a copy takes; null for all other kernels, which may use all of a buffer. */
function copiedRange({ program: { structure }, data }: Call, buffer: number): ByteRange | null {
  if (structure.kind !== "routine" || structure.name !== "copy") return null;
  const [count, from, to] = (data as RoutineData).ints as [number, number, number];
  const start = 4 * (buffer === 0 ? from : to);
  return [start, start + 4 * count];
}

function slabOf(buffer: DeviceBuffer): Slab {
  const { slab } = buffer as Buffer;
  if (slab === null) throw new DeviceError(`buffer ${buffer.id} was released`);
  return slab;
}

function destroyedError(): DeviceLostError {
  return new DeviceLostError(
    "the GPU device was destroyed by tg.destroy(): call await tg.init() for another, and restore a snapshot",
    "destroyed",
  );
}
