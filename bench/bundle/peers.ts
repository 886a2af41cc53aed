/** Takes the place of `support/peers.ts` in the bundle: what could be bundled is inside. */

import { availableParallelism } from "node:os";
import { built } from "../support/built.ts";
import type { ThreadMode } from "../support/options.ts";
import type { Jax } from "../subjects/jax-api.ts";
import type { Ort } from "../subjects/ort.ts";
import type { Tf } from "../subjects/tfjs-api.ts";

/** Where the peers would live. */
export const PEERS = "";

/** Nothing is to be installed. */
export function installPeers(): void {}

/** Nothing is to be built. */
export function buildGradients(): Promise<void> {
  return Promise.resolve();
}

/** Version of a peer inside. */
export function peerVersion(name: string): string {
  return built?.peers[name] ?? "unknown";
}

/** Threads of a mode. */
export function threadsOf(mode: ThreadMode): number {
  return mode === "one" ? 1 : availableParallelism();
}

/** Its WebAssembly is a file of its own. */
export function loadTfWasm(): Promise<Tf> {
  return Promise.reject(new Error("its WebAssembly is not in the bundle; use npm run bench"));
}

/** TensorFlow.js on `navigator.gpu`. */
export async function loadTfGpu(): Promise<Tf> {
  const tf = (await import("peer:tfjs-webgpu")) as unknown as Tf;
  if (!(await tf.setBackend("webgpu"))) throw new Error("TensorFlow.js could not start its WebGPU backend");
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  return tf;
}

/** jax-js, with one thread where it is on the CPU. */
export async function loadJax(device: "wasm" | "webgpu"): Promise<Jax> {
  const jax = (await import("peer:jax")) as unknown as Jax;
  const devices = await jax.init(device);
  if (!devices.includes(device)) throw new Error(`jax-js has no ${device} here`);
  jax.defaultDevice(device);
  return jax;
}

/** Its WebAssembly is a file of its own, of 25 MB. */
export function loadOrt(): Promise<Ort> {
  return Promise.reject(new Error("its WebAssembly is not in the bundle; use npm run bench"));
}
