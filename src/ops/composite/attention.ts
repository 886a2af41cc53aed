/** Attention: softmax of scaled products, and with several heads. */

import { parse, signature, type ArgsOf } from "../../args.ts";
import { DTypeError, ShapeError } from "../../errors.ts";
import { isFloat } from "../../dtype.ts";
import { showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, checkTensor } from "../apply.ts";
import { canFuse, fusedAttention } from "../attention.ts";
import { countLike } from "../creation.ts";
import { dropout } from "./dropout.ts";

interface AttentionOptions {
  key: Tensor;
  value: Tensor;
  attnMask?: Tensor | null;
  dropoutP?: number;
  isCausal?: boolean;
  scale?: number | null;
}
const ATTENTION = signature<AttentionOptions>()(
  "scaledDotProductAttention",
  ["key", "value", "attnMask", "dropoutP", "isCausal"],
  ["scale"],
);

/** `softmax(query @ key.T * scale + mask)`, dropped out: what weighs the values. */
export function attentionWeights(
  op: string,
  query: Tensor,
  key: Tensor,
  options: { attnMask: Tensor | null; dropoutP: number; isCausal: boolean; scale: number | null },
): Tensor {
  const { attnMask, dropoutP, isCausal } = options;
  const width = query.shape[query.dim() - 1]!;
  const scale = options.scale ?? 1 / Math.sqrt(width);
  let scores = query.mul(scale).matmul(key.transpose(-2, -1));
  const [rows, columns] = scores.shape.slice(-2) as [number, number];
  if (isCausal) {
    const row = countLike(query, rows).unsqueeze(1);
    const column = countLike(query, columns);
    scores = scores.maskedFill(column.gt(row), -Infinity);
  }
  if (attnMask !== null) {
    if (attnMask.dtype === "bool") scores = scores.maskedFill(attnMask.logicalNot(), -Infinity);
    else if (isFloat(attnMask.dtype)) scores = scores.add(attnMask);
    else throw new DTypeError(`${op}: attnMask must be bool or floating point, got ${attnMask.dtype}`);
  }
  const weights = scores.softmax(-1);
  return dropoutP > 0 ? dropout(weights, dropoutP, true) : weights;
}

/**
 * `softmax(query @ key.T * scale + mask) @ value`: query [..., l, d], key [..., s, d], value [..., s, v]. A bool `attnMask` is true where attention
 * is allowed, a floating one is added; `isCausal` lets a query see the keys up to its own position. `scale` is 1 / sqrt(d) by default;
 * `dropoutP` drops weights whenever it is not zero.
 */
export function scaledDotProductAttention(query: Tensor, ...args: ArgsOf<typeof ATTENTION>): Tensor {
  const op = "scaledDotProductAttention";
  const { key, value, attnMask = null, dropoutP = 0, isCausal = false, scale = null } = parse(ATTENTION, args, query);
  checkTensor(op, "query", query);
  checkTensor(op, "key", key);
  checkTensor(op, "value", value);
  checkFloating(op, query);
  const shapes = `query ${showShape(query.shape)}, key ${showShape(key.shape)}, value ${showShape(value.shape)}`;
  if (query.dim() < 2 || key.dim() < 2 || value.dim() < 2)
    throw new ShapeError(`${op}: operands must have at least 2 dimensions, got ${shapes}`);
  if (
    query.shape[query.dim() - 1] !== key.shape[key.dim() - 1] ||
    key.shape[key.dim() - 2] !== value.shape[value.dim() - 2]
  )
    throw new ShapeError(`${op}: query and key must have the same width, key and value the same length, got ${shapes}`);
  if (dropoutP === 0 && canFuse(query, key, value, attnMask)) {
    const form = { mask: attnMask, isCausal, scale: scale ?? 1 / Math.sqrt(query.shape[query.dim() - 1]!) };
    const weigh = (q: Tensor, k: Tensor): Tensor =>
      attentionWeights(op, q, k, { attnMask, dropoutP, isCausal, scale: form.scale });
    return fusedAttention(query, key, value, form, weigh);
  }
  return attentionWeights(op, query, key, { attnMask, dropoutP, isCausal, scale }).matmul(value);
}
