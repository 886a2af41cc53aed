/** Small pictures for the cards of the gallery. */

const WIDTH = 320;
const HEIGHT = 150;

type Point = readonly [x: number, y: number];

function svgElement(tag: string, attributes: Readonly<Record<string, string | number>>): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** A line through f over -1 .. 1, which fills the width; y of 1 is near the top. */
function line(f: (x: number) => number, stroke: string, dashes = ""): SVGElement {
  const points = Array.from({ length: 97 }, (_, i) => [i / 48 - 1, f(i / 48 - 1)] as const).map(place);
  const d = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  return svgElement("path", { d, fill: "none", stroke, "stroke-width": 3, "stroke-dasharray": dashes });
}

function dot(point: Point, fill: string): SVGElement {
  const [cx, cy] = place(point);
  return svgElement("circle", { cx: cx.toFixed(1), cy: cy.toFixed(1), r: 4, fill });
}

function place([x, y]: Point): Point {
  return [(WIDTH / 2) * (1 + 0.92 * x), HEIGHT / 2 - 0.4 * HEIGHT * y];
}

const PICTURES: Readonly<Record<string, () => SVGElement[]>> = {
  notebook: () => [
    line((x) => Math.sin(6 * x), "var(--curve-1)"),
    line((x) => Math.cos(6 * x), "var(--curve-2)", "8 6"),
  ],
  spirals: () =>
    [0, 1, 2].flatMap((arm) =>
      Array.from({ length: 22 }, (_, i) => {
        const radius = (i + 2) / 23;
        const angle = 4.5 * radius + (arm * 2 * Math.PI) / 3;
        return dot([0.46 * radius * Math.cos(angle), radius * Math.sin(angle)], `var(--curve-${arm + 1})`);
      }),
    ),
  curve: () => [
    ...Array.from({ length: 30 }, (_, i) => {
      const x = i / 14.5 - 1;
      return dot([x, 0.75 * Math.sin(5 * x + 0.6) + 0.16 * Math.sin(37 * i)], "var(--muted)");
    }),
    line((x) => 0.75 * Math.sin(5 * x + 0.6), "var(--curve-1)"),
  ],
  derivatives: () => [
    line((x) => Math.exp(-9 * x * x), "var(--curve-1)"),
    line((x) => -18 * x * Math.exp(-9 * x * x) * 0.3, "var(--curve-2)"),
    line((x) => (324 * x * x - 18) * Math.exp(-9 * x * x) * 0.05, "var(--curve-3)"),
  ],
  memory: () =>
    (
      [
        [-0.95, 0.95, 1],
        [-0.95, 0.95, 2],
        [-0.8, 0.5, 3],
        [-0.55, 0.25, 3],
        [-0.3, 0, 3],
        [0, 0.75, 1],
        [0.3, 0.95, 2],
      ] as const
    ).map(([from, to, curve], i) => {
      const [x, y] = place([from, 0.95 - 0.29 * i]);
      const [end] = place([to, 0]);
      const width = (end - x).toFixed(1);
      return svgElement("rect", { x: x.toFixed(1), y: y.toFixed(1), width, height: 11, fill: `var(--curve-${curve})` });
    }),
  bench: () =>
    [0.9, 0.35, 0.6, 0.75].map((length, i) => {
      const [x, y] = place([-0.9, 0.7 - 0.42 * i]);
      const width = (0.92 * WIDTH * length).toFixed(1);
      return svgElement("rect", {
        x: x.toFixed(1),
        y: y.toFixed(1),
        width,
        height: 14,
        fill: `var(--curve-${(i % 3) + 1})`,
      });
    }),
};

/** The picture of a demo's card; an empty one if none was drawn. */
export function pictureOf(folder: string): SVGElement {
  const svg = svgElement("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" });
  svg.append(...(PICTURES[folder]?.() ?? []));
  return svg;
}
