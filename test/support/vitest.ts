/** Portable tests as tests of vitest: run here, or in a host elsewhere. */

import { afterAll, describe, test } from "vitest";
import { runCase } from "./device.ts";
import type { Outcome } from "./host.ts";
import { casesOf, type Case, type PortableSuite } from "./portable.ts";

/** A page or process that runs tests for us. */
export interface RemoteHost {
  readonly cases: readonly Case[];
  run(which: Case): Promise<Outcome>;
  /** Starts it anew, after a test that did not end. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Milliseconds that vitest waits longer than we do ourselves, for a restart. */
const GRACE = 60_000;

function define(cases: readonly Case[], run: (which: Case) => Promise<void>, grace: number): void {
  const groups = Map.groupBy(cases, ({ suite, device }) => `${suite} on ${device}`);
  for (const [title, members] of groups)
    describe(title, () => {
      for (const which of members) test(which.test, { timeout: which.timeout + grace }, () => run(which));
    });
}

/** Defines the tests of some suites in this process. */
export function runHere(suites: readonly PortableSuite[]): void {
  define(casesOf(suites), (which) => runCase(suites, which), 0);
}

/** Defines the tests of a host elsewhere; one that does not end in time fails, and the host is started anew. */
export function runRemotely(host: RemoteHost): void {
  const run = async (which: Case): Promise<void> => {
    const timer = Promise.withResolvers<Outcome>();
    const handle = setTimeout(() => timer.resolve(`it did not end within ${which.timeout} ms`), which.timeout);
    const late = timer.promise.then(async (outcome) => {
      await host.restart();
      return outcome;
    });
    const outcome = await Promise.race([host.run(which), late]).finally(() => clearTimeout(handle));
    if (outcome !== null) throw new Error(outcome);
  };
  define(host.cases, run, GRACE);
  afterAll(() => host.close());
}
