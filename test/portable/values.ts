/** Operations that give promises because their result depends on values; and the forms in which arguments may be given. */

import * as tg from "#tapegrad";
import { ensure, expectClose, expectEqual, expectIdentical, expectThrows, suite } from "../support/portable.ts";
import { gradOf, leaf } from "./backward.ts";

export const values = suite("values and arguments", {
  "nonzero, argwhere and where": async () => {
    const x = tg.tensor([[0, 2, NaN], [-1, 0, 0]]); // prettier-ignore
    ensure(x.nonzero() instanceof Promise, "nonzero is a promise on every device");
    const expected = [[0, 1], [0, 2], [1, 0]]; // prettier-ignore
    const found = await x.nonzero();
    expectEqual([found.dtype, found.shape, await found.toArray()], ["int32", [3, 2], expected]);
    expectEqual(await (await tg.argwhere(x)).toArray(), expected);
    const columns = [[0, 0, 1], [1, 2, 0]]; // prettier-ignore
    const tuple = await tg.nonzero(x, { asTuple: true });
    expectEqual(await Promise.all(tuple.map((t) => t.toArray())), columns);
    const byWhere = await tg.where(x.ne(0));
    expectEqual(await Promise.all(byWhere.map((t) => t.toArray())), columns);
    expectEqual(await x.at(...tuple).toArray(), [2, NaN, -1]);
    expectEqual((await tg.zeros(2, 3).nonzero()).shape, [0, 2]);
    expectEqual((await tg.zeros(0, 3).nonzero()).shape, [0, 2]);
    expectEqual((await tg.tensor(5).nonzero()).shape, [1, 0]);
    expectEqual((await tg.tensor(0).nonzero()).shape, [0, 0]);
    expectEqual(await (await tg.tensor(5).nonzero({ asTuple: true }))[0]!.toArray(), [0]);
    expectEqual(await (await tg.tensor([true, false, true]).t().nonzero()).toArray(), [[0], [2]]);
  },

  "asTensor takes arrays as they are and tensors as they come": async () => {
    const shared = tg.asTensor(new Float32Array([1, 2, 3, 4]), { shape: [2, 2] });
    expectEqual([shared.dtype, await shared.add(1).toArray()], ["float32", [[2, 3], [4, 5]]]); // prettier-ignore
    // Views that begin anywhere, and lengths that fill no word.
    const bytes = tg.asTensor(new Uint8Array([9, 1, 2, 3, 4, 5, 9]).subarray(1, 6));
    expectEqual([bytes.dtype, await bytes.toArray()], ["uint8", [1, 2, 3, 4, 5]]);
    expectEqual(
      await tg
        .asTensor(new Uint8ClampedArray([7, 8]).subarray(1))
        .mul(2)
        .toArray(),
      [16],
    );
    const whole = tg.asTensor(new Int32Array([5, -6, 7]).subarray(1), { requiresGrad: false });
    expectEqual([whole.dtype, await whole.toArray()], ["int32", [-6, 7]]);
    const exact = tg.asTensor(new Float64Array([1 / 3]), { dtype: "float64", device: "cpu" });
    expectEqual([exact.dtype, exact.item() instanceof Promise, await exact.item()], ["float64", true, 1 / 3]);
    expectEqual(
      [tg.asTensor(new Float64Array([1])).dtype, tg.asTensor(new Int16Array([1])).dtype],
      ["float32", "int32"],
    );
    // Elements of another type are converted, lists and numbers are those of `tensor`.
    expectEqual(await tg.asTensor(new Float32Array([1.9, -1.9]), { dtype: "int32" }).toArray(), [1, -1]);
    expectEqual([tg.asTensor([true]).dtype, tg.asTensor(3).shape, tg.asTensor([]).shape], ["bool", [], [0]]);
    // In place it is the tensor that changes, not the array.
    const array = new Float32Array([1, 2]);
    expectEqual([await tg.asTensor(array).mul_(5).toArray(), [...array]], [[5, 10], [1, 2]]); // prettier-ignore
    const w = leaf([1, 2]);
    ensure(tg.asTensor(w) === w, "a tensor is given back as it is");
    const half = tg.asTensor(w.mul(2), { dtype: "float64", device: "cpu" });
    expectEqual([half.dtype, half.requiresGrad], ["float64", true]);
    half.sum().backward();
    expectEqual(await gradOf(w), [2, 2]);
    ensure(!tg.asTensor(w, { requiresGrad: false }).requiresGrad && w.requiresGrad, "the other tensor is detached");
    await expectThrows(() => tg.asTensor(new Float32Array(3), { shape: [2] }), "asTensor: 3 values do not fill shape");
    await expectThrows(() => tg.asTensor(new BigInt64Array(3) as never), "asTensor: BigInt64Array has no dtype");
  },

  "maskedSelect picks, broadcasts and has a gradient": async () => {
    const x = leaf([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
    const y = await x.maskedSelect(x.gt(2.5));
    expectEqual([await y.toArray(), y.gradFn!.name], [[3, 4, 5, 6], "MaskedSelectBackward0"]);
    y.mul(tg.tensor([1, 2, 3, 4]))
      .sum()
      .backward();
    expectEqual(await gradOf(x), [[0, 0, 1], [2, 3, 4]]); // prettier-ignore
    const wide = await tg.maskedSelect(tg.tensor([1, 2]), tg.tensor([[true, false], [true, true]])); // prettier-ignore
    expectEqual(await wide.toArray(), [1, 1, 2]);
    expectEqual((await x.maskedSelect(x.gt(9))).shape, [0]);
    await expectThrows(() => x.maskedSelect(tg.ones(2, 3)), "expected a bool mask");
    await expectThrows(() => x.maskedSelect({ mask: tg.tensor([true, false]) }), "ShapeError");
    await expectThrows(() => x.at(x.gt(2)), "await x.maskedSelect(mask)");
    ensure(!(await tg.noGrad(() => x.maskedSelect(x.gt(0)))).requiresGrad, "off the tape under noGrad");
  },

  "a promise gives what was there at the call": async () => {
    const x = tg.tensor([1, 2, 3]);
    const mask = x.gt(1);
    const [picked, places] = [x.maskedSelect(mask), x.nonzero()];
    x.zero_();
    mask.fill_(false);
    expectEqual(await (await picked).toArray(), [2, 3]);
    expectEqual((await places).shape, [3, 1]);
  },

  "equal, allclose and isclose": async () => {
    const x = tg.tensor([1, 2]);
    ensure(x.equal(x) instanceof Promise && x.allclose(x) instanceof Promise, "they are promises on every device");
    expectIdentical(await x.equal(tg.tensor([1, 2])), true);
    expectIdentical(await tg.equal(x, tg.tensor([1, 3])), false);
    expectIdentical(await tg.equal(x, tg.ones(1, 2)), false);
    expectIdentical(await tg.tensor([NaN]).equal(tg.tensor([NaN])), false);
    expectIdentical(await tg.ones(0).equal(tg.ones(0)), true);
    expectIdentical(await x.allclose(tg.tensor([1, 2.00001])), true);
    expectIdentical(await x.allclose(tg.tensor([1, 2.001])), false);
    expectIdentical(await tg.allclose(x, tg.tensor([1, 2.001]), { rtol: 0.01 }), true);
    expectIdentical(await tg.allclose(x, tg.tensor([1, 2.001]), 0, 0.01), true);
    const odd = tg.tensor([NaN, Infinity, -Infinity, 1]);
    expectEqual(await odd.isclose(odd).toArray(), [false, true, true, true]);
    expectEqual(await odd.isclose(odd, { equalNan: true }).toArray(), [true, true, true, true]);
    expectEqual(await odd.isclose(tg.tensor([1, -Infinity, -1, Infinity])).toArray(), [false, false, false, false]);
  },

  "arguments by position and by name": async () => {
    const x = tg.tensor([[4, 1, 3], [2, 6, 5]]); // prettier-ignore
    const same: readonly (readonly [tg.Tensor, tg.Tensor])[] = [
      [x.sum(0, true), x.sum({ dim: 0, keepdim: true })],
      [x.sum(1), x.sum({ axis: 1 } as never)],
      [x.mean(1, true), tg.mean(x, { dim: 1, keepdims: true } as never)],
      [x.sum(), x.sum(null)],
      [x.sum([0, 1]), x.sum({ dim: [0, 1] })],
      [tg.std(x, 0, false), tg.std(x, { dim: 0, correction: 0 })],
      [x.add(x, { alpha: 2 }), tg.add(x, { other: x, alpha: 2 })],
      [x.clamp(2, 5), x.clamp({ min: 2, max: 5 })],
      [x.clamp(null, 5), x.clamp({ max: 5 })],
      [x.permute(1, 0), x.permute([1, 0])],
      [x.transpose(0, 1), x.transpose({ dim0: 0, dim1: 1 })],
      [x.reshape(3, 2), x.reshape([3, 2])],
      [x.softmax(1), x.softmax({ dim: 1 })],
      [x.at(tg.slice(null, null, 2)), x.at(tg.slice(0, null, 2))],
      [tg.cat([x, x], 1), tg.cat([x, x], { dim: 1 })],
      [x.gather(1, tg.tensor([[0], [2]], { dtype: "int32" })), x.gather({ dim: 1, index: tg.tensor([[0], [2]], { dtype: "int32" }) })], // prettier-ignore
      [x.cumsum(1), x.cumsum({ dim: 1 })],
      [x.flip(0, 1), x.flip([0, 1])],
      [tg.zeros(2, 3), tg.zeros([2, 3])],
      [tg.full([2], 7), tg.full([2], { fillValue: 7 })],
      [tg.arange(1, 7, 2), tg.arange(1, { end: 7, step: 2 })],
      [tg.exp_(x.clone()), x.exp()],
    ];
    for (const [i, [a, b]] of same.entries()) {
      expectEqual(a.shape, b.shape, `pair ${i}, shape`);
      expectClose(await a.data(), await b.data(), {}, `pair ${i}`);
    }
    const { values: largest, indices } = x.max(1);
    const [v, i] = x.max({ dim: 1 });
    expectEqual([await largest.toArray(), await indices.toArray()], [[4, 6], [0, 1]]); // prettier-ignore
    expectEqual([await v.toArray(), await i.toArray()], [[4, 6], [0, 1]]); // prettier-ignore
    expectEqual([tg.numel(x), tg.isFloatingPoint(x), tg.isTensor(x), tg.isTensor(1)], [6, true, true, false]);
  },

  "wrong arguments are named": async () => {
    const x = tg.ones(2, 3);
    await expectThrows(
      () => x.sum({ dims: 1 } as never),
      /sum: unknown option "dims".*did you mean "dim".*known are dim, keepdim, dtype/,
    );
    await expectThrows(() => x.sum({ keepDim: true } as never), 'did you mean "keepdim"');
    await expectThrows(() => x.sum(...([0, { dim: 1 }] as unknown as [])), "given twice");
    await expectThrows(() => x.add(...([x, 1, 2] as never)), "at most");
    await expectThrows(() => tg.zeros(2, { dytpe: "int32" } as never), 'did you mean "dtype"');
    await expectThrows(() => tg.init({ devcie: "cpu" } as never), 'did you mean "device"');
    await expectThrows(() => x.add("1" as never), /add.*must be a Tensor or a number/);
    await expectThrows(() => x.matmul(tg.ones(2, 3)), /matmul.*\[2, 3\].*inner sizes/);
    await expectThrows(() => x.add(tg.ones(4)), /\[2, 3\].*\[4\]/);
    await expectThrows(() => x.reshape(4), "ShapeError");
    await expectThrows(() => x.sum(2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)");
    await expectThrows(() => x.to("float128" as never), "float128");
    await expectThrows(() => tg.tensor([1, 2]).bitwiseAnd(1), "DTypeError");
  },

  "a tensor as a number and as text": async () => {
    const x = tg.tensor([1, 2]);
    await expectThrows(() => (x as unknown as number) < 3, "await t.item()");
    await expectThrows(() => (x as unknown as number) * 1, "await t.item()");
    ensure(`it is ${x as unknown as string}`.length > 6, "in a template");
    ensure("it is ".concat(x as unknown as string).length > 6, "with a string");
    ensure(String(x.mul(2)).length > 0, "by String");
    expectEqual(await x.toText(), "tensor([1., 2.])");
    await expectThrows(() => x.item(), /2 elements cannot be converted/);
    expectEqual(await tg.readAll([x, x.mul(2), tg.tensor(true)]), [[1, 2], [2, 4], [1]]); // prettier-ignore
    expectIdentical([await tg.tensor(true).item(), await tg.tensor([true]).toArray()], [true, [true]] as never);
  },

  "synchronous reading on the CPU, and an error elsewhere": async ({ device }) => {
    const x = tg.tensor([[1, 2]]).mul(2);
    if (device === "cpu") {
      expectEqual([x.toArraySync(), x.dataSync(), x.sum().itemSync()], [[[2, 4]], [2, 4], 6]); // prettier-ignore
      expectEqual(x.toString(), "tensor([[2., 4.]])");
      return;
    }
    await expectThrows(() => x.dataSync(), /^DeviceError.*await t\.data\(\)/);
    await expectThrows(() => x.toArraySync(), /^DeviceError.*await t\.toArray\(\)/);
    await expectThrows(() => x.sum().itemSync(), /^DeviceError.*await t\.item\(\)/);
    ensure(x.toString().includes("shape=[1, 2]"), x.toString());
  },
});
