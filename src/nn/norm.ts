/** Layers of normalisation. */

import { checkTensor } from "../ops/apply.ts";
import { integers, parse, signature, type Args, type ArgsOf } from "../args.ts";
import { noGrad } from "../autograd/mode.ts";
import { ShapeError } from "../errors.ts";
import { showShape } from "../graph/view.ts";
import { layerNorm } from "../ops/composite/layers.ts";
import { batchNorm, groupNorm, instanceNorm, localResponseNorm, rmsNorm } from "../ops/composite/norm.ts";
import { ones, zeros } from "../ops/creation.ts";
import type { Tensor } from "../tensor.ts";
import { ones_, zeros_ } from "./init.ts";
import { blank, checkCounts, shown, type FactoryOptions } from "./linear.ts";
import { Module } from "./module.ts";
import type { Parameter } from "./parameter.ts";

/** Options of batch and instance norm. */
export interface BatchNormOptions extends FactoryOptions {
  /** Added to the variance before its root is taken (1e-5). */
  eps?: number;
  /** Share of the newest batch in the running statistics (0.1); null makes those of batch norm the mean over all batches. */
  momentum?: number | null;
  /** Whether to learn a scale and a shift of each channel (batch norm: true, instance norm: false). */
  affine?: boolean;
  /** Whether to keep running statistics for evaluation (batch norm: true, instance norm: false). */
  trackRunningStats?: boolean;
}

const RUNNING = ["eps", "momentum", "affine", "trackRunningStats", "device", "dtype"] as const;
type NormArgs = Args<BatchNormOptions, typeof RUNNING>;

const LAYER_NORM = signature<{ eps?: number; elementwiseAffine?: boolean; bias?: boolean } & FactoryOptions>()(
  "LayerNorm",
  ["eps", "elementwiseAffine", "bias", "device", "dtype"],
);
const RMS_NORM = signature<{ eps?: number | null; elementwiseAffine?: boolean } & FactoryOptions>()("RMSNorm", [
  "eps",
  "elementwiseAffine",
  "device",
  "dtype",
]);
const GROUP_NORM = signature<{ eps?: number; affine?: boolean } & FactoryOptions>()("GroupNorm", [
  "eps",
  "affine",
  "device",
  "dtype",
]);
const LOCAL_RESPONSE = signature<LocalResponseNorm["options"]>()("LocalResponseNorm", ["alpha", "beta", "k"]);

/** What batch and instance norm share: scale, shift and running statistics of channels. */
abstract class RunningNorm extends Module {
  /** Channels of the input. */
  readonly numFeatures: number;
  /** Added to the variance before its root is taken. */
  readonly eps: number;
  /** Share of the newest batch in the running statistics; null makes those of batch norm the mean over all batches. */
  readonly momentum: number | null;
  /** Whether there are a learnable scale and shift. */
  readonly affine: boolean;
  /** Whether there are running statistics, which evaluation uses in place of the input's own. */
  readonly trackRunningStats: boolean;
  /** Learnable scale of each channel: [numFeatures], ones at first; null unless `affine`. */
  weight: Parameter | null;
  /** Learnable shift of each channel: [numFeatures], zeros at first; null unless `affine`. */
  bias: Parameter | null;
  /** Running mean of each channel: [numFeatures], a buffer; null unless `trackRunningStats`. */
  declare runningMean: Tensor | null;
  /** Running variance of each channel: [numFeatures], a buffer; null unless `trackRunningStats`. */
  declare runningVar: Tensor | null;
  /** Number of batches that batch norm saw in training: an int32 scalar, a buffer; null unless `trackRunningStats`. */
  declare numBatchesTracked: Tensor | null;
  readonly #ranks: readonly number[];

  constructor(
    ranks: readonly number[],
    numFeatures: number,
    options: Required<Omit<BatchNormOptions, "device" | "dtype">> & FactoryOptions,
  ) {
    super();
    this.#ranks = ranks;
    this.numFeatures = numFeatures;
    this.eps = options.eps;
    this.momentum = options.momentum;
    this.affine = options.affine;
    this.trackRunningStats = options.trackRunningStats;
    this.weight = options.affine ? blank([numFeatures], options) : null;
    this.bias = options.affine ? blank([numFeatures], options) : null;
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
    const place = { device: options.device ?? null, dtype: options.dtype ?? null };
    const tracks = options.trackRunningStats;
    this.registerBuffer("runningMean", tracks ? zeros(numFeatures, place) : null);
    this.registerBuffer("runningVar", tracks ? ones(numFeatures, place) : null);
    this.registerBuffer("numBatchesTracked", tracks ? zeros([], { ...place, dtype: "int32" }) : null);
  }

  /** Fails unless the input has a number of dimensions that the layer takes. */
  protected checkInput(input: Tensor): void {
    checkTensor(this.constructor.name, "input", input);
    if (!this.#ranks.includes(input.dim()))
      throw new ShapeError(
        `${this.constructor.name}: expected an input of ${this.#ranks.join(" or ")} dimensions, got shape ${showShape(input.shape)}`,
      );
  }

  override extraRepr(): string {
    return `${this.numFeatures}, eps=${shown(this.eps)}, momentum=${shown(this.momentum)}, affine=${shown(this.affine)}, track_running_stats=${shown(this.trackRunningStats)}`;
  }
}

const BATCH = { eps: 1e-5, momentum: 0.1, affine: true, trackRunningStats: true };
const INSTANCE = { ...BATCH, affine: false, trackRunningStats: false };

function normOptions(name: string, numFeatures: number, args: NormArgs): BatchNormOptions {
  checkCounts(name, { numFeatures });
  return parse(signature<BatchNormOptions>()(name, RUNNING), args);
}

abstract class BatchNorm extends RunningNorm {
  #batches = 0;

  constructor(name: string, ranks: readonly number[], numFeatures: number, args: NormArgs) {
    super(ranks, numFeatures, { ...BATCH, ...normOptions(name, numFeatures, args) });
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input);
    const training = this.training || this.runningMean === null;
    let momentum = this.momentum ?? 0;
    if (this.training && this.numBatchesTracked !== null) {
      const count = this.numBatchesTracked;
      noGrad(() => count.add_(1));
      this.#batches++;
      // Without a momentum the running statistics are means over all batches.
      if (this.momentum === null) momentum = 1 / this.#batches;
    }
    const [mean, variance] =
      !this.training || this.trackRunningStats ? [this.runningMean, this.runningVar] : [null, null];
    return batchNorm(input, mean, variance, this.weight, this.bias, training, momentum, this.eps);
  }
}

/** Batch norm of [n, c] or [n, c, l]. */
export class BatchNorm1d extends BatchNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super("BatchNorm1d", [2, 3], numFeatures, args);
  }
}

/** Batch norm of [n, c, h, w]. */
export class BatchNorm2d extends BatchNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super("BatchNorm2d", [4], numFeatures, args);
  }
}

/** Batch norm of [n, c, d, h, w]. */
export class BatchNorm3d extends BatchNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super("BatchNorm3d", [5], numFeatures, args);
  }
}

abstract class InstanceNorm extends RunningNorm {
  readonly #rank: number;

  constructor(name: string, rank: number, numFeatures: number, args: NormArgs) {
    super([rank + 1, rank + 2], numFeatures, { ...INSTANCE, ...normOptions(name, numFeatures, args) });
    this.#rank = rank;
  }

  override forward(input: Tensor): Tensor {
    this.checkInput(input);
    const batched = input.dim() === this.#rank + 2 ? input : input.unsqueeze(0);
    const { runningMean, runningVar, weight, bias, eps } = this;
    const useInputStats = this.training || !this.trackRunningStats;
    const out = instanceNorm(batched, {
      runningMean,
      runningVar,
      weight,
      bias,
      useInputStats,
      momentum: this.momentum ?? 0,
      eps,
    });
    return input.dim() === this.#rank + 2 ? out : out.squeeze(0);
  }
}

/** Instance norm of [n, c, l] or [c, l]. */
export class InstanceNorm1d extends InstanceNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super("InstanceNorm1d", 1, numFeatures, args);
  }
}

/** Instance norm of [n, c, h, w] or [c, h, w]. */
export class InstanceNorm2d extends InstanceNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super("InstanceNorm2d", 2, numFeatures, args);
  }
}

/** Instance norm of [n, c, d, h, w] or [c, d, h, w]. */
export class InstanceNorm3d extends InstanceNorm {
  constructor(numFeatures: number, ...args: NormArgs) {
    super("InstanceNorm3d", 3, numFeatures, args);
  }
}

/** Normalises over the trailing dimensions `normalizedShape`. */
export class LayerNorm extends Module {
  /** Sizes of the trailing dimensions that are normalised together. */
  readonly normalizedShape: readonly number[];
  /** Added to the variance before its root is taken. */
  readonly eps: number;
  /** Learnable scale of each element: `normalizedShape`, ones at first; null without `elementwiseAffine`. */
  weight: Parameter | null;
  /** Learnable shift of each element: `normalizedShape`, zeros at first; null if there is none. */
  bias: Parameter | null;

  constructor(normalizedShape: number | readonly number[], ...args: ArgsOf<typeof LAYER_NORM>) {
    super();
    const options = parse(LAYER_NORM, args);
    this.normalizedShape = integers(this.constructor.name, "normalizedShape", normalizedShape);
    this.eps = options.eps ?? 1e-5;
    const affine = options.elementwiseAffine ?? true;
    this.weight = affine ? blank(this.normalizedShape, options) : null;
    this.bias = affine && (options.bias ?? true) ? blank(this.normalizedShape, options) : null;
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  override forward(input: Tensor): Tensor {
    return layerNorm(input, this.normalizedShape, this.weight, this.bias, this.eps);
  }

  override extraRepr(): string {
    return `${shown(this.normalizedShape)}, eps=${shown(this.eps)}, elementwise_affine=${shown(this.weight !== null)}`;
  }
}

/** Divides by the root mean square over the trailing dimensions `normalizedShape`. */
export class RMSNorm extends Module {
  /** Sizes of the trailing dimensions that are normalised together. */
  readonly normalizedShape: readonly number[];
  /** Added to the mean square before its root is taken; null for the dtype's precision. */
  readonly eps: number | null;
  /** Learnable scale of each element: `normalizedShape`, ones at first; null without `elementwiseAffine`. */
  weight: Parameter | null;

  constructor(normalizedShape: number | readonly number[], ...args: ArgsOf<typeof RMS_NORM>) {
    super();
    const options = parse(RMS_NORM, args);
    this.normalizedShape = integers(this.constructor.name, "normalizedShape", normalizedShape);
    this.eps = options.eps ?? null;
    this.weight = (options.elementwiseAffine ?? true) ? blank(this.normalizedShape, options) : null;
    if (this.weight !== null) ones_(this.weight);
  }

  override forward(input: Tensor): Tensor {
    return rmsNorm(input, this.normalizedShape, this.weight, this.eps);
  }

  override extraRepr(): string {
    return `${shown(this.normalizedShape)}, eps=${shown(this.eps)}, elementwise_affine=${shown(this.weight !== null)}`;
  }
}

/** Normalises groups of channels of each sample. */
export class GroupNorm extends Module {
  /** Number of groups; must divide `numChannels`. */
  readonly numGroups: number;
  /** Channels of the input. */
  readonly numChannels: number;
  /** Added to the variance before its root is taken. */
  readonly eps: number;
  /** Learnable scale of each channel: [numChannels], ones at first; null unless affine. */
  weight: Parameter | null;
  /** Learnable shift of each channel: [numChannels], zeros at first; null unless affine. */
  bias: Parameter | null;

  constructor(numGroups: number, numChannels: number, ...args: ArgsOf<typeof GROUP_NORM>) {
    super();
    const options = parse(GROUP_NORM, args);
    checkCounts("GroupNorm", { numGroups, numChannels });
    if (numChannels % numGroups !== 0)
      throw new ShapeError(`GroupNorm: ${numChannels} channels cannot be divided into ${numGroups} groups`);
    this.numGroups = numGroups;
    this.numChannels = numChannels;
    this.eps = options.eps ?? 1e-5;
    const affine = options.affine ?? true;
    this.weight = affine ? blank([numChannels], options) : null;
    this.bias = affine ? blank([numChannels], options) : null;
    if (this.weight !== null) ones_(this.weight);
    if (this.bias !== null) zeros_(this.bias);
  }

  override forward(input: Tensor): Tensor {
    return groupNorm(input, this.numGroups, this.weight, this.bias, this.eps);
  }

  override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${shown(this.eps)}, affine=${shown(this.weight !== null)}`;
  }
}

/** `F.localResponseNorm` as a layer. */
export class LocalResponseNorm extends Module {
  /** Number of neighbouring channels whose squares are averaged. */
  readonly size: number;
  /** Constants of the divisor `(k + alpha * mean of squares) ^ beta`. */
  readonly options: Readonly<{
    /** Factor of the mean of squares (1e-4). */
    alpha?: number;
    /** Exponent of the divisor (0.75). */
    beta?: number;
    /** Number added to the scaled mean of squares (1). */
    k?: number;
  }>;
  constructor(size: number, ...args: ArgsOf<typeof LOCAL_RESPONSE>) {
    super();
    this.size = size;
    this.options = parse(LOCAL_RESPONSE, args);
  }
  override forward(input: Tensor): Tensor {
    return localResponseNorm(input, { size: this.size, ...this.options });
  }
  override extraRepr(): string {
    const { alpha = 1e-4, beta = 0.75, k = 1 } = this.options;
    return `${this.size}, alpha=${shown(alpha)}, beta=${beta}, k=${k.toFixed(1)}`;
  }
}
