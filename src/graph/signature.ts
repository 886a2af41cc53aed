/** What a plan depends on, as text: equal texts can be run by the same plan. Written as numbers, since it is made anew in every realisation. */

import { dtypeNumber } from "../dtype.ts";
import type { ValueType } from "./kernel.ts";
import type { Node } from "./node.ts";

/** Numbers from here on, and those that are no small integers, take five code units: this one and the four of a float64. */
const ESCAPE = 0xffff;
const CHUNK = 4096;
/** Keys remembered at a time. Numbers are never given twice, so that forgetting costs a new plan and nothing else. */
const MAX_KEYS = 50_000;

let units = new Uint16Array(1 << 14);
let length = 0;
const wide = new Float64Array(1);
const wideUnits = new Uint16Array(wide.buffer);

function put(value: number): void {
  if (length + 5 > units.length) {
    const larger = new Uint16Array(2 * units.length);
    larger.set(units);
    units = larger;
  }
  if (value >= 0 && value < ESCAPE && (value | 0) === value) units[length++] = value;
  else {
    wide[0] = value;
    units[length++] = ESCAPE;
    for (let i = 0; i < 4; i++) units[length++] = wideUnits[i]!;
  }
}

function putAll(values: readonly number[]): void {
  put(values.length);
  for (let i = 0; i < values.length; i++) put(values[i]!);
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

/**
 * Text that is equal for programs that the same plan can run: `nodes` are those to compute (`pending` of them), then those that they
 * read. Sets the nodes' positions.
 */
export function signature(graph: { nodes: readonly Node[]; pending: number }, targets: ReadonlySet<Node>): string {
  const { nodes, pending } = graph;
  length = 0;
  for (let i = 0; i < nodes.length; i++) nodes[i]!.position = i;
  put(pending);
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i]!;
    put(i < pending ? pendingKind(node, targets) : leafKind(node));
    put(dtypeNumber(node.dtype));
    putAll(node.shape);
    if (i >= pending) continue;
    put(keyNumber(node.op.key));
    const { scalarTypes, args, tables } = node;
    put(scalarTypes.length);
    for (let s = 0; s < scalarTypes.length; s++) put(typeNumbers[scalarTypes[s]!]);
    put(args.length);
    for (let a = 0; a < args.length; a++) {
      const { node: source, view } = args[a]!;
      put(source === null ? 0 : source.position + 1);
      putAll(view.shape);
      for (let d = 0; d < view.strides.length; d++) put(view.strides[d]!);
      put(view.offset);
    }
    put(tables.length);
    for (let t = 0; t < tables.length; t++) put(tables[t]!.node!.position);
  }
  let text = "";
  for (let at = 0; at < length; at += CHUNK)
    text += String.fromCharCode.apply(null, units.subarray(at, Math.min(at + CHUNK, length)) as unknown as number[]);
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
