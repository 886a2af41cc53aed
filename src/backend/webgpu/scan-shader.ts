/** The shaders of running totals. */

import { valueType } from "../../graph/builder.ts";
import type { BufferSlot, RoutineStructure, ValueType } from "../../graph/kernel.ts";
import { fromBits, literal, loadElement, reducer, storeElement, toBits, wgslType, type Reducer } from "./express.ts";
import { fillFrame, ShaderText, WORKGROUP, type Shader } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";
import { declareWalk, stored, walk } from "./strided.ts";

/**
 * How rows are walked.
 *
 * - `serial`: an invocation a row.
 * - `rows`: so many neighbouring lanes a row (a square of a power of two, or 256); they exchange totals in shared memory, or, `subgroup` of them at a time, directly (1: not).
 * - `columns`: so many neighbouring rows side by side in a workgroup, for rows whose neighbours lie together.
 */
export type ScanForm =
  | { readonly kind: "serial" }
  | { readonly kind: "rows"; readonly lanes: 16 | 64 | 256; readonly subgroup: number }
  | { readonly kind: "columns"; readonly across: 8 | 32 };

/**
 * What a dispatch does: whole rows; or, of rows that are cut into chunks, `totals` writes each chunk's total to scratch memory, `carry` scans these along each
 * row, `chunks` scans the chunks, each from its carry.
 */
export type ScanPass = "whole" | "totals" | "carry" | "chunks";

/** Sides of which four neighbours along the row are moved at once: they lie together, and rows are whole groups of four. */
export interface WideScan {
  readonly input: boolean;
  readonly out: boolean;
}

/** Neighbouring elements that a lane takes. */
const ROW_ITEMS = 4;
const COLUMN_ITEMS = 8;

/** Lanes that share a row. */
export function scanLanes(form: ScanForm): number {
  return form.kind === "serial" ? 1 : form.kind === "rows" ? form.lanes : WORKGROUP / form.across;
}

/** Rows of a workgroup. */
export function scanRows(form: ScanForm): number {
  return form.kind === "serial" ? 64 : form.kind === "rows" ? WORKGROUP / form.lanes : form.across;
}

/** Elements that the lanes of a row take in turn. */
export function scanTile(form: ScanForm): number {
  return scanLanes(form) * (form.kind === "columns" ? COLUMN_ITEMS : ROW_ITEMS);
}

/** Text that tells forms apart. */
export function scanFormName(form: ScanForm): string {
  if (form.kind === "serial") return "serial";
  if (form.kind === "columns") return `columns${form.across}`;
  return `rows${form.lanes}${form.subgroup > 1 ? "s" : ""}`;
}

/** Renders a scan. A `serial` one has whole rows; a `carry` is in rows. */
export function renderScan(
  key: string,
  structure: RoutineStructure,
  form: ScanForm,
  pass: ScanPass,
  wide: WideScan = { input: false, out: false },
): Shader {
  const [input, out] = structure.buffers as [BufferSlot, BufferSlot];
  const rank = structure.attrs["rank"] as number;
  const type: ValueType = valueType(out.dtype) === "b" ? "i" : valueType(out.dtype);
  const how = reducer(structure.attrs["kind"] as "sum" | "prod" | "max" | "min", type);
  const text = new ShaderText();
  for (const name of ["rows", "length", "chunk", "chunks", "first_chunk", "all_chunks"]) text.field(name, "u32");
  declareWalk(text, rank, ["input", "out"], ["input", "out"]);
  const element = (slot: BufferSlot, four: boolean): string => (four ? `vec4<${stored(slot)}>` : stored(slot));
  if (pass !== "carry") text.bind("input_buffer", element(input, wide.input), 0, false);
  if (pass === "whole" || pass === "chunks") text.bind("out_buffer", element(out, wide.out), 1, true);
  if (pass !== "whole") text.bind("scratch", wgslType(type), -1, pass !== "chunks");
  const value = (x: string): string => {
    const loaded = loadElement(input, x);
    const from = valueType(input.dtype);
    if (from === type) return loaded;
    return from === "b"
      ? `select(${literal(0, type)}, ${literal(1, type)}, ${loaded})`
      : `${wgslType(type)}(${loaded})`;
  };
  if (form.kind === "serial") {
    const code = fillFrame(SHADERS.scan_rows, {
      offsets: walk(rank, "row", ["input", "out"]),
      initial: how.initial,
      load: value("input_buffer[input_at + i * params.input_step]"),
      combine: how.combine("sum", "x"),
      store: storeElement(out, "sum"),
    });
    return text.finish(key, code, false);
  }
  const lanes = scanLanes(form);
  const items = form.kind === "columns" ? COLUMN_ITEMS : ROW_ITEMS;
  const columns = form.kind === "columns";
  const { shared, exchange } = exchangeOf(form, how);
  const code = fillFrame(SHADERS.scan, {
    shared,
    lanes,
    items,
    rows: WORKGROUP / lanes,
    slot: columns ? `local % ${form.across}u` : `local / ${lanes}u`,
    lane: columns ? `local / ${form.across}u` : `local % ${lanes}u`,
    offsets: pass === "carry" ? "" : walk(rank, "row", pass === "totals" ? ["input"] : ["input", "out"]),
    carry:
      pass === "chunks"
        ? `select(${how.initial}, scratch[row * params.all_chunks + max(params.first_chunk + chunk, 1u) - 1u], params.first_chunk + chunk > 0u)`
        : how.initial,
    load: loads(items, how, pass === "carry" ? null : value, wide.input),
    exchange,
    store: pass === "totals" ? "" : stores(items, how, pass === "carry" ? null : out, wide.out),
    finish:
      pass === "totals"
        ? "  if (live && lane == 0u) { scratch[row * params.all_chunks + params.first_chunk + chunk] = carry; }"
        : "",
  });
  return text.finish(key, code, false);
}

const IN_SCRATCH = "scratch[u32(i) + row * params.length]";

/** Statements that bring a lane's elements to `x0`, `x1`, ... and what they come to together to `total`. */
function loads(items: number, how: Reducer, value: ((x: string) => string) | null, wide: boolean): string {
  const lines: string[] = [];
  for (let e = 0; e < items; e++) lines.push(`    var x${e} = ${how.initial};`);
  if (wide && value !== null) {
    lines.push("    if (begin < last) {", "      let four = input_buffer[(u32(input_at) + begin) / 4u];");
    for (let e = 0; e < items; e++) lines.push(`      x${e} = ${value(`four.${"xyzw"[e]}`)};`);
    lines.push("    }");
  } else {
    const read = value === null ? IN_SCRATCH : value("input_buffer[input_at + i * params.input_step]");
    for (let e = 0; e < items; e++) {
      const at = e === 0 ? "begin" : `begin + ${e}u`;
      lines.push(`    if (${at} < last) {`, `      let i = i32(${at});`, `      x${e} = ${read};`, "    }");
    }
  }
  lines.push("    var total = x0;");
  for (let e = 1; e < items; e++) lines.push(`    total = ${how.combine("total", `x${e}`)};`);
  return lines.join("\n");
}

/** Statements that write the totals up to each of a lane's elements, from `before`. */
function stores(items: number, how: Reducer, out: BufferSlot | null, wide: boolean): string {
  const lines: string[] = [];
  for (let e = 0; e < items; e++)
    lines.push(`    let y${e} = ${how.combine(e === 0 ? "before" : `y${e - 1}`, `x${e}`)};`);
  if (wide && out !== null) {
    const four = Array.from({ length: items }, (_, e) => storeElement(out, `y${e}`)).join(", ");
    lines.push(`    if (begin < last) { out_buffer[(u32(out_at) + begin) / 4u] = vec4<${stored(out)}>(${four}); }`);
    return lines.join("\n");
  }
  for (let e = 0; e < items; e++) {
    const at = e === 0 ? "begin" : `begin + ${e}u`;
    const write =
      out === null
        ? `${IN_SCRATCH} = y${e};`
        : `out_buffer[out_at + i * params.out_step] = ${storeElement(out, `y${e}`)};`;
    lines.push(`    if (${at} < last) {`, `      let i = i32(${at});`, `      ${write}`, "    }");
  }
  return lines.join("\n");
}

/** Shared memory, and statements that make `before` of the lanes' totals and move `carry` on. Two pieces of memory take turns, so that a barrier less is needed. */
function exchangeOf(form: Exclude<ScanForm, { kind: "serial" }>, how: Reducer): { shared: string; exchange: string } {
  if (form.kind === "columns") return betweenColumns(form.across, how);
  const near = Math.min(form.subgroup, form.lanes);
  return near > 1 ? betweenSubgroups(form.lanes, near, how) : betweenLanes(form.lanes, how);
}

const memory = (name: string, how: Reducer, words: number): string =>
  `var<workgroup> ${name}: array<${wgslType(how.type)}, ${words}>;\n`;

/** The totals of the lanes above are as many as there are lanes: few. */
function betweenColumns(across: number, how: Reducer): { shared: string; exchange: string } {
  const exchange = `    totals[turn * 256u + local] = total;
    workgroupBarrier();
    var before = carry;
    for (var k = 0u; k < ${WORKGROUP / across}u; k++) {
      let x = totals[turn * 256u + k * ${across}u + slot];
      if (k < lane) { before = ${how.combine("before", "x")}; }
      carry = ${how.combine("carry", "x")};
    }`;
  return { shared: memory("totals", how, 2 * WORKGROUP), exchange };
}

/** In two rounds, over the square root of the lanes each. */
function betweenLanes(lanes: number, how: Reducer): { shared: string; exchange: string } {
  const fold = Math.sqrt(lanes);
  const sums = WORKGROUP / fold;
  const exchange = `    totals[turn * 256u + local] = total;
    workgroupBarrier();
    if (lane < ${fold}u) {
      let at = turn * 256u + slot * ${lanes}u + lane * ${fold}u;
      var sum = totals[at];
      for (var k = 1u; k < ${fold}u; k++) {
        let x = totals[at + k];
        sum = ${how.combine("sum", "x")};
      }
      sums[turn * ${sums}u + slot * ${fold}u + lane] = sum;
    }
    workgroupBarrier();
    var before = carry;
    for (var k = 0u; k < ${fold}u; k++) {
      let x = sums[turn * ${sums}u + slot * ${fold}u + k];
      if (k < lane / ${fold}u) { before = ${how.combine("before", "x")}; }
      carry = ${how.combine("carry", "x")};
    }
    for (var k = lane - lane % ${fold}u; k < lane; k++) {
      let x = totals[turn * 256u + slot * ${lanes}u + k];
      before = ${how.combine("before", "x")};
    }`;
  return { shared: memory("totals", how, 2 * WORKGROUP) + memory("sums", how, 2 * sums), exchange };
}

/**
 * First within subgroups, crosswise: of two halves that exchange their totals, the upper one comes after the lower one. That asks nothing of a subgroup but that
 * `near` neighbours are in it (see subgroups.ts). Then over what the subgroups come to, if there are several.
 */
function betweenSubgroups(lanes: number, near: number, how: Reducer): { shared: string; exchange: string } {
  const groups = lanes / near;
  const within = `    var inner = ${how.initial};
    for (var step = 1u; step < ${near}u; step = step << 1u) {
      let bits = subgroupShuffleXor(${toBits("total", how.type)}, step);
      let x = ${fromBits("bits", how.type)};
      if ((lane & step) != 0u) {
        inner = ${how.combine("x", "inner")};
        total = ${how.combine("x", "total")};
      } else {
        total = ${how.combine("total", "x")};
      }
    }`;
  if (groups === 1) {
    const exchange = `${within}
    let before = ${how.combine("carry", "inner")};
    carry = ${how.combine("carry", "total")};`;
    return { shared: "", exchange };
  }
  const sums = WORKGROUP / near;
  const exchange = `${within}
    if (lane % ${near}u == 0u) { sums[turn * ${sums}u + local / ${near}u] = total; }
    workgroupBarrier();
    var outer = carry;
    for (var k = 0u; k < ${groups}u; k++) {
      let x = sums[turn * ${sums}u + slot * ${groups}u + k];
      if (k < lane / ${near}u) { outer = ${how.combine("outer", "x")}; }
      carry = ${how.combine("carry", "x")};
    }
    let before = ${how.combine("outer", "inner")};`;
  return { shared: memory("sums", how, 2 * sums), exchange };
}
