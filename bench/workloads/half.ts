/** The workloads in float16. */

import type { Workload } from "./workload.ts";

/** Float16 has 13 bits fewer than float32, for which the tolerances are; results and steps in between are rounded to it. */
const SLACK = 200;

/** The same in float16: its inputs, and what becomes of them. The arithmetic within an operation is the library's affair. */
export function inHalf(workload: Workload): Workload {
  const { id, title, bytes, inputs } = workload;
  // Indices keep their four bytes.
  const indices = inputs.filter((i) => i.distribution.kind === "index");
  const kept = 4 * indices.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return {
    ...workload,
    id: `${id}-f16`,
    title: `${title}, float16`,
    dtype: "float16",
    bytes: (bytes - kept) / 2 + kept,
    check: (arrays, outputs) => workload.check(arrays, outputs) / SLACK,
  };
}
