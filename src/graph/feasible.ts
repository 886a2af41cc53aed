/** What a device could never run: refused before anything is given up for it. */

import type { Backend } from "../backend/backend.ts";
import { OutOfMemoryError } from "../errors.ts";
import { describeNode, type Node } from "./node.ts";
import type { Graph, Plan } from "./plan.ts";
import { numel } from "./view.ts";

/** Refuses what the device could never run. It depends on sizes alone: the same is so of all graphs of a plan. */
export function checkFeasible(plan: Plan, graph: Graph): void {
  const { backend } = graph.nodes[0]!;
  checkSizes(plan, graph, backend);
  checkWork(graph, backend);
}

/** Refuses what no device memory could ever hold, before anything is given up for it. */
function checkSizes(plan: Plan, graph: Graph, backend: Backend): void {
  const { maxBufferBytes } = backend.limits;
  for (const { bytes, node } of plan.slots)
    if (bytes > maxBufferBytes)
      throw tooLarge(graph.nodes[node]!, bytes, `; one tensor can have ${maxBufferBytes} bytes on this device`);
}

/** Refuses what would take too long to compute piece by piece, although it needs no memory. */
function checkWork(graph: Graph, { limits }: Backend): void {
  for (let i = 0; i < graph.pending; i++) {
    const node = graph.nodes[i]!;
    const count = node.op.kind === "reduce" ? numel(node.op.fullShape) : node.numel;
    if (count <= limits.maxElements) continue;
    const bytes = node.backend.bytesFor(node.dtype, count);
    const note = `; without memory, piece by piece, this device computes ${limits.maxElements} elements, not ${count}`;
    throw tooLarge(node, bytes, note);
  }
}

function tooLarge(node: Node, asked: number, note: string): OutOfMemoryError {
  const { usedBytes, pooledBytes } = node.backend.memory();
  const where = node.backend.type === "cpu" ? "CPU" : "GPU";
  return new OutOfMemoryError(describeNode(node), where, { asked, live: usedBytes, pooled: pooledBytes }, note);
}
