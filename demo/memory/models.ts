/** Three small networks, and one training step of each: what the page draws the memory of. */

import * as tg from "#tapegrad";
import { F, nn, optim, utils, type Tensor } from "#tapegrad";

/** A network in training. */
export interface Training {
  /** Takes a step on a batch of its own, and gives its loss. */
  step(): Promise<number>;
}

/** A network that can be chosen. */
export interface Model {
  readonly title: string;
  /** `checkpointing` leaves out what blocks save for their derivatives: it is computed again on the way back. */
  start(checkpointing: boolean): Training;
}

/** A part of a network. */
type Block = (x: Tensor) => Tensor;

const BATCH = 64;
const CLASSES = 10;

/** Trains `parameters` so that `logits` of a batch `x` tell its classes. */
function train(
  parameters: readonly Tensor[],
  makeX: () => Tensor,
  rows: number,
  classes: number,
  logits: Block,
): Training {
  const optimizer = new optim.AdamW([...parameters], { lr: 1e-3 });
  return {
    async step() {
      const x = makeX();
      const y = tg.tensor(Int32Array.from({ length: rows }, (_, i) => i % classes));
      const loss = F.crossEntropy(logits(x), y);
      optimizer.zeroGrad();
      loss.backward();
      optimizer.step();
      return loss.item();
    },
  };
}

/** A batch that comes from the host, as data does; what the numbers are does not matter here. */
function hostBatch(shape: readonly number[]): Tensor {
  const count = shape.reduce((a, b) => a * b, 1);
  return tg.tensor(
    Float32Array.from({ length: count }, (_, i) => Math.sin(7 * i)),
    { shape: [...shape] },
  );
}

function perceptron(checkpointing: boolean): Training {
  const first = new nn.Linear(64, 256);
  const second = new nn.Linear(256, 256);
  const third = new nn.Linear(256, 256);
  const head = new nn.Linear(256, CLASSES);
  const blocks: Block[] = [
    (x) => first.forward(x).relu(),
    (x) => second.forward(x).tanh(),
    (x) => F.gelu(third.forward(x)),
  ];
  return train(
    [first, second, third, head].flatMap((layer) => [...layer.parameters()]),
    () => hostBatch([BATCH, 64]),
    BATCH,
    CLASSES,
    (x) => head.forward(through(blocks, x, checkpointing)),
  );
}

function convolutions(checkpointing: boolean): Training {
  const first = new nn.Conv2d(1, 8, 3, { padding: 1 });
  const second = new nn.Conv2d(8, 16, 3, { padding: 1 });
  const head = new nn.Linear(16 * 4 * 4, CLASSES);
  const blocks: Block[] = [
    (x) => F.maxPool2d(first.forward(x).relu(), 2),
    (x) => F.maxPool2d(second.forward(x).relu(), 2),
  ];
  return train(
    [first, second, head].flatMap((layer) => [...layer.parameters()]),
    () => hostBatch([16, 1, 16, 16]),
    16,
    CLASSES,
    (x) => head.forward(through(blocks, x, checkpointing).flatten(1)),
  );
}

const VOCABULARY = 32;
const LENGTH = 32;
const WIDTH = 32;
const HEADS = 4;

function transformer(checkpointing: boolean): Training {
  const tokens = new nn.Embedding(VOCABULARY, WIDTH);
  const norms = [new nn.LayerNorm(WIDTH), new nn.LayerNorm(WIDTH)] as const;
  const qkv = new nn.Linear(WIDTH, 3 * WIDTH);
  const out = new nn.Linear(WIDTH, WIDTH);
  const up = new nn.Linear(WIDTH, 4 * WIDTH);
  const down = new nn.Linear(4 * WIDTH, WIDTH);
  const head = new nn.Linear(WIDTH, VOCABULARY);
  const attention: Block = (x) => {
    const split = (t: Tensor): Tensor => t.reshape(-1, LENGTH, HEADS, WIDTH / HEADS).transpose(1, 2);
    const [q, k, v] = qkv.forward(norms[0].forward(x)).chunk(3, -1).map(split);
    const mixed = F.scaledDotProductAttention(q!, k!, v!, { isCausal: true });
    return x.add(out.forward(mixed.transpose(1, 2).reshape(-1, LENGTH, WIDTH)));
  };
  const feedForward: Block = (x) => x.add(down.forward(F.gelu(up.forward(norms[1].forward(x)))));
  const rows = 4 * LENGTH;
  return train(
    [tokens, ...norms, qkv, out, up, down, head].flatMap((layer) => [...layer.parameters()]),
    () => tg.tensor(Int32Array.from({ length: rows }, (_, i) => (7 * i) % VOCABULARY)).reshape(4, LENGTH),
    rows,
    VOCABULARY,
    (x) => {
      const h = through([attention, feedForward], tokens.forward(x), checkpointing);
      return head.forward(h).reshape(rows, VOCABULARY);
    },
  );
}

/** x through blocks one after the other. */
function through(blocks: readonly Block[], x: Tensor, checkpointing: boolean): Tensor {
  return blocks.reduce((h, block) => (checkpointing ? utils.checkpoint(block, h) : block(h)), x);
}

/** The networks, by the name that the address gives them. */
export const MODELS: Readonly<Record<string, Model>> = {
  mlp: { title: "Perceptron, three hidden layers", start: perceptron },
  cnn: { title: "Two convolutions", start: convolutions },
  gpt: { title: "GPT block", start: transformer },
};

/** Steps before the one that is drawn: by then the optimiser has its state, and the plans are made. */
const WARM_STEPS = 3;

/** The timeline of a step of a network, once its training is under way. */
export async function timelineOf(name: string, checkpointing: boolean): Promise<tg.MemoryTimeline<number>> {
  const model = MODELS[name];
  if (model === undefined) throw new Error(`?model=${name}: the model must be ${Object.keys(MODELS).join(", ")}`);
  tg.manualSeed(0);
  tg.setDebugMode(true);
  try {
    const { step } = model.start(checkpointing);
    for (let i = 0; i < WARM_STEPS; i++) await step();
    return await tg.memoryTimeline(step);
  } finally {
    tg.setDebugMode(false);
  }
}
