/** Elementwise operations. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, partner, shape, tensorOf, value, type Given, type Values } from "../given.ts";
import { category, elementwise, isFloat, isModel, refuse, resultType, type Operand } from "../model.ts";
import { form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";
import { digamma, erf, erfc, erfinv, lgamma, polygamma } from "../special.ts";

/** A function of one operand. */
export interface Row {
  readonly f: (x: number) => number;
  /** The operand's dtype, float32 for integers, or bool. */
  readonly result: "same" | "float" | "bool";
  readonly values?: readonly Values[];
  readonly dtypes?: readonly DType[];
  readonly loose?: number;
}

const NUMBERS: readonly DType[] = ["float32", "float64", "int32", "uint8"];
const FLOATS: readonly DType[] = ["float32", "float64"];
const SMOOTH: readonly Values[] = ["plain", "plain", "unit", "special"];
const WIDE: readonly Values[] = ["plain", "special", "wide"];

const even = (x: number): number => {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
};
const rounding = (f: (x: number) => number): Row => ({ f, result: "same", dtypes: NUMBERS, values: WIDE });
/** A function that gives floats. */
export const float = (f: (x: number) => number, values: readonly Values[] = SMOOTH, loose = 1): Row => ({
  f,
  result: "float",
  values,
  loose,
});
const bool = (f: (x: number) => boolean, dtypes?: readonly DType[]): Row => ({
  f: (x) => Number(f(x)),
  result: "bool",
  values: WIDE,
  ...(dtypes && { dtypes }),
});

const UNARY: Readonly<Record<string, Row>> = {
  neg: rounding((x) => -x),
  positive: rounding((x) => x),
  abs: rounding(Math.abs),
  // PyTorch's sign of NaN is 0.
  sign: rounding((x) => (Number.isNaN(x) ? 0 : Math.sign(x))),
  floor: rounding(Math.floor),
  ceil: rounding(Math.ceil),
  trunc: rounding(Math.trunc),
  frac: { f: (x) => (Number.isFinite(x) ? x - Math.trunc(x) : NaN), result: "same", dtypes: FLOATS },
  relu: rounding((x) => (x <= 0 ? 0 : x)),
  square: { f: (x) => x * x, result: "same", dtypes: FLOATS, values: WIDE },
  reciprocal: float((x) => 1 / x, WIDE),
  sqrt: float(Math.sqrt, WIDE),
  rsqrt: float((x) => 1 / Math.sqrt(x), WIDE),
  exp: float(Math.exp, WIDE),
  exp2: float((x) => 2 ** x, WIDE),
  expm1: float(Math.expm1, WIDE),
  log: float(Math.log, WIDE),
  log2: float(Math.log2, WIDE),
  log10: float(Math.log10, WIDE),
  log1p: float(Math.log1p, WIDE),
  sin: float(Math.sin),
  cos: float(Math.cos),
  tan: float(Math.tan, SMOOTH, 10),
  asin: float(Math.asin),
  acos: float(Math.acos),
  atan: float(Math.atan, WIDE),
  sinh: float(Math.sinh),
  cosh: float(Math.cosh),
  tanh: float(Math.tanh, WIDE),
  asinh: float(Math.asinh, WIDE),
  acosh: float(Math.acosh, WIDE),
  atanh: float(Math.atanh),
  erf: float(erf),
  erfc: float(erfc, SMOOTH, 10),
  erfinv: float(erfinv, ["unit", "special"], 10),
  lgamma: float(lgamma, SMOOTH, 10),
  digamma: float(digamma, SMOOTH, 10),
  sigmoid: float((x) => 1 / (1 + Math.exp(-x)), WIDE),
  deg2rad: float((x) => (x * Math.PI) / 180, WIDE),
  rad2deg: float((x) => (x * 180) / Math.PI, WIDE),
  isnan: bool(Number.isNaN),
  isinf: bool((x) => Math.abs(x) === Infinity),
  isfinite: bool(Number.isFinite),
  isposinf: bool((x) => x === Infinity),
  isneginf: bool((x) => x === -Infinity),
  logicalNot: bool((x) => x === 0),
  silu: { ...float((x) => x / (1 + Math.exp(-x)), ["plain", "unit"]), dtypes: FLOATS },
};

/** A generator of a function of one operand. */
export function unary({ f, result, values = SMOOTH, dtypes, loose = 1 }: Row): Generator {
  return (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, dtypes), values: dice.pick(values) });
    const to = result === "bool" ? "bool" : result === "same" || isFloat(x.dtype) ? x.dtype : "float32";
    return { args: [x], expect: () => elementwise([x], result === "bool" ? x.dtype : to, to, f), loose };
  };
}

/** A tensor and another that broadcasts with it, or a number. */
export function pair(dice: Dice, dtypes?: readonly DType[], values?: Values): [Given, Given | number | boolean] {
  const x = tensorOf(dice, { dtype: dtype(dice, dtypes), ...(values && { values }) });
  if (dice.chance(0.3)) {
    const number = dice.pick([0, 1, 2, -1, 3, 0.5, -1.5, 2.25, true]);
    return [x, number];
  }
  const other = dice.chance(0.7) ? x.dtype : dtype(dice, dtypes);
  return [x, tensorOf(dice, { dtype: other, shape: partner(dice, x.shape), ...(values && { values }) })];
}

function wrapping(dtypeOf: DType, exact: (x: number, y: number) => number, integer = exact) {
  return isFloat(dtypeOf) ? exact : integer;
}

/** A generator of a function of two operands. */
export function binary(
  result: (a: Operand, b: Operand) => { compute: DType; result: DType },
  f: (compute: DType) => (x: number, y: number) => number,
  options: { dtypes?: readonly DType[]; values?: Values; loose?: number } = {},
): Generator {
  return (dice) => {
    const [x, y] = pair(dice, options.dtypes, options.values);
    return form(
      dice,
      [x],
      ["other"],
      { other: y },
      () => {
        const types = result(x, y);
        return elementwise([x, y], types.compute, types.result, f(types.compute));
      },
      options.loose === undefined ? {} : { loose: options.loose },
    );
  };
}

/** Computed in the common dtype. */
export const promoted = (a: Operand, b: Operand) => {
  const t = resultType([a, b]);
  return { compute: t, result: t };
};
/** Computed in the common dtype, integers as float32. */
export const asFloat = (a: Operand, b: Operand) => {
  const t = resultType([a, b]);
  const to: DType = isFloat(t) ? t : "float32";
  return { compute: to, result: to };
};
const compared = (a: Operand, b: Operand) => {
  const t = resultType([a, b]);
  return { compute: t === "bool" ? ("int32" as const) : t, result: "bool" as const };
};
const noBool = (what: typeof promoted) => (a: Operand, b: Operand) => {
  const types = what(a, b);
  return types.compute === "bool" ? refuse("bool") : types;
};
const bits = (a: Operand, b: Operand) => {
  const t = resultType([a, b]);
  return isFloat(t) ? refuse("floats") : { compute: t, result: t };
};

const maximum = (x: number, y: number): number => Math.max(x, y);
const minimum = (x: number, y: number): number => Math.min(x, y);
const floorMod = (x: number, y: number): number => {
  const r = x % y;
  return r !== 0 && r < 0 !== y < 0 ? r + y : r;
};
const floorDivision = (x: number, y: number): number => {
  if (y === 0) return x / y;
  const r = x % y;
  const quotient = (x - r) / y - (r !== 0 && r < 0 !== y < 0 ? 1 : 0);
  return Math.floor(quotient + 0.5);
};
const power = (x: number, y: number): number => (x === 1 ? 1 : x === -1 && Math.abs(y) === Infinity ? 1 : x ** y);
const INTEGERS: readonly DType[] = ["int32", "uint8", "bool"];

function hasZero(o: Operand): boolean {
  return isModel(o) ? o.data.includes(0) : Number(o) === 0;
}

/** Division by an integer zero that the host knows is refused; by one that a device computes, it gives 0. */
function dividing(generator: Generator): Generator {
  return (dice) => {
    const sample = generator(dice);
    const x = sample.args[0] as Given;
    const y = (sample.args[1] ?? sample.options?.["other"]) as Given | number | boolean;
    return zeroDivision(x, y) ? { ...sample, expect: () => refuseZero(sample, y) } : sample;
  };
}

function zeroDivision(x: Given, y: Given | number | boolean): boolean {
  return hasZero(y) && x.data.length > 0 && !isFloat(resultType([x, y]));
}

function refuseZero(sample: Sample, y: Given | number | boolean): null {
  sample.expect?.();
  return typeof y === "object" && y.isComputed ? null : refuse("division by zero");
}

function scaled(sign: 1 | -1, reversed = false): Generator {
  return (dice) => {
    const [x, y] = pair(dice);
    const alpha = perhaps(dice, 0.3, () => dice.pick([1, 2, -1, 0, 0.5]));
    const [a, b] = reversed ? [y, x] : [x, y];
    return form(dice, [x], ["other"], { other: y, alpha }, () => {
      const t = resultType([a, b]);
      if (sign < 0 && [a, b].some((v) => (typeof v === "object" ? v.dtype === "bool" : typeof v === "boolean")))
        refuse("bool");
      const factor = alpha ?? 1;
      if (!isFloat(t) && !Number.isInteger(factor)) refuse("alpha");
      if (t === "bool") return elementwise([a, b], t, t, (p, q) => p + q * Math.abs(factor));
      return elementwise([a, b], t, t, (p, q) =>
        wrapping(
          t,
          (u, v) => u + v,
          (u, v) => (u + v) | 0,
        )(p, sign * (isFloat(t) ? q * factor : Math.imul(q, factor))),
      );
    });
  };
}

function shifted(left: boolean): Generator {
  return (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, ["int32"]) });
    const y = dice.chance(0.4)
      ? dice.int(0, 8)
      : tensorOf(dice, { dtype: "int32", shape: partner(dice, x.shape), values: "positive" });
    return form(dice, [x], ["other"], { other: y }, () =>
      elementwise([x, y], "int32", "int32", (p, q) => (left ? p << q : p >> q)),
    );
  };
}

function bound(dice: Dice, x: Given): Given | number {
  return dice.chance(0.6)
    ? dice.pick([-2, 0, 1, 2.5, -0.75])
    : tensorOf(dice, { shape: partner(dice, x.shape), dtype: x.dtype === "bool" ? "float32" : x.dtype });
}

function clamped(x: Given, low: Operand | null | undefined, high: Operand | null | undefined) {
  return () => {
    if (low == null && high == null) refuse("no bound");
    const operands = [x, ...(low == null ? [] : [low]), ...(high == null ? [] : [high])];
    const t = resultType(operands);
    if (t === "bool") refuse("bool");
    return elementwise(operands, t, t, (v, ...limits) => {
      let r = v;
      if (low != null) r = Math.max(r, limits.shift()!);
      if (high != null) r = Math.min(r, limits.shift()!);
      return r;
    });
  };
}

/** Elementwise operations. */
export const ELEMENTWISE: Table = {
  ...Object.fromEntries(Object.entries(UNARY).map(([name, row]) => [name, unary(row)])),

  bitwiseNot: (dice) => {
    const x = tensorOf(dice);
    return {
      args: [x],
      expect: () =>
        isFloat(x.dtype)
          ? refuse("floats")
          : elementwise([x], x.dtype, x.dtype, (v) => (x.dtype === "bool" ? 1 - v : ~v)),
    };
  },
  gelu: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, FLOATS), values: "plain" });
    const approximate = perhaps(dice, 0.5, () => dice.pick(["none", "tanh"]));
    return form(
      dice,
      [x],
      [],
      { approximate },
      () =>
        elementwise([x], x.dtype, x.dtype, (v) =>
          approximate === "tanh"
            ? 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))
            : 0.5 * v * erfc(-v / Math.SQRT2),
        ),
      { loose: 3 },
    );
  },
  round: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, NUMBERS), values: dice.pick(WIDE) });
    const decimals = perhaps(dice, 0.3, () => dice.int(-1, 2));
    // Which multiple of a power of ten is nearest depends on rounding errors.
    return form(
      dice,
      [x],
      [],
      { decimals },
      decimals ? (isFloat(x.dtype) ? null : () => refuse("integers")) : () => elementwise([x], x.dtype, x.dtype, even),
    );
  },
  polygamma: (dice) => {
    const n = dice.int(0, 4);
    const x = tensorOf(dice, { dtype: dtype(dice, FLOATS), values: "positive" });
    return { args: [n, x], expect: () => elementwise([x], x.dtype, x.dtype, (v) => polygamma(n, v)), loose: 30 };
  },

  add: scaled(1),
  sub: scaled(-1),
  rsub: scaled(-1, true),
  mul: binary(promoted, (t) => wrapping(t, (x, y) => x * y, Math.imul)),
  div: (dice) => {
    const [x, y] = pair(dice, NUMBERS);
    const roundingMode = perhaps(dice, 0.4, () => dice.pick(["trunc", "floor", null]));
    const sample = form(dice, [x], ["other"], { other: y, roundingMode }, () => {
      const t = resultType([x, y]);
      if (roundingMode == null)
        return elementwise([x, y], isFloat(t) ? t : "float32", isFloat(t) ? t : "float32", (p, q) => p / q);
      return elementwise([x, y], t, t, roundingMode === "floor" ? floorDivision : (p, q) => Math.trunc(p / q));
    });
    return roundingMode != null && zeroDivision(x, y) ? { ...sample, expect: () => refuseZero(sample, y) } : sample;
  },
  floorDivide: dividing(binary(noBool(promoted), () => floorDivision)),
  remainder: dividing(binary(noBool(promoted), () => floorMod, { values: "plain" })),
  fmod: dividing(binary(noBool(promoted), () => (x, y) => x % y, { values: "plain" })),
  pow: (dice) => {
    const [x, y] = pair(dice, NUMBERS, "plain");
    const integral = !isFloat(resultType([x, y]));
    const negative = isModel(y) ? y.data.some((v) => v < 0) : Number(y) < 0;
    const expect = () => {
      const t = resultType([x, y]);
      const to = t === "bool" ? "int32" : t;
      if (integral && negative) refuse("negative powers of integers");
      return elementwise(
        [x, y],
        to,
        to,
        integral
          ? (p, q) => {
              let r = 1;
              for (let i = 0; i < q; i++) r = Math.imul(r, p);
              return r;
            }
          : power,
      );
    };
    return form(dice, [x], ["exponent"], { exponent: y }, integral && negative && isModel(y) ? null : expect, {
      loose: 20,
    });
  },
  maximum: binary(promoted, () => maximum),
  minimum: binary(promoted, () => minimum),
  atan2: binary(asFloat, () => Math.atan2),
  clamp: (dice) => {
    const x = tensorOf(dice);
    const min = perhaps(dice, 0.7, () => (dice.chance(0.1) ? null : bound(dice, x)));
    const max = perhaps(dice, 0.7, () => (dice.chance(0.1) ? null : bound(dice, x)));
    return form(dice, [x], ["min", "max"], { min, max }, clamped(x, min, max));
  },
  clampMin: (dice) => {
    const x = tensorOf(dice);
    const min = bound(dice, x);
    return form(dice, [x], ["min"], { min }, clamped(x, min, null));
  },
  clampMax: (dice) => {
    const x = tensorOf(dice);
    const max = bound(dice, x);
    return form(dice, [x], ["max"], { max }, clamped(x, null, max));
  },
  lerp: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, FLOATS), values: "plain" });
    const end = tensorOf(dice, { dtype: x.dtype, shape: partner(dice, x.shape), values: "plain" });
    const weight = dice.chance(0.6)
      ? dice.pick([0, 1, 0.5, 0.25, 2, -1])
      : tensorOf(dice, { dtype: x.dtype, shape: partner(dice, x.shape), values: "unit" });
    return form(
      dice,
      [x],
      ["end", "weight"],
      { end, weight },
      () => elementwise([x, end, weight], x.dtype, x.dtype, (p, q, w) => p + w * (q - p)),
      { loose: 5 },
    );
  },
  addcmul: (dice) => combined(dice, (x, a, b, s) => x + s * a * b, false),
  addcdiv: (dice) => combined(dice, (x, a, b, s) => x + (s * a) / b, true),

  eq: binary(compared, () => (x, y) => Number(x === y)),
  ne: binary(compared, () => (x, y) => Number(x !== y)),
  lt: binary(compared, () => (x, y) => Number(x < y)),
  le: binary(compared, () => (x, y) => Number(x <= y)),
  gt: binary(compared, () => (x, y) => Number(x > y)),
  ge: binary(compared, () => (x, y) => Number(x >= y)),
  logicalAnd: logical((x, y) => x && y),
  logicalOr: logical((x, y) => x || y),
  logicalXor: logical((x, y) => x !== y),
  bitwiseAnd: binary(bits, () => (x, y) => x & y, { dtypes: INTEGERS }),
  bitwiseOr: binary(bits, () => (x, y) => x | y, { dtypes: INTEGERS }),
  bitwiseXor: binary(bits, () => (x, y) => x ^ y, { dtypes: INTEGERS }),
  bitwiseLeftShift: shifted(true),
  bitwiseRightShift: shifted(false),

  // The method is asked of the input, or of a condition if the first argument is not bool itself.
  "x.where": (dice) => {
    const condition = tensorOf(dice, { dtype: "bool" });
    const input = tensorOf(dice, { shape: partner(dice, condition.shape) });
    const other = dice.chance(0.3)
      ? dice.pick([0, 1, -2, 0.5])
      : tensorOf(dice, { shape: partner(dice, condition.shape), dtype: dice.chance(0.8) ? input.dtype : dtype(dice) });
    const asked = input.dtype !== "bool" && dice.chance(0.5);
    return {
      args: asked ? [condition, input, other] : [input, condition, other],
      expect: () => {
        const t = resultType([input, other]);
        return elementwise([condition, input, other], ["bool", t, t], t, (c, p, q) => (c ? p : q));
      },
    };
  },
  where: (dice) => {
    const condition = tensorOf(dice, { dtype: "bool" });
    const type = dtype(dice);
    const operand = (): Given | number =>
      dice.chance(0.3)
        ? dice.pick([0, 1, -2, 0.5])
        : tensorOf(dice, { shape: partner(dice, condition.shape), dtype: dice.chance(0.8) ? type : dtype(dice) });
    const input = operand();
    const other = operand();
    return form(dice, [condition], ["input", "other"], { input, other }, () => {
      const t = resultType([input, other]);
      const to = !isModel(input) && !isModel(other) ? "float32" : t;
      return elementwise([condition, input, other], ["bool", to, to], to, (c, p, q) => (c ? p : q));
    });
  },
  maskedFill: (dice) => {
    const x = tensorOf(dice);
    const mask = tensorOf(dice, { dtype: "bool", shape: partner(dice, x.shape) });
    const fill = dice.pick([0, 1, -2, 0.5, -Infinity]);
    return form(dice, [x], ["mask", "value"], { mask, value: fill }, () => {
      if (!isFloat(x.dtype) && !Number.isInteger(fill)) refuse("not an integer");
      return elementwise([x, mask, fill], [x.dtype, "bool", x.dtype], x.dtype, (p, m, v) => (m ? v : p));
    });
  },
};

function logical(f: (x: boolean, y: boolean) => boolean): Generator {
  return binary(
    () => ({ compute: "bool", result: "bool" }),
    () => (x, y) => Number(f(x !== 0, y !== 0)),
  );
}

function combined(dice: Dice, f: (x: number, a: number, b: number, s: number) => number, divides: boolean): Sample {
  const types: readonly DType[] = divides ? FLOATS : [...FLOATS, "int32"];
  const x = tensorOf(dice, { dtype: dtype(dice, types), values: "plain" });
  const tensor1 = tensorOf(dice, { dtype: x.dtype, shape: partner(dice, x.shape), values: "plain" });
  const tensor2 = tensorOf(dice, {
    dtype: x.dtype,
    shape: partner(dice, x.shape),
    values: divides ? "positive" : "plain",
  });
  const factor = perhaps(dice, 0.4, () => dice.pick(category(x.dtype) === 2 ? [2, 0.5, -1] : [2, -1]));
  return form(dice, [x], ["tensor1", "tensor2"], { tensor1, tensor2, value: factor }, () =>
    elementwise([x, tensor1, tensor2, factor ?? 1], x.dtype, x.dtype, f),
  );
}

/** A number of a dtype, for fills. */
export function fillFor(dice: Dice, type: DType): number | boolean {
  return type === "bool" ? dice.chance(0.5) : value(dice, type, "plain");
}

export { shape };
