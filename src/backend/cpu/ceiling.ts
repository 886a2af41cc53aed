/** The most that the CPU does, measured: rounds of a piece of work, and that work in plain JavaScript. */

import type { Ceiling } from "../backend.ts";

/** Rounds at least, and milliseconds after which there are no more. */
const ROUNDS = 5;
const MOST_MS = 30;

const FLOATS = 2 ** 20;
const STEPS = 2 ** 18;
/** Chains of multiply-adds that do not wait for each other. */
const CHAINS = 4;

/** Milliseconds of the fastest of some rounds. */
export function leastTime(round: () => void): number {
  const end = performance.now() + MOST_MS;
  let least = Infinity;
  for (let i = 0; i < ROUNDS || performance.now() < end; i++) {
    const start = performance.now();
    round();
    least = Math.min(least, performance.now() - start);
  }
  // Some clocks are coarse.
  return Math.max(least, 0.001);
}

/** What one thread does where there is no WebAssembly. */
export function ceilingOfJavaScript(): Ceiling {
  const source = new Float32Array(FLOATS).fill(1);
  const target = new Float32Array(FLOATS);
  const copied = leastTime(() => target.set(source));
  const multiplied = leastTime(() => (target[0] = multiplyAdds(STEPS, source[0]! / 2)));
  return { bandwidth: (8 * FLOATS * 1e3) / copied, flops: (2 * CHAINS * STEPS * 1e3) / multiplied };
}

function multiplyAdds(steps: number, factor: number): number {
  let [a, b, c, d] = [1, 2, 3, 4];
  for (let i = 0; i < steps; i++) {
    a = a * factor + 1;
    b = b * factor + 1;
    c = c * factor + 1;
    d = d * factor + 1;
  }
  return a + b + c + d;
}
