/** Dtypes of binary operations' results, against PyTorch's: test/generate/promotion.py has the form of the fixture. */

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { useDevice } from "../support/device.ts";

const LETTERS = { bool: "b", uint8: "u", int32: "i", float16: "h", float32: "f", float64: "d" } as const;
const DTYPES = ["bool", "uint8", "int32", "float16", "float32", "float64"] as const;
const NUMBERS = [true, 2, 2.5] as const;

const OPERATIONS: Record<string, (a: Tensor, b: tg.Operand) => Tensor> = {
  add: (a, b) => a.add(b),
  sub: (a, b) => a.sub(b),
  mul: (a, b) => a.mul(b),
  div: (a, b) => a.div(b),
  floorDivide: (a, b) => a.floorDivide(b),
  remainder: (a, b) => a.remainder(b),
  fmod: (a, b) => a.fmod(b),
  pow: (a, b) => a.pow(b),
  maximum: (a, b) => a.maximum(b),
  minimum: (a, b) => a.minimum(b),
  atan2: (a, b) => a.atan2(b),
  eq: (a, b) => a.eq(b),
  lt: (a, b) => a.lt(b),
  bitwiseAnd: (a, b) => a.bitwiseAnd(b),
  logicalAnd: (a, b) => a.logicalAnd(b),
  add_: (a, b) => a.add_(b),
  mul_: (a, b) => a.mul_(b),
  div_: (a, b) => a.div_(b),
};

const fixture = JSON.parse(readFileSync(new URL("../fixtures/promotion.json", import.meta.url), "utf8")) as Record<
  string,
  Record<string, string>
>;

beforeAll(() => useDevice("cpu"));

function operand(form: string, kind: unknown): tg.Operand {
  if (form === "number") return kind as number | boolean;
  return tg.ones(form === "vector" ? [2] : [], { dtype: kind as tg.DType });
}

describe.for(Object.entries(fixture))("%s", ([name, forms]) => {
  test.for(Object.entries(forms))("%s", ([form, letters]) => {
    const [first, second] = form.split(" ") as [string, string];
    const pairs = DTYPES.flatMap((a) => (second === "number" ? NUMBERS : DTYPES).map((b) => [a, b] as const));
    expect(letters.length).toBe(pairs.length);
    const table = (of: (pair: readonly [unknown, unknown], i: number) => string): string[] =>
      pairs.map((pair, i) => `${pair[0]}, ${String(pair[1])}: ${of(pair, i)}`);
    const got = table(([a, b]) => {
      try {
        const result = OPERATIONS[name]!(operand(first, a) as Tensor, operand(second, b));
        expect(result.dataSync().length).toBe(result.numel());
        return LETTERS[result.dtype];
      } catch (error) {
        if (error instanceof tg.DTypeError) return "-";
        throw error;
      }
    });
    expect(got).toEqual(table((_, i) => letters[i]!));
  });
});
