/** One fused kernel in the making: expressions of nodes are written into an SSA list over a fixed iteration space. */

import { Builder, valueType, type Value } from "./builder.ts";
import {
  fusedKey,
  type AccessClass,
  type BufferSlot,
  type FusedStructure,
  type Store,
  type ValueType,
} from "./kernel.ts";
import { affineKey, coversWhole, type Arg, type Node } from "./node.ts";
import { composeAccess, contiguousStrides, type Affine, type View } from "./view.ts";

/** Where a scalar of a kernel comes from at run time: a node's scalar slot, or (-1) the single element of a host-born node. */
export interface ScalarSource {
  readonly node: Node;
  readonly slot: number;
}

/** A kernel to run, with nodes in the place of buffers. */
export interface DraftKernel {
  readonly structure: FusedStructure;
  readonly outer: readonly number[];
  readonly inner: readonly number[];
  readonly strides: readonly (readonly number[])[];
  readonly offsets: readonly number[];
  readonly buffers: readonly Node[];
  readonly scalars: readonly ScalarSource[];
  /** Nodes that check indices in it. */
  readonly checks: readonly Node[];
}

/** What a draft has to know of the plan around it. */
export interface DraftContext {
  /** True if a pending node is written out (here or elsewhere) rather than written into its readers. */
  isAnchor(node: Node): boolean;
  readonly maxBuffers: number;
  readonly maxInstrs: number;
}

/** A node cannot be written into its reader, because the reader's access through it is not affine. */
export class NeedsAnchor extends Error {
  readonly node: Node;
  constructor(node: Node) {
    super(`node ${node.id} has to be written out`);
    this.node = node;
  }
}

/** The kernels' bounds do not allow this combination; the caller keeps its parts apart. */
export class DoesNotFit extends Error {}

const reasons = new Map<string, DoesNotFit>();

/** The error with this message, made once: trying out combinations is no exception. */
export function doesNotFit(message: string): DoesNotFit {
  let error = reasons.get(message);
  if (error === undefined) reasons.set(message, (error = withoutTrace(() => new DoesNotFit(message))));
  return error;
}

/** Traces of the stack are dear, and keep alive what the functions on them work on. */
function withoutTrace<E>(make: () => E): E {
  const errors: ErrorConstructor & { stackTraceLimit?: number | undefined } = Error;
  const before = errors.stackTraceLimit;
  errors.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    errors.stackTraceLimit = before;
  }
}

interface RawAccess {
  readonly buffer: number;
  readonly strides: readonly number[];
  readonly offset: number;
}

export class Draft {
  readonly builder = new Builder();
  readonly #context: DraftContext;
  readonly #outer: readonly number[];
  readonly #inner: readonly number[];
  readonly #sizes: readonly number[];
  readonly #accesses: RawAccess[] = [];
  readonly #accessIds = new Map<string, number>();
  readonly #buffers: Node[] = [];
  readonly #bufferIds = new Map<Node, number>();
  readonly #written = new Set<number>();
  readonly #scalars: ScalarSource[] = [];
  readonly #scalarTypes: ValueType[] = [];
  readonly #scalarIds = new Map<string, Value>();
  readonly #values = new Map<string, Value>();
  readonly #canonical = new Map<Node, { key: string; value: Value }>();
  readonly #stores: { access: number; value: Value }[] = [];
  readonly #checks: Node[] = [];

  readonly #inPlace: ReadonlyMap<Node, Node>;

  /** `outer` and `inner` have no dimension of size one. What is written of a node of `inPlace` goes to the memory of the node that it maps to. */
  constructor(
    context: DraftContext,
    outer: readonly number[],
    inner: readonly number[],
    inPlace: ReadonlyMap<Node, Node> = new Map(),
  ) {
    this.#context = context;
    this.#inPlace = inPlace;
    this.#outer = outer;
    this.#inner = inner;
    this.#sizes = [...outer, ...inner];
  }

  /** Makes `node` readable inside this kernel, as `value`, by readers that use exactly this access. */
  define(node: Node, access: Affine, value: Value): void {
    this.#canonical.set(node, { key: affineKey(access), value });
  }

  /** Value of a map node that is computed in this kernel, at `access` of its elements. */
  compute(node: Node, access: Affine): Value {
    const op = node.op;
    if (op.kind !== "map") throw doesNotFit("no elementwise operation");
    const b = this.builder;
    const args = node.args.map((arg) => this.read(arg, access, node));
    const scalars = node.scalars.map((_, slot) => this.#scalar(node, slot, node.scalarTypes[slot]!));
    const before = b.instrs.length;
    const value = op.lower(b, args, {
      scalars,
      table: (t, index) => {
        const table = node.tables[t]!.node!;
        if (this.#canonical.has(table)) throw doesNotFit("a table has to be complete before it is read");
        return b.emit("loadAt", valueType(table.dtype), [index], this.#buffer(table));
      },
    });
    if (b.instrs.slice(before).some((i) => i.op === "checkIndex")) this.#checks.push(node);
    if (b.type(value) !== valueType(node.dtype))
      throw new TypeError(`lowering of ${op.key} gives type ${b.type(value)} for ${node.dtype}`);
    if (b.instrs.length > this.#context.maxInstrs) throw doesNotFit("too many instructions");
    return value;
  }

  /** Value of an argument, where `access` addresses the elements of the reader (`owner`). */
  read(arg: Arg, access: Affine, owner: Node): Value {
    const whole = coversWhole(arg.view, arg.node?.numel ?? -1);
    const composed = whole ? access : composeAccess(access, this.#sizes, arg.view);
    if (composed === null) throw withoutTrace(() => new NeedsAnchor(owner));
    if (arg.node === null) return this.builder.emit("iota", "i", [], this.#access(-1, composed));
    return this.#readNode(arg.node, composed);
  }

  #readNode(node: Node, access: Affine): Value {
    const own = this.#canonical.get(node);
    if (own !== undefined) {
      if (own.key !== affineKey(access)) throw doesNotFit("a value of this kernel is read at other coordinates");
      return own.value;
    }
    if (!node.pending) {
      if (node.isHostScalar) return this.#scalar(node, -1, valueType(node.dtype));
      return this.#load(node, access);
    }
    if (this.#context.isAnchor(node)) return this.#load(node, access);
    const key = `${node.id}@${affineKey(access)}`;
    let value = this.#values.get(key);
    if (value === undefined) {
      value = this.compute(node, access);
      this.#values.set(key, value);
    }
    return value;
  }

  #load(node: Node, access: Affine): Value {
    return this.builder.emit("load", valueType(node.dtype), [], this.#access(this.#buffer(node), access));
  }

  /** Writes a value to the elements of `target` at `access`. */
  store(target: Node, access: Affine, value: Value): void {
    const buffer = this.#buffer(this.#inPlace.get(target) ?? target);
    this.#written.add(buffer);
    this.#stores.push({ access: this.#access(buffer, access), value });
  }

  /** True if elements of `node` are loaded elsewhere than where this kernel stores to the same place. */
  loadsElsewhere(node: Node, stored: Affine): boolean {
    const id = this.#bufferIds.get(node);
    if (id === undefined) return false;
    const key = affineKey(stored);
    return this.builder.instrs.some(
      (i) =>
        (i.op === "loadAt" && i.imm === id) ||
        (i.op === "load" &&
          this.#accesses[i.imm as number]!.buffer === id &&
          affineKey(this.#accesses[i.imm as number]!) !== key),
    );
  }

  #buffer(node: Node): number {
    let id = this.#bufferIds.get(node);
    if (id === undefined) {
      id = this.#buffers.length;
      if (id >= this.#context.maxBuffers) throw doesNotFit("too many buffers");
      this.#buffers.push(node);
      this.#bufferIds.set(node, id);
    }
    return id;
  }

  #access(buffer: number, access: Affine): number {
    const strides = access.strides.map((s, d) => (this.#sizes[d] === 1 ? 0 : s));
    const key = `${buffer}:${strides.join(",")}+${access.offset}`;
    let id = this.#accessIds.get(key);
    if (id === undefined) {
      id = this.#accesses.length;
      this.#accesses.push({ buffer, strides, offset: access.offset });
      this.#accessIds.set(key, id);
    }
    return id;
  }

  #scalar(node: Node, slot: number, type: ValueType): Value {
    const key = `${node.id}.${slot}`;
    let value = this.#scalarIds.get(key);
    if (value === undefined) {
      value = this.builder.emit("scalar", type, [], this.#scalars.length);
      this.#scalars.push({ node, slot });
      this.#scalarTypes.push(type);
      this.#scalarIds.set(key, value);
    }
    return value;
  }

  /** The finished kernel: dimensions that every access walks as one are merged, and the structure is keyed. */
  finish(): DraftKernel {
    const rank = this.#outer.length;
    const outer = mergeDims(
      this.#outer,
      this.#accesses.map((a) => a.strides.slice(0, rank)),
    );
    const inner = mergeDims(
      this.#inner,
      this.#accesses.map((a) => a.strides.slice(rank)),
    );
    const strides = this.#accesses.map((_, i) => [...outer.strides[i]!, ...inner.strides[i]!]);
    const accesses: AccessClass[] = this.#accesses.map((a, i) => ({
      buffer: a.buffer,
      classes: strides[i]!.map((s) => (s === 0 ? "0" : s === 1 ? "1" : "s")).join(""),
    }));
    const levels = this.#levels(accesses, outer.sizes.length);
    const loaded = new Set<number>();
    for (const i of this.builder.instrs) {
      if (i.op === "load") loaded.add(accesses[i.imm as number]!.buffer);
      if (i.op === "loadAt") loaded.add(i.imm as number);
    }
    const buffers: BufferSlot[] = this.#buffers.map((node, id) => ({
      dtype: node.dtype,
      mode: !this.#written.has(id) ? "read" : loaded.has(id) ? "read-write" : "write",
    }));
    const content = {
      kind: "fused" as const,
      outerRank: outer.sizes.length,
      innerRank: inner.sizes.length,
      instrs: this.builder.instrs,
      levels,
      buffers,
      accesses,
      stores: this.#stores as readonly Store[],
      scalars: this.#scalarTypes,
      usesStatus: this.builder.instrs.some((i) => i.op === "checkIndex"),
    };
    return {
      structure: { ...content, key: fusedKey(content) },
      outer: outer.sizes,
      inner: inner.sizes,
      strides,
      offsets: this.#accesses.map((a) => a.offset),
      buffers: this.#buffers,
      scalars: this.#scalars,
      checks: this.#checks,
    };
  }

  #levels(accesses: readonly AccessClass[], outerRank: number): ("row" | "full")[] {
    const levels: ("row" | "full")[] = [];
    for (const i of this.builder.instrs) {
      let full = i.args.some((a) => levels[a] === "full");
      if (i.op === "load" || i.op === "iota") full = /[1s]/.test(accesses[i.imm as number]!.classes.slice(outerRank));
      if (i.op === "reduce") full = false;
      levels.push(full ? "full" : "row");
    }
    return levels;
  }
}

/** Merges adjacent dimensions that all accesses walk contiguously. */
function mergeDims(
  sizes: readonly number[],
  strides: readonly (readonly number[])[],
): { sizes: number[]; strides: number[][] } {
  const merged: number[] = [];
  const result: number[][] = strides.map(() => []);
  for (let d = 0; d < sizes.length; d++) {
    const size = sizes[d]!;
    const last = merged.length - 1;
    if (last >= 0 && strides.every((s, i) => result[i]![last] === s[d]! * size)) {
      merged[last] = merged[last]! * size;
      for (let i = 0; i < strides.length; i++) result[i]![last] = strides[i]![d]!;
    } else {
      merged.push(size);
      for (let i = 0; i < strides.length; i++) result[i]!.push(strides[i]![d]!);
    }
  }
  return { sizes: merged, strides: result };
}

/** The shape without its dimensions of size one. */
export function squeezed(shape: readonly number[]): number[] {
  return shape.filter((n) => n !== 1);
}

/** A view without its dimensions of size one. */
export function squeezedView(view: View): View {
  const keep = view.shape.map((n) => n !== 1);
  return {
    shape: view.shape.filter((_, d) => keep[d]),
    strides: view.strides.filter((_, d) => keep[d]),
    offset: view.offset,
  };
}

/** Row-major access over sizes. */
export function rowMajor(sizes: readonly number[]): Affine {
  return { strides: contiguousStrides(sizes), offset: 0 };
}
