/** Dropout: random masks from the seed, so that they can be computed again instead of being kept. */

import { describeValue, parse, signature, type ArgsOf } from "../../args.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/view.ts";
import { bernoulli } from "../../random.ts";
import type { Tensor } from "../../tensor.ts";
import { checkTensor } from "../apply.ts";

interface DropoutOptions {
  p?: number;
  training?: boolean;
  inplace?: boolean;
}
const ORDER = ["p", "training", "inplace"] as const;
const DROPOUT = signature<DropoutOptions>()("dropout", ORDER);
const DROPOUT1D = signature<DropoutOptions>()("dropout1d", ORDER);
const DROPOUT2D = signature<DropoutOptions>()("dropout2d", ORDER);
const DROPOUT3D = signature<DropoutOptions>()("dropout3d", ORDER);
const ALPHA = signature<DropoutOptions>()("alphaDropout", ORDER);
const FEATURE_ALPHA = signature<DropoutOptions>()("featureAlphaDropout", ORDER);

function checkProbability(op: string, p: number): void {
  if (typeof p !== "number" || !(p >= 0 && p <= 1))
    throw new ArgumentError(`${op}: dropout probability has to be between 0 and 1, but got ${describeValue(p)}`);
}

/** 1 with probability `1 - p`, in the shape of x, or one a channel. */
function keepMask(x: Tensor, p: number, perChannel: boolean): Tensor {
  const shape = perChannel ? x.shape.map((n, d) => (d < 2 ? n : 1)) : [...x.shape];
  return bernoulli(x.detach().newFull(shape, 1 - p));
}

function drop(
  op: string,
  x: Tensor,
  { p = 0.5, training = true, inplace = false }: DropoutOptions,
  perChannel: boolean,
): Tensor {
  checkTensor(op, "input", x);
  checkProbability(op, p);
  if (!training || p === 0) return x;
  const factor = p === 1 ? x.detach().zerosLike() : keepMask(x, p, perChannel).div(1 - p);
  return inplace ? x.mul_(factor) : x.mul(factor);
}

/** Zeroes elements with probability `p` and scales the rest by `1 / (1 - p)`, in training. */
export function dropout(input: Tensor, ...args: ArgsOf<typeof DROPOUT>): Tensor {
  return drop("dropout", input, parse(DROPOUT, args, input), false);
}

function channelwise(op: string, rank: number, input: Tensor, options: DropoutOptions): Tensor {
  checkTensor(op, "input", input);
  if (input.dim() !== rank + 1 && input.dim() !== rank + 2)
    throw new ShapeError(`${op}: expected ${rank + 1}D or ${rank + 2}D input, got shape ${showShape(input.shape)}`);
  if (input.dim() === rank + 2) return drop(op, input, options, true);
  return drop(op, input.unsqueeze(0), options, true).squeeze(0);
}

/** Zeroes whole channels of [n, c, l] (or [c, l]) with probability `p`. */
export function dropout1d(input: Tensor, ...args: ArgsOf<typeof DROPOUT1D>): Tensor {
  return channelwise("dropout1d", 1, input, parse(DROPOUT1D, args, input));
}

/** Zeroes whole channels of [n, c, h, w] (or [c, h, w]) with probability `p`. */
export function dropout2d(input: Tensor, ...args: ArgsOf<typeof DROPOUT2D>): Tensor {
  return channelwise("dropout2d", 2, input, parse(DROPOUT2D, args, input));
}

/** Zeroes whole channels of [n, c, d, h, w] (or [c, d, h, w]) with probability `p`. */
export function dropout3d(input: Tensor, ...args: ArgsOf<typeof DROPOUT3D>): Tensor {
  return channelwise("dropout3d", 3, input, parse(DROPOUT3D, args, input));
}

/** Value that SELU takes far below zero: -scale * alpha. */
const SELU_FLOOR = -1.7580993408473766;

function alphaDrop(op: string, x: Tensor, options: DropoutOptions, perChannel: boolean): Tensor {
  const { p = 0.5, training = false, inplace = false } = options;
  checkTensor(op, "input", x);
  checkProbability(op, p);
  if (!training || p === 0) return x;
  if (p === 1) return x.mul(x.detach().zerosLike());
  const a = 1 / Math.sqrt((SELU_FLOOR * SELU_FLOOR * p + 1) * (1 - p));
  const keep = keepMask(x, p, perChannel);
  const shift = keep
    .sub(1)
    .mul(-SELU_FLOOR * a)
    .add(-SELU_FLOOR * a * p);
  const out = x.mul(keep.mul(a)).add(shift);
  return inplace ? x.copy_(out) : out;
}

/** Dropout that keeps mean and variance of what SELU gives: dropped elements take SELU's lowest value. `training` is false by default. */
export function alphaDropout(input: Tensor, ...args: ArgsOf<typeof ALPHA>): Tensor {
  return alphaDrop("alphaDropout", input, parse(ALPHA, args, input), false);
}

/** `alphaDropout` of whole channels. */
export function featureAlphaDropout(input: Tensor, ...args: ArgsOf<typeof FEATURE_ALPHA>): Tensor {
  return alphaDrop("featureAlphaDropout", input, parse(FEATURE_ALPHA, args, input), true);
}
