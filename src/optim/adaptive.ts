/** Optimisers that scale each element's step by its own gradients. */

import { describeValue } from "../args.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { checkRange, Optimizer, type ParamGroup, type Parameters, type ParamState } from "./optimizer.ts";
import { withDefaults } from "./sgd.ts";

/** The gradient with its sign for `maximize`, and with weight decay added. */
function decayed(p: Tensor, grad: Tensor, weightDecay: number, maximize: boolean): Tensor {
  const d = maximize ? grad.neg() : grad;
  return weightDecay === 0 ? d : d.add(p, { alpha: weightDecay });
}

function checkBetas(name: string, betas: readonly [number, number]): void {
  if (!Array.isArray(betas) || betas.length !== 2)
    throw new ArgumentError(`${name}: betas must be an array of two numbers`);
  betas.forEach((b, i) => checkRange(name, `beta parameter at index ${i}`, b, 0, 1));
}

/** Counts a step and sets the tensors that are not there yet to zero. */
function begin(p: Tensor, state: ParamState, ...names: readonly string[]): number {
  for (const name of names) state[name] ??= p.detach().zerosLike();
  const step = ((state["step"] as number | undefined) ?? 0) + 1;
  state["step"] = step;
  return step;
}

const at = (state: ParamState, name: string): Tensor => state[name] as Tensor;

/** Options of `RMSprop`, as in PyTorch. */
export interface RMSpropOptions {
  /** Learning rate, at least 0. Default: 0.01. */
  lr: number;
  /** Decay of the running average of squared gradients. Default: 0.99. */
  alpha: number;
  /** Added to the root of the average. Default: 1e-8. */
  eps: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty). Default: 0. */
  weightDecay: number;
  /** Share of the last step that is added to the next; 0 does without. Default: 0. */
  momentum: number;
  /** Whether to divide by the standard deviation of the gradient rather than by its root mean square. Default: false. */
  centered: boolean;
  /** Whether to go up the gradient rather than down. Default: false. */
  maximize: boolean;
}

/** RMSprop (Tieleman and Hinton, 2012), `torch.optim.RMSprop`. */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: Parameters<RMSpropOptions>, options: Partial<RMSpropOptions> | number = {}) {
    const defaults = {
      lr: 1e-2,
      alpha: 0.99,
      eps: 1e-8,
      weightDecay: 0,
      momentum: 0,
      centered: false,
      maximize: false,
    };
    super("RMSprop", params, withDefaults("RMSprop", defaults, options));
  }

  protected override check(group: ParamGroup<RMSpropOptions>): void {
    for (const what of ["lr", "eps", "momentum", "weightDecay", "alpha"] as const)
      checkRange("RMSprop", `${what} value`, group[what], 0);
  }

  protected override update(group: ParamGroup<RMSpropOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, alpha, eps, weightDecay, momentum, centered, maximize } = group;
    begin(p, state, "squareAvg", ...(momentum > 0 ? ["momentumBuffer"] : []), ...(centered ? ["gradAvg"] : []));
    const d = decayed(p, grad, weightDecay, maximize);
    const square = at(state, "squareAvg");
    square.mul_(alpha).addcmul_(d, d, { value: 1 - alpha });
    let variance = square;
    if (centered) {
      const mean = at(state, "gradAvg");
      mean.mul_(alpha).add_(d, { alpha: 1 - alpha });
      variance = square.addcmul(mean, mean, { value: -1 });
    }
    const average = variance.sqrt().add(eps);
    if (momentum > 0) {
      const buffer = at(state, "momentumBuffer");
      buffer.mul_(momentum).addcdiv_(d, average);
      p.add_(buffer, { alpha: -lr });
    } else p.addcdiv_(d, average, { value: -lr });
  }
}

/** Options of `Adagrad`, as in PyTorch. */
export interface AdagradOptions {
  /** Learning rate, at least 0. Default: 0.01. */
  lr: number;
  /** Decay of the learning rate: step n uses `lr / (1 + (n - 1) * lrDecay)`. Default: 0. */
  lrDecay: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty). Default: 0. */
  weightDecay: number;
  /** What the sum of squared gradients starts from, at least 0. Default: 0. */
  initialAccumulatorValue: number;
  /** Added to the root of the sum. Default: 1e-10. */
  eps: number;
  /** Whether to go up the gradient rather than down. Default: false. */
  maximize: boolean;
}

/** Adagrad (Duchi, Hazan and Singer, 2011), `torch.optim.Adagrad`. */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: Parameters<AdagradOptions>, options: Partial<AdagradOptions> | number = {}) {
    const defaults = { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false };
    super("Adagrad", params, withDefaults("Adagrad", defaults, options));
  }

  protected override check(group: ParamGroup<AdagradOptions>): void {
    for (const what of ["lr", "lrDecay", "weightDecay", "initialAccumulatorValue", "eps"] as const)
      checkRange("Adagrad", `${what} value`, group[what], 0);
  }

  protected override update(group: ParamGroup<AdagradOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, lrDecay, weightDecay, initialAccumulatorValue, eps, maximize } = group;
    state["sum"] ??= p.detach().fullLike(initialAccumulatorValue);
    const step = begin(p, state);
    const d = decayed(p, grad, weightDecay, maximize);
    const sum = at(state, "sum");
    sum.addcmul_(d, d);
    p.addcdiv_(d, sum.sqrt().add(eps), { value: -lr / (1 + (step - 1) * lrDecay) });
  }
}

/** Options of `Adadelta`, as in PyTorch. */
export interface AdadeltaOptions {
  /** Factor of the step, at least 0. Default: 1. */
  lr: number;
  /** Decay of the running averages of squared gradients and squared steps, from 0 to 1. Default: 0.9. */
  rho: number;
  /** Added to both averages before their roots are taken. Default: 1e-6. */
  eps: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty). Default: 0. */
  weightDecay: number;
  /** Whether to go up the gradient rather than down. Default: false. */
  maximize: boolean;
}

/** Adadelta (Zeiler, 2012), `torch.optim.Adadelta`. */
export class Adadelta extends Optimizer<AdadeltaOptions> {
  constructor(params: Parameters<AdadeltaOptions>, options: Partial<AdadeltaOptions> | number = {}) {
    const defaults = { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false };
    super("Adadelta", params, withDefaults("Adadelta", defaults, options));
  }

  protected override check(group: ParamGroup<AdadeltaOptions>): void {
    for (const what of ["lr", "eps", "weightDecay"] as const) checkRange("Adadelta", `${what} value`, group[what], 0);
    checkRange("Adadelta", "rho value", group.rho, 0, 1 + 2 ** -52);
  }

  protected override update(group: ParamGroup<AdadeltaOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, rho, eps, weightDecay, maximize } = group;
    begin(p, state, "squareAvg", "accDelta");
    const d = decayed(p, grad, weightDecay, maximize);
    const [square, moved] = [at(state, "squareAvg"), at(state, "accDelta")];
    square.mul_(rho).addcmul_(d, d, { value: 1 - rho });
    const delta = moved.add(eps).sqrt().div(square.add(eps).sqrt()).mul(d);
    moved.mul_(rho).addcmul_(delta, delta, { value: 1 - rho });
    p.add_(delta, { alpha: -lr });
  }
}

/** Options of `Adamax`, as in PyTorch. */
export interface AdamaxOptions {
  /** Learning rate, at least 0. Default: 0.002. */
  lr: number;
  /** Decay of the running average of the gradient and of its largest magnitude, each in [0, 1). Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the magnitude of the gradient, against division by zero. Default: 1e-8. */
  eps: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty). Default: 0. */
  weightDecay: number;
  /** Whether to go up the gradient rather than down. Default: false. */
  maximize: boolean;
}

/** Adam with the infinity norm (Kingma and Ba, 2015), `torch.optim.Adamax`. */
export class Adamax extends Optimizer<AdamaxOptions> {
  constructor(params: Parameters<AdamaxOptions>, options: Partial<AdamaxOptions> | number = {}) {
    const defaults: AdamaxOptions = { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maximize: false };
    super("Adamax", params, withDefaults("Adamax", defaults, options));
  }

  protected override check(group: ParamGroup<AdamaxOptions>): void {
    for (const what of ["lr", "eps", "weightDecay"] as const) checkRange("Adamax", `${what} value`, group[what], 0);
    checkBetas("Adamax", group.betas);
  }

  protected override update(group: ParamGroup<AdamaxOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, eps, weightDecay, maximize } = group;
    const [beta1, beta2] = group.betas;
    const step = begin(p, state, "expAvg", "expInf");
    const d = decayed(p, grad, weightDecay, maximize);
    const [mean, largest] = [at(state, "expAvg"), at(state, "expInf")];
    mean.mul_(beta1).add_(d, { alpha: 1 - beta1 });
    largest.copy_(largest.mul(beta2).maximum(d.abs().add(eps)));
    p.addcdiv_(mean, largest, { value: -lr / (1 - beta1 ** step) });
  }
}

/** Options of `NAdam`, as in PyTorch. */
export interface NAdamOptions {
  /** Learning rate, at least 0. Default: 0.002. */
  lr: number;
  /** Decay of the running averages of the gradient and of its square, each in [0, 1). Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the denominator, against division by zero. Default: 1e-8. */
  eps: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty). Default: 0. */
  weightDecay: number;
  /** How fast the momentum rises to its full value: larger is faster. Default: 0.004. */
  momentumDecay: number;
}

/** Adam with Nesterov's momentum (Dozat, 2016), `torch.optim.NAdam`. */
export class NAdam extends Optimizer<NAdamOptions> {
  constructor(params: Parameters<NAdamOptions>, options: Partial<NAdamOptions> | number = {}) {
    const defaults: NAdamOptions = { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, momentumDecay: 4e-3 };
    super("NAdam", params, withDefaults("NAdam", defaults, options));
  }

  protected override check(group: ParamGroup<NAdamOptions>): void {
    for (const what of ["lr", "eps", "weightDecay", "momentumDecay"] as const)
      checkRange("NAdam", `${what} value`, group[what], 0);
    checkBetas("NAdam", group.betas);
  }

  protected override update(group: ParamGroup<NAdamOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, eps, weightDecay, momentumDecay } = group;
    const [beta1, beta2] = group.betas;
    const step = begin(p, state, "expAvg", "expAvgSq");
    const d = decayed(p, grad, weightDecay, false);
    const mu = beta1 * (1 - 0.5 * 0.96 ** (step * momentumDecay));
    const next = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * momentumDecay));
    const all = ((state["muProduct"] as number | undefined) ?? 1) * mu;
    state["muProduct"] = all;
    const [mean, square] = [at(state, "expAvg"), at(state, "expAvgSq")];
    mean.mul_(beta1).add_(d, { alpha: 1 - beta1 });
    square.mul_(beta2).addcmul_(d, d, { value: 1 - beta2 });
    const root = square
      .div(1 - beta2 ** step)
      .sqrt()
      .add(eps);
    p.addcdiv_(d, root, { value: (-lr * (1 - mu)) / (1 - all) });
    p.addcdiv_(mean, root, { value: (-lr * next) / (1 - all * next) });
  }
}

/** Options of `RAdam`, as in PyTorch. */
export interface RAdamOptions {
  /** Learning rate, at least 0. Default: 0.001. */
  lr: number;
  /** Decay of the running averages of the gradient and of its square, each in [0, 1). Default: [0.9, 0.999]. */
  betas: readonly [number, number];
  /** Added to the denominator, against division by zero. Default: 1e-8. */
  eps: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty). Default: 0. */
  weightDecay: number;
}

/** Rectified Adam (Liu et al., 2019), `torch.optim.RAdam`. */
export class RAdam extends Optimizer<RAdamOptions> {
  constructor(params: Parameters<RAdamOptions>, options: Partial<RAdamOptions> | number = {}) {
    const defaults: RAdamOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 };
    super("RAdam", params, withDefaults("RAdam", defaults, options));
  }

  protected override check(group: ParamGroup<RAdamOptions>): void {
    for (const what of ["lr", "eps", "weightDecay"] as const) checkRange("RAdam", `${what} value`, group[what], 0);
    checkBetas("RAdam", group.betas);
  }

  protected override update(group: ParamGroup<RAdamOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, eps, weightDecay } = group;
    const [beta1, beta2] = group.betas;
    const step = begin(p, state, "expAvg", "expAvgSq");
    const d = decayed(p, grad, weightDecay, false);
    const [mean, square] = [at(state, "expAvg"), at(state, "expAvgSq")];
    mean.mul_(beta1).add_(d, { alpha: 1 - beta1 });
    square.mul_(beta2).addcmul_(d, d, { value: 1 - beta2 });
    const [correction1, correction2] = [1 - beta1 ** step, 1 - beta2 ** step];
    const most = 2 / (1 - beta2) - 1;
    // Length of the simple average that the moving one stands for: below 5 its variance is unknown.
    const length = most - (2 * step * beta2 ** step) / correction2;
    if (length > 5) {
      const rectified = Math.sqrt(((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length));
      const factor = (lr * Math.sqrt(correction2) * rectified) / correction1;
      p.addcdiv_(mean, square.sqrt().add(eps), { value: -factor });
    } else p.add_(mean, { alpha: -lr / correction1 });
  }
}

/** Options of `Rprop`, as in PyTorch. */
export interface RpropOptions {
  /** Size of the first step of each element, at least 0. Default: 0.01. */
  lr: number;
  /** Factors of the step size where the gradient changed its sign, in (0, 1), and where it kept it, above 1. Default: [0.5, 1.2]. */
  etas: readonly [number, number];
  /** Smallest and largest step size. Default: [1e-6, 50]. */
  stepSizes: readonly [number, number];
  /** Whether to go up the gradient rather than down. Default: false. */
  maximize: boolean;
}

/** Resilient propagation (Riedmiller and Braun, 1993), `torch.optim.Rprop`. */
export class Rprop extends Optimizer<RpropOptions> {
  constructor(params: Parameters<RpropOptions>, options: Partial<RpropOptions> | number = {}) {
    const defaults: RpropOptions = { lr: 1e-2, etas: [0.5, 1.2], stepSizes: [1e-6, 50], maximize: false };
    super("Rprop", params, withDefaults("Rprop", defaults, options));
  }

  protected override check(group: ParamGroup<RpropOptions>): void {
    checkRange("Rprop", "lr value", group.lr, 0);
    const [less, more] = group.etas;
    if (!(less > 0 && less < 1 && more > 1))
      throw new ArgumentError(`Rprop: invalid eta values: ${describeValue(less)}, ${more}`);
  }

  protected override update(group: ParamGroup<RpropOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, maximize } = group;
    const [less, more] = group.etas;
    state["stepSize"] ??= p.detach().fullLike(lr);
    begin(p, state, "prev");
    let d = maximize ? grad.neg() : grad;
    const [before, size] = [at(state, "prev"), at(state, "stepSize")];
    const agreement = d.mul(before);
    const factor = agreement.fullLike(1).maskedFill(agreement.gt(0), more).maskedFill(agreement.lt(0), less);
    size.copy_(size.mul(factor).clamp(...group.stepSizes));
    d = agreement.lt(0).where(0, d);
    p.sub_(d.sign().mul(size));
    before.copy_(d);
  }
}

/** Options of `ASGD`, as in PyTorch. */
export interface ASGDOptions {
  /** Learning rate, at least 0. Default: 0.01. */
  lr: number;
  /** Decay of the parameter and of the rate, which after n steps is `lr / (1 + lambd * lr * n) ** alpha`. Default: 1e-4. */
  lambd: number;
  /** Power of the decay of the learning rate. Default: 0.75. */
  alpha: number;
  /** Number of steps before averaging starts. Default: 1e6. */
  t0: number;
  /** Factor of the parameter that is added to its gradient (L2 penalty). Default: 0. */
  weightDecay: number;
  /** Whether to go up the gradient rather than down. Default: false. */
  maximize: boolean;
}

/** Averaged stochastic gradient descent (Polyak and Juditsky, 1992), `torch.optim.ASGD`: the average is `state.get(p).ax`. */
export class ASGD extends Optimizer<ASGDOptions> {
  constructor(params: Parameters<ASGDOptions>, options: Partial<ASGDOptions> | number = {}) {
    const defaults = { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6, weightDecay: 0, maximize: false };
    super("ASGD", params, withDefaults("ASGD", defaults, options));
  }

  protected override check(group: ParamGroup<ASGDOptions>): void {
    for (const what of ["lr", "weightDecay"] as const) checkRange("ASGD", `${what} value`, group[what], 0);
  }

  protected override update(group: ParamGroup<ASGDOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, lambd, alpha, t0, weightDecay, maximize } = group;
    const step = begin(p, state, "ax");
    const eta = (state["eta"] as number | undefined) ?? lr;
    const mu = (state["mu"] as number | undefined) ?? 1;
    const d = decayed(p, grad, weightDecay, maximize);
    p.mul_(1 - lambd * eta).add_(d, { alpha: -eta });
    const average = at(state, "ax");
    if (mu === 1) average.copy_(p);
    else average.add_(p.sub(average).mul(mu));
    state["eta"] = lr / (1 + lambd * lr * step) ** alpha;
    state["mu"] = 1 / Math.max(1, step - t0);
  }
}
