/** Batches of a dataset, in order or at random. */

import { checkInteger, describeValue, integers, parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError } from "../errors.ts";
import { isTensor } from "../ops/apply.ts";
import { tensor } from "../ops/creation.ts";
import { stack } from "../ops/join.ts";
import { rand, randint, randperm } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import type { Dataset } from "./dataset.ts";

const RANDOM = signature<{ replacement?: boolean; numSamples?: number }>()("RandomSampler", [
  "replacement",
  "numSamples",
]);

/** Numbers of samples in some order. */
export interface Sampler extends Iterable<number> {
  /** How many numbers one pass gives. */
  readonly length: number;
}

/** 0, 1, 2, ... */
export class SequentialSampler implements Sampler {
  readonly length: number;
  constructor(dataset: { readonly length: number }) {
    this.length = dataset.length;
  }
  /** Numbers from 0 up. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let i = 0; i < this.length; i++) yield i;
  }
}

/** All numbers in random order; with `replacement`, `numSamples` independent ones. Each iteration draws anew. */
export class RandomSampler implements Sampler {
  readonly length: number;
  readonly #size: number;
  readonly #replacement: boolean;
  constructor(dataset: { readonly length: number }, ...args: ArgsOf<typeof RANDOM>) {
    const options = parse(RANDOM, args);
    this.#size = dataset.length;
    this.#replacement = options.replacement ?? false;
    this.length = options.numSamples ?? dataset.length;
    if (!this.#replacement && this.length > this.#size)
      throw new ArgumentError(`RandomSampler: ${this.length} samples of ${this.#size} need replacement: true`);
  }
  /** Numbers drawn anew from the CPU generator. */
  *[Symbol.iterator](): IterableIterator<number> {
    if (this.length === 0) return;
    const place = { device: "cpu" };
    const drawn = this.#replacement ? randint(0, this.#size, [this.length], place) : randperm(this.#size, place);
    yield* drawn.dataSync().subarray(0, this.length);
  }
}

/** The numbers given, in random order. */
export class SubsetRandomSampler implements Sampler {
  readonly length: number;
  readonly #indices: readonly number[];
  constructor(indices: readonly number[]) {
    this.#indices = integers("SubsetRandomSampler", "indices", indices);
    this.length = this.#indices.length;
  }
  /** The numbers given, shuffled anew. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (const i of randperm(this.length, { device: "cpu" }).dataSync()) yield this.#indices[i]!;
  }
}

/** `numSamples` numbers drawn with probabilities proportional to the weights, with replacement. */
export class WeightedRandomSampler implements Sampler {
  readonly length: number;
  readonly #sums: Float64Array;
  constructor(weights: readonly number[], numSamples: number) {
    if (!Array.isArray(weights) || !weights.every((w) => typeof w === "number"))
      throw new ArgumentError(
        `WeightedRandomSampler: weights must be an array of numbers, got ${describeValue(weights)}`,
      );
    if (checkInteger("WeightedRandomSampler", "numSamples", numSamples) < 0)
      throw new ArgumentError(`WeightedRandomSampler: numSamples must not be negative, got ${numSamples}`);
    if (weights.length === 0 || weights.some((w) => !(w >= 0)))
      throw new ArgumentError("WeightedRandomSampler: weights must not be negative");
    this.length = numSamples;
    let sum = 0;
    this.#sums = Float64Array.from(weights, (w) => (sum += w));
    if (sum === 0) throw new ArgumentError("WeightedRandomSampler: all weights are zero");
  }
  /** Numbers drawn anew by weight. */
  *[Symbol.iterator](): IterableIterator<number> {
    const total = this.#sums[this.#sums.length - 1]!;
    for (const u of rand(this.length, { device: "cpu" }).dataSync()) yield this.#sums.findIndex((s) => u * total < s);
  }
}

/** Numbers of a sampler in groups of `batchSize`. */
export class BatchSampler implements Iterable<number[]> {
  /** Where the numbers come from. */
  readonly sampler: Sampler;
  /** Numbers a batch. */
  readonly batchSize: number;
  /** Whether a last batch that is not full is left out. */
  readonly dropLast: boolean;
  constructor(sampler: Sampler, batchSize: number, dropLast: boolean) {
    if (!Number.isInteger(batchSize) || batchSize < 1)
      throw new ArgumentError(`BatchSampler: batchSize must be a positive integer, got ${describeValue(batchSize)}`);
    if (typeof dropLast !== "boolean")
      throw new ArgumentError(`BatchSampler: dropLast must be a boolean, got ${describeValue(dropLast)}`);
    this.sampler = sampler;
    this.batchSize = batchSize;
    this.dropLast = dropLast;
  }
  /** Number of batches. */
  get length(): number {
    const batches = this.sampler.length / this.batchSize;
    return this.dropLast ? Math.floor(batches) : Math.ceil(batches);
  }
  /** Batches of one pass of the sampler. */
  *[Symbol.iterator](): IterableIterator<number[]> {
    let batch: number[] = [];
    for (const index of this.sampler) {
      batch.push(index);
      if (batch.length < this.batchSize) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0 && !this.dropLast) yield batch;
  }
}

/** Samples as a batch: tensors are stacked, numbers become a tensor, arrays and objects are taken apart; anything else stays a list. */
export function defaultCollate(samples: readonly unknown[]): unknown {
  if (!Array.isArray(samples))
    throw new ArgumentError(`defaultCollate: expected an array of samples, got ${describeValue(samples)}`);
  const [first] = samples as readonly unknown[];
  if (isTensor(first)) return stack(samples as readonly Tensor[]);
  if (typeof first === "number" || typeof first === "boolean") {
    const integers = samples.every((s) => Number.isInteger(s));
    return typeof first === "number" && integers
      ? tensor(samples as number[], { dtype: "int32" })
      : tensor(samples as number[]);
  }
  if (Array.isArray(first))
    return (first as unknown[]).map((_, i) => defaultCollate(samples.map((s) => (s as unknown[])[i])));
  if (typeof first === "object" && first !== null && Object.getPrototypeOf(first) === Object.prototype)
    return Object.fromEntries(
      Object.keys(first).map((key) => [key, defaultCollate(samples.map((s) => (s as Record<string, unknown>)[key]))]),
    );
  return samples;
}

/** Options of `DataLoader`. */
export interface DataLoaderOptions {
  /** Samples a batch. Default: 1. */
  batchSize?: number;
  /** Whether each pass goes through the samples in a new random order. Default: false. */
  shuffle?: boolean;
  /** Order of the samples, in place of `shuffle`. */
  sampler?: Sampler;
  /** Numbers of the samples of each batch, in place of `batchSize`, `shuffle`, `sampler` and `dropLast`. */
  batchSampler?: Iterable<number[]> & {
    /** Number of batches. */
    readonly length: number;
  };
  /** Makes a batch of a list of samples. Default: `dataset.batch`, or `defaultCollate` where the dataset has none. */
  collateFn?: (samples: readonly never[]) => unknown;
  /** Whether a last batch that is not full is left out. Default: false. */
  dropLast?: boolean;
}

const LOADER = signature<DataLoaderOptions>()(
  "DataLoader",
  ["batchSize", "shuffle", "sampler", "batchSampler"],
  ["collateFn", "dropLast"],
);

/** Batches of a dataset: `for await (const [x, y] of new data.DataLoader(dataset, { batchSize: 64, shuffle: true }))`. */
export class DataLoader<B = Tensor[]> implements AsyncIterable<B> {
  /** Where the samples come from. */
  readonly dataset: Dataset;
  /** Numbers of the samples of each batch. */
  readonly batchSampler: Iterable<number[]> & {
    /** Number of batches. */
    readonly length: number;
  };
  readonly #collate: ((samples: readonly unknown[]) => unknown) | null;

  constructor(dataset: Dataset, ...args: ArgsOf<typeof LOADER>) {
    const options = parse(LOADER, args);
    if (typeof dataset?.length !== "number" || typeof dataset.get !== "function")
      throw new ArgumentError(
        `DataLoader: the first argument must be a dataset, with a length and get(index), got ${describeValue(dataset)}; wrap tensors in new data.TensorDataset(...)`,
      );
    const { batchSize = 1, shuffle = false, sampler, batchSampler, collateFn, dropLast = false } = options;
    if (batchSampler !== undefined && (options.batchSize !== undefined || shuffle || sampler !== undefined || dropLast))
      throw new ArgumentError("DataLoader: batchSampler excludes batchSize, shuffle, sampler and dropLast");
    if (sampler !== undefined && shuffle) throw new ArgumentError("DataLoader: sampler excludes shuffle");
    this.dataset = dataset;
    const order = sampler ?? (shuffle ? new RandomSampler(dataset) : new SequentialSampler(dataset));
    this.batchSampler = batchSampler ?? new BatchSampler(order, batchSize, dropLast);
    this.#collate = (collateFn as ((samples: readonly unknown[]) => unknown) | undefined) ?? null;
  }

  /** Number of batches. */
  get length(): number {
    return this.batchSampler.length;
  }

  /** Fails: samples may be promises, so batches are waited for. */
  [Symbol.iterator](): never {
    throw new ArgumentError("DataLoader: batches come asynchronously: write for await (const batch of loader)");
  }

  /** Batches of one pass. */
  async *[Symbol.asyncIterator](): AsyncIterator<B> {
    for (const indices of this.batchSampler) {
      if (this.#collate === null && this.dataset.batch !== undefined) {
        yield this.dataset.batch(indices) as B;
        continue;
      }
      const samples = await Promise.all(indices.map((i) => this.dataset.get(i)));
      yield (this.#collate ?? defaultCollate)(samples) as B;
    }
  }
}
