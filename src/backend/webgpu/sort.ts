/**
 * The order of rows of elements, stable, NaN last: short rows in shared memory, long ones by a radix sort of four bits at a time. Made
 * for the routine `sort` and for whatever else needs an order.
 */

import type { KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
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
import { planSelection } from "./select.ts";
import { fillFrame, foldGrid, ShaderText, WORKGROUP, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";
import {
  declareInput,
  element,
  keyBits,
  keyFunction,
  rowOffset,
  writeInput,
  type SortCall,
  type SortRows,
} from "./sort-keys.ts";

/** Longest row that is sorted in shared memory. */
export const SHORT = 2048;
/** Elements of a tile of the radix sort. */
const TILE = 1024;
/** Elements that a radix sort holds at a time, if rows allow. */
const BATCH = 2 ** 22;

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** Chooses how to sort. `prefix` makes the shaders' keys unique to the structure that they belong to. */
export function planSort(prefix: string, rows: SortRows, compiler: Compiler, device: DeviceFigures): SortCall {
  const count = product(rows.sizes);
  const order = rows.target === null ? count * rows.wanted : 0;
  if (rows.length <= SHORT) return sortShort(prefix, rows, count, order, compiler, device);
  if (rows.wanted <= SHORT) return planSelection(prefix, rows, compiler, device);
  return sortLong(prefix, rows, count, order, compiler, device);
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
          for (const value of [here, first, length, rows.wanted, padded, order]) w.u32(value);
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
  const scan = get("sort|scan", (key) => renderStep(key, fillFrame(SHADERS.sort_scan, { digits: 16 })));
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
          w.u32(rows.wanted);
        };
        run(tally, here * tiles, words);
        run(scan, here, words);
        run(isLast ? last : move, here * tiles, words);
      }
    }
  };
  return { pipelines: [keys, tally, scan, move, last], words: counts + batch * 16 * tiles, record };
}

function renderShort(key: string, target: number | null): Shader {
  const text = new ShaderText();
  for (const name of ["rows", "first_row", "length", "wanted", "padded", "keys"]) text.field(name, "u32");
  text.bind("scratch", "u32", -1, true);
  if (target !== null) text.bind("target_buffer", "i32", target, true);
  const write = target === null ? "scratch[at] = place;" : "target_buffer[at] = i32(place);";
  return text.finish(key, fillFrame(SHADERS.sort_rows, { write, place: "places[i]" }), false);
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
  for (const name of ["first_row", "wanted"]) text.field(name, "u32");
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
  else {
    const at = "(params.first_row + row) * params.wanted + to";
    if (target !== null) text.bind("target_buffer", "i32", target, true);
    const store = target === null ? `scratch[${at}] = place;` : `target_buffer[${at}] = i32(place);`;
    write = `      if (to < params.wanted) { ${store} }`;
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
      wanted: ints[3 + 2 * rank] ?? ints[0]!,
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
