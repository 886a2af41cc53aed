/** What the notebook is made of: text, formulas, and cells whose code is the text of a function. */

import type { TapeGraph, Tensor } from "#tapegrad";
import type { NdArray } from "../numpy.ts";
import type { PlotData } from "../plot-data.ts";

/** What can be printed. */
export type Printable = Tensor | NdArray | string | number | boolean | null;

/** What a cell can do besides computing: print a line, show its last value, draw. */
export interface CellOutput {
  /** Python's `print`: values separated by spaces. */
  print(...values: Printable[]): Promise<void>;
  /** The value of the cell's last line. */
  show(value: Printable): Promise<void>;
  /** A plot of several curves over x. */
  plot(data: PlotData): Promise<void>;
  /** The tape below a tensor. */
  graph(tape: TapeGraph): Promise<void>;
}

/** A cell: `In [label]`. */
export interface Cell {
  readonly kind: "cell";
  readonly label: string;
  readonly run: (out: CellOutput) => Promise<void>;
}

/** Text in Markdown, with formulas between dollar signs. */
export interface Text {
  readonly kind: "text";
  readonly markdown: string;
}

/** A formula on lines of its own: in TeX, and in plain characters for a terminal. */
export interface Formula {
  readonly kind: "formula";
  readonly tex: string;
  readonly plain: string;
}

/** A part of the notebook. */
export type Entry = Text | Formula | Cell;

/** A text in Markdown. */
export const text = (markdown: string): Text => ({ kind: "text", markdown });

/** A formula; `plain` may start and end with a line break, which is dropped. */
export const formula = (tex: string, plain: string): Formula => ({
  kind: "formula",
  tex: tex.trim(),
  plain: plain.replace(/^\n|\n$/g, ""),
});

/** A cell; what is shown as its code is the text between the braces of `run`. */
export const cell = (label: string, run: Cell["run"]): Cell => ({ kind: "cell", label, run });

/** A cell that imports. What is shown are the lines below the comment `// In [label]` in its file, which have run when the file was loaded. */
export const imports = (label: string): Cell => cell(label, async () => {});

/**
 * The code of a cell, given the text of the files of the notebook. The library is named as its users name it. Throws an `Error` if the
 * files have no such cell.
 */
export function codeOf(label: string, source: string): string {
  const name = label.replaceAll(/[^\w ]/g, "\\$&");
  const body = new RegExp(`^  cell\\("${name}", async \\(.*\\) => \\{\\n([^]*?)\\n  \\}\\),$`, "m").exec(source)?.[1];
  if (body !== undefined) return body.replaceAll(/^ {4}/gm, "");
  const imported = new RegExp(`^// In \\[${name}\\]\\n([^]*?)\\n\\n`, "m").exec(source)?.[1];
  if (imported === undefined) throw new Error(`the notebook has no code for cell "${label}"`);
  return imported.replaceAll('"#tapegrad"', '"tapegrad"');
}
