/**
 * The notebook in the terminal: every cell with its code and what it prints. `--device=auto|cpu|webgpu` chooses the device; `--plain`
 * leaves out the line that tells it.
 */

import { readFileSync } from "node:fs";
import { parseArgs, styleText } from "node:util";
import * as tg from "#tapegrad";
import { codeOf, type CellOutput } from "./notebook/entry.ts";
import { markdownLines } from "./notebook/markdown-text.ts";
import { notebook, SOURCE_FILES } from "./notebook/notebook.ts";
import { printed } from "./notebook/python-text.ts";
import { tapeLines } from "./notebook/tape-text.ts";
import { textPlot } from "./text-plot.ts";

const style = (format: Parameters<typeof styleText>[0], text: string): string =>
  styleText(format, text, { stream: process.stdout });
const write = (lines: readonly string[]): void => console.log(lines.join("\n"));

/** What the running cell wrote last; drawings have an empty line before and after them. */
let last: "nothing" | "text" | "drawing" = "nothing";

function writeOutput(kind: "text" | "drawing", lines: readonly string[]): void {
  if (last !== "nothing" && (last === "drawing" || kind === "drawing")) write([""]);
  write(lines);
  last = kind;
}

const output: CellOutput = {
  print: async (...values) => writeOutput("text", [await printed(values)]),
  show: async (value) => writeOutput("text", [await printed([value])]),
  plot: async (data) => writeOutput("drawing", textPlot(data)),
  graph: async (tape) => writeOutput("drawing", tapeLines(tape)),
};

const USAGE = "npm start -- [--once] [--device=auto|webgpu|cpu] [--plain]";

/** Ends the program with a message for people. */
function end(message: string, exitCode: number): never {
  console.error(message);
  process.exit(exitCode);
}

function readOptions(): { device: "auto" | "webgpu" | "cpu"; plain: boolean } {
  try {
    const { device, plain } = parseArgs({
      options: { device: { type: "string", default: "auto" }, plain: { type: "boolean", default: false } },
    }).values;
    if (device === "auto" || device === "webgpu" || device === "cpu") return { device, plain };
    return end(`--device must be auto, webgpu or cpu, not "${device}". Usage: ${USAGE}`, 2);
  } catch (error) {
    return end(`${error instanceof Error ? error.message : String(error)}\nUsage: ${USAGE}`, 2);
  }
}

async function openDevice(device: "auto" | "webgpu" | "cpu"): Promise<tg.DeviceInfo> {
  try {
    return await tg.init({ device });
  } catch (error) {
    if (error instanceof tg.DeviceError) return end(error.message, 1);
    throw error;
  }
}

async function tour(): Promise<void> {
  const source = SOURCE_FILES.map((file) => readFileSync(new URL(`notebook/${file}`, import.meta.url), "utf8")).join(
    "\n",
  );
  for (const entry of notebook) {
    if (entry.kind === "formula") write([entry.plain.replaceAll(/^/gm, "    "), ""]);
    else if (entry.kind === "text") {
      write([...markdownLines(entry.markdown).map((line) => (line.startsWith("#") ? style("bold", line) : line)), ""]);
    } else {
      const code = codeOf(entry.label, source).split("\n");
      write([style("cyan", `In [${entry.label}]:`), ...code.map((line) => (line === "" ? "" : `    ${line}`)), ""]);
      last = "nothing";
      await entry.run(output);
      if (last !== "nothing") write([""]);
    }
  }
}

const { device, plain } = readOptions();
const { type, description, isSoftware, reason } = await openDevice(device);
if (!plain) write([`device: ${type}, ${description}${isSoftware ? " (software)" : ""}: ${reason}`, ""]);
await tour();
tg.destroy();
