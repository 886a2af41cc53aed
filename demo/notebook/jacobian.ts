/** The notebook's first exercise: vector-Jacobian products by autograd, and the same in plain arrays. */

// In [12]
import * as tg from "#tapegrad";
import { tensor, type Tensor } from "#tapegrad";
import { array, matmul, repeat, type NdArray } from "../numpy.ts"; // what the notebook does with NumPy, in plain arrays
import { sum } from "../python.ts"; // Python's own sum, which adds one element after the other

import { cell, formula, imports, text, type Entry } from "./entry.ts";

let x: Tensor;
let y: Tensor;
let J: NdArray;
let J_broadcast: NdArray;
let v_T: NdArray;
let gradientValue: number;
let gradientValues: number[];

/** The part of the notebook on Jacobians, in order. */
export const jacobian: readonly Entry[] = [
  text(`## Exercises

### Ex 1 – Practice with this topic, you can follow the step-by-step tutorial here

[*The Gradient Argument in PyTorch's \`backward()\` Function Explained by Examples*](https://zhang-yang.medium.com/the-gradient-argument-in-pytorchs-backward-function-explained-by-examples-68f266950c29).`),
  imports("12"),

  text("### Vector-Jacobian Product"),
  formula(
    String.raw`
J^{T} \cdot v =
\begin{bmatrix}
\frac{\partial y_{1}}{\partial x_{1}} & \dots & \frac{\partial y_{m}}{\partial x_{1}} \\
\vdots & \ddots & \vdots \\
\frac{\partial y_{1}}{\partial x_{n}} & \dots & \frac{\partial y_{m}}{\partial x_{n}} \\
\end{bmatrix}
\begin{bmatrix}
\frac{\partial \ell}{\partial y_{1}} \\
\vdots \\
\frac{\partial \ell}{\partial y_{m}} \\
\end{bmatrix}
=
\begin{bmatrix}
\frac{\partial \ell}{\partial x_{1}} \\
\vdots \\
\frac{\partial \ell}{\partial x_{n}} \\
\end{bmatrix}`,
    `
         ⎡ ∂y₁/∂x₁  ⋯  ∂yₘ/∂x₁ ⎤ ⎡ ∂ℓ/∂y₁ ⎤   ⎡ ∂ℓ/∂x₁ ⎤
Jᵀ · v = ⎢    ⋮     ⋱     ⋮    ⎥ ⎢   ⋮    ⎥ = ⎢   ⋮    ⎥
         ⎣ ∂y₁/∂xₙ  ⋯  ∂yₘ/∂xₙ ⎦ ⎣ ∂ℓ/∂yₘ ⎦   ⎣ ∂ℓ/∂xₙ ⎦
`,
  ),

  text("#### Input = Scalar, Output = Scalar"),
  formula(
    String.raw`
J = \left( \frac{\partial y_{1}}{\partial x_{1}} \right) = \left( \frac{\partial y}{\partial x} \right) = 2x`,
    "J = ( ∂y₁/∂x₁ ) = ( ∂y/∂x ) = 2x",
  ),
  cell("56", async ({ print }) => {
    // Using Tapegrad
    x = tensor(1, { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2);
    await print("y: ", y);
    y.backward();
    await print("x.grad: ", x.grad);
  }),
  cell("57", async ({ print }) => {
    // Using plain arrays
    const x1 = await x.item();
    J = array([[2 * x1]]);
    await print("J: ", J);

    v_T = array([[1]]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("58", async ({ print }) => {
    // Non-default gradient using Tapegrad
    x = tensor(1, { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2);
    await print("y: ", y);
    gradientValue = 100;
    y.backward(tensor(gradientValue));
    await print("x.grad: ", x.grad);
  }),
  cell("59", async ({ print }) => {
    // Non-default gradient using plain arrays
    const x1 = await x.item();
    J = array([[2 * x1]]);
    await print("J: ", J);
    v_T = array([[gradientValue]]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("82", async ({ print }) => {
    // Gradient is vector using Tapegrad
    x = tensor(1, { requiresGrad: true });
    await print("x: ", x);
    y = tg.stack([x.pow(2), x.pow(2), x.pow(2), x.pow(2)]);
    await print("y: ", y);
    y.backward(tensor([1, 10, 100, 1000]));
    await print("x.grad: ", x.grad);
  }),
  cell("83", async ({ print }) => {
    // Backwards accumulation
    x = tensor(1, { requiresGrad: true });
    y = x.pow(2);
    gradientValues = [1, 10, 100, 1000];

    for (const v of gradientValues) {
      y.backward(tensor(v), { retainGraph: true });
      await print("x.grad: ", x.grad);
    }
  }),
  cell("84", async ({ print }) => {
    // Gradient is vector using plain arrays
    const x1 = await x.item();
    J = array([[2 * x1]]);
    await print("J: ", J);
    J_broadcast = repeat(J, gradientValues.length);
    await print("J_broadcast: ");
    await print(J_broadcast);

    v_T = array(gradientValues);
    await print("v_T: ", v_T);
    await print("v_T dot J_broadcast: ", matmul(v_T, J_broadcast));
  }),

  text("#### Input = Vector, Output = Scalar"),
  formula(
    String.raw`
J =
\left(
\frac{\partial y_{1}}{\partial x_{1}} , \frac{\partial y_{1}}{\partial x_{2}}
\right)
=
\left(
1 , 1
\right)`,
    "J = ( ∂y₁/∂x₁ , ∂y₁/∂x₂ ) = ( 1 , 1 )",
  ),
  cell("21", async ({ print }) => {
    // Using Tapegrad
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = sum(x);
    await print("y: ", y);
    y.backward();
    await print("x.grad: ", x.grad);
  }),
  cell("24", async ({ print }) => {
    // Using plain arrays
    J = array([[1, 1]], "int");
    await print("J:");
    await print(J);

    v_T = array([[1]], "int");
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("25", async ({ print }) => {
    // Non-default gradient using Tapegrad
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = sum(x);
    gradientValue = 100;
    y.backward(tensor(gradientValue));
    await print("x.grad: ", x.grad);
  }),
  cell("26", async ({ print }) => {
    // Non-default gradient using plain arrays
    J = array([[1, 1]], "int");
    await print("J:");
    await print(J);

    v_T = array([[gradientValue]]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("89", async ({ print }) => {
    // Gradient is vector using Tapegrad
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = tg.stack([x.sum(), x.sum(), x.sum(), x.sum()]);
    await print("y: ", y);
    gradientValues = [1, 10, 100, 1000];
    y.backward(tensor(gradientValues));
    await print("x.grad: ", x.grad);
  }),
  cell("90", async ({ print }) => {
    // Backwards accumulation
    x = tensor([1, 2], { requiresGrad: true });
    y = sum(x);
    gradientValues = [1, 10, 100, 1000];
    for (const v of gradientValues) {
      y.backward(tensor(v), { retainGraph: true });
      await print("x.grad: ", x.grad);
    }
  }),
  cell("91", async ({ print }) => {
    // Gradient is vector using plain arrays
    J = array([[1, 1]], "int");
    await print("J: ", J);
    J_broadcast = repeat(J, gradientValues.length);
    await print("J_broadcast: ");
    await print(J_broadcast);

    v_T = array(gradientValues);
    await print("v_T: ", v_T);
    await print("v_T dot J_broadcast: ", matmul(v_T, J_broadcast));
  }),

  text("#### Input = Vector, Output = Vector"),
  formula(
    String.raw`
J =
\begin{bmatrix}
\frac{\partial y_{1}}{\partial x_{1}} & \frac{\partial y_{1}}{\partial x_{2}} \\
\frac{\partial y_{2}}{\partial x_{1}} & \frac{\partial y_{2}}{\partial x_{2}} \\
\end{bmatrix}
=
\begin{bmatrix}
6x_{1} & 0 \\
0 & 6x_{2} \\
\end{bmatrix}`,
    `
J = ⎡ ∂y₁/∂x₁  ∂y₁/∂x₂ ⎤ = ⎡ 6x₁   0  ⎤
    ⎣ ∂y₂/∂x₁  ∂y₂/∂x₂ ⎦   ⎣  0   6x₂ ⎦
`,
  ),
  cell("32", async ({ print }) => {
    // Using Tapegrad
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2).mul(3);
    await print("y: ", y);
    gradientValues = [1, 1];
    y.backward(tensor(gradientValues));
    await print("x.grad: ", x.grad);
  }),
  cell("33", async ({ print }) => {
    // Using plain arrays
    const x1 = await x.at(0).item();
    const x2 = await x.at(1).item();
    J = array([
      [6 * x1, 0],
      [0, 6 * x2],
    ]);
    await print("J:");
    await print(J);

    v_T = array([gradientValues]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("34", async ({ print }) => {
    // Non-one gradient using Tapegrad
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2).mul(3);
    await print("y: ", y);
    gradientValues = [1, 10];
    y.backward(tensor(gradientValues));
    await print("x.grad: ", x.grad);
  }),
  cell("35", async ({ print }) => {
    // Non-one gradient using plain arrays
    const x1 = await x.at(0).item();
    const x2 = await x.at(1).item();
    J = array([
      [6 * x1, 0],
      [0, 6 * x2],
    ]);
    await print("J:");
    await print(J);

    v_T = array([gradientValues]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),

  text("#### Input = Vector, Output = Vector Full Example"),
  formula(
    String.raw`
x =
\left(
x_{1} , x_{2}
\right)
=
\left(
1 , 2
\right)`,
    "x = ( x₁ , x₂ ) = ( 1 , 2 )",
  ),
  formula(
    String.raw`
y =
\left(
3x_{1}^{2} , x_{1}^{2} + 2x_{2}^{3} , 10x_{2}
\right)`,
    "y = ( 3x₁² , x₁² + 2x₂³ , 10x₂ )",
  ),
  formula(
    String.raw`
y =
\left(
y_{1} = 3x_{1}^{2} , y_{2} = x_{1}^{2} + 2x_{2}^{3} , y_{3} = 10x_{2}
\right)`,
    "y = ( y₁ = 3x₁² , y₂ = x₁² + 2x₂³ , y₃ = 10x₂ )",
  ),
  formula(
    String.raw`
J =
\begin{bmatrix}
\frac{\partial y_{1}}{\partial x_{1}} & \frac{\partial y_{1}}{\partial x_{2}} \\
\frac{\partial y_{2}}{\partial x_{1}} & \frac{\partial y_{2}}{\partial x_{2}} \\
\frac{\partial y_{3}}{\partial x_{1}} & \frac{\partial y_{3}}{\partial x_{2}} \\
\end{bmatrix}
=
\begin{bmatrix}
6x_{1} & 0 \\
2x_{1} & 6x_{2}^{2} \\
0 & 10 \\
\end{bmatrix}`,
    `
    ⎡ ∂y₁/∂x₁  ∂y₁/∂x₂ ⎤   ⎡ 6x₁   0   ⎤
J = ⎢ ∂y₂/∂x₁  ∂y₂/∂x₂ ⎥ = ⎢ 2x₁  6x₂² ⎥
    ⎣ ∂y₃/∂x₁  ∂y₃/∂x₂ ⎦   ⎣  0    10  ⎦
`,
  ),
  cell("39", async ({ print }) => {
    // Using Tapegrad; y.at(0) is a view of y, so writing to it is y[0] = ...
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = tg.empty(3);
    y.at(0).copy_(x.at(0).pow(2).mul(3));
    y.at(1).copy_(x.at(0).pow(2).add(x.at(1).pow(3).mul(2)));
    y.at(2).copy_(x.at(1).mul(10));
    await print("y: ", y);
    gradientValues = [1, 10, 100];
    y.backward(tensor(gradientValues));
    await print("x.grad: ", x.grad);
  }),
  cell("40", async ({ print }) => {
    // Using plain arrays
    const x1 = await x.at(0).item();
    const x2 = await x.at(1).item();
    J = array([
      [6 * x1, 0],
      [2 * x1, 6 * x2 ** 2],
      [0, 10],
    ]);
    await print("J:");
    await print(J);

    v_T = array([gradientValues]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
];
