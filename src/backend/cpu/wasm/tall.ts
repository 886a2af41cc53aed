/**
 * Reductions along columns of many rows. Four columns at a time, from the first row to the last, would touch another page of memory with every element; here
 * rows are read one after the other, as they lie, and what accumulates for each column is in scratch memory, which the nearest cache holds.
 */

import type { FusedStructure } from "../../../graph/kernel.ts";
import { BodyWriter, inner, rowCopy, type Copy, type Positions } from "./body.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import type { Features, WasmKernel } from "./fused.ts";
import type { LaneRange } from "./memory.ts";
import { endReduce, reductionOf, startReduce, stepReduce, type Accumulator } from "./reduce.ts";
import { forRows } from "./rows.ts";
import { planWalk, type Walk } from "./space.ts";

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

/** The kernel as a function `run` of the arguments that `renderKernel` states; bytes of scratch memory for each four columns are `scratch`. */
export function renderTall(s: FusedStructure, features: Features): WasmKernel & { readonly scratch: number } {
  const walk = planWalk(s, true);
  const module = new ModuleBuilder(features.shared);
  const f = module.function("run", ["i32", "i32", "i32", "i32", "i32", "i32"]);
  const scratch = new TallWriter(walk, module, f, features.relaxed).run();
  return { walk, bytes: module.bytes(), imports: module.importNames, carried: 0, scratch };
}

class TallWriter {
  readonly #walk: Walk;
  readonly #s: FusedStructure;
  readonly #f: FunctionBuilder;
  readonly #body: BodyWriter;
  readonly #group: readonly number[];
  /** Where the accumulators of four columns lie, from the start of theirs on. */
  readonly #places: readonly (readonly number[])[];
  readonly #bytes: number;

  constructor(walk: Walk, module: ModuleBuilder, f: FunctionBuilder, relaxed: boolean) {
    this.#walk = walk;
    this.#s = walk.structure;
    this.#f = f;
    this.#body = new BodyWriter(walk, module, f, relaxed);
    this.#group = walk.reduces[0]!;
    let at = 0;
    this.#places = this.#group.map((r) =>
      startReduce(this.#body.c, reductionOf(this.#s, r)).map(() => {
        at += 16;
        return at - 16;
      }),
    );
    this.#bytes = at;
  }

  /** Gives the bytes of scratch memory for four columns. */
  run(): number {
    const [, rowStart, rowEnd] = this.#f.args as [Local, Local, Local];
    const body = this.#body;
    const whole = rowCopy();
    const all = body.all();
    body.level(0, [whole], all, body.origin(), 0);
    forRows(body, rowStart, rowEnd, (positions) => {
      const row = inner(whole);
      body.level(1, [row], all, positions, 0);
      this.#start();
      const needed = body.closure(
        this.#group.map((r) => this.#s.instrs[r]!.args[0]!),
        0,
      );
      this.#accumulate(0, row, positions, needed);
      this.#end(row, positions);
    });
    return this.#bytes;
  }

  /** Runs `body` for four columns at a time, with the place of their accumulators. */
  #columns(positions: Positions, body: (at: Positions, lanes: LaneRange, place: Local) => void): void {
    const f = this.#f;
    const { laneDim } = this.#walk;
    const [, , , start, end, scratch] = f.args as [Local, Local, Local, Local, Local, Local];
    const at = this.#body.moving(this.#body.advanced(positions, laneDim, start), laneDim);
    const place = f.local("i32");
    f.copy(place, scratch);
    const i = f.local("i32");
    f.copy(i, start);
    f.forLoop(i, f.op("i32.sub", [end, f.const("i32", 3)]), 4, () => {
      body(at, { shift: 0, left: null, mask: null }, place);
      this.#body.move(at, laneDim, 4);
      f.assign(place, "i32.add", [place, f.const("i32", this.#bytes)]);
    });
    const left = f.op("i32.sub", [end, i]);
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

  #start(): void {
    this.#columns([], (_, __, place) => {
      this.#group.forEach((r, i) => this.#save(i, startReduce(this.#body.c, reductionOf(this.#s, r)), place));
    });
  }

  /** Takes in rows: loops over inner dimensions from the `k`-th on. */
  #accumulate(k: number, row: Copy, positions: Positions, needed: ReadonlySet<number>): void {
    const f = this.#f;
    const body = this.#body;
    const { innerDims, levelOf } = this.#walk;
    const d = innerDims[k]!;
    const at = body.moving(positions, d);
    const i = f.local("i32");
    f.setConst(i, 0);
    f.forLoop(i, body.sizes[d]!, 1, () => {
      const copy = inner(row);
      body.level(levelOf[d]!, [copy], needed, at, 0);
      if (k < innerDims.length - 1) this.#accumulate(k + 1, copy, at, needed);
      else this.#step(copy, at, needed);
      body.move(at, d, 1);
    });
  }

  #step(row: Copy, positions: Positions, needed: ReadonlySet<number>): void {
    const level = this.#walk.levelOf[this.#walk.laneDim]!;
    this.#columns(positions, (at, lanes, place) => {
      const copy = inner(row, lanes);
      this.#body.level(level, [copy], needed, at, 0);
      this.#group.forEach((r, i) => {
        const accumulator = this.#load(i, place);
        const value = copy.values.get(this.#s.instrs[r]!.args[0]!)!;
        stepReduce(this.#body.c, reductionOf(this.#s, r), accumulator, value, null, null);
        this.#save(i, accumulator, place);
      });
    });
  }

  /** Results, and what is written of them. */
  #end(row: Copy, positions: Positions): void {
    const body = this.#body;
    const { stores, levels } = this.#s;
    const once = new Set([...body.all()].filter((i) => levels[i] === "row"));
    this.#columns(positions, (at, lanes, place) => {
      const copy = inner(row, lanes);
      this.#group.forEach((r, i) =>
        body.reduced(r, copy, endReduce(body.c, reductionOf(this.#s, r), this.#load(i, place))),
      );
      body.level(this.#walk.levelOf[this.#walk.laneDim]!, [copy], once, at, 1);
      for (const t of stores) body.store(t.access, t.value, copy, at);
    });
  }
}
