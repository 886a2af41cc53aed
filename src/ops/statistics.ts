/** Statistics, differences and integrals. */

import { checkInteger, describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { isGradEnabled } from "../autograd/mode.ts";
import { record } from "../autograd/tape.ts";
import { isFloat, type DType } from "../dtype.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { checkFloating, checkTensor, isTensor, wrapDim } from "./apply.ts";
import { cat } from "./join.ts";
import { named, type Dims, type Named } from "./reduce.ts";

const AMINMAX = signature<{ dim?: number | null; keepdim?: boolean }>()("aminmax", [], ["dim", "keepdim"]);

/** Smallest and largest element, of all or along `dim`: `{ min, max }`. */
export function aminmax(input: Tensor, ...args: ArgsOf<typeof AMINMAX>): Named<"min" | "max"> {
  const { dim = null, keepdim = false } = parse(AMINMAX, args, input);
  return named([input.amin(dim, keepdim), input.amax(dim, keepdim)], ["min", "max"]);
}

const NANMEAN = signature<{ dim?: Dims; keepdim?: boolean; dtype?: DType | null }>()(
  "nanmean",
  ["dim", "keepdim"],
  ["dtype"],
);

/** Mean of the elements that are not NaN. */
export function nanmean(input: Tensor, ...args: ArgsOf<typeof NANMEAN>): Tensor {
  const { dim = null, keepdim = false, dtype } = parse(NANMEAN, args, input);
  checkFloating("nanmean", input);
  const factor = input.detach().isnan().logicalNot().sum(dim, keepdim);
  return input.nansum(dim, keepdim, { dtype: dtype ?? null }).div(factor);
}

const COV = signature<{ correction?: number; fweights?: Tensor | null; aweights?: Tensor | null }>()(
  "cov",
  [],
  ["correction", "fweights", "aweights"],
);

/** Covariance matrix of variables (rows) and observations (columns); weights by frequency or by importance. */
export function cov(input: Tensor, ...args: ArgsOf<typeof COV>): Tensor {
  const { correction = 1, fweights = null, aweights = null } = parse(COV, args, input);
  checkInteger("cov", "correction", correction);
  if (input.dim() > 2)
    throw new ShapeError(
      `cov: expected input to have two or fewer dimensions but got an input with ${input.dim()} dimensions`,
    );
  const x = input.dim() < 2 ? input.reshape([1, -1]) : input;
  const n = x.shape[1]!;
  for (const [what, w] of [
    ["fweights", fweights],
    ["aweights", aweights],
  ] as const)
    if (w !== null && (w.dim() > 1 || w.numel() !== n))
      throw new ShapeError(`cov: expected ${what} to have ${n} elements in one dimension, got ${showShape(w.shape)}`);
  const weights = fweights === null ? aweights : aweights === null ? fweights : fweights.mul(aweights);
  const w = weights === null ? null : weights.to(x.dtype);
  const total = w === null ? null : w.sum();
  const mean = w === null || total === null ? x.sum(1, true).div(n) : x.mul(w).sum(1, true).div(total);
  const centered = x.sub(mean);
  const weighted = w === null ? centered : centered.mul(w);
  let freedom: Tensor | number;
  if (w === null || total === null) freedom = Math.max(n - correction, 0);
  else if (aweights === null || correction === 0) freedom = total.sub(correction).clampMin(0);
  else {
    const spread = w.mul(aweights.to(x.dtype)).sum().div(total);
    freedom = total.sub(spread.mul(correction)).clampMin(0);
  }
  const out = weighted.matmul(centered.t()).div(freedom);
  return x.shape[0] === 1 ? out.reshape([]) : out;
}

/** Correlation coefficients of variables (rows), kept within -1 and 1. */
export function corrcoef(input: Tensor): Tensor {
  checkTensor("corrcoef", "input", input);
  const c = cov(input);
  if (c.dim() === 0) return c.div(c);
  const deviation = c.diagonal().sqrt();
  return c.div(deviation.unsqueeze(1)).div(deviation.unsqueeze(0)).clamp(-1, 1);
}

/** Sum of the diagonal of a matrix. */
export function trace(input: Tensor): Tensor {
  checkTensor("trace", "input", input);
  if (input.dim() !== 2) throw new ShapeError(`trace: expected a matrix, but got tensor with dim ${input.dim()}`);
  return input.diagonal().sum();
}

const DIFF = signature<{ n?: number; dim?: number; prepend?: Tensor | null; append?: Tensor | null }>()("diff", [
  "n",
  "dim",
  "prepend",
  "append",
]);

/** Differences of neighbours along a dimension, `n` times over. */
export function diff(input: Tensor, ...args: ArgsOf<typeof DIFF>): Tensor {
  const { n = 1, dim: given = -1, prepend = null, append = null } = parse(DIFF, args, input);
  if (input.dim() === 0) throw new ShapeError("diff: expects input to be at least one-dimensional");
  if (!Number.isInteger(n) || n < 0)
    throw new ArgumentError(`diff: order must be non-negative but got ${describeValue(n)}`);
  const dim = wrapDim("diff", given, input.dim());
  const parts = [prepend, input, append].filter((t) => t !== null);
  let x = parts.length === 1 ? input : cat(parts, dim);
  for (let i = 0; i < Math.min(n, x.shape[dim]!) || (i < n && x.shape[dim]! > 0); i++) {
    const size = x.shape[dim]!;
    if (size <= 1) return x.narrow(dim, 0, 0);
    const [later, earlier] = [x.narrow(dim, 1, size - 1), x.narrow(dim, 0, size - 1)];
    x = x.dtype === "bool" ? later.logicalXor(earlier) : later.sub(earlier);
  }
  return x;
}

/** Widths of the steps of `x` along a dimension, shaped to multiply with `y`'s. */
function widths(op: string, y: Tensor, x: Tensor, dim: number): Tensor {
  const steps = diff(x, { dim: x.dim() === 1 ? 0 : dim });
  if (x.dim() !== 1) return steps;
  if (x.shape[0] !== y.shape[dim])
    throw new ShapeError(
      `${op}: there must be one x value for each sample point, got ${x.shape[0]} for ${y.shape[dim]}`,
    );
  return steps.reshape(y.shape.map((_, d) => (d === dim ? -1 : 1)));
}

const TRAPEZOID = signature<{ x?: Tensor | number | null; dx?: number; dim?: number }>()(
  "trapezoid",
  ["x"],
  ["dx", "dim"],
);

function trapezoids(op: string, y: Tensor, args: ArgsOf<typeof TRAPEZOID>): { areas: Tensor; dim: number } {
  const { x: given = null, dx = 1, dim: at = -1 } = parse({ ...TRAPEZOID, name: op }, args, y);
  if (given !== null && typeof given !== "number") checkTensor(op, "x", given);
  if (y.dim() === 0) throw new ShapeError(`${op}: expects at least one dimension`);
  const source = isFloat(y.dtype) ? y : y.to("float32");
  const dim = wrapDim(op, at, y.dim());
  const n = y.shape[dim]!;
  const pairs = Math.max(n - 1, 0);
  const sum = source.narrow(dim, Math.min(1, n), pairs).add(source.narrow(dim, 0, pairs));
  const step = isTensor(given) ? widths(op, source, given, dim) : (given ?? dx);
  return { areas: sum.mul(step).div(2), dim };
}

/** The integral of samples along a dimension by the trapezoidal rule, at distances `dx` (1) or positions `x`. */
export function trapezoid(y: Tensor, ...args: ArgsOf<typeof TRAPEZOID>): Tensor {
  const { areas, dim } = trapezoids("trapezoid", y, args);
  return areas.sum(dim);
}

/** Running integrals by the trapezoidal rule. */
export function cumulativeTrapezoid(y: Tensor, ...args: ArgsOf<typeof TRAPEZOID>): Tensor {
  const { areas, dim } = trapezoids("cumulativeTrapezoid", y, args);
  return areas.cumsum(dim);
}

const LOGCUMSUMEXP = signature<{ dim: number }>()("logcumsumexp", ["dim"]);

/** Logarithms of the sums of the exponentials up to and including each element, along a dimension. */
export function logcumsumexp(input: Tensor, ...args: ArgsOf<typeof LOGCUMSUMEXP>): Tensor {
  checkFloating("logcumsumexp", input);
  const dim = wrapDim("logcumsumexp", parse(LOGCUMSUMEXP, args, input).dim, input.dim());
  if (input.dim() === 0 || input.numel() === 0) return input.clone();
  const out = runningLogSum(input.detach(), dim);
  record("LogcumsumexpBackward0", out, [[input, [input, out], (g, x, y) => logcumsumexpSlope(g, x, y, dim)]]);
  return out;
}

/** Every prefix has its own largest element: sums of 1, 2, 4, ... elements are joined, each by its own. */
function runningLogSum(x: Tensor, dim: number): Tensor {
  const n = x.shape[dim]!;
  let sums = x;
  for (let reach = 1; reach < n; reach *= 2) {
    const [late, early] = [sums.narrow(dim, reach, n - reach), sums.narrow(dim, 0, n - reach)];
    sums = cat([sums.narrow(dim, 0, reach), late.logaddexp(early)], dim);
  }
  return sums === x ? x.clone() : sums;
}

/** x_i contributes exp(x_i) sum over j >= i of g_j exp(-y_j), which is computed in logarithms, for either sign of g; nothing where y_j is -infinity. */
function logcumsumexpSlope(g: Tensor, x: Tensor, y: Tensor, dim: number): Tensor {
  if (isGradEnabled()) return logcumsumexpSlopeByRows(g, x, y, dim);
  const isEmpty = y.eq(-Infinity);
  const part = (of: Tensor): Tensor => {
    const terms = of.clampMin(0).log().sub(y).maskedFill(isEmpty, -Infinity);
    return runningLogSum(terms.flip(dim), dim).flip(dim).add(x).exp();
  };
  return part(g).sub(part(g.neg()));
}

/**
 * The same by the softmax of every prefix, a matrix of n by n, which is differentiable where g is zero; used only where the gradient is to be
 * differentiated again.
 */
function logcumsumexpSlopeByRows(g: Tensor, x: Tensor, y: Tensor, dim: number): Tensor {
  const rows = x.movedim(dim, -1);
  const n = rows.shape.at(-1)!;
  const prefixes = rows.unsqueeze(-2).expand([...rows.shape.slice(0, -1), n, n]);
  const later = x.detach().newOnes([n, n]).triu(1).ne(0);
  const isEmpty = y.detach().movedim(dim, -1).eq(-Infinity).unsqueeze(-1);
  const shares = prefixes.maskedFill(later, -Infinity).maskedFill(isEmpty, 0).softmax(-1).maskedFill(isEmpty, 0);
  return shares.mul(g.movedim(dim, -1).unsqueeze(-1)).sum(-2).movedim(-1, dim);
}

const ISCLOSE = signature<{ other: Tensor; rtol?: number; atol?: number; equalNan?: boolean }>()("isclose", [
  "other",
  "rtol",
  "atol",
  "equalNan",
]);

/** True where `|input - other| <= atol + rtol |other|`; infinities are close to themselves, NaN only with `equalNan`. */
export function isclose(input: Tensor, ...args: ArgsOf<typeof ISCLOSE>): Tensor {
  const { other, rtol = 1e-5, atol = 1e-8, equalNan = false } = parse(ISCLOSE, args, input);
  checkTensor("isclose", "other", other);
  if (!(rtol >= 0) || !(atol >= 0))
    throw new ArgumentError(
      `isclose: rtol and atol must be greater than or equal to zero, but got ${describeValue(rtol)} and ${describeValue(atol)}`,
    );
  let close = input.eq(other);
  if (isFloat(input.dtype) && equalNan) close = close.logicalOr(input.isnan().logicalAnd(other.isnan()));
  if (rtol === 0 && atol === 0) return close;
  const asFloat = (t: Tensor): Tensor => (isFloat(t.dtype) ? t : t.to("float32"));
  const [x, y] = [asFloat(input), asFloat(other)];
  const error = x.sub(y).abs();
  return close.logicalOr(error.isfinite().logicalAnd(error.le(y.mul(rtol).abs().add(atol))));
}
