/** Primitives of kernels in JavaScript, on blocks of values: a block is an array of its type, which rounds or wraps what is written to it. */

import { fromHalf, toHalf } from "../../dtype.ts";
import type { Instr, Primitive, ValueType } from "../../graph/kernel.ts";
import * as math from "./math.ts";

/** Values of a type: of b, 0 or 1. */
export type Block = Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array;

/** A block of `length` values. */
export function blockOf(type: ValueType, length: number): Block {
  switch (type) {
    case "f":
      return new Float32Array(length);
    case "d":
      return new Float64Array(length);
    case "i":
      return new Int32Array(length);
    case "u":
      return new Uint32Array(length);
    case "b":
      return new Uint8Array(length);
  }
}

/** Computes the first `n` values of `out`. */
type Unary = (out: Block, a: Block, n: number) => void;
type Binary = (out: Block, a: Block, b: Block, n: number) => void;

const each =
  (f: (x: number) => number): Unary =>
  (out, a, n) => {
    for (let i = 0; i < n; i++) out[i] = f(a[i]!);
  };
const each2 =
  (f: (x: number, y: number) => number): Binary =>
  (out, a, b, n) => {
    for (let i = 0; i < n; i++) out[i] = f(a[i]!, b[i]!);
  };

const copy: Unary = (out, a, n) => {
  for (let i = 0; i < n; i++) out[i] = a[i]!;
};

/** Functions of one operand that are the same for every type. */
const UNARY: Partial<Record<Primitive, Unary>> = {
  neg: (out, a, n) => {
    for (let i = 0; i < n; i++) out[i] = -a[i]!;
  },
  abs: each(Math.abs),
  sign: each(math.sign),
  floor: each(Math.floor),
  ceil: each(Math.ceil),
  trunc: each(Math.trunc),
  round: each(math.rint),
  sqrt: each(Math.sqrt),
  rsqrt: each((x) => 1 / Math.sqrt(x)),
  exp: each(Math.exp),
  exp2: each((x) => 2 ** x),
  expm1: each(Math.expm1),
  log: each(Math.log),
  log2: each(Math.log2),
  log10: each(Math.log10),
  log1p: each(Math.log1p),
  sin: each(Math.sin),
  cos: each(Math.cos),
  tan: each(Math.tan),
  asin: each(Math.asin),
  acos: each(Math.acos),
  atan: each(Math.atan),
  sinh: each(Math.sinh),
  cosh: each(Math.cosh),
  tanh: each(Math.tanh),
  asinh: each(Math.asinh),
  acosh: each(Math.acosh),
  atanh: each(Math.atanh),
  erf: each(math.erf),
  erfc: each(math.erfc),
  erfinv: each(math.erfinv),
  lgamma: each(math.lgamma),
  digamma: each(math.digamma),
  not: each((x) => 1 - x),
  bnot: each((x) => ~x),
  isnan: each((x) => (x !== x ? 1 : 0)),
  isinf: each((x) => (x === Infinity || x === -Infinity ? 1 : 0)),
  roundHalf: each((x) => fromHalf(toHalf(x))),
  wrap8: each((x) => x & 255),
};

/** Functions of two operands; those of whole numbers stand under their own name where they differ. */
const BINARY: Partial<Record<Primitive | "whole mul" | "whole rem", Binary>> = {
  add: (out, a, b, n) => {
    for (let i = 0; i < n; i++) out[i] = a[i]! + b[i]!;
  },
  sub: (out, a, b, n) => {
    for (let i = 0; i < n; i++) out[i] = a[i]! - b[i]!;
  },
  mul: (out, a, b, n) => {
    for (let i = 0; i < n; i++) out[i] = a[i]! * b[i]!;
  },
  div: (out, a, b, n) => {
    for (let i = 0; i < n; i++) out[i] = a[i]! / b[i]!;
  },
  "whole mul": each2(Math.imul),
  idiv: each2((x, y) => (y === 0 ? 0 : Math.trunc(x / y))),
  "whole rem": each2((x, y) => (y === 0 ? 0 : x % y)),
  rem: each2((x, y) => x % y),
  pow: each2(math.pow),
  atan2: each2(Math.atan2),
  min: each2(math.min),
  max: each2(math.max),
  eq: each2((x, y) => (x === y ? 1 : 0)),
  ne: each2((x, y) => (x !== y ? 1 : 0)),
  lt: each2((x, y) => (x < y ? 1 : 0)),
  le: each2((x, y) => (x <= y ? 1 : 0)),
  gt: each2((x, y) => (x > y ? 1 : 0)),
  ge: each2((x, y) => (x >= y ? 1 : 0)),
  and: each2((x, y) => x & y),
  or: each2((x, y) => x | y),
  xor: each2((x, y) => x ^ y),
  band: each2((x, y) => x & y),
  bor: each2((x, y) => x | y),
  bxor: each2((x, y) => x ^ y),
  shl: each2((x, y) => x << y),
};

const SHIFT: Readonly<Record<"i" | "u", Binary>> = {
  i: each2((x, y) => x >> y),
  u: each2((x, y) => x >>> y),
};

/** Conversion between types, as the `cast` primitive has it. */
function castOf(from: ValueType, to: ValueType): Unary {
  if (to === "b") return each((x) => (x !== 0 ? 1 : 0));
  const isFloat = from === "f" || from === "d";
  if (isFloat && to === "i") return each(math.toInt);
  return isFloat && to === "u" ? each(math.toUint) : copy;
}

/**
 * An instruction that needs nothing but its arguments, ready to run on the first `n` values of blocks; `from` is the type of the first argument.
 */
export function operation(instr: Instr, from: ValueType, out: Block, args: readonly Block[]): (n: number) => void {
  const { op, type } = instr;
  const [a, b, c] = args as readonly [Block, Block, Block];
  if (op === "select")
    return (n) => {
      for (let i = 0; i < n; i++) out[i] = a[i] !== 0 ? b[i]! : c[i]!;
    };
  if (op === "philox") {
    const [c0, c1, c2, k0, k1] = args as readonly [Block, Block, Block, Block, Block];
    const word = instr.imm as number;
    return (n) => {
      for (let i = 0; i < n; i++) out[i] = math.philoxWord(c0[i]!, c1[i]!, c2[i]!, k0[i]!, k1[i]!, word);
    };
  }
  const unary = op === "cast" ? castOf(from, type) : UNARY[op];
  if (unary !== undefined) return (n) => unary(out, a, n);
  const isWhole = type === "i" || type === "u";
  let binary: Binary | undefined;
  if (op === "shr" && isWhole) binary = SHIFT[type];
  else if ((op === "mul" || op === "rem") && isWhole) binary = BINARY[`whole ${op}`];
  else binary = BINARY[op];
  if (binary === undefined) throw new Error(`no JavaScript for ${op} of ${from}`);
  const run = binary;
  return (n) => run(out, a, b, n);
}
