/** Operations along rows and over whole arrays: softmax, layer norm, sums, scans, order, tables of vectors. */

import type { HostArray } from "../support/random.ts";
import { ErrorMeter, samplePositions, softmaxRow } from "./reference.ts";
import { by, bytesOf, normal, product, type Workload } from "./workload.ts";

const EPS = 1e-5;

function softmax(rows: number, columns: number, quick = false): Workload {
  const inputs = [normal([rows, columns])];
  return {
    id: `softmax-${by(rows, columns)}`,
    title: `softmax over rows of [${rows}, ${columns}]`,
    task: { op: "softmax" },
    inputs,
    flops: 5 * rows * columns,
    bytes: bytesOf(inputs, [[rows, columns]]),
    bound: "memory",
    quick,
    check([x], [out]) {
      const meter = new ErrorMeter();
      for (const row of samplePositions(rows, 8))
        meter.noteAll(out, softmaxRow(x!, row * columns, columns), 2e-5, row * columns);
      return meter.worst;
    },
  };
}

function rowStatistics(x: HostArray, row: number, columns: number): { mean: number; rstd: number } {
  let mean = 0;
  for (let i = 0; i < columns; i++) mean += x[row * columns + i]!;
  mean /= columns;
  let variance = 0;
  for (let i = 0; i < columns; i++) variance += (x[row * columns + i]! - mean) ** 2;
  return { mean, rstd: 1 / Math.sqrt(variance / columns + EPS) };
}

function layerNorm(rows: number, columns: number, quick = false): Workload[] {
  const forward = [normal([rows, columns]), normal([columns]), normal([columns])];
  const backward = [...forward, normal([rows, columns])];
  const size = by(rows, columns);

  const checkForward = (meter: ErrorMeter, [x, w, b]: readonly HostArray[], out: Float32Array | undefined): void => {
    for (const row of samplePositions(rows, 8)) {
      const { mean, rstd } = rowStatistics(x!, row, columns);
      const expected = Float64Array.from(
        { length: columns },
        (_, i) => (x![row * columns + i]! - mean) * rstd * w![i]! + b![i]!,
      );
      meter.noteAll(out, expected, 5e-5, row * columns);
    }
  };
  const checkBackward = (
    meter: ErrorMeter,
    [x, w, , g]: readonly HostArray[],
    [, dx, dw, db]: readonly Float32Array[],
  ): void => {
    const statistics = Array.from({ length: rows }, (_, row) => rowStatistics(x!, row, columns));
    const hat = (row: number, i: number): number =>
      (x![row * columns + i]! - statistics[row]!.mean) * statistics[row]!.rstd;
    for (const row of samplePositions(rows, 8)) {
      let sum = 0;
      let sumHat = 0;
      for (let i = 0; i < columns; i++) {
        const h = g![row * columns + i]! * w![i]!;
        sum += h;
        sumHat += h * hat(row, i);
      }
      const expected = Float64Array.from({ length: columns }, (_, i) => {
        const h = g![row * columns + i]! * w![i]!;
        return statistics[row]!.rstd * (h - sum / columns - (hat(row, i) * sumHat) / columns);
      });
      meter.noteAll(dx, expected, 1e-4, row * columns);
    }
    for (const i of samplePositions(columns, 16)) {
      let weight = 0;
      let bias = 0;
      for (let row = 0; row < rows; row++) {
        const value = g![row * columns + i]!;
        weight += value * hat(row, i);
        bias += value;
      }
      meter.note(dw?.[i], weight, 1e-5 * rows);
      meter.note(db?.[i], bias, 1e-5 * rows);
    }
  };
  return [
    {
      id: `layernorm-${size}`,
      title: `layer norm over rows of [${rows}, ${columns}]`,
      task: { op: "layerNorm" },
      inputs: forward,
      flops: 8 * rows * columns,
      bytes: bytesOf(forward, [[rows, columns]]),
      bound: "memory",
      quick,
      check(inputs, outputs) {
        const meter = new ErrorMeter();
        checkForward(meter, inputs, outputs[0]);
        return meter.worst;
      },
    },
    {
      id: `layernorm-grad-${size}`,
      title: `layer norm forward and backward, [${rows}, ${columns}]`,
      task: { op: "layerNormBackward" },
      inputs: backward,
      flops: 24 * rows * columns,
      bytes: bytesOf(backward, [[rows, columns], [rows, columns], [columns], [columns]]),
      bound: "memory",
      quick,
      check(inputs, outputs) {
        const meter = new ErrorMeter();
        checkForward(meter, inputs, outputs[0]);
        checkBackward(meter, inputs, outputs);
        return meter.worst;
      },
    },
  ];
}

function sum(log2: number, quick = false): Workload {
  const inputs = [normal([2 ** log2])];
  return {
    id: `sum-2^${log2}`,
    title: `sum of 2^${log2} elements`,
    task: { op: "sum" },
    inputs,
    flops: 2 ** log2,
    bytes: bytesOf(inputs, [[1]]),
    bound: "memory",
    quick,
    check([x], [out]) {
      const meter = new ErrorMeter();
      let total = 0;
      let size = 0;
      for (let i = 0; i < x!.length; i++) {
        total += x![i]!;
        size += Math.abs(x![i]!);
      }
      meter.note(out?.[0], total, 1e-5 * size);
      return meter.worst;
    },
  };
}

function cumsum(log2: number): Workload {
  const n = 2 ** log2;
  const inputs = [normal([n])];
  return {
    id: `cumsum-2^${log2}`,
    title: `running sum of 2^${log2} elements`,
    task: { op: "cumsum" },
    inputs,
    flops: n,
    bytes: bytesOf(inputs, [[n]]),
    bound: "memory",
    quick: true,
    check([x], [out]) {
      const meter = new ErrorMeter();
      let total = 0;
      let size = 0;
      for (let i = 0; i < n; i++) {
        total += x![i]!;
        size += Math.abs(x![i]!);
        meter.note(out?.[i], total, 1e-5 * size + 1e-6);
      }
      return meter.worst;
    },
  };
}

function sorted(x: HostArray): Float32Array {
  return Float32Array.from(x).sort();
}

function order(log2: number, k: number): Workload[] {
  const n = 2 ** log2;
  const inputs = [normal([n])];
  return [
    {
      id: `sort-2^${log2}`,
      title: `sort of 2^${log2} elements`,
      task: { op: "sort" },
      inputs,
      flops: 0,
      bytes: bytesOf(inputs, [[n]]),
      bound: "memory",
      quick: true,
      check([x], [out]) {
        const expected = sorted(x!);
        const meter = new ErrorMeter();
        for (let i = 0; i < n; i++) meter.note(out?.[i], expected[i]!, 1e-30);
        return meter.worst;
      },
    },
    {
      id: `topk${k}-2^${log2}`,
      title: `largest ${k} of 2^${log2} elements`,
      task: { op: "topk", k },
      inputs,
      flops: 0,
      bytes: bytesOf(inputs, [[2 * k]]),
      bound: "memory",
      quick: true,
      check([x], [out]) {
        const expected = sorted(x!);
        const meter = new ErrorMeter();
        for (let i = 0; i < k; i++) meter.note(out?.[i], expected[n - 1 - i]!, 1e-30);
        return meter.worst;
      },
    },
  ];
}

function embeddingBackward(vocabulary: number, count: number, width: number, quick: boolean): Workload {
  const inputs = [
    { shape: [count], distribution: { kind: "index" as const, below: vocabulary } },
    normal([count, width]),
  ];
  return {
    id: `embedding-grad-${vocabulary}`,
    title: `gradient of a table [${vocabulary}, ${width}] from ${count} rows`,
    task: { op: "embeddingBackward", vocabulary },
    inputs,
    flops: count * width,
    bytes: bytesOf(inputs, [[vocabulary, width]]),
    bound: "memory",
    quick,
    check([index, g], [out]) {
      const expected = new Float64Array(vocabulary * width);
      const size = new Float64Array(vocabulary * width);
      for (let i = 0; i < count; i++)
        for (let c = 0; c < width; c++) {
          const at = index![i]! * width + c;
          expected[at]! += g![i * width + c]!;
          size[at]! += Math.abs(g![i * width + c]!);
        }
      const meter = new ErrorMeter();
      for (const at of samplePositions(product([vocabulary, width]), 20000))
        meter.note(out?.[at], expected[at]!, 1e-5 * size[at]! + 1e-12);
      return meter.worst;
    },
  };
}

export const rowOperations: readonly Workload[] = [
  softmax(16384, 256, true),
  softmax(1024, 50257),
  ...layerNorm(16384, 384, true),
  ...layerNorm(8192, 1024),
  sum(22, true),
  sum(26),
  cumsum(20),
  ...order(20, 64),
  embeddingBackward(65, 16384, 384, true),
  embeddingBackward(50257, 16384, 384, false),
];
