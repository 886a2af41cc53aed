/** Element types, their sizes, their host arrays, and PyTorch's promotion rules restricted to them. */

import { DTypeError } from "./errors.ts";

/** Element type of a tensor. `float64` lives on the CPU only; PyTorch's `int64` results are `int32` here. */
export type DType = "float32" | "float16" | "float64" | "int32" | "uint8" | "bool";

/** Host array that carries elements to and from a device: `float16` as its bits, `bool` as 0 and 1. */
export type HostArray = Float32Array | Float64Array | Int32Array | Uint8Array | Uint16Array;

/** Every dtype, in the order of promotion within and across categories. */
export const DTYPES: readonly DType[] = ["bool", "uint8", "int32", "float16", "float32", "float64"];

/** A number for each dtype, from 0 on. */
export function dtypeNumber(dtype: DType): number {
  switch (dtype) {
    case "float32":
      return 0;
    case "int32":
      return 1;
    case "bool":
      return 2;
    case "float16":
      return 3;
    case "uint8":
      return 4;
    case "float64":
      return 5;
  }
}

/** Bytes of one element in host memory. */
export const ITEM_SIZE: Readonly<Record<DType, number>> = {
  bool: 1,
  uint8: 1,
  int32: 4,
  float16: 2,
  float32: 4,
  float64: 8,
};

/** True for `float16`, `float32` and `float64`. */
export function isFloat(dtype: DType): boolean {
  return dtype === "float32" || dtype === "float16" || dtype === "float64";
}

/** True if a number can be converted to a dtype without overflow, by PyTorch's rule: fractions are cut off, negative numbers wrap to bytes. */
export function holds(dtype: DType, value: number): boolean {
  if (dtype === "int32") return value >= -(2 ** 31) && value <= 2 ** 31 - 1;
  if (dtype === "uint8") return value <= 255 && (value >= 0 || (value >= -255 && Number.isInteger(value)));
  return true;
}

/** PyTorch's categories: 0 bool, 1 integer, 2 floating point. */
export function category(dtype: DType): 0 | 1 | 2 {
  return isFloat(dtype) ? 2 : dtype === "bool" ? 0 : 1;
}

/** The smallest dtype that both convert to (`torch.promote_types`). */
export function promoteTypes(a: DType, b: DType): DType {
  return DTYPES.indexOf(a) >= DTYPES.indexOf(b) ? a : b;
}

/** Other libraries' names of dtypes, and what takes their place here. */
const INSTEAD: Readonly<Record<string, DType>> = {
  float: "float32",
  double: "float64",
  half: "float16",
  bfloat16: "float32",
  int: "int32",
  long: "int32",
  int64: "int32",
  uint32: "int32",
  int16: "int32",
  short: "int32",
  uint16: "int32",
  int8: "int32",
  char: "int32",
  byte: "uint8",
  boolean: "bool",
};

/** The dtype that a name means, whatever its case, blanks and prefix; null if none comes close. */
function instead(name: string): DType | null {
  const plain = name
    .trim()
    .toLowerCase()
    .replace(/^(torch|np|numpy)\./, "");
  if ((DTYPES as readonly string[]).includes(plain)) return plain as DType;
  return Object.hasOwn(INSTEAD, plain) ? INSTEAD[plain]! : null;
}

/** Throws a `DTypeError` naming the known ones unless `value` is a dtype. */
export function checkDType(value: unknown, where: string): DType {
  if (typeof value === "string" && (DTYPES as readonly string[]).includes(value)) return value as DType;
  const other = typeof value === "string" ? instead(value) : null;
  const hint = other === null ? "" : ` (use ${other} in its place)`;
  throw new DTypeError(
    `${where}: unknown dtype ${typeof value === "string" ? JSON.stringify(value) : String(value)}${hint}; known are ${DTYPES.join(", ")}`,
  );
}

/** A zeroed host array of `length` elements in the layout of `dtype`. */
export function hostArray(dtype: DType, length: number): HostArray {
  switch (dtype) {
    case "float32":
      return new Float32Array(length);
    case "float64":
      return new Float64Array(length);
    case "int32":
      return new Int32Array(length);
    case "float16":
      return new Uint16Array(length);
    default:
      return new Uint8Array(length);
  }
}

const scratch = new DataView(new ArrayBuffer(4));

/** Bits of the nearest float16 (ties to even) of a number. */
export function toHalf(value: number): number {
  // Rounding twice (double to single, single to half) would be wrong for ties, so round once from the double.
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const x = Math.abs(value);
  if (Number.isNaN(x)) return 0x7e00;
  if (x >= 65520) return sign | 0x7c00;
  if (x < 2 ** -14) return sign | roundEven(x * 2 ** 24);
  scratch.setFloat32(0, x);
  let exponent = (scratch.getUint32(0) >>> 23) - 127;
  if (2 ** exponent > x) exponent -= 1; // the single was rounded up to the next power of two
  const mantissa = roundEven((x / 2 ** exponent - 1) * 1024);
  return sign | (((exponent + 15) << 10) + mantissa);
}

/** Number whose float16 bits are given. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function roundEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest > 0.5 || (rest === 0.5 && down % 2 === 1)) return down + 1;
  return down;
}

/** Writes numbers into a host array of `dtype` with that dtype's conversion (wrap for integers, `x != 0` for bool). */
export function fillHost(target: HostArray, dtype: DType, source: ArrayLike<number>): void {
  if (dtype === "bool") for (let i = 0; i < source.length; i++) target[i] = source[i] ? 1 : 0;
  else if (dtype === "float16") for (let i = 0; i < source.length; i++) target[i] = toHalf(source[i]!);
  else target.set(source);
}

/** A host array of `dtype` with these numbers, converted as `fillHost` does. */
export function hostArrayOf(dtype: DType, source: ArrayLike<number>): HostArray {
  // A copy of an array of the same kind is made in memory that is not zeroed first.
  if (dtype === "float32" && source instanceof Float32Array) return new Float32Array(source);
  if (dtype === "int32" && source instanceof Int32Array) return new Int32Array(source);
  if (dtype === "uint8" && source instanceof Uint8Array) return new Uint8Array(source);
  const host = hostArray(dtype, source.length);
  fillHost(host, dtype, source);
  return host;
}

/** Elements of a host array as plain numbers (a view where no conversion is needed). */
export function hostNumbers(array: HostArray, dtype: DType): ArrayLike<number> {
  return dtype === "float16" ? Float32Array.from(array as Uint16Array, fromHalf) : array;
}
