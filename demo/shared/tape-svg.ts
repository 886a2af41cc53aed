/** A tape drawn as SVG, by Graphviz. */

import type { TapeGraph } from "#tapegrad";
import { element } from "./dom.ts";

/** A figure of the tape: what entries made, with the entry's name below. Left to right where it is `wide`, else downwards. */
export async function tapeFigure(
  tape: TapeGraph,
  title: string,
  description: string,
  wide: boolean,
): Promise<HTMLElement> {
  // Graphviz is a large program: it is loaded when there is something to draw.
  const { instance } = await import("@viz-js/viz");
  const graphviz = await instance();
  const dot = tape.toDot(({ variable, name }) => (variable === null ? name : `${variable}\n${name}`));
  const svg = graphviz.renderSVGElement(dot, {
    graphAttributes: { rankdir: wide ? "LR" : "TB", bgcolor: "transparent", nodesep: 0.3, ranksep: 0.45 },
    nodeAttributes: { shape: "box", style: "rounded,filled", fontname: "Helvetica", fontsize: 12, margin: "0.16,0.08" },
    edgeAttributes: { arrowsize: 0.7 },
  });
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", description);
  // What Graphviz wrote for hovering says the numbers of nodes.
  for (const hint of svg.querySelectorAll("title")) hint.remove();
  for (const label of svg.querySelectorAll(".node text:nth-of-type(2)")) label.classList.add("entry");
  return element("figure", { class: "tape" }, svg, element("figcaption", {}, title));
}
