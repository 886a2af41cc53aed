/** Layers that are a function with its options: activations, dropout, pooling. */

import { checkInteger, describeValue, integers, parse, signature, type Args, type ArgsOf } from "../args.ts";
import { sigmoid, tanh } from "../functions/unary.ts";
import { leakyRelu } from "../ops/composite/activation.ts";
import { unary } from "../ops/elementwise.ts";
import * as drop from "../ops/composite/dropout.ts";
import * as pools from "../ops/composite/pool.ts";
import { pixelShuffle, pixelUnshuffle } from "../ops/composite/interpolate.ts";
import { pad } from "../ops/composite/pad.ts";
import { logSoftmax, softmax } from "../ops/composite/softmax.ts";
import type { PerDim } from "../ops/conv.ts";
import { ArgumentError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { shown } from "./linear.ts";
import { Module } from "./module.ts";

const GELU_ARGS = signature<{ approximate?: "none" | "tanh" }>()("GELU", ["approximate"]);
const SOFTMAX = signature<{ dim: number }>()("Softmax", ["dim"]);
const LOG_SOFTMAX = signature<{ dim: number }>()("LogSoftmax", ["dim"]);
const LEAKY_RELU = signature<{ negativeSlope?: number }>()("LeakyReLU", ["negativeSlope"]);
const DROPOUT = ["p", "inplace"] as const;
type DropoutArgs = Args<{ p?: number; inplace?: boolean }, typeof DROPOUT>;

/** `max(x, 0)`. */
export class ReLU extends Module {
  override forward(input: Tensor): Tensor {
    return unary("relu", input);
  }
}

/** `x * Phi(x)`; `approximate: "tanh"` for the usual approximation. */
export class GELU extends Module {
  /** "none" for the exact function, "tanh" for the approximation. */
  readonly approximate: "none" | "tanh";
  constructor(...args: ArgsOf<typeof GELU_ARGS>) {
    super();
    const { approximate = "none" } = parse(GELU_ARGS, args);
    if (approximate !== "none" && approximate !== "tanh")
      throw new ArgumentError(`GELU: approximate must be "none" or "tanh", got ${describeValue(approximate)}`);
    this.approximate = approximate;
  }
  override forward(input: Tensor): Tensor {
    return unary(this.approximate === "none" ? "gelu" : "geluTanh", input);
  }
  override extraRepr(): string {
    return `approximate='${this.approximate}'`;
  }
}

/** `x * sigmoid(x)`. */
export class SiLU extends Module {
  override forward(input: Tensor): Tensor {
    return unary("silu", input);
  }
}

/** `1 / (1 + exp(-x))`. */
export class Sigmoid extends Module {
  override forward(input: Tensor): Tensor {
    return sigmoid(input);
  }
}

/** The hyperbolic tangent. */
export class Tanh extends Module {
  override forward(input: Tensor): Tensor {
    return tanh(input);
  }
}

/** `x` where it is positive, else `negativeSlope * x`. */
export class LeakyReLU extends Module {
  /** Factor of negative elements. */
  readonly negativeSlope: number;
  constructor(...args: ArgsOf<typeof LEAKY_RELU>) {
    super();
    this.negativeSlope = parse(LEAKY_RELU, args).negativeSlope ?? 0.01;
  }
  override forward(input: Tensor): Tensor {
    return leakyRelu(input, this.negativeSlope);
  }
  override extraRepr(): string {
    return `negative_slope=${this.negativeSlope}`;
  }
}

/** Softmax along `dim`. */
export class Softmax extends Module {
  /** Dimension along which the results add up to 1. */
  readonly alongDim: number;
  constructor(...args: ArgsOf<typeof SOFTMAX>) {
    super();
    this.alongDim = checkInteger("Softmax", "dim", parse(SOFTMAX, args).dim);
  }
  override forward(input: Tensor): Tensor {
    return softmax(input, this.alongDim);
  }
  override extraRepr(): string {
    return `dim=${this.alongDim}`;
  }
}

/** Logarithm of the softmax along `dim`. */
export class LogSoftmax extends Module {
  /** Dimension along which the exponentials of the results add up to 1. */
  readonly alongDim: number;
  constructor(...args: ArgsOf<typeof LOG_SOFTMAX>) {
    super();
    this.alongDim = checkInteger("LogSoftmax", "dim", parse(LOG_SOFTMAX, args).dim);
  }
  override forward(input: Tensor): Tensor {
    return logSoftmax(input, this.alongDim);
  }
  override extraRepr(): string {
    return `dim=${this.alongDim}`;
  }
}

abstract class DropoutBase extends Module {
  /** Probability that an element, or a channel, is dropped. */
  readonly p: number;
  /** Whether the input itself is overwritten. */
  readonly inplace: boolean;
  readonly #apply: typeof drop.dropout;
  constructor(name: string, apply: typeof drop.dropout, args: DropoutArgs) {
    super();
    const { p = 0.5, inplace = false } = parse(signature<{ p?: number; inplace?: boolean }>()(name, DROPOUT), args);
    if (typeof p !== "number" || !(p >= 0 && p <= 1))
      throw new ArgumentError(`${name}: dropout probability has to be between 0 and 1, but got ${describeValue(p)}`);
    this.p = p;
    this.inplace = inplace;
    this.#apply = apply;
  }
  override forward(input: Tensor): Tensor {
    return this.#apply(input, this.p, this.training, this.inplace);
  }
  override extraRepr(): string {
    return `p=${this.p}, inplace=${shown(this.inplace)}`;
  }
}

/** Zeroes elements with probability `p` in training. */
export class Dropout extends DropoutBase {
  constructor(...args: DropoutArgs) {
    super("Dropout", drop.dropout, args);
  }
}
/** Zeroes whole channels of [n, c, l] in training. */
export class Dropout1d extends DropoutBase {
  constructor(...args: DropoutArgs) {
    super("Dropout1d", drop.dropout1d, args);
  }
}
/** Zeroes whole channels of [n, c, h, w] in training. */
export class Dropout2d extends DropoutBase {
  constructor(...args: DropoutArgs) {
    super("Dropout2d", drop.dropout2d, args);
  }
}
/** Zeroes whole channels of [n, c, d, h, w] in training. */
export class Dropout3d extends DropoutBase {
  constructor(...args: DropoutArgs) {
    super("Dropout3d", drop.dropout3d, args);
  }
}
/** Dropout for SELU networks. */
export class AlphaDropout extends DropoutBase {
  constructor(...args: DropoutArgs) {
    super("AlphaDropout", drop.alphaDropout, args);
  }
}

/** Options of the layers of maximum pooling. */
export interface MaxPoolOptions {
  /** Step of the window (its size). */
  stride?: PerDim;
  /** Elements of -Infinity added on both sides, at most half the window (0). */
  padding?: PerDim;
  /** Distance between neighbouring elements of the window (1). */
  dilation?: PerDim;
  /** Whether the output's size is rounded up, so that windows may reach over the end (false). */
  ceilMode?: boolean;
}

const MAX_POOL = ["stride", "padding", "dilation"] as const;
const AVG_POOL = ["stride", "padding", "ceilMode", "countIncludePad"] as const;
const DIVIDED = [...AVG_POOL, "divisorOverride"] as const;
type DividedOptions = AvgPoolOptions & {
  /** What the sum of a window is divided by, in place of the number of its elements. */
  divisorOverride?: number;
};
type MaxPoolArgs = Args<MaxPoolOptions, typeof MAX_POOL>;
type AvgPoolArgs = Args<AvgPoolOptions, typeof AVG_POOL>;
type DividedArgs = Args<DividedOptions, typeof DIVIDED>;

abstract class MaxPool extends Module {
  /** Size of the window. */
  readonly kernelSize: PerDim;
  /** What else the pooling function is called with. */
  readonly options: MaxPoolOptions;
  readonly #pool: typeof pools.maxPool1d;
  constructor(name: string, pool: typeof pools.maxPool1d, kernelSize: PerDim, args: MaxPoolArgs) {
    super();
    this.kernelSize = kernelSize;
    this.options = parse(signature<MaxPoolOptions>()(name, MAX_POOL, ["ceilMode"]), args);
    this.#pool = pool;
  }
  override forward(input: Tensor): Tensor {
    return this.#pool(input, { kernelSize: this.kernelSize, ...this.options });
  }
  /** The maxima and their indices, for `F.maxUnpool`. */
  withIndices(input: Tensor): pools.OutputIndices {
    return this.#pool(input, { kernelSize: this.kernelSize, ...this.options, returnIndices: true });
  }
  override extraRepr(): string {
    const { stride = this.kernelSize, padding = 0, dilation = 1, ceilMode = false } = this.options;
    return `kernel_size=${shown(this.kernelSize)}, stride=${shown(stride)}, padding=${shown(padding)}, dilation=${shown(dilation)}, ceil_mode=${shown(ceilMode)}`;
  }
}

/** `F.maxPool1d` as a layer. */
export class MaxPool1d extends MaxPool {
  constructor(kernelSize: PerDim, ...args: MaxPoolArgs) {
    super("MaxPool1d", pools.maxPool1d, kernelSize, args);
  }
}
/** `F.maxPool2d` as a layer. */
export class MaxPool2d extends MaxPool {
  constructor(kernelSize: PerDim, ...args: MaxPoolArgs) {
    super("MaxPool2d", pools.maxPool2d, kernelSize, args);
  }
}
/** `F.maxPool3d` as a layer. */
export class MaxPool3d extends MaxPool {
  constructor(kernelSize: PerDim, ...args: MaxPoolArgs) {
    super("MaxPool3d", pools.maxPool3d, kernelSize, args);
  }
}

/** Options of the layers of mean pooling. */
export interface AvgPoolOptions {
  /** Step of the window (its size). */
  stride?: PerDim;
  /** Zeros added on both sides, at most half the window (0). */
  padding?: PerDim;
  /** Whether the output's size is rounded up, so that windows may reach over the end (false). */
  ceilMode?: boolean;
  /** Whether the padding counts as elements of the mean (true). */
  countIncludePad?: boolean;
}

abstract class AvgPool extends Module {
  /** Size of the window. */
  readonly kernelSize: PerDim;
  /** What else the pooling function is called with. */
  readonly options: AvgPoolOptions;
  readonly #pool: typeof pools.avgPool1d;
  constructor(pool: typeof pools.avgPool1d, kernelSize: PerDim, options: AvgPoolOptions) {
    super();
    this.kernelSize = kernelSize;
    this.options = options;
    this.#pool = pool;
  }
  override forward(input: Tensor): Tensor {
    return this.#pool(input, { kernelSize: this.kernelSize, ...this.options });
  }
  override extraRepr(): string {
    const { stride = this.kernelSize, padding = 0 } = this.options;
    return `kernel_size=${shown(this.kernelSize)}, stride=${shown(stride)}, padding=${shown(padding)}`;
  }
}

/** `F.avgPool1d` as a layer. */
export class AvgPool1d extends AvgPool {
  constructor(kernelSize: PerDim, ...args: AvgPoolArgs) {
    super(pools.avgPool1d, kernelSize, parse(signature<AvgPoolOptions>()("AvgPool1d", AVG_POOL), args));
  }
}
/** `F.avgPool2d` as a layer. */
export class AvgPool2d extends AvgPool {
  constructor(kernelSize: PerDim, ...args: DividedArgs) {
    super(pools.avgPool2d, kernelSize, parse(signature<DividedOptions>()("AvgPool2d", DIVIDED), args));
  }
}
/** `F.avgPool3d` as a layer. */
export class AvgPool3d extends AvgPool {
  constructor(kernelSize: PerDim, ...args: DividedArgs) {
    super(pools.avgPool3d, kernelSize, parse(signature<DividedOptions>()("AvgPool3d", DIVIDED), args));
  }
}

abstract class AdaptivePool extends Module {
  /** Spatial sizes of the output: one number for all, or one each; null keeps the input's. */
  readonly outputSize: pools.OutputSize;
  readonly #pool: (input: Tensor, outputSize: pools.OutputSize) => Tensor;
  constructor(pool: (input: Tensor, outputSize: pools.OutputSize) => Tensor, outputSize: pools.OutputSize) {
    super();
    this.outputSize = outputSize;
    this.#pool = pool;
  }
  override forward(input: Tensor): Tensor {
    return this.#pool(input, this.outputSize);
  }
  override extraRepr(): string {
    return `output_size=${shown(this.outputSize)}`;
  }
}

/** `F.adaptiveAvgPool1d` as a layer. */
export class AdaptiveAvgPool1d extends AdaptivePool {
  constructor(outputSize: pools.OutputSize) {
    super(pools.adaptiveAvgPool1d, outputSize);
  }
}
/** `F.adaptiveAvgPool2d` as a layer. */
export class AdaptiveAvgPool2d extends AdaptivePool {
  constructor(outputSize: pools.OutputSize) {
    super(pools.adaptiveAvgPool2d, outputSize);
  }
}
/** `F.adaptiveAvgPool3d` as a layer. */
export class AdaptiveAvgPool3d extends AdaptivePool {
  constructor(outputSize: pools.OutputSize) {
    super(pools.adaptiveAvgPool3d, outputSize);
  }
}
/** `F.adaptiveMaxPool1d` as a layer. */
export class AdaptiveMaxPool1d extends AdaptivePool {
  constructor(outputSize: pools.OutputSize) {
    super((x, size) => pools.adaptiveMaxPool1d(x, size), outputSize);
  }
}
/** `F.adaptiveMaxPool2d` as a layer. */
export class AdaptiveMaxPool2d extends AdaptivePool {
  constructor(outputSize: pools.OutputSize) {
    super((x, size) => pools.adaptiveMaxPool2d(x, size), outputSize);
  }
}
/** `F.adaptiveMaxPool3d` as a layer. */
export class AdaptiveMaxPool3d extends AdaptivePool {
  constructor(outputSize: pools.OutputSize) {
    super((x, size) => pools.adaptiveMaxPool3d(x, size), outputSize);
  }
}

/** `F.pixelShuffle` as a layer. */
export class PixelShuffle extends Module {
  /** Factor by which height and width grow; channels shrink by its square. */
  readonly upscaleFactor: number;
  constructor(upscaleFactor: number) {
    super();
    this.upscaleFactor = upscaleFactor;
  }
  override forward(input: Tensor): Tensor {
    return pixelShuffle(input, this.upscaleFactor);
  }
  override extraRepr(): string {
    return `upscale_factor=${this.upscaleFactor}`;
  }
}
/** `F.pixelUnshuffle` as a layer. */
export class PixelUnshuffle extends Module {
  /** Factor by which height and width shrink; channels grow by its square. */
  readonly downscaleFactor: number;
  constructor(downscaleFactor: number) {
    super();
    this.downscaleFactor = downscaleFactor;
  }
  override forward(input: Tensor): Tensor {
    return pixelUnshuffle(input, this.downscaleFactor);
  }
  override extraRepr(): string {
    return `downscale_factor=${this.downscaleFactor}`;
  }
}

/** Zeros around the last two dimensions: one number, or [left, right, top, bottom]. */
export class ZeroPad2d extends Module {
  /** Number of zeros on each side: [left, right, top, bottom]. */
  readonly sides: readonly number[];
  constructor(padding: number | readonly number[]) {
    super();
    this.sides =
      typeof padding === "number" ? [padding, padding, padding, padding] : integers("ZeroPad2d", "padding", padding);
  }
  override forward(input: Tensor): Tensor {
    return pad(input, this.sides);
  }
  override extraRepr(): string {
    return shown(this.sides);
  }
}
