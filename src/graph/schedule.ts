/**
 * From pending nodes to kernels.
 *
 * 1. Some nodes are anchors: they are written out, or at least have one home kernel: what was asked for, reductions,
 *    routines, what routines read, and elementwise values that several others read and that are not cheap. The
 *    others are written into each of their readers.
 * 2. Anchors with a common iteration space are grouped into one kernel, as long as no cycle between kernels arises and
 *    the device's bounds are kept: elementwise chains, several outputs, reductions with what feeds and follows them (a
 *    softmax is one kernel).
 * 3. Groups are ordered; an in-place operation takes over its base's memory where nothing else still reads it; what goes on with the result of a
 *    product or a convolution joins it, on devices that gain from that.
 */

import { contiguousView, isContiguous, numel, type Affine, type View } from "./view.ts";
import {
  doesNotFit,
  DoesNotFit,
  Draft,
  NeedsAnchor,
  rowMajor,
  squeezed,
  squeezedView,
  type DraftContext,
  type DraftKernel,
  type ScalarSource,
} from "./draft.ts";
import { fuseEpilogues } from "./epilogues.ts";
import { routineKey, type BufferSlot, type FusedStructure, type RoutineData, type RoutineStructure } from "./kernel.ts";
import { Replacements } from "./replace.ts";
import { coversWhole, type Arg, type Node, type ReduceOp } from "./node.ts";

/** A kernel of the schedule, with nodes in the place of buffers. */
export type Step =
  | { readonly kind: "fused"; readonly kernel: DraftKernel; readonly anchors: readonly Node[] }
  | {
      readonly kind: "routine";
      readonly structure: RoutineStructure;
      readonly ints: readonly number[];
      readonly epilogue?: RoutineData["epilogue"];
      readonly scalars: readonly ScalarSource[];
      readonly buffers: readonly Node[];
      readonly anchors: readonly Node[];
    };

export interface Schedule {
  readonly steps: readonly Step[];
  /** Nodes whose value is written to memory of its own, in order. */
  readonly stored: readonly Node[];
  /** In-place results that live in the memory of their base. */
  readonly takesOver: ReadonlyMap<Node, Node>;
}

export interface ScheduleLimits {
  readonly buffersPerKernel: number;
  fusesRows(outer: number, inner: number): boolean;
  fusesEpilogue?(routine: RoutineStructure, work: FusedStructure, elements: number): boolean;
}

/** Most instructions of a fused kernel, and of one value written into its reader. */
const MAX_INSTRS = 400;
const MAX_INLINE_COST = 160;
/** Up to this cost an elementwise value with a single source is computed again in each reader rather than stored. */
const CHEAP_COST = 3;
/** Anchors in a group, and how many earlier groups that share an input are tried as partners. */
const MAX_GROUP = 48;
const MAX_SIBLINGS = 6;
/** Large work is joined to other work on the same input only if that is at least one in so many of its elements. */
const LEAST_SHARED = 16;
const LARGE = 4096;

/**
 * Schedules `nodes` (pending, in order of recording, closed under what they need) so that `targets` are written out.
 */
export function schedule(nodes: readonly Node[], targets: ReadonlySet<Node>, limits: ScheduleLimits): Schedule {
  const forced = new Set<Node>();
  for (;;) {
    try {
      return new Scheduler(nodes, targets, limits, forced).run();
    } catch (error) {
      if (!(error instanceof NeedsAnchors)) throw error;
      const { size } = forced;
      for (const node of error.nodes) forced.add(node);
      if (forced.size === size) throw error;
    }
  }
}

/** Nodes that turned out to have to be written out: the schedule is made anew with them as anchors. */
class NeedsAnchors extends Error {
  readonly nodes: readonly Node[];
  constructor(nodes: readonly Node[]) {
    super(`nodes ${nodes.map((n) => n.id).join(", ")} have to be written out`);
    this.nodes = nodes;
  }
}

/** A set of anchors that become one kernel. */
class Group {
  readonly anchors: Node[];
  kernel: DraftKernel | null;
  /** Smallest and largest id of the anchors: a value has a larger id than what it is computed from. */
  first: number;
  last: number;
  constructor(anchors: Node[], kernel: DraftKernel | null) {
    this.anchors = anchors;
    this.kernel = kernel;
    this.first = Math.min(...anchors.map((a) => a.id));
    this.last = Math.max(...anchors.map((a) => a.id));
  }

  /** Takes over another list of anchors and their kernel. */
  become(anchors: readonly Node[], kernel: DraftKernel): void {
    this.anchors.splice(0, this.anchors.length, ...anchors);
    this.kernel = kernel;
    this.first = Math.min(...anchors.map((a) => a.id));
    this.last = Math.max(...anchors.map((a) => a.id));
  }
}

class Scheduler {
  readonly #nodes: readonly Node[];
  readonly #targets: ReadonlySet<Node>;
  readonly #limits: ScheduleLimits;
  readonly #forced: ReadonlySet<Node>;
  readonly #anchors = new Set<Node>();
  /** Anchors and leaves that a node's value is computed from, through what is written into it. */
  readonly #sources = new Map<Node, Set<Node>>();
  /** Anchors that read an anchor, through what is written into them. */
  readonly #readers = new Map<Node, Set<Node>>();
  readonly #groupOf = new Map<Node, Group>();
  readonly #groups = new Set<Group>();
  readonly #bySource = new Map<Node, Group[]>();
  readonly #mustStore = new Set<Node>();
  /** Nodes that turned out to need an anchor while groups were built. */
  readonly #missing: Node[] = [];

  constructor(nodes: readonly Node[], targets: ReadonlySet<Node>, limits: ScheduleLimits, forced: ReadonlySet<Node>) {
    this.#nodes = nodes;
    this.#targets = targets;
    this.#limits = limits;
    this.#forced = forced;
  }

  run(): Schedule {
    this.#chooseAnchors();
    for (const node of this.#nodes) if (this.#anchors.has(node)) this.#place(node);
    if (this.#missing.length > 0) throw new NeedsAnchors(this.#missing);
    try {
      return this.#order();
    } catch (error) {
      throw error instanceof NeedsAnchor ? new NeedsAnchors([error.node]) : error;
    }
  }

  #context(): DraftContext {
    return {
      isAnchor: (node) => this.#anchors.has(node),
      maxBuffers: this.#limits.buffersPerKernel,
      maxInstrs: MAX_INSTRS,
    };
  }

  // --- 1. anchors -----------------------------------------------------------------------------------------------

  #chooseAnchors(): void {
    const readers = new Map<Node, Node[]>();
    for (const node of this.#nodes) {
      const seen = new Set<Node>();
      for (const arg of [...node.args, ...node.tables])
        if (arg.node !== null && arg.node.pending && !seen.has(arg.node)) {
          seen.add(arg.node);
          const list = readers.get(arg.node);
          if (list === undefined) readers.set(arg.node, [node]);
          else list.push(node);
        }
      for (const table of node.tables) if (table.node !== null) this.#mustStore.add(table.node);
      if (node.op.kind === "routine")
        node.args.forEach((arg, i) => {
          if (arg.node !== null && !(i === 0 && node.op.kind === "routine" && node.op.inPlace))
            this.#mustStore.add(arg.node);
        });
    }
    const cost = new Map<Node, number>();
    const maxLoads = Math.max(this.#limits.buffersPerKernel - 2, 1);
    for (const node of this.#nodes) {
      const sources = new Set<Node>();
      let total = 1;
      const gather = (): void => {
        sources.clear();
        total = node.op.kind === "map" ? node.op.cost : 1;
        for (const arg of [...node.args, ...node.tables]) {
          const from = arg.node;
          if (from === null) continue;
          if (!from.pending || this.#anchors.has(from)) sources.add(from);
          else {
            for (const source of this.#sources.get(from)!) sources.add(source);
            total += cost.get(from)!;
          }
        }
      };
      gather();
      const written = node.op.kind === "update" || node.op.kind === "routine";
      const buffered = (): number => {
        let n = 0;
        for (const s of sources) if (!s.isHostScalar) n++;
        return n;
      };
      if (!written && (buffered() > maxLoads || total > MAX_INLINE_COST)) {
        for (const arg of node.args)
          if (arg.node?.pending && !this.#anchors.has(arg.node) && arg.node.args.length > 0) this.#makeAnchor(arg.node);
        gather();
      }
      this.#sources.set(node, sources);
      cost.set(node, total);
      if (this.#wantsAnchor(node, readers.get(node) ?? [], sources, total)) this.#anchors.add(node);
    }
    for (const anchor of this.#anchors)
      for (const source of this.#sources.get(anchor)!) {
        const list = this.#readers.get(source);
        if (list === undefined) this.#readers.set(source, new Set([anchor]));
        else list.add(anchor);
      }
  }

  #makeAnchor(node: Node): void {
    this.#anchors.add(node);
  }

  #wantsAnchor(node: Node, readers: readonly Node[], sources: ReadonlySet<Node>, cost: number): boolean {
    if (node.op.kind !== "map" || this.#targets.has(node) || this.#mustStore.has(node) || this.#forced.has(node))
      return true;
    if (sources.size === 0) return false;
    const widened = readers.some((r) => r.op.kind !== "update" && iterations(r) > node.numel);
    if (widened && cost > CHEAP_COST) return true;
    if (readers.length <= 1) return false;
    return cost > CHEAP_COST || sources.size > 1;
  }

  // --- 2. groups ------------------------------------------------------------------------------------------------

  #place(node: Node): void {
    if (node.numel === 0 || node.op.kind === "routine" || node.op.kind === "update") {
      this.#addGroup(new Group([node], null));
      return;
    }
    let home: Group | null = null;
    for (const candidate of this.#candidates(node)) {
      if (candidate === home || candidate.kernel === null) continue;
      if (home === null) {
        if (this.#wouldCycle([...this.#sources.get(node)!], candidate)) continue;
        const kernel = this.#tryBuild([...candidate.anchors, node]);
        if (kernel === null) continue;
        candidate.become([...candidate.anchors, node], kernel);
        this.#register(node, candidate);
        home = candidate;
      } else {
        if (this.#reaches(home, candidate, true) || this.#reaches(candidate, home, true)) continue;
        const merged = [...home.anchors, ...candidate.anchors].sort((a, b) => a.id - b.id);
        const kernel = this.#tryBuild(merged);
        if (kernel === null) continue;
        this.#groups.delete(candidate);
        home.become(merged, kernel);
        for (const anchor of candidate.anchors) this.#register(anchor, home);
      }
    }
    if (home !== null) return;
    this.#addGroup(new Group([node], this.#buildAlone(node)));
  }

  #buildAlone(node: Node): DraftKernel | null {
    try {
      return this.#build([node]);
    } catch (error) {
      if (!(error instanceof NeedsAnchor)) throw error;
      this.#missing.push(error.node);
      return null;
    }
  }

  #addGroup(group: Group): void {
    this.#groups.add(group);
    for (const anchor of group.anchors) this.#register(anchor, group);
  }

  #register(anchor: Node, group: Group): void {
    this.#groupOf.set(anchor, group);
    for (const source of this.#sources.get(anchor)!) {
      const list = this.#bySource.get(source);
      if (list === undefined) this.#bySource.set(source, [group]);
      else if (list[list.length - 1] !== group) list.push(group);
    }
  }

  /** Groups that the node could join: those it reads from, then those that read what it reads. */
  #candidates(node: Node): Set<Group> {
    const result = new Set<Group>();
    const sources = this.#sources.get(node)!;
    for (const source of sources) {
      const group = this.#groupOf.get(source);
      if (group !== undefined) result.add(group);
    }
    for (const source of sources) {
      // What is small beside the work is read again at no cost; in one kernel, the results of unrelated work would be in memory together.
      if (iterations(node) >= LARGE && source.numel * LEAST_SHARED < iterations(node)) continue;
      if (source.numel === 1 && !source.pending) continue;
      const siblings = this.#bySource.get(source) ?? [];
      for (const group of siblings.slice(-MAX_SIBLINGS)) if (this.#groups.has(group)) result.add(group);
    }
    return result;
  }

  /** True if something that is read outside `group` is itself computed from `group`. */
  #wouldCycle(sources: readonly Node[], group: Group): boolean {
    return sources.some((source) => {
      const from = this.#groupOf.get(source);
      return from !== undefined && from !== group && this.#reaches(from, group, false);
    });
  }

  /** True if `from` depends on `to`; with `indirect`, only by way of a third group. */
  #reaches(from: Group, to: Group, indirect: boolean): boolean {
    const seen = new Set<Group>([from]);
    const stack: Group[] = [from];
    // What was all recorded before `to` cannot depend on it, unless by way of a group with parts from before and after.
    let isOrdered = true;
    for (const group of this.#groups)
      if (group !== from && group.first < to.first && group.last > to.first) isOrdered = false;
    while (stack.length > 0) {
      const group = stack.pop()!;
      for (const anchor of group.anchors)
        for (const source of this.#sources.get(anchor)!) {
          const next = this.#groupOf.get(source);
          if (next === undefined || seen.has(next) || (isOrdered && next.last < to.first)) continue;
          if (next === to) {
            if (indirect && group === from) continue;
            return true;
          }
          seen.add(next);
          stack.push(next);
        }
    }
    return false;
  }

  #tryBuild(anchors: readonly Node[]): DraftKernel | null {
    if (anchors.length > MAX_GROUP) return null;
    try {
      return this.#build(anchors);
    } catch (error) {
      if (error instanceof DoesNotFit || (error instanceof NeedsAnchor && anchors.length > 1)) return null;
      throw error;
    }
  }

  #build(anchors: readonly Node[], inPlace?: ReadonlyMap<Node, Node>): DraftKernel {
    const space = iterationSpace(anchors);
    const draft = new Draft(this.#context(), space.outer, space.inner, inPlace);
    const members = new Set(anchors);
    let writesFull = false;
    for (const node of anchors) {
      const shape = squeezed(node.shape).join();
      let access = space.row;
      let value: number;
      if (node.op.kind === "reduce") {
        const arg = node.args[0]!;
        const view = squeezedView(arg.view);
        const flat = draft.read({ node: arg.node, view }, space.walk, node);
        value = draft.builder.emit("reduce", reduceType(node, draft.builder.type(flat)), [flat], node.op.reduce);
      } else {
        if (shape === space.fullKey) access = space.full;
        else if (shape !== space.rowKey) throw doesNotFit("another iteration space");
        value = draft.compute(node, access);
      }
      draft.define(node, access, value);
      if (this.#isStored(node, members)) {
        if (access === space.full && space.inner.length > 0) writesFull = true;
        draft.store(node, access, value);
      }
    }
    if (writesFull && anchors.some((a) => a.op.kind === "reduce"))
      if (!this.#limits.fusesRows(numel(space.outer), numel(space.inner))) throw doesNotFit("too few rows");
    return draft.finish();
  }

  #isStored(node: Node, members: ReadonlySet<Node>): boolean {
    if (this.#targets.has(node) || this.#mustStore.has(node)) return true;
    const readers = this.#readers.get(node);
    if (readers === undefined) return false;
    for (const reader of readers) if (!members.has(reader)) return true;
    return false;
  }

  // --- 3. order, routines and in-place results ------------------------------------------------------------------

  #order(): Schedule {
    const ordered = this.#sortGroups();
    const position = new Map<Group, number>();
    ordered.forEach((group, i) => position.set(group, i));
    const takesOver = this.#takeOvers(ordered, position);
    const replacements = new Replacements(this.#nodes, this.#targets, this.#anchors);
    const steps: Step[] = [];
    const stored: Node[] = [];
    for (const group of ordered) {
      const first = group.anchors[0]!;
      if (group.kernel !== null) {
        // Rebuilt, because what is stored depends on which readers ended up in the same kernel.
        let kernel = this.#build(group.anchors);
        const inPlace = replacements.of(group.anchors, kernel);
        if (inPlace.size > 0) {
          kernel = this.#build(group.anchors, inPlace);
          for (const [node, base] of inPlace) takesOver.set(node, base);
        }
        const members = new Set(group.anchors);
        for (const anchor of group.anchors) if (this.#isStored(anchor, members)) stored.push(anchor);
        if (kernel.structure.stores.length > 0) steps.push({ kind: "fused", kernel, anchors: group.anchors });
      } else {
        stored.push(first);
        if (first.numel > 0) steps.push(...this.#kernelSteps(first, takesOver.has(first)));
      }
    }
    const limits = this.#limits;
    if (limits.fusesEpilogue === undefined) return { steps, stored, takesOver };
    const fuses = limits.fusesEpilogue.bind(limits);
    return { steps: fuseEpilogues(steps, { targets: this.#targets, takesOver, fuses }), stored, takesOver };
  }

  #sortGroups(): Group[] {
    const waiting = new Map<Group, number>();
    const readers = new Map<Group, Set<Group>>();
    for (const group of this.#groups) {
      const from = new Set<Group>();
      for (const anchor of group.anchors)
        for (const source of this.#sources.get(anchor)!) {
          const other = this.#groupOf.get(source);
          if (other !== undefined && other !== group) from.add(other);
        }
      waiting.set(group, from.size);
      for (const other of from) {
        const set = readers.get(other);
        if (set === undefined) readers.set(other, new Set([group]));
        else set.add(group);
      }
    }
    const ready = [...this.#groups].filter((g) => waiting.get(g) === 0);
    const result: Group[] = [];
    while (ready.length > 0) {
      let best = 0;
      for (let i = 1; i < ready.length; i++) if (ready[i]!.anchors[0]!.id < ready[best]!.anchors[0]!.id) best = i;
      const group = ready.splice(best, 1)[0]!;
      result.push(group);
      for (const reader of readers.get(group) ?? []) {
        const left = waiting.get(reader)! - 1;
        waiting.set(reader, left);
        if (left === 0) ready.push(reader);
      }
    }
    if (result.length !== this.#groups.size) throw new Error("the scheduler made a cycle of kernels");
    return result;
  }

  /** Which in-place results may overwrite their base: decided from the last to the first, as chains hang together. */
  #takeOvers(ordered: readonly Group[], position: ReadonlyMap<Group, number>): Map<Node, Node> {
    const result = new Map<Node, Node>();
    for (let i = ordered.length - 1; i >= 0; i--) {
      const node = ordered[i]!.anchors[0]!;
      const base = inPlaceBase(node);
      if (base === null || node.numel === 0 || this.#targets.has(base)) continue;
      if (base.pending && !this.#anchors.has(base)) continue;
      const readers = this.#readers.get(base);
      let last = true;
      for (const reader of readers ?? [])
        if (reader !== node && position.get(this.#groupOf.get(reader)!)! >= i) last = false;
      if (!last || this.#readsBaseElsewhere(node, base)) continue;
      if (!base.pending) {
        // Memory that was written out before: nobody but this in-place result may still want the old value.
        const successor = [...(this.#readers.get(node) ?? [])].find((r) => inPlaceBase(r) === node && result.has(r));
        const passedOn = node.owners === 0 && node.uses === 1 && successor !== undefined;
        if (
          base.buffer === null ||
          base.holds > 0 ||
          base.owners > 0 ||
          base.uses > 1 ||
          !(this.#targets.has(node) || passedOn)
        )
          continue;
      }
      result.set(node, base);
    }
    return result;
  }

  #readsBaseElsewhere(node: Node, base: Node): boolean {
    if (node.op.kind === "routine") return node.args.slice(1).some((arg) => arg.node === base);
    if (node.op.kind !== "update") return true;
    const values = node.args.slice(1);
    // Several pieces that read the base see each other's writes; one piece may read just what it overwrites.
    const reading = values.filter((arg) => this.#readsFrom(arg.node, base));
    if (reading.length === 0) return false;
    if (values.length > 1) return true;
    const target = squeezedView(node.op.targets[0]!);
    const draft = new Draft(this.#context(), target.shape, []);
    draft.read({ node: values[0]!.node, view: squeezedView(values[0]!.view) }, rowMajor(target.shape), node);
    return draft.loadsElsewhere(base, target);
  }

  #readsFrom(node: Node | null, base: Node): boolean {
    if (node === null) return false;
    if (node === base) return true;
    return node.pending && !this.#anchors.has(node) && this.#sources.get(node)!.has(base);
  }

  #kernelSteps(node: Node, inBase: boolean): Step[] {
    const steps: Step[] = [];
    const op = node.op;
    const base = inPlaceBase(node);
    if (base !== null && !inBase) steps.push(this.#piece(node, 0, contiguousView(node.shape)));
    if (op.kind === "update") {
      const first = op.hasBase ? 1 : 0;
      op.targets.forEach((target, i) => {
        if (numel(target.shape) > 0) steps.push(this.#piece(node, first + i, target));
      });
    } else if (op.kind === "routine") {
      const args = op.inPlace ? node.args.slice(1) : node.args;
      const inputs = args.map((arg) => arg.node!);
      const buffers = op.inPlace ? [node, ...inputs] : [...inputs, node];
      // One buffer is bound once: routines read several views of it through the offsets in their numbers.
      const slots: BufferSlot[] = buffers.map((b) => ({
        dtype: b.dtype,
        mode: b !== node ? "read" : op.inPlace ? "read-write" : "write",
      }));
      const structure: RoutineStructure = {
        kind: "routine",
        key: routineKey(op.name, op.attrs, slots),
        name: op.name,
        attrs: op.attrs,
        buffers: slots,
        usesStatus: op.usesStatus,
      };
      const scalars = node.scalars.map((_, slot) => ({ node, slot }));
      steps.push({ kind: "routine", structure, ints: op.ints, scalars, buffers, anchors: [node] });
    }
    return steps;
  }

  /** A piece that lies in one block both where it comes from and where it goes is copied, which takes no kernel. */
  #blockCopy(node: Node, arg: Arg, target: View): Step | null {
    const from = arg.node;
    if (from === null || node.dtype === "float16") return null;
    if (from.pending ? !this.#anchors.has(from) : from.isHostScalar) return null;
    if (!isContiguous(arg.view.shape, arg.view.strides) || !isContiguous(target.shape, target.strides)) return null;
    const slots: BufferSlot[] = [
      { dtype: node.dtype, mode: "read" },
      { dtype: node.dtype, mode: "read-write" },
    ];
    return {
      kind: "routine",
      structure: {
        kind: "routine",
        key: routineKey("copy", {}, slots),
        name: "copy",
        attrs: {},
        buffers: slots,
        usesStatus: false,
      },
      ints: [numel(target.shape), arg.view.offset, target.offset],
      scalars: [],
      buffers: [from, node],
      anchors: [node],
    };
  }

  /** Writes argument `index` of an in-place node to `target` of its memory. */
  #piece(node: Node, index: number, target: View): Step {
    const arg = node.args[index]!;
    const copy = this.#blockCopy(node, arg, target);
    if (copy !== null) return copy;
    const view = squeezedView(target);
    const draft = new Draft(this.#context(), view.shape, []);
    const value = draft.read({ node: arg.node, view: squeezedView(arg.view) }, rowMajor(view.shape), node);
    draft.store(node, view, value);
    return { kind: "fused", kernel: draft.finish(), anchors: [node] };
  }
}

/** The node that an in-place result starts as, if any. */
export function inPlaceBase(node: Node): Node | null {
  if (node.op.kind === "update") return node.op.hasBase ? node.args[0]!.node : null;
  if (node.op.kind === "routine") return node.op.inPlace ? node.args[0]!.node : null;
  return null;
}

/** How many elements a node's computation walks over. */
function iterations(node: Node): number {
  return node.op.kind === "reduce" ? numel(node.op.fullShape) : node.numel;
}

function reduceType(node: Node, operand: "f" | "d" | "i" | "u" | "b"): "f" | "d" | "i" | "u" | "b" {
  const kind = (node.op as ReduceOp).reduce;
  if (kind === "argmax" || kind === "argmin") return "i";
  if (kind === "any" || kind === "all") return "b";
  return operand;
}

interface Space {
  readonly outer: readonly number[];
  readonly inner: readonly number[];
  /** Access of a full value (an array of the reductions' operand shape), and the key of that shape. */
  readonly full: Affine;
  readonly fullKey: string;
  /** Access of a row value, and the key of its shape. */
  readonly row: Affine;
  readonly rowKey: string;
  /** Access that walks a reduction's argument view, whose dimensions are outer then inner. */
  readonly walk: Affine;
}

/** The iteration space that all anchors share; throws `DoesNotFit` where reductions differ. */
function iterationSpace(anchors: readonly Node[]): Space {
  const reduction = anchors.find((a) => a.op.kind === "reduce");
  if (reduction === undefined) {
    const outer = squeezed(anchors[0]!.shape);
    const access = rowMajor(outer);
    return { outer, inner: [], full: access, fullKey: outer.join(), row: access, rowKey: outer.join(), walk: access };
  }
  const op = reduction.op as ReduceOp;
  const key = domainKey(op);
  for (const a of anchors)
    if (a.op.kind === "reduce" && domainKey(a.op) !== key) throw doesNotFit("reductions over other dimensions");
  const dims = op.fullShape.map((size, d) => ({ size, reduced: op.dims.includes(d) })).filter((d) => d.size !== 1);
  const strides = rowMajor(dims.map((d) => d.size)).strides;
  const outer = dims.filter((d) => !d.reduced).map((d) => d.size);
  const inner = dims.filter((d) => d.reduced).map((d) => d.size);
  const full = [...strides.filter((_, d) => !dims[d]!.reduced), ...strides.filter((_, d) => dims[d]!.reduced)];
  return {
    outer,
    inner,
    full: { strides: full, offset: 0 },
    fullKey: dims.map((d) => d.size).join(),
    row: { strides: [...rowMajor(outer).strides, ...inner.map(() => 0)], offset: 0 },
    rowKey: outer.join(),
    walk: rowMajor([...outer, ...inner]),
  };
}

function domainKey(op: ReduceOp): string {
  return op.fullShape
    .map((size, d) => (size === 1 ? "" : op.dims.includes(d) ? `${size}r` : `${size}`))
    .filter((s) => s !== "")
    .join();
}

/** True if the argument is the whole node in order. */
export function isWhole(node: Node, index: number): boolean {
  const arg = node.args[index]!;
  return arg.node !== null && coversWhole(arg.view, arg.node.numel);
}
