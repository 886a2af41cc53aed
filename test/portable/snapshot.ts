/** Snapshots: a run goes on from one as if nothing had happened. */

import * as tg from "#tapegrad";
import { RUNS, type Run } from "../support/run.ts";
import {
  ensure,
  expectClose,
  expectEqual,
  expectIdentical,
  expectThrows,
  suite,
  type PortableTest,
} from "../support/portable.ts";

async function losses(run: Run, steps: number): Promise<number[]> {
  const result: number[] = [];
  for (let i = 0; i < steps; i++) result.push(await run.step().item());
  return result;
}

const tests: Record<string, PortableTest | PortableTest["run"]> = {};

for (const [kind, make] of Object.entries(RUNS))
  tests[`a run goes on from a snapshot with the same losses: ${kind}`] = async () => {
    tg.manualSeed(11);
    const run = make();
    await losses(run, 4);
    const saved = await tg.snapshot(run.state);
    const expected = await losses(run, 5);
    // In the same objects, twice.
    for (const form of [structuredClone(saved), tg.io.loadSnapshot(tg.io.saveSnapshot(saved))]) {
      const { exact } = tg.restore(run.state, form);
      ensure(exact, "it is the same device");
      expectEqual(run.state.step, 4);
      expectIdentical(await losses(run, 5), expected);
    }
    // In new ones.
    tg.manualSeed(99);
    const other = make();
    await losses(other, 1);
    tg.restore(other.state, saved);
    expectIdentical(await losses(other, 5), expected);
  };

Object.assign(tests, {
  "values that are read together stay for each other": async () => {
    tg.setMemoryBudget(0);
    try {
      const values = Array.from({ length: 6 }, (_, i) => tg.rand(3000).mul(i));
      const first = await tg.readAll([values[0]!, values[2]!]);
      const all = await tg.readAll(values);
      expectIdentical([all[0], all[2]], first);
      for (const [i, data] of all.entries()) expectIdentical(data, await values[i]!.data());
    } finally {
      tg.setMemoryBudget(null);
    }
  },

  "what is saved is the state at the call": async () => {
    tg.manualSeed(2);
    const run = RUNS.classifier();
    await losses(run, 2);
    const pending = tg.snapshot(run.state);
    const others = [run.step(), run.step(), run.step()];
    const saved = await pending;
    const expected = await Promise.all(others.map((l) => l.item()));
    tg.restore(run.state, saved);
    expectIdentical(await losses(run, 3), expected);
  },

  "gradients are saved if they are asked for": async () => {
    class Model extends tg.nn.Module {
      readonly w = new tg.nn.Parameter(tg.tensor([1, 2, 3]));
      override forward(): tg.Tensor {
        return this.w.square().sum();
      }
    }
    const model = new Model();
    model.forward().backward();
    const [bare, whole] = await Promise.all([tg.snapshot(model), tg.snapshot({ model }, { gradients: true })]);
    tg.restore({ model }, whole);
    expectClose(await model.w.grad!.toArray(), [2, 4, 6]);
    model.forward().backward();
    expectClose(await model.w.grad!.toArray(), [4, 8, 12]);
    tg.restore(model, bare);
    expectEqual(model.w.grad, null);
    model.forward().backward();
    expectClose(await model.w.grad!.toArray(), [2, 4, 6]);
  },

  "every optimiser and scheduler goes on": async () => {
    const { optim } = tg;
    const makers: Record<string, (params: tg.Tensor[]) => tg.SnapshotState & { step(): unknown; zeroGrad(): void }> = {
      SGD: (p) => new optim.SGD(p, { lr: 0.1, momentum: 0.9 }),
      Adam: (p) => new optim.Adam(p, { lr: 0.1, amsgrad: true }),
      AdamW: (p) => new optim.AdamW(p, { lr: 0.1 }),
      Adadelta: (p) => new optim.Adadelta(p),
      Adagrad: (p) => new optim.Adagrad(p),
      Adamax: (p) => new optim.Adamax(p),
      ASGD: (p) => new optim.ASGD(p),
      NAdam: (p) => new optim.NAdam(p),
      RAdam: (p) => new optim.RAdam(p),
      RMSprop: (p) => new optim.RMSprop(p, { momentum: 0.5, centered: true }),
      Rprop: (p) => new optim.Rprop(p),
    };
    for (const [name, make] of Object.entries(makers)) {
      const params = [tg.tensor([0.5, -1, 2], { requiresGrad: true }), tg.tensor(1.5, { requiresGrad: true })];
      const optimizer = make(params);
      const step = (): void => {
        optimizer.zeroGrad();
        params[0]!.sin().sum().mul(params[1]!).backward();
        optimizer.step();
      };
      step();
      step();
      const saved = tg.io.loadSnapshot(tg.io.saveSnapshot(await tg.snapshot({ optimizer })));
      step();
      step();
      const expected = await params[0]!.detach().toArray();
      tg.restore({ optimizer }, saved);
      step();
      step();
      expectIdentical(await params[0]!.detach().toArray(), expected, name);
    }
    const p = tg.tensor([1], { requiresGrad: true });
    const sgd = new optim.SGD([p], { lr: 1 });
    const plateau = new optim.lrScheduler.ReduceLROnPlateau(sgd, { patience: 0 });
    const warm = new optim.lrScheduler.SequentialLR(
      sgd,
      [
        new optim.lrScheduler.ConstantLR(sgd, { factor: 0.5, totalIters: 2 }),
        new optim.lrScheduler.ExponentialLR(sgd, 0.9),
      ],
      [2],
    );
    warm.step();
    const state = { sgd, plateau, warm };
    // The best measure so far is infinite, which JSON does not know.
    const saved = tg.io.loadSnapshot(tg.io.saveSnapshot(await tg.snapshot(state)));
    const rates = (): number[] => {
      const seen: number[] = [];
      for (let i = 0; i < 4; i++) {
        warm.step();
        plateau.step(3);
        seen.push(sgd.paramGroups[0]!.lr);
      }
      return seen;
    };
    const expected = rates();
    tg.restore(state, saved);
    expectIdentical(rates(), expected);
  },

  "L-BFGS goes on with its history": async () => {
    const x = tg.tensor([-1.2, 1], { requiresGrad: true });
    const optimizer = new tg.optim.LBFGS([x], { maxIter: 4, lineSearchFn: "strong_wolfe" });
    const closure = (): tg.Tensor => {
      optimizer.zeroGrad();
      const [a, b] = x.unbind(0) as [tg.Tensor, tg.Tensor];
      const loss = b.sub(a.square()).square().mul(100).add(a.sub(1).square());
      loss.backward();
      return loss;
    };
    await optimizer.step(closure);
    const saved = structuredClone(await tg.snapshot({ optimizer }));
    await optimizer.step(closure);
    const expected = [await x.detach().toArray(), optimizer.counts];
    tg.restore({ optimizer }, saved);
    await optimizer.step(closure);
    expectIdentical([await x.detach().toArray(), optimizer.counts], expected);
  },

  "every kind of tensor and value, in objects and arrays": async () => {
    const state = {
      list: [tg.arange(6).reshape(2, 3), tg.tensor([1, -2], { dtype: "int32" })],
      deep: { bytes: tg.tensor(new Uint8Array([250, 3])), truth: tg.tensor([true, false]) },
      nothing: tg.zeros(0, 3),
      scalar: tg.tensor(NaN),
      turned: tg.arange(6).reshape(2, 3).t().clone(),
      name: "run",
      epoch: 3,
      best: -Infinity,
      done: false,
      extra: null as number | null,
    };
    // A storage whose order is not that of the tensor.
    const other = tg.zeros(2, 3);
    const column = other.t_();
    const both = { ...state, column };
    const file = tg.io.saveSnapshot(await tg.snapshot(both));
    state.list[0]!.zero_();
    state.deep.truth.logicalNot_();
    column.copy_(tg.ones(3, 2));
    Object.assign(both, { name: "other", epoch: 4, best: 1, done: true, extra: 5 });
    tg.restore(both, tg.io.loadSnapshot(file));
    expectEqual(await state.list[0]!.toArray(), [
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expectEqual(await state.list[1]!.toArray(), [1, -2]);
    expectEqual(await state.deep.bytes.toArray(), [250, 3]);
    expectEqual(await state.deep.truth.toArray(), [true, false]);
    expectEqual(await state.scalar.item(), NaN);
    expectEqual(await column.toArray(), [
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    expectEqual(
      { ...both, list: 0, deep: 0, nothing: 0, scalar: 0, turned: 0, column: 0 },
      {
        list: 0,
        deep: 0,
        nothing: 0,
        scalar: 0,
        turned: 0,
        column: 0,
        name: "run",
        epoch: 3,
        best: -Infinity,
        done: false,
        extra: null,
      },
    );
    // Order in memory other than that of the elements.
    const square = tg.tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] }).t_();
    const saved = await tg.snapshot({ square });
    square.zero_();
    tg.restore({ square }, saved);
    expectEqual(await square.toArray(), [
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
  },

  "what shares storage sees the values that come back": async () => {
    const base = tg.arange(4).reshape(2, 2);
    const row = base.at(1);
    const saved = await tg.snapshot({ base });
    base.zero_();
    tg.restore({ base }, saved);
    expectEqual(await row.toArray(), [2, 3]);
    await expectThrows(() => tg.snapshot({ row }), "snapshot: the state.row is a view of a larger tensor");
  },

  "a state of another form changes nothing": async () => {
    const model = new tg.nn.Linear(2, 2);
    const state = { model, step: 1, list: [1, 2] };
    const saved = await tg.snapshot(state);
    const before = await model.weight.detach().clone().toArray();
    tg.noGrad(() => model.weight.add_(1));
    const after = await model.weight.detach().clone().toArray();
    const wrong: [tg.SnapshotState, RegExp][] = [
      [
        { model },
        /restore: the state has other names than in the snapshot: "step" is unknown here, "list" is unknown here/,
      ],
      [
        { model: new tg.nn.Linear(2, 3), step: 1, list: [1, 2] },
        /the state.model.weight has shape \[3, 2\], and \[2, 2\]/,
      ],
      [{ model: new tg.nn.Linear(2, 2, { bias: false }), step: 1, list: [1, 2] }, /"bias" is unknown here/],
      [{ model, step: 1, list: [1] }, /the state.list has 1 items, and 2 in the snapshot/],
      [{ model, step: tg.tensor(1), list: [1, 2] }, /the state.step is a tensor here, and value in the snapshot/],
    ];
    for (const [given, message] of wrong) await expectThrows(() => tg.restore(given, saved), message);
    await expectThrows(() => tg.restore(state, {} as tg.Snapshot), "is not what snapshot() gave");
    await expectThrows(() => tg.snapshot({ f: (() => 1) as unknown as number }), "the state.f is a function");
    await expectThrows(() => tg.snapshot(state, { grads: true } as object), 'unknown option "grads"');
    await expectThrows(() => tg.io.loadSnapshot(new Uint8Array(4)), "no safetensors file");
    const file = await tg.io.saveSafetensors({ w: tg.ones(2) });
    await expectThrows(() => tg.io.loadSnapshot(file), "this file of tensors is no snapshot");
    await expectThrows(() => tg.setRngState({ seed: [1], counter: 0 } as never), "setRngState");
    expectIdentical(await model.weight.detach().toArray(), after);
    tg.restore(state, saved);
    expectIdentical(await model.weight.detach().toArray(), before);
  },

  "a run moves to the CPU and back": {
    devices: ["webgpu"],
    run: async () => {
      tg.manualSeed(21);
      const run = RUNS.regression();
      await losses(run, 2);
      const saved = await tg.snapshot(run.state);
      const expected = await losses(run, 3);
      const { exact, reason } = tg.restore(run.state, saved, { device: "cpu" });
      ensure(!exact && reason.includes("rounding"), reason);
      const [average] = (run.state as unknown as { others: tg.Tensor[] }).others;
      expectEqual(average!.device, "cpu");
      tg.restore(run.state, saved);
      expectEqual(average!.device, "webgpu");
      expectIdentical(await losses(run, 3), expected);
    },
  },
});

/** Snapshots. */
export const snapshots = suite("snapshots", tests);
