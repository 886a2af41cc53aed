/** Elementwise operations with broadcasting and PyTorch's type promotion. */

import { describeValue } from "../args.ts";
import type { Backend } from "../backend/backend.ts";
import { isGradEnabled } from "../autograd/mode.ts";
import { record, type Wrt } from "../autograd/tape.ts";
import { category, dtypeNumber, isFloat, promoteTypes, type DType } from "../dtype.ts";
import { ArgumentError, DTypeError } from "../errors.ts";
import { valueType, type Builder, type Value } from "../graph/builder.ts";
import type { ValueType } from "../graph/kernel.ts";
import { list, NONE } from "../graph/lists.ts";
import type { MapOp } from "../graph/node.ts";
import { broadcastShapes, sameShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, checkTensor, commonBackend, isTensor, knownMapOp, mapOp, noteMapOp } from "./apply.ts";
import { UNARY, type UnaryRow } from "./scalar.ts";
import { SPECIAL } from "./special-rows.ts";

/** A tensor, or a number that takes part in type promotion as a Python number does (integral ones as integers). */
export type Operand = Tensor | number | boolean;

/** `ExpBackward0` for `exp`, `LogicalNotBackward0` for `logicalNot`. */
export function backwardName(name: string): string {
  return `${name[0]!.toUpperCase()}${name.slice(1)}Backward0`;
}

/** All operations of one operand. */
const ROWS = { ...UNARY, ...SPECIAL };

/** Name of an elementwise operation of one operand. */
export type UnaryName = keyof typeof ROWS;

/** Applies a row of the table of one-operand operations. */
export function unary(name: UnaryName, x: Tensor): Tensor {
  checkTensor(name, "input", x);
  const row: UnaryRow = ROWS[name];
  const from = x.dtype;
  if (row.noBool === true && from === "bool")
    throw new DTypeError(`${name}: bool tensors are not supported; use logicalNot() or .to("int32")`);
  if (name === "bitwiseNot" && isFloat(from))
    throw new DTypeError(`bitwiseNot: expected an integer or bool tensor, got ${from}`);
  if (name === "positive") return x;
  const compute: DType = row.result === "float" && !isFloat(from) ? "float32" : from;
  const to: DType = row.result === "bool" ? "bool" : compute;
  const types = dtypeNumber(from);
  const op = knownMapOp(name, types, 1) ?? noteMapOp(name, types, 1, makeUnaryOp(name, row, from, compute, to));
  const y = applyNode(x.impl.backend, op, x.shape, to, [argOf(x)]);
  const { grad } = row;
  if (grad !== undefined && isFloat(to) && isGradEnabled() && x.requiresGrad) {
    const formula = (g: Tensor, saved?: Tensor): Tensor => grad(g, saved ?? g, []);
    const saves = row.saves === "x" ? [x] : row.saves === "y" ? [y] : [];
    record(row.backward ?? backwardName(name), y, [[x, saves, formula]]);
  }
  return y;
}

function makeUnaryOp(name: string, row: UnaryRow, from: DType, compute: DType, to: DType): MapOp {
  return mapOp(`${name}:${from}`, row.cost, (b, [v]) => {
    const y = row.lower(b, b.convert(v!, from, compute), []);
    return to === "uint8" ? b.emit("wrap8", "i", [y]) : y;
  });
}

/** Dtype that a number has in promotion. */
function numberType(value: number | boolean): DType {
  return typeof value === "boolean" ? "bool" : Number.isInteger(value) ? "int32" : "float32";
}

/**
 * PyTorch's result type: tensors with dimensions count before zero-dimensional ones, those before numbers; a later group matters
 * only if its category (bool, integer, float) is higher.
 */
export function resultType(...operands: readonly Operand[]): DType {
  let withDims: DType | null = null;
  let zeroDims: DType | null = null;
  let numbers: DType | null = null;
  const join = (a: DType | null, b: DType): DType => (a === null ? b : promoteTypes(a, b));
  for (const o of operands) {
    if (!isTensor(o)) numbers = join(numbers, numberType(o));
    else if (o.impl.shape.length > 0) withDims = join(withDims, o.impl.dtype);
    else zeroDims = join(zeroDims, o.impl.dtype);
  }
  let result = withDims;
  for (const next of [zeroDims, numbers])
    if (next !== null)
      result = result === null ? next : category(next) > category(result) ? promoteTypes(result, next) : result;
  return result!;
}

/** Fails unless the argument is a tensor or a number. */
export function checkOperand(op: string, what: string, value: unknown): Operand {
  if (isTensor(value) || typeof value === "number" || typeof value === "boolean") return value;
  throw new ArgumentError(
    `${op}: ${what} must be a Tensor or a number, got ${describeValue(value)}; make a tensor with tensor(...)`,
  );
}

/**
 * Records an elementwise operation of several operands, each converted to `compute` first. Off the tape.
 *
 * `key` names the lowering; together with the dtypes it identifies the compiled form.
 */
export function elementwise(
  name: string,
  cost: number,
  operands: readonly Operand[],
  compute: DType | readonly DType[],
  result: DType,
  lower: (b: Builder, args: readonly Value[]) => Value,
): Tensor {
  let first: Tensor | null = null;
  let isPlain = true;
  let scalars: number[] | undefined;
  let scalarTypes: ValueType[] | undefined;
  let types = dtypeNumber(result);
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i]!;
    const type = typeof compute === "string" ? compute : compute[i]!;
    types = types * TYPES + dtypeNumber(type);
    if (isTensor(operand)) {
      types = types * TYPES + dtypeNumber(operand.impl.dtype);
      if (first === null) first = operand;
      else if (!sameShape(operand.impl.shape, first.impl.shape)) isPlain = false;
    } else {
      types = types * TYPES + NUMBER;
      // A number takes part in uint8 as the byte that it wraps to.
      const value = type === "uint8" ? Number(operand) & 255 : Number(operand);
      if (scalars === undefined) {
        scalars = list(value);
        scalarTypes = list(valueType(type));
      } else {
        scalars.push(value);
        scalarTypes!.push(valueType(type));
      }
    }
  }
  if (first === null) throw new ArgumentError(`${name}: at least one operand must be a Tensor`);
  const tensors = scalars === undefined ? (operands as readonly Tensor[]) : operands.filter(isTensor);
  const backend: Backend = commonBackend(name, tensors);
  const shape = isPlain ? first.impl.shape : broadcastShapes(name, ...tensors.map((t) => t.shape));
  const op =
    knownMapOp(name, types, operands.length) ??
    noteMapOp(name, types, operands.length, makeOp(name, cost, operands, compute, result, lower));
  return applyNode(
    backend,
    op,
    shape,
    result,
    tensors.map((t) => argOf(t, shape)),
    scalars === undefined ? undefined : { scalars, scalarTypes: scalarTypes! },
  );
}

/** More than there are dtypes; and what stands for the dtype of a number. */
const TYPES = 8;
const NUMBER = 7;

/** The operation as the scheduler knows it. It keeps nothing of the operands but their types. */
function makeOp(
  name: string,
  cost: number,
  operands: readonly Operand[],
  compute: DType | readonly DType[],
  result: DType,
  lower: (b: Builder, args: readonly Value[]) => Value,
): MapOp {
  const kinds = operands.map((o) => (isTensor(o) ? o.impl.dtype : "n"));
  const types = operands.map((_, i) => (typeof compute === "string" ? compute : compute[i]!));
  const key = `${name}:${kinds.join(",")}:${types.join(",")}:${result}`;
  return mapOp(key, cost, lowering(kinds, types, result, lower));
}

/** Converts what a kernel loads (of the dtypes `kinds`, "n" for a number) to the types that the operation computes in. */
function lowering(
  kinds: readonly string[],
  types: readonly DType[],
  result: DType,
  lower: (b: Builder, args: readonly Value[]) => Value,
): MapOp["lower"] {
  return (b, args, { scalars }) => {
    let tensor = 0;
    let number = 0;
    const values = kinds.map((kind, i) =>
      kind === "n" ? scalars[number++]! : b.convert(args[tensor++]!, kind as DType, types[i]!),
    );
    const y = lower(b, values);
    return result === "uint8" ? b.emit("wrap8", "i", [y]) : y;
  };
}

/** The derivative with respect to one operand: what it is computed from (tensors are saved), and the formula. */
export type OperandRule = readonly [
  operand: Operand,
  saved: readonly Operand[],
  formula: (g: Tensor, ...saved: never[]) => Tensor | null,
];

/** A rule; the formula gets the saved operands in order, numbers as they are. */
export function wrt<const S extends readonly Operand[]>(
  operand: Operand,
  saved: S,
  formula: (g: Tensor, ...saved: { -readonly [I in keyof S]: S[I] }) => Tensor | null,
): OperandRule {
  return [operand, saved, formula as OperandRule[2]];
}

/** True if the derivative of an operation of two operands has to be recorded: rules need not be written down otherwise. */
export function needsRules(out: Tensor, a: Operand, b: Operand): boolean {
  if (!isGradEnabled() || !isFloat(out.impl.dtype)) return false;
  return (isTensor(a) && a.requiresGrad) || (isTensor(b) && b.requiresGrad);
}

/**
 * Records the derivative of an elementwise operation, with respect to those operands that are tensors. `"tensors"` says that PyTorch makes
 * tensors of number operands: they have a place among the edges, and one that is saved counts as saved.
 */
export function recordOperands(
  name: string,
  out: Tensor,
  rules: readonly OperandRule[],
  numbers: "tensors" | "scalars" = "scalars",
): void {
  if (!isFloat(out.dtype) || !isGradEnabled()) return;
  if (!rules.some(isWanted)) return;
  let once = false;
  const wrts: Wrt[] = [];
  for (const rule of rules) {
    const [operand, saved, formula] = rule;
    if (!isTensor(operand)) {
      if (numbers === "tensors") wrts.push(NOTHING);
    } else if (!operand.requiresGrad) wrts.push([operand, NONE, nothing]);
    else if (saved.every(isTensor)) wrts.push([operand, saved, formula as Wrt[2]]);
    else {
      if (numbers === "tensors") once = true;
      wrts.push([operand, saved.filter(isTensor), withNumbers(saved, formula)]);
    }
  }
  record(name, out, wrts, once);
}

function isWanted([operand]: OperandRule): boolean {
  return isTensor(operand) && operand.requiresGrad;
}

const nothing = (): null => null;
/** The place of a number among the edges. */
const NOTHING: Wrt = [null, NONE, nothing];

/** A formula that gets the numbers among its operands in their places. */
function withNumbers(saved: readonly Operand[], formula: OperandRule[2]): Wrt[2] {
  const call = formula as (g: Tensor, ...saved: Operand[]) => Tensor | null;
  // What is on the tape must not keep the operands themselves.
  const known = saved.map((s) => (isTensor(s) ? null : s));
  return (g, ...values) => {
    let next = 0;
    return call(g, ...known.map((s) => (s === null ? values[next++]! : s)));
  };
}
