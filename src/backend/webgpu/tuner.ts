/** Measures the ways of running calls that a program made, and remembers the fastest. */

import type { KernelData } from "../../graph/kernel.ts";
import { isDeterministic } from "../determinism.ts";
import type { Choice, Choices } from "./choices.ts";
import { Slab, type Segment } from "./pool.ts";
import type { CallRecorder, DeviceProgram, PreparedCall, Scratch } from "./program.ts";
import type { Recorder } from "./recorder.ts";
import { Stopwatch } from "./stopwatch.ts";

/** Milliseconds of a measurement, for which a call is repeated, and how often it is at most. */
const TARGET_MS = 2;
const MOST_RUNS = 64;
/** Rounds in which all ways that are left are measured once. */
const ROUNDS = 3;
/** How many times slower than the best so far a way may be: after its first run, and after a round. */
const HOPELESS = 3;
const BEHIND = 1.3;
/** How much faster than the usual way another one has to be. */
const GAIN = 0.97;

/**
 * The fastest of several ways: each is run once to settle and once to see how often it has to be repeated, then all take turns, and the shortest time of
 * each counts. `time` gives the milliseconds of so many runs, or null if a way does not work. The usual way stays unless another one is
 * clearly faster.
 */
export async function fastest(
  names: readonly string[],
  usual: string,
  time: (name: string, runs: number) => Promise<number | null>,
): Promise<string> {
  const best = new Map<string, number>();
  const runs = new Map<string, number>();
  const least = (): number => Math.min(...best.values());
  for (const name of [usual, ...names.filter((n) => n !== usual)]) {
    if ((await time(name, 1)) === null) continue;
    const once = await time(name, 1);
    if (once === null || once > HOPELESS * Math.max(least(), TARGET_MS / MOST_RUNS)) continue;
    best.set(name, once);
    runs.set(name, Math.min(Math.max(Math.ceil(TARGET_MS / Math.max(once, TARGET_MS / MOST_RUNS)), 1), MOST_RUNS));
  }
  // A single run may be short of what the clock resolves: it only tells what is hopeless.
  const found = [...best.keys()];
  best.clear();
  for (let round = 0; round < ROUNDS; round++)
    for (const name of found) {
      if (round > 0 && best.get(name)! > BEHIND * least()) continue;
      const count = runs.get(name)!;
      const took = await time(name, count);
      if (took !== null) best.set(name, Math.min(best.get(name) ?? Infinity, took / count));
    }
  const leader = found.find((name) => best.get(name) === least());
  if (leader === undefined) return usual;
  return least() <= GAIN * (best.get(usual) ?? Infinity) ? leader : usual;
}

/** A call of which a choice is to be measured. */
interface Wish extends Choice {
  readonly program: DeviceProgram;
  readonly data: KernelData;
  /** Bytes of the memory of each slot; slots with the same number share it. */
  readonly slots: readonly { readonly memory: number; readonly bytes: number }[];
}

/** Most bytes that are taken for measuring. */
const MOST_BYTES = 2 ** 30;

const STORAGE = 0x80;
const NO_RECORDER: CallRecorder = { dispatch: () => undefined, copy: () => undefined };

let nextTrialId = -1;

/** Collects calls while a program runs, and measures them when it is told to. */
export class Tuner {
  readonly #device: GPUDevice;
  readonly #recorder: Recorder;
  readonly #choices: Choices;
  readonly #segmentBytes: number;
  readonly #wishes = new Map<string, Wish>();
  #listeners = 0;

  constructor(device: GPUDevice, recorder: Recorder, choices: Choices, segmentBytes: number) {
    this.#device = device;
    this.#recorder = recorder;
    this.#choices = choices;
    this.#segmentBytes = segmentBytes;
  }

  get isListening(): boolean {
    return this.#listeners > 0;
  }

  /** Prepares a call as the program does, and notes what it chooses without knowing better. */
  prepare(program: DeviceProgram, data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const slots = slabs.map((slab) => ({ memory: slabs.indexOf(slab), bytes: slab.bytes }));
    const note = (choice: Choice): void => {
      if (!this.#wishes.has(choice.key)) this.#wishes.set(choice.key, { ...choice, program, data, slots });
    };
    return this.#choices.listen(note, () => program.prepare(data, slabs, tag));
  }

  /** Collects from here on. The function given back ends that, and measures if it is told to; it never rejects. */
  listen(): (measures: boolean) => Promise<void> {
    this.#listeners++;
    return async (measures) => {
      this.#listeners--;
      const wishes = [...this.#wishes.values()];
      this.#wishes.clear();
      if (!measures || isDeterministic() || wishes.length === 0) return;
      const stopwatch = new Stopwatch(this.#device, this.#recorder);
      try {
        for (const wish of wishes) await this.#grant(wish, stopwatch);
      } catch {
        // The device is gone, which is reported by itself.
      } finally {
        stopwatch.destroy();
      }
    };
  }

  async #grant(wish: Wish, stopwatch: Stopwatch): Promise<void> {
    const { key, names, usual } = wish;
    const bytes = wish.slots.reduce((sum, s, i) => sum + (s.memory === i ? s.bytes : 0), 0);
    if (bytes > MOST_BYTES || wish.slots.some((s) => s.bytes > this.#segmentBytes)) return;
    const memory = new TrialMemory(this.#device, this.#recorder);
    try {
      const trials = await memory.attempt(() => this.#trials(wish, memory));
      if (trials === null) return;
      await Promise.all([...trials.values()].flatMap(({ call }) => call.pipelines.map((p) => p.done)));
      const time = async (name: string, runs: number): Promise<number | null> => {
        const { call, scratch } = trials.get(name)!;
        if (call.pipelines.some((p) => p.ready === null)) return null;
        return stopwatch.time((recorder) => {
          for (let run = 0; run < runs; run++) call.record(recorder, inOrder(scratch));
        });
      };
      this.#choices.set(key, await fastest(names, usual, time));
    } finally {
      memory.destroy();
    }
  }

  /** The call in each way, on memory of its own. */
  #trials({ key, names, program, data, slots }: Wish, memory: TrialMemory): Map<string, Trial> {
    const slabs: Slab[] = [];
    slots.forEach((slot, i) => slabs.push(slot.memory === i ? memory.take(slot.bytes) : slabs[slot.memory]!));
    const trials = new Map<string, Trial>();
    for (const name of names) {
      // Tag 0: what an index check makes of the zeros in this memory is no fault.
      const call = this.#choices.force(key, name, () => program.prepare(data, slabs, 0));
      trials.set(name, { call, scratch: memory.scratchOf(call) });
    }
    return trials;
  }
}

interface Trial {
  readonly call: PreparedCall;
  readonly scratch: readonly Slab[];
}

/** Memory for measuring, apart from the pool, so that what is there to stay is not disturbed. */
export class TrialMemory {
  readonly #device: GPUDevice;
  readonly #recorder: Recorder;
  readonly #segments: Segment[] = [];
  readonly #scratch: Slab[] = [];

  constructor(device: GPUDevice, recorder: Recorder) {
    this.#device = device;
    this.#recorder = recorder;
  }

  take(bytes: number): Slab {
    const size = Math.max(Math.ceil(bytes / 256) * 256, 256);
    const gpu = this.#device.createBuffer({ size, usage: STORAGE | 4 | 8 });
    const segment: Segment = { id: nextTrialId--, gpu, bytes: size, failure: null, lastUse: 0, releasedAt: 0 };
    this.#segments.push(segment);
    return new Slab([segment]);
  }

  /** What a call takes while it runs: ways take turns, and share it. */
  scratchOf(call: PreparedCall): Slab[] {
    const slabs: Slab[] = [];
    if (call.scratch === false) return slabs;
    const take = (bytes: number): Slab => {
      const at = slabs.length;
      if (at >= this.#scratch.length || this.#scratch[at]!.bytes < bytes) this.#scratch[at] = this.take(bytes);
      slabs.push(this.#scratch[at]!);
      return slabs[at]!;
    };
    call.record(NO_RECORDER, { take, give: () => undefined });
    return slabs;
  }

  /** What `make` makes, or null if the device has no memory for it. */
  async attempt<T>(make: () => T): Promise<T | null> {
    this.#device.pushErrorScope("out-of-memory");
    let made: T | null = null;
    try {
      made = make();
    } catch {
      // A way that does not even prepare is not worth a measurement.
    }
    return (await this.#device.popErrorScope()) === null ? made : null;
  }

  destroy(): void {
    for (const { id, gpu } of this.#segments) {
      this.#recorder.forget(id);
      gpu.destroy();
    }
  }
}

function inOrder(slabs: readonly Slab[]): Scratch {
  let next = 0;
  return { take: () => slabs[next++]!, give: () => undefined };
}
