/** Drawing indices by weight. */

import { checkInteger, parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { showShape } from "../graph/view.ts";
import { rand } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { checkFloating, checkTensor } from "./apply.ts";
import { searchsorted, topk } from "./sort.ts";

const MULTINOMIAL = signature<{ numSamples: number; replacement?: boolean }>()("multinomial", [
  "numSamples",
  "replacement",
]);

/**
 * `numSamples` int32 indices into each row of weights, [n] or [rows, n], drawn with probabilities proportional to them: [numSamples] or
 * [rows, numSamples]. Weights need not add up to 1, but must be finite and not negative, and a row must have as many above zero as are
 * drawn without `replacement` (as one with it): values are not read, so that this is not checked. Without replacement indices come in the
 * order in which they are drawn one after the other.
 */
export function multinomial(input: Tensor, ...args: ArgsOf<typeof MULTINOMIAL>): Tensor {
  const { numSamples: given, replacement = false } = parse(MULTINOMIAL, args, input);
  const numSamples = checkInteger("multinomial", "numSamples", given);
  checkTensor("multinomial", "input", input);
  checkFloating("multinomial", input);
  if (input.dim() !== 1 && input.dim() !== 2)
    throw new ShapeError(`multinomial: weights must have 1 or 2 dimensions, got shape ${showShape(input.shape)}`);
  const n = input.shape[input.dim() - 1]!;
  if (n === 0) throw new ShapeError("multinomial: there are no weights to draw from");
  if (numSamples < 1) throw new ArgumentError(`multinomial: numSamples must be above 0, got ${numSamples}`);
  if (!replacement && numSamples > n)
    throw new ArgumentError(
      `multinomial: cannot draw ${numSamples} of ${n} without replacement; pass replacement: true or draw fewer`,
    );
  const weights = input.dtype === "float16" ? input.detach().to("float32") : input.detach();
  const place = { device: input.device, dtype: weights.dtype };
  const rows = input.shape.slice(0, -1);
  if (replacement) {
    // The first index at which the running sum is above a uniform number below the total: never one of weight zero.
    const sums = weights.cumsum(-1);
    const at = rand([...rows, numSamples], place).mul(sums.narrow(-1, n - 1, 1));
    return searchsorted(sums.contiguous(), at, { right: true }).clamp(0, n - 1);
  }
  // Exponential races: of independent times with these rates, the first numSamples to end (Efraimidis and Spirakis, 2006).
  const times = rand([...rows, n], place)
    .neg()
    .log1p()
    .neg()
    .clampMin(1e-30);
  return topk(weights.div(times), numSamples).indices;
}
