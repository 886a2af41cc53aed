/**
 * Lists that live about as long as a step of a training loop. V8 counts, for each literal of an array or an object in the code, how much of what it made
 * survives collections of young objects, and allocates what survives early on, while that space is still small, as if it lived for ever.
 * Values of the program and entries of the tape refer to one another: one list that is kept so keeps all that came before and after it, until the next full
 * collection. What calls and classes make is not counted.
 */

/** A new list of these items. */
export function list<T>(...items: T[]): T[] {
  return items;
}

/** The list of nothing, shared: it must not be written to. */
export const NONE: readonly never[] = [];
