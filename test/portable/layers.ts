/** What layers are made of, and sorting, against PyTorch's numbers: value, gradient, second gradient. */

import { conform } from "../conformance/driver.ts";
import { fixtures } from "../conformance/fixtures.ts";
import { LAYERS } from "../conformance/layer-samples.ts";
import { expectEqual, suite, type PortableTest } from "../support/portable.ts";

const tests: Record<string, PortableTest> = {
  "the table and the samples name the same operations": {
    devices: ["cpu"],
    run: async () => expectEqual(Object.keys(LAYERS.table).sort(), Object.keys(await fixtures(LAYERS.file)).sort()),
  },
};
for (const name of Object.keys(LAYERS.table))
  tests[name] = {
    timeout: 120_000,
    run: async ({ device }) => {
      await conform(name, device, LAYERS);
    },
  };

/** One test an operation. */
export const layers = suite("layers conform with PyTorch", tests);
