/** The first elements of rows in order on WebGPU, whose long rows are not sorted, against whole sorts by the language. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
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

/** Positions of the first `k` in order: stable, NaN largest, -0 equal to 0. */
function first(row: ArrayLike<number>, k: number, largest: boolean): number[] {
  const places = Array.from({ length: row.length }, (_, i) => i);
  const rank = (x: number, y: number): number => {
    const [p, q] = [Number.isNaN(x), Number.isNaN(y)];
    if (p || q) return Number(p) - Number(q);
    return x < y ? -1 : x > y ? 1 : 0;
  };
  places.sort((a, b) => (largest ? -1 : 1) * rank(row[a]!, row[b]!) || a - b);
  return places.slice(0, k);
}

type Maker = (random: () => number, i: number) => number;
const ROWS: Readonly<Record<string, Maker>> = {
  "random numbers": (random) => (random() - 0.5) * 2 ** Math.floor(random() * 60 - 30),
  "few values": (random) => Math.floor(random() * 5) - 2,
  "one value": () => 3,
  "zeros of both signs, infinities and NaN": (random) =>
    [0, -0, Infinity, -Infinity, NaN, 1e-40, -1][Math.floor(random() * 7)]!,
  "rising numbers": (_, i) => i,
  "falling numbers": (_, i) => -i,
};

describe.each(Object.entries(ROWS))("%s", (_, make) => {
  test.each([
    [2049, 1],
    [2049, 2048],
    [5000, 17],
    [4096, 4096],
    [100003, 100],
    [7000, 3000],
  ])("of %i the first %i", async (length, k) => {
    const random = numbers(length + k);
    const rows = [0, 1].map(() => Float32Array.from({ length }, (_, i) => make(random, i)));
    const x = tg.stack(rows.map((row) => tg.tensor(row)));
    for (const largest of [true, false]) {
      const { values, indices } = x.topk(k, { largest });
      const [v, at] = await tg.readAll([values, indices]);
      rows.forEach((row, r) => {
        const want = first(row, k, largest);
        expect(Array.from(at!.subarray(r * k, (r + 1) * k))).toEqual(want);
        expect(Array.from(v!.subarray(r * k, (r + 1) * k))).toEqual(want.map((i) => row[i]));
      });
    }
  });
});

test.each([
  ["int32", (i: number) => Math.imul(i, 2654435761)],
  ["uint8", (i: number) => (i * 31) % 251],
  ["bool", (i: number) => Number((i * i) % 11 === 0)],
] as const)("of %s, down a column", async (dtype, make) => {
  const [length, k] = [6000, 40];
  const data = Array.from({ length }, (_, i) => make(i));
  const wide = tg.stack([tg.tensor(data, { dtype }), tg.tensor(data.toReversed(), { dtype })], 1);
  for (const largest of [true, false]) {
    const indices = await wide.topk(k, { dim: 0, largest }).indices.toArray();
    const columns = [first(data, k, largest), first(data.toReversed(), k, largest)];
    expect(indices).toEqual(columns[0]!.map((_, i) => [columns[0]![i], columns[1]![i]]));
  }
});

test("of many rows, and its gradient", async () => {
  const [rows, length, k] = [300, 2500, 3];
  const random = numbers(1);
  const data = Float32Array.from({ length: rows * length }, () => random());
  const x = tg.tensor(data).reshape(rows, length).requiresGrad_();
  const { values } = x.topk(k);
  values
    .mul(tg.tensor([1, 2, 3]))
    .sum()
    .backward();
  const grad = await x.grad!.data();
  for (const r of [0, 7, 299]) {
    const row = data.subarray(r * length, (r + 1) * length);
    const want = new Array<number>(length).fill(0);
    first(row, k, true).forEach((at, i) => (want[at] = i + 1));
    expect(Array.from(grad.subarray(r * length, (r + 1) * length))).toEqual(want);
  }
});

test("a median and a k-th value need no sort either", async () => {
  const random = numbers(4);
  const data = Float32Array.from({ length: 3001 }, () => random());
  const sorted = Float32Array.from(data).sort();
  expect(await tg.tensor(data).kthvalue(1501).values.item()).toBe(sorted[1500]);
  expect(await tg.tensor(data).median().item()).toBe(sorted[1500]);
});
