/** What a checkpoint leaves on the tape between forward and backward. */

import { expect, test } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import { backendOf, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";

const deep = (x: Tensor): Tensor => {
  let y = x;
  for (let i = 0; i < 8; i++) y = y.sin().exp().tanh();
  return y;
};

test("a checkpoint keeps its inputs and nothing else", () => {
  const x = tg.ones(100).requiresGrad_();
  const saved = (t: Tensor): number => tg.graph(t).savedBytes;
  const plain = saved(deep(x));
  expect(plain).toBeGreaterThanOrEqual(8 * 2 * 400);
  expect(saved(tg.utils.checkpoint(deep, x))).toBe(400);
  expect(saved(tg.utils.checkpoint(deep, x, { useReentrant: true }))).toBe(400);
  const chained = tg.utils.checkpoint(deep, tg.utils.checkpoint(deep, x));
  expect(saved(chained)).toBe(800);
});

test("less memory is alive between reading the loss and backward", () => {
  const device = new NullBackend();
  setBackend(device);
  setDefaultBackend(device);
  try {
    const alive = (run: (x: Tensor) => Tensor): number => {
      const x = tg.ones(10_000).retain().requiresGrad_();
      const before = device.memory().usedBytes;
      const loss = run(x).sum();
      // What a read does: the loss and everything that was saved are written out.
      void loss.data();
      const used = device.memory().usedBytes - before;
      loss.backward();
      return used;
    };
    const plain = alive(deep);
    const saved = alive((x) => tg.utils.checkpoint(deep, x));
    expect(plain).toBeGreaterThan(8 * 40_000);
    expect(saved).toBeLessThan(1000);
  } finally {
    setDefaultBackend(backendOf("cpu"));
  }
});
