/** Matrix products on the CPU: every layout and dtype, edges of tiles and blocks, batches, against sums in float64. */

import { describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import type { DType } from "../../src/dtype.ts";
import { bufferOf, callOf, elements, routine } from "../support/kernels.ts";
import { numbers } from "../support/webgpu.ts";

const wasm = new CpuBackend();
const plain = new CpuBackend({ wasm: false });

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Batch sizes, and which operand each of them repeats. */
  readonly batch?: readonly number[];
  readonly shared?: "a" | "b";
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Distance of neighbouring elements. */
  readonly gap?: number;
}

async function product(backend: CpuBackend, dtype: DType, c: Case): Promise<{ got: number[]; want: number[] }> {
  const { m, n, k, batch = [], shared, transposeA = false, transposeB = false, gap = 1 } = c;
  const next = numbers(3);
  const count = batch.reduce((p, size) => p * size, 1);
  const value = (): number =>
    dtype === "int32"
      ? Math.floor(next() * 2 ** 32) | 0
      : dtype === "uint8"
        ? Math.floor(next() * 256)
        : Math.fround(next() - 0.5);
  const a = Array.from({ length: count * m * k * gap + 3 }, value);
  const b = Array.from({ length: count * k * n * gap + 5 }, value);
  const [rowA, columnA] = transposeA ? [gap, m * gap] : [k * gap, gap];
  const [rowB, columnB] = transposeB ? [gap, k * gap] : [n * gap, gap];
  const strides = (size: number, constant: boolean): number[] =>
    batch.map((_, d) => (constant ? 0 : size * gap * batch.slice(d + 1).reduce((p, s) => p * s, 1)));
  const [batchA, batchB] = [strides(m * k, shared === "a"), strides(k * n, shared === "b")];
  const ints = [m, n, k, ...batch, 3, rowA, columnA, ...batchA, 5, rowB, columnB, ...batchB];
  const structure = routine("matmul", { rank: batch.length }, [
    { dtype, mode: "read" },
    { dtype, mode: "read" },
    { dtype, mode: "write" },
  ]);
  const buffers = [bufferOf(backend, dtype, a), bufferOf(backend, dtype, b)];
  const out = bufferOf(backend, dtype, new Array<number>(Math.max(count * m * n, 1)).fill(9));
  backend.run([callOf(backend, structure, { ints, scalars: [] }, [...buffers, out])]);
  const got = await elements(backend, out, dtype, count * m * n);
  for (const buffer of [...buffers, out]) backend.release(buffer);
  const want: number[] = [];
  const dim = batch.length;
  for (let i = 0; i < count; i++) {
    let rest = i;
    let [atA, atB] = [3, 5];
    for (let d = dim - 1; d >= 0; d--) {
      atA += (rest % batch[d]!) * batchA[d]!;
      atB += (rest % batch[d]!) * batchB[d]!;
      rest = Math.floor(rest / batch[d]!);
    }
    for (let r = 0; r < m; r++)
      for (let s = 0; s < n; s++) {
        let sum = 0;
        for (let p = 0; p < k; p++) {
          const [x, y] = [a[atA + r * rowA + p * columnA]!, b[atB + p * rowB + s * columnB]!];
          sum = dtype === "int32" ? (sum + Math.imul(x, y)) | 0 : sum + x * y;
        }
        want.push(dtype === "uint8" ? sum & 255 : sum);
      }
  }
  return { got, want };
}

function expectClose(got: readonly number[], want: readonly number[], bound: number): void {
  expect(got.length).toBe(want.length);
  got.forEach((x, i) => {
    if (!(Math.abs(x - want[i]!) <= bound)) expect.fail(`element ${i} is ${x} instead of ${want[i]}`);
  });
}

const CASES: readonly Case[] = [
  { m: 1, n: 1, k: 1 },
  { m: 3, n: 5, k: 7 },
  { m: 6, n: 8, k: 4 },
  { m: 13, n: 17, k: 9, gap: 2 },
  { m: 12, n: 16, k: 33 },
  { m: 101, n: 29, k: 300 },
  { m: 7, n: 2100, k: 5 },
  { m: 1, n: 40, k: 70 },
  { m: 40, n: 1, k: 70 },
  { m: 1, n: 2103, k: 301 },
  { m: 1, n: 67, k: 70 },
  { m: 67, n: 1, k: 70 },
  { m: 6, n: 1, k: 4999 },
  { m: 1, n: 70, k: 67, gap: 2 },
  { m: 1, n: 67, k: 101, batch: [3] },
  { m: 1, n: 67, k: 101, batch: [3], shared: "b" },
  { m: 67, n: 1, k: 101, batch: [2], shared: "a" },
  { m: 5, n: 4, k: 0 },
  { m: 4, n: 5, k: 6, batch: [3] },
  { m: 9, n: 10, k: 11, batch: [2, 3] },
  { m: 9, n: 10, k: 11, batch: [2, 3], shared: "b" },
  { m: 9, n: 10, k: 11, batch: [4], shared: "a" },
];
const LAYOUTS = [
  { transposeA: false, transposeB: false },
  { transposeA: true, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: true },
];
const cases = CASES.flatMap((c) => LAYOUTS.map((layout) => ({ ...c, ...layout })));

describe.each<[string, CpuBackend]>([
  ["WebAssembly", wasm],
  ["JavaScript", plain],
])("matmul in %s", (_, backend) => {
  test.each(cases)("$m x $k x $n, batch $batch, shared $shared, transposed $transposeA $transposeB", async (c) => {
    for (const dtype of ["float32", "float64", "int32", "uint8"] as const) {
      const { got, want } = await product(backend, dtype, c);
      expectClose(got, want, dtype === "float32" ? 1e-6 * Math.sqrt(c.k + 1) : dtype === "float64" ? 1e-13 : 0);
    }
  });
});

test.each(cases)(
  "float16, rounded once: $m x $k x $n, batch $batch, shared $shared, transposed $transposeA $transposeB",
  async (c) => {
    const [{ got }, other] = [await product(wasm, "float16", c), await product(plain, "float16", c)];
    expect(got.length).toBe(other.got.length);
    got.forEach((x, i) => {
      // A unit in the last place, and for sums that cancel out what float32 loses of their terms.
      const bound = 2 ** -10 * Math.abs(x) + 1e-6;
      expect(Math.abs(x - other.got[i]!), `element ${i}`).toBeLessThanOrEqual(bound);
    });
  },
);

test("NaN and infinity go through", async () => {
  const structure = routine("matmul", { rank: 0 }, [
    { dtype: "float32", mode: "read" },
    { dtype: "float32", mode: "read" },
    { dtype: "float32", mode: "write" },
  ]);
  const a = bufferOf(wasm, "float32", [NaN, 1, 0, Infinity, 0, 2]);
  const b = bufferOf(wasm, "float32", [1, 0, 3, 1]);
  const out = bufferOf(wasm, "float32", [0, 0, 0, 0, 0, 0]);
  wasm.run([callOf(wasm, structure, { ints: [3, 2, 2, 0, 2, 1, 0, 2, 1], scalars: [] }, [a, b, out])]);
  expect(await elements(wasm, out, "float32", 6)).toEqual([NaN, NaN, Infinity, Infinity, 6, 2]);
});
