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

const server = await createServer({ configFile: join(ROOT, "vite.config.ts"), clearScreen: false });
try {
  // Where the port is taken, the next free one is used.
  await server.listen();
} catch (error) {
  console.error(`The demos cannot be served: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
console.log("\nThe demos are served here (Ctrl-C ends):");
server.printUrls();

process.once("SIGINT", () => {
  console.log("\nThe server ends.");
  server.close().then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
