/** `memory`: what loops of many steps leave behind; ours on both devices, and the training loop of the peers. */

import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { dawnEnvironment, ROOT, type SeenAdapter } from "../../scripts/support/environment.ts";
import { matches, type BenchOptions } from "../support/options.ts";
import { peerVersion } from "../support/peers.ts";
import { bytes, ratio, table } from "../support/table.ts";
import type { MemoryOutcome } from "./child.ts";
import { LOOPS } from "./loops.ts";

export interface MemoryResult {
  readonly adapter: SeenAdapter | null;
  /** Versions of the peers. */
  readonly versions: Readonly<Record<string, string>>;
  readonly outcomes: readonly JudgedOutcome[];
  /** What was promised and not kept, for people. */
  readonly unmet: readonly string[];
}

/** What a loop left, and whether that keeps the promises; null where nothing was promised, or it could not be seen. */
export interface JudgedOutcome extends MemoryOutcome {
  /** Whether every promise is kept. */
  readonly isKept: boolean | null;
  readonly isFlat: boolean | null;
  readonly peakRatio: number | null;
  readonly isPeakKept: boolean | null;
  /** Bytes of device memory that each kept handle takes. */
  readonly bytesPerKept: number | null;
}

/** The most that the peak may be above what liveness needs, and bytes that a kept loss may take. */
const MOST_RATIO = 1.25;
const MOST_PER_KEPT = 64;

/** The training loop as their users write it: with the care that each of them asks for, and TensorFlow.js also without. */
const PEERS = {
  cpu: ["tfjs wasm", "tfjs wasm without tidy", "jax-js wasm", "jax-js wasm jit"],
  webgpu: ["tfjs webgpu", "tfjs webgpu without tidy", "jax-js webgpu", "jax-js webgpu jit"],
} as const;

const PACKAGES = ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-webgpu", "@jax-js/jax"];

const FULL_STEPS = 10_000;
const QUICK_STEPS = 300;
/** Seconds that a loop may take, as software adapters are slow. */
const FULL_SECONDS = 1800;
const QUICK_SECONDS = 60;
/** Bytes by which our process may grow (without any `await` the driver keeps what was sent), and what is enough to see of a peer. */
const MOST_BYTES = 8 * 2 ** 30;
const PEER_BYTES = 2 ** 30;
const PEER_SECONDS = { cpu: 300, webgpu: 60 } as const;

function runChild(
  library: string,
  loop: string,
  device: string,
  bounds: { readonly steps: number; readonly seconds: number; readonly bytes: number },
  variables: Readonly<Record<string, string>>,
): Promise<MemoryOutcome> {
  const { steps, seconds, bytes } = bounds;
  const { promise, resolve } = Promise.withResolvers<MemoryOutcome>();
  const child = spawn(
    process.execPath,
    ["--expose-gc", join(ROOT, "bench/memory/child.ts"), ...[library, loop, device, steps, seconds, bytes].map(String)],
    { cwd: ROOT, env: { ...process.env, ...variables }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let out = "";
  let errors = "";
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  child.on("exit", (code) => {
    const line = out.split("\n").find((l) => l.startsWith("{"));
    if (line !== undefined) resolve(JSON.parse(line) as MemoryOutcome);
    else {
      const reason = errors.split("\n").find((l) => /Error|error/.test(l)) ?? `code ${code}`;
      resolve({ library, loop, device, failure: reason.slice(0, 200) } as MemoryOutcome);
    }
  });
  return promise;
}

/** Holds an outcome of our own against the promises. */
function judge(o: MemoryOutcome): JudgedOutcome {
  if (o.failure !== null || o.library !== "tapegrad")
    return { ...o, isKept: null, isFlat: null, peakRatio: null, isPeakKept: null, bytesPerKept: null };
  const grown = o.live! - o.live20!;
  const cached = o.cached! - o.cached20!;
  const bytesPerKept = o.kept === 0 ? null : Math.max(grown + cached, 0) / o.kept;
  const peakRatio = o.peak! / o.least!;
  const isFlat = grown === 0;
  const isPeakKept = peakRatio <= MOST_RATIO;
  const isKept = isFlat && isPeakKept && (bytesPerKept ?? 0) <= MOST_PER_KEPT && o.stopped === null;
  return { ...o, isKept, isFlat, peakRatio, isPeakKept, bytesPerKept };
}

const size = (n: number | null | undefined): string => (n === null || n === undefined ? "-" : bytes(n));
const yesNo = (value: boolean | null): string => (value === null ? "-" : value ? "yes" : "NO");

/** What an outcome of our own does not keep. */
function unmetBy(o: JudgedOutcome, steps: number): string[] {
  const where = `${o.loop} on ${o.device}`;
  if (o.failure !== null) return [`${where}: ${o.failure}`];
  const unmet: string[] = [];
  if (o.steps < steps)
    unmet.push(`${where}: stopped after ${o.steps} of ${steps} steps, when its ${o.stopped} were used up`);
  if (o.isFlat === false) unmet.push(`${where}: live bytes went from ${o.live20} to ${o.live}`);
  if (o.isPeakKept === false)
    unmet.push(`${where}: the peak of ${o.peak} is ${ratio(o.peakRatio!)} the minimum of ${o.least}`);
  if (o.bytesPerKept !== null && o.bytesPerKept > MOST_PER_KEPT)
    unmet.push(`${where}: ${o.bytesPerKept.toFixed(1)} bytes a kept loss`);
  return unmet;
}

const OUR_HEADERS = [
  "loop",
  "verdict",
  ">steps",
  ">live, step 20",
  ">live, end",
  "flat",
  ">cached",
  ">pooled",
  ">peak",
  ">minimum",
  ">peak / min",
  `<= ${MOST_RATIO}`,
  ">B a kept loss",
  ">RSS, step 20",
  ">RSS, end",
  ">JS heap, step 20",
  ">JS heap, end",
];

function ourRow(title: string, o: JudgedOutcome): string[] {
  if (o.failure !== null) return [title, `failed: ${o.failure}`];
  return [
    title,
    o.isKept === true ? "kept" : "NOT KEPT",
    String(o.steps),
    size(o.live20),
    size(o.live),
    yesNo(o.isFlat),
    size(o.cached),
    size(o.pooled),
    size(o.peak),
    size(o.least),
    o.peakRatio === null ? "-" : ratio(o.peakRatio),
    yesNo(o.isPeakKept),
    o.bytesPerKept === null ? "-" : o.bytesPerKept.toFixed(1),
    size(o.rss20),
    size(o.rss),
    size(o.heap20),
    size(o.heap),
  ];
}

const PEER_HEADERS = [
  "library",
  ">steps",
  ">live, step 20",
  ">live, end",
  "flat",
  ">tensors, step 20",
  ">tensors, end",
  ">wasm or GPU, step 20",
  ">wasm or GPU, end",
  ">RSS, step 20",
  ">RSS, end",
  ">JS heap, step 20",
  ">JS heap, end",
  "stopped after",
];

function peerRow(library: string, o: MemoryOutcome): string[] {
  if (o.failure !== null) return [library, `failed: ${o.failure}`];
  return [
    library,
    String(o.steps),
    size(o.live20),
    size(o.live),
    o.live === null ? "-" : yesNo(o.live === o.live20),
    o.tensors20 === null ? "-" : String(o.tensors20),
    o.tensors === null ? "-" : String(o.tensors),
    size(o.gpu20 ?? o.wasm20),
    size(o.gpu ?? o.wasm),
    size(o.rss20),
    size(o.rss),
    size(o.heap20),
    size(o.heap),
    o.stopped === null
      ? ""
      : o.stopped === "bytes"
        ? `${bytes(PEER_BYTES)} more of process memory`
        : `${o.seconds.toFixed(0)} s`,
  ];
}

/** One process: a loop of ours, or of a peer. */
interface Task {
  readonly library: string;
  readonly loop: string;
  readonly device: "cpu" | "webgpu";
  readonly title: string;
  readonly bounds: { readonly steps: number; readonly seconds: number; readonly bytes: number };
}

/** Runs tasks, as many at once as there are processors: figures of memory do not mind company. */
async function runTasks(tasks: readonly Task[], variables: Readonly<Record<string, string>>): Promise<JudgedOutcome[]> {
  const outcomes: JudgedOutcome[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < tasks.length) {
      const i = next++;
      const { library, loop, device, title, bounds } = tasks[i]!;
      const o = judge(await runChild(library, loop, device, bounds, variables));
      outcomes[i] = o;
      const verdict = o.failure ?? (o.isKept === null ? `${o.steps} steps` : o.isKept ? "kept" : "NOT KEPT");
      console.log(`${device}, ${title}: ${verdict} (${(o.seconds ?? 0).toFixed(0)} s)`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return outcomes;
}

function nameOf(device: "cpu" | "webgpu", adapter: SeenAdapter | null): string {
  if (device === "cpu") return "CPU";
  return `WebGPU on ${adapter!.name}${adapter!.isSoftware ? " (software)" : ""}`;
}

/** Runs every loop in a process of its own, and prints what it left. */
export async function runMemory(options: BenchOptions): Promise<MemoryResult> {
  const steps = options.steps ?? (options.quick ? QUICK_STEPS : FULL_STEPS);
  const seconds = options.quick ? QUICK_SECONDS : FULL_SECONDS;
  const { adapter, variables } = dawnEnvironment();
  console.log(
    `\n=== Memory, ${steps} steps a loop, each loop in a process of its own, ${availableParallelism()} at once`,
  );
  const devices = adapter === null ? (["cpu"] as const) : (["cpu", "webgpu"] as const);
  const ownBounds = { steps, seconds, bytes: MOST_BYTES };
  const own = devices.flatMap((device) =>
    LOOPS.filter(({ id }) => matches(id, options.only) && matches(`tapegrad ${device}`, options.subjects)).map(
      ({ id, title }): Task => ({ library: "tapegrad", loop: id, device, title, bounds: ownBounds }),
    ),
  );
  const peers = devices.flatMap((device) => {
    const bounds = { steps, seconds: Math.min(seconds, PEER_SECONDS[device]), bytes: PEER_BYTES };
    return PEERS[device]
      .filter((library) => matches("train", options.only) && matches(library, options.subjects))
      .map((library): Task => ({ library, loop: "train", device, title: library, bounds }));
  });
  const outcomes = await runTasks([...own, ...peers], variables);
  for (const device of devices) {
    const rows = own.flatMap((task, i) => (task.device === device ? [ourRow(task.title, outcomes[i]!)] : []));
    if (rows.length > 0) console.log(`\nTapegrad, ${nameOf(device, adapter)}\n${table(OUR_HEADERS, rows)}`);
  }
  for (const device of devices) {
    const rows = peers.flatMap((task, i) =>
      task.device === device ? [peerRow(task.title, outcomes[own.length + i]!)] : [],
    );
    if (rows.length > 0)
      console.log(
        `\nThe training loop (await each step) in the peers, ${nameOf(device, adapter)}\n${table(PEER_HEADERS, rows)}`,
      );
  }
  const unmet = outcomes.slice(0, own.length).flatMap((o) => unmetBy(o, steps));
  for (const line of unmet) console.log(`NOT MET: ${line}`);
  if (own.length > 0)
    console.log(unmet.length === 0 ? `all ${own.length} loops: flat, and within ${MOST_RATIO} of the minimum\n` : "");
  const versions = Object.fromEntries(PACKAGES.map((name) => [name, peerVersion(name)]));
  return { adapter, versions, outcomes, unmet };
}
