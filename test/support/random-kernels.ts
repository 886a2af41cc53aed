/** Random fused kernels, to compare devices by. */

import fc from "fast-check";
import { expect } from "vitest";
import type { Builder, Value } from "../../src/graph/builder.ts";
import type { ReduceKind } from "../../src/graph/kernel.ts";
import type { KernelSpec } from "./kernels.ts";

/** A kernel, the elements of each input that it reads, and of each output. */
export interface RandomKernel {
  readonly spec: KernelSpec;
  readonly lengths: readonly number[];
  readonly counts: readonly number[];
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Random kernels over up to three dimensions, some of them reduced, with permuted, flipped and broadcast operands. */
export const randomKernels = (): fc.Arbitrary<RandomKernel> =>
  fc
    .record({
      sizes: fc.array(fc.integer({ min: 2, max: 9 }), { minLength: 1, maxLength: 3 }),
      reduced: fc.nat({ max: 3 }),
      operands: fc.array(
        fc.record({
          order: fc.nat(),
          flip: fc.nat({ max: 7 }),
          broadcast: fc.nat({ max: 7 }),
          offset: fc.nat({ max: 3 }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      ops: fc.array(fc.record({ op: fc.nat({ max: 6 }), a: fc.nat(), b: fc.nat() }), { minLength: 1, maxLength: 6 }),
      kind: fc.constantFrom<ReduceKind>("sum", "max", "min", "argmax"),
    })
    .map(({ sizes, reduced, operands, ops, kind }) => {
      const innerRank = Math.min(reduced, sizes.length);
      const outer = sizes.slice(0, sizes.length - innerRank);
      const inner = sizes.slice(sizes.length - innerRank);
      const lengths: number[] = [];
      const reads = operands.map(({ order, flip, broadcast, offset: start }) => {
        const dims = range(sizes.length);
        for (let i = 0, k = order; i < dims.length; i++) dims.push(...dims.splice((k = k >> 1) % dims.length, 1));
        const strides = sizes.map(() => 0);
        let stride = 1;
        let offset = start;
        for (const d of dims) {
          if ((broadcast >> d) & 1) continue;
          const flipped = ((flip >> d) & 1) === 1;
          strides[d] = flipped ? -stride : stride;
          if (flipped) offset += stride * (sizes[d]! - 1);
          stride *= sizes[d]!;
        }
        lengths.push(start + stride);
        return { dtype: "float32" as const, strides, offset };
      });
      const rowMajor = (shape: readonly number[]): number[] => {
        let stride = 1;
        return shape
          .map((_, d) => shape[shape.length - 1 - d]!)
          .map((n) => (stride *= n) / n)
          .toReversed();
      };
      const body = (b: Builder, values: readonly Value[]): Value => {
        const list = [...values];
        for (const { op, a, b: second } of ops) {
          const [x, y] = [list[a % list.length]!, list[second % list.length]!];
          const make = [
            () => b.add(x, y),
            () => b.mul(x, y),
            () => b.sub(x, y),
            () => b.bin("max", x, y),
            () => b.select(b.compare("lt", x, y), x, b.neg(y)),
            () => b.un("abs", x),
            () => b.un("floor", x),
          ];
          list.push(make[op]!());
        }
        return list[list.length - 1]!;
      };
      const spec: KernelSpec = {
        outer,
        inner,
        reads,
        writes: [
          { dtype: kind === "argmax" ? "int32" : "float32", strides: [...rowMajor(outer), ...inner.map(() => 0)] },
          { dtype: "float32", strides: rowMajor(sizes) },
        ],
        body: (b, values) => {
          const full = body(b, values);
          const row = b.emit("reduce", kind === "argmax" ? "i" : "f", [full], kind);
          return [row, b.add(full, b.cast(row, "f"))];
        },
      };
      const count = (shape: readonly number[]): number => shape.reduce((n, s) => n * s, 1);
      return { spec, lengths, counts: [count(outer), count(sizes)] };
    });

/** Two devices' results of a kernel over small integers. */
export function expectAgreement(got: readonly number[][], want: readonly number[][]): void {
  const plain = (list: readonly number[]): number[] => list.map((v) => v + 0); // -0 is 0
  got.forEach((list, i) => {
    const bound = want[i]!.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    // Beyond 2^24 integers in floats are rounded, by the order of additions.
    if (bound < 2 ** 24) expect(plain(list)).toEqual(plain(want[i]!));
    else list.forEach((v, j) => expect(Math.abs(v - want[i]![j]!)).toBeLessThanOrEqual(1e-5 * bound));
  });
}
