/** The suites that run in Node, Chromium and Deno. */

import type { PortableSuite } from "../support/portable.ts";
import { anomalies } from "./anomaly.ts";
import { backward } from "./backward.ts";
import { checkpoints, savedHooks } from "./checkpoint.ts";
import { comparing } from "./compare.ts";
import { compiling } from "./compile.ts";
import { conformance } from "./conformance.ts";
import { customFunction } from "./custom-function.ts";
import { environment } from "./environment.ts";
import { functional } from "./func.ts";
import { gradFn } from "./grad-fn.ts";
import { gradchecks } from "./gradcheck.ts";
import { halfPrecision } from "./half.ts";
import { higherOrder } from "./higher-order.ts";
import { drawing, images } from "./images.ts";
import { inplace } from "./inplace.ts";
import { memory } from "./memory.ts";
import { models } from "./models.ts";
import { modes } from "./modes.ts";
import { numbers } from "./numbers.ts";
import { profiling } from "./profile.ts";
import { snapshots } from "./snapshot.ts";
import { values } from "./values.ts";

/** All of them. */
export const suites: readonly PortableSuite[] = [
  environment,
  modes,
  backward,
  gradFn,
  customFunction,
  inplace,
  higherOrder,
  gradchecks,
  values,
  numbers,
  conformance,
  functional,
  halfPrecision,
  checkpoints,
  savedHooks,
  memory,
  anomalies,
  snapshots,
  images,
  drawing,
  comparing,
  compiling,
  profiling,
  ...models,
];
