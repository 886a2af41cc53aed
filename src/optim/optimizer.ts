/** What optimisers share: parameter groups, state, and a step that updates all parameters at once. */

import { describeValue } from "../args.ts";
import { noGrad } from "../autograd/mode.ts";
import type { Storage } from "../base.ts";
import { ArgumentError } from "../errors.ts";
import { lastNodeId, type Node } from "../graph/node.ts";
import { notePhase } from "../graph/phases.ts";
import { dependsOn } from "../graph/faults.ts";
import { flushRecorded, realize } from "../graph/runtime.ts";
import { needsWaiting } from "../graph/transfers.ts";
import { isTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { layoutOf, ownsStorage, packed, partsOf, wholeOf } from "./pack.ts";

/** Tensors to optimise, or groups of them with options of their own. */
export type Parameters<O> = Iterable<Tensor> | Iterable<GivenGroup<O>>;

/** A group of parameters as a user gives it: options left out are the optimiser's. */
export type GivenGroup<O> = {
  /** One tensor or several. */
  params: Iterable<Tensor> | Tensor;
} & Partial<O>;

/** Parameters that share options. */
export type ParamGroup<O> = {
  /** The tensors. */
  params: Tensor[];
} & O;

/** State of one parameter: tensors and numbers by name. */
export type ParamState = Record<string, Tensor | number>;

/** Base class of optimisers. `O` are the options of a group. */
export abstract class Optimizer<O extends object> {
  /** Parameters with their options; options may be changed between steps. */
  readonly paramGroups: ParamGroup<O>[] = [];
  /** State of each parameter that was updated. */
  readonly state = new Map<Tensor, ParamState>();
  /** Options of groups that do not say otherwise. */
  readonly defaults: O;
  /** Storages that were told that they are state. */
  readonly #kept = new WeakSet<Storage>();
  readonly #name: string;

  constructor(name: string, params: Parameters<O>, defaults: O) {
    this.#name = name;
    this.defaults = defaults;
    if (isTensor(params) || typeof (params as { [Symbol.iterator]?: unknown })[Symbol.iterator] !== "function")
      throw new ArgumentError(
        `${name}: params must be an array (or other iterable) of tensors or of groups, such as model.parameters()`,
      );
    const list = [...params];
    if (list.length === 0) throw new ArgumentError(`${name}: got an empty parameter list`);
    if (list.every(isTensor)) this.addParamGroup({ params: list } as { params: Tensor[] } & Partial<O>);
    else for (const group of list) this.addParamGroup(group as { params: Iterable<Tensor> } & Partial<O>);
  }

  /** Adds parameters with options of their own. Throws for tensors that are no leaves or belong to another group. */
  addParamGroup(group: GivenGroup<O>): void {
    if (isTensor(group) || typeof group !== "object" || group === null || !("params" in group))
      throw new ArgumentError(`${this.#name}: a parameter group must be an object with "params"`);
    const { params, ...options } = group;
    for (const key of Object.keys(options))
      if (!(key in this.defaults))
        throw new ArgumentError(
          `${this.#name}: unknown option "${key}"; known are ${Object.keys(this.defaults).join(", ")}`,
        );
    const tensors = isTensor(params) ? [params] : [...params];
    const known = new Set(this.paramGroups.flatMap((g) => g.params));
    for (const p of tensors) {
      if (!isTensor(p))
        throw new ArgumentError(`${this.#name}: can only optimize Tensors, but one of the params is ${typeof p}`);
      if (!p.isLeaf) throw new ArgumentError(`${this.#name}: can't optimize a non-leaf Tensor`);
      if (known.has(p))
        throw new ArgumentError(`${this.#name}: some parameters appear in more than one parameter group`);
      known.add(p);
    }
    const merged = { ...this.defaults, ...options, params: tensors } as ParamGroup<O>;
    this.check(merged);
    this.paramGroups.push(merged);
  }

  /** Forgets all gradients; with `setToNull: false` fills them with zeros. */
  zeroGrad(setToNull = true): void {
    for (const { params } of this.paramGroups)
      for (const p of params) {
        if (p.grad === null) continue;
        if (setToNull) p.grad = null;
        else p.grad = p.grad.detach().zerosLike();
      }
  }

  /** Updates every parameter that has a gradient. A `closure` that computes the loss again may be given; its loss is returned. */
  step(closure?: () => Tensor): Tensor | null {
    const loss = closure === undefined ? null : closure();
    const written: Tensor[] = [];
    // What was recorded and not read (statistics, copies, metrics) is written out before what it is computed from may go.
    for (const backend of new Set(this.paramGroups.flatMap(({ params }) => params.map((p) => p.impl.backend)))) {
      const problem = flushRecorded(backend).find(({ node, isRetained }) => isRetained && this.#isConcerned(node));
      // Nothing was changed: the step can be made again once there is memory.
      if (problem !== undefined) throw problem.error;
    }
    const before = lastNodeId();
    noGrad(() => {
      for (const group of this.paramGroups) {
        const params = group.params.filter((p) => p.grad !== null);
        for (const bucket of this.#buckets(params)) this.#updateTogether(group, bucket);
        for (const p of params) {
          written.push(p);
          for (const value of Object.values(this.state.get(p) ?? {})) if (isTensor(value)) written.push(value);
        }
      }
    });
    notePhase("step", before, lastNodeId());
    const byBackend = new Map<unknown, Set<Node>>();
    for (const t of written) {
      const { storage } = t.impl;
      if (!this.#kept.has(storage)) {
        this.#kept.add(storage);
        storage.keep(true, t.impl.requiresGrad ? "parameter" : "optimiser state");
      }
      const { node } = storage;
      node.stepped = true;
      if (!node.pending) continue;
      const set = byBackend.get(node.backend);
      if (set === undefined) byBackend.set(node.backend, new Set([node]));
      else set.add(node);
    }
    for (const nodes of byBackend.values()) {
      const list = [...nodes];
      // What the update computed on its way is out of anybody's reach.
      if (!needsWaiting(list)) realize(list, undefined, (node) => node.id > before);
    }
    return loss;
  }

  /** True if the value is computed from what a step overwrites, or if a step needs it. */
  #isConcerned(node: Node): boolean {
    const params = this.paramGroups.flatMap((group) => group.params);
    const states = params.flatMap((p) => Object.values(this.state.get(p) ?? {}).filter(isTensor));
    const overwritten = new Set([...params, ...states].map((t) => t.impl.storage.node));
    const needed = new Set([node]);
    return (
      dependsOn(node, overwritten) || params.some((p) => p.grad !== null && dependsOn(p.grad.impl.storage.node, needed))
    );
  }

  /** Parameters whose update is the same computation: of one device and dtype, with equal numbers in their state. */
  #buckets(params: readonly Tensor[]): Tensor[][] {
    const buckets = new Map<string, Tensor[]>();
    for (const p of params) {
      const state = this.state.get(p) ?? {};
      const numbers = Object.entries(state).map(([k, v]) => `${k}=${isTensor(v) ? "tensor" : v}`);
      const together = ownsStorage(p) && p.grad!.dtype === p.dtype && p.numel() > 0;
      const key = together ? `${p.device}/${p.dtype}/${numbers.join()}` : `alone${buckets.size}`;
      const bucket = buckets.get(key);
      if (bucket === undefined) buckets.set(key, [p]);
      else bucket.push(p);
    }
    return [...buckets.values()];
  }

  /** Updates parameters as one vector. */
  #updateTogether(group: ParamGroup<O>, params: readonly Tensor[]): void {
    const first = params[0]!;
    if (params.length === 1) {
      const state = this.state.get(first) ?? {};
      this.update(group, first, first.grad!, state);
      if (Object.keys(state).length > 0) this.state.set(first, state);
      return;
    }
    const layout = layoutOf(params);
    const whole = packed(params, layout);
    const before: ParamState = {};
    for (const [name, value] of Object.entries(this.state.get(first) ?? {})) {
      if (!isTensor(value)) before[name] = value;
      else {
        const parts = params.map((p) => this.state.get(p)![name] as Tensor);
        before[name] = wholeOf(parts, layout) ?? packed(parts, layout);
      }
    }
    const state = { ...before };
    const grad = packed(
      params.map((p) => p.grad!),
      layout,
    );
    this.update(group, whole, grad, state);
    const { node } = whole.impl.storage;
    params.forEach((p, i) => {
      p.impl.storage.bind(node, layout.starts[i]);
      p.impl.storage.version++;
    });
    whole.impl.storage.release();
    for (const [name, value] of Object.entries(state)) {
      if (!isTensor(value)) for (const p of params) this.#stateOf(p)[name] = value;
      else {
        const own = params.map((p) => this.#stateOf(p)[name]);
        const isView = own.every((v) => isTensor(v) && v.impl.storage === value.impl.storage);
        if (!isView) partsOf(value, params, layout).forEach((part, i) => (this.#stateOf(params[i]!)[name] = part));
      }
    }
  }

  #stateOf(param: Tensor): ParamState {
    let state = this.state.get(param);
    if (state === undefined) this.state.set(param, (state = {}));
    return state;
  }

  /** Everything needed to go on later: state by parameter number, and groups with numbers in the place of parameters. */
  stateDict(): OptimizerState<O> {
    const numbers = new Map<Tensor, number>();
    for (const { params } of this.paramGroups) for (const p of params) numbers.set(p, numbers.size);
    const state: Record<number, ParamState> = {};
    for (const [param, values] of this.state) state[numbers.get(param)!] = { ...values };
    const paramGroups = this.paramGroups.map(({ params, ...options }) => ({
      ...(options as unknown as O),
      params: params.map((p) => numbers.get(p)!),
    }));
    return { state, paramGroups };
  }

  /** Goes on from a state taken before, for parameters in the same order. */
  loadStateDict(saved: OptimizerState<O>): void {
    if (saved.paramGroups.length !== this.paramGroups.length)
      throw new ArgumentError(
        `loadStateDict: the saved state has ${saved.paramGroups.length} parameter groups, this optimiser ${this.paramGroups.length}`,
      );
    const params: Tensor[] = [];
    saved.paramGroups.forEach((group, i) => {
      const own = this.paramGroups[i]!;
      if (group.params.length !== own.params.length)
        throw new ArgumentError(
          `loadStateDict: group ${i} has ${group.params.length} parameters in the saved state, ${own.params.length} here`,
        );
      const { params: _, ...options } = group;
      Object.assign(own, options);
      params.push(...own.params);
    });
    this.state.clear();
    for (const [key, values] of Object.entries(saved.state)) {
      const param = params[Number(key)]!;
      const copy: ParamState = {};
      for (const [name, value] of Object.entries(values)) copy[name] = isTensor(value) ? value.detach().clone() : value;
      this.state.set(param, copy);
    }
  }

  /** Fails for options out of their range. */
  protected abstract check(group: ParamGroup<O>): void;
  /** Changes a parameter (or several, as one vector) and its state in place, given its gradient. */
  protected abstract update(group: ParamGroup<O>, param: Tensor, grad: Tensor, state: ParamState): void;
}

/** What `stateDict()` gives. */
export interface OptimizerState<O> {
  /** State by the number of the parameter. */
  readonly state: Record<number, ParamState>;
  /** Groups, with numbers in the place of parameters. */
  readonly paramGroups: readonly ({
    /** Numbers of the parameters. */
    readonly params: readonly number[];
  } & O)[];
}

/** Fails unless a number is at least `low` (and below `high`). */
export function checkRange(name: string, what: string, value: number, low: number, high = Infinity): void {
  if (typeof value !== "number" || !(value >= low) || !(value < high || high === Infinity))
    throw new ArgumentError(`${name}: invalid ${what}: ${describeValue(value)}`);
}
