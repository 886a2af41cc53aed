/** vmap: how many kernels it takes, what it refuses, and what it leaves behind. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import { backendOf, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import { written } from "../support/written.ts";

const { vmap, grad, hessian, jacrev } = tg.func;

describe("kernels of a vectorised function", () => {
  let device: NullBackend;
  beforeEach(() => {
    device = new NullBackend();
    setBackend(device);
    setDefaultBackend(device);
  });
  afterEach(() => setDefaultBackend(backendOf("cpu")));

  const input = (...shape: number[]): Tensor => written(tg.randn(shape));
  const kernels = (body: () => Tensor): number => {
    device.reset();
    written(body());
    return device.calls.length;
  };

  it("are as many as for one example, whatever the size of the batch", () => {
    const softmax = (x: Tensor): Tensor => x.mul(2).softmax(0).log().sum();
    const count = (n: number): number => {
      const x = input(n, 64);
      return kernels(() => vmap(softmax)(x));
    };
    const x = input(64);
    const one = kernels(() => softmax(x));
    expect(count(3)).toBeLessThanOrEqual(one + 1);
    expect(count(500)).toBe(count(3));
  });

  it("are one for an elementwise function, nested or not", () => {
    const x = input(16, 8);
    expect(kernels(() => vmap((v: Tensor) => v.tanh().mul(v).add(1))(x))).toBe(1);
    expect(kernels(() => vmap(vmap((v: Tensor) => v.tanh().mul(v).add(1)))(x))).toBe(1);
  });

  it("make one product of a matrix with the vectors of a batch", () => {
    const w = input(32, 16);
    const x = input(100, 16);
    expect(kernels(() => vmap((v: Tensor) => w.mv(v))(x))).toBe(1);
    const call = device.calls[0]!;
    expect((call.data as { ints: readonly number[] }).ints.slice(0, 3)).toEqual([100, 32, 16]);
    expect(kernels(() => vmap((v: Tensor) => v.matmul(w.t()))(x))).toBe(1);
    expect((device.calls[0]!.data as { ints: readonly number[] }).ints.slice(0, 3)).toEqual([100, 32, 16]);
  });

  it("sum a weight's gradient over the batch in the product itself", () => {
    const w = input(16, 32).requiresGrad_();
    const x = input(100, 16);
    const out = vmap((v: Tensor) => v.matmul(w).sum())(x);
    const count = kernels(() => tg.autograd.grad(out.sum(), w)[0]!);
    const products = device.calls.filter((c) => c.program.structure.key.startsWith("matmul"));
    expect(products.map((c) => (c.data as { ints: readonly number[] }).ints.slice(0, 3))).toEqual([[16, 32, 100]]);
    expect(count).toBeLessThanOrEqual(2);
  });

  it("stay few for gradients of every example and for Hessians", () => {
    const w = input(16, 4);
    const loss = (p: Tensor, v: Tensor): Tensor => v.matmul(p).tanh().square().sum();
    const perExample = (n: number): number => {
      const x = input(n, 16);
      return kernels(() => vmap(grad(loss), [null, 0])(w, x));
    };
    expect(perExample(64)).toBe(perExample(4));
    expect(perExample(64)).toBeLessThanOrEqual(4);
    const curvature = (n: number): number => {
      const x = input(n);
      return kernels(() => hessian((v: Tensor) => v.sin().prod())(x));
    };
    expect(curvature(40)).toBe(curvature(4));
  });

  it("leave what the function read as free to be written over as a plain function does", () => {
    const grown = (run: (x: Tensor, y: Tensor) => Tensor): number => {
      const [x, y] = [input(4, 1000), input(1000)];
      written(run(x, y));
      const before = device.memory().usedBytes;
      y.at(0).fill_(1);
      written(y);
      return device.memory().usedBytes - before;
    };
    expect(grown((x, y) => x.matmul(y))).toBe(0);
    expect(grown((x, y) => vmap((v: Tensor) => v.unsqueeze(0).matmul(y))(x))).toBe(0);
  });
});

function failing(v: Tensor): Tensor {
  throw new Error(`mine of ${v.dim()} dimensions`);
}

describe("vmap refuses", () => {
  const x = tg.arange(6).reshape(2, 3);

  it("arguments and dimensions that do not fit", () => {
    expect(() => vmap(() => x)()).toThrow(/got no inputs/);
    expect(() => vmap((v: Tensor) => v, null)(x)).toThrow(/at least one input must be batched/);
    expect(() => vmap((v: Tensor) => v, 2)(x)).toThrow(/expected inDim to satisfy -2 <= inDim < 2/);
    expect(() => vmap((v: Tensor) => v, [0, 0] as never)(x)).toThrow(/not compatible with the structure/);
    expect(() => vmap((a: Tensor, b: Tensor) => a.add(b), [0, 1])(x, x)).toThrow(/sizes \[2, 3\]/);
    expect(() => vmap((a: Tensor, b: number) => a.mul(b))(x, 2)).toThrow(/cannot vmap over non-Tensor arguments/);
    expect(() => vmap((v: Tensor) => v, { chunkSize: 0 })(x)).toThrow(/chunkSize/);
    expect(() => vmap((v: Tensor) => v, { randomness: "some" as never })(x)).toThrow(/randomness/);
    expect(() => vmap((v: Tensor) => v, { outDims: 2 })(x)).toThrow(/outDims 2 is out of range/);
    expect(() => vmap((v: Tensor) => v, { outDims: null })(x)).toThrow(/outDims is null/);
    expect(() => vmap((v: Tensor) => v, { inDim: 0 })(x)).toThrow(/did you mean "inDims"/);
  });

  it("results that are no tensors", () => {
    expect(() => vmap((v: Tensor) => v.dim())(x)).toThrow(/must only return Tensors.*number/);
    expect(() => vmap(async (v: Tensor) => v)(x)).toThrow(/must not be asynchronous/);
  });

  it("to read a value inside, and what escaped", async () => {
    expect(() => vmap((v: Tensor) => (v.sum().itemSync() > 0 ? v : v.neg()))(x)).toThrow(/cannot be read there/);
    expect(() => vmap((v: Tensor) => v.retain())(x)).toThrow(/cannot be read there/);
    let kept: Tensor | null = null;
    vmap((v: Tensor) => {
      kept = v.mul(2);
      return v;
    })(x);
    await expect((kept as unknown as Tensor).data()).rejects.toThrow(/has ended/);
    expect(() => vmap((v: Tensor) => v.add(kept!))(x)).toThrow(/after the function ended/);
  });

  it("to change outer tensors by a value of one example", () => {
    const total = tg.zeros(3);
    expect(() =>
      vmap((v: Tensor) => {
        total.add_(v);
        return v;
      })(x),
    ).toThrow(/from outside a vectorised function/);
    expect(total.toArraySync()).toEqual([0, 0, 0]);
  });

  it("nothing afterwards: an error inside leaves no trace open", () => {
    expect(() => vmap((v: Tensor) => failing(v))(x)).toThrow("mine");
    expect(vmap((v: Tensor) => v.sum())(x).toArraySync()).toEqual([3, 12]);
    expect(tg.ones(2).toArraySync()).toEqual([1, 1]);
  });

  it("not to print inside", () => {
    let text = "";
    vmap((v: Tensor) => {
      text = String(v);
      return v;
    })(x);
    expect(text).toBe("Tensor(shape=[3], dtype=float32, device=cpu)");
  });
});

describe("the tape of a vectorised function", () => {
  const x = tg.arange(6).reshape(2, 3).div(6);

  it("reaches tensors captured from outside through what was computed outside", () => {
    const w = tg.tensor([1, 2, 3]).requiresGrad_();
    const doubled = w.mul(2);
    const out = vmap((v: Tensor) => v.mul(doubled).add(w).sum())(x);
    expect(tg.autograd.grad(out.sum(), w)[0]!.toArraySync()).toEqual(
      tg.autograd.grad(x.mul(w.mul(2)).add(w).sum(), w)[0]!.toArraySync(),
    );
  });

  it("is released by backward, and says so the second time", () => {
    const leaf = x.clone().requiresGrad_();
    const out = vmap((v: Tensor) => v.square().sum())(leaf).sum();
    out.backward();
    expect(leaf.grad!.toArraySync()).toEqual(leaf.detach().mul(2).toArraySync());
    expect(() => out.backward()).toThrow(/second time/);
  });

  it("notices that a saved argument was changed in place", () => {
    const leaf = x.clone().requiresGrad_();
    const y = leaf.mul(1);
    const out = vmap((v: Tensor) => v.square().sum())(y).sum();
    y.add_(1);
    expect(() => out.backward()).toThrow(/modified by an inplace operation/);
  });

  it("goes through a Function and through backward inside", () => {
    class Cube extends tg.autograd.Function {
      static forward(ctx: tg.autograd.FunctionContext, v: Tensor): Tensor {
        ctx.saveForBackward(v);
        return v.pow(3);
      }
      static backward(ctx: tg.autograd.FunctionContext, g: Tensor): Tensor {
        return g.mul(ctx.savedTensors[0]!.square()).mul(3);
      }
    }
    const leaf = x.clone().requiresGrad_();
    const out = vmap((v: Tensor) => Cube.apply(v).sum())(leaf);
    const [g] = tg.autograd.grad(out.sum(), leaf);
    expect(g!.sub(leaf.detach().square().mul(3)).abs().max().itemSync()).toBeLessThan(1e-6);
    const inside = vmap((v: Tensor) => {
      const own = v.detach().requiresGrad_();
      own.square().sum().backward();
      return own.grad!;
    })(x);
    expect(inside.toArraySync()).toEqual(x.mul(2).toArraySync());
  });

  it("respects noGrad and detach inside", () => {
    const leaf = x.clone().requiresGrad_();
    expect(vmap((v: Tensor) => tg.noGrad(() => v.mul(2)))(leaf).requiresGrad).toBe(false);
    const out = vmap((v: Tensor) => v.mul(v.detach()).sum())(leaf).sum();
    expect(tg.autograd.grad(out, leaf)[0]!.toArraySync()).toEqual(leaf.detach().toArraySync());
  });

  it("works in inference mode and under noGrad", () => {
    expect(tg.inferenceMode(() => vmap((v: Tensor) => v.sum())(x)).toArraySync().length).toBe(2);
    const leaf = x.clone().requiresGrad_();
    const g = tg.noGrad(() => grad((v: Tensor) => v.square().sum())(leaf));
    expect(g.requiresGrad).toBe(false);
    expect(g.toArraySync()).toEqual(leaf.detach().mul(2).toArraySync());
  });

  it("lets a gradient taken by func.grad be differentiated again from outside", () => {
    const leaf = tg.tensor([0.5, 1.5]).requiresGrad_();
    const g = grad((v: Tensor) => v.pow(3).sum())(leaf);
    g.sum().backward();
    expect(leaf.grad!.toArraySync()).toEqual([3, 9]);
    const w = tg.tensor(2).requiresGrad_();
    const scaled = grad((v: Tensor) => v.square().sum().mul(w))(tg.tensor([1, 2]));
    scaled.sum().backward();
    expect(w.grad!.itemSync()).toBe(6);
  });
});

describe("transforms refuse", () => {
  const x = tg.tensor([1, 2, 3]);
  it("functions without a scalar result, and arguments that are no floating tensors", () => {
    expect(() => grad((v: Tensor) => v.mul(2))(x)).toThrow(/tensor with 0 dimensions.*\[3\]/);
    expect(() => grad((v: Tensor) => [v.sum()] as unknown)(x)).toThrow(/got Array/);
    expect(() => grad((v: Tensor) => v.sum())(x.to("int32"))).toThrow(/int32/);
    expect(() => grad((v: number) => x.mul(v).sum())(2)).toThrow(/to be Tensors, got number/);
    expect(() => grad((v: Tensor) => v.sum(), 1 as 0)(x)).toThrow(/argnum=1/);
    expect(() => grad((v: Tensor) => v.sum(), [0, 0])(x)).toThrow(/unique/);
    expect(() => jacrev((v: Tensor) => v, { chunkSize: -1 })(x)).toThrow(/chunkSize/);
  });
  it("tangents and cotangents of another form", () => {
    const [, pull] = tg.func.vjp((v: Tensor) => v.mul(2), x);
    expect(() => pull(tg.ones(2))).toThrow(/\[2\] where \[3\]/);
    expect(() => tg.func.jvp((v: Tensor) => v, [x], [])).toThrow(/structure/);
    expect(() => tg.func.jvp(() => tg.ones(2), [x], [x], { strict: true })).toThrow(/does not depend/);
    const [, tangent] = tg.func.jvp(() => tg.ones(2), [x], [x]);
    expect(tangent.toArraySync()).toEqual([0, 0]);
  });
});
