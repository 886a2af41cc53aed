/** Reductions over any dimensions, with PyTorch's derivatives. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { record, recordMany } from "../autograd/tape.ts";
import { category, isFloat, type DType } from "../dtype.ts";
import { ArgumentError, DTypeError, ShapeError } from "../errors.ts";
import type { ReduceKind } from "../graph/kernel.ts";
import type { ReduceOp } from "../graph/node.ts";
import { numel, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { constant, constantOf } from "./creation.ts";
import { cat } from "./join.ts";
import { aliasOf, applyNode, checkFloating, convertCopy, wrapDim, wrapDims } from "./apply.ts";

/** One dimension, several, or (null) all. */
export type Dims = number | readonly number[] | null;

/** Shape after reducing `dims`. */
function reducedShape(shape: readonly number[], dims: readonly number[], keepdim: boolean): number[] {
  return keepdim ? shape.map((n, d) => (dims.includes(d) ? 1 : n)) : shape.filter((_, d) => !dims.includes(d));
}

/** What a sum, product, any or all over nothing gives. */
const IDENTITY: Partial<Record<ReduceKind, number>> = { sum: 0, prod: 1, any: 0, all: 1 };

/** Combines over `dims`, off the tape. */
export function reduce(
  name: string,
  kind: ReduceKind,
  input: Tensor,
  given: readonly number[],
  keepdim: boolean,
  dtype: DType,
): Tensor {
  // In order, as the scheduler walks them.
  const dims = [...given].sort((a, b) => a - b);
  const { shape, strides, offset } = input.impl;
  const target = reducedShape(shape, dims, keepdim);
  const isArg = kind === "argmax" || kind === "argmin";
  const inner = dims.map((d) => shape[d]!);
  const count = numel(inner);
  if (count === 0) {
    const identity = IDENTITY[kind];
    if (identity === undefined)
      throw new ShapeError(
        `${name}: expected reduction dims ${showShape(dims)} to have non-zero size, got shape ${showShape(shape)}`,
      );
    return input.newFull(target, identity, { dtype });
  }
  if (count === 1) {
    if (isArg) return input.newZeros(target, { dtype });
    const kept = shape.map((n, d) => ({ n, d })).filter(({ d }) => keepdim || !dims.includes(d));
    const view = { shape: target, strides: kept.map(({ d }) => strides[d]!), offset };
    return convertCopy(aliasOf(input, view), dtype);
  }
  if (numel(shape) > MANY_ELEMENTS) {
    const less = overEqual(name, kind, input, dims, keepdim, dtype);
    if (less !== null) return less;
  }
  const order = [...shape.map((_, d) => d).filter((d) => !dims.includes(d)), ...dims];
  const view = { shape: order.map((d) => shape[d]!), strides: order.map((d) => strides[d]!), offset };
  const source =
    isArg || input.dtype === dtype ? input : convertCopy(aliasOf(input, { shape, strides, offset }), dtype);
  const arg =
    source === input
      ? { node: input.impl.storage.node, view }
      : {
          node: source.impl.storage.node,
          view: { ...view, strides: order.map((d) => source.impl.strides[d]!), offset: 0 },
        };
  const op: ReduceOp = {
    kind: "reduce",
    key: kind,
    reduce: kind,
    innerRank: dims.length,
    fullShape: shape,
    dims,
  };
  const out = applyNode(input.impl.backend, op, reducedShape(shape, dims, false), dtype, [arg]);
  return keepdim ? aliasOf(out, { shape: target, strides: keptStrides(target, dims), offset: 0 }) : out;
}

/** Elements beyond which it is looked whether they are all equal. */
const MANY_ELEMENTS = 2 ** 24;

/**
 * A reduction that runs over equal elements along some of its dimensions (of a constant, or of what was expanded), which needs no loop there: what is
 * left of it; null if there are none.
 */
function overEqual(
  name: string,
  kind: ReduceKind,
  input: Tensor,
  dims: readonly number[],
  keepdim: boolean,
  dtype: DType,
): Tensor | null {
  const { shape, strides, offset, storage, backend } = input.impl;
  const filler = constantOf(storage.node);
  const equal = dims.filter((d) => shape[d]! > 1 && (filler !== null || strides[d] === 0));
  if (equal.length === 0 || kind === "prod") return null;
  const rest = dims.filter((d) => shape[d]! > 1 && !equal.includes(d));
  if (kind === "argmax" || kind === "argmin")
    return rest.length === 0 ? input.newZeros(reducedShape(shape, dims, keepdim), { dtype }) : null;
  const kept = shape.map((n, d) => (equal.includes(d) ? 1 : n));
  const one =
    filler === null
      ? aliasOf(input, { shape: kept, strides, offset })
      : constant(backend, [], filler, input.dtype).expand(kept).detach();
  const value = reduce(name, kind, convertCopy(one, dtype), dims, keepdim, dtype);
  if (kind !== "sum") return value;
  const count = numel(equal.map((d) => shape[d]!));
  // Integers wrap, as their sum does.
  return value.mul(isFloat(dtype) ? count : count | 0);
}

function keptStrides(shape: readonly number[], dims: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    if (!dims.includes(d)) step *= shape[d]!;
  }
  return strides;
}

/** A reduced tensor seen with its reduced dimensions as size one, ready to broadcast. */
export function keepDims(reduced: Tensor, shape: readonly number[], dims: readonly number[], keepdim: boolean): Tensor {
  return keepdim ? reduced : reduced.reshape(reducedShape(shape, dims, true));
}

/** Integers and bool are summed as int32. */
function sumType(dtype: DType): DType {
  return isFloat(dtype) ? dtype : "int32";
}

const SUM = signature<{ dim?: Dims; keepdim?: boolean; dtype?: DType | null }>()("sum", ["dim", "keepdim"], ["dtype"]);

/** Sum of all elements, or over `dim`. Integers and bool sum to int32. */
export function sum(input: Tensor, ...args: ArgsOf<typeof SUM>): Tensor {
  const { dim = null, keepdim = false, dtype } = parse(SUM, args, input);
  const dims = wrapDims("sum", dim, input.dim());
  const out = reduce("sum", "sum", input, dims, keepdim, dtype ?? sumType(input.dtype));
  const shape = [...input.shape];
  record(dim === null && !keepdim ? "SumBackward0" : "SumBackward1", out, [
    [input, [], (g) => keepDims(g, shape, dims, keepdim).expand(shape)],
  ]);
  return out;
}

const NANSUM = signature<{ dim?: Dims; keepdim?: boolean; dtype?: DType | null }>()(
  "nansum",
  ["dim", "keepdim"],
  ["dtype"],
);

/** Sum that counts NaN as zero. */
export function nansum(input: Tensor, ...args: ArgsOf<typeof NANSUM>): Tensor {
  const { dim = null, keepdim = false, dtype } = parse(NANSUM, args, input);
  if (!isFloat(input.dtype)) return sum(input, dim, keepdim, { dtype: dtype ?? null });
  const dims = wrapDims("nansum", dim, input.dim());
  const x = input.detach();
  const out = x.maskedFill(x.isnan(), 0).sum(dim, keepdim, { dtype: dtype ?? null });
  record("NansumBackward0", out, [
    [input, [input], (g, v) => keepDims(g, v.shape, dims, keepdim).to(v.dtype).mul(v.isnan().logicalNot())],
  ]);
  return out;
}

const MEAN = signature<{ dim?: Dims; keepdim?: boolean; dtype?: DType | null }>()(
  "mean",
  ["dim", "keepdim"],
  ["dtype"],
);

/** Mean of all elements, or over `dim`, of floats. */
export function mean(input: Tensor, ...args: ArgsOf<typeof MEAN>): Tensor {
  const { dim = null, keepdim = false, dtype } = parse(MEAN, args, input);
  const x = dtype != null && dtype !== input.dtype ? input.to(dtype) : input;
  checkFloating("mean", x);
  const dims = wrapDims("mean", dim, x.dim());
  const shape = [...x.shape];
  const count = numel(dims.map((d) => shape[d]!));
  const out = reduce("mean", "sum", x, dims, keepdim, x.dtype).div(count);
  record(dim === null && !keepdim ? "MeanBackward0" : "MeanBackward1", out, [
    [x, [], (g) => keepDims(g, shape, dims, keepdim).expand(shape).div(count)],
  ]);
  return out;
}

const PROD = signature<{ dim?: number | null; keepdim?: boolean; dtype?: DType | null }>()(
  "prod",
  ["dim", "keepdim"],
  ["dtype"],
);

/** Product of all elements, or over one dimension. Integers and bool multiply to int32. */
export function prod(input: Tensor, ...args: ArgsOf<typeof PROD>): Tensor {
  const { dim = null, keepdim = false, dtype } = parse(PROD, args, input);
  const x = dtype != null && dtype !== input.dtype && isFloat(dtype) ? input.to(dtype) : input;
  const dims =
    dim === null ? wrapDims("prod", null, x.dim()) : [wrapDim("prod", dim, x.dim())].filter(() => x.dim() > 0);
  const out = reduce("prod", "prod", x, dims, keepdim, dtype ?? sumType(x.dtype));
  const shape = [...x.shape];
  record(dim === null ? "ProdBackward0" : "ProdBackward1", out, [
    [
      x,
      [x],
      (g, v) => {
        // The product of all other elements: products of what comes before and after, which needs no division by zero.
        if (v.dim() === 0) return g;
        if (dim === null) return g.mul(exclusiveProducts(v.reshape([-1]))).reshape(shape);
        const others = exclusiveProducts(v.movedim(dims[0]!, -1));
        return keepDims(g, shape, dims, keepdim).movedim(dims[0]!, -1).mul(others).movedim(-1, dims[0]!);
      },
    ],
  ]);
  return out;
}

/** For each element of the last dimension, the product of the others. */
function exclusiveProducts(x: Tensor): Tensor {
  const n = x.shape[x.dim() - 1]!;
  if (n <= 1) return x.onesLike();
  const ones = x.narrow(-1, 0, 1).onesLike();
  const before = cat([ones, x.narrow(-1, 0, n - 1)], -1).cumprod(-1);
  const after = cat([ones, x.flip(-1).narrow(-1, 0, n - 1)], -1)
    .cumprod(-1)
    .flip(-1);
  return before.mul(after);
}

const AMAX = signature<{ dim?: Dims; keepdim?: boolean }>()("amax", ["dim", "keepdim"]);
const AMIN = signature<{ dim?: Dims; keepdim?: boolean }>()("amin", ["dim", "keepdim"]);

/** Largest elements over `dim` (all by default); equal ones share the gradient. */
export function amax(input: Tensor, ...args: ArgsOf<typeof AMAX>): Tensor {
  return extremes("amax", input, parse(AMAX, args, input));
}

/** Smallest elements over `dim` (all by default); equal ones share the gradient. */
export function amin(input: Tensor, ...args: ArgsOf<typeof AMIN>): Tensor {
  return extremes("amin", input, parse(AMIN, args, input));
}

function extremes(
  name: "amax" | "amin",
  input: Tensor,
  { dim = null, keepdim = false }: { dim?: Dims; keepdim?: boolean },
): Tensor {
  const dims = wrapDims(name, dim, input.dim());
  const out = extremeValue(name, input, dims, keepdim);
  const shape = [...input.shape];
  record(name === "amax" ? "AmaxBackward0" : "AminBackward0", out, [
    [input, [input, out], (g, x, y) => shareAmongEqual(g, x, y, shape, dims, keepdim)],
  ]);
  return out;
}

function shareAmongEqual(
  g: Tensor,
  x: Tensor,
  y: Tensor,
  shape: readonly number[],
  dims: readonly number[],
  keepdim: boolean,
): Tensor {
  const mask = x.eq(keepDims(y, shape, dims, keepdim));
  const count = mask.sum([...dims], true);
  return keepDims(g, shape, dims, keepdim).div(count).mul(mask);
}

function extremeValue(name: string, input: Tensor, dims: readonly number[], keepdim: boolean): Tensor {
  const kind = name === "amax" || name === "max" ? "max" : "min";
  if (dims.some((d) => input.shape[d] === 0))
    throw new ShapeError(
      `${name}: expected reduction dims ${showShape(dims)} to have non-zero size, got shape ${showShape(input.shape)}`,
    );
  if (input.dtype === "bool") return reduce(name, kind === "max" ? "any" : "all", input, dims, keepdim, "bool");
  return reduce(name, kind, input, dims, keepdim, input.dtype);
}

/** Several results in PyTorch's order, with its field names. */
export type Named<K extends string> = [Tensor, Tensor] & { readonly [key in K]: Tensor };

/** Values and where they are. */
export type ValuesIndices = Named<"values" | "indices">;

/** Puts PyTorch's field names on a list of results. */
export function named<K extends string>(values: [Tensor, Tensor], names: readonly [K, K]): Named<K> {
  return Object.assign(values, { [names[0]]: values[0], [names[1]]: values[1] }) as Named<K>;
}

/** Extreme values along one dimension and their first positions. */
export function extremeAlong(name: "max" | "min", input: Tensor, dim: number, keepdim: boolean): ValuesIndices {
  const rank = input.dim();
  const d = wrapDim(name, dim, rank);
  const dims = rank === 0 ? [] : [d];
  const values = extremeValue(name, input, dims, keepdim);
  const indices = argExtreme(name === "max" ? "argmax" : "argmin", input, dims, keepdim);
  const shape = [...input.shape];
  recordMany(name === "max" ? "MaxBackward0" : "MinBackward0", [values], [input], [indices], ([g], [index]) => [
    g == null ? null : intoPositions(g, index!, shape, d, keepdim),
  ]);
  return named([values, indices], ["values", "indices"]);
}

/** Gradients of values taken at one index along a dimension, put back there. */
export function intoPositions(
  g: Tensor,
  index: Tensor,
  shape: readonly number[],
  dim: number,
  keepdim: boolean,
): Tensor {
  if (shape.length === 0) return g;
  const at = keepdim ? index : index.unsqueeze(dim);
  const grad = keepdim ? g : g.unsqueeze(dim);
  return g.newZeros([...shape]).scatter(dim, at, grad);
}

function argExtreme(kind: "argmax" | "argmin", input: Tensor, dims: readonly number[], keepdim: boolean): Tensor {
  const source = input.dtype === "bool" ? convertCopy(input, "int32") : input;
  return reduce(kind, kind, source, dims, keepdim, "int32");
}

/** Largest of all elements; equal ones share the gradient. */
export function extremeOfAll(name: "max" | "min", input: Tensor): Tensor {
  const dims = wrapDims(name, null, input.dim());
  const out = extremeValue(name, input, dims, false);
  const shape = [...input.shape];
  record(name === "max" ? "MaxBackward1" : "MinBackward1", out, [
    [input, [input, out], (g, x, y) => shareAmongEqual(g, x, y, shape, dims, false)],
  ]);
  return out;
}

const ARGMAX = signature<{ dim?: number | null; keepdim?: boolean }>()("argmax", ["dim", "keepdim"]);
const ARGMIN = signature<{ dim?: number | null; keepdim?: boolean }>()("argmin", ["dim", "keepdim"]);

/** Position (int32) of the first largest element: in the flattened tensor, or along `dim`. NaN counts as largest. */
export function argmax(input: Tensor, ...args: ArgsOf<typeof ARGMAX>): Tensor {
  const { dim = null, keepdim = false } = parse(ARGMAX, args, input);
  return argExtreme(
    "argmax",
    input,
    dim === null ? wrapDims("argmax", null, input.dim()) : oneDim("argmax", dim, input),
    keepdim,
  );
}

/** Position (int32) of the first smallest element: in the flattened tensor, or along `dim`. NaN counts as smallest. */
export function argmin(input: Tensor, ...args: ArgsOf<typeof ARGMIN>): Tensor {
  const { dim = null, keepdim = false } = parse(ARGMIN, args, input);
  return argExtreme(
    "argmin",
    input,
    dim === null ? wrapDims("argmin", null, input.dim()) : oneDim("argmin", dim, input),
    keepdim,
  );
}

function oneDim(name: string, dim: number, input: Tensor): number[] {
  const d = wrapDim(name, dim, input.dim());
  return input.dim() === 0 ? [] : [d];
}

const ANY = signature<{ dim?: Dims; keepdim?: boolean }>()("any", ["dim", "keepdim"]);
const ALL = signature<{ dim?: Dims; keepdim?: boolean }>()("all", ["dim", "keepdim"]);

/** True where some element is nonzero. */
export function any(input: Tensor, ...args: ArgsOf<typeof ANY>): Tensor {
  const { dim = null, keepdim = false } = parse(ANY, args, input);
  return reduce("any", "any", input, wrapDims("any", dim, input.dim()), keepdim, "bool");
}

/** True where all elements are nonzero. */
export function all(input: Tensor, ...args: ArgsOf<typeof ALL>): Tensor {
  const { dim = null, keepdim = false } = parse(ALL, args, input);
  return reduce("all", "all", input, wrapDims("all", dim, input.dim()), keepdim, "bool");
}

interface Spread {
  dim?: Dims | boolean;
  unbiased?: boolean;
  keepdim?: boolean;
  correction?: number | null;
}

const VAR = signature<Spread>()("var", ["dim", "unbiased", "keepdim"], ["correction"]);
const STD = signature<Spread>()("std", ["dim", "unbiased", "keepdim"], ["correction"]);

/** Dims, the number subtracted from the count, and keepdim, from PyTorch's several forms of the call. */
function spreadOptions(name: string, { dim = null, unbiased, keepdim = false, correction }: Spread, rank: number) {
  // var(unbiased) is a form of its own: a boolean in the place of dim.
  const flag = typeof dim === "boolean" ? dim : unbiased;
  if (correction != null && typeof correction !== "number")
    throw new ArgumentError(`${name}: correction must be a number, got ${describeValue(correction)}`);
  if (flag !== undefined && correction != null)
    throw new ArgumentError(`${name}: give unbiased or correction, not both`);
  return {
    dims: wrapDims(name, typeof dim === "boolean" ? null : dim, rank),
    keepdim,
    correction: correction ?? (flag === false ? 0 : 1),
  };
}

/** Variance of all elements or over `dim`; the sum of squares is divided by `count - correction` (1 by default). */
export function var_(input: Tensor, ...args: ArgsOf<typeof VAR>): Tensor {
  const { dims, keepdim, correction } = spreadOptions("var", parse(VAR, args, input), input.dim());
  checkFloating("var", input);
  const shape = [...input.shape];
  const freedom = Math.max(numel(dims.map((d) => shape[d]!)) - correction, 0);
  const out = varianceValue(input, dims, keepdim, freedom);
  record("VarBackward0", out, [
    [
      input,
      [input],
      (g, x) =>
        keepDims(g, shape, dims, keepdim)
          .mul(2 / freedom)
          .mul(x.sub(x.mean([...dims], true))),
    ],
  ]);
  return out;
}

/** Two passes: the mean, then the mean of squared differences. */
function varianceValue(input: Tensor, dims: readonly number[], keepdim: boolean, freedom: number): Tensor {
  const x = input.detach();
  const count = numel(dims.map((d) => x.shape[d]!));
  const center = reduce("var", "sum", x, dims, true, x.dtype).div(count);
  return reduce("var", "sum", x.sub(center).square(), dims, keepdim, x.dtype).div(freedom);
}

/** Square root of the variance. */
export function std(input: Tensor, ...args: ArgsOf<typeof STD>): Tensor {
  const { dims, keepdim, correction } = spreadOptions("std", parse(STD, args, input), input.dim());
  checkFloating("std", input);
  const shape = [...input.shape];
  const freedom = Math.max(numel(dims.map((d) => shape[d]!)) - correction, 0);
  const out = varianceValue(input, dims, keepdim, freedom).sqrt();
  record("StdBackward0", out, [
    [
      input,
      [input, out],
      (g, x, y) => {
        const slope = g.div(y.mul(2)).maskedFill(y.eq(0), 0);
        return keepDims(slope, shape, dims, keepdim)
          .mul(2 / freedom)
          .mul(x.sub(x.mean([...dims], true)));
      },
    ],
  ]);
  return out;
}

/** Variance and mean. */
export function varMean(input: Tensor, ...args: ArgsOf<typeof VAR>): [Tensor, Tensor] {
  const { dims, keepdim, correction } = spreadOptions("varMean", parse(VAR, args, input), input.dim());
  return [var_(input, dims, undefined, keepdim, { correction }), mean(input, dims, keepdim)];
}

/** Standard deviation and mean. */
export function stdMean(input: Tensor, ...args: ArgsOf<typeof STD>): [Tensor, Tensor] {
  const { dims, keepdim, correction } = spreadOptions("stdMean", parse(STD, args, input), input.dim());
  return [std(input, dims, undefined, keepdim, { correction }), mean(input, dims, keepdim)];
}

const LOGSUMEXP = signature<{ dim: number | readonly number[]; keepdim?: boolean }>()("logsumexp", ["dim", "keepdim"]);

/** `log(sum(exp(input)))` over `dim`, with the largest element subtracted first. */
export function logsumexp(input: Tensor, ...args: ArgsOf<typeof LOGSUMEXP>): Tensor {
  const { dim, keepdim = false } = parse(LOGSUMEXP, args, input);
  const dims = wrapDims("logsumexp", dim, input.dim());
  const source = isFloat(input.dtype) ? input : input.to("float32");
  const x = source.detach();
  const shape = [...x.shape];
  const empty = numel(dims.map((d) => shape[d]!)) === 0;
  const out = empty ? x.sum(dims, keepdim).log() : logsumexpValue(x, dims, keepdim);
  record("LogsumexpBackward0", out, [
    [
      source,
      [source, out],
      (g, v, y) => keepDims(g, shape, dims, keepdim).mul(v.sub(keepDims(y, shape, dims, keepdim)).exp()),
    ],
  ]);
  return out;
}

function logsumexpValue(x: Tensor, dims: readonly number[], keepdim: boolean): Tensor {
  const top = x.amax([...dims], true);
  const base = top.maskedFill(top.abs().eq(Infinity), 0);
  const total = x
    .sub(base)
    .exp()
    .sum([...dims], true)
    .log()
    .add(base);
  return keepdim ? total : total.reshape(reducedShape(x.shape, dims, false));
}

const COUNT_NONZERO = signature<{ dim?: Dims }>()("countNonzero", ["dim"]);

/** How many elements are nonzero (int32). */
export function countNonzero(input: Tensor, ...args: ArgsOf<typeof COUNT_NONZERO>): Tensor {
  const { dim = null } = parse(COUNT_NONZERO, args, input);
  return input.ne(0).sum(dim);
}

const NORM = signature<{ p?: number | "fro" | "nuc"; dim?: Dims; keepdim?: boolean; dtype?: DType | null }>()("norm", [
  "p",
  "dim",
  "keepdim",
  "dtype",
]);

/** Vector norm of all elements or over `dim`: p = 2 (`"fro"`) by default; 0, 1, Infinity, -Infinity and any other. */
export function norm(input: Tensor, ...args: ArgsOf<typeof NORM>): Tensor {
  const { p = "fro", dim = null, keepdim = false, dtype } = parse(NORM, args, input);
  const x = dtype != null && dtype !== input.dtype ? input.to(dtype) : input;
  if (category(x.dtype) !== 2)
    throw new DTypeError(`norm: expected a floating point tensor, got ${x.dtype}; convert it with .to("float32")`);
  if (p === "nuc")
    throw new ArgumentError('norm: p = "nuc" is a matrix norm, which needs singular values; use a number or "fro"');
  return vectorNorm("NormBackward1", x, p === "fro" ? 2 : p, dim, keepdim);
}

/** `(sum |x|^p)^(1/p)` and its limits. */
export function vectorNorm(name: string, input: Tensor, p: number, dim: Dims, keepdim: boolean): Tensor {
  if (typeof p !== "number" || Number.isNaN(p))
    throw new ArgumentError(`norm: p must be a number or "fro", got ${describeValue(p)}`);
  const dims = wrapDims("norm", dim, input.dim());
  const shape = [...input.shape];
  const x = input.detach();
  const out = normValue(x, p, dims, keepdim);
  record(name, out, [
    [
      input,
      [input, out],
      (g, v, y) => normSlope(keepDims(g, shape, dims, keepdim), v, keepDims(y, shape, dims, keepdim), p, dims),
    ],
  ]);
  return out;
}

function normValue(x: Tensor, p: number, dims: readonly number[], keepdim: boolean): Tensor {
  const over = [...dims];
  if (p === 2) return x.square().sum(over, keepdim).sqrt();
  if (p === 1) return x.abs().sum(over, keepdim);
  if (p === 0) return x.ne(0).to(x.dtype).sum(over, keepdim);
  const empty = numel(dims.map((d) => x.shape[d]!)) === 0;
  if (p === Infinity) return empty ? x.sum(over, keepdim) : x.abs().amax(over, keepdim);
  if (p === -Infinity) return x.abs().amin(over, keepdim);
  return x
    .abs()
    .pow(p)
    .sum(over, keepdim)
    .pow(1 / p);
}

/** Derivative of a norm, zero where the norm is. */
function normSlope(g: Tensor, x: Tensor, y: Tensor, p: number, dims: readonly number[]): Tensor {
  if (p === 0) return x.zerosLike();
  if (p === 1) return x.sign().mul(g);
  if (p === 2) return x.mul(g.div(y)).maskedFill(y.eq(0), 0);
  if (p === Infinity || p === -Infinity) {
    const hit = x.abs().eq(y);
    return x.sign().mul(g.div(hit.sum([...dims], true)).mul(hit));
  }
  if (p < 1) {
    const powered = x
      .sign()
      .mul(x.abs().pow(p - 1))
      .maskedFill(x.eq(0), 0);
    return powered.mul(g.mul(y.pow(1 - p)));
  }
  if (p < 2) {
    const powered = x.sign().mul(x.abs().pow(p - 1));
    return powered.mul(g.div(y.pow(p - 1)).maskedFill(y.eq(0), 0));
  }
  return x.mul(x.abs().pow(p - 2)).mul(g.div(y.pow(p - 1)).maskedFill(y.eq(0), 0));
}
