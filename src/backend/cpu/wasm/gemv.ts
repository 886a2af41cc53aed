/** Products of float32 vectors and matrices on the threads of a pool. */

import type { WasmHeap } from "../memory.ts";
import type { ThreadPool } from "../threads.ts";
import type { Features } from "./fused.ts";
import { renderGemv } from "./gemv-code.ts";
import type { Product } from "./matmul.ts";
import { Programs } from "./programs.ts";
import { CONTROL, JOB_HEADER, KIND } from "./tasks.ts";

/** Elements of a matrix that is worth it. */
export const LEAST_ELEMENTS = 2 ** 12;
/** Elements of rows that lie along the terms that a task takes, about. */
const ELEMENTS_A_TASK = 2 ** 18;
/** Columns that a task takes otherwise: many, as they are read row by row; their sums stay in the first cache. */
const COLUMNS_A_TASK = 2048;
/** Elements from which on threads are worth it. */
const LARGE = 2 ** 20;
/** Fewer rows than these are sums of one long row, which threads share. */
const LEAST_ROWS = 4;

const ITEM = 4;

/** The matrix of a product with a vector: dense along the terms of the sums, or across them. */
interface Vectors {
  readonly x: number;
  readonly step: number;
  readonly matrix: number;
  /** Bytes from one row in memory to the next. */
  readonly row: number;
  readonly along: boolean;
  readonly terms: number;
  readonly count: number;
}

function vectorsOf({ m, n, k, a, b }: Product): Vectors | null {
  const [x, step, across, along, matrix, count] =
    m === 1 ? [a.address, a.column, b.column, b.row, b.address, n] : [b.address, b.row, a.row, a.column, a.address, m];
  if (count < LEAST_ROWS) return null;
  const common = { x, step, matrix, terms: k, count };
  if (along === ITEM && step === ITEM) return { ...common, row: across, along: true };
  return across === ITEM ? { ...common, row: along, along: false } : null;
}

/** Multiplies vectors and matrices. */
export class VectorMultiplier {
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

  /** Computes products of equal sizes, m or n of which is 1; false if they are not for this, or the code is not there yet. */
  run(products: readonly Product[]): boolean {
    const lists = products.map(vectorsOf);
    if (lists.includes(null)) return false;
    const program = this.#programs.get("gemv", () => renderGemv(this.#features));
    if (program === null) return false;
    const { terms, count } = lists[0]!;
    const large = terms * count >= LARGE;
    const rows = Math.max(16, Math.ceil(ELEMENTS_A_TASK / terms / 16) * 16);
    const each = Math.min(count, lists[0]!.along ? rows : COLUMNS_A_TASK);
    const bytes = Math.ceil(each / 16) * 16 * ITEM;
    const scratch = this.#heap.scratch(bytes * this.#pool.threads);
    lists.forEach((list, i) => {
      const { x, step, matrix, row, along } = list!;
      const words = [x, step, matrix, row, terms, count, products[i]!.c, each, along ? 1 : 0, scratch.address, bytes];
      this.#heap.views.i32.set(words, CONTROL.job + JOB_HEADER);
      this.#pool.run(KIND.gemv, program, Math.ceil(count / each), large);
    });
    this.#heap.release(scratch.address, scratch.bytes);
    return true;
  }
}
