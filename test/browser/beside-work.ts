/** What beside.ts does in the page and beside-worker.ts in a worker, at the same time: training on WebGPU, with reads on their way all the time. */

import * as tg from "#tapegrad";

export interface BesideReport {
  readonly device: string;
  readonly losses: readonly number[];
  /** Sums of the parameter after each step, asked for without waiting. */
  readonly sums: readonly number[];
  /** When it began and ended, in milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
}

/** Steps of the training. */
export const STEPS = 40;

/** Trains with a seed, on the device of two `init` calls at once. */
export async function work(seed: number): Promise<BesideReport> {
  const [first, second] = await Promise.all([tg.init({ device: "webgpu" }), tg.init({ device: "webgpu" })]);
  if (first.description !== second.description) throw new Error("two calls of init() at once gave two devices");
  const from = Date.now();
  tg.manualSeed(seed);
  const w = tg.rand(32, 32).requiresGrad_();
  const optimizer = new tg.optim.Adam([w], { lr: 0.02 });
  const losses: Promise<number>[] = [];
  const sums: Promise<number>[] = [];
  for (let i = 0; i < STEPS; i++) {
    optimizer.zeroGrad();
    const loss = w.matmul(tg.rand(32, 32)).tanh().mean();
    loss.backward();
    losses.push(loss.item());
    optimizer.step();
    sums.push(w.detach().sum().item());
    if (i % 3 === 2) await losses.at(-1);
  }
  const report = { losses: await Promise.all(losses), sums: await Promise.all(sums) };
  tg.destroy();
  return { device: first.type, ...report, from, to: Date.now() };
}
