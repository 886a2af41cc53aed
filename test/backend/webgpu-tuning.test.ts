/** Choosing kernels: by rule, by measurement, by a clock that the test turns; on a real adapter with and without timestamps. */

import { afterEach, beforeAll, describe, expect, test } from "vitest";
import * as tg from "#tapegrad";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import type { WebGpuBackend, WebGpuBackendOptions } from "../../src/backend/webgpu/backend.ts";
import { Choices, classOf, digest } from "../../src/backend/webgpu/choices.ts";
import { fastest } from "../../src/backend/webgpu/tuner.ts";
import { addBackend, backendOf, endBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import { expectClose } from "../support/portable.ts";
import { openWebGpu } from "../support/webgpu.ts";

afterEach(() => {
  tg.useDeterministicAlgorithms(false);
  setDefaultBackend(backendOf("cpu"));
});

describe("the fastest of several", () => {
  /** Milliseconds a run by name; counts runs. */
  function clock(times: Readonly<Record<string, number | null>>, noise: () => number = () => 1) {
    const runs: Record<string, number> = {};
    const time = (name: string, count: number): Promise<number | null> => {
      runs[name] = (runs[name] ?? 0) + count;
      const once = times[name]!;
      return Promise.resolve(once === null ? null : once * count * noise());
    };
    return { runs, time };
  }

  test("is taken", async () => {
    const { time } = clock({ a: 3, b: 1, c: 2 });
    expect(await fastest(["a", "b", "c"], "a", time)).toBe("b");
  });

  test("is taken in spite of disturbances, which only make things slower", async () => {
    let at = 0;
    const { time } = clock({ a: 1, b: 0.8, c: 1.5 }, () => [1, 1, 1.2, 1.05, 1, 1.1, 1.25][at++ % 7]!);
    expect(await fastest(["a", "b", "c"], "a", time)).toBe("b");
  });

  test("gives way to the usual one if it is hardly faster", async () => {
    const { time } = clock({ a: 1, b: 0.99 });
    expect(await fastest(["a", "b"], "a", time)).toBe("a");
  });

  test("is not one that does not work", async () => {
    const { time } = clock({ a: null, b: 2, c: null });
    expect(await fastest(["a", "b", "c"], "b", time)).toBe("b");
    expect(await fastest(["a", "b", "c"], "a", time)).toBe("b");
    expect(await fastest(["a", "c"], "a", time)).toBe("a");
  });

  test("is found without running slow ones often", async () => {
    const { time, runs } = clock({ a: 1, slow: 100, b: 0.5 });
    expect(await fastest(["a", "slow", "b"], "a", time)).toBe("b");
    expect(runs["slow"]).toBe(2);
    expect(runs["b"]).toBeGreaterThan(10);
  });

  test("is repeated until the clock can tell, and not for ever", async () => {
    const { time, runs } = clock({ a: 0, b: 0 });
    expect(await fastest(["a", "b"], "a", time)).toBe("a");
    expect(runs["a"]).toBeLessThan(250);
  });
});

describe("choices", () => {
  const alternatives = { key: () => "k", usual: 2, all: () => [1, 2, 3], name: (n: number) => `way${n}` };

  test("are the usual ones, the measured ones where they exist, and never unknown ones", () => {
    const choices = new Choices("an adapter of its own");
    expect(choices.pick(alternatives)).toBe(2);
    choices.set("k", "way3");
    expect(choices.pick(alternatives)).toBe(3);
    choices.set("k", "way9");
    expect(choices.pick(alternatives)).toBe(2);
    expect(choices.force("k", "way1", () => choices.pick(alternatives))).toBe(1);
    choices.resume({});
    expect(choices.pick(alternatives)).toBe(2);
  });

  test("are pinned by determinism", () => {
    const choices = new Choices("a second adapter");
    choices.set("k", "way3");
    tg.useDeterministicAlgorithms(true);
    expect(choices.pick(alternatives)).toBe(2);
    tg.useDeterministicAlgorithms(false);
    expect(choices.pick(alternatives)).toBe(3);
  });

  test("are heard where nothing is known yet", () => {
    const choices = new Choices("a third adapter");
    const heard: unknown[] = [];
    const pick = (): number =>
      choices.listen(
        (c) => heard.push(c),
        () => choices.pick(alternatives),
      );
    expect(pick()).toBe(2);
    choices.set("k", "way1");
    expect(pick()).toBe(1);
    expect(heard).toEqual([{ key: "k", names: ["way1", "way2", "way3"], usual: "way2" }]);
  });

  test("are shared by devices of one adapter, and plain data", () => {
    new Choices("a fourth adapter").set("k", "way1");
    expect(new Choices("a fourth adapter").pick(alternatives)).toBe(1);
    expect(new Choices("a fifth adapter").pick(alternatives)).toBe(2);
    const saved = JSON.parse(JSON.stringify(tg.kernelChoices())) as tg.KernelChoices;
    expect(saved["a fourth adapter"]).toEqual({ k: "way1" });
    tg.loadKernelChoices({ "a sixth adapter": { k: "way3" } });
    expect(new Choices("a sixth adapter").pick(alternatives)).toBe(3);
  });

  test("of sizes that are near each other are one", () => {
    expect([0, 1, 2, 3, 4].map(classOf)).toEqual([0, 1, 2, 3, 4]);
    expect(classOf(1000)).toBe(classOf(1024));
    expect(classOf(1024)).not.toBe(classOf(2048));
    for (let n = 1; n < 3000; n++) expect(classOf(n + 1)).toBeGreaterThanOrEqual(classOf(n));
  });

  test("have keys of which no two of many are the same", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 20000; i++) seen.add(digest(`${i % 100}x${i}|${"load;".repeat(i % 7)}`));
    expect(seen.size).toBe(20000);
  });

  test("refuse what is none", () => {
    expect(() => tg.loadKernelChoices({ a: 1 } as never)).toThrow(/expected what kernelChoices\(\) gave/);
    expect(() => tg.loadKernelChoices(null as never)).toThrow(/expected what kernelChoices\(\) gave, got null/);
    expect(() => tg.useDeterministicAlgorithms(1 as never)).toThrow(/mode must be true or false, got 1/);
    expect(() => tg.useDeterministicAlgorithms(true, { warn: true } as never)).toThrow(/unknown option "warn"/);
    expect(tg.areDeterministicAlgorithmsEnabled()).toBe(false);
  });
});

/** Opens a device, makes it the one of new tensors, and ends it. */
async function withDevice(options: WebGpuBackendOptions, body: (gpu: WebGpuBackend) => Promise<void>): Promise<void> {
  const gpu = await openWebGpu(options);
  addBackend(gpu);
  setDefaultBackend(gpu);
  try {
    await body(gpu);
  } finally {
    endBackend(gpu);
    setDefaultBackend(backendOf("cpu"));
  }
}

const wave = (scale: number, ...shape: number[]): tg.Tensor =>
  tg
    .arange(shape.reduce((a, b) => a * b, 1))
    .mul(scale)
    .sin()
    .reshape(shape);

/** A product whose sum is cut, a softmax over rows, a long sum, a convolution: each can be run in several ways. */
async function work(): Promise<Float32Array[]> {
  const product = wave(0.7, 24, 1100).matmul(wave(1.3, 1100, 20));
  const soft = wave(0.9, 40, 300).softmax(1);
  const total = wave(0.3, 3, 9000).sum(1);
  const image = tg.F.conv2d(wave(0.2, 1, 64, 5, 5), wave(0.11, 8, 64, 3, 3), null, { padding: 1 });
  return (await tg.readAll([product, soft, total, image])) as Float32Array[];
}

let expected: Float32Array[];
beforeAll(async () => {
  setDefaultBackend(new CpuBackend());
  expected = await work();
});

function expectRight(results: readonly Float32Array[]): void {
  results.forEach((result, i) => expectClose(result, expected[i], { rtol: 1e-4, atol: 1e-4 }));
}

describe.each([
  ["with timestamps", {}],
  ["without", { without: ["timestamp-query"] }],
])("a warmup %s", (name, options) => {
  // A limit of its own makes an adapter of its own of each.
  const figures = { isSoftware: false, busyGroups: name === "without" ? 17 : 16 };

  test("measures, keeps what it found, and changes results by rounding only", async () => {
    await withDevice({ ...options, autotune: true, figures }, async (gpu) => {
      expect(gpu.choices).toEqual({});
      const before = await work();
      expectRight(before);
      await tg.warmup(work);
      const routines = Object.keys(gpu.choices).map((key) => key.split(" ")[0]);
      expect(new Set(routines)).toEqual(new Set(["conv", "matmul", "rows"]));
      expect(tg.kernelChoices()[gpu.numerics]).toEqual(gpu.choices);
      expectRight(await work());
      // What was measured once is not measured again.
      const found = gpu.choices;
      await tg.warmup(work);
      expect(gpu.choices).toEqual(found);
      tg.useDeterministicAlgorithms(true);
      expect(await work()).toEqual(before);
    });
  });

  test("leaves nothing to learn for a device made again, nor for a snapshot", async () => {
    await withDevice({ ...options, autotune: true, figures }, async (gpu) => {
      const found = gpu.choices;
      expect(Object.keys(found).length).toBeGreaterThan(2);
      const saved = await tg.snapshot({ step: 1 });
      expect(saved.device.choices).toEqual(found);
      gpu.choices = {};
      expect(tg.restore({ step: 0 }, saved).exact).toBe(true);
      expect(gpu.choices).toEqual(found);
      tg.useDeterministicAlgorithms(true);
      const other = tg.restore({ step: 0 }, saved);
      expect(other.exact).toBe(false);
      expect(other.reason).toContain("useDeterministicAlgorithms(false)");
    });
  });
});

test("every way of every choice is right", async () => {
  await withDevice({ autotune: true, figures: { isSoftware: false, busyGroups: 15 } }, async (gpu) => {
    await tg.warmup(work);
    const keys = Object.keys(gpu.choices);
    const ways: Record<string, readonly string[]> = {
      matmul: ["128x64", "64x128", "128x128", "32x32", "32x32/2", "32x32/4"],
      conv: ["32x32", "32x32/2"],
      rows: ["lanes1", "lanes8", "lanes32", "lanes256", "chunks3"],
    };
    for (const [routine, names] of Object.entries(ways))
      for (const name of names) {
        gpu.choices = Object.fromEntries(keys.filter((k) => k.startsWith(routine)).map((key) => [key, name]));
        expectRight(await work());
      }
  });
});

test("the larger tiles of a product are right", async () => {
  const product = (): Promise<tg.TensorData> =>
    wave(0.7, 150, 70)
      .matmul(wave(1.3, 70, 90))
      .data();
  setDefaultBackend(backendOf("cpu"));
  const want = await product();
  await withDevice({ figures: { isSoftware: false, busyGroups: 14 } }, async (gpu) => {
    const { pick } = Choices.prototype;
    let key = "";
    Choices.prototype.pick = function (alternatives) {
      if (alternatives.key().startsWith("matmul")) key = alternatives.key();
      return pick.call(this, alternatives) as never;
    };
    await product();
    Choices.prototype.pick = pick;
    for (const name of ["128x64", "64x128"]) {
      gpu.choices = { [key]: name };
      expectClose(await product(), want, { rtol: 1e-4, atol: 1e-4 });
    }
  });
});

test("software adapters measure nothing unless asked to, and an aborted warmup measures nothing", async () => {
  const rows = async (): Promise<void> => void (await wave(0.9, 40, 300).softmax(1).data());
  await withDevice({ figures: { busyGroups: 13 } }, async (gpu) => {
    expect(gpu.isSoftware).toBe(true);
    await tg.warmup(rows);
    expect(gpu.choices).toEqual({});
  });
  await withDevice({ autotune: true, figures: { isSoftware: false, busyGroups: 12 } }, async (gpu) => {
    await expect(
      tg.warmup(async () => {
        await rows();
        throw new Error("enough");
      }),
    ).rejects.toThrow("enough");
    expect(gpu.choices).toEqual({});
    tg.useDeterministicAlgorithms(true);
    await tg.warmup(rows);
    expect(gpu.choices).toEqual({});
  });
});
