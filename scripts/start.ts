/**
 * `npm start`: runs the tour of the notebook on the best device, then serves the demo pages. `--once` (or CI=true) ends after the tour;
 * `--device=auto|cpu|webgpu` and other arguments go to the tour.
 */

import { join } from "node:path";
import { createServer } from "vite";
import { dawnEnvironment, ROOT } from "./support/environment.ts";
import { runNode } from "./support/run.ts";
import { prepareDawn } from "./support/system.ts";

const args = process.argv.slice(2);
const tourArgs = args.filter((arg) => arg !== "--once");
const once = tourArgs.length < args.length || !["", "0", "false", undefined].includes(process.env.CI);

// Who asks for WebGPU by name gets it, be it emulated.
if (tourArgs.join(" ").includes("--device=webgpu")) for (const message of prepareDawn()) console.error(message);

const exitCode = await runNode("demo/tour.ts", tourArgs, dawnEnvironment().variables);
if (exitCode !== 0 || once) process.exit(exitCode);

const server = await createServer({ configFile: join(ROOT, "vite.config.ts") });
await server.listen();
console.log("\nThe demos are served here (Ctrl-C ends):");
server.printUrls();
