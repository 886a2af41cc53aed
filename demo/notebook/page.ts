/** The notebook as a page: `?device=auto|webgpu|cpu`. Runs all cells at once; each can be run again. */

import { byId, element, keepScrollable, nextFrame } from "../shared/dom.ts";
import { openDevice, setState, setStatus, showError, watchErrors } from "../shared/page.ts";
import { viewOf, type CellView } from "./cell-view.ts";
import { codeOf } from "./entry.ts";
import { notebook } from "./notebook.ts";
import pytorch from "./pytorch.json" with { type: "json" };
import { formulaHtml, markdownHtml } from "./rich-text.ts";

/** The text of the files that hold the cells. */
const sources = import.meta.glob<string>(["./basics.ts", "./jacobian.ts", "./exercises.ts"], {
  query: "?raw",
  import: "default",
  eager: true,
});

/** Puts the notebook on the page; gives its cells. */
function layOut(): CellView[] {
  const source = Object.values(sources).join("\n");
  const original: Readonly<Record<string, string>> = pytorch;
  const cells: CellView[] = [];
  const place = byId("notebook");
  for (const entry of notebook) {
    if (entry.kind === "cell") {
      const view = viewOf(entry, codeOf(entry.label, source), original[entry.label]);
      cells.push(view);
      place.append(view.root);
    } else {
      const block = element("div", { class: entry.kind });
      block.innerHTML = entry.kind === "text" ? markdownHtml(entry.markdown) : formulaHtml(entry.tex);
      if (entry.kind === "formula") keepScrollable(block);
      place.append(block);
    }
  }
  layOutContents(place);
  return cells;
}

/** Gives headings an address and lists them. */
function layOutContents(place: HTMLElement): void {
  const list = byId("contents");
  for (const heading of place.querySelectorAll("h2, h3, h4")) {
    const title = heading.textContent.replace(/ – .*/s, "").trim();
    heading.id = title.toLowerCase().replaceAll(/\W+/g, "-");
    const short = title.replace(/^Input = (\w+), Output = (\w+)/, "$1 → $2");
    list.append(
      element("li", { class: heading.tagName.toLowerCase() }, element("a", { href: `#${heading.id}` }, short)),
    );
  }
}

/** Cells run one after the other, however they were asked for: they share variables. */
let queue: Promise<unknown> = Promise.resolve();

function enqueue(run: () => Promise<void>): Promise<void> {
  const result = queue.then(run);
  queue = result.catch(showError);
  return result;
}

async function runAll(cells: readonly CellView[], where: string): Promise<void> {
  setState("running");
  const started = performance.now();
  for (const view of cells) view.setState("queued");
  for (const [index, view] of cells.entries()) {
    setStatus(`Running cell ${index + 1} of ${cells.length} …`);
    if (await view.run()) continue;
    for (const rest of cells.slice(index + 1)) rest.setState("idle");
    setStatus(`Stopped: cell ${view.cell.label} failed.`);
    setState("failed");
    return;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  setStatus(`Ran ${cells.length} cells on ${where} in ${seconds} s.`);
  setState("done");
}

async function runOne(view: CellView): Promise<void> {
  setState("running");
  const worked = await view.run();
  setStatus(worked ? `Ran cell ${view.cell.label}.` : `Cell ${view.cell.label} failed.`);
  setState(worked ? "done" : "failed");
}

async function main(): Promise<void> {
  const cells = layOut();
  const device = await openDevice();
  if (device === null) {
    setStatus("There is no device to run on: choose another one above.");
    for (const { button } of cells) button.disabled = true;
    return;
  }
  const where = device.type === "webgpu" ? "WebGPU" : "the CPU";
  cells.forEach((view, index) => {
    const run = (): void => {
      view.setState("queued");
      void enqueue(() => runOne(view));
    };
    view.button.addEventListener("click", run);
    view.root.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !event.shiftKey || view.button.disabled) return;
      event.preventDefault();
      run();
      cells[index + 1]?.button.focus();
    });
  });
  const all = byId("run-all") as HTMLButtonElement;
  all.disabled = false;
  all.addEventListener("click", () => void enqueue(() => runAll(cells, where)));
  await nextFrame();
  await enqueue(() => runAll(cells, where));
}

watchErrors();
main().catch(showError);
