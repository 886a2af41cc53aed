/** `tg.autograd.graph`: what happens to the values that operations save for their derivatives. */

import { isTensor } from "../ops/apply.ts";
import { ArgumentError } from "../errors.ts";
import { readAll, type Tensor } from "../tensor.ts";
import { disposeSymbol, isPromise, type ModeGuard } from "./mode.ts";
import { pushSavedTensorHooks, type SavedTensorHooks } from "./tape.ts";

export type { SavedTensorHooks } from "./tape.ts";

/** Runs `body` (until its promise settles, if it gives one) with the hooks, or gives a guard that ends them. */
function withHooks<R>(hooks: SavedTensorHooks, body: (() => R) | undefined): R | ModeGuard {
  const end = pushSavedTensorHooks(hooks);
  if (body === undefined) return { exit: end, [disposeSymbol]: end };
  let result: R;
  try {
    result = body();
  } catch (error) {
    end();
    throw error;
  }
  if (isPromise(result)) return result.finally(end) as R;
  end();
  return result;
}

/**
 * Values that are saved for derivatives while `body` runs go through `pack`, and what that gives through `unpack` when the derivative
 * needs them (`torch.autograd.graph.saved_tensors_hooks`). `unpack` must give a tensor of the same shape and dtype. Hooks nest; the innermost counts.
 * Without `body` it gives a guard: `using _ = savedTensorsHooks(pack, unpack)`.
 *
 * ```ts
 * const loss = autograd.graph.savedTensorsHooks((t) => t.half(), (t) => t.float(), () => model.forward(x).sum());
 * ```
 */
export function savedTensorsHooks<P>(pack: (tensor: Tensor) => P, unpack: (packed: P) => Tensor): ModeGuard;
export function savedTensorsHooks<P, R>(pack: (tensor: Tensor) => P, unpack: (packed: P) => Tensor, body: () => R): R;
export function savedTensorsHooks<P, R>(
  pack: (tensor: Tensor) => P,
  unpack: (packed: P) => Tensor,
  body?: () => R,
): R | ModeGuard {
  if (typeof pack !== "function" || typeof unpack !== "function")
    throw new ArgumentError("savedTensorsHooks: pack and unpack must be functions");
  const hooks: SavedTensorHooks = {
    pack,
    unpack: (packed) => unpack(packed as P),
    held: (packed) => (isTensor(packed) ? [packed] : []),
  };
  return withHooks(hooks, body);
}

/** A value on its way to the host. */
interface Spilled {
  /** The value on its device, until the copy has arrived. */
  original: Tensor | null;
  readonly copy: Tensor;
  readonly device: Tensor["device"];
}

const leaving: Spilled[] = [];

/** Brings what was saved since the last time to the host, and lets go of it on the device. */
async function spill(): Promise<void> {
  const list = leaving.splice(0);
  try {
    await readAll(list.map((s) => s.copy));
  } catch {
    // The originals are still there; whatever is wrong with the device shows when they are read.
    return;
  }
  for (const each of list) each.original = null;
}

const onCpu: SavedTensorHooks = {
  pack: (tensor) => {
    if (tensor.device === "cpu") return tensor;
    const spilled: Spilled = { original: tensor, copy: tensor.to("cpu"), device: tensor.device };
    if (leaving.push(spilled) === 1) queueMicrotask(() => void spill());
    return spilled;
  },
  unpack: (packed) => {
    if (isTensor(packed)) return packed;
    const { original, copy, device } = packed as Spilled;
    return original ?? copy.to(device);
  },
  held: (packed) => {
    if (isTensor(packed)) return [packed];
    const { original, copy } = packed as Spilled;
    return [original ?? copy];
  },
};

/**
 * Values that are saved for derivatives while `body` runs are kept in the host's memory and come back when they are needed
 * (`torch.autograd.graph.save_on_cpu`). They leave the device at the next `await`, in one transfer; what is needed before that is used
 * where it is. Values on the CPU stay as they are. `pinMemory` is accepted and has no effect.
 */
export function saveOnCpu(pinMemory?: boolean): ModeGuard;
export function saveOnCpu<R>(body: () => R): R;
export function saveOnCpu<R>(pinMemory: boolean, body: () => R): R;
export function saveOnCpu<R>(first?: boolean | (() => R), second?: () => R): R | ModeGuard {
  return withHooks(onCpu, typeof first === "function" ? first : second);
}
