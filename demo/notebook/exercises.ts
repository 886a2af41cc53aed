/** The notebook's exercises that are left to its reader, done: a derivative plotted, and a function taken apart. */

import * as tg from "#tapegrad";
import { cell, text, type Entry } from "./entry.ts";

/** The last part of the notebook, in order. */
export const exercises: readonly Entry[] = [
  text(`### Ex 2 – Let $f(x) = \\sin(x)$

Plot the graph of $f$ and of its derivative $f'$. Do not exploit the fact that $f'(x) = \\cos(x)$ but rather use automatic differentiation to get the result.`),
  cell("Ex 2", async ({ plot }) => {
    const x = tg.linspace(-2 * Math.PI, 2 * Math.PI, 161, { requiresGrad: true });
    const y = x.sin();
    y.backward(tg.onesLike(y)); // v = 1: element i of the gradient is f'(x[i])

    await plot({
      title: "f(x) = sin x, and f'(x) by autograd",
      x: [...(await x.data())],
      curves: [
        { name: "f(x)", y: [...(await y.data())] },
        { name: "f'(x)", y: [...(await x.grad!.data())] },
      ],
    });
  }),

  text(`### Ex 5 – Let $f(x) = (\\log(x^2) \\cdot \\sin(x)) + x^{-1}$

Write out a dependency graph tracing results from $x$ to $f(x)$. We'll identify intermediate steps starting from $x$ and building up to $f(x)$:

- Start from: $x$

- Intermediate computations:
    - $x^2$
        - $\\log(x^2)$
    - $\\sin(x)$
        - $\\log(x^2) \\cdot \\sin(x)$
    - $1/x$
        - $\\log(x^2) \\cdot \\sin(x) + 1/x$

Now use the chain rule to compute the analytical derivative of the function; also compute the gradient using autograd and compare the two solutions by plotting them and see if they overlap.`),
  cell("Ex 5", async ({ print, plot, graph }) => {
    // both sides of 0, where f is not defined
    const positive = tg.linspace(0.5, 10, 96);
    const x = tg.cat([positive.flip(0).neg(), positive]).requiresGrad_();

    const square = x.square();
    const logarithm = square.log();
    const sine = x.sin();
    const product = logarithm.mul(sine);
    const inverse = x.reciprocal();
    const y = product.add(inverse);

    // the dependency graph is the tape that the lines above have recorded
    const names = {
      x,
      "x²": square,
      "log x²": logarithm,
      "sin x": sine,
      "log x² · sin x": product,
      "1/x": inverse,
      "f(x)": y,
    };
    await graph(tg.graph(y, { names }));

    y.backward(tg.onesLike(y));

    // by the chain rule: f'(x) = (2 / x) sin x + log(x²) cos x - 1 / x²
    const a = x.detach();
    const first = a.reciprocal().mul(2).mul(a.sin());
    const second = a.square().log().mul(a.cos());
    const analytic = first.add(second).sub(a.square().reciprocal());

    await print("largest difference:", x.grad!.sub(analytic).abs().max());
    await plot({
      title: "f'(x): by the chain rule, and by autograd",
      x: [...(await x.data())],
      pole: 0,
      curves: [
        { name: "analytic", y: [...(await analytic.data())] },
        { name: "autograd", y: [...(await x.grad!.data())], dashed: true },
      ],
    });
  }),
];
