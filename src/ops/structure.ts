/** Views and movement: other ways to see the same storage, each with the derivative that undoes it. */

import { checkInteger, describeValue, integers, parse, signature, splitOptions, spread, type ArgsOf } from "../args.ts";
import { isGradEnabled } from "../autograd/mode.ts";
import { record, recordMany } from "../autograd/tape.ts";
import type { ViewKind } from "../base.ts";
import { isFloat } from "../dtype.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { contiguousStrides, numel, reshapeStrides, sameShape, showShape, type View } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { aliasOf, checkSizes, checkTensor, convertCopy, isTensor, wrapDim, wrapDims } from "./apply.ts";

/**
 * A view of `input`, on the tape: `again` makes the same view of any tensor of the same shape, and `grad` takes the view's
 * gradient to the input's.
 */
function makeView(
  name: string,
  input: Tensor,
  view: View,
  again: (t: Tensor) => Tensor,
  grad: (g: Tensor) => Tensor,
  kind: ViewKind = "view",
): Tensor {
  const out = aliasOf(input, view);
  linkView(out, input, again, kind);
  if (isFloat(input.dtype)) record(name, out, [[input, [], grad]]);
  return out;
}

/** Makes `out` known as a view of `input`'s base. */
function linkView(out: Tensor, input: Tensor, again: (t: Tensor) => Tensor, kind: ViewKind): void {
  const { impl } = input;
  const { base, replay } = impl;
  out.impl.base = base ?? input;
  out.impl.replay = base === null || replay === null ? again : (t) => again(replay(t));
  out.impl.viewKind =
    base !== null && impl.viewKind !== "view"
      ? impl.viewKind
      : kind === "view" && !isGradEnabled()
        ? "no-grad-view"
        : kind;
  out.impl.seenVersion = impl.storage.version;
  out.impl.baseLayout = out.impl.base.impl.layout;
}

/** Puts a gradient back into zeros of the input's shape, at the same view. */
function intoZeros(g: Tensor, shape: readonly number[], again: (t: Tensor) => Tensor): Tensor {
  const zeros = g.newZeros([...shape]);
  again(zeros).copy_(g);
  return zeros;
}

/** A shape with at most one -1, completed from the number of elements. */
function inferShape(op: string, sizes: readonly number[], count: number, input: readonly number[]): number[] {
  let unknown = -1;
  let known = 1;
  sizes.forEach((size, d) => {
    checkInteger(op, "a size", size);
    if (size === -1) {
      if (unknown >= 0) throw new ShapeError(`${op}: only one dimension can be inferred, got ${showShape(sizes)}`);
      unknown = d;
    } else if (size < 0) throw new ShapeError(`${op}: invalid size ${size} in ${showShape(sizes)}`);
    else known *= size;
  });
  const result = [...sizes];
  if (unknown >= 0) {
    if (known === 0)
      throw new ShapeError(
        `${op}: cannot reshape ${showShape(input)} into ${showShape(sizes)}: the size of -1 would be ambiguous`,
      );
    result[unknown] = count / known;
  }
  if (numel(result) !== count || (unknown >= 0 && !Number.isInteger(result[unknown])))
    throw new ShapeError(
      `${op}: shape ${showShape(sizes)} is invalid for input of shape ${showShape(input)} (${count} elements)`,
    );
  return result;
}

/** Sizes given as an array or as plain numbers. */
function sizesOf(op: string, option: string, args: readonly unknown[]): number[] {
  const { values, options } = splitOptions<Record<string, unknown>>(op, args, [option]);
  const given = options[option];
  const list = given !== undefined ? [given] : values;
  return integers(op, option, spread<number>(list));
}

/** Sizes or dimensions, as an array, as plain numbers, or named. */
export type Sizes = (number | readonly number[] | object)[];

/** The same elements under another shape, without copying. Throws a `ShapeError` where the strides do not allow it. */
export function view(input: Tensor, ...size: Sizes): Tensor {
  checkTensor("view", "input", input);
  const shape = inferShape("view", sizesOf("view", "size", size), input.numel(), input.shape);
  const strides = reshapeStrides(input.shape, input.impl.strides, shape);
  if (strides === null)
    throw new ShapeError(
      `view: size ${showShape(shape)} is not compatible with input of shape ${showShape(input.shape)} and strides ` +
        `${showShape(input.impl.strides)} (at least one dimension spans across two subspaces). Use reshape(...) instead.`,
    );
  const before = [...input.shape];
  return makeView(
    "ViewBackward0",
    input,
    { shape, strides, offset: input.impl.offset },
    (t) => t.view(shape),
    (g) => g.reshape(before),
  );
}

/** A view of the whole: what `x[...]` is in Python. */
export function aliasWhole(input: Tensor): Tensor {
  return makeView("AliasBackward0", input, input.impl, aliasWhole, (g) => g);
}

/** The same elements under another shape: a view where possible, else a copy. */
export function reshape(input: Tensor, ...shape: Sizes): Tensor {
  checkTensor("reshape", "input", input);
  const sizes = inferShape("reshape", sizesOf("reshape", "shape", shape), input.numel(), input.shape);
  if (reshapeStrides(input.shape, input.impl.strides, sizes) !== null) return view(input, sizes);
  return unsafeView(clone(input), sizes);
}

/** A contiguous result that nothing else refers to under another shape: it is no view of it (PyTorch's `_unsafe_view`). */
export function unsafeView(result: Tensor, shape: readonly number[]): Tensor {
  const { offset } = result.impl;
  const out = aliasOf(result, { shape, strides: contiguousStrides(shape), offset });
  const before = [...result.shape];
  record("UnsafeViewBackward0", out, [[result, [], (g) => g.reshape(before)]]);
  return out;
}

/** `view` to another tensor's shape. */
export function viewAs(input: Tensor, other: Tensor): Tensor {
  checkTensor("viewAs", "other", other);
  return view(input, [...other.shape]);
}

/** `reshape` to another tensor's shape. */
export function reshapeAs(input: Tensor, other: Tensor): Tensor {
  checkTensor("reshapeAs", "other", other);
  return reshape(input, [...other.shape]);
}

const FLATTEN = signature<{ startDim?: number; endDim?: number }>()("flatten", ["startDim", "endDim"]);

/** Dimensions `startDim` to `endDim` as one. */
export function flatten(input: Tensor, ...args: ArgsOf<typeof FLATTEN>): Tensor {
  const { startDim = 0, endDim = -1 } = parse(FLATTEN, args, input);
  const rank = input.dim();
  const start = wrapDim("flatten", startDim, rank);
  const end = wrapDim("flatten", endDim, rank);
  if (start > end) throw new ShapeError(`flatten: startDim ${startDim} comes after endDim ${endDim}`);
  if (rank === 0) return reshape(input, [1]);
  if (start === end) return input;
  const { shape } = input;
  return reshape(input, [...shape.slice(0, start), numel(shape.slice(start, end + 1)), ...shape.slice(end + 1)]);
}

/** All elements in one dimension. */
export function ravel(input: Tensor): Tensor {
  checkTensor("ravel", "input", input);
  return reshape(input, [-1]);
}

const UNFLATTEN = signature<{ dim: number; sizes: readonly number[] }>()("unflatten", ["dim", "sizes"]);

/** One dimension as several, of sizes that multiply to it (one may be -1). */
export function unflatten(input: Tensor, ...args: ArgsOf<typeof UNFLATTEN>): Tensor {
  const { dim: given, sizes } = parse(UNFLATTEN, args, input);
  const dim = wrapDim("unflatten", given, input.dim());
  const { shape } = input;
  if (Array.isArray(sizes) && sizes.length === 0) throw new ShapeError("unflatten: sizes must not be empty");
  const inner = inferShape("unflatten", integers("unflatten", "sizes", sizes), shape[dim]!, [shape[dim]!]);
  return view(input, [...shape.slice(0, dim), ...inner, ...shape.slice(dim + 1)]);
}

/** Dimensions in another order. */
export function permute(input: Tensor, ...dims: Sizes): Tensor {
  checkTensor("permute", "input", input);
  const rank = input.dim();
  const given = sizesOf("permute", "dims", dims);
  if (given.length !== rank)
    throw new ShapeError(`permute: ${given.length} dims given for a tensor of ${rank} dimensions`);
  const order = rank === 0 ? [] : wrapDims("permute", given, rank);
  const { shape, strides, offset } = input.impl;
  const inverse = new Array<number>(rank);
  order.forEach((d, i) => (inverse[d] = i));
  return makeView(
    "PermuteBackward0",
    input,
    { shape: order.map((d) => shape[d]!), strides: order.map((d) => strides[d]!), offset },
    (t) => t.permute(order),
    (g) => g.permute(inverse),
  );
}

const TRANSPOSE = signature<{ dim0: number; dim1: number }>()("transpose", ["dim0", "dim1"]);

function swapped<T>(list: readonly T[], i: number, j: number): T[] {
  const result = [...list];
  if (list.length > 0) [result[i], result[j]] = [list[j]!, list[i]!];
  return result;
}

function swapView(name: string, input: Tensor, i: number, j: number): Tensor {
  const { shape, strides, offset } = input.impl;
  return makeView(
    name,
    input,
    { shape: swapped(shape, i, j), strides: swapped(strides, i, j), offset },
    (t) => t.transpose(i, j),
    (g) => g.transpose(i, j),
  );
}

/** Two dimensions exchanged. */
export function transpose(input: Tensor, ...args: ArgsOf<typeof TRANSPOSE>): Tensor {
  const { dim0, dim1 } = parse(TRANSPOSE, args, input);
  const rank = input.dim();
  return swapView("TransposeBackward0", input, wrapDim("transpose", dim0, rank), wrapDim("transpose", dim1, rank));
}

/** The transpose of a matrix; tensors of fewer dimensions are left as they are. */
export function t(input: Tensor): Tensor {
  checkTensor("t", "input", input);
  const rank = input.dim();
  if (rank > 2)
    throw new ShapeError(
      `t: expects a tensor with at most 2 dimensions, but this one has ${rank}; use transpose() or mT`,
    );
  return rank < 2 ? swapView("TBackward0", input, 0, 0) : swapView("TBackward0", input, 0, 1);
}

/** The last two dimensions exchanged. */
export function adjointDims(input: Tensor): Tensor {
  const rank = input.dim();
  if (rank < 2) throw new ShapeError(`mT: expects at least 2 dimensions, but this tensor has ${rank}`);
  return swapView("TransposeBackward0", input, rank - 2, rank - 1);
}

/** All dimensions in reverse order. */
export function reverseDims(input: Tensor): Tensor {
  return permute(
    input,
    Array.from({ length: input.dim() }, (_, d) => input.dim() - 1 - d),
  );
}

const MOVEDIM = signature<{ source: number | readonly number[]; destination: number | readonly number[] }>()(
  "movedim",
  ["source", "destination"],
);

/** Moves dimensions to other positions; the rest keep their order. */
export function movedim(input: Tensor, ...args: ArgsOf<typeof MOVEDIM>): Tensor {
  const { source, destination } = parse(MOVEDIM, args, input);
  const rank = input.dim();
  const from = integers("movedim", "source", source).map((d) => wrapDim("movedim", d, rank));
  const to = integers("movedim", "destination", destination).map((d) => wrapDim("movedim", d, rank));
  if (from.length !== to.length || new Set(from).size !== from.length || new Set(to).size !== to.length)
    throw new ShapeError(
      `movedim: source ${showShape(from)} and destination ${showShape(to)} must be as many distinct dims`,
    );
  if (rank === 0) return permute(input, []);
  const order = new Array<number>(rank).fill(-1);
  from.forEach((d, i) => (order[to[i]!] = d));
  const rest = Array.from({ length: rank }, (_, d) => d).filter((d) => !from.includes(d));
  for (let i = 0; i < rank; i++) if (order[i] === -1) order[i] = rest.shift()!;
  return permute(input, order);
}

/** Dimensions of size one removed: all of them, or those given (others are left alone). */
export function squeeze(
  input: Tensor,
  ...args: (number | readonly number[] | { dim?: number | readonly number[] } | null | undefined)[]
): Tensor {
  checkTensor("squeeze", "input", input);
  const { values, options } = splitOptions<{ dim: number | readonly number[] }>("squeeze", args, ["dim"]);
  const given = options.dim ?? (values.length > 0 ? values[0] : null);
  const rank = input.dim();
  const { shape, strides, offset } = input.impl;
  const dims =
    given == null ? null : new Set(integers("squeeze", "dim", given).map((d) => wrapDim("squeeze", d, rank)));
  const keep = shape.map((size, d) => size !== 1 || (dims !== null && !dims.has(d)));
  const before = [...shape];
  const after = shape.filter((_, d) => keep[d]);
  return makeView(
    dims === null ? "SqueezeBackward0" : typeof given === "number" ? "SqueezeBackward1" : "SqueezeBackward2",
    input,
    { shape: after, strides: strides.filter((_, d) => keep[d]), offset },
    (x) => x.view(after),
    (g) => g.reshape(before),
  );
}

const UNSQUEEZE = signature<{ dim: number }>()("unsqueeze", ["dim"]);

/** A dimension of size one inserted before `dim`. */
export function unsqueeze(input: Tensor, ...args: ArgsOf<typeof UNSQUEEZE>): Tensor {
  const dim = wrapDim("unsqueeze", parse(UNSQUEEZE, args, input).dim, input.dim() + 1);
  const { shape, strides, offset } = input.impl;
  const step = dim < shape.length ? shape[dim]! * strides[dim]! : 1;
  return makeView(
    "UnsqueezeBackward0",
    input,
    {
      shape: [...shape.slice(0, dim), 1, ...shape.slice(dim)],
      strides: [...strides.slice(0, dim), step, ...strides.slice(dim)],
      offset,
    },
    (x) => x.unsqueeze(dim),
    (g) => g.squeeze(dim),
  );
}

/** Dimensions of size one repeated without copying; -1 keeps a size. New dimensions go in front. */
export function expand(input: Tensor, ...size: Sizes): Tensor {
  checkTensor("expand", "input", input);
  const sizes = sizesOf("expand", "size", size);
  const { shape, strides, offset } = input.impl;
  const lead = sizes.length - shape.length;
  if (lead < 0)
    throw new ShapeError(
      `expand: the number of sizes provided (${sizes.length}) must be at least the number of dimensions (${shape.length})`,
    );
  const target = sizes.map((n, d) => {
    if (n !== -1) return n;
    if (d < lead) throw new ShapeError(`expand: -1 is not allowed in a leading, non-existing dimension ${d}`);
    return shape[d - lead]!;
  });
  checkSizes("expand", target);
  const steps = target.map((n, d) => {
    if (d < lead) return 0;
    const own = shape[d - lead]!;
    if (own === n) return strides[d - lead]!;
    if (own !== 1)
      throw new ShapeError(
        `expand: the expanded size (${n}) must match the existing size (${own}) at non-singleton dimension ${d}. ` +
          `Target sizes: ${showShape(target)}. Tensor sizes: ${showShape(shape)}`,
      );
    return 0;
  });
  const before = [...shape];
  return makeView(
    "ExpandBackward0",
    input,
    { shape: target, strides: steps, offset },
    (x) => x.expand(target),
    (g) => g.sumToSize(before),
  );
}

/** `expand` to another tensor's shape. */
export function expandAs(input: Tensor, other: Tensor): Tensor {
  checkTensor("expandAs", "other", other);
  return expand(input, [...other.shape]);
}

/** Broadcasts to a shape. */
export function broadcastTo(input: Tensor, ...size: Sizes): Tensor {
  return expand(input, sizesOf("broadcastTo", "size", size));
}

const SELECT = signature<{ dim: number; index: number }>()("select", ["dim", "index"]);

/** The slice at one index of a dimension, which is removed. */
export function select(input: Tensor, ...args: ArgsOf<typeof SELECT>): Tensor {
  const { dim: givenDim, index: given } = parse(SELECT, args, input);
  const rank = input.dim();
  if (rank === 0) throw new ShapeError("select: cannot be applied to a 0-dim tensor");
  const dim = wrapDim("select", givenDim, rank);
  const { shape, strides, offset } = input.impl;
  const n = shape[dim]!;
  checkInteger("select", "index", given);
  if (given < -n || given >= n)
    throw new ShapeError(
      `select: index ${given} out of range for tensor of size ${showShape(shape)} at dimension ${dim}`,
    );
  const index = given < 0 ? given + n : given;
  const without = <T>(list: readonly T[]): T[] => list.filter((_, d) => d !== dim);
  const again = (x: Tensor): Tensor => x.select(dim, index);
  const before = [...shape];
  return makeView(
    "SelectBackward0",
    input,
    { shape: without(shape), strides: without(strides), offset: offset + index * strides[dim]! },
    again,
    (g) => intoZeros(g, before, again),
  );
}

/** Start, end and step of a slice of a dimension, resolved as in Python. Steps must be positive. */
function sliceView(input: Tensor, dim: number, start: number | null, end: number | null, step: number): Tensor {
  const { shape, strides, offset } = input.impl;
  const n = shape[dim]!;
  if (!Number.isInteger(step) || step <= 0)
    throw new ArgumentError(
      `slice: step must be a positive integer, got ${describeValue(step)}; use flip() to reverse`,
    );
  const clip = (value: number): number => Math.min(Math.max(value < 0 ? value + n : value, 0), n);
  const from = clip(checkInteger("slice", "start", start ?? 0));
  const to = Math.max(clip(checkInteger("slice", "end", end ?? n)), from);
  const count = Math.ceil((to - from) / step);
  const replace = <T>(list: readonly T[], value: T): T[] => list.map((old, d) => (d === dim ? value : old));
  const again = (x: Tensor): Tensor => x.slice(dim, from, to, step);
  const before = [...shape];
  return makeView(
    "SliceBackward0",
    input,
    {
      shape: replace(shape, count),
      strides: replace(strides, strides[dim]! * step),
      offset: offset + (count > 0 ? from * strides[dim]! : 0),
    },
    again,
    (g) => (count === n ? g : intoZeros(g, before, again)),
  );
}

const SLICE = signature<{ dim?: number; start?: number | null; end?: number | null; step?: number }>()("slice", [
  "dim",
  "start",
  "end",
  "step",
]);

/** Elements `start` to `end` (excluded) of a dimension, every `step`-th; bounds as in Python. */
export function slice(input: Tensor, ...args: ArgsOf<typeof SLICE>): Tensor {
  const { dim = 0, start = null, end = null, step = 1 } = parse(SLICE, args, input);
  if (input.dim() === 0) throw new ShapeError("slice: cannot be applied to a 0-dim tensor");
  return sliceView(input, wrapDim("slice", dim, input.dim()), start, end, step);
}

const NARROW = signature<{ dim: number; start: number; length: number }>()("narrow", ["dim", "start", "length"]);

/** `length` elements of a dimension, from `start` on. */
export function narrow(input: Tensor, ...args: ArgsOf<typeof NARROW>): Tensor {
  const { dim: givenDim, start: given, length } = parse(NARROW, args, input);
  if (input.dim() === 0) throw new ShapeError("narrow: cannot be applied to a 0-dim tensor");
  const dim = wrapDim("narrow", givenDim, input.dim());
  const n = input.shape[dim]!;
  if (!Number.isInteger(length) || length < 0)
    throw new ShapeError(`narrow: length must be a non-negative integer, got ${describeValue(length)}`);
  const start = checkInteger("narrow", "start", given) < 0 ? given + n : given;
  if (start < 0 || start + length > n)
    throw new ShapeError(`narrow: start (${given}) + length (${length}) exceeds dimension size (${n})`);
  return sliceView(input, dim, start, start + length, 1);
}

const DIAGONAL = signature<{ offset?: number; dim1?: number; dim2?: number }>()("diagonal", ["offset", "dim1", "dim2"]);

/** The diagonal of two dimensions, as a last dimension; `offset` counts towards the upper right. */
export function diagonal(input: Tensor, ...args: ArgsOf<typeof DIAGONAL>): Tensor {
  const { offset = 0, dim1 = 0, dim2 = 1 } = parse(DIAGONAL, args, input);
  const rank = input.dim();
  const a = wrapDim("diagonal", dim1, rank);
  const b = wrapDim("diagonal", dim2, rank);
  if (a === b) throw new ShapeError(`diagonal: dimensions cannot be identical ${dim1}, ${dim2}`);
  checkInteger("diagonal", "offset", offset);
  const { shape, strides, offset: first } = input.impl;
  const count = Math.max(
    offset >= 0 ? Math.min(shape[a]!, shape[b]! - offset) : Math.min(shape[a]! + offset, shape[b]!),
    0,
  );
  const without = <T>(list: readonly T[]): T[] => list.filter((_, d) => d !== a && d !== b);
  const start = count === 0 ? 0 : offset >= 0 ? offset * strides[b]! : -offset * strides[a]!;
  const again = (x: Tensor): Tensor => x.diagonal(offset, a, b);
  const before = [...shape];
  return makeView(
    "DiagonalBackward0",
    input,
    {
      shape: [...without(shape), count],
      strides: [...without(strides), strides[a]! + strides[b]!],
      offset: first + start,
    },
    again,
    (g) => intoZeros(g, before, again),
  );
}

/** Most tensors that a split gives, of no elements each. */
export const MOST_PARTS = 2 ** 20;

const SPLIT = signature<{ splitSize: number | readonly number[]; dim?: number }>()("split", ["splitSize", "dim"]);

/** Views of consecutive parts of a dimension: of `splitSize` each (the last may be smaller), or of the sizes given. */
export function split(input: Tensor, ...args: ArgsOf<typeof SPLIT>): Tensor[] {
  const { splitSize, dim: given = 0 } = parse(SPLIT, args, input);
  if (input.dim() === 0) throw new ShapeError("split: expects at least a 1-dimensional tensor");
  const dim = wrapDim("split", given, input.dim());
  const n = input.shape[dim]!;
  let sizes: number[];
  if (typeof splitSize === "number") {
    if (!Number.isInteger(splitSize) || splitSize < 0 || (splitSize === 0 && n > 0))
      throw new ArgumentError(`split: splitSize must be a positive integer, got ${describeValue(splitSize)}`);
    const parts = n === 0 ? 1 : Math.ceil(n / splitSize);
    sizes = Array.from({ length: parts }, (_, i) => Math.min(splitSize, n - i * splitSize));
  } else {
    sizes = checkSizes("split", splitSize);
    const total = sizes.reduce((a, b) => a + b, 0);
    if (total !== n)
      throw new ShapeError(`split: sizes ${showShape(sizes)} sum to ${total}, but dimension ${dim} has size ${n}`);
  }
  return splitParts(typeof splitSize === "number" ? "SplitBackward0" : "SplitWithSizesBackward0", input, dim, sizes);
}

function splitParts(name: string, input: Tensor, dim: number, sizes: readonly number[]): Tensor[] {
  const { shape, strides, offset } = input.impl;
  let start = 0;
  const parts = sizes.map((size) => {
    const from = start;
    start += size;
    const part = aliasOf(input, {
      shape: shape.map((n, d) => (d === dim ? size : n)),
      strides,
      offset: offset + from * strides[dim]!,
    });
    linkView(part, input, (x) => x.narrow(dim, from, size), "multi-output-view");
    return part;
  });
  recordMany(name, parts, [input], [], (grads) => [joinParts(input, grads, sizes, dim)]);
  return parts;
}

/** Gradients of the parts of a dimension put together; zero for missing ones. */
function joinParts(input: Tensor, grads: readonly (Tensor | null)[], sizes: readonly number[], dim: number): Tensor {
  const like = grads.find((g) => g != null)!;
  const partShape = (i: number): number[] => input.shape.map((n, d) => (d === dim ? sizes[i]! : n));
  return concatenate(
    grads.map((g, i) => g ?? like.newZeros(partShape(i))),
    dim,
  );
}

let concatenate: (tensors: readonly Tensor[], dim: number) => Tensor = () => {
  throw new Error("cat is not registered");
};

/** Lets views use `cat` in their derivatives without importing what is built on them. */
export function setConcatenate(cat: (tensors: readonly Tensor[], dim: number) => Tensor): void {
  concatenate = cat;
}

/** `split` by a list of sizes. */
export function splitWithSizes(input: Tensor, splitSizes: readonly number[], dim = 0): Tensor[] {
  return split(input, splitSizes, dim);
}

const CHUNK = signature<{ chunks: number; dim?: number }>()("chunk", ["chunks", "dim"]);

/** At most `chunks` views of consecutive, equally large parts of a dimension (the last may be smaller). */
export function chunk(input: Tensor, ...args: ArgsOf<typeof CHUNK>): Tensor[] {
  const { chunks, dim: given = 0 } = parse(CHUNK, args, input);
  if (!Number.isInteger(chunks) || chunks <= 0)
    throw new ArgumentError(`chunk: chunks must be a positive integer, got ${describeValue(chunks)}`);
  if (input.dim() === 0) throw new ShapeError("chunk: expects at least a 1-dimensional tensor");
  const dim = wrapDim("chunk", given, input.dim());
  const n = input.shape[dim]!;
  if (n === 0 && chunks > MOST_PARTS)
    throw new ArgumentError(`chunk: at most ${MOST_PARTS} chunks are supported, got ${chunks}`);
  if (n === 0) return splitParts("SplitWithSizesBackward0", input, dim, new Array<number>(chunks).fill(0));
  return split(input, Math.ceil(n / chunks), dim);
}

const UNBIND = signature<{ dim?: number }>()("unbind", ["dim"]);

/** The slices along a dimension, which is removed. */
export function unbind(input: Tensor, ...args: ArgsOf<typeof UNBIND>): Tensor[] {
  const { dim: given = 0 } = parse(UNBIND, args, input);
  if (input.dim() === 0) throw new ShapeError("unbind: cannot be applied to a 0-dim tensor");
  const dim = wrapDim("unbind", given, input.dim());
  const { shape, strides, offset } = input.impl;
  const without = <T>(list: readonly T[]): T[] => list.filter((_, d) => d !== dim);
  const parts = Array.from({ length: shape[dim]! }, (_, i) => {
    const part = aliasOf(input, {
      shape: without(shape),
      strides: without(strides),
      offset: offset + i * strides[dim]!,
    });
    linkView(part, input, (x) => x.select(dim, i), "multi-output-view");
    return part;
  });
  recordMany("UnbindBackward0", parts, [input], [], (grads) => {
    const like = grads.find((g) => g != null)!;
    const slices = grads.map((g) => (g ?? like.zerosLike()).unsqueeze(dim));
    return [concatenate(slices, dim)];
  });
  return parts;
}

/** The same values in row-major order without gaps; the tensor itself if it is so already. */
export function contiguous(input: Tensor): Tensor {
  checkTensor("contiguous", "input", input);
  if (input.isContiguous()) return input;
  return clone(input);
}

/** A copy with storage of its own. */
export function clone(input: Tensor): Tensor {
  checkTensor("clone", "input", input);
  const out = convertCopy(input, input.dtype);
  record("CloneBackward0", out, [[input, [], (g) => g]]);
  return out;
}

/** The same storage, off the tape. */
export function detach(input: Tensor): Tensor {
  checkTensor("detach", "input", input);
  return aliasOf(input, input.impl);
}

/** Elements in reverse order along the dimensions given. */
export function flip(input: Tensor, ...dims: Sizes): Tensor {
  checkTensor("flip", "input", input);
  const given = sizesOf("flip", "dims", dims);
  const list = given.length === 0 ? [] : wrapDims("flip", given, input.dim());
  const { shape, strides, offset } = input.impl;
  let first = offset;
  const steps = [...strides];
  for (const d of list)
    if (shape.length > 0 && shape[d]! > 0) {
      first += (shape[d]! - 1) * strides[d]!;
      steps[d] = -strides[d]!;
    }
  const out = convertCopy(aliasOf(input, { shape, strides: steps, offset: first }), input.dtype);
  record("FlipBackward0", out, [[input, [], (g) => g.flip(list)]]);
  return out;
}

/** Sum over what broadcasting repeated, so that the result has the shape given. */
export function sumToSize(input: Tensor, ...size: Sizes): Tensor {
  checkTensor("sumToSize", "input", input);
  const target = sizesOf("sumToSize", "size", size);
  if (sameShape(input.shape, target)) return input;
  const lead = input.dim() - target.length;
  const dims: number[] = [];
  input.shape.forEach((n, d) => {
    if (d < lead) dims.push(d);
    else if (target[d - lead] === 1 && n !== 1) dims.push(d);
    else if (target[d - lead] !== n)
      throw new ShapeError(`sumToSize: size ${showShape(target)} is not expandable to ${showShape(input.shape)}`);
  });
  if (lead < 0)
    throw new ShapeError(`sumToSize: size ${showShape(target)} is not expandable to ${showShape(input.shape)}`);
  const kept = dims.length === 0 ? input : input.sum(dims, true);
  return lead === 0 ? kept : kept.view(target);
}

/** True for tensors of equal shape. */
export function isSameSize(a: Tensor, b: Tensor): boolean {
  return isTensor(a) && isTensor(b) && sameShape(a.shape, b.shape);
}
