/** Writes the statements of a fused kernel's instructions into nested scopes, each value once where it is first needed. */

import type { FusedStructure } from "../../graph/kernel.ts";
import { expression, loadElement, storeElement } from "./express.ts";

/** Statements of one block of code, and which values have a name there. */
export class Scope {
  readonly lines: string[] = [];
  readonly parent: Scope | null;
  readonly #known = new Set<string>();
  readonly #indent: string;

  constructor(parent: Scope | null, indent: string) {
    this.parent = parent;
    this.#indent = indent;
  }

  has(name: string): boolean {
    return this.#known.has(name) || (this.parent?.has(name) ?? false);
  }

  /** Makes a name known that was declared by a line added otherwise. */
  declare(name: string): void {
    this.#known.add(name);
  }

  line(text: string): void {
    this.lines.push(`${this.#indent}${text}`);
  }

  let(name: string, value: string): string {
    this.line(`let ${name} = ${value};`);
    this.#known.add(name);
    return name;
  }

  /** Appends finished lines, such as a nested block. */
  append(lines: readonly string[]): void {
    this.lines.push(...lines);
  }
}

/** The bindings that hold a buffer that is read at computed positions: one after the other, `size` elements each. */
export interface TableNames {
  readonly names: readonly string[];
  readonly size: number;
}

/** How the text names a kernel's buffers; called for what is used. */
export interface BufferNames {
  /** Name of the binding that an access goes to. */
  access(access: number): string;
  /** Names of the bindings of a slot that is read at computed positions. */
  table(slot: number): TableNames;
}

/**
 * Writes values of a structure. `row` is the scope of what depends on outer coordinates only (u32 `row` is known there), and a
 * full scope that of one element (u32 `col` is known there); coordinates are derived from these on demand.
 */
export class Body {
  readonly structure: FusedStructure;
  readonly #buffers: BufferNames;
  row: Scope;

  constructor(structure: FusedStructure, buffers: BufferNames, row: Scope) {
    this.structure = structure;
    this.#buffers = buffers;
    this.row = row;
  }

  /** Name of an instruction's value, written first if need be: into `full` if it is of that level, else into the row scope. */
  value(at: number, full: Scope | null): string {
    const value = `v${at}`;
    if ((full ?? this.row).has(value)) return value;
    const { structure } = this;
    const instr = structure.instrs[at]!;
    const scope = structure.levels[at] === "full" && full !== null ? full : this.row;
    const args = instr.args.map((a) => this.value(a, full));
    const types = instr.args.map((a) => structure.instrs[a]!.type);
    switch (instr.op) {
      case "load": {
        const { buffer } = structure.accesses[instr.imm as number]!;
        const name = this.#buffers.access(instr.imm as number);
        const element = `${name}[${this.#address(instr.imm as number, scope, full)}]`;
        return scope.let(value, loadElement(structure.buffers[buffer]!, element));
      }
      case "loadAt":
        return this.#loadAt(scope, value, instr.imm as number, args[0]!);
      case "iota":
        return scope.let(value, this.#address(instr.imm as number, scope, full));
      case "scalar": {
        const slot = instr.imm as number;
        return scope.let(value, structure.scalars[slot] === "b" ? `params.x${slot} != 0u` : `params.x${slot}`);
      }
      case "philox": {
        const block = `p${args.join("_")}`;
        if (!scope.has(block))
          scope.let(
            block,
            `t_philox(vec4<u32>(${args.slice(0, 3).join(", ")}, 0u), vec2<u32>(${args[3]}, ${args[4]}))`,
          );
        return scope.let(value, `${block}[${instr.imm as number}]`);
      }
      case "reduce":
        throw new Error(`the reduction at ${at} is used before its phase`);
      default:
        return scope.let(value, expression(instr, args, types));
    }
  }

  /** The element at a computed position, wherever it lies. */
  #loadAt(scope: Scope, value: string, slot: number, index: string): string {
    const { names, size } = this.#buffers.table(slot);
    const buffer = this.structure.buffers[slot]!;
    if (names.length === 1) return scope.let(value, loadElement(buffer, `${names[0]}[${index}]`));
    scope.line(`var ${value} = ${loadElement(buffer, `${names[0]}[min(${index}, ${size - 1}i)]`)};`);
    names.slice(1).forEach((name, i) => {
      const from = (i + 1) * size;
      scope.line(`if (${index} >= ${from}i) { ${value} = ${loadElement(buffer, `${name}[${index} - ${from}i]`)}; }`);
    });
    scope.declare(value);
    return value;
  }

  /** Stores a value through a store's access. The value must be known. */
  store(index: number, full: Scope | null): void {
    const { access, value } = this.structure.stores[index]!;
    const { buffer } = this.structure.accesses[access]!;
    const scope = full ?? this.row;
    const target = `${this.#buffers.access(access)}[${this.#address(access, scope, full)}]`;
    scope.line(`${target} = ${storeElement(this.structure.buffers[buffer]!, this.value(value, full))};`);
  }

  /** Writes the address of a store in advance, so that storing takes no further statements in outer scopes. */
  prepareStore(index: number, full: Scope | null): void {
    const { access, value } = this.structure.stores[index]!;
    this.value(value, full);
    this.#address(access, full ?? this.row, full);
  }

  /** An access's element number: its row part is written once a row, the rest where it is used. */
  #address(access: number, scope: Scope, full: Scope | null): string {
    const { classes } = this.structure.accesses[access]!;
    const { outerRank } = this.structure;
    const walks = full !== null && scope === full && /[1s]/.test(classes.slice(outerRank));
    const name = walks ? `at${access}` : `r${access}`;
    if (scope.has(name)) return name;
    if (!walks) {
      const terms = this.#terms(access, 0, outerRank, this.row, "o");
      return this.row.let(name, [`params.a${access}`, ...terms].join(" + "));
    }
    const start = this.#address(access, this.row, null);
    const terms = this.#terms(access, outerRank, classes.length, scope, "n");
    return scope.let(name, [start, ...terms].join(" + "));
  }

  #terms(access: number, from: number, to: number, scope: Scope, letter: "o" | "n"): string[] {
    const { classes } = this.structure.accesses[access]!;
    const terms: string[] = [];
    for (let d = from; d < to; d++) {
      if (classes[d] === "0") continue;
      const c = this.#coordinate(d - from, to - from, scope, letter);
      terms.push(classes[d] === "1" ? c : `${c} * params.a${access}s${d}`);
    }
    return terms;
  }

  /** Coordinate of inner dimension `d`, as i32. */
  innerCoordinate(d: number, full: Scope): string {
    return this.#coordinate(d, this.structure.innerRank, full, "n");
  }

  /** Coordinate of outer ("o") or inner ("n") dimension `d` of `rank`, as i32. */
  #coordinate(d: number, rank: number, scope: Scope, letter: "o" | "n"): string {
    const name = `${letter}${d}`;
    if (scope.has(name)) return name;
    const linear = letter === "o" ? "row" : "col";
    // What is left of the linear index after dimensions d + 1 and on were divided away.
    const rest = (e: number): string => {
      if (e === rank - 1) return linear;
      const key = `${letter}q${e}`;
      if (!scope.has(key)) scope.let(key, `${rest(e + 1)} / params.${letter}${e + 1}`);
      return key;
    };
    const q = rest(d);
    return scope.let(name, d === 0 ? `i32(${q})` : `i32(${q} % params.${letter}${d})`);
  }
}
