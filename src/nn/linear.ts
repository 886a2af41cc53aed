/** Linear layers, tables of vectors, and layers without parameters. */

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
  device?: string | null;
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

/** A parameter whose values are set afterwards. */
export function blank(shape: readonly number[], factory: FactoryOptions): Parameter {
  return new Parameter(empty([...shape], { device: factory.device ?? null, dtype: factory.dtype ?? null }));
}

/** `input @ weight.T + bias`: [..., inFeatures] to [..., outFeatures]. */
export class Linear extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  weight: Parameter;
  bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: { bias?: boolean } & FactoryOptions = {}) {
    super();
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
  readonly features: readonly [number, number, number];
  weight: Parameter;
  bias: Parameter | null;

  constructor(in1: number, in2: number, out: number, options: { bias?: boolean } & FactoryOptions = {}) {
    super();
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
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly paddingIdx: number | null;
  readonly scaleGradByFreq: boolean;
  weight: Parameter;

  constructor(
    numEmbeddings: number,
    embeddingDim: number,
    options: { paddingIdx?: number | null; scaleGradByFreq?: boolean; weight?: Tensor } & FactoryOptions = {},
  ) {
    super();
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
  static fromPretrained(embeddings: Tensor, options: { freeze?: boolean; paddingIdx?: number | null } = {}): Embedding {
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
  readonly numEmbeddings: number;
  readonly embeddingDim: number;
  readonly mode: BagMode;
  weight: Parameter;

  constructor(numEmbeddings: number, embeddingDim: number, options: { mode?: BagMode } & FactoryOptions = {}) {
    super();
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
  readonly startDim: number;
  readonly endDim: number;
  constructor(startDim = 1, endDim = -1) {
    super();
    this.startDim = startDim;
    this.endDim = endDim;
  }
  override forward(input: Tensor): Tensor {
    return input.flatten(this.startDim, this.endDim);
  }
  override extraRepr(): string {
    return `start_dim=${this.startDim}, end_dim=${this.endDim}`;
  }
}

/** One dimension as several. */
export class Unflatten extends Module {
  readonly dimension: number;
  readonly sizes: readonly number[];
  constructor(dim: number, unflattenedSize: readonly number[]) {
    super();
    this.dimension = dim;
    this.sizes = unflattenedSize;
  }
  override forward(input: Tensor): Tensor {
    return input.unflatten(this.dimension, this.sizes);
  }
  override extraRepr(): string {
    return `dim=${this.dimension}, unflattened_size=${shown(this.sizes)}`;
  }
}

/** `F.interpolate` as a layer. */
export class Upsample extends Module {
  readonly options: Readonly<{
    size?: number | readonly number[];
    scaleFactor?: number | readonly number[];
    mode?: InterpolateMode;
    alignCorners?: boolean;
  }>;
  constructor(options: Upsample["options"]) {
    super();
    this.options = options;
  }
  override forward(input: Tensor): Tensor {
    return interpolate(input, { ...this.options });
  }
  override extraRepr(): string {
    const { size, scaleFactor, mode = "nearest" } = this.options;
    return `${size === undefined ? `scale_factor=${shown(scaleFactor)}` : `size=${shown(size)}`}, mode=${mode}`;
  }
}
