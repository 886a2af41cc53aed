/** Derivatives of functions: `torch.func`'s transforms. They compose with one another and with `vmap`, to any order. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { enableGrad } from "../autograd/mode.ts";
import { isFloat } from "../dtype.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { sameShape, showShape } from "../graph/view.ts";
import { isTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { basisOf, Forward, overBasis } from "./jacobian.ts";
import { callerRecords, gradsOrZeros, Level, type Lifted } from "./lift.ts";
import { describe, putTogether, takeApart, type Form, type TensorTree } from "./tree.ts";

/** The argument to differentiate by (the first is 0), or several. */
export type Argnums = number | readonly number[];

interface Aux {
  /** True if the function gives `[result, aux]`, where aux is passed on as it is. */
  hasAux?: boolean;
}

/** What a derivative by `argnums` has the form of: the argument's, or an array of the arguments'. */
export type ByArgnums<A extends readonly unknown[], N> = N extends readonly number[]
  ? { -readonly [I in keyof N]: N[I] extends keyof A ? A[N[I]] : A[number] }
  : N extends keyof A
    ? A[N]
    : number extends N
      ? A[0]
      : A[number];

type Fn<A extends readonly unknown[], R> = (...args: A) => R;

/** Arguments with those to differentiate by on the tape. */
interface Call {
  readonly level: Level;
  readonly lifted: readonly Lifted[];
  readonly args: readonly unknown[];
  /** One argument rather than an array of them. */
  readonly single: boolean;
}

function liftArguments(op: string, args: readonly unknown[], argnums: Argnums): Call {
  const level = new Level();
  const list = typeof argnums === "number" ? [argnums] : argnums;
  if (list.length === 0) throw new ArgumentError(`${op}: argnums must be non-empty`);
  const at = list.map((n) => {
    const index = Number.isInteger(n) && n < 0 ? n + args.length : n;
    if (!Number.isInteger(n) || index < 0 || index >= args.length)
      throw new ArgumentError(`${op}: got argnum=${describeValue(n)}, but only ${args.length} positional inputs`);
    return index;
  });
  if (new Set(at).size !== at.length)
    throw new ArgumentError(`${op}: argnums elements must be unique, got [${list.join(", ")}]`);
  const next = [...args];
  const lifted = at.map((index) => {
    const one = level.lift(op, `argument ${index}`, args[index]);
    next[index] = one.value;
    return one;
  });
  return { level, lifted, args: next, single: typeof argnums === "number" };
}

/** Puts one value for each lifted tensor back into the arguments' form. */
function byArgument(call: Call, values: readonly unknown[]): unknown {
  let at = 0;
  const parts = call.lifted.map(({ form, tensors }) => {
    const part = values.slice(at, at + tensors.length);
    at += tensors.length;
    return putTogether(form, part);
  });
  return call.single ? parts[0] : parts;
}

function tensorsOf(call: Call): Tensor[] {
  return call.lifted.flatMap((l) => l.tensors);
}

function splitAux(op: string, result: unknown, hasAux: boolean): { out: unknown; aux: unknown } {
  if (result instanceof Promise)
    throw new ArgumentError(`${op}: the function must not be asynchronous: it has to return tensors at once`);
  if (!hasAux) return { out: result, aux: undefined };
  if (!Array.isArray(result) || result.length !== 2)
    throw new ArgumentError(`${op}: with hasAux the function must return [output, aux], got ${describe(result)}`);
  return { out: result[0] as unknown, aux: result[1] as unknown };
}

function outputTensors(op: string, out: unknown): { tensors: Tensor[]; form: Form } {
  const { leaves, form } = takeApart(out);
  for (const leaf of leaves)
    if (!isTensor(leaf))
      throw new ArgumentError(`${op}: expected the function to return only Tensors, got ${describe(leaf)}`);
  return { tensors: leaves as Tensor[], form };
}

// --- grad -----------------------------------------------------------------------------------------------------------

const GRAD = signature<{ argnums?: Argnums } & Aux>()("grad", ["argnums", "hasAux"]);

function differentiate(
  op: string,
  fn: (...args: never[]) => unknown,
  argnums: Argnums,
  hasAux: boolean,
  args: readonly unknown[],
): { grads: unknown; value: unknown; aux: unknown } {
  const outer = callerRecords();
  return enableGrad(() => {
    const call = liftArguments(op, args, argnums);
    const { out, aux } = splitAux(op, (fn as (...a: unknown[]) => unknown)(...call.args), hasAux);
    if (!isTensor(out))
      throw new ArgumentError(`${op}: expected the function to return a Tensor to differentiate, got ${describe(out)}`);
    if (out.dim() !== 0)
      throw new ShapeError(
        `${op}: expected the function to return a tensor with 0 dimensions to differentiate, got shape ${showShape(out.shape)}: reduce it, ` +
          `for example with sum(), or use jacrev`,
      );
    if (!isFloat(out.dtype))
      throw new ArgumentError(`${op}: expected the function to return a floating point tensor, got ${out.dtype}`);
    const keeps = outer && call.level.reachesOut([out]);
    const grads = gradsOrZeros([out], tensorsOf(call), null, keeps, keeps);
    return {
      grads: byArgument(
        call,
        grads.map((g) => call.level.release(g, keeps)),
      ),
      value: call.level.release(out, keeps),
      aux: call.level.releaseAll(aux, outer),
    };
  });
}

/**
 * The function that gives the gradient of `fn`, which returns a tensor without dimensions, by the arguments `argnums` (the first by default). Gradients have the form of
 * those arguments: tensors, or nested arrays and records of them. With `hasAux`, `fn` gives `[output, aux]` and the result is `[gradients, aux]`.
 *
 * ```ts
 * const slope = func.grad((x: Tensor) => x.sin());
 * const curvature = func.grad(func.grad((x: Tensor) => x.sin()));
 * ```
 */
export function grad<A extends readonly unknown[], const N extends Argnums = 0>(
  fn: Fn<A, unknown>,
  argnums?: N,
): Fn<A, ByArgnums<A, N>>;
export function grad<A extends readonly unknown[], X, const N extends Argnums = 0>(
  fn: Fn<A, readonly [Tensor, X]>,
  options: { argnums?: N; hasAux: true },
): Fn<A, [ByArgnums<A, N>, X]>;
export function grad<A extends readonly unknown[], const N extends Argnums = 0>(
  fn: Fn<A, unknown>,
  options: { argnums?: N; hasAux?: false },
): Fn<A, ByArgnums<A, N>>;
export function grad(
  fn: (...args: never[]) => unknown,
  ...options: readonly unknown[]
): Fn<readonly unknown[], unknown> {
  const { argnums = 0, hasAux = false } = parse(GRAD, options);
  return (...args) => {
    const { grads, aux } = differentiate("grad", fn, argnums, hasAux, args);
    return hasAux ? [grads, aux] : grads;
  };
}

const GRAD_AND_VALUE = signature<{ argnums?: Argnums } & Aux>()("gradAndValue", ["argnums", "hasAux"]);

/**
 * Like `grad`, with the function's value: gives `[gradients, value]`, PyTorch's order (and `[gradients, [value, aux]]` with `hasAux`).
 */
export function gradAndValue<A extends readonly unknown[], const N extends Argnums = 0>(
  fn: Fn<A, unknown>,
  argnums?: N,
): Fn<A, [ByArgnums<A, N>, Tensor]>;
export function gradAndValue<A extends readonly unknown[], X, const N extends Argnums = 0>(
  fn: Fn<A, readonly [Tensor, X]>,
  options: { argnums?: N; hasAux: true },
): Fn<A, [ByArgnums<A, N>, [Tensor, X]]>;
export function gradAndValue(
  fn: (...args: never[]) => unknown,
  ...options: readonly unknown[]
): Fn<readonly unknown[], unknown> {
  const { argnums = 0, hasAux = false } = parse(GRAD_AND_VALUE, options);
  return (...args) => {
    const { grads, value, aux } = differentiate("gradAndValue", fn, argnums, hasAux, args);
    return [grads, hasAux ? [value, aux] : value];
  };
}

const VALUE_AND_GRAD = signature<{ argnums?: Argnums } & Aux>()("valueAndGrad", ["argnums", "hasAux"]);

/** Like `gradAndValue` with the value first: `[value, gradients]`, or `[[value, aux], gradients]`. */
export function valueAndGrad<A extends readonly unknown[], const N extends Argnums = 0>(
  fn: Fn<A, unknown>,
  argnums?: N,
): Fn<A, [Tensor, ByArgnums<A, N>]>;
export function valueAndGrad<A extends readonly unknown[], X, const N extends Argnums = 0>(
  fn: Fn<A, readonly [Tensor, X]>,
  options: { argnums?: N; hasAux: true },
): Fn<A, [[Tensor, X], ByArgnums<A, N>]>;
export function valueAndGrad(
  fn: (...args: never[]) => unknown,
  ...options: readonly unknown[]
): Fn<readonly unknown[], unknown> {
  const { argnums = 0, hasAux = false } = parse(VALUE_AND_GRAD, options);
  return (...args) => {
    const { grads, value, aux } = differentiate("valueAndGrad", fn, argnums, hasAux, args);
    return [hasAux ? [value, aux] : value, grads];
  };
}

// --- vjp and jvp ----------------------------------------------------------------------------------------------------

/** Tensors of a tangent or cotangent, checked against what it belongs to. */
function matching(op: string, what: string, value: unknown, like: readonly Tensor[]): Tensor[] {
  const { leaves } = takeApart(value);
  if (leaves.length !== like.length || !leaves.every(isTensor))
    throw new ArgumentError(
      `${op}: expected ${what} to have the same structure as what it belongs to (${like.length} tensors), got ${leaves.length} values`,
    );
  return leaves.map((leaf, i) => {
    const t = leaf;
    if (!sameShape(t.shape, like[i]!.shape))
      throw new ShapeError(
        `${op}: ${what} has shape ${showShape(t.shape)} where ${showShape(like[i]!.shape)} is expected`,
      );
    return t;
  });
}

/** Takes the options from the end of a list of arguments, if there are any with these names. */
function trailingAux(args: readonly unknown[]): { values: readonly unknown[]; hasAux: boolean } {
  const last = args[args.length - 1];
  if (typeof last === "object" && last !== null && !isTensor(last) && "hasAux" in last)
    return { values: args.slice(0, -1), hasAux: (last as Aux).hasAux ?? false };
  return { values: args, hasAux: false };
}

/**
 * `fn` at `primals`, and the function that takes a cotangent (of the output's form) to the vector-Jacobian product: of the primal's form, or
 * an array where there are several primals. With a trailing `{ hasAux: true }`, `[output, vjpFn, aux]`.
 */
export function vjp<A extends readonly unknown[], R extends TensorTree>(
  fn: Fn<A, R>,
  ...primals: A
): [R, (cotangents: R) => A extends readonly [infer P] ? P : A];
export function vjp<A extends readonly unknown[], R extends TensorTree, X>(
  fn: Fn<A, readonly [R, X]>,
  ...primals: readonly [...A, { hasAux: true }]
): [R, (cotangents: R) => A extends readonly [infer P] ? P : A, X];
export function vjp(fn: (...args: never[]) => unknown, ...given: readonly unknown[]): unknown[] {
  const { values, hasAux } = trailingAux(given);
  if (values.length === 0) throw new ArgumentError("vjp: got no inputs to differentiate by");
  const outer = callerRecords();
  return enableGrad(() => {
    const { level, ...call } = liftArguments(
      "vjp",
      values,
      values.map((_, i) => i),
    );
    const { out, aux } = splitAux("vjp", (fn as (...a: unknown[]) => unknown)(...call.args), hasAux);
    const { tensors, form } = outputTensors("vjp", out);
    const inputs = call.lifted.flatMap((l) => l.tensors);
    const single = values.length === 1;
    const pull = (cotangents: unknown): unknown => {
      const keeps = callerRecords();
      const seeds = matching("vjp", "the cotangent", cotangents, tensors);
      const createGraph = keeps && (level.reachesOut(tensors) || seeds.some((s) => s.requiresGrad));
      const grads = gradsOrZeros(tensors, inputs, seeds, createGraph, true);
      return byArgument(
        { ...call, level, single },
        grads.map((g) => level.release(g, createGraph)),
      );
    };
    const result = putTogether(
      form,
      tensors.map((t) => level.release(t, outer)),
    );
    return hasAux ? [result, pull, level.releaseAll(aux, outer)] : [result, pull];
  });
}

const JVP = signature<
  {
    primals: readonly unknown[];
    tangents: readonly unknown[];
    strict?: boolean;
  } & Aux
>()("jvp", ["primals", "tangents"], ["strict", "hasAux"]);

/**
 * `fn` at `primals` (an array of its arguments), and the Jacobian-vector product in the direction of `tangents`: `[output, tangent]`, and aux with `hasAux`.
 * Outputs that do not depend on the primals have a zero tangent, or throw with `strict`.
 */
export function jvp<A extends readonly unknown[], R extends TensorTree>(
  fn: Fn<A, R>,
  ...args: ArgsOf<typeof JVP>
): [R, R];
export function jvp<A extends readonly unknown[], R extends TensorTree, X>(
  fn: Fn<A, readonly [R, X]>,
  primals: A,
  tangents: A,
  options: { hasAux: true; strict?: boolean },
): [R, R, X];
export function jvp(fn: (...args: never[]) => unknown, ...given: readonly unknown[]): unknown[] {
  const { primals, tangents, strict = false, hasAux = false } = parse(JVP, given);
  if (!Array.isArray(primals) || primals.length === 0)
    throw new ArgumentError("jvp: expected primals to be an array with one or more arguments");
  if (!Array.isArray(tangents))
    throw new ArgumentError("jvp: expected tangents to be an array with the structure of primals");
  const outer = callerRecords();
  return enableGrad(() => {
    const call = liftArguments(
      "jvp",
      primals,
      primals.map((_, i) => i),
    );
    const { level } = call;
    const { out, aux } = splitAux("jvp", (fn as (...a: unknown[]) => unknown)(...call.args), hasAux);
    const { tensors, form } = outputTensors("jvp", out);
    const inputs = tensorsOf(call);
    const directions = matching("jvp", "the tangents", tangents, inputs);
    const createGraph = outer && (level.reachesOut(tensors) || directions.some((t) => t.requiresGrad));
    const forward = new Forward(level, inputs, tensors);
    if (strict && forward.unrelated)
      throw new ArgumentError("jvp: the output does not depend on the primals, which strict does not allow");
    const moved = forward.push(directions, createGraph).map((t) => level.release(t, createGraph));
    const result = [
      putTogether(
        form,
        tensors.map((t) => level.release(t, outer)),
      ),
      putTogether(form, moved),
    ];
    return hasAux ? [...result, level.releaseAll(aux, outer)] : result;
  });
}

// --- Jacobians ------------------------------------------------------------------------------------------------------

interface JacobianOptions extends Aux {
  argnums?: Argnums;
  /** Most rows (`jacrev`) or columns (`jacfwd`) computed at once; all of them by default. */
  chunkSize?: number | null;
}

const JACREV = signature<JacobianOptions>()("jacrev", ["argnums"], ["hasAux", "chunkSize"]);
const JACFWD = signature<JacobianOptions & { randomness?: "error" | "same" | "different" }>()(
  "jacfwd",
  ["argnums", "hasAux"],
  ["chunkSize", "randomness"],
);

/**
 * The function that gives the Jacobian of `fn` by the arguments `argnums`, row by row through reverse mode (best where there are fewer outputs than
 * inputs). For an output of shape S and an argument of shape T the result has shape [...S, ...T]; nested outputs and
 * arguments give nested results, outputs outermost.
 */
export function jacrev<A extends readonly unknown[]>(
  fn: Fn<A, Tensor>,
  ...options: ArgsOf<typeof JACREV>
): Fn<A, Tensor>;
export function jacrev<A extends readonly unknown[], R = TensorTree>(
  fn: Fn<A, unknown>,
  ...options: ArgsOf<typeof JACREV>
): Fn<A, R>;
export function jacrev(
  fn: (...args: never[]) => unknown,
  ...options: readonly unknown[]
): Fn<readonly unknown[], unknown> {
  const { argnums = 0, hasAux = false, chunkSize = null } = parse(JACREV, options);
  return (...args) => {
    const outer = callerRecords();
    return enableGrad(() => {
      const call = liftArguments("jacrev", args, argnums);
      const { level } = call;
      const { out, aux } = splitAux("jacrev", (fn as (...a: unknown[]) => unknown)(...call.args), hasAux);
      const { tensors, form } = outputTensors("jacrev", out);
      const inputs = tensorsOf(call);
      const keeps = outer && level.reachesOut(tensors);
      const { parts, total, starts } = basisOf(tensors);
      const rows = overBasis("jacrev", parts, total, chunkSize, (seeds) =>
        gradsOrZeros(tensors, inputs, seeds, keeps, true),
      );
      const blocks = tensors.map((y, o) =>
        byArgument(
          call,
          inputs.map((x, i) =>
            level.release(rows[i]!.narrow(0, starts[o]!, y.numel()).reshape([...y.shape, ...x.shape]), keeps),
          ),
        ),
      );
      const result = putTogether(form, blocks);
      return hasAux ? [result, level.releaseAll(aux, outer)] : result;
    });
  };
}

/**
 * The same Jacobian, column by column through forward mode (best where there are fewer inputs than outputs). `randomness` is accepted as in
 * PyTorch; the function is run once whatever its value.
 */
export function jacfwd<A extends readonly unknown[]>(
  fn: Fn<A, Tensor>,
  ...options: ArgsOf<typeof JACFWD>
): Fn<A, Tensor>;
export function jacfwd<A extends readonly unknown[], R = TensorTree>(
  fn: Fn<A, unknown>,
  ...options: ArgsOf<typeof JACFWD>
): Fn<A, R>;
export function jacfwd(
  fn: (...args: never[]) => unknown,
  ...options: readonly unknown[]
): Fn<readonly unknown[], unknown> {
  const { argnums = 0, hasAux = false, chunkSize = null } = parse(JACFWD, options);
  return (...args) => {
    const outer = callerRecords();
    return enableGrad(() => {
      const call = liftArguments("jacfwd", args, argnums);
      const { level } = call;
      const { out, aux } = splitAux("jacfwd", (fn as (...a: unknown[]) => unknown)(...call.args), hasAux);
      const { tensors, form } = outputTensors("jacfwd", out);
      const inputs = tensorsOf(call);
      const keeps = outer && level.reachesOut(tensors);
      const { parts, total, starts } = basisOf(inputs);
      const forward = new Forward(level, inputs, tensors);
      const columns = overBasis("jacfwd", parts, total, chunkSize, (directions) => forward.push(directions, keeps));
      const blocks = tensors.map((y, o) =>
        byArgument(
          call,
          inputs.map((x, i) => {
            const part = columns[o]!.narrow(0, starts[i]!, x.numel()).movedim(0, -1);
            return level.release(part.reshape([...y.shape, ...x.shape]), keeps);
          }),
        ),
      );
      const result = putTogether(form, blocks);
      return hasAux ? [result, level.releaseAll(aux, outer)] : result;
    });
  };
}

/** The function that gives the Hessian of `fn` by the arguments `argnums`: forward over reverse mode, `jacfwd(jacrev(fn))`. */
export function hessian<A extends readonly unknown[]>(fn: Fn<A, Tensor>, argnums?: number): Fn<A, Tensor>;
export function hessian<A extends readonly unknown[], R = TensorTree>(fn: Fn<A, unknown>, argnums?: Argnums): Fn<A, R>;
export function hessian(fn: (...args: never[]) => unknown, argnums: Argnums = 0): Fn<readonly unknown[], unknown> {
  return jacfwd(jacrev(fn as Fn<readonly unknown[], unknown>, argnums), argnums) as Fn<readonly unknown[], unknown>;
}
