/** Operators' forms of call, edge cases and refusals that PyTorch's samples do not reach. */

import { describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";

const list = (t: Tensor): unknown => t.toArraySync();

describe("special functions", () => {
  it("follow IEEE at the ends", () => {
    const ends = tg.tensor([NaN, Infinity, -Infinity, 0, -0]);
    expect(list(ends.signbit())).toEqual([false, false, true, false, true]);
    expect(list(tg.tensor([1, 2, 3, 4, 5]).copysign(ends))).toEqual([1, 2, -3, 4, -5]);
    expect(list(ends.nanToNum(7, 8, -9))).toEqual([7, 8, -9, 0, -0]);
    expect(list(tg.tensor([NaN, Infinity]).nanToNum())).toEqual([0, 3.4028234663852886e38]);
    expect(list(tg.tensor([3, Infinity, NaN, Infinity]).hypot(tg.tensor([4, NaN, 1, -Infinity])))).toEqual([
      5,
      Infinity,
      NaN,
      Infinity,
    ]);
    expect(list(tg.tensor([1e30]).hypot(tg.tensor([1e30])))).toEqual([Math.fround(1e30 * Math.SQRT2)]);
    expect(list(tg.tensor([-Infinity, Infinity, NaN]).logaddexp(tg.tensor([-Infinity, 1, 0])))).toEqual([
      -Infinity,
      Infinity,
      NaN,
    ]);
    expect(list(tg.tensor([0, 0, 2]).xlogy(tg.tensor([0, NaN, 1])))).toEqual([0, NaN, 0]);
    expect(list(tg.tensor([NaN, 1, NaN]).fmax(tg.tensor([2, NaN, NaN])))).toEqual([2, 1, NaN]);
    expect(list(tg.special.entr(tg.tensor([-1, 0, 1])))).toEqual([-Infinity, 0, -0]);
    expect(list(tg.special.ndtri(tg.tensor([0, 0.5, 1])))).toEqual([-Infinity, 0, Infinity]);
    expect(tg.special.logNdtr(tg.tensor([-40], { dtype: "float64" })).itemSync()).toBeCloseTo(-804.608442, 5);
    expect(list(tg.sinc(tg.tensor([0, 1, 0.5])))).toEqual([1, expect.closeTo(0, 6), expect.closeTo(2 / Math.PI, 6)]);
  });

  it("take integers where PyTorch does", () => {
    const ints = tg.tensor([12, -18, 0], { dtype: "int32" });
    expect(list(ints.gcd(tg.tensor([18, 12, 5], { dtype: "int32" })))).toEqual([6, 6, 5]);
    expect(list(ints.lcm(tg.tensor([18, 12, 5], { dtype: "int32" })))).toEqual([36, 36, 0]);
    expect(tg.tensor([1, 2], { dtype: "int32" }).i0().dtype).toBe("float32");
    expect(() => tg.tensor([1.5]).gcd(tg.tensor([2]))).toThrow(/integer operands/);
    expect(() => ints.hypot(ints)).toThrow(/floating point/);
    expect(() => tg.mvlgamma(tg.tensor([3]), 0)).toThrow(/p has to be greater/);
  });
});

describe("movement", () => {
  const x = tg.arange(6).reshape(2, 3);
  it("rolls, turns and cuts", () => {
    expect(list(x.roll(1))).toEqual([[5, 0, 1], [2, 3, 4]]); // prettier-ignore
    expect(list(x.roll([1, -1], [0, 1]))).toEqual([[4, 5, 3], [1, 2, 0]]); // prettier-ignore
    expect(list(tg.zeros(0, 3).roll(2, 0))).toEqual([]);
    expect(() => x.roll([1, 2], [0])).toThrow(/must align/);
    expect(list(x.rot90())).toEqual([[2, 5], [1, 4], [0, 3]]); // prettier-ignore
    expect(x.tensorSplit(2, 1).map(list)).toEqual([[[0, 1], [3, 4]], [[2], [5]]]); // prettier-ignore
    expect(() => x.hsplit(2)).toThrow(/not divisible/);
    expect(() => tg.tensor(1).vsplit(1)).toThrow(/at least 2/);
    expect(list(x.sliceScatter(tg.zeros(2, 1), 1, 1, 2))).toEqual([[0, 0, 2], [3, 0, 5]]); // prettier-ignore
    expect(() => x.selectScatter(tg.zeros(2), 0, 0)).toThrow(/src size = \[2\], slice size = \[3\]/);
  });

  it("takes lists of tensors as an array or one by one", () => {
    const [a, b] = [tg.arange(2), tg.arange(3)];
    for (const grids of [tg.meshgrid(a, b), tg.meshgrid([a, b], { indexing: "ij" })])
      expect(grids.map((g) => g.shape)).toEqual([[2, 3], [2, 3]]); // prettier-ignore
    expect(tg.meshgrid(a, b, { indexing: "xy" })[0]!.shape).toEqual([3, 2]);
    expect(() => tg.meshgrid([x])).toThrow(/0D or 1D/);
    expect(() => tg.meshgrid(a, { indexing: "no" as "ij" })).toThrow(/indexing/);
    expect(list(tg.cartesianProd([a, b]))).toEqual(list(tg.cartesianProd(a, b)));
    expect(tg.blockDiag(x, x).shape).toEqual([4, 6]);
    expect(list(tg.combinations(tg.tensor([1, 2, 3])))).toEqual([[1, 2], [1, 3], [2, 3]]); // prettier-ignore
  });

  it("writes and takes at positions, from the end too", () => {
    expect(list(x.take(tg.tensor([0, -1], { dtype: "int32" })))).toEqual([0, 5]);
    expect(list(x.put(tg.tensor([-1], { dtype: "int32" }), tg.tensor([9])))).toEqual([[0, 1, 2], [3, 4, 9]]); // prettier-ignore
    const y = x.clone();
    y.indexFill_(1, tg.tensor([0], { dtype: "int32" }), 7);
    expect(list(y)).toEqual([[7, 1, 2], [7, 4, 5]]); // prettier-ignore
    expect(list(tg.tensor([1, 2]).repeatInterleave(2))).toEqual([1, 1, 2, 2]);
    expect(list(x.unfold(1, 2, 1))).toEqual([[[0, 1], [1, 2]], [[3, 4], [4, 5]]]); // prettier-ignore
    expect(() => x.unfold(1, 4, 1)).toThrow(/maximum size/);
  });
});

describe("einsum", () => {
  const a = tg.arange(6).reshape(2, 3);
  const b = tg.arange(12).reshape(3, 4);
  it("is products, traces, sums, diagonals and broadcasts", () => {
    expect(list(tg.einsum("ij,jk->ik", a, b))).toEqual(list(a.matmul(b)));
    expect(list(tg.einsum("ij,jk", [a, b]))).toEqual(list(a.matmul(b)));
    expect(list(tg.einsum("ij->ji", a))).toEqual(list(a.t()));
    expect(tg.einsum("ii", tg.eye(3)).itemSync()).toBe(3);
    expect(list(tg.einsum("ii->i", b.narrow(1, 0, 3)))).toEqual([0, 5, 10]);
    expect(list(tg.einsum("...j,jk->...k", tg.ones(2, 2, 3), b))).toEqual(list(tg.ones(2, 2, 3).matmul(b)));
    expect(list(tg.einsum("ij,ij,i->j", a, a, tg.tensor([1, 10])))).toEqual([90, 161, 254]);
    const batch = tg.arange(24).reshape(2, 3, 4);
    expect(list(tg.einsum("bij,bkj->bik", batch, batch))).toEqual(list(batch.bmm(batch.mT)));
  });
  it("refuses what does not add up", () => {
    expect(() => tg.einsum("ij,jk", a)).toThrow(/has 2 operands, but 1 was provided/);
    expect(() => tg.einsum("ij,jk", a, a)).toThrow(/size 2 for subscript j, which does not broadcast with 3/);
    expect(() => tg.einsum("ijk", a)).toThrow(/number of subscripts/);
    expect(() => tg.einsum("ij->ik", a)).toThrow(/k does not appear/);
    expect(() => tg.einsum("ij->ii", a)).toThrow(/more than once/);
    expect(() => tg.einsum("i1", a)).toThrow(/only letters/);
  });
});

describe("what depends on values gives promises", () => {
  it("nonzero, maskedSelect and its gradient", async () => {
    const x = tg.tensor([[0, 2], [3, 0]]).requiresGrad_(); // prettier-ignore
    expect(list(await x.nonzero())).toEqual([[0, 1], [1, 0]]); // prettier-ignore
    expect((await x.nonzero({ asTuple: true })).map(list)).toEqual([[0, 1], [1, 0]]); // prettier-ignore
    const picked = await x.maskedSelect(x.gt(1));
    expect(list(picked)).toEqual([2, 3]);
    picked
      .mul(tg.tensor([5, 7]))
      .sum()
      .backward();
    expect(list(x.grad!)).toEqual([[0, 5], [7, 0]]); // prettier-ignore
    await expect(x.maskedSelect(x)).rejects.toThrow(/bool mask/);
  });

  it("equal and allclose", async () => {
    const x = tg.tensor([1, NaN]);
    expect(await x.equal(x)).toBe(false);
    expect(await tg.ones(2).equal(tg.ones(2))).toBe(true);
    expect(await tg.ones(2).equal(tg.ones(3))).toBe(false);
    expect(await x.allclose(x, 1e-5, 1e-8, true)).toBe(true);
    expect(await x.allclose(x)).toBe(false);
    expect(await tg.allclose(tg.tensor([1]), tg.tensor([1.1]), { atol: 0.2 })).toBe(true);
  });
});

describe("activations and losses", () => {
  it("keep NaN, and gradients finite at the ends", () => {
    const x = tg.tensor([-1e4, -1, 0, 1, 1e4]).requiresGrad_();
    for (const f of [tg.F.elu, tg.F.selu, tg.F.celu, tg.F.softplus, tg.F.mish, tg.F.logsigmoid, tg.F.hardswish]) {
      const [g] = tg.autograd.grad(f(x).sum(), x, { createGraph: true });
      const [h] = tg.autograd.grad(g!.sum(), x, { allowUnused: true });
      expect(f(x).isfinite().all().itemSync(), f.name).toBe(true);
      expect(g!.isfinite().all().itemSync(), f.name).toBe(true);
      expect((h ?? x).isfinite().all().itemSync(), f.name).toBe(true);
      expect(
        f(tg.tensor([NaN]))
          .isnan()
          .itemSync(),
        f.name,
      ).toBe(true);
    }
  });

  it("refuse bad parameters", () => {
    const x = tg.ones(2, 3);
    expect(() => tg.F.softshrink(x, -1)).toThrow(/lambd/);
    expect(() => tg.F.glu(x)).toThrow(/even/);
    expect(() => tg.F.prelu(x, tg.ones(2))).toThrow(/channel size = 3/);
    expect(() => tg.F.celu(x, 0)).toThrow(/alpha/);
    expect(() => tg.F.huberLoss(x, x, { delta: 0 })).toThrow(/delta/);
    expect(() => tg.F.l1Loss(x, x, { reduction: "avg" as "mean" })).toThrow(/reduction/);
    expect(() => tg.F.binaryCrossEntropy(x, tg.ones(3))).toThrow(/must be the same/);
    expect(() => tg.F.multiMarginLoss(x, tg.zeros(3, { dtype: "int32" }))).toThrow(/inconsistent target/);
    expect(() => tg.F.elu(tg.ones(2, { dtype: "int32" }))).toThrow(/floating point/);
  });

  it("draw in training only", () => {
    const x = tg.full([1000], -1);
    expect(list(tg.F.rrelu(x).narrow(0, 0, 1))).toEqual([expect.closeTo(-(1 / 8 + 1 / 3) / 2, 6)]);
    const drawn = tg.F.rrelu(x, { training: true });
    expect(drawn.min().itemSync()).toBeGreaterThan(-1 / 3 - 1e-6);
    expect(drawn.max().itemSync()).toBeLessThan(-1 / 8 + 1e-6);
    const hard = tg.F.gumbelSoftmax(tg.zeros(5, 4), { hard: true });
    expect(list(hard.sum(1))).toEqual([1, 1, 1, 1, 1]);
    expect(hard.max().itemSync()).toBe(1);
  });
});
