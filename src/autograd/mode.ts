/** Whether operations are written on the tape: PyTorch's grad mode, and inference mode. */

import { AutogradError } from "../errors.ts";

interface Mode {
  readonly grad: boolean;
  readonly inference: boolean;
}

let current: Mode = { grad: true, inference: false };
// Modes in force, innermost last; each is identified by its frame so that overlapping exits are noticed.
const frames: { readonly before: Mode }[] = [];

/** True if operations on tensors that require grad are recorded (`torch.is_grad_enabled`). */
export function isGradEnabled(): boolean {
  return current.grad;
}

/** True inside `inferenceMode` (`torch.is_inference_mode_enabled`). */
export function isInferenceModeEnabled(): boolean {
  return current.inference;
}

/** Turns recording on or off from here on (`torch.set_grad_enabled`). */
export function setGradEnabled(enabled: boolean): void {
  current = { ...current, grad: enabled };
}

/** A mode that ends when disposed: `using _ = noGrad()`. */
export interface ModeGuard extends Disposable {
  /** Ends the mode; does nothing the second time. */
  exit(): void;
}

function enter(mode: Mode): ModeGuard {
  const frame = { before: current };
  frames.push(frame);
  current = mode;
  let open = true;
  const exit = (): void => {
    if (!open) return;
    open = false;
    if (frames[frames.length - 1] !== frame) {
      // Unwind to where the outer mode began, so that the process is left in a sane state; the inner one then finds itself gone.
      const at = frames.indexOf(frame);
      if (at >= 0) {
        current = frame.before;
        frames.splice(at);
      }
      throw new AutogradError(
        "grad modes overlap: one began inside another and ended after it. The mode belongs to the whole program, so two asynchronous " +
          "functions under noGrad, enableGrad or inferenceMode must not run interleaved: await the first before starting the second.",
      );
    }
    frames.pop();
    current = frame.before;
  };
  return { exit, [disposeSymbol]: exit };
}

// Older engines have no Symbol.dispose; compilers that lower `using` look for this one.
export const disposeSymbol: typeof Symbol.dispose =
  Symbol.dispose ?? (Symbol.for("Symbol.dispose") as unknown as typeof Symbol.dispose);

/** Runs `body` under a mode; if it is asynchronous, until its promise settles. */
export function withMode<R>(mode: Partial<Mode>, body: () => R): R {
  const guard = enter({ ...current, ...mode });
  let result: R;
  try {
    result = body();
  } catch (error) {
    guard.exit();
    throw error;
  }
  if (isPromise(result)) {
    return result.then(
      (value: unknown) => {
        guard.exit();
        return value;
      },
      (error: unknown) => {
        guard.exit();
        throw error;
      },
    ) as R;
  }
  guard.exit();
  return result;
}

/** True for anything with a `then`. */
export function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/**
 * Runs `body` without recording on the tape (`torch.no_grad`). An asynchronous body keeps the mode until its promise settles.
 * Without a body it gives a guard: `using _ = noGrad()`.
 */
export function noGrad(): ModeGuard;
export function noGrad<R>(body: () => R): R;
export function noGrad<R>(body?: () => R): R | ModeGuard {
  return body === undefined ? enter({ ...current, grad: false }) : withMode({ grad: false }, body);
}

/** Runs `body` with recording on (`torch.enable_grad`); without a body it gives a guard. */
export function enableGrad(): ModeGuard;
export function enableGrad<R>(body: () => R): R;
export function enableGrad<R>(body?: () => R): R | ModeGuard {
  return body === undefined ? enter({ ...current, grad: true }) : withMode({ grad: true }, body);
}

/** Runs `body` without recording, and makes tensors that can never be recorded (`torch.inference_mode`). */
export function inferenceMode(): ModeGuard;
export function inferenceMode<R>(body: () => R): R;
export function inferenceMode<R>(body?: () => R): R | ModeGuard {
  const mode = { grad: false, inference: true };
  return body === undefined ? enter(mode) : withMode(mode, body);
}
