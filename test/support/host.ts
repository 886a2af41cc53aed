/** The far side of a test run elsewhere (a page in Chromium, a Deno process): says which tests there are, and runs one at a time. */

import { runCase } from "./device.ts";
import { casesOf, type Case, type PortableSuite } from "./portable.ts";

/** How a test went: null if it passed, else what to show. */
export type Outcome = string | null;

/** What the near side may ask; all values are plain data. */
export interface TestHost {
  list(): Case[];
  run(which: Case): Promise<Outcome>;
}

/** Offers some suites to the near side. */
export function hostSuites(suites: readonly PortableSuite[]): TestHost {
  return {
    list: () => casesOf(suites),
    run: async (which) => {
      try {
        await runCase(suites, which);
        return null;
      } catch (error) {
        if (!(error instanceof Error)) return String(error);
        const stack = error.stack ?? "";
        return stack.includes(error.message) ? stack : `${error.name}: ${error.message}\n${stack}`;
      }
    },
  };
}
