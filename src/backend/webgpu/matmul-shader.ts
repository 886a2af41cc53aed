/** The shader of a tiled matrix product. */

import { valueType } from "../../graph/builder.ts";
import type { BufferSlot } from "../../graph/kernel.ts";
import type { EpilogueCode } from "./epilogue.ts";
import { loadElement, storeElement, wgslType } from "./express.ts";
import { fillFrame, ShaderText, STORED, type Shader } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";

/** A way of tiling: elements a workgroup makes, depth of a tile, elements an invocation makes. */
export interface Tiling {
  readonly tm: number;
  readonly tn: number;
  readonly tk: number;
  readonly rm: number;
  readonly rn: number;
}

/** Sides of which four neighbours across are loaded at once: they lie together, and nothing else than whole groups of four is there. */
export interface WideSides {
  readonly a: boolean;
  readonly b: boolean;
}

/**
 * Renders a tiled product. `aAlongK`, `bAlongK`: neighbouring invocations load neighbours along k. `parts`: parts of k go to scratch memory. `work` is done on
 * the elements before they are written.
 */
export function renderMatmul(
  key: string,
  buffers: readonly BufferSlot[],
  rank: number,
  tiling: Tiling,
  aAlongK: boolean,
  bAlongK: boolean,
  parts: boolean,
  work: EpilogueCode | null = null,
  wide: WideSides = { a: false, b: false },
): Shader {
  const { tm, tn, tk, rm, rn } = tiling;
  const threads = (tm / rm) * (tn / rn);
  const [a, b, out] = buffers as [BufferSlot, BufferSlot, BufferSlot];
  const type = wgslType(valueType(a.dtype));
  const text = new ShaderText();
  for (const name of ["m", "n", "k", "tiles_m", "tiles_n", "batches", "splits", "k_part", "part"])
    text.field(name, "u32");
  for (let d = 0; d < rank; d++) text.field(`size${d}`, "u32");
  for (const side of ["a", "b"]) {
    for (const name of [side, `${side}_row`, `${side}_column`]) text.field(name, "i32");
    for (let d = 0; d < rank; d++) text.field(`${side}_batch${d}`, "i32");
  }
  for (const name of ["out", "out_row"]) text.field(name, "u32");
  for (let d = 0; d < rank; d++) text.field(`out_batch${d}`, "u32");
  text.bind("a_buffer", wide.a ? `vec4<${stored(a)}>` : stored(a), 0, false);
  text.bind("b_buffer", wide.b ? `vec4<${stored(b)}>` : stored(b), 1, false);
  if (parts) text.bind("out_buffer", type, -1, true);
  else if (work !== null) work.declare(text);
  else text.bind("out_buffer", stored(out), 2, true);

  const lines: string[] = [];
  const take = (): string => {
    const result = lines.join("\n");
    lines.length = 0;
    return result;
  };

  lines.push("  var a_at = params.a;", "  var b_at = params.b;", "  var out_at = params.out + split * params.part;");
  if (rank > 0) lines.push("  var rest = batch;");
  for (let d = rank - 1; d >= 0; d--) {
    lines.push(`  let c${d} = i32(rest % params.size${d});`, `  rest = rest / params.size${d};`);
    lines.push(`  a_at += c${d} * params.a_batch${d};`, `  b_at += c${d} * params.b_batch${d};`);
    lines.push(`  out_at += u32(c${d}) * params.out_batch${d};`);
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
    if (wide[side]) {
      lines.splice(-1, 1, `        if (x < ${extent}) {`);
      lines.push(
        `          value = vec4<${type}>(${side}_buffer[u32(${side}_at + i32(k) * ${down} + i32(x)) / 4u]);`,
        "        }",
      );
      lines.push("      }", `      tile_${side}[kk * ${stride}u + four] = value;`, "    }");
      return;
    }
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

  if (work !== null) {
    const values: string[] = [];
    each((i, j, r) => values.push(`c${i}${r}_${j}`));
    lines.push(...finishing(tiling, values), "    if (m < params.m && n < params.n) {");
    lines.push("      finish(out_at + m * params.out_row + n, values[e / 4u][e % 4u]);", "    }", "  }");
  } else
    each((i, j, r) => {
      if (j === 0) {
        lines.push(`  let m${i}${r} = m0 + (${rowsOf(i)}) * 4u + ${r}u;`);
        lines.push(`  if (m${i}${r} < params.m) {`);
      }
      lines.push(`    let n${i}${r}_${j} = n0 + (${columnsOf(j)}) * 4u;`);
      for (let e = 0; e < 4; e++) {
        const value = `c${i}${r}_${j}.${"xyzw"[e]}`;
        const element = parts ? value : storeElement(out, value);
        const place = `out_at + m${i}${r} * params.out_row + n${i}${r}_${j}${e === 0 ? "" : ` + ${e}u`}`;
        lines.push(
          `    if (n${i}${r}_${j}${e === 0 ? "" : ` + ${e}u`} < params.n) { out_buffer[${place}] = ${element}; }`,
        );
      }
      if (j === blocksN - 1) lines.push("  }");
    });
  const store = take();

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
  return text.finish(key, work === null ? code : work.function() + code, false);
}

/**
 * Opens a loop over the elements that an invocation made, in one place of the code: `e` is the number among them, `m` and `n` say where in the result it
 * is. What is made of them is copied first, so that it stays in registers before.
 */
export function finishing({ tm, tn, rm, rn }: Tiling, values: readonly string[]): string[] {
  const [blocksM, blocksN] = [rm / 4, rn / 4];
  return [
    `  var values = array<vec4<f32>, ${values.length}>(${values.join(", ")});`,
    `  for (var e = 0u; e < ${4 * values.length}u; e++) {`,
    `    let m = m0 + (${tm / blocksM / 4}u * (e / ${16 * blocksN}u) + row) * 4u + (e / ${4 * blocksN}u) % 4u;`,
    `    let n = n0 + (${tn / blocksN / 4}u * ((e / 4u) % ${blocksN}u) + column) * 4u + e % 4u;`,
  ];
}

function stored(slot: BufferSlot): string {
  return STORED[slot.dtype as keyof typeof STORED];
}
