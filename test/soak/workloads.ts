/** What the soak trains: small models of several kinds, each step with values that a program might hold on to. */

import * as tg from "#tapegrad";
import type { SnapshotState, Tensor } from "#tapegrad";

/** What a step leaves. */
export interface Step {
  /** The loss, not read. */
  readonly loss: Tensor;
  /** Values of the step by name, none of them read. */
  readonly values: Readonly<Record<string, Tensor>>;
}

/** A training run: everything that it is made of is in its state. */
export interface Workload {
  readonly state: { readonly [key: string]: SnapshotState } & { step: number };
  /** One step; `between` is called at several places within. */
  step(between: () => void): Step;
  /** A number that tells how good the model is now, computed without gradients; not read. */
  evaluate(): Tensor;
}

/** A number in [0, 1) that depends on two numbers. */
function fraction(i: number, j: number): number {
  return (Math.abs(Math.sin(i * 12.9898 + j * 78.233)) * 43758.5453) % 1;
}

/** Host data of a step. */
function floats(step: number, ...shape: number[]): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return tg.tensor(
    Float32Array.from({ length: count }, (_, j) => fraction(step + 1, j) - 0.5),
    { shape },
  );
}

function classes(step: number, count: number, of: number): Tensor {
  return tg.tensor(Int32Array.from({ length: count }, (_, j) => Math.floor(fraction(step + 7, j) * of)));
}

interface Parts {
  readonly model: tg.nn.Module;
  readonly optimizer: tg.SnapshotState & { step(): unknown; zeroGrad(): void };
  /** Loss of a step, and values on the way. */
  forward(step: number): { loss: Tensor; hidden: Tensor };
  /** Without random numbers, on the same data each time. */
  evaluate(): Tensor;
  /** What is added to the loss, with gradients of gradients. */
  penalty?(loss: Tensor): Tensor;
}

function workload({ model, optimizer, forward, evaluate, penalty }: Parts): Workload {
  const average = tg.zeros(1);
  const state = { model, optimizer, average, step: 0 };
  return {
    state,
    step(between) {
      model.train();
      const { loss: plain, hidden } = forward(state.step);
      between();
      const loss = penalty === undefined ? plain : plain.add(penalty(plain));
      optimizer.zeroGrad();
      loss.backward();
      between();
      const [first] = model.parameters() as [Tensor];
      const gradient = first.grad!;
      const before = first.detach().clone();
      optimizer.step();
      between();
      tg.noGrad(() => average.mul_(0.5).add_(plain.detach().reshape(1)));
      const values = {
        hidden: hidden.detach(),
        gradient,
        before,
        average: average.clone(),
        scaled: hidden.mul(2).sin(),
      };
      state.step++;
      between();
      return { loss: loss.detach(), values };
    },
    evaluate: () => {
      model.eval();
      return tg.noGrad(evaluate);
    },
  };
}

class Classifier extends tg.nn.Module {
  // A bias before the norm would change nothing, so that its gradient would be rounding alone, which Adam makes as large as any other.
  readonly first = new tg.nn.Linear(24, 48, false);
  readonly norm = new tg.nn.BatchNorm1d(48);
  readonly drop = new tg.nn.Dropout(0.2);
  readonly last = new tg.nn.Linear(48, 4);

  override forward(x: Tensor): Tensor {
    return this.drop.forward(this.norm.forward(this.first.forward(x)).relu());
  }
}

function mlp(): Workload {
  const model = new Classifier();
  const optimizer = new tg.optim.AdamW(model.parameters(), { lr: 0.02 });
  return workload({
    model,
    optimizer,
    forward: (step) => {
      const hidden = model.forward(floats(step, 32, 24).add(tg.rand(32, 24).mul(0.1)));
      return { hidden, loss: tg.F.crossEntropy(model.last.forward(hidden), classes(step, 32, 4)) };
    },
    evaluate: () =>
      model.last
        .forward(model.forward(floats(99, 16, 24)))
        .logSoftmax(1)
        .square()
        .mean(),
  });
}

class Net extends tg.nn.Module {
  readonly conv = new tg.nn.Conv2d(1, 4, 3, { padding: 1 });
  readonly last = new tg.nn.Linear(4 * 16, 3);

  override forward(x: Tensor): Tensor {
    return tg.F.maxPool2d(this.conv.forward(x).relu(), 2).flatten(1);
  }
}

function cnn(): Workload {
  const model = new Net();
  const optimizer = new tg.optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9 });
  return workload({
    model,
    optimizer,
    forward: (step) => {
      const hidden = model.forward(tg.randn(8, 1, 8, 8));
      return { hidden, loss: tg.F.crossEntropy(model.last.forward(hidden), classes(step, 8, 3)) };
    },
    evaluate: () => model.last.forward(model.forward(floats(98, 4, 1, 8, 8))).sum(),
  });
}

const VOCABULARY = 11;
const LENGTH = 12;

class Gpt extends tg.nn.Module {
  readonly tokens = new tg.nn.Embedding(VOCABULARY, 16);
  readonly places = new tg.nn.Embedding(LENGTH, 16);
  readonly block = new tg.nn.TransformerEncoderLayer(16, 2, 32, { dropout: 0, batchFirst: true });
  readonly head = new tg.nn.Linear(16, VOCABULARY);

  override forward(ids: Tensor): Tensor {
    const x = this.tokens.forward(ids).add(this.places.forward(tg.arange(LENGTH, { dtype: "int32" })));
    return this.block.forward(x, { isCausal: true });
  }
}

function gpt(): Workload {
  const model = new Gpt();
  const optimizer = new tg.optim.AdamW(model.parameters(), { lr: 0.01 });
  const batch = (step: number): Tensor => classes(step, 4 * LENGTH, VOCABULARY).reshape(4, LENGTH);
  return workload({
    model,
    optimizer,
    forward: (step) => {
      const hidden = model.forward(batch(step));
      const logits = model.head.forward(hidden).reshape(-1, VOCABULARY);
      return { hidden, loss: tg.F.crossEntropy(logits, batch(step + 1).reshape(-1)) };
    },
    evaluate: () =>
      model.head
        .forward(model.forward(batch(97)))
        .logSoftmax(-1)
        .mean(),
  });
}

class Smooth extends tg.nn.Module {
  readonly first = new tg.nn.Linear(8, 16);
  readonly last = new tg.nn.Linear(16, 1);

  override forward(x: Tensor): Tensor {
    return this.first.forward(x).tanh();
  }
}

/** Gradients of gradients: the slope of the loss is part of the loss. */
function smooth(): Workload {
  const model = new Smooth();
  const optimizer = new tg.optim.NAdam(model.parameters(), { lr: 0.03 });
  return workload({
    model,
    optimizer,
    forward: (step) => {
      const x = tg.rand(20, 8);
      const hidden = model.forward(x);
      return {
        hidden,
        loss: model.last
          .forward(hidden)
          .sub(x.sum(1, true).sin())
          .square()
          .mean()
          .mul(1 + (step % 2)),
      };
    },
    evaluate: () => model.last.forward(model.forward(floats(96, 5, 8))).sum(),
    penalty: (loss) => {
      const gradients = tg.autograd.grad(loss, model.parameters(), { createGraph: true });
      return gradients.reduce((sum, g) => sum.add(g.square().sum()), tg.zeros([])).mul(0.1);
    },
  });
}

/** Kinds of runs; each call makes a fresh one from the random numbers at hand. */
export const WORKLOADS = { mlp, cnn, gpt, smooth } as const satisfies Record<string, () => Workload>;

/** A kind of run. */
export type WorkloadKind = keyof typeof WORKLOADS;
