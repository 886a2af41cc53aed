/** `memory`: what loops of many steps leave behind; ours on both devices, and the training loop of the peers. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { dawnEnvironment, ROOT } from "../../scripts/support/environment.ts";
import { matches, type BenchOptions } from "../support/options.ts";
import { bytes, ratio, table } from "../support/table.ts";
import type { MemoryOutcome } from "./child.ts";
import { LOOPS } from "./loops.ts";

export interface MemoryResult {
  readonly adapter: string | null;
  readonly outcomes: readonly MemoryOutcome[];
}

/** The training loop as their users write it: with the care that each of them asks for, and TensorFlow.js also without. */
const PEERS = ["tfjs wasm", "tfjs wasm without tidy", "jax-js wasm", "jax-js wasm jit"];

const FULL_STEPS = 10_000;
const QUICK_STEPS = 300;

function runChild(
  library: string,
  loop: string,
  device: string,
  steps: number,
  seconds: number,
  variables: Readonly<Record<string, string>>,
): Promise<MemoryOutcome> {
  const { promise, resolve } = Promise.withResolvers<MemoryOutcome>();
  const child = spawn(
    process.execPath,
    [join(ROOT, "bench/memory/child.ts"), library, loop, device, String(steps), String(seconds)],
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

/** Runs every loop in a process of its own, and prints what it left. */
export async function runMemory(options: BenchOptions): Promise<MemoryResult> {
  const steps = options.steps ?? (options.quick ? QUICK_STEPS : FULL_STEPS);
  const seconds = options.quick ? 30 : 600;
  const { adapter, variables } = dawnEnvironment();
  const outcomes: MemoryOutcome[] = [];
  console.log(`\n=== Memory, up to ${steps} steps a loop, each loop in a process of its own`);
  const devices = adapter === null ? (["cpu"] as const) : (["cpu", "webgpu"] as const);
  const size = (n: number | null | undefined): string => (n === null || n === undefined ? "-" : bytes(n));
  for (const device of devices) {
    const rows: string[][] = [];
    for (const loop of LOOPS) {
      if (!matches(loop.id, options.only) || !matches("tapegrad", options.subjects)) continue;
      const o = await runChild("tapegrad", loop.id, device, steps, seconds, variables);
      outcomes.push(o);
      rows.push(
        o.failure !== null
          ? [loop.title, `failed: ${o.failure}`]
          : [
              loop.title,
              String(o.steps),
              size(o.live20),
              size(o.live),
              size(o.cached),
              size(o.pooled),
              size(o.peak),
              size(o.least),
              o.peak === null || o.least === null ? "-" : ratio(o.peak / o.least),
              size(o.rss20),
              size(o.rss),
            ],
      );
    }
    if (rows.length === 0) continue;
    const name = device === "cpu" ? "CPU" : `WebGPU on ${adapter!.name}${adapter!.isSoftware ? " (software)" : ""}`;
    const headers = [
      "live, step 20",
      "live, end",
      "cached",
      "pooled",
      "peak",
      "minimum",
      "peak / min",
      "RSS, step 20",
      "RSS, end",
    ];
    console.log(`\nTapegrad, ${name}\n${table(["loop", ">steps", ...headers.map((h) => `>${h}`)], rows)}`);
  }
  const rows: string[][] = [];
  for (const library of PEERS) {
    if (!matches("train", options.only) || !matches(library, options.subjects)) continue;
    const o = await runChild(library, "train", "cpu", steps, seconds, {});
    outcomes.push(o);
    rows.push(
      o.failure !== null
        ? [library, `failed: ${o.failure}`]
        : [
            library,
            String(o.steps),
            size(o.live20),
            size(o.live),
            o.tensors20 === null ? "-" : String(o.tensors20),
            o.tensors === null ? "-" : String(o.tensors),
            size(o.wasm20),
            size(o.wasm),
            size(o.rss20),
            size(o.rss),
          ],
    );
  }
  if (rows.length > 0)
    console.log(
      `\nThe training loop (await each step) in the peers\n${table(
        [
          "library",
          ">steps",
          ">live, step 20",
          ">live, end",
          ">tensors, step 20",
          ">tensors, end",
          ">wasm, step 20",
          ">wasm, end",
          ">RSS, step 20",
          ">RSS, end",
        ],
        rows,
      )}\n`,
    );
  return { adapter: adapter?.name ?? null, outcomes };
}
