/** Forcing a realisation where a test counts what one runs. */

import type { Tensor } from "#tapegrad";
import { realize } from "../../src/graph/runtime.ts";

/** Writes a value out and keeps it. */
export function written(tensor: Tensor): Tensor {
  realize([tensor.retain().impl.storage.node]);
  return tensor;
}
