/** Tensors that modules learn. */

import { Impl } from "../base.ts";
import { ArgumentError } from "../errors.ts";
import { setRequiresGrad } from "../methods/core.ts";
import { isTensor } from "../ops/apply.ts";
import { Tensor } from "../tensor.ts";

/** A tensor that is a module's parameter: it shares the storage of `data`, is a leaf, and requires grad unless told otherwise. */
export class Parameter extends Tensor {
  constructor(data: Tensor, requiresGrad = true) {
    if (!isTensor(data)) throw new ArgumentError(`Parameter: data must be a Tensor, got ${typeof data}`);
    super(new Impl(data.impl.storage, data.impl, data.impl.dtype));
    if (requiresGrad) setRequiresGrad(this, true);
  }
}
