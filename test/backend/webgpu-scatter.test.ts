/** Scatters on WebGPU in all their ways, compared with plain loops. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import * as tg from "#tapegrad";
import type { WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { backendOf, setDefaultBackend } from "../../src/graph/devices.ts";
import { openWebGpu } from "../support/webgpu.ts";

let gpu: WebGpuBackend;
beforeAll(async () => {
  gpu = await openWebGpu();
  setDefaultBackend(gpu);
});
afterAll(() => {
  setDefaultBackend(backendOf("cpu"));
  gpu.destroy();
});
afterEach(() => tg.useDeterministicAlgorithms(false));

test("with determinism the last of several values stays", async () => {
  tg.useDeterministicAlgorithms(true);
  const n = 500;
  const index = Int32Array.from({ length: n }, (_, i) => (i * i) % 7);
  const source = Float32Array.from({ length: n }, (_, i) => i);
  const want = new Array<number>(9).fill(-1);
  index.forEach((at, i) => (want[at] = source[i]!));
  const out = tg.full([9], -1).scatter(0, tg.tensor(index), tg.tensor(source));
  expect(Array.from(await out.data())).toEqual(want);
});
