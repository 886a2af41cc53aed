/** Elementwise functions beyond arithmetic, `tg.special` among them. */

import type { DType } from "#tapegrad";
import { dtype, partner, tensorOf } from "../given.ts";
import { elementwise, isFloat, isModel, refuse, resultType, store, type Operand } from "../model.ts";
import { form, perhaps, type Generator, type Table } from "../sample.ts";
import { besselI, erfc, erfcx, erfinv, lgamma } from "../special.ts";
import { asFloat, binary, float, pair, promoted, unary } from "./elementwise.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];
const INTEGERS: readonly DType[] = ["int32", "uint8"];

const onlyFloats = (a: Operand, b: Operand) => {
  const types = promoted(a, b);
  return isFloat(types.result) ? types : refuse("integers");
};
const onlyIntegers = (a: Operand, b: Operand) => {
  const types = promoted(a, b);
  return isFloat(types.result) || types.result === "bool" ? refuse("no integers") : types;
};

function logAdded(exp: (x: number) => number, scale: number) {
  return (x: number, y: number): number => {
    if (x === y && Math.abs(x) === Infinity) return x;
    const large = Math.max(x, y);
    return large + Math.log1p(exp(Math.min(x, y) - large)) * scale;
  };
}

function divisor(x: number, y: number): number {
  return y === 0 ? Math.abs(x) : divisor(y, x % y);
}

function power(x: number, y: number): number {
  return x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y;
}

function weighted(log: (x: number) => number) {
  return (x: number, y: number): number => (Number.isNaN(y) ? NaN : x === 0 ? 0 : x * log(y));
}

const ndtr = (x: number): number => erfc(-x / Math.SQRT2) / 2;

function logNdtr(x: number): number {
  if (x === -Infinity) return -Infinity;
  return x < -1 ? Math.log(erfcx(-x / Math.SQRT2) / 2) - (x * x) / 2 : Math.log1p(-erfc(x / Math.SQRT2) / 2);
}

const NEGATIVE_ZERO = (x: number): boolean => x < 0 || Object.is(x, -0);

/** A Bessel function; at infinity PyTorch's own formulas divide infinities, so that only accidents are looked for there. */
function bessel(f: (x: number) => number): Generator {
  const plain = unary(float(f, ["plain", "unit", "special"], 20));
  return (dice) => {
    const sample = plain(dice);
    const [x] = sample.args;
    return isModel(x) && x.data.some((v) => Math.abs(v) > 700) ? { ...sample, expect: null } : sample;
  };
}

/** Elementwise functions beyond arithmetic. */
export const POINTWISE: Table = {
  sinc: unary(float((x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)), ["plain", "unit"], 4)),
  i0: bessel((x) => besselI(0, x)),
  i0e: bessel((x) => besselI(0, x) * Math.exp(-Math.abs(x))),
  i1: bessel((x) => besselI(1, x)),
  i1e: bessel((x) => besselI(1, x) * Math.exp(-Math.abs(x))),
  entr: unary(float((x) => (Number.isNaN(x) ? NaN : x > 0 ? -x * Math.log(x) : x === 0 ? 0 : -Infinity))),
  erfcx: unary(float(erfcx, ["plain", "unit", "special"], 20)),
  ndtr: unary(float(ndtr, ["plain", "unit", "special"], 10)),
  logNdtr: unary(float(logNdtr, ["plain", "unit"], 20)),
  ndtri: unary(float((p) => (p >= 0 && p <= 1 ? Math.SQRT2 * erfinv(2 * p - 1) : NaN), ["unit", "special"], 20)),
  signbit: (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => elementwise([x], x.dtype, "bool", (v) => Number(NEGATIVE_ZERO(v))) };
  },
  logit: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice), values: dice.pick(["unit", "plain", "special"]) });
    const eps = perhaps(dice, 0.5, () => dice.pick([null, 0.125, 0.25]));
    const to: DType = isFloat(x.dtype) ? x.dtype : "float32";
    return form(
      dice,
      [x],
      ["eps"],
      { eps },
      () =>
        elementwise([x], to, to, (v) => {
          const p = eps == null ? v : Math.min(Math.max(v, eps), 1 - eps);
          return Math.log(p / (1 - p));
        }),
      { loose: 4 },
    );
  },
  nanToNum: (dice) => {
    const x = tensorOf(dice, { values: dice.pick(["special", "plain"]) });
    const number = (): number | null | undefined => perhaps(dice, 0.4, () => dice.pick([null, 0, 1, -2.5]));
    const [nan, posinf, neginf] = [number(), number(), number()];
    const largest = x.dtype === "float64" ? Number.MAX_VALUE : 3.4028234663852886e38;
    return form(dice, [x], ["nan", "posinf", "neginf"], { nan, posinf, neginf }, () =>
      isFloat(x.dtype)
        ? elementwise([x], x.dtype, x.dtype, (v) =>
            Number.isNaN(v)
              ? (nan ?? 0)
              : v === Infinity
                ? (posinf ?? largest)
                : v === -Infinity
                  ? (neginf ?? -largest)
                  : v,
          )
        : x,
    );
  },
  mvlgamma: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, [...FLOATS, "int32"]), values: "positive" });
    const p = dice.int(dice.chance(0.05) ? 0 : 1, 4);
    const to: DType = isFloat(x.dtype) ? x.dtype : "float32";
    // Where a term is gamma of a number that is not positive, PyTorch refuses or not by its version.
    const open = p > 0 && x.data.some((v) => v <= (p - 1) / 2);
    return form(
      dice,
      [x],
      ["p"],
      { p },
      open
        ? null
        : () => {
            if (p < 1) refuse("p");
            return elementwise([x], to, to, (v) => {
              let total = (p * (p - 1) * Math.log(Math.PI)) / 4;
              for (let j = 0; j < p; j++) total += lgamma(v - j / 2);
              return total;
            });
          },
      { loose: 30 },
    );
  },

  copysign: binary(asFloat, () => (x, y) => (NEGATIVE_ZERO(y) ? -Math.abs(x) : Math.abs(x))),
  hypot: binary(onlyFloats, () => Math.hypot),
  logaddexp: binary(onlyFloats, () => logAdded(Math.exp, 1), { loose: 3 }),
  logaddexp2: binary(onlyFloats, () => logAdded((x) => 2 ** x, Math.LOG2E), { loose: 3 }),
  fmax: binary(promoted, () => (x, y) => (Number.isNaN(x) ? y : Number.isNaN(y) ? x : Math.max(x, y))),
  fmin: binary(promoted, () => (x, y) => (Number.isNaN(x) ? y : Number.isNaN(y) ? x : Math.min(x, y))),
  gcd: binary(onlyIntegers, () => (x, y) => Math.abs(divisor(x, y)), { dtypes: INTEGERS, values: "plain" }),
  lcm: binary(
    onlyIntegers,
    () => (x, y) => {
      const d = Math.abs(divisor(x, y));
      return d === 0 ? 0 : Math.abs((x / d) * y);
    },
    { dtypes: INTEGERS, values: "plain" },
  ),
  xlogy: binary(asFloat, () => weighted(Math.log), { values: "plain", loose: 2 }),
  xlog1py: binary(asFloat, () => weighted(Math.log1p), { values: "plain", loose: 2 }),
  heaviside: (dice) => {
    const x = tensorOf(dice);
    const values = tensorOf(dice, {
      shape: partner(dice, x.shape),
      dtype: dice.chance(0.95) ? x.dtype : dtype(dice),
    });
    return form(dice, [x], ["values"], { values }, () => {
      if (values.dtype !== x.dtype) refuse("dtypes");
      return elementwise([x, values], x.dtype, x.dtype, (v, at0) => (v === 0 ? at0 : Number(v > 0)));
    });
  },
  ldexp: (dice) => {
    const x = tensorOf(dice, { values: "plain" });
    const other = dice.chance(0.3)
      ? dice.int(-4, 6)
      : tensorOf(dice, {
          shape: partner(dice, x.shape),
          dtype: dtype(dice, ["int32", "float32", "float64", "uint8"]),
          values: "plain",
        });
    return form(
      dice,
      [x],
      ["other"],
      { other },
      () => {
        const own: DType = isFloat(x.dtype) ? x.dtype : "float32";
        const of: DType = isModel(other) && isFloat(other.dtype) ? other.dtype : own;
        const to = isModel(other) ? resultType([x, { shape: other.shape, data: other.data, dtype: of }]) : own;
        return elementwise(
          [x, other],
          [to, isModel(other) ? other.dtype : "float64"],
          to,
          (v, e) => v * store(of, 2 ** e),
        );
      },
      { loose: 3 },
    );
  },
  floatPower: (dice) => {
    const [x, exponent] = pair(dice, undefined, "plain");
    const wide: DType = dice.float64 ? "float64" : "float32";
    return form(dice, [x], ["exponent"], { exponent }, () => elementwise([x, exponent], wide, wide, power), {
      loose: 20,
    });
  },
};
