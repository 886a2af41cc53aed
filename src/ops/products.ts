/** Products of tensors that are sums over chosen dimensions. */

import { describeValue, integers, parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { broadcastShapes, numel, sameShape, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { checkTensor, wrapDim } from "./apply.ts";
import { stack } from "./join.ts";

const INNER = signature<{ other: Tensor }>()("inner", ["other"]);

/** Sums of products over the last dimensions: every vector of the input with every vector of `other`. */
export function inner(input: Tensor, ...args: ArgsOf<typeof INNER>): Tensor {
  const { other } = parse(INNER, args, input);
  checkTensor("inner", "other", other);
  if (input.dim() === 0 || other.dim() === 0) return input.mul(other);
  if (input.shape.at(-1) !== other.shape.at(-1))
    throw new ShapeError(
      `inner: the last dimensions must match, got ${showShape(input.shape)} and ${showShape(other.shape)}`,
    );
  return tensordot(input, other, [[-1], [-1]]);
}

const TENSORDOT = signature<{ other: Tensor; dims?: number | readonly (readonly number[])[] }>()("tensordot", [
  "other",
  "dims",
]);

/** Sums of products over several dimensions: the last `dims` (2) of the input and the first of `other`, or the lists given. */
export function tensordot(input: Tensor, ...args: ArgsOf<typeof TENSORDOT>): Tensor {
  const { other, dims = 2 } = parse(TENSORDOT, args, input);
  checkTensor("tensordot", "other", other);
  let left: number[];
  let right: number[];
  if (typeof dims === "number") {
    if (!Number.isInteger(dims) || dims < 0 || dims > Math.min(input.dim(), other.dim()))
      throw new ArgumentError(
        `tensordot: expects dims between 0 and the number of dimensions of both tensors, but got dims=${describeValue(dims)}`,
      );
    left = Array.from({ length: dims }, (_, i) => input.dim() - dims + i);
    right = Array.from({ length: dims }, (_, i) => i);
  } else {
    if (!Array.isArray(dims) || dims.length !== 2)
      throw new ArgumentError("tensordot: dims must be a number, or two lists of dimensions");
    left = integers("tensordot", "dims", dims[0]).map((d) => wrapDim("tensordot", d, input.dim()));
    right = integers("tensordot", "dims", dims[1]).map((d) => wrapDim("tensordot", d, other.dim()));
  }
  if (left.length !== right.length)
    throw new ArgumentError("tensordot: both dimension lists should have the same length");
  left.forEach((d, i) => {
    if (input.shape[d] !== other.shape[right[i]!])
      throw new ShapeError(
        `tensordot: contracted dimensions need to match, but first has size ${input.shape[d]} in dim ${d} and second has size ` +
          `${other.shape[right[i]!]} in dim ${right[i]}`,
      );
  });
  const freeLeft = input.shape.map((_, d) => d).filter((d) => !left.includes(d));
  const freeRight = other.shape.map((_, d) => d).filter((d) => !right.includes(d));
  const [m, k, n] = [
    freeLeft.map((d) => input.shape[d]!),
    left.map((d) => input.shape[d]!),
    freeRight.map((d) => other.shape[d]!),
  ];
  const a = input.permute([...freeLeft, ...left]).reshape([numel(m), numel(k)]);
  const b = other.permute([...right, ...freeRight]).reshape([numel(k), numel(n)]);
  return a.mm(b).reshape([...m, ...n]);
}

const KRON = signature<{ other: Tensor }>()("kron", ["other"]);

/** Kronecker product: every element of the input times the whole of `other`, as blocks. */
export function kron(input: Tensor, ...args: ArgsOf<typeof KRON>): Tensor {
  const { other } = parse(KRON, args, input);
  checkTensor("kron", "other", other);
  const rank = Math.max(input.dim(), other.dim());
  const padded = (t: Tensor): number[] => [...new Array<number>(rank - t.dim()).fill(1), ...t.shape];
  const [a, b] = [padded(input), padded(other)];
  const left = input.reshape(a.flatMap((n) => [n, 1]));
  const right = other.reshape(b.flatMap((n) => [1, n]));
  return left.mul(right).reshape(a.map((n, d) => n * b[d]!));
}

const CROSS = signature<{ other: Tensor; dim?: number | null }>()("cross", ["other", "dim"]);

/** Vector products along a dimension of size 3: the first such one by default. */
export function cross(input: Tensor, ...args: ArgsOf<typeof CROSS>): Tensor {
  const { other, dim = null } = parse(CROSS, args, input);
  checkTensor("cross", "other", other);
  const found = dim ?? input.shape.indexOf(3);
  if (dim === null && found < 0) throw new ShapeError("cross: no dimension of size 3 in input");
  return vectorProduct("cross", input, other, found);
}

/** Vector products of broadcast tensors along one dimension. */
export function vectorProduct(op: string, input: Tensor, other: Tensor, given: number): Tensor {
  if (input.dim() !== other.dim())
    throw new ShapeError(
      `${op}: inputs must have the same number of dimensions, got ${showShape(input.shape)} and ${showShape(other.shape)}`,
    );
  const dim = wrapDim(op, given, input.dim());
  if (input.shape[dim] !== 3 || other.shape[dim] !== 3)
    throw new ShapeError(
      `${op}: inputs dimension ${dim} must have length 3. Got ${input.shape[dim]} and ${other.shape[dim]}`,
    );
  const [a0, a1, a2] = input.unbind(dim) as [Tensor, Tensor, Tensor];
  const [b0, b1, b2] = other.unbind(dim) as [Tensor, Tensor, Tensor];
  return stack([a1.mul(b2).sub(a2.mul(b1)), a2.mul(b0).sub(a0.mul(b2)), a0.mul(b1).sub(a1.mul(b0))], dim);
}

interface Scaled {
  beta?: number;
  alpha?: number;
}

/** `beta * input + alpha * product`, where the input broadcasts to the product's shape. */
function added(op: string, input: Tensor, product: Tensor, beta: number, alpha: number): Tensor {
  if (!sameShape(broadcastShapes(op, input.shape, product.shape), product.shape))
    throw new ShapeError(
      `${op}: input of shape ${showShape(input.shape)} cannot be expanded to the product's shape ${showShape(product.shape)}`,
    );
  const scaled = alpha === 1 ? product : product.mul(alpha);
  return beta === 0 ? scaled : input.mul(beta).add(scaled);
}

const ADDR = signature<{ vec1: Tensor; vec2: Tensor } & Scaled>()("addr", ["vec1", "vec2"], ["beta", "alpha"]);

/** `beta * input + alpha * outer(vec1, vec2)`; with beta 0 the input is ignored. */
export function addr(input: Tensor, ...args: ArgsOf<typeof ADDR>): Tensor {
  const { vec1, vec2, beta = 1, alpha = 1 } = parse(ADDR, args, input);
  checkTensor("addr", "vec1", vec1);
  checkTensor("addr", "vec2", vec2);
  const product = vec1.outer(vec2);
  return added("addr", input, product, beta, alpha);
}

const ADDBMM = signature<{ batch1: Tensor; batch2: Tensor } & Scaled>()(
  "addbmm",
  ["batch1", "batch2"],
  ["beta", "alpha"],
);

/** `beta * input + alpha * sum over the batch of (batch1 @ batch2)`; with beta 0 the input is ignored. */
export function addbmm(input: Tensor, ...args: ArgsOf<typeof ADDBMM>): Tensor {
  const { batch1, batch2, beta = 1, alpha = 1 } = parse(ADDBMM, args, input);
  checkTensor("addbmm", "batch1", batch1);
  checkTensor("addbmm", "batch2", batch2);
  const product = batch1.bmm(batch2).sum(0);
  return added("addbmm", input, product, beta, alpha);
}
