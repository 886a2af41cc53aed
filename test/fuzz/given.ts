/** Tensors that a case gives to a call: values, and the way of views by which they came about, for the library and for the reader. */

import * as tg from "#tapegrad";
import type { DType, Tensor } from "#tapegrad";
import type { Dice } from "./dice.ts";
import { count, expanded, permuted, sliced, type Model } from "./model.ts";

/** One step from the stored tensor to the one that is given. */
interface Step {
  readonly text: string;
  apply(t: Tensor): Tensor;
}

/** A tensor of a case. */
export class Given implements Model {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly data: readonly number[];
  readonly #base: Model;
  readonly #steps: readonly Step[];
  /** True if several elements share memory: it cannot be written to. */
  readonly overlaps: boolean;

  constructor(base: Model, steps: readonly Step[], seen: Model, overlaps: boolean) {
    this.#base = base;
    this.#steps = steps;
    this.shape = seen.shape;
    this.dtype = seen.dtype;
    this.data = seen.data;
    this.overlaps = overlaps;
  }

  /** Makes it on a device. */
  build(device: "cpu" | "webgpu"): Tensor {
    const { shape, dtype, data } = this.#base;
    let t = tg.tensor(Float64Array.from(data), { shape, dtype, device });
    for (const step of this.#steps) t = step.apply(t);
    return t;
  }

  /** Whether its elements are known only to the device. */
  get isComputed(): boolean {
    return this.#steps.some((s) => /^\.(mul|flip|logicalNot)/.test(s.text));
  }

  /** The same as a part of a longer tensor, whose other elements are of a certain value. */
  beside(other: number): Given {
    const [n] = this.shape;
    if (n === undefined || this.#steps.length > 0) return this;
    const rest = new Array<number>(count(this.shape.slice(1))).fill(other);
    const base = { shape: this.shape.with(0, n + 1), dtype: this.dtype, data: [...this.data, ...rest] };
    const step: Step = { text: `.narrow(0, 0, ${n})`, apply: (t) => t.narrow(0, 0, n) };
    return new Given(base, [step], this, false);
  }

  /** The same, still to be computed, so that the host does not know its elements. */
  pending(): Given {
    const step: Step = { text: ".mul(1)", apply: (t) => t.mul(1) };
    return new Given(this.#base, [...this.#steps, step], this, false);
  }

  /** As code. */
  toString(): string {
    const { shape, dtype, data } = this.#base;
    const values = data.map((v) => (Object.is(v, -0) ? "-0" : String(v)));
    const shown =
      values.length > 40 ? `${values.slice(0, 40).join(", ")} /* ${values.length} values */` : values.join(", ");
    const base = `tensor(Float64Array.of(${shown}), { shape: [${shape.join(", ")}], dtype: "${dtype}" })`;
    return base + this.#steps.map((s) => s.text).join("");
  }
}

/** A tensor of certain elements, laid out plainly. */
export function exactly(size: readonly number[], type: DType, element: (i: number) => number): Given {
  const base: Model = {
    shape: [...size],
    dtype: type,
    data: Array.from({ length: count(size) }, (_, i) => element(i)),
  };
  return new Given(base, [], base, false);
}

/** Kinds of values. */
export type Values = "plain" | "special" | "unit" | "positive" | "wide";

/** A random value of a dtype. Plain ones are multiples of 1/4, so that sums and products of a few are exact. */
export function value(dice: Dice, dtype: DType, kind: Values): number {
  switch (dtype) {
    case "bool":
      return dice.int(0, 1);
    case "uint8":
      return kind === "special" ? dice.pick([0, 1, 2, 127, 128, 254, 255]) : dice.int(0, 6);
    case "int32":
      if (kind === "special") return dice.pick([0, 1, -1, 2, 7, 2 ** 31 - 1, -(2 ** 31), 65536, -65537]);
      return kind === "positive" || kind === "unit" ? dice.int(1, 6) : dice.int(-6, 6);
    default: {
      if (kind === "special" && dice.chance(0.5))
        return dice.pick([NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, 2.5, -1.5]);
      if (kind === "unit") return dice.int(1, 15) / 16;
      if (kind === "positive") return dice.int(1, 24) / 4;
      if (kind === "wide") {
        const magnitude = dtype === "float16" ? dice.int(-8, 8) : dice.int(-60, 60);
        return (dice.chance(0.5) ? 1 : -1) * (1 + dice.int(0, 7) / 8) * 2 ** magnitude;
      }
      return dice.int(-16, 16) / 4;
    }
  }
}

/** A random shape: mostly small sizes, now and then empty, of size one, or of no dimension. */
export function shape(dice: Dice, minRank = 0, maxRank = 5): number[] {
  const rank = dice.chance(0.85)
    ? dice.int(minRank, Math.min(maxRank, Math.max(minRank, 3)))
    : dice.int(minRank, maxRank);
  const most = rank > 3 ? 3 : 5;
  return Array.from({ length: rank }, () => (dice.chance(0.04) ? 0 : dice.chance(0.15) ? 1 : dice.int(1, most)));
}

/** A shape that broadcasts with another (or, rarely, does not). */
export function partner(dice: Dice, other: readonly number[]): number[] {
  if (dice.chance(0.03)) return shape(dice);
  const drop = dice.chance(0.3) ? dice.int(0, other.length) : 0;
  return other.slice(drop).map((n) => (dice.chance(0.2) ? 1 : n));
}

/** A dtype, float32 most often. float64 exists on the CPU only. */
export function dtype(dice: Dice, among: readonly DType[] = ["float32", "float64", "int32", "uint8", "bool"]): DType {
  const type = among.includes("float32") && dice.chance(0.5) ? "float32" : dice.pick(among);
  return type === "float64" && !dice.float64 ? "float32" : type;
}

/** Options of `tensorOf`. */
export interface Wanted {
  readonly shape?: readonly number[];
  readonly dtype?: DType;
  readonly values?: Values;
  /** False: laid out without detours, so that it may be written to. */
  readonly views?: boolean;
}

/** A random tensor, seen through views, or still to be computed. */
export function tensorOf(dice: Dice, wanted: Wanted = {}): Given {
  const target = wanted.shape ?? shape(dice);
  const type = wanted.dtype ?? dtype(dice);
  const kind = wanted.values ?? (dice.chance(0.12) ? "special" : "plain");
  const fresh = (size: readonly number[]): Model => ({
    shape: [...size],
    dtype: type,
    data: Array.from({ length: count(size) }, () => {
      const v = value(dice, type, kind);
      return type === "float32" ? Math.fround(v) : v;
    }),
  });
  if (wanted.views === false || dice.chance(0.4)) return new Given(...asIs(fresh(target)));
  const way = dice.pick(["permute", "slice", "expand", "pending", "flip", "select", "narrow"] as const);
  const rank = target.length;
  switch (way) {
    case "permute": {
      const order = dice.shuffle(target.map((_, d) => d));
      const base = fresh(order.map((_, i) => target[order.indexOf(i)]!));
      return new Given(
        base,
        [{ text: `.permute([${order.join(", ")}])`, apply: (t) => t.permute(order) }],
        permuted(base, order),
        false,
      );
    }
    case "slice": {
      if (rank === 0) break;
      const d = dice.int(0, rank - 1);
      const step = dice.int(1, 3);
      const start = dice.int(0, 2);
      const length = target[d]!;
      const base = fresh(target.with(d, start + length * step + dice.int(0, 1)));
      const end = start + Math.max(length - 1, -1) * step + 1;
      const seen = sliced(base, d, start, length, step);
      return new Given(
        base,
        [
          {
            text: `.slice(${d}, ${start}, ${Math.max(end, start)}, ${step})`,
            apply: (t) => t.slice(d, start, Math.max(end, start), step),
          },
        ],
        seen,
        false,
      );
    }
    case "narrow": {
      if (rank === 0) break;
      const d = dice.int(0, rank - 1);
      const start = dice.int(0, 2);
      const base = fresh(target.with(d, start + target[d]! + dice.int(0, 2)));
      return new Given(
        base,
        [{ text: `.narrow(${d}, ${start}, ${target[d]})`, apply: (t) => t.narrow(d, start, target[d]!) }],
        sliced(base, d, start, target[d]!),
        false,
      );
    }
    case "expand": {
      const sizes = target.map((n) => (dice.chance(0.5) ? 1 : n));
      const base = fresh(sizes.slice(dice.chance(0.3) ? dice.int(0, rank) : 0));
      const seen = expanded(base, target);
      const overlaps = seen.data.length > base.data.length;
      return new Given(
        base,
        [{ text: `.expand([${target.join(", ")}])`, apply: (t) => t.expand([...target]) }],
        seen,
        overlaps,
      );
    }
    case "pending": {
      const base = fresh(target);
      if (type === "bool")
        return new Given(
          base,
          [{ text: ".logicalNot().logicalNot()", apply: (t) => t.logicalNot().logicalNot() }],
          base,
          false,
        );
      return new Given(base, [{ text: ".mul(1)", apply: (t) => t.mul(1) }], base, false);
    }
    case "flip": {
      if (rank === 0) break;
      const d = dice.int(0, rank - 1);
      const base = fresh(target);
      const seen = { ...base, data: [...flipped(base, d)] };
      return new Given(base, [{ text: `.flip(${d})`, apply: (t) => t.flip(d) }], seen, false);
    }
    case "select": {
      const d = dice.int(0, rank);
      const n = dice.int(1, 3);
      const i = dice.int(0, n - 1);
      const base = fresh(target.toSpliced(d, 0, n));
      const picked = sliced(base, d, i, 1);
      return new Given(
        base,
        [{ text: `.select(${d}, ${i})`, apply: (t) => t.select(d, i) }],
        { ...picked, shape: [...target] },
        false,
      );
    }
  }
  return new Given(...asIs(fresh(target)));
}

function asIs(m: Model): [Model, Step[], Model, boolean] {
  return [m, [], m, false];
}

function flipped(m: Model, d: number): readonly number[] {
  const inner = count(m.shape.slice(d + 1));
  const n = m.shape[d]!;
  return m.data.map((_, i) => {
    const at = Math.floor(i / inner) % n;
    return m.data[i + (n - 1 - 2 * at) * inner]!;
  });
}
