/** Finding the operation that made a NaN. */

import { isFloat } from "../dtype.ts";
import { AutogradError } from "../errors.ts";
import { userSite } from "../graph/site.ts";
import { snapshot } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { observeBackward } from "./engine.ts";
import { withMode } from "./mode.ts";
import { observeForward, setSiteRecorder, type GradFn } from "./tape.ts";

/** A value that came up on the way: what it is to be called, and where the user recorded it. */
interface Sighting {
  readonly value: Tensor;
  readonly what: string;
  readonly fn: GradFn;
}

/**
 * Runs `body` with anomaly detection: entries of the tape remember the line that recorded them, and an `AutogradError` names the first
 * operation on the tape whose result is NaN, or else the first whose backward gave NaN, with its line. Slow: every value is kept and read.
 */
export async function detectAnomaly<R>(body: () => R | Promise<R>): Promise<R> {
  const forward: Sighting[] = [];
  const backward: Sighting[] = [];
  // What is seen is kept as it is now: it may be overwritten, or what it was computed from.
  const see = (list: Sighting[], tensor: Tensor, what: string, fn: GradFn): void => {
    if (!isFloat(tensor.dtype)) return;
    const value = withMode({ grad: false }, () => snapshot(tensor));
    list.push({ value: value.retain(), what, fn });
  };
  const sitesBefore = setSiteRecorder(userSite);
  const forwardBefore = observeForward((out, fn, nr) => {
    see(forward, out, `gave nan values in its ${nr}th result`, fn);
  });
  const stop = observeBackward((fn, grads) => {
    grads.forEach((g, i) => {
      if (g != null) see(backward, g, `returned nan values in its ${i}th output`, fn);
    });
  });
  try {
    const result = await body();
    observeForward(forwardBefore);
    for (const { value, what, fn } of [...forward, ...backward])
      if (await hasNaN(value))
        throw new AutogradError(
          `Function '${fn.name}' ${what}. Its forward operation was recorded at ${fn.site ?? "an unknown line"}.`,
        );
    return result;
  } finally {
    stop();
    observeForward(forwardBefore);
    setSiteRecorder(sitesBefore);
    for (const { value } of [...forward, ...backward]) value.impl.storage.release();
  }
}

async function hasNaN(tensor: Tensor): Promise<boolean> {
  const data = await tensor.detach().data();
  for (let i = 0; i < data.length; i++) if (Number.isNaN(data[i])) return true;
  return false;
}
