/** What optimisers share: parameter groups, state, and a step that updates all parameters at once. */

import { noGrad } from "../autograd/mode.ts";
import { ArgumentError } from "../errors.ts";
import type { Node } from "../graph/node.ts";
import { needsWaiting, realize } from "../graph/runtime.ts";
import { isTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";

/** Tensors to optimise, or groups of them with options of their own. */
export type Parameters<O> = Iterable<Tensor> | Iterable<{ params: Iterable<Tensor> | Tensor } & Partial<O>>;

/** Parameters that share options. */
export type ParamGroup<O> = { params: Tensor[] } & O;

/** State of one parameter: tensors and numbers by name. */
export type ParamState = Record<string, Tensor | number>;

/** Base class of optimisers. `O` are the options of a group. */
export abstract class Optimizer<O extends object> {
  readonly paramGroups: ParamGroup<O>[] = [];
  readonly state = new Map<Tensor, ParamState>();
  readonly defaults: O;
  readonly #name: string;

  constructor(name: string, params: Parameters<O>, defaults: O) {
    this.#name = name;
    this.defaults = defaults;
    if (isTensor(params) || typeof (params as { [Symbol.iterator]?: unknown })[Symbol.iterator] !== "function")
      throw new ArgumentError(`${name}: params must be an array (or other iterable) of tensors or of groups, such as model.parameters()`);
    const list = [...params];
    if (list.length === 0) throw new ArgumentError(`${name}: got an empty parameter list`);
    if (list.every(isTensor)) this.addParamGroup({ params: list } as { params: Tensor[] } & Partial<O>);
    else for (const group of list) this.addParamGroup(group as { params: Iterable<Tensor> } & Partial<O>);
  }

  /** Adds parameters with options of their own. Throws for tensors that are no leaves or belong to another group. */
  addParamGroup(group: { params: Iterable<Tensor> | Tensor } & Partial<O>): void {
    if (isTensor(group) || typeof group !== "object" || group === null || !("params" in group))
      throw new ArgumentError(`${this.#name}: a parameter group must be an object with "params"`);
    const { params, ...options } = group;
    for (const key of Object.keys(options))
      if (!(key in this.defaults))
        throw new ArgumentError(`${this.#name}: unknown option "${key}"; known are ${Object.keys(this.defaults).join(", ")}`);
    const tensors = isTensor(params) ? [params] : [...params];
    const known = new Set(this.paramGroups.flatMap((g) => g.params));
    for (const p of tensors) {
      if (!isTensor(p)) throw new ArgumentError(`${this.#name}: can only optimize Tensors, but one of the params is ${typeof p}`);
      if (!p.isLeaf) throw new ArgumentError(`${this.#name}: can't optimize a non-leaf Tensor`);
      if (known.has(p)) throw new ArgumentError(`${this.#name}: some parameters appear in more than one parameter group`);
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
    noGrad(() => {
      for (const group of this.paramGroups) {
        const params = group.params.filter((p) => p.grad !== null);
        this.update(group, params);
        for (const p of params) {
          written.push(p);
          for (const value of Object.values(this.state.get(p) ?? {})) if (isTensor(value)) written.push(value);
        }
      }
    });
    const byBackend = new Map<unknown, Set<Node>>();
    for (const t of written) {
      const { node } = t.impl.storage;
      if (!node.pending) continue;
      const set = byBackend.get(node.backend);
      if (set === undefined) byBackend.set(node.backend, new Set([node]));
      else set.add(node);
    }
    for (const nodes of byBackend.values()) {
      const list = [...nodes];
      if (!needsWaiting(list)) realize(list);
    }
    return loss;
  }

  /** State of a parameter, made on first use. */
  protected stateOf(param: Tensor): ParamState {
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
      throw new ArgumentError(`loadStateDict: the saved state has ${saved.paramGroups.length} parameter groups, this optimiser ${this.paramGroups.length}`);
    const params: Tensor[] = [];
    saved.paramGroups.forEach((group, i) => {
      const own = this.paramGroups[i]!;
      if (group.params.length !== own.params.length)
        throw new ArgumentError(`loadStateDict: group ${i} has ${group.params.length} parameters in the saved state, ${own.params.length} here`);
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
  /** Rebinds the parameters given, all of which have gradients, and their state to new values. */
  protected abstract update(group: ParamGroup<O>, params: readonly Tensor[]): void;
}

/** What `stateDict()` gives. */
export interface OptimizerState<O> {
  readonly state: Record<number, ParamState>;
  readonly paramGroups: readonly ({ readonly params: readonly number[] } & O)[];
}

/** Fails unless a number is at least `low` (and below `high`). */
export function checkRange(name: string, what: string, value: number, low: number, high = Infinity): void {
  if (typeof value !== "number" || !(value >= low) || !(value < high || high === Infinity))
    throw new ArgumentError(`${name}: invalid ${what}: ${String(value)}`);
}
