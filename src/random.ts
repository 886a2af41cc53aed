/**
 * Random numbers: Philox 4x32-10 counted by element, so that a seed gives the same numbers on every device. Seed and counter are
 * fixed when a tensor is recorded, whenever it is computed.
 */

import { describeValue, integers, parse, signature, splitOptions, spread, type ArgsOf } from "./args.ts";
import type { Backend } from "./backend/backend.ts";
import { checkDType, isFloat, type DType } from "./dtype.ts";
import { ArgumentError, DTypeError } from "./errors.ts";
import { valueType, type Builder, type Value } from "./graph/builder.ts";
import type { Node, NodeOp } from "./graph/node.ts";
import { checkSameRandomness, exampleArg, randomOffsets } from "./graph/trace.ts";
import { contiguousStrides, numel } from "./graph/view.ts";
import { applyNode, argOf, checkFloating, checkSizes, checkTensor, iota, isTensor, mapOp } from "./ops/apply.ts";
import { finish, fromHost, placeFor, type TensorOptions } from "./ops/creation.ts";
import { philox4x32 } from "./philox.ts";
import { record } from "./autograd/tape.ts";
import type { Tensor } from "./tensor.ts";

/** Seed and position of the generator; enough to go on from the same place. */
export interface RandomState {
  /** Low and high word of the seed. */
  readonly seed: readonly [number, number];
  /** How many random tensors were made since it was set. */
  readonly counter: number;
}

let state: RandomState = { seed: [0, 0], counter: 0 };
let seeded = false;

/** Sets the seed: an integer up to 2^53 in size. Returns nothing; the same seed gives the same numbers on every device. */
export function manualSeed(seed: number): void {
  if (!Number.isSafeInteger(seed)) throw new ArgumentError(`manualSeed: expected a safe integer, got ${String(seed)}`);
  state = { seed: [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0], counter: 0 };
  seeded = true;
}

/** A new seed that nobody chose, set and returned (`torch.seed`). */
export function seed(): number {
  const value = Math.floor(Math.random() * 2 ** 53);
  manualSeed(value);
  return value;
}

/** The generator's state, for `setRngState`. */
export function getRngState(): RandomState {
  ensureSeeded();
  return state;
}

/** Goes on from a state taken before. */
export function setRngState(next: RandomState): void {
  const words: unknown = next?.seed;
  const isCount = (n: unknown): boolean => Number.isSafeInteger(n) && (n as number) >= 0;
  if (!Array.isArray(words) || words.length !== 2 || !words.every(isCount) || !isCount(next.counter))
    throw new ArgumentError("setRngState: expected what getRngState() gave: { seed: [low, high], counter }");
  state = { seed: [next.seed[0] >>> 0, next.seed[1] >>> 0], counter: next.counter };
  seeded = true;
}

function ensureSeeded(): void {
  if (!seeded) seed();
}

/** Key and stream number of the next random tensor. */
function nextStream(): { key: readonly [number, number]; stream: number } {
  ensureSeeded();
  const { seed: key, counter } = state;
  state = { seed: key, counter: counter + 1 };
  return { key, stream: counter };
}

/** The operations that draw numbers by a stream: their nodes' first four scalars are its number and the seed. */
const drawing = new WeakSet<NodeOp>();

/** True if a node draws numbers by a stream. */
export function isRandomNode(node: Node): boolean {
  return drawing.has(node.op);
}

/** The scalars of a random node that was recorded when `from` was the state, as if it were recorded at the state `to`. */
export function redrawn(node: Node, from: RandomState, to: RandomState): number[] {
  const [low, high, , , ...rest] = node.scalars as [number, number, number, number];
  const stream = high * 2 ** 32 + low - from.counter + to.counter;
  return [stream >>> 0, Math.floor(stream / 2 ** 32) >>> 0, ...to.seed, ...rest];
}

interface Stream {
  readonly scalars: number[];
  readonly scalarTypes: ("u" | "f" | "d" | "i")[];
}

/** The number of each element of a shape, which counts the random blocks: arguments of a map, and how its lowering adds them up. */
function elementNumber(op: string, shape: readonly number[], stream: Stream) {
  const offsets = randomOffsets(op, numel(shape));
  const first = stream.scalars.length;
  for (const { step } of offsets) {
    stream.scalars.push(step);
    stream.scalarTypes.push("i");
  }
  const args = [iota(shape, contiguousStrides(shape)), ...offsets.map(({ node }) => exampleArg(node, shape))];
  const lower = (b: Builder, [i, ...examples]: readonly Value[], scalars: readonly Value[]): Value =>
    examples.reduce((sum, e, j) => b.add(sum, b.mul(e, scalars[first + j]!)), i!);
  return { args, lower, key: offsets.length === 0 ? "" : `:examples${offsets.length}at${first}` };
}

function streamScalars(): Stream {
  const { key, stream } = nextStream();
  return {
    scalars: [stream >>> 0, Math.floor(stream / 2 ** 32) >>> 0, key[0], key[1]],
    scalarTypes: ["u", "u", "u", "u"],
  };
}

/** Word `lane` of the block of element `i`: the counter is (element, stream low, stream high, 0). */
function word(b: Builder, i: Value, s: readonly Value[], lane: number): Value {
  return b.emit("philox", "u", [b.cast(i, "u"), s[0]!, s[1]!, s[2]!, s[3]!], lane);
}

/** Uniform in [0, 1) with 24 bits, exact in float32. */
function uniform24(b: Builder, bits: Value, type: "f" | "d"): Value {
  const high = b.emit("shr", "u", [bits, b.lit(8, "u")]);
  return b.mul(b.cast(high, type), b.lit(2 ** -24, type));
}

/** Uniform in [0, 1): 24 bits, or 53 for float64. */
function uniform(b: Builder, i: Value, s: readonly Value[], dtype: DType): Value {
  if (dtype !== "float64") return uniform24(b, word(b, i, s, 0), "f");
  const high = b.cast(b.emit("shr", "u", [word(b, i, s, 0), b.lit(5, "u")]), "d");
  const low = b.cast(b.emit("shr", "u", [word(b, i, s, 1), b.lit(6, "u")]), "d");
  return b.mul(b.add(b.mul(high, b.lit(2 ** 26, "d")), low), b.lit(2 ** -53, "d"));
}

/** Standard normal by Box and Muller's transform of two uniform numbers, the first in (0, 1]. */
function normalValue(b: Builder, i: Value, s: readonly Value[], dtype: DType): Value {
  const type = dtype === "float64" ? "d" : "f";
  const first = b.sub(b.lit(1, type), uniform24(b, word(b, i, s, 0), type));
  const second = uniform24(b, word(b, i, s, 1), type);
  const radius = b.un("sqrt", b.mul(b.lit(-2, type), b.un("log", first)));
  return b.mul(radius, b.un("cos", b.mul(b.lit(2 * Math.PI, type), second)));
}

function randomTensor(
  op: string,
  backend: Backend,
  shape: readonly number[],
  dtype: DType,
  value: (b: Builder, i: Value, s: readonly Value[]) => Value,
  extra: readonly (readonly [number, "f" | "d" | "i" | "u"])[] = [],
): Tensor {
  const stream = streamScalars();
  for (const [scalar, type] of extra) {
    stream.scalars.push(scalar);
    stream.scalarTypes.push(type);
  }
  const number = elementNumber(op, shape, stream);
  const map = mapOp(`${op}:${dtype}${number.key}`, 40, (b, args, { scalars }) =>
    value(b, number.lower(b, args, scalars), scalars),
  );
  drawing.add(map);
  return applyNode(backend, map, shape, dtype, number.args, stream);
}

type SizeArgs = readonly (number | readonly number[] | (TensorOptions & { size?: readonly number[] }))[];

function randomOptions(
  op: string,
  args: readonly unknown[],
): { shape: number[]; dtype: DType; options: TensorOptions } {
  const { values, options } = splitOptions<TensorOptions & { size?: readonly number[] }>(op, args, [
    "size",
    "dtype",
    "device",
    "requiresGrad",
  ]);
  const { size, ...rest } = options;
  const shape = checkSizes(op, integers(op, "size", spread<number>(size === undefined ? values : [size])));
  const dtype = rest.dtype == null ? "float32" : checkDType(rest.dtype, op);
  if (!isFloat(dtype)) throw new DTypeError(`${op}: expected a floating point dtype, got ${dtype}`);
  return { shape, dtype, options: rest };
}

/** Uniform random numbers in [0, 1). */
export function rand(...size: SizeArgs): Tensor {
  const { shape, dtype, options } = randomOptions("rand", size);
  return finish(uniformTensor(placeFor("rand", options, dtype), shape, dtype), options);
}

function uniformTensor(backend: Backend, shape: readonly number[], dtype: DType): Tensor {
  return randomTensor("rand", backend, shape, dtype, (b, i, s) => uniform(b, i, s, dtype));
}

/** Random numbers of the standard normal distribution. */
export function randn(...size: SizeArgs): Tensor {
  const { shape, dtype, options } = randomOptions("randn", size);
  return finish(normalTensor(placeFor("randn", options, dtype), shape, dtype), options);
}

function normalTensor(backend: Backend, shape: readonly number[], dtype: DType): Tensor {
  return randomTensor("randn", backend, shape, dtype, (b, i, s) => normalValue(b, i, s, dtype));
}

/** `rand` of the input's shape, dtype and device. */
export function randLike(input: Tensor, options: TensorOptions = {}): Tensor {
  checkTensor("randLike", "input", input);
  const dtype = options.dtype ?? input.dtype;
  checkFloatType("randLike", dtype);
  const backend = options.device == null ? input.impl.backend : placeFor("randLike", options, dtype);
  return finish(uniformTensor(backend, input.shape, dtype), options);
}

/** `randn` of the input's shape, dtype and device. */
export function randnLike(input: Tensor, options: TensorOptions = {}): Tensor {
  checkTensor("randnLike", "input", input);
  const dtype = options.dtype ?? input.dtype;
  checkFloatType("randnLike", dtype);
  const backend = options.device == null ? input.impl.backend : placeFor("randnLike", options, dtype);
  return finish(normalTensor(backend, input.shape, dtype), options);
}

function checkFloatType(op: string, dtype: DType): void {
  if (!isFloat(dtype)) throw new DTypeError(`${op}: expected a floating point dtype, got ${dtype}`);
}

const RANDINT = signature<{ low?: number; high?: number; size?: readonly number[] } & TensorOptions>()(
  "randint",
  ["low", "high", "size"],
  ["dtype", "device", "requiresGrad"],
);

type RandintArgs =
  | ArgsOf<typeof RANDINT>
  | [high: number, size: readonly number[], options?: TensorOptions]
  | [high: number, options: { size: readonly number[] } & TensorOptions];

/** Random integers in [low, high), low being 0 by default: `randint(10, [3])`, `randint(1, 7, [2, 2])`. int32 by default. */
export function randint(...args: RandintArgs): Tensor {
  // randint(high, size): the second position is an array.
  const shifted = Array.isArray(args[1]) ? [0, args[0], args[1], ...args.slice(2)] : args;
  const parsed = parse(RANDINT, shifted);
  const { size } = parsed;
  let { low = 0, high } = parsed;
  if (high === undefined) [low, high] = [0, low];
  if (size === undefined) throw new ArgumentError("randint: size must be given, for example randint(0, 10, [3])");
  if (!Number.isInteger(low) || !Number.isInteger(high) || high <= low)
    throw new ArgumentError(
      `randint: expects integers low < high, got low = ${describeValue(low)} and high = ${describeValue(high)}`,
    );
  if (high - low > 2 ** 32) throw new ArgumentError("randint: the range must not exceed 2^32 numbers");
  const shape = checkSizes("randint", size);
  const dtype = parsed.dtype == null ? "int32" : checkDType(parsed.dtype, "randint");
  const backend = placeFor("randint", parsed, dtype);
  const out = randomTensor(
    "randint",
    backend,
    shape,
    dtype,
    (b, i, s) => {
      const value = b.cast(b.add(b.bin("rem", word(b, i, s, 0), s[4]!), s[5]!), "i");
      return b.convert(value, "int32", dtype);
    },
    // The range 2^32 itself would be 0 as a word; the remainder by its predecessor differs in one value only.
    [
      [Math.min(high - low, 2 ** 32 - 1), "u"],
      [low >>> 0, "u"],
    ],
  );
  return finish(out, parsed);
}

/** A random order of the integers 0 to n - 1 (int32), by Fisher and Yates' shuffle on the host. */
export function randperm(n: number, options: TensorOptions = {}): Tensor {
  if (!Number.isInteger(n) || n < 0 || n > 2 ** 31 - 1)
    throw new ArgumentError(`randperm: n must be an integer from 0 to 2^31 - 1, got ${describeValue(n)}`);
  const dtype = options.dtype == null ? "int32" : checkDType(options.dtype, "randperm");
  checkSameRandomness("randperm");
  const { key, stream } = nextStream();
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const [bits] = philox4x32([i, stream >>> 0, Math.floor(stream / 2 ** 32) >>> 0, 0], key);
    const j = Math.floor((bits / 2 ** 32) * (i + 1));
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  const out = fromHost(placeFor("randperm", options, "int32"), order, [n], "int32");
  return finish(dtype === "int32" ? out : out.to(dtype), options);
}

/** 1 with the probability that `input` gives, else 0, elementwise. */
export function bernoulli(input: Tensor, p?: number): Tensor {
  checkTensor("bernoulli", "input", input);
  if (p !== undefined && (typeof p !== "number" || !(p >= 0 && p <= 1)))
    throw new ArgumentError(`bernoulli: p must be a number from 0 to 1, got ${describeValue(p)}`);
  const source = p === undefined ? input : input.fullLike(p, { dtype: isFloat(input.dtype) ? input.dtype : "float32" });
  checkFloating("bernoulli", source);
  const { dtype } = source;
  const stream = streamScalars();
  const number = elementNumber("bernoulli", source.shape, stream);
  const map = mapOp(`bernoulli:${dtype}${number.key}`, 40, (b, [q, ...rest], { scalars }) =>
    b.cast(b.compare("lt", uniform(b, number.lower(b, rest, scalars), scalars, dtype), q!), valueType(dtype)),
  );
  drawing.add(map);
  const out = applyNode(input.impl.backend, map, source.shape, dtype, [argOf(source), ...number.args], stream);
  record("BernoulliBackward0", out, [[source, [], (g) => g.zerosLike()]]);
  return out;
}

/** Normal random numbers with the mean and standard deviation given, as numbers or tensors. */
export function normal(
  mean: Tensor | number,
  std: Tensor | number = 1,
  size?: readonly number[],
  options: TensorOptions = {},
): Tensor {
  if (typeof std === "number" && std < 0) throw new ArgumentError(`normal: std must not be negative, got ${std}`);
  if (isTensor(mean))
    return isTensor(std) ? mean.add(randnLike(mean.add(std)).mul(std)) : mean.add(randnLike(mean).mul(std));
  if (isTensor(std)) return randnLike(std).mul(std).add(mean);
  if (size === undefined) throw new ArgumentError("normal: size must be given when mean and std are numbers");
  return finish(
    randn(size, { ...options, requiresGrad: false })
      .mul(std)
      .add(mean),
    options,
  );
}

/** Random values for the in-place methods: uniform, normal, exponential, of a shape. */
export function randomFor(self: Tensor, kind: "uniform" | "normal"): Tensor {
  checkFloating(`${kind}_`, self);
  return kind === "uniform"
    ? uniformTensor(self.impl.backend, self.shape, self.dtype)
    : normalTensor(self.impl.backend, self.shape, self.dtype);
}
