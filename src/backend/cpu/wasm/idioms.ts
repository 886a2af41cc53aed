/** What is known of a kernel's values beyond their types, where it saves instructions. */

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
