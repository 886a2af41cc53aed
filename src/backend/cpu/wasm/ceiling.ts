/** The most that WebAssembly does here on all threads: copying memory, and multiply-adds of vectors in registers. */

import type { Ceiling } from "../../backend.ts";
import { leastTime } from "../ceiling.ts";
import type { WasmHeap } from "../memory.ts";
import type { SharedProgram, ThreadPool } from "../threads.ts";
import { ModuleBuilder } from "./emitter.ts";
import type { Features } from "./fused.ts";
import { Programs } from "./programs.ts";
import { CONTROL, JOB_HEADER, KIND } from "./tasks.ts";

/** Bytes that are copied, where there is room for them: more than most caches hold. */
const SIZES = [2 ** 25, 2 ** 22, 2 ** 18] as const;
/** Bytes that a task copies. */
const CHUNK = 2 ** 18;
/** Vectors that a turn of the copying loop moves. */
const MOVED = 4;
/** Accumulators: with the two operands, as many vectors as there are registers, or fewer. */
const CHAINS = 12;
/** Turns of the loop in a task, and tasks a thread. */
const TURNS = 4096;
const TASKS = 16;
/** Milliseconds for which workers are waited for. */
const PATIENCE_MS = 500;

/** A function as tasks of the kind `run` call it; of its arguments these count here. */
type Parts = "from" | "row" | "to";

function renderCopy(shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(shared);
  const f = module.function("run", ["i32", "i32", "i32", "i32", "i32", "i32"]);
  const { from, row, to } = { from: f.args[0]!, row: f.args[1]!, to: f.args[5]! } satisfies Record<Parts, unknown>;
  const start = f.op("i32.mul", [row, f.const("i32", CHUNK)]);
  const source = f.op("i32.add", [from, start]);
  const target = f.op("i32.add", [to, start]);
  f.forLoop(f.variable(0), f.const("i32", CHUNK), 16 * MOVED, () => {
    const moved = Array.from({ length: MOVED }, (_, i) => f.op("v128.load", [source], 16 * i));
    moved.forEach((vector, i) => f.effect("v128.store", [target, vector], 16 * i));
    f.add(source, 16 * MOVED);
    f.add(target, 16 * MOVED);
  });
  return module.bytes();
}

function renderMultiplyAdds({ shared, relaxed }: Features): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(shared);
  const f = module.function("run", ["i32", "i32", "i32", "i32", "i32", "i32"]);
  const { from, row, to } = { from: f.args[0]!, row: f.args[1]!, to: f.args[5]! } satisfies Record<Parts, unknown>;
  const factor = f.vector("f32x4", 0.5);
  // Of no value that the compiler knows.
  const term = f.op("i32x4.splat", [row]);
  const chains = Array.from({ length: CHAINS }, () => f.op("v128.load", [to]));
  f.forLoop(f.variable(0), from, 1, () => {
    for (const chain of chains) {
      if (relaxed) f.assign(chain, "f32x4.relaxed_madd", [chain, factor, term]);
      else f.assign(chain, "f32x4.add", [f.op("f32x4.mul", [chain, factor]), term]);
    }
  });
  for (const chain of chains.slice(1)) f.assign(chains[0]!, "f32x4.add", [chains[0]!, chain]);
  f.effect("v128.store", [to, chains[0]!], 0);
  return module.bytes();
}

/** Measures on all threads of the pool; null if there is no memory for it. */
export async function ceilingOfWasm(heap: WasmHeap, pool: ThreadPool, features: Features): Promise<Ceiling | null> {
  const programs = new Programs(heap);
  const copy = programs.get("copy", () => renderCopy(features.shared));
  const multiplyAdds = programs.get("multiply-adds", () => renderMultiplyAdds(features));
  const found = room(heap);
  if (copy === null || multiplyAdds === null || found === null) return null;
  const { address, bytes } = found;
  /** Tasks of one row each; `step` is what lies between the targets of two threads. */
  const run = (program: SharedProgram, from: number, tasks: number, to: number, step: number): void => {
    heap.views.i32.set([from, tasks, 1, 1, 1, 1, to, step], CONTROL.job + JOB_HEADER);
    pool.run(KIND.run, program, tasks, true);
  };
  const round = {
    copy: () => run(copy, address, bytes / CHUNK, address + bytes, 0),
    multiplyAdds: () => run(multiplyAdds, TURNS, TASKS * pool.threads, address, 64),
  };
  try {
    round.copy();
    await workersOf(pool);
    const copied = leastTime(round.copy);
    const multiplied = leastTime(round.multiplyAdds);
    const flops = 2 * 4 * CHAINS * TURNS * TASKS * pool.threads;
    return { bandwidth: (2 * bytes * 1e3) / copied, flops: (flops * 1e3) / multiplied };
  } finally {
    heap.release(address, 2 * bytes);
  }
}

/** Memory for two times so many bytes. */
function room(heap: WasmHeap): { readonly address: number; readonly bytes: number } | null {
  for (const bytes of SIZES) {
    const address = heap.reserve(2 * bytes);
    if (address >= 0) return { address, bytes };
  }
  return null;
}

/** Waits until the workers have started, if they do. */
async function workersOf(pool: ThreadPool): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (pool.workers < pool.threads - 1 && performance.now() < end)
    await new Promise<void>((done) => setTimeout(done, 5));
}
