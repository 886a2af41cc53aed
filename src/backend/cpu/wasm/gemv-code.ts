/** The code of products of float32 vectors and matrices as WebAssembly: the matrix is read once, in the order in which it lies in memory. */

import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import type { Features } from "./fused.ts";
import { LaneCode } from "./lanes.ts";

/** Terms that are added in float32 before their sum joins the others. */
const BLOCK_TERMS = 256;
const BLOCK_DOT = 2048;
/** Rows of the matrix that are read side by side. */
const ROWS_ACROSS = 8;
const ROWS_ALONG = 4;
/** Accumulators of a row. */
const SUMS = 2;

/**
 * A module with, all strides in bytes,
 * - `across(x, step, matrix, row, terms, columns, out, scratch)`: out[j] = sum of x[i] matrix[i, j], rows of the matrix dense; `scratch` is memory for
 *   a row of the result, up to a multiple of four elements;
 * - `along(x, matrix, row, terms, rows, out)`: out[i] = sum of matrix[i, j] x[j], rows of the matrix and x dense.
 */
export function renderGemv(features: Features): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(features.shared);
  const writer = new GemvWriter(module, features.relaxed);
  writer.across();
  writer.along();
  return module.bytes();
}

class GemvWriter {
  readonly #module: ModuleBuilder;
  readonly #relaxed: boolean;
  #f!: FunctionBuilder;
  #c!: LaneCode;

  constructor(module: ModuleBuilder, relaxed: boolean) {
    this.#module = module;
    this.#relaxed = relaxed;
  }

  #open(name: string, count: number): readonly Local[] {
    this.#f = this.#module.function(name, new Array<"i32">(count).fill("i32"));
    this.#c = new LaneCode(this.#module, this.#f, this.#relaxed);
    return this.#f.args;
  }

  #number(value: number): Local {
    return this.#f.const("i32", value);
  }

  // --- across ---------------------------------------------------------------------------------------------------

  across(): void {
    const args = this.#open("across", 8);
    const [x, step, matrix, row, terms, columns, out, scratch] = args as [
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
    const [factor, from, i] = [f.variable(x), f.variable(matrix), f.variable(0)];
    const block = f.local("i32");
    f.forLoop(block, terms, BLOCK_TERMS, () => {
      this.#clear(scratch, columns);
      const rest = f.op("i32.sub", [terms, block]);
      const end = f.op("i32.add", [block, this.#smaller(rest, BLOCK_TERMS)]);
      f.copy(i, block);
      const whole = f.op("i32.sub", [end, this.#number(ROWS_ACROSS - 1)]);
      for (const count of [ROWS_ACROSS, 1])
        f.forLoop(i, count === 1 ? end : whole, count, () =>
          this.#addRows(count, factor, step, from, row, columns, scratch),
        );
      this.#join(scratch, columns, out, block);
    });
  }

  #smaller(a: Local, b: number): Local {
    const limit = this.#number(b);
    return this.#f.select(this.#f.op("i32.lt_s", [a, limit]), a, limit);
  }

  #clear(scratch: Local, columns: Local): void {
    const f = this.#f;
    const [at, j] = [f.variable(scratch), f.variable(0)];
    f.forLoop(j, columns, 4, () => {
      f.effect("v128.store", [at, this.#c.k(0)]);
      f.add(at, 16);
    });
  }

  /** scratch += factors times rows, which are walked side by side. */
  #addRows(count: number, factor: Local, step: Local, from: Local, row: Local, columns: Local, scratch: Local): void {
    const f = this.#f;
    const factors: Local[] = [];
    const rows: Local[] = [];
    for (let r = 0; r < count; r++) {
      factors.push(f.op("v128.load32_splat", [factor]));
      rows.push(f.variable(from));
      f.add(factor, step);
      f.add(from, row);
    }
    const [at, j] = [f.variable(scratch), f.variable(0)];
    f.forLoop(j, columns, 4, () => {
      let sum = f.op("v128.load", [at]);
      for (let r = 0; r < count; r++) {
        sum = this.#c.madd(f.op("v128.load", [rows[r]!]), factors[r]!, sum);
        f.add(rows[r]!, 16);
      }
      f.effect("v128.store", [at, sum]);
      f.add(at, 16);
    });
  }

  /** out = scratch, or out += scratch behind the first block. */
  #join(scratch: Local, columns: Local, out: Local, block: Local): void {
    const f = this.#f;
    const [at, to, j] = [f.variable(scratch), f.variable(out), f.variable(0)];
    f.forLoop(j, columns, 1, () => {
      const value = f.local("f32");
      f.assign(value, "f32.load", [at]);
      f.if(block, () => f.assign(value, "f32.add", [value, f.op("f32.load", [to])]));
      f.effect("f32.store", [to, value]);
      f.add(at, 4);
      f.add(to, 4);
    });
  }

  // --- along ----------------------------------------------------------------------------------------------------

  along(): void {
    const [x, matrix, row, terms, rows, out] = this.#open("along", 6) as [Local, Local, Local, Local, Local, Local];
    const f = this.#f;
    const [from, to, i] = [f.variable(matrix), f.variable(out), f.variable(0)];
    const whole = f.op("i32.sub", [rows, this.#number(ROWS_ALONG - 1)]);
    for (const count of [ROWS_ALONG, 1])
      f.forLoop(i, count === 1 ? rows : whole, count, () => {
        const starts: Local[] = [];
        for (let r = 0; r < count; r++) {
          starts.push(f.variable(from));
          f.add(from, row);
        }
        this.#dots(x, starts, terms).forEach((sum, r) => {
          f.effect("f32.store", [to, f.op("f32.demote_f64", [sum])], 4 * r);
        });
        f.add(to, 4 * count);
      });
  }

  /** Sums of products of x with several rows, in float64. */
  #dots(x: Local, rows: readonly Local[], terms: Local): Local[] {
    const f = this.#f;
    const c = this.#c;
    const totals = rows.map(() => f.const("f64", 0));
    const sums = rows.map(() => Array.from({ length: SUMS }, () => f.local("v128")));
    const [factor, j, block] = [f.variable(x), f.variable(0), f.variable(0)];
    f.forLoop(block, terms, BLOCK_DOT, () => {
      for (const sum of sums.flat()) f.copy(sum, c.k(0));
      const end = f.op("i32.add", [block, this.#smaller(f.op("i32.sub", [terms, block]), BLOCK_DOT)]);
      const whole = f.op("i32.sub", [end, this.#number(4 * SUMS - 1)]);
      f.copy(j, block);
      f.forLoop(j, whole, 4 * SUMS, () => {
        const factors = Array.from({ length: SUMS }, (_, s) => f.op("v128.load", [factor], 16 * s));
        rows.forEach((row, r) => {
          factors.forEach((value, s) =>
            f.copy(sums[r]![s]!, c.madd(f.op("v128.load", [row], 16 * s), value, sums[r]![s]!)),
          );
          f.add(row, 16 * SUMS);
        });
        f.add(factor, 16 * SUMS);
      });
      f.forLoop(j, end, 1, () => {
        const value = f.op("v128.load32_zero", [factor]);
        rows.forEach((row, r) => {
          f.copy(sums[r]![0]!, c.madd(f.op("v128.load32_zero", [row]), value, sums[r]![0]!));
          f.add(row, 4);
        });
        f.add(factor, 4);
      });
      totals.forEach((total, r) => f.assign(total, "f64.add", [total, this.#lanesOf(sums[r]!)]));
    });
    return totals;
  }

  /** All lanes added up in float64. */
  #lanesOf(sums: readonly Local[]): Local {
    const c = this.#c;
    const parts = sums.flatMap((sum) => c.widen(sum));
    const pair = parts.reduce((a, b) => c.f64("add", a, b));
    const lane = (l: number): Local => this.#f.op("f64x2.extract_lane", [pair], l);
    return this.#f.op("f64.add", [lane(0), lane(1)]);
  }
}
