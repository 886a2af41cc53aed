/** Which of several ways of running a routine is taken: by a rule, or by what was measured on this adapter. */

import { isDeterministic } from "../determinism.ts";

/** The ways of running one call. */
export interface Alternatives<T> {
  /** Calls with equal text choose the same way. */
  key(): string;
  /** What the rule says. */
  readonly usual: T;
  /** All that can run the call, the usual one among them. */
  all(): readonly T[];
  /** Tells the ways apart; kept by programs and files, so short and plain. */
  name(way: T): string;
}

/** A choice that was made, by names. */
export interface Choice {
  readonly key: string;
  readonly names: readonly string[];
  readonly usual: string;
}

/** What was measured, by adapter, then by key: devices made again on the same adapter go on with it. */
const measured = new Map<string, Map<string, string>>();

function knownOf(adapter: string): Map<string, string> {
  let known = measured.get(adapter);
  if (known === undefined) measured.set(adapter, (known = new Map()));
  return known;
}

/** Everything that was measured: names of ways by adapter and key. */
export function measuredChoices(): Record<string, Record<string, string>> {
  const entries = [...measured].filter(([, known]) => known.size > 0);
  return Object.fromEntries(entries.map(([adapter, known]) => [adapter, Object.fromEntries(known)]));
}

/** Adds to what was measured on an adapter, which need not be there. */
export function addMeasuredChoices(adapter: string, choices: Readonly<Record<string, string>>): void {
  const known = knownOf(adapter);
  for (const [key, name] of Object.entries(choices)) known.set(key, name);
}

/** The choices of one device. */
export class Choices {
  readonly #known: Map<string, string>;
  #forced: { readonly key: string; readonly name: string } | null = null;
  #listener: ((choice: Choice) => void) | null = null;

  /** `adapter` names everything that decides how fast a way is. */
  constructor(adapter: string) {
    this.#known = knownOf(adapter);
  }

  /** The way to take. What was measured counts only where it is one of those that can run the call. */
  pick<T>(alternatives: Alternatives<T>): T {
    const { usual } = alternatives;
    if (this.#forced === null && this.#listener === null && (this.#known.size === 0 || isDeterministic())) return usual;
    const key = alternatives.key();
    const forced = this.#forced?.key === key ? this.#forced.name : undefined;
    const known = isDeterministic() ? undefined : this.#known.get(key);
    const wanted = forced ?? known;
    if (wanted === undefined && this.#listener === null) return usual;
    const all = alternatives.all();
    if (known === undefined && all.length > 1)
      this.#listener?.({ key, names: all.map((way) => alternatives.name(way)), usual: alternatives.name(usual) });
    return all.find((way) => alternatives.name(way) === wanted) ?? usual;
  }

  /** Tells `listener` of choices of which nothing is known yet while `body` makes them. */
  listen<R>(listener: (choice: Choice) => void, body: () => R): R {
    this.#listener = listener;
    try {
      return body();
    } finally {
      this.#listener = null;
    }
  }

  /** Makes one choice come out as told while `body` makes it. */
  force<R>(key: string, name: string, body: () => R): R {
    this.#forced = { key, name };
    try {
      return body();
    } finally {
      this.#forced = null;
    }
  }

  set(key: string, name: string): void {
    this.#known.set(key, name);
  }

  has(key: string): boolean {
    return this.#known.has(key);
  }

  /** All that is known, as plain data. */
  toRecord(): Record<string, string> {
    return Object.fromEntries(this.#known);
  }

  /** Forgets what was measured, and goes on from this. */
  resume(choices: Readonly<Record<string, string>>): void {
    this.#known.clear();
    for (const [key, name] of Object.entries(choices)) this.#known.set(key, name);
  }
}

/** The class of a size: sizes within about a fifth of each other share one, small ones have their own. */
export function classOf(size: number): number {
  return size <= 4 ? size : Math.round(2 * Math.log2(size)) + 1;
}

/** A short text in place of a long one, by FNV-1a with two starting points. */
export function digest(text: string): string {
  let [a, b] = [0x811c9dc5, 0x050c5d1f];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c, 0x01000193) ^ (b >>> 15);
  }
  return (a >>> 0).toString(36) + (b >>> 0).toString(36);
}
