/**
 * Rebuilding what was recorded for one example so that it computes a whole batch: one rule for each kind of node. A node of shape S becomes
 * one of shape [batch, ...S]; views get the distance between examples as one more stride.
 */

import type { Builder, Value } from "./builder.ts";
import { AutogradError } from "../errors.ts";
import { valueType } from "./builder.ts";
import { Node, type Arg, type LowerContext, type MapOp, type ReduceOp, type UpdateOp } from "./node.ts";
import { recordNode } from "./runtime.ts";
import { transferNode } from "./transfers.ts";
import { batchRoutine, foldedProduct } from "./vectorize-routine.ts";
import { contiguousStrides, contiguousView, isContiguous, numel, type View } from "./view.ts";

/** Where the examples of a value are: element e of example b is element `offset + b * stride + e` of `node`. */
export interface Rows {
  readonly node: Node;
  readonly stride: number;
  readonly offset: number;
}

/** Reading a node as its copy, elementwise. */
function copyOp(node: Node): MapOp {
  return { kind: "map", key: `cast:${node.dtype}>${node.dtype}`, cost: 1, lower: (_, [x]) => x! };
}

/** A new contiguous node with what `view` shows of `node`. */
function copied(node: Node, view: View): Node {
  return recordNode(new Node(node.backend, copyOp(node), view.shape, node.dtype, [{ node, view }]));
}

/** Rows of a batched value: `view` is of shape [batch, ...example] over `node`. Copies unless each example lies in order. */
export function rowsOfView(node: Node, view: View): Rows {
  const [stride, ...inner] = view.strides;
  if (isContiguous(view.shape.slice(1), inner)) return { node, stride: stride!, offset: view.offset };
  return { node: copied(node, view), stride: numel(view.shape.slice(1)), offset: 0 };
}

/** Rebuilds the nodes of one trace for `size` examples. */
export class Batch {
  readonly size: number;
  /** What a node became; null if it is the same for every example. */
  readonly #known = new Map<Node, Rows | null>();
  readonly #sums = new Map<Node, Node>();

  constructor(size: number) {
    this.size = size;
  }

  /** Says what a stand-in, or a node rebuilt before, is for the batch. */
  define(node: Node, rows: Rows): void {
    this.#known.set(node, rows);
  }

  /** Says that a stand-in is the number of the example. */
  defineNumber(node: Node): void {
    const op: MapOp = { kind: "map", key: "positions", cost: 0, lower: (_, [i]) => i! };
    const numbers: Arg = { node: null, view: contiguousView([this.size]) };
    this.define(node, {
      node: recordNode(new Node(node.backend, op, [this.size], "int32", [numbers])),
      stride: 1,
      offset: 0,
    });
  }

  /** True if a node depends on this batch's stand-ins. */
  has(node: Node): boolean {
    return this.#depends(node);
  }

  /** The node for all examples; null if it is the same for every example. */
  rowsOf(node: Node): Rows | null {
    if (!node.traced) return null;
    for (const each of this.#unknown(node)) this.#known.set(each, this.#build(each));
    return this.#known.get(node)!;
  }

  /** The node summed over the examples, of one example's shape. */
  sumOf(node: Node): Node {
    let sum = this.#sums.get(node);
    if (sum === undefined) {
      sum = this.#sum(node);
      this.#sums.set(node, sum);
    }
    return sum;
  }

  /** How one example's view reads the batch: shape [batch, ...view.shape]. */
  viewOf(rows: Rows | null, view: View): View {
    return {
      shape: [this.size, ...view.shape],
      strides: [rows === null ? 0 : rows.stride, ...view.strides],
      offset: view.offset + (rows === null ? 0 : rows.offset),
    };
  }

  /** A whole contiguous node of shape [batch, ...node.shape]. */
  wholeOf(node: Node): Node {
    const rows = this.rowsOf(node);
    const view = this.viewOf(rows, contiguousView(node.shape));
    const from = rows?.node ?? node;
    if (
      rows !== null &&
      view.offset === 0 &&
      from.numel === numel(view.shape) &&
      isContiguous(view.shape, view.strides)
    )
      return from;
    return copied(from, view);
  }

  /** Traced nodes below (and with) `node` that are not known yet, in order of recording. */
  #unknown(node: Node): Node[] {
    const found = new Set<Node>();
    const stack = [node];
    while (stack.length > 0) {
      const next = stack.pop()!;
      if (!next.traced || this.#known.has(next) || found.has(next)) continue;
      found.add(next);
      stack.push(...sources(next));
    }
    return [...found].sort((a, b) => a.id - b.id);
  }

  readonly #dependent = new Map<Node, boolean>();

  #depends(node: Node): boolean {
    const answer = (n: Node): boolean | undefined => {
      if (!n.traced) return false;
      const rows = this.#known.get(n);
      return rows !== undefined ? rows !== null : this.#dependent.get(n);
    };
    const stack = [node];
    while (stack.length > 0) {
      const next = stack[stack.length - 1]!;
      if (answer(next) === undefined) {
        const open = sources(next).filter((s) => answer(s) === undefined);
        if (open.length > 0) {
          stack.push(...open);
          continue;
        }
        this.#dependent.set(
          next,
          sources(next).some((s) => answer(s)),
        );
      }
      stack.pop();
    }
    return answer(node)!;
  }

  #build(node: Node): Rows | null {
    if (node.settled)
      throw new AutogradError(
        `a value of a vectorised function (vmap, jacrev, jacfwd, hessian) is used after the function ended (${node.op.key}): ` +
          `return it from the function; a Function's derivative gets what it needs by saveForBackward()`,
      );
    const below = sources(node);
    if (!below.some((s) => this.#known.get(s) != null)) return null;
    const made = this.size === 0 ? this.#nothing(node) : this.#rebuild(node);
    return { node: made, stride: node.numel, offset: 0 };
  }

  /** A batch of no examples. */
  #nothing(node: Node): Node {
    const type = valueType(node.dtype);
    const op: MapOp = { kind: "map", key: `full:${node.dtype}`, cost: 0, lower: (b) => b.lit(0, type) };
    return recordNode(new Node(node.backend, op, [0, ...node.shape], node.dtype, []));
  }

  #rebuild(node: Node): Node {
    const { op, backend, dtype } = node;
    const shape = [this.size, ...node.shape];
    switch (op.kind) {
      case "map":
        return this.#map(node, op, shape);
      case "reduce": {
        const dims = op.dims.map((d) => d + 1);
        const fullShape = [this.size, ...op.fullShape];
        const batched: ReduceOp = {
          ...op,
          key: `${op.reduce}/${fullShape.join(",")}/${dims.join(",")}`,
          fullShape,
          dims,
        };
        return recordNode(new Node(backend, batched, shape, dtype, [this.#arg(node.args[0]!)]));
      }
      case "update": {
        const strides = contiguousStrides(shape);
        const targets = op.targets.map((t) => ({
          shape: [this.size, ...t.shape],
          strides: [strides[0]!, ...t.strides],
          offset: t.offset,
        }));
        const key = `update${op.hasBase ? "+" : ""}/${targets
          .map((t) => `${t.shape.join(",")};${t.strides.join(",")};${t.offset}`)
          .join("/")}`;
        const batched: UpdateOp = { kind: "update", key, hasBase: op.hasBase, targets };
        const args = node.args.map((arg, i) => {
          if (i > 0 || !op.hasBase) return this.#arg(arg);
          const whole = this.wholeOf(arg.node!);
          return { node: whole, view: contiguousView(whole.shape) };
        });
        return recordNode(new Node(backend, batched, shape, dtype, args));
      }
      case "routine":
        return batchRoutine(this, node, op);
      case "leaf":
        return transferNode(backend, this.wholeOf(node.transferFrom!));
    }
  }

  #arg(arg: Arg): Arg {
    if (arg.node === null) return { node: null, view: this.viewOf(null, arg.view) };
    const rows = this.rowsOf(arg.node);
    return { node: rows?.node ?? arg.node, view: this.viewOf(rows, arg.view) };
  }

  /** Tables are read at computed elements, to which the start of the example's part is added. */
  #map(node: Node, op: MapOp, shape: readonly number[]): Node {
    const args = node.args.map((arg) => this.#arg(arg));
    if (node.tables.length === 0)
      return recordNode(new Node(node.backend, op, shape, node.dtype, args, node.scalars, node.scalarTypes));
    const starts: (number | null)[] = [];
    const tables = node.tables.map((table) => {
      const rows = this.rowsOf(table.node!);
      if (rows === null) {
        starts.push(null);
        return table;
      }
      starts.push(args.length);
      args.push({
        node: null,
        view: { shape, strides: [rows.stride, ...node.shape.map(() => 0)], offset: rows.offset },
      });
      return { node: rows.node, view: contiguousView(rows.node.shape) };
    });
    const own = node.args.length;
    const lower = (b: Builder, values: readonly Value[], context: LowerContext): Value =>
      op.lower(b, values.slice(0, own), {
        scalars: context.scalars,
        table: (t, index) => context.table(t, starts[t] == null ? index : b.add(index, values[starts[t]]!)),
      });
    const batched: MapOp = {
      kind: "map",
      key: `${op.key}:rows${starts.map((s) => s ?? "").join(",")}`,
      cost: op.cost + 1,
      lower,
    };
    return recordNode(new Node(node.backend, batched, shape, node.dtype, args, node.scalars, node.scalarTypes, tables));
  }

  #sum(node: Node): Node {
    const product =
      node.traced && node.op.kind === "routine" && this.size > 0 ? foldedProduct(this, node, node.op) : null;
    if (product !== null) return product;
    const rows = this.rowsOf(node);
    const from = rows?.node ?? node;
    const view = this.viewOf(rows, contiguousView(node.shape));
    const { shape, strides, offset } = view;
    if (this.size === 0) return this.#zeros(node);
    if (this.size === 1) return copied(from, { shape: shape.slice(1), strides: strides.slice(1), offset });
    const op: ReduceOp = {
      kind: "reduce",
      key: `sum/${shape.join(",")}/0`,
      reduce: "sum",
      innerRank: 1,
      fullShape: shape,
      dims: [0],
    };
    const turned: View = {
      shape: [...shape.slice(1), shape[0]!],
      strides: [...strides.slice(1), strides[0]!],
      offset,
    };
    return recordNode(new Node(node.backend, op, node.shape, node.dtype, [{ node: from, view: turned }]));
  }

  #zeros(node: Node): Node {
    const type = valueType(node.dtype);
    const op: MapOp = { kind: "map", key: `zero:${node.dtype}`, cost: 0, lower: (b) => b.lit(0, type) };
    return recordNode(new Node(node.backend, op, node.shape, node.dtype, []));
  }
}

/** Nodes that a node is computed from. */
function sources(node: Node): Node[] {
  const result: Node[] = [];
  for (const { node: arg } of node.args) if (arg !== null) result.push(arg);
  for (const { node: table } of node.tables) if (table !== null) result.push(table);
  if (node.transferFrom !== null) result.push(node.transferFrom);
  return result;
}
