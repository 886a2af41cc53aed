/** What memory a piece of a program takes, buffer by buffer. */

import type { DeviceType } from "./backend/backend.ts";
import { ArgumentError } from "./errors.ts";
import { describeValue } from "./args.ts";
import { defaultBackend } from "./graph/devices.ts";
import { flushRecorded, residencyOf } from "./graph/runtime.ts";
import { TimelineRecorder, type Timeline } from "./graph/timeline.ts";
import { watchAlone } from "./graph/watch.ts";

/** What `memoryTimeline` saw, and what the function gave. */
export interface MemoryTimeline<R> extends Timeline {
  readonly device: DeviceType;
  readonly result: R;
}

/**
 * Runs `fn` (which may be asynchronous) and tells the life of every buffer of the device of new tensors meanwhile: when it was handed out and given
 * back, by the numbers of the steps (kernels, uploads and reads, in order), which values lived in it, and what these are to you. What `fn` recorded and did
 * not read is computed at its end. With `setDebugMode(true)` before, values tell the lines that made them.
 *
 * Throws an `ArgumentError` if `fn` is no function, or if another timeline, or a profile, is being recorded; what `fn` throws is passed on.
 */
export async function memoryTimeline<R>(fn: () => R | Promise<R>): Promise<MemoryTimeline<R>> {
  if (typeof fn !== "function")
    throw new ArgumentError(`memoryTimeline: expected a function, got ${describeValue(fn)}`);
  const stopWatching = watchAlone("memoryTimeline", "timeline");
  const backend = defaultBackend();
  const recorder = new TimelineRecorder(backend, residencyOf(backend).holdings());
  let timeline: Timeline;
  let result: R;
  try {
    result = await fn();
    flushRecorded(backend);
    await backend.synchronize();
  } finally {
    timeline = recorder.stop();
    stopWatching();
  }
  return { device: backend.type, result, ...timeline };
}
