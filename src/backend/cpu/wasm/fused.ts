/** Fused kernels as WebAssembly: the loops over the iteration space, reductions and stores around the bodies of `body.ts`. */

import type { FusedStructure } from "../../../graph/kernel.ts";
import { BodyWriter, inner, rowCopy, type Carried, type Copy, type Positions } from "./body.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import type { LaneRange } from "./memory.ts";
import {
  endReduce,
  foldLanes,
  mergeReduce,
  reductionOf,
  startReduce,
  stepReduce,
  storeState,
  type Accumulator,
} from "./reduce.ts";
import { atRow, forRows } from "./rows.ts";
import { planWalk, type Walk } from "./space.ts";

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
  /** How many values of a row it keeps in scratch memory. */
  readonly carried: number;
}

/** Instructions up to which the lane loop is unrolled, and how far. */
const UNROLL_UP_TO = 14;
const UNROLL = 4;
/** Share of the values of a kernel that one chain of them makes up, from which on it is unrolled however long it is. */
const CHAIN_SHARE = 0.75;
/** Values of a row that are kept at most. */
const MAX_CARRIED = 4;
/** Primitives that are many instructions. */
const HEAVY = new Set(["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tanh", "erf", "pow"]);

/**
 * How many groups of four lanes are computed side by side: several, if that is little code and their elements are neighbours. Long chains
 * of dependent instructions then overlap.
 */
function copiesOf(walk: Walk): number {
  const { structure: s, classes, laneDim, varies } = walk;
  const isShort = s.instrs.length <= UNROLL_UP_TO || isChain(walk);
  const checks = s.instrs.some((i, k) => i.op === "checkIndex" && varies[k]!);
  const areNeighbours = classes.every((c) => c[laneDim] !== "s");
  return isShort && areNeighbours && !checks ? UNROLL : 1;
}

/** True if nearly every value waits for the one before: one group of lanes would leave the machine idle. */
function isChain({ structure: s, varies }: Walk): boolean {
  const depths: number[] = [];
  let count = 0;
  s.instrs.forEach((instr, i) => {
    const isStep = varies[i]! && instr.args.length > 0;
    if (isStep) count++;
    depths.push(instr.args.reduce((most, a) => Math.max(most, depths[a]!), 0) + Number(isStep));
  });
  return Math.max(...depths) > CHAIN_SHARE * count;
}

/** Values that more than one pass over a row needs and that take long to compute, as float32 in rows of one inner dimension. */
function carriedValues(walk: Walk): Carried {
  const { structure: s, mode, innerDims, levelOf, laneDim, depths } = walk;
  const carried = new Map<number, number>();
  if (mode !== "rows" || innerDims.length > 1) return carried;
  const first = new Map<number, number>();
  const visit = (roots: readonly number[], phase: number): void => {
    const seen = new Set<number>();
    const stack = [...roots];
    while (stack.length > 0) {
      const i = stack.pop()!;
      if (seen.has(i) || depths[i] !== levelOf[laneDim]) continue;
      seen.add(i);
      const { op, type, args } = s.instrs[i]!;
      if (HEAVY.has(op) && type === "f") {
        const known = first.get(i);
        if (known === undefined) first.set(i, phase);
        else if (carried.size < MAX_CARRIED) carried.set(i, known);
      }
      stack.push(...args);
    }
  };
  walk.reduces.forEach((group, phase) =>
    visit(
      group.map((r) => s.instrs[r]!.args[0]!),
      phase,
    ),
  );
  const full = s.stores.filter((t) => innerDims.some((d) => walk.classes[t.access]![d] !== "0"));
  visit(
    full.map((t) => t.value),
    Infinity,
  );
  return carried;
}

/**
 * The whole kernel as one function: `run(parameters, rowStart, rowEnd, laneStart, laneEnd, scratch)`; rows are the coordinates of `rowDims`
 * in order, lanes those of the lane dimension (all of it is always walked in mode "rows"). If `carries`, values that several passes need are
 * kept in scratch memory for the time of a row.
 */
export function renderKernel(s: FusedStructure, features: Features, carries: boolean): WasmKernel {
  const walk = planWalk(s);
  const module = new ModuleBuilder(features.shared);
  const f = module.function("run", ["i32", "i32", "i32", "i32", "i32", "i32"]);
  const carried = carries ? carriedValues(walk) : new Map<number, number>();
  new KernelWriter(walk, module, f, features.relaxed, null, carried).run();
  return { walk, bytes: module.bytes(), imports: module.importNames, carried: carried.size };
}

/**
 * The kernel in pieces, for few rows of many elements: `reduce<phase>(parameters, row, start, end, state)` reduces a range of the first
 * inner dimension to two float64 numbers for each reduction of the phase; `store(parameters, row, start, end)` writes a range, and what
 * there is once a row at its start, from results in the parameters. Mode "rows" only.
 */
export function renderPieces(s: FusedStructure, features: Features): WasmKernel {
  const walk = planWalk(s);
  const module = new ModuleBuilder(features.shared);
  const open = (f: FunctionBuilder): KernelWriter => {
    const [, , start, end] = f.args as [Local, Local, Local, Local];
    return new KernelWriter(walk, module, f, features.relaxed, { start, end }, new Map());
  };
  walk.reduces.forEach((group, phase) => {
    if (group.length > 0)
      open(module.function(`reduce${phase}`, ["i32", "i32", "i32", "i32", "i32"])).reducePiece(phase);
  });
  open(module.function("store", ["i32", "i32", "i32", "i32"])).storePiece();
  return { walk, bytes: module.bytes(), imports: module.importNames, carried: 0 };
}

class KernelWriter {
  readonly #walk: Walk;
  readonly #s: FusedStructure;
  readonly #f: FunctionBuilder;
  readonly #body: BodyWriter;
  readonly #all: ReadonlySet<number>;
  readonly #copies: number;
  /** Range of the first inner dimension, in a piece. */
  readonly #range: { readonly start: Local; readonly end: Local } | null;

  constructor(
    walk: Walk,
    module: ModuleBuilder,
    f: FunctionBuilder,
    relaxed: boolean,
    range: { readonly start: Local; readonly end: Local } | null,
    carried: Carried,
  ) {
    this.#walk = walk;
    this.#s = walk.structure;
    this.#f = f;
    this.#body = new BodyWriter(walk, module, f, relaxed, carried, f.args[5] ?? null);
    this.#all = this.#body.all();
    this.#copies = copiesOf(walk);
    this.#range = range;
  }

  run(): void {
    const [, rowStart, rowEnd, laneStart, laneEnd] = this.#f.args as [Local, Local, Local, Local, Local];
    const body = this.#body;
    const { mode, laneDim } = this.#walk;
    const whole = rowCopy();
    body.level(0, [whole], this.#all, body.origin(), 0);
    forRows(body, rowStart, rowEnd, (positions) => {
      const row = inner(whole);
      body.level(1, [row], this.#all, positions, 0);
      if (mode === "rows") {
        this.#reductions([row], positions);
        return;
      }
      const start = body.advanced(positions, laneDim, laneStart);
      this.#lanes(laneDim, laneStart, laneEnd, start, (at, ranges) => {
        const copies = ranges.map((lanes) => inner(row, lanes));
        body.level(2, copies, this.#all, at, 0);
        if (mode === "columns") this.#reductions(copies, at);
        else for (const copy of copies) for (const t of this.#s.stores) body.store(t.access, t.value, copy, at);
      });
    });
  }

  reducePiece(phase: number): void {
    const [, row, , , state] = this.#f.args as [Local, Local, Local, Local, Local];
    const copy = rowCopy();
    const positions = this.#startRow(row, copy, phase);
    const group = this.#walk.reduces[phase]!;
    const [accumulators] = this.#reduceLoop(group, [copy], positions);
    group.forEach((r, i) => {
      const reduction = reductionOf(this.#s, r);
      foldLanes(this.#body.c, reduction, accumulators![i]!);
      storeState(this.#body.c, reduction, accumulators![i]!, state, 16 * i);
    });
  }

  storePiece(): void {
    const [, row, start] = this.#f.args as [Local, Local, Local];
    const copy = rowCopy();
    const positions = this.#startRow(row, copy, this.#walk.reduces.length);
    this.#f.if(this.#f.op("i32.eqz", [start]), () => this.#rowStores([copy], positions));
    this.#fullStores([copy], positions);
  }

  /** Everything that a piece needs of its row: reductions of phases before `phase` come from the parameters. */
  #startRow(row: Local, copy: Copy, phase: number): Positions {
    const body = this.#body;
    body.level(0, [copy], this.#all, body.origin(), 0);
    const { positions } = atRow(body, row);
    body.level(1, [copy], this.#all, positions, 0);
    this.#walk.reduces.slice(0, phase).forEach((group, p) => {
      for (const r of group) copy.values.set(r, body.state(r));
      body.level(1, [copy], this.#all, positions, p + 1);
    });
    return positions;
  }

  // --- loops ----------------------------------------------------------------------------------------------------

  /** Runs `body` for groups of lanes from `start` to `end`: several fours at a time, then single ones, then what is left. */
  #lanes(
    d: number,
    start: Local,
    end: Local,
    positions: Positions,
    body: (positions: Positions, ranges: readonly LaneRange[]) => void,
  ): void {
    const f = this.#f;
    const at = this.#body.moving(positions, d);
    const i = f.local("i32");
    f.copy(i, start);
    for (const count of this.#copies > 1 ? [this.#copies, 1] : [1]) {
      const limit = f.op("i32.sub", [end, f.const("i32", 4 * count - 1)]);
      f.forLoop(i, limit, 4 * count, () => {
        body(
          at,
          Array.from({ length: count }, (_, u) => ({ shift: 4 * u, left: null, mask: null })),
        );
        this.#body.move(at, d, 4 * count);
      });
    }
    const left = f.op("i32.sub", [end, i]);
    f.if(f.op("i32.gt_s", [left, f.const("i32", 0)]), () => {
      const mask = this.#body.c.i32("lt_s", f.vector("i32x4", 0, 1, 2, 3), f.op("i32x4.splat", [left]));
      body(at, [{ shift: 0, left, mask }]);
    });
  }

  /** Loops over inner dimensions from the `k`-th on, around `copies`. */
  #inner(
    k: number,
    copies: readonly Copy[],
    positions: Positions,
    needed: ReadonlySet<number>,
    phase: number,
    body: (copies: readonly Copy[], positions: Positions) => void,
  ): void {
    const f = this.#f;
    const { innerDims, levelOf, laneDim } = this.#walk;
    const d = innerDims[k]!;
    const range = k === 0 ? this.#range : null;
    const start = range === null ? f.const("i32", 0) : range.start;
    const end = range === null ? this.#body.sizes[d]! : range.end;
    const begin = range === null ? positions : this.#body.advanced(positions, d, start);
    const enter = (within: readonly Copy[], at: Positions): void => {
      this.#body.level(levelOf[d]!, within, needed, at, phase);
      if (k + 1 < innerDims.length) this.#inner(k + 1, within, at, needed, phase, body);
      else body(within, at);
    };
    if (d === laneDim) {
      this.#lanes(d, start, end, begin, (at, ranges) =>
        enter(
          ranges.map((lanes) => inner(copies[0]!, lanes)),
          at,
        ),
      );
      return;
    }
    const at = this.#body.moving(begin, d);
    const i = f.local("i32");
    f.copy(i, start);
    f.forLoop(i, end, 1, () => {
      enter(
        copies.map((copy) => inner(copy)),
        at,
      );
      this.#body.move(at, d, 1);
    });
  }

  // --- reductions and stores ------------------------------------------------------------------------------------

  /** All phases of a row (or of some columns), then what is written. */
  #reductions(copies: readonly Copy[], positions: Positions): void {
    const { reduces, baseLevel, mode } = this.#walk;
    const { c } = this.#body;
    reduces.forEach((group, phase) => {
      if (group.length > 0) {
        const accumulators = this.#reduceLoop(group, copies, positions);
        group.forEach((r, i) => {
          const reduction = reductionOf(this.#s, r);
          copies.forEach((copy, u) => {
            if (mode === "rows") foldLanes(c, reduction, accumulators[u]![i]!);
            copy.values.set(r, endReduce(c, reduction, accumulators[u]![i]!));
          });
        });
      }
      this.#body.level(baseLevel, copies, this.#all, positions, phase + 1);
    });
    this.#rowStores(copies, positions);
    this.#fullStores(copies, positions);
  }

  /** Accumulates the reductions of a phase, for each copy. */
  #reduceLoop(group: readonly number[], copies: readonly Copy[], positions: Positions): Accumulator[][] {
    const f = this.#f;
    const { c } = this.#body;
    const { mode, phases } = this.#walk;
    const along = mode === "rows";
    const reductions = group.map((r) => reductionOf(this.#s, r));
    const count = along ? this.#copies : copies.length;
    const accumulators = Array.from({ length: count }, () => reductions.map((r) => startReduce(c, r)));
    const counts = reductions.some((r) => r.kind === "argmax" || r.kind === "argmin");
    const counter = f.local("i32");
    if (this.#range !== null && counts) f.copy(counter, this.#rangeStart(this.#range.start));
    else f.setConst(counter, 0);
    const phase = phases[group[0]!]!;
    const needed = this.#body.closure(
      group.map((r) => this.#s.instrs[r]!.args[0]!),
      phase,
    );
    this.#inner(0, copies, positions, needed, phase, (within) => {
      within.forEach((copy, u) => {
        const lanes = along ? copy.lanes : null;
        let index: Local | null = null;
        if (counts) {
          index = f.op("i32x4.splat", [counter]);
          const first = lanes?.shift ?? 0;
          if (along) index = c.i32("add", index, f.vector("i32x4", first, first + 1, first + 2, first + 3));
        }
        group.forEach((r, i) => {
          const x = copy.values.get(this.#s.instrs[r]!.args[0]!)!;
          stepReduce(c, reductions[i]!, accumulators[u]![i]!, x, index, lanes?.mask ?? null);
        });
      });
      if (!counts) return;
      const step = along ? (within[0]!.lanes!.left ?? f.const("i32", 4 * within.length)) : f.const("i32", 1);
      f.assign(counter, "i32.add", [counter, step]);
    });
    if (!along) return accumulators;
    for (const other of accumulators.slice(1))
      reductions.forEach((r, i) => mergeReduce(c, r, accumulators[0]![i]!, other[i]!));
    return accumulators.slice(0, 1);
  }

  /** Linear index of the first element of a piece that starts at `start`. */
  #rangeStart(start: Local): Local {
    let index = start;
    for (const d of this.#walk.innerDims.slice(1)) index = this.#f.op("i32.mul", [index, this.#body.sizes[d]!]);
    return index;
  }

  #isFullStore(access: number): boolean {
    return this.#walk.innerDims.some((d) => this.#walk.classes[access]![d] !== "0");
  }

  #rowStores(copies: readonly Copy[], positions: Positions): void {
    for (const t of this.#s.stores)
      if (!this.#isFullStore(t.access)) for (const copy of copies) this.#body.store(t.access, t.value, copy, positions);
  }

  #fullStores(copies: readonly Copy[], positions: Positions): void {
    const stores = this.#s.stores.filter((t) => this.#isFullStore(t.access));
    if (stores.length === 0) return;
    const needed = this.#body.closure(
      stores.map((t) => t.value),
      Infinity,
    );
    this.#inner(0, copies, positions, needed, Infinity, (within, at) => {
      for (const copy of within) for (const t of stores) this.#body.store(t.access, t.value, copy, at);
    });
  }
}
