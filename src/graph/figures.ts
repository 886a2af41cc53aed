/** What is told of a value that takes memory: its size, what it is to the user, and where it was made. */

import type { DType } from "../dtype.ts";
import { operationOf, type Node, type Role } from "./node.ts";

/**
 * Why a value has memory. State: `parameter`, `gradient`, `optimiser state`, `retained` (by `retain()`), `written in place` (buffers, statistics, what
 * an in-place operation made). On the way to a gradient: `saved for backward`. Free to go at any time: `host copy` (of data that the host has, too),
 * `recomputable` (from what is there). `held` may be held by a tensor and cannot be had again. `pending` is recorded and not computed
 * yet, so that it takes no memory so far. `temporary` lives within one run of kernels. `unused` is the rest of a block of small values.
 */
export type ValueOwner =
  Role | "saved for backward" | "host copy" | "recomputable" | "held" | "pending" | "temporary" | "unused";

/** A value that has memory, or (`pending`) will have. */
export interface LiveValue {
  /** Bytes of device memory, those beyond its elements included; of a pending value those of its elements. */
  readonly bytes: number;
  /** Shape of the memory's content. Several parameters that are updated together lie in one, as a vector. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The operation that made it; `tensor` for data that the host gave. */
  readonly operation: string;
  readonly owner: ValueOwner;
  /** True if it was overwritten since, and stays for what was computed from it before: the second buffer of a parameter. */
  readonly isPrevious: boolean;
  /** True if its memory can go at any time without a loss. */
  readonly isCached: boolean;
  /** The line that made it, if the debug mode was on then. */
  readonly site: string | null;
}

/** Why a value has memory, or would have. */
export function ownerOf(node: Node): ValueOwner {
  if (node.role !== null && (node.holds > 0 || node.superseded || node.owners > 0)) return node.role;
  if (node.saves > 0) return "saved for backward";
  if (node.pending) return "pending";
  if (node.host !== null) return "host copy";
  return node.settled ? "held" : "recomputable";
}

/** What is told of a value with so many bytes of memory. */
export function figuresOf(node: Node, bytes: number): LiveValue {
  return {
    bytes,
    shape: node.shape,
    dtype: node.dtype,
    operation: operationOf(node),
    owner: ownerOf(node),
    isPrevious: node.superseded,
    isCached: node.holds === 0 && !node.superseded,
    site: node.site,
  };
}
