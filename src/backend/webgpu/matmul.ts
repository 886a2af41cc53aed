/** Matrix products: tiles in shared memory, or a reduction where one side is a vector. */

import type { BufferSlot, KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import { valueType } from "../../graph/builder.ts";
import { classOf, digest } from "./choices.ts";
import type { EpilogueCall, EpilogueCode, FusingProgram } from "./epilogue.ts";
import type { Pipeline } from "./pipelines.ts";
import { describeKernel } from "./describe.ts";
import { cutLoops, isWhole, type InnerPiece, type LoopAccess, type OuterPiece } from "./pieces.ts";
import type { Bindable, Slab } from "./pool.ts";
import { bound, type CallRecorder, type Compiler, type DeviceFigures, type PreparedCall } from "./program.ts";
import { renderMatmul, type Tiling, type WideSides } from "./matmul-shader.ts";
import { foldGrid, type WordWriter } from "./shader.ts";
import { Sums, type Sum } from "./sums.ts";
import { deviceItemSize } from "./transfer.ts";

const LARGE: Tiling = { tm: 128, tn: 128, tk: 8, rm: 8, rn: 8 };
const MEDIUM: Tiling = { tm: 64, tn: 64, tk: 16, rm: 4, rn: 4 };
/** Work of a multiplication, in units of the budget. */
const UNITS = 2;

/** Most bytes of the partial products of a piece of a product that was cut along k. */
const MAX_PARTS_BYTES = 2 ** 28;

const SMALL: Tiling = { tm: 32, tn: 32, tk: 16, rm: 4, rn: 4 };
/** Between the large and the medium ones, for measurements to find: twice as high or as wide. */
const HIGH: Tiling = { tm: 128, tn: 64, tk: 8, rm: 8, rn: 4 };
const WIDE: Tiling = { tm: 64, tn: 128, tk: 8, rm: 4, rn: 8 };
const TILINGS = [LARGE, HIGH, WIDE, MEDIUM, SMALL] as const;

/** How a product is run: its bits depend on nothing else than the parts that k is cut into. */
interface Way {
  readonly tiling: Tiling;
  /** Parts of k. */
  readonly splits: number;
}

/** Text that tells ways apart. */
export function matmulWayName({ tiling, splits }: Way): string {
  return `${tiling.tm}x${tiling.tn}${splits > 1 ? `/${splits}` : ""}`;
}

/** One operand: element offset, strides of rows and columns, and of the batch dimensions. */
interface Operand {
  readonly offset: number;
  readonly row: number;
  readonly column: number;
  readonly batch: readonly number[];
}

/** The numbers of a call, named. */
interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly sizes: readonly number[];
  readonly batches: number;
  readonly a: Operand;
  readonly b: Operand;
  readonly out: Operand;
}

function parse(ints: readonly number[], rank: number): Product {
  const [m, n, k] = ints as [number, number, number];
  const sizes = ints.slice(3, 3 + rank);
  const operand = (at: number): Operand => ({
    offset: ints[at]!,
    row: ints[at + 1]!,
    column: ints[at + 2]!,
    batch: ints.slice(at + 3, at + 3 + rank),
  });
  const batches = product(sizes);
  return { m, n, k, sizes, batches, a: operand(3 + rank), b: operand(6 + 2 * rank), out: contiguous(sizes, m, n) };
}

const product = (sizes: readonly number[]): number => sizes.reduce((x, y) => x * y, 1);

/** Where a result of [...sizes, m, n] lies by itself. */
function contiguous(sizes: readonly number[], m: number, n: number): Operand {
  let stride = m * n * product(sizes);
  return { offset: 0, row: n, column: 1, batch: sizes.map((size) => (stride /= Math.max(size, 1))) };
}

/** Whether neighbours along k lie closer together than neighbours across. */
const isAlongK = (down: number, across: number): boolean => Math.abs(down) < Math.abs(across);

export class MatmulProgram implements FusingProgram {
  readonly structure: RoutineStructure;
  readonly inPieces = true;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #rank: number;
  #digest: string | null = null;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #sums: Sums;
  readonly #factors: readonly BufferSlot[];
  readonly #out: BufferSlot;

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#compiler = compiler;
    this.#device = device;
    this.#rank = structure.attrs["rank"] as number;
    this.#sums = new Sums(compiler, device);
    this.#factors = structure.buffers.slice(0, 2);
    this.#out = structure.buffers[2]!;
  }

  warm(): void {
    // The sizes decide.
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const p = parse((data as RoutineData).ints, this.#rank);
    if (p.m === 1 || p.n === 1 || p.k <= 2) {
      const { program, data: terms } = this.#sums.plain(termsSum(p), this.#factors, this.#out);
      return program.prepare(terms, slabs, tag);
    }
    const most = this.#device.budget.units / UNITS;
    const way = this.#way(p);
    if (isWhole(slabs, p.batches * p.m * p.n * p.k, most)) return this.#whole(p, slabs, tag, way);
    const calls = this.#cut(p, slabs, most).map((piece) => this.#piece(p, piece, tag, way));
    return {
      pipelines: [...new Set(calls.flatMap((c) => c.pipelines))],
      record: (recorder, scratch) => {
        for (const call of calls) call.record(recorder, scratch);
      },
    };
  }

  prepareWith(data: KernelData, slabs: readonly Slab[], tag: number, work: EpilogueCall): PreparedCall | null {
    const p = parse((data as RoutineData).ints, this.#rank);
    if (p.m === 1 || p.n === 1 || p.k <= 2) {
      const sum = this.#sums.before(termsSum(p), this.#factors, work);
      return sum === null ? null : sum.program.prepare(sum.data, slabs, tag);
    }
    if (!isWhole(slabs, p.batches * p.m * p.n * p.k, this.#device.budget.units / UNITS)) return null;
    const { tiling, splits } = this.#way(p);
    if (splits > 1) return this.#inParts(p, [{ p, memory: slabs, splits }], tag, tiling, work);
    const pipeline = this.#pipelineFor(p, tiling, false, work.code);
    const record = (recorder: CallRecorder): void =>
      this.#dispatch(recorder, pipeline, p, tiling, 1, bound(pipeline.shader, slabs, null), tag, work);
    return { pipelines: [pipeline], scratch: false, record };
  }

  /**
   * A product of which each side lies in one buffer. It may be a piece of another, which was asked for the way of running, on which
   * the bits of the result depend.
   */
  #whole(p: Product, memory: readonly Bindable[], tag: number, { tiling, splits }: Way): PreparedCall {
    if (splits > 1) return this.#inParts(p, [{ p, memory, splits }], tag, tiling);
    const pipeline = this.#pipelineFor(p, tiling, false);
    const record = (recorder: CallRecorder): void =>
      this.#dispatch(recorder, pipeline, p, tiling, 1, bound(pipeline.shader, memory, null), tag);
    return { pipelines: [pipeline], scratch: false, record };
  }

  /** Products over parts of k, written to scratch memory one after the other, and their sum; with `work`, what it makes of that. */
  #inParts(
    whole: Product,
    parts: readonly { readonly p: Product; readonly memory: readonly Bindable[]; readonly splits: number }[],
    tag: number,
    tiling: Tiling,
    work: EpilogueCall | null = null,
  ): PreparedCall {
    const total = whole.batches * whole.m * whole.n;
    const lone = contiguous(whole.sizes, whole.m, whole.n);
    let done = 0;
    const steps = parts.map(({ p, memory, splits }) => {
      const step = { p: { ...p, out: { ...lone, offset: done * total } }, memory, splits };
      done += splits;
      return { ...step, pipeline: this.#pipelineFor(p, tiling, true) };
    });
    const products: BufferSlot = { dtype: valueType(this.#out.dtype) === "f" ? "float32" : "int32", mode: "read" };
    const terms = partsSum(done, whole);
    const { program, data } =
      work === null ? this.#sums.plain(terms, [products], this.#out) : this.#sums.before(terms, [products], work)!;
    const sum = program.choose(data);
    const others = parts[0]!.memory.slice(2);
    return {
      pipelines: [...new Set([...steps.map((s) => s.pipeline), ...sum.pipelines])],
      record: (recorder, scratch) => {
        const partial = scratch.take(4 * total * done);
        for (const { p, memory, splits, pipeline } of steps)
          this.#dispatch(recorder, pipeline, p, tiling, splits, bound(pipeline.shader, memory, partial), tag);
        sum.record(recorder, scratch, [partial, ...others], tag);
        scratch.give(partial);
      },
    };
  }

  #dispatch(
    recorder: CallRecorder,
    pipeline: Pipeline,
    p: Product,
    tiling: Tiling,
    splits: number,
    memory: readonly Bindable[],
    tag: number,
    work: EpilogueCall | null = null,
  ): void {
    const tilesM = Math.ceil(p.m / tiling.tm);
    const tilesN = Math.ceil(p.n / tiling.tn);
    const grid = foldGrid(tilesM * tilesN * splits * p.batches, this.#device.maxGroupsPerDimension);
    const units = p.batches * p.m * p.n * p.k * UNITS;
    const words = (w: WordWriter): void => {
      w.u32(p.m);
      w.u32(p.n);
      w.u32(p.k);
      w.u32(tilesM);
      w.u32(tilesN);
      w.u32(p.batches);
      w.u32(splits);
      w.u32(Math.ceil(Math.ceil(p.k / splits) / tiling.tk) * tiling.tk);
      w.u32(p.batches * p.m * p.n);
      for (const size of p.sizes) w.u32(size);
      for (const side of [p.a, p.b, p.out]) {
        w.i32(side.offset);
        w.i32(side.row);
        if (side !== p.out) w.i32(side.column);
        for (const stride of side.batch) w.i32(stride);
      }
      work?.code.write(w, work.data);
    };
    recorder.dispatch(pipeline, memory, grid, tag, words, units);
  }

  #cut(p: Product, slabs: readonly Slab[], maxVolume: number): OuterPiece[] {
    const { buffers } = this.structure;
    const access = (slot: number, side: Operand, m: number, n: number, k: number): LoopAccess => ({
      slab: slabs[slot]!,
      itemBytes: deviceItemSize(buffers[slot]!.dtype),
      offset: side.offset,
      strides: [...side.batch, m, n, k],
    });
    return cutLoops({
      name: describeKernel(this.structure),
      outer: [...p.sizes, p.m, p.n],
      inner: [p.k],
      segmentBytes: this.#device.segmentBytes,
      maxVolume,
      accesses: [
        access(0, p.a, p.a.row, 0, p.a.column),
        access(1, p.b, 0, p.b.column, p.b.row),
        access(2, p.out, p.out.row, p.out.column, 0),
      ],
      accepts: (elements, parts) => 4 * elements * parts <= Math.min(this.#device.segmentBytes, MAX_PARTS_BYTES),
    });
  }

  #piece(p: Product, piece: OuterPiece, tag: number, way: Way): PreparedCall {
    const sizes = piece.sizes.slice(0, this.#rank);
    const [m, n] = piece.sizes.slice(this.#rank) as [number, number];
    const products = piece.inner.map((inner) => ({
      p: this.#part(p, sizes, m, n, inner),
      memory: inner.segments.map((s) => s!),
      splits: 1,
    }));
    const [first] = products as [(typeof products)[number]];
    return products.length === 1
      ? this.#whole(first.p, first.memory, tag, way)
      : this.#inParts(first.p, products, tag, way.tiling);
  }

  #part(p: Product, sizes: readonly number[], m: number, n: number, inner: InnerPiece): Product {
    const [a, b, out] = inner.offsets as [number, number, number];
    return {
      m,
      n,
      k: inner.sizes[0]!,
      sizes,
      batches: product(sizes),
      a: { ...p.a, offset: a },
      b: { ...p.b, offset: b },
      out: { ...p.out, offset: out },
    };
  }

  /** By what was measured, or else the largest tiles that make enough workgroups. */
  #way(p: Product): Way {
    const tiling = this.#tiling(p);
    return this.#device.choices.pick({
      key: () => {
        const sizes = [p.m, p.n, p.k, p.batches].map(classOf).join(",");
        return `matmul ${(this.#digest ??= digest(this.structure.key))} ${this.#layout(p)} ${sizes}`;
      },
      usual: { tiling, splits: this.#splits(p, tiling) },
      all: () => this.#ways(p),
      name: matmulWayName,
    });
  }

  #tiling(p: Product): Tiling {
    if (this.#device.isSoftware) return SMALL;
    for (const tiling of [LARGE, MEDIUM]) {
      const groups = Math.ceil(p.m / tiling.tm) * Math.ceil(p.n / tiling.tn) * p.batches;
      if (groups >= this.#device.busyGroups && p.m >= tiling.tm / 2 && p.n >= tiling.tn / 2) return tiling;
    }
    return p.m >= 64 && p.n >= 64 ? MEDIUM : SMALL;
  }

  /** Parts of k, where the tiles alone would leave the device idle. */
  #splits(p: Product, tiling: Tiling): number {
    const groups = Math.ceil(p.m / tiling.tm) * Math.ceil(p.n / tiling.tn) * p.batches;
    const wanted = Math.floor(this.#device.busyGroups / groups);
    return Math.max(1, Math.min(wanted, this.#mostSplits(p, tiling)));
  }

  #mostSplits(p: Product, tiling: Tiling): number {
    const most = Math.floor(p.k / (tiling.tk * 16));
    const room = Math.floor(Math.min(2 ** 26, this.#device.segmentBytes) / (4 * p.batches * p.m * p.n));
    return Math.max(1, Math.min(most, room, 64));
  }

  /** All ways that are worth a measurement: tiles that are not mostly empty, and cuts of k around the usual one. */
  #ways(p: Product): Way[] {
    const usual = this.#tiling(p);
    const fits = (t: Tiling): boolean => t === usual || t === SMALL || (p.m > t.tm / 2 && p.n > t.tn / 2);
    return TILINGS.filter(fits).flatMap((tiling) => {
      const splits = this.#splits(p, tiling);
      const most = this.#mostSplits(p, tiling);
      const counts = new Set([1, Math.ceil(splits / 2), splits, Math.min(2 * splits, most)]);
      return [...counts].map((count) => ({ tiling, splits: count }));
    });
  }

  /** Each side is read along the direction in which its elements are neighbours. */
  #pipelineFor(p: Product, tiling: Tiling, parts: boolean, work: EpilogueCode | null = null): Pipeline {
    const wide = {
      a: this.#isWide(0, p.a, p.m, p.a.row, p.a.column),
      b: this.#isWide(1, p.b, p.n, p.b.column, p.b.row),
    };
    return this.#pipeline(tiling, isAlongK(p.a.column, p.a.row), isAlongK(p.b.row, p.b.column), parts, work, wide);
  }

  /** Whether four neighbours across, of `extent`, can be loaded at once. */
  #isWide(slot: number, side: Operand, extent: number, across: number, down: number): boolean {
    const { dtype } = this.structure.buffers[slot]!;
    if (across !== 1 || isAlongK(down, across) || (dtype !== "float32" && dtype !== "float16")) return false;
    return [extent, side.offset, down, ...side.batch].every((n) => n % 4 === 0);
  }

  #layout(p: Product): string {
    return (isAlongK(p.a.column, p.a.row) ? "k" : "m") + (isAlongK(p.b.row, p.b.column) ? "k" : "n");
  }

  #pipeline(
    tiling: Tiling,
    aAlongK: boolean,
    bAlongK: boolean,
    parts: boolean,
    work: EpilogueCode | null,
    wide: WideSides,
  ): Pipeline {
    const last = parts ? "p" : work === null ? "" : `|${work.key}`;
    const key = `${tiling.tm}x${tiling.tn}${aAlongK ? "k" : wide.a ? "M" : "m"}${bAlongK ? "k" : wide.b ? "N" : "n"}${last}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      const full = `${this.structure.key}|${key}`;
      pipeline = this.#compiler.pipeline(full, () =>
        renderMatmul(full, this.structure.buffers, this.#rank, tiling, aAlongK, bAlongK, parts, work, wide),
      );
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }
}

/** out[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]. */
function termsSum(p: Product): Sum {
  const dims = p.sizes.map((size, d) => ({ size, factors: [p.a.batch[d]!, p.b.batch[d]!], out: p.out.batch[d]! }));
  dims.push({ size: p.m, factors: [p.a.row, 0], out: p.out.row }, { size: p.n, factors: [0, p.b.column], out: 1 });
  const offsets = [p.a.offset, p.b.offset];
  return { dims, count: p.k, steps: [p.a.column, p.b.row], offsets, out: p.out.offset };
}

/** Sum of `count` partial products, which lie one after the other, to where the product `p` belongs. */
function partsSum(count: number, p: Product): Sum {
  const total = p.batches * p.m * p.n;
  const lone = contiguous(p.sizes, p.m, p.n);
  const isLone = p.out.row === lone.row && p.out.batch.every((stride, d) => stride === lone.batch[d]);
  const dims = isLone
    ? [{ size: total, factors: [1], out: 1 }]
    : [
        ...p.sizes.map((size, d) => ({ size, factors: [lone.batch[d]!], out: p.out.batch[d]! })),
        { size: p.m, factors: [lone.row], out: p.out.row },
        { size: p.n, factors: [1], out: 1 },
      ];
  return { dims, count, steps: [total], offsets: [0], out: p.out.offset };
}
