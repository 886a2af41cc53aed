/** The program: nodes whose value never changes, recorded now and run later. */

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { DType, HostArray } from "../dtype.ts";
import type { Builder, Value } from "./builder.ts";
import type { Slot } from "./arena.ts";
import { siteInDebugMode } from "./site.ts";
import { NONE } from "./lists.ts";
import type { NodeList } from "./node-list.ts";
import type { ReduceKind, RoutineName, ValueType } from "./kernel.ts";
import { numel, showShape, type Affine, type View } from "./view.ts";

/** Reads `node` through `view`; without a node the affine number itself is the value (an index). */
export class Arg {
  readonly node: Node | null;
  readonly view: View;

  constructor(node: Node | null, view: View) {
    this.node = node;
    this.view = view;
  }
}

/** What a map's lowering may ask for besides its arguments. */
export interface LowerContext {
  /** Values of the node's scalars. */
  readonly scalars: readonly Value[];
  /** Element of table `t` (an argument that is read at computed positions) at a flat element index of type i. */
  table(t: number, index: Value): Value;
}

/** An elementwise operation: one value a coordinate, computed from the arguments at that coordinate. */
export interface MapOp {
  readonly kind: "map";
  /** Names the lowering: equal keys, argument dtypes and result dtype lower alike. */
  readonly key: string;
  /** Rough number of primitives, for the fuser to tell what is cheap to compute twice. */
  readonly cost: number;
  lower(b: Builder, args: readonly Value[], context: LowerContext): Value;
}

/** Combines over the trailing `innerRank` dimensions of its one argument's view. */
export interface ReduceOp {
  readonly kind: "reduce";
  /** Names the operation; sizes and dimensions are told apart without it. */
  readonly key: string;
  readonly reduce: ReduceKind;
  readonly innerRank: number;
  /** Shape of the operand as the user sees it, and which of its dimensions are reduced. */
  readonly fullShape: readonly number[];
  readonly dims: readonly number[];
}

/** A kernel of its own; every argument is written out before. */
export interface RoutineOp {
  readonly kind: "routine";
  /** Names the operation and its attributes, as far as the numbers do not tell them. */
  readonly key: string;
  readonly name: RoutineName;
  readonly attrs: Readonly<Record<string, string | number>>;
  readonly ints: readonly number[];
  /** True if the result starts as a copy of argument 0 (a whole contiguous node) and is then changed in place. */
  readonly inPlace: boolean;
  readonly usesStatus: boolean;
}

/**
 * Assembles a result from pieces: argument 0, if `hasBase`, is the whole contiguous node that it starts as (else it starts
 * undefined); each further argument is written at its target view.
 */
export interface UpdateOp {
  readonly kind: "update";
  readonly key: string;
  readonly hasBase: boolean;
  readonly targets: readonly View[];
}

/** A value that the host gave. */
export interface LeafOp {
  readonly kind: "leaf";
  readonly key: string;
}

export type NodeOp = MapOp | ReduceOp | RoutineOp | UpdateOp | LeafOp;

/** What a value that is kept is to the user. */
export type Role = "parameter" | "gradient" | "optimiser state" | "retained" | "written in place";

/** Where a value was computed. */
export class Origin {
  readonly entry: Learned;
  readonly position: number;

  constructor(entry: Learned, position: number) {
    this.entry = entry;
    this.position = position;
  }
}

/** Positions of a plan's values that turned out to be wanted afterwards. */
export class Learned {
  /** How often keeping each of them was in vain since it was last wanted. */
  readonly #wanted = new Map<number, number>();

  get positions(): Iterable<number> {
    return this.#wanted.keys();
  }

  get isEmpty(): boolean {
    return this.#wanted.size === 0;
  }

  /** The value at this position was wanted after the plan had run. */
  want(position: number): void {
    this.#wanted.set(position, 0);
  }

  /** The value at this position was kept, and given up without having been wanted. */
  wasted(position: number): void {
    const times = this.#wanted.get(position);
    if (times === undefined) return;
    if (times >= 3) this.#wanted.delete(position);
    else this.#wanted.set(position, times + 1);
  }
}

function ownArg(arg: Arg): Arg {
  return arg instanceof Arg ? arg : new Arg((arg as Arg).node, (arg as Arg).view);
}

export const LEAF: LeafOp = { kind: "leaf", key: "leaf" };

let nextId = 1;
let visits = 0;

/** A mark for a walk over nodes: those that it has seen carry it as their `visit`. */
export function newVisit(): number {
  return ++visits;
}

/** The id of the node that was recorded last. */
export function lastNodeId(): number {
  return nextId - 1;
}

/** One value of the program: a contiguous array of `shape`. */
export class Node {
  /** Increases in the order of recording, which is a topological order. */
  readonly id = nextId++;
  readonly backend: Backend;
  readonly op: NodeOp;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly numel: number;
  /** What it is computed from; empty once it has been written out for good. */
  args: readonly Arg[];
  /** Arguments that a map reads at computed positions. */
  tables: readonly Arg[];
  scalars: readonly number[];
  scalarTypes: readonly ValueType[];
  /** Device memory that holds the value, if it has been written out. */
  buffer: DeviceBuffer | null = null;
  /** Where in the device's arena of small values the value lies, if there. */
  slot: Slot | null = null;
  /** Host copy of the value, in the dtype's layout; the device buffer is then only a cache. */
  host: HostArray | null = null;
  /** A node on another device whose value this one is to get; it becomes the host value when it is needed. */
  transferFrom: Node | null = null;
  /** Recorded nodes that still need this one's value to compute theirs. */
  uses = 0;
  /** Storages that are bound to it now. */
  owners = 0;
  /** How many want its memory kept: storages that are state, `retain()`. */
  holds = 0;
  /** True if it is carried on (a parameter, a running average): once written out it forgets what it was computed from. */
  carried = false;
  /** True for a value that an optimiser's step wrote: of such ones only the last version before is kept. */
  stepped = false;
  /** True if it was written out before a step because a tensor may still want it: what it is computed from may be overwritten by the next. */
  outlives = false;
  /** The value that it took the place of in a storage, as long as that is in memory. */
  previous: Node | null = null;
  /** True once its storage holds a newer value, while its own stays in memory for what was recorded before. */
  superseded = false;
  /** Realisations that it was part of, whether or not its value was kept. */
  runs = 0;
  /** The plan that computed it without keeping it, and its position there: plans learn what is asked for later. */
  origin: Origin | null = null;
  /** How many realisations lie between it and values that were not computed. */
  depth = 0;
  /** True once what it was computed from has been forgotten. */
  settled = false;
  /** Which of its device's lists it is in, and its neighbours there. */
  list: NodeList | null = null;
  before: Node | null = null;
  after: Node | null = null;
  /** Where it stands in the graph that is being realised, and which walk saw it last: scratch of those who walk. */
  position = 0;
  visit = 0;
  /** The inquiry that last found that it can be computed again. */
  sound = 0;
  /** Why the value is gone, if it is. */
  lost: string | null = null;
  /** Why it could not be computed when that was tried last: it is tried again only when it is asked for. */
  fault: Error | null = null;
  /** The user's line that recorded it, in debug mode. */
  readonly site: string | null = siteInDebugMode();
  /** What the storage that it was written for is to the user. */
  role: Role | null = null;
  /** How many entries of the tape save it, and whether one ever did. */
  saves = 0;
  wasSaved = false;
  /** True if it stands for one example of a batch, or depends on such a node: it is never computed itself. */
  traced = false;

  constructor(
    backend: Backend,
    op: NodeOp,
    shape: readonly number[],
    dtype: DType,
    args: readonly Arg[],
    scalars: readonly number[] = NONE,
    scalarTypes: readonly ValueType[] = NONE,
    tables: readonly Arg[] = NONE,
  ) {
    this.backend = backend;
    this.op = op;
    this.shape = shape;
    this.dtype = dtype;
    this.numel = numel(shape);
    // Lists of its own, whatever they were made by: see lists.ts.
    this.args = args.length === 0 ? NONE : args.map(ownArg);
    this.scalars = scalars;
    this.scalarTypes = scalarTypes;
    this.tables = tables.length === 0 ? NONE : tables.map(ownArg);
    this.#use(this.args);
    this.#use(this.tables);
  }

  #use(args: readonly Arg[]): void {
    for (let i = 0; i < args.length; i++) {
      const { node } = args[i]!;
      if (node === null) continue;
      node.uses++;
      if (node.traced) this.traced = true;
    }
  }

  /** True if the value has still to be computed. */
  get pending(): boolean {
    return this.buffer === null && this.host === null && this.slot === null;
  }

  /** True if the value is one number that the host knows and the device need not hold. */
  get isHostScalar(): boolean {
    return this.host !== null && this.numel === 1 && this.buffer === null;
  }

  /** Forgets what it was computed from: the value is written out and carried on as state. */
  settle(): void {
    if (this.args.length > 0 || this.tables.length > 0) this.settled = true;
    for (const arg of this.args) if (arg.node !== null) arg.node.uses--;
    for (const arg of this.tables) if (arg.node !== null) arg.node.uses--;
    this.args = NONE;
    this.tables = NONE;
  }

  /** Undoes `settle()`, for a value that turned out not to have been written. */
  unsettle(args: readonly Arg[], tables: readonly Arg[]): void {
    this.settled = false;
    this.args = args;
    this.tables = tables;
    for (const list of [args, tables]) for (const { node } of list) if (node !== null) node.uses++;
  }
}

/** What users call the operation that gave a value. */
export function operationOf(node: Node): string {
  const { op } = node;
  if (op.kind === "leaf") return node.transferFrom === null ? "tensor" : "to";
  if (op.kind === "routine" && op.name === "scan") return `cum${String(op.attrs["kind"])}`;
  const word = /^[A-Za-z0-9]+_?/.exec(op.key)?.[0] ?? op.kind;
  return OPERATIONS[word] ?? word;
}

/** Keys that are no names of operations. */
const OPERATIONS: Readonly<Record<string, string>> = {
  cast: "copy",
  rows: "copy",
  update: "copy_",
  pack: "cat",
  ramp: "arange",
  positions: "arange",
  winners: "maxPool",
  winnersBack: "maxPool",
  zero: "zeros",
};

/** What a value is called in messages: its operation and shape, and in debug mode the line that made it. */
export function describeNode(node: Node): string {
  const made = node.site === null ? "" : `, made at ${node.site}`;
  return `the result of ${operationOf(node)}, of shape ${showShape(node.shape)}${made}`;
}

/** True if the view reads a contiguous node of `count` elements from its first to its last. */
export function coversWhole(view: View, count: number): boolean {
  return view.offset === 0 && numel(view.shape) === count && isRowMajor(view.shape, view.strides);
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    if (shape[d] !== 1 && strides[d] !== step) return false;
    step *= shape[d]!;
  }
  return true;
}

/** Text that tells affine accesses apart. */
export function affineKey(a: Affine): string {
  return `${a.strides.join(",")}+${a.offset}`;
}
