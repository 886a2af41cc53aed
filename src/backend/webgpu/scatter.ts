/**
 * Scatters: entries written or combined into an array at positions that an index gives. Combining ones go through equal indices in a fixed order.
 * There are several ways, for few places, few entries, and many of both.
 */

import { valueType } from "../../graph/builder.ts";
import type { BufferSlot, KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import { isDeterministic } from "../determinism.ts";
import { describeKernel } from "./describe.ts";
import { literal, loadElement, reducer, storeElement } from "./express.ts";
import type { Pipeline } from "./pipelines.ts";
import { cutLoops, isWhole, maxVolume } from "./pieces.ts";
import type { Bindable, Slab } from "./pool.ts";
import {
  bound,
  type Compiler,
  type CallRecorder,
  type DeviceFigures,
  type DeviceProgram,
  type PreparedCall,
} from "./program.ts";
import { fillFrame, foldGrid, ShaderText, WORKGROUP, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";
import { planSort } from "./sort.ts";
import type { SortCall, SortRows } from "./sort-keys.ts";
import { declareWalk, stored, walk } from "./strided.ts";
import { deviceItemSize } from "./transfer.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);
const without = (list: readonly number[], d: number): number[] => list.filter((_, i) => i !== d);

/** Work of an entry seen from a place, in units of the budget. */
const SCATTER_UNITS = 4;

/**
 * How a scatter is run. `any`: an invocation an entry, any of several on one element stays. `places`: an invocation an element, which goes through all entries of
 * its line. `entries`: an invocation an entry, which goes through the others. `sorted`: entries are put in order of their places, and neighbours combined.
 */
export type ScatterWay = "any" | "places" | "entries" | "sorted";

/** Neighbours in order that an invocation combines: of the entries, fewer where there would be too few invocations; of what is left of them. */
const CHUNK = 64;
const SHORT_CHUNK = 16;
const LATER_CHUNK = 32;
/** Most bytes of what reaches beyond the neighbours of an invocation. */
const MOST_REST_BYTES = 2 ** 28;

/** Work of putting an entry in order, and of a dispatch, in entries read. */
const SORT_COST = 60;
const DISPATCH_COST = 2 ** 20;

/** See `scatter` in kernel.ts. */
export class ScatterProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly inPieces = true;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #pipelines = new Map<string, Pipeline>();

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#compiler = compiler;
    this.#device = device;
  }

  warm(): void {
    // The sizes decide.
  }

  /** Whether entries that fall on one place combine in order. If not, any of them may stay. */
  #isOrdered(): boolean {
    const { mode, source } = this.structure.attrs;
    return mode !== "set" || (isDeterministic() && source !== "scalar");
  }

  #compile(way: Exclude<ScatterWay, "sorted">): Pipeline {
    return this.#pipeline(way, (key) => renderScatter(key, this.structure, way));
  }

  #pipeline(name: string, render: (key: string) => Shader): Pipeline {
    let pipeline = this.#pipelines.get(name);
    if (pipeline === undefined) {
      const key = `${this.structure.key}|${name}`;
      pipeline = this.#compiler.pipeline(key, () => render(key));
      this.#pipelines.set(name, pipeline);
    }
    return pipeline;
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const { ints, scalars } = data as RoutineData;
    const rank = this.structure.attrs["rank"] as number;
    const dim = ints[0]!;
    const extent = ints[1]!;
    let at = 2;
    const next = (count: number): readonly number[] => ints.slice(at, (at += count));
    const sizes = next(rank);
    const operand = (): Side => ({ strides: next(rank), offset: next(1)[0]! });
    const sides = [operand(), operand()];
    if (this.structure.attrs["source"] !== "scalar") sides.push(operand());
    const call: ScatterCall = { dim, extent, length: sizes[dim]!, sizes, sides, scalar: scalars[0] ?? 0 };
    const way = this.#way(call, slabs);
    const plan = way === "sorted" ? this.#planSorted(call) : null;
    if (plan !== null) return this.#inOrder(call, plan, slabs, tag);
    return this.#inPlaces(call, way === "sorted" ? "places" : way, slabs, tag);
  }

  /** The way with the least work. */
  #way({ extent, length, sizes, dim, sides }: ScatterCall, slabs: readonly Slab[]): ScatterWay {
    if (!this.#isOrdered()) return "any";
    // In pieces, an element sees its entries one piece after the other.
    if (slabs.some((slab) => slab.segments.length > 1)) return "places";
    const lines = product(without(sizes, dim));
    const rows = product(sizes.filter((_, d) => d !== dim && sides[1]!.strides[d] !== 0));
    const ways: (readonly [ScatterWay, number])[] = [["places", lines * extent * length]];
    if (lines * length * length <= maxVolume(this.#device.budget, SCATTER_UNITS))
      ways.push(["entries", lines * length * length]);
    const type = valueType(this.structure.buffers[0]!.dtype);
    if (type === "f" || type === "i")
      ways.push(["sorted", 4 * lines * length + SORT_COST * rows * length + DISPATCH_COST]);
    return ways.reduce((a, b) => (b[1] < a[1] ? b : a))[0];
  }

  // --- an invocation a place, or an entry ---------------------------------------------------------------------------

  #inPlaces(call: ScatterCall, way: Exclude<ScatterWay, "sorted">, slabs: readonly Slab[], tag: number): PreparedCall {
    const { dim, extent, length, sizes, sides } = call;
    const lineSizes = without(sizes, dim);
    const pipeline = this.#compile(way);
    const perEntry = way !== "places";
    const usual: ScatterPiece = { lineSizes, entries: length, place: 0, places: extent, sides, memory: slabs };
    const most = maxVolume(this.#device.budget, SCATTER_UNITS);
    const seen = way === "places" ? extent : way === "entries" ? length : 1;
    const pieces = isWhole(slabs, product(lineSizes) * length * seen, most)
      ? [usual]
      : this.#cut(usual, dim, slabs, most * (perEntry ? extent : 1));
    const record = (recorder: CallRecorder): void => {
      for (const piece of pieces) {
        const lines = product(piece.lineSizes);
        const grid = foldGrid(
          Math.ceil((lines * (perEntry ? piece.entries : piece.places)) / WORKGROUP),
          this.#device.maxGroupsPerDimension,
        );
        const words = (w: WordWriter): void => {
          w.u32(lines);
          w.u32(extent);
          w.u32(piece.entries);
          w.i32(piece.place);
          w.u32(piece.places);
          for (const size of piece.lineSizes) w.u32(size);
          for (const side of piece.sides) {
            w.i32(side.offset);
            for (const stride of without(side.strides, dim)) w.i32(stride);
            w.i32(side.strides[dim]!);
          }
          if (sides.length === 2) this.#writeScalar(w, call.scalar);
        };
        const work = lines * piece.entries * (way === "places" ? piece.places : seen) * SCATTER_UNITS;
        recorder.dispatch(pipeline, bound(pipeline.shader, piece.memory, null), grid, tag, words, work);
      }
    };
    return { pipelines: [pipeline], scratch: false, record };
  }

  #writeScalar(w: WordWriter, scalar: number): void {
    const type = valueType(this.structure.buffers[0]!.dtype);
    if (type === "f") w.f32(scalar);
    else if (type === "b") w.u32(Number(scalar !== 0));
    else w.i32(scalar);
  }

  /**
   * Lines, places and entries in pieces. Each element sees its entries in order, one piece after the other; where any entry may
   * win, entries that fall on places of other pieces are passed over.
   */
  #cut(whole: ScatterPiece, dim: number, slabs: readonly Slab[], most: number): ScatterPiece[] {
    const pieces = cutLoops({
      name: describeKernel(this.structure),
      outer: [...whole.lineSizes, whole.places, whole.entries],
      inner: [],
      segmentBytes: this.#device.segmentBytes,
      maxVolume: most,
      accesses: whole.sides.map(({ strides, offset }, slot) => ({
        slab: slabs[slot]!,
        itemBytes: deviceItemSize(this.structure.buffers[slot]!.dtype),
        offset,
        strides: [...without(strides, dim), ...(slot === 0 ? [strides[dim]!, 0] : [0, strides[dim]!])],
      })),
    });
    const rank = whole.lineSizes.length;
    return pieces.map(({ first, sizes, inner }) => {
      const { offsets, segments } = inner[0]!;
      return {
        lineSizes: sizes.slice(0, rank),
        place: first[rank]!,
        places: sizes[rank]!,
        entries: sizes[rank + 1]!,
        sides: whole.sides.map(({ strides }, slot) => ({ strides, offset: offsets[slot]! })),
        memory: segments.map((s) => s!),
      };
    });
  }

  // --- entries in order of their places -----------------------------------------------------------------------------

  /** What is sorted, and in which steps what was sorted is combined; null if there is no room for it. */
  #planSorted({ dim, extent, length, sizes, sides }: ScatterCall): SortedPlan | null {
    const index = sides[1]!;
    const lineDims = sizes.map((_, d) => d).filter((d) => d !== dim && sizes[d] !== 1);
    const rowDims = lineDims.filter((d) => index.strides[d] !== 0);
    const columnDims = lineDims.filter((d) => index.strides[d] === 0);
    const rows = product(rowDims.map((d) => sizes[d]!));
    const width = product(columnDims.map((d) => sizes[d]!));
    const sortRows: SortRows = {
      slot: this.structure.buffers[1]!,
      binding: 1,
      length,
      sizes: rowDims.map((d) => sizes[d]!),
      step: index.strides[dim]!,
      strides: rowDims.map((d) => index.strides[d]!),
      offset: index.offset,
      descending: false,
      wanted: length,
      below: extent,
      target: null,
    };
    const sort = planSort(this.structure.key, sortRows, this.#compiler, this.#device);
    const isLarge = (rows * width * length) / CHUNK >= 4 * WORKGROUP * this.#device.busyGroups;
    const levels: Level[] = [];
    for (let count = length, chunk = isLarge ? CHUNK : SHORT_CHUNK; ; chunk = LATER_CHUNK) {
      const chunks = Math.ceil(count / chunk);
      levels.push({ count, chunk, chunks });
      if (chunks === 1) break;
      count = 2 * chunks;
    }
    // A list has a place and its values for each slot; two lists take turns.
    const order = rows * length;
    const slots = rows * (levels[1]?.count ?? 0) + rows * (levels[2]?.count ?? 0);
    const room = Math.min(this.#device.segmentBytes / 4 - order, MOST_REST_BYTES / 4);
    const budget = maxVolume(this.#device.budget, SCATTER_UNITS) / (rows * length);
    const columns = Math.floor(Math.min(width, slots === 0 ? width : room / slots - 1, budget));
    if (columns < 1 || 4 * sort.words > this.#device.segmentBytes) return null;
    const words = Math.max(sort.words, order + slots * (1 + columns));
    return { sort, levels, order, rows, width, columns, dims: [...rowDims, ...columnDims], words };
  }

  #inOrder(call: ScatterCall, plan: SortedPlan, slabs: readonly Slab[], tag: number): PreparedCall {
    const { sort, levels, order, rows, width, columns, dims } = plan;
    const { sides, sizes, dim, extent } = call;
    const pipelines = levels.map((_, level) => this.#foldPipeline(dims.length, level > 0));
    const record: PreparedCall["record"] = (recorder, scratch) => {
      const memory = scratch.take(4 * plan.words);
      sort.record(recorder, slabs, memory, tag);
      for (let first = 0; first < width; first += columns) {
        const here = Math.min(columns, width - first);
        // Where the list that a level makes begins: its places, then its values.
        const listAt = (level: number): number => {
          const other = level % 2 === 1 ? 0 : rows * (levels[1]?.count ?? 0);
          return order + other * (1 + here);
        };
        levels.forEach(({ count, chunk, chunks }, level) => {
          const pipeline = pipelines[level]!;
          const [from, to] = [listAt(level), listAt(level + 1)];
          const words = (w: WordWriter): void => {
            for (const value of [rows, width, first, here, count, chunk, chunks, extent]) w.u32(value);
            for (const value of [from, from + rows * count, to, to + rows * 2 * chunks]) w.u32(value);
            for (const d of dims) w.u32(sizes[d]!);
            for (const side of level === 0 ? sides : sides.slice(0, 1)) {
              w.i32(side.offset);
              for (const d of dims) w.i32(side.strides[d]!);
              w.i32(side.strides[dim]!);
            }
            if (level === 0 && sides.length === 2) this.#writeScalar(w, call.scalar);
          };
          const grid = foldGrid(Math.ceil((rows * chunks * here) / WORKGROUP), this.#device.maxGroupsPerDimension);
          const work = rows * count * here * SCATTER_UNITS;
          recorder.dispatch(pipeline, bound(pipeline.shader, slabs, memory), grid, tag, words, work);
        });
      }
      scratch.give(memory);
    };
    return { pipelines: [...sort.pipelines, ...new Set(pipelines)], record };
  }

  #foldPipeline(rank: number, later: boolean): Pipeline {
    return this.#pipeline(`fold${rank}${later ? "later" : ""}`, (key) => renderFold(key, this.structure, rank, later));
  }
}

/** The numbers of a call. */
interface ScatterCall {
  readonly dim: number;
  readonly extent: number;
  readonly length: number;
  readonly sizes: readonly number[];
  readonly sides: readonly Side[];
  readonly scalar: number;
}

/** A round in which neighbours of a list are combined. */
interface Level {
  readonly count: number;
  readonly chunk: number;
  readonly chunks: number;
}

/** How entries are put in order and combined. */
interface SortedPlan {
  readonly sort: SortCall;
  readonly levels: readonly Level[];
  /** Words of the order of the entries, which is at the start of the scratch memory. */
  readonly order: number;
  /** Lines of the index that are sorted, and lines of the array that each of them stands for. */
  readonly rows: number;
  readonly width: number;
  /** So many of the latter are worked on at once. */
  readonly columns: number;
  /** Dimensions of the lines: those along which the index varies, then the others. */
  readonly dims: readonly number[];
  readonly words: number;
}

/** How an operand of a scatter is walked. */
interface Side {
  readonly strides: readonly number[];
  readonly offset: number;
}

/** A range of lines, entries, and places along the scattered dimension; what the operands are there. */
interface ScatterPiece {
  readonly lineSizes: readonly number[];
  readonly entries: number;
  readonly place: number;
  readonly places: number;
  readonly sides: readonly Side[];
  readonly memory: readonly Bindable[];
}

/** Renders a scatter that takes entries as they are. */
export function renderScatter(key: string, structure: RoutineStructure, way: Exclude<ScatterWay, "sorted">): Shader {
  const [out, index, source] = structure.buffers as [BufferSlot, BufferSlot, BufferSlot | undefined];
  const rank = (structure.attrs["rank"] as number) - 1;
  const type = valueType(out.dtype);
  const text = new ShaderText();
  for (const name of ["lines", "extent", "length"]) text.field(name, "u32");
  text.field("place", "i32");
  text.field("places", "u32");
  const operands = source === undefined ? ["out", "index"] : ["out", "index", "source"];
  declareWalk(text, rank, operands, operands);
  text.bind("out_buffer", stored(out), 0, true);
  text.bind("index_buffer", stored(index), 1, false);
  let value = type === "b" ? "(params.scalar != 0u)" : "params.scalar";
  if (source === undefined) text.field("scalar", type === "f" ? "f32" : type === "b" ? "u32" : "i32");
  else {
    text.bind("source_buffer", stored(source), 2, false);
    value = `(${loadElement(source, "source_buffer[source_at + entry * params.source_step]")})`;
  }
  const offsets = walk(rank, "line", operands);
  const indexElement = loadElement(index, "index_buffer[index_at + entry * params.index_step]");
  if (way === "any") {
    const code = fillFrame(SHADERS.scatter_set, {
      size: WORKGROUP,
      index: indexElement,
      line: "at / params.length",
      entry: "i32(at % params.length)",
      offsets,
      store: storeElement(out, value),
    });
    return text.finish(key, code, true);
  }
  const combine = combiner(structure)("value", value);
  const shared = {
    size: WORKGROUP,
    index: indexElement,
    offsets,
    load: loadElement(out, "out_buffer[target_at]"),
    combine,
  };
  const store = storeElement(out, "value");
  const code =
    way === "entries"
      ? fillFrame(SHADERS.scatter_entries, {
          ...shared,
          own_index: loadElement(index, "index_buffer[index_at + own * params.index_step]"),
          store,
        })
      : fillFrame(SHADERS.scatter, {
          ...shared,
          line: "at / params.places",
          place: "i32(at % params.places)",
          store,
        });
  return text.finish(key, code, true);
}

/** How entries combine with what is there. */
type Mode = "set" | "add" | "prod" | "max" | "min";

/** How two values that fall on one place become one. */
function combiner(structure: RoutineStructure): (a: string, b: string) => string {
  const mode = structure.attrs["mode"] as Mode;
  const type = valueType(structure.buffers[0]!.dtype);
  return mode === "set" ? (_, b) => b : reducer(mode === "add" ? "sum" : mode, type).combine;
}

/** Renders the combining of entries in order, or (`later`) of what reached beyond an invocation's. */
export function renderFold(key: string, structure: RoutineStructure, rank: number, later: boolean): Shader {
  const [out, index, source] = structure.buffers as [BufferSlot, BufferSlot, BufferSlot | undefined];
  const mode = structure.attrs["mode"] as Mode;
  const type = valueType(out.dtype);
  const word = type === "f" ? "f32" : "i32";
  const text = new ShaderText();
  for (const name of ["rows", "width", "first_column", "columns", "count", "chunk", "chunks", "extent"])
    text.field(name, "u32");
  for (const name of ["from_keys", "from_values", "to_keys", "to_values"]) text.field(name, "u32");
  const operands = later ? ["out"] : source === undefined ? ["out", "index"] : ["out", "index", "source"];
  declareWalk(text, rank, operands, operands);
  if (!later && source === undefined) text.field("scalar", type === "f" ? "f32" : "i32");
  text.bind("out_buffer", stored(out), 0, true);
  if (!later) {
    text.bind("index_buffer", stored(index), 1, false);
    if (source !== undefined) text.bind("source_buffer", stored(source), 2, false);
  }
  text.bind("scratch", "u32", -1, true);
  const entry = "i32(scratch[row * params.count + p])";
  let value: string;
  if (later)
    value = `bitcast<${word}>(scratch[params.from_values + (row * params.count + p) * params.columns + column])`;
  else if (source === undefined) value = "params.scalar";
  else value = `(${loadElement(source, `source_buffer[source_at + ${entry} * params.source_step]`)})`;
  const combine = combiner(structure);
  const initial = mode === "set" ? literal(0, type) : reducer(mode === "add" ? "sum" : mode, type).initial;
  // What is combined with itself must not count twice; where it may, or the last one stays, it is the same once more.
  const other = mode === "set" ? "" : `value = select(value, ${initial}, from_before);`;
  const code = fillFrame(SHADERS.scatter_fold, {
    size: WORKGROUP,
    offsets: walk(rank, "line", operands),
    key: later
      ? "scratch[params.from_keys + row * params.count + p]"
      : `min(bitcast<u32>(${loadElement(index, `index_buffer[index_at + ${entry} * params.index_step]`)}), params.extent)`,
    initial,
    combine: combine("value", value),
    bits: "bitcast<u32>(value)",
    other,
    store: storeElement(
      out,
      mode === "set" ? "value" : `(${combine(`(${loadElement(out, "out_buffer[target_at]")})`, "value")})`,
    ),
  });
  return text.finish(key, code, false);
}
