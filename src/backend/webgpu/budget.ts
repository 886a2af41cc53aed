/** How much work one dispatch may be, so that it does not run into the operating system's GPU watchdog (about a second). */

import { isDeterministic } from "../determinism.ts";

/** Units of work (an operation on an element; a load or store is several) before anything was measured: slow devices do it in a tenth of a second. */
const FIRST_UNITS = 2 ** 32;
const LEAST_UNITS = 2 ** 28;
const MOST_UNITS = 2 ** 42;

/** Milliseconds below which more work may be given, and above which it has to be less. */
const SHORT_MS = 60;
const LONG_MS = 250;

/**
 * Begins with what slow devices do in time, and learns from how long large submissions take. What a dispatch computes, bit by bit,
 * does not depend on it: only rows are cut by it, unless there is a single one.
 */
export class WorkBudget {
  readonly #isFixed: boolean;
  #units: number;
  /** When the last large submission was done. */
  #lastDone = 0;

  /** `fixed` is kept for good; software devices have no watchdog. */
  constructor(isSoftware: boolean, fixed?: number) {
    this.#isFixed = isSoftware || fixed !== undefined;
    this.#units = fixed ?? (isSoftware ? Infinity : FIRST_UNITS);
  }

  /** Most work of one dispatch. Nothing measured counts while results must not depend on it. */
  get units(): number {
    return isDeterministic() && !this.#isFixed ? FIRST_UNITS : this.#units;
  }

  /** Goes on from what was measured before, on a device of the same kind. */
  resume(units: number): void {
    if (!this.#isFixed) this.#units = Math.min(Math.max(units, LEAST_UNITS), MOST_UNITS);
  }

  /** Whether a submission of so much work is worth timing. */
  isTelling(work: number): boolean {
    return !this.#isFixed && work >= this.units / 2;
  }

  /** Learns from a submission that was made at `start` and done at `end` (milliseconds). */
  learn(work: number, start: number, end: number): void {
    const took = end - Math.max(start, this.#lastDone);
    this.#lastDone = end;
    if (!this.isTelling(work)) return;
    if (took > LONG_MS) this.#units = Math.max(this.#units / 2, LEAST_UNITS);
    else if (took < SHORT_MS) this.#units = Math.min(this.#units * 2, MOST_UNITS);
  }
}
