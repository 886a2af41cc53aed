/** Elementwise operations, and many small ones that depend on one another. */

import type { HostArray } from "../support/random.ts";
import { ErrorMeter, samplePositions } from "./reference.ts";
import { bytesOf, normal, product, type InputSpec, type Task, type Workload } from "./workload.ts";

const SAMPLES = 4096;

interface Elementwise {
  readonly id: string;
  readonly title: string;
  readonly task: Task;
  readonly inputs: readonly InputSpec[];
  readonly flopsEach: number;
  readonly quick?: boolean;
  value(inputs: readonly HostArray[], at: number): number;
}

function elementwise({ id, title, task, inputs, flopsEach, quick = false, value }: Elementwise): Workload {
  const { shape } = inputs[0]!;
  return {
    id,
    title,
    task,
    inputs,
    flops: flopsEach * product(shape),
    bytes: bytesOf(inputs, [shape]),
    bound: "memory",
    quick,
    check(arrays, [out]) {
      const meter = new ErrorMeter();
      for (const at of samplePositions(product(shape), SAMPLES)) {
        const expected = value(arrays, at);
        meter.note(out?.[at], expected, 1e-5 * (Math.abs(expected) + 0.1));
      }
      return meter.worst;
    },
  };
}

const geluTanh = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/** The chain in float64: mul, add, relu, mul, sub, abs, add, sqrt, mul, max. */
export function chain(x: number, y: number): number {
  const product = Math.max(x * 1.5 + 0.5, 0) * y;
  return Math.max(Math.sqrt(Math.abs(product - x) + 1) * 0.5, y);
}

function family(log2: number, quick: boolean): Workload[] {
  const n = 2 ** log2;
  const size = `2^${log2}`;
  return [
    elementwise({
      id: `add-${size}`,
      title: `x + y, ${size} elements`,
      task: { op: "add" },
      inputs: [normal([n]), normal([n])],
      flopsEach: 1,
      quick,
      value: ([x, y], i) => x![i]! + y![i]!,
    }),
    elementwise({
      id: `gelu-${size}`,
      title: `gelu (tanh), ${size} elements`,
      task: { op: "gelu" },
      inputs: [normal([n])],
      flopsEach: 10,
      quick,
      value: ([x], i) => geluTanh(x![i]!),
    }),
    elementwise({
      id: `bias-${size}`,
      title: `x [${n / 1024}, 1024] + b [1024]`,
      task: { op: "biasAdd" },
      inputs: [normal([n / 1024, 1024]), normal([1024])],
      flopsEach: 1,
      quick,
      value: ([x, b], i) => x![i]! + b![i % 1024]!,
    }),
    elementwise({
      id: `chain10-${size}`,
      title: `ten elementwise operations, ${size} elements`,
      task: { op: "chain" },
      inputs: [normal([n]), normal([n])],
      flopsEach: 10,
      quick,
      value: ([x, y], i) => chain(x![i]!, y![i]!),
    }),
  ];
}

/** What each of the dependent small operations does: x <- x * 0.999 + 0.001, alternating the two halves. */
export const TINY_MUL = 0.999;
export const TINY_ADD = 0.001;

function tiny(count: number): Workload {
  const inputs = [normal([64])];
  return {
    id: `tiny-${count}`,
    title: `${count} dependent operations on 64 elements`,
    task: { op: "tiny", count },
    inputs,
    flops: 64 * count,
    bytes: bytesOf(inputs, [[64]]),
    bound: "overhead",
    quick: true,
    check([x], [out]) {
      const meter = new ErrorMeter();
      for (let i = 0; i < 64; i++) {
        let value = x![i]!;
        for (let step = 0; step < count; step++) value = step % 2 === 0 ? value * TINY_MUL : value + TINY_ADD;
        meter.note(out?.[i], value, 1e-4 * (Math.abs(value) + 0.1));
      }
      return meter.worst;
    },
  };
}

/** At 2^24 elements (2^20 in the short run, with 2^24 left to the full one), and 1000 dependent tiny operations. */
export const elementwises: readonly Workload[] = [...family(20, true), ...family(24, false), tiny(1000)];
