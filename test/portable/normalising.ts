/** Normalisation, dropout and tables: what PyTorch's samples leave out. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { F } = tg;

function double(shape: number[], seed: number): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length: count }, (_, i) => Math.sin(3.7 * i + seed));
  return tg.tensor(values, { shape, dtype: "float64" }).requiresGrad_();
}

/** Normalisation, dropout and tables. */
export const normalising = suite("normalising", {
  "running statistics of a batch": async () => {
    const x = tg.tensor([1, 2, 3, 4, 5, 9], { shape: [3, 2] });
    const [mean, variance] = [tg.zeros(2), tg.ones(2)];
    F.batchNorm(x, mean, variance, null, null, true, 0.5);
    expectClose(await mean.data(), [1.5, 2.5]);
    expectClose(await variance.data(), [2.5, 7]);
    const y = F.batchNorm(x, mean, variance, tg.tensor([2, 3]), tg.tensor([1, 0]));
    expectClose(await y.at(0).data(), [1 - 1 / Math.sqrt(2.5), -1.5 / Math.sqrt(7)], { rtol: 1e-4 });
    await expectThrows(
      () => F.batchNorm(tg.zeros(1, 2), null, null, null, null, true),
      "more than 1 value per channel",
    );
  },

  "derivatives agree with differences, twice": {
    devices: ["cpu"],
    run: async () => {
      const [x, w, b] = [double([3, 4, 2], 1), double([4], 2), double([4], 3)];
      const checks = [
        (x: Tensor, w: Tensor, b: Tensor) => F.batchNorm(x, null, null, w, b, true),
        (x: Tensor, w: Tensor, b: Tensor) => F.groupNorm(x, 2, w, b),
        (x: Tensor, w: Tensor) => F.rmsNorm(x.transpose(1, 2), 4, w),
        (x: Tensor) => F.localResponseNorm(x, 3),
      ];
      for (const [i, f] of checks.entries()) {
        ensure(await tg.autograd.gradcheck(f, [x, w, b]), `first of number ${i}`);
        ensure(await tg.autograd.gradgradcheck(f, [x, w, b]), `second of number ${i}`);
      }
    },
  },

  "dropout keeps what it scales, and repeats from a seed": async () => {
    tg.manualSeed(3);
    const x = tg.ones(40, 50).requiresGrad_();
    const y = F.dropout(x, 0.25);
    const values = Array.from(await y.data());
    const kept = values.filter((v) => v !== 0);
    ensure(
      kept.every((v) => Math.abs(v - 4 / 3) < 1e-6),
      "kept elements are scaled",
    );
    ensure(kept.length > 1400 && kept.length < 1600, `${kept.length} of 2000 are kept`);
    y.sum().backward();
    expectEqual(Array.from(await x.grad!.data()), values, "the gradient has the mask of the forward pass");
    tg.manualSeed(3);
    expectEqual(Array.from(await F.dropout(tg.ones(40, 50), 0.25).data()), values);
    ensure(F.dropout(x, 0.25, false) === x, "nothing happens in evaluation");
    expectEqual(
      await F.dropout(tg.tensor([NaN, 1]), 1)
        .at(1)
        .item(),
      0,
    );
    const channels = Array.from(await F.dropout2d(tg.ones(4, 8, 3, 3), 0.5).data());
    for (let c = 0; c < 32; c++) ensure(new Set(channels.slice(c * 9, c * 9 + 9)).size === 1, "channels go as a whole");
    const alpha = new Set(Array.from(await F.alphaDropout(tg.ones(1000), 0.3, true).data(), (v) => v.toFixed(3)));
    expectEqual([...alpha].sort(), ["-1.060", "1.315"]);
    await expectThrows(() => F.dropout(x, 1.5), "has to be between 0 and 1");
  },

  "one-hot vectors": async () => {
    expectEqual(await F.oneHot(tg.tensor([0, 2], { dtype: "int32" }), 3).toArray(), [
      [1, 0, 0],
      [0, 0, 1],
    ]);
    expectEqual((await F.oneHot(tg.tensor([0, 4], { dtype: "int32" }))).shape, [2, 5]);
    await expectThrows(() => F.oneHot(tg.tensor([3], { dtype: "int32" }), 3), "below numClasses = 3");
    await expectThrows(() => F.oneHot(tg.tensor([0.5]), 3), "expected int32 class indices");
  },

  "bags with offsets, weights and maxima": async () => {
    const weight = tg
      .tensor([
        [1, 2],
        [3, -4],
        [5, 6],
      ])
      .requiresGrad_();
    const input = tg.tensor([0, 2, 1, 1], { dtype: "int32" });
    const offsets = tg.tensor([0, 2, 2], { dtype: "int32" });
    const perSampleWeights = tg.tensor([1, 10, 1, 1]);
    const sums = F.embeddingBag(input, weight, offsets, { mode: "sum", perSampleWeights });
    expectEqual(await sums.toArray(), [
      [51, 62],
      [0, 0],
      [6, -8],
    ]);
    const best = F.embeddingBag(input, weight, offsets, { mode: "max" });
    expectEqual(await best.toArray(), [
      [5, 6],
      [0, 0],
      [3, -4],
    ]);
    best.sum().backward();
    expectEqual(await weight.grad!.toArray(), [
      [0, 0],
      [1, 1],
      [1, 1],
    ]);
    await expectThrows(() => F.embeddingBag(input, weight), "1D one with 1D offsets");
  },
});
