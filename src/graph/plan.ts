/** From a schedule to something that can be run again: positions in the place of nodes, and planned memory. */

import type { Backend, Call, DeviceBuffer, Program } from "../backend/backend.ts";
import { fromHalf } from "../dtype.ts";
import type { KernelData } from "./kernel.ts";
import type { Node } from "./node.ts";
import { schedule } from "./schedule.ts";

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
type Place =
  | { readonly kind: "leaf"; readonly node: number }
  | { readonly kind: "kept"; readonly index: number }
  | { readonly kind: "temporary"; readonly index: number };

/** A schedule compiled for one structure of program. */
export interface Plan {
  readonly steps: readonly PlannedStep[];
  readonly places: ReadonlyMap<number, Place>;
  /** Bytes of memory that outlives the run, and of memory used only within it. */
  readonly kept: readonly number[];
  readonly temporaries: readonly number[];
  /** Positions of nodes that must be on the device before. */
  readonly inputs: readonly number[];
  /** Positions of nodes whose memory was taken over. */
  readonly taken: readonly number[];
  readonly targets: readonly number[];
}

let visits = 0;

/** Collects what `targets` need that is still pending, and what that reads. */
export function collect(targets: readonly Node[]): Graph {
  const visit = ++visits;
  const nodes: Node[] = [];
  const leaves: Node[] = [];
  const stack: Node[] = [];
  const see = (node: Node | null): void => {
    if (node === null || node.visit === visit) return;
    node.visit = visit;
    if (node.pending) stack.push(node);
    else leaves.push(node);
  };
  for (const target of targets) if (target.pending) see(target);
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
  const lastUse = new Map<Node, number>();
  steps.forEach((step, i) => {
    const buffers = step.kind === "fused" ? step.kernel.buffers : step.buffers;
    for (const node of buffers) lastUse.set(rootOf(node), i);
  });

  const places = new Map<number, Place>();
  const inputs = new Set<number>();
  const kept: number[] = [];
  const temporaries: number[] = [];
  const free: number[] = [];
  const placeOfRoot = new Map<Node, Place>();
  const place = (node: Node): void => {
    const root = rootOf(node);
    let known = placeOfRoot.get(root);
    if (known === undefined) {
      const bytes = backend.bytesFor(root.dtype, root.numel);
      if (position.get(root)! >= graph.pending) {
        known = { kind: "leaf", node: position.get(root)! };
        inputs.add(position.get(root)!);
      } else if (keptRoots.has(root)) known = { kind: "kept", index: kept.push(bytes) - 1 };
      else known = { kind: "temporary", index: takeTemporary(bytes) };
      placeOfRoot.set(root, known);
    }
    places.set(position.get(node)!, known);
  };
  const takeTemporary = (bytes: number): number => {
    let best = -1;
    for (const index of free) {
      const size = temporaries[index]!;
      if (size >= bytes && size <= 2 * bytes + 256 && (best < 0 || size < temporaries[best]!)) best = index;
    }
    if (best < 0) return temporaries.push(bytes) - 1;
    free.splice(free.indexOf(best), 1);
    return best;
  };

  const isStored = new Set(stored);
  const planned = steps.map((step, i): PlannedStep => {
    const buffers = step.kind === "fused" ? step.kernel.buffers : step.buffers;
    for (const node of buffers) {
      const at = position.get(node)!;
      if (at >= graph.pending) {
        inputs.add(at);
        if (!places.has(at)) places.set(at, { kind: "leaf", node: at });
      } else if (!places.has(at)) place(node);
    }
    for (const node of new Set(buffers.map(rootOf))) {
      const known = placeOfRoot.get(node);
      if (known?.kind === "temporary" && lastUse.get(node) === i) free.push(known.index);
    }
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
        : { ints: step.ints, scalars: [] };
    return {
      program: backend.prepare(structure),
      buffers: buffers.map((node) => position.get(node)!),
      scalars: scalars.map((s) => [position.get(s.node)!, s.slot] as const),
      data,
      checks: (step.kind === "fused" ? step.kernel.checks : step.anchors).map((node) => position.get(node)!),
      usesStatus: structure.usesStatus,
    };
  });
  for (const target of targets) if (!places.has(position.get(target)!) && isStored.has(target)) place(target);
  const taken: number[] = [];
  for (const base of takesOver.values()) if (position.get(base)! >= graph.pending) taken.push(position.get(base)!);
  return {
    steps: planned,
    places,
    kept,
    temporaries,
    inputs: [...inputs],
    taken,
    targets: [...targets].map((t) => position.get(t)!),
  };
}

/** What a run needs of the world around: device copies of host values, tags for faults, and who owns memory. */
export interface PlanHost {
  toDevice(node: Node): DeviceBuffer;
  tagFor(nodes: readonly Node[]): number;
  own(node: Node, buffer: DeviceBuffer): void;
  disown(node: Node): DeviceBuffer;
}

/** Runs a plan over a graph of its structure. Nothing is changed if memory runs out, or if the device refuses a call. */
export function runPlan(plan: Plan, graph: Graph, backend: Backend, host: PlanHost): void {
  const { nodes } = graph;
  const inputs = new Map<number, DeviceBuffer>();
  for (const at of plan.inputs) inputs.set(at, host.toDevice(nodes[at]!));
  const kept: DeviceBuffer[] = [];
  const temporaries: DeviceBuffer[] = [];
  const giveBack = (): void => {
    for (const buffer of [...kept, ...temporaries]) backend.release(buffer);
  };
  try {
    for (const bytes of plan.kept) kept.push(backend.allocate(bytes, null, "kept"));
    for (const bytes of plan.temporaries) temporaries.push(backend.allocate(bytes, null, "temporary"));
  } catch (error) {
    giveBack();
    throw error;
  }
  const bufferAt = (at: number): DeviceBuffer => {
    const place = plan.places.get(at)!;
    if (place.kind === "leaf") return inputs.get(place.node)!;
    return place.kind === "kept" ? kept[place.index]! : temporaries[place.index]!;
  };
  const calls: Call[] = plan.steps.map((step) => ({
    program: step.program,
    data:
      step.scalars.length === 0
        ? step.data
        : { ...step.data, scalars: step.scalars.map(([at, slot]) => scalarOf(nodes[at]!, slot)) },
    buffers: step.buffers.map(bufferAt),
    tag: step.usesStatus ? host.tagFor(step.checks.map((at) => nodes[at]!)) : 0,
  }));
  try {
    backend.run(calls);
  } catch (error) {
    giveBack(); // the device cannot run one of them, and ran none
    throw error;
  }
  const moved = new Map<DeviceBuffer, number>();
  for (const at of plan.taken) moved.set(host.disown(nodes[at]!), at);
  for (const buffer of temporaries) backend.release(buffer);
  for (const at of plan.targets) {
    const buffer = bufferAt(at);
    moved.delete(buffer);
    host.own(nodes[at]!, buffer);
  }
  // A base that was taken over by a value that is itself temporary has served its time.
  for (const buffer of moved.keys()) backend.release(buffer);
}

function scalarOf(node: Node, slot: number): number {
  if (slot >= 0) return node.scalars[slot]!;
  const value = node.host![0]!;
  return node.dtype === "float16" ? fromHalf(value) : value;
}
