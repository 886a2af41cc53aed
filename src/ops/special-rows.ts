/** Elementwise special functions of one operand, as rows like those of `scalar.ts`. */

import type { Builder, Value } from "../graph/builder.ts";
import type { UnaryRow } from "./scalar.ts";
import type { Tensor } from "../tensor.ts";

// Coefficients of Chebyshev series, fitted to about 1e-14:
// exp(-x) I0(x) and exp(-x) I1(x) / x for x in [0, 8], by x / 4 - 1; sqrt(x) exp(-x) I(x) for x >= 8, by 16 / x - 1;
// (1 + 2x) erfcx(x) for x >= 0, by 8 / (4 + x) - 1.
const I0_NEAR = [
  0.33839763720473814, -0.3046826723431983, 0.17162090152220877, -0.09490109704804779, 0.04930528423967055,
  -0.023737414805899415, 0.01054646039459477, -0.004324309995050787, 0.0016394756169413323, -0.0005763755745386585,
  0.00018850288509570496, -5.754195010067414e-5, 1.644844807050681e-5, -4.4167383583050394e-6, 1.1173875388702033e-6,
  -2.67079385303501e-7, 6.046995018837718e-8, -1.3000249921013566e-8, 2.6598236169128606e-9, -5.189794954896247e-10,
  9.67579127930663e-11, -1.726811575675226e-11, 2.9549140911910886e-12, -4.855948976256744e-13, 7.664979762012087e-14,
  -1.1559850299214254e-14, 1.5987211554602268e-15, 6.938893903907236e-18, -1.7763568394002523e-16,
  2.664535259100378e-16, -8.881784197001259e-17,
];
const I0_FAR = [
  0.4022452055070544, 0.0033691164782556995, 6.88975834691719e-5, 2.891370520834257e-6, 2.0489185895191764e-7,
  2.266668991031844e-8, 3.3962320328458662e-9, 4.940602463517307e-10, 1.1889145705642839e-11, -3.149916151178108e-11,
  -1.3215813187775179e-11, -1.7941732637307606e-12, 7.180145388312578e-13, 3.852875243096148e-13,
  1.5408146358045237e-14, -4.149714905167063e-14, -9.544846148348295e-15, 3.814136506630207e-15, 1.77045877958193e-15,
  -3.3683993094779673e-16, -2.813721478034383e-16, 3.9508327165371816e-17, 4.1806835771041097e-17,
  1.7347234759768082e-18, -9.020562075079403e-18,
];
const I1_NEAR = [
  0.12629359322181682, -0.17641651835783406, 0.10264365868984704, -0.05294598120809503, 0.024726449030626464,
  -0.010564084894626189, 0.004156422944312764, -0.0015135724506313794, 0.0005122859561685741, -0.00016176081582594724,
  4.781565107541048e-5, -1.3273163655976559e-5, 3.4702513080176984e-6, -8.568720263627864e-7, 2.003294752373646e-7,
  -4.4450591214173066e-8, 9.38153734636493e-9, -1.887249667653635e-9, 3.6255899393822244e-10, -6.663488719138582e-11,
  1.1736089877700814e-11, -1.9839265646970378e-12, 3.2235325519991455e-13, -5.042910533603621e-14,
  7.549516567451069e-15, -1.0470790900996014e-15, 1.1102230246251575e-16, 1.443289932012705e-16,
  -1.3322676295501893e-16, 1.7208456881689942e-16, -6.661338147750944e-17,
];
const I1_FAR = [
  0.38928811750914005, -0.009761097491361465, -0.00011058893876262779, -3.882564808880518e-6, -2.51223623791418e-7,
  -2.6314688474221008e-8, -3.8353803853501886e-9, -5.589743511543233e-10, -1.8974960032902877e-11,
  3.2526029846469073e-11, 1.4125802949841719e-11, 2.035629985887075e-12, -7.198620012514647e-13, -4.083588983642249e-13,
  -2.1018419862348185e-14, 4.272166431506896e-14, 1.0417736798513419e-14, -3.806850668031105e-15,
  -1.879052469178078e-15, 3.3137555199846983e-16, 2.9559688030644814e-16, -3.554014721407487e-17,
  -5.481726184086716e-17, 3.816391647148978e-18, 8.32667268468868e-18,
];
const ERFCX = [
  1.1774832005374485, 0.007260796620301847, -0.08126512323618507, -0.06009212804122229, -0.02875393558027668,
  -0.010595663363472884, -0.00313692729455423, -0.0007456494372536024, -0.00013696965030107015, -1.7183861600265382e-5,
  -7.15836462369411e-7, 2.4261399443223505e-7, 5.576570932591154e-8, 2.1057869683731198e-9, -1.1717890247039554e-9,
  -1.9098355761209078e-10, 1.4088760676512995e-11, 6.901018739637216e-12, 9.164215951847885e-14,
  -2.1457234119152322e-13, -1.4741554014056362e-14, 6.667998855524252e-15, 7.57835546072296e-16, -2.391288359318341e-16,
  -4.874922547542721e-17, -2.6447397421167552e-17, -2.9542370311759765e-17, -3.5893950215735603e-17,
  -2.600967121337645e-17, -2.3641728533057562e-18, -7.437015490370308e-17, 5.335127311629622e-17, 7.843856362411983e-18,
  -4.336808689942022e-18, -6.106226635438368e-17, 1.6306400674182003e-17, -8.32667268468868e-18, -9.818534874028741e-17,
  6.10622663543837e-17,
];

const SQRT_HALF = Math.SQRT1_2;
/** Below this, one float32 rounding away, the series of erfc is used for log_ndtr. */
const LOG_NDTR_SPLIT = -1;

/** Sum of a Chebyshev series at t in [-1, 1], by Clenshaw's recurrence. */
function chebyshev(b: Builder, t: Value, coefficients: readonly number[]): Value {
  const twice = b.mul(b.lit(2, t), t);
  let next = b.lit(0, t);
  let after = next;
  for (let i = coefficients.length - 1; i > 0; i--) {
    const value = b.add(b.sub(b.mul(twice, next), after), b.lit(coefficients[i]!, t));
    after = next;
    next = value;
  }
  return b.add(b.sub(b.mul(t, next), after), b.lit(coefficients[0]!, t));
}

/** exp(-|x|) I(|x|) from the two series; `odd` multiplies the near one by x. */
function bessel(b: Builder, x: Value, near: readonly number[], far: readonly number[], odd: boolean): Value {
  const size = b.un("abs", x);
  const eight = b.lit(8, x);
  const low = b.bin("min", size, eight);
  const high = b.bin("max", size, eight);
  const inside = chebyshev(b, b.sub(b.mul(low, b.lit(0.25, x)), b.lit(1, x)), near);
  const outside = b.div(chebyshev(b, b.sub(b.div(b.lit(16, x), high), b.lit(1, x)), far), b.un("sqrt", high));
  const value = b.select(b.compare("le", size, eight), odd ? b.mul(inside, size) : inside, outside);
  return odd ? b.select(b.compare("lt", x, b.lit(0, x)), b.neg(value), value) : value;
}

/** exp(x^2) erfc(x): finite where erfc itself is zero. */
function erfcx(b: Builder, x: Value): Value {
  const size = b.un("abs", x);
  const four = b.lit(4, x);
  const t = b.sub(b.div(b.lit(8, x), b.add(four, size)), b.lit(1, x));
  const value = b.div(chebyshev(b, t, ERFCX), b.add(b.lit(1, x), b.mul(b.lit(2, x), size)));
  const mirrored = b.sub(b.mul(b.lit(2, x), b.un("exp", b.mul(x, x))), value);
  return b.select(b.compare("lt", x, b.lit(0, x)), mirrored, value);
}

/** `slope` of numbers that are not tiny, and 1/2, the slope at zero, of those that are; without NaN in its own derivative. */
function halfAtZero(x: Tensor, slope: (safe: Tensor) => Tensor): Tensor {
  const eps = x.dtype === "float64" ? 2 ** -52 : 2 ** -23;
  const large = x.abs().gt(eps);
  return large.where(slope(large.where(x, eps)), 0.5);
}

/** The table. Keys are the public names. */
export const SPECIAL = {
  /** sin(pi x) / (pi x) */
  sinc: {
    result: "float",
    cost: 8,
    lower: (b, x) => {
      const z = b.mul(b.lit(Math.PI, x), x);
      const zero = b.compare("eq", x, b.lit(0, x));
      return b.select(zero, b.lit(1, x), b.div(b.un("sin", z), z));
    },
    saves: "x",
    grad: (g, x) => {
      const z = x.mul(Math.PI);
      const slope = z.mul(z.cos()).sub(z.sin()).div(z.mul(x));
      return g.mul(slope.maskedFill(x.eq(0), 0));
    },
  },
  /** -x log x */
  entr: {
    result: "float",
    cost: 6,
    lower: (b, x) => {
      const zero = b.lit(0, x);
      const value = b.neg(b.mul(x, b.un("log", x)));
      const positive = b.select(b.compare("eq", x, zero), zero, value);
      return b.select(b.compare("lt", x, zero), b.lit(-Infinity, x), positive);
    },
    saves: "x",
    grad: (g, x) => g.mul(x.log().add(1).neg()),
    backward: "SpecialEntrBackward0",
  },
  /** The normal distribution's integral from -infinity to x. */
  ndtr: {
    result: "float",
    cost: 9,
    lower: (b, x) => b.mul(b.lit(0.5, x), b.un("erfc", b.mul(x, b.lit(-SQRT_HALF, x)))),
    saves: "x",
    grad: (g, x) =>
      g.mul(
        x
          .square()
          .mul(-0.5)
          .exp()
          .mul(1 / Math.sqrt(2 * Math.PI)),
      ),
    backward: "SpecialNdtrBackward0",
  },
  /** log(ndtr(x)), also where ndtr(x) is zero. */
  logNdtr: {
    result: "float",
    cost: 90,
    lower: (b, x) => {
      const split = b.lit(LOG_NDTR_SPLIT, x);
      const low = b.bin("min", x, split);
      const half = b.lit(0.5, x);
      const tail = b.sub(
        b.un("log", b.mul(half, erfcx(b, b.mul(low, b.lit(-SQRT_HALF, x))))),
        b.mul(half, b.mul(low, low)),
      );
      const upper = b.mul(half, b.un("erfc", b.mul(x, b.lit(SQRT_HALF, x))));
      return b.select(b.compare("lt", x, split), tail, b.un("log1p", b.neg(upper)));
    },
    saves: "x",
    grad: (g, x) => g.div(x.mul(-SQRT_HALF).erfcx()).mul(Math.sqrt(2 / Math.PI)),
    backward: "SpecialLogNdtrBackward0",
  },
  /** The x whose ndtr is the operand. */
  ndtri: {
    result: "float",
    cost: 12,
    lower: (b, x) => {
      const two = b.lit(2, x);
      return b.mul(b.lit(Math.SQRT2, x), b.un("erfinv", b.sub(b.mul(two, x), b.lit(1, x))));
    },
    saves: "y",
    grad: (g, y) =>
      g.mul(
        y
          .square()
          .mul(0.5)
          .exp()
          .mul(Math.sqrt(2 * Math.PI)),
      ),
    backward: "SpecialNdtriBackward0",
  },
  erfcx: {
    result: "float",
    cost: 80,
    lower: erfcx,
    saves: "x",
    grad: (g, x) =>
      g.mul(
        x
          .erfcx()
          .mul(x)
          .mul(2)
          .sub(2 / Math.sqrt(Math.PI)),
      ),
    backward: "SpecialErfcxBackward0",
  },
  i0: {
    result: "float",
    cost: 100,
    lower: (b, x) => b.mul(b.un("exp", b.un("abs", x)), bessel(b, x, I0_NEAR, I0_FAR, false)),
    saves: "x",
    grad: (g, x) => g.mul(x.i1()),
  },
  i0e: {
    result: "float",
    cost: 96,
    lower: (b, x) => bessel(b, x, I0_NEAR, I0_FAR, false),
    saves: "x",
    grad: (g, x) => g.mul(x.i1e().sub(x.sign().mul(x.i0e()))),
    backward: "SpecialI0EBackward0",
  },
  i1: {
    result: "float",
    cost: 100,
    lower: (b, x) => b.mul(b.un("exp", b.un("abs", x)), bessel(b, x, I1_NEAR, I1_FAR, true)),
    saves: "x",
    grad: (g, x) => g.mul(halfAtZero(x, (v) => v.i0().sub(v.i1().div(v)))),
    backward: "SpecialI1Backward0",
  },
  i1e: {
    result: "float",
    cost: 96,
    lower: (b, x) => bessel(b, x, I1_NEAR, I1_FAR, true),
    saves: "x",
    grad: (g, x) => g.mul(halfAtZero(x, (v) => v.i0e().sub(v.i1e().mul(v.sign().add(v.reciprocal()))))),
    backward: "SpecialI1EBackward0",
  },
} as const satisfies Record<string, UnaryRow>;
