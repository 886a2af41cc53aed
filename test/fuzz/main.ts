/** `npm run fuzz`, the part that calls: `--device=cpu|webgpu --calls=N --seed=N --from=N --case=N --batch=N --only=NAME`. */

import { Worker } from "node:worker_threads";
import * as tg from "#tapegrad";
import { useDevice, withErrorScopes, testGpu } from "../support/device.ts";
import { Fuzzer, type FuzzDevice } from "./fuzz.ts";
import { findTargets } from "./targets.ts";

function option(name: string): string | undefined {
  return process.argv.find((a) => a.startsWith(`--${name}=`))?.slice(name.length + 3);
}

const device = (option("device") ?? "cpu") as FuzzDevice;
const seed = Number(option("seed") ?? Math.floor(Math.random() * 2 ** 31));
const single = option("case");
const calls = single === undefined ? Number(option("calls") ?? (device === "cpu" ? 1_000_000 : 50_000)) : 1;
const first = Number(single ?? option("from") ?? 0);
const batch = Number(option("batch") ?? 16);
const only = option("only");

const { targets: all, complaints } = findTargets();
for (const complaint of complaints) console.log(complaint);
const targets =
  only === undefined
    ? all
    : all.filter((t) => only.split(",").some((o) => t.name === o || t.name.split(".").at(-1) === o));
if (targets.length === 0) throw new Error(`nothing is called ${only}`);
await useDevice(device);
console.log(
  `device ${device}, seed ${seed}, ${calls} calls of ${targets.length} functions and methods (repeat one with --seed=${seed} --case=N${only === undefined ? "" : ` --only=${only}`})`,
);

/** Milliseconds after which a batch counts as hanging (`--patience=SECONDS`). */
const PATIENCE = Number(option("patience") ?? 120) * 1000;
const beat = new SharedArrayBuffer(4);
const current = new Int32Array(beat);
new Worker(new URL("watchdog.ts", import.meta.url), {
  workerData: { beat, seed, batch, patience: PATIENCE },
}).unref();

const fuzzer = new Fuzzer(targets, device, seed);
const started = performance.now();
let shown = 0;
let reported = 0;
for (let at = first; at < first + calls; at += batch) {
  Atomics.store(current, 0, at);
  const run = (): Promise<void> => fuzzer.run(at, Math.min(at + batch, first + calls));
  if (device === "webgpu") {
    const gpu = await testGpu();
    await withErrorScopes(gpu, run).catch((error: unknown) =>
      fuzzer.findings.push({ case: at, call: `one of ${batch} cases`, problem: String(error) }),
    );
  } else await run();
  for (; reported < fuzzer.findings.length && reported < 200; reported++) {
    const found = fuzzer.findings[reported]!;
    console.log(`\ncase ${found.case}: ${found.problem}\n  ${found.call}`);
  }
  const seconds = (performance.now() - started) / 1000;
  if (seconds > shown + 10) {
    shown = seconds;
    console.log(`... ${fuzzer.calls} calls in ${seconds.toFixed(0)} s, ${fuzzer.findings.length} findings`);
  }
}
const seconds = (performance.now() - started) / 1000;
const { compared, refused, survived, findings } = fuzzer.report;
console.log(
  `${fuzzer.calls} calls in ${seconds.toFixed(1)} s: ${compared} gave the model's values or a finding, ${refused} were refused, ${survived} survived; ` +
    `${findings.length} findings`,
);
tg.destroy();
process.exit(findings.length === 0 && complaints.length === 0 ? 0 : 1);
