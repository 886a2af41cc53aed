/** The code of running sums, products and extremes as WebAssembly. */

import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import { valueType } from "../../../graph/builder.ts";
import type { ValueType } from "../../../graph/kernel.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import type { Features } from "./fused.ts";
import { LaneCode, type Lanes } from "./lanes.ts";
import { LaneMemory, type LaneRange } from "./memory.ts";
import { extreme } from "./primitives.ts";

/** What a scan combines by. */
export type ScanKind = "sum" | "prod" | "max" | "min";

const WHOLE: LaneRange = { shift: 0, left: null, mask: null };

/** Bytes of scratch memory that `across` takes for each column. */
export const ACROSS_BYTES = 8;

/**
 * A module with
 * - `row(source, step, out, stepOut, count)`: one row, its elements `step` and its results `stepOut` bytes apart;
 * - `across(source, step, out, stepOut, count, width, scratch)`: as many neighbouring rows as `width`, whose first elements lie side by side.
 *
 * Sums and products of floats accumulate in float64.
 */
export function renderScan(dtype: DType, kind: ScanKind, features: Features): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(features.shared);
  const writer = new ScanWriter(module, dtype, kind, features.relaxed);
  writer.row();
  writer.across();
  return module.bytes();
}

class ScanWriter {
  readonly #module: ModuleBuilder;
  readonly #dtype: DType;
  readonly #kind: ScanKind;
  readonly #relaxed: boolean;
  readonly #item: number;
  readonly #type: ValueType;
  /** Type in which is accumulated. */
  readonly #wide: ValueType;
  #f!: FunctionBuilder;
  #c!: LaneCode;
  #memory!: LaneMemory;

  constructor(module: ModuleBuilder, dtype: DType, kind: ScanKind, relaxed: boolean) {
    this.#module = module;
    this.#dtype = dtype;
    this.#kind = kind;
    this.#relaxed = relaxed;
    this.#item = ITEM_SIZE[dtype];
    this.#type = valueType(dtype);
    this.#wide = this.#type === "f" && (kind === "sum" || kind === "prod") ? "d" : this.#type;
  }

  #open(name: string, count: number): readonly Local[] {
    this.#f = this.#module.function(name, new Array<"i32">(count).fill("i32"));
    this.#c = new LaneCode(this.#module, this.#f, this.#relaxed);
    this.#memory = new LaneMemory(this.#c);
    return this.#f.args;
  }

  #combine(x: Lanes, y: Lanes): Lanes {
    if (this.#kind === "max" || this.#kind === "min") return extreme(this.#c, this.#kind, x, y);
    const name = this.#kind === "sum" ? "add" : "mul";
    const parts = x.parts.map((a, i) =>
      x.type === "d" ? this.#c.f64(name, a, y.parts[i]!) : this.#c.i32(name, a, y.parts[i]!),
    );
    return { type: x.type, parts };
  }

  /** Locals that hold lanes from turn to turn of a loop. */
  #held(start: Lanes): Lanes {
    const parts = start.parts.map((part) => {
      const local = this.#f.local("v128");
      this.#f.copy(local, part);
      return local;
    });
    return { type: start.type, parts };
  }

  #keep(held: Lanes, value: Lanes): void {
    held.parts.forEach((part, i) => this.#f.copy(part, value.parts[i]!));
  }

  // --- one row --------------------------------------------------------------------------------------------------

  row(): void {
    const [source, step, out, stepOut, count] = this.#open("row", 5) as [Local, Local, Local, Local, Local];
    const f = this.#f;
    const [from, to, i] = [f.variable(source), f.variable(out), f.variable(0)];
    const item = f.const("i32", this.#item);
    const total = this.#held(this.#c.cast(this.#memory.splat(this.#dtype, from), this.#wide));
    const dense = f.op("i32.and", [f.op("i32.eq", [step, item]), f.op("i32.eq", [stepOut, item])]);
    if (this.#fours() !== null) f.if(dense, () => this.#denseRow(from, to, i, count, total));
    f.forLoop(i, count, 1, () => {
      const x = this.#c.cast(this.#memory.splat(this.#dtype, from), this.#wide);
      // The first element as it is.
      const next = this.#combine(total, x);
      const first = f.op("i32.eqz", [i]);
      next.parts.forEach((part, p) => f.copy(total.parts[p]!, f.select(first, x.parts[p]!, part)));
      this.#memory.store(this.#dtype, to, 0, this.#c.cast(total, this.#type), null);
      f.add(from, step);
      f.add(to, stepOut);
    });
  }

  /** How four elements side by side are scanned in registers: all that gives the same result in any order; null if it does not. */
  #fours(): "narrow" | "wide" | null {
    if (this.#type === "d") return null;
    if (this.#wide === this.#type) return "narrow";
    return this.#kind === "sum" ? "wide" : null;
  }

  /** Whole groups of four, as far as they go. `total` is what precedes a group, in all lanes. */
  #denseRow(from: Local, to: Local, i: Local, count: Local, total: Lanes): void {
    const f = this.#f;
    this.#keep(total, this.#identity());
    const last = f.op("i32.sub", [count, f.const("i32", 3)]);
    f.forLoop(i, last, 4, () => {
      const x = this.#memory.load(this.#dtype, from, this.#item, WHOLE);
      const result = this.#fours() === "wide" ? this.#sumsOfFour(x, total) : this.#fourInOne(x, total);
      this.#memory.store(this.#dtype, to, this.#item, this.#c.cast(result, this.#type), WHOLE);
      f.add(from, 4 * this.#item);
      f.add(to, 4 * this.#item);
    });
  }

  /** What changes nothing: of a sum -0, so that a first -0 stays. */
  #identity(): Lanes {
    const extremes = this.#type === "f" ? [-Infinity, Infinity] : [-0x80000000, 0x7fffffff];
    const value = { sum: -0, prod: 1, max: extremes[0]!, min: extremes[1]! }[this.#kind];
    return this.#c.constant(this.#wide, value);
  }

  /** float64 sums of four elements with what precedes them. */
  #sumsOfFour(x: Lanes, total: Lanes): Lanes {
    const c = this.#c;
    const zero = c.kd(-0);
    const [low, high] = c.cast(x, "d").parts.map((pair) => c.f64("add", pair, c.shuffle(zero, pair, 0, 1, 4, 5))) as [
      Local,
      Local,
    ];
    const second = (pair: Local): Local => c.shuffle(pair, pair, 2, 3, 2, 3);
    const before = total.parts[0]!;
    const parts = [c.f64("add", before, low), c.f64("add", before, c.f64("add", second(low), high))];
    this.#keep(total, { type: "d", parts: [second(parts[1]!), second(parts[1]!)] });
    return { type: "d", parts };
  }

  #fourInOne(x: Lanes, total: Lanes): Lanes {
    const c = this.#c;
    const identity = this.#identity().parts[0]!;
    const moved = (part: Local, ...lanes: number[]): Lanes => c.one(x.type, c.shuffle(identity, part, ...lanes));
    const pairs = this.#combine(x, moved(x.parts[0]!, 0, 4, 5, 6));
    const fours = this.#combine(pairs, moved(pairs.parts[0]!, 0, 0, 4, 5));
    const result = this.#combine(total, fours);
    const [part] = result.parts as [Local];
    this.#keep(total, c.one(x.type, c.shuffle(part, part, 3, 3, 3, 3)));
    return result;
  }

  // --- neighbouring rows ----------------------------------------------------------------------------------------

  across(): void {
    const args = this.#open("across", 7) as [Local, Local, Local, Local, Local, Local, Local];
    const [source, step, out, stepOut, count, width, scratch] = args;
    const f = this.#f;
    const [row, rowOut, i] = [f.variable(source), f.variable(out), f.variable(0)];
    const whole = f.op("i32.sub", [width, f.const("i32", 3)]);
    f.forLoop(i, count, 1, () => {
      const first = f.op("i32.eqz", [i]);
      const [from, to, at, j] = [f.variable(row), f.variable(rowOut), f.variable(scratch), f.variable(0)];
      const group = (lanes: LaneRange): void => {
        const x = this.#c.cast(this.#memory.load(this.#dtype, from, this.#item, lanes), this.#wide);
        const before = { type: x.type, parts: x.parts.map((_, p) => f.op("v128.load", [at], 16 * p)) };
        const next = this.#combine(before, x).parts.map((part, p) => f.select(first, x.parts[p]!, part));
        next.forEach((part, p) => f.effect("v128.store", [at, part], 16 * p));
        const result = this.#c.cast({ type: x.type, parts: next }, this.#type);
        this.#memory.store(this.#dtype, to, this.#item, result, lanes);
      };
      f.forLoop(j, whole, 4, () => {
        group(WHOLE);
        f.add(from, 4 * this.#item);
        f.add(to, 4 * this.#item);
        f.add(at, 4 * ACROSS_BYTES);
      });
      const left = f.op("i32.sub", [width, j]);
      f.if(f.op("i32.gt_s", [left, f.const("i32", 0)]), () => group({ shift: 0, left, mask: null }));
      f.add(row, step);
      f.add(rowOut, stepOut);
    });
  }
}
