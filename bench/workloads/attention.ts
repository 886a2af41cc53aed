/** Causal attention, forward and backward. */

import type { HostArray } from "../support/random.ts";
import { dot, ErrorMeter, samplePositions, softmaxRow } from "./reference.ts";
import { bytesOf, normal, type Workload } from "./workload.ts";

interface Attention {
  readonly batch: number;
  readonly heads: number;
  readonly length: number;
  readonly width: number;
  readonly quick?: boolean;
}

function attention({ batch, heads, length, width, quick = false }: Attention): Workload[] {
  const shape = [batch, heads, length, width];
  const forward = [normal(shape), normal(shape), normal(shape)];
  const backward = [...forward, normal(shape)];
  const scale = 1 / Math.sqrt(width);
  // Half of the scores are masked: two products over what remains.
  const flops = 2 * batch * heads * length * length * width;
  const name = `B${batch}-H${heads}-T${length}-D${width}`;

  /** Probabilities of one query over the keys up to it. */
  const probabilities = (q: HostArray, k: HostArray, head: number, row: number): Float64Array => {
    const base = head * length * width;
    const scores = Float64Array.from({ length: row + 1 }, (_, j) =>
      dot(q, base + row * width, k, base + j * width, width),
    );
    return softmaxRow(scores, 0, row + 1, scale);
  };
  const checkForward = (
    meter: ErrorMeter,
    [q, k, v]: readonly HostArray[],
    out: Float32Array | undefined,
    head: number,
  ): void => {
    const base = head * length * width;
    for (const row of samplePositions(length, 8)) {
      const p = probabilities(q!, k!, head, row);
      const expected = new Float64Array(width);
      for (let j = 0; j <= row; j++) for (let d = 0; d < width; d++) expected[d]! += p[j]! * v![base + j * width + d]!;
      meter.noteAll(out, expected, 1e-4, base + row * width);
    }
  };
  /** Whole gradients of one head. */
  const gradients = ([q, k, v, g]: readonly HostArray[], head: number): Float64Array[] => {
    const base = head * length * width;
    const [dq, dk, dv] = [0, 1, 2].map(() => new Float64Array(length * width));
    for (let i = 0; i < length; i++) {
      const p = probabilities(q!, k!, head, i);
      const dp = Float64Array.from(p, (_, j) => dot(g!, base + i * width, v!, base + j * width, width));
      const mean = dot(p, 0, dp, 0, i + 1);
      for (let j = 0; j <= i; j++) {
        const ds = p[j]! * (dp[j]! - mean) * scale;
        for (let d = 0; d < width; d++) {
          dq![i * width + d]! += ds * k![base + j * width + d]!;
          dk![j * width + d]! += ds * q![base + i * width + d]!;
          dv![j * width + d]! += p[j]! * g![base + i * width + d]!;
        }
      }
    }
    return [dq!, dk!, dv!];
  };
  const lastHead = batch * heads - 1;
  return [
    {
      id: `attention-${name}`,
      title: `causal attention, ${name}`,
      task: { op: "attention" },
      inputs: forward,
      flops,
      bytes: bytesOf(forward, [shape]),
      bound: "compute",
      quick,
      check(inputs, [out]) {
        const meter = new ErrorMeter();
        for (const head of [0, lastHead]) checkForward(meter, inputs, out, head);
        return meter.worst;
      },
    },
    {
      id: `attention-grad-${name}`,
      title: `causal attention forward and backward, ${name}`,
      task: { op: "attentionBackward" },
      inputs: backward,
      flops: 3.5 * flops,
      bytes: bytesOf(backward, [shape, shape, shape, shape]),
      bound: "compute",
      quick,
      check(inputs, outputs) {
        const meter = new ErrorMeter();
        checkForward(meter, inputs, outputs[0], lastHead);
        gradients(inputs, lastHead).forEach((expected, i) =>
          meter.noteAll(outputs[i + 1], expected, 2e-4, lastHead * length * width),
        );
        return meter.worst;
      },
    },
  ];
}

export const attentions: readonly Workload[] = [
  ...attention({ batch: 4, heads: 4, length: 128, width: 32, quick: true }),
  ...attention({ batch: 64, heads: 6, length: 256, width: 64 }),
  ...attention({ batch: 1, heads: 12, length: 2048, width: 64 }),
];
