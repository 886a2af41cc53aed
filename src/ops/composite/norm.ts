/** Normalisation over batches, groups, instances and neighbours. */

import { checkInteger, checkNumber, describeValue, integers, parse, signature, type ArgsOf } from "../../args.ts";
import { isGradEnabled, noGrad } from "../../autograd/mode.ts";
import { record, type Wrt } from "../../autograd/tape.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { numel, showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, checkTensor } from "../apply.ts";
import { pad } from "./pad.ts";
import { avgPool2d, avgPool3d } from "./pool.ts";

interface Standardized {
  readonly out: Tensor;
  readonly mean: Tensor;
  /** Mean squared distance from the mean. */
  readonly variance: Tensor;
}

/**
 * `(x - mean) / sqrt(variance + eps) * weight + bias` with the mean and variance over `dims`; weight and bias are [channels] of
 * dimension `channel`.
 */
function standardize(
  entry: string,
  input: Tensor,
  dims: readonly number[],
  channel: number,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Standardized {
  const over = [...dims];
  const x = input.detach();
  const channels = input.shape.map((n, d) => (d === channel ? n : 1));
  const wide = (p: Tensor): Tensor => p.reshape(channels);
  const mean = x.mean(over, true);
  const variance = x.sub(mean).square().mean(over, true);
  const scale = variance.add(eps).rsqrt();
  let out = x.sub(mean).mul(scale);
  if (weight !== null) out = out.mul(wide(weight.detach()));
  if (bias !== null) out = out.add(wide(bias.detach()));
  const outer = input.shape.map((_, d) => d).filter((d) => d !== channel);
  // A gradient that is to be differentiated again is a function of the input alone.
  const hatOf = (v: Tensor, m: Tensor, s: Tensor): { hat: Tensor; scale: Tensor } => {
    if (!isGradEnabled()) return { hat: v.sub(m).mul(s), scale: s };
    const centered = v.sub(v.mean(over, true));
    const again = centered.square().mean(over, true).add(eps).rsqrt();
    return { hat: centered.mul(again), scale: again };
  };
  const rules: Wrt[] = [
    [
      input,
      weight === null ? [input, mean, scale] : [input, mean, scale, weight],
      (g, v, m, s, w) => {
        const { hat, scale: factor } = hatOf(v, m, s);
        const h = w === undefined ? g : g.mul(wide(w));
        return h
          .sub(h.mean(over, true))
          .sub(hat.mul(h.mul(hat).mean(over, true)))
          .mul(factor);
      },
    ],
  ];
  if (weight !== null) rules.push([weight, [input, mean, scale], (g, v, m, s) => g.mul(hatOf(v, m, s).hat).sum(outer)]);
  if (bias !== null) rules.push([bias, [], (g) => g.sum(outer)]);
  record(entry, out, rules);
  return { out, mean, variance };
}

function checkChannels(op: string, channels: number, named: Readonly<Record<string, Tensor | null>>): void {
  for (const [what, p] of Object.entries(named))
    if (p !== null && (checkTensor(op, what, p).dim() !== 1 || p.shape[0] !== channels))
      throw new ShapeError(
        `${op}: ${what} should have ${channels} elements, one a channel, not shape ${showShape(p.shape)}`,
      );
}

/** running = (1 - momentum) running + momentum batch, in place and off the tape. */
function updateRunning(running: Tensor, batch: Tensor, momentum: number): void {
  noGrad(() => running.mul_(1 - momentum).add_(batch.detach().reshape([-1]).to(running.dtype), { alpha: momentum }));
}

interface BatchNormOptions {
  runningMean: Tensor | null;
  runningVar: Tensor | null;
  weight?: Tensor | null;
  bias?: Tensor | null;
  training?: boolean;
  momentum?: number;
  eps?: number;
}
const BATCH_NORM = signature<BatchNormOptions>()("batchNorm", [
  "runningMean",
  "runningVar",
  "weight",
  "bias",
  "training",
  "momentum",
  "eps",
]);

/**
 * Normalises each channel (dimension 1) over the batch and all positions: with the batch's statistics in training (the running ones are
 * then updated in place, with the unbiased variance), else with the running ones.
 */
export function batchNorm(input: Tensor, ...args: ArgsOf<typeof BATCH_NORM>): Tensor {
  const options = parse(BATCH_NORM, args, input);
  const { runningMean, runningVar, weight = null, bias = null, training = false, momentum = 0.1, eps = 1e-5 } = options;
  checkTensor("batchNorm", "input", input);
  checkFloating("batchNorm", input);
  if (input.dim() < 2)
    throw new ShapeError(`batchNorm: expected an input of at least 2 dimensions, got shape ${showShape(input.shape)}`);
  for (const what of ["runningMean", "runningVar"] as const)
    if (!(what in options)) throw new ArgumentError(`batchNorm: ${what} must be given, a Tensor or null`);
  checkChannels("batchNorm", input.shape[1]!, { runningMean, runningVar, weight, bias });
  if (!training) {
    if (runningMean === null || runningVar === null)
      throw new ArgumentError("batchNorm: runningMean and runningVar must be given in evaluation");
    return withStatistics(input, runningMean, runningVar, weight, bias, eps);
  }
  const dims = input.shape.map((_, d) => d).filter((d) => d !== 1);
  const count = numel(dims.map((d) => input.shape[d]!));
  if (count === 1)
    throw new ShapeError(
      `batchNorm: expected more than 1 value per channel when training, got input size ${showShape(input.shape)}`,
    );
  if (count === 0) return input.mul(1);
  const { out, mean, variance } = standardize("NativeBatchNormBackward0", input, dims, 1, weight, bias, eps);
  if (runningMean !== null) updateRunning(runningMean, mean, momentum);
  if (runningVar !== null) updateRunning(runningVar, variance.mul(count / (count - 1)), momentum);
  return out;
}

/** Normalises channels (dimension 1) with statistics that are given. */
function withStatistics(
  input: Tensor,
  mean: Tensor,
  variance: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Tensor {
  const channels = input.shape.map((n, d) => (d === 1 ? n : 1));
  const scale = variance.add(eps).rsqrt();
  const factor = weight === null ? scale : scale.mul(weight);
  const out = input.sub(mean.reshape(channels)).mul(factor.reshape(channels));
  return bias === null ? out : out.add(bias.reshape(channels));
}

const GROUP_NORM = signature<{ numGroups: number; weight?: Tensor | null; bias?: Tensor | null; eps?: number }>()(
  "groupNorm",
  ["numGroups", "weight", "bias", "eps"],
);

/** Normalises each group of channels of each sample. */
export function groupNorm(input: Tensor, ...args: ArgsOf<typeof GROUP_NORM>): Tensor {
  const { numGroups, weight = null, bias = null, eps = 1e-5 } = parse(GROUP_NORM, args, input);
  checkTensor("groupNorm", "input", input);
  checkFloating("groupNorm", input);
  if (input.dim() < 2)
    throw new ShapeError(`groupNorm: expected an input of at least 2 dimensions, got shape ${showShape(input.shape)}`);
  const [n, channels] = input.shape as [number, number];
  if (!Number.isInteger(numGroups) || numGroups < 1 || channels % numGroups !== 0)
    throw new ShapeError(`groupNorm: ${channels} channels cannot be divided into ${describeValue(numGroups)} groups`);
  checkChannels("groupNorm", channels, { weight, bias });
  if (input.numel() === 0) return input.mul(1);
  const grouped = input.reshape([n, numGroups, input.numel() / (n * numGroups)]);
  const { out } = standardize("NativeGroupNormBackward0", grouped, [2], 1, null, null, eps);
  return affine(out.reshape([...input.shape]), weight, bias);
}

/** `x * weight + bias` of [channels] in dimension 1. */
function affine(x: Tensor, weight: Tensor | null, bias: Tensor | null): Tensor {
  const channels = x.shape.map((n, d) => (d === 1 ? n : 1));
  const scaled = weight === null ? x : x.mul(weight.reshape(channels));
  return bias === null ? scaled : scaled.add(bias.reshape(channels));
}

interface InstanceNormOptions {
  runningMean?: Tensor | null;
  runningVar?: Tensor | null;
  weight?: Tensor | null;
  bias?: Tensor | null;
  useInputStats?: boolean;
  momentum?: number;
  eps?: number;
}
const INSTANCE_NORM = signature<InstanceNormOptions>()("instanceNorm", [
  "runningMean",
  "runningVar",
  "weight",
  "bias",
  "useInputStats",
  "momentum",
  "eps",
]);

/** Normalises each channel of each sample over its positions; running statistics as in `batchNorm`, averaged over samples. */
export function instanceNorm(input: Tensor, ...args: ArgsOf<typeof INSTANCE_NORM>): Tensor {
  const {
    runningMean = null,
    runningVar = null,
    weight = null,
    bias = null,
    ...rest
  } = parse(INSTANCE_NORM, args, input);
  const { useInputStats = true, momentum = 0.1, eps = 1e-5 } = rest;
  checkTensor("instanceNorm", "input", input);
  checkFloating("instanceNorm", input);
  if (input.dim() < 3)
    throw new ShapeError(
      `instanceNorm: expected an input of at least 3 dimensions, got shape ${showShape(input.shape)}`,
    );
  checkChannels("instanceNorm", input.shape[1]!, { runningMean, runningVar, weight, bias });
  if (!useInputStats) {
    if (runningMean === null || runningVar === null)
      throw new ArgumentError("instanceNorm: runningMean and runningVar must be given when useInputStats is false");
    return withStatistics(input, runningMean, runningVar, weight, bias, eps);
  }
  const count = numel(input.shape.slice(2));
  if (count === 1)
    throw new ShapeError(
      `instanceNorm: expected more than 1 spatial element when training, got input size ${showShape(input.shape)}`,
    );
  if (input.numel() === 0) return input.mul(1);
  const dims = input.shape.map((_, d) => d).slice(2);
  const { out, mean, variance } = standardize("NativeBatchNormBackward0", input, dims, 1, weight, bias, eps);
  if (runningMean !== null) updateRunning(runningMean, mean.mean(0), momentum);
  if (runningVar !== null) updateRunning(runningVar, variance.mul(count / (count - 1)).mean(0), momentum);
  return out;
}

const LRN = signature<{ size: number; alpha?: number; beta?: number; k?: number }>()("localResponseNorm", [
  "size",
  "alpha",
  "beta",
  "k",
]);

/** Divides by `(k + alpha * mean of squares of `size` neighbouring channels) ^ beta`. */
export function localResponseNorm(input: Tensor, ...args: ArgsOf<typeof LRN>): Tensor {
  const { size, alpha = 1e-4, beta = 0.75, k = 1 } = parse(LRN, args, input);
  if (checkInteger("localResponseNorm", "size", size) < 1)
    throw new ArgumentError(`localResponseNorm: size must be positive, got ${size}`);
  for (const [what, value] of Object.entries({ alpha, beta, k })) checkNumber("localResponseNorm", what, value);
  checkTensor("localResponseNorm", "input", input);
  if (input.dim() < 3)
    throw new ShapeError(
      `localResponseNorm: expected an input of at least 3 dimensions, got shape ${showShape(input.shape)}`,
    );
  if (input.numel() === 0) return input;
  const around = [Math.floor(size / 2), Math.floor((size - 1) / 2)];
  const [n, c] = input.shape as [number, number];
  let squares = input.mul(input).unsqueeze(1);
  if (input.dim() === 3) squares = avgPool2d(pad(squares, [0, 0, ...around]), [size, 1], 1).squeeze(1);
  else {
    const boxed = squares.reshape([n, 1, c, input.shape[2]!, numel(input.shape.slice(3))]);
    squares = avgPool3d(pad(boxed, [0, 0, 0, 0, ...around]), [size, 1, 1], 1).reshape([...input.shape]);
  }
  return input.div(squares.mul(alpha).add(k).pow(beta));
}

const RMS_NORM = signature<{
  normalizedShape: number | readonly number[];
  weight?: Tensor | null;
  eps?: number | null;
}>()("rmsNorm", ["normalizedShape", "weight", "eps"]);

/** Divides by the root of the mean square over the trailing dimensions, then scales. `eps` is the dtype's precision by default. */
export function rmsNorm(input: Tensor, ...args: ArgsOf<typeof RMS_NORM>): Tensor {
  const { normalizedShape, weight = null, eps = null } = parse(RMS_NORM, args, input);
  checkTensor("rmsNorm", "input", input);
  checkFloating("rmsNorm", input);
  const shape = integers("rmsNorm", "normalizedShape", normalizedShape);
  const lead = input.dim() - shape.length;
  if (shape.length === 0 || lead < 0 || shape.some((n, i) => n !== input.shape[lead + i]))
    throw new ShapeError(
      `rmsNorm: normalizedShape ${showShape(shape)} must be the last sizes of the input's shape ${showShape(input.shape)}`,
    );
  const least = input.dtype === "float64" ? 2 ** -52 : input.dtype === "float16" ? 2 ** -10 : 2 ** -23;
  const dims = shape.map((_, i) => lead + i);
  const out = input.mul(
    input
      .square()
      .mean(dims, true)
      .add(eps ?? least)
      .rsqrt(),
  );
  return weight === null ? out : out.mul(weight);
}

const NORMALIZE = signature<{ p?: number; dim?: number | readonly number[]; eps?: number }>()("normalize", [
  "p",
  "dim",
  "eps",
]);

/** Divides by the p-norm along `dim` (1), or by `eps` where the norm is smaller. */
export function normalize(input: Tensor, ...args: ArgsOf<typeof NORMALIZE>): Tensor {
  const { p = 2, dim = 1, eps = 1e-12 } = parse(NORMALIZE, args, input);
  return input.div(input.norm(p, dim, true).clampMin(eps).expandAs(input));
}
