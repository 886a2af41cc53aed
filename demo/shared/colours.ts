/** The style sheet's colours as numbers, for canvases. */

/** Red, green and blue, each 0 .. 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** What a CSS colour, such as `var(--curve-1)`, is in the page as it looks now. */
export function colourOf(css: string): Colour {
  const probe = document.createElement("span");
  probe.style.color = css;
  document.body.append(probe);
  const [red, green, blue] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? []).map(Number);
  probe.remove();
  return [red ?? 0, green ?? 0, blue ?? 0];
}

/** Calls `draw` when the page changes between light and dark. */
export function whenSchemeChanges(draw: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
