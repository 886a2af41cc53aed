/** Methods: sorting, searching, counting. */

import * as order from "../ops/sort.ts";
import type { ValuesIndices } from "../ops/reduce.ts";
import type { Tensor } from "../tensor.ts";
import { ReduceMethods } from "./reduce.ts";
import type { Tail } from "./tail.ts";

/** Methods: sorting, searching, counting. */
export class OrderMethods extends ReduceMethods {
  /** The elements along a dimension in order, and where they came from. */
  sort(this: Tensor, ...args: Tail<typeof order.sort>): ValuesIndices {
    return order.sort(this, ...args);
  }

  /** Positions of the elements along a dimension in order. */
  argsort(this: Tensor, ...args: Tail<typeof order.argsort>): Tensor {
    return order.argsort(this, ...args);
  }

  /** The values sorted along the first dimension. */
  msort(this: Tensor): Tensor {
    return order.msort(this);
  }

  /** The `k` largest or smallest elements along a dimension. */
  topk(this: Tensor, ...args: Tail<typeof order.topk>): ValuesIndices {
    return order.topk(this, ...args);
  }

  /** The `k`-th smallest element along a dimension. */
  kthvalue(this: Tensor, ...args: Tail<typeof order.kthvalue>): ValuesIndices {
    return order.kthvalue(this, ...args);
  }

  /** The median of all elements; along a dimension, values and indices. */
  median(this: Tensor): Tensor;
  median(this: Tensor, dim: number, keepdim?: boolean): ValuesIndices;
  median(this: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices;
  median(this: Tensor, ...args: readonly unknown[]): Tensor | ValuesIndices {
    return order.median(this, ...(args as [number, boolean?]));
  }

  /** `median` that leaves NaN out. */
  nanmedian(this: Tensor): Tensor;
  nanmedian(this: Tensor, dim: number, keepdim?: boolean): ValuesIndices;
  nanmedian(this: Tensor, options: { dim: number; keepdim?: boolean }): ValuesIndices;
  nanmedian(this: Tensor, ...args: readonly unknown[]): Tensor | ValuesIndices {
    return order.nanmedian(this, ...(args as [number, boolean?]));
  }

  /** The most frequent value along a dimension. */
  mode(this: Tensor, ...args: Tail<typeof order.mode>): ValuesIndices {
    return order.mode(this, ...args);
  }

  /** Largest elements so far along a dimension. */
  cummax(this: Tensor, ...args: Tail<typeof order.cummax>): ValuesIndices {
    return order.cummax(this, ...args);
  }

  /** Smallest elements so far along a dimension. */
  cummin(this: Tensor, ...args: Tail<typeof order.cummin>): ValuesIndices {
    return order.cummin(this, ...args);
  }

  /** Counts in equal parts of a range. */
  histc(this: Tensor, ...args: Tail<typeof order.histc>): Tensor {
    return order.histc(this, ...args);
  }

  /** How often each integer occurs. */
  bincount(this: Tensor, ...args: Tail<typeof order.bincount>): Promise<Tensor> {
    return order.bincount(this, ...args);
  }

  /** The distinct elements. */
  unique(this: Tensor, ...args: Tail<typeof order.unique>): Promise<order.UniqueResult> {
    return order.unique(this, ...args);
  }

  /** The elements without repetitions of neighbours. */
  uniqueConsecutive(this: Tensor, ...args: Tail<typeof order.uniqueConsecutive>): Promise<order.UniqueResult> {
    return order.uniqueConsecutive(this, ...args);
  }
}
