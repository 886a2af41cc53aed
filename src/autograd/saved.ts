/** Keeping what a later `backward()` needs when a value is read before it. */

import type { Node } from "../graph/node.ts";
import { realize } from "../graph/runtime.ts";
import { needsWaiting } from "../graph/transfers.ts";
import type { Tensor } from "../tensor.ts";
import type { GradFn } from "./tape.ts";

/** Pending nodes that the tape below an entry saved. */
function savedBelow(fn: GradFn): Node[] {
  const nodes: Node[] = [];
  const stack = [fn];
  while (stack.length > 0) {
    const entry = stack.pop()!;
    if (entry.isWritten) continue;
    entry.isWritten = true;
    for (const saved of entry.saved ?? [])
      for (const { impl } of saved.held) if (impl.storage.node.pending) nodes.push(impl.storage.node);
    for (const edge of entry.edges) if (edge !== null) stack.push(edge.fn);
  }
  return nodes;
}

/** Realises tensors together with what their tape saved, so that `backward()` does not compute the forward pass again. */
export function realizeWithSaved(tensors: readonly Tensor[]): void {
  const byBackend = new Map<unknown, { targets: Node[]; keep: Set<Node> }>();
  const entryOf = (node: Node): { targets: Node[]; keep: Set<Node> } => {
    let entry = byBackend.get(node.backend);
    if (entry === undefined) byBackend.set(node.backend, (entry = { targets: [], keep: new Set() }));
    return entry;
  };
  for (const tensor of tensors) {
    const { node } = tensor.impl.storage;
    if (!node.pending) continue;
    entryOf(node).targets.push(node);
    const fn = tensor.gradFn;
    if (fn === null) continue;
    for (const saved of savedBelow(fn)) {
      const entry = entryOf(saved);
      entry.targets.push(saved);
      entry.keep.add(saved);
    }
  }
  for (const { targets, keep } of byBackend.values()) {
    for (const tensor of tensors) keep.delete(tensor.impl.storage.node);
    const ready = targets.filter((t) => !needsWaiting([t]));
    realize(ready, keep);
  }
}
