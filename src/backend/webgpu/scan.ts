/** Running totals along a dimension. */

import type { KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import { classOf, digest } from "./choices.ts";
import { describeKernel } from "./describe.ts";
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
import {
  renderScan,
  scanFormName,
  scanRows,
  scanTile,
  type ScanForm,
  type ScanPass,
  type WideScan,
} from "./scan-shader.ts";
import { foldGrid, type WordWriter } from "./shader.ts";
import { deviceItemSize } from "./transfer.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** Rows side by side from which on each is scanned by one invocation, and the length up to which one always is. */
const MANY_ROWS = 8192;
const SHORT_ROW = 64;
/** The same where neighbouring rows lie apart, so that each invocation's loads are by themselves. */
const SHORT_APART = 16;
/** Rows up to which they are not taken side by side, and those from which on many are. */
const FEW_ROWS = 4;
const WIDE_ROWS = 32;
/** Work of an element of a row, in units of the budget. */
const SCAN_UNITS = 16;

/** How a scan is run. */
interface Way {
  readonly form: ScanForm;
  /** Whether rows are cut, where there would be too few workgroups. */
  readonly chunked: boolean;
}

/** Text that tells ways apart. */
export function scanWayName({ form, chunked }: Way): string {
  return scanFormName(form) + (chunked ? "/" : "");
}

/** See `scan` in kernel.ts. */
export class ScanProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly inPieces = true;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #pipelines = new Map<string, Pipeline>();
  #digest: string | null = null;

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#compiler = compiler;
    this.#device = device;
  }

  warm(): void {
    // The sizes decide.
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
    const call: Scan = { tag, rows: product(sizes), length, aligned: isAligned(usual) };
    const way = this.#way(call);
    const most = maxVolume(this.#device.budget, SCAN_UNITS);
    if (isWhole(slabs, call.rows * length, most)) return this.#whole(usual, call, way);
    const calls = this.#cut(usual, slabs, most).map((parts) =>
      parts.length === 1 ? this.#whole(parts[0]!, call, way) : this.#inParts(parts, call, way),
    );
    return {
      pipelines: [...new Set(calls.flatMap((c) => c.pipelines))],
      record: (recorder, scratch) => {
        for (const one of calls) one.record(recorder, scratch);
      },
    };
  }

  /** Rows that each lie in one buffer. The way of running, on which the bits depend, is chosen as for all rows of the call. */
  #whole(piece: ScanPiece, call: Scan, { form, chunked }: Way): PreparedCall {
    const chunk = chunked ? this.#chunk(form, piece.length, call.rows) : wholeChunk(form, piece.length);
    if (chunk < piece.length && form.kind !== "serial") return this.#inParts([piece], call, { form, chunked });
    const pipeline = this.#pipeline(form, "whole", piece);
    return {
      pipelines: [pipeline],
      scratch: false,
      record: (recorder) =>
        this.#dispatch(pipeline, form, recorder, piece, null, { chunk, first: 0, all: 1 }, call.tag),
    };
  }

  /** Rows that are cut into chunks: of one piece, or of several that follow one another along the rows. */
  #inParts(pieces: readonly ScanPiece[], call: Scan, way: Way): PreparedCall {
    const form = way.form.kind === "serial" ? this.#parallel(call) : way.form;
    const rows = product(pieces[0]!.sizes);
    let all = 0;
    const placed = pieces.map((piece) => {
      const chunk = this.#chunk(form, piece.length, call.rows * pieces.length);
      const first = all;
      all += Math.ceil(piece.length / chunk);
      return {
        piece,
        chunk,
        first,
        totals: this.#pipeline(form, "totals", piece),
        chunks: this.#pipeline(form, "chunks", piece),
      };
    });
    const carryForm = this.#rowForm(all, form.kind === "rows" ? form.subgroup : this.#device.subgroup);
    const carry = this.#pipeline(carryForm, "carry", null);
    const record = (recorder: CallRecorder, scratch: Scratch): void => {
      const memory = scratch.take(4 * rows * all);
      const each = (pass: "totals" | "chunks"): void => {
        for (const { piece, chunk, first, ...pipelines } of placed)
          this.#dispatch(pipelines[pass], form, recorder, piece, memory, { chunk, first, all }, call.tag);
      };
      each("totals");
      const row = { ...pieces[0]!, length: all };
      const place = { chunk: wholeChunk(carryForm, all), first: 0, all: 1 };
      this.#dispatch(carry, carryForm, recorder, row, memory, place, call.tag);
      each("chunks");
      scratch.give(memory);
    };
    return { pipelines: [...new Set([...placed.flatMap((p) => [p.totals, p.chunks]), carry])], record };
  }

  /** By what was measured, or else by rule. */
  #way(call: Scan): Way {
    return this.#device.choices.pick<Way>({
      key: () => {
        const sizes = `${classOf(call.rows)},${classOf(call.length)}`;
        return `scan ${(this.#digest ??= digest(this.structure.key))} ${call.aligned ? "o" : "i"} ${sizes}`;
      },
      usual: this.#usual(call),
      all: () => this.#ways(call),
      name: scanWayName,
    });
  }

  #usual(call: Scan): Way {
    const { rows, length, aligned } = call;
    const { isSoftware } = this.#device;
    // Barriers are dear where lanes are emulated.
    const serial = isSoftware
      ? rows >= FEW_ROWS || length <= SHORT_ROW
      : aligned
        ? rows >= MANY_ROWS || length <= SHORT_ROW
        : length <= SHORT_APART;
    if (serial) return { form: { kind: "serial" }, chunked: false };
    const form = this.#parallel(call);
    return { form, chunked: this.#chunk(form, length, rows) < length };
  }

  /** How several lanes share a row. */
  #parallel({ rows, length, aligned }: Scan): Exclude<ScanForm, { kind: "serial" }> {
    if (aligned && rows > FEW_ROWS) return { kind: "columns", across: rows >= WIDE_ROWS ? 32 : 8 };
    return this.#rowForm(length, this.#device.subgroup);
  }

  #rowForm(length: number, subgroup: number): Extract<ScanForm, { kind: "rows" }> {
    const lanes = ([16, 64] as const).find((n) => length <= scanTile({ kind: "rows", lanes: n, subgroup }));
    return { kind: "rows", lanes: lanes ?? 256, subgroup };
  }

  /** All ways that are worth a measurement. */
  #ways(call: Scan): Way[] {
    const { rows, length, aligned } = call;
    const usual = this.#usual(call);
    const forms: ScanForm[] = [];
    if (rows >= 256 || length <= SHORT_ROW) forms.push({ kind: "serial" });
    if (aligned && rows >= 16) forms.push({ kind: "columns", across: 32 });
    if (aligned && rows > FEW_ROWS) forms.push({ kind: "columns", across: 8 });
    for (const subgroup of new Set([this.#device.subgroup, 1]))
      for (const lanes of [16, 64, 256] as const) {
        const tile = scanTile({ kind: "rows", lanes, subgroup });
        if (tile < 4 * length && (length <= 8 * tile || lanes === 256)) forms.push({ kind: "rows", lanes, subgroup });
      }
    const ways = forms.flatMap((form): Way[] => {
      const cut = form.kind !== "serial" && this.#chunk(form, length, rows) < length;
      return [{ form, chunked: false }, ...(cut ? [{ form, chunked: true }] : [])];
    });
    const name = scanWayName(usual);
    return [usual, ...ways.filter((way) => scanWayName(way) !== name)];
  }

  /** Elements of a chunk of a row, such that there are enough workgroups. */
  #chunk(form: ScanForm, length: number, rows: number): number {
    const tile = scanTile(form);
    const groups = Math.ceil(rows / scanRows(form));
    const wanted = Math.min(Math.ceil(length / (4 * tile)), Math.ceil((2 * this.#device.busyGroups) / groups));
    return Math.ceil(length / Math.max(wanted, 1) / tile) * tile;
  }

  /** `piece` is null for chunks' totals. */
  #pipeline(form: ScanForm, pass: ScanPass, piece: ScanPiece | null): Pipeline {
    const wide: WideScan = {
      input: piece !== null && form.kind === "rows" && isInFours(piece, piece.input),
      out: piece !== null && form.kind === "rows" && pass !== "totals" && isInFours(piece, piece.out),
    };
    const name = `${scanFormName(form)}${pass}${wide.input ? "I" : ""}${wide.out ? "O" : ""}`;
    let pipeline = this.#pipelines.get(name);
    if (pipeline === undefined) {
      const key = `${this.structure.key}|${name}`;
      pipeline = this.#compiler.pipeline(key, () => renderScan(key, this.structure, form, pass, wide));
      this.#pipelines.set(name, pipeline);
    }
    return pipeline;
  }

  #dispatch(
    pipeline: Pipeline,
    form: ScanForm,
    recorder: CallRecorder,
    piece: ScanPiece,
    memory: Slab | null,
    { chunk, first, all }: { readonly chunk: number; readonly first: number; readonly all: number },
    tag: number,
  ): void {
    const rows = product(piece.sizes);
    const chunks = Math.ceil(piece.length / chunk);
    const grid = foldGrid(Math.ceil(rows / scanRows(form)) * chunks, this.#device.maxGroupsPerDimension);
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

/** What decides how a call is run. */
interface Scan {
  readonly tag: number;
  readonly rows: number;
  readonly length: number;
  /** Whether neighbours of neighbouring rows lie closer together than neighbours of a row, on both sides. */
  readonly aligned: boolean;
}

function isAligned({ sizes, input, out }: ScanPiece): boolean {
  const last = sizes.findLastIndex((size) => size > 1);
  return last >= 0 && [input, out].every((s) => Math.abs(s.strides[last]!) < Math.abs(s.step));
}

/** Whether a side is made of groups of four neighbours along the rows. */
function isInFours({ sizes, length }: ScanPiece, { step, strides, offset }: ScanSide): boolean {
  return step === 1 && [length, offset, ...strides.filter((_, d) => sizes[d] !== 1)].every((n) => n % 4 === 0);
}

/** A chunk that is a whole row. */
function wholeChunk(form: ScanForm, length: number): number {
  const tile = scanTile(form);
  return Math.ceil(length / tile) * tile;
}
