/** Reductions of random tensors over random dimensions, empty ones too, against loops in plain JavaScript. */

import fc from "fast-check";
import { describe, test } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { onDevice } from "../support/device.ts";
import * as model from "./model.ts";
import type { Model } from "./model.ts";
import { apply, arrayOf, expectError, expectSame, shapeOf, stepOf, tensorOf, type Pair } from "./steps.ts";

interface Reduction {
  run(x: Tensor, dims: number[], keepdim: boolean): Tensor;
  of(values: readonly number[]): number;
  /** Whether nothing can be reduced. */
  readonly needsElements: boolean;
  /** Whether it takes one dimension. */
  readonly single: boolean;
}

const several = { needsElements: false, single: false };
const one = { needsElements: false, single: true };
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const first = (values: readonly number[], best: number): number => values.indexOf(best);

const REDUCTIONS: Record<string, Reduction> = {
  sum: { ...several, run: (x, dim, keepdim) => x.sum(dim, keepdim), of: total },
  mean: {
    ...several,
    run: (x, dim, keepdim) => x.mean(dim, keepdim),
    of: (v) => Math.fround(total(v) / v.length),
  },
  amax: { ...several, needsElements: true, run: (x, dim, keepdim) => x.amax(dim, keepdim), of: (v) => Math.max(...v) },
  amin: { ...several, needsElements: true, run: (x, dim, keepdim) => x.amin(dim, keepdim), of: (v) => Math.min(...v) },
  prod: { ...one, run: (x, [dim], keepdim) => x.prod(dim, keepdim), of: (v) => v.reduce((a, b) => a * b, 1) },
  all: { ...one, run: (x, [dim], keepdim) => x.all(dim, keepdim), of: (v) => Number(v.every((x) => x !== 0)) },
  any: { ...one, run: (x, [dim], keepdim) => x.any(dim, keepdim), of: (v) => Number(v.some((x) => x !== 0)) },
  argmax: {
    ...one,
    needsElements: true,
    run: (x, [dim], keepdim) => x.argmax(dim, keepdim),
    of: (v) => first(v, Math.max(...v)),
  },
  argmin: {
    ...one,
    needsElements: true,
    run: (x, [dim], keepdim) => x.argmin(dim, keepdim),
    of: (v) => first(v, Math.min(...v)),
  },
};

/** Shape and elements of a reduction, one group of elements after the other. */
function reduced(m: Model, dims: readonly number[], keepdim: boolean, of: Reduction["of"]): [number[], number[]] {
  const kept = m.shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const values = model.coordinates(kept.map((d) => m.shape[d]!)).map((at) => {
    const group = kept.reduceRight((rest, d, i) => model.select(rest, d, at[i]!), m);
    return of(model.elements(group));
  });
  const shape = m.shape.flatMap((size, d) => (kept.includes(d) ? [size] : keepdim ? [1] : []));
  return [shape, values];
}

describe.for([
  ["cpu", 1200],
  ["webgpu", 15],
] as const)("on %s", ([device, numRuns]) => {
  test("reductions over random dimensions", () =>
    onDevice(device, () =>
      fc.assert(
        fc.asyncProperty(
          arrayOf(shapeOf(0, 4, 4)),
          fc.array(stepOf(["permute", "slice", "expand", "flip"]), { maxLength: 2 }),
          fc.constantFrom(...Object.keys(REDUCTIONS)),
          fc.array(fc.nat(11), { minLength: 5, maxLength: 5 }),
          fc.boolean(),
          async (start, steps, name, picks, keepdim) => {
            const { tensor, model: m } = steps.reduce<Pair>(apply, { tensor: tensorOf(start), model: start });
            const { run, of, needsElements, single } = REDUCTIONS[name]!;
            const rank = m.shape.length;
            fc.pre(rank > 0);
            const chosen = m.shape.map((_, d) => d).filter((d) => picks[d]! % 2 === 0);
            const dims = single || chosen.length === 0 ? [picks[4]! % rank] : chosen;
            const named = dims.map((d) => (picks[d]! % 3 === 0 ? d - rank : d));
            const reduce = (): Tensor => run(tensor, named, keepdim);
            if (needsElements && dims.some((d) => m.shape[d] === 0)) return expectError(reduce, tg.TapegradError);
            const [shape, values] = reduced(m, dims, keepdim, of);
            await expectSame(reduce(), shape, values.map(Math.fround));
          },
        ),
        { numRuns },
      ),
    ));

  test("reductions of whole tensors", () =>
    onDevice(device, () =>
      fc.assert(
        fc.asyncProperty(arrayOf(shapeOf(0, 4, 4)), fc.constantFrom(...Object.keys(REDUCTIONS)), async (m, name) => {
          const { of, needsElements } = REDUCTIONS[name]!;
          const x = tensorOf(m);
          const whole: Record<string, () => Tensor> = {
            sum: () => x.sum(),
            mean: () => x.mean(),
            amax: () => x.max(),
            amin: () => x.min(),
            prod: () => x.prod(),
            all: () => x.all(),
            any: () => x.any(),
            argmax: () => x.argmax(),
            argmin: () => x.argmin(),
          };
          const values = model.elements(m);
          if (needsElements && values.length === 0) return expectError(whole[name]!, tg.TapegradError);
          // Products of many factors are rounded on the way.
          fc.pre(name !== "prod" || Math.abs(of(values)) < 2 ** 24);
          await expectSame(whole[name]!(), [], [Math.fround(of(values))]);
        }),
        { numRuns },
      ),
    ));
});
