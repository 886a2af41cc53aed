/** What kernels cost, by counting; profiles of a device that runs nothing. */

import { afterEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import type { Call } from "../../src/backend/backend.ts";
import { NullBackend } from "../../src/backend/null.ts";
import { packAttention } from "../../src/graph/attention.ts";
import { packConv, type Conv } from "../../src/graph/convolution.ts";
import { costOf, distinctElements, type Cost } from "../../src/graph/costs.ts";
import { backendOf, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import type { RoutineName, RoutineStructure } from "../../src/graph/kernel.ts";
import type { DType } from "../../src/dtype.ts";
import { numbers } from "../support/webgpu.ts";
import { written } from "../support/written.ts";

/** Different numbers `sum(stride * coordinate)`, one by one. */
function counted(sizes: readonly number[], strides: readonly number[]): number {
  let found = new Set([0]);
  sizes.forEach((size, d) => {
    const next = new Set<number>();
    for (const at of found) for (let i = 0; i < size; i++) next.add(at + i * strides[d]!);
    found = next;
  });
  return sizes.includes(0) ? 0 : found.size;
}

describe("different elements of an access", () => {
  const exact: [string, number[], number[]][] = [
    ["of one element", [], []],
    ["of nothing", [3, 0], [1, 1]],
    ["row by row", [4, 5], [5, 1]],
    ["transposed", [5, 4], [1, 5]],
    ["flipped", [4, 5], [5, -1]],
    ["expanded", [4, 5, 6], [0, 6, 1]],
    ["every third", [7], [3]],
    ["windows side by side", [4, 3], [3, 1]],
    ["windows that overlap", [20, 3], [1, 1]],
    ["windows with a stride", [20, 5], [2, 1]],
    ["windows with gaps", [20, 2], [3, 1]],
    ["dilated windows", [20, 3], [1, 4]],
    ["windows of two dimensions", [2, 9, 9, 3, 3], [400, 40, 2, 20, 1]],
    ["a diagonal", [6], [7]],
  ];
  for (const [name, sizes, strides] of exact)
    it(`are counted: ${name}`, () => {
      expect(distinctElements(sizes, strides)).toBe(counted(sizes, strides));
    });

  it("are never counted too few, and never more than coordinates", () => {
    const random = numbers(1);
    const pick = (most: number): number => Math.floor(random() * (most + 1));
    for (let trial = 0; trial < 3000; trial++) {
      const sizes = Array.from({ length: 1 + pick(3) }, () => 1 + pick(5));
      const strides = sizes.map(() => pick(24) - 12);
      const found = distinctElements(sizes, strides);
      const all = sizes.reduce((a, b) => a * b, 1);
      expect(found, `${sizes.join()} by ${strides.join()}`).toBeGreaterThanOrEqual(counted(sizes, strides));
      expect(found).toBeLessThanOrEqual(all);
    }
  });
});

let device: NullBackend;

/** The calls that computing a value takes on a device that runs nothing. */
function callsOf(body: () => Tensor, options: ConstructorParameters<typeof NullBackend>[0] = {}): Call[] {
  device = new NullBackend(options);
  setBackend(device);
  setDefaultBackend(device);
  written(body());
  return device.calls;
}

afterEach(() => {
  setDefaultBackend(backendOf("cpu"));
});

/** The cost of the last call. */
function lastCost(calls: readonly Call[]): Cost {
  const { program, data, buffers } = calls.at(-1)!;
  return costOf(program.structure, data, (slot) => buffers[slot]!.bytes / 4);
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);

function routine(name: RoutineName, attrs: RoutineStructure["attrs"], dtypes: readonly DType[]): RoutineStructure {
  const buffers = dtypes.map((dtype, i) => ({ dtype, mode: i === dtypes.length - 1 ? "write" : "read" }) as const);
  return { kind: "routine", key: name, name, attrs, buffers, usesStatus: false };
}

/** The cost of a routine whose memory has room for anything. */
function routineCost(structure: RoutineStructure, ints: readonly number[]): Cost {
  return costOf(structure, { ints, scalars: [] }, () => Infinity);
}

describe("the cost of a kernel", () => {
  it("is what is loaded and stored, once", () => {
    const cost = lastCost(callsOf(() => written(tg.ones(30, 20)).add(written(tg.ones(20)))));
    expect([sum(cost.reads), sum(cost.writes), cost.flops]).toEqual([620, 600, null]);
  });

  it("counts an element that is read in several ways once, and pieces beside each other both", () => {
    const both = lastCost(
      callsOf(() => {
        const x = written(tg.ones(30, 20));
        return x.narrow(1, 0, 10).add(x.narrow(1, 10, 10));
      }),
    );
    expect([sum(both.reads), sum(both.writes)]).toEqual([600, 300]);
    const shifted = lastCost(
      callsOf(() => {
        const x = written(tg.ones(100));
        return x.narrow(0, 0, 90).add(x.narrow(0, 10, 90));
      }),
    );
    expect([sum(shifted.reads), sum(shifted.writes)]).toEqual([100, 90]);
  });

  it("reads no more of a table than it looks up, nor than there is", () => {
    const lookUp = (rows: number): Cost =>
      lastCost(
        callsOf(() => {
          const table = written(tg.ones(50, 4));
          const index = written(tg.zeros(rows, { dtype: "int32" }));
          return table.indexSelect(0, index);
        }),
      );
    expect(sum(lookUp(5).reads)).toBe(5 * 4 + 5);
    expect(sum(lookUp(500).reads)).toBe(50 * 4 + 500);
  });

  it("reads what is updated in place, and writes it", () => {
    const cost = lastCost(
      callsOf(() => {
        const x = written(tg.ones(64));
        return x.mul_(3);
      }),
    );
    expect([sum(cost.reads), sum(cost.writes)]).toEqual([64, 64]);
  });

  it("of a product with an epilogue leaves out what is not written in between", () => {
    const body = (): Tensor => {
      const [a, b, bias] = [tg.ones(6, 5), tg.ones(5, 4), tg.ones(4)].map(written) as [Tensor, Tensor, Tensor];
      return a.matmul(b).add(bias).relu();
    };
    const calls = callsOf(body, { fusesEpilogue: () => true });
    expect(calls.at(-1)!.program.structure).toMatchObject({ name: "matmul", epilogue: {} });
    const cost = lastCost(calls);
    expect([sum(cost.reads), sum(cost.writes), cost.flops]).toEqual([30 + 20 + 4, 24, 2 * 6 * 5 * 4]);
  });
});

describe("the cost of a routine", () => {
  it("is that of the sums of a convolution, padding and spread zeros left out", () => {
    const random = numbers(2);
    const pick = (from: number, to: number): number => from + Math.floor(random() * (to - from + 1));
    for (let trial = 0; trial < 200; trial++) {
      const [input, kernel] = [pick(1, 9), pick(1, 4)];
      const divisor = pick(1, 3);
      const stride = divisor > 1 ? 1 : pick(1, 3);
      const [dilation, padding] = [pick(1, 2), pick(0, 3)];
      const output = pick(1, 6);
      const [groups, batch, inChannels, outChannels] = [pick(1, 2), pick(1, 3), pick(1, 3), pick(1, 3)];
      const side = (outer: number, channels: number, size: number): Conv["from"] => ({
        offset: 0,
        group: outer * channels * size,
        outer: channels * size,
        channel: size,
        spatial: [1],
      });
      const lists = { input: [input], kernel: [kernel], output: [output], stride: [stride], dilation: [dilation] };
      const sides = {
        from: side(batch, inChannels, input),
        weight: side(outChannels, inChannels, kernel),
        to: side(batch, outChannels, output),
      };
      const conv: Conv = {
        groups,
        batch,
        inChannels,
        outChannels,
        ...lists,
        padding: [padding],
        divisor: [divisor],
        ...sides,
      };
      let terms = 0;
      const met = new Set<number>();
      for (let y = 0; y < output; y++)
        for (let k = 0; k < kernel; k++) {
          const at = y * stride + k * dilation - padding;
          if (at % divisor !== 0 || at < 0 || at / divisor >= input) continue;
          terms++;
          met.add(at / divisor);
        }
      const cost = routineCost(routine("conv", { rank: 1 }, ["float32", "float32", "float32"]), packConv(conv));
      expect(cost.flops).toBe(2 * groups * batch * outChannels * inChannels * terms);
      expect(cost.reads[0]).toBe(groups * batch * inChannels * met.size);
      expect(cost.reads[1]).toBe(groups * outChannels * inChannels * kernel);
      expect(cost.writes[2]).toBe(groups * batch * outChannels * output);
    }
  });

  it("is that of a batch of products, of which one side may be shared", () => {
    const structure = routine("matmul", { rank: 1 }, ["float32", "float32", "float32"]);
    const cost = routineCost(structure, [4, 5, 6, 3, 0, 6, 1, 24, 0, 5, 1, 0]);
    expect(cost).toEqual({ reads: [72, 30, 0], writes: [0, 0, 60], flops: 2 * 3 * 4 * 5 * 6 });
  });

  it("is that of the pairs that attention sees, forward and backward", () => {
    const [queries, keys, width, valueWidth] = [5, 7, 4, 3];
    const matrix = (rows: number, columns: number) => ({
      offset: 0,
      row: columns,
      column: 1,
      batch: [rows * columns],
    });
    const call = (reach: number, backward: boolean): number[] =>
      packAttention({
        queries,
        keys,
        width,
        valueWidth,
        reach,
        sizes: [2],
        query: matrix(queries, width),
        key: matrix(keys, width),
        value: matrix(keys, valueWidth),
        grad: backward ? matrix(queries, valueWidth) : null,
        mask: null,
      });
    const f = "float32";
    const forward = routine("attention", { pass: "forward", mask: "none", rank: 1 }, [f, f, f, f]);
    const whole = routineCost(forward, call(keys, false));
    expect(whole.flops).toBe(2 * 2 * queries * keys * (width + valueWidth));
    expect(whole.reads).toEqual([40, 56, 42, 0]);
    expect(whole.writes).toEqual([0, 0, 0, 2 * queries * (valueWidth + 1)]);
    // The first query sees one key, the last five.
    expect(routineCost(forward, call(0, false)).flops).toBe(2 * 2 * 15 * (width + valueWidth));
    const backward = (pass: string): Cost =>
      routineCost(routine("attention", { pass, mask: "none", rank: 1 }, [f, f, f, f, f, f, f]), call(keys, true));
    const pairs = 2 * queries * keys;
    expect(backward("query").flops).toBe(2 * pairs * (2 * width + valueWidth));
    expect(sum(backward("query").writes)).toBe(2 * queries * width);
    expect(backward("keyValue").flops).toBe(2 * pairs * (2 * width + 2 * valueWidth));
    expect(sum(backward("keyValue").writes)).toBe(2 * keys * (width + valueWidth));
    expect(backward("query").reads).toEqual([40, 56, 42, 30, 10, 10, 0]);
  });

  it("is that of what scans, sorts and scatters touch", () => {
    const scan = lastCost(callsOf(() => written(tg.ones(6, 7)).cumsum(1)));
    expect([sum(scan.reads), sum(scan.writes), scan.flops]).toEqual([42, 42, null]);
    const sort = routine("sort", { order: "ascending", rank: 1 }, ["float32", "int32"]);
    expect(routineCost(sort, [10, 3, 1, 10, 0])).toEqual({ reads: [30, 0], writes: [0, 30], flops: null });
    expect(routineCost(sort, [10, 3, 1, 10, 0, 2])).toEqual({ reads: [30, 0], writes: [0, 6], flops: null });
    const scatter = (mode: string): Cost =>
      routineCost(
        { ...routine("scatter", { mode, rank: 1 }, ["float32", "int32", "float32"]) },
        [0, 100, 8, 1, 0, 1, 0, 1, 0],
      );
    expect(scatter("add")).toEqual({ reads: [8, 8, 8], writes: [8, 0, 0], flops: null });
    expect(scatter("set")).toEqual({ reads: [0, 8, 8], writes: [8, 0, 0], flops: null });
  });
});

describe("a profile of a device that runs nothing", () => {
  it("has rows without times", async () => {
    setBackend(new NullBackend());
    setDefaultBackend(backendOf("null"));
    const x = written(tg.ones(8, 4));
    const profile = await tg.profile(() => [x.exp().retain(), x.matmul(x.t()).retain()]);
    expect(profile.device).toBe("null");
    expect(profile.ceiling).toBeNull();
    expect(profile.rows).toContainEqual({
      kind: "kernel",
      name: "exp [8, 4]",
      device: "null",
      calls: 1,
      time: null,
      bytes: 256,
      flops: null,
      share: null,
      phase: "forward",
    });
    expect(profile.rows.find((row) => row.name.startsWith("matmul"))).toMatchObject({ time: null, flops: 512 });
    expect(String(profile)).toMatch(/\nkernels: 2 calls, no times, /);
  });
});

describe("a device that comes into use meanwhile", () => {
  it("is seen, too", async () => {
    const profile = await tg.profile(async () => {
      const cpu = await tg.ones(3).mul(2).sum().item();
      setBackend(new NullBackend());
      setDefaultBackend(backendOf("null"));
      await tg.ones(5).mul(2).sum().data();
      return cpu;
    });
    expect(profile.result).toBe(6);
    const kernels = profile.rows.filter((row) => row.kind === "kernel");
    expect([...new Set(kernels.map((row) => row.device))].toSorted()).toEqual(["cpu", "null"]);
    expect(new Map(profile.devices.map(({ type, isTimed }) => [type, isTimed]))).toEqual(
      new Map<string, boolean>([
        ["cpu", true],
        ["null", false],
      ]),
    );
  });
});
