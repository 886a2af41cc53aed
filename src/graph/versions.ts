/** Earlier versions of values that optimisers write anew: when their memory is free. */

import { OVERWRITTEN } from "./faults.ts";
import type { Node } from "./node.ts";
import type { Residency } from "./residency.ts";

/**
 * Frees the versions before the last one of what is about to be written anew by an optimiser. What an in-place operation overwrote may still be
 * asked for: it counts as a value that is held.
 */
export function retireOlder(residency: Residency, targets: ReadonlySet<Node>, pinned: ReadonlySet<Node>): void {
  for (const { previous } of targets) {
    if (previous === null) continue;
    for (let older = previous.previous; older !== null; older = older.previous)
      if (isWanted(older, pinned)) {
        older.superseded = false;
        residency.reconsider(older);
      } else residency.release(older, OVERWRITTEN);
    previous.previous = null;
  }
}

/** Bytes that `retireOlder` frees. */
export function bytesOfOlder(targets: ReadonlySet<Node>, pinned: ReadonlySet<Node>): number {
  let bytes = 0;
  for (const { previous } of targets)
    for (let older = previous?.previous ?? null; older !== null; older = older.previous)
      if (!isWanted(older, pinned)) bytes += older.buffer?.bytes ?? 0;
  return bytes;
}

/** True for a version that something else may still ask for. */
function isWanted(older: Node, pinned: ReadonlySet<Node>): boolean {
  return !older.stepped || older.owners > 0 || older.holds > 0 || pinned.has(older);
}

/** Frees the last version, too, if nothing was recorded that could still be computed from it. */
export function retireLast(residency: Residency, node: Node): void {
  const { previous } = node;
  if (previous === null) return;
  if (previous.owners > 0 || previous.holds > 0) {
    // Another tensor has the same value.
    previous.superseded = false;
    residency.reconsider(previous);
    node.previous = null;
  } else if (previous.uses === 0) residency.release(previous, OVERWRITTEN);
  if (previous.buffer === null) node.previous = null;
}
