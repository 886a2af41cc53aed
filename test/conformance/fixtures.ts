/**
 * Samples of PyTorch's operator test database with the numbers that PyTorch gives, made by test/generate/ops.py.
 *
 * The file is an object of op name to samples. A sample has `args` and `kwargs` (inputs, float32 values), `out` (results, computed in
 * float64), and where the op is differentiable `grads` and `grads2`: gradients, for every input marked `g` in order, of
 * the sum of the results weighted by `weights(shape, number of the result)`; and gradients of the sum of those gradients weighted by
 * `weights(shape, 5 + number of the input)`. A tensor is { t: shape, dt: dtype, d: row-major data, g: requires grad }.
 */

/** A number; NaN and infinities by name. */
export type FixtureNumber = number | "nan" | "inf" | "-inf" | boolean;

/** A tensor of a fixture. */
export interface FixtureTensor {
  readonly t: readonly number[];
  readonly dt: "float32" | "int32" | "bool" | "uint8" | "float16";
  readonly d: readonly FixtureNumber[];
  readonly g?: true;
}

/** An argument of a sample. */
export type FixtureValue =
  | FixtureTensor
  | { readonly slice: readonly [number | null, number | null, number | null] }
  | { readonly ellipsis: true }
  | { readonly dtype: string }
  | number
  | boolean
  | string
  | null
  | readonly FixtureValue[];

/** One call and what PyTorch gives for it. */
export interface FixtureSample {
  readonly args: readonly FixtureValue[];
  readonly kwargs: Readonly<Record<string, FixtureValue>>;
  readonly out: readonly FixtureTensor[];
  readonly grads?: readonly (FixtureTensor | null)[];
  readonly grads2?: readonly (FixtureTensor | null)[];
  readonly variant?: string;
}

/** Text of a file beside the tests, in Node, Deno and a page. */
export async function loadText(url: URL): Promise<string> {
  if (url.protocol !== "file:") {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url.href}: ${response.status}`);
    return response.text();
  }
  const name = "node:fs/promises";
  const { readFile } = (await import(/* @vite-ignore */ name)) as {
    readFile(url: URL, encoding: "utf8"): Promise<string>;
  };
  return readFile(url, "utf8");
}

const loaded = new Map<string, Promise<Readonly<Record<string, readonly FixtureSample[]>>>>();

/** All samples of a file of test/fixtures, by op. */
export function fixtures(file = "ops.json"): Promise<Readonly<Record<string, readonly FixtureSample[]>>> {
  let samples = loaded.get(file);
  if (samples === undefined) {
    samples = loadText(new URL(`../fixtures/${file}`, import.meta.url)).then(
      (text) => JSON.parse(text) as Record<string, readonly FixtureSample[]>,
    );
    loaded.set(file, samples);
  }
  return samples;
}

/** Irregular weights in which results are summed before they are differentiated. */
export function weights(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => (((i * 7 + seed * 3) % 11) - 5) / 8 + 0.0625);
}

/** A fixture's number. */
export function decodeNumber(value: FixtureNumber): number {
  if (typeof value !== "string") return Number(value);
  return value === "nan" ? NaN : value === "inf" ? Infinity : -Infinity;
}

/** True for a tensor among a fixture's values. */
export function isFixtureTensor(value: FixtureValue): value is FixtureTensor {
  return typeof value === "object" && value !== null && "t" in value;
}
