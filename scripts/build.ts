/** `npm run build`: makes dist/: the library as one module, plain and minified, with source maps and one file of types. */

import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, type OutputOptions } from "rolldown";
import { dts } from "rolldown-plugin-dts";
import { ROOT } from "./support/environment.ts";

const dist = join(ROOT, "dist");
const input = { tapegrad: join(ROOT, "src/index.ts") };
const tsconfig = join(ROOT, "tsconfig.build.json");

/** Types that are not in every project's `lib`: what `using` needs. */
const TYPES_HEAD = '/// <reference lib="esnext.disposable" />\n';

/** Names that outlive minifying: classes', which modules, optimisers and errors show to users. */
const KEPT = { class: true, function: false };

async function bundle(output: OutputOptions): Promise<void> {
  await build({
    input,
    tsconfig,
    platform: "neutral",
    // Node 20 and the browsers that have WebGPU.
    transform: { target: "es2023" },
    output: { dir: dist, format: "es", sourcemap: true, codeSplitting: false, ...output },
  });
}

rmSync(dist, { recursive: true, force: true });
await bundle({ entryFileNames: "[name].js" });
await bundle({
  entryFileNames: "[name].min.js",
  minify: { compress: { keepNames: KEPT }, mangle: { keepNames: KEPT }, codegen: true },
});
await build({
  input,
  tsconfig,
  plugins: [dts({ tsconfig, emitDtsOnly: true, sourcemap: false })],
  output: { dir: dist, format: "es" },
  checks: { bundlerTimings: false },
});

const types = join(dist, "tapegrad.d.ts");
writeFileSync(types, TYPES_HEAD + readFileSync(types, "utf8"));
