/** The tape as a graph, for people and drawing tools. */

import { edgeOf, type GradFn } from "./tape.ts";
import type { Tensor } from "../tensor.ts";

/** An entry of the tape. */
export interface GraphNode {
  readonly id: number;
  /** As in `gradFn.name`. */
  readonly name: string;
  /** Shape of a leaf, for `AccumulateGrad`. */
  readonly shape: readonly number[] | null;
  /** Name of a leaf, if one was given. */
  readonly variable: string | null;
}

/** The tape below a tensor. Edges point from an entry to those that its inputs came from. */
export interface TapeGraph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly { readonly from: number; readonly to: number }[];
  /** The graph in Graphviz's language. `labels` replaces names by other text. */
  toDot(labels?: (node: GraphNode) => string): string;
}

/** The tape below a tensor; empty if it has none. */
export function graph(tensor: Tensor): TapeGraph {
  const nodes: GraphNode[] = [];
  const edges: { from: number; to: number }[] = [];
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
        variable: variable?.impl.name ?? null,
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
    for (const edge of fn.edges) if (edge !== null) edges.push({ from, to: idOf(edge.fn) });
  }
  return {
    nodes,
    edges,
    toDot: (labels = (n) => n.variable ?? n.name) => {
      const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
      const lines = nodes.map((n) => `  n${n.id} [label=${quote(labels(n))}];`);
      const arrows = edges.map((e) => `  n${e.to} -> n${e.from};`);
      return ["digraph tape {", ...lines, ...arrows, "}"].join("\n");
    },
  };
}
