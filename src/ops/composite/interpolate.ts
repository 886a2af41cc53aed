/** Interpolation to other sizes, and the rearrangements that trade channels for positions. */

import { checkInteger, describeValue, parse, signature, type ArgsOf } from "../../args.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { checkFloating, checkTensor } from "../apply.ts";
import { perDim, type PerDim } from "../conv.ts";
import { resample, resampling, type Taps } from "../resample.ts";
import { overlap, windows, type EvenAxis } from "../window.ts";
import { adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d } from "./pool.ts";

/** How values between elements are found. */
export type InterpolateMode = "nearest" | "nearest-exact" | "linear" | "bilinear" | "trilinear" | "bicubic" | "area";

interface InterpolateOptions {
  size?: PerDim | null;
  scaleFactor?: number | readonly number[] | null;
  mode?: InterpolateMode;
  alignCorners?: boolean | null;
  recomputeScaleFactor?: boolean | null;
  antialias?: boolean;
}

const INTERPOLATE = signature<InterpolateOptions>()("interpolate", [
  "size",
  "scaleFactor",
  "mode",
  "alignCorners",
  "recomputeScaleFactor",
  "antialias",
]);

const RANKS: Partial<Record<InterpolateMode, number>> = { linear: 1, bilinear: 2, bicubic: 2, trilinear: 3 };

/**
 * The input [n, c, ...sizes] at other sizes: `size`, or `scaleFactor` times the input's, rounded down. Modes "nearest", "nearest-exact",
 * "linear" (1 spatial dimension), "bilinear" and "bicubic" (2), "trilinear" (3), "area". `alignCorners` makes first and last elements
 * fall on each other; `antialias` (bilinear, bicubic) widens the filter when shrinking.
 */
export function interpolate(input: Tensor, ...args: ArgsOf<typeof INTERPOLATE>): Tensor {
  const options = parse(INTERPOLATE, args, input);
  const { size = null, scaleFactor = null, mode = "nearest", antialias = false } = options;
  checkTensor("interpolate", "input", input);
  checkFloating("interpolate", input);
  const rank = input.dim() - 2;
  if (rank < 1 || rank > 3)
    throw new ShapeError(`interpolate: input must be [n, c, ...1 to 3 sizes], got shape ${showShape(input.shape)}`);
  const known = ["nearest", "nearest-exact", "area", ...Object.keys(RANKS)];
  if (!known.includes(mode))
    throw new ArgumentError(`interpolate: unknown mode ${describeValue(mode)}; known are ${known.join(", ")}`);
  if (RANKS[mode] !== undefined && RANKS[mode] !== rank)
    throw new ShapeError(
      `interpolate: mode "${mode}" is for ${RANKS[mode]} spatial dimensions, but the input has shape ${showShape(input.shape)}`,
    );
  if (RANKS[mode] === undefined && options.alignCorners != null)
    throw new ArgumentError(
      `interpolate: alignCorners can only be set with linear, bilinear, bicubic or trilinear, not "${mode}"`,
    );
  if (antialias && mode !== "bilinear" && mode !== "bicubic")
    throw new ArgumentError(`interpolate: antialias is for bilinear and bicubic, not "${mode}"`);
  if ((size === null) === (scaleFactor === null))
    throw new ArgumentError("interpolate: give either size or scaleFactor");
  const sizes = input.shape.slice(2);
  const factors = scaleFactor === null ? null : factorsOf(scaleFactor, rank);
  const target =
    factors === null ? perDim("interpolate", "size", size!, rank, 1) : sizes.map((n, d) => Math.floor(n * factors[d]!));
  if (target.some((n) => n < 1) || sizes.includes(0))
    throw new ShapeError(`interpolate: sizes ${showShape(sizes)} cannot become ${showShape(target)}`);
  if (mode === "area") return [adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveAvgPool3d][rank - 1]!(input, target);
  const alignCorners = options.alignCorners ?? false;
  const maps = sizes.map((n, d) => {
    const given = factors === null || options.recomputeScaleFactor === true ? null : 1 / factors[d]!;
    const scale = alignCorners ? (target[d]! > 1 ? (n - 1) / (target[d]! - 1) : 0) : (given ?? n / target[d]!);
    const kind = mode === "nearest" || mode === "nearest-exact" ? mode : mode === "bicubic" ? "cubic" : "linear";
    const key = `interpolate/${kind}/${n}/${target[d]}/${scale}/${alignCorners}/${antialias}`;
    return [d + 2, resampling(key, n, () => tapsOf(kind, n, target[d]!, scale, alignCorners, antialias))] as const;
  });
  return resample(entryName(mode, rank, antialias), input, maps);
}

function factorsOf(value: number | readonly number[], rank: number): number[] {
  const list = typeof value === "number" ? new Array<number>(rank).fill(value) : [...value];
  if (list.length !== rank || list.some((f) => typeof f !== "number" || !(f > 0)))
    throw new ArgumentError(
      `interpolate: scaleFactor must be a positive number, or ${rank} of them, got ${String(value)}`,
    );
  return list;
}

function entryName(mode: InterpolateMode, rank: number, antialias: boolean): string {
  if (mode === "nearest") return `UpsampleNearest${rank}DBackward0`;
  if (mode === "nearest-exact") return `UpsampleNearestExact${rank}DBackward0`;
  const name = `${mode[0]!.toUpperCase()}${mode.slice(1)}`;
  return `Upsample${name}${rank}D${antialias ? "Aa" : ""}Backward0`;
}

type Kind = "nearest" | "nearest-exact" | "linear" | "cubic";

function tapsOf(kind: Kind, n: number, out: number, scale: number, align: boolean, antialias: boolean): Taps {
  const clip = (i: number): number => Math.min(Math.max(i, 0), n - 1);
  return Array.from({ length: out }, (_, o) => {
    if (kind === "nearest") return [[Math.min(Math.floor(o * scale), n - 1), 1]] as const;
    if (kind === "nearest-exact") return [[Math.min(Math.floor((o + 0.5) * scale), n - 1), 1]] as const;
    if (antialias) return filtered(kind, n, o, scale);
    const center = align ? o * scale : (o + 0.5) * scale - 0.5;
    if (kind === "linear") {
      const at = Math.max(center, 0);
      const low = Math.min(Math.floor(at), n - 1);
      const rest = Math.min(at - low, 1);
      return rest === 0 || low === n - 1 ? [[low, 1] as const] : [[low, 1 - rest] as const, [low + 1, rest] as const];
    }
    const low = Math.floor(center);
    const taps = new Map<number, number>();
    for (let k = -1; k <= 2; k++) {
      const i = clip(low + k);
      taps.set(i, (taps.get(i) ?? 0) + cubic(center - low - k, -0.75));
    }
    return [...taps];
  });
}

/** Keys' cubic convolution kernel. */
function cubic(x: number, a: number): number {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

/** A filter as wide as the shrinking, normalised, as image libraries have it. */
function filtered(kind: "linear" | "cubic", n: number, o: number, scale: number): [number, number][] {
  const wide = Math.max(scale, 1);
  const support = (kind === "cubic" ? 2 : 1) * wide;
  const center = scale * (o + 0.5);
  const first = Math.max(Math.floor(center - support + 0.5), 0);
  const last = Math.min(Math.floor(center + support + 0.5), n);
  const weight = (x: number): number => (kind === "cubic" ? cubic(x, -0.5) : Math.max(1 - Math.abs(x), 0));
  const taps: [number, number][] = [];
  let total = 0;
  for (let i = first; i < last; i++) {
    const w = weight((i - center + 0.5) / wide);
    total += w;
    taps.push([i, w]);
  }
  return taps.map(([i, w]) => [i, w / total]);
}

// --- windows as columns -----------------------------------------------------------------------------------------------

interface UnfoldOptions {
  kernelSize: PerDim;
  dilation?: PerDim;
  padding?: PerDim;
  stride?: PerDim;
}
const UNFOLD = signature<UnfoldOptions>()("unfold", ["kernelSize", "dilation", "padding", "stride"]);
const FOLD = signature<UnfoldOptions & { outputSize: PerDim }>()("fold", [
  "outputSize",
  "kernelSize",
  "dilation",
  "padding",
  "stride",
]);

function blockAxes(name: string, sizes: readonly number[], options: UnfoldOptions): EvenAxis[] {
  const taps = perDim(name, "kernelSize", options.kernelSize, 2, 1);
  const dilation = perDim(name, "dilation", options.dilation ?? 1, 2, 1);
  const padding = perDim(name, "padding", options.padding ?? 0, 2, 0);
  const stride = perDim(name, "stride", options.stride ?? 1, 2, 1);
  return taps.map((k, d) => {
    const output = Math.floor((sizes[d]! + 2 * padding[d]! - dilation[d]! * (k - 1) - 1) / stride[d]!) + 1;
    if (output < 1)
      throw new ShapeError(
        `${name}: sizes ${showShape(sizes)} with padding ${showShape(padding)} are too small for a kernel of ${showShape(taps)} with dilation ${showShape(dilation)}`,
      );
    return {
      kind: "even",
      input: sizes[d]!,
      output,
      taps: k,
      stride: stride[d]!,
      dilation: dilation[d]!,
      padding: padding[d]!,
    };
  });
}

/** Sliding windows of the input [n, c, h, w] (or without n) as columns [n, c * kh * kw, windows]. */
export function unfold(input: Tensor, ...args: ArgsOf<typeof UNFOLD>): Tensor {
  const options = parse(UNFOLD, args, input);
  checkTensor("unfold", "input", input);
  checkFloating("unfold", input);
  if (input.dim() !== 3 && input.dim() !== 4)
    throw new ShapeError(`unfold: expected a 3D or 4D input, got shape ${showShape(input.shape)}`);
  const x = input.dim() === 3 ? input.unsqueeze(0) : input;
  const axes = blockAxes("unfold", x.shape.slice(2), options);
  const [n, c] = x.shape as [number, number];
  const columns = windows(x, axes)
    .permute(0, 1, 4, 5, 2, 3)
    .reshape([n, c * axes[0]!.taps * axes[1]!.taps, axes[0]!.output * axes[1]!.output]);
  return input.dim() === 3 ? columns.squeeze(0) : columns;
}

/** Columns [n, c * kh * kw, windows] (or without n) added up into an image [n, c, ...outputSize]: the adjoint of `unfold`. */
export function fold(input: Tensor, ...args: ArgsOf<typeof FOLD>): Tensor {
  const { outputSize, ...options } = parse(FOLD, args, input);
  checkTensor("fold", "input", input);
  checkFloating("fold", input);
  if (input.dim() !== 2 && input.dim() !== 3)
    throw new ShapeError(`fold: expected a 2D or 3D input, got shape ${showShape(input.shape)}`);
  const axes = blockAxes("fold", perDim("fold", "outputSize", outputSize, 2, 1), options);
  const x = input.dim() === 2 ? input.unsqueeze(0) : input;
  const [n, rows, count] = x.shape as [number, number, number];
  const taps = axes[0]!.taps * axes[1]!.taps;
  const blocks = axes[0]!.output * axes[1]!.output;
  if (rows % taps !== 0 || count !== blocks)
    throw new ShapeError(
      `fold: input of shape ${showShape(input.shape)} should have a multiple of ${taps} rows and ${blocks} columns for this output and kernel size`,
    );
  const columns = x
    .reshape([n, rows / taps, axes[0]!.taps, axes[1]!.taps, axes[0]!.output, axes[1]!.output])
    .permute(0, 1, 4, 5, 2, 3);
  const out = overlap(columns, axes);
  return input.dim() === 2 ? out.squeeze(0) : out;
}

function checkFactor(name: string, what: string, factor: number): void {
  if (checkInteger(name, what, factor) < 1) throw new ArgumentError(`${name}: ${what} must be positive, got ${factor}`);
}

/** [..., c * r * r, h, w] to [..., c, h * r, w * r]. */
export function pixelShuffle(input: Tensor, upscaleFactor: number): Tensor {
  checkTensor("pixelShuffle", "input", input);
  checkFactor("pixelShuffle", "upscaleFactor", upscaleFactor);
  const r = upscaleFactor;
  const rank = input.dim();
  const [c, h, w] = input.shape.slice(-3) as [number, number, number];
  if (rank < 3 || c % (r * r) !== 0)
    throw new ShapeError(
      `pixelShuffle: input of shape ${showShape(input.shape)} should have at least 3 dimensions and channels divisible by ${r * r}`,
    );
  const lead = input.shape.slice(0, -3);
  const k = lead.length;
  return input
    .reshape([...lead, c / (r * r), r, r, h, w])
    .permute([...lead.map((_, d) => d), k, k + 3, k + 1, k + 4, k + 2])
    .reshape([...lead, c / (r * r), h * r, w * r]);
}

/** [..., c, h * r, w * r] to [..., c * r * r, h, w]. */
export function pixelUnshuffle(input: Tensor, downscaleFactor: number): Tensor {
  checkTensor("pixelUnshuffle", "input", input);
  checkFactor("pixelUnshuffle", "downscaleFactor", downscaleFactor);
  const r = downscaleFactor;
  const [c, h, w] = input.shape.slice(-3) as [number, number, number];
  if (input.dim() < 3 || h % r !== 0 || w % r !== 0)
    throw new ShapeError(
      `pixelUnshuffle: input of shape ${showShape(input.shape)} should have at least 3 dimensions, and the last two divisible by ${r}`,
    );
  const lead = input.shape.slice(0, -3);
  const k = lead.length;
  return input
    .reshape([...lead, c, h / r, r, w / r, r])
    .permute([...lead.map((_, d) => d), k, k + 2, k + 4, k + 1, k + 3])
    .reshape([...lead, c * r * r, h / r, w / r]);
}
