/** From a fused structure to WGSL: one shader for each way of running it. */

import { DTypeError } from "../../errors.ts";
import type { DType } from "../../dtype.ts";
import { Body, Scope, type BufferNames, type TableNames } from "./body.ts";
import { fromBits, toBits } from "./express.ts";
import type { FusedPlan, Reduction } from "./fused.ts";
import { ShaderText, STORED, WORKGROUP, type Shader } from "./shader.ts";
import { deviceItemSize } from "./transfer.ts";
import { declareBody, variantKey, workgroupSize, type Layout, type Variant } from "./variants.ts";

/** Words of partial results that each invocation has in shared memory at a time. */
const SHARED_WORDS = 6;

/**
 * Renders a variant. The bindings of its shader are numbered as the layout has them. So many neighbouring invocations as `subgroup` says exchange values
 * without shared memory.
 */
export function renderFused(plan: FusedPlan, variant: Variant, layout: Layout, subgroup = 1): Shader {
  return new FusedText(plan, variant, layout, subgroup).render();
}

class FusedText implements BufferNames {
  readonly #plan: FusedPlan;
  readonly #variant: Variant;
  readonly #layout: Layout;
  readonly #subgroup: number;
  readonly #text = new ShaderText();
  readonly #names = new Map<number, { readonly name: string; readonly dtype: Exclude<DType, "float64"> }>();
  #scratchBound = false;
  /** Words of each piece of shared memory. */
  readonly #shared = new Map<string, number>();
  #turn = 0;
  readonly #body: Body;
  /** The statements of `main`. */
  readonly #main = new Scope(null, "  ");

  constructor(plan: FusedPlan, variant: Variant, layout: Layout, subgroup: number) {
    this.#subgroup = subgroup;
    this.#plan = plan;
    this.#variant = variant;
    this.#layout = layout;
    this.#body = new Body(plan.structure, this, this.#main);
  }

  access(access: number): string {
    return this.#use(this.#layout.accesses[access]!, this.#plan.structure.accesses[access]!.buffer);
  }

  table(slot: number): TableNames {
    const { tables, segmentBytes } = this.#layout;
    const size = segmentBytes / deviceItemSize(this.#plan.structure.buffers[slot]!.dtype);
    return { names: tables[slot]!.map((place) => this.#use(place, slot)), size };
  }

  #use(place: number, slot: number): string {
    const { dtype } = this.#plan.structure.buffers[slot]!;
    if (dtype === "float64") throw new DTypeError("float64 does not exist on WebGPU");
    const known = this.#names.get(place);
    if (known !== undefined) {
      if (known.dtype !== dtype && STORED[known.dtype] !== STORED[dtype])
        throw new DTypeError(`one buffer is bound as ${dtype} and as ${known.dtype}`);
      return known.name;
    }
    const name = `b${place}`;
    this.#text.bind(name, STORED[dtype], place, this.#writes(place));
    this.#names.set(place, { name, dtype });
    return name;
  }

  /** Whether this variant stores to a binding: what only reads may be bound for reading. */
  #writes(place: number): boolean {
    const { structure, rowStores, fullStores } = this.#plan;
    const v = this.#variant;
    const stores: number[] = [];
    if (v.kind === "map" || v.kind === "rows" || v.kind === "settle" || (v.kind === "gather" && this.#storesRows(v)))
      stores.push(...rowStores);
    if (v.kind === "rows" || v.kind === "finish") stores.push(...fullStores);
    return stores.some((i) => this.#layout.accesses[structure.stores[i]!.access] === place);
  }

  #storesRows(v: { readonly phase: number; readonly stores: boolean }): boolean {
    return v.stores && v.phase === this.#plan.phases.length - 1;
  }

  #useScratch(writes: boolean): string {
    if (!this.#scratchBound) this.#text.bind("scratch", "u32", -1, writes);
    this.#scratchBound = true;
    return "scratch";
  }

  render(): Shader {
    this.#declareFields();
    switch (this.#variant.kind) {
      case "map":
        this.#map();
        break;
      case "rows":
        this.#rows(this.#variant.lanes, this.#variant.lanesFirst);
        break;
      case "chunks":
        this.#chunks(this.#variant.phase);
        break;
      case "gather":
        this.#gather(this.#variant);
        break;
      case "finish":
        this.#finish();
        break;
      case "settle":
        this.#settle();
        break;
    }
    const { structure } = this.#plan;
    const { key } = this.#layout;
    const code =
      [...this.#shared].map(([name, words]) => `var<workgroup> ${name}: array<u32, ${words}>;\n`).join("") +
      `@compute @workgroup_size(${workgroupSize(this.#variant)})\n` +
      "fn main(@builtin(workgroup_id) group_id: vec3<u32>, @builtin(num_workgroups) group_count: vec3<u32>, " +
      "@builtin(local_invocation_index) local: u32) {\n" +
      "  let group = group_id.y * group_count.x + group_id.x;\n" +
      this.#main.lines.map((l) => `${l}\n`).join("") +
      "}\n";
    const usesStatus = structure.usesStatus && code.includes("t_check_index");
    return this.#text.finish(`${structure.key}|${variantKey(this.#variant)}|${key}`, code, usesStatus);
  }

  /** In the order of `writeFusedWords`. */
  #declareFields(): void {
    const { structure } = this.#plan;
    for (const name of ["rows", "cols", "chunk", "chunks", "first_chunk", "all_chunks", "block"])
      this.#text.field(name, "u32");
    if (this.#isMoved) {
      this.#text.field("position", "i32");
      for (let d = 0; d < structure.innerRank; d++) this.#text.field(`position_step${d}`, "i32");
    }
    declareBody(this.#text, structure);
  }

  // --- an invocation a row, no inner dimensions ---------------------------------------------------------------------

  #map(): void {
    const main = this.#main;
    main.line(`let row = group * ${WORKGROUP}u + local;`);
    main.line("if (row >= params.rows) { return; }");
    for (const phase of this.#plan.phases) for (const r of phase) this.#reduceSingle(r);
    this.#storeRows();
  }

  /** A reduction over the single element that there is. */
  #reduceSingle(r: Reduction): void {
    const operand = this.#body.value(r.operand, null);
    this.#main.let(`v${r.at}`, r.reducer.index ? "0i" : r.reducer.operand(operand));
  }

  #storeRows(): void {
    const { rowStores } = this.#plan;
    // Everything is loaded before anything is stored: a buffer may be both.
    for (const i of rowStores) this.#body.prepareStore(i, null);
    for (const i of rowStores) this.#body.store(i, null);
  }

  // --- lanes share a row --------------------------------------------------------------------------------------------

  #rows(lanes: number, lanesFirst: boolean): void {
    const { phases, rowStores, fullStores, rowStoreAfterLoad } = this.#plan;
    const main = this.#main;
    this.#locate(lanes, lanesFirst, workgroupSize(this.#variant));
    if (lanes === 1) main.line("if (wanted >= params.rows) { return; }");
    else main.line("let live = wanted < params.rows;");
    main.line("let row = min(wanted, params.rows - 1u);");
    for (const reductions of phases) {
      this.#accumulate(reductions, lanes, "0u", "params.cols");
      this.#combine(reductions, lanes, lanesFirst);
    }
    for (const i of rowStores) this.#body.prepareStore(i, null);
    this.#storeElements(fullStores, lanes, "0u", lanes === 1 ? "params.cols" : "select(0u, params.cols, live)");
    if (rowStores.length > 0) {
      if (rowStoreAfterLoad && lanes > 1) main.line("workgroupBarrier();");
      if (lanes > 1) main.line("if (!live || lane != 0u) { return; }");
      for (const i of rowStores) this.#body.store(i, null);
    }
  }

  /** Names the row (before clamping) and the lane of an invocation. */
  #locate(lanes: number, lanesFirst: boolean, size: number): void {
    const main = this.#main;
    const rows = size / lanes;
    if (lanes === 1) {
      main.line(`let wanted = group * ${size}u + local;`);
      main.line("let lane = 0u;");
    } else if (rows === 1) {
      main.line("let wanted = group;");
      main.line("let lane = local;");
    } else if (lanesFirst) {
      main.line(`let wanted = group * ${rows}u + local / ${lanes}u;`);
      main.line(`let lane = local % ${lanes}u;`);
    } else {
      main.line(`let wanted = group * ${rows}u + local % ${rows}u;`);
      main.line(`let lane = local / ${rows}u;`);
    }
  }

  /** Accumulates reductions over this lane's columns from `first` to `last`, into variables `t<at>` (and `j<at>`). */
  #accumulate(reductions: readonly Reduction[], lanes: number, first: string, last: string): void {
    const main = this.#main;
    const blocked = reductions.filter((r) => this.#isBlocked(r));
    for (const r of reductions) this.#declare(r);
    const indent = blocked.length > 0 ? "      " : "    ";
    const full = new Scope(main, indent);
    for (const r of reductions) {
      const x = r.reducer.operand(this.#body.value(r.operand, full));
      if (r.reducer.index) {
        const at = this.#position(full);
        full.line(`if (${r.reducer.beats(x, at, `t${r.at}`, `j${r.at}`)}) {`);
        full.line(`  t${r.at} = ${x};`);
        full.line(`  j${r.at} = ${at};`);
        full.line("}");
      } else {
        const total = this.#isBlocked(r) ? `part${r.at}` : `t${r.at}`;
        full.line(`${total} = ${r.reducer.combine(total, x)};`);
      }
    }
    const step = `${lanes}u`;
    const start = first === "0u" ? "lane" : `${first} + lane`;
    if (blocked.length === 0) {
      main.line(`for (var col = ${start}; col < ${last}; col += ${step}) {`);
      main.append(full.lines);
      main.line("}");
      return;
    }
    // Terms are added up in blocks, and the blocks' sums after that: rounding errors grow with the root of their number.
    main.line(`for (var start = ${start}; start < ${last}; start += ${step} * params.block) {`);
    for (const r of blocked) main.line(`  var part${r.at} = ${r.reducer.initial};`);
    main.line(`  let stop = min(start + ${step} * params.block, ${last});`);
    main.line(`  for (var col = start; col < stop; col += ${step}) {`);
    main.append(full.lines);
    main.line("  }");
    for (const r of blocked) main.line(`  t${r.at} = ${r.reducer.combine(`t${r.at}`, `part${r.at}`)};`);
    main.line("}");
  }

  /** Number of an element among all that its row is reduced over. */
  #position(full: Scope): string {
    if (!this.#isMoved) return "i32(col)";
    if (full.has("at_col")) return "at_col";
    const { innerRank } = this.#plan.structure;
    const terms = Array.from(
      { length: innerRank },
      (_, d) => `${this.#body.innerCoordinate(d, full)} * params.position_step${d}`,
    );
    return full.let("at_col", ["params.position", ...terms].join(" + "));
  }

  get #isMoved(): boolean {
    return this.#variant.kind === "chunks" && this.#variant.moved;
  }

  #isBlocked(r: Reduction): boolean {
    const instr = this.#plan.structure.instrs[r.at]!;
    return instr.imm === "sum" && r.reducer.type === "f";
  }

  /** Combines the lanes' partial results and names the reductions' values, in all lanes. */
  #combine(reductions: readonly Reduction[], lanes: number, lanesFirst: boolean): void {
    if (lanes > 1) this.#combineShared(reductions, lanes, lanesFirst);
    for (const r of reductions) this.#main.let(`v${r.at}`, r.reducer.index ? `j${r.at}` : `t${r.at}`);
  }

  /** Combines the lanes' partial results in all lanes, a few reductions at a time, to keep shared memory small. */
  #combineShared(reductions: readonly Reduction[], lanes: number, lanesFirst: boolean): void {
    let batch: Reduction[] = [];
    let words = 0;
    for (const r of reductions) {
      if (words + r.words > SHARED_WORDS) {
        this.#combineBatch(batch, lanes, lanesFirst);
        batch = [];
        words = 0;
      }
      batch.push(r);
      words += r.words;
    }
    this.#combineBatch(batch, lanes, lanesFirst);
  }

  /**
   * Two rounds through shared memory: `fold` lanes of a row combine lanes / fold results each, then every lane combines the `fold`
   * that are left. A round's memory is written again only behind the other round's barrier; where there is one round only, two
   * pieces of memory take turns.
   */
  #combineBatch(batch: readonly Reduction[], lanes: number, lanesFirst: boolean): void {
    const near = Math.min(this.#subgroup, lanes);
    if (near > 1 && (lanesFirst || lanes === WORKGROUP)) {
      this.#exchange(batch, near);
      if (near < lanes) this.#combineFew(batch, lanes, near);
      return;
    }
    const fold = lanes >= 64 ? 16 : lanes >= 16 ? 4 : 1;
    if (fold === 1) {
      this.#round(batch, `shared${this.#turn}`, lanes, lanes, 1, lanesFirst);
      this.#turn = 1 - this.#turn;
    } else {
      this.#round(batch, "shared0", lanes, lanes, fold, lanesFirst);
      this.#round(batch, "shared1", lanes, fold, 1, lanesFirst);
    }
  }

  /**
   * Each of `near` neighbours combines its result with those of the others, in the same order as they do, by exchanging values crosswise: with
   * the next, with the next but one, and so on.
   */
  #exchange(batch: readonly Reduction[], near: number): void {
    const main = this.#main;
    main.line(`for (var step = 1u; step < ${near}u; step = step << 1u) {`);
    for (const r of batch) {
      const { type, index } = r.reducer;
      main.line(`  let w${r.at} = subgroupShuffleXor(${toBits(`t${r.at}`, type)}, step);`);
      if (index) main.line(`  let k${r.at} = subgroupShuffleXor(j${r.at}, step);`);
      this.#takeIn(r, fromBits(`w${r.at}`, type), `k${r.at}`, "  ");
    }
    main.line("}");
  }

  /** One of each `near` lanes writes the result that they share; then every lane combines those of its row. Two pieces of memory take turns. */
  #combineFew(batch: readonly Reduction[], lanes: number, near: number): void {
    const main = this.#main;
    const memory = `shared${this.#turn}`;
    this.#turn = 1 - this.#turn;
    const count = lanes / near;
    const rows = WORKGROUP / lanes;
    const at = (word: number, lane: string): string =>
      `${memory}[${word === 0 ? "" : `${word * count * rows}u + `}${rows === 1 ? "" : `(local / ${lanes}u) * ${count}u + `}${lane}]`;
    const words = batch.reduce((sum, r) => sum + r.words, 0);
    this.#shared.set(memory, Math.max(this.#shared.get(memory) ?? 0, words * count * rows));
    let word = 0;
    main.line(`if (lane % ${near}u == 0u) {`);
    for (const r of batch) {
      main.line(`  ${at(word, `lane / ${near}u`)} = ${toBits(`t${r.at}`, r.reducer.type)};`);
      if (r.reducer.index) main.line(`  ${at(word + 1, `lane / ${near}u`)} = bitcast<u32>(j${r.at});`);
      word += r.words;
    }
    main.line("}");
    main.line("workgroupBarrier();");
    for (const r of batch) this.#reset(r, "");
    main.line(`for (var k = 0u; k < ${count}u; k++) {`);
    word = 0;
    for (const r of batch) {
      this.#takeIn(r, fromBits(at(word, "k"), r.reducer.type), `bitcast<i32>(${at(word + 1, "k")})`, "  ");
      word += r.words;
    }
    main.line("}");
  }

  /** The first `count` lanes of each row write their results; then `readers` lanes (or all, if 1) combine every `readers`-th of them. */
  #round(
    batch: readonly Reduction[],
    memory: string,
    lanes: number,
    count: number,
    readers: number,
    lanesFirst: boolean,
  ): void {
    const main = this.#main;
    const rows = WORKGROUP / lanes;
    const at = (word: number, lane: string): string => {
      const start = word === 0 ? "" : `${word * count * rows}u + `;
      if (rows === 1) return `${memory}[${start}${lane}]`;
      return lanesFirst
        ? `${memory}[${start}(local / ${lanes}u) * ${count}u + ${lane}]`
        : `${memory}[${start}${lane} * ${rows}u + local % ${rows}u]`;
    };
    const inner = (guard: boolean): string => (guard ? "  " : "");
    const words = batch.reduce((sum, r) => sum + r.words, 0);
    this.#shared.set(memory, Math.max(this.#shared.get(memory) ?? 0, words * count * rows));
    let word = 0;
    if (count < lanes) main.line(`if (lane < ${count}u) {`);
    for (const r of batch) {
      const indent = inner(count < lanes);
      main.line(`${indent}${at(word, "lane")} = ${toBits(`t${r.at}`, r.reducer.type)};`);
      if (r.reducer.index) main.line(`${indent}${at(word + 1, "lane")} = bitcast<u32>(j${r.at});`);
      word += r.words;
    }
    if (count < lanes) main.line("}");
    main.line("workgroupBarrier();");
    const indent = inner(readers > 1);
    if (readers > 1) main.line(`if (lane < ${readers}u) {`);
    for (const r of batch) this.#reset(r, indent);
    main.line(`${indent}for (var k = ${readers > 1 ? "lane" : "0u"}; k < ${count}u; k += ${readers}u) {`);
    word = 0;
    for (const r of batch) {
      this.#takeIn(r, fromBits(at(word, "k"), r.reducer.type), `bitcast<i32>(${at(word + 1, "k")})`, `${indent}  `);
      word += r.words;
    }
    main.line(`${indent}}`);
    if (readers > 1) main.line("}");
  }

  #reset(r: Reduction, indent: string): void {
    this.#main.line(`${indent}t${r.at} = ${r.reducer.initial};`);
    if (r.reducer.index) this.#main.line(`${indent}j${r.at} = 2147483647i;`);
  }

  #declare(r: Reduction): void {
    this.#main.line(`var t${r.at} = ${r.reducer.initial};`);
    if (r.reducer.index) this.#main.line(`var j${r.at} = 2147483647i;`);
  }

  /** Combines a partial result into `t<at>`, `j<at>`. */
  #takeIn(r: Reduction, value: string, index: string, indent: string): void {
    const main = this.#main;
    if (!r.reducer.index) {
      main.line(`${indent}t${r.at} = ${r.reducer.combine(`t${r.at}`, r.reducer.type === "b" ? `(${value})` : value)};`);
      return;
    }
    main.line(`${indent}let x${r.at} = ${value};`);
    main.line(`${indent}let y${r.at} = ${index};`);
    main.line(`${indent}if (${r.reducer.beats(`x${r.at}`, `y${r.at}`, `t${r.at}`, `j${r.at}`)}) {`);
    main.line(`${indent}  t${r.at} = x${r.at};`);
    main.line(`${indent}  j${r.at} = y${r.at};`);
    main.line(`${indent}}`);
  }

  /** Full stores of this lane's columns. */
  #storeElements(stores: readonly number[], lanes: number, first: string, last: string): void {
    if (stores.length === 0) return;
    const main = this.#main;
    const full = new Scope(main, "    ");
    for (const i of stores) this.#body.prepareStore(i, full);
    for (const i of stores) this.#body.store(i, full);
    main.line(`for (var col = ${first === "0u" ? "lane" : `${first} + lane`}; col < ${last}; col += ${lanes}u) {`);
    main.append(full.lines);
    main.line("}");
  }

  // --- chunks of rows, through scratch memory -----------------------------------------------------------------------

  #chunks(phase: number): void {
    const main = this.#main;
    const reductions = this.#plan.phases[phase]!;
    const scratch = this.#useScratch(true);
    this.#locateChunk();
    this.#loadEarlier(phase);
    main.line("let first = chunk * params.chunk;");
    main.line("let last = min(first + params.chunk, params.cols);");
    this.#accumulate(reductions, WORKGROUP, "first", "last");
    this.#combineShared(reductions, WORKGROUP, true);
    main.line("if (lane != 0u || chunk >= params.chunks) { return; }");
    for (const r of reductions) {
      // The results of whole rows come first, then those of the chunks.
      const word = (k: number): string =>
        `params.rows * ${this.#plan.words}u + (${r.word + k}u * params.rows + row) * params.all_chunks + params.first_chunk + chunk`;
      main.line(`${scratch}[${word(0)}] = ${toBits(`t${r.at}`, r.reducer.type)};`);
      if (r.reducer.index) main.line(`${scratch}[${word(1)}] = bitcast<u32>(j${r.at});`);
    }
  }

  #gather(variant: { readonly phase: number; readonly stores: boolean }): void {
    const main = this.#main;
    const { phase } = variant;
    const reductions = this.#plan.phases[phase]!;
    const scratch = this.#useScratch(true);
    main.line("let live = group < params.rows;");
    main.line("let row = min(group, params.rows - 1u);");
    main.line("let lane = local;");
    this.#loadEarlier(phase);
    for (const r of reductions) this.#declare(r);
    main.line(`for (var chunk = lane; chunk < params.all_chunks; chunk += ${WORKGROUP}u) {`);
    for (const r of reductions) {
      const word = (k: number): string =>
        `${scratch}[params.rows * ${this.#plan.words}u + (${r.word + k}u * params.rows + row) * params.all_chunks + chunk]`;
      this.#takeIn(r, fromBits(word(0), r.reducer.type), `bitcast<i32>(${word(1)})`, "  ");
    }
    main.line("}");
    this.#combine(reductions, WORKGROUP, true);
    const stores = this.#storesRows(variant);
    if (stores) for (const i of this.#plan.rowStores) this.#body.prepareStore(i, null);
    main.line("if (!live || lane != 0u) { return; }");
    if (!stores || this.#plan.fullStores.length > 0)
      for (const r of reductions)
        main.line(
          `${scratch}[${r.word}u * params.rows + row] = ${toBits(`v${r.at}`, r.reducer.index ? "i" : r.reducer.type)};`,
        );
    if (stores) for (const i of this.#plan.rowStores) this.#body.store(i, null);
  }

  #finish(): void {
    const main = this.#main;
    this.#locateChunk();
    this.#loadEarlier(this.#plan.phases.length);
    main.line("if (chunk >= params.chunks) { return; }");
    main.line("let first = chunk * params.chunk;");
    main.line("let last = min(first + params.chunk, params.cols);");
    this.#storeElements(this.#plan.fullStores, WORKGROUP, "first", "last");
  }

  #settle(): void {
    this.#main.line(`let row = group * ${WORKGROUP}u + local;`);
    this.#main.line("if (row >= params.rows) { return; }");
    this.#loadEarlier(this.#plan.phases.length);
    this.#storeRows();
  }

  #locateChunk(): void {
    const main = this.#main;
    main.line("let row = group % params.rows;");
    main.line("let chunk = group / params.rows;");
    main.line("let lane = local;");
  }

  /** Names the values of the reductions of phases before `phase`. */
  #loadEarlier(phase: number): void {
    this.#plan.phases.slice(0, phase).forEach((reductions) => {
      for (const r of reductions) {
        const type = r.reducer.index ? "i" : r.reducer.type;
        const scratch = this.#useScratch(this.#variant.kind === "chunks" || this.#variant.kind === "gather");
        this.#main.let(`v${r.at}`, fromBits(`${scratch}[${r.word}u * params.rows + row]`, type));
      }
    });
  }
}
