/** What a repeated training step asks of a GPU, counted on one that computes nothing. */

import { expect, test } from "vitest";
import * as tg from "#tapegrad";
import { nullGpu } from "../../bench/host/null-gpu.ts";
import { MODELS, startOf } from "../../bench/training/model.ts";
import { startTapegrad } from "../../bench/training/tapegrad.ts";

test("a transformer's training step, once warm, makes no buffers, bind groups or pipelines", async () => {
  const { gpu, counts } = nullGpu();
  await tg.init({ device: "webgpu", gpu });
  const model = MODELS.find(({ id }) => id.startsWith("gpt-4x128"))!;
  const trainer = startTapegrad(tg, model, startOf(model));
  const batches = [1, 2, 3].map((seed) => model.makeBatch(seed));
  const step = async (i: number): Promise<void> => {
    await trainer.step(batches[i % 3]!);
    await trainer.loss();
  };
  for (let i = 0; i < 12; i++) await step(i);
  const before = { ...counts };
  for (let i = 0; i < 3; i++) await step(i);
  expect(counts.dispatches - before.dispatches).toBeGreaterThan(0);
  expect(counts.dispatches - before.dispatches).toBeLessThan(3 * 200);
  const made = (what: "buffers" | "bindGroups" | "pipelines"): number => counts[what] - before[what];
  expect([made("buffers"), made("bindGroups"), made("pipelines")]).toEqual([0, 0, 0]);
  trainer.close();
});

test.each(MODELS.map(({ id }) => id))(
  "%s: a compiled training step runs as many kernels as one that is recorded",
  async (id) => {
    const { gpu, counts } = nullGpu();
    await tg.init({ device: "webgpu", gpu });
    const model = MODELS.find((m) => m.id === id)!;
    const dispatches: number[] = [];
    for (const compiled of [false, true]) {
      const trainer = startTapegrad(tg, model, startOf(model), compiled);
      const batch = model.makeBatch(1);
      for (let i = 0; i < 6; i++) {
        const before = counts.dispatches;
        await trainer.step(batch);
        await trainer.loss();
        if (i === 5) dispatches.push(counts.dispatches - before);
      }
      trainer.close();
    }
    expect(dispatches[0]).toBeGreaterThan(0);
    expect(dispatches[1]).toBe(dispatches[0]);
  },
);
