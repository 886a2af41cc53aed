/** Running sums, products and extremes on the CPU: every dtype and layout, against one element after the other in float64. */

import { afterAll, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { hostArray, hostNumbers, type DType } from "../../src/dtype.ts";
import { bufferOf, callOf, elements, host, routine } from "../support/kernels.ts";
import { numbers } from "../support/webgpu.ts";

const threaded = new CpuBackend({ threads: 3 });
afterAll(() => threaded.destroy());
const backends = {
  wasm: new CpuBackend({ threads: 1 }),
  threaded,
  plain: new CpuBackend({ wasm: false }),
};

const KINDS = ["sum", "prod", "max", "min"] as const;
type Kind = (typeof KINDS)[number];
const DTYPES: readonly DType[] = ["float32", "float64", "float16", "int32", "uint8"];

function values(dtype: DType, count: number): number[] {
  const next = numbers(count + 1);
  const range = dtype === "int32" ? 2 ** 32 : 256;
  if (!dtype.startsWith("float"))
    return Array.from({ length: count }, () => Math.floor(next() * range) - (dtype === "int32" ? 2 ** 31 : 0));
  // Products stay within what float16 can hold.
  return Array.from({ length: count }, (_, i) => (i % 2 === 0 ? 1 : -1) * (1 + (next() - 0.5) * 1e-2));
}

function combine(kind: Kind, dtype: DType, x: number, y: number): number {
  const isFloat = dtype.startsWith("float");
  if (kind === "sum") return isFloat ? x + y : (x + y) | 0;
  if (kind === "prod") return isFloat ? x * y : Math.imul(x, y);
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  return kind === "max" ? Math.max(x, y) : Math.min(x, y);
}

/** By how much results may differ: float64 totals of another order are rounded, those of float16 through float32. */
const UNIT: Readonly<Record<string, number>> = {
  "float32 sum": 2 ** -23,
  "float16 sum": 2 ** -10,
  "float16 prod": 2 ** -10,
};

interface Layout {
  readonly length: number;
  readonly sizes: readonly number[];
  readonly step: number;
  readonly strides: readonly number[];
  readonly stepOut: number;
  readonly stridesOut: readonly number[];
}

async function check(
  backend: CpuBackend,
  dtype: DType,
  kind: Kind,
  given: readonly number[],
  l: Layout,
): Promise<void> {
  const offset = 2;
  const data = host(dtype, [...new Array<number>(offset).fill(1), ...given]);
  const exact = hostNumbers(data, dtype);
  const count = l.sizes.reduce((a, b) => a * b, l.length);
  const input = bufferOf(backend, dtype, exact);
  const out = bufferOf(backend, dtype, new Array<number>(count + 6).fill(7));
  const structure = routine("scan", { kind, rank: l.sizes.length }, [
    { dtype, mode: "read" },
    { dtype, mode: "write" },
  ]);
  const ints = [l.length, ...l.sizes, l.step, ...l.strides, offset, l.stepOut, ...l.stridesOut, 0];
  backend.run([callOf(backend, structure, { ints, scalars: [] }, [input, out])]);
  const got = await elements(backend, out, dtype, count + 6);
  for (const buffer of [input, out]) backend.release(buffer);
  const want = hostArray("float64", count + 6).fill(7);
  const rows = count / l.length;
  for (let row = 0; row < rows; row++) {
    let rest = row;
    let [at, to] = [offset, 0];
    for (let d = l.sizes.length - 1; d >= 0; d--) {
      at += (rest % l.sizes[d]!) * l.strides[d]!;
      to += (rest % l.sizes[d]!) * l.stridesOut[d]!;
      rest = Math.floor(rest / l.sizes[d]!);
    }
    let total = exact[at]!;
    for (let i = 0; i < l.length; i++) {
      if (i > 0) total = combine(kind, dtype, total, exact[at + i * l.step]!);
      want[to + i * l.stepOut] = total;
    }
  }
  const rounded = hostNumbers(host(dtype, want), dtype);
  const unit = UNIT[`${dtype} ${kind}`];
  if (unit !== undefined)
    got.forEach((x, i) => {
      if (!Object.is(x, rounded[i]))
        expect(Math.abs(x - rounded[i]!)).toBeLessThanOrEqual(unit * Math.abs(rounded[i]!));
    });
  else expect(got).toEqual(Array.from(rounded));
}

/** Rows whose own elements are neighbours. */
const dense = (length: number, rows: number): Layout => ({
  length,
  sizes: [rows],
  step: 1,
  strides: [length],
  stepOut: 1,
  stridesOut: [length],
});

/** Rows that lie side by side, `depth` times. */
const across = (length: number, depth: number, width: number): Layout => ({
  length,
  sizes: [depth, width],
  step: width,
  strides: [length * width, 1],
  stepOut: width,
  stridesOut: [length * width, 1],
});

/** Rows of a transposed matrix into rows of a dense one. */
const turned = (length: number, rows: number): Layout => ({ ...dense(length, rows), step: rows, strides: [1] });

describe.each(Object.entries(backends))("scans on the CPU: %s", (_, backend) => {
  describe.each(DTYPES)("%s", (dtype) => {
    describe.each(KINDS)("%s", (kind) => {
      test.each([1, 2, 3, 4, 5, 8, 103, 1000])("rows of %i", async (length) => {
        await check(backend, dtype, kind, values(dtype, 3 * length), dense(length, 3));
      });

      test.each([1, 3, 4, 5, 16, 67, 515])("%i neighbours", async (width) => {
        await check(backend, dtype, kind, values(dtype, 2 * 19 * width), across(19, 2, width));
      });

      test("elements that lie apart", async () => {
        await check(backend, dtype, kind, values(dtype, 21 * 9), turned(21, 9));
        await check(backend, dtype, kind, values(dtype, 21 * 2), turned(21, 2));
      });
    });
  });

  test.each(["float32", "float64", "float16"] as const)("special numbers of %s", async (dtype) => {
    const rows = [
      [-0, -0, 0, -0, -0, -0],
      [1, Infinity, 2, -Infinity, 3, 4],
      [1, 2, 3, NaN, 5, 6],
      [-Infinity, -Infinity, 5, 1, NaN, Infinity],
    ];
    for (const kind of KINDS) {
      if (kind === "max" || kind === "min") await check(backend, dtype, kind, rows.slice(1).flat(), dense(6, 3));
      else {
        await check(backend, dtype, kind, rows.flat(), dense(6, 4));
        await check(backend, dtype, kind, rows.flat(), across(4, 1, 6));
      }
    }
  });

  test("a long row keeps its digits", async () => {
    const n = 300_001;
    await check(backend, "float32", "sum", new Array<number>(n).fill(0.1), dense(n, 1));
    await check(backend, "float32", "sum", new Array<number>(2 * 70_001).fill(0.1), across(70_001, 1, 2));
    await check(backend, "float32", "sum", new Array<number>(70_001 * 8).fill(0.1), across(70_001, 1, 8));
  });
});
