/** Stochastic gradient descent. */

import { applyOptions, describeValue, isOptions } from "../args.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { checkRange, Optimizer, type ParamGroup, type Parameters, type ParamState } from "./optimizer.ts";

/** Options of `SGD`, as in PyTorch. */
export interface SGDOptions {
  /** Learning rate. */
  lr: number;
  /** Share of the last step that is added to the next. */
  momentum: number;
  /** Share of the gradient that momentum leaves out. */
  dampening: number;
  /** Factor of the parameter that is added to its gradient. */
  weightDecay: number;
  /** Whether the momentum is looked ahead. */
  nesterov: boolean;
  /** Whether to go up rather than down. */
  maximize: boolean;
}

const DEFAULTS: SGDOptions = { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false };

/** Options by name over the defaults; a number alone is the learning rate. An unknown name is an error. */
export function withDefaults<O extends object>(name: string, defaults: O, options: Partial<O> | number): O {
  const given: Record<string, unknown> = {};
  const named: unknown = typeof options === "number" ? { lr: options } : options;
  if (!isOptions(named))
    throw new ArgumentError(
      `${name}: expected the options by name, such as { lr: 0.01 }, got ${describeValue(named)} behind the parameters`,
    );
  applyOptions(name, Object.keys(defaults), {}, named, given);
  for (const [key, value] of Object.entries(given)) {
    const usual: unknown = defaults[key as keyof O];
    const isPair = Array.isArray(usual);
    if (isPair ? !Array.isArray(value) : usual !== null && typeof value !== typeof usual)
      throw new ArgumentError(
        `${name}: ${key} must be ${isPair ? "an array of two numbers" : `a ${typeof usual}`}, got ${describeValue(value)}`,
      );
  }
  return { ...defaults, ...(given as Partial<O>) };
}

/** Stochastic gradient descent with momentum (`torch.optim.SGD`): `new optim.SGD(params, { lr: 0.1, momentum: 0.9 })`. */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: Parameters<SGDOptions>, options: Partial<SGDOptions> | number = {}) {
    super("SGD", params, withDefaults("SGD", DEFAULTS, options));
  }

  protected override check(group: ParamGroup<SGDOptions>): void {
    checkRange("SGD", "learning rate", group.lr, 0);
    checkRange("SGD", "momentum value", group.momentum, 0);
    checkRange("SGD", "weightDecay value", group.weightDecay, 0);
    if (group.nesterov && (group.momentum <= 0 || group.dampening !== 0))
      throw new ArgumentError("SGD: Nesterov momentum requires a momentum and zero dampening");
  }

  protected override update(group: ParamGroup<SGDOptions>, p: Tensor, grad: Tensor, state: ParamState): void {
    const { lr, momentum, dampening, weightDecay, nesterov, maximize } = group;
    let d = maximize ? grad.neg() : grad;
    if (weightDecay !== 0) d = d.add(p, { alpha: weightDecay });
    if (momentum !== 0) {
      const before = state["momentumBuffer"] as Tensor | undefined;
      if (before === undefined) state["momentumBuffer"] = d.clone();
      else before.mul_(momentum).add_(d, { alpha: 1 - dampening });
      const buffer = state["momentumBuffer"] as Tensor;
      d = nesterov ? d.add(buffer, { alpha: momentum }) : buffer;
    }
    p.add_(d, { alpha: -lr });
  }
}
