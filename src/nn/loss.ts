/** Losses as modules. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { crossEntropy, mseLoss, nllLoss, type Reduction } from "../ops/composite/loss.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";

/** Options of losses over classes. */
export interface ClassLossOptions {
  /** Factor of each class's loss: [classes]; all 1 if null or left out. */
  weight?: Tensor | null;
  /** Class index of targets that neither cost nor count (-100). */
  ignoreIndex?: number;
  /** How the losses of the elements are combined ("mean"). */
  reduction?: Reduction;
}

const MSE = signature<{ reduction?: Reduction }>()("MSELoss", ["reduction"]);
const CROSS_ENTROPY = signature<ClassLossOptions & { labelSmoothing?: number }>()("CrossEntropyLoss", [
  "weight",
  "ignoreIndex",
  "reduction",
  "labelSmoothing",
]);
const NLL = signature<ClassLossOptions>()("NLLLoss", ["weight", "ignoreIndex", "reduction"]);

function checkReduction(name: string, reduction: unknown): void {
  if (reduction !== undefined && reduction !== "none" && reduction !== "mean" && reduction !== "sum")
    throw new ArgumentError(`${name}: reduction must be "none", "mean" or "sum", got ${describeValue(reduction)}`);
}

/** `F.mseLoss` as a module. */
export class MSELoss extends Module {
  /** How the squared errors of the elements are combined. */
  readonly reduction: Reduction;
  constructor(...args: ArgsOf<typeof MSE>) {
    super();
    const { reduction = "mean" } = parse(MSE, args);
    checkReduction("MSELoss", reduction);
    this.reduction = reduction;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return mseLoss(input, target, { reduction: this.reduction });
  }
}

/** `F.crossEntropy` as a module. */
export class CrossEntropyLoss extends Module {
  /** Factor of each class's loss: [classes], a buffer; null for all 1. */
  declare weight: Tensor | null;
  /** What else `F.crossEntropy` is called with. */
  readonly options: Omit<ClassLossOptions, "weight"> & {
    /** Share of the target that is spread over all classes equally, 0 to 1 (0). */
    labelSmoothing?: number;
  };
  constructor(...args: ArgsOf<typeof CROSS_ENTROPY>) {
    super();
    const { weight = null, ...rest } = parse(CROSS_ENTROPY, args);
    checkReduction("CrossEntropyLoss", rest.reduction);
    this.registerBuffer("weight", weight);
    this.options = rest;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return crossEntropy(input, { target, weight: this.weight, ...this.options });
  }
}

/** `F.nllLoss` as a module. */
export class NLLLoss extends Module {
  /** Factor of each class's loss: [classes], a buffer; null for all 1. */
  declare weight: Tensor | null;
  /** What else `F.nllLoss` is called with. */
  readonly options: Omit<ClassLossOptions, "weight">;
  constructor(...args: ArgsOf<typeof NLL>) {
    super();
    const { weight = null, ...rest } = parse(NLL, args);
    checkReduction("NLLLoss", rest.reduction);
    this.registerBuffer("weight", weight);
    this.options = rest;
  }
  override forward(input: Tensor, target: Tensor): Tensor {
    return nllLoss(input, { target, weight: this.weight, ...this.options });
  }
}
