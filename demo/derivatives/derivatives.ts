/** Derivatives of any order by gradients of gradients, without a page. */

import * as tg from "#tapegrad";
import { autograd, F, type Tensor } from "#tapegrad";

/** Functions of one number, by how they are written. */
export const FUNCTIONS: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  "tanh x": (x) => x.tanh(),
  "sin x²": (x) => x.square().sin(),
  "exp(−x²)": (x) => x.square().neg().exp(),
  "1 / (1 + x²)": (x) => x.square().add(1).reciprocal(),
  "x³ − 2x": (x) => x.pow(3).sub(x.mul(2)),
  "sigmoid x": (x) => x.sigmoid(),
  "gelu x": (x) => F.gelu(x),
};

/** A derivative at every x, and how long the tape is that recorded it. */
export interface Derivative {
  /** 0 is the function itself. */
  readonly order: number;
  readonly y: readonly number[];
  /** Entries of its tape, which the next derivative walks. */
  readonly entries: number;
}

/** A function's derivatives at the same places. */
export interface Derivatives {
  readonly x: readonly number[];
  readonly derivatives: readonly Derivative[];
}

/**
 * A function of `FUNCTIONS` and its derivatives up to an order, at `count` places over -3 .. 3. Each derivative is the gradient of the
 * one before it, whose own computation was recorded (`createGraph`). Throws a `RangeError` for an unknown name or order.
 */
export async function derivativesOf(name: string, order: number, count = 241): Promise<Derivatives> {
  const f = FUNCTIONS[name];
  if (f === undefined)
    throw new RangeError(`there is no function "${name}"; there are ${Object.keys(FUNCTIONS).join(", ")}`);
  if (!Number.isInteger(order) || order < 0) throw new RangeError(`the order must be 0, 1, 2 ..., got ${order}`);
  const x = tg.linspace(-3, 3, count, { requiresGrad: true });
  const results = [f(x)];
  while (results.length <= order) {
    // The sum's gradient: element i depends on x[i] alone.
    const [next] = autograd.grad(results.at(-1)!.sum(), [x], { createGraph: true });
    results.push(next!);
  }
  const [xs, ...values] = await tg.readAll([x, ...results]);
  return {
    x: [...xs!],
    derivatives: results.map((result, order) => ({
      order,
      y: [...values[order]!],
      entries: tg.graph(result).nodes.length,
    })),
  };
}
