/** What a plan depends on, as text: equal texts can be run by the same plan. Written as numbers, since it is made anew in every realisation. */

import { dtypeNumber } from "../dtype.ts";
import type { ValueType } from "./kernel.ts";
import type { Node, NodeOp } from "./node.ts";
import type { View } from "./view.ts";

/** Numbers from here on, and those that are no small integers, take five code units: this one and the four of a float64. */
const ESCAPE = 0xffff;
const CHUNK = 4096;
/** Keys remembered at a time. Numbers are never given twice, so that forgetting costs a new plan and nothing else. */
const MAX_KEYS = 50_000;

let units = new Uint16Array(1 << 14);
const wide = new Float64Array(1);
const wideUnits = new Uint16Array(wide.buffer);

/** Writes a number at `at`; gives where the next one goes. There must be room for five units. */
function put(to: Uint16Array, at: number, value: number): number {
  if (value >= 0 && value < ESCAPE && (value | 0) === value) {
    to[at] = value;
    return at + 1;
  }
  wide[0] = value;
  to[at] = ESCAPE;
  for (let i = 0; i < 4; i++) to[at + 1 + i] = wideUnits[i]!;
  return at + 5;
}

/** Writes how many there are, and the numbers. There must be room. */
function putAll(to: Uint16Array, start: number, values: readonly number[]): number {
  let at = put(to, start, values.length);
  for (let i = 0; i < values.length; i++) at = put(to, at, values[i]!);
  return at;
}

function putView(to: Uint16Array, start: number, { shape, strides, offset }: View): number {
  let at = putAll(to, start, shape);
  for (let d = 0; d < strides.length; d++) at = put(to, at, strides[d]!);
  return put(to, at, offset);
}

/** The memory with room for so many more numbers. */
function roomFor(numbers: number, length: number): Uint16Array {
  const needed = length + 5 * numbers;
  if (needed > units.length) {
    const larger = new Uint16Array(2 * needed);
    larger.set(units.subarray(0, length));
    units = larger;
  }
  return units;
}

const keys = new Map<string, number>();
let nextKey = 0;

function keyNumber(key: string): number {
  let number = keys.get(key);
  if (number === undefined) {
    if (keys.size >= MAX_KEYS) keys.clear();
    number = nextKey++;
    keys.set(key, number);
  }
  return number;
}

const typeNumbers: Record<ValueType, number> = { f: 0, d: 1, i: 2, u: 3, b: 4 };

/** At most so many numbers tell what a node is, its arguments apart. */
function sizeOf({ op, shape, scalarTypes, tables }: Node): number {
  const own = 8 + shape.length + scalarTypes.length + tables.length;
  switch (op.kind) {
    case "reduce":
      return own + 2 + op.fullShape.length + op.dims.length;
    case "routine":
      return own + 1 + op.ints.length;
    case "update":
      return op.targets.reduce((sum, { shape: { length } }) => sum + 2 + 2 * length, own + 2);
    default:
      return own;
  }
}

/** Writes what the operation's key does not say. */
function putOp(to: Uint16Array, start: number, op: NodeOp): number {
  let at = start;
  if (op.kind === "reduce") {
    at = putAll(to, at, op.fullShape);
    at = putAll(to, at, op.dims);
  } else if (op.kind === "routine") at = putAll(to, at, op.ints);
  else if (op.kind === "update") {
    at = put(to, at, op.targets.length);
    for (const target of op.targets) at = putView(to, at, target);
  }
  return at;
}

/**
 * Text that is equal for programs that the same plan can run: `nodes` are those to compute (`pending` of them), then those that they
 * read. Sets the nodes' positions.
 */
export function signature(graph: { nodes: readonly Node[]; pending: number }, targets: ReadonlySet<Node>): string {
  const { nodes, pending } = graph;
  for (let i = 0; i < nodes.length; i++) nodes[i]!.position = i;
  let at = put(roomFor(1, 0), 0, pending);
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i]!;
    let to = roomFor(sizeOf(node), at);
    at = put(to, at, i < pending ? pendingKind(node, targets) : leafKind(node));
    at = put(to, at, dtypeNumber(node.dtype));
    at = putAll(to, at, node.shape);
    if (i >= pending) continue;
    const { op, scalarTypes, args, tables } = node;
    at = put(to, at, keyNumber(op.key));
    at = putOp(to, at, op);
    at = put(to, at, scalarTypes.length);
    for (let s = 0; s < scalarTypes.length; s++) at = put(to, at, typeNumbers[scalarTypes[s]!]);
    at = put(to, at, tables.length);
    for (let t = 0; t < tables.length; t++) at = put(to, at, tables[t]!.node!.position);
    at = put(to, at, args.length);
    for (let a = 0; a < args.length; a++) {
      const { node: source, view } = args[a]!;
      to = roomFor(3 + 2 * view.shape.length, at);
      at = put(to, at, source === null ? 0 : source.position + 1);
      at = putView(to, at, view);
    }
  }
  let text = "";
  for (let from = 0; from < at; from += CHUNK)
    text += String.fromCharCode.apply(null, units.subarray(from, Math.min(from + CHUNK, at)) as unknown as number[]);
  return text;
}

/** A single element known to the host is a scalar of the kernel; memory may be taken over only where nobody else wants it. */
function leafKind(node: Node): number {
  if (node.isHostScalar) return 0;
  if (node.buffer === null) return 1;
  return node.holds > 0 || node.owners > 0 || node.uses > 1 ? 2 : 3;
}

function pendingKind(node: Node, targets: ReadonlySet<Node>): number {
  if (targets.has(node)) return 4;
  return node.owners === 0 && node.uses === 1 ? 5 : 6;
}
