/** The notebook's tour in the terminal: every cell with its code and what it prints. `--device=auto|cpu|webgpu`. */

import { readFileSync } from "node:fs";
import * as tg from "#tapegrad";
import { codeOf, notebook } from "./notebook/cells.ts";
import { describeGraph, textOutput } from "./notebook/text.ts";

const option = process.argv.find((a) => a.startsWith("--device="))?.slice("--device=".length) ?? "auto";
const plain = process.argv.includes("--plain");

const device = await tg.init({ device: option as "auto" });
if (!plain)
  console.log(
    `device: ${device.type}, ${device.description}${device.isSoftware ? " (software)" : ""}: ${device.reason}\n`,
  );

const source = readFileSync(new URL("notebook/cells.ts", import.meta.url), "utf8");
const output = textOutput((line) => console.log(line), {
  plot: ({ title, x, curves }) => {
    const low = x[0]!.toFixed(2);
    const high = x[x.length - 1]!.toFixed(2);
    console.log(
      `[plot: ${title}; ${curves.map((c) => c.name).join(" and ")} at ${x.length} points of ${low} to ${high}]`,
    );
  },
  graph: (tape) => console.log(describeGraph(tape).join("\n")),
});
for (const entry of notebook) {
  if (entry.kind === "text") console.log(`${entry.text}\n`);
  else {
    const code = codeOf(entry.label, source);
    console.log(`In [${entry.label}]:\n${code.replace(/^/gm, "    ").replace(/ +$/gm, "")}\n`);
    await entry.run(output);
    console.log();
  }
}
tg.destroy();
