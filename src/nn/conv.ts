/** Layers of convolution. */

import { checkTensor } from "../ops/apply.ts";
import { describeValue, parse, signature, type Args } from "../args.ts";
import { ArgumentError } from "../errors.ts";
import * as ops from "../ops/conv.ts";
import { perDim, type PerDim } from "../ops/conv.ts";
import type { Tensor } from "../tensor.ts";
import { pad } from "../ops/composite/pad.ts";
import { calculateFans, kaimingUniform_, uniform_ } from "./init.ts";
import { blank, checkCounts, shown, type FactoryOptions } from "./linear.ts";
import { Module } from "./module.ts";
import type { Parameter } from "./parameter.ts";

/** Options of the layers of convolution. */
export interface ConvOptions extends FactoryOptions {
  /** Step of the kernel (1). */
  stride?: PerDim;
  /** Elements added on both sides of each spatial dimension (0); "same" keeps the sizes, for stride 1; "valid" adds none. */
  padding?: PerDim | "same" | "valid";
  /** Distance between neighbouring elements of the kernel (1). */
  dilation?: PerDim;
  /** Number of groups of channels that are convolved apart (1); must divide the channels of input and output. */
  groups?: number;
  /** Whether to learn a number that is added to each output channel (true). */
  bias?: boolean;
  /** What the padding is filled with ("zeros"). */
  paddingMode?: "zeros" | "reflect" | "replicate" | "circular";
}

/** Options of the layers of transposed convolution. */
export interface ConvTransposeOptions extends FactoryOptions {
  /** Distance between the places of neighbouring input elements in the output (1). */
  stride?: PerDim;
  /** Elements cut off both sides of the output (0). */
  padding?: PerDim;
  /** Elements added at the far end of the output alone (0); tells apart the sizes that a stride makes equal. */
  outputPadding?: PerDim;
  /** Number of groups of channels that are convolved apart (1); must divide the channels of input and output. */
  groups?: number;
  /** Whether to learn a number that is added to each output channel (true). */
  bias?: boolean;
  /** Distance between neighbouring elements of the kernel (1). */
  dilation?: PerDim;
}

const CONV = ["stride", "padding", "dilation", "groups", "bias", "paddingMode", "device", "dtype"] as const;
const TRANSPOSED = ["stride", "padding", "outputPadding", "groups", "bias", "dilation"] as const;
const FACTORY = ["device", "dtype"] as const;
type ConvArgs = Args<ConvOptions, typeof CONV>;
type TransposedArgs = Args<ConvTransposeOptions, typeof TRANSPOSED>;

function checkGroups(name: string, channels: Readonly<Record<string, number>>, groups: number): void {
  if (!Number.isInteger(groups) || groups < 1)
    throw new ArgumentError(`${name}: groups must be a positive integer, got ${describeValue(groups)}`);
  for (const [what, n] of Object.entries(channels))
    if (n % groups !== 0) throw new ArgumentError(`${name}: ${what} (${n}) must be divisible by groups (${groups})`);
}

function reset(weight: Parameter, bias: Parameter | null): void {
  kaimingUniform_(weight, { a: Math.sqrt(5) });
  const { fanIn } = calculateFans(weight);
  if (bias !== null && fanIn > 0) uniform_(bias, -1 / Math.sqrt(fanIn), 1 / Math.sqrt(fanIn));
}

abstract class ConvNd extends Module {
  /** Channels of the input. */
  readonly inChannels: number;
  /** Channels of the output. */
  readonly outChannels: number;
  /** Size of the kernel in each spatial dimension. */
  readonly kernelSize: readonly number[];
  /** Step of the kernel in each spatial dimension. */
  readonly stride: readonly number[];
  /** Elements added on both sides of each spatial dimension, or "same" or "valid". */
  readonly padding: readonly number[] | "same" | "valid";
  /** Distance between neighbouring elements of the kernel in each spatial dimension. */
  readonly dilation: readonly number[];
  /** Number of groups of channels that are convolved apart. */
  readonly groups: number;
  /** What the padding is filled with. */
  readonly paddingMode: NonNullable<ConvOptions["paddingMode"]>;
  /** Learnable kernels: [outChannels, inChannels / groups, ...kernelSize]. */
  weight: Parameter;
  /** Learnable shift of each output channel: [outChannels]; null if there is none. */
  bias: Parameter | null;

  constructor(name: string, rank: number, inChannels: number, outChannels: number, kernelSize: PerDim, args: ConvArgs) {
    super();
    const options = parse(signature<ConvOptions>()(name, CONV), args);
    checkCounts(name, { inChannels, outChannels });
    const { stride = 1, padding = 0, dilation = 1, groups = 1, paddingMode = "zeros" } = options;
    checkGroups(name, { inChannels, outChannels }, groups);
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = perDim(name, "kernelSize", kernelSize, rank, 1);
    this.stride = perDim(name, "stride", stride, rank, 1);
    this.padding = typeof padding === "string" ? padding : perDim(name, "padding", padding, rank, 0);
    this.dilation = perDim(name, "dilation", dilation, rank, 1);
    this.groups = groups;
    this.paddingMode = paddingMode;
    this.weight = blank([outChannels, inChannels / groups, ...this.kernelSize], options);
    this.bias = (options.bias ?? true) ? blank([outChannels], options) : null;
    this.resetParameters();
  }

  /** Fills the parameters anew. */
  resetParameters(): void {
    reset(this.weight, this.bias);
  }

  /** Pads unless the padding is zeros, which `conv` does itself, and convolves. */
  protected run(conv: typeof ops.conv1d, input: Tensor): Tensor {
    const { stride, dilation, groups } = this;
    if (this.paddingMode === "zeros")
      return conv(input, this.weight, this.bias, { stride, padding: this.padding, dilation, groups });
    const sides = this.kernelSize.flatMap((k, d): number[] => {
      if (typeof this.padding !== "string") return [this.padding[d]!, this.padding[d]!];
      const total = this.padding === "same" ? dilation[d]! * (k - 1) : 0;
      return [Math.floor(total / 2), total - Math.floor(total / 2)];
    });
    const reversed = Array.from({ length: sides.length / 2 }, (_, i) => sides.slice(2 * i, 2 * i + 2))
      .toReversed()
      .flat();
    return conv(pad(input, reversed, this.paddingMode), this.weight, this.bias, {
      stride,
      dilation,
      groups,
    });
  }

  override extraRepr(): string {
    const parts = [
      `${this.inChannels}, ${this.outChannels}, kernel_size=${shown(this.kernelSize)}, stride=${shown(this.stride)}`,
    ];
    if (typeof this.padding === "string") parts.push(`padding=${this.padding}`);
    else if (this.padding.some((p) => p !== 0)) parts.push(`padding=${shown(this.padding)}`);
    if (this.dilation.some((d) => d !== 1)) parts.push(`dilation=${shown(this.dilation)}`);
    if (this.groups !== 1) parts.push(`groups=${this.groups}`);
    if (this.bias === null) parts.push("bias=False");
    if (this.paddingMode !== "zeros") parts.push(`padding_mode=${this.paddingMode}`);
    return parts.join(", ");
  }
}

/** `F.conv1d` with parameters. */
export class Conv1d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, ...args: ConvArgs) {
    super("Conv1d", 1, inChannels, outChannels, kernelSize, args);
  }
  override forward(input: Tensor): Tensor {
    return this.run(ops.conv1d, input);
  }
}

/** `F.conv2d` with parameters: `new nn.Conv2d(3, 16, 3, { padding: 1 })`. */
export class Conv2d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, ...args: ConvArgs) {
    super("Conv2d", 2, inChannels, outChannels, kernelSize, args);
  }
  override forward(input: Tensor): Tensor {
    return this.run(ops.conv2d, input);
  }
}

/** `F.conv3d` with parameters. */
export class Conv3d extends ConvNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, ...args: ConvArgs) {
    super("Conv3d", 3, inChannels, outChannels, kernelSize, args);
  }
  override forward(input: Tensor): Tensor {
    return this.run(ops.conv3d, input);
  }
}

abstract class ConvTransposeNd extends Module {
  /** Channels of the input. */
  readonly inChannels: number;
  /** Channels of the output. */
  readonly outChannels: number;
  /** Size of the kernel in each spatial dimension. */
  readonly kernelSize: readonly number[];
  /** Distance between the places of neighbouring input elements in the output, in each spatial dimension. */
  readonly stride: readonly number[];
  /** Elements cut off both sides of the output in each spatial dimension. */
  readonly padding: readonly number[];
  /** Elements added at the far end of each spatial dimension of the output; a call's `outputSize` takes its place. */
  readonly outputPadding: readonly number[];
  /** Distance between neighbouring elements of the kernel in each spatial dimension. */
  readonly dilation: readonly number[];
  /** Number of groups of channels that are convolved apart. */
  readonly groups: number;
  /** Learnable kernels: [inChannels, outChannels / groups, ...kernelSize]. */
  weight: Parameter;
  /** Learnable shift of each output channel: [outChannels]; null if there is none. */
  bias: Parameter | null;

  constructor(
    name: string,
    rank: number,
    inChannels: number,
    outChannels: number,
    kernelSize: PerDim,
    args: TransposedArgs,
  ) {
    super();
    const options = parse(signature<ConvTransposeOptions>()(name, TRANSPOSED, FACTORY), args);
    checkCounts(name, { inChannels, outChannels });
    const { stride = 1, padding = 0, outputPadding = 0, dilation = 1, groups = 1 } = options;
    checkGroups(name, { inChannels, outChannels }, groups);
    this.inChannels = inChannels;
    this.outChannels = outChannels;
    this.kernelSize = perDim(name, "kernelSize", kernelSize, rank, 1);
    this.stride = perDim(name, "stride", stride, rank, 1);
    this.padding = perDim(name, "padding", padding, rank, 0);
    this.outputPadding = perDim(name, "outputPadding", outputPadding, rank, 0);
    this.dilation = perDim(name, "dilation", dilation, rank, 1);
    this.groups = groups;
    this.weight = blank([inChannels, outChannels / groups, ...this.kernelSize], options);
    this.bias = (options.bias ?? true) ? blank([outChannels], options) : null;
    reset(this.weight, this.bias);
  }

  /** The output padding that makes the result of `outputSize`. */
  protected run(conv: typeof ops.convTranspose1d, input: Tensor, outputSize: readonly number[] | null): Tensor {
    const { stride, padding, dilation, groups, kernelSize } = this;
    checkTensor(this.constructor.name, "input", input);
    const sizes = input.shape.slice(-kernelSize.length);
    const outputPadding =
      outputSize === null
        ? this.outputPadding
        : outputSize.slice(-kernelSize.length).map((n, d) => {
            const least = (sizes[d]! - 1) * stride[d]! - 2 * padding[d]! + dilation[d]! * (kernelSize[d]! - 1) + 1;
            if (n < least || n >= least + stride[d]!)
              throw new ArgumentError(
                `${this.constructor.name}: requested an output size of ${n} in dimension ${d}, but valid sizes are ${least} to ${least + stride[d]! - 1}`,
              );
            return n - least;
          });
    return conv(input, this.weight, this.bias, { stride, padding, outputPadding, groups, dilation });
  }

  override extraRepr(): string {
    const parts = [
      `${this.inChannels}, ${this.outChannels}, kernel_size=${shown(this.kernelSize)}, stride=${shown(this.stride)}`,
    ];
    if (this.padding.some((p) => p !== 0)) parts.push(`padding=${shown(this.padding)}`);
    if (this.dilation.some((d) => d !== 1)) parts.push(`dilation=${shown(this.dilation)}`);
    if (this.outputPadding.some((p) => p !== 0)) parts.push(`output_padding=${shown(this.outputPadding)}`);
    if (this.groups !== 1) parts.push(`groups=${this.groups}`);
    if (this.bias === null) parts.push("bias=False");
    return parts.join(", ");
  }
}

/** `F.convTranspose1d` with parameters. */
export class ConvTranspose1d extends ConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, ...args: TransposedArgs) {
    super("ConvTranspose1d", 1, inChannels, outChannels, kernelSize, args);
  }
  override forward(input: Tensor, outputSize: readonly number[] | null = null): Tensor {
    return this.run(ops.convTranspose1d, input, outputSize);
  }
}

/** `F.convTranspose2d` with parameters. */
export class ConvTranspose2d extends ConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, ...args: TransposedArgs) {
    super("ConvTranspose2d", 2, inChannels, outChannels, kernelSize, args);
  }
  override forward(input: Tensor, outputSize: readonly number[] | null = null): Tensor {
    return this.run(ops.convTranspose2d, input, outputSize);
  }
}

/** `F.convTranspose3d` with parameters. */
export class ConvTranspose3d extends ConvTransposeNd {
  constructor(inChannels: number, outChannels: number, kernelSize: PerDim, ...args: TransposedArgs) {
    super("ConvTranspose3d", 3, inChannels, outChannels, kernelSize, args);
  }
  override forward(input: Tensor, outputSize: readonly number[] | null = null): Tensor {
    return this.run(ops.convTranspose3d, input, outputSize);
  }
}
