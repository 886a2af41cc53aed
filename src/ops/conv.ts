/**
 * Convolution in one to three dimensions. The three sums that occur (forward, transposed, and by the weight) are each other's
 * derivatives, so gradients of any order are made of them. `src/graph/convolution.ts` says how one routine computes all three.
 */

import { describeValue, integers, parse, signature, type ArgsOf } from "../args.ts";
import { record, type Wrt } from "../autograd/tape.ts";
import { ArgumentError, DTypeError, ShapeError } from "../errors.ts";
import { packConv, type Conv, type ConvSide } from "../graph/convolution.ts";
import type { RoutineOp } from "../graph/node.ts";
import { contiguousStrides, numel, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, checkFloating, checkTensor, commonBackend } from "./apply.ts";

/** One number for all spatial dimensions, or one each. */
export type PerDim = number | readonly number[];

/** One entry a spatial dimension; `padding` is that before the first element, what follows the last is implied by the sizes. */
interface Geometry {
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;
}

/** Strides of a tensor [outer, channels, ...spatial] whose channels are split into groups. */
function sideOf(
  strides: readonly number[],
  offset: number,
  group: number,
  outer: number,
  channel: number,
  first: number,
): ConvSide {
  return { offset, group, outer: strides[outer]!, channel: strides[channel]!, spatial: strides.slice(first) };
}

function run(name: string, from: Tensor, weight: Tensor, shape: readonly number[], numbers: Conv): Tensor {
  const backend = commonBackend(name, [from, weight]);
  const terms = numbers.inChannels * numel(numbers.kernel);
  if (numel(shape) === 0 || terms === 0 || from.numel() === 0) return from.newZeros([...shape]);
  const ints = packConv(numbers);
  const op: RoutineOp = {
    kind: "routine",
    key: "conv",
    name: "conv",
    attrs: { rank: numbers.input.length },
    ints,
    inPlace: false,
    usesStatus: false,
  };
  return applyNode(backend, op, shape, from.dtype, [argOf(from), argOf(weight)]);
}

/** x [n, g c, ...in] and w [g o, c, ...kernel] to [n, g o, ...output]; off the tape. */
function forwardSum(x: Tensor, w: Tensor, output: readonly number[], geometry: Geometry): Tensor {
  const { groups } = geometry;
  const [xs, ws] = [x.impl.strides, w.impl.strides];
  const [inChannels, outChannels] = [x.shape[1]! / groups, w.shape[0]! / groups];
  const shape = [x.shape[0]!, w.shape[0]!, ...output];
  const ts = contiguousStrides(shape);
  return run("conv", x, w, shape, {
    groups,
    batch: x.shape[0]!,
    inChannels,
    outChannels,
    input: x.shape.slice(2),
    kernel: w.shape.slice(2),
    output,
    stride: geometry.stride,
    dilation: geometry.dilation,
    padding: geometry.padding,
    divisor: output.map(() => 1),
    from: sideOf(xs, x.impl.offset, inChannels * xs[1]!, 0, 1, 2),
    weight: sideOf(ws, w.impl.offset, outChannels * ws[0]!, 0, 1, 2),
    to: sideOf(ts, 0, outChannels * ts[1]!, 0, 1, 2),
  });
}

/** y [n, g o, ...out] and w [g o, c, ...kernel] to [n, g c, ...input], the adjoint of `forwardSum` in x; off the tape. */
function transposedSum(y: Tensor, w: Tensor, input: readonly number[], geometry: Geometry): Tensor {
  const { groups } = geometry;
  const [ys, ws] = [y.impl.strides, w.impl.strides];
  const [channels, outChannels] = [w.shape[1]!, y.shape[1]! / groups];
  const shape = [y.shape[0]!, channels * groups, ...input];
  const ts = contiguousStrides(shape);
  return run("convTranspose", y, w, shape, {
    groups,
    batch: y.shape[0]!,
    inChannels: outChannels,
    outChannels: channels,
    input: y.shape.slice(2),
    kernel: w.shape.slice(2),
    output: input,
    stride: input.map(() => 1),
    dilation: geometry.dilation.map((d) => -d),
    padding: geometry.padding.map((p) => -p),
    divisor: geometry.stride,
    from: sideOf(ys, y.impl.offset, outChannels * ys[1]!, 0, 1, 2),
    weight: sideOf(ws, w.impl.offset, outChannels * ws[0]!, 1, 0, 2),
    to: sideOf(ts, 0, channels * ts[1]!, 0, 1, 2),
  });
}

/** x [n, g c, ...in] and y [n, g o, ...out] to [g o, c, ...kernel], the adjoint of `forwardSum` in w; off the tape. */
function weightSum(x: Tensor, y: Tensor, kernel: readonly number[], geometry: Geometry): Tensor {
  const { groups } = geometry;
  const [xs, ys] = [x.impl.strides, y.impl.strides];
  const [channels, outChannels] = [x.shape[1]! / groups, y.shape[1]! / groups];
  const shape = [y.shape[1]!, channels, ...kernel];
  const ts = contiguousStrides(shape);
  return run("conv", x, y, shape, {
    groups,
    batch: channels,
    inChannels: x.shape[0]!,
    outChannels,
    input: x.shape.slice(2),
    kernel: y.shape.slice(2),
    output: kernel,
    stride: geometry.dilation,
    dilation: geometry.stride,
    padding: geometry.padding,
    divisor: kernel.map(() => 1),
    from: sideOf(xs, x.impl.offset, channels * xs[1]!, 1, 0, 2),
    weight: sideOf(ys, y.impl.offset, outChannels * ys[1]!, 1, 0, 2),
    to: sideOf(ts, 0, outChannels * ts[0]!, 1, 0, 2),
  });
}

const ENTRY = "ConvolutionBackward0";

/** Adds a bias of one number a channel, off the tape, and says how the bias gets its gradient. */
function withBias(out: Tensor, bias: Tensor | null): { out: Tensor; rules: Wrt[] } {
  if (bias === null) return { out, rules: [] };
  const spread = bias.detach().view([bias.shape[0]!, ...out.shape.slice(2).map(() => 1)]);
  const dims = out.shape.map((_, d) => d).filter((d) => d !== 1);
  return { out: out.add(spread), rules: [[bias, [], (g) => g.sum(dims)]] };
}

/** `forwardSum` on the tape. */
function convolution(x: Tensor, w: Tensor, bias: Tensor | null, output: readonly number[], geometry: Geometry): Tensor {
  const { out, rules } = withBias(forwardSum(x, w, output, geometry), bias);
  const [input, kernel] = [x.shape.slice(2), w.shape.slice(2)];
  record(ENTRY, out, [
    [x, [w], (g, v) => transposed(g, v, null, input, geometry)],
    [w, [x], (g, v) => byWeight(v, g, kernel, geometry)],
    ...rules,
  ]);
  return out;
}

/** `transposedSum` on the tape. */
function transposed(y: Tensor, w: Tensor, bias: Tensor | null, input: readonly number[], geometry: Geometry): Tensor {
  const { out, rules } = withBias(transposedSum(y, w, input, geometry), bias);
  const [output, kernel] = [y.shape.slice(2), w.shape.slice(2)];
  record(ENTRY, out, [
    [y, [w], (g, v) => convolution(g, v, null, output, geometry)],
    [w, [y], (g, v) => byWeight(g, v, kernel, geometry)],
    ...rules,
  ]);
  return out;
}

/** `weightSum` on the tape. */
function byWeight(x: Tensor, y: Tensor, kernel: readonly number[], geometry: Geometry): Tensor {
  const out = weightSum(x, y, kernel, geometry);
  const [input, output] = [x.shape.slice(2), y.shape.slice(2)];
  record("ConvolutionBackwardBackward0", out, [
    [x, [y], (g, v) => transposed(v, g, null, input, geometry)],
    [y, [x], (g, v) => convolution(v, g, null, output, geometry)],
  ]);
  return out;
}

// --- arguments --------------------------------------------------------------------------------------------------------

/** An option that is one number or one a spatial dimension, as a list. */
export function perDim(name: string, what: string, value: PerDim, rank: number, least: number): number[] {
  const list = integers(name, what, value);
  const full = list.length === 1 ? new Array<number>(rank).fill(list[0]!) : list;
  if (full.length !== rank)
    throw new ArgumentError(`${name}: ${what} must be one number or ${rank} of them, got ${showShape(list)}`);
  for (const v of full)
    if (v < least || v >= 2 ** 31)
      throw new ArgumentError(`${name}: ${what} must be at least ${least} and below 2^31, got ${showShape(full)}`);
  return full;
}

function checkOperands(
  name: string,
  rank: number,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  groups: number,
): { batched: Tensor; isBatched: boolean } {
  checkTensor(name, "input", input);
  checkTensor(name, "weight", weight);
  checkFloating(name, input);
  for (const [what, t] of [
    ["weight", weight],
    ["bias", bias],
  ] as const)
    if (t !== null && t.dtype !== input.dtype)
      throw new DTypeError(
        `${name}: input (${input.dtype}) and ${what} (${t.dtype}) should have the same dtype; convert one with .to()`,
      );
  if (input.dim() !== rank + 1 && input.dim() !== rank + 2)
    throw new ShapeError(
      `${name}: expected ${rank + 1}D (unbatched) or ${rank + 2}D (batched) input, but got input of shape ${showShape(input.shape)}`,
    );
  if (weight.dim() !== rank + 2)
    throw new ShapeError(
      `${name}: expected a ${rank + 2}-dimensional weight, but got weight of shape ${showShape(weight.shape)}`,
    );
  if (weight.shape.slice(2).some((n) => n === 0))
    throw new ShapeError(`${name}: kernel sizes must be at least 1, got weight of shape ${showShape(weight.shape)}`);
  if (!Number.isInteger(groups) || groups < 1)
    throw new ArgumentError(`${name}: groups must be a positive integer, got ${describeValue(groups)}`);
  const isBatched = input.dim() === rank + 2;
  return { batched: isBatched ? input : input.unsqueeze(0), isBatched };
}

function checkBias(name: string, bias: Tensor | null, channels: number): void {
  if (bias !== null && (bias.dim() !== 1 || bias.shape[0] !== channels))
    throw new ShapeError(
      `${name}: expected bias to be 1-dimensional with ${channels} elements, but got bias of shape ${showShape(bias.shape)}`,
    );
}

interface ConvOptions {
  weight: Tensor;
  bias?: Tensor | null;
  stride?: PerDim;
  padding?: PerDim | "same" | "valid";
  dilation?: PerDim;
  groups?: number;
}
const ORDER = ["weight", "bias", "stride", "padding", "dilation", "groups"] as const;

function convNd(name: string, rank: number, input: Tensor, options: ConvOptions): Tensor {
  const { weight, bias = null, groups = 1 } = options;
  const { batched, isBatched } = checkOperands(name, rank, input, weight, bias, groups);
  const stride = perDim(name, "stride", options.stride ?? 1, rank, 1);
  const dilation = perDim(name, "dilation", options.dilation ?? 1, rank, 1);
  const [outChannels, inChannels] = weight.shape as [number, number];
  if (outChannels % groups !== 0)
    throw new ShapeError(
      `${name}: the weight's ${outChannels} output channels are not divisible by groups = ${groups} (weight of shape ${showShape(weight.shape)})`,
    );
  if (batched.shape[1] !== inChannels * groups)
    throw new ShapeError(
      `${name}: given groups=${groups}, weight of shape ${showShape(weight.shape)}, expected input ${showShape(input.shape)} to have ` +
        `${inChannels * groups} channels, but got ${batched.shape[1]} channels instead`,
    );
  checkBias(name, bias, outChannels);
  const kernel = weight.shape.slice(2);
  const span = kernel.map((k, d) => (k - 1) * dilation[d]! + 1);
  const given = options.padding ?? 0;
  let before: number[];
  let after: number[];
  if (given === "same") {
    if (stride.some((s) => s !== 1))
      throw new ArgumentError(
        `${name}: padding "same" is not supported for strided convolutions (stride ${showShape(stride)})`,
      );
    before = span.map((s) => Math.floor((s - 1) / 2));
    after = span.map((s, d) => s - 1 - before[d]!);
  } else if (typeof given === "string") {
    if (given !== "valid")
      throw new ArgumentError(`${name}: padding must be "same", "valid" or numbers, got "${String(given)}"`);
    before = after = span.map(() => 0);
  } else before = after = perDim(name, "padding", given, rank, 0);
  const sizes = batched.shape.slice(2);
  const padded = sizes.map((n, d) => n + before[d]! + after[d]!);
  if (padded.some((n, d) => n < span[d]!))
    throw new ShapeError(
      `${name}: calculated padded input size per channel: ${showShape(padded)}. Kernel size: ${showShape(span)}. Kernel size can't be greater than actual input size`,
    );
  const output = padded.map((n, d) => Math.floor((n - span[d]!) / stride[d]!) + 1);
  const out = convolution(batched, weight, bias, output, { stride, padding: before, dilation, groups });
  return isBatched ? out : out.squeeze(0);
}

interface TransposedOptions {
  weight: Tensor;
  bias?: Tensor | null;
  stride?: PerDim;
  padding?: PerDim;
  outputPadding?: PerDim;
  groups?: number;
  dilation?: PerDim;
}
const TRANSPOSED_ORDER = ["weight", "bias", "stride", "padding", "outputPadding", "groups", "dilation"] as const;

function transposedNd(name: string, rank: number, input: Tensor, options: TransposedOptions): Tensor {
  const { weight, bias = null, groups = 1 } = options;
  const { batched, isBatched } = checkOperands(name, rank, input, weight, bias, groups);
  const stride = perDim(name, "stride", options.stride ?? 1, rank, 1);
  const padding = perDim(name, "padding", options.padding ?? 0, rank, 0);
  const dilation = perDim(name, "dilation", options.dilation ?? 1, rank, 1);
  const extra = perDim(name, "outputPadding", options.outputPadding ?? 0, rank, 0);
  const inChannels = weight.shape[0]!;
  if (batched.shape[1] !== inChannels)
    throw new ShapeError(
      `${name}: given transposed weight of shape ${showShape(weight.shape)}, expected input ${showShape(input.shape)} to have ` +
        `${inChannels} channels, but got ${batched.shape[1]} channels instead`,
    );
  if (inChannels % groups !== 0)
    throw new ShapeError(`${name}: the ${inChannels} input channels are not divisible by groups = ${groups}`);
  checkBias(name, bias, weight.shape[1]! * groups);
  extra.forEach((p, d) => {
    if (p >= stride[d]! && p >= dilation[d]!)
      throw new ArgumentError(
        `${name}: output padding must be smaller than either stride or dilation, but got ${p} with stride ${stride[d]} and dilation ${dilation[d]}`,
      );
  });
  const kernel = weight.shape.slice(2);
  const sizes = batched.shape
    .slice(2)
    .map((n, d) => (n - 1) * stride[d]! - 2 * padding[d]! + dilation[d]! * (kernel[d]! - 1) + extra[d]! + 1);
  if (sizes.some((n) => n < 0) || sizes.includes(0))
    throw new ShapeError(
      `${name}: given input of shape ${showShape(input.shape)}, the calculated output size ${showShape(sizes)} is too small`,
    );
  const out = transposed(batched, weight, bias, sizes, { stride, padding, dilation, groups });
  return isBatched ? out : out.squeeze(0);
}

const CONV1D = signature<ConvOptions>()("conv1d", ORDER);
const CONV2D = signature<ConvOptions>()("conv2d", ORDER);
const CONV3D = signature<ConvOptions>()("conv3d", ORDER);
const TRANSPOSE1D = signature<TransposedOptions>()("convTranspose1d", TRANSPOSED_ORDER);
const TRANSPOSE2D = signature<TransposedOptions>()("convTranspose2d", TRANSPOSED_ORDER);
const TRANSPOSE3D = signature<TransposedOptions>()("convTranspose3d", TRANSPOSED_ORDER);

/**
 * One-dimensional convolution: input [n, groups * c, l] (or without n), weight [o, c, k], bias [o]. `padding` is a number, or
 * "same" (the output as long as the input; stride 1 only) or "valid" (none).
 */
export function conv1d(input: Tensor, ...args: ArgsOf<typeof CONV1D>): Tensor {
  return convNd("conv1d", 1, input, parse(CONV1D, args, input));
}

/** Two-dimensional convolution: input [n, groups * c, h, w] (or without n), weight [o, c, kh, kw], bias [o]. */
export function conv2d(input: Tensor, ...args: ArgsOf<typeof CONV2D>): Tensor {
  return convNd("conv2d", 2, input, parse(CONV2D, args, input));
}

/** Three-dimensional convolution: input [n, groups * c, d, h, w] (or without n), weight [o, c, kd, kh, kw], bias [o]. */
export function conv3d(input: Tensor, ...args: ArgsOf<typeof CONV3D>): Tensor {
  return convNd("conv3d", 3, input, parse(CONV3D, args, input));
}

/**
 * The adjoint of `conv1d`: input [n, groups * o, l], weight [groups * o, c, k], bias [groups * c]; the result is
 * (l - 1) * stride - 2 * padding + dilation * (k - 1) + outputPadding + 1 long.
 */
export function convTranspose1d(input: Tensor, ...args: ArgsOf<typeof TRANSPOSE1D>): Tensor {
  return transposedNd("convTranspose1d", 1, input, parse(TRANSPOSE1D, args, input));
}

/** The adjoint of `conv2d`; sizes as for `convTranspose1d`. */
export function convTranspose2d(input: Tensor, ...args: ArgsOf<typeof TRANSPOSE2D>): Tensor {
  return transposedNd("convTranspose2d", 2, input, parse(TRANSPOSE2D, args, input));
}

/** The adjoint of `conv3d`; sizes as for `convTranspose1d`. */
export function convTranspose3d(input: Tensor, ...args: ArgsOf<typeof TRANSPOSE3D>): Tensor {
  return transposedNd("convTranspose3d", 3, input, parse(TRANSPOSE3D, args, input));
}
