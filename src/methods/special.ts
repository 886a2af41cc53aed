/** Methods: special functions, and two-operand functions beyond arithmetic. */

import { inPlace } from "../autograd/inplace.ts";
import { unary } from "../ops/elementwise.ts";
import * as special from "../ops/special.ts";
import type { Tail } from "./tail.ts";
import type { Tensor } from "../tensor.ts";
import { StructureMethods } from "./structure.ts";

/** Methods: special functions, and two-operand functions beyond arithmetic. */
export class SpecialMethods extends StructureMethods {
  /** Sin(pi x) / (pi x) for each element. */
  sinc(this: Tensor): Tensor {
    return unary("sinc", this);
  }

  /** `sinc` in place. */
  sinc_(this: Tensor): Tensor {
    return inPlace("sinc_", this, (x) => unary("sinc", x));
  }

  /** Exp(x^2) erfc(x) for each element. */
  erfcx(this: Tensor): Tensor {
    return unary("erfcx", this);
  }

  /** Modified Bessel function of order 0 for each element. */
  i0(this: Tensor): Tensor {
    return unary("i0", this);
  }

  /** `i0` in place. */
  i0_(this: Tensor): Tensor {
    return inPlace("i0_", this, (x) => unary("i0", x));
  }

  /** Exp(-|x|) i0(x) for each element. */
  i0e(this: Tensor): Tensor {
    return unary("i0e", this);
  }

  /** Modified Bessel function of order 1 for each element. */
  i1(this: Tensor): Tensor {
    return unary("i1", this);
  }

  /** Exp(-|x|) i1(x) for each element. */
  i1e(this: Tensor): Tensor {
    return unary("i1e", this);
  }

  /** `log(x / (1 - x))`; with `eps`, x is kept within [eps, 1 - eps]. */
  logit(this: Tensor, ...args: Tail<typeof special.logit>): Tensor {
    return special.logit(this, ...args);
  }

  /** `logit` in place. */
  logit_(this: Tensor, ...args: Tail<typeof special.logit>): Tensor {
    return inPlace("logit_", this, (x) => special.logit(x, ...args));
  }

  /** NaN and infinities replaced by numbers. */
  nanToNum(this: Tensor, ...args: Tail<typeof special.nanToNum>): Tensor {
    return special.nanToNum(this, ...args);
  }

  /** `nanToNum` in place. */
  nanToNum_(this: Tensor, ...args: Tail<typeof special.nanToNum>): Tensor {
    return inPlace("nanToNum_", this, (x) => special.nanToNum(x, ...args));
  }

  /** `this * log(other)`, and 0 where this is 0. */
  xlogy(this: Tensor, ...args: Tail<typeof special.xlogy>): Tensor {
    return special.xlogy(this, ...args);
  }

  /** `xlogy` in place. */
  xlogy_(this: Tensor, ...args: Tail<typeof special.xlogy>): Tensor {
    return inPlace("xlogy_", this, (x) => special.xlogy(x, ...args));
  }

  /** `sqrt(this^2 + other^2)` without overflow on the way. */
  hypot(this: Tensor, ...args: Tail<typeof special.hypot>): Tensor {
    return special.hypot(this, ...args);
  }

  /** `hypot` in place. */
  hypot_(this: Tensor, ...args: Tail<typeof special.hypot>): Tensor {
    return inPlace("hypot_", this, (x) => special.hypot(x, ...args));
  }

  /** `log(exp(this) + exp(other))` without overflow. */
  logaddexp(this: Tensor, ...args: Tail<typeof special.logaddexp>): Tensor {
    return special.logaddexp(this, ...args);
  }

  /** `log2(2^this + 2^other)` without overflow. */
  logaddexp2(this: Tensor, ...args: Tail<typeof special.logaddexp2>): Tensor {
    return special.logaddexp2(this, ...args);
  }

  /** True where the sign bit is set: for negative numbers and -0. */
  signbit(this: Tensor): Tensor {
    return special.signbit(this);
  }

  /** The size of this with the sign of `other`. */
  copysign(this: Tensor, ...args: Tail<typeof special.copysign>): Tensor {
    return special.copysign(this, ...args);
  }

  /** `copysign` in place. */
  copysign_(this: Tensor, ...args: Tail<typeof special.copysign>): Tensor {
    return inPlace("copysign_", this, (x) => special.copysign(x, ...args));
  }

  /** 0 for negative elements, 1 for positive ones, `values` at zero. */
  heaviside(this: Tensor, ...args: Tail<typeof special.heaviside>): Tensor {
    return special.heaviside(this, ...args);
  }

  /** `heaviside` in place. */
  heaviside_(this: Tensor, ...args: Tail<typeof special.heaviside>): Tensor {
    return inPlace("heaviside_", this, (x) => special.heaviside(x, ...args));
  }

  /** The larger of two elements, NaN only where both are. */
  fmax(this: Tensor, ...args: Tail<typeof special.fmax>): Tensor {
    return special.fmax(this, ...args);
  }

  /** The smaller of two elements, NaN only where both are. */
  fmin(this: Tensor, ...args: Tail<typeof special.fmin>): Tensor {
    return special.fmin(this, ...args);
  }

  /** `this * 2^other`. */
  ldexp(this: Tensor, ...args: Tail<typeof special.ldexp>): Tensor {
    return special.ldexp(this, ...args);
  }

  /** `ldexp` in place. */
  ldexp_(this: Tensor, ...args: Tail<typeof special.ldexp>): Tensor {
    return inPlace("ldexp_", this, (x) => special.ldexp(x, ...args));
  }

  /** `pow` in the widest floating dtype of the device. */
  floatPower(this: Tensor, ...args: Tail<typeof special.floatPower>): Tensor {
    return special.floatPower(this, ...args);
  }

  /** `floatPower` in place. */
  floatPower_(this: Tensor, ...args: Tail<typeof special.floatPower>): Tensor {
    return inPlace("floatPower_", this, (x) => special.floatPower(x, ...args));
  }

  /** Greatest common divisor of integers. */
  gcd(this: Tensor, ...args: Tail<typeof special.gcd>): Tensor {
    return special.gcd(this, ...args);
  }

  /** `gcd` in place. */
  gcd_(this: Tensor, ...args: Tail<typeof special.gcd>): Tensor {
    return inPlace("gcd_", this, (x) => special.gcd(x, ...args));
  }

  /** Least common multiple of integers. */
  lcm(this: Tensor, ...args: Tail<typeof special.lcm>): Tensor {
    return special.lcm(this, ...args);
  }

  /** `lcm` in place. */
  lcm_(this: Tensor, ...args: Tail<typeof special.lcm>): Tensor {
    return inPlace("lcm_", this, (x) => special.lcm(x, ...args));
  }

  /** Logarithm of the multivariate gamma function of dimension `p`. */
  mvlgamma(this: Tensor, ...args: Tail<typeof special.mvlgamma>): Tensor {
    return special.mvlgamma(this, ...args);
  }

  /** `mvlgamma` in place. */
  mvlgamma_(this: Tensor, ...args: Tail<typeof special.mvlgamma>): Tensor {
    return inPlace("mvlgamma_", this, (x) => special.mvlgamma(x, ...args));
  }
}
