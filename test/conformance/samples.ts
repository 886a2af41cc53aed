/** Which operations are compared with PyTorch, how they are called here, and how close they come. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";

/** Decoded arguments. */
export type Value = unknown;

/** How one operation is tested. */
export interface OpSample {
  /** Calls the operation with PyTorch's arguments; by default the method or function of the same name. */
  readonly call?: (args: readonly Value[], options: Readonly<Record<string, Value>>) => unknown;
  /** Bounds of value, gradient and second gradient in float32. */
  readonly rtol?: number;
  readonly atol?: number;
  /** Samples that ask for what this library does not have, and why. */
  readonly leaveOut?: (args: readonly Value[], options: Readonly<Record<string, Value>>) => string | null;
}

const method =
  (name: string) =>
  (args: readonly Value[], options: Readonly<Record<string, Value>>): unknown => {
    const [self, ...rest] = args as [Tensor, ...unknown[]];
    const f = (self as unknown as Record<string, unknown>)[name];
    return (f as (...a: unknown[]) => unknown).call(
      self,
      ...rest,
      ...(Object.keys(options).length > 0 ? [options] : []),
    );
  };

/** Calls a function with all arguments, then the options. */
export const call =
  (f: (...args: never[]) => unknown) =>
  (args: readonly Value[], options: Readonly<Record<string, Value>>): unknown =>
    (f as (...a: unknown[]) => unknown)(...args, ...(Object.keys(options).length > 0 ? [options] : []));

const property = (name: "T" | "mT") => (args: readonly Value[]) => (args[0] as Tensor)[name];

/** Transcendental functions of float32 on a GPU are good to a few ULP; compositions lose a little more. */
const LOOSE = { rtol: 1e-4, atol: 1e-5 };
const PLAIN = {};

/** The table. A missing sample for an operation of the database is an error of the test below it. */
export const SAMPLES: Readonly<Record<string, OpSample>> = {
  abs: PLAIN,
  acos: LOOSE,
  acosh: LOOSE,
  add: PLAIN,
  addcdiv: LOOSE,
  addcmul: PLAIN,
  addmm: PLAIN,
  addmv: PLAIN,
  all: PLAIN,
  amax: PLAIN,
  amin: PLAIN,
  any: PLAIN,
  argmax: PLAIN,
  argmin: PLAIN,
  asin: LOOSE,
  asinh: LOOSE,
  atan: LOOSE,
  atan2: LOOSE,
  atanh: LOOSE,
  atleast_1d: { call: call(tg.atleast1d) },
  atleast_2d: { call: call(tg.atleast2d) },
  atleast_3d: { call: call(tg.atleast3d) },
  baddbmm: PLAIN,
  bitwise_and: PLAIN,
  bitwise_left_shift: PLAIN,
  bitwise_not: PLAIN,
  bitwise_or: PLAIN,
  bitwise_right_shift: PLAIN,
  bitwise_xor: PLAIN,
  bmm: PLAIN,
  broadcast_to: PLAIN,
  cat: { call: call(tg.cat) },
  ceil: PLAIN,
  chunk: PLAIN,
  clamp: PLAIN,
  clamp_max: PLAIN,
  clamp_min: PLAIN,
  clone: PLAIN,
  contiguous: PLAIN,
  cos: LOOSE,
  cosh: LOOSE,
  count_nonzero: PLAIN,
  cumprod: LOOSE,
  cumsum: PLAIN,
  deg2rad: PLAIN,
  diagonal: PLAIN,
  div: LOOSE,
  dot: PLAIN,
  dstack: { call: call(tg.dstack) },
  eq: PLAIN,
  erf: LOOSE,
  erfc: LOOSE,
  erfinv: { rtol: 2e-4, atol: 1e-5 },
  exp: LOOSE,
  exp2: LOOSE,
  expand: PLAIN,
  expand_as: PLAIN,
  expm1: LOOSE,
  flatten: PLAIN,
  flip: PLAIN,
  floor: PLAIN,
  floor_divide: PLAIN,
  fmod: LOOSE,
  frac: PLAIN,
  gather: PLAIN,
  ge: PLAIN,
  gt: PLAIN,
  hstack: { call: call(tg.hstack) },
  index_add: PLAIN,
  index_put: PLAIN,
  index_select: PLAIN,
  isfinite: PLAIN,
  isinf: PLAIN,
  isnan: PLAIN,
  isneginf: PLAIN,
  isposinf: PLAIN,
  le: PLAIN,
  lerp: PLAIN,
  lgamma: LOOSE,
  log: LOOSE,
  log10: LOOSE,
  log1p: LOOSE,
  log2: LOOSE,
  log_softmax: LOOSE,
  logical_and: PLAIN,
  logical_not: PLAIN,
  logical_or: PLAIN,
  logical_xor: PLAIN,
  logsumexp: LOOSE,
  lt: PLAIN,
  masked_fill: PLAIN,
  matmul: LOOSE,
  max: PLAIN,
  maximum: PLAIN,
  mean: PLAIN,
  min: PLAIN,
  minimum: PLAIN,
  mm: PLAIN,
  movedim: PLAIN,
  mul: PLAIN,
  mv: PLAIN,
  nansum: PLAIN,
  narrow: { leaveOut: (args) => (typeof args[2] === "number" ? null : "start is a number here") },
  ne: PLAIN,
  neg: PLAIN,
  "nn.functional.cross_entropy": { call: call(tg.F.crossEntropy), ...LOOSE },
  "nn.functional.embedding": {
    call: ([weight, index], options) => tg.F.embedding(index as Tensor, weight as Tensor, options),
    leaveOut: (_, { maxNorm }) => (maxNorm == null ? null : "maxNorm is not offered"),
  },
  "nn.functional.gelu": { call: call(tg.F.gelu), ...LOOSE },
  "nn.functional.layer_norm": { call: call(tg.F.layerNorm), rtol: 5e-4, atol: 5e-4 },
  "nn.functional.linear": { call: call(tg.F.linear) },
  "nn.functional.mse_loss": { call: call(tg.F.mseLoss) },
  "nn.functional.nll_loss": { call: call(tg.F.nllLoss) },
  "nn.functional.relu": { call: call(tg.F.relu) },
  "nn.functional.silu": { call: call(tg.F.silu), ...LOOSE },
  norm: { ...LOOSE, leaveOut: (args) => (args[1] === "nuc" ? "the nuclear norm needs singular values" : null) },
  outer: PLAIN,
  permute: PLAIN,
  positive: PLAIN,
  pow: { rtol: 1e-3, atol: 1e-4 },
  prod: LOOSE,
  rad2deg: PLAIN,
  ravel: PLAIN,
  reciprocal: LOOSE,
  remainder: LOOSE,
  repeat: PLAIN,
  reshape: PLAIN,
  reshape_as: PLAIN,
  round: PLAIN,
  rsqrt: LOOSE,
  rsub: PLAIN,
  scatter: PLAIN,
  scatter_add: PLAIN,
  select: PLAIN,
  sigmoid: LOOSE,
  sign: PLAIN,
  sin: LOOSE,
  sinh: LOOSE,
  softmax: LOOSE,
  split: PLAIN,
  split_with_sizes: PLAIN,
  sqrt: LOOSE,
  square: PLAIN,
  squeeze: PLAIN,
  stack: { call: call(tg.stack) },
  std: LOOSE,
  std_mean: { call: call(tg.stdMean), ...LOOSE },
  sub: PLAIN,
  sum: PLAIN,
  sum_to_size: PLAIN,
  t: PLAIN,
  T: { call: property("T") },
  mT: {
    call: property("mT"),
    leaveOut: (args) =>
      (args[0] as Tensor).dim() < 2 ? "fewer than two dimensions are an error, as in later PyTorch" : null,
  },
  take_along_dim: PLAIN,
  tan: { rtol: 1e-3, atol: 1e-4 },
  tanh: LOOSE,
  tile: PLAIN,
  transpose: PLAIN,
  tril: PLAIN,
  triu: PLAIN,
  true_divide: LOOSE,
  trunc: PLAIN,
  unbind: PLAIN,
  unflatten: PLAIN,
  unsqueeze: PLAIN,
  var: LOOSE,
  var_mean: { call: call(tg.varMean), ...LOOSE },
  view: PLAIN,
  view_as: PLAIN,
  vstack: { call: call(tg.vstack) },
  where: { call: ([x, condition, y]) => tg.where(condition as Tensor, x as Tensor, y as Tensor) },
  // A list of plain numbers is an index tensor; a list of anything else stands for a tuple.
  __getitem__: {
    leaveOut: (args) =>
      [args[1]].flat().some((i) => i instanceof tg.Tensor && i.dtype === "bool")
        ? "a mask throws: it would give a shape that depends on values"
        : null,
    call: ([x, index]) => {
      const isTuple = Array.isArray(index) && !index.every((i) => typeof i === "number");
      return (x as Tensor).at(...((isTuple ? index : [index]) as tg.Index[]));
    },
  },
};

/** How an operation of a table is called. */
export function callerOf(name: string, table = SAMPLES): NonNullable<OpSample["call"]> {
  return table[name]?.call ?? method(camelCase(name));
}

/** `index_select` to `indexSelect`. */
export function camelCase(name: string): string {
  return name.replace(/_+([a-z0-9])/g, (_, c: string) => c.toUpperCase());
}
