/**
 * Sliding windows and their adjoint, as elementwise operations that compute where to read: what reduces over a window is fused with
 * the reading of it, and gradients gather (never scatter), so they repeat to the bit.
 */

import { record } from "../autograd/tape.ts";
import type { Builder, Value } from "../graph/builder.ts";
import { contiguousStrides } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { applyNode, argOf, iota, mapOp } from "./apply.ts";

/** Windows along one dimension: `taps` elements each, from `y * stride - padding` on in steps of `dilation`. */
export interface EvenAxis {
  readonly kind: "even";
  readonly input: number;
  readonly output: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;
}

/** Windows that cut a dimension into `output` parts as equal as can be: `floor(y in / out)` to `ceil((y + 1) in / out)`. */
export interface AdaptiveAxis {
  readonly kind: "adaptive";
  readonly input: number;
  readonly output: number;
  /** Size of the largest window. */
  readonly taps: number;
}

export type Axis = EvenAxis | AdaptiveAxis;

/** What windows show outside of the input: zero, or (for maxima) a tap of the same window that is inside. */
export type Outside = "zero" | "inside";

/** Windows along a dimension of `input` elements in `output` parts. */
export function adaptiveAxis(input: number, output: number): AdaptiveAxis {
  let taps = 0;
  for (let y = 0; y < output; y++)
    taps = Math.max(taps, Math.ceil(((y + 1) * input) / output) - Math.floor((y * input) / output));
  return { kind: "adaptive", input, output, taps: Math.max(taps, 1) };
}

/** Numbers of an axis that reach the kernel as data. */
function axisScalars(a: Axis): number[] {
  return a.kind === "even" ? [a.input, a.output, a.stride, a.dilation, a.padding, a.taps] : [a.input, a.output];
}

/** True if no window reaches beyond the input. */
function staysInside(a: Axis): boolean {
  if (a.kind === "adaptive") return false;
  return a.padding <= 0 && (a.output - 1) * a.stride - a.padding + (a.taps - 1) * a.dilation < a.input;
}

/** What the lowering depends on. */
function axisKey(a: Axis): string {
  return a.kind === "adaptive"
    ? "a"
    : `e${a.dilation === 1 ? 1 : "d"}${a.stride === 1 ? 1 : "s"}${staysInside(a) ? "i" : ""}`;
}

interface Named {
  readonly input: Value;
  readonly output: Value;
  readonly stride: Value;
  readonly dilation: Value;
  readonly padding: Value;
  readonly taps: Value;
}

/** Hands out the scalars in order. */
function scalarReader(scalars: readonly Value[]): { next(): Value; axis(a: Axis): Named } {
  let at = 0;
  const next = (): Value => scalars[at++]!;
  return {
    next,
    axis: (a) => {
      const [input, output] = [next(), next()];
      if (a.kind === "adaptive") return { input, output, stride: input, dilation: input, padding: input, taps: input };
      return { input, output, stride: next(), dilation: next(), padding: next(), taps: next() };
    },
  };
}

const both = (b: Builder, x: Value | null, y: Value): Value => (x === null ? y : b.and(x, y));
const div = (b: Builder, x: Value, y: Value): Value => b.emit("idiv", "i", [x, y]);
const rem = (b: Builder, x: Value, y: Value): Value => b.emit("rem", "i", [x, y]);

/**
 * Position in the input of tap `k` of window `y`, and whether it is inside. With `outside` "inside" every position is: taps beyond
 * the ends become the window's nearest tap within.
 */
function tapPosition(
  b: Builder,
  a: Axis,
  n: Named,
  y: Value,
  k: Value,
  outside: Outside,
): { position: Value; valid: Value | null } {
  const [zero, one] = [b.lit(0, "i"), b.lit(1, "i")];
  if (a.kind === "adaptive") {
    const start = div(b, b.mul(y, n.input), n.output);
    const end = div(b, b.add(b.mul(b.add(y, one), n.input), b.sub(n.output, one)), n.output);
    const position = b.add(start, k);
    if (outside === "inside") return { position: b.bin("min", position, b.sub(end, one)), valid: null };
    return { position, valid: b.compare("lt", position, end) };
  }
  const first = b.sub(a.stride === 1 ? y : b.mul(y, n.stride), n.padding);
  const position = b.add(first, a.dilation === 1 ? k : b.mul(k, n.dilation));
  if (staysInside(a)) return { position, valid: null };
  const before = b.compare("lt", position, zero);
  const behind = b.compare("ge", position, n.input);
  if (outside === "zero") return { position, valid: b.not(b.or(before, behind)) };
  // Steps of the dilation lead to the first, or the last, tap inside.
  const rest = a.dilation === 1 ? zero : rem(b, position, n.dilation);
  const low = a.dilation === 1 ? zero : b.select(b.compare("lt", rest, zero), b.add(rest, n.dilation), rest);
  const steps = b.add(b.sub(position, n.input), n.dilation);
  const high = a.dilation === 1 ? b.sub(n.input, one) : b.sub(position, b.mul(div(b, steps, n.dilation), n.dilation));
  return { position: b.select(before, low, b.select(behind, high, position)), valid: null };
}

/** Row-major strides that count one dimension. */
function along(rank: number, d: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i === d ? 1 : 0));
}

/** x [...lead, ...input] as [...lead, ...output, ...taps], off the tape. */
export function windowValues(x: Tensor, axes: readonly Axis[], outside: Outside): Tensor {
  const rank = axes.length;
  const lead = x.dim() - rank;
  const shape = [...x.shape.slice(0, lead), ...axes.map((a) => a.output), ...axes.map((a) => a.taps)];
  const { dtype } = x;
  const { strides, offset } = x.impl;
  const key = `windows:${outside}:${axes.map(axisKey).join()}:${dtype}`;
  const map = mapOp(key, 12 * rank, (b, [base, ...coordinates], { scalars, table }) => {
    const read = scalarReader(scalars);
    let at = base!;
    let valid: Value | null = null;
    axes.forEach((a, d) => {
      const n = read.axis(a);
      const tap = tapPosition(b, a, n, coordinates[2 * d]!, coordinates[2 * d + 1]!, outside);
      at = b.add(at, b.mul(tap.position, read.next()));
      if (tap.valid !== null) valid = both(b, valid, tap.valid);
    });
    if (valid === null) return table(0, at);
    const value = table(0, b.select(valid, at, b.lit(0, "i")));
    return b.select(valid, value, b.lit(0, value));
  });
  const leadStrides = [...strides.slice(0, lead), ...new Array<number>(2 * rank).fill(0)];
  const coordinates = axes.flatMap((_, d) => [
    iota(shape, along(shape.length, lead + d)),
    iota(shape, along(shape.length, lead + rank + d)),
  ]);
  const scalars = axes.flatMap((a, d) => [...axisScalars(a), strides[lead + d]!]);
  return readTables(x, map, shape, [iota(shape, leadStrides, offset), ...coordinates], scalars, [x]);
}

function readTables(
  like: Tensor,
  map: ReturnType<typeof mapOp>,
  shape: readonly number[],
  args: readonly ReturnType<typeof iota>[],
  scalars: readonly number[],
  tables: readonly Tensor[],
): Tensor {
  return applyNode(like.impl.backend, map, shape, like.dtype, args, {
    scalars,
    scalarTypes: scalars.map(() => "i" as const),
    tables: tables.map((t) => {
      const { node } = t.impl.storage;
      return { node, view: { shape: node.shape, strides: contiguousStrides(node.shape), offset: 0 } };
    }),
  });
}

/** How many windows may hold one element. */
function candidates(a: Axis): number {
  if (a.kind === "adaptive") return Math.ceil(a.output / Math.max(a.input, 1)) + 1;
  return a.dilation === 1 ? Math.ceil(a.taps / a.stride) : a.taps;
}

/** Window and tap of candidate `j` for element `i`, and whether there is one. */
function candidate(b: Builder, a: Axis, n: Named, i: Value, j: Value): { y: Value; k: Value; valid: Value } {
  const zero = b.lit(0, "i");
  if (a.kind === "adaptive") {
    const y = b.add(div(b, b.mul(i, n.output), n.input), j);
    const start = div(b, b.mul(y, n.input), n.output);
    const valid = b.and(b.compare("lt", y, n.output), b.compare("le", start, i));
    return { y, k: b.sub(i, start), valid };
  }
  const shifted = b.add(i, n.padding);
  let y: Value;
  let k: Value;
  let valid: Value;
  if (a.dilation === 1) {
    // Windows that hold an element follow one another.
    const whole = a.stride === 1 ? shifted : div(b, shifted, n.stride);
    y = b.sub(whole, j);
    k = a.stride === 1 ? j : b.add(b.sub(shifted, b.mul(whole, n.stride)), b.mul(j, n.stride));
    valid = b.compare("lt", k, n.taps);
  } else {
    const left = b.sub(shifted, b.mul(j, n.dilation));
    k = j;
    y = a.stride === 1 ? left : div(b, left, n.stride);
    valid = b.compare("ge", left, zero);
    if (a.stride !== 1) valid = b.and(valid, b.compare("eq", b.mul(y, n.stride), left));
  }
  valid = b.and(valid, b.and(b.compare("ge", y, zero), b.compare("lt", y, n.output)));
  // An element beyond the padding (where that is negative) belongs to no window.
  if (a.padding < 0) valid = b.and(valid, b.compare("ge", shifted, zero));
  return { y, k, valid };
}

/** The sum, for every element of the input, over the windows' taps that show it: the adjoint of `windowValues`. Off the tape. */
function overlapValues(columns: Tensor, axes: readonly Axis[]): Tensor {
  const rank = axes.length;
  const lead = columns.dim() - 2 * rank;
  const { strides, offset } = columns.impl;
  const shape = [...columns.shape.slice(0, lead), ...axes.map((a) => a.input), ...axes.map(candidates)];
  const key = `overlap:${axes.map(axisKey).join()}:${columns.dtype}`;
  const map = mapOp(key, 14 * rank, (b, [base, ...coordinates], { scalars, table }) => {
    const read = scalarReader(scalars);
    let at = base!;
    let valid: Value | null = null;
    axes.forEach((a, d) => {
      const n = read.axis(a);
      const from = candidate(b, a, n, coordinates[2 * d]!, coordinates[2 * d + 1]!);
      at = b.add(at, b.add(b.mul(from.y, read.next()), b.mul(from.k, read.next())));
      valid = both(b, valid, from.valid);
    });
    const value = table(0, b.select(valid!, at, b.lit(0, "i")));
    return b.select(valid!, value, b.lit(0, value));
  });
  const terms = readTables(
    columns,
    map,
    shape,
    [
      iota(shape, [...strides.slice(0, lead), ...new Array<number>(2 * rank).fill(0)], offset),
      ...pairs(shape, lead, rank),
    ],
    axes.flatMap((a, d) => [...axisScalars(a), strides[lead + d]!, strides[lead + rank + d]!]),
    [columns],
  );
  return sumLast(terms, rank);
}

function pairs(shape: readonly number[], lead: number, rank: number): ReturnType<typeof iota>[] {
  return Array.from({ length: rank }, (_, d) => [
    iota(shape, along(shape.length, lead + d)),
    iota(shape, along(shape.length, lead + rank + d)),
  ]).flat();
}

function sumLast(terms: Tensor, rank: number): Tensor {
  return terms.sum(
    Array.from({ length: rank }, (_, d) => terms.dim() - rank + d),
    false,
    { dtype: terms.dtype },
  );
}

/** Windows on the tape. */
export function windows(x: Tensor, axes: readonly Axis[], name = "Im2ColBackward0"): Tensor {
  const shape = [...x.shape];
  const out = x.numel() === 0 ? emptyWindows(x, axes) : windowValues(x, axes, "zero");
  record(name, out, [[x, [], (g) => (g.numel() === 0 ? g.newZeros(shape) : overlap(g, axes))]]);
  return out;
}

function emptyWindows(x: Tensor, axes: readonly Axis[]): Tensor {
  const lead = x.shape.slice(0, x.dim() - axes.length);
  return x.newZeros([...lead, ...axes.map((a) => a.output), ...axes.map((a) => a.taps)]);
}

/** Overlapping windows added up, on the tape. */
export function overlap(columns: Tensor, axes: readonly Axis[], name = "Col2ImBackward0"): Tensor {
  const lead = columns.shape.slice(0, columns.dim() - 2 * axes.length);
  const out =
    columns.numel() === 0 ? columns.newZeros([...lead, ...axes.map((a) => a.input)]) : overlapValues(columns, axes);
  record(name, out, [[columns, [], (g) => windows(g, axes)]]);
  return out;
}

// --- maxima -----------------------------------------------------------------------------------------------------------

/** Positions (flat over the spatial dimensions of the input) from the winning taps [...lead, ...output] of windows. */
export function winnerPositions(taps: Tensor, axes: readonly Axis[]): Tensor {
  const { shape } = taps;
  const lead = shape.length - axes.length;
  const sizes = contiguousStrides(axes.map((a) => a.input));
  const map = mapOp(`winners:${axes.map(axisKey).join()}`, 10 * axes.length, (b, [winner, ...ys], { scalars }) => {
    const read = scalarReader(scalars);
    let rest = winner!;
    let flat: Value | null = null;
    // The last dimension varies fastest.
    for (let d = axes.length - 1; d >= 0; d--) {
      const n = read.axis(axes[d]!);
      const count = read.next();
      const k = rem(b, rest, count);
      rest = div(b, rest, count);
      const { position } = tapPosition(b, axes[d]!, n, ys[d]!, k, "inside");
      const term = b.mul(position, read.next());
      flat = flat === null ? term : b.add(flat, term);
    }
    return flat!;
  });
  const scalars = axes
    .map((a, d) => [...axisScalars(a), a.taps, sizes[d]!])
    .toReversed()
    .flat();
  return applyNode(
    taps.impl.backend,
    map,
    shape,
    "int32",
    [argOf(taps), ...axes.map((_, d) => iota(shape, along(shape.length, lead + d)))],
    { scalars, scalarTypes: scalars.map(() => "i" as const) },
  );
}

/** Elements of x [...lead, ...input] at flat spatial positions [...lead, ...output]; its adjoint knows the windows. */
export function takeWinners(x: Tensor, positions: Tensor, axes: readonly Axis[], name: string): Tensor {
  const lead = x.dim() - axes.length;
  const out = x
    .detach()
    .flatten(lead)
    .gather(-1, positions.flatten(lead))
    .view([...positions.shape])
    .detach();
  recordWinners(name, out, x, positions, axes);
  return out;
}

/** Records `out`, which is x at `positions`. */
export function recordWinners(name: string, out: Tensor, x: Tensor, positions: Tensor, axes: readonly Axis[]): void {
  record(name, out, [[x, [positions], (g, p) => spreadWinners(g, p, axes, name)]]);
}

/** Gradients of window winners put back where they came from. */
function spreadWinners(g: Tensor, positions: Tensor, axes: readonly Axis[], name: string): Tensor {
  const rank = axes.length;
  const lead = g.dim() - rank;
  const inputs = axes.map((a) => a.input);
  const shape = [...g.shape.slice(0, lead), ...inputs, ...axes.map(candidates)];
  const out =
    g.numel() === 0 ? g.newZeros(shape.slice(0, lead + rank)) : winnersBack(g.detach(), positions, axes, shape);
  record(name.replace(/0$/, "Backward0"), out, [
    [g, [positions], (gg, p) => takeWinners(gg, p, axes, "GatherBackward0")],
  ]);
  return out;
}

function winnersBack(g: Tensor, positions: Tensor, axes: readonly Axis[], shape: readonly number[]): Tensor {
  const rank = axes.length;
  const lead = g.dim() - rank;
  const map = mapOp(
    `winnersBack:${axes.map(axisKey).join()}:${g.dtype}`,
    16 * rank,
    (b, [gradBase, positionBase, own, ...coordinates], { scalars, table }) => {
      const read = scalarReader(scalars);
      let at = gradBase!;
      let place = positionBase!;
      let valid: Value | null = null;
      axes.forEach((a, d) => {
        const n = read.axis(a);
        const from = candidate(b, a, n, coordinates[2 * d]!, coordinates[2 * d + 1]!);
        at = b.add(at, b.mul(from.y, read.next()));
        place = b.add(place, b.mul(from.y, read.next()));
        valid = both(b, valid, from.valid);
      });
      const zero = b.lit(0, "i");
      const hit = b.and(valid!, b.compare("eq", table(1, b.select(valid!, place, zero)), own!));
      const value = table(0, b.select(valid!, at, zero));
      return b.select(hit, value, b.lit(0, value));
    },
  );
  const none = new Array<number>(2 * rank).fill(0);
  const flat = contiguousStrides(axes.map((a) => a.input));
  // No tensors: the map is kept, and with it what functions here refer to.
  const { strides, offset } = g.impl;
  const { strides: places, offset: firstPlace } = positions.impl;
  const terms = readTables(
    g,
    map,
    shape,
    [
      iota(shape, [...strides.slice(0, lead), ...none], offset),
      iota(shape, [...places.slice(0, lead), ...none], firstPlace),
      iota(shape, [...new Array<number>(lead).fill(0), ...flat, ...new Array<number>(rank).fill(0)]),
      ...pairs(shape, lead, rank),
    ],
    axes.flatMap((a, d) => [...axisScalars(a), strides[lead + d]!, places[lead + d]!]),
    [g, positions],
  );
  return sumLast(terms, rank);
}
