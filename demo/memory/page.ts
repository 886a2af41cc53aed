/** The memory of a training step: `?device=auto|webgpu|cpu`, `?model=mlp|cnn|gpt`, `?checkpointing=on|off`. */

import type { MemoryTimeline, TimelineValue } from "#tapegrad";
import { asUsersWrite, codeBlock } from "../shared/code.ts";
import { byId, element } from "../shared/dom.ts";
import { openDevice, setState, setStatus, showError, watchErrors } from "../shared/page.ts";
import { colourOfKind, draw } from "./drawing.ts";
import { bytesByKind, kindOf, KINDS, lanesOf, showBytes, showStep, type Lane } from "./lanes.ts";
import { MODELS, timelineOf } from "./models.ts";
import { lineOfSite } from "./source-lines.ts";

const sources = import.meta.glob<string>("./models.ts", { query: "?raw", import: "default", eager: true });

const select = (id: string): HTMLSelectElement => byId(id) as HTMLSelectElement;

let timeline: MemoryTimeline<number>;
let lanes: Lane[] = [];
let chosen = 0;
/** Counts what was told, so that what comes late for an earlier lane is left out. */
let told = 0;

/** A lane in a few words. */
function nameOf({ kind, buffer, from, to }: Lane, position: number): string {
  const what = buffer.values.map(({ operation }) => operation).join(", then ");
  return `Buffer ${position + 1}, ${kind}, ${showBytes(buffer.bytes)}, ${what || "nothing"}, steps ${from + 1} to ${to}`;
}

function stepsOf(positions: readonly number[], otherwise: string): string {
  if (positions.length === 0) return otherwise;
  return positions.map((at) => showStep(timeline.steps[at]!, at)).join("; ");
}

/** What is said of a value; its line comes when it is found. */
function rowsOf(value: TimelineValue): { rows: (Node | string)[]; line: HTMLElement } {
  const line = element("dd", {}, value.site ?? "unknown");
  const pairs: [string, HTMLElement][] = [
    ["what for", element("dd", {}, `${kindOf(value, timeline.steps)} (${value.owner})`)],
    ["shape", element("dd", {}, `[${value.shape.join(", ")}] ${value.dtype}`)],
    ["made by", line],
    ["written by", element("dd", {}, stepsOf(value.writtenBy, "it was there before"))],
    ["read by", element("dd", {}, stepsOf(value.readBy, "nothing in this step"))],
  ];
  return { rows: pairs.flatMap(([name, dd]) => [element("dt", {}, name), dd]), line };
}

async function tell(lane: Lane, position: number): Promise<void> {
  const turn = ++told;
  const { buffer, from, to } = lane;
  const about = element(
    "p",
    {},
    `Buffer ${position + 1} of ${lanes.length}: ${showBytes(buffer.bytes)}, ` +
      `${buffer.isOld ? "there before" : `handed out before step ${from + 1}`}, ` +
      `${buffer.to === null ? "still there after the step" : `given back after step ${to}`}.`,
  );
  const parts: Node[] = [about];
  const waiting: Promise<void>[] = [];
  for (const value of buffer.values) {
    const { rows, line } = rowsOf(value);
    parts.push(element("h3", {}, value.operation), element("dl", {}, ...rows));
    if (value.site !== null)
      waiting.push(
        lineOfSite(value.site).then((found) => {
          if (found === null || turn !== told) return;
          line.replaceChildren(`${found.file}, line ${found.line}: `, element("code", {}, found.text));
        }),
      );
  }
  byId("told").replaceChildren(...parts);
  await Promise.all(waiting);
}

function choose(position: number): void {
  document.getElementById(`lane-${chosen}`)?.setAttribute("aria-selected", "false");
  chosen = Math.max(0, Math.min(position, lanes.length - 1));
  const lane = lanes[chosen];
  if (lane === undefined) return;
  byId(`lane-${chosen}`).setAttribute("aria-selected", "true");
  byId("drawing").firstElementChild!.setAttribute("aria-activedescendant", `lane-${chosen}`);
  tell(lane, chosen).catch(showError);
}

const MOVES: Readonly<Record<string, (at: number) => number>> = {
  ArrowDown: (at) => at + 1,
  ArrowUp: (at) => at - 1,
  PageDown: (at) => at + 10,
  PageUp: (at) => at - 10,
  Home: () => 0,
  End: () => lanes.length - 1,
};

function redraw(): void {
  const place = byId("drawing");
  const width = Math.max(Math.floor(place.clientWidth), 200);
  const picture = draw({ timeline, lanes, width, hasLine: select("line").value === "live", nameOf });
  picture.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (move === undefined) return;
    event.preventDefault();
    choose(move(chosen));
    byId(`lane-${chosen}`).scrollIntoView({ block: "nearest" });
  });
  for (const type of ["pointerover", "click"])
    picture.addEventListener(type, (event) => {
      const lane = (event.target as Element).closest(".lane");
      if (lane !== null) choose(Number(lane.id.slice("lane-".length)));
    });
  place.replaceChildren(picture);
  choose(chosen);
}

function showTotals(): void {
  const { steps, peakBytes, peakAt, result } = timeline;
  const kernels = steps.filter(({ kind }) => kind === "kernel").length;
  const at = steps[peakAt] === undefined ? "after the last step" : `before or at ${showStep(steps[peakAt], peakAt)}`;
  const readout = byId("readout");
  readout.dataset.peakBytes = String(peakBytes);
  readout.dataset.stepBytes = steps.map(({ bytes }) => bytes).join(" ");
  readout.textContent =
    `${lanes.length} buffers over ${kernels} kernels, ${steps.length - kernels} transfers; ` +
    `at most ${showBytes(peakBytes)} (${peakBytes} bytes) at once, ${at}. Loss ${result.toFixed(3)}.`;
  const parts = bytesByKind(lanes, Math.min(peakAt, steps.length - 1));
  byId("legend").replaceChildren(
    ...KINDS.map((kind) =>
      element("li", { style: `--of: ${colourOfKind(kind)}` }, `${kind} ${showBytes(parts.get(kind)!)}`),
    ),
  );
}

/** Begins anew with other settings: on a page of its own, where no memory of the network before is left. */
function reload(from: string): void {
  const query = new URLSearchParams(location.search);
  query.set("model", select("model").value);
  query.set("checkpointing", select("checkpointing").value);
  query.set("from", from);
  location.search = query.toString();
}

async function main(): Promise<void> {
  byId("program").append(codeBlock(asUsersWrite(Object.values(sources).join("\n")), "typescript"));
  const query = new URLSearchParams(location.search);
  const model = query.get("model") ?? "mlp";
  const isCheckpointing = query.get("checkpointing") === "on";
  select("model").append(
    ...Object.entries(MODELS).map(([value, { title }]) =>
      element("option", { value, selected: value === model }, title),
    ),
  );
  select("checkpointing").value = isCheckpointing ? "on" : "off";
  // The keyboard goes on where it was before the page was loaded anew.
  const from = query.get("from");
  if (from === "model" || from === "checkpointing") select(from).focus();
  for (const id of ["model", "checkpointing"]) select(id).addEventListener("change", () => reload(id));
  if ((await openDevice()) === null) {
    setStatus("There is no device to train on: choose another one above.");
    return;
  }
  setState("running");
  setStatus("Training …");
  timeline = await timelineOf(model, isCheckpointing);
  lanes = lanesOf(timeline);
  showTotals();
  redraw();
  select("line").addEventListener("change", redraw);
  let { clientWidth } = byId("drawing");
  new ResizeObserver(() => {
    if (byId("drawing").clientWidth === clientWidth) return;
    ({ clientWidth } = byId("drawing"));
    redraw();
  }).observe(byId("drawing"));
  setStatus(`One step of "${MODELS[model]!.title}", on ${timeline.device === "webgpu" ? "WebGPU" : "the CPU"}.`);
  setState("done");
}

watchErrors();
main().catch(showError);
