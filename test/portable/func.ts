/** Transforms of functions against closed forms and loops. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { func } = tg;

/** exp(x0 x1) sin(x2), whose derivatives are easy to write down. */
function example(x: Tensor): Tensor {
  return x.select(0, 0).mul(x.select(0, 1)).exp().mul(x.select(0, 2).sin());
}

function exampleHessian(a: number, b: number, c: number): number[][] {
  const e = Math.exp(a * b);
  const [s, t] = [e * Math.sin(c), e * Math.cos(c)];
  return [
    [b * b * s, (1 + a * b) * s, b * t],
    [(1 + a * b) * s, a * a * s, a * t],
    [b * t, a * t, -s],
  ];
}

const POINT = [0.3, -0.5, 1.2] as const;

async function values(t: Tensor): Promise<number[]> {
  return Array.from(await t.data());
}

interface Params {
  w: Tensor;
  b: Tensor[];
}

/** A small model's loss on one example. */
function loss(p: Params, x: Tensor, y: Tensor): Tensor {
  return x.matmul(p.w).add(p.b[0]!).tanh().sub(y).square().mean();
}

function problem(): { params: Params; xs: Tensor; ys: Tensor } {
  tg.manualSeed(7);
  return {
    params: { w: tg.randn(3, 4), b: [tg.randn(4)] },
    xs: tg.randn(5, 3),
    ys: tg.randn(5, 4),
  };
}

/** Transforms. */
export const functional = suite("func", {
  "grad, grad of grad and grad of grad of grad of sin": async () => {
    const sin = (x: Tensor): Tensor => x.sin();
    const x = tg.tensor(0.7);
    const d1 = func.grad(sin);
    const d2 = func.grad(d1);
    const d3 = func.grad(d2);
    expectClose(await d1(x).item(), Math.cos(0.7));
    expectClose(await d2(x).item(), -Math.sin(0.7));
    expectClose(await d3(x).item(), -Math.cos(0.7));
    ensure(!d2(x).requiresGrad, "the result must not stay on the tape");
  },

  "grad by several and nested arguments, with aux": async () => {
    const { params, xs, ys } = problem();
    const [x, y] = [xs.select(0, 0), ys.select(0, 0)];
    const byParams = func.grad(loss)(params, x, y);
    const [again, gx] = func.grad(loss, [0, 1])(params, x, y);
    const [grads, aux] = func.grad((p: Params) => [loss(p, x, y), x.mul(2)] as const, { hasAux: true })(params);
    for (const p of [params.w, params.b[0]!]) p.requiresGrad_();
    x.requiresGrad_();
    loss(params, x, y).backward();
    const expected = await values(params.w.grad!);
    for (const g of [byParams.w, again.w, grads.w]) expectClose(await values(g), expected, { rtol: 1e-4, atol: 1e-5 });
    expectClose(await values(byParams.b[0]!), await values(params.b[0]!.grad!), { rtol: 1e-4, atol: 1e-5 });
    expectClose(await values(gx), await values(x.grad!), { rtol: 1e-4, atol: 1e-5 });
    expectClose(
      await values(aux),
      (await values(x)).map((v) => 2 * v),
    );
  },

  "valueAndGrad and gradAndValue": async () => {
    const x = tg.tensor([1, 2, 3]);
    const [value, slope] = func.valueAndGrad((v: Tensor) => v.dot(v))(x);
    expectClose(await value.item(), 14);
    expectClose(await values(slope), [2, 4, 6]);
    const [slope2, value2] = func.gradAndValue((v: Tensor) => v.dot(v))(x);
    expectClose(await value2.item(), 14);
    expectClose(await values(slope2), [2, 4, 6]);
  },

  "all four ways to a Hessian": async () => {
    const x = tg.tensor([...POINT]);
    const expected = exampleHessian(...POINT).flat();
    for (const h of [
      func.hessian(example),
      func.jacrev(func.jacrev(example)),
      func.jacfwd(func.jacfwd(example)),
      func.jacrev(func.jacfwd(example)),
    ])
      expectClose(await values(h(x)), expected, { rtol: 2e-4, atol: 2e-5 });
  },

  "Hessians of a batch, and the Hessian of a batch": async () => {
    const points = [[...POINT], [0.1, 0.9, -0.4]];
    const xs = tg.tensor(points);
    const each = points.map((p) => exampleHessian(p[0]!, p[1]!, p[2]!));
    const bounds = { rtol: 2e-4, atol: 2e-5 };
    expectClose(await values(func.vmap(func.hessian(example))(xs)), each.flat(2), bounds);
    const whole = await func
      .hessian((v: Tensor) => func.vmap(example)(v).sum())(xs)
      .toArray();
    for (const i of [0, 1])
      for (const j of [0, 1])
        for (const r of [0, 1, 2])
          for (const c of [0, 1, 2]) {
            const block = whole as number[][][][];
            expectClose(block[i]![r]![j]![c]!, i === j ? each[i]![r]![c]! : 0, bounds);
          }
  },

  "jacrev and jacfwd agree, whole and in chunks": async () => {
    const [a, b] = [tg.tensor([0.1, -0.4, 0.8]), tg.tensor([1, 2])];
    const f = (u: Tensor, v: Tensor): Tensor => u.outer(v).tanh();
    const [ja, jb] = func.jacrev<[Tensor, Tensor], Tensor[]>(f, [0, 1])(a, b) as [Tensor, Tensor];
    expectEqual(ja.shape, [3, 2, 3]);
    expectEqual(jb.shape, [3, 2, 2]);
    for (const chunkSize of [null, 1, 2, 4])
      for (const jacobian of [
        func.jacfwd<[Tensor, Tensor], Tensor[]>(f, { argnums: [0, 1], chunkSize }),
        func.jacrev<[Tensor, Tensor], Tensor[]>(f, { argnums: [0, 1], chunkSize }),
      ]) {
        const [ka, kb] = jacobian(a, b) as [Tensor, Tensor];
        expectClose(await values(ka), await values(ja), { rtol: 1e-4, atol: 1e-5 });
        expectClose(await values(kb), await values(jb), { rtol: 1e-4, atol: 1e-5 });
      }
  },

  "gradients of every example": async () => {
    const { params, xs, ys } = problem();
    const each = func.vmap(func.grad(loss), [null, 0, 0])(params, xs, ys);
    expectEqual(each.w.shape, [5, 3, 4]);
    for (let i = 0; i < 5; i++) {
      const one = func.grad(loss)(params, xs.select(0, i), ys.select(0, i));
      expectClose(await values(each.w.select(0, i)), await values(one.w), { rtol: 1e-4, atol: 1e-5 });
      expectClose(await values(each.b[0]!.select(0, i)), await values(one.b[0]!), { rtol: 1e-4, atol: 1e-5 });
    }
  },

  "the gradient of a vectorised loss is that of the batched one": async () => {
    const { params, xs, ys } = problem();
    const total = func.grad((p: Params) => func.vmap(loss, [null, 0, 0])(p, xs, ys).mean())(params);
    const batched = func.grad((p: Params) => loss(p, xs, ys))(params);
    expectClose(await values(total.w), await values(batched.w), { rtol: 1e-4, atol: 1e-5 });
    expectClose(await values(total.b[0]!), await values(batched.b[0]!), { rtol: 1e-4, atol: 1e-5 });
  },

  "vjp, its vectorisation, and jvp": async () => {
    const x = tg.tensor([0.1, 0.2, 0.3]);
    const [out, pull] = func.vjp((v: Tensor) => ({ s: v.sin(), c: v.cos() }), x);
    expectClose(await values(out.s), [0.1, 0.2, 0.3].map(Math.sin));
    expectClose(
      await values(pull({ s: tg.ones(3), c: tg.ones(3) })),
      [0.1, 0.2, 0.3].map((v) => Math.cos(v) - Math.sin(v)),
    );
    const [, pullSin] = func.vjp((v: Tensor) => v.sin(), x);
    const rows = func.vmap(pullSin)(tg.eye(3));
    expectClose(await values(rows.diagonal()), [0.1, 0.2, 0.3].map(Math.cos));
    const [value, tangent] = func.jvp((u: Tensor, v: Tensor) => u.mul(v), [x, x.mul(10)], [tg.ones(3), tg.ones(3)]);
    expectClose(await values(value), [0.1, 0.4, 0.9]);
    expectClose(await values(tangent), [1.1, 2.2, 3.3]);
  },

  "vmap inside vmap, over any dimension": async () => {
    const [a, b] = [tg.arange(6).reshape(2, 3), tg.arange(12).reshape(3, 4)];
    const product = func.vmap((row: Tensor) => func.vmap((column: Tensor) => row.dot(column), 1)(b))(a);
    expectClose(await product.toArray(), await a.matmul(b).toArray());
    const moved = func.vmap((column: Tensor) => column.mul(2), { inDims: 1, outDims: -1 })(a);
    expectClose(await moved.toArray(), await a.mul(2).toArray());
  },

  "in-place changes of the function's own tensors": async () => {
    const w = tg.arange(9).reshape(3, 3).div(9).requiresGrad_();
    const xs = tg.arange(12).reshape(4, 3).div(12);
    const direct = xs.matmul(w).add(xs).mul(2);
    const out = func.vmap((v: Tensor) => {
      const rows = tg.zeros(2, 3);
      rows.select(0, 0).copy_(v.matmul(w));
      rows.at(1).add_(v);
      rows.mul_(2);
      return rows.sum(0);
    })(xs);
    expectClose(await values(out), await values(direct));
    const [g] = tg.autograd.grad(out.square().sum(), w);
    const [h] = tg.autograd.grad(direct.square().sum(), w);
    expectClose(await values(g!), await values(h!), { rtol: 1e-4 });
  },

  "gathering and scattering with indices of each example": async () => {
    const table = tg.arange(12).reshape(4, 3);
    const rows = tg.tensor([[0, 3], [2, 2], [1, 0]], { dtype: "int32" }); // prettier-ignore
    const own = tg.arange(36).reshape(3, 4, 3);
    const shared = func.vmap((i: Tensor) => table.indexSelect(0, i).sum())(rows);
    expectClose(await values(shared), [33, 42, 15]);
    const each = func.vmap((t: Tensor, i: Tensor) => t.indexSelect(0, i).sum(1))(own, rows);
    expectClose(await each.toArray(), [[3, 30], [57, 57], [84, 75]]); // prettier-ignore
    const counted = func.vmap((i: Tensor) => tg.zeros(4).scatterAdd(0, i, tg.ones(2)))(rows);
    expectClose(await counted.toArray(), [[1, 0, 0, 1], [0, 0, 2, 0], [1, 1, 0, 0]]); // prettier-ignore
  },

  "random numbers: the same, different, or an error": async () => {
    const xs = tg.zeros(3, 2);
    const noisy = (x: Tensor): Tensor => x.add(tg.rand(2));
    await expectThrows(() => func.vmap(noisy)(xs), 'randomness "error"');
    tg.manualSeed(3);
    const same = (await func.vmap(noisy, { randomness: "same" })(xs).toArray()) as number[][];
    expectEqual(same[0], same[1]);
    tg.manualSeed(3);
    const different = await values(func.vmap(noisy, { randomness: "different" })(xs));
    expectEqual(new Set(different).size, 6);
    tg.manualSeed(3);
    expectEqual(different, await values(tg.rand(3, 2)));
    const masks = func.vmap((x: Tensor) => tg.bernoulli(x.add(0.5)), { randomness: "different" })(tg.zeros(64, 2));
    const mean = await masks.mean().item();
    ensure(mean > 0.3 && mean < 0.7, `the mean of 128 coin tosses is ${mean}`);
  },

  "an empty batch, zero-dimensional examples and chunks": async () => {
    const none = func.vmap((x: Tensor) => x.matmul(tg.ones(3, 2)).sum(0))(tg.zeros(0, 4, 3));
    expectEqual(none.shape, [0, 2]);
    expectEqual(await values(none), []);
    const squares = func.vmap((x: Tensor) => x.square())(tg.arange(4));
    expectEqual(await values(squares), [0, 1, 4, 9]);
    const chunked = func.vmap((x: Tensor) => x.square(), { chunkSize: 3 })(tg.arange(8));
    expectEqual(await values(chunked), [0, 1, 4, 9, 16, 25, 36, 49]);
  },

  "results that are the same for every example": async () => {
    const w = tg.tensor([1, 2]).requiresGrad_();
    const out = func.vmap((x: Tensor) => ({ a: x.mul(2), b: w.mul(3) }))(tg.arange(3));
    expectEqual(out.b.shape, [3, 2]);
    out.b.sum().backward();
    expectEqual(await values(w.grad!), [9, 9]);
    const alone = func.vmap((x: Tensor) => [x, w], { outDims: [0, null] })(tg.arange(3));
    expectEqual(alone[1]!.shape, [2]);
  },
});
