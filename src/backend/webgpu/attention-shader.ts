/** The shaders of attention and of its gradients. */

import type { AttentionAttrs } from "../../graph/attention.ts";
import type { BufferSlot } from "../../graph/kernel.ts";
import { loadElement, storeElement } from "./express.ts";
import { fillFrame, ShaderText, STORED, type Shader } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";

/** Rows that a workgroup makes (a multiple of 4) and columns that go by at a time (of 8); eight invocations share four rows. */
export interface AttentionTiling {
  readonly rows: number;
  readonly columns: number;
}

/** What a shader of attention is made for. */
export interface AttentionVariant {
  readonly attrs: AttentionAttrs;
  readonly tiling: AttentionTiling;
  readonly width: number;
  readonly valueWidth: number;
  /** One a buffer: whether its rows can be loaded four elements at a time. */
  readonly wide: readonly boolean[];
}

/** Name of each operand by its slot. */
export function operandsOf(attrs: AttentionAttrs): string[] {
  const names = ["query", "key", "value"];
  if (attrs.pass !== "forward") names.push("grad", "packed", "delta");
  if (attrs.mask !== "none") names.push("mask");
  return [...names, "out"];
}

/** Operands that lie as their strides say. */
export function stridedOf(attrs: AttentionAttrs): string[] {
  return operandsOf(attrs).filter((name) => name !== "packed" && name !== "delta" && name !== "out");
}

const fours = (width: number): number => Math.ceil(width / 4);

/** Groups of four columns that an invocation has of a matrix of this width. */
const shares = (width: number): number => Math.ceil(width / 32);

/** vec4s of a row of a tile: one more than needed, so that rows lie in different memory banks. */
function stride(width: number, isSummed: boolean): number {
  return Math.max(fours(width) + 1, isSummed ? 8 * shares(width) : 0);
}

/** Bytes of shared memory that a variant takes. */
export function attentionBytes(attrs: AttentionAttrs, width: number, valueWidth: number, t: AttentionTiling): number {
  const { rows, columns } = t;
  const lines = rows / 4;
  if (attrs.pass === "forward") {
    const other = Math.max(stride(width, false), stride(valueWidth, true));
    return 16 * (rows * stride(width, false) + columns * other + columns * lines + 8 * lines);
  }
  const both = attrs.pass === "keyValue";
  const own = stride(width, false) + stride(valueWidth, false);
  const other = stride(width, true) + stride(valueWidth, both);
  return 16 * (rows * own + columns * other + (both ? 2 : 1) * columns * lines);
}

/** Renders attention or a gradient of it. */
export function renderAttention(key: string, buffers: readonly BufferSlot[], variant: AttentionVariant): Shader {
  return new AttentionText(buffers, variant).render(key);
}

class AttentionText {
  readonly #buffers: readonly BufferSlot[];
  readonly #v: AttentionVariant;
  readonly #names: readonly string[];
  readonly #text = new ShaderText();
  #lines: string[] = [];

  constructor(buffers: readonly BufferSlot[], variant: AttentionVariant) {
    this.#buffers = buffers;
    this.#v = variant;
    this.#names = operandsOf(variant.attrs);
  }

  render(key: string): Shader {
    const { attrs } = this.#v;
    const text = this.#text;
    for (const name of ["first", "tiles", "batches", "queries", "keys", "reach", "statistics"]) text.field(name, "u32");
    text.field("scale", "f32");
    for (let d = 0; d < attrs.rank; d++) text.field(`size${d}`, "u32");
    for (const name of stridedOf(attrs)) {
      for (const field of [name, `${name}_row`, `${name}_column`]) text.field(field, "i32");
      for (let d = 0; d < attrs.rank; d++) text.field(`${name}_batch${d}`, "i32");
    }
    this.#names.forEach((name, slot) => {
      const element = STORED[this.#buffers[slot]!.dtype as keyof typeof STORED];
      text.bind(`${name}_buffer`, this.#v.wide[slot] ? `vec4<${element}>` : element, slot, name === "out");
    });
    const code = attrs.pass === "forward" ? this.#forward() : this.#gradient(attrs.pass);
    return text.finish(key, code, false);
  }

  #take(): string {
    const result = this.#lines.join("\n");
    this.#lines = [];
    return result;
  }

  #line(...lines: string[]): void {
    this.#lines.push(...lines);
  }

  #slot(name: string): number {
    return this.#names.indexOf(name);
  }

  #offsets(): string {
    const { rank } = this.#v.attrs;
    const names = stridedOf(this.#v.attrs);
    for (const name of names) this.#line(`  var ${name}_at = params.${name};`);
    if (rank > 0) this.#line("  var rest = batch;");
    for (let d = rank - 1; d >= 0; d--) {
      this.#line(`  let c${d} = i32(rest % params.size${d});`, `  rest = rest / params.size${d};`);
      for (const name of names) this.#line(`  ${name}_at += c${d} * params.${name}_batch${d};`);
    }
    return this.#take();
  }

  /** Loads `count` rows of an operand from row `first` on to shared memory; zeros where there are none. */
  #load(
    name: string,
    memory: string,
    first: string,
    count: number,
    of: string,
    width: number,
    step: number,
    isScaled: boolean,
  ): void {
    const groups = fours(width);
    const slot = this.#slot(name);
    const buffer = this.#buffers[slot]!;
    const threads = this.#threads;
    this.#line(`  for (var i = local; i < ${count * groups}u; i += ${threads}u) {`);
    this.#line(`    let r = i / ${groups}u;`, `    let c = i % ${groups}u;`);
    this.#line("    var value = vec4<f32>();");
    this.#line(`    if (${first} + r < params.${of}) {`);
    const start = `${name}_at + i32(${first} + r) * params.${name}_row`;
    if (this.#v.wide[slot]) this.#line(`      value = vec4<f32>(${name}_buffer[(${start}) / 4 + i32(c)]);`);
    else {
      this.#line(`      let at = ${start} + i32(c) * 4 * params.${name}_column;`);
      for (let e = 0; e < 4; e++) {
        const element = loadElement(buffer, `${name}_buffer[at + ${e} * params.${name}_column]`);
        const isInside = width % 4 === 0 || e < width % 4;
        this.#line(
          isInside
            ? `      value.${"xyzw"[e]} = ${element};`
            : `      if (c * 4u + ${e}u < ${width}u) { value.${"xyzw"[e]} = ${element}; }`,
        );
      }
    }
    this.#line("    }", `    ${memory}[r * ${step}u + c] = value${isScaled ? " * params.scale" : ""};`, "  }");
  }

  get #threads(): number {
    return this.#v.tiling.rows * 2;
  }

  /** `name{c}` = products of the invocation's four rows of `own` with column c of its share of `other`. */
  #products(name: string, own: string, ownStep: number, other: string, otherStep: number, width: number): void {
    const columns = this.#v.tiling.columns / 8;
    for (let c = 0; c < columns; c++) this.#line(`    var ${name}${c} = vec4<f32>();`);
    this.#line(`    for (var k = 0u; k < ${fours(width)}u; k++) {`);
    for (let r = 0; r < 4; r++) this.#line(`      let x${r} = ${own}[(ty * 4u + ${r}u) * ${ownStep}u + k];`);
    for (let c = 0; c < columns; c++) {
      this.#line(`      let y${c} = ${other}[(tx + ${8 * c}u) * ${otherStep}u + k];`);
      const dots = [0, 1, 2, 3].map((r) => `dot(x${r}, y${c})`).join(", ");
      this.#line(`      ${name}${c} += vec4<f32>(${dots});`);
    }
    this.#line("    }");
  }

  /** Adds the mask to the scores `s{c}`, and makes those -infinity that do not count. */
  #mask(rowsAreQueries: boolean): void {
    const { attrs, tiling } = this.#v;
    const columns = tiling.columns / 8;
    const [own, others] = rowsAreQueries ? ["queries", "keys"] : ["keys", "queries"];
    for (let c = 0; c < columns; c++) {
      this.#line(`    let j${c} = col0 + tx + ${8 * c}u;`);
      for (let r = 0; r < 4; r++) {
        const row = `(row0 + ty * 4u + ${r}u)`;
        const [i, j] = rowsAreQueries ? [row, `j${c}`] : [`j${c}`, row];
        const score = `s${c}.${"xyzw"[r]}`;
        if (attrs.mask !== "none") {
          const slot = this.#buffers[this.#slot("mask")]!;
          const at = `mask_buffer[mask_at + i32(${i}) * params.mask_row + i32(${j}) * params.mask_column]`;
          this.#line(`    if (${row} < params.${own} && j${c} < params.${others}) {`);
          if (attrs.mask === "float") this.#line(`      ${score} += ${loadElement(slot, at)};`);
          else this.#line(`      if (!(${loadElement(slot, at)})) { ${score} = -t_inf(); }`);
          this.#line("    }");
        }
        const tests = [`j${c} >= params.${others}`];
        if (!rowsAreQueries) tests.push(`${row} >= params.${own}`);
        tests.push(`${j} > ${i} + params.reach`);
        this.#line(`    if (${tests.join(" || ")}) { ${score} = -t_inf(); }`);
      }
    }
  }

  /** Sums `name{r}_{n}` of rows r over the columns' `factors`, times the groups n of `memory`. */
  #accumulators(name: string, width: number): void {
    for (let r = 0; r < 4; r++)
      for (let n = 0; n < shares(width); n++) this.#line(`  var ${name}${r}_${n} = vec4<f32>();`);
  }

  #accumulate(name: string, factor: string, memory: string, step: number, width: number): void {
    for (let n = 0; n < shares(width); n++) {
      const x = `${memory}_${n}`;
      this.#line(`      let ${x} = ${memory}[j * ${step}u + tx + ${8 * n}u];`);
      for (let r = 0; r < 4; r++)
        this.#line(`      ${name}${r}_${n} = fma(vec4<f32>(${factor}.${"xyzw"[r]}), ${x}, ${name}${r}_${n});`);
    }
  }

  /** Stores the sums `name` of the invocation's rows, from element `start` of the output on. */
  #store(name: string, start: string, of: string, width: number, factor: (r: number) => string): void {
    const slot = this.#buffers[this.#slot("out")]!;
    for (let r = 0; r < 4; r++) {
      this.#line(`  if (row0 + ty * 4u + ${r}u < params.${of}) {`);
      this.#line(`    let line = ${start} + (batch * params.${of} + row0 + ty * 4u + ${r}u) * ${width}u;`);
      for (let n = 0; n < shares(width); n++)
        for (let e = 0; e < 4; e++) {
          const column = `(tx + ${8 * n}u) * 4u + ${e}u`;
          const value = `${name}${r}_${n}.${"xyzw"[e]}${factor(r)}`;
          const isInside = 8 * n * 4 + 7 * 4 + e < width;
          const statement = `out_buffer[line + ${column}] = ${storeElement(slot, value)};`;
          this.#line(isInside ? `    ${statement}` : `    if (${column} < ${width}u) { ${statement} }`);
        }
      this.#line("  }");
    }
  }

  #forward(): string {
    const { tiling, width, valueWidth } = this.#v;
    const { rows, columns } = tiling;
    const lines = rows / 4;
    const ownStep = stride(width, false);
    const keyStep = stride(width, false);
    const valueStep = stride(valueWidth, true);
    const shared = columns / 8;
    const offsets = this.#offsets();
    this.#load("query", "own", "row0", rows, "queries", width, ownStep, true);
    const loadOwn = this.#take();
    this.#accumulators("o", valueWidth);
    const accumulators = this.#take();
    this.#load("key", "other", "col0", columns, "keys", width, keyStep, false);
    const loadKey = this.#take();
    this.#products("s", "own", ownStep, "other", keyStep, width);
    this.#mask(true);
    const scores = this.#take();
    let ownPeak = "s0";
    for (let c = 1; c < shared; c++) ownPeak = `max4(${ownPeak}, s${c})`;
    for (let c = 0; c < shared; c++)
      this.#line(
        `    let p${c} = exp4(s${c} - base);`,
        `    total += p${c};`,
        `    weights[(tx + ${8 * c}u) * ${lines}u + ty] = p${c};`,
      );
    const weigh = this.#take();
    this.#load("value", "other", "col0", columns, "keys", valueWidth, valueStep, false);
    const loadValue = this.#take();
    for (let r = 0; r < 4; r++)
      for (let n = 0; n < shares(valueWidth); n++) this.#line(`    o${r}_${n} *= factor.${"xyzw"[r]};`);
    const rescale = this.#take();
    this.#accumulate("o", "p", "other", valueStep, valueWidth);
    const accumulate = this.#take();
    this.#line("  let none = total == vec4<f32>();");
    this.#line("  let inverse = select(1.0 / total, vec4<f32>(t_nan()), none);");
    this.#store("o", "0u", "queries", valueWidth, (r) => ` * inverse.${"xyzw"[r]}`);
    this.#statistics();
    return fillFrame(SHADERS.attention, {
      rows,
      columns,
      lines,
      threads: this.#threads,
      own_size: rows * ownStep,
      other_size: columns * Math.max(keyStep, valueStep),
      weights_size: columns * lines,
      peaks_size: 8 * lines,
      offsets,
      load_own: loadOwn,
      accumulators,
      last: `min(params.keys, row0 + ${rows}u + params.reach)`,
      load_key: loadKey,
      scores,
      own_peak: ownPeak,
      weigh,
      load_value: loadValue,
      rescale,
      accumulate,
      store: this.#take(),
    });
  }

  #statistics(): void {
    const slot = this.#buffers[this.#slot("out")]!;
    this.#line("  if (tx != 0u) { return; }");
    for (let r = 0; r < 4; r++) {
      const c = "xyzw"[r];
      this.#line(`  if (row0 + ty * 4u + ${r}u < params.queries) {`);
      this.#line(`    let statistic = select(peak.${c} + t_log(total.${c}), -t_inf(), none.${c});`);
      this.#line(`    let line = batch * params.queries + row0 + ty * 4u + ${r}u;`);
      if (slot.dtype === "float16") {
        this.#line("    let coarse = t_to_half(statistic);");
        this.#line("    out_buffer[params.statistics + line * 2u] = coarse;");
        this.#line("    let rest = select(statistic - f32(coarse), 0.0, t_isinf(f32(coarse)));");
        this.#line("    out_buffer[params.statistics + line * 2u + 1u] = t_to_half(rest);");
      } else this.#line("    out_buffer[params.statistics + line] = statistic;");
      this.#line("  }");
    }
  }

  /** The statistic of the query with this number. */
  #statistic(query: string): string {
    const line = `params.statistics + batch * params.queries + ${query}`;
    if (this.#buffers[this.#slot("packed")]!.dtype !== "float16") return `packed_buffer[${line}]`;
    const at = `params.statistics + (batch * params.queries + ${query}) * 2u`;
    return `f32(packed_buffer[${at}]) + f32(packed_buffer[${at} + 1u])`;
  }

  #gradient(pass: "query" | "keyValue"): string {
    const { tiling, width, valueWidth } = this.#v;
    const { rows, columns } = tiling;
    const lines = rows / 4;
    const shared = columns / 8;
    const byQuery = pass === "query";
    const [own, others] = byQuery ? (["queries", "keys"] as const) : (["keys", "queries"] as const);
    const [ownA, ownB, otherA, otherB] = byQuery
      ? (["query", "grad", "key", "value"] as const)
      : (["key", "value", "query", "grad"] as const);
    const steps = {
      ownA: stride(width, false),
      ownB: stride(valueWidth, false),
      otherA: stride(width, true),
      otherB: stride(valueWidth, !byQuery),
    };
    const offsets = this.#offsets();
    this.#load(ownA, "own_a", "row0", rows, own, width, steps.ownA, byQuery);
    this.#load(ownB, "own_b", "row0", rows, own, valueWidth, steps.ownB, false);
    const loadOwn = this.#take();
    this.#accumulators("a", width);
    if (!byQuery) this.#accumulators("b", valueWidth);
    if (byQuery) {
      this.#line("  var statistic = vec4<f32>();", "  var delta = vec4<f32>();");
      for (let r = 0; r < 4; r++) {
        const i = `row0 + ty * 4u + ${r}u`;
        this.#line(`  if (${i} < params.queries) {`);
        this.#line(`    statistic.${"xyzw"[r]} = ${this.#statistic(i)};`);
        this.#line(`    delta.${"xyzw"[r]} = delta_buffer[batch * params.queries + ${i}];`, "  }");
      }
    }
    const accumulators = this.#take();
    this.#load(otherA, "other_a", "col0", columns, others, width, steps.otherA, !byQuery);
    this.#load(otherB, "other_b", "col0", columns, others, valueWidth, steps.otherB, false);
    const loadOther = this.#take();
    this.#products("s", "own_a", steps.ownA, "other_a", steps.otherA, width);
    this.#mask(byQuery);
    this.#products("g", "own_b", steps.ownB, "other_b", steps.otherB, valueWidth);
    for (let c = 0; c < shared; c++) {
      let [statistic, delta] = ["statistic", "delta"];
      if (!byQuery) {
        [statistic, delta] = [`statistic${c}`, `delta${c}`];
        this.#line(`    var ${statistic} = 0.0;`, `    var ${delta} = 0.0;`, `    if (j${c} < params.queries) {`);
        this.#line(`      ${statistic} = ${this.#statistic(`j${c}`)};`);
        this.#line(`      ${delta} = delta_buffer[batch * params.queries + j${c}];`, "    }");
      }
      // What lies outside counts for nothing, even next to a NaN.
      const inside = `j${c} < params.${others}`;
      this.#line(`    let p${c} = select(vec4<f32>(), exp4(s${c} - ${statistic}), ${inside});`);
      const place = `(tx + ${8 * c}u) * ${lines}u + ty`;
      if (!byQuery) this.#line(`    weights[${place}] = p${c};`);
      this.#line(`    slopes[${place}] = select(vec4<f32>(), p${c} * (g${c} - ${delta}), ${inside});`);
    }
    const scores = this.#take();
    this.#line(`      let ds = slopes[j * ${lines}u + ty];`);
    this.#accumulate("a", "ds", "other_a", steps.otherA, width);
    if (!byQuery) {
      this.#line(`      let p = weights[j * ${lines}u + ty];`);
      this.#accumulate("b", "p", "other_b", steps.otherB, valueWidth);
    }
    const accumulate = this.#take();
    this.#store("a", "0u", own, width, () => (byQuery ? " * params.scale" : ""));
    if (!byQuery) this.#store("b", `params.batches * params.keys * ${width}u`, own, valueWidth, () => "");
    return fillFrame(SHADERS.attention_grad, {
      rows,
      columns,
      threads: this.#threads,
      own_a_size: rows * steps.ownA,
      own_b_size: rows * steps.ownB,
      other_a_size: columns * steps.otherA,
      other_b_size: columns * steps.otherB,
      weights: byQuery ? "" : `var<workgroup> weights: array<vec4<f32>, ${columns * lines}>;`,
      weights_size: columns * lines,
      // The longest come first.
      tile: byQuery ? "(params.tiles - 1u - group % params.tiles)" : "(group % params.tiles)",
      offsets,
      load_own: loadOwn,
      accumulators,
      begin: byQuery ? "0u" : `(max(row0, params.reach) - params.reach) / ${columns}u * ${columns}u`,
      last: byQuery ? `min(params.keys, row0 + ${rows}u + params.reach)` : "params.queries",
      load_other: loadOther,
      scores,
      accumulate,
      store: this.#take(),
    });
  }
}
