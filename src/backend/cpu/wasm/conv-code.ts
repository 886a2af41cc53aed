/**
 * The code of convolutions as WebAssembly. A convolution is a matrix product whose operands are never written out: the element of an operand in
 * row (or column) i and at term p of the sums lies at `across[i] + along[p]`, two tables of byte offsets.
 */

import type { FunctionBuilder, Local } from "./emitter.ts";
import { ModuleBuilder } from "./emitter.ts";
import type { Features } from "./fused.ts";
import { TILE_ROWS, tileColumns, writeMultiply } from "./gemm.ts";

/** Element types that have a kernel. */
export type ConvType = "float32" | "float64";

/**
 * A module with
 * - `gatherRows` and `gatherColumns(source, across, along, count, k, target)`: panels as `multiply` takes them. The table `across` goes on to the
 *   end of the last panel;
 * - `multiply` of gemm.ts;
 * - `copyBox(source, s0, s1, s2, n0, n1, n2, target, t0, t1)`: a box of elements to where its innermost dimension is dense;
 * - `direct(source, across, along, weight, alongWeight, columns, k, out)`: one row of sums, dense, up to the end of its last panel;
 * - `finish(parts, count, step, width, rows, columns, out, stride, to)`: adds up `count` arrays of rows of `width` bytes that are `step` bytes
 *   apart, and writes their rows at `out`, `stride` bytes apart, columns at the offsets in the table `to`.
 */
export function renderConvolution(type: ConvType, features: Features): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(features.shared);
  const writer = new ConvWriter(module, type, features.relaxed);
  writer.gather("gatherRows", TILE_ROWS);
  writer.gather("gatherColumns", tileColumns(type));
  writeMultiply(module, type, features);
  writer.copyBox();
  writer.direct();
  writer.finish();
  return module.bytes();
}

class ConvWriter {
  readonly #module: ModuleBuilder;
  readonly #relaxed: boolean;
  readonly #shape: "f32x4" | "f64x2";
  readonly #item: 4 | 8;
  readonly #lanes: number;
  readonly #columns: number;
  #f!: FunctionBuilder;

  constructor(module: ModuleBuilder, type: ConvType, relaxed: boolean) {
    this.#module = module;
    this.#relaxed = relaxed;
    this.#shape = type === "float32" ? "f32x4" : "f64x2";
    this.#item = type === "float32" ? 4 : 8;
    this.#lanes = 16 / this.#item;
    this.#columns = tileColumns(type);
  }

  #open(name: string, count: number): readonly Local[] {
    this.#f = this.#module.function(name, new Array<"i32">(count).fill("i32"));
    return this.#f.args;
  }

  #number(value: number): Local {
    return this.#f.const("i32", value);
  }

  #sum(a: Local, b: Local): Local {
    return this.#f.op("i32.add", [a, b]);
  }

  #bits(lanes: number): "64" | "32" {
    return lanes * this.#item === 8 ? "64" : "32";
  }

  // --- operands that are given by tables ------------------------------------------------------------------------

  /** Byte offsets of the elements of a panel, read from the table. */
  #offsets(table: Local, count: number): Local[] {
    return Array.from({ length: count }, (_, i) => this.#f.op("i32.load", [table], 4 * i));
  }

  /** 1 if elements at these offsets lie side by side. */
  #isDense(offsets: readonly Local[]): Local {
    const f = this.#f;
    let all: Local | null = null;
    offsets.slice(1).forEach((offset, i) => {
      const next = f.op("i32.eq", [f.op("i32.sub", [offset, offsets[0]!]), this.#number((i + 1) * this.#item)]);
      all = all === null ? next : f.op("i32.and", [all, next]);
    });
    return all ?? this.#number(1);
  }

  /** The lanes of a vector (or its lower half) from elements at different offsets. */
  #collect(base: Local, offsets: readonly Local[]): Local {
    const f = this.#f;
    const bits = this.#bits(1);
    let vector = f.op(`v128.load${bits}_zero`, [this.#sum(base, offsets[0]!)]);
    offsets.slice(1).forEach((offset, i) => {
      vector = f.op(`v128.load${bits}_lane`, [this.#sum(base, offset), vector], 0, i + 1);
    });
    return vector;
  }

  /** A whole vector (or its lower half) that lies side by side. */
  #dense(base: Local, offset: Local, lanes: number): Local {
    const at = this.#sum(base, offset);
    return this.#f.op(lanes === this.#lanes ? "v128.load" : "v128.load64_zero", [at]);
  }

  /** Splits the positions of a panel into vectors, the last one maybe half. */
  #vectors<T>(list: readonly T[]): T[][] {
    const result: T[][] = [];
    for (let i = 0; i < list.length; i += this.#lanes) result.push(list.slice(i, i + this.#lanes));
    return result;
  }

  gather(name: string, width: number): void {
    const [source, across, along, count, k, target] = this.#open(name, 6) as [Local, Local, Local, Local, Local, Local];
    const f = this.#f;
    const [table, to, done] = [f.variable(across), f.variable(target), f.variable(0)];
    f.forLoop(done, count, width, () => {
      const groups = this.#vectors(this.#offsets(table, width));
      const dense = groups.map((group) => this.#isDense(group));
      const terms = (load: (base: Local, group: readonly Local[], i: number) => Local): void => {
        const [term, p] = [f.variable(along), f.variable(0)];
        f.forLoop(p, k, 1, () => {
          const base = this.#sum(source, f.op("i32.load", [term]));
          groups.forEach((group, i) => {
            const value = load(base, group, i);
            if (group.length === this.#lanes) f.effect("v128.store", [to, value], 16 * i);
            else f.effect("v128.store64_lane", [to, value], 16 * i, 0);
          });
          f.add(term, 4);
          f.add(to, width * this.#item);
        });
      };
      const allDense = dense.reduce((a, b) => f.op("i32.and", [a, b]));
      const anyDense = dense.reduce((a, b) => f.op("i32.or", [a, b]));
      f.if(
        allDense,
        () => terms((base, group) => this.#dense(base, group[0]!, group.length)),
        () =>
          f.if(
            anyDense,
            () =>
              terms((base, group, i) => {
                const value = f.local("v128");
                f.if(
                  dense[i]!,
                  () => f.copy(value, this.#dense(base, group[0]!, group.length)),
                  () => f.copy(value, this.#collect(base, group)),
                );
                return value;
              }),
            () => terms((base, group) => this.#collect(base, group)),
          ),
      );
      f.add(table, 4 * width);
    });
  }

  // --- other functions ------------------------------------------------------------------------------------------

  copyBox(): void {
    const [source, s0, s1, s2, n0, n1, n2, target, t0, t1] = this.#open("copyBox", 10) as Local[] as [
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
    const dense = f.op("i32.eq", [s2, this.#number(this.#item)]);
    const [from0, to0, i0] = [f.variable(source), f.variable(target), f.variable(0)];
    f.forLoop(i0, n0, 1, () => {
      const [from1, to1, i1] = [f.variable(from0), f.variable(to0), f.variable(0)];
      f.forLoop(i1, n1, 1, () => {
        const [from, to, i] = [f.variable(from1), f.variable(to1), f.variable(0)];
        f.if(dense, () => {
          f.forLoop(i, f.op("i32.sub", [n2, this.#number(this.#lanes - 1)]), this.#lanes, () => {
            f.effect("v128.store", [to, f.op("v128.load", [from])]);
            f.add(from, 16);
            f.add(to, 16);
          });
        });
        f.forLoop(i, n2, 1, () => {
          const value = f.op(`v128.load${this.#bits(1)}_zero`, [from]);
          f.effect(`v128.store${this.#bits(1)}_lane`, [to, value], 0, 0);
          f.add(from, s2);
          f.add(to, this.#item);
        });
        f.add(from1, s1);
        f.add(to1, t1);
      });
      f.add(from0, s0);
      f.add(to0, t0);
    });
  }

  direct(): void {
    const [source, across, along, weight, alongWeight, columns, k, out] = this.#open("direct", 8) as Local[] as [
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
    const [table, to, done] = [f.variable(across), f.variable(out), f.variable(0)];
    const splat = this.#item === 8 ? "v128.load64_splat" : "v128.load32_splat";
    const zero = f.vector("i32x4", 0);
    f.forLoop(done, columns, this.#columns, () => {
      const groups = this.#vectors(this.#offsets(table, this.#columns));
      const sums = groups.map(() => f.local("v128"));
      for (const sum of sums) f.copy(sum, zero);
      const terms = (load: (base: Local, group: readonly Local[]) => Local): void => {
        const [x, w, p] = [f.variable(along), f.variable(alongWeight), f.variable(0)];
        f.forLoop(p, k, 1, () => {
          const base = this.#sum(source, f.op("i32.load", [x]));
          const factor = f.op(splat, [this.#sum(weight, f.op("i32.load", [w]))]);
          groups.forEach((group, i) => {
            const [value, sum] = [load(base, group), sums[i]!];
            if (this.#relaxed) f.assign(sum, `${this.#shape}.relaxed_madd`, [factor, value, sum]);
            else f.assign(sum, `${this.#shape}.add`, [sum, f.op(`${this.#shape}.mul`, [factor, value])]);
          });
          f.add(x, 4);
          f.add(w, 4);
        });
      };
      const dense = groups.map((group) => this.#isDense(group)).reduce((a, b) => f.op("i32.and", [a, b]));
      f.if(
        dense,
        () => terms((base, group) => this.#dense(base, group[0]!, group.length)),
        () => terms((base, group) => this.#collect(base, group)),
      );
      sums.forEach((sum, i) => f.effect("v128.store", [to, sum], 16 * i));
      f.add(table, 4 * this.#columns);
      f.add(to, this.#columns * this.#item);
    });
  }

  finish(): void {
    const [parts, count, step, width, rows, columns, out, stride, to] = this.#open("finish", 9) as Local[] as [
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
    const [row, target, r] = [f.variable(parts), f.variable(out), f.variable(0)];
    f.forLoop(r, rows, 1, () => {
      const [from, table, c] = [f.variable(row), f.variable(to), f.variable(0)];
      f.forLoop(c, columns, this.#lanes, () => {
        const sum = f.local("v128");
        f.copy(sum, f.vector("i32x4", 0));
        const [at, i] = [f.variable(from), f.variable(0)];
        f.if(count, () => {
          f.assign(sum, "v128.load", [at]);
          f.setConst(i, 1);
        });
        f.forLoop(i, count, 1, () => {
          f.add(at, step);
          f.assign(sum, `${this.#shape}.add`, [sum, f.op("v128.load", [at])]);
        });
        const left = f.op("i32.sub", [columns, c]);
        for (let lane = 0; lane < this.#lanes; lane++) {
          const write = (): void => {
            const place = this.#sum(target, f.op("i32.load", [table], 4 * lane));
            f.effect(`v128.store${this.#bits(1)}_lane`, [place, sum], 0, lane);
          };
          if (lane === 0) write();
          else f.if(f.op("i32.gt_s", [left, this.#number(lane)]), write);
        }
        f.add(from, 16);
        f.add(table, 4 * this.#lanes);
      });
      f.add(row, width);
      f.add(target, stride);
    });
  }
}
