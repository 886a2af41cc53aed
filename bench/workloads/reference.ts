/** Results in float64, at sampled places where the whole would take too long. */

import { words } from "../support/random.ts";

/** Up to `count` distinct-ish positions below `size`, the first and the last among them. */
export function samplePositions(size: number, count: number, seed = 7): number[] {
  if (size <= count) return Array.from({ length: size }, (_, i) => i);
  const next = words(seed);
  return [0, size - 1, ...Array.from({ length: count - 2 }, () => next() % size)];
}

/** Largest error in units of a tolerance; NaN, infinity and missing elements count as infinitely wrong. */
export class ErrorMeter {
  worst = 0;

  /** Notes a value beside what it should be; `allowed` is the error that still passes. */
  note(value: number | undefined, expected: number, allowed: number): void {
    const error = value === undefined ? Infinity : Math.abs(value - expected) / allowed;
    if (!(error <= this.worst)) this.worst = Number.isNaN(error) ? Infinity : error;
  }

  /** Notes a list whose expected values are known, with an allowance relative to their size and root mean square. */
  noteAll(values: ArrayLike<number> | undefined, expected: ArrayLike<number>, relative: number, at = 0): void {
    let squares = 0;
    for (let i = 0; i < expected.length; i++) squares += expected[i]! ** 2;
    const rms = Math.sqrt(squares / Math.max(expected.length, 1));
    for (let i = 0; i < expected.length; i++)
      this.note(values?.[at + i], expected[i]!, relative * (Math.abs(expected[i]!) + rms) + 1e-30);
  }
}

/** Softmax of `length` scores from `at`. */
export function softmaxRow(x: ArrayLike<number>, at: number, length: number, scale = 1): Float64Array {
  const result = new Float64Array(length);
  let max = -Infinity;
  for (let i = 0; i < length; i++) max = Math.max(max, x[at + i]! * scale);
  let sum = 0;
  for (let i = 0; i < length; i++) sum += result[i] = Math.exp(x[at + i]! * scale - max);
  for (let i = 0; i < length; i++) result[i]! /= sum;
  return result;
}

/** Dot product of `count` elements at two places. */
export function dot(a: ArrayLike<number>, atA: number, b: ArrayLike<number>, atB: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += a[atA + i]! * b[atB + i]!;
  return sum;
}
