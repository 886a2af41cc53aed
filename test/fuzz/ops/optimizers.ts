/** Optimisers: some steps with given gradients, against the formulas of one element. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { given, type Custom } from "../custom.ts";
import type { Dice } from "../dice.ts";
import { dtype, tensorOf } from "../given.ts";
import { refuse, type Model } from "../model.ts";
import { perhaps } from "../sample.ts";

type Options = Readonly<Record<string, number | boolean | readonly number[]>>;
type State = Record<string, number>;
/** The element after a step with gradient g. */
type Step = (p: number, g: number, s: State, o: Options, n: number) => number;

interface Row {
  readonly defaults: Options;
  readonly step: Step;
}

const N = (o: Options, name: string): number => o[name] as number;
const beta = (o: Options, i: number): number => (o["betas"] as readonly number[])[i]!;
const slope = (p: number, g: number, o: Options): number =>
  (o["maximize"] === true ? -g : g) + (N(o, "weightDecay") || 0) * p;

const moments = (s: State, o: Options, d: number): [number, number] => {
  s["m"] = beta(o, 0) * (s["m"] ?? 0) + (1 - beta(o, 0)) * d;
  s["v"] = beta(o, 1) * (s["v"] ?? 0) + (1 - beta(o, 1)) * d * d;
  return [s["m"], s["v"]];
};

function adam(decoupled: boolean): Step {
  return (p, g, s, o, n) => {
    const up = o["maximize"] === true ? -g : g;
    const from = decoupled ? p * (1 - N(o, "lr") * N(o, "weightDecay")) : p;
    const [m, v] = moments(s, o, decoupled ? up : up + N(o, "weightDecay") * p);
    s["top"] = Math.max(s["top"] ?? 0, v);
    const second = o["amsgrad"] === true ? s["top"] : v;
    const denominator = Math.sqrt(second) / Math.sqrt(1 - beta(o, 1) ** n) + N(o, "eps");
    return from - ((N(o, "lr") / (1 - beta(o, 0) ** n)) * m) / denominator;
  };
}

const BETAS = { betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0 } as const;

const ROWS: Readonly<Record<string, Row>> = {
  SGD: {
    defaults: { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false },
    step: (p, g, s, o, n) => {
      let d = slope(p, g, o);
      const momentum = N(o, "momentum");
      if (momentum !== 0) {
        s["b"] = n === 1 ? d : momentum * s["b"]! + (1 - N(o, "dampening")) * d;
        d = o["nesterov"] === true ? d + momentum * s["b"] : s["b"];
      }
      return p - N(o, "lr") * d;
    },
  },
  Adam: { defaults: { lr: 1e-3, ...BETAS, amsgrad: false, maximize: false }, step: adam(false) },
  AdamW: { defaults: { lr: 1e-3, ...BETAS, weightDecay: 0.01, amsgrad: false, maximize: false }, step: adam(true) },
  RMSprop: {
    defaults: { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false, maximize: false },
    step: (p, g, s, o) => {
      const d = slope(p, g, o);
      const a = N(o, "alpha");
      s["v"] = a * (s["v"] ?? 0) + (1 - a) * d * d;
      s["m"] = a * (s["m"] ?? 0) + (1 - a) * d;
      const root = Math.sqrt(o["centered"] === true ? s["v"] - s["m"] ** 2 : s["v"]) + N(o, "eps");
      if (N(o, "momentum") === 0) return p - (N(o, "lr") * d) / root;
      s["b"] = N(o, "momentum") * (s["b"] ?? 0) + d / root;
      return p - N(o, "lr") * s["b"];
    },
  },
  Adagrad: {
    defaults: { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false },
    step: (p, g, s, o, n) => {
      const d = slope(p, g, o);
      s["sum"] = (s["sum"] ?? N(o, "initialAccumulatorValue")) + d * d;
      return p - ((N(o, "lr") / (1 + (n - 1) * N(o, "lrDecay"))) * d) / (Math.sqrt(s["sum"]) + N(o, "eps"));
    },
  },
  Adadelta: {
    defaults: { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false },
    step: (p, g, s, o) => {
      const d = slope(p, g, o);
      const [rho, eps] = [N(o, "rho"), N(o, "eps")];
      s["v"] = rho * (s["v"] ?? 0) + (1 - rho) * d * d;
      const delta = (Math.sqrt((s["x"] ?? 0) + eps) / Math.sqrt(s["v"] + eps)) * d;
      s["x"] = rho * (s["x"] ?? 0) + (1 - rho) * delta * delta;
      return p - N(o, "lr") * delta;
    },
  },
  Adamax: {
    defaults: { lr: 2e-3, ...BETAS, maximize: false },
    step: (p, g, s, o, n) => {
      const d = slope(p, g, o);
      s["m"] = beta(o, 0) * (s["m"] ?? 0) + (1 - beta(o, 0)) * d;
      s["u"] = Math.max(beta(o, 1) * (s["u"] ?? 0), Math.abs(d) + N(o, "eps"));
      return p - ((N(o, "lr") / (1 - beta(o, 0) ** n)) * s["m"]) / s["u"];
    },
  },
  NAdam: {
    defaults: { lr: 2e-3, ...BETAS, momentumDecay: 4e-3 },
    step: (p, g, s, o, n) => {
      const d = slope(p, g, o);
      const mu = (k: number): number => beta(o, 0) * (1 - 0.5 * 0.96 ** (k * N(o, "momentumDecay")));
      s["all"] = (s["all"] ?? 1) * mu(n);
      const [m, v] = moments(s, o, d);
      const root = Math.sqrt(v / (1 - beta(o, 1) ** n)) + N(o, "eps");
      const lr = N(o, "lr");
      return (
        p -
        (((lr * (1 - mu(n))) / (1 - s["all"])) * d) / root -
        (((lr * mu(n + 1)) / (1 - s["all"] * mu(n + 1))) * m) / root
      );
    },
  },
  RAdam: {
    defaults: { lr: 1e-3, ...BETAS },
    step: (p, g, s, o, n) => {
      const [m, v] = moments(s, o, slope(p, g, o));
      const b2 = beta(o, 1);
      const unbiased = m / (1 - beta(o, 0) ** n);
      const most = 2 / (1 - b2) - 1;
      const length = most - (2 * n * b2 ** n) / (1 - b2 ** n);
      if (length <= 5) return p - N(o, "lr") * unbiased;
      const rectified = Math.sqrt(((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length));
      return p - (N(o, "lr") * unbiased * rectified * Math.sqrt(1 - b2 ** n)) / (Math.sqrt(v) + N(o, "eps"));
    },
  },
  Rprop: {
    defaults: { lr: 1e-2, etas: [0.5, 1.2], stepSizes: [1e-6, 50] },
    step: (p, g, s, o) => {
      const [minus, plus] = o["etas"] as readonly number[];
      const [low, high] = o["stepSizes"] as readonly number[];
      const sign = Math.sign(g * (s["before"] ?? 0));
      const factor = sign > 0 ? plus! : sign < 0 ? minus! : 1;
      s["size"] = Math.min(Math.max((s["size"] ?? N(o, "lr")) * factor, low!), high!);
      const d = sign < 0 ? 0 : g;
      s["before"] = d;
      return p - Math.sign(d) * s["size"];
    },
  },
  ASGD: {
    defaults: { lr: 1e-2, lambd: 1e-4, alpha: 0.75, t0: 1e6, weightDecay: 0 },
    step: (p, g, s, o, n) => {
      const eta = s["eta"] ?? N(o, "lr");
      s["eta"] = N(o, "lr") / (1 + N(o, "lambd") * N(o, "lr") * n) ** N(o, "alpha");
      return p * (1 - N(o, "lambd") * eta) - eta * slope(p, g, o);
    },
  },
};

const CHOICES: Readonly<Record<string, readonly (number | boolean | readonly number[])[]>> = {
  lr: [0.5, 0.125, 0.01],
  momentum: [0, 0.5, 0.9],
  dampening: [0, 0.25],
  weightDecay: [0, 0.125],
  nesterov: [false, true],
  maximize: [false, true],
  betas: [
    [0.5, 0.75],
    [0.9, 0.99],
  ],
  eps: [1e-6, 0.125],
  amsgrad: [false, true],
  alpha: [0.5, 0.9],
  centered: [false, true],
  lrDecay: [0, 0.5],
  initialAccumulatorValue: [0, 1],
  rho: [0.5, 0.9],
  momentumDecay: [4e-3, 0.5],
  etas: [[0.5, 1.5]],
  stepSizes: [[1e-3, 1]],
  lambd: [1e-4, 0.125],
};

function stepped(name: string, { defaults, step }: Row): Custom {
  return {
    name: `optim.${name}`,
    generator: (dice: Dice) => {
      const type = dtype(dice, ["float32", "float64"]);
      const x = tensorOf(dice, { dtype: type, values: "plain", views: false });
      const gradients = Array.from({ length: dice.int(1, 3) }, () =>
        tensorOf(dice, { dtype: type, shape: x.shape, values: "plain", views: false }),
      );
      const options = given(
        Object.fromEntries(
          Object.keys(defaults).map((k) => [
            k,
            CHOICES[k] === undefined ? undefined : perhaps(dice, 0.4, () => dice.pick(CHOICES[k]!)),
          ]),
        ),
      );
      const wrong = dice.chance(0.04);
      if (wrong) options["lr"] = -1;
      const all = { ...defaults, ...options } as Options;
      return {
        args: [x, gradients],
        options,
        loose: 200,
        expect: (): Model => {
          if (wrong) refuse("lr");
          if (all["nesterov"] === true && (all["momentum"] === 0 || all["dampening"] !== 0)) refuse("nesterov");
          const data = x.data.map((p, i) => {
            const state: State = {};
            return gradients.reduce((v, g, n) => step(v, g.data[i]!, state, all, n + 1), p);
          });
          return { shape: x.shape, dtype: x.dtype, data };
        },
      };
    },
    spoils: [],
    call: ([x, gradients, ...rest]) => {
      type Maker = new (params: Tensor[], ...rest: unknown[]) => { step(): void };
      const p = (x as Tensor).clone().detach().requiresGrad_();
      const optimizer = new (tg.optim as unknown as Record<string, Maker>)[name]!([p], ...rest);
      for (const g of gradients as Tensor[]) {
        p.grad = null;
        p.mul(g).sum().backward();
        optimizer.step();
      }
      return p.detach();
    },
  };
}

/** Optimisers. L-BFGS is held to its purpose: a convex quadratic form comes to its minimum. */
export const OPTIMIZERS: readonly Custom[] = [
  ...Object.entries(ROWS).map(([name, row]) => stepped(name, row)),
  {
    name: "optim.LBFGS",
    generator: (dice) => {
      const n = dice.int(1, 4);
      const target = tensorOf(dice, {
        shape: [n],
        dtype: dtype(dice, ["float32", "float64"]),
        values: "plain",
        views: false,
      });
      const scale = tensorOf(dice, { shape: [n], dtype: target.dtype, values: "positive", views: false });
      const options = { lineSearchFn: "strong_wolfe", maxIter: 50, historySize: dice.int(2, 8) };
      return {
        args: [target, scale],
        options,
        expect: null,
        check: ([p]) => {
          const off = p!.data.findIndex((v, i) => !(Math.abs(v - target.data[i]!) < 1e-2));
          return off < 0 ? null : `element ${off} came to ${p!.data[off]} instead of ${target.data[off]}`;
        },
      };
    },
    spoils: [],
    call: async ([target, scale, ...rest]) => {
      const p = (target as Tensor).zerosLike().requiresGrad_();
      const optimizer = new tg.optim.LBFGS([p], ...(rest as [object]));
      await optimizer.step(() => {
        p.grad = null;
        const loss = p
          .sub(target as Tensor)
          .square()
          .mul(scale as Tensor)
          .sum();
        loss.backward();
        return loss;
      });
      return p.detach();
    },
  },
];
