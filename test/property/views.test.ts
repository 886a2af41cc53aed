/** Views, indices and broadcasting of random tensors, against strided arrays in plain JavaScript. */

import fc from "fast-check";
import { describe, test } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { onDevice } from "../support/device.ts";
import * as model from "./model.ts";
import {
  apply,
  arrayOf,
  expectError,
  expectSame,
  index,
  shapeOf,
  stepOf,
  STEPS,
  tensorOf,
  type Pair,
} from "./steps.ts";

const BINARY: Record<string, [(a: Tensor, b: Tensor) => Tensor, (x: number, y: number) => number]> = {
  add: [(a, b) => a.add(b), (x, y) => x + y],
  sub: [(a, b) => a.sub(b), (x, y) => x - y],
  mul: [(a, b) => a.mul(b), (x, y) => x * y],
  maximum: [(a, b) => a.maximum(b), (x, y) => Math.max(x, y)],
  lt: [(a, b) => a.lt(b), (x, y) => Number(x < y)],
  where: [(a, b) => tg.where(a.gt(0), a, b), (x, y) => (x > 0 ? x : y)],
};

/** Two shapes that broadcast, made from what they broadcast to. */
const fitting = fc
  .tuple(shapeOf(0, 4, 4), fc.array(fc.nat(3), { minLength: 8, maxLength: 8 }), fc.nat(4), fc.nat(4))
  .map(([shape, picks, a, b]): [number[], number[]] => [
    shape.map((n, d) => (picks[d] === 0 ? 1 : n)).slice(Math.min(a, shape.length)),
    shape.map((n, d) => (picks[d + 4] === 0 ? 1 : n)).slice(Math.min(b, shape.length)),
  ]);
const any = fc.tuple(shapeOf(0, 3, 4), shapeOf(0, 3, 4));
const operands = fc.oneof(fitting, any).chain(([a, b]) => fc.tuple(arrayOf(fc.constant(a)), arrayOf(fc.constant(b))));

describe.for([
  ["cpu", 1200],
  ["webgpu", 15],
] as const)("on %s", ([device, numRuns]) => {
  test("binary operations broadcast, or refuse to", () =>
    onDevice(device, () =>
      fc.assert(
        fc.asyncProperty(operands, fc.constantFrom(...Object.keys(BINARY)), async ([a, b], name) => {
          const [ours, theirs] = BINARY[name]!;
          const shape = model.broadcast(a.shape, b.shape);
          if (shape === null) return expectError(() => ours(tensorOf(a), tensorOf(b)), tg.ShapeError);
          const [x, y] = [a, b].map((m) => model.elements(model.expand(m, shape))) as [number[], number[]];
          const expected = x.map((value, i) => theirs(value, y[i]!));
          await expectSame(ours(tensorOf(a), tensorOf(b)), shape, expected);
        }),
        { numRuns },
      ),
    ));

  test("chains of views", () =>
    onDevice(device, () =>
      fc.assert(
        fc.asyncProperty(
          arrayOf(shapeOf(0, 4, 4)),
          fc.array(stepOf(STEPS), { minLength: 1, maxLength: 7 }),
          fc.boolean(),
          async (m, steps, computed) => {
            const start = computed ? tensorOf(m).add(1).sub(1) : tensorOf(m);
            const { tensor, model: end } = steps.reduce<Pair>(apply, { tensor: start, model: m });
            await expectSame(tensor, end.shape, model.elements(end));
            await expectSame(
              tensor.mul(2).add(tensor),
              end.shape,
              model.elements(end).map((x) => 3 * x),
            );
          },
        ),
        { numRuns },
      ),
    ));

  test("integers, ranges and index tensors between the brackets", () =>
    onDevice(device, () =>
      fc.assert(
        fc.asyncProperty(
          arrayOf(shapeOf(1, 4, 4)),
          stepOf(["permute", "flip", "clone"]),
          fc.array(fc.nat(59), { minLength: 12, maxLength: 12 }),
          arrayOf(fc.constantFrom([2, 3], [3], [1, 3], [2, 1], [0, 3])),
          arrayOf(fc.constantFrom([2, 3], [3], [], [1])),
          async (m, before, picks, first, second) => {
            fc.pre(model.broadcast(first.shape, second.shape) !== null);
            const start = apply({ tensor: tensorOf(m), model: m }, before);
            const { tensor, model: end } = index(start, picks, [first, second]);
            await expectSame(tensor, end.shape, model.elements(end));
          },
        ),
        { numRuns },
      ),
    ));
});
