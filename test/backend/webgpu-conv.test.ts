/** The convolution's larger tiles, which a software adapter would not choose by itself. */

import { expect, test } from "vitest";
import * as tg from "#tapegrad";
import { createWebGpuBackend, type WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { backendOf, setDefaultBackend } from "../../src/graph/devices.ts";
import { expectClose } from "../support/portable.ts";
import { testGpu } from "../support/device.ts";

const { F } = tg;

async function largeDevice(): Promise<WebGpuBackend> {
  const made = await createWebGpuBackend({ gpu: await testGpu(), figures: { isSoftware: false, busyGroups: 2 } });
  if ("reason" in made) throw new Error(made.reason);
  return made;
}

test.each([
  ["128 by 128", 130],
  ["64 by 64", 40],
])("tiles of %s agree with the CPU", async (_, channels) => {
  const gpu = await largeDevice();
  const results: Float32Array[] = [];
  for (const backend of [backendOf("cpu"), gpu]) {
    setDefaultBackend(backend);
    const x = tg
      .linspace(-1, 1, 2 * 5 * 15 * 13)
      .sin()
      .reshape(2, 5, 15, 13);
    const w = tg
      .linspace(-9, 9, channels * 5 * 9)
      .cos()
      .reshape(channels, 5, 3, 3);
    const y = F.conv2d(x, w, null, { padding: [1, 0], stride: [1, 1] });
    results.push((await y.data()) as Float32Array);
  }
  expect(results[1]!.length).toBe(2 * channels * 15 * 11);
  expectClose(results[1], results[0], { rtol: 1e-4, atol: 1e-4 });
});
