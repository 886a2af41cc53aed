/** The handle's own properties: what a tensor is, before anything is computed with it. */

import { isInferenceModeEnabled } from "../autograd/mode.ts";
import { currentGradFn, type GradFn } from "../autograd/tape.ts";
import { describeValue } from "../args.ts";
import { Impl, setGrad } from "../base.ts";
import { isFloat, ITEM_SIZE, type DType } from "../dtype.ts";
import type { DeviceType } from "../backend/backend.ts";
import { ArgumentError, AutogradError, DeviceError, DTypeError, ShapeError } from "../errors.ts";
import { isContiguous, numel, sameShape, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";

/** Fails unless `value` may be the gradient of `of`: null, or a tensor of its shape, dtype and device. */
function checkGrad(of: TensorBase, value: unknown): void {
  if (value === null) return;
  if (!(value instanceof TensorBase))
    throw new AutogradError(`grad: expected a Tensor or null, got ${describeValue(value)}`);
  if (value === of) throw new AutogradError("grad: a tensor cannot be its own gradient");
  if (value.dtype !== of.dtype)
    throw new DTypeError(
      `grad: the gradient of a ${of.dtype} tensor must be ${of.dtype}, got ${value.dtype}; convert it with .to("${of.dtype}")`,
    );
  if (value.device !== of.device)
    throw new DeviceError(
      `grad: the gradient of a tensor on ${of.device} must be there, too, got one on ${value.device}; move it with .to("${of.device}")`,
    );
  if (!sameShape(value.shape, of.shape))
    throw new ShapeError(
      `grad: the gradient of a tensor of shape ${showShape(of.shape)} must have that shape, got ${showShape(value.shape)}`,
    );
}

/** Fields and properties shared by every tensor. */
export class TensorBase {
  /** @internal */
  readonly impl: Impl;

  /** @internal */
  constructor(impl: Impl) {
    if (!(impl instanceof Impl))
      throw new ArgumentError(
        "Tensor: tensors are not made with new; use tensor(data), zeros(...sizes), empty(...sizes) and their kin",
      );
    this.impl = impl;
  }

  /** Sizes of the dimensions. */
  get shape(): readonly number[] {
    return this.impl.shape;
  }

  /** Element type. */
  get dtype(): DType {
    return this.impl.dtype;
  }

  /** Kind of device that holds the values: `"cpu"` or `"webgpu"`. */
  get device(): DeviceType {
    return this.impl.backend.type;
  }

  /** Number of dimensions (`ndim`). */
  get ndim(): number {
    return this.impl.shape.length;
  }

  /** Sizes of the dimensions, or the size of one of them. Throws a `ShapeError` if there is no such dimension. */
  size(): readonly number[];
  size(dim: number): number;
  size(dim?: number): number | readonly number[] {
    if (dim === undefined) return this.impl.shape;
    return this.impl.shape[dimension("size", dim, this.impl.shape.length)]!;
  }

  /** Number of dimensions. */
  dim(): number {
    return this.impl.shape.length;
  }

  /** Number of elements. */
  numel(): number {
    return numel(this.impl.shape);
  }

  /** Alias of `numel`. */
  nelement(): number {
    return this.numel();
  }

  /** Bytes of one element on the host. */
  elementSize(): number {
    return ITEM_SIZE[this.impl.dtype];
  }

  /** Steps between neighbouring elements along each dimension, in elements; or that of one dimension. */
  stride(): number[];
  stride(dim: number): number;
  stride(dim?: number): number | number[] {
    if (dim === undefined) return [...this.impl.strides];
    return this.impl.strides[dimension("stride", dim, this.impl.shape.length)]!;
  }

  /** Position of the first element in the storage, in elements. */
  storageOffset(): number {
    return this.impl.storageOffset;
  }

  /** True if the elements lie in row-major order without gaps. */
  isContiguous(): boolean {
    return isContiguous(this.impl.shape, this.impl.strides);
  }

  /** True for a floating dtype. */
  isFloatingPoint(): boolean {
    return isFloat(this.impl.dtype);
  }

  /** True if gradients flow to or through this tensor. */
  get requiresGrad(): boolean {
    const { impl } = this;
    return impl.requiresGrad || impl.gradFn !== null || this.gradFn !== null;
  }

  /** As `requiresGrad_()`. */
  set requiresGrad(value: boolean) {
    setRequiresGrad(this as unknown as Tensor, value);
  }

  /** True if no recorded operation made this tensor. */
  get isLeaf(): boolean {
    return this.gradFn === null;
  }

  /** The tape entry that made this tensor, or null: `{ name: "MulBackward0", nextFunctions }`. */
  get gradFn(): GradFn | null {
    const { impl } = this;
    if (impl.base !== null && impl.seenVersion !== impl.storage.version)
      return currentGradFn(this as unknown as Tensor);
    return impl.gradFn;
  }

  /** Gradient accumulated by `backward()`; null by default. */
  get grad(): Tensor | null {
    return this.impl.grad;
  }

  /** Replaces the accumulated gradient. */
  set grad(value: Tensor | null) {
    checkGrad(this, value);
    setGrad(this.impl, value);
  }

  /** In-place changes that the storage has seen (PyTorch's `_version`). */
  get version(): number {
    return this.impl.storage.version;
  }
}

function dimension(op: string, dim: number, rank: number): number {
  const wrapped = dim < 0 ? dim + rank : dim;
  if (!Number.isInteger(dim) || wrapped < 0 || wrapped >= rank)
    throw new ShapeError(
      `${op}: Dimension out of range (expected to be in range of [${-Math.max(rank, 1)}, ${Math.max(rank, 1) - 1}], but got ${describeValue(dim)})`,
    );
  return wrapped;
}

/** Sets the flag of a leaf, with PyTorch's checks. */
export function setRequiresGrad(tensor: Tensor, value: boolean): void {
  const { impl } = tensor;
  if (value && !isFloat(impl.dtype))
    throw new AutogradError(`only Tensors of floating point dtype can require gradients, this one is ${impl.dtype}`);
  if (value && impl.inference && !isInferenceModeEnabled())
    throw new AutogradError(
      "Setting requiresGrad=true on inference tensor outside InferenceMode is not allowed: clone() it first",
    );
  if (!value && tensor.gradFn !== null)
    throw new AutogradError(
      "you can only change requiresGrad flags of leaf variables. If you want to use a computed variable in a subgraph " +
        "that doesn't require differentiation use const y = x.detach().",
    );
  impl.requiresGrad = value;
  if (value && tensor.gradFn === null) impl.storage.assume("parameter");
}
