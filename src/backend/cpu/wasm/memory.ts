/** Elements of every dtype to lanes and back: side by side, strided, or at computed positions; four, or fewer at an end. */

import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import { valueType } from "../../../graph/builder.ts";
import type { Local } from "./emitter.ts";
import type { LaneCode, Lanes } from "./lanes.ts";

/** Which four coordinates the lanes are. */
export interface LaneRange {
  /** Elements from where positions are to the first lane. */
  readonly shift: number;
  /** How many lanes count, 1 to 3, and their mask; null if all do. */
  readonly left: Local | null;
  readonly mask: Local | null;
}

const LOAD_LANE = {
  1: "v128.load8_lane",
  2: "v128.load16_lane",
  4: "v128.load32_lane",
  8: "v128.load64_lane",
} as const;
const STORE_LANE = {
  1: "v128.store8_lane",
  2: "v128.store16_lane",
  4: "v128.store32_lane",
  8: "v128.store64_lane",
} as const;
type ItemSize = keyof typeof LOAD_LANE;

/** Loads and stores of a function. Reads of fewer than four neighbouring elements may touch up to 31 bytes behind them. */
export class LaneMemory {
  readonly #c: LaneCode;

  constructor(c: LaneCode) {
    this.#c = c;
  }

  /** Raw 32-bit lanes (or two vectors of 64-bit ones) as a value. */
  #decode(dtype: DType, parts: readonly Local[]): Lanes {
    const c = this.#c;
    if (dtype === "bool") return c.one("b", c.i32("ne", parts[0]!, c.ki(0)));
    if (dtype === "float16") return c.one("f", c.fromHalf(parts[0]!));
    return { type: valueType(dtype), parts };
  }

  /** One element, in all lanes. */
  splat(dtype: DType, address: Local): Lanes {
    const { f } = this.#c;
    switch (ITEM_SIZE[dtype]) {
      case 8: {
        const part = f.op("v128.load64_splat", [address]);
        return this.#decode(dtype, [part, part]);
      }
      case 4:
        return this.#decode(dtype, [f.op("v128.load32_splat", [address])]);
      default: {
        const bits = f.op(ITEM_SIZE[dtype] === 2 ? "i32.load16_u" : "i32.load8_u", [address]);
        return this.#decode(dtype, [f.op("i32x4.splat", [bits])]);
      }
    }
  }

  /** Four elements `stride` bytes apart; a number is the item size. */
  load(dtype: DType, address: Local, stride: Local | number, lanes: LaneRange): Lanes {
    const { f } = this.#c;
    if (typeof stride !== "number") return this.#strided(dtype, address, stride, lanes);
    const at = lanes.shift * stride;
    switch (ITEM_SIZE[dtype]) {
      case 8:
        return this.#decode(dtype, [f.op("v128.load", [address], at), f.op("v128.load", [address], at + 16)]);
      case 4:
        return this.#decode(dtype, [f.op("v128.load", [address], at)]);
      case 2: {
        const halves = f.op("v128.load64_zero", [address], at);
        return this.#decode(dtype, [f.op("i32x4.extend_low_i16x8_u", [halves])]);
      }
      default:
        return this.#decode(dtype, [this.#widenBytes(f.op("v128.load32_zero", [address], at))]);
    }
  }

  #widenBytes(bytes: Local): Local {
    const { f } = this.#c;
    return f.op("i32x4.extend_low_i16x8_u", [f.op("i16x8.extend_low_i8x16_u", [bytes])]);
  }

  #strided(dtype: DType, address: Local, stride: Local, lanes: LaneRange): Lanes {
    const { f } = this.#c;
    const addresses: Local[] = [address];
    for (let lane = 1; lane < 4; lane++) {
      let step = stride;
      if (lanes.left !== null) {
        // Lanes behind the end read the last element again.
        const counts = f.op("i32.gt_s", [lanes.left, f.const("i32", lane)]);
        step = f.op("i32.mul", [stride, counts]);
      }
      addresses.push(f.op("i32.add", [addresses[lane - 1]!, step]));
    }
    return this.#fromAddresses(dtype, addresses);
  }

  /** Elements at computed positions from `base` on; lanes that do not count read the first element. */
  gather(dtype: DType, base: Local, index: Local, mask: Local | null): Lanes {
    const c = this.#c;
    const { f } = c;
    const safe = mask === null ? index : c.v("and", index, mask);
    const bytes = c.i32("add", c.i32("mul", safe, c.ki(ITEM_SIZE[dtype])), f.op("i32x4.splat", [base]));
    const addresses = [0, 1, 2, 3].map((lane) => f.op("i32x4.extract_lane", [bytes], lane));
    return this.#fromAddresses(dtype, addresses);
  }

  #fromAddresses(dtype: DType, addresses: readonly Local[]): Lanes {
    const { f } = this.#c;
    const size = ITEM_SIZE[dtype] as ItemSize;
    if (size === 8) {
      const pair = (a: Local, b: Local): Local => f.op("v128.load64_lane", [b, f.op("v128.load64_zero", [a])], 0, 1);
      return this.#decode(dtype, [pair(addresses[0]!, addresses[1]!), pair(addresses[2]!, addresses[3]!)]);
    }
    if (size === 4) {
      let part = f.op("v128.load32_zero", [addresses[0]!]);
      for (let lane = 1; lane < 4; lane++) part = f.op("v128.load32_lane", [addresses[lane]!, part], 0, lane);
      return this.#decode(dtype, [part]);
    }
    let part = f.vector("i32x4", 0);
    const step = 4 / size;
    for (let lane = 0; lane < 4; lane++) part = f.op(LOAD_LANE[size], [addresses[lane]!, part], 0, lane * step);
    return this.#decode(dtype, [part]);
  }

  /** Writes lanes to elements `stride` bytes apart: a number is the item size, or 0 for the first lane alone. */
  store(dtype: DType, address: Local, stride: Local | number, value: Lanes, lanes: LaneRange | null): void {
    const c = this.#c;
    const { f } = c;
    const size = ITEM_SIZE[dtype] as ItemSize;
    const parts = this.#encode(dtype, value);
    if (stride === 0) {
      f.effect(STORE_LANE[size], [address, parts[0]!], 0, 0);
      return;
    }
    const { left, shift } = lanes!;
    if (left === null && typeof stride === "number") {
      const at = shift * stride;
      if (size === 1) f.effect("v128.store32_lane", [address, this.#packBytes(parts[0]!)], at, 0);
      else if (size === 2) {
        const halves = f.op("i16x8.narrow_i32x4_u", [parts[0]!, parts[0]!]);
        f.effect("v128.store64_lane", [address, halves], at, 0);
      } else parts.forEach((part, i) => f.effect("v128.store", [address, part], at + 16 * i));
      return;
    }
    // Lane by lane: strided, or the last few.
    const lanesPerPart = size === 8 ? 2 : 4;
    const unit = size >= 4 ? 1 : 4 / size;
    let at = address;
    const write = (lane: number): void => {
      if (lane > 0) at = f.op("i32.add", [at, typeof stride === "number" ? f.const("i32", stride) : stride]);
      f.effect(STORE_LANE[size], [at, parts[Math.floor(lane / lanesPerPart)]!], 0, (lane % lanesPerPart) * unit);
    };
    const rest = (lane: number): void => {
      write(lane);
      if (lane === 3 || (left !== null && lane === 2)) return;
      if (left === null) rest(lane + 1);
      else f.if(f.op("i32.gt_s", [left, f.const("i32", lane + 1)]), () => rest(lane + 1));
    };
    rest(0);
  }

  #packBytes(words: Local): Local {
    const { f } = this.#c;
    const halves = f.op("i16x8.narrow_i32x4_u", [words, words]);
    return f.op("i8x16.narrow_i16x8_u", [halves, halves]);
  }

  /** A value as it lies in memory, widened to 32-bit lanes where it is narrower. */
  #encode(dtype: DType, value: Lanes): readonly Local[] {
    const c = this.#c;
    const part = value.parts[0]!;
    switch (dtype) {
      case "bool":
        return [c.v("and", value.type === "b" ? part : c.cast(value, "b").parts[0]!, c.ki(1))];
      case "uint8":
        return [c.v("and", part, c.ki(255))];
      case "float16":
        return [c.toHalf(part)];
      default:
        return value.parts;
    }
  }
}
