/** Inputs of a function that is to be differentiated, put on a tape of their own; and results taken off it again. */

import { grad } from "../autograd/engine.ts";
import { isGradEnabled } from "../autograd/mode.ts";
import { edgeOf, record, type GradFn, type Grads } from "../autograd/tape.ts";
import { isFloat } from "../dtype.ts";
import { ArgumentError, DTypeError } from "../errors.ts";
import { isTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { describe, putTogether, takeApart, type Form } from "./tree.ts";

/** A nested value of tensors that a function is differentiated by. */
export interface Lifted {
  readonly form: Form;
  /** The tensors that the function gets: the same values, on the tape. */
  readonly tensors: readonly Tensor[];
  readonly value: unknown;
}

/** The leaves that only this differentiation knows: results must not stay attached to them. */
export class Level {
  readonly #hidden = new Set<GradFn>();

  /** Puts every tensor of a nested value on the tape. Throws unless all leaves are floating tensors. */
  lift(op: string, what: string, value: unknown): Lifted {
    const { leaves, form } = takeApart(value);
    const tensors = leaves.map((leaf) => {
      if (!isTensor(leaf))
        throw new ArgumentError(`${op}: expected all elements of ${what} to be Tensors, got ${describe(leaf)}`);
      if (!isFloat(leaf.dtype))
        throw new DTypeError(
          `${op}: only Tensors of floating point dtype can be differentiated by, but ${what} has ${leaf.dtype}; convert it with .to("float32")`,
        );
      return this.#alias(leaf);
    });
    return { form, tensors, value: putTogether(form, tensors) };
  }

  #alias(tensor: Tensor): Tensor {
    let from = tensor;
    if (!tensor.requiresGrad) {
      from = tensor.detach();
      from.impl.requiresGrad = true;
      this.#hidden.add(edgeOf(from)!.fn);
    }
    const out = tensor.detach();
    record("AliasBackward0", out, [[from, [], (g) => g]]);
    return out;
  }

  /** True if gradients of these tensors reach anything but the hidden leaves. */
  reachesOut(tensors: readonly Tensor[]): boolean {
    const seen = new Set<GradFn>();
    const stack = tensors.flatMap((t) => edgeOf(t)?.fn ?? []);
    while (stack.length > 0) {
      const fn = stack.pop()!;
      if (seen.has(fn) || this.#hidden.has(fn)) continue;
      seen.add(fn);
      if (fn.variable !== null) return true;
      for (const edge of fn.edges) if (edge !== null) stack.push(edge.fn);
    }
    return false;
  }

  /** A result as the caller may have it: off the tape unless gradients reach something that the caller knows. */
  release(tensor: Tensor, keepsTape: boolean): Tensor {
    return tensor.requiresGrad && !(keepsTape && this.reachesOut([tensor])) ? tensor.detach() : tensor;
  }

  /** `release` for every tensor of a nested value. */
  releaseAll(value: unknown, keepsTape: boolean): unknown {
    const { leaves, form } = takeApart(value);
    return putTogether(
      form,
      leaves.map((leaf) => (isTensor(leaf) ? this.release(leaf, keepsTape) : leaf)),
    );
  }
}

/** Gradients of the weighted sum of `outputs`; zeros where they do not depend on an input. */
export function gradsOrZeros(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  seeds: readonly Tensor[] | null,
  createGraph: boolean,
  retainGraph: boolean,
): Tensor[] {
  const found = gradsOrNull(outputs, inputs, seeds, createGraph, retainGraph);
  return found.map((g, i) => g ?? inputs[i]!.detach().zerosLike());
}

/** The same with null where an input is not used. */
export function gradsOrNull(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  seeds: readonly Tensor[] | null,
  createGraph: boolean,
  retainGraph: boolean,
): Grads {
  const used = outputs.flatMap((out, i) => (out.requiresGrad ? [i] : []));
  if (used.length === 0) return inputs.map(() => null);
  return grad(
    used.map((i) => outputs[i]!),
    inputs,
    {
      gradOutputs: seeds === null ? null : used.map((i) => seeds[i]!),
      createGraph,
      retainGraph: retainGraph || createGraph,
      allowUnused: true,
    },
  );
}

/** True if derivatives of results may be wanted by whoever called. */
export function callerRecords(): boolean {
  return isGradEnabled();
}
