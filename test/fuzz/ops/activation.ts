/** Activation functions, from their formulas. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, shape, tensorOf, type Given } from "../given.ts";
import { alongLines, convert, elementwise, get, isFloat, make, refuse, wrap, type Model } from "../model.ts";
import { dimension, form, perhaps, type Generator, type Table } from "../sample.ts";

const TYPES: readonly DType[] = ["float32", "float64", "float32", "int32"];

interface Parameter {
  readonly name: string;
  readonly otherwise: number;
  readonly among: readonly number[];
  /** False for an argument that has to be given. */
  readonly optional?: boolean;
}

/** A function of each element of a floating tensor and some numbers. */
function pointwise(
  f: (x: number, ...parameters: number[]) => number,
  parameters: readonly Parameter[] = [],
  options: { loose?: number; check?: (...parameters: number[]) => void } = {},
): Generator {
  return (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, TYPES), values: dice.pick(["plain", "plain", "unit", "special"]) });
    const given = parameters.map((p) =>
      p.optional === false ? dice.pick(p.among) : perhaps(dice, 0.5, () => dice.pick(p.among)),
    );
    return form(
      dice,
      [x],
      parameters.map((p) => p.name),
      Object.fromEntries(parameters.map((p, i) => [p.name, given[i]])),
      () => {
        if (!isFloat(x.dtype)) refuse("integers");
        // The library computes in the tensor's dtype, numbers included.
        const numbers = parameters.map((p, i) => given[i] ?? p.otherwise);
        options.check?.(...numbers);
        const held = numbers.map((n) => convert("float64", x.dtype, n));
        return elementwise([x], x.dtype, x.dtype, (v) => f(v, ...held));
      },
      { loose: options.loose ?? 3 },
    );
  };
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const elu = (x: number, alpha: number, scale: number, inside: number): number =>
  x > 0 ? scale * x : alpha * scale * Math.expm1(x * inside);
const alpha = (among: readonly number[]): Parameter => ({ name: "alpha", otherwise: 1, among });
const lambda = (among: readonly number[]): Parameter => ({ name: "lambd", otherwise: 0.5, among });
const within = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const sixth = (x: number): number => within(x + 3, 0, 6);

/** Rows of random shape with an axis to work along. */
function lines(dice: Dice, dtypes: readonly DType[] = TYPES): { x: Given; dim: number } {
  const x = tensorOf(dice, { dtype: dtype(dice, dtypes), values: "plain" });
  return { x, dim: dimension(dice, x.shape.length) };
}

function softmaxOf(values: readonly number[]): number[] {
  const top = Math.max(...values);
  const e = values.map((v) => Math.exp(v - top));
  const total = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / total);
}

/** Whether lines are distributions: not negative, and one altogether. */
function distributions(result: Model, dim: number, hard: boolean): string | null {
  if (result.data.length === 0) return null;
  const sums = alongLines(result, dim, "float64", (values) => [values.reduce((a, b) => a + b, 0)], 1);
  if (sums.data.some((s) => Math.abs(s - 1) > 1e-4)) return `a distribution sums to ${sums.data.join()}`;
  const wrong = result.data.find((v) => !(v >= 0 && v <= 1.00001) || (hard && v > 1e-5 && v < 1 - 1e-5));
  return wrong === undefined ? null : `${wrong} is no ${hard ? "one-hot element" : "probability"}`;
}

/** Activation functions. */
export const ACTIVATIONS: Table = {
  leakyRelu: pointwise(
    (x, s) => (x > 0 ? x : x * s),
    [{ name: "negativeSlope", otherwise: 0.01, among: [0, 0.5, -1, 2] }],
  ),
  elu: pointwise((x, a) => elu(x, a, 1, 1), [alpha([1, 0.5, 2, 0])]),
  celu: pointwise((x, a) => elu(x, a, 1, 1 / a), [alpha([1, 0.5, 2, 2, 0])], {
    check: (a) => a === 0 && refuse("alpha"),
  }),
  selu: pointwise((x) => elu(x, 1.6732632423543772, 1.0507009873554805, 1)),
  hardtanh: pointwise(within, [
    { name: "minVal", otherwise: -1, among: [-1, -2.5, 0] },
    { name: "maxVal", otherwise: 1, among: [1, 2, 0.5] },
  ]),
  relu6: pointwise((x) => within(x, 0, 6)),
  hardsigmoid: pointwise((x) => sixth(x) / 6),
  hardswish: pointwise((x) => (x * sixth(x)) / 6),
  softplus: pointwise(
    (x, beta, limit) => (x * beta > limit ? x : Math.log1p(Math.exp(x * beta)) / beta),
    [
      { name: "beta", otherwise: 1, among: [1, 2, 0.5] },
      { name: "threshold", otherwise: 20, among: [20, 1, 3] },
    ],
  ),
  mish: pointwise((x) => x * Math.tanh(Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))))),
  logsigmoid: pointwise((x) => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)))),
  softsign: pointwise((x) => x / (1 + Math.abs(x))),
  tanhshrink: pointwise((x) => x - Math.tanh(x)),
  hardshrink: pointwise((x, l) => (Math.abs(x) <= l ? 0 : x), [lambda([0.5, 1, 0, 2.25])]),
  softshrink: pointwise(
    (x, l) => (x > l ? x - l : x < -l ? x + l : Number.isNaN(x) ? NaN : 0),
    [lambda([0.5, 1, 0, 2.25, -1])],
    {
      check: (l) => l < 0 && refuse("lambd"),
    },
  ),
  threshold: pointwise(
    (x, limit, v) => (x <= limit ? v : x),
    [
      { name: "threshold", otherwise: 0, among: [0, 1, -0.5], optional: false },
      { name: "value", otherwise: 0, among: [0, -3, 20], optional: false },
    ],
  ),
  glu: (dice) => {
    const even = dice.chance(0.8);
    const size = shape(dice, even ? 1 : 0, 4);
    const given = perhaps(dice, 0.7, () => dimension(dice, size.length));
    const at = given === undefined ? size.length - 1 : given < 0 ? given + size.length : given;
    const x = tensorOf(dice, {
      shape: even && at >= 0 && at < size.length ? size.with(at, dice.int(0, 3) * 2) : size,
      dtype: dtype(dice, TYPES),
      values: "plain",
    });
    return form(dice, [x], ["dim"], { dim: given }, () => {
      if (!isFloat(x.dtype) || x.shape.length === 0) refuse("scalars and integers");
      const d = wrap(given ?? -1, x.shape.length);
      const n = x.shape[d]!;
      if (n % 2 !== 0) refuse("odd");
      return make(x.shape.with(d, n / 2), x.dtype, (c) => get(x, c) * sigmoid(get(x, c.with(d, c[d]! + n / 2))));
    });
  },
  prelu: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, TYPES), values: "plain" });
    const channels = x.shape.length < 2 ? 1 : x.shape[1]!;
    const size = dice.chance(0.05) ? [channels + 1] : dice.chance(0.4) ? (dice.chance(0.5) ? [] : [1]) : [channels];
    const weight = tensorOf(dice, { shape: size, dtype: x.dtype, values: "plain" });
    return form(dice, [x], ["weight"], { weight }, () => {
      const n = weight.data.length;
      if (!isFloat(x.dtype) || (n !== 1 && n !== channels)) refuse("channels");
      return make(x.shape, x.dtype, (c) => {
        const v = get(x, c);
        return v > 0 ? v : weight.data[n === 1 ? 0 : c[1]!]! * v;
      });
    });
  },
  rrelu: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, TYPES), values: "plain" });
    const lower = perhaps(dice, 0.5, () => dice.pick([0.125, 0.25, -0.5]));
    const upper = perhaps(dice, 0.5, () => dice.pick([0.5, 0.25, 1]));
    const training = perhaps(dice, 0.5, () => dice.chance(0.5));
    const [low, high] = [lower ?? 1 / 8, upper ?? 1 / 3];
    const values = { lower, upper, training };
    if (isFloat(x.dtype) && training === true && low <= high)
      return form(dice, [x], ["lower", "upper", "training"], values, null, {
        check: ([out]) => {
          const wrong = out!.data.findIndex((y, i) => {
            const v = x.data[i]!;
            return v > 0 ? y !== v : !(y >= v * high - 1e-5 && y <= v * low + 1e-5);
          });
          return wrong < 0 ? null : `element ${wrong} is ${out!.data[wrong]} for ${x.data[wrong]}`;
        },
      });
    return form(dice, [x], ["lower", "upper", "training"], values, () => {
      if (!isFloat(x.dtype) || low > high) refuse("bounds");
      return elementwise([x], x.dtype, x.dtype, (v) => (v > 0 ? v : (v * (low + high)) / 2));
    });
  },
  softmin: (dice) => {
    const { x, dim } = lines(dice);
    return form(dice, [x], ["dim"], { dim }, () => {
      const d = wrap(dim, x.shape.length);
      if (!isFloat(x.dtype)) refuse("integers");
      return alongLines(x, d, x.dtype, (values) => softmaxOf(values.map((v) => -v)));
    });
  },
  gumbelSoftmax: (dice) => {
    const { x, dim: drawn } = lines(dice);
    const dim = perhaps(dice, 0.7, () => drawn);
    const tau = perhaps(dice, 0.5, () => dice.pick([1, 0.5, 2]));
    const hard = perhaps(dice, 0.5, () => dice.chance(0.5));
    const rank = Math.max(x.shape.length, 1);
    const valid = isFloat(x.dtype) && (dim === undefined || (dim >= -rank && dim < rank));
    const d = dim === undefined ? rank - 1 : dim < 0 ? dim + rank : dim;
    return form(
      dice,
      [x],
      ["tau", "hard"],
      { tau, hard, dim },
      valid ? null : () => refuse("integers, or the dimension"),
      // The largest of nothing is refused, as in PyTorch.
      { check: ([out]) => distributions(out!, d, hard === true), mayRefuse: x.data.length === 0 },
    );
  },
};
