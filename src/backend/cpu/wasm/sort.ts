/** The routine `sort` on the threads of a pool: rows as tasks, each sorted whole, or read once for its first elements. */

import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import type { CpuBuffer, WasmHeap } from "../memory.ts";
import type { ThreadPool } from "../threads.ts";
import type { Features } from "./fused.ts";
import { Programs } from "./programs.ts";
import { RECORD_SLACK, counterBytes, recordBytes, renderSort } from "./sort-code.ts";
import { CONTROL, JOB_HEADER, KIND } from "./tasks.ts";

/** Elements of the rows of a task, about. */
const ELEMENTS_A_TASK = 16384;
/** Elements from which on threads are worth it. */
const LARGE = 2 ** 15;
/** Candidates for the first elements of a row that are kept before they are sorted, at least, and for each element wanted. */
const LEAST_CANDIDATES = 1024;
const CANDIDATES_EACH = 4;

/** Sorts rows over a heap. */
export class Sorter {
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

  /** Runs the routine `sort` of kernel.ts; false if the code for it is not there yet. */
  run(
    dtype: DType,
    descending: boolean,
    rank: number,
    ints: readonly number[],
    [input, out]: readonly CpuBuffer[],
  ): boolean {
    const length = ints[0]!;
    const sizes = ints.slice(1, 1 + rank);
    const step = ints[1 + rank]!;
    const strides = ints.slice(2 + rank, 2 + 2 * rank);
    const offset = ints[2 + 2 * rank]!;
    const wanted = ints[3 + 2 * rank] ?? length;
    const rows = sizes.reduce((a, b) => a * b, 1);
    if (rows * wanted === 0) return true;
    const program = this.#programs.get(dtype, () => renderSort(dtype, this.#features));
    if (program === null) return false;
    const item = ITEM_SIZE[dtype];
    const record = recordBytes(dtype);
    const capacity = Math.min(length, Math.max(LEAST_CANDIDATES, CANDIDATES_EACH * wanted));
    const half = Math.ceil(((capacity + RECORD_SLACK) * record) / 64) * 64;
    const perThread = 64 + counterBytes(dtype) + 2 * half;
    const rowsEach = Math.max(1, Math.min(rows, Math.floor(ELEMENTS_A_TASK / length)));
    const large = rows * length >= LARGE;
    const tasks = Math.ceil(rows / rowsEach);
    const threads = large && tasks > 1 ? this.#pool.threads : 1;
    const scratch = this.#heap.scratch(perThread * threads);
    const words = [
      input!.address + offset * item,
      step * item,
      length,
      wanted,
      out!.address,
      descending ? -1 : 0,
      rank,
      rows,
      rowsEach,
      scratch.address,
      perThread,
      capacity,
      record,
      counterBytes(dtype),
      half,
      ...sizes,
      ...strides.map((s) => s * item),
    ];
    this.#heap.views.i32.set(words, CONTROL.job + JOB_HEADER);
    this.#pool.run(KIND.sort, program, tasks, large);
    this.#heap.release(scratch.address, scratch.bytes);
    return true;
  }
}
