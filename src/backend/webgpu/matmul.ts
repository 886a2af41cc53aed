/** Matrix products: tiles in shared memory, or a reduction where one side is a vector. */

import type { DType } from "../../dtype.ts";
import {
  fusedKey,
  type BufferSlot,
  type FusedData,
  type FusedStructure,
  type KernelData,
  type RoutineData,
  type RoutineStructure,
} from "../../graph/kernel.ts";
import { valueType } from "../../graph/builder.ts";
import { loadElement, storeElement, wgslType } from "./express.ts";
import { FusedProgram, type FusedCall } from "./fused-program.ts";
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
import { fillFrame, foldGrid, ShaderText, STORED, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";

/** A way of tiling: elements a workgroup makes, depth of a tile, elements an invocation makes. */
export interface Tiling {
  readonly tm: number;
  readonly tn: number;
  readonly tk: number;
  readonly rm: number;
  readonly rn: number;
}

const LARGE: Tiling = { tm: 128, tn: 128, tk: 8, rm: 8, rn: 8 };
const MEDIUM: Tiling = { tm: 64, tn: 64, tk: 16, rm: 4, rn: 4 };
const SMALL: Tiling = { tm: 32, tn: 32, tk: 16, rm: 4, rn: 4 };

/** One operand: element offset, strides of rows and columns, and of the batch dimensions. */
interface Operand {
  readonly offset: number;
  readonly row: number;
  readonly column: number;
  readonly batch: readonly number[];
}

/** The numbers of a call, named. */
interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly sizes: readonly number[];
  readonly batches: number;
  readonly a: Operand;
  readonly b: Operand;
}

function parse(ints: readonly number[], rank: number): Product {
  const [m, n, k] = ints as [number, number, number];
  const sizes = ints.slice(3, 3 + rank);
  const operand = (at: number): Operand => ({
    offset: ints[at]!,
    row: ints[at + 1]!,
    column: ints[at + 2]!,
    batch: ints.slice(at + 3, at + 3 + rank),
  });
  const batches = sizes.reduce((x, y) => x * y, 1);
  return { m, n, k, sizes, batches, a: operand(3 + rank), b: operand(6 + 2 * rank) };
}

export class MatmulProgram implements DeviceProgram {
  readonly structure: RoutineStructure;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #rank: number;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #reductions = new Map<string, FusedProgram>();

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#compiler = compiler;
    this.#device = device;
    this.#rank = structure.attrs["rank"] as number;
  }

  warm(): void {
    // The sizes decide.
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    const p = parse((data as RoutineData).ints, this.#rank);
    if (p.m === 1 || p.n === 1 || p.k <= 2) {
      const reduction = this.#asReduction(p);
      return reduction.program.prepare(reduction.data, slabs, tag);
    }
    const tiling = this.#tiling(p);
    const tiles = Math.ceil(p.m / tiling.tm) * Math.ceil(p.n / tiling.tn);
    const splits = this.#splits(p, tiling, tiles);
    // Each side is read along the direction in which its elements are neighbours.
    const pipeline = this.#pipeline(
      tiling,
      Math.abs(p.a.column) < Math.abs(p.a.row),
      Math.abs(p.b.row) < Math.abs(p.b.column),
      splits > 1,
    );
    const kPart = Math.ceil(Math.ceil(p.k / splits) / tiling.tk) * tiling.tk;
    const words = (w: WordWriter): void => {
      w.u32(p.m);
      w.u32(p.n);
      w.u32(p.k);
      w.u32(Math.ceil(p.m / tiling.tm));
      w.u32(Math.ceil(p.n / tiling.tn));
      w.u32(p.batches);
      w.u32(splits);
      w.u32(kPart);
      for (const size of p.sizes) w.u32(size);
      for (const side of [p.a, p.b]) {
        w.i32(side.offset);
        w.i32(side.row);
        w.i32(side.column);
        for (const stride of side.batch) w.i32(stride);
      }
    };
    const grid = foldGrid(tiles * splits * p.batches, this.#device.maxGroupsPerDimension);
    const total = p.batches * p.m * p.n;
    if (splits === 1) {
      const record = (recorder: CallRecorder): void =>
        recorder.dispatch(pipeline, bound(pipeline.shader, slabs, null), grid, tag, words);
      return { pipelines: [pipeline], record };
    }
    const sum = this.#partsSum(splits, total);
    const record = (recorder: CallRecorder, scratch: Scratch): void => {
      const parts = scratch.take(4 * total * splits);
      recorder.dispatch(pipeline, bound(pipeline.shader, slabs, parts), grid, tag, words);
      sum.record(recorder, scratch, [parts, slabs[2]!], tag);
      scratch.give(parts);
    };
    return { pipelines: [pipeline, ...sum.pipelines], record };
  }

  /** The largest tiles that make enough workgroups. */
  #tiling(p: Product): Tiling {
    if (this.#device.isSoftware) return SMALL;
    for (const tiling of [LARGE, MEDIUM]) {
      const groups = Math.ceil(p.m / tiling.tm) * Math.ceil(p.n / tiling.tn) * p.batches;
      if (groups >= this.#device.busyGroups && p.m >= tiling.tm / 2 && p.n >= tiling.tn / 2) return tiling;
    }
    return p.m >= 64 && p.n >= 64 ? MEDIUM : SMALL;
  }

  /** Parts of k, where the tiles alone would leave the device idle. */
  #splits(p: Product, tiling: Tiling, tiles: number): number {
    const groups = tiles * p.batches;
    const wanted = Math.floor(this.#device.busyGroups / groups);
    const most = Math.floor(p.k / (tiling.tk * 16));
    const room = Math.floor(2 ** 24 / (p.batches * p.m * p.n));
    return Math.max(1, Math.min(wanted, most, room, 64));
  }

  #pipeline(tiling: Tiling, aAlongK: boolean, bAlongK: boolean, parts: boolean): Pipeline {
    const key = `${tiling.tm}x${tiling.tn}${aAlongK ? "k" : "m"}${bAlongK ? "k" : "n"}${parts ? "p" : ""}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      const full = `${this.structure.key}|${key}`;
      pipeline = this.#compiler.pipeline(full, () =>
        renderMatmul(full, this.structure.buffers, this.#rank, tiling, aAlongK, bAlongK, parts),
      );
      this.#pipelines.set(key, pipeline);
    }
    return pipeline;
  }

  /** out[..., i, j] = sum over k of a[..., i, k] * b[..., k, j], as a fused kernel. */
  #asReduction(p: Product): { program: FusedProgram; data: FusedData } {
    const dims = p.sizes.map((size, d) => ({ size, a: p.a.batch[d]!, b: p.b.batch[d]! }));
    dims.push({ size: p.m, a: p.a.row, b: 0 }, { size: p.n, a: 0, b: p.b.column });
    let stride = p.m * p.n * p.batches;
    const outer = dims
      .map((dim) => ({ ...dim, out: (stride /= Math.max(dim.size, 1)) }))
      .filter((dim) => dim.size !== 1);
    const strides = [
      [...outer.map((d) => d.a), p.a.column],
      [...outer.map((d) => d.b), p.b.row],
      [...outer.map((d) => d.out), 0],
    ];
    const data: FusedData = {
      outer: outer.map((d) => d.size),
      inner: [p.k],
      strides,
      offsets: [p.a.offset, p.b.offset, 0],
      scalars: [],
    };
    return { program: this.#reduction(this.structure.buffers, strides), data };
  }

  /** Sum of the partial products of a split k. */
  #partsSum(splits: number, total: number): FusedCall {
    const out = this.structure.buffers[2]!;
    const dtype: DType = valueType(out.dtype) === "f" ? "float32" : "int32";
    const strides = [
      [1, total],
      [1, 0],
    ];
    const data: FusedData = { outer: [total], inner: [splits], strides, offsets: [0, 0], scalars: [] };
    return this.#reduction([{ dtype, mode: "read" }, out], strides).choose(data);
  }

  /** The fused kernel that multiplies all buffers but the last and sums over the one inner dimension into the last. */
  #reduction(buffers: readonly BufferSlot[], strides: readonly (readonly number[])[]): FusedProgram {
    const rank = strides[0]!.length;
    const accesses = strides.map((s, buffer) => ({
      buffer,
      classes: s.map((x) => (x === 0 ? "0" : x === 1 ? "1" : "s")).join(""),
    }));
    const type = valueType(buffers[0]!.dtype);
    const last = buffers.length - 1;
    const instrs: FusedStructure["instrs"][number][] = [];
    for (let i = 0; i < last; i++) instrs.push({ op: "load", type, args: [], imm: i });
    if (last === 2) instrs.push({ op: "mul", type, args: [0, 1] });
    instrs.push({ op: "reduce", type, args: [instrs.length - 1], imm: "sum" });
    const content: Omit<FusedStructure, "key"> = {
      kind: "fused",
      outerRank: rank - 1,
      innerRank: 1,
      instrs,
      levels: instrs.map((i) => (i.op === "reduce" ? "row" : "full")),
      buffers,
      accesses,
      stores: [{ access: last, value: instrs.length - 1 }],
      scalars: [],
      usesStatus: false,
    };
    const key = fusedKey(content);
    let program = this.#reductions.get(key);
    if (program === undefined) {
      program = new FusedProgram({ ...content, key }, this.#compiler, this.#device);
      this.#reductions.set(key, program);
    }
    return program;
  }
}

/** Renders a tiled product. `aAlongK`, `bAlongK`: neighbouring invocations load neighbours along k. */
export function renderMatmul(
  key: string,
  buffers: readonly BufferSlot[],
  rank: number,
  tiling: Tiling,
  aAlongK: boolean,
  bAlongK: boolean,
  parts: boolean,
): Shader {
  const { tm, tn, tk, rm, rn } = tiling;
  const threads = (tm / rm) * (tn / rn);
  const [a, b, out] = buffers as [BufferSlot, BufferSlot, BufferSlot];
  const type = wgslType(valueType(a.dtype));
  const text = new ShaderText();
  for (const name of ["m", "n", "k", "tiles_m", "tiles_n", "batches", "splits", "k_part"]) text.field(name, "u32");
  for (let d = 0; d < rank; d++) text.field(`size${d}`, "u32");
  for (const side of ["a", "b"]) {
    for (const name of [side, `${side}_row`, `${side}_column`]) text.field(name, "i32");
    for (let d = 0; d < rank; d++) text.field(`${side}_batch${d}`, "i32");
  }
  text.bind("a_buffer", stored(a), 0, false);
  text.bind("b_buffer", stored(b), 1, false);
  if (parts) text.bind("out_buffer", type, -1, true);
  else text.bind("out_buffer", stored(out), 2, true);

  const lines: string[] = [];
  const take = (): string => {
    const result = lines.join("\n");
    lines.length = 0;
    return result;
  };

  lines.push("  var a_at = params.a;", "  var b_at = params.b;");
  if (rank > 0) lines.push("  var rest = batch;");
  for (let d = rank - 1; d >= 0; d--) {
    lines.push(`  let c${d} = i32(rest % params.size${d});`, `  rest = rest / params.size${d};`);
    lines.push(`  a_at += c${d} * params.a_batch${d};`, `  b_at += c${d} * params.b_batch${d};`);
  }
  const offsets = take();

  // Tiles are padded by a group of four, so that what differs in k lies in different memory banks.
  const strideA = tm / 4 + 1;
  const strideB = tn / 4 + 1;
  const blocksM = rm / 4;
  const blocksN = rn / 4;
  const rowsOf = (block: number): string => `${(tm / blocksM / 4) * block}u + row`;
  const columnsOf = (block: number): string => `${(tn / blocksN / 4) * block}u + column`;
  const each = (visit: (i: number, j: number, r: number) => void): void => {
    for (let i = 0; i < blocksM; i++) for (let r = 0; r < 4; r++) for (let j = 0; j < blocksN; j++) visit(i, j, r);
  };
  each((i, j, r) => lines.push(`  var c${i}${r}_${j} = vec4<${type}>();`));
  const accumulators = take();

  const loadSide = (
    side: "a" | "b",
    extent: string,
    start: string,
    size: number,
    stride: number,
    alongK: boolean,
  ): void => {
    const groups = (size / 4) * tk;
    const across = side === "a" ? "params.a_row" : "params.b_column";
    const down = side === "a" ? "params.a_column" : "params.b_row";
    const slot = side === "a" ? a : b;
    lines.push(`    for (var g = local; g < ${groups}u; g += ${threads}u) {`);
    lines.push(alongK ? `      let kk = g % ${tk}u;` : `      let kk = g / ${size / 4}u;`);
    lines.push(alongK ? `      let four = g / ${tk}u;` : `      let four = g % ${size / 4}u;`);
    lines.push(`      let x = ${start} + four * 4u;`);
    lines.push("      let k = k0 + kk;");
    lines.push(`      var value = vec4<${type}>();`);
    lines.push("      if (k < k_last) {");
    lines.push(`        let at = ${side}_at + i32(k) * ${down} + i32(x) * ${across};`);
    const element = (r: number): string =>
      loadElement(slot, `${side}_buffer[at${r === 0 ? "" : r === 1 ? ` + ${across}` : ` + ${r} * ${across}`}]`);
    for (let r = 0; r < 4; r++)
      lines.push(`        if (x + ${r}u < ${extent}) { value.${"xyzw"[r]} = ${element(r)}; }`);
    lines.push("      }");
    lines.push(`      tile_${side}[kk * ${stride}u + four] = value;`);
    lines.push("    }");
  };
  loadSide("a", "params.m", "m0", tm, strideA, aAlongK);
  loadSide("b", "params.n", "n0", tn, strideB, bAlongK);
  const load = take();

  for (let i = 0; i < blocksM; i++) lines.push(`      let a${i} = tile_a[kk * ${strideA}u + ${rowsOf(i)}];`);
  for (let j = 0; j < blocksN; j++) lines.push(`      let b${j} = tile_b[kk * ${strideB}u + ${columnsOf(j)}];`);
  each((i, j, r) => {
    const x = `a${i}.${"xyzw"[r]}`;
    lines.push(
      type === "f32"
        ? `      c${i}${r}_${j} = fma(vec4<f32>(${x}), b${j}, c${i}${r}_${j});`
        : `      c${i}${r}_${j} += ${x} * b${j};`,
    );
  });
  const multiply = take();

  lines.push("  let out_at = part_offset + batch * params.m * params.n;");
  each((i, j, r) => {
    if (j === 0) {
      lines.push(`  let m${i}${r} = m0 + (${rowsOf(i)}) * 4u + ${r}u;`);
      lines.push(`  if (m${i}${r} < params.m) {`);
    }
    lines.push(`    let n${i}${r}_${j} = n0 + (${columnsOf(j)}) * 4u;`);
    for (let e = 0; e < 4; e++) {
      const value = `c${i}${r}_${j}.${"xyzw"[e]}`;
      const element = parts ? value : storeElement(out, value);
      const place = `out_at + m${i}${r} * params.n + n${i}${r}_${j}${e === 0 ? "" : ` + ${e}u`}`;
      lines.push(
        `    if (n${i}${r}_${j}${e === 0 ? "" : ` + ${e}u`} < params.n) { out_buffer[${place}] = ${element}; }`,
      );
    }
    if (j === blocksN - 1) lines.push("  }");
  });
  const store = `  let part_offset = split * params.batches * params.m * params.n;\n${take()}`;

  const code = fillFrame(SHADERS.matmul, {
    tm,
    tn,
    tk,
    threads,
    type,
    size_a: strideA * tk,
    size_b: strideB * tk,
    columns: tn / rn,
    offsets,
    accumulators,
    load,
    multiply,
    store,
  });
  return text.finish(key, code, false);
}

function stored(slot: BufferSlot): string {
  return STORED[slot.dtype as keyof typeof STORED];
}
