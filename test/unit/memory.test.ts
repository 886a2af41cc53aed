/** The peak of a loop's memory, against the least that liveness allows. */

import { afterEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Backend } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { NullBackend } from "../../src/backend/null.ts";
import { backendOf, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import { LOOPS, type Turn } from "../support/loops.ts";

const cpu = backendOf("cpu");
afterEach(() => {
  setBackend(cpu);
  setDefaultBackend(cpu);
});

/** Peak of a loop's memory on a fresh device, bytes. */
async function peakOf(backend: Backend, make: () => Turn, steps: number): Promise<number> {
  setBackend(backend);
  setDefaultBackend(backend);
  tg.manualSeed(0);
  const turn = make();
  for (let step = 0; step < steps; step++) await turn(step);
  return backend.memory().peakBytes;
}

describe("peak memory is at most 1.25 times the minimum by liveness", () => {
  it.each(Object.keys(LOOPS))("%s", async (name) => {
    const least = await peakOf(new NullBackend(), LOOPS[name]!, 30);
    const peak = await peakOf(new CpuBackend(), LOOPS[name]!, 30);
    expect(least).toBeGreaterThan(0);
    expect(peak / least).toBeLessThanOrEqual(1.25);
  });
});
