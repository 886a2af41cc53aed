/** Fused kernels on the CPU: WebAssembly against JavaScript, over random iteration spaces, accesses, dtypes and bodies. */

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import type { DType } from "../../src/dtype.ts";
import type { Builder, Value } from "../../src/graph/builder.ts";
import type { ReduceKind, ValueType } from "../../src/graph/kernel.ts";
import {
  applyMap,
  bufferOf,
  callOf,
  elements,
  fusedKernel,
  runKernel,
  type KernelSpec,
  type Operand,
} from "../support/kernels.ts";
import { numbers, ulps } from "../support/webgpu.ts";

const wasm = new CpuBackend();
const plain = new CpuBackend({ wasm: false });

test("the two ways are what they are called", () => {
  expect(wasm.description).toContain("WebAssembly SIMD");
  expect(plain.description).toBe("CPU (JavaScript)");
});

const DTYPES: readonly DType[] = ["float32", "float16", "float64", "int32", "uint8", "bool"];

function valuesOf(dtype: DType, count: number, next: () => number): number[] {
  return Array.from({ length: count }, () => {
    const x = next();
    if (dtype === "bool") return Number(x < 0.5);
    if (dtype === "uint8") return Math.floor(x * 256);
    if (dtype === "int32") return Math.floor(x * 2001) - 1000;
    if (x < 0.01) return [NaN, Infinity, -Infinity, -0, 0, 1e-40][Math.floor(next() * 6)]!;
    return Math.fround(x * 8 - 4);
  });
}

/** A random layout of an operand of some sizes: permuted, broadcast, flipped, with gaps and an offset. */
function layoutOf(sizes: readonly number[], next: () => number): { strides: number[]; offset: number; count: number } {
  const order = sizes.map((_, d) => d);
  if (next() < 0.4) order.reverse();
  const strides = new Array<number>(sizes.length).fill(0);
  let step = next() < 0.15 ? 2 : 1;
  let offset = Math.floor(next() * 3);
  for (const d of order.toReversed()) {
    if (next() < 0.2) continue;
    strides[d] = step;
    if (next() < 0.1) {
      strides[d] = -step;
      offset += step * (sizes[d]! - 1);
    }
    step *= sizes[d]!;
  }
  return { strides, offset, count: offset + step * 2 + 1 };
}

/** A random expression of the operands, in type `type`. */
function expression(b: Builder, x: Value, next: () => number): Value {
  const type = b.type(x);
  const pick = Math.floor(next() * 6);
  if (type === "b") return pick < 3 ? b.not(x) : x;
  const two = b.lit(2, x);
  if (pick === 0) return b.add(x, two);
  if (pick === 1) return b.mul(x, b.lit(3, x));
  if (pick === 2) return b.select(b.compare("lt", x, two), x, b.neg(x));
  if (pick === 3) return b.bin("max", x, two);
  if (type === "f" || type === "d") return pick === 4 ? b.un("floor", x) : b.un("abs", x);
  return pick === 4 ? b.bin("rem", x, b.lit(7, x)) : b.bin("idiv", x, b.lit(-3, x));
}

function expectSame(got: readonly number[], want: readonly number[], dtype: DType): void {
  expect(got.length).toBe(want.length);
  const tolerance = dtype === "float16" ? 2e-3 : dtype === "float64" ? 1e-12 : 1e-5;
  got.forEach((x, i) => {
    const y = want[i]!;
    if (Object.is(x, y) || x === y) return;
    if (!(Math.abs(x - y) <= tolerance * (1 + Math.abs(y)))) expect.fail(`element ${i} is ${x} instead of ${y}`);
  });
}

const dimensions: fc.Arbitrary<number> = fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 13, 33);

describe("random kernels", () => {
  test("maps of every dtype", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(dimensions, { maxLength: 3 }),
        fc.array(fc.constantFrom(...DTYPES), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(...DTYPES),
        fc.integer(),
        async (outer, dtypes, out, seed) => {
          const next = numbers(seed);
          const layouts = dtypes.map(() => layoutOf(outer, next));
          const size = outer.reduce((a, n) => a * n, 1);
          const dense = outer.map((_, d) => outer.slice(d + 1).reduce((a, n) => a * n, 1));
          const spec: KernelSpec = {
            outer,
            reads: dtypes.map((dtype, i): Operand => ({ dtype, ...layouts[i]! })),
            writes: [{ dtype: out, strides: dense }],
            body: (b, xs, { iota }) => {
              const inner = numbers(seed + 1);
              const common: ValueType = dtypes.includes("float64") ? "d" : "f";
              const terms = xs.map((x) => b.cast(expression(b, x, inner), common));
              terms.push(b.cast(iota(dense, 3), common));
              const sum = terms.reduce((s, t) => b.add(s, t));
              // Beyond their range, what a float becomes as an integer and as a byte is checked elsewhere.
              return [b.convert(sum, common === "d" ? "float64" : "float32", out)];
            },
          };
          const inputs = dtypes.map((dtype, i) => valuesOf(dtype, layouts[i]!.count, next));
          const [got] = await runKernel(wasm, spec, inputs, [size]);
          const [want] = await runKernel(plain, spec, inputs, [size]);
          expectSame(got!, want!, out);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("reductions in one and two phases, with results per row and per element", async () => {
    const kinds: readonly ReduceKind[] = ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin"];
    await fc.assert(
      fc.asyncProperty(
        fc.array(dimensions, { maxLength: 2 }),
        fc.array(dimensions, { minLength: 1, maxLength: 2 }),
        fc.constantFrom(...DTYPES),
        fc.constantFrom(...kinds),
        fc.boolean(),
        fc.integer(),
        async (outer, inner, dtype, kind, writesFull, seed) => {
          const next = numbers(seed);
          const sizes = [...outer, ...inner];
          const layout = layoutOf(sizes, next);
          const size = sizes.reduce((a, n) => a * n, 1);
          const rows = outer.reduce((a, n) => a * n, 1);
          const dense = sizes.map((_, d) => sizes.slice(d + 1).reduce((a, n) => a * n, 1));
          const rowStrides = [
            ...outer.map((_, d) => outer.slice(d + 1).reduce((a, n) => a * n, 1)),
            ...inner.map(() => 0),
          ];
          const logical = kind === "any" || kind === "all";
          const isArg = kind === "argmax" || kind === "argmin";
          const rowType: DType = logical ? "bool" : isArg ? "int32" : dtype === "bool" ? "int32" : dtype;
          const fullType: DType = dtype === "float64" ? "float64" : "float32";
          const spec: KernelSpec = {
            outer,
            inner,
            reads: [{ dtype, ...layout }],
            writes: [
              { dtype: rowType, strides: rowStrides },
              ...(writesFull ? [{ dtype: fullType, strides: dense }] : []),
            ],
            body: (b, [x]) => {
              let operand = logical ? b.cast(x!, "b") : x!;
              if (!logical && !isArg && b.type(operand) === "b") operand = b.cast(operand, "i");
              // Full stores need a value that varies within the row, however the operand lies.
              const type: ValueType = logical ? "b" : isArg ? "i" : b.type(operand);
              const row = b.emit("reduce", type, [operand], kind);
              const f: ValueType = dtype === "float64" ? "d" : "f";
              const difference = b.sub(b.cast(x!, f), b.cast(row, f));
              const second = b.emit("reduce", f, [difference], "max");
              const result = type === "i" && rowType === "uint8" ? b.emit("wrap8", "i", [row]) : row;
              return writesFull ? [result, b.add(difference, second)] : [result];
            },
          };
          const data = valuesOf(dtype, layout.count, next);
          const counts = writesFull ? [rows, size] : [rows];
          const got = await runKernel(wasm, spec, [data], counts);
          const want = await runKernel(plain, spec, [data], counts);
          expectSame(got[0]!, want[0]!, rowType);
          if (writesFull) expectSame(got[1]!, want[1]!, fullType);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("long rows", () => {
  test.each<[DType, ReduceKind]>([
    ["float32", "sum"],
    ["float64", "sum"],
    ["int32", "sum"],
    ["float32", "prod"],
    ["float32", "max"],
    ["float64", "min"],
    ["float32", "argmax"],
    ["float16", "argmin"],
    ["bool", "any"],
    ["bool", "all"],
  ])("%s %s is computed in pieces", async (dtype, kind) => {
    const n = 300_007;
    const next = numbers(5);
    const x = valuesOf(dtype, 2 * n, next).map((v, i) => {
      if (dtype === "bool") return kind === "any" ? Number(i === 290_000) : Number(i !== n + 290_000);
      return kind === "prod" ? 1 + 1e-6 * (next() - 0.5) : Number.isFinite(v) ? v : 0;
    });
    const type: DType = kind.startsWith("arg") ? "int32" : dtype;
    const spec: KernelSpec = {
      outer: [2],
      inner: [n],
      reads: [{ dtype, strides: [n, 1] }],
      writes: [
        { dtype: type, strides: [1, 0] },
        { dtype: "float32", strides: [n, 1] },
      ],
      body: (b, [v]) => {
        const t: ValueType = kind.startsWith("arg") ? "i" : b.type(v!);
        const row = b.emit("reduce", t, [v!], kind);
        return [row, b.sub(b.cast(v!, "f"), b.cast(row, "f"))];
      },
    };
    const got = await runKernel(wasm, spec, [x], [2, 2 * n]);
    const want = await runKernel(plain, spec, [x], [2, 2 * n]);
    expectSame(got[0]!, want[0]!, type);
    expectSame(got[1]!, want[1]!, "float32");
  });

  test("a NaN anywhere is found", async () => {
    const n = 200_000;
    const spec: KernelSpec = {
      outer: [],
      inner: [n],
      reads: [{ dtype: "float32", strides: [1] }],
      writes: [
        { dtype: "float32", strides: [0] },
        { dtype: "int32", strides: [0] },
      ],
      body: (b, [v]) => [b.emit("reduce", "f", [v!], "max"), b.emit("reduce", "i", [v!], "argmin")],
    };
    const x = new Float32Array(n).map((_, i) => i % 1000);
    x[150_001] = NaN;
    x[170_000] = NaN;
    expect(await runKernel(wasm, spec, [x], [1, 1])).toEqual([[NaN], [150_001]]);
  });

  test("2^24 terms are summed to 1e-7", async () => {
    const n = 2 ** 24;
    const spec: KernelSpec = {
      outer: [],
      inner: [n],
      reads: [{ dtype: "float32", strides: [1] }],
      writes: [{ dtype: "float32", strides: [0] }],
      body: (b, [v]) => [b.emit("reduce", "f", [v!], "sum")],
    };
    const x = new Float32Array(n).fill(Math.fround(0.1));
    const [[sum]] = (await runKernel(wasm, spec, [x], [1])) as [[number]];
    expect(Math.abs(sum / (Math.fround(0.1) * n) - 1)).toBeLessThan(1e-7);
  });
});

describe("columns of many rows", () => {
  const threaded = new CpuBackend({ threads: 2 });
  afterAll(() => threaded.destroy());

  test.each<[DType, ReduceKind]>([
    ["float32", "sum"],
    ["float16", "sum"],
    ["float64", "sum"],
    ["int32", "sum"],
    ["float32", "prod"],
    ["float32", "max"],
    ["float64", "min"],
    ["uint8", "max"],
    ["float32", "argmax"],
    ["bool", "any"],
    ["bool", "all"],
  ])("%s %s, with values of rows, of columns and of both", async (dtype, kind) => {
    const next = numbers(17);
    // Blocks, rows in two dimensions, columns: not a multiple of four, in parts, many, and many in parts.
    for (const [blocks, high, rows, columns] of [
      [1, 3, 43, 37],
      [3, 1, 129, 64],
      [2, 64, 40, 130],
      [1, 2, 40, 2087],
      [1, 5, 41, 2087],
    ] as const) {
      const count = blocks * high * rows * columns;
      const isArg = kind === "argmax";
      const logical = kind === "any" || kind === "all";
      const x = valuesOf(dtype, count, next).map((v) => {
        if (logical) return Number(kind === "any" ? v !== 0 && next() < 0.01 : v !== 0 || next() < 0.99);
        return kind === "prod" ? 1 + 1e-3 * (next() - 0.5) : v;
      });
      const ofRow = valuesOf("float32", high * rows, next).map((v) => (Number.isFinite(v) ? v : 0.5));
      const ofColumn = valuesOf("float32", columns, next).map((v) => (Number.isFinite(v) ? v : 0.25));
      const scaled = dtype === "float32" && kind !== "prod";
      const resultType: DType = isArg ? "int32" : dtype;
      const spec: KernelSpec = {
        outer: [blocks, columns],
        inner: [high, rows],
        reads: [
          { dtype, strides: [high * rows * columns, 1, rows * columns, columns] },
          { dtype: "float32", strides: [0, 0, rows, 1] },
          { dtype: "float32", strides: [0, 1, 0, 0] },
        ],
        writes: [
          { dtype: resultType, strides: [columns, 1, 0, 0] },
          { dtype: "float32", strides: [columns, 1, 0, 0] },
        ],
        body: (b, [v, r, w]) => {
          const operand = scaled ? b.mul(b.mul(v!, b.un("exp", b.neg(b.un("abs", r!)))), w!) : v!;
          const type: ValueType = isArg ? "i" : b.type(operand);
          const result = b.emit("reduce", type, [operand], kind);
          return [result, b.add(b.cast(result, "f"), b.un("abs", w!))];
        },
      };
      const data = [x, ofRow, ofColumn];
      const counts = [blocks * columns, blocks * columns];
      const want = await runKernel(plain, spec, data, counts);
      for (const backend of [wasm, threaded]) {
        const got = await runKernel(backend, spec, data, counts);
        expectSame(got[0]!, want[0]!, resultType);
        expectSame(got[1]!, want[1]!, dtype === "float16" ? "float16" : "float32");
      }
    }
  });
});

describe("softmax", () => {
  const specOf = (rows: number, n: number): KernelSpec => ({
    outer: [rows],
    inner: [n],
    reads: [{ dtype: "float32", strides: [n, 1] }],
    writes: [
      { dtype: "float32", strides: [n, 1] },
      { dtype: "float32", strides: [n, 1] },
    ],
    body: (b, [x]) => {
      const exp = b.un("exp", b.sub(x!, b.emit("reduce", "f", [x!], "max")));
      const share = b.bin("div", exp, b.emit("reduce", "f", [exp], "sum"));
      return [exp, share];
    },
  });

  test("exponentials have the bits of those that are computed apart, down to the smallest numbers; shares are within 2.5 ULP", async () => {
    const n = 40_001;
    const next = numbers(3);
    const x = new Float32Array(n).map((_, i) => (i === 77 ? 0 : -Math.exp(Math.log(1e-6) + next() * Math.log(1.1e8))));
    const [exp, share] = (await runKernel(wasm, specOf(1, n), [x], [n, n])) as [number[], number[]];
    let total = 0;
    for (const v of x) total += Math.exp(v);
    expect(exp).toEqual(await applyMap(wasm, [[...x]], (b, [v]) => b.un("exp", v!)));
    let worstShare = 0;
    x.forEach((v, i) => {
      worstShare = Math.max(worstShare, ulps(share[i]!, Math.exp(v) / total));
    });
    expect(worstShare).toBeLessThan(2.5);
  });

  test("infinities and NaN in rows of every length", async () => {
    for (const n of [1, 3, 4, 7, 8, 13, 40]) {
      const rows: number[][] = [
        Array.from({ length: n }, () => -Infinity),
        Array.from({ length: n }, (_, i) => (i === n - 1 ? 5 : -Infinity)),
        Array.from({ length: n }, (_, i) => (i === n - 1 ? Infinity : i)),
        Array.from({ length: n }, (_, i) => (i === n >> 1 ? NaN : i)),
        Array.from({ length: n }, (_, i) => (i === 0 ? 3e38 : -3e38)),
        Array.from({ length: n }, (_, i) => -i * 9),
      ];
      const spec = specOf(rows.length, n);
      const counts = [rows.length * n, rows.length * n];
      const got = await runKernel(wasm, spec, [rows.flat()], counts);
      const want = await runKernel(plain, spec, [rows.flat()], counts);
      expectSame(got[0]!, want[0]!, "float32");
      expectSame(got[1]!, want[1]!, "float32");
    }
  });
});

describe("indices", () => {
  const spec: KernelSpec = {
    outer: [7],
    reads: [
      { dtype: "float32", strides: [0] },
      { dtype: "int32", strides: [1] },
    ],
    writes: [{ dtype: "float32", strides: [1] }],
    scalars: [{ type: "i", value: 5 }],
    body: (b, [, index], { scalars, at }) => [at(0, b.emit("checkIndex", "i", [index!, scalars[0]!]))],
  };

  test("good ones read their element", async () => {
    const [got] = await runKernel(
      wasm,
      spec,
      [
        [10, 11, 12, 13, 14],
        [4, 0, 3, 1, 2, 2, 4],
      ],
      [7],
    );
    expect(got).toEqual([14, 10, 13, 11, 12, 12, 14]);
  });

  test.each([0, 3, 6])("a bad one at %i is reported with the call's tag", async (at) => {
    const index = [4, 0, 3, 1, 2, 2, 4];
    index[at] = at === 3 ? -1 : 5;
    const { structure, data } = fusedKernel(spec);
    const buffers = [bufferOf(wasm, "float32", [10, 11, 12, 13, 14]), bufferOf(wasm, "int32", index)];
    const out = bufferOf(wasm, "float32", new Array<number>(7).fill(0));
    wasm.run([callOf(wasm, structure, data, [...buffers, out], 77)]);
    const read = await wasm.read([{ buffer: out, dtype: "float32", offset: 0, count: 7 }]);
    expect(read.fault).toBe(77);
    expect(read.arrays[0]![at]).toBe(10);
    expect((await elements(wasm, out, "float32", 7)).length).toBe(7);
  });
});
