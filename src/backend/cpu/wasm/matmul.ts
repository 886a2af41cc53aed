/** Batched matrix multiplication over packed panels, in blocks that fit the caches. */

import type { CpuBuffer } from "../memory.ts";
import { TILE_ROWS, tileColumns, type GemmType } from "./gemm.ts";

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

/** Functions of the module, see `renderGemm`. */
export interface GemmEntries {
  packRows(source: number, across: number, along: number, count: number, k: number, target: number): void;
  packColumns(source: number, across: number, along: number, count: number, k: number, target: number): void;
  multiply(
    a: number,
    b: number,
    c: number,
    stride: number,
    m: number,
    n: number,
    k: number,
    accumulate: number,
    tile: number,
  ): void;
}

/** Bytes of scratch that products of a size need: packed A, packed B and a tile. */
export function scratchBytes(type: GemmType, p: Product): { a: number; b: number; total: number } {
  const item = type === "float64" ? 8 : 4;
  const width = tileColumns(type);
  const up = (x: number, to: number): number => Math.ceil(x / to) * to;
  const k = Math.min(p.k, BLOCK_K);
  const a = up(up(Math.min(p.m, BLOCK_ROWS), TILE_ROWS) * k * item, 64);
  const b = up(up(Math.min(p.n, BLOCK_COLUMNS), width) * k * item, 64);
  return { a, b, total: a + b + 512 };
}

/** Computes one product with scratch memory at an address. */
export function multiply(entries: GemmEntries, type: GemmType, p: Product, scratch: number): void {
  const item = type === "float64" ? 8 : 4;
  const { m, n, k, a, b, c } = p;
  const bytes = scratchBytes(type, p);
  const [packedA, packedB, tile] = [scratch, scratch + bytes.a, scratch + bytes.a + bytes.b];
  for (let j = 0; j < n; j += BLOCK_COLUMNS) {
    const columns = Math.min(n - j, BLOCK_COLUMNS);
    for (let q = 0; q < k; q += BLOCK_K) {
      const depth = Math.min(k - q, BLOCK_K);
      entries.packColumns(b.address + j * b.column + q * b.row, b.column, b.row, columns, depth, packedB);
      for (let i = 0; i < m; i += BLOCK_ROWS) {
        const rows = Math.min(m - i, BLOCK_ROWS);
        entries.packRows(a.address + i * a.row + q * a.column, a.row, a.column, rows, depth, packedA);
        const out = c + (i * n + j) * item;
        entries.multiply(packedA, packedB, out, n * item, rows, columns, depth, q > 0 ? 1 : 0, tile);
      }
    }
  }
}
