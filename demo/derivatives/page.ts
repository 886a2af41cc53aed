/** Derivatives of a function, plotted: `?device=auto|webgpu|cpu`. */

import { asUsersWrite, codeBlock } from "../shared/code.ts";
import { curvesFigure } from "../shared/curves.ts";
import { byId, element } from "../shared/dom.ts";
import { openDevice, setState, setStatus, showError, watchErrors } from "../shared/page.ts";
import { derivativesOf, FUNCTIONS } from "./derivatives.ts";

const sources = import.meta.glob<string>("./derivatives.ts", { query: "?raw", import: "default", eager: true });

/** How a derivative is called. */
function nameOf(order: number): string {
  return `f${"′".repeat(order)}(x)`;
}

async function show(): Promise<void> {
  const name = (byId("function") as HTMLSelectElement).value;
  const order = Number((byId("order") as HTMLInputElement).value);
  byId("order-shown").textContent = String(order);
  setState("running");
  const started = performance.now();
  const { x, derivatives } = await derivativesOf(name, order);
  const milliseconds = performance.now() - started;
  const curves = derivatives.map(({ order, y }) => ({ name: nameOf(order), y }));
  const title = `f(x) = ${name}, and its derivatives by autograd`;
  byId("plot").replaceChildren(curvesFigure({ title, x, curves }, { width: 760, height: 420 }));
  byId("tapes").replaceChildren(
    ...derivatives.map(({ order, y, entries }) => {
      const cells = [entries, Math.min(...y).toFixed(3), Math.max(...y).toFixed(3)].map((value) =>
        element("td", {}, String(value).replace("-", "−")),
      );
      return element("tr", {}, element("th", { scope: "row" }, nameOf(order)), ...cells);
    }),
  );
  setStatus(`${derivatives.length} curves of ${x.length} points in ${milliseconds.toFixed(0)} ms.`);
  setState("done");
}

async function main(): Promise<void> {
  byId("program").append(codeBlock(asUsersWrite(Object.values(sources).join("\n")), "typescript"));
  byId("function").append(...Object.keys(FUNCTIONS).map((name) => element("option", { value: name }, name)));
  if ((await openDevice()) === null) {
    setStatus("There is no device to compute on: choose another one above.");
    return;
  }
  // One after the other, in the order in which they were asked for.
  let queue = show();
  for (const id of ["function", "order"])
    byId(id).addEventListener("input", () => {
      queue = queue.then(show).catch(showError);
    });
  await queue;
}

watchErrors();
main().catch(showError);
