/** Padding and cropping. */

import { describeValue, integers, parse, signature, type ArgsOf } from "../../args.ts";
import { record } from "../../autograd/tape.ts";
import { isFloat } from "../../dtype.ts";
import { ArgumentError, ShapeError } from "../../errors.ts";
import { valueType } from "../../graph/builder.ts";
import { contiguousStrides, numel, showShape } from "../../graph/view.ts";
import type { Tensor } from "../../tensor.ts";
import { applyNode, checkTensor, iota, mapOp } from "../apply.ts";
import { resample, resampling, type Taps } from "../resample.ts";

/** How what lies beyond the ends is made up. */
export type PadMode = "constant" | "reflect" | "replicate" | "circular";

const PAD = signature<{ pad: readonly number[]; mode?: PadMode; value?: number | null }>()("pad", [
  "pad",
  "mode",
  "value",
]);

/**
 * Pads the last dimensions: `pad` is [before, after] of the last dimension, then of the one before it, and so on; negative numbers
 * crop. Mode "constant" pads with `value` (0); "reflect", "replicate" and "circular" continue the input.
 */
export function pad(input: Tensor, ...args: ArgsOf<typeof PAD>): Tensor {
  const { pad: given, mode = "constant", value = null } = parse(PAD, args, input);
  checkTensor("pad", "input", input);
  const list = integers("pad", "pad", given);
  const rank = input.dim();
  if (list.length % 2 !== 0) throw new ArgumentError(`pad: pad must have an even length, got ${list.length}`);
  if (list.length / 2 > rank)
    throw new ShapeError(
      `pad: ${list.length / 2} dimensions are to be padded, but the input has shape ${showShape(input.shape)}`,
    );
  if (value !== null && typeof value !== "number")
    throw new ArgumentError(`pad: value must be a number or null, got ${describeValue(value)}`);
  if (mode === "constant") return padConstant(input, list, value ?? 0);
  if (value !== null && value !== 0) throw new ArgumentError(`pad: mode "${mode}" takes no value, got ${value}`);
  if (mode !== "reflect" && mode !== "replicate" && mode !== "circular")
    throw new ArgumentError(
      `pad: mode must be "constant", "reflect", "replicate" or "circular", got "${String(mode)}"`,
    );
  const dims = list.length / 2;
  if (rank !== dims + 1 && rank !== dims + 2)
    throw new ShapeError(
      `pad: mode "${mode}" with ${dims} padded dimensions takes an input of ${dims + 1} or ${dims + 2} dimensions, got ${showShape(input.shape)}`,
    );
  const maps = Array.from({ length: dims }, (_, i) => {
    const dim = rank - 1 - i;
    const [before, after] = [list[2 * i]!, list[2 * i + 1]!];
    const size = input.shape[dim]!;
    checkReach(mode, input.shape, dim, before, after);
    const key = `pad/${mode}/${size}/${before}/${after}`;
    return [dim, resampling(key, size, () => continued(mode, size, before, after))] as const;
  });
  const name =
    mode === "circular" ? "CopySlices" : `${mode === "reflect" ? "Reflection" : "Replication"}Pad${dims}DBackward0`;
  return resample(
    name,
    input,
    maps.filter(([dim, by]) => by.output !== input.shape[dim] || list[2 * (rank - 1 - dim)] !== 0),
  );
}

function checkReach(mode: PadMode, shape: readonly number[], dim: number, before: number, after: number): void {
  const size = shape[dim]!;
  const most = mode === "reflect" ? size - 1 : mode === "circular" ? size : Infinity;
  if (before > most || after > most)
    throw new ShapeError(
      `pad: mode "${mode}" can pad dimension ${dim} of the input of shape ${showShape(shape)} by at most ${most}, got ${before} and ${after}`,
    );
  if (size + before + after < 1 || size === 0)
    throw new ShapeError(`pad: dimension ${dim} of size ${size} would have size ${size + before + after}`);
}

function continued(mode: PadMode, size: number, before: number, after: number): Taps {
  return Array.from({ length: size + before + after }, (_, o) => {
    let i = o - before;
    if (mode === "circular") i = ((i % size) + size) % size;
    else if (mode === "replicate") i = Math.min(Math.max(i, 0), size - 1);
    else if (i < 0) i = -i;
    else if (i >= size) i = 2 * (size - 1) - i;
    return [[i, 1]] as const;
  });
}

/** Pads (or crops, where negative) the last dimensions with a number. */
function padConstant(input: Tensor, list: readonly number[], value: number): Tensor {
  const rank = input.dim();
  const before = input.shape.map((_, d) => list[2 * (rank - 1 - d)] ?? 0);
  const shape = input.shape.map((n, d) => n + before[d]! + (list[2 * (rank - 1 - d) + 1] ?? 0));
  if (shape.some((n) => n < 0))
    throw new ShapeError(
      `pad: ${showShape(list)} would make a negative size of the input of shape ${showShape(input.shape)}: ${showShape(shape)}`,
    );
  let out: Tensor;
  if (numel(shape) === 0 || input.numel() === 0) out = input.newFull(shape, value);
  else out = padValues(input, shape, before, value);
  if (isFloat(input.dtype))
    record("ConstantPadNdBackward0", out, [
      [
        input,
        [],
        (g) =>
          padConstant(
            g,
            list.map((n) => -n),
            0,
          ),
      ],
    ]);
  return out;
}

function padValues(input: Tensor, shape: readonly number[], before: readonly number[], value: number): Tensor {
  const { strides, offset, storage } = input.impl;
  // No tensors: the map is kept, and with it what functions here refer to.
  const { dtype, shape: sizes } = input;
  const padded = shape.map((_, d) => d).filter((d) => before[d] !== 0 || shape[d] !== sizes[d]);
  const map = mapOp(
    `pad:${padded.length}:${dtype}`,
    4 + 4 * padded.length,
    (b, [at, ...positions], { scalars, table }) => {
      const zero = b.lit(0, "i");
      let inside = b.lit(1, "b");
      positions.forEach((p, i) => {
        inside = b.and(inside, b.and(b.compare("ge", p, zero), b.compare("lt", p, scalars[i + 1]!)));
      });
      return b.select(inside, table(0, b.select(inside, at!, zero)), scalars[0]!);
    },
  );
  const { node } = storage;
  const start = strides.reduce((sum, s, d) => sum - s * before[d]!, offset);
  const only = (d: number): number[] => shape.map((_, i) => (i === d ? 1 : 0));
  return applyNode(
    input.impl.backend,
    map,
    shape,
    dtype,
    [iota(shape, strides, start), ...padded.map((d) => iota(shape, only(d), -before[d]!))],
    {
      scalars: [dtype === "bool" ? Number(value !== 0) : value, ...padded.map((d) => sizes[d]!)],
      scalarTypes: [valueType(dtype), ...padded.map(() => "i" as const)],
      tables: [{ node, view: { shape: node.shape, strides: contiguousStrides(node.shape), offset: 0 } }],
    },
  );
}
