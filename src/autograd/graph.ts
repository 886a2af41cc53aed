/** The tape as a graph, for people and drawing tools. */

import { applyOptions, requireTensor } from "../args.ts";
import { ITEM_SIZE, type DType } from "../dtype.ts";
import type { Node } from "../graph/node.ts";
import { edgeOf, type GradFn } from "./tape.ts";
import type { Tensor } from "../tensor.ts";

/** An entry of the tape. */
export interface GraphNode {
  /** Number within the graph, which edges refer to. */
  readonly id: number;
  /** As in `gradFn.name`. */
  readonly name: string;
  /** Shape of a leaf, for `AccumulateGrad`. */
  readonly shape: readonly number[] | null;
  /** What it made: shape and dtype of each result. */
  readonly results: readonly {
    /** Sizes of the result. */
    readonly shape: readonly number[];
    /** Element type of the result. */
    readonly dtype: DType;
  }[];
  /** Bytes of the values that it keeps for its derivative; null once they have been released. */
  readonly savedBytes: number | null;
  /** Name of the tensor that it made, or of the leaf, if one was given. */
  readonly variable: string | null;
}

/** From an entry to one that an input of it came from, by their `id`. */
export interface GraphEdge {
  /** The entry that reads. */
  readonly from: number;
  /** The entry that made what is read. */
  readonly to: number;
  /** Which of the reader's inputs it is, from 0. */
  readonly input: number;
  /** Which of the maker's results it is, from 0. */
  readonly result: number;
}

/** The tape below a tensor. Edges point from an entry to those that its inputs came from. */
export interface TapeGraph {
  /** Entries, the one that made the tensor first. */
  readonly nodes: readonly GraphNode[];
  /** Pairs of an entry and one that an input of it came from. */
  readonly edges: readonly GraphEdge[];
  /** Bytes of all values kept for derivatives; what several entries keep counts once. */
  readonly savedBytes: number;
  /** The graph in Graphviz's language. `labels` replaces names by other text. */
  toDot(labels?: (node: GraphNode) => string): string;
}

/** What `graph()` may be told. */
export interface GraphOptions {
  /** Names for tensors: of leaves, or of what entries made. A tensor that is not in the graph is passed over. */
  readonly names?: Readonly<Record<string, Tensor>> | undefined;
}

/**
 * The tape below a tensor; empty if it has none. With `names`, entries are called by the tensors that they made:
 *
 *     tg.graph(y, { names: { x, "x²": square } }).toDot()
 */
export function graph(tensor: Tensor, options: GraphOptions = {}): TapeGraph {
  requireTensor("graph", "the first argument", tensor);
  applyOptions("graph", ["names"], {}, { ...options }, {});
  const nameOf = new Map<GradFn, string>();
  for (const [name, named] of Object.entries(options.names ?? {})) {
    requireTensor("graph", `names[${JSON.stringify(name)}]`, named);
    const edge = edgeOf(named);
    if (edge !== null) nameOf.set(edge.fn, name);
  }
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const kept = new Map<Node, number>();
  const ids = new Map<GradFn, number>();
  const idOf = (fn: GradFn): number => {
    let id = ids.get(fn);
    if (id === undefined) {
      id = nodes.length;
      ids.set(fn, id);
      const { variable } = fn;
      nodes.push({
        id,
        name: fn.name,
        shape: variable === null ? null : variable.shape,
        results: fn.results.map(({ shape, dtype }) => ({ shape, dtype })),
        savedBytes: savedBytes(fn, kept),
        variable: nameOf.get(fn) ?? variable?.impl.name ?? null,
      });
      stack.push(fn);
    }
    return id;
  };
  const stack: GradFn[] = [];
  const root = edgeOf(tensor);
  if (root !== null) idOf(root.fn);
  while (stack.length > 0) {
    const fn = stack.pop()!;
    const from = ids.get(fn)!;
    fn.edges.forEach((edge, input) => {
      if (edge !== null) edges.push({ from, to: idOf(edge.fn), input, result: edge.nr });
    });
  }
  return {
    nodes,
    edges,
    savedBytes: [...kept.values()].reduce((a, b) => a + b, 0),
    toDot: (labels = (n) => n.variable ?? n.name) => {
      const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
      const lines = nodes.map((n) => `  n${n.id} [label=${quote(labels(n))}];`);
      const arrows = edges.map((e) => `  n${e.to} -> n${e.from};`);
      return ["digraph tape {", ...lines, ...arrows, "}"].join("\n");
    },
  };
}

/** Bytes of what an entry keeps, each value once; also noted in `all`. */
function savedBytes(fn: GradFn, all: Map<Node, number>): number | null {
  if (fn.saved === null) return null;
  const own = new Map<Node, number>();
  for (const saved of fn.saved)
    for (const { impl } of saved.held) {
      const { node } = impl.storage;
      own.set(node, node.numel * ITEM_SIZE[node.dtype]);
    }
  for (const [node, bytes] of own) all.set(node, bytes);
  return [...own.values()].reduce((a, b) => a + b, 0);
}
