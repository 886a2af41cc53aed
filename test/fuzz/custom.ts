/** Calls that are no plain function of tensors: modules, optimisers, transformations of functions, files. Each has a generator and a way to make the call. */

import type { Tensor } from "#tapegrad";
import type { Generator, Sample } from "./sample.ts";
import type { Dice } from "./dice.ts";
import type { Model } from "./model.ts";

/** A call of its own. */
export interface Custom {
  /** As it is written, with its namespace: `nn.Linear`. */
  readonly name: string;
  readonly generator: Generator;
  /** Positions of arguments that go to the library as they are, and so may be spoilt: all of them unless told. */
  readonly spoils?: readonly number[];
  /** Makes the call with the generator's arguments, the options last. */
  call(args: readonly unknown[]): unknown;
}

/** The first sample that will do. */
export function until(generator: Generator, fits: (sample: Sample) => boolean): Generator {
  return (dice: Dice) => {
    for (let i = 0; i < 200; i++) {
      const sample = generator(dice);
      if (fits(sample)) return sample;
    }
    throw new Error("no sample fits");
  };
}

/** All arguments after the first by name, those that are given by position among them. */
export function namedArguments(sample: Sample, order: readonly string[]): Record<string, unknown> {
  const result: Record<string, unknown> = { ...sample.options };
  sample.args.slice(1).forEach((v, i) => (result[order[i]!] = v));
  return result;
}

/** Without what is left out. */
export function given(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, v]) => v !== undefined));
}

/** A check that the first half of the results are as the second half, which came about another way. */
export function asReference(tolerance = 1e-4): (results: readonly Model[]) => string | null {
  return (results) => {
    const n = results.length / 2;
    for (let i = 0; i < n; i++) {
      const [a, b] = [results[i]!, results[n + i]!];
      if (a.shape.join() !== b.shape.join())
        return `result ${i}: shape [${a.shape.join()}] instead of [${b.shape.join()}]`;
      if (a.dtype !== b.dtype) return `result ${i}: dtype ${a.dtype} instead of ${b.dtype}`;
      for (let k = 0; k < a.data.length; k++) {
        const [x, y] = [a.data[k]!, b.data[k]!];
        if (!(Math.abs(x - y) <= tolerance * (1 + Math.abs(y))) && !(Number.isNaN(x) && Number.isNaN(y)) && x !== y)
          return `result ${i}: element ${k} is ${x} instead of ${y}`;
      }
    }
    return null;
  };
}

/** Tensors in any nest of arrays and objects, in order. */
export function flat(value: unknown): Tensor[] {
  if (Array.isArray(value)) return value.flatMap(flat);
  return [value as Tensor];
}
