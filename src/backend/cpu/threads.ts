/**
 * Threads: workers that share the heap and take tasks of a job beside the main thread. The same code runs in Node and Deno
 * (`node:worker_threads`) and in browsers with cross-origin isolation (a worker from a blob). Where there are none, or none has started yet, the
 * main thread does everything; results are the same, as how a job is cut up does not depend on who runs the pieces.
 */

import { DeviceError } from "../../errors.ts";
import type { WasmHeap } from "./memory.ts";
import { CONTROL, JOB_HEADER, runTask, workerMain, type Entries, type WorkerStart } from "./wasm/tasks.ts";

let nextProgram = 1;

/** A compiled module, which workers compile again from its bytes in the heap. */
export class SharedProgram {
  readonly id = nextProgram++;
  readonly entries: Entries;
  readonly #bytes: Uint8Array | null;
  #module: { readonly address: number; readonly length: number } | null = null;

  /** `bytes` is null if it may only run on the main thread. */
  constructor(entries: Entries, bytes: Uint8Array | null) {
    this.entries = entries;
    this.#bytes = bytes;
  }

  /** Where its module lies in the heap, for workers; null if they cannot have it. */
  place(heap: WasmHeap): { readonly address: number; readonly length: number } | null {
    if (this.#module !== null || this.#bytes === null) return this.#module;
    const { length } = this.#bytes;
    const address = heap.reserve(Math.ceil(length / 64) * 64);
    if (address < 0) return null;
    heap.views.u8.set(this.#bytes, address);
    this.#module = { address, length };
    return this.#module;
  }
}

interface NodeWorkerThreads {
  readonly Worker: new (
    source: string,
    options: { eval: boolean; workerData: WorkerStart },
  ) => { unref(): void; on(event: "error", listener: (error: unknown) => void): void };
}

interface NodeProcess {
  readonly getBuiltinModule?: (name: string) => unknown;
}

function nodeModule(name: string): unknown {
  const { process } = globalThis as { process?: NodeProcess };
  try {
    return process?.getBuiltinModule?.(name);
  } catch {
    return undefined;
  }
}

/** How many threads the machine runs at once. */
export function availableThreads(): number {
  const os = nodeModule("node:os") as { availableParallelism?: () => number } | undefined;
  const count = os?.availableParallelism?.() ?? (typeof navigator === "undefined" ? 1 : navigator.hardwareConcurrency);
  return Math.max(1, Math.min(count || 1, MAX_THREADS));
}

/** Most threads that are used. */
export const MAX_THREADS = 32;

/** True if memory can be shared with workers here. */
export function canShareMemory(): boolean {
  if (typeof SharedArrayBuffer === "undefined" || typeof Atomics === "undefined") return false;
  if (nodeModule("node:worker_threads") !== undefined) return true;
  // A page has to be cross-origin isolated.
  return (
    typeof Worker !== "undefined" && (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === true
  );
}

const TASK = `(${runTask.toString()})`;
const MAIN = `(${workerMain.toString()})`;

function startWorker(start: WorkerStart): void {
  const node = nodeModule("node:worker_threads") as NodeWorkerThreads | undefined;
  if (node !== undefined) {
    const source = `${MAIN}(${TASK}, require("node:worker_threads").workerData);`;
    const worker = new node.Worker(source, { eval: true, workerData: start });
    // It must not keep the process alive; that it failed to start shows in that it is never ready.
    worker.unref();
    worker.on("error", () => undefined);
    return;
  }
  const source = `onmessage = (event) => { ${MAIN}(${TASK}, event.data); close(); };`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url);
  worker.postMessage(start, []);
}

/** Turns of waiting in a loop before the thread is put to sleep. */
const SPINS = 2000;

/** The workers of a heap. */
export class ThreadPool {
  readonly #heap: WasmHeap;
  #threads: number;
  #started = false;
  #epoch = 0;
  #generation = 0;

  constructor(heap: WasmHeap, threads: number) {
    this.#heap = heap;
    this.#threads = threads;
  }

  /** Threads that share the work, the main one included. */
  get threads(): number {
    return this.#threads;
  }

  /** Workers that wait for jobs. */
  get workers(): number {
    return this.#started ? Atomics.load(this.#heap.views.i32, CONTROL.ready) : 0;
  }

  /** Sets their number; workers start with the next large job. */
  setThreads(threads: number): void {
    if (threads === this.#threads) return;
    this.stop();
    this.#threads = threads;
  }

  /**
   * Runs all tasks of a job whose words (after the header) have been written behind `CONTROL.job`. `large` says whether it is worth waking
   * the workers for.
   */
  run(kind: number, program: SharedProgram, count: number, large: boolean): void {
    const { entries } = program;
    const threaded = large && count > 1 && this.#threads > 1 && this.#ready();
    const module = threaded ? program.place(this.#heap) : null;
    const heap = this.#heap.views.i32;
    const at = CONTROL.job + JOB_HEADER;
    if (module === null) {
      for (let t = 0; t < count; t++) runTask(kind, heap, at, entries, t, 0);
      return;
    }
    heap[CONTROL.job] = kind;
    heap[CONTROL.job + 1] = program.id;
    heap[CONTROL.job + 2] = module.address;
    heap[CONTROL.job + 3] = module.length;
    heap[CONTROL.count] = count;
    Atomics.store(heap, CONTROL.next, 0);
    this.#nextEpoch();
    Atomics.store(heap, CONTROL.open, this.#epoch);
    Atomics.store(heap, CONTROL.epoch, this.#epoch);
    Atomics.notify(heap, CONTROL.epoch, Math.min(this.#threads, count) - 1);
    try {
      for (let t = Atomics.add(heap, CONTROL.next, 1); t < count; t = Atomics.add(heap, CONTROL.next, 1))
        runTask(kind, heap, at, entries, t, 0);
    } finally {
      Atomics.store(heap, CONTROL.open, 0);
      this.#join(heap);
    }
    if (Atomics.exchange(heap, CONTROL.failed, 0) !== 0) throw new DeviceError("a kernel failed on a worker thread");
  }

  #nextEpoch(): void {
    this.#epoch = (this.#epoch % 0x7ffffff0) + 1;
  }

  /** Waits until no worker is on the job any more. */
  #join(heap: Int32Array): void {
    let spins = 0;
    for (let active = Atomics.load(heap, CONTROL.active); active !== 0; active = Atomics.load(heap, CONTROL.active)) {
      if (++spins < SPINS) continue;
      try {
        Atomics.wait(heap, CONTROL.active, active, 5);
      } catch {
        // A browser's main thread may not sleep.
        spins = 0;
      }
    }
  }

  /** True if a worker is there; starts them at the first call. */
  #ready(): boolean {
    const heap = this.#heap.views.i32;
    if (!this.#started) {
      this.#started = true;
      this.#generation++;
      Atomics.store(heap, CONTROL.generation, this.#generation);
      Atomics.store(heap, CONTROL.ready, 0);
      const { memory } = this.#heap;
      try {
        for (let thread = 1; thread < this.#threads; thread++)
          startWorker({ memory, thread, generation: this.#generation, control: CONTROL, header: JOB_HEADER });
      } catch {
        // Workers are forbidden here.
        this.stop();
        this.#threads = 1;
        return false;
      }
    }
    return Atomics.load(heap, CONTROL.ready) > 0;
  }

  /** Ends the workers; the next large job starts new ones. */
  stop(): void {
    if (!this.#started) return;
    const heap = this.#heap.views.i32;
    this.#generation++;
    Atomics.store(heap, CONTROL.generation, this.#generation);
    this.#nextEpoch();
    Atomics.store(heap, CONTROL.epoch, this.#epoch);
    Atomics.notify(heap, CONTROL.epoch);
    this.#started = false;
  }
}
