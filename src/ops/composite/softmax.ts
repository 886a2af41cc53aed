/** Softmax and its logarithm: composed of fused rows, with PyTorch's derivatives. */

import { parse, signature, type ArgsOf } from "../../args.ts";
import { record } from "../../autograd/tape.ts";
import { checkDType, type DType } from "../../dtype.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, wrapDim } from "../apply.ts";

const SOFTMAX = signature<{ dim: number; dtype?: DType | null }>()("softmax", ["dim"], ["dtype"]);
const LOG_SOFTMAX = signature<{ dim: number; dtype?: DType | null }>()("logSoftmax", ["dim"], ["dtype"]);

function prepare(
  name: string,
  input: Tensor,
  given: number,
  dtype: DType | null | undefined,
): { x: Tensor; dim: number } {
  const x = dtype == null ? input : input.to(checkDType(dtype, name));
  checkFloating(name, x);
  return { x, dim: wrapDim(name, given, x.dim()) };
}

/** `exp(x) / sum(exp(x))` along `dim`, with the largest element subtracted first. */
export function softmax(input: Tensor, ...args: ArgsOf<typeof SOFTMAX>): Tensor {
  const options = parse(SOFTMAX, args, input);
  const { x, dim } = prepare("softmax", input, options.dim, options.dtype);
  let out: Tensor;
  if (x.numel() === 0) out = x.zerosLike();
  else {
    const v = x.detach();
    const e = v.sub(v.amax(dim, true)).exp();
    const total = e.sum(dim, true);
    // A reciprocal for each row saves a division for each element; as float16 it would be too coarse.
    out = x.dtype === "float16" ? e.div(total) : e.mul(total.reciprocal());
  }
  record("SoftmaxBackward0", out, [[x, [out], (g, y) => softmaxSlope(g, y, dim)]]);
  return out;
}

function softmaxSlope(g: Tensor, y: Tensor, dim: number): Tensor {
  const weighted = g.mul(y);
  return weighted.sub(y.mul(weighted.sum(dim, true)));
}

/** `log(softmax(x))` along `dim`, without loss for small probabilities. */
export function logSoftmax(input: Tensor, ...args: ArgsOf<typeof LOG_SOFTMAX>): Tensor {
  const options = parse(LOG_SOFTMAX, args, input);
  const { x, dim } = prepare("logSoftmax", input, options.dim, options.dtype);
  let out: Tensor;
  if (x.numel() === 0) out = x.zerosLike();
  else {
    const v = x.detach();
    const shifted = v.sub(v.amax(dim, true));
    out = shifted.sub(shifted.exp().sum(dim, true).log());
  }
  record("LogSoftmaxBackward0", out, [[x, [out], (g, y) => g.sub(y.exp().mul(g.sum(dim, true)))]]);
  return out;
}
