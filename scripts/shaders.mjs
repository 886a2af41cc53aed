// Embeds shaders/*.wgsl into src/backend/webgpu/shaders.generated.ts, without comments and blank lines.
// `node scripts/shaders.mjs --check` only says whether that file is up to date.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const target = new URL("src/backend/webgpu/shaders.generated.ts", root);

const files = readdirSync(new URL("shaders/", root))
  .filter((name) => name.endsWith(".wgsl"))
  .sort();
const entries = files.map((name) => {
  const text = readFileSync(new URL(`shaders/${name}`, root), "utf8")
    .split("\n")
    .map((line) => line.replace(/\s*\/\/.*$/, "").trimEnd())
    .filter((line) => line !== "")
    .join("\n");
  const literal = text.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${");
  return `  ${name.replace(/\.wgsl$/, "")}: \`${literal}\n\`,\n`;
});
const code =
  "/** The text of shaders/*.wgsl. Written by scripts/shaders.mjs: edit those files instead. */\n" +
  `export const SHADERS = {\n${entries.join("")}};\n`;

let current = "";
try {
  current = readFileSync(target, "utf8");
} catch {
  // Not written yet.
}
if (process.argv.includes("--check")) {
  if (current !== code) {
    console.error("shaders.generated.ts is out of date: run node scripts/shaders.mjs");
    process.exit(1);
  }
} else if (current !== code) writeFileSync(target, code);
