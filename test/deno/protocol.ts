/** What is said between vitest and a Deno process that runs tests. */

import type { Outcome } from "../support/host.ts";
import type { Case } from "../support/portable.ts";

/** What a line of Deno's output begins with that is an answer; other lines are the tests' own output. */
export const ANSWER = "tapegrad-test-answer ";

/** Asks for the list of tests, or to run one. */
export type Question = { readonly list: true } | { readonly run: Case };

/** The list, how a test went, or why there is neither. */
export interface Answer {
  readonly cases?: readonly Case[];
  readonly outcome?: Outcome;
  readonly failure?: string;
}
