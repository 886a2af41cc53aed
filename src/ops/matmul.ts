/** Matrix products in all of PyTorch's rank combinations. */

import type { Backend } from "../backend/backend.ts";
import { parse, signature, type ArgsOf } from "../args.ts";
import { needsTape, record } from "../autograd/tape.ts";
import { promoteTypes } from "../dtype.ts";
import { DTypeError, ShapeError } from "../errors.ts";
import type { RoutineOp } from "../graph/node.ts";
import { broadcastShapes, expandView, numel, sameShape, showShape, type View } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, checkTensor, commonBackend } from "./apply.ts";
import { elementwise, recordOperands, wrt } from "./elementwise.ts";
import { unsafeView } from "./structure.ts";

/** The device of both operands; fails for two devices, for dtypes that differ and for bool. */
function checkOperands(name: string, a: Tensor, b: Tensor): Backend {
  const backend = commonBackend(name, [a, b]);
  const { dtype } = a;
  if (dtype !== b.dtype)
    throw new DTypeError(`${name}: expected both operands to have the same dtype, but got ${dtype} and ${b.dtype}`);
  if (dtype === "bool")
    throw new DTypeError(`${name}: bool matrices are not supported; convert them with .to("float32")`);
  return backend;
}

/**
 * `a @ b` over equal batch dimensions, off the tape: a is [...batch, m, k] and b [...batch, k, n], any strides. Operands are read
 * through their strides, so transposes cost nothing.
 */
function product(name: string, a: Tensor, b: Tensor, batch: readonly number[]): Tensor {
  const backend = checkOperands(name, a, b);
  const [m, k] = a.shape.slice(-2) as [number, number];
  const n = b.shape[b.dim() - 1]!;
  const shape = [...batch, m, n];
  const { dtype } = a;
  if (k === 0 || numel(shape) === 0) return a.newZeros(shape);
  const va = expandView(a.impl, [...batch, m, k]);
  const vb = expandView(b.impl, [...batch, k, n]);
  const merged = mergeBatch(batch, va, vb);
  const op: RoutineOp = {
    kind: "routine",
    key: "matmul",
    name: "matmul",
    attrs: { rank: merged.sizes.length },
    ints: [
      m,
      n,
      k,
      ...merged.sizes,
      va.offset,
      va.strides[batch.length]!,
      va.strides[batch.length + 1]!,
      ...merged.a,
      vb.offset,
      vb.strides[batch.length]!,
      vb.strides[batch.length + 1]!,
      ...merged.b,
    ],
    inPlace: false,
    usesStatus: false,
  };
  return applyNode(backend, op, shape, dtype, [argOf(a), argOf(b)]);
}

/** Batch dimensions that both operands walk contiguously count as one. */
function mergeBatch(batch: readonly number[], a: View, b: View): { sizes: number[]; a: number[]; b: number[] } {
  const sizes: number[] = [];
  const sa: number[] = [];
  const sb: number[] = [];
  batch.forEach((size, d) => {
    if (size === 1) return;
    const last = sizes.length - 1;
    const [p, q] = [a.strides[d]!, b.strides[d]!];
    if (last >= 0 && sa[last] === p * size && sb[last] === q * size) {
      sizes[last] = sizes[last]! * size;
      sa[last] = p;
      sb[last] = q;
    } else {
      sizes.push(size);
      sa.push(p);
      sb.push(q);
    }
  });
  return { sizes, a: sa, b: sb };
}

function expectDims(name: string, what: string, tensor: Tensor, dims: number): void {
  checkTensor(name, what, tensor);
  if (tensor.dim() !== dims)
    throw new ShapeError(`${name}: ${what} must be ${dims}-dimensional, got shape ${showShape(tensor.shape)}`);
}

function expectInner(name: string, a: Tensor, b: Tensor, ka: number, kb: number): void {
  if (ka !== kb)
    throw new ShapeError(
      `${name}: shapes ${showShape(a.shape)} and ${showShape(b.shape)} cannot be multiplied (inner sizes ${ka} and ${kb} differ)`,
    );
}

const MM = signature<{ mat2: Tensor }>()("mm", ["mat2"]);

/** Matrix product of [m, k] and [k, n]. */
export function mm(input: Tensor, ...args: ArgsOf<typeof MM>): Tensor {
  const { mat2 } = parse(MM, args, input);
  expectDims("mm", "input", input, 2);
  expectDims("mm", "mat2", mat2, 2);
  expectInner("mm", input, mat2, input.shape[1]!, mat2.shape[0]!);
  const out = product("mm", input, mat2, []);
  record("MmBackward0", out, [
    [input, [mat2], (g, b) => g.mm(b.t())],
    [mat2, [input], (g, a) => a.t().mm(g)],
  ]);
  return out;
}

const BMM = signature<{ mat2: Tensor }>()("bmm", ["mat2"]);

/** Matrix products of [b, m, k] and [b, k, n]. */
export function bmm(input: Tensor, ...args: ArgsOf<typeof BMM>): Tensor {
  const { mat2 } = parse(BMM, args, input);
  expectDims("bmm", "input", input, 3);
  expectDims("bmm", "mat2", mat2, 3);
  expectInner("bmm", input, mat2, input.shape[2]!, mat2.shape[1]!);
  if (input.shape[0] !== mat2.shape[0])
    throw new ShapeError(`bmm: batch sizes differ: ${showShape(input.shape)} and ${showShape(mat2.shape)}`);
  const out = product("bmm", input, mat2, [input.shape[0]!]);
  record("BmmBackward0", out, [
    [input, [mat2], (g, b) => g.bmm(b.transpose(1, 2))],
    [mat2, [input], (g, a) => a.transpose(1, 2).bmm(g)],
  ]);
  return out;
}

const MV = signature<{ vec: Tensor }>()("mv", ["vec"]);

/** Product of a matrix [m, k] and a vector [k]. */
export function mv(input: Tensor, ...args: ArgsOf<typeof MV>): Tensor {
  const { vec } = parse(MV, args, input);
  expectDims("mv", "input", input, 2);
  expectDims("mv", "vec", vec, 1);
  expectInner("mv", input, vec, input.shape[1]!, vec.shape[0]!);
  const out = product("mv", input.detach(), vec.detach().unsqueeze(1), []).view([input.shape[0]!]);
  const result = out.detach();
  record("MvBackward0", result, [
    [input, [vec], (g, v) => g.unsqueeze(1).mul(v)],
    [vec, [input], (g, a) => a.t().mv(g)],
  ]);
  return result;
}

const DOT = signature<{ tensor: Tensor }>()("dot", ["tensor"]);

/** Inner product of two vectors. */
export function dot(input: Tensor, ...args: ArgsOf<typeof DOT>): Tensor {
  const { tensor: other } = parse(DOT, args, input);
  expectDims("dot", "input", input, 1);
  expectDims("dot", "tensor", other, 1);
  if (input.shape[0] !== other.shape[0])
    throw new ShapeError(
      `dot: inconsistent sizes: expected vectors of the same length, but got ${input.shape[0]} and ${other.shape[0]}`,
    );
  if (input.dtype !== other.dtype)
    throw new DTypeError(
      `dot: expected both vectors to have the same dtype, but found ${input.dtype} and ${other.dtype}`,
    );
  const x = input.detach();
  const out = x.mul(other.detach()).sum({ dtype: x.dtype });
  record("DotBackward0", out, [
    [input, [other], (g, b) => g.mul(b)],
    [other, [input], (g, a) => g.mul(a)],
  ]);
  return out;
}

const OUTER = signature<{ vec2: Tensor }>()("outer", ["vec2"]);

/** Products of every element of one vector with every element of another: [n] and [m] to [n, m]. */
export function outer(input: Tensor, ...args: ArgsOf<typeof OUTER>): Tensor {
  const { vec2 } = parse(OUTER, args, input);
  expectDims("outer", "input", input, 1);
  expectDims("outer", "vec2", vec2, 1);
  return input.reshape([-1, 1]).mul(vec2);
}

const MATMUL = signature<{ other: Tensor }>()("matmul", ["other"]);

/** Matrix product of any ranks: vectors get a dimension that is removed again, batch dimensions broadcast. */
export function matmul(input: Tensor, ...args: ArgsOf<typeof MATMUL>): Tensor {
  const { other } = parse(MATMUL, args, input);
  checkTensor("matmul", "input", input);
  checkTensor("matmul", "other", other);
  const ra = input.dim();
  const rb = other.dim();
  if (ra === 0 || rb === 0)
    throw new ShapeError("matmul: both arguments need to be at least 1-dimensional; multiply scalars with mul()");
  const ka = input.shape[ra - 1]!;
  const kb = other.shape[rb === 1 ? 0 : rb - 2]!;
  if (ka !== kb)
    throw new ShapeError(
      `matmul: shapes ${showShape(input.shape)} and ${showShape(other.shape)} cannot be multiplied (inner sizes ${ka} and ${kb} differ)`,
    );
  checkOperands("matmul", input, other);
  if (ra === 1 && rb === 1) return dot(input, other);
  if (ra === 2 && rb === 1) return mv(input, other);
  if (ra === 1 && rb === 2) return mm(input.unsqueeze(0), other).squeeze(0);
  if (ra === 2 && rb === 2) return mm(input, other);
  if (rb === 1) return matmul(input, other.unsqueeze(1)).squeeze(-1);
  if (ra === 1) return matmul(input.unsqueeze(0), other).squeeze(-2);
  if (rb === 2) {
    // One large product rather than a batch of small ones.
    const lead = input.shape.slice(0, -1);
    const folded = input.reshape([numel(lead), ka]);
    return unsafeView(mm(folded, other), [...lead, other.shape[1]!]);
  }
  const batch = broadcastShapes("matmul", input.shape.slice(0, -2), other.shape.slice(0, -2));
  const out = product("matmul", input, other, batch);
  if (!needsTape(input, other)) return out;
  const flipped = (x: Tensor): Tensor => x.transpose(-2, -1);
  record("UnsafeViewBackward0", out, [
    [input, [other], (g, b) => matmul(g, flipped(b)).sumToSize([...input.shape])],
    [other, [input], (g, a) => matmul(flipped(a), g).sumToSize([...other.shape])],
  ]);
  return out;
}

interface Scaled {
  beta?: number;
  alpha?: number;
}
const ADDMM = signature<{ mat1: Tensor; mat2: Tensor } & Scaled>()("addmm", ["mat1", "mat2"], ["beta", "alpha"]);

/** `beta * input + alpha * (mat1 @ mat2)`; with beta 0 the input is ignored, NaN included. */
export function addmm(input: Tensor, ...args: ArgsOf<typeof ADDMM>): Tensor {
  const { mat1, mat2, beta = 1, alpha = 1 } = parse(ADDMM, args, input);
  expectDims("addmm", "mat1", mat1, 2);
  expectDims("addmm", "mat2", mat2, 2);
  expectInner("addmm", mat1, mat2, mat1.shape[1]!, mat2.shape[0]!);
  return addProduct("AddmmBackward0", "addmm", input, mat1, mat2, [], beta, alpha);
}

const BADDBMM = signature<{ batch1: Tensor; batch2: Tensor } & Scaled>()(
  "baddbmm",
  ["batch1", "batch2"],
  ["beta", "alpha"],
);

/** `beta * input + alpha * (batch1 @ batch2)`. */
export function baddbmm(input: Tensor, ...args: ArgsOf<typeof BADDBMM>): Tensor {
  const { batch1, batch2, beta = 1, alpha = 1 } = parse(BADDBMM, args, input);
  expectDims("baddbmm", "batch1", batch1, 3);
  expectDims("baddbmm", "batch2", batch2, 3);
  expectInner("baddbmm", batch1, batch2, batch1.shape[2]!, batch2.shape[1]!);
  return addProduct("BaddbmmBackward0", "baddbmm", input, batch1, batch2, [batch1.shape[0]!], beta, alpha);
}

function addProduct(
  entry: string,
  name: string,
  input: Tensor,
  a: Tensor,
  b: Tensor,
  batch: number[],
  beta: number,
  alpha: number,
): Tensor {
  const raw = product(name, a, b, batch);
  const dtype = promoteTypes(raw.dtype, input.dtype);
  const target = broadcastShapes(name, input.shape, raw.shape);
  if (!sameShape(target, raw.shape))
    throw new ShapeError(
      `${name}: the input of shape ${showShape(input.shape)} does not expand to ${showShape(raw.shape)}`,
    );
  const term = scaled(raw, alpha);
  let out: Tensor;
  if (beta === 0) out = term;
  else if (beta === 1) out = elementwise("add", 1, [input, term], dtype, dtype, (k, [x, y]) => k.add(x!, y!));
  else out = elementwise("addBeta", 2, [input, term, beta], dtype, dtype, (k, [x, y, s]) => k.add(k.mul(x!, s!), y!));
  recordOperands(entry, out, [
    wrt(input, [], (g) => scaled(g, beta)),
    wrt(a, [b], (g, y) => scaled(g.matmul(y.transpose(-2, -1)), alpha)),
    wrt(b, [a], (g, x) => scaled(x.transpose(-2, -1).matmul(g), alpha)),
  ]);
  return out;
}

const ADDMV = signature<{ mat: Tensor; vec: Tensor } & Scaled>()("addmv", ["mat", "vec"], ["beta", "alpha"]);

/** `beta * input + alpha * (mat @ vec)`. */
export function addmv(input: Tensor, ...args: ArgsOf<typeof ADDMV>): Tensor {
  const { mat, vec, beta = 1, alpha = 1 } = parse(ADDMV, args, input);
  expectDims("addmv", "mat", mat, 2);
  expectDims("addmv", "vec", vec, 1);
  expectInner("addmv", mat, vec, mat.shape[1]!, vec.shape[0]!);
  const y = scaled(mv(mat.detach(), vec.detach()), alpha);
  if (!sameShape(broadcastShapes("addmv", input.shape, y.shape), y.shape))
    throw new ShapeError(
      `addmv: the input of shape ${showShape(input.shape)} does not expand to ${showShape(y.shape)}`,
    );
  const sum = beta === 0 ? y : scaled(input.detach(), beta).add(y);
  record("AddmvBackward0", sum, [
    [input, [], (g) => scaled(g, beta)],
    [mat, [vec], (g, v) => scaled(g.outer(v), alpha)],
    [vec, [mat], (g, a) => scaled(a.t().mv(g), alpha)],
  ]);
  return sum;
}

function scaled(x: Tensor, factor: number): Tensor {
  return factor === 1 ? x : x.mul(factor);
}
