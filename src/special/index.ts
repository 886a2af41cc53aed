/** `tg.special`: what `torch.special` offers. Functions of one operand keep the shape; integers become float32. */

import { unary } from "../ops/elementwise.ts";
import type { Tensor } from "../tensor.ts";

export {
  digamma,
  digamma as psi,
  erf,
  erfc,
  erfinv,
  exp2,
  expm1,
  i0,
  lgamma as gammaln,
  log1p,
  sigmoid as expit,
  sinc,
} from "../functions/unary.ts";
export { logit, mvlgamma as multigammaln, xlog1py, xlogy } from "../ops/special.ts";
export { logSoftmax, softmax } from "../ops/composite/softmax.ts";
export { logsumexp } from "../ops/reduce.ts";
export { polygamma } from "../ops/polygamma.ts";
export { round } from "../ops/round.ts";

/** -x log x for each element: 0 at 0, and -infinity below. */
export function entr(input: Tensor): Tensor {
  return unary("entr", input);
}

/** exp(x^2) erfc(x) for each element. */
export function erfcx(input: Tensor): Tensor {
  return unary("erfcx", input);
}

/** exp(-|x|) i0(x) for each element. */
export function i0e(input: Tensor): Tensor {
  return unary("i0e", input);
}

/** Modified Bessel function of order 1 for each element. */
export function i1(input: Tensor): Tensor {
  return unary("i1", input);
}

/** exp(-|x|) i1(x) for each element. */
export function i1e(input: Tensor): Tensor {
  return unary("i1e", input);
}

/** The normal distribution's integral from -infinity to each element. */
export function ndtr(input: Tensor): Tensor {
  return unary("ndtr", input);
}

/** log(ndtr(x)) for each element, also where ndtr(x) is zero. */
export function logNdtr(input: Tensor): Tensor {
  return unary("logNdtr", input);
}

/** The number whose `ndtr` is the element. */
export function ndtri(input: Tensor): Tensor {
  return unary("ndtri", input);
}
