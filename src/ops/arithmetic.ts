/** Arithmetic of two and three operands. Derivatives follow PyTorch's `derivatives.yaml`. */

import { checkNumber, describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { category, isFloat, type DType } from "../dtype.ts";
import { ArgumentError, DTypeError } from "../errors.ts";
import type { Builder, Value } from "../graph/builder.ts";
import type { Tensor } from "../tensor.ts";
import { checkTensor, hostValueWhere, isTensor } from "./apply.ts";
import { checkOperand, elementwise, needsRules, recordOperands, resultType, wrt, type Operand } from "./elementwise.ts";

/** Integers and bool divide as float32. */
function floatType(dtype: DType): DType {
  return isFloat(dtype) ? dtype : "float32";
}

function isFloatValue(b: Builder, x: Value): boolean {
  return b.type(x) === "f" || b.type(x) === "d";
}

/** An operand times a number, left alone where that is one. */
function scaled(g: Tensor, factor: Operand): Tensor {
  return factor === 1 ? g : g.mul(factor);
}

const ADD = signature<{ other: Operand; alpha?: number }>()("add", ["other"], ["alpha"]);
const SUB = signature<{ other: Operand; alpha?: number }>()("sub", ["other"], ["alpha"]);

/** `input + alpha * other`, broadcast. */
export function add(input: Operand, ...args: ArgsOf<typeof ADD>): Tensor {
  checkOperand("add", "input", input);
  const { other, alpha } = parse(ADD, args);
  return addScaled("add", input, checkOperand("add", "other", other), alpha ?? 1, 1);
}

/** `input - alpha * other`, broadcast. */
export function sub(input: Operand, ...args: ArgsOf<typeof SUB>): Tensor {
  checkOperand("sub", "input", input);
  const { other, alpha } = parse(SUB, args);
  return addScaled("sub", input, checkOperand("sub", "other", other), alpha ?? 1, -1);
}

/** `other - alpha * input`, broadcast. */
export function rsub(input: Operand, ...args: ArgsOf<typeof SUB>): Tensor {
  checkOperand("rsub", "input", input);
  const { other, alpha } = parse(SUB, args);
  return addScaled("rsub", checkOperand("rsub", "other", other), input, alpha ?? 1, -1);
}

function addScaled(name: string, a: Operand, b: Operand, alpha: number, sign: 1 | -1): Tensor {
  const dtype = resultType(a, b);
  if (sign < 0 && [a, b].some((x) => (isTensor(x) ? x.dtype === "bool" : typeof x === "boolean")))
    throw new DTypeError(
      `${name}: subtraction with a bool operand is not supported; use logicalXor() or bitwiseNot(), or convert it with to("int32")`,
    );
  if (!isFloat(dtype) && !Number.isInteger(alpha))
    throw new ArgumentError(`${name}: for integral tensors, alpha must be an integer, got ${describeValue(alpha)}`);
  let out: Tensor;
  const prim = sign > 0 ? "add" : "sub";
  if (alpha === 1)
    out = elementwise(prim, 1, [a, b], dtype, dtype, (k, [x, y]) =>
      dtype === "bool" ? k.or(x!, y!) : k.bin(prim, x!, y!),
    );
  else
    out = elementwise(`${prim}Scaled`, 2, [a, b, alpha], dtype, dtype, (k, [x, y, s]) =>
      dtype === "bool" ? k.or(x!, k.and(y!, s!)) : k.bin(prim, x!, k.mul(y!, s!)),
    );
  if (!needsRules(out, a, b)) return out;
  const rules = [wrt(a, [], (g) => g), wrt(b, [], (g) => scaled(g, sign * alpha))];
  // The operands of rsub stand in the order of its arguments.
  if (name === "rsub") recordOperands(isTensor(a) ? "RsubBackward0" : "RsubBackward1", out, rules.toReversed());
  else recordOperands(sign > 0 ? "AddBackward0" : "SubBackward0", out, rules, "tensors");
  return out;
}

const MUL = signature<{ other: Operand }>()("mul", ["other"]);

/** `input * other`, broadcast. */
export function mul(input: Operand, ...args: ArgsOf<typeof MUL>): Tensor {
  checkOperand("mul", "input", input);
  const other = checkOperand("mul", "other", parse(MUL, args).other);
  const dtype = resultType(input, other);
  const out = elementwise("mul", 1, [input, other], dtype, dtype, (k, [x, y]) =>
    dtype === "bool" ? k.and(x!, y!) : k.mul(x!, y!),
  );
  if (!needsRules(out, input, other)) return out;
  const rules = [wrt(input, [other], (g, y) => g.mul(y)), wrt(other, [input], (g, x) => g.mul(x))];
  recordOperands("MulBackward0", out, rules, "tensors");
  return out;
}

/** How `div` rounds: not at all, towards zero, or down. */
export type RoundingMode = "trunc" | "floor" | null;

const DIV = signature<{ other: Operand; roundingMode?: RoundingMode }>()("div", ["other"], ["roundingMode"]);

/** `input / other`, broadcast; integers divide as float32 unless a rounding mode is given. */
export function div(input: Operand, ...args: ArgsOf<typeof DIV>): Tensor {
  checkOperand("div", "input", input);
  const { other: given, roundingMode = null } = parse(DIV, args);
  const other = checkOperand("div", "other", given);
  if (roundingMode !== null && roundingMode !== "trunc" && roundingMode !== "floor")
    throw new ArgumentError(`div: roundingMode must be "trunc", "floor" or null, got ${describeValue(roundingMode)}`);
  const promoted = resultType(input, other);
  if (roundingMode !== null && promoted === "bool")
    throw new DTypeError("div: rounded division of bool tensors is not supported");
  const dtype = roundingMode === null ? floatType(promoted) : promoted;
  if (roundingMode !== null) {
    checkDivisor("div", input, other, dtype);
    const lower = roundingMode === "floor" ? floorDivide : truncDivide;
    const out = elementwise(`div_${roundingMode}`, 6, [input, other], dtype, dtype, (k, [x, y]) => lower(k, x!, y!));
    const flat = (g: Tensor): Tensor => g.zerosLike();
    recordOperands("DivBackward2", out, [wrt(input, [], flat), wrt(other, [], flat)], "tensors");
    return out;
  }
  const out = elementwise("div", 1, [input, other], dtype, dtype, (k, [x, y]) => k.div(x!, y!));
  if (!needsRules(out, input, other)) return out;
  const rules = [
    wrt(input, [other], (g, y) => g.div(y)),
    wrt(other, [input, other], (g, x, y) => (isTensor(y) ? g.neg().mul(div(div(x, y), y)) : null)),
  ];
  recordOperands("DivBackward0", out, rules, "tensors");
  return out;
}

function truncDivide(k: Builder, x: Value, y: Value): Value {
  return isFloatValue(k, x) ? k.un("trunc", k.div(x, y)) : k.bin("idiv", x, y);
}

/** Python's floor division, exact where `floor(x / y)` would round up to the next integer. */
function floorDivide(k: Builder, x: Value, y: Value): Value {
  const zero = k.lit(0, x);
  const mod = k.bin("rem", x, y);
  const mismatch = k.and(
    k.compare("ne", mod, zero),
    k.emit("xor", "b", [k.compare("lt", y, zero), k.compare("lt", mod, zero)]),
  );
  if (!isFloatValue(k, x)) {
    const quotient = k.bin("idiv", x, y);
    return k.select(mismatch, k.sub(quotient, k.lit(1, x)), quotient);
  }
  const exact = k.div(k.sub(x, mod), y);
  const lowered = k.select(mismatch, k.sub(exact, k.lit(1, x)), exact);
  const floored = k.un("floor", lowered);
  const up = k.compare("gt", k.sub(lowered, floored), k.lit(0.5, x));
  const rounded = k.select(up, k.add(floored, k.lit(1, x)), floored);
  // A zero quotient keeps the sign of the true one; division by zero is IEEE's.
  const signed = k.select(k.compare("eq", lowered, zero), k.mul(k.div(x, y), zero), rounded);
  return k.select(k.compare("eq", y, zero), k.div(x, y), signed);
}

/**
 * Fails for a division of integers by a zero that the host knows, as PyTorch does on the CPU. Where a divisor is still to be computed, the
 * quotient by zero is 0, on every device.
 */
function checkDivisor(op: string, input: Operand, other: Operand, dtype: DType): void {
  if (isFloat(dtype) || (isTensor(input) && input.numel() === 0)) return;
  if (isTensor(other) ? hostValueWhere(other, (v) => v === 0) !== null : Number(other) === 0)
    throw new ArgumentError(`${op}: integer division by zero; test the divisor with .ne(0), or divide floats`);
}

const FLOOR_DIVIDE = signature<{ other: Operand }>()("floorDivide", ["other"]);

/** `floor(input / other)`, broadcast, as Python's `//`. */
export function floorDivide_(input: Operand, ...args: ArgsOf<typeof FLOOR_DIVIDE>): Tensor {
  const { other } = parse(FLOOR_DIVIDE, args);
  return div(input, checkOperand("floorDivide", "other", other), { roundingMode: "floor" });
}

const REMAINDER = signature<{ other: Operand }>()("remainder", ["other"]);
const FMOD = signature<{ other: Operand }>()("fmod", ["other"]);

/** Remainder with the sign of the divisor (Python's `%`). */
export function remainder(input: Operand, ...args: ArgsOf<typeof REMAINDER>): Tensor {
  checkOperand("remainder", "input", input);
  const other = checkOperand("remainder", "other", parse(REMAINDER, args).other);
  const dtype = resultType(input, other);
  if (dtype === "bool") throw new DTypeError("remainder: bool tensors are not supported");
  checkDivisor("remainder", input, other, dtype);
  const out = elementwise("remainder", 4, [input, other], dtype, dtype, (k, [x, y]) => {
    const zero = k.lit(0, x!);
    const mod = k.bin("rem", x!, y!);
    const mismatch = k.and(
      k.compare("ne", mod, zero),
      k.emit("xor", "b", [k.compare("lt", y!, zero), k.compare("lt", mod, zero)]),
    );
    return k.select(mismatch, k.add(mod, y!), mod);
  });
  recordOperands(isTensor(other) ? "RemainderBackward1" : "RemainderBackward0", out, [
    wrt(input, [], (g) => g),
    wrt(other, [input, other], (g, x, y) => g.neg().mul(div(x, y, { roundingMode: "floor" }))),
  ]);
  return out;
}

/** Remainder with the sign of the dividend (C's `fmod`). */
export function fmod(input: Operand, ...args: ArgsOf<typeof FMOD>): Tensor {
  checkOperand("fmod", "input", input);
  const other = checkOperand("fmod", "other", parse(FMOD, args).other);
  const dtype = resultType(input, other);
  if (dtype === "bool") throw new DTypeError("fmod: bool tensors are not supported");
  checkDivisor("fmod", input, other, dtype);
  const out = elementwise("fmod", 2, [input, other], dtype, dtype, (k, [x, y]) => k.bin("rem", x!, y!));
  recordOperands(isTensor(other) ? "FmodBackward1" : "FmodBackward0", out, [
    wrt(input, [], (g) => g),
    wrt(other, [input, other], (g, x, y) => g.neg().mul(div(x, y, { roundingMode: "trunc" }))),
  ]);
  return out;
}

const POW = signature<{ exponent: Operand }>()("pow", ["exponent"]);

/** Exponents that PyTorch, too, computes without the power function. */
const SIMPLE_POWERS: Readonly<Record<string, (k: Builder, x: Value) => Value>> = {
  "2": (k, x) => k.mul(x, x),
  "3": (k, x) => k.mul(k.mul(x, x), x),
  "0.5": (k, x) => k.un("sqrt", x),
  "-0.5": (k, x) => k.un("rsqrt", x),
  "-1": (k, x) => k.div(k.lit(1, x), x),
  "-2": (k, x) => k.div(k.lit(1, x), k.mul(x, x)),
};

/** `input` to the power `exponent`, broadcast. Either may be a number. */
export function pow(input: Operand, ...args: ArgsOf<typeof POW>): Tensor {
  const exponent = checkOperand("pow", "exponent", parse(POW, args).exponent);
  checkOperand("pow", "input", input);
  const dtype = resultType(input, exponent);
  if (dtype === "bool")
    throw new DTypeError('pow: a bool to the power of a bool is not supported; convert one of them with to("int32")');
  if (!isFloat(dtype) && typeof exponent === "number" && exponent < 0)
    throw new ArgumentError(`pow: Integers to negative integer powers are not allowed (exponent ${exponent})`);
  let out: Tensor;
  const simple = isFloat(dtype) && typeof exponent === "number" ? SIMPLE_POWERS[String(exponent)] : undefined;
  if (simple !== undefined) out = elementwise(`pow${String(exponent)}`, 2, [input], dtype, dtype, ofOne(simple));
  else if (isFloat(dtype)) out = elementwise("pow", 10, [input, exponent], dtype, dtype, FLOAT_POWER);
  else out = elementwise("pow", 12, [input, exponent], dtype, dtype, INTEGER_POWER);
  if (isTensor(exponent))
    recordOperands(isTensor(input) ? "PowBackward1" : "PowBackward2", out, [
      wrt(input, [input, exponent], (g, x, y) => (isTensor(x) ? powerSlope(g, x, y) : null)),
      wrt(exponent, [input, exponent, out], (g, x, y, z) => powerExponentSlope(g, x, y, z)),
    ]);
  else recordOperands("PowBackward0", out, [wrt(input, [input], (g, x) => powerSlope(g, x as Tensor, exponent))]);
  return out;
}

// Lowerings are kept for good: they stand where they can refer to no tensor.
type Lowering = (k: Builder, args: readonly Value[]) => Value;
const FLOAT_POWER: Lowering = (k, [x, y]) => k.bin("pow", x!, y!);
const INTEGER_POWER: Lowering = (k, [x, y]) => integerPower(k, x!, y!);
const ofOne =
  (lower: (k: Builder, x: Value) => Value): Lowering =>
  (k, [x]) =>
    lower(k, x!);

/** d(x^y)/dx = y x^(y-1), and zero where y is zero. */
function powerSlope(g: Tensor, x: Tensor, y: Operand): Tensor {
  if (!isTensor(y)) return y === 0 ? g.zerosLike() : g.mul(x.pow(Number(y) - 1).mul(y));
  return y.eq(0).where(g.zerosLike(), g.mul(y.mul(x.pow(y.add(-1)))));
}

/** d(x^y)/dy = x^y log x, and zero where x is zero and y is not negative. */
function powerExponentSlope(g: Tensor, x: Operand, y: Tensor, z: Tensor): Tensor {
  if (!isTensor(x)) {
    const slope = g.mul(z.mul(Math.log(Number(x))));
    return Number(x) === 0 ? y.ge(0).where(g.zerosLike(), slope) : slope;
  }
  return x
    .eq(0)
    .logicalAnd(y.ge(0))
    .where(g.zerosLike(), g.mul(z.mul(x.log())));
}

/** Power of integers by squaring; negative exponents give what truncation of the true value gives. */
function integerPower(k: Builder, x: Value, y: Value): Value {
  const one = k.lit(1, x);
  const zero = k.lit(0, x);
  let result = one;
  let base = x;
  for (let bit = 0; bit < 31; bit++) {
    const set = k.compare("ne", k.bin("band", y, k.lit(2 ** bit, y)), zero);
    result = k.select(set, k.mul(result, base), result);
    // A base of 0, 1 or -1 is the only one whose higher squares matter past 2^5; wrapping makes the rest right too.
    if (bit < 30) base = k.mul(base, base);
  }
  const negative = k.compare("lt", y, zero);
  const odd = k.compare("ne", k.bin("band", y, one), zero);
  const unit = k.select(
    k.compare("eq", x, one),
    one,
    k.select(k.compare("eq", x, k.lit(-1, x)), k.select(odd, k.lit(-1, x), one), zero),
  );
  return k.select(negative, unit, result);
}

const MAXIMUM = signature<{ other: Operand }>()("maximum", ["other"]);
const MINIMUM = signature<{ other: Operand }>()("minimum", ["other"]);

/** Elementwise maximum; NaN if either is NaN. Equal operands share the gradient. */
export function maximum(input: Operand, ...args: ArgsOf<typeof MAXIMUM>): Tensor {
  checkOperand("maximum", "input", input);
  return extremum("maximum", input, checkOperand("maximum", "other", parse(MAXIMUM, args).other));
}

/** Elementwise minimum; NaN if either is NaN. Equal operands share the gradient. */
export function minimum(input: Operand, ...args: ArgsOf<typeof MINIMUM>): Tensor {
  checkOperand("minimum", "input", input);
  return extremum("minimum", input, checkOperand("minimum", "other", parse(MINIMUM, args).other));
}

function extremum(name: "maximum" | "minimum", a: Operand, b: Operand): Tensor {
  const dtype = resultType(a, b);
  const isMax = name === "maximum";
  const out = elementwise(name, 1, [a, b], dtype, dtype, (k, [x, y]) => {
    if (dtype === "bool") return isMax ? k.or(x!, y!) : k.and(x!, y!);
    return k.bin(isMax ? "max" : "min", x!, y!);
  });
  const share = (g: Tensor, mine: Operand, other: Operand): Tensor => {
    const x = isTensor(mine) ? mine : (other as Tensor).fullLike(Number(mine));
    const loses = isMax ? x.lt(other) : x.gt(other);
    return x.eq(other).where(g.div(2), g).maskedFill(loses, 0);
  };
  recordOperands(isMax ? "MaximumBackward0" : "MinimumBackward0", out, [
    wrt(a, [a, b], (g, x, y) => share(g, x, y)),
    wrt(b, [b, a], (g, y, x) => share(g, y, x)),
  ]);
  return out;
}

const ATAN2 = signature<{ other: Operand }>()("atan2", ["other"]);

/** Angle of the point (other, input), in radians. */
export function atan2(input: Operand, ...args: ArgsOf<typeof ATAN2>): Tensor {
  checkOperand("atan2", "input", input);
  const other = checkOperand("atan2", "other", parse(ATAN2, args).other);
  const dtype = floatType(resultType(input, other));
  const out = elementwise("atan2", 8, [input, other], dtype, dtype, (k, [y, x]) => k.bin("atan2", y!, x!));
  const overNorm = (g: Tensor, y: Operand, x: Operand): Tensor => {
    const norm = add(mul(x, x), mul(y, y));
    return g.div(norm);
  };
  recordOperands("Atan2Backward0", out, [
    wrt(input, [input, other], (g, y, x) => overNorm(g, y, x).mul(x)),
    wrt(other, [input, other], (g, y, x) => overNorm(g, y, x).mul(mul(y, -1))),
  ]);
  return out;
}

const CLAMP = signature<{ min?: Operand | null; max?: Operand | null }>()("clamp", ["min", "max"]);

/** Values limited to [min, max]; either bound may be missing, a number or a tensor. NaN stays NaN. */
export function clamp(input: Tensor, ...args: ArgsOf<typeof CLAMP>): Tensor {
  const { min = null, max = null } = parse(CLAMP, args, input);
  return limit(isTensor(min) || isTensor(max) ? "ClampBackward0" : "ClampBackward1", input, min, max);
}

const limiting =
  (below: boolean, above: boolean): Lowering =>
  (k, values) => {
    let [x] = values;
    let next = 1;
    if (below) x = k.bin("max", x!, values[next++]!);
    if (above) x = k.bin("min", x!, values[next]!);
    return x!;
  };

function limit(name: string, input: Tensor, min: Operand | null, max: Operand | null): Tensor {
  if (min === null && max === null) throw new ArgumentError("clamp: at least one of min and max must be given");
  const bounds = [min, max].filter((o) => o !== null).map((o) => checkOperand("clamp", "a bound", o));
  const dtype = resultType(input, ...bounds);
  if (dtype === "bool") throw new DTypeError("clamp: bool tensors are not supported");
  const out = elementwise(
    `clamp${min === null ? "" : "Min"}${max === null ? "" : "Max"}`,
    2,
    [input, ...bounds],
    dtype,
    dtype,
    limiting(min !== null, max !== null),
  );
  const rules = [
    wrt(input, [input, ...bounds], (g, x, ...limits) => {
      const t = x;
      let mask: Tensor | null = null;
      let next = 0;
      if (min !== null) mask = t.ge(limits[next++]!);
      if (max !== null) {
        const below = t.le(limits[next]!);
        mask = mask === null ? below : mask.logicalAnd(below);
      }
      return mask!.where(g, 0);
    }),
  ];
  if (min !== null && isTensor(min))
    rules.push(
      wrt(min, [input, ...bounds], (g, x, low, high) => {
        const mask = (low as Tensor).gt(x);
        return (high === undefined ? mask : mask.logicalAnd(lessThan(low, high))).where(g, 0);
      }),
    );
  if (max !== null && isTensor(max))
    rules.push(
      wrt(max, [input, ...bounds], (g, x, ...limits) => {
        const high = limits[limits.length - 1]! as Tensor;
        const mask = high.lt(x);
        return (min === null ? mask : mask.logicalOr(lessThan(high, limits[0]!))).where(g, 0);
      }),
    );
  recordOperands(name, out, rules);
  return out;
}

function lessThan(a: Operand, b: Operand): Tensor {
  return isTensor(a) ? a.lt(b) : (b as Tensor).gt(a);
}

const CLAMP_MIN = signature<{ min: Operand }>()("clampMin", ["min"]);
const CLAMP_MAX = signature<{ max: Operand }>()("clampMax", ["max"]);

/** Values not below `min`. */
export function clampMin(input: Tensor, ...args: ArgsOf<typeof CLAMP_MIN>): Tensor {
  const min = checkOperand("clampMin", "min", parse(CLAMP_MIN, args, input).min);
  return limit(isTensor(min) ? "ClampMinBackward1" : "ClampMinBackward0", input, min, null);
}

/** Values not above `max`. */
export function clampMax(input: Tensor, ...args: ArgsOf<typeof CLAMP_MAX>): Tensor {
  const max = checkOperand("clampMax", "max", parse(CLAMP_MAX, args, input).max);
  return limit(isTensor(max) ? "ClampMaxBackward1" : "ClampMaxBackward0", input, null, max);
}

const LERP = signature<{ end: Tensor; weight: Operand }>()("lerp", ["end", "weight"]);

const LERP_FROM_INPUT: Lowering = (k, [x, y, w]) => k.add(x!, k.mul(w!, k.sub(y!, x!)));
const LERP_FROM_END: Lowering = (k, [x, y, w]) => k.sub(y!, k.mul(k.sub(y!, x!), k.sub(k.lit(1, w!), w!)));
const LERP_FROM_NEARER: Lowering = (k, args) => {
  const near = k.compare("lt", k.un("abs", args[2]!), k.lit(0.5, args[2]!));
  return k.select(near, LERP_FROM_INPUT(k, args), LERP_FROM_END(k, args));
};

/** `input + weight * (end - input)`. */
export function lerp(input: Tensor, ...args: ArgsOf<typeof LERP>): Tensor {
  const { end, weight } = parse(LERP, args, input);
  checkTensor("lerp", "end", end);
  const dtype = resultType(input, end);
  const operand = checkOperand("lerp", "weight", weight);
  // Computed from the nearer end, so that weight 1 gives `end` exactly. Which one that is is known of a number.
  let [name, lower] = ["lerp:input", LERP_FROM_INPUT];
  if (isTensor(operand)) {
    [name, lower] = ["lerp", LERP_FROM_NEARER];
  } else if (!(Math.abs(Number(operand)) < 0.5)) [name, lower] = ["lerp:end", LERP_FROM_END];
  const out = elementwise(name, 5, [input, end, operand], dtype, dtype, lower);
  recordOperands(isTensor(weight) ? "LerpBackward1" : "LerpBackward0", out, [
    wrt(input, [weight], (g, w) => g.mul(isTensor(w) ? w.neg().add(1) : 1 - Number(w))),
    wrt(end, [weight], (g, w) => g.mul(w)),
    wrt(weight, [input, end], (g, x, y) => g.mul(y.sub(x))),
  ]);
  return out;
}

const ADDCMUL = signature<{ tensor1: Tensor; tensor2: Tensor; value?: number }>()(
  "addcmul",
  ["tensor1", "tensor2"],
  ["value"],
);
const ADDCDIV = signature<{ tensor1: Tensor; tensor2: Tensor; value?: number }>()(
  "addcdiv",
  ["tensor1", "tensor2"],
  ["value"],
);

function checkFactors(op: string, tensor1: unknown, tensor2: unknown, value: unknown): void {
  checkTensor(op, "tensor1", tensor1);
  checkTensor(op, "tensor2", tensor2);
  checkNumber(op, "value", value);
}

/** `input + value * tensor1 * tensor2`. */
export function addcmul(input: Tensor, ...args: ArgsOf<typeof ADDCMUL>): Tensor {
  const { tensor1, tensor2, value = 1 } = parse(ADDCMUL, args, input);
  checkFactors("addcmul", tensor1, tensor2, value);
  const dtype = resultType(input, tensor1, tensor2);
  if (dtype === "bool") throw new DTypeError("addcmul: bool tensors are not supported");
  const out = elementwise("addcmul", 3, [input, tensor1, tensor2, value], dtype, dtype, (k, [x, a, b, s]) =>
    k.add(x!, k.mul(k.mul(s!, a!), b!)),
  );
  recordOperands("AddcmulBackward0", out, [
    wrt(input, [], (g) => g),
    wrt(tensor1, [tensor2], (g, b) => g.mul(b.mul(value))),
    wrt(tensor2, [tensor1], (g, a) => g.mul(a.mul(value))),
  ]);
  return out;
}

/** `input + value * tensor1 / tensor2`, of floats. */
export function addcdiv(input: Tensor, ...args: ArgsOf<typeof ADDCDIV>): Tensor {
  const { tensor1, tensor2, value = 1 } = parse(ADDCDIV, args, input);
  checkFactors("addcdiv", tensor1, tensor2, value);
  const dtype = resultType(input, tensor1, tensor2);
  if (category(dtype) !== 2)
    throw new DTypeError('addcdiv: integer division is not supported; convert with .to("float32") first');
  const out = elementwise("addcdiv", 3, [input, tensor1, tensor2, value], dtype, dtype, (k, [x, a, b, s]) =>
    k.add(x!, k.mul(s!, k.div(a!, b!))),
  );
  recordOperands("AddcdivBackward0", out, [
    wrt(input, [], (g) => g),
    wrt(tensor1, [tensor2], (g, b) => g.mul(b.reciprocal().mul(value))),
    wrt(tensor2, [tensor1, tensor2], (g, a, b) => g.mul(a.div(b.mul(b)).mul(-value))),
  ]);
  return out;
}
