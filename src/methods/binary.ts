/** Methods: arithmetic, comparison and logic with broadcasting and type promotion. */

import { inPlace } from "../autograd/inplace.ts";
import * as arithmetic from "../ops/arithmetic.ts";
import * as compare from "../ops/compare.ts";
import * as rounding from "../ops/round.ts";
import type { Tail } from "./tail.ts";
import type { Tensor } from "../tensor.ts";
import { UnaryMethods } from "./unary.ts";

/** Methods: arithmetic, comparison and logic with broadcasting and type promotion. */
export class BinaryMethods extends UnaryMethods {
  /** `this + alpha * other`, broadcast. */
  add(this: Tensor, ...args: Tail<typeof arithmetic.add>): Tensor {
    return arithmetic.add(this, ...args);
  }

  /** `add` in place. */
  add_(this: Tensor, ...args: Tail<typeof arithmetic.add>): Tensor {
    return inPlace("add_", this, (x) => arithmetic.add(x, ...args));
  }

  /** `this - alpha * other`, broadcast. */
  sub(this: Tensor, ...args: Tail<typeof arithmetic.sub>): Tensor {
    return arithmetic.sub(this, ...args);
  }

  /** `sub` in place. */
  sub_(this: Tensor, ...args: Tail<typeof arithmetic.sub>): Tensor {
    return inPlace("sub_", this, (x) => arithmetic.sub(x, ...args));
  }

  /** Alias of `sub`. */
  subtract(this: Tensor, ...args: Tail<typeof arithmetic.sub>): Tensor {
    return arithmetic.sub(this, ...args);
  }

  /** `subtract` in place. */
  subtract_(this: Tensor, ...args: Tail<typeof arithmetic.sub>): Tensor {
    return inPlace("subtract_", this, (x) => arithmetic.sub(x, ...args));
  }

  /** `other - alpha * this`, broadcast. */
  rsub(this: Tensor, ...args: Tail<typeof arithmetic.rsub>): Tensor {
    return arithmetic.rsub(this, ...args);
  }

  /** `this * other`, broadcast. */
  mul(this: Tensor, ...args: Tail<typeof arithmetic.mul>): Tensor {
    return arithmetic.mul(this, ...args);
  }

  /** `mul` in place. */
  mul_(this: Tensor, ...args: Tail<typeof arithmetic.mul>): Tensor {
    return inPlace("mul_", this, (x) => arithmetic.mul(x, ...args));
  }

  /** Alias of `mul`. */
  multiply(this: Tensor, ...args: Tail<typeof arithmetic.mul>): Tensor {
    return arithmetic.mul(this, ...args);
  }

  /** `multiply` in place. */
  multiply_(this: Tensor, ...args: Tail<typeof arithmetic.mul>): Tensor {
    return inPlace("multiply_", this, (x) => arithmetic.mul(x, ...args));
  }

  /** `this / other`, broadcast; `roundingMode` rounds towards zero (`"trunc"`) or down (`"floor"`). */
  div(this: Tensor, ...args: Tail<typeof arithmetic.div>): Tensor {
    return arithmetic.div(this, ...args);
  }

  /** `div` in place. */
  div_(this: Tensor, ...args: Tail<typeof arithmetic.div>): Tensor {
    return inPlace("div_", this, (x) => arithmetic.div(x, ...args));
  }

  /** Alias of `div`. */
  divide(this: Tensor, ...args: Tail<typeof arithmetic.div>): Tensor {
    return arithmetic.div(this, ...args);
  }

  /** `divide` in place. */
  divide_(this: Tensor, ...args: Tail<typeof arithmetic.div>): Tensor {
    return inPlace("divide_", this, (x) => arithmetic.div(x, ...args));
  }

  /** Alias of `div`. */
  trueDivide(this: Tensor, ...args: Tail<typeof arithmetic.div>): Tensor {
    return arithmetic.div(this, ...args);
  }

  /** `trueDivide` in place. */
  trueDivide_(this: Tensor, ...args: Tail<typeof arithmetic.div>): Tensor {
    return inPlace("trueDivide_", this, (x) => arithmetic.div(x, ...args));
  }

  /** `floor(this / other)`, broadcast. */
  floorDivide(this: Tensor, ...args: Tail<typeof arithmetic.floorDivide_>): Tensor {
    return arithmetic.floorDivide_(this, ...args);
  }

  /** `floorDivide` in place. */
  floorDivide_(this: Tensor, ...args: Tail<typeof arithmetic.floorDivide_>): Tensor {
    return inPlace("floorDivide_", this, (x) => arithmetic.floorDivide_(x, ...args));
  }

  /** Remainder with the sign of the divisor. */
  remainder(this: Tensor, ...args: Tail<typeof arithmetic.remainder>): Tensor {
    return arithmetic.remainder(this, ...args);
  }

  /** `remainder` in place. */
  remainder_(this: Tensor, ...args: Tail<typeof arithmetic.remainder>): Tensor {
    return inPlace("remainder_", this, (x) => arithmetic.remainder(x, ...args));
  }

  /** Remainder with the sign of the dividend. */
  fmod(this: Tensor, ...args: Tail<typeof arithmetic.fmod>): Tensor {
    return arithmetic.fmod(this, ...args);
  }

  /** `fmod` in place. */
  fmod_(this: Tensor, ...args: Tail<typeof arithmetic.fmod>): Tensor {
    return inPlace("fmod_", this, (x) => arithmetic.fmod(x, ...args));
  }

  /** `this` to the power `exponent`, broadcast. */
  pow(this: Tensor, ...args: Tail<typeof arithmetic.pow>): Tensor {
    return arithmetic.pow(this, ...args);
  }

  /** `pow` in place. */
  pow_(this: Tensor, ...args: Tail<typeof arithmetic.pow>): Tensor {
    return inPlace("pow_", this, (x) => arithmetic.pow(x, ...args));
  }

  /** Elementwise maximum; NaN if either is NaN. */
  maximum(this: Tensor, ...args: Tail<typeof arithmetic.maximum>): Tensor {
    return arithmetic.maximum(this, ...args);
  }

  /** Elementwise minimum; NaN if either is NaN. */
  minimum(this: Tensor, ...args: Tail<typeof arithmetic.minimum>): Tensor {
    return arithmetic.minimum(this, ...args);
  }

  /** Angle of the point (other, this), in radians. */
  atan2(this: Tensor, ...args: Tail<typeof arithmetic.atan2>): Tensor {
    return arithmetic.atan2(this, ...args);
  }

  /** `atan2` in place. */
  atan2_(this: Tensor, ...args: Tail<typeof arithmetic.atan2>): Tensor {
    return inPlace("atan2_", this, (x) => arithmetic.atan2(x, ...args));
  }

  /** Alias of `atan2`. */
  arctan2(this: Tensor, ...args: Tail<typeof arithmetic.atan2>): Tensor {
    return arithmetic.atan2(this, ...args);
  }

  /** `arctan2` in place. */
  arctan2_(this: Tensor, ...args: Tail<typeof arithmetic.atan2>): Tensor {
    return inPlace("arctan2_", this, (x) => arithmetic.atan2(x, ...args));
  }

  /** Values limited to [min, max]. */
  clamp(this: Tensor, ...args: Tail<typeof arithmetic.clamp>): Tensor {
    return arithmetic.clamp(this, ...args);
  }

  /** `clamp` in place. */
  clamp_(this: Tensor, ...args: Tail<typeof arithmetic.clamp>): Tensor {
    return inPlace("clamp_", this, (x) => arithmetic.clamp(x, ...args));
  }

  /** Alias of `clamp`. */
  clip(this: Tensor, ...args: Tail<typeof arithmetic.clamp>): Tensor {
    return arithmetic.clamp(this, ...args);
  }

  /** `clip` in place. */
  clip_(this: Tensor, ...args: Tail<typeof arithmetic.clamp>): Tensor {
    return inPlace("clip_", this, (x) => arithmetic.clamp(x, ...args));
  }

  /** Values not below `min`. */
  clampMin(this: Tensor, ...args: Tail<typeof arithmetic.clampMin>): Tensor {
    return arithmetic.clampMin(this, ...args);
  }

  /** `clampMin` in place. */
  clampMin_(this: Tensor, ...args: Tail<typeof arithmetic.clampMin>): Tensor {
    return inPlace("clampMin_", this, (x) => arithmetic.clampMin(x, ...args));
  }

  /** Values not above `max`. */
  clampMax(this: Tensor, ...args: Tail<typeof arithmetic.clampMax>): Tensor {
    return arithmetic.clampMax(this, ...args);
  }

  /** `clampMax` in place. */
  clampMax_(this: Tensor, ...args: Tail<typeof arithmetic.clampMax>): Tensor {
    return inPlace("clampMax_", this, (x) => arithmetic.clampMax(x, ...args));
  }

  /** Nearest integer, ties to even; with `decimals`, nearest multiple of 10^-decimals. */
  round(this: Tensor, ...args: Tail<typeof rounding.round>): Tensor {
    return rounding.round(this, ...args);
  }

  /** `round` in place. */
  round_(this: Tensor, ...args: Tail<typeof rounding.round>): Tensor {
    return inPlace("round_", this, (x) => rounding.round(x, ...args));
  }

  /** `this + weight * (end - this)`. */
  lerp(this: Tensor, ...args: Tail<typeof arithmetic.lerp>): Tensor {
    return arithmetic.lerp(this, ...args);
  }

  /** `lerp` in place. */
  lerp_(this: Tensor, ...args: Tail<typeof arithmetic.lerp>): Tensor {
    return inPlace("lerp_", this, (x) => arithmetic.lerp(x, ...args));
  }

  /** `this + value * tensor1 * tensor2`. */
  addcmul(this: Tensor, ...args: Tail<typeof arithmetic.addcmul>): Tensor {
    return arithmetic.addcmul(this, ...args);
  }

  /** `addcmul` in place. */
  addcmul_(this: Tensor, ...args: Tail<typeof arithmetic.addcmul>): Tensor {
    return inPlace("addcmul_", this, (x) => arithmetic.addcmul(x, ...args));
  }

  /** `this + value * tensor1 / tensor2`. */
  addcdiv(this: Tensor, ...args: Tail<typeof arithmetic.addcdiv>): Tensor {
    return arithmetic.addcdiv(this, ...args);
  }

  /** `addcdiv` in place. */
  addcdiv_(this: Tensor, ...args: Tail<typeof arithmetic.addcdiv>): Tensor {
    return inPlace("addcdiv_", this, (x) => arithmetic.addcdiv(x, ...args));
  }

  /** `this == other`, elementwise. */
  eq(this: Tensor, ...args: Tail<typeof compare.eq>): Tensor {
    return compare.eq(this, ...args);
  }

  /** `eq` in place. */
  eq_(this: Tensor, ...args: Tail<typeof compare.eq>): Tensor {
    return inPlace("eq_", this, (x) => compare.eq(x, ...args));
  }

  /** `this != other`, elementwise. */
  ne(this: Tensor, ...args: Tail<typeof compare.ne>): Tensor {
    return compare.ne(this, ...args);
  }

  /** `ne` in place. */
  ne_(this: Tensor, ...args: Tail<typeof compare.ne>): Tensor {
    return inPlace("ne_", this, (x) => compare.ne(x, ...args));
  }

  /** Alias of `ne`. */
  notEqual(this: Tensor, ...args: Tail<typeof compare.ne>): Tensor {
    return compare.ne(this, ...args);
  }

  /** `notEqual` in place. */
  notEqual_(this: Tensor, ...args: Tail<typeof compare.ne>): Tensor {
    return inPlace("notEqual_", this, (x) => compare.ne(x, ...args));
  }

  /** `this < other`, elementwise. */
  lt(this: Tensor, ...args: Tail<typeof compare.lt>): Tensor {
    return compare.lt(this, ...args);
  }

  /** `lt` in place. */
  lt_(this: Tensor, ...args: Tail<typeof compare.lt>): Tensor {
    return inPlace("lt_", this, (x) => compare.lt(x, ...args));
  }

  /** Alias of `lt`. */
  less(this: Tensor, ...args: Tail<typeof compare.lt>): Tensor {
    return compare.lt(this, ...args);
  }

  /** `less` in place. */
  less_(this: Tensor, ...args: Tail<typeof compare.lt>): Tensor {
    return inPlace("less_", this, (x) => compare.lt(x, ...args));
  }

  /** `this <= other`, elementwise. */
  le(this: Tensor, ...args: Tail<typeof compare.le>): Tensor {
    return compare.le(this, ...args);
  }

  /** `le` in place. */
  le_(this: Tensor, ...args: Tail<typeof compare.le>): Tensor {
    return inPlace("le_", this, (x) => compare.le(x, ...args));
  }

  /** Alias of `le`. */
  lessEqual(this: Tensor, ...args: Tail<typeof compare.le>): Tensor {
    return compare.le(this, ...args);
  }

  /** `lessEqual` in place. */
  lessEqual_(this: Tensor, ...args: Tail<typeof compare.le>): Tensor {
    return inPlace("lessEqual_", this, (x) => compare.le(x, ...args));
  }

  /** `this > other`, elementwise. */
  gt(this: Tensor, ...args: Tail<typeof compare.gt>): Tensor {
    return compare.gt(this, ...args);
  }

  /** `gt` in place. */
  gt_(this: Tensor, ...args: Tail<typeof compare.gt>): Tensor {
    return inPlace("gt_", this, (x) => compare.gt(x, ...args));
  }

  /** Alias of `gt`. */
  greater(this: Tensor, ...args: Tail<typeof compare.gt>): Tensor {
    return compare.gt(this, ...args);
  }

  /** `greater` in place. */
  greater_(this: Tensor, ...args: Tail<typeof compare.gt>): Tensor {
    return inPlace("greater_", this, (x) => compare.gt(x, ...args));
  }

  /** `this >= other`, elementwise. */
  ge(this: Tensor, ...args: Tail<typeof compare.ge>): Tensor {
    return compare.ge(this, ...args);
  }

  /** `ge` in place. */
  ge_(this: Tensor, ...args: Tail<typeof compare.ge>): Tensor {
    return inPlace("ge_", this, (x) => compare.ge(x, ...args));
  }

  /** Alias of `ge`. */
  greaterEqual(this: Tensor, ...args: Tail<typeof compare.ge>): Tensor {
    return compare.ge(this, ...args);
  }

  /** `greaterEqual` in place. */
  greaterEqual_(this: Tensor, ...args: Tail<typeof compare.ge>): Tensor {
    return inPlace("greaterEqual_", this, (x) => compare.ge(x, ...args));
  }

  /** Both are nonzero. */
  logicalAnd(this: Tensor, ...args: Tail<typeof compare.logicalAnd>): Tensor {
    return compare.logicalAnd(this, ...args);
  }

  /** `logicalAnd` in place. */
  logicalAnd_(this: Tensor, ...args: Tail<typeof compare.logicalAnd>): Tensor {
    return inPlace("logicalAnd_", this, (x) => compare.logicalAnd(x, ...args));
  }

  /** At least one is nonzero. */
  logicalOr(this: Tensor, ...args: Tail<typeof compare.logicalOr>): Tensor {
    return compare.logicalOr(this, ...args);
  }

  /** `logicalOr` in place. */
  logicalOr_(this: Tensor, ...args: Tail<typeof compare.logicalOr>): Tensor {
    return inPlace("logicalOr_", this, (x) => compare.logicalOr(x, ...args));
  }

  /** Exactly one is nonzero. */
  logicalXor(this: Tensor, ...args: Tail<typeof compare.logicalXor>): Tensor {
    return compare.logicalXor(this, ...args);
  }

  /** `logicalXor` in place. */
  logicalXor_(this: Tensor, ...args: Tail<typeof compare.logicalXor>): Tensor {
    return inPlace("logicalXor_", this, (x) => compare.logicalXor(x, ...args));
  }

  /** Bitwise and of integers, logical and of bool. */
  bitwiseAnd(this: Tensor, ...args: Tail<typeof compare.bitwiseAnd>): Tensor {
    return compare.bitwiseAnd(this, ...args);
  }

  /** `bitwiseAnd` in place. */
  bitwiseAnd_(this: Tensor, ...args: Tail<typeof compare.bitwiseAnd>): Tensor {
    return inPlace("bitwiseAnd_", this, (x) => compare.bitwiseAnd(x, ...args));
  }

  /** Bitwise or of integers, logical or of bool. */
  bitwiseOr(this: Tensor, ...args: Tail<typeof compare.bitwiseOr>): Tensor {
    return compare.bitwiseOr(this, ...args);
  }

  /** `bitwiseOr` in place. */
  bitwiseOr_(this: Tensor, ...args: Tail<typeof compare.bitwiseOr>): Tensor {
    return inPlace("bitwiseOr_", this, (x) => compare.bitwiseOr(x, ...args));
  }

  /** Bitwise exclusive or. */
  bitwiseXor(this: Tensor, ...args: Tail<typeof compare.bitwiseXor>): Tensor {
    return compare.bitwiseXor(this, ...args);
  }

  /** `bitwiseXor` in place. */
  bitwiseXor_(this: Tensor, ...args: Tail<typeof compare.bitwiseXor>): Tensor {
    return inPlace("bitwiseXor_", this, (x) => compare.bitwiseXor(x, ...args));
  }

  /** Bits shifted to the left. */
  bitwiseLeftShift(this: Tensor, ...args: Tail<typeof compare.bitwiseLeftShift>): Tensor {
    return compare.bitwiseLeftShift(this, ...args);
  }

  /** `bitwiseLeftShift` in place. */
  bitwiseLeftShift_(this: Tensor, ...args: Tail<typeof compare.bitwiseLeftShift>): Tensor {
    return inPlace("bitwiseLeftShift_", this, (x) => compare.bitwiseLeftShift(x, ...args));
  }

  /** Bits shifted to the right. */
  bitwiseRightShift(this: Tensor, ...args: Tail<typeof compare.bitwiseRightShift>): Tensor {
    return compare.bitwiseRightShift(this, ...args);
  }

  /** `bitwiseRightShift` in place. */
  bitwiseRightShift_(this: Tensor, ...args: Tail<typeof compare.bitwiseRightShift>): Tensor {
    return inPlace("bitwiseRightShift_", this, (x) => compare.bitwiseRightShift(x, ...args));
  }

  /** `value` where `mask` is true, else this. */
  maskedFill(this: Tensor, ...args: Tail<typeof compare.maskedFill>): Tensor {
    return compare.maskedFill(this, ...args);
  }

  /** `maskedFill` in place. */
  maskedFill_(this: Tensor, ...args: Tail<typeof compare.maskedFill>): Tensor {
    return inPlace("maskedFill_", this, (x) => compare.maskedFill(x, ...args));
  }
}
