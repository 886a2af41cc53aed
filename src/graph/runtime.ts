/** The running system: devices, what is pending on them, and the one way from pending nodes to values. */

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { DType, HostArray } from "../dtype.ts";
import { DeviceError, DisposedError, IndexError } from "../errors.ts";
import { LEAF, Node } from "./node.ts";
import { keepTraced, tracedError } from "./trace.ts";
import { collect, makePlan, runPlan, signature, type Plan, type PlanHost } from "./plan.ts";

/** Nodes recorded since the last realisation after which everything that nothing else reads is realised. */
const MAX_PENDING = 4000;
/** Bytes of a read value up to which the host keeps it. */
const MAX_REMEMBERED = 4096;
/** Plans kept for each device; the oldest goes first. */
const MAX_PLANS = 512;

interface Held {
  readonly backend: Backend;
  readonly buffer: DeviceBuffer;
}

/** Per-device state of the graph. */
interface DeviceState {
  readonly plans: Map<string, Plan>;
  /** Recorded and perhaps still pending. */
  recorded: Node[];
}

const states = new WeakMap<Backend, DeviceState>();

function stateOf(backend: Backend): DeviceState {
  let state = states.get(backend);
  if (state === undefined) {
    state = { plans: new Map(), recorded: [] };
    states.set(backend, state);
  }
  return state;
}

// Memory of nodes that nobody can reach any more; a net under the explicit rules, as it runs late or never.
const unreachable =
  typeof FinalizationRegistry === "undefined"
    ? null
    : new FinalizationRegistry<Held>((held) => {
        held.backend.release(held.buffer);
      });

/** Gives a node the memory that holds its value. */
function own(node: Node, buffer: DeviceBuffer): void {
  node.buffer = buffer;
  unreachable?.register(node, { backend: node.backend, buffer }, node);
}

/** Takes a node's memory away from it. */
function disown(node: Node): DeviceBuffer {
  const buffer = node.buffer!;
  node.buffer = null;
  unreachable?.unregister(node);
  return buffer;
}

/** Frees the device memory of a node's value; what is known to the host, or can be computed again, is not lost. */
export function evict(node: Node): void {
  if (node.buffer === null) return;
  node.backend.release(disown(node));
  if (node.host === null && node.settled) node.lost ??= "its memory was given up";
}

function toDevice(node: Node): DeviceBuffer {
  if (node.buffer !== null) return node.buffer;
  const buffer = node.backend.allocate(node.backend.bytesFor(node.dtype, node.numel));
  if (node.numel > 0) node.backend.upload(buffer, node.dtype, node.host!);
  own(node, buffer);
  return buffer;
}

// Faults are reported by a number that a kernel writes; these say which op it stands for.
const tags = new Map<number, { text: string }>();
let nextTag = 1;

function tagFor(node: Node): number {
  const tag = nextTag;
  nextTag = nextTag >= 0x7fffffff ? 1 : nextTag + 1;
  tags.set(tag, { text: node.site ?? node.op.key });
  if (tags.size > 10000) tags.delete(tags.keys().next().value!);
  return tag;
}

const host: PlanHost = { toDevice, tagFor, own, disown };

/** Records a node: nothing is computed yet. */
export function recordNode(node: Node): Node {
  if (node.traced) return keepTraced(node);
  const state = stateOf(node.backend);
  state.recorded.push(node);
  if (state.recorded.length > MAX_PENDING) flushRecorded(node.backend);
  return node;
}

/** Realises what was recorded on a device, is held by a tensor and is read by no other recorded node. */
export function flushRecorded(backend: Backend): void {
  const state = stateOf(backend);
  const { recorded } = state;
  state.recorded = [];
  const open = recorded.filter(
    (n) => n.pending && !n.ran && n.uses === 0 && n.owners > 0 && n.lost === null && !needsWaiting([n]),
  );
  if (open.length > 0) realize(open);
}

/** A node that holds a host value; `data` belongs to the node from now on. */
export function leafNode(backend: Backend, data: HostArray, shape: readonly number[], dtype: DType): Node {
  const node = new Node(backend, LEAF, shape, dtype, []);
  node.host = data;
  return node;
}

/** A node that gets its value from a node on another device, when it is needed. */
export function transferNode(backend: Backend, from: Node): Node {
  const node = new Node(backend, LEAF, from.shape, from.dtype, []);
  node.transferFrom = from;
  node.traced = from.traced;
  from.uses++;
  return node;
}

/** Transfers that must arrive before the targets can be computed. */
function transfersFor(targets: readonly Node[]): Node[] {
  const result: Node[] = [];
  const seen = new Set<Node>();
  const stack = targets.filter((t) => t.pending);
  while (stack.length > 0) {
    const node = stack.pop()!;
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.transferFrom !== null) result.push(node);
    for (const arg of node.args) if (arg.node?.pending) stack.push(arg.node);
    for (const arg of node.tables) if (arg.node?.pending) stack.push(arg.node);
  }
  return result;
}

function arrive(node: Node, data: HostArray): void {
  node.host = data;
  node.transferFrom!.uses--;
  node.transferFrom = null;
}

/** True if a value cannot be had without waiting for another device. */
export function needsWaiting(targets: readonly Node[]): boolean {
  return transfersFor(targets).some((t) => {
    const from = t.transferFrom!;
    return from.host === null && (from.backend.readSync === undefined || needsWaiting([from]));
  });
}

/** Observers of realisations, for tests and tools. */
export const realisations = { count: 0 };

/**
 * Computes and writes out the values of `targets` (all on one device). Each forgets what it was computed from, unless it is in `keep`:
 * those can be computed again after their memory was taken.
 */
export function realize(targets: readonly Node[], keep: ReadonlySet<Node> = new Set()): void {
  const wanted = targets.filter((t) => t.pending);
  if (wanted.length === 0) return;
  for (const node of wanted) {
    if (node.traced) throw tracedError("reading a value");
    if (node.lost !== null) throw lostError(node);
  }
  const { backend } = wanted[0]!;
  for (const transfer of transfersFor(wanted)) {
    const from = transfer.transferFrom!;
    if (from.host === null && from.backend.readSync === undefined)
      throw new DeviceError(
        `a value is still on the ${from.backend.type} device and cannot be had without waiting: read it with await, for example await t.data()`,
      );
    arrive(transfer, readNodesSync([{ node: from, offset: 0, count: from.numel }])[0]!);
  }
  const graph = collect(wanted.filter((t) => t.pending));
  if (graph.pending === 0) return;
  for (const node of graph.nodes.slice(0, graph.pending)) {
    if (node.lost !== null || node.settled || node.op.kind === "leaf") throw lostError(node);
  }
  const set = new Set(wanted.filter((t) => t.pending));
  const state = stateOf(backend);
  const key = signature(graph, set);
  let plan = state.plans.get(key);
  if (plan === undefined) {
    plan = makePlan(graph, set, backend);
    state.plans.set(key, plan);
    if (state.plans.size > MAX_PLANS) state.plans.delete(state.plans.keys().next().value!);
  }
  runPlan(plan, graph, backend, host);
  realisations.count++;
  for (const node of graph.nodes) node.ran = true;
  for (const node of set) if (!keep.has(node)) node.settle();
}

function lostError(node: Node): DisposedError {
  return new DisposedError(
    `the value of ${node.op.key} is gone: ${node.lost ?? "its memory was given up"}. ` +
      `Call retain() on the tensor before, to keep its value.`,
  );
}

/** Elements that a read is to bring: a contiguous range of a node's elements. */
export interface NodeRange {
  readonly node: Node;
  readonly offset: number;
  readonly count: number;
}

function checkFault(fault: number): void {
  if (fault === 0) return;
  throw new IndexError(`index out of range in ${tags.get(fault)?.text ?? "an earlier operation"}`);
}

/** Brings values to the host: one transfer a device. Values must be realised or pending; pending ones are realised. */
export async function readNodes(ranges: readonly NodeRange[]): Promise<HostArray[]> {
  await Promise.all(
    transfersFor(ranges.map((r) => r.node)).map(async (transfer) => {
      const from = transfer.transferFrom!;
      const [data] = await readNodes([{ node: from, offset: 0, count: from.numel }]);
      if (transfer.transferFrom !== null) arrive(transfer, data!);
    }),
  );
  const result: HostArray[] = new Array<HostArray>(ranges.length);
  const byBackend = prepareReads(ranges, result);
  for (const [backend, positions] of byBackend) {
    const { arrays, fault } = await backend.read(positions.map((i) => request(ranges[i]!)));
    checkFault(fault);
    positions.forEach((position, i) => (result[position] = remember(ranges[position]!, arrays[i]!)));
  }
  return result;
}

/** Keeps small values that were read on the host, so that their device memory can be given up at any time. */
function remember(range: NodeRange, data: HostArray): HostArray {
  const { node } = range;
  if (range.offset === 0 && range.count === node.numel && data.byteLength <= MAX_REMEMBERED) node.host = data.slice();
  return data;
}

/** The same without waiting, where the device can. */
export function readNodesSync(ranges: readonly NodeRange[]): HostArray[] {
  const result: HostArray[] = new Array<HostArray>(ranges.length);
  for (const [backend, positions] of prepareReads(ranges, result)) {
    const { arrays, fault } = backend.readSync!(positions.map((i) => request(ranges[i]!)));
    checkFault(fault);
    positions.forEach((position, i) => (result[position] = arrays[i]!));
  }
  return result;
}

function request(range: NodeRange): { buffer: DeviceBuffer; dtype: DType; offset: number; count: number } {
  return { buffer: range.node.buffer!, dtype: range.node.dtype, offset: range.offset, count: range.count };
}

/** Answers what the host knows already; the rest is realised and grouped by device. */
function prepareReads(ranges: readonly NodeRange[], result: HostArray[]): Map<Backend, number[]> {
  const byBackend = new Map<Backend, number[]>();
  ranges.forEach(({ node, offset, count }, i) => {
    if (node.host !== null) result[i] = node.host.slice(offset, offset + count);
    else {
      const list = byBackend.get(node.backend);
      if (list === undefined) byBackend.set(node.backend, [i]);
      else list.push(i);
    }
  });
  for (const positions of byBackend.values()) realize(positions.map((i) => ranges[i]!.node));
  return byBackend;
}
