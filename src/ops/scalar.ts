/**
 * Elementwise operations of one operand: a row is the lowering to primitives, the derivative, and what that saves.
 * Derivatives are `derivatives.yaml`'s of PyTorch unless a comment says otherwise.
 */

import type { Builder, Value } from "../graph/builder.ts";
import type { Primitive } from "../graph/kernel.ts";
import type { Tensor } from "../tensor.ts";

/** How an operation of one operand computes and differentiates. */
export interface UnaryRow {
  /** Dtype of the result: the operand's, float32 for integers and bool, or bool. */
  readonly result: "same" | "float" | "bool";
  /** Rough number of primitives (transcendental functions count several). */
  readonly cost: number;
  readonly lower: (b: Builder, x: Value, scalars: readonly Value[]) => Value;
  /** What the derivative is computed from: the operand, the result, or neither. */
  readonly saves: "x" | "y" | "nothing";
  /** Gradient of the operand; absent where the operation is not differentiable. */
  readonly grad?: (g: Tensor, saved: Tensor, scalars: readonly number[]) => Tensor;
  /** PyTorch's name of the tape entry where it is not the operation's own. */
  readonly backward?: string;
  /** Refuses bool operands, as PyTorch does. */
  readonly noBool?: true;
}

const prim =
  (op: Primitive) =>
  (b: Builder, x: Value): Value =>
    b.un(op, x);

/** A function whose gradient is zero everywhere that it has one. */
const flat = (g: Tensor): Tensor => g.zerosLike();

/** Rounding functions leave integers alone. */
const rounding =
  (op: Primitive) =>
  (b: Builder, x: Value): Value =>
    isFloatValue(b, x) ? b.un(op, x) : x;

function isFloatValue(b: Builder, x: Value): boolean {
  return b.type(x) === "f" || b.type(x) === "d";
}

const SQRT_HALF = Math.SQRT1_2;
/** sqrt(2 / pi) */
const GELU_SCALE = Math.sqrt(2 / Math.PI);
const GELU_CUBIC = 0.044715;

/** The table. Keys are the public names. */
export const UNARY = {
  neg: { result: "same", cost: 1, lower: prim("neg"), saves: "nothing", grad: (g) => g.neg(), noBool: true },
  positive: { result: "same", cost: 0, lower: (_, x) => x, saves: "nothing", grad: (g) => g, noBool: true },
  abs: {
    result: "same",
    cost: 1,
    lower: (b, x) => (b.type(x) === "b" ? x : b.un("abs", x)),
    saves: "x",
    grad: (g, x) => g.mul(x.sign()),
  },
  sign: {
    result: "same",
    cost: 1,
    lower: (b, x) => (b.type(x) === "b" ? x : b.un("sign", x)),
    saves: "nothing",
    grad: flat,
  },
  square: {
    result: "same",
    cost: 1,
    lower: (b, x) => (b.type(x) === "b" ? x : b.mul(x, x)),
    saves: "x",
    grad: (g, x) => g.mul(x.mul(2)),
    backward: "PowBackward0",
  },
  reciprocal: {
    result: "float",
    cost: 1,
    lower: (b, x) => b.div(b.lit(1, x), x),
    saves: "y",
    grad: (g, y) => g.neg().mul(y.mul(y)),
  },
  sqrt: { result: "float", cost: 2, lower: prim("sqrt"), saves: "y", grad: (g, y) => g.div(y.mul(2)) },
  rsqrt: { result: "float", cost: 2, lower: prim("rsqrt"), saves: "y", grad: (g, y) => g.mul(-0.5).mul(y.pow(3)) },
  exp: { result: "float", cost: 4, lower: prim("exp"), saves: "y", grad: (g, y) => g.mul(y) },
  exp2: { result: "float", cost: 4, lower: prim("exp2"), saves: "y", grad: (g, y) => g.mul(y).mul(Math.LN2) },
  expm1: { result: "float", cost: 5, lower: prim("expm1"), saves: "y", grad: (g, y) => g.mul(y.add(1)) },
  log: { result: "float", cost: 4, lower: prim("log"), saves: "x", grad: (g, x) => g.div(x) },
  log2: { result: "float", cost: 4, lower: prim("log2"), saves: "x", grad: (g, x) => g.div(x.mul(Math.LN2)) },
  log10: { result: "float", cost: 4, lower: prim("log10"), saves: "x", grad: (g, x) => g.div(x.mul(Math.LN10)) },
  log1p: {
    result: "float",
    cost: 5,
    lower: prim("log1p"),
    saves: "x",
    grad: (g, x) => g.div(x.add(1)),
    backward: "Log1PBackward0",
  },
  sin: { result: "float", cost: 6, lower: prim("sin"), saves: "x", grad: (g, x) => g.mul(x.cos()) },
  cos: { result: "float", cost: 6, lower: prim("cos"), saves: "x", grad: (g, x) => g.mul(x.sin().neg()) },
  tan: { result: "float", cost: 8, lower: prim("tan"), saves: "y", grad: (g, y) => g.mul(y.square().add(1)) },
  asin: {
    result: "float",
    cost: 6,
    lower: prim("asin"),
    saves: "x",
    grad: (g, x) => g.mul(x.mul(x).neg().add(1).rsqrt()),
  },
  acos: {
    result: "float",
    cost: 6,
    lower: prim("acos"),
    saves: "x",
    grad: (g, x) => g.mul(x.mul(x).neg().add(1).rsqrt().neg()),
  },
  atan: { result: "float", cost: 6, lower: prim("atan"), saves: "x", grad: (g, x) => g.div(x.mul(x).add(1)) },
  sinh: { result: "float", cost: 6, lower: prim("sinh"), saves: "x", grad: (g, x) => g.mul(x.cosh()) },
  cosh: { result: "float", cost: 6, lower: prim("cosh"), saves: "x", grad: (g, x) => g.mul(x.sinh()) },
  tanh: { result: "float", cost: 5, lower: prim("tanh"), saves: "y", grad: (g, y) => g.mul(y.square().neg().add(1)) },
  asinh: {
    result: "float",
    cost: 6,
    lower: prim("asinh"),
    saves: "x",
    grad: (g, x) => g.mul(x.square().add(1).rsqrt()),
  },
  acosh: {
    result: "float",
    cost: 6,
    lower: prim("acosh"),
    saves: "x",
    grad: (g, x) => g.mul(x.square().sub(1).rsqrt()),
  },
  atanh: { result: "float", cost: 6, lower: prim("atanh"), saves: "x", grad: (g, x) => g.div(x.square().neg().add(1)) },
  erf: {
    result: "float",
    cost: 8,
    lower: prim("erf"),
    saves: "x",
    grad: (g, x) =>
      g.mul(
        x
          .square()
          .neg()
          .exp()
          .mul(2 / Math.sqrt(Math.PI)),
      ),
  },
  erfc: {
    result: "float",
    cost: 8,
    lower: prim("erfc"),
    saves: "x",
    grad: (g, x) =>
      g.mul(
        x
          .square()
          .neg()
          .exp()
          .mul(-2 / Math.sqrt(Math.PI)),
      ),
  },
  erfinv: {
    result: "float",
    cost: 10,
    lower: prim("erfinv"),
    saves: "y",
    grad: (g, y) =>
      g.mul(
        y
          .square()
          .exp()
          .mul(Math.sqrt(Math.PI) / 2),
      ),
  },
  lgamma: { result: "float", cost: 12, lower: prim("lgamma"), saves: "x", grad: (g, x) => g.mul(x.digamma()) },
  digamma: { result: "float", cost: 12, lower: prim("digamma"), saves: "x", grad: (g, x) => g.mul(x.polygamma(1)) },
  /** Derivative of digamma: sum over k of 1 / (x + k)^2, by recurrence to large arguments and their asymptotic series. */
  trigamma: {
    result: "float",
    cost: 60,
    lower: (b, x) => {
      const one = b.lit(1, x);
      const half = b.lit(0.5, x);
      const low = b.compare("lt", x, half);
      const z = b.select(low, b.sub(one, x), x);
      let sum = b.lit(0, x);
      let shifted = z;
      for (let k = 0; k < 10; k++) {
        sum = b.add(sum, b.div(one, b.mul(shifted, shifted)));
        shifted = b.add(shifted, one);
      }
      const r = b.div(one, b.mul(shifted, shifted));
      // Bernoulli numbers: 1/6, -1/30, 1/42, -1/30, 5/66, -691/2730.
      let series = b.lit(-691 / 2730, x);
      for (const c of [5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6]) series = b.add(b.lit(c, x), b.mul(r, series));
      const tail = b.div(b.add(b.add(one, b.mul(half, b.div(one, shifted))), b.mul(r, series)), shifted);
      const value = b.add(sum, tail);
      const s = b.un("sin", b.mul(b.lit(Math.PI, x), x));
      const reflected = b.sub(b.div(b.lit(Math.PI * Math.PI, x), b.mul(s, s)), value);
      return b.select(low, reflected, value);
    },
    saves: "x",
    grad: (g, x) => g.mul(x.polygamma(2)),
    backward: "PolygammaBackward0",
  },
  sigmoid: {
    result: "float",
    cost: 6,
    lower: (b, x) => {
      const one = b.lit(1, x);
      return b.div(one, b.add(one, b.un("exp", b.neg(x))));
    },
    saves: "y",
    grad: (g, y) => g.mul(y.mul(y.neg().add(1))),
  },
  relu: {
    result: "same",
    cost: 1,
    lower: (b, x) => b.select(b.compare("le", x, b.lit(0, x)), b.lit(0, x), x),
    saves: "y",
    grad: (g, y) => g.maskedFill(y.le(0), 0),
    noBool: true,
  },
  silu: {
    result: "float",
    cost: 7,
    lower: (b, x) => b.div(x, b.add(b.lit(1, x), b.un("exp", b.neg(x)))),
    saves: "x",
    grad: (g, x) => {
      const s = x.sigmoid();
      return g.mul(s.mul(x.mul(s.neg().add(1)).add(1)));
    },
  },
  /** 0.5 x (1 + erf(x / sqrt 2)) */
  gelu: {
    result: "float",
    cost: 10,
    lower: (b, x) => b.mul(b.mul(x, b.lit(0.5, x)), b.add(b.lit(1, x), b.un("erf", b.mul(x, b.lit(SQRT_HALF, x))))),
    saves: "x",
    grad: (g, x) => {
      const cdf = x.mul(SQRT_HALF).erf().add(1).mul(0.5);
      const pdf = x
        .square()
        .mul(-0.5)
        .exp()
        .mul(1 / Math.sqrt(2 * Math.PI));
      return g.mul(cdf.add(x.mul(pdf)));
    },
  },
  /** 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
  geluTanh: {
    result: "float",
    cost: 10,
    lower: (b, x) => {
      const cubic = b.mul(b.lit(GELU_CUBIC, x), b.mul(x, b.mul(x, x)));
      const t = b.un("tanh", b.mul(b.lit(GELU_SCALE, x), b.add(x, cubic)));
      return b.mul(b.mul(x, b.lit(0.5, x)), b.add(b.lit(1, x), t));
    },
    saves: "x",
    grad: (g, x) => {
      const t = x.add(x.pow(3).mul(GELU_CUBIC)).mul(GELU_SCALE).tanh();
      const inner = x
        .square()
        .mul(3 * GELU_CUBIC)
        .add(1)
        .mul(GELU_SCALE);
      const slope = t.square().neg().add(1).mul(inner).mul(x).mul(0.5);
      return g.mul(t.add(1).mul(0.5).add(slope));
    },
    backward: "GeluBackward0",
  },
  floor: { result: "same", cost: 1, lower: rounding("floor"), saves: "nothing", grad: flat, noBool: true },
  ceil: { result: "same", cost: 1, lower: rounding("ceil"), saves: "nothing", grad: flat, noBool: true },
  round: { result: "same", cost: 1, lower: rounding("round"), saves: "nothing", grad: flat, noBool: true },
  trunc: { result: "same", cost: 1, lower: rounding("trunc"), saves: "nothing", grad: flat, noBool: true },
  frac: {
    result: "same",
    noBool: true,
    cost: 2,
    lower: (b, x) => b.sub(x, b.un("trunc", x)),
    saves: "nothing",
    grad: (g) => g,
  },
  deg2rad: {
    result: "float",
    cost: 1,
    lower: (b, x) => b.mul(x, b.lit(Math.PI / 180, x)),
    saves: "nothing",
    grad: (g) => g.mul(Math.PI / 180),
    backward: "Deg2RadBackward0",
  },
  rad2deg: {
    result: "float",
    cost: 1,
    lower: (b, x) => b.mul(x, b.lit(180 / Math.PI, x)),
    saves: "nothing",
    grad: (g) => g.mul(180 / Math.PI),
    backward: "Rad2DegBackward0",
  },
  isnan: { result: "bool", cost: 1, lower: (b, x) => b.test("isnan", x), saves: "nothing" },
  isinf: { result: "bool", cost: 1, lower: (b, x) => b.test("isinf", x), saves: "nothing" },
  isfinite: {
    result: "bool",
    cost: 3,
    lower: (b, x) => b.not(b.or(b.test("isnan", x), b.test("isinf", x))),
    saves: "nothing",
  },
  isposinf: {
    result: "bool",
    cost: 2,
    lower: (b, x) => (isFloatValue(b, x) ? b.and(b.test("isinf", x), b.compare("gt", x, b.lit(0, x))) : b.lit(0, "b")),
    saves: "nothing",
  },
  isneginf: {
    result: "bool",
    cost: 2,
    lower: (b, x) => (isFloatValue(b, x) ? b.and(b.test("isinf", x), b.compare("lt", x, b.lit(0, x))) : b.lit(0, "b")),
    saves: "nothing",
  },
  logicalNot: { result: "bool", cost: 1, lower: (b, x) => b.not(b.cast(x, "b")), saves: "nothing" },
  bitwiseNot: {
    result: "same",
    cost: 1,
    lower: (b, x) => (b.type(x) === "b" ? b.not(x) : b.un("bnot", x)),
    saves: "nothing",
  },
} as const satisfies Record<string, UnaryRow>;
