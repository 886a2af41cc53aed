/** The routine `scan` on the threads of a pool. */

import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import type { CpuBuffer, WasmHeap } from "../memory.ts";
import type { ThreadPool } from "../threads.ts";
import type { Features } from "./fused.ts";
import { Programs } from "./programs.ts";
import { ACROSS_BYTES, renderScan, type ScanKind } from "./scan-code.ts";
import { CONTROL, JOB_HEADER, KIND } from "./tasks.ts";

/** Elements of a task, about. */
const ELEMENTS_A_TASK = 65536;
/** Elements from which on threads are worth it. */
const LARGE = 2 ** 18;
/** Neighbouring rows that are walked together, at least and at most. */
const LEAST_WIDTH = 4;
const MOST_WIDTH = 512;

/** Scans rows over a heap. */
export class Scanner {
  readonly #heap: WasmHeap;
  readonly #pool: ThreadPool;
  readonly #features: Features;
  readonly #programs: Programs;

  constructor(heap: WasmHeap, pool: ThreadPool, features: Features) {
    this.#heap = heap;
    this.#pool = pool;
    this.#features = features;
    this.#programs = new Programs(heap);
  }

  /** Runs the routine `scan` of kernel.ts; false if the code for it is not there yet. */
  run(dtype: DType, kind: ScanKind, rank: number, ints: readonly number[], buffers: readonly CpuBuffer[]): boolean {
    const length = ints[0]!;
    let sizes = ints.slice(1, 1 + rank);
    const step = ints[1 + rank]!;
    let strides = ints.slice(2 + rank, 2 + 2 * rank);
    const offset = ints[2 + 2 * rank]!;
    const stepOut = ints[3 + 2 * rank]!;
    let stridesOut = ints.slice(4 + 2 * rank, 4 + 3 * rank);
    const offsetOut = ints[4 + 3 * rank]!;
    const elements = sizes.reduce((a, b) => a * b, length);
    if (elements === 0) return true;
    const program = this.#programs.get(`${dtype}:${kind}`, () => renderScan(dtype, kind, this.#features));
    if (program === null) return false;
    const item = ITEM_SIZE[dtype];
    // Rows that lie side by side are walked together, unless their own elements do.
    let width = 1;
    if (step !== 1 || stepOut !== 1) {
      const beside = sizes.findIndex((size, d) => size >= LEAST_WIDTH && strides[d] === 1 && stridesOut[d] === 1);
      if (beside >= 0) {
        width = sizes[beside]!;
        const without = (list: readonly number[]): number[] => list.filter((_, d) => d !== beside);
        [sizes, strides, stridesOut] = [without(sizes), without(strides), without(stridesOut)];
      }
    }
    const widthEach = Math.min(
      width,
      Math.max(64, Math.min(MOST_WIDTH, Math.ceil(ELEMENTS_A_TASK / length / 64) * 64)),
    );
    const blocks = Math.ceil(width / widthEach);
    const rows = sizes.reduce((a, b) => a * b, 1);
    const rowsEach = Math.max(1, Math.min(rows, Math.floor(ELEMENTS_A_TASK / (length * widthEach))));
    const bytes = width > 1 ? Math.ceil(widthEach / 4) * 4 * ACROSS_BYTES : 0;
    const scratch = bytes > 0 ? this.#heap.scratch(bytes * this.#pool.threads) : null;
    const words = [
      buffers[0]!.address + offset * item,
      step * item,
      buffers[1]!.address + offsetOut * item,
      stepOut * item,
      length,
      width,
      widthEach,
      blocks,
      sizes.length,
      rows,
      rowsEach,
      scratch?.address ?? 0,
      bytes,
      item,
      ...sizes,
      ...strides.map((s) => s * item),
      ...stridesOut.map((s) => s * item),
    ];
    this.#heap.views.i32.set(words, CONTROL.job + JOB_HEADER);
    this.#pool.run(KIND.scan, program, Math.ceil(rows / rowsEach) * blocks, elements >= LARGE);
    if (scratch !== null) this.#heap.release(scratch.address, scratch.bytes);
    return true;
  }
}
