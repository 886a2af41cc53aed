/** Datasets: samples by number. */

import { describeValue, integers } from "../args.ts";
import { checkTensor } from "../ops/apply.ts";
import { ArgumentError, IndexError, ShapeError } from "../errors.ts";
import { showShape } from "../graph/view.ts";
import { fromHost } from "../ops/creation.ts";
import { randperm } from "../random.ts";
import type { Tensor } from "../tensor.ts";

/** Samples 0 to `length - 1`. */
export abstract class Dataset<T = unknown> {
  /** Number of samples. */
  abstract get length(): number;
  /** One sample. */
  abstract get(index: number): T | Promise<T>;
  /** Several samples as one batch, where that is cheaper than one by one; else undefined. */
  batch?(indices: readonly number[]): unknown;
}

function checked(name: string, index: number, length: number): number {
  if (!Number.isInteger(index))
    throw new IndexError(`${name}: the index must be an integer, got ${describeValue(index)}`);
  const at = index < 0 ? index + length : index;
  if (at < 0 || at >= length) throw new IndexError(`${name}: index ${index} is out of range for ${length} samples`);
  return at;
}

/** Rows of tensors of the same first size. */
export class TensorDataset extends Dataset<Tensor[]> {
  /** The tensors; sample i is row i of each. */
  readonly tensors: readonly Tensor[];
  constructor(...tensors: readonly Tensor[]) {
    super();
    if (tensors.length === 0) throw new ArgumentError("TensorDataset: expected at least one tensor");
    tensors.forEach((t, i) => checkTensor("TensorDataset", `tensor ${i}`, t));
    for (const t of tensors)
      if (t.dim() === 0 || t.shape[0] !== tensors[0]!.shape[0])
        throw new ShapeError(
          `TensorDataset: size mismatch between tensors: ${tensors.map((x) => showShape(x.shape)).join(", ")}`,
        );
    this.tensors = tensors;
  }
  override get length(): number {
    return this.tensors[0]!.shape[0]!;
  }
  override get(index: number): Tensor[] {
    const at = checked("TensorDataset", index, this.length);
    return this.tensors.map((t) => t.select(0, at));
  }
  /** One gather a tensor. */
  override batch(indices: readonly number[]): Tensor[] {
    return this.tensors.map((t) =>
      t.indexSelect(0, fromHost(t.impl.backend, Int32Array.from(indices), [indices.length], "int32")),
    );
  }
}

/** Some samples of a dataset. */
export class Subset<T> extends Dataset<T> {
  /** The dataset that the samples come from. */
  readonly dataset: Dataset<T>;
  /** Numbers of the samples in that dataset. */
  readonly indices: readonly number[];
  constructor(dataset: Dataset<T>, indices: readonly number[]) {
    super();
    this.dataset = dataset;
    this.indices = integers("Subset", "indices", indices);
    if (dataset.batch !== undefined) this.batch = (list) => dataset.batch!(list.map((i) => this.indices[i]!));
  }
  override get length(): number {
    return this.indices.length;
  }
  override get(index: number): T | Promise<T> {
    return this.dataset.get(this.indices[checked("Subset", index, this.length)]!);
  }
}

/** Datasets one behind the other. */
export class ConcatDataset<T> extends Dataset<T> {
  /** The datasets, in their order. */
  readonly datasets: readonly Dataset<T>[];
  constructor(datasets: readonly Dataset<T>[]) {
    super();
    if (datasets.length === 0) throw new ArgumentError("ConcatDataset: expected at least one dataset");
    this.datasets = datasets;
  }
  override get length(): number {
    return this.datasets.reduce((n, d) => n + d.length, 0);
  }
  override get(index: number): T | Promise<T> {
    let at = checked("ConcatDataset", index, this.length);
    for (const dataset of this.datasets) {
      if (at < dataset.length) return dataset.get(at);
      at -= dataset.length;
    }
    throw new IndexError(`ConcatDataset: there is no sample ${index}`);
  }
}

/** A dataset in random parts of the lengths given, or of fractions that add up to 1. */
export function randomSplit<T>(dataset: Dataset<T>, lengths: readonly number[]): Subset<T>[] {
  const n = dataset.length;
  if (!Array.isArray(lengths) || !lengths.every((l) => typeof l === "number" && l >= 0))
    throw new ArgumentError(
      `randomSplit: lengths must be an array of numbers that are not negative, got ${describeValue(lengths)}`,
    );
  const total = lengths.reduce((a, b) => a + b, 0);
  let sizes = [...lengths];
  if (Math.abs(total - 1) < 1e-9 && lengths.every((f) => f >= 0 && f <= 1)) {
    sizes = lengths.map((f) => Math.floor(n * f));
    // What rounding left goes to the first parts.
    for (let i = 0, rest = n - sizes.reduce((a, b) => a + b, 0); rest > 0; i = (i + 1) % sizes.length, rest--)
      sizes[i]!++;
  } else if (total !== n)
    throw new ArgumentError(`randomSplit: the lengths add up to ${total}, but the dataset has ${n} samples`);
  const order = Array.from(randperm(n, { device: "cpu" }).dataSync());
  let start = 0;
  return sizes.map((size) => new Subset(dataset, order.slice(start, (start += size))));
}
