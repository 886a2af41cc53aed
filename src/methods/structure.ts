/** Methods: views, movement, indexing, and new tensors like this one. */

import { inPlace, relayout } from "../autograd/inplace.ts";
import * as creation from "../ops/creation.ts";
import * as indexing from "../ops/indexing.ts";
import * as structure from "../ops/structure.ts";
import * as random from "../random.ts";
import type { Tail } from "./tail.ts";
import type { Tensor } from "../tensor.ts";
import { OrderMethods } from "./order.ts";

/** Methods: views, movement, indexing, and new tensors like this one. */
export class StructureMethods extends OrderMethods {
  /** The same elements under another shape, without copying. */
  view(this: Tensor, ...args: Tail<typeof structure.view>): Tensor {
    return structure.view(this, ...args);
  }

  /** The same elements under another shape: a view where possible, else a copy. */
  reshape(this: Tensor, ...args: Tail<typeof structure.reshape>): Tensor {
    return structure.reshape(this, ...args);
  }

  /** `view` to the shape of another tensor. */
  viewAs(this: Tensor, ...args: Tail<typeof structure.viewAs>): Tensor {
    return structure.viewAs(this, ...args);
  }

  /** `reshape` to the shape of another tensor. */
  reshapeAs(this: Tensor, ...args: Tail<typeof structure.reshapeAs>): Tensor {
    return structure.reshapeAs(this, ...args);
  }

  /** Several dimensions as one. */
  flatten(this: Tensor, ...args: Tail<typeof structure.flatten>): Tensor {
    return structure.flatten(this, ...args);
  }

  /** All elements in one dimension. */
  ravel(this: Tensor, ...args: Tail<typeof structure.ravel>): Tensor {
    return structure.ravel(this, ...args);
  }

  /** One dimension as several. */
  unflatten(this: Tensor, ...args: Tail<typeof structure.unflatten>): Tensor {
    return structure.unflatten(this, ...args);
  }

  /** Dimensions in another order. */
  permute(this: Tensor, ...args: Tail<typeof structure.permute>): Tensor {
    return structure.permute(this, ...args);
  }

  /** Two dimensions exchanged. */
  transpose(this: Tensor, ...args: Tail<typeof structure.transpose>): Tensor {
    return structure.transpose(this, ...args);
  }

  /** `transpose` of the tensor itself. */
  transpose_(this: Tensor, ...args: Tail<typeof structure.transpose>): Tensor {
    return relayout("transpose_", this, (x) => structure.transpose(x, ...args));
  }

  /** Alias of `transpose`. */
  swapaxes(this: Tensor, ...args: Tail<typeof structure.transpose>): Tensor {
    return structure.transpose(this, ...args);
  }

  /** `swapaxes` of the tensor itself. */
  swapaxes_(this: Tensor, ...args: Tail<typeof structure.transpose>): Tensor {
    return relayout("swapaxes_", this, (x) => structure.transpose(x, ...args));
  }

  /** Alias of `transpose`. */
  swapdims(this: Tensor, ...args: Tail<typeof structure.transpose>): Tensor {
    return structure.transpose(this, ...args);
  }

  /** `swapdims` of the tensor itself. */
  swapdims_(this: Tensor, ...args: Tail<typeof structure.transpose>): Tensor {
    return relayout("swapdims_", this, (x) => structure.transpose(x, ...args));
  }

  /** The transpose of a matrix. */
  t(this: Tensor, ...args: Tail<typeof structure.t>): Tensor {
    return structure.t(this, ...args);
  }

  /** `t` of the tensor itself. */
  t_(this: Tensor, ...args: Tail<typeof structure.t>): Tensor {
    return relayout("t_", this, (x) => structure.t(x, ...args));
  }

  /** Dimensions moved to other positions. */
  movedim(this: Tensor, ...args: Tail<typeof structure.movedim>): Tensor {
    return structure.movedim(this, ...args);
  }

  /** Alias of `movedim`. */
  moveaxis(this: Tensor, ...args: Tail<typeof structure.movedim>): Tensor {
    return structure.movedim(this, ...args);
  }

  /** Dimensions of size one removed. */
  squeeze(this: Tensor, ...args: Tail<typeof structure.squeeze>): Tensor {
    return structure.squeeze(this, ...args);
  }

  /** `squeeze` of the tensor itself. */
  squeeze_(this: Tensor, ...args: Tail<typeof structure.squeeze>): Tensor {
    return relayout("squeeze_", this, (x) => structure.squeeze(x, ...args));
  }

  /** A dimension of size one inserted. */
  unsqueeze(this: Tensor, ...args: Tail<typeof structure.unsqueeze>): Tensor {
    return structure.unsqueeze(this, ...args);
  }

  /** `unsqueeze` of the tensor itself. */
  unsqueeze_(this: Tensor, ...args: Tail<typeof structure.unsqueeze>): Tensor {
    return relayout("unsqueeze_", this, (x) => structure.unsqueeze(x, ...args));
  }

  /** Dimensions of size one repeated without copying. */
  expand(this: Tensor, ...args: Tail<typeof structure.expand>): Tensor {
    return structure.expand(this, ...args);
  }

  /** `expand` to the shape of another tensor. */
  expandAs(this: Tensor, ...args: Tail<typeof structure.expandAs>): Tensor {
    return structure.expandAs(this, ...args);
  }

  /** Broadcast to a shape. */
  broadcastTo(this: Tensor, ...args: Tail<typeof structure.broadcastTo>): Tensor {
    return structure.broadcastTo(this, ...args);
  }

  /** The slice at one index of a dimension. */
  select(this: Tensor, ...args: Tail<typeof structure.select>): Tensor {
    return structure.select(this, ...args);
  }

  /** A range of a dimension. */
  slice(this: Tensor, ...args: Tail<typeof structure.slice>): Tensor {
    return structure.slice(this, ...args);
  }

  /** `length` elements of a dimension from `start` on. */
  narrow(this: Tensor, ...args: Tail<typeof structure.narrow>): Tensor {
    return structure.narrow(this, ...args);
  }

  /** The diagonal of two dimensions. */
  diagonal(this: Tensor, ...args: Tail<typeof structure.diagonal>): Tensor {
    return structure.diagonal(this, ...args);
  }

  /** Views of consecutive parts of a dimension. */
  split(this: Tensor, ...args: Tail<typeof structure.split>): Tensor[] {
    return structure.split(this, ...args);
  }

  /** `split` by a list of sizes. */
  splitWithSizes(this: Tensor, ...args: Tail<typeof structure.splitWithSizes>): Tensor[] {
    return structure.splitWithSizes(this, ...args);
  }

  /** At most `chunks` views of equal parts of a dimension. */
  chunk(this: Tensor, ...args: Tail<typeof structure.chunk>): Tensor[] {
    return structure.chunk(this, ...args);
  }

  /** The slices along a dimension. */
  unbind(this: Tensor, ...args: Tail<typeof structure.unbind>): Tensor[] {
    return structure.unbind(this, ...args);
  }

  /** The same values in row-major order without gaps. */
  contiguous(this: Tensor, ...args: Tail<typeof structure.contiguous>): Tensor {
    return structure.contiguous(this, ...args);
  }

  /** A copy with storage of its own. */
  clone(this: Tensor, ...args: Tail<typeof structure.clone>): Tensor {
    return structure.clone(this, ...args);
  }

  /** Elements in reverse order along dimensions. */
  flip(this: Tensor, ...args: Tail<typeof structure.flip>): Tensor {
    return structure.flip(this, ...args);
  }

  /** Sum down to a shape that broadcasts to this one. */
  sumToSize(this: Tensor, ...args: Tail<typeof structure.sumToSize>): Tensor {
    return structure.sumToSize(this, ...args);
  }

  /** True for tensors of equal shape. */
  isSameSize(this: Tensor, ...args: Tail<typeof structure.isSameSize>): boolean {
    return structure.isSameSize(this, ...args);
  }

  /** Zeros of the same shape, dtype and device. */
  zerosLike(this: Tensor, ...args: Tail<typeof creation.zerosLike>): Tensor {
    return creation.zerosLike(this, ...args);
  }

  /** Ones of the same shape, dtype and device. */
  onesLike(this: Tensor, ...args: Tail<typeof creation.onesLike>): Tensor {
    return creation.onesLike(this, ...args);
  }

  /** A number in the same shape, dtype and device. */
  fullLike(this: Tensor, ...args: Tail<typeof creation.fullLike>): Tensor {
    return creation.fullLike(this, ...args);
  }

  /** A tensor filled with a number, of the same dtype and device. */
  newFull(this: Tensor, ...args: Tail<typeof creation.newFull>): Tensor {
    return creation.newFull(this, ...args);
  }

  /** Zeros of another shape, of the same dtype and device. */
  newZeros(this: Tensor, ...args: Tail<typeof creation.newZeros>): Tensor {
    return creation.newZeros(this, ...args);
  }

  /** Ones of another shape, of the same dtype and device. */
  newOnes(this: Tensor, ...args: Tail<typeof creation.newOnes>): Tensor {
    return creation.newOnes(this, ...args);
  }

  /** Along `dim`, the elements at an index. */
  gather(this: Tensor, ...args: Tail<typeof indexing.gather>): Tensor {
    return indexing.gather(this, ...args);
  }

  /** The slices of a dimension at the positions of an index. */
  indexSelect(this: Tensor, ...args: Tail<typeof indexing.indexSelect>): Tensor {
    return indexing.indexSelect(this, ...args);
  }

  /** Values written along `dim` at an index. */
  scatter(this: Tensor, ...args: Tail<typeof indexing.scatter>): Tensor {
    return indexing.scatter(this, ...args);
  }

  /** `scatter` in place. */
  scatter_(this: Tensor, ...args: Tail<typeof indexing.scatter>): Tensor {
    return inPlace("scatter_", this, (x) => indexing.scatter(x, ...args));
  }

  /** Values added along `dim` at an index. */
  scatterAdd(this: Tensor, ...args: Tail<typeof indexing.scatterAdd>): Tensor {
    return indexing.scatterAdd(this, ...args);
  }

  /** `scatterAdd` in place. */
  scatterAdd_(this: Tensor, ...args: Tail<typeof indexing.scatterAdd>): Tensor {
    return inPlace("scatterAdd_", this, (x) => indexing.scatterAdd(x, ...args));
  }

  /** Values added to the slices that an index names. */
  indexAdd(this: Tensor, ...args: Tail<typeof indexing.indexAdd>): Tensor {
    return indexing.indexAdd(this, ...args);
  }

  /** `indexAdd` in place. */
  indexAdd_(this: Tensor, ...args: Tail<typeof indexing.indexAdd>): Tensor {
    return inPlace("indexAdd_", this, (x) => indexing.indexAdd(x, ...args));
  }

  /** Values written or added where index tensors point. */
  indexPut(this: Tensor, ...args: Tail<typeof indexing.indexPut>): Tensor {
    return indexing.indexPut(this, ...args);
  }

  /** `indexPut` in place. */
  indexPut_(this: Tensor, ...args: Tail<typeof indexing.indexPut>): Tensor {
    return inPlace("indexPut_", this, (x) => indexing.indexPut(x, ...args));
  }

  /** `gather` with the other dimensions broadcast. */
  takeAlongDim(this: Tensor, ...args: Tail<typeof indexing.takeAlongDim>): Tensor {
    return indexing.takeAlongDim(this, ...args);
  }

  /** What `x[...]` is in Python: numbers, `slice()`, null, `ellipsis`, index tensors. */
  at(this: Tensor, ...args: Tail<typeof indexing.at>): Tensor {
    return indexing.at(this, ...args);
  }

  /** 1 with the probability that each element gives, else 0. */
  bernoulli(this: Tensor, ...args: Tail<typeof random.bernoulli>): Tensor {
    return random.bernoulli(this, ...args);
  }
}
