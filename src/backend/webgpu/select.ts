/**
 * The first elements of long rows in order, without sorting the rows: the key of the last one that is wanted is found digit by digit from
 * counts, then what comes before it is collected and put in order by itself.
 */

import type { Pipeline } from "./pipelines.ts";
import { bound, type Compiler, type DeviceFigures } from "./program.ts";
import { fillFrame, foldGrid, ShaderText, type Shader, type WordWriter } from "./shader.ts";
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

/** Elements that a workgroup counts, and those of which it collects what is wanted. */
const COUNTED = 4096;
const TILE = 1024;
/** Bits of a digit. */
const DIGIT = 8;
/** Words of scratch memory that rows share at a time, if they are many. */
const BATCH = 2 ** 24;

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

const FIELDS = [
  "rows",
  "first_row",
  "length",
  "wanted",
  "tile",
  "tiles",
  "mask",
  "shift",
  "state",
  "counts",
  "sums",
  "list_keys",
  "list_places",
] as const;

/** Chooses how to select. No more may be wanted than what is sorted in shared memory. `prefix` as for `planSort`. */
export function planSelection(prefix: string, rows: SortRows, compiler: Compiler, device: DeviceFigures): SortCall {
  const { length, wanted } = rows;
  const count = product(rows.sizes);
  const tiles = Math.ceil(length / TILE);
  const each = 2 + 256 + 2 * tiles + 2 * wanted;
  const batch = Math.max(1, Math.min(count, Math.floor(BATCH / each)));
  const order = rows.target === null ? count * wanted : 0;
  const state = order;
  const counts = state + 2 * batch;
  const sums = counts + 256 * batch;
  const listKeys = sums + 2 * tiles * batch;
  const listPlaces = listKeys + wanted * batch;
  let padded = 2;
  while (padded < wanted) padded *= 2;

  const get = (key: string, render: (key: string) => Shader): Pipeline => compiler.pipeline(key, () => render(key));
  const own = (name: string): string => `${prefix}|${name}${rows.sizes.length}`;
  const init = get("select|init", (key) => renderPlain(key, SHADERS.select_init));
  const counting = get(own("select count"), (key) => renderReading(key, SHADERS.select_count, rows, "atomic<u32>"));
  const digit = get("select|digit", (key) => renderPlain(key, SHADERS.select_digit));
  const tally = get(own("select tally"), (key) => renderReading(key, SHADERS.select_tally, rows, "u32"));
  const scan = get("select|scan", renderScan);
  const move = get(own("select move"), (key) => renderReading(key, SHADERS.select_move, rows, "u32"));
  const sort = get(`select|sort${rows.target ?? ""}`, (key) => renderSort(key, rows.target));

  const record: SortCall["record"] = (recorder, slabs, memory, tag) => {
    for (let first = 0; first < count; first += batch) {
      const here = Math.min(batch, count - first);
      const run = (pipeline: Pipeline, groups: number, words: (w: WordWriter) => void): void => {
        const grid = foldGrid(groups, device.maxGroupsPerDimension);
        recorder.dispatch(pipeline, bound(pipeline.shader, slabs, memory), grid, tag, words);
      };
      const fields =
        (tile: number, shift: number, reads: boolean) =>
        (w: WordWriter): void => {
          const mask = shift + DIGIT >= 32 ? 0 : (0xffffffff << (shift + DIGIT)) >>> 0;
          for (const value of [here, first, length, wanted, tile, Math.ceil(length / tile), mask, shift]) w.u32(value);
          for (const value of [state, counts, sums, listKeys, listPlaces]) w.u32(value);
          if (reads) writeInput(w, rows);
        };
      run(init, here, fields(TILE, 0, false));
      for (let shift = keyBits(rows) - DIGIT; shift >= 0; shift -= DIGIT) {
        run(counting, here * Math.ceil(length / COUNTED), fields(COUNTED, shift, true));
        run(digit, here, fields(COUNTED, shift, false));
      }
      run(tally, here * tiles, fields(TILE, 0, true));
      run(scan, here, (w) => {
        for (const value of [here, tiles, sums]) w.u32(value);
      });
      run(move, here * tiles, fields(TILE, 0, true));
      run(sort, here, (w) => {
        for (const value of [here, first, wanted, wanted, padded, listKeys, listPlaces]) w.u32(value);
      });
    }
  };
  return { pipelines: [init, counting, digit, tally, scan, move, sort], words: order + batch * each, record };
}

function renderPlain(key: string, frame: string): Shader {
  const text = new ShaderText();
  for (const name of FIELDS) text.field(name, "u32");
  text.bind("scratch", "u32", -1, true);
  return text.finish(key, frame, false);
}

/** A step that reads the elements. */
function renderReading(key: string, frame: string, rows: SortRows, word: string): Shader {
  const text = new ShaderText();
  for (const name of FIELDS) text.field(name, "u32");
  declareInput(text, rows);
  text.bind("scratch", word, -1, true);
  const code = fillFrame(frame, { key: keyFunction(rows), offsets: rowOffset(rows), load: element(rows) });
  return text.finish(key, code, false);
}

/** Where what is wanted of each tile goes. */
function renderScan(key: string): Shader {
  const text = new ShaderText();
  for (const name of ["rows", "tiles", "counts"]) text.field(name, "u32");
  text.bind("scratch", "u32", -1, true);
  return text.finish(key, fillFrame(SHADERS.sort_scan, { digits: 2 }), false);
}

/** Puts the list in order: equal keys are in the order of their places there. */
function renderSort(key: string, target: number | null): Shader {
  const text = new ShaderText();
  for (const name of ["rows", "first_row", "length", "wanted", "padded", "keys", "list_places"])
    text.field(name, "u32");
  text.bind("scratch", "u32", -1, true);
  if (target !== null) text.bind("target_buffer", "i32", target, true);
  const place = "scratch[params.list_places + row * params.length + places[i]]";
  const write = target === null ? "scratch[at] = place;" : "target_buffer[at] = i32(place);";
  return text.finish(key, fillFrame(SHADERS.sort_rows, { write, place }), false);
}
