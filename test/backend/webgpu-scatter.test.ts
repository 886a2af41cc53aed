/** Scatters on WebGPU in all their ways, compared with plain loops in double precision. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import * as tg from "#tapegrad";
import type { WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { backendOf, setDefaultBackend } from "../../src/graph/devices.ts";
import { numbers, openWebGpu } from "../support/webgpu.ts";

let gpu: WebGpuBackend;
beforeAll(async () => {
  gpu = await openWebGpu();
  setDefaultBackend(gpu);
});
afterAll(() => {
  setDefaultBackend(backendOf("cpu"));
  gpu.destroy();
});
afterEach(() => tg.useDeterministicAlgorithms(false));

/** Indices below `places`, as a distribution has them. */
const DISTRIBUTIONS: Readonly<Record<string, (random: () => number, places: number, i: number) => number>> = {
  even: (random, places) => Math.floor(random() * places),
  "all the same": (_, places) => places - 1,
  "mostly the same": (random, places) => (random() < 0.9 ? 3 % places : Math.floor(random() * places)),
  "a few": (random, places) => Math.floor(random() ** 6 * places),
  "all different": (_, places, i) => (i * 7) % places,
};

function filled(count: number, seed: number): Float32Array {
  const random = numbers(seed);
  return Float32Array.from({ length: count }, () => random() * 2 - 1);
}

describe("rows are added to a table", () => {
  test.each([
    [50257, 3000, 1],
    [50257, 700, 20],
    [65, 3000, 33],
    [65, 12288, 2],
    [1, 2500, 5],
    [2049, 2048, 3],
    [100000, 2049, 1],
  ])("%i places, %i entries, %i columns", async (places, entries, width) => {
    for (const [name, draw] of Object.entries(DISTRIBUTIONS)) {
      const random = numbers(entries);
      const index = Int32Array.from({ length: entries }, (_, i) => draw(random, places, i));
      const source = filled(entries * width, 5);
      const base = filled(places * width, 9);
      const want = Float64Array.from(base);
      index.forEach((at, e) => {
        for (let w = 0; w < width; w++) want[at * width + w]! += source[e * width + w]!;
      });
      const add = (): tg.Tensor =>
        tg.tensor(base).reshape(places, width).indexAdd(0, tg.tensor(index), tg.tensor(source).reshape(entries, width));
      const got = await add().data();
      let worst = 0;
      got.forEach((x, i) => (worst = Math.max(worst, Math.abs(x - want[i]!) / (1 + Math.abs(want[i]!)))));
      expect(worst, name).toBeLessThan(2e-5);
      // To the bit, each time.
      expect(await add().data()).toEqual(got);
    }
  });
});

test("the work of a large table is near linear: no dispatch sees places times entries", async () => {
  const measured = await openWebGpu({ dispatchWork: 2 ** 31 });
  try {
    setDefaultBackend(measured);
    // With 50257 * 12288 * 64 readings, in dispatches of at most 2^31 units, this would be dozens of dispatches and minutes.
    const index = Int32Array.from({ length: 12288 }, (_, i) => (i * 7919) % 50257);
    const sum = tg.zeros(50257, 64).indexAdd(0, tg.tensor(index), tg.ones(12288, 64)).sum();
    expect(await sum.item()).toBe(12288 * 64);
  } finally {
    setDefaultBackend(gpu);
    measured.destroy();
  }
});

test("the gradient of an embedding", async () => {
  const [vocabulary, tokens, width] = [5000, 4096, 8];
  const random = numbers(3);
  const index = Int32Array.from({ length: tokens }, () => Math.floor(random() ** 3 * vocabulary));
  const weight = tg.zeros(vocabulary, width).requiresGrad_();
  const g = filled(tokens * width, 1);
  tg.F.embedding(tg.tensor(index).reshape(64, 64), weight).backward(tg.tensor(g).reshape(64, 64, width));
  const want = new Float64Array(vocabulary * width);
  index.forEach((at, e) => {
    for (let w = 0; w < width; w++) want[at * width + w]! += g[e * width + w]!;
  });
  const got = await weight.grad!.data();
  got.forEach((x, i) => expect(Math.abs(x - want[i]!)).toBeLessThan(1e-4));
});

/** A scatter along a dimension of three, by loops. */
function scattered(
  base: readonly number[],
  shape: readonly number[],
  dim: number,
  index: Int32Array,
  sizes: readonly number[],
  source: ArrayLike<number>,
  combine: (a: number, b: number) => number,
): number[] {
  const out = [...base];
  const [, b, c] = sizes as [number, number, number];
  index.forEach((at, i) => {
    const place = [Math.floor(i / (b * c)), Math.floor(i / c) % b, i % c];
    place[dim] = at;
    const to = (place[0]! * shape[1]! + place[1]!) * shape[2]! + place[2]!;
    out[to] = combine(out[to]!, source[i]!);
  });
  return out;
}

describe.each([
  ["few places", [2, 5, 3], [2, 3000, 3]],
  ["few entries", [2, 4000, 3], [2, 12, 3]],
  ["many of both", [2, 3000, 3], [2, 2500, 3]],
] as const)("an index of its own for each line, %s", (_, shape, sizes) => {
  const count = sizes[0] * sizes[1] * sizes[2];
  const total = shape[0] * shape[1] * shape[2];
  const random = numbers(8);
  const index = Int32Array.from({ length: count }, () => Math.floor(random() * shape[1]));
  const at = (): tg.Tensor => tg.tensor(index).reshape(...sizes);

  test("adds floats", async () => {
    const source = filled(count, 2);
    const want = scattered(new Array<number>(total).fill(0.5), shape, 1, index, sizes, source, (a, b) => a + b);
    const got = await tg
      .full([...shape], 0.5)
      .scatterAdd(1, at(), tg.tensor(source).reshape(...sizes))
      .data();
    got.forEach((x, i) => expect(Math.abs(x - want[i]!)).toBeLessThan(1e-3));
  });

  test("adds integers, which wrap, and numbers of bytes", async () => {
    const source = Int32Array.from({ length: count }, (_, i) => (i * 40503) % 2 ** 30);
    const wrapped = scattered(new Array<number>(total).fill(7), shape, 1, index, sizes, source, (a, b) => (a + b) | 0);
    const ints = tg.full([...shape], 7, { dtype: "int32" }).scatterAdd(1, at(), tg.tensor(source).reshape(...sizes));
    expect(Array.from(await ints.data())).toEqual(wrapped);
    const bytes = Uint8Array.from({ length: count }, (_, i) => i);
    const small = scattered(new Array<number>(total).fill(1), shape, 1, index, sizes, bytes, (a, b) => (a + b) & 255);
    const got = tg.ones([...shape], { dtype: "uint8" }).scatterAdd(1, at(), tg.tensor(bytes).reshape(...sizes));
    expect(Array.from(await got.data())).toEqual(small);
  });

  test("with determinism, the last of several values stays", async () => {
    tg.useDeterministicAlgorithms(true);
    const source = filled(count, 4);
    const want = scattered(new Array<number>(total).fill(-3), shape, 1, index, sizes, source, (_, b) => b);
    const out = tg.full([...shape], -3).scatter(1, at(), tg.tensor(source).reshape(...sizes));
    expect(Array.from(await out.data())).toEqual(want);
  });

  test("takes views of index and source", async () => {
    const source = filled(count, 6);
    const turned = tg
      .tensor(source)
      .reshape(...sizes)
      .permute(2, 0, 1)
      .contiguous()
      .permute(1, 2, 0);
    const spots = at().permute(2, 1, 0).contiguous().permute(2, 1, 0);
    const want = scattered(new Array<number>(total).fill(0), shape, 1, index, sizes, source, (a, b) => a + b);
    const got = await tg
      .zeros([...shape])
      .scatterAdd(1, spots, turned)
      .data();
    got.forEach((x, i) => expect(Math.abs(x - want[i]!)).toBeLessThan(1e-3));
  });

  test("the largest stays, NaN above all", async () => {
    const source = filled(count, 7);
    source[5] = NaN;
    const largest = (a: number, b: number): number => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Math.max(a, b));
    const want = scattered(new Array<number>(total).fill(-0.5), shape, 1, index, sizes, source, largest);
    const lines = tg.full([...shape], -0.5);
    const { scatterInto } = await import("../../src/ops/indexing.ts");
    const out = scatterInto("max", lines, 1, at(), tg.tensor(source).reshape(...sizes), "max");
    expect(Array.from(await out.data())).toEqual(want.map(Math.fround));
  });
});

test("an index out of range is reported, wherever it lies, and changes nothing else", async () => {
  for (const wrong of [-1, 3000, 2 ** 31 - 1, -(2 ** 31)]) {
    const index = Int32Array.from({ length: 2500 }, (_, i) => (i === 1234 ? wrong : (i * 31) % 3000));
    // The host checks what it knows: this one is made on the device.
    const made = tg.tensor(index).mul(1);
    const out = tg.zeros(3000, 2).scatterAdd(0, made.unsqueeze(1).expand(2500, 2), tg.ones(2500, 2));
    await expect(out.data()).rejects.toThrow(/out of bounds|out of range/);
  }
});

test.each([
  ["memory", { limits: { maxStorageBufferBindingSize: 2 ** 20, maxBufferSize: 2 ** 20 } }],
  ["work in a dispatch", { dispatchWork: 2 ** 23 }],
])("little %s makes more rounds, not other results", async (_, options) => {
  const small = await openWebGpu(options);
  const [places, entries, width] = [20, 20000, 600];
  const index = Int32Array.from({ length: entries }, (_, i) => (i * i) % 17);
  const add = (): tg.Tensor =>
    tg
      .zeros(places, width)
      .indexAdd(0, tg.tensor(index), tg.tensor(filled(entries, 11)).unsqueeze(1).expand(entries, width));
  try {
    const want = await add().data();
    expect(want[5 * width]).not.toBe(want[width]);
    setDefaultBackend(small);
    expect(await add().data()).toEqual(want);
  } finally {
    setDefaultBackend(gpu);
    small.destroy();
  }
});
