/** Forward mode, and linear maps applied to every vector of a basis at once. */

import { describeValue } from "../args.ts";
import { ArgumentError } from "../errors.ts";
import { eye } from "../ops/creation.ts";
import { cat } from "../ops/join.ts";
import type { Tensor } from "../tensor.ts";
import { runBatched } from "./batched.ts";
import { gradsOrNull, type Level } from "./lift.ts";

/**
 * Forward mode from reverse mode: the vector-Jacobian product is linear in its vector v, so its own derivative by v, applied to a direction, is
 * the Jacobian times that direction. Only that last step is ever computed.
 */
export class Forward {
  readonly #outputs: readonly Tensor[];
  /** Outputs that gradients flow from, and the vectors that stand for their cotangents. */
  readonly #live: readonly Tensor[];
  readonly #dummies: readonly Tensor[];
  /** The vector-Jacobian products by the inputs; null where an input has no influence. */
  readonly products: readonly (Tensor | null)[];

  constructor(level: Level, inputs: readonly Tensor[], outputs: readonly Tensor[]) {
    this.#outputs = outputs;
    this.#live = outputs.filter((out) => out.requiresGrad);
    this.#dummies = level.lift("jvp", "the output", this.#live.map(zeros)).tensors;
    this.products = gradsOrNull(this.#live, inputs, this.#dummies, true, true);
  }

  /** True if some output does not depend on the inputs. */
  get unrelated(): boolean {
    return this.#live.length < this.#outputs.length || this.products.every((p) => p === null);
  }

  /** Tangents of the outputs in a direction (one vector an input); null where an output does not depend on the inputs. */
  pushOrNull(directions: readonly Tensor[], createGraph: boolean): (Tensor | null)[] {
    const used = this.products.flatMap((p, i) => (p !== null && p.requiresGrad ? [i] : []));
    const tangents = gradsOrNull(
      used.map((i) => this.products[i]!),
      this.#dummies,
      used.map((i) => directions[i]!),
      createGraph,
      true,
    );
    return this.#outputs.map((out) => tangents[this.#live.indexOf(out)] ?? null);
  }

  /** Tangents of the outputs in a direction, zeros where they do not depend on the inputs. */
  push(directions: readonly Tensor[], createGraph: boolean): Tensor[] {
    return this.pushOrNull(directions, createGraph).map((t, i) => t ?? zeros(this.#outputs[i]!));
  }
}

/** Zeros like a tensor, off the tape. */
export function zeros(tensor: Tensor): Tensor {
  return tensor.detach().zerosLike();
}

/** The identity of all elements of several tensors: for each, [total, ...shape]. */
export function basisOf(tensors: readonly Tensor[]): { parts: Tensor[]; total: number; starts: number[] } {
  const sizes = tensors.map((t) => t.numel());
  const total = sizes.reduce((a, b) => a + b, 0);
  let start = 0;
  const starts = sizes.map((n) => (start += n) - n);
  const parts = tensors.map((t, i) =>
    eye(total, { dtype: t.dtype, device: t.device })
      .narrow(1, starts[i]!, sizes[i]!)
      .reshape([total, ...t.shape]),
  );
  return { parts, total, starts };
}

/** Runs a linear map of several tensors over all rows of a basis, at most `chunkSize` at a time. */
export function overBasis(
  op: string,
  parts: readonly Tensor[],
  total: number,
  chunkSize: number | null,
  apply: (rows: readonly Tensor[]) => readonly Tensor[],
): Tensor[] {
  if (chunkSize !== null && !(Number.isInteger(chunkSize) && chunkSize > 0))
    throw new ArgumentError(`${op}: chunkSize should be null or a positive integer, got ${describeValue(chunkSize)}`);
  const step = chunkSize ?? Math.max(total, 1);
  const chunks: Tensor[][] = [];
  for (let start = 0; start < Math.max(total, 1); start += step) {
    const count = Math.min(step, total - start);
    const rows = parts.map((p) => (count === total ? p : p.narrow(0, start, count)));
    chunks.push(runBatched(Math.max(count, 0), rows, "same", apply).map(({ value }) => value));
  }
  return chunks[0]!.map((first, i) =>
    chunks.length === 1
      ? first
      : cat(
          chunks.map((c) => c[i]!),
          0,
        ),
  );
}
