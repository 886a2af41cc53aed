/** Loss functions. */

import { describeValue, parse, signature, type ArgsOf } from "../../args.ts";
import { record } from "../../autograd/tape.ts";
import { isFloat } from "../../dtype.ts";
import { ArgumentError, DTypeError, IndexError, ShapeError } from "../../errors.ts";
import { broadcastShapes, sameShape, showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkTensor, hostValueOutside } from "../apply.ts";
import { gatherFor } from "../indexing.ts";
import { logSoftmax } from "./softmax.ts";

/** How the losses of single elements are combined. */
export type Reduction = "none" | "mean" | "sum";

/** Fails unless the value is a known reduction. */
export function checkReduction(op: string, value: unknown): Reduction {
  if (value === "none" || value === "mean" || value === "sum") return value;
  throw new ArgumentError(`${op}: reduction must be "none", "mean" or "sum", got ${describeValue(value)}`);
}

const MSE = signature<{ target: Tensor; reduction?: Reduction }>()("mseLoss", ["target"], ["reduction"]);

/** Mean (or sum, or each) of the squared differences of `input` and `target`. */
export function mseLoss(input: Tensor, ...args: ArgsOf<typeof MSE>): Tensor {
  const { target, reduction: given = "mean" } = parse(MSE, args, input);
  checkTensor("mseLoss", "target", target);
  broadcastShapes("mseLoss", input.shape, target.shape);
  const reduction = checkReduction("mseLoss", given);
  const squares = input.detach().sub(target.detach()).square();
  const count = squares.numel();
  const out = reduction === "none" ? squares : reduction === "sum" ? squares.sum() : squares.mean();
  const slope = (g: Tensor, x: Tensor, y: Tensor): Tensor => {
    const d = x.sub(y).mul(reduction === "mean" ? 2 / count : 2);
    return d.mul(g);
  };
  record("MseLossBackward0", out, [
    [input, [input, target], (g, x, y) => slope(g, x, y).sumToSize([...x.shape])],
    [
      target,
      [input, target],
      (g, x, y) =>
        slope(g, x, y)
          .neg()
          .sumToSize([...y.shape]),
    ],
  ]);
  return out;
}

const NLL = signature<{ target: Tensor; weight?: Tensor | null; ignoreIndex?: number; reduction?: Reduction }>()(
  "nllLoss",
  ["target", "weight"],
  ["ignoreIndex", "reduction"],
);

/**
 * Negative log likelihood: `input` [N, C, ...] are log probabilities, `target` [N, ...] int32 classes. With "mean", the sum is divided by the sum of the
 * weights of the targets that count.
 */
export function nllLoss(input: Tensor, ...args: ArgsOf<typeof NLL>): Tensor {
  const { target, weight = null, ignoreIndex = -100, reduction = "mean" } = parse(NLL, args, input);
  if (weight !== null) checkTensor("nllLoss", "weight", weight);
  return nll("nllLoss", input, target, weight, ignoreIndex, checkReduction("nllLoss", reduction));
}

function checkClasses(op: string, input: Tensor, target: Tensor): void {
  checkTensor(op, "target", target);
  if (isFloat(target.dtype) || target.dtype === "bool")
    throw new DTypeError(
      `${op}: expected int32 class indices as target, got ${target.dtype}; convert with .to("int32")`,
    );
  const expected = input.dim() === 1 ? [] : [input.shape[0]!, ...input.shape.slice(2)];
  if (input.dim() === 0 || !sameShape(expected, target.shape))
    throw new ShapeError(
      `${op}: target of shape ${showShape(target.shape)} does not fit input of shape ${showShape(input.shape)}; expected ${showShape(expected)}`,
    );
}

/** Fails now for a class that the host knows to be none of `classes`. */
function checkKnownClasses(op: string, target: Tensor, classes: number, ignoreIndex: number): void {
  const value = hostValueOutside(target, 0, classes, ignoreIndex);
  if (value !== null)
    throw new IndexError(
      `${op}: target ${value} is out of bounds: there are ${classes} classes, 0 to ${classes - 1} ` +
        `(and ignoreIndex ${ignoreIndex}, which does not count)`,
    );
}

function nll(
  op: string,
  input: Tensor,
  target: Tensor,
  weight: Tensor | null,
  ignoreIndex: number,
  reduction: Reduction,
): Tensor {
  checkClasses(op, input, target);
  const classDim = input.dim() === 1 ? 0 : 1;
  const classes = input.shape[classDim]!;
  if (weight !== null && (weight.dim() !== 1 || weight.shape[0] !== classes))
    throw new ShapeError(
      `${op}: weight must have one value for each of the ${classes} classes, got shape ${showShape(weight.shape)}`,
    );
  checkKnownClasses(op, target, classes, ignoreIndex);
  const counted = target.ne(ignoreIndex);
  const safe = counted.where(target, 0).to("int32");
  const weights =
    weight === null
      ? counted.to(input.dtype)
      : weight
          .indexSelect(0, safe.reshape([-1]))
          .reshape([...target.shape])
          .mul(counted);
  const total = weights.sum();
  const picked = gatherFor(op, input.detach(), classDim, safe.unsqueeze(classDim)).squeeze(classDim);
  const losses = picked.neg().mul(weights);
  const masked = losses.maskedFill(counted.logicalNot(), 0);
  const out = reduction === "none" ? masked : reduction === "sum" ? masked.sum() : masked.sum().div(total);
  const shape = [...input.shape];
  record(input.dim() > 2 ? "NllLoss2DBackward0" : "NllLossBackward0", out, [
    [
      input,
      [safe, weights, total],
      (g, index, w, sum) => {
        const each = reduction === "mean" ? g.div(sum) : g;
        const values = each.neg().mul(w);
        return g.newZeros(shape).scatter(classDim, index.unsqueeze(classDim), values.unsqueeze(classDim));
      },
    ],
  ]);
  return out;
}

const CROSS_ENTROPY = signature<{
  target: Tensor;
  weight?: Tensor | null;
  ignoreIndex?: number;
  reduction?: Reduction;
  labelSmoothing?: number;
}>()("crossEntropy", ["target", "weight"], ["ignoreIndex", "reduction", "labelSmoothing"]);

/**
 * Cross entropy between logits `input` [C], [N, C] or [N, C, ...] and a target: int32 classes of the shape without C, or class
 * probabilities of the input's shape.
 */
export function crossEntropy(input: Tensor, ...args: ArgsOf<typeof CROSS_ENTROPY>): Tensor {
  const {
    target,
    weight = null,
    ignoreIndex = -100,
    reduction: given = "mean",
    labelSmoothing = 0,
  } = parse(CROSS_ENTROPY, args, input);
  const reduction = checkReduction("crossEntropy", given);
  checkTensor("crossEntropy", "target", target);
  if (weight !== null) checkTensor("crossEntropy", "weight", weight);
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new ArgumentError(
      `crossEntropy: labelSmoothing must be between 0 and 1, got ${describeValue(labelSmoothing)}`,
    );
  if (input.dim() === 0) throw new ShapeError("crossEntropy: input must have at least one dimension");
  const classDim = input.dim() === 1 ? 0 : 1;
  const logs = logSoftmax(input, classDim);
  if (sameShape(input.shape, target.shape) && isFloat(target.dtype))
    return probabilityLoss(logs, target, classDim, weight, reduction, labelSmoothing);
  if (labelSmoothing === 0) return nll("crossEntropy", logs, target, weight, ignoreIndex, reduction);
  checkClasses("crossEntropy", input, target);
  const classes = input.shape[classDim]!;
  const counted = target.ne(ignoreIndex);
  const perClass = weight === null ? null : weight.reshape(input.shape.map((_, d) => (d === classDim ? classes : 1)));
  const smooth = (perClass === null ? logs : logs.mul(perClass))
    .sum(classDim)
    .neg()
    .maskedFill(counted.logicalNot(), 0);
  const plain = nll("crossEntropy", logs, target, weight, ignoreIndex, reduction);
  let smoothed: Tensor;
  if (reduction === "none") smoothed = smooth;
  else if (reduction === "sum") smoothed = smooth.sum();
  else {
    const safe = counted.where(target, 0).to("int32");
    const weights =
      weight === null
        ? counted.to(input.dtype)
        : weight
            .indexSelect(0, safe.reshape([-1]))
            .reshape([...target.shape])
            .mul(counted);
    smoothed = smooth.sum().div(weights.sum());
  }
  return plain.mul(1 - labelSmoothing).add(smoothed.mul(labelSmoothing / classes));
}

function probabilityLoss(
  logs: Tensor,
  target: Tensor,
  classDim: number,
  weight: Tensor | null,
  reduction: Reduction,
  smoothing: number,
): Tensor {
  const classes = logs.shape[classDim]!;
  const probabilities = smoothing === 0 ? target : target.mul(1 - smoothing).add(smoothing / classes);
  const weighted =
    weight === null ? logs : logs.mul(weight.reshape(logs.shape.map((_, d) => (d === classDim ? classes : 1))));
  const losses = weighted.mul(probabilities);
  if (reduction === "none") return losses.sum(classDim).neg();
  if (reduction === "sum") return losses.sum().neg();
  const samples = logs.numel() / classes;
  return losses.sum().neg().div(samples);
}
