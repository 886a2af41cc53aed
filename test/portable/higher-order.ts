/** Gradients of gradients of gradients, against finite differences in float64 and analytic values, on every device. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, suite, type TestContext } from "../support/portable.ts";

/** The third derivative along a direction: d/dx of (w . d/dx of (v . d f / d x)), v and w fixed and irregular. */
function third(f: (x: Tensor) => Tensor, x: Tensor): Tensor[] {
  const weights = (n: number): Tensor =>
    tg.tensor(
      Array.from({ length: n }, (_, i) => Math.sin(1.3 * i + n)),
      { dtype: x.dtype, device: x.device },
    );
  const dot = (g: Tensor): Tensor => g.reshape(-1).dot(weights(g.numel()));
  const [g] = tg.autograd.grad(dot(f(x)), x, { createGraph: true });
  const [h] = tg.autograd.grad(dot(g!), x, { createGraph: true });
  const [k] = tg.autograd.grad(dot(h!), x);
  return [g!, h!, k!];
}

/**
 * Three orders of gradients: in float64 each against central differences of the one before, at a few coordinates; in float32 on the device
 * against those in float64.
 */
async function check(f: (x: Tensor) => Tensor, shape: number[], { device }: TestContext, rtol: number): Promise<void> {
  const count = shape.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: count }, (_, i) => Math.cos(2.1 * i + 0.3) * 0.9);
  const make = (v: readonly number[], options: object): Tensor =>
    tg.tensor(Float64Array.from(v), { shape, requiresGrad: true, ...options });
  const exact = { dtype: "float64", device: "cpu" } as const;
  const reference = third(f, make(values, exact));
  // The reference itself: each order against differences of the one before.
  const weighted = (n: number): number[] => Array.from({ length: n }, (_, i) => Math.sin(1.3 * i + n));
  const scalar = (t: Tensor): number => {
    const data = t.dataSync();
    return weighted(data.length).reduce((sum, w, i) => sum + w * data[i]!, 0);
  };
  const eps = 1e-5;
  const coordinates = values.map((_, j) => j).filter((j) => j % Math.ceil(count / 3) === 0);
  for (let order = 0; order < 3; order++) {
    const differences = coordinates.map((j) => {
      const at = (step: number): number => {
        const x = make(values.with(j, values[j]! + step), exact);
        return scalar(order === 0 ? f(x) : third(f, x)[order - 1]!);
      };
      return (at(eps) - at(-eps)) / (2 * eps);
    });
    const flat = reference[order]!.dataSync();
    const analytic = coordinates.map((j) => flat[j]!);
    expectClose(analytic, differences, { rtol: 1e-6, atol: 1e-7 }, `order ${order + 1}`);
  }
  const here = third(f, make(values, { device, dtype: "float32" }));
  for (let order = 0; order < 3; order++)
    expectClose(
      await here[order]!.data(),
      await reference[order]!.data(),
      { rtol, atol: rtol },
      `order ${order + 1} in float32 on ${device}`,
    );
}

const positive = (x: Tensor): Tensor => x.square().add(0.5);

const FUNCTIONS: Readonly<Record<string, { shape: number[]; rtol?: number; f: (x: Tensor) => Tensor }>> = {
  tanh: { shape: [5], f: (x) => x.tanh() },
  sigmoid: { shape: [5], f: (x) => x.sigmoid() },
  softmax: { shape: [2, 3], f: (x) => x.softmax(-1) },
  "log softmax over the first dimension": { shape: [3, 2], f: (x) => x.logSoftmax(0) },
  "a chain of matrix products": { shape: [3, 3], f: (x) => x.matmul(x.t()).matmul(x) },
  "a batch of matrix products": { shape: [2, 2, 2], f: (x) => x.matmul(x.at(0)).bmm(x.mT) },
  "a network": { shape: [2, 3], f: (x) => x.matmul(x.t().tanh()).softmax(1).matmul(x).square().mean() },
  "a norm": { shape: [2, 3], f: (x) => x.norm() },
  "a norm along a dimension": { shape: [2, 3], f: (x) => x.norm(3, 1) },
  "layer norm": { shape: [2, 4], rtol: 2e-4, f: (x) => tg.F.layerNorm(x, [4], x.at(0), x.at(1)) },
  "logsumexp of a product": { shape: [2, 3], f: (x) => x.mul(x.flip(1)).logsumexp(1) },
  "a power of a power": { shape: [4], f: (x) => positive(x).pow(x).pow(1.5) },
  "division and square root": { shape: [4], f: (x) => x.div(positive(x)).add(positive(x).sqrt()) },
  "log and log1p": { shape: [4], f: (x) => positive(x).log().mul(positive(x).log1p()) },
  gelu: { shape: [4], f: (x) => tg.F.gelu(x) },
  "variance and standard deviation": { shape: [3, 4], f: (x) => x.var(1).add(x.std(1)) },
  "a product": { shape: [2, 3], f: (x) => x.prod(1).mul(x.prod()) },
  "a running product": { shape: [4], f: (x) => x.cumprod(0) },
  "views and indices": {
    shape: [3, 4],
    f: (x) =>
      x
        .at(tg.slice(1, null), [0, 2, 2])
        .mul(x.t().at(tg.slice(null, 2), 1).sum())
        .pow(3),
  },
  "gather and scatter": {
    shape: [3, 3],
    f: (x) => {
      const index = tg.tensor([[0, 1, 0], [2, 2, 1]], { dtype: "int32", device: x.device }); // prettier-ignore
      return x.scatterAdd(0, index, x.gather(0, index).pow(2)).pow(2);
    },
  },
  "a write in place": {
    shape: [2, 3],
    f: (x) => {
      const y = x.mul(2);
      y.at(0).mul_(x.at(1).sin());
      return y.mul(x);
    },
  },
  "cross entropy": {
    shape: [2, 3],
    f: (x) => tg.F.crossEntropy(x, tg.tensor([2, 0], { dtype: "int32", device: x.device })),
  },
};

export const higherOrder = suite(
  "higher order",
  {
    ...Object.fromEntries(
      Object.entries(FUNCTIONS).map(([name, { f, shape, rtol = 5e-5 }]) => [
        `third derivative of ${name}`,
        (context: TestContext) => check(f, shape, context, rtol),
      ]),
    ),

    "derivatives of a polynomial of every order": async () => {
      const x = tg.tensor(2).requiresGrad_();
      let y = x.pow(5);
      const values: number[] = [];
      for (let order = 0; order < 6; order++) {
        const [g] = tg.autograd.grad(y, x, { createGraph: true, allowUnused: true });
        values.push(await g!.item());
        y = g!;
        if (!y.requiresGrad) break;
      }
      expectClose(values.slice(0, 5), [80, 160, 240, 240, 120]);
      ensure(
        values.slice(5).every((v) => v === 0),
        "and nothing beyond",
      );
    },

    "a gradient penalty": async () => {
      const w = tg.tensor([[1, 2], [3, 4]]).requiresGrad_(); // prettier-ignore
      const x = tg.tensor([[1, -1]]).requiresGrad_();
      const [g] = tg.autograd.grad(x.matmul(w).square().sum(), x, { createGraph: true });
      g!.square().sum().backward();
      // g = 2 x W W^T; |g|^2 = 4 x M M x^T with M = W W^T = [[5, 11], [11, 25]]; d/dW = 8 (q p^T + p q^T) W, p = x, q = x M.
      const p = [1, -1];
      const q = [-6, -14];
      const outer = [0, 1].map((i) => [0, 1].map((j) => q[i]! * p[j]! + p[i]! * q[j]!));
      const W = [[1, 2], [3, 4]]; // prettier-ignore
      const expected = outer.map((row) => [0, 1].map((j) => 8 * (row[0]! * W[0]![j]! + row[1]! * W[1]![j]!)));
      expectEqual(await w.grad!.toArray(), expected);
    },

    "relu, abs, max and clamp have zero second derivatives": async () => {
      for (const f of [
        (x: Tensor) => x.relu(),
        (x: Tensor) => x.abs(),
        (x: Tensor) => x.max(0)[0],
        (x: Tensor) => x.clamp(-1, 1),
      ]) {
        const x = tg.tensor([0.5, -0.25, 3]).requiresGrad_();
        const [g] = tg.autograd.grad(f(x).sum(), x, { createGraph: true });
        if (!g!.requiresGrad) continue;
        const [h] = tg.autograd.grad(g!.mul(x).sum(), x, { allowUnused: true });
        expectEqual(await h!.toArray(), await g!.toArray(), "only the factor is differentiated");
      }
    },
  },
  { timeout: 120_000 },
);
