/**
 * The notebook "Getting familiar with torch.autograd", cell by cell. What is shown as a cell's code is the text of its function in this file, so what is
 * shown is what ran.
 */

import * as tg from "#tapegrad";
import { arange, ones, randn, stack, tensor, type Tensor } from "#tapegrad";
import { array, matmul, repeat, type NdArray } from "../numpy.ts";

/** What a cell can do besides computing: print a line, or show its last value, or draw. */
export interface CellOutput {
  /** Python's `print`: values separated by spaces. */
  print(...values: Printable[]): Promise<void>;
  /** The value of the cell's last line. */
  show(value: Printable): Promise<void>;
  /** A plot of several curves over x. */
  plot(plot: PlotData): Promise<void>;
  /** The tape below a tensor. */
  graph(tape: tg.TapeGraph): Promise<void>;
}

/** What can be printed. */
export type Printable = Tensor | NdArray | string | number | boolean | null;

/** Curves over the same x; gaps where a value is not finite. */
export interface PlotData {
  readonly title: string;
  readonly x: readonly number[];
  readonly curves: readonly { readonly name: string; readonly y: readonly number[]; readonly dashed?: boolean }[];
}

/** A heading or text of the notebook, or a cell that runs. */
export type Entry =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "cell"; readonly label: string; readonly run: (out: CellOutput) => Promise<void> };

const text = (value: string): Entry => ({ kind: "text", text: value });
const cell = (label: string, run: (out: CellOutput) => Promise<void>): Entry => ({ kind: "cell", label, run });

let x: Tensor;
let y: Tensor;
let J: NdArray;
let v_T: NdArray;
let gradientValue: number;
let gradientValues: number[];

/** A function whose control flow depends on values: `await` reads them where Python's `if` would. */
async function f(a: Tensor): Promise<Tensor> {
  let b = a.mul(2);
  while ((await b.norm().item()) < 1000) b = b.mul(2);
  return (await b.sum().item()) > 0 ? b : b.mul(100);
}

/** Python's built-in `sum`: the elements of an iterable one after the other, from 0 on. */
function sum(values: Iterable<Tensor>): Tensor {
  let total: Tensor | null = null;
  for (const value of values) total = value.add(total ?? 0);
  return total!;
}

/** The notebook, in order. */
export const notebook: readonly Entry[] = [
  text("# Getting familiar with torch.autograd"),
  text("## Vector to scalar"),
  cell("2", async ({ show }) => {
    // define the x vector
    x = arange(4);
    await show(x);
  }),
  cell("3", async ({ print }) => {
    // can also create x = arange(4, { requiresGrad: true })
    x.requiresGrad_(true);
    await print(x.grad); // the gradient is null by default
  }),
  cell("4", async ({ show }) => {
    // define the y = f(x) function returning a scalar
    y = x.dot(x).mul(2);
    await show(y);
  }),
  cell("5", async ({ show }) => {
    y.backward();
    await show(x.grad);
  }),
  cell("6", async ({ show }) => {
    await show(x.grad!.eq(x.mul(4)));
  }),

  text("## Vector to vector"),
  text("Because y is a vector, we must pass a gradient argument to backward()."),
  cell("7", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x:", x);
    y = x.pow(2).mul(3);
    await print("y:", y);
    y.backward(tensor([1, 1]));
    await print("x.grad:", x.grad);
  }),
  cell("8", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x:", x);
    y = x.pow(2).mul(3);
    await print("y:", y);
    y.backward(tensor([1, 10]));
    await print("x.grad:", x.grad);
  }),
  text(
    "Even if building the computational graph required passing through a maze of control flow, the gradient can be calculated. " +
      "f(a) doubles its argument until its norm reaches 1000, and multiplies negative results by 100.",
  ),
  cell("11", async ({ print, show }) => {
    const a = randn([], { requiresGrad: true });
    await print("a:", a);
    const d = await f(a);
    d.backward();
    await print("a.grad:", a.grad);
    // the gradient is f(a)/a, as the function is f(a) = constant * a
    await show(a.grad!.eq((await f(a)).div(a)));
  }),

  text("# Exercises"),
  text("## Ex 1: vector-Jacobian product"),
  text("### Input = scalar, output = scalar"),
  cell("56", async ({ print }) => {
    x = tensor(1, { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2);
    await print("y: ", y);
    y.backward();
    await print("x.grad: ", x.grad);
  }),
  cell("57", async ({ print }) => {
    const at = await x.detach().item();
    J = array([[2 * at]]);
    await print("J: ", J);
    v_T = array([[1]]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("58", async ({ print }) => {
    // non-default gradient
    x = tensor(1, { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2);
    await print("y: ", y);
    gradientValue = 100;
    y.backward(tensor(gradientValue));
    await print("x.grad: ", x.grad);
  }),
  cell("59", async ({ print }) => {
    const at = await x.detach().item();
    J = array([[2 * at]]);
    await print("J: ", J);
    v_T = array([[gradientValue]]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("82", async ({ print }) => {
    // gradient is a vector
    x = tensor(1, { requiresGrad: true });
    await print("x: ", x);
    y = stack([x.pow(2), x.pow(2), x.pow(2), x.pow(2)]);
    await print("y: ", y);
    y.backward(tensor([1, 10, 100, 1000]));
    await print("x.grad: ", x.grad);
  }),
  cell("83", async ({ print }) => {
    // backwards accumulation
    x = tensor(1, { requiresGrad: true });
    y = x.pow(2);
    gradientValues = [1, 10, 100, 1000];
    for (const v of gradientValues) {
      y.backward(tensor(v), { retainGraph: true });
      await print("x.grad: ", x.grad);
    }
  }),
  cell("84", async ({ print }) => {
    const at = await x.detach().item();
    J = array([[2 * at]]);
    await print("J: ", J);
    const J_broadcast = repeat(J, gradientValues.length);
    await print("J_broadcast: ");
    await print(J_broadcast);
    v_T = array(gradientValues);
    await print("v_T: ", v_T);
    await print("v_T dot J_broadcast: ", matmul(v_T, J_broadcast));
  }),

  text("### Input = vector, output = scalar"),
  cell("21", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = sum(x);
    await print("y: ", y);
    y.backward();
    await print("x.grad: ", x.grad);
  }),
  cell("24", async ({ print }) => {
    J = array([[1, 1]], "int");
    await print("J:");
    await print(J);
    v_T = array([[1]], "int");
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("25", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = sum(x);
    gradientValue = 100;
    y.backward(tensor(gradientValue));
    await print("x.grad: ", x.grad);
  }),
  cell("26", async ({ print }) => {
    J = array([[1, 1]], "int");
    await print("J:");
    await print(J);
    v_T = array([[gradientValue]]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("89", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = stack([x.sum(), x.sum(), x.sum(), x.sum()]);
    await print("y: ", y);
    y.backward(tensor([1, 10, 100, 1000]));
    await print("x.grad: ", x.grad);
  }),
  cell("90", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    y = sum(x);
    gradientValues = [1, 10, 100, 1000];
    for (const v of gradientValues) {
      y.backward(tensor(v), { retainGraph: true });
      await print("x.grad: ", x.grad);
    }
  }),
  cell("91", async ({ print }) => {
    J = array([[1, 1]], "int");
    await print("J: ", J);
    const J_broadcast = repeat(J, gradientValues.length);
    await print("J_broadcast: ");
    await print(J_broadcast);
    v_T = array(gradientValues);
    await print("v_T: ", v_T);
    await print("v_T dot J_broadcast: ", matmul(v_T, J_broadcast));
  }),

  text("### Input = vector, output = vector"),
  cell("32", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2).mul(3);
    await print("y: ", y);
    gradientValues = [1, 1];
    y.backward(tensor(gradientValues));
    await print("x.grad: ", x.grad);
  }),
  cell("33", async ({ print }) => {
    const at = await x.detach().data();
    J = array([
      [6 * at[0]!, 0],
      [0, 6 * at[1]!],
    ]);
    await print("J:");
    await print(J);
    v_T = array([gradientValues]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("34", async ({ print }) => {
    x = tensor([1, 2], { requiresGrad: true });
    await print("x: ", x);
    y = x.pow(2).mul(3);
    await print("y: ", y);
    gradientValues = [1, 10];
    y.backward(tensor(gradientValues));
    await print("x.grad: ", x.grad);
  }),
  cell("35", async ({ print }) => {
    const at = await x.detach().data();
    J = array([
      [6 * at[0]!, 0],
      [0, 6 * at[1]!],
    ]);
    await print("J:");
    await print(J);
    v_T = array([gradientValues]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),
  cell("39", async ({ print }) => {
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
    const at = await x.detach().data();
    J = array([
      [6 * at[0]!, 0],
      [2 * at[0]!, 6 * at[1]! ** 2],
      [0, 10],
    ]);
    await print("J:");
    await print(J);
    v_T = array([gradientValues]);
    await print("v_T: ", v_T);
    await print("v_T dot J: ", matmul(v_T, J));
  }),

  text("## Ex 2: f(x) = sin(x) and its derivative, by automatic differentiation"),
  cell("Ex 2", async ({ print, plot }) => {
    x = tg.linspace(-6, 6, 121, { requiresGrad: true });
    y = x.sin();
    y.backward(ones(121));
    await print("f(1), f'(1):", y.detach().at(70), x.grad!.at(70));
    await plot({
      title: "f(x) = sin x and f'(x) by autograd",
      x: [...(await x.data())],
      curves: [
        { name: "f(x)", y: [...(await y.data())] },
        { name: "f'(x)", y: [...(await x.grad!.data())] },
      ],
    });
  }),

  text("## Ex 5: f(x) = ln(x^2) sin x + 1/x"),
  text("The dependency graph, the analytic derivative and the one by automatic differentiation."),
  cell("Ex 5", async ({ print, plot, graph }) => {
    // 0 is left out: f is not defined there
    const positive = tg.linspace(0.5, 10, 96);
    x = tg.cat([positive.flip(0).neg(), positive]).requiresGrad_();
    const square = x.square();
    const logarithm = square.log();
    const sine = x.sin();
    const product = logarithm.mul(sine);
    y = product.add(x.reciprocal());
    await graph(tg.graph(y));
    y.backward(tg.onesLike(y));
    // chain rule: (2/x) sin x + ln(x^2) cos x - 1/x^2
    const at = x.detach();
    const analytic = at
      .reciprocal()
      .mul(2)
      .mul(at.sin())
      .add(at.square().log().mul(at.cos()))
      .sub(at.square().reciprocal());
    const difference = x.grad!.sub(analytic).abs().max();
    await print("largest difference:", await difference.item());
    await plot({
      title: "f'(x): analytic and by autograd",
      x: [...(await at.data())],
      curves: [
        { name: "analytic", y: [...(await analytic.data())] },
        { name: "autograd", y: [...(await x.grad!.data())], dashed: true },
      ],
    });
  }),
];

/** The text of a cell's function, given this file's source. */
export function codeOf(label: string, source: string): string {
  const start = source.indexOf(`\n  cell("${label}", async (`);
  const body = source.indexOf("=> {\n", start) + 5;
  const end = source.indexOf("\n  }),", body);
  return source
    .slice(body, end)
    .split("\n")
    .map((line) => line.replace(/^ {4}/, ""))
    .join("\n");
}
