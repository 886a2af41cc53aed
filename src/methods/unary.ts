/** Methods: elementwise functions of one tensor. Shapes stay; integers and bool become float32 where the result is not an integer. */

import { inPlace } from "../autograd/inplace.ts";
import { polygamma } from "../ops/polygamma.ts";
import { unary } from "../ops/elementwise.ts";
import type { Tensor } from "../tensor.ts";
import { TensorBase } from "./core.ts";

/** Elementwise functions of one tensor. */
export class UnaryMethods extends TensorBase {
  /** Negative of each element. */
  neg(this: Tensor): Tensor {
    return unary("neg", this);
  }

  /** `neg` in place. */
  neg_(this: Tensor): Tensor {
    return inPlace("neg_", this, (x) => unary("neg", x));
  }

  /** Alias of `neg`. */
  negative(this: Tensor): Tensor {
    return unary("neg", this);
  }

  /** `negative` in place. */
  negative_(this: Tensor): Tensor {
    return inPlace("negative_", this, (x) => unary("neg", x));
  }

  /** Each element as it is. */
  positive(this: Tensor): Tensor {
    return unary("positive", this);
  }

  /** Absolute value of each element. */
  abs(this: Tensor): Tensor {
    return unary("abs", this);
  }

  /** `abs` in place. */
  abs_(this: Tensor): Tensor {
    return inPlace("abs_", this, (x) => unary("abs", x));
  }

  /** Alias of `abs`. */
  absolute(this: Tensor): Tensor {
    return unary("abs", this);
  }

  /** `absolute` in place. */
  absolute_(this: Tensor): Tensor {
    return inPlace("absolute_", this, (x) => unary("abs", x));
  }

  /** Sign of each element: -1, 0 or 1 (NaN stays NaN). */
  sign(this: Tensor): Tensor {
    return unary("sign", this);
  }

  /** `sign` in place. */
  sign_(this: Tensor): Tensor {
    return inPlace("sign_", this, (x) => unary("sign", x));
  }

  /** Alias of `sign`. */
  sgn(this: Tensor): Tensor {
    return unary("sign", this);
  }

  /** `sgn` in place. */
  sgn_(this: Tensor): Tensor {
    return inPlace("sgn_", this, (x) => unary("sign", x));
  }

  /** Square of each element. */
  square(this: Tensor): Tensor {
    return unary("square", this);
  }

  /** `square` in place. */
  square_(this: Tensor): Tensor {
    return inPlace("square_", this, (x) => unary("square", x));
  }

  /** 1 / x for each element. */
  reciprocal(this: Tensor): Tensor {
    return unary("reciprocal", this);
  }

  /** `reciprocal` in place. */
  reciprocal_(this: Tensor): Tensor {
    return inPlace("reciprocal_", this, (x) => unary("reciprocal", x));
  }

  /** Square root of each element. */
  sqrt(this: Tensor): Tensor {
    return unary("sqrt", this);
  }

  /** `sqrt` in place. */
  sqrt_(this: Tensor): Tensor {
    return inPlace("sqrt_", this, (x) => unary("sqrt", x));
  }

  /** 1 / sqrt(x) for each element. */
  rsqrt(this: Tensor): Tensor {
    return unary("rsqrt", this);
  }

  /** `rsqrt` in place. */
  rsqrt_(this: Tensor): Tensor {
    return inPlace("rsqrt_", this, (x) => unary("rsqrt", x));
  }

  /** e to the power of each element. */
  exp(this: Tensor): Tensor {
    return unary("exp", this);
  }

  /** `exp` in place. */
  exp_(this: Tensor): Tensor {
    return inPlace("exp_", this, (x) => unary("exp", x));
  }

  /** 2 to the power of each element. */
  exp2(this: Tensor): Tensor {
    return unary("exp2", this);
  }

  /** `exp2` in place. */
  exp2_(this: Tensor): Tensor {
    return inPlace("exp2_", this, (x) => unary("exp2", x));
  }

  /** exp(x) - 1 for each element, exact for small ones. */
  expm1(this: Tensor): Tensor {
    return unary("expm1", this);
  }

  /** `expm1` in place. */
  expm1_(this: Tensor): Tensor {
    return inPlace("expm1_", this, (x) => unary("expm1", x));
  }

  /** Natural logarithm of each element. */
  log(this: Tensor): Tensor {
    return unary("log", this);
  }

  /** `log` in place. */
  log_(this: Tensor): Tensor {
    return inPlace("log_", this, (x) => unary("log", x));
  }

  /** Logarithm to base 2 of each element. */
  log2(this: Tensor): Tensor {
    return unary("log2", this);
  }

  /** `log2` in place. */
  log2_(this: Tensor): Tensor {
    return inPlace("log2_", this, (x) => unary("log2", x));
  }

  /** Logarithm to base 10 of each element. */
  log10(this: Tensor): Tensor {
    return unary("log10", this);
  }

  /** `log10` in place. */
  log10_(this: Tensor): Tensor {
    return inPlace("log10_", this, (x) => unary("log10", x));
  }

  /** log(1 + x) for each element, exact for small ones. */
  log1p(this: Tensor): Tensor {
    return unary("log1p", this);
  }

  /** `log1p` in place. */
  log1p_(this: Tensor): Tensor {
    return inPlace("log1p_", this, (x) => unary("log1p", x));
  }

  /** Sine of each element, in radians. */
  sin(this: Tensor): Tensor {
    return unary("sin", this);
  }

  /** `sin` in place. */
  sin_(this: Tensor): Tensor {
    return inPlace("sin_", this, (x) => unary("sin", x));
  }

  /** Cosine of each element, in radians. */
  cos(this: Tensor): Tensor {
    return unary("cos", this);
  }

  /** `cos` in place. */
  cos_(this: Tensor): Tensor {
    return inPlace("cos_", this, (x) => unary("cos", x));
  }

  /** Tangent of each element, in radians. */
  tan(this: Tensor): Tensor {
    return unary("tan", this);
  }

  /** `tan` in place. */
  tan_(this: Tensor): Tensor {
    return inPlace("tan_", this, (x) => unary("tan", x));
  }

  /** Inverse sine of each element, in radians. */
  asin(this: Tensor): Tensor {
    return unary("asin", this);
  }

  /** `asin` in place. */
  asin_(this: Tensor): Tensor {
    return inPlace("asin_", this, (x) => unary("asin", x));
  }

  /** Alias of `asin`. */
  arcsin(this: Tensor): Tensor {
    return unary("asin", this);
  }

  /** `arcsin` in place. */
  arcsin_(this: Tensor): Tensor {
    return inPlace("arcsin_", this, (x) => unary("asin", x));
  }

  /** Inverse cosine of each element, in radians. */
  acos(this: Tensor): Tensor {
    return unary("acos", this);
  }

  /** `acos` in place. */
  acos_(this: Tensor): Tensor {
    return inPlace("acos_", this, (x) => unary("acos", x));
  }

  /** Alias of `acos`. */
  arccos(this: Tensor): Tensor {
    return unary("acos", this);
  }

  /** `arccos` in place. */
  arccos_(this: Tensor): Tensor {
    return inPlace("arccos_", this, (x) => unary("acos", x));
  }

  /** Inverse tangent of each element, in radians. */
  atan(this: Tensor): Tensor {
    return unary("atan", this);
  }

  /** `atan` in place. */
  atan_(this: Tensor): Tensor {
    return inPlace("atan_", this, (x) => unary("atan", x));
  }

  /** Alias of `atan`. */
  arctan(this: Tensor): Tensor {
    return unary("atan", this);
  }

  /** `arctan` in place. */
  arctan_(this: Tensor): Tensor {
    return inPlace("arctan_", this, (x) => unary("atan", x));
  }

  /** Hyperbolic sine of each element. */
  sinh(this: Tensor): Tensor {
    return unary("sinh", this);
  }

  /** `sinh` in place. */
  sinh_(this: Tensor): Tensor {
    return inPlace("sinh_", this, (x) => unary("sinh", x));
  }

  /** Hyperbolic cosine of each element. */
  cosh(this: Tensor): Tensor {
    return unary("cosh", this);
  }

  /** `cosh` in place. */
  cosh_(this: Tensor): Tensor {
    return inPlace("cosh_", this, (x) => unary("cosh", x));
  }

  /** Hyperbolic tangent of each element. */
  tanh(this: Tensor): Tensor {
    return unary("tanh", this);
  }

  /** `tanh` in place. */
  tanh_(this: Tensor): Tensor {
    return inPlace("tanh_", this, (x) => unary("tanh", x));
  }

  /** Inverse hyperbolic sine of each element. */
  asinh(this: Tensor): Tensor {
    return unary("asinh", this);
  }

  /** `asinh` in place. */
  asinh_(this: Tensor): Tensor {
    return inPlace("asinh_", this, (x) => unary("asinh", x));
  }

  /** Alias of `asinh`. */
  arcsinh(this: Tensor): Tensor {
    return unary("asinh", this);
  }

  /** `arcsinh` in place. */
  arcsinh_(this: Tensor): Tensor {
    return inPlace("arcsinh_", this, (x) => unary("asinh", x));
  }

  /** Inverse hyperbolic cosine of each element. */
  acosh(this: Tensor): Tensor {
    return unary("acosh", this);
  }

  /** `acosh` in place. */
  acosh_(this: Tensor): Tensor {
    return inPlace("acosh_", this, (x) => unary("acosh", x));
  }

  /** Alias of `acosh`. */
  arccosh(this: Tensor): Tensor {
    return unary("acosh", this);
  }

  /** `arccosh` in place. */
  arccosh_(this: Tensor): Tensor {
    return inPlace("arccosh_", this, (x) => unary("acosh", x));
  }

  /** Inverse hyperbolic tangent of each element. */
  atanh(this: Tensor): Tensor {
    return unary("atanh", this);
  }

  /** `atanh` in place. */
  atanh_(this: Tensor): Tensor {
    return inPlace("atanh_", this, (x) => unary("atanh", x));
  }

  /** Alias of `atanh`. */
  arctanh(this: Tensor): Tensor {
    return unary("atanh", this);
  }

  /** `arctanh` in place. */
  arctanh_(this: Tensor): Tensor {
    return inPlace("arctanh_", this, (x) => unary("atanh", x));
  }

  /** Error function of each element. */
  erf(this: Tensor): Tensor {
    return unary("erf", this);
  }

  /** `erf` in place. */
  erf_(this: Tensor): Tensor {
    return inPlace("erf_", this, (x) => unary("erf", x));
  }

  /** Complementary error function, 1 - erf(x), of each element. */
  erfc(this: Tensor): Tensor {
    return unary("erfc", this);
  }

  /** `erfc` in place. */
  erfc_(this: Tensor): Tensor {
    return inPlace("erfc_", this, (x) => unary("erfc", x));
  }

  /** Inverse error function of each element. */
  erfinv(this: Tensor): Tensor {
    return unary("erfinv", this);
  }

  /** `erfinv` in place. */
  erfinv_(this: Tensor): Tensor {
    return inPlace("erfinv_", this, (x) => unary("erfinv", x));
  }

  /** Logarithm of the absolute gamma function of each element. */
  lgamma(this: Tensor): Tensor {
    return unary("lgamma", this);
  }

  /** `lgamma` in place. */
  lgamma_(this: Tensor): Tensor {
    return inPlace("lgamma_", this, (x) => unary("lgamma", x));
  }

  /** Derivative of lgamma, of each element. */
  digamma(this: Tensor): Tensor {
    return unary("digamma", this);
  }

  /** `digamma` in place. */
  digamma_(this: Tensor): Tensor {
    return inPlace("digamma_", this, (x) => unary("digamma", x));
  }

  /** The `n`-th derivative of `digamma`. */
  polygamma(this: Tensor, n: number): Tensor {
    return polygamma(n, this);
  }

  /** `polygamma` in place. */
  polygamma_(this: Tensor, n: number): Tensor {
    return inPlace("polygamma_", this, (x) => polygamma(n, x));
  }

  /** 1 / (1 + exp(-x)) for each element. */
  sigmoid(this: Tensor): Tensor {
    return unary("sigmoid", this);
  }

  /** `sigmoid` in place. */
  sigmoid_(this: Tensor): Tensor {
    return inPlace("sigmoid_", this, (x) => unary("sigmoid", x));
  }

  /** max(x, 0) for each element. */
  relu(this: Tensor): Tensor {
    return unary("relu", this);
  }

  /** `relu` in place. */
  relu_(this: Tensor): Tensor {
    return inPlace("relu_", this, (x) => unary("relu", x));
  }

  /** Largest integer not above each element. */
  floor(this: Tensor): Tensor {
    return unary("floor", this);
  }

  /** `floor` in place. */
  floor_(this: Tensor): Tensor {
    return inPlace("floor_", this, (x) => unary("floor", x));
  }

  /** Smallest integer not below each element. */
  ceil(this: Tensor): Tensor {
    return unary("ceil", this);
  }

  /** `ceil` in place. */
  ceil_(this: Tensor): Tensor {
    return inPlace("ceil_", this, (x) => unary("ceil", x));
  }

  /** Each element without its fraction. */
  trunc(this: Tensor): Tensor {
    return unary("trunc", this);
  }

  /** `trunc` in place. */
  trunc_(this: Tensor): Tensor {
    return inPlace("trunc_", this, (x) => unary("trunc", x));
  }

  /** Alias of `trunc`. */
  fix(this: Tensor): Tensor {
    return unary("trunc", this);
  }

  /** `fix` in place. */
  fix_(this: Tensor): Tensor {
    return inPlace("fix_", this, (x) => unary("trunc", x));
  }

  /** Fraction of each element, with its sign. */
  frac(this: Tensor): Tensor {
    return unary("frac", this);
  }

  /** `frac` in place. */
  frac_(this: Tensor): Tensor {
    return inPlace("frac_", this, (x) => unary("frac", x));
  }

  /** Degrees to radians. */
  deg2rad(this: Tensor): Tensor {
    return unary("deg2rad", this);
  }

  /** `deg2rad` in place. */
  deg2rad_(this: Tensor): Tensor {
    return inPlace("deg2rad_", this, (x) => unary("deg2rad", x));
  }

  /** Radians to degrees. */
  rad2deg(this: Tensor): Tensor {
    return unary("rad2deg", this);
  }

  /** `rad2deg` in place. */
  rad2deg_(this: Tensor): Tensor {
    return inPlace("rad2deg_", this, (x) => unary("rad2deg", x));
  }

  /** True where an element is NaN. */
  isnan(this: Tensor): Tensor {
    return unary("isnan", this);
  }

  /** True where an element is infinite. */
  isinf(this: Tensor): Tensor {
    return unary("isinf", this);
  }

  /** True where an element is neither NaN nor infinite. */
  isfinite(this: Tensor): Tensor {
    return unary("isfinite", this);
  }

  /** True where an element is positive infinity. */
  isposinf(this: Tensor): Tensor {
    return unary("isposinf", this);
  }

  /** True where an element is negative infinity. */
  isneginf(this: Tensor): Tensor {
    return unary("isneginf", this);
  }

  /** True where an element is zero. */
  logicalNot(this: Tensor): Tensor {
    return unary("logicalNot", this);
  }

  /** `logicalNot` in place. */
  logicalNot_(this: Tensor): Tensor {
    return inPlace("logicalNot_", this, (x) => unary("logicalNot", x));
  }

  /** Bitwise complement of integers, logical complement of bool. */
  bitwiseNot(this: Tensor): Tensor {
    return unary("bitwiseNot", this);
  }

  /** `bitwiseNot` in place. */
  bitwiseNot_(this: Tensor): Tensor {
    return inPlace("bitwiseNot_", this, (x) => unary("bitwiseNot", x));
  }
}
