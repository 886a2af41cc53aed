/** The code of scatters as WebAssembly. */

import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import type { Features } from "./fused.ts";
import { LaneCode, type Lanes } from "./lanes.ts";
import { LaneMemory } from "./memory.ts";
import { extreme } from "./primitives.ts";

/** How an element joins what is there. */
export type ScatterMode = "set" | "add" | "prod" | "max" | "min";

/**
 * A module with, all steps in bytes,
 * - `elements(out, step, outStep, index, indexStep, source, sourceStep, count, size, flag)`: element i goes to `out + i outStep + index[i] step`;
 * - `rows(out, step, index, indexStep, source, sourceStep, count, size, width, outWidth, sourceWidth, flag)`: row i, of `width` elements, goes to
 *   `out + index[i] step`; `outWidth` and `sourceWidth` are the steps from one element of a row to the next.
 *
 * Terms join in the order of i. An index outside of 0 to `size` writes nothing but a 1 at `flag`.
 */
export function renderScatter(dtype: DType, mode: ScatterMode, features: Features): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(features.shared);
  const writer = new ScatterWriter(module, dtype, mode, features.relaxed);
  writer.elements();
  writer.rows();
  return module.bytes();
}

class ScatterWriter {
  readonly #module: ModuleBuilder;
  readonly #dtype: DType;
  readonly #mode: ScatterMode;
  readonly #relaxed: boolean;
  readonly #item: number;
  #f!: FunctionBuilder;
  #c!: LaneCode;
  #memory!: LaneMemory;

  constructor(module: ModuleBuilder, dtype: DType, mode: ScatterMode, relaxed: boolean) {
    this.#module = module;
    this.#dtype = dtype;
    this.#mode = mode;
    this.#relaxed = relaxed;
    this.#item = ITEM_SIZE[dtype];
  }

  #open(name: string, count: number): readonly Local[] {
    this.#f = this.#module.function(name, new Array<"i32">(count).fill("i32"));
    this.#c = new LaneCode(this.#module, this.#f, this.#relaxed);
    this.#memory = new LaneMemory(this.#c);
    return this.#f.args;
  }

  #combine(x: Lanes, y: Lanes): Lanes {
    const c = this.#c;
    if (this.#mode === "max" || this.#mode === "min") return extreme(c, this.#mode, x, y);
    const name = this.#mode === "add" ? "add" : "mul";
    const parts = x.parts.map((a, i) => {
      const b = y.parts[i]!;
      if (x.type === "d") return c.f64(name, a, b);
      if (x.type === "f") return c.f32(name, a, b);
      return x.type === "b" ? c.v(name === "add" ? "or" : "and", a, b) : c.i32(name, a, b);
    });
    return { type: x.type, parts };
  }

  /** Calls `body` if the index at an address is good, else sets the flag. */
  #checked(at: Local, size: Local, flag: Local, body: (index: Local) => void): void {
    const f = this.#f;
    const index = f.op("i32.load", [at]);
    f.if(
      f.op("i32.lt_u", [index, size]),
      () => body(index),
      () => f.effect("i32.store", [flag, f.const("i32", 1)]),
    );
  }

  /** One element joins another. */
  #one(from: Local, to: Local): void {
    const value = this.#memory.splat(this.#dtype, from);
    const result = this.#mode === "set" ? value : this.#combine(this.#memory.splat(this.#dtype, to), value);
    this.#memory.store(this.#dtype, to, 0, result, null);
  }

  elements(): void {
    const args = this.#open("elements", 10);
    const [out, step, outStep, index, indexStep, source, sourceStep, count, size, flag] = args as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    const f = this.#f;
    const [to, at, from, i] = [f.variable(out), f.variable(index), f.variable(source), f.variable(0)];
    f.forLoop(i, count, 1, () => {
      this.#checked(at, size, flag, (position) =>
        this.#one(from, f.op("i32.add", [to, f.op("i32.mul", [position, step])])),
      );
      f.add(to, outStep);
      f.add(at, indexStep);
      f.add(from, sourceStep);
    });
  }

  rows(): void {
    const args = this.#open("rows", 12);
    const [out, step, index, indexStep, source, sourceStep, count, size, width, outWidth, sourceWidth, flag] = args as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    const f = this.#f;
    const [at, row, i] = [f.variable(index), f.variable(source), f.variable(0)];
    const item = f.const("i32", this.#item);
    const dense = f.op("i32.and", [f.op("i32.eq", [outWidth, item]), f.op("i32.eq", [sourceWidth, item])]);
    const whole = f.op("i32.sub", [width, f.const("i32", 3)]);
    f.forLoop(i, count, 1, () => {
      this.#checked(at, size, flag, (position) => {
        const to = f.variable(f.op("i32.add", [out, f.op("i32.mul", [position, step])]));
        const [from, j] = [f.variable(row), f.variable(0)];
        f.if(dense, () =>
          f.forLoop(j, whole, 4, () => {
            this.#four(from, to);
            f.add(to, 4 * this.#item);
            f.add(from, 4 * this.#item);
          }),
        );
        f.forLoop(j, width, 1, () => {
          this.#one(from, to);
          f.add(to, outWidth);
          f.add(from, sourceWidth);
        });
      });
      f.add(at, indexStep);
      f.add(row, sourceStep);
    });
  }

  #four(from: Local, to: Local): void {
    const lanes = { shift: 0, left: null, mask: null };
    const value = this.#memory.load(this.#dtype, from, this.#item, lanes);
    const result =
      this.#mode === "set" ? value : this.#combine(this.#memory.load(this.#dtype, to, this.#item, lanes), value);
    this.#memory.store(this.#dtype, to, this.#item, result, lanes);
  }
}
