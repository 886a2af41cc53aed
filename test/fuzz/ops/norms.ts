/** Normalisation, dropout, attention and tables of vectors. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, exactly, partner, shape, tensorOf, type Given } from "../given.ts";
import { coordinates, get, make, permuted, reduce, refuse, spread, wrapAll, type Model } from "../model.ts";
import { dimension, form, perhaps, type Generator, type Sample, type Table } from "../sample.ts";
import { product } from "./structure.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];

const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]): number => total(values) / values.length;
const variance = (values: readonly number[]): number => mean(values.map((v) => (v - mean(values)) ** 2));

/** Elements by a key of their coordinate. */
function groups(x: Model, key: (at: readonly number[]) => string): (at: readonly number[]) => number[] {
  const found = new Map<string, number[]>();
  for (const at of coordinates(x.shape)) {
    const k = key(at);
    const list = found.get(k);
    if (list === undefined) found.set(k, [get(x, at)]);
    else list.push(get(x, at));
  }
  return (at) => found.get(key(at))!;
}

function channelled(dice: Dice, minRank: number): { x: Given; channels: number } {
  const spatial = Array.from({ length: dice.int(minRank - 2, 3) }, () => dice.int(1, 3));
  const channels = dice.int(1, 4);
  const x = tensorOf(dice, {
    shape: [dice.chance(0.03) ? 0 : dice.int(1, 3), channels, ...spatial],
    dtype: dtype(dice, FLOATS),
    values: "plain",
  });
  return { x, channels };
}

/** A vector with an element a channel, null, left out, or rarely of the wrong size. */
function perChannel(dice: Dice, x: Given, channels: number, values: "plain" | "positive"): Given | null | undefined {
  return perhaps(dice, 0.5, () =>
    dice.chance(0.15)
      ? null
      : tensorOf(dice, { shape: [dice.chance(0.02) ? channels + 1 : channels], dtype: x.dtype, values }),
  );
}

function checkSizes(channels: number, ...given: readonly (Given | null | undefined)[]): void {
  if (given.some((g) => g != null && g.shape[0] !== channels)) refuse("channels");
}

function affine(x: Model, f: (at: readonly number[]) => number, weight?: Given | null, bias?: Given | null): Model {
  return make(x.shape, x.dtype, (at) => f(at) * (weight?.data[at[1]!] ?? 1) + (bias?.data[at[1]!] ?? 0));
}

function channelNorm(instance: boolean): Generator {
  return (dice) => {
    const { x, channels } = channelled(dice, dice.chance(0.05) ? 2 : instance ? 3 : 2);
    const running = dice.chance(0.6);
    const vector = (values: "plain" | "positive"): Given =>
      tensorOf(dice, { shape: [channels], dtype: x.dtype, values, views: false });
    const runningMean = running ? vector("plain") : null;
    const runningVar = running ? vector("positive") : null;
    const weight = perChannel(dice, x, channels, "plain");
    const bias = perChannel(dice, x, channels, "plain");
    const batch = perhaps(dice, 0.7, () => dice.chance(0.5));
    const momentum = perhaps(dice, 0.3, () => dice.pick([0.1, 0.5, 0, 1]));
    const eps = perhaps(dice, 0.3, () => dice.pick([1e-5, 0.25]));
    const uses = batch ?? instance;
    const e = eps ?? 1e-5;
    const flag = instance ? "useInputStats" : "training";
    return form(
      dice,
      [x],
      ["runningMean", "runningVar", "weight", "bias", flag, "momentum", "eps"],
      { runningMean, runningVar, weight, bias, [flag]: batch, momentum, eps },
      () => {
        if (x.shape.length < (instance ? 3 : 2)) refuse("rank");
        checkSizes(channels, weight, bias);
        if (!uses) {
          if (runningMean === null || runningVar === null) return refuse("no statistics");
          return affine(
            x,
            (at) => (get(x, at) - runningMean.data[at[1]!]!) / Math.sqrt(runningVar.data[at[1]!]! + e),
            weight,
            bias,
          );
        }
        const sizes = x.shape.filter((_, d) => d !== 1 && !(instance && d === 0));
        if (sizes.reduce((a, b) => a * b, 1) === 1) refuse("one value");
        const of = groups(x, (at) => (instance ? `${at[0]},${at[1]}` : String(at[1])));
        return affine(
          x,
          (at) => {
            const values = of(at);
            return (get(x, at) - mean(values)) / Math.sqrt(variance(values) + e);
          },
          weight,
          bias,
        );
      },
      { loose: 100 },
    );
  };
}

function groupNorm(dice: Dice): Sample {
  const { x, channels } = channelled(dice, 2);
  const numGroups = dice.chance(0.9)
    ? dice.pick([1, 2, 3, 4].filter((g) => channels % g === 0))
    : dice.pick([0, channels + 1, 1.5]);
  const weight = perChannel(dice, x, channels, "plain");
  const bias = perChannel(dice, x, channels, "plain");
  const eps = perhaps(dice, 0.3, () => dice.pick([1e-5, 0.25]));
  return form(
    dice,
    [x],
    ["numGroups", "weight", "bias", "eps"],
    { numGroups, weight, bias, eps },
    () => {
      checkSizes(channels, weight, bias);
      if (channels % numGroups !== 0 || !Number.isInteger(numGroups)) refuse("groups");
      const size = channels / numGroups;
      const of = groups(x, (at) => `${at[0]},${Math.floor(at[1]! / size)}`);
      return affine(
        x,
        (at) => {
          const values = of(at);
          return (get(x, at) - mean(values)) / Math.sqrt(variance(values) + (eps ?? 1e-5));
        },
        weight,
        bias,
      );
    },
    { loose: 100 },
  );
}

function localResponse(dice: Dice): Sample {
  const { x, channels } = channelled(dice, dice.chance(0.05) ? 2 : 3);
  const size = dice.int(1, 4);
  const alpha = perhaps(dice, 0.5, () => dice.pick([1e-4, 0.5]));
  const beta = perhaps(dice, 0.5, () => dice.pick([0.75, 1, 0.5]));
  const k = perhaps(dice, 0.5, () => dice.pick([1, 2]));
  return form(
    dice,
    [x],
    ["size", "alpha", "beta", "k"],
    { size, alpha, beta, k },
    () => {
      if (x.shape.length < 3) refuse("rank");
      return make(x.shape, x.dtype, (at) => {
        let squares = 0;
        for (let c = at[1]! - Math.floor(size / 2); c <= at[1]! + Math.floor((size - 1) / 2); c++)
          if (c >= 0 && c < channels) squares += get(x, at.with(1, c)) ** 2;
        return get(x, at) / ((k ?? 1) + ((alpha ?? 1e-4) * squares) / size) ** (beta ?? 0.75);
      });
    },
    { loose: 30 },
  );
}

function rmsNorm(dice: Dice): Sample {
  const x = tensorOf(dice, { shape: shape(dice, 1, 4), dtype: dtype(dice, FLOATS), values: "plain" });
  const lead = dice.int(0, x.shape.length - 1);
  const own = x.shape.slice(lead);
  const normalizedShape = own.length === 1 && dice.chance(0.5) ? own[0]! : dice.chance(0.03) ? [...own, 7] : own;
  const weight = perhaps(dice, 0.5, () => tensorOf(dice, { shape: own, dtype: x.dtype, values: "plain" }));
  const eps = perhaps(dice, 0.5, () => dice.pick([0.25, null, 1e-5]));
  return form(
    dice,
    [x],
    ["normalizedShape", "weight", "eps"],
    { normalizedShape, weight, eps },
    () => {
      if ([normalizedShape].flat().join() !== own.join()) refuse("shape");
      const of = groups(x, (at) => at.slice(0, lead).join());
      const least = x.dtype === "float64" ? 2 ** -52 : 2 ** -23;
      return make(
        x.shape,
        x.dtype,
        (at) =>
          (get(x, at) / Math.sqrt(mean(of(at).map((v) => v * v)) + (eps ?? least))) *
          (weight === undefined ? 1 : get(weight, at.slice(lead))),
      );
    },
    { loose: 20 },
  );
}

function normalize(dice: Dice): Sample {
  const x = tensorOf(dice, {
    shape: shape(dice, dice.chance(0.9) ? 2 : 0, 4),
    dtype: dtype(dice, FLOATS),
    values: "plain",
  });
  const p = perhaps(dice, 0.5, () => dice.pick([1, 2, 3, Infinity]));
  const dim = perhaps(dice, 0.6, () => dimension(dice, x.shape.length));
  const eps = perhaps(dice, 0.3, () => dice.pick([1e-12, 0.5]));
  return form(
    dice,
    [x],
    ["p", "dim", "eps"],
    { p, dim, eps },
    () => {
      const dims = wrapAll(dim ?? 1, x.shape.length);
      const n = p ?? 2;
      const norms = reduce(x, dims, true, "float64", (values) =>
        n === Infinity ? Math.max(0, ...values.map(Math.abs)) : total(values.map((v) => Math.abs(v) ** n)) ** (1 / n),
      );
      return make(x.shape, x.dtype, (at) => get(x, at) / Math.max(spread(norms, at), eps ?? 1e-12));
    },
    { loose: 10 },
  );
}

// --- dropout ------------------------------------------------------------------------------------------------------------

const SELU_FLOOR = -1.7580993408473766;

/** Zeroes, or SELU's floor: which elements is random, what the others become is not. */
function dropping(rank: number | null, alpha: boolean, channelwise: boolean): Generator {
  return (dice) => {
    const lead = rank === null ? null : dice.chance(0.05) ? dice.int(0, 1) : dice.int(rank + 1, rank + 2);
    const x = tensorOf(dice, {
      dtype: dtype(dice, FLOATS),
      values: "plain",
      views: false,
      ...(lead === null ? {} : { shape: Array.from({ length: lead }, () => dice.int(1, 3)) }),
    });
    const p = perhaps(dice, 0.7, () => dice.pick([0, 0.25, 0.5, 1, dice.chance(0.2) ? 1.5 : 0.75]));
    const training = perhaps(dice, 0.7, () => dice.chance(0.7));
    const on = training ?? !alpha;
    const rate = p ?? 0.5;
    const values = { p, training };
    const wrongRank = rank !== null && x.shape.length !== rank + 1 && x.shape.length !== rank + 2;
    if (wrongRank || rate > 1) return form(dice, [x], ["p", "training"], values, () => refuse("rank or p"));
    if (!on || rate === 0) return form(dice, [x], ["p", "training"], values, () => x);
    const a = alpha ? 1 / Math.sqrt((SELU_FLOOR ** 2 * rate + 1) * (1 - rate)) : 1 / (1 - rate);
    const kept = (v: number): number => (alpha ? a * v - SELU_FLOOR * a * rate : a * v);
    const dropped = alpha ? SELU_FLOOR * a * (1 - rate) : 0;
    if (rate === 1)
      return form(dice, [x], ["p", "training"], values, () => ({
        shape: x.shape,
        dtype: x.dtype,
        data: x.data.map(() => 0),
      }));
    return form(dice, [x], ["p", "training"], values, null, {
      check: ([out]) => {
        const close = (u: number, v: number): boolean => Math.abs(u - v) <= 1e-4 * (1 + Math.abs(v));
        const fates = new Map<string, boolean>();
        let problem: string | null = null;
        let i = 0;
        for (const at of coordinates(x.shape)) {
          const [y, v] = [out!.data[i]!, x.data[i]!];
          i++;
          const [isKept, isDropped] = [close(y, kept(v)), close(y, dropped)];
          if (!isKept && !isDropped) problem ??= `element ${i - 1} is ${y} for ${v}`;
          const batched = rank !== null && x.shape.length === rank + 1 ? at.slice(0, 1) : at.slice(0, 2);
          const key = channelwise ? batched.join() : String(i);
          if (isKept === isDropped) continue;
          if ((fates.get(key) ?? isKept) !== isKept) problem ??= `channel ${key} is kept and dropped`;
          fates.set(key, isKept);
        }
        return problem;
      },
    });
  };
}

// --- tables, attention ----------------------------------------------------------------------------------------------------

function oneHot(dice: Dice): Sample {
  const classes = dice.int(1, 5);
  const size = shape(dice, 0, 3);
  const wrong = dice.chance(0.04);
  const x = exactly(size, "int32", () => (wrong ? dice.pick([-1, -3]) : dice.int(0, classes - 1)));
  const given = perhaps(dice, 0.7, () => (dice.chance(0.05) ? dice.pick([0, -2]) : classes));
  return form(dice, [x], ["numClasses"], { numClasses: given }, () => {
    if (given !== undefined && given < 1) refuse("classes");
    if (given === undefined && x.data.length === 0) refuse("no classes");
    if (x.data.some((v) => v < 0)) refuse("negative");
    const n = given ?? Math.max(...x.data) + 1;
    return make([...size, n], "int32", (at) => Number(get(x, at.slice(0, -1)) === at.at(-1)));
  });
}

function embeddingBag(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const [n, d] = [dice.int(1, 5), dice.int(1, 3)];
  const weight = tensorOf(dice, { shape: [n, d], dtype: type, values: "plain" });
  const flat = dice.chance(0.5);
  const [bags, size] = [dice.int(1, 3), dice.int(1, 4)];
  const length = bags * size;
  const input = exactly(flat ? [length] : [bags, size], "int32", () => dice.int(0, n - 1));
  const starts = [0, ...Array.from({ length: bags - 1 }, () => dice.int(0, length))].sort((a, b) => a - b);
  const includeLastOffset = flat ? perhaps(dice, 0.3, () => dice.chance(0.5)) : undefined;
  const cut = includeLastOffset === true ? [...starts, length] : starts;
  const offsets = flat
    ? exactly([cut.length], "int32", (i) => cut[i]!)
    : dice.chance(0.03)
      ? exactly([1], "int32", () => 0)
      : undefined;
  const mode = perhaps(dice, 0.7, () => dice.pick(["sum", "mean", "max"] as const));
  const paddingIdx = perhaps(dice, 0.3, () => dice.pick([null, dice.int(0, n - 1), -1]));
  const perSampleWeights = dice.chance(mode === "sum" ? 0.4 : 0.03)
    ? tensorOf(dice, { shape: input.shape, dtype: type, values: "plain" })
    : undefined;
  return form(
    dice,
    [input],
    ["weight"],
    { weight, offsets, mode, perSampleWeights, includeLastOffset, paddingIdx },
    () => {
      if ((!flat && offsets !== undefined) || (perSampleWeights !== undefined && mode !== "sum")) refuse("options");
      const padding = paddingIdx == null ? null : paddingIdx < 0 ? paddingIdx + n : paddingIdx;
      return make([bags, d], type, ([b, j]) => {
        const [from, to] = flat ? [starts[b!]!, starts[b! + 1] ?? length] : [b! * size, (b! + 1) * size];
        const values: number[] = [];
        for (let i = from; i < to; i++) {
          const row = input.data[i]!;
          if (row !== padding) values.push(get(weight, [row, j!]) * (perSampleWeights?.data[i] ?? 1));
        }
        if (values.length === 0) return 0;
        return mode === "max" ? Math.max(...values) : mode === "sum" ? total(values) : mean(values);
      });
    },
    { loose: 10 },
  );
}

function attention(dice: Dice): Sample {
  const type = dtype(dice, FLOATS);
  const lead = Array.from({ length: dice.int(0, 2) }, () => dice.int(1, 2));
  const [l, s, d, v] = [dice.int(1, 4), dice.int(1, 4), dice.int(1, 3), dice.int(1, 3)];
  const wrong = dice.chance(0.03);
  const of = (sizes: readonly number[]): Given =>
    tensorOf(dice, { shape: [...lead, ...sizes], dtype: type, values: "plain" });
  const query = of([l, d]);
  const key = of([s, wrong ? d + 1 : d]);
  const value = of([s, v]);
  const kind = dice.pick(["none", "none", "bool", "float", "int"] as const);
  const size = partner(dice, [...lead, l, s]);
  const fits =
    size.length <= lead.length + 2 &&
    size.every((n, i) => n === 1 || n === [...lead, l, s][lead.length + 2 - size.length + i]);
  const attnMask =
    kind === "none"
      ? undefined
      : kind === "bool"
        ? exactly(size, "bool", () => Number(dice.chance(0.8)))
        : tensorOf(dice, { shape: size, dtype: kind === "int" ? "int32" : type, values: "plain" });
  const isCausal = perhaps(dice, 0.3, () => dice.chance(0.5));
  const scale = perhaps(dice, 0.3, () => dice.pick([null, 0.5, 1]));
  return form(
    dice,
    [query],
    ["key", "value", "attnMask"],
    { key, value, attnMask, isCausal, scale },
    !fits
      ? null
      : () => {
          if (wrong || kind === "int") refuse("width or mask");
          const order = [...lead.map((_, i) => i), lead.length + 1, lead.length];
          const scores = product(query, permuted(key, order));
          const factor = scale ?? 1 / Math.sqrt(d);
          const raw = make(scores.shape, "float64", (at) => {
            const [i, j] = at.slice(-2) as [number, number];
            const m = attnMask === undefined ? 0 : spread(attnMask, at);
            const open = !(isCausal === true && j > i) && !(kind === "bool" && m === 0);
            return open ? get(scores, at) * factor + (kind === "float" ? m : 0) : -Infinity;
          });
          const weights = make(scores.shape, type, (at) => {
            const row = Array.from({ length: s }, (_, j) => get(raw, [...at.slice(0, -1), j]));
            const top = Math.max(...row);
            const e = row.map((r) => Math.exp(r - top));
            return e[at.at(-1)!]! / total(e);
          });
          return product(weights, value);
        },
    { loose: 40 },
  );
}

/** Normalisation, dropout, attention and tables. */
export const NORMS: Table = {
  batchNorm: channelNorm(false),
  instanceNorm: channelNorm(true),
  groupNorm,
  localResponseNorm: localResponse,
  rmsNorm,
  normalize,
  dropout: dropping(null, false, false),
  dropout1d: dropping(1, false, true),
  dropout2d: dropping(2, false, true),
  dropout3d: dropping(3, false, true),
  alphaDropout: dropping(null, true, false),
  featureAlphaDropout: dropping(null, true, true),
  oneHot,
  embeddingBag,
  scaledDotProductAttention: attention,
};
