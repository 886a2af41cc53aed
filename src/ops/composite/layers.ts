/** The functions behind layers: linear maps, normalisation, tables of vectors. */

import { checkInteger, integers, parse, signature, type ArgsOf } from "../../args.ts";
import { record, type Wrt } from "../../autograd/tape.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, checkTensor } from "../apply.ts";
import { addRows, rowsAt } from "../indexing.ts";

const LINEAR = signature<{ weight: Tensor; bias?: Tensor | null }>()("linear", ["weight", "bias"]);

/** `input @ weight.T + bias`: input [..., in], weight [out, in] (or [in]), bias [out]. */
export function linear(input: Tensor, ...args: ArgsOf<typeof LINEAR>): Tensor {
  const { weight, bias = null } = parse(LINEAR, args, input);
  checkTensor("linear", "weight", weight);
  if (bias !== null) checkTensor("linear", "bias", bias);
  const inner = weight.shape[weight.dim() - 1];
  if (input.dim() === 0 || weight.dim() === 0 || weight.dim() > 2 || inner !== input.shape[input.dim() - 1])
    throw new ShapeError(
      `linear: input of shape ${showShape(input.shape)} does not fit weight of shape ${showShape(weight.shape)} (the last sizes must agree)`,
    );
  if (input.dim() === 2 && weight.dim() === 2 && bias !== null) return bias.addmm(input, weight.t());
  const out = input.matmul(weight.t());
  return bias === null ? out : out.add(bias);
}

const LAYER_NORM = signature<{
  normalizedShape: number | readonly number[];
  weight?: Tensor | null;
  bias?: Tensor | null;
  eps?: number;
}>()("layerNorm", ["normalizedShape", "weight", "bias", "eps"]);

/** Normalises over the trailing dimensions `normalizedShape` to mean 0 and variance 1, then scales and shifts. */
export function layerNorm(input: Tensor, ...args: ArgsOf<typeof LAYER_NORM>): Tensor {
  const { normalizedShape, weight = null, bias = null, eps = 1e-5 } = parse(LAYER_NORM, args, input);
  checkFloating("layerNorm", input);
  const shape = integers("layerNorm", "normalizedShape", normalizedShape);
  const rank = input.dim();
  const lead = rank - shape.length;
  if (shape.length === 0 || lead < 0 || shape.some((n, i) => n !== input.shape[lead + i]))
    throw new ShapeError(
      `layerNorm: normalizedShape ${showShape(shape)} must be the last sizes of the input's shape ${showShape(input.shape)}`,
    );
  for (const [what, p] of [
    ["weight", weight],
    ["bias", bias],
  ] as const)
    if (
      p !== null &&
      (checkTensor("layerNorm", what, p).dim() !== shape.length || p.shape.some((n, i) => n !== shape[i]))
    )
      throw new ShapeError(`layerNorm: ${what} must have shape ${showShape(shape)}, got ${showShape(p.shape)}`);
  const dims = shape.map((_, i) => lead + i);
  const outer = Array.from({ length: lead }, (_, d) => d);
  const x = input.detach();
  const mean = x.mean(dims, true);
  const rstd = x.sub(mean).square().mean(dims, true).add(eps).rsqrt();
  let out = x.sub(mean).mul(rstd);
  if (weight !== null) out = out.mul(weight.detach());
  if (bias !== null) out = out.add(bias.detach());
  const normalized = (v: Tensor): { hat: Tensor; scale: Tensor } => {
    // Recomputed from the input, so that the gradient can itself be differentiated.
    const m = v.mean(dims, true);
    const centered = v.sub(m);
    const scale = centered.square().mean(dims, true).add(eps).rsqrt();
    return { hat: centered.mul(scale), scale };
  };
  const sumOuter = (g: Tensor): Tensor => (outer.length === 0 ? g : g.sum(outer));
  const placeholder = input;
  const noInput: Wrt = [null, [], () => null];
  record("NativeLayerNormBackward0", out, [
    [
      input,
      weight === null ? [input] : [input, weight],
      (g, v, w) => {
        const { hat, scale } = normalized(v);
        const h = w === undefined ? g : g.mul(w);
        return h
          .sub(h.mean(dims, true))
          .sub(hat.mul(h.mul(hat).mean(dims, true)))
          .mul(scale);
      },
    ],
    ...(weight === null
      ? [noInput]
      : ([[weight, [placeholder], (g: Tensor, v?: Tensor) => sumOuter(g.mul(normalized(v!).hat))]] as const)),
    ...(bias === null ? [noInput] : ([[bias, [], (g: Tensor) => sumOuter(g)]] as const)),
  ]);
  return out;
}

const EMBEDDING = signature<{
  weight: Tensor;
  paddingIdx?: number | null;
  maxNorm?: number | null;
  scaleGradByFreq?: boolean;
}>()("embedding", ["weight", "paddingIdx", "maxNorm"], ["scaleGradByFreq"]);

/** Rows of `weight` [n, d] at the int32 positions `input` (any shape): its shape with d appended. The row `paddingIdx` gets no gradient. */
export function embedding(input: Tensor, ...args: ArgsOf<typeof EMBEDDING>): Tensor {
  const { weight, paddingIdx = null, maxNorm = null, scaleGradByFreq = false } = parse(EMBEDDING, args, input);
  checkTensor("embedding", "weight", weight);
  if (weight.dim() !== 2)
    throw new ShapeError(`embedding: weight must be a matrix, got shape ${showShape(weight.shape)}`);
  const rows = weight.shape[0]!;
  if (paddingIdx !== null && (checkInteger("embedding", "paddingIdx", paddingIdx) < -rows || paddingIdx >= rows))
    throw new ArgumentError(`embedding: paddingIdx ${paddingIdx} must be within the ${rows} rows`);
  if (maxNorm !== null)
    throw new ArgumentError("embedding: maxNorm is not supported; renormalise the weight with renorm before");
  const padding = paddingIdx === null ? null : paddingIdx < 0 ? paddingIdx + rows : paddingIdx;
  const out = rowsAt(weight, input);
  record("EmbeddingBackward0", out, [
    [
      weight,
      [input],
      (g, index) => {
        let values = padding === null ? g : g.maskedFill(index.eq(padding).unsqueeze(-1), 0);
        if (scaleGradByFreq) {
          const ones = index.reshape([-1, 1]).to(g.dtype).onesLike();
          const counts = addRows(ones, index.reshape([-1]), rows);
          values = values.div(rowsAt(counts, index));
        }
        return addRows(values, index, rows);
      },
    ],
  ]);
  return out;
}
