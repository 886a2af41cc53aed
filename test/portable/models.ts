/** Suites about what models are made of. */

import type { PortableSuite } from "../support/portable.ts";
import { attention } from "./attention.ts";
import { conv } from "./conv.ts";
import { dataSuite } from "./data.ts";
import { layers } from "./layers.ts";
import { normalising } from "./normalising.ts";
import { pooling } from "./pooling.ts";
import { sorting } from "./sorting.ts";
import { training } from "./training.ts";

/** All of them. */
export const models: readonly PortableSuite[] = [
  layers,
  conv,
  attention,
  pooling,
  sorting,
  normalising,
  training,
  dataSuite,
];
