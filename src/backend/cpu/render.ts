/** Fused kernels as JavaScript: nested loops over outer and inner dimensions, the body as straight-line code. */

import type { FusedStructure, Instr, ValueType } from "../../graph/kernel.ts";

/** Arguments of a rendered kernel: element arrays, sizes, strides of every access, offsets, scalars, the status cell. */
export type FusedFunction = (
  buffers: readonly ArrayLike<number>[],
  sizes: readonly number[],
  strides: readonly (readonly number[])[],
  offsets: readonly number[],
  scalars: readonly number[],
  status: Int32Array,
  tag: number,
  helpers: object,
) => void;

/** Writes a kernel as the body of a function with the parameters of `FusedFunction`. */
export function renderFused(s: FusedStructure): string {
  return new Renderer(s).run();
}

/** Full values that are needed to compute `roots`, in order; stops at row values. */
function fullClosure(s: FusedStructure, roots: readonly number[]): number[] {
  const need = new Set<number>();
  const stack = roots.filter((r) => s.levels[r] === "full");
  while (stack.length > 0) {
    const v = stack.pop()!;
    if (need.has(v)) continue;
    need.add(v);
    for (const a of s.instrs[v]!.args) if (s.levels[a] === "full") stack.push(a);
  }
  return [...need].sort((a, b) => a - b);
}

/** Reductions and full stores grouped so that each group needs row values of earlier groups only. */
export function phasesOf(s: FusedStructure): { reduces: number[][]; storePhase: number } {
  const phase: number[] = [];
  const reduces: number[][] = [];
  s.instrs.forEach((instr, i) => {
    let p = 0;
    for (const a of instr.args) p = Math.max(p, phase[a]! + (s.instrs[a]!.op === "reduce" ? 1 : 0));
    phase.push(p);
    if (instr.op === "reduce") (reduces[p] ??= []).push(i);
  });
  return { reduces, storePhase: reduces.length };
}

const INITIAL: Record<string, string> = { sum: "0", prod: "1", any: "0", all: "1" };

class Renderer {
  readonly #s: FusedStructure;
  readonly #lines: string[] = [];

  constructor(s: FusedStructure) {
    this.#s = s;
  }

  run(): string {
    const s = this.#s;
    const out = this.#lines;
    s.buffers.forEach((_, i) => out.push(`const B${i} = buffers[${i}];`));
    for (let d = 0; d < s.outerRank + s.innerRank; d++) out.push(`const N${d} = sizes[${d}];`);
    s.accesses.forEach((a, i) => {
      Array.from(a.classes).forEach((c, d) => {
        if (c === "s") out.push(`const S${i}_${d} = strides[${i}][${d}];`);
      });
      out.push(`const O${i} = offsets[${i}];`);
    });
    s.scalars.forEach((type, i) =>
      out.push(
        `const K${i} = ${type === "f" ? `Math.fround(scalars[${i}])` : type === "b" ? `scalars[${i}] !== 0 ? 1 : 0` : `scalars[${i}]`};`,
      ),
    );
    this.#loops(0, s.outerRank, "O", (at) => this.#row(at));
    return out.join("\n");
  }

  /** Loops over dimensions `from` to `to`, each access advancing by its stride; `at` names the offset of an access. */
  #loops(from: number, to: number, base: string, body: (prefix: string) => void): void {
    const s = this.#s;
    const out = this.#lines;
    let prefix = base;
    for (let d = from; d < to; d++) {
      const next = `${base === "O" ? "P" : "Q"}${d}_`;
      const moving = s.accesses.map((a, i) => ({ i, c: a.classes[d]! })).filter(({ c }) => c !== "0");
      const outer = prefix;
      const init = moving.map(({ i }) => `${next}${i} = ${this.#at(outer, i, d, from, base)}`);
      const step = moving.map(({ i, c }) => `${next}${i} += ${c === "1" ? "1" : `S${i}_${d}`}`);
      out.push(
        `for (let i${d} = 0${init.map((t) => `, ${t}`).join("")}; i${d} < N${d}; i${d}++${step.map((t) => `, ${t}`).join("")}) {`,
      );
      prefix = next;
    }
    body(prefix);
    for (let d = from; d < to; d++) out.push("}");
  }

  /** Name of an access's position before dimension `d` is entered. */
  #at(_outer: string, access: number, d: number, from: number, base: string): string {
    const { classes } = this.#s.accesses[access]!;
    for (let e = d - 1; e >= from; e--) if (classes[e] !== "0") return `${base === "O" ? "P" : "Q"}${e}_${access}`;
    if (base === "Q") return this.#at("", access, from, 0, "O");
    return `O${access}`;
  }

  #rowPosition(access: number): string {
    return this.#at("", access, this.#s.outerRank, 0, "O");
  }

  #fullPosition(access: number): string {
    return this.#at("", access, this.#s.outerRank + this.#s.innerRank, this.#s.outerRank, "Q");
  }

  #row(_prefix: string): void {
    const s = this.#s;
    const out = this.#lines;
    const { reduces } = phasesOf(s);
    const done = new Set<number>();
    const emitRows = (): void => {
      s.instrs.forEach((instr, i) => {
        if (done.has(i) || s.levels[i] !== "row" || instr.op === "reduce") return;
        if (instr.args.some((a) => s.levels[a] === "row" && !done.has(a))) return;
        if (instr.args.some((a) => s.levels[a] === "full")) return;
        out.push(`const v${i} = ${this.#expression(instr, (a) => this.#rowPosition(a))};`);
        done.add(i);
      });
    };
    emitRows();
    for (const group of reduces) {
      if (group === undefined) continue;
      for (const r of group) this.#startReduce(r);
      out.push("let n = 0;".replace("n", `n${group[0]}`));
      this.#loops(s.outerRank, s.outerRank + s.innerRank, "Q", () => {
        for (const v of fullClosure(
          s,
          group.map((r) => s.instrs[r]!.args[0]!),
        ))
          this.#full(v);
        for (const r of group) this.#stepReduce(r, `n${group[0]}`);
        out.push(`n${group[0]}++;`);
      });
      for (const r of group) this.#endReduce(r);
      for (const r of group) done.add(r);
      emitRows();
    }
    const fullStores = s.stores.filter((t) => this.#isFullStore(t.access));
    for (const t of s.stores) if (!fullStores.includes(t)) this.#store(t.access, t.value, this.#rowPosition(t.access));
    if (fullStores.length === 0) return;
    this.#loops(s.outerRank, s.outerRank + s.innerRank, "Q", () => {
      for (const v of fullClosure(
        s,
        fullStores.map((t) => t.value),
      ))
        this.#full(v);
      for (const t of fullStores) this.#store(t.access, t.value, this.#fullPosition(t.access));
    });
  }

  #isFullStore(access: number): boolean {
    return this.#s.innerRank > 0 && /[1s]/.test(this.#s.accesses[access]!.classes.slice(this.#s.outerRank));
  }

  #full(i: number): void {
    this.#lines.push(`const v${i} = ${this.#expression(this.#s.instrs[i]!, (a) => this.#fullPosition(a))};`);
  }

  #store(access: number, value: number, position: string): void {
    const { buffer } = this.#s.accesses[access]!;
    const { dtype } = this.#s.buffers[buffer]!;
    this.#lines.push(`B${buffer}[${position}] = ${dtype === "float16" ? `H.toHalf(v${value})` : `v${value}`};`);
  }

  #startReduce(r: number): void {
    const { imm, args } = this.#s.instrs[r]!;
    const kind = String(imm);
    const type = this.#s.instrs[args[0]!]!.type;
    if (kind.startsWith("arg")) this.#lines.push(`let r${r} = 0, m${r} = 0;`);
    else if (kind === "max" || kind === "min") this.#lines.push(`let r${r} = ${extreme(kind, type)};`);
    else if (kind === "sum" && type === "d") this.#lines.push(`let r${r} = 0, c${r} = 0;`);
    else this.#lines.push(`let r${r} = ${INITIAL[kind]};`);
  }

  #stepReduce(r: number, n: string): void {
    const { imm, args } = this.#s.instrs[r]!;
    const x = `v${args[0]}`;
    const type = this.#s.instrs[args[0]!]!.type;
    const out = this.#lines;
    switch (imm) {
      case "sum":
        // Single precision is summed in double; double with Neumaier's compensation.
        if (type === "d")
          out.push(
            `{ const t = r${r} + ${x}; if (t - t === 0) c${r} += Math.abs(r${r}) >= Math.abs(${x}) ? r${r} - t + ${x} : ${x} - t + r${r}; r${r} = t; }`,
          );
        else out.push(type === "f" ? `r${r} += ${x};` : `r${r} = ${wrapInt(type, `r${r} + ${x}`)};`);
        break;
      case "prod":
        out.push(
          type === "f" || type === "d" ? `r${r} *= ${x};` : `r${r} = ${wrapInt(type, `Math.imul(r${r}, ${x})`)};`,
        );
        break;
      case "max":
        out.push(`if (${x} > r${r} || ${x} !== ${x}) r${r} = ${x};`);
        break;
      case "min":
        out.push(`if (${x} < r${r} || ${x} !== ${x}) r${r} = ${x};`);
        break;
      case "any":
        out.push(`if (${x}) r${r} = 1;`);
        break;
      case "all":
        out.push(`if (!${x}) r${r} = 0;`);
        break;
      case "argmax":
        out.push(
          `if (${n} === 0 || (m${r} === m${r} && (${x} > m${r} || ${x} !== ${x}))) { m${r} = ${x}; r${r} = ${n}; }`,
        );
        break;
      default:
        out.push(
          `if (${n} === 0 || (m${r} === m${r} && (${x} < m${r} || ${x} !== ${x}))) { m${r} = ${x}; r${r} = ${n}; }`,
        );
    }
  }

  #endReduce(r: number): void {
    const { imm, type } = this.#s.instrs[r]!;
    const value = imm === "sum" && type === "d" ? `r${r} + c${r}` : type === "f" ? `Math.fround(r${r})` : `r${r}`;
    this.#lines.push(`const v${r} = ${value};`);
  }

  #expression(instr: Instr, position: (access: number) => string): string {
    const s = this.#s;
    const a = instr.args.map((v) => `v${v}`);
    const from = instr.args.length > 0 ? s.instrs[instr.args[0]!]!.type : instr.type;
    switch (instr.op) {
      case "load":
        return element(s, s.accesses[instr.imm as number]!.buffer, position(instr.imm as number));
      case "loadAt":
        return element(s, instr.imm as number, a[0]!);
      case "iota":
        return position(instr.imm as number);
      case "scalar":
        return `K${instr.imm}`;
      case "const":
        return literal(instr.imm as number, instr.type);
      case "cast":
        return cast(a[0]!, from, instr.type);
      case "checkIndex":
        return `(${a[0]} >= 0 && ${a[0]} < ${a[1]} ? ${a[0]} : (status[0] === 0 && (status[0] = tag), 0))`;
      case "philox":
        return `H.philoxWord(${a.join(", ")}, ${instr.imm})`;
      default:
        return operation(instr, a, from);
    }
  }
}

function element(s: FusedStructure, buffer: number, position: string): string {
  const text = `B${buffer}[${position}]`;
  return s.buffers[buffer]!.dtype === "float16" ? `H.fromHalf(${text})` : text;
}

function literal(value: number, type: ValueType): string {
  const v = type === "f" ? Math.fround(value) : value;
  if (Object.is(v, -0)) return "-0";
  return v < 0 ? `(${v})` : String(v);
}

function extreme(kind: string, type: ValueType): string {
  if (type === "f" || type === "d") return kind === "max" ? "-Infinity" : "Infinity";
  if (type === "i") return kind === "max" ? "-2147483648" : "2147483647";
  return kind === "max" ? "0" : type === "u" ? "4294967295" : "1";
}

function wrapInt(type: ValueType, text: string): string {
  return type === "u" ? `(${text}) >>> 0` : `(${text}) | 0`;
}

function cast(x: string, from: ValueType, to: ValueType): string {
  const isFloat = from === "f" || from === "d";
  if (to === "b") return `(${x} !== 0 ? 1 : 0)`;
  if (to === "d") return x;
  if (to === "f") return `Math.fround(${x})`;
  if (to === "i") return isFloat ? `H.toInt(${x})` : `(${x} | 0)`;
  return isFloat ? `H.toUint(${x})` : `(${x} >>> 0)`;
}

const COMPARE: Record<string, string> = { eq: "===", ne: "!==", lt: "<", le: "<=", gt: ">", ge: ">=" };
const ARITHMETIC: Record<string, string> = { add: "+", sub: "-", mul: "*", div: "/" };
const MATH = new Set([
  "floor",
  "ceil",
  "trunc",
  "sqrt",
  "exp",
  "expm1",
  "log",
  "log2",
  "log10",
  "log1p",
  "sin",
  "cos",
  "tan",
  "asin",
  "acos",
  "atan",
  "sinh",
  "cosh",
  "tanh",
  "asinh",
  "acosh",
  "atanh",
]);
const HELPERS = new Set(["erf", "erfc", "erfinv", "lgamma", "digamma", "pow", "max", "min", "sign"]);

function operation(instr: Instr, a: readonly string[], from: ValueType): string {
  const { op, type } = instr;
  const isFloat = type === "f" || type === "d";
  const round = (text: string): string =>
    type === "f"
      ? `Math.fround(${text})`
      : type === "i"
        ? `((${text}) | 0)`
        : type === "u"
          ? `((${text}) >>> 0)`
          : text;
  if (op in COMPARE) return `(${a[0]} ${COMPARE[op]} ${a[1]} ? 1 : 0)`;
  if (op === "mul" && !isFloat) return round(`Math.imul(${a[0]}, ${a[1]})`);
  if (op in ARITHMETIC)
    return type === "d" ? `(${a[0]} ${ARITHMETIC[op]} ${a[1]})` : round(`${a[0]} ${ARITHMETIC[op]} ${a[1]}`);
  if (MATH.has(op)) return round(`Math.${op}(${a[0]})`);
  if ((op === "max" || op === "min") && !isFloat) return `Math.${op}(${a[0]}, ${a[1]})`;
  if (HELPERS.has(op)) return round(`H.${op}(${a.join(", ")})`);
  switch (op) {
    case "neg":
      return type === "d" ? `(-${a[0]})` : round(`-${a[0]}`);
    case "abs":
      return round(`Math.abs(${a[0]})`);
    case "round":
      return round(`H.rint(${a[0]})`);
    case "rsqrt":
      return round(`1 / Math.sqrt(${a[0]})`);
    case "exp2":
      return round(`2 ** ${a[0]}`);
    case "atan2":
      return round(`Math.atan2(${a[0]}, ${a[1]})`);
    case "idiv":
      return `(${a[1]} === 0 ? 0 : ${round(`${a[0]} / ${a[1]}`)})`;
    case "rem":
      return isFloat ? round(`${a[0]} % ${a[1]}`) : `(${a[1]} === 0 ? 0 : ${round(`${a[0]} % ${a[1]}`)})`;
    case "and":
      return `(${a[0]} & ${a[1]})`;
    case "or":
      return `(${a[0]} | ${a[1]})`;
    case "xor":
      return `(${a[0]} ^ ${a[1]})`;
    case "not":
      return `(1 - ${a[0]})`;
    case "band":
      return round(`${a[0]} & ${a[1]}`);
    case "bor":
      return round(`${a[0]} | ${a[1]}`);
    case "bxor":
      return round(`${a[0]} ^ ${a[1]}`);
    case "bnot":
      return round(`~${a[0]}`);
    case "shl":
      return round(`${a[0]} << ${a[1]}`);
    case "shr":
      return type === "u" ? `(${a[0]} >>> ${a[1]})` : `(${a[0]} >> ${a[1]})`;
    case "select":
      return `(${a[0]} ? ${a[1]} : ${a[2]})`;
    case "isnan":
      return `(${a[0]} !== ${a[0]} ? 1 : 0)`;
    case "isinf":
      return `(${a[0]} === Infinity || ${a[0]} === -Infinity ? 1 : 0)`;
    case "roundHalf":
      return `H.fromHalf(H.toHalf(${a[0]}))`;
    case "wrap8":
      return `(${a[0]} & 255)`;
    default:
      throw new Error(`no JavaScript for ${op} of ${from}`);
  }
}
