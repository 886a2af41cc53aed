/** Runs the portable suites in Chromium, on the CPU and on WebGPU. */

import { openTestPage } from "../support/chromium.ts";
import { runRemotely } from "../support/vitest.ts";

runRemotely(await openTestPage("test/browser/portable.html"));
