/** Which kernels run: by fixed rules, or by what was measured. */

import { applyOptions, describeValue } from "./args.ts";
import { isDeterministic, setDeterministic } from "./backend/determinism.ts";
import { addMeasuredChoices, measuredChoices } from "./backend/webgpu/choices.ts";
import { ArgumentError } from "./errors.ts";

/**
 * With `true`, a program that runs again on the same device gives the same bits: kernels are chosen by fixed rules, whatever `warmup()` measured; dispatches
 * are cut by fixed rules; and where several elements are written to one place (`scatter`, `indexCopy`, `indexPut` without `accumulate`), the last one stays, where else any of them
 * may. Sums (`scatterAdd`, `indexAdd`, gradients of `embedding` and of indexing) are made in a fixed order always. No operation lacks a deterministic way, so `warnOnly` changes nothing.
 */
export function useDeterministicAlgorithms(mode: boolean, options: { warnOnly?: boolean } = {}): void {
  const known: { warnOnly?: boolean } = {};
  applyOptions("useDeterministicAlgorithms", ["warnOnly"], {}, options, known);
  for (const [name, value] of Object.entries({ mode, ...known }))
    if (typeof value !== "boolean")
      throw new ArgumentError(`useDeterministicAlgorithms: ${name} must be true or false, got ${describeValue(value)}`);
  setDeterministic(mode);
}

/** Whether `useDeterministicAlgorithms(true)` holds. */
export function areDeterministicAlgorithmsEnabled(): boolean {
  return isDeterministic();
}

/** What was measured, as plain data: for each adapter, names of ways of running kernels by class of calls. */
export type KernelChoices = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * What `warmup()` measured in this program, for all adapters. It can be stored (`JSON.stringify`) and given to `loadKernelChoices` in another run, which
 * then runs the same kernels without measuring. Snapshots have it in them.
 */
export function kernelChoices(): KernelChoices {
  return measuredChoices();
}

/** Takes over what `kernelChoices` gave in another run; it holds on the adapters that it names, and only where they have those ways. */
export function loadKernelChoices(choices: KernelChoices): void {
  const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const isPlain =
    isRecord(choices) &&
    Object.values(choices).every((c) => isRecord(c) && Object.values(c).every((name) => typeof name === "string"));
  if (!isPlain)
    throw new ArgumentError(`loadKernelChoices: expected what kernelChoices() gave, got ${describeValue(choices)}`);
  for (const [adapter, known] of Object.entries(choices)) addMeasuredChoices(adapter, known);
}
