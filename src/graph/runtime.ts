/** The running system: devices, what is pending on them, and the one way from pending nodes to values. */

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { DType, HostArray } from "../dtype.ts";
import { DeviceError, DisposedError, OutOfMemoryError } from "../errors.ts";
import { activeBackends, listenForLoss } from "./devices.ts";
import { checkFault, GIVEN_UP, goneOf, lostError, tagFor, unwrittenError } from "./faults.ts";
import { figuresOf, type LiveValue } from "./figures.ts";
import { checkFeasible } from "./feasible.ts";
import { describeNode, lastNodeId, Learned, LEAF, newVisit, Node, Origin } from "./node.ts";
import { keepTraced, tracedError } from "./trace.ts";
import { collect, makePlan, runPlan, type Graph, type Plan, type PlanHost } from "./plan.ts";
import { canRecompute, Residency } from "./residency.ts";
import { isShort, Recipes } from "./retry.ts";
import { signature } from "./signature.ts";
import { streamsOf, type Streams } from "./streams.ts";
import { arrive, needsWaiting, transfersFor } from "./transfers.ts";
import { bytesOfOlder, retireLast, retireOlder } from "./versions.ts";

/** Nodes recorded after which what nothing else reads is realised, as far as it was recorded before the last realisation. */
const MAX_PENDING = 4000;
/** Bytes of a read value up to which the host keeps it. */
const MAX_REMEMBERED = 4096;
/** Plans kept for each device; the oldest goes first. */
const MAX_PLANS = 512;

/** Bytes of a value up to which it is written out for good rather than computed again. */
const SMALL_BYTES = 16;
/** A value that lies more realisations than this away from given values is written out for good: recipes must not grow without end. */
const MAX_DEPTH = 3;

/** Per-device state of the graph. */
interface DeviceState {
  readonly residency: Residency;
  readonly plans: Map<string, Plan>;
  /** What plans learned, by their signature. */
  readonly learned: Map<string, Learned>;
  /** What the values of the last realisations were computed from. */
  readonly recipes: Recipes;
  /** Recorded and perhaps still pending. */
  recorded: Node[];
  /** Values asked to be written out with the next realisation. */
  requested: Node[];
  /** True if a read found no memory since what is missing was last tried again. */
  wasShort: boolean;
  /** How many of them had been recorded when something was last realised. */
  fresh: number;
  /** Id of the node that had been recorded last when something was last realised. */
  horizon: number;
}

const states = new WeakMap<Backend, DeviceState>();
let budget: number | null = null;

/** Bytes that every device's memory should keep to. */
export function setBudget(bytes: number | null): void {
  budget = bytes;
  for (const backend of activeBackends()) stateOf(backend).residency.budget = bytes;
}

listenForLoss((backend) => {
  const state = states.get(backend);
  if (state === undefined) return;
  state.recorded = [];
  state.requested = [];
  state.residency.abandon();
});

function stateOf(backend: Backend): DeviceState {
  let state = states.get(backend);
  if (state === undefined) {
    const residency: Residency = new Residency(backend, (node) => recipes.note(node));
    const recipes = new Recipes(residency);
    state = {
      residency,
      plans: new Map(),
      learned: new Map(),
      recipes,
      wasShort: false,
      recorded: [],
      requested: [],
      fresh: 0,
      horizon: 0,
    };
    state.residency.budget = budget;
    states.set(backend, state);
  }
  return state;
}

/** True if something was realised since a node was recorded: what is written over it outlives a step. */
export function isOlder(node: Node): boolean {
  return node.id <= stateOf(node.backend).horizon;
}

/** The memory of a device's values. */
export function residencyOf(backend: Backend): Residency {
  return stateOf(backend).residency;
}

/** What is told of every value of a device that has memory, and of what was recorded and is held, but not computed yet. */
export function valuesOf(backend: Backend): LiveValue[] {
  const { residency, recorded } = stateOf(backend);
  const pending = recorded.filter((n) => n.pending && n.runs === 0 && n.owners > 0 && n.lost === null && !n.settled);
  return [
    ...residency.values(),
    ...pending.map((n): LiveValue => ({ ...figuresOf(n, n.backend.bytesFor(n.dtype, n.numel)), owner: "pending" })),
  ];
}

/** Wants a value's memory kept (as state, or because somebody asked). Undone by `unhold`. */
export function hold(node: Node): void {
  if (node.holds++ === 0) residencyOf(node.backend).reconsider(node);
}

/** Undoes a `hold`. */
export function unhold(node: Node): void {
  if (--node.holds === 0) residencyOf(node.backend).reconsider(node);
}

/** Says that what a value is to the user has changed. */
export function relabel(node: Node): void {
  if (node.holds > 0) residencyOf(node.backend).reconsider(node);
}

/** Asks for a value to be written out with the next realisation on its device. */
export function request(node: Node): void {
  if (node.traced) throw tracedError("retain()");
  if (node.pending) stateOf(node.backend).requested.push(node);
}

/** Frees the device memory of a node's value; what is known to the host, or can be computed again, is not lost. */
export function evict(node: Node): void {
  residencyOf(node.backend).release(node, GIVEN_UP);
}

/** Device memory with a node's value: its own, or a copy of what the host or the arena has. */
function toDevice(node: Node): DeviceBuffer {
  if (node.buffer !== null) return node.buffer;
  const { residency } = stateOf(node.backend);
  if (node.slot !== null) {
    // Small values move out of the arena when they are computed with.
    const buffer = residency.bringBack(node);
    residency.release(node, "");
    residency.own(node, buffer);
    return buffer;
  }
  const buffer = node.backend.allocate(node.backend.bytesFor(node.dtype, node.numel), () => describeNode(node));
  if (node.numel > 0) node.backend.upload(buffer, node.dtype, node.host!);
  residency.own(node, buffer);
  return buffer;
}

const host: PlanHost = {
  toDevice,
  tagFor,
  own: (node, buffer) => residencyOf(node.backend).own(node, buffer),
  disown: (node) => residencyOf(node.backend).disown(node),
};

/** Records a node: nothing is computed yet. */
export function recordNode(node: Node): Node {
  if (node.traced) return keepTraced(node);
  const state = stateOf(node.backend);
  state.recorded.push(node);
  if (state.recorded.length > MAX_PENDING) {
    // The step that is being recorded is left whole: else a loop would be cut here, each time at another place.
    const recent = state.fresh > 0 ? state.recorded.splice(state.fresh) : [];
    flushRecorded(node.backend);
    state.recorded = recent;
    state.fresh = 0;
  }
  return node;
}

/** What a flush had no memory for. */
export interface Unflushed {
  readonly node: Node;
  readonly error: OutOfMemoryError;
  /** True if it is the value of a tensor that `retain()` was called on. */
  readonly isRetained: boolean;
}

/**
 * Realises what was recorded on a device, is held by a tensor and is read by no other recorded node. Values that there is no memory for do not keep the
 * others from being written; tells of each of them, retained ones before others. A read of it gives the error again, the next flush tries again what was retained.
 */
export function flushRecorded(backend: Backend): Unflushed[] {
  const state = stateOf(backend);
  retryShort(state);
  const retained = new Set(state.requested.filter((n) => n.holds > 0));
  const open = state.recorded.filter((n) => isOpen(n) && n.fault === null && !retained.has(n));
  state.recorded = [];
  const inquiry = newVisit();
  const wanted = [...retained, ...open].filter((n) => n.pending && canRecompute(n, inquiry) && !needsWaiting([n]));
  if (wanted.length === 0) return [];
  for (const node of wanted) node.outlives = true;
  if (tryToRealize(wanted) === null) return [];
  const problems: Unflushed[] = [];
  for (const node of wanted) {
    const error = node.pending ? tryToRealize([node]) : null;
    if (error !== null) problems.push({ node, error, isRetained: retained.has(node) });
  }
  return problems;
}

/**
 * Tries again, once, what was written out because a tensor may want it, and turned out not to be there for lack of memory: what it is computed from may be
 * overwritten soon. What takes more memory than all else that is there is left to those who ask for it.
 */
function retryShort(state: DeviceState): void {
  const { residency, recipes } = state;
  const short = recipes.takeFound();
  if (state.wasShort) short.push(...residency.short());
  state.wasShort = false;
  for (const node of short) {
    const { backend } = node;
    if (!node.outlives || node.owners === 0 || retried.has(node)) continue;
    const bytes = node.buffer?.bytes ?? 0;
    if (bytes > backend.memory().usedBytes - bytes) continue;
    retried.add(node);
    recipes.mend([node]);
    if (node.pending && canRecompute(node)) tryToRealize([node]);
  }
}

/** Values that were tried again. */
const retried = new WeakSet<Node>();

/** Realises what was recorded on a device, and waits for it. Rejects with the device's error, or with that of a value that there was no memory for. */
export async function finishRecorded(backend: Backend): Promise<void> {
  const [problem] = flushRecorded(backend);
  const { recipes } = stateOf(backend);
  const { count } = recipes;
  await backend.synchronize();
  recipes.confirm(count);
  if (problem !== undefined) throw problem.error;
}

/** Realises, and gives the error if there is no memory for it. */
function tryToRealize(targets: readonly Node[]): OutOfMemoryError | null {
  try {
    realize(targets);
    return null;
  } catch (error) {
    if (error instanceof OutOfMemoryError) return error;
    throw error;
  }
}

/** True if nothing that was recorded reads the value, while a tensor may. What is made of nothing (constants, random numbers) can be had at any time. */
function isOpen(node: Node): boolean {
  if (node.runs > 0 || node.uses > 0 || node.owners === 0) return false;
  for (const arg of node.args) if (arg.node !== null) return true;
  return false;
}

/** A node that holds a host value; `data` belongs to the node from now on. */
export function leafNode(backend: Backend, data: HostArray, shape: readonly number[], dtype: DType): Node {
  const node = new Node(backend, LEAF, shape, dtype, []);
  node.host = data;
  return node;
}

/** Observers of realisations, for tests and tools. */
export const realisations = { count: 0 };

/**
 * Computes and writes out the values of `targets` (all on one device). Values in `keep` can be computed again after their memory was
 * taken, as long as what they are computed from is there; so can others that are large and not state. Nobody holds what `isInternal`.
 */
export function realize(
  targets: readonly Node[],
  keep: ReadonlySet<Node> = new Set(),
  isInternal: (node: Node) => boolean = () => false,
): void {
  const wanted = targets.filter((t) => t.pending);
  if (wanted.length === 0) return;
  for (const node of wanted) if (node.traced) throw tracedError("reading a value");
  const { backend } = wanted[0]!;
  const state = stateOf(backend);
  const { requested } = state;
  try {
    realizeTogether(state, targets, wanted, keep, isInternal);
  } catch (error) {
    // What was asked to be kept is still to be written.
    state.requested = [...new Set([...requested, ...state.requested])].filter((n) => n.pending && n.holds > 0);
    throw error;
  }
}

/** Computes targets, of which `wanted` are pending, along with what is asked for besides. */
function realizeTogether(
  state: DeviceState,
  targets: readonly Node[],
  wanted: Node[],
  keep: ReadonlySet<Node>,
  isInternal: (node: Node) => boolean,
): void {
  const { backend } = wanted[0]!;
  takeRequested(state, wanted);
  for (const node of wanted) if (node.lost !== null) throw lostError(node, node);
  for (const transfer of transfersFor(wanted)) {
    const from = transfer.transferFrom!;
    if (from.host === null && from.backend.readSync === undefined)
      throw new DeviceError(
        `a value is still on the ${from.backend.type} device and cannot be had without waiting: read it with await, for example await t.data()`,
      );
    const askedAt = performance.now();
    arrive(transfer, readNodesSync([{ node: from, offset: 0, count: from.numel }])[0]!, askedAt);
  }
  const asked = wanted.filter((t) => t.pending);
  const graph = collectSound(state, asked);
  if (graph.pending === 0) return;
  const set = new Set(asked);
  for (const node of graph.nodes.slice(0, graph.pending)) {
    if (node.lost !== null || node.settled || node.op.kind === "leaf") {
      const target = wanted.find((t) => goneOf(t) !== null) ?? node;
      throw lostError(target, goneOf(target) ?? node);
    }
  }
  const key = extendTargets(state, graph, set);
  let plan = state.plans.get(key);
  if (plan === undefined) {
    plan = makePlan(graph, set, backend);
    state.plans.set(key, plan);
    if (state.plans.size > MAX_PLANS) state.plans.delete(state.plans.keys().next().value!);
  }
  // Of what is asked for together, values that are there already stay.
  const pinned = new Set([...graph.nodes.slice(graph.pending), ...targets.filter((t) => !t.pending)]);
  try {
    checkFeasible(plan, graph);
    runInRoom(state, plan, graph, set, pinned);
  } catch (error) {
    if (!(error instanceof OutOfMemoryError)) throw error;
    // What is written out along with what was asked for must not keep it from being had.
    const less = new Set(targets.filter((t) => t.pending));
    const isLess = less.size < set.size;
    for (const node of set) {
      if (isLess && less.has(node)) continue;
      node.fault = error;
      // State, and what was asked to be kept, is still to be written.
      if (node.holds > 0) state.requested.push(node);
    }
    if (!isLess) throw error;
    realize([...less], keep, isInternal);
    return;
  }
  realisations.count++;
  state.recorded = state.recorded.filter(isOpen);
  state.fresh = state.recorded.length;
  state.horizon = lastNodeId();
  for (const node of graph.nodes.slice(0, graph.pending)) if (!set.has(node) && isInternal(node)) node.settle();
  afterRun(state, graph, set, keep);
}

/** Collects what targets need. What turned out not to be there, for lack of memory, is to be computed again, or an error that says so. */
function collectSound(state: DeviceState, targets: readonly Node[]): Graph {
  const graph = collect(targets);
  if (!mendShort(state, graph.nodes.slice(graph.pending))) return graph;
  const again = collect(targets);
  refuseShort(again.nodes.slice(again.pending));
  return again;
}

/** Makes pending again, as far as that is possible, what turned out not to be there for lack of memory; false if all is there. */
function mendShort({ recipes }: DeviceState, values: readonly Node[]): boolean {
  const missing = values.filter(isShort);
  if (missing.length > 0) recipes.mend(missing);
  return missing.length > 0;
}

/** Throws the error of a value that is still not there. */
function refuseShort(values: readonly Node[]): void {
  const gone = values.find(isShort);
  if (gone !== undefined) throw unwrittenError(gone);
}

/** Plans of which it is known that their device can run them. */
const checked = new WeakSet<Plan>();

/**
 * Runs a plan over a graph that was put together from another of the same structure. What it reads is computed first; its targets are written out:
 * for good, where the graph does not say what they are computed from.
 */
export function runAgain(plan: Plan, graph: Graph, targets: ReadonlySet<Node>): void {
  const state = stateOf(graph.nodes[0]!.backend);
  const read = graph.nodes.slice(graph.pending);
  mendShort(state, read);
  realize(read);
  refuseShort(read);
  const depth = read.reduce(
    (most, node) => (node.settled || node.args.length === 0 ? most : Math.max(most, node.depth)),
    0,
  );
  for (const node of targets) {
    node.depth = depth + 1;
    if (node.args.length > 0 && node.depth <= MAX_DEPTH && !isSmall(node)) continue;
    node.settle();
    node.settled = true;
  }
  if (!checked.has(plan)) {
    checkFeasible(plan, graph);
    checked.add(plan);
  }
  runInRoom(state, plan, graph, targets, new Set(read));
  realisations.count++;
  for (const node of targets) {
    node.runs = 1;
    if (node.settled) state.residency.tuckAway(node);
  }
}

/** Values asked for by `retain()` are written out along with others. */
function takeRequested(state: DeviceState, wanted: Node[]): void {
  const { requested } = state;
  if (requested.length === 0) return;
  state.requested = [];
  for (const node of requested) {
    if (!node.pending || node.holds === 0 || !canRecompute(node)) continue;
    if (node.fault !== null || needsWaiting([node])) state.requested.push(node);
    else wanted.push(node);
  }
}

/**
 * Adds to the targets what was wanted after the same program had run before, and what was computed before without being kept and is
 * needed again. Gives the signature of the whole.
 */
function extendTargets(state: DeviceState, graph: Graph, targets: Set<Node>): string {
  const key = signature(graph, targets);
  const learned = state.learned.get(key);
  const before = targets.size;
  for (const node of neededAgain(graph)) {
    node.origin!.entry.want(node.origin!.position);
    targets.add(node);
  }
  if (learned !== undefined)
    for (const position of learned.positions) {
      const node = graph.nodes[position]!;
      if (node.fault === null) targets.add(node);
    }
  // What is carried on is written out when it is computed: soon it could not be computed again.
  for (let i = 0; i < graph.pending; i++) {
    const node = graph.nodes[i]!;
    if (node.carried && node.owners > 0 && node.fault === null) targets.add(node);
  }
  const own = learned ?? new Learned();
  if (learned === undefined) {
    state.learned.set(key, own);
    if (state.learned.size > MAX_PLANS) state.learned.delete(state.learned.keys().next().value!);
  }
  for (let i = 0; i < graph.pending; i++) graph.nodes[i]!.origin = new Origin(own, i);
  return targets.size === before ? key : signature(graph, targets);
}

/** What plans learned so far: positions of values to write out, by signature. */
export function learnedPlans(backend: Backend): Record<string, number[]> {
  const result: Record<string, number[]> = {};
  for (const [key, entry] of stateOf(backend).learned) if (!entry.isEmpty) result[key] = [...entry.positions];
  return result;
}

/** Goes on with what plans had learned elsewhere, so that the same programs run as the same kernels. */
export function resumePlans(backend: Backend, plans: Readonly<Record<string, readonly number[]>>): void {
  const { learned } = stateOf(backend);
  learned.clear();
  for (const [key, positions] of Object.entries(plans)) {
    const entry = new Learned();
    for (const position of positions) entry.want(position);
    learned.set(key, entry);
  }
}

/** Values that were computed in an earlier realisation, were not kept, and are now read by something new (or asked for). */
function neededAgain(graph: Graph): Node[] {
  const result: Node[] = [];
  if (!graph.nodes.some((n, i) => i < graph.pending && n.runs > 0)) return result;
  const pending = graph.nodes.slice(0, graph.pending);
  const readByNew = new Set<Node>();
  for (const node of pending)
    if (node.runs === 0) {
      for (const arg of node.args) if (arg.node !== null) readByNew.add(arg.node);
      for (const arg of node.tables) if (arg.node !== null) readByNew.add(arg.node);
    }
  for (const node of pending)
    if (node.runs > 0 && node.fault === null && node.origin !== null && readByNew.has(node) && isWorthKeeping(node))
      result.push(node);
  return result;
}

/** False for what costs next to nothing to compute again: constants and ranges. */
function isWorthKeeping(node: Node): boolean {
  return node.op.kind !== "map" || node.args.length > 0 || node.op.cost > 3;
}

/** Runs a plan in memory that was made free for it. Running out of memory costs the caches, then the values nobody may want. */
function runInRoom(
  state: DeviceState,
  plan: Plan,
  graph: Graph,
  targets: ReadonlySet<Node>,
  pinned: ReadonlySet<Node>,
): void {
  const { residency } = state;
  const { backend } = graph.nodes[0]!;
  const streams = streamsOf(plan, graph, backend);
  const need = bytesOf(plan, graph, backend, streams);
  // Caches that are computed from what is about to be freed give way before: afterwards they would have to be kept.
  const within = residency.makeRoom(need, pinned, bytesOfOlder(targets, pinned));
  retireOlder(residency, targets, pinned);
  backend.keepWithin?.(within);
  residency.touch(pinned);
  const attempts = [() => undefined, () => residency.dropCaches(pinned), () => residency.dropHeld(pinned)];
  for (const [i, prepare] of attempts.entries()) {
    prepare();
    if (i > 0) backend.trim(0);
    try {
      runPlan(plan, graph, backend, host, streams);
      return;
    } catch (error) {
      if (!(error instanceof OutOfMemoryError)) throw error;
      if (i === attempts.length - 1) throw error;
    }
  }
}

/** Bytes of device memory that a plan will take beyond what is there. */
function bytesOf(plan: Plan, graph: Graph, backend: Backend, streams: Streams | null): number {
  const size = (bytes: number): number => backend.allocationBytes(bytes);
  let total = 0;
  for (const { bytes } of plan.slots) total += size(bytes);
  for (const bytes of streams?.slots ?? []) total += size(bytes);
  for (const at of plan.inputs) {
    const node = graph.nodes[at]!;
    if (node.buffer === null && streams?.slotOf.has(at) !== true)
      total += size(backend.bytesFor(node.dtype, node.numel));
  }
  return total;
}

/** After a run: what is kept, what can be computed again, and what has served its time. */
function afterRun(state: DeviceState, graph: Graph, targets: ReadonlySet<Node>, keep: ReadonlySet<Node>): void {
  const { residency, recipes } = state;
  recipes.begin();
  let depth = 0;
  graph.nodes.forEach((node, i) => {
    if (i < graph.pending) node.runs++;
    else if (!node.settled && node.args.length > 0) depth = Math.max(depth, node.depth);
  });
  for (const node of targets) {
    node.depth = depth + 1;
    node.fault = null;
    if (!keep.has(node) && (node.carried || isSmall(node) || node.depth > MAX_DEPTH)) {
      recipes.note(node);
      node.settle();
    }
    residency.reconsider(node);
  }
  for (const node of targets) {
    retireLast(residency, node);
    if (node.settled) residency.tuckAway(node);
  }
}

/** True for a value that takes less memory than what it is computed from is worth. */
function isSmall(node: Node): boolean {
  return node.backend.bytesFor(node.dtype, node.numel) <= SMALL_BYTES;
}

/** Elements that a read is to bring: a contiguous range of a node's elements. */
export interface NodeRange {
  readonly node: Node;
  readonly offset: number;
  readonly count: number;
}

/**
 * Brings values to the host: one transfer a device. Pending values are realised. What is read is what the values are at the call, whatever is written
 * before the promise settles.
 */
export function readNodes(ranges: readonly NodeRange[]): Promise<HostArray[]> {
  try {
    const transfers = transfersFor(ranges.map((r) => r.node));
    return transfers.length === 0 ? startReads(ranges) : readBehind(transfers, ranges);
  } catch (error) {
    return Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Reads values that wait for others from other devices. */
async function readBehind(transfers: readonly Node[], ranges: readonly NodeRange[]): Promise<HostArray[]> {
  // What they are computed from must not be given up meanwhile.
  const { nodes, pending } = collect(ranges.map((r) => r.node));
  const needed = nodes.slice(pending);
  needed.forEach(hold);
  try {
    await Promise.all(
      transfers.map(async (transfer) => {
        const from = transfer.transferFrom!;
        const askedAt = performance.now();
        const [data] = await readNodes([{ node: from, offset: 0, count: from.numel }]);
        if (transfer.transferFrom !== null) arrive(transfer, data!, askedAt);
      }),
    );
    return await startReads(ranges);
  } finally {
    needed.forEach(unhold);
  }
}

/** Queues the reads at once, on every device. `again` says that it is the second time, as there was no memory the first. */
function startReads(ranges: readonly NodeRange[], again = false): Promise<HostArray[]> {
  const result: HostArray[] = new Array<HostArray>(ranges.length);
  const reads = [...prepareReads(ranges, result)].map(async ([backend, positions]) => {
    // Values that should leave the device come along with what was asked for.
    const { residency, recipes } = stateOf(backend);
    const leaving = backend.readSync === undefined && !again ? residency.toSpill() : [];
    const requests = positions.map((i) => requestFor(ranges[i]!));
    for (const node of leaving) requests.push(requestFor({ node, offset: 0, count: node.numel }));
    const { count } = recipes;
    const missing = positions.map((i) => ranges[i]!.node).filter(isShort);
    try {
      const { arrays, fault } = await backend.read(requests);
      recipes.confirm(count);
      leaving.forEach((node, i) => residency.spilled(node, arrays[positions.length + i]!));
      checkFault(fault);
      positions.forEach((position, i) => (result[position] = remember(ranges[position]!, arrays[i]!)));
    } catch (error) {
      if (again || !(error instanceof OutOfMemoryError)) throw error;
      stateOf(backend).wasShort = true;
      const wanted = positions.map((i) => ranges[i]!);
      await freeFor(wanted, backend);
      refuseShort(missing);
      try {
        const second = await startReads(wanted, true);
        positions.forEach((position, i) => (result[position] = second[i]!));
      } catch (problem) {
        // Overwritten meanwhile: that was not so at the call.
        throw problem instanceof DisposedError ? error : problem;
      }
    }
  });
  return Promise.all(reads).then(() => result);
}

/**
 * For a read that found no memory: gives up what can be computed again, moves to the host what may be held, and makes pending again what is missing.
 * (What was asked for may be there, while something that was to come along is not.)
 */
async function freeFor(wanted: readonly NodeRange[], backend: Backend): Promise<void> {
  const { residency, recipes } = stateOf(backend);
  const nodes = wanted.map(({ node }) => node);
  if (!nodes.some(isShort)) return;
  recipes.mend(nodes);
  const { nodes: needed, pending } = collect(nodes);
  const pinned = new Set([...needed.slice(pending), ...nodes]);
  residency.dropCaches(pinned);
  const held = residency.spillable(pinned);
  if (held.length > 0) {
    const requests = held.map((node) => requestFor({ node, offset: 0, count: node.numel }));
    // If there is no memory for this either, they stay.
    const moved = await backend.read(requests).catch((error: unknown) => {
      if (error instanceof OutOfMemoryError) return null;
      throw error;
    });
    if (moved !== null) held.forEach((node, i) => residency.spilled(node, moved.arrays[i]!));
  }
  backend.trim(0);
}

/** Keeps small values that were read on the host, so that their device memory can be given up at any time. */
function remember(range: NodeRange, data: HostArray): HostArray {
  const { node } = range;
  if (range.offset !== 0 || range.count !== node.numel || data.byteLength > MAX_REMEMBERED || node.host !== null)
    return data;
  node.host = data.slice();
  if (node.numel === 1 && node.holds === 0) evict(node);
  else residencyOf(node.backend).reconsider(node);
  return data;
}

/** The same without waiting, where the device can. */
export function readNodesSync(ranges: readonly NodeRange[]): HostArray[] {
  const result: HostArray[] = new Array<HostArray>(ranges.length);
  for (const [backend, positions] of prepareReads(ranges, result)) {
    const { arrays, fault } = backend.readSync!(positions.map((i) => requestFor(ranges[i]!)));
    checkFault(fault);
    positions.forEach((position, i) => (result[position] = remember(ranges[position]!, arrays[i]!)));
  }
  return result;
}

function requestFor(range: NodeRange): { buffer: DeviceBuffer; dtype: DType; offset: number; count: number } {
  const { node, offset, count } = range;
  const { dtype, slot } = node;
  if (node.buffer !== null || slot === null) return { buffer: node.buffer!, dtype, offset, count };
  return { buffer: slot.block.buffer, dtype, offset: slot.start + offset, count };
}

/** Realises what is pending, answers what the host knows then, and groups the rest by device. */
function prepareReads(ranges: readonly NodeRange[], result: HostArray[]): Map<Backend, number[]> {
  const pending = new Map<Backend, Node[]>();
  for (const { node } of ranges) {
    if (node.traced) throw tracedError("reading a value");
    // A fault that was seen while its value moved to the host.
    checkFault(stateOf(node.backend).residency.takeFault());
    if (node.host !== null) continue;
    const list = pending.get(node.backend);
    if (list === undefined) pending.set(node.backend, [node]);
    else list.push(node);
  }
  for (const [backend, nodes] of pending) {
    realize(nodes);
    checkFault(stateOf(backend).residency.takeFault());
  }
  const byBackend = new Map<Backend, number[]>();
  ranges.forEach(({ node, offset, count }, i) => {
    if (node.host !== null) {
      result[i] = node.host.slice(offset, offset + count);
      return;
    }
    const list = byBackend.get(node.backend);
    if (list === undefined) byBackend.set(node.backend, [i]);
    else list.push(i);
  });
  return byBackend;
}
