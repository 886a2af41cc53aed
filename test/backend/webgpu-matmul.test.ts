/** Products on WebGPU in every layout of their factors, loaded one by one and four at a time, against the CPU. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import * as tg from "#tapegrad";
import type { WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { renderMatmul } from "../../src/backend/webgpu/matmul-shader.ts";
import { backendOf, setDefaultBackend } from "../../src/graph/devices.ts";
import { expectClose } from "../support/portable.ts";
import { openWebGpu } from "../support/webgpu.ts";

let gpu: WebGpuBackend;
beforeAll(async () => {
  gpu = await openWebGpu();
});
afterAll(() => gpu.destroy());
afterEach(() => setDefaultBackend(backendOf("cpu")));

/** A matrix that lies by rows, or by columns, from an element on. */
function matrix(scale: number, rows: number, columns: number, transposed: boolean, from: number): tg.Tensor {
  const all = tg
    .arange(rows * columns + from)
    .mul(scale)
    .sin()
    .retain()
    .narrow(0, from, rows * columns);
  return transposed ? all.reshape(columns, rows).t() : all.reshape(rows, columns);
}

const LAYOUTS = [
  [false, false],
  [false, true],
  [true, false],
  [true, true],
] as const;

test.each([
  ["groups of four", 36, 20, 44, 0],
  ["groups of four, from the fourth element", 36, 20, 44, 4],
  ["no groups", 37, 21, 45, 0],
  ["groups that begin anywhere", 36, 20, 44, 3],
] as const)("%s, in all layouts", async (_, m, k, n, from) => {
  for (const [a, b] of LAYOUTS) {
    const product = (): Promise<tg.TensorData> =>
      matrix(0.7, m, k, a, from)
        .matmul(matrix(1.1, k, n, b, from))
        .data();
    setDefaultBackend(backendOf("cpu"));
    const want = await product();
    setDefaultBackend(gpu);
    expectClose(await product(), want, { rtol: 1e-4, atol: 1e-4 });
  }
});

test("a side is loaded four at a time where its neighbours lie together", () => {
  const slot = { dtype: "float32", mode: "read" } as const;
  const tiling = { tm: 32, tn: 32, tk: 16, rm: 4, rn: 4 };
  const code = (a: boolean, b: boolean): string =>
    renderMatmul("x", [slot, slot, { dtype: "float32", mode: "write" }], 0, tiling, false, false, false, null, { a, b })
      .code;
  expect(code(true, true).match(/array<vec4<f32>>;/g)).toHaveLength(2);
  expect(code(false, true)).toContain("var<storage, read> a_buffer: array<f32>;");
  expect(code(false, false)).not.toContain("var<storage, read> b_buffer: array<vec4");
});
