/** Rows to put in order: where their elements are, and numbers that have their order. */

import { valueType } from "../../graph/builder.ts";
import type { BufferSlot } from "../../graph/kernel.ts";
import { loadElement } from "./express.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Slab } from "./pool.ts";
import type { CallRecorder } from "./program.ts";
import type { ShaderText, WordWriter } from "./shader.ts";
import { stored } from "./strided.ts";

/** Rows to put in order. */
export interface SortRows {
  /** The buffer slot of the elements and its number among the kernel's. */
  readonly slot: BufferSlot;
  readonly binding: number;
  readonly length: number;
  readonly sizes: readonly number[];
  readonly step: number;
  readonly strides: readonly number[];
  readonly offset: number;
  readonly descending: boolean;
  /** How many positions of each row are wanted: its first ones in order. */
  readonly wanted: number;
  /**
   * If given, the elements are indices (int32) that have to be below it: an index out of range sets the status word and comes last, and
   * no more digits are sorted than there are.
   */
  readonly below?: number;
  /** Number of the slot (int32) that gets the order; null: it goes to the start of the scratch memory. */
  readonly target: number | null;
}

/** A sort whose shaders are chosen. */
export interface SortCall {
  readonly pipelines: readonly Pipeline[];
  /** Words of scratch memory that it needs. */
  readonly words: number;
  record(recorder: CallRecorder, slabs: readonly Slab[], memory: Slab | null, tag: number): void;
}

/** Bits in which keys differ. */
export function keyBits(rows: SortRows): number {
  if (rows.below !== undefined) return Math.max(32 - Math.clz32(rows.below), 1);
  return rows.slot.dtype === "bool" || rows.slot.dtype === "uint8" ? 8 : 32;
}

/** The function that gives a number whose order as u32 is the elements', NaN last (first if descending), -0 equal to 0. */
export function keyFunction(rows: SortRows): string {
  const type = valueType(rows.slot.dtype);
  const flip = rows.descending ? "~" : "";
  if (rows.below !== undefined)
    return [
      "fn sort_key(x: i32) -> u32 {",
      "  let key = min(bitcast<u32>(x), params.below);",
      "  if (key == params.below) { t_fault(); }",
      "  return key;",
      "}\n",
    ].join("\n");
  const mask = rows.slot.dtype === "bool" || rows.slot.dtype === "uint8" ? " & 255u" : "";
  if (type === "b") return `fn sort_key(x: bool) -> u32 { return ${flip}select(0u, 1u, x)${mask}; }\n`;
  if (type === "i" && mask !== "") return `fn sort_key(x: i32) -> u32 { return ${flip}bitcast<u32>(x)${mask}; }\n`;
  if (type === "i") return `fn sort_key(x: i32) -> u32 { return ${flip}(bitcast<u32>(x) ^ 0x80000000u); }\n`;
  return [
    "fn sort_key(x: f32) -> u32 {",
    "  let bits = bitcast<u32>(x);",
    "  let size = bits & 0x7fffffffu;",
    `  if (size > 0x7f800000u) { return ${flip}0xffffffffu; }`,
    "  let signed = select(bits, 0u, size == 0u);",
    `  return ${flip}select(signed | 0x80000000u, ~signed, signed >= 0x80000000u);`,
    "}\n",
  ].join("\n");
}

/** Declares where the elements are, as `writeInput` says it. */
export function declareInput(text: ShaderText, rows: SortRows): void {
  rows.sizes.forEach((_, d) => text.field(`size${d}`, "u32"));
  text.field("input", "i32");
  rows.strides.forEach((_, d) => text.field(`input_stride${d}`, "i32"));
  text.field("input_step", "i32");
  if (rows.below !== undefined) text.field("below", "u32");
  text.bind("input_buffer", stored(rows.slot), rows.binding, false);
}

export function writeInput(w: WordWriter, rows: SortRows): void {
  for (const size of rows.sizes) w.u32(size);
  w.i32(rows.offset);
  for (const stride of rows.strides) w.i32(stride);
  w.i32(rows.step);
  if (rows.below !== undefined) w.u32(rows.below);
}

/** Statements that find where row `row` begins. */
export function rowOffset(rows: SortRows): string {
  const lines = ["  var input_at = params.input;"];
  if (rows.sizes.length > 0) lines.push("  var rest = row;");
  for (let d = rows.sizes.length - 1; d >= 0; d--)
    lines.push(
      `  input_at += i32(rest % params.size${d}) * params.input_stride${d};`,
      `  rest = rest / params.size${d};`,
    );
  return lines.join("\n");
}

/** Element `i` of the row. */
export const element = (rows: SortRows): string =>
  `(${loadElement(rows.slot, "input_buffer[input_at + i32(i) * params.input_step]")})`;
