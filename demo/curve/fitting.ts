/** Fitting a sine to noisy points by gradient descent: data, model and training, without a page. */

import * as tg from "#tapegrad";
import { F, noGrad, optim, randn, tensor, type Tensor } from "#tapegrad";

/** The parameters of a · sin(ω x + φ) + b. */
export interface Wave {
  readonly a: number;
  readonly ω: number;
  readonly φ: number;
  readonly b: number;
}

/** Names of the parameters, in order. */
export const PARAMETERS = ["a", "ω", "φ", "b"] as const;

/** What a fit may be told. */
export interface FitOptions {
  /** The curve that the points are near. */
  readonly target: Wave;
  /** Where the descent starts. */
  readonly start: Wave;
  readonly points: number;
  /** Standard deviation of the points from the curve. */
  readonly noise: number;
  readonly learningRate: number;
  readonly momentum: number;
  /** Of the noise. */
  readonly seed: number;
}

/** Options with which the descent finds the curve. */
export const DEFAULTS: FitOptions = {
  target: { a: 1.5, ω: 2.2, φ: 0.6, b: 0.4 },
  start: { a: 0.6, ω: 1.6, φ: 0, b: 0 },
  points: 80,
  noise: 0.15,
  learningRate: 0.02,
  momentum: 0.9,
  seed: 4,
};

/** Ends of the interval of x. */
export const INTERVAL = [-3, 3] as const;

/** How far a descent is. */
export interface FitState {
  readonly step: number;
  readonly loss: number;
  readonly wave: Wave;
  /** The loss's gradient with respect to each parameter, before the last step. */
  readonly gradient: Wave;
}

function waveOf(values: readonly number[]): Wave {
  const [a, ω, φ, b] = values as [number, number, number, number];
  return { a, ω, φ, b };
}

/** A descent in progress. Seeds the library's random numbers when it is made. */
export class CurveFit {
  readonly options: FitOptions;
  readonly #x: Tensor;
  readonly #noise: Tensor;
  #y: Tensor;
  readonly #wave: Readonly<Record<keyof Wave, Tensor>>;
  readonly #optimizer: optim.SGD;
  #step = 0;

  constructor(options: Partial<FitOptions> = {}) {
    this.options = { ...DEFAULTS, ...options };
    const { target, start, points, noise, learningRate, momentum, seed } = this.options;
    tg.manualSeed(seed);
    this.#x = tg.linspace(...INTERVAL, points);
    this.#noise = randn(points).mul(noise);
    this.#y = this.#near(target);
    const leaf = (value: number): Tensor => tensor(value, { requiresGrad: true });
    this.#wave = { a: leaf(start.a), ω: leaf(start.ω), φ: leaf(start.φ), b: leaf(start.b) };
    this.#optimizer = new optim.SGD(this.#parameters(), { lr: learningRate, momentum });
  }

  #near({ a, ω, φ, b }: Wave): Tensor {
    return this.#x.mul(ω).add(φ).sin().mul(a).add(b).add(this.#noise);
  }

  /** Moves the points near another curve, in the midst of the descent. */
  aimAt(target: Wave): void {
    this.#y = this.#near(target);
  }

  /** Coordinates of the points, in ascending order of x. */
  async points(): Promise<{ readonly x: readonly number[]; readonly y: readonly number[] }> {
    const [x, y] = await tg.readAll([this.#x, this.#y]);
    return { x: [...x!], y: [...y!] };
  }

  #parameters(): Tensor[] {
    return PARAMETERS.map((name) => this.#wave[name]);
  }

  /** The mean of the squared distances from the curve, and what was computed on the way, by name. */
  #loss(): { loss: Tensor; steps: Readonly<Record<string, Tensor>> } {
    const { a, ω, φ, b } = this.#wave;
    const scaled = ω.mul(this.#x);
    const phase = scaled.add(φ);
    const sine = phase.sin();
    const wave = a.mul(sine);
    const model = wave.add(b);
    const loss = F.mseLoss(model, this.#y);
    return {
      loss,
      steps: { "ω x": scaled, "ω x + φ": phase, "sin(ω x + φ)": sine, "a sin(ω x + φ)": wave, "f(x)": model, loss },
    };
  }

  /** The tape of the loss, as one step records it. */
  graph(): tg.TapeGraph {
    const { loss, steps } = this.#loss();
    return tg.graph(loss, { names: { ...this.#wave, ...steps } });
  }

  /** Descends some steps further; at least one. */
  async descend(steps: number): Promise<FitState> {
    let loss = tensor(NaN);
    for (let i = 0; i < Math.max(1, steps); i++) {
      this.#optimizer.zeroGrad();
      ({ loss } = this.#loss());
      loss.backward();
      this.#optimizer.step();
      this.#step++;
    }
    const parameters = this.#parameters();
    const read = await tg.readAll([loss, ...parameters, ...parameters.map((p) => p.grad!)]);
    const [lossValue, ...values] = read.map((data) => data[0]!);
    return { step: this.#step, loss: lossValue!, wave: waveOf(values.slice(0, 4)), gradient: waveOf(values.slice(4)) };
  }

  /** The curve as it is now, at `count` places over the interval. */
  async curve(count: number): Promise<{ x: readonly number[]; y: readonly number[] }> {
    const x = tg.linspace(...INTERVAL, count);
    const { a, ω, φ, b } = this.#wave;
    const y = noGrad(() => ω.mul(x).add(φ).sin().mul(a).add(b));
    const [xs, ys] = await tg.readAll([x, y]);
    return { x: [...xs!], y: [...ys!] };
  }
}
