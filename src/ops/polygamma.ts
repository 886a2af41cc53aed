/** The derivatives of digamma, by the Hurwitz zeta function. */

import { record } from "../autograd/tape.ts";
import { isFloat, type DType } from "../dtype.ts";
import { ArgumentError } from "../errors.ts";
import type { Builder, Value } from "../graph/builder.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, mapOp } from "./apply.ts";
import { unary } from "./elementwise.ts";

/** B(2j) / (2j)! for j = 1, 2, ..., of Bernoulli's numbers. */
const BERNOULLI = [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000];

/** Terms that are added up one by one before the asymptotic series takes over. */
const TERMS = 20;

/**
 * zeta(s, q), the sum over k of (q + k)^-s, for an integer s of at least 2: the first terms, then Euler and Maclaurin's formula.
 * Good for q above -10.
 */
function hurwitz(b: Builder, s: number, q: Value): Value {
  const one = b.lit(1, q);
  const power = (x: Value): Value => {
    let result = x;
    for (let i = 1; i < s; i++) result = b.mul(result, x);
    return result;
  };
  let sum = b.lit(0, q);
  let w = q;
  for (let k = 0; k < TERMS; k++) {
    sum = b.add(sum, b.div(one, power(w)));
    w = b.add(w, one);
  }
  const r = b.div(one, w);
  const lead = b.div(one, power(w));
  sum = b.add(sum, b.mul(lead, b.add(b.div(w, b.lit(s - 1, q)), b.lit(0.5, q))));
  let term = b.mul(lead, r);
  let factor = s;
  BERNOULLI.forEach((coefficient, j) => {
    sum = b.add(sum, b.mul(b.lit(coefficient * factor, q), term));
    factor *= (s + 2 * j + 1) * (s + 2 * j + 2);
    term = b.mul(term, b.mul(r, r));
  });
  return sum;
}

function factorial(n: number): number {
  return n <= 1 ? 1 : n * factorial(n - 1);
}

/** The `n`-th derivative of `digamma` for each element (`torch.special.polygamma`). `n` is an integer of at least 0. */
export function polygamma(n: number, input: Tensor): Tensor {
  if (!Number.isInteger(n) || n < 0)
    throw new ArgumentError(`polygamma: n must be an integer of at least 0, got ${String(n)}`);
  if (n === 0) return unary("digamma", input);
  if (n === 1) return unary("trigamma", input);
  const from = input.dtype;
  const dtype: DType = isFloat(from) ? from : "float32";
  const scale = (n % 2 === 0 ? -1 : 1) * factorial(n);
  const op = mapOp(`polygamma${n}:${from}`, 80 + TERMS * n, (b, [x]) => {
    const q = b.convert(x!, from, dtype);
    return b.mul(b.lit(scale, q), hurwitz(b, n + 1, q));
  });
  const out = applyNode(input.impl.backend, op, input.shape, dtype, [argOf(input)]);
  if (isFloat(from)) record("PolygammaBackward0", out, [[input, [input], (g, x) => g.mul(polygamma(n + 1, x))]]);
  return out;
}
