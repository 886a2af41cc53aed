/**
 * One loop of the memory report, in a process of its own (with `--expose-gc`): `child.ts <library> <loop> <device> <steps> <seconds>`. Prints
 * one line of JSON.
 */

import * as tg from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import type { BackendLimits, Call, DeviceBuffer, ReadRequest, ReadResult } from "../../src/backend/backend.ts";
import { defaultBackend, endBackend, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import type { DType, HostArray } from "../../src/dtype.ts";
import { draw } from "../support/random.ts";
import { loadJax, loadTfWasm } from "../support/peers.ts";
import { initTapegrad } from "../subjects/all.ts";
import { startJax } from "../training/jax.ts";
import { mlp, startOf, type Stepper } from "../training/model.ts";
import { startTfjs } from "../training/tfjs.ts";
import { LOOPS, type Awaits } from "./loops.ts";

/** What a loop leaves behind. */
export interface MemoryOutcome {
  readonly library: string;
  readonly loop: string;
  readonly device: string;
  readonly steps: number;
  readonly seconds: number;
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

/** Runs steps until there are enough or the time is over; a step is waited for as the loop has it. */
async function runLoop(
  awaits: Awaits,
  steps: number,
  seconds: number,
  step: (i: number) => { read(): Promise<unknown> },
  figures: () => Figures,
): Promise<Omit<MemoryOutcome, "library" | "loop" | "device" | "least" | "kept" | "failure">> {
  const rss0 = process.memoryUsage.rss();
  const begin = performance.now();
  let at20 = NOTHING;
  let rss20 = 0;
  let wasm20 = 0;
  let heap20 = 0;
  let done = 0;
  while (done < steps && (performance.now() - begin) / 1e3 < seconds) {
    const { read } = step(done++);
    if (awaits === "each step" || (awaits === "each 100" && done % 100 === 0)) await read();
    if (done === WARM_STEPS) {
      at20 = figures();
      rss20 = process.memoryUsage.rss();
      heap20 = heapBytes();
      wasm20 = wasmBytes();
    }
  }
  const end = figures();
  const elapsed = (performance.now() - begin) / 1e3;
  return {
    steps: done,
    seconds: elapsed,
    live20: at20.live,
    live: end.live,
    cached20: at20.cached,
    cached: end.cached,
    pooled: end.pooled,
    peak: end.peak,
    tensors20: at20.tensors,
    tensors: end.tensors,
    wasm20,
    wasm: wasmBytes(),
    rss0,
    rss20,
    rss: process.memoryUsage.rss(),
    heap20,
    heap: heapBytes(),
  };
}

/**
 * A null backend that notes when each buffer is first and last needed: the least is what they take together at the worst moment, each from its first to
 * its last use. A parameter's last version counts as needed until the next step, since what was computed from it may still be asked for.
 */
class Tracing extends NullBackend {
  readonly #first = new Map<DeviceBuffer, number>();
  readonly #last = new Map<DeviceBuffer, number>();
  readonly #parameters = new Set<DeviceBuffer>();
  time = 0;

  #use(buffer: DeviceBuffer): void {
    if (!this.#first.has(buffer)) this.#first.set(buffer, this.time);
    this.#last.set(buffer, this.time);
  }

  /** Says that a buffer has values of parameters. */
  noteParameter(buffer: DeviceBuffer | null): void {
    if (buffer !== null) this.#parameters.add(buffer);
  }

  override release(buffer: DeviceBuffer): void {
    if (this.#parameters.has(buffer)) this.#last.set(buffer, this.time);
    super.release(buffer);
  }

  override upload(buffer: DeviceBuffer, dtype: DType, data: HostArray): void {
    // Host data is needed on the device when a kernel reads it, not before.
    super.upload(buffer, dtype, data);
  }

  override run(calls: readonly Call[]): void {
    for (const call of calls) {
      this.time++;
      for (const buffer of call.buffers) this.#use(buffer);
    }
    super.run(calls);
    this.reset();
  }

  override read(requests: readonly ReadRequest[]): Promise<ReadResult> {
    this.time++;
    for (const { buffer } of requests) this.#use(buffer);
    return super.read(requests);
  }

  /** The most bytes that were needed at the same time. */
  leastPeak(): number {
    const changes = new Map<number, number>();
    const add = (at: number, bytes: number): void => void changes.set(at, (changes.get(at) ?? 0) + bytes);
    for (const [buffer, first] of this.#first) {
      const last = this.#last.get(buffer)!;
      add(first, buffer.bytes);
      add(last + 1, -buffer.bytes);
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
  const { step, parameters } = loop.start(tg);
  for (let i = 0; i < NULL_STEPS; i++) {
    const value = step(i);
    for (const p of parameters) backend.noteParameter(p.impl.storage.node.buffer);
    if (loop.awaits === "each step" || (loop.awaits === "each 100" && i % 100 === 99)) await value.data();
  }
  endBackend(backend);
  return backend.leastPeak();
}

async function ours(id: string, device: "cpu" | "webgpu", steps: number, seconds: number): Promise<MemoryOutcome> {
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
    steps,
    seconds,
    (i) => {
      const value = step(i);
      return { read: () => value.data() };
    },
    figures,
  );
  const kept = loop.keeps === true ? result.steps : 0;
  return { library: "tapegrad", loop: id, device, least, kept, failure: null, ...result };
}

const SMALL = mlp([64, 128, 10], 64);

async function peer(library: string, steps: number, seconds: number): Promise<MemoryOutcome> {
  let stepper: Stepper;
  let figures = (): Figures => NOTHING;
  if (library.startsWith("tfjs")) {
    const tf = await loadTfWasm();
    stepper = startTfjs(tf, SMALL, startOf(SMALL), !library.includes("without"));
    figures = () => {
      const { numBytes, numTensors } = tf.memory();
      return { ...NOTHING, live: numBytes, tensors: numTensors };
    };
  } else {
    const jax = await loadJax("wasm", "one");
    stepper = startJax(jax, SMALL, startOf(SMALL), library.includes("jit"));
  }
  let pending: Promise<void> | void;
  const result = await runLoop(
    "each step",
    steps,
    seconds,
    (i) => {
      const x = draw({ kind: "normal" }, 64 * 64, i + 1);
      const y = draw({ kind: "index", below: 10 }, 64, i + 1) as Int32Array;
      pending = stepper.step({ x, y });
      return {
        async read() {
          await pending;
          await stepper.loss();
        },
      };
    },
    figures,
  );
  return { library, loop: "train", device: "cpu", least: null, kept: 0, failure: null, ...result };
}

const [library, loop, device, steps, seconds] = process.argv.slice(2) as [
  string,
  string,
  "cpu" | "webgpu",
  string,
  string,
];
const outcome =
  library === "tapegrad"
    ? await ours(loop, device, Number(steps), Number(seconds))
    : await peer(library, Number(steps), Number(seconds));
console.log(JSON.stringify(outcome));
process.exit(0);
