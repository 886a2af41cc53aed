/** What is measured: an operation, the sizes of its inputs, what it costs at least, and how its result is checked. */

import type { Distribution, HostArray } from "../support/random.ts";

/** The operation, in words that every subject has a table for. */
export type Task =
  /** [a, b] -> [a @ b]; `transposeA`: a is stored as its transpose. */
  | { readonly op: "matmul"; readonly transposeA: boolean }
  /** [x NCHW, w OIHW] -> [y]. */
  | { readonly op: "conv2d"; readonly stride: number; readonly padding: number }
  /** [x, w, g of y's shape] -> [y, dx, dw]. */
  | { readonly op: "conv2dBackward"; readonly stride: number; readonly padding: number }
  | { readonly op: "add" }
  /** The approximation by tanh, which every subject has. */
  | { readonly op: "gelu" }
  /** [x [rows, columns], b [columns]] -> [x + b]. */
  | { readonly op: "biasAdd" }
  /** [x, y] -> ten elementwise operations (see `chain`). */
  | { readonly op: "chain" }
  /**
   * [p, g, m, r], where r squared is the average of squares -> [p, m, average of squares] after a step of AdamW: p shrinks by `keep`; `size` has the
   * correction of m in it; `root` is that of the square root.
   */
  | ({ readonly op: "adamw" } & Readonly<Record<"keep" | "size" | "beta1" | "beta2" | "root" | "eps", number>>)
  | { readonly op: "softmax" }
  /** [x, weight, bias] -> [y]. */
  | { readonly op: "layerNorm" }
  /** [x, weight, bias, g] -> [y, dx, dweight, dbias]. */
  | { readonly op: "layerNormBackward" }
  | { readonly op: "sum" }
  | { readonly op: "cumsum" }
  | { readonly op: "sort" }
  /** [x] -> the largest `k` elements, in order. */
  | { readonly op: "topk"; readonly k: number }
  /** [q, k, v], each [B, H, T, D] -> [softmax(q k' / sqrt(D), causal) v]. */
  | { readonly op: "attention" }
  /** [q, k, v, g] -> [y, dq, dk, dv]. */
  | { readonly op: "attentionBackward" }
  /** [indices, g [count, width]] -> [gradient of the table [vocabulary, width]]. */
  | { readonly op: "embeddingBackward"; readonly vocabulary: number }
  /** [x] -> `count` operations on few elements, each needing the one before. */
  | { readonly op: "tiny"; readonly count: number };

export type FloatType = "float32" | "float16";

export type OpName = Task["op"];

/** The task of one operation. */
export type TaskOf<K extends OpName> = Extract<Task, { readonly op: K }>;

/** One input. */
export interface InputSpec {
  readonly shape: readonly number[];
  readonly distribution: Distribution;
}

/** One row of the benchmark. */
export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly task: Task;
  readonly inputs: readonly InputSpec[];
  /** Of inputs but indices, and of results; float32 if not given. */
  readonly dtype?: FloatType;
  /** Arithmetic operations at least (a multiply-add counts as two). */
  readonly flops: number;
  /** Bytes at least: every input read once, every result written once. */
  readonly bytes: number;
  /** What the operation is bound by on hardware as it is: it decides which ceiling a share refers to. */
  readonly bound: "compute" | "memory" | "overhead";
  /** In the short run of the benchmark. */
  readonly quick: boolean;
  /** Compares results with float64: the largest error in units of the tolerance, so that 1 and less pass. */
  check(inputs: readonly HostArray[], outputs: readonly Float32Array[]): number;
}

/** Product of sizes. */
export function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

const NORMAL: Distribution = { kind: "normal" };

/** A normal input of a shape. */
export function normal(shape: readonly number[], scale = 1): InputSpec {
  return { shape, distribution: scale === 1 ? NORMAL : { kind: "normal", scale } };
}

/** Bytes of inputs and results of four-byte elements. */
export function bytesOf(inputs: readonly InputSpec[], results: readonly (readonly number[])[]): number {
  const all = [...inputs.map((i) => i.shape), ...results];
  return 4 * all.reduce((sum, shape) => sum + product(shape), 0);
}

/** Sizes in a title: 1024x1003x997. */
export function by(...sizes: readonly number[]): string {
  return sizes.join("x");
}
