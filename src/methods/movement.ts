/** Methods: rolling, turning, diagonals and parts. */

import { inPlace } from "../autograd/inplace.ts";
import * as movement from "../ops/movement.ts";
import type { Tail } from "./tail.ts";
import type { Tensor } from "../tensor.ts";
import { SpecialMethods } from "./special.ts";

/** Methods: rolling, turning, diagonals and parts. */
export class MovementMethods extends SpecialMethods {
  /** Elements moved along dimensions, those that leave one end coming back at the other. */
  roll(this: Tensor, ...args: Tail<typeof movement.roll>): Tensor {
    return movement.roll(this, ...args);
  }

  /** Turned by `k` quarter turns in the plane of two dimensions. */
  rot90(this: Tensor, ...args: Tail<typeof movement.rot90>): Tensor {
    return movement.rot90(this, ...args);
  }

  /** Columns in reverse order. */
  fliplr(this: Tensor): Tensor {
    return movement.fliplr(this);
  }

  /** Rows in reverse order. */
  flipud(this: Tensor): Tensor {
    return movement.flipud(this);
  }

  /** A matrix with the vector on a diagonal, or the diagonal of a matrix. */
  diag(this: Tensor, ...args: Tail<typeof movement.diag>): Tensor {
    return movement.diag(this, ...args);
  }

  /** Vectors along the last dimension as diagonals of matrices. */
  diagEmbed(this: Tensor, ...args: Tail<typeof movement.diagEmbed>): Tensor {
    return movement.diagEmbed(this, ...args);
  }

  /** A matrix with all elements on a diagonal. */
  diagflat(this: Tensor, ...args: Tail<typeof movement.diagflat>): Tensor {
    return movement.diagflat(this, ...args);
  }

  /** This with `src` on a diagonal. */
  diagonalScatter(this: Tensor, ...args: Tail<typeof movement.diagonalScatter>): Tensor {
    return movement.diagonalScatter(this, ...args);
  }

  /** This with `src` at one index of a dimension. */
  selectScatter(this: Tensor, ...args: Tail<typeof movement.selectScatter>): Tensor {
    return movement.selectScatter(this, ...args);
  }

  /** This with `src` at a slice of a dimension. */
  sliceScatter(this: Tensor, ...args: Tail<typeof movement.sliceScatter>): Tensor {
    return movement.sliceScatter(this, ...args);
  }

  /** Views of parts of a dimension: a number of nearly equal ones, or cut at the indices given. */
  tensorSplit(this: Tensor, indicesOrSections: Tensor, dim?: number): Promise<Tensor[]>;
  tensorSplit(this: Tensor, ...args: Tail<typeof movement.tensorSplit>): Tensor[];
  tensorSplit(this: Tensor, ...args: readonly unknown[]): Tensor[] | Promise<Tensor[]> {
    return movement.tensorSplit(this, ...(args as Tail<typeof movement.tensorSplit>));
  }

  /** Parts side by side: of dimension 1 (0 of a vector). */
  hsplit(this: Tensor, ...args: Tail<typeof movement.hsplit>): Tensor[] {
    return movement.hsplit(this, ...args);
  }

  /** Parts one below the other: of dimension 0. */
  vsplit(this: Tensor, ...args: Tail<typeof movement.vsplit>): Tensor[] {
    return movement.vsplit(this, ...args);
  }

  /** Parts in depth: of dimension 2. */
  dsplit(this: Tensor, ...args: Tail<typeof movement.dsplit>): Tensor[] {
    return movement.dsplit(this, ...args);
  }

  /** Every element (slice of `dim`) repeated `repeats` times in a row. */
  repeatInterleave(this: Tensor, ...args: Tail<typeof movement.repeatInterleave>): Tensor {
    return movement.repeatInterleave(this, ...args);
  }

  /** This with a number at the slices of a dimension that an index names. */
  indexFill(this: Tensor, ...args: Tail<typeof movement.indexFill>): Tensor {
    return movement.indexFill(this, ...args);
  }

  /** `indexFill` in place. */
  indexFill_(this: Tensor, ...args: Tail<typeof movement.indexFill>): Tensor {
    return inPlace("indexFill_", this, (x) => movement.indexFill(x, ...args));
  }

  /** This with the slices of `source` at the positions of a dimension that an index names. */
  indexCopy(this: Tensor, ...args: Tail<typeof movement.indexCopy>): Tensor {
    return movement.indexCopy(this, ...args);
  }

  /** `indexCopy` in place. */
  indexCopy_(this: Tensor, ...args: Tail<typeof movement.indexCopy>): Tensor {
    return inPlace("indexCopy_", this, (x) => movement.indexCopy(x, ...args));
  }

  /** Elements of the flattened tensor at the positions in `index`, whose shape the result has. */
  take(this: Tensor, ...args: Tail<typeof movement.take>): Tensor {
    return movement.take(this, ...args);
  }

  /** This with `source` written (or added) at positions of the flattened tensor. */
  put(this: Tensor, ...args: Tail<typeof movement.put>): Tensor {
    return movement.put(this, ...args);
  }

  /** `put` in place. */
  put_(this: Tensor, ...args: Tail<typeof movement.put>): Tensor {
    return inPlace("put_", this, (x) => movement.put(x, ...args));
  }
}
