/**
 * Fused kernels in JavaScript, for where WebAssembly may not be compiled: the instructions are run one after the other, each on a block of some
 * hundred values. Nothing is compiled from text, so that it works under the strictest policy of a page.
 */

import { fromHalf, toHalf, type HostArray } from "../../dtype.ts";
import type { FusedData, FusedStructure, Instr, ReduceKind, ValueType } from "../../graph/kernel.ts";
import { blockOf, operation, type Block } from "./primitives.ts";
import { reducerOf, type Reducer } from "./reduce.ts";

/** Values of a block. */
const BLOCK = 512;

/** A kernel ready to run on arrays that follow the structure's slots. */
export type Interpreted = (arrays: readonly HostArray[], data: FusedData, status: Int32Array, tag: number) => void;

/** Blocks, and arrays of positions, that all kernels use in turn: one kernel runs at a time. */
const blocks = new Map<ValueType, Block[]>();
const positions: Float64Array[] = [];

function sharedBlock(type: ValueType, index: number): Block {
  let list = blocks.get(type);
  if (list === undefined) blocks.set(type, (list = []));
  return (list[index] ??= blockOf(type, BLOCK));
}

/** Makes a kernel ready. */
export function interpret(s: FusedStructure): Interpreted {
  const kernel = new Kernel(s);
  return (arrays, data, status, tag) => kernel.run(arrays, data, status, tag);
}

/** What happens on a pass over a row: values, then what takes them in. */
interface Pass {
  readonly accesses: readonly number[];
  readonly steps: readonly Step[];
  readonly reducers: readonly (readonly [result: number, reducer: Reducer])[];
  readonly stores: readonly Step[];
}

/** Computes or writes `n` values. */
type Step = (n: number) => void;

class Kernel {
  readonly #s: FusedStructure;
  readonly #registers: readonly Block[];
  /** Whether each value is computed for every element of a row, or once. */
  readonly #isFull: readonly boolean[];
  readonly #first: Step;
  readonly #passes: readonly Pass[];
  /** Steps once a row behind each pass; the last ones are writes. */
  readonly #between: readonly (readonly Step[])[];
  /** What runs now. */
  #arrays: readonly HostArray[] = [];
  #scalars: readonly number[] = [];
  #status: Int32Array = new Int32Array(1);
  #tag = 0;
  /** Position of each access at the start of the row. */
  readonly #row: Float64Array;
  /** True if elements need not be told apart by rows. */
  readonly #isMap: boolean;

  constructor(s: FusedStructure) {
    this.#s = s;
    const counts = new Map<ValueType, number>();
    this.#registers = s.instrs.map(({ type }) => {
      const index = counts.get(type) ?? 0;
      counts.set(type, index + 1);
      return sharedBlock(type, index);
    });
    s.accesses.forEach((_, a) => (positions[a] ??= new Float64Array(BLOCK)));
    this.#row = new Float64Array(s.accesses.length);
    // Without inner dimensions all elements are one row, unless each of them is reduced.
    const isMap = s.innerRank === 0 && s.instrs.every(({ op }) => op !== "reduce");
    this.#isMap = isMap;
    const isFixed = ({ op }: Instr): boolean => op === "const" || op === "scalar";
    this.#isFull = s.instrs.map((instr, i) => (isMap ? !isFixed(instr) : s.levels[i] === "full"));
    this.#first = this.#fixed(s.instrs.map((instr, i) => ({ instr, i })).filter(({ instr }) => isFixed(instr)));
    const { passes, between } = this.#plan(isMap);
    this.#passes = passes;
    this.#between = between;
  }

  // --- what is done ---------------------------------------------------------------------------------------------

  /** Constants and scalars, all over their blocks. */
  #fixed(list: readonly { readonly instr: Instr; readonly i: number }[]): Step {
    return (n) => {
      for (const { instr, i } of list) {
        const given = instr.op === "const" ? (instr.imm as number) : this.#scalars[instr.imm as number]!;
        this.#registers[i]!.fill(instr.type === "b" ? Number(given !== 0) : given, 0, n);
      }
    };
  }

  #plan(isMap: boolean): { passes: Pass[]; between: Step[][] } {
    const s = this.#s;
    const phases: number[] = [];
    const groups: number[][] = [];
    s.instrs.forEach((instr, i) => {
      let phase = 0;
      for (const a of instr.args) phase = Math.max(phase, phases[a]! + (s.instrs[a]!.op === "reduce" ? 1 : 0));
      phases.push(phase);
      if (instr.op === "reduce") (groups[phase] ??= []).push(i);
    });
    const isFullStore = (access: number): boolean =>
      isMap || /[1s]/.test(s.accesses[access]!.classes.slice(s.outerRank));
    const fullStores = s.stores.filter((t) => isFullStore(t.access) || (s.innerRank === 0 && this.#isFull[t.value]!));
    const passes: Pass[] = Array.from(groups, (group) => this.#reducing(group ?? []));
    const between: Step[][] = Array.from({ length: groups.length + 1 }, (_, phase) => this.#rowSteps(phases, phase));
    // What is written once a row is read before.
    for (const t of s.stores)
      if (!fullStores.includes(t)) between.at(-1)!.push(this.#store(t.access, t.value, this.#row));
    if (fullStores.length > 0) passes.push(this.#storing(fullStores));
    return { passes, between };
  }

  /** Values that are computed once a row, as far as they follow from reductions of the phases before `phase`. */
  #rowSteps(phases: readonly number[], phase: number): Step[] {
    const steps: Step[] = [];
    this.#s.instrs.forEach((instr, i) => {
      if (this.#isFull[i]! || phases[i] !== phase) return;
      if (instr.op === "reduce" || instr.op === "const" || instr.op === "scalar") return;
      const step = this.#step(i, (a) => this.#row.subarray(a, a + 1));
      const block = this.#registers[i]!;
      steps.push((n) => {
        step(1);
        block.fill(block[0]!, 1, n);
      });
    });
    return steps;
  }

  #reducing(group: readonly number[]): Pass {
    const { instrs } = this.#s;
    const roots = group.map((r) => instrs[r]!.args[0]!);
    const reducers = group.map((r, k) => {
      const root = roots[k]!;
      const reducer = reducerOf(instrs[r]!.imm as ReduceKind, instrs[root]!.type, this.#registers[root]!);
      return [r, reducer] as const;
    });
    return { ...this.#values(roots), reducers, stores: [] };
  }

  #storing(stores: FusedStructure["stores"]): Pass {
    const { accesses, steps } = this.#values(stores.map((t) => t.value));
    return {
      accesses: [...new Set([...accesses, ...stores.map((t) => t.access)])],
      steps,
      reducers: [],
      stores: stores.map((t) => this.#store(t.access, t.value, null)),
    };
  }

  /** Steps for values of every element of a row, and the accesses that they need. */
  #values(roots: readonly number[]): { accesses: number[]; steps: Step[] } {
    const needed = new Set<number>();
    const stack = [...roots];
    while (stack.length > 0) {
      const i = stack.pop()!;
      if (needed.has(i) || !this.#isFull[i]!) continue;
      needed.add(i);
      stack.push(...this.#s.instrs[i]!.args);
    }
    const order = [...needed].sort((a, b) => a - b);
    const isAccess = (i: number): boolean => ["load", "iota"].includes(this.#s.instrs[i]!.op);
    const accesses = new Set(order.filter(isAccess).map((i) => this.#s.instrs[i]!.imm as number));
    return { accesses: [...accesses], steps: order.map((i) => this.#step(i, (a) => positions[a]!)) };
  }

  /** Computes a value; `at` gives where the positions of an access are. */
  #step(i: number, at: (access: number) => Float64Array): Step {
    const s = this.#s;
    const instr = s.instrs[i]!;
    const out = this.#registers[i]!;
    const args = instr.args.map((a) => this.#registers[a]!);
    switch (instr.op) {
      case "load": {
        const access = instr.imm as number;
        return this.#load(s.accesses[access]!.buffer, at(access), out);
      }
      case "loadAt":
        return this.#load(instr.imm as number, args[0]!, out);
      case "iota": {
        const from = at(instr.imm as number);
        return (n) => {
          for (let k = 0; k < n; k++) out[k] = from[k]!;
        };
      }
      case "checkIndex": {
        const [index, size] = args as [Block, Block];
        return (n) => {
          for (let k = 0; k < n; k++) {
            const isGood = index[k]! >= 0 && index[k]! < size[k]!;
            if (!isGood && this.#status[0] === 0) this.#status[0] = this.#tag;
            out[k] = isGood ? index[k]! : 0;
          }
        };
      }
      default:
        return operation(instr, instr.args.length > 0 ? s.instrs[instr.args[0]!]!.type : instr.type, out, args);
    }
  }

  #load(buffer: number, from: Float64Array | Block, out: Block): Step {
    if (this.#s.buffers[buffer]!.dtype === "float16")
      return (n) => {
        const array = this.#arrays[buffer]!;
        for (let k = 0; k < n; k++) out[k] = fromHalf(array[from[k]!]!);
      };
    return (n) => {
      const array = this.#arrays[buffer]!;
      for (let k = 0; k < n; k++) out[k] = array[from[k]!]!;
    };
  }

  /** Writes through an access: once a row if `row` is given. */
  #store(access: number, value: number, row: Float64Array | null): Step {
    const { buffer } = this.#s.accesses[access]!;
    const from = this.#registers[value]!;
    const encode = this.#s.buffers[buffer]!.dtype === "float16" ? toHalf : null;
    const at = row === null ? positions[access]! : row.subarray(access, access + 1);
    return (n) => {
      const array = this.#arrays[buffer]!;
      const count = row === null ? n : 1;
      if (encode === null) for (let k = 0; k < count; k++) array[at[k]!] = from[k]!;
      else for (let k = 0; k < count; k++) array[at[k]!] = encode(from[k]!);
    };
  }

  // --- doing it -------------------------------------------------------------------------------------------------

  run(arrays: readonly HostArray[], data: FusedData, status: Int32Array, tag: number): void {
    const { outerRank } = this.#s;
    const isMap = this.#isMap;
    this.#arrays = arrays;
    this.#scalars = data.scalars;
    this.#status = status;
    this.#tag = tag;
    const rows = isMap ? [] : data.outer;
    const along = isMap ? data.outer : data.inner;
    const firstAlong = isMap ? 0 : outerRank;
    const length = along.reduce((a, b) => a * b, 1);
    this.#first(Math.min(length, BLOCK));
    this.#row.set(data.offsets);
    const coordinates = new Array<number>(rows.length).fill(0);
    for (let left = rows.reduce((a, b) => a * b, 1); left > 0; left--) {
      this.#oneRow(along, firstAlong, length, data.strides);
      advance(coordinates, rows, data.strides, 0, this.#row);
    }
    this.#arrays = [];
  }

  #oneRow(sizes: readonly number[], firstDim: number, length: number, strides: FusedData["strides"]): void {
    const width = Math.min(length, BLOCK);
    for (const step of this.#between[0]!) step(width);
    this.#passes.forEach((pass, p) => {
      for (const [, reducer] of pass.reducers) reducer.start();
      const walk = new RowWalk(sizes, firstDim, strides, pass.accesses, this.#row);
      for (let done = 0; done < length; done += BLOCK) {
        const n = Math.min(BLOCK, length - done);
        walk.next(n);
        for (const step of pass.steps) step(n);
        for (const [, reducer] of pass.reducers) reducer.take(n);
        for (const store of pass.stores) store(n);
      }
      if (pass.stores.length > 0) return;
      for (const [r, reducer] of pass.reducers) this.#registers[r]!.fill(reducer.result(), 0, width);
      for (const step of this.#between[p + 1]!) step(width);
    });
  }
}

/** Goes on to the next coordinate of some dimensions, the last one fastest; `at` are the positions of all accesses. */
function advance(
  coordinates: number[],
  sizes: readonly number[],
  strides: FusedData["strides"],
  firstDim: number,
  at: Float64Array,
): void {
  for (let d = sizes.length - 1; d >= 0; d--) {
    const isEnd = ++coordinates[d]! === sizes[d]!;
    for (let a = 0; a < at.length; a++) at[a]! += strides[a]![firstDim + d]! * (isEnd ? 1 - sizes[d]! : 1);
    if (!isEnd) return;
    coordinates[d] = 0;
  }
}

/** A walk along a row: writes the positions of some accesses, block by block. */
class RowWalk {
  readonly #sizes: readonly number[];
  readonly #strides: FusedData["strides"];
  readonly #firstDim: number;
  readonly #accesses: readonly number[];
  readonly #at: Float64Array;
  readonly #coordinates: number[];

  constructor(
    sizes: readonly number[],
    firstDim: number,
    strides: FusedData["strides"],
    accesses: readonly number[],
    row: Float64Array,
  ) {
    this.#sizes = sizes;
    this.#firstDim = firstDim;
    this.#strides = strides;
    this.#accesses = accesses;
    this.#at = row.slice();
    this.#coordinates = sizes.map(() => 0);
  }

  /** Positions of the next `n` elements. */
  next(n: number): void {
    const last = this.#sizes.length - 1;
    const dim = this.#firstDim + last;
    for (let done = 0; done < n;) {
      const run = last < 0 ? 1 : Math.min(n - done, this.#sizes[last]! - this.#coordinates[last]!);
      for (const a of this.#accesses) {
        const stride = last < 0 ? 0 : this.#strides[a]![dim]!;
        const list = positions[a]!;
        let p = this.#at[a]!;
        for (let k = done; k < done + run; k++, p += stride) list[k] = p;
      }
      done += run;
      if (last < 0) continue;
      // To the last element of the run, and one further.
      this.#coordinates[last]! += run - 1;
      for (let a = 0; a < this.#at.length; a++) this.#at[a]! += (run - 1) * this.#strides[a]![dim]!;
      advance(this.#coordinates, this.#sizes, this.#strides, this.#firstDim, this.#at);
    }
  }
}
