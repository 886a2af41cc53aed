/**
 * What a tensor is made of: a storage (whose content is a node of the program, and changes by rebinding to another
 * node), a strided view of it, and the tensor's place on the tape.
 */

import type { Backend } from "./backend/backend.ts";
import type { GradFn } from "./autograd/tape.ts";
import type { DType } from "./dtype.ts";
import type { Node, Role } from "./graph/node.ts";
import { hold, isOlder, relabel, unhold } from "./graph/runtime.ts";
import type { View } from "./graph/view.ts";
import type { Tensor } from "./tensor.ts";

/** Hears of storages, while a function is recorded to be run again. What `writes` throws keeps the storage as it is. */
export interface StorageWatcher {
  reads(storage: Storage, node: Node): void;
  writes(storage: Storage): void;
}

let watcher: StorageWatcher | null = null;

/** Sets who hears of storages (null: nobody); gives who did before. */
export function watchStorages(next: StorageWatcher | null): StorageWatcher | null {
  const before = watcher;
  watcher = next;
  return before;
}

let heard: ((storage: Storage, isNew: boolean) => void) | null = null;

/** Sets who hears of storages that are made, or written (null: nobody). */
export function listenForStorages(next: ((storage: Storage, isNew: boolean) => void) | null): void {
  heard = next;
}

/** Memory that several tensors may be views of. Its value at any moment is a node; writing binds it to a new one. */
export class Storage {
  #node: Node;
  /** Counts in-place changes, so that the tape notices when a saved value was overwritten. */
  version = 0;

  /** Position in the node of the storage's first element: several storages may live in one node. */
  #start = 0;
  #released = false;
  #carried = false;
  #keepers = 0;
  #role: Role | null = null;
  /** Elements of the storage. */
  readonly length: number;
  /** Id of the node that it was made for: tells what is older than a vectorised function's call. */
  readonly birth: number;

  constructor(node: Node) {
    this.#node = node;
    this.birth = node.id;
    this.length = node.numel;
    node.owners++;
    heard?.(this, true);
  }

  get start(): number {
    return this.#start;
  }

  get node(): Node {
    if (watcher !== null) watcher.reads(this, this.#node);
    return this.#node;
  }

  /** Says that no tensor reads through this storage any more: its node's memory may be written over. */
  release(): void {
    if (this.#released) return;
    const wasState = this.#isState;
    this.#released = true;
    this.#carried = false;
    this.#keepers = 0;
    this.#node.owners--;
    if (wasState) unhold(this.#node);
  }

  /** Binds to the node of the new content, whose elements from `start` on are this storage's. */
  bind(node: Node, start = 0): void {
    heard?.(this, false);
    watcher?.writes(this);
    const old = this.#node;
    const wasState = this.#isState;
    // What is written after it was computed is carried along: memory of it is kept until the next write.
    if (old.runs > 0 || !old.pending || isOlder(old)) this.#carried = true;
    if (!this.#released) old.owners--;
    this.#released = false;
    node.owners++;
    this.#node = node;
    this.#start = start;
    if (old !== node) {
      if (!old.pending) old.superseded = true;
      node.previous ??= old.pending ? old.previous : old;
    }
    if (this.#carried) node.carried = true;
    node.role = this.#role ?? (this.#carried ? "written in place" : null);
    if (this.#isState) hold(node);
    if (wasState) unhold(old);
  }

  /**
   * Binds to a node of values that were saved before, on whatever device. What was recorded on the old ones keeps them, as far as they are there.
   */
  replace(node: Node): void {
    watcher?.writes(this);
    this.version++;
    const old = this.#node;
    if (old.backend === node.backend) {
      this.bind(node);
      return;
    }
    const wasState = this.#isState;
    if (!this.#released) old.owners--;
    this.#released = false;
    node.owners++;
    this.#node = node;
    this.#start = 0;
    if (this.#carried) node.carried = true;
    node.role = this.#role ?? (this.#carried ? "written in place" : null);
    if (!wasState) return;
    hold(node);
    unhold(old);
  }

  get #isState(): boolean {
    return this.#keepers > 0 || this.#carried;
  }

  /**
   * Makes the content state, whose memory is kept: of a gradient, a parameter, what `retain()` asked for. What is `carried` on forgets what
   * it was computed from as soon as it is written out. `role` says what for.
   */
  keep(carried: boolean, role: Role): void {
    const wasState = this.#isState;
    this.#keepers++;
    this.assume(role);
    if (carried) this.#node.carried = true;
    if (!wasState) hold(this.#node);
  }

  /** Undoes a `keep`. */
  unkeep(): void {
    this.#keepers--;
    if (this.#keepers === 0 && this.#role !== "parameter") this.#role = this.#node.role = null;
    if (!this.#isState) unhold(this.#node);
  }

  /** Says what the content is to the user: what it was first called counts. */
  assume(role: Role): void {
    this.#role ??= role;
    if (this.#node.role === this.#role) return;
    this.#node.role = this.#role;
    relabel(this.#node);
  }
}

/** How a view came about, which decides whether it may be changed in place. */
export type ViewKind = "view" | "no-grad-view" | "multi-output-view";

/** The inside of a tensor. */
export class Impl {
  readonly storage: Storage;
  // Shape, strides and offset change only where a tensor is turned in place (`relayout`).
  shape: readonly number[];
  strides: readonly number[];
  readonly dtype: DType;
  /** Position of the first element in the storage. */
  storageOffset: number;

  /** Set by the user on a leaf. */
  requiresGrad = false;
  /** Tape entry that made it, and which of the entry's results it is. */
  gradFn: GradFn | null = null;
  outputNr = 0;
  grad: Tensor | null = null;
  /** Entry that adds to `grad`, of a leaf. */
  accumulator: GradFn | null = null;
  retainsGrad = false;
  hooks: ((grad: Tensor) => Tensor | null | undefined | void)[] | null = null;
  /** Made in inference mode: never on the tape. */
  inference = false;

  /** The tensor that it is a view of, how to see it so again, and the storage's version that `gradFn` stands for. */
  base: Tensor | null = null;
  replay: ((base: Tensor) => Tensor) | null = null;
  viewKind: ViewKind = "view";
  /** How often a base was turned in place; and, of a view, how often its base had been when the view was made. */
  layout = 0;
  baseLayout = 0;
  seenVersion = 0;
  /** A name for graphs and messages. */
  name: string | null = null;

  constructor(storage: Storage, view: View, dtype: DType) {
    this.storage = storage;
    this.shape = view.shape;
    this.strides = view.strides;
    this.storageOffset = view.offset - storage.start;
    this.dtype = dtype;
  }

  /** Position of the first element in the storage's node. */
  get offset(): number {
    return this.storage.start + this.storageOffset;
  }

  get backend(): Backend {
    return this.storage.node.backend;
  }
}

let construct: ((impl: Impl) => Tensor) | null = null;

/** Registers the class that wraps an `Impl`; called once by the module that defines `Tensor`. */
export function setTensorClass(make: (impl: Impl) => Tensor): void {
  construct = make;
}

/** Wraps an `Impl` as a `Tensor`. */
export function wrap(impl: Impl): Tensor {
  return construct!(impl);
}

/** Sets a tensor's gradient; what `.grad` holds is state. */
export function setGrad(impl: Impl, grad: Tensor | null): void {
  if (impl.grad === grad) return;
  watcher?.writes(impl.storage);
  impl.grad?.impl.storage.unkeep();
  impl.grad = grad;
  grad?.impl.storage.keep(false, "gradient");
}
