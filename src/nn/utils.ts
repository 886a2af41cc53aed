/** `tg.nn.utils`: what training loops do to parameters and gradients. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { noGrad } from "../autograd/mode.ts";
import { ArgumentError } from "../errors.ts";
import { numel } from "../graph/view.ts";
import { checkTensor, isTensor } from "../ops/apply.ts";
import { cat, stack } from "../ops/join.ts";
import type { Tensor } from "../tensor.ts";
import { tensor } from "../ops/creation.ts";

const CLIP = signature<{ normType?: number }>()("clipGradNorm_", ["normType"]);

function gradients(parameters: Tensor | Iterable<Tensor>): Tensor[] {
  const list = isTensor(parameters) ? [parameters] : [...parameters];
  return list.flatMap((p) => (p.grad === null ? [] : [p]));
}

/** Scales the gradients so that their norm together is at most `maxNorm`. Gives the norm before, as a tensor: nothing is waited for. */
export function clipGradNorm_(
  parameters: Tensor | Iterable<Tensor>,
  maxNorm: number,
  ...args: ArgsOf<typeof CLIP>
): Tensor {
  const { normType = 2 } = parse(CLIP, args);
  if (typeof maxNorm !== "number")
    throw new ArgumentError(`clipGradNorm_: maxNorm must be a number, got ${describeValue(maxNorm)}`);
  const list = gradients(parameters);
  if (list.length === 0) return tensor(0);
  return noGrad(() => {
    const norms = stack(list.map((p) => p.grad!.detach().norm(normType)));
    const total = normType === Infinity ? norms.max() : norms.norm(normType);
    const factor = total.add(1e-6).reciprocal().mul(maxNorm).clampMax(1);
    for (const p of list) p.grad!.mul_(factor);
    return total;
  });
}

/** Limits every element of the gradients to `clipValue` in size. */
export function clipGradValue_(parameters: Tensor | Iterable<Tensor>, clipValue: number): void {
  if (typeof clipValue !== "number" || !(clipValue >= 0))
    throw new ArgumentError(`clipGradValue_: clipValue must not be negative, got ${describeValue(clipValue)}`);
  noGrad(() => {
    for (const p of gradients(parameters)) p.grad!.clamp_(-clipValue, clipValue);
  });
}

function tensorsOf(op: string, parameters: unknown): Tensor[] {
  if (typeof parameters !== "object" || parameters === null || !(Symbol.iterator in parameters))
    throw new ArgumentError(`${op}: expected several Tensors, got ${describeValue(parameters)}`);
  const list = [...(parameters as Iterable<unknown>)];
  return list.map((p, i) => checkTensor(op, `parameter ${i}`, p));
}

/** All parameters in one vector. */
export function parametersToVector(parameters: Iterable<Tensor>): Tensor {
  return cat(tensorsOf("parametersToVector", parameters).map((p) => p.reshape([-1])));
}

/** Writes parts of a vector into parameters. */
export function vectorToParameters(vec: Tensor, parameters: Iterable<Tensor>): void {
  checkTensor("vectorToParameters", "vec", vec);
  const list = tensorsOf("vectorToParameters", parameters);
  const total = list.reduce((sum, p) => sum + numel(p.shape), 0);
  if (vec.dim() !== 1 || vec.numel() !== total)
    throw new ArgumentError(`vectorToParameters: expected a vector of ${total} elements, got ${vec.numel()}`);
  let at = 0;
  noGrad(() => {
    for (const p of list) {
      p.copy_(
        vec
          .detach()
          .narrow(0, at, p.numel())
          .view([...p.shape]),
      );
      at += p.numel();
    }
  });
}
