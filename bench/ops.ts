/** `ops`: operations side by side. One process measures one device in one mode of threads. */

import { measure } from "./measure.ts";
import { showRow, showSummary, type RowResult } from "./report.ts";
import { cpuCeiling, cpuCopy, gpuCeiling, type Ceiling } from "./support/ceiling.ts";
import { provideGpu } from "./support/dawn.ts";
import { installGpuClock } from "./support/gpu.ts";
import { adapterFacts, type AdapterFacts } from "./support/machine.ts";
import { matches, type BenchOptions, type ThreadMode } from "./support/options.ts";
import { threadsOf } from "./support/peers.ts";
import { bytes, digits } from "./support/table.ts";
import { makeSubjects } from "./subjects/all.ts";
import type { Subject } from "./subjects/subject.ts";
import { workloadsOf } from "./workloads/index.ts";
import type { FloatType } from "./workloads/workload.ts";

/** What is kept of a subject. */
export type SubjectFacts = Pick<Subject, "name" | "library" | "device" | "version" | "threads" | "note" | "isCeiling">;

/** Result of one process. */
export interface OpsResult {
  readonly device: "cpu" | "webgpu";
  readonly threads: ThreadMode;
  readonly dtype: FloatType;
  readonly adapter: AdapterFacts | null;
  readonly ceiling: Ceiling;
  readonly subjects: readonly SubjectFacts[];
  readonly rows: readonly RowResult[];
}

/** Rows that are hopeless without a GPU: more arithmetic than a processor does in a few seconds. */
const MOST_FLOPS_ON_CPU = 2.2e10;
const MOST_BYTES_ON_CPU = 2 ** 30;

/** For the table's heading. */
export function headingOf(device: "cpu" | "webgpu", mode: ThreadMode, adapter: AdapterFacts | null): string {
  if (device === "cpu") return `CPU, ${mode === "one" ? "one thread" : `all threads (${threadsOf(mode)})`}`;
  const name = adapter!.description || adapter!.device || adapter!.vendor;
  return adapter!.isSoftware
    ? `WebGPU on ${name}: A SOFTWARE ADAPTER, computed by the CPU; says nothing about GPUs`
    : `WebGPU on ${name}`;
}

/** Milliseconds after which the threads of all libraries sleep (those of OpenBLAS spin for 2^26 cycles). */
const PAUSE = 25;

/** Measures and prints all rows that are asked for. */
export async function runOps(options: BenchOptions, mode: ThreadMode): Promise<OpsResult> {
  const { device } = options;
  let adapter: AdapterFacts | null = null;
  let ceiling: Ceiling;
  let clock;
  const copy = device === "cpu" ? cpuCopy() : null;
  if (copy !== null) ceiling = cpuCeiling(threadsOf(mode), copy);
  else {
    const gpu = await provideGpu();
    adapter = await adapterFacts(gpu);
    clock = await installGpuClock(gpu);
    ceiling = await gpuCeiling(gpu, adapter.isSoftware);
  }
  const heading = `${headingOf(device, mode, adapter)}${options.dtypes[0] === "float16" ? ", float16" : ""}`;
  const subjects = (await makeSubjects(device, mode)).filter((s) => matches(s.name, options.subjects));
  console.log(`\n=== ${heading}`);
  console.log(`ceiling: copy ${bytes(ceiling.copy)}/s, ${digits(ceiling.flops / 1e9)} GFLOP/s (${ceiling.how})`);
  for (const s of subjects) console.log(`  ${s.name} ${s.version}${s.note === undefined ? "" : `: ${s.note}`}`);
  console.log();

  const small = device === "cpu" || adapter!.isSoftware;
  const dtype = options.dtypes[0]!;
  const chosen = workloadsOf(dtype).filter((w) => matches(w.id, options.only) && (w.quick || !options.quick));
  const rows: RowResult[] = [];
  const left: string[] = [];
  for (const workload of chosen) {
    const { id, title, bound, flops, bytes } = workload;
    if (small && options.only.length === 0 && (flops > MOST_FLOPS_ON_CPU || bytes > MOST_BYTES_ON_CPU)) {
      left.push(id);
      continue;
    }
    const measured = await measure(subjects, workload, {
      samples: options.samples,
      budget: options.budget,
      sampleTime: options.quick ? 0.01 : 0.03,
      pause: mode === "all" ? PAUSE : 0,
      ...(copy !== null && bound === "memory" ? { copy } : {}),
      ...(clock === undefined ? {} : { gpuTime: clock }),
    });
    const row: RowResult = { id, title, bound, flops, bytes, ...measured };
    rows.push(row);
    console.log(showRow(row, subjects, ceiling));
  }
  console.log(showSummary(rows, subjects, heading));
  if (left.length > 0) console.log(`too large for a processor (name them with --only): ${left.join(", ")}\n`);
  for (const s of subjects) s.close?.();
  const facts = subjects.map(({ name, library, device, version, threads, note, isCeiling }): SubjectFacts => ({
    name,
    library,
    device,
    version,
    threads,
    ...(note === undefined ? {} : { note }),
    ...(isCeiling === undefined ? {} : { isCeiling }),
  }));
  return { device, threads: mode, dtype, adapter, ceiling, subjects: facts, rows };
}
