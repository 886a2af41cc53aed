/** Operations that users define. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, expectThrows, suite } from "../support/portable.ts";
import { gradOf, leaf } from "./backward.ts";

type Context = tg.autograd.FunctionContext;

/** x^3 with a derivative written by hand. */
class Cube extends tg.autograd.Function {
  static forward(ctx: Context, x: Tensor): Tensor {
    ensure(!tg.isGradEnabled(), "forward runs off the tape");
    ctx.saveForBackward(x);
    return x.mul(x).mul(x);
  }
  static backward(ctx: Context, g: Tensor): Tensor {
    const [x] = ctx.savedTensors;
    return g.mul(x!.square().mul(3));
  }
}

/** a * s + b and a - b; s is a number. */
class Mixed extends tg.autograd.Function {
  static seen: { forward: readonly boolean[]; backward: readonly boolean[] } = { forward: [], backward: [] };
  static forward(ctx: Context, a: Tensor, s: number, b: Tensor): Tensor[] {
    Mixed.seen.forward = ctx.needsInputGrad;
    ctx["scale"] = s;
    return [a.mul(s).add(b), a.sub(b)];
  }
  static backward(ctx: Context, g0: Tensor, g1: Tensor): (Tensor | null)[] {
    Mixed.seen.backward = ctx.needsInputGrad;
    return [g0.mul(ctx["scale"] as number).add(g1), null, g0.sub(g1)];
  }
}

/** exp, whose derivative is its result. */
class Exp extends tg.autograd.Function {
  static forward(ctx: Context, x: Tensor): Tensor {
    const y = x.exp();
    ctx.saveForBackward(y);
    return y;
  }
  static backward(ctx: Context, g: Tensor): Tensor {
    return g.mul(ctx.savedTensors[0]!);
  }
}

/** Largest values, and where they are, which is not differentiable. */
class Top extends tg.autograd.Function {
  static forward(ctx: Context, x: Tensor): Tensor[] {
    const [values, indices] = x.max(0);
    const where = indices.to("float32");
    ctx.markNonDifferentiable(where);
    return [values.mul(1), where];
  }
  static backward(_: Context, g: Tensor, missing: Tensor): Tensor {
    ensure(missing.shape.length === 0, "a missing gradient comes as zeros");
    return g.expand(3);
  }
}

export const customFunction = suite("custom functions", {
  "a derivative of one's own": async () => {
    const x = leaf([1, 2]);
    const y = Cube.apply(x);
    expectEqual([y.requiresGrad, y.gradFn!.name], [true, "CubeBackward"]);
    expectEqual(y.gradFn!.nextFunctions.map(([fn]) => fn!.name), ["AccumulateGrad"]); // prettier-ignore
    y.sum().backward();
    expectEqual(await gradOf(x), [3, 12]);
    ensure(!Cube.apply(tg.ones(2)).requiresGrad, "off the tape without an input that requires grad");
    ensure(!tg.noGrad(() => Cube.apply(x)).requiresGrad, "off the tape under noGrad");
  },

  "it is differentiated twice where its derivative is made of operations": async () => {
    const x = leaf([1, 2]);
    const [g] = tg.autograd.grad(Cube.apply(x).sum(), x, { createGraph: true });
    const [h] = tg.autograd.grad(g!.sum(), x, { createGraph: true });
    const [k] = tg.autograd.grad(h!.sum(), x);
    expectEqual([await g!.toArray(), await h!.toArray(), await k!.toArray()], [[3, 12], [6, 12], [6, 6]]); // prettier-ignore
    const z = leaf([0.5]);
    const [e1] = tg.autograd.grad(Exp.apply(z), z, { createGraph: true });
    const [e2] = tg.autograd.grad(e1!, z, { createGraph: true });
    const [e3] = tg.autograd.grad(e2!, z);
    expectClose(await e3!.toArray(), [Math.exp(0.5)]);
  },

  "several inputs and results": async () => {
    const [a, b] = [leaf([1, 2]), tg.tensor([3, 4])];
    const [sum, difference] = Mixed.apply(a, 2, b);
    expectEqual([await sum!.toArray(), await difference!.toArray()], [[5, 8], [-2, -2]]); // prettier-ignore
    difference!.mul(10).sum().backward();
    expectEqual(await gradOf(a), [10, 10]);
    expectEqual(Mixed.seen, { forward: [true, false, false], backward: [true, false, false] });
    const c = leaf([1, 1]);
    const [p, q] = Mixed.apply(a.detach(), 3, c);
    p!.add(q!.mul(5)).sum().backward();
    expectEqual(await gradOf(c), [-4, -4]);
  },

  "results that are not differentiable": async () => {
    const x = leaf([1, 5, 3]);
    const [value, where] = Top.apply(x);
    expectEqual([value!.requiresGrad, where!.requiresGrad], [true, false]);
    value!.backward();
    expectEqual(await gradOf(x), [1, 1, 1]);
  },

  "missing gradients come as null where that is asked for": async () => {
    let given: unknown[] = [];
    class Two extends tg.autograd.Function {
      static forward(ctx: Context, x: Tensor): Tensor[] {
        ctx.setMaterializeGrads(false);
        return [x.mul(1), x.mul(2)];
      }
      static backward(_: Context, ...grads: (Tensor | null)[]): Tensor {
        given = grads.map((g) => g === null);
        return grads[1]!.mul(2);
      }
    }
    const x = leaf([1]);
    Two.apply(x)[1]!.backward();
    expectEqual([given, await gradOf(x)], [[true, false], [2]]);
  },

  "a result that is the input itself": async () => {
    class Same extends tg.autograd.Function {
      static forward(_: Context, x: Tensor): Tensor {
        return x;
      }
      static backward(_: Context, g: Tensor): Tensor {
        return g.neg();
      }
    }
    const x = leaf([1, 2]);
    const y = Same.apply(x);
    ensure(y !== x && y.gradFn!.name === "SameBackward", "it is a new tensor with a history of its own");
    y.sum().backward();
    expectEqual(await gradOf(x), [-1, -1]);
  },

  "saved values are guarded like those of the library": async () => {
    const x = leaf([1, 2]).mul(1);
    const y = Cube.apply(x);
    x.add_(1);
    await expectThrows(() => y.sum().backward(), "modified by an inplace operation");
    const z = leaf([1, 2]);
    const w = Cube.apply(z).sum();
    w.backward();
    await expectThrows(() => w.backward(), "second time");
  },

  "a wrong number or shape of gradients is an error": async () => {
    class Few extends tg.autograd.Function {
      static forward(_: Context, a: Tensor, b: Tensor): Tensor {
        return a.add(b);
      }
      static backward(_: Context, g: Tensor): Tensor {
        return g;
      }
    }
    class Wide extends tg.autograd.Function {
      static forward(_: Context, a: Tensor): Tensor {
        return a.mul(1);
      }
      static backward(): Tensor {
        return tg.ones(3);
      }
    }
    const x = leaf([1, 2]);
    await expectThrows(
      () => Few.apply(x, x).sum().backward(),
      "FewBackward returned an incorrect number of gradients (expected 2, got 1)",
    );
    await expectThrows(
      () => Wide.apply(x).sum().backward(),
      "Function WideBackward returned an invalid gradient at index 0 - got [3] but expected shape compatible with [2]",
    );
    expectEqual(x.grad, null);
  },

  "gradcheck passes for a right derivative and fails for a wrong one": {
    devices: ["cpu"],
    run: async () => {
      class Wrong extends tg.autograd.Function {
        static forward(ctx: Context, x: Tensor): Tensor {
          ctx.saveForBackward(x);
          return x.square();
        }
        static backward(ctx: Context, g: Tensor): Tensor {
          return g.mul(ctx.savedTensors[0]!);
        }
      }
      const x = tg.tensor([0.5, 1.5], { dtype: "float64", requiresGrad: true });
      const cube = (t: Tensor): Tensor => Cube.apply(t);
      const wrong = (t: Tensor): Tensor => Wrong.apply(t);
      ensure((await tg.autograd.gradcheck(cube, x)) && (await tg.autograd.gradgradcheck(cube, x)), "the right one");
      await expectThrows(() => tg.autograd.gradcheck(wrong, [x]), /Jacobian mismatch for output 0.*input 0.*\[0, 0\]/);
      expectEqual(await tg.autograd.gradcheck(wrong, [x], { raiseException: false }), false);
      await expectThrows(() => tg.autograd.gradcheck(cube, [leaf([1])]), "must be float64");
      await expectThrows(() => tg.autograd.gradcheck(cube, [x.detach()]), "at least one input must require grad");
    },
  },
});
