/** The analysis of a fused kernel that every way of running it shares: phases, and what each of them needs. */

import type { FusedStructure, Instr, Primitive, ReduceKind } from "../../graph/kernel.ts";
import { reducer, type Reducer } from "./express.ts";

/** A reduction of a kernel. */
export interface Reduction {
  /** Position of its instruction. */
  readonly at: number;
  /** Position of its operand. */
  readonly operand: number;
  readonly reducer: Reducer;
  /** Number of its first 32-bit word among the kernel's partial results, and how many words it takes. */
  readonly word: number;
  readonly words: number;
}

/** A fused structure, analysed. */
export interface FusedPlan {
  readonly structure: FusedStructure;
  /** Reductions by phase: those of phase p use the results of earlier phases only. */
  readonly phases: readonly (readonly Reduction[])[];
  /** 32-bit words of the partial results of all reductions. */
  readonly words: number;
  /** Positions in `stores` that run once a row, and those that run for every element. */
  readonly rowStores: readonly number[];
  readonly fullStores: readonly number[];
  /** Work of an iteration, in units of the budget. */
  readonly units: number;
  /** Whether a row-level store writes to a buffer that is loaded too. */
  readonly rowStoreAfterLoad: boolean;
}

/** Work of primitives that are more than one unit. */
const UNITS: Readonly<Partial<Record<Primitive, number>>> = {
  load: 4,
  loadAt: 4,
  philox: 24,
  div: 2,
  ...Object.fromEntries(["exp", "log", "sqrt", "rsqrt", "sin", "cos", "tanh", "pow"].map((op) => [op, 8])),
  ...Object.fromEntries(["erf", "erfc", "erfinv", "lgamma", "digamma", "asin", "acos", "atan2"].map((op) => [op, 24])),
};

/** Orders the reductions in phases and sorts the stores. */
export function analyse(structure: FusedStructure): FusedPlan {
  const { instrs, outerRank } = structure;
  const depth: number[] = [];
  const byPhase: Reduction[][] = [];
  let words = 0;
  instrs.forEach((instr, at) => {
    let d = 0;
    for (const a of instr.args) d = Math.max(d, depth[a]!);
    if (instr.op === "reduce") {
      const operand = instr.args[0]!;
      const how = reducer(instr.imm as ReduceKind, instrs[operand]!.type);
      const size = how.index ? 2 : 1;
      (byPhase[d] ??= []).push({ at, operand, reducer: how, word: words, words: size });
      words += size;
      d += 1;
    }
    depth.push(d);
  });
  const rowStores: number[] = [];
  const fullStores: number[] = [];
  structure.stores.forEach((store, i) => {
    const walks = /[1s]/.test(structure.accesses[store.access]!.classes.slice(outerRank));
    if (structure.innerRank > 0 && (structure.levels[store.value] === "full" || walks)) fullStores.push(i);
    else rowStores.push(i);
  });
  const loaded = new Set<number>();
  for (const instr of instrs) {
    if (instr.op === "load") loaded.add(structure.accesses[instr.imm as number]!.buffer);
    if (instr.op === "loadAt") loaded.add(instr.imm as number);
  }
  const rowStoreAfterLoad = rowStores.some((i) => loaded.has(structure.accesses[structure.stores[i]!.access]!.buffer));
  return {
    structure,
    phases: neededPhases(structure, byPhase),
    words,
    rowStores,
    fullStores,
    units: 4 * structure.stores.length + instrs.reduce((sum, { op }) => sum + (UNITS[op] ?? 1), 0),
    rowStoreAfterLoad,
  };
}

/** Leaves out reductions that no store depends on. */
function neededPhases(structure: FusedStructure, byPhase: readonly Reduction[][]): Reduction[][] {
  const needed = new Set<number>();
  const visit = (at: number): void => {
    if (needed.has(at)) return;
    needed.add(at);
    const instr: Instr = structure.instrs[at]!;
    for (const a of instr.args) visit(a);
  };
  for (const store of structure.stores) visit(store.value);
  return byPhase.map((phase) => phase.filter((r) => needed.has(r.at))).filter((phase) => phase.length > 0);
}

/** Bytes of the partial results of chunks, and of the results of whole rows before them. */
export function scratchBytes(plan: FusedPlan, rows: number, chunks: number): number {
  return 4 * plan.words * rows * (chunks + 1);
}
