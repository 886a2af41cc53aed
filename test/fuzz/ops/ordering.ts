/** Order: sorting and what is read off it, searching, counting, and what depends on values. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, exactly, partner, shape, tensorOf, type Given } from "../given.ts";
import {
  alongLines,
  broadcast,
  cast,
  convert,
  coordinates,
  elementwise,
  get,
  isFloat,
  isModel,
  make,
  refuse,
  reshaped,
  resultType,
  selected,
  spread,
  wrap,
  type Model,
} from "../model.ts";
import { dimension, form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";

/** Ascending, NaN last. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a - b || 0;
}

function orderOf(values: readonly number[], descending: boolean): number[] {
  const places = values.map((_, i) => i);
  const by = (a: number, b: number): number => {
    const [x, y] = [values[a]!, values[b]!];
    // Two infinities of one sign differ by NaN.
    const c = x === y ? 0 : compare(x, y);
    return (descending ? -c : c) || a - b;
  };
  return places.sort(by);
}

/** Lines along a dimension, each turned into places, and the values there. */
function taken(x: Model, dim: number, places: (values: number[]) => number[], length?: number): [Model, Model] {
  const d = wrap(dim, x.shape.length);
  return [
    alongLines(x, d, x.dtype, (values) => places(values).map((i) => values[i]!), length),
    alongLines(x, d, "int32", places, length),
  ];
}

function withoutDim(m: Model, dim: number, keepdim: boolean | undefined): Model {
  if (keepdim === true || m.shape.length === 0) return m;
  return reshaped(m, m.shape.toSpliced(wrap(dim, m.shape.length), 1));
}

function sorting(give: "both" | "indices"): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    const dim = perhaps(dice, 0.7, () => dimension(dice, x.shape.length));
    const descending = perhaps(dice, 0.5, () => dice.chance(0.5));
    const stable = perhaps(dice, 0.2, () => dice.chance(0.5));
    return form(dice, [x], ["dim", "descending"], { dim, descending, stable }, () => {
      const [values, indices] = taken(x, dim ?? -1, (v) => orderOf(v, descending ?? false));
      return give === "both" ? [values, indices] : indices;
    });
  };
}

function topk(dice: Dice): Sample {
  const x = tensorOf(dice);
  const dim = perhaps(dice, 0.7, () => dimension(dice, x.shape.length));
  const rank = x.shape.length;
  const at = dim === undefined ? rank - 1 : dim < 0 ? dim + rank : dim;
  const n = rank === 0 ? 1 : (x.shape[at] ?? 1);
  const k = dice.chance(0.05) ? dice.pick([n + 1, -1]) : dice.int(0, n);
  const largest = perhaps(dice, 0.5, () => dice.chance(0.5));
  // Of a scalar, PyTorch gives one element whatever k is.
  const open = rank === 0 && k === 0;
  return form(
    dice,
    [x],
    ["k", "dim", "largest"],
    { k, dim, largest },
    open
      ? null
      : () => {
          wrap(dim ?? -1, rank);
          if (k > n || k < 0) refuse("k");
          return taken(x, dim ?? -1, (v) => orderOf(v, largest ?? true).slice(0, k), k);
        },
  );
}

function oneOfEach(
  place: (values: number[]) => number,
  options: { dtypes?: readonly DType[]; k?: boolean; whole?: boolean; required?: boolean } = {},
): Generator {
  return (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, options.dtypes) });
    if (options.whole === true && dice.chance(0.25))
      return {
        args: [x],
        expect: () =>
          x.data.length === 0
            ? make([], x.dtype, () => (isFloat(x.dtype) ? NaN : 0))
            : make([], x.dtype, () => x.data[place([...x.data])]!),
      };
    const dim =
      options.whole === true
        ? dimension(dice, x.shape.length)
        : perhaps(dice, 0.7, () => dimension(dice, x.shape.length));
    const keepdim = dim === undefined ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
    return form(dice, [x], ["dim", "keepdim"], { dim, keepdim }, () => {
      const d = wrap(dim ?? -1, x.shape.length);
      if (x.shape.length > 0 && x.shape[d] === 0) refuse("nothing to choose from");
      return taken(x, dim ?? -1, (v) => [place(v)], 1).map((m) => withoutDim(m, dim ?? -1, keepdim));
    });
  };
}

function kthvalue(dice: Dice): Sample {
  const x = tensorOf(dice);
  const dim = perhaps(dice, 0.7, () => dimension(dice, x.shape.length));
  const keepdim = dim === undefined ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
  const rank = x.shape.length;
  const n = rank === 0 ? 1 : (x.shape[dim === undefined ? rank - 1 : dim < 0 ? dim + rank : dim] ?? 1);
  const k = dice.chance(0.05) ? dice.pick([0, n + 1]) : dice.int(1, Math.max(n, 1));
  return form(dice, [x], ["k", "dim", "keepdim"], { k, dim, keepdim }, () => {
    wrap(dim ?? -1, rank);
    if (k < 1 || k > n) refuse("k");
    return taken(x, dim ?? -1, (v) => [orderOf(v, false)[k - 1]!], 1).map((m) => withoutDim(m, dim ?? -1, keepdim));
  });
}

function medianPlace(values: number[]): number {
  const nan = values.findIndex(Number.isNaN);
  return nan >= 0 ? nan : orderOf(values, false)[Math.floor((values.length - 1) / 2)]!;
}

function nanmedianPlace(values: number[]): number {
  const numbers = values.filter((v) => !Number.isNaN(v)).length;
  return orderOf(values, false)[Math.max(Math.floor((numbers - 1) / 2), 0)]!;
}

function modePlace(values: number[]): number {
  const times = (v: number): number => values.filter((u) => u === v).length;
  const most = Math.max(...values.map(times));
  const best = Math.min(...values.filter((v) => times(v) === most));
  return values.lastIndexOf(best);
}

function runningExtreme(better: (a: number, b: number) => boolean): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    const dim = dimension(dice, x.shape.length);
    return form(dice, [x], ["dim"], { dim }, () =>
      taken(x, dim, (values) => {
        let best = 0;
        return values.map((v, i) => {
          const top = values[best]!;
          if (Number.isNaN(v) || (!Number.isNaN(top) && better(v, top))) best = i;
          return best;
        });
      }),
    );
  };
}

// --- search and counting --------------------------------------------------------------------------------------------------

/** Sorted lines along the last dimension. */
function sorted(dice: Dice, size: readonly number[], type: DType): Given {
  const x = tensorOf(dice, { shape: size, dtype: type, values: "plain" });
  const m = alongLines(x, size.length - 1, type, (v) => [...v].sort((a, b) => a - b));
  return exactly(m.shape, m.dtype, (i) => m.data[i]!);
}

function searchsorted(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32", "uint8"]);
  const lead = dice.chance(0.5) ? [] : [dice.int(1, 3)];
  const n = dice.int(dice.chance(0.05) ? 0 : 1, 6);
  const rising = sorted(dice, [...lead, n], type);
  // Values of another kind are compared in the common dtype.
  const other = dice.chance(0.9) ? type : dtype(dice, ["float32", "int32"]);
  const values =
    lead.length === 0 && dice.chance(0.3)
      ? dice.pick([0, 1, 2.5, -3])
      : tensorOf(dice, {
          shape: [...(dice.chance(0.03) ? [5] : lead), ...(lead.length === 0 ? shape(dice, 0, 2) : [dice.int(0, 4)])],
          dtype: other,
          values: "plain",
        });
  const right = perhaps(dice, 0.5, () => dice.chance(0.5));
  const side = perhaps(dice, 0.2, () => dice.pick(["left", "right", null] as const));
  const sorter = lead.length === 0 && dice.chance(0.2) ? exactly([n], "int32", (i) => i) : undefined;
  const outInt32 = perhaps(dice, 0.1, () => true);
  return form(dice, [rising], ["self"], { self: values, right, side, sorter, outInt32 }, () => {
    if (side === "left" && right === true) refuse("sides");
    const after = right === true || side === "right";
    // A number is of the sequence's kind, where that has one for it.
    const wanted = isModel(values)
      ? values
      : cast(
          make([], "float64", () => values),
          resultType([rising, values]),
        );
    if (lead.length > 0 && wanted.shape.slice(0, -1).join() !== lead.join()) refuse("leading sizes");
    return make(wanted.shape, "int32", (at) => {
      const line = Array.from({ length: n }, (_, i) => get(rising, lead.length === 0 ? [i] : [at[0]!, i]));
      const v = get(wanted, at);
      return line.filter((u) => (after ? u <= v : u < v)).length;
    });
  });
}

function bucketize(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32"]);
  const x = tensorOf(dice, { dtype: type, values: "plain" });
  const boundaries = sorted(dice, dice.chance(0.04) ? [2, 2] : [dice.int(0, 5)], type);
  const right = perhaps(dice, 0.5, () => dice.chance(0.5));
  return form(dice, [x], ["boundaries"], { boundaries, right }, () => {
    if (boundaries.shape.length !== 1) refuse("rank");
    return elementwise(
      [x],
      type,
      "int32",
      (v) => boundaries.data.filter((b) => (right === true ? b <= v : b < v)).length,
    );
  });
}

function histc(dice: Dice): Sample {
  const x = tensorOf(dice, { dtype: dtype(dice, ["float32", "float64", "float32", "int32"]), values: "plain" });
  const bins = perhaps(dice, 0.8, () => (dice.chance(0.04) ? 0 : dice.pick([1, 2, 4, 8])));
  const bounds = dice.pick([
    [undefined, undefined],
    [-4, 4],
    [0, 4],
    [-2, 2],
    [2, 2],
    [3, 1],
  ] as const);
  const [min, max] = bounds;
  const own = min === max;
  const n = bins ?? 100;
  // Whether an element is on this or that side of a bound that is no power of two depends on rounding.
  const odd = own && x.data.length > 0;
  const bad = !isFloat(x.dtype) || bins === 0 || (min ?? 0) > (max ?? 0);
  const values = { bins, min, max };
  if (odd && !bad)
    return form(dice, [x], ["bins", "min", "max"], values, null, {
      check: ([out]) => {
        const sum = out!.data.reduce((a, b) => a + b, 0);
        return out!.data.length === n && sum <= x.data.length && (min === 2 || sum === x.data.length)
          ? null
          : `${sum} counted of ${x.data.length}`;
      },
    });
  return form(dice, [x], ["bins", "min", "max"], values, () => {
    if (bad) refuse("integers, bins or bounds");
    const [low, high] = [min ?? 0, max ?? 0];
    return make(
      [n],
      x.dtype,
      ([b]) =>
        x.data.filter((v) => v >= low && v <= high && Math.min(Math.floor(((v - low) / (high - low)) * n), n - 1) === b)
          .length,
    );
  });
}

function bincount(dice: Dice): Sample {
  const n = dice.int(dice.chance(0.05) ? 0 : 1, 8);
  const wrong = dice.chance(0.04);
  const x =
    wrong && dice.chance(0.5)
      ? tensorOf(dice, { shape: [n], dtype: "float32" })
      : exactly([n], dice.pick(["int32", "uint8"] as const), () => dice.int(0, 6));
  const weights = perhaps(dice, 0.4, () =>
    dice.chance(0.2)
      ? null
      : tensorOf(dice, { shape: [n], dtype: dtype(dice, ["float32", "float64", "int32"]), values: "plain" }),
  );
  const minlength = perhaps(dice, 0.4, () => (dice.chance(0.05) ? -1 : dice.int(0, 9)));
  return form(dice, [x], ["weights", "minlength"], { weights, minlength }, () => {
    if (isFloat(x.dtype) || minlength === -1) refuse("floats");
    const length = Math.max(minlength ?? 0, ...x.data.map((v) => v + 1));
    const to: DType = weights == null ? "int32" : isFloat(weights.dtype) ? weights.dtype : "float32";
    return make([length], to, ([i]) =>
      x.data.reduce((sum, v, j) => (v === i ? sum + (weights?.data[j] ?? 1) : sum), 0),
    );
  });
}

// --- results whose shape depends on values ----------------------------------------------------------------------------------

/** Runs of equal neighbours among keys: firsts, lengths, and the run of each. */
function runsOf<T>(
  list: readonly T[],
  same: (a: T, b: T) => boolean,
): { firsts: number[]; counts: number[]; run: number[] } {
  const firsts: number[] = [];
  const counts: number[] = [];
  const run = list.map((v, i) => {
    if (i === 0 || !same(list[i - 1]!, v)) {
      firsts.push(i);
      counts.push(0);
    }
    counts[counts.length - 1]!++;
    return firsts.length - 1;
  });
  return { firsts, counts, run };
}

const vector = (list: readonly number[], type: DType = "int32"): Model => ({
  shape: [list.length],
  dtype: type,
  data: list,
});

function distinct(sorts: boolean): Generator {
  return (dice) => {
    const x = tensorOf(dice, { values: "plain" });
    const dim = perhaps(dice, 0.35, () => (dice.chance(0.1) ? null : dimension(dice, x.shape.length)));
    const returnInverse = perhaps(dice, 0.5, () => dice.chance(0.6));
    const returnCounts = perhaps(dice, 0.5, () => dice.chance(0.6));
    const order = sorts ? ["sorted", "returnInverse", "returnCounts", "dim"] : ["returnInverse", "returnCounts", "dim"];
    const values = { ...(sorts ? { sorted: perhaps(dice, 0.2, () => true) } : {}), returnInverse, returnCounts, dim };
    // Slices of nothing, or along a dimension of nothing, are PyTorch's own affair.
    const open = dim != null && (x.data.length === 0 || x.shape.length === 0);
    return form(
      dice,
      [x],
      order,
      values,
      open && wrapped(dim, x.shape.length)
        ? null
        : () => {
            const d = dim == null ? null : wrap(dim, x.shape.length);
            const lines: number[][] =
              d === null
                ? x.data.map((v) => [v])
                : Array.from({ length: x.shape[d]! }, (_, i) => [...selected(x, d, i).data]);
            const places = lines.map((_, i) => i);
            const before = (a: number[], b: number[]): number => {
              const j = a.findIndex((v, i) => v !== b[i]);
              return j < 0 ? 0 : a[j]! - b[j]!;
            };
            if (sorts) places.sort((a, b) => before(lines[a]!, lines[b]!) || a - b);
            const { firsts, counts, run } = runsOf(
              places.map((p) => lines[p]!),
              (a, b) => before(a, b) === 0,
            );
            const chosen = firsts.map((f) => places[f]!);
            const output =
              d === null
                ? vector(
                    chosen.map((p) => x.data[p]!),
                    x.dtype,
                  )
                : make(x.shape.with(d, chosen.length), x.dtype, (at) => get(x, at.with(d, chosen[at[d]!]!)));
            const inverse = new Array<number>(lines.length);
            places.forEach((p, i) => (inverse[p] = run[i]!));
            const rest = [
              ...(returnInverse === true ? [d === null ? reshaped(vector(inverse), x.shape) : vector(inverse)] : []),
              ...(returnCounts === true ? [vector(counts)] : []),
            ];
            return rest.length === 0 ? output : [output, ...rest];
          },
    );
  };
}

function wrapped(dim: number, rank: number): boolean {
  const span = Math.max(rank, 1);
  return dim >= -span && dim < span;
}

function nonzeroAt(x: Model): number[][] {
  const found: number[][] = [];
  for (const at of coordinates(x.shape)) if (get(x, at) !== 0) found.push([...at]);
  return found;
}

function nonzero(dice: Dice): Sample {
  const x = tensorOf(dice);
  const asTuple = perhaps(dice, 0.4, () => dice.chance(0.6));
  return form(dice, [x], [], { asTuple }, () => {
    if (asTuple === true) {
      const wide = x.shape.length === 0 ? reshaped(x, [1]) : x;
      const found = nonzeroAt(wide);
      return wide.shape.map((_, d) => vector(found.map((at) => at[d]!)));
    }
    const found = nonzeroAt(x);
    return { shape: [found.length, x.shape.length], dtype: "int32", data: found.flat() };
  });
}

function closeness(all: boolean): Generator {
  return (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, ["float32", "float64", "int32"]) });
    const nudged = dice.chance(0.6);
    const other = nudged
      ? exactly(x.shape, x.dtype, (i) => convert("float64", x.dtype, x.data[i]! + dice.pick([0, 0, 0.25, 1])))
      : tensorOf(dice, { dtype: x.dtype, shape: partner(dice, x.shape) });
    const rtol = perhaps(dice, 0.4, () => dice.pick([0, 0.125, 0.5, dice.chance(0.2) ? -1 : 0.25]));
    const atol = perhaps(dice, 0.4, () => dice.pick([0, 0.125, 0.5, dice.chance(0.2) ? -1 : 0.25]));
    const equalNan = perhaps(dice, 0.4, () => dice.chance(0.5));
    const [r, a] = [rtol ?? 1e-5, atol ?? 1e-8];
    // A difference that is just the tolerance depends on rounding.
    const close = (u: number, v: number): number | null => {
      if (u === v) return 1;
      if (Number.isNaN(u) || Number.isNaN(v)) return Number(Number.isNaN(u) && Number.isNaN(v) && equalNan === true);
      if (!Number.isFinite(u) || !Number.isFinite(v)) return 0;
      const gap = Math.abs(u - v) - (a + r * Math.abs(v));
      return Math.abs(gap) < 1e-5 * (1 + Math.abs(v)) ? null : Number(gap < 0);
    };
    return form(dice, [x], ["other", "rtol", "atol", "equalNan"], { other, rtol, atol, equalNan }, () => {
      const shapeOf = broadcast(x.shape, other.shape);
      if (r < 0 || a < 0) refuse("tolerances");
      const data: (number | null)[] = [];
      for (const at of coordinates(shapeOf)) data.push(close(spread(x, at), spread(other, at)));
      if (data.includes(null)) return null;
      if (all) return data.every((v) => v === 1);
      return { shape: shapeOf, dtype: "bool", data: data as number[] };
    });
  };
}

/** Order, search, counting, and what depends on values. */
export const ORDERING: Table = {
  sort: sorting("both"),
  argsort: sorting("indices"),
  msort: (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => taken(x, 0, (v) => orderOf(v, false))[0] };
  },
  topk,
  kthvalue,
  median: oneOfEach(medianPlace, { whole: true }),
  nanmedian: oneOfEach(nanmedianPlace, { whole: true }),
  mode: oneOfEach(modePlace, { dtypes: ["int32", "uint8", "bool"] }),
  cummax: runningExtreme((a, b) => a >= b),
  cummin: runningExtreme((a, b) => a <= b),
  searchsorted,
  bucketize,
  histc,
  bincount,
  unique: distinct(true),
  uniqueConsecutive: distinct(false),
  nonzero,
  argwhere: (dice) => {
    const x = tensorOf(dice);
    return {
      args: [x],
      expect: () => {
        const found = nonzeroAt(x);
        return { shape: [found.length, x.shape.length], dtype: "int32", data: found.flat() };
      },
    };
  },
  maskedSelect: (dice) => {
    const x = tensorOf(dice);
    const mask = tensorOf(dice, { dtype: dice.chance(0.95) ? "bool" : "int32", shape: partner(dice, x.shape) });
    return form(dice, [x], ["mask"], { mask }, () => {
      const shapeOf = broadcast(x.shape, mask.shape);
      if (mask.dtype !== "bool") refuse("mask");
      const found: number[] = [];
      for (const at of coordinates(shapeOf)) if (spread(mask, at) !== 0) found.push(spread(x, at));
      return vector(found, x.dtype);
    });
  },
  equal: (dice) => {
    const x = tensorOf(dice, { values: "plain" });
    const other = dice.chance(0.5)
      ? exactly(dice.chance(0.9) ? x.shape : [x.data.length], x.dtype, (i) => x.data[i]!)
      : tensorOf(dice, { dtype: x.dtype, shape: partner(dice, x.shape), values: "plain" });
    return {
      args: [x, other],
      expect: () =>
        x.shape.join() === other.shape.join() &&
        x.shape.length === other.shape.length &&
        x.data.every((v, i) => v === other.data[i]),
    };
  },
  isclose: closeness(false),
  allclose: closeness(true),
};
