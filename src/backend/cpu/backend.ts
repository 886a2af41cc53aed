/** The CPU: everything runs at once, in the order in which it is asked for. */

import { ITEM_SIZE, type DType, type HostArray } from "../../dtype.ts";
import { DeviceError, OutOfMemoryError } from "../../errors.ts";
import type { FusedData, FusedStructure, KernelStructure, RoutineData } from "../../graph/kernel.ts";
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
import { ceilingOfJavaScript } from "./ceiling.ts";
import { interpret, type Interpreted } from "./interpret.ts";
import { PlainMemory, WasmHeap, type CpuBuffer, type CpuMemory } from "./memory.ts";
import { runRoutine } from "./routines.ts";
import { STATUS_ADDRESS } from "./wasm/body.ts";
import { MAX_THREADS, ThreadPool, availableThreads, canShareMemory } from "./threads.ts";
import { ceilingOfWasm } from "./wasm/ceiling.ts";
import { detectWasm } from "./wasm/detect.ts";
import { WasmEngine, type FusedKernel } from "./wasm/engine.ts";

/** Elements that take the CPU seconds, or minutes where they are far apart; nothing can interrupt it meanwhile. */
const MOST_ELEMENTS = 2 ** 34;

/** Free memory kept for reuse, bytes. */
const POOL_BUDGET = 256 * 2 ** 20;

/** How the CPU is used. */
export interface CpuOptions {
  /** False runs everything in plain JavaScript, as where WebAssembly may not be compiled. */
  readonly wasm?: boolean | undefined;
  /** Threads that share large kernels, where memory can be shared with workers; by default as many as the machine has. */
  readonly threads?: number | undefined;
}

class CpuProgram implements Program {
  readonly structure: KernelStructure;
  readonly #engine: WasmEngine | null;
  #wasm: FusedKernel | null = null;
  #interpreted: Interpreted | null = null;

  constructor(structure: KernelStructure, engine: WasmEngine | null) {
    this.structure = structure;
    this.#engine = engine;
  }

  /** The kernel in WebAssembly, if there is one by now. */
  get wasm(): FusedKernel | null {
    if (this.structure.kind === "fused") this.#wasm ??= this.#engine?.compileFused(this.structure) ?? null;
    return this.#wasm;
  }

  /** The kernel in JavaScript. */
  get interpreted(): Interpreted {
    this.#interpreted ??= interpret(this.structure as FusedStructure);
    return this.#interpreted;
  }
}

function openHeap(): WasmHeap {
  if (canShareMemory()) {
    try {
      return new WasmHeap(true);
    } catch {
      // No address space for it, or no such memory: one thread.
    }
  }
  return new WasmHeap(false);
}

/** Sizes in which memory is handed out: eight steps to each power of two, multiples of 64 bytes. */
function sizeClass(bytes: number): number {
  if (bytes <= 64) return 64;
  const step = 2 ** Math.max(Math.floor(Math.log2(bytes - 1)) - 3, 6);
  return Math.ceil(bytes / step) * step;
}

/** The CPU backend. */
export class CpuBackend implements Backend {
  readonly type = "cpu";
  readonly isSoftware = false;
  readonly numerics: string;
  readonly limits: BackendLimits;

  readonly #memory: CpuMemory;
  readonly #engine: WasmEngine | null;
  readonly #programs = new Map<string, CpuProgram>();
  readonly #pool = new Map<number, CpuBuffer[]>();
  readonly #ownStatus = new Int32Array(1);
  #usedBuffers = 0;
  #usedBytes = 0;
  #pooledBuffers = 0;
  #pooledBytes = 0;
  #peakBytes = 0;
  #within = Infinity;
  #destroyed = false;
  /** Hears how long calls take. */
  #clock: ((call: Call, ms: number) => void) | null = null;

  constructor(options: CpuOptions = {}) {
    const found = options.wasm === false ? null : detectWasm();
    // Threads share work along rows: how many there are changes no bits.
    this.numerics = found === null ? "cpu: JavaScript" : `cpu: WebAssembly SIMD${found.relaxed ? ", relaxed" : ""}`;
    if (found === null) {
      this.#memory = new PlainMemory();
      this.#engine = null;
    } else {
      const heap = openHeap();
      this.#memory = heap;
      const pool = new ThreadPool(heap, 1);
      this.#engine = new WasmEngine(heap, pool, found.relaxed);
      this.setThreads(options.threads ?? availableThreads());
    }
    this.limits = {
      // More would gain nothing, and the values of unrelated work would be in memory together.
      buffersPerKernel: 8,
      maxBufferBytes: found === null ? 2 ** 33 : 2 ** 32 - 2 ** 20,
      maxElements: MOST_ELEMENTS,
      fusesRows: () => true,
      sortsFirst: true,
    };
  }

  get description(): string {
    if (this.#engine === null) return "CPU (JavaScript)";
    const { threads } = this.#engine.pool;
    return `CPU (WebAssembly SIMD, ${threads === 1 ? "1 thread" : `${threads} threads`})`;
  }

  /** Sets how many threads share large kernels; 1 where memory cannot be shared with workers. */
  setThreads(threads: number): void {
    if (this.#engine?.heap.shared === true) this.#engine.pool.setThreads(Math.min(threads, MAX_THREADS));
  }

  /** Worker threads that have started. */
  get workers(): number {
    return this.#engine?.pool.workers ?? 0;
  }

  /** Ends the worker threads; the next large kernel starts them again. */
  stopThreads(): void {
    this.#engine?.pool.stop();
  }

  /** The word in which failed index checks leave their tag. */
  get #status(): Int32Array {
    if (this.#engine === null) return this.#ownStatus;
    return new Int32Array(this.#engine.heap.memory.buffer, STATUS_ADDRESS, 1);
  }

  supports(_dtype: DType): boolean {
    return true;
  }

  bytesFor(dtype: DType, count: number): number {
    return ITEM_SIZE[dtype] * count;
  }

  allocationBytes(bytes: number): number {
    return sizeClass(bytes);
  }

  allocate(bytes: number, label: Label | null = null): DeviceBuffer {
    if (this.#destroyed) throw new DeviceError("the CPU device was destroyed");
    const size = sizeClass(bytes);
    let buffer = this.#pool.get(size)?.pop();
    if (buffer !== undefined) {
      this.#pooledBuffers--;
      this.#pooledBytes -= buffer.bytes;
      buffer.free = false;
    } else {
      this.trim(Math.max(this.#within - this.#usedBytes - size, 0));
      // Pieces kept for reuse may join to what is needed, before more memory is asked for.
      if (this.#pooledBytes >= size && this.#engine?.heap.fits(size) === false) this.trim(0);
      buffer = this.#memory.take(size) ?? undefined;
      if (buffer === undefined) {
        this.trim(0);
        buffer = this.#memory.take(size) ?? undefined;
      }
      if (buffer === undefined) {
        const figures = { asked: bytes, live: this.#usedBytes, pooled: this.#pooledBytes };
        throw new OutOfMemoryError(typeof label === "function" ? label() : label, "CPU", figures);
      }
    }
    this.#usedBuffers++;
    this.#usedBytes += buffer.bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes + this.#pooledBytes);
    return buffer;
  }

  keepWithin(bytes: number): void {
    this.#within = bytes;
  }

  release(given: DeviceBuffer): void {
    const buffer = given as CpuBuffer;
    if (buffer.free) throw new Error(`buffer ${buffer.id} was released twice`);
    buffer.free = true;
    this.#usedBuffers--;
    this.#usedBytes -= buffer.bytes;
    if (this.#destroyed || this.#pooledBytes + buffer.bytes > POOL_BUDGET) {
      this.#memory.give(buffer);
      return;
    }
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
      program = new CpuProgram(structure, this.#engine);
      this.#programs.set(structure.key, program);
    }
    return program;
  }

  run(calls: readonly Call[]): void {
    const clock = this.#clock;
    for (const call of calls) {
      if (clock === null) this.#run(call);
      else {
        const start = performance.now();
        this.#run(call);
        clock(call, performance.now() - start);
      }
    }
  }

  #run(call: Call): void {
    const program = call.program as CpuProgram;
    const buffers = call.buffers as readonly CpuBuffer[];
    const { wasm } = program;
    if (wasm !== null) this.#engine!.runFused(wasm, call.data as FusedData, buffers, call.tag);
    else if (!this.#runRoutine(program.structure, call, buffers)) this.#runInJavaScript(program, call, buffers);
  }

  timeCalls(hear: (call: Call, ms: number) => void): () => Promise<void> {
    this.#clock = hear;
    return () => {
      this.#clock = null;
      return Promise.resolve();
    };
  }

  measureCeiling(): Promise<Ceiling | null> {
    if (this.#engine === null) return Promise.resolve(ceilingOfJavaScript());
    const { heap, pool, features } = this.#engine;
    return ceilingOfWasm(heap, pool, features);
  }

  #runRoutine(structure: KernelStructure, call: Call, buffers: readonly CpuBuffer[]): boolean {
    if (this.#engine === null || structure.kind !== "routine") return false;
    return this.#engine.runRoutine(structure, call.data as RoutineData, buffers, call.tag);
  }

  #runInJavaScript(program: CpuProgram, call: Call, buffers: readonly CpuBuffer[]): void {
    const { structure } = program;
    const arrays = buffers.map((b, i) => b.view(structure.buffers[i]!.dtype));
    const status = this.#status;
    if (structure.kind === "fused") {
      program.interpreted(arrays, call.data as FusedData, status, call.tag);
      return;
    }
    const failed = runRoutine(structure, call.data as RoutineData, arrays);
    if (failed && status[0] === 0) status[0] = call.tag;
  }

  readonly readSync = (requests: readonly ReadRequest[]): ReadResult => {
    const arrays = requests.map(({ buffer, dtype, offset, count }) =>
      (buffer as CpuBuffer).view(dtype).slice(offset, offset + count),
    );
    const status = this.#status;
    const fault = status[0]!;
    status[0] = 0;
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
        this.#memory.give(list.pop()!);
        this.#pooledBuffers--;
        this.#pooledBytes -= size;
      }
  }

  destroy(): void {
    this.#destroyed = true;
    this.stopThreads();
    this.trim(0);
  }
}
