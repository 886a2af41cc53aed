/** A device ends at every single thing that is asked of it in a training loop: nothing is lost, and nothing wrong is read. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import { addBackend, endBackend, lossOf, setDefaultBackend } from "../../src/graph/devices.ts";
import { MortalBackend } from "../support/mortal.ts";
import { RUNS, SNAPSHOT_EVERY, undisturbed } from "../support/run.ts";

function open(): MortalBackend {
  const backend = new MortalBackend();
  addBackend(backend);
  setDefaultBackend(backend);
  return backend;
}

beforeEach(() => void open());
afterEach(() => tg.destroy());

const STEPS = 6;

describe("a device that ends", () => {
  for (const kind of Object.keys(RUNS) as (keyof typeof RUNS)[])
    it(`at any point of a run loses nothing: ${kind}`, async () => {
      const expected = await undisturbed(kind, 5, STEPS);
      let points = 0;
      // The largest is tried at every third point.
      for (let dieAt = 1; ; dieAt += kind === "classifier" ? 3 : 1) {
        let device = open();
        device.dieAt = dieAt;
        const told: tg.DeviceLoss[] = [];
        const stop = tg.onDeviceLost((loss) => told.push(loss));
        tg.manualSeed(5);
        const losses: number[] = new Array<number>(STEPS).fill(NaN);
        let run = RUNS[kind]();
        const parameter = Object.values(run.state).find((v) => tg.isTensor(v));
        let saved: tg.Snapshot | null = null;
        let lives = 1;
        while (run.state.step < STEPS) {
          try {
            if (run.state.step % SNAPSHOT_EVERY === 0 && saved?.random.counter !== tg.getRngState().counter)
              saved = await tg.snapshot(run.state);
            const at = run.state.step;
            losses[at] = await run.step().item();
            expect(losses[at]).toBe(expected[at]);
          } catch (error) {
            expect(error).toBeInstanceOf(tg.DeviceLostError);
            expect(device.isDead).toBe(true);
            // The word of it comes at the next turn, where an error was thrown at once.
            await new Promise((done) => setTimeout(done));
            expect(lossOf(device)).not.toBe(null);
            lives++;
            await expect(tg.synchronize()).rejects.toThrow(tg.DeviceLostError);
            device = open();
            // Once more a little later, for every third point.
            if (dieAt % 2 === 0 && lives === 2) device.dieAt = 10 + (dieAt % 17);
            if (saved !== null) expect(tg.restore(run.state, saved)).toMatchObject({ exact: true });
            else {
              tg.manualSeed(5);
              run = RUNS[kind]();
            }
          }
        }
        expect(losses).toEqual(expected);
        if (parameter !== undefined && saved !== null && lives === 1)
          expect(Object.values(run.state)).toContain(parameter);
        expect(told).toHaveLength(lives - 1);
        stop();
        endBackend(device);
        if (lives === 1) break;
        points++;
      }
      // Every one of them was tried.
      expect(points).toBeGreaterThan(50);
    });

  it("goes on on the CPU, in the same objects", async () => {
    const expected = await undisturbed("classifier", 8, 6);
    const device = open();
    tg.manualSeed(8);
    const run = RUNS.classifier();
    const { model } = run.state as unknown as { model: tg.nn.Module };
    const before = model.parameters();
    for (let i = 0; i < 3; i++) await run.step().item();
    const saved = await tg.snapshot(run.state);
    device.die();
    await tg.init({ device: "cpu" });
    const { exact, reason } = tg.restore(run.state, saved);
    expect(exact).toBe(false);
    expect(reason).toContain("a mortal device");
    expect(model.parameters().every((p, i) => p === before[i] && p.device === "cpu")).toBe(true);
    for (let i = 3; i < 6; i++) expect(await run.step().item()).toBe(expected[i]);
  });

  it("rejects every pending read; what the host knows is read on", async () => {
    const device = open();
    const given = tg.tensor([
      [1, 2],
      [3, 4],
    ]);
    const small = given.sum();
    expect(await small.item()).toBe(10);
    const large = tg.rand(5000);
    const pending = [large.data(), large.mul(2).data(), given.add(1).sum().item(), tg.synchronize()];
    device.die();
    const later = [large.data(), large.sum().item(), given.mul(3).data(), tg.snapshot({ large })];
    for (const outcome of await Promise.allSettled([...pending, ...later]))
      expect(outcome).toMatchObject({ status: "rejected", reason: { name: "DeviceLostError", reason: "unknown" } });
    expect(await given.toArray()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(await given.T.toArray()).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(await small.item()).toBe(10);
    expect(await given.T.to("cpu").mul(2).toArray()).toEqual([
      [2, 6],
      [4, 8],
    ]);
    expect(tg.memory().liveBytes).toBeGreaterThanOrEqual(0);
    open();
    expect(() => given.add(tg.ones(2, 2))).toThrow(tg.DeviceLostError);
    expect(await given.to("webgpu").add(tg.ones(2, 2)).sum().item()).toBe(14);
    await expect(large.to("webgpu").sum().item()).rejects.toThrow(tg.DeviceLostError);
  });

  it("is told to whoever asked, once each, whatever the others throw", async () => {
    const device = open();
    const told: string[] = [];
    const thrown: unknown[] = [];
    // The runner would fail the test for it.
    const heard = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => thrown.push(error));
    const note = ({ device: which, reason, message }: tg.DeviceLoss): void =>
      void told.push([which.type, which.description, reason, message].join("; "));
    const stopThrowing = tg.onDeviceLost(() => {
      throw new Error("a callback's own problem");
    });
    const stops = [tg.onDeviceLost(note), tg.onDeviceLost(note)];
    const stopped = tg.onDeviceLost(note);
    stopped();
    stopped();
    device.die();
    device.die();
    await new Promise((done) => setTimeout(done, 5));
    stopThrowing();
    process.removeAllListeners("uncaughtException");
    for (const listener of heard) process.on("uncaughtException", listener);
    expect(thrown).toMatchObject([{ message: "a callback's own problem" }]);
    expect(told).toEqual(new Array(2).fill("webgpu; a mortal device; unknown; the mortal device was lost"));
    stops.forEach((stop) => stop());
    open().die();
    await new Promise((done) => setTimeout(done, 5));
    expect(told).toHaveLength(2);
    expect(() => tg.onDeviceLost(null as never)).toThrow("onDeviceLost: expected a function");
  });
});
