/** Random tensors, and random views of whatever shape is at hand, each in Tapegrad and in the model. */

import fc from "fast-check";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import * as model from "./model.ts";
import type { Model } from "./model.ts";

/** Kinds of views that share memory with what they are made of. */
export const VIEWS = [
  "permute",
  "transpose",
  "narrow",
  "select",
  "unsqueeze",
  "squeeze",
  "view",
  "diagonal",
  "at",
  "slice",
] as const;

/** Those, and what copies or repeats elements. */
export const STEPS = [...VIEWS, "expand", "reshape", "flip", "clone"] as const;

/** A random view in the abstract: the picks say which one, once the shape is known. */
export interface Step {
  readonly kind: (typeof STEPS)[number];
  readonly picks: readonly number[];
}

/** Steps of the kinds given. */
export function stepOf(kinds: readonly Step["kind"][]): fc.Arbitrary<Step> {
  return fc.record({
    kind: fc.constantFrom(...kinds),
    picks: fc.array(fc.nat(59), { minLength: 12, maxLength: 12 }),
  });
}

/** Shapes of some dimensions with sizes from `least` to `most`. */
export function shapeOf(least: number, most: number, ranks: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: least, max: most }), { maxLength: ranks });
}

/** A shape and small whole numbers for it. */
export function arrayOf(shapes: fc.Arbitrary<number[]>): fc.Arbitrary<Model> {
  return shapes.chain((shape) => {
    const n = model.count(shape);
    return fc
      .array(fc.integer({ min: -9, max: 9 }), { minLength: n, maxLength: n })
      .map((values) => model.fresh(shape, values));
  });
}

/** The tensor with the elements of a model that shares its cells with nothing. */
export function tensorOf(m: Model, dtype: tg.DType = "float32"): Tensor {
  return tg.tensor(model.elements(m), { dtype }).reshape([...m.shape]);
}

/** Fails unless a tensor has the shape and elements given; zeros of either sign are equal. */
export async function expectSame(got: Tensor, shape: readonly number[], values: readonly number[]): Promise<void> {
  const data = [...(await got.data())];
  const same = (a: number, b: number): boolean => a === b || (Number.isNaN(a) && Number.isNaN(b));
  if (
    String(got.shape) !== String(shape) ||
    data.length !== values.length ||
    !data.every((x, i) => same(x, values[i]!))
  )
    throw new Error(`got [${got.shape.join()}] ${data.join(" ")}\nbut expected [${shape.join()}] ${values.join(" ")}`);
}

/** Two sides of the same thing. */
export interface Pair {
  readonly tensor: Tensor;
  readonly model: Model;
}

/** Applies a step; gives the pair itself where the shape has no such view. Throws where only one side has it. */
export function apply({ tensor: t, model: m }: Pair, { kind, picks }: Step): Pair {
  const rank = m.shape.length;
  const dim = rank === 0 ? 0 : picks[0]! % rank;
  const other = rank === 0 ? 0 : picks[1]! % rank;
  // Half of all dimensions are named from the end.
  const named = (d: number, of: number, p: number): number => (picks[p]! % 2 === 0 ? d : d - of);
  switch (kind) {
    case "permute": {
      const order = m.shape.map((_, d) => d).toSorted((a, b) => picks[a]! - picks[b]! || a - b);
      return { tensor: t.permute(order.map((d) => named(d, rank, 6))), model: model.permute(m, order) };
    }
    case "transpose": {
      if (rank === 0) break;
      const order = m.shape.map((_, d) => (d === dim ? other : d === other ? dim : d));
      return { tensor: t.transpose(named(dim, rank, 2), named(other, rank, 3)), model: model.permute(m, order) };
    }
    case "narrow": {
      if (rank === 0) break;
      const start = picks[2]! % (m.shape[dim]! + 1);
      const length = picks[3]! % (m.shape[dim]! - start + 1);
      return { tensor: t.narrow(named(dim, rank, 4), start, length), model: model.part(m, dim, start, length) };
    }
    case "select": {
      if (rank === 0 || m.shape[dim] === 0) break;
      const index = named(picks[2]! % m.shape[dim]!, m.shape[dim]!, 3);
      return { tensor: t.select(named(dim, rank, 4), index), model: model.select(m, dim, index) };
    }
    case "unsqueeze": {
      if (rank >= 5) break;
      const place = picks[2]! % (rank + 1);
      return { tensor: t.unsqueeze(named(place, rank + 1, 3)), model: model.unsqueeze(m, place) };
    }
    case "squeeze": {
      if (rank === 0) break;
      const squeezed = m.shape[dim] === 1 ? model.select(m, dim, 0) : m;
      return { tensor: t.squeeze(named(dim, rank, 2)), model: squeezed };
    }
    case "view":
    case "reshape": {
      const shape = factors(model.count(m.shape), picks);
      const asked = picks[5]! % 2 === 0 && shape.length > 0 && !shape.includes(0) ? shape.with(0, -1) : shape;
      const shared = model.view(m, shape);
      if (kind === "reshape") {
        return { tensor: t.reshape(asked), model: shared ?? model.fresh(shape, model.elements(m)) };
      }
      if (shared !== null) return { tensor: t.view(asked), model: shared };
      expectError(() => t.view(asked), tg.ShapeError);
      break;
    }
    case "diagonal": {
      if (rank < 2 || dim === other) break;
      const offset = (picks[2]! % 5) - 2;
      return {
        tensor: t.diagonal(offset, named(dim, rank, 3), named(other, rank, 4)),
        model: model.diagonal(m, offset, dim, other),
      };
    }
    case "slice": {
      if (rank === 0) break;
      const { start, end, step } = rangeOf(picks, 2);
      const index = tg.slice(start, end, step);
      return {
        tensor: t.at(...Array.from({ length: dim }, () => tg.slice(null)), index),
        model: model.slice(m, dim, start, end, step),
      };
    }
    case "at":
      return index({ tensor: t, model: m }, picks, []);
    case "expand": {
      const shape = m.shape.map((size, d) => (size === 1 ? picks[d]! % 4 : size));
      const lead = rank < 4 && picks[6]! % 2 === 0 ? [picks[7]! % 3] : [];
      const asked = shape.map((size, d) => (size === m.shape[d] && picks[8]! % 2 === 0 ? -1 : size));
      return { tensor: t.expand([...lead, ...asked]), model: model.expand(m, [...lead, ...shape]) };
    }
    case "flip": {
      const dims = m.shape.map((_, d) => d).filter((d) => picks[d]! % 2 === 0);
      return { tensor: t.flip(dims.map((d) => named(d, rank, 7))), model: model.flip(m, dims) };
    }
    case "clone":
      return { tensor: t.clone(), model: model.fresh(m.shape, model.elements(m)) };
  }
  return { tensor: t, model: m };
}

/** Indexes as between Python's square brackets: integers, ranges, null, an ellipsis, and the index arrays given, in turn. */
export function index({ tensor: t, model: m }: Pair, picks: readonly number[], arrays: readonly Model[]): Pair {
  const rank = m.shape.length;
  const given: tg.Index[] = [];
  const indices: (Model | null)[] = [];
  let seen = m;
  let place = 0;
  let ellipsis = false;
  let used = 0;
  for (let d = 0, p = 0; d < rank; p++) {
    const size = m.shape[d]!;
    const choice = picks[p % picks.length]! % 12;
    if (choice === 0 && p < 4 && seen.shape.length < 6) {
      given.push(null);
      seen = model.unsqueeze(seen, place);
      indices.push(null);
      place++;
      continue;
    }
    if (choice === 1 && !ellipsis) {
      const skip = picks[(p + 1) % picks.length]! % (rank - d + 1);
      // What comes after an ellipsis counts from the end, so every dimension behind it is named.
      given.push(tg.ellipsis);
      ellipsis = true;
      for (let i = 0; i < skip; i++) indices.push(null);
      place += skip;
      d += skip;
      continue;
    }
    if (choice === 2 && !ellipsis) break;
    if (choice <= 4 && size > 0) {
      const i = picks[(p + 2) % picks.length]! % (2 * size);
      given.push(i - size);
      seen = model.select(seen, place, i - size);
    } else if (choice <= 8 && used < arrays.length && size > 0) {
      const array = arrays[used++]!;
      const wrapped = model.fresh(
        array.shape,
        model.elements(array).map((i) => (((i % size) + size) % size) - (i < 0 ? size : 0)),
      );
      given.push(
        used % 2 === 0 || array.shape.length === 0 || array.shape[0] === 0
          ? tensorOf(wrapped, "int32")
          : nested(wrapped),
      );
      indices.push(wrapped);
      place++;
    } else {
      const { start, end, step } = rangeOf(picks, p + 3);
      given.push(tg.slice(start, end, step));
      seen = model.slice(seen, place, start, end, step);
      indices.push(null);
      place++;
    }
    d++;
  }
  while (indices.length < seen.shape.length) indices.push(null);
  const chosen = indices.every((i) => i === null) ? seen : model.pick(seen, indices);
  return { tensor: t.at(...given), model: chosen };
}

/** Bounds in and out of range, from either end or left out. */
function rangeOf(picks: readonly number[], p: number): { start: number | null; end: number | null; step: number } {
  const at = (i: number): number => picks[(p + i) % picks.length]!;
  const bound = (n: number): number | null => (n % 5 === 0 ? null : (n % 15) - 7);
  return { start: bound(at(0)), end: bound(at(1)), step: (at(2) % 3) + 1 };
}

/** Nested arrays, which `at` takes for index tensors. */
function nested(m: Model): number[] | number[][] {
  if (m.shape.length === 1) return model.elements(m);
  return Array.from({ length: m.shape[0]! }, (_, i) => model.elements(model.select(m, 0, i)));
}

/** Some shape with that many elements. */
function factors(n: number, picks: readonly number[]): number[] {
  if (n === 0) return [[0], [0, 3], [2, 0], [1, 0, 2]][picks[0]! % 4]!;
  const shape: number[] = [];
  let rest = n;
  for (let i = 0; i < 3 && rest > 1; i++) {
    const divisors = Array.from({ length: rest }, (_, d) => d + 1).filter((d) => rest % d === 0);
    const size = divisors[picks[i]! % divisors.length]!;
    shape.push(size);
    rest /= size;
  }
  if (rest > 1 || picks[4]! % 3 === 0) shape.push(rest);
  return shape;
}

/** Fails unless `body` throws an error of the class. */
export function expectError(body: () => unknown, kind: new (message: string) => Error): void {
  try {
    body();
  } catch (error) {
    if (error instanceof kind) return;
    throw error;
  }
  throw new Error(`expected a ${kind.name}, but nothing was thrown`);
}
