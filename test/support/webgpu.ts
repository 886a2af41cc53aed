/** The WebGPU backend by itself, for tests below the level of tensors. */

import {
  createWebGpuBackend,
  type WebGpuBackend,
  type WebGpuBackendOptions,
} from "../../src/backend/webgpu/backend.ts";
import { NO_DAWN_ADAPTER } from "../../scripts/support/environment.ts";

/** A backend of its own on Dawn. Rejects, with what to install, where there is no adapter: such a test fails, it is not skipped. */
export async function openWebGpu(options: WebGpuBackendOptions = {}): Promise<WebGpuBackend> {
  const made = await createWebGpuBackend({ debug: true, ...options });
  if ("reason" in made) throw new Error(`${made.reason}. ${NO_DAWN_ADAPTER}`);
  return made;
}

/** A reproducible source of numbers in 0 .. 1 (a linear congruence: good enough to fill arrays). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

/** How far a float32 is from the exact result, in units in the last place of the exact result. */
export function ulps(got: number, exact: number): number {
  if (Number.isNaN(exact)) return Number.isNaN(got) ? 0 : Infinity;
  if (!Number.isFinite(Math.fround(exact))) return got === Math.fround(exact) ? 0 : Infinity;
  const magnitude = Math.max(Math.abs(exact), 2 ** -126);
  return Math.abs(got - exact) / 2 ** (Math.floor(Math.log2(magnitude)) - 23);
}
