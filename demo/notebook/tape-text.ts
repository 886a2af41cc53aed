/** A tape in words, for a terminal. */

import type { TapeGraph } from "#tapegrad";

/**
 * A line for each entry, inputs before what is computed of them: the name of what the entry made, the entry, and the names of
 * its inputs. Entries without a name are numbered.
 */
export function tapeLines(tape: TapeGraph): string[] {
  const nameOf = (id: number): string => tape.nodes[id]!.variable ?? `#${id}`;
  const inputsOf = (id: number): number[] => tape.edges.filter(({ from }) => from === id).map(({ to }) => to);
  const order = new Set<number>();
  const visit = (id: number): void => {
    if (order.has(id)) return;
    inputsOf(id).forEach(visit);
    order.add(id);
  };
  tape.nodes.forEach(({ id }) => visit(id));

  const rows = [...order].map((id) => [nameOf(id), tape.nodes[id]!.name, inputsOf(id).map(nameOf).join(", ")]);
  const width = (column: number): number => Math.max(...rows.map((row) => row[column]!.length));
  const [names, entries] = [width(0), width(1)];
  return rows.map(([name, entry, inputs]) =>
    `${name!.padEnd(names)}   ${entry!.padEnd(entries)}   ${inputs === "" ? "" : `of ${inputs}`}`.trimEnd(),
  );
}
