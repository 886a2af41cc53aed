/** What a kernel cannot do without: the elements that it has to read and write, and the arithmetic of products. */

import { statisticParts, unpackAttention, type AttentionAttrs, type AttentionSide } from "./attention.ts";
import { unpackConv, type Conv, type ConvSide } from "./convolution.ts";
import type {
  FusedData,
  FusedStructure,
  KernelData,
  KernelStructure,
  RoutineData,
  RoutineStructure,
} from "./kernel.ts";

/** What one call takes at least. */
export interface Cost {
  /** Different elements of each buffer that are read, and that are written. */
  readonly reads: readonly number[];
  readonly writes: readonly number[];
  /** Multiplications and additions of a product, a convolution or attention; null for all else. */
  readonly flops: number | null;
}

/** Elements at `offset + sum(stride[d] * coordinate[d])`. */
interface Access {
  readonly offset: number;
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
}

/**
 * The cost of a call. `capacity` gives the elements of the value in each buffer: no more of them can be touched, and how many are is not known
 * of those that are read at computed positions.
 */
export function costOf(structure: KernelStructure, data: KernelData, capacity: (slot: number) => number): Cost {
  if (structure.kind === "fused") return { ...fusedCost(structure, data as FusedData, capacity), flops: null };
  return routineCost(structure, data as RoutineData, capacity);
}

/** How many different elements an access touches: exactly where overlaps are those of windows or repetitions, else a bound from above. */
export function distinctElements(sizes: readonly number[], strides: readonly number[]): number {
  if (sizes.includes(0)) return 0;
  const dims = sizes
    .map((size, d) => ({ size, step: Math.abs(strides[d]!) }))
    .filter(({ size, step }) => size > 1 && step > 0)
    .sort((a, b) => a.step - b.step);
  // Progressions, each of which steps over the whole reach of those before; only the last one can still grow.
  let before = 1;
  let [step, count] = [1, 1];
  let reach = 0;
  let isExact = true;
  for (const dim of dims) {
    const further = dim.step * (dim.size - 1);
    if (!isExact) count *= dim.size;
    else if (dim.step > reach) {
      before *= count;
      [step, count] = [dim.step, dim.size];
    } else if (dim.step % step === 0 && dim.step <= step * count) count += further / step;
    else {
      isExact = false;
      count *= dim.size;
    }
    reach += further;
  }
  return Math.min(before * count, reach + 1);
}

/** Different elements that several accesses of one buffer touch: each access once, and no more than lie between the first and the last element. */
function distinctOf(accesses: readonly Access[], capacity: number): number {
  const seen = new Set<string>();
  let total = 0;
  let [first, last] = [Infinity, -Infinity];
  for (const { offset, sizes, strides } of accesses) {
    const steps = sizes.map((size, d) => (size > 1 ? strides[d]! : 0));
    const key = `${offset}:${steps.join()}`;
    if (seen.has(key)) continue;
    seen.add(key);
    total += distinctElements(sizes, steps);
    let [low, high] = [offset, offset];
    steps.forEach((step, d) => {
      if (step < 0) low += step * (sizes[d]! - 1);
      else high += step * (sizes[d]! - 1);
    });
    first = Math.min(first, low);
    last = Math.max(last, high);
  }
  return total === 0 ? 0 : Math.min(total, last - first + 1, capacity);
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

function fusedCost(
  s: FusedStructure,
  data: Omit<FusedData, "scalars">,
  capacity: (slot: number) => number,
): Pick<Cost, "reads" | "writes"> {
  const sizes = [...data.outer, ...data.inner];
  const [rows, all] = [product(data.outer), product(sizes)];
  const access = (at: number): Access => ({ offset: data.offsets[at]!, sizes, strides: data.strides[at]! });
  const loads: Access[][] = s.buffers.map(() => []);
  const stores: Access[][] = s.buffers.map(() => []);
  const gathered = s.buffers.map(() => 0);
  s.instrs.forEach((instr, i) => {
    if (instr.op === "load") loads[s.accesses[Number(instr.imm)]!.buffer]!.push(access(Number(instr.imm)));
    else if (instr.op === "loadAt") gathered[Number(instr.imm)]! += s.levels[i] === "row" ? rows : all;
  });
  for (const store of s.stores) stores[s.accesses[store.access]!.buffer]!.push(access(store.access));
  return {
    reads: s.buffers.map((_, slot) => {
      const found = gathered[slot]!;
      const plain = distinctOf(loads[slot]!, found > 0 ? Infinity : capacity(slot));
      return found > 0 ? Math.min(plain + found, capacity(slot)) : plain;
    }),
    writes: s.buffers.map((_, slot) => (stores[slot]!.length > 0 ? distinctOf(stores[slot]!, capacity(slot)) : 0)),
  };
}

function routineCost(s: RoutineStructure, data: RoutineData, capacity: (slot: number) => number): Cost {
  const plain = plainCost(s, data.ints);
  if (s.epilogue === undefined || data.epilogue === undefined) return plain;
  // The result is not written; what the epilogue binds follows the inputs.
  const inputs = plain.reads.length - 1;
  const { structure, result } = s.epilogue;
  const slotOf = (slot: number): number => inputs + slot - (slot > result ? 1 : 0);
  const own = fusedCost(structure, data.epilogue, (slot) => (slot === result ? Infinity : capacity(slotOf(slot))));
  const others = (list: readonly number[]): number[] => list.filter((_, slot) => slot !== result);
  return {
    reads: [...plain.reads.slice(0, inputs), ...others(own.reads)],
    writes: [...plain.writes.slice(0, inputs), ...others(own.writes)],
    flops: plain.flops,
  };
}

/** The cost of a routine by itself. */
function plainCost(s: RoutineStructure, ints: readonly number[]): Cost {
  const rank = Number(s.attrs["rank"] ?? 0);
  switch (s.name) {
    case "matmul":
      return matmulCost(ints, rank);
    case "conv":
      return convCost(unpackConv(ints, rank));
    case "attention":
      return attentionCost(s, ints);
    case "scan": {
      const sizes = ints.slice(0, 1 + rank);
      const input = distinctElements(sizes, ints.slice(1 + rank, 2 + 2 * rank));
      return { reads: [input, 0], writes: [0, product(sizes)], flops: null };
    }
    case "sort": {
      const sizes = ints.slice(0, 1 + rank);
      const input = distinctElements(sizes, ints.slice(1 + rank, 2 + 2 * rank));
      const wanted = ints[3 + 2 * rank] ?? sizes[0]!;
      return { reads: [input, 0], writes: [0, product(sizes.slice(1)) * wanted], flops: null };
    }
    case "scatter":
      return scatterCost(s, ints, rank);
    case "copy":
      return { reads: [ints[0]!, 0], writes: [0, ints[0]!], flops: null };
  }
}

function matmulCost(ints: readonly number[], rank: number): Cost {
  const [m, n, k] = ints as [number, number, number];
  const batch = ints.slice(3, 3 + rank);
  const matrix = (at: number, rows: number, columns: number): number => {
    const [row, column] = [ints[at + 1]!, ints[at + 2]!];
    return distinctElements([...batch, rows, columns], [...ints.slice(at + 3, at + 3 + rank), row, column]);
  };
  const a = matrix(3 + rank, m, k);
  const b = matrix(6 + 2 * rank, k, n);
  const count = product(batch) * m * n;
  return { reads: [a, b, 0], writes: [0, 0, count], flops: 2 * count * k };
}

/** Along one spatial dimension: terms of the sums that are no padding, and positions of the input in them. */
function meetings(c: Conv, d: number): { readonly terms: number; readonly positions: number } {
  const [size, divisor] = [c.input[d]!, c.divisor[d]!];
  const isMet = new Uint8Array(size);
  let terms = 0;
  for (let y = 0; y < c.output[d]!; y++)
    for (let k = 0; k < c.kernel[d]!; k++) {
      const at = (y * c.stride[d]! + k * c.dilation[d]! - c.padding[d]!) / divisor;
      if (!Number.isInteger(at) || at < 0 || at >= size) continue;
      terms++;
      isMet[at] = 1;
    }
  return { terms, positions: isMet.reduce((a, b) => a + b, 0) };
}

function convCost(c: Conv): Cost {
  const met = c.input.map((_, d) => meetings(c, d));
  const positions = met.map((m) => m.positions);
  const side = (s: ConvSide, outer: number, channels: number, spatial: readonly number[]): number =>
    distinctElements([c.groups, outer, channels, ...spatial], [s.group, s.outer, s.channel, ...s.spatial]);
  const input = side(c.from, c.batch, c.inChannels, positions);
  const weight = side(c.weight, c.outChannels, c.inChannels, c.kernel);
  const count = c.groups * c.batch * c.outChannels * product(c.output);
  const terms = c.groups * c.batch * c.outChannels * c.inChannels * product(met.map((m) => m.terms));
  return { reads: [input, weight, 0], writes: [0, 0, count], flops: 2 * terms };
}

function attentionCost(s: RoutineStructure, ints: readonly number[]): Cost {
  const attrs = s.attrs as unknown as AttentionAttrs;
  const a = unpackAttention(ints, attrs);
  const { queries, keys, width, valueWidth } = a;
  const batch = product(a.sizes);
  let pairs = 0;
  for (let i = 0; i < queries; i++) pairs += Math.min(Math.max(i + a.reach + 1, 0), keys);
  pairs *= batch;
  const matrix = (side: AttentionSide, rows: number, columns: number): number =>
    distinctElements([...a.sizes, rows, columns], [...side.batch, side.row, side.column]);
  const inputs = [
    matrix(a.query, queries, width),
    matrix(a.key, keys, width),
    matrix(a.value, keys, valueWidth),
    // Of the packed result only the statistics are read.
    ...(a.grad === null
      ? []
      : [matrix(a.grad, queries, valueWidth), batch * queries * statisticParts(s.buffers[4]!.dtype), batch * queries]),
    ...(a.mask === null ? [] : [matrix(a.mask, queries, keys)]),
  ];
  // Products that are made of every pair: of lengths `width` and `valueWidth`.
  const [wide, deep, out] = {
    forward: [1, 1, queries * (valueWidth + statisticParts(s.buffers.at(-1)!.dtype))] as const,
    query: [2, 1, queries * width] as const,
    keyValue: [2, 2, keys * (width + valueWidth)] as const,
  }[attrs.pass];
  return {
    reads: [...inputs, 0],
    writes: [...inputs.map(() => 0), batch * out],
    flops: 2 * pairs * (wide * width + deep * valueWidth),
  };
}

function scatterCost(s: RoutineStructure, ints: readonly number[], rank: number): Cost {
  const [dim, size] = ints as [number, number];
  const sizes = ints.slice(2, 2 + rank);
  const strides = (at: number): readonly number[] => ints.slice(at, at + rank);
  const places = distinctElements(
    sizes.map((n, d) => (d === dim ? size : n)),
    strides(2 + rank),
  );
  const touched = Math.min(product(sizes), places);
  const index = distinctElements(sizes, strides(3 + 2 * rank));
  const source = s.buffers.length > 2 ? [distinctElements(sizes, strides(4 + 3 * rank))] : [];
  const reads = [s.attrs["mode"] === "set" ? 0 : touched, index, ...source];
  return { reads, writes: reads.map((_, slot) => (slot === 0 ? touched : 0)), flops: null };
}
