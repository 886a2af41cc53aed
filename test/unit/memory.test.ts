/** The peak of a loop's memory, against the least that liveness allows. */

import { afterEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Backend } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { NullBackend } from "../../src/backend/null.ts";
import { backendOf, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import { residencyOf } from "../../src/graph/runtime.ts";
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

describe("results of compiled functions", () => {
  it("can be computed again, and so never move to the host", async () => {
    const backend = new CpuBackend();
    setBackend(backend);
    setDefaultBackend(backend);
    const f = tg.compile((x: tg.Tensor) => x.mul(2).exp().add(1));
    const x = tg.rand(256, 256);
    const first = f(x);
    for (let i = 0; i < 20; i++) await f(x).at(0, 0).item();
    expect(f.stats.replayed).toBe(20);
    expect(residencyOf(backend).figures().spilled).toBe(0);
    expect(Array.from(await first.data())).toEqual(Array.from(await x.mul(2).exp().add(1).data()));
  });

  it("are what they were after what they are computed from was overwritten", async () => {
    const w = tg.rand(200, 200).requiresGrad_();
    const optimizer = new tg.optim.SGD([w], { lr: 0.5 });
    const f = tg.compile((x: tg.Tensor) => w.mul(x));
    for (let i = 0; i < 4; i++) {
      const x = tg.full([200, 200], i + 1);
      const got = f(x);
      const kept = f(x).retain();
      const expected = Array.from(await w.detach().mul(x).data());
      optimizer.zeroGrad();
      got.sum().backward();
      optimizer.step();
      expect(Array.from(await got.data())).toEqual(expected);
      optimizer.step();
      optimizer.step();
      expect(Array.from(await kept.data())).toEqual(expected);
    }
  });
});
