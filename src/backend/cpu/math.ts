/** Primitives in double precision that JavaScript's Math lacks or defines differently from C and PyTorch. */

import { philox4x32 } from "../../philox.ts";

/** Nearest integer, ties to even; keeps -0. */
export function rint(x: number): number {
  if (!(Math.abs(x) < 4503599627370496)) return x;
  const magic = x < 0 || Object.is(x, -0) ? -4503599627370496 : 4503599627370496;
  const rounded = x + magic - magic;
  return rounded === 0 && magic < 0 ? -0 : rounded;
}

/** C's pow: 1 to any power and -1 to an infinite one are 1, which JavaScript says is NaN. */
export function pow(x: number, y: number): number {
  if (x === 1 || y === 0) return 1;
  if (x === -1 && (y === Infinity || y === -Infinity)) return 1;
  return x ** y;
}

/** Maximum that is NaN if either is. */
export function max(x: number, y: number): number {
  return x !== x || y !== y ? NaN : x > y ? x : y;
}

/** Minimum that is NaN if either is. */
export function min(x: number, y: number): number {
  return x !== x || y !== y ? NaN : x < y ? x : y;
}

/** -1, 0 or 1; 0 for NaN, as PyTorch has it. */
export function sign(x: number): number {
  return x > 0 ? 1 : x < 0 ? -1 : 0;
}

/** Float to int32: truncated, saturated, NaN to 0. */
export function toInt(x: number): number {
  return x >= 2147483647 ? 2147483647 : x <= -2147483648 ? -2147483648 : x | 0;
}

/** Float to uint32: truncated, saturated, NaN to 0. */
export function toUint(x: number): number {
  return x >= 4294967295 ? 4294967295 : x > 0 ? Math.trunc(x) : 0;
}

const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);

/** Power series of erf, for small arguments: 2/sqrt(pi) sum (-1)^n x^(2n+1) / (n! (2n+1)). */
function erfSeries(x: number): number {
  // e^(-x^2) sum 2^n x^(2n+1) / (2n+1)!! has terms of one sign only, so nothing cancels.
  const xx = x * x;
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= (2 * xx) / (2 * n + 1);
    sum += term;
    if (Math.abs(term) < 1e-17 * Math.abs(sum)) break;
  }
  return TWO_OVER_SQRT_PI * Math.exp(-xx) * sum;
}

/** Continued fraction of erfc for x >= 2, by Lentz's method: exp(-x^2)/sqrt(pi) / (x + 1/2/(x + 1/(x + 3/2/(x + ...)))). */
function erfcFraction(x: number): number {
  const tiny = 1e-300;
  let f = x;
  let c = x;
  let d = 0;
  for (let n = 1; n < 300; n++) {
    const a = n / 2;
    d = x + a * d;
    if (d === 0) d = tiny;
    c = x + a / c;
    d = 1 / d;
    const step = c * d;
    f *= step;
    if (Math.abs(step - 1) < 1e-16) break;
  }
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / f;
}

/** Error function, to about 1e-15 relative. */
export function erf(x: number): number {
  if (x !== x) return NaN;
  const a = Math.abs(x);
  if (a < 2.5) return erfSeries(x);
  if (a > 6) return x > 0 ? 1 : -1;
  return x > 0 ? 1 - erfcFraction(a) : erfcFraction(a) - 1;
}

/** Complementary error function. */
export function erfc(x: number): number {
  if (x !== x) return NaN;
  if (x < 0) return 1 + erf(-x);
  if (x < 1.25) return 1 - erfSeries(x);
  if (x > 27.3) return 0;
  return x < 2 ? erfcBetween(x) : erfcFraction(x);
}

/** erfc where neither the series nor the fraction is quick: the fraction still converges, only with more terms. */
function erfcBetween(x: number): number {
  const tiny = 1e-300;
  let f = x;
  let c = x;
  let d = 0;
  for (let n = 1; n < 3000; n++) {
    const a = n / 2;
    d = 1 / (x + a * d || tiny);
    c = x + a / c;
    f *= c * d;
    if (Math.abs(c * d - 1) < 2e-16) break;
  }
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / f;
}

/** Inverse error function: a starting value (Winitzki) improved by Halley's method. */
export function erfinv(y: number): number {
  if (!(y >= -1 && y <= 1)) return NaN;
  if (y === 1) return Infinity;
  if (y === -1) return -Infinity;
  if (y === 0) return y;
  const a = 0.147;
  const l = Math.log1p(-y * y);
  const t = 2 / (Math.PI * a) + l / 2;
  let x = Math.sign(y) * Math.sqrt(Math.sqrt(t * t - l / a) - t);
  for (let i = 0; i < 4; i++) {
    // Near the ends the difference of complements keeps the digits that the difference of values loses.
    const value = Math.abs(y) > 0.5 ? Math.sign(y) * (1 - Math.abs(y) - erfc(Math.abs(x))) : erf(x) - y;
    const slope = TWO_OVER_SQRT_PI * Math.exp(-x * x);
    const u = value / slope;
    x -= u / (1 + x * u);
  }
  return x;
}

// Lanczos approximation, g = 607/128, n = 15 (Godfrey's coefficients, good to about 1e-15).
const LANCZOS_G = 607 / 128;
const LANCZOS = [
  0.99999999999999709182, 57.156235665862923517, -59.597960355475491248, 14.136097974741747174, -0.49191381609762019978,
  0.33994649984811888699e-4, 0.46523628927048575665e-4, -0.98374475304879564677e-4, 0.15808870322491248884e-3,
  -0.21026444172410488319e-3, 0.2174396181152126432e-3, -0.16431810653676389022e-3, 0.84418223983852743293e-4,
  -0.2619083840158140867e-4, 0.36899182659531622704e-5,
];

/** Logarithm of |gamma(x)|. */
export function lgamma(x: number): number {
  if (x !== x) return NaN;
  if (!Number.isFinite(x)) return Infinity;
  if (x <= 0 && x === Math.floor(x)) return Infinity;
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * (x % 2)))) - lgamma(1 - x);
  if (x === 1 || x === 2) return 0;
  if (x > 20) return stirling(x);
  const z = x - 1;
  let sum = LANCZOS[0]!;
  for (let i = 1; i < LANCZOS.length; i++) sum += LANCZOS[i]! / (z + i);
  const t = z + LANCZOS_G + 0.5;
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}

/** Stirling's series. */
function stirling(x: number): number {
  const r = 1 / (x * x);
  const series = (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}

/** Derivative of lgamma. */
export function digamma(x: number): number {
  if (x !== x || x === -Infinity) return NaN;
  if (x === Infinity) return Infinity;
  if (x === 0) return Object.is(x, -0) ? Infinity : -Infinity;
  if (x < 0) {
    if (x === Math.floor(x)) return NaN;
    return digamma(1 - x) - Math.PI / Math.tan(Math.PI * (x - Math.floor(x)));
  }
  let shifted = x;
  let result = 0;
  while (shifted < 10) {
    result -= 1 / shifted;
    shifted += 1;
  }
  const r = 1 / (shifted * shifted);
  return (
    result +
    Math.log(shifted) -
    0.5 / shifted -
    r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - (r * 5) / 660))))
  );
}

/** One word of a Philox block. */
export function philoxWord(c0: number, c1: number, c2: number, k0: number, k1: number, lane: number): number {
  return philox4x32([c0, c1, c2, 0], [k0, k1])[lane]!;
}
