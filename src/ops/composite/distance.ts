/** Lengths, angles and distances of vectors. */

import { checkNumber, describeValue, parse, signature, type ArgsOf } from "../../args.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { broadcastShapes, showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, checkTensor, wrapDim } from "../apply.ts";
import { vectorNorm } from "../reduce.ts";
import { indicesOf } from "../triangle.ts";

function checkPower(op: string, p: unknown): void {
  checkNumber(op, "p", p);
}

const COSINE = signature<{ x2: Tensor; dim?: number; eps?: number }>()("cosineSimilarity", ["x2", "dim", "eps"]);

/** Cosine of the angle between vectors along `dim` (1); their lengths count as at least `eps`. */
export function cosineSimilarity(x1: Tensor, ...args: ArgsOf<typeof COSINE>): Tensor {
  const { x2, dim = 1, eps = 1e-8 } = parse(COSINE, args, x1);
  checkTensor("cosineSimilarity", "x2", x2);
  const shape = broadcastShapes("cosineSimilarity", x1.shape, x2.shape);
  const [a, b] = [x1.expand(shape), x2.expand(shape)];
  const length = (t: Tensor): Tensor => vectorNorm("LinalgVectorNormBackward0", t, 2, dim, true).clampMin(eps);
  return a
    .div(length(a))
    .mul(b.div(length(b)))
    .sum(dim);
}

const PAIRWISE = signature<{ x2: Tensor; p?: number; eps?: number; keepdim?: boolean }>()("pairwiseDistance", [
  "x2",
  "p",
  "eps",
  "keepdim",
]);

/** p-norms of `x1 - x2 + eps` along the last dimension. */
export function pairwiseDistance(x1: Tensor, ...args: ArgsOf<typeof PAIRWISE>): Tensor {
  const { x2, p = 2, eps = 1e-6, keepdim = false } = parse(PAIRWISE, args, x1);
  checkPower("pairwiseDistance", p);
  checkTensor("pairwiseDistance", "x2", x2);
  const difference = x1.sub(x2).add(eps);
  return vectorNorm("NormBackward1", difference, p, difference.dim() === 0 ? null : -1, keepdim);
}

const DIST = signature<{ other: Tensor; p?: number }>()("dist", ["other", "p"]);

/** The p-norm of all elements of `input - other`. */
export function dist(input: Tensor, ...args: ArgsOf<typeof DIST>): Tensor {
  const { other, p = 2 } = parse(DIST, args, input);
  checkPower("dist", p);
  checkTensor("dist", "other", other);
  return vectorNorm("NormBackward0", input.sub(other), p, null, false);
}

const CDIST = signature<{ x2: Tensor; p?: number; computeMode?: string }>()("cdist", ["x2", "p", "computeMode"]);

/** p-norm distances between each row of `x1` (any batch, P by M) and each of `x2` (any batch, R by M): P by R for each of the batch. */
export function cdist(x1: Tensor, ...args: ArgsOf<typeof CDIST>): Tensor {
  const { x2, p = 2 } = parse(CDIST, args, x1);
  checkTensor("cdist", "x2", x2);
  checkFloating("cdist", x1);
  if (x1.dim() < 2 || x2.dim() < 2)
    throw new ShapeError(`cdist: expects at least 2 dimensions, got ${showShape(x1.shape)} and ${showShape(x2.shape)}`);
  if (x1.shape.at(-1) !== x2.shape.at(-1))
    throw new ShapeError(
      `cdist: X1 and X2 must have the same number of columns, got ${showShape(x1.shape)} and ${showShape(x2.shape)}`,
    );
  checkPower("cdist", p);
  if (!(p >= 0)) throw new ArgumentError(`cdist: only supports non-negative p values, got ${describeValue(p)}`);
  const difference = x1.unsqueeze(-2).sub(x2.unsqueeze(-3));
  if (difference.shape.at(-1) === 0) return difference.sum(-1);
  return vectorNorm("CdistBackward0", difference, p, -1, false);
}

const PDIST = signature<{ p?: number }>()("pdist", ["p"]);

/** p-norm distances between the rows of a matrix [N, M], each pair once: [N (N - 1) / 2]. */
export function pdist(input: Tensor, ...args: ArgsOf<typeof PDIST>): Tensor {
  const { p = 2 } = parse(PDIST, args, input);
  checkFloating("pdist", input);
  if (input.dim() !== 2) throw new ShapeError(`pdist: only supports 2D tensors, got ${showShape(input.shape)}`);
  checkPower("pdist", p);
  if (!(p >= 0)) throw new ArgumentError(`pdist: only supports non-negative p values, got ${describeValue(p)}`);
  const { rows, columns } = indicesOf(input, 1);
  const difference = input.indexSelect(0, rows).sub(input.indexSelect(0, columns));
  if (difference.numel() === 0) return difference.sum(1);
  return vectorNorm("PdistBackward0", difference, p, 1, false);
}

const RENORM = signature<{ p: number; dim: number; maxnorm: number }>()("renorm", ["p", "dim", "maxnorm"]);

/** Slices along `dim` whose p-norm exceeds `maxnorm` are scaled down to it. */
export function renorm(input: Tensor, ...args: ArgsOf<typeof RENORM>): Tensor {
  const { p, dim, maxnorm } = parse(RENORM, args, input);
  checkFloating("renorm", input);
  if (input.dim() < 2) throw new ShapeError(`renorm: input needs at least 2 dimensions, got ${input.dim()} dimensions`);
  checkPower("renorm", p);
  if (!(p > 0)) throw new ArgumentError(`renorm: non-positive-norm not supported, got p = ${describeValue(p)}`);
  if (!(maxnorm >= 0)) throw new ArgumentError(`renorm: expected maxnorm to be >= 0 but got ${describeValue(maxnorm)}`);
  const at = wrapDim("renorm", dim, input.dim());
  const others = input.shape.map((_, d) => d).filter((d) => d !== at);
  const length = vectorNorm("LinalgVectorNormBackward0", input, p, others, true);
  const scale = length.gt(maxnorm).where(length.add(1e-7).reciprocal().mul(maxnorm), 1);
  return input.mul(scale);
}
