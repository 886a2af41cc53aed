/** Attention with several heads, and the encoder of the Transformer (Vaswani et al., 2017). */

import { checkTensor } from "../ops/apply.ts";
import { parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { showShape } from "../graph/view.ts";
import { attentionWeights, scaledDotProductAttention } from "../ops/composite/attention.ts";
import { linear } from "../ops/composite/layers.ts";
import { unary } from "../ops/elementwise.ts";
import type { Tensor } from "../tensor.ts";
import { constant_, xavierUniform_ } from "./init.ts";
import { blank, Linear, type FactoryOptions } from "./linear.ts";
import { Module } from "./module.ts";
import { LayerNorm } from "./norm.ts";
import { Dropout } from "./simple.ts";
import type { Parameter } from "./parameter.ts";
import { ModuleList } from "./containers.ts";

/** What a call of `MultiheadAttention` may be told. */
export interface AttentionCall {
  /** Bool, true where a key is to be ignored [n, s]; or floating, added. */
  keyPaddingMask?: Tensor | null;
  /** Whether to give the weights, too. */
  needWeights?: boolean;
  /** Bool, true where attention is not allowed; or floating, added: [l, s] or [n * heads, l, s]. */
  attnMask?: Tensor | null;
  /** Whether the weights given are the mean over the heads [n, l, s] (true), or each head's own [n, heads, l, s]. */
  averageAttnWeights?: boolean;
  /** Whether a query only sees the keys up to its own position (false). */
  isCausal?: boolean;
}

const ATTENTION = signature<{ dropout?: number; bias?: boolean; batchFirst?: boolean } & FactoryOptions>()(
  "MultiheadAttention",
  ["dropout", "bias"],
  ["batchFirst", "device", "dtype"],
);
const ATTEND = signature<AttentionCall>()("MultiheadAttention", [
  "keyPaddingMask",
  "needWeights",
  "attnMask",
  "averageAttnWeights",
  "isCausal",
]);

/** Attention of several heads side by side: queries [l, n, e] or with `batchFirst` [n, l, e]; gives `[output, weights or null]`. */
export class MultiheadAttention extends Module {
  /** Features of queries, keys, values and output. */
  readonly embedDim: number;
  /** Number of heads, which share the features equally. */
  readonly numHeads: number;
  /** Probability that an attention weight is dropped in training. */
  readonly dropout: number;
  /** Whether tensors are [n, length, e] instead of [length, n, e]. */
  readonly batchFirst: boolean;
  /** Learnable projections of queries, keys and values, one below the other: [3 * embedDim, embedDim]. */
  inProjWeight: Parameter;
  /** Learnable shifts of the three projections: [3 * embedDim]; null if there is none. */
  inProjBias: Parameter | null;
  /** Projection of the joined heads to the output. */
  readonly outProj: Linear;

  constructor(embedDim: number, numHeads: number, ...args: ArgsOf<typeof ATTENTION>) {
    super();
    const options = parse(ATTENTION, args);
    if (embedDim % numHeads !== 0)
      throw new ArgumentError(`MultiheadAttention: embedDim (${embedDim}) must be divisible by numHeads (${numHeads})`);
    this.embedDim = embedDim;
    this.numHeads = numHeads;
    this.dropout = options.dropout ?? 0;
    this.batchFirst = options.batchFirst ?? false;
    const bias = options.bias ?? true;
    this.inProjWeight = blank([3 * embedDim, embedDim], options);
    this.inProjBias = bias ? blank([3 * embedDim], options) : null;
    this.outProj = new Linear(embedDim, embedDim, {
      bias,
      device: options.device ?? null,
      dtype: options.dtype ?? null,
    });
    xavierUniform_(this.inProjWeight);
    if (this.inProjBias !== null) constant_(this.inProjBias, 0);
    if (this.outProj.bias !== null) constant_(this.outProj.bias, 0);
  }

  override forward(query: Tensor, key: Tensor, value: Tensor, ...args: ArgsOf<typeof ATTEND>): [Tensor, Tensor | null] {
    const {
      keyPaddingMask = null,
      needWeights = true,
      attnMask = null,
      averageAttnWeights = true,
      isCausal = false,
    } = parse(ATTEND, args);
    for (const [what, value_] of [
      ["query", query],
      ["key", key],
      ["value", value],
    ] as const)
      checkTensor("MultiheadAttention", what, value_);
    const batched = query.dim() === 3;
    if ((query.dim() !== 2 && !batched) || query.shape[query.dim() - 1] !== this.embedDim)
      throw new ShapeError(
        `MultiheadAttention: expected queries of 2 or 3 dimensions and width ${this.embedDim}, got shape ${showShape(query.shape)}`,
      );
    const first = (x: Tensor): Tensor => (!batched ? x.unsqueeze(0) : this.batchFirst ? x : x.transpose(0, 1));
    const e = this.embedDim;
    const part = (x: Tensor, i: number): Tensor => {
      const bias = this.inProjBias === null ? null : this.inProjBias.narrow(0, i * e, e);
      const y = linear(first(x), this.inProjWeight.narrow(0, i * e, e), bias);
      return y.unflatten(2, [this.numHeads, e / this.numHeads]).transpose(1, 2);
    };
    const [q, k, v] = [part(query, 0), part(key, 1), part(value, 2)];
    const [n, length] = [q.shape[0]!, q.shape[2]!];
    let mask: Tensor | null = null;
    if (attnMask !== null) {
      const allowed = attnMask.dtype === "bool" ? attnMask.logicalNot() : attnMask;
      mask = allowed.dim() === 3 ? allowed.view([n, this.numHeads, length, k.shape[2]!]) : allowed;
    }
    if (keyPaddingMask !== null) {
      const padding = (batched ? keyPaddingMask : keyPaddingMask.unsqueeze(0)).unsqueeze(1).unsqueeze(1);
      mask = combined(mask, padding.dtype === "bool" ? padding.logicalNot() : padding);
    }
    const dropoutP = this.training ? this.dropout : 0;
    const finish = (attended: Tensor): Tensor => {
      const out = this.outProj.forward(attended.transpose(1, 2).flatten(2));
      return !batched ? out.squeeze(0) : this.batchFirst ? out : out.transpose(0, 1);
    };
    if (!needWeights) return [finish(scaledDotProductAttention(q, k, v, { attnMask: mask, dropoutP, isCausal })), null];
    const weights = attentionWeights("MultiheadAttention", q, k, { attnMask: mask, dropoutP, isCausal, scale: null });
    const result = finish(weights.matmul(v));
    const shown = averageAttnWeights ? weights.mean(1) : weights;
    return [result, batched ? shown : shown.squeeze(0)];
  }
}

/** Two masks as one: both allow, or numbers added. */
function combined(a: Tensor | null, b: Tensor): Tensor {
  if (a === null) return b;
  if (a.dtype === "bool" && b.dtype === "bool") return a.logicalAnd(b);
  const added = (m: Tensor, like: Tensor): Tensor =>
    m.dtype === "bool" ? like.newZeros([]).maskedFill(m.logicalNot(), -Infinity) : m;
  return added(a, b).add(added(b, a));
}

/** Options of a layer of the encoder. */
export interface EncoderLayerOptions extends FactoryOptions {
  /** Width of the feed-forward network's inner layer (2048). */
  dimFeedforward?: number;
  /** Probability of dropout in training, on attention weights, after the activation and on both parts (0.1). */
  dropout?: number;
  /** Function between the two feed-forward layers ("relu"). */
  activation?: "relu" | "gelu" | ((x: Tensor) => Tensor);
  /** What layer norms add to the variance before its root is taken (1e-5). */
  layerNormEps?: number;
  /** Whether tensors are [n, length, e] instead of [length, n, e] (false). */
  batchFirst?: boolean;
  /** Whether layer norm comes before each part instead of after its residual connection (false). */
  normFirst?: boolean;
}

const ENCODER_LAYER = signature<EncoderLayerOptions>()("TransformerEncoderLayer", [
  "dimFeedforward",
  "dropout",
  "activation",
  "layerNormEps",
  "batchFirst",
  "normFirst",
  "device",
  "dtype",
]);
const LAYER_CALL = signature<{ srcMask?: Tensor | null; srcKeyPaddingMask?: Tensor | null; isCausal?: boolean }>()(
  "TransformerEncoderLayer",
  ["srcMask", "srcKeyPaddingMask", "isCausal"],
);
const ENCODER_CALL = signature<{ mask?: Tensor | null; srcKeyPaddingMask?: Tensor | null; isCausal?: boolean }>()(
  "TransformerEncoder",
  ["mask", "srcKeyPaddingMask", "isCausal"],
);

/** Self-attention and a feed-forward network, each with a residual connection and layer norm. */
export class TransformerEncoderLayer extends Module {
  /** Attention of the sequence to itself. */
  readonly selfAttn: MultiheadAttention;
  /** Feed-forward layer that widens: dModel to dimFeedforward. */
  readonly linear1: Linear;
  /** Dropout after the activation. */
  readonly dropout: Dropout;
  /** Feed-forward layer that narrows: dimFeedforward to dModel. */
  readonly linear2: Linear;
  /** Layer norm of the attention part. */
  readonly norm1: LayerNorm;
  /** Layer norm of the feed-forward part. */
  readonly norm2: LayerNorm;
  /** Dropout on the result of attention. */
  readonly dropout1: Dropout;
  /** Dropout on the result of the feed-forward part. */
  readonly dropout2: Dropout;
  /** Whether layer norm comes before each part instead of after its residual connection. */
  readonly normFirst: boolean;
  readonly #activation: (x: Tensor) => Tensor;

  constructor(dModel: number, nhead: number, ...args: ArgsOf<typeof ENCODER_LAYER>) {
    super();
    const options = parse(ENCODER_LAYER, args);
    const {
      dimFeedforward = 2048,
      dropout = 0.1,
      activation = "relu",
      layerNormEps = 1e-5,
      batchFirst = false,
    } = options;
    const place: FactoryOptions = { device: options.device ?? null, dtype: options.dtype ?? null };
    this.selfAttn = new MultiheadAttention(dModel, nhead, { dropout, batchFirst, ...place });
    this.linear1 = new Linear(dModel, dimFeedforward, place);
    this.dropout = new Dropout(dropout);
    this.linear2 = new Linear(dimFeedforward, dModel, place);
    this.norm1 = new LayerNorm(dModel, { eps: layerNormEps, ...place });
    this.norm2 = new LayerNorm(dModel, { eps: layerNormEps, ...place });
    this.dropout1 = new Dropout(dropout);
    this.dropout2 = new Dropout(dropout);
    this.normFirst = options.normFirst ?? false;
    if (typeof activation !== "function" && activation !== "relu" && activation !== "gelu")
      throw new ArgumentError(
        `TransformerEncoderLayer: activation must be "relu", "gelu" or a function, got ${String(activation)}`,
      );
    this.#activation = typeof activation === "function" ? activation : (x) => unary(activation, x);
  }

  override forward(src: Tensor, ...args: ArgsOf<typeof LAYER_CALL>): Tensor {
    const { srcMask = null, srcKeyPaddingMask = null, isCausal = false } = parse(LAYER_CALL, args);
    const attend = (x: Tensor): Tensor => {
      const call = { attnMask: srcMask, keyPaddingMask: srcKeyPaddingMask, needWeights: false, isCausal };
      return this.dropout1.forward(this.selfAttn.forward(x, x, x, call)[0]);
    };
    const feed = (x: Tensor): Tensor =>
      this.dropout2.forward(this.linear2.forward(this.dropout.forward(this.#activation(this.linear1.forward(x)))));
    if (this.normFirst) {
      const x = src.add(attend(this.norm1.forward(src)));
      return x.add(feed(this.norm2.forward(x)));
    }
    const x = this.norm1.forward(src.add(attend(src)));
    return this.norm2.forward(x.add(feed(x)));
  }
}

/** Encoder layers one after the other, made by `layer`, with an optional norm at the end. */
export class TransformerEncoder extends Module {
  /** The layers in the order in which they run. */
  readonly layers: ModuleList<TransformerEncoderLayer>;
  /** Norm of the last layer's output; null for none. */
  readonly norm: Module | null;

  constructor(layer: (index: number) => TransformerEncoderLayer, numLayers: number, norm: LayerNorm | null = null) {
    super();
    this.layers = new ModuleList(Array.from({ length: numLayers }, (_, i) => layer(i)));
    this.norm = norm;
  }

  override forward(src: Tensor, ...args: ArgsOf<typeof ENCODER_CALL>): Tensor {
    const { mask = null, srcKeyPaddingMask = null, isCausal = false } = parse(ENCODER_CALL, args);
    let x = src;
    for (const layer of this.layers) x = layer.forward(x, { srcMask: mask, srcKeyPaddingMask, isCausal });
    return this.norm instanceof LayerNorm ? this.norm.forward(x) : x;
  }
}
