/** `npm run soak`, the part that runs: `--minutes=N --seed=N --device=cpu|webgpu --round=N --patience=SECONDS`. */

import { Worker } from "node:worker_threads";
import { TEST_DEVICES, type TestDevice } from "../support/portable.ts";
import { Soak } from "./soak.ts";

function option(name: string): string | undefined {
  return process.argv.find((a) => a.startsWith(`--${name}=`))?.slice(name.length + 3);
}

const minutes = Number(option("minutes") ?? 2);
const seed = Number(option("seed") ?? Math.floor(Math.random() * 2 ** 31));
const only = option("device") as TestDevice | undefined;
const single = option("round");
const patience = Number(option("patience") ?? 180) * 1000;
const devices = only === undefined ? TEST_DEVICES : [only];
if (!(minutes > 0) || !devices.every((d) => TEST_DEVICES.includes(d)))
  throw new Error("soak: --minutes=N (more than 0) --seed=N --device=cpu|webgpu --round=N --patience=SECONDS");
console.log(
  `seed ${seed}, ${minutes} minutes, ${devices.join(" and ")} (repeat a round with --seed=${seed} --device=D --round=N)`,
);

let lost = 0;
for (const device of devices) {
  const beat = new SharedArrayBuffer(8);
  const counters = new Int32Array(beat);
  const watchdog = new Worker(new URL("watchdog.ts", import.meta.url), {
    workerData: { beat, seed, device, patience },
  });
  let isOver = false;
  watchdog.on("exit", () => {
    if (!isOver) process.exit(1);
  });
  const soak = new Soak(device, seed);
  soak.onProgress = () => void Atomics.add(counters, 0, 1);
  const start = performance.now();
  const until = start + (minutes * 60_000) / devices.length;
  let shown = start;
  for (let round = Number(single ?? 0); ; round++) {
    Atomics.store(counters, 1, round);
    const known = soak.findings.length;
    await soak.run(round);
    for (const { problem } of soak.findings.slice(known))
      console.log(`lost: round ${round} on ${device} with seed ${seed}: ${problem}`);
    const now = performance.now();
    if (now > until || single !== undefined) break;
    if (now > shown + 20_000) {
      shown = now;
      console.log(
        `... ${device}: ${soak.counts.rounds} rounds in ${((now - start) / 1000).toFixed(0)} s, ${soak.findings.length} lost`,
      );
    }
  }
  const seconds = (performance.now() - start) / 1000;
  const { counts } = soak;
  console.log(
    `${device}: ${counts.rounds} rounds in ${seconds.toFixed(0)} s: ${counts.steps} steps, ${counts.lossesInjected} devices ended, ` +
      `${counts.memoryRefused} allocations refused, ${counts.outOfMemory} out-of-memory errors, ${counts.restored} continuations from a snapshot, ` +
      `${counts.evictions} evictions, ${counts.spills} moves to the host, ${counts.readsChecked} reads checked (${counts.readsExact} equal to the bit), ` +
      `${counts.disposed} values gone that said so`,
  );
  lost += soak.findings.length;
  soak.close();
  isOver = true;
  await watchdog.terminate();
}
console.log(lost === 0 ? "nothing lost" : `${lost} lost, with seed ${seed}`);
process.exit(lost === 0 ? 0 : 1);
