/** Convolutions, by their definition. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, tensorOf, type Given } from "../given.ts";
import { coordinates, count, get, make, refuse, reshaped, type Model } from "../model.ts";
import { form, perhaps, type Generator, type Table } from "../sample.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];

interface Settings {
  readonly stride: readonly number[];
  readonly padding: readonly number[] | "same";
  readonly dilation: readonly number[];
  readonly groups: number;
  readonly outputPadding: readonly number[];
}

interface Drawn {
  readonly x: Given;
  readonly weight: Given;
  readonly bias: Given | null | undefined;
  readonly named: Record<string, unknown>;
  readonly settings: Settings;
}

function draw(dice: Dice, rank: number, transposed: boolean): Drawn {
  const groups = dice.pick([1, 1, 1, 2]);
  const [inside, outside] = [dice.int(1, 2), dice.int(1, 2)];
  const type = dtype(dice, FLOATS);
  const sizes = Array.from({ length: rank }, () => dice.int(1, rank === 3 ? 4 : 6));
  const kernel = Array.from({ length: rank }, () => dice.int(1, 3));
  const channels = inside * groups + (dice.chance(0.02) ? 1 : 0);
  const x = tensorOf(dice, {
    shape: [...(dice.chance(0.2) ? [] : [dice.int(1, 2)]), channels, ...sizes],
    dtype: type,
    values: "plain",
  });
  const lead = transposed ? [inside * groups, outside] : [outside * groups, inside];
  const weight = tensorOf(dice, { shape: [...lead, ...kernel], dtype: type, values: "plain" });
  const bias = perhaps(dice, 0.5, () =>
    dice.chance(0.2) ? null : tensorOf(dice, { shape: [outside * groups], dtype: type, values: "plain" }),
  );
  const each = (low: number, high: number): number | number[] =>
    dice.chance(0.5) ? dice.int(low, high) : Array.from({ length: rank }, () => dice.int(low, high));
  const stride = perhaps(dice, 0.5, () => each(1, 3));
  const same = !transposed && stride === undefined && dice.chance(0.15);
  const padding = same ? ("same" as const) : perhaps(dice, 0.5, () => each(0, 2));
  const dilation = perhaps(dice, 0.3, () => each(1, 2));
  const outputPadding = transposed ? perhaps(dice, 0.2, () => each(0, 1)) : undefined;
  const wide = (v: number | number[] | undefined, otherwise: number): number[] =>
    v === undefined
      ? new Array<number>(rank).fill(otherwise)
      : typeof v === "number"
        ? new Array<number>(rank).fill(v)
        : v;
  return {
    x,
    weight,
    bias,
    named: {
      bias,
      stride,
      padding,
      ...(transposed ? { outputPadding } : {}),
      ...(groups === 1 ? {} : { groups }),
      dilation,
    },
    settings: {
      stride: wide(stride, 1),
      padding: padding === "same" ? "same" : wide(padding, 0),
      dilation: wide(dilation, 1),
      groups,
      outputPadding: wide(outputPadding, 0),
    },
  };
}

function batched(x: Model, rank: number): Model {
  return x.shape.length === rank + 1 ? reshaped(x, [1, ...x.shape]) : x;
}

function convolved(rank: number, given: Model, weight: Model, bias: Model | null | undefined, s: Settings): Model {
  const x = batched(given, rank);
  const [outside, inside, ...kernel] = weight.shape as [number, number, ...number[]];
  if (x.shape[1] !== inside * s.groups) refuse("channels");
  const before = kernel.map((k, d) =>
    s.padding === "same" ? Math.floor((s.dilation[d]! * (k - 1)) / 2) : s.padding[d]!,
  );
  const both = kernel.map((k, d) => (s.padding === "same" ? s.dilation[d]! * (k - 1) : 2 * s.padding[d]!));
  const sizes = kernel.map(
    (k, d) => Math.floor((x.shape[d + 2]! + both[d]! - s.dilation[d]! * (k - 1) - 1) / s.stride[d]!) + 1,
  );
  if (kernel.some((k, d) => x.shape[d + 2]! + both[d]! < s.dilation[d]! * (k - 1) + 1)) refuse("too small");
  const perGroup = outside / s.groups;
  const out = make([x.shape[0]!, outside, ...sizes], x.dtype, ([n, o, ...at]) => {
    let sum = bias == null ? 0 : bias.data[o!]!;
    for (const [c, ...k] of coordinates([inside, ...kernel])) {
      const place = k.map((v, d) => at[d]! * s.stride[d]! + v * s.dilation[d]! - before[d]!);
      if (place.some((p, d) => p < 0 || p >= x.shape[d + 2]!)) continue;
      sum += get(x, [n!, Math.floor(o! / perGroup) * inside + c!, ...place]) * get(weight, [o!, c!, ...k]);
    }
    return sum;
  });
  return given.shape.length === rank + 1 ? reshaped(out, out.shape.slice(1)) : out;
}

function transposedOf(rank: number, given: Model, weight: Model, bias: Model | null | undefined, s: Settings): Model {
  const x = batched(given, rank);
  const [inside, outside, ...kernel] = weight.shape as [number, number, ...number[]];
  if (x.shape[1] !== inside) refuse("channels");
  const padding = s.padding as readonly number[];
  if (s.outputPadding.some((p, d) => p >= s.stride[d]! && p >= s.dilation[d]!)) refuse("outputPadding");
  const sizes = kernel.map(
    (k, d) =>
      (x.shape[d + 2]! - 1) * s.stride[d]! - 2 * padding[d]! + s.dilation[d]! * (k - 1) + s.outputPadding[d]! + 1,
  );
  if (sizes.some((n) => n <= 0)) refuse("too small");
  const shape = [x.shape[0]!, outside * s.groups, ...sizes];
  const data = new Array<number>(count(shape)).fill(0);
  const perGroup = inside / s.groups;
  for (const [n, c, ...at] of coordinates(x.shape))
    for (const [o, ...k] of coordinates([outside, ...kernel])) {
      const place = at.map((v, d) => v * s.stride[d]! + k[d]! * s.dilation[d]! - padding[d]!);
      if (place.some((p, d) => p < 0 || p >= sizes[d]!)) continue;
      const channel = Math.floor(c! / perGroup) * outside + o!;
      const target = [n!, channel, ...place].reduce((p, v, d) => p * shape[d]! + v, 0);
      data[target]! += get(x, [n!, c!, ...at]) * get(weight, [c!, o!, ...k]);
    }
  const out = make(
    shape,
    x.dtype,
    (at) => data[at.reduce((p, v, d) => p * shape[d]! + v, 0)]! + (bias == null ? 0 : bias.data[at[1]!]!),
  );
  return given.shape.length === rank + 1 ? reshaped(out, out.shape.slice(1)) : out;
}

function convolution(rank: number, transposed: boolean): Generator {
  return (dice) => {
    const { x, weight, bias, named, settings } = draw(dice, rank, transposed);
    const order = transposed
      ? ["weight", "bias", "stride", "padding", "outputPadding", "groups", "dilation"]
      : ["weight", "bias", "stride", "padding", "dilation", "groups"];
    return form(
      dice,
      [x],
      order,
      { weight, ...named },
      () => (transposed ? transposedOf : convolved)(rank, x, weight, bias, settings),
      { loose: 10 },
    );
  };
}

/** Convolutions. */
export const CONVOLUTIONS: Table = {
  conv1d: convolution(1, false),
  conv2d: convolution(2, false),
  conv3d: convolution(3, false),
  convTranspose1d: convolution(1, true),
  convTranspose2d: convolution(2, true),
  convTranspose3d: convolution(3, true),
};
