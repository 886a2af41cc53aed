/** Curves as SVG, by Observable Plot. */

import * as Plot from "@observablehq/plot";
import { piecesOf, type PlotData } from "../plot-data.ts";

/** What a plot may be told. */
export interface CurvesOptions {
  /** Width in the picture's own units, in which letters are 12 high. */
  readonly width?: number;
  readonly height?: number;
  readonly xLabel?: string;
  readonly yLabel?: string | null;
  readonly yScale?: "linear" | "log";
  /** Ends of the axis of y; around the curves by default. */
  readonly yDomain?: readonly [number, number];
  /** Points to be drawn below the curves. */
  readonly points?: { readonly x: readonly number[]; readonly y: readonly number[] };
}

/** Colours of the curves, in order; the style sheet says what they are in the light and in the dark. */
const COLOURS = ["var(--curve-1)", "var(--curve-2)", "var(--curve-3)", "var(--curve-4)", "var(--curve-5)"];

/** A figure of the curves with axes, a legend and the values under the pointer. It is as wide as its place. */
export function curvesFigure(data: PlotData, options: CurvesOptions = {}): HTMLElement {
  const { width = 760, height = 320, xLabel = "x", yLabel = null, yScale = "linear", yDomain, points } = options;
  const hasDashes = data.curves.some(({ dashed }) => dashed);
  const rows = data.curves.flatMap((curve) =>
    piecesOf(data, curve).flatMap((piece, index) =>
      piece.map(([x, y]) => ({
        x,
        y,
        name: curve.name,
        dashed: curve.dashed === true,
        piece: `${curve.name} ${index}`,
      })),
    ),
  );
  const channels = { x: "x", y: "y", stroke: "name", z: "piece", className: "curve" } as const;
  const plot = Plot.plot({
    width,
    height,
    marginLeft: 48,
    marginBottom: 38,
    grid: true,
    x: { label: xLabel, labelAnchor: "center", labelArrow: "none" },
    y: {
      label: yLabel,
      labelArrow: "none",
      type: yScale,
      nice: yDomain === undefined,
      ...(yDomain === undefined ? {} : { domain: yDomain }),
      ...(yScale === "log" ? { tickFormat: "~g", ticks: 5 } : {}),
    },
    color: { domain: data.curves.map(({ name }) => name), range: COLOURS, legend: data.curves.length > 1 },
    ariaLabel: data.title,
    ariaDescription: `Curves of ${data.curves.map(({ name }) => name).join(" and ")} over ${xLabel}.`,
    caption: data.title,
    style: { maxWidth: "100%", height: "auto", fontSize: "12px" },
    marks: [
      yScale === "linear" ? Plot.ruleY([0], { strokeOpacity: 0.4 }) : null,
      points === undefined
        ? null
        : Plot.dot(points.x, {
            x: points.x,
            y: points.y,
            r: 3,
            fill: "var(--muted)",
            fillOpacity: 0.7,
            className: "points",
          }),
      // A curve that another one is laid over is broad and pale.
      Plot.line(
        rows.filter(({ dashed }) => !dashed),
        { ...channels, strokeWidth: hasDashes ? 6 : 2.25, strokeOpacity: hasDashes ? 0.45 : 1 },
      ),
      Plot.line(
        rows.filter(({ dashed }) => dashed),
        { ...channels, strokeWidth: 2, strokeDasharray: "6 4" },
      ),
      Plot.tip(rows, Plot.pointer({ x: "x", y: "y", stroke: "name" })),
    ],
  });
  // The picture as a whole has a label; roles within it may have none.
  for (const part of plot.querySelectorAll("svg g[aria-label]")) part.removeAttribute("aria-label");
  // Without a legend or a caption Plot gives the bare SVG.
  if (plot instanceof HTMLElement) return plot;
  const figure = document.createElement("figure");
  figure.append(plot);
  return figure;
}
