/**
 * Functions of float32 lanes. Stated bounds are in units in the last place of the result, against the exact value; test/backend/cpu-math
 * sweeps them. Polynomials are minimax fits of the functions named, made by Lawson's iteration on Chebyshev points.
 */

import type { Local } from "./emitter.ts";
import type { LaneCode } from "./lanes.ts";

const LN2_HIGH = 0.693359375;
const LN2_LOW = Math.LN2 - LN2_HIGH;
/** Adding it to a small number leaves the nearest integer in the low bits. */
const ROUNDER = 12582912;

/** (exp(r) - 1 - r) / r^2 on |r| <= ln(2) / 2. */
const EXP = [0.4999999804, 0.1666653868, 0.04166722131, 0.008367181, 0.001388239325];

interface Reduced {
  /** exp(r) - 1 */
  readonly p: Local;
  /** The integer n of x = n ln 2 + r, as a float and as an int. */
  readonly n: Local;
  readonly bits: Local;
}

/** x = n ln 2 + r for |x| up to about 1000, with exp(r) - 1. */
function reduce(c: LaneCode, x: Local): Reduced {
  const shifted = c.madd(x, c.k(Math.LOG2E), c.k(ROUNDER));
  const n = c.f32("sub", shifted, c.k(ROUNDER));
  const bits = c.i32("sub", shifted, c.k(ROUNDER));
  return { p: expLess1(c, remainder(c, x, n)), n, bits };
}

/** x - n ln 2 */
function remainder(c: LaneCode, x: Local, n: Local): Local {
  return c.nmadd(n, c.k(LN2_LOW), c.nmadd(n, c.k(LN2_HIGH), x));
}

/** exp(r) - 1 for |r| <= ln(2) / 2. */
function expLess1(c: LaneCode, r: Local): Local {
  return c.madd(c.f32("mul", r, r), c.horner(r, EXP), r);
}

/** y 2^n for y near 1, also where the result is subnormal or infinite. */
function scale(c: LaneCode, y: Local, n: Local): Local {
  const half = c.shift("shr_s", n, 1);
  const power = (k: Local): Local => c.i32("add", c.shift("shl", k, 23), c.k(1));
  return c.f32("mul", c.f32("mul", y, power(half)), power(c.i32("sub", n, half)));
}

/** exp, 1.1 ULP. */
export function exp(c: LaneCode, x: Local): Local {
  // The order of operands keeps NaN.
  const clamped = c.f32("pmax", c.f32("pmin", x, c.k(89)), c.k(-105));
  const { p, bits } = reduce(c, clamped);
  return scale(c, c.f32("add", p, c.k(1)), bits);
}

/** exp of numbers that are at most 0 (or NaN): 2^n needs no halves there. The same bits as `exp` gives. */
export function expNonPositive(c: LaneCode, x: Local): Local {
  // The low bits of n + 192, moved up, are the exponent of 2^(n + 65).
  const rounder = ROUNDER + 192;
  const clamped = c.f32("pmax", x, c.k(-105));
  const shifted = c.madd(clamped, c.k(Math.LOG2E), c.k(rounder));
  const r = remainder(c, clamped, c.f32("sub", shifted, c.k(rounder)));
  const power = c.shift("shl", shifted, 23);
  return c.f32("mul", c.madd(expLess1(c, r), power, power), c.k(2 ** -65));
}

/** 2^x, 1.1 ULP. */
export function exp2(c: LaneCode, x: Local): Local {
  const clamped = c.f32("pmax", c.f32("pmin", x, c.k(129)), c.k(-151));
  const shifted = c.f32("add", clamped, c.k(ROUNDER));
  const n = c.f32("sub", shifted, c.k(ROUNDER));
  const p = expLess1(c, c.f32("mul", c.f32("sub", clamped, n), c.k(Math.LN2)));
  return scale(c, c.f32("add", p, c.k(1)), c.i32("sub", shifted, c.k(ROUNDER)));
}

/** exp(x) - 1, 2 ULP. */
export function expm1(c: LaneCode, x: Local): Local {
  const clamped = c.f32("pmax", c.f32("pmin", x, c.k(89)), c.k(-30));
  const { p, bits } = reduce(c, clamped);
  // 2^n p + (2^n - 1) with halves, so that n = 128 does not overflow too early.
  const s = c.i32("add", c.shift("shl", bits, 23), c.k(0.5));
  const half = c.madd(s, p, c.f32("sub", s, c.k(0.5)));
  const result = c.f32("add", half, half);
  // Where x is so small that it is its own result, its sign is kept, too.
  return c.pick(c.f32("lt", c.f32("abs", x), c.k(1e-7)), x, result);
}

/** tanh, 2.5 ULP: (exp(2a) - 1) / (exp(2a) + 1) of a = |x|. */
export function tanh(c: LaneCode, x: Local): Local {
  const a = c.f32("pmin", c.f32("abs", x), c.k(9.2));
  const { p, bits } = reduce(c, c.f32("add", a, a));
  const s = c.i32("add", c.shift("shl", bits, 23), c.k(1));
  const m = c.madd(s, p, c.f32("sub", s, c.k(1)));
  const result = c.f32("div", m, c.f32("add", m, c.k(2)));
  return c.v("or", result, c.v("and", x, c.ki(-0x80000000)));
}

/** 2 atanh(s) / s - 2, over s^2, on s^2 <= 0.03. */
const LOG = [0.6666666654, 0.4000013054, 0.2854986586, 0.2335579006];

interface Split {
  /** Mantissa in [sqrt(1/2), sqrt(2)), and the exponent. */
  readonly m: Local;
  readonly e: Local;
}

/** x = m 2^e of positive numbers, subnormal ones included. */
function split(c: LaneCode, x: Local): Split {
  const tiny = c.f32("lt", x, c.k(2 ** -126));
  const y = c.pick(tiny, c.f32("mul", x, c.k(2 ** 25)), x);
  const bits = c.i32("sub", y, c.ki(0x3f3504f3));
  const e = c.i32("sub", c.shift("shr_s", bits, 23), c.v("and", tiny, c.ki(25)));
  const m = c.i32("add", c.v("and", bits, c.ki(0x7fffff)), c.ki(0x3f3504f3));
  return { m, e };
}

/** Gives logarithms their values at 0, infinity, negative numbers and NaN. */
function atEnds(c: LaneCode, x: Local, result: Local): Local {
  const finite = c.pick(c.f32("lt", x, c.k(Infinity)), result, x);
  const zero = c.pick(c.f32("eq", x, c.k(0)), c.k(-Infinity), finite);
  return c.v("or", zero, c.f32("lt", x, c.k(0)));
}

/** Natural logarithm, 1 ULP. */
export function log(c: LaneCode, x: Local): Local {
  const { m, e } = split(c, x);
  const n = c.f32("convert_i32x4_s", e);
  const f = c.f32("sub", m, c.k(1));
  const s = c.f32("div", f, c.f32("add", f, c.k(2)));
  const w = c.f32("mul", s, s);
  const half = c.f32("mul", c.f32("mul", f, f), c.k(0.5));
  const r = c.f32("mul", w, c.poly(w, LOG));
  // log(1 + f) = f - (f^2/2 - s (f^2/2 + R))
  const inner = c.madd(s, c.f32("add", half, r), c.f32("mul", n, c.k(LN2_LOW)));
  const result = c.madd(n, c.k(LN2_HIGH), c.f32("sub", f, c.f32("sub", half, inner)));
  return atEnds(c, x, result);
}

/** 2 atanh(s) / s as a series in s^2 for float64: 2, 2/3, 2/5, ... */
const ATANH = Array.from({ length: 9 }, (_, k) => 2 / (2 * k + 1));

/** log(1 + f) in float64 for 1 + f in [sqrt(1/2), sqrt(2)), about 1e-14. */
function logNear(c: LaneCode, f: Local): Local {
  const s = c.f64("div", f, c.f64("add", f, c.kd(2)));
  return c.f64("mul", s, c.polyd(c.f64("mul", s, s), ATANH));
}

/** A logarithm to another base, computed in float64. */
function logTo(c: LaneCode, x: Local, perTwo: number): Local {
  const { m, e } = split(c, x);
  const ms = c.widen(m);
  const es = [c.f64("convert_low_i32x4_s", e), c.f64("convert_low_i32x4_s", c.shuffle(e, e, 2, 3, 2, 3))];
  const parts = ms.map((part, i) => {
    const near = logNear(c, c.f64("sub", part, c.kd(1)));
    return c.maddd(near, c.kd(perTwo / Math.LN2), c.f64("mul", es[i]!, c.kd(perTwo)));
  });
  return atEnds(c, x, c.narrow(parts[0]!, parts[1]!));
}

/** Logarithm to base 2, 0.51 ULP. */
export function log2(c: LaneCode, x: Local): Local {
  return logTo(c, x, 1);
}

/** Logarithm to base 10, 0.51 ULP. */
export function log10(c: LaneCode, x: Local): Local {
  return logTo(c, x, Math.LOG10E * Math.LN2);
}

/** Exponent (as float64) and mantissa in [sqrt(1/2), sqrt(2)) of normal positive float64 numbers. */
function splitd(c: LaneCode, x: Local): Split {
  const bits = c.f.op("i64x2.sub", [x, c.f.vector("i32x4", 0x667f3bcd, 0x3fe6a09e, 0x667f3bcd, 0x3fe6a09e)]);
  const fraction = c.v("and", bits, c.f.vector("i32x4", -1, 0xfffff, -1, 0xfffff));
  const m = c.f.op("i64x2.add", [fraction, c.f.vector("i32x4", 0x667f3bcd, 0x3fe6a09e, 0x667f3bcd, 0x3fe6a09e)]);
  const high = c.shift("shr_s", bits, 20);
  return { m, e: c.f64("convert_low_i32x4_s", c.shuffle(high, high, 1, 3, 1, 3)) };
}

/** log(1 + x), 0.51 ULP: in float64, where 1 + x loses nothing that matters. */
export function log1p(c: LaneCode, x: Local): Local {
  const parts = c.widen(x).map((part) => {
    const { m, e } = splitd(c, c.f64("add", part, c.kd(1)));
    // Near zero the argument itself is the distance from 1.
    const f = c.pick(c.f64("eq", e, c.kd(0)), part, c.f64("sub", m, c.kd(1)));
    return c.maddd(e, c.kd(Math.LN2), logNear(c, f));
  });
  const finite = c.pick(c.f32("lt", x, c.k(Infinity)), c.narrow(parts[0]!, parts[1]!), x);
  const pole = c.pick(c.f32("eq", x, c.k(-1)), c.k(-Infinity), finite);
  return c.v("or", c.pick(c.f32("eq", x, c.k(0)), x, pole), c.f32("lt", x, c.k(-1)));
}

/** Coefficients of exp(t ln 2). */
const EXP2 = (() => {
  const result = [1];
  for (let k = 1; k <= 9; k++) result.push((result[k - 1]! * Math.LN2) / k);
  return result;
})();

/** 2^t of float64, about 1e-11 relative; t is clamped to where float32 has its zero and infinity. */
function exp2d(c: LaneCode, t: Local): Local {
  const clamped = c.f64("pmax", c.f64("pmin", t, c.kd(200)), c.kd(-200));
  const n = c.f64("nearest", clamped);
  const p = c.polyd(c.f64("sub", clamped, n), EXP2);
  const bits = c.i32("trunc_sat_f64x2_s_zero", n);
  const long = c.shiftLong("shl", c.f.op("i64x2.extend_low_i32x4_s", [bits]), 52);
  return c.f.op("i64x2.add", [p, long]);
}

/** x to the power y as C has it, 0.51 ULP: 2^(y log2 |x|) in float64. */
export function pow(c: LaneCode, x: Local, y: Local): Local {
  const a = c.f32("abs", x);
  const { m, e } = split(c, a);
  const [ms, ys] = [c.widen(m), c.widen(y)];
  const es = [c.f64("convert_low_i32x4_s", e), c.f64("convert_low_i32x4_s", c.shuffle(e, e, 2, 3, 2, 3))];
  const parts = ms.map((part, i) => {
    const near = logNear(c, c.f64("sub", part, c.kd(1)));
    return exp2d(c, c.f64("mul", c.maddd(near, c.kd(Math.LOG2E), es[i]!), ys[i]!));
  });
  let result = c.narrow(parts[0]!, parts[1]!);
  // |x| of 0 or infinity: 0 or infinity by the sign of the exponent.
  const zero = c.f32("eq", a, c.k(0));
  const infinite = c.f32("eq", a, c.k(Infinity));
  const grows = c.v("xor", infinite, c.f32("lt", y, c.k(0)));
  result = c.pick(c.v("or", zero, infinite), c.v("and", grows, c.k(Infinity)), result);
  // Negative x: the sign of odd powers, NaN for powers that are no integers.
  const negative = c.shift("shr_s", x, 31);
  const whole = c.f32("eq", c.f32("trunc", y), y);
  const half = c.f32("mul", y, c.k(0.5));
  const odd = c.v("and", whole, c.f32("ne", c.f32("trunc", half), half));
  result = c.v("xor", result, c.v("and", c.v("and", negative, odd), c.ki(-0x80000000)));
  const undefinedPower = c.v("andnot", c.v("andnot", c.f32("lt", x, c.k(0)), whole), infinite);
  result = c.v("or", result, undefinedPower);
  const unordered = c.v("or", c.f32("ne", x, x), c.f32("ne", y, y));
  result = c.v("or", result, unordered);
  // 1 to any power, anything to the power 0, and -1 to an infinite one are 1.
  const infinitePower = c.v("and", c.f32("eq", a, c.k(1)), c.f32("eq", c.f32("abs", y), c.k(Infinity)));
  const one = c.v("or", c.v("or", c.f32("eq", x, c.k(1)), c.f32("eq", y, c.k(0))), infinitePower);
  return c.pick(one, c.k(1), result);
}

/** (sin r - r) / r^3 and (cos r - 1 + r^2/2) / r^4 in r^2, on |r| <= pi / 4. */
const SIN = [-0.1666665423, 0.008332131488, -0.0001951083814];
const COS = [0.04166664565, -0.001388730602, 2.443120315e-5];
/** pi / 2 in two parts, the first of 33 bits. */
const QUARTER_HIGH = 1.5707963267341256;
const QUARTER_LOW = 6.077100506506192e-11;

/** sin (shift 0) or cos (shift 1), 1.6 ULP; beyond 2^20 lanes go through JavaScript's. */
function circular(c: LaneCode, x: Local, shift: 0 | 1): Local {
  const { f } = c;
  const reduced = c.widen(x).map((part) => {
    const n = c.f64("nearest", c.f64("mul", part, c.kd(2 / Math.PI)));
    const r = c.f64("sub", c.f64("sub", part, c.f64("mul", n, c.kd(QUARTER_HIGH))), c.f64("mul", n, c.kd(QUARTER_LOW)));
    return { r, n: c.i32("trunc_sat_f64x2_s_zero", n) };
  });
  const r = c.narrow(reduced[0]!.r, reduced[1]!.r);
  const n = c.shuffle(reduced[0]!.n, reduced[1]!.n, 0, 1, 4, 5);
  const quadrant = shift === 0 ? n : c.i32("add", n, c.ki(1));
  const w = c.f32("mul", r, r);
  const sine = c.madd(c.f32("mul", w, r), c.poly(w, SIN), r);
  const cosine = c.madd(c.f32("mul", w, w), c.poly(w, COS), c.nmadd(w, c.k(0.5), c.k(1)));
  const useCosine = c.i32("ne", c.v("and", quadrant, c.ki(1)), c.ki(0));
  const sign = c.shift("shl", c.v("and", quadrant, c.ki(2)), 30);
  const value = c.v("xor", c.pick(useCosine, cosine, sine), sign);
  const result = f.local("v128");
  f.copy(result, shift === 0 ? c.pick(c.f32("eq", x, c.k(0)), x, value) : value);
  const far = c.f32("gt", c.f32("abs", x), c.k(2 ** 20));
  f.if(f.op("v128.any_true", [far]), () => {
    const exact = c.perLane(shift === 0 ? "sin" : "cos", [c.one("f", x)], "f");
    f.copy(result, exact.parts[0]!);
  });
  return result;
}

/** Sine, 1.6 ULP. */
export function sin(c: LaneCode, x: Local): Local {
  return circular(c, x, 0);
}

/** Cosine, 1.6 ULP. */
export function cos(c: LaneCode, x: Local): Local {
  return circular(c, x, 1);
}

/** erf(x) / x - 1 in x^2 on [0, 1]; log(erfc(x)) on [1, 4]. */
const ERF = [
  0.128379166, -0.3761262582, 0.1128358515, -0.02685381187, 0.005188327559, -0.0008010192508, 7.853857663e-5,
];
const LOG_ERFC = [
  -0.0003537089271, -1.12704008, -0.6382256024, -0.1030374355, 0.02180535116, -0.002939615736, 0.0001855748933,
];

/** Error function, 1.5 ULP: x + x P(x^2) up to 1, then 1 - exp(Q(x)). */
export function erf(c: LaneCode, x: Local): Local {
  const a = c.f32("pmin", c.f32("abs", x), c.k(4));
  const near = c.madd(x, c.poly(c.f32("mul", x, x), ERF), x);
  const { p, bits } = reduce(c, c.poly(a, LOG_ERFC));
  const s = c.i32("add", c.shift("shl", bits, 23), c.k(1));
  const far = c.f32("sub", c.f32("sub", c.k(1), s), c.f32("mul", s, p));
  const signed = c.v("or", far, c.v("and", x, c.ki(-0x80000000)));
  return c.pick(c.f32("gt", a, c.k(1)), signed, near);
}
