/**
 * The code of sorting as WebAssembly. A row is turned into records of a key (32 or 64 bits, whose order as an unsigned number is the elements') and
 * a position; records are sorted by their bytes, or by insertion where they are few.
 */

import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import { valueType } from "../../../graph/builder.ts";
import { ModuleBuilder, type FunctionBuilder, type Local } from "./emitter.ts";
import type { Features } from "./fused.ts";
import { LaneCode, type Lanes } from "./lanes.ts";
import { LaneMemory } from "./memory.ts";

/** Up to this many records are sorted by insertion. */
const FEW = 40;
const BINS = 256;
const SIGN = -0x80000000;
/** Groups of four elements that are compared at once where elements are neighbours. */
const GROUPS = 4;
/** How many more records there must be room for behind a limit. */
export const RECORD_SLACK = 4 * GROUPS + 4;

/** Bytes of a record: a position, then (at its end) the key. */
export function recordBytes(dtype: DType): 8 | 16 {
  return dtype === "float64" ? 16 : 8;
}

/** Bytes of the counters that `order` needs. */
export function counterBytes(dtype: DType): number {
  return recordBytes(dtype) * 2 * BINS;
}

/**
 * A module for rows of a dtype, of which `source` is the first byte and `step` the bytes from one element to the next; `flip` is -1 for descending
 * order, else 0:
 * - `load(source, step, count, flip, records)`: a record of each element, and up to three behind them that mean nothing;
 * - `order(records, other, count, counters) -> address`: sorts records, keeping the order of equal ones; where they are then: `records` or `other`;
 * - `pick(source, step, start, count, flip, than, records, limit, end) -> position`: appends records of the elements from number `start` on that
 *   come before the record `than`, until `limit` is passed or the row ends; writes the address behind the last one to `end`;
 * - `place(records, count, out)`: the positions of records.
 */
export function renderSort(dtype: DType, features: Features): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder(features.shared);
  const writer = new SortWriter(module, dtype, features.relaxed);
  writer.load();
  writer.order();
  writer.pick();
  writer.place();
  return module.bytes();
}

/** Four keys: one vector of 32-bit numbers, or two of 64-bit ones. */
type Keys = readonly Local[];

class SortWriter {
  readonly #module: ModuleBuilder;
  readonly #dtype: DType;
  readonly #relaxed: boolean;
  readonly #item: number;
  readonly #record: 8 | 16;
  readonly #wide: boolean;
  #f!: FunctionBuilder;
  #c!: LaneCode;
  #memory!: LaneMemory;

  constructor(module: ModuleBuilder, dtype: DType, relaxed: boolean) {
    this.#module = module;
    this.#dtype = dtype;
    this.#relaxed = relaxed;
    this.#item = ITEM_SIZE[dtype];
    this.#record = recordBytes(dtype);
    this.#wide = dtype === "float64";
  }

  #open(name: string, count: number, result: "i32" | null = null): readonly Local[] {
    this.#f = this.#module.function(name, new Array<"i32">(count).fill("i32"), result);
    this.#c = new LaneCode(this.#module, this.#f, this.#relaxed);
    this.#memory = new LaneMemory(this.#c);
    return this.#f.args;
  }

  #number(value: number): Local {
    return this.#f.const("i32", value);
  }

  // --- keys -----------------------------------------------------------------------------------------------------

  /** Keys whose order as signed numbers is the elements'; NaN is the largest, and -0 is 0. */
  #keys(x: Lanes, flip: Local): Keys {
    const c = this.#c;
    if (x.type === "d") {
      return x.parts.map((part) => {
        const b = c.f64("add", part, c.kd(0));
        const sign = this.#f.op("i64x2.shr_s", [b, this.#number(63)]);
        const key = c.v("xor", b, c.shiftLong("shr_u", sign, 1));
        const nan = c.f64("ne", b, b);
        return c.v("xor", c.pick(nan, c.shiftLong("shr_u", nan, 1), key), flip);
      });
    }
    if (valueType(this.#dtype) !== "f") return [c.v("xor", c.cast(x, "i").parts[0]!, flip)];
    const b = c.f32("add", x.parts[0]!, c.k(0));
    const key = c.v("xor", b, c.shift("shr_u", c.shift("shr_s", b, 31), 1));
    return [c.v("xor", c.pick(c.f32("ne", b, b), c.ki(0x7fffffff), key), flip)];
  }

  /** Vector with the sign bit of every key set: keys as signed numbers and as unsigned ones differ by it. */
  #signs(): Local {
    return this.#wide ? this.#f.vector("i32x4", 0, SIGN, 0, SIGN) : this.#f.vector("i32x4", SIGN);
  }

  /**
   * Calls `body` for whole groups of four elements from number `start` on, as long as `goesOn` (if given) is not zero, then for what is left. `i`
   * is the number of a group's first element.
   */
  #walk(
    source: Local,
    step: Local,
    i: Local,
    count: Local,
    flip: Local,
    groups: number,
    goesOn: (() => Local) | null,
    body: (keys: readonly Keys[], left: Local | null) => void,
  ): void {
    const f = this.#f;
    const at = f.variable(f.op("i32.add", [source, f.op("i32.mul", [i, step])]));
    const dense = f.op("i32.eq", [step, this.#number(this.#item)]);
    const read = (stride: Local | number, group: number, left: Local | null): Keys =>
      this.#keys(this.#memory.load(this.#dtype, at, stride, { shift: 4 * group, left, mask: null }), flip);
    const loop = (stride: Local | number, size: number): void => {
      const last = f.op("i32.sub", [count, this.#number(4 * size)]);
      f.block((out) => {
        f.loop((again) => {
          f.branch(out, f.op("i32.gt_s", [i, last]));
          if (goesOn !== null) f.branch(out, f.op("i32.eqz", [goesOn()]));
          body(
            Array.from({ length: size }, (_, g) => read(stride, g, null)),
            null,
          );
          f.add(i, 4 * size);
          f.add(at, f.op("i32.mul", [step, this.#number(4 * size)]));
          f.branch(again);
        });
      });
    };
    f.if(
      dense,
      () => {
        if (groups > 1) loop(this.#item, groups);
        loop(this.#item, 1);
      },
      () => loop(step, 1),
    );
    const left = f.op("i32.sub", [count, i]);
    const few = f.op("i32.lt_s", [left, this.#number(4)]);
    f.if(f.op("i32.and", [few, f.op("i32.gt_s", [left, this.#number(0)])]), () => {
      body([read(step, 0, left)], left);
      f.copy(i, count);
    });
  }

  load(): void {
    const [source, step, count, flip, records] = this.#open("load", 5) as [Local, Local, Local, Local, Local];
    const f = this.#f;
    const i = f.variable(0);
    const to = f.variable(records);
    const index = f.local("v128");
    f.copy(index, f.vector("i32x4", 0, 1, 2, 3));
    this.#walk(source, step, i, count, f.op("i32x4.splat", [flip]), 1, null, ([keys]) => {
      this.#records(keys!, index).forEach((pair, p) => f.effect("v128.store", [to, pair], 16 * p));
      f.assign(index, "i32x4.add", [index, f.vector("i32x4", 4)]);
      f.add(to, 4 * this.#record);
    });
  }

  /** Four records as they lie in memory. */
  #records(keys: Keys, index: Local): Local[] {
    const c = this.#c;
    const unsigned = keys.map((k) => c.v("xor", k, this.#signs()));
    if (!this.#wide) {
      const [k] = unsigned as [Local];
      return [c.shuffle(index, k, 0, 4, 1, 5), c.shuffle(index, k, 2, 6, 3, 7)];
    }
    const [low, high] = unsigned as [Local, Local];
    return [
      c.shuffle(index, low, 0, 0, 4, 5),
      c.shuffle(index, low, 1, 1, 6, 7),
      c.shuffle(index, high, 2, 2, 4, 5),
      c.shuffle(index, high, 3, 3, 6, 7),
    ];
  }

  pick(): void {
    const args = this.#open("pick", 9, "i32");
    const [source, step, start, count, flip, than, records, limit, end] = args as [
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
    const c = this.#c;
    const to = f.variable(records);
    const bound = c.v(
      "xor",
      f.op(this.#wide ? "v128.load64_splat" : "v128.load32_splat", [than], this.#wide ? 8 : 4),
      this.#signs(),
    );
    const i = f.variable(start);
    const goesOn = (): Local => f.op("i32.lt_u", [to, limit]);
    this.#walk(source, step, i, count, f.op("i32x4.splat", [flip]), GROUPS, goesOn, (groups, left) => {
      const before = groups.map((keys) => keys.map((k) => f.op(this.#wide ? "i64x2.lt_s" : "i32x4.lt_s", [k, bound])));
      const any = before.flat().reduce((a, b) => c.v("or", a, b));
      f.if(f.op("v128.any_true", [any]), () => {
        groups.forEach((keys, g) => {
          keys.forEach((k, p) => {
            const bits = f.op(this.#wide ? "i64x2.bitmask" : "i32x4.bitmask", [before[g]![p]!]);
            const key = c.v("xor", k, this.#signs());
            const lanes = this.#wide ? 2 : 4;
            for (let lane = 0; lane < lanes; lane++)
              this.#append(to, i, 4 * g + p * lanes + lane, key, lane, bits, left);
          });
        });
      });
    });
    f.effect("i32.store", [end, to]);
    f.return(i);
  }

  /** Writes a record, and goes on to the next if it is one that is wanted. */
  #append(to: Local, i: Local, shift: number, key: Local, lane: number, bits: Local, left: Local | null): void {
    const f = this.#f;
    f.effect("i32.store", [to, shift === 0 ? i : f.op("i32.add", [i, this.#number(shift)])]);
    f.effect(this.#wide ? "v128.store64_lane" : "v128.store32_lane", [to, key], this.#wide ? 8 : 4, lane);
    let wanted = f.op("i32.and", [f.op("i32.shr_u", [bits, this.#number(lane)]), this.#number(1)]);
    if (left !== null) wanted = f.op("i32.and", [wanted, f.op("i32.gt_s", [left, this.#number(shift)])]);
    f.add(to, f.op("i32.mul", [wanted, this.#number(this.#record)]));
  }

  place(): void {
    const [records, count, out] = this.#open("place", 3) as [Local, Local, Local];
    const f = this.#f;
    const [from, to, i] = [f.variable(records), f.variable(out), f.variable(0)];
    f.forLoop(i, count, 1, () => {
      f.effect("i32.store", [to, f.op("i32.load", [from])]);
      f.add(from, this.#record);
      f.add(to, 4);
    });
  }

  // --- order ----------------------------------------------------------------------------------------------------

  order(): void {
    const [records, other, count, counters] = this.#open("order", 4, "i32") as [Local, Local, Local, Local];
    const f = this.#f;
    f.if(f.op("i32.le_s", [count, this.#number(FEW)]), () => {
      this.#insertion(records, count);
      f.return(records);
    });
    const passes = this.#record / 2;
    this.#count(records, count, counters, passes);
    const [from, to] = [f.variable(records), f.variable(other)];
    for (let pass = 0; pass < passes; pass++) {
      const table = f.op("i32.add", [counters, this.#number(4 * BINS * pass)]);
      const first = f.op("i32.load", [this.#slot(table, from, pass)]);
      f.if(f.op("i32.ne", [first, count]), () => {
        this.#starts(table, to);
        this.#scatter(table, from, count, pass);
        const swap = f.variable(from);
        f.copy(from, to);
        f.copy(to, swap);
      });
    }
    f.return(from);
  }

  /** Address in a table of counters of the record's digit. */
  #slot(table: Local, record: Local, pass: number): Local {
    const f = this.#f;
    const digit = f.op("i32.load8_u", [record], this.#record / 2 + pass);
    return f.op("i32.add", [table, f.op("i32.shl", [digit, this.#number(2)])]);
  }

  #count(records: Local, count: Local, counters: Local, passes: number): void {
    const f = this.#f;
    const [at, i] = [f.variable(counters), f.variable(0)];
    f.forLoop(i, this.#number(passes * BINS), 16, () => {
      for (let v = 0; v < 4; v++) f.effect("v128.store", [at, f.vector("i32x4", 0)], 16 * v);
      f.add(at, 64);
    });
    const from = f.variable(records);
    f.setConst(i, 0);
    f.forLoop(i, count, 1, () => {
      for (let pass = 0; pass < passes; pass++) {
        const slot = this.#slot(counters, from, pass);
        const offset = 4 * BINS * pass;
        f.effect("i32.store", [slot, f.op("i32.add", [f.op("i32.load", [slot], offset), this.#number(1)])], offset);
      }
      f.add(from, this.#record);
    });
  }

  /** Turns counters into the addresses where the records of each digit begin. */
  #starts(table: Local, target: Local): void {
    const f = this.#f;
    const [at, sum, i] = [f.variable(table), f.variable(target), f.variable(0)];
    f.forLoop(i, this.#number(BINS), 1, () => {
      const count = f.op("i32.load", [at]);
      f.effect("i32.store", [at, sum]);
      f.add(sum, f.op("i32.mul", [count, this.#number(this.#record)]));
      f.add(at, 4);
    });
  }

  #scatter(table: Local, records: Local, count: Local, pass: number): void {
    const f = this.#f;
    const [from, i] = [f.variable(records), f.variable(0)];
    f.forLoop(i, count, 1, () => {
      const slot = this.#slot(table, from, pass);
      const to = f.op("i32.load", [slot]);
      if (this.#wide) f.effect("v128.store", [to, f.op("v128.load", [from])]);
      else f.effect("i64.store", [to, f.op("i64.load", [from])]);
      f.effect("i32.store", [slot, f.op("i32.add", [to, this.#number(this.#record)])]);
      f.add(from, this.#record);
    });
  }

  #insertion(records: Local, count: Local): void {
    const f = this.#f;
    const keyAt = this.#wide ? 8 : 0;
    const [at, i] = [f.variable(f.op("i32.add", [records, this.#number(this.#record)])), f.variable(1)];
    f.forLoop(i, count, 1, () => {
      // A record of 8 bytes is compared as a whole: positions grow.
      const key = f.op("i64.load", [at], keyAt);
      const record = this.#wide ? f.op("v128.load", [at]) : key;
      const to = f.variable(at);
      f.block((out) => {
        f.loop((again) => {
          f.branch(out, f.op("i32.eq", [to, records]));
          const before = f.op("i32.sub", [to, this.#number(this.#record)]);
          f.branch(out, f.op("i32.eqz", [f.op("i64.gt_u", [f.op("i64.load", [before], keyAt), key])]));
          if (this.#wide) f.effect("v128.store", [to, f.op("v128.load", [before])]);
          else f.effect("i64.store", [to, f.op("i64.load", [before])]);
          f.copy(to, before);
          f.branch(again);
        });
      });
      f.effect(this.#wide ? "v128.store" : "i64.store", [to, record]);
      f.add(at, this.#record);
    });
  }
}
