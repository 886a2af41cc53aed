/** The ways of running a fused kernel, what they are bound to, and their parameters. */

import type { FusedData, FusedStructure } from "../../graph/kernel.ts";
import { WORKGROUP, type ShaderText, type WordWriter } from "./shader.ts";

/**
 * How a fused kernel is run.
 *
 * - `map`: an invocation a row; for kernels without inner dimensions.
 * - `rows`: `lanes` invocations a row, 256 / lanes rows a workgroup; the lanes' partial results are combined in shared
 *   memory. Lanes are neighbours in the workgroup (`lanesFirst`, where inner coordinates are contiguous in memory), or rows are.
 * - `chunks`, `gather`: for few, long rows each phase is two dispatches: workgroups accumulate chunks of rows to scratch
 *   memory, then the partial results are combined, one workgroup a row. The last `gather` also does the row-level stores.
 * - `finish`: the full stores that follow.
 * - `settle`: the row-level stores by themselves, where the last `gather` may not do them (`stores` is false there): what they
 *   overwrite is loaded by `finish`.
 *
 * The chunks of a row may be those of several pieces of the inner loops: `moved` ones count positions in the whole.
 */
export type Variant =
  | { readonly kind: "map" | "finish" | "settle" }
  | { readonly kind: "rows"; readonly lanes: number; readonly lanesFirst: boolean }
  | { readonly kind: "chunks"; readonly phase: number; readonly moved: boolean }
  | { readonly kind: "gather"; readonly phase: number; readonly stores: boolean };

/** Text that tells variants of a structure apart. */
export function variantKey(v: Variant): string {
  switch (v.kind) {
    case "rows":
      return `rows${v.lanes}${v.lanesFirst ? "" : "t"}`;
    case "chunks":
      return `chunks${v.phase}${v.moved ? "m" : ""}`;
    case "gather":
      return `gather${v.phase}${v.stores ? "" : "n"}`;
    default:
      return v.kind;
  }
}

/**
 * Which binding each access goes to. Bindings have numbers: those of the slots, where a kernel's memory is bound as a whole.
 */
export interface Layout {
  /** Empty for the usual layout; else what tells this one apart. */
  readonly key: string;
  /** Binding of each access (-1 for numbers that are no address). */
  readonly accesses: readonly number[];
  /** Bindings of each slot where it is read at computed positions, in order. */
  readonly tables: readonly (readonly number[])[];
  /** Bytes of each binding but the last of a table. */
  readonly segmentBytes: number;
}

/** The layout in which slot s is bound as `places[s]`: as itself, or as an earlier slot that is the same memory. */
export function wholeLayout(structure: FusedStructure, places: readonly number[]): Layout {
  return {
    key: places.some((p, slot) => p !== slot) ? places.join(",") : "",
    accesses: structure.accesses.map(({ buffer }) => (buffer < 0 ? -1 : places[buffer]!)),
    tables: places.map((place) => [place]),
    segmentBytes: 0,
  };
}

/** Run-time figures of a variant beyond the kernel's own data. */
export interface Figures {
  readonly rows: number;
  readonly cols: number;
  /** Columns of one chunk, and number of chunks a row. */
  readonly chunk: number;
  readonly chunks: number;
  /** Number of the first of these among all chunks of a row, and how many there are in all. */
  readonly firstChunk: number;
  readonly allChunks: number;
  /** Where the columns of a moved piece begin in the whole, and the steps of its inner coordinates there. */
  readonly position: number;
  readonly positionSteps: readonly number[];
  /** Terms that a float sum adds up before it adds them to its total. */
  readonly block: number;
}

/** Invocations of a workgroup of a variant. */
export function workgroupSize(v: Variant): number {
  return v.kind === "rows" && v.lanes === 1 ? 64 : WORKGROUP;
}

/** Declares the parameters of a structure's body: sizes, accesses and scalars. */
export function declareBody(text: ShaderText, structure: FusedStructure): void {
  for (let d = 0; d < structure.outerRank; d++) text.field(`o${d}`, "u32");
  for (let d = 0; d < structure.innerRank; d++) text.field(`n${d}`, "u32");
  structure.accesses.forEach(({ classes }, access) => {
    text.field(`a${access}`, "i32");
    for (let d = 0; d < classes.length; d++) if (classes[d] === "s") text.field(`a${access}s${d}`, "i32");
  });
  structure.scalars.forEach((type, slot) =>
    text.field(`x${slot}`, type === "f" ? "f32" : type === "i" ? "i32" : "u32"),
  );
}

/** Writes the parameters after the common header, in the order in which `FusedText` declares them. */
export function writeFusedWords(
  w: WordWriter,
  structure: FusedStructure,
  data: FusedData,
  figures: Figures,
  variant: Variant,
): void {
  w.u32(figures.rows);
  w.u32(figures.cols);
  w.u32(figures.chunk);
  w.u32(figures.chunks);
  w.u32(figures.firstChunk);
  w.u32(figures.allChunks);
  w.u32(figures.block);
  if (variant.kind === "chunks" && variant.moved) {
    w.i32(figures.position);
    for (const step of figures.positionSteps) w.i32(step);
  }
  writeBodyWords(w, structure, data);
}

/** Writes sizes, accesses and scalars, in the order of `declareBody`. */
export function writeBodyWords(w: WordWriter, structure: FusedStructure, data: FusedData): void {
  for (const n of data.outer) w.u32(n);
  for (const n of data.inner) w.u32(n);
  structure.accesses.forEach(({ classes }, access) => {
    w.i32(data.offsets[access]!);
    const strides = data.strides[access]!;
    for (let d = 0; d < classes.length; d++) if (classes[d] === "s") w.i32(strides[d]!);
  });
  structure.scalars.forEach((type, slot) => {
    const value = data.scalars[slot]!;
    if (type === "f") w.f32(value);
    else if (type === "i") w.i32(value);
    else w.u32(type === "b" ? Number(value !== 0) : value);
  });
}
