/** What the notebook uses of Python itself. */

import type { Tensor } from "#tapegrad";

/** Python's built-in `sum`: adds the elements one after the other to 0. Throws a `RangeError` if there are none: 0 is no tensor. */
export function sum(values: Iterable<Tensor>): Tensor {
  let total: Tensor | null = null;
  for (const value of values) total = value.add(total ?? 0);
  if (total === null) throw new RangeError("sum: there is nothing to add");
  return total;
}
