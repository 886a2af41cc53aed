/**
 * Attention as one kernel, and its gradients as two, which keep no matrix of weights. `src/graph/attention.ts` says what they compute.
 * A gradient that is to be differentiated again is composed of products instead.
 */

import { isGradEnabled } from "../autograd/mode.ts";
import { recordMany, type Grads } from "../autograd/tape.ts";
import type { Backend } from "../backend/backend.ts";
import { packAttention, statisticParts, type AttentionAttrs, type AttentionSide } from "../graph/attention.ts";
import type { RoutineOp } from "../graph/node.ts";
import { isVectorizing } from "../graph/trace.ts";
import { broadcastShapes, contiguousStrides, expandView, numel, sameShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { aliasOf, applyNode, argOf, commonBackend } from "./apply.ts";

/** What is not a tensor, and the mask, which no gradient goes to. */
export interface AttentionForm {
  readonly mask: Tensor | null;
  readonly isCausal: boolean;
  readonly scale: number;
}

/** `softmax(query @ key.T * scale + mask)` by ordinary operations: the meaning of what is fused. */
export type Weigh = (query: Tensor, key: Tensor) => Tensor;

/** Query, key, value with equal batch dimensions. */
type Triple = readonly [query: Tensor, key: Tensor, value: Tensor];

/** Whether the device has a kernel for this attention. */
export function canFuse(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | null): boolean {
  const { fusesAttention } = query.impl.backend.limits;
  if (fusesAttention === undefined) return false;
  const all = mask === null ? [query, key, value] : [query, key, value, mask];
  if (
    all.some(
      (t) =>
        (t.impl.storage.node.traced && isVectorizing()) || t.impl.backend !== query.impl.backend || t.numel() === 0,
    )
  )
    return false;
  if (key.dtype !== query.dtype || value.dtype !== query.dtype) return false;
  if (mask !== null && (mask.requiresGrad || (mask.dtype !== "bool" && mask.dtype !== query.dtype))) return false;
  const [l, s] = [query.shape[query.dim() - 2]!, key.shape[key.dim() - 2]!];
  const batch = batchOf(query, key, value);
  if (mask !== null && !fits(mask.shape, [...batch, l, s])) return false;
  const width = Math.max(query.shape[query.dim() - 1]!, value.shape[value.dim() - 1]!);
  const { backend } = query.impl;
  const held = all.map((t) => backend.bytesFor(t.dtype, t.impl.storage.node.numel));
  const made = backend.bytesFor(query.dtype, numel(batch) * Math.max(l, s) * 2 * width);
  return fusesAttention(width, Math.max(made, ...held));
}

function batchOf(...tensors: readonly Tensor[]): number[] {
  return tensors.map((t) => t.shape.slice(0, -2)).reduce<number[]>((a, b) => broadcastShapes("attention", a, b), []);
}

function fits(shape: readonly number[], target: readonly number[]): boolean {
  const lead = target.length - shape.length;
  return lead >= 0 && shape.every((n, d) => n === 1 || n === target[lead + d]);
}

function sideOf(tensor: Tensor, shape: readonly number[] = tensor.shape): AttentionSide {
  const { strides, offset } = expandView(tensor.impl, shape);
  const [row, column] = strides.slice(-2) as [number, number];
  return { offset, row, column, batch: strides.slice(0, -2) };
}

/** Records the routine, off the tape; `extra` are the gradient, the packed forward result and delta. */
function run(
  pass: AttentionAttrs["pass"],
  [query, key, value]: Triple,
  extra: readonly Tensor[],
  form: AttentionForm,
  count: number,
): Tensor {
  const sizes = query.shape.slice(0, -2);
  const [queries, width] = query.shape.slice(-2) as [number, number];
  const [keys, valueWidth] = value.shape.slice(-2) as [number, number];
  const { mask } = form;
  const attrs: AttentionAttrs = {
    pass,
    mask: mask === null ? "none" : mask.dtype === "bool" ? "bool" : "float",
    rank: sizes.length,
  };
  const ints = packAttention({
    queries,
    keys,
    width,
    valueWidth,
    reach: form.isCausal ? 0 : keys,
    sizes,
    query: sideOf(query),
    key: sideOf(key),
    value: sideOf(value),
    grad: extra.length === 0 ? null : sideOf(extra[0]!),
    mask: mask === null ? null : sideOf(mask, [...sizes, queries, keys]),
  });
  const op: RoutineOp = {
    kind: "routine",
    key: `attention:${pass}:${attrs.mask}`,
    name: "attention",
    attrs: { ...attrs },
    ints,
    inPlace: false,
    usesStatus: false,
  };
  const inputs = [query, key, value, ...extra, ...(mask === null ? [] : [mask])];
  const backend: Backend = commonBackend("scaledDotProductAttention", inputs);
  const scalars = { scalars: [form.scale], scalarTypes: ["f"] as const };
  return applyNode(
    backend,
    op,
    [count],
    query.dtype,
    inputs.map((t) => argOf(t)),
    scalars,
  );
}

/** A part of a flat tensor under another shape, off the tape. */
function part(flat: Tensor, offset: number, shape: readonly number[]): Tensor {
  return aliasOf(flat, { shape, strides: contiguousStrides(shape), offset });
}

/** Attention by one kernel; `canFuse` must hold. `weigh` serves gradients that are to be differentiated. */
export function fusedAttention(query: Tensor, key: Tensor, value: Tensor, form: AttentionForm, weigh: Weigh): Tensor {
  const batch = batchOf(query, key, value);
  const spread = (t: Tensor): Tensor => {
    const shape = [...batch, ...t.shape.slice(-2)];
    return sameShape(shape, t.shape) ? t : t.expand(shape);
  };
  const triple: Triple = [spread(query), spread(key), spread(value)];
  const [q, k, v] = triple;
  const shape = [...q.shape.slice(0, -1), v.shape[v.dim() - 1]!];
  const lines = numel(q.shape.slice(0, -1));
  const packed = run("forward", triple, [], form, numel(shape) + lines * statisticParts(q.dtype));
  const out = part(packed, 0, shape);
  const saves = form.mask === null ? [q, k, v, out, packed] : [q, k, v, out, packed, form.mask];
  recordMany("ScaledDotProductFlashAttentionBackward0", [out], [q, k, v], saves, ([g], saved, needed): Grads => {
    if (g == null) return [null, null, null];
    const [sq, sk, sv, sout, spacked, mask = null] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor?];
    const inputs: Triple = [sq, sk, sv];
    return isGradEnabled()
      ? composedGradients(inputs, g, needed, form.scale, weigh)
      : fusedGradients(inputs, g, sout, spacked, needed, { ...form, mask });
  });
  return out;
}

function fusedGradients(
  inputs: Triple,
  g: Tensor,
  out: Tensor,
  packed: Tensor,
  needed: readonly boolean[],
  form: AttentionForm,
): Grads {
  const [q, k, v] = inputs;
  const exact = q.dtype === "float64" ? q.dtype : "float32";
  const delta = g.to(exact).mul(out.detach().to(exact)).sum(-1);
  const extra = [g, packed, delta];
  const byQuery = needed[0] ? part(run("query", inputs, extra, form, q.numel()), 0, q.shape) : null;
  if (!needed[1] && !needed[2]) return [byQuery, null, null];
  const both = run("keyValue", inputs, extra, form, k.numel() + v.numel());
  return [byQuery, part(both, 0, k.shape), part(both, k.numel(), v.shape)];
}

/** The same as tensor expressions of query, key, value and g, which can be differentiated again. */
function composedGradients(
  [q, k, v]: Triple,
  g: Tensor,
  needed: readonly boolean[],
  scale: number,
  weigh: Weigh,
): Grads {
  const weights = weigh(q, k);
  const byValue = needed[2] ? weights.transpose(-2, -1).matmul(g) : null;
  if (!needed[0] && !needed[1]) return [null, null, byValue];
  const byWeights = g.matmul(v.transpose(-2, -1));
  const byScores = weights.mul(byWeights.sub(byWeights.mul(weights).sum(-1, true))).mul(scale);
  return [needed[0] ? byScores.matmul(k) : null, needed[1] ? byScores.transpose(-2, -1).matmul(q) : null, byValue];
}
