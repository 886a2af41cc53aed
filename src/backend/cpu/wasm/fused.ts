/** Fused kernels as WebAssembly: loops over the iteration space, the SSA list as vector code along the lanes' dimension. */

import type { FusedStructure } from "../../../graph/kernel.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import { LaneCode, type Lanes } from "./lanes.ts";
import { LaneMemory, type LaneRange } from "./memory.ts";
import { operation, philox } from "./primitives.ts";
import {
  endReduce,
  foldLanes,
  mergeReduce,
  startReduce,
  stepReduce,
  storeState,
  type Accumulator,
  type Reduction,
} from "./reduce.ts";
import { planWalk, unitOf, type Walk } from "./space.ts";

/** Address of the word that says which call failed an index check. */
export const STATUS_ADDRESS = 16;

/** What the machine that runs the code has. */
export interface Features {
  /** Memory shared between threads. */
  readonly shared: boolean;
  /** Relaxed SIMD. */
  readonly relaxed: boolean;
}

/** A rendered kernel. */
export interface WasmKernel {
  readonly walk: Walk;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** JavaScript functions that it calls. */
  readonly imports: readonly string[];
}

/** Values by instruction. */
type Values = Map<number, Lanes>;
/** Positions (addresses) by access, as far as loops have come. */
type Positions = readonly Local[];

/** Body size up to which the lane loop is unrolled, and how far. */
const UNROLL_UP_TO = 14;
const UNROLL = 4;
/** Instructions that are many. */
const HEAVY = new Set(["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tanh", "erf", "pow"]);

/** True if the lane dimension's elements are next to each other, or the same, for every access. */
function unrolls(walk: Walk): boolean {
  const { structure: s, classes, laneDim } = walk;
  if (walk.mode === "columns") return false;
  if (s.instrs.length > UNROLL_UP_TO || s.instrs.some((i) => HEAVY.has(i.op) || i.op === "checkIndex")) return false;
  return classes.every((c) => c[laneDim] !== "s");
}

/**
 * The whole kernel as one function: `run(parameters, rowStart, rowEnd, laneStart, laneEnd)`; rows are the coordinates of `rowDims` in
 * order, lanes those of the lane dimension (all of it is always walked in mode "rows").
 */
export function renderKernel(s: FusedStructure, features: Features): WasmKernel {
  const walk = planWalk(s);
  const module = new ModuleBuilder(features.shared);
  new KernelWriter(walk, module, features.relaxed).run();
  return { walk, bytes: module.bytes(), imports: module.importNames };
}

/**
 * The kernel in pieces, for few rows of many elements: `reduce<phase>(parameters, row, start, end, state)` reduces a range of the first
 * inner dimension to two float64 numbers for each reduction of the phase; `store(parameters, row, start, end)` writes a range, and what
 * there is once a row at its start, from results in the parameters. Mode "rows" only.
 */
export function renderPieces(s: FusedStructure, features: Features): WasmKernel {
  const walk = planWalk(s);
  const module = new ModuleBuilder(features.shared);
  walk.reduces.forEach((group, phase) => {
    if (group.length > 0) new KernelWriter(walk, module, features.relaxed).reducePiece(phase);
  });
  new KernelWriter(walk, module, features.relaxed).storePiece();
  return { walk, bytes: module.bytes(), imports: module.importNames };
}

class KernelWriter {
  readonly #walk: Walk;
  readonly #s: FusedStructure;
  readonly #module: ModuleBuilder;
  readonly #relaxed: boolean;
  #f!: FunctionBuilder;
  #c!: LaneCode;
  #memory!: LaneMemory;
  #parameters!: Local;
  #sizes: Local[] = [];
  /** Strides by access and dimension, where they are not constants. */
  #strides: (Local | null)[][] = [];
  /** Range of the first inner dimension in a piece. */
  #range: { start: Local; end: Local } | null = null;

  constructor(walk: Walk, module: ModuleBuilder, relaxed: boolean) {
    this.#walk = walk;
    this.#s = walk.structure;
    this.#module = module;
    this.#relaxed = relaxed;
  }

  #open(name: string, parameters: number): readonly Local[] {
    const f = this.#module.function(name, new Array<"i32">(parameters).fill("i32"));
    this.#f = f;
    this.#c = new LaneCode(this.#module, f, this.#relaxed);
    this.#memory = new LaneMemory(this.#c);
    this.#parameters = f.args[0]!;
    const { layout } = this.#walk;
    this.#sizes = layout.size.map((at) => f.op("i32.load", [this.#parameters], at));
    this.#strides = layout.stride.map((row) =>
      row.map((at) => (at < 0 ? null : f.op("i32.load", [this.#parameters], at))),
    );
    return f.args;
  }

  run(): void {
    const [, rowStart, rowEnd, laneStart, laneEnd] = this.#open("run", 5) as [Local, Local, Local, Local, Local];
    const values: Values = new Map();
    this.#level(0, values, this.#all(), this.#origin(), 0);
    this.#rows(rowStart, rowEnd, (positions) => {
      const row = new Map(values);
      this.#level(1, row, this.#all(), positions, 0);
      if (this.#walk.mode === "rows") {
        this.#reductions(row, positions, null);
        return;
      }
      const { laneDim } = this.#walk;
      const start = this.#advanced(positions, laneDim, laneStart);
      this.#lanes(laneDim, laneStart, laneEnd, start, (at, lanes) => {
        const lane = new Map(row);
        this.#level(2, lane, this.#all(), at, 0, lanes);
        if (this.#walk.mode === "columns") this.#reductions(lane, at, lanes);
        else for (const t of this.#s.stores) this.#memoryStore(t.access, lane.get(t.value)!, at, lanes);
      });
    });
  }

  reducePiece(phase: number): void {
    const [, row, start, end, state] = this.#open(`reduce${phase}`, 5) as [Local, Local, Local, Local, Local];
    this.#range = { start, end };
    const values: Values = new Map();
    const positions = this.#startRow(row, values, phase);
    const group = this.#walk.reduces[phase]!;
    const accumulators = this.#reduceLoop(group, values, positions, null);
    group.forEach((r, i) => {
      const reduction = this.#reduction(r);
      foldLanes(this.#c, reduction, accumulators[i]!);
      storeState(this.#c, reduction, accumulators[i]!, state, 16 * i);
    });
  }

  storePiece(): void {
    const [, row, start, end] = this.#open("store", 4) as [Local, Local, Local, Local];
    this.#range = { start, end };
    const values: Values = new Map();
    const positions = this.#startRow(row, values, this.#walk.reduces.length);
    this.#f.if(this.#f.op("i32.eqz", [start]), () => this.#rowStores(values, positions, null));
    this.#fullStores(values, positions, null);
  }

  /** Everything that a piece needs of its row: reductions of phases before `phase` come from the parameters. */
  #startRow(row: Local, values: Values, phase: number): Positions {
    this.#level(0, values, this.#all(), this.#origin(), 0);
    const positions = this.#atRow(row).positions;
    this.#level(1, values, this.#all(), positions, 0);
    this.#walk.reduces.slice(0, phase).forEach((group, p) => {
      for (const r of group) {
        const part = this.#f.op("v128.load64_splat", [this.#parameters], this.#walk.layout.state[r]!);
        values.set(r, this.#c.cast({ type: "d", parts: [part, part] }, this.#s.instrs[r]!.type));
      }
      this.#level(1, values, this.#all(), positions, p + 1);
    });
    return positions;
  }

  // --- positions ------------------------------------------------------------------------------------------------

  #origin(): Positions {
    return this.#walk.layout.position.map((at) => this.#f.op("i32.load", [this.#parameters], at));
  }

  /** Stride of an access along a dimension: a local, a constant number, or 0. */
  #strideOf(access: number, d: number): Local | number {
    const kind = this.#walk.classes[access]![d];
    if (kind === "0") return 0;
    return kind === "1" ? unitOf(this.#s, access) : this.#strides[access]![d]!;
  }

  #strideLocal(access: number, d: number): Local | null {
    const stride = this.#strideOf(access, d);
    if (stride === 0) return null;
    return typeof stride === "number" ? this.#f.const("i32", stride) : stride;
  }

  /** Positions moved by `count` steps along a dimension, in new locals that may be changed. */
  #advanced(positions: Positions, d: number, count: Local): Positions {
    return positions.map((position, a) => {
      const stride = this.#strideLocal(a, d);
      if (stride === null) return position;
      return this.#f.op("i32.add", [position, this.#f.op("i32.mul", [count, stride])]);
    });
  }

  /** Moves positions, in place, `steps` elements along a dimension. */
  #move(positions: Positions, d: number, steps: number): void {
    positions.forEach((position, a) => {
      const stride = this.#strideOf(a, d);
      if (stride === 0) return;
      const f = this.#f;
      const step =
        typeof stride === "number"
          ? f.const("i32", stride * steps)
          : steps === 1
            ? stride
            : f.op("i32.mul", [stride, f.const("i32", steps)]);
      f.assign(position, "i32.add", [position, step]);
    });
  }

  /** Copies of the positions that a loop over a dimension changes. */
  #moving(positions: Positions, d: number): Positions {
    return positions.map((position, a) => {
      if (this.#strideOf(a, d) === 0) return position;
      const copy = this.#f.local("i32");
      this.#f.copy(copy, position);
      return copy;
    });
  }

  // --- loops ----------------------------------------------------------------------------------------------------

  /** Coordinates of row number `row`, and the positions there. */
  #atRow(row: Local): { coordinates: Local[]; positions: Positions } {
    const f = this.#f;
    const { rowDims } = this.#walk;
    const coordinates: Local[] = [];
    let rest = row;
    for (let k = rowDims.length - 1; k >= 0; k--) {
      const size = this.#sizes[rowDims[k]!]!;
      if (k === 0) coordinates[0] = rest;
      else {
        coordinates[k] = f.op("i32.rem_u", [rest, size]);
        rest = f.op("i32.div_u", [rest, size]);
      }
    }
    const positions = this.#origin();
    rowDims.forEach((d, k) => {
      positions.forEach((position, a) => {
        const stride = this.#strideLocal(a, d);
        if (stride !== null) f.assign(position, "i32.add", [position, f.op("i32.mul", [coordinates[k]!, stride])]);
      });
    });
    return { coordinates, positions };
  }

  #rows(start: Local, end: Local, body: (positions: Positions) => void): void {
    const f = this.#f;
    const { rowDims } = this.#walk;
    const { coordinates, positions } = this.#atRow(start);
    const own = coordinates.map((coordinate) => {
      const copy = f.local("i32");
      f.copy(copy, coordinate);
      return copy;
    });
    const row = f.local("i32");
    f.copy(row, start);
    const last = rowDims.length - 1;
    f.forLoop(row, end, 1, () => {
      body(positions);
      if (last < 0) return;
      this.#move(positions, rowDims[last]!, 1);
      if (last > 0) this.#carry(own, positions, last);
    });
  }

  /** Counts a coordinate up, and at the end of its dimension goes on to the next one. */
  #carry(coordinates: readonly Local[], positions: Positions, k: number): void {
    const f = this.#f;
    const { rowDims } = this.#walk;
    const d = rowDims[k]!;
    f.assign(coordinates[k]!, "i32.add", [coordinates[k]!, f.const("i32", 1)]);
    if (k === 0) return;
    f.if(f.op("i32.eq", [coordinates[k]!, this.#sizes[d]!]), () => {
      f.setConst(coordinates[k]!, 0);
      positions.forEach((position, a) => {
        const stride = this.#strideLocal(a, d);
        if (stride !== null) f.assign(position, "i32.sub", [position, f.op("i32.mul", [stride, this.#sizes[d]!])]);
      });
      this.#move(positions, rowDims[k - 1]!, 1);
      this.#carry(coordinates, positions, k - 1);
    });
  }

  /** Runs `body` for ranges of four lanes from `start` to `end`; `positions` are those of the start. */
  #lanes(
    d: number,
    start: Local,
    end: Local,
    positions: Positions,
    body: (positions: Positions, lanes: LaneRange) => void,
  ): void {
    const f = this.#f;
    const at = this.#moving(positions, d);
    const i = f.local("i32");
    f.copy(i, start);
    const steps = unrolls(this.#walk) ? [UNROLL, 1] : [1];
    for (const count of steps) {
      const limit = f.op("i32.sub", [end, f.const("i32", 4 * count - 1)]);
      f.forLoop(i, limit, 4 * count, () => {
        for (let u = 0; u < count; u++) body(at, { first: i, shift: 4 * u, copy: u, left: null, mask: null });
        this.#move(at, d, 4 * count);
      });
    }
    const left = f.op("i32.sub", [end, i]);
    f.if(f.op("i32.gt_s", [left, f.const("i32", 0)]), () => {
      const mask = this.#c.i32("lt_s", f.vector("i32x4", 0, 1, 2, 3), f.op("i32x4.splat", [left]));
      body(at, { first: i, shift: 0, copy: 0, left, mask });
    });
  }

  /** Loops over inner dimensions from the `k`-th on; `values` are those around them. */
  #inner(
    k: number,
    values: Values,
    positions: Positions,
    needed: ReadonlySet<number>,
    phase: number,
    outerLanes: LaneRange | null,
    body: (values: Values, positions: Positions, lanes: LaneRange | null) => void,
  ): void {
    const f = this.#f;
    const { innerDims, levelOf, laneDim } = this.#walk;
    const d = innerDims[k]!;
    const range = k === 0 ? this.#range : null;
    const start = range === null ? f.const("i32", 0) : range.start;
    const end = range === null ? this.#sizes[d]! : range.end;
    const begin = range === null ? positions : this.#advanced(positions, d, start);
    const enter = (at: Positions, lanes: LaneRange | null): void => {
      const scope = new Map(values);
      this.#level(levelOf[d]!, scope, needed, at, phase, lanes ?? undefined);
      if (k + 1 < innerDims.length) this.#inner(k + 1, scope, at, needed, phase, lanes, body);
      else body(scope, at, lanes);
    };
    if (d === laneDim) {
      this.#lanes(d, start, end, begin, (at, lanes) => enter(at, lanes));
      return;
    }
    const at = this.#moving(begin, d);
    const i = f.local("i32");
    f.copy(i, start);
    f.forLoop(i, end, 1, () => {
      enter(at, outerLanes);
      this.#move(at, d, 1);
    });
  }

  // --- reductions and stores ------------------------------------------------------------------------------------

  #reduction(r: number): Reduction {
    const instr = this.#s.instrs[r]!;
    return { kind: instr.imm as Reduction["kind"], from: this.#s.instrs[instr.args[0]!]!.type, to: instr.type };
  }

  /** All phases of a row (or of four columns), then what is written. */
  #reductions(values: Values, positions: Positions, lanes: LaneRange | null): void {
    const { reduces, baseLevel, mode } = this.#walk;
    reduces.forEach((group, phase) => {
      if (group.length > 0) {
        const accumulators = this.#reduceLoop(group, values, positions, lanes);
        group.forEach((r, i) => {
          const reduction = this.#reduction(r);
          if (mode === "rows") foldLanes(this.#c, reduction, accumulators[i]!);
          values.set(r, endReduce(this.#c, reduction, accumulators[i]!));
        });
      }
      this.#level(baseLevel, values, this.#all(), positions, phase + 1, lanes ?? undefined);
    });
    this.#rowStores(values, positions, lanes);
    this.#fullStores(values, positions, lanes);
  }

  #reduceLoop(group: readonly number[], values: Values, positions: Positions, lanes: LaneRange | null): Accumulator[] {
    const f = this.#f;
    const c = this.#c;
    const { laneDim, mode } = this.#walk;
    const copies = mode === "rows" && unrolls(this.#walk) ? UNROLL : 1;
    const reductions = group.map((r) => this.#reduction(r));
    const accumulators = Array.from({ length: copies }, () => reductions.map((r) => startReduce(c, r)));
    const counts = reductions.some((r) => r.kind === "argmax" || r.kind === "argmin");
    const counter = f.local("i32");
    if (this.#range !== null && counts) f.copy(counter, this.#rangeStart());
    else f.setConst(counter, 0);
    const needed = this.#closure(group.map((r) => this.#s.instrs[r]!.args[0]!));
    const phase = this.#walk.phases[group[0]!]!;
    this.#inner(0, values, positions, needed, phase, lanes, (scope, _at, current) => {
      const alongLanes = this.#walk.innerDims.includes(laneDim);
      let index: Local | null = null;
      if (counts) {
        index = f.op("i32x4.splat", [counter]);
        if (alongLanes) index = c.i32("add", index, f.vector("i32x4", 0, 1, 2, 3));
      }
      const mask = alongLanes ? (current?.mask ?? null) : null;
      group.forEach((r, i) => {
        const x = scope.get(this.#s.instrs[r]!.args[0]!)!;
        stepReduce(c, reductions[i]!, accumulators[alongLanes ? current!.copy : 0]![i]!, x, index, mask);
      });
      if (!counts) return;
      const step = !alongLanes ? f.const("i32", 1) : (current!.left ?? f.const("i32", 4));
      f.assign(counter, "i32.add", [counter, step]);
    });
    for (let u = 1; u < copies; u++)
      reductions.forEach((r, i) => mergeReduce(c, r, accumulators[0]![i]!, accumulators[u]![i]!));
    return accumulators[0]!;
  }

  /** Linear index of the first element of a piece's range. */
  #rangeStart(): Local {
    const f = this.#f;
    let start = this.#range!.start;
    for (const d of this.#walk.innerDims.slice(1)) start = f.op("i32.mul", [start, this.#sizes[d]!]);
    return start;
  }

  #isFullStore(access: number): boolean {
    return this.#walk.innerDims.some((d) => this.#walk.classes[access]![d] !== "0");
  }

  #rowStores(values: Values, positions: Positions, lanes: LaneRange | null): void {
    for (const t of this.#s.stores)
      if (!this.#isFullStore(t.access)) this.#memoryStore(t.access, values.get(t.value)!, positions, lanes);
  }

  #fullStores(values: Values, positions: Positions, lanes: LaneRange | null): void {
    const stores = this.#s.stores.filter((t) => this.#isFullStore(t.access));
    if (stores.length === 0) return;
    const needed = this.#closure(stores.map((t) => t.value));
    this.#inner(0, values, positions, needed, Infinity, lanes, (scope, at, current) => {
      for (const t of stores) this.#memoryStore(t.access, scope.get(t.value)!, at, current);
    });
  }

  #memoryStore(access: number, value: Lanes, positions: Positions, lanes: LaneRange | null): void {
    const { dtype } = this.#s.buffers[this.#s.accesses[access]!.buffer]!;
    const varies = lanes !== null && this.#walk.classes[access]![this.#walk.laneDim] !== "0";
    const stride = varies ? this.#strideOf(access, this.#walk.laneDim) : 0;
    this.#memory.store(dtype, positions[access]!, stride, value, lanes);
  }

  // --- values ---------------------------------------------------------------------------------------------------

  #all(): ReadonlySet<number> {
    return new Set(this.#s.instrs.keys());
  }

  /** Instructions that some results need inside the loops over inner dimensions. */
  #closure(roots: readonly number[]): ReadonlySet<number> {
    const needed = new Set<number>();
    const stack = roots.filter((r) => this.#walk.depths[r]! > this.#walk.baseLevel);
    while (stack.length > 0) {
      const i = stack.pop()!;
      if (needed.has(i)) continue;
      needed.add(i);
      for (const a of this.#s.instrs[i]!.args) if (this.#walk.depths[a]! > this.#walk.baseLevel) stack.push(a);
    }
    return needed;
  }

  /** Computes the needed values that belong to a level and whose reductions (up to `phase`) are done. */
  #level(
    level: number,
    values: Values,
    needed: ReadonlySet<number>,
    positions: Positions,
    phase: number,
    lanes?: LaneRange,
  ): void {
    const blocks = new Map<string, Local[]>();
    this.#s.instrs.forEach((instr, i) => {
      if (this.#walk.depths[i] !== level || !needed.has(i) || values.has(i) || instr.op === "reduce") return;
      if (instr.args.some((a) => !values.has(a))) return;
      if (this.#walk.phases[i]! > phase) return;
      values.set(i, this.#value(i, values, positions, lanes ?? null, blocks));
    });
  }

  #value(
    i: number,
    values: Values,
    positions: Positions,
    lanes: LaneRange | null,
    blocks: Map<string, Local[]>,
  ): Lanes {
    const f = this.#f;
    const c = this.#c;
    const s = this.#s;
    const { layout, classes, laneDim } = this.#walk;
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
      case "iota": {
        const a = instr.imm as number;
        const start = f.op("i32x4.splat", [positions[a]!]);
        if (lanes === null || classes[a]![laneDim] === "0") return c.one("i", start);
        const { shift } = lanes;
        const numbers = f.vector("i32x4", shift, shift + 1, shift + 2, shift + 3);
        const stride = this.#strideOf(a, laneDim);
        const steps = typeof stride === "number" ? numbers : c.i32("mul", numbers, f.op("i32x4.splat", [stride]));
        return c.one("i", c.i32("add", start, steps));
      }
      case "loadAt": {
        const buffer = instr.imm as number;
        const base = f.op("i32.load", [this.#parameters], layout.base[buffer]!);
        return this.#memory.gather(s.buffers[buffer]!.dtype, base, args[0]!.parts[0]!, lanes?.mask ?? null);
      }
      case "checkIndex":
        return this.#checkIndex(args[0]!, args[1]!, lanes?.mask ?? null);
      case "philox": {
        const key = instr.args.join();
        let block = blocks.get(key);
        if (block === undefined) {
          block = philox(c, args);
          blocks.set(key, block);
        }
        return c.one("u", block[instr.imm as number]!);
      }
      default: {
        const second = instr.args.length > 1 ? s.instrs[instr.args[1]!]! : null;
        return operation(c, instr, args, second?.op === "const" ? (second.imm as number) : null);
      }
    }
  }

  #checkIndex(index: Lanes, size: Lanes, mask: Local | null): Lanes {
    const f = this.#f;
    const c = this.#c;
    const x = index.parts[0]!;
    const good = c.v("and", c.i32("ge_s", x, c.ki(0)), c.i32("lt_s", x, size.parts[0]!));
    const failed = mask === null ? c.v("not", good) : c.v("andnot", mask, good);
    f.if(f.op("v128.any_true", [failed]), () => {
      const zero = f.const("i32", 0);
      f.if(f.op("i32.eqz", [f.op("i32.load", [zero], STATUS_ADDRESS)]), () => {
        f.effect("i32.store", [zero, f.op("i32.load", [this.#parameters], this.#walk.layout.tag)], STATUS_ADDRESS);
      });
    });
    return c.one("i", c.v("and", x, good));
  }
}
