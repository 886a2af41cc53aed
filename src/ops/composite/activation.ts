/** Activation functions. Each is one fused expression with PyTorch's derivative. */

import { describeValue, parse, signature, type ArgsOf } from "../../args.ts";
import { record } from "../../autograd/tape.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import type { Builder, Value } from "../../graph/builder.ts";
import { showShape } from "../../graph/view.ts";
import { randLike } from "../../random.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, checkTensor, wrapDim } from "../apply.ts";
import { elementwise } from "../elementwise.ts";
import { softmax } from "./softmax.ts";

/** An elementwise function of a floating tensor and some numbers, with its derivative. */
function activation(
  name: string,
  backward: string,
  input: Tensor,
  numbers: readonly number[],
  cost: number,
  lower: (k: Builder, x: Value, numbers: readonly Value[]) => Value,
  slope: (g: Tensor, x: Tensor) => Tensor,
): Tensor {
  checkTensor(name, "input", input);
  checkFloating(name, input);
  for (const n of numbers)
    if (typeof n !== "number") throw new ArgumentError(`${name}: expected a number, got ${String(n)}`);
  const { dtype } = input;
  const out = elementwise(name, cost, [input, ...numbers], dtype, dtype, (k, [x, ...rest]) => lower(k, x!, rest));
  record(backward, out, [[input, [input], slope]]);
  return out;
}

function positive(k: Builder, x: Value): Value {
  return k.compare("gt", x, k.lit(0, x));
}

const LEAKY = signature<{ negativeSlope?: number }>()("leakyRelu", ["negativeSlope"]);

/** `x` where it is positive, else `negativeSlope * x` (0.01 by default). */
export function leakyRelu(input: Tensor, ...args: ArgsOf<typeof LEAKY>): Tensor {
  const { negativeSlope = 0.01 } = parse(LEAKY, args, input);
  return activation(
    "leakyRelu",
    "LeakyReluBackward0",
    input,
    [negativeSlope],
    2,
    (k, x, [s]) => k.select(positive(k, x), x, k.mul(x, s!)),
    (g, x) => x.gt(0).where(g, g.mul(negativeSlope)),
  );
}

/** `scale * (x > 0 ? x : alpha * (exp(x * inputScale) - 1))`, PyTorch's common form of ELU, CELU and SELU. */
function elus(name: string, input: Tensor, alpha: number, scale: number, inputScale: number): Tensor {
  return activation(
    name,
    "EluBackward0",
    input,
    [alpha * scale, scale, inputScale],
    7,
    (k, x, [a, s, i]) => k.select(positive(k, x), k.mul(x, s!), k.mul(a!, k.un("expm1", k.mul(x, i!)))),
    (g, x) =>
      x.gt(0).where(
        g.mul(scale),
        g.mul(
          x
            .clampMax(0)
            .mul(inputScale)
            .exp()
            .mul(alpha * scale * inputScale),
        ),
      ),
  );
}

const ELU = signature<{ alpha?: number }>()("elu", ["alpha"]);
const CELU = signature<{ alpha?: number }>()("celu", ["alpha"]);

/** `x` where it is positive, else `alpha * (exp(x) - 1)`. */
export function elu(input: Tensor, ...args: ArgsOf<typeof ELU>): Tensor {
  return elus("elu", input, parse(ELU, args, input).alpha ?? 1, 1, 1);
}

/** `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`. */
export function celu(input: Tensor, ...args: ArgsOf<typeof CELU>): Tensor {
  const alpha = parse(CELU, args, input).alpha ?? 1;
  if (alpha === 0) throw new ArgumentError("celu: alpha cannot be 0, as it divides");
  return elus("celu", input, alpha, 1, 1 / alpha);
}

/** Klambauer and others' self-normalising constants (2017). */
const SELU_ALPHA = 1.6732632423543772;
const SELU_SCALE = 1.0507009873554805;

/** ELU with the constants that keep mean 0 and variance 1. */
export function selu(input: Tensor): Tensor {
  return elus("selu", input, SELU_ALPHA, SELU_SCALE, 1);
}

const HARDTANH = signature<{ minVal?: number; maxVal?: number }>()("hardtanh", ["minVal", "maxVal"]);

/** Clamped to `minVal` (-1) and `maxVal` (1). */
export function hardtanh(input: Tensor, ...args: ArgsOf<typeof HARDTANH>): Tensor {
  const { minVal = -1, maxVal = 1 } = parse(HARDTANH, args, input);
  return clamped(input, minVal, maxVal);
}

/** `min(max(x, 0), 6)`. */
export function relu6(input: Tensor): Tensor {
  return clamped(input, 0, 6);
}

function clamped(input: Tensor, low: number, high: number): Tensor {
  return activation(
    "hardtanh",
    "HardtanhBackward0",
    input,
    [low, high],
    2,
    (k, x, [a, b]) => k.bin("min", k.bin("max", x, a!), b!),
    (g, x) => g.maskedFill(x.le(low).logicalOr(x.ge(high)), 0),
  );
}

/** `min(max(x + 3, 0), 6) / 6`. */
export function hardsigmoid(input: Tensor): Tensor {
  return activation(
    "hardsigmoid",
    "HardsigmoidBackward0",
    input,
    [],
    4,
    (k, x) => {
      const shifted = k.add(x, k.lit(3, x));
      return k.div(k.bin("min", k.bin("max", shifted, k.lit(0, x)), k.lit(6, x)), k.lit(6, x));
    },
    (g, x) => g.div(6).maskedFill(x.le(-3).logicalOr(x.ge(3)), 0),
  );
}

/** `x * hardsigmoid(x)`. */
export function hardswish(input: Tensor): Tensor {
  return activation(
    "hardswish",
    "HardswishBackward0",
    input,
    [],
    5,
    (k, x) => {
      const shifted = k.add(x, k.lit(3, x));
      return k.div(k.mul(x, k.bin("min", k.bin("max", shifted, k.lit(0, x)), k.lit(6, x))), k.lit(6, x));
    },
    (g, x) => x.gt(3).where(g, g.mul(x.div(3).add(0.5)).maskedFill(x.lt(-3), 0)),
  );
}

const SOFTPLUS = signature<{ beta?: number; threshold?: number }>()("softplus", ["beta", "threshold"]);

/** `log(1 + exp(beta * x)) / beta`, and `x` itself where `beta * x` exceeds `threshold` (20). */
export function softplus(input: Tensor, ...args: ArgsOf<typeof SOFTPLUS>): Tensor {
  const { beta = 1, threshold: limit = 20 } = parse(SOFTPLUS, args, input);
  return activation(
    "softplus",
    "SoftplusBackward0",
    input,
    [beta, limit],
    12,
    (k, x, [s, t]) => {
      const z = k.mul(x, s!);
      return k.select(k.compare("gt", z, t!), x, k.div(k.un("log1p", k.un("exp", z)), s!));
    },
    (g, x) => {
      const z = x.mul(beta);
      return z.gt(limit).where(g, g.mul(z.sigmoid()));
    },
  );
}

/** `x * tanh(softplus(x))`. */
export function mish(input: Tensor): Tensor {
  return activation(
    "mish",
    "MishBackward0",
    input,
    [],
    18,
    (k, x) => {
      // log(1 + e^x) without overflow: max(x, 0) + log1p(e^-|x|).
      const soft = k.add(k.bin("max", x, k.lit(0, x)), k.un("log1p", k.un("exp", k.neg(k.un("abs", x)))));
      return k.mul(x, k.un("tanh", soft));
    },
    (g, x) => {
      const t = softplus(x).tanh();
      return g.mul(t.add(x.mul(x.sigmoid()).mul(t.square().neg().add(1))));
    },
  );
}

/** `log(1 / (1 + exp(-x)))`, exact at both ends. */
export function logsigmoid(input: Tensor): Tensor {
  return activation(
    "logsigmoid",
    "LogSigmoidBackward0",
    input,
    [],
    10,
    (k, x) => k.sub(k.bin("min", x, k.lit(0, x)), k.un("log1p", k.un("exp", k.neg(k.un("abs", x))))),
    (g, x) => g.mul(x.neg().sigmoid()),
  );
}

/** `x / (1 + |x|)`. */
export function softsign(input: Tensor): Tensor {
  checkFloating("softsign", input);
  return input.div(input.abs().add(1));
}

/** `x - tanh(x)`. */
export function tanhshrink(input: Tensor): Tensor {
  checkFloating("tanhshrink", input);
  return input.sub(input.tanh());
}

const HARDSHRINK = signature<{ lambd?: number }>()("hardshrink", ["lambd"]);
const SOFTSHRINK = signature<{ lambd?: number }>()("softshrink", ["lambd"]);

/** `x` where `|x| > lambd` (0.5), else 0. */
export function hardshrink(input: Tensor, ...args: ArgsOf<typeof HARDSHRINK>): Tensor {
  const { lambd = 0.5 } = parse(HARDSHRINK, args, input);
  return activation(
    "hardshrink",
    "HardshrinkBackward0",
    input,
    [lambd],
    2,
    (k, x, [l]) => k.select(k.compare("le", k.un("abs", x), l!), k.lit(0, x), x),
    (g, x) => g.maskedFill(x.abs().le(lambd), 0),
  );
}

/** `x` moved by `lambd` (0.5) towards zero, and zero where it would cross it. */
export function softshrink(input: Tensor, ...args: ArgsOf<typeof SOFTSHRINK>): Tensor {
  const { lambd = 0.5 } = parse(SOFTSHRINK, args, input);
  if (!(lambd >= 0))
    throw new ArgumentError(`softshrink: lambd must be greater or equal to 0, but found ${describeValue(lambd)}`);
  return activation(
    "softshrink",
    "SoftshrinkBackward0",
    input,
    [lambd],
    4,
    (k, x, [l]) => {
      // NaN is not within, and stays. (A compiler may take 0 * NaN for 0.)
      const outside = k.select(k.compare("lt", x, k.lit(0, x)), k.add(x, l!), k.sub(x, l!));
      return k.select(k.compare("le", k.un("abs", x), l!), k.lit(0, x), outside);
    },
    (g, x) => g.maskedFill(x.abs().le(lambd), 0),
  );
}

const THRESHOLD = signature<{ threshold: number; value: number }>()("threshold", ["threshold", "value"]);

/** `x` where it exceeds `threshold`, else `value`. */
export function threshold(input: Tensor, ...args: ArgsOf<typeof THRESHOLD>): Tensor {
  const { threshold: limit, value } = parse(THRESHOLD, args, input);
  return activation(
    "threshold",
    "ThresholdBackward0",
    input,
    [limit, value],
    1,
    (k, x, [t, v]) => k.select(k.compare("le", x, t!), v!, x),
    (g, x) => g.maskedFill(x.le(limit), 0),
  );
}

const GLU = signature<{ dim?: number }>()("glu", ["dim"]);

/** The first half along `dim` (the last by default) times the sigmoid of the second. */
export function glu(input: Tensor, ...args: ArgsOf<typeof GLU>): Tensor {
  checkFloating("glu", input);
  if (input.dim() === 0) throw new ShapeError("glu: does not support 0-dimensional tensors");
  const dim = wrapDim("glu", parse(GLU, args, input).dim ?? -1, input.dim());
  const n = input.shape[dim]!;
  if (n % 2 !== 0) throw new ShapeError(`glu: halving dimension must be even, but dimension ${dim} is size ${n}`);
  return input.narrow(dim, 0, n / 2).mul(input.narrow(dim, n / 2, n / 2).sigmoid());
}

const PRELU = signature<{ weight: Tensor }>()("prelu", ["weight"]);

/** `x` where it is positive, else `weight * x`; one weight, or one for each channel (dimension 1). */
export function prelu(input: Tensor, ...args: ArgsOf<typeof PRELU>): Tensor {
  const { weight } = parse(PRELU, args, input);
  checkFloating("prelu", input);
  checkTensor("prelu", "weight", weight);
  if (weight.dim() > 1)
    throw new ShapeError(
      `prelu: expected weight to be a scalar or 1D tensor, but got shape ${showShape(weight.shape)}`,
    );
  const channels = input.dim() < 2 ? 1 : input.shape[1]!;
  if (weight.numel() !== 1 && weight.numel() !== channels)
    throw new ShapeError(
      `prelu: Mismatch of parameter numbers and input channel size. Found parameter numbers = ${weight.numel()} and channel size = ${channels}.`,
    );
  const w = weight.numel() === 1 ? weight.reshape([]) : weight.reshape(input.shape.map((n, d) => (d === 1 ? n : 1)));
  return input.gt(0).where(input, w.mul(input));
}

const RRELU = signature<{ lower?: number; upper?: number; training?: boolean }>()("rrelu", [
  "lower",
  "upper",
  "training",
]);

/** Leaky ReLU whose slope is drawn for each element from [lower, upper) in training, and is their mean otherwise. */
export function rrelu(input: Tensor, ...args: ArgsOf<typeof RRELU>): Tensor {
  const { lower = 1 / 8, upper = 1 / 3, training = false } = parse(RRELU, args, input);
  if (!(lower <= upper)) throw new ArgumentError(`rrelu: lower ${describeValue(lower)} must not exceed upper ${upper}`);
  if (!training) return leakyRelu(input, (lower + upper) / 2);
  const slopes = randLike(input.detach())
    .mul(upper - lower)
    .add(lower);
  return input.gt(0).where(input, input.mul(slopes));
}

const SOFTMIN = signature<{ dim: number }>()("softmin", ["dim"]);

/** `softmax(-x)` along `dim`. */
export function softmin(input: Tensor, ...args: ArgsOf<typeof SOFTMIN>): Tensor {
  const { dim } = parse(SOFTMIN, args, input);
  return softmax(input.neg(), dim);
}

const GUMBEL = signature<{ tau?: number; hard?: boolean; eps?: number; dim?: number }>()("gumbelSoftmax", [
  "tau",
  "hard",
  "eps",
  "dim",
]);

/** Samples of a softmax distribution relaxed by Gumbel noise; with `hard` one-hot, with the soft sample's gradient. */
export function gumbelSoftmax(logits: Tensor, ...args: ArgsOf<typeof GUMBEL>): Tensor {
  const { tau = 1, hard = false, dim = -1 } = parse(GUMBEL, args, logits);
  // 1 - u is never zero, so the first logarithm is finite; the second is of a number that may be zero only for u = 0.
  const noise = randLike(logits.detach()).neg().add(1).log().neg().clampMin(1e-20).log().neg();
  const soft = softmax(logits.add(noise).div(tau), dim);
  if (!hard) return soft;
  const index = soft.detach().argmax(dim, true);
  const sharp = soft
    .detach()
    .zerosLike()
    .scatter(wrapDim("gumbelSoftmax", dim, logits.dim()), index, 1);
  return sharp.sub(soft.detach()).add(soft);
}
