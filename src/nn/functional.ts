/** `tg.nn.functional`, also exported as `F`. */

import { parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError } from "../errors.ts";
import { unary } from "../ops/elementwise.ts";
import type { Tensor } from "../tensor.ts";

export { conv1d, conv2d, conv3d, convTranspose1d, convTranspose2d, convTranspose3d, type PerDim } from "../ops/conv.ts";
export { scaledDotProductAttention } from "../ops/composite/attention.ts";
export * from "../ops/composite/dropout.ts";
export { embeddingBag, oneHot, type BagMode } from "../ops/composite/embedding.ts";
export * from "../ops/composite/norm.ts";
export * from "../ops/composite/pool.ts";
export { pad, type PadMode } from "../ops/composite/pad.ts";
export {
  fold,
  interpolate,
  pixelShuffle,
  pixelUnshuffle,
  unfold,
  type InterpolateMode,
} from "../ops/composite/interpolate.ts";
export { linear, layerNorm, embedding } from "../ops/composite/layers.ts";
export { crossEntropy, mseLoss, nllLoss, type Reduction } from "../ops/composite/loss.ts";
export { softmax, logSoftmax } from "../ops/composite/softmax.ts";
export * from "../ops/composite/activation.ts";
export {
  binaryCrossEntropy,
  binaryCrossEntropyWithLogits,
  cosineEmbeddingLoss,
  gaussianNllLoss,
  hingeEmbeddingLoss,
  huberLoss,
  klDiv,
  l1Loss,
  marginRankingLoss,
  multiMarginLoss,
  multilabelMarginLoss,
  multilabelSoftMarginLoss,
  poissonNllLoss,
  smoothL1Loss,
  softMarginLoss,
  tripletMarginLoss,
  tripletMarginWithDistanceLoss,
} from "../ops/composite/losses.ts";
export { cosineSimilarity, pairwiseDistance, pdist } from "../ops/composite/distance.ts";
export { relu, sigmoid, tanh } from "../functions/unary.ts";

const GELU = signature<{ approximate?: "none" | "tanh" }>()("gelu", [], ["approximate"]);

/** `x * Phi(x)`, Phi being the normal distribution; with `approximate: "tanh"` its usual approximation. */
export function gelu(input: Tensor, ...args: ArgsOf<typeof GELU>): Tensor {
  const { approximate = "none" } = parse(GELU, args, input);
  if (approximate !== "none" && approximate !== "tanh")
    throw new ArgumentError(`gelu: approximate must be "none" or "tanh", got ${String(approximate)}`);
  return unary(approximate === "none" ? "gelu" : "geluTanh", input);
}

/** `x * sigmoid(x)` for each element. */
export function silu(input: Tensor): Tensor {
  return unary("silu", input);
}
