/** Values that come from another device: nodes that stand for them, and what waits for them. */

import type { Backend } from "../backend/backend.ts";
import type { HostArray } from "../dtype.ts";
import { LEAF, Node } from "./node.ts";

/** A node that gets its value from a node on another device, when it is needed. */
export function transferNode(backend: Backend, from: Node): Node {
  const node = new Node(backend, LEAF, from.shape, from.dtype, []);
  node.transferFrom = from;
  openTransfers++;
  node.traced = from.traced;
  from.uses++;
  return node;
}

/** Transfers that have not arrived yet, those of lost tensors among them. */
let openTransfers = 0;

/** Transfers that must arrive before the targets can be computed. */
export function transfersFor(targets: readonly Node[]): Node[] {
  if (openTransfers === 0) return [];
  const result: Node[] = [];
  const seen = new Set<Node>();
  const stack = targets.filter((t) => t.pending);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.transferFrom !== null) result.push(node);
    for (const arg of node.args) if (arg.node?.pending) stack.push(arg.node);
    for (const arg of node.tables) if (arg.node?.pending) stack.push(arg.node);
  }
  return result;
}

type TransferListener = (node: Node, from: Node, ms: number) => void;

let transferListener: TransferListener | null = null;

/** Sets who hears of values that came from another device, and how long they were waited for (null: nobody); gives who did before. */
export function observeTransfers(next: TransferListener | null): TransferListener | null {
  const before = transferListener;
  transferListener = next;
  return before;
}

/** A value has come, that was asked for at a time in milliseconds. */
export function arrive(node: Node, data: HostArray, askedAt: number): void {
  transferListener?.(node, node.transferFrom!, performance.now() - askedAt);
  node.host = data;
  node.transferFrom!.uses--;
  node.transferFrom = null;
  openTransfers--;
}

/** True if a value cannot be had without waiting for another device. */
export function needsWaiting(targets: readonly Node[]): boolean {
  return transfersFor(targets).some((t) => {
    const from = t.transferFrom!;
    return from.host === null && (from.backend.readSync === undefined || needsWaiting([from]));
  });
}
