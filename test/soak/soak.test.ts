/** A fixed short sample of the soak, and the soak itself: it must notice what is lost. The long runs are `npm run soak`. */

import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import * as tg from "#tapegrad";
import { TEST_DEVICES } from "../support/portable.ts";
import { Soak, type SoakParts, type SoakSize } from "./soak.ts";

const SEED = 11;

/** On the GPU, whose kernels have to be compiled anew after each loss, the smaller kinds. */
const SAMPLE: Readonly<Record<string, { readonly rounds: number; readonly size: Partial<SoakSize> }>> = {
  cpu: { rounds: 12, size: {} },
  webgpu: { rounds: 3, size: { steps: 6, kinds: ["smooth", "mlp"] } },
};

async function play(device: "cpu" | "webgpu", rounds: number, size: Partial<SoakSize>, parts?: Partial<SoakParts>) {
  const soak = new Soak(device, SEED, size, parts);
  try {
    for (let round = 0; round < rounds; round++) await soak.run(round);
  } finally {
    soak.close();
  }
  return { counts: soak.counts, problems: soak.findings.map(({ round, problem }) => `round ${round}: ${problem}`) };
}

test.for(TEST_DEVICES)("nothing is lost on %s", { timeout: 300_000 }, async (device) => {
  const { rounds, size } = SAMPLE[device]!;
  const { counts, problems } = await play(device, rounds, size);
  expect(problems).toEqual([]);
  expect(counts.rounds).toBe(rounds);
  // It was disturbed, and looked.
  expect(counts.memoryRefused).toBeGreaterThan(0);
  expect(counts.restored).toBeGreaterThan(0);
  expect(counts.evictions).toBeGreaterThan(0);
  expect(counts.readsChecked).toBeGreaterThan(20);
  if (device === "webgpu") expect(counts.lossesInjected).toBeGreaterThan(0);
});

describe("what is lost is found:", () => {
  const found = async (parts: Partial<SoakParts>, rounds = 6): Promise<string[]> =>
    (await play("cpu", rounds, { steps: 6 }, parts)).problems;

  test("random numbers that do not come back", async () => {
    const problems = await found({
      restore: (state, saved) =>
        tg.restore(state, { ...saved, random: { ...saved.random, counter: saved.random.counter + 1 } }),
    });
    expect(problems).toContainEqual(expect.stringMatching(/the loss of step \d+ of \w+ is .* instead of /));
  });

  test("parameters that do not come back", async () => {
    const problems = await found({
      restore: (state, saved) => {
        const result = tg.restore(state, saved);
        const { model } = state as unknown as { model: tg.nn.Module };
        tg.noGrad(() => model.parameters()[0]!.mul_(1.2));
        return result;
      },
    });
    expect(problems).toContainEqual(expect.stringMatching(/ is .* instead of /));
  });

  test("a snapshot that is not taken up at all", async () => {
    const problems = await found({ restore: () => ({ exact: true, reason: "" }) });
    expect(problems).not.toEqual([]);
  });

  test("reads that give something else, or nothing", async () => {
    const zeros = await found({ read: async (tensor) => new Float32Array((await tensor.data()).length) });
    expect(zeros).toContainEqual(expect.stringMatching(/ is 0 instead of /));
    const short = await found({ read: async (tensor) => (await tensor.data()).slice(1) });
    expect(short).toContainEqual(expect.stringMatching(/instead of/));
  });

  test("errors of another kind", async () => {
    let reads = 0;
    const problems = await found({
      read: async (tensor) => {
        if (++reads % 5 === 0) throw new tg.DisposedError("it is gone");
        return tensor.data();
      },
    });
    expect(problems).toContainEqual(expect.stringMatching(/does not say how to keep it|ended with DisposedError/));
  });

  test("memory that does not come back", { timeout: 120_000 }, async () => {
    const held: tg.Tensor[] = [];
    const problems = await found({ hold: (tensor) => void held.push(tensor.retain()) }, 2);
    expect(problems).toContainEqual(expect.stringMatching(/bytes are still live on cpu, and nobody has them/));
    expect(held.length).toBeGreaterThan(0);
  });

  test("what does not go on", async () => {
    const watchdog = new Worker(new URL("watchdog.ts", import.meta.url), {
      workerData: { beat: new SharedArrayBuffer(8), seed: SEED, device: "cpu", patience: 600 },
      stdout: true,
    });
    expect(await new Promise((resolve) => watchdog.on("exit", resolve))).toBe(1);
  });
});
