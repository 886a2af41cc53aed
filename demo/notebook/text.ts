/** Cells' output as text, as Python would print it. */

import { Tensor, type TapeGraph } from "#tapegrad";
import type { CellOutput, PlotData, Printable } from "./cells.ts";
import { formatArray } from "../numpy-print.ts";

/** What Python's `str` gives. */
export async function pythonText(value: Printable): Promise<string> {
  if (value === null) return "None";
  if (value instanceof Tensor) return value.toText();
  if (typeof value === "object") return formatArray(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  return String(value);
}

/** Collects what a cell prints; plots and graphs go to the functions given. */
export function textOutput(
  write: (line: string) => void,
  draw: { plot(data: PlotData): void | Promise<void>; graph(tape: TapeGraph): void | Promise<void> },
): CellOutput {
  return {
    print: async (...values) => write((await Promise.all(values.map(pythonText))).join(" ")),
    show: async (value) => write(await pythonText(value)),
    plot: async (data) => draw.plot(data),
    graph: async (tape) => draw.graph(tape),
  };
}

/** Lines that tell a graph in words: each entry, and what it was computed from. */
export function describeGraph(tape: TapeGraph): string[] {
  return tape.nodes.map((node) => {
    const inputs = tape.edges.filter((e) => e.from === node.id).map((e) => `${tape.nodes[e.to]!.name} #${e.to}`);
    return `#${node.id} ${node.name}${inputs.length > 0 ? ` <- ${inputs.join(", ")}` : ""}`;
  });
}
