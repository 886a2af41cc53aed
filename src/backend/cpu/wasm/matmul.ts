/** Batched matrix multiplication over packed panels, in blocks that fit the caches. */

import type { CpuBuffer, WasmHeap } from "../memory.ts";
import type { SharedProgram, ThreadPool } from "../threads.ts";
import type { Features } from "./fused.ts";
import { TILE_ROWS, renderGemm, tileColumns, type GemmType } from "./gemm.ts";
import { Programs } from "./programs.ts";
import { CONTROL, JOB_HEADER, KIND } from "./tasks.ts";

/** Blocks of the operands: a panel of B stays in the first cache, a block of A in the second. */
const BLOCK_K = 256;
const BLOCK_ROWS = 16 * TILE_ROWS;
const BLOCK_COLUMNS = 2048;

/** A matrix in memory: first byte, and strides in bytes. */
interface Matrix {
  readonly address: number;
  readonly row: number;
  readonly column: number;
}

/** One product: C is contiguous. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Matrix;
  readonly b: Matrix;
  readonly c: number;
}

/** The products of a `matmul` routine's numbers (see `kernel.ts`), of which those with a common B over stacked rows are joined. */
export function productsOf(
  ints: readonly number[],
  rank: number,
  item: number,
  [a, b, c]: readonly CpuBuffer[],
): Product[] {
  let m = ints[0]!;
  const [, n, k] = ints as [number, number, number];
  let sizes = ints.slice(3, 3 + rank);
  const [offsetA, rowA, columnA] = ints.slice(3 + rank) as [number, number, number];
  let batchA = ints.slice(6 + rank, 6 + 2 * rank);
  const [offsetB, rowB, columnB] = ints.slice(6 + 2 * rank) as [number, number, number];
  let batchB = ints.slice(9 + 2 * rank);
  while (sizes.length > 0 && batchB[sizes.length - 1] === 0 && batchA[sizes.length - 1] === m * rowA) {
    m *= sizes[sizes.length - 1]!;
    sizes = sizes.slice(0, -1);
    batchA = batchA.slice(0, -1);
    batchB = batchB.slice(0, -1);
  }
  const count = sizes.reduce((product, size) => product * size, 1);
  const products: Product[] = [];
  for (let i = 0; i < count; i++) {
    let rest = i;
    let atA = offsetA;
    let atB = offsetB;
    for (let d = sizes.length - 1; d >= 0; d--) {
      const coordinate = rest % sizes[d]!;
      rest = Math.floor(rest / sizes[d]!);
      atA += coordinate * batchA[d]!;
      atB += coordinate * batchB[d]!;
    }
    products.push({
      m,
      n,
      k,
      a: { address: a!.address + atA * item, row: rowA * item, column: columnA * item },
      b: { address: b!.address + atB * item, row: rowB * item, column: columnB * item },
      c: c!.address + i * m * n * item,
    });
  }
  return products;
}

function up(x: number, to: number): number {
  return Math.ceil(x / to) * to;
}

/** Fewest rows of a task of several, and what a task costs beside its rows, in rows. */
const LEAST_ROWS = 6 * TILE_ROWS;
const COST_OF_TASK = 3;

/** Rows that a task takes, so that threads that each take the next one end together. */
export function rowsOfTask(m: number, threads: number): number {
  let best = BLOCK_ROWS;
  if (threads > 1) {
    let soonest = Infinity;
    for (let rows = BLOCK_ROWS; rows >= LEAST_ROWS; rows -= TILE_ROWS) {
      // All tasks are equal but for the last, which a thread takes that is free first.
      const whole = Math.floor(m / rows);
      const rest = m - whole * rows;
      const each = rows + COST_OF_TASK;
      const behind = Math.max(whole % threads > 0 ? each : 0, rest > 0 ? rest + COST_OF_TASK : 0);
      const end = Math.floor(whole / threads) * each + behind;
      if (end < soonest) [best, soonest] = [rows, end];
    }
  }
  return Math.min(best, up(Math.ceil(m / Math.ceil(m / best)), TILE_ROWS));
}

/** From how many multiply-adds on threads are worth it. */
const LARGE = 2 ** 20;
/** Bytes of scratch for one tile, before the packed A of a thread. */
const TILE_BYTES = 512;
/** Columns that one task packs. */
const PACK_COLUMNS = 256;

/** Matrix products on the threads of a pool. */
export class Multiplier {
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

  /** Computes products of equal sizes; false if the code for it is not there yet. */
  run(type: GemmType, products: readonly Product[]): boolean {
    const program = this.#programs.get(type, () => renderGemm(type, this.#features));
    if (program === null) return false;
    const { m, n, k } = products[0]!;
    const work = m * n * k * products.length;
    const item = type === "float64" ? 8 : 4;
    if (products.length > 1 && m * n * k < 64 * LARGE) this.#batch(program, type, item, products, work >= LARGE);
    else for (const product of products) this.#one(program, type, item, product, m * n * k >= LARGE);
    return true;
  }

  #words(words: readonly number[]): void {
    this.#heap.views.i32.set(words, CONTROL.job + JOB_HEADER);
  }

  /** One product: panels of B are packed for all, then every task has rows of C. */
  #one(program: SharedProgram, type: GemmType, item: number, { m, n, k, a, b, c }: Product, large: boolean): void {
    const depth = Math.min(k, BLOCK_K);
    const columns = Math.min(n, BLOCK_COLUMNS);
    const rows = rowsOfTask(m, large ? this.#pool.threads : 1);
    const bytesB = up(up(columns, tileColumns(type)) * depth * item, 64);
    const bytesA = up(rows * depth * item, 64) + TILE_BYTES;
    const scratch = this.#heap.scratch(bytesB + bytesA * this.#pool.threads);
    for (let j = 0; j < n; j += columns) {
      const width = Math.min(n - j, columns);
      for (let q = 0; q < k; q += depth) {
        const height = Math.min(k - q, depth);
        const sourceB = b.address + j * b.column + q * b.row;
        this.#words([sourceB, b.column, b.row, width, height, scratch.address, PACK_COLUMNS, item]);
        this.#pool.run(KIND.pack, program, Math.ceil(width / PACK_COLUMNS), large);
        this.#words([
          a.address + q * a.column,
          a.row,
          a.column,
          m,
          width,
          height,
          scratch.address,
          c + j * item,
          n * item,
          q > 0 ? 1 : 0,
          rows,
          scratch.address + bytesB,
          bytesA,
        ]);
        this.#pool.run(KIND.gemm, program, Math.ceil(m / rows), large);
      }
    }
    this.#heap.release(scratch.address, scratch.bytes);
  }

  /** Many small products: every task is one of them. */
  #batch(program: SharedProgram, type: GemmType, item: number, products: readonly Product[], large: boolean): void {
    const { m, n, k, a, b } = products[0]!;
    const depth = Math.min(k, BLOCK_K);
    const columns = Math.min(n, BLOCK_COLUMNS);
    const rows = Math.min(up(m, TILE_ROWS), BLOCK_ROWS);
    const bytesA = up(rows * depth * item, 64);
    const bytesB = up(up(columns, tileColumns(type)) * depth * item, 64);
    const perThread = TILE_BYTES + bytesA + bytesB;
    const listBytes = up(products.length * 12, 64);
    const scratch = this.#heap.scratch(listBytes + perThread * this.#pool.threads);
    const { i32 } = this.#heap.views;
    products.forEach((p, i) => i32.set([p.a.address, p.b.address, p.c], (scratch.address >>> 2) + 3 * i));
    this.#words([
      scratch.address,
      a.row,
      a.column,
      b.row,
      b.column,
      m,
      n,
      k,
      item,
      rows,
      columns,
      depth,
      scratch.address + listBytes,
      perThread,
      bytesA,
      bytesB,
    ]);
    this.#pool.run(KIND.batch, program, products.length, large);
    this.#heap.release(scratch.address, scratch.bytes);
  }
}
