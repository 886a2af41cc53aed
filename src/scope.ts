/** Giving memory back by hand, for those who want it: everything that a function made and does not give. */

import { disposeSymbol, isPromise } from "./autograd/mode.ts";
import { realizeWithSaved } from "./autograd/saved.ts";
import { listenForStorages, type Storage } from "./base.ts";
import { AutogradError } from "./errors.ts";
import { lossReason } from "./graph/faults.ts";
import type { Node } from "./graph/node.ts";
import { evict, realize } from "./graph/runtime.ts";
import { needsWaiting } from "./graph/transfers.ts";
import { Module } from "./nn/module.ts";
import { isTensor } from "./ops/apply.ts";
import type { Tensor } from "./tensor.ts";

/** A scope that ends when disposed: `using s = tg.scope()`. */
export interface ScopeGuard extends Disposable {
  /** Lets a value (a tensor, or tensors in plain objects and arrays) outlive the scope; gives it back. */
  keep<T>(value: T): T;
  /** Ends the scope; does nothing the second time. */
  exit(): void;
}

interface Frame {
  /** Storages that were made in the scope. */
  readonly made: Set<Storage>;
  /** Older ones that were written in it. */
  readonly written: Set<Storage>;
  readonly kept: Set<Tensor>;
}

/** Scopes that are open, innermost last. */
const frames: Frame[] = [];

/** True inside a scope: what is made now ends with it, unless it is kept. */
export function isScopeOpen(): boolean {
  return frames.length > 0;
}

/** The tensors in a value: itself, in arrays, plain objects, maps, sets and modules. */
function tensorsIn(value: unknown, found: Set<Tensor>, seen = new Set<unknown>()): void {
  if (typeof value !== "object" || value === null || seen.has(value)) return;
  seen.add(value);
  if (isTensor(value)) found.add(value);
  else if (value instanceof Module) for (const tensor of [...value.parameters(), ...value.buffers()]) found.add(tensor);
  else if (value instanceof Map) for (const entry of value) tensorsIn(entry, found, seen);
  else if (Array.isArray(value) || value instanceof Set) for (const item of value) tensorsIn(item, found, seen);
  else if (!ArrayBuffer.isView(value)) for (const item of Object.values(value)) tensorsIn(item, found, seen);
}

function enter(): ScopeGuard {
  const frame: Frame = { made: new Set(), written: new Set(), kept: new Set() };
  frames.push(frame);
  listen();
  let open = true;
  const exit = (): void => {
    if (!open) return;
    open = false;
    const at = frames.indexOf(frame);
    const isInnermost = at === frames.length - 1;
    frames.splice(at);
    listen();
    leave(frame, frames.at(-1) ?? null);
    if (!isInnermost)
      throw new AutogradError(
        "scopes overlap: one began inside another and ended after it. A scope belongs to the whole program: await an asynchronous scope before " +
          "another one begins.",
      );
  };
  return {
    exit,
    keep: (value) => {
      tensorsIn(value, frame.kept);
      return value;
    },
    [disposeSymbol]: exit,
  };
}

function listen(): void {
  const frame = frames.at(-1);
  listenForStorages(
    frame === undefined
      ? null
      : (storage, isNew) => {
          if (isNew) frame.made.add(storage);
          else if (!frame.made.has(storage)) frame.written.add(storage);
        },
  );
}

/** Gives up what was made in a scope and is not kept, after what is kept was computed from it. */
function leave({ made, written, kept }: Frame, outer: Frame | null): void {
  const stays = new Set<Storage>();
  for (const tensor of kept) stays.add(tensor.impl.storage);
  const goes = new Map<Node, number>();
  for (const storage of made) {
    const { node } = storage;
    // State, and what a backward that is still to come has saved, is needed.
    if (stays.has(storage) || node.holds > 0 || node.saves > 0 || node.traced) stays.add(storage);
    else goes.set(node, (goes.get(node) ?? 0) + 1);
  }
  // A node may belong to storages that stay as well.
  for (const [node, owners] of goes) if (owners < node.owners) goes.delete(node);
  for (const storage of [...stays, ...written]) goes.delete(storage.node);
  realizeWithSaved([...kept]);
  const needed = [...stays, ...written].map((s) => s.node).filter((n) => n.pending && n.lost === null && !n.traced);
  for (const backend of new Set(needed.map((n) => n.backend)))
    realize(needed.filter((n) => n.backend === backend && n.pending && !needsWaiting([n])));
  for (const node of needed) if (node.pending) for (const source of sourcesOf(node)) goes.delete(source);
  for (const node of goes.keys()) {
    evict(node);
    node.host = null;
    node.settle();
    node.settled = true;
    node.lost ??= lossReason("was made in a scope() that ended");
  }
  if (outer === null) return;
  for (const storage of stays) if (made.has(storage)) outer.made.add(storage);
  for (const storage of written) (outer.made.has(storage) ? outer.made : outer.written).add(storage);
}

/** All that a value which cannot be computed yet will be computed from. */
function sourcesOf(target: Node): Set<Node> {
  const found = new Set([target]);
  for (const node of found) {
    if (node.transferFrom !== null) found.add(node.transferFrom);
    for (const { node: source } of [...node.args, ...node.tables]) if (source !== null) found.add(source);
  }
  return found;
}

/**
 * Runs `body` and gives up the memory of every tensor that was made in it, but for those that it gives (a tensor, or tensors in arrays, plain objects, maps
 * and modules), state (parameters, gradients, optimiser state, what `retain()` was called on) and what a `backward()` that is still to come needs. Reading one of the
 * others throws a `DisposedError`. Nothing has to be put into scopes: they let memory go at a place of your choice, before it would go by itself.
 *
 *     const accuracy = tg.scope(() => model.forward(x).argmax(1).eq(y).to("float32").mean());
 *
 * An asynchronous body keeps the scope open until its promise settles, for the whole program. Without a body it gives a guard: `using s = tg.scope()`, and `s.keep(t)` lets a
 * tensor outlive it.
 */
export function scope(): ScopeGuard;
export function scope<R>(body: () => R): R;
export function scope<R>(body?: () => R): R | ScopeGuard {
  const guard = enter();
  if (body === undefined) return guard;
  let result: R;
  try {
    result = body();
  } catch (error) {
    guard.exit();
    throw error;
  }
  if (!isPromise(result)) {
    guard.keep(result);
    guard.exit();
    return result;
  }
  return result.then(
    (value: unknown) => {
      guard.keep(value);
      guard.exit();
      return value;
    },
    (error: unknown) => {
      guard.exit();
      throw error;
    },
  ) as R;
}
