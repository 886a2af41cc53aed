/**
 * Decimal text of a number as C and Python write it: rounded from the exact binary value, ties to the even digit, and
 * with an exponent of at least two digits. JavaScript's `toFixed` and `toExponential` send ties away from zero, change
 * form at 1e21 and stop at 100 digits.
 */

const bits = new BigUint64Array(1);
const float = new Float64Array(bits.buffer);

/** `x * 10 ** power` rounded to an integer, exactly, for a finite `x >= 0` and an integer `power`. */
function scaled(x: number, power: number): bigint {
  float[0] = x;
  const field = Number((bits[0]! >> 52n) & 0x7ffn);
  const fraction = bits[0]! & 0xf_ffff_ffff_ffffn;
  // x = mantissa * 2 ** exponent; a subnormal number has no hidden bit.
  const mantissa = field === 0 ? fraction : fraction | (1n << 52n);
  const exponent = Math.max(field, 1) - 1075;
  let above = mantissa;
  let below = 1n;
  if (exponent > 0) above <<= BigInt(exponent);
  else below <<= BigInt(-exponent);
  if (power > 0) above *= 10n ** BigInt(power);
  else below *= 10n ** BigInt(-power);
  const whole = above / below;
  const twice = 2n * (above % below);
  return twice > below || (twice === below && whole % 2n === 1n) ? whole + 1n : whole;
}

function signOf(x: number): string {
  return x < 0 || Object.is(x, -0) ? "-" : "";
}

/** Puts a point before the last `count` digits; none where `count` is 0. */
function withPoint(digits: string, count: number): string {
  return count === 0 ? digits : `${digits.slice(0, -count)}.${digits.slice(-count)}`;
}

/** Python's `f"{x:.{digits}f}"` of a finite number: `fixed(2.5, 0)` is `"2"`. */
export function fixed(x: number, digits: number): string {
  const text = scaled(Math.abs(x), digits).toString();
  return signOf(x) + withPoint(text.padStart(digits + 1, "0"), digits);
}

/** Python's `f"{x:.{digits}e}"` of a finite number: `exponential(0.5, 1)` is `"5.0e-01"`. */
export function exponential(x: number, digits: number): string {
  const magnitude = Math.abs(x);
  // The shortest form's exponent is one too high where it rounded up to a power of ten, and one too low where the
  // rounding below does.
  let power = Number(magnitude.toExponential().split("e")[1]);
  let text = scaled(magnitude, digits - power).toString();
  if (magnitude !== 0 && text.length !== digits + 1) {
    power += text.length - digits - 1;
    text = scaled(magnitude, digits - power).toString();
  }
  const exponent = Math.abs(power).toString().padStart(2, "0");
  return `${signOf(x)}${withPoint(text.padStart(digits + 1, "0"), digits)}e${power < 0 ? "-" : "+"}${exponent}`;
}
