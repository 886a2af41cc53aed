/** `tg.destroy()` lets a program end, and workers use the library beside the main thread. */

import { spawn } from "node:child_process";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import * as tg from "#tapegrad";

const INDEX = new URL("../../src/index.ts", import.meta.url).href;

/** Runs a program in a process of its own: what it printed, how it ended, and whether that was by itself. */
function run(program: string): Promise<{ out: string; code: number | null; signal: string | null }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", `import * as tg from "${INDEX}";\n${program}`], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 60_000,
  });
  let out = "";
  child.stdout.on("data", (data: Buffer) => (out += data.toString()));
  child.stderr.on("data", (data: Buffer) => (out += data.toString()));
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ out, code, signal })));
}

const TRAIN = `
  const w = tg.rand(100).requiresGrad_();
  const optimizer = new tg.optim.Adam([w]);
  for (let i = 0; i < 3; i++) { optimizer.zeroGrad(); w.square().sum().backward(); optimizer.step(); }
`;

describe("a Node program ends", () => {
  it("after destroy(), with work and reads under way", async () => {
    const { out, code, signal } = await run(`
      await tg.init({ device: "webgpu" });
      ${TRAIN}
      const read = w.data().then(() => "read", (error) => error.name);
      tg.destroy();
      tg.destroy();
      console.log("<" + await read + ">");
    `);
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(out).toContain("<DeviceLostError>");
  }, 90_000);

  it("after destroy() and another init()", async () => {
    const { out, code, signal } = await run(`
      for (const device of ["webgpu", "cpu", "webgpu"]) {
        await tg.init({ device });
        ${TRAIN}
        console.log("<" + (await w.isfinite().all().item()) + ">");
        tg.destroy();
      }
      console.log("<" + tg.currentDevice().type + await tg.ones(4).sum().item() + ">");
    `);
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(out).toContain("<true>\n<true>\n<true>\n<cpu4>");
  }, 90_000);

  it("after destroy() when worker threads had large kernels to share", async () => {
    const { out, code, signal } = await run(`
      await tg.init({ device: "cpu", threads: 2 });
      const x = tg.rand(600, 600);
      console.log("<" + ((await x.matmul(x).sum().item()) > 0) + ">");
      tg.destroy();
    `);
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(out).toContain("<true>");
  }, 90_000);
});

describe("a worker beside the main thread", () => {
  for (const device of ["cpu", "webgpu"] as const)
    it(`computes the same on ${device}, at the same time`, async () => {
      const program = `
        const { parentPort, workerData } = require("node:worker_threads");
        (async () => {
          const tg = await import(workerData.index);
          await tg.init({ device: workerData.device });
          tg.manualSeed(4);
          const w = tg.rand(64, 64).requiresGrad_();
          const optimizer = new tg.optim.SGD([w], { lr: 0.01 });
          const losses = [];
          for (let i = 0; i < 5; i++) {
            optimizer.zeroGrad();
            const loss = w.matmul(tg.rand(64, 64)).tanh().mean();
            loss.backward();
            optimizer.step();
            losses.push(await loss.item());
          }
          const saved = await tg.snapshot({ w, optimizer });
          tg.destroy();
          parentPort.postMessage({ losses, saved });
        })().catch((error) => parentPort.postMessage({ error: String(error) }));
      `;
      const worker = new Worker(program, { eval: true, workerData: { index: INDEX, device } });
      const answer = new Promise<{ losses: number[]; saved: tg.Snapshot; error?: string }>((resolve, reject) => {
        worker.on("message", resolve);
        worker.on("error", reject);
        worker.on("exit", (code) => reject(new Error(`the worker ended with ${code}`)));
      });
      // The same here meanwhile.
      await tg.init({ device });
      tg.manualSeed(4);
      const w = tg.rand(64, 64).requiresGrad_();
      const optimizer = new tg.optim.SGD([w], { lr: 0.01 });
      const losses: number[] = [];
      for (let i = 0; i < 5; i++) {
        optimizer.zeroGrad();
        const loss = w.matmul(tg.rand(64, 64)).tanh().mean();
        loss.backward();
        optimizer.step();
        losses.push(await loss.item());
      }
      const values = await w.data();
      const { losses: others, saved, error } = await answer;
      expect(error).toBe(undefined);
      expect(others).toEqual(losses);
      // What was trained there goes on here.
      tg.restore({ w, optimizer }, saved);
      expect(await w.data()).toEqual(values);
      await worker.terminate();
      tg.destroy();
    }, 120_000);
});
