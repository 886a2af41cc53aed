/** The routines other than products: scatter, scan and copy. */

import { valueType } from "../../graph/builder.ts";
import type { BufferSlot, KernelData, RoutineData, RoutineStructure, ValueType } from "../../graph/kernel.ts";
import { isDeterministic } from "../determinism.ts";
import { describeKernel } from "./describe.ts";
import { literal, loadElement, reducer, storeElement, wgslType } from "./express.ts";
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
  type Scratch,
} from "./program.ts";
import { fillFrame, foldGrid, ShaderText, STORED, WORKGROUP, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";
import { deviceItemSize } from "./transfer.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

function stored(slot: BufferSlot): string {
  return STORED[slot.dtype as keyof typeof STORED];
}

/** Statements that turn the linear number `linear` (u32) of a coordinate into the element numbers of several operands. */
function walk(rank: number, linear: string, operands: readonly string[]): string {
  const lines = operands.map((name) => `  var ${name}_at = params.${name};`);
  if (rank > 0) lines.push(`  var rest = ${linear};`);
  for (let d = rank - 1; d >= 0; d--) {
    lines.push(`  let c${d} = i32(rest % params.size${d});`, `  rest = rest / params.size${d};`);
    for (const name of operands) lines.push(`  ${name}_at += c${d} * params.${name}_stride${d};`);
  }
  return lines.join("\n");
}

function declareWalk(text: ShaderText, rank: number, operands: readonly string[], stepped: readonly string[]): void {
  for (let d = 0; d < rank; d++) text.field(`size${d}`, "u32");
  for (const name of operands) {
    text.field(name, "i32");
    for (let d = 0; d < rank; d++) text.field(`${name}_stride${d}`, "i32");
    if (stepped.includes(name)) text.field(`${name}_step`, "i32");
  }
}

const without = (list: readonly number[], d: number): number[] => list.filter((_, i) => i !== d);

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
    this.#compile(this.#isOrdered());
  }

  /** Whether entries that fall on one place combine in order. If not, any of them may stay. */
  #isOrdered(): boolean {
    const { mode, source } = this.structure.attrs;
    return mode !== "set" || (isDeterministic() && source !== "scalar");
  }

  #compile(ordered: boolean): Pipeline {
    const key = `${this.structure.key}${ordered ? "|ordered" : ""}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compiler.pipeline(key, () => renderScatter(key, this.structure, ordered));
      this.#pipelines.set(key, pipeline);
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
    const length = sizes[dim]!;
    const lineSizes = without(sizes, dim);
    const ordered = this.#isOrdered();
    const pipeline = this.#compile(ordered);
    const usual: ScatterPiece = {
      lineSizes,
      entries: length,
      place: 0,
      places: extent,
      sides,
      memory: slabs,
    };
    const most = maxVolume(this.#device.budget, SCATTER_UNITS);
    const each = product(lineSizes) * length * (ordered ? extent : 1);
    const pieces = isWhole(slabs, each, most) ? [usual] : this.#cut(usual, dim, slabs, most * (ordered ? 1 : extent));
    const record = (recorder: CallRecorder): void => {
      for (const piece of pieces) {
        const lines = product(piece.lineSizes);
        const grid = foldGrid(
          Math.ceil((lines * (ordered ? piece.places : piece.entries)) / WORKGROUP),
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
          if (sides.length === 2) {
            const type = valueType(this.structure.buffers[0]!.dtype);
            if (type === "f") w.f32(scalars[0]!);
            else if (type === "b") w.u32(Number(scalars[0] !== 0));
            else w.i32(scalars[0]!);
          }
        };
        const work = lines * piece.entries * (ordered ? piece.places : 1) * SCATTER_UNITS;
        recorder.dispatch(pipeline, bound(pipeline.shader, piece.memory, null), grid, tag, words, work);
      }
    };
    return { pipelines: [pipeline], scratch: false, record };
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

/** Renders a scatter, `ordered` where entries that fall on one place combine in order. */
export function renderScatter(key: string, structure: RoutineStructure, ordered: boolean): Shader {
  const [out, index, source] = structure.buffers as [BufferSlot, BufferSlot, BufferSlot | undefined];
  const mode = structure.attrs["mode"] as "set" | "add" | "prod" | "max" | "min";
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
  if (!ordered) {
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
  const combine = mode === "set" ? value : reducer(mode === "add" ? "sum" : mode, type).combine("value", value);
  const code = fillFrame(SHADERS.scatter, {
    size: WORKGROUP,
    index: indexElement,
    line: "at / params.places",
    place: "i32(at % params.places)",
    offsets,
    load: loadElement(out, "out_buffer[target_at]"),
    combine,
    store: storeElement(out, "value"),
  });
  return text.finish(key, code, true);
}

/** Rows from which on each is scanned by one invocation, and the length up to which one always is. */
const MANY_ROWS = 8192;
const SHORT_ROW = 64;
/** Work of an entry seen from a place, and of an element of a row, in units of the budget. */
const SCATTER_UNITS = 4;
const SCAN_UNITS = 16;
/** Neighbouring elements that a lane scans. */
const SCAN_ITEMS = 4;

/** See `scan` in kernel.ts. */
export class ScanProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly inPieces = true;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #pipelines = new Map<ScanVariant, Pipeline>();

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#compiler = compiler;
    this.#device = device;
  }

  warm(): void {
    // The sizes decide.
  }

  #pipeline(variant: ScanVariant): Pipeline {
    let pipeline = this.#pipelines.get(variant);
    if (pipeline === undefined) {
      const key = `${this.structure.key}|${variant}`;
      pipeline = this.#compiler.pipeline(key, () => renderScan(key, this.structure, variant));
      this.#pipelines.set(variant, pipeline);
    }
    return pipeline;
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const { ints } = data as RoutineData;
    const rank = this.structure.attrs["rank"] as number;
    const length = ints[0]!;
    const sizes = ints.slice(1, 1 + rank);
    const side = (at: number): ScanSide => ({
      step: ints[at]!,
      strides: ints.slice(at + 1, at + 1 + rank),
      offset: ints[at + 1 + rank]!,
    });
    const input = side(1 + rank);
    const out = side(3 + 2 * rank);
    const usual: ScanPiece = { sizes, length, input, out, memory: slabs };
    const allRows = product(sizes);
    const most = maxVolume(this.#device.budget, SCAN_UNITS);
    if (isWhole(slabs, allRows * length, most)) return this.#whole(usual, tag, allRows);
    const calls = this.#cut(usual, slabs, most).map((parts) =>
      parts.length === 1 ? this.#whole(parts[0]!, tag, allRows) : this.#inParts(parts, tag, allRows),
    );
    return {
      pipelines: [...new Set(calls.flatMap((c) => c.pipelines))],
      record: (recorder, scratch) => {
        for (const call of calls) call.record(recorder, scratch);
      },
    };
  }

  /** Rows that each lie in one buffer. The way of running, on which the bits depend, is chosen as for all rows of the call. */
  #whole(piece: ScanPiece, tag: number, allRows: number): PreparedCall {
    const chunk = this.#chunk(piece.length, allRows);
    const serial = allRows >= MANY_ROWS || piece.length <= SHORT_ROW || (this.#device.isSoftware && allRows >= 4);
    if (!serial && chunk < piece.length) return this.#inParts([piece], tag, allRows);
    const variant: ScanVariant = serial ? "rows" : "whole";
    const pipeline = this.#pipeline(variant);
    return {
      pipelines: [pipeline],
      scratch: false,
      record: (recorder) => this.#dispatch(variant, recorder, piece, null, { chunk, first: 0, all: 1 }, tag),
    };
  }

  /** Rows that are cut into chunks: of one piece, or of several that follow one another along the rows. */
  #inParts(pieces: readonly ScanPiece[], tag: number, allRows: number): PreparedCall {
    const rows = product(pieces[0]!.sizes);
    let all = 0;
    const placed = pieces.map((piece) => {
      const chunk = this.#chunk(piece.length, allRows * pieces.length);
      const first = all;
      all += Math.ceil(piece.length / chunk);
      return { piece, chunk, first };
    });
    const variants: readonly ScanVariant[] = ["totals", "carry", "chunks"];
    const record = (recorder: CallRecorder, scratch: Scratch): void => {
      const memory = scratch.take(4 * rows * all);
      const each = (variant: ScanVariant): void => {
        for (const { piece, chunk, first } of placed)
          this.#dispatch(variant, recorder, piece, memory, { chunk, first, all }, tag);
      };
      each("totals");
      const row = { ...pieces[0]!, length: all };
      const tile = WORKGROUP * SCAN_ITEMS;
      this.#dispatch("carry", recorder, row, memory, { chunk: Math.ceil(all / tile) * tile, first: 0, all: 1 }, tag);
      each("chunks");
      scratch.give(memory);
    };
    return { pipelines: variants.map((v) => this.#pipeline(v)), record };
  }

  /** Elements of a chunk of a row, such that there are enough workgroups. */
  #chunk(length: number, rows: number): number {
    const tile = WORKGROUP * SCAN_ITEMS;
    const wanted = Math.min(Math.ceil(length / (4 * tile)), Math.ceil((2 * this.#device.busyGroups) / rows));
    return Math.ceil(length / Math.max(wanted, 1) / tile) * tile;
  }

  #dispatch(
    variant: ScanVariant,
    recorder: CallRecorder,
    piece: ScanPiece,
    memory: Slab | null,
    { chunk, first, all }: { readonly chunk: number; readonly first: number; readonly all: number },
    tag: number,
  ): void {
    const pipeline = this.#pipeline(variant);
    const rows = product(piece.sizes);
    const chunks = Math.ceil(piece.length / chunk);
    const groups = variant === "rows" ? Math.ceil(rows / 64) : rows * chunks;
    const grid = foldGrid(groups, this.#device.maxGroupsPerDimension);
    const words = (w: WordWriter): void => {
      w.u32(rows);
      w.u32(piece.length);
      w.u32(chunk);
      w.u32(chunks);
      w.u32(first);
      w.u32(all);
      for (const size of piece.sizes) w.u32(size);
      for (const s of [piece.input, piece.out]) {
        w.i32(s.offset);
        for (const stride of s.strides) w.i32(stride);
        w.i32(s.step);
      }
    };
    const work = rows * piece.length * SCAN_UNITS;
    recorder.dispatch(pipeline, bound(pipeline.shader, piece.memory, memory), grid, tag, words, work);
  }

  /** Pieces of rows, and for each the pieces along the rows. */
  #cut(whole: ScanPiece, slabs: readonly Slab[], most: number): ScanPiece[][] {
    const sides = [whole.input, whole.out];
    const pieces = cutLoops({
      name: describeKernel(this.structure),
      outer: whole.sizes,
      inner: [whole.length],
      segmentBytes: this.#device.segmentBytes,
      maxVolume: most,
      accesses: sides.map(({ strides, step, offset }, slot) => ({
        slab: slabs[slot]!,
        itemBytes: deviceItemSize(this.structure.buffers[slot]!.dtype),
        offset,
        strides: [...strides, step],
      })),
      accepts: (rows, parts) => 64 * rows * parts <= this.#device.segmentBytes,
    });
    return pieces.map(({ sizes, inner }) =>
      inner.map(({ sizes: [length], offsets, segments }) => ({
        sizes,
        length: length!,
        input: { ...whole.input, offset: offsets[0]! },
        out: { ...whole.out, offset: offsets[1]! },
        memory: segments.map((s) => s!),
      })),
    );
  }
}

/** How the rows of a scan are walked. */
interface ScanSide {
  readonly step: number;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Rows, or a range along rows. */
interface ScanPiece {
  readonly sizes: readonly number[];
  readonly length: number;
  readonly input: ScanSide;
  readonly out: ScanSide;
  readonly memory: readonly Bindable[];
}

/**
 * `rows`: an invocation a row. `whole`: a workgroup a row. Long rows are cut into chunks: `totals` writes each chunk's total to
 * scratch memory, `carry` scans these along each row, `chunks` scans the chunks, each from its carry.
 */
export type ScanVariant = "rows" | "whole" | "totals" | "carry" | "chunks";

/** Renders a scan. */
export function renderScan(key: string, structure: RoutineStructure, variant: ScanVariant): Shader {
  const [input, out] = structure.buffers as [BufferSlot, BufferSlot];
  const rank = structure.attrs["rank"] as number;
  const type: ValueType = valueType(out.dtype) === "b" ? "i" : valueType(out.dtype);
  const how = reducer(structure.attrs["kind"] as "sum" | "prod" | "max" | "min", type);
  const text = new ShaderText();
  for (const name of ["rows", "length", "chunk", "chunks", "first_chunk", "all_chunks"]) text.field(name, "u32");
  declareWalk(text, rank, ["input", "out"], ["input", "out"]);
  if (variant !== "carry") text.bind("input_buffer", stored(input), 0, false);
  if (variant === "rows" || variant === "whole" || variant === "chunks") text.bind("out_buffer", stored(out), 1, true);
  const word = type === "f" ? "f32" : type === "u" ? "u32" : "i32";
  if (variant !== "rows" && variant !== "whole") text.bind("scratch", word, -1, variant !== "chunks");

  const element = loadElement(input, "input_buffer[input_at + i * params.input_step]");
  const inputType = valueType(input.dtype);
  const load =
    inputType === type
      ? element
      : inputType === "b"
        ? `select(${literal(0, type)}, ${literal(1, type)}, ${element})`
        : `${wgslType(type)}(${element})`;
  if (variant === "rows") {
    const code = fillFrame(SHADERS.scan_rows, {
      offsets: walk(rank, "row", ["input", "out"]),
      initial: how.initial,
      load,
      combine: how.combine("sum", "x"),
      store: storeElement(out, "sum"),
    });
    return text.finish(key, code, false);
  }
  const read = variant === "carry" ? "scratch[u32(i) + row * params.length]" : load;
  const write =
    variant === "carry"
      ? "scratch[u32(i) + row * params.length] = before;"
      : `out_buffer[out_at + i * params.out_step] = ${storeElement(out, "before")};`;
  const loads: string[] = [];
  const stores: string[] = [];
  for (let e = 0; e < SCAN_ITEMS; e++) {
    const at = e === 0 ? "begin" : `begin + ${e}u`;
    loads.push(
      `    var x${e} = ${how.initial};`,
      `    if (${at} < last) {`,
      `      let i = i32(${at});`,
      `      x${e} = ${read};`,
      "    }",
    );
    loads.push(e === 0 ? "    var total = x0;" : `    total = ${how.combine("total", `x${e}`)};`);
    stores.push(`    before = ${how.combine("before", `x${e}`)};`);
    stores.push(`    if (${at} < last) {`, `      let i = i32(${at});`, `      ${write}`, "    }");
  }
  const code = fillFrame(SHADERS.scan, {
    type: word,
    items: SCAN_ITEMS,
    offsets: variant === "carry" ? "" : walk(rank, "row", variant === "totals" ? ["input"] : ["input", "out"]),
    carry:
      variant === "chunks"
        ? `select(${how.initial}, scratch[row * params.all_chunks + max(params.first_chunk + chunk, 1u) - 1u], params.first_chunk + chunk > 0u)`
        : how.initial,
    load: loads.join("\n"),
    combine_sum: how.combine("sum", "x"),
    combine_before: how.combine("before", "x"),
    combine_carry: how.combine("carry", "x"),
    store: variant === "totals" ? "" : stores.join("\n"),
    finish:
      variant === "totals"
        ? "  if (live && local == 0u) { scratch[row * params.all_chunks + params.first_chunk + chunk] = carry; }"
        : "",
  });
  return text.finish(key, code, false);
}

/** See `copy` in kernel.ts. */
export class CopyProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly inPieces = true;
  readonly #segmentBytes: number;

  constructor(structure: RoutineStructure, device: DeviceFigures) {
    this.structure = structure;
    this.#segmentBytes = device.segmentBytes;
  }

  warm(): void {
    // Copies are commands, not shaders.
  }

  prepare(data: KernelData, slabs: readonly Slab[]): PreparedCall {
    const [elements, from, to] = (data as RoutineData).ints as [number, number, number];
    const [source, out] = slabs as [Slab, Slab];
    const record = (recorder: CallRecorder): void => {
      const size = this.#segmentBytes;
      let [reads, writes, left] = [from * 4, to * 4, elements * 4];
      while (left > 0) {
        const [at, target] = [reads % size, writes % size];
        const bytes = Math.min(left, size - at, size - target);
        const piece = source.segments[Math.floor(reads / size)]!;
        recorder.copy(piece.gpu, at, out.segments[Math.floor(writes / size)]!.gpu, target, bytes);
        reads += bytes;
        writes += bytes;
        left -= bytes;
      }
    };
    return { pipelines: [], scratch: false, record };
  }
}
