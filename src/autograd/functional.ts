/** Derivatives of functions at a point: `torch.autograd.functional`, with its arguments, forms of results and errors. */

import { parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError, AutogradError, ShapeError } from "../errors.ts";
import { basisOf, Forward, overBasis, zeros } from "../func/jacobian.ts";
import { gradsOrNull, Level } from "../func/lift.ts";
import { sameShape, showShape } from "../graph/view.ts";
import { isTensor } from "../ops/apply.ts";
import { stack } from "../ops/join.ts";
import type { Tensor } from "../tensor.ts";
import { enableGrad, isGradEnabled } from "./mode.ts";
import { record } from "./tape.ts";

/** One tensor, or several. */
type Tensors = Tensor | readonly Tensor[];

/** A function of tensors: several arguments where the inputs are an array. */
type TensorFunction = (...inputs: Tensor[]) => Tensors;

interface Common {
  /** Keep the results on the tape, so that they can be differentiated again. */
  createGraph?: boolean;
  /** Throw where an output does not depend on an input, instead of giving zeros. */
  strict?: boolean;
}

interface VectorOptions extends Common {
  v?: Tensors | null;
}

interface JacobianOptions extends Common {
  /** Compute all rows (or columns) at once rather than one after the other. */
  vectorize?: boolean;
  strategy?: "reverse-mode" | "forward-mode";
}

type VectorNames = readonly ["func", "inputs", "v", "createGraph", "strict"];
type Given = { func: TensorFunction; inputs: Tensors };
const VECTOR: VectorNames = ["func", "inputs", "v", "createGraph", "strict"];

/** Results of the form of the inputs. */
type Like<I> = I extends Tensor ? Tensor : Tensor[];

// --- forms ----------------------------------------------------------------------------------------------------------

interface Listed {
  readonly isList: boolean;
  readonly list: readonly Tensor[];
}

function listed(value: unknown, what: string, op: string): Listed {
  const isList = Array.isArray(value);
  const list: unknown[] = isList ? (value as unknown[]) : [value];
  list.forEach((item, i) => {
    if (isTensor(item)) return;
    const type = item === null ? "null" : typeof item;
    throw new ArgumentError(
      `The ${what} given to ${op} must be either a Tensor or an array of Tensors but the ` +
        (isList ? `value at index ${i} has type ${type}.` : `given ${what} has type ${type}.`),
    );
  });
  return { isList, list: list as Tensor[] };
}

function unlisted(list: readonly Tensor[], isList: boolean): Tensor | Tensor[] {
  return isList ? [...list] : list[0]!;
}

/** The inputs as new tensors on a tape: attached to the caller's only where the results are to be. */
function prepared(inputs: readonly Tensor[], createGraph: boolean, needsGrad: boolean): Tensor[] {
  return inputs.map((input) => {
    if (!(createGraph && input.requiresGrad)) {
      const own = input.detach();
      return needsGrad ? own.requiresGrad_() : own;
    }
    const alias = input.detach();
    record("AliasBackward0", alias, [[input, [], (g) => g]]);
    return alias;
  });
}

function finished(list: readonly Tensor[], createGraph: boolean): Tensor[] {
  return createGraph ? [...list] : list.map((t) => t.detach());
}

/** Runs the function on its inputs and lists what it gives. */
function evaluate(op: string, func: TensorFunction, inputs: readonly Tensor[], strict: boolean): Listed {
  if (typeof func !== "function") throw new ArgumentError(`${op}: func must be a function`);
  const outputs = listed(func(...inputs), "outputs of the user-provided function", op);
  if (strict)
    outputs.list.forEach((out, i) => {
      if (!out.requiresGrad)
        throw new AutogradError(
          `Output ${i} of the user-provided function does not require gradients. The outputs must be computed in a ` +
            `differentiable manner from the input when running in strict mode.`,
        );
    });
  return outputs;
}

function checkVector(v: readonly Tensor[], like: Listed): void {
  if (v.length !== like.list.length)
    throw new ArgumentError(
      like.isList
        ? `v is an array of invalid length: should be ${like.list.length} but got ${v.length}.`
        : "The given v should contain a single Tensor.",
    );
  v.forEach((t, i) => {
    const { shape } = like.list[i]!;
    if (!sameShape(t.shape, shape))
      throw new ShapeError(
        `${like.isList ? `Entry ${i} in ` : ""}v has invalid size: should be ${showShape(shape)} but got ${showShape(t.shape)}.`,
      );
  });
}

/** The vector given, or ones where it may be left out. */
function vectorFor(op: string, v: Tensors | null, like: Listed, createGraph: boolean, subject: string): Tensor[] {
  if (v !== null) {
    const { list } = listed(v, "v", op);
    checkVector(list, like);
    return prepared(list, createGraph, false);
  }
  if (like.list.length !== 1 || like.list[0]!.numel() !== 1)
    throw new ArgumentError(`The vector v can only be null if the ${subject}.`);
  return [like.list[0]!.detach().onesLike()];
}

/** Gradients with zeros for missing ones, or `missing(i)`'s error in strict mode. */
function filled(
  grads: readonly (Tensor | null)[],
  like: readonly Tensor[],
  strict: boolean,
  createGraph: boolean,
  missing: (i: number) => string,
  constant: ((i: number) => string) | null = null,
): Tensor[] {
  return grads.map((g, i) => {
    if (g === null) {
      if (strict) throw new AutogradError(missing(i));
      return zeros(like[i]!);
    }
    if (strict && createGraph && constant !== null && !g.requiresGrad) throw new AutogradError(constant(i));
    return g;
  });
}

const independentOf = (i: number): string =>
  `The output of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`;
const jacobianConstant = (i: number): string =>
  `The jacobian of the user-provided function is independent of input ${i}. This is not allowed in strict mode when createGraph=true.`;
const hessianMissing = (i: number): string =>
  `The hessian of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`;
const hessianConstant = (i: number): string =>
  `The hessian of the user-provided function is independent of input ${i}. This is not allowed in strict mode when createGraph=true.`;
const trickMissing = (i: number): string =>
  `The gradient with respect to the input is independent of entry ${i} in the grad_outputs when using the double backward trick to ` +
  `compute forward mode gradients. This is not allowed in strict mode.`;

/** A scalar function's gradient on the tape, for what is differentiated again. */
function scalarGradient(op: string, outputs: Listed, inputs: readonly Tensor[], strict: boolean): (Tensor | null)[] {
  if (outputs.isList) throw new ArgumentError(`The function given to ${op} should return a single Tensor`);
  if (outputs.list[0]!.numel() !== 1)
    throw new ShapeError(`The Tensor returned by the function given to ${op} should contain a single element`);
  const ones = outputs.list.map((out) => out.detach().onesLike());
  const jacobian = gradsOrNull(outputs.list, inputs, ones, true, true);
  if (strict)
    jacobian.forEach((g, i) => {
      if (g === null) throw new AutogradError(independentOf(i));
      if (!g.requiresGrad)
        throw new AutogradError(
          `While computing the hessian, found that the jacobian of the user-provided function with respect to input ${i} is ` +
            `independent of the input. This is not allowed in strict mode. You should ensure that your function is twice differentiable ` +
            `and that the jacobian depends on the inputs (this would be violated by a linear function for example).`,
        );
    });
  return jacobian;
}

/** Gradients of those tensors that are there and on the tape, weighted. */
function gradsOfSome(
  tensors: readonly (Tensor | null)[],
  inputs: readonly Tensor[],
  weights: readonly Tensor[],
  createGraph: boolean,
): (Tensor | null)[] {
  const used = tensors.flatMap((t, i) => (t !== null && t.requiresGrad ? [i] : []));
  return gradsOrNull(
    used.map((i) => tensors[i]!),
    inputs,
    used.map((i) => weights[i]!),
    createGraph,
    true,
  );
}

// --- products with vectors ------------------------------------------------------------------------------------------

const VJP = signature<Given & VectorOptions>()("vjp", VECTOR);

/**
 * The function's value and the product of `v` (of the output's form) with its Jacobian at `inputs`: `[output, vjp]`, the latter of the inputs' form. `v` may
 * be left out where the output has one element.
 */
export function vjp<I extends Tensors, O extends Tensors>(
  func: (...inputs: Tensor[]) => O,
  inputs: I,
  v?: Tensors | null | VectorOptions,
  createGraph?: boolean | VectorOptions,
  strict?: boolean | VectorOptions,
): [Like<O>, Like<I>];
export function vjp(...args: readonly unknown[]): unknown {
  const { func, inputs: given, v = null, createGraph = false, strict = false } = parse(VJP, args);
  const wanted = isGradEnabled();
  return enableGrad(() => {
    const inputs = listed(given, "inputs", "vjp");
    const own = prepared(inputs.list, createGraph, true);
    const outputs = evaluate("vjp", func, own, strict);
    const subject = "user-provided function returns a single Tensor with a single element";
    const seeds = vectorFor("vjp", v, outputs, createGraph, subject);
    const grads = gradsOrNull(outputs.list, own, seeds, createGraph, createGraph || wanted);
    const result = filled(grads, own, strict, createGraph, independentOf, jacobianConstant);
    return [
      unlisted(finished(outputs.list, createGraph), outputs.isList),
      unlisted(finished(result, createGraph), inputs.isList),
    ];
  });
}

const JVP = signature<Given & VectorOptions>()("jvp", VECTOR);

/**
 * The function's value and the product of its Jacobian at `inputs` with `v` (of the inputs' form): `[output, jvp]`, both of the output's form. `v` may be
 * left out where the input has one element.
 */
export function jvp<O extends Tensors>(
  func: (...inputs: Tensor[]) => O,
  inputs: Tensors,
  v?: Tensors | null | VectorOptions,
  createGraph?: boolean | VectorOptions,
  strict?: boolean | VectorOptions,
): [Like<O>, Like<O>];
export function jvp(...args: readonly unknown[]): unknown {
  const { func, inputs: given, v = null, createGraph = false, strict = false } = parse(JVP, args);
  return enableGrad(() => {
    const inputs = listed(given, "inputs", "jvp");
    const own = prepared(inputs.list, createGraph, true);
    const subject = "input to the user-provided function is a single Tensor with a single element";
    const directions = vectorFor("jvp", v, { ...inputs, list: own }, createGraph, subject);
    const outputs = evaluate("jvp", func, own, strict);
    const forward = new Forward(new Level(), own, outputs.list);
    if (strict) checkProducts(forward.products);
    const result = filled(
      forward.pushOrNull(directions, createGraph),
      outputs.list,
      strict,
      createGraph,
      trickMissing,
      jacobianConstant,
    );
    return [
      unlisted(finished(outputs.list, createGraph), outputs.isList),
      unlisted(finished(result, createGraph), outputs.isList),
    ];
  });
}

function checkProducts(products: readonly (Tensor | null)[]): void {
  products.forEach((p, i) => {
    if (p === null) throw new AutogradError(independentOf(i));
    if (!p.requiresGrad)
      throw new AutogradError(
        `The gradient with respect to input ${i} is independent of the inputs of the user-provided function. This is not allowed in strict mode.`,
      );
  });
}

const VHP = signature<Given & VectorOptions>()("vhp", VECTOR);

/** A scalar function's value and the product of `v` (of the inputs' form) with its Hessian at `inputs`: `[output, vhp]`. */
export function vhp<I extends Tensors>(
  func: (...inputs: Tensor[]) => Tensor,
  inputs: I,
  v?: Tensors | null | VectorOptions,
  createGraph?: boolean | VectorOptions,
  strict?: boolean | VectorOptions,
): [Tensor, Like<I>];
export function vhp(...args: readonly unknown[]): unknown {
  const { func, inputs: given, v = null, createGraph = false, strict = false } = parse(VHP, args);
  return enableGrad(() => {
    const inputs = listed(given, "inputs", "vhp");
    const own = prepared(inputs.list, createGraph, true);
    const subject = "input to the user-provided function is a single Tensor with a single element";
    const weights = vectorFor("vhp", v, { ...inputs, list: own }, createGraph, subject);
    const outputs = evaluate("vhp", func, own, strict);
    const jacobian = scalarGradient("vhp", outputs, own, strict);
    const grads = gradsOfSome(jacobian, own, weights, createGraph);
    const result = filled(grads, own, strict, createGraph, hessianMissing, hessianConstant);
    return [finished(outputs.list, createGraph)[0]!, unlisted(finished(result, createGraph), inputs.isList)];
  });
}

const HVP = signature<Given & VectorOptions>()("hvp", VECTOR);

/** A scalar function's value and the product of its Hessian at `inputs` with `v` (of the inputs' form): `[output, hvp]`. `vhp` is cheaper. */
export function hvp<I extends Tensors>(
  func: (...inputs: Tensor[]) => Tensor,
  inputs: I,
  v?: Tensors | null | VectorOptions,
  createGraph?: boolean | VectorOptions,
  strict?: boolean | VectorOptions,
): [Tensor, Like<I>];
export function hvp(...args: readonly unknown[]): unknown {
  const { func, inputs: given, v = null, createGraph = false, strict = false } = parse(HVP, args);
  return enableGrad(() => {
    const inputs = listed(given, "inputs", "hvp");
    const own = prepared(inputs.list, createGraph, true);
    const subject = "input to the user-provided function is a single Tensor with a single element";
    const directions = vectorFor("hvp", v, { ...inputs, list: own }, createGraph, subject);
    const outputs = evaluate("hvp", func, own, strict);
    const jacobian = scalarGradient("hvp", outputs, own, strict).map((g, i) => g ?? zeros(own[i]!));
    const forward = new Forward(new Level(), own, jacobian);
    if (strict) checkProducts(forward.products);
    const grads = forward.pushOrNull(directions, createGraph);
    const result = filled(grads, own, strict, createGraph, hessianMissing, hessianConstant);
    return [finished(outputs.list, createGraph)[0]!, unlisted(finished(result, createGraph), inputs.isList)];
  });
}

// --- Jacobian and Hessian -------------------------------------------------------------------------------------------

const JACOBIAN = signature<Given & JacobianOptions>()("jacobian", [
  "func",
  "inputs",
  "createGraph",
  "strict",
  "vectorize",
  "strategy",
]);

/** For an output O and inputs I: a tensor, an array over the inputs, over the outputs, or over outputs and in them inputs. */
type JacobianOf<O, I> = O extends Tensor ? Like<I> : Like<I>[];

/**
 * The Jacobian of `func` at `inputs`: shape [...output, ...input]. For an array of inputs, an array; for an array of outputs, an array
 * of that. `strategy: "forward-mode"` (with `vectorize`) goes column by column.
 */
export function jacobian<I extends Tensors, O extends Tensors>(
  func: (...inputs: Tensor[]) => O,
  inputs: I,
  createGraph?: boolean | JacobianOptions,
  strict?: boolean | JacobianOptions,
  vectorize?: boolean | JacobianOptions,
  strategy?: "reverse-mode" | "forward-mode",
): JacobianOf<O, I>;
export function jacobian(...args: readonly unknown[]): unknown {
  const options = parse(JACOBIAN, args);
  const { func, inputs: given, createGraph = false, strict = false, vectorize = false } = options;
  const strategy = checkStrategy(options.strategy ?? "reverse-mode");
  if (strategy === "forward-mode") {
    if (createGraph)
      throw new AutogradError(
        `autograd.functional.jacobian: createGraph: true and strategy: "forward-mode" are not supported together. ` +
          `Please either set createGraph: false or strategy: "reverse-mode".`,
      );
    if (strict)
      throw new AutogradError(
        `autograd.functional.jacobian: strict: true and strategy: "forward-mode" are not supported together. ` +
          `Please either set strict: false or strategy: "reverse-mode".`,
      );
    if (!vectorize)
      throw new AutogradError(
        `autograd.functional.jacobian: strategy: "forward-mode" is only implemented for vectorize: true.`,
      );
  } else if (vectorize && strict)
    throw new AutogradError(
      "autograd.functional.jacobian: strict: true and vectorize: true are not supported together. " +
        "Please either set strict: false or vectorize: false.",
    );
  return enableGrad(() => {
    const inputs = listed(given, "inputs", "jacobian");
    const own = prepared(inputs.list, createGraph, true);
    const outputs = evaluate("jacobian", func, own, strict);
    const blocks =
      strategy === "forward-mode"
        ? byColumns(own, outputs.list)
        : vectorize
          ? byRowsAtOnce(own, outputs.list, createGraph)
          : outputs.list.map((out, o) => byRows(own, out, o, createGraph, strict));
    const rows = blocks.map((row) => unlisted(finished(row, createGraph), inputs.isList));
    return outputs.isList ? rows : rows[0]!;
  });
}

function checkStrategy(strategy: string): "reverse-mode" | "forward-mode" {
  if (strategy === "reverse-mode" || strategy === "forward-mode") return strategy;
  throw new ArgumentError(
    `Expected strategy to be either "forward-mode" or "reverse-mode", got ${strategy}. Hint: If your function has more outputs ` +
      `than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".`,
  );
}

/** Blocks of one output by all inputs, element by element of the output. */
function byRows(inputs: readonly Tensor[], out: Tensor, o: number, createGraph: boolean, strict: boolean): Tensor[] {
  const flat = out.reshape([-1]);
  const rows: Tensor[][] = inputs.map(() => []);
  for (let j = 0; j < flat.numel(); j++) {
    const element = flat.select(0, j);
    const grads = gradsOrNull([element], inputs, null, createGraph, true);
    const missing = (i: number): string =>
      `Output ${o} of the user-provided function is independent of input ${i}. This is not allowed in strict mode.`;
    filled(grads, inputs, strict, createGraph, missing, jacobianConstant).forEach((g, i) => rows[i]!.push(g));
  }
  return inputs.map((input, i) => {
    const shape = [...out.shape, ...input.shape];
    return rows[i]!.length === 0 ? input.detach().newZeros(shape) : stack(rows[i]!, 0).reshape(shape);
  });
}

function byRowsAtOnce(inputs: readonly Tensor[], outputs: readonly Tensor[], createGraph: boolean): Tensor[][] {
  const { parts, total, starts } = basisOf(outputs);
  const rows = overBasis("jacobian", parts, total, null, (seeds) =>
    gradsOrNull(outputs, inputs, seeds, createGraph, true).map((g, i) => g ?? zeros(inputs[i]!)),
  );
  return outputs.map((out, o) =>
    inputs.map((input, i) => rows[i]!.narrow(0, starts[o]!, out.numel()).reshape([...out.shape, ...input.shape])),
  );
}

function byColumns(inputs: readonly Tensor[], outputs: readonly Tensor[]): Tensor[][] {
  const { parts, total, starts } = basisOf(inputs);
  const forward = new Forward(new Level(), inputs, outputs);
  const columns = overBasis("jacobian", parts, total, null, (directions) => forward.push(directions, false));
  return outputs.map((out, o) =>
    inputs.map((input, i) =>
      columns[o]!.narrow(0, starts[i]!, input.numel())
        .movedim(0, -1)
        .reshape([...out.shape, ...input.shape]),
    ),
  );
}

interface HessianOptions extends Common {
  vectorize?: boolean;
  outerJacobianStrategy?: "reverse-mode" | "forward-mode";
}

const HESSIAN = signature<Given & HessianOptions>()("hessian", [
  "func",
  "inputs",
  "createGraph",
  "strict",
  "vectorize",
  "outerJacobianStrategy",
]);

/**
 * The Hessian of a scalar function at `inputs`: shape [...input, ...input], for an array of inputs an array of arrays. `outerJacobianStrategy:
 * "forward-mode"` (with `vectorize`) goes forward over reverse mode.
 */
export function hessian<I extends Tensors>(
  func: (...inputs: Tensor[]) => Tensor,
  inputs: I,
  createGraph?: boolean | HessianOptions,
  strict?: boolean | HessianOptions,
  vectorize?: boolean | HessianOptions,
  outerJacobianStrategy?: "reverse-mode" | "forward-mode",
): I extends Tensor ? Tensor : Tensor[][];
export function hessian(...args: readonly unknown[]): unknown {
  const options: Given & HessianOptions = parse(HESSIAN, args as ArgsOf<typeof HESSIAN>);
  const { func, inputs, createGraph = false, strict = false, vectorize = false } = options;
  const strategy = checkStrategy(options.outerJacobianStrategy ?? "reverse-mode");
  const { isList } = listed(inputs, "inputs", "hessian");
  const scalar = (...own: Tensor[]): Tensor => {
    const out = listed(func(...own), "outputs of the user-provided function", "hessian");
    if (out.isList) throw new ArgumentError("The function given to hessian should return a single Tensor");
    if (out.list[0]!.numel() !== 1)
      throw new ShapeError("The Tensor returned by the function given to hessian should contain a single element");
    return out.list[0]!.reshape([]);
  };
  const slope = (...own: Tensor[]): Tensor | Tensor[] => {
    // Through forward mode the inputs are on a tape already, and the gradient must depend on it.
    const gradient = jacobian(scalar, isList ? own : own[0]!, { createGraph: true });
    if (strict)
      listed(gradient, "jacobian", "hessian").list.forEach((g, i) => {
        if (!g.requiresGrad)
          throw new AutogradError(
            `While computing the hessian, found that the jacobian of the user-provided function with respect to input ${i} is independent of ` +
              `the input. This is not allowed in strict mode. You should ensure that your function is twice differentiable and that the ` +
              `jacobian depends on the inputs (this would be violated by a linear function for example).`,
          );
      });
    return gradient;
  };
  return jacobian(slope, inputs, { createGraph, strict, vectorize, strategy });
}
