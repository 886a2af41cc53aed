/** Tensors that are larger than a buffer of the device: limits are lowered until small tensors are. */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DeviceBuffer } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { createWebGpuBackend, type WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { WorkBudget } from "../../src/backend/webgpu/budget.ts";
import { cutLoops, type LoopAccess } from "../../src/backend/webgpu/pieces.ts";
import { Slab, type Segment } from "../../src/backend/webgpu/pool.ts";
import { hostNumbers, type DType } from "../../src/dtype.ts";
import { DeviceError } from "../../src/errors.ts";
import type { RoutineName } from "../../src/graph/kernel.ts";
import {
  bufferOf,
  callOf,
  elements,
  fusedKernel,
  host,
  routine,
  runKernel,
  type KernelSpec,
} from "../support/kernels.ts";
import { expectAgreement, randomKernels } from "../support/random-kernels.ts";
import { numbers, openWebGpu } from "../support/webgpu.ts";

/** Bytes of a buffer: 64 words. */
const SEGMENT = 256;
const limits = { maxBufferSize: SEGMENT, maxStorageBufferBindingSize: 300 };

const cpu = new CpuBackend({ wasm: false });
let gpu: WebGpuBackend;
beforeAll(async () => {
  gpu = await openWebGpu({ limits, debug: false });
});
afterAll(() => gpu.destroy());

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const integers = (n: number, seed: number): number[] => {
  const next = numbers(seed);
  return range(n).map(() => Math.floor(next() * 13) - 6);
};

/** Runs a routine on both devices; gives the elements of buffer `out` on each. */
async function runRoutine(
  name: RoutineName,
  attrs: Readonly<Record<string, string | number>>,
  operands: readonly { readonly dtype: DType; readonly values: readonly number[] }[],
  out: number,
  ints: readonly number[],
): Promise<[number[], number[]]> {
  const results: number[][] = [];
  for (const backend of [gpu, cpu]) {
    const buffers = operands.map(({ dtype, values }) => bufferOf(backend, dtype, values));
    const slots = operands.map(({ dtype }, i) => ({
      dtype,
      mode: i !== out ? ("read" as const) : name === "scatter" ? ("read-write" as const) : ("write" as const),
    }));
    backend.run([callOf(backend, routine(name, attrs, slots), { ints, scalars: [] }, buffers)]);
    results.push(await elements(backend, buffers[out]!, operands[out]!.dtype, operands[out]!.values.length));
    for (const buffer of buffers) backend.release(buffer);
  }
  return results as [number[], number[]];
}

describe("cutting loops", () => {
  const slabOf = (segments: number): Slab =>
    new Slab(range(segments).map((id) => ({ id, bytes: SEGMENT }) as unknown as Segment));

  test("pieces cover the loops once, and each access stays in its segment", () => {
    const side = fc.record({
      order: fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      flip: fc.nat({ max: 7 }),
      broadcast: fc.nat({ max: 7 }),
      offset: fc.nat({ max: 90 }),
    });
    fc.assert(
      fc.property(
        fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })),
        fc.array(side, { minLength: 1, maxLength: 3 }),
        fc.nat({ max: 3 }),
        fc.constantFrom(7, 100, 2 ** 30),
        (sizes, sides, innerRank, maxVolume) => {
          const outerRank = 3 - innerRank;
          const accesses = sides.map(({ order, flip, broadcast, offset: start }): LoopAccess => {
            const strides = [0, 0, 0];
            let [stride, offset] = [1, start];
            for (const d of order) {
              if ((broadcast >> d) & 1) continue;
              strides[d] = (flip >> d) & 1 ? -stride : stride;
              if ((flip >> d) & 1) offset += stride * (sizes[d]! - 1);
              stride *= sizes[d]!;
            }
            return { slab: slabOf(Math.ceil(((start + stride) * 4) / SEGMENT)), itemBytes: 4, offset, strides };
          });
          const pieces = cutLoops({
            name: "test",
            outer: sizes.slice(0, outerRank),
            inner: sizes.slice(outerRank),
            accesses,
            segmentBytes: SEGMENT,
            maxVolume,
          });
          const seen = new Uint8Array(sizes[0] * sizes[1] * sizes[2]);
          for (const outer of pieces)
            for (const inner of outer.inner) {
              const first = [...outer.first, ...inner.first];
              const count = [...outer.sizes, ...inner.sizes];
              expect(count.reduce((n, c) => n * c, 1)).toBeLessThanOrEqual(maxVolume);
              for (let i = 0; i < count[0]!; i++)
                for (let j = 0; j < count[1]!; j++)
                  for (let k = 0; k < count[2]!; k++) {
                    const at = [i, j, k];
                    const whole = at.map((x, d) => first[d]! + x);
                    seen[(whole[0]! * sizes[1] + whole[1]!) * sizes[2] + whole[2]!]!++;
                    accesses.forEach(({ strides, offset, slab }, a) => {
                      const want = offset + strides.reduce((sum, s, d) => sum + s * whole[d]!, 0);
                      const local = inner.offsets[a]! + strides.reduce((sum, s, d) => sum + s * at[d]!, 0);
                      const which = slab!.segments.indexOf(inner.segments[a] as Segment);
                      if (local < 0 || local >= 64 || which * 64 + local !== want)
                        expect([local, which]).toEqual(`element ${want}`);
                    });
                  }
            }
          expect(seen.every((n) => n === 1)).toBe(true);
        },
      ),
      { numRuns: 300, seed: 7 },
    );
  });
});

describe("transfers", () => {
  test.each(["float32", "int32", "uint8", "bool"] as const)(
    "%s is uploaded and read in part and whole",
    async (dtype) => {
      const values = range(1000).map((i) => (dtype === "bool" ? (i % 3) & 1 : i % 251));
      const buffer = bufferOf(gpu, dtype, values);
      expect(buffer.bytes).toBeGreaterThanOrEqual(4000);
      expect(await elements(gpu, buffer, dtype, 1000)).toEqual(values);
      const ranges = [
        [0, 64],
        [63, 2],
        [60, 200],
        [999, 1],
        [128, 64],
        [500, 0],
      ] as const;
      const { arrays } = await gpu.read(ranges.map(([offset, count]) => ({ buffer, dtype, offset, count })));
      ranges.forEach(([offset, count], i) =>
        expect(Array.from(hostNumbers(arrays[i]!, dtype))).toEqual(values.slice(offset, offset + count)),
      );
      gpu.release(buffer);
    },
  );

  test("copies between any places", async () => {
    for (const [count, from, to] of [
      [1000, 0, 0],
      [700, 13, 250],
      [64, 64, 0],
      [5, 62, 190],
    ] as const) {
      const operands = [
        { dtype: "float32" as const, values: range(1000) },
        { dtype: "float32" as const, values: range(1000).map((i) => -i) },
      ];
      const [got, want] = await runRoutine("copy", {}, operands, 1, [count, from, to]);
      expect(got).toEqual(want);
    }
  });

  test("memory is counted and used again in segments", async () => {
    const backend = await openWebGpu({ limits, debug: false });
    const before = backend.memory();
    const a = backend.allocate(1000);
    expect(backend.memory().usedBuffers).toBe(before.usedBuffers + 1);
    expect(backend.memory().usedBytes).toBe(before.usedBytes + 1024);
    backend.release(a);
    expect(backend.memory().pooledBytes).toBe(before.pooledBytes + 1024);
    const b = backend.allocate(500);
    expect(backend.memory().pooledBytes).toBe(before.pooledBytes + 512);
    backend.release(b);
    backend.trim(0);
    expect(backend.memory()).toMatchObject({ usedBytes: 0, pooledBytes: 0, peakBytes: 1024 });
    backend.destroy();
  });
});

describe("fused kernels", () => {
  test("random ones agree with the CPU", async () => {
    await fc.assert(
      fc.asyncProperty(randomKernels(), fc.nat(), async ({ spec, lengths, counts }, seed) => {
        const inputs = lengths.map((n, i) => integers(n, seed + i));
        expectAgreement(await runKernel(gpu, spec, inputs, counts), await runKernel(cpu, spec, inputs, counts));
      }),
      { numRuns: 40, seed: 3 },
    );
  }, 240_000);

  test("a transposed copy", async () => {
    const spec: KernelSpec = {
      outer: [30, 40],
      reads: [{ dtype: "float32", strides: [1, 30] }],
      writes: [{ dtype: "float32", strides: [40, 1] }],
      body: (_, [x]) => [x!],
    };
    const [got] = await runKernel(gpu, spec, [range(1200)], [1200]);
    expect(got).toEqual(range(1200).map((at) => Math.floor(at / 40) + 30 * (at % 40)));
  });

  test("sums, along long rows and along columns", async () => {
    const x = integers(1800, 5);
    for (const strides of [[300, 1] as const, [1, 6] as const]) {
      const spec: KernelSpec = {
        outer: [6],
        inner: [300],
        reads: [{ dtype: "float32", strides }],
        writes: [{ dtype: "float32", strides: [1, 0] }],
        body: (b, [v]) => [b.emit("reduce", "f", [v!], "sum")],
      };
      const want = range(6).map((i) => range(300).reduce((sum, j) => sum + x[i * strides[0] + j * strides[1]]!, 0));
      expect((await runKernel(gpu, spec, [x], [6]))[0]).toEqual(want);
    }
  });

  test("argmax over several dimensions counts in the whole, and softmax runs in its phases", async () => {
    const x = integers(900, 8).map((v, i) => v + (i % 7) / 8);
    const spec: KernelSpec = {
      outer: [3],
      inner: [10, 30],
      reads: [{ dtype: "float32", strides: [300, 1, 10] }],
      writes: [
        { dtype: "float32", strides: [300, 1, 10] },
        { dtype: "int32", strides: [1, 0, 0] },
      ],
      body: (b, [v]) => {
        const max = b.emit("reduce", "f", [v!], "max");
        const e = b.un("exp", b.sub(v!, max));
        return [b.div(e, b.emit("reduce", "f", [e], "sum")), b.emit("reduce", "i", [v!], "argmax")];
      },
    };
    const [got, want] = [await runKernel(gpu, spec, [x], [900, 3]), await runKernel(cpu, spec, [x], [900, 3])];
    expect(got[1]).toEqual(want[1]);
    got[0]!.forEach((v, i) => expect(v).toBeCloseTo(want[0]![i]!, 6));
  });

  test("in place, with a row's old value still there for the whole row", async () => {
    const spec: KernelSpec = {
      outer: [2],
      inner: [300],
      reads: [
        { dtype: "float32", strides: [1, 0] },
        { dtype: "float32", strides: [300, 1] },
      ],
      writes: [
        { dtype: "float32", strides: [1, 0] },
        { dtype: "float32", strides: [300, 1] },
      ],
      inPlace: { 0: 0, 1: 1 },
      body: (b, [m, x]) => [b.add(m!, b.emit("reduce", "f", [x!], "max")), b.sub(x!, m!)],
    };
    const [m, y] = await runKernel(gpu, spec, [[3, 4], range(600)], [2, 600]);
    expect(m).toEqual([302, 603]);
    expect(y).toEqual(range(600).map((i) => i - (i < 300 ? 3 : 4)));
  });

  test("rows that only store", async () => {
    const spec: KernelSpec = {
      outer: [2],
      inner: [200],
      reads: [{ dtype: "int32", strides: [1, 0] }],
      writes: [
        { dtype: "int32", strides: [1, 0] },
        { dtype: "int32", strides: [200, 1] },
      ],
      inPlace: { 0: 0 },
      body: (b, [m], { iota }) => [b.add(m!, b.lit(1, "i")), b.add(iota([200, 1]), m!)],
    };
    const [m, y] = await runKernel(gpu, spec, [[10, 20]], [2, 400]);
    expect(m).toEqual([11, 21]);
    expect(y).toEqual(range(400).map((i) => i + (i < 200 ? 10 : 20)));
  });

  test("gathers from several segments, in floats, integers and bools", async () => {
    for (const dtype of ["float32", "int32", "bool"] as const) {
      const table = range(300).map((i) => (dtype === "bool" ? ((i * 7) % 5) & 1 : i * 3));
      const index = range(150).map((i) => (i * 89) % 300);
      const spec: KernelSpec = {
        outer: [150],
        reads: [
          { dtype, strides: [0] },
          { dtype: "int32", strides: [1] },
        ],
        writes: [{ dtype, strides: [1] }],
        body: (b, [, i], { at }) => [at(0, b.emit("checkIndex", "i", [i!, b.lit(300, "i")]))],
      };
      const [got] = await runKernel(gpu, spec, [table, index], [150]);
      expect(got).toEqual(index.map((i) => table[i]));
      await expect(runKernel(gpu, spec, [table, index.with(149, 300)], [150])).rejects.toThrow("tag 1");
    }
  });

  test("a gather that takes too many buffers at once is refused before anything runs", async () => {
    const spec: KernelSpec = {
      outer: [4],
      reads: [
        { dtype: "float32", strides: [0] },
        { dtype: "int32", strides: [1] },
      ],
      writes: [{ dtype: "float32", strides: [1] }],
      body: (_, [, i], { at }) => [at(0, i!)],
    };
    const { structure, data } = fusedKernel(spec);
    const buffers = [range(64 * 40), [1, 2, 3, 4], [7, 7, 7, 7]].map((v, i) =>
      bufferOf(gpu, i === 1 ? "int32" : "float32", v),
    );
    const call = callOf(gpu, structure, data, buffers);
    expect(() => gpu.run([call])).toThrow(DeviceError);
    expect(() => gpu.run([call])).toThrow(/gather reads tensors of 10240, .* 42 buffers of at most 256 bytes/);
    expect(await elements(gpu, buffers[2]!, "float32", 4)).toEqual([7, 7, 7, 7]);
    for (const buffer of buffers) gpu.release(buffer);
  });
});

describe("routines", () => {
  const f = (values: readonly number[]): { dtype: DType; values: readonly number[] } => ({ dtype: "float32", values });
  const i = (values: readonly number[]): { dtype: DType; values: readonly number[] } => ({ dtype: "int32", values });

  test.each([
    ["rows by rows", [33, 21, 19], [19, 1], [21, 1]],
    ["columns by rows", [33, 21, 19], [1, 33], [21, 1]],
    ["rows by columns", [33, 21, 19], [19, 1], [1, 19]],
    ["columns by columns", [33, 21, 19], [1, 33], [1, 19]],
    ["a long sum", [3, 4, 400], [400, 1], [4, 1]],
    ["a long sum of columns", [3, 4, 400], [1, 3], [1, 400]],
    ["a vector", [1, 40, 50], [50, 1], [40, 1]],
    ["an outer product", [40, 30, 1], [1, 1], [30, 1]],
    ["no terms", [20, 10, 0], [0, 1], [10, 1]],
  ] as const)("matmul, %s", async (_, [m, n, k], [aRow, aColumn], [bRow, bColumn]) => {
    const ints = [m, n, k, 0, aRow, aColumn, 0, bRow, bColumn];
    const operands = [f(integers(m * k + 1, 1)), f(integers(k * n + 1, 2)), f(range(m * n).map(() => NaN))];
    const [got, want] = await runRoutine("matmul", { rank: 0 }, operands, 2, ints);
    expect(got.map((x) => x + 0)).toEqual(want.map((x) => x + 0));
  });

  test("matmul in batches, one side the same for all", async () => {
    const [batches, m, n, k] = [5, 12, 9, 11];
    const ints = [m, n, k, batches, 0, k, 1, m * k, 0, n, 1, 0];
    const operands = [f(integers(batches * m * k, 1)), f(integers(k * n, 2)), f(range(batches * m * n).map(() => NaN))];
    const [got, want] = await runRoutine("matmul", { rank: 1 }, operands, 2, ints);
    expect(got).toEqual(want);
  });

  test("scatter: added in order, set where indices differ, refused out of range", async () => {
    const [lines, extent, length] = [3, 90, 70];
    const out = integers(lines * extent, 1);
    const index = range(lines * length).map((at) => (at * 31) % extent);
    const source = integers(lines * length, 2);
    const ints = [1, extent, lines, length, extent, 1, 0, length, 1, 0, length, 1, 0];
    for (const mode of ["set", "add", "max", "prod"] as const) {
      const places = mode === "set" ? index : index.map((x) => x % 9);
      const operands = [f(out), i(places), f(source)];
      const [got, want] = await runRoutine("scatter", { mode, rank: 2 }, operands, 0, ints);
      expect(got, mode).toEqual(want);
      const bad = [f(out), i(places.with(100, extent)), f(source)];
      await expect(runRoutine("scatter", { mode, rank: 2 }, bad, 0, ints)).rejects.toThrow("tag 1");
    }
  });

  test("scatter along the first dimension, transposed", async () => {
    const [extent, lines, length] = [60, 7, 40];
    const out = integers(lines * extent, 1);
    const index = range(lines * length).map((at) => (at * 13) % extent);
    const source = integers(lines * length, 2);
    const ints = [0, extent, length, lines, 1, extent, 0, lines, 1, 0, 1, length, 0];
    const [got, want] = await runRoutine("scatter", { mode: "add", rank: 2 }, [f(out), i(index), f(source)], 0, ints);
    expect(got).toEqual(want);
  });

  test.each(["sum", "max"] as const)("scan: %s along rows and columns", async (kind) => {
    for (const [rows, length] of [
      [3, 500],
      [100, 7],
      [1, 3000],
    ] as const) {
      const x = integers(rows * length, 4);
      for (const [step, stride] of [
        [1, length],
        [rows, 1],
      ] as const) {
        const ints = [length, rows, step, stride, 0, 1, length, 0];
        const operands = [f(x), f(range(rows * length).map(() => NaN))];
        const [got, want] = await runRoutine("scan", { kind, rank: 1 }, operands, 1, ints);
        expect(got.map((v) => v + 0)).toEqual(want.map((v) => v + 0));
      }
    }
  });
});

describe("long dispatches", () => {
  let backend: WebGpuBackend;
  let whole: WebGpuBackend;
  beforeAll(async () => {
    const options = { debug: false, figures: { isSoftware: false, busyGroups: 64 } };
    backend = await openWebGpu({ ...options, dispatchWork: 30_000 });
    whole = await openWebGpu(options);
  });
  afterAll(() => {
    backend.destroy();
    whole.destroy();
  });

  test("of fused kernels are cut by rows, without a change in the bits of sums", async () => {
    const next = numbers(3);
    for (const [rows, cols] of [
      [4, 2000],
      [3000, 4],
      [150, 80],
    ] as const) {
      const x = range(rows * cols).map(() => Math.fround(next() - 0.3));
      const sum: KernelSpec = {
        outer: [rows],
        inner: [cols],
        reads: [{ dtype: "float32", strides: [cols, 1] }],
        writes: [
          { dtype: "float32", strides: [1, 0] },
          { dtype: "float32", strides: [cols, 1] },
        ],
        body: (b, [v]) => {
          const total = b.emit("reduce", "f", [v!], "sum");
          return [total, b.sub(v!, total)];
        },
      };
      const counts = [rows, rows * cols];
      expect(await runKernel(backend, sum, [x], counts)).toEqual(await runKernel(whole, sum, [x], counts));
    }
  });

  test("of a single row are cut along it", async () => {
    const x = integers(20_000, 4);
    const sum: KernelSpec = {
      outer: [],
      inner: [20_000],
      reads: [{ dtype: "float32", strides: [1] }],
      writes: [{ dtype: "float32", strides: [0] }],
      body: (b, [v]) => [b.emit("reduce", "f", [v!], "sum")],
    };
    expect(await runKernel(backend, sum, [x], [1])).toEqual([[x.reduce((a, b) => a + b, 0)]]);
  });

  test("of products and scans are cut without a change in bits", async () => {
    const next = numbers(3);
    const random = (n: number): number[] => range(n).map(() => Math.fround(next() - 0.3));
    const [a, b] = [random(40 * 700), random(700 * 30)];
    const results = await Promise.all(
      [backend, whole].map(async (gpu) => {
        const f32 = { dtype: "float32" as const, mode: "read" as const };
        const out = { dtype: "float32" as const, mode: "write" as const };
        const buffers = [a, b, range(1200), range(28_000)].map((v) => bufferOf(gpu, "float32", v));
        const [x, y, product, totals] = buffers as [DeviceBuffer, DeviceBuffer, DeviceBuffer, DeviceBuffer];
        const matmul = routine("matmul", { rank: 0 }, [f32, f32, out]);
        const scan = routine("scan", { kind: "sum", rank: 1 }, [f32, out]);
        gpu.run([
          callOf(gpu, matmul, { ints: [40, 30, 700, 0, 700, 1, 0, 30, 1], scalars: [] }, [x, y, product]),
          callOf(gpu, scan, { ints: [700, 40, 1, 700, 0, 1, 700, 0], scalars: [] }, [x, totals]),
        ]);
        return [await elements(gpu, product, "float32", 1200), await elements(gpu, totals, "float32", 28_000)];
      }),
    );
    expect(results[0]).toEqual(results[1]);
  });

  test("the budget grows while submissions are short, and shrinks when one is long", () => {
    const budget = new WorkBudget(false);
    const first = budget.units;
    budget.learn(first, 0, 10);
    expect(budget.units).toBe(2 * first);
    budget.learn(first / 2, 10, 11); // too little to tell
    expect(budget.units).toBe(2 * first);
    budget.learn(2 * first, 20, 120); // long enough
    expect(budget.units).toBe(2 * first);
    budget.learn(2 * first, 30, 500); // began when the one before was done
    expect(budget.units).toBe(first);
    for (let i = 0; i < 50; i++) budget.learn(budget.units, 1000 * i, 1000 * i + 900);
    expect(budget.units).toBeGreaterThan(0);
    expect(new WorkBudget(true).units).toBe(Infinity);
    const fixed = new WorkBudget(false, 5);
    fixed.learn(5, 0, 1);
    expect(fixed.units).toBe(5);
  });
});

test("the limits of the options hold, also below what a device must have", async () => {
  const made = await createWebGpuBackend({ limits: { maxComputeWorkgroupsPerDimension: 3, maxBufferSize: 1000 } });
  if ("reason" in made) throw new Error(made.reason);
  const held: DeviceBuffer = made.allocate(5000);
  made.upload(held, "int32", host("int32", range(1250)));
  expect(await elements(made, held, "int32", 1250)).toEqual(range(1250));
  expect(() => made.allocate(2 ** 34)).toThrow(
    /out of memory on the GPU: 17179869184 bytes were asked for.*one tensor can have/,
  );
  made.destroy();
});
