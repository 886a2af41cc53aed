/** Statistics, differences, integrals, distances, and sums of products. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, exactly, partner, shape, tensorOf, type Given } from "../given.ts";
import {
  alongLines,
  broadcast,
  cast,
  coordinates,
  count,
  elementwise,
  get,
  isFloat,
  make,
  reduce,
  refuse,
  reshaped,
  spread,
  sum,
  wrap,
  wrapAll,
  type Model,
} from "../model.ts";
import { dimension, dimensions, form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];
const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function times(type: DType, x: number, y: number): number {
  return isFloat(type) ? x * y : Math.imul(x, y);
}

function aminmax(dice: Dice): Sample {
  const x = tensorOf(dice);
  const dim = perhaps(dice, 0.7, () => (dice.chance(0.1) ? null : dimension(dice, x.shape.length)));
  const keepdim = dim === undefined ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
  return form(dice, [x], [], { dim, keepdim }, () => {
    const dims = wrapAll(dim, x.shape.length);
    if (count(dims.map((d) => x.shape[d]!)) === 0) refuse("nothing to choose from");
    return [Math.min, Math.max].map((f) => reduce(x, dims, keepdim ?? false, x.dtype, (values) => f(...values)));
  });
}

function nanmean(dice: Dice): Sample {
  const x = tensorOf(dice, { dtype: dtype(dice, [...FLOATS, "float32", "int32"]) });
  const dim = perhaps(dice, 0.8, () => dimensions(dice, x.shape.length));
  const keepdim = dim === undefined ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
  return form(
    dice,
    [x],
    ["dim", "keepdim"],
    { dim, keepdim },
    () => {
      if (!isFloat(x.dtype)) refuse("integers");
      return reduce(x, wrapAll(dim, x.shape.length), keepdim ?? false, x.dtype, (values) => {
        const numbers = values.filter((v) => !Number.isNaN(v));
        return total(numbers) / numbers.length;
      });
    },
    { loose: 4 },
  );
}

// --- covariance -----------------------------------------------------------------------------------------------------------

function covariance(
  x: Model,
  correction: number,
  fweights: Model | null | undefined,
  aweights: Model | null | undefined,
): number[][] {
  const n = x.shape[1]!;
  const f = (i: number): number => fweights?.data[i] ?? 1;
  const a = (i: number): number => aweights?.data[i] ?? 1;
  const columns = Array.from({ length: n }, (_, i) => i);
  const whole = total(columns.map((i) => f(i) * a(i)));
  const row = (r: number): number[] => columns.map((i) => get(x, [r, i]));
  const mean = (r: number): number => total(columns.map((i) => row(r)[i]! * f(i) * a(i))) / whole;
  const freedom =
    aweights == null || correction === 0
      ? whole - correction
      : whole - (correction * total(columns.map((i) => f(i) * a(i) * a(i)))) / whole;
  const rows = Array.from({ length: x.shape[0]! }, (_, r) => r);
  const centered = rows.map((r) => row(r).map((v) => v - mean(r)));
  return rows.map((r) =>
    rows.map(
      (s) => total(columns.map((i) => f(i) * a(i) * centered[r]![i]! * centered[s]![i]!)) / Math.max(freedom, 0),
    ),
  );
}

function asRows(x: Model): Model {
  if (x.shape.length > 2) refuse("rank");
  return x.shape.length === 2 ? x : reshaped(x, [1, x.data.length]);
}

function square(values: readonly (readonly number[])[], type: DType): Model {
  const n = values.length;
  return n === 1 ? make([], type, () => values[0]![0]!) : make([n, n], type, ([i, j]) => values[i!]![j!]!);
}

function observations(dice: Dice): Given {
  const size = dice.chance(0.05) ? [1, 2, 2] : dice.chance(0.2) ? [dice.int(2, 5)] : [dice.int(1, 3), dice.int(2, 5)];
  return tensorOf(dice, { shape: size, dtype: dtype(dice, FLOATS), values: "plain" });
}

function cov(dice: Dice): Sample {
  const x = observations(dice);
  const n = x.shape.at(-1)!;
  const correction = perhaps(dice, 0.4, () => dice.int(0, 1));
  const size = dice.chance(0.03) ? [n + 1] : [n];
  const fweights = perhaps(dice, 0.4, () => (dice.chance(0.2) ? null : exactly(size, "int32", () => dice.int(1, 3))));
  const aweights = perhaps(dice, 0.4, () =>
    dice.chance(0.2) ? null : tensorOf(dice, { shape: size, dtype: x.dtype, values: "positive" }),
  );
  return form(
    dice,
    [x],
    [],
    { correction, fweights, aweights },
    () => {
      const rows = asRows(x);
      if ([fweights, aweights].some((w) => w != null && w.data.length !== n)) refuse("weights");
      return square(covariance(rows, correction ?? 1, fweights, aweights), x.dtype);
    },
    { loose: 60 },
  );
}

function corrcoef(dice: Dice): Sample {
  const x = observations(dice);
  const rows = x.shape.length > 2 ? null : covariance(asRows(x), 1, null, null);
  // Of rows that hardly vary, rounding decides.
  const open = rows !== null && rows.some((r, i) => !(r[i]! > 0.01));
  return {
    args: [x],
    expect: open
      ? null
      : () => {
          const c = rows ?? refuse("rank");
          return square(
            c.map((r, i) => r.map((v, j) => Math.min(Math.max(v / Math.sqrt(c[i]![i]! * c[j]![j]!), -1), 1))),
            x.dtype,
          );
        },
    loose: 60,
  };
}

// --- differences and integrals ----------------------------------------------------------------------------------------------

function diff(dice: Dice): Sample {
  const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.95) ? 1 : 0, 3), values: "plain" });
  const rank = x.shape.length;
  const n = perhaps(dice, 0.6, () => (dice.chance(0.04) ? -1 : dice.int(0, 3)));
  const dim = perhaps(dice, 0.6, () => dimension(dice, rank));
  const valid = rank > 0 && (dim === undefined || (dim >= -rank && dim < rank));
  const d = valid ? wrap(dim ?? -1, rank) : 0;
  const end = (): Given | null | undefined =>
    perhaps(dice, 0.2, () =>
      dice.chance(0.2)
        ? null
        : tensorOf(dice, { shape: valid ? x.shape.with(d, dice.int(0, 2)) : [1], dtype: x.dtype, values: "plain" }),
    );
  const [prepend, append] = [end(), end()];
  return form(dice, [x], ["n", "dim", "prepend", "append"], { n, dim, prepend, append }, () => {
    if (!valid || n === -1) refuse("rank or order");
    const parts = [prepend, x, append].filter((p) => p != null);
    const length = parts.reduce((m, p) => m + p.shape[d]!, 0);
    const joint = make(x.shape.with(d, length), x.dtype, (at) => {
      let i = at[d]!;
      for (const p of parts) {
        if (i < p.shape[d]!) return get(p, at.with(d, i));
        i -= p.shape[d]!;
      }
      return NaN;
    });
    let m: Model = joint;
    for (let i = 0; i < (n ?? 1) && m.shape[d]! > 0; i++) {
      const before = m;
      m = make(m.shape.with(d, m.shape[d]! - 1), m.dtype, (at) => {
        const [u, v] = [get(before, at.with(d, at[d]! + 1)), get(before, at)];
        return m.dtype === "bool" ? Number(u !== v) : u - v;
      });
    }
    return m;
  });
}

function trapezoids(cumulative: boolean): Generator {
  return (dice) => {
    const y = tensorOf(dice, {
      shape: shape(dice, dice.chance(0.96) ? 1 : 0, 3),
      dtype: dtype(dice, [...FLOATS, "int32"]),
      values: "plain",
    });
    const rank = y.shape.length;
    const dim = perhaps(dice, 0.6, () => dimension(dice, rank));
    const valid = rank > 0 && (dim === undefined || (dim >= -rank && dim < rank));
    const d = valid ? wrap(dim ?? -1, rank) : 0;
    const n = y.shape[d] ?? 1;
    const kind = dice.pick(["none", "dx", "vector", "full"] as const);
    const to: DType = isFloat(y.dtype) ? y.dtype : "float32";
    const dx = kind === "dx" ? dice.pick([1, 0.5, 2, -1]) : undefined;
    const x =
      kind === "vector"
        ? tensorOf(dice, { shape: [dice.chance(0.04) ? n + 1 : n], dtype: to, values: "plain" })
        : kind === "full"
          ? tensorOf(dice, { shape: y.shape, dtype: to, values: "plain" })
          : undefined;
    return form(
      dice,
      [y],
      ["x"],
      { x, dx, dim },
      () => {
        if (!valid) refuse("rank");
        if (kind === "vector" && x!.shape[0] !== n) refuse("positions");
        const length = Math.max(n - 1, 0);
        const areas = make(y.shape.with(d, length), "float64", (at) => {
          const next = at.with(d, at[d]! + 1);
          const where = (c: readonly number[]): number =>
            x === undefined ? c[d]! * (dx ?? 1) : kind === "vector" ? x.data[c[d]!]! : get(x, c);
          return ((get(y, next) + get(y, at)) * (where(next) - where(at))) / 2;
        });
        if (!cumulative) return cast({ ...reduce(areas, [d], false, "float64", total), dtype: "float64" }, to);
        return alongLines(areas, d, to, (values) => {
          let s = 0;
          return values.map((v) => (s += v));
        });
      },
      { loose: 10 },
    );
  };
}

function logcumsumexp(dice: Dice): Sample {
  const x = tensorOf(dice, { dtype: dtype(dice, [...FLOATS, "float32", "int32"]) });
  const dim = dimension(dice, x.shape.length);
  return form(
    dice,
    [x],
    ["dim"],
    { dim },
    () => {
      const d = wrap(dim, x.shape.length);
      if (!isFloat(x.dtype)) refuse("integers");
      return alongLines(x, d, x.dtype, (values) =>
        values.map((_, i) => {
          const prefix = values.slice(0, i + 1);
          const top = prefix.reduce((a, b) => Math.max(a, b), -Infinity);
          if (Math.abs(top) === Infinity) return top;
          return Math.log(total(prefix.map((v) => Math.exp(v - top)))) + top;
        }),
      );
    },
    { loose: 10 },
  );
}

// --- distances ------------------------------------------------------------------------------------------------------------

function norm(values: readonly number[], p: number): number {
  const sizes = values.map(Math.abs);
  if (p === Infinity) return Math.max(0, ...sizes);
  if (p === 0) return sizes.filter((v) => v !== 0).length;
  return total(sizes.map((v) => v ** p)) ** (1 / p);
}

const POWERS = [2, 1, 3, Infinity, 0] as const;

function cosineSimilarity(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const x1 = tensorOf(dice, { shape: shape(dice, 2, 3), dtype: type, values: "plain" });
  const x2 = tensorOf(dice, { shape: partner(dice, x1.shape), dtype: type, values: "plain" });
  const dim = perhaps(dice, 0.6, () => dimension(dice, x1.shape.length));
  const eps = perhaps(dice, 0.3, () => dice.pick([1e-8, 0.5]));
  return form(
    dice,
    [x1],
    ["x2", "dim", "eps"],
    { x2, dim, eps },
    () => {
      const size = broadcast(x1.shape, x2.shape);
      const d = wrap(dim ?? 1, size.length);
      const e = eps ?? 1e-8;
      return make(size.toSpliced(d, 1), type, (at) => {
        const line = (m: Model): number[] =>
          Array.from({ length: size[d]! }, (_, i) => spread(m, at.toSpliced(d, 0, i)));
        const [a, b] = [line(x1), line(x2)];
        return total(a.map((v, i) => v * b[i]!)) / (Math.max(norm(a, 2), e) * Math.max(norm(b, 2), e));
      });
    },
    { loose: 20 },
  );
}

function pairwise(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const x1 = tensorOf(dice, { shape: shape(dice, 1, 3), dtype: type, values: "plain" });
  const x2 = tensorOf(dice, { shape: partner(dice, x1.shape), dtype: type, values: "plain" });
  const p = perhaps(dice, 0.5, () => dice.pick([2, 1, 3, Infinity]));
  const eps = perhaps(dice, 0.5, () => dice.pick([1e-6, 0, 0.25]));
  const keepdim = perhaps(dice, 0.3, () => dice.chance(0.5));
  return form(
    dice,
    [x1],
    ["x2", "p", "eps", "keepdim"],
    { x2, p, eps, keepdim },
    () => {
      const d = elementwise([x1, x2], type, "float64", (u, v) => u - v + (eps ?? 1e-6));
      const last = d.shape.length - 1;
      return cast(
        reduce(d, last < 0 ? [] : [last], keepdim ?? false, "float64", (values) => norm(values, p ?? 2)),
        type,
      );
    },
    { loose: 40 },
  );
}

function cdist(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const lead = dice.chance(0.6) ? [] : [dice.int(1, 2)];
  const m = dice.int(dice.chance(0.03) ? 0 : 1, 4);
  const x1 = tensorOf(dice, {
    shape: dice.chance(0.03) ? [m] : [...lead, dice.int(0, 3), m],
    dtype: type,
    values: "plain",
  });
  const x2 = tensorOf(dice, {
    shape: [...lead, dice.int(0, 3), dice.chance(0.03) ? m + 1 : m],
    dtype: type,
    values: "plain",
  });
  const p = perhaps(dice, 0.6, () => (dice.chance(0.05) ? -1 : dice.pick(POWERS)));
  return form(
    dice,
    [x1],
    ["x2", "p"],
    { x2, p },
    () => {
      if (x1.shape.length < 2 || x1.shape.at(-1) !== x2.shape.at(-1) || p === -1) refuse("rank, columns or p");
      return make([...lead, x1.shape.at(-2)!, x2.shape.at(-2)!], type, (at) => {
        const [i, j] = at.slice(-2) as [number, number];
        const batch = at.slice(0, -2);
        return norm(
          Array.from({ length: m }, (_, k) => get(x1, [...batch, i, k]) - get(x2, [...batch, j, k])),
          p ?? 2,
        );
      });
    },
    { loose: 20 },
  );
}

function pdist(dice: Dice): Sample {
  const x = tensorOf(dice, {
    shape: dice.chance(0.04) ? [3] : [dice.int(0, 4), dice.int(1, 3)],
    dtype: dtype(dice, FLOATS),
    values: "plain",
  });
  const p = perhaps(dice, 0.6, () => (dice.chance(0.05) ? -1 : dice.pick(POWERS)));
  return form(
    dice,
    [x],
    ["p"],
    { p },
    () => {
      if (x.shape.length !== 2 || p === -1) refuse("rank or p");
      const [n, m] = x.shape as [number, number];
      const pairs = Array.from({ length: n }, (_, i) =>
        Array.from({ length: n - i - 1 }, (__, j) => [i, i + j + 1] as const),
      ).flat();
      return make([pairs.length], x.dtype, ([k]) => {
        const [i, j] = pairs[k!]!;
        return norm(
          Array.from({ length: m }, (_, c) => get(x, [i, c]) - get(x, [j, c])),
          p ?? 2,
        );
      });
    },
    { loose: 20 },
  );
}

function renorm(dice: Dice): Sample {
  const x = tensorOf(dice, {
    shape: shape(dice, dice.chance(0.95) ? 2 : 1, 3),
    dtype: dtype(dice, FLOATS),
    values: "plain",
  });
  const p = dice.chance(0.04) ? 0 : dice.pick([1, 2, 3]);
  const dim = dimension(dice, x.shape.length);
  const maxnorm = dice.chance(0.04) ? -1 : dice.pick([0.5, 1, 4, 0]);
  return form(
    dice,
    [x],
    ["p", "dim", "maxnorm"],
    { p, dim, maxnorm },
    () => {
      if (x.shape.length < 2 || p === 0 || maxnorm < 0) refuse("rank, p or maxnorm");
      const d = wrap(dim, x.shape.length);
      const norms = new Map<number, number[]>();
      for (const at of coordinates(x.shape)) norms.set(at[d]!, [...(norms.get(at[d]!) ?? []), get(x, at)]);
      return make(x.shape, x.dtype, (at) => {
        const n = norm(norms.get(at[d]!)!, p);
        return get(x, at) * (n > maxnorm ? maxnorm / (n + 1e-7) : 1);
      });
    },
    { loose: 20 },
  );
}

// --- sums of products -------------------------------------------------------------------------------------------------------

/** A contraction: each operand's dimensions have labels, those that the result lacks are summed over. */
function contraction(operands: readonly Model[], labels: readonly string[][], result: readonly string[]): Model {
  const sizes = new Map<string, number>();
  operands.forEach((m, i) =>
    labels[i]!.forEach((l, d) => {
      const known = sizes.get(l);
      if (known !== undefined && known !== 1 && m.shape[d] !== 1 && known !== m.shape[d]) refuse("sizes differ");
      if (known === undefined || known === 1) sizes.set(l, m.shape[d]!);
    }),
  );
  const summed = [...sizes.keys()].filter((l) => !result.includes(l));
  const type = operands[0]!.dtype;
  return make(
    result.map((l) => sizes.get(l)!),
    type,
    (at) => {
      const terms: number[] = [];
      for (const c of coordinates(summed.map((l) => sizes.get(l)!))) {
        const place = (l: string): number => (result.includes(l) ? at[result.indexOf(l)]! : c[summed.indexOf(l)]!);
        terms.push(
          operands.reduce(
            (p, m, i) =>
              times(
                type,
                p,
                get(
                  m,
                  labels[i]!.map((l, d) => (m.shape[d] === 1 ? 0 : place(l))),
                ),
              ),
            1,
          ),
        );
      }
      return sum(type, terms);
    },
  );
}

function einsum(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32"]);
  const letters = ["a", "b", "c", "d", "K"];
  const sizes = letters.map(() => dice.int(1, 3));
  const operands = Array.from({ length: dice.int(1, 3) }, () =>
    Array.from({ length: dice.int(0, 3) }, () => dice.pick(letters)),
  );
  const given = operands.map((labels) =>
    tensorOf(dice, {
      shape: labels.map((l) => (dice.chance(0.02) ? 4 : sizes[letters.indexOf(l)]!)),
      dtype: type,
      values: "plain",
    }),
  );
  const all = operands.flat();
  const used = [...new Set(all)];
  const implicit = dice.chance(0.3);
  const result = implicit
    ? used.filter((l) => all.filter((k) => k === l).length === 1).sort()
    : dice.shuffle(used).slice(0, dice.int(0, used.length));
  const unknown = dice.chance(0.03);
  const left = operands.map((l) => l.join("")).join(dice.chance(0.2) ? ", " : ",");
  const equation = implicit && !unknown ? left : `${left}->${result.join("")}${unknown ? "z" : ""}`;
  const args = dice.chance(0.7) ? [equation, ...given] : [equation, given];
  return {
    args,
    loose: 20,
    // Sizes that are one where others are larger may broadcast.
    mayRefuse: given.some((g, i) => g.shape.some((n, d) => n !== sizes[letters.indexOf(operands[i]![d]!)])),
    expect: () => {
      if (unknown) refuse("label");
      return contraction(given, operands, result);
    },
  };
}

function tensordot(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32"]);
  const shared = Array.from({ length: dice.int(0, 2) }, () => dice.int(1, 3));
  const [left, right] = [0, 1].map(() => Array.from({ length: dice.int(0, 2) }, () => dice.int(1, 3))) as [
    number[],
    number[],
  ];
  const of = (size: readonly number[]): Given => tensorOf(dice, { shape: size, dtype: type, values: "plain" });
  const k = shared.length;
  const labels = (n: number, prefix: string): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`);
  if (dice.chance(0.5)) {
    const a = of([...left, ...shared]);
    const b = of([...shared.map((n) => (dice.chance(0.03) ? n + 1 : n)), ...right]);
    const dims = k === 2 ? perhaps(dice, 0.6, () => 2) : k;
    return form(
      dice,
      [a],
      ["other", "dims"],
      { other: b, dims },
      () => {
        if (b.shape.slice(0, k).join() !== shared.join()) refuse("sizes");
        const [l, s, r] = [labels(left.length, "l"), labels(k, "s"), labels(right.length, "r")];
        return contraction(
          [a, b],
          [
            [...l, ...s],
            [...s, ...r],
          ],
          [...l, ...r],
        );
      },
      { loose: 20 },
    );
  }
  const [l, s, r] = [labels(left.length, "l"), labels(k, "s"), labels(right.length, "r")];
  const first = dice.shuffle([...l, ...s]);
  const second = dice.shuffle([...s, ...r]);
  const sizeOf = (label: string): number =>
    (label[0] === "l" ? left : label[0] === "s" ? shared : right)[Number(label[1])]!;
  const a = of(first.map(sizeOf));
  const b = of(second.map(sizeOf));
  const dims = [s.map((n) => first.indexOf(n)), s.map((n) => second.indexOf(n))];
  if (dice.chance(0.04)) dims[0] = [...dims[0]!, 0];
  return form(
    dice,
    [a],
    ["other", "dims"],
    { other: b, dims },
    () => {
      if (dims[0]!.length !== k) refuse("lists");
      return contraction(
        [a, b],
        [first, second],
        [...first.filter((n) => n[0] === "l"), ...second.filter((n) => n[0] === "r")],
      );
    },
    { loose: 20 },
  );
}

function vectorProduct(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32"]);
  const size = shape(dice, 1, 3);
  const d = dice.int(0, size.length - 1);
  const full = size.with(d, dice.chance(0.05) ? 2 : 3);
  const x = tensorOf(dice, { shape: full, dtype: type, values: "plain" });
  const other = tensorOf(dice, {
    shape: dice.chance(0.1) ? full.map((n, i) => (i === d ? n : 1)) : full,
    dtype: type,
    values: "plain",
  });
  const dim = perhaps(dice, 0.7, () => (dice.chance(0.1) ? null : dice.chance(0.5) ? d - size.length : d));
  return form(
    dice,
    [x],
    ["other", "dim"],
    { other, dim },
    () => {
      const at = dim == null ? x.shape.indexOf(3) : wrap(dim, size.length);
      if (at < 0 || x.shape[at] !== 3 || other.shape[at] !== 3) refuse("size");
      return make(broadcast(x.shape, other.shape), type, (c) => {
        const [i, j] = [(c[at]! + 1) % 3, (c[at]! + 2) % 3];
        const a = (k: number): number => spread(x, c.with(at, k));
        const b = (k: number): number => spread(other, c.with(at, k));
        return times(type, a(i), b(j)) - times(type, a(j), b(i));
      });
    },
    { loose: 10 },
  );
}

function kron(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32"]);
  const x = tensorOf(dice, { shape: shape(dice, 0, 3), dtype: type, values: "plain" });
  const other = tensorOf(dice, { shape: shape(dice, 0, 2), dtype: type, values: "plain" });
  return form(dice, [x], ["other"], { other }, () => {
    const rank = Math.max(x.shape.length, other.shape.length);
    const wide = (m: Model): Model => reshaped(m, [...new Array<number>(rank - m.shape.length).fill(1), ...m.shape]);
    const [a, b] = [wide(x), wide(other)];
    return make(
      a.shape.map((n, d) => n * b.shape[d]!),
      type,
      (at) =>
        times(
          type,
          get(
            a,
            at.map((i, d) => Math.floor(i / b.shape[d]!)),
          ),
          get(
            b,
            at.map((i, d) => i % b.shape[d]!),
          ),
        ),
    );
  });
}

/** `beta * input + alpha * product` with a product of a model's own. */
function scaledSum(
  dice: Dice,
  names: readonly [string, string],
  operands: readonly [Given, Given],
  product: () => Model,
  size: readonly number[],
): Sample {
  const type = operands[0].dtype;
  const x = tensorOf(dice, { shape: partner(dice, size), dtype: type, values: "plain" });
  const beta = perhaps(dice, 0.4, () => dice.pick([0, 1, 2, -1]));
  const alpha = perhaps(dice, 0.4, () => dice.pick([1, 2, -1, 0]));
  return form(
    dice,
    [x],
    names,
    { [names[0]]: operands[0], [names[1]]: operands[1], beta, alpha },
    () => {
      const p = product();
      if (broadcast(x.shape, p.shape).join() !== p.shape.join() || x.shape.length > p.shape.length)
        refuse("the input is larger");
      return make(p.shape, type, (at) => {
        const scaled = times(type, get(p, at), alpha ?? 1);
        return beta === 0 ? scaled : sum(type, [times(type, spread(x, at), beta ?? 1), scaled]);
      });
    },
    { loose: 20 },
  );
}

function addr(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32"]);
  const wrong = dice.chance(0.03);
  const vec1 = tensorOf(dice, { shape: wrong ? [2, 2] : [dice.int(0, 4)], dtype: type, values: "plain" });
  const vec2 = tensorOf(dice, { shape: [dice.int(0, 4)], dtype: type, values: "plain" });
  return scaledSum(
    dice,
    ["vec1", "vec2"],
    [vec1, vec2],
    () => (wrong ? refuse("rank") : contraction([vec1, vec2], [["i"], ["j"]], ["i", "j"])),
    [vec1.shape[0]!, vec2.shape[0]!],
  );
}

function addbmm(dice: Dice): Sample {
  const type = dtype(dice, ["float32", "float64", "int32"]);
  const [b, n, k, m] = [dice.int(1, 3), dice.int(1, 3), dice.int(1, 3), dice.int(1, 3)];
  const wrong = dice.chance(0.03);
  const batch1 = tensorOf(dice, { shape: [b, n, k], dtype: type, values: "plain" });
  const batch2 = tensorOf(dice, { shape: [b, wrong ? k + 1 : k, m], dtype: type, values: "plain" });
  return scaledSum(
    dice,
    ["batch1", "batch2"],
    [batch1, batch2],
    () =>
      wrong
        ? refuse("sizes")
        : contraction(
            [batch1, batch2],
            [
              ["b", "n", "k"],
              ["b", "k", "m"],
            ],
            ["n", "m"],
          ),
    [n, m],
  );
}

function multinomial(dice: Dice): Sample {
  const size = dice.chance(0.04) ? [] : [...(dice.chance(0.5) ? [] : [dice.int(1, 3)]), dice.int(1, 5)];
  const x = tensorOf(dice, { shape: size, dtype: dtype(dice, [...FLOATS, "float32", "int32"]), values: "positive" });
  const replacement = perhaps(dice, 0.5, () => dice.chance(0.5));
  const n = size.at(-1) ?? 0;
  const numSamples = dice.int(dice.chance(0.04) ? 0 : 1, replacement === true ? 6 : n + Number(dice.chance(0.05)));
  const bad = size.length === 0 || !isFloat(x.dtype) || numSamples < 1 || (replacement !== true && numSamples > n);
  const check = ([out]: readonly Model[]): string | null => {
    for (let r = 0; r < out!.data.length; r += numSamples) {
      const row = out!.data.slice(r, r + numSamples);
      if (row.some((i) => i < 0 || i >= n)) return `drew [${row.join()}] of ${n}`;
      if (replacement !== true && new Set(row).size !== row.length) return `drew [${row.join()}] without replacement`;
    }
    return null;
  };
  return form(
    dice,
    [x],
    ["numSamples", "replacement"],
    { numSamples, replacement },
    bad ? () => refuse("weights or number") : null,
    { check },
  );
}

/** Statistics, distances and sums of products. */
export const STATISTICS: Table = {
  aminmax,
  nanmean,
  cov,
  corrcoef,
  diff,
  trapezoid: trapezoids(false),
  cumulativeTrapezoid: trapezoids(true),
  logcumsumexp,
  trace: (dice) => {
    const x = tensorOf(dice, {
      shape: shape(dice, dice.chance(0.9) ? 2 : 1, dice.chance(0.9) ? 2 : 3),
      values: "plain",
    });
    return {
      args: [x],
      expect: () => {
        if (x.shape.length !== 2) refuse("rank");
        const to: DType = isFloat(x.dtype) ? x.dtype : "int32";
        const n = Math.min(...x.shape);
        return make([], to, () => total(Array.from({ length: n }, (_, i) => get(x, [i, i]))));
      },
      loose: 4,
    };
  },
  cosineSimilarity,
  pairwiseDistance: pairwise,
  dist: (dice) => {
    const type = dtype(dice, FLOATS);
    const x = tensorOf(dice, { dtype: type, values: "plain" });
    const other = tensorOf(dice, { dtype: type, shape: partner(dice, x.shape), values: "plain" });
    const p = perhaps(dice, 0.6, () => dice.pick(POWERS));
    return form(
      dice,
      [x],
      ["other", "p"],
      { other, p },
      () => {
        const d = elementwise([x, other], type, "float64", (u, v) => u - v);
        return make([], type, () => norm(d.data, p ?? 2));
      },
      { loose: 20 },
    );
  },
  cdist,
  pdist,
  renorm,
  einsum,
  tensordot,
  inner: (dice) => {
    const type = dtype(dice, ["float32", "float64", "int32"]);
    const k = dice.int(1, 4);
    const scalar = dice.chance(0.1);
    const x = tensorOf(dice, { shape: [...shape(dice, 0, 2), k], dtype: type, values: "plain" });
    const other = tensorOf(dice, {
      shape: scalar ? [] : [...shape(dice, 0, 2), dice.chance(0.04) ? k + 1 : k],
      dtype: type,
      values: "plain",
    });
    return form(
      dice,
      [x],
      ["other"],
      { other },
      () => {
        if (scalar) return elementwise([x, other], type, type, (u, v) => times(type, u, v));
        if (other.shape.at(-1) !== k) refuse("sizes");
        const [a, b] = [x.shape.length - 1, other.shape.length - 1];
        const l = Array.from({ length: a }, (_, i) => `l${i}`);
        const r = Array.from({ length: b }, (_, i) => `r${i}`);
        return contraction(
          [x, other],
          [
            [...l, "k"],
            [...r, "k"],
          ],
          [...l, ...r],
        );
      },
      { loose: 10 },
    );
  },
  kron,
  cross: vectorProduct,
  addr,
  addbmm,
  multinomial,
  vander: (dice) => {
    const x = tensorOf(dice, {
      shape: shape(dice, dice.chance(0.95) ? 1 : 0, 2),
      dtype: dtype(dice, FLOATS),
      values: "plain",
    });
    const N = perhaps(dice, 0.7, () => (dice.chance(0.1) ? dice.pick([null, 1]) : dice.int(2, 5)));
    return form(
      dice,
      [x],
      ["N"],
      { N },
      () => {
        if (x.shape.length === 0 || (N ?? x.shape.at(-1)!) <= 1) refuse("rank or N");
        return make([...x.shape, N ?? x.shape.at(-1)!], x.dtype, (at) => get(x, at.slice(0, -1)) ** at.at(-1)!);
      },
      { loose: 20 },
    );
  },
};
