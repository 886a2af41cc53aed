/** Fused kernels on WebGPU: accesses, dtypes, reductions in every way of running them, several phases. */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { WebGpuBackend, type WebGpuBackendOptions } from "../../src/backend/webgpu/backend.ts";
import { findDevice } from "../../src/backend/webgpu/device.ts";
import type { DType } from "../../src/dtype.ts";
import type { ReduceKind } from "../../src/graph/kernel.ts";
import { bufferOf, callOf, elements, fusedKernel, runKernel, type KernelSpec } from "../support/kernels.ts";
import { expectAgreement, randomKernels } from "../support/random-kernels.ts";
import { numbers, openWebGpu } from "../support/webgpu.ts";

let gpu: WebGpuBackend;
beforeAll(async () => {
  gpu = await openWebGpu();
});
afterAll(() => gpu.destroy());

/** Runs `body` with a backend that was opened with other options. */
async function withGpu(options: WebGpuBackendOptions, body: (backend: WebGpuBackend) => Promise<void>): Promise<void> {
  const backend = await openWebGpu(options);
  try {
    await body(backend);
  } finally {
    backend.destroy();
  }
}

/** What the backend chooses by: an emulated device, a busy GPU, a GPU with room for more work. */
const WAYS: readonly (readonly [string, WebGpuBackendOptions])[] = [
  ["software", { figures: { isSoftware: true } }],
  ["few lanes", { figures: { isSoftware: false, busyGroups: 1 } }],
  ["many lanes", { figures: { isSoftware: false, busyGroups: 64 } }],
  ["no subgroups", { figures: { isSoftware: false, busyGroups: 64 }, without: ["subgroups"] }],
  ["no immediates", { without: ["immediate_address_space"] }],
  ["chunks", { figures: { isSoftware: false, busyGroups: 4096 } }],
];

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

test("the adapter has subgroups, so that both forms of reductions are tested", async () => {
  await withGpu({}, async (backend) => {
    expect(backend.numerics).toContain(" subgroups");
    const one = await openWebGpu({ without: ["subgroups"] });
    const sizes = [backend, one].map((b) => Number(/: \d+\/\d+\/(\d+)\//.exec(b.numerics)![1]));
    one.destroy();
    expect(sizes[0]).toBeGreaterThan(1);
    expect(sizes[1]).toBe(1);
  });
});

test.each([
  { name: "immediates, as many as there may be", options: {}, immediateBytes: 64 },
  { name: "a buffer without them", options: { without: ["immediate_address_space"] }, immediateBytes: 0 },
])("parameters are $name", async ({ options, immediateBytes }) => {
  const found = await findDevice(options);
  if ("reason" in found) throw new Error(found.reason);
  expect(found.immediateBytes).toBe(immediateBytes);
  const texts: string[] = [];
  const { device } = found;
  const make = device.createShaderModule.bind(device);
  device.createShaderModule = (descriptor) => {
    texts.push(descriptor.code);
    return make(descriptor);
  };
  const backend = new WebGpuBackend(found, {});
  try {
    // Few parameters, then an access of five strides for each of three operands: more than 16 words.
    for (const rank of [1, 5]) {
      const outer = range(rank).map(() => 2);
      const strides = range(rank).map((d) => 3 * 2 ** d);
      const count = 3 * (2 ** rank - 1) + 1;
      const spec: KernelSpec = {
        outer,
        reads: [
          { dtype: "float32", strides },
          { dtype: "float32", strides: strides.toReversed() },
        ],
        writes: [{ dtype: "float32", strides: range(rank).map((d) => 2 ** (rank - 1 - d)) }],
        body: (b, [x, y]) => [b.sub(x!, y!)],
      };
      const data = [range(count), range(count).map((i) => i * i)];
      expect(await runKernel(backend, spec, data, [2 ** rank])).toEqual(
        await runKernel(new CpuBackend(), spec, data, [2 ** rank]),
      );
    }
    const isImmediate = texts.map((text) => text.includes("var<immediate> params"));
    expect(texts.map((text) => text.includes("var<uniform> params"))).toEqual(isImmediate.map((is) => !is));
    expect(isImmediate).toEqual(immediateBytes > 0 ? [true, false] : [false, false]);
  } finally {
    backend.destroy();
    device.destroy();
  }
});

describe("elementwise", () => {
  test("strides, broadcasting, negative strides and offsets", async () => {
    const x = range(12).map((i) => i + 1);
    const spec: KernelSpec = {
      outer: [3, 4],
      reads: [
        { dtype: "float32", strides: [1, 3] }, // transposed
        { dtype: "float32", strides: [0, 1] }, // one row for all
        { dtype: "float32", strides: [-4, -1], offset: 11 }, // flipped
      ],
      writes: [{ dtype: "float32", strides: [4, 1] }],
      body: (b, [p, q, r]) => [b.sub(b.mul(p!, q!), r!)],
    };
    const [got] = await runKernel(gpu, spec, [x, [10, 20, 30, 40], x], [12]);
    const want = range(12).map((at) => {
      const [i, j] = [Math.floor(at / 4), at % 4];
      return x[i + 3 * j]! * (10 * (j + 1)) - x[11 - 4 * i - j]!;
    });
    expect(got).toEqual(want);
  });

  test("no dimension at all", async () => {
    const spec: KernelSpec = {
      outer: [],
      reads: [{ dtype: "float32", strides: [], offset: 2 }],
      writes: [{ dtype: "float32", strides: [] }],
      body: (b, [x]) => [b.neg(x!)],
    };
    expect(await runKernel(gpu, spec, [[1, 2, 3]], [1])).toEqual([[-3]]);
  });

  test("several outputs, one in place, from values shared by both", async () => {
    const spec: KernelSpec = {
      outer: [5],
      reads: [
        { dtype: "float32", strides: [1] },
        { dtype: "float32", strides: [1] },
      ],
      writes: [
        { dtype: "float32", strides: [1] },
        { dtype: "int32", strides: [1] },
      ],
      inPlace: { 0: 1 },
      body: (b, [x, y]) => {
        const sum = b.add(x!, y!);
        return [b.mul(sum, sum), b.cast(sum, "i")];
      },
    };
    const got = await runKernel(gpu, spec, [range(5), [1, 1, 1, 1, 1]], [5, 5]);
    expect(got).toEqual([
      [1, 4, 9, 16, 25],
      [1, 2, 3, 4, 5],
    ]);
  });

  test("one buffer behind two slots, one of them written", async () => {
    const { structure, data } = fusedKernel({
      outer: [4],
      reads: [{ dtype: "float32", strides: [1] }],
      writes: [{ dtype: "float32", strides: [1] }],
      body: (b, [x]) => [b.add(x!, x!)],
    });
    const buffer = bufferOf(gpu, "float32", [1, 2, 3, 4]);
    gpu.run([callOf(gpu, structure, data, [buffer, buffer])]);
    expect(await elements(gpu, buffer, "float32", 4)).toEqual([2, 4, 6, 8]);
    gpu.release(buffer);
  });

  test("scalars are data of every type", async () => {
    const spec = (scale: number): KernelSpec => ({
      outer: [3],
      reads: [{ dtype: "float32", strides: [1] }],
      writes: [{ dtype: "float32", strides: [1] }],
      scalars: [
        { type: "f", value: scale },
        { type: "i", value: -3 },
        { type: "b", value: 1 },
        { type: "u", value: 4294967295 },
      ],
      body: (b, [x], { scalars: [s, i, t, u] }) => [
        b.select(t!, b.add(b.mul(x!, s!), b.cast(i!, "f")), b.cast(u!, "f")),
      ],
    });
    expect(fusedKernel(spec(2)).structure.key).toBe(fusedKernel(spec(0.1)).structure.key);
    expect(await runKernel(gpu, spec(2), [[1, 2, 3]], [3])).toEqual([[-1, 1, 3]]);
    expect(await runKernel(gpu, spec(NaN), [[1, 2, 3]], [3])).toEqual([[NaN, NaN, NaN]]);
    expect(await runKernel(gpu, spec(Infinity), [[1, 0, -1]], [3])).toEqual([[Infinity, NaN, -Infinity]]);
  });

  test("coordinates and computed indices", async () => {
    const spec: KernelSpec = {
      outer: [2, 3],
      reads: [
        { dtype: "float32", strides: [0, 0] },
        { dtype: "int32", strides: [3, 1] },
      ],
      writes: [{ dtype: "float32", strides: [3, 1] }],
      body: (b, [, index], { at, iota }) => {
        const checked = b.emit("checkIndex", "i", [index!, b.lit(4, "i")]);
        return [b.add(at(0, checked), b.cast(iota([100, 10], 1), "f"))];
      },
    };
    const table = [0.5, 1.5, 2.5, 3.5];
    const [got] = await runKernel(gpu, spec, [table, [3, 2, 1, 0, 0, 3]], [6]);
    expect(got).toEqual([3.5 + 1, 2.5 + 11, 1.5 + 21, 0.5 + 101, 0.5 + 111, 3.5 + 121]);
    await expect(runKernel(gpu, spec, [table, [3, 2, 4, 0, 0, 3]], [6])).rejects.toThrow("tag 1");
    await expect(runKernel(gpu, spec, [table, [3, 2, -1, 0, 0, 3]], [6])).rejects.toThrow("tag 1");
    // A fault is reported once.
    expect((await runKernel(gpu, spec, [table, [0, 0, 0, 0, 0, 0]], [6]))[0]![0]).toBe(1.5);
  });

  test.each(["float32", "int32", "uint8", "bool"] as const)("%s elements come and go", async (dtype) => {
    const values =
      dtype === "bool" ? [0, 1, 1, 0, 1] : dtype === "uint8" ? [0, 1, 127, 128, 255] : [0, 1, -1, 70000, -70000];
    const spec: KernelSpec = {
      outer: [5],
      reads: [{ dtype, strides: [-1], offset: 4 }],
      writes: [{ dtype, strides: [1] }],
      body: (_, [x]) => [x!],
    };
    expect(await runKernel(gpu, spec, [values], [5])).toEqual([values.toReversed()]);
  });

  test("uint8 wraps when it is stored", async () => {
    const spec: KernelSpec = {
      outer: [3],
      reads: [{ dtype: "uint8", strides: [1] }],
      writes: [{ dtype: "uint8", strides: [1] }],
      body: (b, [x]) => [b.add(x!, b.lit(10, x!))],
    };
    expect(await runKernel(gpu, spec, [[0, 245, 250]], [3])).toEqual([[10, 255, 4]]);
  });

  test("constants of every kind", async () => {
    const constants = [
      0,
      -0,
      1,
      -1.5,
      NaN,
      Infinity,
      -Infinity,
      1e-38,
      3.4028234663852886e38,
      0.1,
      1e21,
      1.401298464324817e-45,
    ];
    const spec: KernelSpec = {
      outer: [1],
      reads: [],
      writes: constants.map(() => ({ dtype: "float32" as DType, strides: [0] })),
      body: (b) => constants.map((c) => b.lit(c, "f")),
    };
    const small: KernelSpec = {
      ...spec,
      writes: spec.writes.slice(0, 6),
      body: (b) => constants.slice(0, 6).map((c) => b.lit(c, "f")),
    };
    const rest: KernelSpec = {
      ...spec,
      writes: spec.writes.slice(6),
      body: (b) => constants.slice(6).map((c) => b.lit(c, "f")),
    };
    const ones = [1, 1, 1, 1, 1, 1];
    expect((await runKernel(gpu, small, [], ones)).flat()).toEqual(constants.slice(0, 6));
    expect((await runKernel(gpu, rest, [], ones)).flat()).toEqual(constants.slice(6).map(Math.fround));
    const integers = [0, -1, 2147483647, -2147483648];
    const whole: KernelSpec = {
      ...spec,
      writes: integers.map(() => ({ dtype: "int32" as DType, strides: [0] })),
      body: (b) => integers.map((c) => b.lit(c, "i")),
    };
    expect((await runKernel(gpu, whole, [], ones)).flat()).toEqual(integers);
  });

  test("grids beyond the limit of a dimension are folded", async () => {
    await withGpu({ limits: { maxComputeWorkgroupsPerDimension: 7 } }, async (backend) => {
      for (const n of [7 * 256, 7 * 256 + 1, 20 * 256 + 17, 49 * 256]) {
        const spec: KernelSpec = {
          outer: [n],
          reads: [],
          writes: [{ dtype: "int32", strides: [1] }],
          body: (_, __, { iota }) => [iota([2], 5)],
        };
        expect((await runKernel(backend, spec, [], [n]))[0]).toEqual(range(n).map((i) => 2 * i + 5));
      }
    });
  });
});

/** A reduction in plain JavaScript, as PyTorch has it. */
function reduceNaively(kind: ReduceKind, x: readonly number[]): number {
  switch (kind) {
    case "sum":
      return x.reduce((a, b) => a + b, 0);
    case "prod":
      return x.reduce((a, b) => a * b, 1);
    case "max":
      return x.reduce((a, b) => Math.max(a, b), -Infinity);
    case "min":
      return x.reduce((a, b) => Math.min(a, b), Infinity);
    case "any":
      return Number(x.some((a) => a !== 0));
    case "all":
      return Number(x.every((a) => a !== 0));
    case "argmax":
    case "argmin": {
      const best = x.findIndex(Number.isNaN);
      return best >= 0 ? best : x.indexOf(kind === "argmax" ? Math.max(...x) : Math.min(...x));
    }
  }
}

const KINDS: readonly ReduceKind[] = ["sum", "prod", "max", "min", "any", "all", "argmax", "argmin"];

function resultType(kind: ReduceKind, dtype: DType): { type: "f" | "i" | "b"; dtype: DType } {
  if (kind === "argmax" || kind === "argmin") return { type: "i", dtype: "int32" };
  if (kind === "any" || kind === "all") return { type: "b", dtype: "bool" };
  return dtype === "float32"
    ? { type: "f", dtype }
    : dtype === "bool"
      ? { type: "b", dtype }
      : { type: "i", dtype: "int32" };
}

describe.each(WAYS)("reductions: %s", (_, options) => {
  let backend: WebGpuBackend;
  beforeAll(async () => {
    backend = await openWebGpu(options);
  });
  afterAll(() => backend.destroy());

  const shapes: readonly (readonly [number, number])[] = [
    [1, 1],
    [5, 3],
    [300, 7],
    [70, 60],
    [3, 700],
    [40, 1500],
    [1, 5000],
    [3, 20000],
  ];

  test.each(KINDS)("%s of small integers in floats, along rows and along columns", async (kind) => {
    const next = numbers(11);
    for (const [rows, cols] of shapes) {
      // Products stay finite: mostly ones.
      const x = range(rows * cols).map(() => (kind === "prod" ? (next() < 0.001 ? 2 : 1) : Math.floor(next() * 9) - 4));
      for (const strides of [
        [cols, 1],
        [1, rows],
      ] as const) {
        const { type, dtype } = resultType(kind, "float32");
        const spec: KernelSpec = {
          outer: [rows],
          inner: [cols],
          reads: [{ dtype: "float32", strides }],
          writes: [{ dtype, strides: [1, 0] }],
          body: (b, [v]) => [b.emit("reduce", type, [v!], kind)],
        };
        const [got] = await runKernel(backend, spec, [x], [rows]);
        const want = range(rows).map((i) =>
          reduceNaively(
            kind,
            range(cols).map((j) => x[i * strides[0] + j * strides[1]]!),
          ),
        );
        expect(got, `${kind} of ${rows} x ${cols}, strides ${strides.join()}`).toEqual(want);
      }
    }
  });

  test.each(KINDS)("%s of integers and bools, over two inner dimensions", async (kind) => {
    const next = numbers(5);
    const [rows, n, m] = [6, 21, 40];
    for (const dtype of ["int32", "bool"] as const) {
      const x = range(rows * n * m).map(() => (dtype === "bool" ? Number(next() < 0.9) : Math.floor(next() * 9) - 4));
      const { type, dtype: out } = resultType(kind, dtype);
      const spec: KernelSpec = {
        outer: [rows],
        inner: [n, m],
        reads: [{ dtype, strides: [m, rows * m, 1] }], // the middle dimension of three is kept
        writes: [{ dtype: out, strides: [1, 0, 0] }],
        body: (b, [v]) => [b.emit("reduce", type, [v!], kind)],
      };
      const [got] = await runKernel(backend, spec, [x], [rows]);
      const want = range(rows).map((i) => {
        const terms = range(n).flatMap((j) => range(m).map((k) => x[i * m + j * rows * m + k]!));
        if (dtype === "bool" && kind === "sum") return Number(terms.some((t) => t !== 0));
        return kind === "prod" && dtype === "int32"
          ? terms.reduce((a, b) => Math.imul(a, b), 1)
          : reduceNaively(kind, terms);
      });
      expect(got, dtype).toEqual(want);
    }
  });

  test("NaN, infinities and the first of equals", async () => {
    const rows = [
      [1, NaN, 3, NaN, 0],
      [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity],
      [Infinity, Infinity, Infinity, Infinity, Infinity],
      [2, 7, 7, 1, 1],
      [0, -0, 0, -0, 0],
    ];
    // Each row is repeated, so that lanes have to agree on the first.
    const repeat = 150;
    const x = rows.flatMap((row) => range(repeat).flatMap(() => row));
    const spec = (kind: ReduceKind): KernelSpec => ({
      outer: [rows.length],
      inner: [5 * repeat],
      reads: [{ dtype: "float32", strides: [5 * repeat, 1] }],
      writes: [{ dtype: resultType(kind, "float32").dtype, strides: [1, 0] }],
      body: (b, [v]) => [b.emit("reduce", resultType(kind, "float32").type, [v!], kind)],
    });
    expect((await runKernel(backend, spec("max"), [x], [5]))[0]).toEqual([
      NaN,
      -Infinity,
      Infinity,
      7,
      expect.closeTo(0),
    ]);
    expect((await runKernel(backend, spec("min"), [x], [5]))[0]).toEqual([
      NaN,
      -Infinity,
      Infinity,
      1,
      expect.closeTo(0),
    ]);
    expect((await runKernel(backend, spec("argmax"), [x], [5]))[0]).toEqual([1, 0, 0, 1, 0]);
    expect((await runKernel(backend, spec("argmin"), [x], [5]))[0]).toEqual([1, 0, 0, 3, 0]);
    expect((await runKernel(backend, spec("any"), [x], [5]))[0]).toEqual([1, 1, 1, 1, 0]);
    expect((await runKernel(backend, spec("sum"), [x], [5]))[0]).toEqual([NaN, -Infinity, Infinity, 18 * repeat, 0]);
  });

  test("several phases: softmax, with its maximum, sum and argmax stored too", async () => {
    const next = numbers(23);
    for (const [rows, cols] of shapes) {
      const x = range(rows * cols).map(() => Math.fround(next() * 20 - 10));
      const spec: KernelSpec = {
        outer: [rows],
        inner: [cols],
        reads: [{ dtype: "float32", strides: [cols, 1] }],
        writes: [
          { dtype: "float32", strides: [cols, 1] },
          { dtype: "float32", strides: [1, 0] },
          { dtype: "float32", strides: [1, 0] },
          { dtype: "int32", strides: [1, 0] },
        ],
        body: (b, [v]) => {
          const max = b.emit("reduce", "f", [v!], "max");
          const e = b.un("exp", b.sub(v!, max));
          const sum = b.emit("reduce", "f", [e], "sum");
          return [b.div(e, sum), max, b.un("log", sum), b.emit("reduce", "i", [v!], "argmax")];
        },
      };
      const [y, max, log, at] = await runKernel(backend, spec, [x], [rows * cols, rows, rows, rows]);
      for (let i = 0; i < rows; i++) {
        const row = x.slice(i * cols, (i + 1) * cols);
        const m = Math.max(...row);
        const total = row.reduce((s, v) => s + Math.exp(v - m), 0);
        expect(max![i]).toBe(m);
        expect(at![i]).toBe(row.indexOf(m));
        expect(log![i]).toBeCloseTo(Math.log(total), 5);
        row.forEach((v, j) => {
          const want = Math.exp(v - m) / total;
          expect(Math.abs(y![i * cols + j]! - want)).toBeLessThan(3e-6 * want + 1e-12);
        });
      }
    }
  });

  test("more reductions at once than shared memory holds words for", async () => {
    const [rows, cols] = [4, 900];
    const x = range(rows * cols).map((i) => ((i * 37) % 101) - 50);
    const spec: KernelSpec = {
      outer: [rows],
      inner: [cols],
      reads: [{ dtype: "float32", strides: [cols, 1] }],
      writes: range(10).map((k) => ({
        dtype: k % 2 === 0 ? ("float32" as const) : ("int32" as const),
        strides: [1, 0],
      })),
      body: (b, [v]) =>
        range(10).map((k) => {
          const shifted = b.mul(v!, b.lit(k + 1, "f"));
          return k % 2 === 0
            ? b.emit("reduce", "f", [shifted], "max")
            : b.emit("reduce", "i", [b.neg(shifted)], "argmax");
        }),
    };
    const got = await runKernel(
      backend,
      spec,
      [x],
      range(10).map(() => rows),
    );
    got.forEach((column, k) =>
      column.forEach((value, i) => {
        const row = x.slice(i * cols, (i + 1) * cols);
        expect(value).toBe(k % 2 === 0 ? Math.max(...row) * (k + 1) : row.indexOf(Math.min(...row)));
      }),
    );
  });

  test("a value of the row alone is combined as often as there are elements", async () => {
    const spec: KernelSpec = {
      outer: [3],
      inner: [1000],
      reads: [
        { dtype: "float32", strides: [1, 0] },
        { dtype: "float32", strides: [1000, 1] },
      ],
      writes: [
        { dtype: "float32", strides: [1, 0] },
        { dtype: "float32", strides: [1000, 1] },
      ],
      body: (b, [r, x]) => {
        const sum = b.emit("reduce", "f", [r!], "sum");
        return [sum, b.add(b.emit("reduce", "f", [x!], "max"), sum)];
      },
    };
    const got = await runKernel(backend, spec, [[1, 2, 3], range(3000)], [3, 3000]);
    expect(got[0]).toEqual([1000, 2000, 3000]);
    expect(new Set(got[1]!.slice(1000, 2000))).toEqual(new Set([3999]));
  });
});

test("a sum of 2^24 terms is good to 1e-6", async () => {
  const n = 2 ** 24;
  const next = numbers(1);
  const x = Float32Array.from({ length: n }, () => next());
  const exact = x.reduce((a, b) => a + b, 0);
  const spec: KernelSpec = {
    outer: [],
    inner: [n],
    reads: [{ dtype: "float32", strides: [1] }],
    writes: [{ dtype: "float32", strides: [0] }],
    body: (b, [v]) => [b.emit("reduce", "f", [v!], "sum")],
  };
  const [got] = await runKernel(gpu, spec, [x], [1]);
  expect(Math.abs(got![0]! / exact - 1)).toBeLessThan(1e-6);
});

test("a row's old value is still there for what is computed of it over a long row", async () => {
  for (const cols of [10, 5000]) {
    const spec: KernelSpec = {
      outer: [2],
      inner: [cols],
      reads: [
        { dtype: "float32", strides: [1, 0] },
        { dtype: "float32", strides: [cols, 1] },
      ],
      writes: [
        { dtype: "float32", strides: [1, 0] },
        { dtype: "float32", strides: [cols, 1] },
      ],
      inPlace: { 0: 0 },
      body: (b, [m, x]) => [b.add(m!, b.emit("reduce", "f", [x!], "max")), b.sub(x!, m!)],
    };
    const [m, y] = await runKernel(gpu, spec, [[3, 4], range(2 * cols)], [2, 2 * cols]);
    expect(m).toEqual([cols + 2, 2 * cols + 3]);
    expect(y).toEqual(range(2 * cols).map((i) => i - (i < cols ? 3 : 4)));
  }
});

describe("without inner dimensions", () => {
  test.each(KINDS)("%s is of the single element", async (kind) => {
    const { type, dtype } = resultType(kind, "float32");
    const spec: KernelSpec = {
      outer: [4],
      reads: [{ dtype: "float32", strides: [1] }],
      writes: [{ dtype, strides: [1] }],
      body: (b, [v]) => [b.emit("reduce", type, [v!], kind)],
    };
    const x = [0, 2, -3, 5];
    expect(await runKernel(gpu, spec, [x], [4])).toEqual([x.map((v) => reduceNaively(kind, [v]))]);
  });
});

describe("agreement with the CPU on random kernels", () => {
  const cpu: Backend = new CpuBackend({ wasm: false });

  test("every element is the same", async () => {
    await fc.assert(
      fc.asyncProperty(randomKernels(), fc.nat(), async ({ spec, lengths, counts }, seed) => {
        const next = numbers(seed);
        const inputs = lengths.map((n) => range(n).map(() => Math.floor(next() * 13) - 6));
        expectAgreement(await runKernel(gpu, spec, inputs, counts), await runKernel(cpu, spec, inputs, counts));
      }),
      { numRuns: 60, seed: 42 },
    );
  }, 120_000);
});
