/** Elementwise functions beyond arithmetic: of one operand with parameters, and of two operands. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { record } from "../autograd/tape.ts";
import { isFloat, type DType } from "../dtype.ts";
import { ArgumentError, DTypeError } from "../errors.ts";
import type { Builder, Value } from "../graph/builder.ts";
import type { Tensor } from "../tensor.ts";
import { checkFloating, checkTensor, isTensor } from "./apply.ts";
import { checkOperand, elementwise, recordOperands, resultType, wrt, type Operand } from "./elementwise.ts";

const OTHER = signature<{ other: Operand }>()("other", ["other"]);
type OtherArgs = ArgsOf<typeof OTHER>;

function otherOf(name: string, input: Operand, args: OtherArgs): Operand {
  checkOperand(name, "input", input);
  return checkOperand(name, "other", parse({ ...OTHER, name }, args).other);
}

function floatType(dtype: DType): DType {
  return isFloat(dtype) ? dtype : "float32";
}

function isNaNValue(k: Builder, x: Value): Value {
  return k.test("isnan", x);
}

/** Absolute value as a tensor or a number. */
function tensorOf(like: Tensor, value: Operand): Tensor {
  return isTensor(value) ? value : like.detach().newFull([], Number(value));
}

const LOGIT = signature<{ eps?: number | null }>()("logit", ["eps"]);

/** `log(x / (1 - x))`; with `eps`, x is kept within [eps, 1 - eps]. */
export function logit(input: Tensor, ...args: ArgsOf<typeof LOGIT>): Tensor {
  const { eps = null } = parse(LOGIT, args, input);
  const x = isFloat(input.dtype) ? input : input.to("float32");
  const { dtype } = x;
  const bounded = eps !== null;
  const out = elementwise(
    `logit:${bounded}`,
    7,
    bounded ? [x, eps, 1 - eps] : [x],
    dtype,
    dtype,
    (k, [v, low, high]) => {
      const p = bounded ? k.bin("min", k.bin("max", v!, low!), high!) : v!;
      return k.un("log", k.div(p, k.sub(k.lit(1, p), p)));
    },
  );
  record("LogitBackward0", out, [
    [
      x,
      [x],
      (g, p) => {
        const slope = g.div(p.mul(p.neg().add(1)));
        if (bounded) return slope.maskedFill(p.lt(eps).logicalOr(p.gt(1 - eps)), 0);
        return slope.maskedFill(p.lt(0).logicalOr(p.gt(1)), NaN);
      },
    ],
  ]);
  return out;
}

const NAN_TO_NUM = signature<{ nan?: number | null; posinf?: number | null; neginf?: number | null }>()("nanToNum", [
  "nan",
  "posinf",
  "neginf",
]);

/** Largest finite number of a dtype. */
const LARGEST: Partial<Record<DType, number>> = {
  float16: 65504,
  float32: 3.4028234663852886e38,
  float64: Number.MAX_VALUE,
};

/** NaN and infinities replaced: by 0 and the largest finite numbers unless said otherwise. */
export function nanToNum(input: Tensor, ...args: ArgsOf<typeof NAN_TO_NUM>): Tensor {
  const { nan, posinf, neginf } = parse(NAN_TO_NUM, args, input);
  const { dtype } = input;
  if (!isFloat(dtype)) return input.detach().clone();
  const largest = LARGEST[dtype]!;
  const numbers = [nan ?? 0, posinf ?? largest, neginf ?? -largest];
  const out = elementwise("nanToNum", 5, [input, ...numbers], dtype, dtype, (k, [x, n, p, m]) => {
    const infinite = k.select(k.compare("gt", x!, k.lit(0, x!)), p!, m!);
    return k.select(isNaNValue(k, x!), n!, k.select(k.test("isinf", x!), infinite, x!));
  });
  record("NanToNumBackward0", out, [[input, [input], (g, x) => g.maskedFill(x.isfinite().logicalNot(), 0)]]);
  return out;
}

/** `input * log(other)`, and 0 where the input is 0 (unless `other` is NaN). */
export function xlogy(input: Operand, ...args: OtherArgs): Tensor {
  const other = otherOf("xlogy", input, args);
  const dtype = floatType(resultType(input, other));
  const out = elementwise("xlogy", 6, [input, other], dtype, dtype, (k, [x, y]) => weightedLog(k, x!, y!, "log"));
  recordOperands("XlogyBackward0", out, [
    wrt(input, [input, other], (g, x, y) => {
      const [a, b] = [tensorOf(g, x), tensorOf(g, y)];
      return g.mul(b.log().maskedFill(a.eq(0).logicalAnd(b.le(0)), 0));
    }),
    wrt(other, [input, other], (g, x, y) => g.mul(tensorOf(g, x).div(tensorOf(g, y)))),
  ]);
  return out;
}

/** `input * log1p(other)`, and 0 where the input is 0 (unless `other` is NaN). */
export function xlog1py(input: Operand, ...args: OtherArgs): Tensor {
  const other = otherOf("xlog1py", input, args);
  const dtype = floatType(resultType(input, other));
  const out = elementwise("xlog1py", 7, [input, other], dtype, dtype, (k, [x, y]) => weightedLog(k, x!, y!, "log1p"));
  recordOperands("SpecialXlog1PyBackward0", out, [
    wrt(input, [input, other], (g, x, y) => {
      const [a, b] = [tensorOf(g, x), tensorOf(g, y)];
      return g.mul(b.log1p().maskedFill(a.eq(0).logicalAnd(b.le(-1)), 0));
    }),
    wrt(other, [input, other], (g, x, y) => g.mul(tensorOf(g, x).div(tensorOf(g, y).add(1)))),
  ]);
  return out;
}

function weightedLog(k: Builder, x: Value, y: Value, log: "log" | "log1p"): Value {
  const zero = k.lit(0, x);
  const plain = k.select(k.compare("eq", x, zero), zero, k.mul(x, k.un(log, y)));
  return k.select(isNaNValue(k, y), y, plain);
}

/** `sqrt(input^2 + other^2)` without overflow on the way. */
export function hypot(input: Tensor, ...args: OtherArgs): Tensor {
  const other = otherOf("hypot", input, args);
  const dtype = resultType(input, other);
  if (!isFloat(dtype)) throw new DTypeError(`hypot: expected floating point operands, got ${dtype}`);
  const out = elementwise("hypot", 8, [input, other], dtype, dtype, (k, [x, y]) => {
    const [a, b] = [k.un("abs", x!), k.un("abs", y!)];
    const large = k.bin("max", a, b);
    const small = k.bin("min", a, b);
    const ratio = k.div(small, large);
    const value = k.mul(large, k.un("sqrt", k.add(k.lit(1, a), k.mul(ratio, ratio))));
    const plain = k.select(k.compare("eq", large, k.lit(0, a)), large, value);
    // An infinite operand makes the ratio of two infinities NaN; the result is infinite all the same.
    return k.select(k.or(k.test("isinf", a), k.test("isinf", b)), k.lit(Infinity, a), plain);
  });
  recordOperands("HypotBackward0", out, [
    wrt(input, [input, out], (g, x, y) => g.mul(x.div(y))),
    wrt(other, [other, out], (g, x, y) => g.mul(tensorOf(g, x).div(y))),
  ]);
  return out;
}

function logAddition(name: "logaddexp" | "logaddexp2", exp: "exp" | "exp2", scale: number) {
  return (input: Tensor, ...args: OtherArgs): Tensor => {
    const other = otherOf(name, input, args);
    const dtype = resultType(input, other);
    if (!isFloat(dtype)) throw new DTypeError(`${name}: expected floating point operands, got ${dtype}`);
    const out = elementwise(name, 12, [input, other], dtype, dtype, (k, [x, y]) => {
      const large = k.bin("max", x!, y!);
      const small = k.bin("min", x!, y!);
      const rest = k.un("log1p", k.un(exp, k.sub(small, large)));
      const value = k.add(large, scale === 1 ? rest : k.mul(rest, k.lit(scale, rest)));
      return k.select(k.and(k.test("isinf", x!), k.compare("eq", x!, y!)), x!, value);
    });
    const share = (g: Tensor, own: Tensor, all: Tensor): Tensor =>
      g.mul(exp === "exp" ? own.sub(all).exp() : own.sub(all).exp2());
    const entry = name === "logaddexp" ? "LogaddexpBackward0" : "Logaddexp2Backward0";
    recordOperands(entry, out, [
      wrt(input, [input, out], (g, x, y) => share(g, x, y)),
      wrt(other, [other, out], (g, x, y) => share(g, tensorOf(g, x), y)),
    ]);
    return out;
  };
}

/** `log(exp(input) + exp(other))` without overflow. */
export const logaddexp = logAddition("logaddexp", "exp", 1);
/** `log2(2^input + 2^other)` without overflow. */
export const logaddexp2 = logAddition("logaddexp2", "exp2", Math.LOG2E);

/** True where a number's sign bit is set, -0 among them. */
function negativeValue(k: Builder, x: Value): Value {
  const type = k.type(x);
  const zero = k.lit(0, x);
  if (type !== "f" && type !== "d") return type === "b" ? k.lit(0, "b") : k.compare("lt", x, zero);
  const reciprocal = k.div(k.lit(1, x), x);
  return k.or(k.compare("lt", x, zero), k.and(k.compare("eq", x, zero), k.compare("lt", reciprocal, zero)));
}

/** True where the sign bit is set: for negative numbers and -0. */
export function signbit(input: Tensor): Tensor {
  checkTensor("signbit", "input", input);
  return elementwise("signbit", 3, [input], input.dtype, "bool", (k, [x]) => negativeValue(k, x!));
}

/** The size of the input with the sign of `other`, -0 counting as negative. */
export function copysign(input: Tensor, ...args: OtherArgs): Tensor {
  const other = otherOf("copysign", input, args);
  const dtype = floatType(resultType(input, other));
  const out = elementwise("copysign", 4, [input, other], dtype, dtype, (k, [x, y]) => {
    const size = k.un("abs", x!);
    return k.select(negativeValue(k, y!), k.neg(size), size);
  });
  recordOperands("CopysignBackward0", out, [
    wrt(input, [input, out], (g, x, y) => g.mul(y.div(x).maskedFill(x.eq(0), 0))),
    wrt(other, [], (g) => g.zerosLike()),
  ]);
  return out;
}

const HEAVISIDE = signature<{ values: Tensor }>()("heaviside", ["values"]);

/** 0 for negative elements, 1 for positive ones, `values` at zero. */
export function heaviside(input: Tensor, ...args: ArgsOf<typeof HEAVISIDE>): Tensor {
  const values = checkOperand("heaviside", "values", parse(HEAVISIDE, args, input).values);
  const dtype = resultType(input, values);
  if (isTensor(values) && values.dtype !== input.dtype)
    throw new DTypeError(
      `heaviside: is not yet implemented for tensors with different dtypes, got ${input.dtype} and ${values.dtype}`,
    );
  return elementwise("heaviside", 2, [input, values], dtype, dtype, (k, [x, v]) => {
    if (k.type(x!) === "b") return k.or(x!, v!);
    const zero = k.lit(0, x!);
    const step = k.select(k.compare("lt", x!, zero), zero, k.lit(1, x!));
    const chosen = k.select(k.compare("eq", x!, zero), v!, step);
    return k.type(x!) === "i" ? chosen : k.select(isNaNValue(k, x!), zero, chosen);
  });
}

function ignoringNaN(name: "fmax" | "fmin", prim: "max" | "min") {
  return (input: Tensor, ...args: OtherArgs): Tensor => {
    const other = otherOf(name, input, args);
    const dtype = resultType(input, other);
    const out = elementwise(name, 3, [input, other], dtype, dtype, (k, [x, y]) => {
      if (k.type(x!) === "b") return prim === "max" ? k.or(x!, y!) : k.and(x!, y!);
      const best = k.bin(prim, x!, y!);
      return k.select(isNaNValue(k, x!), y!, k.select(isNaNValue(k, y!), x!, best));
    });
    const first = (x: Tensor, y: Operand): Tensor => {
      const wins = prim === "max" ? x.ge(y) : x.le(y);
      return isTensor(y) ? wins.logicalOr(y.isnan()) : wins;
    };
    recordOperands(`${name === "fmax" ? "Fmax" : "Fmin"}Backward0`, out, [
      wrt(input, [input, other], (g, x, y) => g.maskedFill(first(x, y).logicalNot(), 0)),
      wrt(other, [input, other], (g, x, y) => g.maskedFill(first(x, y), 0)),
    ]);
    return out;
  };
}

/** The larger of two elements, NaN only where both are. */
export const fmax = ignoringNaN("fmax", "max");
/** The smaller of two elements, NaN only where both are. */
export const fmin = ignoringNaN("fmin", "min");

const LDEXP = signature<{ other: Operand }>()("ldexp", ["other"]);

/** `input * 2^other`. */
export function ldexp(input: Tensor, ...args: ArgsOf<typeof LDEXP>): Tensor {
  const other = checkOperand("ldexp", "other", parse(LDEXP, args, input).other);
  const own: DType = isFloat(input.dtype) ? input.dtype : "float32";
  // Powers of two are floats, whatever the exponent is.
  if (!isTensor(other)) return input.to(own).mul(2 ** Number(other));
  return input.mul((isFloat(other.dtype) ? other : other.to(own)).exp2());
}

const FLOAT_POWER = signature<{ exponent: Operand }>()("floatPower", ["exponent"]);

/** `pow` in the widest floating dtype of the device: float64 on the CPU, float32 elsewhere. */
export function floatPower(input: Tensor, ...args: ArgsOf<typeof FLOAT_POWER>): Tensor {
  const exponent = checkOperand("floatPower", "exponent", parse(FLOAT_POWER, args, input).exponent);
  const wide: DType = input.impl.backend.supports("float64") ? "float64" : "float32";
  return input.to(wide).pow(isTensor(exponent) ? exponent.to(wide) : exponent);
}

function divisors(name: "gcd" | "lcm") {
  return (input: Tensor, ...args: OtherArgs): Tensor => {
    const other = otherOf(name, input, args);
    const dtype = resultType(input, other);
    if (isFloat(dtype) || dtype === "bool") throw new DTypeError(`${name}: expected integer operands, got ${dtype}`);
    return elementwise(name, 60, [input, other], dtype, dtype, (k, [x, y]) => {
      const zero = k.lit(0, x!);
      const divisor = greatestDivisor(k, k.un("abs", x!), k.un("abs", y!));
      if (name === "gcd") return divisor;
      // The least common multiple of anything and zero is zero.
      const quotient = k.bin("idiv", x!, k.select(k.compare("eq", divisor, zero), k.lit(1, x!), divisor));
      return k.un("abs", k.mul(quotient, y!));
    });
  };
}

/** Euclid's algorithm unrolled: int32 operands need at most 46 steps (Fibonacci numbers are the worst case). */
function greatestDivisor(k: Builder, x: Value, y: Value): Value {
  const zero = k.lit(0, x);
  const one = k.lit(1, x);
  let [a, b] = [x, y];
  for (let i = 0; i < 46; i++) {
    const done = k.compare("eq", b, zero);
    const rest = k.bin("rem", a, k.select(done, one, b));
    [a, b] = [k.select(done, a, b), k.select(done, zero, rest)];
  }
  return a;
}

/** Greatest common divisor of integers, not negative. */
export const gcd = divisors("gcd");
/** Least common multiple of integers, not negative. */
export const lcm = divisors("lcm");

const MVLGAMMA = signature<{ p: number }>()("mvlgamma", ["p"]);

/** Most terms of a multivariate gamma function. */
const MOST_DIMENSIONS = 1000;

/** Logarithm of the multivariate gamma function of dimension `p`. */
export function mvlgamma(input: Tensor, ...args: ArgsOf<typeof MVLGAMMA>): Tensor {
  const { p } = parse(MVLGAMMA, args, input);
  if (!Number.isInteger(p) || p < 1)
    throw new ArgumentError(`mvlgamma: p has to be greater than or equal to 1, got ${describeValue(p)}`);
  if (p > MOST_DIMENSIONS)
    throw new ArgumentError(`mvlgamma: p up to ${MOST_DIMENSIONS} is supported, as it is a sum of p terms; got ${p}`);
  const x = isFloat(input.dtype) ? input : input.to("float32");
  checkFloating("mvlgamma", x);
  let sum = x.lgamma();
  for (let j = 1; j < p; j++) sum = sum.add(x.sub(j / 2).lgamma());
  return sum.add((p * (p - 1) * Math.log(Math.PI)) / 4);
}
