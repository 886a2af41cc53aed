/** Threads in a page and in a worker of it, for threads.test.ts. */

import { work, type ThreadReport } from "./threads-work.ts";

function workElsewhere(): Promise<ThreadReport> {
  const { promise, resolve, reject } = Promise.withResolvers<ThreadReport>();
  const worker = new Worker(new URL("./threads-worker.ts", import.meta.url), { type: "module" });
  worker.addEventListener("message", ({ data }: MessageEvent<{ report?: ThreadReport; error?: string }>) => {
    worker.terminate();
    if (data.report === undefined) reject(new Error(data.error));
    else resolve(data.report);
  });
  worker.addEventListener("error", (event) => reject(new Error(event.message)));
  return promise;
}

const reports: Record<string, ThreadReport> = { page: await work(), worker: await workElsewhere() };
(globalThis as unknown as { reports: typeof reports }).reports = reports;
