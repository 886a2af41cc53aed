/** float16: stored in 16 bits, computed in 32, on devices that have it; refused with the reason on those that have not. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { createWebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { hostNumbers } from "../../src/dtype.ts";
import { testGpu } from "../support/device.ts";
import { bufferOf, elements, runKernel, type KernelSpec } from "../support/kernels.ts";
import { expectClose, expectEqual, expectThrows, suite, type TestDevice } from "../support/portable.ts";

/** Whether a device has float16; if not, that it says so. */
async function hasHalf(device: TestDevice): Promise<boolean> {
  if (device === "cpu" || (await testGpu()).features.has("shader-f16")) return true;
  await expectThrows(() => tg.tensor([1, 2], { dtype: "float16" }).add(1).data(), "has no float16");
  return false;
}

const half = (values: readonly number[], shape: readonly number[]): Tensor =>
  tg.tensor(Float32Array.from(values), { shape: [...shape] }).to("float16");

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Nearest float16 of a number that is within its normal range. */
function rounded(x: number): number {
  if (x === 0) return 0;
  const step = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 10);
  const units = Math.round(x / step);
  // Ties go to even.
  return Math.abs(x / step - Math.trunc(x / step)) === 0.5 ? 2 * Math.round(x / step / 2) * step : units * step;
}

const values = async (x: Tensor): Promise<number[]> => Array.from(await x.data(), Number);

/** Tests of float16. */
export const halfPrecision = suite("float16", {
  "elements are rounded when they are stored": async ({ device }) => {
    if (!(await hasHalf(device))) return;
    const x = range(301).map((i) => (i - 150) * 1.2345);
    const got = half(x, [301]);
    expectEqual(got.dtype, "float16");
    expectEqual(
      await values(got),
      x.map((v) => rounded(Math.fround(v))),
    );
    const special = half([Infinity, -Infinity, NaN, 65504, 70000, -70000, 0], [7]);
    expectEqual(await values(special.add(0)), [Infinity, -Infinity, NaN, 65504, Infinity, -Infinity, 0]);
  },

  "a conversion rounds also where nothing is stored in between": async ({ device }) => {
    if (!(await hasHalf(device))) return;
    const x = tg.tensor([70000, 1.0005, 1e-8, NaN, -2049, 65519, Infinity]);
    const back = x.to("float16").to("float32");
    expectEqual(await values(back), [Infinity, 1.0009765625, 0, NaN, -2048, 65504, Infinity]);
  },

  "an odd number of elements, views and slices": async ({ device }) => {
    if (!(await hasHalf(device))) return;
    const x = half(range(21), [3, 7]);
    expectEqual(
      await values(x.t().contiguous()),
      range(21).map((i) => Math.floor(i / 3) + 7 * (i % 3)),
    );
    expectEqual(await values(x.narrow(1, 3, 3).mul(2)), [6, 8, 10, 20, 22, 24, 34, 36, 38]);
    expectEqual(await values(x.flip(1).narrow(0, 1, 1)), [[13, 12, 11, 10, 9, 8, 7]].flat());
    expectEqual(
      await values(tg.cat([x, x], 0).sum(0)),
      range(7).map((j) => 2 * (3 * j + 21)),
    );
  },

  "sums are accumulated in 32 bits": async ({ device }) => {
    if (!(await hasHalf(device))) return;
    // In 16 bits, 2048 + 1 is 2048.
    for (const n of [100, 5000, 20000]) {
      const x = half(
        range(n).map((i) => (i === 0 ? 2048 : 1)),
        [n],
      );
      expectEqual(await values(x.sum()), [rounded(2048 + n - 1)]);
      expectEqual(
        await values(
          half(
            range(n).map(() => 1),
            [n, 1],
          ).sum(0),
        ),
        [rounded(n)],
      );
    }
    const x = half(
      range(4096).map((i) => (i % 7) / 8),
      [4, 1024],
    );
    const mean = [0, 1, 2, 3].map((r) => {
      const terms = range(1024).map((i) => ((r * 1024 + i) % 7) / 8);
      return rounded(terms.reduce((a, b) => a + b, 0) / 1024);
    });
    expectClose(await values(x.mean(1)), mean, { rtol: 1e-3, atol: 0 });
    const soft = await values(
      half(
        range(2000).map((i) => i / 500),
        [2, 1000],
      )
        .softmax(1)
        .to("float32")
        .sum(1),
    );
    expectClose(soft, [1, 1], { rtol: 2e-3, atol: 0 });
  },

  "products are accumulated in 32 bits": async ({ device }) => {
    if (!(await hasHalf(device))) return;
    for (const [m, n, k] of [
      [5, 7, 3000],
      [40, 33, 100],
      [8, 36, 100],
      [1, 9, 3000],
    ] as const) {
      const [a, b] = [range(m * k).map((i) => (i % 3) / 2), range(k * n).map((i) => (i % 5) / 4)];
      const want = range(m * n).map((at) => {
        const [i, j] = [Math.floor(at / n), at % n];
        return rounded(range(k).reduce((sum, q) => sum + a[i * k + q]! * b[q * n + j]!, 0));
      });
      expectEqual(await values(half(a, [m, k]).matmul(half(b, [k, n]))), want);
    }
  },

  "gathers, scatters, running totals and gradients": async ({ device }) => {
    if (!(await hasHalf(device))) return;
    const x = half(
      range(12).map((i) => i / 4),
      [4, 3],
    );
    const index = tg.tensor([3, 0, 3], { dtype: "int32" });
    expectEqual(
      await values(x.indexSelect(0, index)),
      [9, 10, 11, 0, 1, 2, 9, 10, 11].map((v) => v / 4),
    );
    const added = half(
      range(12).map(() => 1),
      [4, 3],
    ).indexAdd(0, index, half(range(9), [3, 3]));
    expectEqual(await values(added), [4, 5, 6, 1, 1, 1, 1, 1, 1, 7, 9, 11]);
    expectEqual(
      await values(x.cumsum(0)),
      range(12).map((i) => range(Math.floor(i / 3) + 1).reduce((s, r) => s + (r * 3 + (i % 3)) / 4, 0)),
    );
    const w = half([1, 2, 3, 4], [2, 2]).detach().requiresGrad_();
    w.mul(w).sum().backward();
    expectEqual(w.grad!.dtype, "float16");
    expectEqual(await values(w.grad!), [2, 4, 6, 8]);
  },

  "tensors over several buffers": async ({ device }) => {
    if (device === "cpu" || !(await hasHalf(device))) return;
    const made = await createWebGpuBackend({ gpu: await testGpu(), limits: { maxBufferSize: 256 } });
    if ("reason" in made) throw new Error(made.reason);
    const x = range(999).map((i) => (i % 9) / 2);
    const buffer = bufferOf(made, "float16", x);
    expectEqual(await elements(made, buffer, "float16", 999), x);
    const { arrays } = await made.read([{ buffer, dtype: "float16", offset: 127, count: 3 }]);
    expectEqual(Array.from(hostNumbers(arrays[0]!, "float16")), x.slice(127, 130));
    const spec: KernelSpec = {
      outer: [3],
      inner: [333],
      reads: [{ dtype: "float16", strides: [1, 3] }],
      writes: [
        { dtype: "float32", strides: [1, 0] },
        { dtype: "float16", strides: [333, 1] },
      ],
      body: (b, [v]) => [b.emit("reduce", "f", [v!], "sum"), b.mul(v!, b.lit(2, "f"))],
    };
    const [sums, twice] = await runKernel(made, spec, [x], [3, 999]);
    const column = (j: number): number[] => x.filter((_, i) => i % 3 === j);
    expectEqual(
      sums,
      [0, 1, 2].map((j) => column(j).reduce((a, b) => a + b, 0)),
    );
    expectEqual(
      twice,
      [0, 1, 2].flatMap((j) => column(j).map((v) => 2 * v)),
    );
    made.destroy();
  },
});
