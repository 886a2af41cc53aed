/** Every operation against PyTorch's numbers: value, gradient, second gradient. */

import { conform } from "../conformance/driver.ts";
import { fixtures } from "../conformance/fixtures.ts";
import { SAMPLES } from "../conformance/samples.ts";
import { expectEqual, suite, type PortableTest } from "../support/portable.ts";

const tests: Record<string, PortableTest> = {
  "the table and the database name the same operations": {
    devices: ["cpu"],
    run: async () => expectEqual(Object.keys(SAMPLES).sort(), Object.keys(await fixtures()).sort()),
  },
};
for (const name of Object.keys(SAMPLES))
  tests[name] = {
    timeout: 120_000,
    run: async ({ device }) => {
      await conform(name, device);
    },
  };

/** One test an operation. */
export const conformance = suite("conformance with PyTorch", tests);
