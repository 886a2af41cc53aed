/** The base of layers and models. */

import { applyOptions } from "../args.ts";
import type { DeviceType } from "../backend/backend.ts";
import { noGrad } from "../autograd/mode.ts";
import { DTYPES, isFloat, type DType } from "../dtype.ts";
import { ArgumentError, ShapeError, TapegradError } from "../errors.ts";
import { sameShape, showShape } from "../graph/view.ts";
import { isTensor } from "../ops/apply.ts";
import type { HookHandle, Tensor } from "../tensor.ts";
import { Parameter } from "./parameter.ts";

/** Parameters and buffers by name. */
export type StateDict = Record<string, Tensor>;

/** What `loadStateDict` found on one side only. */
export interface LoadResult {
  /** Names of the module that the state dict lacks. */
  readonly missingKeys: string[];
  /** Names of the state dict that the module lacks. */
  readonly unexpectedKeys: string[];
}

/** Called before `forward` with the module and its arguments; what it returns, if anything, takes their place. */
export type ForwardPreHook = (module: Module, args: readonly unknown[]) => unknown;
/** Called after `forward` with the module, its arguments and the result; what it returns, if anything, takes its place. */
export type ForwardHook = (module: Module, args: readonly unknown[], output: unknown) => unknown;

/**
 * A layer or a model: a class whose properties that are a `Parameter` or a `Module` are its parameters and children, in the order in which
 * they were set.
 *
 *     class Net extends nn.Module {
 *       readonly hidden = new nn.Linear(784, 256);
 *       readonly out = new nn.Linear(256, 10);
 *       override forward(x: Tensor): Tensor {
 *         return this.out.forward(F.relu(this.hidden.forward(x)));
 *       }
 *     }
 */
export abstract class Module {
  /** True in training: dropout drops, and batch norm uses the batch. */
  training = true;
  readonly #buffers = new Map<string, { readonly persistent: boolean }>();
  readonly #preHooks: ForwardPreHook[] = [];
  readonly #hooks: ForwardHook[] = [];

  /** Computes the result. Call it by this name, or as `call`, which also runs hooks. */
  abstract forward(...inputs: never[]): unknown;

  /** `forward`, with the hooks before and after it. */
  call<M extends Module>(this: M, ...args: Parameters<M["forward"]>): ReturnType<M["forward"]> {
    return Module.#run(this, args) as ReturnType<M["forward"]>;
  }

  static #run(module: Module, given: readonly unknown[]): unknown {
    let args = given;
    for (const hook of module.#preHooks) {
      const changed = hook(module, args);
      if (changed !== undefined) args = Array.isArray(changed) ? (changed as unknown[]) : [changed];
    }
    let output = (module.forward as (...args: unknown[]) => unknown).apply(module, [...args]);
    for (const hook of module.#hooks) {
      const changed = hook(module, args, output);
      if (changed !== undefined) output = changed;
    }
    return output;
  }

  /** Calls `hook` before `forward` in `call`. Gives a handle with `remove()`. */
  registerForwardPreHook(hook: ForwardPreHook): HookHandle {
    return handle(this.#preHooks, hook);
  }

  /** Calls `hook` after `forward` in `call`. Gives a handle with `remove()`. */
  registerForwardHook(hook: ForwardHook): HookHandle {
    return handle(this.#hooks, hook);
  }

  // --- members --------------------------------------------------------------------------------------------------------

  /** Sets a property that is part of the state but not learnt; null registers the name alone. */
  registerBuffer(name: string, tensor: Tensor | null, persistent = true): void {
    checkName(this, name, "buffer");
    if (tensor !== null && !isTensor(tensor))
      throw new ArgumentError(`registerBuffer: "${name}" must be a Tensor or null, got ${typeof tensor}`);
    this.#buffers.set(name, { persistent });
    (this as Record<string, unknown>)[name] = tensor;
  }

  /** Sets a property that is a parameter, or null. */
  registerParameter(name: string, parameter: Parameter | null): void {
    checkName(this, name, "parameter");
    if (parameter !== null && !(parameter instanceof Parameter))
      throw new ArgumentError(`registerParameter: "${name}" must be an nn.Parameter or null`);
    (this as Record<string, unknown>)[name] = parameter;
  }

  /** Sets a property that is a child. */
  addModule(name: string, module: Module): void {
    checkName(this, name, "module");
    if (!(module instanceof Module)) throw new ArgumentError(`addModule: "${name}" must be an nn.Module`);
    (this as Record<string, unknown>)[name] = module;
  }

  /** Children by name, each once. */
  *namedChildren(): IterableIterator<[string, Module]> {
    const seen = new Set<Module>();
    for (const [name, value] of Object.entries(this))
      if (value instanceof Module && !seen.has(value)) {
        seen.add(value);
        yield [name, value];
      }
  }

  /** Children. */
  children(): Module[] {
    return Array.from(this.namedChildren(), ([, child]) => child);
  }

  /** This module and all below it, by dotted name, each once. */
  *namedModules(prefix = "", seen = new Set<Module>()): IterableIterator<[string, Module]> {
    if (seen.has(this)) return;
    seen.add(this);
    yield [prefix, this];
    for (const [name, child] of this.namedChildren()) yield* child.namedModules(joined(prefix, name), seen);
  }

  /** This module and all below it. */
  modules(): Module[] {
    return Array.from(this.namedModules(), ([, module]) => module);
  }

  /** Parameters by dotted name, each once; with `recurse` false only this module's own. */
  *namedParameters(prefix = "", recurse = true): IterableIterator<[string, Parameter]> {
    const seen = new Set<Parameter>();
    const modules: Iterable<[string, Module]> = recurse ? this.namedModules(prefix) : [[prefix, this]];
    for (const [path, module] of modules)
      for (const [name, value] of Object.entries(module))
        if (value instanceof Parameter && !seen.has(value)) {
          seen.add(value);
          yield [joined(path, name), value];
        }
  }

  /** All parameters, for an optimiser. */
  parameters(recurse = true): Parameter[] {
    return Array.from(this.namedParameters("", recurse), ([, parameter]) => parameter);
  }

  /** Buffers by dotted name, each once. */
  *namedBuffers(prefix = "", recurse = true): IterableIterator<[string, Tensor]> {
    const seen = new Set<Tensor>();
    const modules: Iterable<[string, Module]> = recurse ? this.namedModules(prefix) : [[prefix, this]];
    for (const [path, module] of modules)
      for (const name of module.#buffers.keys()) {
        const value = (module as unknown as Record<string, unknown>)[name];
        if (!isTensor(value) || seen.has(value)) continue;
        seen.add(value);
        yield [joined(path, name), value];
      }
  }

  /** All buffers. */
  buffers(recurse = true): Tensor[] {
    return Array.from(this.namedBuffers("", recurse), ([, buffer]) => buffer);
  }

  /** The module at a dotted path; "" is this one. */
  getSubmodule(target: string): Module {
    return find(target, Object.fromEntries(this.namedModules()), "module");
  }

  /** The parameter at a dotted path. */
  getParameter(target: string): Parameter {
    return find(target, Object.fromEntries(this.namedParameters()), "parameter");
  }

  /** The buffer at a dotted path. */
  getBuffer(target: string): Tensor {
    return find(target, Object.fromEntries(this.namedBuffers()), "buffer");
  }

  // --- state ----------------------------------------------------------------------------------------------------------

  /** Parameters and persistent buffers by dotted name, off the tape; they share memory with the module. */
  stateDict(): StateDict {
    const state: StateDict = {};
    for (const [name, { tensor }] of Module.#stateOf(this)) state[name] = tensor.detach();
    return state;
  }

  static *#stateOf(root: Module): IterableIterator<[string, { tensor: Tensor }]> {
    // A module, or a tensor, that is reached by two names has two entries, as in PyTorch.
    const visit = function* (module: Module, prefix: string): IterableIterator<[string, { tensor: Tensor }]> {
      for (const [name, value] of Object.entries(module)) {
        const buffer = module.#buffers.get(name);
        if (value instanceof Parameter || (isTensor(value) && buffer?.persistent === true))
          yield [joined(prefix, name), { tensor: value }];
      }
      for (const [name, value] of Object.entries(module))
        if (value instanceof Module) yield* visit(value, joined(prefix, name));
    };
    yield* visit(root, "");
  }

  /**
   * Copies values into the parameters and buffers of the same names (PyTorch's snake_case names are understood). With `strict`, names that
   * are on one side only are an error; shapes that differ always are.
   */
  loadStateDict(stateDict: StateDict, options: { strict?: boolean } | boolean = {}): LoadResult {
    if (typeof options !== "boolean") applyOptions("loadStateDict", ["strict"], {}, { ...options }, {});
    const strict = typeof options === "boolean" ? options : (options.strict ?? true);
    if (typeof stateDict !== "object" || stateDict === null)
      throw new ArgumentError(`loadStateDict: expected an object of tensors by name, got ${typeof stateDict}`);
    const own = new Map(Module.#stateOf(this));
    const missing = new Set(own.keys());
    const unexpectedKeys: string[] = [];
    const problems: string[] = [];
    for (const [given, value] of Object.entries(stateDict)) {
      const name = own.has(given) ? given : given.split(".").map(camelCase).join(".");
      const target = own.get(name)?.tensor;
      if (target === undefined) {
        unexpectedKeys.push(given);
        continue;
      }
      missing.delete(name);
      if (!isTensor(value)) problems.push(`"${given}" is no tensor`);
      else if (!sameShape(value.shape, target.shape))
        problems.push(
          `size mismatch for ${name}: copying a param with shape ${showShape(value.shape)} from checkpoint, the shape in current model is ${showShape(target.shape)}`,
        );
      else noGrad(() => target.copy_(value.detach()));
    }
    const missingKeys = [...missing];
    if (strict && unexpectedKeys.length > 0)
      problems.unshift(`Unexpected key(s) in stateDict: ${unexpectedKeys.map((k) => `"${k}"`).join(", ")}`);
    if (strict && missingKeys.length > 0)
      problems.unshift(`Missing key(s) in stateDict: ${missingKeys.map((k) => `"${k}"`).join(", ")}`);
    if (problems.length > 0)
      throw new ShapeError(`Error(s) in loading stateDict for ${this.constructor.name}:\n\t${problems.join("\n\t")}`);
    return { missingKeys, unexpectedKeys };
  }

  /** Moves parameters and buffers to a device, or converts the floating ones to a dtype. They become new tensors: make the optimiser afterwards. */
  to(target: DeviceType | DType): this {
    const isType = (DTYPES as readonly string[]).includes(target);
    if (isType && !isFloat(target as DType))
      throw new ArgumentError(`to: modules only take floating point dtypes, got ${target}`);
    const moved = new Map<Tensor, Tensor>();
    const move = (tensor: Tensor): Tensor => {
      let result = moved.get(tensor);
      if (result === undefined) {
        const data = tensor.detach();
        const next = isType && !isFloat(tensor.dtype) ? data : data.to(target);
        if (!(tensor instanceof Parameter)) result = next;
        else if (next === data) result = tensor;
        else {
          result = new Parameter(next, tensor.requiresGrad);
          if (tensor.grad !== null) result.grad = tensor.grad.to(target);
        }
        moved.set(tensor, result);
      }
      return result;
    };
    for (const module of this.modules()) {
      const members = module as unknown as Record<string, unknown>;
      for (const [name, value] of Object.entries(module))
        if (isTensor(value) && (value instanceof Parameter || module.#buffers.has(name))) members[name] = move(value);
    }
    return this;
  }

  /** Sets training mode here and below. */
  train(mode = true): this {
    if (typeof mode !== "boolean") throw new ArgumentError("train: training mode is expected to be boolean");
    for (const module of this.modules()) module.training = mode;
    return this;
  }

  /** Sets evaluation mode here and below. */
  eval(): this {
    return this.train(false);
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(setToNull = true): void {
    for (const p of this.parameters()) {
      if (p.grad === null) continue;
      p.grad = setToNull ? null : p.grad.detach().zerosLike();
    }
  }

  /** Makes gradients flow to the parameters, or not. */
  requiresGrad_(requiresGrad = true): this {
    for (const p of this.parameters()) p.requiresGrad_(requiresGrad);
    return this;
  }

  /** Calls `fn` on every module below, then on this one. */
  apply(fn: (module: Module) => void): this {
    for (const child of this.children()) child.apply(fn);
    fn(this);
    return this;
  }

  /** What stands between the brackets of a module without children when it is shown. */
  extraRepr(): string {
    return "";
  }

  /** The modules as a tree, as PyTorch prints it. */
  toString(): string {
    const lines = Array.from(
      this.namedChildren(),
      ([name, child]) => `(${name}): ${child.toString().replaceAll("\n", "\n  ")}`,
    );
    const extra = this.extraRepr();
    const { name } = this.constructor;
    if (lines.length === 0) return `${name}(${extra})`;
    const all = extra === "" ? lines : [...extra.split("\n"), ...lines];
    return `${name}(\n  ${all.join("\n  ")}\n)`;
  }

  /** What `console.log` shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }
}

function handle<T>(list: T[], item: T): HookHandle {
  list.push(item);
  return {
    remove: () => {
      const at = list.indexOf(item);
      if (at >= 0) list.splice(at, 1);
    },
  };
}

function joined(prefix: string, name: string): string {
  return prefix === "" ? name : `${prefix}.${name}`;
}

function camelCase(name: string): string {
  return name.replace(/_+([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}

function checkName(module: Module, name: string, what: string): void {
  if (typeof name !== "string" || name === "" || name.includes("."))
    throw new ArgumentError(`a ${what}'s name must be a string without dots that is not empty, got "${name}"`);
  const proto = Object.getPrototypeOf(module) as object;
  if (name in proto) throw new ArgumentError(`a ${what} cannot be called "${name}": the module has such a method`);
}

function find<T>(target: string, known: Readonly<Record<string, T>>, what: string): T {
  const found = known[target];
  if (found === undefined)
    throw new TapegradError(
      `there is no ${what} "${target}"; there are ${Object.keys(known)
        .map((k) => `"${k}"`)
        .join(", ")}`,
    );
  return found;
}

// Abstract for the compiler, so that it asks for `forward`; callers from JavaScript get an error that says so.
Object.defineProperty(Module.prototype, "forward", {
  configurable: true,
  writable: true,
  value: function (this: Module): never {
    throw new ArgumentError(`${this.constructor.name}: this module has no forward(...); give its class one`);
  },
});
