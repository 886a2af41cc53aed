/** Sorting of rows of every length that takes another way, and of every dtype; what PyTorch's samples leave out. */

import * as tg from "#tapegrad";
import type { DType, Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectIdentical, expectThrows, suite } from "../support/portable.ts";

/** Numbers with many repetitions, NaN, infinities and both zeros among them. */
function awkward(count: number): number[] {
  const special = [NaN, Infinity, -Infinity, 0, -0];
  return Array.from({ length: count }, (_, i) => {
    const k = (i * 7919 + 13) % 211;
    return k < 5 ? special[k]! : ((k * k) % 97) - 40.5;
  });
}

/** Positions in order by a comparison: stable, NaN last (first if descending). */
function ordered(values: readonly number[], descending: boolean): number[] {
  const rank = (x: number): number => (Number.isNaN(x) ? Infinity : Math.max(Math.min(x, 1e30), -1e30));
  const less = (a: number, b: number): number => {
    const [x, y] = [rank(values[a]!), rank(values[b]!)];
    return x === y ? a - b : descending ? y - x || a - b : x - y;
  };
  return values.map((_, i) => i).sort((a, b) => (rank(values[a]!) === rank(values[b]!) ? a - b : less(a, b)));
}

async function checkRows(rows: number, length: number, descending: boolean): Promise<void> {
  const values = awkward(rows * length);
  const x = tg.tensor(Float64Array.from(values), { shape: [rows, length] });
  const { values: sorted, indices } = x.sort(1, descending);
  const expected: number[] = [];
  for (let r = 0; r < rows; r++) expected.push(...ordered(values.slice(r * length, (r + 1) * length), descending));
  const places = Array.from(await indices.contiguous().data());
  expectEqual(places, expected, `order of ${rows} rows of ${length}`);
  const wanted = expected.map((p, i) => Math.fround(values[Math.floor(i / length) * length + p]!));
  expectIdentical(Array.from(await sorted.contiguous().data()), wanted, "values");
}

/** Sorting and searching. */
export const sorting = suite("sorting", {
  "short rows": async () => {
    for (const length of [2, 3, 17, 64]) await checkRows(5, length, length % 2 === 0);
  },
  "rows in shared memory": () => checkRows(2, 1500, false),
  "long rows": () => checkRows(3, 2600, false),
  "long rows, descending": () => checkRows(2, 3000, true),

  "a long column of a matrix": async () => {
    const x = tg.tensor(Float64Array.from(awkward(2 * 2500)), { shape: [2500, 2] });
    const byColumn = x.argsort(0);
    const byRow = x.t().contiguous().argsort(1).t();
    expectEqual(await byColumn.contiguous().data(), await byRow.contiguous().data());
  },

  "of integers, bytes and booleans": async () => {
    const cases: [DType, number[], number[]][] = [
      ["int32", [3, -2147483648, 2147483647, 0, -1], [-2147483648, -1, 0, 3, 2147483647]],
      ["uint8", [200, 3, 255, 0], [0, 3, 200, 255]],
      ["bool", [1, 0, 1, 0], [0, 0, 1, 1]],
    ];
    for (const [dtype, given, expected] of cases) {
      const x = tg.tensor(given, { dtype });
      expectEqual(Array.from(await x.sort()[0].data()), expected, dtype);
      expectEqual(Array.from(await x.sort(0, true)[0].data()), expected.toReversed(), `${dtype}, descending`);
    }
    const many = tg.tensor(
      Float64Array.from({ length: 3000 }, (_, i) => (i * 37) % 256),
      { dtype: "uint8" },
    );
    const sorted = Array.from(await many.sort()[0].data());
    ensure(
      sorted.every((v, i) => i === 0 || sorted[i - 1]! <= v),
      "3000 bytes are in order",
    );
  },

  "in double precision where single cannot tell": {
    devices: ["cpu"],
    run: async () => {
      const base = Array.from({ length: 40 }, (_, i) => ((i * 17) % 40) * 1e-12 - (i % 2));
      const x = tg.tensor(Float64Array.from(base), { dtype: "float64" });
      expectEqual(
        Array.from(await x.sort()[0].data()),
        base.toSorted((a, b) => a - b),
      );
    },
  },

  "of nothing, and of one": async () => {
    expectEqual((await tg.zeros(0, 3).sort(0)[1].data()).length, 0);
    expectEqual(await tg.tensor(5).sort()[0].item(), 5);
    expectEqual(await tg.tensor(5).topk(1).indices.item(), 0);
    expectEqual(tg.zeros(3, 4).topk(0).values.shape, [3, 0]);
    await expectThrows(() => tg.zeros(0).median(0), "to have elements");
    await expectThrows(() => tg.zeros(3).topk(4), "k = 4 out of range for dimension 0 of size 3");
    await expectThrows(() => tg.zeros(3).kthvalue(0), "k = 0 out of range");
  },

  "medians and NaN": async () => {
    const x = tg.tensor([
      [3, NaN, 1, 2],
      [4, 1, 3, 2],
    ]);
    expectEqual(await x.median(1).values.toArray(), [NaN, 2]);
    expectEqual(await x.median(1).indices.toArray(), [1, 3]);
    expectEqual(await x.nanmedian(1).values.toArray(), [2, 2]);
    expectEqual(await x.median().item(), NaN);
    expectEqual(await x.nanmedian().item(), 2);
  },

  "running extremes keep NaN": async () => {
    const { values, indices } = tg.tensor([1, 3, 3, NaN, 5, NaN]).cummax(0);
    expectEqual(await values.toArray(), [1, 3, 3, NaN, NaN, NaN]);
    expectEqual(await indices.toArray(), [0, 1, 2, 3, 3, 5]);
  },

  "search in rows, strided and empty": async () => {
    const sequence = tg
      .tensor([
        [1, 4],
        [3, 5],
        [3, 9],
      ])
      .t();
    const values = tg.tensor([
      [3, 0],
      [9, 10],
    ]);
    expectEqual(await tg.searchsorted(sequence, values).toArray(), [
      [1, 0],
      [2, 3],
    ]);
    expectEqual(await tg.searchsorted(sequence, values, { side: "right" }).toArray(), [
      [3, 0],
      [3, 3],
    ]);
    expectEqual(await tg.searchsorted(tg.tensor([1, 2]), NaN).item(), 2);
    expectEqual(await tg.searchsorted(tg.zeros(0), 3).item(), 0);
    await expectThrows(() => tg.searchsorted(sequence, tg.zeros(3, 2)), "must agree in all but the last dimension");
  },

  "distinct elements, counts and where they went": async () => {
    const x = tg.tensor([
      [3, 1, 3],
      [2, 1, 3],
    ]);
    const [values, inverse, counts] = (await x.unique({ returnInverse: true, returnCounts: true })) as Tensor[];
    expectEqual(await values!.toArray(), [1, 2, 3]);
    expectEqual(await inverse!.toArray(), [
      [2, 0, 2],
      [1, 0, 2],
    ]);
    expectEqual(await counts!.toArray(), [2, 1, 3]);
    expectEqual(((await tg.zeros(0).unique()) as Tensor).shape, [0]);
    const slices = (await tg
      .tensor([
        [2, 1],
        [0, 5],
        [2, 1],
      ])
      .unique({ dim: 0 })) as Tensor;
    expectEqual(await slices.toArray(), [
      [0, 5],
      [2, 1],
    ]);
  },

  "gradients go back to where the values came from": async () => {
    const x = tg.tensor([3, 1, 2]).requiresGrad_();
    x.sort()
      .values.mul(tg.tensor([10, 20, 30]))
      .sum()
      .backward();
    expectClose(await x.grad!.data(), [30, 10, 20]);
  },
});
