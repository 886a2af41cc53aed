/** Losses and the functions behind layers. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, Given, partner, shape, tensorOf } from "../given.ts";
import { alongLines, broadcast, coordinates, elementwise, get, make, refuse, spread, type Model } from "../model.ts";
import { form, perhaps, type Sample, type Table } from "../sample.ts";
import { product } from "./structure.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];
const REDUCTIONS = ["none", "mean", "sum"] as const;

function reduced(m: Model, reduction: (typeof REDUCTIONS)[number], divisor = m.data.length): Model {
  if (reduction === "none") return m;
  const total = m.data.reduce((a, b) => a + b, 0);
  return make([], m.dtype, () => (reduction === "sum" ? total : total / divisor));
}

function transposed(m: Model): Model {
  return m.shape.length < 2 ? m : make([m.shape[1]!, m.shape[0]!], m.dtype, ([i, j]) => get(m, [j!, i!]));
}

function classes(dice: Dice): {
  input: Given;
  target: Given;
  weight: Given | null | undefined;
  ignoreIndex: number | undefined;
  reduction: (typeof REDUCTIONS)[number] | undefined;
  valid: boolean;
} {
  const c = dice.int(1, 5);
  const n = dice.int(1, 4);
  const extra = dice.chance(0.3) ? [dice.int(1, 3)] : [];
  const single = extra.length === 0 && dice.chance(0.2);
  const type = dtype(dice, FLOATS);
  const input = tensorOf(dice, { shape: single ? [c] : [n, c, ...extra], dtype: type, values: "plain" });
  const ignoreIndex = perhaps(dice, 0.3, () => dice.int(-1, c - 1));
  const wrong = dice.chance(0.03);
  const size = single ? [] : [n, ...extra];
  const base = make(size, "int32", () =>
    wrong && dice.chance(0.5)
      ? dice.pick([c, -1, c + 3])
      : dice.chance(0.1) && ignoreIndex !== undefined
        ? ignoreIndex
        : dice.int(0, c - 1),
  );
  const target = new Given(base, [], base, false);
  const weight = perhaps(dice, 0.3, () =>
    dice.chance(0.2) ? null : tensorOf(dice, { shape: [c], dtype: type, values: "positive" }),
  );
  const reduction = perhaps(dice, 0.6, () => dice.pick(REDUCTIONS));
  const valid = target.data.every((t) => (t >= 0 && t < c) || t === (ignoreIndex ?? -100));
  return { input, target, weight, ignoreIndex, reduction, valid };
}

function logSoftmax(m: Model, dim: number): Model {
  return alongLines(m, dim, m.dtype, (values) => {
    const top = Math.max(...values);
    const sum = Math.log(values.reduce((a, v) => a + Math.exp(v - top), 0));
    return values.map((v) => v - top - sum);
  });
}

function negativeLogLikelihood(logs: Model, s: ReturnType<typeof classes>, smoothing: number): Model {
  const { target, weight, ignoreIndex = -100, reduction = "mean", valid } = s;
  if (!valid) refuse("class out of range");
  const classDim = logs.shape.length === 1 ? 0 : 1;
  const c = logs.shape[classDim]!;
  const w = (k: number): number => (weight == null ? 1 : weight.data[k]!);
  let total = 0;
  const losses = make(target.shape, logs.dtype, (at) => {
    const t = get(target, at);
    if (t === ignoreIndex) return 0;
    total += w(t);
    const at1 = (k: number): number => get(logs, at.toSpliced(classDim, 0, k));
    let smooth = 0;
    for (let k = 0; k < c; k++) smooth -= w(k) * at1(k);
    return (1 - smoothing) * -w(t) * at1(t) + (smoothing / c) * smooth;
  });
  return reduced(losses, reduction, total);
}

/** Losses and layers. */
export const LOSSES: Table = {
  mseLoss: (dice) => {
    const input = tensorOf(dice, { dtype: dtype(dice, FLOATS), values: "plain" });
    const target = tensorOf(dice, { dtype: input.dtype, shape: partner(dice, input.shape), values: "plain" });
    const reduction = perhaps(dice, 0.6, () => dice.pick(REDUCTIONS));
    return form(
      dice,
      [input],
      ["target"],
      { target, reduction },
      () =>
        reduced(
          elementwise([input, target], input.dtype, input.dtype, (x, y) => (x - y) ** 2),
          reduction ?? "mean",
        ),
      { loose: 10 },
    );
  },
  nllLoss: (dice) => {
    const s = classes(dice);
    return form(
      dice,
      [s.input],
      ["target", "weight"],
      { target: s.target, weight: s.weight, ignoreIndex: s.ignoreIndex, reduction: s.reduction },
      () => negativeLogLikelihood(s.input, s, 0),
      { loose: 10, late: !s.valid },
    );
  },
  crossEntropy: (dice) => {
    const s = classes(dice);
    const labelSmoothing = perhaps(dice, 0.3, () => (dice.chance(0.05) ? 1.5 : dice.pick([0, 0.25, 1])));
    const options = {
      target: s.target,
      weight: s.weight,
      ignoreIndex: s.ignoreIndex,
      reduction: s.reduction,
      labelSmoothing,
    };
    return form(
      dice,
      [s.input],
      ["target", "weight"],
      options,
      () => {
        if ((labelSmoothing ?? 0) > 1) refuse("labelSmoothing");
        return negativeLogLikelihood(logSoftmax(s.input, s.input.shape.length === 1 ? 0 : 1), s, labelSmoothing ?? 0);
      },
      { loose: 20, late: !s.valid },
    );
  },
  linear: (dice): Sample => {
    const type = dtype(dice, FLOATS);
    const k = dice.int(0, 5);
    const out = dice.int(0, 4);
    const input = tensorOf(dice, {
      shape: [...shape(dice, 0, 2), dice.chance(0.03) ? k + 1 : k],
      dtype: type,
      values: "plain",
    });
    const weight = tensorOf(dice, { shape: dice.chance(0.1) ? [k] : [out, k], dtype: type, values: "plain" });
    const bias = perhaps(dice, 0.6, () =>
      dice.chance(0.2)
        ? null
        : tensorOf(dice, { shape: weight.shape.length === 1 ? [] : [out], dtype: type, values: "plain" }),
    );
    return form(
      dice,
      [input],
      ["weight", "bias"],
      { weight, bias },
      () => {
        const p = product(input, transposed(weight));
        return bias == null ? p : make(broadcast(p.shape, bias.shape), type, (at) => spread(p, at) + spread(bias, at));
      },
      { loose: 10 },
    );
  },
  layerNorm: (dice) => {
    const x = tensorOf(dice, { shape: shape(dice, 1, 4), dtype: dtype(dice, FLOATS), values: "plain" });
    const lead = dice.int(0, x.shape.length - 1);
    const own = x.shape.slice(lead);
    const normalizedShape = own.length === 1 && dice.chance(0.5) ? own[0]! : dice.chance(0.03) ? [...own, 7] : own;
    const weight = perhaps(dice, 0.5, () => tensorOf(dice, { shape: own, dtype: x.dtype, values: "plain" }));
    const bias =
      weight === undefined
        ? undefined
        : perhaps(dice, 0.5, () => tensorOf(dice, { shape: own, dtype: x.dtype, values: "plain" }));
    const eps = perhaps(dice, 0.3, () => 0.25);
    return form(
      dice,
      [x],
      ["normalizedShape", "weight", "bias", "eps"],
      { normalizedShape, weight, bias, eps },
      () => {
        if ([normalizedShape].flat().join() !== own.join()) refuse("shape");
        const groups = new Map<string, number[]>();
        for (const at of coordinates(x.shape)) {
          const key = at.slice(0, lead).join();
          groups.set(key, [...(groups.get(key) ?? []), get(x, at)]);
        }
        return make(x.shape, x.dtype, (at) => {
          const values = groups.get(at.slice(0, lead).join())!;
          const mean = values.reduce((a, b) => a + b, 0) / values.length;
          const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
          const hat = (get(x, at) - mean) / Math.sqrt(variance + (eps ?? 1e-5));
          return (
            hat * (weight === undefined ? 1 : get(weight, at.slice(lead))) +
            (bias === undefined ? 0 : get(bias, at.slice(lead)))
          );
        });
      },
      { loose: 100 },
    );
  },
};
