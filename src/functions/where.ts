/** `where`, whose form depends on its arguments. */

import * as compare from "../ops/compare.ts";
import type { Operand } from "../ops/elementwise.ts";
import { nonzero } from "../ops/dynamic.ts";
import type { Tensor } from "../tensor.ts";

/** `input` where the bool `condition` is true, else `other`; all are broadcast. `where(condition)` alone is `nonzero(condition, { asTuple: true })`. */
export function where(condition: Tensor): Promise<Tensor[]>;
export function where(condition: Tensor, input: Operand, other: Operand): Tensor;
export function where(condition: Tensor, input: Operand, options: { other: Operand }): Tensor;
export function where(condition: Tensor, options: { input: Operand; other: Operand }): Tensor;
export function where(condition: Tensor, ...args: readonly unknown[]): Tensor | Promise<Tensor[]> {
  if (args.length === 0) return nonzero(condition, { asTuple: true });
  return compare.where(condition, ...(args as [Operand, Operand]));
}
