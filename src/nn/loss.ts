/** Losses as modules. */

import { crossEntropy, mseLoss, nllLoss, type Reduction } from "../ops/composite/loss.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";

/** Options of losses over classes. */
export interface ClassLossOptions {
  weight?: Tensor | null;
  ignoreIndex?: number;
  reduction?: Reduction;
}

/** `F.mseLoss` as a module. */
export class MSELoss extends Module {
  readonly reduction: Reduction;
  constructor(options: { reduction?: Reduction } = {}) {
    super();
    this.reduction = options.reduction ?? "mean";
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, { reduction: this.reduction });
  }
}

/** `F.crossEntropy` as a module. */
export class CrossEntropyLoss extends Module {
  declare weight: Tensor | null;
  readonly options: Omit<ClassLossOptions, "weight"> & { labelSmoothing?: number };
  constructor(options: ClassLossOptions & { labelSmoothing?: number } = {}) {
    super();
    const { weight = null, ...rest } = options;
    this.registerBuffer("weight", weight);
    this.options = rest;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return crossEntropy(input, { target, weight: this.weight, ...this.options });
  }
}

/** `F.nllLoss` as a module. */
export class NLLLoss extends Module {
  declare weight: Tensor | null;
  readonly options: Omit<ClassLossOptions, "weight">;
  constructor(options: ClassLossOptions = {}) {
    super();
    const { weight = null, ...rest } = options;
    this.registerBuffer("weight", weight);
    this.options = rest;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return nllLoss(input, { target, weight: this.weight, ...this.options });
  }
}
