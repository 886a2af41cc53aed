/** Loss functions of elements, pairs and margins. Composed of differentiable operations unless a comment says otherwise. */

import { describeValue, parse, signature, type ArgsOf } from "../../args.ts";
import { record, type Wrt } from "../../autograd/tape.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { broadcastShapes, sameShape, showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkTensor } from "../apply.ts";
import { logsigmoid } from "./activation.ts";
import { pairwiseDistance } from "./distance.ts";
import { checkReduction, type Reduction } from "./loss.ts";

interface Paired {
  target: Tensor;
  reduction?: Reduction;
}

/** Combines the losses of single elements. */
function reduced(op: string, each: Tensor, reduction: unknown): Tensor {
  const how = checkReduction(op, reduction ?? "mean");
  return how === "none" ? each : how === "sum" ? each.sum() : each.mean();
}

const L1 = signature<Paired>()("l1Loss", ["target"], ["reduction"]);

/** Absolute differences. */
export function l1Loss(input: Tensor, ...args: ArgsOf<typeof L1>): Tensor {
  const { target, reduction } = parse(L1, args, input);
  checkTensor("l1Loss", "target", target);
  broadcastShapes("l1Loss", input.shape, target.shape);
  return reduced("l1Loss", input.sub(target).abs(), reduction);
}

const SMOOTH_L1 = signature<Paired & { beta?: number }>()("smoothL1Loss", ["target"], ["reduction", "beta"]);

/** Squared differences up to `beta` (1), absolute ones beyond, joined smoothly. */
export function smoothL1Loss(input: Tensor, ...args: ArgsOf<typeof SMOOTH_L1>): Tensor {
  const { target, reduction, beta = 1 } = parse(SMOOTH_L1, args, input);
  checkTensor("smoothL1Loss", "target", target);
  broadcastShapes("smoothL1Loss", input.shape, target.shape);
  if (!(beta >= 0))
    throw new ArgumentError(`smoothL1Loss: does not support negative values for beta, got ${describeValue(beta)}`);
  const d = input.sub(target);
  const size = d.abs();
  if (beta === 0) return reduced("smoothL1Loss", size, reduction);
  const each = size.lt(beta).where(d.square().mul(0.5 / beta), size.sub(0.5 * beta));
  return reduced("smoothL1Loss", each, reduction);
}

const HUBER = signature<Paired & { delta?: number }>()("huberLoss", ["target"], ["reduction", "delta"]);

/** Half the squared differences up to `delta` (1), linear beyond. */
export function huberLoss(input: Tensor, ...args: ArgsOf<typeof HUBER>): Tensor {
  const { target, reduction, delta = 1 } = parse(HUBER, args, input);
  checkTensor("huberLoss", "target", target);
  broadcastShapes("huberLoss", input.shape, target.shape);
  if (!(delta > 0))
    throw new ArgumentError(`huberLoss: does not support non-positive values for delta, got ${describeValue(delta)}`);
  const d = input.sub(target);
  const size = d.abs();
  const each = size.le(delta).where(d.square().mul(0.5), size.sub(0.5 * delta).mul(delta));
  return reduced("huberLoss", each, reduction);
}

const BCE = signature<Paired & { weight?: Tensor | null }>()("binaryCrossEntropy", ["target", "weight"], ["reduction"]);

/**
 * Cross entropy of probabilities `input` in [0, 1] and `target`, elementwise. Logarithms are not below -100, and the derivative's denominator is at least
 * 1e-12, as in PyTorch.
 */
export function binaryCrossEntropy(input: Tensor, ...args: ArgsOf<typeof BCE>): Tensor {
  const { target, weight = null, reduction } = parse(BCE, args, input);
  checkTensor("binaryCrossEntropy", "target", target);
  if (!sameShape(input.shape, target.shape))
    throw new ShapeError(
      `binaryCrossEntropy: target size ${showShape(target.shape)} must be the same as input size ${showShape(input.shape)}`,
    );
  const [x, t] = [input.detach(), target.detach()];
  const each = t
    .sub(1)
    .mul(x.neg().log1p().clampMin(-100))
    .sub(t.mul(x.log().clampMin(-100)));
  const rules: Wrt[] = [
    [input, [input, target], (g, p, q) => g.mul(p.sub(q)).div(p.neg().add(1).mul(p).clampMin(1e-12))],
    [target, [input], (g, p) => g.mul(p.neg().log1p().clampMin(-100).sub(p.log().clampMin(-100)))],
  ];
  record("BinaryCrossEntropyBackward0", each, rules);
  return reduced("binaryCrossEntropy", weight === null ? each : each.mul(weight), reduction);
}

const BCE_LOGITS = signature<Paired & { weight?: Tensor | null; posWeight?: Tensor | null }>()(
  "binaryCrossEntropyWithLogits",
  ["target", "weight"],
  ["reduction", "posWeight"],
);

/** `binaryCrossEntropy` of `sigmoid(input)`, without its loss of digits; `posWeight` weighs the positive examples. */
export function binaryCrossEntropyWithLogits(input: Tensor, ...args: ArgsOf<typeof BCE_LOGITS>): Tensor {
  const { target, weight = null, posWeight = null, reduction } = parse(BCE_LOGITS, args, input);
  checkTensor("binaryCrossEntropyWithLogits", "target", target);
  if (!sameShape(input.shape, target.shape))
    throw new ShapeError(
      `binaryCrossEntropyWithLogits: target size ${showShape(target.shape)} must be the same as input size ${showShape(input.shape)}`,
    );
  const logs = logsigmoid(input);
  const weighted = posWeight === null ? logs : logs.mul(posWeight.sub(1).mul(target).add(1));
  const each = target.neg().add(1).mul(input).sub(weighted);
  return reduced("binaryCrossEntropyWithLogits", weight === null ? each : each.mul(weight), reduction);
}

const KL_DIV = signature<{ target: Tensor; reduction?: Reduction | "batchmean"; logTarget?: boolean }>()(
  "klDiv",
  ["target"],
  ["reduction", "logTarget"],
);

/** Kullback-Leibler divergence of `target` from the distribution whose logarithms `input` holds. `"batchmean"` is the mathematical mean. */
export function klDiv(input: Tensor, ...args: ArgsOf<typeof KL_DIV>): Tensor {
  const { target, reduction = "mean", logTarget = false } = parse(KL_DIV, args, input);
  checkTensor("klDiv", "target", target);
  broadcastShapes("klDiv", input.shape, target.shape);
  const each = logTarget ? target.exp().mul(target.sub(input)) : target.xlogy(target).sub(target.mul(input));
  if (reduction === "batchmean") return input.dim() === 0 ? each.sum() : each.sum().div(input.shape[0]!);
  return reduced("klDiv", each, reduction);
}

const POISSON = signature<Paired & { logInput?: boolean; full?: boolean; eps?: number }>()(
  "poissonNllLoss",
  ["target", "logInput", "full"],
  ["eps", "reduction"],
);

/** Negative log likelihood of counts under a Poisson distribution; `full` adds Stirling's term. */
export function poissonNllLoss(input: Tensor, ...args: ArgsOf<typeof POISSON>): Tensor {
  const { target, logInput = true, full = false, eps = 1e-8, reduction } = parse(POISSON, args, input);
  checkTensor("poissonNllLoss", "target", target);
  broadcastShapes("poissonNllLoss", input.shape, target.shape);
  let each = logInput ? input.exp().sub(target.mul(input)) : input.sub(target.mul(input.add(eps).log()));
  if (full) {
    const stirling = target
      .mul(target.log())
      .sub(target)
      .add(
        target
          .mul(2 * Math.PI)
          .log()
          .mul(0.5),
      );
    each = each.add(stirling.maskedFill(target.le(1), 0));
  }
  return reduced("poissonNllLoss", each, reduction);
}

const GAUSSIAN = signature<{ target: Tensor; var: Tensor; full?: boolean; eps?: number; reduction?: Reduction }>()(
  "gaussianNllLoss",
  ["target", "var"],
  ["full", "eps", "reduction"],
);

/** Negative log likelihood under a normal distribution of mean `input` and variance `var`, which counts as at least `eps`. */
export function gaussianNllLoss(input: Tensor, ...args: ArgsOf<typeof GAUSSIAN>): Tensor {
  const { target, var: given, full = false, eps = 1e-6, reduction } = parse(GAUSSIAN, args, input);
  checkTensor("gaussianNllLoss", "target", target);
  checkTensor("gaussianNllLoss", "var", given);
  let variance = given;
  if (!sameShape(variance.shape, input.shape)) {
    if (sameShape(input.shape.slice(0, -1), variance.shape)) variance = variance.unsqueeze(-1);
    else if (!(sameShape(input.shape.slice(0, -1), variance.shape.slice(0, -1)) && variance.shape.at(-1) === 1))
      throw new ShapeError(
        `gaussianNllLoss: var is of incorrect size: ${showShape(variance.shape)} for an input of ${showShape(input.shape)}`,
      );
  }
  // The bound has no gradient of its own: it is added to the variance as a constant.
  const lift = variance.detach().clampMin(eps).sub(variance.detach());
  const safe = variance.add(lift);
  let each = safe.log().add(input.sub(target).square().div(safe)).mul(0.5);
  if (full) each = each.add(0.5 * Math.log(2 * Math.PI));
  return reduced("gaussianNllLoss", each, reduction);
}

const HINGE = signature<Paired & { margin?: number }>()("hingeEmbeddingLoss", ["target"], ["margin", "reduction"]);

/** `x` where `target` is 1, `max(0, margin - x)` where it is -1. */
export function hingeEmbeddingLoss(input: Tensor, ...args: ArgsOf<typeof HINGE>): Tensor {
  const { target, margin = 1, reduction } = parse(HINGE, args, input);
  checkTensor("hingeEmbeddingLoss", "target", target);
  broadcastShapes("hingeEmbeddingLoss", input.shape, target.shape);
  const far = input.neg().add(margin).clampMin(0).maskedFill(target.eq(1), 0);
  const near = input.maskedFill(target.eq(-1), 0);
  return reduced("hingeEmbeddingLoss", far.add(near), reduction);
}

const COSINE = signature<{ input2: Tensor; target: Tensor; margin?: number; reduction?: Reduction }>()(
  "cosineEmbeddingLoss",
  ["input2", "target"],
  ["margin", "reduction"],
);

/** `1 - cos` of pairs whose `target` is 1, `max(0, cos - margin)` of those whose target is -1. */
export function cosineEmbeddingLoss(input1: Tensor, ...args: ArgsOf<typeof COSINE>): Tensor {
  const { input2, target, margin = 0, reduction } = parse(COSINE, args, input1);
  checkTensor("cosineEmbeddingLoss", "input2", input2);
  checkTensor("cosineEmbeddingLoss", "target", target);
  const dim = target.dim();
  if (dim > 1)
    throw new ShapeError(`cosineEmbeddingLoss: 0D or 1D target tensor expected, got ${showShape(target.shape)}`);
  // The squares are guarded as in PyTorch, which fixes the value for zero vectors.
  const dot = input1.mul(input2).sum(dim);
  const scale = (t: Tensor): Tensor => t.square().sum(dim).add(1e-12);
  const cosine = dot.div(scale(input1).mul(scale(input2)).sqrt());
  const near = cosine.neg().add(1).maskedFill(target.ne(1), 0);
  const far = cosine.sub(margin).clampMin(0).maskedFill(target.ne(-1), 0);
  return reduced("cosineEmbeddingLoss", near.add(far), reduction);
}

const RANKING = signature<{ input2: Tensor; target: Tensor; margin?: number; reduction?: Reduction }>()(
  "marginRankingLoss",
  ["input2", "target"],
  ["margin", "reduction"],
);

/** `max(0, -target * (input1 - input2) + margin)`. */
export function marginRankingLoss(input1: Tensor, ...args: ArgsOf<typeof RANKING>): Tensor {
  const { input2, target, margin = 0, reduction } = parse(RANKING, args, input1);
  checkTensor("marginRankingLoss", "input2", input2);
  checkTensor("marginRankingLoss", "target", target);
  broadcastShapes("marginRankingLoss", input1.shape, input2.shape, target.shape);
  return reduced("marginRankingLoss", target.neg().mul(input1.sub(input2)).add(margin).clampMin(0), reduction);
}

interface Triplet {
  positive: Tensor;
  negative: Tensor;
  margin?: number;
  swap?: boolean;
  reduction?: Reduction;
}

const TRIPLET = signature<Triplet & { p?: number; eps?: number }>()(
  "tripletMarginLoss",
  ["positive", "negative"],
  ["margin", "p", "eps", "swap", "reduction"],
);

/** `max(0, d(anchor, positive) - d(anchor, negative) + margin)` with p-norm distances. */
export function tripletMarginLoss(anchor: Tensor, ...args: ArgsOf<typeof TRIPLET>): Tensor {
  const { p = 2, eps = 1e-6, ...rest } = parse(TRIPLET, args, anchor);
  return triplet("tripletMarginLoss", anchor, rest, (a, b) => pairwiseDistance(a, b, p, eps));
}

const TRIPLET_WITH = signature<Triplet & { distanceFunction?: ((a: Tensor, b: Tensor) => Tensor) | null }>()(
  "tripletMarginWithDistanceLoss",
  ["positive", "negative"],
  ["distanceFunction", "margin", "swap", "reduction"],
);

/** `tripletMarginLoss` with a distance of one's own (Euclidean by default). */
export function tripletMarginWithDistanceLoss(anchor: Tensor, ...args: ArgsOf<typeof TRIPLET_WITH>): Tensor {
  const { distanceFunction, ...rest } = parse(TRIPLET_WITH, args, anchor);
  if (distanceFunction != null && typeof distanceFunction !== "function")
    throw new ArgumentError(
      `tripletMarginWithDistanceLoss: distanceFunction must be a function of two tensors or null, got ${describeValue(distanceFunction)}`,
    );
  const distance =
    distanceFunction == null
      ? (a: Tensor, b: Tensor): Tensor => pairwiseDistance(a, b)
      : (a: Tensor, b: Tensor): Tensor =>
          checkTensor("tripletMarginWithDistanceLoss", "what distanceFunction gives", distanceFunction(a, b));
  return triplet("tripletMarginWithDistanceLoss", anchor, rest, distance);
}

function triplet(
  op: string,
  anchor: Tensor,
  { positive, negative, margin = 1, swap = false, reduction }: Triplet,
  distance: (a: Tensor, b: Tensor) => Tensor,
): Tensor {
  checkTensor(op, "positive", positive);
  checkTensor(op, "negative", negative);
  const near = distance(anchor, positive);
  let far = distance(anchor, negative);
  if (swap) far = far.minimum(distance(positive, negative));
  return reduced(op, near.sub(far).add(margin).clampMin(0), reduction);
}

const SOFT_MARGIN = signature<Paired>()("softMarginLoss", ["target"], ["reduction"]);

/** `log(1 + exp(-target * x))`. */
export function softMarginLoss(input: Tensor, ...args: ArgsOf<typeof SOFT_MARGIN>): Tensor {
  const { target, reduction } = parse(SOFT_MARGIN, args, input);
  checkTensor("softMarginLoss", "target", target);
  broadcastShapes("softMarginLoss", input.shape, target.shape);
  return reduced("softMarginLoss", logsigmoid(target.mul(input)).neg(), reduction);
}

const MULTI_MARGIN = signature<Paired & { p?: number; margin?: number; weight?: Tensor | null }>()(
  "multiMarginLoss",
  ["target"],
  ["p", "margin", "weight", "reduction"],
);

/** Multi-class hinge loss of `input` [N, C] or [C] and int32 classes: the mean over the other classes of `max(0, margin - x[target] + x[i])^p`. */
export function multiMarginLoss(input: Tensor, ...args: ArgsOf<typeof MULTI_MARGIN>): Tensor {
  const { target, p = 1, margin = 1, weight = null, reduction } = parse(MULTI_MARGIN, args, input);
  checkTensor("multiMarginLoss", "target", target);
  if (p !== 1 && p !== 2)
    throw new ArgumentError(`multiMarginLoss: only p == 1 and p == 2 supported, got ${String(p)}`);
  const single = input.dim() < 2;
  const x = single ? input.reshape([1, -1]) : input;
  const index = target.reshape([-1, 1]);
  const [rows, classes] = x.shape as [number, number];
  if (x.dim() !== 2 || index.shape[0] !== rows)
    throw new ShapeError(
      `multiMarginLoss: inconsistent target size ${showShape(target.shape)} for input of ${showShape(input.shape)}`,
    );
  const gap = x.sub(x.gather(1, index)).add(margin).clampMin(0);
  const powered = p === 1 ? gap : gap.square();
  const weighted = weight === null ? powered : powered.mul(weight.indexSelect(0, target.reshape([-1])).unsqueeze(1));
  const others = x.detach().onesLike().scatter(1, index, 0);
  const each = weighted.mul(others).sum(1).div(classes);
  return reduced("multiMarginLoss", single && target.dim() === 0 ? each.squeeze(0) : each, reduction);
}

const MULTILABEL_SOFT = signature<Paired & { weight?: Tensor | null }>()(
  "multilabelSoftMarginLoss",
  ["target", "weight"],
  ["reduction"],
);

/** The mean over the classes (last dimension) of `binaryCrossEntropyWithLogits`. */
export function multilabelSoftMarginLoss(input: Tensor, ...args: ArgsOf<typeof MULTILABEL_SOFT>): Tensor {
  const { target, weight = null, reduction } = parse(MULTILABEL_SOFT, args, input);
  checkTensor("multilabelSoftMarginLoss", "target", target);
  broadcastShapes("multilabelSoftMarginLoss", input.shape, target.shape);
  const each = target
    .mul(logsigmoid(input))
    .add(target.neg().add(1).mul(logsigmoid(input.neg())))
    .neg();
  const weighted = weight === null ? each : each.mul(weight);
  return reduced("multilabelSoftMarginLoss", weighted.mean(-1), reduction);
}

const MULTILABEL = signature<Paired>()("multilabelMarginLoss", ["target"], ["reduction"]);

/**
 * Multi-label hinge loss: `target` lists the classes of each example, up to the first -1. For every class listed and every other, `max(0, 1 - (x[listed] -
 * x[other]))`, summed and divided by the number of classes.
 */
export function multilabelMarginLoss(input: Tensor, ...args: ArgsOf<typeof MULTILABEL>): Tensor {
  const { target, reduction } = parse(MULTILABEL, args, input);
  checkTensor("multilabelMarginLoss", "target", target);
  if (!sameShape(input.shape, target.shape) || input.dim() > 2)
    throw new ShapeError(
      `multilabelMarginLoss: inconsistent target size ${showShape(target.shape)} for input of ${showShape(input.shape)}`,
    );
  const classes = input.dim() === 0 ? 1 : input.shape.at(-1)!;
  const x = input.reshape([-1, classes]);
  const t = target.reshape([-1, classes]);
  // Only what comes before the first negative entry counts.
  const listed = t.lt(0).to("int32").cumsum(1).eq(0);
  const safe = listed.where(t, 0).to("int32");
  const isTarget = x.detach().zerosLike().scatterAdd(1, safe, listed.to(x.dtype)).gt(0);
  const chosen = x.gather(1, safe);
  const gaps = x.unsqueeze(1).sub(chosen.unsqueeze(2)).add(1).clampMin(0);
  const counts = listed.unsqueeze(2).logicalAnd(isTarget.logicalNot().unsqueeze(1));
  const each = gaps.mul(counts).sum([1, 2]).div(classes);
  return reduced("multilabelMarginLoss", input.dim() < 2 ? each.squeeze(0) : each, reduction);
}
