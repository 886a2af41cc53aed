/** Datasets, batches and files. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { data, io } = tg;

/** A .npy file of 64-bit integers in column order: [[1, 3], [2, 4]]. */
const FORTRAN_NPY = [
  0x93,
  0x4e,
  0x55,
  0x4d,
  0x50,
  0x59,
  1,
  0,
  0x76,
  0,
  ...Array.from("{'descr': '<i8', 'fortran_order': True, 'shape': (2, 2), }".padEnd(117) + "\n", (c) =>
    c.charCodeAt(0),
  ),
  ...[1, 2, 3, 4].flatMap((v) => [v, 0, 0, 0, 0, 0, 0, 0]),
];

/** Datasets, batches and files. */
export const dataSuite = suite("data and files", {
  "batches of tensors": async () => {
    const x = tg.arange(10).reshape(5, 2);
    const set = new data.TensorDataset(x, tg.arange(5));
    const seen: unknown[] = [];
    for await (const [a, b] of new data.DataLoader(set, { batchSize: 2 })) seen.push([a!.shape, await b!.toArray()]);
    expectEqual(seen, [
      [
        [2, 2],
        [0, 1],
      ],
      [
        [2, 2],
        [2, 3],
      ],
      [[1, 2], [4]],
    ]);
    tg.manualSeed(1);
    const order: number[] = [];
    const shuffled = new data.DataLoader(set, { batchSize: 2, shuffle: true, dropLast: true });
    expectEqual(shuffled.length, 2);
    for await (const [, b] of shuffled) order.push(...((await b!.toArray()) as number[]));
    expectEqual(order.length, 4);
    expectEqual(new Set(order).size, 4);
    const parts = data.randomSplit(set, [0.6, 0.4]);
    expectEqual(
      parts.map((p) => p.length),
      [3, 2],
    );
    expectEqual(
      [...parts[0]!.indices, ...parts[1]!.indices].sort((a, b) => a - b),
      [0, 1, 2, 3, 4],
    );
    expectEqual(new data.ConcatDataset(parts).length, 5);
    await expectThrows(() => new data.TensorDataset(x, tg.zeros(4)), "size mismatch between tensors");
    await expectThrows(() => set.get(5), "index 5 is out of range for 5 samples");
  },

  "batches of other samples": async () => {
    class Squares extends data.Dataset<{ x: number; y: Tensor }> {
      override get length(): number {
        return 3;
      }
      override get(index: number): { x: number; y: Tensor } {
        return { x: index, y: tg.tensor([index * index]) };
      }
    }
    const loader = new data.DataLoader<{ x: Tensor; y: Tensor }>(new Squares(), { batchSize: 3 });
    for await (const batch of loader) {
      expectEqual(await batch.x.toArray(), [0, 1, 2]);
      expectEqual(await batch.y.toArray(), [[0], [1], [4]]);
    }
    const drawn = [...new data.WeightedRandomSampler([0, 1, 0, 3], 50)];
    ensure(drawn.every((i) => i === 1 || i === 3) && drawn.length === 50, "only samples with weight are drawn");
    const twice = [...new data.RandomSampler({ length: 3 }, { replacement: true, numSamples: 20 })];
    ensure(twice.length === 20 && twice.every((i) => i >= 0 && i < 3), "numbers are within the dataset");
  },

  "text, tables and IDX": async () => {
    const text = new data.TextDataset("hello", 3);
    expectEqual(text.vocabulary, ["e", "h", "l", "o"]);
    const [x, y] = text.batch([0, 1]);
    expectEqual(await x.toArray(), [
      [1, 0, 2],
      [0, 2, 2],
    ]);
    expectEqual(await y.toArray(), [
      [0, 2, 2],
      [2, 2, 3],
    ]);
    expectEqual(text.decode([1, 0]), "he");
    const { columns, values } = data.loadCsv('a,"b, c"\r\n1,2.5\n,-3e2\n');
    expectEqual(columns, ["a", "b, c"]);
    expectEqual(await values.toArray(), [
      [1, 2.5],
      [NaN, -300],
    ]);
    await expectThrows(() => data.loadCsv("a\nx\n"), '"x" in row 1, column "a", is no number');
    const idx = data.loadIdx(Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 255));
    expectEqual([idx.dtype, await idx.toArray()], ["uint8", [[7], [255]]]);
    await expectThrows(() => data.loadIdx(Uint8Array.of(31, 139, 8, 0)), "packed by gzip");
  },

  "safetensors there and back": async () => {
    const tensors = {
      w: tg.tensor([
        [1.5, -2],
        [NaN, Infinity],
      ]),
      n: tg.tensor([-5, 7], { dtype: "int32" }),
      b: tg.tensor([true, false, true]),
      scalar: tg.tensor(3),
      none: tg.zeros(0, 2),
    };
    const file = await io.saveSafetensors(tensors, { made: "here" });
    const back = io.loadSafetensors(file);
    expectEqual(Object.keys(back), Object.keys(tensors));
    for (const [name, t] of Object.entries(tensors)) {
      expectEqual([back[name]!.dtype, [...back[name]!.shape]], [t.dtype, [...t.shape]], name);
      expectEqual(await back[name]!.data(), await t.data(), name);
    }
    await expectThrows(() => io.loadSafetensors(file.subarray(0, 20)), "longer than the file");
  },

  "NumPy's files there and back": async () => {
    const x = tg.arange(6).reshape(2, 3).t();
    const file = await io.saveNpy(x);
    expectEqual(file.length, 128 + 24);
    expectEqual(await io.loadNpy(file).toArray(), [
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    expectEqual(await io.loadNpy(Uint8Array.from(FORTRAN_NPY)).toArray(), [
      [1, 3],
      [2, 4],
    ]);
    const back = await io.loadNpz(await io.saveNpz({ a: x, "b.c": tg.tensor([true]) }));
    expectEqual(Object.keys(back), ["a", "b.c"]);
    expectEqual(await back["a"]!.toArray(), [
      [0, 3],
      [1, 4],
      [2, 5],
    ]);
    expectEqual(await back["b.c"]!.toArray(), [true]);
    await expectThrows(() => io.loadNpy(new Uint8Array(20)), "this is no .npy file");
    await expectThrows(() => io.loadNpz(new Uint8Array(30)), "no zip directory");
  },
});
