/** The queue and the pool against a model: whatever is interleaved without waiting, results are those of program order. */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { NullBackend } from "../../src/backend/null.ts";
import type { WebGpuBackend, WebGpuBackendOptions } from "../../src/backend/webgpu/backend.ts";
import { IdleTimer } from "../../src/backend/webgpu/idle.ts";
import { Pool, sizeClass, type Segment } from "../../src/backend/webgpu/pool.ts";
import { actions, play } from "../support/interleaving.ts";
import { openWebGpu } from "../support/webgpu.ts";

const POOL_BYTES = 20_000;

const OPTIONS: readonly WebGpuBackendOptions[] = [
  { debug: false, poolBytes: POOL_BYTES },
  { debug: false, poolBytes: POOL_BYTES, limits: { maxBufferSize: 1024 } },
];

let gpus: WebGpuBackend[];
beforeAll(async () => {
  gpus = await Promise.all(OPTIONS.map((o) => openWebGpu(o)));
});
afterAll(() => {
  for (const gpu of gpus) gpu.destroy();
});

describe("a random interleaving", () => {
  test("gives the contents of program order, and figures that add up, on every device", async () => {
    const others = [new NullBackend(), new CpuBackend()];
    const backends = [...gpus, ...others];
    const start = gpus.map((gpu) => gpu.memory());
    await fc.assert(
      fc.asyncProperty(actions, async (list) => {
        await play(backends, list, {
          check: () => {
            gpus.forEach((gpu, i) => {
              const { usedBuffers, usedBytes, pooledBytes, peakBytes } = gpu.memory();
              expect(usedBuffers - start[i]!.usedBuffers).toBe(others[0]!.memory().usedBuffers);
              expect(usedBytes).toBeGreaterThanOrEqual(others[0]!.memory().usedBytes);
              expect(pooledBytes).toBeLessThanOrEqual(POOL_BYTES);
              expect(peakBytes).toBeGreaterThanOrEqual(usedBytes + pooledBytes);
            });
          },
        });
      }),
      { numRuns: 60, seed: 21 },
    );
    gpus.forEach((gpu, i) => expect(gpu.memory().usedBytes).toBe(start[i]!.usedBytes));
  }, 240_000);

  test("of two devices, each by itself", async () => {
    const [a, b] = await Promise.all([openWebGpu({ debug: false }), openWebGpu({ debug: false })]);
    await fc.assert(
      fc.asyncProperty(actions, actions, async (first, second) => {
        await Promise.all([play([a], first), play([b], second)]);
      }),
      { numRuns: 15, seed: 22 },
    );
    a.destroy();
    b.destroy();
  }, 120_000);
});

describe("the pool", () => {
  interface Made {
    readonly pool: Pool;
    readonly destroyed: number[];
    clock: number;
  }
  function makePool(budget: number): Made {
    const made: Made = {
      destroyed: [],
      clock: 0,
      pool: new Pool(
        {
          segmentBytes: 4096,
          maxBytes: 2 ** 20,
          create: ({ id }) => ({ id }) as unknown as GPUBuffer,
          destroy: (segment) => void made.destroyed.push(segment.id),
          now: () => made.clock,
        },
        budget,
      ),
    };
    return made;
  }

  test("a segment has one owner at a time, free ones keep to the budget, figures are exact", () => {
    const step = fc.record({ bytes: fc.integer({ min: 1, max: 20_000 }), gives: fc.boolean(), pick: fc.nat() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 0, max: 30_000 }), (steps, budget) => {
        const { pool, destroyed } = makePool(budget);
        const held: ReturnType<Pool["take"]>[] = [];
        for (const { bytes, gives, pick } of steps) {
          if (gives && held.length > 0) pool.give(held.splice(pick % held.length, 1)[0]!);
          else {
            const slab = pool.take(bytes);
            expect(slab.bytes).toBeGreaterThanOrEqual(bytes);
            expect(slab.segments.every((s, i) => s.bytes === 4096 || i === slab.segments.length - 1)).toBe(true);
            held.push(slab);
          }
          const owned = held.flatMap((slab) => slab.segments.map((s: Segment) => s.id));
          expect(new Set(owned).size).toBe(owned.length);
          expect(owned.some((id) => destroyed.includes(id))).toBe(false);
          const { usedBytes, usedBuffers, pooledBytes } = pool.figures();
          expect(usedBytes).toBe(held.reduce((sum, slab) => sum + slab.bytes, 0));
          expect(usedBuffers).toBe(held.length);
          expect(pooledBytes).toBeLessThanOrEqual(budget);
        }
      }),
      { numRuns: 200, seed: 5 },
    );
  });

  test("under a bound, free memory is given back or used again, if it is not much too large", () => {
    const { pool, destroyed } = makePool(2 ** 20);
    pool.within = 4096;
    const [a, b] = [pool.take(2048), pool.take(2048)];
    pool.give(a);
    const c = pool.take(1500, null, true);
    expect(c.segments).toEqual(a.segments); // the smallest that is large enough
    pool.give(c);
    pool.give(b);
    const d = pool.take(100);
    expect(d.bytes).toBe(256);
    expect(destroyed.length).toBe(1);
    const { usedBytes, pooledBytes } = pool.figures();
    expect(usedBytes + pooledBytes).toBeLessThanOrEqual(4096);
    expect(pool.bytesFor(300)).toBe(512);
    expect(pool.bytesFor(4096)).toBe(4096);
    expect(pool.bytesFor(9000)).toBe(4096 + 4096 + 1024);
  });

  test("size classes waste an eighth at most beyond 2 KiB", () => {
    for (let bytes = 1; bytes < 2 ** 22; bytes += 997) {
      const size = sizeClass(bytes);
      expect(size % 256).toBe(0);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size - bytes).toBeLessThanOrEqual(Math.max(256, bytes / 8));
    }
  });

  test("what nobody took for a while is given back", () => {
    const made = makePool(2 ** 20);
    const slabs = [100, 1000, 2000].map((bytes) => made.pool.take(bytes));
    slabs.forEach((slab, i) => {
      made.clock = 10 * i;
      made.pool.give(slab);
    });
    expect(made.pool.trimIdle(5)).toBe(true);
    expect(made.destroyed).toEqual([slabs[0]!.id]);
    made.clock = 30;
    made.pool.give(made.pool.take(1000));
    expect(made.pool.trimIdle(25)).toBe(true);
    expect(made.destroyed).toEqual([slabs[0]!.id, slabs[2]!.id]);
    expect(made.pool.trimIdle(31)).toBe(false);
    expect(made.pool.figures()).toMatchObject({ pooledBytes: 0, pooledBuffers: 0 });
  });
});

describe("idle memory", () => {
  test("goes back to the device after a while without use", async () => {
    const backend = await openWebGpu({ idleMs: 20 });
    backend.release(backend.allocate(5000));
    expect(backend.memory().pooledBuffers).toBe(1);
    await expect.poll(() => backend.memory().pooledBuffers).toBe(0);
    backend.destroy();
  });

  test("the timer runs while there is something left, stops when told, and keeps no process alive", async () => {
    let left = 3;
    const timer = new IdleTimer(1, (before) => {
      expect(before).toBeLessThan(performance.now());
      return --left > 0;
    });
    timer.start();
    timer.start();
    await expect.poll(() => left).toBe(0);
    await new Promise((done) => setTimeout(done, 20));
    expect(left).toBe(0);
    timer.start();
    timer.stop();
    await new Promise((done) => setTimeout(done, 20));
    expect(left).toBe(0);
    const before = process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    new IdleTimer(60_000, () => false).start();
    expect(process.getActiveResourcesInfo().filter((name) => name === "Timeout").length).toBe(before);
  });
});
