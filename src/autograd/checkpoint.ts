/** Trading computation for memory: what a function saved is dropped, and computed again when its derivative is needed. */

import { applyOptions, isOptions } from "../args.ts";
import { ArgumentError, AutogradError } from "../errors.ts";
import { sameShape, showShape } from "../graph/view.ts";
import { isTensor } from "../ops/apply.ts";
import { getRngState, setRngState, type RandomState } from "../random.ts";
import type { Tensor } from "../tensor.ts";
import { backward, isCapturing } from "./engine.ts";
import { Function, type FunctionContext } from "./function.ts";
import { isGradEnabled, isPromise, withMode } from "./mode.ts";
import { pushSavedTensorHooks, SavedTensor, type SavedTensorHooks } from "./tape.ts";

/** Options of `checkpoint`. */
export interface CheckpointOptions {
  /**
   * False (by default): only saved values are computed again, so that everything works as without checkpoint. True: PyTorch's older way, by a
   * `backward()` inside the derivative; it needs an input that requires grad, and no `autograd.grad`.
   */
  useReentrant?: boolean;
  /** Draw the same random numbers when computing again; true by default. */
  preserveRngState?: boolean;
}

type Result = Tensor | readonly Tensor[];

/**
 * `fn(...inputs)`, without keeping what it saves for its derivative: that is computed again, by calling `fn` a second time, when a gradient needs
 * it (`torch.utils.checkpoint.checkpoint`). Only the inputs are kept. `fn` must compute the same again: random numbers are repeated, but state that it
 * changes is changed twice. Checkpoints nest, and gradients of gradients work.
 *
 * ```ts
 * const y = utils.checkpoint((x) => block.forward(x), x);
 * ```
 */
export function checkpoint<A extends readonly unknown[], R>(
  fn: (...inputs: A) => R,
  ...inputs: readonly [...A, CheckpointOptions] | A
): R {
  if (typeof fn !== "function") throw new ArgumentError("checkpoint: the first argument must be a function");
  const last = inputs[inputs.length - 1];
  const named = isOptions(last) && ("useReentrant" in last || "preserveRngState" in last) ? last : null;
  const options: CheckpointOptions = {};
  if (named !== null)
    applyOptions("checkpoint", ["useReentrant", "preserveRngState"], {}, named, options as Record<string, unknown>);
  const { useReentrant = false, preserveRngState = true } = options;
  const args = named === null ? inputs : inputs.slice(0, -1);
  const call = fn as unknown as (...args: readonly unknown[]) => R;
  const rng = preserveRngState ? getRngState() : null;
  if (useReentrant) {
    const run = call as unknown as ReentrantCall["run"];
    return CheckpointFunction.apply({ run, rng }, ...args) as unknown as R;
  }
  if (!isGradEnabled()) return checkSynchronous(call(...args));
  return Region.run(call, args, rng);
}

/** Runs `body` with the random state of before, and puts today's back. */
function withRandomState<R>(rng: RandomState | null, body: () => R): R {
  if (rng === null) return body();
  const now = getRngState();
  setRngState(rng);
  try {
    return body();
  } finally {
    setRngState(now);
  }
}

function checkSynchronous<R>(result: R): R {
  if (isPromise(result))
    throw new ArgumentError("checkpoint: the function must not be asynchronous: it has to return tensors at once");
  return result;
}

/** What is known of a value that was saved and dropped. */
interface Dropped {
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** One call of a checkpointed function: what is saved in it is counted and dropped. */
class Region implements SavedTensorHooks {
  readonly #fn: (...args: readonly unknown[]) => unknown;
  /** Inputs, tensors among them as saved values: a checkpoint around this one may drop them in its turn. */
  readonly #inputs: readonly (SavedTensor | { readonly plain: unknown })[];
  readonly #rng: RandomState | null;
  readonly #dropped: Dropped[] = [];
  /** The function has returned, and so everything has been saved. */
  #complete = false;
  /** Values computed again and not used yet, in the order in which they were saved. */
  #again: (Tensor | undefined)[] = [];

  private constructor(fn: (...args: readonly unknown[]) => unknown, args: readonly unknown[], rng: RandomState | null) {
    this.#fn = fn;
    this.#rng = rng;
    this.#inputs = args.map((a) => (isTensor(a) ? new SavedTensor(a, -1) : { plain: a }));
  }

  /** Calls the function with its saved values dropped. */
  static run<R>(fn: (...args: readonly unknown[]) => R, args: readonly unknown[], rng: RandomState | null): R {
    const region = new Region(fn, args, rng);
    const end = pushSavedTensorHooks(region);
    try {
      return checkSynchronous(fn(...args));
    } finally {
      end();
      region.#complete = true;
    }
  }

  pack(tensor: Tensor): number {
    return this.#dropped.push({ shape: tensor.shape, dtype: tensor.dtype }) - 1;
  }

  unpack(packed: unknown): Tensor {
    const at = packed as number;
    if (this.#again[at] === undefined) this.#again = this.#recompute();
    const value = this.#again[at]!;
    this.#again[at] = undefined;
    return value;
  }

  held(): readonly Tensor[] {
    return this.#inputs.flatMap((input) => (input instanceof SavedTensor ? input.held : []));
  }

  #recompute(): Tensor[] {
    const values: Tensor[] = [];
    const args = this.#inputs.map((input) => (input instanceof SavedTensor ? input.unpack(null) : input.plain));
    const end = pushSavedTensorHooks({
      pack: (tensor) => {
        values.push(tensor);
        return tensor;
      },
      unpack: (tensor) => tensor as Tensor,
    });
    try {
      withRandomState(this.#rng, () => withMode({ grad: true }, () => this.#fn(...args)));
    } finally {
      end();
    }
    this.#check(values);
    return values;
  }

  #check(values: readonly Tensor[]): void {
    const expected = this.#dropped.length;
    if (this.#complete ? values.length !== expected : values.length < expected)
      throw new AutogradError(
        `checkpoint: A different number of tensors was saved during the original forward and recomputation. ` +
          `Number of tensors saved during forward: ${expected}. Number of tensors saved during recomputation: ${values.length}. ` +
          `The function must compute the same both times.`,
      );
    this.#dropped.forEach(({ shape, dtype }, i) => {
      const value = values[i]!;
      if (!sameShape(value.shape, shape) || value.dtype !== dtype)
        throw new AutogradError(
          `checkpoint: Recomputed values have different metadata than during the forward pass: saved tensor ${i} was ${dtype} of shape ` +
            `${showShape(shape)}, and is now ${value.dtype} of shape ${showShape(value.shape)}. The function must compute the same both times.`,
        );
    });
  }
}

/** What the older way is told besides the inputs. */
interface ReentrantCall {
  readonly run: (...args: readonly unknown[]) => Result;
  readonly rng: RandomState | null;
}

/** PyTorch's older way: the derivative runs the function on the tape and goes backward through that. */
class CheckpointFunction extends Function {
  static forward(ctx: FunctionContext, call: ReentrantCall, ...args: readonly unknown[]): Result {
    ctx["call"] = call;
    ctx["plain"] = args.map((a) => (isTensor(a) ? null : a));
    ctx["places"] = args.flatMap((a, i) => (isTensor(a) ? [i] : []));
    ctx.saveForBackward(...args.filter(isTensor));
    return checkSynchronous(call.run(...args));
  }

  static backward(ctx: FunctionContext, ...grads: Tensor[]): (Tensor | null)[] {
    if (isCapturing())
      throw new AutogradError(
        "checkpoint: with useReentrant: true, checkpointing is not compatible with autograd.grad() or when `inputs` is passed to backward(). " +
          "Use backward() without inputs, or { useReentrant: false }.",
      );
    const { run, rng } = ctx["call"] as ReentrantCall;
    const args = [...(ctx["plain"] as unknown[])];
    (ctx["places"] as number[]).forEach((place, i) => {
      const saved = ctx.savedTensors[i]!;
      const own = saved.detach();
      args[place] = saved.requiresGrad ? own.requiresGrad_() : own;
    });
    const result = withRandomState(rng, () => withMode({ grad: true }, () => run(...args)));
    const outs = isTensor(result) ? [result] : result;
    const used = outs.flatMap((out, i) => (isTensor(out) && out.requiresGrad ? [i] : []));
    if (used.length === 0)
      throw new AutogradError("checkpoint: none of output has requires_grad=True, this checkpoint() is not necessary");
    backward(
      used.map((i) => outs[i]!),
      used.map((i) => grads[i]!),
      {},
    );
    return [null, ...args.map((a) => (isTensor(a) ? a.grad : null))];
  }
}
