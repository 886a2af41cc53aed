/** Programs that were recorded once and run again on other values: the plan is made once, and nothing is recorded. */

import type { Backend } from "../backend/backend.ts";
import { AutogradError } from "../errors.ts";
import { Arg, LEAF, Node } from "./node.ts";
import { collect, makePlan, withScalarsOf, type Graph, type Plan } from "./plan.ts";
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
  const graph = collect(targets, given);
  for (const node of graph.nodes.slice(0, graph.pending))
    if (node.lost !== null || node.settled || node.op === LEAF)
      throw new AutogradError("a value that is gone, or is on another device, cannot be part of a compiled program");
  return graph;
}

/** What each kernel of the device's schedule writes, in the order in which they run: pending nodes of the graph. */
export function kernelResults(graph: Graph, targets: ReadonlySet<Node>, backend: Backend): Node[][] {
  return makePlan(graph, targets, backend).steps.map(({ program, buffers }) =>
    buffers
      .filter((at, i) => at < graph.pending && program.structure.buffers[i]!.mode !== "read")
      .map((at) => graph.nodes[at]!),
  );
}

/** Bytes of a result from which on it keeps what it is computed from: memory that can be given up at any time need not move to the host. */
const LARGE_BYTES = 32 * 1024;

/** What a node is computed from, by positions in its program. */
interface Template {
  readonly args: readonly Place[];
  readonly tables: readonly Place[];
}

/** An argument: the position of its node, or -1. */
interface Place {
  readonly at: number;
  readonly view: Arg["view"];
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
  /** How each node is computed; null if all results are small. */
  readonly #templates: readonly Template[] | null;

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
    const places = (args: readonly Arg[]): Place[] =>
      args.map(({ node, view }) => ({ at: node === null ? -1 : position.get(node)!, view }));
    this.#templates = targets.some(({ dtype, numel }) => backend.bytesFor(dtype, numel) >= LARGE_BYTES)
      ? graph.nodes.slice(0, graph.pending).map(({ args, tables }) => ({ args: places(args), tables: places(tables) }))
      : null;
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
    if (this.#templates === null) for (const at of this.#targets) nodes[at] = stub(nodes[at]!, nodes[at]!.scalars);
    else this.#templates.forEach((template, at) => (nodes[at] = record(nodes, nodes[at]!, template)));
    const results = this.#targets.map((at) => nodes[at]!);
    runAgain(this.#plan, { nodes, pending: this.#pending }, new Set(results));
    return results;
  }
}

/** A node with what it is computed from. */
function record(nodes: readonly Node[], like: Node, { args, tables }: Template): Node {
  const own = ({ at, view }: Place): Arg => new Arg(at < 0 ? null : nodes[at]!, view);
  const { backend, op, shape, dtype, scalars, scalarTypes } = like;
  return new Node(backend, op, shape, dtype, args.map(own), scalars, scalarTypes, tables.map(own));
}

/** A node without what it was computed from. */
function stub(node: Node, scalars: readonly number[]): Node {
  return new Node(node.backend, node.op, node.shape, node.dtype, [], scalars, node.scalarTypes);
}
