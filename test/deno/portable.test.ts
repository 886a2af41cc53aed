/** Runs the portable suites in Deno, on the CPU and on wgpu. */

import { startDeno } from "../support/deno.ts";
import { runRemotely } from "../support/vitest.ts";

runRemotely(await startDeno("test/deno/portable.ts"));
