/** The suites that run in Node, Chromium and Deno. */

import type { PortableSuite } from "../support/portable.ts";
import { environment } from "./environment.ts";

/** All of them. */
export const suites: readonly PortableSuite[] = [environment];
