/** Running sums and products, and triangles. */

import { checkInteger, parse, signature, type ArgsOf } from "../args.ts";
import { isGradEnabled } from "../autograd/mode.ts";
import { record } from "../autograd/tape.ts";
import { checkDType, isFloat, type DType } from "../dtype.ts";
import { ShapeError } from "../errors.ts";
import type { RoutineOp } from "../graph/node.ts";
import { contiguousStrides, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, convertCopy, wrapDim } from "./apply.ts";
import { triangle } from "./creation.ts";

/** Running sums, products, maxima or minima (NaN wins) along a dimension, off the tape. */
export function scan(input: Tensor, dim: number, kind: "sum" | "prod" | "max" | "min", dtype: DType): Tensor {
  const source = input.dtype === dtype ? input : convertCopy(input, dtype);
  const { shape, strides, offset } = source.impl;
  if (shape.length === 0 || shape[dim]! <= 1 || source.numel() === 0) return convertCopy(source, dtype);
  const outStrides = contiguousStrides(shape);
  const without = (list: readonly number[]): number[] => list.filter((_, d) => d !== dim);
  const ints = [
    shape[dim]!,
    ...without(shape),
    strides[dim]!,
    ...without(strides),
    offset,
    outStrides[dim]!,
    ...without(outStrides),
    0,
  ];
  const op: RoutineOp = {
    kind: "routine",
    key: `scan:${kind}`,
    name: "scan",
    attrs: { kind, rank: shape.length - 1 },
    ints,
    inPlace: false,
    usesStatus: false,
  };
  return applyNode(source.impl.backend, op, shape, dtype, [argOf(source)]);
}

const CUMSUM = signature<{ dim: number; dtype?: DType | null }>()("cumsum", ["dim"], ["dtype"]);

/** Sums of the elements up to and including each, along a dimension. Integers and bool sum as int32. */
export function cumsum(input: Tensor, ...args: ArgsOf<typeof CUMSUM>): Tensor {
  const { dim: given, dtype } = parse(CUMSUM, args, input);
  const dim = wrapDim("cumsum", given, input.dim());
  const to = dtype == null ? (isFloat(input.dtype) ? input.dtype : "int32") : checkDType(dtype, "cumsum");
  const out = scan(input, dim, "sum", to);
  record("CumsumBackward0", out, [[input, [], (g) => reversed(g, dim, (x) => x.cumsum(dim))]]);
  return out;
}

function reversed(g: Tensor, dim: number, apply: (x: Tensor) => Tensor): Tensor {
  return g.dim() === 0 ? g : apply(g.flip(dim)).flip(dim);
}

const CUMPROD = signature<{ dim: number; dtype?: DType | null }>()("cumprod", ["dim"], ["dtype"]);

/** Products of the elements up to and including each, along a dimension. Integers and bool multiply as int32. */
export function cumprod(input: Tensor, ...args: ArgsOf<typeof CUMPROD>): Tensor {
  const { dim: given, dtype } = parse(CUMPROD, args, input);
  const dim = wrapDim("cumprod", given, input.dim());
  const to = dtype == null ? (isFloat(input.dtype) ? input.dtype : "int32") : checkDType(dtype, "cumprod");
  const out = scan(input, dim, "prod", to);
  record("CumprodBackward0", out, [[input, [input, out], (g, x, y) => cumprodSlope(g, x, y, dim)]]);
  return out;
}

/**
 * Gradient of a running product. d y_j / d x_i is y_j / x_i for j >= i; where a zero makes that undefined, the product is taken without x_i:
 * only the elements from the first zero up to the second matter, for the first zero alone.
 */
function cumprodSlope(g: Tensor, x: Tensor, y: Tensor, dim: number): Tensor {
  if (x.dim() === 0) return g;
  if (isGradEnabled()) return cumprodSlopeByRows(g, x, dim);
  const weighted = reversed(g.mul(y), dim, (t) => t.cumsum(dim));
  const zero = x.eq(0);
  const zerosSoFar = zero.to("int32").cumsum(dim);
  const first = zero.logicalAnd(zerosSoFar.eq(1));
  const ordinary = weighted.div(x.maskedFill(zero, 1)).maskedFill(zerosSoFar.gt(0), 0);
  // With the first zero replaced by one, the running product is the one without it.
  const without = x.maskedFill(first, 1).cumprod(dim);
  const atFirst = reversed(g.mul(without).maskedFill(zerosSoFar.eq(0), 0), dim, (t) => t.cumsum(dim));
  return first.where(atFirst, ordinary);
}

/**
 * The same as products of rows, differentiable at zeros: x_i contributes prod(x before i) sum over j >= i of g_j prod(x between i and j). Takes n^2 memory, and
 * is used only where the gradient is to be differentiated again.
 */
function cumprodSlopeByRows(g: Tensor, x: Tensor, dim: number): Tensor {
  const v = x.movedim(dim, -1);
  const n = v.shape[v.dim() - 1]!;
  if (n === 0) return g;
  const rows = v.unsqueeze(-2).expand([...v.shape.slice(0, -1), n, n]);
  const ones = rows.onesLike();
  const later = ones.triu(1).ne(0).where(rows, ones).cumprod(-1).triu();
  const reach = later.mul(g.movedim(dim, -1).unsqueeze(-2)).sum(-1);
  const before = ones.tril(-1).ne(0).where(rows, ones).prod(-1);
  return before.mul(reach).movedim(-1, dim);
}

const TRIL = signature<{ diagonal?: number }>()("tril", ["diagonal"]);
const TRIU = signature<{ diagonal?: number }>()("triu", ["diagonal"]);

function cut(name: "tril" | "triu", input: Tensor, diagonal: number): Tensor {
  if (input.dim() < 2)
    throw new ShapeError(`${name}: input tensor must have at least 2 dimensions, got shape ${showShape(input.shape)}`);
  const out = triangle(input, diagonal, name === "tril");
  record(name === "tril" ? "TrilBackward0" : "TriuBackward0", out, [[input, [], (g) => cut(name, g, diagonal)]]);
  return out;
}

/** The elements on and below a diagonal of the last two dimensions, zero elsewhere. */
export function tril(input: Tensor, ...args: ArgsOf<typeof TRIL>): Tensor {
  return cut("tril", input, checkInteger("tril", "diagonal", parse(TRIL, args, input).diagonal ?? 0));
}

/** The elements on and above a diagonal of the last two dimensions, zero elsewhere. */
export function triu(input: Tensor, ...args: ArgsOf<typeof TRIU>): Tensor {
  return cut("triu", input, checkInteger("triu", "diagonal", parse(TRIU, args, input).diagonal ?? 0));
}
