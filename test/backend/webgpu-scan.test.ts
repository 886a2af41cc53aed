/** Running totals on WebGPU in every way of walking the rows, with subgroups and without, against the CPU. */

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import * as tg from "#tapegrad";
import type { WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import { Choices, type Alternatives } from "../../src/backend/webgpu/choices.ts";
import { renderScan, type ScanForm, type ScanPass } from "../../src/backend/webgpu/scan-shader.ts";
import type { RoutineStructure } from "../../src/graph/kernel.ts";
import { backendOf, setDefaultBackend } from "../../src/graph/devices.ts";
import { openWithSubgroups } from "../support/subgroups.ts";
import { openWebGpu } from "../support/webgpu.ts";

afterEach(() => {
  vi.restoreAllMocks();
  setDefaultBackend(backendOf("cpu"));
});

/** Eighths, which add up without rounding: the order in which that is done does not show. */
const wave = (...shape: number[]): tg.Tensor =>
  steps(...shape)
    .to("float32")
    .div(8)
    .retain();

const steps = (...shape: number[]): tg.Tensor => {
  const n = shape.reduce((a, b) => a * b, 1);
  return tg.tensor(
    Int32Array.from({ length: n }, (_, i) => ((i * 37) % 101) - 50),
    { shape, dtype: "int32" },
  );
};

/** What is scanned, and in which ways a GPU can do it. */
const CASES: readonly { name: string; run: () => tg.Tensor; forms: readonly string[] }[] = [
  {
    name: "rows whose neighbours lie together",
    run: () => wave(100, 300).cumsum(0),
    forms: ["serial", "columns32", "columns8", "rows16", "rows16s", "rows64", "rows64s"],
  },
  {
    name: "few of them, long",
    run: () => wave(5000, 9).cumsum(0),
    forms: ["columns8", "columns8/", "rows256/", "rows256s/"],
  },
  {
    name: "many of them, long",
    run: () => wave(2, 1100, 33).cumsum(1),
    forms: ["columns32", "columns32/", "columns8/"],
  },
  {
    name: "long rows",
    run: () => wave(3, 9001).cumsum(1),
    forms: ["rows256", "rows256s", "rows256/", "rows256s/"],
  },
  {
    name: "long rows in groups of four",
    run: () => wave(2, 8200).cumsum(1),
    forms: ["rows256", "rows256s", "rows256/", "rows256s/"],
  },
  {
    name: "rows of middle length",
    run: () => wave(21, 190).cumsum(1),
    forms: ["rows16", "rows16s", "rows64", "rows64s"],
  },
  {
    name: "short rows",
    run: () => wave(7, 5, 30).cumsum(2),
    forms: ["serial", "rows16", "rows16s"],
  },
  {
    name: "a part of rows, backwards",
    run: () => wave(6, 400).narrow(1, 3, 350).flip(1).cumsum(1),
    forms: ["rows64", "rows64s", "rows256s"],
  },
  {
    name: "a transposed matrix",
    run: () => wave(200, 24).t().cumsum(1),
    forms: ["rows64", "rows64s"],
  },
  {
    name: "products",
    run: () => tg.pow(2, steps(20, 300).remainder(3).sub(1).to("float32")).retain().cumprod(1),
    forms: ["rows64", "rows64s", "rows256s"],
  },
  {
    name: "integers",
    run: () => steps(40, 500).cumsum(1),
    forms: ["rows64", "rows64s", "rows256", "rows256s"],
  },
  {
    name: "integers down columns",
    run: () => steps(1100, 40).cumsum(0),
    forms: ["columns32", "columns32/", "columns8", "columns8/"],
  },
  {
    name: "truth",
    run: () => steps(9, 400).gt(0).cumsum(1),
    forms: ["rows64", "rows64s"],
  },
  {
    name: "maxima, of which a NaN is the greatest",
    run: () =>
      tg
        .where(steps(9, 400).eq(8).logicalAnd(tg.arange(400).gt(350)), NaN, wave(9, 400))
        .retain()
        .cummax(1).values,
    forms: ["rows64", "rows64s", "rows256s"],
  },
];

/** Takes the way of a name for every call that has it; says how often. */
function takes(name: string): () => number {
  let taken = 0;
  vi.spyOn(Choices.prototype, "pick").mockImplementation(<T>(alternatives: Alternatives<T>): T => {
    if (!alternatives.key().startsWith("scan ")) return alternatives.usual;
    const way = alternatives.all().find((w) => alternatives.name(w) === name);
    if (way === undefined)
      throw new Error(
        `no way ${name} among ${alternatives
          .all()
          .map((w) => alternatives.name(w))
          .join(", ")}`,
      );
    taken++;
    return way;
  });
  return () => taken;
}

describe.each([
  ["a device with subgroups", []],
  ["a device without", ["subgroups"]],
] as const)("%s", (_, without) => {
  const lacks = without.length > 0;
  let gpu: WebGpuBackend;
  beforeAll(async () => {
    gpu = await openWebGpu({ figures: { isSoftware: false, busyGroups: 16 }, without });
  });
  afterAll(() => gpu.destroy());

  describe.each(CASES)("$name", ({ run, forms }) => {
    let want: tg.TensorData;
    beforeAll(async () => {
      want = await run().data();
    });

    // Without, what does not need them is the same.
    test.each(lacks ? [] : forms)("%s", async (form) => {
      const taken = takes(form);
      setDefaultBackend(gpu);
      expect(await run().data()).toEqual(want);
      expect(taken()).toBe(1);
    });

    test("as the rule says", async () => {
      setDefaultBackend(gpu);
      expect(await run().data()).toEqual(want);
    });

    test("the ways are those that the device can go", async () => {
      const names: string[] = [];
      vi.spyOn(Choices.prototype, "pick").mockImplementation(<T>(alternatives: Alternatives<T>): T => {
        if (alternatives.key().startsWith("scan ")) names.push(...alternatives.all().map((w) => alternatives.name(w)));
        return alternatives.usual;
      });
      setDefaultBackend(gpu);
      await run().data();
      const exchanges = (name: string): boolean => /\ds\/?$/.test(name);
      expect(names).toEqual(expect.arrayContaining(forms.filter((form) => !lacks || !exchanges(form))));
      expect(names.some(exchanges)).toBe(!lacks);
    });
  });
});

describe.each([8, 64])("subgroups of %i", (size) => {
  let gpu: WebGpuBackend;
  let used: () => number;
  beforeAll(async () => {
    ({ gpu, used } = await openWithSubgroups(size, { figures: { isSoftware: false, busyGroups: 16 } }));
  });
  afterAll(() => gpu.destroy());

  const cases = CASES.flatMap((c) => c.forms.filter((form) => /s\/?$/.test(form)).map((form) => ({ ...c, form })));
  test.each(cases)("$name: $form", async ({ run, form }) => {
    const want = await run().data();
    const taken = takes(form);
    setDefaultBackend(gpu);
    expect(await run().data()).toEqual(want);
    expect(taken()).toBe(1);
    expect(used()).toBeGreaterThan(0);
  });
});

describe("the shader", () => {
  const structure = (dtype: "float32" | "float16"): RoutineStructure => ({
    kind: "routine",
    key: "scan",
    name: "scan",
    attrs: { kind: "sum", rank: 1 },
    buffers: [
      { dtype, mode: "read" },
      { dtype, mode: "write" },
    ],
    usesStatus: false,
  });
  const code = (form: ScanForm, pass: ScanPass = "whole"): string =>
    renderScan("x", structure("float32"), form, pass).code;
  const barriers = (text: string): number => text.match(/workgroupBarrier/g)?.length ?? 0;

  test("has fewer barriers a tile the more lanes are in a subgroup", () => {
    const rows = (lanes: 16 | 64 | 256, subgroup: number): string => code({ kind: "rows", lanes, subgroup });
    expect([1, 4, 32, 128].map((subgroup) => barriers(rows(256, subgroup)))).toEqual([2, 1, 1, 1]);
    expect([1, 8, 32, 64].map((subgroup) => barriers(rows(64, subgroup)))).toEqual([2, 1, 1, 0]);
    expect([1, 8, 16, 32].map((subgroup) => barriers(rows(16, subgroup)))).toEqual([2, 1, 0, 0]);
    expect(barriers(code({ kind: "columns", across: 32 }))).toBe(1);
    expect(barriers(code({ kind: "serial" }))).toBe(0);
    expect(rows(256, 1)).not.toContain("subgroup");
    expect(rows(256, 32)).toContain("enable subgroups;");
  });

  test("takes and gives four neighbours at once where it may, and adds halves up in 32 bits", () => {
    const form = { kind: "rows", lanes: 64, subgroup: 1 } as const;
    const both = { input: true, out: true };
    const half = renderScan("x", structure("float16"), form, "whole", both).code;
    expect(half.match(/array<vec4<f16>>;/g)).toHaveLength(2);
    expect(half).toContain("enable f16;");
    expect(half).toContain("totals: array<f32, 512>;");
    expect(renderScan("x", structure("float32"), form, "totals", { input: true, out: false }).code).toContain(
      "var<storage, read> input_buffer: array<vec4<f32>>;",
    );
  });
});
