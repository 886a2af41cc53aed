/** `backward()` and `autograd.grad`: accumulation, options, hooks, and PyTorch's errors. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

/** A leaf with these values. */
export function leaf(values: tg.NestedArray): Tensor {
  return tg.tensor(values).requiresGrad_();
}

/** The accumulated gradient, or null. */
export async function gradOf(t: Tensor): Promise<unknown> {
  return t.grad === null ? null : t.grad.toArray();
}

export const backward = suite("backward", {
  "a leaf collects the gradients of several calls": async () => {
    const x = leaf([1, 2]);
    expectEqual(x.grad, null);
    x.mul(x).sum().backward();
    expectEqual(await gradOf(x), [2, 4]);
    x.mul(3).sum().backward();
    expectEqual(await gradOf(x), [5, 7]);
    x.grad = null;
    x.sum().backward();
    expectEqual(await gradOf(x), [1, 1]);
  },

  "a gradient that was handed out is not changed by the next call where PyTorch replaces it": async () => {
    const x = leaf([1, 2]);
    x.sum().backward();
    const first = x.grad!;
    x.sum().backward();
    ensure(x.grad === first, "the gradient is accumulated in place, as in PyTorch");
    expectEqual(await first.toArray(), [2, 2]);
    const y = leaf([1, 2]);
    const seed = tg.tensor([1, 10]);
    y.clone().backward(seed);
    y.clone().backward(seed);
    expectEqual(await seed.toArray(), [1, 10], "the seed");
    expectEqual(await gradOf(y), [2, 20]);
  },

  "the gradient of a result with several elements is given": async () => {
    const x = leaf([1, 2, 3]);
    x.mul(x).backward(tg.tensor([1, 0.5, -1]));
    expectEqual(await gradOf(x), [2, 2, -6]);
    x.grad = null;
    x.mul(x).backward({ gradient: tg.ones(3) });
    expectEqual(await gradOf(x), [2, 4, 6]);
  },

  "inputs limits where gradients go": async () => {
    const [a, b] = [leaf(2), leaf(3)];
    const h = a.mul(b);
    const y = h.mul(h);
    y.backward({ inputs: [a], retainGraph: true });
    expectEqual([await gradOf(a), await gradOf(b)], [36, null]);
    y.backward({ inputs: h });
    expectEqual([await gradOf(h), await gradOf(a), await gradOf(b)], [12, 36, null]);
  },

  "retainGraph lets the tape be walked again": async () => {
    const x = leaf([1, 2]);
    const y = x.exp().sum();
    y.backward(null, { retainGraph: true });
    y.backward(null, true);
    y.backward();
    expectClose(await gradOf(x), [3 * Math.E, 3 * Math.E ** 2]);
    await expectThrows(() => y.backward(), /Trying to backward through the graph a second time.*retainGraph: true/);
  },

  "a second walk fails where PyTorch saved something, and only there": async () => {
    const fails: Record<string, (x: Tensor) => Tensor> = {
      "x * 2": (x) => x.mul(2),
      "x / 2": (x) => x.div(2),
      "x ** 2": (x) => x.pow(2),
      clamp: (x) => x.clamp(0, 1),
      where: (x) => tg.where(tg.tensor([true, false]), x, 0),
      "changed in place": (x) => {
        const y = x.clone();
        y.at(0).exp_();
        return y;
      },
    };
    for (const [name, f] of Object.entries(fails)) {
      const y = f(leaf([1, 2])).sum();
      y.backward();
      await expectThrows(() => y.backward(), "second time").catch((error: Error) => {
        throw new Error(`${name}: ${error.message}`);
      });
    }
    const again: Record<string, (x: Tensor) => Tensor> = {
      "x + 2": (x) => x.add(2),
      neg: (x) => x.neg(),
      expand: (x) => x.expand(3, 2),
      mean: (x) => x.mean(),
      view: (x) => x.view(2, 1),
      "sub with alpha": (x) => x.sub(x, { alpha: 2 }),
      cumsum: (x) => x.cumsum(0),
    };
    for (const [name, f] of Object.entries(again)) {
      const x = leaf([1, 2]);
      const y = f(x).sum();
      y.backward();
      const once = await x.grad!.clone().toArray();
      y.backward();
      expectClose(await gradOf(x), (once as number[]).map((g) => 2 * g), {}, name); // prettier-ignore
    }
  },

  "createGraph puts the gradient on the tape": async () => {
    const x = leaf([1, 2, 3]);
    x.pow(3).sum().backward({ createGraph: true });
    const g = x.grad!;
    ensure(g.requiresGrad, "the gradient is on the tape");
    x.grad = null;
    g.sum().backward();
    expectEqual(await gradOf(x), [6, 12, 18]);
  },

  "grad gives gradients and leaves .grad alone": async () => {
    const [a, b] = [leaf([1, 2]), leaf([3, 4])];
    const [ga, gb] = tg.autograd.grad(a.mul(b).sum(), [a, b]);
    expectEqual([await ga!.toArray(), await gb!.toArray()], [[3, 4], [1, 2]]); // prettier-ignore
    expectEqual([a.grad, b.grad], [null, null]);
    ensure(!ga!.requiresGrad, "without createGraph a gradient is off the tape");
  },

  "grad weighs several outputs": async () => {
    const x = leaf([1, 2]);
    const [g] = tg.autograd.grad([x.mul(2), x.mul(x).sum()], x, { gradOutputs: [tg.tensor([1, 10]), null] });
    expectEqual(await g!.toArray(), [4, 24]);
    const [h] = tg.autograd.grad([x.exp()], { inputs: [x], gradOutputs: tg.zeros(2) });
    expectEqual(await h!.toArray(), [0, 0]);
  },

  "grad with respect to an intermediate result": async () => {
    const x = leaf([1, 2]);
    const h = x.mul(3);
    const [gh, gx] = tg.autograd.grad(h.mul(h).sum(), [h, x]);
    expectEqual([await gh!.toArray(), await gx!.toArray()], [[6, 12], [18, 36]]); // prettier-ignore
  },

  "an input that was not used throws, or gives null": async () => {
    const [x, unused] = [leaf([1, 2]), leaf([1])];
    await expectThrows(
      () => tg.autograd.grad(x.sum(), [x, unused]),
      /One of the differentiated Tensors appears to not have been used in the graph.*allowUnused: true/,
    );
    const [gx, none] = tg.autograd.grad(x.sum(), [x, unused], { allowUnused: true });
    expectEqual([await gx!.toArray(), none], [[1, 1], null]);
    await expectThrows(() => tg.autograd.grad(x.sum(), tg.ones(2)), "does not require grad");
  },

  "autograd.backward takes several roots": async () => {
    const x = leaf([1, 2]);
    tg.autograd.backward([x.sum(), x.mul(x)], [null, tg.tensor([1, 1])]);
    expectEqual(await gradOf(x), [3, 5]);
  },

  "an intermediate result keeps its gradient only if asked": async () => {
    const x = leaf([1, 2]);
    const [kept, lost] = [x.mul(2), x.mul(3)];
    kept.retainGrad();
    ensure(kept.retainsGrad && !lost.retainsGrad && !x.retainsGrad, "retainsGrad");
    kept.mul(lost).sum().backward();
    expectEqual([await gradOf(kept), await gradOf(lost)], [[3, 6], null]);
    x.retainGrad();
    await expectThrows(() => tg.ones(2).retainGrad(), "can't retain_grad on Tensor that has requires_grad=False");
  },

  "hooks see and replace the gradient, in the order in which they were registered": async () => {
    const x = leaf([1, 2]);
    const h = x.mul(2);
    const seen: string[] = [];
    h.registerHook((g) => {
      seen.push("first");
      return g.mul(10);
    });
    const second = h.registerHook((g) => void seen.push(`second ${String(g.shape)}`));
    h.retainGrad();
    h.sum().backward({ retainGraph: true });
    expectEqual(seen, ["first", "second 2"]);
    expectEqual([await gradOf(h), await gradOf(x)], [[10, 10], [20, 20]]); // prettier-ignore
    second.remove();
    second.remove();
    x.grad = null;
    const onLeaf = x.registerHook((g) => g.neg());
    h.sum().backward({ retainGraph: true });
    expectEqual(seen, ["first", "second 2", "first"]);
    expectEqual(await gradOf(x), [-20, -20]);
    onLeaf.remove();
    x.grad = null;
    h.sum().backward();
    expectEqual(await gradOf(x), [20, 20]);
    await expectThrows(() => tg.ones(2).registerHook(() => null), "doesn't require gradient");
  },

  "a hook that changes the shape is an error": async () => {
    const x = leaf([1, 2]);
    x.registerHook((g) => g.sum());
    await expectThrows(() => x.mul(2).sum().backward(), /hook.*shape/);
  },

  "a value used by several is differentiated once, after all of them": async () => {
    const x = leaf(2);
    let calls = 0;
    const h = x.mul(x);
    h.registerHook(() => void calls++);
    h.add(h.mul(h)).add(h.exp()).backward();
    expectEqual(calls, 1);
    expectClose(await gradOf(x), 4 * (1 + 8 + Math.exp(4)), { rtol: 1e-5 });
  },

  "a diamond of depth 60 is walked once an entry": async () => {
    const walk = async (depth: number): Promise<number> => {
      const x = leaf(1);
      let calls = 0;
      let y: Tensor = x;
      for (let i = 0; i < depth; i++) {
        y = y.add(y);
        y.registerHook(() => void calls++);
      }
      y.backward();
      expectEqual(await gradOf(x), 2 ** depth);
      return calls;
    };
    expectEqual([await walk(30), await walk(60)], [30, 60]);
  },

  "a chain of 20000 entries needs no stack": async () => {
    const x = leaf(1);
    let y: Tensor = x;
    for (let i = 0; i < 20_000; i++) y = y.add(1);
    y.backward();
    expectEqual(await gradOf(x), 1);
    expectEqual(tg.graph(y).nodes.length, 20_001);
  },

  "a gradient that is not needed is not computed": async () => {
    const [x, w] = [leaf([1, 2]), tg.tensor([3, 4])];
    const y = x.mul(w);
    expectEqual(y.gradFn!.nextFunctions.map(([fn]) => fn?.name ?? null), ["AccumulateGrad", null]); // prettier-ignore
    y.sum().backward();
    expectEqual([await gradOf(x), w.grad], [[3, 4], null]);
  },

  "gradients reach through every kind of sharing": async () => {
    const x = leaf([[1, 2], [3, 4]]); // prettier-ignore
    const row = x.at(0);
    const y = row.mul(x).sum().add(x.t().at(1).sum());
    y.backward();
    expectEqual(await gradOf(x), [[1 * 2 + 3, 2 * 2 + 4 + 1], [1, 2 + 1]]); // prettier-ignore
  },

  "errors say what PyTorch says, and what to do": async () => {
    const x = leaf([1, 2]);
    await expectThrows(
      () => x.mul(2).backward(),
      /^AutogradError: backward: grad can be implicitly created only for scalar outputs/,
    );
    await expectThrows(
      () => tg.ones(2).sum().backward(),
      "element 0 of tensors does not require grad and does not have a grad_fn",
    );
    await expectThrows(() => x.mul(2).backward(tg.ones(3)), /Mismatch in shape.*\[3\].*\[2\]/);
    await expectThrows(() => x.mul(2).backward(1 as never), /backward: gradient must be a Tensor/);
    await expectThrows(() => x.sum().backward({ retainGrph: true } as never), /did you mean "retainGraph"/);
    await expectThrows(() => x.sum().backward({ inputs: [] }), "inputs argument cannot be empty");
    await expectThrows(() => tg.autograd.grad(x.mul(2), x), "only for scalar outputs");
    await expectThrows(() => tg.tensor([1, 2], { dtype: "int32" }).requiresGrad_(), "floating point");
    await expectThrows(() => tg.ones(2, { dtype: "int32", requiresGrad: true }), "floating point");
    await expectThrows(() => x.mul(2).requiresGrad_(false), "requiresGrad flags of leaf variables");
    expectEqual(await gradOf(x), null, "nothing was accumulated");
    x.sum().backward();
    expectEqual(await gradOf(x), [1, 1]);
  },

  "a failing call leaves the tape as it was": async () => {
    const x = leaf([1, 2]);
    const y = x.exp();
    await expectThrows(() => y.backward(), "scalar");
    await expectThrows(() => y.backward(tg.ones(3)), "shape");
    y.backward(tg.ones(2));
    expectClose(await gradOf(x), [Math.E, Math.E ** 2]);
  },

  "detach shares the values and nothing else": async () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    const d = y.detach();
    expectEqual([d.requiresGrad, d.isLeaf, d.gradFn], [false, true, null]);
    d.fill_(7);
    expectEqual(await y.toArray(), [7, 7]);
    y.sum().backward();
    expectEqual(await gradOf(x), [2, 2]);
    const z = x.mul(2).detach_();
    expectEqual([z.requiresGrad, z.isLeaf], [false, true]);
  },

  "leaves and results know what they are": async () => {
    const x = leaf([1, 2]);
    expectEqual([x.isLeaf, x.requiresGrad, x.gradFn], [true, true, null]);
    const y = x.mul(2);
    expectEqual([y.isLeaf, y.requiresGrad, y.gradFn!.name], [false, true, "MulBackward0"]);
    const c = tg.ones(2);
    expectEqual([c.isLeaf, c.requiresGrad, c.mul(2).isLeaf], [true, false, true]);
    x.requiresGrad_(false);
    expectEqual([x.requiresGrad, x.mul(2).requiresGrad], [false, false]);
    x.requiresGrad = true;
    ensure(x.requiresGrad_() === x, "requiresGrad_ gives the tensor itself");
    expectEqual(x.eq(1).requiresGrad, false, "comparisons are off the tape");
    expectEqual(x.argmax().requiresGrad, false);
  },
});
