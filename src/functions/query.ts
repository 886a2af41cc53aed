/** Questions about tensors as functions. */

import { isTensor as isAnyTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";

/** True for a tensor. */
export function isTensor(value: unknown): value is Tensor {
  return isAnyTensor(value);
}

/** True for a tensor of a floating dtype. */
export function isFloatingPoint(input: Tensor): boolean {
  return input.isFloatingPoint();
}

/** Number of elements. */
export function numel(input: Tensor): number {
  return input.numel();
}
