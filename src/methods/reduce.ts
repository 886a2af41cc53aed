/** Methods: reductions, running values, and matrix products. */

import { inPlace } from "../autograd/inplace.ts";
import * as softmax from "../ops/composite/softmax.ts";
import * as matmul from "../ops/matmul.ts";
import * as reduce from "../ops/reduce.ts";
import * as scan from "../ops/scan.ts";
import type { Tail } from "./tail.ts";
import type { Tensor } from "../tensor.ts";
import { BinaryMethods } from "./binary.ts";

/** Methods: reductions, running values, and matrix products. */
export class ReduceMethods extends BinaryMethods {
  /** Sum of all elements, or over `dim`. */
  sum(this: Tensor, ...args: Tail<typeof reduce.sum>): Tensor {
    return reduce.sum(this, ...args);
  }

  /** Sum that counts NaN as zero. */
  nansum(this: Tensor, ...args: Tail<typeof reduce.nansum>): Tensor {
    return reduce.nansum(this, ...args);
  }

  /** Mean of all elements, or over `dim`. */
  mean(this: Tensor, ...args: Tail<typeof reduce.mean>): Tensor {
    return reduce.mean(this, ...args);
  }

  /** Product of all elements, or over one dimension. */
  prod(this: Tensor, ...args: Tail<typeof reduce.prod>): Tensor {
    return reduce.prod(this, ...args);
  }

  /** Largest elements over `dim`; equal ones share the gradient. */
  amax(this: Tensor, ...args: Tail<typeof reduce.amax>): Tensor {
    return reduce.amax(this, ...args);
  }

  /** Smallest elements over `dim`; equal ones share the gradient. */
  amin(this: Tensor, ...args: Tail<typeof reduce.amin>): Tensor {
    return reduce.amin(this, ...args);
  }

  /** Position of the first largest element. */
  argmax(this: Tensor, ...args: Tail<typeof reduce.argmax>): Tensor {
    return reduce.argmax(this, ...args);
  }

  /** Position of the first smallest element. */
  argmin(this: Tensor, ...args: Tail<typeof reduce.argmin>): Tensor {
    return reduce.argmin(this, ...args);
  }

  /** True where some element is nonzero. */
  any(this: Tensor, ...args: Tail<typeof reduce.any>): Tensor {
    return reduce.any(this, ...args);
  }

  /** True where all elements are nonzero. */
  all(this: Tensor, ...args: Tail<typeof reduce.all>): Tensor {
    return reduce.all(this, ...args);
  }

  /** Variance of all elements or over `dim`. */
  var(this: Tensor, ...args: Tail<typeof reduce.var_>): Tensor {
    return reduce.var_(this, ...args);
  }

  /** Standard deviation of all elements or over `dim`. */
  std(this: Tensor, ...args: Tail<typeof reduce.std>): Tensor {
    return reduce.std(this, ...args);
  }

  /** `log(sum(exp(this)))` over `dim`. */
  logsumexp(this: Tensor, ...args: Tail<typeof reduce.logsumexp>): Tensor {
    return reduce.logsumexp(this, ...args);
  }

  /** How many elements are nonzero. */
  countNonzero(this: Tensor, ...args: Tail<typeof reduce.countNonzero>): Tensor {
    return reduce.countNonzero(this, ...args);
  }

  /** Norm of all elements or over `dim`. */
  norm(this: Tensor, ...args: Tail<typeof reduce.norm>): Tensor {
    return reduce.norm(this, ...args);
  }

  /** Running sums along a dimension. */
  cumsum(this: Tensor, ...args: Tail<typeof scan.cumsum>): Tensor {
    return scan.cumsum(this, ...args);
  }

  /** `cumsum` in place. */
  cumsum_(this: Tensor, ...args: Tail<typeof scan.cumsum>): Tensor {
    return inPlace("cumsum_", this, (x) => scan.cumsum(x, ...args));
  }

  /** Running products along a dimension. */
  cumprod(this: Tensor, ...args: Tail<typeof scan.cumprod>): Tensor {
    return scan.cumprod(this, ...args);
  }

  /** `cumprod` in place. */
  cumprod_(this: Tensor, ...args: Tail<typeof scan.cumprod>): Tensor {
    return inPlace("cumprod_", this, (x) => scan.cumprod(x, ...args));
  }

  /** Elements on and below a diagonal, zero elsewhere. */
  tril(this: Tensor, ...args: Tail<typeof scan.tril>): Tensor {
    return scan.tril(this, ...args);
  }

  /** `tril` in place. */
  tril_(this: Tensor, ...args: Tail<typeof scan.tril>): Tensor {
    return inPlace("tril_", this, (x) => scan.tril(x, ...args));
  }

  /** Elements on and above a diagonal, zero elsewhere. */
  triu(this: Tensor, ...args: Tail<typeof scan.triu>): Tensor {
    return scan.triu(this, ...args);
  }

  /** `triu` in place. */
  triu_(this: Tensor, ...args: Tail<typeof scan.triu>): Tensor {
    return inPlace("triu_", this, (x) => scan.triu(x, ...args));
  }

  /** Softmax along a dimension. */
  softmax(this: Tensor, ...args: Tail<typeof softmax.softmax>): Tensor {
    return softmax.softmax(this, ...args);
  }

  /** Logarithm of the softmax along a dimension. */
  logSoftmax(this: Tensor, ...args: Tail<typeof softmax.logSoftmax>): Tensor {
    return softmax.logSoftmax(this, ...args);
  }

  /** Matrix product of any ranks. */
  matmul(this: Tensor, ...args: Tail<typeof matmul.matmul>): Tensor {
    return matmul.matmul(this, ...args);
  }

  /** Matrix product of [m, k] and [k, n]. */
  mm(this: Tensor, ...args: Tail<typeof matmul.mm>): Tensor {
    return matmul.mm(this, ...args);
  }

  /** Batched matrix product. */
  bmm(this: Tensor, ...args: Tail<typeof matmul.bmm>): Tensor {
    return matmul.bmm(this, ...args);
  }

  /** Product of a matrix and a vector. */
  mv(this: Tensor, ...args: Tail<typeof matmul.mv>): Tensor {
    return matmul.mv(this, ...args);
  }

  /** Inner product of two vectors. */
  dot(this: Tensor, ...args: Tail<typeof matmul.dot>): Tensor {
    return matmul.dot(this, ...args);
  }

  /** Products of every pair of elements of two vectors. */
  outer(this: Tensor, ...args: Tail<typeof matmul.outer>): Tensor {
    return matmul.outer(this, ...args);
  }

  /** Alias of `outer`. */
  ger(this: Tensor, ...args: Tail<typeof matmul.outer>): Tensor {
    return matmul.outer(this, ...args);
  }

  /** `beta * this + alpha * (mat1 @ mat2)`. */
  addmm(this: Tensor, ...args: Tail<typeof matmul.addmm>): Tensor {
    return matmul.addmm(this, ...args);
  }

  /** `addmm` in place. */
  addmm_(this: Tensor, ...args: Tail<typeof matmul.addmm>): Tensor {
    return inPlace("addmm_", this, (x) => matmul.addmm(x, ...args));
  }

  /** `beta * this + alpha * (batch1 @ batch2)`. */
  baddbmm(this: Tensor, ...args: Tail<typeof matmul.baddbmm>): Tensor {
    return matmul.baddbmm(this, ...args);
  }

  /** `baddbmm` in place. */
  baddbmm_(this: Tensor, ...args: Tail<typeof matmul.baddbmm>): Tensor {
    return inPlace("baddbmm_", this, (x) => matmul.baddbmm(x, ...args));
  }

  /** `beta * this + alpha * (mat @ vec)`. */
  addmv(this: Tensor, ...args: Tail<typeof matmul.addmv>): Tensor {
    return matmul.addmv(this, ...args);
  }

  /** `addmv` in place. */
  addmv_(this: Tensor, ...args: Tail<typeof matmul.addmv>): Tensor {
    return inPlace("addmv_", this, (x) => matmul.addmv(x, ...args));
  }
}
