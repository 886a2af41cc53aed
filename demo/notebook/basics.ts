/** The notebook up to its exercises: gradients of scalars and of vectors. */

// In [1]
import * as tg from "#tapegrad";
import { arange, randn, tensor, type Tensor } from "#tapegrad";

import { cell, imports, text, type Entry } from "./entry.ts";

let x: Tensor;
let y: Tensor;
let f: (a: Tensor) => Promise<Tensor>;

/** The first part of the notebook, in order. */
export const basics: readonly Entry[] = [
  text(`# Getting familiar with torch.autograd

Neural networks (NNs) are a collection of nested functions that are executed on some input data. These functions are defined by parameters (consisting of weights and biases), which in PyTorch are stored in tensors.

Training a NN happens in two steps:

- **Forward Propagation:** In forward prop, the NN makes its best guess about the correct output. It runs the input data through each of its functions to make this guess.

- **Backward Propagation:** In backprop, the NN adjusts its parameters proportionate to the error in its guess. It does this by traversing backwards from the output, collecting the derivatives of the error with respect to the parameters of the functions (gradients), and optimizing the parameters using gradient descent.`),
  imports("1"),

  text("## Vector to scalar"),
  cell("2", async ({ show }) => {
    // define the x vector
    x = arange(4);
    await show(x);
  }),
  cell("3", async ({ print }) => {
    // can also create x = arange(4, { requiresGrad: true })
    x.requiresGrad_(true);
    await print(x.grad); // the gradient is null by default, which is Python's None
  }),
  cell("4", async ({ show }) => {
    // define the y = f(x) function returning a scalar
    y = tg.dot(x, x).mul(2);
    await show(y);
  }),
  cell("5", async ({ show }) => {
    y.backward();
    await show(x.grad);
  }),
  cell("6", async ({ show }) => {
    await show(x.grad!.eq(x.mul(4)));
  }),

  text(`## Vector to vector

Because y is a vector, we must pass a gradient argument to \`backward()\`.

We pass $v^T$ with the same length as y and has values 1.`),
  cell("7", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x:", x);

    y = x.pow(2).mul(3);
    await print("y:", y);

    // here is to show how to use the gradient argument in the backward function;
    // it can be useful in some cases to scale the gradients (see the example below)
    const gradientValue = [1, 1];

    y.backward(tensor(gradientValue));
    await print("x.grad:", x.grad);
  }),
  cell("8", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x:", x);

    y = x.pow(2).mul(3);
    await print("y:", y);

    const gradientValue = [1, 10]; // here is to show how to use the gradient argument
    y.backward(tensor(gradientValue));
    await print("x.grad:", x.grad);
  }),

  text(
    "One benefit of using automatic differentiation is that even if building the computational graph of a function required passing through a maze of control flow (e.g., conditionals, loops, and arbitrary function calls), we can still calculate the gradient of the resulting variable.",
  ),
  cell("10", async () => {
    // the control flow depends on values: await reads them where Python's while and if would
    f = async (a) => {
      let b = a.mul(2);
      while ((await b.norm().item()) < 1000) {
        b = b.mul(2);
      }
      let c: Tensor;
      if ((await b.sum().item()) > 0) {
        c = b;
      } else {
        c = b.mul(100);
      }
      return c;
    };
  }),
  cell("11", async ({ print, show }) => {
    const a = randn([], { requiresGrad: true });
    await print("a:", a);
    const d = await f(a);
    d.backward();
    await print("a.grad:", a.grad);
    // check that gradient is f(a)/a as expected since the function is f(a) = constant * a;
    // multiplied out, because the quotient is rounded and may differ in its last digit
    await show(a.grad!.mul(a).eq(await f(a)));
  }),
];
