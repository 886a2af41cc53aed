/** jax-js as a subject: WebAssembly or WebGPU, eagerly or through `jit`. */

import { TINY_ADD, TINY_MUL } from "../workloads/elementwise.ts";
import type { Jax, JaxArray } from "./jax-api.ts";
import { instanceOf, type Device, type Library, type Operations, type Subject } from "./subject.ts";

const EPS = 1e-5;

/** Layer norm over the last dimension; consumes its arguments. */
export function layerNorm(jax: Jax, x: JaxArray, w: JaxArray, b: JaxArray): JaxArray {
  const mean = x.ref.mean(-1, { keepdims: true });
  const centered = x.sub(mean);
  const variance = jax.numpy.square(centered.ref).mean(-1, { keepdims: true });
  const rstd = jax.numpy.reciprocal(jax.numpy.sqrt(variance.add(EPS)));
  return centered.mul(rstd).mul(w).add(b);
}

/** Causal attention over [B, T, H, D], the layout of jax; consumes its arguments. */
export function attention(jax: Jax, q: JaxArray, k: JaxArray, v: JaxArray): JaxArray {
  return jax.nn.dotProductAttention(q, k, v, { isCausal: true });
}

function operationsOf(jax: Jax): Operations<JaxArray> {
  const { numpy: np, nn, lax } = jax;
  const pad = (padding: number): [number, number][] => [
    [padding, padding],
    [padding, padding],
  ];
  const withGradients = (f: (...inputs: JaxArray[]) => JaxArray, inputs: JaxArray[], g: JaxArray): JaxArray[] => {
    const [value, backward] = jax.vjp(f, inputs);
    const gradients = backward(g);
    backward.dispose();
    return [value, ...gradients];
  };
  return {
    matmul: ([a, b], { transposeA }) => [np.matmul(transposeA ? np.matrixTranspose(a!.ref) : a!.ref, b!.ref)],
    conv2d: ([x, w], { stride, padding }) => [lax.conv(x!.ref, w!.ref, [stride, stride], pad(padding))],
    conv2dBackward: ([x, w, g], { stride, padding }) =>
      withGradients((a, b) => lax.conv(a, b, [stride, stride], pad(padding)), [x!.ref, w!.ref], g!.ref),
    add: ([x, y]) => [x!.ref.add(y!.ref)],
    gelu: ([x]) => [nn.gelu(x!.ref, { approximate: true })],
    biasAdd: ([x, b]) => [x!.ref.add(b!.ref)],
    chain: ([x, y]) => {
      const a = nn.relu(x!.ref.mul(1.5).add(0.5)).mul(y!.ref);
      return [np.maximum(np.sqrt(np.abs(a.sub(x!.ref)).add(1)).mul(0.5), y!.ref)];
    },
    adamw: ([p, g, m, r], { keep, size, beta1, beta2, root, eps }) => {
      const mean = m!.ref.mul(beta1).add(g!.ref.mul(1 - beta1));
      const square = np
        .square(r!.ref)
        .mul(beta2)
        .add(np.square(g!.ref).mul(1 - beta2));
      const denominator = np.sqrt(square.ref).mul(root).add(eps);
      return [p!.ref.mul(keep).sub(mean.ref.mul(size).div(denominator)), mean, square];
    },
    softmax: ([x]) => [nn.softmax(x!.ref, -1)],
    layerNorm: ([x, w, b]) => [layerNorm(jax, x!.ref, w!.ref, b!.ref)],
    layerNormBackward: ([x, w, b, g]) =>
      withGradients((p, q, r) => layerNorm(jax, p, q, r), [x!.ref, w!.ref, b!.ref], g!.ref),
    sum: ([x]) => [x!.ref.sum()],
    cumsum: ([x]) => [np.cumsum(x!.ref, 0)],
    sort: ([x]) => [np.sort(x!.ref, 0)],
    topk: ([x], { k }) => {
      const [values, indices] = lax.topK(x!.ref, k);
      indices.dispose();
      return [values];
    },
    attention: ([q, k, v]) => [attention(jax, q!.ref, k!.ref, v!.ref)],
    attentionBackward: ([q, k, v, g]) =>
      withGradients((a, b, c) => attention(jax, a, b, c), [q!.ref, k!.ref, v!.ref], g!.ref),
    embeddingBackward: ([index, g], { vocabulary }) => {
      const table = np.zeros([vocabulary, g!.shape[1]!], { dtype: g!.dtype });
      const [value, gradient] = withGradients((t) => np.take(t, index!.ref, 0), [table], g!.ref);
      value!.dispose();
      return [gradient!];
    },
    tiny: ([x], { count }) => {
      let t = x!.ref;
      for (let i = 0; i < count; i++) t = i % 2 === 0 ? t.mul(TINY_MUL) : t.add(TINY_ADD);
      return [t];
    },
  };
}

const SWAP_HEADS = [0, 2, 1, 3];

function libraryOf(jax: Jax, jitted: boolean): Library<JaxArray> {
  const isAttention = (op: string): boolean => op === "attention" || op === "attentionBackward";
  // The product writes it out in the other layout: else a view would be read with strides in every run.
  const swap = (tensors: readonly JaxArray[]): JaxArray[] => tensors.map((t) => t.transpose(SWAP_HEADS).mul(1));
  return {
    operations: operationsOf(jax),
    upload: (data, shape, dtype) => {
      const array = jax.numpy.array(data, { shape });
      return data instanceof Float32Array && dtype === "float16" ? array.astype(dtype) : array;
    },
    async touch(tensors) {
      for (const t of tensors) await t.ref.sum().data();
    },
    ...(jitted
      ? {
          wrap: (run: (inputs: readonly JaxArray[]) => readonly JaxArray[]) => {
            const compiled = jax.jit((...inputs: JaxArray[]): readonly JaxArray[] => {
              const results = run(inputs);
              for (const t of inputs) t.dispose();
              return results;
            });
            return (inputs: readonly JaxArray[]) => compiled(...inputs.map((t) => t.ref));
          },
        }
      : {}),
    async probe(runs) {
      await Promise.all(runs.flatMap((results) => results.map((t) => t.blockUntilReady())));
      let value = 0;
      for (const t of runs[runs.length - 1]!) value = (await t.ref.reshape([-1]).slice([0, 1]).data())[0]!;
      return value;
    },
    read: async (t) => Float32Array.from(await t.ref.data()),
    free(tensors) {
      for (const t of tensors) t.dispose();
    },
    layout: {
      toOwn: (tensors, { task }) => (isAttention(task.op) ? swap(tensors) : tensors),
      fromOwn: (tensors, { task }) => (isAttention(task.op) ? swap(tensors) : tensors),
    },
  };
}

/** jax-js on its default device. */
export function jaxSubject(
  jax: Jax,
  device: Device,
  jitted: boolean,
  version: string,
  threads: number,
  note?: string,
): Subject {
  const library = libraryOf(jax, jitted);
  return {
    name: `jax-js ${device === "cpu" ? "wasm" : "webgpu"}${jitted ? " jit" : ""}`,
    library: "jax-js",
    device,
    version,
    threads,
    ...(note === undefined ? {} : { note }),
    prepare: (workload) => Promise.resolve(instanceOf(library, workload)),
  };
}
