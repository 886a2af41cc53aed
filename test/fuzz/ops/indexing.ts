/** Reading and writing at computed positions. */

import * as tg from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, partner, shape, tensorOf, Given } from "../given.ts";
import {
  broadcast,
  coordinates,
  count,
  convert,
  expanded,
  get,
  isFloat,
  isModel,
  mapped,
  position,
  refuse,
  reshaped,
  selected,
  spread,
  store,
  type Model,
} from "../model.ts";
import { form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";
import { pythonSlice } from "./structure.ts";

/** Indices of some shape into a dimension of `n`: now and then out of range. `device` says whether the host still knows them. */
function indices(
  dice: Dice,
  size: readonly number[],
  n: number,
  negative: boolean,
): { tensor: Given; late: boolean; valid: boolean } {
  const low = negative ? -n : 0;
  const wrong = dice.chance(0.05) || n === 0;
  const base: Model = {
    shape: [...size],
    dtype: "int32",
    data: Array.from({ length: count(size) }, () =>
      wrong && dice.chance(0.3)
        ? dice.pick([n, n + 3, -n - 1, 2 ** 31 - 1, -(2 ** 31)])
        : n === 0
          ? 0
          : dice.int(low, n - 1),
    ),
  };
  const valid = base.data.every((i) => i >= low && i < n);
  const pending = dice.chance(0.3);
  const steps = pending ? [{ text: ".mul(1)", apply: (t: tg.Tensor) => t.mul(1) }] : [];
  const plain = new Given(base, steps, base, false);
  return { tensor: dice.chance(0.1) ? plain.beside(n + 5) : plain, late: pending && !valid, valid };
}

function along(dice: Dice): { x: Given; dim: number; d: number; rank: number } {
  const x = tensorOf(dice, { shape: shape(dice, dice.chance(0.9) ? 1 : 0, 4) });
  const rank = x.shape.length;
  const dim = dice.int(-Math.max(rank, 1), Math.max(rank, 1) - 1);
  return { x, dim, d: dim < 0 ? dim + Math.max(rank, 1) : dim, rank };
}

/** A shape of an index for `gather` and `scatter`: not larger than the input but along the dimension. */
function indexShape(dice: Dice, x: Model, d: number): number[] {
  return x.shape.map((n, i) => (i === d ? dice.int(0, 4) : dice.chance(0.02) ? n + 1 : dice.int(Math.min(1, n), n)));
}

function checkIndex(index: Model, n: number, wraps = false): void {
  if (index.data.some((i) => i < (wraps ? -n : 0) || i >= n)) refuse("index");
}

function fitsWithin(index: Model, x: Model, d: number): void {
  index.shape.forEach((n, i) => {
    if (i !== d && n > x.shape[i]!) refuse("index larger than input");
  });
}

function gathered(x: Model, d: number, index: Model): Model {
  const wide = x.shape.length === 0 ? reshaped(x, [1]) : x;
  const at = index.shape.length === 0 ? reshaped(index, [1]) : index;
  if (at.shape.length !== wide.shape.length) refuse("rank");
  fitsWithin(at, wide, d);
  checkIndex(at, wide.shape[d]!);
  return {
    ...reshaped(
      mapped(wide, at.shape, (c) => c.with(d, get(at, c))),
      index.shape,
    ),
    dtype: x.dtype,
  };
}

function scattered(x: Model, d: number, index: Model, source: Model | number, mode: "set" | "add" | "multiply"): Model {
  const target = x.shape.length === 0 ? [1] : x.shape;
  const at = index.shape.length === 0 ? reshaped(index, [1]) : index;
  if (at.shape.length !== target.length) refuse("rank");
  const values = isModel(source) && source.shape.length === 0 ? reshaped(source, [1]) : source;
  if (isModel(values)) {
    if (values.dtype !== x.dtype) refuse("dtype");
    if (values.shape.length !== at.shape.length || at.shape.some((n, i) => n > values.shape[i]!)) refuse("source");
  }
  at.shape.forEach((n, i) => {
    if (i !== d && n > target[i]!) refuse("index");
  });
  checkIndex(at, target[d]!);
  const data = [...x.data];
  for (const c of coordinates(at.shape)) {
    const p = position(target, c.with(d, get(at, c)));
    const v = isModel(values) ? get(values, c) : convert("float64", x.dtype, values);
    data[p] = mode === "set" ? v : combine(x, data[p]!, v, mode);
  }
  return { shape: x.shape, dtype: x.dtype, data };
}

function combine(x: Model, a: number, b: number, mode: "add" | "multiply"): number {
  if (isFloat(x.dtype)) return store(x.dtype, mode === "add" ? a + b : a * b);
  return store(x.dtype, mode === "add" ? a + b : Math.imul(a, b));
}

/** True if an index names a place twice, so that which value is written last is open. */
function repeats(index: Model, d: number, rank: number): boolean {
  const seen = new Set<string>();
  for (const c of coordinates(index.shape)) {
    const key = rank === 0 ? "" : c.with(d, get(index, c)).join();
    if (seen.has(key)) return true;
    seen.add(key);
  }
  return false;
}

function scattering(withReduce: boolean): Generator {
  return (dice) => {
    const { x, dim, d, rank } = along(dice);
    const size = indexShape(dice, x, d);
    const { tensor: index, late, valid } = indices(dice, size, x.shape[d] ?? 1, false);
    const numeric = withReduce && dice.chance(0.3);
    const src = numeric
      ? dice.pick([0, 1, 2, -1])
      : tensorOf(dice, {
          shape: size.map((n) => n + (dice.chance(0.2) ? 1 : 0)),
          dtype: dice.chance(0.95) ? x.dtype : dtype(dice),
          values: "plain",
        });
    const reduce = withReduce ? perhaps(dice, 0.3, () => dice.pick(["add", "multiply"] as const)) : undefined;
    const mode = withReduce ? (reduce ?? "set") : "add";
    const open = mode === "set" && repeats(index, d, rank) && valid;
    const odd = x.dtype === "bool" && mode !== "set";
    return form(
      dice,
      [x],
      ["dim", "index", "src"],
      { dim, index, src, reduce },
      open || odd ? null : () => scattered(x, d, index, src, mode),
      { late, loose: 20 },
    );
  };
}

function slicesAdded(x: Model, d: number, index: Model, source: Model, alpha: number): Model {
  if (index.shape.length > 1) refuse("index rank");
  if (x.shape.length === 0) {
    if (source.shape.length > 0) refuse("source rank");
    checkIndex(index, 1);
    return {
      shape: x.shape,
      dtype: x.dtype,
      data: [combine(x, x.data[0]!, scaledBy(x, source.data[0]!, alpha), "add")],
    };
  }
  if (
    source.shape.length !== x.shape.length ||
    source.shape.some((n, i) => n !== (i === d ? index.data.length : x.shape[i]))
  )
    refuse("source");
  checkIndex(index, x.shape[d]!);
  const data = [...x.data];
  for (const c of coordinates(source.shape)) {
    const p = position(x.shape, c.with(d, index.data[c[d]!]!));
    data[p] = combine(x, data[p]!, scaledBy(x, get(source, c), alpha), "add");
  }
  return { shape: x.shape, dtype: x.dtype, data };
}

function scaledBy(x: Model, v: number, alpha: number): number {
  return isFloat(x.dtype) ? v * alpha : Math.imul(v, alpha);
}

// --- Python's square brackets -----------------------------------------------------------------------------------------

/** One part of an index, as the model reads it and as it is given. */
type Part =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "slice"; readonly start: number | null; readonly end: number | null; readonly step: number | null }
  | { readonly kind: "null" }
  | { readonly kind: "ellipsis" }
  | { readonly kind: "tensor"; readonly value: Given; readonly plain: boolean };

/** An argument that prints itself as code. */
export class Code {
  readonly value: unknown;
  readonly #text: string;
  constructor(value: unknown, text: string) {
    this.value = value;
    this.#text = text;
  }
  toString(): string {
    return this.#text;
  }
}

function nested(m: Model): unknown {
  if (m.shape.length === 0) return m.data[0];
  return Array.from({ length: m.shape[0]! }, (_, i) => nested(selected(m, 0, i)));
}

function given(part: Part): unknown {
  switch (part.kind) {
    case "int":
      return part.value;
    case "slice":
      return new Code(tg.slice(part.start, part.end, part.step), `slice(${part.start}, ${part.end}, ${part.step})`);
    case "null":
      return null;
    case "ellipsis":
      return new Code(tg.ellipsis, "ellipsis");
    case "tensor":
      return part.plain ? nested(part.value) : part.value;
  }
}

function bracket(dice: Dice, x: Model): { list: Part[]; late: boolean } {
  const list: Part[] = [];
  let late = false;
  const common = shape(dice, 0, 2).map((n) => Math.max(n, 1));
  const dims = dice.int(0, x.shape.length);
  for (let d = 0; d < dims; d++) {
    const n = x.shape[d]!;
    const kind = dice.pick(["int", "slice", "slice", "tensor", "null"] as const);
    if (kind === "null") {
      list.push({ kind });
      d--;
      if (list.length > 6) break;
    } else if (kind === "int") list.push({ kind, value: dice.chance(0.04) || n === 0 ? n : dice.int(-n, n - 1) });
    else if (kind === "slice") {
      const bound = (): number | null => (dice.chance(0.3) ? null : dice.int(-6, 6));
      list.push({
        kind,
        start: bound(),
        end: bound(),
        step: dice.chance(0.6) ? null : dice.chance(0.04) ? -1 : dice.int(1, 3),
      });
    } else {
      const { tensor, late: onDevice } = indices(dice, partner(dice, common), n, true);
      const plain = tensor.shape.length > 0 && tensor.data.length > 0 && dice.chance(0.3) && !onDevice;
      late ||= onDevice;
      list.push({ kind, value: tensor, plain });
    }
  }
  if (dice.chance(0.2)) {
    // What stands behind the ellipsis counts from the end: only whole dimensions can, here.
    list.push({ kind: "ellipsis" });
    if (dice.chance(0.3)) list.push({ kind: "null" });
  }
  if (dice.chance(0.02))
    list.push(...Array.from({ length: x.shape.length + 1 }, (): Part => ({ kind: "int", value: 0 })));
  return { list, late };
}

/** Basic parts applied; the rest as indices of the dimensions of what is left. */
function basic(x: Model, list: readonly Part[]): { view: Model; at: (Model | null)[] } {
  const consumed = list.filter((p) => p.kind === "int" || p.kind === "slice" || p.kind === "tensor").length;
  if (consumed > x.shape.length) refuse("too many indices");
  let view = x;
  const at: (Model | null)[] = [];
  for (const part of list) {
    const d = at.length;
    switch (part.kind) {
      case "null":
        view = reshaped(view, view.shape.toSpliced(d, 0, 1));
        at.push(null);
        break;
      case "ellipsis":
        for (let i = consumed; i < x.shape.length; i++) at.push(null);
        break;
      case "int": {
        const n = view.shape[d]!;
        if (part.value < -n || part.value >= n) refuse("index");
        view = selected(view, d, part.value < 0 ? part.value + n : part.value);
        break;
      }
      case "slice":
        view = pythonSlice(view, d, part.start, part.end, part.step ?? 1);
        at.push(null);
        break;
      case "tensor":
        at.push(part.value);
        break;
    }
  }
  while (at.length < view.shape.length) at.push(null);
  return { view, at };
}

/** For each coordinate of the result of an index, the coordinate of the view that it names. */
function places(
  view: Model,
  at: readonly (Model | null)[],
  checks = true,
): { shape: number[]; source: (c: readonly number[]) => number[] } {
  const dims = at.flatMap((m, d) => (m === null ? [] : [d]));
  if (dims.length === 0) return { shape: [...view.shape], source: (c) => [...c] };
  const common = broadcast(...dims.map((d) => at[d]!.shape));
  if (checks)
    for (const d of dims) checkIndex(count(common) === 0 ? { ...at[d]!, data: [] } : at[d]!, view.shape[d]!, true);
  const adjacent = dims.every((d, i) => i === 0 || d === dims[i - 1]! + 1);
  const rest = view.shape.map((_, d) => d).filter((d) => !dims.includes(d));
  const lead = adjacent ? rest.filter((d) => d < dims[0]!) : [];
  const tail = rest.filter((d) => !lead.includes(d));
  const result = [...lead.map((d) => view.shape[d]!), ...common, ...tail.map((d) => view.shape[d]!)];
  return {
    shape: result,
    source: (c) => {
      const s = new Array<number>(view.shape.length);
      lead.forEach((d, i) => (s[d] = c[i]!));
      tail.forEach((d, i) => (s[d] = c[lead.length + common.length + i]!));
      const where = c.slice(lead.length, lead.length + common.length);
      for (const d of dims) {
        const i = spread(at[d]!, where);
        s[d] = i < 0 ? i + view.shape[d]! : i;
      }
      return s;
    },
  };
}

/** Numbers of the input's elements, so that writing through an index can be followed back. */
function numbered(x: Model): Model {
  return { shape: x.shape, dtype: "float64", data: x.data.map((_, i) => i) };
}

function putting(dice: Dice): Sample {
  const x = tensorOf(dice, { shape: shape(dice, 1, 4), views: false });
  if (dice.chance(0.15)) {
    const mask = tensorOf(dice, { dtype: "bool", shape: x.shape.slice(0, dice.int(1, x.shape.length)) });
    const v = tensorOf(dice, { shape: [], dtype: x.dtype, values: "plain" });
    return form(dice, [x], ["indices", "values"], { indices: [mask], values: v }, () => {
      const wide = reshaped(mask, [...mask.shape, ...new Array<number>(x.shape.length - mask.shape.length).fill(1)]);
      const m = expanded(wide, x.shape);
      return { shape: x.shape, dtype: x.dtype, data: x.data.map((old, i) => (m.data[i] ? v.data[0]! : old)) };
    });
  }
  const { list, late } = bracket(dice, x);
  const accumulate = x.dtype === "bool" ? undefined : perhaps(dice, 0.5, () => dice.chance(0.5));
  let where: number[] | null = null;
  let target: number[] = [];
  try {
    const { view, at } = basic(numbered(x), list);
    target = places(view, at, false).shape;
    const { shape: result, source } = places(view, at);
    where = Array.from(coordinates(result), (c) => get(view, source(c)));
  } catch {
    // Refused below.
  }
  const values = tensorOf(dice, {
    shape: target.map((n) => (dice.chance(0.1) ? 1 : n)),
    dtype: dice.chance(0.97) ? x.dtype : dtype(dice),
    values: "plain",
  });
  const open = where !== null && accumulate !== true && new Set(where).size !== where.length;
  const options = { indices: list.map(given), values, accumulate };
  // Nobody looks at an index on the device if nothing is to be written.
  const unseen = late && count(target) === 0;
  return form(
    dice,
    [x],
    ["indices", "values", "accumulate"],
    options,
    open || unseen
      ? null
      : () => {
          if (where === null) refuse("index");
          if (values.dtype !== x.dtype) refuse("dtype");
          const wide = expanded(values, target);
          const data = [...x.data];
          where.forEach((p, i) => (data[p] = accumulate ? combine(x, data[p]!, wide.data[i]!, "add") : wide.data[i]!));
          return { shape: x.shape, dtype: x.dtype, data };
        },
    { late, loose: 20 },
  );
}

/** Indexing. */
export const INDEXING: Table = {
  gather: (dice) => {
    const { x, dim, d } = along(dice);
    const { tensor: index, late } = indices(dice, indexShape(dice, x, d), x.shape[d] ?? 1, false);
    return form(dice, [x], ["dim", "index"], { dim, index }, () => gathered(x, d, index), { late });
  },
  takeAlongDim: (dice) => {
    const { x, dim, d } = along(dice);
    if (dice.chance(0.2)) {
      const { tensor, late } = indices(dice, shape(dice, 1, 1), x.data.length, false);
      return form(
        dice,
        [x],
        ["indices"],
        { indices: tensor },
        () => gathered(reshaped(x, [x.data.length]), 0, tensor),
        { late },
      );
    }
    const size = x.shape.map((n, i) => (i === d ? dice.int(0, 4) : dice.chance(0.2) ? 1 : n));
    const { tensor, late } = indices(dice, size, x.shape[d] ?? 1, false);
    return form(
      dice,
      [x],
      ["indices", "dim"],
      { indices: tensor, dim },
      () => {
        if (x.shape.length === 0) return gathered(x, 0, tensor);
        const others = broadcast(x.shape.with(d, 1), tensor.shape.with(d, 1));
        return gathered(
          expanded(x, others.with(d, x.shape[d]!)),
          d,
          expanded(tensor, others.with(d, tensor.shape[d]!)),
        );
      },
      { late },
    );
  },
  indexSelect: (dice) => {
    const { x, dim, d, rank } = along(dice);
    const { tensor: index, late } = indices(
      dice,
      rank === 0 ? [1] : shape(dice, dice.chance(0.1) ? 0 : 1, dice.chance(0.03) ? 2 : 1),
      x.shape[d] ?? 1,
      false,
    );
    return form(
      dice,
      [x],
      ["dim", "index"],
      { dim, index },
      () => {
        if (index.shape.length > 1) refuse("rank");
        checkIndex(index, x.shape[d] ?? 1);
        if (rank === 0) return { shape: index.shape.length === 0 ? [] : [], dtype: x.dtype, data: [...x.data] };
        return mapped(x, x.shape.with(d, index.data.length), (c) => c.with(d, index.data[c[d]!]!));
      },
      { late },
    );
  },
  scatter: scattering(true),
  scatterAdd: scattering(false),
  indexAdd: (dice) => {
    const { x, dim, d, rank } = along(dice);
    const n = rank === 0 ? 1 : dice.int(0, 5);
    const { tensor: index, late } = indices(dice, rank === 0 && dice.chance(0.5) ? [] : [n], x.shape[d] ?? 1, false);
    const source = tensorOf(dice, {
      shape: rank === 0 ? [] : x.shape.with(d, dice.chance(0.02) ? n + 1 : n),
      dtype: x.dtype,
      values: "plain",
    });
    const alpha = perhaps(dice, 0.3, () => dice.pick([2, -1]));
    return form(
      dice,
      [x],
      ["dim", "index", "source"],
      { dim, index, source, alpha },
      x.dtype === "bool" || source.data.length === 0 ? null : () => slicesAdded(x, d, index, source, alpha ?? 1),
      { late, loose: 20 },
    );
  },
  at: (dice) => {
    const x = tensorOf(dice);
    const { list, late } = bracket(dice, x);
    let unseen = false;
    try {
      const { view, at } = basic(x, list);
      unseen = late && count(places(view, at, false).shape) === 0;
    } catch {
      // Refused below.
    }
    return {
      args: [x, ...list.map(given)],
      expect: unseen
        ? null
        : () => {
            const { view, at } = basic(x, list);
            const { shape: result, source } = places(view, at);
            return mapped(view, result, source);
          },
      late,
    };
  },
  indexPut: putting,
  embedding: (dice) => {
    const weight = tensorOf(dice, {
      shape: shape(dice, 2, dice.chance(0.03) ? 3 : 2),
      dtype: dtype(dice, ["float32", "float64"]),
    });
    const { tensor: index, late } = indices(dice, shape(dice, 0, 3), weight.shape[0]!, false);
    const paddingIdx = perhaps(dice, 0.3, () =>
      dice.chance(0.2) ? null : dice.int(-weight.shape[0]!, weight.shape[0]!),
    );
    return form(
      dice,
      [index],
      ["weight", "paddingIdx"],
      { weight, paddingIdx },
      () => {
        if (weight.shape.length !== 2) refuse("rank");
        if (paddingIdx != null && (paddingIdx < -weight.shape[0]! || paddingIdx >= weight.shape[0]!))
          refuse("paddingIdx");
        checkIndex(index, weight.shape[0]!);
        return mapped(weight, [...index.shape, weight.shape[1]!], (c) => [
          get(index, c.slice(0, -1)),
          c[c.length - 1]!,
        ]);
      },
      { late },
    );
  },
};
