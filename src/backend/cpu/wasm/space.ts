/**
 * How the iteration space of a fused kernel is walked: which dimension the vector lanes run along, which loops enclose which, at which
 * of them each value is computed, and where the numbers of a call lie in memory.
 *
 * - "map": no reduction; lanes along the last outer dimension.
 * - "rows": reductions whose operands lie along the last inner dimension; lanes run along that.
 * - "columns": reductions whose operands lie along the last outer dimension; four neighbouring results at a time.
 * - "tall": the same, with the loop over neighbouring results inside those over inner dimensions.
 */

import { ITEM_SIZE } from "../../../dtype.ts";
import type { FusedStructure, Instr } from "../../../graph/kernel.ts";

export type WalkMode = "map" | "rows" | "columns" | "tall";

/** A kernel's loops: level 0 is the whole call, level 1 a row (all coordinates in `rowDims`), each further one a loop over a dimension. */
export interface Walk {
  readonly mode: WalkMode;
  readonly structure: FusedStructure;
  /** Classes of the accesses; a kernel without dimensions has one of size one here. */
  readonly classes: readonly string[];
  readonly rank: number;
  readonly rowDims: readonly number[];
  readonly laneDim: number;
  readonly innerDims: readonly number[];
  /** Level of the loop over each dimension. */
  readonly levelOf: readonly number[];
  /** Level at which reductions begin and (but in mode "tall") end. */
  readonly baseLevel: number;
  /** Level at which each instruction is computed. */
  readonly depths: readonly number[];
  /** Whether each instruction's value differs between lanes. */
  readonly varies: readonly boolean[];
  /** By how much each value grows from lane to lane: 0, 1, or null if that is not known. */
  readonly slopes: readonly (0 | 1 | null)[];
  /** Phase of each instruction: how many reductions, one behind the other, it needs. */
  readonly phases: readonly number[];
  /** Reductions by phase. */
  readonly reduces: readonly (readonly number[])[];
  readonly layout: Layout;
}

/** Byte offsets within a call's block of parameters. */
export interface Layout {
  /** Position of each access (a byte address; the number itself for iota). */
  readonly position: readonly number[];
  /** Stride of each access along each dimension, in bytes (elements for iota); -1 where it is a constant. */
  readonly stride: readonly (readonly number[])[];
  readonly size: readonly number[];
  /** First byte of each buffer that is read at computed positions; else -1. */
  readonly base: readonly number[];
  readonly scalar: readonly number[];
  readonly tag: number;
  /** Results of reductions, where they are computed apart: a float64 each. */
  readonly state: readonly number[];
  readonly bytes: number;
}

/** Bytes of an element that an access addresses; 1 for iota. */
export function unitOf(s: FusedStructure, access: number): number {
  const { buffer } = s.accesses[access]!;
  return buffer < 0 ? 1 : ITEM_SIZE[s.buffers[buffer]!.dtype];
}

function layoutOf(s: FusedStructure, classes: readonly string[], rank: number): Layout {
  let at = 0;
  const word = (): number => {
    at += 4;
    return at - 4;
  };
  const long = (): number => {
    at = Math.ceil(at / 8) * 8 + 8;
    return at - 8;
  };
  const position = classes.map(() => word());
  const stride = classes.map((c) => Array.from(c, (k) => (k === "s" ? word() : -1)));
  const size = Array.from({ length: rank }, () => word());
  const tables = new Set(s.instrs.filter((i) => i.op === "loadAt").map((i) => i.imm as number));
  const base = s.buffers.map((_, b) => (tables.has(b) ? word() : -1));
  const tag = word();
  const scalar = s.scalars.map((type) => (type === "d" ? long() : word()));
  const state = s.instrs.map((i) => (i.op === "reduce" ? long() : -1));
  return { position, stride, size, base, scalar, tag, state, bytes: at };
}

/** Whether lanes across rows read fewer elements that lie apart than lanes along the last inner dimension. */
function prefersColumns(s: FusedStructure): boolean {
  if (s.innerRank === 0 || s.outerRank === 0) return false;
  let along = 0;
  let across = 0;
  s.instrs.forEach((instr, i) => {
    if (instr.op !== "load" || s.levels[i] !== "full") return;
    const { classes } = s.accesses[instr.imm as number]!;
    if (classes[classes.length - 1] === "s") along++;
    if (classes[s.outerRank - 1] === "s") across++;
  });
  return across < along;
}

/** Plans the loops of a kernel; if `tall`, one that would be in mode "columns" is in mode "tall". */
export function planWalk(s: FusedStructure, tall = false): Walk {
  const rank = Math.max(s.outerRank + s.innerRank, 1);
  const classes = s.accesses.map((a) => (a.classes === "" ? "0" : a.classes));
  const outer = s.outerRank + s.innerRank === 0 ? [0] : Array.from({ length: s.outerRank }, (_, d) => d);
  const inner = Array.from({ length: s.innerRank }, (_, d) => s.outerRank + d);
  const acrossRows = tall ? "tall" : "columns";
  const mode: WalkMode = inner.length === 0 ? "map" : prefersColumns(s) ? acrossRows : "rows";
  const laneDim = mode === "rows" ? inner[inner.length - 1]! : outer[outer.length - 1]!;
  const rowDims = mode === "rows" ? outer : outer.slice(0, -1);
  const levelOf = new Array<number>(rank).fill(1);
  let level = 1;
  if (mode === "map" || mode === "columns") levelOf[laneDim] = ++level;
  const baseLevel = level;
  for (const d of inner) levelOf[d] = ++level;
  if (mode === "tall") levelOf[laneDim] = ++level;
  const resultLevel = mode === "tall" ? level : baseLevel;
  const depths: number[] = [];
  const varies: boolean[] = [];
  const slopes: (0 | 1 | null)[] = [];
  const phases: number[] = [];
  const reduces: number[][] = [];
  s.instrs.forEach((instr, i) => {
    depths.push(depthOf(instr, depths, classes, levelOf, resultLevel));
    const isAccess = instr.op === "load" || instr.op === "iota";
    const own = isAccess && classes[instr.imm as number]![laneDim] !== "0";
    // In mode "rows" a reduction is over the lanes.
    const folds = instr.op === "reduce" && mode === "rows";
    varies.push(!folds && (own || instr.args.some((a) => varies[a]!)));
    slopes.push(varies[i]! ? slopeOf(instr, slopes, classes, laneDim) : 0);
    let phase = 0;
    for (const a of instr.args) phase = Math.max(phase, phases[a]! + (s.instrs[a]!.op === "reduce" ? 1 : 0));
    phases.push(phase);
    if (instr.op === "reduce") (reduces[phase] ??= []).push(i);
  });
  return {
    mode,
    structure: s,
    classes,
    rank,
    rowDims,
    laneDim,
    innerDims: inner,
    levelOf,
    baseLevel,
    depths,
    varies,
    slopes,
    phases,
    reduces: Array.from(reduces, (group) => group ?? []),
    layout: layoutOf(s, classes, rank),
  };
}

/** Slope of a value that differs between lanes. */
function slopeOf(
  { op, args, imm }: Instr,
  slopes: readonly (0 | 1 | null)[],
  classes: readonly string[],
  laneDim: number,
): 1 | null {
  if (op === "iota") return classes[imm as number]![laneDim] === "1" ? 1 : null;
  if (op !== "add") return null;
  const [a, b] = args.map((arg) => slopes[arg]);
  return (a === 0 && b === 1) || (a === 1 && b === 0) ? 1 : null;
}

function depthOf(
  instr: Instr,
  depths: readonly number[],
  classes: readonly string[],
  levelOf: readonly number[],
  resultLevel: number,
): number {
  if (instr.op === "reduce") return resultLevel;
  let depth = 0;
  for (const a of instr.args) depth = Math.max(depth, depths[a]!);
  if (instr.op === "load" || instr.op === "iota")
    Array.from(classes[instr.imm as number]!).forEach((c, d) => {
      if (c !== "0") depth = Math.max(depth, levelOf[d]!);
    });
  return depth;
}
