/** Times of calls by timestamps, and what a device can do at most. */

import { afterEach, describe, expect, test } from "vitest";
import * as tg from "#tapegrad";
import type { Call } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import type { WebGpuBackend, WebGpuBackendOptions } from "../../src/backend/webgpu/backend.ts";
import { CallClock } from "../../src/backend/webgpu/clock.ts";
import type { Recorder } from "../../src/backend/webgpu/recorder.ts";
import { bufferOf, elements, fusedKernel, routine } from "../support/kernels.ts";
import { openWebGpu } from "../support/webgpu.ts";

const opened: WebGpuBackend[] = [];
afterEach(() => {
  for (const gpu of opened.splice(0)) gpu.destroy();
});

async function open(options: WebGpuBackendOptions = {}): Promise<WebGpuBackend> {
  const gpu = await openWebGpu({ debug: false, ...options });
  opened.push(gpu);
  return gpu;
}

/** A call that doubles numbers in place. */
function doubling(gpu: WebGpuBackend, count: number): { call: () => Call; buffer: Call["buffers"][number] } {
  const operand = { dtype: "float32", strides: [1] } as const;
  const { structure, data } = fusedKernel({
    outer: [count],
    reads: [operand],
    writes: [operand],
    inPlace: { 0: 0 },
    body: (b, [x]) => [b.emit("add", "f", [x!, x!])],
  });
  const buffer = bufferOf(gpu, "float32", new Float32Array(count).fill(1));
  const program = gpu.prepare(structure);
  return { buffer, call: () => ({ program, data, buffers: [buffer], tag: 0 }) };
}

describe("a clock", () => {
  test("times every call, also those that waited for their shader, and changes no result", async () => {
    const gpu = await open();
    const { call, buffer } = doubling(gpu, 1000);
    const heard = new Map<Call, number>();
    const finish = gpu.timeCalls((which, ms) => heard.set(which, ms))!;
    const calls = Array.from({ length: 20 }, call);
    gpu.run(calls.slice(0, 7));
    for (const one of calls.slice(7)) gpu.run([one]);
    expect(heard.size).toBe(0);
    expect(await elements(gpu, buffer, "float32", 1000)).toEqual(new Array(1000).fill(2 ** 20));
    await finish();
    expect([...heard.keys()]).toEqual(calls);
    for (const ms of heard.values()) expect(ms).toBeGreaterThanOrEqual(0);
    gpu.run([call()]);
    await gpu.synchronize();
    expect(heard.size).toBe(20);
  });

  test("tells the time that a call takes, a copy's as well", async () => {
    const gpu = await open();
    const bytes = 2 ** 25;
    const structure = routine("copy", {}, [
      { dtype: "float32", mode: "read" },
      { dtype: "float32", mode: "write" },
    ]);
    const program = gpu.prepare(structure);
    const buffers = [gpu.allocate(bytes), gpu.allocate(bytes)];
    const { call } = doubling(gpu, 2 ** 21);
    const times = new Map<Call, number>();
    const finish = gpu.timeCalls((which, ms) => times.set(which, ms))!;
    const copies = Array.from({ length: 4 }, () => ({
      program,
      data: { ints: [bytes / 4, 0, 0], scalars: [] },
      buffers,
      tag: 0,
    }));
    const maps = Array.from({ length: 4 }, call);
    await gpu.synchronize();
    const start = performance.now();
    gpu.run(copies);
    gpu.run(maps);
    await gpu.synchronize();
    const wall = performance.now() - start;
    await finish();
    const sum = (calls: readonly Call[]): number => calls.reduce((ms, one) => ms + times.get(one)!, 0);
    expect(sum(copies)).toBeGreaterThan(0.1);
    expect(sum(maps)).toBeGreaterThan(0.1);
    expect(sum(copies) + sum(maps)).toBeLessThan(wall + 1);
  });

  test("that ends before its calls could run lets them run", async () => {
    const gpu = await open();
    const { call, buffer } = doubling(gpu, 8);
    let heard = 0;
    const finish = gpu.timeCalls(() => heard++)!;
    gpu.run([call(), call(), call()]);
    await finish();
    expect(await elements(gpu, buffer, "float32", 8)).toEqual(new Array(8).fill(8));
    expect(heard).toBe(0);
  });

  test("is none without timestamps", async () => {
    const gpu = await open({ without: ["timestamp-query"] });
    expect(gpu.timeCalls(() => undefined)).toBeNull();
  });
});

describe("sets of timestamps", () => {
  /** A device that writes the numbers of queries as their times. */
  function fake(): { clock: CallClock; live: () => number; made: () => number } {
    let [live, made] = [0, 0];
    const destroy = (): void => void live--;
    const device = {
      createQuerySet: () => (live++, made++, { destroy }),
      createBuffer: ({ size }: { size: number }) => ({
        destroy: () => undefined,
        mapAsync: () => Promise.resolve(),
        // Each time as many milliseconds as there were calls before in the set.
        getMappedRange: () => BigUint64Array.from({ length: size / 8 }, (_, i) => BigInt(i % 2) * BigInt(i >> 1) * 1_000_000n).buffer, // prettier-ignore
        unmap: () => undefined,
      }),
      createCommandEncoder: () => ({
        resolveQuerySet: () => undefined,
        copyBufferToBuffer: () => undefined,
        finish: () => ({}),
      }),
      queue: { submit: () => undefined },
    };
    const recorder = {
      stamp: (_: unknown, first: number, record: () => void) => {
        expect(first).toBeGreaterThanOrEqual(0);
        expect(first).toBeLessThan(4095);
        record();
      },
      flush: () => undefined,
    };
    const clock = new CallClock(device as unknown as GPUDevice, recorder as unknown as Recorder);
    return { clock, live: () => live, made: () => made };
  }

  test("are used again where the program waits, and bounded where it does not", async () => {
    const { clock, live, made } = fake();
    const heard: number[] = [];
    let recorded = 0;
    const run = (count: number): void => {
      for (let i = 0; i < count; i++)
        clock.time(
          () => void recorded++,
          (ms) => heard.push(ms),
        );
    };
    for (let turn = 0; turn < 40; turn++) {
      run(1000);
      await new Promise((done) => setTimeout(done));
    }
    expect(made()).toBeLessThanOrEqual(3);
    const before = heard.length;
    expect(before).toBeGreaterThan(36_000);
    expect(heard.slice(0, 2048)).toEqual(Array.from({ length: 2048 }, (_, i) => i));
    run(60_000);
    expect(made()).toBe(16);
    await clock.finish();
    expect(recorded).toBe(100_000);
    // Of those at once as many as sixteen sets hold, less what was in the open one.
    expect(heard.length).toBe(40_000 + 16 * 2048 - (40_000 % 2048));
    expect(live()).toBe(0);
  });
});

describe("the most that a device can do", () => {
  const plausible = ({ bandwidth, flops }: tg.Ceiling): void => {
    for (const figure of [bandwidth, flops]) {
      expect(figure).toBeGreaterThan(1e6);
      expect(figure).toBeLessThan(1e16);
    }
  };

  test("is measured on a GPU, with timestamps and without, and leaves no memory behind", async () => {
    for (const without of [[], ["timestamp-query"]]) {
      const gpu = await open({ without });
      const before = gpu.memory();
      plausible((await gpu.measureCeiling())!);
      expect(gpu.memory()).toEqual(before);
      const { call, buffer } = doubling(gpu, 8);
      gpu.run([call()]);
      expect(await elements(gpu, buffer, "float32", 8)).toEqual(new Array(8).fill(2));
    }
  }, 60_000);

  test("is measured on the CPU, with WebAssembly and without, on several threads and on one", async () => {
    for (const options of [{ wasm: false }, { threads: 1 }, { threads: 2 }]) {
      const cpu = new CpuBackend(options);
      plausible((await cpu.measureCeiling())!);
      cpu.destroy();
    }
  });
});

describe("a profile on a GPU without timestamps", () => {
  test("has all but times, and says why", async () => {
    try {
      await tg.init({ device: "webgpu", without: ["timestamp-query"] });
      const profile = await tg.profile(() => tg.ones(4, 5).add(1).matmul(tg.ones(5, 3).mul(2)).data());
      expect([...profile.result]).toEqual(new Array(12).fill(20));
      const kernels = profile.rows.filter((row) => row.kind === "kernel");
      for (const row of kernels) expect(row).toMatchObject({ time: null, share: null });
      expect(kernels.find((row) => row.name.startsWith("matmul"))).toMatchObject({ calls: 1, flops: 120 });
      expect(profile.devices).toMatchObject([{ type: "webgpu", isTimed: false }]);
      expect(String(profile)).toMatch(/ calls, no times, [^]*; no times: it has no timestamp-query$/);
    } finally {
      tg.destroy();
    }
  });
});
