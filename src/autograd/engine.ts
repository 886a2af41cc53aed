/** The walk over the tape, from results to leaves, each entry once all gradients that flow into it are there. */

import { describeValue } from "../args.ts";
import { setGrad } from "../base.ts";
import { isFloat } from "../dtype.ts";
import { ArgumentError, AutogradError, DeviceError, ShapeError } from "../errors.ts";
import { realize } from "../graph/runtime.ts";
import { coversWhole, lastNodeId } from "../graph/node.ts";
import { NONE } from "../graph/lists.ts";
import { notePhase } from "../graph/phases.ts";
import { sameShape, showShape } from "../graph/view.ts";
import { isTensor, snapshot } from "../ops/apply.ts";
import { frozen } from "./inplace.ts";
import type { Tensor } from "../tensor.ts";
import { withMode } from "./mode.ts";
import { edgeOf, type Edge, type GradFn, type Grads } from "./tape.ts";

/** Walks that are going on and capture gradients rather than adding to the leaves. */
let capturing = 0;

/** True inside a derivative that `autograd.grad()` or `backward({ inputs })` asked for. */
export function isCapturing(): boolean {
  return capturing > 0;
}

/** Called after every entry has run, with its gradients; anomaly detection listens here. */
type Observer = (fn: GradFn, grads: Grads) => void;
const observers = new Set<Observer>();

/** Adds an observer of the walk; gives a function that removes it. */
export function observeBackward(observer: Observer): () => void {
  observers.add(observer);
  return () => observers.delete(observer);
}

export interface WalkOptions {
  readonly retainGraph: boolean;
  readonly createGraph: boolean;
  /** Gradients are captured for these tensors, or at these places of the tape; null means that leaves accumulate. */
  readonly capture: readonly (Tensor | Edge)[] | null;
  /** Entries that the walk does not go beyond. */
  readonly stop?: ReadonlySet<GradFn>;
  /** With `capture`: add the captured gradients to `.grad` of those tensors, as `backward({ inputs })` does. */
  readonly accumulate: boolean;
}

/**
 * Gradients of the roots' weighted sum. Gives those of the captured tensors (null where unreachable), else adds to the
 * leaves' `.grad`.
 */
export function walk(roots: readonly (Tensor | Edge)[], seeds: readonly Tensor[], options: WalkOptions): Grads {
  return withMode({ grad: options.createGraph }, () => new Walk(roots, seeds, options).run());
}

interface Slot {
  readonly fn: GradFn;
  readonly nr: number;
}

/** What flows into an entry. */
class Arrivals {
  /** How many entries have still to send a gradient (or that there is none). */
  waiting = 0;
  /** What has come so far, one a result. */
  readonly grads: Grads;

  constructor(fn: GradFn) {
    this.grads = fn.results.map(none);
  }
}

const none = (): null => null;

class Walk {
  readonly #options: WalkOptions;
  readonly #arrivals = new Map<GradFn, Arrivals>();
  readonly #ready: GradFn[] = [];
  readonly #captured = new Map<GradFn, Map<number, number[]>>();
  readonly #result: Grads;
  /** Entries that lead to something captured; null if all count. */
  #relevant: Set<GradFn> | null = null;
  readonly #roots: Edge[] = [];
  readonly #accumulated: Tensor[] = [];

  constructor(roots: readonly (Tensor | Edge)[], seeds: readonly Tensor[], options: WalkOptions) {
    this.#options = options;
    this.#result = (options.capture ?? []).map(() => null);
    options.capture?.forEach((tensor, i) => {
      const slot = this.#slotOf(tensor);
      let bySlot = this.#captured.get(slot.fn);
      if (bySlot === undefined) this.#captured.set(slot.fn, (bySlot = new Map<number, number[]>()));
      const list = bySlot.get(slot.nr);
      if (list === undefined) bySlot.set(slot.nr, [i]);
      else list.push(i);
    });
    roots.forEach((root, i) => {
      const edge = this.#slotOf(root);
      this.#roots.push(edge);
      this.#flow(edge, seeds[i]!, null, i);
    });
  }

  #slotOf(tensor: Tensor | Edge): Slot {
    if ("fn" in tensor) return tensor;
    const edge = edgeOf(tensor);
    if (edge === null)
      throw new AutogradError(
        "One of the differentiated Tensors does not require grad: call requiresGrad_() on it before computing with it",
      );
    return edge;
  }

  run(): Grads {
    const before = lastNodeId();
    this.#countDependencies();
    const pushed = new Set<GradFn>();
    for (const { fn } of this.#roots)
      if (this.#at(fn).waiting === 0 && !pushed.has(fn)) {
        pushed.add(fn);
        this.#push(fn);
      }
    const captures = this.#options.capture === null ? 0 : 1;
    capturing += captures;
    try {
      while (this.#ready.length > 0) this.#visit(this.#pop());
    } finally {
      capturing -= captures;
    }
    notePhase("backward", before, lastNodeId());
    if (this.#accumulated.length > 0) this.#writeOut();
    return this.#result;
  }

  #at(fn: GradFn): Arrivals {
    let arrivals = this.#arrivals.get(fn);
    if (arrivals === undefined) this.#arrivals.set(fn, (arrivals = new Arrivals(fn)));
    return arrivals;
  }

  #edgesOf(fn: GradFn): readonly (Edge | null)[] {
    return this.#options.stop?.has(fn) === true ? [] : fn.edges;
  }

  /** How many entries send a gradient to each entry, over those that matter. */
  #countDependencies(): void {
    const seen = new Set<GradFn>(this.#roots.map((e) => e.fn));
    const order: GradFn[] = [];
    const stack = [...seen];
    while (stack.length > 0) {
      const fn = stack.pop()!;
      order.push(fn);
      for (const edge of this.#edgesOf(fn)) {
        if (edge === null) continue;
        if (this.#at(edge.fn).waiting++ > 0 || seen.has(edge.fn)) continue;
        seen.add(edge.fn);
        stack.push(edge.fn);
      }
    }
    if (this.#options.capture === null) return;
    // An entry matters if something captured lies below it; entries are recorded after those below them.
    const relevant = new Set<GradFn>(this.#captured.keys());
    order.sort((a, b) => (a.variable !== null ? 0 : a.sequence) - (b.variable !== null ? 0 : b.sequence));
    for (const fn of order) if (this.#edgesOf(fn).some((e) => e !== null && relevant.has(e.fn))) relevant.add(fn);
    this.#relevant = relevant;
  }

  #visit(fn: GradFn): void {
    const { grads } = this.#at(fn);
    this.#arrivals.delete(fn);
    const stopped = this.#options.stop?.has(fn) ?? false;
    if (!stopped) this.#applyHooks(fn, grads);
    const captured = this.#captured.get(fn);
    if (captured !== undefined)
      for (const [nr, positions] of captured) for (const i of positions) this.#result[i] = grads[nr] ?? null;
    let below: readonly (Tensor | null)[] = NONE;
    const matters = this.#relevant === null || this.#relevant.has(fn);
    if (stopped) return;
    if (fn.variable !== null) {
      if (this.#options.capture === null && grads[0] != null) this.#accumulate(fn.variable, grads[0]);
    } else if (matters) {
      const relevant = this.#relevant;
      const needed = fn.edges.map((e) => e !== null && (relevant === null || relevant.has(e.fn)));
      if (needed.includes(true)) {
        const gradsBelow: Grads = grads.some((g) => g !== null) ? fn.run(grads, needed) : [];
        for (const observer of observers) observer(fn, gradsBelow);
        if (!this.#options.retainGraph) fn.release();
        below = gradsBelow;
      }
    }
    const { edges } = fn;
    for (let i = 0; i < edges.length; i++) {
      const edge = edges[i]!;
      if (edge === null) continue;
      const g = below[i];
      if (g != null && (this.#relevant === null || this.#relevant.has(edge.fn))) this.#flow(edge, g, fn, i);
      if (--this.#at(edge.fn).waiting === 0) this.#push(edge.fn);
    }
  }

  /** Adds a gradient to what flows into an entry, reduced to the shape and cast to the dtype of its result. */
  #flow(edge: Edge, grad: Tensor, from: GradFn | null, index: number): void {
    const meta = edge.fn.results[edge.nr]!;
    let g = grad;
    if (!sameShape(g.shape, meta.shape)) {
      if (!expandsTo(meta.shape, g.shape))
        throw new ShapeError(
          `Function ${from?.name ?? "backward"} returned an invalid gradient at index ${index} - got ${showShape(g.shape)} ` +
            `but expected shape compatible with ${showShape(meta.shape)}`,
        );
      g = g.sumToSize([...meta.shape]);
    }
    if (g.impl.backend !== meta.backend)
      throw new DeviceError(
        `Function ${from?.name ?? "backward"} returned an invalid gradient at index ${index} - expected device ${meta.backend.type} but got ${g.device}`,
      );
    if (g.dtype !== meta.dtype) g = g.to(meta.dtype);
    const { grads } = this.#at(edge.fn);
    const before = grads[edge.nr] ?? null;
    grads[edge.nr] = before === null ? g : before.add(g);
  }

  #applyHooks(fn: GradFn, grads: Grads): void {
    for (let nr = 0; nr < fn.results.length; nr++) {
      let g = grads[nr];
      if (g == null) continue;
      const hooks = fn.variable !== null ? fn.variable.impl.hooks : fn.hooks?.[nr];
      if (hooks != null)
        for (const hook of hooks.slice()) {
          const replaced = hook(g);
          if (replaced != null) {
            if (!isTensor(replaced))
              throw new AutogradError(
                `registerHook: a hook must return a Tensor or nothing, got ${describeValue(replaced)}`,
              );
            if (!sameShape(replaced.shape, g.shape))
              throw new ShapeError(
                `registerHook: the hook changed the gradient's shape from ${showShape(g.shape)} to ${showShape(replaced.shape)}`,
              );
            g = replaced;
          }
        }
      grads[nr] = g;
      const retained = fn.retained?.[nr];
      if (retained !== undefined) setGrad(retained.impl, g);
    }
  }

  #accumulate(leaf: Tensor, grad: Tensor): void {
    accumulateGrad(leaf, grad, this.#options.createGraph);
    this.#accumulated.push(leaf);
  }

  /** The end of `backward()` is where a training loop is cut into realisations: always at the same place. */
  #writeOut(): void {
    const byBackend = new Map<unknown, Tensor[]>();
    for (const t of this.#accumulated) {
      const g = t.impl.grad!;
      const list = byBackend.get(g.impl.backend);
      if (list === undefined) byBackend.set(g.impl.backend, [g]);
      else list.push(g);
    }
    for (const grads of byBackend.values())
      realize([
        ...new Set(
          [...grads.map((g) => g.impl.storage.node), ...this.#heads(grads[0]!)].filter((node) => !node.traced),
        ),
      ]);
  }

  /** Values of the roots on the same device: they are read after `backward()` more often than not. */
  #heads(like: Tensor): Tensor["impl"]["storage"]["node"][] {
    return this.#rootTensors.filter((r) => r.impl.backend === like.impl.backend).map((r) => r.impl.storage.node);
  }

  readonly #rootTensors: Tensor[] = [];

  setRoots(roots: readonly Tensor[]): this {
    this.#rootTensors.push(...roots);
    return this;
  }

  // A heap by sequence number, the latest recorded first.
  #push(fn: GradFn): void {
    const heap = this.#ready;
    let i = heap.push(fn) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]!.sequence >= fn.sequence) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = fn;
  }

  #pop(): GradFn {
    const heap = this.#ready;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && heap[child + 1]!.sequence > heap[child]!.sequence) child++;
        if (heap[child]!.sequence <= last.sequence) break;
        heap[i] = heap[child]!;
        i = child;
      }
      heap[i] = last;
    }
    return top;
  }
}

/** True if broadcasting takes `shape` to `target`. */
function expandsTo(shape: readonly number[], target: readonly number[]): boolean {
  const lead = target.length - shape.length;
  return lead >= 0 && shape.every((n, d) => n === 1 || n === target[lead + d]);
}

/** A gradient with a storage of its own, contiguous, off the tape. */
function owned(grad: Tensor): Tensor {
  const { impl } = grad;
  return coversWhole(impl, impl.storage.node.numel) ? snapshot(grad) : grad.detach().clone();
}

/** Adds a gradient to a tensor's `.grad`. */
function accumulateGrad(tensor: Tensor, grad: Tensor, createGraph: boolean): void {
  const { impl } = tensor;
  if (impl.grad === null) setGrad(impl, createGraph ? frozen(grad) : owned(grad));
  else if (createGraph) setGrad(impl, impl.grad.add(grad));
  else impl.grad.add_(grad.detach());
}

/** The gradient to start from: given, or one for a scalar. */
export function seedFor(op: string, root: Tensor, gradient: Tensor | null | undefined): Tensor {
  if (gradient == null) {
    if (root.numel() !== 1)
      throw new AutogradError(
        `${op}: grad can be implicitly created only for scalar outputs, but this one has shape ${showShape(root.shape)}: ` +
          `pass a gradient of that shape, or reduce it first, for example with sum()`,
      );
    if (!isFloat(root.dtype))
      throw new AutogradError(`${op}: grad can be created only for real scalar outputs but got ${root.dtype}`);
    return root.onesLike();
  }
  if (!sameShape(gradient.shape, root.shape))
    throw new ShapeError(
      `${op}: Mismatch in shape: the gradient has shape ${showShape(gradient.shape)} and the output has shape ${showShape(root.shape)}`,
    );
  return gradient;
}

function checkRoot(op: string, root: Tensor): void {
  if (!root.requiresGrad)
    throw new AutogradError(
      `${op}: element 0 of tensors does not require grad and does not have a grad_fn: ` +
        `call requiresGrad_() on an input before computing with it, and do not compute under noGrad()`,
    );
}

/** `torch.autograd.backward`. */
export function backward(
  roots: readonly Tensor[],
  gradients: readonly (Tensor | null | undefined)[],
  options: { retainGraph?: boolean | null; createGraph?: boolean; inputs?: readonly Tensor[] | null },
): void {
  const createGraph = options.createGraph ?? false;
  for (const root of roots) checkRoot("backward", root);
  const seeds = roots.map((root, i) => seedFor("backward", root, gradients[i]));
  const inputs = options.inputs ?? null;
  if (inputs !== null && inputs.length === 0) throw new ArgumentError("backward: inputs argument cannot be empty");
  const walkOptions = {
    retainGraph: options.retainGraph ?? createGraph,
    createGraph,
    capture: inputs,
    accumulate: true,
  };
  const grads = withMode({ grad: createGraph }, () => new Walk(roots, seeds, walkOptions).setRoots(roots).run());
  if (inputs !== null) {
    withMode({ grad: createGraph }, () =>
      inputs.forEach((input, i) => {
        const g = grads[i];
        if (g != null) accumulateGrad(input, g, createGraph);
      }),
    );
    const written = inputs
      .filter((input) => input.impl.grad !== null)
      .map((input) => input.impl.grad!.impl.storage.node)
      .filter((node) => !node.traced);
    for (const backend of new Set(written.map((n) => n.backend))) realize(written.filter((n) => n.backend === backend));
  }
}

/** `torch.autograd.grad`: gradients of the inputs, without touching any `.grad`. */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: {
    gradOutputs?: readonly (Tensor | null)[] | null;
    retainGraph?: boolean | null;
    createGraph?: boolean;
    allowUnused?: boolean;
  },
): Grads {
  const createGraph = options.createGraph ?? false;
  for (const root of outputs) checkRoot("autograd.grad", root);
  const given = options.gradOutputs ?? null;
  if (given !== null && given.length !== outputs.length)
    throw new ArgumentError(`autograd.grad: ${outputs.length} outputs but ${given.length} gradOutputs`);
  const seeds = outputs.map((root, i) => seedFor("autograd.grad", root, given?.[i]));
  const grads = walk(outputs, seeds, {
    retainGraph: options.retainGraph ?? createGraph,
    createGraph,
    capture: inputs,
    accumulate: false,
  });
  if (!(options.allowUnused ?? false))
    grads.forEach((g, i) => {
      if (g === null)
        throw new AutogradError(
          `One of the differentiated Tensors appears to not have been used in the graph (input ${i} of shape ` +
            `${showShape(inputs[i]!.shape)}). Set { allowUnused: true } if this is the desired behavior.`,
        );
    });
  return createGraph ? grads : grads.map((g) => g?.detach() ?? null);
}
