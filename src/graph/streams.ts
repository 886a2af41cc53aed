/**
 * Host values that a run brings to the device one after the other. Where many steps of a loop were recorded before anything was read, each with data of its
 * own, they need not all be on the device at once: memory serves one after the other.
 */

import type { Backend } from "../backend/backend.ts";
import type { Graph, Plan } from "./plan.ts";

/** Fewer values are brought over all at once, and stay there as copies. */
const LEAST_VALUES = 8;
/** So much less memory it has to take, for the copies not to be kept. */
const LEAST_GAIN = 4;

/** Which memory host values take while a plan runs. */
export interface Streams {
  /** Bytes of each piece of memory. */
  readonly slots: readonly number[];
  /** The piece that a value (by its position in the graph) takes. */
  readonly slotOf: ReadonlyMap<number, number>;
  /** Positions of the values that a step is the first to read. */
  readonly before: ReadonlyMap<number, readonly number[]>;
}

/** How host values are brought over one after the other; null if that is not worth it, or is not safe as memory is written in place. */
export function streamsOf(plan: Plan, graph: Graph, backend: Backend): Streams | null {
  if (plan.inputs.length < LEAST_VALUES || plan.taken.length > 0) return null;
  const waiting = new Set(
    plan.inputs.filter((at) => {
      const { buffer, slot, host } = graph.nodes[at]!;
      return buffer === null && slot === null && host !== null;
    }),
  );
  if (waiting.size < LEAST_VALUES) return null;
  const first = new Map<number, number>();
  const last = new Map<number, number>();
  plan.steps.forEach(({ buffers }, step) => {
    for (const at of buffers) {
      if (!waiting.has(at)) continue;
      if (!first.has(at)) first.set(at, step);
      last.set(at, step);
    }
  });
  const bytesOf = (at: number): number => {
    const { dtype, numel } = graph.nodes[at]!;
    return backend.allocationBytes(backend.bytesFor(dtype, numel));
  };
  const before = new Map<number, number[]>();
  for (const [at, step] of first) before.set(step, [...(before.get(step) ?? []), at]);
  const after = new Map<number, number[]>();
  for (const [at, step] of last) after.set(step, [...(after.get(step) ?? []), at]);
  const slots: number[] = [];
  const slotOf = new Map<number, number>();
  const free: number[] = [];
  for (let step = 0; step < plan.steps.length; step++) {
    for (const at of before.get(step) ?? []) {
      const found = free.findIndex((slot) => slots[slot] === bytesOf(at));
      slotOf.set(at, found < 0 ? slots.push(bytesOf(at)) - 1 : free.splice(found, 1)[0]!);
    }
    for (const at of after.get(step) ?? []) free.push(slotOf.get(at)!);
  }
  const sum = (sizes: Iterable<number>): number => [...sizes].reduce((a, b) => a + b, 0);
  if (sum(slots) * LEAST_GAIN > sum([...slotOf.keys()].map(bytesOf))) return null;
  return { slots, slotOf, before };
}
