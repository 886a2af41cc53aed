/** Bags of rows of a table, and one-hot vectors. */

import { checkInteger, parse, signature, type ArgsOf } from "../../args.ts";
import { record } from "../../autograd/tape.ts";
import { isFloat } from "../../dtype.ts";
import { ArgumentError, DTypeError, ShapeError } from "../../errors.ts";
import { sameShape, showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkTensor, hostValueOutside } from "../apply.ts";
import { countLike } from "../creation.ts";
import { scatterInto } from "../indexing.ts";
import { searchsorted } from "../sort.ts";
import { embedding } from "./layers.ts";

/** How the rows of a bag are combined. */
export type BagMode = "sum" | "mean" | "max";

interface BagOptions {
  weight: Tensor;
  offsets?: Tensor | null;
  maxNorm?: number | null;
  normType?: number;
  scaleGradByFreq?: boolean;
  mode?: BagMode;
  sparse?: boolean;
  perSampleWeights?: Tensor | null;
  includeLastOffset?: boolean;
  paddingIdx?: number | null;
}
const BAG = signature<BagOptions>()("embeddingBag", [
  "weight",
  "offsets",
  "maxNorm",
  "normType",
  "scaleGradByFreq",
  "mode",
  "sparse",
  "perSampleWeights",
  "includeLastOffset",
  "paddingIdx",
]);

/**
 * Sums, means or maxima of bags of rows of `weight` (n by d): the input is bags by size, or one list of indices with `offsets`, where each bag starts.
 * The rows of `paddingIdx` do not count. Gradients are dense (`sparse` changes nothing).
 */
export function embeddingBag(input: Tensor, ...args: ArgsOf<typeof BAG>): Tensor {
  const options = parse(BAG, args, input);
  const { weight, offsets = null, mode = "mean", perSampleWeights = null, includeLastOffset = false } = options;
  const { scaleGradByFreq = false, paddingIdx = null } = options;
  checkTensor("embeddingBag", "input", input);
  checkTensor("embeddingBag", "weight", weight);
  if (options.maxNorm != null)
    throw new ArgumentError("embeddingBag: maxNorm is not supported; renormalise the weight with renorm before");
  if (mode !== "sum" && mode !== "mean" && mode !== "max")
    throw new ArgumentError(`embeddingBag: mode must be "sum", "mean" or "max", got "${String(mode)}"`);
  if (perSampleWeights !== null && (mode !== "sum" || !sameShape(perSampleWeights.shape, input.shape)))
    throw new ArgumentError(
      `embeddingBag: perSampleWeights go with mode "sum" and have the input's shape ${showShape(input.shape)}`,
    );
  if (weight.dim() !== 2)
    throw new ShapeError(`embeddingBag: weight must be a matrix, got shape ${showShape(weight.shape)}`);
  if (input.dim() === 2 && offsets !== null)
    throw new ArgumentError("embeddingBag: offsets must be null if the input is 2D, as its rows are the bags");
  if (input.dim() !== 2 && (input.dim() !== 1 || offsets?.dim() !== 1))
    throw new ShapeError(
      `embeddingBag: expected a 2D input, or a 1D one with 1D offsets, got shape ${showShape(input.shape)}`,
    );
  const size = input.dim() === 2 ? input.shape[1]! : 0;
  const flat = input.reshape([-1]);
  const bags = input.dim() === 2 ? input.shape[0]! : offsets!.shape[0]! - (includeLastOffset ? 1 : 0);
  const places = countLike(flat, flat.numel());
  const bag =
    input.dim() === 2
      ? places.div(Math.max(size, 1), { roundingMode: "trunc" }).to("int32")
      : searchsorted(offsets!.narrow(0, 0, bags), places, { right: true }).sub(1);
  const padding = paddingIdx === null ? null : paddingIdx < 0 ? paddingIdx + weight.shape[0]! : paddingIdx;
  const counts = padding === null ? null : flat.ne(padding);
  const rows = embedding(flat, weight, { scaleGradByFreq, paddingIdx: padding });
  if (mode === "max") return bagMaxima(rows, bag, bags, counts);
  let terms = rows;
  if (perSampleWeights !== null) terms = terms.mul(perSampleWeights.reshape([-1, 1]));
  if (counts !== null) terms = terms.mul(counts.unsqueeze(1));
  const total = rows.newZeros([bags, weight.shape[1]!]).indexAdd(0, bag, terms);
  if (mode === "sum") return total;
  const ones = (counts ?? flat.onesLike()).to(rows.dtype);
  const number = rows.newZeros([bags]).indexAdd(0, bag, ones.detach());
  return total.div(number.clampMin(1).unsqueeze(1));
}

/** Largest elements of the rows of each bag, zero for an empty one; the first of equal ones gets the gradient. */
function bagMaxima(rows: Tensor, bag: Tensor, bags: number, counts: Tensor | null): Tensor {
  const x = rows.detach();
  const n = x.shape[0]!;
  const seen = counts === null ? x : x.maskedFill(counts.logicalNot().unsqueeze(1), -Infinity);
  const index = bag.unsqueeze(1).expand([...x.shape]);
  const shape = [bags, x.shape[1]!];
  const best = scatterInto("embeddingBag", x.newFull(shape, -Infinity), 0, index, seen, "max");
  const places = countLike(x, n)
    .unsqueeze(1)
    .expand([...x.shape]);
  const wins = seen.eq(best.gather(0, index));
  const first = scatterInto(
    "embeddingBag",
    x.newFull(shape, n, { dtype: "int32" }),
    0,
    index,
    wins.where(places, n).to("int32"),
    "min",
  );
  const empty = best.eq(-Infinity).logicalOr(first.ge(n));
  const out = best.maskedFill(empty, 0);
  const safe = first.clampMax(Math.max(n - 1, 0));
  record("EmbeddingBagBackward0", out, [
    [rows, [safe, empty], (g, at, none) => g.newZeros([n, shape[1]!]).scatterAdd(0, at, g.maskedFill(none, 0))],
  ]);
  return out;
}

const ONE_HOT = signature<{ numClasses?: number }>()("oneHot", ["numClasses"]);

function hot(input: Tensor, classes: number): Tensor {
  return input.unsqueeze(-1).eq(countLike(input, classes)).to("int32");
}

/**
 * Vectors of zeros with a one at each class index: the input's shape with `numClasses` appended (int32). Without `numClasses` a promise, for the
 * largest index has to be read.
 */
export function oneHot(input: Tensor, numClasses: number): Tensor;
export function oneHot(input: Tensor, options: { numClasses: number }): Tensor;
export function oneHot(input: Tensor): Promise<Tensor>;
export function oneHot(input: Tensor, ...args: ArgsOf<typeof ONE_HOT>): Tensor | Promise<Tensor> {
  const { numClasses = -1 } = parse(ONE_HOT, args, input);
  checkTensor("oneHot", "input", input);
  if (isFloat(input.dtype) || input.dtype === "bool")
    throw new DTypeError(`oneHot: expected int32 class indices, got ${input.dtype}; convert with .to("int32")`);
  if (checkInteger("oneHot", "numClasses", numClasses) === -1) return countClasses(input);
  if (numClasses < 1) throw new ArgumentError(`oneHot: numClasses must be positive, got ${numClasses}`);
  const wrong = hostValueOutside(input, 0, numClasses);
  if (wrong !== null)
    throw new ArgumentError(`oneHot: class index ${wrong} must be from 0 to below numClasses = ${numClasses}`);
  return hot(input, numClasses);
}

async function countClasses(input: Tensor): Promise<Tensor> {
  if (input.numel() === 0)
    throw new ShapeError("oneHot: the number of classes cannot be found from an empty tensor; give numClasses");
  const least = await input.amin().item();
  if (least < 0) throw new ArgumentError(`oneHot: class indices must not be negative, got ${least}`);
  return hot(input, (await input.amax().item()) + 1);
}
