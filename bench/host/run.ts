/**
 * `host`: what the libraries' JavaScript costs. All run the same operations and training steps on a GPU that computes nothing; ours also on
 * the null backend, which leaves recording and scheduling alone.
 */

import * as tg from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import { setBackend, setDefaultBackend, backendOf } from "../../src/graph/devices.ts";
import { ownVersion } from "../support/machine.ts";
import { matches, type BenchOptions } from "../support/options.ts";
import { loadJax, loadTfGpu, peerVersion } from "../support/peers.ts";
import { summarize, type Summary } from "../support/statistics.ts";
import { digits, ratio, table } from "../support/table.ts";
import { jaxSubject } from "../subjects/jax.ts";
import { drawInputs, messageOf, type Subject } from "../subjects/subject.ts";
import { tapegradSubject } from "../subjects/tapegrad.ts";
import { tfjsSubject } from "../subjects/tfjs.ts";
import { startJax } from "../training/jax.ts";
import { MODELS, startOf, stepping, type Model, type Stepper } from "../training/model.ts";
import { startTapegrad } from "../training/tapegrad.ts";
import { startTfjs } from "../training/tfjs.ts";
import { WORKLOADS } from "../workloads/index.ts";
import { provideNullGpu, type GpuCounts } from "./null-gpu.ts";

/** Figures of one library on one sequence. */
export interface HostOutcome {
  readonly name: string;
  /** Seconds of the whole sequence; null if it failed. */
  readonly sequence: Summary | null;
  readonly counts: GpuCounts | null;
  readonly reason: string | null;
}

export interface HostResult {
  readonly sequences: readonly {
    readonly id: string;
    /** Operations that ours records: what the time of all is divided by. */
    readonly operations: number;
    readonly outcomes: readonly HostOutcome[];
  }[];
}

/** Something that is run again and again. */
interface Runner {
  run(): Promise<unknown>;
  close(): void;
}

interface Contender {
  readonly name: string;
  operation(id: string): Promise<Runner>;
  train(model: Model): Promise<Runner>;
}

function operationRunner(subject: Subject): (id: string) => Promise<Runner> {
  return async (id) => {
    const workload = WORKLOADS.find((w) => w.id === id)!;
    const instance = await subject.prepare(workload);
    if ("missing" in instance) throw new Error(instance.missing);
    await instance.load(drawInputs(workload, 1));
    return { run: () => instance.run(1), close: () => instance.unload() };
  };
}

function trainingRunner(start: (model: Model, p: readonly Float32Array[]) => Stepper): (m: Model) => Promise<Runner> {
  return (model) => {
    const trainer = stepping(start(model, startOf(model)));
    const batches = [1, 2, 3].map((seed) => model.makeBatch(seed));
    let at = 0;
    return Promise.resolve({
      run: () => trainer.train([batches[at++ % 3]!]),
      close: () => trainer.close(),
    });
  };
}

/** Ours runs where the device is the default only while it is its turn. */
function on(device: "webgpu" | "null", make: Contender): Contender {
  const during = async <T>(f: () => Promise<T>): Promise<T> => {
    setDefaultBackend(backendOf(device));
    return f();
  };
  const wrap = (runner: Runner): Runner => ({ run: () => during(runner.run), close: runner.close });
  return {
    name: make.name,
    operation: async (id) => wrap(await during(() => make.operation(id))),
    train: async (model) => wrap(await during(() => make.train(model))),
  };
}

async function makeContenders(gpu: GPU): Promise<Contender[]> {
  await tg.init({ device: "webgpu", gpu });
  setBackend(new NullBackend({ recordsCalls: false }));
  const version = ownVersion();
  const ours = (device: "webgpu" | "null", name: string, compiled = false): Contender =>
    on(device, {
      name,
      operation: operationRunner(tapegradSubject(tg, device as "webgpu", version, 1, compiled)),
      train: trainingRunner((model, p) => startTapegrad(tg, model, p, compiled)),
    });
  const tf = await loadTfGpu();
  const jax = await loadJax("webgpu", "one");
  return [
    ours("webgpu", "tapegrad"),
    ours("null", "tapegrad, null backend"),
    ours("webgpu", "tapegrad compile", true),
    ...[false, true].map((jitted): Contender => ({
      name: `jax-js${jitted ? " jit" : ""}`,
      operation: operationRunner(jaxSubject(jax, "webgpu", jitted, peerVersion("@jax-js/jax"), 1)),
      train: trainingRunner((model, p) => startJax(jax, model, p, jitted)),
    })),
    {
      name: "tfjs",
      operation: operationRunner(tfjsSubject(tf, "webgpu", peerVersion("@tensorflow/tfjs-core"), 1)),
      train: trainingRunner((model, p) => startTfjs(tf, model, p)),
    },
  ];
}

/** Number of the next node: the difference says how many were recorded. */
function nodeCount(): number {
  return tg.zeros(1, { device: "cpu" }).impl.storage.node.id;
}

const OPERATIONS = ["tiny-1000", "chain10-2^20", "layernorm-grad-16384x384"];
/** Until the engine has compiled what runs often: at least so many sequences, and so many seconds of them. */
const WARMUP = 12;
const WARMUP_SECONDS = 1.5;
/** Seconds that a turn takes at least: its first sequences pay for what the library before it left in the caches. */
const TURN_SECONDS = 0.15;

/** Collects what was allocated last, so that no library pays for the garbage of the one before it. Needs `--expose-gc`. */
function collectYoung(): void {
  const { gc } = globalThis as { gc?: (options: { type: "minor" }) => void };
  gc?.({ type: "minor" });
}

async function sampleAll(
  id: string,
  contenders: readonly Contender[],
  start: (c: Contender) => Promise<Runner>,
  counts: GpuCounts,
  options: BenchOptions,
): Promise<HostResult["sequences"][number]> {
  const running: { name: string; runner: Runner; times: number[]; counts: GpuCounts | null }[] = [];
  const failed = new Map<string, string>();
  let operations = 0;
  for (const contender of contenders) {
    try {
      const runner = await start(contender);
      const from = performance.now();
      const budget = Math.min(WARMUP_SECONDS, options.budget);
      for (let i = 0; i < WARMUP || (performance.now() - from) / 1e3 < budget; i++) await runner.run();
      const before = { ...counts };
      const nodes = nodeCount();
      await runner.run();
      if (contender.name === "tapegrad") operations = nodeCount() - nodes - 1;
      const keys = Object.keys(before) as (keyof GpuCounts)[];
      const difference = Object.fromEntries(keys.map((k) => [k, counts[k] - before[k]])) as unknown as GpuCounts;
      running.push({ name: contender.name, runner, times: [], counts: difference });
    } catch (error) {
      failed.set(contender.name, messageOf(error));
    }
  }
  const begin = performance.now();
  for (let round = 0; round < 2 * options.samples; round++) {
    if (round >= 5 && (performance.now() - begin) / 1e3 > options.budget * running.length) break;
    for (let i = 0; i < running.length; i++) {
      const { runner, times } = running[(i + round) % running.length]!;
      collectYoung();
      const turn = performance.now();
      do {
        const start = performance.now();
        await runner.run();
        times.push((performance.now() - start) / 1e3);
      } while ((performance.now() - turn) / 1e3 < TURN_SECONDS);
    }
  }
  for (const { runner } of running) runner.close();
  const outcomes = contenders.map(({ name }): HostOutcome => {
    const entry = running.find((r) => r.name === name);
    if (entry === undefined) return { name, sequence: null, counts: null, reason: failed.get(name) ?? "" };
    const isNull = name.includes("null");
    return { name, sequence: summarize(entry.times), counts: isNull ? null : entry.counts, reason: null };
  });
  return { id, operations, outcomes };
}

function show({ id, operations, outcomes }: HostResult["sequences"][number]): string {
  const each = (seconds: number): string => `${digits((seconds * 1e6) / operations)} us`;
  const ours = outcomes[0]!;
  const rows = outcomes.map(({ name, sequence, counts, reason }) =>
    sequence === null
      ? [name, `- ${reason}`]
      : [
          name,
          each(sequence.median),
          each(sequence.least),
          `${digits(sequence.median * 1e3)} ms`,
          ours.sequence === null ? "" : ratio(sequence.median / ours.sequence.median),
          ...(counts === null
            ? []
            : [counts.dispatches, counts.passes, counts.submissions, counts.bindGroups, counts.writes].map(String)),
          counts === null || ours.counts === null ? "" : ratio(counts.dispatches / ours.counts.dispatches),
        ],
  );
  const headers = [
    "subject",
    ">an op",
    ">fastest",
    ">sequence",
    ">/ ours",
    ">dispatches",
    ">passes",
    ">submits",
    ">bind groups",
    ">writes",
    ">dispatches / ours",
  ];
  return `${id}: ${operations} operations recorded by ours\n${table(headers, rows)}\n`;
}

/** What a training step asks of the GPU and of the host, beside what it should. */
function verdicts(sequences: HostResult["sequences"]): string {
  const models = sequences.filter(({ id }) => MODELS.some((model) => model.id === id));
  const rows = models.map(({ id, operations, outcomes }) => {
    const of = (name: string): HostOutcome | undefined => outcomes.find((o) => o.name === name);
    const ours = of("tapegrad")?.counts?.dispatches;
    const counts = outcomes.filter((o) => o.counts !== null && !o.name.startsWith("tapegrad"));
    const least = Math.min(...counts.map((o) => o.counts!.dispatches));
    const theirs = of("tfjs")?.counts?.dispatches;
    const alone = of("tapegrad, null backend")?.sequence;
    const each = alone == null ? null : (alone.least * 1e6) / operations;
    const known = ours !== undefined;
    return [
      id,
      known ? String(ours) : "-",
      known && counts.length > 0 ? `${least} ${ours < least ? "yes" : "NO"}` : "-",
      known && theirs !== undefined ? `${ratio(theirs / ours)} ${theirs >= 4 * ours ? "yes" : "NO"}` : "-",
      each === null ? "-" : `${digits(each)} us ${each < 3 ? "yes" : "NO"}`,
    ];
  });
  if (rows.length === 0) return "";
  const headers = [
    "training step",
    ">dispatches",
    ">fewer than the best peer",
    ">at least 4 times fewer than tfjs",
    ">under 3 us an op on the null backend (fastest)",
  ];
  return `${table(headers, rows)}\n`;
}

/** Measures and prints host cost and dispatches. */
export async function runHost(options: BenchOptions): Promise<HostResult> {
  const { gpu, counts } = provideNullGpu();
  const contenders = (await makeContenders(gpu)).filter((c) => matches(c.name, options.subjects));
  console.log("\n=== Host cost, on a GPU that computes nothing; caches are warm\n");
  const sequences: HostResult["sequences"][number][] = [];
  const add = async (id: string, start: (c: Contender) => Promise<Runner>): Promise<void> => {
    if (!matches(id, options.only)) return;
    const result = await sampleAll(id, contenders, start, counts, options);
    console.log(show(result));
    sequences.push(result);
  };
  for (const id of OPERATIONS) await add(id, (c) => c.operation(id));
  for (const model of MODELS) await add(model.id, (c) => c.train(model));
  console.log(verdicts(sequences));
  return { sequences };
}
