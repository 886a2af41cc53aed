/** `tg.autograd`: what `torch.autograd` offers. */

import { parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError } from "../errors.ts";
import { isTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { backward as run, grad as gradients } from "./engine.ts";

export { Function, type FunctionContext } from "./function.ts";
export { gradcheck, gradgradcheck, type GradcheckOptions } from "./gradcheck.ts";
export { detectAnomaly } from "./anomaly.ts";
export * as functional from "./functional.ts";
export * as graph from "./saved-hooks.ts";
export { noGrad, enableGrad, inferenceMode, isGradEnabled, setGradEnabled, type ModeGuard } from "./mode.ts";
export type { GradFn, SavedTensorHooks } from "./tape.ts";

/** One tensor or several. */
export type TensorOrList = Tensor | readonly Tensor[];

function list(op: string, what: string, value: TensorOrList): readonly Tensor[] {
  const result = isTensor(value) ? [value] : value;
  if (!Array.isArray(result) || !result.every(isTensor))
    throw new ArgumentError(`${op}: ${what} must be a Tensor or an array of Tensors`);
  if (result.length === 0) throw new ArgumentError(`${op}: ${what} must not be empty`);
  return result;
}

const GRAD = signature<{
  outputs: TensorOrList;
  inputs: TensorOrList;
  gradOutputs?: Tensor | readonly (Tensor | null)[] | null;
  retainGraph?: boolean | null;
  createGraph?: boolean;
  allowUnused?: boolean;
}>()("autograd.grad", ["outputs", "inputs", "gradOutputs", "retainGraph", "createGraph"], ["allowUnused"]);

/**
 * Gradients of the (weighted) sum of `outputs` with respect to `inputs`, as an array; no `.grad` changes. Inputs that were not used throw,
 * or give null with `allowUnused`.
 */
export function grad(...args: ArgsOf<typeof GRAD>): Tensor[] {
  const { outputs, inputs, gradOutputs = null, ...options } = parse(GRAD, args);
  const seeds = gradOutputs === null ? null : isTensor(gradOutputs) ? [gradOutputs] : gradOutputs;
  const result = gradients(list("autograd.grad", "outputs", outputs), list("autograd.grad", "inputs", inputs), {
    ...options,
    gradOutputs: seeds,
  });
  // With allowUnused an entry may be null; the declared type is the common case.
  return result as Tensor[];
}

const BACKWARD = signature<{
  tensors: TensorOrList;
  gradTensors?: Tensor | readonly (Tensor | null)[] | null;
  retainGraph?: boolean | null;
  createGraph?: boolean;
  inputs?: TensorOrList | null;
}>()("autograd.backward", ["tensors", "gradTensors", "retainGraph", "createGraph"], ["inputs"]);

/** Adds the gradients of several tensors to the `.grad` of their leaves. */
export function backward(...args: ArgsOf<typeof BACKWARD>): void {
  const { tensors, gradTensors = null, inputs = null, ...options } = parse(BACKWARD, args);
  const roots = list("autograd.backward", "tensors", tensors);
  const seeds = gradTensors === null ? roots.map(() => null) : isTensor(gradTensors) ? [gradTensors] : gradTensors;
  if (seeds.length !== roots.length)
    throw new ArgumentError(`autograd.backward: ${roots.length} tensors but ${seeds.length} gradTensors`);
  run(roots, seeds, { ...options, inputs: inputs === null ? null : list("autograd.backward", "inputs", inputs) });
}
