/** Ordering: sort and what is read off sorted values, running extremes, search in sorted sequences. */

import { checkInteger, describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { record, recordMany } from "../autograd/tape.ts";
import { isFloat } from "../dtype.ts";
import { ArgumentError, DTypeError, ShapeError } from "../errors.ts";
import type { Value } from "../graph/builder.ts";
import type { RoutineOp } from "../graph/node.ts";
import { contiguousStrides, sameShape, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, checkTensor, commonBackend, convertCopy, iota, isTensor, mapOp, wrapDim } from "./apply.ts";
import { countLike, fromHost } from "./creation.ts";
import { resultType } from "./elementwise.ts";
import { intoPositions, named, type ValuesIndices } from "./reduce.ts";
import { scan } from "./scan.ts";

/**
 * Positions along `dim` of the elements in order: stable, NaN last (first if descending). int32, off the tape. Where only the first `wanted` are
 * asked for, a device may leave out the others.
 */
function orderOf(x: Tensor, dim: number, descending: boolean, wanted?: number): Tensor {
  const { shape, strides, offset, backend } = x.impl;
  if (x.dim() === 0 || shape[dim]! <= 1 || x.numel() === 0) return x.newZeros([...shape], { dtype: "int32" });
  const selects = wanted !== undefined && wanted > 0 && wanted < shape[dim]! && backend.limits.sortsFirst === true;
  const without = (list: readonly number[]): number[] => list.filter((_, d) => d !== dim);
  const ints = [shape[dim]!, ...without(shape), strides[dim]!, ...without(strides), offset];
  if (selects) ints.push(wanted);
  const order = descending ? "descending" : "ascending";
  const op: RoutineOp = {
    kind: "routine",
    key: `sort:${order}`,
    name: "sort",
    attrs: { order, rank: shape.length - 1 },
    ints,
    inPlace: false,
    usesStatus: false,
  };
  const length = selects ? wanted : shape[dim]!;
  const out = applyNode(backend, op, [...without(shape), length], "int32", [argOf(x)]);
  return out.movedim(-1, dim).detach();
}

/** Elements of x at positions along `dim`, with a gradient that puts them back; the indices carry none. */
function taken(entry: string, x: Tensor, dim: number, indices: Tensor): ValuesIndices {
  const values = x.dim() === 0 ? x.detach().clone() : x.detach().gather(dim, indices);
  const shape = [...x.shape];
  recordMany(entry, [values], [x], [indices], ([g], [index]) => [
    g == null ? null : shape.length === 0 ? g : g.newZeros(shape).scatter(dim, index!, g),
  ]);
  return named([values, indices], ["values", "indices"]);
}

const SORT = signature<{ dim?: number; descending?: boolean; stable?: boolean }>()(
  "sort",
  ["dim", "descending"],
  ["stable"],
);

/** The elements along `dim` (the last) in order, and where they came from (int32). Always stable; NaN counts as largest. */
export function sort(input: Tensor, ...args: ArgsOf<typeof SORT>): ValuesIndices {
  const { dim: given = -1, descending = false } = parse(SORT, args, input);
  const dim = wrapDim("sort", given, input.dim());
  return taken("SortBackward0", input, dim, orderOf(input, dim, descending));
}

/** The indices of `sort`. */
export function argsort(input: Tensor, ...args: ArgsOf<typeof SORT>): Tensor {
  const { dim: given = -1, descending = false } = parse(SORT, args, input);
  return orderOf(input, wrapDim("argsort", given, input.dim()), descending);
}

/** The values sorted along the first dimension. */
export function msort(input: Tensor): Tensor {
  checkTensor("msort", "input", input);
  return sort(input, 0)[0];
}

const TOPK = signature<{ k: number; dim?: number; largest?: boolean; sorted?: boolean }>()("topk", [
  "k",
  "dim",
  "largest",
  "sorted",
]);

/** The `k` largest (or smallest) elements along `dim`, in order, and where they are. NaN counts as largest. */
export function topk(input: Tensor, ...args: ArgsOf<typeof TOPK>): ValuesIndices {
  const { k, dim: given = -1, largest = true } = parse(TOPK, args, input);
  const dim = wrapDim("topk", given, input.dim());
  const size = input.dim() === 0 ? 1 : input.shape[dim]!;
  if (checkInteger("topk", "k", k) < 0 || k > size)
    throw new ShapeError(`topk: selected index k = ${k} out of range for dimension ${dim} of size ${size}`);
  const order = orderOf(input, dim, largest, k);
  return taken("TopkBackward0", input, dim, input.dim() === 0 ? order : order.narrow(dim, 0, k).contiguous());
}

/** One element along `dim`, at positions [..., 1, ...] of the sorted order. */
function pick(entry: string, x: Tensor, dim: number, keepdim: boolean, places: Tensor | number): ValuesIndices {
  const order = orderOf(x, dim, false, isTensor(places) ? undefined : places + 1);
  if (x.dim() === 0) return taken(entry, x, dim, order);
  const at = isTensor(places) ? order.gather(dim, places) : order.narrow(dim, places, 1);
  const indices = (keepdim ? at : at.squeeze(dim)).contiguous().detach();
  const wide = x.detach().gather(dim, at);
  const values = (keepdim ? wide : wide.squeeze(dim)).detach();
  const shape = [...x.shape];
  recordMany(entry, [values], [x], [indices], ([g], [index]) => [
    g == null ? null : intoPositions(g, index!, shape, dim, keepdim),
  ]);
  return named([values, indices], ["values", "indices"]);
}

function checkNotEmpty(op: string, x: Tensor, dim: number): void {
  if (x.dim() > 0 && x.shape[dim] === 0)
    throw new ShapeError(
      `${op}: expected dimension ${dim} of the input of shape ${showShape(x.shape)} to have elements`,
    );
}

const KTH = signature<{ k: number; dim?: number; keepdim?: boolean }>()("kthvalue", ["k", "dim", "keepdim"]);

/** The `k`-th smallest element along `dim` (k counts from 1), and where it is. */
export function kthvalue(input: Tensor, ...args: ArgsOf<typeof KTH>): ValuesIndices {
  const { k, dim: given = -1, keepdim = false } = parse(KTH, args, input);
  const dim = wrapDim("kthvalue", given, input.dim());
  const size = input.dim() === 0 ? 1 : input.shape[dim]!;
  if (checkInteger("kthvalue", "k", k) < 1 || k > size)
    throw new ShapeError(`kthvalue: selected number k = ${k} out of range for dimension ${dim} of size ${size}`);
  return pick("KthvalueBackward0", input, dim, keepdim, k - 1);
}

/** Where the median lies in the sorted order [..., 1, ...]: the lower of two; with NaN, at the first of them, or not counting them. */
function medianPlace(x: Tensor, dim: number, ignoreNan: boolean): Tensor | number {
  const n = x.dim() === 0 ? 1 : x.shape[dim]!;
  const middle = Math.floor((n - 1) / 2);
  if (!isFloat(x.dtype) || x.dim() === 0) return middle;
  const numbers = x.detach().isnan().logicalNot().sum(dim, true);
  if (ignoreNan) return numbers.sub(1).div(2, { roundingMode: "trunc" }).clampMin(0).to("int32");
  return numbers
    .eq(n)
    .where(middle, numbers.clampMax(n - 1))
    .to("int32");
}

type MedianArgs =
  readonly [] | readonly [dim: number, keepdim?: boolean] | readonly [{ dim?: number; keepdim?: boolean }];
const MEDIAN = signature<{ dim?: number; keepdim?: boolean }>()("median", ["dim", "keepdim"]);

function medianOf(name: "median" | "nanmedian", input: Tensor, args: MedianArgs): Tensor | ValuesIndices {
  const entry = name === "median" ? "MedianBackward" : "NanmedianBackward";
  const { dim: given, keepdim = false } = parse({ ...MEDIAN, name }, args, input);
  if (given !== undefined) {
    const dim = wrapDim(name, given, input.dim());
    checkNotEmpty(name, input, dim);
    return pick(`${entry}1`, input, dim, keepdim, medianPlace(input, dim, name === "nanmedian"));
  }
  const flat = input.detach().reshape([-1]);
  if (flat.numel() === 0) return input.newFull([], isFloat(input.dtype) ? NaN : 0);
  const out = pick("", flat, 0, false, medianPlace(flat, 0, name === "nanmedian"))[0];
  if (isFloat(input.dtype))
    record(`${entry}0`, out, [
      [
        input,
        [input, out],
        (g, x, y) => {
          // Equal elements share the gradient.
          const mask = x.eq(y).logicalOr(x.isnan().logicalAnd(y.isnan()));
          return g.div(mask.sum()).mul(mask);
        },
      ],
    ]);
  return out;
}

/** The median of all elements (the lower of two middle ones; NaN if there is one); along `dim`, values and indices. */
export function median(input: Tensor): Tensor;
export function median(input: Tensor, dim: number, keepdim?: boolean): ValuesIndices;
export function median(input: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices;
export function median(input: Tensor, ...args: MedianArgs): Tensor | ValuesIndices {
  return medianOf("median", input, args);
}

/** `median` that leaves NaN out. */
export function nanmedian(input: Tensor): Tensor;
export function nanmedian(input: Tensor, dim: number, keepdim?: boolean): ValuesIndices;
export function nanmedian(input: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices;
export function nanmedian(input: Tensor, ...args: MedianArgs): Tensor | ValuesIndices {
  return medianOf("nanmedian", input, args);
}

const MODE = signature<{ dim?: number; keepdim?: boolean }>()("mode", ["dim", "keepdim"]);

/** The most frequent value along `dim` (the smallest of several), and the last place where it is. */
export function mode(input: Tensor, ...args: ArgsOf<typeof MODE>): ValuesIndices {
  const { dim: given = -1, keepdim = false } = parse(MODE, args, input);
  const dim = wrapDim("mode", given, input.dim());
  checkNotEmpty("mode", input, dim);
  if (input.dim() === 0) return pick("ModeBackward0", input, dim, keepdim, 0);
  const x = input.detach();
  const n = x.shape[dim]!;
  const sorted = x.gather(dim, orderOf(x, dim, false));
  const place = positions(x, dim);
  const isNew = n === 1 ? null : sorted.narrow(dim, 1, n - 1).ne(sorted.narrow(dim, 0, n - 1));
  // The length of the run that each sorted element ends, so far.
  const starts =
    isNew === null
      ? place
      : scan(padFront(isNew.to("int32").mul(place.narrow(dim, 1, n - 1)), dim), dim, "max", "int32");
  const best = place.sub(starts).argmax(dim, true);
  return pick("ModeBackward0", input, dim, keepdim, best);
}

/** 0, 1, 2, ... along a dimension, in the shape of x. */
function positions(x: Tensor, dim: number): Tensor {
  const n = x.shape[dim]!;
  return countLike(x, n)
    .reshape(x.shape.map((_, d) => (d === dim ? n : 1)))
    .expand([...x.shape]);
}

/** A zero put before the first element of a dimension. */
function padFront(x: Tensor, dim: number): Tensor {
  const out = x.newZeros(x.shape.map((n, d) => (d === dim ? n + 1 : n)));
  out.narrow(dim, 1, x.shape[dim]!).copy_(x);
  return out;
}

// --- running extremes -------------------------------------------------------------------------------------------------

const CUMMAX = signature<{ dim: number }>()("cummax", ["dim"]);

function cumulative(name: "cummax" | "cummin", input: Tensor, given: number): ValuesIndices {
  const dim = wrapDim(name, given, input.dim());
  const x = input.detach();
  const kind = name === "cummax" ? "max" : "min";
  const isBool = input.dtype === "bool";
  const run = scan(isBool ? x.to("int32") : x, dim, kind, isBool ? "int32" : input.dtype);
  const values = isBool ? run.to("bool") : run;
  let indices: Tensor;
  if (x.dim() === 0 || x.numel() === 0) indices = x.newZeros([...x.shape], { dtype: "int32" });
  else {
    // The last place at or before each element where the extreme is met.
    const met = isFloat(x.dtype) ? x.eq(values).logicalOr(x.isnan()) : x.eq(values);
    indices = scan(positions(x, dim).mul(met), dim, "max", "int32");
  }
  const shape = [...x.shape];
  recordMany(
    name === "cummax" ? "CummaxBackward0" : "CumminBackward0",
    [values],
    [input],
    [indices],
    ([g], [index]) => [g == null ? null : shape.length === 0 ? g : g.newZeros(shape).scatterAdd(dim, index!, g)],
  );
  return named([values, indices], ["values", "indices"]);
}

/** Largest elements so far along a dimension, and where they were (the last of equal ones). NaN stays. */
export function cummax(input: Tensor, ...args: ArgsOf<typeof CUMMAX>): ValuesIndices {
  return cumulative("cummax", input, parse(CUMMAX, args, input).dim);
}

/** Smallest elements so far along a dimension, and where they were (the last of equal ones). NaN stays. */
export function cummin(input: Tensor, ...args: ArgsOf<typeof CUMMAX>): ValuesIndices {
  return cumulative("cummin", input, parse(CUMMAX, args, input).dim);
}

// --- search -----------------------------------------------------------------------------------------------------------

interface SearchOptions {
  self: Tensor | number;
  outInt32?: boolean;
  right?: boolean;
  side?: "left" | "right" | null;
  sorter?: Tensor | null;
}
const SEARCH = signature<SearchOptions>()("searchsorted", ["self"], ["outInt32", "right", "side", "sorter"]);

/**
 * Where `self` (values, or one number) would be put into the sorted last dimension of `sortedSequence` to keep it sorted: before equal ones, or
 * with `right` behind them. A sequence of several dimensions takes values of the same leading dimensions. int32.
 */
export function searchsorted(sortedSequence: Tensor, ...args: ArgsOf<typeof SEARCH>): Tensor {
  const { self: given, right = false, side = null, sorter = null } = parse(SEARCH, args, sortedSequence);
  if (side !== null && side !== "left" && side !== "right")
    throw new ArgumentError(`searchsorted: side must be "left" or "right", got "${String(side)}"`);
  if (side === "left" && right) throw new ArgumentError('searchsorted: side "left" contradicts right: true');
  const values = isTensor(given)
    ? given
    : sortedSequence.newFull([], given, { dtype: resultType(sortedSequence, given) });
  let sequence = sortedSequence;
  if (sequence.dim() === 0) throw new ShapeError("searchsorted: the sorted sequence must have at least one dimension");
  if (sorter !== null) {
    if (!sameShape(sorter.shape, sequence.shape))
      throw new ShapeError(
        `searchsorted: sorter of shape ${showShape(sorter.shape)} must have the sequence's shape ${showShape(sequence.shape)}`,
      );
    sequence = sequence.gather(-1, sorter);
  }
  const lead = sequence.shape.slice(0, -1);
  if (lead.length > 0 && !sameShape(lead, values.shape.slice(0, -1)))
    throw new ShapeError(
      `searchsorted: the sequence's shape ${showShape(sequence.shape)} and the values' ${showShape(values.shape)} must agree in all but the last dimension`,
    );
  return searched(sequence.detach(), values.detach(), right || side === "right");
}

function searched(sequence: Tensor, values: Tensor, right: boolean): Tensor {
  const { shape } = values;
  const n = sequence.shape[sequence.dim() - 1]!;
  if (values.numel() === 0 || n === 0) return values.newZeros([...shape], { dtype: "int32" });
  const backend = commonBackend("searchsorted", [sequence, values]);
  const dtype = resultType(sequence, values);
  const table = sequence.dtype === dtype ? sequence : convertCopy(sequence, dtype);
  const wanted = values.dtype === dtype ? values : convertCopy(values, dtype);
  const steps = Math.ceil(Math.log2(n + 1));
  const map = mapOp(`searchsorted:${steps}:${right}:${dtype}`, 12 * steps, (b, [base, v], { scalars, table: read }) => {
    let low: Value = b.lit(0, "i");
    let high = scalars[0]!;
    const one = b.lit(1, "i");
    for (let i = 0; i < steps; i++) {
      const open = b.compare("lt", low, high);
      const middle = b.emit("shr", "i", [b.add(low, high), one]);
      const at = b.add(base!, b.mul(b.select(open, middle, b.lit(0, "i")), scalars[1]!));
      const element = read(0, at);
      const left = b.type(element) === "b" ? b.cast(element, "i") : element;
      const beyond = b.compare(right ? "gt" : "ge", left, b.type(v!) === "b" ? b.cast(v!, "i") : v!);
      const up = b.and(open, b.not(beyond));
      low = b.select(up, b.add(middle, one), low);
      high = b.select(b.and(open, beyond), middle, high);
    }
    return low;
  });
  const { strides, offset, storage } = table.impl;
  const leadStrides = table.dim() === 1 ? shape.map(() => 0) : [...strides.slice(0, -1), 0];
  const { node } = storage;
  return applyNode(backend, map, shape, "int32", [iota(shape, leadStrides, offset), argOf(wanted)], {
    scalars: [n, strides[strides.length - 1]!],
    scalarTypes: ["i", "i"],
    tables: [{ node, view: { shape: node.shape, strides: contiguousStrides(node.shape), offset: 0 } }],
  });
}

const BUCKETIZE = signature<{ boundaries: Tensor; outInt32?: boolean; right?: boolean }>()(
  "bucketize",
  ["boundaries"],
  ["outInt32", "right"],
);

/** The number of boundaries below each element (or, with `right`, not above it): `searchsorted(boundaries, input)`. */
export function bucketize(input: Tensor, ...args: ArgsOf<typeof BUCKETIZE>): Tensor {
  const { boundaries, right = false } = parse(BUCKETIZE, args, input);
  checkTensor("bucketize", "boundaries", boundaries);
  if (boundaries.dim() !== 1)
    throw new ShapeError(`bucketize: boundaries must be one-dimensional, got shape ${showShape(boundaries.shape)}`);
  return searched(boundaries.detach(), input.detach(), right);
}

// --- counting ---------------------------------------------------------------------------------------------------------

const HISTC = signature<{ bins?: number; min?: number; max?: number }>()("histc", ["bins", "min", "max"]);

/** How many elements fall into each of `bins` equal parts of [min, max]; with min equal to max, of the elements' own range. */
export function histc(input: Tensor, ...args: ArgsOf<typeof HISTC>): Tensor {
  const { bins = 100, min = 0, max = 0 } = parse(HISTC, args, input);
  if (!isFloat(input.dtype))
    throw new DTypeError(`histc: expected a floating point tensor, got ${input.dtype}; convert it with .to("float32")`);
  if (checkInteger("histc", "bins", bins) < 1) throw new ArgumentError(`histc: bins must be positive, got ${bins}`);
  for (const bound of [min, max])
    if (typeof bound !== "number")
      throw new ArgumentError(`histc: min and max must be numbers, got ${describeValue(bound)}`);
  if (!(min <= max))
    throw new ArgumentError(`histc: max must not be less than min, got ${describeValue(min)} and ${max}`);
  const x = input.detach().reshape([-1]);
  const zeros = x.newZeros([bins]);
  if (x.numel() === 0) return zeros;
  let low = min === max ? x.amin() : x.newFull([], min);
  let high = min === max ? x.amax() : x.newFull([], max);
  const flat = low.eq(high);
  low = flat.where(low.sub(1), low);
  high = flat.where(high.add(1), high);
  const place = x
    .sub(low)
    .div(high.sub(low))
    .mul(bins)
    .floor()
    .clamp(0, bins - 1);
  const inside = x.ge(low).logicalAnd(x.le(high));
  const index = inside.where(place, 0).to("int32");
  return zeros.scatterAdd(0, index, inside.to(x.dtype));
}

const BINCOUNT = signature<{ weights?: Tensor | null; minlength?: number }>()("bincount", ["weights", "minlength"]);

/** How often each integer occurs in a one-dimensional tensor (or the sum of their weights): a promise, for the length depends on values. */
export async function bincount(input: Tensor, ...args: ArgsOf<typeof BINCOUNT>): Promise<Tensor> {
  const { weights = null, minlength = 0 } = parse(BINCOUNT, args, input);
  if (input.dim() !== 1 || isFloat(input.dtype) || input.dtype === "bool")
    throw new DTypeError(
      `bincount: expected a one-dimensional integer tensor, got ${input.dtype} of shape ${showShape(input.shape)}`,
    );
  if (checkInteger("bincount", "minlength", minlength) < 0)
    throw new ArgumentError(`bincount: minlength must not be negative, got ${minlength}`);
  if (weights !== null && !sameShape(weights.shape, input.shape))
    throw new ShapeError(
      `bincount: weights of shape ${showShape(weights.shape)} should have the input's shape ${showShape(input.shape)}`,
    );
  const dtype = weights === null ? "int32" : isFloat(weights.dtype) ? weights.dtype : "float32";
  if (input.numel() === 0) return input.newZeros([minlength], { dtype });
  const x = input.to("int32");
  const lowest = await x.amin().item();
  if (lowest < 0) throw new ArgumentError(`bincount: expected non-negative integers, got ${lowest}`);
  const length = Math.max((await x.amax().item()) + 1, minlength);
  const source = weights === null ? x.onesLike() : weights.detach().to(dtype);
  return x.newZeros([length], { dtype }).scatterAdd(0, x, source);
}

/** What `unique` gives, as asked for: `[output, inverseIndices?, counts?]`. */
export interface UniqueOptions {
  /** Taken for the sake of PyTorch's signature: the unique elements are sorted either way. */
  sorted?: boolean;
  /** Whether to give, for each element, its place among the unique ones. Default: false. */
  returnInverse?: boolean;
  /** Whether to give how often each unique element occurs. Default: false. */
  returnCounts?: boolean;
  /** Dimension whose slices are compared whole; null for single elements. Default: null. */
  dim?: number | null;
}
const UNIQUE = signature<UniqueOptions>()("unique", ["sorted", "returnInverse", "returnCounts", "dim"]);
const CONSECUTIVE = signature<Omit<UniqueOptions, "sorted">>()("uniqueConsecutive", [
  "returnInverse",
  "returnCounts",
  "dim",
]);

/** Result of `unique` and `uniqueConsecutive`: the tensor alone, or it with what else was asked for. */
export type UniqueResult = Tensor | Tensor[];

function packedResult(output: Tensor, inverse: Tensor | null, counts: Tensor | null): UniqueResult {
  const rest = [inverse, counts].filter((t) => t !== null);
  return rest.length === 0 ? output : [output, ...rest];
}

/** Runs of equal neighbours in a vector: one value each, the run of every element, and the lengths. */
async function runs(x: Tensor): Promise<{ values: Tensor; run: Tensor; counts: Tensor }> {
  const n = x.shape[0]!;
  if (n === 0) {
    const none = x.newZeros([0], { dtype: "int32" });
    return { values: x, run: none, counts: none };
  }
  const changes = padFront(
    x
      .narrow(0, 1, n - 1)
      .ne(x.narrow(0, 0, n - 1))
      .to("int32"),
    0,
  );
  const run = scan(changes, 0, "sum", "int32").retain();
  const count = (await run.at(-1).item()) + 1;
  const numbers = countLike(x, count);
  const starts = searched(run, numbers, false);
  return { values: x.gather(0, starts), run, counts: searched(run, numbers, true).sub(starts) };
}

/**
 * The distinct elements in order; with `dim`, the distinct slices in lexicographic order. `returnInverse` adds where each element went,
 * `returnCounts` how often each occurs. A promise, for the size depends on values.
 */
export async function unique(input: Tensor, ...args: ArgsOf<typeof UNIQUE>): Promise<UniqueResult> {
  const { returnInverse = false, returnCounts = false, dim = null } = parse(UNIQUE, args, input);
  if (dim !== null) return uniqueSlices("unique", input, dim, returnInverse, returnCounts, true);
  const flat = input.detach().reshape([-1]);
  const order = orderOf(flat, 0, false);
  const { values, run, counts } = await runs(flat.gather(0, order));
  const inverse = returnInverse
    ? run
        .newZeros([flat.numel()])
        .scatter(0, order, run)
        .reshape([...input.shape])
    : null;
  return packedResult(values, inverse, returnCounts ? counts : null);
}

/** Like `unique`, but only neighbours are compared, and the order stays. */
export async function uniqueConsecutive(input: Tensor, ...args: ArgsOf<typeof CONSECUTIVE>): Promise<UniqueResult> {
  const { returnInverse = false, returnCounts = false, dim = null } = parse(CONSECUTIVE, args, input);
  if (dim !== null) return uniqueSlices("uniqueConsecutive", input, dim, returnInverse, returnCounts, false);
  const { values, run, counts } = await runs(input.detach().reshape([-1]));
  return packedResult(values, returnInverse ? run.reshape([...input.shape]) : null, returnCounts ? counts : null);
}

/** Distinct slices, compared on the host. */
async function uniqueSlices(
  op: string,
  input: Tensor,
  given: number,
  returnInverse: boolean,
  returnCounts: boolean,
  sorts: boolean,
): Promise<UniqueResult> {
  const dim = wrapDim(op, given, input.dim());
  const rows = input.detach().movedim(dim, 0);
  const n = rows.shape[0] ?? 1;
  const flat = await rows.contiguous().data();
  const width = n === 0 ? 0 : flat.length / n;
  const compare = (a: number, b: number): number => {
    for (let j = 0; j < width; j++) {
      const [x, y] = [flat[a * width + j]!, flat[b * width + j]!];
      if (x !== y) return x < y ? -1 : x > y ? 1 : a - b;
    }
    return 0;
  };
  const order = Array.from({ length: n }, (_, i) => i);
  if (sorts) order.sort((a, b) => compare(a, b) || a - b);
  const firsts: number[] = [];
  const counts: number[] = [];
  const inverse = new Int32Array(n);
  order.forEach((row, i) => {
    if (i === 0 || compare(order[i - 1]!, row) !== 0) {
      firsts.push(row);
      counts.push(0);
    }
    counts[counts.length - 1]!++;
    inverse[row] = firsts.length - 1;
  });
  const { backend } = input.impl;
  const vector = (list: Int32Array): Tensor => fromHost(backend, list, [list.length], "int32");
  const output = input.detach().indexSelect(dim, vector(Int32Array.from(firsts)));
  return packedResult(
    output,
    returnInverse ? vector(inverse) : null,
    returnCounts ? vector(Int32Array.from(counts)) : null,
  );
}
