/** Compiles kernels to WebAssembly and runs them over the heap, in pieces of a size that lets the engine switch to optimised code. */

import type { FusedData, FusedStructure, RoutineData, RoutineStructure } from "../../../graph/kernel.ts";
import { ITEM_SIZE, type DType } from "../../../dtype.ts";
import { OutOfMemoryError } from "../../../errors.ts";
import * as math from "../math.ts";
import type { CpuBuffer, WasmHeap } from "../memory.ts";
import { dotKernel } from "./dot.ts";
import { renderGemm, type GemmType } from "./gemm.ts";
import { multiply, productsOf, scratchBytes, type GemmEntries } from "./matmul.ts";
import { renderKernel, renderPieces, type Features, type WasmKernel } from "./fused.ts";
import { combineStates, stateValue, type Reduction } from "./reduce.ts";
import { unitOf, type Walk } from "./space.ts";

/** Address of the parameters of the call that is running, and the bytes there are for them. */
const PARAMETERS = 64;
const MAX_PARAMETERS = 8128;
/** Elements that one call of a function goes over, about. */
const ELEMENTS_A_TASK = 32768;
/** Up to this many rows, and from this many elements in each, a row is reduced in pieces. */
const FEW_ROWS = 16;
const LONG_ROW = 131072;
const ELEMENTS_A_PIECE = 65536;

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

/** A function of a module: i32 numbers in. */
type Entry = (...args: number[]) => void;

/** A kernel ready to run. */
export interface Compiled {
  readonly kernel: WasmKernel;
  readonly entries: Readonly<Record<string, Entry>>;
}

/** Thrown where a module is too large to be compiled at once; it is being compiled in the background. */
export class NotYet extends Error {}

/** A fused kernel: whole, and in pieces once it is asked for so. */
export interface FusedKernel {
  readonly structure: FusedStructure;
  readonly whole: Compiled;
  pieces: Compiled | null;
}

export class WasmEngine {
  readonly heap: WasmHeap;
  readonly features: Features;
  readonly #dots = new Map<string, FusedKernel>();
  readonly #gemm = new Map<GemmType, GemmEntries>();

  constructor(heap: WasmHeap, relaxed: boolean) {
    this.heap = heap;
    this.features = { shared: heap.shared, relaxed };
  }

  /** Compiles a kernel; null if its parameters are too many. */
  compileFused(structure: FusedStructure): FusedKernel | null {
    const kernel = renderKernel(structure, this.features);
    if (kernel.walk.layout.bytes > MAX_PARAMETERS) return null;
    return { structure, whole: this.#compile(kernel), pieces: null };
  }

  /** Runs a routine, if there is WebAssembly for it; else gives false. */
  runRoutine(s: RoutineStructure, data: RoutineData, buffers: readonly CpuBuffer[]): boolean {
    if (s.name !== "matmul") return false;
    const rank = Number(s.attrs["rank"]);
    const { dtype } = s.buffers[0]!;
    const [m, n, k] = data.ints as [number, number, number];
    const count = data.ints.slice(3, 3 + rank).reduce((product, size) => product * size, m * n);
    if (count === 0) return true;
    if (k === 0) {
      const { address } = buffers[2]!;
      this.heap.views.u8.fill(0, address, address + count * ITEM_SIZE[dtype]);
    } else if (m === 1 || n === 1 || (dtype !== "float32" && dtype !== "float64" && dtype !== "int32"))
      this.#dot(dtype, rank, data.ints, buffers);
    else this.#matmul(dtype, rank, data.ints, buffers);
    return true;
  }

  #dot(dtype: DType, rank: number, ints: readonly number[], buffers: readonly CpuBuffer[]): void {
    const { structure, data } = dotKernel(dtype, rank, ints);
    let kernel = this.#dots.get(structure.key);
    if (kernel === undefined) {
      kernel = { structure, whole: this.#compile(renderKernel(structure, this.features)), pieces: null };
      this.#dots.set(structure.key, kernel);
    }
    this.runFused(kernel, data, buffers, 0);
  }

  #matmul(type: GemmType, rank: number, ints: readonly number[], buffers: readonly CpuBuffer[]): void {
    const products = productsOf(ints, rank, ITEM_SIZE[type], buffers);
    let entries = this.#gemm.get(type);
    if (entries === undefined) {
      const module = new WebAssembly.Module(renderGemm(type, this.features));
      const instance = new WebAssembly.Instance(module, { m: { memory: this.heap.memory } });
      entries = instance.exports as unknown as GemmEntries;
      this.#gemm.set(type, entries);
    }
    const bytes = scratchBytes(type, products[0]!).total;
    const scratch = this.#scratch(bytes);
    for (const product of products) multiply(entries, type, product, scratch);
    this.heap.release(scratch, bytes);
  }

  /** Memory for the time of a call. */
  #scratch(bytes: number): number {
    const address = this.heap.reserve(bytes);
    if (address < 0) throw new OutOfMemoryError(`out of memory: ${bytes} bytes asked for to compute with`);
    return address;
  }

  #compile(kernel: WasmKernel): Compiled {
    const module = new WebAssembly.Module(kernel.bytes);
    const imports: Record<string, WebAssembly.ImportValue> = { memory: this.heap.memory };
    for (const name of kernel.imports) imports[name] = FUNCTIONS[name]!;
    const { exports } = new WebAssembly.Instance(module, { m: imports });
    return { kernel, entries: exports as Record<string, Entry> };
  }

  /** Runs a kernel on buffers that follow the structure's slots. */
  runFused(kernel: FusedKernel, data: FusedData, buffers: readonly CpuBuffer[], tag: number): void {
    const { walk } = kernel.whole.kernel;
    const sizes = walk.rank > data.outer.length + data.inner.length ? [1] : [...data.outer, ...data.inner];
    this.#writeParameters(walk, sizes, data, buffers, tag);
    const inner = data.inner.reduce((a, b) => a * b, 1);
    const rows = walk.rowDims.reduce((count, d) => count * sizes[d]!, 1);
    if (walk.mode === "rows" && rows <= FEW_ROWS && inner >= LONG_ROW) {
      kernel.pieces ??= this.#compile(renderPieces(kernel.structure, this.features));
      for (let row = 0; row < rows; row++) this.#runRow(kernel.pieces, row, sizes[walk.innerDims[0]!]!, inner);
      return;
    }
    const lanes = walk.mode === "rows" ? 1 : sizes[walk.laneDim]!;
    const { run } = kernel.whole.entries as { run: Entry };
    const weight = inner * lanes;
    if (weight < 2 * ELEMENTS_A_TASK || lanes === 1) {
      const step = Math.max(1, Math.floor(ELEMENTS_A_TASK / weight));
      for (let row = 0; row < rows; row += step) run(PARAMETERS, row, Math.min(row + step, rows), 0, lanes);
      return;
    }
    const step = Math.max(64, Math.ceil(ELEMENTS_A_TASK / inner / 64) * 64);
    for (let row = 0; row < rows; row++)
      for (let lane = 0; lane < lanes; lane += step) run(PARAMETERS, row, row + 1, lane, Math.min(lane + step, lanes));
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
    walk.reduces.forEach((group, phase) => {
      if (group.length === 0) return;
      const width = 16 * group.length;
      const bytes = Math.ceil((pieces * width) / 64) * 64;
      const scratch = this.#scratch(bytes);
      const reduce = compiled.entries[`reduce${phase}`]!;
      for (let p = 0; p < pieces; p++)
        reduce(PARAMETERS, row, p * step, Math.min((p + 1) * step, size), scratch + p * width);
      const { f64 } = this.heap.views;
      group.forEach((r, k) => {
        const instr = s.instrs[r]!;
        const reduction: Reduction = {
          kind: instr.imm as Reduction["kind"],
          from: s.instrs[instr.args[0]!]!.type,
          to: instr.type,
        };
        const at = (p: number): [number, number] => {
          const i = (scratch + p * width + 16 * k) >>> 3;
          return [f64[i]!, f64[i + 1]!];
        };
        let state = at(0);
        for (let p = 1; p < pieces; p++) state = combineStates(reduction, state, at(p));
        f64[(PARAMETERS + walk.layout.state[r]!) >> 3] = stateValue(reduction, state);
      });
      this.heap.release(scratch, bytes);
    });
    const { store } = compiled.entries as { store: Entry };
    for (let p = 0; p < pieces; p++) store(PARAMETERS, row, p * step, Math.min((p + 1) * step, size));
  }
}
