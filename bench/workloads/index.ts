/** All workloads, in the order of the report. */

import { attentions } from "./attention.ts";
import { convolutions } from "./convolution.ts";
import { elementwises } from "./elementwise.ts";
import { inHalf } from "./half.ts";
import { matmuls } from "./matmul.ts";
import { optimizerSteps } from "./optimizer.ts";
import { rowOperations } from "./rows.ts";
import type { FloatType, Workload } from "./workload.ts";

export const WORKLOADS: readonly Workload[] = [
  ...matmuls,
  ...convolutions,
  ...elementwises,
  ...optimizerSteps,
  ...rowOperations,
  ...attentions,
];

/** The workloads of a type. */
export function workloadsOf(dtype: FloatType): readonly Workload[] {
  return dtype === "float32" ? WORKLOADS : WORKLOADS.filter((w) => w.bound !== "overhead").map(inHalf);
}
