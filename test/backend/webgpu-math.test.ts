/** The primitives on WebGPU: error bounds over all magnitudes, special values, integers, casts, random bits. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WebGpuBackend } from "../../src/backend/webgpu/backend.ts";
import * as exact from "../../src/backend/cpu/math.ts";
import type { Primitive } from "../../src/graph/kernel.ts";
import { applyMap } from "../support/kernels.ts";
import { numbers, openWebGpu, ulps } from "../support/webgpu.ts";

let gpu: WebGpuBackend;
beforeAll(async () => {
  gpu = await openWebGpu();
});
afterAll(() => gpu.destroy());

const COUNT = 20000;
const random = numbers(7);
const between = (a: number, b: number) => (): number => Math.fround(a + (b - a) * random());
const magnitude =
  (a: number, b: number, sign = 0) =>
  (): number =>
    Math.fround((sign === 0 ? (random() < 0.5 ? -1 : 1) : sign) * Math.exp(Math.log(a) + Math.log(b / a) * random()));
/** 1 - e for e of all magnitudes. */
const belowOne = (): number => Math.fround(1 - Math.exp(-16 * random()));
/** The floats next to multiples of pi / 2. */
const nearQuarterTurns = (): number => Math.fround((Math.round(random() * 1000) * Math.PI) / 2);

interface Accuracy {
  readonly op: Primitive;
  readonly exact: (x: number) => number;
  readonly bound: number;
  readonly inputs: readonly (() => number)[];
}

const LARGEST = 3.4e38;
const circular = [magnitude(1e-20, 10), between(-6000, 6000), magnitude(6000, LARGEST), nearQuarterTurns];

const ACCURACY: readonly Accuracy[] = [
  { op: "exp", exact: Math.exp, bound: 1.1, inputs: [magnitude(1e-30, 88.7), between(-87, 88.7)] },
  { op: "exp2", exact: (x) => 2 ** x, bound: 2, inputs: [between(-125.9, 127.9), magnitude(1e-20, 1)] },
  { op: "expm1", exact: Math.expm1, bound: 2, inputs: [magnitude(1e-30, 88), between(-2, 2)] },
  {
    op: "log",
    exact: Math.log,
    bound: 1,
    inputs: [magnitude(1e-44, LARGEST, 1), between(0.3, 3), between(0.999, 1.001)],
  },
  { op: "log2", exact: Math.log2, bound: 2, inputs: [magnitude(1e-44, LARGEST, 1), between(0.3, 3)] },
  { op: "log10", exact: Math.log10, bound: 2, inputs: [magnitude(1e-44, LARGEST, 1), between(0.3, 3)] },
  { op: "log1p", exact: Math.log1p, bound: 3, inputs: [magnitude(1e-37, LARGEST, 1), between(-0.99999, 3)] },
  { op: "sqrt", exact: Math.sqrt, bound: 3, inputs: [magnitude(1e-37, LARGEST, 1)] },
  { op: "rsqrt", exact: (x) => 1 / Math.sqrt(x), bound: 3, inputs: [magnitude(1e-37, LARGEST, 1)] },
  { op: "sin", exact: Math.sin, bound: 3, inputs: circular },
  { op: "cos", exact: Math.cos, bound: 3, inputs: circular },
  { op: "tan", exact: Math.tan, bound: 5, inputs: circular },
  { op: "asin", exact: Math.asin, bound: 3, inputs: [between(-1, 1), magnitude(1e-30, 1)] },
  { op: "acos", exact: Math.acos, bound: 3, inputs: [between(-1, 1), belowOne] },
  { op: "atan", exact: Math.atan, bound: 3, inputs: [magnitude(1e-30, 1e30), between(-5, 5)] },
  { op: "sinh", exact: Math.sinh, bound: 3, inputs: [magnitude(1e-30, 89.4), between(-3, 3)] },
  { op: "cosh", exact: Math.cosh, bound: 3, inputs: [magnitude(1e-30, 89.4), between(-3, 3)] },
  { op: "tanh", exact: Math.tanh, bound: 3, inputs: [magnitude(1e-30, 20), between(-3, 3)] },
  { op: "asinh", exact: Math.asinh, bound: 3, inputs: [magnitude(1e-30, 1e38), between(-3, 3)] },
  {
    op: "acosh",
    exact: Math.acosh,
    bound: 3,
    inputs: [magnitude(1, 1e38, 1), () => Math.fround(1 + Math.exp(-16 * random()))],
  },
  { op: "atanh", exact: Math.atanh, bound: 4, inputs: [between(-1, 1), magnitude(1e-30, 0.999)] },
  { op: "erf", exact: exact.erf, bound: 2, inputs: [magnitude(1e-30, 5), between(-4, 4)] },
  { op: "erfc", exact: exact.erfc, bound: 5, inputs: [between(-4, 9.1), magnitude(1e-30, 9)] },
  { op: "erfinv", exact: exact.erfinv, bound: 4, inputs: [between(-1, 1), belowOne, magnitude(1e-30, 1)] },
  { op: "lgamma", exact: exact.lgamma, bound: 4, inputs: [magnitude(1e-30, 1e36, 1), between(0, 10)] },
  { op: "digamma", exact: exact.digamma, bound: 4, inputs: [magnitude(1e-30, 1e36, 1), between(0, 10)] },
];

describe("functions of one number", () => {
  test.each(ACCURACY)("$op is within $bound ULP", async ({ op, exact: f, bound, inputs }) => {
    const x = inputs.flatMap((next) => Array.from({ length: COUNT }, next));
    const y = await applyMap(gpu, [x], (b, [v]) => b.un(op, v!));
    let worst = 0;
    let at = NaN;
    x.forEach((value, i) => {
      const want = f(value);
      // Subnormal numbers may be flushed, and near the largest number rounding decides between it and infinity.
      if (Math.abs(want) < 1.2e-38 || Math.abs(want) > 3.4028e38) return;
      const error = ulps(y[i]!, want);
      if (!(error <= worst)) [worst, at] = [error, value];
    });
    expect(worst, `${op}(${at})`).toBeLessThan(bound);
  });

  test.each([
    { op: "lgamma" as const, f: exact.lgamma },
    { op: "digamma" as const, f: exact.digamma },
  ])("$op is within 1e-6 near its zeros at negative numbers", async ({ op, f }) => {
    const x = Array.from({ length: COUNT }, between(-10, 0));
    const y = await applyMap(gpu, [x], (b, [v]) => b.un(op, v!));
    x.forEach((value, i) => {
      const want = f(value);
      if (Number.isFinite(want))
        expect(Math.abs(y[i]! - want) / Math.max(1, Math.abs(want)), `${op}(${value})`).toBeLessThan(2e-6);
    });
  });

  const inf = Infinity;
  const SPECIAL: readonly (readonly [Primitive, readonly (readonly [number, number])[]])[] = [
    [
      "exp",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, 0],
        [0, 1],
        [-0, 1],
        [89, inf],
        [-104, 0],
      ],
    ],
    [
      "exp2",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, 0],
        [0, 1],
        [10, 1024],
        [128, inf],
      ],
    ],
    [
      "expm1",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, -1],
        [0, 0],
        [-0, -0],
        [89, inf],
        [-50, -1],
      ],
    ],
    [
      "log",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, NaN],
        [0, -inf],
        [-0, -inf],
        [1, 0],
        [-1, NaN],
      ],
    ],
    [
      "log2",
      [
        [NaN, NaN],
        [inf, inf],
        [-1, NaN],
        [0, -inf],
        [1, 0],
        [8, 3],
        [0.125, -3],
      ],
    ],
    [
      "log10",
      [
        [NaN, NaN],
        [inf, inf],
        [-1, NaN],
        [0, -inf],
        [1, 0],
        [1000, 3],
      ],
    ],
    [
      "log1p",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, NaN],
        [-1, -inf],
        [-2, NaN],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "sqrt",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, NaN],
        [-1, NaN],
        [0, 0],
        [-0, -0],
        [4, 2],
      ],
    ],
    [
      "rsqrt",
      [
        [NaN, NaN],
        [inf, 0],
        [-1, NaN],
        [0, inf],
        [-0, -inf],
        [4, 0.5],
      ],
    ],
    [
      "sin",
      [
        [NaN, NaN],
        [inf, NaN],
        [-inf, NaN],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "cos",
      [
        [NaN, NaN],
        [inf, NaN],
        [0, 1],
        [-0, 1],
      ],
    ],
    [
      "tan",
      [
        [NaN, NaN],
        [inf, NaN],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "asin",
      [
        [NaN, NaN],
        [1.5, NaN],
        [-inf, NaN],
        [0, 0],
        [-0, -0],
        [1, Math.PI / 2],
        [-1, -Math.PI / 2],
      ],
    ],
    [
      "acos",
      [
        [NaN, NaN],
        [1.5, NaN],
        [1, 0],
        [-1, Math.PI],
        [0, Math.PI / 2],
      ],
    ],
    [
      "atan",
      [
        [NaN, NaN],
        [inf, Math.PI / 2],
        [-inf, -Math.PI / 2],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "sinh",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, -inf],
        [0, 0],
        [-0, -0],
        [90, inf],
      ],
    ],
    [
      "cosh",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, inf],
        [0, 1],
        [90, inf],
      ],
    ],
    [
      "tanh",
      [
        [NaN, NaN],
        [inf, 1],
        [-inf, -1],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "asinh",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, -inf],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "acosh",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, NaN],
        [1, 0],
        [0.5, NaN],
      ],
    ],
    [
      "atanh",
      [
        [NaN, NaN],
        [1, inf],
        [-1, -inf],
        [2, NaN],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "erf",
      [
        [NaN, NaN],
        [inf, 1],
        [-inf, -1],
        [0, 0],
        [-0, -0],
      ],
    ],
    [
      "erfc",
      [
        [NaN, NaN],
        [inf, 0],
        [-inf, 2],
        [0, 1],
      ],
    ],
    [
      "erfinv",
      [
        [NaN, NaN],
        [1, inf],
        [-1, -inf],
        [1.5, NaN],
        [0, 0],
      ],
    ],
    [
      "lgamma",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, inf],
        [0, inf],
        [-1, inf],
        [-7, inf],
        [1, 0],
        [2, 0],
      ],
    ],
    [
      "digamma",
      [
        [NaN, NaN],
        [inf, inf],
        [-inf, NaN],
        [0, -inf],
        [-0, inf],
        [-1, NaN],
      ],
    ],
    [
      "floor",
      [
        [NaN, NaN],
        [inf, inf],
        [-0, -0],
        [0.5, 0],
        [-0.5, -1],
        [1e10, 1e10],
        [2.5, 2],
      ],
    ],
    [
      "ceil",
      [
        [NaN, NaN],
        [-inf, -inf],
        [-0.5, -0],
        [0.5, 1],
        [2.5, 3],
      ],
    ],
    [
      "trunc",
      [
        [NaN, NaN],
        [inf, inf],
        [-0.5, -0],
        [2.9, 2],
        [-2.9, -2],
      ],
    ],
    [
      "round",
      [
        [NaN, NaN],
        [inf, inf],
        [0.5, 0],
        [1.5, 2],
        [2.5, 2],
        [-0.5, -0],
        [-1.5, -2],
        [8388609, 8388609],
      ],
    ],
    [
      "sign",
      [
        [NaN, exact.sign(NaN)],
        [inf, 1],
        [-inf, -1],
        [0, 0],
        [-0, 0],
        [1e-30, 1],
      ],
    ],
    [
      "abs",
      [
        [NaN, NaN],
        [-inf, inf],
        [-0, 0],
        [-3, 3],
      ],
    ],
    [
      "neg",
      [
        [NaN, NaN],
        [-inf, inf],
        [0, -0],
        [-3, 3],
      ],
    ],
  ];
  test.each(SPECIAL)("special values of %s", async (op, pairs) => {
    const y = await applyMap(gpu, [pairs.map(([x]) => x)], (b, [v]) => b.un(op, v!));
    expect(y).toEqual(pairs.map(([, want]) => Math.fround(want)));
  });

  test("tests of special values", async () => {
    const x = [NaN, inf, -inf, 0, -0, 1];
    expect(await applyMap(gpu, [x], (b, [v]) => b.emit("isnan", "b", [v!]), "bool")).toEqual([1, 0, 0, 0, 0, 0]);
    expect(await applyMap(gpu, [x], (b, [v]) => b.emit("isinf", "b", [v!]), "bool")).toEqual([0, 1, 1, 0, 0, 0]);
    expect(await applyMap(gpu, [x], (b, [v]) => b.cast(v!, "b"), "bool")).toEqual([1, 1, 1, 0, 0, 1]);
  });
});

describe("functions of two numbers", () => {
  const values = [
    NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
    2,
    -2,
    3,
    -3,
    2.5,
    -2.5,
    4096.5,
    1e10,
    -1e10,
    16777215,
    16777216,
  ];
  const pairs = values.flatMap((x) => values.map((y) => [x, y] as const));
  const xs = pairs.map(([x]) => x);
  const ys = pairs.map(([, y]) => y);
  const comparable = (x: number): number => (Object.is(x, -0) ? 0 : x);

  test.each([
    ["lt", (x: number, y: number) => x < y],
    ["le", (x: number, y: number) => x <= y],
    ["gt", (x: number, y: number) => x > y],
    ["ge", (x: number, y: number) => x >= y],
    ["eq", (x: number, y: number) => x === y],
    ["ne", (x: number, y: number) => x !== y],
  ] as const)("%s", async (op, f) => {
    const got = await applyMap(gpu, [xs, ys], (b, [x, y]) => b.compare(op, x!, y!), "bool");
    expect(got).toEqual(pairs.map(([x, y]) => Number(f(x, y))));
  });

  test("max and min give NaN if either is NaN", async () => {
    const max = await applyMap(gpu, [xs, ys], (b, [x, y]) => b.bin("max", x!, y!));
    expect(max.map(comparable)).toEqual(pairs.map(([x, y]) => comparable(Math.max(x, y))));
    const min = await applyMap(gpu, [xs, ys], (b, [x, y]) => b.bin("min", x!, y!));
    expect(min.map(comparable)).toEqual(pairs.map(([x, y]) => comparable(Math.min(x, y))));
  });

  test("rem is the exact remainder", async () => {
    const x = [...xs, ...Array.from({ length: COUNT }, magnitude(1e-30, 1e30))];
    const y = [...ys, ...Array.from({ length: COUNT }, magnitude(1e-30, 1e30))];
    const got = await applyMap(gpu, [x, y], (b, [u, v]) => b.bin("rem", u!, v!));
    x.forEach((value, i) => expect(got[i], `${value} rem ${y[i]}`).toBe(Math.fround(value % y[i]!)));
  });

  test("pow has every special case", async () => {
    const got = await applyMap(gpu, [xs, ys], (b, [x, y]) => b.bin("pow", x!, y!));
    pairs.forEach(([x, y], i) => {
      // In JavaScript alone, a NaN or infinite exponent of one gives NaN.
      const want = x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y)) ? 1 : x ** y;
      if (Number.isFinite(Math.fround(want)) && want !== 0) expect(ulps(got[i]!, want), `${x} ** ${y}`).toBeLessThan(2);
      else expect(got[i], `${x} ** ${y}`).toBe(Math.fround(want));
    });
  });

  test("pow of small integers is exact", async () => {
    const x: number[] = [];
    const y: number[] = [];
    for (let i = -60; i <= 60; i++)
      for (let j = 0; j <= 12; j++) {
        if (Math.abs(i) ** j > 2 ** 24) continue;
        x.push(i);
        y.push(j);
      }
    const got = await applyMap(gpu, [x, y], (b, [u, v]) => b.bin("pow", u!, v!));
    expect(got).toEqual(x.map((value, i) => value ** y[i]!));
  });

  test.each([
    { name: "moderate", x: magnitude(1e-3, 1e3, 1), y: between(-12, 12) },
    { name: "extreme", x: magnitude(1e-37, 1e38, 1), y: between(-1, 1) },
    { name: "near one", x: between(0.9, 1.1), y: between(-500, 500) },
  ])("pow is within 2 ULP: $name", async ({ x: nextX, y: nextY }) => {
    const x = Array.from({ length: COUNT }, nextX);
    const y = Array.from({ length: COUNT }, nextY);
    const got = await applyMap(gpu, [x, y], (b, [u, v]) => b.bin("pow", u!, v!));
    const worst = Math.max(
      ...x.map((value, i) => {
        const want = value ** y[i]!;
        return want < 1.2e-38 || want > 3.4e38 ? 0 : ulps(got[i]!, want);
      }),
    );
    expect(worst).toBeLessThan(2);
  });

  test("atan2 is within 3 ULP, with signed zeros and infinities", async () => {
    const special = values.slice(0, 12);
    const x = [
      ...special.flatMap((a) => special.map(() => a)),
      ...Array.from({ length: COUNT }, magnitude(1e-30, LARGEST)),
    ];
    const y = [...special.flatMap(() => special), ...Array.from({ length: COUNT }, magnitude(1e-30, LARGEST))];
    const got = await applyMap(gpu, [x, y], (b, [u, v]) => b.bin("atan2", u!, v!));
    x.forEach((value, i) => {
      const want = Math.atan2(value, y[i]!);
      if (want === 0 || Number.isNaN(want)) expect(got[i], `atan2(${value}, ${y[i]})`).toBe(want);
      else if (Math.abs(want) > 1.2e-38) expect(ulps(got[i]!, want), `atan2(${value}, ${y[i]})`).toBeLessThan(3);
    });
  });
});

describe("integers", () => {
  const values = [0, 1, -1, 2, -2, 7, -7, 255, 256, 1000000007, -1000000007, 2147483647, -2147483648];
  const pairs = values.flatMap((x) => values.map((y) => [x, y] as const));
  const xs = pairs.map(([x]) => x);
  const ys = pairs.map(([, y]) => y);
  const apply = (op: Primitive): Promise<number[]> =>
    applyMap(gpu, [xs, ys], (b, [x, y]) => b.bin(op, x!, y!), "int32", ["int32", "int32"]);

  test.each([
    ["add", (x: number, y: number) => x + y],
    ["sub", (x: number, y: number) => x - y],
    ["mul", (x: number, y: number) => Math.imul(x, y)],
    ["min", (x: number, y: number) => Math.min(x, y)],
    ["max", (x: number, y: number) => Math.max(x, y)],
    ["idiv", (x: number, y: number) => (y === 0 ? 0 : Math.trunc(x / y))],
    ["rem", (x: number, y: number) => (y === 0 ? 0 : x % y)],
    ["band", (x: number, y: number) => x & y],
    ["bor", (x: number, y: number) => x | y],
    ["bxor", (x: number, y: number) => x ^ y],
  ] as const)("%s", async (op, f) => {
    expect(await apply(op)).toEqual(pairs.map(([x, y]) => f(x, y) | 0));
  });

  test("shifts", async () => {
    const counts = pairs.map((_, i) => i % 32);
    const shift = (op: "shl" | "shr"): Promise<number[]> =>
      applyMap(gpu, [xs, counts], (b, [x, n]) => b.bin(op, x!, n!), "int32", ["int32", "int32"]);
    expect(await shift("shl")).toEqual(xs.map((x, i) => x << counts[i]!));
    expect(await shift("shr")).toEqual(xs.map((x, i) => x >> counts[i]!));
  });

  test("bytes wrap", async () => {
    const got = await applyMap(gpu, [xs], (b, [x]) => b.emit("wrap8", "i", [x!]), "uint8", ["int32"]);
    expect(got).toEqual(xs.map((x) => x & 255));
  });

  test("floats become integers by truncation, NaN 0, out of range the nearest", async () => {
    const x = [NaN, Infinity, -Infinity, 0, -0, 1.9, -1.9, 3e9, -3e9, 2147483648, -2147483648, 16777216];
    const got = await applyMap(gpu, [x], (b, [v]) => b.cast(v!, "i"), "int32");
    expect(got).toEqual([
      0, 2147483647, -2147483648, 0, 0, 1, -1, 2147483647, -2147483648, 2147483647, -2147483648, 16777216,
    ]);
  });

  test("bools compute as such", async () => {
    const x = [0, 0, 1, 1];
    const y = [0, 1, 0, 1];
    const apply2 = (op: Primitive): Promise<number[]> =>
      applyMap(gpu, [x, y], (b, [u, v]) => b.emit(op, "b", [u!, v!]), "bool", ["bool", "bool"]);
    expect(await apply2("and")).toEqual([0, 0, 0, 1]);
    expect(await apply2("or")).toEqual([0, 1, 1, 1]);
    expect(await apply2("xor")).toEqual([0, 1, 1, 0]);
    expect(await apply2("lt")).toEqual([0, 1, 0, 0]);
    expect(await applyMap(gpu, [x], (b, [u]) => b.cast(b.not(u!), "f"), "float32", ["bool"])).toEqual([1, 1, 0, 0]);
  });
});

describe("Philox 4x32-10", () => {
  // The known answers that come with the Random123 library.
  const VECTORS = [{ counter: [0, 0, 0], key: [0, 0], words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] }];
  const block = (counter: readonly number[], key: readonly number[]): Promise<number[][]> =>
    Promise.all(
      [0, 1, 2, 3].map((word) =>
        applyMap(
          gpu,
          [...counter, ...key].map((v) => [v | 0]),
          (b, v) =>
            b.cast(
              b.emit(
                "philox",
                "u",
                v.map((x) => b.cast(x, "u")),
                word,
              ),
              "i",
            ),
          "int32",
          ["int32", "int32", "int32", "int32", "int32"],
        ),
      ),
    );

  test.each(VECTORS)("known answer of counter $counter", async ({ counter, key, words }) => {
    expect((await block(counter, key)).flat().map((w) => w >>> 0)).toEqual(words);
  });

  test("agrees with the CPU's", async () => {
    const next = numbers(3);
    for (let i = 0; i < 20; i++) {
      const [c0, c1, c2, k0, k1] = Array.from({ length: 5 }, () => Math.floor(next() * 2 ** 32)) as [
        number,
        number,
        number,
        number,
        number,
      ];
      const want = [0, 1, 2, 3].map((lane) => exact.philoxWord(c0, c1, c2, k0, k1, lane) >>> 0);
      expect((await block([c0, c1, c2], [k0, k1])).flat().map((w) => w >>> 0)).toEqual(want);
    }
  });
});
