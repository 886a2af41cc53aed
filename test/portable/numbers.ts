/** Random numbers to the bit, NaN and infinities as in PyTorch, and sums that keep their digits. */

import * as tg from "#tapegrad";
import { philox4x32 } from "../../src/philox.ts";
import { expectClose, expectEqual, expectIdentical, expectThrows, suite } from "../support/portable.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** Random123's known answers for Philox 4x32-10: counter, key, block. */
const KNOWN = [
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
] as const;

/** Words of a stream's first elements under a seed below 2^32. */
function words(seed: number, stream: number, count: number, lane = 0): number[] {
  return Array.from({ length: count }, (_, i) => philox4x32([i, stream, 0, 0], [seed, 0])[lane]!);
}

export const numbers = suite("numbers", {
  "names in shaders hide no types, wherever in a kernel a reduction stands": async () => {
    // The sum is instruction 32 of its kernel, an address the 32nd.
    const x = tg.tensor([[1, 2], [3, 4]]); // prettier-ignore
    const noise = tg.randn(2);
    const y = x.add(noise).relu();
    const total = y.mul(y).sum();
    const [sum, n] = [await total.item(), (await noise.toArray()) as number[]];
    const want = [[1, 2], [3, 4]].flatMap((row) => row.map((v, j) => Math.max(0, v + n[j]!) ** 2)); // prettier-ignore
    expectClose(sum, want.reduce((p, q) => p + q)); // prettier-ignore
  },

  "Philox gives its published vectors": {
    devices: ["cpu"],
    run: () => {
      for (const [counter, key, block] of KNOWN) expectEqual(philox4x32([...counter], [...key]), [...block]);
    },
  },

  "random numbers are the same bits on every device": async () => {
    tg.manualSeed(1234);
    const [u, i, b] = [tg.rand(300), tg.randint(-3, 7, [100]), tg.bernoulli(tg.full([100], 0.3))];
    expectEqual(await u.data(), words(1234, 0, 300).map((w) => (w >>> 8) * 2 ** -24)); // prettier-ignore
    expectEqual(await i.data(), words(1234, 1, 100).map((w) => (w % 10) - 3)); // prettier-ignore
    expectEqual(await b.data(), words(1234, 2, 100).map((w) => ((w >>> 8) * 2 ** -24 < Math.fround(0.3) ? 1 : 0))); // prettier-ignore
    tg.manualSeed(1234);
    const order = Array.from(await tg.randperm(20).data());
    expectEqual(order.toSorted((a, c) => a - c), Array.from({ length: 20 }, (_, k) => k)); // prettier-ignore
    tg.manualSeed(1234);
    expectEqual(await tg.randperm(20).data(), order);
    const state = tg.getRngState();
    const first = await tg.rand(5).data();
    tg.setRngState(state);
    expectEqual(await tg.rand(5).data(), first);
    await expectThrows(() => tg.manualSeed(0.5), "safe integer");
  },

  "normal numbers are Box and Muller's of those bits": async () => {
    tg.manualSeed(99);
    const got = await tg.randn(500).data();
    const [first, second] = [words(99, 0, 500, 0), words(99, 0, 500, 1)];
    const exact = first.map((w, i) => {
      const u = 1 - (w >>> 8) * 2 ** -24;
      return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * (second[i]! >>> 8) * 2 ** -24);
    });
    expectClose(got, exact, { rtol: 3e-6, atol: 2e-6 });
  },

  "NaN and infinities in elementwise operations": async () => {
    const x = tg.tensor([nan, inf, -inf, -0, 2]);
    const one = tg.ones(5);
    const rows: readonly (readonly [string, tg.Tensor, readonly (number | boolean)[]])[] = [
      ["relu", x.relu(), [nan, inf, 0, 0, 2]],
      ["clamp", x.clamp(0, 1), [nan, 1, 0, 0, 1]],
      ["clamp below", x.clamp({ min: 0 }), [nan, inf, 0, 0, 2]],
      ["maximum", x.maximum(one), [nan, inf, 1, 1, 2]],
      ["minimum", x.minimum(one), [nan, 1, -inf, 0, 1]],
      ["maximum, exchanged", one.maximum(x), [nan, inf, 1, 1, 2]],
      ["eq", x.eq(x), [false, true, true, true, true]],
      ["ne", x.ne(x), [true, false, false, false, false]],
      ["lt", x.lt(1), [false, false, true, true, false]],
      ["ge", x.ge(1), [false, true, false, false, true]],
      ["where", tg.where(x.gt(0), x, -1), [-1, inf, -1, -1, 2]],
      ["maskedFill", tg.ones(5).maskedFill(x.isnan(), -inf), [-inf, 1, 1, 1, 1]],
      ["isnan", x.isnan(), [true, false, false, false, false]],
      ["isfinite", x.isfinite(), [false, false, false, true, true]],
      ["exp", x.exp(), [nan, inf, 0, 1, Math.fround(Math.E ** 2)]],
      ["log", x.log(), [nan, inf, nan, -inf, Math.fround(Math.LN2)]],
      ["sqrt", x.sqrt(), [nan, inf, nan, 0, Math.fround(Math.SQRT2)]],
      ["tanh", x.tanh(), [nan, 1, -1, 0, Math.fround(Math.tanh(2))]],
      ["sigmoid", x.sigmoid(), [nan, 1, 0, 0.5, Math.fround(1 / (1 + Math.exp(-2)))]],
      ["softshrink", tg.F.softshrink(x), [nan, inf, -inf, 0, 1.5]],
      ["hardshrink", tg.F.hardshrink(x), [nan, inf, -inf, 0, 2]],
      ["times zero", x.mul(0), [nan, nan, nan, 0, 0]],
      ["to bool", x.to("bool"), [true, true, true, false, true]],
    ];
    for (const [name, got, expected] of rows) expectClose(await got.toArray(), expected, {}, name);
    expectIdentical(await tg.tensor([-0, 0]).neg().toArray(), [0, -0]);
    expectIdentical(await tg.tensor([1, -1]).div(0).toArray(), [inf, -inf]);
  },

  "NaN and infinities in reductions": async () => {
    const x = tg.tensor([[1, nan, 3], [inf, -inf, 0], [-inf, -inf, -inf], [inf, 1, 2]]); // prettier-ignore
    const rows: readonly (readonly [string, tg.Tensor, unknown])[] = [
      ["sum", x.sum(1), [nan, nan, -inf, inf]],
      ["max", x.max(1)[0], [nan, inf, -inf, inf]],
      ["argmax", x.argmax(1), [1, 0, 0, 0]],
      ["min", x.min(1)[0], [nan, -inf, -inf, 1]],
      ["argmin", x.argmin(1), [1, 1, 0, 1]],
      ["amax of all", x.amax(), nan],
      ["logsumexp", x.logsumexp(1), [nan, inf, -inf, inf]],
      ["softmax", x.softmax(1), [[nan, nan, nan], [nan, nan, nan], [nan, nan, nan], [nan, nan, nan]]], // prettier-ignore
      ["softmax of a masked row", tg.tensor([-inf, 0, 0]).softmax(0), [0, 0.5, 0.5]],
      ["log softmax of a masked row", tg.tensor([-inf, 0]).logSoftmax(0), [-inf, 0]],
      ["nansum", x.nansum(1), [4, nan, -inf, inf]],
      ["any", x.any(1), [true, true, true, true]],
      ["prod", x.prod(1), [nan, nan, -inf, inf]],
      ["mean of nothing", tg.zeros(0).mean(), nan],
      ["var of one", tg.ones(1).var(), nan],
    ];
    for (const [name, got, expected] of rows) expectClose(await got.toArray(), expected, {}, name);
  },

  "gradients at NaN, infinities and corners are PyTorch's": async () => {
    const at = async (f: (x: tg.Tensor) => tg.Tensor, values: number[]): Promise<unknown> => {
      const x = tg.tensor(values).requiresGrad_();
      f(x).sum().backward();
      return x.grad!.toArray();
    };
    expectEqual(await at((x) => x.relu(), [nan, 0, -1, 2]), [1, 0, 0, 1]);
    expectEqual(await at((x) => x.clamp(0, 1), [nan, 0, 1, 2]), [0, 1, 1, 0]);
    expectEqual(await at((x) => x.abs(), [0, -1, 1]), [0, -1, 1]);
    expectEqual(await at((x) => x.sqrt(), [0, 4]), [inf, 0.25]);
    expectEqual(await at((x) => x.max(), [3, 1, 3]), [0.5, 0, 0.5]);
    expectEqual(await at((x) => x.max(0)[0], [3, 1, 3]), [1, 0, 0]);
    expectEqual(await at((x) => x.norm(), [0, 0]), [0, 0]);
    expectEqual(await at((x) => x.prod(), [0, 2, 3]), [6, 0, 0]);
    expectEqual(await at((x) => x.pow(0), [0, 2]), [0, 0]);
    expectEqual(await at((x) => x.maximum(tg.tensor([1, 2])), [1, 1]), [0.5, 0]);
  },

  "a sum of 2^20 terms keeps its digits": async () => {
    const n = 2 ** 20;
    const values = Float32Array.from({ length: n }, (_, i) => Math.fround(0.1 + (i % 7) * 0.013));
    const exact = values.reduce((sum, v) => sum + v, 0);
    const x = tg.tensor(values);
    expectClose(await x.sum().item(), exact, { rtol: 5e-7, atol: 0 });
    expectClose(await x.mean().item(), exact / n, { rtol: 5e-7, atol: 0 });
    expectClose(await x.view(4, -1).sum(1).sum().item(), exact, { rtol: 5e-7, atol: 0 });
    expectClose(await x.view(-1, 4).sum(0).sum().item(), exact, { rtol: 5e-7, atol: 0 });
  },

  "variance and layer norm survive a large mean": async () => {
    const x = tg.tensor(Float32Array.from({ length: 1000 }, (_, i) => 10_000 + (i % 5))).view(2, 500);
    expectClose(await x.var(1, false).data(), [2, 2], { rtol: 1e-5 });
    expectClose(await x.std({ dim: 1, correction: 0 }).data(), [Math.SQRT2, Math.SQRT2], { rtol: 1e-5 });
    const y = tg.F.layerNorm(x, [500], { eps: 0 });
    const exact = [-2, -1, 0, 1, 2].map((v) => v / Math.SQRT2);
    expectClose(await y.at(0, tg.slice(0, 5)).data(), exact, { rtol: 1e-4, atol: 1e-4 });
  },
});
