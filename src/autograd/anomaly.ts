/** Finding the operation that made a NaN. */

import { AutogradError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { observeBackward } from "./engine.ts";
import { setSiteRecorder, type GradFn, type Grads } from "./tape.ts";

/** The user's line on the stack: the first frame outside the library. */
function userSite(): string {
  const here = import.meta.url.replace(/(src\/autograd\/anomaly\.ts|dist\/[^/]*)(\?.*)?$/, "");
  const frames = (new Error().stack ?? "").split("\n").slice(1);
  const outside = frames.find((f) => !f.includes(`${here}src/`) && !f.includes(`${here}dist/`) && !f.includes("node:"));
  return (outside ?? frames[frames.length - 1] ?? "").trim().replace(/^at /, "");
}

/**
 * Runs `body` with anomaly detection: entries of the tape remember the line that recorded them, and a gradient that is NaN throws
 * an `AutogradError` that names the first operation, forward or backward, and its line. Slow: every gradient is read.
 */
export async function detectAnomaly<R>(body: () => R | Promise<R>): Promise<R> {
  const entries: { fn: GradFn; grads: Grads }[] = [];
  const before = setSiteRecorder(userSite);
  const stop = observeBackward((fn, grads) => entries.push({ fn, grads: [...grads] }));
  try {
    const result = await body();
    for (const { fn, grads } of entries)
      for (let i = 0; i < grads.length; i++) {
        const g = grads[i];
        if (g != null && (await hasNaN(g)))
          throw new AutogradError(
            `Function '${fn.name}' returned nan values in its ${i}th output. Its forward operation was recorded at ${fn.site ?? "an unknown line"}.`,
          );
      }
    return result;
  } finally {
    stop();
    setSiteRecorder(before);
  }
}

async function hasNaN(tensor: Tensor): Promise<boolean> {
  const data = await tensor.detach().data();
  for (let i = 0; i < data.length; i++) if (Number.isNaN(data[i])) return true;
  return false;
}
