/** Primitives of kernels on vectors of four lanes. */

import type { Instr, Primitive, ValueType } from "../../../graph/kernel.ts";
import type { Local } from "./emitter.ts";
import type { LaneCode, Lanes } from "./lanes.ts";
import * as math from "./math.ts";

type Unary = (c: LaneCode, x: Local) => Local;

/** Functions of float32 lanes; what is missing here is computed by JavaScript, lane by lane. */
const FLOAT: Partial<Record<Primitive, Unary>> = {
  neg: (c, x) => c.f32("neg", x),
  abs: (c, x) => c.f32("abs", x),
  sign: (c, x) => c.f32("sub", c.v("and", c.f32("gt", x, c.k(0)), c.k(1)), c.v("and", c.f32("lt", x, c.k(0)), c.k(1))),
  floor: (c, x) => c.f32("floor", x),
  ceil: (c, x) => c.f32("ceil", x),
  trunc: (c, x) => c.f32("trunc", x),
  round: (c, x) => c.f32("nearest", x),
  sqrt: (c, x) => c.f32("sqrt", x),
  rsqrt: (c, x) => c.f32("div", c.k(1), c.f32("sqrt", x)),
  exp: math.exp,
  exp2: math.exp2,
  expm1: math.expm1,
  log: math.log,
  log2: math.log2,
  log10: math.log10,
  log1p: math.log1p,
  sin: math.sin,
  cos: math.cos,
  tanh: math.tanh,
  erf: math.erf,
};

/** Functions of two float64 lanes. */
const DOUBLE: Partial<Record<Primitive, Unary>> = {
  neg: (c, x) => c.f64("neg", x),
  abs: (c, x) => c.f64("abs", x),
  sign: (c, x) =>
    c.f64("sub", c.v("and", c.f64("gt", x, c.kd(0)), c.kd(1)), c.v("and", c.f64("lt", x, c.kd(0)), c.kd(1))),
  floor: (c, x) => c.f64("floor", x),
  ceil: (c, x) => c.f64("ceil", x),
  trunc: (c, x) => c.f64("trunc", x),
  round: (c, x) => c.f64("nearest", x),
  sqrt: (c, x) => c.f64("sqrt", x),
  rsqrt: (c, x) => c.f64("div", c.kd(1), c.f64("sqrt", x)),
};

const COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"] as const;
type Comparison = (typeof COMPARISONS)[number];

function isComparison(op: Primitive): op is Comparison {
  return (COMPARISONS as readonly string[]).includes(op);
}

/** Masks where the comparison holds. */
export function compare(c: LaneCode, op: Comparison, x: Lanes, y: Lanes): Local {
  const [a, b] = [x.parts[0]!, y.parts[0]!];
  switch (x.type) {
    case "f":
      return c.f32(op, a, b);
    case "d":
      return c.narrowMask(c.f64(op, a, b), c.f64(op, x.parts[1]!, y.parts[1]!));
    case "u":
      return c.i32(op === "eq" || op === "ne" ? op : `${op}_u`, a, b);
    case "b":
      // True is -1 here: the order is the other way round.
      return op === "eq" || op === "ne" ? c.i32(op, a, b) : c.i32(`${op}_s`, b, a);
    default:
      return c.i32(op === "eq" || op === "ne" ? op : `${op}_s`, a, b);
  }
}

/**
 * Larger or smaller of two values; NaN if either is. `by` is the second, if it is known and no NaN. Of floats it is made of `pmax` and `pmin`, which give
 * the first of two that do not compare, as x86 has it in one instruction: `max` and `min` of WebAssembly take eight there. Which of two zeros is given
 * is not said.
 */
export function extreme(c: LaneCode, op: "min" | "max", x: Lanes, y: Lanes, by: number | null = null): Lanes {
  const parts = x.parts.map((a, i) => {
    const b = y.parts[i]!;
    if (x.type === "f" || x.type === "d") {
      const better = x.type === "f" ? c.f32(`p${op}`, a, b) : c.f64(`p${op}`, a, b);
      if (by !== null && !Number.isNaN(by)) return better;
      // All bits set is a NaN.
      return c.v("or", better, x.type === "f" ? c.f32("ne", b, b) : c.f64("ne", b, b));
    }
    if (x.type === "b") return c.v(op === "max" ? "or" : "and", a, b);
    return c.i32(x.type === "u" ? `${op}_u` : `${op}_s`, a, b);
  });
  return { type: x.type, parts };
}

/** Whole numbers divided in float64, which is exact; 0 where the divisor is. */
function divideWhole(c: LaneCode, x: Lanes, y: Lanes): Lanes {
  const [a, b] = [c.cast(x, "d"), c.cast(y, "d")];
  const parts = a.parts.map((part, i) => c.f64("div", part, b.parts[i]!));
  let q = c.cast({ type: "d", parts }, x.type).parts[0]!;
  // -2^31 / -1 wraps.
  if (x.type === "i") q = c.pick(c.i32("eq", y.parts[0]!, c.ki(-1)), c.i32("neg", x.parts[0]!), q);
  return c.one(x.type, c.v("andnot", q, c.i32("eq", y.parts[0]!, c.ki(0))));
}

function shifted(c: LaneCode, op: "shl" | "shr", x: Lanes, y: Lanes, by: number | null): Lanes {
  const { f } = c;
  const name = op === "shl" ? "shl" : x.type === "u" ? "shr_u" : "shr_s";
  if (by !== null) return c.one(x.type, c.shift(name, x.parts[0]!, by));
  const result = f.local("v128");
  for (let lane = 0; lane < 4; lane++) {
    const value = f.op("i32x4.extract_lane", [x.parts[0]!], lane);
    const amount = f.op("i32x4.extract_lane", [y.parts[0]!], lane);
    f.assign(result, "i32x4.replace_lane", [result, f.op(`i32.${name}`, [value, amount])], lane);
  }
  return c.one(x.type, result);
}

/** Name of the JavaScript function for a primitive of floats. */
const IN_JAVASCRIPT: Partial<Record<Primitive, string>> = { rem: "fmod" };

function floatOperation(c: LaneCode, op: Primitive, type: "f" | "d", args: readonly Lanes[]): Lanes {
  const [x, y] = args as readonly [Lanes, Lanes];
  if (op === "add" || op === "sub" || op === "mul" || op === "div") {
    const part = (i: number): Local =>
      type === "f" ? c.f32(op, x.parts[i]!, y.parts[i]!) : c.f64(op, x.parts[i]!, y.parts[i]!);
    return { type, parts: x.parts.map((_, i) => part(i)) };
  }
  const own = (type === "f" ? FLOAT : DOUBLE)[op];
  if (own !== undefined) return { type, parts: x.parts.map((part) => own(c, part)) };
  if (op === "pow" && type === "f") return c.one("f", math.pow(c, x.parts[0]!, y.parts[0]!));
  return c.perLane(IN_JAVASCRIPT[op] ?? op, args, type);
}

function wholeOperation(c: LaneCode, op: Primitive, type: ValueType, args: readonly Lanes[], by: number | null): Lanes {
  const [x, y] = args as readonly [Lanes, Lanes];
  const a = x.parts[0]!;
  const b = args.length > 1 ? y.parts[0]! : a;
  switch (op) {
    case "add":
    case "sub":
    case "mul":
      return c.one(type, c.i32(op, a, b));
    case "neg":
      return c.one(type, c.i32("neg", a));
    case "abs":
      return type === "u" ? x : c.one(type, c.i32("abs", a));
    case "sign":
      return c.one(type, c.i32("sub", c.i32("lt_s", a, c.ki(0)), c.i32("gt_s", a, c.ki(0))));
    case "idiv":
      return divideWhole(c, x, y);
    case "rem": {
      const q = divideWhole(c, x, y).parts[0]!;
      const rest = c.i32("sub", a, c.i32("mul", q, b));
      return c.one(type, c.v("andnot", rest, c.i32("eq", b, c.ki(0))));
    }
    case "band":
    case "and":
      return c.one(type, c.v("and", a, b));
    case "bor":
    case "or":
      return c.one(type, c.v("or", a, b));
    case "bxor":
    case "xor":
      return c.one(type, c.v("xor", a, b));
    case "bnot":
    case "not":
      return c.one(type, c.v("not", a));
    case "shl":
    case "shr":
      return shifted(c, op, x, y, by);
    case "wrap8":
      return c.one(type, c.v("and", a, c.ki(255)));
    default:
      throw new TypeError(`no WebAssembly for ${op} of ${type}`);
  }
}

/** Value of an instruction that needs nothing but its arguments. `by` is its second argument, where that is a constant. */
export function operation(c: LaneCode, instr: Instr, args: readonly Lanes[], by: number | null): Lanes {
  const { op, type } = instr;
  const [x, y] = args as readonly [Lanes, Lanes];
  if (isComparison(op)) return c.one("b", compare(c, op, x, y));
  switch (op) {
    case "cast":
      return c.cast(x, type);
    case "select":
      if (Object.is(by, 0) && type !== "d") return c.one(type, c.v("andnot", args[2]!.parts[0]!, x.parts[0]!));
      return c.select(x.parts[0]!, y, args[2]!);
    case "roundHalf":
      return c.one("f", c.fromHalf(c.toHalf(x.parts[0]!)));
    case "isnan":
      return c.one("b", compare(c, "ne", x, x));
    case "isinf": {
      const infinity = c.constant(x.type, Infinity);
      const abs = { type: x.type, parts: x.parts.map((p) => (x.type === "f" ? c.f32("abs", p) : c.f64("abs", p))) };
      return c.one("b", compare(c, "eq", abs, infinity));
    }
    case "min":
    case "max":
      return extreme(c, op, x, y, by);
    default:
      return type === "f" || type === "d" ? floatOperation(c, op, type, args) : wholeOperation(c, op, type, args, by);
  }
}

/** The four words of Philox 4x32-10 blocks, one block a lane; the fourth counter word is 0. */
export function philox(c: LaneCode, args: readonly Lanes[]): Local[] {
  const [c0, c1, c2, k0, k1] = args.map((a) => a.parts[0]!) as [Local, Local, Local, Local, Local];
  let words: [Local, Local, Local, Local] = [c0, c1, c2, c.ki(0)];
  const product = (x: Local, m: number): { low: Local; high: Local } => {
    const even = c.f.op("i64x2.extmul_low_i32x4_u", [x, c.ki(m)]);
    const odd = c.f.op("i64x2.extmul_high_i32x4_u", [x, c.ki(m)]);
    return { low: c.shuffle(even, odd, 0, 2, 4, 6), high: c.shuffle(even, odd, 1, 3, 5, 7) };
  };
  let [key0, key1] = [k0, k1];
  for (let round = 0; round < 10; round++) {
    const first = product(words[0], 0xd2511f53);
    const second = product(words[2], 0xcd9e8d57);
    words = [
      c.v("xor", c.v("xor", second.high, words[1]), key0),
      second.low,
      c.v("xor", c.v("xor", first.high, words[3]), key1),
      first.low,
    ];
    key0 = c.i32("add", key0, c.ki(0x9e3779b9));
    key1 = c.i32("add", key1, c.ki(0xbb67ae85));
  }
  return words;
}
