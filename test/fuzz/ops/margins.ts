/** Losses of elements, pairs and margins, from their formulas. */

import type { DType, Tensor } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, exactly, partner, shape, tensorOf, type Given } from "../given.ts";
import { broadcast, elementwise, get, isModel, make, reduce, refuse, type Model } from "../model.ts";
import { form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";
import { Code } from "./indexing.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];

type Reduction = "none" | "mean" | "sum";

function reduction(dice: Dice): Reduction | undefined {
  return perhaps(dice, 0.7, () => dice.pick(["none", "mean", "sum"] as const));
}

function reduced(each: Model, how: Reduction | undefined): Model {
  if (how === "none") return each;
  const total = each.data.reduce((a, b) => a + b, 0);
  return make([], each.dtype, () => (how === "sum" ? total : total / each.data.length));
}

/** `result` if all shapes are equal, else refused. */
function sameShapes(...shapes: readonly (readonly number[])[]): void {
  if (shapes.some((s) => s.join() !== shapes[0]!.join())) refuse("sizes differ");
}

interface Extra {
  readonly name: string;
  readonly draw: (dice: Dice) => unknown;
}

/** A loss of each element of input and target, with some numbers. */
function paired(
  f: (x: number, t: number, values: Readonly<Record<string, number | boolean | undefined>>) => number,
  options: {
    readonly target?: "plain" | "unit" | "sign" | "positive";
    readonly input?: "plain" | "unit" | "positive";
    readonly extras?: readonly Extra[];
    readonly check?: (values: Readonly<Record<string, unknown>>) => void;
    readonly loose?: number;
  } = {},
): Generator {
  return (dice) => {
    const type = dtype(dice, FLOATS);
    const input = tensorOf(dice, { dtype: type, values: options.input ?? "plain" });
    const size = partner(dice, input.shape);
    const target =
      options.target === "sign"
        ? exactly(size, type, () => dice.pick([1, -1]))
        : tensorOf(dice, { dtype: type, shape: size, values: options.target ?? "plain" });
    const extra = Object.fromEntries(
      (options.extras ?? []).map((e) => [e.name, perhaps(dice, 0.5, () => e.draw(dice))]),
    );
    const how = reduction(dice);
    return form(
      dice,
      [input],
      ["target"],
      { target, ...extra, reduction: how },
      () => {
        options.check?.(extra);
        const values = extra as Readonly<Record<string, number | boolean | undefined>>;
        return reduced(
          elementwise([input, target], type, type, (x, t) => f(x, t, values)),
          how,
        );
      },
      { loose: options.loose ?? 10 },
    );
  };
}

const number = (name: string, among: readonly number[]): Extra => ({ name, draw: (dice) => dice.pick(among) });
const flag = (name: string): Extra => ({ name, draw: (dice) => dice.chance(0.5) });

/** Weights that go with a tensor. */
function weights(dice: Dice, type: DType, size: readonly number[]): Given | null | undefined {
  return perhaps(dice, 0.4, () =>
    dice.chance(0.2) ? null : tensorOf(dice, { dtype: type, shape: partner(dice, size), values: "positive" }),
  );
}

function binaryCrossEntropy(logits: boolean): Generator {
  return (dice) => {
    const type = dtype(dice, FLOATS);
    const input = tensorOf(dice, { dtype: type, values: logits ? "plain" : "unit" });
    const target = tensorOf(dice, { dtype: type, shape: partner(dice, input.shape), values: "unit" });
    const weight = weights(dice, type, input.shape);
    const posWeight = logits ? weights(dice, type, input.shape) : undefined;
    const how = reduction(dice);
    return form(
      dice,
      [input],
      ["target", "weight"],
      { target, weight, posWeight, reduction: how },
      () => {
        sameShapes(input.shape, target.shape);
        const operands = [input, target, weight ?? 1, posWeight ?? 1];
        return reduced(
          elementwise(operands, type, type, (x, t, w, p) => {
            if (!logits) return -w * (t * Math.max(Math.log(x), -100) + (1 - t) * Math.max(Math.log1p(-x), -100));
            const log = Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
            return w * ((1 - t) * x - (1 + (p - 1) * t) * log);
          }),
          how,
        );
      },
      { loose: 20 },
    );
  };
}

function klDiv(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const input = tensorOf(dice, { dtype: type, values: "plain" });
  const logTarget = perhaps(dice, 0.5, () => dice.chance(0.5));
  const target = tensorOf(dice, {
    dtype: type,
    shape: dice.chance(0.05) ? partner(dice, input.shape) : input.shape,
    values: logTarget === true ? "plain" : "unit",
  });
  const how = perhaps(dice, 0.7, () => dice.pick(["none", "mean", "sum", "batchmean"] as const));
  return form(
    dice,
    [input],
    ["target"],
    { target, reduction: how, logTarget },
    () => {
      const each = elementwise([input, target], type, type, (x, t) =>
        logTarget === true ? Math.exp(t) * (t - x) : (t === 0 ? 0 : t * Math.log(t)) - t * x,
      );
      if (how !== "batchmean") return reduced(each, how);
      const total = each.data.reduce((a, b) => a + b, 0);
      return make([], type, () => (input.shape.length === 0 ? total : total / input.shape[0]!));
    },
    { loose: 20 },
  );
}

function gaussian(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const input = tensorOf(dice, { shape: shape(dice, 1, 3), dtype: type, values: "plain" });
  const target = tensorOf(dice, { shape: input.shape, dtype: type, values: "plain" });
  const kind = dice.pick(["same", "same", "last", "less", "wrong"] as const);
  const last = input.shape.length - 1;
  const size =
    kind === "last"
      ? input.shape.with(last, 1)
      : kind === "less"
        ? input.shape.slice(0, -1)
        : kind === "wrong"
          ? [...input.shape, 2]
          : input.shape;
  const variance = tensorOf(dice, { shape: size, dtype: type, values: "positive" });
  const full = perhaps(dice, 0.4, () => dice.chance(0.5));
  const eps = perhaps(dice, 0.3, () => dice.pick([1e-6, 0.5]));
  const how = reduction(dice);
  return form(
    dice,
    [input],
    ["target", "var"],
    { target, var: variance, full, eps, reduction: how },
    () => {
      if (kind === "wrong") refuse("variance");
      const wide: Model = kind === "less" ? { shape: [...size, 1], dtype: type, data: variance.data } : variance;
      const each = elementwise([input, target, wide], type, type, (x, t, v) => {
        const safe = Math.max(v, eps ?? 1e-6);
        return (Math.log(safe) + (x - t) ** 2 / safe) / 2 + (full === true ? Math.log(2 * Math.PI) / 2 : 0);
      });
      return reduced(each, how);
    },
    { loose: 20 },
  );
}

function rows(dice: Dice, n = dice.int(1, 4), width = dice.int(1, 4)): { n: number; width: number; type: DType } {
  return { n, width, type: dtype(dice, FLOATS) };
}

function cosineEmbedding(dice: Dice): Sample {
  const { n, width, type } = rows(dice);
  const single = dice.chance(0.3);
  const size = single ? [width] : [n, width];
  const [a, b] = [0, 1].map(() => tensorOf(dice, { shape: size, dtype: type, values: "plain" })) as [Given, Given];
  const target = exactly(single ? [] : [n], type, () => dice.pick([1, -1]));
  const margin = perhaps(dice, 0.5, () => dice.pick([0, 0.25, 0.5]));
  const how = reduction(dice);
  return form(
    dice,
    [a],
    ["input2", "target"],
    { input2: b, target, margin, reduction: how },
    () => {
      const each = make(target.shape, type, (at) => {
        let [dot, left, right] = [0, 1e-12, 1e-12];
        for (let j = 0; j < width; j++) {
          const [x, y] = [get(a, [...at, j]), get(b, [...at, j])];
          dot += x * y;
          left += x * x;
          right += y * y;
        }
        const cosine = dot / Math.sqrt(left * right);
        return get(target, at) === 1 ? 1 - cosine : Math.max(0, cosine - (margin ?? 0));
      });
      return reduced(each, how);
    },
    { loose: 20 },
  );
}

function ranking(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const a = tensorOf(dice, { dtype: type, values: "plain" });
  const b = tensorOf(dice, { dtype: type, shape: a.shape, values: "plain" });
  const target = exactly(partner(dice, a.shape), type, () => dice.pick([1, -1]));
  const margin = perhaps(dice, 0.5, () => dice.pick([0, 0.25, 2]));
  const how = reduction(dice);
  return form(
    dice,
    [a],
    ["input2", "target"],
    { input2: b, target, margin, reduction: how },
    () =>
      reduced(
        elementwise([a, b, target], type, type, (x, y, t) => Math.max(0, -t * (x - y) + (margin ?? 0))),
        how,
      ),
    { loose: 10 },
  );
}

/** p-norms of the rows of `a - b + eps`. */
function distances(a: Model, b: Model, p: number, eps: number): Model {
  const size = broadcast(a.shape, b.shape);
  const d = elementwise([a, b], a.dtype, "float64", (x, y) => Math.abs(x - y + eps));
  return reduce({ ...d, shape: size }, [size.length - 1], false, "float64", (values) =>
    p === Infinity ? Math.max(...values) : values.reduce((s, v) => s + v ** p, 0) ** (1 / p),
  );
}

function triplet(own: boolean): Generator {
  return (dice) => {
    const { n, width, type } = rows(dice);
    const size = dice.chance(0.2) ? [width] : [n, width];
    const [a, positive, negative] = [0, 1, 2].map(() =>
      tensorOf(dice, { shape: size, dtype: type, values: "plain" }),
    ) as [Given, Given, Given];
    const margin = perhaps(dice, 0.5, () => dice.pick([1, 0.5, 2]));
    const swap = perhaps(dice, 0.4, () => dice.chance(0.5));
    const how = reduction(dice);
    const p = own ? undefined : perhaps(dice, 0.4, () => dice.pick([2, 1, 3]));
    const eps = own ? undefined : perhaps(dice, 0.3, () => dice.pick([1e-6, 0.25]));
    const manhattan = own && dice.chance(0.5);
    const distanceFunction = manhattan
      ? new Code((x: Tensor, y: Tensor) => x.sub(y).abs().sum(-1), "(x, y) => x.sub(y).abs().sum(-1)")
      : own
        ? perhaps(dice, 0.3, () => null)
        : undefined;
    return form(
      dice,
      [a],
      ["positive", "negative"],
      { positive, negative, margin, swap, reduction: how, p, eps, distanceFunction },
      () => {
        const between = (x: Model, y: Model): Model =>
          manhattan ? distances(x, y, 1, 0) : distances(x, y, p ?? 2, eps ?? 1e-6);
        const near = between(a, positive);
        const far = between(a, negative);
        const other = between(positive, negative);
        const each = make(near.shape, type, (at) => {
          const off = swap === true ? Math.min(get(far, at), get(other, at)) : get(far, at);
          return Math.max(0, get(near, at) - off + (margin ?? 1));
        });
        return reduced(each, how);
      },
      { loose: 20 },
    );
  };
}

function multiMargin(dice: Dice): Sample {
  const { n, width, type } = rows(dice);
  const single = dice.chance(0.25);
  const input = tensorOf(dice, { shape: single ? [width] : [n, width], dtype: type, values: "plain" });
  const wrong = dice.chance(0.03);
  const target = exactly(single ? [] : [n], "int32", () => (wrong ? width : dice.int(0, width - 1)));
  const p = perhaps(dice, 0.4, () => (dice.chance(0.1) ? 3 : dice.int(1, 2)));
  const margin = perhaps(dice, 0.4, () => dice.pick([1, 0.5, 2]));
  const weight = perhaps(dice, 0.3, () =>
    dice.chance(0.2) ? null : tensorOf(dice, { shape: [width], dtype: type, values: "positive" }),
  );
  const how = reduction(dice);
  return form(
    dice,
    [input],
    ["target"],
    { target, p, margin, weight, reduction: how },
    () => {
      if (p === 3 || wrong) refuse("p or class");
      const each = make(target.shape, type, (at) => {
        const t = get(target, at);
        let sum = 0;
        for (let j = 0; j < width; j++)
          if (j !== t) sum += Math.max(0, (margin ?? 1) - get(input, [...at, t]) + get(input, [...at, j])) ** (p ?? 1);
        return ((isModel(weight) ? weight.data[t]! : 1) * sum) / width;
      });
      return reduced(each, how);
    },
    { loose: 20, late: wrong },
  );
}

function multilabelSoft(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const size = shape(dice, 1, 3).map((n) => Math.max(n, 1));
  const input = tensorOf(dice, { shape: size, dtype: type, values: "plain" });
  const target = exactly(size, type, () => dice.int(0, 1));
  const weight = weights(dice, type, size);
  const how = reduction(dice);
  return form(
    dice,
    [input],
    ["target", "weight"],
    { target, weight, reduction: how },
    () => {
      const log = (x: number): number => Math.min(x, 0) - Math.log1p(Math.exp(-Math.abs(x)));
      const each = elementwise(
        [input, target, weight ?? 1],
        type,
        type,
        (x, t, w) => -w * (t * log(x) + (1 - t) * log(-x)),
      );
      const mean = reduce(each, [each.shape.length - 1], false, type, (v) => v.reduce((a, b) => a + b, 0) / v.length);
      return reduced(mean, how);
    },
    { loose: 20 },
  );
}

function multilabel(dice: Dice): Sample {
  const { n, width, type } = rows(dice);
  const size = dice.chance(0.3) ? [width] : [n, width];
  const input = tensorOf(dice, { shape: size, dtype: type, values: "plain" });
  const lists = Array.from({ length: size.length === 1 ? 1 : n }, () => {
    const chosen = dice.shuffle(Array.from({ length: width }, (_, i) => i)).slice(0, dice.int(0, width));
    return [...chosen, ...new Array<number>(width - chosen.length).fill(-1)];
  });
  const flat = lists.flat();
  const target = exactly(size, "int32", (i) => flat[i]!);
  const how = reduction(dice);
  return form(
    dice,
    [input],
    ["target"],
    { target, reduction: how },
    () => {
      const each = make(size.slice(0, -1), type, (at) => {
        const list = lists[at[0] ?? 0]!.filter((c) => c >= 0);
        let sum = 0;
        for (const c of list)
          for (let j = 0; j < width; j++)
            if (!list.includes(j)) sum += Math.max(0, 1 - (get(input, [...at, c]) - get(input, [...at, j])));
        return sum / width;
      });
      return reduced(each, how);
    },
    { loose: 20 },
  );
}

/** Losses of elements, pairs and margins. */
export const MARGINS: Table = {
  l1Loss: paired((x, t) => Math.abs(x - t)),
  smoothL1Loss: paired(
    (x, t, { beta = 1 }) => {
      const d = Math.abs(x - t);
      const b = Number(beta);
      return d < b ? (d * d) / 2 / b : d - b / 2;
    },
    { extras: [number("beta", [1, 0.5, 2, 0, -1])], check: ({ beta }) => (beta as number) < 0 && refuse("beta") },
  ),
  huberLoss: paired(
    (x, t, { delta = 1 }) => {
      const d = Math.abs(x - t);
      const b = Number(delta);
      return d <= b ? (d * d) / 2 : b * (d - b / 2);
    },
    { extras: [number("delta", [1, 0.5, 2, 0])], check: ({ delta }) => delta === 0 && refuse("delta") },
  ),
  binaryCrossEntropy: binaryCrossEntropy(false),
  binaryCrossEntropyWithLogits: binaryCrossEntropy(true),
  klDiv,
  poissonNllLoss: paired(
    (x, t, { logInput = true, full = false, eps = 1e-8 }) =>
      (logInput ? Math.exp(x) - t * x : x - t * Math.log(x + Number(eps))) +
      (full && t > 1 ? t * Math.log(t) - t + Math.log(2 * Math.PI * t) / 2 : 0),
    { input: "positive", target: "positive", extras: [flag("logInput"), flag("full"), number("eps", [1e-8, 0.25])] },
  ),
  gaussianNllLoss: gaussian,
  hingeEmbeddingLoss: paired((x, t, { margin = 1 }) => (t === 1 ? x : Math.max(0, Number(margin) - x)), {
    target: "sign",
    extras: [number("margin", [1, 0.5, 3])],
  }),
  softMarginLoss: paired((x, t) => Math.max(-t * x, 0) + Math.log1p(Math.exp(-Math.abs(t * x))), { target: "sign" }),
  cosineEmbeddingLoss: cosineEmbedding,
  marginRankingLoss: ranking,
  tripletMarginLoss: triplet(false),
  tripletMarginWithDistanceLoss: triplet(true),
  multiMarginLoss: multiMargin,
  multilabelSoftMarginLoss: multilabelSoft,
  multilabelMarginLoss: multilabel,
};
