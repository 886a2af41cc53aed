/** Functions of one example, for a batch of examples: `torch.func.vmap`. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import type { Randomness } from "../graph/trace.ts";
import { isTensor } from "../ops/apply.ts";
import { cat } from "../ops/join.ts";
import type { Tensor } from "../tensor.ts";
import { runBatched, type BatchResult } from "./batched.ts";
import { broadcastPrefix, describe, putTogether, takeApart, type Form } from "./tree.ts";

/** A dimension, null for what is not batched, or nested arrays and records of these as the arguments are nested. */
export type Dims = number | null | readonly Dims[] | { readonly [key: string]: Dims };

/** Options of `vmap`. */
export interface VmapOptions {
  /** The batch dimension of each argument (0 by default); null for arguments that all examples share. */
  inDims?: Dims;
  /** Where the batch dimension goes in each result (0 by default). */
  outDims?: Dims;
  /** What random operations do: `"error"` (by default), `"different"` numbers for each example, or the `"same"`. */
  randomness?: Randomness;
  /** Most examples computed at once; all of them by default. */
  chunkSize?: number | null;
}

const VMAP = signature<VmapOptions>()("vmap", ["inDims", "outDims", "randomness"], ["chunkSize"]);

/** A batched argument, or what all examples share. */
interface Argument {
  readonly value: unknown;
  readonly dim: number | null;
}

/**
 * A function of whole batches from a function of one example. `fn` is called once, with tensors that have no batch dimension and stand for every
 * example; what it computes is then run for all examples together, in as many kernels as one example takes. Arguments and results are
 * tensors, or nested arrays and records of them.
 *
 * Works with derivatives taken inside and outside, and inside itself. `fn` cannot read values (`item()`), cannot be asynchronous, and cannot
 * change tensors from outside in place.
 *
 * ```ts
 * const perExample = vmap(func.grad(loss), [null, 0, 0]); // loss(weights, x, y)
 * const grads = perExample(weights, xs, ys);
 * ```
 */
export function vmap<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  ...options: ArgsOf<typeof VMAP>
): (...args: A) => R {
  const { inDims = 0, outDims = 0, randomness = "error", chunkSize = null } = parse(VMAP, options);
  if (typeof fn !== "function") throw new ArgumentError("vmap: the first argument must be a function");
  if (randomness !== "error" && randomness !== "same" && randomness !== "different")
    throw new ArgumentError(
      `vmap: only allows randomness options 'error', 'different', and 'same', got ${String(randomness)}`,
    );
  if (chunkSize !== null && !(Number.isInteger(chunkSize) && chunkSize > 0))
    throw new ArgumentError(`vmap: chunkSize should be null or a positive integer, got ${describeValue(chunkSize)}`);
  return (...args: A): R => {
    const { leaves, form } = takeApart(args);
    const list = argumentsOf(leaves, form, inDims);
    const size = batchSize(list);
    const step = chunkSize ?? Math.max(size, 1);
    const parts: { results: BatchResult[]; form: Form; size: number }[] = [];
    for (let start = 0; start < Math.max(size, 1); start += step) {
      const count = Math.min(step, size - start);
      parts.push({ ...runChunk(fn, list, form, start, Math.max(count, 0), randomness), size: count });
    }
    return assemble(parts, outDims) as R;
  };
}

function argumentsOf(leaves: readonly unknown[], form: Form, inDims: Dims): Argument[] {
  if (leaves.length === 0)
    throw new ArgumentError(
      "vmap: got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a function with no inputs. The latter is unsupported.",
    );
  const dims = broadcastPrefix(inDims, form);
  if (dims === null)
    throw new ArgumentError(
      "vmap: inDims is not compatible with the structure of the inputs: it must be a number, null, or nested as the array of arguments is",
    );
  return leaves.map((value, i) => {
    const dim = dims[i] ?? null;
    if (dim === null) return { value, dim: null };
    if (typeof dim !== "number" || !Number.isInteger(dim))
      throw new ArgumentError(
        `vmap: got inDim=${typeof dim === "object" ? JSON.stringify(dim) : describeValue(dim)} for an input, but inDim must be an integer or null`,
      );
    if (!isTensor(value))
      throw new ArgumentError(
        `vmap: got inDim=${dim} for an input but the input is of type ${describe(value)}. We cannot vmap over non-Tensor arguments, ` +
          `please use null as the respective inDim`,
      );
    const rank = value.dim();
    if (dim < -rank || dim >= rank)
      throw new ShapeError(
        `vmap: got inDim=${dim} for some input, but that input is a Tensor of dimensionality ${rank} so expected inDim to satisfy ` +
          `${-rank} <= inDim < ${rank}.`,
      );
    return { value, dim: dim < 0 ? dim + rank : dim };
  });
}

function batchSize(list: readonly Argument[]): number {
  const sizes = list.flatMap(({ value, dim }) => (dim === null ? [] : [(value as Tensor).shape[dim]!]));
  if (sizes.length === 0)
    throw new ArgumentError("vmap: at least one input must be batched: inDims is null for all of them");
  if (sizes.some((s) => s !== sizes[0]))
    throw new ShapeError(
      `vmap: Expected all tensors to have the same size in the mapped dimension, got sizes [${sizes.join(", ")}] for the mapped dimension`,
    );
  return sizes[0]!;
}

/** Runs `fn` for examples `start` to `start + count`. */
function runChunk(
  fn: (...args: never) => unknown,
  list: readonly Argument[],
  form: Form,
  start: number,
  count: number,
  randomness: Randomness,
): { results: BatchResult[]; form: Form } {
  const batched: Tensor[] = [];
  for (const { value, dim } of list) {
    if (dim === null) continue;
    const tensor = value as Tensor;
    const part = count === tensor.shape[dim] ? tensor : tensor.narrow(dim, start, count);
    batched.push(dim === 0 ? part : part.movedim(dim, 0));
  }
  let outForm: Form | null = null;
  const results = runBatched(count, batched, randomness, (stands) => {
    let next = 0;
    const leaves = list.map(({ value, dim }) => (dim === null ? value : stands[next++]!));
    const args = putTogether(form, leaves) as never[];
    const out = takeApart((fn as (...a: unknown[]) => unknown)(...args));
    outForm = out.form;
    for (const leaf of out.leaves)
      if (!isTensor(leaf))
        throw new ArgumentError(
          leaf instanceof Promise
            ? "vmap: the function must not be asynchronous: operations whose result's shape depends on values cannot be vectorised"
            : `vmap: the function must only return Tensors (in nested arrays and records), got type ${describe(leaf)}`,
        );
    return out.leaves as Tensor[];
  });
  return { results, form: outForm! };
}

/** Results with their batch dimension where `outDims` says. */
function assemble(
  parts: readonly { results: readonly BatchResult[]; form: Form; size: number }[],
  outDims: Dims,
): unknown {
  const { form, results } = parts[0]!;
  const dims = broadcastPrefix(outDims, form);
  if (dims === null)
    throw new ArgumentError(
      "vmap: outDims is not compatible with the structure of the outputs: it must be a number, null, or nested as they are",
    );
  const leaves = results.map((result, i) => {
    const dim = dims[i] ?? null;
    if (dim === null) {
      if (!result.batched) return result.single;
      throw new ArgumentError(
        "vmap: can not return a value that differs between examples when outDims is null for it: give it a dimension",
      );
    }
    const rank = result.value.dim();
    if (typeof dim !== "number" || !Number.isInteger(dim) || dim < -rank || dim >= rank)
      throw new ShapeError(
        `vmap: outDims ${JSON.stringify(dim)} is out of range for a result of ${rank} dimensions (with the batch): expected ${-rank} to ${rank - 1}`,
      );
    const chunks = parts.map((part) => part.results[i]!.value);
    const whole = chunks.length === 1 ? chunks[0]! : cat(chunks, 0);
    return dim === 0 ? whole : whole.movedim(0, dim);
  });
  return putTogether(form, leaves);
}
