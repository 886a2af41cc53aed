/**
 * Reductions on vectors: accumulators of four lanes, merged at the end. Float32 sums and products accumulate in float64; float64 sums are
 * compensated (Neumaier's correction as a branchless two-sum).
 */

import type { FusedStructure, ReduceKind, ValueType } from "../../../graph/kernel.ts";
import type { Local } from "./emitter.ts";
import type { LaneCode, Lanes } from "./lanes.ts";
import { compare, extreme } from "./primitives.ts";

/** What a reduction combines, and the type of what it gives. */
export interface Reduction {
  readonly kind: ReduceKind;
  readonly from: ValueType;
  readonly to: ValueType;
}

/** What the reduction `r` of a kernel is. */
export function reductionOf({ instrs }: FusedStructure, r: number): Reduction {
  const { args, type, imm } = instrs[r]!;
  return { kind: imm as ReduceKind, from: instrs[args[0]!]!.type, to: type };
}

/** Accumulator: its vectors, in locals that change. */
export type Accumulator = readonly Local[];

function isArg(kind: ReduceKind): boolean {
  return kind === "argmax" || kind === "argmin";
}

/** Type of what accumulates: float32 sums and products are in float64, truth for argmax and argmin is a number. */
function accumulated({ kind, from }: Reduction): ValueType {
  if (from === "f" && (kind === "sum" || kind === "prod")) return "d";
  return isArg(kind) && from === "b" ? "i" : from;
}

function identity({ kind, from }: Reduction): number {
  switch (kind) {
    case "sum":
    case "any":
      return 0;
    case "prod":
    case "all":
      return 1;
    default: {
      const largest = kind === "max" || kind === "argmax";
      if (from === "f" || from === "d") return largest ? -Infinity : Infinity;
      if (from === "u" || from === "b") return largest ? 0 : from === "u" ? 0xffffffff : 1;
      return largest ? -0x80000000 : 0x7fffffff;
    }
  }
}

/** True if NaNs are noted apart: the engine's maximum of floats that heeds them is a long chain of instructions. */
function notesNaN({ kind, from }: Reduction): boolean {
  return (kind === "max" || kind === "min") && (from === "f" || from === "d");
}

/** An accumulator in its initial state. */
export function startReduce(c: LaneCode, r: Reduction): Accumulator {
  const parts = [...c.constant(accumulated(r), identity(r)).parts];
  if (r.kind === "sum" && r.from === "d") parts.push(c.kd(0), c.kd(0));
  if (notesNaN(r)) parts.push(...parts.map(() => c.ki(0)));
  if (isArg(r.kind)) parts.push(c.ki(-1));
  return parts.map((part) => {
    const local = c.f.local("v128");
    c.f.copy(local, part);
    return local;
  });
}

/** Sum of two numbers, and what rounding lost. */
function twoSum(c: LaneCode, a: Local, b: Local): [Local, Local] {
  const sum = c.f64("add", a, b);
  const rest = c.f64("sub", sum, a);
  return [sum, c.f64("add", c.f64("sub", a, c.f64("sub", sum, rest)), c.f64("sub", b, rest))];
}

/** Values of an accumulator after it takes in another state of the same kind. */
function merged(c: LaneCode, r: Reduction, a: readonly Local[], b: readonly Local[]): Local[] {
  const type = accumulated(r);
  if (isArg(r.kind)) {
    const width = type === "d" ? 2 : 1;
    const x: Lanes = { type, parts: b.slice(0, width) };
    const m: Lanes = { type, parts: a.slice(0, width) };
    const [i, j] = [b[width]!, a[width]!];
    // NaN wins, then the better value, then the earlier index; -1 is no index.
    const float = type === "f" || type === "d";
    let better = compare(c, r.kind === "argmax" ? "gt" : "lt", x, m);
    let same = compare(c, "eq", x, m);
    if (float) {
      const [xn, mn] = [compare(c, "ne", x, x), compare(c, "ne", m, m)];
      better = c.v("andnot", c.v("or", better, xn), mn);
      same = c.v("or", same, c.v("and", xn, mn));
    }
    let take = c.v("or", better, c.v("and", same, c.i32("lt_s", i, j)));
    take = c.v("andnot", c.v("or", take, c.i32("lt_s", j, c.ki(0))), c.i32("lt_s", i, c.ki(0)));
    return [...c.select(take, x, m).parts, c.pick(take, i, j)];
  }
  if (r.kind === "sum" && r.from === "d") {
    const [s0, e0] = twoSum(c, a[0]!, b[0]!);
    const [s1, e1] = twoSum(c, a[1]!, b[1]!);
    const rest = (i: number, e: Local): Local => c.f64("add", c.f64("add", a[i]!, b[i]!), e);
    return [s0, s1, rest(2, e0), rest(3, e1)];
  }
  if (notesNaN(r)) {
    const width = a.length / 2;
    const better = r.kind === "max" ? "pmax" : "pmin";
    return a.map((part, i) => {
      if (i >= width) return c.v("or", part, b[i]!);
      return type === "f" ? c.f32(better, part, b[i]!) : c.f64(better, part, b[i]!);
    });
  }
  return [...plain(c, r, { type, parts: a }, { type, parts: b }).parts];
}

function plain(c: LaneCode, r: Reduction, a: Lanes, b: Lanes): Lanes {
  switch (r.kind) {
    case "max":
    case "min":
      return extreme(c, r.kind, a, b);
    case "any":
      return c.one("b", c.v("or", a.parts[0]!, b.parts[0]!));
    case "all":
      return c.one("b", c.v("and", a.parts[0]!, b.parts[0]!));
    default: {
      const name = r.kind === "sum" ? "add" : "mul";
      const parts = a.parts.map((p, i) => (a.type === "d" ? c.f64(name, p, b.parts[i]!) : c.i32(name, p, b.parts[i]!)));
      return { type: a.type, parts };
    }
  }
}

/** Takes in a value; `index` numbers the lanes (for argmax and argmin), `mask` says which of them count. */
export function stepReduce(
  c: LaneCode,
  r: Reduction,
  acc: Accumulator,
  x: Lanes,
  index: Local | null,
  mask: Local | null,
): void {
  const type = accumulated(r);
  const value = c.cast(x, type);
  let next: readonly Local[];
  if (isArg(r.kind)) {
    // Lanes that do not count have no index.
    const numbers = mask === null ? index! : c.v("or", index!, c.v("not", mask));
    next = merged(c, r, acc, [...value.parts, numbers]);
  } else if (r.kind === "sum" && r.from === "d") {
    const masks = mask === null ? null : c.widenMask(mask);
    const parts = masks === null ? value.parts : value.parts.map((p, i) => c.v("and", p, masks[i]!));
    next = merged(c, r, acc, [...parts, c.kd(0), c.kd(0)]);
  } else {
    const counted = mask === null ? value : c.select(mask, value, c.constant(type, identity(r)));
    const parts = [...counted.parts];
    if (notesNaN(r)) parts.push(...counted.parts.map((p) => (type === "f" ? c.f32("ne", p, p) : c.f64("ne", p, p))));
    next = merged(c, r, acc, parts);
  }
  next.forEach((part, i) => c.f.copy(acc[i]!, part));
}

/** Takes another accumulator in. */
export function mergeReduce(c: LaneCode, r: Reduction, acc: Accumulator, other: Accumulator): void {
  merged(c, r, acc, other).forEach((part, i) => c.f.copy(acc[i]!, part));
}

/** Combines the lanes, so that all hold the same. */
export function foldLanes(c: LaneCode, r: Reduction, acc: Accumulator): void {
  const type = accumulated(r);
  const width = type === "d" ? 2 : 1;
  const swapHalves = (x: Local): Local => c.shuffle(x, x, 2, 3, 0, 1);
  const swapPairs = (x: Local): Local => c.shuffle(x, x, 1, 0, 3, 2);
  const turned = (words: (x: Local) => Local, doubles: (low: Local, high: Local) => [Local, Local]): Local[] => {
    const result: Local[] = [];
    for (let i = 0; i < acc.length;)
      if (width === 2 && i + 1 < acc.length) {
        result.push(...doubles(acc[i]!, acc[i + 1]!));
        i += 2;
      } else result.push(words(acc[i++]!));
    return result;
  };
  const first = turned(swapHalves, (low, high) => [high, low]);
  mergeReduce(c, r, acc, first);
  const second = turned(swapPairs, (low, high) => [swapHalves(low), swapHalves(high)]);
  mergeReduce(c, r, acc, second);
}

/** The result of each lane, as a value of the kernel. */
export function endReduce(c: LaneCode, r: Reduction, acc: Accumulator): Lanes {
  if (isArg(r.kind)) return c.one("i", acc[acc.length - 1]!);
  if (r.kind === "sum" && r.from === "d") {
    // An infinite or undefined sum has no correction.
    const parts = [0, 1].map((i) => {
      const rest = acc[i + 2]!;
      const finite = c.f64("eq", c.f64("sub", rest, rest), c.kd(0));
      return c.f64("add", acc[i]!, c.v("and", rest, finite));
    });
    return { type: "d", parts };
  }
  return c.cast(valueOf(c, r, acc), r.to);
}

/** The value of an accumulator that is a value (no index, no correction). */
function valueOf(c: LaneCode, r: Reduction, acc: Accumulator): Lanes {
  const type = accumulated(r);
  if (!notesNaN(r)) return { type, parts: acc.slice(0, type === "d" ? 2 : 1) };
  // All bits set are a NaN.
  const width = acc.length / 2;
  return { type, parts: acc.slice(0, width).map((part, i) => c.v("or", part, acc[width + i]!)) };
}

/** The accumulated state of lane 0 (after `foldLanes`) as two float64 numbers: value and correction, or index and value. */
export function storeState(c: LaneCode, r: Reduction, acc: Accumulator, address: Local, offset: number): void {
  const { f } = c;
  const type = accumulated(r);
  const number = (x: Lanes): Local => f.op("f64x2.extract_lane", [c.cast(x, "d").parts[0]!], 0);
  const width = type === "d" ? 2 : 1;
  const value = number(valueOf(c, r, acc));
  if (isArg(r.kind)) {
    f.effect("f64.store", [address, number(c.one("i", acc[width]!))], offset);
    f.effect("f64.store", [address, value], offset + 8);
    return;
  }
  f.effect("f64.store", [address, value], offset);
  const rest = r.kind === "sum" && r.from === "d" ? f.op("f64x2.extract_lane", [acc[2]!], 0) : f.const("f64", 0);
  f.effect("f64.store", [address, rest], offset + 8);
}

/** Combines two stored states, in their order. */
export function combineStates(
  r: Reduction,
  a: readonly [number, number],
  b: readonly [number, number],
): [number, number] {
  switch (r.kind) {
    case "sum": {
      if (r.from === "i") return [(a[0] + b[0]) | 0, 0];
      if (r.from === "u") return [(a[0] + b[0]) >>> 0, 0];
      const sum = a[0] + b[0];
      const rest = sum - a[0];
      return [sum, a[1] + b[1] + (r.from === "d" ? a[0] - (sum - rest) + (b[0] - rest) : 0)];
    }
    case "prod":
      if (r.from === "i") return [Math.imul(a[0], b[0]), 0];
      return [r.from === "u" ? Math.imul(a[0], b[0]) >>> 0 : a[0] * b[0], 0];
    case "max":
    case "any":
      return [Math.max(a[0], b[0]), 0];
    case "min":
    case "all":
      return [Math.min(a[0], b[0]), 0];
    default: {
      // The first NaN wins, then the better value, then the earlier index.
      const [i, x] = a;
      const [j, y] = b;
      if (Number.isNaN(x)) return [i, x];
      const better = Number.isNaN(y) || (r.kind === "argmax" ? y > x : y < x);
      return better ? [j, y] : [i, x];
    }
  }
}

/** The number that a stored state stands for. */
export function stateValue(r: Reduction, [value, rest]: readonly [number, number]): number {
  if (isArg(r.kind)) return value;
  const total = r.kind === "sum" && r.from === "d" && Number.isFinite(rest) ? value + rest : value;
  return r.to === "f" ? Math.fround(total) : total;
}
