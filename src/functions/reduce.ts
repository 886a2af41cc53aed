/** Functions whose form depends on their arguments: `max`, `min`. */

import { checkTensor } from "../ops/apply.ts";
import type { ValuesIndices } from "../ops/reduce.ts";
import type { Tensor } from "../tensor.ts";

/** Largest element; `max(x, dim, keepdim)` gives `{ values, indices }`; `max(x, other)` is `maximum`. */
export function max(input: Tensor): Tensor;
export function max(input: Tensor, other: Tensor): Tensor;
export function max(input: Tensor, dim: number, keepdim?: boolean): ValuesIndices;
export function max(input: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices;
export function max(input: Tensor, ...args: readonly unknown[]): Tensor | ValuesIndices {
  return checkTensor("max", "input", input).max(...(args as [number]));
}

/** Smallest element; `min(x, dim, keepdim)` gives `{ values, indices }`; `min(x, other)` is `minimum`. */
export function min(input: Tensor): Tensor;
export function min(input: Tensor, other: Tensor): Tensor;
export function min(input: Tensor, dim: number, keepdim?: boolean): ValuesIndices;
export function min(input: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices;
export function min(input: Tensor, ...args: readonly unknown[]): Tensor | ValuesIndices {
  return checkTensor("min", "input", input).min(...(args as [number]));
}
