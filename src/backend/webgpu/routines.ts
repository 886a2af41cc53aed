/** Running totals, and copies. */

import { valueType } from "../../graph/builder.ts";
import type { BufferSlot, KernelData, RoutineData, RoutineStructure, ValueType } from "../../graph/kernel.ts";
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
import { fillFrame, foldGrid, ShaderText, WORKGROUP, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";
import { declareWalk, stored, walk } from "./strided.ts";
import { deviceItemSize } from "./transfer.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** Rows from which on each is scanned by one invocation, and the length up to which one always is. */
const MANY_ROWS = 8192;
const SHORT_ROW = 64;
/** Work of an element of a row, in units of the budget. */
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
