/** Values step by step, thinned out so that a plot of them stays small. */

import type { PlotData } from "../plot-data.ts";

/** Most values that are kept. */
const MOST = 400;

/** A curve that grows. */
export class History {
  #steps: number[] = [];
  #values: number[] = [];
  /** Only every so manieth value is kept. */
  #stride = 1;
  #seen = 0;

  /** Adds a value. The last one given is always in the plot. */
  add(step: number, value: number): void {
    if (this.#seen > 0 && (this.#seen - 1) % this.#stride !== 0) {
      this.#steps.pop();
      this.#values.pop();
    }
    this.#steps.push(step);
    this.#values.push(value);
    this.#seen++;
    if (this.#steps.length <= MOST) return;
    this.#stride *= 2;
    const keep = (_: number, i: number): boolean => i % 2 === 0;
    this.#steps = this.#steps.filter(keep);
    this.#values = this.#values.filter(keep);
  }

  /** Values so far. */
  get values(): readonly number[] {
    return this.#values;
  }

  /** A plot of the values over the steps. */
  plot(title: string, name: string): PlotData {
    return { title, x: this.#steps, curves: [{ name, y: this.#values }] };
  }
}
