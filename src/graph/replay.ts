/** Programs that were recorded once and run again on other values: the plan is made once, and nothing is recorded. */

import type { Backend } from "../backend/backend.ts";
import { AutogradError } from "../errors.ts";
import { LEAF, Node } from "./node.ts";
import { makePlan, withScalarsOf, type Graph, type Plan } from "./plan.ts";
import { runAgain } from "./runtime.ts";
import { standIn } from "./trace.ts";

/** A stand-in that counts as a value in memory of its own, so that plans read it. */
export function argumentStandIn(backend: Backend, shape: readonly number[], dtype: Node["dtype"]): Node {
  const node = standIn(backend, shape, dtype);
  node.buffer = { id: -node.id, bytes: backend.bytesFor(dtype, node.numel) };
  return node;
}

/** Calls `body` while recorded nodes count as values that are there. */
export function asIfThere<R>(nodes: readonly Node[], body: () => R): R {
  for (const node of nodes) node.buffer = { id: -node.id, bytes: node.backend.bytesFor(node.dtype, node.numel) };
  try {
    return body();
  } finally {
    for (const node of nodes) node.buffer = null;
  }
}

/** What `targets` are computed from, as far as it is not `given` and not there yet. */
export function programOf(targets: readonly Node[], given: ReadonlySet<Node>): Graph {
  const seen = new Set<Node>();
  const pending: Node[] = [];
  const leaves: Node[] = [];
  const stack = [...targets];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    if (given.has(node) || !node.pending) {
      leaves.push(node);
      continue;
    }
    if (node.lost !== null || node.settled || node.op === LEAF)
      throw new AutogradError("a value that is gone, or is on another device, cannot be part of a compiled program");
    pending.push(node);
    for (const list of [node.args, node.tables]) for (const arg of list) if (arg.node !== null) stack.push(arg.node);
  }
  pending.sort((a, b) => a.id - b.id);
  leaves.sort((a, b) => a.id - b.id);
  return { nodes: [...pending, ...leaves], pending: pending.length };
}

/** What each kernel of the device's schedule writes, in the order in which they run: pending nodes of the graph. */
export function kernelResults(graph: Graph, targets: ReadonlySet<Node>, backend: Backend): Node[][] {
  return makePlan(graph, targets, backend).steps.map(({ program, buffers }) =>
    buffers
      .filter((at, i) => at < graph.pending && program.structure.buffers[i]!.mode !== "read")
      .map((at) => graph.nodes[at]!),
  );
}

/** A recorded program, cut loose from the nodes that it was recorded as. */
export class Program {
  readonly #plan: Plan;
  /** Nodes by position: of what is computed only what plans ask for. */
  readonly #nodes: readonly Node[];
  readonly #pending: number;
  /** Positions of what is given, with the nodes that stood for it. */
  readonly #given: (readonly [at: number, node: Node])[] = [];
  /** Positions of nodes whose scalars change from run to run. */
  readonly #random: readonly number[];
  readonly #targets: readonly number[];

  /**
   * `given` are values that each run names; what else is there already is the same for all runs. `isRandom` tells nodes whose scalars each run gives.
   */
  constructor(targets: readonly Node[], given: ReadonlySet<Node>, backend: Backend, isRandom: (node: Node) => boolean) {
    const graph = programOf(targets, given);
    this.#pending = graph.pending;
    const position = new Map(graph.nodes.map((node, i) => [node, i] as const));
    this.#targets = targets.map((node) => position.get(node)!);
    this.#nodes = graph.nodes.map((node, i) => (i < graph.pending ? stub(node, node.scalars) : node));
    this.#random = graph.nodes.flatMap((node, i) => (i < graph.pending && isRandom(node) ? [i] : []));
    const random = new Set(this.#random);
    this.#plan = withScalarsOf(
      makePlan(graph, new Set(targets), backend),
      graph.nodes,
      (at) => at < graph.pending && !random.has(at),
    );
    graph.nodes.forEach((node, i) => {
      if (i >= graph.pending && given.has(node)) this.#given.push([i, node]);
    });
  }

  /** The nodes that stood for what is given, as far as the program reads them. */
  get reads(): Node[] {
    return this.#given.map(([, node]) => node);
  }

  /** Runs it: gives the values of the targets, in new nodes. */
  run(valueOf: (given: Node) => Node, scalarsOf: (random: Node) => readonly number[]): Node[] {
    const nodes = this.#nodes.slice();
    for (const [at, node] of this.#given) nodes[at] = valueOf(node);
    for (const at of this.#random) nodes[at] = stub(nodes[at]!, scalarsOf(nodes[at]!));
    const results = this.#targets.map((at) => (nodes[at] = stub(nodes[at]!, nodes[at]!.scalars)));
    runAgain(this.#plan, { nodes, pending: this.#pending }, new Set(results));
    return results;
  }
}

/** A node without what it was computed from. */
function stub(node: Node, scalars: readonly number[]): Node {
  return new Node(node.backend, node.op, node.shape, node.dtype, [], scalars, node.scalarTypes);
}
