/** The tensor that users hold. */

import { checkWritable, inPlace, writeStorage } from "./autograd/inplace.ts";
import { backward } from "./autograd/engine.ts";
import { realizeWithSaved } from "./autograd/saved.ts";
import { edgeOf, record, type GradFn } from "./autograd/tape.ts";
import { applyOptions, describeValue, isOptions, parse, signature, type ArgsOf } from "./args.ts";
import { Impl, setTensorClass, Storage, wrap } from "./base.ts";
import { checkDType, DTYPES, fromHalf, hostArray, isFloat, type DType, type HostArray } from "./dtype.ts";
import { ArgumentError, AutogradError, DeviceError, ShapeError, TapegradError } from "./errors.ts";
import { formatTensor } from "./format.ts";
import type { DeviceType } from "./backend/backend.ts";
import { backendOf, lossOf } from "./graph/devices.ts";
import { goneOf, lossReason, storyOf } from "./graph/faults.ts";
import { evict, flushRecorded, leafNode, readNodes, readNodesSync, request, type NodeRange } from "./graph/runtime.ts";
import { transferNode } from "./graph/transfers.ts";
import { contiguousStrides, isContiguous, numel, showShape } from "./graph/view.ts";
import { setRequiresGrad } from "./methods/core.ts";
import { StatisticsMethods } from "./methods/statistics.ts";
import { checkTensor, convertCopy, isTensor } from "./ops/apply.ts";
import * as compare from "./ops/compare.ts";
import type { Operand } from "./ops/elementwise.ts";
import * as joins from "./ops/join.ts";
import { multinomial } from "./ops/multinomial.ts";
import * as movement from "./ops/movement.ts";
import * as reduce from "./ops/reduce.ts";
import * as structure from "./ops/structure.ts";
import * as random from "./random.ts";

/** What `data()` gives: row-major elements; bool as 0 and 1, float16 as a Float16Array where the engine has one. */
export type TensorData = Float32Array | Float64Array | Int32Array | Uint8Array;

/** What `toArray()` gives: nested arrays of numbers or booleans (for a zero-dimensional tensor, the value itself). */
export type NestedValues = (number | boolean | NestedValues)[];

type Tail<A extends readonly unknown[]> = A extends readonly [unknown, ...infer R] ? R : never;
type Extreme = { dim: number; keepdim?: boolean };

const BACKWARD = signature<{
  gradient?: Tensor | null;
  retainGraph?: boolean | null;
  createGraph?: boolean;
  inputs?: Tensor | readonly Tensor[] | null;
}>()("backward", ["gradient", "retainGraph", "createGraph", "inputs"]);

/** Largest and smallest: of all elements, along a dimension (values and indices), or of two tensors. */
function extreme(name: "max" | "min", self: Tensor, args: readonly unknown[]): Tensor | reduce.ValuesIndices {
  const first = args[0];
  if (first === undefined) return reduce.extremeOfAll(name, self);
  if (isTensor(first)) return name === "max" ? self.maximum(first) : self.minimum(first);
  const { dim, keepdim = false, other } = parse(name === "max" ? MAX : MIN, args as ArgsOf<typeof MAX>);
  if (other !== undefined) return name === "max" ? self.maximum(other) : self.minimum(other);
  if (dim === undefined) return reduce.extremeOfAll(name, self);
  return reduce.extremeAlong(name, self, dim, keepdim);
}

const MAX = signature<{ dim?: number; keepdim?: boolean; other?: Tensor }>()("max", ["dim", "keepdim"], ["other"]);
const MIN = signature<{ dim?: number; keepdim?: boolean; other?: Tensor }>()("min", ["dim", "keepdim"], ["other"]);

function flatNumbers(values: readonly (number | readonly number[])[]): number[] {
  return values.flatMap((v) => v);
}

/** What registering a hook gives. */
export interface HookHandle {
  /** Takes the hook away. */
  remove(): void;
}

/** An n-dimensional array that remembers how it was computed. Made by `tensor()` and its kin, never by `new`. */
export class Tensor extends StatisticsMethods {
  // --- results that depend on how they are called -------------------------------------------------------------------

  /** Largest element; `max(dim, keepdim)` gives `{ values, indices }`; `max(other)` is `maximum`. */
  max(): Tensor;
  max(other: Tensor): Tensor;
  max(dim: number, keepdim?: boolean): reduce.ValuesIndices;
  max(options: Extreme): reduce.ValuesIndices;
  max(...args: readonly unknown[]): Tensor | reduce.ValuesIndices {
    return extreme("max", this, args);
  }

  /** Smallest element; `min(dim, keepdim)` gives `{ values, indices }`; `min(other)` is `minimum`. */
  min(): Tensor;
  min(other: Tensor): Tensor;
  min(dim: number, keepdim?: boolean): reduce.ValuesIndices;
  min(options: Extreme): reduce.ValuesIndices;
  min(...args: readonly unknown[]): Tensor | reduce.ValuesIndices {
    return extreme("min", this, args);
  }

  /** PyTorch's `x.where(condition, other)`: `x` where the bool tensor is true, else `other`. A bool tensor may also be asked for the choice: `condition.where(a, b)`, unless `a` is bool itself. */
  where(this: Tensor, a: Operand, b: Operand): Tensor {
    return isTensor(a) && a.dtype === "bool" ? compare.where(a, this, b) : compare.where(this, a, b);
  }

  /** Elements repeated along each dimension as often as given. */
  repeat(...repeats: readonly (number | readonly number[])[]): Tensor {
    return joins.repeat(this, flatNumbers(repeats));
  }

  /** Like `repeat`, with missing repeats in front taken as one. */
  tile(...dims: readonly (number | readonly number[])[]): Tensor {
    return joins.tile(this, flatNumbers(dims));
  }

  /** Windows of `size` elements along a dimension, every `step`; their elements are a last dimension. */
  unfold(dimension: number, size: number, step: number): Tensor {
    return movement.unfoldDim(this, dimension, size, step);
  }

  /** Dimensions reversed; for a matrix its transpose. */
  get T(): Tensor {
    return structure.reverseDims(this);
  }

  /** The last two dimensions exchanged. */
  get mT(): Tensor {
    return structure.adjointDims(this);
  }

  // --- writing ------------------------------------------------------------------------------------------------------

  /** Writes the values of `source`, broadcast and converted. */
  copy_(source: Tensor | number): this {
    checkWritable("copy_", this);
    const from = isTensor(source) ? source : this.newFull([], source);
    const values = from.device === this.device ? from : from.to(this.device);
    inPlaceRecorded("copy_", this, (before) => {
      const expanded = fitsInto(values.shape, this.shape)
        ? values.detach().expand([...this.shape])
        : failCopy(this, values);
      const out = convertCopy(expanded, this.dtype);
      if (isFloat(this.dtype))
        record("CopyBackwards", out, [
          [before, [], (g) => g.zerosLike()],
          [values, [], (g) => g.sumToSize([...values.shape]).to(values.dtype)],
        ]);
      return out;
    });
    return this;
  }

  /** Writes a number everywhere. */
  fill_(value: number | boolean | Tensor): this {
    if (isTensor(value)) {
      if (value.dim() > 0)
        throw new ShapeError(
          `fill_: only supports 0-dimension value tensor but got tensor with ${value.dim()} dimensions`,
        );
      inPlaceRecorded("fill_", this, (before) => {
        const out = convertCopy(value.detach().expand([...this.shape]), this.dtype);
        if (isFloat(this.dtype))
          record("FillBackward3", out, [
            [before, [], (g) => g.zerosLike()],
            [value, [], (g) => g.sum()],
          ]);
        return out;
      });
      return this;
    }
    inPlaceRecorded("fill_", this, (before) => {
      const out = before.detach().fullLike(value);
      record("FillBackward2", out, [[before, [], (g) => g.zerosLike()]]);
      return out;
    });
    return this;
  }

  /** Writes zeros everywhere. */
  zero_(): this {
    inPlaceRecorded("zero_", this, (before) => {
      const out = before.detach().zerosLike();
      record("ZeroBackward0", out, [[before, [], (g) => g.zerosLike()]]);
      return out;
    });
    return this;
  }

  /** Writes uniform random numbers of [from, to). */
  uniform_(from = 0, to = 1): this {
    if (typeof from !== "number" || typeof to !== "number" || !(from <= to))
      throw new ArgumentError(
        `uniform_: expects numbers from <= to, got ${describeValue(from)} and ${describeValue(to)}`,
      );
    return this.#overwrite("UniformBackward0", () =>
      random
        .randomFor(this, "uniform")
        .mul(to - from)
        .add(from),
    );
  }

  /** Writes normal random numbers. */
  normal_(mean = 0, std = 1): this {
    if (typeof mean !== "number" || typeof std !== "number" || !(std >= 0))
      throw new ArgumentError(
        `normal_: expects a mean and a std that is not negative, got ${describeValue(mean)} and ${describeValue(std)}`,
      );
    return this.#overwrite("NormalBackward0", () => random.randomFor(this, "normal").mul(std).add(mean));
  }

  /** Writes 1 with probability `p`, else 0. */
  bernoulli_(p = 0.5): this {
    const like = isFloat(this.dtype) ? this.detach() : this.detach().to("float32");
    return this.#overwrite("BernoulliBackward2", () => random.bernoulli(like, p).to(this.dtype));
  }

  /** `multinomial(this, numSamples, replacement)`: indices drawn by weight. */
  multinomial(...args: Tail<Parameters<typeof multinomial>>): Tensor {
    return multinomial(this, ...args);
  }

  #overwrite(name: string, values: () => Tensor): this {
    inPlaceRecorded(name, this, (before) => {
      const out = values();
      if (isFloat(out.dtype)) record(name, out, [[before, [], (g) => g.zerosLike()]]);
      return out;
    });
    return this;
  }

  // --- devices and dtypes -------------------------------------------------------------------------------------------

  /** This tensor on a device, of a dtype, or like another; itself if nothing changes. */
  to(target: DeviceType | DType | Tensor | { device?: string; dtype?: DType; copy?: boolean }, dtype?: DType): Tensor {
    let device: string | null = null;
    let type: DType | null = dtype ?? null;
    let copy = false;
    if (isTensor(target)) {
      device = target.device;
      type = target.dtype;
    } else if (typeof target === "string") {
      if ((DTYPES as readonly string[]).includes(target)) type = target as DType;
      else if (target === "cpu" || target === "webgpu" || target === "null") device = target;
      else if (/^(cuda|gpu|mps|xpu|hip)(:\d+)?$/i.test(target))
        throw new DeviceError(
          `to: there is no device "${target}" here: use .to("webgpu") after await tg.init(), or .to("cpu")`,
        );
      else type = checkDType(target, "to");
    } else if (isOptions(target)) {
      applyOptions("to", ["device", "dtype", "copy"], {}, target, {});
      device = target.device ?? null;
      type = target.dtype ?? null;
      copy = target.copy ?? false;
    } else throw new ArgumentError(`to: expected a device, a dtype or a tensor, got ${describeValue(target)}`);
    if (type !== null) checkDType(type, "to");
    const moved = device === null || backendOf(device) === this.impl.backend ? this : moveTo(this, device);
    if (type === null || type === moved.dtype) return copy && moved === this ? this.clone() : moved;
    const out = convertCopy(moved, type);
    if (isFloat(type) && isFloat(moved.dtype)) record("ToCopyBackward0", out, [[moved, [], (g) => g.to(moved.dtype)]]);
    return out;
  }

  /** On the CPU. */
  cpu(): Tensor {
    return this.to("cpu");
  }
  /** As float32. */
  float(): Tensor {
    return this.to("float32");
  }
  /** As float64 (on the CPU). */
  double(): Tensor {
    return this.to("float64");
  }
  /** As float16. */
  half(): Tensor {
    return this.to("float16");
  }
  /** As int32. */
  int(): Tensor {
    return this.to("int32");
  }
  /** As int32, this library's index dtype. */
  long(): Tensor {
    return this.to("int32");
  }
  /** As uint8. */
  byte(): Tensor {
    return this.to("uint8");
  }
  /** As bool: true where nonzero. */
  bool(): Tensor {
    return this.to("bool");
  }
  /** As the dtype given, or that of another tensor. */
  type(dtype: DType): Tensor {
    return this.to(checkDType(dtype, "type"));
  }
  /** As the dtype of another tensor. */
  typeAs(other: Tensor): Tensor {
    return this.to(checkTensor("typeAs", "other", other).dtype);
  }

  // --- autograd -----------------------------------------------------------------------------------------------------

  /** Makes gradients flow to this tensor (or not); gives the tensor itself. */
  requiresGrad_(requiresGrad = true): this {
    setRequiresGrad(this, requiresGrad);
    return this;
  }

  /**
   * Adds the gradients of this tensor to the `.grad` of the leaves that it was computed from. A tensor with more than one
   * element needs `gradient`, of its shape.
   */
  backward(...args: ArgsOf<typeof BACKWARD>): void {
    const { gradient = null, inputs = null, ...options } = parse(BACKWARD, args);
    if (gradient !== null) checkTensor("backward", "gradient", gradient);
    const list = inputs === null ? null : isTensor(inputs) ? [inputs] : inputs;
    backward([this], [gradient], { ...options, inputs: list });
  }

  /** The same storage, off the tape. */
  detach(): Tensor {
    return structure.detach(this);
  }

  /** Takes this tensor off the tape. */
  detach_(): this {
    if (this.impl.base !== null) throw new AutogradError("Can't detach views in-place. Use detach() instead.");
    this.impl.gradFn = null;
    this.impl.outputNr = 0;
    this.impl.requiresGrad = false;
    return this;
  }

  /** Makes `backward()` keep this tensor's gradient in `.grad` although it is no leaf. */
  retainGrad(): void {
    const edge = edgeOf(this);
    if (edge === null) throw new AutogradError("can't retain_grad on Tensor that has requires_grad=False");
    if (this.isLeaf) return;
    this.impl.retainsGrad = true;
    (edge.fn.retained ??= [])[edge.nr] = this;
  }

  /** True if `retainGrad()` was called. */
  get retainsGrad(): boolean {
    return this.impl.retainsGrad;
  }

  /** Calls `hook` with the gradient of this tensor; what it returns, if anything, takes its place. Gives a handle with `remove()`. */
  registerHook(hook: (grad: Tensor) => Tensor | null | undefined | void): HookHandle {
    if (typeof hook !== "function")
      throw new AutogradError(`registerHook: the hook must be a function of the gradient, got ${describeValue(hook)}`);
    const edge = edgeOf(this);
    if (edge === null) throw new AutogradError("cannot register a hook on a tensor that doesn't require gradient");
    const list = edge.fn.variable !== null ? (this.impl.hooks ??= []) : ((edge.fn.hooks ??= [])[edge.nr] ??= []);
    list.push(hook);
    return {
      remove: () => {
        const at = list.indexOf(hook);
        if (at >= 0) list.splice(at, 1);
      },
    };
  }

  /** Replaces the values (and only them) by those of another tensor; off the tape and unseen by version checks. */
  set data_(source: Tensor) {
    const { version } = this.impl.storage;
    writeStorage(this, source.detach());
    this.impl.storage.version = version;
  }

  // --- reading ------------------------------------------------------------------------------------------------------

  /** The elements in row-major order. */
  async data(): Promise<TensorData> {
    const [result] = await readAll([this]);
    return result!;
  }

  /** The elements in row-major order, at once; a `DeviceError` on the GPU. */
  dataSync(): TensorData {
    if (this.impl.backend.readSync === undefined)
      throw new DeviceError(
        `the values are on the ${this.device} device, which cannot be read without waiting: use await t.data()`,
      );
    realizeWithSaved([this]);
    const [raw] = readNodesSync([rangeOf(this)]);
    return present(raw!, this.dtype);
  }

  /** Nested arrays of the elements; booleans for bool. */
  async toArray(): Promise<NestedValues> {
    return nest(await this.data(), this.shape, this.dtype);
  }

  /** Nested arrays of the elements, at once; a `DeviceError` on the GPU. */
  toArraySync(): NestedValues {
    if (this.impl.backend.readSync === undefined) throw syncError(this, "toArray");
    return nest(this.dataSync(), this.shape, this.dtype);
  }

  /** Alias of `toArray`. */
  tolist(): Promise<NestedValues> {
    return this.toArray();
  }

  /** The only element, as a number, or a boolean for bool. Throws a `ShapeError` if there are more or none. */
  async item(): Promise<number> {
    checkOne(this);
    return element(await this.data(), this.dtype);
  }

  /** The only element, at once; a `DeviceError` on the GPU. */
  itemSync(): number {
    checkOne(this);
    if (this.impl.backend.readSync === undefined) throw syncError(this, "item");
    return element(this.dataSync(), this.dtype);
  }

  /** What PyTorch's `print` shows. */
  async toText(): Promise<string> {
    return render(this, await this.data());
  }

  /** On the CPU what `toText()` gives; on the GPU, where values cannot be had at once, shape, dtype and device. Never throws. */
  override toString(): string {
    try {
      if (this.impl.backend.readSync !== undefined) return render(this, this.dataSync());
    } catch (error) {
      if (!(error instanceof TapegradError)) throw error;
    }
    return this.#summary();
  }

  #summary(): string {
    const { node } = this.impl.storage;
    const gone = goneOf(node);
    if (gone !== null)
      return `Tensor(shape=${showShape(this.shape)}, dtype=${this.dtype}, device=${this.device}, gone: ${storyOf(node, gone)})`;
    if (node.host !== null && node.numel === this.numel() && isContiguous(this.shape, this.impl.strides))
      return render(this, present(node.host, this.dtype));
    const fn = this.gradFn;
    const grad = fn !== null ? `, grad_fn=<${fn.name}>` : this.requiresGrad ? ", requires_grad=True" : "";
    return `Tensor(shape=${showShape(this.shape)}, dtype=${this.dtype}, device=${this.device}${grad})`;
  }

  /** As a string what `toString()` gives; as a number an error that says how to read it. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint !== "number") return this.toString();
    throw new TapegradError(
      "a tensor was used as a number: its value may not be computed yet. Read it with await t.item() (or t.itemSync() on the CPU) first",
    );
  }

  /**
   * What `JSON.stringify` writes: the nested values where the host can have them at once (on the CPU, as `toArraySync()`; NaN and
   * infinities become null, as JSON has neither), else the text of `toString()`. Read a GPU tensor with `await t.toArray()` first.
   */
  toJSON(): unknown {
    if (this.impl.backend.readSync === undefined) return this.#summary();
    return nest(this.dataSync(), this.shape, this.dtype);
  }

  /** What `console.log` shows in Node. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString();
  }

  /** What `console.log` shows in Deno. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** The slices along the first dimension, so that `for (const row of x)` works. */
  *[Symbol.iterator](): IterableIterator<Tensor> {
    if (this.dim() === 0) throw new ShapeError("iteration over a 0-d tensor");
    yield* this.unbind(0);
  }

  /** Size of the first dimension. */
  get length(): number {
    if (this.dim() === 0) throw new ShapeError("length of a 0-d tensor");
    return this.shape[0]!;
  }

  // --- lifetimes ----------------------------------------------------------------------------------------------------

  /**
   * Asks that the value be written out with the next realisation (a read, `backward()`, `optimizer.step()`) and kept, so that it can be
   * read whatever happens to what it was computed from. Its memory counts as live until `dispose()`, or until the tensor is unreachable.
   */
  retain(): this {
    const { storage } = this.impl;
    storage.keep(true, "retained");
    request(storage.node);
    return this;
  }

  /**
   * Gives up the memory of this tensor's storage now, views of it included; using it again throws a `DisposedError`. What was recorded from it and not computed
   * yet is computed before. Memory that another tensor shares (`clone()` copies when one of the two is written) stays until that goes, too.
   */
  dispose(): void {
    const { node } = this.impl.storage;
    if (node.owners > 1 || node.lost !== null) return;
    if (node.uses > 0 && lossOf(node.backend) === null) flushRecorded(node.backend);
    evict(node);
    node.host = null;
    node.settle();
    node.settled = true;
    node.lost = lossReason("was disposed of");
  }

  /** `dispose()` at the end of a block: `using y = x.mul(2)`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

setTensorClass((impl: Impl) => new Tensor(impl));

/** In-place operations that record on `before` by themselves. */
function inPlaceRecorded(name: string, self: Tensor, compute: (before: Tensor) => Tensor): void {
  inPlace(name, self, compute);
}

function failCopy(self: Tensor, values: Tensor): never {
  throw new ShapeError(
    `copy_: cannot broadcast shape ${showShape(values.shape)} to ${showShape(self.shape)}` +
      (values.dim() > self.dim()
        ? ": it has more dimensions"
        : "; from the last dimension on, sizes must be equal or 1"),
  );
}

/** Whether values of one shape can be repeated to fill another. */
function fitsInto(shape: readonly number[], target: readonly number[]): boolean {
  const lead = target.length - shape.length;
  return lead >= 0 && shape.every((n, d) => n === 1 || n === target[lead + d]);
}

function moveTo(tensor: Tensor, device: string): Tensor {
  const backend = backendOf(device);
  if (!backend.supports(tensor.dtype))
    throw new DeviceError(
      `to: the ${backend.type} device has no ${tensor.dtype}; convert it first, for example .to("float32")`,
    );
  const source = convertCopyIfView(tensor);
  const node = transferNode(backend, source.impl.storage.node);
  const out = wrap(
    new Impl(new Storage(node), { shape: tensor.shape, strides: source.impl.strides, offset: 0 }, tensor.dtype),
  );
  if (tensor.requiresGrad) {
    const from = tensor.device;
    record("ToCopyBackward0", out, [[tensor, [], (g) => g.to(from)]]);
  }
  return out;
}

/** The tensor as the whole of a node. */
function convertCopyIfView(tensor: Tensor): Tensor {
  const { impl } = tensor;
  const { node } = impl.storage;
  return node.numel === numel(impl.shape) && isContiguous(impl.shape, impl.strides) && impl.offset === 0
    ? tensor.detach()
    : copyOf(tensor);
}

/** The elements in a storage of their own. */
function copyOf(tensor: Tensor): Tensor {
  const { shape, dtype, backend } = tensor.impl;
  const saved = salvage(tensor);
  if (saved === null) return convertCopy(tensor, dtype);
  const node = leafNode(backend, saved, shape, dtype);
  return wrap(new Impl(new Storage(node), { shape, strides: contiguousStrides(shape), offset: 0 }, dtype));
}

/**
 * The elements of a tensor whose device is gone, in order, where the host knows them; else null.
 */
function salvage(tensor: Tensor): HostArray | null {
  const { impl } = tensor;
  const { host } = impl.storage.node;
  if (host === null || lossOf(impl.backend) === null) return null;
  const { shape, strides, offset } = impl;
  const steps = contiguousStrides(shape);
  return hostArray(impl.dtype, numel(shape)).map((_, i) => {
    const at = shape.reduce((sum, n, d) => sum + strides[d]! * (Math.floor(i / steps[d]!) % n), offset);
    return host[at]!;
  });
}

/** Where the elements of a tensor lie in order; a copy is recorded where they do not. */
function rangeOf(tensor: Tensor): NodeRange {
  const { impl } = tensor;
  const count = numel(impl.shape);
  if (isContiguous(impl.shape, impl.strides))
    return { node: impl.storage.node, offset: count === 0 ? 0 : impl.offset, count };
  const saved = salvage(tensor);
  if (saved !== null) return { node: leafNode(impl.backend, saved, impl.shape, impl.dtype), offset: 0, count };
  const copy = convertCopy(tensor, impl.dtype);
  return { node: copy.impl.storage.node, offset: 0, count };
}

/** The elements of several tensors, in row-major order, by one transfer. */
export async function readAll(tensors: readonly Tensor[]): Promise<TensorData[]> {
  if (!Array.isArray(tensors))
    throw new ArgumentError(`readAll: expected an array of tensors, got ${describeValue(tensors)}`);
  tensors.forEach((t, i) => checkTensor("readAll", `element ${i}`, t));
  const raw = await readRaw(tensors);
  return raw.map((array, i) => present(array, tensors[i]!.dtype));
}

/** The same in the host's layout: float16 as its bits. */
export async function readRaw(tensors: readonly Tensor[]): Promise<HostArray[]> {
  realizeWithSaved(tensors);
  return readNodes(tensors.map(rangeOf));
}

/** Host values in the array that the user gets. */
function present(raw: HostArray, dtype: DType): TensorData {
  if (dtype !== "float16") return raw as TensorData;
  const bits = raw as Uint16Array;
  const half = (
    globalThis as unknown as {
      Float16Array?: new (buffer: ArrayBufferLike, offset: number, length: number) => Float32Array;
    }
  ).Float16Array;
  return half === undefined ? Float32Array.from(bits, fromHalf) : new half(bits.buffer, bits.byteOffset, bits.length);
}

function element(data: TensorData, dtype: DType): number {
  // The declared type is number, the common case; bool gives a boolean as in PyTorch.
  return dtype === "bool" ? ((data[0] !== 0) as unknown as number) : data[0]!;
}

function nest(data: TensorData, shape: readonly number[], dtype: DType): NestedValues {
  let at = 0;
  const build = (d: number): number | boolean | NestedValues => {
    if (d === shape.length) {
      const value = data[at++]!;
      return dtype === "bool" ? value !== 0 : value;
    }
    return Array.from({ length: shape[d]! }, () => build(d + 1));
  };
  return build(0) as NestedValues;
}

function checkOne(tensor: Tensor): void {
  if (tensor.numel() !== 1)
    throw new ShapeError(
      `item: a Tensor with ${tensor.numel()} elements cannot be converted to a number; index or reduce it first`,
    );
}

function syncError(tensor: Tensor, name: string): DeviceError {
  return new DeviceError(
    `the values are on the ${tensor.device} device, which cannot be read without waiting: use await t.${name}()`,
  );
}

function render(tensor: Tensor, data: TensorData): string {
  const fn: GradFn | null = tensor.gradFn;
  return formatTensor({
    data,
    shape: tensor.shape,
    dtype: tensor.dtype,
    gradFn: fn === null ? null : fn.name,
    requiresGrad: tensor.requiresGrad,
  });
}
