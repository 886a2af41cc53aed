/** The CPU where WebAssembly is limited or missing: large modules compile in the background, JavaScript does the work meanwhile. */

import { afterEach, describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import { bufferOf, callOf, elements, fusedKernel, routine, type KernelSpec } from "../support/kernels.ts";

const Module = WebAssembly.Module;
afterEach(() => {
  WebAssembly.Module = Module;
});

/** A main thread on which modules of more than `limit` bytes are refused, as some browsers do. */
function limitModules(limit: number): void {
  WebAssembly.Module = new Proxy(Module, {
    construct(target, [bytes]: [Uint8Array<ArrayBuffer>]): WebAssembly.Module {
      if (bytes.byteLength > limit) throw new RangeError("WebAssembly.Compile is disallowed on the main thread");
      return new target(bytes);
    },
  });
}

const spec: KernelSpec = {
  outer: [5],
  reads: [{ dtype: "float32", strides: [1] }],
  writes: [{ dtype: "float32", strides: [1] }],
  body: (b, [x]) => [b.add(b.un("exp", x!), b.lit(1, x!))],
};

describe("a limit on the size of modules", () => {
  test("kernels run in JavaScript until their module is compiled", async () => {
    const backend = new CpuBackend({ threads: 1 });
    limitModules(150);
    const { structure, data } = fusedKernel(spec);
    const buffers = [bufferOf(backend, "float32", [0, 1, 2, 3, -Infinity]), backend.allocate(20)];
    const run = async (): Promise<number[]> => {
      backend.run([callOf(backend, structure, data, buffers)]);
      return elements(backend, buffers[1]!, "float32", 5);
    };
    const want = [0, 1, 2, 3, -Infinity].map((x) => Math.fround(Math.exp(x) + 1));
    const program = backend.prepare(structure) as unknown as { wasm: object | null };
    const first = await run();
    expect(program.wasm).toBeNull();
    first.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 5));
    for (let i = 0; i < 100 && program.wasm === null; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(program.wasm).not.toBeNull();
    (await run()).forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 5));
  });

  test("so do matrix products", async () => {
    const backend = new CpuBackend({ threads: 1 });
    limitModules(150);
    const structure = routine("matmul", { rank: 0 }, [
      { dtype: "float32", mode: "read" },
      { dtype: "float32", mode: "read" },
      { dtype: "float32", mode: "write" },
    ]);
    const buffers = [bufferOf(backend, "float32", [1, 2, 3, 4]), bufferOf(backend, "float32", [5, 6, 7, 8])];
    const out = backend.allocate(16);
    for (let i = 0; i < 3; i++) {
      backend.run([callOf(backend, structure, { ints: [2, 2, 2, 0, 2, 1, 0, 2, 1], scalars: [] }, [...buffers, out])]);
      expect(await elements(backend, out, "float32", 4)).toEqual([19, 22, 43, 50]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
});

describe("memory", () => {
  test("what is freed is joined and used again, and the heap grows when it must", () => {
    const backend = new CpuBackend({ threads: 1 });
    const small = Array.from({ length: 300 }, (_, i) => backend.allocate(100_000 + i));
    for (const buffer of small) backend.release(buffer);
    backend.trim(0);
    expect(backend.memory()).toMatchObject({ usedBuffers: 0, usedBytes: 0, pooledBuffers: 0, pooledBytes: 0 });
    const large = backend.allocate(20_000_000) as unknown as { address: number; bytes: number };
    const other = backend.allocate(20_000_000) as unknown as { address: number; bytes: number };
    expect(Math.abs(large.address - other.address)).toBeGreaterThanOrEqual(large.bytes);
    expect(large.address % 64).toBe(0);
  });

  test("elements survive growth", async () => {
    const backend = new CpuBackend({ threads: 1 });
    const buffer = bufferOf(backend, "float32", [1, 2, 3]);
    for (let i = 0; i < 5; i++) backend.allocate(2 ** 25);
    expect(await elements(backend, buffer, "float32", 3)).toEqual([1, 2, 3]);
  });

  test("more than there can be is an error that can be caught, and leaves the device usable", async () => {
    const backend = new CpuBackend({ threads: 1 });
    expect(() => backend.allocate(5 * 2 ** 30)).toThrow("out of memory");
    const buffer = bufferOf(backend, "int32", [7]);
    expect(await elements(backend, buffer, "int32", 1)).toEqual([7]);
  });

  test("after destroy it is refused", () => {
    const backend = new CpuBackend();
    backend.destroy();
    expect(() => backend.allocate(4)).toThrow("destroyed");
  });
});
