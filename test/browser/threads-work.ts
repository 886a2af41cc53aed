/** What threads.ts does in the page and threads-worker.ts in a worker: large kernels on the CPU until all threads are there, and then once more. */

import * as tg from "#tapegrad";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { backendOf } from "../../src/graph/devices.ts";

export interface ThreadReport {
  readonly description: string;
  readonly isIsolated: boolean;
  /** Whether this thread may sleep: a page's main thread may not. */
  readonly maySleep: boolean;
  /** Workers that have started. */
  readonly workers: number;
  /** A product, a softmax and a sum: one thread's, then all threads'. */
  readonly one: readonly number[];
  readonly all: readonly number[];
  /** Whether the workers were gone when asked to end. */
  readonly ended: boolean;
}

const THREADS = 3;

async function compute(): Promise<number[]> {
  tg.manualSeed(5);
  const [a, b] = [tg.randn([256, 300]), tg.randn([300, 512])];
  const product = a.matmul(b);
  const rows = product.softmax(1);
  const read = [
    product.slice(0, 3, 4),
    rows.slice(0, 250, 251),
    tg
      .randn([2 ** 20])
      .exp()
      .sum()
      .reshape([1]),
  ];
  const arrays = await Promise.all(read.map((t) => t.reshape([-1]).data()));
  return arrays.flatMap((array) => Array.from(array));
}

function canSleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    return true;
  } catch {
    return false;
  }
}

/** Runs everything, on one thread and then on several. */
export async function work(): Promise<ThreadReport> {
  await tg.init({ device: "cpu", threads: 1 });
  const one = await compute();
  const { description } = await tg.init({ device: "cpu", threads: THREADS });
  const backend = backendOf("cpu");
  if (!(backend instanceof CpuBackend)) throw new Error("the CPU device is of another kind");
  const wanted = globalThis.crossOriginIsolated ? THREADS - 1 : 0;
  for (let i = 0; i < 500 && backend.workers < wanted; i++) {
    await tg
      .ones(2 ** 20)
      .exp()
      .sum()
      .item();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const { workers } = backend;
  let all: number[] = [];
  for (let i = 0; i < 20; i++) all = await compute();
  backend.stopThreads();
  const ended = backend.workers === 0;
  const isIsolated = globalThis.crossOriginIsolated;
  return { description, isIsolated, maySleep: canSleep(), workers, one, all, ended };
}
