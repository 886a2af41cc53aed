/** What the compiler accepts and refuses of the public names. */

import { assertType, describe, expectTypeOf, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";

declare const x: Tensor;

describe("signatures", () => {
  it("take arguments by position, or by name in one trailing object", () => {
    expectTypeOf(x.sum()).toEqualTypeOf<Tensor>();
    assertType<Tensor>(x.sum(0, true));
    assertType<Tensor>(x.sum([0, 1], { keepdim: true }));
    assertType<Tensor>(tg.std(x, { dim: 0, correction: 0 }));
    assertType<Tensor>(x.add(2, { alpha: 3 }));
    assertType<Tensor>(tg.zeros(2, 3, { dtype: "int32" }));
    assertType<Tensor>(tg.zeros([2, 3]));
    assertType<Tensor>(x.permute(1, 0));
    assertType<Tensor>(x.permute([1, 0]));
    assertType<Tensor>(x.clamp(null, 1));
  });

  it("refuse unknown names, wrong kinds and missing arguments", () => {
    // @ts-expect-error no such option
    x.sum({ dims: 0 });
    // @ts-expect-error a string is no operand
    x.add("1");
    // @ts-expect-error the index is missing
    x.gather(0);
    // @ts-expect-error given twice
    x.sum(0, { dim: 0 });
    // @ts-expect-error no such dtype
    tg.zeros(2, { dtype: "float128" });
    // @ts-expect-error no such rounding
    x.div(2, { roundingMode: "up" });
  });

  it("give several results by position and by name", () => {
    const result = x.max(0);
    assertType<Tensor>(result.values);
    const [values, indices] = result;
    assertType<Tensor>(values);
    assertType<Tensor>(indices);
    expectTypeOf(x.max()).toEqualTypeOf<Tensor>();
    expectTypeOf(x.split(2)).toEqualTypeOf<Tensor[]>();
  });
});

describe("reading", () => {
  it("is a promise, but for the Sync forms", () => {
    expectTypeOf(x.item()).toEqualTypeOf<Promise<number>>();
    expectTypeOf(x.itemSync()).toEqualTypeOf<number>();
    expectTypeOf(x.toText()).toEqualTypeOf<Promise<string>>();
    expectTypeOf(x.equal(x)).toEqualTypeOf<Promise<boolean>>();
    expectTypeOf(x.nonzero()).toEqualTypeOf<Promise<Tensor>>();
    expectTypeOf(x.nonzero({ asTuple: true })).toEqualTypeOf<Promise<Tensor[]>>();
    expectTypeOf(tg.where(x)).toEqualTypeOf<Promise<Tensor[]>>();
    expectTypeOf(tg.where(x, 1, x)).toEqualTypeOf<Tensor>();
  });

  it("keeps shapes from being written", () => {
    // @ts-expect-error a shape is readonly
    x.shape[0] = 1;
    // @ts-expect-error a shape cannot be replaced
    x.shape = [1];
    expectTypeOf(x.grad).toEqualTypeOf<Tensor | null>();
  });
});

describe("modes", () => {
  it("give what their body gives", () => {
    expectTypeOf(tg.noGrad(() => 5)).toEqualTypeOf<number>();
    expectTypeOf(tg.noGrad(async () => "a")).toEqualTypeOf<Promise<string>>();
    expectTypeOf(tg.noGrad()).toExtend<Disposable>();
  });
});

describe("profiles", () => {
  it("have what their function gives, waited for", () => {
    expectTypeOf(tg.profile(() => 5)).toEqualTypeOf<Promise<tg.Profile<number>>>();
    expectTypeOf(tg.profile(async () => "a")).toEqualTypeOf<Promise<tg.Profile<string>>>();
    expectTypeOf<tg.ProfileRow["time"]>().toEqualTypeOf<number | null>();
    // @ts-expect-error no such option
    void tg.profile(() => 1, { byShape: true });
  });
});
