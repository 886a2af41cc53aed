/** What users are told of values that are gone, and of indices that were out of range on a device. */

import { DisposedError, IndexError } from "../errors.ts";
import { describeNode, newVisit, operationOf, type Node } from "./node.ts";
import { faultOf } from "./retry.ts";
import { isDebugModeEnabled, siteInDebugMode } from "./site.ts";

/** Why a value is gone: with the line that took it, in debug mode. */
export function lossReason(why: string): string {
  const site = siteInDebugMode();
  return site === null ? why : `${why} (at ${site})`;
}

/** Why the memory of a value was taken that an optimiser overwrote. */
export const OVERWRITTEN = "was overwritten since, by two steps of an optimiser";
/** Why the memory of a value was taken that could be computed again. */
export const GIVEN_UP = "was given up to make room";

/** Why `target` cannot be had: it is, or is computed from, `gone`. */
export function storyOf(target: Node, gone: Node): string {
  const before =
    target.fault === null ? "" : `, and before that there was no memory to write it out (${target.fault.message})`;
  const why = (gone.lost ?? GIVEN_UP) + before;
  if (target === gone) return `it ${why}`;
  const source =
    gone.role === "parameter" ? `${describeNode(gone)} (parameters as they were then)` : describeNode(gone);
  return `it is not in memory, and what it is computed from, ${source}, ${why}`;
}

/** The error for a value that cannot be had. */
export function lostError(target: Node, gone: Node): DisposedError {
  const hint = isDebugModeEnabled() ? "" : " setDebugMode(true) makes this message name the lines where that happened.";
  return new DisposedError(
    `${describeNode(target)}, is gone: ${storyOf(target, gone)}. Call retain() on the tensor before, to keep its value.${hint}`,
  );
}

/** Values of which somebody was told that there was no memory for them. */
const told = new WeakSet<Node>();

/**
 * The error for a value that there was no memory to write out, and that can no longer be computed: the device's own when it is asked for the first time, and
 * always of state, which `restore` brings back.
 */
export function unwrittenError(node: Node): Error {
  const fault = faultOf(node)!;
  if (node.holds > 0 || !told.has(node)) {
    told.add(node);
    return fault;
  }
  return new DisposedError(
    `${describeNode(node)}, is gone: there was no memory to write it out (${fault.message}), and what it is computed from was overwritten since. ` +
      "Call retain() on the tensor before, to keep its value.",
  );
}

/** What a value is computed from that is gone; null if it is there or can be computed. */
export function goneOf(node: Node): Node | null {
  if (node.traced) return null;
  return findBehind(node, isGone);
}

function isGone(node: Node): boolean {
  if (!node.pending) return false;
  return node.lost !== null || node.settled || (node.op.kind === "leaf" && node.transferFrom === null);
}

/** True if `target` is one of `sources`, or has still to be computed from one of them. */
export function dependsOn(target: Node, sources: ReadonlySet<Node>): boolean {
  return findBehind(target, (node) => sources.has(node)) !== null;
}

/** The first for which `isFound`, of a value and what it has still to be computed from; null if there is none. */
function findBehind(target: Node, isFound: (node: Node) => boolean): Node | null {
  const visit = newVisit();
  const stack = [target];
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (node.visit === visit) continue;
    node.visit = visit;
    if (isFound(node)) return node;
    if (!node.pending) continue;
    if (node.transferFrom !== null) stack.push(node.transferFrom);
    for (const arg of node.args) if (arg.node !== null) stack.push(arg.node);
    for (const arg of node.tables) if (arg.node !== null) stack.push(arg.node);
  }
  return null;
}

// Faults are reported by a number that a kernel writes; these say which operations it stands for.
const texts = new Map<number, string>();
const MOST_TEXTS = 10_000;
let nextTag = 1;

/** A number for what checks indices in a kernel, to be given to it. */
export function tagFor(nodes: readonly Node[]): number {
  const tag = nextTag;
  nextTag = nextTag >= 0x7fffffff ? 1 : nextTag + 1;
  texts.set(tag, [...new Set(nodes.map(checkText))].join(", or "));
  if (texts.size > MOST_TEXTS) texts.delete(texts.keys().next().value!);
  return tag;
}

function checkText(node: Node): string {
  const sizes = checkedSizes(node);
  const site = node.site === null ? "" : ` at ${node.site}`;
  return `${operationOf(node)}: an index is out of bounds for ${sizes.length === 1 ? "size" : "the sizes"} ${sizes.join(", ")}${site}`;
}

/** Sizes of the dimensions that a node's indices are checked against. */
function checkedSizes(node: Node): readonly number[] {
  // A gather has a stride and a size an index; a scatter's second number is the size.
  if (node.op.kind === "routine") return node.op.ints.slice(1, 2);
  return node.scalars.filter((_, i) => i % 2 === 1);
}

/** Throws the `IndexError` for the number that a kernel wrote, if it wrote one. */
export function checkFault(fault: number): void {
  if (fault === 0) return;
  const text = texts.get(fault) ?? "an earlier operation: an index is out of bounds";
  throw new IndexError(
    `${text}. The index was computed on the device, and checked there: look at its values with await index.toArray()`,
  );
}
