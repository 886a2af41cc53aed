/** TensorFlow.js as a subject: WebAssembly or WebGPU. Images are kept in its layout (NHWC); conversion is not timed. */

import { TINY_ADD, TINY_MUL } from "../workloads/elementwise.ts";
import { instanceOf, type Device, type Library, type Operations, type Subject } from "./subject.ts";
import type { Tf, TfTensor } from "./tfjs-api.ts";

const EPS = 1e-5;

/** Layer norm over the last dimension. */
export function layerNorm(tf: Tf, x: TfTensor, w: TfTensor, b: TfTensor): TfTensor {
  const centered = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centered), -1, true);
  return tf.add(tf.mul(tf.mul(centered, tf.rsqrt(tf.add(variance, EPS))), w), b);
}

/** Gelu by tanh. */
export function gelu(tf: Tf, x: TfTensor): TfTensor {
  const cube = tf.mul(tf.mul(x, x), x);
  const inner = tf.mul(tf.add(x, tf.mul(cube, 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}

const masks = new Map<number, TfTensor>();

/** Zero where a key may be seen, very negative where not; made once for each length. */
export function causalMask(tf: Tf, length: number): TfTensor {
  let mask = masks.get(length);
  if (mask === undefined) {
    const data = new Float32Array(length * length);
    for (let i = 0; i < length; i++) data.fill(-1e9, i * length + i + 1, (i + 1) * length);
    mask = tf.keep(tf.tensor(data, [length, length]));
    masks.set(length, mask);
  }
  return mask;
}

/** Causal attention over [B, H, T, D] or [B * H, T, D]. */
export function attention(tf: Tf, q: TfTensor, k: TfTensor, v: TfTensor): TfTensor {
  const [length, width] = q.shape.slice(-2) as [number, number];
  const scores = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width));
  return tf.matMul(tf.softmax(tf.add(scores, causalMask(tf, length))), v);
}

function operationsOf(tf: Tf): Operations<TfTensor> {
  const withGradients = (f: (...inputs: TfTensor[]) => TfTensor, inputs: TfTensor[], g: TfTensor): TfTensor[] => {
    // `tf.grads` computes the value as well, but does not give it: it is taken on the way.
    let value: TfTensor | null = null;
    const gradients = tf.grads((...given) => (value = tf.keep(f(...given))))(inputs, g);
    return [value!, ...gradients];
  };
  return {
    matmul: ([a, b], { transposeA }) => [tf.matMul(a!, b!, transposeA, false)],
    conv2d: ([x, w], { stride, padding }) => [tf.conv2d(x!, w!, stride, padding)],
    conv2dBackward: ([x, w, g], { stride, padding }) =>
      withGradients((a, b) => tf.conv2d(a, b, stride, padding), [x!, w!], g!),
    add: ([x, y]) => [tf.add(x!, y!)],
    gelu: ([x]) => [gelu(tf, x!)],
    biasAdd: ([x, b]) => [tf.add(x!, b!)],
    chain: ([x, y]) => {
      const a = tf.mul(tf.relu(tf.add(tf.mul(x!, 1.5), 0.5)), y!);
      return [tf.maximum(tf.mul(tf.sqrt(tf.add(tf.abs(tf.sub(a, x!)), 1)), 0.5), y!)];
    },
    adamw: ([p, g, m, r], { keep, size, beta1, beta2, root, eps }) => {
      const mean = tf.add(tf.mul(m!, beta1), tf.mul(g!, 1 - beta1));
      const square = tf.add(tf.mul(tf.square(r!), beta2), tf.mul(tf.square(g!), 1 - beta2));
      const change = tf.div(tf.mul(mean, size), tf.add(tf.mul(tf.sqrt(square), root), eps));
      return [tf.sub(tf.mul(p!, keep), change), mean, square];
    },
    softmax: ([x]) => [tf.softmax(x!)],
    layerNorm: ([x, w, b]) => [layerNorm(tf, x!, w!, b!)],
    layerNormBackward: ([x, w, b, g]) => withGradients((p, q, r) => layerNorm(tf, p, q, r), [x!, w!, b!], g!),
    sum: ([x]) => [tf.sum(x!)],
    cumsum: ([x]) => [tf.cumsum(x!, 0)],
    sort: ([x]) => [tf.reverse(tf.topk(x!, x!.shape[0]!, true).values)],
    topk: ([x], { k }) => [tf.topk(x!, k, true).values],
    attention: ([q, k, v]) => [attention(tf, q!, k!, v!)],
    attentionBackward: ([q, k, v, g]) => withGradients((a, b, c) => attention(tf, a, b, c), [q!, k!, v!], g!),
    embeddingBackward: ([index, g], { vocabulary }) => [tf.unsortedSegmentSum(g!, index!, vocabulary)],
    tiny: ([x], { count }) => {
      let t = x!;
      for (let i = 0; i < count; i++) t = i % 2 === 0 ? tf.mul(t, TINY_MUL) : tf.add(t, TINY_ADD);
      return [t];
    },
  };
}

const TO_NHWC = [0, 2, 3, 1];
const TO_NCHW = [0, 3, 1, 2];
const TO_HWIO = [2, 3, 1, 0];
const TO_OIHW = [3, 2, 0, 1];

function libraryOf(tf: Tf): Library<TfTensor> {
  const isImage = (op: string): boolean => op === "conv2d" || op === "conv2dBackward";
  const reorder = (tensors: readonly TfTensor[], orders: readonly number[][]): TfTensor[] =>
    tensors.map((t, i) => {
      const result = tf.transpose(t, orders[i]);
      t.dispose();
      return result;
    });
  return {
    operations: operationsOf(tf),
    dtypes: ["float32"],
    upload: (data, shape) => tf.tensor(data, shape, data instanceof Int32Array ? "int32" : "float32"),
    async touch(tensors) {
      for (const t of tensors) {
        const sum = tf.tidy(() => tf.sum(t));
        await sum.data();
        sum.dispose();
      }
    },
    wrap: (run) => (inputs) => tf.tidy(() => run(inputs)),
    async probe(runs) {
      let value = 0;
      for (const t of runs[runs.length - 1]!) {
        const first = tf.tidy(() => tf.slice(tf.reshape(t, [-1]), [0], [1]));
        value = (await first.data())[0]!;
        first.dispose();
      }
      return value;
    },
    read: async (t) => Float32Array.from(await t.data()),
    free(tensors) {
      for (const t of tensors) t.dispose();
    },
    layout: {
      toOwn: (tensors, { task }) => (isImage(task.op) ? reorder(tensors, [TO_NHWC, TO_HWIO, TO_NHWC]) : tensors),
      fromOwn: (tensors, { task }) => (isImage(task.op) ? reorder(tensors, [TO_NCHW, TO_NCHW, TO_OIHW]) : tensors),
    },
  };
}

/** TensorFlow.js with the backend that is set. */
export function tfjsSubject(tf: Tf, device: Device, version: string, threads: number, note?: string): Subject {
  const library = libraryOf(tf);
  return {
    name: `tfjs ${device === "cpu" ? "wasm" : "webgpu"}`,
    library: "tfjs",
    device,
    version,
    threads,
    ...(note === undefined ? {} : { note }),
    prepare: (workload) => Promise.resolve(instanceOf(library, workload)),
  };
}
