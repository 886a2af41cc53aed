/** The routine `scatter` over a heap: rows that have one index each are shared by the threads of a pool, by columns. */

import { ITEM_SIZE, fillHost, type DType } from "../../../dtype.ts";
import type { RoutineData, RoutineStructure } from "../../../graph/kernel.ts";
import type { CpuBuffer, WasmHeap } from "../memory.ts";
import type { SharedProgram, ThreadPool } from "../threads.ts";
import type { Features } from "./fused.ts";
import { Programs } from "./programs.ts";
import { renderScatter, type ScatterMode } from "./scatter-code.ts";
import { CONTROL, JOB_HEADER, KIND } from "./tasks.ts";

/** Least elements of a row that has an index of its own. */
const LEAST_WIDTH = 4;
/** Columns of a task, at least, and elements from which on threads are worth it. */
const LEAST_COLUMNS = 64;
const LARGE = 2 ** 18;

/** A dimension of the index's shape; steps in bytes. */
interface Dim {
  readonly size: number;
  /** Of out: 0 along the dimension that is scattered. */
  readonly out: number;
  readonly index: number;
  readonly source: number;
}

/** First bytes. */
interface Place {
  readonly out: number;
  readonly index: number;
  readonly source: number;
}

/** Scatters over a heap. */
export class Scatterer {
  readonly #heap: WasmHeap;
  readonly #pool: ThreadPool;
  readonly #features: Features;
  readonly #programs: Programs;

  constructor(heap: WasmHeap, pool: ThreadPool, features: Features) {
    this.#heap = heap;
    this.#pool = pool;
    this.#features = features;
    this.#programs = new Programs(heap);
  }

  /** Runs the routine `scatter` of kernel.ts; null if the code for it is not there yet, else whether an index was out of range. */
  run(s: RoutineStructure, { ints, scalars }: RoutineData, buffers: readonly CpuBuffer[]): boolean | null {
    const { dtype } = s.buffers[0]!;
    const mode = String(s.attrs["mode"]) as ScatterMode;
    const program = this.#programs.get(`${dtype}:${mode}`, () => renderScatter(dtype, mode, this.#features));
    if (program === null) return null;
    const rank = Number(s.attrs["rank"]);
    const dim = ints[0]!;
    const item = ITEM_SIZE[dtype];
    const part = (at: number): readonly number[] => ints.slice(at, at + rank);
    const [sizes, out, index] = [part(2), part(2 + rank), part(3 + 2 * rank)];
    if (sizes.includes(0)) return false;
    const isScalar = s.attrs["source"] === "scalar";
    const source = isScalar ? sizes.map(() => 0) : part(4 + 3 * rank);
    const scratch = this.#heap.scratch(128);
    const flag = scratch.address >>> 2;
    this.#heap.views.i32[flag] = 0;
    if (isScalar) this.#writeScalar(dtype, scratch.address + 64, scalars[0]!);
    const dims = sizes.map((size, d) => ({
      size,
      out: d === dim ? 0 : out[d]! * item,
      index: index[d]! * 4,
      source: source[d]! * item,
    }));
    const place: Place = {
      out: buffers[0]!.address + ints[2 + 2 * rank]! * item,
      index: buffers[1]!.address + ints[3 + 3 * rank]! * 4,
      source: isScalar ? scratch.address + 64 : buffers[2]!.address + ints[4 + 4 * rank]! * item,
    };
    this.#scatter(program, dims, dim, out[dim]! * item, ints[1]!, place, item, scratch.address);
    const failed = this.#heap.views.i32[flag] !== 0;
    this.#heap.release(scratch.address, scratch.bytes);
    return failed;
  }

  #writeScalar(dtype: DType, address: number, value: number): void {
    fillHost(this.#heap.viewOf(dtype, address, 1), dtype, [value]);
  }

  #scatter(
    program: SharedProgram,
    dims: readonly Dim[],
    dim: number,
    step: number,
    size: number,
    place: Place,
    item: number,
    flag: number,
  ): void {
    const along = dims[dim]!;
    const rest = dims.filter((_, d) => d !== dim);
    const row = rest.findLast((d) => d.index === 0 && d.out === item && d.size >= LEAST_WIDTH);
    if (row !== undefined) {
      const large = along.size * row.size >= LARGE;
      const blocks = large ? Math.min(this.#pool.threads, Math.floor(row.size / LEAST_COLUMNS)) : 1;
      const each = Math.ceil(row.size / Math.max(blocks, 1) / 16) * 16;
      const others = rest.filter((d) => d !== row);
      walk(others, place, (p) => {
        const words = [p.out, step, p.index, along.index, p.source, along.source, along.size, size];
        words.push(row.size, row.out, row.source, flag, each);
        this.#heap.views.i32.set(words, CONTROL.job + JOB_HEADER);
        this.#pool.run(KIND.scatter, program, Math.ceil(row.size / each), large);
      });
      return;
    }
    // One loop over the longest dimension; the others outside of it, so that terms of an element come in order.
    const longest = dims.reduce((a, b) => (b.size > a.size ? b : a));
    const elements = program.entries["elements"]!;
    walk(
      dims.filter((d) => d !== longest),
      place,
      ({ out, index, source }) =>
        elements(out, step, longest.out, index, longest.index, source, longest.source, longest.size, size, flag),
    );
  }
}

/** Calls `visit` at every coordinate of some dimensions, the last one fastest. */
function walk(dims: readonly Dim[], start: Place, visit: (place: Place) => void): void {
  const at = dims.map(() => 0);
  let { out, index, source } = start;
  for (let left = dims.reduce((product, d) => product * d.size, 1); left > 0; left--) {
    visit({ out, index, source });
    for (let d = dims.length - 1; d >= 0; d--) {
      const { size, out: o, index: i, source: s } = dims[d]!;
      const isEnd = ++at[d]! === size;
      const steps = isEnd ? 1 - size : 1;
      out += steps * o;
      index += steps * i;
      source += steps * s;
      if (!isEnd) break;
      at[d] = 0;
    }
  }
}
