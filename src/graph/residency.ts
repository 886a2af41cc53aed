/**
 * Which values hold device memory, why, and in which order they give it up.
 *
 * - State (what was written in place, gradients in `.grad`, what `retain()` asked for) holds its memory until it is replaced. Of a
 *   replaced value the last version stays, as long as recorded work may still be computed from it; the version before that one goes.
 * - Everything else is a cache: device copies of host data, and values that can be computed again. They stay while they fit into the memory
 *   that the program needs anyway, the least recently used one going first.
 * - Values that can neither be had again nor are state may still be held by a tensor. Large ones move to the host: at once where a
 *   device can be read at once, else with the next read. Small ones (a loss that was not read) move into an arena of small slots.
 *
 * A FinalizationRegistry frees the memory of unreachable state and slots; it is a net only, because it runs late or never.
 */

import type { Backend, DeviceBuffer } from "../backend/backend.ts";
import type { HostArray } from "../dtype.ts";
import { Arena, ARENA_BYTES, blockOf, type Slot } from "./arena.ts";
import { GIVEN_UP, lossReason } from "./faults.ts";
import { figuresOf, type LiveValue } from "./figures.ts";
import { newVisit, type Arg, type Node } from "./node.ts";
import { NodeList } from "./node-list.ts";
import { faultOf, isShort } from "./retry.ts";

/** Memory that caches may fill beyond what the program needed at its highest point. */
const SLACK = 1.05;
/** Part of the needed memory that values which may be held can take before they move to the host, and bytes that they always can. */
const HELD_SHARE = 1 / 16;
const HELD_BYTES = 64 * 1024;

/** What is to be freed. The device is not held by it: a device that is gone must not be kept by what was left on it. */
interface Place {
  readonly residency: WeakRef<Residency>;
  readonly buffer: DeviceBuffer | null;
  readonly slot: Slot | null;
}

const unreachable =
  typeof FinalizationRegistry === "undefined"
    ? null
    : new FinalizationRegistry<Place>(({ residency, buffer, slot }) => residency.deref()?.collect(buffer, slot));

/** Figures of the values on a device. */
export interface ResidencyFigures {
  /** Values in device memory. */
  readonly values: number;
  /** Bytes of those that could go at any time without a loss. */
  readonly cachedBytes: number;
  /** The most that the program needed at once, bytes. */
  readonly requiredBytes: number;
  /** How often memory was given up whose value can be had again, and how often a value moved to the host. */
  readonly evicted: number;
  readonly spilled: number;
}

/** The values of one device. */
export class Residency {
  readonly #backend: Backend;
  readonly #onSettle: (node: Node) => void;
  /** Copies of host data and values that can be computed again, least recently used first. */
  readonly #caches = new NodeList();
  /** What is told of state, whose nodes are not held here, so that those that nobody can reach go. */
  readonly #states = new Map<DeviceBuffer, LiveValue>();
  /** Values that cannot be had again and may be held by somebody, oldest first. */
  readonly #held = new NodeList();
  #cachedBytes = 0;
  #values = 0;
  #evicted = 0;
  #spilled = 0;
  #required = 0;
  #fault = 0;
  #budget: number | null = null;
  readonly #arena: Arena;
  readonly #self = unreachable === null ? null : new WeakRef<Residency>(this);
  /** On the null device nothing is kept that is not needed: it tells the least memory that a program takes. */
  readonly #isThrifty: boolean;

  /** `onSettle` is told of values that are about to forget what they were computed from. */
  constructor(backend: Backend, onSettle: (node: Node) => void = () => undefined) {
    this.#backend = backend;
    this.#onSettle = onSettle;
    this.#arena = new Arena(backend);
    this.#isThrifty = backend.type === "null";
  }

  /** Bytes that the user allows; null leaves it to the program's need. */
  set budget(bytes: number | null) {
    this.#budget = bytes;
    if (bytes !== null) this.makeRoom(0, new Set());
  }

  get budget(): number | null {
    return this.#budget;
  }

  /** Gives a node the memory that holds its value. */
  own(node: Node, buffer: DeviceBuffer): void {
    node.buffer = buffer;
    this.#values++;
    if (node.holds > 0) this.#noteState(node, buffer);
    else this.#enlist(node);
  }

  #noteState(node: Node, buffer: DeviceBuffer): void {
    this.#states.set(buffer, figuresOf(node, buffer.bytes));
    unreachable?.register(node, { residency: this.#self!, buffer, slot: null }, node);
  }

  #forgetState(node: Node, buffer: DeviceBuffer): void {
    this.#states.delete(buffer);
    unreachable?.unregister(node);
  }

  /** Takes a node's memory away from it, for an in-place result or to free it. */
  disown(node: Node): DeviceBuffer {
    const buffer = node.buffer!;
    if (this.#caches.delete(node) || this.#held.delete(node)) this.#cachedBytes -= buffer.bytes;
    else this.#forgetState(node, buffer);
    node.buffer = null;
    this.#values--;
    return buffer;
  }

  #enlist(node: Node): void {
    (node.host !== null || !node.settled ? this.#caches : this.#held).add(node);
    this.#cachedBytes += node.buffer!.bytes;
  }

  /** Moves a node between caches, held values and state, after what decides it has changed. */
  reconsider(node: Node): void {
    if (node.buffer === null) return;
    const { buffer } = node;
    if (this.#caches.delete(node) || this.#held.delete(node)) this.#cachedBytes -= buffer.bytes;
    else this.#forgetState(node, buffer);
    // What is not there is held for nobody: see setAside().
    if (node.holds > 0 || node.superseded || (node.settled && isShort(node))) this.#noteState(node, buffer);
    else this.#enlist(node);
  }

  /** Of a value that turned out not to be there: nothing is gained by keeping it for later, and it must not keep what it is computed from. */
  setAside(node: Node): void {
    if (node.buffer === null || !(this.#caches.delete(node) || this.#held.delete(node))) return;
    this.#cachedBytes -= node.buffer.bytes;
    this.#noteState(node, node.buffer);
  }

  /** Frees the memory of a node's value. What can be had again is not lost; else `why` tells where it went. */
  release(node: Node, why: string): void {
    if (node.slot !== null) {
      unreachable?.unregister(node);
      this.#arena.give(node.slot);
      node.slot = null;
      this.#values--;
    }
    if (node.buffer !== null) this.#backend.release(this.disown(node));
    if (why === GIVEN_UP) this.#evicted++;
    if (node.host === null && node.settled) node.lost ??= lossReason(why);
  }

  /** Frees memory whose node nobody can reach any more. */
  collect(buffer: DeviceBuffer | null, slot: Slot | null): void {
    this.#values--;
    if (buffer !== null) {
      this.#states.delete(buffer);
      this.#backend.release(buffer);
    }
    if (slot !== null) this.#arena.give(slot);
  }

  /** Notes that values were used. */
  touch(nodes: Iterable<Node>): void {
    for (const node of nodes) if (this.#caches.delete(node)) this.#caches.add(node);
  }

  /**
   * Drops caches, so that `need` more bytes fit into what the program needs at its highest point, once `leaving` bytes of state are
   * freed. `pinned` stays. Gives the bytes that all memory, free memory included, should keep to.
   */
  makeRoom(need: number, pinned: ReadonlySet<Node>, leaving = 0): number {
    let usedBytes = this.#backend.memory().usedBytes - leaving;
    let pinnedBytes = 0;
    for (const node of pinned)
      if (node.buffer !== null && (this.#caches.has(node) || this.#held.has(node))) pinnedBytes += node.buffer.bytes;
    const arenaBytes = this.#arena.bytes;
    const required = usedBytes - this.#cachedBytes + pinnedBytes + need;
    this.#required = Math.max(this.#required, required - arenaBytes);
    // Small values that may be held fill the slack first.
    let allowed = this.#isThrifty ? required : Math.max(this.#required * SLACK, this.#required + arenaBytes);
    if (this.#budget !== null) allowed = Math.min(allowed, Math.max(this.#budget, required));
    const inquiry = newVisit();
    if (usedBytes + need > allowed)
      for (const node of this.#caches) {
        if (usedBytes + need <= allowed) break;
        if (pinned.has(node)) continue;
        if (node.host === null && !isShort(node) && (node.outlives || !canRecompute(node, inquiry))) {
          // What it was computed from is gone, or soon will be: it is all that is left.
          this.#caches.delete(node);
          this.#onSettle(node);
          node.settle();
          this.#held.add(node);
          continue;
        }
        usedBytes -= node.buffer!.bytes;
        if (node.origin !== null && node.host === null) node.origin.entry.wasted(node.origin.position);
        this.release(node, GIVEN_UP);
      }
    this.#spillNow(pinned, allowed);
    return allowed;
  }

  /** Moves held values to the host, where that takes no waiting. */
  #spillNow(pinned: ReadonlySet<Node>, allowed: number): void {
    if (this.#backend.readSync === undefined) return;
    for (const node of this.#overdue(pinned, allowed)) this.#moveToHost(node);
  }

  #moveToHost(node: Node): void {
    const read = { buffer: node.buffer!, dtype: node.dtype, offset: 0, count: node.numel };
    const { arrays, fault } = this.#backend.readSync!([read]);
    if (this.#fault === 0) this.#fault = fault;
    this.spilled(node, arrays[0]!);
  }

  /** A fault that was seen while values moved to the host, for the next read to report; 0 if none. */
  takeFault(): number {
    const fault = this.#fault;
    this.#fault = 0;
    return fault;
  }

  /** Held values beyond what they may take, oldest first. */
  #overdue(pinned: ReadonlySet<Node>, allowed: number): Node[] {
    let bytes = 0;
    for (const node of this.#held) bytes += node.buffer!.bytes;
    const limit = this.#isThrifty || this.#budget !== null ? 0 : Math.max(HELD_BYTES, allowed * HELD_SHARE);
    const result: Node[] = [];
    for (const node of this.#held) {
      if (bytes <= limit) break;
      if (pinned.has(node)) continue;
      bytes -= node.buffer!.bytes;
      result.push(node);
    }
    return result;
  }

  /** Values that the next read should bring to the host besides what it was asked for. */
  toSpill(): Node[] {
    return [...this.#overdue(new Set(), this.#required * SLACK), ...this.#arena.nodes()].filter(isSound);
  }

  /** Values that are known not to be there, for lack of memory. */
  short(): Node[] {
    return [...this.#caches, ...this.#held].filter(isShort);
  }

  /** All values that could move to the host to make room. */
  spillable(pinned: ReadonlySet<Node>): Node[] {
    return [...this.#held].filter((node) => !pinned.has(node) && isSound(node));
  }

  /** Takes the host's copy of a value, and frees its device memory. */
  spilled(node: Node, data: HostArray): void {
    if (node.buffer === null && node.slot === null) return;
    node.host = data;
    this.#spilled++;
    this.release(node, "");
  }

  /** Gives up everything that can be had again; for a device that ran out of memory. */
  dropCaches(pinned: ReadonlySet<Node>): void {
    for (const node of this.#caches)
      if (!pinned.has(node) && (node.host !== null || (!node.outlives && canRecompute(node))))
        this.release(node, GIVEN_UP);
  }

  /**
   * With nothing else left: moves held values to the host, or, in a synchronous loop on a device that cannot be read at once, loses
   * them, to be read as a `DisposedError`.
   */
  dropHeld(pinned: ReadonlySet<Node>): void {
    for (const node of this.#held)
      if (!pinned.has(node)) {
        if (this.#backend.readSync !== undefined) {
          this.#moveToHost(node);
          continue;
        }
        node.settled = true;
        this.release(
          node,
          "was dropped when the device ran out of memory, as nothing was awaited that would have let it move to the host",
        );
      }
  }

  /** Finds a smaller place for a value of a few bytes that nothing but a tensor may still want. Gives false if it stays. */
  tuckAway(node: Node): boolean {
    if (node.buffer === null || node.holds > 0 || node.host !== null || node.numel === 0) return false;
    const bytes = this.#backend.bytesFor(node.dtype, node.numel);
    if (bytes > ARENA_BYTES || node.dtype === "float16") return false;
    if (this.#backend.readSync !== undefined) {
      this.#moveToHost(node);
      return true;
    }
    const slot = this.#arena.take(node, bytes);
    const buffer = this.disown(node);
    this.#arena.store(slot, node.dtype, node.numel, buffer);
    this.#backend.release(buffer);
    node.slot = slot;
    this.#values++;
    unreachable?.register(node, { residency: this.#self!, buffer: null, slot }, node);
    return true;
  }

  /** A copy of a value in the arena, in memory of its own. */
  bringBack(node: Node): DeviceBuffer {
    const buffer = this.#backend.allocate(this.#backend.bytesFor(node.dtype, node.numel));
    this.#arena.load(node.slot!, node.dtype, node.numel, buffer);
    return buffer;
  }

  figures(): ResidencyFigures {
    return {
      values: this.#values,
      cachedBytes: this.#cachedBytes + this.#arena.bytes,
      requiredBytes: this.#required,
      evicted: this.#evicted,
      spilled: this.#spilled,
    };
  }

  /** What is told of every value that has memory. */
  values(): LiveValue[] {
    const blocks = new Set(this.#arena.buffers());
    const own = this.holdings().filter(({ buffer }) => !blocks.has(buffer));
    return [...own.map(({ value }) => value), ...this.#arena.values()];
  }

  /** Buffers of all values, and blocks of small ones; the node where it is held here. */
  holdings(): { buffer: DeviceBuffer; value: LiveValue; node: Node | null }[] {
    const state = [...this.#states].map(([buffer, value]) => ({ buffer, value, node: null }));
    const others = [...this.#caches, ...this.#held].map((node) => {
      const buffer = node.buffer!;
      return { buffer, value: figuresOf(node, buffer.bytes), node };
    });
    const blocks = this.#arena.buffers().map((buffer) => ({ buffer, value: blockOf(buffer.bytes), node: null }));
    return [...state, ...others, ...blocks];
  }

  /** For a device that is gone: lets go of what was kept only because it might have been of use again. */
  abandon(): void {
    for (const list of [this.#caches, this.#held]) for (const node of list) list.delete(node);
  }

  /** Starts the highest need anew. */
  resetRequired(): void {
    this.#required = 0;
  }
}

/** True if nothing is known to be wrong with the value. */
function isSound(node: Node): boolean {
  return faultOf(node) === null;
}

/**
 * True if a value could be computed again from what is there. Inquiries with the same number (of `newVisit()`) remember what they found: giving up memory
 * of what can be computed again leaves it true.
 */
export function canRecompute(node: Node, inquiry = newVisit()): boolean {
  if (node.sound === inquiry) return true;
  const visit = newVisit();
  const found = [node];
  node.visit = visit;
  /** False if one of the arguments is gone for good. */
  const follow = (args: readonly Arg[]): boolean => {
    for (let i = 0; i < args.length; i++) {
      const source = args[i]!.node;
      if (source === null || source.visit === visit || source.sound === inquiry) continue;
      source.visit = visit;
      if (source.pending) found.push(source);
      else if (source.host === null && faultOf(source) !== null) return false;
    }
    return true;
  };
  for (let i = 0; i < found.length; i++) {
    const { lost, settled, op, transferFrom, args, tables } = found[i]!;
    if (lost !== null || settled) return false;
    if (op.kind === "leaf" && transferFrom === null) return false;
    if (!follow(args) || !follow(tables)) return false;
  }
  for (let i = 0; i < found.length; i++) found[i]!.sound = inquiry;
  return true;
}
