/** Pooling, padding and interpolation: what PyTorch's samples leave out. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { F } = tg;

function wave(...shape: number[]): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return tg.tensor(
    Float64Array.from({ length: count }, (_, i) => Math.sin(i)),
    { shape },
  );
}

function double(shape: number[], seed: number): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Float64Array.from({ length: count }, (_, i) => Math.sin(3.7 * i + seed));
  return tg.tensor(values, { shape, dtype: "float64" }).requiresGrad_();
}

/** What PyTorch 1.13 gives for the calls below. */
const EXPECTED_INDICES = [
  [8, 21, 7, 8, 21, 8, 21, 7, 8, 21],
  [8, 9, 22, 23, 9, 8, 9, 22, 23, 9],
];
const ANTIALIAS_CUBIC = [
  0.2001, 0.9297, -0.0179, -0.9294, -0.2299, 0.8531, 0.3989, -0.7713, -0.6137, 0.6048, 0.7353, -0.4581,
];
const ANTIALIAS_LINEAR = [
  0.2111, 0.8069, 0.0259, -0.8599, -0.1746, 0.7491, 0.3687, -0.6963, -0.5289, 0.5562, 0.645, -0.407,
];

/** Pooling and its kin. */
export const pooling = suite("pooling", {
  "maxima under padding, dilation and ceilMode": async () => {
    const options = { stride: [2, 1], padding: [1, 1], dilation: [2, 3], ceilMode: true, returnIndices: true } as const;
    const { output, indices } = F.maxPool2d(wave(1, 2, 5, 6), [3, 2], options);
    expectEqual(output.shape, [1, 2, 2, 5]);
    const x = (i: number): number => Math.sin(i);
    const expected = EXPECTED_INDICES.flatMap((plane, c) => plane.map((i) => x(c * 30 + i)));
    expectEqual(Array.from(await indices.data()), EXPECTED_INDICES.flat());
    expectClose(await output.data(), expected);
  },

  "NaN is the largest, and -Infinity beats padding": async () => {
    const x = tg.tensor([[[1, NaN, 2, -Infinity, -Infinity, -Infinity]]]);
    const { output, indices } = F.maxPool1d(x, 3, { stride: 3, padding: 1, returnIndices: true });
    expectEqual(Array.from(await output.data()), [NaN, 2]);
    expectEqual(Array.from(await indices.data()), [1, 2]);
    const low = F.maxPool1d(tg.full([1, 1, 3], -Infinity), 2, { padding: 1, stride: 2, returnIndices: true });
    expectEqual(Array.from(await low.output.data()), [-Infinity, -Infinity]);
    expectEqual(Array.from(await low.indices.data()), [0, 1]);
  },

  "a window that steps over the whole input is -Infinity, and passes no gradient": async () => {
    const x = tg.tensor([[[[1, 2, 3]]]]).requiresGrad_();
    const options = { stride: 1, padding: [1, 1], dilation: [2, 1], returnIndices: true } as const;
    const none = F.maxPool2d(x, 2, options);
    expectEqual(Array.from(await none.output.detach().flatten().data()), [-Infinity, -Infinity, -Infinity, -Infinity]);
    expectEqual(Array.from(await none.indices.flatten().data()), [-1, -1, -1, -1]);
    none.output.sum().backward();
    expectEqual(Array.from(await x.grad!.flatten().data()), [0, 0, 0]);
    // Two elements are enough for the tap behind the padding to fall on one.
    const two = F.maxPool2d(
      tg.tensor([
        [
          [
            [1, 2, 3],
            [4, 5, 6],
          ],
        ],
      ]),
      2,
      options,
    );
    expectEqual(Array.from(await two.output.flatten().data()), [4, 5, 6, 6, 1, 2, 3, 3]);
    expectEqual(Array.from(await two.indices.flatten().data()), [3, 4, 5, 5, 0, 1, 2, 2]);
  },

  "shrinking with a wide filter": async () => {
    const x = wave(1, 2, 5, 6);
    const cubic = F.interpolate(x, [3, 4], null, "bicubic", { antialias: true });
    expectClose(await cubic.at(0, 0).contiguous().data(), ANTIALIAS_CUBIC, { rtol: 2e-4, atol: 2e-4 });
    const linear = F.interpolate(x, [3, 4], null, "bilinear", { antialias: true });
    expectClose(await linear.at(0, 0).contiguous().data(), ANTIALIAS_LINEAR, { rtol: 2e-4, atol: 2e-4 });
  },

  "fold is the adjoint of unfold": async () => {
    const options = { dilation: [2, 1], padding: [1, 2], stride: [2, 1] };
    const x = wave(2, 3, 6, 5);
    const columns = F.unfold(x, [2, 3], options);
    const y = columns.cos();
    const back = F.fold(y, [6, 5], [2, 3], options);
    const [left, right] = [columns.mul(y).sum(), x.mul(back).sum()];
    expectClose(await left.item(), await right.item(), { rtol: 1e-5 });
  },

  "rearranged channels come back": async () => {
    const x = wave(2, 8, 3, 2);
    expectEqual(F.pixelShuffle(x, 2).shape, [2, 2, 6, 4]);
    expectClose(await F.pixelUnshuffle(F.pixelShuffle(x, 2), 2).data(), await x.data(), { rtol: 0, atol: 0 });
  },

  "pads of bool and int32": async () => {
    expectEqual(await F.pad(tg.tensor([true, false]), [1, 1], "constant", 1).toArray(), [true, true, false, true]);
    expectEqual(await F.pad(tg.tensor([[1, 2, 3]], { dtype: "int32" }), [-1, 2], { value: 7 }).toArray(), [
      [2, 3, 7, 7],
    ]);
  },

  "names what does not fit": async () => {
    const x = tg.zeros(1, 2, 4, 4);
    await expectThrows(() => F.maxPool2d(x, 2, { padding: 2 }), "padding should be at most half of the kernel size");
    await expectThrows(() => F.maxPool2d(x, 5), "input size 4 is too small");
    await expectThrows(() => F.avgPool2d(tg.zeros(4, 4), 2), "expected 3D (unbatched) or 4D (batched) input");
    await expectThrows(() => F.pad(x, [4, 0, 0, 0], "reflect"), "by at most 3");
    await expectThrows(() => F.pad(x, [1, 2, 3]), "even length");
    await expectThrows(() => F.interpolate(x), "either size or scaleFactor");
    await expectThrows(
      () => F.interpolate(x, { size: 3, mode: "linear" }),
      'mode "linear" is for 1 spatial dimensions',
    );
    await expectThrows(() => F.pixelShuffle(tg.zeros(1, 3, 2, 2), 2), "divisible by 4");
  },

  "derivatives agree with differences, twice": {
    devices: ["cpu"],
    timeout: 300_000,
    run: async () => {
      const x = double([1, 2, 4, 5], 1);
      const checks: ((x: Tensor) => Tensor)[] = [
        (x) => F.maxPool2d(x, [3, 2], { stride: [1, 2], padding: 1, dilation: [2, 1], ceilMode: true }),
        (x) => F.avgPool2d(x, [3, 2], { stride: 2, padding: [1, 0], ceilMode: true, countIncludePad: false }),
        (x) => F.adaptiveMaxPool2d(x, [3, 2]),
        (x) => F.adaptiveAvgPool2d(x, [3, 7]),
        (x) => F.lpPool2d(x.abs().add(1), 3, 2),
        (x) => F.interpolate(x, [7, 3], null, "bicubic"),
        (x) => F.pad(x, [2, 1, 0, 3], "reflect"),
        (x) => F.pad(x, [2, -1, 0, 3], "constant", 2),
        (x) => F.fold(F.unfold(x, 2, { stride: 2, padding: 1 }).square(), [4, 5], 2, { stride: 2, padding: 1 }),
      ];
      for (const [i, f] of checks.entries()) {
        ensure(await tg.autograd.gradcheck(f, [x]), `first of number ${i}`);
        ensure(await tg.autograd.gradgradcheck(f, [x]), `second of number ${i}`);
      }
    },
  },
});
