/** A list of nodes in the order of joining. */

import type { Node } from "./node.ts";

/**
 * Holds each node at most once; a node is in one list at a time and knows its neighbours there. A `Set` would do the same, but what a long-lived
 * Set drops stays reachable from the tables that it outgrew until the next full garbage collection, which every step would pay for.
 */
export class NodeList {
  #first: Node | null = null;
  #last: Node | null = null;

  has(node: Node): boolean {
    return node.list === this;
  }

  /** Adds a node, which must be in no list, at the end. */
  add(node: Node): void {
    node.list = this;
    node.before = this.#last;
    if (this.#last === null) this.#first = node;
    else this.#last.after = node;
    this.#last = node;
  }

  /** Takes a node out; false if it is not in this list. */
  delete(node: Node): boolean {
    if (node.list !== this) return false;
    const { before, after } = node;
    if (before === null) this.#first = after;
    else before.after = after;
    if (after === null) this.#last = before;
    else after.before = before;
    node.list = null;
    node.before = null;
    node.after = null;
    return true;
  }

  /** The nodes from the first to the last; the one that is looked at may leave the list. */
  *[Symbol.iterator](): Generator<Node> {
    let node = this.#first;
    while (node !== null) {
      const next: Node | null = node.after;
      yield node;
      node = next;
    }
  }
}
