/** Views, movement, joining, and products of matrices. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, partner, shape, tensorOf, type Given } from "../given.ts";
import {
  broadcast,
  count,
  expanded,
  get,
  isFloat,
  joined,
  make,
  mapped,
  permuted,
  refuse,
  reshaped,
  resultType,
  selected,
  sliced,
  spread,
  sum,
  wrap,
  type Model,
} from "../model.ts";
import { dimension, form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";

/** A factorisation of a number of elements into sizes; rarely one that does not fit, or with a -1. */
function sizesFor(dice: Dice, n: number): number[] {
  if (dice.chance(0.04)) return [n + 1];
  const sizes: number[] = [];
  let rest = n;
  while (rest > 1 && sizes.length < 4) {
    const divisors = Array.from({ length: rest }, (_, i) => i + 1).filter((k) => rest % k === 0);
    const k = dice.pick(divisors);
    sizes.push(k);
    rest /= k;
  }
  if (rest !== 1 || n === 0) sizes.push(n === 0 ? 0 : rest);
  if (dice.chance(0.2)) sizes.splice(dice.int(0, sizes.length), 0, 1);
  if (dice.chance(0.3) && sizes.length > 0) sizes[dice.int(0, sizes.length - 1)] = -1;
  return dice.shuffle(sizes);
}

function inferred(sizes: readonly number[], n: number): number[] {
  const unknown = sizes.indexOf(-1);
  if (unknown < 0) return [...sizes];
  const known = count(sizes.filter((s) => s !== -1));
  if (known === 0 || n % known !== 0) refuse("the size of -1");
  return sizes.with(unknown, n / known);
}

/** Sizes or dimensions as plain numbers, as an array, or by name. */
function variadic(dice: Dice, x: Given, name: string, list: readonly number[], expect: Sample["expect"]): Sample {
  if (dice.chance(0.4)) return { args: [x, [...list]], expect };
  if (dice.chance(0.2)) return { args: [x], options: { [name]: [...list] }, expect };
  return { args: [x, ...list], expect };
}

function reshaping(name: string, option: string): Generator {
  return (dice) => {
    const x = tensorOf(dice, name === "view" ? { views: dice.chance(0.3) } : {});
    const sizes = sizesFor(dice, x.data.length);
    // Whether a view exists depends on strides, which the model does not know.
    const sample = variadic(dice, x, option, sizes, () => reshaped(x, inferred(sizes, x.data.length)));
    return name === "view" ? { ...sample, mayRefuse: true } : sample;
  };
}

function like(name: "viewAs" | "reshapeAs"): Generator {
  return (dice) => {
    const x = tensorOf(dice, { views: name !== "viewAs" });
    const sizes = sizesFor(dice, x.data.length).map((n) => Math.max(n, 0));
    const other = tensorOf(dice, { shape: sizes });
    return { args: [x, other], expect: () => reshaped(x, sizes) };
  };
}

function swap(x: Model, i: number, j: number): Model {
  const order = x.shape.map((_, d) => d);
  if (order.length === 0) return x;
  [order[i], order[j]] = [order[j]!, order[i]!];
  return permuted(x, order);
}

function parts(x: Model, dim: number, sizes: readonly number[]): Model[] {
  let start = 0;
  return sizes.map((n) => {
    const part = sliced(x, dim, start, n);
    start += n;
    return part;
  });
}

function expandTo(x: Model, sizes: readonly number[]): Model {
  const lead = sizes.length - x.shape.length;
  if (lead < 0) refuse("fewer dimensions");
  const target = sizes.map((n, d) => (n !== -1 ? n : d < lead ? refuse("-1 in a new dimension") : x.shape[d - lead]!));
  x.shape.forEach((n, d) => {
    if (n !== target[lead + d] && n !== 1) refuse("not expandable");
  });
  if (target.some((n) => n < 0)) refuse("negative");
  return expanded(x, target);
}

function largerShape(dice: Dice, x: Model, withHoles: boolean): number[] {
  const lead = dice.chance(0.3) ? shape(dice, 0, 2) : [];
  const own = x.shape.map((n) => (n === 1 && dice.chance(0.6) ? dice.int(0, 4) : dice.chance(0.02) ? n + 1 : n));
  return [...lead, ...own.map((n) => (withHoles && dice.chance(0.15) ? -1 : n))];
}

function expanding(option: string): Generator {
  return (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 0, 3).map((n) => (dice.chance(0.4) ? 1 : n)) });
    const sizes = largerShape(dice, x, true);
    return variadic(dice, x, option, sizes, () => expandTo(x, sizes));
  };
}

// --- joining ----------------------------------------------------------------------------------------------------------

function list(dice: Dice, vary: number | null, minRank: number): Given[] {
  const first = shape(dice, minRank, 3);
  const types = dice.chance(0.8) ? [dtype(dice)] : (["float32", "int32", "bool"] as const);
  return Array.from({ length: dice.int(1, 4) }, () => {
    const own = vary === null || vary >= first.length ? first : first.with(vary, dice.int(0, 3));
    return tensorOf(dice, { shape: dice.chance(0.02) ? shape(dice) : own, dtype: dice.pick(types) });
  });
}

function concatenated(tensors: readonly Model[], given: number): Model {
  const type = resultType(tensors);
  const used = tensors.filter((t) => !(t.shape.length === 1 && t.shape[0] === 0));
  if (used.length === 0) return { shape: [0], dtype: type, data: [] };
  const rank = used[0]!.shape.length;
  if (rank === 0) refuse("zero dimensions");
  const dim = wrap(given, rank);
  for (const t of used)
    if (t.shape.length !== rank || t.shape.with(dim, 0).join() !== used[0]!.shape.with(dim, 0).join())
      refuse("sizes differ");
  return joined(used, dim, type);
}

function stacked(tensors: readonly Model[], given: number): Model {
  const first = tensors[0]!;
  if (tensors.some((t) => t.shape.join() !== first.shape.join())) refuse("sizes differ");
  const dim = wrap(given, first.shape.length + 1);
  return joined(
    tensors.map((t) => reshaped(t, t.shape.toSpliced(dim, 0, 1))),
    dim,
    resultType(tensors),
  );
}

function atLeast(x: Model, rank: 1 | 2 | 3): Model {
  const s = x.shape;
  if (s.length >= rank) return x;
  if (s.length === 0) return reshaped(x, new Array<number>(rank).fill(1));
  if (rank === 2) return reshaped(x, [1, s[0]!]);
  return reshaped(x, s.length === 1 ? [1, s[0]!, 1] : [...s, 1]);
}

function stacking(rank: 1 | 2 | 3, dimOf: (first: Model) => number, vary: number): Generator {
  return (dice) => {
    const tensors = list(dice, vary, 0);
    return {
      args: [tensors],
      expect: () => {
        const wide = tensors.map((t) => atLeast(t, rank));
        return concatenated(wide, dimOf(wide[0]!));
      },
    };
  };
}

// --- products of matrices ---------------------------------------------------------------------------------------------

const MATRIX: readonly DType[] = ["float32", "float64", "int32"];

/** Product over equal batch dimensions that broadcast. */
export function product(a: Model, b: Model): Model {
  if (a.shape.length === 0 || b.shape.length === 0) refuse("zero dimensions");
  if (a.dtype !== b.dtype || a.dtype === "bool") refuse("dtypes");
  const left = a.shape.length === 1 ? reshaped(a, [1, a.shape[0]!]) : a;
  const right = b.shape.length === 1 ? reshaped(b, [b.shape[0]!, 1]) : b;
  const [m, k] = left.shape.slice(-2) as [number, number];
  const [inner, n] = right.shape.slice(-2) as [number, number];
  if (k !== inner) refuse("inner sizes");
  const batch = broadcast(left.shape.slice(0, -2), right.shape.slice(0, -2));
  const out = make([...batch, m, n], a.dtype, (at) => {
    const lead = at.slice(0, -2);
    const terms: number[] = [];
    for (let i = 0; i < k; i++)
      terms.push(
        times(a.dtype, spread(left, [...lead, at[at.length - 2]!, i]), spread(right, [...lead, i, at[at.length - 1]!])),
      );
    return sum(a.dtype, terms);
  });
  const shapeOf = [...batch, ...(a.shape.length === 1 ? [] : [m]), ...(b.shape.length === 1 ? [] : [n])];
  return reshaped(out, shapeOf);
}

function times(type: DType, x: number, y: number): number {
  return isFloat(type) ? x * y : Math.imul(x, y);
}

function matrices(
  dice: Dice,
  ranks: readonly [number, number],
  batch: "broadcast" | "equal" = "broadcast",
): [Given, Given] {
  const type = dtype(dice, MATRIX);
  const size = (): number => (dice.chance(0.04) ? 0 : dice.int(1, 6));
  const [m, k, n] = [size(), size(), size()];
  const lead = Array.from({ length: Math.max(ranks[0], ranks[1], 2) - 2 }, () => dice.int(1, 3));
  const batchOf = (rank: number): number[] =>
    lead.slice(lead.length - Math.max(rank - 2, 0)).map((s) => (batch === "broadcast" && dice.chance(0.2) ? 1 : s));
  const inner = dice.chance(0.03) ? k + 1 : k;
  const a = ranks[0] === 0 ? [] : ranks[0] === 1 ? [k] : [...batchOf(ranks[0]), m, k];
  const b = ranks[1] === 0 ? [] : ranks[1] === 1 ? [inner] : [...batchOf(ranks[1]), inner, n];
  const other = dice.chance(0.03) ? dtype(dice) : type;
  return [
    tensorOf(dice, { shape: a, dtype: type, values: "plain" }),
    tensorOf(dice, { shape: b, dtype: other, values: "plain" }),
  ];
}

function multiplying(
  ranks: (dice: Dice) => [number, number],
  option: string,
  batch: "broadcast" | "equal" = "broadcast",
): Generator {
  return (dice) => {
    const [a, b] = matrices(dice, ranks(dice), batch);
    return form(
      dice,
      [a],
      [option],
      { [option]: b },
      () => {
        if (batch === "equal" && a.shape[0] !== b.shape[0]) refuse("batches");
        return product(a, b);
      },
      { loose: 10 },
    );
  };
}

function added(names: readonly [string, string], ranks: [number, number]): Generator {
  return (dice) => {
    const [a, b] = matrices(dice, ranks, "equal");
    const result = [...a.shape.slice(0, -1), ...(ranks[1] === 1 ? [] : b.shape.slice(-1))];
    const x = tensorOf(dice, { shape: partner(dice, result), dtype: a.dtype, values: "plain" });
    const beta = perhaps(dice, 0.3, () => dice.pick([0, 1, 2, -1]));
    const alpha = perhaps(dice, 0.3, () => dice.pick([1, 2, -1, 0]));
    return form(
      dice,
      [x],
      names,
      { [names[0]]: a, [names[1]]: b, beta, alpha },
      () => {
        const p = product(a, b);
        if (broadcast(x.shape, p.shape).join() !== p.shape.join()) refuse("the input is larger");
        return make(p.shape, a.dtype, (at) => {
          const scaled = times(a.dtype, get(p, at), alpha ?? 1);
          return beta === 0 ? scaled : sum(a.dtype, [times(a.dtype, spread(x, at), beta ?? 1), scaled]);
        });
      },
      { loose: 10 },
    );
  };
}

/** Views, movement, joining and matrix products. */
export const STRUCTURE: Table = {
  view: reshaping("view", "size"),
  reshape: reshaping("reshape", "shape"),
  viewAs: like("viewAs"),
  reshapeAs: like("reshapeAs"),
  flatten: (dice) => {
    const x = tensorOf(dice);
    const startDim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
    const endDim = startDim === undefined ? undefined : perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
    return form(dice, [x], ["startDim", "endDim"], { startDim, endDim }, () => {
      const start = wrap(startDim ?? 0, x.shape.length);
      const end = wrap(endDim ?? -1, x.shape.length);
      if (start > end) refuse("order");
      return reshaped(x, [...x.shape.slice(0, start), count(x.shape.slice(start, end + 1)), ...x.shape.slice(end + 1)]);
    });
  },
  ravel: (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => reshaped(x, [x.data.length]) };
  },
  unflatten: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 1, 3) });
    const dim = dimension(dice, x.shape.length);
    const sizes = sizesFor(dice, x.shape.at(dim) ?? 1);
    return form(dice, [x], ["dim", "sizes"], { dim, sizes }, () => {
      const d = wrap(dim, x.shape.length);
      const inner = inferred(sizes, x.shape[d]!);
      if (count(inner) !== x.shape[d] || inner.length === 0) refuse("sizes");
      return reshaped(x, x.shape.toSpliced(d, 1, ...inner));
    });
  },
  permute: (dice) => {
    const x = tensorOf(dice);
    const order = dice.shuffle(x.shape.map((_, d) => (dice.chance(0.2) ? d - x.shape.length : d)));
    if (dice.chance(0.05)) order.push(0);
    return variadic(dice, x, "dims", order, () => {
      if (order.length !== x.shape.length) refuse("number of dims");
      return permuted(
        x,
        order.map((d) => wrap(d, x.shape.length)),
      );
    });
  },
  transpose: (dice) => {
    const x = tensorOf(dice);
    const [dim0, dim1] = [dimension(dice, x.shape.length), dimension(dice, x.shape.length)];
    return form(dice, [x], ["dim0", "dim1"], { dim0, dim1 }, () =>
      swap(x, wrap(dim0, x.shape.length), wrap(dim1, x.shape.length)),
    );
  },
  t: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 0, dice.chance(0.9) ? 2 : 3) });
    return { args: [x], expect: () => (x.shape.length > 2 ? refuse("rank") : x.shape.length < 2 ? x : swap(x, 0, 1)) };
  },
  T: (dice) => {
    const x = tensorOf(dice);
    return {
      args: [x],
      expect: () =>
        permuted(
          x,
          x.shape.map((_, d) => x.shape.length - 1 - d),
        ),
    };
  },
  mT: (dice) => {
    const x = tensorOf(dice);
    return {
      args: [x],
      expect: () => (x.shape.length < 2 ? refuse("rank") : swap(x, x.shape.length - 1, x.shape.length - 2)),
    };
  },
  movedim: (dice) => {
    const x = tensorOf(dice);
    const rank = x.shape.length;
    const some = (n: number): number[] =>
      dice
        .shuffle(x.shape.map((_, d) => d))
        .slice(0, n)
        .map((d) => (dice.chance(0.2) ? d - rank : d));
    const n = dice.int(0, rank);
    const single = rank === 0 || dice.chance(0.4);
    const source = single ? dimension(dice, rank) : some(n);
    const destination = single ? dimension(dice, rank) : some(dice.chance(0.03) ? Math.max(n - 1, 0) : n);
    return form(dice, [x], ["source", "destination"], { source, destination }, () => {
      const from = [source].flat().map((d) => wrap(d, rank));
      const to = [destination].flat().map((d) => wrap(d, rank));
      if (from.length !== to.length) refuse("lengths");
      if (rank === 0) return x;
      const order = x.shape.map((_, d) => d).filter((d) => !from.includes(d));
      const pairs = to.map((d, i) => [d, from[i]!] as const).sort((p, q) => p[0] - q[0]);
      for (const [d, s] of pairs) order.splice(d, 0, s);
      return permuted(x, order);
    });
  },
  squeeze: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice).map((n) => (dice.chance(0.4) ? 1 : n)) });
    const dim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
    return form(dice, [x], ["dim"], { dim }, () => {
      const only = dim === undefined ? null : wrap(dim, x.shape.length);
      return reshaped(
        x,
        x.shape.filter((n, d) => n !== 1 || (only !== null && only !== d)),
      );
    });
  },
  unsqueeze: (dice) => {
    const x = tensorOf(dice);
    const dim = dimension(dice, x.shape.length + 1);
    return form(dice, [x], ["dim"], { dim }, () => reshaped(x, x.shape.toSpliced(wrap(dim, x.shape.length + 1), 0, 1)));
  },
  expand: expanding("size"),
  broadcastTo: expanding("size"),
  expandAs: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 0, 3).map((n) => (dice.chance(0.4) ? 1 : n)) });
    const other = tensorOf(dice, { shape: largerShape(dice, x, false) });
    return { args: [x, other], expect: () => expandTo(x, other.shape) };
  },
  sumToSize: (dice) => {
    const x = tensorOf(dice, { dtype: dtype(dice, MATRIX), values: "plain" });
    const sizes = x.shape
      .slice(dice.int(0, x.shape.length))
      .map((n) => (dice.chance(0.4) ? 1 : dice.chance(0.02) ? n + 1 : n));
    return variadic(dice, x, "size", sizes, () => {
      if (broadcast(sizes, x.shape).join() !== x.shape.join()) refuse("not expandable");
      const lead = x.shape.length - sizes.length;
      const target = make(sizes, x.dtype, () => 0);
      const result = target.data.map((): number[] => []);
      let i = 0;
      for (const v of x.data) {
        let rest = i++;
        let p = 0;
        let step = 1;
        for (let d = x.shape.length - 1; d >= 0; d--) {
          const at = rest % x.shape[d]!;
          rest = Math.floor(rest / x.shape[d]!);
          if (d >= lead) {
            p += (sizes[d - lead] === 1 ? 0 : at) * step;
            step *= sizes[d - lead]!;
          }
        }
        result[p]!.push(v);
      }
      return { ...target, data: result.map((vs) => sum(x.dtype, vs)) };
    });
  },
  select: (dice) => {
    const x = tensorOf(dice);
    const dim = dimension(dice, x.shape.length);
    const n = x.shape.at(dim) ?? 1;
    const index = dice.chance(0.06) ? dice.pick([n, -n - 1, n + 5]) : dice.int(-n, Math.max(n - 1, -n));
    return form(dice, [x], ["dim", "index"], { dim, index }, () => {
      if (x.shape.length === 0) refuse("rank");
      const d = wrap(dim, x.shape.length);
      if (index < -x.shape[d]! || index >= x.shape[d]!) refuse("index");
      return selected(x, d, index < 0 ? index + x.shape[d]! : index);
    });
  },
  slice: (dice) => {
    const x = tensorOf(dice);
    const dim = perhaps(dice, 0.8, () => dimension(dice, x.shape.length));
    const bound = (): number | null => (dice.chance(0.15) ? null : dice.int(-7, 7));
    const start = perhaps(dice, 0.7, bound);
    const end = perhaps(dice, 0.7, bound);
    const step = perhaps(dice, 0.4, () => (dice.chance(0.06) ? dice.pick([0, -1]) : dice.int(1, 3)));
    return form(dice, [x], ["dim", "start", "end", "step"], { dim, start, end, step }, () => {
      if (x.shape.length === 0) refuse("rank");
      return pythonSlice(x, wrap(dim ?? 0, x.shape.length), start ?? null, end ?? null, step ?? 1);
    });
  },
  narrow: (dice) => {
    const x = tensorOf(dice);
    const dim = dimension(dice, x.shape.length);
    const n = x.shape.at(dim) ?? 1;
    const start = dice.int(dice.chance(0.2) ? -n : 0, dice.chance(0.04) ? n + 1 : n);
    const length = dice.int(0, Math.max(n - (start < 0 ? start + n : start), 0) + (dice.chance(0.04) ? 1 : 0));
    return form(dice, [x], ["dim", "start", "length"], { dim, start, length }, () => {
      if (x.shape.length === 0) refuse("rank");
      const d = wrap(dim, x.shape.length);
      const size = x.shape[d]!;
      const from = start < 0 ? start + size : start;
      if (from < 0 || from + length > size) refuse("range");
      return sliced(x, d, from, length);
    });
  },
  diagonal: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.9) ? 2 : 0, 4) });
    const rank = x.shape.length;
    const offset = perhaps(dice, 0.6, () => dice.int(-4, 4));
    const dim1 = offset === undefined ? undefined : perhaps(dice, 0.5, () => dimension(dice, rank));
    const dim2 = dim1 === undefined ? undefined : perhaps(dice, 0.8, () => dimension(dice, rank));
    return form(dice, [x], ["offset", "dim1", "dim2"], { offset, dim1, dim2 }, () => {
      const a = wrap(dim1 ?? 0, rank);
      const b = wrap(dim2 ?? 1, rank);
      if (a === b) refuse("equal dims");
      const k = offset ?? 0;
      const n = Math.max(k >= 0 ? Math.min(x.shape[a]!, x.shape[b]! - k) : Math.min(x.shape[a]! + k, x.shape[b]!), 0);
      const rest = x.shape.map((_, d) => d).filter((d) => d !== a && d !== b);
      return mapped(x, [...rest.map((d) => x.shape[d]!), n], (at) => {
        const source = new Array<number>(rank);
        rest.forEach((d, i) => (source[d] = at[i]!));
        source[a] = at[rest.length]! + Math.max(-k, 0);
        source[b] = at[rest.length]! + Math.max(k, 0);
        return source;
      });
    });
  },
  split: (dice) => {
    const x = tensorOf(dice);
    const dim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
    const n = x.shape.at(dim ?? 0) ?? 1;
    const sizes = dice.chance(0.5);
    const splitSize = sizes ? splitOf(dice, n) : dice.int(dice.chance(0.05) ? -1 : 1, 4);
    return form(dice, [x], ["splitSize", "dim"], { splitSize, dim }, () => {
      if (x.shape.length === 0) refuse("rank");
      const d = wrap(dim ?? 0, x.shape.length);
      if (Array.isArray(splitSize)) return splitAt(x, d, splitSize);
      const size = splitSize;
      if (size < 0 || (size === 0 && x.shape[d]! > 0)) refuse("size");
      const pieces = x.shape[d] === 0 ? 1 : Math.ceil(x.shape[d]! / size);
      return parts(
        x,
        d,
        Array.from({ length: pieces }, (_, i) => Math.min(size, x.shape[d]! - i * size)),
      );
    });
  },
  splitWithSizes: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 1, 4) });
    const dim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
    const splitSizes = splitOf(dice, x.shape.at(dim ?? 0) ?? 1);
    return {
      args: dim === undefined ? [x, splitSizes] : [x, splitSizes, dim],
      expect: () => splitAt(x, wrap(dim ?? 0, x.shape.length), splitSizes),
    };
  },
  chunk: (dice) => {
    const x = tensorOf(dice);
    const chunks = dice.int(dice.chance(0.05) ? -1 : 1, 5);
    const dim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
    return form(dice, [x], ["chunks", "dim"], { chunks, dim }, () => {
      if (x.shape.length === 0 || chunks <= 0) refuse("rank or chunks");
      const d = wrap(dim ?? 0, x.shape.length);
      const n = x.shape[d]!;
      if (n === 0) return parts(x, d, new Array<number>(chunks).fill(0));
      const size = Math.ceil(n / chunks);
      return parts(
        x,
        d,
        Array.from({ length: Math.ceil(n / size) }, (_, i) => Math.min(size, n - i * size)),
      );
    });
  },
  unbind: (dice) => {
    const x = tensorOf(dice);
    const dim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
    return form(dice, [x], ["dim"], { dim }, () => {
      if (x.shape.length === 0) refuse("rank");
      const d = wrap(dim ?? 0, x.shape.length);
      return Array.from({ length: x.shape[d]! }, (_, i) => selected(x, d, i));
    });
  },
  contiguous: same(),
  clone: same(),
  detach: same(),
  flip: (dice) => {
    const x = tensorOf(dice);
    const dims = dice.shuffle(x.shape.map((_, d) => d)).slice(0, dice.int(0, x.shape.length));
    if (dice.chance(0.03)) dims.push(x.shape.length + 1);
    return variadic(dice, x, "dims", dims, () => {
      const flipped = new Set(dims.map((d) => wrap(d, x.shape.length)));
      return mapped(x, x.shape, (at) => at.map((i, d) => (flipped.has(d) ? x.shape[d]! - 1 - i : i)));
    });
  },
  isSameSize: (dice) => {
    const x = tensorOf(dice);
    const other = tensorOf(dice, { shape: dice.chance(0.5) ? x.shape : shape(dice) });
    return {
      args: [x, other],
      expect: () => x.shape.join() === other.shape.join() && x.shape.length === other.shape.length,
    };
  },
  repeat: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 0, 3) });
    const repeats = Array.from(
      { length: x.shape.length + (dice.chance(0.3) ? 1 : 0) - (dice.chance(0.05) ? 1 : 0) },
      () => dice.int(0, 3),
    ).map((n) => Math.max(n, dice.chance(0.8) ? 1 : 0));
    return { args: dice.chance(0.5) ? [x, repeats] : [x, ...repeats], expect: () => repeated(x, repeats) };
  },
  tile: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 0, 3) });
    const dims = Array.from({ length: dice.int(0, x.shape.length + 1) }, () => dice.int(1, 3));
    return {
      args: [x, dims],
      expect: () => repeated(x, [...new Array<number>(Math.max(x.shape.length - dims.length, 0)).fill(1), ...dims]),
    };
  },

  cat: (dice) => {
    const at = dice.int(0, 2);
    const tensors = list(dice, at, 1);
    const rank = tensors[0]!.shape.length;
    const dim = at < rank ? (dice.chance(0.3) ? at - rank : at) : dimension(dice, rank);
    const given = dim === 0 ? perhaps(dice, 0.5, () => dim) : dim;
    return form(dice, [tensors], ["dim"], { dim: given }, () => concatenated(tensors, dim));
  },
  stack: (dice) => {
    const tensors = list(dice, null, 0);
    const dim = perhaps(dice, 0.6, () => dimension(dice, tensors[0]!.shape.length + 1));
    return form(dice, [tensors], ["dim"], { dim }, () => stacked(tensors, dim ?? 0));
  },
  hstack: stacking(1, (first) => (first.shape.length === 1 ? 0 : 1), 1),
  vstack: stacking(2, () => 0, 0),
  dstack: stacking(3, () => 2, 2),
  atleast1d: atLeastOf(1),
  atleast2d: atLeastOf(2),
  atleast3d: atLeastOf(3),

  matmul: multiplying(
    (dice) => [dice.int(dice.chance(0.03) ? 0 : 1, 4), dice.int(dice.chance(0.03) ? 0 : 1, 4)],
    "other",
  ),
  mm: multiplying(() => [2, 2], "mat2"),
  bmm: multiplying(() => [3, 3], "mat2", "equal"),
  mv: multiplying(() => [2, 1], "vec"),
  dot: multiplying(() => [1, 1], "tensor"),
  outer: (dice) => {
    const [a, b] = [
      tensorOf(dice, { shape: shape(dice, 1, 1), values: "plain" }),
      tensorOf(dice, { shape: shape(dice, 1, dice.chance(0.04) ? 2 : 1), values: "plain" }),
    ];
    return form(dice, [a], ["vec2"], { vec2: b }, () => {
      if (b.shape.length !== 1) refuse("rank");
      const t = resultType([a, b]);
      return make([a.shape[0]!, b.shape[0]!], t, ([i, j]) => times(t, a.data[i!]!, b.data[j!]!));
    });
  },
  addmm: added(["mat1", "mat2"], [2, 2]),
  baddbmm: added(["batch1", "batch2"], [3, 3]),
  addmv: added(["mat", "vec"], [2, 1]),
};

function same(): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => x };
  };
}

function atLeastOf(rank: 1 | 2 | 3): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => atLeast(x, rank) };
  };
}

function splitOf(dice: Dice, n: number): number[] {
  const sizes: number[] = [];
  let rest = n;
  while (rest > 0 && sizes.length < 4) {
    const k = dice.int(0, rest);
    sizes.push(k);
    rest -= k;
  }
  sizes.push(rest + (dice.chance(0.04) ? 1 : 0));
  return sizes;
}

function splitAt(x: Model, dim: number, sizes: readonly number[]): Model[] {
  if (sizes.reduce((a, b) => a + b, 0) !== x.shape[dim]) refuse("sum of sizes");
  return parts(x, dim, sizes);
}

function repeated(x: Model, repeats: readonly number[]): Model {
  const lead = repeats.length - x.shape.length;
  if (lead < 0 || repeats.some((n) => n < 0)) refuse("repeats");
  const own = [...new Array<number>(lead).fill(1), ...x.shape];
  const wide = reshaped(x, own);
  return mapped(
    wide,
    own.map((n, d) => n * repeats[d]!),
    (at) => at.map((i, d) => i % own[d]!),
  );
}

/** Python's `start:end:step`. */
export function pythonSlice(x: Model, dim: number, start: number | null, end: number | null, step: number): Model {
  if (step <= 0) refuse("step");
  const n = x.shape[dim]!;
  const clip = (v: number): number => Math.min(Math.max(v < 0 ? v + n : v, 0), n);
  const from = clip(start ?? 0);
  const to = clip(end ?? n);
  const indices: number[] = [];
  for (let i = from; i < to; i += step) indices.push(i);
  return mapped(x, x.shape.with(dim, indices.length), (at) => at.with(dim, indices[at[dim]!]!));
}
