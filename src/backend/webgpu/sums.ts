/** Sums of products of a few factors as fused kernels, alone or with elementwise work on what they come to. */

import { valueType } from "../../graph/builder.ts";
import {
  fusedKey,
  type BufferSlot,
  type Epilogue,
  type FusedData,
  type FusedStructure,
  type Instr,
} from "../../graph/kernel.ts";
import type { EpilogueCall } from "./epilogue.ts";
import { FusedProgram } from "./fused-program.ts";
import type { Compiler, DeviceFigures } from "./program.ts";

/** A loop over elements of the result: its size, and how the places in the factors and in the result move with it. */
export interface SumDim {
  readonly size: number;
  readonly factors: readonly number[];
  readonly out: number;
}

/** result[...] = sum over `count` terms of the product of the factors. */
export interface Sum {
  readonly dims: readonly SumDim[];
  readonly count: number;
  /** How the places in the factors move from term to term. */
  readonly steps: readonly number[];
  /** Where the factors begin. */
  readonly offsets: readonly number[];
  /** Where the result begins. */
  readonly out: number;
}

/** A kernel to run, bound to the factors, then to the result, or to the buffers of the work but the result. */
export interface SumCall {
  readonly program: FusedProgram;
  readonly data: FusedData;
}

/** The kernels of one routine. */
export class Sums {
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #known = new Map<string, FusedProgram>();

  constructor(compiler: Compiler, device: DeviceFigures) {
    this.#compiler = compiler;
    this.#device = device;
  }

  /** The sum, written to `out`. */
  plain(sum: Sum, factors: readonly BufferSlot[], out: BufferSlot): SumCall {
    const dims = sum.dims.filter((dim) => dim.size !== 1);
    const { instrs, levels } = terms(factors);
    const strides = [...factorStrides(sum, dims), [...dims.map((d) => d.out), 0]];
    const data = {
      outer: dims.map((d) => d.size),
      inner: [sum.count],
      strides,
      offsets: [...sum.offsets, sum.out],
      scalars: [],
    };
    const content = {
      instrs,
      levels,
      buffers: [...factors, out],
      accesses: strides.map((s, buffer) => ({ buffer, classes: classesOf(s) })),
      stores: [{ access: factors.length, value: instrs.length - 1 }],
      scalars: [],
    };
    return { program: this.#program(dims.length, content), data };
  }

  /** The sum with work on it, in one kernel; null where the two go through the result differently. */
  before(sum: Sum, factors: readonly BufferSlot[], work: EpilogueCall): SumCall | null {
    const { epilogue, data: own } = work;
    const shared = commonLoops(sum, own);
    if (shared === null) return null;
    const { dims, parts } = shared;
    const first = terms(factors);
    const total = first.instrs.length - 1;
    const accesses = factorStrides(sum, dims).map((strides, buffer) => ({
      buffer,
      strides,
      offset: sum.offsets[buffer]!,
    }));
    const { structure, result } = epilogue;
    const place = structure.accesses.map(({ buffer }, i) => {
      if (buffer === result) return -1;
      const strides = [...parts.map(({ dim, by }) => own.strides[i]![dim]! * by), 0];
      return accesses.push({ buffer: slotOf(epilogue, factors.length, buffer), strides, offset: own.offsets[i]! }) - 1;
    });
    const instrs = [...first.instrs];
    const values: number[] = [];
    for (const instr of structure.instrs) {
      const isTotal = instr.op === "load" && place[instr.imm as number] === -1;
      const args = instr.args.map((arg) => values[arg]!);
      if (!isTotal) instrs.push({ ...instr, args, ...moved(instr, place, epilogue, factors.length) });
      values.push(isTotal ? total : instrs.length - 1);
    }
    const content = {
      instrs,
      levels: instrs.map((_, i) => first.levels[i] ?? ("row" as const)),
      buffers: [...factors, ...structure.buffers.filter((_, slot) => slot !== result)],
      accesses: accesses.map(({ buffer, strides }) => ({ buffer, classes: classesOf(strides) })),
      stores: structure.stores.map(({ access, value }) => ({ access: place[access]!, value: values[value]! })),
      scalars: structure.scalars,
    };
    const data = {
      outer: dims.map((d) => d.size),
      inner: [sum.count],
      strides: accesses.map((a) => a.strides),
      offsets: accesses.map((a) => a.offset),
      scalars: own.scalars,
    };
    return { program: this.#program(dims.length, content), data };
  }

  #program(
    outerRank: number,
    content: Omit<FusedStructure, "key" | "kind" | "outerRank" | "innerRank" | "usesStatus">,
  ): FusedProgram {
    const whole = { kind: "fused" as const, outerRank, innerRank: 1, usesStatus: false, ...content };
    const key = fusedKey(whole);
    let program = this.#known.get(key);
    if (program === undefined) {
      program = new FusedProgram({ ...whole, key }, this.#compiler, this.#device);
      this.#known.set(key, program);
    }
    return program;
  }
}

/** Loads of the factors (access i is factor i), their product, and its sum, which is the last instruction. */
function terms(factors: readonly BufferSlot[]): { instrs: Instr[]; levels: ("row" | "full")[] } {
  const type = valueType(factors[0]!.dtype);
  const instrs: Instr[] = factors.map((_, i) => ({ op: "load", type, args: [], imm: i }));
  for (let i = 1; i < factors.length; i++) instrs.push({ op: "mul", type, args: [i === 1 ? 0 : instrs.length - 1, i] });
  instrs.push({ op: "reduce", type, args: [instrs.length - 1], imm: "sum" });
  return { instrs, levels: instrs.map((i) => (i.op === "reduce" ? "row" : "full")) };
}

function factorStrides(sum: Sum, dims: readonly SumDim[]): number[][] {
  return sum.steps.map((step, factor) => [...dims.map((d) => d.factors[factor]!), step]);
}

const classesOf = (strides: readonly number[]): string =>
  strides.map((s) => (s === 0 ? "0" : s === 1 ? "1" : "s")).join("");

/** Number of a buffer of the work in the kernel that has the factors before it. */
function slotOf({ result }: Epilogue, factors: number, buffer: number): number {
  return buffer < 0 ? buffer : factors + buffer - (buffer > result ? 1 : 0);
}

/** What of an instruction names accesses and buffers, as it is in the larger kernel. */
function moved({ op, imm }: Instr, place: readonly number[], epilogue: Epilogue, factors: number): { imm?: number } {
  if (op === "load" || op === "iota") return { imm: place[imm as number]! };
  if (op === "loadAt") return { imm: slotOf(epilogue, factors, imm as number) };
  return {};
}

/** A loop as a part of another: `dim` says which, and `by` how many of its steps are one. */
interface Part {
  readonly dim: number;
  readonly by: number;
}

/**
 * Loops that both the sum and the work on it can go through, which itself goes through the result's elements in order; null if the result is not whole, or if
 * the sizes do not divide.
 */
function commonLoops(sum: Sum, own: FusedData): { dims: SumDim[]; parts: Part[] } | null {
  const ordered = sum.dims.filter((dim) => dim.size !== 1).toSorted((a, b) => b.out - a.out);
  let step = 1;
  for (const dim of ordered.toReversed()) {
    if (dim.out !== step) return null;
    step *= dim.size;
  }
  if (sum.out !== 0 || step !== own.outer.reduce((n, size) => n * size, 1)) return null;
  const dims: SumDim[] = [];
  const parts: Part[] = [];
  let [i, j] = [ordered.length - 1, own.outer.length - 1];
  let [byI, byJ] = [1, 1];
  while (i >= 0 || j >= 0) {
    const [left, right] = [(ordered[i]?.size ?? 1) / byI, (own.outer[j] ?? 1) / byJ];
    if (left === 1 && i >= 0) [i, byI] = [i - 1, 1];
    else if (right === 1 && j >= 0) [j, byJ] = [j - 1, 1];
    else {
      const size = Math.min(left, right);
      if (left % size !== 0 || right % size !== 0) return null;
      const { factors, out } = ordered[i]!;
      dims.unshift({ size, factors: factors.map((f) => f * byI), out: out * byI });
      parts.unshift({ dim: j, by: byJ });
      byI *= size;
      byJ *= size;
    }
  }
  return { dims, parts };
}
