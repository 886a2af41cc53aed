/** The benchmark in a page: the workloads and subjects of `bench/`, on what this browser has. */

import * as tg from "#tapegrad";
import { measure, type GpuClock } from "../../bench/measure.ts";
import { showRow, showSummary, type RowResult } from "../../bench/report.ts";
import { cpuCeiling, cpuCopy, gpuCeiling } from "../../bench/support/ceiling.ts";
import { installGpuClock } from "../../bench/support/gpu.ts";
import type { Jax } from "../../bench/subjects/jax-api.ts";
import { jaxSubject } from "../../bench/subjects/jax.ts";
import type { Subject } from "../../bench/subjects/subject.ts";
import { tapegradSubject } from "../../bench/subjects/tapegrad.ts";
import type { Tf, TfWasm } from "../../bench/subjects/tfjs-api.ts";
import { tfjsSubject } from "../../bench/subjects/tfjs.ts";
import { WORKLOADS } from "../../bench/workloads/index.ts";
import { byId, element, keepScrollable, nextFrame } from "../shared/dom.ts";
import { openDevice, setState, setStatus, showError, watchErrors } from "../shared/page.ts";

/** What the server's bundles of the peers export besides the libraries themselves. */
interface Versioned {
  readonly version: string;
}

const query = new URLSearchParams(location.search);
const only = (query.get("only") ?? "").split(",").filter((word) => word !== "");
const full = query.has("full");

/** A peer's bundle; the server of the demos has it where `npm run bench` has installed the peers. */
async function peer<T>(name: string): Promise<T & Versioned> {
  const url = new URL(`./peers/${name}.js`, location.href).href;
  return (await import(/* @vite-ignore */ url)) as T & Versioned;
}

/** The libraries that can be loaded here; the reasons for those that cannot. */
async function makeSubjects(device: "cpu" | "webgpu"): Promise<{ subjects: Subject[]; missing: string[] }> {
  const isolated = globalThis.crossOriginIsolated;
  const threads = isolated ? navigator.hardwareConcurrency : 1;
  const subjects: Subject[] = [false, true].map((compiled) =>
    tapegradSubject(tg, device, "this checkout", threads, compiled),
  );
  const missing: string[] = [];
  try {
    const jax = await peer<Jax>("jax");
    const backend = device === "cpu" ? "wasm" : "webgpu";
    await jax.init(backend);
    jax.defaultDevice(backend);
    for (const jitted of [false, true]) subjects.push(jaxSubject(jax, device, jitted, jax.version, threads));
  } catch (error) {
    missing.push(`jax-js: ${String(error)}`);
  }
  try {
    const tf = await peer<Tf & TfWasm>("tfjs");
    if (device === "cpu") {
      tf.setWasmPaths(new URL("./peers/", location.href).href);
      tf.setThreadsCount(threads);
    }
    if (!(await tf.setBackend(device === "cpu" ? "wasm" : "webgpu"))) throw new Error("its backend did not start");
    subjects.push(tfjsSubject(tf, device, tf.version, threads));
  } catch (error) {
    missing.push(`TensorFlow.js: ${String(error)}`);
  }
  return { subjects, missing };
}

function addBlock(text: string): void {
  const block = element("pre", { class: "figures" }, text);
  byId("rows").append(block);
  keepScrollable(block);
}

async function run(): Promise<void> {
  const wantsGpu = query.get("device") !== "cpu" && "gpu" in navigator;
  let clock: GpuClock | null = null;
  // Before any library makes its device, so that all of them are watched.
  if (wantsGpu && (await navigator.gpu.requestAdapter()) !== null) clock = await installGpuClock(navigator.gpu);
  const info = await openDevice();
  if (info === null) return;
  setState("running");
  const device = info.type === "webgpu" ? "webgpu" : "cpu";
  const { subjects, missing } = await makeSubjects(device);
  const notes = subjects.map((s) => `${s.name} ${s.version}`);
  if (missing.length > 0) notes.push(`without ${missing.join("; ")} (run npm run bench once, then npm start)`);
  byId("subjects").textContent = notes.join(", ");
  const copy = device === "cpu" ? cpuCopy() : null;
  const ceiling =
    copy !== null ? cpuCeiling(navigator.hardwareConcurrency, copy) : await gpuCeiling(navigator.gpu, info.isSoftware);
  const rows: RowResult[] = [];
  const chosen = WORKLOADS.filter((w) =>
    only.length > 0 ? only.some((word) => w.id.includes(word)) : full || w.quick,
  );
  for (const [i, workload] of chosen.entries()) {
    setStatus(`${workload.title} (${i + 1} of ${chosen.length})`);
    await nextFrame();
    const { id, title, bound, flops, bytes } = workload;
    const measured = await measure(subjects, workload, {
      samples: full ? 30 : 12,
      budget: full ? 20 : 2,
      sampleTime: 0.03,
      ...(copy !== null && bound === "memory" ? { copy } : {}),
      ...(clock === null || device === "cpu" ? {} : { gpuTime: clock }),
    });
    const row: RowResult = { id, title, bound, flops, bytes, ...measured };
    rows.push(row);
    addBlock(showRow(row, subjects, ceiling));
  }
  const heading = `${info.description}${info.isSoftware ? ": A SOFTWARE ADAPTER, says nothing about GPUs" : ""}`;
  addBlock(showSummary(rows, subjects, heading));
  const result = JSON.stringify({ date: new Date().toISOString(), browser: navigator.userAgent, info, ceiling, rows });
  const url = URL.createObjectURL(new Blob([result], { type: "application/json" }));
  byId("download").append(element("a", { href: url, download: "tapegrad-bench.json" }, "All figures as JSON"));
  setStatus(`Done: ${rows.length} rows.`);
  setState("done");
}

watchErrors();
run().catch(showError);
