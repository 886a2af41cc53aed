/** `tg.nn.init`: ways to fill parameters before training. Each changes the tensor in place, off the tape, and returns it. */

import { checkTensor } from "../ops/apply.ts";
import { checkInteger, describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { noGrad } from "../autograd/mode.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { numel, showShape } from "../graph/view.ts";
import { fromHost } from "../ops/creation.ts";
import { randn } from "../random.ts";
import type { Tensor } from "../tensor.ts";

/** Names that `calculateGain` knows. */
export type Nonlinearity =
  | "linear"
  | "conv1d"
  | "conv2d"
  | "conv3d"
  | "convTranspose1d"
  | "convTranspose2d"
  | "convTranspose3d"
  | "sigmoid"
  | "tanh"
  | "relu"
  | "leakyRelu"
  | "selu";

/** Factor by which a nonlinearity asks weights to be larger. `param` is the slope of `leakyRelu` (0.01). */
export function calculateGain(nonlinearity: Nonlinearity, param: number | null = null): number {
  switch (nonlinearity) {
    case "tanh":
      return 5 / 3;
    case "relu":
      return Math.SQRT2;
    case "leakyRelu":
      return Math.sqrt(2 / (1 + (param ?? 0.01) ** 2));
    case "selu":
      return 3 / 4;
    case "sigmoid":
    case "linear":
    case "conv1d":
    case "conv2d":
    case "conv3d":
    case "convTranspose1d":
    case "convTranspose2d":
    case "convTranspose3d":
      return 1;
    default:
      throw new ArgumentError(`calculateGain: unsupported nonlinearity ${String(nonlinearity)}`);
  }
}

const UNIFORM = signature<{ a?: number; b?: number }>()("uniform_", ["a", "b"]);
const NORMAL = signature<{ mean?: number; std?: number }>()("normal_", ["mean", "std"]);
const CONSTANT = signature<{ val: number }>()("constant_", ["val"]);
const DIRAC = signature<{ groups?: number }>()("dirac_", ["groups"]);
const XAVIER_UNIFORM = signature<{ gain?: number }>()("xavierUniform_", ["gain"]);
const XAVIER_NORMAL = signature<{ gain?: number }>()("xavierNormal_", ["gain"]);
const KAIMING_UNIFORM = signature<KaimingOptions>()("kaimingUniform_", ["a", "mode", "nonlinearity"]);
const KAIMING_NORMAL = signature<KaimingOptions>()("kaimingNormal_", ["a", "mode", "nonlinearity"]);
const TRUNC_NORMAL = signature<{ mean?: number; std?: number; a?: number; b?: number }>()("truncNormal_", [
  "mean",
  "std",
  "a",
  "b",
]);
const ORTHOGONAL = signature<{ gain?: number }>()("orthogonal_", ["gain"]);

/** Uniform numbers of [a, b). */
export function uniform_(tensor: Tensor, ...args: ArgsOf<typeof UNIFORM>): Tensor {
  const { a = 0, b = 1 } = parse(UNIFORM, args, tensor);
  return noGrad(() => tensor.uniform_(a, b));
}

/** Normal numbers. */
export function normal_(tensor: Tensor, ...args: ArgsOf<typeof NORMAL>): Tensor {
  const { mean = 0, std = 1 } = parse(NORMAL, args, tensor);
  return noGrad(() => tensor.normal_(mean, std));
}

/** One number everywhere. */
export function constant_(tensor: Tensor, ...args: ArgsOf<typeof CONSTANT>): Tensor {
  const { val } = parse(CONSTANT, args, tensor);
  return noGrad(() => tensor.fill_(val));
}

/** Ones. */
export function ones_(tensor: Tensor): Tensor {
  return constant_(tensor, 1);
}

/** Zeros. */
export function zeros_(tensor: Tensor): Tensor {
  return constant_(tensor, 0);
}

function fill(tensor: Tensor, values: Float64Array): Tensor {
  const wide = tensor.dtype === "float64";
  const source = fromHost(
    tensor.impl.backend,
    wide ? values : Float32Array.from(values),
    tensor.shape,
    wide ? "float64" : "float32",
  );
  return noGrad(() => tensor.copy_(source));
}

/** The identity matrix. */
export function eye_(tensor: Tensor): Tensor {
  checkTensor("eye_", "tensor", tensor);
  if (tensor.dim() !== 2)
    throw new ShapeError(`eye_: only tensors with 2 dimensions are supported, got ${showShape(tensor.shape)}`);
  const [rows, columns] = tensor.shape as [number, number];
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < Math.min(rows, columns); i++) values[i * columns + i] = 1;
  return fill(tensor, values);
}

/** Convolution weights that pass their input on, in each of `groups`. */
export function dirac_(tensor: Tensor, ...args: ArgsOf<typeof DIRAC>): Tensor {
  const { groups = 1 } = parse(DIRAC, args, tensor);
  if (checkInteger("dirac_", "groups", groups) < 1)
    throw new ArgumentError(`dirac_: groups must be positive, got ${groups}`);
  const { shape } = tensor;
  if (shape.length < 3 || shape.length > 5 || shape[0]! % groups !== 0)
    throw new ShapeError(
      `dirac_: only 3 to 5 dimensions, the first divisible by groups, are supported, got ${showShape(shape)}`,
    );
  const values = new Float64Array(numel(shape));
  const taps = numel(shape.slice(2));
  let middle = 0;
  for (const n of shape.slice(2)) middle = middle * n + Math.floor(n / 2);
  const perGroup = shape[0]! / groups;
  for (let g = 0; g < groups; g++)
    for (let d = 0; d < Math.min(perGroup, shape[1]!); d++)
      values[((g * perGroup + d) * shape[1]! + d) * taps + middle] = 1;
  return fill(tensor, values);
}

/** Inputs and outputs of one unit of a weight [out, in, ...kernel]. */
export function calculateFans(tensor: Tensor): {
  /** Inputs that one output depends on. */
  fanIn: number;
  /** Outputs that one input has a part in. */
  fanOut: number;
} {
  checkTensor("calculateFans", "tensor", tensor);
  if (tensor.dim() < 2)
    throw new ShapeError(
      `fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got ${showShape(tensor.shape)}`,
    );
  const field = numel(tensor.shape.slice(2));
  return { fanIn: tensor.shape[1]! * field, fanOut: tensor.shape[0]! * field };
}

/** Uniform numbers with the variance `gain^2 * 2 / (fanIn + fanOut)` (Glorot and Bengio, 2010). */
export function xavierUniform_(tensor: Tensor, ...args: ArgsOf<typeof XAVIER_UNIFORM>): Tensor {
  const { gain = 1 } = parse(XAVIER_UNIFORM, args, tensor);
  const { fanIn, fanOut } = calculateFans(tensor);
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut));
  return uniform_(tensor, -bound, bound);
}

/** Normal numbers with the variance `gain^2 * 2 / (fanIn + fanOut)`. */
export function xavierNormal_(tensor: Tensor, ...args: ArgsOf<typeof XAVIER_NORMAL>): Tensor {
  const { gain = 1 } = parse(XAVIER_NORMAL, args, tensor);
  const { fanIn, fanOut } = calculateFans(tensor);
  return normal_(tensor, 0, gain * Math.sqrt(2 / (fanIn + fanOut)));
}

/** Options of the two initialisations of He et al. (2015). */
export interface KaimingOptions {
  /** Slope for negative numbers of the `leakyRelu` that follows (0). */
  a?: number;
  /** "fanIn" (default) keeps the variance of the values going forward, "fanOut" that of the gradients going back. */
  mode?: "fanIn" | "fanOut";
  /** What follows the layer, which sets the gain ("leakyRelu"). */
  nonlinearity?: Nonlinearity;
}

function kaimingStd(tensor: Tensor, { a = 0, mode = "fanIn", nonlinearity = "leakyRelu" }: KaimingOptions): number {
  const fans = calculateFans(tensor);
  const fan = mode === "fanIn" ? fans.fanIn : mode === "fanOut" ? fans.fanOut : null;
  if (fan === null) throw new ArgumentError(`kaiming: mode must be "fanIn" or "fanOut", got ${describeValue(mode)}`);
  return calculateGain(nonlinearity, a) / Math.sqrt(fan);
}

/** Uniform numbers with the variance `gain^2 / fan`. */
export function kaimingUniform_(tensor: Tensor, ...args: ArgsOf<typeof KAIMING_UNIFORM>): Tensor {
  const options = parse(KAIMING_UNIFORM, args, tensor);
  if (tensor.numel() === 0) return tensor;
  const bound = Math.sqrt(3) * kaimingStd(tensor, options);
  return uniform_(tensor, -bound, bound);
}

/** Normal numbers with the variance `gain^2 / fan`. */
export function kaimingNormal_(tensor: Tensor, ...args: ArgsOf<typeof KAIMING_NORMAL>): Tensor {
  const options = parse(KAIMING_NORMAL, args, tensor);
  if (tensor.numel() === 0) return tensor;
  return normal_(tensor, 0, kaimingStd(tensor, options));
}

/** Normal numbers within [a, b], by inverting the distribution function. */
export function truncNormal_(tensor: Tensor, ...args: ArgsOf<typeof TRUNC_NORMAL>): Tensor {
  const { mean = 0, std = 1, a = -2, b = 2 } = parse(TRUNC_NORMAL, args, tensor);
  for (const n of [mean, std, a, b])
    if (typeof n !== "number") throw new ArgumentError(`truncNormal_: expected numbers, got ${describeValue(n)}`);
  return noGrad(() => {
    const ends = [a, b].map((x) =>
      tensor
        .detach()
        .newFull([], (x - mean) / std / Math.SQRT2)
        .erf(),
    );
    const u = tensor.detach().zerosLike().uniform_();
    const at = ends[0]!.add(u.mul(ends[1]!.sub(ends[0]!)));
    return tensor.copy_(
      at
        .erfinv()
        .mul(std * Math.SQRT2)
        .add(mean)
        .clamp(a, b),
    );
  });
}

/** A (semi-)orthogonal matrix of the flattened [rows, ...rest], times `gain`: random numbers orthonormalised on the host. */
export function orthogonal_(tensor: Tensor, ...args: ArgsOf<typeof ORTHOGONAL>): Tensor {
  const { gain = 1 } = parse(ORTHOGONAL, args, tensor);
  if (tensor.dim() < 2)
    throw new ShapeError(
      `orthogonal_: only tensors with 2 or more dimensions are supported, got ${showShape(tensor.shape)}`,
    );
  if (tensor.numel() === 0) return tensor;
  const rows = tensor.shape[0]!;
  const columns = tensor.numel() / rows;
  const [count, length] = rows < columns ? [rows, columns] : [columns, rows];
  const random = randn(count, length, { device: "cpu", dtype: "float64" }).dataSync();
  const vectors: Float64Array[] = [];
  for (let i = 0; i < count; i++) {
    const v = Float64Array.from(random.subarray(i * length, (i + 1) * length));
    // Twice, because once loses orthogonality to rounding.
    for (let pass = 0; pass < 2; pass++)
      for (const u of vectors) {
        const along = u.reduce((sum, x, j) => sum + x * v[j]!, 0);
        u.forEach((x, j) => (v[j]! -= along * x));
      }
    const size = Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
    vectors.push(v.map((x) => x / size));
  }
  const values = new Float64Array(rows * columns);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++)
      values[r * columns + c] = gain * (rows < columns ? vectors[r]![c]! : vectors[c]![r]!);
  return fill(tensor, values);
}
