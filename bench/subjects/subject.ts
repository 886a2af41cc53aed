/** What is compared: a library on a device, behind one small interface. */

import type { HostArray } from "../support/random.ts";
import { toHalf } from "../support/half.ts";
import { draw } from "../support/random.ts";
import { product, type FloatType, type OpName, type TaskOf, type Workload } from "../workloads/workload.ts";

export type Device = "cpu" | "webgpu";

/** A library on a device, in one of its ways of working. */
export interface Subject {
  /** Unique: "tapegrad", "jax-js jit". */
  readonly name: string;
  /** Whose it is: subjects of one library compete together as one peer. */
  readonly library: "tapegrad" | "tfjs" | "jax-js" | "onnxruntime" | "pytorch";
  readonly device: Device;
  readonly version: string;
  /** Threads that it computes with, where that is the CPU. */
  readonly threads: number;
  /** What a reader has to know about its figures. */
  readonly note?: string;
  /** Compiled native code of another world: shown as what is possible, not competed with. */
  readonly isCeiling?: boolean;
  /** Makes it ready for a workload, or says why it cannot run it. */
  prepare(workload: Workload): Promise<Instance | { readonly missing: string }>;
  close?(): void;
}

/** What a run brings back. */
export interface RunResult {
  readonly value: number;
  /** Its own measure of the time, where the caller's would count the way there and back as well (another process). */
  readonly seconds?: number;
}

/** A subject ready to run one workload. */
export interface Instance {
  /** Puts inputs on the device, in the place of those before; they are there when the promise resolves. */
  load(inputs: readonly HostArray[]): Promise<void>;
  /** Runs `repeat` times, all results computed, and reads a number back from the last result. */
  run(repeat: number): Promise<RunResult>;
  /** All results of one run. */
  outputs(): Promise<Float32Array[]>;
  /** Gives the inputs back. */
  unload(): void;
  close?(): void;
}

/** An operation of a library: from inputs to results, or the reason why there is none. */
export type Operation<T, K extends OpName> =
  ((inputs: readonly T[], task: TaskOf<K>, workload: Workload) => readonly T[]) | string;

export type Operations<T> = { readonly [K in OpName]: Operation<T, K> };

/** What the tensor libraries have in common. `T` is a tensor of theirs. */
export interface Library<T> {
  readonly operations: Operations<T>;
  /** Float32Arrays become tensors of `dtype`. */
  upload(data: HostArray, shape: readonly number[], dtype: FloatType): T;
  /** Types of its tensors, if not all. */
  readonly dtypes?: readonly FloatType[];
  /** Waits until values are where they are computed with. */
  touch(tensors: readonly T[]): Promise<void>;
  /** Turns an operation of the table into what is called again and again (compiles it, frees what is in between). */
  wrap?(run: (inputs: readonly T[]) => readonly T[]): (inputs: readonly T[]) => readonly T[];
  /** Called after each run: gets it under way. */
  start?(results: readonly T[]): void;
  /** Waits for all runs and reads one element of the last. */
  probe(runs: readonly (readonly T[])[]): Promise<number>;
  read(tensor: T): Promise<Float32Array>;
  free(tensors: readonly T[]): void;
  /** Puts inputs into the layout that the library computes in, and results back. */
  readonly layout?: {
    toOwn(tensors: readonly T[], workload: Workload): readonly T[];
    fromOwn(tensors: readonly T[], workload: Workload): readonly T[];
  };
}

/** A workload on a tensor library. */
export function instanceOf<T>(library: Library<T>, workload: Workload): Instance | { readonly missing: string } {
  const operation = library.operations[workload.task.op] as Operation<T, OpName>;
  if (typeof operation === "string") return { missing: operation };
  const { dtype = "float32" } = workload;
  if (library.dtypes?.includes(dtype) === false) return { missing: `no ${dtype}` };
  const plain = (inputs: readonly T[]): readonly T[] => operation(inputs, workload.task, workload);
  const call = library.wrap?.(plain) ?? plain;
  let inputs: readonly T[] = [];
  const unload = (): void => {
    library.free(inputs);
    inputs = [];
  };
  return {
    async load(arrays) {
      unload();
      const given = arrays.map((data, i) => library.upload(data, workload.inputs[i]!.shape, dtype));
      inputs = library.layout?.toOwn(given, workload) ?? given;
      await library.touch(inputs);
    },
    async run(repeat) {
      const runs: (readonly T[])[] = [];
      for (let i = 0; i < repeat; i++) {
        const results = call(inputs);
        library.start?.(results);
        runs.push(results);
      }
      const value = await library.probe(runs);
      for (const results of runs) library.free(results);
      return { value };
    },
    async outputs() {
      const own = call(inputs);
      const results = library.layout?.fromOwn(own, workload) ?? own;
      const arrays: Float32Array[] = [];
      for (const t of results) arrays.push(await library.read(t));
      library.free(results);
      return arrays;
    },
    unload,
  };
}

/** Inputs of a workload, of values that its type has; every `seed` gives others. */
export function drawInputs(workload: Workload, seed: number): HostArray[] {
  return workload.inputs.map(({ shape, distribution }, i) => {
    const data = draw(distribution, product(shape), 1000 * seed + i + 1);
    return workload.dtype === "float16" && data instanceof Float32Array ? Float32Array.from(toHalf(data)) : data;
  });
}

/** The message of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n")[0]!.slice(0, 160);
}
