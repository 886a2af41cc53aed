/** Measures subjects side by side: the samples of all are interleaved, so that what disturbs one disturbs all. */

import type { HostArray } from "./support/random.ts";
import { summarize, type Summary } from "./support/statistics.ts";
import { drawInputs, messageOf, type Instance, type RunResult, type Subject } from "./subjects/subject.ts";
import type { Workload } from "./workloads/workload.ts";

/** How long and how often is measured. */
export interface MeasureOptions {
  /** Samples wanted. */
  readonly samples: number;
  /** Seconds that a row may take; then there are fewer samples, and their number is shown. */
  readonly budget: number;
  /** Seconds that a sample should last at least, by repetition. */
  readonly sampleTime: number;
  /** Milliseconds that the machine is left alone before each sample: threads of the library before it may wait for more work without sleeping. */
  readonly pause?: number;
  /** Measures once in how many seconds the machine copies a byte; asked in every round, as this may change with what else the machine does. */
  readonly copy?: () => number;
  /** Measures the GPU's own time around runs, where that is possible. */
  readonly gpuTime?: GpuClock;
}

/** Time that the GPU spends in compute passes, and what is asked of it. */
export interface GpuClock {
  /** Starts counting. */
  start(): void;
  /** Seconds in compute passes since (null where timestamps are not to be had), dispatches, passes and submissions. */
  stop(): Promise<{ seconds: number | null; dispatches: number; submissions: number }>;
}

/** Figures of one subject on one workload. */
export interface Measured {
  readonly kind: "measured";
  readonly subject: string;
  /** Seconds an operation, of many in a row. */
  readonly throughput: Summary;
  /** Seconds from the call of a single operation until its result is read. */
  readonly latency: Summary;
  /** Seconds of the GPU in compute passes an operation. */
  readonly gpu: Summary | null;
  /** Operations in one sample of the throughput. */
  readonly repeat: number;
  /** Seconds of the first run, compilation and all. */
  readonly first: number;
  /** Largest error in units of the tolerance. */
  readonly error: number;
  readonly dispatches: number | null;
}

/** Why there are no figures. */
export interface Missing {
  readonly kind: "missing" | "wrong" | "failed" | "over budget";
  readonly subject: string;
  readonly reason: string;
}

export type Outcome = Measured | Missing;

/** What all subjects did, and seconds in which the machine copied a byte meanwhile (null where that was not asked for). */
export interface Measurement {
  readonly outcomes: readonly Outcome[];
  readonly copy: Summary | null;
}

interface Entry {
  readonly subject: Subject;
  readonly instance: Instance;
  readonly first: number;
  readonly error: number;
  readonly single: number;
  readonly repeat: number;
  readonly throughput: number[];
  readonly latency: number[];
  readonly gpu: number[];
  dispatches: number | null;
  failure: string | null;
}

const MOST_REPEATS = 1000;
/** Results of a sample that are held at the same time. */
const MOST_HELD_BYTES = 2 ** 28;
const LEAST_SAMPLES = 3;
/** The first run compiles: it may take some budgets. */
const FIRST_RUN_BUDGETS = 5;

async function timed(instance: Instance, repeat: number): Promise<{ seconds: number; result: RunResult }> {
  const start = performance.now();
  const result = await instance.run(repeat);
  const seconds = result.seconds ?? (performance.now() - start) / 1e3;
  if (!Number.isFinite(result.value)) throw new Error(`read back ${result.value}`);
  return { seconds, result };
}

/** Prepares, checks and warms up one subject. */
async function enter(
  subject: Subject,
  workload: Workload,
  inputs: readonly HostArray[],
  options: MeasureOptions,
): Promise<Entry | Missing> {
  const name = subject.name;
  try {
    const instance = await subject.prepare(workload);
    if ("missing" in instance) return { kind: "missing", subject: name, reason: instance.missing };
    try {
      await instance.load(inputs);
      const begin = performance.now();
      const outputs = await instance.outputs();
      const first = (performance.now() - begin) / 1e3;
      const error = workload.check(inputs, outputs);
      if (!(error <= 1)) {
        instance.unload();
        instance.close?.();
        return { kind: "wrong", subject: name, reason: `error ${error.toPrecision(3)} times the tolerance` };
      }
      if (first > FIRST_RUN_BUDGETS * options.budget) {
        instance.unload();
        instance.close?.();
        return { kind: "over budget", subject: name, reason: `the first run took ${first.toFixed(1)} s` };
      }
      // Twice, as engines still compile during the first runs.
      await timed(instance, 1);
      const single = (await timed(instance, 1)).seconds;
      if (single > options.budget) {
        instance.unload();
        instance.close?.();
        return { kind: "over budget", subject: name, reason: `a run takes ${single.toFixed(1)} s` };
      }
      const held = Math.max(1, Math.floor(MOST_HELD_BYTES / Math.max(workload.bytes, 1)));
      const wanted = Math.ceil(options.sampleTime / Math.max(single, 1e-6));
      instance.unload();
      return {
        subject,
        instance,
        first,
        error,
        single,
        repeat: Math.max(1, Math.min(wanted, held, MOST_REPEATS)),
        throughput: [],
        latency: [],
        gpu: [],
        dispatches: null,
        failure: null,
      };
    } catch (error) {
      instance.unload();
      instance.close?.();
      throw error;
    }
  } catch (error) {
    return { kind: "failed", subject: name, reason: messageOf(error) };
  }
}

async function sample(entry: Entry, inputs: readonly HostArray[], options: MeasureOptions): Promise<void> {
  const { instance, repeat } = entry;
  await instance.load(inputs);
  const { pause = 0 } = options;
  if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
  const throughput = (await timed(instance, repeat)).seconds / repeat;
  // A single operation, timed by itself where the sample above holds several.
  const latency = repeat === 1 ? throughput : (await timed(instance, 1)).seconds;
  if (options.gpuTime !== undefined) {
    options.gpuTime.start();
    await instance.run(repeat);
    const { seconds, dispatches } = await options.gpuTime.stop();
    if (seconds !== null) entry.gpu.push(seconds / repeat);
    entry.dispatches = dispatches / repeat;
  }
  entry.throughput.push(throughput);
  entry.latency.push(latency);
  instance.unload();
}

/**
 * Measures a workload on all subjects. Every sample uploads its inputs anew before the clock starts (two sets take turns) and ends
 * with a value read back. Subjects take turns, starting each round with another.
 */
export async function measure(
  subjects: readonly Subject[],
  workload: Workload,
  options: MeasureOptions,
): Promise<Measurement> {
  const sets = [drawInputs(workload, 1), drawInputs(workload, 2)] as const;
  const outcomes = new Map<string, Outcome>();
  const entries: Entry[] = [];
  for (const subject of subjects) {
    const entry = await enter(subject, workload, sets[0], options);
    if ("kind" in entry) outcomes.set(subject.name, entry);
    else entries.push(entry);
  }
  const copies: number[] = [];
  const begin = performance.now();
  for (let round = 0; round < options.samples; round++) {
    const spent = (performance.now() - begin) / 1e3;
    if (round >= LEAST_SAMPLES && spent + spent / round > options.budget * entries.length) break;
    if (options.copy !== undefined) copies.push(options.copy());
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[(i + round) % entries.length]!;
      if (entry.failure !== null) continue;
      try {
        await sample(entry, sets[round % 2 === 0 ? 0 : 1], options);
      } catch (error) {
        entry.failure = messageOf(error);
      }
    }
  }
  for (const entry of entries) {
    const { subject, instance, first, error, repeat, dispatches } = entry;
    instance.close?.();
    outcomes.set(
      subject.name,
      entry.failure !== null
        ? { kind: "failed", subject: subject.name, reason: entry.failure }
        : {
            kind: "measured",
            subject: subject.name,
            throughput: summarize(entry.throughput),
            latency: summarize(entry.latency),
            gpu: entry.gpu.length === 0 ? null : summarize(entry.gpu),
            repeat,
            first,
            error,
            dispatches,
          },
    );
  }
  return {
    outcomes: subjects.map((s) => outcomes.get(s.name)!),
    copy: copies.length === 0 ? null : summarize(copies),
  };
}
