/**
 * One loop of the memory report, in a process of its own (with `--expose-gc`): `child.ts <library> <loop> <device> <steps> <seconds> <bytes>`.
 * Prints one line of JSON.
 */

import * as tg from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import type { BackendLimits, Call, DeviceBuffer, ReadRequest, ReadResult } from "../../src/backend/backend.ts";
import { observeRuns } from "../../src/graph/plan.ts";
import { defaultBackend, endBackend, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import type { DType } from "../../src/dtype.ts";
import { draw } from "../support/random.ts";
import { provideGpu } from "../support/dawn.ts";
import { loadJax, loadTfGpu, loadTfWasm } from "../support/peers.ts";
import { initTapegrad } from "../subjects/all.ts";
import { startJax } from "../training/jax.ts";
import { mlp, startOf, type Stepper } from "../training/model.ts";
import { startTfjs } from "../training/tfjs.ts";
import type { Tf } from "../subjects/tfjs-api.ts";
import { LOOPS, MODEL, type Awaits } from "./loops.ts";

/** What a loop leaves behind. */
export interface MemoryOutcome {
  readonly library: string;
  readonly loop: string;
  readonly device: string;
  readonly steps: number;
  readonly seconds: number;
  /** Why it ended before its last step, if it did: its seconds were over, or its process had grown by so many bytes. */
  readonly stopped: "seconds" | "bytes" | null;
  /** Bytes that the library counts as in use (its own figures), after step 20 and at the end. */
  readonly live20: number | null;
  readonly live: number | null;
  readonly cached20: number | null;
  readonly cached: number | null;
  readonly pooled: number | null;
  /** The most that live, cached and pooled bytes were together. */
  readonly peak: number | null;
  /** Tensors in use after step 20 and at the end, where the library counts them. */
  readonly tensors20: number | null;
  readonly tensors: number | null;
  /** Handles that the loop kept. */
  readonly kept: number;
  /** What liveness needs at least, two buffers for each parameter included. */
  readonly least: number | null;
  /** WebAssembly memory, which never shrinks. */
  readonly wasm20: number;
  readonly wasm: number;
  /** Bytes of all GPU buffers that the library made and did not destroy, after step 20 and at the end; null on the CPU. */
  readonly gpu20: number | null;
  readonly gpu: number | null;
  /** The process's resident memory before the loop, after step 20 and at the end. */
  readonly rss0: number;
  readonly rss20: number;
  readonly rss: number;
  /** JavaScript's heap, after a collection, after step 20 and at the end. */
  readonly heap20: number;
  readonly heap: number;
  readonly failure: string | null;
}

const WARM_STEPS = 20;

// Libraries that do not say how much they use have at least a WebAssembly memory that can be looked at.
const memories: WebAssembly.Memory[] = [];
globalThis.WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
  construct(target, args: [WebAssembly.MemoryDescriptor]) {
    const memory = new target(...args);
    memories.push(memory);
    return memory;
  },
});
const instantiated = WebAssembly.instantiate;
function noteExports(result: unknown): void {
  const instance =
    result instanceof WebAssembly.Instance ? result : (result as WebAssembly.WebAssemblyInstantiatedSource).instance;
  const { memory } = instance?.exports ?? {};
  if (memory instanceof WebAssembly.Memory && !memories.includes(memory)) memories.push(memory);
}
Object.assign(WebAssembly, {
  instantiate: async (...args: Parameters<typeof WebAssembly.instantiate>) => {
    const result: unknown = await instantiated(...args);
    noteExports(result);
    return result;
  },
});
// On a GPU, what was made and not destroyed can be counted from outside.
let gpuBytes: number | null = null;
async function countGpuBytes(gpu: GPU): Promise<void> {
  const probe = await (await gpu.requestAdapter())!.requestDevice();
  const sample = probe.createBuffer({ size: 4, usage: GPUBufferUsage.STORAGE });
  const device = Object.getPrototypeOf(probe) as GPUDevice;
  const buffer = Object.getPrototypeOf(sample) as GPUBuffer;
  const { createBuffer } = device;
  const { destroy } = buffer;
  const alive = new WeakSet<GPUBuffer>();
  gpuBytes = 0;
  device.createBuffer = function (this: GPUDevice, descriptor) {
    const made = createBuffer.call(this, descriptor);
    alive.add(made);
    gpuBytes! += descriptor.size;
    return made;
  };
  buffer.destroy = function (this: GPUBuffer) {
    if (alive.delete(this)) gpuBytes! -= this.size;
    destroy.call(this);
    return undefined;
  };
  probe.destroy();
}

/** Bytes of the JavaScript heap that are reachable. */
function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const wasmBytes = (): number => memories.reduce((sum, m) => sum + m.buffer.byteLength, 0);

interface Figures {
  readonly live: number | null;
  readonly cached: number | null;
  readonly pooled: number | null;
  readonly peak: number | null;
  readonly tensors: number | null;
}

const NOTHING: Figures = { live: null, cached: null, pooled: null, peak: null, tensors: null };

/** Where a loop ends at the latest. */
interface Bounds {
  readonly steps: number;
  readonly seconds: number;
  /** Bytes by which the process may grow. */
  readonly bytes: number;
}

/** Runs steps until there are enough or a bound is met; a step is waited for as the loop has it, and the last one in any case. */
async function runLoop(
  awaits: Awaits,
  bounds: Bounds,
  step: (i: number) => { read(): Promise<number> },
  figures: () => Figures,
): Promise<Omit<MemoryOutcome, "library" | "loop" | "device" | "least" | "kept">> {
  const rss0 = process.memoryUsage.rss();
  const begin = performance.now();
  let at20 = NOTHING;
  let rss20 = 0;
  let wasm20 = 0;
  let heap20 = 0;
  let gpu20: number | null = null;
  let done = 0;
  let stopped: MemoryOutcome["stopped"] = null;
  let read: (() => Promise<number>) | null = null;
  while (done < bounds.steps && stopped === null) {
    ({ read } = step(done++));
    if (awaits === "each step" || (awaits === "each 100" && done % 100 === 0)) await read();
    if (done === WARM_STEPS) {
      at20 = figures();
      rss20 = process.memoryUsage.rss();
      heap20 = heapBytes();
      wasm20 = wasmBytes();
      gpu20 = gpuBytes;
    }
    if ((performance.now() - begin) / 1e3 > bounds.seconds) stopped = "seconds";
    else if (done % 100 === 0 && process.memoryUsage.rss() - rss0 > bounds.bytes) stopped = "bytes";
  }
  const end = figures();
  const rest = {
    wasm: wasmBytes(),
    gpu: gpuBytes,
    rss: process.memoryUsage.rss(),
    heap: heapBytes(),
  };
  // Figures are of the loop; that it computed something shows in what comes last.
  const last = await read!();
  return {
    steps: done,
    seconds: (performance.now() - begin) / 1e3,
    stopped: done < bounds.steps ? stopped : null,
    live20: at20.live,
    live: end.live,
    cached20: at20.cached,
    cached: end.cached,
    pooled: end.pooled,
    peak: figures().peak,
    tensors20: at20.tensors,
    tensors: end.tensors,
    wasm20,
    gpu20,
    rss0,
    rss20,
    heap20,
    ...rest,
    failure: Number.isFinite(last) ? null : `the last value is ${last}`,
  };
}

/** A value in a buffer: when it was first and last needed. */
interface Life {
  readonly bytes: number;
  readonly first: number;
  last: number;
}

/**
 * A null backend that notes when each value is first and last needed, whatever else its buffer serves for: the least is what values take
 * together at the worst moment, each from its first to its last use. State that the user has at hand counts as needed until it is replaced:
 * gradients, which can be read, and a parameter's last version, since what was computed from it may still be asked for.
 */
class Tracing extends NullBackend {
  readonly #lives: Life[] = [];
  readonly #current = new Map<DeviceBuffer, Life>();
  readonly #state = new Set<DeviceBuffer>();
  readonly #nodesOf = new Map<Call, readonly { readonly dtype: DType; readonly numel: number }[]>();
  #time = 0;

  /** Hears which values calls are about. */
  listen(): void {
    observeRuns(({ calls, nodesOf }) => {
      calls.forEach((call, i) => this.#nodesOf.set(call, nodesOf[i]!));
      return () => undefined;
    });
  }

  /** Says that a buffer has state. */
  noteState(buffer: DeviceBuffer | null): void {
    if (buffer !== null) this.#state.add(buffer);
  }

  override release(buffer: DeviceBuffer): void {
    const life = this.#current.get(buffer);
    if (life !== undefined && this.#state.has(buffer)) life.last = this.#time;
    this.#current.delete(buffer);
    super.release(buffer);
  }

  // Host data is needed on the device when a kernel reads it, not when it is uploaded.

  override run(calls: readonly Call[]): void {
    for (const call of calls) {
      this.#time++;
      const nodes = this.#nodesOf.get(call);
      this.#nodesOf.delete(call);
      call.buffers.forEach((buffer, i) => {
        const node = nodes?.[i];
        const bytes = node === undefined ? buffer.bytes : this.bytesFor(node.dtype, node.numel);
        this.#use(buffer, bytes, call.program.structure.buffers[i]!.mode === "write");
      });
    }
    super.run(calls);
    this.reset();
  }

  override read(requests: readonly ReadRequest[]): Promise<ReadResult> {
    this.#time++;
    for (const { buffer } of requests) this.#use(buffer, buffer.bytes, false);
    return super.read(requests);
  }

  /** What a kernel writes whole is another value than what was there before. */
  #use(buffer: DeviceBuffer, bytes: number, isNew: boolean): void {
    const life = this.#current.get(buffer);
    if (life !== undefined && !(isNew && life.last < this.#time)) life.last = this.#time;
    else {
      const begun = { bytes, first: this.#time, last: this.#time };
      this.#lives.push(begun);
      this.#current.set(buffer, begun);
    }
  }

  /** The most bytes that were needed at the same time. */
  leastPeak(): number {
    const changes = new Map<number, number>();
    const add = (at: number, bytes: number): void => void changes.set(at, (changes.get(at) ?? 0) + bytes);
    for (const { bytes, first, last } of this.#lives) {
      add(first, bytes);
      add(last + 1, -bytes);
    }
    let now = 0;
    let peak = 0;
    for (const at of [...changes.keys()].sort((a, b) => a - b)) {
      now += changes.get(at)!;
      peak = Math.max(peak, now);
    }
    return peak;
  }
}

/** Steps of the run on the null backend: whole rounds of a loop that waits each 100 steps. Like the peak, the least counts from the first step on. */
const NULL_STEPS = 400;

/** The least memory that a loop needs, as kernels are made on a device with such limits. */
async function leastBytes(id: string, limits: BackendLimits): Promise<number> {
  const loop = LOOPS.find((l) => l.id === id)!;
  const backend = new Tracing(limits);
  setBackend(backend);
  setDefaultBackend(backend);
  backend.listen();
  const { step, parameters } = loop.start(tg);
  for (let i = 0; i < NULL_STEPS; i++) {
    const before = parameters.map((p) => p.impl.storage.node);
    const value = step(i);
    for (const node of before) backend.noteState(node.buffer);
    for (const p of parameters) {
      backend.noteState(p.impl.storage.node.buffer);
      backend.noteState(p.grad?.impl.storage.node.buffer ?? null);
    }
    if (loop.awaits === "each step" || (loop.awaits === "each 100" && i % 100 === 99)) await value.data();
  }
  endBackend(backend);
  observeRuns(null);
  return backend.leastPeak();
}

async function ours(id: string, device: "cpu" | "webgpu", bounds: Bounds): Promise<MemoryOutcome> {
  const loop = LOOPS.find((l) => l.id === id)!;
  await initTapegrad(device, "one");
  const backend = defaultBackend();
  const least = await leastBytes(id, backend.limits);
  setDefaultBackend(backend);
  const { step } = loop.start(tg);
  const figures = (): Figures => {
    const { liveBytes, cachedBytes, pooledBytes, peakBytes, tensors } = tg.memory();
    return { live: liveBytes, cached: cachedBytes, pooled: pooledBytes, peak: peakBytes, tensors };
  };
  tg.resetPeakMemory();
  const result = await runLoop(
    loop.awaits,
    bounds,
    (i) => {
      const value = step(i);
      return { read: async () => (await value.data())[0]! };
    },
    figures,
  );
  const kept = loop.keeps === true ? result.steps : 0;
  return { library: "tapegrad", loop: id, device, least, kept, ...result };
}

const SMALL = mlp(MODEL.layers, MODEL.batch);

async function peer(library: string, device: "cpu" | "webgpu", bounds: Bounds): Promise<MemoryOutcome> {
  if (device === "webgpu") await countGpuBytes(await provideGpu());
  let stepper: Stepper;
  let figures = (): Figures => NOTHING;
  if (library.startsWith("tfjs")) {
    const tf: Tf = device === "cpu" ? await loadTfWasm() : await loadTfGpu();
    stepper = startTfjs(tf, SMALL, startOf(SMALL), !library.includes("without"));
    figures = () => {
      const { numBytes, numTensors } = tf.memory();
      return { ...NOTHING, live: numBytes, tensors: numTensors };
    };
  } else {
    const jax = await loadJax(device === "cpu" ? "wasm" : "webgpu", "one");
    stepper = startJax(jax, SMALL, startOf(SMALL), library.includes("jit"));
  }
  let pending: Promise<void> | void;
  const result = await runLoop(
    "each step",
    bounds,
    (i) => {
      const x = draw({ kind: "normal" }, MODEL.batch * MODEL.layers[0], i + 1);
      const y = draw({ kind: "index", below: 10 }, MODEL.batch, i + 1) as Int32Array;
      pending = stepper.step({ x, y });
      return {
        async read() {
          await pending;
          return stepper.loss();
        },
      };
    },
    figures,
  );
  return { library, loop: "train", device, least: null, kept: 0, ...result };
}

const [library, loop, device, steps, seconds, bytes] = process.argv.slice(2) as [
  string,
  string,
  "cpu" | "webgpu",
  string,
  string,
  string,
];
const bounds: Bounds = { steps: Number(steps), seconds: Number(seconds), bytes: Number(bytes) };
const outcome = library === "tapegrad" ? await ours(loop, device, bounds) : await peer(library, device, bounds);
console.log(JSON.stringify(outcome));
process.exit(0);
