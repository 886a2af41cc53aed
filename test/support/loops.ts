/** Ordinary loops that dispose of nothing, for the tests of memory. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";

/** One turn of a loop. */
export type Turn = (step: number) => void | Promise<void>;

const ROWS = 64;
const FEATURES = 100;
const CLASSES = 10;

/** A number in [0, 1) that depends on two numbers. */
function fraction(i: number, j: number): number {
  return (Math.abs(Math.sin(i * 12.9898 + j * 78.233)) * 43758.5453) % 1;
}

function batch(step: number): Tensor {
  const values = Float32Array.from({ length: ROWS * FEATURES }, (_, j) => fraction(step, j) - 0.5);
  return tg.tensor(values, { shape: [ROWS, FEATURES] });
}

function labels(step: number): Tensor {
  return tg.tensor(Int32Array.from({ length: ROWS }, (_, j) => Math.floor(fraction(step + 1, j) * CLASSES)));
}

interface Model {
  readonly params: readonly Tensor[];
  forward(x: Tensor): Tensor;
}

function makeModel(): Model {
  const weight = (...shape: number[]): Tensor => tg.randn(shape).mul(0.1).requiresGrad_();
  const params = [weight(FEATURES, 64), weight(64), weight(64, CLASSES), weight(CLASSES)] as const;
  const [w1, b1, w2, b2] = params;
  return { params, forward: (x) => x.matmul(w1).add(b1).relu().matmul(w2).add(b2) };
}

function training(after: (loss: Tensor, step: number) => void | Promise<void>, readFirst = false): Turn {
  const model = makeModel();
  const optimizer = new tg.optim.Adam([...model.params], { lr: 1e-3 });
  return async (step) => {
    optimizer.zeroGrad();
    const loss = tg.F.crossEntropy(model.forward(batch(step)), labels(step));
    if (readFirst) await loss.item();
    loss.backward();
    optimizer.step();
    await after(loss, step);
  };
}

/** Loops by name; each call makes a fresh one on the default device. */
export const LOOPS: Readonly<Record<string, () => Turn>> = {
  "training, the loss read each step": () => training(async (loss) => void (await loss.item())),
  "training, the loss read before backward": () => training(() => undefined, true),
  "training, the loss read each ten steps": () =>
    training(async (loss, step) => void (step % 10 === 9 && (await loss.item()))),
  "training, nothing read": () => training(() => undefined),
  "evaluation under noGrad": () => {
    const model = makeModel();
    return (step) =>
      tg.noGrad(async () => {
        await model.forward(batch(step)).argmax(1).eq(labels(step)).sum().item();
      });
  },
  "a forward pass that is never followed by backward": () => {
    const model = makeModel();
    return async (step) => void (await tg.F.crossEntropy(model.forward(batch(step)), labels(step)).item());
  },
  "a running average in place": () => {
    const average = tg.zeros(FEATURES);
    return async (step) => {
      average.mul_(0.9).add_(batch(step).mean(0), { alpha: 0.1 });
      await average.sum().item();
    };
  },
  "a running average by rebinding": () => {
    let average = tg.zeros(FEATURES);
    return async (step) => {
      average = average.mul(0.9).add(batch(step).mean(0).mul(0.1));
      await average.sum().item();
    };
  },
  "an exception between backward and step": () => {
    const step = training(() => {
      throw new Error("stop");
    });
    return async (i) => {
      try {
        await step(i);
      } catch (error) {
        if (!(error instanceof Error) || error.message !== "stop") throw error;
      }
    };
  },
  "gradients of gradients": () => {
    const model = makeModel();
    const optimizer = new tg.optim.SGD([...model.params], { lr: 0.1 });
    return async (step) => {
      optimizer.zeroGrad();
      const loss = tg.F.crossEntropy(model.forward(batch(step)), labels(step));
      let penalty: Tensor = loss;
      for (const g of tg.autograd.grad(loss, [...model.params], { createGraph: true }))
        penalty = penalty.add(g.square().sum());
      penalty.backward();
      optimizer.step();
      await loss.item();
    };
  },
  "views of a large base": () => {
    const base = tg.rand(512, 256);
    return async (step) =>
      void (await base
        .at(step % 512)
        .mul(2)
        .sum()
        .item());
  },
};
