/** Ordinary loops, as a user would write them: nothing is disposed of, tidied or counted. */

import type * as Tapegrad from "#tapegrad";
import { draw } from "../support/random.ts";

type Tensor = Tapegrad.Tensor;

/** When a loop lets the event loop turn: by reading its loss. */
export type Awaits = "each step" | "each 100" | "never";

/** A loop in the making. */
export interface Loop {
  readonly id: string;
  readonly title: string;
  readonly awaits: Awaits;
  /** Handles that the loop keeps, one a step. */
  readonly keeps?: true;
  /** Makes state. */
  start(tg: typeof Tapegrad): Running;
}

/** A loop that has begun. */
export interface Running {
  /** Does one step; gives a tensor to read when it is time to wait. */
  step(i: number): Tensor;
  /** What an optimiser updates. */
  readonly parameters: readonly Tensor[];
}

const BATCH = 64;
const INPUT = 64;
const HIDDEN = 128;
const CLASSES = 10;

/** A batch that the host makes anew in each step. */
function batch(tg: typeof Tapegrad, step: number): { x: Tensor; y: Tensor } {
  return {
    x: tg.tensor(draw({ kind: "normal" }, BATCH * INPUT, step + 1), { shape: [BATCH, INPUT] }),
    y: tg.tensor(draw({ kind: "index", below: CLASSES }, BATCH, step + 1), { shape: [BATCH] }),
  };
}

/** Parameters, and the loss of a batch. */
function model(tg: typeof Tapegrad): { parameters: Tensor[]; loss(step: number): Tensor } {
  const parameter = (shape: number[], scale: number): Tensor => tg.randn(shape).mul(scale).detach().requiresGrad_();
  const w0 = parameter([INPUT, HIDDEN], 0.1);
  const b0 = parameter([HIDDEN], 0);
  const w1 = parameter([HIDDEN, CLASSES], 0.1);
  const b1 = parameter([CLASSES], 0);
  return {
    parameters: [w0, b0, w1, b1],
    loss(step) {
      const { x, y } = batch(tg, step);
      return tg.F.crossEntropy(x.matmul(w0).add(b0).relu().matmul(w1).add(b1), y);
    },
  };
}

function train(tg: typeof Tapegrad): Running {
  const { parameters, loss } = model(tg);
  const optimizer = new tg.optim.AdamW(parameters, { lr: 1e-3 });
  return {
    parameters,
    step(i) {
      const value = loss(i);
      optimizer.zeroGrad();
      value.backward();
      optimizer.step();
      return value;
    },
  };
}

/** Training that keeps every loss. */
function keeping(tg: typeof Tapegrad): Running {
  const { parameters, step } = train(tg);
  const kept: Tensor[] = [];
  return {
    parameters,
    step(i) {
      const loss = step(i);
      kept.push(loss.detach());
      return loss;
    },
  };
}

/** A loop that trains nothing. */
const plain = (step: (i: number) => Tensor): Running => ({ step, parameters: [] });

const training = (awaits: Awaits, id: string): Loop => ({
  id,
  title: awaits === "never" ? "training, no await" : `training, await ${awaits}`,
  awaits,
  start: train,
});

/** All loops of the memory report. */
export const LOOPS: readonly Loop[] = [
  training("each step", "train"),
  training("each 100", "train-100"),
  training("never", "train-never"),
  {
    id: "evaluate",
    title: "evaluation under noGrad",
    awaits: "each step",
    start(tg) {
      const { loss } = model(tg);
      return plain((step) => tg.noGrad(() => loss(step)));
    },
  },
  {
    id: "average",
    title: "running average",
    awaits: "each 100",
    start(tg) {
      let average = tg.zeros(INPUT);
      return plain((step) => {
        average = average.mul(0.99).add(batch(tg, step).x.mean(0).mul(0.01));
        return average;
      });
    },
  },
  {
    id: "keep-losses",
    title: "keeps every loss, await each step",
    awaits: "each step",
    keeps: true,
    start: keeping,
  },
  {
    id: "keep-losses-100",
    title: "keeps every loss, await each 100",
    awaits: "each 100",
    keeps: true,
    start: keeping,
  },
  {
    id: "exception",
    title: "left by an exception before backward",
    awaits: "each step",
    start(tg) {
      const { loss } = model(tg);
      return plain((step) => {
        try {
          const value = loss(step);
          if (value.requiresGrad) throw new Error("the user's own");
          return value;
        } catch {
          return tg.zeros(1);
        }
      });
    },
  },
  {
    id: "exception-late",
    title: "left by an exception between backward and step",
    awaits: "each step",
    start(tg) {
      const { parameters, loss } = model(tg);
      return {
        parameters,
        step(i) {
          let value: Tensor | null = null;
          try {
            for (const p of parameters) p.grad = null;
            value = loss(i);
            value.backward();
            throw new Error("the user's own");
          } catch {
            return value!;
          }
        },
      };
    },
  },
  {
    id: "no-backward",
    title: "never calls backward",
    awaits: "each step",
    start(tg) {
      const { loss } = model(tg);
      return plain(loss);
    },
  },
  {
    id: "higher-order",
    title: "gradient penalty (gradients of gradients)",
    awaits: "each step",
    start(tg) {
      const { parameters, loss } = model(tg);
      const optimizer = new tg.optim.SGD(parameters, { lr: 1e-3 });
      const step = (i: number): Tensor => {
        const value = loss(i);
        const gradients = tg.autograd.grad([value], parameters, { createGraph: true });
        const penalty = gradients.map((g) => g.square().sum()).reduce((a, b) => a.add(b));
        const total = value.add(penalty.mul(0.01));
        optimizer.zeroGrad();
        total.backward();
        optimizer.step();
        return total;
      };
      return { parameters, step };
    },
  },
  {
    id: "views",
    title: "views of a large base (4 MiB)",
    awaits: "each step",
    start(tg) {
      const base = tg.randn(1024, 1024);
      return plain((step) =>
        base
          .narrow(0, step % 1000, 8)
          .select(1, step % 1024)
          .mul(2)
          .sum(),
      );
    },
  },
];
