/** Scatters on the CPU: every dtype, mode and layout in WebAssembly, on one thread and several, against one element after the other. */

import { afterAll, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { hostNumbers, type DType, type HostArray } from "../../src/dtype.ts";
import { bufferOf, callOf, elements, host, routine } from "../support/kernels.ts";
import { numbers } from "../support/webgpu.ts";

const threaded = new CpuBackend({ threads: 3 });
afterAll(() => threaded.destroy());
const backends = {
  wasm: new CpuBackend({ threads: 1 }),
  threaded,
  plain: new CpuBackend({ wasm: false }),
};

const MODES = ["set", "add", "prod", "max", "min"] as const;
type Mode = (typeof MODES)[number];
const DTYPES: readonly DType[] = ["float32", "float64", "float16", "int32", "uint8", "bool"];

interface Layout {
  /** Shape of the index, and the dimension that is scattered into `places`. */
  readonly sizes: readonly number[];
  readonly dim: number;
  readonly places: number;
  /** Dimensions along which the index is the same, and those along which the source is. */
  readonly sameIndex?: readonly number[];
  readonly sameSource?: readonly number[];
  /** The order of dimensions in the memory of out, the slowest first. */
  readonly order?: readonly number[];
}

function stridesOf(sizes: readonly number[], order: readonly number[], same: readonly number[]): number[] {
  const strides = sizes.map(() => 0);
  let step = 1;
  for (const d of order.toReversed()) {
    if (same.includes(d)) continue;
    strides[d] = step;
    step *= sizes[d]!;
  }
  return strides;
}

/** The nearest number that a dtype has. */
function rounded(dtype: DType, x: number): number {
  return hostNumbers(host(dtype, [x]), dtype)[0]!;
}

function combine(mode: Mode, dtype: DType, x: number, y: number): number {
  if (mode === "set") return y;
  if (dtype === "bool") return mode === "add" || mode === "max" ? x | y : x & y;
  if (mode === "add") return rounded(dtype, x + y);
  if (mode === "prod") return rounded(dtype, dtype.startsWith("float") ? x * y : Math.imul(x, y));
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  return mode === "max" ? Math.max(x, y) : Math.min(x, y);
}

function values(dtype: DType, count: number, seed: number): HostArray {
  const next = numbers(seed);
  return host(
    dtype,
    Array.from({ length: count }, () => {
      const x = next();
      if (dtype === "bool") return Number(x < 0.5);
      if (!dtype.startsWith("float")) return Math.floor(x * 250);
      return x < 0.02 ? [NaN, Infinity, -0][Math.floor(x * 150)]! : x * 4 - 2;
    }),
  );
}

async function check(backend: CpuBackend, dtype: DType, mode: Mode, l: Layout, scalar?: number): Promise<void> {
  const { sizes, dim, places, sameIndex = [], sameSource = [] } = l;
  const rank = sizes.length;
  const order = l.order ?? sizes.map((_, d) => d);
  const outSizes = sizes.map((size, d) => (d === dim ? places : size));
  const [outStrides, indexStrides, sourceStrides] = [
    stridesOf(outSizes, order, []),
    stridesOf(
      sizes,
      sizes.map((_, d) => d),
      sameIndex,
    ),
    stridesOf(sizes, order, sameSource),
  ];
  const count = sizes.reduce((a, b) => a * b, 1);
  const next = numbers(places);
  const [before, source] = [
    values(
      dtype,
      outSizes.reduce((a, b) => a * b, 3),
      1,
    ),
    values(dtype, count + 2, 2),
  ];
  const index = Array.from({ length: count + 1 }, () => Math.floor(next() * places));
  const buffers = [
    bufferOf(backend, dtype, hostNumbers(before, dtype)),
    bufferOf(backend, "int32", index),
    bufferOf(backend, dtype, hostNumbers(source, dtype)),
  ];
  const structure = routine("scatter", { mode, rank, source: scalar === undefined ? "tensor" : "scalar" }, [
    { dtype, mode: "read-write" },
    { dtype: "int32", mode: "read" },
    ...(scalar === undefined ? [{ dtype, mode: "read" as const }] : []),
  ]);
  const ints = [dim, places, ...sizes, ...outStrides, 3, ...indexStrides, 1];
  if (scalar === undefined) ints.push(...sourceStrides, 2);
  const used = scalar === undefined ? buffers : buffers.slice(0, 2);
  backend.run([callOf(backend, structure, { ints, scalars: scalar === undefined ? [] : [scalar] }, used)]);
  const got = await elements(backend, buffers[0]!, dtype, before.length);
  for (const buffer of buffers) backend.release(buffer);
  const want = Array.from(hostNumbers(before, dtype));
  const terms = hostNumbers(source, dtype);
  for (let i = 0; i < count; i++) {
    let [to, at, from] = [3, 1, 2];
    for (let d = rank - 1, rest = i; d >= 0; d--) {
      const c = rest % sizes[d]!;
      rest = Math.floor(rest / sizes[d]!);
      if (d !== dim) to += c * outStrides[d]!;
      at += c * indexStrides[d]!;
      from += c * sourceStrides[d]!;
    }
    to += index[at]! * outStrides[dim]!;
    want[to] = combine(mode, dtype, want[to]!, scalar === undefined ? terms[from]! : rounded(dtype, scalar));
  }
  // Half precision may be rounded by way of single precision.
  if (dtype === "float16")
    got.forEach((x, i) => {
      const y = want[i]!;
      if (!Object.is(x, y)) expect(Math.abs(x - y)).toBeLessThanOrEqual(2 ** -9 * Math.abs(y));
    });
  else expect(got).toEqual(want);
}

const LAYOUTS: readonly (readonly [string, Layout])[] = [
  ["a vector", { sizes: [137], dim: 0, places: 20 }],
  ["rows with an index each", { sizes: [40, 23], dim: 0, places: 7, sameIndex: [1] }],
  ["rows of three", { sizes: [40, 3], dim: 0, places: 7, sameIndex: [1] }],
  ["one row for all", { sizes: [40, 23], dim: 0, places: 7, sameIndex: [1], sameSource: [0] }],
  ["rows of one number", { sizes: [40, 23], dim: 0, places: 7, sameIndex: [1], sameSource: [1] }],
  ["columns with an index each", { sizes: [23, 40], dim: 1, places: 7, sameIndex: [0] }],
  ["columns that lie side by side", { sizes: [23, 40], dim: 1, places: 7, sameIndex: [0], order: [1, 0] }],
  ["elements with an index each", { sizes: [4, 31, 5], dim: 1, places: 12 }],
  ["elements of short rows", { sizes: [60, 2], dim: 1, places: 5 }],
  ["rows in a batch", { sizes: [3, 11, 18], dim: 1, places: 5, sameIndex: [2] }],
  ["nothing", { sizes: [0, 18], dim: 0, places: 5, sameIndex: [1] }],
];

describe.each(Object.entries(backends))("scatters on the CPU: %s", (_, backend) => {
  describe.each(DTYPES)("%s", (dtype) => {
    test.each(LAYOUTS)("%s", async (_name, layout) => {
      for (const mode of MODES) await check(backend, dtype, mode, layout);
    });

    test("of one number", async () => {
      for (const mode of MODES)
        for (const [, layout] of LAYOUTS.slice(0, 3)) await check(backend, dtype, mode, layout, 1);
    });
  });

  test("many rows", async () => {
    await check(backend, "float32", "add", { sizes: [3000, 193], dim: 0, places: 65, sameIndex: [1] });
  });

  test("an index out of range writes nothing and is reported", async () => {
    for (const [sizes, index, want] of [
      [[3], [0, 5, -1], [1, 7]],
      [
        [2, 4],
        [1, 2],
        [7, 7, 7, 7, 1, 1, 1, 1],
      ],
    ] as const) {
      const rank = sizes.length;
      const structure = routine("scatter", { mode: "set", rank, source: "scalar" }, [
        { dtype: "float32", mode: "read-write" },
        { dtype: "int32", mode: "read" },
      ]);
      const buffers = [
        bufferOf(
          backend,
          "float32",
          want.map(() => 7),
        ),
        bufferOf(backend, "int32", [...index]),
      ];
      const strides = rank === 1 ? [1, 0, 1, 0] : [4, 1, 0, 1, 0, 0];
      const data = { ints: [0, 2, ...sizes, ...strides], scalars: [1] };
      backend.run([callOf(backend, structure, data, buffers, 42)]);
      const { arrays, fault } = await backend.read([
        { buffer: buffers[0]!, dtype: "float32", offset: 0, count: want.length },
      ]);
      expect(fault).toBe(42);
      expect(Array.from(arrays[0]!)).toEqual(want);
      expect((await backend.read([])).fault).toBe(0);
    }
  });
});
