/** Elementwise kernels that write over what they read: an optimiser's state is in memory once, also while it is updated. */

import type { DraftKernel } from "./draft.ts";
import { affineKey, type Node } from "./node.ts";

/** Finds what the kernels of a program can write over. */
export class Replacements {
  readonly #nodes: readonly Node[];
  readonly #targets: ReadonlySet<Node>;
  readonly #anchors: ReadonlySet<Node>;
  #users: Map<Node, Node[]> | null = null;

  /** `nodes` are to be computed, `targets` of them for good, and `anchors` are not written into their readers. */
  constructor(nodes: readonly Node[], targets: ReadonlySet<Node>, anchors: ReadonlySet<Node>) {
    this.#nodes = nodes;
    this.#targets = targets;
    this.#anchors = anchors;
  }

  /** Results of an elementwise kernel, and the replaced values that only they read, element by element. */
  of(anchors: readonly Node[], kernel: DraftKernel): Map<Node, Node> {
    const result = new Map<Node, Node>();
    if (kernel.inner.length > 0 || !kernel.buffers.some(isReplaced)) return result;
    const { buffers, structure } = kernel;
    const taken = new Set<Node>();
    for (const node of anchors) {
      if (!this.#targets.has(node)) continue;
      const store = structure.stores.find((s) => buffers[structure.accesses[s.access]!.buffer] === node);
      if (store === undefined) continue;
      const base = buffers.find(
        (candidate, buffer) =>
          isReplaced(candidate) &&
          !taken.has(candidate) &&
          candidate.numel === node.numel &&
          candidate.dtype === node.dtype &&
          this.#endsIn(candidate, node) &&
          isReadOnlyWhere(kernel, buffer, store.access),
      );
      if (base === undefined) continue;
      taken.add(base);
      result.set(node, base);
    }
    return result;
  }

  /** True if `node` is all that is computed from `base`: what lies between them is read once, and by nobody else. */
  #endsIn(base: Node, node: Node): boolean {
    for (let next = this.#onlyUser(base); ; next = this.#onlyUser(next)) {
      if (next === null || next === node) return next === node;
      if (next.owners > 0 || next.uses > 1 || this.#targets.has(next) || this.#anchors.has(next)) return false;
    }
  }

  /** The node to compute that reads `node`, if there is one only. */
  #onlyUser(node: Node): Node | null {
    this.#users ??= usersOf(this.#nodes);
    const users = this.#users.get(node);
    return users?.length === 1 ? users[0]! : null;
  }
}

/** True for a value in memory that was replaced and has one reader left: once that was computed, nobody can ask for it any more. */
function isReplaced(node: Node): boolean {
  return !node.pending && node.buffer !== null && node.holds === 0 && node.owners === 0 && node.uses <= 1;
}

/** True if a kernel reads each element of a buffer only where it stores the one at `access`. */
function isReadOnlyWhere(kernel: DraftKernel, buffer: number, access: number): boolean {
  const { structure, strides, offsets } = kernel;
  const keyOf = (at: number): string => affineKey({ strides: strides[at]!, offset: offsets[at]! });
  return structure.instrs.every(({ op, imm }) => {
    if (op === "loadAt") return imm !== buffer;
    if (op !== "load" || structure.accesses[imm as number]!.buffer !== buffer) return true;
    return keyOf(imm as number) === keyOf(access);
  });
}

function usersOf(nodes: readonly Node[]): Map<Node, Node[]> {
  const users = new Map<Node, Node[]>();
  for (const user of nodes)
    for (const { node } of [...user.args, ...user.tables]) {
      if (node === null) continue;
      const list = users.get(node);
      if (list === undefined) users.set(node, [user]);
      else if (!list.includes(user)) list.push(user);
    }
  return users;
}
