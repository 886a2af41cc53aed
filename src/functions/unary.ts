/** Functions: elementwise functions of one tensor. Shapes stay; integers and bool become float32 where the result is not an integer. */

import { unary } from "../ops/elementwise.ts";
import type { Tensor } from "../tensor.ts";

/** Negative of each element. */
export function neg(input: Tensor): Tensor {
  return unary("neg", input);
}

/** Alias of `neg`. */
export function negative(input: Tensor): Tensor {
  return unary("neg", input);
}

/** Each element as it is. */
export function positive(input: Tensor): Tensor {
  return unary("positive", input);
}

/** Absolute value of each element. */
export function abs(input: Tensor): Tensor {
  return unary("abs", input);
}

/** Alias of `abs`. */
export function absolute(input: Tensor): Tensor {
  return unary("abs", input);
}

/** Sign of each element: -1, 0 or 1 (NaN stays NaN). */
export function sign(input: Tensor): Tensor {
  return unary("sign", input);
}

/** Alias of `sign`. */
export function sgn(input: Tensor): Tensor {
  return unary("sign", input);
}

/** Square of each element. */
export function square(input: Tensor): Tensor {
  return unary("square", input);
}

/** 1 / x for each element. */
export function reciprocal(input: Tensor): Tensor {
  return unary("reciprocal", input);
}

/** Square root of each element. */
export function sqrt(input: Tensor): Tensor {
  return unary("sqrt", input);
}

/** 1 / sqrt(x) for each element. */
export function rsqrt(input: Tensor): Tensor {
  return unary("rsqrt", input);
}

/** e to the power of each element. */
export function exp(input: Tensor): Tensor {
  return unary("exp", input);
}

/** 2 to the power of each element. */
export function exp2(input: Tensor): Tensor {
  return unary("exp2", input);
}

/** exp(x) - 1 for each element, exact for small ones. */
export function expm1(input: Tensor): Tensor {
  return unary("expm1", input);
}

/** Natural logarithm of each element. */
export function log(input: Tensor): Tensor {
  return unary("log", input);
}

/** Logarithm to base 2 of each element. */
export function log2(input: Tensor): Tensor {
  return unary("log2", input);
}

/** Logarithm to base 10 of each element. */
export function log10(input: Tensor): Tensor {
  return unary("log10", input);
}

/** log(1 + x) for each element, exact for small ones. */
export function log1p(input: Tensor): Tensor {
  return unary("log1p", input);
}

/** Sine of each element, in radians. */
export function sin(input: Tensor): Tensor {
  return unary("sin", input);
}

/** Cosine of each element, in radians. */
export function cos(input: Tensor): Tensor {
  return unary("cos", input);
}

/** Tangent of each element, in radians. */
export function tan(input: Tensor): Tensor {
  return unary("tan", input);
}

/** Inverse sine of each element, in radians. */
export function asin(input: Tensor): Tensor {
  return unary("asin", input);
}

/** Alias of `asin`. */
export function arcsin(input: Tensor): Tensor {
  return unary("asin", input);
}

/** Inverse cosine of each element, in radians. */
export function acos(input: Tensor): Tensor {
  return unary("acos", input);
}

/** Alias of `acos`. */
export function arccos(input: Tensor): Tensor {
  return unary("acos", input);
}

/** Inverse tangent of each element, in radians. */
export function atan(input: Tensor): Tensor {
  return unary("atan", input);
}

/** Alias of `atan`. */
export function arctan(input: Tensor): Tensor {
  return unary("atan", input);
}

/** Hyperbolic sine of each element. */
export function sinh(input: Tensor): Tensor {
  return unary("sinh", input);
}

/** Hyperbolic cosine of each element. */
export function cosh(input: Tensor): Tensor {
  return unary("cosh", input);
}

/** Hyperbolic tangent of each element. */
export function tanh(input: Tensor): Tensor {
  return unary("tanh", input);
}

/** Inverse hyperbolic sine of each element. */
export function asinh(input: Tensor): Tensor {
  return unary("asinh", input);
}

/** Alias of `asinh`. */
export function arcsinh(input: Tensor): Tensor {
  return unary("asinh", input);
}

/** Inverse hyperbolic cosine of each element. */
export function acosh(input: Tensor): Tensor {
  return unary("acosh", input);
}

/** Alias of `acosh`. */
export function arccosh(input: Tensor): Tensor {
  return unary("acosh", input);
}

/** Inverse hyperbolic tangent of each element. */
export function atanh(input: Tensor): Tensor {
  return unary("atanh", input);
}

/** Alias of `atanh`. */
export function arctanh(input: Tensor): Tensor {
  return unary("atanh", input);
}

/** Error function of each element. */
export function erf(input: Tensor): Tensor {
  return unary("erf", input);
}

/** Complementary error function, 1 - erf(x), of each element. */
export function erfc(input: Tensor): Tensor {
  return unary("erfc", input);
}

/** Inverse error function of each element. */
export function erfinv(input: Tensor): Tensor {
  return unary("erfinv", input);
}

/** Logarithm of the absolute gamma function of each element. */
export function lgamma(input: Tensor): Tensor {
  return unary("lgamma", input);
}

/** Derivative of lgamma, of each element. */
export function digamma(input: Tensor): Tensor {
  return unary("digamma", input);
}

/** 1 / (1 + exp(-x)) for each element. */
export function sigmoid(input: Tensor): Tensor {
  return unary("sigmoid", input);
}

/** max(x, 0) for each element. */
export function relu(input: Tensor): Tensor {
  return unary("relu", input);
}

/** Largest integer not above each element. */
export function floor(input: Tensor): Tensor {
  return unary("floor", input);
}

/** Smallest integer not below each element. */
export function ceil(input: Tensor): Tensor {
  return unary("ceil", input);
}

/** Each element without its fraction. */
export function trunc(input: Tensor): Tensor {
  return unary("trunc", input);
}

/** Alias of `trunc`. */
export function fix(input: Tensor): Tensor {
  return unary("trunc", input);
}

/** Fraction of each element, with its sign. */
export function frac(input: Tensor): Tensor {
  return unary("frac", input);
}

/** Degrees to radians. */
export function deg2rad(input: Tensor): Tensor {
  return unary("deg2rad", input);
}

/** Radians to degrees. */
export function rad2deg(input: Tensor): Tensor {
  return unary("rad2deg", input);
}

/** True where an element is NaN. */
export function isnan(input: Tensor): Tensor {
  return unary("isnan", input);
}

/** True where an element is infinite. */
export function isinf(input: Tensor): Tensor {
  return unary("isinf", input);
}

/** True where an element is neither NaN nor infinite. */
export function isfinite(input: Tensor): Tensor {
  return unary("isfinite", input);
}

/** True where an element is positive infinity. */
export function isposinf(input: Tensor): Tensor {
  return unary("isposinf", input);
}

/** True where an element is negative infinity. */
export function isneginf(input: Tensor): Tensor {
  return unary("isneginf", input);
}

/** True where an element is zero. */
export function logicalNot(input: Tensor): Tensor {
  return unary("logicalNot", input);
}

/** Bitwise complement of integers, logical complement of bool. */
export function bitwiseNot(input: Tensor): Tensor {
  return unary("bitwiseNot", input);
}

/** sin(pi x) / (pi x) for each element. */
export function sinc(input: Tensor): Tensor {
  return unary("sinc", input);
}

/** Modified Bessel function of order 0 for each element. */
export function i0(input: Tensor): Tensor {
  return unary("i0", input);
}
