/** Vectors of four lanes: one v128 of float32, int32, uint32 or masks (bool), two of float64. Conversions, selection, constants. */

import type { ValueType } from "../../../graph/kernel.ts";
import type { FunctionBuilder, FunctionRef, Local, ModuleBuilder, WasmType } from "./emitter.ts";
import type { OpName } from "./opcodes.ts";

/** Four lanes of a value. Of type "d" there are two parts (lanes 0 and 1, lanes 2 and 3), else one. A "b" is all ones or zero. */
export interface Lanes {
  readonly type: ValueType;
  readonly parts: readonly Local[];
}

type Suffix<Prefix extends string> = OpName extends infer Name
  ? Name extends `${Prefix}.${infer S}`
    ? S
    : never
  : never;

/** Bytes of a shuffle that takes 32-bit lanes of two vectors: 0 to 3 of the first, 4 to 7 of the second. */
export function words(...lanes: readonly number[]): number[] {
  return lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]);
}

/** Writes vector code into a function. */
export class LaneCode {
  readonly f: FunctionBuilder;
  readonly module: ModuleBuilder;
  /** Whether multiply-add is one instruction. */
  readonly relaxed: boolean;

  constructor(module: ModuleBuilder, f: FunctionBuilder, relaxed: boolean) {
    this.module = module;
    this.f = f;
    this.relaxed = relaxed;
  }

  /** An instruction on float32 lanes. */
  f32(name: Suffix<"f32x4">, ...operands: readonly Local[]): Local {
    return this.f.op(`f32x4.${name}`, operands);
  }

  /** An instruction on int32 lanes. */
  i32(name: Suffix<"i32x4">, ...operands: readonly Local[]): Local {
    return this.f.op(`i32x4.${name}`, operands);
  }

  /** An instruction on float64 lanes. */
  f64(name: Suffix<"f64x2">, ...operands: readonly Local[]): Local {
    return this.f.op(`f64x2.${name}`, operands);
  }

  /** An instruction on 128 bits. */
  v(name: "not" | "and" | "andnot" | "or" | "xor" | "bitselect", ...operands: readonly Local[]): Local {
    return this.f.op(`v128.${name}`, operands);
  }

  /** Float32 constant in all lanes. */
  k(value: number): Local {
    return this.f.vector("f32x4", value);
  }

  /** Int32 constant in all lanes. */
  ki(value: number): Local {
    return this.f.vector("i32x4", value);
  }

  /** Float64 constant in both lanes. */
  kd(value: number): Local {
    return this.f.vector("f64x2", value);
  }

  /** Shift of int32 lanes by a constant. */
  shift(name: "shl" | "shr_s" | "shr_u", x: Local, by: number): Local {
    return this.f.op(`i32x4.${name}`, [x, this.f.const("i32", by)]);
  }

  /** Shift of int64 lanes by a constant. */
  shiftLong(name: "shl" | "shr_u", x: Local, by: number): Local {
    return this.f.op(`i64x2.${name}`, [x, this.f.const("i32", by)]);
  }

  /** 32-bit lanes of two vectors by number. */
  shuffle(a: Local, b: Local, ...lanes: readonly number[]): Local {
    return this.f.op("i8x16.shuffle", [a, b], ...words(...lanes));
  }

  /** mask ? a : b, by bits. */
  pick(mask: Local, a: Local, b: Local): Local {
    return this.v("bitselect", a, b, mask);
  }

  /** a * b + c of float32, rounded once or twice. */
  madd(a: Local, b: Local, c: Local): Local {
    return this.relaxed ? this.f32("relaxed_madd", a, b, c) : this.f32("add", this.f32("mul", a, b), c);
  }

  /** c - a * b of float32. */
  nmadd(a: Local, b: Local, c: Local): Local {
    return this.relaxed ? this.f32("relaxed_nmadd", a, b, c) : this.f32("sub", c, this.f32("mul", a, b));
  }

  /** a * b + c of float64. */
  maddd(a: Local, b: Local, c: Local): Local {
    return this.relaxed ? this.f64("relaxed_madd", a, b, c) : this.f64("add", this.f64("mul", a, b), c);
  }

  /**
   * Polynomial in x of float32; coefficients from the constant term on. Pairs of terms are joined level by level (Estrin's scheme): the
   * chain of instructions that wait for each other is half as long as Horner's.
   */
  poly(x: Local, coefficients: readonly number[]): Local {
    let terms: Local[] = [];
    for (let i = 0; i < coefficients.length; i += 2) {
      const [low, high] = [coefficients[i]!, coefficients[i + 1]];
      terms.push(high === undefined ? this.k(low) : this.madd(this.k(high), x, this.k(low)));
    }
    let power = x;
    while (terms.length > 1) {
      power = this.f32("mul", power, power);
      const joined: Local[] = [];
      for (let i = 0; i < terms.length; i += 2) {
        const [low, high] = [terms[i]!, terms[i + 1]];
        joined.push(high === undefined ? low : this.madd(high, power, low));
      }
      terms = joined;
    }
    return terms[0]!;
  }

  /** The same by Horner's scheme: a multiplication less, for code of which many elements overlap. */
  horner(x: Local, coefficients: readonly number[]): Local {
    let sum = this.k(coefficients[coefficients.length - 1]!);
    for (let i = coefficients.length - 2; i >= 0; i--) sum = this.madd(sum, x, this.k(coefficients[i]!));
    return sum;
  }

  /** Polynomial in x of float64. */
  polyd(x: Local, coefficients: readonly number[]): Local {
    let sum = this.kd(coefficients[coefficients.length - 1]!);
    for (let i = coefficients.length - 2; i >= 0; i--) sum = this.maddd(sum, x, this.kd(coefficients[i]!));
    return sum;
  }

  /** Float32 lanes as float64. */
  widen(x: Local): [Local, Local] {
    return [this.f64("promote_low_f32x4", x), this.f64("promote_low_f32x4", this.shuffle(x, x, 2, 3, 2, 3))];
  }

  /** Float64 lanes rounded to float32. */
  narrow(low: Local, high: Local): Local {
    return this.shuffle(this.f32("demote_f64x2_zero", low), this.f32("demote_f64x2_zero", high), 0, 1, 4, 5);
  }

  /** Masks of 32 bits as masks of 64. */
  widenMask(mask: Local): [Local, Local] {
    return [this.f.op("i64x2.extend_low_i32x4_s", [mask]), this.f.op("i64x2.extend_high_i32x4_s", [mask])];
  }

  /** Masks of 64 bits as masks of 32. */
  narrowMask(low: Local, high: Local): Local {
    return this.shuffle(low, high, 0, 2, 4, 6);
  }

  /** mask ? a : b, of lanes of any type. */
  select(mask: Local, a: Lanes, b: Lanes): Lanes {
    const masks = a.type === "d" ? this.widenMask(mask) : [mask];
    return { type: a.type, parts: a.parts.map((part, i) => this.pick(masks[i]!, part, b.parts[i]!)) };
  }

  /** A constant of a type in all lanes. */
  constant(type: ValueType, value: number): Lanes {
    if (type === "d") return { type, parts: [this.kd(value), this.kd(value)] };
    return { type, parts: [type === "f" ? this.k(value) : this.ki(type === "b" ? -Number(value !== 0) : value)] };
  }

  /** Conversion as the `cast` primitive has it. */
  cast(x: Lanes, type: ValueType): Lanes {
    const [a, b] = x.parts as readonly [Local, Local];
    if (x.type === type) return x;
    if (type === "b") {
      const zero = this.constant(x.type, 0).parts[0]!;
      if (x.type === "d") return this.one("b", this.narrowMask(this.f64("ne", a, zero), this.f64("ne", b, zero)));
      return this.one("b", x.type === "f" ? this.f32("ne", a, zero) : this.i32("ne", a, zero));
    }
    if (x.type === "b") {
      if (type === "f") return this.one("f", this.v("and", a, this.k(1)));
      const number = this.one(type === "u" ? "u" : "i", this.v("and", a, this.ki(1)));
      return type === "d" ? this.cast(number, "d") : number;
    }
    if (type === "d") {
      if (x.type === "f") return { type, parts: this.widen(a) };
      const convert = x.type === "i" ? "convert_low_i32x4_s" : "convert_low_i32x4_u";
      return { type, parts: [this.f64(convert, a), this.f64(convert, this.shuffle(a, a, 2, 3, 2, 3))] };
    }
    if (type === "f") {
      if (x.type === "d") return this.one("f", this.narrow(a, b));
      return this.one("f", this.f32(x.type === "i" ? "convert_i32x4_s" : "convert_i32x4_u", a));
    }
    if (x.type === "f") return this.one(type, this.i32(type === "i" ? "trunc_sat_f32x4_s" : "trunc_sat_f32x4_u", a));
    if (x.type === "d") {
      const name = type === "i" ? "trunc_sat_f64x2_s_zero" : "trunc_sat_f64x2_u_zero";
      return this.one(type, this.shuffle(this.i32(name, a), this.i32(name, b), 0, 1, 4, 5));
    }
    return this.one(type, a);
  }

  /** Lanes of a single part. */
  one(type: ValueType, part: Local): Lanes {
    return { type, parts: [part] };
  }

  /** Bits of float16 in 32-bit lanes, as float32: exact. */
  fromHalf(bits: Local): Local {
    const sign = this.shift("shl", this.v("and", bits, this.ki(0x8000)), 16);
    const rest = this.v("and", bits, this.ki(0x7fff));
    // Read as a float32 of the same fields it is 2^-112 of the number, subnormal ones included.
    const value = this.f32("mul", this.shift("shl", rest, 13), this.k(2 ** 112));
    const special = this.v("and", this.i32("gt_s", rest, this.ki(0x7bff)), this.ki(0x7f800000));
    return this.v("or", this.v("or", value, special), sign);
  }

  /** Float32 as float16 bits in 32-bit lanes, rounded to nearest, ties to even. */
  toHalf(x: Local): Local {
    const sign = this.shift("shr_u", this.v("and", x, this.ki(-0x80000000)), 16);
    const a = this.v("and", x, this.ki(0x7fffffff));
    // Below 2^-14 adding 0.5 leaves the subnormal's bits, rounded, at the low end of the sum.
    const small = this.i32("sub", this.f32("add", a, this.k(0.5)), this.ki(0x3f000000));
    const odd = this.v("and", this.shift("shr_u", a, 13), this.ki(1));
    const normal = this.shift("shr_u", this.i32("add", this.i32("add", a, odd), this.ki(0xfff - (112 << 23))), 13);
    let result = this.pick(this.i32("lt_s", a, this.ki(113 << 23)), small, normal);
    result = this.pick(this.i32("ge_s", a, this.ki(0x477ff000)), this.ki(0x7c00), result);
    result = this.pick(this.i32("gt_s", a, this.ki(0x7f800000)), this.ki(0x7e00), result);
    return this.v("or", result, sign);
  }

  /** A function of float64 numbers that JavaScript gives, lane by lane. */
  perLane(name: string, operands: readonly Lanes[], type: "f" | "d"): Lanes {
    const { f } = this;
    const target: FunctionRef = this.module.import(
      name,
      operands.map((): WasmType => "f64"),
      "f64",
    );
    const wide = operands.map((x) => this.cast(x, "d"));
    const parts = [f.local("v128"), f.local("v128")];
    for (let lane = 0; lane < 4; lane++) {
      const part = parts[lane >> 1]!;
      const args = wide.map((x) => f.op("f64x2.extract_lane", [x.parts[lane >> 1]!], lane & 1));
      f.assign(part, "f64x2.replace_lane", [part, f.call(target, args)!], lane & 1);
    }
    const result: Lanes = { type: "d", parts };
    return type === "d" ? result : this.cast(result, "f");
  }
}
