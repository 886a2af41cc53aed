/** Shader text for operands of any strides. */

import type { BufferSlot } from "../../graph/kernel.ts";
import { STORED, type ShaderText } from "./shader.ts";

/** WGSL type of a slot's elements. */
export function stored(slot: BufferSlot): string {
  return STORED[slot.dtype as keyof typeof STORED];
}

/** Statements that turn the linear number `linear` (u32) of a coordinate into the element numbers of several operands. */
export function walk(rank: number, linear: string, operands: readonly string[]): string {
  const lines = operands.map((name) => `  var ${name}_at = params.${name};`);
  if (rank > 0) lines.push(`  var rest = ${linear};`);
  for (let d = rank - 1; d >= 0; d--) {
    lines.push(`  let c${d} = i32(rest % params.size${d});`, `  rest = rest / params.size${d};`);
    for (const name of operands) lines.push(`  ${name}_at += c${d} * params.${name}_stride${d};`);
  }
  return lines.join("\n");
}

/** Declares the parameters that `walk` reads: sizes, then for each operand its offset and strides, and the step of the `stepped` ones. */
export function declareWalk(
  text: ShaderText,
  rank: number,
  operands: readonly string[],
  stepped: readonly string[],
): void {
  for (let d = 0; d < rank; d++) text.field(`size${d}`, "u32");
  for (const name of operands) {
    text.field(name, "i32");
    for (let d = 0; d < rank; d++) text.field(`${name}_stride${d}`, "i32");
    if (stepped.includes(name)) text.field(`${name}_step`, "i32");
  }
}
