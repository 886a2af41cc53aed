/** Convolution as an implicit matrix product: columns of the input are found while tiles are loaded. */

import { convPhases, unpackConv, type Conv, type ConvSide } from "../../graph/convolution.ts";
import type { BufferSlot, KernelData, RoutineData, RoutineStructure } from "../../graph/kernel.ts";
import { loadElement, storeElement } from "./express.ts";
import { classOf, digest } from "./choices.ts";
import type { EpilogueCall, EpilogueCode, FusingProgram } from "./epilogue.ts";
import type { FusedCall } from "./fused-program.ts";
import { finishing, type Tiling } from "./matmul-shader.ts";
import type { Pipeline } from "./pipelines.ts";
import type { Slab } from "./pool.ts";
import {
  bound,
  type CallRecorder,
  type Compiler,
  type DeviceFigures,
  type PreparedCall,
  type Scratch,
} from "./program.ts";
import { fillFrame, foldGrid, ShaderText, STORED, WORKGROUP, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";
import { Sums, type Sum } from "./sums.ts";

const LARGE: Tiling = { tm: 128, tn: 128, tk: 8, rm: 8, rn: 8 };
const MEDIUM: Tiling = { tm: 64, tn: 64, tk: 16, rm: 4, rn: 4 };
const SMALL: Tiling = { tm: 32, tn: 32, tk: 16, rm: 4, rn: 4 };

const TILINGS = [LARGE, MEDIUM, SMALL] as const;

/** How a convolution is run: its bits depend on nothing else than the parts that the sums are cut into. */
interface Way {
  readonly tiling: Tiling;
  readonly splits: number;
}

/** Partial sums in scratch memory. */
const PARTS: BufferSlot = { dtype: "float32", mode: "read" };

/** Up to so many output channels a group, and so long sums, an invocation makes an element alone. */
const DIRECT_ROWS = 4;
const DIRECT_TERMS = 512;

/** Coordinate of columns beyond the last: far outside of every input. */
const OUTSIDE = -0x40000000;

const product = (sizes: readonly number[]): number => sizes.reduce((n, size) => n * size, 1);

/** One dispatch (and, where the sum is split, the sum of its parts). */
interface Step {
  readonly pipeline: Pipeline;
  readonly groups: number;
  readonly words: (w: WordWriter) => void;
  readonly parts: { readonly count: number; readonly sum: FusedCall; readonly hasWork: boolean } | null;
}

/** See `conv` in kernel.ts. */
export class ConvProgram implements FusingProgram {
  readonly structure: RoutineStructure;
  readonly #compiler: Compiler;
  readonly #device: DeviceFigures;
  readonly #rank: number;
  readonly #sums: Sums;

  constructor(structure: RoutineStructure, compiler: Compiler, device: DeviceFigures) {
    this.structure = structure;
    this.#compiler = compiler;
    this.#device = device;
    this.#rank = structure.attrs["rank"] as number;
    this.#sums = new Sums(compiler, device);
  }

  warm(): void {
    // The sizes decide.
  }

  prepareWith(data: KernelData, slabs: readonly Slab[], tag: number, work: EpilogueCall): PreparedCall | null {
    const steps = this.#steps(data, work);
    return steps.every(({ parts }) => parts?.hasWork !== false) ? this.#call(steps, slabs, tag) : null;
  }

  prepare(data: KernelData, slabs: readonly Slab[], tag: number): PreparedCall {
    return this.#call(this.#steps(data, null), slabs, tag);
  }

  #steps(data: KernelData, work: EpilogueCall | null): Step[] {
    return convPhases(unpackConv((data as RoutineData).ints, this.#rank)).map((c) => this.#step(c, work));
  }

  #call(steps: readonly Step[], slabs: readonly Slab[], tag: number): PreparedCall {
    const record = (recorder: CallRecorder, scratch: Scratch): void => {
      for (const { pipeline, groups, words, parts } of steps) {
        const grid = foldGrid(groups, this.#device.maxGroupsPerDimension);
        const memory = parts === null ? null : scratch.take(4 * parts.count);
        recorder.dispatch(pipeline, bound(pipeline.shader, slabs, memory), grid, tag, words);
        if (parts === null || memory === null) continue;
        parts.sum.record(recorder, scratch, [memory, ...slabs.slice(2)], tag);
        scratch.give(memory);
      }
    };
    const pipelines = steps.flatMap((s) => [s.pipeline, ...(s.parts?.sum.pipelines ?? [])]);
    return steps.some((s) => s.parts !== null) ? { pipelines, record } : { pipelines, scratch: false, record };
  }

  /** With `work`, it is of use unless the sums are cut and their elements come in an order that the work does not follow. */
  #step(c: Conv, work: EpilogueCall | null): Step {
    const m = c.outChannels;
    const n = c.batch * product(c.output);
    const k = c.inChannels * product(c.kernel);
    if (m <= DIRECT_ROWS && k <= DIRECT_TERMS) {
      const words = (w: WordWriter): void => {
        for (const value of [c.groups, m, n, c.inChannels]) w.u32(value);
        writeGeometry(w, c);
        work?.code.write(w, work.data);
      };
      const pipeline = this.#pipeline(`direct${work === null ? "" : `|${work.code.key}`}`, (key) =>
        renderDirect(key, this.structure.buffers, this.#rank, work?.code ?? null),
      );
      return { pipeline, groups: Math.ceil((c.groups * m * n) / WORKGROUP), words, parts: null };
    }
    const { tiling, splits } = this.#way(c, m, n, k);
    const [tilesM, tilesN] = [Math.ceil(m / tiling.tm), Math.ceil(n / tiling.tn)];
    const tiles = tilesM * tilesN * c.groups;
    const total = c.groups * m * n;
    const kPart = Math.ceil(Math.ceil(k / splits) / tiling.tk) * tiling.tk;
    const words = (w: WordWriter): void => {
      for (const value of [m, n, k, tilesM, tilesN, c.groups, splits, kPart]) w.u32(value);
      writeGeometry(w, c);
      if (splits === 1) work?.code.write(w, work.data);
    };
    const code = splits > 1 ? null : (work?.code ?? null);
    const last = splits > 1 ? "p" : code === null ? "" : `|${code.key}`;
    const pipeline = this.#pipeline(`${tiling.tm}x${tiling.tn}${last}`, (key) =>
      renderConv(key, this.structure.buffers, this.#rank, tiling, splits > 1, code),
    );
    const parts = splits === 1 ? null : { count: total * splits, ...this.#sumParts(c, splits, total, work) };
    return { pipeline, groups: tiles * splits, words, parts };
  }

  #sumParts(c: Conv, splits: number, total: number, work: EpilogueCall | null): { sum: FusedCall; hasWork: boolean } {
    const terms = partsSum(c, splits, total);
    const both = work === null ? null : this.#sums.before(terms, [PARTS], work);
    const { program, data } = both ?? this.#sums.plain(terms, [PARTS], this.structure.buffers[2]!);
    return { sum: program.choose(data), hasWork: both !== null };
  }

  /** By what was measured, or else by rule. */
  #way(c: Conv, m: number, n: number, k: number): Way {
    const { groups } = c;
    const usual = this.#tiling(m, n, groups);
    const splits = (tiling: Tiling): number => {
      const tiles = Math.ceil(m / tiling.tm) * Math.ceil(n / tiling.tn) * groups;
      return Math.max(1, Math.min(Math.floor(this.#device.busyGroups / tiles), mostSplits(tiling)));
    };
    const mostSplits = (tiling: Tiling): number =>
      Math.max(1, Math.min(Math.floor(k / (tiling.tk * 16)), Math.floor(2 ** 24 / (groups * m * n)), 64));
    return this.#device.choices.pick<Way>({
      key: () => {
        const sizes = [m, n, k, groups].map(classOf).join(",");
        return `conv ${digest(this.structure.key)} ${c.kernel.join("x")} ${c.stride.join("x")} ${sizes}`;
      },
      usual: { tiling: usual, splits: splits(usual) },
      all: () =>
        TILINGS.filter((t) => t === usual || t === SMALL || (m > t.tm / 2 && n > t.tn / 2)).flatMap((tiling) => {
          const some = splits(tiling);
          const counts = new Set([1, Math.ceil(some / 2), some, Math.min(2 * some, mostSplits(tiling))]);
          return [...counts].map((count) => ({ tiling, splits: count }));
        }),
      name: ({ tiling, splits: count }) => `${tiling.tm}x${tiling.tn}${count > 1 ? `/${count}` : ""}`,
    });
  }

  /** The largest tiles that make enough workgroups and are not mostly empty. */
  #tiling(m: number, n: number, groups: number): Tiling {
    if (this.#device.isSoftware) return SMALL;
    for (const tiling of [LARGE, MEDIUM]) {
      const count = Math.ceil(m / tiling.tm) * Math.ceil(n / tiling.tn) * groups;
      if (count >= this.#device.busyGroups && m > tiling.tm / 2 && n > tiling.tn / 2) return tiling;
    }
    return m > 32 && n > 32 ? MEDIUM : SMALL;
  }

  #pipeline(variant: string, render: (key: string) => Shader): Pipeline {
    const key = `${this.structure.key}|${variant}`;
    return this.#compiler.pipeline(key, () => render(key));
  }
}

/** Sum of partial sums [splits, groups, channels, batch, ...output], written where the output lies. */
function partsSum(c: Conv, splits: number, total: number): Sum {
  const loops = [
    { size: c.groups, out: c.to.group },
    { size: c.outChannels, out: c.to.channel },
    { size: c.batch, out: c.to.outer },
    ...c.output.map((size, d) => ({ size, out: c.to.spatial[d]! })),
  ];
  let step = total;
  const dims = loops.map((d) => ({ ...d, factors: [(step /= d.size)] }));
  return { dims, count: splits, steps: [total], offsets: [0], out: c.to.offset };
}

const SIZES = ["input", "kernel", "output"] as const;
const STEPS = ["stride", "dilation", "padding"] as const;

/** Parameters of the shape of a convolution, in the order of `writeGeometry`. */
function declareGeometry(text: ShaderText, rank: number): void {
  for (const name of SIZES) for (let d = 0; d < rank; d++) text.field(`${name}${d}`, "u32");
  for (const name of STEPS) for (let d = 0; d < rank; d++) text.field(`${name}${d}`, "i32");
  for (const side of ["src", "weight", "dst"]) {
    for (const name of [side, `${side}_group`, `${side}_outer`, `${side}_channel`]) text.field(name, "i32");
    for (let d = 0; d < rank; d++) text.field(`${side}_step${d}`, "i32");
  }
}

function writeGeometry(w: WordWriter, c: Conv): void {
  for (const name of SIZES) for (const value of c[name]) w.u32(value);
  for (const name of STEPS) for (const value of c[name]) w.i32(value);
  for (const side of [c.from, c.weight, c.to] as readonly ConvSide[])
    for (const value of [side.offset, side.group, side.outer, side.channel, ...side.spatial]) w.i32(value);
}

function stored(slot: BufferSlot): string {
  return STORED[slot.dtype as keyof typeof STORED];
}

/**
 * Statements that find the coordinates of column `n` (u32): `{name}{d}` in the output, and what is left of the number, the element of
 * the batch, in `rest`. Names end in `suffix`.
 */
function columnCoordinates(rank: number, n: string, name: string, suffix: string): string[] {
  const lines = [`  var rest${suffix} = ${n};`];
  for (let d = rank - 1; d >= 0; d--)
    lines.push(
      `  let ${name}${d}${suffix} = i32(rest${suffix} % params.output${d});`,
      `  rest${suffix} = rest${suffix} / params.output${d};`,
    );
  return lines;
}

const sum = (terms: readonly string[]): string => terms.join(" + ");
const dims = (rank: number): number[] => Array.from({ length: rank }, (_, d) => d);

/** Renders the tiled convolution. With `parts`, sums of parts of the terms go to scratch memory; `work` is done on the elements before they are written. */
export function renderConv(
  key: string,
  buffers: readonly BufferSlot[],
  rank: number,
  tiling: Tiling,
  parts: boolean,
  work: EpilogueCode | null = null,
): Shader {
  const { tm, tn, tk, rm, rn } = tiling;
  const threads = (tm / rm) * (tn / rn);
  const [from, weight, to] = buffers as [BufferSlot, BufferSlot, BufferSlot];
  const text = new ShaderText();
  for (const name of ["m", "n", "k", "tiles_m", "tiles_n", "groups", "splits", "k_part"]) text.field(name, "u32");
  declareGeometry(text, rank);
  text.bind("src_buffer", stored(from), 0, false);
  text.bind("weight_buffer", stored(weight), 1, false);
  if (parts) text.bind("dst_buffer", "f32", -1, true);
  else if (work !== null) work.declare(text);
  else text.bind("dst_buffer", stored(to), 2, true);

  const lines: string[] = [];
  const take = (): string => lines.splice(0).join("\n");
  const each4 = (visit: (r: number) => void): void => {
    for (let r = 0; r < 4; r++) visit(r);
  };

  // An invocation loads the same four columns in every tile, so their coordinates are found once.
  lines.push(`  let load_four = local % ${tn / 4}u;`);
  each4((r) => {
    lines.push(`  let column${r} = n0 + load_four * 4u + ${r}u;`);
    lines.push(...columnCoordinates(rank, `column${r}`, "x", `_${r}`));
    for (const d of dims(rank)) {
      const start = `x${d}_${r} * params.stride${d} - params.padding${d}`;
      lines.push(
        d === 0
          ? `  let y${d}_${r} = select(${OUTSIDE}i, ${start}, column${r} < params.n);`
          : `  let y${d}_${r} = ${start};`,
      );
    }
    const offset = dims(rank).map((d) => `(x${d}_${r} * params.stride${d} - params.padding${d}) * params.src_step${d}`);
    lines.push(`  let base${r} = src_at + i32(rest_${r}) * params.src_outer + ${sum(offset)};`);
  });
  const positions = take();

  const strideA = tm / 4 + 1;
  const strideB = tn / 4 + 1;
  const blocksM = rm / 4;
  const blocksN = rn / 4;
  const rowsOf = (block: number): string => `${(tm / blocksM / 4) * block}u + row`;
  const columnsOf = (block: number): string => `${(tn / blocksN / 4) * block}u + column`;
  const each = (visit: (i: number, j: number, r: number) => void): void => {
    for (let i = 0; i < blocksM; i++) each4((r) => dims(blocksN).forEach((j) => visit(i, j, r)));
  };
  each((i, j, r) => lines.push(`  var c${i}${r}_${j} = vec4<f32>();`));
  const accumulators = take();

  /** Statements that split the number `k` of a term into its channel `rest` and its kernel position `t{d}`. */
  const splitTerm = (): void => {
    lines.push("        var rest = k;");
    for (let d = rank - 1; d >= 0; d--)
      lines.push(`        let t${d} = i32(rest % params.kernel${d});`, `        rest = rest / params.kernel${d};`);
  };
  // The weight: neighbouring invocations load neighbouring terms.
  lines.push(`    for (var g = local; g < ${(tm / 4) * tk}u; g += ${threads}u) {`);
  lines.push(`      let kk = g % ${tk}u;`, `      let four = g / ${tk}u;`, "      let k = k0 + kk;");
  lines.push("      var value = vec4<f32>();", "      if (k < k_last) {");
  splitTerm();
  lines.push("        let x = m0 + four * 4u;");
  const tap = dims(rank).map((d) => `t${d} * params.weight_step${d}`);
  lines.push(
    `        let at = weight_at + i32(x) * params.weight_outer + i32(rest) * params.weight_channel + ${sum(tap)};`,
  );
  each4((r) => {
    const element = loadElement(weight, `weight_buffer[at${r === 0 ? "" : ` + ${r} * params.weight_outer`}]`);
    lines.push(`        if (x + ${r}u < params.m) { value.${"xyzw"[r]} = ${element}; }`);
  });
  lines.push("      }", `      tile_a[kk * ${strideA}u + four] = value;`, "    }");
  // The input: neighbouring invocations load neighbouring columns.
  lines.push(`    for (var kk = local / ${tn / 4}u; kk < ${tk}u; kk += ${threads / (tn / 4)}u) {`);
  lines.push("      let k = k0 + kk;", "      var value = vec4<f32>();", "      if (k < k_last) {");
  splitTerm();
  for (const d of dims(rank)) lines.push(`        let e${d} = t${d} * params.dilation${d};`);
  lines.push(
    `        let shift = i32(rest) * params.src_channel + ${sum(dims(rank).map((d) => `e${d} * params.src_step${d}`))};`,
  );
  each4((r) => {
    const inside = dims(rank).map((d) => `u32(y${d}_${r} + e${d}) < params.input${d}`);
    const element = loadElement(from, `src_buffer[base${r} + shift]`);
    lines.push(`        if (${inside.join(" && ")}) { value.${"xyzw"[r]} = ${element}; }`);
  });
  lines.push("      }", `      tile_b[kk * ${strideB}u + load_four] = value;`, "    }");
  const load = take();

  for (let i = 0; i < blocksM; i++) lines.push(`      let a${i} = tile_a[kk * ${strideA}u + ${rowsOf(i)}];`);
  for (let j = 0; j < blocksN; j++) lines.push(`      let b${j} = tile_b[kk * ${strideB}u + ${columnsOf(j)}];`);
  each((i, j, r) => lines.push(`      c${i}${r}_${j} = fma(vec4<f32>(a${i}.${"xyzw"[r]}), b${j}, c${i}${r}_${j});`));
  const multiply = take();

  const storeTiles = (): void => {
    for (let j = 0; j < blocksN; j++)
      each4((e) => {
        lines.push(`  let n${j}${e} = n0 + (${columnsOf(j)}) * 4u + ${e}u;`);
        if (parts) return;
        lines.push(...columnCoordinates(rank, `n${j}${e}`, "z", `_${j}${e}`));
        const place = dims(rank).map((d) => `z${d}_${j}${e} * params.dst_step${d}`);
        lines.push(`  let to_${j}${e} = i32(rest_${j}${e}) * params.dst_outer + ${sum(place)};`);
      });
    lines.push(
      parts
        ? "  let out_at = (split * params.groups + group) * params.m * params.n;"
        : "  let out_at = params.dst + i32(group) * params.dst_group;",
    );
    each((i, j, r) => {
      if (j === 0) {
        lines.push(`  let m${i}${r} = m0 + (${rowsOf(i)}) * 4u + ${r}u;`);
        lines.push(`  if (m${i}${r} < params.m) {`);
      }
      each4((e) => {
        const value = `c${i}${r}_${j}.${"xyzw"[e]}`;
        const place = parts
          ? `out_at + m${i}${r} * params.n + n${j}${e}`
          : `out_at + i32(m${i}${r}) * params.dst_channel + to_${j}${e}`;
        const element = parts ? value : storeElement(to, value);
        lines.push(`    if (n${j}${e} < params.n) { dst_buffer[${place}] = ${element}; }`);
      });
      if (j === blocksN - 1) lines.push("  }");
    });
  };
  if (work !== null) {
    const values: string[] = [];
    each((i, j, r) => values.push(`c${i}${r}_${j}`));
    lines.push(...finishing(tiling, values), "    if (m < params.m && n < params.n) {");
    lines.push(...columnCoordinates(rank, "n", "z", ""));
    const place = dims(rank).map((d) => `z${d} * params.dst_step${d}`);
    lines.push(
      `      let to = i32(group) * params.dst_group + i32(m) * params.dst_channel + i32(rest) * params.dst_outer + ${sum(place)};`,
      "      finish(u32(params.dst + to), values[e / 4u][e % 4u]);",
      "    }",
      "  }",
    );
  } else storeTiles();
  const store = take();

  const code = fillFrame(SHADERS.conv, {
    tm,
    tn,
    tk,
    threads,
    size_a: strideA * tk,
    size_b: strideB * tk,
    columns: tn / rn,
    positions,
    accumulators,
    load,
    multiply,
    store,
  });
  return text.finish(key, work === null ? code : work.function() + code, false);
}

/** Renders the convolution of one invocation an element. */
export function renderDirect(
  key: string,
  buffers: readonly BufferSlot[],
  rank: number,
  work: EpilogueCode | null = null,
): Shader {
  const [from, weight, to] = buffers as [BufferSlot, BufferSlot, BufferSlot];
  const text = new ShaderText();
  for (const name of ["groups", "m", "n", "channels"]) text.field(name, "u32");
  declareGeometry(text, rank);
  text.bind("src_buffer", stored(from), 0, false);
  text.bind("weight_buffer", stored(weight), 1, false);
  if (work === null) text.bind("dst_buffer", stored(to), 2, true);
  else work.declare(text);
  const position = columnCoordinates(rank, "n", "x", "");
  for (const d of dims(rank)) position.push(`  let y${d} = x${d} * params.stride${d} - params.padding${d};`);
  position.push(
    `  let origin = i32(rest) * params.src_outer + ${sum(dims(rank).map((d) => `y${d} * params.src_step${d}`))};`,
  );
  const loops: string[] = [];
  const pad = (d: number): string => "  ".repeat(d + 2);
  for (const d of dims(rank)) {
    loops.push(`${pad(d)}for (var t${d} = 0i; t${d} < i32(params.kernel${d}); t${d}++) {`);
    loops.push(`${pad(d + 1)}let e${d} = t${d} * params.dilation${d};`);
    loops.push(`${pad(d + 1)}if (u32(y${d} + e${d}) >= params.input${d}) { continue; }`);
  }
  const source = `src_at + c * params.src_channel + ${sum(dims(rank).map((d) => `e${d} * params.src_step${d}`))}`;
  const filter = `weight_at + c * params.weight_channel + ${sum(dims(rank).map((d) => `t${d} * params.weight_step${d}`))}`;
  loops.push(
    `${pad(rank)}sum = fma(${loadElement(from, `src_buffer[${source}]`)}, ${loadElement(weight, `weight_buffer[${filter}]`)}, sum);`,
  );
  for (const d of dims(rank).toReversed()) loops.push(`${pad(d)}}`);
  const target = [
    "params.dst",
    "i32(group) * params.dst_group",
    "i32(m) * params.dst_channel",
    "i32(rest) * params.dst_outer",
    ...dims(rank).map((d) => `x${d} * params.dst_step${d}`),
  ];
  const code = fillFrame(SHADERS.conv_direct, {
    position: position.join("\n"),
    loops: loops.join("\n"),
    store:
      work === null ? `dst_buffer[${sum(target)}] = ${storeElement(to, "sum")};` : `finish(u32(${sum(target)}), sum);`,
  });
  return text.finish(key, work === null ? code : work.function() + code, false);
}
