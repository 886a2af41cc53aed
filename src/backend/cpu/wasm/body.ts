/** The SSA list of a fused kernel as vector code: which values are computed where, and how elements are addressed. */

import { ITEM_SIZE } from "../../../dtype.ts";
import type { FusedStructure } from "../../../graph/kernel.ts";
import type { FunctionBuilder, Local, ModuleBuilder } from "./emitter.ts";
import { isFromMaximum } from "./idioms.ts";
import { LaneCode, type Lanes } from "./lanes.ts";
import { expNonPositive } from "./math.ts";
import { LaneMemory, type LaneRange } from "./memory.ts";
import { operation, philox } from "./primitives.ts";
import { unitOf, type Walk } from "./space.ts";

/** Address of the word that says which call failed an index check. */
export const STATUS_ADDRESS = 16;

/** Bytes of scratch for a carried value beyond its elements, at most. */
export const CARRY_SLACK = 64;

/** What is computed side by side: the values known so far, by instruction, for one group of four lanes (or, without lanes, a row). */
export interface Copy {
  readonly values: Map<number, Lanes>;
  readonly lanes: LaneRange | null;
}

/** Positions (addresses; numbers for iota) by access, as far as the loops have come. */
export type Positions = readonly Local[];

/** A copy for a row: nothing is known yet. */
export function rowCopy(): Copy {
  return { values: new Map(), lanes: null };
}

/** A copy that may learn more, such as what holds only within a loop. */
export function inner(copy: Copy, lanes: LaneRange | null = copy.lanes): Copy {
  return { values: new Map(copy.values), lanes };
}

/**
 * Values that are kept in scratch memory from the first pass over a row that computes them to those that need them again, by instruction: the
 * phase of that pass.
 */
export type Carried = ReadonlyMap<number, number>;

/** Writes the values of a kernel into one function, whose first argument is the address of the parameters. */
export class BodyWriter {
  readonly walk: Walk;
  readonly f: FunctionBuilder;
  readonly c: LaneCode;
  readonly sizes: readonly Local[];
  readonly #s: FusedStructure;
  readonly #memory: LaneMemory;
  readonly #parameters: Local;
  /** Strides by access and dimension, where they are not constants. */
  readonly #strides: readonly (readonly (Local | null)[])[];
  readonly #carried: Carried;
  /** Address of the scratch memory, and the bytes there for each carried value. */
  readonly #scratch: Local | null;

  /** `scratch` is the address of memory for one row of each carried value. */
  constructor(
    walk: Walk,
    module: ModuleBuilder,
    f: FunctionBuilder,
    relaxed: boolean,
    carried: Carried = new Map(),
    scratch: Local | null = null,
  ) {
    this.walk = walk;
    this.#carried = carried;
    this.#scratch = scratch;
    this.#s = walk.structure;
    this.f = f;
    this.c = new LaneCode(module, f, relaxed);
    this.#memory = new LaneMemory(this.c);
    this.#parameters = f.args[0]!;
    const { layout } = walk;
    this.sizes = layout.size.map((at) => this.parameter(at));
    this.#strides = layout.stride.map((row) => row.map((at) => (at < 0 ? null : this.parameter(at))));
  }

  /** A word of the parameters. */
  parameter(at: number): Local {
    return this.f.op("i32.load", [this.#parameters], at);
  }

  /** The result of a reduction that was computed apart. */
  state(r: number): Lanes {
    const part = this.f.op("v128.load64_splat", [this.#parameters], this.walk.layout.state[r]!);
    return this.c.cast({ type: "d", parts: [part, part] }, this.#s.instrs[r]!.type);
  }

  // --- positions ------------------------------------------------------------------------------------------------

  /** Positions at the first coordinates: those of the accesses, then those of the carried values. */
  origin(): Positions {
    const { f } = this;
    const positions = this.walk.layout.position.map((at) => this.parameter(at));
    if (this.#carried.size === 0) return positions;
    const size = f.op("i32.shl", [this.sizes[this.walk.laneDim]!, f.const("i32", 2)]);
    const bytes = f.op("i32.and", [f.op("i32.add", [size, f.const("i32", CARRY_SLACK)]), f.const("i32", -16)]);
    let at = this.#scratch!;
    for (let slot = 0; slot < this.#carried.size; slot++) {
      if (slot > 0) at = f.op("i32.add", [at, bytes]);
      positions.push(at);
    }
    return positions;
  }

  /** Stride of an access along a dimension: a local, a constant number, or 0. */
  #strideOf(access: number, d: number): Local | number {
    if (access >= this.walk.classes.length) return d === this.walk.laneDim ? 4 : 0;
    const kind = this.walk.classes[access]![d];
    if (kind === "0") return 0;
    return kind === "1" ? unitOf(this.#s, access) : this.#strides[access]![d]!;
  }

  #strideLocal(access: number, d: number): Local | null {
    const stride = this.#strideOf(access, d);
    if (stride === 0) return null;
    return typeof stride === "number" ? this.f.const("i32", stride) : stride;
  }

  /** Positions `count` steps along a dimension, in locals of their own where they differ. */
  advanced(positions: Positions, d: number, count: Local): Positions {
    return positions.map((position, a) => {
      const stride = this.#strideLocal(a, d);
      if (stride === null) return position;
      return this.f.op("i32.add", [position, this.f.op("i32.mul", [count, stride])]);
    });
  }

  /** Moves positions by a number of elements along a dimension. */
  move(positions: Positions, d: number, steps: number): void {
    const { f } = this;
    positions.forEach((position, a) => {
      const stride = this.#strideOf(a, d);
      if (stride === 0) return;
      let step: Local;
      if (typeof stride === "number") step = f.const("i32", stride * steps);
      else step = steps === 1 ? stride : f.op("i32.mul", [stride, f.const("i32", steps)]);
      f.assign(position, "i32.add", [position, step]);
    });
  }

  /** Moves positions from the end of a dimension back to its start. */
  rewind(positions: Positions, d: number): void {
    const { f } = this;
    positions.forEach((position, a) => {
      const stride = this.#strideLocal(a, d);
      if (stride !== null) f.assign(position, "i32.sub", [position, f.op("i32.mul", [stride, this.sizes[d]!])]);
    });
  }

  /** Moves positions to a coordinate of a dimension, from its start. */
  enter(positions: Positions, d: number, coordinate: Local): void {
    const { f } = this;
    positions.forEach((position, a) => {
      const stride = this.#strideLocal(a, d);
      if (stride !== null) f.assign(position, "i32.add", [position, f.op("i32.mul", [coordinate, stride])]);
    });
  }

  /** Copies of those positions that a loop over a dimension changes. */
  moving(positions: Positions, d: number): Positions {
    return positions.map((position, a) => {
      if (this.#strideOf(a, d) === 0) return position;
      const copy = this.f.local("i32");
      this.f.copy(copy, position);
      return copy;
    });
  }

  // --- values ---------------------------------------------------------------------------------------------------

  /** Every instruction. */
  all(): ReadonlySet<number> {
    return new Set(this.#s.instrs.keys());
  }

  /** Instructions that a pass of a phase computes, inside the loops over inner dimensions, for some results. */
  closure(roots: readonly number[], phase: number): ReadonlySet<number> {
    const { depths, baseLevel } = this.walk;
    const needed = new Set<number>();
    const stack = roots.filter((r) => depths[r]! > baseLevel);
    while (stack.length > 0) {
      const i = stack.pop()!;
      if (needed.has(i)) continue;
      needed.add(i);
      if (this.#isKept(i, phase)) continue;
      for (const a of this.#s.instrs[i]!.args) if (depths[a]! > baseLevel) stack.push(a);
    }
    return needed;
  }

  /** True if a pass finds the value in scratch memory. */
  #isKept(i: number, phase: number): boolean {
    const first = this.#carried.get(i);
    return first !== undefined && first < phase;
  }

  #position(i: number, positions: Positions): Local {
    return positions[this.walk.classes.length + [...this.#carried.keys()].indexOf(i)]!;
  }

  /** Computes the needed values that belong to a level and whose reductions (of phases before `phase`) are done. */
  level(
    level: number,
    copies: readonly Copy[],
    needed: ReadonlySet<number>,
    positions: Positions,
    phase: number,
  ): void {
    const { depths, phases, varies } = this.walk;
    const blocks = new Map<string, Local[]>();
    const first = copies[0]!;
    this.#s.instrs.forEach((instr, i) => {
      if (depths[i] !== level || phases[i]! > phase || !needed.has(i)) return;
      if (instr.op === "reduce" || first.values.has(i)) return;
      if (this.#isKept(i, phase)) {
        const at = this.#position(i, positions);
        for (const copy of copies) copy.values.set(i, this.#memory.load("float32", at, 4, copy.lanes!));
        return;
      }
      if (instr.args.some((a) => !first.values.has(a))) return;
      const own = varies[i]! ? copies : [first];
      const values = this.f.interleave(own.map((copy, u) => () => this.#value(i, copy, u, positions, blocks)));
      copies.forEach((copy, u) => {
        const value = values[varies[i]! ? u : 0]!;
        copy.values.set(i, value);
        if (this.#carried.get(i) === phase)
          this.f.effect("v128.store", [this.#position(i, positions), value.parts[0]!], 4 * copy.lanes!.shift);
      });
    });
  }

  #value(i: number, { values, lanes }: Copy, u: number, positions: Positions, blocks: Map<string, Local[]>): Lanes {
    const { f, c } = this;
    const s = this.#s;
    const { layout, classes, laneDim } = this.walk;
    const instr = s.instrs[i]!;
    const args = instr.args.map((a) => values.get(a)!);
    switch (instr.op) {
      case "const":
        return c.constant(instr.type, instr.imm as number);
      case "scalar": {
        const at = layout.scalar[instr.imm as number]!;
        const part = f.op(instr.type === "d" ? "v128.load64_splat" : "v128.load32_splat", [this.#parameters], at);
        return { type: instr.type, parts: instr.type === "d" ? [part, part] : [part] };
      }
      case "load": {
        const a = instr.imm as number;
        const { dtype } = s.buffers[s.accesses[a]!.buffer]!;
        if (lanes === null || classes[a]![laneDim] === "0") return this.#memory.splat(dtype, positions[a]!);
        return this.#memory.load(dtype, positions[a]!, this.#strideOf(a, laneDim), lanes);
      }
      case "iota":
        return this.#iota(instr.imm as number, positions, lanes);
      case "loadAt":
        return this.#loadAt(instr.imm as number, args[0]!.parts[0]!, this.walk.slopes[instr.args[0]!]!, lanes);
      case "checkIndex":
        return this.#checkIndex(args[0]!, args[1]!, lanes?.mask ?? null);
      case "philox": {
        const key = `${u}:${instr.args.join()}`;
        let block = blocks.get(key);
        if (block === undefined) {
          block = philox(c, args);
          blocks.set(key, block);
        }
        return c.one("u", block[instr.imm as number]!);
      }
      default: {
        if (isFromMaximum(s, i)) return c.one("f", expNonPositive(c, args[0]!.parts[0]!));
        const second = instr.args.length > 1 ? s.instrs[instr.args[1]!]! : null;
        return operation(c, instr, args, second?.op === "const" ? (second.imm as number) : null);
      }
    }
  }

  /** Elements at computed positions; where those are neighbours, or one and the same, they are read at once. */
  #loadAt(buffer: number, index: Local, slope: 0 | 1 | null, lanes: LaneRange | null): Lanes {
    const { f } = this;
    const { dtype } = this.#s.buffers[buffer]!;
    const base = this.parameter(this.walk.layout.base[buffer]!);
    if (slope === null) return this.#memory.gather(dtype, base, index, lanes?.mask ?? null);
    const first = f.op("i32x4.extract_lane", [index], 0);
    const item = ITEM_SIZE[dtype];
    const address = f.op("i32.add", [base, f.op("i32.mul", [first, f.const("i32", item)])]);
    if (slope === 0) return this.#memory.splat(dtype, address);
    // The positions are those of these lanes.
    return this.#memory.load(dtype, address, item, { shift: 0, left: null, mask: null });
  }

  #iota(access: number, positions: Positions, lanes: LaneRange | null): Lanes {
    const { f, c } = this;
    const { classes, laneDim } = this.walk;
    const start = f.op("i32x4.splat", [positions[access]!]);
    if (lanes === null || classes[access]![laneDim] === "0") return c.one("i", start);
    const { shift } = lanes;
    const numbers = f.vector("i32x4", shift, shift + 1, shift + 2, shift + 3);
    const stride = this.#strideOf(access, laneDim);
    const steps = typeof stride === "number" ? numbers : c.i32("mul", numbers, f.op("i32x4.splat", [stride]));
    return c.one("i", c.i32("add", start, steps));
  }

  #checkIndex(index: Lanes, size: Lanes, mask: Local | null): Lanes {
    const { f, c } = this;
    const x = index.parts[0]!;
    const good = c.v("and", c.i32("ge_s", x, c.ki(0)), c.i32("lt_s", x, size.parts[0]!));
    const failed = mask === null ? c.v("not", good) : c.v("andnot", mask, good);
    f.if(f.op("v128.any_true", [failed]), () => {
      const zero = f.const("i32", 0);
      f.if(f.op("i32.eqz", [f.op("i32.load", [zero], STATUS_ADDRESS)]), () => {
        f.effect("i32.store", [zero, this.parameter(this.walk.layout.tag)], STATUS_ADDRESS);
      });
    });
    return c.one("i", c.v("and", x, good));
  }

  /** Writes a value of a copy through an access. */
  store(access: number, value: number, copy: Copy, positions: Positions): void {
    const { laneDim, classes } = this.walk;
    const { dtype } = this.#s.buffers[this.#s.accesses[access]!.buffer]!;
    const varies = copy.lanes !== null && classes[access]![laneDim] !== "0";
    const stride = varies ? this.#strideOf(access, laneDim) : 0;
    this.#memory.store(dtype, positions[access]!, stride, copy.values.get(value)!, copy.lanes);
  }
}
