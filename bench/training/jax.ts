/** The models in jax-js: every array is used up by the function that it is given to, unless it says `ref`. */

import { attention, layerNorm } from "../subjects/jax.ts";
import type { Jax, JaxArray } from "../subjects/jax-api.ts";
import { ADAMW, type Model, type Stepper } from "./model.ts";

type Parameters = Record<string, JaxArray>;

/** Logits of a batch; uses up the parameters and x. */
function forward(jax: Jax, model: Model, p: Parameters, x: JaxArray): JaxArray {
  const { numpy: np, nn, lax } = jax;
  if (model.kind === "mlp") {
    const hidden = nn.relu(np.matmul(x, p["w0"]!).add(p["b0"]!));
    return np.matmul(hidden, p["w1"]!).add(p["b1"]!);
  }
  if (model.kind === "cnn") {
    const block = (t: JaxArray, w: JaxArray, b: JaxArray, channels: number, size: number): JaxArray => {
      const pads: [number, number][] = [
        [1, 1],
        [1, 1],
      ];
      const y = nn.relu(lax.conv(t, w, [1, 1], pads).add(b.reshape([channels, 1, 1])));
      return np.max(y.reshape([model.batch, channels, size / 2, 2, size / 2, 2]), [3, 5]);
    };
    const first = block(x, p["conv1"]!, p["bias1"]!, 16, 28);
    const second = block(first, p["conv2"]!, p["bias2"]!, 32, 14);
    return np.matmul(second.reshape([model.batch, 1568]), p["w"]!).add(p["b"]!);
  }
  const { layers, heads, width, length, vocabulary } = model.gpt!;
  const { batch } = model;
  const norm = (t: JaxArray, name: string): JaxArray => layerNorm(jax, t, p[`${name}w`]!, p[`${name}b`]!);
  const split = (t: JaxArray): JaxArray => t.reshape([batch, length, heads, width / heads]);
  // A product with one-hot vectors is faster here than a gather with its gradient.
  const tokens = np.matmul(nn.oneHot(x.reshape([batch * length]), vocabulary), p["tokens"]!);
  const rows = (t: JaxArray): JaxArray => t.reshape([batch * length, width]);
  let h = rows(tokens.reshape([batch, length, width]).add(p["positions"]!));
  for (let i = 0; i < layers; i++) {
    const qkv = np.matmul(norm(h.ref, `${i}.norm1`), p[`${i}.qkv`]!);
    const [q, k, v] = np.split(qkv, 3, 1).map(split);
    h = h.add(np.matmul(rows(attention(jax, q!, k!, v!)), p[`${i}.out`]!));
    const up = nn.gelu(np.matmul(norm(h.ref, `${i}.norm2`), p[`${i}.up`]!), { approximate: true });
    h = h.add(np.matmul(up, p[`${i}.down`]!));
  }
  return np.matmul(norm(h, "norm"), p["head"]!);
}

type State = { p: Parameters; m: Parameters; v: Parameters };

/** Starts training on the default device; with `jitted` the whole step is one compiled function. */
export function startJax(jax: Jax, model: Model, start: readonly Float32Array[], jitted: boolean): Stepper {
  const { numpy: np, nn } = jax;
  const { lr, beta1, beta2, eps, weightDecay } = ADAMW;
  const classes = model.gpt?.vocabulary ?? 10;
  const each = (make: (name: string, i: number) => JaxArray): Parameters =>
    Object.fromEntries(model.parameters.map(({ name }, i) => [name, make(name, i)]));
  let state: State = {
    p: each((_, i) => np.array(start[i]!, { shape: model.parameters[i]!.shape })),
    m: each((_, i) => np.zeros(model.parameters[i]!.shape)),
    v: each((_, i) => np.zeros(model.parameters[i]!.shape)),
  };
  const lossOf = (p: Parameters, x: JaxArray, y: JaxArray): JaxArray => {
    const logs = nn.logSoftmax(forward(jax, model, p, x), -1);
    return logs.mul(nn.oneHot(y, classes)).sum(-1).mean().neg();
  };
  /** Corrections of the two averages come as an array, since they change with every step. */
  const update = (p: Parameters, m: Parameters, v: Parameters, x: JaxArray, y: JaxArray, c: JaxArray): JaxArray[] => {
    const [loss, gradients] = jax.valueAndGrad(lossOf)(jax.tree.ref(p), x, y);
    const scale = c.ref.slice(0);
    const root = c.slice(1);
    const next = model.parameters.map(({ name }) => {
      const g = gradients[name]!;
      const mean = m[name]!.mul(beta1).add(g.ref.mul(1 - beta1));
      const square = v[name]!.mul(beta2).add(np.square(g).mul(1 - beta2));
      const denominator = np.sqrt(square.ref).mul(root.ref).add(eps);
      const value = p[name]!.mul(1 - lr * weightDecay).sub(mean.ref.mul(scale.ref).div(denominator));
      return [value, mean, square] as const;
    });
    scale.dispose();
    root.dispose();
    return [loss, ...next.map((n) => n[0]), ...next.map((n) => n[1]), ...next.map((n) => n[2])];
  };
  const run = jitted ? jax.jit(update) : update;
  const count = model.parameters.length;
  let last: JaxArray | null = null;
  let steps = 0;
  return {
    async step({ x, y }) {
      steps++;
      const corrections = new Float32Array([lr / (1 - beta1 ** steps), 1 / Math.sqrt(1 - beta2 ** steps)]);
      const [loss, ...rest] = run(
        state.p,
        state.m,
        state.v,
        np.array(x, { shape: model.xShape }),
        np.array(y, { shape: [y.length] }),
        np.array(corrections, { shape: [2] }),
      );
      last?.dispose();
      last = loss!;
      state = {
        p: each((_, i) => rest[i]!),
        m: each((_, i) => rest[count + i]!),
        v: each((_, i) => rest[2 * count + i]!),
      };
      // It is lazy: without this the work of all steps would pile up, unsent.
      await jax.blockUntilReady([loss!, ...rest]);
    },
    loss: async () => (await last!.ref.data())[0]!,
    close() {
      jax.tree.dispose(state);
      last?.dispose();
    },
  };
}
