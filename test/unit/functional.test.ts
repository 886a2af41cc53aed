/** autograd.functional: forms, options and errors as in PyTorch; numbers against closed forms. */

import { describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { expectClose } from "../support/portable.ts";

const { vjp, jvp, vhp, hvp, jacobian, hessian } = tg.autograd.functional;

const double = (values: number[] | number[][]): Tensor => tg.tensor(values, { dtype: "float64" });
const close = (actual: Tensor, expected: Tensor): void => {
  expect(actual.shape).toEqual(expected.shape);
  expectClose(actual.dataSync(), expected.dataSync(), { rtol: 1e-9, atol: 1e-12 });
};

const x = double([[0.1, 0.2, 0.3], [-0.4, 0.5, 0.6]]); // prettier-ignore
const expSum = (t: Tensor): Tensor => t.exp().sum(1);
const adder = (a: Tensor, b: Tensor): Tensor => a.mul(2).add(b.mul(3));
const cubes = (t: Tensor): Tensor => t.pow(3).sum();

describe("vjp and jvp", () => {
  it("give the output and the product, each of its form", () => {
    const [out, g] = vjp(expSum, x, double([1, 2]));
    close(out, expSum(x));
    close(g, x.exp().mul(double([[1], [2]])));
    const [value, [ga, gb]] = vjp(adder, [x, x], tg.onesLike(x));
    close(value, x.mul(5));
    close(ga!, tg.fullLike(x, 2));
    close(gb!, tg.fullLike(x, 3));
    const [, moved] = jvp(expSum, x, tg.onesLike(x));
    close(moved, expSum(x));
    const [, [s, c]] = jvp((t: Tensor) => [t.sin(), t.cos()], x, x);
    close(s!, x.cos().mul(x));
    close(c!, x.sin().neg().mul(x));
  });

  it("take no vector for a single element", () => {
    const one = double([2]);
    expect(vjp((t: Tensor) => t.pow(3), one)[1].toArraySync()).toEqual([12]);
    expect(jvp((t: Tensor) => t.pow(3), one)[1].toArraySync()).toEqual([12]);
    expect(() => vjp(expSum, x)).toThrow(/can only be null if the user-provided function returns a single Tensor/);
    expect(() => jvp(expSum, x)).toThrow(/can only be null if the input to the user-provided function/);
  });

  it("stay on the caller's tape with createGraph, and only then", () => {
    const leaf = x.clone().requiresGrad_();
    const [out, g] = vjp(expSum, leaf, double([1, 1]));
    expect([out.requiresGrad, g.requiresGrad]).toEqual([false, false]);
    const [, again] = vjp(expSum, leaf, double([1, 1]), { createGraph: true });
    close(tg.autograd.grad(again.sum(), leaf)[0]!, x.exp());
    const [, moved] = jvp(cubes, leaf, tg.onesLike(x), true);
    close(tg.autograd.grad(moved, leaf)[0]!, x.mul(6));
  });

  it("check the vector", () => {
    expect(() => vjp(expSum, x, double([1]))).toThrow(/v has invalid size: should be \[2\] but got \[1\]/);
    expect(() => jvp(adder, [x, x], [x])).toThrow(/array of invalid length: should be 2 but got 1/);
    expect(() => jvp(adder, [x, x], [x, double([1])])).toThrow(/Entry 1 in v has invalid size/);
    expect(() => vjp((t: Tensor) => t.sum().itemSync() as unknown as Tensor, x)).toThrow(
      /given outputs .* type number/,
    );
    expect(() => vjp(adder, [x, 1 as unknown as Tensor])).toThrow(/value at index 1 has type number/);
  });

  it("give zeros for what does not matter, or throw in strict mode", () => {
    const first = (a: Tensor): Tensor => a.mul(2);
    close(vjp(first, [x, x], tg.onesLike(x))[1][1]!, tg.zerosLike(x));
    expect(() => vjp(first, [x, x], tg.onesLike(x), { strict: true })).toThrow(/independent of input 1/);
    const constant = (): Tensor => tg.onesLike(x);
    close(jvp(constant, x, x)[1], tg.zerosLike(x));
    expect(() => jvp(constant, x, x, { strict: true })).toThrow(/Output 0 .* does not require gradients/);
    expect(() => jvp(first, [x, x], [x, x], { strict: true })).toThrow(/independent of input 1/);
  });
});

describe("vhp and hvp", () => {
  it("give the Hessian's products", () => {
    for (const product of [vhp, hvp]) {
      const [out, h] = product(cubes, x, x);
      close(out, cubes(x));
      close(h, x.mul(6).mul(x));
      const [, [ha, hb]] = product((a: Tensor, b: Tensor) => a.mul(b).sum(), [x, x], [x, tg.onesLike(x)]);
      close(ha!, tg.onesLike(x));
      close(hb!, x);
      expect(() => product(expSum, x, x)).toThrow(/should contain a single element/);
      expect(() => product((t: Tensor) => [t.sum()] as unknown as Tensor, x, x)).toThrow(
        /should return a single Tensor/,
      );
      expect(() => product((t: Tensor) => t.sum(), x, x, { strict: true })).toThrow(
        /jacobian .* independent of the input/,
      );
      close(product((t: Tensor) => t.sum(), x, x)[1], tg.zerosLike(x));
      const leaf = x.clone().requiresGrad_();
      close(tg.autograd.grad(product(cubes, leaf, tg.onesLike(x), true)[1].sum(), leaf)[0]!, tg.fullLike(x, 6));
    }
  });
});

describe("jacobian", () => {
  const ways = [{}, { vectorize: true }, { vectorize: true, strategy: "forward-mode" }] as const;

  it("has the outputs' and the inputs' dimensions and forms, in every way", () => {
    for (const way of ways) {
      const j = jacobian(expSum, x, way);
      expect(j.shape).toEqual([2, 2, 3]);
      const expected = tg.zeros(2, 2, 3, { dtype: "float64" });
      for (const i of [0, 1]) expected.at(i, i).copy_(x.select(0, i).exp());
      close(j, expected);
      const [ja, jb] = jacobian(adder, [x, x], way);
      close(ja!.reshape(6, 6), tg.eye(6, { dtype: "float64" }).mul(2));
      close(jb!.reshape(6, 6), tg.eye(6, { dtype: "float64" }).mul(3));
      const [[js], [jc]] = jacobian((t: Tensor) => [t.sum(), t.mul(2)], [x], way) as [[Tensor], [Tensor]];
      close(js, tg.onesLike(x));
      expect(jc.shape).toEqual([2, 3, 2, 3]);
      close(
        jacobian((t: Tensor) => t.sum(), x, way),
        tg.onesLike(x),
      );
      expect(jacobian((t: Tensor) => t.narrow(0, 0, 0), x, way).shape).toEqual([0, 3, 2, 3]);
      close(
        jacobian(() => tg.ones(2, { dtype: "float64" }), x, way),
        tg.zeros(2, 2, 3, { dtype: "float64" }),
      );
    }
  });

  it("can be differentiated with createGraph", () => {
    for (const vectorize of [false, true]) {
      const leaf = x.clone().requiresGrad_();
      const j = jacobian(expSum, leaf, { createGraph: true, vectorize });
      close(tg.autograd.grad(j.sum(), leaf)[0]!, x.exp());
      expect(jacobian(expSum, leaf, { vectorize }).requiresGrad).toBe(false);
    }
  });

  it("refuses what PyTorch refuses", () => {
    expect(() => jacobian(expSum, x, { strict: true, vectorize: true })).toThrow(/not supported together/);
    expect(() => jacobian(expSum, x, { strategy: "forward-mode" })).toThrow(/only implemented for vectorize/);
    const forward = { strategy: "forward-mode", vectorize: true } as const;
    expect(() => jacobian(expSum, x, { ...forward, createGraph: true })).toThrow(/createGraph/);
    expect(() => jacobian(expSum, x, { ...forward, strict: true })).toThrow(/strict/);
    expect(() => jacobian(expSum, x, { strategy: "sideways" as "reverse-mode" })).toThrow(/Expected strategy/);
    expect(() => jacobian((a: Tensor) => a.mul(2), [x, x], { strict: true })).toThrow(
      /Output 0 .* independent of input 1/,
    );
    expect(() => jacobian((a: Tensor) => a.mul(2), x, { strict: true, createGraph: true })).toThrow(
      /jacobian .* independent of input 0.*createGraph=true/,
    );
  });
});

describe("hessian", () => {
  it("is found in every way", () => {
    const f = (a: Tensor, b: Tensor): Tensor => a.square().mul(b).sum();
    const [a, b] = [double([1, 2]), double([3, 5])];
    for (const way of [{}, { vectorize: true }, { vectorize: true, outerJacobianStrategy: "forward-mode" }] as const) {
      const [[haa, hab], [hba, hbb]] = hessian(f, [a, b], way) as [[Tensor, Tensor], [Tensor, Tensor]];
      expect(haa.toArraySync()).toEqual([[6, 0], [0, 10]]); // prettier-ignore
      expect(hab.toArraySync()).toEqual([[2, 0], [0, 4]]); // prettier-ignore
      expect(hba.toArraySync()).toEqual([[2, 0], [0, 4]]); // prettier-ignore
      expect(hbb.toArraySync()).toEqual([[0, 0], [0, 0]]); // prettier-ignore
      close(hessian(cubes, x, way).reshape(6, 6).diagonal(), x.mul(6).reshape(-1));
    }
    const leaf = a.clone().requiresGrad_();
    const h = hessian((t: Tensor) => t.pow(4).sum(), leaf, { createGraph: true });
    expect(tg.autograd.grad(h.sum(), leaf)[0]!.toArraySync()).toEqual([24, 48]);
  });

  it("refuses what has no Hessian", () => {
    expect(() => hessian(expSum, x)).toThrow(/single element/);
    expect(() => hessian((t: Tensor) => t.sum(), x, { strict: true })).toThrow(/independent of the input/);
    close(
      hessian((t: Tensor) => t.sum(), x),
      tg.zeros(2, 3, 2, 3, { dtype: "float64" }),
    );
  });
});
