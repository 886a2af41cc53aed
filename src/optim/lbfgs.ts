/** L-BFGS: a quasi-Newton method that calls the closure several times a step, so its step is awaited. */

import { noGrad } from "../autograd/mode.ts";
import { ArgumentError } from "../errors.ts";
import { isTensor } from "../ops/apply.ts";
import { cat } from "../ops/join.ts";
import type { Tensor } from "../tensor.ts";
import { withDefaults } from "./sgd.ts";

/** Options of `LBFGS`, as in PyTorch. */
export interface LBFGSOptions {
  /** Length of a step along the direction, or the first to try with a line search. Default: 1. */
  lr: number;
  /** Most iterations in one `step()`. Default: 20. */
  maxIter: number;
  /** Most calls of the closure in one `step()`, checked between iterations; null for `maxIter * 5 / 4`. Default: null. */
  maxEval: number | null;
  /** Stops once no element of the gradient is larger. Default: 1e-7. */
  toleranceGrad: number;
  /** Stops once no parameter moves by more, or the loss changes by less. Default: 1e-9. */
  toleranceChange: number;
  /** Number of earlier iterations that the curvature is estimated from. Default: 100. */
  historySize: number;
  /** Line search: `"strong_wolfe"`, or null for a fixed step. Default: null. */
  lineSearchFn: "strong_wolfe" | null;
}

/** What `LBFGS.stateDict()` gives. */
export interface LBFGSState {
  /** The one group, with numbers in the place of parameters. */
  readonly paramGroups: readonly ({
    /** Numbers of the parameters. */
    readonly params: readonly number[];
  } & LBFGSOptions)[];
  /** Gradient differences, steps and 1 / (y . s) of earlier iterations. */
  readonly history: readonly { readonly y: Tensor; readonly s: Tensor; readonly rho: Tensor }[];
  /** The direction of the last iteration. */
  readonly direction: Tensor | null;
  /** What the inverse of the curvature is first estimated as. */
  readonly scale: Tensor | number;
  /** Gradient and loss of the last iteration. */
  readonly previous: { readonly grad: Tensor; readonly loss: number } | null;
  /** How far the last iteration went along its direction. */
  readonly distance: number;
  /** Iterations so far. */
  readonly iterations: number;
  /** Calls of the closure so far. */
  readonly evaluations: number;
}

/** Computes the loss anew, with gradients. */
export type Closure = () => Tensor | Promise<Tensor>;

/** A point of the line search: distance, loss, gradient, and slope along the direction. */
interface Point {
  readonly t: number;
  readonly loss: number;
  readonly grad: Tensor;
  readonly slope: number;
}

/** L-BFGS (Liu and Nocedal, 1989), `torch.optim.LBFGS`: `await optimizer.step(closure)`. One group of parameters. */
export class LBFGS {
  /** The one group: the parameters and the options. */
  readonly paramGroups: [
    {
      /** The parameters. */
      params: Tensor[];
    } & LBFGSOptions,
  ];
  /** Directions and gradient differences of earlier iterations, with 1 / (y . s). */
  readonly #history: { readonly y: Tensor; readonly s: Tensor; readonly rho: Tensor }[] = [];
  #direction: Tensor | null = null;
  #scale: Tensor | number = 1;
  #previous: { readonly grad: Tensor; readonly loss: number } | null = null;
  #t = 1;
  #iterations = 0;
  #evaluations = 0;

  constructor(params: Iterable<Tensor>, options: Partial<LBFGSOptions> | number = {}) {
    const list = [...params];
    if (list.length === 0 || !list.every(isTensor))
      throw new ArgumentError("LBFGS: params must be an iterable of tensors, and not empty");
    const defaults: LBFGSOptions = {
      lr: 1,
      maxIter: 20,
      maxEval: null,
      toleranceGrad: 1e-7,
      toleranceChange: 1e-9,
      historySize: 100,
      lineSearchFn: null,
    };
    const group = { params: list, ...withDefaults("LBFGS", defaults, options) };
    if (group.lineSearchFn !== null && group.lineSearchFn !== "strong_wolfe")
      throw new ArgumentError(
        `LBFGS: lineSearchFn must be "strong_wolfe" or null, got "${String(group.lineSearchFn)}"`,
      );
    this.paramGroups = [group];
  }

  /** Everything needed to go on later: options, directions and differences of earlier iterations. */
  stateDict(): LBFGSState {
    const { params, ...options } = this.paramGroups[0];
    const previous = this.#previous === null ? null : { ...this.#previous };
    return {
      paramGroups: [{ ...options, params: params.map((_, i) => i) }],
      history: this.#history.map((entry) => ({ ...entry })),
      direction: this.#direction,
      scale: this.#scale,
      previous,
      distance: this.#t,
      iterations: this.#iterations,
      evaluations: this.#evaluations,
    };
  }

  /** Goes on from a state taken before, for parameters in the same order. */
  loadStateDict(saved: LBFGSState): void {
    const [group] = saved.paramGroups;
    const own = this.paramGroups[0];
    if (group?.params.length !== own.params.length)
      throw new ArgumentError(
        `loadStateDict: the saved state is of ${group?.params.length ?? 0} parameters, this optimiser has ${own.params.length}`,
      );
    const copy = (t: Tensor): Tensor => t.detach().clone();
    const { params: _, ...options } = group;
    Object.assign(own, options);
    this.#history.length = 0;
    for (const { y, s, rho } of saved.history) this.#history.push({ y: copy(y), s: copy(s), rho: copy(rho) });
    this.#direction = saved.direction === null ? null : copy(saved.direction);
    this.#scale = isTensor(saved.scale) ? copy(saved.scale) : saved.scale;
    this.#previous = saved.previous === null ? null : { grad: copy(saved.previous.grad), loss: saved.previous.loss };
    this.#t = saved.distance;
    this.#iterations = saved.iterations;
    this.#evaluations = saved.evaluations;
  }

  /** Forgets all gradients. */
  zeroGrad(): void {
    for (const p of this.paramGroups[0].params) p.grad = null;
  }

  /** Iterations and calls of the closure so far. */
  get counts(): {
    /** Iterations so far. */
    readonly iterations: number;
    /** Calls of the closure so far. */
    readonly evaluations: number;
  } {
    return { iterations: this.#iterations, evaluations: this.#evaluations };
  }

  #gradient(): Tensor {
    return cat(this.paramGroups[0].params.map((p) => (p.grad ?? p.detach().zerosLike()).detach().reshape([-1])));
  }

  /** Adds `t` times a vector to the parameters. */
  #move(direction: Tensor, t: number): void {
    let start = 0;
    noGrad(() => {
      for (const p of this.paramGroups[0].params) {
        p.add_(direction.narrow(0, start, p.numel()).view([...p.shape]), { alpha: t });
        start += p.numel();
      }
    });
  }

  #put(values: readonly Tensor[]): void {
    noGrad(() => this.paramGroups[0].params.forEach((p, i) => p.copy_(values[i]!)));
  }

  /** Up to `maxIter` iterations; gives the loss of the first call of the closure. */
  async step(closure: Closure): Promise<Tensor> {
    const { lr, maxIter, toleranceGrad, toleranceChange, lineSearchFn } = this.paramGroups[0];
    const maxEval = this.paramGroups[0].maxEval ?? Math.floor((maxIter * 5) / 4);
    const first = await closure();
    let loss = await first.item();
    let evaluations = 1;
    this.#evaluations++;
    let grad = this.#gradient();
    if ((await grad.abs().max().item()) <= toleranceGrad) return first;
    for (let iteration = 1; iteration <= maxIter; iteration++) {
      this.#iterations++;
      const direction = await this.#nextDirection(grad);
      this.#previous = { grad: grad.clone(), loss };
      this.#t = this.#iterations === 1 ? Math.min(1, 1 / (await grad.abs().sum().item())) * lr : lr;
      const slope = await grad.dot(direction).item();
      if (slope > -toleranceChange) break;
      let calls = 0;
      if (lineSearchFn === "strong_wolfe") {
        const before = this.paramGroups[0].params.map((p) => p.detach().clone());
        const evaluate = async (t: number): Promise<Point> => {
          this.#put(before);
          this.#move(direction, t);
          const value = await (await closure()).item();
          calls++;
          const g = this.#gradient();
          return { t, loss: value, grad: g, slope: await g.dot(direction).item() };
        };
        const size = await direction.abs().max().item();
        const found = await strongWolfe(evaluate, { t: 0, loss, grad, slope }, this.#t, size, toleranceChange);
        this.#put(before);
        this.#move(direction, found.t);
        this.#t = found.t;
        ({ loss, grad } = found);
      } else {
        this.#move(direction, this.#t);
        if (iteration !== maxIter) {
          loss = await (await closure()).item();
          grad = this.#gradient();
          calls = 1;
        }
      }
      evaluations += calls;
      this.#evaluations += calls;
      if (iteration === maxIter || evaluations >= maxEval) break;
      if ((await grad.abs().max().item()) <= toleranceGrad) break;
      if ((await direction.mul(this.#t).abs().max().item()) <= toleranceChange) break;
      if (Math.abs(loss - this.#previous.loss) < toleranceChange) break;
    }
    return first;
  }

  /** The direction from the gradient and the history, by the two-loop recursion. */
  async #nextDirection(grad: Tensor): Promise<Tensor> {
    if (this.#iterations === 1 || this.#previous === null || this.#direction === null) {
      this.#history.length = 0;
      this.#scale = 1;
      return (this.#direction = grad.neg());
    }
    const y = grad.sub(this.#previous.grad);
    const s = this.#direction.mul(this.#t);
    const ys = y.dot(s);
    if ((await ys.item()) > 1e-10) {
      if (this.#history.length === this.paramGroups[0].historySize) this.#history.shift();
      this.#history.push({ y, s, rho: ys.reciprocal() });
      this.#scale = ys.div(y.dot(y));
    }
    let q = grad.neg();
    const factors: Tensor[] = new Array<Tensor>(this.#history.length);
    for (let i = this.#history.length - 1; i >= 0; i--) {
      const { y: yi, s: si, rho } = this.#history[i]!;
      factors[i] = si.dot(q).mul(rho);
      q = q.sub(yi.mul(factors[i]!));
    }
    let r = q.mul(this.#scale);
    this.#history.forEach(({ y: yi, s: si, rho }, i) => {
      r = r.add(si.mul(factors[i]!.sub(yi.dot(r).mul(rho))));
    });
    return (this.#direction = r.retain());
  }
}

/** The minimum of the cubic through two points and their slopes, within bounds (Nocedal and Wright, equation 3.59). */
function cubicMinimum(a: Point, b: Point, bounds?: readonly [number, number]): number {
  const [low, high] = bounds ?? (a.t <= b.t ? [a.t, b.t] : [b.t, a.t]);
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t);
  const square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const d2 = Math.sqrt(square);
  const [x, y] = a.t <= b.t ? [a, b] : [b, a];
  const at = y.t - (y.t - x.t) * ((y.slope + d2 - d1) / (y.slope - x.slope + 2 * d2));
  return Math.min(Math.max(at, low), high);
}

const ARMIJO = 1e-4;
const CURVATURE = 0.9;
const MOST = 25;

/** A distance that fulfils the strong Wolfe conditions (Nocedal and Wright, algorithms 3.5 and 3.6). */
async function strongWolfe(
  evaluate: (t: number) => Promise<Point>,
  start: Point,
  firstStep: number,
  size: number,
  toleranceChange: number,
): Promise<Point> {
  const steep = (p: Point): boolean => p.loss > start.loss + ARMIJO * p.t * start.slope;
  const flat = (p: Point): boolean => Math.abs(p.slope) <= -CURVATURE * start.slope;
  let previous = start;
  let current = await evaluate(firstStep);
  let bracket: Point[] | null = null;
  let count = 0;
  while (count < MOST) {
    if (steep(current) || (count > 1 && current.loss >= previous.loss)) bracket = [previous, current];
    else if (flat(current)) return current;
    else if (current.slope >= 0) bracket = [previous, current];
    if (bracket !== null) break;
    const bounds = [current.t + 0.01 * (current.t - previous.t), current.t * 10] as const;
    const next = cubicMinimum(previous, current, bounds);
    previous = current;
    current = await evaluate(next);
    count++;
  }
  bracket ??= [start, current];
  let stuck = false;
  let [low, high] = bracket[0]!.loss <= bracket[1]!.loss ? [0, 1] : [1, 0];
  while (count < MOST) {
    const [a, b] = bracket as [Point, Point];
    if (Math.abs(b.t - a.t) * size < toleranceChange) break;
    let t = cubicMinimum(a, b);
    const [min, max] = [Math.min(a.t, b.t), Math.max(a.t, b.t)];
    const margin = 0.1 * (max - min);
    if (Math.min(max - t, t - min) < margin) {
      // Twice near an end: the point is moved away from it.
      if (stuck || t >= max || t <= min) {
        t = Math.abs(t - max) < Math.abs(t - min) ? max - margin : min + margin;
        stuck = false;
      } else stuck = true;
    } else stuck = false;
    const point = await evaluate(t);
    count++;
    if (steep(point) || point.loss >= bracket[low]!.loss) {
      bracket[high] = point;
      [low, high] = bracket[0]!.loss <= bracket[1]!.loss ? [0, 1] : [1, 0];
    } else {
      if (flat(point)) return point;
      if (point.slope * (bracket[high]!.t - bracket[low]!.t) >= 0) bracket[high] = bracket[low]!;
      bracket[low] = point;
    }
  }
  return bracket[low]!;
}
