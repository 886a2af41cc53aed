/** New tensors: from host data, constants, ranges. */

import { describeValue, integers, parse, signature, splitOptions, spread, type ArgsOf } from "../args.ts";
import type { Backend } from "../backend/backend.ts";
import { setRequiresGrad } from "../methods/core.ts";
import { checkDType, fillHost, holds, hostArray, hostArrayOf, isFloat, type DType, type HostArray } from "../dtype.ts";
import { ArgumentError, DTypeError, ShapeError } from "../errors.ts";
import { valueType } from "../graph/builder.ts";
import { backendOf, defaultBackend } from "../graph/devices.ts";
import type { Node } from "../graph/node.ts";
import { leafNode } from "../graph/runtime.ts";
import { contiguousStrides, numel, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, checkSizes, checkTensor, fromNode, iota, isTensor, mapOp } from "./apply.ts";

/** Options of every function that makes a tensor. */
export interface TensorOptions {
  /** Element type; float32, or that of the data, by default. */
  dtype?: DType | null;
  /** `"cpu"` or `"webgpu"`; the device of the last `init()` by default. */
  device?: string | null;
  /** Whether gradients are to flow to it. */
  requiresGrad?: boolean;
}

const OPTIONS = ["dtype", "device", "requiresGrad"] as const;

/** Nested arrays of numbers or booleans. */
export type NestedArray = number | boolean | readonly NestedArray[];

/** Arrays of numbers with a fixed element type. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Int16Array
  | Uint16Array
  | Uint32Array;

/** The device named by an option, or the default one; and whether it can hold the dtype. */
export function placeFor(op: string, options: TensorOptions, dtype: DType): Backend {
  const backend = options.device == null ? defaultBackend() : backendOf(options.device);
  if (!backend.supports(dtype))
    throw new DTypeError(
      dtype === "float64"
        ? `${op}: float64 lives on the CPU only: pass { device: "cpu" } or use float32`
        : `${op}: the ${backend.type} device (${backend.description}) has no ${dtype}: use float32`,
    );
  return backend;
}

/** Applies `requiresGrad` to a fresh tensor. */
export function finish(tensor: Tensor, options: TensorOptions): Tensor {
  if (options.requiresGrad === true) setRequiresGrad(tensor, true);
  return tensor;
}

/** A tensor of host values, which it keeps. */
export function fromHost(backend: Backend, data: HostArray, shape: readonly number[], dtype: DType): Tensor {
  return fromNode(leafNode(backend, data, shape, dtype));
}

const TENSOR = signature<
  { data: NestedArray | NumericArray | Tensor; shape?: readonly number[] | null } & TensorOptions
>()("tensor", ["data"], ["shape", ...OPTIONS]);

/**
 * A tensor of the values in `data`: nested arrays, a number, a boolean, or a typed array with `shape`. Data is copied at the call.
 * Numbers give float32 (integers too), booleans bool, typed arrays their own dtype. Throws a `ShapeError` for ragged
 * arrays or a shape of another size, and an `ArgumentError` for numbers that an integer dtype cannot hold (elements of typed arrays are
 * converted: cut off, NaN to 0).
 */
export function tensor(...args: ArgsOf<typeof TENSOR>): Tensor {
  const { data, shape = null, ...options } = parse(TENSOR, args);
  if (options.dtype != null) checkDType(options.dtype, "tensor");
  if (isTensor(data)) {
    let copy = data.detach();
    if (options.device != null) copy = copy.to(options.device as "cpu");
    copy = options.dtype != null && options.dtype !== data.dtype ? copy.to(options.dtype) : copy.clone();
    return finish(shape === null ? copy : copy.reshape([...shape]), options);
  }
  if (ArrayBuffer.isView(data)) return fromTyped("tensor", data, shape, options, false);
  const flat: number[] = [];
  const sizes: number[] = [];
  const kinds = { booleans: false, numbers: false };
  flattenInto(data, 0, sizes, flat, kinds);
  const dtype = options.dtype ?? (kinds.booleans && !kinds.numbers ? "bool" : "float32");
  const backend = placeFor("tensor", options, dtype);
  if (dtype === "int32" || dtype === "uint8") for (const value of flat) checkHolds("tensor", value, dtype);
  const host = hostArrayOf(dtype, flat);
  const target = shape === null ? sizes : checkSizes("tensor", shape);
  if (numel(target) !== flat.length)
    throw new ShapeError(
      `tensor: ${flat.length} values do not fill shape ${showShape(target)} (${numel(target)} elements)`,
    );
  return finish(fromHost(backend, host, target, dtype), options);
}

const AS_TENSOR = signature<
  { data: NestedArray | NumericArray | Tensor; shape?: readonly number[] | null } & TensorOptions
>()("asTensor", ["data"], ["shape", ...OPTIONS]);

/**
 * A tensor of the values in `data` without a copy where that can be, PyTorch's `as_tensor`: of a tensor, itself, or `to(dtype)` and `to(device)` of it, with its
 * history; of a typed array whose elements are those of the dtype, one that reads the array when it needs to. Such an array is not to be changed afterwards: whether
 * the tensor shows it is not said. All else is copied as `tensor` does, whose errors it throws.
 */
export function asTensor(...args: ArgsOf<typeof AS_TENSOR>): Tensor {
  const { data, shape = null, ...options } = parse(AS_TENSOR, args);
  if (options.dtype != null) checkDType(options.dtype, "asTensor");
  if (isTensor(data)) {
    let result = data;
    if (options.device != null) result = result.to(options.device as "cpu");
    if (options.dtype != null) result = result.to(options.dtype);
    if (shape !== null) result = result.reshape([...shape]);
    return options.requiresGrad == null || options.requiresGrad === result.requiresGrad
      ? result
      : finish(result.detach(), options);
  }
  return ArrayBuffer.isView(data)
    ? fromTyped("asTensor", data, shape, options, true)
    : tensor(data, { ...options, shape });
}

/** The memory of a typed array as a host array of `dtype`; null if its elements are others, or the memory may be resized or shared. */
function sharedHost(data: ArrayBufferView, dtype: DType): HostArray | null {
  const { buffer, byteOffset } = data;
  if (!(buffer instanceof ArrayBuffer) || (buffer as { resizable?: boolean }).resizable === true) return null;
  const { length } = data as unknown as ArrayLike<number>;
  switch (dtype) {
    case "float32":
      return data instanceof Float32Array ? new Float32Array(buffer, byteOffset, length) : null;
    case "float64":
      return data instanceof Float64Array ? new Float64Array(buffer, byteOffset, length) : null;
    case "int32":
      return data instanceof Int32Array ? new Int32Array(buffer, byteOffset, length) : null;
    case "uint8":
      return data instanceof Uint8Array || data instanceof Uint8ClampedArray
        ? new Uint8Array(buffer, byteOffset, length)
        : null;
    case "float16":
      return data.constructor.name === "Float16Array" ? new Uint16Array(buffer, byteOffset, length) : null;
    default:
      return null;
  }
}

function fromTyped(
  op: string,
  data: ArrayBufferView,
  shape: readonly number[] | null,
  options: TensorOptions,
  shares: boolean,
): Tensor {
  const source = data as unknown as ArrayLike<number>;
  const own: DType | null =
    data instanceof Float32Array || data instanceof Float64Array
      ? "float32"
      : data instanceof Int32Array ||
          data instanceof Int16Array ||
          data instanceof Int8Array ||
          data instanceof Uint16Array
        ? "int32"
        : data instanceof Uint8Array || data instanceof Uint8ClampedArray
          ? "uint8"
          : data.constructor.name === "Float16Array"
            ? "float16"
            : null;
  if (own === null)
    throw new DTypeError(
      `${op}: ${data.constructor.name} has no dtype here; use a Float32Array, Float64Array, Int32Array or Uint8Array`,
    );
  const dtype = options.dtype ?? own;
  const backend = placeFor(op, options, dtype);
  const target = shape === null ? [source.length] : checkSizes(op, shape);
  if (numel(target) !== source.length)
    throw new ShapeError(
      `${op}: ${source.length} values do not fill shape ${showShape(target)} (${numel(target)} elements)`,
    );
  const shared = shares ? sharedHost(data, dtype) : null;
  return finish(fromHost(backend, shared ?? hostArrayOf(dtype, source), target, dtype), options);
}

function flattenInto(
  value: unknown,
  depth: number,
  sizes: number[],
  flat: number[],
  kinds: { booleans: boolean; numbers: boolean },
): void {
  if (typeof value === "number" || typeof value === "boolean") {
    if (depth !== sizes.length && flat.length > 0) throw raggedError();
    if (typeof value === "number") kinds.numbers = true;
    else kinds.booleans = true;
    flat.push(Number(value));
    return;
  }
  if (typeof value === "bigint")
    throw new ArgumentError("tensor: bigint values are not supported; convert them with Number()");
  const list = Array.isArray(value) || ArrayBuffer.isView(value) ? (value as ArrayLike<unknown>) : null;
  if (list === null)
    throw new ArgumentError(
      `tensor: expected numbers, booleans or nested arrays of them, got ${value === null ? "null" : typeof value}`,
    );
  if (sizes.length <= depth) {
    if (flat.length > 0 || sizes.length < depth) throw raggedError();
    sizes.push(list.length);
  } else if (sizes[depth] !== list.length)
    throw new ShapeError(`tensor: expected sequence of length ${sizes[depth]} at dim ${depth} (got ${list.length})`);
  for (let i = 0; i < list.length; i++) flattenInto(list[i], depth + 1, sizes, flat, kinds);
}

function raggedError(): ShapeError {
  return new ShapeError("tensor: nested arrays are ragged: numbers and arrays are mixed at one depth");
}

const FULL_KEY = "full:";

/** A tensor filled with a number that reaches the kernel as data. */
export function constant(backend: Backend, shape: readonly number[], value: number, dtype: DType): Tensor {
  const op = mapOp(`${FULL_KEY}${dtype}`, 0, (b, _, { scalars }) =>
    dtype === "uint8" ? b.emit("wrap8", "i", [scalars[0]!]) : scalars[0]!,
  );
  const stored = dtype === "bool" ? (value ? 1 : 0) : value;
  return applyNode(backend, op, shape, dtype, [], { scalars: [stored], scalarTypes: [valueType(dtype)] });
}

/** The number that a node is filled with; null for any other node. */
export function constantOf({ op, scalars }: Node): number | null {
  return op.kind === "map" && op.key.startsWith(FULL_KEY) ? scalars[0]! : null;
}

/** Sizes as an array or plain numbers, then options. */
type CreationArgs = readonly (number | readonly number[] | (TensorOptions & { size?: readonly number[] }))[];

function creation(op: string, args: readonly unknown[]): { shape: number[]; options: TensorOptions; dtype: DType } {
  if (args.length > 0 && args[0] === undefined)
    throw new ArgumentError(`${op}: the size is undefined; for a scalar write ${op}([])`);
  const { values, options } = splitOptions<TensorOptions & { size?: readonly number[] }>(op, args, [
    "size",
    ...OPTIONS,
  ]);
  const { size, ...rest } = options;
  const shape = checkSizes(op, integers(op, "size", spread<number>(size === undefined ? values : [size])));
  const dtype = rest.dtype == null ? "float32" : checkDType(rest.dtype, op);
  return { shape, options: rest, dtype };
}

/** A tensor of zeros: `zeros(2, 3)`, `zeros([2, 3], { dtype })`. */
export function zeros(...size: CreationArgs): Tensor {
  const { shape, options, dtype } = creation("zeros", size);
  return finish(constant(placeFor("zeros", options, dtype), shape, 0, dtype), options);
}

/** A tensor of ones. */
export function ones(...size: CreationArgs): Tensor {
  const { shape, options, dtype } = creation("ones", size);
  return finish(constant(placeFor("ones", options, dtype), shape, 1, dtype), options);
}

/** A tensor whose values do not matter yet (zeros here). */
export function empty(...size: CreationArgs): Tensor {
  const { shape, options, dtype } = creation("empty", size);
  return finish(constant(placeFor("empty", options, dtype), shape, 0, dtype), options);
}

const FULL = signature<{ size: number | readonly number[]; fillValue: number | boolean } & TensorOptions>()(
  "full",
  ["size", "fillValue"],
  OPTIONS,
);

/** A tensor filled with `fillValue`: float32 for numbers, bool for booleans unless `dtype` says otherwise. */
export function full(...args: ArgsOf<typeof FULL>): Tensor {
  const { size, fillValue, ...options } = parse(FULL, args);
  checkFill("full", fillValue);
  const dtype =
    options.dtype == null ? (typeof fillValue === "boolean" ? "bool" : "float32") : checkDType(options.dtype, "full");
  checkHolds("full", fillValue, dtype);
  const shape = checkSizes("full", integers("full", "size", size));
  return finish(constant(placeFor("full", options, dtype), shape, Number(fillValue), dtype), options);
}

function checkFill(op: string, value: unknown): void {
  if (typeof value !== "number" && typeof value !== "boolean")
    throw new ArgumentError(`${op}: fillValue must be a number or a boolean, got ${describeValue(value)}`);
}

/** Fails for a number that a dtype cannot hold. */
export function checkHolds(op: string, value: number | boolean, dtype: DType): void {
  if (!holds(dtype, Number(value)))
    throw new ArgumentError(
      `${op}: ${value} cannot be converted to ${dtype} without overflow; use a floating dtype, or convert it before`,
    );
}

/** Options of the functions that make a tensor like another. */
function likeOptions(
  op: string,
  input: Tensor,
  options: TensorOptions | undefined,
): { backend: Backend; dtype: DType; rest: TensorOptions } {
  checkTensor(op, "input", input);
  const { options: rest } = splitOptions<TensorOptions>(op, options === undefined ? [] : [options], OPTIONS);
  const dtype = rest.dtype == null ? input.dtype : checkDType(rest.dtype, op);
  const backend = rest.device == null ? input.impl.backend : placeFor(op, rest, dtype);
  return { backend, dtype, rest };
}

/** Zeros of the input's shape, dtype and device. */
export function zerosLike(input: Tensor, options?: TensorOptions): Tensor {
  const { backend, dtype, rest } = likeOptions("zerosLike", input, options);
  return finish(constant(backend, input.shape, 0, dtype), rest);
}

/** Ones of the input's shape, dtype and device. */
export function onesLike(input: Tensor, options?: TensorOptions): Tensor {
  const { backend, dtype, rest } = likeOptions("onesLike", input, options);
  return finish(constant(backend, input.shape, 1, dtype), rest);
}

/** Values that do not matter yet, of the input's shape, dtype and device. */
export function emptyLike(input: Tensor, options?: TensorOptions): Tensor {
  const { backend, dtype, rest } = likeOptions("emptyLike", input, options);
  return finish(constant(backend, input.shape, 0, dtype), rest);
}

/** A number in the input's shape, dtype and device. */
export function fullLike(input: Tensor, fillValue: number | boolean, options?: TensorOptions): Tensor {
  checkFill("fullLike", fillValue);
  const { backend, dtype, rest } = likeOptions("fullLike", input, options);
  checkHolds("fullLike", fillValue, dtype);
  return finish(constant(backend, input.shape, Number(fillValue), dtype), rest);
}

/** A tensor of another shape filled with a number, of the input's dtype and device. */
export function newFull(
  input: Tensor,
  size: readonly number[],
  fillValue: number | boolean,
  options?: TensorOptions,
): Tensor {
  checkFill("newFull", fillValue);
  const { backend, dtype, rest } = likeOptions("newFull", input, options);
  checkHolds("newFull", fillValue, dtype);
  return finish(constant(backend, checkSizes("newFull", size), Number(fillValue), dtype), rest);
}

/** Zeros of another shape, of the input's dtype and device. */
export function newZeros(input: Tensor, size: readonly number[], options?: TensorOptions): Tensor {
  return newFull(input, size, 0, options);
}

/** Ones of another shape, of the input's dtype and device. */
export function newOnes(input: Tensor, size: readonly number[], options?: TensorOptions): Tensor {
  return newFull(input, size, 1, options);
}

/** `start + step * i`, computed in the result's type. */
function ramp(backend: Backend, count: number, start: number, step: number, dtype: DType): Tensor {
  const type = valueType(dtype);
  const op = mapOp(`ramp:${dtype}`, 2, (b, [i], { scalars }) => {
    const value = b.add(scalars[0]!, b.mul(b.cast(i!, type), scalars[1]!));
    return dtype === "uint8" ? b.emit("wrap8", "i", [value]) : value;
  });
  return applyNode(backend, op, [count], dtype, [iota([count], [1])], {
    scalars: [start, step],
    scalarTypes: [type, type],
  });
}

const ARANGE = signature<{ start?: number; end?: number; step?: number } & TensorOptions>()(
  "arange",
  ["start", "end", "step"],
  OPTIONS,
);

/** Numbers from `start` (0) to `end` (excluded) by `step` (1). float32 unless `dtype` says otherwise. */
export function arange(...args: ArgsOf<typeof ARANGE>): Tensor {
  const parsed = parse(ARANGE, args);
  let { start = 0, end } = parsed;
  const { step = 1 } = parsed;
  if (end === undefined) [start, end] = [0, start];
  for (const value of [start, end, step])
    if (typeof value !== "number" || !Number.isFinite(value))
      throw new ArgumentError(`arange: bounds and step must be finite numbers, got ${String(value)}`);
  if (step === 0) throw new ArgumentError("arange: step must be nonzero");
  if ((end - start) * step < 0)
    throw new ArgumentError(
      `arange: upper bound and larger bound inconsistent with step sign (${start}, ${end}, ${step})`,
    );
  const dtype = parsed.dtype == null ? "float32" : checkDType(parsed.dtype, "arange");
  if (dtype === "bool") throw new DTypeError("arange: bool is not supported");
  const count = Math.ceil((end - start) / step);
  return finish(ramp(placeFor("arange", parsed, dtype), count, start, step, dtype), parsed);
}

const LINSPACE = signature<{ start: number; end: number; steps: number } & TensorOptions>()(
  "linspace",
  ["start", "end", "steps"],
  OPTIONS,
);

/** `steps` evenly spaced numbers from `start` to `end`, both included. */
export function linspace(...args: ArgsOf<typeof LINSPACE>): Tensor {
  const { start, end, steps, ...options } = parse(LINSPACE, args);
  return finish(spaced("linspace", start, end, steps, options, null), options);
}

const LOGSPACE = signature<{ start: number; end: number; steps: number; base?: number } & TensorOptions>()(
  "logspace",
  ["start", "end", "steps", "base"],
  OPTIONS,
);

/** `base` to the powers of evenly spaced exponents from `start` to `end`. */
export function logspace(...args: ArgsOf<typeof LOGSPACE>): Tensor {
  const { start, end, steps, base = 10, ...options } = parse(LOGSPACE, args);
  return finish(spaced("logspace", start, end, steps, options, base), options);
}

function spaced(
  op: string,
  start: number,
  end: number,
  steps: number,
  options: TensorOptions,
  base: number | null,
): Tensor {
  for (const given of [start, end, base ?? 0])
    if (typeof given !== "number")
      throw new ArgumentError(`${op}: the ends must be numbers, got ${describeValue(given)}`);
  if (!Number.isInteger(steps) || steps < 0 || steps > 2 ** 31 - 1)
    throw new ArgumentError(`${op}: number of steps must be a non-negative integer, got ${describeValue(steps)}`);
  const dtype = options.dtype == null ? "float32" : checkDType(options.dtype, op);
  const backend = placeFor(op, options, dtype);
  // Few numbers, computed once in double precision: the ends are exact and both halves symmetric.
  const host = hostArray(dtype, steps);
  const step = steps > 1 ? (end - start) / (steps - 1) : 0;
  const values = Array.from({ length: steps }, (_, i) => {
    const x = i < steps / 2 ? start + step * i : end - step * (steps - 1 - i);
    const value = steps === 1 ? start : x;
    const result = base === null ? value : base ** value;
    return isFloat(dtype) ? result : Math.trunc(result);
  });
  fillHost(host, dtype, values);
  return fromHost(backend, host, [steps], dtype);
}

const EYE = signature<{ n: number; m?: number | null } & TensorOptions>()("eye", ["n", "m"], OPTIONS);

/** The identity matrix of `n` rows and `m` (`n`) columns. */
export function eye(...args: ArgsOf<typeof EYE>): Tensor {
  const { n, m = null, ...options } = parse(EYE, args);
  const shape = checkSizes("eye", [n, m ?? n]);
  const dtype = options.dtype == null ? "float32" : checkDType(options.dtype, "eye");
  const op = mapOp(`eye:${dtype}`, 2, (b, [row, column]) => b.cast(b.compare("eq", row!, column!), valueType(dtype)));
  const out = applyNode(placeFor("eye", options, dtype), op, shape, dtype, [iota(shape, [1, 0]), iota(shape, [0, 1])]);
  return finish(out, options);
}

/** Elements on and below (`tril`) or on and above (`triu`) a diagonal, zero elsewhere; off the tape. */
export function triangle(input: Tensor, diagonal: number, lower: boolean): Tensor {
  const { shape, dtype } = input;
  const rank = shape.length;
  const type = valueType(dtype);
  const along = (d: number): number[] => shape.map((_, i) => (i === d ? 1 : 0));
  const op = mapOp(`${lower ? "tril" : "triu"}:${dtype}`, 2, (b, [x, row, column], { scalars }) => {
    const reach = b.add(row!, scalars[0]!);
    return b.select(b.compare(lower ? "le" : "ge", column!, reach), x!, b.lit(0, type));
  });
  const args = [argOf(input), iota(shape, along(rank - 2)), iota(shape, along(rank - 1))];
  return applyNode(input.impl.backend, op, shape, dtype, args, { scalars: [diagonal], scalarTypes: ["i"] });
}

/** Row-major positions of a shape's elements as int32. */
export function positions(backend: Backend, shape: readonly number[]): Tensor {
  const op = mapOp("positions", 0, (_, [i]) => i!);
  return applyNode(backend, op, shape, "int32", [iota(shape, contiguousStrides(shape))]);
}

/** 0, 1, ... up to `n` as int32, on the very device of a tensor (there may be several of its kind). */
export function countLike(like: Tensor, n: number): Tensor {
  return positions(like.impl.backend, [n]);
}

/** `tensor(data)` on the very device of another tensor. */
export function tensorLike(
  like: Tensor,
  data: NestedArray | NumericArray,
  options: { dtype?: DType; shape?: readonly number[] } = {},
): Tensor {
  const { impl } = tensor(data, { ...options, device: "cpu" });
  return fromHost(like.impl.backend, impl.storage.node.host!, impl.shape, impl.dtype);
}
