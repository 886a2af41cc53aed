/** Compiled functions give what the functions give, on the first call and on later ones. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";

const { nn, F, optim } = tg;

async function valuesOf(...tensors: (Tensor | null)[]): Promise<number[][]> {
  return Promise.all(tensors.map(async (t) => Array.from((await t?.data()) ?? [])));
}

/** Results and gradients of `fn` at fresh arguments, with the generator's state afterwards. */
async function outcome(fn: (...args: Tensor[]) => Tensor | Tensor[], seed: number): Promise<unknown> {
  tg.manualSeed(seed);
  const x = tg.randn(3, 4).requiresGrad_();
  const w = tg.randn(4, 5).requiresGrad_();
  const b = tg.randn(5);
  const result = [fn(x, w, b)].flat();
  result
    .map((r) => r.mul(r).sum())
    .reduce((p, q) => p.add(q))
    .backward();
  return { values: await valuesOf(...result, x.grad, w.grad), state: tg.getRngState() };
}

const FUNCTIONS: Readonly<Record<string, (x: Tensor, w: Tensor, b: Tensor) => Tensor | Tensor[]>> = {
  layer: (x, w, b) => x.matmul(w).add(b).relu(),
  softmax: (x, w) => x.matmul(w).softmax(1).log(),
  "several results": (x, w, b) => [x.matmul(w), b.add(x.sum()), w.max(0)[0]],
  "one result that is part of another": (x, w) => {
    const h = x.matmul(w).tanh();
    return [h, h.square(), h.at(1).mul(3)];
  },
  "random numbers": (x, w, b) => F.dropout(x.matmul(w), 0.5).add(tg.randn(5)).mul(tg.rand(3, 5).add(b)),
  "writing into what it made": (x, w) => {
    const h = x.matmul(w);
    h.at(0).mul_(2);
    return h.add_(1);
  },
  "values made inside": (x, w) =>
    x
      .matmul(w)
      .mul(tg.arange(5))
      .add(tg.tensor([1, 2, 3, 4, 5]))
      .sub(tg.ones(3, 1)),
  "constants and gathers": (x, w) => x.matmul(w).indexSelect(1, tg.tensor([4, 0, 0], { dtype: "int32" })),
  "without derivative": (x, w) => [x.matmul(w), x.gt(0).to("float32"), x.detach().exp()],
  checkpoint: (x, w) => tg.utils.checkpoint((a: Tensor) => a.matmul(w).sin(), x),
};

/** Tests of `compile`. */
export const compiling = suite("compile", {
  ...Object.fromEntries(
    Object.entries(FUNCTIONS).map(([name, fn]) => [
      `gives the same values, gradients and random numbers: ${name}`,
      async (): Promise<void> => {
        const compiled = tg.compile(fn);
        for (const seed of [1, 2, 3])
          expectClose(
            await outcome(compiled, seed),
            await outcome(fn, seed),
            { rtol: 1e-5, atol: 1e-6 },
            `seed ${seed}`,
          );
        expectEqual(compiled.stats, { recorded: 1, replayed: 2, eager: 0, reason: null });
      },
    ]),
  ),

  "arguments of other shapes, layouts, dtypes and values are recorded apart": async () => {
    const f = tg.compile((x: Tensor, by: number, options: { shift: boolean }) => {
      const y = x.mul(by);
      return { y: options.shift ? y.add(1) : y, first: [y.flatten().narrow(0, 0, Math.min(y.numel(), 1))] };
    });
    const square = tg.arange(4).reshape(2, 2);
    for (let round = 0; round < 2; round++) {
      expectEqual(await f(square, 2, { shift: false }).y.toArray(), [[0, 2], [4, 6]]); // prettier-ignore
      expectEqual(await f(square.t(), 2, { shift: false }).y.toArray(), [[0, 4], [2, 6]]); // prettier-ignore
      expectEqual(await f(square.to("int32"), 2, { shift: true }).y.toArray(), [[1, 3], [5, 7]]); // prettier-ignore
      expectEqual(await f(square.at(1), 3, { shift: true }).first[0]!.item(), 6);
      expectEqual(await f(tg.zeros(0, 2), 3, { shift: true }).y.toArray(), []);
    }
    expectEqual([f.stats.recorded, f.stats.replayed], [5, 5]);
    f.reset();
    f(square, 2, { shift: false });
    expectEqual(f.stats.recorded, 6);
  },

  "tensors from outside are read as they are at each call": async () => {
    const scale = tg.tensor([2]);
    const f = tg.compile((x: Tensor) => x.mul(scale));
    expectEqual(await f(tg.tensor([3])).toArray(), [6]);
    scale.fill_(5);
    expectEqual(await f(tg.tensor([3])).toArray(), [15]);
    scale.mul_(2);
    expectEqual(await f(tg.tensor([4])).toArray(), [40]);
    expectEqual(f.stats.eager, 0);
  },

  "a model trains as without compile": async () => {
    const losses = async (isCompiled: boolean): Promise<number[]> => {
      tg.manualSeed(3);
      const model = new nn.Sequential(new nn.Linear(6, 16), new nn.Tanh(), new nn.Dropout(0.2), new nn.Linear(16, 3));
      const plain = (x: Tensor, y: Tensor): Tensor => F.crossEntropy(model.forward(x), y);
      const lossOf = isCompiled ? tg.compile(plain) : plain;
      const optimizer = new optim.AdamW(model.parameters(), { lr: 0.05 });
      const result: number[] = [];
      for (let i = 0; i < 8; i++) {
        const x = tg.randn(10, 6);
        const loss = lossOf(x, x.narrow(1, 0, 3).argmax(1));
        optimizer.zeroGrad();
        loss.backward();
        optimizer.step();
        result.push(await loss.item());
      }
      return result;
    };
    expectClose(await losses(true), await losses(false), { rtol: 1e-4, atol: 1e-6 });
  },

  "a loss may be scaled, or have a hook, before the way back": async () => {
    const scaled: ((loss: Tensor) => Tensor)[] = [
      (loss) => loss,
      (loss) => loss,
      (loss) => loss.mul(3),
      (loss) => loss.div(4),
      (loss) => loss,
      (loss) => {
        loss.registerHook((g) => g.mul(0.5));
        return loss;
      },
    ];
    const plain = (x: Tensor): Tensor =>
      F.gelu(F.layerNorm(x, [4]))
        .amax(1)
        .square()
        .sum();
    const compiled = tg.compile(plain);
    const start = tg.randn(3, 4);
    for (const scale of scaled) {
      const gradients: Tensor[] = [];
      for (const f of [plain, compiled]) {
        const x = start.clone().requiresGrad_();
        scale(f(x)).backward();
        gradients.push(x.grad!);
      }
      const [want, got] = await valuesOf(...gradients);
      expectClose(got, want, { rtol: 1e-5, atol: 1e-6 });
    }
    // Recorded again once, when the first gradient came that is not one.
    expectEqual(compiled.stats, { recorded: 2, replayed: 4, eager: 0, reason: null });
    const x = start.clone().requiresGrad_();
    const [twice] = tg.autograd.grad([compiled(x)], [x], { gradOutputs: [tg.tensor(2)] });
    expectClose(await valuesOf(twice!), await valuesOf(tg.autograd.grad([plain(x)], [x])[0]!.mul(2)));
  },

  "of a module, training and its tensors are looked at": async () => {
    const model = new nn.Sequential(new nn.Linear(4, 4), new nn.Dropout(0.5));
    const f = tg.compile(model);
    const x = tg.ones(2, 4);
    model.eval();
    const want = await valuesOf(model.forward(x));
    expectClose(await valuesOf(f(x)), want);
    model.train();
    tg.manualSeed(1);
    const dropped = await valuesOf(f(x));
    tg.manualSeed(1);
    expectClose(dropped, await valuesOf(model.forward(x)));
    model.eval();
    expectClose(await valuesOf(f(x)), want);
    expectEqual([f.stats.recorded, f.stats.replayed, f.stats.eager], [2, 1, 0]);
  },

  "derivatives of any order": async () => {
    const f = (x: Tensor): Tensor => x.sin().mul(x).sum();
    const orders = async (fn: (x: Tensor) => Tensor): Promise<number[][]> => {
      const x = tg.tensor([0.5, 1, 2]).requiresGrad_();
      const first = tg.autograd.grad([fn(x)], [x], { createGraph: true })[0]!;
      const second = tg.autograd.grad([first.sum()], [x], { createGraph: true })[0]!;
      const third = tg.autograd.grad([second.sum()], [x])[0]!;
      return valuesOf(first, second, third);
    };
    const compiled = tg.compile(f);
    for (let i = 0; i < 2; i++) expectClose(await orders(compiled), await orders(f), { rtol: 1e-4, atol: 1e-5 });
    const x = tg.tensor([0.5, 1, 2]);
    expectClose(await valuesOf(tg.func.grad(compiled)(x)), await valuesOf(tg.func.grad(f)(x)));
    expectClose(await valuesOf(tg.func.hessian(compiled)(x)), await valuesOf(tg.func.hessian(f)(x)), { atol: 1e-5 });
    expectClose(
      await valuesOf(tg.func.vmap(compiled)(x.reshape(3, 1))),
      await valuesOf(tg.func.vmap(f)(x.reshape(3, 1))),
    );
  },

  "what is given back as it came is the same tensor": async () => {
    const outside = tg.tensor([1]);
    const f = tg.compile((x: Tensor) => [x, outside, 7, x.add(1)] as const);
    const x = tg.tensor([2]).requiresGrad_();
    for (let i = 0; i < 2; i++) {
      const [same, other, seven, more] = f(x);
      ensure(same === x && other === outside && seven === 7, "the same tensors and values");
      expectEqual(await more.toArray(), [3]);
    }
    expectEqual(f.stats.eager, 0);
  },

  "results that share memory are written together": async () => {
    const f = tg.compile((x: Tensor) => {
      const y = x.mul(2);
      return [y, y.at(0)];
    });
    for (let i = 0; i < 2; i++) {
      const [y, first] = f(tg.tensor([1, 2])) as [Tensor, Tensor];
      y.add_(10);
      expectEqual([await first.item(), await y.toArray()], [12, [12, 14]]);
    }
  },

  "a tape runs once, unless it is retained; and what it needs must not be overwritten": async () => {
    const f = tg.compile((x: Tensor, w: Tensor) => x.mul(w).sum());
    const x = tg.tensor([1, 2]).requiresGrad_();
    for (let i = 0; i < 2; i++) {
      const w = tg.tensor([3, 4]);
      const y = f(x, w);
      expectEqual(y.gradFn?.name, "CompiledFunctionBackward");
      y.backward(null, { retainGraph: true });
      y.backward();
      expectEqual(await x.grad!.toArray(), [6, 8]);
      await expectThrows(() => y.backward(), /a second time/);
      const z = f(x, w);
      w.add_(1);
      await expectThrows(() => z.backward(), /modified by an inplace operation/);
      x.grad = null;
    }
    expectEqual(
      tg.noGrad(() => f(x, x).requiresGrad),
      false,
    );
    expectEqual(f(x.detach(), x.detach()).requiresGrad, false);
  },

  "what cannot be recorded runs as it stands, once a call": async () => {
    const norm = new nn.BatchNorm1d(3);
    const twin = new nn.BatchNorm1d(3);
    const f = tg.compile(norm);
    for (let i = 0; i < 3; i++) {
      const x = tg.randn(5, 3);
      expectClose(await valuesOf(f(x)), await valuesOf(twin.forward(x)));
    }
    expectClose(await valuesOf(norm.runningMean, norm.runningVar), await valuesOf(twin.runningMean, twin.runningVar));
    expectEqual(await norm.numBatchesTracked!.item(), 3);
    expectEqual(f.stats.eager, 3);
    ensure(/writes into a tensor/.test(f.stats.reason!), f.stats.reason!);

    const w = tg.tensor([1, 2]).requiresGrad_();
    const optimizer = new optim.SGD([w], { lr: 0.1 });
    const step = tg.compile((x: Tensor) => {
      optimizer.zeroGrad();
      const loss = w.mul(x).sum();
      loss.backward();
      optimizer.step();
      return loss;
    });
    for (let i = 0; i < 2; i++) step(tg.tensor([1, 10]));
    expectClose(await w.detach().toArray(), [0.8, 0]);

    const h = w.mul(2);
    const reads = tg.compile((x: Tensor) => h.mul(x).sum());
    for (let i = 0; i < 2; i++) {
      w.grad = null;
      reads(tg.tensor([1, 1])).backward(null, { retainGraph: true });
      expectEqual(await w.grad!.toArray(), [2, 2]);
    }
    ensure(/pass it as an argument/.test(reads.stats.reason!), reads.stats.reason!);
    const drawn = tg.compile((x: Tensor) => x.add(tg.randperm(3)));
    expectEqual(await drawn(tg.zeros(3)).sort()[0].toArray(), [0, 1, 2]);
    expectEqual(drawn.stats.eager, 1);
  },

  "results off the tape outlive the way back; what only other results depend on has no gradient": async () => {
    const f = tg.compile((x: Tensor) => x.sort());
    const a = tg.ones(4).requiresGrad_();
    const b = tg.ones(4).requiresGrad_();
    const both = tg.compile((x: Tensor) => [x.mul(a).sum(), x.mul(b).sum()]);
    for (let i = 0; i < 2; i++) {
      const x = tg.tensor([0.5, -1, 2, 3]).requiresGrad_();
      const [values, indices] = f(x);
      values.sum().backward();
      expectEqual(await indices.toArray(), [1, 0, 2, 3]);
      a.grad = null;
      both(x.detach())[0]!.backward();
      expectEqual([await a.grad!.toArray(), b.grad], [[0.5, -1, 2, 3], null]);
      const e = tg.compile((t: Tensor) => t.exp());
      e(x);
      const y = e(x);
      y.add_(1);
      await expectThrows(() => y.sum().backward(), /modified by an inplace operation/);
    }
  },

  "what may change unnoticed is not recorded": async () => {
    const x = (): Tensor => tg.tensor([0.5, -1, 2, 3]).requiresGrad_();
    const array = Float32Array.of(1, 2, 3, 4);
    const times = tg.compile((t: Tensor, by: Float32Array) => t.mul(tg.tensor(by)));
    times(x(), array);
    array[0] = 100;
    expectEqual(await times(x(), array).at(0).item(), 50);
    const views = tg.compile((t: Tensor) => {
      const y = t.mul(2);
      return [y, y.at(0)] as const;
    });
    const w = tg.ones(4).requiresGrad_();
    const hook = w.registerHook((g) => g.mul(10));
    const hooked = tg.compile((t: Tensor) => t.mul(w).sum());
    const seeded = tg.compile((t: Tensor) => {
      tg.manualSeed(5);
      return tg.rand(4).add(t);
    });
    const leaf = tg.compile((t: Tensor) => t.mul(2).detach().requiresGrad_());
    const boxed = tg.compile((t: Tensor) => new Map([["a", t.mul(2)]]));
    const kept = tg.compile((t: Tensor) => t.mul(tg.tensor([1, 2, 3, 4])).sum());
    tg.scope(() => void kept(x()));
    for (let i = 0; i < 2; i++) {
      const t = x();
      const [y, v] = views(t);
      v.zero_();
      y.sum().backward();
      expectEqual(await t.grad!.toArray(), [0, 2, 2, 2]);
      w.grad = null;
      hooked(x()).backward();
      expectEqual(await w.grad!.toArray(), [5, -10, 20, 30]);
      expectEqual(await seeded(tg.zeros(4)).toArray(), await seeded(tg.zeros(4)).toArray());
      ensure(leaf(tg.ones(4)).isLeaf, "a leaf that is made inside is one");
      expectEqual(await boxed(x()).get("a")!.toArray(), [1, -2, 4, 6]);
      expectEqual(await kept(x()).item(), 16.5);
    }
    hook.remove();
  },

  "errors are the function's own": async () => {
    const f = tg.compile((x: Tensor, y: Tensor) => x.add(y));
    for (let i = 0; i < 2; i++)
      await expectThrows(() => f(tg.ones(2), tg.ones(3)), /add: cannot broadcast|add: .*\[2\].*\[3\]/);
    await expectThrows(() => tg.compile(async (x: Tensor) => x.item())(tg.ones(1)), /must not be asynchronous/);
    await expectThrows(() => tg.compile(3 as unknown as () => void), /expected a function or a Module/);
  },

  "an index that is out of bounds is an error of the next read": async () => {
    const table = tg.arange(4);
    const f = tg.compile((i: Tensor) => table.take(i));
    expectEqual(await f(tg.tensor([3], { dtype: "int32" }).add(0)).toArray(), [3]);
    await expectThrows(() => f(tg.tensor([3], { dtype: "int32" }).add(2)).toArray(), /out of (bounds|range)/);
    expectEqual(await f(tg.tensor([1], { dtype: "int32" }).add(0)).toArray(), [1]);
  },

  "memory is flat": async () => {
    const model = new nn.Sequential(new nn.Linear(32, 64), new nn.ReLU(), new nn.Linear(64, 4));
    const loss = tg.compile((x: Tensor, y: Tensor) => F.crossEntropy(model.forward(x), y));
    const optimizer = new optim.Adam(model.parameters());
    const live: number[] = [];
    const budget = tg.memory().liveBytes + 150_000;
    tg.setMemoryBudget(budget);
    try {
      for (let i = 0; i < 120; i++) {
        const value = loss(tg.randn(16, 32), tg.randint(0, 4, [16]));
        optimizer.zeroGrad();
        value.backward();
        optimizer.step();
        await value.item();
        const { liveBytes, cachedBytes } = tg.memory();
        live.push(liveBytes);
        ensure(liveBytes + cachedBytes <= budget, `${liveBytes} live and ${cachedBytes} cached bytes, step ${i}`);
      }
    } finally {
      tg.setMemoryBudget(null);
    }
    ensure(live[119]! <= live[20]!, `live bytes went from ${live[20]} to ${live[119]}`);
  },
});
