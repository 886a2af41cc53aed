/** Adam and AdamW. */

import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { checkRange, Optimizer, type ParamGroup, type Parameters, type ParamState } from "./optimizer.ts";
import { withDefaults } from "./sgd.ts";

/** Options of `Adam` and `AdamW`, as in PyTorch. */
export interface AdamOptions {
  /** Learning rate. */
  lr: number;
  /** Decay of the running averages of the gradient and of its square. */
  betas: readonly [number, number];
  /** Added to the denominator. */
  eps: number;
  /** Adam: factor of the parameter added to its gradient; AdamW: share taken off the parameter, times the learning rate. */
  weightDecay: number;
  /** Whether the largest average of squares so far is used. */
  amsgrad: boolean;
  /** Whether to go up rather than down. */
  maximize: boolean;
}

const DEFAULTS: AdamOptions = {
  lr: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  maximize: false,
};

/** Adam (Kingma and Ba, 2015), `torch.optim.Adam`: `new optim.Adam(params, { lr: 1e-3 })`. */
export class Adam extends Optimizer<AdamOptions> {
  readonly #decoupled: boolean;

  constructor(params: Parameters<AdamOptions>, options: Partial<AdamOptions> | number = {}, name = "Adam") {
    super(name, params, withDefaults(name, name === "AdamW" ? { ...DEFAULTS, weightDecay: 0.01 } : DEFAULTS, options));
    this.#decoupled = name === "AdamW";
  }

  protected override check(group: ParamGroup<AdamOptions>): void {
    const { lr, betas, eps, weightDecay } = group;
    checkRange("Adam", "learning rate", lr, 0);
    checkRange("Adam", "epsilon value", eps, 0);
    checkRange("Adam", "weightDecay value", weightDecay, 0);
    if (!Array.isArray(betas) || betas.length !== 2)
      throw new ArgumentError("Adam: betas must be an array of two numbers");
    betas.forEach((b, i) => checkRange("Adam", `beta parameter at index ${i}`, b, 0, 1));
  }

  protected override update(group: ParamGroup<AdamOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, eps, weightDecay, amsgrad, maximize } = group;
    const [beta1, beta2] = group.betas;
    if (state["step"] === undefined) {
      state["step"] = 0;
      state["expAvg"] = p.detach().zerosLike();
      state["expAvgSq"] = p.detach().zerosLike();
      if (amsgrad) state["maxExpAvgSq"] = p.detach().zerosLike();
    }
    const step = (state["step"] as number) + 1;
    state["step"] = step;
    let d = maximize ? grad.neg() : grad;
    if (weightDecay !== 0) {
      if (this.#decoupled) p.mul_(1 - lr * weightDecay);
      else d = d.add(p, { alpha: weightDecay });
    }
    const mean = state["expAvg"] as Tensor;
    const square = state["expAvgSq"] as Tensor;
    mean.lerp_(d, 1 - beta1);
    square.mul_(beta2).addcmul_(d, d, { value: 1 - beta2 });
    let second = square;
    if (amsgrad) {
      const largest = state["maxExpAvgSq"] as Tensor;
      largest.copy_(largest.maximum(square));
      second = largest;
    }
    const denominator = second
      .sqrt()
      .mul(1 / Math.sqrt(1 - beta2 ** step))
      .add(eps);
    p.addcdiv_(mean, denominator, { value: -lr / (1 - beta1 ** step) });
  }
}

/** Adam with decoupled weight decay (Loshchilov and Hutter, 2019), `torch.optim.AdamW`. */
export class AdamW extends Adam {
  constructor(params: Parameters<AdamOptions>, options: Partial<AdamOptions> | number = {}) {
    super(params, options, "AdamW");
  }
}
