/** Running ahead of time, and on both devices. */

import * as tg from "#tapegrad";
import { ensure, expectEqual, expectThrows, suite } from "../support/portable.ts";

const DEVICES = ["webgpu"] as const;

export const comparing = suite("compare", {
  "both devices are compared operation by operation": {
    devices: [...DEVICES],
    run: async () => {
      tg.manualSeed(5);
      const state = tg.getRngState();
      const places: string[] = [];
      const report = await tg.compareDevices(async () => {
        const x = tg.randn(4, 3).requiresGrad_();
        places.push(x.device);
        const y = x.sigmoid().matmul(tg.ones(3, 2));
        y.sum().backward();
        await x.grad!.data();
        return [x.grad!, y];
      });
      expectEqual(places, ["cpu", "webgpu"]);
      expectEqual(
        report.rows.filter((r) => r.kind === "forward").map((r) => r.name),
        ["SigmoidBackward0", "MmBackward0", "SumBackward0"],
      );
      const results = report.rows.filter((r) => r.kind === "result");
      expectEqual(results.map((r) => [...r.shape]), [[4, 3], [4, 2]]); // prettier-ignore
      ensure(
        report.rows.some((r) => r.kind === "backward" && r.name === "SigmoidBackward0"),
        "gradients are compared",
      );
      ensure(report.largest!.relative < 1e-5, `the devices agree: ${String(report)}`);
      ensure(
        report.rows.every((r) => r.relative <= report.largest!.relative),
        "the largest is the largest",
      );
      ensure(/^operation +kind .*\nSigmoidBackward0 +forward +\[4, 3\] +float32/.test(String(report)), String(report));
      expectEqual(tg.currentDevice().type, "webgpu");
      const after = await tg.rand(2, { device: "cpu" }).data();
      tg.setRngState(state);
      tg.randn(4, 3);
      expectEqual(await tg.rand(2, { device: "cpu" }).data(), after, "random numbers go on as after one run");
    },
  },

  "a difference is found where it is": {
    devices: [...DEVICES],
    run: async () => {
      const report = await tg.compareDevices(() => {
        const x = tg.tensor([1, 2, 4]).requiresGrad_();
        const off = x.device === "webgpu" ? 3 : 2;
        return x.exp().mul(off);
      });
      expectEqual([report.largest!.name, report.largest!.relative > 0.49], ["MulBackward0", true]);
      const nan = await tg.compareDevices(() => {
        const x = tg.tensor([1, NaN, Infinity]);
        return x.device === "webgpu" ? x.nanToNum(0, Infinity) : x;
      });
      expectEqual(nan.rows.map((r) => r.difference), [Infinity]); // prettier-ignore
      const same = await tg.compareDevices(() => tg.tensor([NaN, Infinity, -Infinity]));
      expectEqual(same.rows.map((r) => [r.difference, r.relative]), [[0, 0]]); // prettier-ignore
      await expectThrows(
        () => tg.compareDevices(() => tg.zeros(tg.zeros(1).device === "cpu" ? 2 : 3)),
        /did different things .*\[2\] .*\[3\]/,
      );
      await expectThrows(() => tg.compareDevices(3 as unknown as () => void), /expected a function, got 3/);
      expectEqual(tg.currentDevice().type, "webgpu");
    },
  },

  "warming up leaves random numbers where they were": async () => {
    tg.manualSeed(7);
    const want = await tg.rand(3).data();
    tg.manualSeed(7);
    let runs = 0;
    await tg.warmup(async () => {
      runs++;
      const x = tg.rand(8).requiresGrad_();
      x.mul(x).sum().backward();
      return x.grad;
    });
    expectEqual(runs, 1);
    expectEqual(await tg.rand(3).data(), want);
    await expectThrows(
      () =>
        tg.warmup(() => {
          tg.rand(1);
          throw new Error("mine");
        }),
      "mine",
    );
    await expectThrows(() => tg.warmup(undefined as unknown as () => void), /expected a function, got nothing/);
  },
});
