/** What a generator gives: a call, and what the naive model says of it. */

import type { Dice } from "./dice.ts";
import type { Model } from "./model.ts";

/** Results as the model has them: tensors, or plain values. */
export type Expected = Model | readonly Model[] | number | boolean | readonly number[];

/** A call. Tensors among the arguments are `Given`. */
export interface Sample {
  /** Positional arguments; the first is the tensor that the method is called on. */
  readonly args: readonly unknown[];
  /** Named arguments, in a trailing object. */
  readonly options?: Readonly<Record<string, unknown>>;
  /**
   * The model's result; it throws `Refused` where the call must be refused. Null, at once or from the model, where only shapes and the absence of accidents can be checked
   * (random numbers, corners that PyTorch leaves to the platform).
   */
  readonly expect: (() => Expected | null) | null;
  /** Where the values are random: what is wrong with results that no such call can give, or null. */
  readonly check?: (results: readonly Model[]) => string | null;
  /** How many times the usual bounds the result may be off: for long sums and functions that amplify. */
  readonly loose?: number;
  /** The call may also be refused (a view depends on strides, which the model does not know). */
  readonly mayRefuse?: boolean;
  /** Errors that come with the read rather than at the call (an index that only the device knows). */
  readonly late?: boolean;
}

/** Makes a random call of one operation. */
export type Generator = (dice: Dice) => Sample;

/** Generators by the operation's public name. */
export type Table = Readonly<Record<string, Generator>>;

/**
 * A call with its optional arguments by position or by name: `order` are the names of arguments after `first` that may stand by position; those of `values` that are
 * undefined are left out.
 */
export function form(
  dice: Dice,
  first: readonly unknown[],
  order: readonly string[],
  values: Readonly<Record<string, unknown>>,
  expect: Sample["expect"],
  rest: Omit<Sample, "args" | "options" | "expect"> = {},
): Sample {
  const args = [...first];
  const options: Record<string, unknown> = { ...values };
  for (const name of order) {
    if (options[name] === undefined || !dice.chance(0.7)) break;
    args.push(options[name]);
    delete options[name];
  }
  for (const name of Object.keys(options)) if (options[name] === undefined) delete options[name];
  return Object.keys(options).length > 0 ? { args, options, expect, ...rest } : { args, expect, ...rest };
}

/** A value, or undefined for an argument that is left out. */
export function perhaps<T>(dice: Dice, p: number, value: () => T): T | undefined {
  return dice.chance(p) ? value() : undefined;
}

/** A dimension of a tensor of some rank: from either end, rarely out of range. */
export function dimension(dice: Dice, rank: number): number {
  const span = Math.max(rank, 1);
  if (dice.chance(0.03)) return dice.pick([span, -span - 1, span + 2]);
  return dice.int(-span, span - 1);
}

/** One dimension, several, none, or null. */
export function dimensions(dice: Dice, rank: number): number | number[] | null {
  if (dice.chance(0.1)) return null;
  if (rank === 0 || dice.chance(0.5)) return dimension(dice, rank);
  if (dice.chance(0.03)) return [0, 0];
  const all = dice.shuffle(Array.from({ length: rank }, (_, d) => d)).slice(0, dice.int(0, rank));
  return all.map((d) => (dice.chance(0.3) ? d - rank : d));
}
