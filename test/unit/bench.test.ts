/** The benchmark's own arithmetic: figures, checks that can fail, and who is compared with whom. */

import { describe, expect, it } from "vitest";
import type { Outcome } from "../../bench/measure.ts";
import { compare, type RowResult } from "../../bench/report.ts";
import { geometricMean, quantile, summarize } from "../../bench/support/statistics.ts";
import { toHalf } from "../../bench/support/half.ts";
import { drawInputs, type Subject } from "../../bench/subjects/subject.ts";
import { ErrorMeter } from "../../bench/workloads/reference.ts";
import { WORKLOADS, workloadsOf } from "../../bench/workloads/index.ts";

describe("unit: figures of the benchmark", () => {
  it("interpolates quantiles", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([1, 2, 3, 4, 5], 0.1)).toBeCloseTo(1.4);
    expect(quantile([], 0.5)).toBeNaN();
  });

  it("summarises samples", () => {
    expect(summarize([3, 1, 2])).toEqual({ median: 2, least: 1, p10: 1.2, p90: 2.8, samples: 3 });
  });

  it("takes geometric means", () => {
    expect(geometricMean([0.5, 2])).toBeCloseTo(1);
    expect(geometricMean([])).toBeNaN();
  });
});

describe("unit: checks of the benchmark", () => {
  it("counts NaN and missing elements as infinitely wrong", () => {
    for (const value of [NaN, undefined, Infinity]) {
      const meter = new ErrorMeter();
      meter.note(value, 1, 0.1);
      expect(meter.worst).toBe(Infinity);
    }
  });

  it("have names of their own", () => {
    expect(new Set(WORKLOADS.map((w) => w.id)).size).toBe(WORKLOADS.length);
  });

  it("accept a right sum and refuse a wrong one", () => {
    const workload = WORKLOADS.find((w) => w.id === "sum-2^22")!;
    const inputs = drawInputs(workload, 1);
    const total = (inputs[0]! as Float32Array).reduce((a, b) => a + b, 0);
    expect(workload.check(inputs, [new Float32Array([total])])).toBeLessThan(1);
    expect(workload.check(inputs, [new Float32Array([total + 100])])).toBeGreaterThan(1);
  });

  it("take float16 as it is, and refuse what is further away", () => {
    const workload = workloadsOf("float16").find((w) => w.id === "gelu-2^20-f16")!;
    const full = WORKLOADS.find((w) => w.id === "gelu-2^20")!;
    expect(workload.bytes).toBe(full.bytes / 2);
    const [x] = drawInputs(workload, 1) as [Float32Array];
    expect(Float32Array.from(toHalf(x))).toEqual(x);
    const right = x.map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))));
    const rounded = Float32Array.from(toHalf(right));
    expect(full.check([x], [rounded])).toBeGreaterThan(1);
    expect(workload.check([x], [rounded])).toBeLessThan(1);
    expect(workload.check([x], [rounded.map((v) => v * 1.01)])).toBeGreaterThan(1);
  });

  it("accept a right product and refuse one of the transposed operand", () => {
    const workload = WORKLOADS.find((w) => w.id === "matmul-256")!;
    const inputs = drawInputs(workload, 1);
    const n = 256;
    const multiply = (at: (i: number, p: number) => number): Float32Array => {
      const out = new Float32Array(n * n);
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let p = 0; p < n; p++) sum += inputs[0]![at(i, p)]! * inputs[1]![p * n + j]!;
          out[i * n + j] = sum;
        }
      return out;
    };
    expect(workload.check(inputs, [multiply((i, p) => i * n + p)])).toBeLessThan(1);
    expect(workload.check(inputs, [multiply((i, p) => p * n + i)])).toBeGreaterThan(1);
  });
});

describe("unit: comparison in the benchmark", () => {
  const subject = (name: string, library: Subject["library"], isCeiling = false): Subject => ({
    name,
    library,
    device: "cpu",
    version: "1",
    threads: 1,
    isCeiling,
    prepare: () => Promise.resolve({ missing: "not run here" }),
  });
  const measured = (name: string, seconds: number): Outcome => {
    const figure = summarize([seconds]);
    const rest = { gpu: null, repeat: 1, first: 1, error: 0, dispatches: null };
    return { kind: "measured", subject: name, throughput: figure, latency: figure, ...rest };
  };
  const row = (outcomes: readonly Outcome[]): RowResult => ({
    id: "row",
    title: "a row",
    bound: "memory",
    flops: 1,
    bytes: 1,
    outcomes,
  });
  const subjects = [
    subject("tapegrad", "tapegrad"),
    subject("a", "tfjs"),
    subject("b", "jax-js"),
    subject("c", "pytorch", true),
  ];

  it("is with the best peer, and apart from it with native code", () => {
    const result = compare(
      row([measured("tapegrad", 2), measured("a", 3), measured("b", 1), measured("c", 0.5)]),
      subjects,
    );
    expect(result).toMatchObject({ best: { subject: "b", seconds: 1 }, ratio: 0.5, leastRatio: 0.5, toCeiling: 0.25 });
  });

  it("leaves out who gave wrong results", () => {
    const wrong: Outcome = { kind: "wrong", subject: "b", reason: "error 7 times the tolerance" };
    expect(compare(row([measured("tapegrad", 2), measured("a", 3), wrong]), subjects).best?.subject).toBe("a");
    expect(compare(row([measured("tapegrad", 2), wrong]), subjects).ratio).toBeNull();
  });
});
