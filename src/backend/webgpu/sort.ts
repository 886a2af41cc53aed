/**
 * The order of rows of elements, stable, NaN last: short rows in shared memory, long ones by a radix sort of four bits at a time. Made
 * for the routine `sort` and for whatever else needs an order.
 */

import { valueType } from "../../graph/builder.ts";
import type { BufferSlot, KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import { loadElement } from "./express.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Slab } from "./pool.ts";
import {
  bound,
  type CallRecorder,
  type Compiler,
  type DeviceFigures,
  type DeviceProgram,
  type PreparedCall,
  type Scratch,
} from "./program.ts";
import { fillFrame, foldGrid, ShaderText, STORED, WORKGROUP, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";

/** Longest row that is sorted in shared memory. */
const SHORT = 2048;
/** Elements of a tile of the radix sort. */
const TILE = 1024;
/** Elements that a radix sort holds at a time, if rows allow. */
const BATCH = 2 ** 22;

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

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** Chooses how to sort. `prefix` makes the shaders' keys unique to the structure that they belong to. */
export function planSort(prefix: string, rows: SortRows, compiler: Compiler, device: DeviceFigures): SortCall {
  const count = product(rows.sizes);
  const order = rows.target === null ? count * rows.length : 0;
  return rows.length <= SHORT
    ? sortShort(prefix, rows, count, order, compiler, device)
    : sortLong(prefix, rows, count, order, compiler, device);
}

function sortShort(
  prefix: string,
  rows: SortRows,
  count: number,
  order: number,
  compiler: Compiler,
  device: DeviceFigures,
): SortCall {
  const { length } = rows;
  const batch = Math.max(1, Math.min(count, Math.floor(BATCH / Math.max(length, 1))));
  const keysName = `${prefix}|keys${rows.sizes.length}`;
  const keys = compiler.pipeline(keysName, () => renderKeys(keysName, rows, false));
  const name = `sort|rows${rows.target ?? ""}`;
  const pipeline = compiler.pipeline(name, () => renderShort(name, rows.target));
  let padded = 2;
  while (padded < length) padded *= 2;
  return {
    pipelines: [keys, pipeline],
    words: order + batch * length,
    record: (recorder, slabs, memory, tag) => {
      const run = (pipeline: Pipeline, groups: number, words: (w: WordWriter) => void): void =>
        recorder.dispatch(
          pipeline,
          bound(pipeline.shader, slabs, memory),
          foldGrid(groups, device.maxGroupsPerDimension),
          tag,
          words,
        );
      for (let first = 0; first < count; first += batch) {
        const here = Math.min(batch, count - first);
        run(keys, Math.ceil((here * length) / WORKGROUP), (w) => {
          for (const value of [here, first, length, order, 0]) w.u32(value);
          writeInput(w, rows);
        });
        run(pipeline, here, (w) => {
          for (const value of [here, first, length, padded, order]) w.u32(value);
        });
      }
    },
  };
}

function sortLong(
  prefix: string,
  rows: SortRows,
  count: number,
  order: number,
  compiler: Compiler,
  device: DeviceFigures,
): SortCall {
  const { length } = rows;
  const tiles = Math.ceil(length / TILE);
  const batch = Math.max(1, Math.min(count, Math.floor(BATCH / length)));
  const held = batch * length;
  const passes = Math.ceil(keyBits(rows) / 4);
  const get = (key: string, render: (key: string) => Shader): Pipeline => compiler.pipeline(key, () => render(key));
  const keys = get(`${prefix}|keys and places${rows.sizes.length}`, (key) => renderKeys(key, rows, true));
  const tally = get("sort|count", (key) => renderStep(key, SHADERS.sort_count));
  const scan = get("sort|scan", (key) => renderStep(key, SHADERS.sort_scan));
  const move = get("sort|move", (key) => renderMove(key, "keys"));
  const last = get(`sort|last${rows.target ?? ""}`, (key) => renderMove(key, rows.target));
  const region = (i: number): number => order + i * held;
  const counts = region(4);
  const record: SortCall["record"] = (recorder, slabs, memory, tag) => {
    const run = (pipeline: Pipeline, groups: number, words: (w: WordWriter) => void): void =>
      recorder.dispatch(
        pipeline,
        bound(pipeline.shader, slabs, memory),
        foldGrid(groups, device.maxGroupsPerDimension),
        tag,
        words,
      );
    for (let first = 0; first < count; first += batch) {
      const here = Math.min(batch, count - first);
      run(keys, Math.ceil((here * length) / WORKGROUP), (w) => {
        for (const value of [here, first, length, region(0), region(2)]) w.u32(value);
        writeInput(w, rows);
      });
      for (let pass = 0; pass < passes; pass++) {
        const [from, to] = pass % 2 === 0 ? [0, 1] : [1, 0];
        const isLast = pass === passes - 1;
        const words = (w: WordWriter): void => {
          for (const value of [here, length, tiles, pass * 4, counts]) w.u32(value);
          for (const value of [region(from), region(2 + from), region(to), region(2 + to)]) w.u32(value);
          w.u32(first);
        };
        run(tally, here * tiles, words);
        run(scan, here, words);
        run(isLast ? last : move, here * tiles, words);
      }
    }
  };
  return { pipelines: [keys, tally, scan, move, last], words: counts + batch * 16 * tiles, record };
}

function stored(slot: BufferSlot): string {
  return STORED[slot.dtype as keyof typeof STORED];
}

/** Bits in which keys differ. */
function keyBits(rows: SortRows): number {
  if (rows.below !== undefined) return Math.max(32 - Math.clz32(rows.below), 1);
  return rows.slot.dtype === "bool" || rows.slot.dtype === "uint8" ? 8 : 32;
}

/** The function that gives a number whose order as u32 is the elements', NaN last (first if descending), -0 equal to 0. */
function keyFunction(rows: SortRows): string {
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

function declareInput(text: ShaderText, rows: SortRows): void {
  rows.sizes.forEach((_, d) => text.field(`size${d}`, "u32"));
  text.field("input", "i32");
  rows.strides.forEach((_, d) => text.field(`input_stride${d}`, "i32"));
  text.field("input_step", "i32");
  if (rows.below !== undefined) text.field("below", "u32");
  text.bind("input_buffer", stored(rows.slot), rows.binding, false);
}

function writeInput(w: WordWriter, rows: SortRows): void {
  for (const size of rows.sizes) w.u32(size);
  w.i32(rows.offset);
  for (const stride of rows.strides) w.i32(stride);
  w.i32(rows.step);
  if (rows.below !== undefined) w.u32(rows.below);
}

/** Statements that find where row `row` begins. */
function rowOffset(rows: SortRows): string {
  const lines = ["  var input_at = params.input;"];
  if (rows.sizes.length > 0) lines.push("  var rest = row;");
  for (let d = rows.sizes.length - 1; d >= 0; d--)
    lines.push(
      `  input_at += i32(rest % params.size${d}) * params.input_stride${d};`,
      `  rest = rest / params.size${d};`,
    );
  return lines.join("\n");
}

const element = (rows: SortRows): string =>
  `(${loadElement(rows.slot, "input_buffer[input_at + i32(i) * params.input_step]")})`;

function renderShort(key: string, target: number | null): Shader {
  const text = new ShaderText();
  for (const name of ["rows", "first_row", "length", "padded", "keys"]) text.field(name, "u32");
  text.bind("scratch", "u32", -1, true);
  if (target !== null) text.bind("target_buffer", "i32", target, true);
  const write = target === null ? "scratch[at] = place;" : "target_buffer[at] = i32(place);";
  return text.finish(key, fillFrame(SHADERS.sort_rows, { write }), false);
}

function renderKeys(key: string, rows: SortRows, places: boolean): Shader {
  const text = new ShaderText();
  for (const name of ["rows", "first_row", "length", "keys", "places"]) text.field(name, "u32");
  declareInput(text, rows);
  text.bind("scratch", "u32", -1, true);
  const code = fillFrame(SHADERS.sort_keys, {
    key: keyFunction(rows),
    offsets: rowOffset(rows),
    load: element(rows),
    places: places ? "  scratch[params.places + at] = i;" : "",
  });
  return text.finish(key, code, rows.below !== undefined);
}

function passText(): ShaderText {
  const text = new ShaderText();
  for (const name of ["rows", "length", "tiles", "shift", "counts", "keys", "places", "to_keys", "to_places"])
    text.field(name, "u32");
  text.field("first_row", "u32");
  text.bind("scratch", "u32", -1, true);
  return text;
}

function renderStep(key: string, frame: string): Shader {
  return passText().finish(key, frame, false);
}

/** Moves keys and places on; in the last pass only places, to a slot or (null) to the start of the scratch memory. */
function renderMove(key: string, target: "keys" | number | null): Shader {
  const text = passText();
  let write: string;
  if (target === "keys")
    write = "      scratch[params.to_keys + base + to] = key;\n      scratch[params.to_places + base + to] = place;";
  else if (target === null) write = "      scratch[(params.first_row + row) * params.length + to] = place;";
  else {
    text.bind("target_buffer", "i32", target, true);
    write = "      target_buffer[(params.first_row + row) * params.length + to] = i32(place);";
  }
  return text.finish(key, fillFrame(SHADERS.sort_scatter, { write }), false);
}

/** See `sort` in kernel.ts. */
export class SortProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#compiler = compiler;
    this.#device = device;
  }

  warm(): void {
    // The length decides.
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const { ints } = data as RoutineData;
    const rank = this.structure.attrs["rank"] as number;
    const rows: SortRows = {
      slot: this.structure.buffers[0]!,
      binding: 0,
      length: ints[0]!,
      sizes: ints.slice(1, 1 + rank),
      step: ints[1 + rank]!,
      strides: ints.slice(2 + rank, 2 + 2 * rank),
      offset: ints[2 + 2 * rank]!,
      descending: this.structure.attrs["order"] === "descending",
      target: 1,
    };
    const call = planSort(this.structure.key, rows, this.#compiler, this.#device);
    const record = (recorder: CallRecorder, scratch: Scratch): void => {
      const memory = call.words > 0 ? scratch.take(4 * call.words) : null;
      call.record(recorder, slabs, memory, tag);
      if (memory !== null) scratch.give(memory);
    };
    return { pipelines: call.pipelines, record };
  }
}
