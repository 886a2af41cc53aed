/** Writing in place: through views and under them, what the tape makes of it, and what it refuses. */

import * as tg from "#tapegrad";
import { slice } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";
import { gradOf, leaf } from "./backward.ts";

export const inplace = suite("in place", {
  "an operation with an underscore changes the tensor and gives it": async () => {
    const x = tg.tensor([1, -2]);
    ensure(x.abs_() === x && x.add_(1) === x, "it gives the tensor itself");
    expectEqual(await x.toArray(), [2, 3]);
    expectEqual(x.version, 2);
  },

  "a result keeps its dtype": async () => {
    const i = tg.tensor([5, 7], { dtype: "int32" });
    i.mul_(2);
    expectEqual([i.dtype, await i.toArray()], ["int32", [10, 14]]);
    await expectThrows(() => i.mul_(0.5), /mul_: result type float32 can't be cast to the desired output type int32/);
    await expectThrows(() => i.add_(tg.tensor([0.5, 1])), "can't be cast");
    await expectThrows(() => i.div_(2), "can't be cast");
    expectEqual([await i.toArray(), i.version], [[10, 14], 1], "after refused writes");
    const b = tg.tensor([true, false]);
    await expectThrows(() => b.add_(1), "can't be cast");
    const u = tg.tensor([250, 3], { dtype: "uint8" });
    u.add_(10);
    expectEqual([u.dtype, await u.toArray()], ["uint8", [4, 13]]);
    const f = tg.tensor([1, 2]);
    f.gt_(1);
    expectEqual([f.dtype, await f.toArray()], ["float32", [0, 1]]);
  },

  "the shape cannot change": async () => {
    const x = tg.ones(3);
    await expectThrows(
      () => x.add_(tg.ones(2, 3)),
      /add_: output with shape \[3\] doesn't match the broadcast shape \[2, 3\]/,
    );
    await expectThrows(() => x.add_(tg.ones(2)), "ShapeError");
    await expectThrows(
      () => tg.ones(1, 3).expand(2, 3).add_(1),
      /more than one element.*single memory location.*clone/,
    );
    await expectThrows(() => x.copy_(tg.ones(2, 3)), "copy_");
    expectEqual([await x.toArray(), x.version], [[1, 1, 1], 0], "after refused writes");
    x.add_(tg.ones(1));
    expectEqual(await x.toArray(), [2, 2, 2]);
  },

  "every alias sees a write": async () => {
    const base = tg.zeros(2, 3);
    const [t, row, flat] = [base.t(), base.at(1), base.view(6)];
    row.fill_(5);
    expectEqual(await t.toArray(), [[0, 5], [0, 5], [0, 5]]); // prettier-ignore
    t.at(0).copy_(tg.tensor([7, 8]));
    expectEqual(await flat.toArray(), [7, 0, 0, 8, 5, 5]);
    base.zero_();
    expectEqual(await row.toArray(), [0, 0, 0]);
    expectEqual([base.version, row.version, flat.version], [3, 3, 3]);
    const copy = base.clone();
    base.add_(1);
    expectEqual(await copy.sum().item(), 0, "a clone is no alias");
  },

  "a write whose source is the tensor itself": async () => {
    const x = tg.tensor([1, 2, 3, 4]);
    x.at(slice(1, null)).copy_(x.at(slice(null, 3)));
    expectEqual(await x.toArray(), [1, 1, 2, 3]);
    x.mul_(x);
    x.add_(x.flip(0));
    expectEqual(await x.toArray(), [10, 5, 5, 10]);
  },

  "a chain of in-place operations has the gradient of the chain": async () => {
    const x = leaf([0.5, 1]);
    const y = x.clone().mul_(3).sin_().add_(x);
    expectEqual(y.gradFn!.name, "AddBackward0");
    y.sum().backward();
    expectClose(await gradOf(x), [3 * Math.cos(1.5) + 1, 3 * Math.cos(3) + 1]);
  },

  "writing into a view rewrites the history of its base": async () => {
    const [x, v] = [leaf([[1, 2, 3], [4, 5, 6]]), leaf([10, 20, 30])]; // prettier-ignore
    const y = x.mul(2);
    y.at(1).copy_(v);
    expectEqual(y.gradFn!.name, "CopySlices");
    expectEqual(await y.toArray(), [[2, 4, 6], [10, 20, 30]]); // prettier-ignore
    y.mul(tg.tensor([[1, 1, 1], [2, 3, 4]])).sum().backward(); // prettier-ignore
    expectEqual([await gradOf(x), await gradOf(v)], [[[2, 2, 2], [0, 0, 0]], [2, 3, 4]]); // prettier-ignore
  },

  "the view that was written is on the tape, too": async () => {
    const x = leaf([1, 2, 3]);
    const y = x.mul(2);
    const part = y.at(slice(0, 2));
    part.mul_(10);
    expectEqual([part.gradFn!.name, y.gradFn!.name], ["AsStridedBackward0", "CopySlices"]);
    part.sum().backward({ retainGraph: true });
    expectEqual(await gradOf(x), [20, 20, 0]);
    x.grad = null;
    y.sum().backward();
    expectEqual(await gradOf(x), [20, 20, 2]);
  },

  "a view sees what was written into its base and through its siblings": async () => {
    const x = leaf([1, 2, 3, 4]);
    const y = x.mul(1);
    const [low, odd] = [y.at(slice(0, 2)), y.at(slice(1, null, 2))];
    y.mul_(3);
    odd.square_();
    expectEqual(await low.toArray(), [3, 36]);
    low.sum().backward({ retainGraph: true });
    expectEqual(await gradOf(x), [3, 36, 0, 0]);
    x.grad = null;
    y.sum().backward();
    expectEqual(await gradOf(x), [3, 36, 3, 72]);
  },

  "a chain of views is written as one": async () => {
    const x = leaf(Array.from({ length: 24 }, (_, i) => i));
    const y = x.mul(1).view(2, 3, 4);
    const part = y.transpose(0, 2).at(slice(1, 3)).select(1, 2).t();
    part.mul_(tg.tensor([[2, 3], [4, 5]])); // prettier-ignore
    y.sum().backward();
    const expected = new Array<number>(24).fill(1);
    expected[9] = 2;
    expected[10] = 3;
    expected[21] = 4;
    expected[22] = 5;
    expectEqual(await gradOf(x), expected);
  },

  "a base that needs no gradient joins the tape when something that does is written into it": async () => {
    const [y, v] = [tg.zeros(2, 2), leaf([1, 2])];
    const sibling = y.at(slice(null), 0);
    y.at(0).copy_(v);
    ensure(y.requiresGrad && !y.isLeaf && sibling.requiresGrad, "the base and its other views require grad now");
    sibling.mul(5).sum().backward({ retainGraph: true });
    expectEqual(await gradOf(v), [5, 0]);
    y.square().sum().backward();
    expectEqual(await gradOf(v), [7, 4]);
  },

  "second derivatives go through writes": async () => {
    const [x, v] = [leaf([1, 2]), leaf([3])];
    const y = x.pow(2);
    y.at(slice(1, 2)).mul_(v);
    const [g] = tg.autograd.grad(y.pow(2).sum(), x, { createGraph: true });
    expectEqual(await g!.toArray(), [4, 2 * 4 * 3 * (2 * 2 * 3)]);
    const [gx, gv] = tg.autograd.grad(g!.sum(), [x, v]);
    // y = (x0^2, x1^2 v): d/dx of (4 x0^3 + 4 x1^3 v^2).
    expectEqual([await gx!.toArray(), await gv!.toArray()], [[12, 432], [192]]);
  },

  "zero_ and fill_ cut the gradient": async () => {
    const x = leaf([1, 2, 3]);
    const y = x.mul(2);
    y.at(0).zero_();
    y.at(1).fill_(9);
    y.sum().backward();
    expectEqual([await y.toArray(), await gradOf(x)], [[0, 9, 6], [0, 0, 2]]); // prettier-ignore
    const s = leaf(4);
    const z = x.detach().clone();
    z.fill_(s);
    z.sum().backward();
    expectEqual(await gradOf(s), 3);
  },

  "copy_ converts, broadcasts and is differentiable": async () => {
    const v = leaf([1, 2]);
    const y = tg.zeros(3, 2);
    y.copy_(v);
    y.sum().backward();
    expectEqual([await y.toArray(), await gradOf(v)], [[[1, 2], [1, 2], [1, 2]], [3, 3]]); // prettier-ignore
    const i = tg.zeros(2, { dtype: "int32" });
    i.copy_(tg.tensor([1.9, -1.9]));
    expectEqual(await i.toArray(), [1, -1]);
    i.copy_(7);
    expectEqual(await i.toArray(), [7, 7]);
  },

  "a saved value that was overwritten is noticed": async () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    const z = y.mul(y);
    y.add_(1);
    const error = await expectThrows(
      () => z.sum().backward(),
      /one of the variables needed for gradient computation has been modified by an inplace operation/,
    );
    ensure(/is at version 1; expected version 0 instead/.test(error.message), error.message);
    const e = x.exp();
    e.at(0).zero_();
    await expectThrows(() => e.sum().backward(), /output 0 of ExpBackward0, is at version 1; expected version 0/);
    // An operation that saved nothing does not mind.
    const s = x.add(1);
    const t = s.add(1);
    s.zero_();
    t.sum().backward();
    expectEqual(await gradOf(x), [1, 1]);
  },

  "a value overwritten through another alias is noticed": async () => {
    const x = leaf([1, 2]);
    const y = x.mul(2);
    const z = y.exp().mul(y);
    y.detach().zero_();
    await expectThrows(() => z.sum().backward(), "modified by an inplace operation");
    const w = tg.ones(2);
    const p = x.mul(w);
    w.view(2).fill_(3);
    await expectThrows(() => p.sum().backward(), "modified by an inplace operation");
  },

  "leaves and their views are not written": async () => {
    const x = leaf([1, 2]);
    await expectThrows(() => x.add_(1), "a leaf Variable that requires grad is being used in an in-place operation");
    await expectThrows(
      () => x.at(0).add_(1),
      "a view of a leaf Variable that requires grad is being used in an in-place operation",
    );
    await expectThrows(() => x.zero_(), "leaf Variable");
    await expectThrows(() => x.indexPut_([tg.tensor([0], { dtype: "int32" })], tg.ones(1)), "leaf Variable");
    await expectThrows(() => x.t_(), "leaf Variable");
    expectEqual([await x.toArray(), x.version], [[1, 2], 0]);
  },

  "views that cannot be written": async () => {
    const y = leaf([[1, 2], [3, 4]]).mul(2); // prettier-ignore
    const [a] = y.unbind(0);
    await expectThrows(
      () => a!.mul_(2),
      /Output 0 of UnbindBackward0 is a view and is being modified inplace.*multiple views/,
    );
    const [, half] = y.chunk(2);
    await expectThrows(() => half!.mul_(2), /Output 1 of SplitBackward0/);
    const quiet = tg.noGrad(() => y.at(0));
    await expectThrows(() => quiet.mul_(2), "A view was created in no_grad mode");
    const [plain] = tg.zeros(2, 2).unbind(0);
    plain!.add_(1);
    const [other] = tg.zeros(2, 2).unbind(0);
    await expectThrows(() => other!.add_(leaf([1, 2])), /multiple views/);
    expectEqual(await other!.toArray(), [0, 0], "after the refused write");
    tg.noGrad(() => a!.mul_(2));
    expectEqual(await y.toArray(), [[4, 8], [6, 8]]); // prettier-ignore
  },

  "shapes turned in place": async () => {
    const x = leaf([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
    const y = x.mul(1);
    ensure(y.t_() === y, "it gives the tensor itself");
    expectEqual([y.shape, await y.toArray()], [[3, 2], [[1, 4], [2, 5], [3, 6]]]); // prettier-ignore
    y.unsqueeze_(0).squeeze_().transpose_(0, 1).swapaxes_(0, 1).swapdims_(-1, 0);
    expectEqual(y.shape, [2, 3]);
    y.mul(x.detach()).sum().backward();
    expectEqual(await gradOf(x), await x.toArray());
    const base = tg.zeros(2, 3);
    const view = base.at(0);
    view.unsqueeze_(1).add_(1);
    expectEqual(await base.toArray(), [[1, 1, 1], [0, 0, 0]]); // prettier-ignore
    base.t_();
    await expectThrows(() => view.add_(1), "Make the view again");
  },

  "index_put_ and scatter_ in place have gradients": async () => {
    const [x, v] = [leaf([1, 2, 3]), leaf([10, 20])];
    const index = tg.tensor([2, 0], { dtype: "int32" });
    const y = x.mul(1);
    y.indexPut_([index], v);
    y.mul(tg.tensor([1, 2, 3]))
      .sum()
      .backward();
    expectEqual([await y.toArray(), await gradOf(x), await gradOf(v)], [[20, 2, 10], [0, 2, 0], [3, 1]]); // prettier-ignore
    const z = x.mul(1);
    z.indexPut_([index], v, { accumulate: true });
    x.grad = v.grad = null;
    z.mul(tg.tensor([1, 2, 3]))
      .sum()
      .backward();
    expectEqual([await gradOf(x), await gradOf(v)], [[1, 2, 3], [3, 1]]); // prettier-ignore
    const w = x.mul(1);
    w.scatter_(0, index, v);
    w.scatterAdd_(0, index, v);
    x.grad = v.grad = null;
    w.sum().backward();
    expectEqual([await w.toArray(), await gradOf(x), await gradOf(v)], [[40, 2, 20], [0, 1, 0], [2, 2]]); // prettier-ignore
  },

  "a failing operation leaves the tensor as it was": async () => {
    const x = tg.tensor([1, 2, 3]);
    const index = tg.tensor([0, 7], { dtype: "int32" });
    const failures: (() => unknown)[] = [
      () => x.indexPut_([index], tg.ones(2)),
      () => x.scatter_(0, index, tg.ones(2)),
      () => x.indexAdd_(0, index, tg.ones(2)),
      () => x.add_(tg.ones(4)),
      () => x.mul_("2" as never),
      () => x.clamp_(),
      () => x.copy_(tg.ones(4)),
      () => x.fill_(tg.ones(2)),
      () => x.maskedFill_(tg.ones(3), 1),
      () => x.uniform_(2, 1),
      () => x.at(tg.tensor([5], { dtype: "int32" })),
      () => x.cumsum_(3),
    ];
    for (const fail of failures) await expectThrows(fail, /./);
    expectEqual([await x.toArray(), x.version], [[1, 2, 3], 0]);
  },

  "a value that was read, saved or cloned before a write keeps what it was": async () => {
    const x = tg.tensor([1, 2]);
    const lazy = x.mul(10);
    const list = x.toArray();
    x.fill_(0);
    expectEqual([await list, await lazy.toArray()], [[1, 2], [10, 20]]); // prettier-ignore
  },
});
