/** How long recorded work takes on a device: by timestamps of the passes where the device has them, else from submission to completion. */

import type { Recorder } from "./recorder.ts";
import { USAGE } from "./pool.ts";

/** Usage flag of buffers that timestamps are written to. */
const QUERY_RESOLVE = 0x200;
const READ = 1;

/** Times work that is recorded at once. Nothing else may be recorded meanwhile, which holds as long as `record` does not wait. */
export class Stopwatch {
  readonly #device: GPUDevice;
  readonly #recorder: Recorder;
  readonly #queries: GPUQuerySet | null;
  readonly #resolved: GPUBuffer | null;
  readonly #mapped: GPUBuffer | null;

  constructor(device: GPUDevice, recorder: Recorder) {
    this.#device = device;
    this.#recorder = recorder;
    const has = device.features.has("timestamp-query");
    this.#queries = has ? device.createQuerySet({ type: "timestamp", count: 2 }) : null;
    this.#resolved = has ? device.createBuffer({ size: 16, usage: QUERY_RESOLVE | USAGE.COPY_SRC }) : null;
    this.#mapped = has ? device.createBuffer({ size: 16, usage: USAGE.MAP_READ | USAGE.COPY_DST }) : null;
  }

  /** Milliseconds of what `record` records. Rejects if the device is lost. */
  time(record: (recorder: Recorder) => void): Promise<number> {
    return this.#queries === null ? this.#byCompletion(record) : this.#byStamps(record, this.#queries);
  }

  async #byCompletion(record: (recorder: Recorder) => void): Promise<number> {
    const { queue } = this.#device;
    await queue.onSubmittedWorkDone();
    const start = performance.now();
    record(this.#recorder);
    this.#recorder.flush();
    await queue.onSubmittedWorkDone();
    return performance.now() - start;
  }

  async #byStamps(record: (recorder: Recorder) => void, queries: GPUQuerySet): Promise<number> {
    const [resolved, mapped] = [this.#resolved!, this.#mapped!];
    this.#recorder.stamped(queries, () => record(this.#recorder));
    const encoder = this.#device.createCommandEncoder();
    encoder.resolveQuerySet(queries, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, mapped, 0, 16);
    this.#device.queue.submit([encoder.finish()]);
    await mapped.mapAsync(READ);
    const [start, end] = new BigUint64Array(mapped.getMappedRange()) as unknown as [bigint, bigint];
    mapped.unmap();
    return end > start ? Number(end - start) / 1e6 : 0;
  }

  destroy(): void {
    this.#queries?.destroy();
    this.#resolved?.destroy();
    this.#mapped?.destroy();
  }
}
