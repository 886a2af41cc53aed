/** Fitting a curve, live: `?device=auto|webgpu|cpu`, and `?steps=400` for where it ends by itself. */

import { asUsersWrite, codeBlock } from "../shared/code.ts";
import { curvesFigure } from "../shared/curves.ts";
import { byId, element } from "../shared/dom.ts";
import { History } from "../shared/history.ts";
import { countOf, Loop } from "../shared/loop.ts";
import { openDevice, setStatus, showError, watchErrors } from "../shared/page.ts";
import { tapeFigure } from "../shared/tape-svg.ts";
import { CurveFit, DEFAULTS, PARAMETERS, type FitState, type Wave } from "./fitting.ts";

const sources = import.meta.glob<string>("./fitting.ts", { query: "?raw", import: "default", eager: true });

const input = (name: keyof Wave): HTMLInputElement => byId(name) as HTMLInputElement;

/** Ends by default when the descent has come to rest. */
let limit = 400;
let fit: CurveFit;
let history = new History();
let points: { readonly x: readonly number[]; readonly y: readonly number[] };

/** The wave that the sliders say; each says its number. */
function readTarget(): Wave {
  const value = (name: keyof Wave): number => {
    byId(`${name}-shown`).textContent = Number(input(name).value).toFixed(2);
    return Number(input(name).value);
  };
  return { a: value("a"), ω: value("ω"), φ: value("φ"), b: value("b") };
}

function showParameters({ wave, gradient }: Pick<FitState, "wave" | "gradient">): void {
  const target = readTarget();
  const cell = (value: number): HTMLElement =>
    element("td", {}, Number.isNaN(value) ? "" : value.toFixed(4).replace("-", "−"));
  byId("parameters").replaceChildren(
    ...PARAMETERS.map((name) =>
      element("tr", {}, element("th", { scope: "row" }, name), ...[wave, gradient, target].map((of) => cell(of[name]))),
    ),
  );
}

async function showCurve(): Promise<void> {
  const { x, y } = await fit.curve(121);
  const plot = { title: "The points, and f as it is now", x, curves: [{ name: "f(x)", y }] };
  byId("curve").replaceChildren(curvesFigure(plot, { width: 600, height: 320, points, yDomain: [-3, 3] }));
}

async function frame(): Promise<boolean> {
  const state = await fit.descend(1);
  history.add(state.step, state.loss);
  const plot = history.plot("Mean squared distance over the steps, on a logarithmic scale", "loss");
  byId("loss").replaceChildren(curvesFigure(plot, { width: 600, height: 230, xLabel: "step", yScale: "log" }));
  showParameters(state);
  await showCurve();
  byId("readout").textContent = `Step ${state.step}: mean squared distance ${state.loss.toPrecision(3)}.`;
  return state.step < limit;
}

async function begin(): Promise<void> {
  fit = new CurveFit({ target: readTarget() });
  history = new History();
  points = await fit.points();
  byId("loss").replaceChildren();
  const none = { a: NaN, ω: NaN, φ: NaN, b: NaN };
  showParameters({ wave: fit.options.start, gradient: none });
  await showCurve();
}

async function main(): Promise<void> {
  byId("program").append(codeBlock(asUsersWrite(Object.values(sources).join("\n")), "typescript"));
  for (const name of PARAMETERS) input(name).value = String(DEFAULTS.target[name]);
  readTarget();
  if ((await openDevice()) === null) {
    setStatus("There is no device to descend on: choose another one above.");
    return;
  }
  limit = countOf("steps", limit);
  await begin();
  const description =
    "Tape of the loss, from the parameters a, ω, φ and b through a sin(ω x + φ) + b to the mean of squares.";
  byId("tape").append(await tapeFigure(fit.graph(), "From the parameters to the loss", description, false));

  let steps = 0;
  const loop = new Loop(async () => {
    // Who goes on after the end descends as much again.
    if (steps >= limit) limit *= 2;
    steps++;
    return frame();
  });
  const again = byId("again") as HTMLButtonElement;
  again.disabled = false;
  let restarts: Promise<void> = Promise.resolve();
  again.addEventListener("click", () => {
    restarts = restarts
      .then(() => loop.pause())
      .then(begin)
      .then(() => {
        steps = 0;
        loop.start();
      }, showError);
  });
  const aim = async (): Promise<void> => {
    fit.aimAt(readTarget());
    points = await fit.points();
    loop.start();
  };
  for (const name of PARAMETERS) input(name).addEventListener("input", () => void aim().catch(showError));
  loop.start();
}

watchErrors();
main().catch(showError);
