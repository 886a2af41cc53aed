/** Movement: rolling, turning, grids, diagonals, parts, and writing at positions. */

import type { Dice } from "../dice.ts";
import { dtype, exactly, partner, shape, tensorOf, type Given } from "../given.ts";
import {
  broadcast,
  convert,
  coordinates,
  count,
  expanded,
  get,
  isModel,
  joined,
  make,
  mapped,
  permuted,
  position,
  refuse,
  reshaped,
  resultType,
  sliced,
  store,
  wrap,
  type Model,
} from "../model.ts";
import { dimension, form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";
import { pythonSlice } from "./structure.ts";

function modulo(i: number, n: number): number {
  return n === 0 ? 0 : ((i % n) + n) % n;
}

function rolled(x: Model, by: number, d: number): Model {
  if (x.shape.length === 0) return x;
  return mapped(x, x.shape, (at) => at.with(d, modulo(at[d]! - by, x.shape[d]!)));
}

function roll(dice: Dice): Sample {
  const x = tensorOf(dice);
  const rank = x.shape.length;
  const whole = dice.chance(0.25);
  const list = !whole && rank > 1 && dice.chance(0.4);
  const dims = whole
    ? perhaps(dice, 0.3, () => dice.pick([null, []]))
    : list
      ? dice.shuffle(x.shape.map((_, d) => d)).slice(0, 2)
      : dimension(dice, rank);
  const shifts = list ? [dice.int(-4, 4), dice.int(-4, 4)] : dice.chance(0.03) ? [1, 2, 3] : dice.int(-7, 7);
  return form(dice, [x], ["shifts", "dims"], { shifts, dims }, () => {
    const by = [shifts].flat();
    if (whole) {
      if (by.length !== 1) refuse("shifts");
      return reshaped(rolled(reshaped(x, [x.data.length]), by[0]!, 0), x.shape);
    }
    const at = [dims as number | number[]].flat();
    if (at.length !== by.length) refuse("lengths");
    return at.reduce<Model>((m, d, i) => rolled(m, by[i]!, wrap(d, rank)), x);
  });
}

function reversed(x: Model, d: number): Model {
  return mapped(x, x.shape, (at) => at.with(d, x.shape[d]! - 1 - at[d]!));
}

function swapped(x: Model, a: number, b: number): Model {
  const order = x.shape.map((_, d) => (d === a ? b : d === b ? a : d));
  return permuted(x, order);
}

function rot90(dice: Dice): Sample {
  const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.95) ? 2 : 1, 4) });
  const k = perhaps(dice, 0.7, () => dice.int(-5, 5));
  const dims = perhaps(dice, 0.6, () =>
    dice.chance(0.04)
      ? [0, 0]
      : dice
          .shuffle(x.shape.map((_, d) => d))
          .slice(0, 2)
          .map((d) => (dice.chance(0.3) ? d - x.shape.length : d)),
  );
  return form(dice, [x], ["k", "dims"], { k, dims }, () => {
    const given = dims ?? [0, 1];
    if (given.length !== 2) refuse("dims");
    const [a, b] = given.map((d) => wrap(d, x.shape.length)) as [number, number];
    if (a === b || x.shape.length < 2) refuse("dims");
    let m: Model = x;
    for (let i = 0; i < modulo(k ?? 1, 4); i++) m = swapped(reversed(m, b), a, b);
    return m;
  });
}

function flipping(d: number): Generator {
  return (dice) => {
    const x = tensorOf(dice);
    return { args: [x], expect: () => (x.shape.length <= d ? refuse("rank") : reversed(x, d)) };
  };
}

// --- several tensors ------------------------------------------------------------------------------------------------------

/** A list of tensors as PyTorch's `*tensors` takes it: an array, or plain arguments. */
function several(
  dice: Dice,
  list: readonly Given[],
  expect: Sample["expect"],
  options?: Record<string, unknown>,
): Sample {
  const args: unknown[] = dice.chance(0.5) ? [list] : [...list];
  return options === undefined ? { args, expect } : { args, options, expect };
}

function vectors(dice: Dice, scalars: boolean): Given[] {
  const types = dice.chance(0.8) ? [dtype(dice)] : (["float32", "int32"] as const);
  return Array.from({ length: dice.int(1, 3) }, () =>
    tensorOf(dice, {
      shape: dice.chance(0.03) ? [2, 2] : scalars && dice.chance(0.1) ? [] : [dice.int(dice.chance(0.1) ? 0 : 1, 4)],
      dtype: dice.pick(types),
    }),
  );
}

function grids(list: readonly Model[], xy: boolean): Model[] {
  if (list.some((t) => t.shape.length > 1)) refuse("rank");
  const sizes = list.map((t) => t.data.length);
  const order = sizes.map((_, i) => i);
  if (xy && list.length > 1) order.splice(0, 2, 1, 0);
  const size = order.map((i) => sizes[i]!);
  return list.map((t, i) => make(size, t.dtype, (at) => t.data[at[order.indexOf(i)]!]!));
}

function meshgrid(dice: Dice): Sample {
  const list = vectors(dice, true);
  const indexing = perhaps(dice, 0.5, () => dice.pick(["ij", "xy", dice.chance(0.1) ? "yx" : "ij"]));
  return several(
    dice,
    list,
    () => (indexing === "yx" ? refuse("indexing") : grids(list, indexing === "xy")),
    indexing === undefined ? undefined : { indexing },
  );
}

function stackedColumns(list: readonly Model[]): Model {
  const type = resultType(list);
  return make([list[0]!.data.length, list.length], type, ([i, j]) =>
    convert(list[j!]!.dtype, type, list[j!]!.data[i!]!),
  );
}

function cartesian(dice: Dice): Sample {
  const list = vectors(dice, false);
  return several(dice, list, () => {
    if (list.some((t) => t.shape.length !== 1)) refuse("rank");
    if (list.length === 1) return list[0]!;
    if (list.some((t) => t.dtype !== list[0]!.dtype)) return null;
    return stackedColumns(grids(list, false).map((g) => ({ ...g, shape: [g.data.length] })));
  });
}

function blockDiag(dice: Dice): Sample {
  const type = dtype(dice);
  const list = Array.from({ length: dice.int(1, 3) }, () =>
    tensorOf(dice, { shape: dice.chance(0.03) ? [1, 1, 1] : shape(dice, 0, 2), dtype: type }),
  );
  return several(dice, list, () => {
    if (list.some((t) => t.shape.length > 2)) refuse("rank");
    const blocks = list.map((t) => reshaped(t, t.shape.length === 2 ? t.shape : [1, t.data.length]));
    const size = [0, 1].map((d) => blocks.reduce((n, b) => n + b.shape[d]!, 0));
    const data = make(size, type, () => 0);
    const out = [...data.data];
    let [row, column] = [0, 0];
    for (const b of blocks) {
      for (const at of coordinates(b.shape)) out[(row + at[0]!) * size[1]! + column + at[1]!] = get(b, at);
      row += b.shape[0]!;
      column += b.shape[1]!;
    }
    return { ...data, data: out };
  });
}

function columnStack(dice: Dice): Sample {
  const n = dice.int(1, 4);
  const type = dtype(dice);
  const list = Array.from({ length: dice.int(1, 3) }, () =>
    tensorOf(dice, { shape: dice.chance(0.5) ? [dice.chance(0.03) ? n + 1 : n] : [n, dice.int(0, 3)], dtype: type }),
  );
  return {
    args: [list],
    expect: () => {
      const wide = list.map((t) => (t.shape.length === 1 ? reshaped(t, [t.data.length, 1]) : t));
      if (wide.some((t) => t.shape[0] !== wide[0]!.shape[0])) refuse("rows");
      return joined(wide, 1, type);
    },
  };
}

// --- diagonals ------------------------------------------------------------------------------------------------------------

function embedded(x: Model, offset: number, dim1: number, dim2: number): Model {
  if (x.shape.length === 0) refuse("rank");
  const rank = x.shape.length + 1;
  const [a, b] = [wrap(dim1, rank), wrap(dim2, rank)];
  if (a === b) refuse("one dimension");
  const n = x.shape.at(-1)! + Math.abs(offset);
  const lead = x.shape.slice(0, -1);
  const size = Array.from({ length: rank }, (_, d) => (d === a || d === b ? n : lead.shift()!));
  return make(size, x.dtype, (at) => {
    const [i, j] = [at[a]!, at[b]!];
    if (j - i !== offset) return 0;
    return get(x, [...at.filter((_, d) => d !== a && d !== b), Math.min(i, j)]);
  });
}

/** Coordinates of a diagonal: its shape, and where each of its elements lies. */
function diagonalOf(
  x: Model,
  offset: number,
  dim1: number,
  dim2: number,
): { size: number[]; at: (c: readonly number[]) => number[] } {
  const [a, b] = [wrap(dim1, x.shape.length), wrap(dim2, x.shape.length)];
  if (a === b || x.shape.length < 2) refuse("one dimension");
  const rest = x.shape.map((_, d) => d).filter((d) => d !== a && d !== b);
  const n = Math.max(Math.min(x.shape[a]! - Math.max(-offset, 0), x.shape[b]! - Math.max(offset, 0)), 0);
  return {
    size: [...rest.map((d) => x.shape[d]!), n],
    at: (c) => {
      const place = new Array<number>(x.shape.length).fill(0);
      rest.forEach((d, i) => (place[d] = c[i]!));
      place[a] = c.at(-1)! + Math.max(-offset, 0);
      place[b] = c.at(-1)! + Math.max(offset, 0);
      return place;
    },
  };
}

/** `x` with `src` written where a part of it lies. */
function written(
  x: Model,
  size: readonly number[],
  at: (c: readonly number[]) => readonly number[],
  src: Model,
): Model {
  if (src.shape.join() !== size.join() || src.shape.length !== size.length) refuse("src");
  const data = [...x.data];
  for (const c of coordinates(size)) data[position(x.shape, at(c))] = convert(src.dtype, x.dtype, get(src, c));
  return { shape: x.shape, dtype: x.dtype, data };
}

function source(dice: Dice, x: Given, size: () => readonly number[]): Given {
  let known: readonly number[];
  try {
    known = size();
  } catch {
    known = [1];
  }
  return tensorOf(dice, {
    shape: dice.chance(0.04) ? [...known, 2] : known,
    dtype: dice.chance(0.9) ? x.dtype : dtype(dice),
    values: "plain",
  });
}

// --- parts ----------------------------------------------------------------------------------------------------------------

function cutAt(x: Model, at: readonly number[], dim: number): Model[] {
  return [0, ...at].map((start, i) => pythonSlice(x, dim, start, i < at.length ? at[i]! : null, 1));
}

function sections(x: Model, given: number | readonly number[], dim: number): Model[] {
  if (typeof given !== "number") return cutAt(x, given, dim);
  if (given <= 0) refuse("sections");
  const n = x.shape[dim]!;
  const larger = n % given;
  const each = Math.floor(n / given);
  let start = 0;
  return Array.from({ length: given }, (_, i) => {
    const size = each + Number(i < larger);
    start += size;
    return sliced(x, dim, start - size, size);
  });
}

function tensorSplit(dice: Dice): Sample {
  const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.95) ? 1 : 0, 4) });
  const dim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
  const kind = dice.pick(["number", "list", "list", "tensor", "scalar"] as const);
  const list = Array.from({ length: dice.int(0, 3) }, () => dice.int(-2, 6));
  const number = dice.int(dice.chance(0.04) ? 0 : 1, 5);
  const plain = kind === "number" || kind === "scalar" ? number : list;
  const given =
    kind === "tensor"
      ? exactly([list.length], "int32", (i) => list[i]!)
      : kind === "scalar"
        ? exactly([], "int32", () => number)
        : plain;
  const expect = (): Model[] => {
    const d = wrap(dim ?? 0, x.shape.length);
    if (x.shape.length === 0) refuse("rank");
    return sections(x, plain, d);
  };
  if (isModel(given)) return { args: dim === undefined ? [x, given] : [x, given, dim], expect };
  return form(dice, [x], ["indicesOrSections", "dim"], { indicesOrSections: given, dim }, expect);
}

function dimSplit(minimum: number, dimOf: (rank: number) => number): Generator {
  return (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.93) ? minimum : minimum - 1, 4) });
    const rank = x.shape.length;
    const n = x.shape[dimOf(rank)] ?? 1;
    const fitting = [1, 2, 3, 4].filter((k) => n % k === 0);
    const given = dice.chance(0.5)
      ? dice.chance(0.9)
        ? dice.pick(fitting)
        : dice.int(0, 5)
      : Array.from({ length: dice.int(0, 3) }, () => dice.int(0, 5));
    return {
      args: [x, given],
      expect: () => {
        if (rank < minimum || (typeof given === "number" && (given <= 0 || n % given !== 0)))
          refuse("rank or sections");
        return sections(x, given, dimOf(rank));
      },
    };
  };
}

function repeatInterleave(dice: Dice): Sample {
  const x = tensorOf(dice);
  const dim = perhaps(dice, 0.7, () => (dice.chance(0.1) ? null : dimension(dice, x.shape.length)));
  const repeats = dice.chance(0.04) ? dice.pick([-1, 1.5]) : dice.int(0, 3);
  return form(dice, [x], ["repeats", "dim"], { repeats, dim }, () => {
    const wide = dim == null || x.shape.length === 0 ? reshaped(x, [x.data.length]) : x;
    const d = dim == null ? 0 : wrap(dim, x.shape.length);
    if (repeats < 0 || !Number.isInteger(repeats)) refuse("repeats");
    return mapped(wide, wide.shape.with(d, wide.shape[d]! * repeats), (at) => at.with(d, Math.floor(at[d]! / repeats)));
  });
}

// --- writing at positions ---------------------------------------------------------------------------------------------------

function placesOf(dice: Dice, n: number, size: readonly number[], low: number): { index: Given; late: boolean } {
  const wrong = dice.chance(0.04) || n === 0;
  const pending = dice.chance(0.25);
  const plain = exactly(size, "int32", () =>
    wrong && dice.chance(0.5) ? dice.pick([n, n + 2, -n - 1]) : n === 0 ? 0 : dice.int(low, n - 1),
  );
  const bad = plain.data.some((i) => i < low || i >= n);
  const index = pending ? plain.pending() : dice.chance(0.1) ? plain.beside(n + 5) : plain;
  return { index, late: bad && pending };
}

function checkPlaces(index: Model, n: number, low = 0): void {
  if (index.data.some((i) => i < low || i >= n)) refuse("index");
}

function slices(fill: boolean): Generator {
  return (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.9) ? 1 : 0, 3), values: "plain" });
    const rank = x.shape.length;
    const dim = dimension(dice, rank);
    const valid = dim >= -Math.max(rank, 1) && dim < Math.max(rank, 1);
    const d = valid ? wrap(dim, rank) : 0;
    const n = rank === 0 ? 1 : x.shape[d]!;
    const m = rank === 0 ? 1 : dice.int(0, n);
    // Each place once: what is written last is open otherwise.
    const drawn = placesOf(dice, n, rank === 0 && dice.chance(0.5) ? [] : [m], 0);
    const once = dice.shuffle(Array.from({ length: n }, (_, i) => i));
    const bad = drawn.index.data.some((i) => i >= n || i < 0);
    const index = bad ? drawn.index : exactly(drawn.index.shape, "int32", (i) => once[i]!);
    const late = bad && drawn.late;
    const size = rank === 0 ? [] : x.shape.with(d, index.data.length);
    if (fill) {
      const value = dice.chance(0.8)
        ? dice.pick([0, 1, 3])
        : tensorOf(dice, { shape: dice.chance(0.1) ? [2] : [], dtype: x.dtype, values: "plain" });
      return form(
        dice,
        [x],
        ["dim", "index", "value"],
        { dim, index, value },
        () => {
          wrap(dim, rank);
          checkPlaces(index, n);
          if (isModel(value) && value.shape.length > 0) refuse("value");
          const v = isModel(value) ? value.data[0]! : convert("float64", x.dtype, value);
          return written(
            x,
            size,
            (c) => (rank === 0 ? [] : c.with(d, index.data[c[d]!]!)),
            make(size, x.dtype, () => v),
          );
        },
        { late },
      );
    }
    const src = tensorOf(dice, { shape: dice.chance(0.04) ? [...size, 2] : size, dtype: x.dtype, values: "plain" });
    return form(
      dice,
      [x],
      ["dim", "index", "source"],
      { dim, index, source: src },
      () => {
        wrap(dim, rank);
        if (rank === 0 && src.data.length !== 1) refuse("source");
        if (rank > 0 && src.shape.join() !== size.join()) refuse("source");
        checkPlaces(index, n);
        return written(x, size, (c) => (rank === 0 ? [] : c.with(d, index.data[c[d]!]!)), src);
      },
      { late },
    );
  };
}

function flatPut(dice: Dice): Sample {
  const x = tensorOf(dice, { values: "plain" });
  const n = x.data.length;
  const accumulate = perhaps(dice, 0.6, () => dice.chance(0.6));
  const size = shape(dice, 0, 2);
  const { index, late } = placesOf(dice, n, size, -n);
  const src = tensorOf(dice, {
    shape: dice.chance(0.04) ? [...size, 2] : [count(size)],
    dtype: dice.chance(0.95) ? x.dtype : dtype(dice),
    values: "plain",
  });
  const wrapped = index.data.map((i) => (i < 0 ? i + n : i));
  const repeats = new Set(wrapped).size !== wrapped.length;
  const open = (repeats && accumulate !== true) || (x.dtype === "bool" && accumulate === true);
  return form(
    dice,
    [x],
    ["index", "source", "accumulate"],
    { index, source: src, accumulate },
    open && !wrapped.some((i) => i < 0 || i >= n)
      ? null
      : () => {
          if (src.data.length !== index.data.length || src.dtype !== x.dtype) refuse("source");
          checkPlaces(index, n, -n);
          const data = [...x.data];
          wrapped.forEach((p, i) => {
            data[p] = store(x.dtype, accumulate === true ? data[p]! + src.data[i]! : src.data[i]!);
          });
          return { shape: x.shape, dtype: x.dtype, data };
        },
    { late, loose: 10 },
  );
}

// --- triangles --------------------------------------------------------------------------------------------------------------

function triangle(belongs: (row: number, column: number, offset: number) => boolean): Generator {
  return (dice) => {
    const [row, col] = [dice.int(dice.chance(0.03) ? -1 : 0, 5), dice.int(0, 5)];
    const offset = perhaps(dice, 0.6, () => dice.int(-3, 3));
    const type = perhaps(dice, 0.2, () => dice.pick(["int32", "float32", null] as const));
    return form(dice, [row], ["col", "offset"], { col, offset, dtype: type }, () => {
      if (row < 0) refuse("negative");
      const found =
        [...coordinates([row, col])].length === 0 ? [] : positionsWhere(row, col, (r, c) => belongs(r, c, offset ?? 0));
      const data = [...found.map((at) => at[0]), ...found.map((at) => at[1])];
      return { shape: [2, found.length], dtype: type ?? "int32", data };
    });
  };
}

function positionsWhere(rows: number, columns: number, f: (r: number, c: number) => boolean): [number, number][] {
  const found: [number, number][] = [];
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) if (f(r, c)) found.push([r, c]);
  return found;
}

function combinations(dice: Dice): Sample {
  const x = tensorOf(dice, { shape: dice.chance(0.04) ? [2, 2] : [dice.int(0, 5)] });
  const r = perhaps(dice, 0.7, () => (dice.chance(0.04) ? -1 : dice.int(0, 4)));
  const withReplacement = perhaps(dice, 0.5, () => dice.chance(0.5));
  return form(dice, [x], ["r", "withReplacement"], { r, withReplacement }, () => {
    const size = r ?? 2;
    if (x.shape.length !== 1 || size < 0) refuse("rank or r");
    if (size === 0) return make([0], x.dtype, () => 0);
    let lists: number[][] = [[]];
    for (let i = 0; i < size; i++)
      lists = lists.flatMap((l) => {
        const from = l.length === 0 ? 0 : l.at(-1)! + (withReplacement === true ? 0 : 1);
        return Array.from({ length: Math.max(x.data.length - from, 0) }, (_, j) => [...l, from + j]);
      });
    return make([lists.length, size], x.dtype, ([i, j]) => x.data[lists[i!]![j!]!]!);
  });
}

/** Movement and writing at positions. */
export const MOVEMENT: Table = {
  roll,
  rot90,
  fliplr: flipping(1),
  flipud: flipping(0),
  broadcastTensors: (dice) => {
    const first = shape(dice, 0, 3);
    const list = Array.from({ length: dice.int(1, 3) }, () => tensorOf(dice, { shape: partner(dice, first) }));
    return several(dice, list, () => {
      const size = broadcast(...list.map((t) => t.shape));
      return list.map((t) => expanded(t, size));
    });
  },
  meshgrid,
  cartesianProd: cartesian,
  blockDiag,
  columnStack,
  diag: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.05) ? 0 : 1, dice.chance(0.05) ? 3 : 2) });
    const diagonal = perhaps(dice, 0.6, () => dice.int(-3, 3));
    return form(dice, [x], ["diagonal"], { diagonal }, () => {
      if (x.shape.length === 1) return embedded(x, diagonal ?? 0, -2, -1);
      if (x.shape.length !== 2) refuse("rank");
      const { size, at } = diagonalOf(x, diagonal ?? 0, 0, 1);
      return mapped(x, size, at);
    });
  },
  diagEmbed: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.05) ? 0 : 1, 3) });
    const rank = x.shape.length + 1;
    const offset = perhaps(dice, 0.5, () => dice.int(-2, 2));
    const dim1 = offset === undefined ? undefined : perhaps(dice, 0.5, () => dimension(dice, rank));
    const dim2 = dim1 === undefined ? undefined : perhaps(dice, 0.8, () => dimension(dice, rank));
    return form(dice, [x], ["offset", "dim1", "dim2"], { offset, dim1, dim2 }, () =>
      embedded(x, offset ?? 0, dim1 ?? -2, dim2 ?? -1),
    );
  },
  diagflat: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 0, 2) });
    const offset = perhaps(dice, 0.5, () => dice.int(-2, 2));
    return form(dice, [x], ["offset"], { offset }, () => embedded(reshaped(x, [x.data.length]), offset ?? 0, -2, -1));
  },
  diagonalScatter: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.95) ? 2 : 1, 3), values: "plain" });
    const offset = perhaps(dice, 0.5, () => dice.int(-1, 1));
    const dim1 = offset === undefined ? undefined : perhaps(dice, 0.4, () => dice.int(0, x.shape.length - 1));
    const dim2 = dim1 === undefined ? undefined : dice.chance(0.95) ? (dim1 + 1) % x.shape.length : dim1;
    const part = () => diagonalOf(x, offset ?? 0, dim1 ?? 0, dim2 ?? 1);
    const src = source(dice, x, () => part().size);
    return form(dice, [x], ["src", "offset", "dim1", "dim2"], { src, offset, dim1, dim2 }, () => {
      const { size, at } = part();
      return written(x, size, at, src);
    });
  },
  selectScatter: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 1, 4).map((n) => Math.max(n, 1)), values: "plain" });
    const dim = dice.int(-x.shape.length, x.shape.length - 1);
    const d = dim < 0 ? dim + x.shape.length : dim;
    const n = x.shape[d]!;
    const index = dice.chance(0.04) ? n : dice.int(-n, n - 1);
    const size = x.shape.toSpliced(d, 1);
    const src = source(dice, x, () => size);
    return form(dice, [x], ["src", "dim", "index"], { src, dim, index }, () => {
      if (index >= n) refuse("index");
      return written(x, size, (c) => c.toSpliced(d, 0, index < 0 ? index + n : index), src);
    });
  },
  sliceScatter: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 1, 4), values: "plain" });
    const dim = perhaps(dice, 0.7, () => dice.int(0, x.shape.length - 1));
    const bound = (): number | null | undefined =>
      perhaps(dice, 0.6, () => (dice.chance(0.2) ? null : dice.int(-3, 6)));
    const start = dim === undefined ? undefined : bound();
    const end = start === undefined ? undefined : bound();
    const step = end === undefined ? undefined : perhaps(dice, 0.5, () => (dice.chance(0.05) ? 0 : dice.int(1, 3)));
    const d = dim ?? 0;
    const part = () => {
      if (step === 0) refuse("step");
      const places = make([x.shape[d]!], "int32", ([i]) => i!);
      return pythonSlice(places, 0, start ?? null, end ?? null, step ?? 1).data;
    };
    const src = source(dice, x, () => x.shape.with(d, part().length));
    return form(dice, [x], ["src", "dim", "start", "end", "step"], { src, dim, start, end, step }, () => {
      const places = part();
      return written(x, x.shape.with(d, places.length), (c) => c.with(d, places[c[d]!]!), src);
    });
  },
  tensorSplit,
  hsplit: dimSplit(1, (rank) => (rank === 1 ? 0 : 1)),
  vsplit: dimSplit(2, () => 0),
  dsplit: dimSplit(3, () => 2),
  repeatInterleave,
  indexFill: slices(true),
  indexCopy: slices(false),
  take: (dice) => {
    const x = tensorOf(dice);
    const n = x.data.length;
    const { index, late } = placesOf(dice, n, shape(dice, 0, 3), -n);
    return form(
      dice,
      [x],
      ["index"],
      { index },
      () => {
        checkPlaces(index, n, -n);
        return make(index.shape, x.dtype, (at) => x.data[modulo(get(index, at), n)]!);
      },
      { late },
    );
  },
  put: flatPut,
  trilIndices: triangle((r, c, offset) => c - r <= offset),
  triuIndices: triangle((r, c, offset) => c - r >= offset),
  combinations,
};
