/**
 * Reductions along columns of many rows. Four columns at a time, from the first row to the last, would touch another page of memory with every element; here
 * rows are read one after the other, as they lie, and what accumulates for each column is in scratch memory, which the nearest cache holds.
 */

import type { FusedStructure } from "../../../graph/kernel.ts";
import { BodyWriter, inner, rowCopy, type Copy, type Positions } from "./body.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import type { Features, WasmKernel } from "./fused.ts";
import type { LaneRange } from "./memory.ts";
import { endReduce, mergeReduce, reductionOf, startReduce, stepReduce, type Accumulator } from "./reduce.ts";
import { atRow, forRows } from "./rows.ts";
import { planWalk, type Walk } from "./space.ts";

/** Rows that are taken together, where what accumulates for all columns is too much for the nearest cache to be read and written for each row. */
const TOGETHER = 4;
/** Values that every row may compute again for each column. */
const CHEAP = new Set(["load", "iota", "const", "scalar", "cast"]);

/**
 * True if a kernel that reduces along columns can be walked row by row: its reductions do not wait for each other, need no numbers of elements, and nothing
 * is written for every element.
 */
export function isTall({ mode, structure: s, reduces, classes, innerDims, varies }: Walk): boolean {
  if (mode !== "columns" || reduces.length !== 1) return false;
  if (reduces[0]!.some((r) => s.instrs[r]!.imm === "argmax" || s.instrs[r]!.imm === "argmin")) return false;
  if (s.stores.some((t) => innerDims.some((d) => classes[t.access]![d] !== "0"))) return false;
  const seen = new Set<number>();
  const stack = [...reduces[0]!];
  while (stack.length > 0) {
    const i = stack.pop()!;
    if (seen.has(i)) continue;
    seen.add(i);
    const instr = s.instrs[i]!;
    if (instr.op !== "reduce" && s.levels[i] === "row" && varies[i]! && !CHEAP.has(instr.op)) return false;
    stack.push(...instr.args);
  }
  return true;
}

/** A rendered kernel, and the bytes of scratch memory that four columns take. */
export interface TallKernel extends WasmKernel {
  readonly scratch: number;
}

/**
 * The kernel as a function `run` of the arguments that `renderKernel` states; and for many elements in parts: `part(parameters, row, start, end, column, columnEnd, state)` reduces
 * a range of the first inner dimension to accumulators from `state` on, `join(parameters, row, parts, bytes, column, columnEnd, state)` combines those of several parts, so
 * many bytes apart, in their order, and writes results. `isWide` is for many columns.
 */
export function renderTall(s: FusedStructure, features: Features, isWide: boolean): TallKernel {
  const walk = planWalk(s, true);
  const module = new ModuleBuilder(features.shared);
  const open = (f: FunctionBuilder, first: Local, end: Local, state: Local): TallWriter =>
    new TallWriter(walk, module, f, features.relaxed, isWide ? TOGETHER : 1, first, end, state);
  const numbers = (count: number): "i32"[] => Array.from({ length: count }, () => "i32");
  const run = module.function("run", numbers(6));
  const part = module.function("part", numbers(7));
  const join = module.function("join", numbers(7));
  open(run, run.args[3]!, run.args[4]!, run.args[5]!).run();
  open(part, part.args[4]!, part.args[5]!, part.args[6]!).part();
  const { bytes } = open(join, join.args[4]!, join.args[5]!, join.args[6]!).join();
  return { walk, bytes: module.bytes(), imports: module.importNames, carried: 0, scratch: bytes };
}

class TallWriter {
  readonly #walk: Walk;
  readonly #s: FusedStructure;
  readonly #f: FunctionBuilder;
  readonly #body: BodyWriter;
  readonly #group: readonly number[];
  readonly #together: number;
  /** Columns, and where their accumulators begin. */
  readonly #first: Local;
  readonly #end: Local;
  readonly #state: Local;
  /** Where the accumulators of four columns lie, from the start of theirs on; bytes of all. */
  readonly #places: readonly (readonly number[])[];
  readonly bytes: number;

  constructor(
    walk: Walk,
    module: ModuleBuilder,
    f: FunctionBuilder,
    relaxed: boolean,
    together: number,
    first: Local,
    end: Local,
    state: Local,
  ) {
    this.#walk = walk;
    this.#s = walk.structure;
    this.#f = f;
    this.#body = new BodyWriter(walk, module, f, relaxed);
    this.#group = walk.reduces[0]!;
    this.#together = together;
    [this.#first, this.#end, this.#state] = [first, end, state];
    let at = 0;
    this.#places = this.#group.map((r) =>
      startReduce(this.#body.c, reductionOf(this.#s, r)).map(() => {
        at += 16;
        return at - 16;
      }),
    );
    this.bytes = at;
  }

  run(): void {
    const [, start, end] = this.#f.args as [Local, Local, Local];
    const whole = this.#whole();
    forRows(this.#body, start, end, (positions) => {
      const row = this.#row(whole, positions);
      this.#startAll();
      this.#accumulate(0, row, positions, null);
      this.#write(row, positions, () => undefined);
    });
  }

  part(): void {
    const [, number, start, end] = this.#f.args as [Local, Local, Local, Local];
    const { positions } = atRow(this.#body, number);
    const row = this.#row(this.#whole(), positions);
    this.#startAll();
    this.#accumulate(0, row, positions, { start, end });
  }

  join(): this {
    const f = this.#f;
    const [, number, parts, bytes] = f.args as [Local, Local, Local, Local];
    const { positions } = atRow(this.#body, number);
    const row = this.#row(this.#whole(), positions);
    this.#write(row, positions, (accumulators, place) => {
      const [part, other] = [f.local("i32"), f.local("i32")];
      f.setConst(part, 1);
      f.copy(other, place);
      f.forLoop(part, parts, 1, () => {
        f.assign(other, "i32.add", [other, bytes]);
        this.#group.forEach((r, i) =>
          mergeReduce(this.#body.c, reductionOf(this.#s, r), accumulators[i]!, this.#load(i, other)),
        );
      });
    });
    return this;
  }

  /** What is the same for all rows. */
  #whole(): Copy {
    const whole = rowCopy();
    this.#body.level(0, [whole], this.#body.all(), this.#body.origin(), 0);
    return whole;
  }

  #row(whole: Copy, positions: Positions): Copy {
    const row = inner(whole);
    this.#body.level(1, [row], this.#body.all(), positions, 0);
    return row;
  }

  /** Runs `body` for four columns at a time, with the place of their accumulators; positions of several rows move on together. */
  #columns(rows: readonly Positions[], body: (at: readonly Positions[], lanes: LaneRange, place: Local) => void): void {
    const f = this.#f;
    const { laneDim } = this.#walk;
    const at = rows.map((positions) =>
      this.#body.moving(this.#body.advanced(positions, laneDim, this.#first), laneDim),
    );
    const [place, i] = [f.local("i32"), f.local("i32")];
    f.copy(place, this.#state);
    f.copy(i, this.#first);
    f.forLoop(i, f.op("i32.sub", [this.#end, f.const("i32", 3)]), 4, () => {
      body(at, { shift: 0, left: null, mask: null }, place);
      for (const positions of at) this.#body.move(positions, laneDim, 4);
      f.assign(place, "i32.add", [place, f.const("i32", this.bytes)]);
    });
    const left = f.op("i32.sub", [this.#end, i]);
    f.if(f.op("i32.gt_s", [left, f.const("i32", 0)]), () => {
      const mask = this.#body.c.i32("lt_s", f.vector("i32x4", 0, 1, 2, 3), f.op("i32x4.splat", [left]));
      body(at, { shift: 0, left, mask }, place);
    });
  }

  #load(i: number, place: Local): Accumulator {
    return this.#places[i]!.map((offset) => {
      const part = this.#f.local("v128");
      this.#f.copy(part, this.#f.op("v128.load", [place], offset));
      return part;
    });
  }

  #save(i: number, accumulator: Accumulator, place: Local): void {
    this.#places[i]!.forEach((offset, k) => this.#f.effect("v128.store", [place, accumulator[k]!], offset));
  }

  #startAll(): void {
    this.#columns([], (_, __, place) => {
      this.#group.forEach((r, i) => this.#save(i, startReduce(this.#body.c, reductionOf(this.#s, r)), place));
    });
  }

  /** Takes in rows: loops over inner dimensions from the `k`-th on, of the first a range if one is given. */
  #accumulate(
    k: number,
    row: Copy,
    positions: Positions,
    range: { readonly start: Local; readonly end: Local } | null,
  ): void {
    const f = this.#f;
    const body = this.#body;
    const { innerDims, levelOf } = this.#walk;
    const d = innerDims[k]!;
    const needed = body.closure(
      this.#group.map((r) => this.#s.instrs[r]!.args[0]!),
      0,
    );
    const at = body.moving(range === null ? positions : body.advanced(positions, d, range.start), d);
    const end = range?.end ?? body.sizes[d]!;
    const i = f.local("i32");
    if (range === null) f.setConst(i, 0);
    else f.copy(i, range.start);
    const isLast = k === innerDims.length - 1;
    for (const count of isLast && this.#together > 1 ? [this.#together, 1] : [1])
      f.forLoop(i, f.op("i32.sub", [end, f.const("i32", count - 1)]), count, () => {
        const places = Array.from({ length: count }, (_, u) =>
          u === 0 ? at : body.advanced(at, d, f.const("i32", u)),
        );
        const rows = places.map((place) => {
          const copy = inner(row);
          body.level(levelOf[d]!, [copy], needed, place, 0);
          return copy;
        });
        if (isLast) this.#step(rows, places, needed);
        else this.#accumulate(k + 1, rows[0]!, at, null);
        body.move(at, d, count);
      });
  }

  /** Takes in rows. */
  #step(rows: readonly Copy[], positions: readonly Positions[], needed: ReadonlySet<number>): void {
    const { c } = this.#body;
    const level = this.#walk.levelOf[this.#walk.laneDim]!;
    this.#columns(positions, (at, lanes, place) => {
      const within = rows.map((row, u) => {
        const copy = inner(row, lanes);
        this.#body.level(level, [copy], needed, at[u]!, 0);
        return copy;
      });
      this.#group.forEach((r, i) => {
        const reduction = reductionOf(this.#s, r);
        const accumulator = this.#load(i, place);
        const values = within.map((copy) => copy.values.get(this.#s.instrs[r]!.args[0]!)!);
        for (const value of values) stepReduce(c, reduction, accumulator, value, null, null);
        this.#save(i, accumulator, place);
      });
    });
  }

  /** Results, of accumulators that `before` may add to, and what is written of them. */
  #write(row: Copy, positions: Positions, before: (accumulators: readonly Accumulator[], place: Local) => void): void {
    const body = this.#body;
    const { stores, levels } = this.#s;
    const once = new Set([...body.all()].filter((i) => levels[i] === "row"));
    this.#columns([positions], ([at], lanes, place) => {
      const copy = inner(row, lanes);
      const accumulators = this.#group.map((_, i) => this.#load(i, place));
      before(accumulators, place);
      this.#group.forEach((r, i) => copy.values.set(r, endReduce(body.c, reductionOf(this.#s, r), accumulators[i]!)));
      body.level(this.#walk.levelOf[this.#walk.laneDim]!, [copy], once, at!, 1);
      for (const t of stores) body.store(t.access, t.value, copy, at!);
    });
  }
}
