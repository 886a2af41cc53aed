/** Float32 functions of the WebAssembly code: stated error bounds over all magnitudes, special values. */

import { describe, expect, test } from "vitest";
import { CpuBackend } from "../../src/backend/cpu/backend.ts";
import * as exact from "../../src/backend/cpu/math.ts";
import type { Primitive } from "../../src/graph/kernel.ts";
import { applyMap } from "../support/kernels.ts";
import { numbers, ulps } from "../support/webgpu.ts";

const cpu = new CpuBackend();
const COUNT = 100_000;
const random = numbers(11);
const between = (a: number, b: number) => (): number => Math.fround(a + (b - a) * random());
const magnitude =
  (a: number, b: number, sign = 0) =>
  (): number =>
    Math.fround((sign === 0 ? (random() < 0.5 ? -1 : 1) : sign) * Math.exp(Math.log(a) + Math.log(b / a) * random()));
const LARGEST = 3.4e38;

interface Accuracy {
  readonly op: Primitive;
  readonly exact: (x: number) => number;
  readonly bound: number;
  readonly inputs: readonly (() => number)[];
}

const circular = [magnitude(1e-40, 10), between(-1e4, 1e4), magnitude(1e4, LARGEST)];
const positive = [magnitude(1e-45, LARGEST, 1), between(0.3, 3), between(0.999, 1.001)];

const ACCURACY: readonly Accuracy[] = [
  { op: "exp", exact: Math.exp, bound: 1.1, inputs: [magnitude(1e-40, 104), between(-104, 89), between(-1, 1)] },
  { op: "exp2", exact: (x) => 2 ** x, bound: 1.1, inputs: [between(-150, 129), magnitude(1e-40, 1)] },
  { op: "expm1", exact: Math.expm1, bound: 2, inputs: [magnitude(1e-40, 89), between(-2, 2)] },
  { op: "log", exact: Math.log, bound: 1, inputs: positive },
  { op: "log2", exact: Math.log2, bound: 0.51, inputs: positive },
  { op: "log10", exact: Math.log10, bound: 0.51, inputs: positive },
  { op: "log1p", exact: Math.log1p, bound: 0.51, inputs: [magnitude(1e-40, LARGEST, 1), between(-1, 3)] },
  { op: "sqrt", exact: Math.sqrt, bound: 0.501, inputs: positive },
  { op: "rsqrt", exact: (x) => 1 / Math.sqrt(x), bound: 1.5, inputs: positive },
  { op: "sin", exact: Math.sin, bound: 1.6, inputs: circular },
  { op: "cos", exact: Math.cos, bound: 1.6, inputs: circular },
  { op: "tanh", exact: Math.tanh, bound: 2.5, inputs: [magnitude(1e-40, 20), between(-3, 3)] },
  { op: "erf", exact: exact.erf, bound: 1.5, inputs: [magnitude(1e-37, 5), between(-4, 4)] },
];

describe("functions of one number", () => {
  test.each(ACCURACY)("$op is within $bound ULP", async ({ op, exact: f, bound, inputs }) => {
    const x = inputs.flatMap((next) => Array.from({ length: COUNT }, next));
    const y = await applyMap(cpu, [x], (b, [v]) => b.un(op, v!));
    let worst = 0;
    let at = NaN;
    x.forEach((value, i) => {
      const error = ulps(y[i]!, f(value));
      if (!(error <= worst)) [worst, at] = [error, value];
    });
    expect(worst, `${op}(${at})`).toBeLessThan(bound);
  });

  test("pow is within 0.51 ULP", async () => {
    const x = Array.from({ length: COUNT }, magnitude(1e-38, LARGEST, 1));
    const y = Array.from({ length: COUNT }, (_, i) =>
      Math.fround((random() * 2 - 1) * Math.min(20, 90 / Math.abs(Math.log(x[i]!)))),
    );
    const got = await applyMap(cpu, [x, y], (b, [v, w]) => b.bin("pow", v!, w!));
    let worst = 0;
    x.forEach((v, i) => (worst = Math.max(worst, ulps(got[i]!, v ** y[i]!))));
    expect(worst).toBeLessThan(0.51);
  });
});

describe("special values", () => {
  const specials = [0, -0, 1, -1, 0.5, -0.5, 2, 3, -3, 1e-45, -1e-45, 1e-40, 3e38, -3e38, Infinity, -Infinity, NaN];
  const ops: readonly Primitive[] = [
    ...(["neg", "abs", "sign", "floor", "ceil", "trunc", "round", "sqrt", "rsqrt"] as const),
    ...([
      "exp",
      "exp2",
      "expm1",
      "log",
      "log2",
      "log10",
      "log1p",
      "sin",
      "cos",
      "tan",
      "asin",
      "acos",
      "atan",
    ] as const),
    ...(["sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "lgamma", "digamma"] as const),
  ];
  const plain = new CpuBackend({ wasm: false });

  /** Equal to the sign of zero, or within two units in the last place. */
  function expectLike(got: readonly number[], want: readonly number[], of: (i: number) => string): void {
    got.forEach((value, i) => {
      const w = want[i]!;
      if (Object.is(value, w)) return;
      if (w === 0 || !Number.isFinite(w) || !(ulps(value, w) < 3)) expect.fail(`${of(i)} is ${value} instead of ${w}`);
    });
  }

  test.each(ops)("%s", async (op) => {
    for (const out of ["float32", "float64"] as const) {
      const apply = (backend: CpuBackend): Promise<number[]> =>
        applyMap(backend, [specials], (b, [v]) => b.un(op, v!), out, [out]);
      expectLike(await apply(cpu), await apply(plain), (i) => `${op}(${specials[i]}) in ${out}`);
    }
  });

  test.each<Primitive>(["add", "sub", "mul", "div", "min", "max", "pow", "atan2", "rem"])("%s", async (op) => {
    const x = specials.flatMap((a) => specials.map(() => a));
    const y = specials.flatMap(() => specials);
    const apply = (backend: CpuBackend): Promise<number[]> =>
      applyMap(backend, [x, y], (b, [v, w]) => b.bin(op, v!, w!));
    const [got, want] = [await apply(cpu), await apply(plain)];
    // Which zero the larger or smaller of two zeros is, is left open.
    const open = (v: number): number => (op === "min" || op === "max" ? v + 0 : v);
    expectLike(got.map(open), want.map(open), (i) => `${op}(${x[i]}, ${y[i]})`);
  });

  test("float16 round trips all bits, and rounds ties to even", async () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const source = cpu.allocate(131072);
    cpu.upload(source, "float16", bits);
    const { fusedKernel, callOf } = await import("../support/kernels.ts");
    const { structure, data } = fusedKernel({
      outer: [65536],
      reads: [{ dtype: "float16", strides: [1] }],
      writes: [{ dtype: "float16", strides: [1] }],
      body: (_, [x]) => [x!],
    });
    const out = cpu.allocate(131072);
    cpu.run([callOf(cpu, structure, data, [source, out])]);
    const { arrays } = await cpu.read([{ buffer: out, dtype: "float16", offset: 0, count: 65536 }]);
    bits.forEach((b, i) => {
      const isNaN = (b & 0x7c00) === 0x7c00 && (b & 1023) !== 0;
      if (isNaN) expect(arrays[0]![i]! & 0x7fff).toBeGreaterThan(0x7c00);
      else if (arrays[0]![i] !== b) expect.fail(`${b.toString(16)} became ${arrays[0]![i]!.toString(16)}`);
    });
    const x = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519.996, 65520, 2 ** -25, 3 * 2 ** -26, 1e-8];
    const y = await applyMap(cpu, [x], (_, [v]) => v!, "float16");
    expect(y).toEqual([1, 1 + 2 ** -9, 65504, Infinity, 0, 2 ** -24, 0]);
  });

  test("integers wrap, shift, divide towards zero, and by zero give 0", async () => {
    const x = [7, -7, 2147483647, -2147483648, -2147483648, 5, 0, 123456789];
    const y = [2, 2, -1, -1, 0, 0, 3, 33];
    for (const op of ["add", "sub", "mul", "min", "max", "idiv", "rem", "band", "bor", "bxor", "shl", "shr"] as const) {
      const apply = (backend: CpuBackend): Promise<number[]> =>
        applyMap(backend, [x, y], (b, [v, w]) => b.bin(op, v!, w!), "int32", ["int32", "int32"]);
      expect(await apply(cpu), op).toEqual((await apply(plain)).map((v) => v + 0));
    }
  });
});
