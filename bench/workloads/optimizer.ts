/** A step of an optimiser on given gradients: four arrays read, three written. */

import { ErrorMeter, samplePositions } from "./reference.ts";
import { bytesOf, normal, type TaskOf, type Workload } from "./workload.ts";

/** The tenth step of AdamW with its usual options. */
function adamwTask(): TaskOf<"adamw"> {
  const [lr, weightDecay, beta1, beta2, eps, step] = [1e-3, 0.01, 0.9, 0.999, 1e-8, 10];
  return {
    op: "adamw",
    keep: 1 - lr * weightDecay,
    size: lr / (1 - beta1 ** step),
    beta1,
    beta2,
    root: 1 / Math.sqrt(1 - beta2 ** step),
    eps,
  };
}

function adamw(log2: number, quick: boolean): Workload {
  const n = 2 ** log2;
  const task = adamwTask();
  const { keep, size, beta1, beta2, root, eps } = task;
  // An average of squares is positive: it is given by a root that may have any sign, which costs one multiplication.
  const inputs = [normal([n]), normal([n]), normal([n]), normal([n])];
  return {
    id: `adamw-2^${log2}`,
    title: `AdamW's update of 2^${log2} parameters`,
    task,
    inputs,
    flops: 14 * n,
    bytes: bytesOf(inputs, [[n], [n], [n]]),
    bound: "memory",
    quick,
    check([p, g, m, r], [value, mean, square]) {
      const meter = new ErrorMeter();
      for (const at of samplePositions(n, 4096)) {
        const first = beta1 * m![at]! + (1 - beta1) * g![at]!;
        const second = beta2 * r![at]! ** 2 + (1 - beta2) * g![at]! ** 2;
        const next = keep * p![at]! - (size * first) / (Math.sqrt(second) * root + eps);
        meter.note(value?.[at], next, 1e-5 * (Math.abs(next) + 0.1));
        meter.note(mean?.[at], first, 1e-5 * (Math.abs(first) + 0.1));
        meter.note(square?.[at], second, 1e-5 * (Math.abs(second) + 0.1));
      }
      return meter.worst;
    },
  };
}

export const optimizerSteps: readonly Workload[] = [adamw(20, true), adamw(24, false)];
