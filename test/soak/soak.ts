/**
 * The soak: rounds of training on devices that are short of memory, refuse it, or go away, each compared with a run that nothing disturbed. Everything
 * about a round follows from the seed and its number, but for what depends on time (when the word of a lost device comes).
 *
 * What is lost is a finding: a loss or an evaluation that differs, a held tensor that reads as something else or cannot be read without a reason, an
 * error of the wrong kind, memory that does not come back, a rejection that nobody hears of.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { setDefaultBackend } from "../../src/graph/devices.ts";
import { residencyOf } from "../../src/graph/runtime.ts";
import { Dice } from "../fuzz/dice.ts";
import type { TestDevice } from "../support/portable.ts";
import { Devices, isGone, liveBytes, type SoakDevice } from "./devices.ts";
import { WORKLOADS, type Workload, type WorkloadKind } from "./workloads.ts";

/**
 * How far a number may be from that of the undisturbed run. What is computed again, or with other values written out, is computed by other kernels, which
 * round otherwise; training makes that larger from step to step. (On the CPU they do not: what ran there alone is compared to the bit.)
 */
const TOLERANCE = { rtol: 2e-3, atol: 2e-3 };

/** Different runs of a kind: their undisturbed forms are computed once. */
const RUN_SEEDS = 2;
/** Milliseconds in which what was let go of must be collected. */
const COLLECT_MS = 5000;

/** How much is played. */
export interface SoakSize {
  /** Steps of a run. */
  readonly steps: number;
  /** Kinds of runs. */
  readonly kinds: readonly WorkloadKind[];
}

const FULL: SoakSize = { steps: 10, kinds: Object.keys(WORKLOADS) as WorkloadKind[] };

/** What may be replaced, so that the soak itself is tested. */
export interface SoakParts {
  readonly restore: typeof tg.restore;
  read(tensor: Tensor): Promise<ArrayLike<number>>;
  /** Is given every tensor that is held. */
  hold(tensor: Tensor): void;
}

const REAL: SoakParts = { restore: tg.restore, read: (tensor) => tensor.data(), hold: () => undefined };

/** What happened. */
export interface SoakCounts {
  rounds: number;
  steps: number;
  /** Devices that were ended. */
  lossesInjected: number;
  /** Allocations that were refused. */
  memoryRefused: number;
  /** Out-of-memory errors that the program saw. */
  outOfMemory: number;
  /** Continuations from a snapshot. */
  restored: number;
  /** Values whose memory was given up, and that moved to the host. */
  evictions: number;
  spills: number;
  /** Losses, evaluations and held tensors that were compared. */
  readsChecked: number;
  /** Of them, equal to the bit. */
  readsExact: number;
  /** Held tensors that were gone and said so. */
  disposed: number;
}

/** Something that was lost. */
export interface SoakFinding {
  readonly round: number;
  readonly problem: string;
}

/** What an undisturbed run gives. */
interface Reference {
  /** The kind of device that it ran on. */
  readonly kind: TestDevice;
  readonly losses: number[];
  readonly evaluations: number[];
  readonly values: Record<string, ArrayLike<number>>[];
}

/** A tensor that the program holds. */
interface Handle {
  readonly tensor: Tensor;
  readonly step: number;
  readonly name: string;
  readonly retained: boolean;
  readonly device: SoakDevice;
  /** True if it is of steps that memory was missing for. */
  unsure: boolean;
}

/** A run under way. */
interface Lane {
  readonly kind: WorkloadKind;
  readonly reference: Reference;
  /** Steps after which losses are read. */
  readonly every: number;
  device: SoakDevice;
  work: Workload;
  random: tg.RandomState;
  saved: tg.Snapshot;
  /** A snapshot that was asked for and has not come yet. */
  coming: Promise<tg.Snapshot> | null;
  readonly handles: Handle[];
  /** The losses that are still to be read. */
  readonly unread: { readonly step: number; readonly loss: Tensor }[];
  losses: number;
}

export class Soak {
  readonly counts: SoakCounts = {
    rounds: 0,
    steps: 0,
    lossesInjected: 0,
    memoryRefused: 0,
    outOfMemory: 0,
    restored: 0,
    evictions: 0,
    spills: 0,
    readsChecked: 0,
    readsExact: 0,
    disposed: 0,
  };
  readonly findings: SoakFinding[] = [];
  /** Called whenever something was done, for those who watch that it does not hang. */
  onProgress: () => void = () => undefined;
  readonly #kind: TestDevice;
  readonly #seed: number;
  readonly #parts: SoakParts;
  readonly #size: SoakSize;
  readonly #devices = new Devices();
  readonly #references = new Map<string, Reference>();
  readonly #evicted = new WeakMap<SoakDevice, { evicted: number; spilled: number }>();
  readonly #onRejection: (reason: unknown) => void;
  #round = 0;

  constructor(kind: TestDevice, seed: number, size: Partial<SoakSize> = {}, parts: Partial<SoakParts> = {}) {
    this.#kind = kind;
    this.#seed = seed;
    this.#size = { ...FULL, ...size };
    this.#parts = { ...REAL, ...parts };
    this.#onRejection = (reason) => this.#lost(`a rejection that nobody handled: ${String(reason)}`);
    process.on("unhandledRejection", this.#onRejection);
  }

  /** Ends the devices. */
  close(): void {
    process.off("unhandledRejection", this.#onRejection);
    this.#devices.close();
    tg.destroy();
  }

  #lost(problem: string): void {
    this.findings.push({ round: this.#round, problem });
  }

  /** Plays a round. */
  async run(round: number): Promise<void> {
    this.#round = round;
    try {
      await this.#play(new Dice(this.#seed, round));
    } catch (error) {
      this.#lost(`it ended with ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    tg.setMemoryBudget(null);
    for (const { plan } of this.#devices.all) disarm(plan);
    await this.#settle();
    this.counts.rounds++;
  }

  /** What a round does. All that it has is its own, so that nothing is held once it ended. */
  async #play(dice: Dice): Promise<void> {
    const lanes: Lane[] = [];
    const count = dice.chance(0.35) ? 2 : 1;
    for (let i = 0; i < count; i++) lanes.push(await this.#lane(dice, lanes));
    while (lanes.some(isUnfinished)) await this.#turn(dice, dice.pick(lanes.filter(isUnfinished)));
    for (const lane of lanes) await this.#finish(lane);
  }

  async #lane(dice: Dice, others: readonly Lane[]): Promise<Lane> {
    const used = others.map((lane) => lane.device);
    // The second may be of the other kind.
    const kind = used.length > 0 && dice.chance(0.3) ? "cpu" : this.#kind;
    const device = await this.#devices.take(kind, used);
    const workload = dice.pick(this.#size.kinds);
    const seed = dice.int(1, RUN_SEEDS);
    const reference = await this.#reference(workload, seed, device);
    setDefaultBackend(device.backend);
    tg.manualSeed(seed);
    const work = WORKLOADS[workload]();
    const saved = await tg.snapshot(work.state);
    return {
      kind: workload,
      reference,
      every: dice.pick([1, 1, 5, Infinity]),
      device,
      work,
      random: tg.getRngState(),
      saved,
      coming: null,
      handles: [],
      unread: [],
      losses: 0,
    };
  }

  /** What a run gives that nothing disturbs and whose every value is read at once. */
  async #reference(kind: WorkloadKind, seed: number, device: SoakDevice): Promise<Reference> {
    const key = `${kind}/${seed}/${device.kind}`;
    const known = this.#references.get(key);
    if (known !== undefined) return known;
    setDefaultBackend(device.backend);
    tg.manualSeed(seed);
    const work = WORKLOADS[kind]();
    const reference: Reference = { kind: device.kind, losses: [], evaluations: [], values: [] };
    for (let i = 0; i < this.#size.steps; i++) {
      const { loss, values } = work.step(() => undefined);
      reference.losses.push(await loss.item());
      const names = Object.keys(values);
      const data = await tg.readAll(Object.values(values));
      reference.values.push(Object.fromEntries(names.map((name, at) => [name, data[at]!])));
      reference.evaluations.push(await work.evaluate().item());
      this.onProgress();
    }
    this.#references.set(key, reference);
    return reference;
  }

  /** One step of a run, with whatever happens in it. */
  async #turn(dice: Dice, lane: Lane): Promise<void> {
    this.onProgress();
    const { device } = lane;
    setDefaultBackend(device.backend);
    tg.setRngState(lane.random);
    if (dice.chance(0.15)) tg.setMemoryBudget(dice.pick([null, 0, 20_000, 200_000]));
    const end = dice.chance(0.12) && lane.losses < 3 ? device.end : null;
    const place = end === null ? -1 : dice.int(0, 6);
    if (dice.chance(0.15)) this.#refuse(dice, device);
    const holds = Object.keys(lane.reference.values[0]!).filter(() => dice.chance(0.2));
    const retains = dice.chance(0.3);
    const [reads, evaluates, saves, waits] = [0.3, 0.2, 0.4, 0.5].map((p) => dice.chance(p));
    const pickHandle = dice.unit();
    const die = (): void => {
      if (isGone(device)) return;
      this.counts.lossesInjected++;
      end!();
    };
    try {
      if (saves && lane.unread.length === 0) {
        lane.coming = tg.snapshot(lane.work.state);
        lane.coming.catch(() => undefined);
        if (waits) await this.#arrive(lane);
      }
      if (place === 5) setTimeout(die, Math.floor(pickHandle * 30));
      let at = 0;
      const { step } = lane.work.state;
      const { loss, values } = lane.work.step(() => {
        if (at++ === place) die();
      });
      this.counts.steps++;
      lane.unread.push({ step, loss });
      for (const name of holds) {
        const tensor = retains ? values[name]!.retain() : values[name]!;
        this.#parts.hold(tensor);
        lane.handles.push({ tensor, step, name, retained: retains, device, unsure: false });
      }
      const evaluation = evaluates ? lane.work.evaluate() : null;
      lane.random = tg.getRngState();
      if (place === 6) die();
      if (evaluation !== null) this.#compare(lane, "evaluation", step, await evaluation.item());
      if (lane.unread.length >= lane.every || !isUnfinished(lane)) await this.#readLosses(lane);
      if (reads && lane.handles.length > 0)
        await this.#readHandle(lane, lane.handles.splice(Math.floor(pickHandle * lane.handles.length), 1)[0]!);
      if (waits) await this.#arrive(lane);
    } catch (error) {
      await this.#recover(dice, lane, error);
    }
  }

  /** Takes the snapshot that was asked for. */
  async #arrive(lane: Lane): Promise<void> {
    if (lane.coming === null) return;
    const { coming } = lane;
    lane.coming = null;
    lane.saved = await coming;
  }

  async #readLosses(lane: Lane): Promise<void> {
    const unread = lane.unread.splice(0);
    const values = await Promise.all(unread.map(({ loss }) => this.#parts.read(loss)));
    unread.forEach(({ step }, i) => this.#compare(lane, "loss", step, values[i]![0]!));
  }

  /** Makes a device refuse memory: from some allocation on, or beyond some bytes. */
  #refuse(dice: Dice, { plan, backend }: SoakDevice): void {
    let allocations = 0;
    const from = dice.int(1, 12);
    const isLasting = dice.chance(0.5);
    const limit = dice.chance(0.3) ? backend.memory().usedBytes + dice.int(0, 60_000) : Infinity;
    backend.trim(0);
    plan.noMemory = () => {
      const refused = ++allocations >= from && (isLasting || allocations === from);
      if (refused) this.counts.memoryRefused++;
      return refused;
    };
    plan.memoryBytes = limit;
  }

  /** Goes on from the last snapshot, on the same device, another one, or the CPU. */
  async #recover(dice: Dice, lane: Lane, error: unknown): Promise<void> {
    const isShort = error instanceof tg.OutOfMemoryError;
    const isLost = error instanceof tg.DeviceLostError;
    if (!isShort && !isLost) {
      this.#lost(`step ${lane.work.state.step} of ${lane.kind} ended with ${describe(error)}`);
      throw error;
    }
    disarm(lane.device.plan);
    if (isShort) this.counts.outOfMemory++;
    if (isLost && lane.device.end === null) this.#lost(`the CPU said that it was lost: ${describe(error)}`);
    if (lane.coming !== null) await this.#arrive(lane).catch((problem: unknown) => this.#expectFault(problem));
    if (isLost) {
      lane.losses++;
      lane.device.end!();
      // The word of it comes at a later turn.
      for (let i = 0; !isGone(lane.device) && i < 500; i++) await pause(10);
      if (!isGone(lane.device)) this.#lost("a device that ended was never said to be lost");
      lane.device = await this.#devices.take(dice.chance(0.25) ? "cpu" : "webgpu");
    }
    setDefaultBackend(lane.device.backend);
    if (dice.chance(0.3)) {
      // As in another process: nothing of the objects before.
      tg.manualSeed(dice.int(100, 200));
      lane.work = WORKLOADS[lane.kind]();
    }
    lane.unread.length = 0;
    this.#parts.restore(lane.work.state, lane.saved);
    lane.random = tg.getRngState();
    for (const handle of lane.handles) if (handle.step >= lane.work.state.step) handle.unsure = true;
    this.counts.restored++;
  }

  #expectFault(problem: unknown): void {
    if (problem instanceof tg.OutOfMemoryError || problem instanceof tg.DeviceLostError) return;
    this.#lost(`it was refused with ${describe(problem)}`);
  }

  /** Reads what was held: it is right, or says why it is gone and how to keep it. */
  async #readHandle(lane: Lane, handle: Handle): Promise<void> {
    const { tensor, step, name, retained, device, unsure } = handle;
    const what = `${name} of step ${step} of ${lane.kind}`;
    const expected = lane.reference.values[step]![name]!;
    for (let attempt = 0; ; attempt++) {
      try {
        const data = await this.#parts.read(tensor);
        this.#compareAll(what, data, expected, isExact(lane.reference, device));
        return;
      } catch (error) {
        if (error instanceof tg.DeviceLostError && isDying(device)) return;
        if (error instanceof tg.OutOfMemoryError) {
          this.counts.outOfMemory++;
          // Once there is memory it can be read.
          disarm(device.plan);
          if (attempt === 0) continue;
          if (unsure || lane.unread.length > 0) return;
          this.#lost(`${what} cannot be read although there is memory: ${error.message}`);
        } else if (error instanceof tg.DisposedError) {
          this.counts.disposed++;
          if (!error.message.includes("retain()"))
            this.#lost(`${what} is gone and does not say how to keep it: ${error.message}`);
          else if (retained && !unsure) this.#lost(`${what} was retained and is gone: ${error.message}`);
        } else this.#lost(`${what} was refused with ${describe(error)}`);
        return;
      }
    }
  }

  async #finish(lane: Lane): Promise<void> {
    disarm(lane.device.plan);
    for (const handle of lane.handles.splice(0)) await this.#readHandle(lane, handle);
    if (lane.coming !== null) await this.#arrive(lane).catch((problem: unknown) => this.#expectFault(problem));
  }

  #compare(lane: Lane, what: "loss" | "evaluation", step: number, got: number): void {
    const { losses, evaluations } = lane.reference;
    const expected = (what === "loss" ? losses : evaluations)[step]!;
    const toTheBit = isExact(lane.reference, lane.device);
    this.#compareAll(`the ${what} of step ${step} of ${lane.kind}`, [got], [expected], toTheBit);
  }

  #compareAll(what: string, got: ArrayLike<number>, expected: ArrayLike<number>, toTheBit: boolean): void {
    this.counts.readsChecked++;
    let exact = got.length === expected.length;
    let wrong = exact ? -1 : 0;
    for (let i = 0; i < expected.length && wrong < 0; i++) {
      const [a, e] = [got[i]!, expected[i]!];
      if (Object.is(a, e)) continue;
      exact = false;
      if (toTheBit || !(Math.abs(a - e) <= TOLERANCE.atol + TOLERANCE.rtol * Math.abs(e))) wrong = i;
    }
    if (exact) this.counts.readsExact++;
    if (wrong >= 0)
      this.#lost(`${what} is ${got[wrong]} instead of ${expected[wrong]} (element ${wrong} of ${got.length})`);
  }

  /** All that a round had is let go of: live memory comes back to what it was. */
  async #settle(): Promise<void> {
    await tg.synchronize().catch((error: unknown) => this.#expectFault(error));
    // What is only kept because it may be of use again, and refers to what is not.
    tg.setMemoryBudget(0);
    tg.setMemoryBudget(null);
    for (const device of this.#devices.all) {
      const { evicted, spilled } = residencyOf(device.backend).figures();
      const before = this.#evicted.get(device) ?? { evicted: 0, spilled: 0 };
      this.counts.evictions += evicted - before.evicted;
      this.counts.spills += spilled - before.spilled;
      this.#evicted.set(device, { evicted, spilled });
    }
    const isAtRest = (): boolean => this.#devices.all.every((device) => liveBytes(device) <= device.baseline);
    for (const start = performance.now(); !isAtRest() && performance.now() - start < COLLECT_MS;) {
      // Dead tensors count as held until they are collected: what was recorded from them is computed meanwhile.
      await tg.synchronize().catch((error: unknown) => this.#expectFault(error));
      tg.setMemoryBudget(0);
      tg.setMemoryBudget(null);
      collectGarbage();
      await pause(5);
      this.onProgress();
    }
    for (const device of this.#devices.all)
      if (liveBytes(device) > device.baseline)
        this.#lost(
          `${liveBytes(device)} bytes are still live on ${device.kind}, and nobody has them: ${owners(device)}`,
        );
  }
}

function isUnfinished({ work, reference }: Lane): boolean {
  return work.state.step < reference.losses.length;
}

/** On the CPU the same numbers come out whichever kernels compute them. */
function isExact({ kind }: Reference, device: SoakDevice): boolean {
  return kind === "cpu" && device.kind === "cpu";
}

function isDying(device: SoakDevice): boolean {
  return device.end !== null;
}

function owners({ kind }: SoakDevice): string {
  const values = tg.memorySnapshot().filter((v) => v.device === kind && !v.isCached);
  return values
    .map((v) => `${v.owner} ${v.operation} [${v.shape.join()}]`)
    .slice(0, 8)
    .join(", ");
}

function disarm(plan: SoakDevice["plan"]): void {
  plan.noMemory = undefined;
  plan.memoryBytes = Infinity;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

let collector: (() => void) | null = null;

/** Runs the garbage collector now. */
function collectGarbage(): void {
  if (collector === null) {
    setFlagsFromString("--expose-gc");
    collector = runInNewContext("gc") as () => void;
  }
  collector();
}
