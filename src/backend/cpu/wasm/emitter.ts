/**
 * A small assembler for WebAssembly modules. Values live in locals: `op` appends an instruction on locals and gives its result as a new
 * one, so that a kernel is written as ordinary expressions. Operand types are checked as the code is written.
 */

import { OPS, SIMD, type Immediate, type OpName } from "./opcodes.ts";

/** Types of WebAssembly values. */
export type WasmType = "i32" | "i64" | "f32" | "f64" | "v128";

const TYPE_BYTE: Readonly<Record<WasmType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const LETTER: Readonly<Record<string, WasmType>> = { i: "i32", l: "i64", f: "f32", d: "f64", v: "v128" };

/** A local variable (or parameter) of a function. */
export interface Local {
  readonly index: number;
  readonly type: WasmType;
}

/** Name and type of a function. */
export interface FunctionRef {
  readonly name: string;
  readonly params: readonly WasmType[];
  readonly result: WasmType | null;
}

function unsigned(out: number[], value: number): void {
  let rest = value;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    out.push(rest > 0 ? byte | 128 : byte);
  } while (rest > 0);
}

function signed32(out: number[], value: number): void {
  let rest = value | 0;
  for (;;) {
    const byte = rest & 127;
    rest >>= 7;
    if ((rest === 0 && (byte & 64) === 0) || (rest === -1 && (byte & 64) !== 0)) {
      out.push(byte);
      return;
    }
    out.push(byte | 128);
  }
}

const scratch = new DataView(new ArrayBuffer(8));

function floatBytes(out: number[], value: number, bytes: 4 | 8): void {
  if (bytes === 4) scratch.setFloat32(0, value, true);
  else scratch.setFloat64(0, value, true);
  for (let i = 0; i < bytes; i++) out.push(scratch.getUint8(i));
}

/** Sixteen bytes of a vector constant: four float32 or int32 numbers, or two float64 numbers. */
function vectorBytes(kind: "f32x4" | "i32x4" | "f64x2", values: readonly number[]): number[] {
  const out: number[] = [];
  const lanes = kind === "f64x2" ? 2 : 4;
  for (let i = 0; i < lanes; i++) {
    const value = values[values.length === 1 ? 0 : i]!;
    if (kind === "f64x2") floatBytes(out, value, 8);
    else if (kind === "f32x4") floatBytes(out, value, 4);
    else {
      scratch.setInt32(0, value | 0, true);
      for (let b = 0; b < 4; b++) out.push(scratch.getUint8(b));
    }
  }
  return out;
}

/** One function in the making. */
export class FunctionBuilder implements FunctionRef {
  readonly name: string;
  readonly params: readonly WasmType[];
  readonly result: WasmType | null;
  /** The parameters as locals. */
  readonly args: readonly Local[];
  readonly #module: ModuleBuilder;
  #code: number[] = [];
  /** Constants, set once at the start of the function: no engine moves them out of loops. */
  readonly #start: number[] = [];
  readonly #constants = new Map<string, Local>();
  readonly #types: WasmType[];
  /** Position of the opcode of the last `local.set`, if it is the last instruction: reading it again makes it a `local.tee`. */
  #lastSet = -1;
  #lastLocal = -1;
  #depth = 0;
  /** Of a body that is interleaved with others: where its instructions start, and its depth. */
  #cuts: { readonly at: number[]; readonly depth: number } | null = null;

  constructor(module: ModuleBuilder, name: string, params: readonly WasmType[], result: WasmType | null) {
    this.#module = module;
    this.name = name;
    this.params = params;
    this.result = result;
    this.#types = [...params];
    this.args = params.map((type, index) => ({ index, type }));
  }

  /** A new local, zero at the start of the function. */
  local(type: WasmType): Local {
    return { index: this.#types.push(type) - 1, type };
  }

  #get(local: Local): void {
    if (this.#lastLocal === local.index && this.#lastSet >= 0) {
      this.#code[this.#lastSet] = 0x22;
      this.#lastSet = -1;
      return;
    }
    this.#lastSet = -1;
    this.#code.push(0x20);
    unsigned(this.#code, local.index);
  }

  #set(local: Local): void {
    this.#lastSet = this.#code.length;
    this.#lastLocal = local.index;
    this.#code.push(0x21);
    unsigned(this.#code, local.index);
  }

  #raw(...bytes: readonly number[]): void {
    this.#lastSet = -1;
    this.#code.push(...bytes);
  }

  /** Notes that an instruction starts here: nothing of those before is on the stack. */
  #cut(): void {
    if (this.#cuts === null || this.#cuts.depth !== this.#depth) return;
    this.#lastSet = -1;
    this.#cuts.at.push(this.#code.length);
  }

  /** Pushes operands, the opcode and its immediates; the result stays on the stack. */
  #push(name: OpName, operands: readonly Local[], imm: readonly number[]): WasmType | null {
    const [opcode, types, result, kind] = OPS[name];
    if (operands.length !== types.length) throw new TypeError(`${name} takes ${types.length} operands`);
    operands.forEach((operand, i) => {
      if (operand.type !== LETTER[types[i]!])
        throw new TypeError(`operand ${i} of ${name} is ${operand.type}, not ${LETTER[types[i]!]}`);
    });
    this.#cut();
    for (const operand of operands) this.#get(operand);
    this.#lastSet = -1;
    if (opcode >= SIMD) {
      this.#code.push(0xfd);
      unsigned(this.#code, opcode - SIMD);
    } else this.#code.push(opcode);
    this.#immediate(kind, imm);
    return result === "" ? null : LETTER[result]!;
  }

  #immediate(kind: Immediate | undefined, imm: readonly number[]): void {
    const code = this.#code;
    if (kind === "mem" || kind === "memlane") {
      code.push(0);
      unsigned(code, imm[0] ?? 0);
      if (kind === "memlane") code.push(imm[1]!);
    } else if (kind === "lane") code.push(imm[0]!);
    else if (kind === "bytes") code.push(...imm);
  }

  /**
   * Appends an instruction on locals; its result is a new local. Immediates: `[offset]` of a memory access, `[lane]`,
   * `[offset, lane]`, or the sixteen bytes of a shuffle.
   */
  op(name: OpName, operands: readonly Local[], ...imm: readonly number[]): Local {
    const type = this.#push(name, operands, imm);
    if (type === null) throw new TypeError(`${name} has no result`);
    const result = this.local(type);
    this.#set(result);
    return result;
  }

  /** The same, into a local that exists. */
  assign(target: Local, name: OpName, operands: readonly Local[], ...imm: readonly number[]): void {
    const type = this.#push(name, operands, imm);
    if (type !== target.type) throw new TypeError(`${name} gives ${type}, the local is ${target.type}`);
    this.#set(target);
  }

  /** An instruction without result, such as a store. */
  effect(name: OpName, operands: readonly Local[], ...imm: readonly number[]): void {
    if (this.#push(name, operands, imm) !== null) throw new TypeError(`${name} has a result`);
  }

  /** target = source */
  copy(target: Local, source: Local): void {
    if (target.type !== source.type) throw new TypeError(`${source.type} cannot be copied to ${target.type}`);
    this.#cut();
    this.#get(source);
    this.#set(target);
  }

  /** A constant, in a new local. */
  const(type: "i32" | "f32" | "f64", value: number): Local {
    const result = this.local(type);
    this.setConst(result, value);
    return result;
  }

  /** A new int32 local that starts as a number or as what another one holds. */
  variable(start: Local | number): Local {
    const result = this.local("i32");
    if (typeof start === "number") this.setConst(result, start);
    else this.copy(result, start);
    return result;
  }

  /** target += amount, of int32. */
  add(target: Local, amount: Local | number): void {
    this.assign(target, "i32.add", [target, typeof amount === "number" ? this.const("i32", amount) : amount]);
  }

  /** Gives a number to a local. */
  setConst(target: Local, value: number): void {
    this.#cut();
    this.#lastSet = -1;
    const code = this.#code;
    if (target.type === "i32") {
      code.push(0x41);
      signed32(code, value);
    } else if (target.type === "f32") {
      code.push(0x43);
      floatBytes(code, value, 4);
    } else if (target.type === "f64") {
      code.push(0x44);
      floatBytes(code, value, 8);
    } else throw new TypeError(`no number for ${target.type}`);
    this.#set(target);
  }

  /** A vector constant: one number for all lanes, or one for each. The same numbers give the same local, which is not to be changed. */
  vector(kind: "f32x4" | "i32x4" | "f64x2", ...values: readonly number[]): Local {
    const bytes = vectorBytes(kind, values);
    const key = bytes.join();
    let result = this.#constants.get(key);
    if (result === undefined) {
      result = this.local("v128");
      this.#start.push(0xfd, 0x0c, ...bytes, 0x21);
      unsigned(this.#start, result.index);
      this.#constants.set(key, result);
    }
    return result;
  }

  /** condition ? a : b, of scalars or whole vectors. */
  select(condition: Local, a: Local, b: Local): Local {
    const result = this.local(a.type);
    this.#cut();
    this.#get(a);
    this.#get(b);
    this.#get(condition);
    this.#raw(0x1c, 1, TYPE_BYTE[a.type]);
    this.#set(result);
    return result;
  }

  /** Calls a function; gives its result, or null. */
  call(target: FunctionRef, operands: readonly Local[]): Local | null {
    operands.forEach((operand, i) => {
      if (operand.type !== target.params[i])
        throw new TypeError(`argument ${i} of ${target.name} is ${operand.type}, not ${target.params[i]}`);
    });
    this.#cut();
    for (const operand of operands) this.#get(operand);
    this.#lastSet = -1;
    this.#code.push(0x10);
    unsigned(this.#code, this.#module.indexOf(target));
    if (target.result === null) return null;
    const result = this.local(target.result);
    this.#set(result);
    return result;
  }

  /**
   * Writes bodies that do not depend on each other, an instruction of each in turn: a processor then finds work that is ready without looking
   * far ahead. They give no result and leave no block by themselves.
   */
  interleave<T>(bodies: readonly (() => T)[]): T[] {
    if (bodies.length < 2 || this.#cuts !== null) return bodies.map((body) => body());
    const outer = this.#code;
    const written = bodies.map((body) => {
      const at: number[] = [];
      this.#code = [];
      this.#cuts = { at, depth: this.#depth };
      const result = body();
      return { result, steps: at.map((start, k) => this.#code.slice(start, at[k + 1])) };
    });
    this.#code = outer;
    this.#cuts = null;
    const most = Math.max(...written.map(({ steps }) => steps.length));
    for (let k = 0; k < most; k++) for (const { steps } of written) this.#raw(...(steps[k] ?? []));
    return written.map(({ result }) => result);
  }

  #nested(opcode: number, body: (depth: number) => void): void {
    this.#raw(opcode, 0x40);
    const depth = ++this.#depth;
    body(depth);
    this.#depth--;
    this.#raw(0x0b);
  }

  /** A block; `branch(depth)` inside it leaves it. */
  block(body: (depth: number) => void): void {
    this.#cut();
    this.#nested(0x02, body);
  }

  /** A loop; `branch(depth)` inside it goes to its start. */
  loop(body: (depth: number) => void): void {
    this.#cut();
    this.#nested(0x03, body);
  }

  /** Runs `then` if the condition is not zero, else `otherwise`. */
  if(condition: Local, then: () => void, otherwise?: () => void): void {
    this.#cut();
    this.#get(condition);
    this.#nested(0x04, () => {
      then();
      if (otherwise !== undefined) {
        this.#raw(0x05);
        otherwise();
      }
    });
  }

  /** Goes to the start of a loop or the end of a block; with a condition only if that is not zero. */
  branch(depth: number, condition?: Local): void {
    if (condition !== undefined) this.#get(condition);
    this.#raw(condition === undefined ? 0x0c : 0x0d);
    unsigned(this.#code, this.#depth - depth);
  }

  /** Gives the function's result. */
  return(value?: Local): void {
    if (value !== undefined) this.#get(value);
    this.#raw(0x0f);
  }

  /** for (; counter < end; counter += step) with signed numbers; the body may run zero times. */
  forLoop(counter: Local, end: Local, step: number, body: () => void): void {
    this.block((out) => {
      this.branch(out, this.op("i32.ge_s", [counter, end]));
      this.loop((again) => {
        body();
        this.assign(counter, "i32.add", [counter, this.const("i32", step)]);
        this.branch(again, this.op("i32.lt_s", [counter, end]));
      });
    });
  }

  /** The function's entry in the code section. */
  encode(): number[] {
    const body: number[] = [];
    const groups: [WasmType, number][] = [];
    for (const type of this.#types.slice(this.params.length)) {
      const last = groups[groups.length - 1];
      if (last !== undefined && last[0] === type) last[1]++;
      else groups.push([type, 1]);
    }
    unsigned(body, groups.length);
    for (const [type, count] of groups) {
      unsigned(body, count);
      body.push(TYPE_BYTE[type]);
    }
    for (const byte of this.#start) body.push(byte);
    for (const byte of this.#code) body.push(byte);
    // A function with a result ends in `return`; what follows is never reached.
    if (this.result !== null) body.push(0x00);
    body.push(0x0b);
    const out: number[] = [];
    unsigned(out, body.length);
    for (const byte of body) out.push(byte);
    return out;
  }
}

/** A module in the making: imported memory `m.memory`, imported functions, exported functions. */
export class ModuleBuilder {
  readonly #imports: FunctionRef[] = [];
  readonly #functions: FunctionBuilder[] = [];
  readonly #shared: boolean;

  /** `shared`: whether the memory that will be given is shared between threads. */
  constructor(shared: boolean) {
    this.#shared = shared;
  }

  /** An imported function, found as `m[name]`; the same one if it was imported before. */
  import(name: string, params: readonly WasmType[], result: WasmType | null): FunctionRef {
    const known = this.#imports.find((f) => f.name === name);
    if (known !== undefined) return known;
    const ref: FunctionRef = { name, params, result };
    this.#imports.push(ref);
    return ref;
  }

  /** Names of the imported functions. */
  get importNames(): string[] {
    return this.#imports.map((f) => f.name);
  }

  /** Starts a function, exported by its name. */
  function(name: string, params: readonly WasmType[], result: WasmType | null = null): FunctionBuilder {
    const builder = new FunctionBuilder(this, name, params, result);
    this.#functions.push(builder);
    return builder;
  }

  /** Number of an imported function. Those of the module are not called from within it: their numbers change as imports are added. */
  indexOf(target: FunctionRef): number {
    const imported = this.#imports.indexOf(target);
    if (imported < 0) throw new TypeError(`${target.name} is not an imported function`);
    return imported;
  }

  /** The module's bytes. */
  bytes(): Uint8Array<ArrayBuffer> {
    const types: number[][] = [];
    const typeIndex = (f: FunctionRef): number => {
      const type = [0x60];
      unsigned(type, f.params.length);
      for (const p of f.params) type.push(TYPE_BYTE[p]);
      unsigned(type, f.result === null ? 0 : 1);
      if (f.result !== null) type.push(TYPE_BYTE[f.result]);
      const found = types.findIndex((t) => t.join() === type.join());
      return found >= 0 ? found : types.push(type) - 1;
    };
    const imports: number[][] = [];
    const memory: number[] = [];
    string(memory, "m");
    string(memory, "memory");
    memory.push(0x02, this.#shared ? 0x03 : 0x01);
    unsigned(memory, 0);
    unsigned(memory, 65536);
    imports.push(memory);
    for (const f of this.#imports) {
      const entry: number[] = [];
      string(entry, "m");
      string(entry, f.name);
      entry.push(0x00);
      unsigned(entry, typeIndex(f));
      imports.push(entry);
    }
    const functions = this.#functions.map((f) => {
      const entry: number[] = [];
      unsigned(entry, typeIndex(f));
      return entry;
    });
    const exports = this.#functions.map((f, i) => {
      const entry: number[] = [];
      string(entry, f.name);
      entry.push(0x00);
      unsigned(entry, this.#imports.length + i);
      return entry;
    });
    const out: number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
    section(out, 1, types);
    section(out, 2, imports);
    section(out, 3, functions);
    section(out, 7, exports);
    section(
      out,
      10,
      this.#functions.map((f) => f.encode()),
    );
    return Uint8Array.from(out);
  }
}

function string(out: number[], text: string): void {
  const bytes = new TextEncoder().encode(text);
  unsigned(out, bytes.length);
  out.push(...bytes);
}

function section(out: number[], id: number, entries: readonly (readonly number[])[]): void {
  const content: number[] = [];
  unsigned(content, entries.length);
  for (const entry of entries) for (const byte of entry) content.push(byte);
  out.push(id);
  unsigned(out, content.length);
  for (const byte of content) out.push(byte);
}
