/** Values as text, as Python's `print` shows them. */

import { Tensor } from "#tapegrad";
import { formatArray } from "../numpy-print.ts";
import type { Printable } from "./entry.ts";

/** What Python's `str` gives. */
export async function pythonText(value: Printable): Promise<string> {
  if (value === null) return "None";
  if (value instanceof Tensor) return value.toText();
  if (typeof value === "object") return formatArray(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}

/** What Python's `print` shows of several values. */
export async function printed(values: readonly Printable[]): Promise<string> {
  return (await Promise.all(values.map(pythonText))).join(" ");
}
