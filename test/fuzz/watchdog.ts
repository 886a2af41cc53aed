/** Watches a run from a thread of its own: a call that does not end cannot report itself. */

import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";

const { beat, seed, batch, patience } = workerData as {
  readonly beat: SharedArrayBuffer;
  readonly seed: number;
  readonly batch: number;
  readonly patience: number;
};
const current = new Int32Array(beat);
let seen = -1;
let since = performance.now();
setInterval(() => {
  const now = Atomics.load(current, 0);
  if (now !== seen) {
    seen = now;
    since = performance.now();
  } else if (performance.now() - since > patience) {
    writeSync(
      1,
      `\nseed ${seed}: one of the cases ${now} to ${now + batch - 1} has not ended for ${patience / 1000} s\n`,
    );
    process.kill(process.pid, "SIGKILL");
  }
}, 1000);
