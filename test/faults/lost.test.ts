/** Devices of WebGPU that are destroyed at random points of a loop, calls of `init` and `destroy`, and what is left of tensors. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import { findDevice } from "../../src/backend/webgpu/device.ts";
import { NO_DAWN_ADAPTER } from "../../scripts/support/environment.ts";
import { numbers } from "../support/webgpu.ts";
import { RUNS, SNAPSHOT_EVERY, undisturbed } from "../support/run.ts";

/** A device of the test's own, which it may destroy. */
async function open(): Promise<GPUDevice> {
  const found = await findDevice();
  if ("reason" in found) throw new Error(`${found.reason}. ${NO_DAWN_ADAPTER}`);
  await tg.init({ device: "webgpu", gpu: found.device });
  return found.device;
}

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
beforeEach(() => void process.on("unhandledRejection", onUnhandled));
afterEach(async () => {
  tg.destroy();
  await new Promise((done) => setTimeout(done, 10));
  process.off("unhandledRejection", onUnhandled);
  const [reason] = unhandled.splice(0);
  if (reason !== undefined) throw new Error("a rejection was not handled", { cause: reason });
});

const STEPS = 6;
/** Fixed, so that a finding is repeated. */
const SEEDS = [1, 2];

describe("a device that is destroyed at random points of a training loop", () => {
  for (const kind of ["classifier", "regression"] as const)
    it(`loses nothing: ${kind}`, async () => {
      await open();
      const expected = await undisturbed(kind, 7, STEPS);
      tg.destroy();
      for (const seed of SEEDS) {
        const random = numbers(seed);
        let device = await open();
        let told = 0;
        const stop = tg.onDeviceLost(() => told++);
        tg.manualSeed(7);
        const run = RUNS[kind]();
        let saved = await tg.snapshot(run.state);
        const losses: number[] = new Array<number>(STEPS).fill(NaN);
        let deaths = 0;
        while (run.state.step < STEPS) {
          // Where in this step the device ends, if it does: at one of its places, some time after its start, or while it is read.
          const place = random() < 0.4 && deaths < 4 ? Math.floor(random() * 5) : -1;
          const end = (): void => {
            if (random() < 0.5) device.destroy();
            else tg.destroy();
          };
          let at = 0;
          const reads: Promise<unknown>[] = [];
          try {
            if (run.state.step % SNAPSHOT_EVERY === 0) saved = await tg.snapshot(run.state);
            if (place === 3) setTimeout(end, Math.floor(random() * 20));
            const step = run.state.step;
            const loss = run.step(() => {
              if (at++ === place) end();
            });
            reads.push(loss.item(), loss.mul(2).item());
            if (place === 4) end();
            // What is read is right, or not read at all.
            const outcomes = await Promise.allSettled(reads);
            const [value, twice] = outcomes;
            if (value!.status === "fulfilled") expect(value!.value).toBe(expected[step]);
            if (twice!.status === "fulfilled") expect(twice!.value).toBe(2 * expected[step]!);
            for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
            losses[step] = (value as PromiseFulfilledResult<number>).value;
          } catch (error) {
            expect(error).toBeInstanceOf(tg.DeviceLostError);
            expect(error).toMatchObject({ reason: "destroyed" });
            deaths++;
            await Promise.allSettled(reads);
            device.destroy();
            device = await open();
            expect(tg.restore(run.state, saved)).toMatchObject({ exact: true });
          }
        }
        expect(losses).toEqual(expected);
        tg.destroy();
        device.destroy();
        stop();
        expect(told).toBeGreaterThanOrEqual(deaths);
      }
    }, 240_000);
});

describe("a lost device", () => {
  for (const how of ["GPUDevice.destroy()", "tg.destroy()"])
    it(`rejects every pending read: ${how}`, async () => {
      const device = await open();
      const told: tg.DeviceLoss[] = [];
      const stop = tg.onDeviceLost((loss) => told.push(loss));
      const w = tg.rand(3000).requiresGrad_();
      const optimizer = new tg.optim.Adam([w]);
      w.square().sum().backward();
      optimizer.step();
      const held = tg.tensor([1, 2, 3]);
      const pending = [
        w.data(),
        w.grad!.sum().item(),
        w.detach().sin().toArray(),
        tg.synchronize(),
        tg.snapshot({ w }),
      ];
      if (how === "tg.destroy()") tg.destroy();
      else device.destroy();
      const outcomes = await Promise.allSettled([...pending, w.data(), w.detach().to("cpu").data()]);
      for (const outcome of outcomes)
        expect(outcome).toMatchObject({ status: "rejected", reason: { name: "DeviceLostError", reason: "destroyed" } });
      expect(await held.toArray()).toEqual([1, 2, 3]);
      expect(await held.to("cpu").mul(2).toArray()).toEqual([2, 4, 6]);
      expect(told).toMatchObject([{ device: { type: "webgpu" }, reason: "destroyed" }]);
      expect(told[0]!.device.description).not.toBe("");
      expect(told[0]!.message).not.toBe("");
      stop();
      device.destroy();
    });

  it("is told apart from a new one", async () => {
    (await open()).destroy();
    await new Promise((done) => setTimeout(done, 50));
    const old = tg.tensor([1, 2]);
    await expect(old.mul(2).data()).rejects.toThrow(tg.DeviceLostError);
    await open();
    expect(() => old.add(tg.ones(2))).toThrow(/add: one of the tensors is on a device that is gone/);
    expect(await old.to("webgpu").add(tg.ones(2)).toArray()).toEqual([2, 3]);
  });
});

describe("a profile of a device that is lost", () => {
  const ways: Record<string, (device: GPUDevice) => unknown> = {
    "before it is read": (device) => {
      const x = tg.rand(3000).exp().retain();
      device.destroy();
      return x.data();
    },
    "while it is read": (device) => {
      const reading = tg.rand(2000).cos().data();
      device.destroy();
      return reading;
    },
    "by tg.destroy()": () => {
      const reading = tg.rand(2000).cos().data();
      tg.destroy();
      return reading;
    },
    "with nothing read": async (device) => {
      void tg.rand(3000).exp().retain();
      await tg.synchronize();
      void tg.rand(3000).sin().retain();
      device.destroy();
      await device.lost;
    },
  };
  for (const [how, fn] of Object.entries(ways))
    it(`rejects, and the next one is as ever: ${how}`, async () => {
      const device = await open();
      await expect(tg.profile(() => fn(device))).rejects.toThrow(tg.DeviceLostError);
      device.destroy();
      const next = await open();
      const profile = await tg.profile(() => tg.arange(3).mul(2).data());
      expect([...profile.result]).toEqual([0, 2, 4]);
      expect(profile.rows.some((row) => row.kind === "kernel" && row.time !== null)).toBe(true);
      next.destroy();
    });

  it("has a result if that does not depend on it", async () => {
    await open();
    const profile = await tg.profile(async () => {
      await tg.rand(100).exp().data();
      tg.destroy();
      return 3;
    });
    expect(profile).toMatchObject({ result: 3, device: "webgpu", ceiling: null });
    expect(profile.rows.length).toBeGreaterThan(0);
  });
});

describe("init", () => {
  it("called again with the same options keeps to the device", async () => {
    const [a, b] = await Promise.all([tg.init({ device: "webgpu" }), tg.init({ device: "webgpu" })]);
    expect(a).toEqual(b);
    const x = tg.rand(10);
    await tg.init({ device: "webgpu" });
    expect(await x.add(tg.ones(10)).sum().item()).toBeGreaterThan(10);
    await tg.init({ device: "cpu" });
    expect(tg.ones(1).device).toBe("cpu");
    await tg.init({ device: "webgpu" });
    expect(await x.mul(tg.ones(10)).sum().item()).toBeLessThan(10);
  });

  it("with other options makes another device, and both are used at the same time", async () => {
    await tg.init({ device: "webgpu" });
    const x = tg.arange(2000);
    await tg.init({ device: "webgpu", limits: { maxStorageBuffersPerShaderStage: 8 } });
    const y = tg.arange(2000);
    const sums = [x.mul(2).sum(), y.mul(3).sum(), x.add(1).sum(), y.sub(1).sum()];
    expect(await Promise.all(sums.map((s) => s.item()))).toEqual([3998000, 5997000, 2001000, 1997000]);
    expect(() => x.add(y)).toThrow(/different devices of two calls of init\(\)/);
    // What operations make for themselves is on the device of their operands, not on the newest one.
    const heads = x.narrow(0, 0, 24).reshape(1, 2, 4, 3).div(24);
    const attended = tg.F.scaledDotProductAttention(heads, heads, heads, null, 0, true);
    expect(await attended.at(0, 0, 0).toArray()).toEqual(await heads.at(0, 0, 0).toArray());
    expect(await tg.F.oneHot(x.narrow(0, 0, 2).int(), 3).toArray()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ]);
    expect(await x.at([5, 7]).toArray()).toEqual([5, 7]);
    expect(await x.narrow(0, 0, 3).mode().values.item()).toBe(0);
    expect(await x.to("webgpu").add(y).sum().item()).toBe(3998000);
    expect(await tg.readAll([x.sum(), y.sum(), tg.ones(3, { device: "cpu" })])).toHaveLength(3);
    await tg.synchronize();
    tg.destroy();
    await expect(x.mul(2).data()).rejects.toThrow(tg.DeviceLostError);
    await expect(y.mul(2).data()).rejects.toThrow(tg.DeviceLostError);
  });

  it("called several times at once: the last call decides", async () => {
    const calls = [
      tg.init({ device: "webgpu" }),
      tg.init({ device: "cpu" }),
      tg.init({ device: "webgpu" }),
      tg.init({ device: "cpu" }),
    ];
    expect((await Promise.all(calls)).map((d) => d.type)).toEqual(["webgpu", "cpu", "webgpu", "cpu"]);
    expect(tg.currentDevice().type).toBe("cpu");
    const wrong = tg.init({ device: "tpu" as "cpu" });
    const right = tg.init({ device: "webgpu" });
    await expect(wrong).rejects.toThrow('device must be "auto", "webgpu" or "cpu"');
    expect((await right).type).toBe("webgpu");
  });

  it("is undone by destroy(), which may come before it is done, and twice", async () => {
    const call = tg.init({ device: "webgpu" });
    tg.destroy();
    tg.destroy();
    await expect(call).rejects.toThrow("init: destroy() was called before");
    expect(tg.currentDevice().type).toBe("cpu");
    expect(await tg.ones(3).sum().item()).toBe(3);
    await tg.init({ device: "webgpu" });
    expect(await tg.ones(5).sum().item()).toBe(5);
  });
});
