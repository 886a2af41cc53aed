/** A page and a worker of it that use the library at the same time, for beside.test.ts. */

import { work, type BesideReport } from "./beside-work.ts";

interface Answer {
  readonly isReady?: boolean;
  readonly report?: BesideReport;
  readonly error?: string;
}

/** A worker that is ready: starts it, and waits for what it reports. */
async function openWorker(): Promise<(seed: number) => Promise<BesideReport>> {
  const worker = new Worker(new URL("./beside-worker.ts", import.meta.url), { type: "module" });
  const answer = (): Promise<Answer> =>
    new Promise((resolve, reject) => {
      worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => resolve(data), { once: true });
      worker.addEventListener("error", (event) => reject(new Error(event.message)), { once: true });
    });
  await answer();
  return async (seed) => {
    const answered = answer();
    worker.postMessage(seed, []);
    const { report, error } = await answered;
    worker.terminate();
    if (report === undefined) throw new Error(error);
    return report;
  };
}

// Alone first, then side by side, with the same seed and with another one.
const alone = await work(3);
const [workThere, workElsewhere] = await Promise.all([openWorker(), openWorker()]);
const [worker, other, page] = await Promise.all([workThere(3), workElsewhere(4), work(3)]);
const reports: Record<string, BesideReport> = { alone, page, worker, other };
(globalThis as unknown as { reports: typeof reports }).reports = reports;
