/** Products and convolutions that go on with their results in their own shaders, or behind them, against the CPU, which keeps the two apart. */

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import * as tg from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import type { WebGpuBackend, WebGpuBackendOptions } from "../../src/backend/webgpu/backend.ts";
import { ConvProgram } from "../../src/backend/webgpu/conv.ts";
import { MatmulProgram } from "../../src/backend/webgpu/matmul.ts";
import { Recorder } from "../../src/backend/webgpu/recorder.ts";
import { addBackend, backendOf, endBackend, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import { realize } from "../../src/graph/runtime.ts";
import { expectClose } from "../support/portable.ts";
import { openWebGpu } from "../support/webgpu.ts";

const { F } = tg;
afterEach(() => setDefaultBackend(backendOf("cpu")));

function wave(scale: number, ...shape: number[]): tg.Tensor {
  const n = shape.reduce((a, b) => a * b, 1);
  return tg.arange(n).mul(scale).add(scale).sin().reshape(shape).retain();
}

type Work = () => readonly tg.Tensor[];

const CASES: Readonly<Record<string, Work>> = {
  "a bias and an activation": () => [
    F.gelu(
      wave(0.7, 37, 20)
        .matmul(wave(1.1, 20, 45))
        .add(wave(0.3, 45)),
    ),
  ],
  "a linear layer, of which what went before is read, too": () => {
    const h = F.linear(wave(0.7, 5, 7, 20), wave(1.1, 45, 20), wave(0.3, 45));
    return [h, h.tanh()];
  },
  "what is added and scaled": () => [
    wave(0.9, 33, 34).add(wave(0.7, 33, 20).matmul(wave(1.1, 20, 34)), { alpha: 0.5 }),
  ],
  "both factors again": () => {
    const [x, y] = [wave(0.9, 34, 34), wave(0.4, 34, 34)];
    return [x.matmul(y).add(x).mul(y)];
  },
  "a batch with a bias for each": () => [
    wave(0.7, 3, 2, 10, 12)
      .matmul(wave(0.2, 3, 2, 12, 9))
      .add(wave(0.5, 3, 1, 1, 9))
      .relu(),
  ],
  "transposed factors": () => [
    wave(0.7, 20, 37)
      .t()
      .matmul(wave(1.1, 45, 20).t())
      .sub(wave(0.3, 37, 1))
      .abs(),
  ],
  "integers and truth beside it": () => {
    const y = wave(0.7, 20, 21)
      .matmul(wave(1.1, 21, 22))
      .mul(3);
    return [y.to("int32"), y.gt(0)];
  },
  "a vector, which is no tile": () => [
    wave(0.7, 1, 300)
      .matmul(wave(1.1, 300, 70))
      .add(wave(0.3, 70))
      .relu(),
  ],
  "few terms": () => [
    wave(0.7, 40, 2)
      .matmul(wave(1.1, 2, 30))
      .add(1)
      .sigmoid(),
  ],
  "a sum that is cut": () => [
    wave(0.7, 9, 2100)
      .matmul(wave(1.1, 2100, 11))
      .add(wave(0.3, 11))
      .relu(),
  ],
  "a batch of vectors, of which some are read again": () => {
    const h = wave(0.7, 6, 1, 300)
      .matmul(wave(1.1, 6, 300, 70))
      .add(wave(0.3, 6, 1, 70));
    return [h, h.reshape(3, 140).mul(wave(0.2, 140))];
  },
  "a convolution whose sums are cut": () => [
    F.conv2d(wave(0.2, 2, 64, 4, 4), wave(0.11, 8, 64, 3, 3), wave(0.3, 8), { padding: 1 }).relu(),
  ],
  "a convolution with a bias": () => [
    F.conv2d(wave(0.2, 2, 6, 9, 8), wave(0.11, 33, 6, 3, 3), wave(0.3, 33), { padding: 1 }).relu(),
  ],
  "a small convolution in groups": () => [
    F.conv1d(wave(0.2, 2, 6, 30), wave(0.11, 6, 1, 5), wave(0.3, 6), { groups: 6, stride: 2 }).tanh(),
  ],
  "a transposed convolution, in phases": () => [
    F.convTranspose2d(wave(0.2, 2, 6, 5, 5), wave(0.11, 6, 8, 3, 3), wave(0.3, 8), { stride: 2, padding: 1 }).sigmoid(),
  ],
  "a residual around a convolution": () => {
    const x = wave(0.2, 2, 8, 7, 7);
    return [x.add(F.conv2d(x, wave(0.11, 8, 8, 3, 3), null, { padding: 1 })).relu()];
  },
};

async function run(work: Work): Promise<tg.TensorData[]> {
  return tg.readAll([...work()]);
}

const WAYS: readonly (readonly [string, WebGpuBackendOptions])[] = [
  ["as on a software adapter", {}],
  ["as on a GPU", { figures: { isSoftware: false, busyGroups: 4 } }],
];

describe.each(WAYS)("%s", (_, options) => {
  let gpu: WebGpuBackend;
  beforeAll(async () => {
    gpu = await openWebGpu(options);
    addBackend(gpu);
  });
  afterAll(() => endBackend(gpu));

  test.each(Object.entries(CASES))("%s", async (_name, work) => {
    setDefaultBackend(backendOf("cpu"));
    const want = await run(work);
    setDefaultBackend(gpu);
    const direct = [MatmulProgram, ConvProgram].map((program) => vi.spyOn(program.prototype, "prepareWith"));
    const got = await run(work);
    const calls = direct.flatMap((spy) => spy.mock.results.map((result) => result.value !== null));
    for (const spy of direct) spy.mockRestore();
    got.forEach((x, i) => expectClose(x, want[i], { rtol: 2e-4, atol: 2e-4 }));
    expect(calls).toEqual([true]);
  });
});

test("what follows a sum takes no dispatch of its own", async () => {
  const gpu = await openWebGpu();
  const spy = vi.spyOn(Recorder.prototype, "dispatch");
  try {
    setDefaultBackend(gpu);
    for (const [m, k, dispatches] of [
      [20, 60, 1],
      [9, 2100, 2],
      [1, 300, 1],
    ] as const) {
      const [x, w, b] = [wave(0.7, m, k), wave(1.1, k, 11), wave(0.3, 11)];
      await tg.readAll([x, w, b]);
      spy.mockClear();
      await x.matmul(w).add(b).relu().data();
      expect(spy).toHaveBeenCalledTimes(dispatches);
    }
  } finally {
    spy.mockRestore();
    gpu.destroy();
  }
});

test("factors that lie in several buffers", async () => {
  const gpu = await openWebGpu({ limits: { maxStorageBufferBindingSize: 2 ** 14, maxBufferSize: 2 ** 14 } });
  const work: Work = () => [
    wave(0.7, 20, 900)
      .matmul(wave(1.1, 900, 33))
      .add(wave(0.3, 33))
      .relu(),
  ];
  const want = await run(work);
  try {
    setDefaultBackend(gpu);
    const got = await run(work);
    expectClose(got[0], want[0], { rtol: 2e-4, atol: 2e-4 });
  } finally {
    gpu.destroy();
  }
});

describe("the schedule", () => {
  let device: NullBackend;
  const start = (fuses: boolean): void => {
    device = new NullBackend(fuses ? { fusesEpilogue: () => true } : {});
    setBackend(device);
    setDefaultBackend(device);
  };
  const input = (...shape: number[]): tg.Tensor => {
    const x = tg.randn(shape).retain();
    realize([x.impl.storage.node]);
    return x;
  };
  const kernels = (make: () => tg.Tensor[]): string[] => {
    device.reset();
    realize(make().map((t) => t.retain().impl.storage.node));
    return device.calls.map(({ program: { structure } }) =>
      structure.kind === "fused" ? "fused" : structure.epilogue === undefined ? structure.name : `${structure.name}+`,
    );
  };

  test("makes one kernel of a linear layer and its activation, where the device wants that", () => {
    for (const [fuses, want] of [
      [true, ["matmul+"]],
      [false, ["matmul", "fused"]],
    ] as const) {
      start(fuses);
      const [x, w, b] = [input(8, 6), input(5, 6), input(5)];
      expect(kernels(() => [F.gelu(F.linear(x, w, b))])).toEqual(want);
    }
  });

  test("writes out what is asked for, and what two kernels read, once", () => {
    start(true);
    const [x, w, b] = [input(8, 6), input(6, 5), input(5)];
    expect(
      kernels(() => {
        const y = x.matmul(w);
        return [y, y.add(b).relu()];
      }),
    ).toEqual(["matmul", "fused"]);
    expect(
      kernels(() => {
        const y = x.matmul(w);
        return [y.add(b), y.t().contiguous().sub(1).cumsum(0)];
      }),
    ).toEqual(["matmul", "fused", "fused", "scan"]);
  });

  test("leaves sums, and readers at other places, behind it", () => {
    start(true);
    const [x, w] = [input(8, 8), input(8, 8)];
    expect(kernels(() => [x.matmul(w).add(1).sum(1)])).toEqual(["matmul", "fused"]);
    expect(kernels(() => [x.matmul(w).t().add(x)])).toEqual(["matmul", "fused"]);
    expect(kernels(() => [x.matmul(w).add(x.matmul(w.t()))])).toEqual(["matmul", "matmul+"]);
  });

  test("does not let a product read what was overwritten", () => {
    start(true);
    const [x, w] = [input(8, 8), input(8, 8)];
    const run = (): tg.Tensor[] => {
      const y = x.matmul(w);
      x.add_(1);
      return [y.mul(2), x];
    };
    const names = kernels(run);
    expect(names.filter((n) => n.startsWith("matmul"))).toHaveLength(1);
    const at = device.calls.findIndex(({ program }) => program.structure.kind === "routine");
    const product = device.calls[at]!;
    for (const call of device.calls.slice(0, at + 1)) {
      const { buffers } = call.program.structure;
      call.buffers.forEach((buffer, i) => {
        if (buffers[i]!.mode !== "read") expect([product.buffers[0], product.buffers[1]]).not.toContain(buffer);
      });
    }
  });
});
