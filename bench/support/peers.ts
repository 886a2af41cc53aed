/** Other libraries: installed on demand into a folder of the benchmark, loaded from there. */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { Jax } from "../subjects/jax-api.ts";
import type { Ort } from "../subjects/ort.ts";
import type { Tf, TfWasm } from "../subjects/tfjs-api.ts";
import type { ThreadMode } from "./options.ts";

/** Where the peers live. */
export const PEERS = fileURLToPath(new URL("../peers/", import.meta.url));

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly optional?: boolean }>>;
}

function readLock(path: string): Lock | null {
  const file = join(PEERS, path);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Lock) : null;
}

/** Installs the peers' lockfile unless it is installed. */
export function installPeers(): void {
  const wanted = readLock("package-lock.json")!.packages;
  const present = readLock("node_modules/.package-lock.json")?.packages;
  const complete =
    present !== undefined &&
    Object.entries(wanted).every(
      ([path, { version, optional }]) =>
        path === "" || present[path]?.version === version || (present[path] === undefined && optional === true),
    );
  if (complete) return;
  console.error("Installing the libraries to compare with (npm ci in bench/peers) ...");
  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: PEERS,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
}

const require = createRequire(join(PEERS, "package.json"));

/** Version of an installed peer. */
export function peerVersion(name: string): string {
  return (
    JSON.parse(readFileSync(join(PEERS, "node_modules", name, "package.json"), "utf8")) as { readonly version: string }
  ).version;
}

/** TensorFlow.js leaves its gradients out of what Node loads; here they are as one file that Node can load. */
export async function buildGradients(): Promise<void> {
  if (existsSync(GRADIENTS)) return;
  const { build } = await import("rolldown");
  await build({
    input: join(PEERS, "node_modules/@tensorflow/tfjs-core/dist/register_all_gradients.js"),
    output: { file: GRADIENTS, format: "esm" },
    logLevel: "silent",
  });
}

const GRADIENTS = join(PEERS, "node_modules/.cache/tfjs-gradients.mjs");

async function load(path: string): Promise<Record<string, unknown>> {
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  return module;
}

/** Threads of a mode. */
export function threadsOf(mode: ThreadMode): number {
  return mode === "one" ? 1 : availableParallelism();
}

/** TensorFlow.js on WebAssembly. In Node it has one thread, whatever is asked for. */
export async function loadTfWasm(): Promise<Tf> {
  const tf = (await load(require.resolve("@tensorflow/tfjs-core")))["default"] as Tf;
  await load(GRADIENTS);
  await load(require.resolve("@tensorflow/tfjs-backend-cpu"));
  await load(require.resolve("@tensorflow/tfjs-backend-wasm"));
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js could not start its WebAssembly backend");
  return tf;
}

/** TensorFlow.js on `navigator.gpu`. */
export async function loadTfGpu(): Promise<Tf> {
  const tf = (await load(require.resolve("@tensorflow/tfjs-core")))["default"] as Tf;
  await load(GRADIENTS);
  await load(require.resolve("@tensorflow/tfjs-backend-webgpu"));
  if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js could not start its WebGPU backend");
  // Else small tensors would be computed in JavaScript.
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  return tf;
}

export type { TfWasm };

/**
 * jax-js on one of its devices. Its threads are web workers, which Node gets here; it has threads whenever there is a global `Worker`, which
 * ONNX Runtime sets, so that name is kept away from it where one thread is asked for.
 */
export async function loadJax(device: "wasm" | "webgpu", mode: ThreadMode): Promise<Jax> {
  const threaded = device === "wasm" && mode === "all";
  if (threaded) Object.assign(globalThis, { Worker: WebWorker });
  else Object.defineProperty(globalThis, "Worker", { get: () => undefined, set: () => {}, configurable: true });
  const jax = (await load(join(PEERS, "node_modules/@jax-js/jax/dist/index.js"))) as unknown as Jax;
  const devices = await jax.init(device);
  if (!devices.includes(device)) throw new Error(`jax-js has no ${device} here`);
  jax.defaultDevice(device);
  // Its workers start with its first kernel: now, while `Worker` is the one that was meant for it.
  await jax.numpy
    .array(new Float32Array(2 ** 16), { shape: [2 ** 16] })
    .mul(2)
    .data();
  return jax;
}

/** ONNX Runtime Web. */
export async function loadOrt(device: "cpu" | "webgpu", mode: ThreadMode): Promise<Ort> {
  const file = device === "cpu" ? "ort.node.min.mjs" : "ort.webgpu.min.mjs";
  const ort = (await load(join(PEERS, "node_modules/onnxruntime-web/dist", file))) as unknown as Ort;
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = device === "cpu" ? threadsOf(mode) : 1;
  return ort;
}

const WORKER_PROLOGUE = `
import { parentPort } from "node:worker_threads";
globalThis.self = globalThis;
globalThis.postMessage = (message) => parentPort.postMessage(message);
parentPort.on("message", (data) => globalThis.onmessage({ data }));
`;

/** A web worker over a worker thread, as far as a pool of compute workers needs it: a script from a blob, and messages. */
class WebWorker {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: { message: string }) => void) | null = null;
  readonly #thread: Promise<Worker>;

  constructor(url: string) {
    this.#thread = this.#start(url);
  }

  async #start(url: string): Promise<Worker> {
    const source = await (await fetch(url)).text();
    const thread = new Worker(new URL(`data:text/javascript,${encodeURIComponent(WORKER_PROLOGUE + source)}`));
    thread.on("message", (data: unknown) => this.onmessage?.({ data }));
    thread.on("error", (error: unknown) => this.onerror?.({ message: String(error) }));
    return thread;
  }

  postMessage(message: unknown): void {
    void this.#thread.then((thread) => {
      thread.postMessage(message, []);
    });
  }
}
