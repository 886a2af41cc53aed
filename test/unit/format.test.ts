/**
 * Printing, held to what PyTorch prints (test/fixtures/format.json, made by test/generate/format.py) and to rules of
 * its own.
 */

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { DType } from "../../src/dtype.ts";
import { ArgumentError } from "../../src/errors.ts";
import { exponential, fixed } from "../../src/format/decimal.ts";
import {
  formatTensor,
  getPrintOptions,
  setPrintOptions,
  summaryIndices,
  type FormatInput,
  type PrintSettings,
} from "../../src/format.ts";

/** A row of numbers as a rule: ((i * multiplier) mod modulus + offset) * scale. */
interface Rule {
  readonly multiplier: number;
  readonly modulus: number;
  readonly offset: number;
  readonly scale: number;
}

interface Case {
  readonly data?: readonly (number | "nan" | "inf" | "-inf")[];
  readonly rule?: Rule;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly requiresGrad?: boolean;
  readonly gradFn?: string;
  readonly defaultDtype?: DType;
  readonly options?: PrintSettings;
  readonly text: string;
}

const fixture = process.env.FORMAT_FIXTURE ?? new URL("../fixtures/format.json", import.meta.url);
const cases = JSON.parse(readFileSync(fixture, "utf8")) as readonly Case[];

const ROUND: Partial<Record<DType, (value: number) => number>> = { float32: Math.fround, float16: toHalf };

/** The nearest float16, ties to even. */
function toHalf(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude === 0 || !Number.isFinite(value)) return value;
  const unit = 2 ** (Math.max(Math.floor(Math.log2(magnitude)), -14) - 10);
  const quotient = magnitude / unit;
  const down = Math.floor(quotient);
  const rest = quotient - down;
  const rounded = (rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down) * unit;
  return Math.sign(value) * (rounded >= 65536 ? Infinity : rounded);
}

function inputOf({ data, rule, shape, dtype, requiresGrad, gradFn, defaultDtype }: Case): FormatInput {
  const count = shape.reduce((a, b) => a * b, 1);
  const special = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  const values =
    data?.map((v) => (typeof v === "number" ? v : special[v])) ??
    Array.from({ length: count }, (_, i) => (((i * rule!.multiplier) % rule!.modulus) + rule!.offset) * rule!.scale);
  const round = ROUND[dtype] ?? ((v: number) => v);
  return { data: values.map(round), shape, dtype, requiresGrad, gradFn, ...(defaultDtype && { defaultDtype }) };
}

const reset = () => setPrintOptions({ profile: "default" });
beforeEach(reset);
afterEach(reset);

describe("as PyTorch prints", () => {
  test("the fixture has every dtype, and tensors that are cut", () => {
    expect(new Set(cases.map((c) => c.dtype)).size).toBe(6);
    expect(cases.filter((c) => c.text.includes("...")).length).toBeGreaterThan(10);
  });

  test.for(cases.map((c, index) => [index, c.dtype, c.shape.join("x"), c] as const))(
    "case %i: %s [%s]",
    ([, , , c]) => {
      const input = inputOf(c);
      setPrintOptions(c.options ?? {});
      expect(formatTensor(input)).toBe(c.text);

      const positions = summaryIndices(c.shape);
      if (positions !== null) {
        const data = positions.map((i) => input.data[i]!);
        expect(formatTensor({ ...input, data, summarized: true })).toBe(c.text);
      }
    },
  );
});

const float32 = (data: readonly number[], rest: Partial<FormatInput> = {}): string =>
  formatTensor({ data: data.map(Math.fround), shape: [data.length], dtype: "float32", ...rest });

describe("options", () => {
  test("a call's own options leave those in force alone", () => {
    expect(float32([1.5], { options: { precision: 1 } })).toBe("tensor([1.5])");
    expect(float32([1.5])).toBe("tensor([1.5000])");
  });

  test("profiles set every option, and the others given with them change those", () => {
    setPrintOptions({ profile: "short", linewidth: 60 });
    expect(getPrintOptions()).toEqual({ precision: 2, threshold: 1000, edgeitems: 2, linewidth: 60, sciMode: null });
    setPrintOptions({ profile: "full" });
    expect(getPrintOptions()).toEqual({
      precision: 4,
      threshold: Infinity,
      edgeitems: 3,
      linewidth: 80,
      sciMode: null,
    });
  });

  test("sciMode lasts until the next call", () => {
    setPrintOptions({ sciMode: true });
    expect(float32([1])).toBe("tensor([1.0000e+00])");
    setPrintOptions({ precision: 2 });
    expect(float32([1.5])).toBe("tensor([1.50])");
  });

  test("the options in force cannot be changed from outside", () => {
    Object.assign(getPrintOptions(), { precision: 9 });
    expect(getPrintOptions().precision).toBe(4);
  });

  test.each([
    [{ precison: 2 }, 'unknown option "precison"; known are precision'],
    [{ profile: "long" }, 'unknown profile "long"; known are default, short, full'],
    [{ precision: -1 }, "precision is -1"],
    [{ precision: 1.5 }, "precision is 1.5"],
    [{ precision: Infinity }, "precision is Infinity"],
    [{ threshold: NaN }, "threshold is NaN"],
    [{ linewidth: "80" }, "linewidth is 80"],
    [{ sciMode: 1 }, "sciMode is 1"],
  ])("%o is refused, and nothing changes", (settings, message) => {
    const act = () => setPrintOptions({ threshold: 5, ...settings } as PrintSettings);
    expect(act).toThrow(ArgumentError);
    expect(act).toThrow(message);
    expect(getPrintOptions().threshold).toBe(1000);
  });

  test("edgeitems 0 leaves out everything", () => {
    const options = { threshold: 2, edgeitems: 0 };
    expect(float32([1, 2, 3], { options })).toBe("tensor([...])");
    expect(float32([1, 2, 3, 4], { shape: [2, 2], options })).toBe("tensor([...])");
    expect(summaryIndices([2, 2], options)).toEqual([]);
  });
});

describe("around the values", () => {
  test("device comes first of the suffixes", () => {
    expect(float32([], { shape: [0, 3], dtype: "int32", device: "cuda:0", requiresGrad: true })).toBe(
      "tensor([], device='cuda:0', size=(0, 3), dtype=torch.int32, requires_grad=True)",
    );
  });

  test("lines are indented by the prefix", () => {
    expect(float32([1, 2], { shape: [2, 1], prefix: "P(" })).toBe("P([[1.],\n   [2.]])");
  });

  test("data that does not fit the shape is refused", () => {
    expect(() => float32([1, 2], { shape: [3] })).toThrow(
      new ArgumentError("formatTensor: shape [3] has 3 elements, data 2"),
    );
    expect(() => float32([1, 2], { shape: [2000], summarized: true })).toThrow(
      "formatTensor: shape [2000], summarized, has 6 elements, data 2",
    );
  });
});

describe("decimal text", () => {
  test("ties of the exact value go to the even digit", () => {
    expect([0.5, 1.5, 2.5, -0.5, 0.25].map((v) => fixed(v, 0))).toEqual(["0", "2", "2", "-0", "0"]);
    expect([0.125, 0.375, 1.005].map((v) => fixed(v, 2))).toEqual(["0.12", "0.38", "1.00"]);
    expect([1.25, 1.35, 12.5, 25].map((v) => exponential(v, v < 10 ? 1 : 0))).toEqual([
      "1.2e+00",
      "1.4e+00",
      "1e+01",
      "2e+01",
    ]);
  });

  test("no size is too large or too small", () => {
    expect(fixed(1e22, 1)).toBe("10000000000000000000000.0");
    expect(fixed(0.1, 55)).toBe("0.1000000000000000055511151231257827021181583404541015625");
    expect(exponential(1e23, 17)).toBe("9.99999999999999916e+22");
    expect(exponential(5e-324, 3)).toBe("4.941e-324");
    expect(exponential(9.9996, 3)).toBe("1.000e+01");
    expect(exponential(-0, 2)).toBe("-0.00e+00");
  });

  test("they agree with toFixed and toExponential away from ties", () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(finite, fc.integer({ min: 0, max: 20 }), (x, digits) => {
        const isTie = (scale: number) => Number.isInteger(x * scale) && (x * scale) % 2 !== 0;
        fc.pre(Math.abs(x) < 1e21 && x !== 0 && !isTie(2 ** (digits + 1)));
        expect(Math.abs(Number(fixed(x, digits)))).toBe(Math.abs(Number(x.toFixed(digits))));
        expect(Number(exponential(x, 20))).toBe(Number(x.toExponential(20)));
      }),
    );
  });

  test("seventeen digits give the number back", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (x) => {
        expect(Number(exponential(x, 16))).toBe(x);
      }),
    );
  });
});

describe("summaries", () => {
  test("positions are those of the edges, in row-major order", () => {
    expect(summaryIndices([4, 400], { edgeitems: 1 })).toEqual([0, 399, 1200, 1599]);
    expect(summaryIndices([10, 100])).toBeNull();
  });

  test("what is not shown does not matter", () => {
    const size = fc.integer({ min: 1, max: 12 });
    fc.assert(
      fc.property(
        fc.array(size, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 3 }),
        (shape, edgeitems) => {
          const options = { threshold: 0, edgeitems };
          const count = shape.reduce((a, b) => a * b, 1);
          const shown = new Set(summaryIndices(shape, options));
          const data = Array.from({ length: count }, (_, i) => i);
          const hidden = data.map((v) => (shown.has(v) ? v : 1e30));
          expect(float32(hidden, { shape, options })).toBe(float32(data, { shape, options }));
        },
      ),
    );
  });
});
