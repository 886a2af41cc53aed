/** The WebGPU device of a test run, in whatever runs it: Dawn in Node, Chromium, or Deno. One for all tests of a process or page. */

import { findDevice } from "../../src/backend/webgpu/device.ts";
import { backendOf, setDefaultBackend } from "../../src/graph/devices.ts";
import { init, synchronize } from "../../src/init.ts";
import { testOf, type Case, type PortableSuite, type TestDevice } from "./portable.ts";

let gpu: Promise<GPUDevice> | null = null;

async function openGpu(): Promise<GPUDevice> {
  const found = await findDevice();
  if ("reason" in found) throw new Error(`no WebGPU device for the tests: ${found.reason}`);
  await init({ device: "webgpu", gpu: found.device });
  return found.device;
}

/** The device that the library uses for "webgpu". Rejects if there is no adapter: such a test fails, it is not skipped. */
export function testGpu(): Promise<GPUDevice> {
  gpu ??= openGpu();
  return gpu;
}

/** Makes new tensors on a device from here on. */
export async function useDevice(device: TestDevice): Promise<void> {
  if (device === "webgpu") await testGpu();
  setDefaultBackend(backendOf(device));
}

const FILTERS = ["validation", "out-of-memory", "internal"] as const;

/** Runs `body` inside error scopes of all kinds; rejects with what `body` threw and with every error that the scopes caught. */
export async function withErrorScopes(device: GPUDevice, body: () => void | Promise<void>): Promise<void> {
  for (const filter of FILTERS) device.pushErrorScope(filter);
  const problems: string[] = [];
  let thrown: Error | null = null;
  try {
    await body();
  } catch (error) {
    thrown = error instanceof Error ? error : new Error(`no Error was thrown but ${String(error)}`);
  }
  for (const filter of FILTERS.toReversed()) {
    const error = await device.popErrorScope();
    if (error !== null) problems.push(`WebGPU ${filter} error: ${error.message}`);
  }
  if (problems.length > 0) {
    const first = thrown === null ? "" : `${thrown.message}\n`;
    throw new Error(first + problems.join("\n"), { cause: thrown });
  }
  if (thrown !== null) throw thrown;
}

/** Runs `body` with new tensors on a device; on "webgpu" inside error scopes, until all work that it left has been done. */
export async function onDevice(device: TestDevice, body: () => void | Promise<void>): Promise<void> {
  await useDevice(device);
  if (device === "cpu") return body();
  const handle = await testGpu();
  await withErrorScopes(handle, async () => {
    await body();
    await synchronize();
  });
}

/** Runs a test of a suite on its device. */
export function runCase(suites: readonly PortableSuite[], which: Case): Promise<void> {
  const { run } = testOf(suites, which);
  return onDevice(which.device, () => run({ device: which.device }));
}
