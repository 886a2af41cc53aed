/** Special functions for the model: slow, from their definitions. */

/** Sum of the Maclaurin series for small arguments, complement of `erfc` for others. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (Math.abs(x) > 2.5) return Math.sign(x) * (1 - erfc(Math.abs(x)));
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** Laplace's continued fraction for large arguments. */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x < 0) return 2 - erfc(-x);
  if (x === Infinity) return 0;
  if (x < 1.5) return 1 - erf(x);
  let f = 0;
  for (let k = 120; k > 0; k--) f = k / 2 / (x + f);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + f);
}

/** By bisection. */
export function erfinv(y: number): number {
  if (!(Math.abs(y) <= 1)) return NaN;
  if (Math.abs(y) === 1) return y * Infinity;
  let low = -6;
  let high = 6;
  for (let i = 0; i < 70; i++) {
    const middle = (low + high) / 2;
    if (erf(middle) < y) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

const BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6];

/** log |gamma|: Stirling's series after a shift, reflection on the left. */
export function lgamma(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (!Number.isFinite(x)) return Infinity;
  if (x <= 0) {
    if (Number.isInteger(x)) return Infinity;
    return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * (x - Math.floor(x))))) - lgamma(1 - x);
  }
  let shift = 0;
  let z = x;
  while (z < 12) {
    shift += Math.log(z);
    z += 1;
  }
  let sum = (z - 0.5) * Math.log(z) - z + Math.log(2 * Math.PI) / 2;
  BERNOULLI.forEach((b, i) => (sum += b / ((2 * i + 2) * (2 * i + 1) * z ** (2 * i + 1))));
  return sum - shift;
}

/** Derivative of `lgamma`. */
export function digamma(x: number): number {
  if (Number.isNaN(x) || x === -Infinity) return NaN;
  if (x === Infinity) return Infinity;
  if (x === 0) return Object.is(x, -0) ? Infinity : -Infinity;
  if (x < 0) {
    if (Number.isInteger(x)) return NaN;
    return digamma(1 - x) - Math.PI / Math.tan(Math.PI * (x - Math.floor(x)));
  }
  let shift = 0;
  let z = x;
  while (z < 12) {
    shift += 1 / z;
    z += 1;
  }
  let sum = Math.log(z) - 1 / (2 * z);
  BERNOULLI.forEach((b, i) => (sum -= b / ((2 * i + 2) * z ** (2 * i + 2))));
  return sum - shift;
}

/** The n-th derivative of digamma, for positive arguments: a long sum and the first terms of Euler and Maclaurin's formula. */
export function polygamma(n: number, x: number): number {
  if (n === 0) return digamma(x);
  const s = n + 1;
  let sum = 0;
  let q = x;
  for (let k = 0; k < 60; k++) {
    sum += q ** -s;
    q += 1;
  }
  sum += q ** (1 - s) / (s - 1) + q ** -s / 2 + (s * q ** (-s - 1)) / 12;
  let factorial = 1;
  for (let i = 2; i <= n; i++) factorial *= i;
  return (n % 2 === 0 ? -1 : 1) * factorial * sum;
}

/** exp(x^2) erfc(x): Laplace's continued fraction without its exponential for large arguments. */
export function erfcx(x: number): number {
  if (x < 1.5 || Number.isNaN(x)) return Math.exp(x * x) * erfc(x);
  if (x === Infinity) return 0;
  let f = 0;
  for (let k = 120; k > 0; k--) f = k / 2 / (x + f);
  return 1 / Math.sqrt(Math.PI) / (x + f);
}

/** Modified Bessel function of a whole order: its power series, all of whose terms have one sign. */
export function besselI(order: number, x: number): number {
  let term = 1;
  for (let k = 1; k <= order; k++) term *= x / 2 / k;
  let sum = term;
  for (let k = 1; k < 1200 && Math.abs(term) > Math.abs(sum) * 1e-18; k++) {
    term *= (x * x) / 4 / (k * (k + order));
    sum += term;
  }
  return Number.isNaN(x) ? NaN : sum;
}
