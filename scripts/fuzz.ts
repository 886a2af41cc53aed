/**
 * `npm run fuzz`: random calls of everything that is exported, checked against a naive model (test/fuzz). `-- --device=cpu|webgpu --calls=N --seed=N`;
 * `--case=N` repeats one, `--only=add` calls one function or method.
 */

import { dawnEnvironment } from "./support/environment.ts";
import { runNode } from "./support/run.ts";
import { prepareDawn } from "./support/system.ts";

const args = process.argv.slice(2);
if (args.includes("--device=webgpu")) for (const message of prepareDawn()) console.error(message);
process.exit(await runNode("test/fuzz/main.ts", args, dawnEnvironment().variables));
