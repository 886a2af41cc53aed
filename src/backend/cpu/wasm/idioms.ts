/** What is known of a kernel's values beyond their types, where it saves instructions: a softmax's exponentials are at most 1, and so are its shares. */

import type { FusedStructure } from "../../../graph/kernel.ts";

/** True for `exp(x - max(x))` of float32: what is raised is at most 0, or NaN. */
export function isFromMaximum({ instrs }: FusedStructure, i: number): boolean {
  const { op, type, args } = instrs[i]!;
  if (op !== "exp" || type !== "f") return false;
  const from = instrs[args[0]!]!;
  if (from.op !== "sub") return false;
  const [x, most] = from.args as readonly [number, number];
  const maximum = instrs[most]!;
  return maximum.op === "reduce" && maximum.imm === "max" && maximum.args[0] === x;
}

/** True for `e / sum(e)` where `e` is `exp(x - max(x))`: of numbers from 0 to 1 by one that is at least 1, or of NaN. */
export function isShare(s: FusedStructure, i: number): boolean {
  const { op, args } = s.instrs[i]!;
  if (op !== "div" || !isFromMaximum(s, args[0]!)) return false;
  const sum = s.instrs[args[1]!]!;
  return sum.op === "reduce" && sum.imm === "sum" && sum.type === "f" && sum.args[0] === args[0];
}
