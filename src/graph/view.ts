/** Strided views: how an iteration space addresses the flat, contiguous elements of a node. */

import { ShapeError } from "../errors.ts";

/** `offset + sum(strides[d] * i[d])` is the element at coordinates `i` of `shape`. Strides may be zero or negative. */
export interface View {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Product of the sizes; 1 for a zero-dimensional shape. */
export function numel(shape: readonly number[]): number {
  let n = 1;
  for (const size of shape) n *= size;
  return n;
}

/** Row-major strides of a shape. */
export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    strides[d] = step;
    step *= Math.max(shape[d]!, 1);
  }
  return strides;
}

/** The view that reads a contiguous node of this shape in order. */
export function contiguousView(shape: readonly number[]): View {
  return { shape, strides: contiguousStrides(shape), offset: 0 };
}

/** True if the strides address `shape` in row-major order without gaps (dimensions of size one do not matter). */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    const size = shape[d]!;
    if (size === 0) return true;
    if (size !== 1 && strides[d] !== step) return false;
    step *= size;
  }
  return true;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let d = 0; d < a.length; d++) if (a[d] !== b[d]) return false;
  return true;
}

/** `[2, 3]` as messages show a shape. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** The shape that NumPy's and PyTorch's broadcasting gives; throws a `ShapeError` naming `op` where there is none. */
export function broadcastShapes(op: string, ...shapes: readonly (readonly number[])[]): number[] {
  let rank = 0;
  for (const shape of shapes) if (shape.length > rank) rank = shape.length;
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    const lead = rank - shape.length;
    for (let d = 0; d < shape.length; d++) {
      const size = shape[d]!;
      const known = result[lead + d]!;
      if (size === known || size === 1) continue;
      if (known !== 1)
        throw new ShapeError(
          `${op}: cannot broadcast ${shapes.map(showShape).join(" with ")}: ` +
            `size ${known} does not match size ${size} at dimension ${lead + d}`,
        );
      result[lead + d] = size;
    }
  }
  return result;
}

/** The view that reads `view` as if it had the (broadcast-compatible, larger) `shape`. */
export function expandView(view: View, shape: readonly number[]): View {
  // Not the object itself: a tensor's own view changes when its storage is bound anew, and holds all that the tensor does.
  if (sameShape(view.shape, shape)) return { shape: view.shape, strides: view.strides, offset: view.offset };
  const lead = shape.length - view.shape.length;
  const strides = new Array<number>(shape.length).fill(0);
  for (let d = 0; d < view.shape.length; d++) if (view.shape[d] !== 1) strides[lead + d] = view.strides[d]!;
  return { shape, strides, offset: view.offset };
}

/**
 * Strides with which a view can be seen under another shape of as many elements without copying (`Tensor.view`), or
 * null where that is impossible.
 */
export function reshapeStrides(
  shape: readonly number[],
  strides: readonly number[],
  target: readonly number[],
): number[] | null {
  if (numel(shape) === 0 || isContiguous(shape, strides)) return contiguousStrides(target);
  // Merge dimensions that are contiguous with one another into runs, then cut the target's sizes out of those runs.
  const runs: { size: number; stride: number }[] = [];
  for (let d = 0; d < shape.length; d++) {
    const size = shape[d]!;
    if (size === 1) continue;
    const last = runs[runs.length - 1];
    if (last !== undefined && last.stride === strides[d]! * size) {
      last.size *= size;
      last.stride = strides[d]!;
    } else runs.push({ size, stride: strides[d]! });
  }
  const result = new Array<number>(target.length).fill(0);
  let d = target.length - 1;
  for (let r = runs.length - 1; r >= 0; r--) {
    const run = runs[r]!;
    let taken = 1;
    while (taken < run.size) {
      while (d >= 0 && target[d] === 1) result[d--] = taken * run.stride;
      if (d < 0) return null;
      result[d] = taken * run.stride;
      taken *= target[d--]!;
    }
    if (taken !== run.size) return null;
  }
  while (d >= 0) {
    if (target[d] !== 1) return null;
    result[d] = d + 1 < target.length ? result[d + 1]! * target[d + 1]! : 1;
    d--;
  }
  return result;
}

/** Strides and offset over some iteration space. */
export interface Affine {
  readonly strides: readonly number[];
  readonly offset: number;
}

/**
 * The access that reaches element `inner(outer(i))`: `outer` addresses, over the iteration space `sizes`, the flat contiguous
 * elements of a node of shape `inner.shape`, and `inner` says where each of those lies. Null if that is no affine
 * access, because some coordinate would carry over from one dimension into the next.
 */
export function composeAccess(outer: Affine, sizes: readonly number[], inner: View): Affine | null {
  // Dimensions of the inner view that are contiguous with one another count as one: no carry can go wrong there.
  const shape: number[] = [];
  const strides: number[] = [];
  for (let d = 0; d < inner.shape.length; d++) {
    const size = inner.shape[d]!;
    if (size === 1) continue;
    const last = shape.length - 1;
    if (last >= 0 && strides[last] === inner.strides[d]! * size) {
      shape[last] = shape[last]! * size;
      strides[last] = inner.strides[d]!;
    } else {
      shape.push(size);
      strides.push(inner.strides[d]!);
    }
  }
  const rank = shape.length;
  if (rank === 0) return { strides: sizes.map(() => 0), offset: inner.offset };
  if (rank === 1)
    return { strides: outer.strides.map((s) => s * strides[0]!), offset: inner.offset + outer.offset * strides[0]! };

  const steps = contiguousStrides(shape);
  const low = new Array<number>(rank).fill(0);
  let offset = inner.offset;
  let rest = outer.offset;
  for (let p = 0; p < rank; p++) {
    const digit = Math.floor(rest / steps[p]!);
    rest -= digit * steps[p]!;
    low[p] = digit;
    offset += digit * strides[p]!;
  }
  const high = [...low];
  const result = new Array<number>(sizes.length).fill(0);
  for (let d = 0; d < sizes.length; d++) {
    const stride = outer.strides[d]!;
    if (sizes[d] === 1 || stride === 0) continue;
    const sign = stride < 0 ? -1 : 1;
    let left = Math.abs(stride);
    let total = 0;
    for (let p = 0; p < rank; p++) {
      const digit = Math.floor(left / steps[p]!);
      left -= digit * steps[p]!;
      total += sign * digit * strides[p]!;
      const reach = sign * digit * (sizes[d]! - 1);
      if (reach > 0) high[p] = high[p]! + reach;
      else low[p] = low[p]! + reach;
    }
    result[d] = total;
  }
  for (let p = 0; p < rank; p++) if (low[p]! < 0 || high[p]! >= shape[p]!) return null;
  return { strides: result, offset };
}
