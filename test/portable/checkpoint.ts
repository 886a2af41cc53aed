/** Checkpoints and hooks on saved values: the same gradients, with fewer values kept. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { checkpoint } = tg.utils;
const { savedTensorsHooks, saveOnCpu } = tg.autograd.graph;

async function values(t: Tensor | null): Promise<number[]> {
  ensure(t !== null, "there is no gradient");
  return Array.from(await t.data());
}

function problem(): { x: Tensor; w: Tensor } {
  tg.manualSeed(5);
  return { x: tg.randn(4, 6).requiresGrad_(), w: tg.randn(6, 6).requiresGrad_() };
}

/** Several operations that save their operands or results. */
function block(x: Tensor, w: Tensor): Tensor {
  return x.matmul(w).tanh().mul(x).sin().exp().softmax(1);
}

/** Gradients of x and w, and how many calls of `body` it took. */
async function gradients(
  run: (f: (x: Tensor, w: Tensor) => Tensor, x: Tensor, w: Tensor) => Tensor,
  body = block,
): Promise<{ gx: number[]; gw: number[]; calls: number }> {
  const { x, w } = problem();
  let calls = 0;
  const counted = (a: Tensor, b: Tensor): Tensor => {
    calls++;
    return body(a, b);
  };
  run(counted, x, w).square().sum().backward();
  return { gx: await values(x.grad), gw: await values(w.grad), calls };
}

/** Like dropout: random numbers decide what counts. */
function noisy(x: Tensor, w: Tensor): Tensor {
  const mask = tg.bernoulli(x.detach().fullLike(0.5));
  return x.mul(mask).matmul(w).mul(tg.randLike(x)).tanh();
}

/** Tests of checkpoints. */
export const checkpoints = suite("checkpoint", {
  "gives the same gradients by computing again": async () => {
    const plain = await gradients((f, x, w) => f(x, w));
    for (const useReentrant of [false, true]) {
      const saved = await gradients((f, x, w) => checkpoint(f, x, w, { useReentrant }));
      expectEqual(saved.calls, 2);
      expectClose(saved.gx, plain.gx, { rtol: 1e-4, atol: 1e-6 });
      expectClose(saved.gw, plain.gw, { rtol: 1e-4, atol: 1e-6 });
    }
  },

  "draws the same random numbers again, and leaves the generator where it was": async () => {
    const plain = await gradients((f, x, w) => f(x, w), noisy);
    for (const useReentrant of [false, true]) {
      const saved = await gradients((f, x, w) => checkpoint(f, x, w, { useReentrant }), noisy);
      expectClose(saved.gx, plain.gx, { rtol: 1e-4, atol: 1e-6 });
      expectClose(saved.gw, plain.gw, { rtol: 1e-4, atol: 1e-6 });
    }
    const { x, w } = problem();
    const y = checkpoint(noisy, x, w).sum();
    const before = tg.getRngState();
    y.backward();
    expectEqual(tg.getRngState(), before);
    const other = await gradients((f, a, b) => checkpoint(f, a, b, { preserveRngState: false }), noisy);
    ensure(
      other.gx.some((v, i) => Math.abs(v - plain.gx[i]!) > 1e-3),
      "without preserveRngState other numbers are drawn",
    );
  },

  nests: async () => {
    const chain = (f: (x: Tensor, w: Tensor) => Tensor, x: Tensor, w: Tensor): Tensor => f(f(f(x, w), w), w);
    const plain = await gradients(chain);
    const saved = await gradients((f, x, w) =>
      checkpoint(
        (a: Tensor, b: Tensor) =>
          checkpoint(
            f,
            checkpoint((c: Tensor) => checkpoint(f, f(c, b), b), a),
            b,
          ),
        x,
        w,
      ),
    );
    expectClose(saved.gx, plain.gx, { rtol: 1e-3, atol: 1e-6 });
    expectClose(saved.gw, plain.gw, { rtol: 1e-3, atol: 1e-6 });
  },

  "gives gradients of gradients, and works with autograd.grad and twice": async () => {
    const second = async (run: (x: Tensor, w: Tensor) => Tensor): Promise<number[][]> => {
      const { x, w } = problem();
      const y = run(x, w).square().sum();
      const [gx, gw] = tg.autograd.grad(y, [x, w], { createGraph: true }) as [Tensor, Tensor];
      const again = tg.autograd.grad(y, [x, w], { retainGraph: true });
      const grads = tg.autograd.grad(gx.square().sum().add(gw.sin().sum()), [x, w]);
      return Promise.all([gx, gw, ...again, ...grads].map((t) => values(t.detach())));
    };
    const plain = await second(block);
    const saved = await second((x, w) => checkpoint(block, x, w));
    for (let i = 0; i < plain.length; i++) expectClose(saved[i], plain[i], { rtol: 1e-3, atol: 1e-5 }, `result ${i}`);
    expectClose(saved[2], saved[0]);
  },

  "with useReentrant refuses autograd.grad": async () => {
    const { x, w } = problem();
    const y = checkpoint(block, x, w, { useReentrant: true }).sum();
    await expectThrows(() => tg.autograd.grad(y, x), "not compatible with autograd.grad");
  },

  "notices a function that computes something else the second time": async () => {
    const { x, w } = problem();
    let times = 0;
    const fickle = (a: Tensor): Tensor => (times++ === 0 ? a.tanh() : a.tanh().sin());
    await expectThrows(() => checkpoint(fickle, x).sum().backward(), "different number of tensors");
    times = 0;
    const resized = (a: Tensor): Tensor => (times++ === 0 ? a : a.narrow(1, 0, 2)).tanh();
    await expectThrows(() => checkpoint(resized, x).sum().backward(), "different metadata");
    await expectThrows(() => checkpoint(async (a: Tensor) => a, w), "must not be asynchronous");
    await expectThrows(
      () => checkpoint(block, x, w, { useReentrant: false, keep: 1 } as never),
      'unknown option "keep"',
    );
  },

  "is a plain call under noGrad, and passes other arguments on": async () => {
    const { x } = problem();
    const scaled = (a: Tensor, factor: number, more: { readonly shift: number }): Tensor =>
      a.mul(factor).add(more.shift).square();
    ensure(!tg.noGrad(() => checkpoint(scaled, x, 2, { shift: 1 })).requiresGrad, "noGrad counts");
    checkpoint(scaled, x, 2, { shift: 1 }).sum().backward();
    expectClose(
      await values(x.grad),
      (await values(x.detach())).map((v) => 4 * (2 * v + 1)),
    );
  },

  "inside vmap and around it": async () => {
    const { x, w } = problem();
    const row = (v: Tensor): Tensor => v.matmul(w).tanh().sum();
    const expected = await values(tg.autograd.grad(x.matmul(w).tanh().sum(), x)[0]!);
    const inside = tg.func.vmap((v: Tensor) => checkpoint(row, v))(x);
    expectClose(await values(tg.autograd.grad(inside.sum(), x)[0]!), expected, { rtol: 1e-4, atol: 1e-6 });
    const around = checkpoint((a: Tensor) => tg.func.vmap(row)(a), x);
    expectClose(await values(tg.autograd.grad(around.sum(), x)[0]!), expected, { rtol: 1e-4, atol: 1e-6 });
    const perRow = tg.func.vmap(tg.func.grad((v: Tensor) => checkpoint(row, v)))(x);
    expectClose(await values(perRow), expected, { rtol: 1e-4, atol: 1e-6 });
  },
});

/** Tests of hooks on saved values. */
export const savedHooks = suite("saved tensor hooks", {
  "see every saved value, and what they give back is used": async () => {
    const { x } = problem();
    const log: string[] = [];
    const y = savedTensorsHooks(
      (t) => {
        log.push(`pack ${t.shape.join("x")}`);
        return t.mul(2);
      },
      (t) => {
        log.push("unpack");
        return t;
      },
      () => x.mul(x).sum(),
    );
    // Both operands are one tensor, saved once.
    expectEqual(log, ["pack 4x6"]);
    y.backward();
    expectEqual(log, ["pack 4x6", "unpack"]);
    expectClose(
      await values(x.grad),
      (await values(x.detach())).map((v) => 4 * v),
    );
  },

  "keep gradients of gradients, nest, and end with their guard": async () => {
    const { x } = problem();
    const half = savedTensorsHooks((t) => t.clone(), (t) => t); // prettier-ignore
    const y = savedTensorsHooks(
      (t) => ({ t }),
      ({ t }) => t,
      () => x.pow(3).sum(),
    );
    half.exit();
    const [g] = tg.autograd.grad(y, x, { createGraph: true });
    const [h] = tg.autograd.grad(g!.sum(), x);
    expectClose(
      await values(h!),
      (await values(x.detach())).map((v) => 6 * v),
      { rtol: 1e-4, atol: 1e-5 },
    );
    let packed = 0;
    const guard = savedTensorsHooks(
      (t) => {
        packed++;
        return t;
      },
      (t) => t,
    );
    x.sin();
    guard.exit();
    x.cos();
    expectEqual(packed, 1);
    const later = await savedTensorsHooks(
      (t) => t,
      (t) => t,
      async () => {
        await Promise.resolve();
        return x.exp();
      },
    );
    ensure(later.requiresGrad, "an asynchronous body keeps the hooks until it settles");
  },

  "saveOnCpu brings values to the host and back": async ({ device }) => {
    const plain = await gradients((f, x, w) => f(x, w));
    const { x, w } = problem();
    const y = saveOnCpu(() => block(x, w))
      .square()
      .sum();
    const value = await y.item();
    ensure(Number.isFinite(value), "the loss is a number");
    y.backward();
    expectClose(await values(x.grad), plain.gx, { rtol: 1e-4, atol: 1e-6 });
    expectClose(await values(w.grad), plain.gw, { rtol: 1e-4, atol: 1e-6 });
    expectEqual(x.grad!.device, device);
    const again = await gradients((f, a, b) => saveOnCpu(true, () => f(a, b)));
    expectClose(again.gx, plain.gx, { rtol: 1e-4, atol: 1e-6 });
  },
});
