/** Rebuilding kernels with an algorithm of their own for a batch of examples: as more dimensions of one call where there is a rule, else call by call. */

import { Node, type Arg, type RoutineOp, type UpdateOp } from "./node.ts";
import { recordNode } from "./runtime.ts";
import type { Batch, Rows } from "./vectorize.ts";
import { contiguousView } from "./view.ts";

/** A node as a routine takes it: the views are in the routine's numbers. */
function whole(node: Node): Arg {
  return { node, view: contiguousView(node.shape) };
}

function routine(like: RoutineOp, name: string, attrs: RoutineOp["attrs"], ints: readonly number[]): RoutineOp {
  return { ...like, key: `${name}:${ints.join(",")}`, attrs, ints };
}

/** The routine `node` for every example of a batch: shape [batch, ...node.shape]. */
export function batchRoutine(batch: Batch, node: Node, op: RoutineOp): Node {
  switch (op.name) {
    case "matmul":
      return product(batch, node, op);
    case "scatter":
      return scatter(batch, node, op);
    case "scan":
      return scan(batch, node, op);
    default:
      return oneByOne(batch, node, op);
  }
}

/** Makes an array of numbers with names for the parts of a matrix product's numbers. */
interface Product {
  m: number;
  n: number;
  readonly k: number;
  readonly sizes: number[];
  readonly a: Operand;
  readonly b: Operand;
}
interface Operand {
  node: Node;
  offset: number;
  row: number;
  column: number;
  readonly batch: number[];
}

/** The numbers of a product taken apart. */
function productOf(node: Node, op: RoutineOp): Product {
  const rank = op.attrs["rank"] as number;
  const [m, n, k] = op.ints as [number, number, number];
  const operand = (index: number): Operand => {
    const at = 3 + rank + index * (3 + rank);
    return {
      node: node.args[index]!.node!,
      offset: op.ints[at]!,
      row: op.ints[at + 1]!,
      column: op.ints[at + 2]!,
      batch: op.ints.slice(at + 3, at + 3 + rank),
    };
  };
  return { m, n, k, sizes: op.ints.slice(3, 3 + rank), a: operand(0), b: operand(1) };
}

function recordProduct(p: Product, like: Node, op: RoutineOp, shape: readonly number[]): Node {
  const operand = (x: Operand): number[] => [x.offset, x.row, x.column, ...x.batch];
  const ints = [p.m, p.n, p.k, ...p.sizes, ...operand(p.a), ...operand(p.b)];
  const made = routine(op, "matmul", { ...op.attrs, rank: p.sizes.length }, ints);
  return recordNode(new Node(like.backend, made, shape, like.dtype, [whole(p.a.node), whole(p.b.node)]));
}

function moved(x: Operand, rows: Rows | null): Operand {
  return rows === null ? x : { ...x, node: rows.node, offset: x.offset + rows.offset };
}

function product(batch: Batch, node: Node, op: RoutineOp): Node {
  const p = productOf(node, op);
  const rowsA = batch.rowsOf(p.a.node);
  const rowsB = batch.rowsOf(p.b.node);
  const a = moved(p.a, rowsA);
  const b = moved(p.b, rowsB);
  const shape = [batch.size, ...node.shape];
  const flat = p.sizes.length === 0;
  // Rows of all examples times one matrix are one product.
  if (flat && rowsA !== null && rowsB === null && (p.m === 1 || rowsA.stride === p.m * a.row))
    return recordProduct(
      { ...p, m: p.m * batch.size, a: { ...a, row: p.m === 1 ? rowsA.stride : a.row }, b },
      node,
      op,
      shape,
    );
  // One matrix times a vector of each example: the examples are the rows of the transposed product.
  if (flat && rowsA === null && rowsB !== null && p.n === 1)
    return recordProduct(
      {
        ...p,
        m: batch.size,
        n: p.m,
        a: { ...b, row: rowsB.stride, column: b.row },
        b: { ...a, row: a.column, column: a.row },
      },
      node,
      op,
      shape,
    );
  a.batch.unshift(rowsA?.stride ?? 0);
  b.batch.unshift(rowsB?.stride ?? 0);
  const sizes = [batch.size, ...p.sizes];
  // Batch dimensions that both operands walk contiguously count as one.
  if (sizes.length > 1 && a.batch[0] === a.batch[1]! * sizes[1]! && b.batch[0] === b.batch[1]! * sizes[1]!) {
    sizes.splice(0, 2, sizes[0]! * sizes[1]!);
    a.batch.shift();
    b.batch.shift();
  }
  return recordProduct({ ...p, sizes, a, b }, node, op, shape);
}

/**
 * The sum over the examples of a product of matrices, as one product whose inner dimension runs over all examples; null where their
 * strides do not allow it.
 */
export function foldedProduct(batch: Batch, node: Node, op: RoutineOp): Node | null {
  if (op.name !== "matmul" || op.attrs["rank"] !== 0) return null;
  const p = productOf(node, op);
  const rowsA = batch.rowsOf(p.a.node);
  const rowsB = batch.rowsOf(p.b.node);
  if (rowsA === null || rowsB === null) return null;
  const a = moved(p.a, rowsA);
  const b = moved(p.b, rowsB);
  if (p.k !== 1 && (rowsA.stride !== p.k * a.column || rowsB.stride !== p.k * b.row)) return null;
  if (p.k === 1) {
    a.column = rowsA.stride;
    b.row = rowsB.stride;
  }
  return recordProduct({ ...p, k: p.k * batch.size, a, b }, node, op, node.shape);
}

function scatter(batch: Batch, node: Node, op: RoutineOp): Node {
  const rank = op.attrs["rank"] as number;
  const { size } = batch;
  const [dim, length] = op.ints as [number, number];
  const part = (from: number, count: number): number[] => op.ints.slice(from, from + count);
  const base = batch.wholeOf(node.args[0]!.node!);
  const indexNode = node.args[1]!.node!;
  const index = batch.rowsOf(indexNode);
  const ints = [
    dim + 1,
    length,
    size,
    ...part(2, rank),
    node.numel,
    ...part(2 + rank, rank + 1),
    index?.stride ?? 0,
    ...part(3 + 2 * rank, rank),
    op.ints[3 + 3 * rank]! + (index?.offset ?? 0),
  ];
  const args = [whole(base), whole(index?.node ?? indexNode)];
  if (node.args.length > 2) {
    const sourceNode = node.args[2]!.node!;
    const source = batch.rowsOf(sourceNode);
    ints.push(source?.stride ?? 0, ...part(4 + 3 * rank, rank), op.ints[4 + 4 * rank]! + (source?.offset ?? 0));
    args.push(whole(source?.node ?? sourceNode));
  }
  const attrs = { ...op.attrs, rank: rank + 1 };
  const made = routine(op, `${op.key.split(":")[0]}:${op.attrs["mode"]}:${op.attrs["source"]}`, attrs, ints);
  return recordNode(
    new Node(node.backend, made, [size, ...node.shape], node.dtype, args, node.scalars, node.scalarTypes),
  );
}

function scan(batch: Batch, node: Node, op: RoutineOp): Node {
  const rank = op.attrs["rank"] as number;
  const source = node.args[0]!.node!;
  const rows = batch.rowsOf(source);
  const part = (from: number, count: number): number[] => op.ints.slice(from, from + count);
  const ints = [
    op.ints[0]!,
    batch.size,
    ...part(1, rank),
    op.ints[1 + rank]!,
    rows?.stride ?? 0,
    ...part(2 + rank, rank),
    op.ints[2 + 2 * rank]! + (rows?.offset ?? 0),
    op.ints[3 + 2 * rank]!,
    node.numel,
    ...part(4 + 2 * rank, rank),
    op.ints[4 + 3 * rank]!,
  ];
  const made = routine(op, `scan:${op.attrs["kind"]}`, { ...op.attrs, rank: rank + 1 }, ints);
  return recordNode(
    new Node(node.backend, made, [batch.size, ...node.shape], node.dtype, [whole(rows?.node ?? source)]),
  );
}

/** A routine without a rule: one call an example, on copies of its arguments, and the results put together. */
function oneByOne(batch: Batch, node: Node, op: RoutineOp): Node {
  const parts = Array.from({ length: batch.size }, (_, b) => {
    const args = node.args.map(({ node: arg }) => {
      const rows = batch.rowsOf(arg!);
      if (rows === null) return whole(arg!);
      const { shape, strides, offset } = contiguousView(arg!.shape);
      const view = { shape, strides, offset: offset + rows.offset + b * rows.stride };
      const copy = { kind: "map" as const, key: `cast:${arg!.dtype}>${arg!.dtype}`, cost: 1, lower: first };
      return whole(recordNode(new Node(arg!.backend, copy, shape, arg!.dtype, [{ node: rows.node, view }])));
    });
    return recordNode(new Node(node.backend, op, node.shape, node.dtype, args, node.scalars, node.scalarTypes));
  });
  const inner = contiguousView(node.shape);
  const targets = parts.map((_, b) => ({ ...inner, offset: b * node.numel }));
  const assemble: UpdateOp = {
    kind: "update",
    key: `rows/${batch.size}/${node.shape.join(",")}`,
    hasBase: false,
    targets,
  };
  return recordNode(new Node(node.backend, assemble, [batch.size, ...node.shape], node.dtype, parts.map(whole)));
}

function first(_: unknown, [x]: readonly number[]): number {
  return x!;
}
