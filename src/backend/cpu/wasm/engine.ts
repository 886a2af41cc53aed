/** Compiles kernels to WebAssembly and runs them over the heap, in pieces of a size that lets the engine switch to optimised code. */

import type { FusedData, FusedStructure, RoutineData, RoutineStructure } from "../../../graph/kernel.ts";
import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import * as math from "../math.ts";
import { CpuBuffer, type WasmHeap } from "../memory.ts";
import { SharedProgram, type ThreadPool } from "../threads.ts";
import { CARRY_SLACK, STATUS_ADDRESS } from "./body.ts";
import { Convolver } from "./conv.ts";
import { dotKernel } from "./dot.ts";
import { castKernel, convExtents, matmulExtents, type Extent } from "./half.ts";
import { LEAST_ELEMENTS, VectorMultiplier } from "./gemv.ts";
import { Multiplier, productsOf } from "./matmul.ts";
import { renderKernel, renderPieces, type Features, type WasmKernel } from "./fused.ts";
import { CONTROL, JOB_HEADER, KIND, type Entries } from "./tasks.ts";
import { combineStates, reductionOf, stateValue } from "./reduce.ts";
import { Scatterer } from "./scatter.ts";
import { Scanner } from "./scan.ts";
import type { ScanKind } from "./scan-code.ts";
import { Sorter } from "./sort.ts";
import { unitOf, type Walk } from "./space.ts";
import { isTall, renderTall } from "./tall.ts";

/** Address of the parameters of the call that is running, and the bytes there are for them. */
const PARAMETERS = 64;
const MAX_PARAMETERS = 8128;
/** Elements that one call of a function goes over, about. */
const ELEMENTS_A_TASK = 32768;
/** Up to this many rows, and from this many elements in each, a row is reduced in pieces. */
const FEW_ROWS = 16;
const LONG_ROW = 131072;
const ELEMENTS_A_PIECE = 65536;
/** Elements (weighted) of a kernel from which on threads are worth it. */
const LARGE = 2 ** 18;
/** Reductions along columns go row by row from so many rows on, and so many columns; beyond so many elements in parts of that size, or fewer and larger ones. */
const TALL = 64;
const LEAST_COLUMNS = 32;
/** Columns from which on the nearest cache does not hold what accumulates, and those that are taken together at most. */
const WIDE = 2048;
const MAX_COLUMNS = 16384;
const ELEMENTS_A_PART = 2 ** 18;
const MOST_PARTS = 64;
/** Longest row of which values are kept from pass to pass. */
const MAX_CARRIED_ELEMENTS = 65536;
/**
 * Tiles of a transposition: rows and lanes. Where elements lie a multiple of so many bytes apart, few sets of a cache hold them all, and tiles are
 * smaller.
 */
const TILE: readonly [number, number] = [16, 256];
const SMALL_TILE: readonly [number, number] = [32, 32];
const CROWDED = 1024;

/** Multiply-adds of a product from which on widening float16 costs less than it gains. */
const LEAST_WIDENED = 4096;
const WIDEN = castKernel("float16", "float32");
const NARROW = castKernel("float32", "float16");

type JsFunction = (...args: number[]) => number;

/** JavaScript functions that kernels import. */
const FUNCTIONS: Readonly<Record<string, JsFunction>> = {
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  expm1: Math.expm1,
  log: Math.log,
  log2: Math.log2,
  log10: Math.log10,
  log1p: Math.log1p,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  atan2: Math.atan2,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  fmod: (x, y) => x % y,
  erf: math.erf,
  erfc: math.erfc,
  erfinv: math.erfinv,
  lgamma: math.lgamma,
  digamma: math.digamma,
  pow: math.pow,
};

/** Functions that workers have, too. */
function isPortable(name: string): boolean {
  return name === "exp2" || name === "fmod" || FUNCTIONS[name] === (Math as unknown as Record<string, unknown>)[name];
}

/** A kernel ready to run. */
interface Compiled {
  readonly kernel: WasmKernel;
  readonly program: SharedProgram;
}

/** The same with the bytes of scratch memory for four columns. */
type TallCompiled = Compiled & { readonly scratch: number };

/** A fused kernel: whole, and in pieces once it is asked for so. */
export interface FusedKernel {
  readonly structure: FusedStructure;
  readonly whole: Compiled;
  /** The same without values kept from pass to pass, for rows that are too long for that. */
  plain: Compiled | null;
  pieces: Compiled | null;
  /** Row by row, for reductions along few and along many columns of many rows; null where that is not to be had, undefined if it was not tried yet. */
  readonly tall: [narrow: TallCompiled | null | undefined, wide: TallCompiled | null | undefined];
  /** Rough number of elements of an addition that one of its elements costs. */
  readonly weight: number;
}

interface Pending {
  readonly kernel: WasmKernel;
  module: WebAssembly.Module | null;
}

function compileLater(pending: Pending): void {
  WebAssembly.compile(pending.kernel.bytes).then(
    (module) => (pending.module = module),
    // Then it stays with JavaScript.
    () => undefined,
  );
}

/** Runs kernels over a heap. */
export class WasmEngine {
  readonly heap: WasmHeap;
  readonly pool: ThreadPool;
  readonly features: Features;
  readonly #kernels = new Map<string, FusedKernel>();
  /** Kernels that are not to be had, or not yet. */
  readonly #pending = new Map<string, Pending>();
  readonly #multiplier: Multiplier;
  readonly #vectorMultiplier: VectorMultiplier;
  readonly #convolver: Convolver;
  readonly #sorter: Sorter;
  readonly #scanner: Scanner;
  readonly #scatterer: Scatterer;

  constructor(heap: WasmHeap, pool: ThreadPool, relaxed: boolean) {
    this.heap = heap;
    this.pool = pool;
    this.features = { shared: heap.shared, relaxed };
    this.#multiplier = new Multiplier(heap, pool, this.features);
    this.#vectorMultiplier = new VectorMultiplier(heap, pool, this.features);
    this.#convolver = new Convolver(heap, pool, this.features);
    this.#sorter = new Sorter(heap, pool, this.features);
    this.#scanner = new Scanner(heap, pool, this.features);
    this.#scatterer = new Scatterer(heap, pool, this.features);
  }

  /**
   * Compiles a kernel. Null if its parameters are too many, or as long as its module is compiled in the background: some engines refuse to
   * compile a large one at once on a page's main thread.
   */
  compileFused(structure: FusedStructure): FusedKernel | null {
    let pending = this.#pending.get(structure.key);
    if (pending === undefined) {
      const kernel = renderKernel(structure, this.features, true);
      const fits = kernel.walk.layout.bytes <= MAX_PARAMETERS;
      pending = { kernel, module: fits ? this.#module(kernel.bytes) : null };
      if (pending.module === null) {
        this.#pending.set(structure.key, pending);
        if (fits) compileLater(pending);
      }
    }
    const { kernel, module } = pending;
    if (module === null) return null;
    this.#pending.delete(structure.key);
    const weight = 1 + kernel.bytes.length / 2000;
    return {
      structure,
      whole: this.#instance(kernel, module),
      plain: null,
      pieces: null,
      tall: [undefined, undefined],
      weight,
    };
  }

  /** A compiled module, or null if the engine refuses its size here. */
  #module(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module | null {
    try {
      return new WebAssembly.Module(bytes);
    } catch (error) {
      if (error instanceof RangeError) return null;
      throw error;
    }
  }

  #instance(kernel: WasmKernel, module: WebAssembly.Module): Compiled {
    const imports: Record<string, WebAssembly.ImportValue> = { memory: this.heap.memory };
    for (const name of kernel.imports) imports[name] = FUNCTIONS[name]!;
    const { exports } = new WebAssembly.Instance(module, { m: imports });
    const bytes = kernel.imports.every(isPortable) ? kernel.bytes : null;
    return { kernel, program: new SharedProgram(exports as Entries, bytes) };
  }

  /** Another form of a kernel, or null where the engine refuses it. */
  #variant(kernel: WasmKernel): Compiled | null {
    const module = this.#module(kernel.bytes);
    return module === null ? null : this.#instance(kernel, module);
  }

  // --- routines ------------------------------------------------------------------------------------------

  /** Runs a routine, if there is WebAssembly for it; else gives false. */
  runRoutine(s: RoutineStructure, data: RoutineData, buffers: readonly CpuBuffer[], tag: number): boolean {
    const rank = Number(s.attrs["rank"]);
    const { dtype } = s.buffers[0]!;
    if (s.name === "conv") {
      if (dtype === "float16")
        return this.#inFloat32(convExtents(data.ints, rank), buffers, (wide) =>
          this.#convolver.run("float32", rank, data.ints, wide),
        );
      if (dtype === "float32" || dtype === "float64") return this.#convolver.run(dtype, rank, data.ints, buffers);
    }
    if (s.name === "sort") return this.#sorter.run(dtype, s.attrs["order"] === "descending", rank, data.ints, buffers);
    if (s.name === "scatter") {
      const failed = this.#scatterer.run(s, data, buffers);
      if (failed === true) this.heap.views.i32[STATUS_ADDRESS >> 2] ||= tag;
      return failed !== null;
    }
    if (s.name === "scan") return this.#scanner.run(dtype, s.attrs["kind"] as ScanKind, rank, data.ints, buffers);
    if (s.name !== "matmul") return false;
    return this.#product(rank, dtype, data, buffers);
  }

  #product(rank: number, dtype: DType, data: RoutineData, buffers: readonly CpuBuffer[]): boolean {
    const [m, n, k] = data.ints as [number, number, number];
    const count = data.ints.slice(3, 3 + rank).reduce((product, size) => product * size, m * n);
    if (count === 0) return true;
    if (k === 0) {
      const { address } = buffers[2]!;
      this.heap.views.u8.fill(0, address, address + count * ITEM_SIZE[dtype]);
      return true;
    }
    if (dtype === "float16" && m > 1 && n > 1 && count * k >= LEAST_WIDENED) {
      const multiply = (wide: readonly CpuBuffer[]): boolean =>
        this.#multiplier.run("float32", productsOf(data.ints, rank, ITEM_SIZE.float32, wide));
      if (this.#inFloat32(matmulExtents(data.ints, rank), buffers, multiply)) return true;
    }
    if (dtype !== "float32" && dtype !== "float64" && dtype !== "int32")
      return this.#dot(dtype, rank, data.ints, buffers);
    const isVector = m === 1 || n === 1;
    if (isVector && (dtype !== "float32" || k * Math.max(m, n) < LEAST_ELEMENTS))
      return this.#dot(dtype, rank, data.ints, buffers);
    const products = productsOf(data.ints, rank, ITEM_SIZE[dtype], buffers);
    // Rows of several products that share a matrix were joined to one.
    if (products[0]!.m > 1 && n > 1) return this.#multiplier.run(dtype, products);
    return this.#vectorMultiplier.run(products) || this.#dot(dtype, rank, data.ints, buffers);
  }

  #dot(dtype: DType, rank: number, ints: readonly number[], buffers: readonly CpuBuffer[]): boolean {
    const { structure, data } = dotKernel(dtype, rank, ints);
    const kernel = this.#own(structure);
    if (kernel === null) return false;
    this.runFused(kernel, data, buffers, 0);
    return true;
  }

  /** A fused kernel that routines are made of; null as long as it is compiled. */
  #own(structure: FusedStructure): FusedKernel | null {
    let kernel = this.#kernels.get(structure.key) ?? null;
    if (kernel === null) {
      kernel = this.compileFused(structure);
      if (kernel !== null) this.#kernels.set(structure.key, kernel);
    }
    return kernel;
  }

  /**
   * Runs a routine for float32 on float16 operands: all are read but the last, which is written. False, with nothing written, if the code or the memory
   * for it is not there.
   */
  #inFloat32(
    extents: readonly Extent[] | null,
    buffers: readonly CpuBuffer[],
    run: (wide: readonly CpuBuffer[]) => boolean,
  ): boolean {
    const [widen, narrow] = [this.#own(WIDEN), this.#own(NARROW)];
    if (extents === null || widen === null || narrow === null) return false;
    const starts = extents.map(({ count }) => 64 * Math.ceil(count / 16));
    const bytes = starts.reduce((sum, size) => sum + size, 0);
    const address = this.heap.reserve(bytes);
    if (address < 0) return false;
    let next = address;
    // Where the first element of the operand would lie, which need not be among those that are read.
    const wide = extents.map(({ first }, i) => {
      const buffer = new CpuBuffer(starts[i]!, next - 4 * first, () => this.heap.memory.buffer);
      next += starts[i]!;
      return buffer;
    });
    const cast = (kernel: FusedKernel, { first, count }: Extent, from: CpuBuffer, to: CpuBuffer): void => {
      const data: FusedData = { outer: [count], inner: [], strides: [[1], [1]], offsets: [first, first], scalars: [] };
      if (count > 0) this.runFused(kernel, data, [from, to], 0);
    };
    try {
      const last = extents.length - 1;
      for (let i = 0; i < last; i++) cast(widen, extents[i]!, buffers[i]!, wide[i]!);
      if (!run(wide)) return false;
      cast(narrow, extents[last]!, wide[last]!, buffers[last]!);
      return true;
    } finally {
      this.heap.release(address, bytes);
    }
  }

  // --- fused kernels --------------------------------------------------------------------------------------------

  /** Runs a kernel on buffers that follow the structure's slots. */
  runFused(kernel: FusedKernel, data: FusedData, buffers: readonly CpuBuffer[], tag: number): void {
    const { walk } = kernel.whole.kernel;
    const sizes = walk.rank > data.outer.length + data.inner.length ? [1] : [...data.outer, ...data.inner];
    this.#writeParameters(walk, sizes, data, buffers, tag);
    const inner = data.inner.reduce((a, b) => a * b, 1);
    const rows = walk.rowDims.reduce((count, d) => count * sizes[d]!, 1);
    if (walk.mode === "rows" && rows <= FEW_ROWS && inner >= LONG_ROW) {
      kernel.pieces ??= this.#variant(renderPieces(kernel.structure, this.features));
      if (kernel.pieces !== null) {
        for (let row = 0; row < rows; row++) this.#runRow(kernel.pieces, row, sizes[walk.innerDims[0]!]!, inner);
        return;
      }
    }
    const lanes = walk.mode === "rows" ? 1 : sizes[walk.laneDim]!;
    const large = rows * lanes * inner * kernel.weight >= LARGE;
    if (walk.mode === "columns" && inner >= TALL && lanes >= LEAST_COLUMNS) {
      const form = Number(lanes > WIDE);
      if (kernel.tall[form] === undefined)
        kernel.tall[form] = isTall(walk) ? this.#tall(kernel.structure, form === 1) : null;
      const tall = kernel.tall[form];
      if (tall !== null && tall !== undefined) {
        this.#runTall(tall, rows, lanes, inner, sizes[walk.innerDims[0]!]!, large);
        return;
      }
    }
    const [rowStep, laneStep] = tilesOf(walk, rows, lanes, inner, data.strides);
    const perRow = Math.ceil(lanes / laneStep);
    let { whole } = kernel;
    if (whole.kernel.carried > 0 && inner > MAX_CARRIED_ELEMENTS)
      whole = (kernel.plain ??= this.#variant(renderKernel(kernel.structure, this.features, false))) ?? whole;
    const bytes = whole.kernel.carried * (inner * 4 + CARRY_SLACK);
    const scratch = bytes > 0 ? this.heap.scratch(bytes * this.pool.threads) : null;
    this.#job([PARAMETERS, rows, rowStep, lanes, laneStep, perRow, scratch?.address ?? 0, bytes]);
    this.pool.run(KIND.run, whole.program, Math.ceil(rows / rowStep) * perRow, large);
    if (scratch !== null) this.heap.release(scratch.address, scratch.bytes);
  }

  #tall(structure: FusedStructure, isWide: boolean): TallCompiled | null {
    const kernel = renderTall(structure, this.features, isWide);
    const compiled = this.#variant(kernel);
    return compiled === null ? null : { ...compiled, scratch: kernel.scratch };
  }

  /** Reductions of `inner` elements, `size` of them in the first dimension, along each of so many columns of so many rows. */
  #runTall(
    { program, scratch }: TallCompiled,
    rows: number,
    columns: number,
    inner: number,
    size: number,
    large: boolean,
  ): void {
    const width = Math.min(columns, MAX_COLUMNS);
    const bytes = 64 * Math.ceil((scratch * Math.ceil(width / 4)) / 64);
    const step = Math.max(1, Math.floor((ELEMENTS_A_PART * size) / (width * inner)), Math.ceil(size / MOST_PARTS));
    const parts = Math.ceil(size / step);
    const memory = this.heap.scratch(bytes * Math.max(parts, this.pool.threads));
    if (parts === 1) {
      const rowStep = Math.max(1, Math.min(rows, Math.floor(ELEMENTS_A_TASK / (width * inner))));
      const perRow = Math.ceil(columns / width);
      this.#job([PARAMETERS, rows, rowStep, columns, width, perRow, memory.address, bytes]);
      this.pool.run(KIND.run, program, Math.ceil(rows / rowStep) * perRow, large);
    } else
      for (let row = 0; row < rows; row++)
        for (let first = 0; first < columns; first += width) {
          const end = Math.min(first + width, columns);
          this.#job([PARAMETERS, row, size, step, first, end, memory.address, bytes]);
          this.pool.run(KIND.part, program, parts, large);
          this.#job([PARAMETERS, row, parts, bytes, first, end, memory.address]);
          this.pool.run(KIND.join, program, 1, false);
        }
    this.heap.release(memory.address, memory.bytes);
  }

  #job(words: readonly number[]): void {
    this.heap.views.i32.set(words, CONTROL.job + JOB_HEADER);
  }

  #writeParameters(
    walk: Walk,
    sizes: readonly number[],
    data: FusedData,
    buffers: readonly CpuBuffer[],
    tag: number,
  ): void {
    const { i32, f32, f64 } = this.heap.views;
    const { structure: s, layout } = walk;
    const word = (at: number): number => (PARAMETERS + at) >> 2;
    layout.position.forEach((at, a) => {
      const unit = unitOf(s, a);
      const { buffer } = s.accesses[a]!;
      i32[word(at)] = (buffer < 0 ? 0 : buffers[buffer]!.address) + data.offsets[a]! * unit;
      layout.stride[a]!.forEach((place, d) => {
        if (place >= 0) i32[word(place)] = data.strides[a]![d]! * unit;
      });
    });
    layout.size.forEach((at, d) => (i32[word(at)] = sizes[d]!));
    layout.base.forEach((at, b) => {
      if (at >= 0) i32[word(at)] = buffers[b]!.address;
    });
    i32[word(layout.tag)] = tag;
    layout.scalar.forEach((at, k) => {
      const value = data.scalars[k]!;
      const type = s.scalars[k]!;
      if (type === "d") f64[(PARAMETERS + at) >> 3] = value;
      else if (type === "f") f32[word(at)] = value;
      else i32[word(at)] = type === "b" ? -Number(value !== 0) : value;
    });
  }

  /** One row in pieces: the reductions phase by phase, then what is written. */
  #runRow(compiled: Compiled, row: number, size: number, inner: number): void {
    const { walk } = compiled.kernel;
    const s = walk.structure;
    const rest = inner / size;
    const step = Math.max(4, Math.ceil(ELEMENTS_A_PIECE / rest / 4) * 4);
    const pieces = Math.ceil(size / step);
    const { program } = compiled;
    walk.reduces.forEach((group, phase) => {
      if (group.length === 0) return;
      const width = 16 * group.length;
      const scratch = this.heap.scratch(pieces * width);
      this.#job([phase, PARAMETERS, row, size, step, scratch.address, width]);
      this.pool.run(KIND.piece, program, pieces, true);
      const { f64 } = this.heap.views;
      group.forEach((r, k) => {
        const reduction = reductionOf(s, r);
        const at = (p: number): [number, number] => {
          const i = (scratch.address + p * width + 16 * k) >>> 3;
          return [f64[i]!, f64[i + 1]!];
        };
        let state = at(0);
        for (let p = 1; p < pieces; p++) state = combineStates(reduction, state, at(p));
        f64[(PARAMETERS + walk.layout.state[r]!) >> 3] = stateValue(reduction, state);
      });
      this.heap.release(scratch.address, scratch.bytes);
    });
    this.#job([-1, PARAMETERS, row, size, step, 0, 0]);
    // What is written once a row alone takes one piece.
    this.pool.run(KIND.piece, program, writesRange(walk) ? pieces : 1, true);
  }
}

/** True if something is written for every element of a row. */
function writesRange({ structure: s, classes, innerDims }: Walk): boolean {
  return s.stores.some((t) => innerDims.some((d) => classes[t.access]![d] !== "0"));
}

/** Rows and lanes that a task takes: about `ELEMENTS_A_TASK` elements, in a tile where rows and lanes lie across each other in memory. */
function tilesOf(
  walk: Walk,
  rows: number,
  lanes: number,
  inner: number,
  strides: FusedData["strides"],
): [number, number] {
  const { classes, laneDim, structure } = walk;
  const last = walk.rowDims[walk.rowDims.length - 1];
  const turned = classes.flatMap((c, a) => (c[laneDim] === "s" && last !== undefined && c[last] === "1" ? [a] : []));
  if (walk.mode === "map" && turned.length > 0 && rows >= 16 && lanes >= 64) {
    const isCrowded = turned.some((a) => (strides[a]![laneDim]! * unitOf(structure, a)) % CROWDED === 0);
    const [tileRows, tileLanes] = isCrowded ? SMALL_TILE : TILE;
    return [tileRows, Math.min(lanes, tileLanes)];
  }
  const weight = inner * lanes;
  if (weight < 2 * ELEMENTS_A_TASK || lanes === 1)
    return [Math.max(1, Math.min(rows, Math.floor(ELEMENTS_A_TASK / weight))), lanes];
  return [1, Math.min(lanes, Math.max(64, Math.ceil(ELEMENTS_A_TASK / inner / 64) * 64))];
}
