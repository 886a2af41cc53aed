/** Operations that users define: `torch.autograd.Function`. */

import { describeValue } from "../args.ts";
import { Impl, wrap } from "../base.ts";
import { isFloat } from "../dtype.ts";
import { AutogradError } from "../errors.ts";
import { isTensor, snapshot } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { noGrad } from "./mode.ts";
import { attach, edgeOf, GradFn, metaOf, needsTape, SavedTensor, type Grads } from "./tape.ts";

/** What `forward` leaves for `backward`. Any other property may be set on it, too. */
export interface FunctionContext {
  /** Keeps tensors for `backward`, where `savedTensors` has them. */
  saveForBackward(...tensors: readonly Tensor[]): void;
  /** In `backward`: what `saveForBackward` kept. */
  readonly savedTensors: readonly Tensor[];
  /** In `backward`: which of `forward`'s arguments need a gradient. */
  readonly needsInputGrad: readonly boolean[];
  /** Results that gradients never flow to. */
  markNonDifferentiable(...tensors: readonly Tensor[]): void;
  /** False: gradients that are missing come as null rather than zeros. */
  setMaterializeGrads(value: boolean): void;
  [key: string]: unknown;
}

type Result = Tensor | readonly Tensor[];
type GradResult = Tensor | null | readonly (Tensor | null | undefined)[];

/** A subclass's static methods. */
interface FunctionClass<A extends readonly unknown[], R extends Result> {
  readonly name: string;
  forward(ctx: FunctionContext, ...args: A): R;
  backward(ctx: FunctionContext, ...grads: Tensor[]): GradResult;
}

class Context {
  [key: string]: unknown;
  #kept: Tensor[] = [];
  #saved: readonly Tensor[] | null = null;
  #flat = new Set<Tensor>();
  materialize = true;
  needsInputGrad: readonly boolean[] = [];

  saveForBackward(...tensors: readonly Tensor[]): void {
    this.#kept = [...tensors];
  }
  get savedTensors(): readonly Tensor[] {
    return this.#saved ?? this.#kept;
  }
  markNonDifferentiable(...tensors: readonly Tensor[]): void {
    for (const t of tensors) this.#flat.add(t);
  }
  setMaterializeGrads(value: boolean): void {
    this.materialize = value;
  }
  isFlat(tensor: Tensor): boolean {
    return this.#flat.has(tensor);
  }
  present(saved: readonly Tensor[] | null): void {
    this.#saved = saved;
  }
}

/**
 * Base class of operations with a derivative of their own: a subclass has static methods `forward(ctx, ...args)` and
 * `backward(ctx, ...grads)`, and is called by `Subclass.apply(...args)`. `backward` gives one gradient an argument (null for
 * those that are no tensors).
 */
export class Function {
  /** Runs `forward` off the tape and records `backward`. */
  static apply<A extends readonly unknown[], R extends Result>(this: FunctionClass<A, R>, ...args: A): R {
    for (const method of ["forward", "backward"] as const)
      if (typeof this[method] !== "function")
        throw new AutogradError(
          `${this.name}.apply: a subclass of autograd.Function needs a static method ${method}(ctx, ...): ${this.name} has none`,
        );
    const ctx = new Context();
    const inputs = args.filter(isTensor);
    ctx.needsInputGrad = args.map((a) => isTensor(a) && a.requiresGrad);
    const result = noGrad(() => this.forward(ctx, ...args));
    if (!isTensor(result) && !(Array.isArray(result) && result.every(isTensor)))
      throw new AutogradError(
        `${this.name}.apply: forward must return a Tensor or an array of Tensors, got ${describeValue(result)}`,
      );
    if (!needsTape(...inputs)) return result;
    const outs = (isTensor(result) ? [result] : [...result]).map((out) =>
      // A result that is one of the inputs gets a handle of its own, so that its history is this operation's.
      inputs.includes(out) ? snapshot(out) : out.gradFn === null && !out.requiresGrad ? out : aliasOff(out),
    );
    const kept = ctx.savedTensors.map((t) => new SavedTensor(t, outs.indexOf(t)));
    const edges = args.map((a) => (isTensor(a) ? edgeOf(a) : null));
    const backward = this.backward.bind(this);
    const fn = new GradFn({
      name: `${this.name}Backward`,
      edges,
      results: outs.map(metaOf),
      saved: kept,
      apply: (grads, saved, needed) => {
        ctx.needsInputGrad = needed;
        ctx.present(saved);
        const given = outs.map((out, i) => grads[i] ?? (ctx.materialize ? out.detach().zerosLike() : null));
        const returned = backward(ctx, ...(given as Tensor[]));
        if (returned !== null && !isTensor(returned) && !Array.isArray(returned))
          throw new AutogradError(
            `function ${fn.name} returned ${describeValue(returned)} in place of gradients: backward gives one for each argument of forward ` +
              `(${args.length}), null for those that need none`,
          );
        const list: Grads = (isTensor(returned) || returned === null ? [returned] : [...returned]).map(
          (g) => g ?? null,
        );
        while (list.length > args.length && list[list.length - 1] === null) list.pop();
        if (list.length !== args.length)
          throw new AutogradError(
            `function ${fn.name} returned an incorrect number of gradients (expected ${args.length}, got ${list.length}): ` +
              `backward gives one for each argument of forward, null for those that need none`,
          );
        list.forEach((g, i) => {
          if (g !== null && !isTensor(g))
            throw new AutogradError(`function ${fn.name} returned something other than a Tensor or null at index ${i}`);
        });
        return list;
      },
    });
    outs.forEach((out, i) => {
      if (isFloat(out.dtype) && !ctx.isFlat(out)) attach(out, fn, i);
    });
    return (isTensor(result) ? outs[0] : outs) as R;
  }
}

function aliasOff(tensor: Tensor): Tensor {
  return wrap(new Impl(tensor.impl.storage, tensor.impl, tensor.impl.dtype));
}
