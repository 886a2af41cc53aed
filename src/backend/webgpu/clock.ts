/** How long calls take on a device with timestamps: each is recorded in passes of its own. */

import { USAGE } from "./pool.ts";
import type { Recorder } from "./recorder.ts";

/** Usage flag of buffers that timestamps are written to. */
const QUERY_RESOLVE = 0x200;
const READ = 1;

/** Timestamps of a set: as many as a set may have. A call takes two. */
const QUERIES = 4096;
/** Sets that may be on their way at once: some devices have few. */
const MOST_SETS = 16;

type Hear = (ms: number) => void;

/** Queries, and where their values come back. */
interface QuerySet {
  readonly querySet: GPUQuerySet;
  readonly resolved: GPUBuffer;
  readonly mapped: GPUBuffer;
  /** Who wants to know of the calls so far. */
  hears: Hear[];
}

/** Times calls from its making until `finish`. */
export class CallClock {
  readonly #device: GPUDevice;
  readonly #recorder: Recorder;
  readonly #sets: QuerySet[] = [];
  readonly #free: QuerySet[] = [];
  /** The set that is being filled. */
  #open: QuerySet | null = null;
  #reading: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(device: GPUDevice, recorder: Recorder) {
    this.#device = device;
    this.#recorder = recorder;
  }

  /** Records a call, and tells how long it took once that is known. In a loop that never waits only so many are timed. */
  time(record: () => void, hear: Hear): void {
    const set = this.#ended ? null : (this.#open ??= this.#take());
    if (set === null) {
      record();
      return;
    }
    const first = 2 * set.hears.push(hear) - 2;
    this.#recorder.stamp(set.querySet, first, record);
    if (first + 2 < QUERIES) return;
    this.#open = null;
    // What this call belongs to is submitted by then.
    queueMicrotask(() => this.#tryToRead(set));
  }

  #take(): QuerySet | null {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#sets.length >= MOST_SETS) return null;
    const device = this.#device;
    const set: QuerySet = {
      querySet: device.createQuerySet({ type: "timestamp", count: QUERIES }),
      resolved: device.createBuffer({ size: 8 * QUERIES, usage: QUERY_RESOLVE | USAGE.COPY_SRC }),
      mapped: device.createBuffer({ size: 8 * QUERIES, usage: USAGE.MAP_READ | USAGE.COPY_DST }),
      hears: [],
    };
    this.#sets.push(set);
    return set;
  }

  #tryToRead(set: QuerySet): void {
    try {
      this.#read(set);
    } catch {
      // A device that is gone may refuse even to record.
    }
  }

  #read(set: QuerySet): void {
    const { hears } = set;
    set.hears = [];
    if (hears.length === 0) return;
    const { querySet, resolved, mapped } = set;
    const bytes = 16 * hears.length;
    this.#recorder.flush();
    const encoder = this.#device.createCommandEncoder();
    encoder.resolveQuerySet(querySet, 0, 2 * hears.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, mapped, 0, bytes);
    this.#device.queue.submit([encoder.finish()]);
    const arrived = mapped.mapAsync(READ, 0, bytes).then(
      () => {
        const stamps = new BigUint64Array(mapped.getMappedRange(0, bytes).slice(0));
        mapped.unmap();
        this.#free.push(set);
        hears.forEach((hear, i) => {
          const [start, end] = [stamps[2 * i]!, stamps[2 * i + 1]!];
          hear(end > start ? Number(end - start) / 1e6 : 0);
        });
      },
      // The device is gone, which is reported by itself.
      () => undefined,
    );
    this.#reading = Promise.all([this.#reading, arrived]).then(() => undefined);
  }

  /** Ends it, and resolves when all times are told. Never rejects. */
  async finish(): Promise<void> {
    this.#ended = true;
    const open = this.#open;
    this.#open = null;
    if (open !== null) this.#tryToRead(open);
    // Sets that became full just now are read by then.
    await Promise.resolve();
    await this.#reading;
    for (const { querySet, resolved, mapped } of this.#sets) {
      querySet.destroy();
      resolved.destroy();
      mapped.destroy();
    }
  }
}
