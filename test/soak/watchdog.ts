/** Watches the soak from a thread of its own: what hangs cannot report itself. */

import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";

const { beat, seed, device, patience } = workerData as {
  readonly beat: SharedArrayBuffer;
  readonly seed: number;
  readonly device: string;
  readonly patience: number;
};
/** What was done so far, and the round. */
const counters = new Int32Array(beat);
let seen = -1;
let since = performance.now();
setInterval(() => {
  const now = Atomics.load(counters, 0);
  if (now !== seen) {
    seen = now;
    since = performance.now();
  } else if (performance.now() - since > patience) {
    const round = Atomics.load(counters, 1);
    writeSync(1, `\nlost: round ${round} on ${device} with seed ${seed} has not gone on for ${patience / 1000} s\n`);
    process.exit(1);
  }
}, 500);
