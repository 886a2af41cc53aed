/** From tensors to nodes and back: what every operation is made of. */

import type { Backend } from "../backend/backend.ts";
import { Impl, Storage, wrap } from "../base.ts";
import { describeValue } from "../args.ts";
import { isInferenceModeEnabled } from "../autograd/mode.ts";
import { isFloat, type DType } from "../dtype.ts";
import { ArgumentError, DeviceError, DeviceLostError, DTypeError, ShapeError } from "../errors.ts";
import { valueType } from "../graph/builder.ts";
import type { ValueType } from "../graph/kernel.ts";
import { lossOf } from "../graph/devices.ts";
import { Arg, coversWhole, Node, type MapOp, type NodeOp } from "../graph/node.ts";
import { recordNode } from "../graph/runtime.ts";
import { contiguousView, expandView, isContiguous, numel, showShape, type View } from "../graph/view.ts";
import { TensorBase } from "../methods/core.ts";
import type { Tensor } from "../tensor.ts";

/** A new tensor over the whole of a node. */
export function fromNode(node: Node, shape: readonly number[] = node.shape): Tensor {
  const impl = new Impl(new Storage(node), contiguousView(shape), node.dtype);
  if (isInferenceModeEnabled()) impl.inference = true;
  return wrap(impl);
}

/** A new tensor that reads the same storage through another view, off the tape. */
export function aliasOf(tensor: Tensor, view: View): Tensor {
  const impl = new Impl(tensor.impl.storage, view, tensor.impl.dtype);
  impl.inference = tensor.impl.inference;
  return wrap(impl);
}

/** A copy that costs nothing: a new storage bound to the same node, off the tape. */
export function snapshot(tensor: Tensor): Tensor {
  const { impl } = tensor;
  return wrap(new Impl(new Storage(impl.storage.node), impl, impl.dtype));
}

/** How a node reads a tensor, seen under a larger shape if one is given. */
export function argOf(tensor: Tensor, shape: readonly number[] = tensor.impl.shape): Arg {
  return new Arg(tensor.impl.storage.node, expandView(tensor.impl, shape));
}

/** How a node reads its own coordinates: `offset + sum(strides[d] * i[d])` as an int32. */
export function iota(shape: readonly number[], strides: readonly number[], offset = 0): Arg {
  return new Arg(null, { shape, strides, offset });
}

/** True if the argument is a tensor. */
export function isTensor(value: unknown): value is Tensor {
  return value instanceof TensorBase;
}

/** Fails with the name of the operation unless the argument is a tensor. */
export function checkTensor(op: string, what: string, value: unknown): Tensor {
  if (isTensor(value)) return value;
  throw new ArgumentError(`${op}: ${what} must be a Tensor, got ${describeValue(value)}; make one with tensor(...)`);
}

/** The device that all the tensors are on. */
export function commonBackend(op: string, tensors: readonly Tensor[]): Backend {
  const { backend } = tensors[0]!.impl;
  for (const t of tensors) if (t.impl.backend !== backend) throw differentDevices(op, backend, t.impl.backend);
  return backend;
}

function differentDevices(op: string, a: Backend, b: Backend): Error {
  const loss = lossOf(a) ?? lossOf(b);
  if (loss !== null)
    return new DeviceLostError(
      `${op}: one of the tensors is on a device that is gone (${loss.message}). What the host knows, such as data given to tensor(), ` +
        `moves on with .to("${(lossOf(a) === null ? a : b).type}"); what was computed has to be restored from a snapshot.`,
      loss.reason,
    );
  const of = a.type === b.type ? ` of two calls of init()` : "";
  return new DeviceError(
    `${op}: tensors are on different devices${of} (${a.type} and ${b.type}): move one with .to("${a.type}")`,
  );
}

/** No tensor has more elements: sizes that are given by mistake are refused at the call. */
const MOST_ELEMENTS = 2 ** 40;

/** Options of a recorded node beyond its inputs. */
export interface NodeOptions {
  readonly scalars?: readonly number[];
  readonly scalarTypes?: readonly ValueType[];
  readonly tables?: readonly Arg[];
}

/** Records a node and gives it as a tensor (off the tape). */
export function applyNode(
  backend: Backend,
  op: NodeOp,
  shape: readonly number[],
  dtype: DType,
  args: readonly Arg[],
  options: NodeOptions = {},
): Tensor {
  if (numel(shape) > MOST_ELEMENTS)
    throw new ShapeError(`a result of shape ${showShape(shape)} would have too many elements`);
  if (!backend.supports(dtype))
    throw new DTypeError(
      dtype === "float64"
        ? `float64 lives on the CPU only: use float32, or move the tensor with .to("cpu") first`
        : `the ${backend.type} device (${backend.description}) has no ${dtype}: use float32`,
    );
  const node = new Node(backend, op, shape, dtype, args, options.scalars, options.scalarTypes, options.tables);
  return fromNode(recordNode(node));
}

/** Ops by key: a map's lowering is built once for each combination of types. */
const mapOps = new Map<string, MapOp>();

/** The same found faster: by name, number of operands and types written as one number. Names are few and written in the code. */
const byTypes = new Map<string, Map<number, MapOp>[]>();

/** The map with this name, number of operands and types, if one was noted. */
export function knownMapOp(name: string, types: number, operands: number): MapOp | undefined {
  return byTypes.get(name)?.[operands]?.get(types);
}

/** Notes a map, to be found again. */
export function noteMapOp(name: string, types: number, operands: number, op: MapOp): MapOp {
  let counts = byTypes.get(name);
  if (counts === undefined) byTypes.set(name, (counts = []));
  (counts[operands] ??= new Map<number, MapOp>()).set(types, op);
  return op;
}

/**
 * The map with this key, made on first use. It is kept for good, and with it everything that functions of the same scope as `lower` refer to: these must not
 * refer to tensors.
 */
export function mapOp(key: string, cost: number, lower: MapOp["lower"]): MapOp {
  let op = mapOps.get(key);
  if (op === undefined) {
    op = { kind: "map", key, cost, lower };
    mapOps.set(key, op);
  }
  return op;
}

/** Copies a tensor into a new contiguous one of another dtype or shape of broadcasting, off the tape. */
export function convertCopy(tensor: Tensor, dtype: DType, shape: readonly number[] = tensor.impl.shape): Tensor {
  const from = tensor.impl.dtype;
  const op = mapOp(`cast:${from}>${dtype}`, 1, (b, [x]) => b.convert(x!, from, dtype));
  return applyNode(tensor.impl.backend, op, shape, dtype, [argOf(tensor, shape)]);
}

/** The first element of a tensor for which `is` holds, among values that the host knows; null if there is none, or they are not known. */
export function hostValueWhere(tensor: Tensor, is: (value: number) => boolean): number | null {
  const { impl } = tensor;
  const { host } = impl.storage.node;
  const count = numel(impl.shape);
  if (host === null || count === 0) return null;
  if (isContiguous(impl.shape, impl.strides)) {
    for (let i = impl.offset; i < impl.offset + count; i++) if (is(host[i]!)) return host[i]!;
    return null;
  }
  // What a dimension only repeats is looked at once.
  const dims = impl.shape.map((_, d) => d).filter((d) => impl.shape[d] !== 1 && impl.strides[d] !== 0);
  const sizes = dims.map((d) => impl.shape[d]!);
  const steps = dims.map((d) => impl.strides[d]!);
  const distinct = numel(sizes);
  const at = sizes.map(() => 0);
  let position = impl.offset;
  for (let i = 0; i < distinct; i++) {
    const value = host[position]!;
    if (is(value)) return value;
    for (let d = at.length - 1; d >= 0; d--) {
      position += steps[d]!;
      if (++at[d]! < sizes[d]!) break;
      position -= steps[d]! * sizes[d]!;
      at[d] = 0;
    }
  }
  return null;
}

/** Position of the first of some int32 numbers that is not from `low` to below `end`; -1 if there is none. Alone, so that the engine knows the array's kind. */
function outside(values: Int32Array, from: number, to: number, low: number, end: number): number {
  const count = (end - low) >>> 0;
  for (let i = from; i < to; i++) if ((values[i]! - low) >>> 0 >= count) return i;
  return -1;
}

/** The first element that is not from `low` to below `end` (nor `except`), among values that the host knows, as `hostValueWhere`. */
export function hostValueOutside(
  tensor: Tensor,
  low: number,
  end: number,
  except: number | null = null,
): number | null {
  const { impl } = tensor;
  const { host } = impl.storage.node;
  if (host instanceof Int32Array && isContiguous(impl.shape, impl.strides)) {
    const to = impl.offset + numel(impl.shape);
    let at = outside(host, impl.offset, to, low, end);
    while (at >= 0 && host[at] === except) at = outside(host, at + 1, to, low, end);
    return at < 0 ? null : host[at]!;
  }
  return hostValueWhere(tensor, (v) => (v < low || v >= end) && v !== except);
}

/** The same values in row-major order without gaps, off the tape; the tensor's own storage where it is so already. */
export function denseAlias(tensor: Tensor): Tensor {
  const { impl } = tensor;
  return isContiguous(impl.shape, impl.strides) ? tensor : convertCopy(tensor, impl.dtype);
}

/** The same values as a whole node: contiguous from the first element to the last. */
export function wholeNode(tensor: Tensor): Node {
  const { impl } = tensor;
  const { node } = impl.storage;
  return coversWhole(impl, node.numel) ? node : convertCopy(tensor, impl.dtype).impl.storage.node;
}

/** Value types of scalars for a dtype. */
export function scalarType(dtype: DType): ValueType {
  return valueType(dtype);
}

/** A dimension counted from the front; fails with PyTorch's message if there is none such. */
export function wrapDim(op: string, dim: number, rank: number): number {
  if (!Number.isInteger(dim)) throw new ArgumentError(`${op}: dim must be an integer, got ${describeValue(dim)}`);
  const span = Math.max(rank, 1);
  if (dim < -span || dim >= span)
    throw new ShapeError(
      `${op}: Dimension out of range (expected to be in range of [${-span}, ${span - 1}], but got ${dim})`,
    );
  return dim < 0 ? dim + span : dim;
}

/** Several distinct dimensions counted from the front; null or an empty list stands for all of them. */
export function wrapDims(op: string, dims: number | readonly number[] | null | undefined, rank: number): number[] {
  if (dims != null && typeof dims !== "number" && !Array.isArray(dims))
    throw new ArgumentError(`${op}: dim must be an integer, an array of integers or null, got ${describeValue(dims)}`);
  const list = dims == null ? [] : typeof dims === "number" ? [dims] : [...(dims as readonly number[])];
  if (list.length === 0) return Array.from({ length: rank }, (_, d) => d);
  const result = list.map((d) => wrapDim(op, d, rank));
  const seen = new Set<number>();
  for (const d of result) {
    if (seen.has(d)) throw new ShapeError(`${op}: dim ${d} appears multiple times in the list of dims`);
    seen.add(d);
  }
  return rank === 0 ? [] : result;
}

/** Sizes of a new tensor: non-negative integers. */
export function checkSizes(op: string, sizes: readonly unknown[]): number[] {
  if (!Array.isArray(sizes)) throw new ArgumentError(`${op}: sizes must be an array, got ${describeValue(sizes)}`);
  for (const size of sizes as readonly unknown[])
    if (typeof size !== "number" || !Number.isInteger(size) || size < 0)
      throw new ShapeError(`${op}: sizes must be non-negative integers, got [${sizes.map(String).join(", ")}]`);
  const shape = sizes as number[];
  if (numel(shape) > MOST_ELEMENTS) throw new ShapeError(`${op}: [${shape.join(", ")}] has too many elements`);
  return [...shape];
}

/** Fails unless it is a tensor of a floating dtype. */
export function checkFloating(op: string, tensor: Tensor): void {
  checkTensor(op, "input", tensor);
  if (!isFloat(tensor.dtype))
    throw new DTypeError(
      `${op}: expected a floating point tensor, got ${tensor.dtype}; convert it with .to("float32")`,
    );
}
