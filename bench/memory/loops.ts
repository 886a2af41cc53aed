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

/** Sizes of the perceptron: small, so that software adapters, too, get through so many steps. */
interface Sizes {
  readonly input: number;
  readonly hidden: number;
}

const BATCH = 16;
const CLASSES = 10;
const SMALL: Sizes = { input: 32, hidden: 64 };
/** Where nothing is awaited, every loss that was not read keeps its four bytes: they have to be little beside the rest. */
const LARGER: Sizes = { input: 64, hidden: 192 };

/** The small one, for the peers. */
export const MODEL = { batch: BATCH, layers: [SMALL.input, SMALL.hidden, CLASSES] } as const;

/** A batch that the host makes anew in each step. */
function batch(tg: typeof Tapegrad, step: number, input: number): { x: Tensor; y: Tensor } {
  return {
    x: tg.tensor(draw({ kind: "normal" }, BATCH * input, step + 1), { shape: [BATCH, input] }),
    y: tg.tensor(draw({ kind: "index", below: CLASSES }, BATCH, step + 1), { shape: [BATCH] }),
  };
}

/** Parameters, and the loss of a batch. */
function model(
  tg: typeof Tapegrad,
  { input, hidden }: Sizes = SMALL,
): { parameters: Tensor[]; loss(step: number): Tensor } {
  const parameter = (shape: number[], scale: number): Tensor => tg.randn(shape).mul(scale).detach().requiresGrad_();
  const w0 = parameter([input, hidden], 0.1);
  const b0 = parameter([hidden], 0);
  const w1 = parameter([hidden, CLASSES], 0.1);
  const b1 = parameter([CLASSES], 0);
  return {
    parameters: [w0, b0, w1, b1],
    loss(step) {
      const { x, y } = batch(tg, step, input);
      return tg.F.crossEntropy(x.matmul(w0).add(b0).relu().matmul(w1).add(b1), y);
    },
  };
}

function train(tg: typeof Tapegrad, sizes = SMALL): Running {
  const { parameters, loss } = model(tg, sizes);
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
  start: (tg) => train(tg, awaits === "never" ? LARGER : SMALL),
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
      let average = tg.zeros(SMALL.input);
      return plain((step) => {
        average = average.mul(0.99).add(batch(tg, step, SMALL.input).x.mean(0).mul(0.01));
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
    title: "every other step left by an exception before backward",
    awaits: "each step",
    start(tg) {
      const { parameters, loss } = model(tg);
      const optimizer = new tg.optim.AdamW(parameters, { lr: 1e-3 });
      return {
        parameters,
        step(i) {
          try {
            const value = loss(i);
            if (i % 2 === 0) throw new Error("the user's own");
            optimizer.zeroGrad();
            value.backward();
            optimizer.step();
            return value;
          } catch {
            return tg.zeros(1);
          }
        },
      };
    },
  },
  {
    id: "exception-late",
    title: "every step left by an exception between backward and step",
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
      const { loss } = model(tg, LARGER);
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
