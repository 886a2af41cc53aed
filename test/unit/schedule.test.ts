/** Schedules, by the kernels that the null backend is given. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import { backendOf, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import { written } from "../support/written.ts";

let device: NullBackend;

beforeEach(() => {
  device = new NullBackend();
  setBackend(device);
  setDefaultBackend(device);
});
afterEach(() => {
  setDefaultBackend(backendOf("cpu"));
});

/** An input that is on the device already. */
function input(...shape: number[]): Tensor {
  return written(tg.randn(shape));
}

/** Kernels that `body` and the reading of its result take; block copies are not kernels. */
function kernels(body: () => Tensor | void): number {
  device.reset();
  const result = body();
  if (result !== undefined) written(result);
  return device.calls.filter((c) => !c.program.structure.key.startsWith("copy")).length;
}

describe("fusion", () => {
  it("runs a chain of ten elementwise operations as one kernel", () => {
    const x = input(64, 128);
    expect(
      kernels(() => {
        let y = x;
        for (let i = 0; i < 5; i++) y = y.mul(1.5).add(x).tanh();
        return y;
      }),
    ).toBe(1);
  });

  it("writes broadcasts, casts and views into their reader", () => {
    const x = input(8, 16);
    const bias = input(16);
    expect(kernels(() => x.t().add(1).t().add(bias).gt(0).to("float32").mul(x.flip(0)))).toBe(1);
  });

  it("runs a softmax, over any dimension, as one kernel", () => {
    const x = input(32, 64);
    expect(kernels(() => x.softmax(-1))).toBe(1);
    expect(kernels(() => x.softmax(0))).toBe(1);
    expect(kernels(() => x.logSoftmax(1))).toBe(1);
  });

  it("runs attention as one kernel, its gradients as three (and a copy that parts two of them), and keeps no matrix of weights", () => {
    const [q, k, v, g] = [input(2, 512, 16), input(2, 512, 16), input(2, 512, 16), input(2, 512, 16)];
    for (const x of [q, k, v]) x.requiresGrad_();
    device.resetPeakMemory();
    const before = device.memory().peakBytes;
    expect(
      kernels(() => {
        const out = tg.F.scaledDotProductAttention(q, k, v, { isCausal: true });
        out.backward(g);
        for (const x of [q, k, v]) written(x.grad!);
      }),
    ).toBe(5);
    // One matrix of weights would be 2 MiB.
    expect(device.memory().peakBytes - before).toBeLessThan(2 ** 20);
  });

  it("runs a layer norm with scale and shift as one kernel", () => {
    const x = input(32, 64);
    const [weight, bias] = [input(64), input(64)];
    expect(kernels(() => tg.F.layerNorm(x, [64], weight, bias))).toBe(1);
  });

  it("runs variance and mean of the same input as one kernel", () => {
    const x = input(32, 64);
    expect(
      kernels(() => {
        const [variance, mean] = tg.varMean(x, 1);
        return variance.add(mean);
      }),
    ).toBe(1);
  });

  it("computes a value with several readers once", () => {
    const x = input(256);
    device.reset();
    const e = x.exp().sin();
    const [a, b] = [e.mul(2), e.mul(3)];
    written(a.add(b.sum()));
    const exps = device.calls.flatMap((c) => [...c.program.structure.key.matchAll(/exp:f/g)]);
    expect(exps.length).toBe(1);
  });

  it("keeps to the device's number of buffers", () => {
    device = new NullBackend({ buffersPerKernel: 4 });
    setBackend(device);
    setDefaultBackend(device);
    const inputs = Array.from({ length: 12 }, () => input(32));
    device.reset();
    written(inputs.reduce((a, b) => a.add(b)));
    expect(device.calls.length).toBeGreaterThan(1);
    for (const call of device.calls) expect(call.buffers.length).toBeLessThanOrEqual(4);
  });

  it("does not give a few long rows to a few workgroups", () => {
    const x = input(2, 100_000);
    expect(kernels(() => x.softmax(1))).toBeGreaterThan(1);
  });
});

describe("in-place results", () => {
  it("write a slice without copying the base where nothing else reads it", () => {
    const y = tg.zeros(1000);
    expect(
      kernels(() => {
        y.at(tg.slice(0, 10)).copy_(tg.ones(10));
        y.at(tg.slice(10, 20)).fill_(2);
        return y;
      }),
    ).toBe(3);
  });

  it("take over memory that nobody else holds", () => {
    const y = input(1000);
    const before = device.memory().usedBytes;
    for (let i = 0; i < 5; i++) {
      y.at(i).fill_(i);
      written(y);
    }
    expect(device.memory().usedBytes).toBe(before);
  });

  it("leave alone what a copy still holds", () => {
    const y = input(100);
    const copy = y.clone();
    y.at(0).fill_(1);
    written(y);
    expect(() => written(copy)).not.toThrow();
  });
});

describe("a training step", () => {
  it("updates many parameters by SGD with momentum in one kernel", () => {
    const params = Array.from({ length: 24 }, (_, i) => input(8, 4 + i).requiresGrad_());
    const optimizer = new tg.optim.SGD(params, { lr: 0.1, momentum: 0.9 });
    const step = (): number => {
      for (const p of params) p.grad = written(tg.onesLike(p));
      return kernels(() => void optimizer.step());
    };
    expect(step()).toBeLessThanOrEqual(2);
    expect(step()).toBe(1);
    expect(step()).toBe(1);
  });

  it("updates many parameters by Adam in one kernel", () => {
    const params = Array.from({ length: 24 }, (_, i) => input(8, 4 + i).requiresGrad_());
    const optimizer = new tg.optim.Adam(params);
    const step = (): number => {
      for (const p of params) p.grad = written(tg.onesLike(p));
      return kernels(() => void optimizer.step());
    };
    expect(step()).toBeLessThanOrEqual(2);
    expect(step()).toBe(1);
  });

  it("finds its plan again the second time", () => {
    const w = input(16, 4).requiresGrad_();
    const x = input(32, 16);
    const optimizer = new tg.optim.SGD([w], { lr: 0.1 });
    const keys: string[] = [];
    for (let i = 0; i < 4; i++) {
      device.reset();
      optimizer.zeroGrad();
      x.matmul(w).tanh().square().mean().backward();
      optimizer.step();
      keys.push(device.calls.map((c) => c.program.structure.key).join("\n"));
    }
    expect(keys[2]).toBe(keys[1]);
    expect(keys[3]).toBe(keys[2]);
  });

  it("keeps memory flat when nothing is disposed", () => {
    const w = input(16, 4).requiresGrad_();
    const b = input(4).requiresGrad_();
    const x = input(32, 16);
    const optimizer = new tg.optim.Adam([w, b], { lr: 0.1 });
    const calls: number[] = [];
    for (let i = 0; i < 6; i++) {
      device.reset();
      optimizer.zeroGrad();
      x.matmul(w).add(b).tanh().square().mean().backward();
      optimizer.step();
      calls.push(device.calls.length);
    }
    expect(new Set(calls.slice(2)).size).toBe(1);
  });

  it("grows linearly with the depth of a diamond", () => {
    const count = (depth: number): number => {
      const x = tg.tensor([1, 2], { requiresGrad: true });
      let y: Tensor = x;
      for (let i = 0; i < depth; i++) y = y.add(y);
      device.reset();
      y.sum().backward();
      return device.calls.reduce((total, c) => total + c.program.structure.key.length, 0);
    };
    const [small, large] = [count(30), count(60)];
    expect(large).toBeLessThan(2.5 * small);
  });
});
