/**
 * `npm run soak`: training that is short of memory, refused memory, and loses its devices, compared with training that is not (test/soak).
 * `-- --minutes=2 --seed=N --device=cpu|webgpu`; `--round=N` repeats one.
 */

import { dawnEnvironment } from "./support/environment.ts";
import { runNode } from "./support/run.ts";
import { prepareDawn } from "./support/system.ts";

for (const message of prepareDawn()) console.error(message);
process.exit(await runNode("test/soak/main.ts", process.argv.slice(2), dawnEnvironment().variables));
