/** No memory, refused work, a device that goes away: what is lost is named, nothing wrong is read, and what is left works. */

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Call, DeviceBuffer } from "../../src/backend/backend.ts";
import { WebGpuBackend, type WebGpuBackendOptions } from "../../src/backend/webgpu/backend.ts";
import { findDevice } from "../../src/backend/webgpu/device.ts";
import { DeviceError, DeviceLostError, OutOfMemoryError } from "../../src/errors.ts";
import { bufferOf, callOf, elements, fusedKernel, host } from "../support/kernels.ts";
import { actions, play } from "../support/interleaving.ts";
import { faultyDevice, type FaultPlan } from "../support/faulty.ts";

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** A device of its own. */
async function openDevice(): Promise<GPUDevice> {
  const found = await findDevice();
  if ("reason" in found) throw new Error(found.reason);
  return found.device;
}

function backendOn(device: GPUDevice, options: WebGpuBackendOptions = {}): WebGpuBackend {
  return new WebGpuBackend({ device, owned: false, immediateBytes: 0, description: "test", isSoftware: true }, options);
}

/** out = x + 1, over so many float32. */
function plusOne(backend: WebGpuBackend, count: number, x: DeviceBuffer, out: DeviceBuffer): Call {
  const { structure, data } = fusedKernel({
    outer: [count],
    reads: [{ dtype: "float32", strides: [1] }],
    writes: [{ dtype: "float32", strides: [1] }],
    body: (b, [v]) => [b.add(v!, b.lit(1, "f"))],
  });
  return callOf(backend, structure, data, [x, out]);
}

/** x += 1 in place. */
function increment(backend: WebGpuBackend, count: number, x: DeviceBuffer): Call {
  const { structure, data } = fusedKernel({
    outer: [count],
    reads: [{ dtype: "float32", strides: [1] }],
    writes: [{ dtype: "float32", strides: [1] }],
    inPlace: { 0: 0 },
    body: (b, [v]) => [b.add(v!, b.lit(1, "f"))],
  });
  return callOf(backend, structure, data, [x]);
}

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => void process.on("unhandledRejection", onUnhandled));
afterEach(async () => {
  await new Promise((done) => setTimeout(done, 10));
  process.off("unhandledRejection", onUnhandled);
  const [reason] = unhandled.splice(0);
  if (reason !== undefined) throw new Error("a rejection was not handled", { cause: reason });
});

describe("no memory", () => {
  let device: GPUDevice;
  let plan: { -readonly [K in keyof FaultPlan]: FaultPlan[K] };
  let backend: WebGpuBackend;
  beforeEach(async () => {
    device = await openDevice();
    plan = {};
    backend = backendOn(faultyDevice(device, plan));
  });
  afterEach(() => {
    backend.destroy();
    device.destroy();
  });

  test("is an error that names the operation and the bytes; what does not depend on it goes on", async () => {
    const x = bufferOf(backend, "float32", range(1000));
    const spare = backend.allocate(2048);
    const good = backend.allocate(4000);
    backend.release(spare);
    await backend.synchronize();
    plan.noMemory = (bytes) => bytes > 50_000;
    const bad = backend.allocate(60_000);
    const far = backend.allocate(4000);
    backend.run([plusOne(backend, 1000, x, bad)]);
    backend.run([plusOne(backend, 1000, x, good)]);
    backend.run([plusOne(backend, 1000, bad, far)]);
    const reads = [bad, far, bad].map((b) => elements(backend, b, "float32", 1000));
    for (const outcome of await Promise.allSettled(reads)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(OutOfMemoryError) as Error });
      expect(String((outcome as PromiseRejectedResult).reason)).toMatch(
        /a kernel of add: out of memory on the GPU: 61440 bytes were asked for, \d+ are live and 0 pooled, also after/,
      );
    }
    expect(backend.faultOf(bad)).toBeInstanceOf(OutOfMemoryError);
    expect(backend.faultOf(far)).toBeInstanceOf(OutOfMemoryError);
    expect(backend.faultOf(good)).toBe(null);
    expect(await elements(backend, good, "float32", 1000)).toEqual(range(1000).map((i) => i + 1));
    await backend.synchronize();
    // Its memory is not used again, and there is some later.
    backend.release(bad);
    plan.noMemory = undefined;
    const again = backend.allocate(60_000);
    backend.run([plusOne(backend, 1000, good, again)]);
    expect(await elements(backend, again, "float32", 1000)).toEqual(range(1000).map((i) => i + 2));
  });

  test("a label says what the memory was for", async () => {
    plan.noMemory = (bytes) => bytes > 50_000;
    const bad = backend.allocate(60_000, "softmax at train.ts:12");
    await expect(elements(backend, bad, "float32", 4)).rejects.toThrow(
      /^softmax at train.ts:12: out of memory on the GPU/,
    );
  });

  test("free buffers are given back and the allocation tried again", async () => {
    const spare = range(5).map((i) => backend.allocate(10_000 * (i + 1)));
    for (const buffer of spare) backend.release(buffer);
    await backend.synchronize();
    expect(backend.memory().pooledBuffers).toBe(5);
    let refusals = 1;
    plan.noMemory = (bytes) => bytes > 200_000 && refusals-- > 0;
    const x = bufferOf(backend, "float32", range(10));
    const out = backend.allocate(400_000);
    backend.run([plusOne(backend, 10, x, out)]);
    expect(await elements(backend, out, "float32", 10)).toEqual(range(10).map((i) => i + 1));
    expect(refusals).toBe(-1); // asked twice
    expect(backend.memory().pooledBuffers).toBe(0);
  });

  test("free buffers that queued work still uses are not given back", async () => {
    const x = bufferOf(backend, "float32", range(10));
    const between = backend.allocate(40);
    await backend.synchronize();
    plan.noMemory = (bytes) => bytes > 200_000;
    const bad = backend.allocate(400_000);
    const out = backend.allocate(40);
    // Queued behind the allocation that fails: `between` is free by then, but its value is still wanted.
    backend.run([plusOne(backend, 10, x, between)]);
    backend.run([plusOne(backend, 10, between, out)]);
    backend.release(between);
    const read = elements(backend, out, "float32", 10);
    await expect(elements(backend, bad, "float32", 10)).rejects.toThrow(OutOfMemoryError);
    expect(await read.catch((error: unknown) => error)).toEqual(range(10).map((i) => i + 2));
  });

  test("work that was queued together is done or dropped together", async () => {
    const state = bufferOf(backend, "float32", [1, 2, 3]);
    const other = bufferOf(backend, "float32", [5, 5, 5]);
    plan.noMemory = (bytes) => bytes > 50_000;
    const bad = backend.allocate(60_000);
    backend.run([increment(backend, 3, state), plusOne(backend, 3, other, bad)]);
    await expect(elements(backend, bad, "float32", 3)).rejects.toThrow(OutOfMemoryError);
    await expect(elements(backend, state, "float32", 3)).rejects.toThrow(OutOfMemoryError);
    backend.run([increment(backend, 3, other)]);
    expect(await elements(backend, other, "float32", 3)).toEqual([6, 6, 6]);
    // A new value makes it whole again.
    backend.upload(state, "float32", host("float32", [7, 8, 9]));
    backend.run([increment(backend, 3, state)]);
    expect(await elements(backend, state, "float32", 3)).toEqual([8, 9, 10]);
  });

  test("for scratch memory", async () => {
    const { structure, data } = fusedKernel({
      outer: [],
      inner: [200_000],
      reads: [{ dtype: "float32", strides: [1] }],
      writes: [{ dtype: "float32", strides: [0] }],
      body: (b, [v]) => [b.emit("reduce", "f", [v!], "sum")],
    });
    const x = bufferOf(backend, "float32", range(200_000));
    const out = backend.allocate(4);
    await backend.synchronize();
    backend.trim(0);
    plan.noMemory = (_, usage) => (usage & 128) !== 0;
    const call = callOf(backend, structure, data, [x, out]);
    backend.run([call]);
    await expect(elements(backend, out, "float32", 1)).rejects.toThrow(/a kernel of sum: out of memory on the GPU/);
    plan.noMemory = undefined;
    backend.upload(out, "float32", host("float32", [0]));
    backend.run([call]);
    const [sum] = await elements(backend, out, "float32", 1);
    expect(sum! / ((200_000 * 199_999) / 2)).toBeCloseTo(1, 6);
  });

  test("for what reads go through, once or for good", async () => {
    const x = bufferOf(backend, "float32", range(5000));
    await backend.synchronize();
    let refusals = 1;
    plan.noMemory = (_, usage) => (usage & 1) !== 0 && refusals-- > 0;
    expect(await elements(backend, x, "float32", 5000)).toEqual(range(5000));
    refusals = 2;
    await expect(elements(backend, x, "float32", 4)).rejects.toThrow(/^reading: out of memory on the GPU/);
    expect(await elements(backend, x, "float32", 4)).toEqual([0, 1, 2, 3]);
  });

  test("for a large upload, once or for good", async () => {
    const count = 5 * 2 ** 20;
    const data = new Float32Array(count).fill(3);
    const x = backend.allocate(4 * count);
    const out = backend.allocate(64);
    let refusals = 1;
    plan.noTransfer = (bytes) => bytes > 10_000_000 && refusals-- > 0;
    backend.upload(x, "float32", data);
    data.fill(0); // copied before
    backend.run([plusOne(backend, 16, x, out)]);
    expect(await elements(backend, out, "float32", 16)).toEqual(range(16).map(() => 4));
    refusals = 2;
    backend.upload(x, "float32", data);
    backend.run([plusOne(backend, 16, x, out)]);
    await expect(elements(backend, out, "float32", 16)).rejects.toThrow(/^uploading 20971520 bytes: out of memory/);
    await expect(elements(backend, x, "float32", 16)).rejects.toThrow(OutOfMemoryError);
    backend.upload(x, "float32", data);
    backend.run([plusOne(backend, 16, x, out)]);
    await expect(elements(backend, out, "float32", 16)).rejects.toThrow(OutOfMemoryError);
    const fresh = backend.allocate(64);
    backend.run([plusOne(backend, 16, x, fresh)]);
    expect(await elements(backend, fresh, "float32", 16)).toEqual(range(16).map(() => 1));
  });

  test("now and then, in random work: right values or the error, and figures that add up", async () => {
    let asked = 0;
    let refused = 0;
    plan.noMemory = (_, usage) => (usage & 128) !== 0 && ++asked % 7 > 4 && ++refused > 0;
    let failures = 0;
    await fc.assert(
      fc.asyncProperty(actions, async (list) => {
        await play([backend], list, {
          failed: (error) => {
            expect(error).toBeInstanceOf(OutOfMemoryError);
            failures++;
          },
        });
        await backend.synchronize().catch((error: unknown) => expect(error).toBeInstanceOf(OutOfMemoryError));
        expect(backend.memory().usedBytes).toBe(0);
        backend.trim(0);
        expect(backend.memory().pooledBytes).toBe(0);
      }),
      { numRuns: 40, seed: 31 },
    );
    expect(refused).toBeGreaterThan(20);
    expect(failures).toBeGreaterThan(5);
  }, 120_000);

  test("refused work: nothing that it or later work was to write is read", async () => {
    const x = bufferOf(backend, "float32", range(4));
    const [a, b, c] = range(3).map(() => backend.allocate(16)) as [DeviceBuffer, DeviceBuffer, DeviceBuffer];
    await backend.synchronize();
    let refusals = 1;
    plan.refuses = () => refusals-- > 0;
    backend.run([plusOne(backend, 4, x, a)]);
    await new Promise((done) => setTimeout(done, 50));
    backend.run([plusOne(backend, 4, a, b)]);
    await expect(elements(backend, b, "float32", 4)).rejects.toThrow(/the GPU refused work .*work refused/);
    await expect(elements(backend, a, "float32", 4)).rejects.toThrow(/the GPU refused work/);
    backend.run([plusOne(backend, 4, x, c)]);
    expect(await elements(backend, c, "float32", 4)).toEqual([1, 2, 3, 4]);
  });
});

describe("a device that goes away", () => {
  test("at any point of a loop: right values or DeviceLostError, and a new device works", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("run", "upload", "read", "new", "wait", "await", "sync"), {
          minLength: 5,
          maxLength: 25,
        }),
        fc.nat({ max: 24 }),
        fc.boolean(),
        async (actions, when, byUser) => {
          const device = await openDevice();
          const backend = backendOn(device);
          const count = 300;
          let value = 0;
          let state = bufferOf(backend, "float32", range(count));
          const settled: Promise<void>[] = [];
          const look = (buffer: DeviceBuffer, want: number): Promise<void> =>
            elements(backend, buffer, "float32", count).then(
              (got) => expect(got).toEqual(range(count).map((i) => i + want)),
              (error: unknown) => expect(error).toBeInstanceOf(byUser ? DeviceLostError : DeviceError),
            );
          let gone = false;
          const act = async (action: string): Promise<void> => {
            if (action === "run") {
              backend.run([increment(backend, count, state)]);
              value++;
            } else if (action === "upload") {
              backend.upload(state, "float32", host("float32", range(count)));
              value = 0;
            } else if (action === "new") {
              const next = backend.allocate(4 * count * (1 + (value % 5)));
              backend.run([plusOne(backend, count, state, next)]);
              backend.release(state);
              state = next;
              value++;
            } else if (action === "read") settled.push(look(state, value));
            else if (action === "await") await look(state, value);
            else if (action === "wait") await new Promise((done) => setTimeout(done, 1));
            else settled.push(backend.synchronize().catch((e: unknown) => expect(e).toBeInstanceOf(DeviceError)));
          };
          for (const [i, action] of actions.entries()) {
            if (i === when % actions.length) {
              if (byUser) device.destroy();
              else backend.destroy();
              gone = true;
            }
            try {
              await act(action);
            } catch (error) {
              if (!gone) throw error;
              expect(error).toBeInstanceOf(DeviceError);
            }
          }
          await Promise.all(settled);
          if (byUser) {
            expect(await backend.lost).toBeInstanceOf(DeviceLostError);
            expect(() => backend.allocate(4)).toThrow(DeviceLostError);
            await expect(backend.synchronize()).rejects.toThrow(DeviceLostError);
            await expect(elements(backend, state, "float32", 1)).rejects.toThrow(DeviceLostError);
          } else {
            expect(() => backend.allocate(4)).toThrow("the GPU device was destroyed by tg.destroy()");
            // The device is the user's own: it goes on.
            const other = backendOn(device);
            expect(await elements(other, bufferOf(other, "int32", [1, 2]), "int32", 2)).toEqual([1, 2]);
            other.destroy();
          }
          backend.release(state);
          backend.destroy();
          device.destroy();
        },
      ),
      { numRuns: 40, seed: 11 },
    );
    const device = await openDevice();
    const fresh = backendOn(device);
    expect(await elements(fresh, bufferOf(fresh, "float32", [4, 5]), "float32", 2)).toEqual([4, 5]);
    fresh.destroy();
    device.destroy();
  }, 240_000);

  test("ends while shaders compile, memory is asked for, and a read is on its way", async () => {
    for (const owned of [true, false]) {
      const found = await findDevice();
      if ("reason" in found) throw new Error(found.reason);
      const backend = new WebGpuBackend({ ...found, owned }, {});
      const x = bufferOf(backend, "float32", range(4));
      const out = backend.allocate(16);
      const first = elements(backend, x, "float32", 4);
      backend.run([plusOne(backend, 4, x, out)]);
      const second = elements(backend, out, "float32", 4);
      const third = backend.synchronize();
      backend.destroy();
      for (const outcome of await Promise.allSettled([first, second, third]))
        expect(outcome).toMatchObject({ status: "rejected", reason: { name: "DeviceLostError", reason: "destroyed" } });
      backend.destroy();
      backend.release(x);
      backend.trim(0);
      expect(backend.memory().usedBytes).toBe(0);
      found.device.destroy();
    }
  });
});
