/** Threads on the CPU: the same results as one thread, to the bit; they end, and never keep a process alive. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import type { DeviceBuffer } from "../../src/backend/backend.ts";
import { bufferOf, callOf, elements, fusedKernel, routine, runKernel, type KernelSpec } from "../support/kernels.ts";
import { numbers } from "../support/webgpu.ts";

const one = new CpuBackend({ threads: 1 });
const many = new CpuBackend({ threads: 4 });

const N = 2 ** 20;
const random = numbers(9);
const x = Float32Array.from({ length: N }, () => random() * 4 - 2);

const map: KernelSpec = {
  outer: [N],
  reads: [{ dtype: "float32", strides: [1] }],
  writes: [{ dtype: "float32", strides: [1] }],
  body: (b, [v]) => [b.un("exp", b.mul(v!, v!))],
};

/** Waits until workers have started: they do so in the background of the first large kernels. */
async function warm(backend: CpuBackend): Promise<void> {
  const { structure, data } = fusedKernel(map);
  const buffers = [bufferOf(backend, "float32", x), backend.allocate(4 * N)];
  for (let i = 0; i < 300 && backend.workers < 3; i++) {
    backend.run([callOf(backend, structure, data, buffers)]);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const buffer of buffers) backend.release(buffer);
}

beforeAll(() => warm(many));
afterAll(() => many.destroy());

describe("several threads", () => {
  test("have started", () => {
    expect(many.description).toBe("CPU (WebAssembly SIMD, 4 threads)");
    expect(many.workers).toBe(3);
    expect(one.workers).toBe(0);
  });

  test("compute an elementwise kernel", async () => {
    expect(await runKernel(many, map, [x], [N])).toEqual(await runKernel(one, map, [x], [N]));
  });

  test.each([
    [[], [N]],
    [[1024], [1024]],
    [[2], [N / 2]],
  ])("reduce over outer %j, inner %j in the same order", async (outer, inner) => {
    const spec: KernelSpec = {
      outer,
      inner,
      reads: [{ dtype: "float32", strides: [...(outer.length > 0 ? inner : []), 1] }],
      writes: [
        { dtype: "float32", strides: [...outer.map(() => 1), 0] },
        { dtype: "float32", strides: [...(outer.length > 0 ? inner : []), 1] },
      ],
      body: (b, [v]) => {
        const sum = b.emit("reduce", "f", [b.un("exp", v!)], "sum");
        return [sum, b.div(b.un("exp", v!), sum)];
      },
    };
    const counts = [outer[0] ?? 1, N];
    expect(await runKernel(many, spec, [x], counts)).toEqual(await runKernel(one, spec, [x], counts));
  });

  test("reduce columns", async () => {
    const spec: KernelSpec = {
      outer: [1024],
      inner: [1024],
      reads: [{ dtype: "float32", strides: [1, 1024] }],
      writes: [{ dtype: "float32", strides: [1, 0] }],
      body: (b, [v]) => [b.emit("reduce", "f", [v!], "sum")],
    };
    expect(await runKernel(many, spec, [x], [1024])).toEqual(await runKernel(one, spec, [x], [1024]));
  });

  test.each([
    [300, 500, 400, 1],
    [64, 64, 64, 20],
  ])("multiply %i x %i x %i, %i times", async (m, n, k, count) => {
    const structure = routine("matmul", { rank: 1 }, [
      { dtype: "float32", mode: "read" },
      { dtype: "float32", mode: "read" },
      { dtype: "float32", mode: "write" },
    ]);
    const ints = [m, n, k, count, 0, k, 1, m * k, 0, n, 1, k * n];
    const results = await Promise.all(
      [one, many].map(async (backend) => {
        const inputs: DeviceBuffer[] = [m * k, k * n].map((size) =>
          bufferOf(backend, "float32", x.subarray(0, size * count)),
        );
        const out = backend.allocate(4 * m * n * count);
        backend.run([callOf(backend, structure, { ints, scalars: [] }, [...inputs, out])]);
        return elements(backend, out, "float32", m * n * count);
      }),
    );
    expect(results[1]).toEqual(results[0]);
  });

  test("go on when the memory grows", async () => {
    const buffers: DeviceBuffer[] = [];
    for (let i = 0; i < 6; i++) {
      buffers.push(many.allocate(64 * 2 ** 20));
      expect((await runKernel(many, map, [x], [N]))[0]!.slice(0, 100)).toEqual(
        (await runKernel(one, map, [x], [N]))[0]!.slice(0, 100),
      );
    }
    for (const buffer of buffers) many.release(buffer);
  });

  test("report a bad index wherever it is", async () => {
    const spec: KernelSpec = {
      outer: [N],
      reads: [
        { dtype: "float32", strides: [0] },
        { dtype: "int32", strides: [1] },
      ],
      writes: [{ dtype: "float32", strides: [1] }],
      scalars: [{ type: "i", value: 5 }],
      body: (b, [, index], { scalars, at }) => [at(0, b.emit("checkIndex", "i", [index!, scalars[0]!]))],
    };
    const index = new Int32Array(N).fill(2);
    index[N - 3] = 9;
    await expect(runKernel(many, spec, [[1, 2, 3, 4, 5], index], [N])).rejects.toThrow("index check failed");
  });

  test("end, and start again", async () => {
    many.stopThreads();
    expect(many.workers).toBe(0);
    expect((await runKernel(many, map, [x], [N]))[0]!.slice(0, 10)).toEqual(
      (await runKernel(one, map, [x], [N]))[0]!.slice(0, 10),
    );
    await warm(many);
    expect(many.workers).toBe(3);
    expect(await runKernel(many, map, [x], [N])).toEqual(await runKernel(one, map, [x], [N]));
  });
});

describe("a program that uses threads", () => {
  test.each(["", "tg.destroy();"])("ends by itself (%s)", async (last) => {
    const program = `
      const tg = await import("#tapegrad");
      const info = await tg.init({ device: "cpu", threads: 2 });
      const x = tg.ones(${N});
      let sum = 0;
      for (let i = 0; i < 20; i++) { sum += await x.exp().sum().item(); await new Promise((r) => setTimeout(r, 5)); }
      console.log(info.description, sum > 0);
      ${last}`;
    const args = ["--input-type=module", "--disable-warning=ExperimentalWarning", "-e", program];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: process.cwd(), timeout: 30_000 });
    expect(stdout.trim()).toBe("CPU (WebAssembly SIMD, 2 threads) true");
  });

  test.each([0, 1.5, -1])("refuses %d threads", async (threads) => {
    const { init } = await import("#tapegrad");
    await expect(init({ device: "cpu", threads })).rejects.toThrow("threads must be a whole number");
  });
});
