/** Pooling, padding, resizing, and windows as columns, by their definitions. */

import type { DType } from "#tapegrad";
import type { Dice } from "../dice.ts";
import { dtype, Given, tensorOf } from "../given.ts";
import { coordinates, count, get, make, refuse, reshaped, type Model } from "../model.ts";
import { form, perhaps, type Generator as Maker, type Sample, type Table } from "../sample.ts";

const FLOATS: readonly DType[] = ["float32", "float64"];

function spatial(dice: Dice, rank: number): Given {
  const sizes = Array.from({ length: rank }, () => dice.int(1, rank === 3 ? 4 : 6));
  const shape = [...(dice.chance(0.25) ? [] : [dice.int(1, 2)]), dice.int(1, 2), ...sizes];
  return tensorOf(dice, {
    shape: dice.chance(0.02) ? shape.slice(0, -1) : shape,
    dtype: dtype(dice, FLOATS),
    values: "plain",
  });
}

type PerDim = number | number[];

function each(dice: Dice, rank: number, low: number, high: number): PerDim {
  return dice.chance(0.5) ? dice.int(low, high) : Array.from({ length: rank }, () => dice.int(low, high));
}

function wide(value: PerDim, rank: number): number[] {
  return typeof value === "number" ? new Array<number>(rank).fill(value) : value;
}

function checkRank(x: Model, rank: number): void {
  if (x.shape.length !== rank + 1 && x.shape.length !== rank + 2) refuse("rank");
}

interface Windows {
  readonly kernel: number[];
  readonly stride: number[];
  readonly padding: number[];
  readonly dilation: number[];
  readonly sizes: number[];
}

function windowsOf(
  x: Model,
  rank: number,
  v: {
    kernelSize: PerDim;
    stride?: PerDim | undefined;
    padding?: PerDim | undefined;
    dilation?: PerDim | undefined;
    ceilMode?: boolean | undefined;
  },
): Windows {
  const kernel = wide(v.kernelSize, rank);
  const stride = wide(v.stride ?? v.kernelSize, rank);
  const padding = wide(v.padding ?? 0, rank);
  const dilation = wide(v.dilation ?? 1, rank);
  if (padding.some((p, d) => p > kernel[d]! / 2)) refuse("padding");
  const sizes = kernel.map((k, d) => {
    const n = x.shape[x.shape.length - rank + d]!;
    const steps = (n + 2 * padding[d]! - dilation[d]! * (k - 1) - 1) / stride[d]!;
    let size = (v.ceilMode === true ? Math.ceil(steps) : Math.floor(steps)) + 1;
    if (v.ceilMode === true && (size - 1) * stride[d]! >= n + padding[d]!) size--;
    return size < 1 ? refuse("too small") : size;
  });
  return { kernel, stride, padding, dilation, sizes };
}

/** Combines each window: `f` gets its elements, their flat positions, and the window's place. */
function pooled(
  x: Model,
  rank: number,
  w: Windows,
  type: DType,
  f: (values: number[], places: number[], at: readonly number[]) => number,
): Model {
  const lead = x.shape.length - rank;
  const inside = x.shape.slice(lead);
  return make([...x.shape.slice(0, lead), ...w.sizes], type, (c) => {
    const at = c.slice(lead);
    const values: number[] = [];
    const places: number[] = [];
    for (const k of coordinates(w.kernel)) {
      const place = k.map((v, d) => at[d]! * w.stride[d]! + v * w.dilation[d]! - w.padding[d]!);
      if (place.some((p, d) => p < 0 || p >= inside[d]!)) continue;
      values.push(get(x, [...c.slice(0, lead), ...place]));
      places.push(place.reduce((p, v, d) => p * inside[d]! + v, 0));
    }
    return f(values, places, at);
  });
}

function maxPool(rank: number): Maker {
  return (dice) => {
    const x = spatial(dice, rank);
    const v = {
      kernelSize: each(dice, rank, 1, 3),
      stride: perhaps(dice, 0.5, () => each(dice, rank, 1, 3)),
      padding: perhaps(dice, 0.4, () => each(dice, rank, 0, 1)),
      dilation: perhaps(dice, 0.2, () => each(dice, rank, 1, 2)),
      ceilMode: perhaps(dice, 0.3, () => dice.chance(0.5)),
    };
    const returnIndices = perhaps(dice, 0.4, () => dice.chance(0.7));
    return form(
      dice,
      [x],
      ["kernelSize", "stride", "padding", "dilation", "ceilMode", "returnIndices"],
      { ...v, returnIndices },
      () => {
        checkRank(x, rank);
        const w = windowsOf(x, rank, v);
        // A window that lies in the padding altogether has no largest element.
        if (v.padding !== undefined && pooled(x, rank, w, "int32", (values) => values.length).data.includes(0))
          return null;
        const out = pooled(x, rank, w, x.dtype, (values) => Math.max(...values));
        if (returnIndices !== true) return out;
        return [out, pooled(x, rank, w, "int32", (values, places) => places[values.indexOf(Math.max(...values))]!)];
      },
    );
  };
}

function avgPool(rank: number): Maker {
  return (dice) => {
    const x = spatial(dice, rank);
    const v = {
      kernelSize: each(dice, rank, 1, 3),
      stride: perhaps(dice, 0.5, () => each(dice, rank, 1, 3)),
      padding: perhaps(dice, 0.4, () => each(dice, rank, 0, 1)),
      ceilMode: perhaps(dice, 0.3, () => dice.chance(0.5)),
    };
    const countIncludePad = perhaps(dice, 0.4, () => dice.chance(0.5));
    const divisorOverride = rank > 1 ? perhaps(dice, 0.2, () => dice.int(1, 4)) : undefined;
    return form(
      dice,
      [x],
      ["kernelSize", "stride", "padding", "ceilMode", "countIncludePad", "divisorOverride"],
      { ...v, countIncludePad, divisorOverride },
      () => {
        checkRank(x, rank);
        const w = windowsOf(x, rank, v);
        const lead = x.shape.length - rank;
        return pooled(x, rank, w, x.dtype, (values, _, at) => {
          const total = values.reduce((a, b) => a + b, 0);
          if (divisorOverride !== undefined) return total / divisorOverride;
          if (countIncludePad === false) return total / values.length;
          return (
            total /
            count(
              w.kernel.map((k, d) => {
                const start = at[d]! * w.stride[d]! - w.padding[d]!;
                return Math.min(start + k, x.shape[lead + d]! + w.padding[d]!) - start;
              }),
            )
          );
        });
      },
      { loose: 5 },
    );
  };
}

function adaptive(rank: number, f: (values: number[]) => number): Maker {
  return (dice) => {
    const x = spatial(dice, rank);
    const outputSize =
      rank > 1 && dice.chance(0.2)
        ? Array.from({ length: rank }, () => (dice.chance(0.3) ? null : dice.int(1, 4)))
        : each(dice, rank, 1, 5);
    return form(
      dice,
      [x],
      ["outputSize"],
      { outputSize },
      () => {
        checkRank(x, rank);
        const lead = x.shape.length - rank;
        const sizes = Array.isArray(outputSize)
          ? outputSize.map((n, d) => n ?? x.shape[lead + d]!)
          : new Array<number>(rank).fill(outputSize);
        return make([...x.shape.slice(0, lead), ...sizes], x.dtype, (c) => {
          const ranges = sizes.map((n, d) => {
            const size = x.shape[lead + d]!;
            const start = Math.floor((c[lead + d]! * size) / n);
            return { start, length: Math.ceil(((c[lead + d]! + 1) * size) / n) - start };
          });
          const values: number[] = [];
          for (const k of coordinates(ranges.map((r) => r.length)))
            values.push(get(x, [...c.slice(0, lead), ...k.map((i, d) => ranges[d]!.start + i)]));
          return f(values);
        });
      },
      { loose: 5 },
    );
  };
}

function lpPool(rank: number): Maker {
  return (dice) => {
    const x = spatial(dice, rank);
    const normType = dice.pick([1, 2, 3]);
    const v = { kernelSize: each(dice, rank, 1, 3), stride: perhaps(dice, 0.5, () => each(dice, rank, 1, 3)) };
    return form(
      dice,
      [x],
      ["normType", "kernelSize", "stride"],
      { normType, ...v },
      () => {
        checkRank(x, rank);
        const w = windowsOf(x, rank, v);
        return pooled(x, rank, w, x.dtype, (values) => values.reduce((a, u) => a + u ** normType, 0) ** (1 / normType));
      },
      { loose: 200 },
    );
  };
}

function unpool(rank: number): Maker {
  return (dice) => {
    const x = spatial(dice, rank);
    const lead = x.shape.length - rank;
    const kernelSize = dice.int(1, 3);
    const sizes = x.shape.slice(lead).map((n) => (n - 1) * kernelSize + kernelSize);
    const n = count(sizes);
    const inner = count(x.shape.slice(lead));
    const rows = Math.max(lead, 0) === lead ? count(x.shape.slice(0, lead)) : 1;
    const data = Array.from({ length: rows }, () =>
      dice.shuffle(Array.from({ length: n }, (_, i) => i)).slice(0, inner),
    ).flat();
    const indices: Model = { shape: x.shape, dtype: "int32", data };
    if (x.shape.length < rank + 1)
      return {
        args: [
          x,
          new Given({ ...indices, data: x.data.map(() => 0) }, [], { ...indices, data: x.data.map(() => 0) }, false),
          kernelSize,
        ],
        expect: () => refuse("rank"),
      };
    return form(dice, [x, new Given(indices, [], indices, false)], ["kernelSize"], { kernelSize }, () => {
      const out = new Array<number>(rows * n).fill(0);
      x.data.forEach((v, i) => (out[Math.floor(i / inner) * n + data[i]!] = v));
      return { shape: [...x.shape.slice(0, lead), ...sizes], dtype: x.dtype, data: out };
    });
  };
}

function pad(dice: Dice): Sample {
  const dims = dice.int(1, 2);
  const mode = perhaps(dice, 0.7, () => dice.pick(["constant", "reflect", "replicate", "circular"] as const));
  const x = tensorOf(dice, {
    shape: Array.from({ length: dims + dice.int(1, 2) }, () => dice.int(1, 5)),
    dtype: dtype(dice, FLOATS),
    values: "plain",
  });
  const list = Array.from({ length: 2 * dims }, () => dice.int(dice.chance(0.2) ? -2 : 0, 3));
  const value =
    mode === undefined || mode === "constant" ? perhaps(dice, 0.5, () => dice.pick([0, 1, -2.5])) : undefined;
  return form(dice, [x], ["pad", "mode", "value"], { pad: list, mode, value }, () => {
    const rank = x.shape.length;
    const before = x.shape.map((_, d) => list[2 * (rank - 1 - d)] ?? 0);
    const after = x.shape.map((_, d) => list[2 * (rank - 1 - d) + 1] ?? 0);
    const shape = x.shape.map((n, d) => n + before[d]! + after[d]!);
    const constant = mode === undefined || mode === "constant";
    if (shape.some((n, d) => n < (constant || d < rank - dims ? 0 : 1))) refuse("negative");
    const most = (n: number): number => (mode === "reflect" ? n - 1 : mode === "circular" ? n : Infinity);
    if (!constant)
      x.shape.forEach((n, d) => {
        if (before[d]! > most(n) || after[d]! > most(n)) refuse("reach");
      });
    return make(shape, x.dtype, (c) => {
      const source = c.map((i, d) => {
        const n = x.shape[d]!;
        const at = i - before[d]!;
        if (constant) return at;
        if (mode === "circular") return ((at % n) + n) % n;
        if (mode === "replicate") return Math.min(Math.max(at, 0), n - 1);
        return at < 0 ? -at : at >= n ? 2 * (n - 1) - at : at;
      });
      return source.some((i, d) => i < 0 || i >= x.shape[d]!) ? (value ?? 0) : get(x, source);
    });
  });
}

function interpolate(dice: Dice): Sample {
  const rank = dice.int(1, 3);
  const x = tensorOf(dice, {
    shape: [dice.int(1, 2), dice.int(1, 2), ...Array.from({ length: rank }, () => dice.int(1, 4))],
    dtype: dtype(dice, FLOATS),
    values: "plain",
  });
  const linear = ["linear", "bilinear", "trilinear"][rank - 1]!;
  const mode = perhaps(dice, 0.8, () =>
    dice.pick(["nearest", "nearest-exact", linear, dice.chance(0.1) ? "cubic" : linear]),
  );
  const size = each(dice, rank, 1, 6);
  const alignCorners = mode === linear ? perhaps(dice, 0.5, () => dice.chance(0.5)) : undefined;
  return form(
    dice,
    [x],
    ["size"],
    { size, mode, alignCorners },
    () => {
      if (mode === "cubic") refuse("mode");
      const sizes = wide(size, rank);
      const taps = (d: number, o: number): [number, number][] => {
        const n = x.shape[d + 2]!;
        if (mode === undefined || mode === "nearest") return [[Math.min(Math.floor((o * n) / sizes[d]!), n - 1), 1]];
        if (mode === "nearest-exact") return [[Math.min(Math.floor(((2 * o + 1) * n) / (2 * sizes[d]!)), n - 1), 1]];
        const at =
          alignCorners === true
            ? sizes[d]! > 1
              ? (o * (n - 1)) / (sizes[d]! - 1)
              : 0
            : Math.max(((o + 0.5) * n) / sizes[d]! - 0.5, 0);
        const low = Math.min(Math.floor(at), n - 1);
        return [
          [low, 1 - (at - low)],
          [Math.min(low + 1, n - 1), at - low],
        ];
      };
      return make([...x.shape.slice(0, 2), ...sizes], x.dtype, ([n, c, ...at]) => {
        let sum = 0;
        const lists = at.map((o, d) => taps(d, o));
        for (const pick of coordinates(lists.map((l) => l.length))) {
          const chosen = pick.map((i, d) => lists[d]![i]!);
          sum += chosen.reduce((p, [, w]) => p * w, 1) * get(x, [n!, c!, ...chosen.map(([i]) => i)]);
        }
        return sum;
      });
    },
    { loose: 10 },
  );
}

function columns(dice: Dice): {
  options: {
    kernelSize: PerDim;
    dilation: PerDim | undefined;
    padding: PerDim | undefined;
    stride: PerDim | undefined;
  };
  kernel: number[];
  dilation: number[];
  padding: number[];
  stride: number[];
} {
  const options = {
    kernelSize: each(dice, 2, 1, 2),
    dilation: perhaps(dice, 0.2, () => each(dice, 2, 1, 2)),
    padding: perhaps(dice, 0.3, () => each(dice, 2, 0, 1)),
    stride: perhaps(dice, 0.4, () => each(dice, 2, 1, 2)),
  };
  return {
    options,
    kernel: wide(options.kernelSize, 2),
    dilation: wide(options.dilation ?? 1, 2),
    padding: wide(options.padding ?? 0, 2),
    stride: wide(options.stride ?? 1, 2),
  };
}

function blocks(sizes: readonly number[], c: ReturnType<typeof columns>): number[] {
  return c.kernel.map(
    (k, d) => Math.floor((sizes[d]! + 2 * c.padding[d]! - c.dilation[d]! * (k - 1) - 1) / c.stride[d]!) + 1,
  );
}

/** Pooling, padding, resizing, windows. */
export const WINDOWS: Table = {
  maxPool1d: maxPool(1),
  maxPool2d: maxPool(2),
  maxPool3d: maxPool(3),
  avgPool1d: avgPool(1),
  avgPool2d: avgPool(2),
  avgPool3d: avgPool(3),
  adaptiveMaxPool1d: adaptive(1, (values) => Math.max(...values)),
  adaptiveMaxPool2d: adaptive(2, (values) => Math.max(...values)),
  adaptiveMaxPool3d: adaptive(3, (values) => Math.max(...values)),
  adaptiveAvgPool1d: adaptive(1, mean),
  adaptiveAvgPool2d: adaptive(2, mean),
  adaptiveAvgPool3d: adaptive(3, mean),
  lpPool1d: lpPool(1),
  lpPool2d: lpPool(2),
  maxUnpool1d: unpool(1),
  maxUnpool2d: unpool(2),
  maxUnpool3d: unpool(3),
  pad,
  interpolate,
  pixelShuffle: (dice) => {
    const r = dice.int(1, 3);
    const x = tensorOf(dice, {
      shape: [
        ...(dice.chance(0.3) ? [] : [dice.int(1, 2)]),
        r * r * dice.int(1, 2) + (dice.chance(0.04) ? 1 : 0),
        dice.int(1, 3),
        dice.int(1, 3),
      ],
      dtype: dtype(dice, FLOATS),
    });
    return {
      args: [x, r],
      expect: () => {
        const [channels, h, w] = x.shape.slice(-3) as [number, number, number];
        if (channels % (r * r) !== 0) refuse("channels");
        return make([...x.shape.slice(0, -3), channels / (r * r), h * r, w * r], x.dtype, (c) => {
          const [k, i, j] = c.slice(-3) as [number, number, number];
          return get(x, [...c.slice(0, -3), k * r * r + (i % r) * r + (j % r), Math.floor(i / r), Math.floor(j / r)]);
        });
      },
    };
  },
  pixelUnshuffle: (dice) => {
    const r = dice.int(1, 3);
    const x = tensorOf(dice, {
      shape: [
        ...(dice.chance(0.3) ? [] : [dice.int(1, 2)]),
        dice.int(1, 2),
        r * dice.int(1, 2),
        r * dice.int(1, 2) + (dice.chance(0.04) ? 1 : 0),
      ],
      dtype: dtype(dice, FLOATS),
    });
    return {
      args: [x, r],
      expect: () => {
        const [channels, h, w] = x.shape.slice(-3) as [number, number, number];
        if (h % r !== 0 || w % r !== 0) refuse("sizes");
        return make([...x.shape.slice(0, -3), channels * r * r, h / r, w / r], x.dtype, (c) => {
          const [k, i, j] = c.slice(-3) as [number, number, number];
          const rest = k % (r * r);
          return get(x, [...c.slice(0, -3), Math.floor(k / (r * r)), i * r + Math.floor(rest / r), j * r + (rest % r)]);
        });
      },
    };
  },
  unfold: (dice) => {
    const x = tensorOf(dice, {
      shape: [...(dice.chance(0.3) ? [] : [dice.int(1, 2)]), dice.int(1, 2), dice.int(1, 4), dice.int(1, 4)],
      dtype: dtype(dice, FLOATS),
    });
    const c = columns(dice);
    return form(dice, [x], ["kernelSize", "dilation", "padding", "stride"], c.options, () => {
      const [channels, h, w] = x.shape.slice(-3) as [number, number, number];
      const [bh, bw] = blocks([h, w], c) as [number, number];
      if (bh < 1 || bw < 1) refuse("too small");
      const area = count(c.kernel);
      return make([...x.shape.slice(0, -3), channels * area, bh * bw], x.dtype, (at) => {
        const [row, block] = at.slice(-2) as [number, number];
        const [k, rest] = [Math.floor(row / area), row % area];
        const i =
          Math.floor(block / bw) * c.stride[0]! + Math.floor(rest / c.kernel[1]!) * c.dilation[0]! - c.padding[0]!;
        const j = (block % bw) * c.stride[1]! + (rest % c.kernel[1]!) * c.dilation[1]! - c.padding[1]!;
        return i < 0 || j < 0 || i >= h || j >= w ? 0 : get(x, [...at.slice(0, -2), k, i, j]);
      });
    });
  },
  fold: (dice) => {
    const outputSize = [dice.int(1, 4), dice.int(1, 4)];
    const c = columns(dice);
    const [bh, bw] = blocks(outputSize, c) as [number, number];
    const n = Math.max(bh, 0) * Math.max(bw, 0);
    const channels = dice.int(1, 2);
    const area = count(c.kernel);
    const x = tensorOf(dice, {
      shape: [
        ...(dice.chance(0.3) ? [] : [dice.int(1, 2)]),
        channels * area,
        Math.max(n, 1) + (dice.chance(0.03) ? 1 : 0),
      ],
      dtype: dtype(dice, FLOATS),
      values: "plain",
    });
    return form(
      dice,
      [x],
      ["outputSize", "kernelSize", "dilation", "padding", "stride"],
      { outputSize, ...c.options },
      () => {
        if (bh < 1 || bw < 1 || x.shape.at(-1) !== n) refuse("blocks");
        const shape = [...x.shape.slice(0, -2), channels, ...outputSize];
        const flat = reshaped(x, [count(x.shape.slice(0, -2)), channels, ...c.kernel, bh, bw]);
        const data = new Array<number>(count(shape)).fill(0);
        for (const [b, k, u, v, p, q] of coordinates(flat.shape) as Generator<
          [number, number, number, number, number, number]
        >) {
          const i = p * c.stride[0]! + u * c.dilation[0]! - c.padding[0]!;
          const j = q * c.stride[1]! + v * c.dilation[1]! - c.padding[1]!;
          if (i < 0 || j < 0 || i >= outputSize[0]! || j >= outputSize[1]!) continue;
          data[((b * channels + k) * outputSize[0]! + i) * outputSize[1]! + j]! += get(flat, [b, k, u, v, p, q]);
        }
        return { shape, dtype: x.dtype, data };
      },
      { loose: 5 },
    );
  },
};

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
