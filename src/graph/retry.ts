/**
 * Trying again what a device had no memory for. A GPU tells so late, when values count as written out and may have forgotten what they were computed
 * from: it is remembered for some realisations, so that a value that is not there becomes a pending one again.
 */

import { OutOfMemoryError } from "../errors.ts";
import type { Arg, Node } from "./node.ts";
import type { Residency } from "./residency.ts";

/** Realisations whose recipes are kept until a read tells that their values are there. */
const KEPT_RUNS = 4;
/** Values at fault that are kept in mind until they can be tried again. */
const MOST_FOUND = 1024;

interface Recipe {
  readonly args: readonly Arg[];
  readonly tables: readonly Arg[];
}

/** Why the value in a node's device memory is not there, as far as the device has told by now; null if nothing is known to be wrong. */
export function faultOf(node: Node): Error | null {
  const { backend, buffer, slot, dtype, numel } = node;
  if (backend.faultOf === undefined) return null;
  if (buffer !== null) return backend.faultOf(buffer);
  if (slot !== null) return backend.faultOf(slot.block.buffer, { dtype, offset: slot.start, count: numel });
  return null;
}

/** True for a value that the device had no memory for. */
export function isShort(node: Node): boolean {
  return faultOf(node) instanceof OutOfMemoryError;
}

/** What the values of the last realisations were computed from. */
export class Recipes {
  /** By realisation, the oldest first. */
  readonly #runs: { readonly number: number; readonly recipes: Map<Node, Recipe> }[] = [];
  /** Of values that are at fault, as long as there is anybody to ask for them. */
  readonly #short = new WeakMap<Node, Recipe>();
  readonly #residency: Residency;
  /** Of them, those that were found since they were last asked for. */
  #found: Node[] = [];
  #number = 0;

  constructor(residency: Residency) {
    this.#residency = residency;
  }

  /** How many realisations there were. */
  get count(): number {
    return this.#number;
  }

  /** Begins those of another realisation. */
  begin(): void {
    this.#runs.push({ number: ++this.#number, recipes: new Map() });
    if (this.#runs.length > KEPT_RUNS) this.#confirm(this.#runs.shift()!.recipes);
  }

  #confirm(recipes: Map<Node, Recipe>): void {
    for (const [node, recipe] of recipes)
      if (isShort(node)) {
        this.#short.set(node, recipe);
        this.#residency.setAside(node);
        if (this.#found.length < MOST_FOUND) this.#found.push(node);
      }
    recipes.clear();
  }

  /** Remembers what a value was computed from that is about to forget it. */
  note(node: Node): void {
    const { args, tables, backend } = node;
    if (backend.faultOf !== undefined) this.#runs.at(-1)?.recipes.set(node, { args, tables });
  }

  /** The values of the first `count` realisations are known to be there, but for those that are at fault. */
  confirm(count: number): void {
    for (const { number, recipes } of this.#runs) if (number <= count) this.#confirm(recipes);
  }

  /** Values that turned out not to be there since this was last asked. */
  takeFound(): Node[] {
    const found = this.#found;
    this.#found = [];
    return found.filter(isShort);
  }

  /** What a value can be computed from; null if that was forgotten, or if it never was computed. */
  of(node: Node): Recipe | null {
    if (node.op.kind === "leaf") return node.transferFrom === null ? null : node;
    if (!node.settled) return node;
    for (const { recipes } of this.#runs) {
      const recipe = recipes.get(node);
      if (recipe !== undefined) return recipe;
    }
    return this.#short.get(node) ?? null;
  }

  #forget(node: Node): void {
    this.#short.delete(node);
    for (const { recipes } of this.#runs) recipes.delete(node);
  }

  /**
   * Makes values pending again that the device had no memory for, among `targets` and what they are computed from, as far as they can be computed once
   * more. What cannot keeps its fault.
   */
  mend(targets: readonly Node[]): void {
    const found: Node[] = [];
    const seen = new Set<Node>(targets);
    const stack = [...targets];
    while (stack.length > 0) {
      const node = stack.pop()!;
      found.push(node);
      if (node.host !== null || isThere(node)) continue;
      for (const source of sourcesOf(this.of(node)))
        if (!seen.has(source)) {
          seen.add(source);
          stack.push(source);
        }
    }
    found.sort((a, b) => a.id - b.id);
    const fine = new Set<Node>();
    for (const node of found) {
      if (node.host !== null || isThere(node)) fine.add(node);
      else {
        const recipe = this.of(node);
        if (recipe === null || node.lost !== null || !sourcesOf(recipe).every((s) => fine.has(s))) continue;
        fine.add(node);
        if (node.settled) {
          node.unsettle(recipe.args, recipe.tables);
          this.#forget(node);
        }
      }
      if (isShort(node)) this.#residency.release(node, "");
    }
  }
}

/** True if the value is in device memory. */
function isThere(node: Node): boolean {
  return !node.pending && !isShort(node);
}

function sourcesOf(recipe: Recipe | null): Node[] {
  if (recipe === null) return [];
  return [...recipe.args, ...recipe.tables].flatMap(({ node }) => (node === null ? [] : [node]));
}
