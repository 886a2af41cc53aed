/**
 * Snapshots: the state of a training run as plain data, from which it goes on, here or elsewhere, also when the device that held it is gone.
 */

import { backendOf, defaultBackend, lossOf } from "./graph/devices.ts";
import { learnedPlans, leafNode, resumePlans } from "./graph/runtime.ts";
import { contiguousStrides, isContiguous, sameShape, showShape } from "./graph/view.ts";
import type { Backend, DeviceType } from "./backend/backend.ts";
import { isDeterministic } from "./backend/determinism.ts";
import { applyOptions, describeValue } from "./args.ts";
import { setGrad } from "./base.ts";
import { hostArray, type DType, type HostArray } from "./dtype.ts";
import { ArgumentError, DeviceLostError, DTypeError, ShapeError } from "./errors.ts";
import { Module } from "./nn/module.ts";
import { isTensor } from "./ops/apply.ts";
import { fromHost } from "./ops/creation.ts";
import { getRngState, setRngState, type RandomState } from "./random.ts";
import { readRaw, type Tensor } from "./tensor.ts";

/** A tensor in a snapshot. */
export interface SavedTensor {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Kind of device that it was on. */
  readonly device: DeviceType;
  /** Row-major elements; float16 as its bits, bool as 0 and 1. */
  readonly data: HostArray;
}

/** Something in a snapshot. */
export type SavedValue =
  | SavedTensor
  | { readonly kind: "value"; readonly value: number | string | boolean | null }
  | { readonly kind: "array"; readonly items: readonly SavedValue[] }
  | { readonly kind: "record"; readonly entries: Readonly<Record<string, SavedValue>> }
  | {
      readonly kind: "module";
      readonly entries: Readonly<Record<string, SavedTensor>>;
      /** Gradients by name, if they were asked for. */
      readonly gradients: Readonly<Record<string, SavedTensor>> | null;
    }
  | {
      /** What has a `stateDict()` of its own. */
      readonly kind: "state";
      readonly state: SavedValue;
      /** Of an optimiser: the parameters that nothing else in the snapshot covers, by number. */
      readonly parameters: Readonly<Record<string, SavedTensor>>;
    };

/**
 * The state of a run, as plain data: `structuredClone`, `postMessage` and IndexedDB take it as it is, `io.saveSnapshot` makes a file of it.
 */
export interface Snapshot {
  readonly format: "tapegrad snapshot";
  readonly version: 1;
  readonly state: SavedValue;
  /** Seed and position of the random numbers. */
  readonly random: RandomState;
  /** The device of new tensors, and what it chose that decides the bits of results. */
  readonly device: {
    readonly type: DeviceType;
    readonly description: string;
    /** Devices for which this text is equal compute the same bits. */
    readonly numerics: string | null;
    /** Most work of one dispatch, where that was measured. */
    readonly work: number | null;
    /** Which ways of running kernels were measured to be the fastest. */
    readonly choices: Readonly<Record<string, string>>;
    /** Whether `useDeterministicAlgorithms(true)` held. */
    readonly deterministic: boolean;
    /** Which values are written out by which programs, because they were asked for before. */
    readonly plans: Readonly<Record<string, readonly number[]>>;
  };
}

/** What has a state: optimisers, schedulers, and anything of your own with these two methods. */
export interface Stateful {
  /** The state: tensors, numbers, strings, booleans and null in arrays and plain objects. */
  stateDict(): unknown;
  /** Goes on from such a state. */
  loadStateDict(state: never): unknown;
}

/** What can be in a snapshot. */
export type SnapshotState =
  | Tensor
  | Module
  | Stateful
  | number
  | string
  | boolean
  | null
  | readonly SnapshotState[]
  | { readonly [key: string]: SnapshotState };

/** What `restore` found. */
export interface Restored {
  /** True if the run goes on to the bit as it would have without the interruption. */
  readonly exact: boolean;
  /** Why it is, or is not. */
  readonly reason: string;
}

/**
 * Takes a snapshot of modules, optimisers, learning rate schedulers, tensors, numbers, strings and booleans in (nested) plain objects and arrays,
 * and of the random numbers:
 *
 *     const run = { model, optimizer, scheduler, step: 0 };
 *     const saved = await tg.snapshot(run);
 *     ...
 *     tg.restore(run, saved);
 *
 * What is saved is the state at the call, whatever happens before the promise settles. Gradients are only saved with `gradients: true`: take snapshots behind
 * `optimizer.step()`. Rejects with a `DeviceLostError` if the device is gone.
 */
export async function snapshot(state: SnapshotState, options: { gradients?: boolean } = {}): Promise<Snapshot> {
  applyOptions("snapshot", ["gradients"], {}, options, {});
  const found = new Collector(options.gradients ?? false);
  const complete = found.take(state);
  const backend = defaultBackend();
  const { work } = backend;
  const device = {
    type: backend.type,
    description: backend.description,
    numerics: backend.numerics,
    work: work !== undefined && Number.isFinite(work) ? work : null,
    choices: { ...backend.choices },
    deterministic: isDeterministic(),
    plans: learnedPlans(backend),
  };
  const random = getRngState();
  const data = await readRaw(found.tensors);
  return { format: "tapegrad snapshot", version: 1, state: complete(data), random, device };
}

/** What becomes a saved value once the elements of all tensors are there. */
type Complete<T extends SavedValue = SavedValue> = (data: readonly HostArray[]) => T;

class Collector {
  /** Tensors whose elements are needed, in order. */
  readonly tensors: Tensor[] = [];
  readonly #gradients: boolean;
  /** Tensors that are saved by themselves or as part of a module. */
  readonly #covered = new Set<Tensor>();

  constructor(gradients: boolean) {
    this.#gradients = gradients;
  }

  take(state: unknown): Complete {
    cover(state, this.#covered);
    return this.#take(state, "the state");
  }

  #take(value: unknown, path: string): Complete {
    if (isTensor(value)) {
      // What lies in a state that is loaded as a whole may be any view.
      if (this.#covered.has(value)) checkWhole("snapshot", value, path);
      return this.#tensor(value);
    }
    if (value instanceof Module) {
      const members = membersOf(value);
      for (const [name, tensor] of members) checkWhole("snapshot", tensor, `${path}.${name}`);
      const entries = this.#tensors(members);
      const grads = [...members].flatMap(([name, { grad }]) => (grad === null ? [] : [[name, grad] as const]));
      const gradients = this.#gradients ? this.#tensors(new Map(grads)) : null;
      return (data) => ({ kind: "module", entries: entries(data), gradients: gradients?.(data) ?? null });
    }
    if (isStateful(value)) {
      const state = this.#take(value.stateDict(), `${path}.stateDict()`);
      const others = new Map([...parametersOf(value)].filter(([, p]) => !this.#covered.has(p)));
      for (const [name, p] of others) {
        checkWhole("snapshot", p, `${path}.parameters[${name}]`);
        this.#covered.add(p);
      }
      const parameters = this.#tensors(others);
      return (data) => ({ kind: "state", state: state(data), parameters: parameters(data) });
    }
    if (value === null || typeof value === "number" || typeof value === "string" || typeof value === "boolean")
      return () => ({ kind: "value", value });
    if (Array.isArray(value)) {
      const items = value.map((item, i) => this.#take(item, `${path}[${i}]`));
      return (data) => ({ kind: "array", items: items.map((item) => item(data)) });
    }
    if (isPlain(value)) {
      const entries = entriesOf(value).map(([key, item]) => [key, this.#take(item, `${path}.${key}`)] as const);
      return (data) => ({
        kind: "record",
        entries: Object.fromEntries(entries.map(([key, item]) => [key, item(data)])),
      });
    }
    throw new ArgumentError(
      `snapshot: ${path} is ${describeValue(value)}, which has no stateDict() and loadStateDict(); a snapshot takes modules, optimisers, ` +
        "schedulers, tensors, numbers, strings, booleans and null, in plain objects and arrays",
    );
  }

  #tensor(tensor: Tensor): Complete<SavedTensor> {
    const at = this.tensors.push(tensor) - 1;
    const { dtype, device } = tensor;
    const shape = [...tensor.shape];
    return (data) => ({ kind: "tensor", dtype, shape, device, data: data[at]! });
  }

  #tensors(tensors: ReadonlyMap<string, Tensor>): (data: readonly HostArray[]) => Record<string, SavedTensor> {
    const entries = [...tensors].map(([name, tensor]) => [name, this.#tensor(tensor)] as const);
    return (data) => Object.fromEntries(entries.map(([name, item]) => [name, item(data)]));
  }
}

/**
 * Goes on from a snapshot: parameters, buffers and other tensors get the saved values and stay the same objects, optimisers and schedulers their state, numbers,
 * strings and booleans in plain objects and arrays are set, and so are the random numbers.
 *
 * Everything moves to the device of new tensors (what was on the CPU beside a GPU stays there); `device` names another one. The device that held
 * it before need not be there any more. Gradients are those of the snapshot, or null. Throws, before anything is changed, if the state is not of the
 * same form.
 */
export function restore(state: SnapshotState, saved: Snapshot, options: { device?: DeviceType | null } = {}): Restored {
  applyOptions("restore", ["device"], {}, options, {});
  if (saved?.format !== "tapegrad snapshot" || saved.version !== 1)
    throw new ArgumentError("restore: the second argument is not what snapshot() gave");
  const target = options.device == null ? defaultBackend() : backendOf(options.device);
  const restorer = new Restorer((entry) =>
    options.device != null || entry.device === saved.device.type ? target : backendOf(entry.device),
  );
  restorer.prepare(state, saved.state);
  restorer.run();
  setRngState(saved.random);
  const { numerics, work, choices, deterministic, plans, description } = saved.device;
  const sameDevice = numerics !== null && numerics === target.numerics;
  const exact = sameDevice && deterministic === isDeterministic();
  if (sameDevice) {
    if (target.choices !== undefined) target.choices = choices;
    if (work !== null && target.work !== undefined) target.work = work;
    resumePlans(target, plans);
  }
  const reason = exact
    ? "the device computes the same bits as that of the snapshot"
    : sameDevice
      ? `useDeterministicAlgorithms(${deterministic}) held when the snapshot was taken: results agree up to rounding`
      : `the snapshot is of ${description}, this device is ${target.description}: results agree up to rounding`;
  return { exact, reason };
}

class Restorer {
  readonly #place: (entry: SavedTensor) => Backend;
  /** What loads state, and what binds tensors: done when all was checked. */
  readonly #loads: (() => void)[] = [];
  readonly #binds: (() => void)[] = [];

  constructor(place: (entry: SavedTensor) => Backend) {
    this.#place = (entry) => {
      const backend = place(entry);
      const loss = lossOf(backend);
      if (loss !== null)
        throw new DeviceLostError(
          "restore: the device of new tensors is gone. Call await tg.init() before, for another device or the CPU.",
          loss.reason,
        );
      if (!backend.supports(entry.dtype))
        throw new DTypeError(`restore: the ${backend.type} device (${backend.description}) has no ${entry.dtype}`);
      return backend;
    };
  }

  run(): void {
    for (const load of this.#loads) load();
    for (const bind of this.#binds) bind();
  }

  prepare(state: unknown, saved: SavedValue): void {
    this.#prepare(state, saved, "the state", () => {
      throw new ArgumentError("restore: a single number or string cannot be set: put it into an object");
    });
  }

  #prepare(value: unknown, saved: SavedValue, path: string, set: (value: unknown) => void): void {
    if (isTensor(value)) this.#tensor(value, expectKind(saved, "tensor", path), path, null);
    else if (value instanceof Module) {
      const { entries, gradients } = expectKind(saved, "module", path);
      const members = membersOf(value);
      sameNames([...members.keys()], Object.keys(entries), path);
      for (const [name, tensor] of members)
        this.#tensor(tensor, entries[name]!, `${path}.${name}`, gradients?.[name] ?? null);
    } else if (isStateful(value)) {
      const { state, parameters } = expectKind(saved, "state", path);
      const own = parametersOf(value);
      for (const [name, entry] of Object.entries(parameters)) {
        const tensor = own.get(name);
        if (tensor === undefined) throw new ArgumentError(`restore: ${path} has no parameter ${name}`);
        this.#tensor(tensor, entry, `${path}.parameters[${name}]`, null);
      }
      const plain = this.#plain(state);
      this.#loads.push(() => value.loadStateDict(plain as never));
    } else if (Array.isArray(value)) {
      const { items } = expectKind(saved, "array", path);
      if (items.length !== value.length)
        throw new ArgumentError(`restore: ${path} has ${value.length} items, and ${items.length} in the snapshot`);
      items.forEach((item, i) => this.#prepare(value[i], item, `${path}[${i}]`, (v) => ((value as unknown[])[i] = v)));
    } else if (isPlain(value)) {
      const { entries } = expectKind(saved, "record", path);
      sameNames(
        entriesOf(value).map(([key]) => key),
        Object.keys(entries),
        path,
      );
      for (const [key, item] of entriesOf(value))
        this.#prepare(item, entries[key]!, `${path}.${key}`, (v) => (value[key] = v));
    } else {
      const { value: before } = expectKind(saved, "value", path);
      this.#loads.push(() => set(before));
    }
  }

  #tensor(tensor: Tensor, entry: SavedTensor, path: string, grad: SavedTensor | null): void {
    if (entry?.kind !== "tensor") throw new ArgumentError(`restore: ${path} is no tensor in the snapshot`);
    checkWhole("restore", tensor, path);
    if (!sameShape(tensor.shape, entry.shape))
      throw new ShapeError(
        `restore: ${path} has shape ${showShape(tensor.shape)}, and ${showShape(entry.shape)} in the snapshot`,
      );
    if (tensor.dtype !== entry.dtype)
      throw new DTypeError(`restore: ${path} is ${tensor.dtype}, and ${entry.dtype} in the snapshot`);
    const backend = this.#place(entry);
    this.#binds.push(() => {
      rebind(tensor, backend, entry.data);
      setGrad(tensor.impl, grad === null ? null : fromHost(backend, grad.data.slice(), grad.shape, grad.dtype));
    });
  }

  /** What a `loadStateDict()` is given. */
  #plain(saved: SavedValue): unknown {
    switch (saved.kind) {
      case "tensor":
        return fromHost(this.#place(saved), saved.data.slice(), saved.shape, saved.dtype);
      case "value":
        return saved.value;
      case "array":
        return saved.items.map((item) => this.#plain(item));
      case "record":
        return Object.fromEntries(Object.entries(saved.entries).map(([key, item]) => [key, this.#plain(item)]));
      default:
        throw new ArgumentError("restore: a state holds a module or an optimiser, which a snapshot does not make");
    }
  }
}

/** Gives a tensor new values, on whatever device; all that shares its storage sees them. Its history on the tape ends. */
function rebind(tensor: Tensor, backend: Backend, data: HostArray): void {
  const { impl } = tensor;
  const { storage, shape, strides, dtype } = impl;
  const ordered = isContiguous(shape, strides) ? data.slice() : inStorageOrder(data, shape, strides, dtype);
  if (impl.backend !== backend) impl.accumulator = null;
  storage.replace(leafNode(backend, ordered, [storage.length], dtype));
  if (impl.gradFn !== null) {
    impl.gradFn = null;
    impl.outputNr = 0;
  }
}

/** Row-major elements as they lie in a storage that a tensor covers with other strides. */
function inStorageOrder(
  data: HostArray,
  shape: readonly number[],
  strides: readonly number[],
  dtype: DType,
): HostArray {
  const result = hostArray(dtype, data.length);
  const steps = contiguousStrides(shape);
  for (let i = 0; i < data.length; i++) {
    let at = 0;
    for (let d = 0; d < shape.length; d++) at += strides[d]! * (Math.floor(i / steps[d]!) % shape[d]!);
    result[at] = data[i]!;
  }
  return result;
}

/** Fails for views of a part of a storage, and for views that repeat elements. */
function checkWhole(op: string, tensor: Tensor, path: string): void {
  const { storage, storageOffset, shape, strides } = tensor.impl;
  const order = shape.map((_, d) => d).filter((d) => shape[d]! > 1);
  order.sort((a, b) => strides[b]! - strides[a]!);
  const dense = isContiguous(
    order.map((d) => shape[d]!),
    order.map((d) => strides[d]!),
  );
  if (storageOffset === 0 && storage.length === tensor.numel() && (dense || tensor.numel() === 0)) return;
  throw new ArgumentError(`${op}: ${path} is a view of a larger tensor: give that tensor, or a clone() of the view`);
}

/** Parameters and buffers of a module by name, persistent or not. */
function membersOf(module: Module): Map<string, Tensor> {
  return new Map<string, Tensor>([...module.namedParameters(), ...module.namedBuffers()]);
}

/** Parameters of an optimiser by number; none for anything else. */
function parametersOf(value: object): Map<string, Tensor> {
  const result = new Map<string, Tensor>();
  const { paramGroups } = value as { paramGroups?: unknown };
  if (!Array.isArray(paramGroups)) return result;
  for (const group of paramGroups as readonly { params?: unknown }[])
    if (Array.isArray(group.params))
      for (const p of group.params as unknown[]) if (isTensor(p)) result.set(String(result.size), p);
  return result;
}

/** Collects the tensors that stand by themselves or belong to modules. */
function cover(value: unknown, covered: Set<Tensor>): void {
  if (isTensor(value)) covered.add(value);
  else if (value instanceof Module) for (const tensor of membersOf(value).values()) covered.add(tensor);
  else if (isStateful(value)) return;
  else if (Array.isArray(value)) for (const item of value as unknown[]) cover(item, covered);
  else if (isPlain(value)) for (const [, item] of entriesOf(value)) cover(item, covered);
}

function isStateful(value: unknown): value is Stateful {
  if (typeof value !== "object" || value === null) return false;
  const { stateDict, loadStateDict } = value as Record<string, unknown>;
  return typeof stateDict === "function" && typeof loadStateDict === "function";
}

function isPlain(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Entries that are there: a property that is undefined is as good as none. */
function entriesOf(value: Record<string, unknown>): [string, unknown][] {
  return Object.entries(value).filter(([, item]) => item !== undefined);
}

function expectKind<K extends SavedValue["kind"]>(
  saved: SavedValue | undefined,
  kind: K,
  path: string,
): Extract<SavedValue, { kind: K }> {
  if (saved?.kind === kind) return saved as Extract<SavedValue, { kind: K }>;
  throw new ArgumentError(`restore: ${path} is a ${kind} here, and ${saved?.kind ?? "nothing"} in the snapshot`);
}

function sameNames(own: readonly string[], saved: readonly string[], path: string): void {
  const missing = own.filter((name) => !saved.includes(name));
  const unexpected = saved.filter((name) => !own.includes(name));
  if (missing.length > 0 || unexpected.length > 0)
    throw new ArgumentError(
      `restore: ${path} has other names than in the snapshot: ${[
        ...missing.map((n) => `"${n}" is missing there`),
        ...unexpected.map((n) => `"${n}" is unknown here`),
      ].join(", ")}`,
    );
}
