/** Tapegrad as a subject. */

import type * as Tapegrad from "#tapegrad";
import { realize } from "../../src/graph/runtime.ts";
import { TINY_ADD, TINY_MUL } from "../workloads/elementwise.ts";
import { instanceOf, type Device, type Library, type Operations, type Subject } from "./subject.ts";

type Tensor = Tapegrad.Tensor;

/** Functions that are not part of the library in all of its versions: where one is missing, its rows say so. */
interface Later {
  conv2d?(x: Tensor, weight: Tensor, bias: null, options: { stride: number; padding: number }): Tensor;
  scaledDotProductAttention?(q: Tensor, k: Tensor, v: Tensor, options: { isCausal: boolean }): Tensor;
}
interface LaterMethods {
  sort?(): { values: Tensor };
  topk?(k: number): { values: Tensor };
}

const NOT_YET = "not yet";

/** The table of operations, for a loaded library. */
function operationsOf(tg: typeof Tapegrad): Operations<Tensor> {
  const later = tg.F as Later & typeof tg.F;
  const methods = tg.Tensor.prototype as LaterMethods;
  const { grad } = tg.autograd;
  const leaf = (t: Tensor): Tensor => t.detach().requiresGrad_();
  const conv = later.conv2d;
  const attention = later.scaledDotProductAttention;
  return {
    matmul: ([a, b], { transposeA }) => [(transposeA ? a!.mT : a!).matmul(b!)],
    conv2d: conv === undefined ? NOT_YET : ([x, w], { stride, padding }) => [conv(x!, w!, null, { stride, padding })],
    conv2dBackward:
      conv === undefined
        ? NOT_YET
        : ([x, w, g], { stride, padding }) => {
            const inputs = [leaf(x!), leaf(w!)];
            const y = conv(inputs[0]!, inputs[1]!, null, { stride, padding });
            return [y.detach(), ...grad([y], inputs, { gradOutputs: [g!] })];
          },
    add: ([x, y]) => [x!.add(y!)],
    gelu: ([x]) => [tg.F.gelu(x!, { approximate: "tanh" })],
    biasAdd: ([x, b]) => [x!.add(b!)],
    chain: ([x, y]) => [x!.mul(1.5).add(0.5).relu().mul(y!).sub(x!).abs().add(1).sqrt().mul(0.5).maximum(y!)],
    adamw: ([p, g, m, r], { keep, size, beta1, beta2, root, eps }) => {
      const mean = m!.mul(beta1).add(g!.mul(1 - beta1));
      const square = r!
        .mul(r!)
        .mul(beta2)
        .add(g!.mul(g!).mul(1 - beta2));
      return [p!.mul(keep).sub(mean.mul(size).div(square.sqrt().mul(root).add(eps))), mean, square];
    },
    softmax: ([x]) => [x!.softmax(1)],
    layerNorm: ([x, w, b]) => [tg.F.layerNorm(x!, [x!.shape[1]!], w, b)],
    layerNormBackward: ([x, w, b, g]) => {
      const inputs = [leaf(x!), leaf(w!), leaf(b!)];
      const y = tg.F.layerNorm(inputs[0]!, [x!.shape[1]!], inputs[1], inputs[2]);
      return [y.detach(), ...grad([y], inputs, { gradOutputs: [g!] })];
    },
    sum: ([x]) => [x!.sum()],
    cumsum: ([x]) => [x!.cumsum(0)],
    sort: methods.sort === undefined ? NOT_YET : ([x]) => [(x! as Tensor & Required<LaterMethods>).sort().values],
    topk:
      methods.topk === undefined ? NOT_YET : ([x], { k }) => [(x! as Tensor & Required<LaterMethods>).topk(k).values],
    attention: attention === undefined ? NOT_YET : ([q, k, v]) => [attention(q!, k!, v!, { isCausal: true })],
    attentionBackward:
      attention === undefined
        ? NOT_YET
        : ([q, k, v, g]) => {
            const inputs = [leaf(q!), leaf(k!), leaf(v!)];
            const y = attention(inputs[0]!, inputs[1]!, inputs[2]!, { isCausal: true });
            return [y.detach(), ...grad([y], inputs, { gradOutputs: [g!] })];
          },
    embeddingBackward: ([index, g], { vocabulary }) => {
      const table = tg.zeros(vocabulary, g!.shape[1]!, { device: g!.device, dtype: g!.dtype }).requiresGrad_();
      return grad([tg.F.embedding(index!, table)], [table], { gradOutputs: [g!] });
    },
    tiny: ([x], { count }) => {
      let t = x!;
      for (let i = 0; i < count; i++) t = i % 2 === 0 ? t.mul(TINY_MUL) : t.add(TINY_ADD);
      return [t];
    },
  };
}

function libraryOf(tg: typeof Tapegrad, device: Device, compiled: boolean): Library<Tensor> {
  return {
    operations: operationsOf(tg),
    upload: (data, shape, dtype) =>
      tg.tensor(data, { shape, device, ...(data instanceof Float32Array ? { dtype } : {}) }),
    async touch(tensors) {
      await tg.readAll(tensors.map((t) => t.sum()));
    },
    ...(compiled
      ? {
          wrap: (run: (inputs: readonly Tensor[]) => readonly Tensor[]) => {
            const once = tg.compile((...inputs: Tensor[]) => run(inputs));
            return (inputs: readonly Tensor[]) => once(...inputs);
          },
        }
      : {}),
    // All results of a run become memory at once, as the end of a training step makes them.
    start: (results) => realize(results.map((t) => t.impl.storage.node)),
    async probe(runs) {
      const last = runs[runs.length - 1]!;
      const values = await tg.readAll(last.map((t) => t.detach().flatten().narrow(0, 0, 1)));
      return values[values.length - 1]![0]!;
    },
    async read(t) {
      return Float32Array.from(await t.data());
    },
    free(tensors) {
      for (const t of tensors) t.dispose();
    },
  };
}

/** Tapegrad on the device that `init` was called for; `compiled` wraps operations in `compile`. */
export function tapegradSubject(
  tg: typeof Tapegrad,
  device: Device,
  version: string,
  threads: number,
  compiled = false,
): Subject {
  const library = libraryOf(tg, device, compiled);
  return {
    name: `tapegrad${compiled ? " compile" : ""}`,
    library: "tapegrad",
    device,
    version,
    threads,
    prepare: (workload) => Promise.resolve(instanceOf(library, workload)),
  };
}
