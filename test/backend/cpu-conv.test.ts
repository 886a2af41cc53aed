/** Convolutions on the CPU: every path through blocks, chunks and margins, against the plain loops, and on several threads. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import type { DType } from "../../src/dtype.ts";
import { packConv, type Conv, type ConvSide } from "../../src/graph/convolution.ts";
import { bufferOf, callOf, elements, routine } from "../support/kernels.ts";
import { numbers } from "../support/webgpu.ts";

const wasm = new CpuBackend({ threads: 1 });
const many = new CpuBackend({ threads: 3 });
const plain = new CpuBackend({ wasm: false });

afterAll(() => many.destroy());

interface Case {
  readonly batch?: number;
  readonly groups?: number;
  readonly channels: number;
  readonly filters: number;
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly stride?: number;
  readonly padding?: number;
  readonly dilation?: number;
  /** Divisor, as in a transposed convolution. */
  readonly divisor?: number;
  readonly output?: readonly number[];
  /** Distance of neighbouring elements of the input. */
  readonly gap?: number;
}

function strided(sizes: readonly number[], gap = 1): number[] {
  return sizes.map((_, d) => gap * sizes.slice(d + 1).reduce((a, b) => a * b, 1));
}

/** Operands [batch, groups, channels, ...], [groups, filters, channels, ...] and [batch, groups, filters, ...]. */
function numbersOf(c: Case): { conv: Conv; counts: readonly number[] } {
  const { batch = 1, groups = 1, channels, filters, input, kernel, gap = 1 } = c;
  const all = (value: number): number[] => input.map(() => value);
  const [stride, padding, dilation, divisor] = [c.stride ?? 1, c.padding ?? 0, c.dilation ?? 1, c.divisor ?? 1];
  const output =
    c.output ?? input.map((n, d) => Math.floor((n + 2 * padding - (kernel[d]! - 1) * dilation - 1) / stride) + 1);
  const fromSizes = [batch, groups, channels, ...input];
  const weightSizes = [groups, filters, channels, ...kernel];
  const toSizes = [batch, groups, filters, ...output];
  const [f, w, t] = [strided(fromSizes, gap), strided(weightSizes), strided(toSizes)];
  const side = (s: readonly number[], outer: number, group: number, channel: number, offset: number): ConvSide => ({
    offset,
    group: s[group]!,
    outer: s[outer]!,
    channel: s[channel]!,
    spatial: s.slice(3),
  });
  const conv: Conv = {
    groups,
    batch,
    inChannels: channels,
    outChannels: filters,
    input,
    kernel,
    output,
    stride: all(stride),
    dilation: all(dilation),
    padding: all(padding),
    divisor: all(divisor),
    from: side(f, 0, 1, 2, 3),
    weight: side(w, 1, 0, 2, 5),
    to: side(t, 0, 1, 2, 0),
  };
  const count = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
  return { conv, counts: [3 + gap * count(fromSizes), 5 + count(weightSizes), count(toSizes)] };
}

async function result(backend: CpuBackend, dtype: DType, c: Case): Promise<number[]> {
  const { conv, counts } = numbersOf(c);
  const next = numbers(7);
  const [x, w] = counts.slice(0, 2).map((n) => Array.from({ length: n }, () => Math.fround(next() - 0.5)));
  const slot = (mode: "read" | "write") => ({ dtype, mode });
  const structure = routine("conv", { rank: c.input.length }, [slot("read"), slot("read"), slot("write")]);
  const buffers = [
    bufferOf(backend, dtype, x!),
    bufferOf(backend, dtype, w!),
    bufferOf(backend, dtype, new Array<number>(counts[2]!).fill(9)),
  ];
  backend.run([callOf(backend, structure, { ints: packConv(conv), scalars: [] }, buffers)]);
  const values = await elements(backend, buffers[2]!, dtype, counts[2]!);
  for (const buffer of buffers) backend.release(buffer);
  return values;
}

const CASES: readonly (readonly [string, Case])[] = [
  ["no margin", { batch: 3, channels: 5, filters: 7, input: [9, 11], kernel: [3, 3] }],
  ["a margin", { batch: 2, channels: 3, filters: 13, input: [17, 19], kernel: [3, 5], padding: 2 }],
  ["a stride", { batch: 2, channels: 4, filters: 6, input: [15, 16], kernel: [3, 3], stride: 2, padding: 1 }],
  ["a dilation", { batch: 1, channels: 2, filters: 5, input: [20, 13], kernel: [3, 2], dilation: 3, padding: 2 }],
  ["groups", { batch: 2, groups: 3, channels: 4, filters: 5, input: [8, 8], kernel: [3, 3], padding: 1 }],
  ["a filter a channel", { batch: 2, groups: 9, channels: 1, filters: 1, input: [11, 9], kernel: [3, 3], padding: 1 }],
  ["two filters a channel", { groups: 4, channels: 1, filters: 2, input: [16, 32], kernel: [5, 5], padding: 2 }],
  ["one dimension", { batch: 4, channels: 6, filters: 8, input: [301], kernel: [7], padding: 3 }],
  ["three dimensions", { batch: 2, channels: 3, filters: 4, input: [5, 6, 7], kernel: [2, 3, 3], padding: 1 }],
  ["a kernel of one", { batch: 2, channels: 33, filters: 20, input: [14, 14], kernel: [1, 1] }],
  ["a kernel larger than the input", { channels: 2, filters: 3, input: [2, 3], kernel: [5, 5], padding: 4 }],
  ["elements apart", { batch: 2, channels: 3, filters: 4, input: [8, 9], kernel: [3, 3], padding: 1, gap: 2 }],
  ["many terms in chunks", { channels: 2100, filters: 9, input: [4, 4], kernel: [3, 3], padding: 1 }],
  ["two filters and many terms", { channels: 5000, filters: 2, input: [5, 5], kernel: [1, 1] }],
  ["rows in blocks", { channels: 12, filters: 230, input: [7, 7], kernel: [3, 3], padding: 1 }],
  ["a batch in slabs", { batch: 3, channels: 170, filters: 3, input: [140, 100], kernel: [1, 1], padding: 1 }],
  [
    "a divisor",
    {
      batch: 2,
      channels: 6,
      filters: 5,
      input: [6, 7],
      kernel: [3, 4],
      dilation: -1,
      padding: -1,
      divisor: 2,
      output: [12, 14],
    },
  ],
  [
    "a divisor that leaves gaps",
    { batch: 1, channels: 3, filters: 4, input: [4, 4], kernel: [1, 1], divisor: 3, dilation: -1, output: [10, 11] },
  ],
];

describe.each(["float32", "float64"] as const)("%s", (dtype) => {
  test.each(CASES)("%s", async (_, c) => {
    const [got, want] = [await result(wasm, dtype, c), await result(plain, dtype, c)];
    expect(got).toHaveLength(want.length);
    const terms = c.kernel.reduce((a, b) => a * b, c.channels);
    const tolerance = (dtype === "float32" ? 1e-7 : 2e-16) * 4 * Math.sqrt(terms) + 1e-30;
    const worst = got.reduce((most, x, i) => Math.max(most, Math.abs(x - want[i]!)), 0);
    expect(worst).toBeLessThan(tolerance);
  });
});

test.each(CASES)("float16, rounded once: %s", async (_, c) => {
  const [got, want] = [await result(wasm, "float16", c), await result(plain, "float16", c)];
  expect(got).toHaveLength(want.length);
  got.forEach((x, i) => {
    // A unit in the last place, and for sums that cancel out what float32 loses of their terms.
    const bound = 2 ** -10 * Math.abs(x) + 1e-5;
    expect(Math.abs(x - want[i]!), `element ${i}`).toBeLessThanOrEqual(bound);
  });
});

describe("several threads", () => {
  beforeAll(async () => {
    for (let i = 0; i < 300 && many.workers < 2; i++) {
      await result(many, "float32", CASES[12]![1]);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  test.each(CASES)("%s", async (_, c) => {
    expect(many.workers).toBe(2);
    expect(await result(many, "float32", c)).toEqual(await result(wasm, "float32", c));
  });
});
