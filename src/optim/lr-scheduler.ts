/** `tg.optim.lrScheduler`: learning rates that change from epoch to epoch. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError } from "../errors.ts";

/** What a scheduler changes: the groups of an optimiser. */
export interface Scheduled {
  /** Groups of parameters, each with its own learning rate. */
  readonly paramGroups: readonly {
    /** Learning rate. */
    lr: number;
  }[];
}

const LAMBDA = signature<{ lrLambda: Lambda }>()("LambdaLR", ["lrLambda"]);
const MULTIPLICATIVE = signature<{ lrLambda: Lambda }>()("MultiplicativeLR", ["lrLambda"]);
const STEP = signature<{ stepSize: number; gamma?: number }>()("StepLR", ["stepSize", "gamma"]);
const MULTI_STEP = signature<{ milestones: readonly number[]; gamma?: number }>()("MultiStepLR", [
  "milestones",
  "gamma",
]);
const EXPONENTIAL = signature<{ gamma: number }>()("ExponentialLR", ["gamma"]);
const CONSTANT = signature<{ factor?: number; totalIters?: number }>()("ConstantLR", ["factor", "totalIters"]);
const LINEAR = signature<{ startFactor?: number; endFactor?: number; totalIters?: number }>()("LinearLR", [
  "startFactor",
  "endFactor",
  "totalIters",
]);
const POLYNOMIAL = signature<{ totalIters?: number; power?: number }>()("PolynomialLR", ["totalIters", "power"]);
const COSINE = signature<{ tMax: number; etaMin?: number }>()("CosineAnnealingLR", ["tMax", "etaMin"]);
const RESTARTS = signature<{ tMult?: number; etaMin?: number }>()("CosineAnnealingWarmRestarts", ["tMult", "etaMin"]);
const ONE_CYCLE = signature<OneCycleOptions>()("OneCycleLR", [
  "totalSteps",
  "epochs",
  "stepsPerEpoch",
  "pctStart",
  "annealStrategy",
  "cycleMomentum",
  "baseMomentum",
  "maxMomentum",
  "divFactor",
  "finalDivFactor",
  "threePhase",
]);
const CYCLIC = signature<CyclicOptions>()("CyclicLR", [
  "stepSizeUp",
  "stepSizeDown",
  "mode",
  "gamma",
  "scaleFn",
  "scaleMode",
  "cycleMomentum",
  "baseMomentum",
  "maxMomentum",
]);
const PLATEAU = signature<PlateauOptions>()("ReduceLROnPlateau", [
  "mode",
  "factor",
  "patience",
  "threshold",
  "thresholdMode",
  "cooldown",
  "minLr",
  "eps",
]);

type Group = { lr: number; initialLr?: number; momentum?: number; betas?: readonly [number, number] };

/** Base of the schedulers: `step()` once an epoch, behind the optimiser's. */
export abstract class LRScheduler {
  /** The optimiser whose learning rates change. */
  readonly optimizer: Scheduled;
  /** Learning rates of the groups before any schedule. */
  readonly baseLrs: number[];
  /** Epochs so far. */
  lastEpoch = -1;
  #last: number[] = [];

  constructor(optimizer: Scheduled) {
    if (!Array.isArray(optimizer?.paramGroups)) throw new ArgumentError("a scheduler takes an optimiser");
    this.optimizer = optimizer;
    for (const group of this.groups) group.initialLr ??= group.lr;
    this.baseLrs = this.groups.map((g) => g.initialLr!);
  }

  /** Groups of the optimiser. */
  protected get groups(): readonly Group[] {
    return this.optimizer.paramGroups;
  }

  /** The rate of a group for epoch `lastEpoch`, from its rate now. */
  protected abstract rate(lr: number, base: number, group: number): number;

  /** Goes on by one epoch. */
  step(): void {
    this.lastEpoch++;
    this.set(this.groups.map((g, i) => this.rate(g.lr, this.baseLrs[i]!, i)));
  }

  /** Sets the learning rate of each group. */
  protected set(rates: readonly number[]): void {
    rates.forEach((lr, i) => (this.groups[i]!.lr = lr));
    this.#last = [...rates];
  }

  /** The rates that were set last. */
  getLastLr(): number[] {
    return [...this.#last];
  }

  /** The numbers needed to go on later. */
  stateDict(): Record<string, unknown> {
    const state: Record<string, unknown> = { lastLr: [...this.#last] };
    for (const [name, value] of Object.entries(this))
      if (typeof value === "number" || (Array.isArray(value) && value.every((v) => typeof v === "number")))
        state[name] = Array.isArray(value) ? [...value] : value;
    return state;
  }

  /** Goes on from a state taken before. */
  loadStateDict(state: Readonly<Record<string, unknown>>): void {
    const { lastLr, ...rest } = state;
    Object.assign(this, rest);
    this.#last = [...(lastLr as number[])];
  }
}

/** A function of the epoch, or one a group. */
export type Lambda = ((epoch: number) => number) | readonly ((epoch: number) => number)[];

function lambdas(name: string, given: Lambda, groups: number): ((epoch: number) => number)[] {
  if (typeof given !== "function" && !Array.isArray(given))
    throw new ArgumentError(`${name}: lrLambda must be a function of the epoch, or an array of them`);
  const list = typeof given === "function" ? new Array<(epoch: number) => number>(groups).fill(given) : [...given];
  if (list.length !== groups) throw new ArgumentError(`${name}: expected ${groups} functions, got ${list.length}`);
  return list;
}

/** The base rate times a function of the epoch. */
export class LambdaLR extends LRScheduler {
  readonly #lambdas: readonly ((epoch: number) => number)[];
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof LAMBDA>) {
    super(optimizer);
    this.#lambdas = lambdas("LambdaLR", parse(LAMBDA, args).lrLambda, this.groups.length);
    this.step();
  }
  protected override rate(_: number, base: number, group: number): number {
    return base * this.#lambdas[group]!(this.lastEpoch);
  }
}

/** The rate times a function of the epoch, again and again. */
export class MultiplicativeLR extends LRScheduler {
  readonly #lambdas: readonly ((epoch: number) => number)[];
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof MULTIPLICATIVE>) {
    super(optimizer);
    this.#lambdas = lambdas("MultiplicativeLR", parse(MULTIPLICATIVE, args).lrLambda, this.groups.length);
    this.step();
  }
  protected override rate(lr: number, _: number, group: number): number {
    return this.lastEpoch > 0 ? lr * this.#lambdas[group]!(this.lastEpoch) : lr;
  }
}

/** Times `gamma` every `stepSize` epochs. */
export class StepLR extends LRScheduler {
  /** Epochs from one change to the next. */
  stepSize: number;
  /** What the rate is multiplied by at each change. Default: 0.1. */
  gamma: number;
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof STEP>) {
    super(optimizer);
    const { stepSize, gamma = 0.1 } = parse(STEP, args);
    if (!(stepSize > 0)) throw new ArgumentError(`StepLR: stepSize must be above 0, got ${describeValue(stepSize)}`);
    this.stepSize = stepSize;
    this.gamma = gamma;
    this.step();
  }
  protected override rate(lr: number): number {
    return this.lastEpoch === 0 || this.lastEpoch % this.stepSize !== 0 ? lr : lr * this.gamma;
  }
}

/** Times `gamma` at each milestone. */
export class MultiStepLR extends LRScheduler {
  /** Epochs at which the rate changes; one given twice counts twice. */
  milestones: number[];
  /** What the rate is multiplied by at each milestone. Default: 0.1. */
  gamma: number;
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof MULTI_STEP>) {
    super(optimizer);
    const { milestones, gamma = 0.1 } = parse(MULTI_STEP, args);
    if (!Array.isArray(milestones)) throw new ArgumentError("MultiStepLR: milestones must be an array of epochs");
    this.milestones = [...milestones];
    this.gamma = gamma;
    this.step();
  }
  protected override rate(lr: number): number {
    return lr * this.gamma ** this.milestones.filter((m) => m === this.lastEpoch).length;
  }
}

/** Times `gamma` every epoch. */
export class ExponentialLR extends LRScheduler {
  /** What the rate is multiplied by each epoch. */
  gamma: number;
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof EXPONENTIAL>) {
    super(optimizer);
    const { gamma } = parse(EXPONENTIAL, args);
    if (typeof gamma !== "number") throw new ArgumentError("ExponentialLR: give gamma, a number");
    this.gamma = gamma;
    this.step();
  }
  protected override rate(lr: number): number {
    return this.lastEpoch === 0 ? lr : lr * this.gamma;
  }
}

/** Times `factor` for the first `totalIters` epochs. */
export class ConstantLR extends LRScheduler {
  /** What the rate is multiplied by at first. Default: 1/3. */
  factor: number;
  /** Epoch at which the full rate comes back. Default: 5. */
  totalIters: number;
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof CONSTANT>) {
    super(optimizer);
    const { factor = 1 / 3, totalIters = 5 } = parse(CONSTANT, args);
    this.factor = factor;
    this.totalIters = totalIters;
    this.step();
  }
  protected override rate(lr: number): number {
    if (this.lastEpoch === 0) return lr * this.factor;
    return this.lastEpoch === this.totalIters ? lr / this.factor : lr;
  }
}

/** A factor that goes from `startFactor` to `endFactor` in `totalIters` epochs. */
export class LinearLR extends LRScheduler {
  /** What the rate is multiplied by in the first epoch, above 0 and at most 1. Default: 1/3. */
  startFactor: number;
  /** What the rate is multiplied by from epoch `totalIters` on. Default: 1. */
  endFactor: number;
  /** Epochs from the first factor to the last. Default: 5. */
  totalIters: number;
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof LINEAR>) {
    super(optimizer);
    const { startFactor = 1 / 3, endFactor = 1, totalIters = 5 } = parse(LINEAR, args);
    if (!(startFactor > 0 && startFactor <= 1))
      throw new ArgumentError(`LinearLR: startFactor must be above 0 and at most 1, got ${describeValue(startFactor)}`);
    this.startFactor = startFactor;
    this.endFactor = endFactor;
    this.totalIters = totalIters;
    this.step();
  }
  protected override rate(lr: number): number {
    const { startFactor: start, totalIters: total, lastEpoch: e } = this;
    if (e === 0) return lr * start;
    if (e > total) return lr;
    const rise = this.endFactor - start;
    return lr * (1 + rise / (total * start + (e - 1) * rise));
  }
}

/** Down to zero in `totalIters` epochs, as a power of what is left. */
export class PolynomialLR extends LRScheduler {
  /** Epochs until the rate is zero. Default: 5. */
  totalIters: number;
  /** Power of the share of epochs left; 1 is a straight line. Default: 1. */
  power: number;
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof POLYNOMIAL>) {
    super(optimizer);
    const { totalIters = 5, power = 1 } = parse(POLYNOMIAL, args);
    this.totalIters = totalIters;
    this.power = power;
    this.step();
  }
  protected override rate(lr: number): number {
    const { totalIters: total, lastEpoch: e } = this;
    if (e === 0 || e > total) return lr;
    return lr * ((1 - e / total) / (1 - (e - 1) / total)) ** this.power;
  }
}

/** Half a cosine wave from the base rate to `etaMin` in `tMax` epochs (Loshchilov and Hutter, 2017). */
export class CosineAnnealingLR extends LRScheduler {
  /** Epochs from the base rate to the lowest. */
  tMax: number;
  /** Lowest learning rate. Default: 0. */
  etaMin: number;
  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof COSINE>) {
    super(optimizer);
    const { tMax, etaMin = 0 } = parse(COSINE, args);
    if (typeof tMax !== "number") throw new ArgumentError("CosineAnnealingLR: give tMax, a number of epochs");
    this.tMax = tMax;
    this.etaMin = etaMin;
    this.step();
  }
  protected override rate(lr: number, base: number): number {
    const { tMax, etaMin, lastEpoch: e } = this;
    if (e === 0) return lr;
    if ((((e - 1 - tMax) % (2 * tMax)) + 2 * tMax) % (2 * tMax) === 0)
      return lr + ((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
    const ratio = (1 + Math.cos((Math.PI * e) / tMax)) / (1 + Math.cos((Math.PI * (e - 1)) / tMax));
    return ratio * (lr - etaMin) + etaMin;
  }
}

/** Cosine annealing that starts anew after `t0` epochs, each time `tMult` times as long. */
export class CosineAnnealingWarmRestarts extends LRScheduler {
  /** Epochs of the present cycle. */
  length: number;
  /** Epochs since the present cycle began. */
  current = -1;
  /** How many times as long each cycle is as the one before, a positive integer. Default: 1. */
  tMult: number;
  /** Lowest learning rate. Default: 0. */
  etaMin: number;
  constructor(optimizer: Scheduled, t0: number, ...args: ArgsOf<typeof RESTARTS>) {
    super(optimizer);
    const { tMult = 1, etaMin = 0 } = parse(RESTARTS, args);
    if (!Number.isInteger(t0) || t0 < 1 || !Number.isInteger(tMult) || tMult < 1)
      throw new ArgumentError(
        `CosineAnnealingWarmRestarts: t0 and tMult must be positive integers, got ${describeValue(t0)} and ${describeValue(tMult)}`,
      );
    this.length = t0;
    this.tMult = tMult;
    this.etaMin = etaMin;
    this.step();
  }
  override step(): void {
    this.current++;
    if (this.current >= this.length) {
      this.current -= this.length;
      this.length *= this.tMult;
    }
    super.step();
  }
  protected override rate(_: number, base: number): number {
    return this.etaMin + ((base - this.etaMin) * (1 + Math.cos((Math.PI * this.current) / this.length))) / 2;
  }
}

function cycled(groups: readonly Group[], set: (group: Group, index: number) => number): void {
  groups.forEach((group, i) => {
    const value = set(group, i);
    if (group.betas !== undefined) group.betas = [value, group.betas[1]];
    else group.momentum = value;
  });
}

function checkMomentum(name: string, groups: readonly Group[]): void {
  if (groups.some((g) => g.betas === undefined && g.momentum === undefined))
    throw new ArgumentError(`${name}: the optimiser has neither momentum nor betas; set cycleMomentum: false`);
}

const list = (value: number | readonly number[], count: number): number[] =>
  typeof value === "number" ? new Array<number>(count).fill(value) : [...value];

/** Options of `OneCycleLR`, as in PyTorch. */
export interface OneCycleOptions {
  /** Steps of the cycle; without it, `epochs * stepsPerEpoch`. */
  totalSteps?: number;
  /** Epochs of training, where `totalSteps` is not given. */
  epochs?: number;
  /** Batches an epoch, where `totalSteps` is not given. */
  stepsPerEpoch?: number;
  /** Share of the steps in which the rate rises, from 0 to 1. Default: 0.3. */
  pctStart?: number;
  /** Shape of rise and fall: a cosine or a straight line. Default: `"cos"`. */
  annealStrategy?: "cos" | "linear";
  /** Whether momentum (or the first of `betas`) goes the other way. Default: true. */
  cycleMomentum?: boolean;
  /** Lowest momentum, at the highest rate. Default: 0.85. */
  baseMomentum?: number;
  /** Highest momentum, at the start and at the end. Default: 0.95. */
  maxMomentum?: number;
  /** The first rate is `maxLr / divFactor`. Default: 25. */
  divFactor?: number;
  /** The last rate is the first divided by this. Default: 1e4. */
  finalDivFactor?: number;
  /** Whether to go down to the first rate as long as up, and only then to the last. Default: false. */
  threePhase?: boolean;
}

/** Up to `maxLr` and down far below where it began, momentum the other way (Smith and Topin, 2018). `step()` once a batch. */
export class OneCycleLR extends LRScheduler {
  /** Steps of the cycle; a step beyond them is an error. */
  readonly totalSteps: number;
  readonly #phases: readonly { end: number; lr: readonly [string, string]; momentum: readonly [number, number] }[];
  readonly #points: readonly Record<string, number>[];
  readonly #anneal: (from: number, to: number, share: number) => number;
  readonly #cycles: boolean;

  constructor(optimizer: Scheduled, maxLr: number | readonly number[], ...args: ArgsOf<typeof ONE_CYCLE>) {
    super(optimizer);
    const options = parse(ONE_CYCLE, args);
    const { epochs = 0, stepsPerEpoch = 0, pctStart = 0.3, annealStrategy = "cos", cycleMomentum = true } = options;
    const {
      baseMomentum = 0.85,
      maxMomentum = 0.95,
      divFactor = 25,
      finalDivFactor = 1e4,
      threePhase = false,
    } = options;
    this.totalSteps = options.totalSteps ?? epochs * stepsPerEpoch;
    if (!Number.isInteger(this.totalSteps) || this.totalSteps < 1)
      throw new ArgumentError("OneCycleLR: give totalSteps, or epochs and stepsPerEpoch, as positive integers");
    if (!(pctStart >= 0 && pctStart <= 1))
      throw new ArgumentError(`OneCycleLR: pctStart must be from 0 to 1, got ${describeValue(pctStart)}`);
    const total = this.totalSteps;
    const [low, high] = [baseMomentum, maxMomentum];
    this.#phases = threePhase
      ? [
          { end: pctStart * total - 1, lr: ["initial", "max"], momentum: [high, low] },
          { end: 2 * pctStart * total - 2, lr: ["max", "initial"], momentum: [low, high] },
          { end: total - 1, lr: ["initial", "min"], momentum: [high, high] },
        ]
      : [
          { end: pctStart * total - 1, lr: ["initial", "max"], momentum: [high, low] },
          { end: total - 1, lr: ["max", "min"], momentum: [low, high] },
        ];
    this.#points = list(maxLr, this.groups.length).map((max) => ({
      initial: max / divFactor,
      max,
      min: max / divFactor / finalDivFactor,
    }));
    this.#anneal =
      annealStrategy === "linear"
        ? (from, to, share) => from + (to - from) * share
        : (from, to, share) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
    this.#cycles = cycleMomentum;
    if (cycleMomentum) checkMomentum("OneCycleLR", this.groups);
    this.groups.forEach((g, i) => (g.initialLr = this.#points[i]!["initial"]!));
    this.step();
  }

  protected override rate(_: number, __: number, group: number): number {
    const e = this.lastEpoch;
    if (e > this.totalSteps)
      throw new ArgumentError(`OneCycleLR: tried to step ${e} times; the number of total steps is ${this.totalSteps}`);
    let start = 0;
    const last = this.#phases.length - 1;
    for (const [i, { end, lr, momentum }] of this.#phases.entries()) {
      if (e <= end || i === last) {
        const share = (e - start) / (end - start);
        const points = this.#points[group]!;
        if (this.#cycles) cycled([this.groups[group]!], () => this.#anneal(...momentum, share));
        return this.#anneal(points[lr[0]]!, points[lr[1]]!, share);
      }
      start = end;
    }
    throw new Error("OneCycleLR: no phase");
  }
}

/** Options of `CyclicLR`, as in PyTorch. */
export interface CyclicOptions {
  /** Steps from the lower rate to the upper. Default: 2000. */
  stepSizeUp?: number;
  /** Steps from the upper rate to the lower; null for as many as up. Default: null. */
  stepSizeDown?: number | null;
  /** How the height of the cycles changes: not at all, halved each cycle, or times `gamma` each step. Default: `"triangular"`. */
  mode?: "triangular" | "triangular2" | "exp_range";
  /** Base of the decay in mode `"exp_range"`. Default: 1. */
  gamma?: number;
  /** The height as a function of the cycle or step, in place of `mode`. Default: null. */
  scaleFn?: ((x: number) => number) | null;
  /** Whether `scaleFn` takes the number of the cycle (from 1) or of the step. Default: `"cycle"`. */
  scaleMode?: "cycle" | "iterations";
  /** Whether momentum (or the first of `betas`) goes the other way. Default: true. */
  cycleMomentum?: boolean;
  /** Lowest momentum, at the upper rate. Default: 0.8. */
  baseMomentum?: number;
  /** Highest momentum, at the lower rate. Default: 0.9. */
  maxMomentum?: number;
}

/** Up and down between two rates (Smith, 2017). `step()` once a batch. */
export class CyclicLR extends LRScheduler {
  readonly #max: readonly number[];
  readonly #low: readonly number[];
  readonly #options: Required<Omit<CyclicOptions, "scaleFn" | "stepSizeDown">> & {
    scale: (x: number) => number;
    down: number;
  };

  constructor(
    optimizer: Scheduled,
    baseLr: number | readonly number[],
    maxLr: number | readonly number[],
    ...args: ArgsOf<typeof CYCLIC>
  ) {
    super(optimizer);
    const options = parse(CYCLIC, args);
    const { stepSizeUp = 2000, stepSizeDown = null, mode = "triangular", gamma = 1, scaleFn = null } = options;
    const { cycleMomentum = true, baseMomentum = 0.8, maxMomentum = 0.9 } = options;
    if (!["triangular", "triangular2", "exp_range"].includes(mode) && scaleFn === null)
      throw new ArgumentError(`CyclicLR: mode must be "triangular", "triangular2" or "exp_range", got "${mode}"`);
    const own = {
      triangular: () => 1,
      triangular2: (x: number) => 1 / 2 ** (x - 1),
      exp_range: (x: number) => gamma ** x,
    };
    this.#options = {
      stepSizeUp,
      mode,
      gamma,
      scaleMode: scaleFn === null ? (mode === "exp_range" ? "iterations" : "cycle") : (options.scaleMode ?? "cycle"),
      cycleMomentum,
      baseMomentum,
      maxMomentum,
      scale: scaleFn ?? own[mode],
      down: stepSizeDown ?? stepSizeUp,
    };
    this.#low = list(baseLr, this.groups.length);
    this.#max = list(maxLr, this.groups.length);
    if (cycleMomentum) checkMomentum("CyclicLR", this.groups);
    this.groups.forEach((g, i) => (g.lr = g.initialLr = this.#low[i]!));
    this.step();
  }

  protected override rate(_: number, __: number, group: number): number {
    const { stepSizeUp, down, scale, scaleMode, cycleMomentum, baseMomentum, maxMomentum } = this.#options;
    const total = stepSizeUp + down;
    const cycle = Math.floor(1 + this.lastEpoch / total);
    const x = 1 + this.lastEpoch / total - cycle;
    const ratio = stepSizeUp / total;
    const height = x <= ratio ? x / ratio : (x - 1) / (ratio - 1);
    const by = height * scale(scaleMode === "cycle" ? cycle : this.lastEpoch);
    if (cycleMomentum) cycled([this.groups[group]!], () => maxMomentum - (maxMomentum - baseMomentum) * by);
    return this.#low[group]! + (this.#max[group]! - this.#low[group]!) * by;
  }
}

/** Options of `ReduceLROnPlateau`, as in PyTorch. */
export interface PlateauOptions {
  /** Whether a smaller or a larger measure is better. Default: `"min"`. */
  mode?: "min" | "max";
  /** What the rate is multiplied by, below 1. Default: 0.1. */
  factor?: number;
  /** Epochs without progress that are let pass. Default: 10. */
  patience?: number;
  /** How much better a measure must be to count. Default: 1e-4. */
  threshold?: number;
  /** Whether `threshold` is a share of the best measure or a difference from it. Default: `"rel"`. */
  thresholdMode?: "rel" | "abs";
  /** Epochs after a change in which a lack of progress is not counted. Default: 0. */
  cooldown?: number;
  /** Lowest learning rate, for all groups or one each. Default: 0. */
  minLr?: number | readonly number[];
  /** A change of the rate that is not larger is left out. Default: 1e-8. */
  eps?: number;
}

/** Times `factor` when a measure has not become better for more than `patience` epochs: `step(await loss.item())`. */
export class ReduceLROnPlateau {
  /** The optimiser whose learning rates change. */
  readonly optimizer: Scheduled;
  /** The best measure so far. */
  best: number;
  /** Epochs without progress. */
  numBadEpochs = 0;
  /** Epochs of cooldown left. */
  cooldownCounter = 0;
  /** Epochs so far. */
  lastEpoch = 0;
  readonly #options: Required<Omit<PlateauOptions, "minLr">> & { minLr: readonly number[] };

  constructor(optimizer: Scheduled, ...args: ArgsOf<typeof PLATEAU>) {
    if (!Array.isArray(optimizer?.paramGroups)) throw new ArgumentError("ReduceLROnPlateau: give an optimiser first");
    const {
      mode = "min",
      factor = 0.1,
      patience = 10,
      threshold = 1e-4,
      thresholdMode = "rel",
      cooldown = 0,
      minLr = 0,
      eps = 1e-8,
    } = parse(PLATEAU, args);
    if (!(factor < 1))
      throw new ArgumentError(`ReduceLROnPlateau: factor should be below 1, got ${describeValue(factor)}`);
    if (mode !== "min" && mode !== "max")
      throw new ArgumentError(`ReduceLROnPlateau: mode must be "min" or "max", got "${String(mode)}"`);
    this.optimizer = optimizer;
    this.best = mode === "min" ? Infinity : -Infinity;
    this.#options = {
      mode,
      factor,
      patience,
      threshold,
      thresholdMode,
      cooldown,
      eps,
      minLr: list(minLr, optimizer.paramGroups.length),
    };
  }

  #isBetter(value: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options;
    const sign = mode === "min" ? -1 : 1;
    const bar = thresholdMode === "rel" ? this.best * (1 + sign * threshold) : this.best + sign * threshold;
    return mode === "min" ? value < bar : value > bar;
  }

  /** Tells the measure of an epoch. */
  step(metrics: number): void {
    if (typeof metrics !== "number")
      throw new ArgumentError("ReduceLROnPlateau: step takes a number; read a tensor with await t.item()");
    const { patience, cooldown, factor, minLr, eps } = this.#options;
    this.lastEpoch++;
    if (this.#isBetter(metrics)) {
      this.best = metrics;
      this.numBadEpochs = 0;
    } else this.numBadEpochs++;
    if (this.cooldownCounter > 0) {
      this.cooldownCounter--;
      this.numBadEpochs = 0;
    }
    if (this.numBadEpochs <= patience) return;
    this.optimizer.paramGroups.forEach((group, i) => {
      const next = Math.max(group.lr * factor, minLr[i]!);
      if (group.lr - next > eps) group.lr = next;
    });
    this.cooldownCounter = cooldown;
    this.numBadEpochs = 0;
  }

  /** The numbers needed to go on later. */
  stateDict(): Record<string, number> {
    const { best, numBadEpochs, cooldownCounter, lastEpoch } = this;
    return { best, numBadEpochs, cooldownCounter, lastEpoch };
  }

  /** Goes on from a state taken before. */
  loadStateDict(state: Readonly<Record<string, number>>): void {
    Object.assign(this, state);
  }
}

/** One scheduler after the other: the next begins at each milestone. */
export class SequentialLR {
  /** The schedulers, in their order. */
  readonly schedulers: readonly LRScheduler[];
  /** Epochs at which the second scheduler and those behind it begin. */
  readonly milestones: readonly number[];
  /** Epochs so far. */
  lastEpoch = 0;

  constructor(optimizer: Scheduled, schedulers: readonly LRScheduler[], milestones: readonly number[]) {
    if (schedulers.length !== milestones.length + 1)
      throw new ArgumentError(
        `SequentialLR: expected one milestone fewer than schedulers, got ${milestones.length} and ${schedulers.length}`,
      );
    for (const s of schedulers)
      if (s.optimizer !== optimizer) throw new ArgumentError("SequentialLR: the schedulers are of other optimisers");
    this.schedulers = schedulers;
    this.milestones = [...milestones];
    // All but the first are taken back to before their first step.
    for (const group of optimizer.paramGroups as readonly Group[]) group.lr = group.initialLr ?? group.lr;
    for (const s of schedulers) s.lastEpoch--;
    schedulers[0]!.step();
  }

  /** Goes on by one epoch. */
  step(): void {
    this.lastEpoch++;
    const which = this.milestones.filter((m) => m <= this.lastEpoch).length;
    const scheduler = this.schedulers[which]!;
    if (which > 0 && this.milestones[which - 1] === this.lastEpoch) {
      (scheduler.optimizer.paramGroups as readonly Group[]).forEach((g) => (g.lr = g.initialLr ?? g.lr));
      scheduler.lastEpoch = -1;
    }
    scheduler.step();
  }

  /** The rates that were set last. */
  getLastLr(): number[] {
    return this.schedulers[0]!.optimizer.paramGroups.map((g) => g.lr);
  }

  /** The numbers needed to go on later. */
  stateDict(): SchedulersState {
    return { lastEpoch: this.lastEpoch, schedulers: this.schedulers.map((s) => s.stateDict()) };
  }

  /** Goes on from a state taken before. */
  loadStateDict(state: SchedulersState): void {
    this.lastEpoch = state.lastEpoch ?? this.lastEpoch;
    loadAll("SequentialLR", this.schedulers, state.schedulers);
  }
}

/** The state of several schedulers. */
export interface SchedulersState {
  /** Epochs so far, where that is counted. */
  readonly lastEpoch?: number;
  /** The state of each. */
  readonly schedulers: readonly Readonly<Record<string, unknown>>[];
}

function loadAll(name: string, schedulers: readonly LRScheduler[], states: SchedulersState["schedulers"]): void {
  if (states.length !== schedulers.length)
    throw new ArgumentError(
      `${name}: the saved state is of ${states.length} schedulers, this one has ${schedulers.length}`,
    );
  schedulers.forEach((s, i) => s.loadStateDict(states[i]!));
}

/** Several schedulers at once, each changing what the one before left. */
export class ChainedScheduler {
  /** The schedulers, in the order in which they step. */
  readonly schedulers: readonly LRScheduler[];
  constructor(schedulers: readonly LRScheduler[]) {
    if (schedulers.length === 0) throw new ArgumentError("ChainedScheduler: expected at least one scheduler");
    this.schedulers = [...schedulers];
  }
  /** Goes on by one epoch. */
  step(): void {
    for (const s of this.schedulers) s.step();
  }
  /** The rates that were set last. */
  getLastLr(): number[] {
    return this.schedulers[this.schedulers.length - 1]!.getLastLr();
  }

  /** The numbers needed to go on later. */
  stateDict(): SchedulersState {
    return { schedulers: this.schedulers.map((s) => s.stateDict()) };
  }

  /** Goes on from a state taken before. */
  loadStateDict(state: SchedulersState): void {
    loadAll("ChainedScheduler", this.schedulers, state.schedulers);
  }
}
