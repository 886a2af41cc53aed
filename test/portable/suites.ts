/** The suites that run in Node, Chromium and Deno. */

import type { PortableSuite } from "../support/portable.ts";
import { checkpoints, savedHooks } from "./checkpoint.ts";
import { conformance } from "./conformance.ts";
import { environment } from "./environment.ts";
import { functional } from "./func.ts";
import { halfPrecision } from "./half.ts";
import { models } from "./models.ts";

/** All of them. */
export const suites: readonly PortableSuite[] = [
  environment,
  conformance,
  functional,
  halfPrecision,
  checkpoints,
  savedHooks,
  ...models,
];
