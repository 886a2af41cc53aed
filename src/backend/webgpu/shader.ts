/** What a rendered shader is, and the parts that all of them share. */

import type { DType } from "../../dtype.ts";
import { libraryFor } from "./library.ts";

/** A storage buffer that a shader binds: a slot of its kernel, or (-1) scratch memory. */
export interface Binding {
  readonly slot: number;
  readonly writes: boolean;
}

/** A shader and how to bind it. Group 0 holds the parameters (where they are no immediates) and the status word, group 1 the buffers in order. */
export interface Shader {
  /** Same key, same code. */
  readonly key: string;
  readonly code: string;
  readonly bindings: readonly Binding[];
  readonly usesStatus: boolean;
  /** 4-byte words of its parameters. */
  readonly words: number;
}

/** WGSL type in which an element is stored: bool and uint8 take a word each. */
export const STORED: Readonly<Record<Exclude<DType, "float64">, string>> = {
  float32: "f32",
  float16: "f16",
  int32: "i32",
  uint8: "u32",
  bool: "u32",
};

/** Invocations of a workgroup. */
export const WORKGROUP = 256;

/**
 * The words that every kernel's parameters begin with. Infinity and NaN come as data, because WGSL refuses them as constants and a
 * compiler that knew them could fold what depends on them.
 */
const HEADER = ["inf: u32", "nan: u32", "tag: u32"];

const UNIFORM_PARAMS = "@group(0) @binding(0) var<uniform> params: Params;\n";

/** Name of WGSL's extension by which parameters need no buffer. */
export const IMMEDIATES = "immediate_address_space";

/** The text of a shader whose parameters are immediates. */
export function withImmediates(code: string): string {
  return `requires ${IMMEDIATES};\n${code.replace(UNIFORM_PARAMS, "var<immediate> params: Params;\n")}`;
}

/** Builds a shader's text: parameters, bindings, the library functions used, and the body. */
export class ShaderText {
  readonly #fields: string[] = [...HEADER];
  readonly #bindings: Binding[] = [];
  readonly #declarations: string[] = [];
  #halfs = false;

  /** Adds a parameter of a 4-byte type. */
  field(name: string, type: "u32" | "i32" | "f32"): void {
    this.#fields.push(`${name}: ${type}`);
  }

  /** Adds a storage buffer in group 1. */
  bind(name: string, element: string, slot: number, writes: boolean): void {
    if (element.includes("f16")) this.#halfs = true;
    const access = writes ? "read_write" : "read";
    const place = `@group(1) @binding(${this.#bindings.length})`;
    this.#declarations.push(`${place} var<storage, ${access}> ${name}: array<${element}>;`);
    this.#bindings.push({ slot, writes });
  }

  /** The whole: `code` holds the entry point `main`. */
  finish(key: string, code: string, usesStatus: boolean): Shader {
    const fields = this.#fields.map((f) => `  ${f},\n`).join("");
    const status = usesStatus ? "@group(0) @binding(1) var<storage, read_write> status: atomic<u32>;\n" : "";
    const text =
      (this.#halfs || code.includes("t_to_half(") ? "enable f16;\n" : "") +
      (code.includes("subgroupShuffle") ? "enable subgroups;\n" : "") +
      `struct Params {\n${fields}}\n` +
      UNIFORM_PARAMS +
      status +
      this.#declarations.map((d) => `${d}\n`).join("") +
      libraryFor(code) +
      code;
    return { key, code: text, bindings: this.#bindings, usesStatus, words: this.#fields.length };
  }
}

/** Fills the holes `{{name}}` of a frame. Every hole must be given, every value used. */
export function fillFrame(frame: string, values: Readonly<Record<string, string | number>>): string {
  const unused = new Set(Object.keys(values));
  const text = frame.replace(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`a shader frame's hole {{${name}}} was not filled`);
    unused.delete(name);
    return String(value);
  });
  if (unused.size > 0) throw new Error(`a shader frame has no hole for ${[...unused].join(", ")}`);
  return text;
}

/**
 * Workgroup counts in x and y that hold `groups` workgroups; a shader finds its number as `id.y * count.x + id.x`, and may be run a
 * few times beyond the last.
 */
export function foldGrid(groups: number, maxPerDimension: number): readonly [number, number] {
  const y = Math.ceil(groups / maxPerDimension);
  return [Math.ceil(groups / Math.max(y, 1)), Math.max(y, 1)];
}

/** Receives a call's parameters, word by word, in the order of the shader's fields. */
export interface WordWriter {
  i32(value: number): void;
  u32(value: number): void;
  f32(value: number): void;
}
