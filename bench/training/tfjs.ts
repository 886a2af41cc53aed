/** The models in TensorFlow.js. */

import { attention, gelu, layerNorm } from "../subjects/tfjs.ts";
import type { Tf, TfTensor } from "../subjects/tfjs-api.ts";
import { ADAMW, named, type Model, type Stepper } from "./model.ts";

type Parameters = Readonly<Record<string, TfTensor>>;

/** Logits of a batch. Images are NHWC and filters HWIO here. */
function forward(tf: Tf, model: Model, p: Parameters, x: TfTensor): TfTensor {
  if (model.kind === "mlp") {
    const hidden = tf.relu(tf.add(tf.matMul(x, p["w0"]!), p["b0"]!));
    return tf.add(tf.matMul(hidden, p["w1"]!), p["b1"]!);
  }
  if (model.kind === "cnn") {
    const block = (t: TfTensor, w: TfTensor, b: TfTensor): TfTensor =>
      tf.maxPool(tf.relu(tf.add(tf.conv2d(t, w, 1, 1), b)), 2, 2, 0);
    const second = block(block(x, p["conv1"]!, p["bias1"]!), p["conv2"]!, p["bias2"]!);
    // Channels first before flattening, as the weights have it.
    const flat = tf.reshape(tf.transpose(second, [0, 3, 1, 2]), [model.batch, -1]);
    return tf.add(tf.matMul(flat, p["w"]!), p["b"]!);
  }
  const { layers, heads, width, length, vocabulary } = model.gpt!;
  const { batch } = model;
  const norm = (t: TfTensor, name: string): TfTensor => layerNorm(tf, t, p[`${name}w`]!, p[`${name}b`]!);
  const split = (t: TfTensor): TfTensor =>
    tf.transpose(tf.reshape(t, [batch, length, heads, width / heads]), [0, 2, 1, 3]);
  // Its WebAssembly has no gradient of a gather: rows of the table by a product with one-hot vectors.
  const tokens = tf.matMul(tf.cast(tf.oneHot(tf.reshape(x, [-1]), vocabulary), "float32"), p["tokens"]!);
  // Activations are rows of tokens: a product of three by two dimensions would be done as a batch.
  const spread = (t: TfTensor): TfTensor => tf.reshape(t, [batch, length, width]);
  const rows = (t: TfTensor): TfTensor => tf.reshape(t, [batch * length, -1]);
  let h = rows(tf.add(spread(tokens), p["positions"]!));
  for (let i = 0; i < layers; i++) {
    const [q, k, v] = tf.split(tf.matMul(norm(h, `${i}.norm1`), p[`${i}.qkv`]!), 3, 1).map(split);
    const mixed = rows(tf.transpose(attention(tf, q!, k!, v!), [0, 2, 1, 3]));
    h = tf.add(h, tf.matMul(mixed, p[`${i}.out`]!));
    const up = gelu(tf, tf.matMul(norm(h, `${i}.norm2`), p[`${i}.up`]!));
    h = tf.add(h, tf.matMul(up, p[`${i}.down`]!));
  }
  return tf.matMul(norm(h, "norm"), p["head"]!);
}

let made = 0;

/** Starts training on the backend that is set; without `tidy` nothing gives up the intermediate tensors of a step. */
export function startTfjs(tf: Tf, model: Model, start: readonly Float32Array[], tidy = true): Stepper {
  made++;
  const list = model.parameters.map(({ name, shape }, i) => {
    const given = tf.tensor(start[i]!, shape);
    const isFilter = shape.length === 4;
    const value = isFilter ? tf.transpose(given, [2, 3, 1, 0]) : given;
    const variable = tf.variable(value, true, `${model.id}.${made}.${name}`);
    return variable;
  });
  const p = named(model, list);
  const { lr, beta1, beta2, eps, weightDecay } = ADAMW;
  const optimizer = tf.train.adam(lr, beta1, beta2, eps);
  const classes = model.gpt?.vocabulary ?? 10;
  let last: TfTensor | null = null;
  return {
    step({ x, y }) {
      if (tidy) last?.dispose();
      const run = (): TfTensor => {
        const given = tf.tensor(x, model.xShape, x instanceof Int32Array ? "int32" : "float32");
        // One channel: only the shape differs between the two layouts.
        const input = model.kind === "cnn" ? tf.reshape(given, [model.batch, 28, 28, 1]) : given;
        const target = tf.cast(tf.oneHot(tf.tensor(y, [y.length], "int32"), classes), "float32");
        const { value, grads } = tf.variableGrads(
          () => tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(forward(tf, model, p, input)), target), 1))),
          list,
        );
        // AdamW is Adam after a decay of its own.
        for (const v of list) v.assign(tf.mul(v, 1 - lr * weightDecay));
        optimizer.applyGradients(grads);
        return value;
      };
      last = tidy ? tf.tidy(run) : run();
    },
    loss: async () => (await last!.data())[0]!,
    close() {
      last?.dispose();
      for (const v of list) v.dispose();
      optimizer.dispose();
    },
  };
}
