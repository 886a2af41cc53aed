/** Methods: statistics, products over dimensions, and what depends on values. */

import { inPlace } from "../autograd/inplace.ts";
import * as statistics from "../ops/statistics.ts";
import * as products from "../ops/products.ts";
import * as distance from "../ops/composite/distance.ts";
import * as dynamic from "../ops/dynamic.ts";
import type { Named } from "../ops/reduce.ts";
import type { Tail } from "./tail.ts";
import type { Tensor } from "../tensor.ts";
import { MovementMethods } from "./movement.ts";

/** Methods: statistics, products over dimensions, and what depends on values. */
export class StatisticsMethods extends MovementMethods {
  /** Smallest and largest element, of all or along `dim`: `{ min, max }`. */
  aminmax(this: Tensor, ...args: Tail<typeof statistics.aminmax>): Named<"min" | "max"> {
    return statistics.aminmax(this, ...args);
  }

  /** Mean of the elements that are not NaN. */
  nanmean(this: Tensor, ...args: Tail<typeof statistics.nanmean>): Tensor {
    return statistics.nanmean(this, ...args);
  }

  /** Covariance matrix of variables (rows) and observations (columns). */
  cov(this: Tensor, ...args: Tail<typeof statistics.cov>): Tensor {
    return statistics.cov(this, ...args);
  }

  /** Correlation coefficients of variables (rows). */
  corrcoef(this: Tensor): Tensor {
    return statistics.corrcoef(this);
  }

  /** Sum of the diagonal of a matrix. */
  trace(this: Tensor): Tensor {
    return statistics.trace(this);
  }

  /** Differences of neighbours along a dimension, `n` times over. */
  diff(this: Tensor, ...args: Tail<typeof statistics.diff>): Tensor {
    return statistics.diff(this, ...args);
  }

  /** Logarithms of the sums of the exponentials up to and including each element. */
  logcumsumexp(this: Tensor, ...args: Tail<typeof statistics.logcumsumexp>): Tensor {
    return statistics.logcumsumexp(this, ...args);
  }

  /** True where `|this - other| <= atol + rtol |other|`. */
  isclose(this: Tensor, ...args: Tail<typeof statistics.isclose>): Tensor {
    return statistics.isclose(this, ...args);
  }

  /** Sums of products over the last dimensions. */
  inner(this: Tensor, ...args: Tail<typeof products.inner>): Tensor {
    return products.inner(this, ...args);
  }

  /** Kronecker product. */
  kron(this: Tensor, ...args: Tail<typeof products.kron>): Tensor {
    return products.kron(this, ...args);
  }

  /** Vector products along a dimension of size 3. */
  cross(this: Tensor, ...args: Tail<typeof products.cross>): Tensor {
    return products.cross(this, ...args);
  }

  /** `beta * this + alpha * outer(vec1, vec2)`. */
  addr(this: Tensor, ...args: Tail<typeof products.addr>): Tensor {
    return products.addr(this, ...args);
  }

  /** `addr` in place. */
  addr_(this: Tensor, ...args: Tail<typeof products.addr>): Tensor {
    return inPlace("addr_", this, (x) => products.addr(x, ...args));
  }

  /** `beta * this + alpha * sum over the batch of (batch1 @ batch2)`. */
  addbmm(this: Tensor, ...args: Tail<typeof products.addbmm>): Tensor {
    return products.addbmm(this, ...args);
  }

  /** `addbmm` in place. */
  addbmm_(this: Tensor, ...args: Tail<typeof products.addbmm>): Tensor {
    return inPlace("addbmm_", this, (x) => products.addbmm(x, ...args));
  }

  /** The p-norm of all elements of `this - other`. */
  dist(this: Tensor, ...args: Tail<typeof distance.dist>): Tensor {
    return distance.dist(this, ...args);
  }

  /** Slices along `dim` whose p-norm exceeds `maxnorm` are scaled down to it. */
  renorm(this: Tensor, ...args: Tail<typeof distance.renorm>): Tensor {
    return distance.renorm(this, ...args);
  }

  /** `renorm` in place. */
  renorm_(this: Tensor, ...args: Tail<typeof distance.renorm>): Tensor {
    return inPlace("renorm_", this, (x) => distance.renorm(x, ...args));
  }

  /** Positions of the nonzero elements in row-major order: [count, dim]. */
  argwhere(this: Tensor): Promise<Tensor> {
    return dynamic.argwhere(this);
  }

  /** The elements where `mask` is true, as a vector. */
  maskedSelect(this: Tensor, ...args: Tail<typeof dynamic.maskedSelect>): Promise<Tensor> {
    return dynamic.maskedSelect(this, ...args);
  }

  /** True if two tensors have the same shape and equal elements. */
  equal(this: Tensor, ...args: Tail<typeof dynamic.equal>): Promise<boolean> {
    return dynamic.equal(this, ...args);
  }

  /** True if all elements are close, as `isclose` has it. */
  allclose(this: Tensor, ...args: Tail<typeof dynamic.allclose>): Promise<boolean> {
    return dynamic.allclose(this, ...args);
  }

  /** Positions of the nonzero elements in row-major order: [count, dim], or with `asTuple` one vector a dimension. */
  nonzero(this: Tensor, options: { asTuple: true }): Promise<Tensor[]>;
  nonzero(this: Tensor, options?: { asTuple?: false }): Promise<Tensor>;
  nonzero(this: Tensor, options?: { asTuple?: boolean }): Promise<Tensor | Tensor[]> {
    return dynamic.nonzero(this, options as { asTuple: true });
  }
}
