/** Modules that hold modules or parameters. */

import { ArgumentError, IndexError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { Module } from "./module.ts";
import { Parameter } from "./parameter.ts";

/** A module of one input and one output. */
type Step = Module & { forward(input: never): unknown };

/** Members by position or key: they are properties of those names, as the module's own. */
function members(owner: Module): Record<string, unknown> {
  return owner as unknown as Record<string, unknown>;
}

function position(name: string, index: number, length: number): number {
  const at = index < 0 ? index + length : index;
  if (!Number.isInteger(index) || at < 0 || at >= length)
    throw new IndexError(`${name}: index ${index} is out of range for ${length} members`);
  return at;
}

/** Modules one after the other: `new nn.Sequential(a, b, c)`, or an object of named ones. */
export class Sequential extends Module {
  constructor(...modules: readonly Step[] | readonly [Readonly<Record<string, Step>>]) {
    super();
    const [first] = modules;
    if (modules.length === 1 && !(first instanceof Module))
      for (const [name, module] of Object.entries(first)) this.addModule(name, module);
    else (modules as readonly Step[]).forEach((module, i) => this.addModule(String(i), module));
  }

  override forward(input: Tensor): Tensor {
    let value: unknown = input;
    for (const child of this.children())
      value = (child.call as (this: Module, input: unknown) => unknown).call(child, value);
    return value as Tensor;
  }

  /** Adds a module behind the others. */
  append(module: Step): this {
    this.addModule(String(this.length), module);
    return this;
  }

  /** The module at a position; negative ones count from the end. */
  at(index: number): Module {
    const list = this.children();
    return list[position("Sequential", index, list.length)]!;
  }

  /** Number of modules. */
  get length(): number {
    return this.children().length;
  }

  /** The modules in the order in which they run. */
  [Symbol.iterator](): Iterator<Module> {
    return this.children()[Symbol.iterator]();
  }
}

/** A list of modules that are registered, and called by whoever holds it. */
export class ModuleList<M extends Module = Module> extends Module {
  constructor(modules: Iterable<M> = []) {
    super();
    this.extend(modules);
  }

  override forward(): never {
    throw new ArgumentError("ModuleList: it has no forward; call its members");
  }

  /** Adds a module behind the others. */
  append(module: M): this {
    this.addModule(String(this.length), module);
    return this;
  }

  /** Adds modules behind the others. */
  extend(modules: Iterable<M>): this {
    for (const module of modules) this.append(module);
    return this;
  }

  /** The module at a position; negative ones count from the end. */
  at(index: number): M {
    return members(this)[String(position("ModuleList", index, this.length))] as M;
  }

  /** Number of modules. */
  get length(): number {
    return Object.values(this).filter((value) => value instanceof Module).length;
  }

  /** The modules in order. */
  *[Symbol.iterator](): IterableIterator<M> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}

/** Modules by key. */
export class ModuleDict<M extends Module = Module> extends Module {
  constructor(modules: Readonly<Record<string, M>> = {}) {
    super();
    for (const [key, module] of Object.entries(modules)) this.set(key, module);
  }

  override forward(): never {
    throw new ArgumentError("ModuleDict: it has no forward; call its members");
  }

  /** Sets a module. */
  set(key: string, module: M): this {
    this.addModule(key, module);
    return this;
  }

  /** The module of a key. */
  get(key: string): M {
    const found = members(this)[key];
    if (!(found instanceof Module))
      throw new IndexError(`ModuleDict: there is no "${key}"; there are ${this.keys().join(", ")}`);
    return found as M;
  }

  /** True if there is a module of this key. */
  has(key: string): boolean {
    return this.keys().includes(key);
  }

  /** The keys in order. */
  keys(): string[] {
    return Object.entries(this).flatMap(([key, value]) => (value instanceof Module ? [key] : []));
  }
}

/** A list of parameters that are registered. */
export class ParameterList extends Module {
  constructor(parameters: Iterable<Parameter> = []) {
    super();
    for (const parameter of parameters) this.append(parameter);
  }

  override forward(): never {
    throw new ArgumentError("ParameterList: it has no forward");
  }

  /** Adds a parameter behind the others. */
  append(parameter: Parameter): this {
    this.registerParameter(String(this.length), parameter);
    return this;
  }

  /** The parameter at a position; negative ones count from the end. */
  at(index: number): Parameter {
    return members(this)[String(position("ParameterList", index, this.length))] as Parameter;
  }

  /** Number of parameters. */
  get length(): number {
    return Object.values(this).filter((value) => value instanceof Parameter).length;
  }

  /** The parameters in order. */
  *[Symbol.iterator](): IterableIterator<Parameter> {
    for (let i = 0; i < this.length; i++) yield this.at(i);
  }
}
