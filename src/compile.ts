/** Functions that are recorded once and run again as one program: PyTorch's `compile`. */

import { describeValue } from "./args.ts";
import { gradsOrNull } from "./func/lift.ts";
import { putTogether, takeApart, type Form } from "./func/tree.ts";
import { walk } from "./autograd/engine.ts";
import { enableGrad, isGradEnabled, isInferenceModeEnabled, isPromise } from "./autograd/mode.ts";
import {
  attach,
  edgeOf,
  GradFn,
  isObserved,
  metaOf,
  SavedTensor,
  tapePosition,
  type Edge,
  type Grads,
} from "./autograd/tape.ts";
import type { Backend } from "./backend/backend.ts";
import { Impl, Storage, watchStorages, wrap } from "./base.ts";
import type { DType } from "./dtype.ts";
import { ArgumentError, TapegradError } from "./errors.ts";
import type { Node } from "./graph/node.ts";
import { argumentStandIn, asIfThere, kernelResults, Program, programOf } from "./graph/replay.ts";
import { residencyOf } from "./graph/runtime.ts";
import { beginTrace, endTrace, isTracing } from "./graph/trace.ts";
import { contiguousView, type View } from "./graph/view.ts";
import { Module } from "./nn/module.ts";
import { fromNode, isTensor, wholeNode } from "./ops/apply.ts";
import { constant, constantOf } from "./ops/creation.ts";
import { getRngState, isRandomNode, redrawn, setRngState, type RandomState } from "./random.ts";
import { isScopeOpen } from "./scope.ts";
import type { Tensor } from "./tensor.ts";

/** Recordings kept for one function; the oldest goes first. */
const MAX_RECORDINGS = 64;

/** A function that `compile` gave. */
export interface Compiled<A extends readonly unknown[], R> {
  (...args: A): R;
  /** Forgets what was recorded, so that the next call records anew. */
  reset(): void;
  /** How many calls were recorded, how many ran what had been recorded, and how many ran the function itself; and why the last of these did. */
  readonly stats: CompileStats;
}

export interface CompileStats {
  readonly recorded: number;
  readonly replayed: number;
  readonly eager: number;
  /** Why the function could not be recorded the last time that was so; null if it always could. */
  readonly reason: string | null;
}

/** Why something cannot be recorded. */
class NotRecorded extends TapegradError {}

/**
 * The function as one program (`torch.compile`): the first call with arguments of given shapes, dtypes and other values records what the function does;
 * further calls run that without recording anything, so that they cost the host next to nothing. Gradients flow through it, of any order, and random
 * operations draw anew at each call, the same numbers as without `compile`. Nothing has to be compiled: it only makes calls of many small operations cheaper.
 *
 * Arguments and results may be tensors and other values in nested arrays and records. What the function reads besides its arguments is fixed when it is
 * recorded: tensors by identity (the values that they have at each call are used), everything else, such as a number in a variable, by value. Of a
 * module, `training` and the tensors of all its parts are looked at at each call. `reset()` records anew.
 *
 * What cannot be recorded runs as it stands, each time: functions that read values, that write into tensors from outside (so does batch norm in training,
 * or an optimiser), or that call `backward()`. `stats` tells what was done, and why. Functions that cannot be recorded run twice the first time.
 *
 * ```ts
 * const loss = tg.compile((x: Tensor, y: Tensor) => F.crossEntropy(model.call(x), y));
 * loss(x, y).backward();
 * ```
 */
export function compile<M extends Module>(
  model: M,
): M["forward"] extends (...args: infer A) => infer R ? Compiled<A, R> : never;
export function compile<A extends readonly unknown[], R>(fn: (...args: A) => R): Compiled<A, R>;
export function compile(target: Module | ((...args: never[]) => unknown)): Compiled<readonly unknown[], unknown> {
  const module = target instanceof Module ? target : null;
  if (module === null && typeof target !== "function")
    throw new ArgumentError(`compile: expected a function or a Module, got ${describeValue(target)}`);
  const fn: AnyFunction =
    module === null
      ? (target as unknown as AnyFunction)
      : (...args) => (module as unknown as { call: AnyFunction }).call(...args);
  const recordings = new Map<string, Recording | string>();
  const stats = { recorded: 0, replayed: 0, eager: 0, reason: null as string | null };
  const run = (...args: readonly unknown[]): unknown => {
    const why = whyNotNow();
    if (why !== null) return eagerly(why, args);
    const { leaves, form } = takeApart(args);
    if (leaves.some(isOpaque)) return eagerly("an argument is an object whose content may change", args);
    const key = keyOf(leaves, form) + (module === null ? "" : moduleKey(module));
    let recording = recordings.get(key);
    if (recording === undefined || (typeof recording !== "string" && !recording.isCurrent())) {
      // What is made once and used again must not end with a scope.
      if (isScopeOpen()) return eagerly("nothing is recorded inside a scope()", args);
      recording = tryToRecord(fn, leaves, form, typeof recording !== "object" || recording.expectsOne);
      recordings.delete(key);
      recordings.set(key, recording);
      if (recordings.size > MAX_RECORDINGS) recordings.delete(recordings.keys().next().value!);
      if (typeof recording !== "string") stats.recorded++;
    } else if (typeof recording !== "string") stats.replayed++;
    return typeof recording === "string" ? eagerly(recording, args) : recording.run(leaves, form);
  };
  const eagerly = (reason: string, args: readonly unknown[]): unknown => {
    stats.eager++;
    stats.reason = reason;
    return fn(...args);
  };
  return Object.assign(run, { reset: () => recordings.clear(), stats });
}

type AnyFunction = (...args: readonly unknown[]) => unknown;

// --- what calls have in common --------------------------------------------------------------------------------------

/** Why a call cannot be one of a recorded program, whatever the function; null if it can. */
function whyNotNow(): string | null {
  if (isTracing()) return "called inside a function that is vectorised or recorded itself";
  if (isObserved()) return "values are being observed (saved-tensor hooks, detectAnomaly)";
  return null;
}

/** True for what cannot be told apart by its value: typed arrays, maps, instances of classes, symbols. */
function isOpaque(leaf: unknown): boolean {
  return typeof leaf === "symbol" || (typeof leaf === "object" && leaf !== null && !isTensor(leaf));
}

const identities = new WeakMap<object, number>();
let nextIdentity = 0;

function identityOf(value: object): number {
  let number = identities.get(value);
  if (number === undefined) identities.set(value, (number = nextIdentity++));
  return number;
}

/** Text that is equal for calls that the same recording serves. */
function keyOf(leaves: readonly unknown[], form: Form): string {
  let key = `${isGradEnabled() ? "g" : ""}${isInferenceModeEnabled() ? "i" : ""}`;
  let next = 0;
  const visit = (part: Form): void => {
    if (part.kind === "leaf") key += `${leafKey(leaves[next++])};`;
    else {
      key += part.kind === "array" ? `[${part.names.join()}` : `{${JSON.stringify(part.keys)}`;
      for (const item of part.items) visit(item);
      key += "]";
    }
  };
  visit(form);
  return key;
}

function leafKey(leaf: unknown): string {
  if (isTensor(leaf)) {
    const { impl } = leaf;
    const { backend } = impl;
    return (
      `t${identityOf(backend)}${impl.dtype}${impl.shape.join()}|${impl.strides.join()}|${impl.offset}|${impl.storage.node.numel}` +
      `${leaf.requiresGrad ? "g" : ""}${impl.inference ? "i" : ""}`
    );
  }
  if (typeof leaf === "string") return JSON.stringify(leaf);
  if (typeof leaf === "function") return `o${identityOf(leaf)}`;
  return Object.is(leaf, -0) ? "-0" : `${typeof leaf}${String(leaf)}`;
}

/** What a module's call depends on besides its arguments. */
function moduleKey(module: Module): string {
  let key = "";
  for (const part of module.modules()) key += part.training ? "T" : "E";
  for (const tensor of [...module.parameters(), ...module.buffers()])
    key += `,${identityOf(tensor)}${tensor.requiresGrad ? "g" : ""}`;
  return key;
}

// --- recording ------------------------------------------------------------------------------------------------------

/** Records a call; gives the reason if that cannot be done. The state of the random generator stays. */
function tryToRecord(fn: AnyFunction, leaves: readonly unknown[], form: Form, expectsOne: boolean): Recording | string {
  const state = getRngState();
  try {
    return record(fn, leaves, form, expectsOne);
  } catch (error) {
    if (error instanceof AsynchronousError) throw error;
    // An error of the function itself comes again when it runs as it stands.
    return error instanceof Error ? error.message : String(error);
  } finally {
    setRngState(state);
  }
}

class AsynchronousError extends ArgumentError {}

/** A tensor that the function reads and did not get: its storage, and what is assumed of it. */
interface Captured {
  readonly storage: Storage;
  readonly node: Node;
  readonly start: number;
  readonly isScalar: boolean;
}

/** How a tensor reads a node. */
interface Placed {
  readonly node: Node;
  readonly view: View;
  readonly dtype: DType;
}

/** A result: the argument itself, a tensor from outside, another value, or what was computed. */
type Output =
  | { readonly kind: "argument"; readonly leaf: number }
  | { readonly kind: "same"; readonly value: unknown }
  | { readonly kind: "computed"; readonly placed: Placed; readonly storage: Storage; readonly isOnTape: boolean };

/** Where a gradient goes: to an argument, or to a leaf from outside. */
type Source = { readonly leaf: number } | { readonly tensor: Tensor };

function record(fn: AnyFunction, leaves: readonly unknown[], form: Form, expectsOne: boolean): Recording {
  const tensors = leaves.filter(isTensor);
  const backend = tensors[0]?.impl.backend;
  if (backend === undefined) throw new NotRecorded("no argument is a tensor");
  if (tensors.some((t) => t.impl.backend !== backend)) throw new NotRecorded("arguments are on several devices");
  const before = getRngState();
  const tapeStart = tapePosition();
  const standIns = leaves.map((leaf) => (isTensor(leaf) ? standInFor(leaf) : leaf));
  const leafOf = new Map<Node, number>();
  standIns.forEach((s, i) => isTensor(s) && leafOf.set(s.impl.storage.node, i));
  const read = new Map<Node, Storage>();
  const trace = beginTrace(backend, 1, "replayed");
  const restore = watchStorages({
    reads: (storage, node) => {
      if (node.id < trace.start && !read.has(node)) read.set(node, storage);
    },
    writes: (storage) => {
      if (storage.birth < trace.start)
        throw new NotRecorded("the function writes into a tensor (or a gradient) from outside");
    },
  });
  try {
    const result = fn(...(putTogether(form, standIns) as readonly unknown[]));
    if (isPromise(result)) {
      result.then(undefined, () => undefined); // it cannot read what it was given
      throw new AsynchronousError("compile: the function must not be asynchronous: it has to return tensors at once");
    }
    const { leaves: results, form: resultForm } = takeApart(result);
    const outputs = results.map((value) => outputFor(value, standIns, trace.start));
    const shared = new Set<Storage>();
    for (const o of outputs) {
      if (o.kind !== "computed") continue;
      if (shared.has(o.storage) && o.isOnTape) throw new NotRecorded("results share memory");
      shared.add(o.storage);
    }
    const outs = outputs.flatMap((o, i) => (o.kind === "computed" && o.isOnTape ? [results[i] as Tensor] : []));
    const { sources, ends } = sourcesOf(outs, standIns, tapeStart);
    const fromOne = expectsOne && outs.length === 1 && outs[0]!.numel() === 1;
    const seeds = outs.map(({ shape, dtype }) =>
      fromOne ? constant(backend, shape, 1, dtype) : fromNode(argumentStandIn(backend, shape, dtype)),
    );
    const grads = sources.length === 0 ? [] : gradientsOf(outs, seeds, ends);
    watchStorages(restore);
    if (getRngState().seed.some((word, i) => word !== before.seed[i]) || getRngState().counter < before.counter)
      throw new NotRecorded("the function sets the random generator's state");
    const seedNodes = fromOne ? [] : seeds.map((s) => s.impl.storage.node);
    const given = new Set<Node>([...leafOf.keys(), ...seedNodes]);
    const captured: Captured[] = [];
    for (const [node, storage] of read) {
      if (given.has(node)) continue;
      given.add(node);
      captured.push({ storage, node, start: storage.start, isScalar: node.isHostScalar });
    }
    return new Recording({
      fn,
      backend,
      before,
      draws: getRngState().counter - before.counter,
      leafOf,
      captured,
      given,
      outputs,
      resultForm,
      sources,
      fromOne,
      seeds: seedNodes,
      grads: grads.map((g) => (g === null ? null : { node: g.impl.storage.node, view: viewOf(g), dtype: g.dtype })),
    });
  } finally {
    watchStorages(restore);
    endTrace(trace, () => true);
  }
}

function viewOf({ impl }: Tensor): View {
  return { shape: impl.shape, strides: impl.strides, offset: impl.offset };
}

/** A tensor of the same form on a node that has no value yet. */
function standInFor(tensor: Tensor): Tensor {
  const { impl } = tensor;
  const node = argumentStandIn(impl.backend, [impl.storage.node.numel], impl.dtype);
  const copy = new Impl(new Storage(node), viewOf(tensor), impl.dtype);
  copy.requiresGrad = tensor.requiresGrad;
  copy.inference = impl.inference;
  return wrap(copy);
}

function outputFor(value: unknown, standIns: readonly unknown[], start: number): Output {
  if (isOpaque(value)) throw new NotRecorded("a result is an object that may hold tensors");
  if (!isTensor(value)) return { kind: "same", value };
  const leaf = standIns.indexOf(value);
  if (leaf >= 0) return { kind: "argument", leaf };
  const { impl } = value;
  const { node } = impl.storage;
  if (impl.storage.birth < start) {
    if (node.traced) throw new NotRecorded("the function returns another view of an argument");
    return { kind: "same", value };
  }
  if (value.requiresGrad && value.isLeaf) throw new NotRecorded("a result is a leaf that was made inside");
  if (!node.pending) throw new NotRecorded("a result's value is known when the function is recorded");
  return {
    kind: "computed",
    placed: { node, view: viewOf(value), dtype: impl.dtype },
    storage: impl.storage,
    isOnTape: value.requiresGrad,
  };
}

/** The leaves that gradients of the results go to, and where they are on the tape. */
function sourcesOf(
  outs: readonly Tensor[],
  standIns: readonly unknown[],
  tapeStart: number,
): { sources: Source[]; ends: Edge[] } {
  const sources: Source[] = [];
  const ends: Edge[] = [];
  const stack = outs.flatMap((out) => edgeOf(out)?.fn ?? []);
  const seen = new Set<GradFn>(stack);
  while (stack.length > 0) {
    const fn = stack.pop()!;
    if (fn.variable !== null) {
      const leaf = standIns.indexOf(fn.variable);
      if ((fn.variable.impl.hooks?.length ?? 0) > 0 || fn.hooks?.some((hooks) => (hooks?.length ?? 0) > 0) === true)
        throw new NotRecorded("a tensor from outside has hooks");
      sources.push(leaf >= 0 ? { leaf } : { tensor: fn.variable });
      ends.push({ fn, nr: 0 });
    } else if (fn.sequence < tapeStart)
      throw new NotRecorded(
        "the function reads a tensor from outside that is itself computed with gradients: pass it as an argument",
      );
    for (const edge of fn.edges)
      if (edge !== null && !seen.has(edge.fn)) {
        seen.add(edge.fn);
        stack.push(edge.fn);
      }
  }
  return { sources, ends };
}

function gradientsOf(outs: readonly Tensor[], seeds: readonly Tensor[], ends: readonly Edge[]): Grads {
  return walk(outs, seeds, { capture: ends, retainGraph: false, createGraph: false, accumulate: false });
}

// --- running --------------------------------------------------------------------------------------------------------

interface Recorded {
  readonly fn: AnyFunction;
  readonly backend: Backend;
  /** The random generator's state when it was recorded, and how many streams it draws. */
  readonly before: RandomState;
  readonly draws: number;
  /** Which argument a node stood for. */
  readonly leafOf: ReadonlyMap<Node, number>;
  readonly captured: readonly Captured[];
  readonly given: ReadonlySet<Node>;
  readonly outputs: readonly Output[];
  readonly resultForm: Form;
  readonly sources: readonly Source[];
  /** True if the way back was recorded from the gradient that `backward()` of a single number starts with. */
  readonly fromOne: boolean;
  /** Nodes that stood for the gradients of the results on the tape, if it was not. */
  readonly seeds: readonly Node[];
  /** The gradient of each source; null where none reaches it. */
  readonly grads: readonly (Placed | null)[];
}

/** A recorded call, and the way back. */
class Recording {
  readonly #of: Recorded;
  /** Nodes whose values the program writes out: results, then what the way back needs. */
  readonly #targets: readonly Node[];
  readonly #forward: Program | null;
  readonly #backward: Program | null = null;
  readonly #gradTargets: readonly Node[] = [];
  /** Arguments and tensors from outside that the way back reads, and values that it takes from the way there. */
  readonly #backwardReads: readonly Node[] = [];
  readonly #carried: readonly Node[] = [];
  /** True once a gradient came that is not the one that the way back was recorded from. */
  #hasOtherSeed = false;

  constructor(recorded: Recorded) {
    this.#of = recorded;
    const { given, backend } = recorded;
    // What is not computed yet will be there when the program runs.
    const later = [...given].filter((n) => n.pending);
    const results = new Set(recorded.outputs.flatMap((o) => (o.kind === "computed" ? [o.placed.node] : [])));
    const gradNodes = new Set(recorded.grads.flatMap((g) => (g === null ? [] : [g.node])));
    const pendingGrads = [...gradNodes].filter((n) => !given.has(n) && n.pending);
    const targets = [...results];
    if (pendingGrads.length > 0 || recorded.sources.length > 0) {
      const seeds = new Set(recorded.seeds);
      const carried = asIfThere(later, () => carriedOver(results, pendingGrads, given, seeds, backend));
      for (const node of carried) if (!results.has(node)) targets.push(node);
      this.#carried = carried;
      this.#gradTargets = pendingGrads.filter((n) => !carried.includes(n));
      const known = new Set([...given, ...carried]);
      if (this.#gradTargets.length > 0) {
        this.#backward = asIfThere(
          [...later, ...carried],
          () => new Program(this.#gradTargets, known, backend, isRandomNode),
        );
        this.#backwardReads = this.#backward.reads;
      }
      const direct = [...gradNodes].filter((n) => known.has(n));
      this.#backwardReads = [...new Set([...this.#backwardReads, ...direct])];
    }
    this.#targets = targets;
    this.#forward =
      targets.length === 0 ? null : asIfThere(later, () => new Program(targets, given, backend, isRandomNode));
  }

  /** False if the next recording should be for gradients of any value. */
  get expectsOne(): boolean {
    return this.#of.fromOne && !this.#hasOtherSeed;
  }

  /** True if what was assumed of tensors from outside, and of gradients, is so still. */
  isCurrent(): boolean {
    if (this.#hasOtherSeed) return false;
    for (const source of this.#of.sources)
      if ("tensor" in source && !(source.tensor.requiresGrad && source.tensor.isLeaf)) return false;
    for (const { storage, node, start, isScalar } of this.#of.captured) {
      const now = storage.node;
      if (now.isHostScalar !== isScalar) return false;
      if (now === node) continue;
      if (
        now.backend !== node.backend ||
        now.dtype !== node.dtype ||
        now.numel !== node.numel ||
        storage.start !== start
      )
        return false;
    }
    return true;
  }

  run(leaves: readonly unknown[], form: Form): unknown {
    const { outputs, resultForm, draws, before } = this.#of;
    const state = getRngState();
    const now = new Map<Node, Node>();
    for (const [node, leaf] of this.#of.leafOf) now.set(node, (leaves[leaf] as Tensor).impl.storage.node);
    for (const { node, storage } of this.#of.captured) now.set(node, storage.node);
    const scalarsOf = (node: Node): number[] => redrawn(node, before, state);
    const values = this.#forward?.run((node) => now.get(node)!, scalarsOf) ?? [];
    if (draws > 0) setRngState({ seed: state.seed, counter: state.counter + draws });
    this.#targets.forEach((node, i) => now.set(node, values[i]!));
    const storages = new Map<Storage, Storage>();
    const onTape: Tensor[] = [];
    const results = outputs.map((output) => {
      if (output.kind === "argument") return leaves[output.leaf];
      if (output.kind === "same") return output.value;
      let storage = storages.get(output.storage);
      if (storage === undefined) storages.set(output.storage, (storage = new Storage(now.get(output.placed.node)!)));
      const impl = new Impl(storage, output.placed.view, output.placed.dtype);
      impl.inference = isInferenceModeEnabled();
      const tensor = wrap(impl);
      if (output.isOnTape) onTape.push(tensor);
      return tensor;
    });
    if (onTape.length > 0 && this.#of.sources.length > 0) this.#putOnTape(onTape, leaves, form, now, storages, state);
    return putTogether(resultForm, results);
  }

  /** Records the call as one entry of the tape. */
  #putOnTape(
    outs: readonly Tensor[],
    leaves: readonly unknown[],
    form: Form,
    now: ReadonlyMap<Node, Node>,
    storages: ReadonlyMap<Storage, Storage>,
    state: RandomState,
  ): void {
    const { sources, grads, seeds, fromOne, leafOf, captured, backend, before, outputs } = this.#of;
    const inputs = sources.map((s) => ("leaf" in s ? (leaves[s.leaf] as Tensor) : s.tensor));
    const storageOf = new Map(captured.map((c) => [c.node, c.storage]));
    const carried = new Set(this.#carried);
    const outside = this.#backwardReads.filter((n) => !seeds.includes(n) && !carried.has(n));
    const saved = outside.map((node) => {
      const leaf = leafOf.get(node);
      return new SavedTensor(leaf === undefined ? asTensor(storageOf.get(node)!, node) : (leaves[leaf] as Tensor), -1);
    });
    // Results that the way back needs are saved as such, so that writing into them is noticed.
    const written = new Map<Node, Storage>();
    for (const o of outputs) if (o.kind === "computed") written.set(o.placed.node, storages.get(o.storage)!);
    const kept = this.#carried.map((node) => {
      const storage = written.get(node) ?? new Storage(now.get(node)!);
      return new SavedTensor(asTensor(storage, node), -1);
    });
    // What the function got is needed to differentiate the derivative.
    let again: readonly unknown[] | null = leaves;
    const returned = new Set(grads.map((g) => g?.node ?? null));
    const results = new Set([...written.values()].map((storage) => storage.node));
    const fn = new GradFn({
      name: "CompiledFunctionBackward",
      edges: inputs.map(edgeOf),
      results: outs.map(metaOf),
      saved: [...saved, ...kept],
      once: true,
      apply: (given, values) => {
        const isOther = fromOne && given[0] != null && constantOf(given[0].impl.storage.node) !== 1;
        if (isOther) this.#hasOtherSeed = true;
        // Where only some of the results are used, what the others alone depend on has no gradient.
        if (isGradEnabled() || isOther || given.some((g) => g === null))
          return this.#differentiateAgain(putTogether(form, again!) as readonly unknown[], inputs, given, state);
        const incoming = given as readonly Tensor[];
        const at = new Map<Node, Node>();
        outside.forEach((node, i) => at.set(node, values[i]!.impl.storage.node));
        this.#carried.forEach((node, i) => at.set(node, values[outside.length + i]!.impl.storage.node));
        seeds.forEach((node, i) => at.set(node, wholeNode(incoming[i]!)));
        const found = this.#backward?.run(
          (node) => at.get(node)!,
          (node) => redrawn(node, before, state),
        );
        this.#gradTargets.forEach((node, i) => at.set(node, found![i]!));
        return grads.map((g) =>
          g === null ? null : wrap(new Impl(new Storage(at.get(g.node) ?? g.node), g.view, g.dtype)),
        );
      },
      onRelease: () => {
        again = null;
        for (const node of this.#carried) {
          const value = now.get(node)!;
          if (!results.has(value) && !returned.has(node)) residencyOf(backend).release(value, "");
        }
      },
    });
    outs.forEach((out, i) => attach(out, fn, i));
  }

  /** Gradients as functions of the arguments, by the function itself. */
  #differentiateAgain(args: readonly unknown[], inputs: readonly Tensor[], given: Grads, state: RandomState): Grads {
    const later = getRngState();
    setRngState(state);
    try {
      const results = takeApart(enableGrad(() => this.#of.fn(...args))).leaves;
      const outs = this.#of.outputs.flatMap((o, i) =>
        o.kind === "computed" && o.isOnTape ? [results[i] as Tensor] : [],
      );
      const used = given.flatMap((g, i) => (g === null ? [] : [i]));
      const createGraph = isGradEnabled();
      const seeds = used.map((i) => given[i]!);
      return gradsOrNull(
        used.map((i) => outs[i]!),
        inputs,
        seeds,
        createGraph,
        createGraph,
      );
    } finally {
      setRngState(later);
    }
  }
}

/** Everything in a storage. */
function asTensor(storage: Storage, node: Node): Tensor {
  return wrap(new Impl(storage, { ...contiguousView([node.numel]), offset: storage.start }, node.dtype));
}

/**
 * Values that the way back takes over: those that the scheduler would write out if both ways were one program, as far as they belong to the way there
 * or come from its kernels (statistics of a norm, places of maxima).
 */
function carriedOver(
  results: ReadonlySet<Node>,
  grads: readonly Node[],
  given: ReadonlySet<Node>,
  seeds: ReadonlySet<Node>,
  backend: Backend,
): Node[] {
  const forward = programOf([...results], given);
  const own = new Set(forward.nodes.slice(0, forward.pending));
  const both = new Set([...results, ...grads]);
  const kernels = grads.length === 0 ? [] : kernelResults(programOf([...both], given), both, backend);
  const stored = new Set(kernels.flat());
  const early = new Set<Node>(results);
  // Gradients themselves are left to the way back.
  const wanted = new Set(grads);
  /** True if a value needs nothing that only the way back computes. */
  const isHadEarly = (node: Node): boolean => {
    const seen = new Set<Node>();
    const stack = argsOf(node);
    while (stack.length > 0) {
      const source = stack.pop()!;
      if (seeds.has(source)) return false;
      if (seen.has(source) || own.has(source) || early.has(source) || given.has(source) || !source.pending) continue;
      if (stored.has(source)) return false;
      seen.add(source);
      stack.push(...argsOf(source));
    }
    return true;
  };
  for (const written of kernels)
    if (written.some((node) => own.has(node)))
      for (const node of written) if (own.has(node) || (!wanted.has(node) && isHadEarly(node))) early.add(node);
  const carried = new Set<Node>();
  const seen = new Set<Node>();
  const stack = [...grads];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node) || given.has(node) || !node.pending) continue;
    seen.add(node);
    if (early.has(node)) carried.add(node);
    else stack.push(...argsOf(node));
  }
  return [...carried];
}

function argsOf({ args, tables }: Node): Node[] {
  return [...args, ...tables].flatMap(({ node }) => node ?? []);
}
