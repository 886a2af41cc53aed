/** A cell on the page: its code, the same in PyTorch, a button, and what it gives. */

import { codeBlock } from "../shared/code.ts";
import { curvesFigure } from "../shared/curves.ts";
import { element, keepScrollable, nextFrame } from "../shared/dom.ts";
import { describe } from "../shared/page.ts";
import { tapeFigure } from "../shared/tape-svg.ts";
import type { Cell, CellOutput } from "./entry.ts";
import { printed } from "./python-text.ts";
import { tapeLines } from "./tape-text.ts";

/** How far a cell is; it stands as `data-state` on its element. */
export type CellState = "idle" | "queued" | "running" | "done" | "failed";

/** A cell on the page. */
export interface CellView {
  readonly cell: Cell;
  readonly root: HTMLElement;
  readonly button: HTMLButtonElement;
  /** Whether the cell did what it should. */
  run(): Promise<boolean>;
  setState(state: CellState): void;
}

/** The element of a cell. `pytorch` is its code in the original notebook, where there is one. */
export function viewOf(cell: Cell, code: string, pytorch: string | undefined): CellView {
  const { label } = cell;
  const output = element("div", { class: "output" });
  const button = element(
    "button",
    {
      class: "run",
      type: "button",
      "aria-label": `Run cell ${label}`,
      title: "Run this cell (Shift+Enter: and go to the next)",
    },
    "▶",
  );
  const root = element(
    "section",
    { class: "cell", "data-label": label, "data-state": "idle", "aria-label": `Cell ${label}` },
    element("div", { class: "gutter" }, element("span", { class: "label" }, `In [${label}]`), button),
    element("div", { class: "body" }, codeBlock(code, "typescript")),
  );
  const body = root.lastElementChild!;
  if (pytorch !== undefined)
    body.append(
      element("details", { class: "original" }, element("summary", {}, "PyTorch"), codeBlock(pytorch, "python")),
    );
  body.append(output);

  const setState = (state: CellState): void => {
    root.dataset.state = state;
    button.disabled = state === "queued" || state === "running";
    root.toggleAttribute("aria-busy", state === "running");
  };

  const write = (text: string): void => {
    const line = element("pre", { class: "printed" }, text);
    keepScrollable(line);
    output.append(line);
  };
  const draw = async (figure: HTMLElement): Promise<void> => {
    output.append(figure);
    await nextFrame();
  };
  const to: CellOutput = {
    print: async (...values) => write(await printed(values)),
    show: async (value) => write(await printed([value])),
    plot: async (data) => draw(curvesFigure(data)),
    graph: async (tape) => {
      const wide = output.clientWidth > 620;
      await draw(await tapeFigure(tape, "The dependency graph", `Tape: ${tapeLines(tape).join("; ")}`, wide));
    },
  };

  const run = async (): Promise<boolean> => {
    output.replaceChildren();
    setState("running");
    try {
      await cell.run(to);
      setState("done");
      return true;
    } catch (error) {
      console.error(error);
      const { name, message } = describe(error);
      output.append(element("div", { class: "error", role: "alert" }, element("strong", {}, name), ` ${message}`));
      setState("failed");
      return false;
    }
  };
  return { cell, root, button, run, setState };
}
