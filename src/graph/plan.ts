/** From a schedule to something that can be run again: positions in the place of nodes, and planned memory. */

import type { Backend, Call, DeviceBuffer, Program } from "../backend/backend.ts";
import { fromHalf } from "../dtype.ts";
import type { KernelData } from "./kernel.ts";
import { describeNode, newVisit, type Node } from "./node.ts";
import { placeLives, type Life } from "./placement.ts";
import { schedule } from "./schedule.ts";
import type { Streams } from "./streams.ts";

/** A node that came with the call of a plan: `pending` ones are computed, the others are read. */
export interface Graph {
  /** Pending nodes in order of recording, then the nodes that they read, likewise. */
  readonly nodes: readonly Node[];
  readonly pending: number;
}

interface PlannedStep {
  readonly program: Program;
  /** Positions of nodes whose memory is bound. */
  readonly buffers: readonly number[];
  /** Positions of nodes, and scalar slots (-1: its only element). */
  readonly scalars: readonly (readonly [node: number, slot: number])[];
  readonly data: KernelData;
  /** Nodes that check indices in it. */
  readonly checks: readonly number[];
  readonly usesStatus: boolean;
}

/** Memory of a stored value. */
type Place = { readonly kind: "leaf"; readonly node: number } | { readonly kind: "slot"; readonly index: number };

/** A piece of memory of a run, and the position of the node that it was taken for. */
interface PlannedSlot {
  readonly bytes: number;
  readonly node: number;
  readonly isKept: boolean;
}

/** A schedule compiled for one structure of program. */
export interface Plan {
  readonly steps: readonly PlannedStep[];
  readonly places: ReadonlyMap<number, Place>;
  /** Memory to allocate before the run. */
  readonly slots: readonly PlannedSlot[];
  /** Positions of nodes that must be on the device before. */
  readonly inputs: readonly number[];
  /** Positions of nodes whose memory was taken over. */
  readonly taken: readonly number[];
  readonly targets: readonly number[];
}

/** Collects what `targets` need that is still pending, and what that reads: what is there, or is `given`. */
export function collect(targets: readonly Node[], given: ReadonlySet<Node> | null = null): Graph {
  const visit = newVisit();
  const nodes: Node[] = [];
  const leaves: Node[] = [];
  const stack: Node[] = [];
  const see = (node: Node | null): void => {
    if (node === null || node.visit === visit) return;
    node.visit = visit;
    if (node.pending && given?.has(node) !== true) stack.push(node);
    else leaves.push(node);
  };
  targets.forEach(see);
  while (stack.length > 0) {
    const node = stack.pop()!;
    nodes.push(node);
    for (const arg of node.args) see(arg.node);
    for (const arg of node.tables) see(arg.node);
  }
  const pending = nodes.length;
  nodes.sort((a, b) => a.id - b.id);
  leaves.sort((a, b) => a.id - b.id);
  for (const leaf of leaves) nodes.push(leaf);
  return { nodes, pending };
}

/** Schedules the graph and plans its memory. */
export function makePlan(graph: Graph, targets: ReadonlySet<Node>, backend: Backend): Plan {
  const position = new Map<Node, number>();
  graph.nodes.forEach((node, i) => position.set(node, i));
  const { steps, stored, takesOver } = schedule(graph.nodes.slice(0, graph.pending), targets, backend.limits);

  const rootOf = (node: Node): Node => {
    let root = node;
    for (let base = takesOver.get(root); base !== undefined; base = takesOver.get(root)) root = base;
    return root;
  };
  const keptRoots = new Set<Node>();
  for (const target of targets) keptRoots.add(rootOf(target));
  const buffersOf = (step: (typeof steps)[number]): readonly Node[] =>
    step.kind === "fused" ? step.kernel.buffers : step.buffers;
  const isComputed = (node: Node): boolean => position.get(node)! < graph.pending;
  const firstUse = new Map<Node, number>();
  const lastUse = new Map<Node, number>();
  steps.forEach((step, i) => {
    for (const root of buffersOf(step).map(rootOf)) {
      if (!firstUse.has(root)) firstUse.set(root, i);
      lastUse.set(root, i);
    }
  });
  for (const target of stored)
    if (targets.has(target) && !firstUse.has(rootOf(target))) firstUse.set(rootOf(target), 0);
  const roots = [...firstUse.keys()].filter(isComputed);
  const { slots: placed, slotOf } = placeLives(
    roots.map((root): Life => ({
      bytes: backend.bytesFor(root.dtype, root.numel),
      first: firstUse.get(root)!,
      last: keptRoots.has(root) ? Infinity : lastUse.get(root)!,
    })),
    backend.limits.pieceBytes,
  );
  const slots = placed.map(({ bytes, isKept, life }): PlannedSlot => ({
    bytes,
    isKept,
    node: position.get(roots[life]!)!,
  }));
  const slotOfRoot = new Map(roots.map((root, i) => [root, slotOf[i]!]));

  const places = new Map<number, Place>();
  const inputs = new Set<number>();
  const place = (node: Node): void => {
    const root = rootOf(node);
    const at = position.get(root)!;
    if (at >= graph.pending) inputs.add(at);
    places.set(
      position.get(node)!,
      at >= graph.pending ? { kind: "leaf", node: at } : { kind: "slot", index: slotOfRoot.get(root)! },
    );
  };

  const planned = steps.map((step): PlannedStep => {
    const buffers = buffersOf(step);
    for (const node of buffers) if (!places.has(position.get(node)!)) place(node);
    const structure = step.kind === "fused" ? step.kernel.structure : step.structure;
    const scalars = step.kind === "fused" ? step.kernel.scalars : step.scalars;
    const data: KernelData =
      step.kind === "fused"
        ? {
            outer: step.kernel.outer,
            inner: step.kernel.inner,
            strides: step.kernel.strides,
            offsets: step.kernel.offsets,
            scalars: [],
          }
        : { ints: step.ints, scalars: [], ...(step.epilogue === undefined ? {} : { epilogue: step.epilogue }) };
    return {
      program: backend.prepare(structure),
      buffers: buffers.map((node) => position.get(node)!),
      scalars: scalars.map((s) => [position.get(s.node)!, s.slot] as const),
      data,
      checks: (step.kind === "fused" ? step.kernel.checks : step.anchors).map((node) => position.get(node)!),
      usesStatus: structure.usesStatus,
    };
  });
  for (const target of stored) if (targets.has(target) && !places.has(position.get(target)!)) place(target);
  const taken: number[] = [];
  for (const base of takesOver.values()) if (position.get(base)! >= graph.pending) taken.push(position.get(base)!);
  return {
    steps: planned,
    places,
    slots,
    inputs: [...inputs],
    taken,
    targets: [...targets].map((t) => position.get(t)!),
  };
}

/** The plan for runs in which the scalars of all these nodes are what they are now: they need not be gathered again. */
export function withScalarsOf(plan: Plan, nodes: readonly Node[], isFixed: (at: number) => boolean): Plan {
  const steps = plan.steps.map((step): PlannedStep =>
    step.scalars.length > 0 && step.scalars.every(([at, slot]) => slot >= 0 && isFixed(at))
      ? { ...step, data: { ...step.data, scalars: scalarsOf(step, nodes) }, scalars: [] }
      : step,
  );
  return { ...plan, steps };
}

/** What a run needs of the world around: device copies of host values, tags for faults, and who owns memory. */
export interface PlanHost {
  toDevice(node: Node): DeviceBuffer;
  tagFor(nodes: readonly Node[]): number;
  own(node: Node, buffer: DeviceBuffer): void;
  disown(node: Node): DeviceBuffer;
}

/** Calls of a plan that are about to run. */
export interface PlannedRun {
  readonly backend: Backend;
  readonly calls: readonly Call[];
  /** The node that each buffer of each call stands for. */
  readonly nodesOf: readonly (readonly Node[])[];
  /** What outlives the run, and where. */
  readonly targets: readonly { readonly node: Node; readonly buffer: DeviceBuffer }[];
}

/** Hears of what is about to run; what it gives is called once memory has its owners. */
type RunObserver = (run: PlannedRun) => () => void;

let observer: RunObserver | null = null;

/** Sets who hears of runs (null: nobody); gives who did before. */
export function observeRuns(next: RunObserver | null): RunObserver | null {
  const before = observer;
  observer = next;
  return before;
}

/**
 * Runs a plan over a graph of its structure. Nothing is changed if memory runs out, or if the device refuses a call. Host values of `streams` are
 * brought over one after the other.
 */
export function runPlan(plan: Plan, graph: Graph, backend: Backend, host: PlanHost, streams: Streams | null): void {
  const { nodes } = graph;
  const inputs = new Map<number, DeviceBuffer>();
  for (const at of plan.inputs)
    if (streams === null || !streams.slotOf.has(at)) inputs.set(at, host.toDevice(nodes[at]!));
  const slots: DeviceBuffer[] = [];
  const streamed: DeviceBuffer[] = [];
  const giveBack = (): void => {
    for (const buffer of [...slots, ...streamed]) backend.release(buffer);
  };
  try {
    for (const { bytes, node, isKept } of plan.slots)
      slots.push(backend.allocate(bytes, () => describeNode(nodes[node]!), isKept ? "kept" : "temporary"));
    if (streams !== null) for (const bytes of streams.slots) streamed.push(backend.allocate(bytes, null, "temporary"));
  } catch (error) {
    giveBack();
    throw error;
  }
  if (streams !== null) for (const [at, slot] of streams.slotOf) inputs.set(at, streamed[slot]!);
  const bufferAt = (at: number): DeviceBuffer => {
    const place = plan.places.get(at)!;
    return place.kind === "leaf" ? inputs.get(place.node)! : slots[place.index]!;
  };
  const calls: Call[] = plan.steps.map((step) => ({
    program: step.program,
    data: step.scalars.length === 0 ? step.data : { ...step.data, scalars: scalarsOf(step, nodes) },
    buffers: step.buffers.map(bufferAt),
    tag: step.usesStatus ? host.tagFor(step.checks.map((at) => nodes[at]!)) : 0,
  }));
  const told = observer?.({
    backend,
    calls,
    nodesOf: plan.steps.map((step) => step.buffers.map((at) => nodes[at]!)),
    targets: plan.targets.map((at) => ({ node: nodes[at]!, buffer: bufferAt(at) })),
  });
  try {
    if (streams === null) backend.run(calls);
    else runStreamed(calls, nodes, streams, streamed, backend);
  } catch (error) {
    giveBack(); // the device cannot run one of them, and ran none
    throw error;
  }
  const moved = new Map<DeviceBuffer, number>();
  for (const at of plan.taken) moved.set(host.disown(nodes[at]!), at);
  plan.slots.forEach(({ isKept }, i) => {
    if (!isKept) backend.release(slots[i]!);
  });
  for (const buffer of streamed) backend.release(buffer);
  for (const at of plan.targets) {
    const buffer = bufferAt(at);
    moved.delete(buffer);
    host.own(nodes[at]!, buffer);
  }
  // A base that was taken over by a value that is itself temporary has served its time.
  for (const buffer of moved.keys()) backend.release(buffer);
  told?.();
}

/** Runs calls in order, each as soon as the host values that it is the first to read are on their way. */
function runStreamed(
  calls: readonly Call[],
  nodes: readonly Node[],
  streams: Streams,
  memory: readonly DeviceBuffer[],
  backend: Backend,
): void {
  let done = 0;
  for (const [step, values] of [...streams.before].sort(([a], [b]) => a - b)) {
    if (step > done) backend.run(calls.slice(done, step));
    done = step;
    for (const at of values) {
      const { dtype, host } = nodes[at]!;
      backend.upload(memory[streams.slotOf.get(at)!]!, dtype, host!);
    }
  }
  backend.run(calls.slice(done));
}

function scalarsOf({ scalars }: PlannedStep, nodes: readonly Node[]): number[] {
  const values = new Array<number>(scalars.length);
  for (let i = 0; i < values.length; i++) values[i] = scalarOf(nodes[scalars[i]![0]]!, scalars[i]![1]);
  return values;
}

function scalarOf(node: Node, slot: number): number {
  if (slot >= 0) return node.scalars[slot]!;
  const value = node.host![0]!;
  return node.dtype === "float16" ? fromHalf(value) : value;
}
