/** Linear layers, tables of vectors, and layers without parameters. */

import { checkTensor } from "../ops/apply.ts";
import { checkInteger, parse, signature, type ArgsOf } from "../args.ts";
import { linear, embedding } from "../ops/composite/layers.ts";
import { embeddingBag, type BagMode } from "../ops/composite/embedding.ts";
import { interpolate, type InterpolateMode } from "../ops/composite/interpolate.ts";
import type { DType } from "../dtype.ts";
import { ArgumentError } from "../errors.ts";
import { empty } from "../ops/creation.ts";
import type { Tensor } from "../tensor.ts";
import { kaimingUniform_, normal_, uniform_ } from "./init.ts";
import { Module } from "./module.ts";
import { Parameter } from "./parameter.ts";
import { noGrad } from "../autograd/mode.ts";

/** Where and of what dtype a layer's parameters are. */
export interface FactoryOptions {
  /** Device of the parameters; the default device if null or left out. */
  device?: string | null;
  /** Floating dtype of the parameters; the default dtype if null or left out. */
  dtype?: DType | null;
}

/** Python's way to write a value, as PyTorch's modules are shown. */
export function shown(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return value.length === 1 ? `(${shown(value[0])},)` : `(${value.map(shown).join(", ")})`;
  if (typeof value === "string") return `'${value}'`;
  if (typeof value === "number" && value !== 0 && Math.abs(value) < 1e-4)
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** Fails unless the sizes of a layer are whole numbers, not below zero. */
export function checkCounts(name: string, counts: Readonly<Record<string, unknown>>): void {
  for (const [what, value] of Object.entries(counts))
    if (checkInteger(name, what, value) < 0)
      throw new ArgumentError(`${name}: ${what} must not be negative, got ${String(value)}`);
}

/** A parameter whose values are set afterwards. */
export function blank(shape: readonly number[], factory: FactoryOptions): Parameter {
  return new Parameter(empty([...shape], { device: factory.device ?? null, dtype: factory.dtype ?? null }));
}

type WithBias = { bias?: boolean } & FactoryOptions;
const LINEAR = signature<WithBias>()("Linear", ["bias", "device", "dtype"]);
const BILINEAR = signature<WithBias>()("Bilinear", ["bias", "device", "dtype"]);
const EMBEDDING = signature<
  { paddingIdx?: number | null; scaleGradByFreq?: boolean; weight?: Tensor } & FactoryOptions
>()("Embedding", ["paddingIdx"], ["scaleGradByFreq", "weight", "device", "dtype"]);
const FROM_PRETRAINED = signature<{ freeze?: boolean; paddingIdx?: number | null }>()("fromPretrained", [
  "freeze",
  "paddingIdx",
]);
const EMBEDDING_BAG = signature<{ mode?: BagMode } & FactoryOptions>()("EmbeddingBag", [], ["mode", "device", "dtype"]);
const FLATTEN = signature<{ startDim?: number; endDim?: number }>()("Flatten", ["startDim", "endDim"]);
type UpsampleOptions = Upsample["options"];
const UPSAMPLE = signature<UpsampleOptions>()("Upsample", ["size", "scaleFactor", "mode", "alignCorners"]);

/** `input @ weight.T + bias`: [..., inFeatures] to [..., outFeatures]. */
export class Linear extends Module {
  /** Size of the input's last dimension. */
  readonly inFeatures: number;
  /** Size of the output's last dimension. */
  readonly outFeatures: number;
  /** Learnable weights: [outFeatures, inFeatures]. */
  weight: Parameter;
  /** Learnable shift of each output: [outFeatures]; null if there is none. */
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, ...args: ArgsOf<typeof LINEAR>) {
    super();
    const options = parse(LINEAR, args);
    checkCounts("Linear", { inFeatures, outFeatures });
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = blank([outFeatures, inFeatures], options);
    this.bias = (options.bias ?? true) ? blank([outFeatures], options) : null;
    this.resetParameters();
  }

  /** Fills the parameters anew. */
  resetParameters(): void {
    kaimingUniform_(this.weight, { a: Math.sqrt(5) });
    const bound = this.inFeatures > 0 ? 1 / Math.sqrt(this.inFeatures) : 0;
    if (this.bias !== null) uniform_(this.bias, -bound, bound);
  }

  override forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias);
  }

  override extraRepr(): string {
    return `in_features=${this.inFeatures}, out_features=${this.outFeatures}, bias=${shown(this.bias !== null)}`;
  }
}

/** `x1^T A x2 + bias` for each output: [..., in1] and [..., in2] to [..., out]. */
export class Bilinear extends Module {
  /** Sizes of the last dimension: of the first input, the second input and the output. */
  readonly features: readonly [number, number, number];
  /** Learnable matrix for each output: [out, in1, in2]. */
  weight: Parameter;
  /** Learnable shift of each output: [out]; null if there is none. */
  bias: Parameter | null;

  constructor(in1: number, in2: number, out: number, ...args: ArgsOf<typeof BILINEAR>) {
    super();
    const options = parse(BILINEAR, args);
    checkCounts("Bilinear", { in1Features: in1, in2Features: in2, outFeatures: out });
    this.features = [in1, in2, out];
    this.weight = blank([out, in1, in2], options);
    this.bias = (options.bias ?? true) ? blank([out], options) : null;
    const bound = 1 / Math.sqrt(in1);
    uniform_(this.weight, -bound, bound);
    if (this.bias !== null) uniform_(this.bias, -bound, bound);
  }

  override forward(input1: Tensor, input2: Tensor): Tensor {
    const [in1, in2, out] = this.features;
    const lead = input1.shape.slice(0, -1);
    const left = input1.reshape([-1, in1]);
    const right = input2.reshape([-1, in2]);
    // [out, n, in2] from [n, in1] and [out, in1, in2].
    const y = left
      .matmul(this.weight)
      .mul(right)
      .sum(-1)
      .t()
      .reshape([...lead, out]);
    return this.bias === null ? y : y.add(this.bias);
  }

  override extraRepr(): string {
    const [in1, in2, out] = this.features;
    return `in1_features=${in1}, in2_features=${in2}, out_features=${out}, bias=${shown(this.bias !== null)}`;
  }
}

/** Rows of a table at int32 indices: any shape to that shape with `embeddingDim` appended. */
export class Embedding extends Module {
  /** Number of rows of the table: indices are below it. */
  readonly numEmbeddings: number;
  /** Length of a row. */
  readonly embeddingDim: number;
  /** Row that gets no gradient and starts as zeros, counted from the front; null if there is none. */
  readonly paddingIdx: number | null;
  /** Whether the gradient of a row is divided by how often its index occurs in the input. */
  readonly scaleGradByFreq: boolean;
  /** Learnable table: [numEmbeddings, embeddingDim]. */
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, ...args: ArgsOf<typeof EMBEDDING>) {
    super();
    const options = parse(EMBEDDING, args);
    checkCounts("Embedding", { numEmbeddings, embeddingDim });
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    const padding = options.paddingIdx ?? null;
    if (padding !== null && (padding < -numEmbeddings || padding >= numEmbeddings))
      throw new ArgumentError(`Embedding: paddingIdx ${padding} must be within the ${numEmbeddings} embeddings`);
    this.paddingIdx = padding !== null && padding < 0 ? padding + numEmbeddings : padding;
    this.scaleGradByFreq = options.scaleGradByFreq ?? false;
    this.weight =
      options.weight === undefined ? blank([numEmbeddings, embeddingDim], options) : new Parameter(options.weight);
    if (options.weight === undefined) {
      normal_(this.weight);
      const at = this.paddingIdx;
      if (at !== null) noGrad(() => this.weight.select(0, at).fill_(0));
    }
  }

  /** A layer over a table that exists; it is not trained unless `freeze` is false. */
  static fromPretrained(embeddings: Tensor, ...args: ArgsOf<typeof FROM_PRETRAINED>): Embedding {
    const options = parse(FROM_PRETRAINED, args, embeddings);
    const [rows, columns] = embeddings.shape as [number, number];
    const layer = new Embedding(rows, columns, { paddingIdx: options.paddingIdx ?? null, weight: embeddings });
    layer.weight.requiresGrad_(!(options.freeze ?? true));
    return layer;
  }

  override forward(input: Tensor): Tensor {
    return embedding(input, this.weight, { paddingIdx: this.paddingIdx, scaleGradByFreq: this.scaleGradByFreq });
  }

  override extraRepr(): string {
    const padding = this.paddingIdx === null ? "" : `, padding_idx=${this.paddingIdx}`;
    return `${this.numEmbeddings}, ${this.embeddingDim}${padding}`;
  }
}

/** Sums, means or maxima of bags of rows of a table. */
export class EmbeddingBag extends Module {
  /** Number of rows of the table: indices are below it. */
  readonly numEmbeddings: number;
  /** Length of a row. */
  readonly embeddingDim: number;
  /** How the rows of a bag are combined. */
  readonly mode: BagMode;
  /** Learnable table: [numEmbeddings, embeddingDim]. */
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, ...args: ArgsOf<typeof EMBEDDING_BAG>) {
    super();
    const options = parse(EMBEDDING_BAG, args);
    checkCounts("EmbeddingBag", { numEmbeddings, embeddingDim });
    this.numEmbeddings = numEmbeddings;
    this.embeddingDim = embeddingDim;
    this.mode = options.mode ?? "mean";
    this.weight = blank([numEmbeddings, embeddingDim], options);
    normal_(this.weight);
  }

  override forward(input: Tensor, offsets: Tensor | null = null, perSampleWeights: Tensor | null = null): Tensor {
    return embeddingBag(input, { weight: this.weight, offsets, perSampleWeights, mode: this.mode });
  }

  override extraRepr(): string {
    return `${this.numEmbeddings}, ${this.embeddingDim}, mode=${shown(this.mode)}`;
  }
}

/** Gives its input. */
export class Identity extends Module {
  override forward(input: Tensor): Tensor {
    return input;
  }
}

/** Dimensions `startDim` (1) to `endDim` (-1) as one. */
export class Flatten extends Module {
  /** First dimension that is merged. */
  readonly startDim: number;
  /** Last dimension that is merged; negative ones count from the end. */
  readonly endDim: number;
  constructor(...args: ArgsOf<typeof FLATTEN>) {
    super();
    const { startDim = 1, endDim = -1 } = parse(FLATTEN, args);
    this.startDim = startDim;
    this.endDim = endDim;
  }
  override forward(input: Tensor): Tensor {
    checkTensor("Flatten", "input", input);
    return input.flatten(this.startDim, this.endDim);
  }
  override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`;
  }
}

/** One dimension as several. */
export class Unflatten extends Module {
  /** The dimension that is split; negative ones count from the end. */
  readonly dimension: number;
  /** Sizes that it is split into; one of them may be -1, which is inferred. */
  readonly sizes: readonly number[];
  constructor(dim: number, unflattenedSize: readonly number[]) {
    super();
    this.dimension = dim;
    this.sizes = unflattenedSize;
  }
  override forward(input: Tensor): Tensor {
    checkTensor("Unflatten", "input", input);
    return input.unflatten(this.dimension, this.sizes);
  }
  override extraRepr(): string {
    return `dim=${this.dimension}, unflattened_size=${shown(this.sizes)}`;
  }
}

/** `F.interpolate` as a layer. */
export class Upsample extends Module {
  /** What `F.interpolate` is called with. */
  readonly options: Readonly<{
    /** Spatial sizes of the output; either this or `scaleFactor` must be given. */
    size?: number | readonly number[];
    /** Factor from the spatial sizes of the input to those of the output, which are rounded down. */
    scaleFactor?: number | readonly number[];
    /** How values between elements are found ("nearest"). */
    mode?: InterpolateMode;
    /** Whether the first and last elements of input and output fall on each other (false); for the linear and cubic modes. */
    alignCorners?: boolean;
  }>;
  constructor(...args: ArgsOf<typeof UPSAMPLE>) {
    super();
    this.options = parse(UPSAMPLE, args);
  }
  override forward(input: Tensor): Tensor {
    return interpolate(input, { ...this.options });
  }
  override extraRepr(): string {
    const { size, scaleFactor, mode = "nearest" } = this.options;
    return `${size === undefined ? `scale_factor=${shown(scaleFactor)}` : `size=${shown(size)}`}, mode=${mode}`;
  }
}
