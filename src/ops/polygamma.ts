/** The derivatives of digamma, by the Hurwitz zeta function. */

import { describeValue } from "../args.ts";
import { record } from "../autograd/tape.ts";
import { isFloat, type DType } from "../dtype.ts";
import { ArgumentError } from "../errors.ts";
import type { Builder, Value } from "../graph/builder.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, checkTensor, mapOp } from "./apply.ts";
import { unary } from "./elementwise.ts";

/** B(2j) / (2j)! for j = 1, 2, ..., of Bernoulli's numbers. */
const BERNOULLI = [1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000];

/** Highest derivative that may be asked for: beyond, n! leaves float32 far behind and float64 soon. */
const MOST = 100;

/** Terms that are added up one by one before the asymptotic series takes over. */
const TERMS = 20;

/**
 * zeta(s, q), the sum over k of (q + k)^-s, for an integer s of at least 2: the first terms, then Euler and Maclaurin's formula.
 * Good for q above -10.
 */
function hurwitz(b: Builder, s: number, q: Value): Value {
  const one = b.lit(1, q);
  const power = (x: Value, n = s): Value => {
    if (n === 1) return x;
    const half = power(x, Math.floor(n / 2));
    const square = b.mul(half, half);
    return n % 2 === 0 ? square : b.mul(square, x);
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
  let result = 1;
  for (let i = 2; i <= n; i++) result *= i;
  return result;
}

/** The `n`-th derivative of `digamma` for each element (`torch.special.polygamma`). `n` is an integer from 0 to 100. */
export function polygamma(n: number, input: Tensor): Tensor {
  if (!Number.isInteger(n) || n < 0 || n > MOST)
    throw new ArgumentError(`polygamma: n must be an integer from 0 to ${MOST}, got ${describeValue(n)}`);
  checkTensor("polygamma", "input", input);
  return derivative(n, input);
}

function derivative(n: number, input: Tensor): Tensor {
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
  if (isFloat(from)) record("PolygammaBackward0", out, [[input, [input], (g, x) => g.mul(derivative(n + 1, x))]]);
  return out;
}
