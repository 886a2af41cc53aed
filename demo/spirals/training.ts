/** A small neural network that learns to tell the arms of a spiral apart: data, model and training, without a page. */

import * as tg from "#tapegrad";
import { F, noGrad, optim, randn, tensor, type Tensor } from "#tapegrad";

/** What a training may be told. */
export interface SpiralOptions {
  /** Arms of the spiral: the classes. */
  readonly arms: number;
  readonly pointsPerArm: number;
  /** Standard deviation of the angle, in radians. */
  readonly noise: number;
  /** Units in each of the two hidden layers. */
  readonly hidden: number;
  readonly learningRate: number;
  /** Of the points and of the first weights. */
  readonly seed: number;
}

/** Options that learn well in some hundred steps. */
export const DEFAULTS: SpiralOptions = {
  arms: 3,
  pointsPerArm: 100,
  noise: 0.2,
  hidden: 32,
  learningRate: 0.005,
  seed: 1,
};

/** Points `[arms * pointsPerArm, 2]` within the unit circle, made up by formula and random numbers, and the arm of each. */
function spiral({ arms, pointsPerArm, noise }: SpiralOptions): { points: Tensor; labels: Tensor } {
  const radius = tg.linspace(0.05, 1, pointsPerArm);
  const points: Tensor[] = [];
  const labels: number[] = [];
  for (let arm = 0; arm < arms; arm++) {
    const angle = radius
      .mul(5.5)
      .add((2 * Math.PI * arm) / arms)
      .add(randn(pointsPerArm).mul(noise));
    points.push(tg.stack([radius.mul(angle.cos()), radius.mul(angle.sin())], 1));
    for (let i = 0; i < pointsPerArm; i++) labels.push(arm);
  }
  return { points: tg.cat(points), labels: tensor(Int32Array.from(labels)) };
}

/** Weights `[outputs, inputs]` of a layer before a ReLU (He et al., 2015), and a bias of zeros. */
function layer(inputs: number, outputs: number): [weight: Tensor, bias: Tensor] {
  const weight = randn(outputs, inputs).mul(Math.sqrt(2 / inputs));
  return [weight.requiresGrad_(), tg.zeros(outputs, { requiresGrad: true })];
}

/** A training in progress. Seeds the library's random numbers when it is made. */
export class SpiralTraining {
  readonly options: SpiralOptions;
  /** Coordinates of the points, x and y in turn. */
  readonly points: Promise<readonly number[]>;
  /** The arm of each point. */
  readonly labels: Promise<readonly number[]>;
  /** Steps done. */
  steps = 0;
  readonly #x: Tensor;
  readonly #target: Tensor;
  readonly #layers: readonly (readonly [Tensor, Tensor])[];
  readonly #optimizer: optim.Adam;

  constructor(options: Partial<SpiralOptions> = {}) {
    this.options = { ...DEFAULTS, ...options };
    const { arms, hidden, learningRate, seed } = this.options;
    tg.manualSeed(seed);
    const { points, labels } = spiral(this.options);
    this.#x = points;
    this.#target = labels;
    this.points = points.data().then((data) => [...data]);
    this.labels = labels.data().then((data) => [...data]);
    this.#layers = [layer(2, hidden), layer(hidden, hidden), layer(hidden, arms)];
    this.#optimizer = new optim.Adam(this.#layers.flat(), { lr: learningRate });
  }

  /** Scores `[n, arms]` of points `[n, 2]`. */
  #forward(x: Tensor): Tensor {
    const [first, second, third] = this.#layers as [[Tensor, Tensor], [Tensor, Tensor], [Tensor, Tensor]];
    const hidden = F.relu(F.linear(F.relu(F.linear(x, ...first)), ...second));
    return F.linear(hidden, ...third);
  }

  /** Trains on all points some steps further; gives the loss before the last of them. */
  async train(steps: number): Promise<number> {
    let loss = tensor(NaN);
    for (let i = 0; i < steps; i++) {
      this.#optimizer.zeroGrad();
      loss = F.crossEntropy(this.#forward(this.#x), this.#target);
      loss.backward();
      this.#optimizer.step();
    }
    this.steps += steps;
    return loss.item();
  }

  /** The learning rate of the steps to come. */
  set learningRate(rate: number) {
    for (const group of this.#optimizer.paramGroups) group.lr = rate;
  }

  /** Share of the points that are given to their own arm. */
  async accuracy(): Promise<number> {
    const hits = noGrad(() => this.#forward(this.#x).argmax(1).eq(this.#target).to("float32").mean());
    return hits.item();
  }

  /** Probabilities of the arms at `size` by `size` places over -1.1 .. 1.1, row by row from the top. */
  async picture(size: number): Promise<ArrayLike<number>> {
    const probabilities = noGrad(() => {
      const axis = tg.linspace(-1.1, 1.1, size);
      const x = axis.unsqueeze(0).expand(size, size);
      const y = axis.neg().unsqueeze(1).expand(size, size);
      return F.softmax(this.#forward(tg.stack([x, y], 2).reshape(-1, 2)), 1);
    });
    return probabilities.data();
  }
}
