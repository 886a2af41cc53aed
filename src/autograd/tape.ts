/** The tape: which operation made a tensor, from which inputs, and the values that its derivative needs. */

import type { Backend } from "../backend/backend.ts";
import { Impl, wrap } from "../base.ts";
import type { DType } from "../dtype.ts";
import { isFloat } from "../dtype.ts";
import { AutogradError } from "../errors.ts";
import { list, NONE } from "../graph/lists.ts";
import type { Node } from "../graph/node.ts";
import { showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { isGradEnabled } from "./mode.ts";

/** Gradients, one a result or input; null stands for zero. */
export type Grads = (Tensor | null)[];

/** Where a gradient goes: result `nr` of the entry `fn`. */
export class Edge {
  readonly fn: GradFn;
  readonly nr: number;

  constructor(fn: GradFn, nr: number) {
    this.fn = fn;
    this.nr = nr;
  }
}

/** Shape and type of a result, to which incoming gradients are reduced and cast. */
export class ResultMeta {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly backend: Backend;

  constructor(shape: readonly number[], dtype: DType, backend: Backend) {
    this.shape = shape;
    this.dtype = dtype;
    this.backend = backend;
  }
}

type Hook = (grad: Tensor) => Tensor | null | undefined | void;

/** Gradients of the inputs from those of the results; those that are not needed may be left out. */
export type Apply = (grads: Grads, saved: readonly Tensor[], needed: readonly boolean[]) => Grads;

let nextSequence = 1;

/** Entries recorded from now on have at least this sequence number. */
export function tapePosition(): number {
  return nextSequence;
}

/** Sequence number of leaf accumulators: they run before everything else that is ready. */
const FIRST = Number.MAX_SAFE_INTEGER;

/** One entry of the tape. */
export class GradFn {
  /** PyTorch's name, such as `MulBackward0`. */
  readonly name: string;
  /** Order of recording. @internal */
  readonly sequence: number;
  /** Where the gradient of each input goes. @internal */
  readonly edges: readonly (Edge | null)[];
  /** What is known of each result. @internal */
  readonly results: readonly ResultMeta[];
  /** Values that the derivative needs; null once they are released. @internal */
  saved: readonly SavedTensor[] | null;
  /** Null once it will not run again. */
  #apply: Apply | null;
  /** The leaf that an `AccumulateGrad` entry adds to. */
  readonly variable: Tensor | null;
  /** Hooks on the gradient of each result, if there are any. @internal */
  hooks: (Hook[] | undefined)[] | null = null;
  /** Results whose gradient is to be kept in `.grad`, if there are any. @internal */
  retained: (Tensor | undefined)[] | null = null;
  /** The user's line that recorded it, where that was kept. */
  site: string | null = null;
  /** True once the values that it and the entries below it saved have been asked to be written out. @internal */
  isWritten = false;
  /** Called when the saved values are let go. */
  readonly #onRelease: (() => void) | null;
  /** The entry that runs inside this one (of `CopySlices`), whose saved values count as this one's. */
  readonly #inner: GradFn | null;
  /** True if PyTorch saves something where this library needs not (a number as an operand), so that it runs only once, too. */
  readonly #once: boolean;

  /** @internal */
  constructor(options: {
    name: string;
    edges: readonly (Edge | null)[];
    results: readonly ResultMeta[];
    saved?: readonly SavedTensor[];
    apply: Apply;
    variable?: Tensor;
    onRelease?: () => void;
    inner?: GradFn;
    once?: boolean;
  }) {
    this.name = options.name;
    this.edges = options.edges;
    this.results = options.results;
    this.#inner = options.inner ?? null;
    this.saved = this.#inner === null ? (options.saved ?? NONE) : this.#inner.saved;
    this.#once = options.once ?? false;
    this.#apply = options.apply;
    this.#onRelease = options.onRelease ?? null;
    this.variable = options.variable ?? null;
    this.sequence = options.variable === undefined ? nextSequence++ : FIRST;
    if (site !== null) this.site = site();
  }

  /** Entries that the inputs came from, with the position among their results (PyTorch's `next_functions`). */
  get nextFunctions(): readonly (readonly [GradFn | null, number])[] {
    return this.edges.map((e) => (e === null ? [null, 0] : [e.fn, e.nr]));
  }

  /** Gradients of the inputs. Throws if the saved values were released or overwritten. @internal */
  run(grads: Grads, needed: readonly boolean[]): Grads {
    if (this.saved === null || this.#apply === null)
      throw new AutogradError(
        `Trying to backward through the graph a second time (or directly access saved tensors after they have already been freed) ` +
          `in ${this.name}. Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). ` +
          `Specify { retainGraph: true } if you need to backward through the graph a second time or if you need to access saved tensors after calling backward.`,
      );
    const { saved } = this;
    if (saved.length === 0 || this.#inner !== null) return this.#apply(grads, NONE, needed);
    return this.#apply(
      grads,
      saved.map((s) => s.unpack(this)),
      needed,
    );
  }

  /** Lets go of the saved values. Entries that saved nothing can run again, as in PyTorch. @internal */
  release(): void {
    if (this.saved !== null && (this.saved.length > 0 || this.#once)) {
      if (this.#inner === null) for (const value of this.saved) value.release();
      this.saved = null;
      this.#apply = null;
      this.#onRelease?.();
    }
    if (this.#inner === null) return;
    this.#inner.release();
    this.saved = this.#inner.saved;
  }

  /** The name in angle brackets. */
  toString(): string {
    return `<${this.name}>`;
  }
}

/** Hooks that pack a value when it is saved and unpack it when it is used (`torch.autograd.graph.saved_tensors_hooks`). */
export interface SavedTensorHooks {
  /** Called when a value is saved; what it returns is kept in its place. */
  pack(tensor: Tensor): unknown;
  /** Called when a derivative needs the value; gives it back. */
  unpack(packed: unknown): Tensor;
  /** Tensors that unpacking will read. */
  held?(packed: unknown): readonly Tensor[];
}

const savedHooks: (SavedTensorHooks | null)[] = [];

/** Makes the hooks (null: none) apply to values saved from now on; gives a function that ends that. */
export function pushSavedTensorHooks(hooks: SavedTensorHooks | null): () => void {
  const depth = savedHooks.push(hooks);
  return () => {
    if (savedHooks.length >= depth) savedHooks.length = depth - 1;
  };
}

/** A value kept for the derivative, with the version it had. */
export class SavedTensor {
  readonly #tensor: Tensor | null;
  readonly #version: number;
  readonly #packed: unknown;
  readonly #hooks: SavedTensorHooks | null;
  /** What a hook unpacks is put back in its place on the tape, so that gradients of gradients reach it. */
  readonly #edge: Edge | null;
  /** The value in the program, for the figures of memory. */
  readonly #node: Node | null;
  /** For a result of the entry itself: which one. The tensor's own history may have moved on since. */
  readonly #resultNr: number;

  constructor(tensor: Tensor, resultNr: number) {
    if (tensor.impl.inference)
      throw new AutogradError(
        "Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal tensor and use it in autograd.",
      );
    const hooks = savedHooks[savedHooks.length - 1] ?? null;
    this.#version = tensor.impl.storage.version;
    this.#resultNr = resultNr;
    this.#hooks = hooks;
    this.#tensor = hooks === null ? tensor : null;
    this.#edge = hooks === null || resultNr >= 0 ? null : edgeOf(tensor);
    this.#packed = hooks === null ? null : hooks.pack(tensor.detach());
    this.#node = hooks === null ? tensor.impl.storage.node : null;
    if (this.#node !== null) {
      this.#node.saves++;
      this.#node.wasSaved = true;
    }
  }

  /** Says that no derivative will ask for it any more. */
  release(): void {
    if (this.#node !== null) this.#node.saves--;
  }

  /** Tensors kept in memory for it: the value itself, or what a hook says that it will read. */
  get held(): readonly Tensor[] {
    if (this.#hooks === null) return [this.#tensor!];
    return this.#hooks.held?.(this.#packed) ?? [];
  }

  /** The value; `owner` is the entry that saved it, null for a value that is no result of it. */
  unpack(owner: GradFn | null): Tensor {
    if (this.#hooks !== null) {
      const value = this.#hooks.unpack(this.#packed);
      return this.#resultNr < 0 ? onTape(value, this.#edge) : onTape(value, { fn: owner!, nr: this.#resultNr });
    }
    const tensor = this.#tensor!;
    const { impl } = tensor;
    const now = impl.storage.version;
    if (now !== this.#version)
      throw new AutogradError(
        `one of the variables needed for gradient computation has been modified by an inplace operation: ` +
          `[${impl.dtype} ${showShape(impl.shape)}]${this.#resultNr >= 0 ? `, which is output ${this.#resultNr} of ${owner!.name},` : ""} ` +
          `is at version ${now}; expected version ${this.#version} instead. ` +
          `Hint: clone() the tensor before changing it, or enable anomaly detection to find the operation that failed to compute its gradient.`,
      );
    if (this.#resultNr < 0 || impl.gradFn === owner) return tensor;
    return onTape(tensor, { fn: owner!, nr: this.#resultNr });
  }
}

/** The same value at another place on the tape. */
export function onTape(tensor: Tensor, edge: Edge | null): Tensor {
  const { impl } = tensor;
  const alias = new Impl(impl.storage, impl, impl.dtype);
  if (edge !== null && edge.fn.variable !== null) {
    alias.requiresGrad = true;
    alias.accumulator = edge.fn;
  } else if (edge !== null) {
    alias.gradFn = edge.fn;
    alias.outputNr = edge.nr;
  }
  return wrap(alias);
}

/** True if an operation on these inputs has to be recorded. */
export function needsTape(...inputs: readonly Tensor[]): boolean {
  if (!isGradEnabled()) return false;
  for (const input of inputs) if (input.requiresGrad) return true;
  return false;
}

/** Where the gradient of a tensor goes; null if it needs none. */
export function edgeOf(tensor: Tensor): Edge | null {
  if (!tensor.requiresGrad) return null;
  const fn = currentGradFn(tensor);
  if (fn !== null) return new Edge(fn, tensor.impl.outputNr);
  const { impl } = tensor;
  impl.accumulator ??= new GradFn({
    name: "AccumulateGrad",
    edges: [],
    results: [metaOf(tensor)],
    apply: () => [],
    variable: tensor,
  });
  return new Edge(impl.accumulator, 0);
}

export function metaOf(tensor: Tensor): ResultMeta {
  const { impl } = tensor;
  return new ResultMeta(impl.shape, impl.dtype, impl.backend);
}

/** The derivative with respect to one input: the values it needs, and the formula. Without an input, a place among the edges. */
export type Wrt = readonly [
  input: Tensor | null,
  saved: readonly Tensor[],
  formula: (g: Tensor, ...saved: Tensor[]) => Tensor | null,
];

/**
 * Records an operation with one result. Inputs that need no gradient keep nothing; values that no needed formula uses
 * are not saved. `once` is for those that, as in PyTorch, cannot run a second time although nothing was saved.
 */
export function record(name: string, out: Tensor, wrts: readonly Wrt[], once = false): void {
  if (!isGradEnabled() || !wrts.some(isWanted)) return;
  checkFloat(name, out);
  const edges = wrts.map(edgeOfWrt);
  let saved: SavedTensor[] | null = null;
  let tensors: Tensor[] | null = null;
  for (let i = 0; i < wrts.length; i++) {
    if (edges[i] === null) continue;
    const uses = wrts[i]![1];
    for (let u = 0; u < uses.length; u++) {
      const tensor = uses[u]!;
      if (tensors === null) tensors = list(tensor);
      else if (tensors.includes(tensor)) continue;
      else tensors.push(tensor);
      const value = new SavedTensor(tensor, tensor === out ? 0 : -1);
      if (saved === null) saved = list(value);
      else saved.push(value);
    }
  }
  const formulas = wrts.map(([, uses, formula], i) =>
    edges[i] === null ? null : new Formula(formula, uses.length === 0 ? NONE : uses.map((t) => tensors!.indexOf(t))),
  );
  const fn = new GradFn({
    name,
    edges,
    results: list(metaOf(out)),
    saved: saved ?? NONE,
    once,
    apply: applying(formulas),
  });
  attach(out, fn, 0);
}

function isWanted([input]: Wrt): boolean {
  return input !== null && input.requiresGrad;
}

function edgeOfWrt([input]: Wrt): Edge | null {
  return input === null ? null : edgeOf(input);
}

/** A formula, and the positions of its values among those that the entry saved. */
class Formula {
  readonly #formula: Wrt[2];
  readonly #uses: readonly number[];

  constructor(formula: Wrt[2], uses: readonly number[]) {
    this.#formula = formula;
    this.#uses = uses;
  }

  run(g: Tensor, saved: readonly Tensor[]): Tensor | null {
    const formula = this.#formula;
    const uses = this.#uses;
    switch (uses.length) {
      case 0:
        return formula(g);
      case 1:
        return formula(g, saved[uses[0]!]!);
      case 2:
        return formula(g, saved[uses[0]!]!, saved[uses[1]!]!);
      default:
        return formula(g, ...uses.map((u) => saved[u]!));
    }
  }
}

/** What an entry with one result does. It closes over the formulas alone: what else were in its scope would live as long. */
function applying(formulas: readonly (Formula | null)[]): Apply {
  return ([g], saved, needed) =>
    formulas.map((formula, i) => (formula === null || !needed[i] || g == null ? null : formula.run(g, saved)));
}

/** Records an operation with several results; `apply` gets their gradients and gives those of the inputs. */
export function recordMany(
  name: string,
  outs: readonly Tensor[],
  inputs: readonly Tensor[],
  saves: readonly Tensor[],
  apply: (grads: Grads, saved: readonly Tensor[], needed: readonly boolean[]) => Grads,
): void {
  if (!needsTape(...inputs)) return;
  const edges = inputs.map(edgeOf);
  const saved = saves.map((t) => new SavedTensor(t, outs.indexOf(t)));
  const fn = new GradFn({ name, edges, results: outs.map(metaOf), saved, apply });
  outs.forEach((out, i) => {
    if (isFloat(out.impl.dtype)) attach(out, fn, i);
  });
}

/** Makes `out` result `nr` of an entry. */
export function attach(out: Tensor, fn: GradFn, nr: number): void {
  out.impl.gradFn = fn;
  out.impl.outputNr = nr;
  attached?.(out, fn, nr);
}

/** Hears of every result of a new entry, while somebody listens. */
let attached: ((out: Tensor, fn: GradFn, nr: number) => void) | null = null;

/** Sets who hears of results (null: nobody); gives who did before. */
export function observeForward(observer: typeof attached): typeof attached {
  const before = attached;
  attached = observer;
  return before;
}

/** True while somebody has to see every entry as it is recorded: hooks on saved values, anomaly detection. */
export function isObserved(): boolean {
  return savedHooks.length > 0 || attached !== null || site !== null;
}

function checkFloat(name: string, out: Tensor): void {
  if (!isFloat(out.impl.dtype)) throw new AutogradError(`${name}: only floating point tensors can require gradients`);
}

/**
 * The entry that made a tensor as it is now. A view whose storage was changed through another tensor is seen anew from its
 * base.
 */
export function currentGradFn(tensor: Tensor): GradFn | null {
  const { impl } = tensor;
  const { base } = impl;
  if (base === null || impl.seenVersion === impl.storage.version) return impl.gradFn;
  if (impl.baseLayout !== base.impl.layout)
    throw new AutogradError(
      "a view was used after its base was changed and transposed or squeezed in place: make the view again from the base",
    );
  const baseEdge = edgeOf(base);
  if (baseEdge !== null && base.impl.gradFn !== null) {
    const replay = impl.replay!;
    impl.gradFn = new GradFn({
      name: "AsStridedBackward0",
      edges: [baseEdge],
      results: [metaOf(tensor)],
      apply: ([g]) => [g == null ? null : scatterIntoView(base, replay, g)],
    });
    impl.outputNr = 0;
  }
  impl.seenVersion = impl.storage.version;
  return impl.gradFn;
}

/** A tensor like `base`, zero but for `g` at the view. */
function scatterIntoView(base: Tensor, replay: (base: Tensor) => Tensor, g: Tensor): Tensor {
  const zeros = g.newZeros([...base.shape]);
  replay(zeros).copy_(g);
  return zeros;
}

/** Finds the user's line, while a mode that wants it (anomaly detection) is on. */
let site: (() => string) | null = null;

/** Switches recording of the user's lines. */
export function setSiteRecorder(recorder: (() => string) | null): (() => string) | null {
  const before = site;
  site = recorder;
  return before;
}
