/** The lanes as SVG: a row a buffer, the parts of the step behind them, and the line of live bytes above. */

import type { Timeline } from "#tapegrad";
import { bandsOf, showBytes, type Kind, type Lane } from "./lanes.ts";

const LANE = 13;
const GAP = 3;
const HEAD = 18;
const LINE = 84;

/** The style sheet's colour of a kind. */
export function colourOfKind(kind: Kind): string {
  return `var(--${kind.replace(" ", "-")})`;
}

function svg(
  tag: string,
  attributes: Readonly<Record<string, string | number>>,
  ...children: readonly (Node | string)[]
): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** What a drawing is made of. */
export interface Drawing {
  readonly timeline: Timeline;
  readonly lanes: readonly Lane[];
  /** Width in pixels. */
  readonly width: number;
  readonly hasLine: boolean;
  /** What is said of a lane without being looked at. */
  nameOf(lane: Lane, position: number): string;
}

/** A picture of the lanes, which is a list to choose from; lane `i` has the id `lane-i`. */
export function draw({ timeline, lanes, width, hasLine, nameOf }: Drawing): SVGElement {
  const { steps } = timeline;
  const x = (step: number): number => Number(((width * step) / Math.max(steps.length, 1)).toFixed(2));
  const top = HEAD + (hasLine ? LINE + 2 * GAP : 0);
  const height = top + lanes.length * (LANE + GAP) + GAP;
  const bands = bandsOf(steps).map(({ phase, from, to }) =>
    svg("rect", { class: `band ${phase}`, x: x(from), y: 0, width: x(to) - x(from), height }),
  );
  // A name where there is room for it.
  const names = bandsOf(steps)
    .filter(({ from, to, phase }) => x(to) - x(from) > 7 * phase.length)
    .map(({ phase, from }) => svg("text", { x: x(from) + 4, y: 13 }, phase));
  const rows = lanes.map((lane, i) => {
    const y = top + i * (LANE + GAP) + GAP;
    const place = (from: number, to: number): Record<string, number> => ({
      x: x(from),
      y,
      width: Number((x(to) - x(from)).toFixed(2)),
      height: LANE,
    });
    return svg(
      "g",
      {
        class: "lane",
        id: `lane-${i}`,
        role: "option",
        "aria-selected": "false",
        "aria-label": nameOf(lane, i),
        "data-bytes": lane.buffer.bytes,
        "data-from": lane.from,
        "data-to": lane.to,
      },
      svg("rect", { class: "whole", style: `--of: ${colourOfKind(lane.kind)}`, ...place(lane.from, lane.to) }),
      ...lane.stays
        .filter(({ from, to }) => to > from)
        .map(({ kind, from, to }) =>
          svg("rect", { class: "stay", style: `--of: ${colourOfKind(kind)}`, ...place(from, to) }),
        ),
      svg("rect", { class: "frame", ...place(lane.from, lane.to) }),
    );
  });
  return svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      role: "listbox",
      tabindex: 0,
      "aria-label": `${lanes.length} buffers over the ${steps.length} steps`,
      "aria-describedby": "hint",
    },
    svg("g", { "aria-hidden": "true" }, ...bands, ...names, ...(hasLine ? lineOf(timeline, x) : [])),
    ...rows,
  );
}

/** Live bytes over the steps, and where they were most. */
function lineOf({ steps, peakBytes, peakAt }: Timeline, x: (step: number) => number): SVGElement[] {
  const y = (bytes: number): number => Number((HEAD + LINE * (1 - (0.85 * bytes) / Math.max(peakBytes, 1))).toFixed(2));
  const corners = steps.map(({ bytes }, i) => `L${x(i)} ${y(bytes)}L${x(i + 1)} ${y(bytes)}`);
  const path = `M0 ${HEAD + LINE}${corners.join("")}L${x(steps.length)} ${HEAD + LINE}Z`;
  const top = y(peakBytes);
  const isLate = peakAt > steps.length / 2;
  return [
    svg("path", { class: "line", d: path }),
    svg("path", { class: "peak", d: `M0 ${top}H${x(steps.length)}` }),
    svg(
      "text",
      { x: isLate ? x(peakAt) - 4 : x(peakAt) + 4, y: top + 13, "text-anchor": isLate ? "end" : "start" },
      `peak ${showBytes(peakBytes)}`,
    ),
  ];
}
