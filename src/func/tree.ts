/** Nested arrays and records of values: taken apart into leaves, and put together again. */

import { isOptions } from "../args.ts";
import { isTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";

/** A tensor, or nested arrays and records of tensors. */
export type TensorTree = Tensor | readonly TensorTree[] | { readonly [key: string]: TensorTree };

/** The form of a nested value, without its leaves. */
export type Form =
  | { readonly kind: "leaf" }
  /** `names` are further properties, such as PyTorch's field names, and the items that they name. */
  | { readonly kind: "array"; readonly items: readonly Form[]; readonly names: readonly (readonly [string, number])[] }
  | { readonly kind: "record"; readonly keys: readonly string[]; readonly items: readonly Form[] };

const LEAF: Form = { kind: "leaf" };

/** The leaves of a nested value from left to right, and its form. Anything but arrays and plain objects is a leaf. */
export function takeApart(value: unknown): { leaves: unknown[]; form: Form } {
  const leaves: unknown[] = [];
  const visit = (part: unknown): Form => {
    if (Array.isArray(part)) {
      const list = part as unknown[] & Record<string, unknown>;
      const names = Object.keys(list)
        .filter((key) => !/^\d+$/.test(key))
        .map((key) => [key, list.indexOf(list[key])] as const);
      return { kind: "array", items: list.map(visit), names: names.filter(([, at]) => at >= 0) };
    }
    if (!isTensor(part) && isOptions(part)) {
      const keys = Object.keys(part);
      return { kind: "record", keys, items: keys.map((key) => visit(part[key])) };
    }
    leaves.push(part);
    return LEAF;
  };
  const form = visit(value);
  return { leaves, form };
}

/** A nested value of a form, from its leaves. */
export function putTogether(form: Form, leaves: readonly unknown[]): unknown {
  let next = 0;
  const build = (part: Form): unknown => {
    switch (part.kind) {
      case "leaf":
        return leaves[next++];
      case "array": {
        const items = part.items.map(build) as unknown[] & Record<string, unknown>;
        for (const [name, at] of part.names) items[name] = items[at];
        return items;
      }
      case "record":
        return Object.fromEntries(part.items.map((item, i) => [part.keys[i]!, build(item)]));
    }
  };
  return build(form);
}

/** How many leaves a form has. */
export function countLeaves(form: Form): number {
  return form.kind === "leaf" ? 1 : form.items.reduce((sum, item) => sum + countLeaves(item), 0);
}

/**
 * A value for each leaf of `form` from `prefix`, which has the same form or is cut off above the leaves: where it is cut off, the value counts for all
 * leaves below. Null if the forms do not fit.
 */
export function broadcastPrefix(prefix: unknown, form: Form): unknown[] | null {
  const isNested = Array.isArray(prefix) || isOptions(prefix);
  if (!isNested) return new Array<unknown>(countLeaves(form)).fill(prefix);
  if (form.kind === "leaf") return null;
  const parts = Array.isArray(prefix)
    ? form.kind === "array" && prefix.length === form.items.length
      ? (prefix as unknown[])
      : null
    : form.kind === "record" && form.keys.length === Object.keys(prefix).length
      ? form.keys.map((key) => prefix[key])
      : null;
  if (parts === null) return null;
  const result: unknown[] = [];
  for (let i = 0; i < parts.length; i++) {
    const inner = broadcastPrefix(parts[i], form.items[i]!);
    if (inner === null) return null;
    result.push(...inner);
  }
  return result;
}

/** The type of a leaf, for messages. */
export function describe(value: unknown): string {
  if (value === null) return "null";
  if (isTensor(value)) return "Tensor";
  return typeof value === "object" ? (value.constructor?.name ?? "an object") : typeof value;
}
