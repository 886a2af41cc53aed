/** Models that every library trains: the same parameters to start from, the same batches, the same optimiser. */

import { draw, words, type HostArray } from "../support/random.ts";
import { product } from "../workloads/workload.ts";

/** AdamW's settings, as PyTorch names them. */
export const ADAMW = { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 } as const;

/** One parameter: where it starts from. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Standard deviation of normal numbers, or "ones" or "zeros". */
  readonly start: number | "ones" | "zeros";
}

/** What a step is given. */
export interface Batch {
  readonly x: HostArray;
  /** Classes, one an example. */
  readonly y: Int32Array;
}

/** A transformer's sizes. */
export interface GptSizes {
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly length: number;
  readonly vocabulary: number;
}

export interface Model {
  readonly id: string;
  readonly title: string;
  readonly kind: "mlp" | "cnn" | "gpt";
  readonly gpt: GptSizes | null;
  readonly batch: number;
  readonly xShape: readonly number[];
  readonly parameters: readonly ParameterSpec[];
  /** Arithmetic operations of forward and backward, at least. */
  readonly flops: number;
  readonly quick: boolean;
  /** Hopeless without a GPU. */
  readonly large: boolean;
  makeBatch(seed: number): Batch;
}

/** The parameters to start from, in order. */
export function startOf(model: Model): Float32Array[] {
  return model.parameters.map(({ shape, start }, i) => {
    const count = product(shape);
    if (start === "ones") return new Float32Array(count).fill(1);
    if (start === "zeros") return new Float32Array(count);
    return draw({ kind: "normal", scale: start }, count, 77 + i) as Float32Array;
  });
}

const CLASSES = 10;

/** Noisy copies of ten fixed patterns, so that there is something to learn. */
function patterns(batch: number, size: number, seed: number): Batch {
  const prototypes = draw({ kind: "normal" }, CLASSES * size, 5);
  const y = draw({ kind: "index", below: CLASSES }, batch, seed) as Int32Array;
  const x = draw({ kind: "normal" }, batch * size, seed + 1) as Float32Array;
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < size; i++) x[b * size + i]! += 0.2 * prototypes[y[b]! * size + i]!;
  return { x, y };
}

/** A perceptron with these sizes, of which the last is the number of classes (ten, as the data has). */
export function mlp(layers: readonly number[], batch: number): Model {
  const parameters = layers.slice(1).flatMap((out, i): ParameterSpec[] => [
    { name: `w${i}`, shape: [layers[i]!, out], start: Math.sqrt(2 / layers[i]!) },
    { name: `b${i}`, shape: [out], start: "zeros" },
  ]);
  return {
    id: `mlp-${layers.join("-")}-b${batch}`,
    title: `perceptron ${layers.join("-")}, batch ${batch}`,
    kind: "mlp",
    gpt: null,
    batch,
    xShape: [batch, layers[0]!],
    parameters,
    // The gradient of the first layer's input is not needed.
    flops: layers.slice(1).reduce((sum, out, i) => sum + 2 * batch * layers[i]! * out * (i === 0 ? 2 : 3), 0),
    quick: true,
    large: false,
    makeBatch: (seed) => patterns(batch, layers[0]!, seed),
  };
}

function cnn(batch: number): Model {
  const parameters: ParameterSpec[] = [
    { name: "conv1", shape: [16, 1, 3, 3], start: Math.sqrt(2 / 9) },
    { name: "bias1", shape: [16], start: "zeros" },
    { name: "conv2", shape: [32, 16, 3, 3], start: Math.sqrt(2 / 144) },
    { name: "bias2", shape: [32], start: "zeros" },
    { name: "w", shape: [1568, 10], start: Math.sqrt(1 / 1568) },
    { name: "b", shape: [10], start: "zeros" },
  ];
  return {
    id: `cnn-28x28-b${batch}`,
    title: `two convolutions, two poolings and a linear layer on 28x28 images, batch ${batch}`,
    kind: "cnn",
    gpt: null,
    batch,
    xShape: [batch, 1, 28, 28],
    parameters,
    flops: 2 * batch * (784 * 16 * 9 * 2 + 196 * 32 * 144 * 3 + 1568 * 10 * 3),
    quick: false,
    large: false,
    makeBatch: (seed) => patterns(batch, 784, seed),
  };
}

function gpt(id: string, batch: number, sizes: GptSizes, quick: boolean, large: boolean): Model {
  const { layers, width, length, vocabulary } = sizes;
  const linear = (name: string, from: number, to: number, start = 0.02): ParameterSpec => ({
    name,
    shape: [from, to],
    start,
  });
  const norm = (name: string): ParameterSpec[] => [
    { name: `${name}w`, shape: [width], start: "ones" },
    { name: `${name}b`, shape: [width], start: "zeros" },
  ];
  const parameters = [
    linear("tokens", vocabulary, width),
    linear("positions", length, width),
    ...Array.from({ length: layers }, (_, i) => [
      ...norm(`${i}.norm1`),
      linear(`${i}.qkv`, width, 3 * width),
      linear(`${i}.out`, width, width, 0.02 / Math.sqrt(2 * layers)),
      ...norm(`${i}.norm2`),
      linear(`${i}.up`, width, 4 * width),
      linear(`${i}.down`, 4 * width, width, 0.02 / Math.sqrt(2 * layers)),
    ]).flat(),
    ...norm("norm"),
    linear("head", width, vocabulary),
  ];
  const tokens = batch * length;
  return {
    id,
    title: `character transformer: ${layers} layers, width ${width}, length ${length}, batch ${batch}`,
    kind: "gpt",
    gpt: sizes,
    batch,
    xShape: [batch, length],
    parameters,
    flops: 3 * (2 * tokens * (layers * 12 * width * width + width * vocabulary) + layers * 2 * tokens * length * width),
    quick,
    large,
    makeBatch(seed) {
      // Text in which a character depends on the one before, most of the time.
      const next = words(seed);
      const text = new Int32Array(tokens + batch);
      for (let i = 0; i < text.length; i++)
        text[i] = i > 0 && next() % 4 !== 0 ? (text[i - 1]! * 7 + 3) % vocabulary : next() % vocabulary;
      const x = new Int32Array(tokens);
      const y = new Int32Array(tokens);
      for (let b = 0; b < batch; b++)
        for (let t = 0; t < length; t++) {
          x[b * length + t] = text[b * (length + 1) + t]!;
          y[b * length + t] = text[b * (length + 1) + t + 1]!;
        }
      return { x, y };
    },
  };
}

export const MODELS: readonly Model[] = [
  mlp([784, 256, 10], 128),
  cnn(256),
  gpt("gpt-4x128-T64-b12", 12, { layers: 4, heads: 4, width: 128, length: 64, vocabulary: 65 }, true, false),
  gpt("gpt-6x384-T256-b64", 64, { layers: 6, heads: 6, width: 384, length: 256, vocabulary: 65 }, false, true),
];

/** A library training a model. */
export interface Trainer {
  /** Takes a step on each of the batches, which are still on the host, and reads the loss of the last one. */
  train(batches: readonly Batch[]): Promise<{ readonly loss: number; readonly seconds?: number }>;
  close(): void;
}

/** A trainer that takes its steps one by one. */
export interface Stepper {
  step(batch: Batch): Promise<void> | void;
  /** The loss of the last step. */
  loss(): Promise<number>;
  close(): void;
}

/** A stepper as a trainer. */
export function stepping({ step, loss, close }: Stepper): Trainer {
  return {
    async train(batches) {
      for (const batch of batches) {
        const pending = step(batch);
        if (pending !== undefined) await pending;
      }
      return { loss: await loss() };
    },
    close,
  };
}

/** Who can train. */
export interface TrainerFactory {
  readonly name: string;
  readonly library: "tapegrad" | "tfjs" | "jax-js" | "pytorch";
  readonly version: string;
  readonly threads: number;
  readonly isCeiling?: boolean;
  start(model: Model, parameters: readonly Float32Array[]): Promise<Trainer> | Trainer;
  close?(): void;
}

/** Parameters by name. */
export function named<T>(model: Model, values: readonly T[]): Record<string, T> {
  return Object.fromEntries(model.parameters.map(({ name }, i) => [name, values[i]!]));
}
