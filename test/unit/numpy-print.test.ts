/**
 * NumPy's printed form, held to test/fixtures/numpy-print.json (made by test/generate/numpy_print.py), and its
 * products.
 */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatArray } from "../../demo/numpy-print.ts";
import { array, matmul, repeat, type Nested } from "../../demo/numpy.ts";

interface Case {
  readonly data?: readonly (number | "nan" | "inf" | "-inf")[];
  /** Where there is no data: element i is i times this. */
  readonly step?: number;
  readonly shape: readonly number[];
  readonly kind: "int" | "float";
  readonly text: string;
}

const fixture = process.env.NUMPY_PRINT_FIXTURE ?? new URL("../fixtures/numpy-print.json", import.meta.url);
const cases = JSON.parse(readFileSync(fixture, "utf8")) as readonly Case[];

function nest({ data, step, shape }: Case): Nested {
  const special = { nan: NaN, inf: Infinity, "-inf": -Infinity };
  let next = 0;
  const build = (dim: number): Nested => {
    if (dim < shape.length) return Array.from({ length: shape[dim]! }, () => build(dim + 1));
    const at = next++;
    if (step !== undefined) return at * step;
    const value = data![at]!;
    return typeof value === "number" ? value : special[value];
  };
  return build(0);
}

describe("as NumPy prints", () => {
  test.for(cases.map((c, index) => [index, c.kind, c.shape.join("x"), c] as const))("case %i: %s [%s]", ([, , , c]) => {
    expect(formatArray(array(nest(c), c.kind))).toBe(c.text);
  });

  test("the forms of the notebook", () => {
    expect(formatArray(array([[1, 1]], "int"))).toBe("[[1 1]]");
    expect(formatArray(array([1, 10, 100, 1000]))).toBe("[   1.   10.  100. 1000.]");
    expect(
      formatArray(
        array([
          [6, 0],
          [0, 12],
        ]),
      ),
    ).toBe("[[ 6.  0.]\n [ 0. 12.]]");
  });
});

describe("products", () => {
  const J = array(
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    "int",
  );

  test("a vector times a matrix is a vector, rows times a matrix are rows", () => {
    expect(matmul(array([1, 10], "int"), J)).toEqual(array([41, 52, 63], "int"));
    expect(matmul(array([[1, 10]], "int"), J)).toEqual(array([[41, 52, 63]], "int"));
  });

  test("one float makes the product float", () => {
    expect(formatArray(matmul(array([[100]]), array([[1, 1]], "int")))).toBe("[[100. 100.]]");
  });

  test("repeat goes row by row, numbers of a vector too", () => {
    expect(repeat(J, 2).values).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [4, 5, 6],
      [4, 5, 6],
    ]);
    expect(repeat(array([1, 2], "int"), 2)).toEqual(array([1, 1, 2, 2], "int"));
  });

  test("shapes that do not fit are refused", () => {
    expect(() => matmul(array([1, 2, 3]), J)).toThrow("a row of 3 numbers cannot multiply a matrix of 2 rows");
    expect(() => matmul(array([1]), array([1]))).toThrow("the second array is not a matrix");
    expect(() => matmul(array(1), J)).toThrow("the first array is not a vector or matrix");
    expect(() => repeat(array(1), 2)).toThrow("a number has no rows");
  });
});
