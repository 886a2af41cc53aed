/** The models in Tapegrad. */

import type * as Tapegrad from "#tapegrad";
import { ADAMW, named, type Model, type Stepper } from "./model.ts";

type Tensor = Tapegrad.Tensor;
type Parameters = Readonly<Record<string, Tensor>>;

interface Later {
  conv2d?(x: Tensor, weight: Tensor, bias: Tensor, options: { padding: number }): Tensor;
  maxPool2d?(x: Tensor, size: number): Tensor;
  scaledDotProductAttention?(q: Tensor, k: Tensor, v: Tensor, options: { isCausal: boolean }): Tensor;
}

function pool(later: Later, x: Tensor): Tensor {
  if (later.maxPool2d !== undefined) return later.maxPool2d(x, 2);
  const [n, c, h, w] = x.shape as [number, number, number, number];
  return x.reshape(n, c, h / 2, 2, w / 2, 2).amax([3, 5]);
}

/** Causal attention over [B, H, T, D]. */
function attend(tg: typeof Tapegrad, later: Later, q: Tensor, k: Tensor, v: Tensor): Tensor {
  if (later.scaledDotProductAttention !== undefined)
    return later.scaledDotProductAttention(q, k, v, { isCausal: true });
  const [length, width] = q.shape.slice(-2) as [number, number];
  const hidden = tg.ones(length, length, { device: q.device }).triu(1).bool();
  return q
    .matmul(k.mT)
    .mul(1 / Math.sqrt(width))
    .maskedFill(hidden, -Infinity)
    .softmax(-1)
    .matmul(v);
}

/** Logits of a batch. */
function forward(tg: typeof Tapegrad, model: Model, p: Parameters, x: Tensor): Tensor {
  const later = tg.F as Later & typeof tg.F;
  if (model.kind === "mlp") {
    const hidden = x.matmul(p["w0"]!).add(p["b0"]!).relu();
    return hidden.matmul(p["w1"]!).add(p["b1"]!);
  }
  if (model.kind === "cnn") {
    if (later.conv2d === undefined) throw new Error("not yet: conv2d");
    const first = pool(later, later.conv2d(x, p["conv1"]!, p["bias1"]!, { padding: 1 }).relu());
    const second = pool(later, later.conv2d(first, p["conv2"]!, p["bias2"]!, { padding: 1 }).relu());
    return second.flatten(1).matmul(p["w"]!).add(p["b"]!);
  }
  const { layers, heads, width, length, vocabulary } = model.gpt!;
  const norm = (t: Tensor, name: string): Tensor => tg.F.layerNorm(t, [width], p[`${name}w`], p[`${name}b`]);
  const split = (t: Tensor): Tensor => t.reshape(model.batch, length, heads, width / heads).transpose(1, 2);
  let h = tg.F.embedding(x, p["tokens"]!).add(p["positions"]!);
  for (let i = 0; i < layers; i++) {
    const [q, k, v] = norm(h, `${i}.norm1`).matmul(p[`${i}.qkv`]!).chunk(3, -1).map(split);
    const mixed = attend(tg, later, q!, k!, v!).transpose(1, 2).reshape(model.batch, length, width);
    h = h.add(mixed.matmul(p[`${i}.out`]!));
    const up = tg.F.gelu(norm(h, `${i}.norm2`).matmul(p[`${i}.up`]!), { approximate: "tanh" });
    h = h.add(up.matmul(p[`${i}.down`]!));
  }
  return norm(h, "norm").matmul(p["head"]!).reshape(-1, vocabulary);
}

/** Starts training on the device that `init` was called for; `compiled` wraps the loss in `compile`. */
export function startTapegrad(
  tg: typeof Tapegrad,
  model: Model,
  start: readonly Float32Array[],
  compiled = false,
): Stepper {
  const list = model.parameters.map(({ shape }, i) => tg.tensor(start[i]!, { shape, requiresGrad: true }));
  const p = named(model, list);
  const { lr, beta1, beta2, eps, weightDecay } = ADAMW;
  const optimizer = new tg.optim.AdamW(list, { lr, betas: [beta1, beta2], eps, weightDecay });
  const plain = (x: Tensor, y: Tensor): Tensor => tg.F.crossEntropy(forward(tg, model, p, x), y);
  const lossOf = compiled ? tg.compile(plain) : plain;
  let last: Tensor | null = null;
  return {
    step({ x, y }) {
      const loss = lossOf(tg.asTensor(x, { shape: model.xShape }), tg.asTensor(y));
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      last = loss;
    },
    loss: () => last!.item(),
    close() {},
  };
}
