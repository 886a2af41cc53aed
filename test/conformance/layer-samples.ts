/** What layers are made of, and sorting: how it is compared with PyTorch. */

import * as tg from "#tapegrad";
import type { SampleTable } from "./driver.ts";
import { call } from "./samples.ts";

const { F } = tg;

/** Sums of products, which lose more in float32 than single operations. */
const SUMS = { rtol: 1e-4, atol: 2e-5 };

/** Samples made by test/generate/layers.py. */
export const LAYERS: SampleTable = {
  file: "layers.json",
  table: {
    "nn.functional.conv1d": { call: call(F.conv1d), ...SUMS },
    "nn.functional.conv2d": { call: call(F.conv2d), ...SUMS },
    "nn.functional.conv_transpose1d": { call: call(F.convTranspose1d), ...SUMS },
    "nn.functional.conv_transpose2d": { call: call(F.convTranspose2d), ...SUMS },
    "nn.functional.conv_transpose3d": { call: call(F.convTranspose3d), ...SUMS },
  },
};
