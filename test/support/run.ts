/** Training runs for tests of what interrupts them: everything that they are made of is in their state. */

import * as tg from "#tapegrad";
import type { SnapshotState, Tensor } from "#tapegrad";

/** A run that can be saved, and goes on step by step. */
export interface Run {
  /** For `snapshot` and `restore`; `step` counts the steps done. */
  readonly state: { readonly [key: string]: SnapshotState } & { step: number };
  /** One step: the loss, not read. `between` is called at several places within. */
  step(between?: () => void): Tensor;
}

class Classifier extends tg.nn.Module {
  readonly first = new tg.nn.Linear(6, 12);
  readonly norm = new tg.nn.BatchNorm1d(12);
  readonly drop = new tg.nn.Dropout(0.25);
  readonly last = new tg.nn.Linear(12, 3);

  override forward(x: Tensor): Tensor {
    return this.last.forward(this.drop.forward(this.norm.forward(this.first.forward(x)).relu()));
  }
}

const nothing = (): void => undefined;

/** A classifier with batch norm and dropout on random data, with Adam and a schedule. */
function classifier(): Run {
  const model = new Classifier();
  const optimizer = new tg.optim.AdamW(model.parameters(), { lr: 0.02 });
  const scheduler = new tg.optim.lrScheduler.StepLR(optimizer, 3, 0.7);
  const state = { model, optimizer, scheduler, step: 0 };
  return {
    state,
    step(between = nothing) {
      const x = tg.randn(16, 6);
      const y = tg.randint(0, 3, [16]);
      const loss = tg.F.crossEntropy(model.forward(x), y);
      between();
      optimizer.zeroGrad();
      loss.backward();
      between();
      optimizer.step();
      scheduler.step();
      between();
      state.step++;
      return loss;
    },
  };
}

/** Bare parameters in two groups, momentum, and a running average that is no parameter. */
function regression(): Run {
  const w = tg.randn(5, 4).mul(0.3).detach().requiresGrad_();
  const b = tg.zeros(4).requiresGrad_();
  const optimizer = new tg.optim.SGD([{ params: [w] }, { params: [b], lr: 0.01 }], { lr: 0.05, momentum: 0.9 });
  const average = tg.zeros(4);
  // The parameters are those of the optimiser: it brings them along.
  const state = { optimizer, others: [average], step: 0 };
  return {
    state,
    step(between = nothing) {
      const x = tg.randn(9, 5);
      const y = x.matmul(w).add(b);
      const loss = y
        .sub(x.narrow(1, 0, 4))
        .square()
        .mean();
      between();
      optimizer.zeroGrad();
      loss.backward();
      between();
      optimizer.step();
      average.mul_(0.8).add_(y.detach().mean(0), { alpha: 0.2 });
      between();
      state.step++;
      // What the average became shows in the loss.
      return loss.detach().add(average.square().sum());
    },
  };
}

/** Gradients that are gathered over two steps, higher-order gradients, and an optimiser with its own history. */
function gathered(): Run {
  const w = tg.rand(7).requiresGrad_();
  const optimizer = new tg.optim.NAdam([w], { lr: 0.03 });
  const state = { w, optimizer, step: 0 };
  return {
    state,
    step(between = nothing) {
      const loss = w.sin().mul(tg.rand(7)).sum();
      const [g] = tg.autograd.grad(loss, [w], { createGraph: true });
      const total = loss.add(g!.square().sum());
      between();
      total.backward();
      between();
      if (state.step % 2 === 1) {
        optimizer.step();
        optimizer.zeroGrad();
      }
      between();
      state.step++;
      return total;
    },
  };
}

/** Kinds of runs; each call makes a fresh one from the random numbers at hand. */
export const RUNS = { classifier, regression, gathered } as const satisfies Record<string, () => Run>;

/** Steps between two snapshots of a run: no gradients are under way there. */
export const SNAPSHOT_EVERY = 2;

/** Losses of so many steps that nothing disturbs. */
export async function undisturbed(kind: keyof typeof RUNS, seed: number, steps: number): Promise<number[]> {
  tg.manualSeed(seed);
  const run = RUNS[kind]();
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push(await run.step().item());
  return losses;
}
