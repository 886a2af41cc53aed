/** Node has a WebGPU adapter through Dawn, and a shader runs on it. */

import { expect, test } from "vitest";
import { NO_DAWN_ADAPTER } from "../../scripts/support/environment.ts";
import { findDevice } from "../../src/backend/webgpu/device.ts";

test("Dawn finds an adapter", async () => {
  const found = await findDevice();
  if ("reason" in found) throw new Error(`${found.reason}. ${NO_DAWN_ADAPTER}`);
  expect(found.description).not.toBe("");
});
