/** Comparison, logic, bits and choice. */

import { parse, signature, type ArgsOf } from "../args.ts";
import { holds, isFloat, type DType } from "../dtype.ts";
import { ArgumentError, DTypeError } from "../errors.ts";
import type { Builder, Value } from "../graph/builder.ts";
import type { Tensor } from "../tensor.ts";
import { checkTensor, isTensor } from "./apply.ts";
import { checkOperand, elementwise, recordOperands, resultType, wrt, type Operand } from "./elementwise.ts";

const OTHER = signature<{ other: Operand }>()("compare", ["other"]);
type OtherArgs = ArgsOf<typeof OTHER>;

/** Second operand of a two-operand operation, by position or by name. */
function otherOf(name: string, args: OtherArgs): Operand {
  return checkOperand(name, "other", parse({ ...OTHER, name }, args).other);
}

function comparison(name: "eq" | "ne" | "lt" | "le" | "gt" | "ge") {
  return (input: Operand, ...args: OtherArgs): Tensor => {
    checkOperand(name, "input", input);
    const other = otherOf(name, args);
    const promoted = resultType(input, other);
    // Bool is compared as 0 and 1.
    const compute: DType = promoted === "bool" ? "int32" : promoted;
    return elementwise(name, 1, [input, other], compute, "bool", (k, [x, y]) => k.compare(name, x!, y!));
  };
}

/** `input == other`, elementwise. */
export const eq = comparison("eq");
/** `input != other`, elementwise. */
export const ne = comparison("ne");
/** `input < other`, elementwise. */
export const lt = comparison("lt");
/** `input <= other`, elementwise. */
export const le = comparison("le");
/** `input > other`, elementwise. */
export const gt = comparison("gt");
/** `input >= other`, elementwise. */
export const ge = comparison("ge");

function logical(name: string, op: "and" | "or" | "xor") {
  return (input: Operand, ...args: OtherArgs): Tensor =>
    elementwise(name, 1, [checkOperand(name, "input", input), otherOf(name, args)], "bool", "bool", (k, [x, y]) =>
      k.emit(op, "b", [x!, y!]),
    );
}

/** Both are nonzero. */
export const logicalAnd = logical("logicalAnd", "and");
/** At least one is nonzero. */
export const logicalOr = logical("logicalOr", "or");
/** Exactly one is nonzero. */
export const logicalXor = logical("logicalXor", "xor");

function bitwise(name: string, lower: (k: Builder, x: Value, y: Value) => Value, onBool: "and" | "or" | "xor" | null) {
  return (input: Operand, ...args: OtherArgs): Tensor => {
    checkOperand(name, "input", input);
    const other = otherOf(name, args);
    const dtype = resultType(input, other);
    if (isFloat(dtype)) throw new DTypeError(`${name}: expected integer or bool operands, got ${dtype}`);
    if (dtype === "bool" && onBool === null) throw new DTypeError(`${name}: bool operands are not supported`);
    return elementwise(name, 1, [input, other], dtype, dtype, (k, [x, y]) =>
      dtype === "bool" ? k.emit(onBool!, "b", [x!, y!]) : lower(k, x!, y!),
    );
  };
}

/** Bitwise and of integers, logical and of bool. */
export const bitwiseAnd = bitwise("bitwiseAnd", (k, x, y) => k.bin("band", x, y), "and");
/** Bitwise or of integers, logical or of bool. */
export const bitwiseOr = bitwise("bitwiseOr", (k, x, y) => k.bin("bor", x, y), "or");
/** Bitwise exclusive or of integers, logical of bool. */
export const bitwiseXor = bitwise("bitwiseXor", (k, x, y) => k.bin("bxor", x, y), "xor");
/** `input * 2^other` by shifting; amounts outside 0 to 31 give 0. */
export const bitwiseLeftShift = bitwise(
  "bitwiseLeftShift",
  (k, x, y) => {
    const inside = k.and(k.compare("ge", y, k.lit(0, y)), k.compare("lt", y, k.lit(32, y)));
    return k.select(inside, k.bin("shl", x, k.bin("band", y, k.lit(31, y))), k.lit(0, x));
  },
  null,
);
/** `input / 2^other` rounded down, by shifting; amounts outside 0 to 31 act as 31. */
export const bitwiseRightShift = bitwise(
  "bitwiseRightShift",
  (k, x, y) => {
    const inside = k.and(k.compare("ge", y, k.lit(0, y)), k.compare("lt", y, k.lit(32, y)));
    return k.bin("shr", x, k.select(inside, y, k.lit(31, y)));
  },
  null,
);

const WHERE = signature<{ input: Operand; other: Operand }>()("where", ["input", "other"]);

/** `input` where `condition` is true, else `other`; all broadcast. */
export function where(condition: Tensor, ...args: ArgsOf<typeof WHERE>): Tensor {
  const { input: a, other: b } = parse(WHERE, args, condition);
  checkTensor("where", "condition", condition);
  const x = checkOperand("where", "input", a);
  const y = checkOperand("where", "other", b);
  if (condition.dtype !== "bool" && condition.dtype !== "uint8")
    throw new DTypeError(`where: condition must be a bool tensor, got ${condition.dtype}; use .ne(0) or a comparison`);
  const promoted = resultType(x, y);
  const dtype = !isTensor(x) && !isTensor(y) && promoted === "int32" ? "float32" : promoted;
  const out = elementwise("where", 1, [condition, x, y], ["bool", dtype, dtype], dtype, (k, [c, p, q]) =>
    k.select(c!, p!, q!),
  );
  const rules = [wrt(x, [condition], (g, c) => where(c, g, 0)), wrt(y, [condition], (g, c) => where(c, 0, g))];
  recordOperands("WhereBackward0", out, rules, "tensors");
  return out;
}

const MASKED_FILL = signature<{ mask: Tensor; value: Operand }>()("maskedFill", ["mask", "value"]);

/** `value` where `mask` is true, else `input`. `value` is a number or a zero-dimensional tensor. */
export function maskedFill(input: Tensor, ...args: ArgsOf<typeof MASKED_FILL>): Tensor {
  const { mask, value: given } = parse(MASKED_FILL, args, input);
  checkTensor("maskedFill", "mask", mask);
  const value = checkOperand("maskedFill", "value", given);
  if (mask.dtype !== "bool") throw new DTypeError(`maskedFill: mask must be a bool tensor, got ${mask.dtype}`);
  if (isTensor(value) && value.dim() > 0)
    throw new ArgumentError(
      `maskedFill: value must be a number or a zero-dimensional tensor, got ${value.dim()} dimensions`,
    );
  const { dtype } = input;
  if (
    !isFloat(dtype) &&
    (isTensor(value) ? isFloat(value.dtype) : typeof value === "number" && !Number.isInteger(value))
  )
    throw new DTypeError(
      `maskedFill: value ${isTensor(value) ? value.dtype : value} cannot be converted to ${dtype} without overflow or loss`,
    );
  if (typeof value === "number" && !holds(dtype, value))
    throw new ArgumentError(`maskedFill: ${value} cannot be converted to ${dtype} without overflow`);
  const out = elementwise("maskedFill", 1, [input, mask, value], [dtype, "bool", dtype], dtype, (k, [x, m, v]) =>
    k.select(m!, v!, x!),
  );
  recordOperands(isTensor(value) ? "MaskedFillBackward1" : "MaskedFillBackward0", out, [
    wrt(input, [mask], (g, m) => maskedFill(g, m, 0)),
    wrt(value, [mask], (g, m) => where(m, g, 0).sum()),
  ]);
  return out;
}
