/** Convolutions in one to three dimensions on the threads of a pool, as matrix products over tables of offsets (see conv-code.ts). */

import { convPhases, unpackConv, widenConv, type Conv } from "../../../graph/convolution.ts";
import type { CpuBuffer, WasmHeap } from "../memory.ts";
import type { SharedProgram, ThreadPool } from "../threads.ts";
import { renderConvolution, type ConvType } from "./conv-code.ts";
import type { Features } from "./fused.ts";
import { TILE_ROWS, tileColumns } from "./gemm.ts";
import { Programs } from "./programs.ts";
import { CONTROL, JOB_HEADER, KIND } from "./tasks.ts";

/** Terms of a sum, and columns, of a block of packed input. */
const BLOCK_TERMS = 256;
const BLOCK_COLUMNS = 256;
/** Least rows of a task, where columns alone are too few. */
const LEAST_ROWS = 48;
/** Tasks that there should be. */
const WANTED_TASKS = 16;
/** Sums of more terms are cut into chunks of at least so many, which threads compute apart; how many does not depend on the threads. */
const LONG_SUM = 16384;
const LEAST_CHUNK = 2048;
const MOST_CHUNKS = 32;
/** Bytes of partial sums, of a packed weight, and of input with its margin, at most (if one element of the batch takes no more). */
const MOST_PARTIAL = 2 ** 25;
const MOST_PACKED = 2 ** 26;
const MOST_PADDED = 2 ** 24;
/** Up to this many rows, and terms, the input is multiplied as it is read. */
const FEW_ROWS = 2;
const MOST_DIRECT_TERMS = 4096;
const DIRECT_COLUMNS = 1024;
/** Multiply-adds, or elements, from which on threads are worth it. */
const LARGE = 2 ** 18;
const TILE_BYTES = 512;
const PLANE_TASK_BYTES = 2 ** 16;

type Three = readonly [number, number, number];

/** An operand: first byte, and steps in bytes. */
interface Source {
  readonly address: number;
  readonly group: number;
  readonly outer: number;
  readonly channel: number;
  readonly spatial: Three;
  /** Coordinate of the element at the address. */
  readonly origin: Three;
}

/** Memory of a call, handed out piece by piece and given back as a whole. */
class Scratch {
  readonly #heap: WasmHeap;
  readonly #pieces: { readonly address: number; readonly bytes: number }[] = [];

  constructor(heap: WasmHeap) {
    this.#heap = heap;
  }

  take(bytes: number): number {
    const piece = this.#heap.scratch(Math.max(bytes, 64));
    this.#pieces.push(piece);
    return piece.address;
  }

  /** Writes a table of int32 numbers, whose last one is repeated up to a multiple of `multiple`. */
  table(values: Int32Array, multiple: number): number {
    const length = up(values.length, multiple);
    const address = this.take(4 * length);
    const { i32 } = this.#heap.views;
    i32.set(values, address >>> 2);
    i32.fill(values[values.length - 1] ?? 0, (address >>> 2) + values.length, (address >>> 2) + length);
    return address;
  }

  release(): void {
    for (const { address, bytes } of this.#pieces) this.#heap.release(address, bytes);
  }
}

function up(x: number, to: number): number {
  return Math.ceil(x / to) * to;
}

/** `outer * steps[0] + i * steps[1] + j * steps[2] + k * steps[3]` for all coordinates, the last one fastest. */
function offsets(sizes: readonly number[], steps: readonly number[], start = 0): Int32Array {
  const [n0, n1, n2, n3] = sizes as [number, number, number, number];
  const [s0, s1, s2, s3] = steps as [number, number, number, number];
  const result = new Int32Array(n0 * n1 * n2 * n3);
  let at = 0;
  for (let a = 0; a < n0; a++)
    for (let b = 0; b < n1; b++)
      for (let c = 0; c < n2; c++) {
        let value = start + a * s0 + b * s1 + c * s2;
        for (let d = 0; d < n3; d++, value += s3) result[at++] = value;
      }
  return result;
}

/** First and last coordinate of the input that a convolution asks for, inside or not. */
function reach(c: Conv, d: number): [number, number] {
  const last = (c.output[d]! - 1) * c.stride[d]!;
  const tap = (c.kernel[d]! - 1) * c.dilation[d]!;
  return [Math.min(0, tap) - c.padding[d]!, last + Math.max(0, tap) - c.padding[d]!];
}

/** Convolutions on the threads of a pool. */
export class Convolver {
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

  /** Runs the routine `conv` of kernel.ts; false if the code for it is not there yet. */
  run(type: ConvType, rank: number, ints: readonly number[], buffers: readonly CpuBuffer[]): boolean {
    const program = this.#programs.get(type, () => renderConvolution(type, this.#features));
    if (program === null) return false;
    for (const phase of convPhases(unpackConv(ints, rank))) {
      const scratch = new Scratch(this.#heap);
      try {
        new Convolution(this.#heap, this.#pool, program, scratch, type, widenConv(phase), buffers).run();
      } finally {
        scratch.release();
      }
    }
    return true;
  }
}

/** One convolution with divisor 1 in three dimensions. */
class Convolution {
  readonly #heap: WasmHeap;
  readonly #pool: ThreadPool;
  readonly #program: SharedProgram;
  readonly #scratch: Scratch;
  readonly #type: ConvType;
  readonly #item: number;
  readonly #c: Conv;
  readonly #buffers: readonly CpuBuffer[];
  readonly #terms: number;
  readonly #large: boolean;

  constructor(
    heap: WasmHeap,
    pool: ThreadPool,
    program: SharedProgram,
    scratch: Scratch,
    type: ConvType,
    c: Conv,
    buffers: readonly CpuBuffer[],
  ) {
    this.#heap = heap;
    this.#pool = pool;
    this.#program = program;
    this.#scratch = scratch;
    this.#type = type;
    this.#item = type === "float32" ? 4 : 8;
    this.#c = c;
    this.#buffers = buffers;
    this.#terms = c.kernel.reduce((a, b) => a * b, c.inChannels);
    const positions = c.output.reduce((a, b) => a * b, c.batch);
    this.#large = c.groups * c.outChannels * positions * this.#terms >= LARGE;
  }

  #job(kind: number, words: readonly number[], count: number, large = this.#large): void {
    this.#heap.views.i32.set(words, CONTROL.job + JOB_HEADER);
    this.#pool.run(kind, this.#program, count, large);
  }

  run(): void {
    const c = this.#c;
    const item = this.#item;
    const { weight } = c;
    const positions = c.output.reduce((a, b) => a * b, 1);
    const weightSteps = [weight.channel, ...weight.spatial].map((s) => s * item);
    const tables: Tables = {
      alongWeight: this.#scratch.table(offsets([c.inChannels, ...c.kernel], weightSteps), 1),
      rows: this.#scratch.table(offsets([c.outChannels, 1, 1, 1], [weight.outer * item, 0, 0, 0]), TILE_ROWS),
      weight: this.#buffers[1]!.address + weight.offset * item,
    };
    const reaches = [0, 1, 2].map((d) => reach(c, d));
    const inside = reaches.every(([first, last], d) => first >= 0 && last < c.input[d]!);
    if (inside && (c.from.spatial[2] === 1 || c.input[2] === 1)) {
      const source: Source = {
        address: this.#buffers[0]!.address + c.from.offset * item,
        group: c.from.group * item,
        outer: c.from.outer * item,
        channel: c.from.channel * item,
        spatial: c.from.spatial.map((s) => s * item) as unknown as Three,
        origin: [0, 0, 0],
      };
      this.#slab(source, 0, c.batch, positions, tables);
      return;
    }
    // A copy with a margin, for as many elements of the batch at a time as fit the caches.
    const sizes = reaches.map(([first, last]) => last - first + 1) as unknown as Three;
    const plane = up(sizes[0] * sizes[1] * sizes[2] * item, 16);
    const each = plane * c.groups * c.inChannels;
    const count = Math.max(1, Math.min(c.batch, Math.floor(MOST_PADDED / each)));
    const address = this.#scratch.take(each * count + 64);
    const source: Source = {
      address,
      group: plane * c.inChannels,
      outer: each,
      channel: plane,
      spatial: [sizes[1] * sizes[2] * item, sizes[2] * item, item],
      origin: reaches.map(([first]) => first) as unknown as Three,
    };
    for (let start = 0; start < c.batch; start += count) {
      const batch = Math.min(count, c.batch - start);
      this.#pad(source, plane, reaches, start, batch);
      this.#slab(source, start, batch, positions, tables);
    }
  }

  /** Copies some elements of the batch, with zeros around. */
  #pad(source: Source, plane: number, reaches: readonly (readonly number[])[], start: number, batch: number): void {
    const c = this.#c;
    const item = this.#item;
    const { from } = c;
    const begin = reaches.map(([first]) => Math.max(first!, 0));
    const counts = reaches.map(([, last], d) => Math.max(Math.min(last!, c.input[d]! - 1) - begin[d]! + 1, 0));
    const first = from.offset + start * from.outer + begin.reduce((sum, b, d) => sum + b * from.spatial[d]!, 0);
    const place = begin.reduce((sum, b, d) => sum + (b - reaches[d]![0]!) * source.spatial[d]!, 0);
    const planes = batch * c.groups * c.inChannels;
    const aTask = Math.max(1, Math.floor(PLANE_TASK_BYTES / plane));
    this.#job(
      KIND.box,
      [
        this.#buffers[0]!.address + first * item,
        from.group * item,
        from.outer * item,
        from.channel * item,
        ...from.spatial.map((s) => s * item),
        ...counts,
        source.address,
        plane,
        place,
        source.spatial[0],
        source.spatial[1],
        c.groups,
        c.inChannels,
        planes,
        aTask,
      ],
      Math.ceil(planes / aTask),
      planes * plane >= 4 * LARGE,
    );
  }

  /** Computes the results for `batch` elements of the batch, the first of which is at the source's address. */
  #slab(source: Source, start: number, batch: number, positions: number, tables: Tables): void {
    const c = this.#c;
    const item = this.#item;
    const width = tileColumns(this.#type);
    const scratch = new Scratch(this.#heap);
    try {
      const at = source.spatial.reduce((sum, s, d) => sum - (c.padding[d]! + source.origin[d]!) * s, 0);
      const steps = source.spatial.map((s, d) => s * c.stride[d]!);
      const taps = source.spatial.map((s, d) => s * c.dilation[d]!);
      const toSteps = [c.to.outer, ...c.to.spatial].map((s) => s * item);
      const slab: Slab = {
        source,
        columns: batch * positions,
        across: scratch.table(offsets([batch, ...c.output], [source.outer, ...steps], at), width),
        along: scratch.table(offsets([c.inChannels, ...c.kernel], [source.channel, ...taps]), 1),
        to: scratch.table(offsets([batch, ...c.output], toSteps), width),
        out: this.#buffers[2]!.address + (c.to.offset + start * c.to.outer) * item,
      };
      if (this.#terms === 0) this.#sums(slab, 0, 0, 0);
      else if (c.outChannels <= FEW_ROWS && this.#terms <= MOST_DIRECT_TERMS) this.#direct(scratch, slab, tables);
      else this.#product(scratch, slab, tables);
    } finally {
      scratch.release();
    }
  }

  #direct(scratch: Scratch, { source, columns, across, along, to, out }: Slab, tables: Tables): void {
    const c = this.#c;
    const item = this.#item;
    const aTask = Math.min(DIRECT_COLUMNS, up(columns, tileColumns(this.#type)));
    const perThread = up(aTask * item, 64);
    const words = [
      source.address,
      source.group,
      across,
      along,
      columns,
      aTask,
      this.#terms,
      tables.weight,
      c.weight.group * item,
      c.weight.outer * item,
      tables.alongWeight,
      c.outChannels,
      out,
      c.to.group * item,
      c.to.channel * item,
      to,
      scratch.take(perThread * this.#pool.threads),
      perThread,
      item,
    ];
    this.#job(KIND.direct, words, c.groups * Math.ceil(columns / aTask));
  }

  #product(scratch: Scratch, slab: Slab, tables: Tables): void {
    const c = this.#c;
    const [item, terms, rows] = [this.#item, this.#terms, c.outChannels];
    const { source, columns } = slab;
    const blocks = Math.ceil(columns / BLOCK_COLUMNS);
    const breadth = up(Math.ceil(columns / blocks), tileColumns(this.#type));
    const depth = Math.ceil(terms / Math.ceil(terms / BLOCK_TERMS));
    const partialWidth = up(columns, tileColumns(this.#type)) * item;
    const tasks = c.groups * blocks;
    let chunks = 1;
    if (terms > LONG_SUM || tasks < WANTED_TASKS) {
      const most = Math.floor(MOST_PARTIAL / (c.groups * rows * partialWidth));
      chunks = Math.max(1, Math.min(MOST_CHUNKS, Math.floor(terms / LEAST_CHUNK), most));
    }
    const chunk = up(Math.ceil(terms / chunks), depth);
    chunks = Math.ceil(terms / chunk);
    const rowBlocks = Math.min(Math.ceil(WANTED_TASKS / (tasks * chunks)), Math.ceil(rows / LEAST_ROWS));
    const height = up(Math.ceil(rows / rowBlocks), TILE_ROWS);
    const packed = this.#packWeight(scratch, tables, depth, chunks);
    const partial = chunks > 1 ? scratch.take(c.groups * chunks * rows * partialWidth) : 0;
    const bytesA = packed.address === 0 ? up(height * depth * item, 64) : 0;
    const bytesB = up(breadth * depth * item, 64);
    const bytesC = chunks > 1 ? 0 : up(height * breadth * item, 64);
    const perThread = TILE_BYTES + bytesA + bytesB + bytesC;
    const words = [
      source.address,
      source.group,
      slab.across,
      slab.along,
      columns,
      breadth,
      terms,
      depth,
      chunk,
      packed.address,
      packed.group,
      tables.weight,
      c.weight.group * item,
      tables.rows,
      tables.alongWeight,
      rows,
      height,
      slab.out,
      c.to.group * item,
      c.to.channel * item,
      slab.to,
      partial,
      partialWidth,
      chunks,
      scratch.take(perThread * this.#pool.threads),
      perThread,
      bytesA,
      bytesB,
      item,
    ];
    this.#job(KIND.conv, words, tasks * chunks * Math.ceil(rows / height));
    if (chunks > 1) this.#sums(slab, partial, chunks, partialWidth);
  }

  /** The weight in panels, where more than one task needs it and it is not too large; the address is 0 if not. */
  #packWeight(scratch: Scratch, tables: Tables, depth: number, chunks: number): Packed {
    const c = this.#c;
    const item = this.#item;
    const group = up(c.outChannels, TILE_ROWS) * this.#terms * item;
    if (chunks > 1 || group * c.groups > MOST_PACKED) return { address: 0, group: 0 };
    const address = scratch.take(group * c.groups);
    const blocks = Math.ceil(this.#terms / depth);
    const words = [
      tables.weight,
      c.weight.group * item,
      tables.rows,
      tables.alongWeight,
      c.outChannels,
      this.#terms,
      depth,
      address,
      group,
      item,
      blocks,
    ];
    this.#job(KIND.rows, words, c.groups * blocks, group * c.groups >= 4 * LARGE);
    return { address, group };
  }

  /** Adds up the partial sums of chunks. */
  #sums({ columns, out, to }: Slab, partial: number, chunks: number, width: number): void {
    const c = this.#c;
    const [item, rows] = [this.#item, c.outChannels];
    const aTask = Math.max(1, Math.min(rows, Math.floor(PLANE_TASK_BYTES / (columns * item * Math.max(chunks, 1)))));
    const words = [partial, chunks, width, rows, columns, aTask, out, c.to.group * item, c.to.channel * item, to];
    const large = c.groups * rows * columns * chunks >= LARGE;
    this.#job(KIND.sums, words, c.groups * Math.ceil(rows / aTask), large);
  }
}

/** Tables of the weight: offsets of terms and of rows, and its first byte. */
interface Tables {
  readonly alongWeight: number;
  readonly rows: number;
  readonly weight: number;
}

/** A panelled weight: its first byte, and bytes of a group. */
interface Packed {
  readonly address: number;
  readonly group: number;
}

/** Some elements of the batch: input, tables of offsets of columns and of terms in it, offsets of columns in the output, its first byte. */
interface Slab {
  readonly source: Source;
  readonly columns: number;
  readonly across: number;
  readonly along: number;
  readonly to: number;
  readonly out: number;
}
