/** Reductions, running values, and functions of rows. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, tensorOf, type Given } from "../given.ts";
import { alongLines, cast, count, elementwise, isFloat, reduce, refuse, wrap, wrapAll, type Model } from "../model.ts";
import { dimension, dimensions, form, perhaps, type Generator, type Table } from "../sample.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];

const sumType = (t: DType): DType => (isFloat(t) ? t : "int32");
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const product =
  (type: DType) =>
  (values: readonly number[]): number =>
    values.reduce(isFloat(type) ? (a, b) => a * b : Math.imul, 1);
const largest = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), -Infinity);
const smallest = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b), Infinity);

/** First position of the extreme value; NaN counts as extreme. */
function firstOf(extreme: (values: readonly number[]) => number) {
  return (values: readonly number[]): number => {
    const found = extreme(values);
    return values.findIndex((v) => Object.is(v, found) || v === found);
  };
}

function needsElements(m: Model, dims: readonly number[]): void {
  if (count(dims.map((d) => m.shape[d]!)) === 0) refuse("nothing to choose from");
}

function over(
  f: (x: Model, dims: number[], keepdim: boolean, dtype: DType | null | undefined) => Model,
  options: { dtypes?: readonly DType[]; withDtype?: boolean; loose?: number; plain?: boolean; required?: boolean } = {},
): Generator {
  return (dice) => {
    const x = tensorOf(dice, {
      dtype: dtype(dice, options.dtypes),
      ...(options.plain === true && { values: "plain" as const }),
    });
    const dim = options.required
      ? (dimensions(dice, x.shape.length) ?? [])
      : perhaps(dice, 0.8, () => dimensions(dice, x.shape.length));
    const keepdim = dim === undefined ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
    const type = options.withDtype && dice.chance(0.15) ? dice.pick(["float32", "int32"] as const) : undefined;
    return form(
      dice,
      [x],
      ["dim", "keepdim"],
      { dim, keepdim, dtype: type },
      () => f(x, wrapAll(dim, x.shape.length), keepdim ?? false, type),
      { loose: options.loose ?? 4 },
    );
  };
}

/** Over all elements, or one dimension. */
function overOne(f: (x: Model, dims: number[], keepdim: boolean) => Model): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    const dim = perhaps(dice, 0.8, () => (dice.chance(0.1) ? null : dimension(dice, x.shape.length)));
    const keepdim = dim == null ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
    return form(
      dice,
      [x],
      ["dim", "keepdim"],
      { dim, keepdim },
      () => f(x, wrapAll(dim, x.shape.length), keepdim ?? false),
      { loose: 20 },
    );
  };
}

function extreme(f: (values: readonly number[]) => number): Generator {
  return over((x, dims, keepdim) => {
    needsElements(x, dims);
    return reduce(x, dims, keepdim, x.dtype, f);
  });
}

function position(f: (values: readonly number[]) => number): Generator {
  return overOne((x, dims, keepdim) => {
    needsElements(x, dims);
    return reduce(x, dims, keepdim, "int32", firstOf(f));
  });
}

/** `max` and `min`: of all, or values and indices along a dimension. */
function valuesAndIndices(f: (values: readonly number[]) => number): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    if (dice.chance(0.2)) {
      return {
        args: [x],
        expect: () => {
          needsElements(
            x,
            x.shape.map((_, d) => d),
          );
          return reduce(
            x,
            x.shape.map((_, d) => d),
            false,
            x.dtype,
            f,
          );
        },
      };
    }
    const dim = dimension(dice, x.shape.length);
    const keepdim = perhaps(dice, 0.5, () => dice.chance(0.5));
    return form(dice, [x], ["dim", "keepdim"], { dim, keepdim }, () => {
      const dims = wrapAll(dim, x.shape.length);
      needsElements(x, dims);
      return [reduce(x, dims, keepdim ?? false, x.dtype, f), reduce(x, dims, keepdim ?? false, "int32", firstOf(f))];
    });
  };
}

interface Spread {
  readonly x: Given;
  readonly dim: number | readonly number[] | null | undefined;
  readonly correction: number | undefined;
  readonly unbiased: boolean | undefined;
  readonly keepdim: boolean | undefined;
}

function spreadSample(dice: Dice): { spread: Spread; values: Record<string, unknown> } {
  const x = tensorOf(dice, { dtype: dtype(dice, [...FLOATS, "int32"]), values: "plain" });
  const dim = perhaps(dice, 0.8, () => dimensions(dice, x.shape.length));
  const correction = perhaps(dice, 0.3, () => dice.int(0, 2));
  const unbiased = correction === undefined ? perhaps(dice, 0.3, () => dice.chance(0.5)) : undefined;
  const keepdim = dim === undefined ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
  return { spread: { x, dim, correction, unbiased, keepdim }, values: { dim, unbiased, keepdim, correction } };
}

const mean = (values: readonly number[]): number => total(values) / values.length;

function variance({ x, dim, correction, unbiased, keepdim }: Spread, root: boolean): Model {
  if (!isFloat(x.dtype)) refuse("integers");
  const freedom = correction ?? (unbiased === false ? 0 : 1);
  return reduce(x, wrapAll(dim, x.shape.length), keepdim ?? false, x.dtype, (values) => {
    const m = mean(values);
    const v = total(values.map((u) => (u - m) ** 2)) / Math.max(values.length - freedom, 0);
    return root ? Math.sqrt(v) : v;
  });
}

function spread(root: boolean, withMean: boolean): Generator {
  return (dice) => {
    const { spread: s, values } = spreadSample(dice);
    const { x, dim, keepdim } = s;
    return form(
      dice,
      [x],
      ["dim", "unbiased", "keepdim"],
      values,
      () => {
        const v = variance(s, root);
        return withMean ? [v, reduce(x, wrapAll(dim, x.shape.length), keepdim ?? false, x.dtype, mean)] : v;
      },
      { loose: 20 },
    );
  };
}

function running(f: (type: DType) => (a: number, b: number) => number): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    const dim = dimension(dice, x.shape.length);
    const type = dice.chance(0.15) ? dice.pick(["float32", "int32"] as const) : undefined;
    return form(
      dice,
      [x],
      ["dim"],
      { dim, dtype: type },
      () => {
        const to = type ?? sumType(x.dtype);
        const combine = f(to);
        return alongLines(cast(x, to), wrap(dim, x.shape.length), to, (values) => {
          const result: number[] = [];
          for (const v of values) result.push(result.length === 0 ? v : combine(result[result.length - 1]!, v));
          return result;
        });
      },
      { loose: 20 },
    );
  };
}

function rows(f: (values: number[]) => number[]): Generator {
  return (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, [...FLOATS, "int32"]) });
    const dim = dimension(dice, x.shape.length);
    const type = perhaps(dice, 0.15, () => "float32" as const);
    return form(
      dice,
      [x],
      ["dim"],
      { dim, dtype: type },
      () => {
        const to = type ?? x.dtype;
        if (!isFloat(to)) refuse("integers");
        return alongLines(cast(x, to), wrap(dim, x.shape.length), to, f);
      },
      { loose: 4 },
    );
  };
}

function triangle(lower: boolean): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    const diagonal = perhaps(dice, 0.6, () => dice.int(-3, 3));
    return form(dice, [x], ["diagonal"], { diagonal }, () => {
      const rank = x.shape.length;
      if (rank < 2) refuse("no matrix");
      const [n, m] = [x.shape[rank - 2]!, x.shape[rank - 1]!];
      const data = x.data.map((v, i) => {
        const column = i % m;
        const row = Math.floor(i / m) % n;
        return (lower ? column <= row + (diagonal ?? 0) : column >= row + (diagonal ?? 0)) ? v : 0;
      });
      return { shape: x.shape, dtype: x.dtype, data };
    });
  };
}

/** Reductions and running values. */
export const REDUCTIONS: Table = {
  sum: over(
    (x, dims, keepdim, type) =>
      reduce(cast(x, type ?? sumType(x.dtype)), dims, keepdim, type ?? sumType(x.dtype), total),
    { withDtype: true },
  ),
  nansum: over(
    (x, dims, keepdim, type) => {
      const clean = isFloat(x.dtype) ? elementwise([x], x.dtype, x.dtype, (v) => (Number.isNaN(v) ? 0 : v)) : x;
      return reduce(cast(clean, type ?? sumType(x.dtype)), dims, keepdim, type ?? sumType(x.dtype), total);
    },
    { withDtype: true },
  ),
  mean: over((x, dims, keepdim) => {
    if (!isFloat(x.dtype)) refuse("integers");
    return reduce(x, dims, keepdim, x.dtype, mean);
  }),
  prod: overOne((x, dims, keepdim) =>
    reduce(cast(x, sumType(x.dtype)), dims, keepdim, sumType(x.dtype), product(x.dtype)),
  ),
  amax: extreme(largest),
  amin: extreme(smallest),
  max: valuesAndIndices(largest),
  min: valuesAndIndices(smallest),
  argmax: position(largest),
  argmin: position(smallest),
  any: over((x, dims, keepdim) => reduce(x, dims, keepdim, "bool", (values) => Number(values.some((v) => v !== 0)))),
  all: over((x, dims, keepdim) => reduce(x, dims, keepdim, "bool", (values) => Number(values.every((v) => v !== 0)))),
  countNonzero: (dice) => {
    const x = tensorOf(dice);
    const dim = perhaps(dice, 0.8, () => dimensions(dice, x.shape.length));
    return form(dice, [x], ["dim"], { dim }, () =>
      reduce(x, wrapAll(dim, x.shape.length), false, "int32", (values) => values.filter((v) => v !== 0).length),
    );
  },
  var: spread(false, false),
  std: spread(true, false),
  varMean: spread(false, true),
  stdMean: spread(true, true),
  logsumexp: over(
    (x, dims, keepdim) => {
      const to = isFloat(x.dtype) ? x.dtype : "float32";
      return reduce(cast(x, to), dims, keepdim, to, (values) => {
        const top = largest(values);
        const base = Math.abs(top) === Infinity ? 0 : top;
        return Math.log(total(values.map((v) => Math.exp(v - base)))) + base;
      });
    },
    { required: true },
  ),
  norm: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, [...FLOATS, "int32"]), values: "plain" });
    const p = perhaps(dice, 0.7, () => dice.pick([2, 1, 0, 3, 1.5, 0.5, Infinity, -Infinity, "fro", -1]));
    const dim = perhaps(dice, 0.7, () => dimensions(dice, x.shape.length));
    const keepdim = dim === undefined ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
    return form(
      dice,
      [x],
      ["p", "dim", "keepdim"],
      { p, dim, keepdim },
      () => {
        if (!isFloat(x.dtype)) refuse("integers");
        const dims = wrapAll(dim, x.shape.length);
        const power = p === undefined || p === "fro" ? 2 : (p as number);
        if (power === -Infinity || power === Infinity) {
          if (power === -Infinity) needsElements(x, dims);
          return reduce(x, dims, keepdim ?? false, x.dtype, (values) =>
            values
              .map(Math.abs)
              .reduce((a, b) => (power > 0 ? Math.max(a, b) : Math.min(a, b)), power > 0 ? 0 : Infinity),
          );
        }
        if (power === 0)
          return reduce(x, dims, keepdim ?? false, x.dtype, (values) => values.filter((v) => v !== 0).length);
        return reduce(
          x,
          dims,
          keepdim ?? false,
          x.dtype,
          (values) => total(values.map((v) => Math.abs(v) ** power)) ** (1 / power),
        );
      },
      { loose: 20 },
    );
  },
  cumsum: running((type) => (a, b) => (isFloat(type) ? a + b : (a + b) | 0)),
  cumprod: running((type) => (a, b) => (isFloat(type) ? a * b : Math.imul(a, b))),
  softmax: rows((values) => {
    const top = largest(values);
    const e = values.map((v) => Math.exp(v - top));
    return e.map((v) => v / total(e));
  }),
  logSoftmax: rows((values) => {
    const top = largest(values);
    const sum = Math.log(total(values.map((v) => Math.exp(v - top))));
    return values.map((v) => v - top - sum);
  }),
  tril: triangle(true),
  triu: triangle(false),
};
