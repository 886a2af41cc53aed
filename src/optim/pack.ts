/**
 * Several tensors as one: an optimiser's step over all parameters is then a few kernels. Parameters keep their own storages, which live in one
 * node; state tensors become views of one storage.
 */

import { Impl, Storage, wrap } from "../base.ts";
import type { Node, UpdateOp } from "../graph/node.ts";
import { isContiguous } from "../graph/view.ts";
import { applyNode } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";

/** Parts start at multiples of this many elements, so that kernels may load four at once. */
const ALIGNMENT = 4;

/** Where each part lies in the whole, and how long that is. Elements. */
export interface Layout {
  readonly starts: readonly number[];
  readonly total: number;
}

/** The parts one after the other. */
export function layoutOf(parts: readonly Tensor[]): Layout {
  const starts: number[] = [];
  let total = 0;
  for (const part of parts) {
    starts.push(total);
    total += Math.ceil(part.numel() / ALIGNMENT) * ALIGNMENT;
  }
  return { starts, total };
}

/** One vector with the parts' values; what lies between them is undefined. */
export function packed(parts: readonly Tensor[], layout: Layout): Tensor {
  const whole = commonNode(parts, layout);
  if (whole !== null) return vector(new Storage(whole));
  const first = parts[0]!;
  const op: UpdateOp = {
    kind: "update",
    key: "pack",
    hasBase: false,
    targets: parts.map((p, i) => ({ shape: [p.numel()], strides: [1], offset: layout.starts[i]! })),
  };
  const args = parts.map((p) => {
    const dense = p.detach().contiguous();
    return { node: dense.impl.storage.node, view: { shape: [p.numel()], strides: [1], offset: dense.impl.offset } };
  });
  return applyNode(first.impl.backend, op, [layout.total], first.dtype, args);
}

/** The node that holds all the parts in this layout already, if there is one. */
function commonNode(parts: readonly Tensor[], layout: Layout): Node | null {
  const { node } = parts[0]!.impl.storage;
  if (node.numel !== layout.total) return null;
  const fits = parts.every(
    ({ impl }, i) =>
      impl.storage.node === node && impl.offset === layout.starts[i]! && isContiguous(impl.shape, impl.strides),
  );
  return fits ? node : null;
}

/** The parts as views of a whole. */
export function partsOf(whole: Tensor, like: readonly Tensor[], layout: Layout): Tensor[] {
  return like.map((part, i) =>
    whole
      .narrow(0, layout.starts[i]!, part.numel())
      .view([...part.shape])
      .detach(),
  );
}

/** The whole that the parts are views of already, if they are. */
export function wholeOf(parts: readonly Tensor[], layout: Layout): Tensor | null {
  const { storage } = parts[0]!.impl;
  if (storage.length !== layout.total || storage.start !== 0) return null;
  const fits = parts.every(
    ({ impl }, i) =>
      impl.storage === storage && impl.storageOffset === layout.starts[i]! && isContiguous(impl.shape, impl.strides),
  );
  return fits ? vector(storage) : null;
}

/** True if a tensor is the whole of its storage, so that its storage may move into a larger node. */
export function ownsStorage(tensor: Tensor): boolean {
  const { impl } = tensor;
  return impl.storageOffset === 0 && impl.storage.length === tensor.numel() && isContiguous(impl.shape, impl.strides);
}

function vector(storage: Storage): Tensor {
  return wrap(new Impl(storage, { shape: [storage.length], strides: [1], offset: storage.start }, storage.node.dtype));
}
