/**
 * Matrix multiplication as WebAssembly: A and B are copied into panels (6 rows of A, two vectors of columns of B, along k), whatever their
 * layout, and tiles of C are accumulated in twelve vector registers.
 */

import type { Features } from "./fused.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import { words } from "./lanes.ts";

/** Element types that have a kernel. */
export type GemmType = "float32" | "float64" | "int32";

/** Rows of a tile of C, and the vectors in each. */
export const TILE_ROWS = 6;
const TILE_VECTORS = 2;
/** Steps of k in one turn of the inner loop. */
const UNROLL = 4;

/** Columns of a tile of C. */
export function tileColumns(type: GemmType): number {
  return TILE_VECTORS * (type === "float64" ? 2 : 4);
}

/**
 * A module with
 * - `packRows` and `packColumns(source, across, along, count, k, target)`: panels of the rows of A or the columns of B; `across` and
 *   `along` are strides in bytes, a panel that is not full is filled up with zeros;
 * - `multiply(a, b, c, stride, m, n, k, accumulate, tile)`: C (its rows `stride` bytes apart) from packed panels, added to what is there
 *   if `accumulate`; `tile` is scratch for one tile.
 */
export function renderGemm(type: GemmType, features: Features): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(features.shared);
  new GemmWriter(module, type, features.relaxed).write();
  return module.bytes();
}

/** Adds the function `multiply` to a module. */
export function writeMultiply(module: ModuleBuilder, type: GemmType, features: Features): void {
  new GemmWriter(module, type, features.relaxed).multiply();
}

class GemmWriter {
  readonly #module: ModuleBuilder;
  readonly #type: GemmType;
  readonly #relaxed: boolean;
  readonly #item: number;
  #f!: FunctionBuilder;

  constructor(module: ModuleBuilder, type: GemmType, relaxed: boolean) {
    this.#module = module;
    this.#type = type;
    this.#relaxed = relaxed;
    this.#item = type === "float64" ? 8 : 4;
  }

  write(): void {
    this.#pack("packRows", TILE_ROWS);
    this.#pack("packColumns", tileColumns(this.#type));
    this.multiply();
  }

  #open(name: string, count: number): readonly Local[] {
    this.#f = this.#module.function(name, new Array<"i32">(count).fill("i32"));
    return this.#f.args;
  }

  #number(value: number): Local {
    return this.#f.const("i32", value);
  }

  // --- packing --------------------------------------------------------------------------------------------------

  #pack(name: string, width: number): void {
    const [source, across, along, count, k, target] = this.#open(name, 6) as [Local, Local, Local, Local, Local, Local];
    const f = this.#f;
    const done = this.#f.variable(0);
    const at = this.#f.variable(source);
    const item = this.#number(this.#item);
    const isDense = f.op("i32.eq", [across, item]);
    const isTransposed = f.op("i32.and", [f.op("i32.eq", [along, item]), f.const("i32", this.#item === 4 ? 1 : 0)]);
    f.forLoop(done, count, width, () => {
      const left = f.op("i32.sub", [count, done]);
      const full = f.op("i32.ge_s", [left, this.#number(width)]);
      f.if(
        f.op("i32.and", [full, isDense]),
        () => this.#packDense(at, along, k, target, width),
        () =>
          f.if(
            f.op("i32.and", [full, isTransposed]),
            () => this.#packTransposed(at, across, k, target, width),
            () => this.#packAny(at, across, along, left, k, target, width),
          ),
      );
      this.#f.add(at, f.op("i32.mul", [across, this.#number(width)]));
      this.#f.add(target, f.op("i32.mul", [k, this.#number(width * this.#item)]));
    });
  }

  /** Elements of a panel's row lie side by side. */
  #packDense(source: Local, along: Local, k: Local, target: Local, width: number): void {
    const f = this.#f;
    const [from, to, p] = [this.#f.variable(source), this.#f.variable(target), this.#f.variable(0)];
    const bytes = width * this.#item;
    f.forLoop(p, k, 1, () => {
      let at = 0;
      for (; at + 16 <= bytes; at += 16) f.effect("v128.store", [to, f.op("v128.load", [from], at)], at);
      if (at < bytes) {
        const rest = f.op("v128.load64_zero", [from], at);
        f.effect("v128.store64_lane", [to, rest], at, 0);
      }
      this.#f.add(from, along);
      this.#f.add(to, bytes);
    });
  }

  /** Elements along k lie side by side: four by four they are turned over in registers. */
  #packTransposed(source: Local, across: Local, k: Local, target: Local, width: number): void {
    const f = this.#f;
    const [from, to, p] = [this.#f.variable(source), this.#f.variable(target), this.#f.variable(0)];
    const whole = f.op("i32.sub", [k, this.#number(3)]);
    f.forLoop(p, whole, 4, () => {
      const rows: Local[] = [];
      let at = from;
      for (let w = 0; w < width; w++) {
        rows.push(f.op("v128.load", [at]));
        if (w + 1 < width) at = f.op("i32.add", [at, across]);
      }
      for (let w = 0; w < width; w += 4) this.#turn(rows.slice(w, w + 4), to, w * 4, width * 4);
      this.#f.add(from, 16);
      this.#f.add(to, 4 * width * 4);
    });
    f.forLoop(p, k, 1, () => {
      let at = from;
      for (let w = 0; w < width; w++) {
        f.effect("i32.store", [to, f.op("i32.load", [at])], w * 4);
        if (w + 1 < width) at = f.op("i32.add", [at, across]);
      }
      this.#f.add(from, 4);
      this.#f.add(to, width * 4);
    });
  }

  /** Stores four columns of two or four vectors. */
  #turn(rows: readonly Local[], to: Local, offset: number, step: number): void {
    const f = this.#f;
    const shuffle = (a: Local, b: Local, ...lanes: number[]): Local =>
      f.op("i8x16.shuffle", [a, b], ...words(...lanes));
    const low = shuffle(rows[0]!, rows[1]!, 0, 4, 1, 5);
    const high = shuffle(rows[0]!, rows[1]!, 2, 6, 3, 7);
    if (rows.length === 2) {
      [low, low, high, high].forEach((pair, i) => f.effect("v128.store64_lane", [to, pair], offset + i * step, i % 2));
      return;
    }
    const low2 = shuffle(rows[2]!, rows[3]!, 0, 4, 1, 5);
    const high2 = shuffle(rows[2]!, rows[3]!, 2, 6, 3, 7);
    const columns = [
      shuffle(low, low2, 0, 1, 4, 5),
      shuffle(low, low2, 2, 3, 6, 7),
      shuffle(high, high2, 0, 1, 4, 5),
      shuffle(high, high2, 2, 3, 6, 7),
    ];
    columns.forEach((column, i) => f.effect("v128.store", [to, column], offset + i * step));
  }

  /** Any strides, and panels that are not full. */
  #packAny(source: Local, across: Local, along: Local, left: Local, k: Local, target: Local, width: number): void {
    const f = this.#f;
    const [from, to, p] = [this.#f.variable(source), this.#f.variable(target), this.#f.variable(0)];
    f.forLoop(p, k, 1, () => {
      const at = this.#f.variable(from);
      const w = this.#f.variable(0);
      f.forLoop(w, this.#number(width), 1, () => {
        const inside = f.op("i32.lt_s", [w, left]);
        const move = (): void => {
          if (this.#item === 8) f.effect("f64.store", [to, f.op("f64.load", [at])]);
          else f.effect("i32.store", [to, f.op("i32.load", [at])]);
        };
        const clear = (): void => {
          if (this.#item === 8) f.effect("f64.store", [to, f.const("f64", 0)]);
          else f.effect("i32.store", [to, this.#number(0)]);
        };
        f.if(inside, move, clear);
        this.#f.add(at, across);
        this.#f.add(to, this.#item);
      });
      this.#f.add(from, along);
    });
  }

  // --- multiplication -------------------------------------------------------------------------------------------

  #fused(a: Local, b: Local, sum: Local): void {
    const f = this.#f;
    if (this.#type === "int32") f.assign(sum, "i32x4.add", [sum, f.op("i32x4.mul", [a, b])]);
    else {
      const shape = this.#type === "float32" ? "f32x4" : "f64x2";
      if (this.#relaxed) f.assign(sum, `${shape}.relaxed_madd`, [a, b, sum]);
      else f.assign(sum, `${shape}.add`, [sum, f.op(`${shape}.mul`, [a, b])]);
    }
  }

  #plus(a: Local, b: Local): Local {
    const shape = this.#type === "float32" ? "f32x4" : this.#type === "float64" ? "f64x2" : "i32x4";
    return this.#f.op(`${shape}.add`, [a, b]);
  }

  /** The function `multiply`. */
  multiply(): void {
    const [a, b, c, stride, m, n, k, accumulate, tile] = this.#open("multiply", 9) as Local[] as [
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
    const width = tileColumns(this.#type);
    const panelA = f.op("i32.mul", [k, this.#number(TILE_ROWS * this.#item)]);
    const panelB = f.op("i32.mul", [k, this.#number(width * this.#item)]);
    const rowsOfC = f.op("i32.mul", [stride, this.#number(TILE_ROWS)]);
    const sums = Array.from({ length: TILE_ROWS * TILE_VECTORS }, () => f.local("v128"));
    const right = this.#f.variable(b);
    const columns = this.#f.variable(c);
    const j = this.#f.variable(0);
    f.forLoop(j, n, width, () => {
      const left = this.#f.variable(a);
      const out = this.#f.variable(columns);
      const i = this.#f.variable(0);
      f.forLoop(i, m, TILE_ROWS, () => {
        this.#tile(left, right, k, sums);
        const isFull = f.op("i32.and", [
          f.op("i32.ge_s", [f.op("i32.sub", [m, i]), this.#number(TILE_ROWS)]),
          f.op("i32.ge_s", [f.op("i32.sub", [n, j]), this.#number(width)]),
        ]);
        f.if(
          isFull,
          () => this.#storeTile(out, stride, sums, accumulate),
          () => {
            this.#storeTile(tile, this.#number(width * this.#item), sums, null);
            this.#storeEdge(tile, out, stride, f.op("i32.sub", [m, i]), f.op("i32.sub", [n, j]), accumulate);
          },
        );
        this.#f.add(left, panelA);
        this.#f.add(out, rowsOfC);
      });
      this.#f.add(right, panelB);
      this.#f.add(columns, width * this.#item);
    });
  }

  /** Products of a panel of A with a panel of B. */
  #tile(left: Local, right: Local, k: Local, sums: readonly Local[]): void {
    const f = this.#f;
    const zero = f.vector("i32x4", 0);
    for (const sum of sums) f.copy(sum, zero);
    const [pa, pb, p] = [this.#f.variable(left), this.#f.variable(right), this.#f.variable(0)];
    const rowBytes = TILE_ROWS * this.#item;
    const columnBytes = TILE_VECTORS * 16;
    const splat = this.#item === 8 ? "v128.load64_splat" : "v128.load32_splat";
    const step = (u: number): void => {
      const bs = Array.from({ length: TILE_VECTORS }, (_, v) => f.op("v128.load", [pb], u * columnBytes + 16 * v));
      for (let r = 0; r < TILE_ROWS; r++) {
        const x = f.op(splat, [pa], u * rowBytes + r * this.#item);
        bs.forEach((y, v) => this.#fused(x, y, sums[r * TILE_VECTORS + v]!));
      }
    };
    for (const count of [UNROLL, 1])
      f.forLoop(p, f.op("i32.sub", [k, this.#number(count - 1)]), count, () => {
        for (let u = 0; u < count; u++) step(u);
        this.#f.add(pa, count * rowBytes);
        this.#f.add(pb, count * columnBytes);
      });
  }

  #storeTile(out: Local, stride: Local, sums: readonly Local[], accumulate: Local | null): void {
    const f = this.#f;
    const write = (adds: boolean): void => {
      let at = out;
      for (let r = 0; r < TILE_ROWS; r++) {
        for (let v = 0; v < TILE_VECTORS; v++) {
          const sum = sums[r * TILE_VECTORS + v]!;
          f.effect("v128.store", [at, adds ? this.#plus(f.op("v128.load", [at], 16 * v), sum) : sum], 16 * v);
        }
        if (r + 1 < TILE_ROWS) at = f.op("i32.add", [at, stride]);
      }
    };
    if (accumulate === null) write(false);
    else
      f.if(
        accumulate,
        () => write(true),
        () => write(false),
      );
  }

  /** Copies what of a tile lies within C. */
  #storeEdge(tile: Local, out: Local, stride: Local, rows: Local, columns: Local, accumulate: Local): void {
    const f = this.#f;
    const width = tileColumns(this.#type);
    const smaller = (x: Local, most: number): Local =>
      f.select(f.op("i32.lt_s", [x, this.#number(most)]), x, this.#number(most));
    const [height, breadth] = [smaller(rows, TILE_ROWS), smaller(columns, width)];
    const [from, to, r] = [this.#f.variable(tile), this.#f.variable(out), this.#f.variable(0)];
    const lane = this.#item === 8 ? "v128.store64_lane" : "v128.store32_lane";
    const load = this.#item === 8 ? "v128.load64_zero" : "v128.load32_zero";
    f.forLoop(r, height, 1, () => {
      const [x, y, w] = [this.#f.variable(from), this.#f.variable(to), this.#f.variable(0)];
      f.forLoop(w, breadth, 1, () => {
        const value = f.local("v128");
        f.assign(value, load, [x]);
        f.if(accumulate, () => f.copy(value, this.#plus(f.op(load, [y]), value)));
        f.effect(lane, [y, value], 0, 0);
        this.#f.add(x, this.#item);
        this.#f.add(y, this.#item);
      });
      this.#f.add(from, width * this.#item);
      this.#f.add(to, stride);
    });
  }
}
