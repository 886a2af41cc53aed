/** `training`: whole steps (upload, forward, backward, AdamW) side by side, losses compared first. */

import type { GpuClock } from "../measure.ts";
import { provideGpu } from "../support/dawn.ts";
import { installGpuClock } from "../support/gpu.ts";
import { adapterFacts, type AdapterFacts } from "../support/machine.ts";
import { matches, type BenchOptions, type ThreadMode } from "../support/options.ts";
import { threadsOf } from "../support/peers.ts";
import { geometricMean, quantile, summarize, type Summary } from "../support/statistics.ts";
import { digits, ratio, table, time } from "../support/table.ts";
import { messageOf } from "../subjects/subject.ts";
import { makeFactories } from "./factories.ts";
import { MODELS, startOf, type Batch, type Model, type Trainer, type TrainerFactory } from "./model.ts";

/** Figures of one library on one model. */
export type TrainingOutcome =
  | {
      readonly kind: "measured";
      readonly name: string;
      /** Seconds a step. */
      readonly step: Summary;
      readonly stepsPerSample: number;
      /** Seconds from making the parameters to the first loss. */
      readonly first: number;
      /** Loss after five steps, and how far it is from the median of all, relatively. */
      readonly loss: number;
      readonly lossError: number;
      /** Dispatches and submissions a step, where the GPU is watched. */
      readonly dispatches: number | null;
      readonly submissions: number | null;
    }
  | { readonly kind: "failed" | "wrong"; readonly name: string; readonly reason: string };

export interface TrainingResult {
  readonly device: "cpu" | "webgpu";
  readonly threads: ThreadMode;
  readonly adapter: AdapterFacts | null;
  readonly subjects: readonly {
    readonly name: string;
    readonly version: string;
    readonly threads: number;
  }[];
  readonly models: readonly {
    readonly id: string;
    readonly title: string;
    readonly flops: number;
    readonly outcomes: readonly TrainingOutcome[];
    /** Time of the best peer over ours. */
    readonly ratio: number | null;
    readonly leastRatio: number | null;
  }[];
}

const COMPARED_STEPS = 5;
/** Libraries round differently; beyond this their losses are not of the same model. */
const LOSS_TOLERANCE = 2e-3;
const LEAST_SAMPLES = 3;

interface Runner {
  readonly factory: TrainerFactory;
  readonly trainer: Trainer;
  readonly first: number;
  readonly loss: number;
  readonly stepsPerSample: number;
  readonly times: number[];
  dispatches: number | null;
  submissions: number | null;
  failure: string | null;
}

function batchesFrom(model: Model, seed: number, count: number): Batch[] {
  return Array.from({ length: count }, (_, i) => model.makeBatch(seed + 10 * i));
}

async function timed(trainer: Trainer, batches: readonly Batch[]): Promise<number> {
  const start = performance.now();
  const { seconds, loss } = await trainer.train(batches);
  if (!Number.isFinite(loss)) throw new Error(`the loss is ${loss}`);
  return seconds ?? (performance.now() - start) / 1e3;
}

async function startRunner(
  factory: TrainerFactory,
  model: Model,
  options: BenchOptions,
): Promise<Runner | TrainingOutcome> {
  const { name } = factory;
  try {
    const begin = performance.now();
    const trainer = await factory.start(model, startOf(model));
    await trainer.train(batchesFrom(model, 1, 1));
    const first = (performance.now() - begin) / 1e3;
    const { loss } = await trainer.train(batchesFrom(model, 11, COMPARED_STEPS - 1));
    if (!Number.isFinite(loss)) throw new Error(`the loss after ${COMPARED_STEPS} steps is ${loss}`);
    const single = await timed(trainer, batchesFrom(model, 500, 1));
    const sampleTime = options.quick ? 0.05 : 0.2;
    return {
      factory,
      trainer,
      first,
      loss,
      stepsPerSample: Math.max(1, Math.min(50, Math.ceil(sampleTime / single))),
      times: [],
      dispatches: null,
      submissions: null,
      failure: null,
    };
  } catch (error) {
    return { kind: "failed", name, reason: messageOf(error) };
  }
}

async function measureModel(
  factories: readonly TrainerFactory[],
  model: Model,
  options: BenchOptions,
  clock: GpuClock | null,
): Promise<TrainingOutcome[]> {
  const outcomes = new Map<string, TrainingOutcome>();
  const runners: Runner[] = [];
  for (const factory of factories) {
    const runner = await startRunner(factory, model, options);
    if ("kind" in runner) outcomes.set(factory.name, runner);
    else runners.push(runner);
  }
  const middle = quantile(
    runners.map((r) => r.loss),
    0.5,
  );
  for (const runner of runners) {
    const error = Math.abs(runner.loss / middle - 1);
    if (error > LOSS_TOLERANCE) {
      runner.failure = `loss ${runner.loss.toPrecision(6)} after ${COMPARED_STEPS} steps; the median of all is ${middle.toPrecision(6)}`;
      outcomes.set(runner.factory.name, { kind: "wrong", name: runner.factory.name, reason: runner.failure });
    }
  }
  const begin = performance.now();
  for (let round = 0; round < options.samples; round++) {
    const spent = (performance.now() - begin) / 1e3;
    if (round >= LEAST_SAMPLES && spent + spent / round > options.budget * runners.length) break;
    for (let i = 0; i < runners.length; i++) {
      const runner = runners[(i + round) % runners.length]!;
      if (runner.failure !== null) continue;
      const batches = batchesFrom(model, 1000 + round * 7, runner.stepsPerSample);
      try {
        runner.times.push((await timed(runner.trainer, batches)) / runner.stepsPerSample);
        if (clock !== null && runner.dispatches === null) {
          clock.start();
          await runner.trainer.train(batches.slice(0, 1));
          const { dispatches, submissions } = await clock.stop();
          runner.dispatches = dispatches;
          runner.submissions = submissions;
        }
      } catch (error) {
        runner.failure = messageOf(error);
        outcomes.set(runner.factory.name, { kind: "failed", name: runner.factory.name, reason: runner.failure });
      }
    }
  }
  for (const { factory, trainer, first, loss, stepsPerSample, times, dispatches, submissions, failure } of runners) {
    trainer.close();
    if (failure === null)
      outcomes.set(factory.name, {
        kind: "measured",
        name: factory.name,
        step: summarize(times),
        stepsPerSample,
        first,
        loss,
        lossError: Math.abs(loss / middle - 1),
        dispatches,
        submissions,
      });
  }
  return factories.map((f) => outcomes.get(f.name)!);
}

function ratioOf(
  outcomes: readonly TrainingOutcome[],
  factories: readonly TrainerFactory[],
  figure: "median" | "least",
): number | null {
  const least = (accept: (f: TrainerFactory) => boolean): number =>
    Math.min(
      Infinity,
      ...outcomes.flatMap((o) =>
        o.kind === "measured" && accept(factories.find((f) => f.name === o.name)!) ? [o.step[figure]] : [],
      ),
    );
  const ours = least((f) => f.library === "tapegrad");
  const peer = least((f) => f.library !== "tapegrad" && f.isCeiling !== true);
  return Number.isFinite(ours) && Number.isFinite(peer) ? peer / ours : null;
}

function show(model: Model, outcomes: readonly TrainingOutcome[], factories: readonly TrainerFactory[]): string {
  const ours = outcomes.find((o) => o.name === "tapegrad")!;
  const own = ours.kind === "measured" ? ours.step.median : NaN;
  const sorted = [...outcomes].sort(
    (a, b) => (a.kind === "measured" ? a.step.median : Infinity) - (b.kind === "measured" ? b.step.median : Infinity),
  );
  const watched = outcomes.some((o) => o.kind === "measured" && o.dispatches !== null);
  const rows = sorted.map((o) => {
    const threads = String(factories.find((f) => f.name === o.name)!.threads);
    if (o.kind !== "measured") return [o.name, threads, "-"];
    return [
      o.name,
      threads,
      time(o.step.median),
      `${time(o.step.p10)} .. ${time(o.step.p90)}`,
      time(o.first),
      o.loss.toFixed(5),
      digits(model.flops / o.step.median / 1e9),
      ratio(o.step.median / own),
      `${o.step.samples}${o.stepsPerSample > 1 ? ` of ${o.stepsPerSample}` : ""}`,
      ...(watched ? [String(o.dispatches ?? ""), String(o.submissions ?? "")] : []),
    ];
  });
  const reasons = sorted.flatMap((o) => (o.kind === "measured" ? [] : [`  ${o.name} ${o.kind}: ${o.reason}`]));
  const headers = [
    "subject",
    ">threads",
    ">a step",
    "p10 .. p90",
    ">first",
    ">loss after 5",
    ">GFLOP/s",
    ">/ ours",
    ">samples",
    ...(watched ? [">dispatches", ">submissions"] : []),
  ];
  return [`${model.id}: ${model.title}`, table(headers, rows), ...reasons, ""].join("\n");
}

/** Measures and prints all models that are asked for. */
export async function runTraining(options: BenchOptions, mode: ThreadMode): Promise<TrainingResult> {
  const { device } = options;
  let adapter: AdapterFacts | null = null;
  let clock: GpuClock | null = null;
  if (device === "webgpu") {
    const gpu = await provideGpu();
    adapter = await adapterFacts(gpu);
    clock = await installGpuClock(gpu);
  }
  const factories = (await makeFactories(device, mode)).filter((f) => matches(f.name, options.subjects));
  const where =
    adapter === null
      ? `CPU, ${mode === "one" ? "one thread" : `all threads (${threadsOf(mode)})`}`
      : `WebGPU on ${adapter.description}${adapter.isSoftware ? ": A SOFTWARE ADAPTER, says nothing about GPUs" : ""}`;
  console.log(`\n=== Training steps, ${where}\n`);
  const models = [];
  for (const model of MODELS) {
    if (!matches(model.id, options.only) || (options.quick && !model.quick && options.only.length === 0)) continue;
    if (model.large && options.only.length === 0 && (device === "cpu" || adapter!.isSoftware)) continue;
    const outcomes = await measureModel(factories, model, options, clock);
    console.log(show(model, outcomes, factories));
    models.push({
      id: model.id,
      title: model.title,
      flops: model.flops,
      outcomes,
      ratio: ratioOf(outcomes, factories, "median"),
      leastRatio: ratioOf(outcomes, factories, "least"),
    });
  }
  const known = models.filter((m) => m.ratio !== null);
  for (const m of known)
    console.log(`${m.id}: best peer / ours ${ratio(m.ratio!)} (fastest samples ${ratio(m.leastRatio!)})`);
  console.log(`geometric mean: ${ratio(geometricMean(known.map((m) => m.ratio!)))}\n`);
  for (const f of factories) f.close?.();
  return {
    device,
    threads: mode,
    adapter,
    subjects: factories.map(({ name, version, threads }) => ({ name, version, threads })),
    models,
  };
}
