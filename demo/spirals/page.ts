/** Training on spirals, live: `?device=auto|webgpu|cpu`, and `?steps=500` for where it ends by itself. */

import { asUsersWrite, codeBlock } from "../shared/code.ts";
import { whenSchemeChanges } from "../shared/colours.ts";
import { curvesFigure } from "../shared/curves.ts";
import { byId } from "../shared/dom.ts";
import { History } from "../shared/history.ts";
import { countOf, Loop } from "../shared/loop.ts";
import { openDevice, setStatus, showError, watchErrors } from "../shared/page.ts";
import { drawPicture, type Picture } from "./picture.ts";
import { DEFAULTS, SpiralTraining } from "./training.ts";

const SIZE = 88;
const STEPS_A_FRAME = 5;

const sources = import.meta.glob<string>("./training.ts", { query: "?raw", import: "default", eager: true });

const input = (id: string): HTMLInputElement => byId(id) as HTMLInputElement;

/** Ends by default after some hundred steps, when the arms are told apart. */
let limit = 500;
let training: SpiralTraining;
let history = new History();
let shown: Picture | null = null;

/** Takes the settings, and says them beside their sliders. */
function readSettings(): { arms: number; noise: number; hidden: number; learningRate: number } {
  const value = (id: string): number => Number(input(id).value);
  const settings = {
    arms: value("arms"),
    noise: value("noise"),
    hidden: value("hidden"),
    learningRate: 10 ** value("rate"),
  };
  byId("arms-shown").textContent = String(settings.arms);
  byId("noise-shown").textContent = settings.noise.toFixed(2);
  byId("hidden-shown").textContent = String(settings.hidden);
  byId("rate-shown").textContent = settings.learningRate.toPrecision(2);
  return settings;
}

function draw(): void {
  if (shown !== null) drawPicture(byId("picture") as HTMLCanvasElement, shown);
}

/** Shows what the network says now; `loss` is that of the last step, if there was one. */
async function show(loss: number | null): Promise<void> {
  const { arms } = training.options;
  const [probabilities, points, labels, accuracy] = await Promise.all([
    training.picture(SIZE),
    training.points,
    training.labels,
    training.accuracy(),
  ]);
  shown = { probabilities, size: SIZE, arms, points, labels };
  draw();
  if (loss !== null) {
    history.add(training.steps, loss);
    const plot = history.plot("Cross-entropy over the steps, on a logarithmic scale", "loss");
    byId("loss").replaceChildren(curvesFigure(plot, { width: 480, height: 250, xLabel: "step", yScale: "log" }));
  }
  const told = `${(accuracy * 100).toFixed(1)} % of the points are told apart`;
  byId("readout").textContent =
    `Step ${training.steps}${loss === null ? "" : `, loss ${loss.toPrecision(3)}`}: ${told}.`;
}

async function frame(): Promise<boolean> {
  await show(await training.train(Math.min(STEPS_A_FRAME, limit - training.steps)));
  return training.steps < limit;
}

async function begin(): Promise<void> {
  training = new SpiralTraining(readSettings());
  history = new History();
  byId("loss").replaceChildren();
  await show(null);
}

async function main(): Promise<void> {
  byId("program").append(codeBlock(asUsersWrite(Object.values(sources).join("\n")), "typescript"));
  input("arms").value = String(DEFAULTS.arms);
  input("noise").value = String(DEFAULTS.noise);
  input("hidden").value = String(DEFAULTS.hidden);
  input("rate").value = String(Math.log10(DEFAULTS.learningRate));
  readSettings();
  if ((await openDevice()) === null) {
    setStatus("There is no device to train on: choose another one above.");
    return;
  }
  limit = countOf("steps", limit);
  await begin();

  const loop = new Loop(async () => {
    // Who goes on after the end trains as much again.
    if (training.steps >= limit) limit *= 2;
    return frame();
  });
  let restarts: Promise<void> = Promise.resolve();
  const startOver = (): void => {
    restarts = restarts
      .then(() => loop.pause())
      .then(begin)
      .then(() => loop.start(), showError);
  };
  const again = byId("again") as HTMLButtonElement;
  again.disabled = false;
  again.addEventListener("click", startOver);
  for (const id of ["arms", "noise", "hidden"]) {
    input(id).addEventListener("input", readSettings);
    input(id).addEventListener("change", startOver);
  }
  input("rate").addEventListener("input", () => (training.learningRate = readSettings().learningRate));
  whenSchemeChanges(draw);
  loop.start();
}

watchErrors();
main().catch(showError);
