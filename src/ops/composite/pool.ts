/** Pooling: maxima, means and norms of windows. */

import { describeValue, parse, signature, type ArgsOf } from "../../args.ts";
import { record } from "../../autograd/tape.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { numel, showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, checkTensor } from "../apply.ts";
import { perDim, type PerDim } from "../conv.ts";
import { fromHost } from "../creation.ts";
import { named, reduce, type Named } from "../reduce.ts";
import {
  adaptiveAxis,
  overlap,
  recordWinners,
  windowValues,
  winnerPositions,
  type Axis,
  type EvenAxis,
} from "../window.ts";

/** What `returnIndices` gives: the maxima, and their flat positions in the spatial dimensions of the input. */
export type OutputIndices = Named<"output" | "indices">;

function checkInput(name: string, input: Tensor, rank: number): void {
  checkTensor(name, "input", input);
  checkFloating(name, input);
  if (input.dim() !== rank + 1 && input.dim() !== rank + 2)
    throw new ShapeError(
      `${name}: expected ${rank + 1}D (unbatched) or ${rank + 2}D (batched) input, but got input of shape ${showShape(input.shape)}`,
    );
  if (input.shape.slice(input.dim() - rank - 1).includes(0))
    throw new ShapeError(
      `${name}: expected non-zero sizes but for the batch, got input of shape ${showShape(input.shape)}`,
    );
}

/** Number of windows: PyTorch's rule, by which the last window starts inside the input or its left padding. */
function outputSize(
  name: string,
  input: number,
  a: Omit<EvenAxis, "kind" | "input" | "output">,
  ceilMode: boolean,
): number {
  const span = a.dilation * (a.taps - 1) + 1;
  const steps = (input + 2 * a.padding - span) / a.stride;
  let size = (ceilMode ? Math.ceil(steps) : Math.floor(steps)) + 1;
  if (ceilMode && (size - 1) * a.stride >= input + a.padding) size--;
  if (size < 1)
    throw new ShapeError(`${name}: input size ${input} is too small for a window of ${span} with padding ${a.padding}`);
  return size;
}

interface PoolOptions {
  kernelSize: PerDim;
  stride?: PerDim | null;
  padding?: PerDim;
  dilation?: PerDim;
  ceilMode?: boolean;
}

function evenAxes(name: string, input: Tensor, rank: number, options: PoolOptions): EvenAxis[] {
  const { kernelSize, stride, padding = 0, dilation = 1, ceilMode = false } = options;
  if (kernelSize === undefined) throw new ArgumentError(`${name}: kernelSize must be given`);
  const taps = perDim(name, "kernelSize", kernelSize, rank, 1);
  const noStride = stride == null || (Array.isArray(stride) && stride.length === 0);
  const steps = noStride ? taps : perDim(name, "stride", stride, rank, 1);
  const pads = perDim(name, "padding", padding, rank, 0);
  const dilations = perDim(name, "dilation", dilation, rank, 1);
  return taps.map((k, d) => {
    if (pads[d]! > k / 2)
      throw new ArgumentError(
        `${name}: padding should be at most half of the kernel size, got padding ${pads[d]} for a kernel of ${k}`,
      );
    const size = input.shape[input.dim() - rank + d]!;
    const rest = { taps: k, stride: steps[d]!, padding: pads[d]!, dilation: dilations[d]! };
    return { kind: "even", input: size, output: outputSize(name, size, rest, ceilMode), ...rest };
  });
}

/** The result where there are no elements to pool, or none to make. */
function constantOf(entry: string, input: Tensor, shape: readonly number[], value = 0): Tensor {
  const out = input.newFull([...shape], value);
  const before = [...input.shape];
  record(entry, out, [[input, [], (g) => g.newZeros(before)]]);
  return out;
}

// --- maxima -----------------------------------------------------------------------------------------------------------

/**
 * Whether the only window along an axis steps over the whole input. As padding is at most half of the kernel, there is no such window
 * beside another.
 */
function stepsOver(a: Axis): boolean {
  if (a.kind === "adaptive" || a.padding <= 0) return false;
  return Math.ceil(a.padding / a.dilation) * a.dilation - a.padding >= a.input;
}

function maximaOf(name: string, input: Tensor, axes: readonly Axis[]): OutputIndices {
  const lead = input.dim() - axes.length;
  const shape = [...input.shape.slice(0, lead), ...axes.map((a) => a.output)];
  if (input.numel() === 0 || numel(shape) === 0)
    return named([constantOf(name, input, shape), input.newZeros(shape, { dtype: "int32" })], ["output", "indices"]);
  if (axes.some(stepsOver))
    return named(
      [constantOf(name, input, shape, -Infinity), input.newFull(shape, -1, { dtype: "int32" })],
      ["output", "indices"],
    );
  const seen = windowValues(input.detach(), axes, "inside");
  const taps = axes.map((_, d) => lead + axes.length + d);
  const output = reduce(name, "max", seen, taps, false, input.dtype);
  const winners = reduce(name, "argmax", seen, taps, false, "int32");
  const indices = winnerPositions(winners, axes);
  recordWinners(name, output, input, indices, axes);
  return named([output, indices], ["output", "indices"]);
}

const MAX_ORDER = ["kernelSize", "stride", "padding", "dilation", "ceilMode", "returnIndices"] as const;
type MaxOptions = PoolOptions & { returnIndices?: boolean };

function maxPool(
  name: string,
  rank: number,
  entry: string,
  input: Tensor,
  options: MaxOptions,
): Tensor | OutputIndices {
  checkInput(name, input, rank);
  const result = maximaOf(entry, input, evenAxes(name, input, rank, options));
  return options.returnIndices === true ? result : result[0];
}

const MAX1 = signature<MaxOptions>()("maxPool1d", MAX_ORDER);
const MAX2 = signature<MaxOptions>()("maxPool2d", MAX_ORDER);
const MAX3 = signature<MaxOptions>()("maxPool3d", MAX_ORDER);

/** A call that asks for indices, too. */
type WithIndices = PoolOptions & { returnIndices: true };

/** Largest elements of windows along the last dimension; with `returnIndices` `[output, indices]`. NaN counts as largest. */
export function maxPool1d(input: Tensor, options: WithIndices): OutputIndices;
export function maxPool1d(input: Tensor, kernelSize: PerDim, options: Omit<WithIndices, "kernelSize">): OutputIndices;
export function maxPool1d(input: Tensor, ...args: ArgsOf<typeof MAX1>): Tensor;
export function maxPool1d(input: Tensor, ...args: ArgsOf<typeof MAX1> | readonly unknown[]): Tensor | OutputIndices {
  return maxPool("maxPool1d", 1, "MaxPool1DWithIndicesBackward0", input, parse(MAX1, args, input));
}

/** Largest elements of windows over the last two dimensions; with `returnIndices` `[output, indices]`. NaN counts as largest. */
export function maxPool2d(input: Tensor, options: WithIndices): OutputIndices;
export function maxPool2d(input: Tensor, kernelSize: PerDim, options: Omit<WithIndices, "kernelSize">): OutputIndices;
export function maxPool2d(input: Tensor, ...args: ArgsOf<typeof MAX2>): Tensor;
export function maxPool2d(input: Tensor, ...args: ArgsOf<typeof MAX2> | readonly unknown[]): Tensor | OutputIndices {
  return maxPool("maxPool2d", 2, "MaxPool2DWithIndicesBackward0", input, parse(MAX2, args, input));
}

/** Largest elements of windows over the last three dimensions; with `returnIndices` `[output, indices]`. NaN counts as largest. */
export function maxPool3d(input: Tensor, options: WithIndices): OutputIndices;
export function maxPool3d(input: Tensor, kernelSize: PerDim, options: Omit<WithIndices, "kernelSize">): OutputIndices;
export function maxPool3d(input: Tensor, ...args: ArgsOf<typeof MAX3>): Tensor;
export function maxPool3d(input: Tensor, ...args: ArgsOf<typeof MAX3> | readonly unknown[]): Tensor | OutputIndices {
  return maxPool("maxPool3d", 3, "MaxPool3DWithIndicesBackward0", input, parse(MAX3, args, input));
}

/** A size of the output for each spatial dimension; null keeps the input's. */
export type OutputSize = number | null | readonly (number | null)[];

function adaptiveAxes(name: string, input: Tensor, rank: number, outputSize: OutputSize): Axis[] {
  checkInput(name, input, rank);
  const list = Array.isArray(outputSize)
    ? (outputSize as readonly (number | null)[])
    : new Array<number | null>(rank).fill(outputSize as number | null);
  if (list.length !== rank)
    throw new ArgumentError(`${name}: outputSize must be one number or ${rank} of them, got ${list.length}`);
  return list.map((n, d) => {
    const size = input.shape[input.dim() - rank + d]!;
    const wanted = n ?? size;
    if (!Number.isInteger(wanted) || wanted < 0 || wanted >= 2 ** 31)
      throw new ArgumentError(`${name}: outputSize must be non-negative integers or null, got ${describeValue(n)}`);
    return adaptiveAxis(size, wanted);
  });
}

interface AdaptiveOptions {
  outputSize: OutputSize;
  returnIndices?: boolean;
}
const AMAX1 = signature<AdaptiveOptions>()("adaptiveMaxPool1d", ["outputSize", "returnIndices"]);
const AMAX2 = signature<AdaptiveOptions>()("adaptiveMaxPool2d", ["outputSize", "returnIndices"]);
const AMAX3 = signature<AdaptiveOptions>()("adaptiveMaxPool3d", ["outputSize", "returnIndices"]);

function adaptiveMax(name: string, rank: number, input: Tensor, options: AdaptiveOptions): Tensor | OutputIndices {
  const axes = adaptiveAxes(name, input, rank, options.outputSize);
  const result = maximaOf(`AdaptiveMaxPool${rank}DBackward0`, input, axes);
  return options.returnIndices === true ? result : result[0];
}

/** Largest elements of `outputSize` equal parts; with `returnIndices` `[output, indices]`. */
export function adaptiveMaxPool1d(input: Tensor, outputSize: OutputSize, returnIndices: true): OutputIndices;
export function adaptiveMaxPool1d(input: Tensor, ...args: ArgsOf<typeof AMAX1>): Tensor;
export function adaptiveMaxPool1d(input: Tensor, ...args: ArgsOf<typeof AMAX1>): Tensor | OutputIndices {
  return adaptiveMax("adaptiveMaxPool1d", 1, input, parse(AMAX1, args, input));
}

/** `adaptiveMaxPool1d` over the last two dimensions. */
export function adaptiveMaxPool2d(input: Tensor, outputSize: OutputSize, returnIndices: true): OutputIndices;
export function adaptiveMaxPool2d(input: Tensor, ...args: ArgsOf<typeof AMAX2>): Tensor;
export function adaptiveMaxPool2d(input: Tensor, ...args: ArgsOf<typeof AMAX2>): Tensor | OutputIndices {
  return adaptiveMax("adaptiveMaxPool2d", 2, input, parse(AMAX2, args, input));
}

/** `adaptiveMaxPool1d` over the last three dimensions. */
export function adaptiveMaxPool3d(input: Tensor, outputSize: OutputSize, returnIndices: true): OutputIndices;
export function adaptiveMaxPool3d(input: Tensor, ...args: ArgsOf<typeof AMAX3>): Tensor;
export function adaptiveMaxPool3d(input: Tensor, ...args: ArgsOf<typeof AMAX3>): Tensor | OutputIndices {
  return adaptiveMax("adaptiveMaxPool3d", 3, input, parse(AMAX3, args, input));
}

// --- means ------------------------------------------------------------------------------------------------------------

/** Sums of windows divided by `divisors` (one an output position, or the same for all). */
function meanOf(entry: string, input: Tensor, axes: readonly Axis[], divisors: readonly number[]): Tensor {
  const rank = axes.length;
  const lead = input.dim() - rank;
  const shape = [...input.shape.slice(0, lead), ...axes.map((a) => a.output)];
  if (input.numel() === 0 || numel(shape) === 0) return constantOf(entry, input, shape);
  const same = divisors.every((v) => v === divisors[0]);
  const outputs = axes.map((a) => a.output);
  const host = input.dtype === "float64" ? Float64Array.from(divisors) : Float32Array.from(divisors);
  const type = input.dtype === "float64" ? "float64" : "float32";
  const divisor = same ? divisors[0]! : fromHost(input.impl.backend, host, outputs, type).to(input.dtype);
  const seen = windowValues(input.detach(), axes, "zero");
  const taps = axes.map((_, d) => lead + rank + d);
  const out = reduce(entry, "sum", seen, taps, false, input.dtype).div(divisor);
  const wide = [...shape, ...axes.map((a) => a.taps)];
  record(entry, out, [
    [
      input,
      [],
      (g) => {
        const each = g.div(divisor);
        return overlap(each.reshape([...shape, ...axes.map(() => 1)]).expand(wide), axes);
      },
    ],
  ]);
  return out;
}

/** Products of one number an axis, in row-major order. */
function outerProduct(lists: readonly (readonly number[])[]): number[] {
  return lists.reduce<number[]>((result, list) => result.flatMap((x) => list.map((y) => x * y)), [1]);
}

interface AvgOptions extends PoolOptions {
  countIncludePad?: boolean;
  divisorOverride?: number | null;
}
const AVG1_ORDER = ["kernelSize", "stride", "padding", "ceilMode", "countIncludePad"] as const;
const AVG_ORDER = ["kernelSize", "stride", "padding", "ceilMode", "countIncludePad", "divisorOverride"] as const;
const AVG1 = signature<Omit<AvgOptions, "dilation" | "divisorOverride">>()("avgPool1d", AVG1_ORDER);
const AVG2 = signature<Omit<AvgOptions, "dilation">>()("avgPool2d", AVG_ORDER);
const AVG3 = signature<Omit<AvgOptions, "dilation">>()("avgPool3d", AVG_ORDER);

function avgPool(name: string, rank: number, input: Tensor, options: AvgOptions): Tensor {
  checkInput(name, input, rank);
  const axes = evenAxes(name, input, rank, options);
  const { countIncludePad = true, divisorOverride = null } = options;
  if (divisorOverride === 0) throw new ArgumentError(`${name}: divisorOverride must not be zero`);
  const counts = axes.map((a) =>
    Array.from({ length: a.output }, (_, y) => {
      const start = y * a.stride - a.padding;
      const end = Math.min(start + a.taps, a.input + a.padding);
      return countIncludePad ? end - start : Math.min(end, a.input) - Math.max(start, 0);
    }),
  );
  const divisors = divisorOverride === null ? outerProduct(counts) : [divisorOverride];
  // A one-dimensional mean is a two-dimensional one of height one in PyTorch, and its tape says so.
  const entry = rank === 1 ? "AvgPool2DBackward0" : `AvgPool${rank}DBackward0`;
  return meanOf(entry, input, axes, divisors);
}

/** Means of windows along the last dimension. `countIncludePad`: whether padding counts as elements. */
export function avgPool1d(input: Tensor, ...args: ArgsOf<typeof AVG1>): Tensor {
  return avgPool("avgPool1d", 1, input, parse(AVG1, args, input));
}

/** Means of windows over the last two dimensions; `divisorOverride` takes the place of the number of elements. */
export function avgPool2d(input: Tensor, ...args: ArgsOf<typeof AVG2>): Tensor {
  return avgPool("avgPool2d", 2, input, parse(AVG2, args, input));
}

/** Means of windows over the last three dimensions. */
export function avgPool3d(input: Tensor, ...args: ArgsOf<typeof AVG3>): Tensor {
  return avgPool("avgPool3d", 3, input, parse(AVG3, args, input));
}

function adaptiveAvg(name: string, rank: number, input: Tensor, outputSize: OutputSize): Tensor {
  const axes = adaptiveAxes(name, input, rank, outputSize);
  const counts = axes.map(({ input: n, output }) =>
    Array.from({ length: output }, (_, y) => Math.ceil(((y + 1) * n) / output) - Math.floor((y * n) / output)),
  );
  return meanOf(`AdaptiveAvgPool${rank}DBackward0`, input, axes, outerProduct(counts));
}

const AAVG1 = signature<{ outputSize: OutputSize }>()("adaptiveAvgPool1d", ["outputSize"]);
const AAVG2 = signature<{ outputSize: OutputSize }>()("adaptiveAvgPool2d", ["outputSize"]);
const AAVG3 = signature<{ outputSize: OutputSize }>()("adaptiveAvgPool3d", ["outputSize"]);

/** Means of `outputSize` equal parts of the last dimension. */
export function adaptiveAvgPool1d(input: Tensor, ...args: ArgsOf<typeof AAVG1>): Tensor {
  return adaptiveAvg("adaptiveAvgPool1d", 1, input, parse(AAVG1, args, input).outputSize);
}

/** Means of `outputSize` equal parts of the last two dimensions; null keeps a size. */
export function adaptiveAvgPool2d(input: Tensor, ...args: ArgsOf<typeof AAVG2>): Tensor {
  return adaptiveAvg("adaptiveAvgPool2d", 2, input, parse(AAVG2, args, input).outputSize);
}

/** Means of `outputSize` equal parts of the last three dimensions. */
export function adaptiveAvgPool3d(input: Tensor, ...args: ArgsOf<typeof AAVG3>): Tensor {
  return adaptiveAvg("adaptiveAvgPool3d", 3, input, parse(AAVG3, args, input).outputSize);
}

// --- norms and unpooling ----------------------------------------------------------------------------------------------

interface LpOptions {
  normType: number;
  kernelSize: PerDim;
  stride?: PerDim | null;
  ceilMode?: boolean;
}
const LP1 = signature<LpOptions>()("lpPool1d", ["normType", "kernelSize", "stride", "ceilMode"]);
const LP2 = signature<LpOptions>()("lpPool2d", ["normType", "kernelSize", "stride", "ceilMode"]);

function lpPool(name: string, rank: number, input: Tensor, options: LpOptions): Tensor {
  const { normType, kernelSize, stride = null, ceilMode = false } = options;
  const count = perDim(name, "kernelSize", kernelSize, rank, 1).reduce((a, b) => a * b, 1);
  const mean = avgPool(name, rank, input.pow(normType), { kernelSize, stride, ceilMode });
  return mean
    .sign()
    .mul(mean.abs().relu())
    .mul(count)
    .pow(1 / normType);
}

/** `(sum of x^p)^(1/p)` over windows along the last dimension. */
export function lpPool1d(input: Tensor, ...args: ArgsOf<typeof LP1>): Tensor {
  return lpPool("lpPool1d", 1, input, parse(LP1, args, input));
}

/** `(sum of x^p)^(1/p)` over windows of the last two dimensions. */
export function lpPool2d(input: Tensor, ...args: ArgsOf<typeof LP2>): Tensor {
  return lpPool("lpPool2d", 2, input, parse(LP2, args, input));
}

interface UnpoolOptions {
  indices: Tensor;
  kernelSize: PerDim;
  stride?: PerDim | null;
  padding?: PerDim;
  outputSize?: readonly number[] | null;
}
const UNPOOL_ORDER = ["indices", "kernelSize", "stride", "padding", "outputSize"] as const;
const UNPOOL1 = signature<UnpoolOptions>()("maxUnpool1d", UNPOOL_ORDER);
const UNPOOL2 = signature<UnpoolOptions>()("maxUnpool2d", UNPOOL_ORDER);
const UNPOOL3 = signature<UnpoolOptions>()("maxUnpool3d", UNPOOL_ORDER);

function maxUnpool(name: string, rank: number, input: Tensor, options: UnpoolOptions): Tensor {
  checkInput(name, input, rank);
  const { indices, kernelSize, stride, padding = 0, outputSize = null } = options;
  checkTensor(name, "indices", indices);
  if (indices.dim() !== input.dim() || indices.shape.some((n, d) => n !== input.shape[d]))
    throw new ShapeError(
      `${name}: indices of shape ${showShape(indices.shape)} should have the input's shape ${showShape(input.shape)}`,
    );
  const taps = perDim(name, "kernelSize", kernelSize, rank, 1);
  const steps = stride == null ? taps : perDim(name, "stride", stride, rank, 1);
  const pads = perDim(name, "padding", padding, rank, 0);
  const lead = input.dim() - rank;
  const usual = taps.map((k, d) => (input.shape[lead + d]! - 1) * steps[d]! - 2 * pads[d]! + k);
  const sizes = outputSize === null ? usual : outputSize.slice(-rank);
  sizes.forEach((n, d) => {
    if (n <= usual[d]! - steps[d]! || n >= usual[d]! + steps[d]!)
      throw new ShapeError(
        `${name}: invalid outputSize ${showShape(sizes)}: dimension ${d} must be between ${usual[d]! - steps[d]!} and ${usual[d]! + steps[d]!}`,
      );
  });
  const before = input.shape.slice(0, lead);
  return input
    .newZeros([...before, numel(sizes)])
    .scatter(-1, indices.flatten(lead), input.flatten(lead))
    .view([...before, ...sizes]);
}

/** The elements of a `maxPool1d` put back at their indices, zeros elsewhere. */
export function maxUnpool1d(input: Tensor, ...args: ArgsOf<typeof UNPOOL1>): Tensor {
  return maxUnpool("maxUnpool1d", 1, input, parse(UNPOOL1, args, input));
}

/** The elements of a `maxPool2d` put back at their indices, zeros elsewhere. */
export function maxUnpool2d(input: Tensor, ...args: ArgsOf<typeof UNPOOL2>): Tensor {
  return maxUnpool("maxUnpool2d", 2, input, parse(UNPOOL2, args, input));
}

/** The elements of a `maxPool3d` put back at their indices, zeros elsewhere. */
export function maxUnpool3d(input: Tensor, ...args: ArgsOf<typeof UNPOOL3>): Tensor {
  return maxUnpool("maxUnpool3d", 3, input, parse(UNPOOL3, args, input));
}
