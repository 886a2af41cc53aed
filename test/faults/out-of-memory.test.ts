/** Programs that need more memory than there is: they are told, what they had stays, and what fits goes on. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import { WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { findDevice } from "../../src/backend/webgpu/device.ts";
import type { Backend } from "../../src/backend/backend.ts";
import { addBackend, endBackend, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { FaultyCpu, faultyDevice, type FaultPlan } from "../support/faulty.ts";
import { undisturbed, RUNS } from "../support/run.ts";

type Plan = { -readonly [K in keyof FaultPlan]: FaultPlan[K] };

const MEGABYTE = 2 ** 20;
/** Elements of what does not fit into a device of a few megabytes. */
const MANY = 2 * MEGABYTE;

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);

/** What a promise, or a call, was refused with. */
async function refusal(action: () => unknown): Promise<tg.OutOfMemoryError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(tg.OutOfMemoryError);
    return error as tg.OutOfMemoryError;
  }
  throw new Error("it was not refused");
}

for (const kind of ["cpu", "webgpu"] as const)
  describe(`out of memory on ${kind}`, () => {
    let plan: Plan;
    let device: GPUDevice | null;
    let backend: Backend;

    beforeEach(async () => {
      process.on("unhandledRejection", onUnhandled);
      plan = {};
      device = null;
      if (kind === "cpu") {
        backend = new FaultyCpu(plan);
        setBackend(backend);
      } else {
        const found = await findDevice();
        if ("reason" in found) throw new Error(found.reason);
        device = found.device;
        backend = new WebGpuBackend({ ...found, device: faultyDevice(device, plan), owned: false }, {});
        addBackend(backend);
      }
      setDefaultBackend(backend);
    });

    afterEach(async () => {
      if (kind === "cpu") setBackend(new CpuBackend());
      else endBackend(backend);
      device?.destroy();
      tg.destroy();
      await new Promise((done) => setTimeout(done, 10));
      process.off("unhandledRejection", onUnhandled);
      const [reason] = unhandled.splice(0);
      if (reason !== undefined) throw new Error("a rejection was not handled", { cause: reason });
    });

    it("is an error that names the operation and the bytes, and leaves everything else as it was", async () => {
      const state = tg.rand(1000).mul(2).retain();
      const values = await state.data();
      const held = tg.rand(5000).exp();
      const sum = await held.sum().item();
      plan.memoryBytes = 4 * MEGABYTE;
      const large = tg.ones(MANY).exp();
      const error = await refusal(() => large.data());
      expect(error.operation).toBe(`the result of exp, of shape [${MANY}]`);
      expect(error.bytesAsked).toBe(4 * MANY);
      expect(error.bytesLive).toBeGreaterThan(0);
      expect(error.message).toMatch(
        /^the result of exp, of shape \[2097152\]: out of memory on the .PU: 8388608 bytes were asked for, \d+ are live and \d+ pooled/,
      );
      expect(await state.data()).toEqual(values);
      expect(await held.sum().item()).toBe(sum);
      expect(await tg.arange(100).sum().item()).toBe(4950);
      // It can be had once there is memory.
      await refusal(() => large.cumsum(0).sum().item());
      // What streams through needs no memory.
      expect((await large.mean().item()) / Math.E).toBeCloseTo(1, 5);
      plan.memoryBytes = Infinity;
      expect((await large.data())[MANY - 1]).toBeCloseTo(Math.E, 5);
    });

    it("of one value does not keep the others from being read", async () => {
      plan.memoryBytes = 4 * MEGABYTE;
      const small = tg.rand(10).mul(2);
      const kept = tg.rand(20).add(1).retain();
      const loss = tg.rand(30).sum();
      const large = tg.ones(MANY).mul(tg.rand(1)).retain();
      await refusal(() => tg.synchronize());
      await refusal(() => tg.readAll([small, large, loss]));
      for (const x of await small.data()) expect(x).toBeLessThan(2);
      for (const x of await kept.data()) expect(x).toBeGreaterThanOrEqual(1);
      expect(await loss.item()).toBeLessThan(30);
      await refusal(() => large.data());
      // The CPU tries again to write what is to be kept, the GPU when it is asked for.
      if (kind === "cpu") await refusal(() => tg.synchronize());
      else await tg.synchronize();
      plan.memoryBytes = Infinity;
      await tg.synchronize();
      expect(await large.data()).toHaveLength(MANY);
    });

    it("a value on the way there, and small ones computed from it, can be had later", async () => {
      plan.noMemory = (bytes) => bytes > 3 * MEGABYTE;
      const big = tg.ones(1000, 1000);
      const sums = [big.matmul(big).sum(), big.matmul(big).mean().mul(2)];
      for (const sum of sums) await refusal(() => sum.item());
      // Some others meanwhile.
      const losses = Array.from({ length: 10 }, (_, i) => tg.rand(10).mul(0).add(i).sum());
      for (const [i, loss] of losses.entries()) expect(await loss.item()).toBe(10 * i);
      plan.noMemory = undefined;
      const [sum, mean] = (await Promise.all(sums.map((s) => s.item()))) as [number, number];
      expect([sum / 1e9, mean / 2000].map((x) => x.toFixed(5))).toEqual(["1.00000", "1.00000"]);
    }, 120_000);

    it("what goes with a failure is only what depends on it", async () => {
      const losses: tg.Tensor[] = [];
      const w = tg.ones(4).requiresGrad_();
      // Unread losses lie side by side; one of them is of a batch that is too large.
      plan.noMemory = (bytes) => bytes > 3 * MEGABYTE;
      for (let i = 0; i < 6; i++) {
        const rows = i === 3 ? MEGABYTE : 8;
        const loss = tg.ones(rows, 4).mul(w).add(i).sin().matmul(tg.ones(4, 4)).cumsum(0).mean();
        if (i === 3) {
          await refusal(async () => {
            loss.backward();
            await loss.item();
          });
        } else loss.backward();
        losses.push(loss.detach());
        w.grad = null;
      }
      for (const [i, loss] of losses.entries())
        if (i === 3) await refusal(() => loss.item());
        else expect(await loss.item()).toBeCloseTo(4 * 4.5 * Math.sin(1 + i), 3);
    }, 120_000);

    it("a batch that is too large is caught before the step, and training goes on", async () => {
      const train = async (steps: number, between: (i: number) => void | Promise<void>): Promise<number[]> => {
        tg.manualSeed(3);
        const model = new tg.nn.Sequential(new tg.nn.Linear(16, 32), new tg.nn.ReLU(), new tg.nn.Linear(32, 1));
        const optimizer = new tg.optim.Adam(model.parameters(), { lr: 0.01 });
        const step = async (rows: number): Promise<number> => {
          const x = tg.ones(rows, 16).mul(tg.linspace(-1, 1, 16));
          optimizer.zeroGrad();
          const loss = model.forward(x).sub(1).square().mean();
          loss.backward();
          const value = await loss.item();
          optimizer.step();
          return value;
        };
        const losses: number[] = [];
        for (let i = 0; i < steps; i++) {
          await between(i);
          if (plan.memoryBytes === 4 * MEGABYTE) await refusal(() => step(MEGABYTE));
          losses.push(await step(8));
        }
        return losses;
      };
      const expected = await train(6, () => undefined);
      const losses = await train(6, (i) => void (plan.memoryBytes = i === 2 || i === 4 ? 4 * MEGABYTE : Infinity));
      expect(losses).toEqual(expected);
    }, 120_000);

    it("of a gradient does not keep another model from its steps", async () => {
      const w = tg.ones([8, 1]).requiresGrad_();
      const other = tg.tensor([1, 2]).requiresGrad_();
      await tg.readAll([w, other]);
      const mine = new tg.optim.SGD([w], { lr: 0.1 });
      const theirs = new tg.optim.SGD([other], { lr: 0.1 });
      plan.memoryBytes = 4 * MEGABYTE;
      // A gradient that takes more than there is, of a value that is neither computed from `other` nor needed for it.
      const loss = tg.ones([MANY, 8]).exp().matmul(w).sum();
      if (kind === "cpu") await refusal(() => loss.backward());
      else loss.backward();
      expect(w.grad).not.toBeNull();
      other.square().sum().backward();
      theirs.step();
      expect((await other.data()).map((x) => Math.round(x * 1000) / 1000)).toEqual(Float32Array.of(0.8, 1.6));
      // Its own optimiser is told. A GPU tells it with the read.
      await refusal(async () => {
        mine.step();
        await w.data();
      });
      if (kind === "cpu") expect(Array.from(await w.data())).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    });

    it("state that a step had no memory for is an error until it is restored", async () => {
      const expected = await undisturbed("classifier", 9, 5);
      tg.manualSeed(9);
      const run = RUNS.classifier();
      const losses: number[] = [];
      let saved = await tg.snapshot(run.state);
      let refused = 0;
      let asked = 0;
      while (run.state.step < 5) {
        try {
          saved = await tg.snapshot(run.state);
          // From the third step on nothing new for a while.
          if (run.state.step === 2 && refused < 3) {
            backend.trim(0);
            plan.noMemory = (_, usage) => (kind === "cpu" || (usage & 128) !== 0) && asked++ > refused;
          }
          const { step } = run.state;
          losses[step] = await run.step().item();
        } catch (error) {
          expect(error).toBeInstanceOf(tg.OutOfMemoryError);
          refused++;
          plan.noMemory = undefined;
          expect(tg.restore(run.state, saved).exact).toBe(true);
        }
      }
      expect(refused).toBe(3);
      expect(losses).toEqual(expected);
    }, 120_000);

    it("what no device could hold is refused at once, and costs no other value", async () => {
      const state = tg.rand(100).mul(2).retain();
      const cached = tg.rand(1000).exp();
      await cached.sum().item();
      const before = tg.memory();
      const wide = tg.zeros(1e6, 1e6);
      expect((await refusal(() => wide.data())).message).toMatch(
        /^the result of full, of shape \[1000000, 1000000\]: .* 4000000000000 bytes .* one tensor can have \d+ bytes on this device/,
      );
      expect((await refusal(() => tg.rand(1e5, 10).matmul(tg.rand(10, 1e5)).sum().item())).operation).toBe(
        "the result of matmul, of shape [100000, 100000]",
      );
      // Not written out, but too long to compute.
      expect((await refusal(() => wide.add(tg.rand(1e6)).sum().item())).message).toMatch(/piece by piece/);
      expect(tg.memory().liveBytes).toBe(before.liveBytes);
      expect(tg.memory().tensors).toBeGreaterThanOrEqual(before.tensors);
      expect(await state.data()).toHaveLength(100);
    });
  });

describe("a heap that cannot grow", () => {
  const { Memory } = WebAssembly;
  afterEach(() => {
    WebAssembly.Memory = Memory;
    setBackend(new CpuBackend());
  });

  it("moves what is held to the host before it gives up, and loses nothing", async () => {
    WebAssembly.Memory = new Proxy(Memory, {
      construct: (target, [options]: [WebAssembly.MemoryDescriptor]) => new target({ ...options, maximum: 512 }),
    });
    // 32 MB.
    const backend = new CpuBackend({ threads: 1 });
    WebAssembly.Memory = Memory;
    setBackend(backend);
    setDefaultBackend(backend);
    const parts: tg.Tensor[] = [];
    for (let i = 0; i < 12; i++) {
      const part = tg.rand(MEGABYTE);
      part.add_(i);
      await part.sum().item();
      parts.push(part.mul(2));
      await parts.at(-1)!.at(0).item();
    }
    for (const [i, part] of parts.entries()) {
      const mean = await part.mean().item();
      expect(mean).toBeCloseTo(2 * i + 1, 1);
    }
    const error = await refusal(() => tg.rand(9 * MEGABYTE).data());
    expect(error.bytesAsked).toBe(36 * MEGABYTE);
    expect(await parts[3]!.mean().item()).toBeCloseTo(7, 1);
  });
});
