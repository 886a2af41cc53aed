/** What a kernel does, in words for error messages. */

import type { KernelStructure } from "../../graph/kernel.ts";

/** Primitives that say nothing about what is computed. */
const SILENT = new Set(["load", "iota", "scalar", "const", "cast"]);

/** Most operations that are named. */
const NAMED = 8;

/** Such as "matmul" or "a kernel of mul, add, sum". */
export function describeKernel(structure: KernelStructure): string {
  if (structure.kind === "routine") return structure.name;
  const names = new Set<string>();
  for (const instr of structure.instrs) {
    if (instr.op === "reduce") names.add(String(instr.imm));
    else if (instr.op === "loadAt") names.add("gather");
    else if (!SILENT.has(instr.op)) names.add(instr.op);
  }
  if (names.size === 0) return "a copying kernel";
  const listed = [...names].slice(0, NAMED).join(", ");
  return `a kernel of ${listed}${names.size > NAMED ? ` and ${names.size - NAMED} more` : ""}`;
}
