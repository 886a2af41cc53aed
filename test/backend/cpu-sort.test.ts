/** Sorting on the CPU: rows of every length, dtype and layout, whole and for their first elements, against a comparison. */

import { afterAll, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { hostNumbers, type DType } from "../../src/dtype.ts";
import { bufferOf, callOf, elements, host, routine } from "../support/kernels.ts";
import { numbers } from "../support/webgpu.ts";

const wasm = new CpuBackend({ threads: 1 });
const threaded = new CpuBackend({ threads: 3 });
const plain = new CpuBackend({ wasm: false });
afterAll(() => threaded.destroy());
const backends = { wasm, threaded, plain };

const DTYPES: readonly DType[] = ["float32", "float64", "float16", "int32", "uint8", "bool"];

/** Numbers of a dtype with repetitions and everything that is special about it. */
function values(dtype: DType, count: number): number[] {
  const next = numbers(count);
  const special = dtype.startsWith("float") ? [NaN, Infinity, -Infinity, 0, -0, 1e-7, -1e-7] : [0];
  const integer = { int32: 2 ** 32, uint8: 256, bool: 2 }[dtype as string];
  return Array.from({ length: count }, () => {
    const p = next();
    if (p < 0.1) return special[Math.floor(p * 10 * special.length)]!;
    if (integer !== undefined) return Math.floor(next() * integer) - (dtype === "int32" ? 2 ** 31 : 0);
    const x = (next() - 0.5) * 10 ** Math.floor(next() * 6 - 3);
    return p < 0.5 ? Math.round(x) : dtype === "float64" && p < 0.6 ? 1 + x * 1e-12 : x;
  });
}

/** Positions of numbers in order, NaN as the largest. */
function ordered(row: readonly number[], descending: boolean): number[] {
  const compare = (a: number, b: number): number => {
    const [x, y] = [row[a]!, row[b]!];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return x < y ? -1 : x > y ? 1 : 0;
  };
  return row.map((_, i) => i).sort((a, b) => (descending ? compare(b, a) : compare(a, b)) || a - b);
}

interface Case {
  readonly length: number;
  readonly rows?: number;
  readonly descending?: boolean;
  /** Rows lie side by side: their elements are as far apart as there are rows. */
  readonly columns?: boolean;
  readonly wanted?: number;
}

async function check(backend: CpuBackend, dtype: DType, given: readonly number[], c: Case): Promise<void> {
  const { length, rows = 1, descending = false, columns = false, wanted = length } = c;
  const offset = 3;
  const [step, stride] = columns ? [rows, 1] : [1, length];
  const data = host(dtype, [...new Array<number>(offset).fill(1), ...given]);
  const exact = hostNumbers(data, dtype);
  const input = bufferOf(backend, dtype, exact);
  const out = bufferOf(backend, "int32", new Array<number>(rows * wanted + 8).fill(-7));
  const structure = routine("sort", { order: descending ? "descending" : "ascending", rank: 1 }, [
    { dtype, mode: "read" },
    { dtype: "int32", mode: "write" },
  ]);
  const ints = [length, rows, step, stride, offset, ...(wanted < length ? [wanted] : [])];
  backend.run([callOf(backend, structure, { ints, scalars: [] }, [input, out])]);
  const got = await elements(backend, out, "int32", rows * wanted + 8);
  for (const buffer of [input, out]) backend.release(buffer);
  const want: number[] = [];
  for (let r = 0; r < rows; r++) {
    const row = Array.from({ length }, (_, i) => exact[offset + r * stride + i * step]!);
    want.push(...ordered(row, descending).slice(0, wanted));
  }
  expect(got).toEqual([...want, ...new Array<number>(8).fill(-7)]);
}

describe.each(Object.entries(backends))("sorting on the CPU: %s", (_, backend) => {
  describe.each(DTYPES)("%s", (dtype) => {
    test.each([2, 3, 5, 40, 41, 43, 1000, 5001])("%i elements", async (length) => {
      const given = values(dtype, length);
      for (const descending of [false, true]) await check(backend, dtype, given, { length, descending });
    });

    test.each([7, 50, 333])("columns of %i elements", async (length) => {
      const given = values(dtype, length * 9);
      for (const descending of [false, true])
        await check(backend, dtype, given, { length, rows: 9, columns: true, descending });
    });

    test.each([1, 2, 5, 63, 400, 4999])("the first %i of rows", async (wanted) => {
      const given = values(dtype, 3 * 5003);
      for (const columns of [false, true])
        for (const descending of [false, true])
          await check(backend, dtype, given, { length: 5003, rows: 3, columns, descending, wanted });
    });

    test("the first of a row that brings them last, all at once, or equal", async () => {
      const length = 7001;
      const most = { uint8: 256, bool: 2, float16: 2048 }[dtype as string] ?? length;
      const rising = Array.from({ length }, (_, i) => Math.floor((i * most) / length));
      for (const given of [rising, rising.toReversed(), new Array<number>(length).fill(1)])
        for (const descending of [false, true]) await check(backend, dtype, given, { length, descending, wanted: 37 });
    });
  });

  test("many short rows", async () => {
    await check(backend, "float32", values("float32", 20 * 3000), { length: 20, rows: 3000 });
    await check(backend, "float32", values("float32", 20 * 3000), { length: 20, rows: 3000, wanted: 2 });
  });

  test("digits that all elements share", async () => {
    await check(
      backend,
      "int32",
      Array.from({ length: 300 }, (_, i) => 0x12340056 + ((i * 37) % 101) * 256),
      {
        length: 300,
      },
    );
    await check(backend, "float32", new Array<number>(300).fill(2.5), { length: 300 });
  });
});
