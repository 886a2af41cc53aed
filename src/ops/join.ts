/** Joining tensors, and what is defined by it. */

import { checkInteger, integers, parse, signature, spread, type ArgsOf } from "../args.ts";
import { record, recordMany } from "../autograd/tape.ts";
import type { DType } from "../dtype.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import type { UpdateOp } from "../graph/node.ts";
import { contiguousStrides, sameShape, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, checkTensor, commonBackend, convertCopy, wrapDim } from "./apply.ts";
import { resultType } from "./elementwise.ts";
import { setConcatenate } from "./structure.ts";

function checkList(op: string, tensors: readonly Tensor[]): void {
  if (!Array.isArray(tensors)) throw new ArgumentError(`${op}: expected an array of tensors`);
  if (tensors.length === 0) throw new ArgumentError(`${op}: expected a non-empty array of tensors`);
  tensors.forEach((t, i) => checkTensor(op, `element ${i}`, t));
}

/** Pieces along a dimension of a new tensor, off the tape. */
function assemble(tensors: readonly Tensor[], shape: readonly number[], dim: number, dtype: DType): Tensor {
  const strides = contiguousStrides(shape);
  let start = 0;
  const targets = tensors.map((t) => {
    const target = { shape: t.shape, strides, offset: start * strides[dim]! };
    start += t.shape[dim]!;
    return target;
  });
  const op: UpdateOp = {
    kind: "update",
    key: "cat",
    hasBase: false,
    targets,
  };
  const pieces = tensors.map((t) => argOf(t.dtype === dtype ? t : convertCopy(t, dtype)));
  return applyNode(tensors[0]!.impl.backend, op, shape, dtype, pieces);
}

const CAT = signature<{ tensors: readonly Tensor[]; dim?: number }>()("cat", ["tensors", "dim"]);

/** Tensors joined along a dimension; their other sizes must agree. One-dimensional empty tensors are skipped. */
export function cat(...args: ArgsOf<typeof CAT>): Tensor {
  const { tensors, dim: given = 0 } = parse(CAT, args);
  checkList("cat", tensors);
  checkInteger("cat", "dim", given);
  commonBackend("cat", tensors);
  const used = tensors.filter((t) => !(t.dim() === 1 && t.shape[0] === 0));
  const dtype = resultType(...tensors);
  if (used.length === 0) {
    const none = tensors[0]!.newZeros([0], { dtype });
    recordMany("CatBackward0", [none], tensors, [], ([g]) => tensors.map(() => g!));
    return none;
  }
  const first = used[0]!;
  const rank = first.dim();
  if (rank === 0) throw new ShapeError("cat: zero-dimensional tensors cannot be concatenated; use stack()");
  const dim = wrapDim("cat", given, rank);
  const shape = [...first.shape];
  shape[dim] = 0;
  used.forEach((t, i) => {
    if (t.dim() !== rank || !sameShape(t.shape.with(dim, 0), first.shape.with(dim, 0)))
      throw new ShapeError(
        `cat: sizes of tensors must match except in dimension ${dim}: ${showShape(first.shape)} and ${showShape(t.shape)} (number ${i} in the list)`,
      );
    shape[dim]! += t.shape[dim]!;
  });
  const out = assemble(used, shape, dim, dtype);
  const sizes = tensors.map((t) => (used.includes(t) ? t.shape[dim]! : 0));
  const shapes = tensors.map((t) => [...t.shape]);
  recordMany("CatBackward0", [out], tensors, [], ([g], _, needed) => {
    let start = 0;
    return sizes.map((size, i) => {
      const from = start;
      start += size;
      if (!needed[i]) return null;
      return used.includes(tensors[i]!) ? g!.narrow(dim, from, size) : g!.newZeros(shapes[i]!);
    });
  });
  return out;
}

const STACK = signature<{ tensors: readonly Tensor[]; dim?: number }>()("stack", ["tensors", "dim"]);

/** Tensors of one shape joined along a new dimension. */
export function stack(...args: ArgsOf<typeof STACK>): Tensor {
  const { tensors, dim: given = 0 } = parse(STACK, args);
  checkList("stack", tensors);
  commonBackend("stack", tensors);
  const first = tensors[0]!;
  tensors.forEach((t, i) => {
    if (!sameShape(t.shape, first.shape))
      throw new ShapeError(
        `stack: expects each tensor to be equal size, but got ${showShape(first.shape)} at entry 0 and ${showShape(t.shape)} at entry ${i}`,
      );
  });
  const dim = wrapDim("stack", given, first.dim() + 1);
  const lead = first.shape.slice(0, dim);
  const shape = [...lead, tensors.length, ...first.shape.slice(dim)];
  const parts = tensors.map((t) => t.detach().unsqueeze(dim));
  const out = assemble(parts, shape, dim, resultType(...tensors));
  recordMany("StackBackward0", [out], tensors, [], ([g], _, needed) =>
    tensors.map((_t, i) => (needed[i] ? g!.select(dim, i) : null)),
  );
  return out;
}

setConcatenate((tensors, dim) => cat(tensors, dim));

/** Tensors given as an array or as plain arguments. */
export function tensorList(values: readonly (Tensor | readonly Tensor[])[]): Tensor[] {
  return values.flatMap((v) => v);
}

const atLeast =
  (rank: number) =>
  (t: Tensor): Tensor => {
    checkTensor(`atleast${rank}d`, "input", t);
    if (t.dim() >= rank) return t;
    if (t.dim() === 0) return t.reshape(new Array<number>(rank).fill(1));
    if (rank === 2) return t.unsqueeze(0);
    return t.dim() === 1 ? t.unsqueeze(0).unsqueeze(-1) : t.unsqueeze(-1);
  };

/** Scalars as one-dimensional tensors. */
export const atleast1d = atLeast(1);
/** Tensors of fewer dimensions as matrices. */
export const atleast2d = atLeast(2);
/** Tensors of fewer dimensions as three-dimensional ones. */
export const atleast3d = atLeast(3);

/** Joined along the columns (dimension 1; 0 for vectors). */
export function hstack(tensors: readonly Tensor[]): Tensor {
  checkList("hstack", tensors);
  const parts = tensors.map(atleast1d);
  return cat(parts, parts[0]!.dim() === 1 ? 0 : 1);
}

/** Joined along the rows (dimension 0 of at least two). */
export function vstack(tensors: readonly Tensor[]): Tensor {
  checkList("vstack", tensors);
  return cat(tensors.map(atleast2d), 0);
}

/** Joined along the third dimension. */
export function dstack(tensors: readonly Tensor[]): Tensor {
  checkList("dstack", tensors);
  return cat(tensors.map(atleast3d), 2);
}

/** The tensor repeated along each dimension as often as given, in an array or as plain numbers. */
export function repeat(input: Tensor, ...given: readonly (number | readonly number[])[]): Tensor {
  checkTensor("repeat", "input", input);
  const repeats = integers("repeat", "repeats", spread<number>(given));
  const lead = repeats.length - input.dim();
  if (lead < 0)
    throw new ShapeError(
      `repeat: ${repeats.length} repeats given for ${input.dim()} dimensions; it takes at least as many`,
    );
  for (const r of repeats)
    if (!Number.isInteger(r) || r < 0)
      throw new ArgumentError(`repeat: repeats must be non-negative integers, got ${showShape(repeats)}`);
  const shape = [...new Array<number>(lead).fill(1), ...input.shape];
  const pairs = shape.flatMap((n) => [1, n]);
  const target = shape.flatMap((n, d) => [repeats[d]!, n]);
  const out = input
    .detach()
    .reshape(pairs)
    .expand(target)
    .clone()
    .view(shape.map((n, d) => n * repeats[d]!))
    .detach();
  const before = [...input.shape];
  record("RepeatBackward0", out, [
    [
      input,
      [],
      (g) =>
        g
          .reshape(target)
          .sum(repeats.map((_, d) => 2 * d))
          .reshape(before),
    ],
  ]);
  return out;
}

/** Like `repeat`, with missing repeats in front taken as one. */
export function tile(input: Tensor, ...given: readonly (number | readonly number[])[]): Tensor {
  checkTensor("tile", "input", input);
  const dims = integers("tile", "dims", spread<number>(given));
  const missing = Math.max(input.dim() - dims.length, 0);
  return repeat(input, [...new Array<number>(missing).fill(1), ...dims]);
}
