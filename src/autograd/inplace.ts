/** Writing into tensors: storages are bound to new nodes, and the tape learns what that means for every view. */

import { Impl, Storage, wrap } from "../base.ts";
import { category, type DType } from "../dtype.ts";
import { AutogradError, DTypeError, ShapeError, TapegradError } from "../errors.ts";
import { coversWhole, Node, type UpdateOp } from "../graph/node.ts";
import { recordNode } from "../graph/runtime.ts";
import { checkEscape } from "../graph/trace.ts";
import { contiguousView, isContiguous, numel, sameShape, showShape } from "../graph/view.ts";
import { argOf, convertCopy } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { isGradEnabled, isInferenceModeEnabled } from "./mode.ts";
import { attach, currentGradFn, edgeOf, GradFn, metaOf, type Edge } from "./tape.ts";

/**
 * Gives `self` the value that `compute` makes of what it is now, as PyTorch's `name_` methods do. Throws PyTorch's errors
 * for leaves, for results of another shape or a higher category of dtype, and for tensors with overlapping elements.
 */
export function inPlace(name: string, self: Tensor, compute: (before: Tensor) => Tensor): Tensor {
  checkWritable(name, self);
  const before = frozen(self);
  let value: Tensor;
  try {
    value = compute(before);
  } catch (error) {
    throw calledAs(name, error);
  }
  assign(name, self, value);
  // Off the tape, nobody can reach these two any more: the next write may go over their memory.
  if (value.gradFn === null) {
    before.impl.storage.release();
    value.impl.storage.release();
  }
  return self;
}

/**
 * Makes `self` the view that `change` gives of it, as `transpose_` and its kin do: the storage stays, the handle sees it anew. Throws
 * PyTorch's errors for leaves.
 */
export function relayout(name: string, self: Tensor, change: (x: Tensor) => Tensor): Tensor {
  checkHistory(name, self);
  const view = change(self).impl;
  const { impl } = self;
  impl.shape = view.shape;
  impl.strides = view.strides;
  impl.storageOffset = view.storageOffset;
  if (impl.base === null) impl.layout++;
  else impl.replay = view.replay;
  if (view.gradFn !== null) {
    impl.gradFn = view.gradFn;
    impl.outputNr = view.outputNr;
  } else if (impl.gradFn === null) impl.accumulator = null;
  impl.seenVersion = ++impl.storage.version;
  return self;
}

/** `self` as it is now: bound to today's node, with today's place on the tape. */
export function frozen(self: Tensor): Tensor {
  const { impl } = self;
  const edge = edgeOf(self);
  const copy = new Impl(new Storage(impl.storage.node), impl, impl.dtype);
  if (edge !== null && edge.fn.variable === null) {
    copy.gradFn = edge.fn;
    copy.outputNr = edge.nr;
  } else if (edge !== null) {
    // A leaf under noGrad; its accumulator is shared so that formulas recorded on the copy reach the leaf itself.
    copy.requiresGrad = true;
    copy.accumulator = edge.fn;
  }
  copy.inference = impl.inference;
  return wrap(copy);
}

/** Fails where PyTorch refuses to change a tensor because of its place on the tape. */
function checkHistory(name: string, self: Tensor): void {
  const { impl } = self;
  if (impl.inference && !isInferenceModeEnabled())
    throw new AutogradError(
      `${name}: Inplace update to inference tensor outside InferenceMode is not allowed. ` +
        `You can make a clone to get a normal tensor before doing inplace update.`,
    );
  if (impl.base !== null && impl.baseLayout !== impl.base.impl.layout)
    throw new AutogradError(
      `${name}: this view's base was transposed or squeezed in place after the view was made, so that it is no longer known where ` +
        `in the base the view lies. Make the view again.`,
    );
  if (isGradEnabled()) {
    if (impl.requiresGrad && impl.base === null && impl.gradFn === null)
      throw new AutogradError(
        `${name}: a leaf Variable that requires grad is being used in an in-place operation. ` +
          `Use the operation without the underscore, or do it under noGrad().`,
      );
    if (impl.base !== null && impl.base.isLeaf && impl.base.requiresGrad)
      throw new AutogradError(
        `${name}: a view of a leaf Variable that requires grad is being used in an in-place operation. ` +
          `Clone the leaf first, or do it under noGrad().`,
      );
    if (impl.base !== null && (self.requiresGrad || impl.base.requiresGrad)) checkViewKind(name, self);
  }
}

/** Fails for views whose history cannot be rewritten. */
function checkViewKind(name: string, self: Tensor): void {
  const { impl } = self;
  if (impl.viewKind === "multi-output-view")
    throw new AutogradError(
      `${name}: Output ${impl.outputNr} of ${self.gradFn?.name ?? "a view"} is a view and is being modified inplace. This view is the output ` +
        `of a function that returns multiple views. Such functions do not allow the output views to be modified inplace. ` +
        `You should replace the inplace operation by an out-of-place one.`,
    );
  if (impl.viewKind === "no-grad-view")
    throw new AutogradError(
      `${name}: A view was created in no_grad mode and is being modified inplace with grad mode enabled. ` +
        `Create the view outside noGrad(), or change it inside.`,
    );
}

/** Fails where PyTorch refuses to write. */
export function checkWritable(name: string, self: Tensor): void {
  checkHistory(name, self);
  const { impl } = self;
  if (numel(impl.shape) === 0) return;
  for (let d = 0; d < impl.shape.length; d++)
    if (impl.strides[d] === 0 && impl.shape[d]! > 1)
      throw new ShapeError(
        `${name}: unsupported operation: more than one element of the written-to tensor refers to a single memory location. ` +
          `Please clone() the tensor before performing the operation.`,
      );
}

/** Binds the storage of `self` so that `self` reads as `value`, and rewrites the history of `self` and its base. */
function assign(name: string, self: Tensor, value: Tensor): void {
  const { impl } = self;
  if (!sameShape(value.shape, impl.shape))
    throw new ShapeError(
      `${name}: output with shape ${showShape(impl.shape)} doesn't match the broadcast shape ${showShape(value.shape)}`,
    );
  let written = value;
  if (value.dtype !== impl.dtype) {
    if (category(value.dtype) > category(impl.dtype))
      throw new DTypeError(
        `${name}: result type ${value.dtype} can't be cast to the desired output type ${impl.dtype}`,
      );
    written = convertCopy(value, impl.dtype);
  }
  if (value.gradFn !== null && impl.base !== null) checkViewKind(name, self);
  writeStorage(self, written);
  const fn = value.gradFn;
  if (fn === null) {
    if (impl.base !== null) currentGradFn(self); // seen anew from the base before its version is taken as current
    return;
  }
  if (impl.base !== null) {
    const { base } = impl;
    const replay = impl.replay!;
    rebase(base, fn, replay);
    currentGradFn(self); // seen anew
  } else {
    attach(self, fn, value.impl.outputNr);
  }
}

/** Writes values of the same shape and dtype; no history. */
export function writeStorage(self: Tensor, value: Tensor): void {
  const { impl } = self;
  const { storage } = impl;
  const source = value.impl.storage.node;
  checkEscape("in-place operation", source, storage.birth);
  if (impl.storageOffset === 0 && numel(impl.shape) === storage.length && isContiguous(impl.shape, impl.strides)) {
    storage.bind(coversWhole(value.impl, source.numel) ? source : convertCopy(value, impl.dtype).impl.storage.node);
  } else if (numel(impl.shape) > 0) {
    if (storage.node.numel !== storage.length) moveOut(storage, impl.dtype);
    const old = storage.node;
    const op: UpdateOp = {
      kind: "update",
      key: "update",
      hasBase: true,
      targets: [{ shape: impl.shape, strides: impl.strides, offset: impl.offset }],
    };
    const args = [{ node: old, view: contiguousView(old.shape) }, argOf(value)];
    storage.bind(recordNode(new Node(old.backend, op, old.shape, impl.dtype, args)));
  }
  storage.version++;
}

/** Gives a storage that lives in a larger node a node of its own. */
function moveOut(storage: Storage, dtype: DType): void {
  const whole = new Impl(storage, { shape: [storage.length], strides: [1], offset: storage.start }, dtype);
  storage.bind(convertCopy(wrap(whole), dtype).impl.storage.node);
}

/** The base's history after `fn` wrote into one of its views: PyTorch's CopySlices. */
function rebase(base: Tensor, fn: GradFn, replay: (base: Tensor) => Tensor): void {
  const before: Edge | null = edgeOf(base);
  const shape = [...base.shape];
  // The first input of a function that writes in place is what was there before.
  const copySlices = new GradFn({
    name: "CopySlices",
    edges: [before, ...fn.edges.slice(1)],
    results: [metaOf(base)],
    inner: fn,
    apply: ([g], _saved, needed) => {
      if (g == null) return fn.edges.map(() => null);
      const all = g.expand(shape).clone();
      const inner = fn.run([replay(all).clone()], [fn.edges[0] != null && needed[0]!, ...needed.slice(1)]);
      if (needed[0]) {
        const slice = replay(all);
        if (inner[0] != null) slice.copy_(inner[0]);
        else slice.zero_();
      }
      return [needed[0] ? all : null, ...inner.slice(1)];
    },
  });
  attach(base, copySlices, 0);
}

/** The error of an operation in the name of the one that was called, which makes use of it: `add: ...` becomes `add_: ...`. */
function calledAs(name: string, error: unknown): unknown {
  if (error instanceof TapegradError && name.endsWith("_"))
    error.message = error.message.replace(/^[a-zA-Z]\w*: /, () => `${name}: `);
  return error;
}
