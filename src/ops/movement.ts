/** Movement: rolling, turning, grids, diagonals and parts, made of views, joins and index arithmetic. */

import { checkInteger, describeValue, integers, isOptions, parse, signature, type ArgsOf } from "../args.ts";
import { record } from "../autograd/tape.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { broadcastShapes, numel, sameShape, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { checkTensor, isTensor, wrapDim, wrapDims } from "./apply.ts";
import { tensorLike } from "./creation.ts";
import { checkHostIndex } from "./indexing.ts";
import { atleast2d, cat, stack } from "./join.ts";
import { MOST_PARTS } from "./structure.ts";

type Several = readonly (Tensor | readonly Tensor[])[];

/** Tensors given as one array or as plain arguments. */
function several(op: string, given: Several): Tensor[] {
  const list = given.flatMap((g) => g as Tensor | Tensor[]);
  list.forEach((t, i) => checkTensor(op, `argument ${i}`, t));
  return list;
}

const ROLL = signature<{ shifts: number | readonly number[]; dims?: number | readonly number[] | null }>()("roll", [
  "shifts",
  "dims",
]);

/** Elements moved along dimensions, those that leave one end coming back at the other; without `dims`, of the flattened tensor. */
export function roll(input: Tensor, ...args: ArgsOf<typeof ROLL>): Tensor {
  const { shifts: given, dims: at = null } = parse(ROLL, args, input);
  const shifts = integers("roll", "shifts", given);
  const dims = at === null ? [] : integers("roll", "dims", at);
  if (dims.length === 0) {
    if (shifts.length !== 1)
      throw new ArgumentError(`roll: shifts and dimensions must align. shifts: ${shifts.length}, dims: 0`);
    return roll(input.reshape([-1]), shifts[0]!, 0).reshape([...input.shape]);
  }
  if (dims.length !== shifts.length)
    throw new ArgumentError(`roll: shifts and dimensions must align. shifts: ${shifts.length}, dims: ${dims.length}`);
  const rank = input.dim();
  let out = input;
  const moves = dims.map((d, i) => ({ d: wrapDim("roll", d, rank), by: shifts[i]! }));
  for (const { d, by } of moves) {
    const n = rank === 0 ? 1 : out.shape[d]!;
    const shift = n === 0 ? 0 : ((by % n) + n) % n;
    if (shift === 0) continue;
    const v = out.detach();
    out = cat([v.narrow(d, n - shift, shift), v.narrow(d, 0, n - shift)], d);
  }
  const result = out === input ? input.detach().clone() : out;
  record("RollBackward0", result, [
    [
      input,
      [],
      (g) =>
        roll(
          g,
          moves.map((m) => -m.by),
          moves.map((m) => m.d),
        ),
    ],
  ]);
  return result;
}

const ROT90 = signature<{ k?: number; dims?: readonly number[] }>()("rot90", ["k", "dims"]);

/** Turned by `k` quarter turns in the plane of two dimensions, from the first towards the second. */
export function rot90(input: Tensor, ...args: ArgsOf<typeof ROT90>): Tensor {
  const { k = 1, dims = [0, 1] } = parse(ROT90, args, input);
  checkInteger("rot90", "k", k);
  if (!Array.isArray(dims) || dims.length !== 2)
    throw new ArgumentError(
      `rot90: expected total rotation dims == 2, but got dims = ${Array.isArray(dims) ? dims.length : describeValue(dims)}`,
    );
  const [a, b] = wrapDims("rot90", dims, input.dim()) as [number, number];
  switch (((k % 4) + 4) % 4) {
    case 1:
      return input.flip(b).transpose(a, b);
    case 2:
      return input.flip(a, b);
    case 3:
      return input.flip(a).transpose(a, b);
    default:
      return input.clone();
  }
}

/** Columns in reverse order. */
export function fliplr(input: Tensor): Tensor {
  checkTensor("fliplr", "input", input);
  if (input.dim() < 2) throw new ShapeError("fliplr: input must be >= 2-d");
  return input.flip(1);
}

/** Rows in reverse order. */
export function flipud(input: Tensor): Tensor {
  checkTensor("flipud", "input", input);
  if (input.dim() < 1) throw new ShapeError("flipud: input must be >= 1-d");
  return input.flip(0);
}

/** Several tensors expanded to their common shape. */
export function broadcastTensors(...tensors: Several): Tensor[] {
  const list = several("broadcastTensors", tensors);
  const shape = broadcastShapes("broadcastTensors", ...list.map((t) => t.shape));
  return list.map((t) => t.expand(shape));
}

const MESHGRID = signature<{ indexing?: "ij" | "xy" }>()("meshgrid", [], ["indexing"]);

/**
 * Coordinates of a grid: each one-dimensional tensor expanded over all of them. `indexing` "ij" (the default) has the first tensor vary along the first
 * dimension, "xy" along the second.
 */
export function meshgrid(...given: readonly (Tensor | readonly Tensor[] | { indexing?: "ij" | "xy" })[]): Tensor[] {
  const last = given[given.length - 1];
  const named = isOptions(last) ? last : null;
  const { indexing = "ij" } = parse(MESHGRID, named === null ? [] : [named]) as { indexing?: string };
  const list = several("meshgrid", (named === null ? given : given.slice(0, -1)) as Several);
  if (list.length === 0) throw new ArgumentError("meshgrid: expects a non-empty list of tensors");
  if (indexing !== "ij" && indexing !== "xy")
    throw new ArgumentError(`meshgrid: indexing must be one of "xy" or "ij", but received: ${describeValue(indexing)}`);
  for (const t of list)
    if (t.dim() > 1) throw new ShapeError(`meshgrid: expected 0D or 1D tensors, got shape ${showShape(t.shape)}`);
  const swap = indexing === "xy" && list.length > 1;
  const axes = swap ? [list[1]!, list[0]!, ...list.slice(2)] : list;
  const shape = axes.map((t) => t.numel());
  const grids = axes.map((t, i) => t.reshape(shape.map((n, d) => (d === i ? n : 1))).expand(shape));
  if (!swap) return grids;
  return [grids[1]!, grids[0]!, ...grids.slice(2)];
}

/** All combinations of one element of each vector, as rows. */
export function cartesianProd(...tensors: Several): Tensor {
  const list = several("cartesianProd", tensors);
  for (const t of list)
    if (t.dim() !== 1) throw new ShapeError(`cartesianProd: expects 1D vectors, got shape ${showShape(t.shape)}`);
  if (list.length === 1) return list[0]!;
  return stack(
    meshgrid(list).map((g) => g.flatten()),
    1,
  );
}

/** Matrices along the diagonal of a larger one, zeros elsewhere. */
export function blockDiag(...tensors: Several): Tensor {
  const list = several("blockDiag", tensors);
  for (const t of list)
    if (t.dim() > 2) throw new ShapeError(`blockDiag: input tensors must have 2 or fewer dimensions, got ${t.dim()}`);
  const blocks = list.map(atleast2d);
  const width = blocks.reduce((sum, b) => sum + b.shape[1]!, 0);
  if (blocks.length === 0) throw new ArgumentError("blockDiag: expects at least one tensor");
  let start = 0;
  const rows = blocks.map((b) => {
    const [h, w] = b.shape as [number, number];
    const row = cat([b.newZeros([h, start]), b, b.newZeros([h, width - start - w])], 1);
    start += w;
    return row;
  });
  return cat(rows, 0);
}

const DIAG = signature<{ diagonal?: number }>()("diag", ["diagonal"]);

/** A matrix with the vector on a diagonal, or the diagonal of a matrix. */
export function diag(input: Tensor, ...args: ArgsOf<typeof DIAG>): Tensor {
  const { diagonal = 0 } = parse(DIAG, args, input);
  if (input.dim() === 1) return diagEmbed(input, diagonal);
  if (input.dim() === 2) return input.diagonal(diagonal).clone();
  throw new ShapeError(`diag: expects a 1D or 2D tensor, got ${input.dim()}D`);
}

const DIAG_EMBED = signature<{ offset?: number; dim1?: number; dim2?: number }>()("diagEmbed", [
  "offset",
  "dim1",
  "dim2",
]);

/** Vectors along the last dimension as diagonals of matrices in dimensions `dim1` and `dim2` (the last two), zeros elsewhere. */
export function diagEmbed(input: Tensor, ...args: ArgsOf<typeof DIAG_EMBED>): Tensor {
  const { offset = 0, dim1 = -2, dim2 = -1 } = parse(DIAG_EMBED, args, input);
  checkInteger("diagEmbed", "offset", offset);
  const rank = input.dim() + 1;
  const a = wrapDim("diagEmbed", dim1, rank);
  const b = wrapDim("diagEmbed", dim2, rank);
  if (input.dim() === 0) throw new ShapeError("diagEmbed: expects at least 1 dimension");
  if (a === b) throw new ShapeError(`diagEmbed: diagonal dimensions cannot be identical ${dim1}, ${dim2}`);
  const n = input.shape.at(-1)! + Math.abs(offset);
  const lead = input.shape.slice(0, -1);
  const shape = Array.from({ length: rank }, (_, d) => (d === a || d === b ? n : -1));
  let next = 0;
  for (let d = 0; d < rank; d++) if (shape[d] === -1) shape[d] = lead[next++]!;
  const v = input.detach();
  const out = v.newZeros(shape);
  out.diagonal(offset, a, b).copy_(v);
  const result = out.detach();
  record("DiagonalBackward0_copy", result, [[input, [], (g) => g.diagonal(offset, a, b)]]);
  return result;
}

const DIAGFLAT = signature<{ offset?: number }>()("diagflat", ["offset"]);

/** A matrix with all elements of the input on a diagonal. */
export function diagflat(input: Tensor, ...args: ArgsOf<typeof DIAGFLAT>): Tensor {
  const { offset = 0 } = parse(DIAGFLAT, args, input);
  return diagEmbed(input.reshape([-1]), offset);
}

/** `input` with `src` written to the part that `part` shows of a tensor. */
function scattered(name: string, input: Tensor, src: Tensor, part: (t: Tensor) => Tensor): Tensor {
  checkTensor(name, "src", src);
  const target = part(input.detach());
  if (!sameShape(target.shape, src.shape))
    throw new ShapeError(
      `${name}: expected src to have a size equal to the slice of self. src size = ${showShape(src.shape)}, slice size = ${showShape(target.shape)}`,
    );
  const out = input.detach().clone();
  part(out).copy_(src.detach());
  const result = out.detach();
  const cleared = (g: Tensor): Tensor => {
    const copy = g.clone();
    part(copy).zero_();
    return copy;
  };
  record(`${name[0]!.toUpperCase()}${name.slice(1)}Backward0`, result, [
    [input, [], cleared],
    [src, [], (g) => part(g)],
  ]);
  return result;
}

const DIAGONAL_SCATTER = signature<{ src: Tensor; offset?: number; dim1?: number; dim2?: number }>()(
  "diagonalScatter",
  ["src", "offset", "dim1", "dim2"],
);

/** The input with `src` on a diagonal. */
export function diagonalScatter(input: Tensor, ...args: ArgsOf<typeof DIAGONAL_SCATTER>): Tensor {
  const { src, offset = 0, dim1 = 0, dim2 = 1 } = parse(DIAGONAL_SCATTER, args, input);
  return scattered("diagonalScatter", input, src, (t) => t.diagonal(offset, dim1, dim2));
}

const SELECT_SCATTER = signature<{ src: Tensor; dim: number; index: number }>()("selectScatter", [
  "src",
  "dim",
  "index",
]);

/** The input with `src` at one index of a dimension. */
export function selectScatter(input: Tensor, ...args: ArgsOf<typeof SELECT_SCATTER>): Tensor {
  const { src, dim, index } = parse(SELECT_SCATTER, args, input);
  return scattered("selectScatter", input, src, (t) => t.select(dim, index));
}

const SLICE_SCATTER = signature<{
  src: Tensor;
  dim?: number;
  start?: number | null;
  end?: number | null;
  step?: number;
}>()("sliceScatter", ["src", "dim", "start", "end", "step"]);

/** The input with `src` at a slice of a dimension. */
export function sliceScatter(input: Tensor, ...args: ArgsOf<typeof SLICE_SCATTER>): Tensor {
  const { src, dim = 0, start = null, end = null, step = 1 } = parse(SLICE_SCATTER, args, input);
  return scattered("sliceScatter", input, src, (t) => t.slice(dim, start, end, step));
}

const UNFOLD = signature<{ dimension: number; size: number; step: number }>()("unfold", ["dimension", "size", "step"]);

/** Windows of `size` elements along a dimension, every `step`: the windows take its place, their elements are a last dimension. A copy, where PyTorch gives a view. */
export function unfoldDim(input: Tensor, ...args: ArgsOf<typeof UNFOLD>): Tensor {
  const { dimension, size, step } = parse(UNFOLD, args, input);
  const rank = input.dim();
  const dim = wrapDim("unfold", dimension, rank);
  const n = rank === 0 ? 1 : input.shape[dim]!;
  if (!Number.isInteger(size) || size < 0 || size > n)
    throw new ShapeError(
      `unfold: maximum size for tensor at dimension ${dimension} is ${n} but size is ${describeValue(size)}`,
    );
  if (!Number.isInteger(step) || step <= 0)
    throw new ArgumentError(`unfold: step is ${describeValue(step)} but must be > 0`);
  if (rank === 0) return input.reshape([1]).narrow(0, 0, size);
  const count = Math.floor((n - size) / step) + 1;
  const positions = Int32Array.from({ length: count * size }, (_, i) => Math.floor(i / size) * step + (i % size));
  const index = tensorLike(input, positions);
  if (size === 0)
    return input
      .narrow(dim, 0, 0)
      .unflatten(dim, [count, 0])
      .movedim(dim + 1, -1);
  return input
    .indexSelect(dim, index)
    .unflatten(dim, [count, size])
    .movedim(dim + 1, -1);
}

/** Where a dimension of `n` elements is cut. */
function cuts(op: string, given: number | readonly number[], n: number): number[] {
  if (typeof given !== "number") return [...integers(op, "indices", given)];
  if (!Number.isInteger(given) || given <= 0)
    throw new ArgumentError(`${op}: number of sections must be larger than 0, got ${describeValue(given)}`);
  if (given > MOST_PARTS) throw new ArgumentError(`${op}: at most ${MOST_PARTS} sections are supported, got ${given}`);
  const small = Math.floor(n / given);
  const larger = n % given;
  return Array.from({ length: given - 1 }, (_, i) => (i + 1) * small + Math.min(i + 1, larger));
}

const TENSOR_SPLIT = signature<{ indicesOrSections: number | readonly number[]; dim?: number }>()("tensorSplit", [
  "indicesOrSections",
  "dim",
]);

/**
 * Views of parts of a dimension: a number of nearly equal ones, or cut at the indices given. With a tensor of these, which has to be read, a promise.
 */
export function tensorSplit(input: Tensor, indicesOrSections: Tensor, dim?: number): Promise<Tensor[]>;
export function tensorSplit(input: Tensor, ...args: ArgsOf<typeof TENSOR_SPLIT>): Tensor[];
export function tensorSplit(input: Tensor, ...args: readonly unknown[]): Tensor[] | Promise<Tensor[]> {
  const [first, second] = args;
  if (isTensor(first)) {
    if (first.dim() > 1)
      throw new ShapeError(`tensorSplit: expected a tensor of 0 or 1 dimensions, got ${showShape(first.shape)}`);
    return first.data().then((cut) => {
      const numbers = Array.from(cut);
      return tensorSplit(input, first.dim() === 0 ? numbers[0]! : numbers, (second ?? 0) as number);
    });
  }
  const { indicesOrSections, dim: given = 0 } = parse(TENSOR_SPLIT, args, input);
  if (input.dim() === 0) throw new ShapeError("tensorSplit: expected at least a 1-dimensional tensor, got 0");
  const dim = wrapDim("tensorSplit", given, input.dim());
  const at = cuts("tensorSplit", indicesOrSections, input.shape[dim]!);
  return [0, ...at].map((start, i) => input.slice(dim, start, i < at.length ? at[i]! : null));
}

function dimSplit(op: string, minimum: number, dimOf: (rank: number) => number) {
  return (input: Tensor, indicesOrSections: number | readonly number[]): Tensor[] => {
    checkTensor(op, "input", input);
    if (input.dim() < minimum)
      throw new ShapeError(`${op}: requires a tensor with at least ${minimum} dimension, but got ${input.dim()}`);
    const dim = dimOf(input.dim());
    const n = input.shape[dim]!;
    if (typeof indicesOrSections === "number" && n % indicesOrSections !== 0)
      throw new ShapeError(
        `${op}: attempted to split along dimension ${dim}, but the size of the dimension ${n} is not divisible by the split_size ${indicesOrSections}!`,
      );
    return tensorSplit(input, indicesOrSections, dim);
  };
}

/** Parts side by side: of dimension 1 (0 of a vector). */
export const hsplit = dimSplit("hsplit", 1, (rank) => (rank === 1 ? 0 : 1));
/** Parts one below the other: of dimension 0. */
export const vsplit = dimSplit("vsplit", 2, () => 0);
/** Parts in depth: of dimension 2. */
export const dsplit = dimSplit("dsplit", 3, () => 2);

/** Joined as columns: vectors become columns, matrices lie side by side. */
export function columnStack(...tensors: Several): Tensor {
  const list = several("columnStack", tensors);
  if (list.length === 0) throw new ArgumentError("columnStack: expects a non-empty list of tensors");
  return cat(
    list.map((t) => (t.dim() <= 1 ? t.reshape([t.numel(), 1]) : t)),
    1,
  );
}

const REPEAT_INTERLEAVE = signature<{ repeats: number; dim?: number | null }>()("repeatInterleave", ["repeats", "dim"]);

/** Every element (slice of `dim`) repeated `repeats` times in a row; without `dim`, of the flattened tensor. */
export function repeatInterleave(input: Tensor, ...args: ArgsOf<typeof REPEAT_INTERLEAVE>): Tensor {
  const { repeats, dim: given = null } = parse(REPEAT_INTERLEAVE, args, input);
  if (!Number.isInteger(repeats) || repeats < 0)
    throw new ArgumentError(`repeatInterleave: repeats must be a non-negative integer, got ${describeValue(repeats)}`);
  const x = given === null ? input.reshape([-1]) : input;
  const dim = given === null ? 0 : wrapDim("repeatInterleave", given, x.dim());
  if (x.dim() === 0) return repeatInterleave(x.reshape([1]), repeats, 0);
  const { shape } = x;
  return x
    .unsqueeze(dim + 1)
    .expand([...shape.slice(0, dim + 1), repeats, ...shape.slice(dim + 1)])
    .reshape([...shape.slice(0, dim), shape[dim]! * repeats, ...shape.slice(dim + 1)]);
}

const INDEX_FILL = signature<{ dim: number; index: Tensor; value: number | Tensor }>()("indexFill", [
  "dim",
  "index",
  "value",
]);

/** The input with a number at the slices of a dimension that an index names. */
export function indexFill(input: Tensor, ...args: ArgsOf<typeof INDEX_FILL>): Tensor {
  const { dim: given, index, value } = parse(INDEX_FILL, args, input);
  if (isTensor(value) && value.dim() > 0)
    throw new ShapeError(
      `indexFill: only supports a 0-dimensional value tensor, but got tensor with ${value.dim()} dimension(s).`,
    );
  checkTensor("indexFill", "index", index);
  if (!isTensor(value) && typeof value !== "number" && typeof value !== "boolean")
    throw new ArgumentError(`indexFill: value must be a number or a Tensor, got ${describeValue(value)}`);
  const dim = wrapDim("indexFill", given, input.dim());
  const filler = isTensor(value) ? value.to(input.dtype) : input.detach().newFull([], value);
  return indexCopy(input, dim, index, filler.expand(input.dim() === 0 ? [] : input.shape.with(dim, index.numel())));
}

const INDEX_COPY = signature<{ dim: number; index: Tensor; source: Tensor }>()("indexCopy", ["dim", "index", "source"]);

/** The input with the slices of `source` at the positions of a dimension that an index names. */
export function indexCopy(input: Tensor, ...args: ArgsOf<typeof INDEX_COPY>): Tensor {
  const { dim: given, index, source } = parse(INDEX_COPY, args, input);
  checkTensor("indexCopy", "index", index);
  checkTensor("indexCopy", "source", source);
  const dim = wrapDim("indexCopy", given, input.dim());
  if (index.dim() > 1) throw new ShapeError(`indexCopy: index should have dimension 1 or 0 (got ${index.dim()})`);
  if (input.dim() === 0) {
    if (source.numel() !== 1 || index.numel() !== 1)
      throw new ShapeError("indexCopy: a scalar takes one index and one value");
    return input
      .reshape([1])
      .scatter(0, index.reshape([1]), source.reshape([1]))
      .reshape([]);
  }
  checkHostIndex("indexCopy", index, input.shape[dim]!, dim, false);
  const wide = input.shape.with(dim, index.numel());
  if (numel(wide) !== source.numel() || (source.dim() !== 0 && !sameShape(source.shape, wide)))
    throw new ShapeError(
      `indexCopy: source of shape ${showShape(source.shape)} does not fit the slices, ${showShape(wide)}`,
    );
  const spread = index.reshape(wide.map((n, d) => (d === dim ? n : 1))).expand(wide);
  return input.scatter(dim, spread, source.reshape(wide));
}

const TAKE = signature<{ index: Tensor }>()("take", ["index"]);

/** Elements of the flattened input at the positions in `index`, whose shape the result has. */
export function take(input: Tensor, ...args: ArgsOf<typeof TAKE>): Tensor {
  const { index } = parse(TAKE, args, input);
  checkTensor("take", "index", index);
  const flat = input.reshape([-1]);
  const n = flat.numel();
  checkHostIndex("take", index, n, 0, true);
  const at = index.lt(0).where(index.add(n), index).reshape([-1]);
  return flat.gather(0, at).reshape([...index.shape]);
}

const PUT = signature<{ index: Tensor; source: Tensor; accumulate?: boolean }>()("put", [
  "index",
  "source",
  "accumulate",
]);

/** The input with `source` written (or added) at positions of the flattened tensor. */
export function put(input: Tensor, ...args: ArgsOf<typeof PUT>): Tensor {
  const { index, source, accumulate = false } = parse(PUT, args, input);
  checkTensor("put", "index", index);
  checkTensor("put", "source", source);
  if (index.numel() !== source.numel())
    throw new ShapeError(
      `put: expected source and index to have the same number of elements, but got source.numel() = ${source.numel()}, index.numel() = ${index.numel()}`,
    );
  const flat = input.reshape([-1]);
  checkHostIndex("put", index, flat.numel(), 0, true);
  const at = index.lt(0).where(index.add(flat.numel()), index).reshape([-1]);
  const values = source.reshape([-1]);
  const out = accumulate ? flat.scatterAdd(0, at, values) : flat.scatter(0, at, values);
  return out.reshape([...input.shape]);
}
