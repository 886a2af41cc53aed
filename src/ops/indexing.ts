/** Reading and writing at computed positions. */

import { parse, signature, type ArgsOf } from "../args.ts";
import { inPlace } from "../autograd/inplace.ts";
import { record } from "../autograd/tape.ts";
import { isFloat } from "../dtype.ts";
import { ArgumentError, DTypeError, IndexError, ShapeError } from "../errors.ts";
import type { RoutineOp } from "../graph/node.ts";
import { contiguousStrides, broadcastShapes, numel, sameShape, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import {
  applyNode,
  argOf,
  checkTensor,
  commonBackend,
  convertCopy,
  hostValueOutside,
  iota,
  isTensor,
  mapOp,
  wholeNode,
  wrapDim,
} from "./apply.ts";
import { where } from "./compare.ts";
import { tensorLike, type NestedArray } from "./creation.ts";
import { checkOperand } from "./elementwise.ts";
import { aliasWhole, select, slice as sliceDim, unsqueeze } from "./structure.ts";

// --- gather ---------------------------------------------------------------------------------------------------------

/** Fails now if an index that the host knows is out of range. Negative ones count from the end where `wraps`. */
export function checkHostIndex(op: string, index: Tensor, size: number, dim: number, wraps: boolean): void {
  const low = wraps ? -size : 0;
  const value = hostValueOutside(index, low, size);
  if (value !== null)
    throw new IndexError(`${op}: index ${value} is out of bounds for dimension ${dim} with size ${size}`);
}

function checkIndexType(op: string, index: Tensor): void {
  checkTensor(op, "index", index);
  if (index.dtype !== "int32" && index.dtype !== "uint8")
    throw new DTypeError(`${op}: expected an int32 index tensor, got ${index.dtype}; convert it with .to("int32")`);
}

/** Element of `source` at `base + sum(index_j * stride_j)`, off the tape. Each index is checked against its size. */
function gatherAt(
  op: string,
  source: Tensor,
  shape: readonly number[],
  base: { strides: readonly number[]; offset: number },
  indices: readonly { index: Tensor; stride: number; size: number }[],
  wraps: boolean,
): Tensor {
  const backend = commonBackend(op, [source, ...indices.map((i) => i.index)]);
  const { dtype } = source;
  const map = mapOp(
    `${op}:gather:${indices.length}:${wraps}:${dtype}`,
    6,
    (b, [start, ...positions], { scalars, table }) => {
      let at = start!;
      positions.forEach((p, j) => {
        const stride = scalars[2 * j]!;
        const size = scalars[2 * j + 1]!;
        const wrapped = wraps ? b.select(b.compare("lt", p, b.lit(0, "i")), b.add(p, size), p) : p;
        const checked = b.emit("checkIndex", "i", [wrapped, size]);
        at = b.add(at, b.mul(checked, stride));
      });
      return table(0, at);
    },
  );
  const { node } = source.impl.storage;
  return applyNode(
    backend,
    map,
    shape,
    dtype,
    [iota(shape, base.strides, base.offset), ...indices.map((i) => argOf(i.index, shape))],
    {
      scalars: indices.flatMap((i) => [i.stride, i.size]),
      scalarTypes: indices.flatMap(() => ["i", "i"] as const),
      tables: [{ node, view: { shape: node.shape, strides: contiguousStrides(node.shape), offset: 0 } }],
    },
  );
}

const GATHER = signature<{ dim: number; index: Tensor; sparseGrad?: boolean }>()(
  "gather",
  ["dim", "index"],
  ["sparseGrad"],
);

/** Along `dim`, the elements at `index`, whose shape the result has. */
export function gather(input: Tensor, ...args: ArgsOf<typeof GATHER>): Tensor {
  const { dim, index } = parse(GATHER, args, input);
  const result = gatherFor("gather", input, dim, index);
  const shape = [...input.shape];
  record("GatherBackward0", result, [
    [input, [index], (g, i) => g.newZeros(shape).scatterAdd(wrapDim("gather", dim, shape.length), i, g)],
  ]);
  return result;
}

/** `gather` on behalf of another operation, off the tape. */
export function gatherFor(op: string, input: Tensor, along: number, index: Tensor): Tensor {
  checkIndexType(op, index);
  const rank = Math.max(input.dim(), 1);
  const dim = wrapDim(op, along, input.dim());
  const source = input.dim() === 0 ? input.detach().reshape([1]) : input.detach();
  const at = index.dim() === 0 ? index.reshape([1]) : index;
  if (at.dim() !== rank)
    throw new ShapeError(`${op}: index has ${index.dim()} dimensions but the input has ${input.dim()}`);
  at.shape.forEach((n, d) => {
    if (d !== dim && n > source.shape[d]!)
      throw new ShapeError(
        `${op}: size of index ${showShape(index.shape)} exceeds the input's ${showShape(input.shape)} at dimension ${d}`,
      );
  });
  const size = source.shape[dim]!;
  checkHostIndex(op, at, size, dim, false);
  if (numel(at.shape) > 0 && size === 0) throw new IndexError(`${op}: index into dimension ${dim} of size 0`);
  const { strides, offset } = source.impl;
  const base = { strides: strides.map((s, d) => (d === dim ? 0 : s)), offset };
  const out = gatherAt(op, source, at.shape, base, [{ index: at, stride: strides[dim]!, size }], false);
  return index.dim() === 0 ? out.reshape([]).detach() : out;
}

const INDEX_SELECT = signature<{ dim: number; index: Tensor }>()("indexSelect", ["dim", "index"]);

/** The slices of a dimension at the positions in a one-dimensional index. */
export function indexSelect(input: Tensor, ...args: ArgsOf<typeof INDEX_SELECT>): Tensor {
  const { dim: given, index } = parse(INDEX_SELECT, args, input);
  checkIndexType("indexSelect", index);
  if (index.dim() > 1)
    throw new ShapeError(`indexSelect: index is supposed to be a vector, got shape ${showShape(index.shape)}`);
  const dim = wrapDim("indexSelect", given, input.dim());
  if (input.dim() === 0 && index.numel() !== 1)
    throw new ShapeError(`indexSelect: index to scalar can have only 1 value, got ${index.numel()} value(s)`);
  const out = takeSlices("indexSelect", input, dim, input.dim() === 0 ? index.reshape([]) : index.reshape([-1]));
  const shape = [...input.shape];
  record("IndexSelectBackward0", out, [
    [input, [index], (g, i) => (shape.length === 0 ? g : g.newZeros(shape).indexAdd(dim, i, g))],
  ]);
  return out;
}

/** Slices of a dimension at the positions of an index of any shape, whose dimensions take its place. Off the tape. */
export function takeSlices(op: string, input: Tensor, dim: number, index: Tensor): Tensor {
  const source = input.dim() === 0 ? input.detach().reshape([1]) : input.detach();
  const size = source.shape[dim]!;
  checkHostIndex(op, index, size, dim, false);
  if (index.numel() > 0 && size === 0) throw new IndexError(`${op}: index into dimension ${dim} of size 0`);
  const flat = index.reshape([-1]);
  const lead = source.shape.slice(0, dim);
  const tail = source.shape.slice(dim + 1);
  const count = flat.shape[0]!;
  const shape = [...lead, count, ...tail];
  const { strides, offset } = source.impl;
  const base = { strides: strides.map((s, d) => (d === dim ? 0 : s)), offset };
  const spreadIndex = flat.view([...lead.map(() => 1), count, ...tail.map(() => 1)]);
  const out = gatherAt(op, source, shape, base, [{ index: spreadIndex, stride: strides[dim]!, size }], false);
  if (input.dim() === 0) return out.reshape([...index.shape]).detach();
  return index.dim() === 1 ? out : out.view([...lead, ...index.shape, ...tail]).detach();
}

// --- scatter --------------------------------------------------------------------------------------------------------

/** How values combine with what is there. */
export type ScatterMode = "set" | "add" | "prod" | "max" | "min";

/** `base` with `source` combined into the positions `index` gives along `dim`, off the tape. */
export function scatterInto(
  op: string,
  base: Tensor,
  dim: number,
  index: Tensor,
  source: Tensor | number,
  mode: ScatterMode,
): Tensor {
  checkIndexType(op, index);
  const rank = Math.max(base.dim(), 1);
  const at = index.dim() === 0 ? index.reshape([1]) : index;
  const target = base.dim() === 0 ? [1] : base.shape;
  if (at.dim() !== rank)
    throw new ShapeError(`${op}: index has ${index.dim()} dimensions but the tensor has ${base.dim()}`);
  const values = isTensor(source) && source.dim() === 0 ? source.reshape([1]) : source;
  at.shape.forEach((n, d) => {
    if ((d !== dim && n > target[d]!) || (isTensor(values) && (values.dim() !== rank || n > values.shape[d]!)))
      throw new ShapeError(
        `${op}: expected index ${showShape(index.shape)} to be smaller than the tensor ${showShape(base.shape)} apart from dimension ${dim}` +
          (isTensor(values) ? ` and to be smaller than the source ${showShape((source as Tensor).shape)}` : ""),
      );
  });
  if (isTensor(values) && values.dtype !== base.dtype)
    throw new DTypeError(
      `${op}: expected the tensor and the source to have the same dtype, but got ${base.dtype} and ${values.dtype}`,
    );
  checkHostIndex(op, at, target[dim]!, dim, false);
  if (at.numel() === 0) return convertCopy(base, base.dtype);
  if (target[dim] === 0) throw new IndexError(`${op}: index into dimension ${dim} of size 0`);
  const backend = commonBackend(op, isTensor(values) ? [base, at, values] : [base, at]);
  const strides = contiguousStrides(target);
  const indexDtype = at.dtype === "int32" ? at : convertCopy(at, "int32");
  const ints = [
    dim,
    target[dim]!,
    ...at.shape,
    ...strides,
    0,
    ...indexDtype.impl.strides,
    indexDtype.impl.offset,
    ...(isTensor(values) ? [...values.impl.strides, values.impl.offset] : []),
  ];
  const routine: RoutineOp = {
    kind: "routine",
    key: `${op}:${mode}:${isTensor(values) ? "tensor" : "scalar"}`,
    name: "scatter",
    attrs: { mode, rank, source: isTensor(values) ? "tensor" : "scalar" },
    ints,
    inPlace: true,
    usesStatus: true,
  };
  const whole = wholeNode(base);
  const start = { node: whole, view: { shape: whole.shape, strides: contiguousStrides(whole.shape), offset: 0 } };
  const args = [start, argOf(indexDtype), ...(isTensor(values) ? [argOf(values)] : [])];
  const scalars = isTensor(values)
    ? {}
    : { scalars: [values], scalarTypes: [isFloat(base.dtype) ? ("f" as const) : ("i" as const)] };
  const out = applyNode(backend, routine, whole.shape, base.dtype, args, scalars);
  return sameShape(out.shape, base.shape) ? out : out.view([...base.shape]).detach();
}

const SCATTER = signature<{
  dim: number;
  index: Tensor;
  src?: Tensor | number;
  value?: number;
  reduce?: "add" | "multiply" | null;
}>()("scatter", ["dim", "index", "src"], ["value", "reduce"]);

/** Writes `src` (a tensor or a number) along `dim` at the positions in `index`; with `reduce`, combines. */
export function scatter(input: Tensor, ...args: ArgsOf<typeof SCATTER>): Tensor {
  const { dim: given, index, src, value, reduce = null } = parse(SCATTER, args, input);
  const source = src ?? value;
  if (source === undefined) throw new ArgumentError("scatter: src must be given, as a tensor or a number");
  checkOperand("scatter", "src", source);
  const dim = wrapDim("scatter", given, input.dim());
  const mode = reduce === null ? "set" : reduce === "add" ? "add" : reduce === "multiply" ? "prod" : null;
  if (mode === null)
    throw new ArgumentError(`scatter: reduce must be "add", "multiply" or null, got ${String(reduce)}`);
  const out = scatterInto("scatter", input, dim, index, isTensor(source) ? source : source, mode);
  if (mode === "set")
    record(isTensor(source) ? "ScatterBackward0" : "ScatterBackward1", out, [
      [input, [index], (g, i) => scatter(g, dim, i, 0)],
      ...(isTensor(source)
        ? ([[source, [index], (g: Tensor, i?: Tensor) => fitted(gather(g, dim, i!), source)]] as const)
        : []),
    ]);
  else if (mode === "add")
    record("ScatterBackward0", out, [
      [input, [], (g) => g],
      ...(isTensor(source)
        ? ([[source, [index], (g: Tensor, i?: Tensor) => fitted(gather(g, dim, i!), source)]] as const)
        : []),
    ]);
  return out;
}

/** A gradient of the index's shape padded with zeros to the source's, where the source is larger. */
function fitted(g: Tensor, source: Tensor): Tensor {
  if (sameShape(g.shape, source.shape)) return g;
  const zeros = g.newZeros([...source.shape]);
  let part = zeros;
  g.shape.forEach((n, d) => (part = part.narrow(d, 0, n)));
  part.copy_(g);
  return zeros;
}

const SCATTER_ADD = signature<{ dim: number; index: Tensor; src: Tensor }>()("scatterAdd", ["dim", "index", "src"]);

/** Adds `src` along `dim` at the positions in `index`; the order of additions is fixed, so results repeat to the bit. */
export function scatterAdd(input: Tensor, ...args: ArgsOf<typeof SCATTER_ADD>): Tensor {
  const { dim: given, index, src } = parse(SCATTER_ADD, args, input);
  checkTensor("scatterAdd", "src", src);
  const dim = wrapDim("scatterAdd", given, input.dim());
  const out = scatterInto("scatterAdd", input, dim, index, src, "add");
  record("ScatterAddBackward0", out, [
    [input, [], (g) => g],
    [src, [index], (g, i) => fitted(gather(g, dim, i), src)],
  ]);
  return out;
}

const INDEX_ADD = signature<{ dim: number; index: Tensor; source: Tensor; alpha?: number }>()(
  "indexAdd",
  ["dim", "index", "source"],
  ["alpha"],
);

/** Adds `alpha * source` to the slices of a dimension that a one-dimensional index names. */
export function indexAdd(input: Tensor, ...args: ArgsOf<typeof INDEX_ADD>): Tensor {
  const { dim: given, index, source, alpha = 1 } = parse(INDEX_ADD, args, input);
  checkTensor("indexAdd", "source", source);
  const dim = wrapDim("indexAdd", given, input.dim());
  const values = alpha === 1 ? source.detach() : source.detach().mul(alpha);
  const out = scatterInto("indexAdd", input, dim, spreadOver("indexAdd", index, values, dim), values, "add");
  record("IndexAddBackward0", out, [
    [input, [], (g) => g],
    [source, [index], (g, i) => scaled(takeBack(g, dim, i, source), alpha)],
  ]);
  return out;
}

function scaled(g: Tensor, factor: number): Tensor {
  return factor === 1 ? g : g.mul(factor);
}

function takeBack(g: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  const picked =
    g.dim() === 0 ? g.reshape([1]).indexSelect(0, index.reshape([-1])) : g.indexSelect(dim, index.reshape([-1]));
  return picked.reshape([...source.shape]);
}

/** A one-dimensional index as one of the source's shape, without copying. */
function spreadOver(op: string, index: Tensor, source: Tensor, dim: number): Tensor {
  checkIndexType(op, index);
  if (index.dim() > 1)
    throw new ShapeError(`${op}: index is supposed to be a vector, got shape ${showShape(index.shape)}`);
  const flat = index.reshape([-1]);
  if (source.dim() === 0) return flat.reshape([]);
  if (flat.shape[0] !== source.shape[dim])
    throw new ShapeError(
      `${op}: ${flat.shape[0]} indices for a source of size ${source.shape[dim]} at dimension ${dim}`,
    );
  return flat.view(source.shape.map((n, d) => (d === dim ? n : 1))).expand([...source.shape]);
}

// --- at: Python's square brackets -----------------------------------------------------------------------------------

/** A range of a dimension: what `start:end:step` is in Python. */
export interface Slice {
  /** Tells a slice from options. */
  readonly isSlice: true;
  /** First index; null from the beginning. */
  readonly start: number | null;
  /** Index behind the last; null to the end. */
  readonly end: number | null;
  /** Distance of neighbours, at least 1; null for 1. */
  readonly step: number | null;
}

/** `slice(end)`, `slice(start, end)` or `slice(start, end, step)`; null stands for an omitted bound, as in Python. */
export function sliceOf(start: number | null, end?: number | null, step: number | null = null): Slice {
  return end === undefined ? { isSlice: true, start: null, end: start, step } : { isSlice: true, start, end, step };
}

/** Stands for as many whole dimensions as are left: `...` in Python. */
export const ellipsis: unique symbol = Symbol("ellipsis");

/** What may stand between Python's square brackets. */
export type Index = Slice | null | typeof ellipsis | Tensor | NestedArray;

/** What basic indexing leaves to do: a view, and index tensors for some of its dimensions. */
interface Resolved {
  readonly view: Tensor;
  /** One entry a dimension of the view; null where the whole dimension is taken. */
  readonly indices: readonly (Tensor | null)[];
}

function isSlice(index: Index): index is Slice {
  return typeof index === "object" && index !== null && "isSlice" in index;
}

function resolve(op: string, input: Tensor, given: readonly Index[]): Resolved {
  const consumed = given.filter((i) => i !== null && i !== ellipsis && typeof i !== "boolean").length;
  if (given.filter((i) => i === ellipsis).length > 1)
    throw new ArgumentError(`${op}: an index can only have a single ellipsis`);
  if (consumed > input.dim())
    throw new IndexError(`${op}: too many indices for tensor of dimension ${input.dim()} (${consumed} given)`);
  let view = input;
  let dim = 0;
  const indices: (Tensor | null)[] = [];
  for (const index of given) {
    if (index === null) {
      view = unsqueeze(view, dim);
      indices.push(null);
      dim++;
    } else if (index === ellipsis) {
      const skip = input.dim() - consumed;
      for (let i = 0; i < skip; i++) indices.push(null);
      dim += skip;
    } else if (typeof index === "number") {
      const n = view.shape[dim]!;
      if (!Number.isInteger(index)) throw new IndexError(`${op}: indices must be integers, got ${index}`);
      if (index < -n || index >= n)
        throw new IndexError(`${op}: index ${index} is out of bounds for dimension ${dim} with size ${n}`);
      view = select(view, dim, index);
    } else if (isSlice(index)) {
      const { start, end, step } = index;
      view = sliceDim(view, dim, start, end, step ?? 1);
      indices.push(null);
      dim++;
    } else if (typeof index === "boolean") {
      throw new IndexError(`${op}: boolean indices are not supported; use null for a new dimension`);
    } else {
      indices.push(asIndexTensor(op, view, index));
      dim++;
    }
  }
  while (indices.length < view.dim()) indices.push(null);
  return { view, indices };
}

function asIndexTensor(op: string, like: Tensor, index: Tensor | NestedArray): Tensor {
  const given = isTensor(index) ? index : tensorLike(like, index);
  if (given.dtype === "bool") {
    if (op === "at")
      throw new IndexError(
        "at: a boolean mask gives a result whose shape depends on values: use await x.maskedSelect(mask), or where() and maskedFill()",
      );
    return given;
  }
  if (isTensor(index)) {
    if (isFloat(given.dtype))
      throw new IndexError(
        `${op}: tensors used as indices must be int32, got ${given.dtype}; convert with .to("int32")`,
      );
    return given.dtype === "int32" ? given : given.to("int32");
  }
  return tensorLike(like, index, { dtype: "int32" });
}

/** The element, view or gathered tensor that Python's `x[...]` gives. */
export function at(input: Tensor, ...given: Index[]): Tensor {
  checkTensor("at", "input", input);
  const { view, indices } = resolve("at", input, given);
  if (indices.every((i) => i === null)) {
    // Python's x[...] and x[()] give a view of the whole.
    return view === input ? aliasWhole(input) : view;
  }
  return advanced(view, indices);
}

/** Dimensions of the index tensors, where their broadcast shape goes in the result, and the result's shape. */
function layout(op: string, view: Tensor, indices: readonly (Tensor | null)[]) {
  const dims = indices.flatMap((t, d) => (t === null ? [] : [d]));
  const tensors = dims.map((d) => indices[d]!);
  const common = broadcastShapes(op, ...tensors.map((t) => t.shape));
  const adjacent = dims.every((d, i) => i === 0 || d === dims[i - 1]! + 1);
  const place = adjacent ? dims[0]! : 0;
  const rest = view.shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const before = adjacent ? rest.filter((d) => d < dims[0]!) : [];
  const after = adjacent ? rest.filter((d) => d > dims[0]!) : rest;
  return { dims, tensors, common, place: adjacent ? before.length : place, before, after };
}

function advanced(view: Tensor, indices: readonly (Tensor | null)[]): Tensor {
  const { dims, tensors, common, before, after } = layout("at", view, indices);
  const source = view.detach();
  const { shape, strides, offset } = source.impl;
  const result = [...before.map((d) => shape[d]!), ...common, ...after.map((d) => shape[d]!)];
  const base = {
    strides: [...before.map((d) => strides[d]!), ...common.map(() => 0), ...after.map((d) => strides[d]!)],
    offset,
  };
  const positions = dims.map((d, i) => {
    const index = tensors[i]!;
    const size = shape[d]!;
    checkHostIndex("at", index, size, d, true);
    if (size === 0 && numel(common) > 0) throw new IndexError(`at: index into dimension ${d} of size 0`);
    const aligned = index.expand([...common]).reshape([...before.map(() => 1), ...common, ...after.map(() => 1)]);
    return { index: aligned.detach(), stride: strides[d]!, size };
  });
  const out = gatherAt("at", source, result, base, positions, true);
  const inputShape = [...view.shape];
  record("IndexBackward0", out, [
    [
      view,
      tensors,
      (g, ...saved) => {
        const at: (Tensor | null)[] = indices.map(() => null);
        dims.forEach((d, i) => (at[d] = saved[i]!));
        return putAt(g.newZeros(inputShape), at, g, true);
      },
    ],
  ]);
  return out;
}

/** `base` with `values` written or added at index tensors, off the tape. */
function putInto(base: Tensor, indices: readonly (Tensor | null)[], values: Tensor, accumulate: boolean): Tensor {
  const { dims, tensors, common, before, after } = layout("indexPut_", base, indices);
  const { shape } = base;
  // Index tensors become positions in the flattened indexed dimensions, which are brought to the front.
  const sizes = dims.map((d) => shape[d]!);
  const steps = contiguousStrides(sizes);
  let linear: Tensor | null = null;
  tensors.forEach((index, i) => {
    const size = sizes[i]!;
    checkHostIndex("indexPut_", index, size, dims[i]!, true);
    if (size === 0 && numel(common) > 0) throw new IndexError(`indexPut_: index into dimension ${dims[i]} of size 0`);
    const wrapped = index.lt(0).where(index.add(size), index);
    // An index out of range is sent out of the whole range, where the kernel reports it.
    const inRange = wrapped.ge(0).logicalAnd(wrapped.lt(size));
    const place = inRange.where(wrapped.mul(steps[i]!), numel(sizes));
    linear = linear === null ? place : linear.add(place);
  });
  const rest = [...before, ...after];
  const order = [...dims, ...rest];
  const count = numel(common);
  const inner = numel(rest.map((d) => shape[d]!));
  const target = base.permute(order).reshape([numel(sizes), inner]);
  const wide = [...before.map((d) => shape[d]!), ...common, ...after.map((d) => shape[d]!)];
  const spreadValues = values.expand(wide);
  const lead = before.length;
  const toFront = [
    ...common.map((_, i) => lead + i),
    ...before.map((_, i) => i),
    ...after.map((_, i) => lead + common.length + i),
  ];
  const flatValues = spreadValues.permute(toFront).reshape([count, inner]);
  const flatIndex = (linear as unknown as Tensor)
    .expand([...common])
    .reshape([count, 1])
    .expand([count, inner]);
  const written = scatterInto(
    "indexPut_",
    target.detach(),
    0,
    flatIndex,
    flatValues.detach(),
    accumulate ? "add" : "set",
  );
  const inverse = order.map((_, d) => order.indexOf(d));
  return written
    .view(order.map((d) => shape[d]!))
    .permute(inverse)
    .detach();
}

/** The input with `values` written or added at index tensors. */
function putAt(input: Tensor, indices: readonly (Tensor | null)[], values: Tensor, accumulate: boolean): Tensor {
  const out = putInto(input.detach(), indices, values.detach(), accumulate);
  const tensors = indices.filter((i) => i !== null);
  const positions = indices.flatMap((t, d) => (t === null ? [] : [d]));
  const rebuilt = (saved: readonly Tensor[]): (Tensor | null)[] =>
    indices.map((_, d) => (positions.includes(d) ? saved[positions.indexOf(d)]! : null));
  const shape = [...values.shape];
  record("IndexPutBackward0", out, [
    [input, tensors, (g, ...saved) => (accumulate ? g : putAt(g, rebuilt(saved), g.newZeros([]), false))],
    [values, tensors, (g, ...saved) => advanced(g, rebuilt(saved)).sumToSize(shape)],
  ]);
  return out;
}

const INDEX_PUT = signature<{ indices: readonly Index[]; values: Tensor | number; accumulate?: boolean }>()(
  "indexPut",
  ["indices", "values", "accumulate"],
);

/** The input with `values` written (or added) where the indices point; one boolean mask may stand for its dimensions. */
export function indexPut(input: Tensor, ...args: ArgsOf<typeof INDEX_PUT>): Tensor {
  const { indices: given, values: raw, accumulate = false } = parse(INDEX_PUT, args, input);
  if (!Array.isArray(given)) throw new ArgumentError("indexPut: indices must be an array");
  const values = isTensor(raw) ? raw : input.newFull([], raw);
  if (values.dtype !== input.dtype)
    throw new DTypeError(`indexPut: the values' dtype ${values.dtype} must be the tensor's, ${input.dtype}`);
  const mask = given.length === 1 && given[0] !== null ? given[0] : null;
  if (isTensor(mask) && mask.dtype === "bool") return putMask(input, mask, values, accumulate);
  const { view, indices } = resolve("indexPut_", input, given);
  for (const index of indices)
    if (index?.dtype === "bool")
      throw new IndexError("indexPut_: a mask cannot be combined with other indices; use where()");
  if (view === input && indices.some((i) => i !== null)) {
    return putAt(input, indices, values, accumulate);
  }
  // Basic indices mixed in: write through the view of a copy.
  const copy = input.clone();
  const part = resolve("indexPut_", copy, given);
  if (part.indices.every((i) => i === null)) {
    if (accumulate) part.view.add_(values);
    else part.view.copy_(values);
  } else inPlace("indexPut_", part.view, (before) => putAt(before, part.indices, values, accumulate));
  return copy;
}

function putMask(input: Tensor, mask: Tensor, values: Tensor, accumulate: boolean): Tensor {
  if (mask.dim() > input.dim() || !sameShape(mask.shape, input.shape.slice(0, mask.dim())))
    throw new IndexError(
      `indexPut_: the mask's shape ${showShape(mask.shape)} does not match the tensor's ${showShape(input.shape)}`,
    );
  const wide = mask.reshape([...mask.shape, ...new Array<number>(input.dim() - mask.dim()).fill(1)]);
  if (values.dim() > 0 && (values.dim() > input.dim() - mask.dim() || values.numel() !== 1)) {
    const tail = input.shape.slice(mask.dim());
    if (values.dim() > tail.length)
      throw new IndexError(
        "indexPut_: with a mask, values must be a number or broadcast over the unmasked dimensions; use maskedScatter() to write one value an element",
      );
  }
  return accumulate ? input.add(where(wide, values, 0)) : where(wide, values, input);
}

const EMBEDDING_OP = "embedding";

/** Rows of a table [n, d] at the positions of an index of any shape; off the tape. */
export function rowsAt(weight: Tensor, index: Tensor): Tensor {
  checkIndexType(EMBEDDING_OP, index);
  return takeSlices(EMBEDDING_OP, weight, 0, index);
}

/** The sum of `values` [..., d] over the rows that `index` [...] names, of a table with `rows` rows. */
export function addRows(values: Tensor, index: Tensor, rows: number): Tensor {
  const width = values.shape[values.dim() - 1]!;
  return values.newZeros([rows, width]).indexAdd(0, index.reshape([-1]), values.reshape([-1, width]));
}

const TAKE_ALONG = signature<{ indices: Tensor; dim?: number | null }>()("takeAlongDim", ["indices", "dim"]);

/** `gather` with the other dimensions broadcast; without `dim`, from the flattened input. */
export function takeAlongDim(input: Tensor, ...args: ArgsOf<typeof TAKE_ALONG>): Tensor {
  const { indices, dim: given = null } = parse(TAKE_ALONG, args, input);
  checkIndexType("takeAlongDim", indices);
  if (given === null) return gather(input.reshape([-1]), 0, indices.reshape([-1]));
  const dim = wrapDim("takeAlongDim", given, input.dim());
  const others = broadcastShapes(
    "takeAlongDim",
    input.shape.map((n, d) => (d === dim ? 1 : n)),
    indices.shape.map((n, d) => (d === dim ? 1 : n)),
  );
  return gather(
    input.expand(others.map((n, d) => (d === dim ? input.shape[d]! : n))),
    dim,
    indices.expand(others.map((n, d) => (d === dim ? indices.shape[d]! : n))),
  );
}
