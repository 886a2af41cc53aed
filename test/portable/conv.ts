/** Convolutions of sizes that take every path of the kernels, against a plain loop in float64; arguments; derivatives. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { F } = tg;

interface Case {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly stride?: readonly number[];
  readonly padding?: readonly number[];
  readonly dilation?: readonly number[];
  readonly groups?: number;
}

/** Irregular numbers between -1 and 1. */
function values(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919 + seed * 104729) % 2003) / 1001.5 - 1);
}

const product = (sizes: readonly number[]): number => sizes.reduce((n, s) => n * s, 1);

/** Every coordinate of a shape. */
function* coordinates(shape: readonly number[]): Generator<number[]> {
  const count = product(shape);
  for (let i = 0; i < count; i++) {
    const at: number[] = [];
    let rest = i;
    for (let d = shape.length - 1; d >= 0; d--) {
      at[d] = rest % shape[d]!;
      rest = (rest - at[d]!) / shape[d]!;
    }
    yield at;
  }
}

/** Row-major position, or -1 outside of the shape. */
function place(shape: readonly number[], at: readonly number[]): number {
  let p = 0;
  for (let d = 0; d < shape.length; d++) {
    if (at[d]! < 0 || at[d]! >= shape[d]!) return -1;
    p = p * shape[d]! + at[d]!;
  }
  return p;
}

/** Result, and gradients of its sum weighted by `g`, by the definition. */
function reference(c: Case, x: Float32Array, w: Float32Array, g: Float32Array, output: readonly number[]) {
  const rank = c.x.length - 2;
  const one = Array.from({ length: rank }, () => 1);
  const { stride = one, padding = one.map(() => 0), dilation = one, groups = 1 } = c;
  const out = new Float64Array(product(output));
  const dx = new Float64Array(x.length);
  const dw = new Float64Array(w.length);
  const perGroup = c.w[0]! / groups;
  for (const at of coordinates(output)) {
    const o = place(output, at);
    const group = Math.floor(at[1]! / perGroup);
    for (const tap of coordinates(c.w.slice(1))) {
      const from = at.slice(2).map((y, d) => y * stride[d]! + tap[d + 1]! * dilation[d]! - padding[d]!);
      const i = place(c.x, [at[0]!, group * c.w[1]! + tap[0]!, ...from]);
      if (i < 0) continue;
      const k = place(c.w, [at[1]!, ...tap]);
      out[o]! += x[i]! * w[k]!;
      dx[i]! += g[o]! * w[k]!;
      dw[k]! += g[o]! * x[i]!;
    }
  }
  return { out, dx, dw };
}

async function check(c: Case): Promise<void> {
  const rank = c.x.length - 2;
  const conv = [F.conv1d, F.conv2d, F.conv3d][rank - 1]!;
  const back = [F.convTranspose1d, F.convTranspose2d, F.convTranspose3d][rank - 1]!;
  const { x: xShape, w: wShape, stride = 1, padding = 0, dilation = 1, groups = 1 } = c;
  const [xv, wv] = [values(product(xShape), 1), values(product(wShape), 2)];
  const x = tg.tensor(xv, { shape: xShape }).requiresGrad_();
  const w = tg.tensor(wv, { shape: wShape }).requiresGrad_();
  const y = conv(x, w, null, { stride, padding, dilation, groups });
  const gv = values(y.numel(), 3);
  const g = tg.tensor(gv, { shape: [...y.shape] });
  const expected = reference(c, xv, wv, gv, y.shape);
  const bounds = { rtol: 1e-4, atol: 2e-4 };
  const [dx, dw] = tg.autograd.grad(y, [x, w], { gradOutputs: g }) as [Tensor, Tensor];
  expectClose(await y.data(), expected.out, bounds, "the result");
  expectClose(await dx.data(), expected.dx, bounds, "the gradient of the input");
  expectClose(await dw.data(), expected.dw, bounds, "the gradient of the weight");
  // The transposed convolution is the adjoint: what it makes of g is the input's gradient, with zeros where strides leave a rest.
  const adjoint = back(g, w, null, { stride, padding, dilation, groups });
  let part: Tensor = dx;
  adjoint.shape.forEach((n, d) => (part = part.narrow(d, 0, Math.min(n, part.shape[d]!))));
  ensure(
    part.shape.every((n, d) => n === adjoint.shape[d]),
    "the transposed convolution is as large as the input it came from",
  );
  expectClose(await adjoint.data(), await part.contiguous().data(), bounds, "the transposed convolution");
}

const CASES: Readonly<Record<string, Case>> = {
  "of one channel": { x: [2, 1, 9, 8], w: [1, 1, 3, 3] },
  "of more channels than a tile": { x: [2, 5, 12, 11], w: [37, 5, 3, 3], padding: [1, 1] },
  "with stride and padding": { x: [3, 4, 13, 14], w: [9, 4, 5, 3], stride: [2, 3], padding: [2, 1] },
  "with a stride beyond the kernel": { x: [1, 6, 11, 12], w: [8, 6, 2, 1], stride: [3, 4] },
  "with dilation": { x: [2, 3, 15, 14], w: [6, 3, 3, 2], dilation: [2, 3], padding: [2, 3] },
  "with stride and dilation that share a factor": {
    x: [1, 3, 17, 16],
    w: [7, 3, 3, 3],
    stride: [4, 2],
    dilation: [2, 4],
    padding: [1, 4],
  },
  "in groups": { x: [2, 12, 7, 8], w: [18, 4, 3, 3], groups: 3, padding: [1, 1] },
  depthwise: { x: [2, 10, 9, 9], w: [10, 1, 3, 3], groups: 10, padding: [1, 1], stride: [2, 2] },
  "whose sums are split": { x: [2, 64, 6, 5], w: [20, 64, 3, 3] },
  "of one position": { x: [8, 300, 1, 1], w: [6, 300, 1, 1] },
  "in one dimension": { x: [3, 7, 40], w: [11, 7, 5], stride: [2], padding: [2] },
  "in three dimensions": {
    x: [2, 3, 6, 7, 5],
    w: [8, 3, 3, 2, 3],
    stride: [2, 1, 2],
    padding: [1, 0, 1],
    dilation: [1, 2, 1],
  },
};

const tests = Object.fromEntries(
  Object.entries(CASES).map(([name, c]) => [`agrees with its definition ${name}`, () => check(c)]),
);

/** Convolution. */
export const conv = suite("convolution", {
  ...tests,

  "of transposed and sliced operands": async () => {
    const x = tg
      .tensor(values(2 * 9 * 8 * 6, 1), { shape: [8, 2, 6, 9] })
      .permute(1, 2, 0, 3)
      .at(tg.ellipsis, tg.slice(1, 8));
    const w = tg.tensor(values(5 * 6 * 9, 2), { shape: [3, 3, 6, 5] }).permute(3, 2, 1, 0);
    const y = F.conv2d(x, w);
    const z = F.conv2d(x.contiguous(), w.contiguous());
    expectClose(await y.data(), await z.data(), { rtol: 0, atol: 0 });
  },

  "without elements": async () => {
    const w = tg.ones(4, 3, 3, 3).requiresGrad_();
    const y = F.conv2d(tg.zeros(0, 3, 5, 5), w);
    expectEqual(y.shape, [0, 4, 3, 3]);
    y.sum().backward();
    expectEqual(await w.grad!.sum().item(), 0);
  },

  "names what does not fit": async () => {
    const x = tg.zeros(1, 3, 5, 5);
    await expectThrows(() => F.conv2d(x, tg.zeros(4, 2, 3, 3)), "to have 2 channels, but got 3 channels instead");
    await expectThrows(() => F.conv2d(x, tg.zeros(4, 3, 6, 3)), "Kernel size can't be greater than actual input size");
    await expectThrows(
      () => F.conv2d(tg.zeros(5, 5), tg.zeros(4, 3, 3, 3)),
      "expected 3D (unbatched) or 4D (batched) input",
    );
    await expectThrows(
      () => F.conv2d(x, tg.zeros(4, 3, 3, 3), tg.zeros(3)),
      "expected bias to be 1-dimensional with 4 elements",
    );
    await expectThrows(() => F.conv2d(x, tg.zeros(4, 3, 3, 3), null, { stride: 0 }), "stride must be at least 1");
    await expectThrows(
      () => F.conv2d(x, tg.zeros(4, 3, 3, 3), null, 2, "same"),
      'padding "same" is not supported for strided',
    );
    await expectThrows(
      () => F.conv2d(x, tg.zeros(4, 3, 3, 3), null, { pading: 1 } as never),
      'did you mean "padding"?',
    );
    await expectThrows(
      () => F.convTranspose2d(x, tg.zeros(3, 4, 3, 3), null, { outputPadding: 1 }),
      "output padding must be smaller",
    );
  },

  "derivatives agree with differences, twice": {
    devices: ["cpu"],
    run: async () => {
      const double = (shape: number[], seed: number): Tensor =>
        tg.tensor(values(product(shape), seed), { shape, dtype: "float64" }).requiresGrad_();
      const [x, w, b] = [double([1, 2, 4, 4], 1), double([4, 1, 3, 2], 2), double([4], 3)];
      const options = { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 };
      const f = (x: Tensor, w: Tensor, b: Tensor): Tensor => F.conv2d(x, w, b, options);
      ensure(await tg.autograd.gradcheck(f, [x, w, b]), "first");
      ensure(await tg.autograd.gradgradcheck(f, [x, w, b]), "second");
      const [y, v, c] = [double([1, 4, 2, 3], 4), double([4, 1, 3, 2], 5), double([2], 6)];
      const t = (y: Tensor, v: Tensor, c: Tensor): Tensor =>
        F.convTranspose2d(y, v, c, { ...options, outputPadding: [1, 0] });
      ensure(await tg.autograd.gradcheck(t, [y, v, c]), "first, transposed");
      ensure(await tg.autograd.gradgradcheck(t, [y, v, c]), "second, transposed");
    },
  },
});
