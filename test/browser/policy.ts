/** Trains a small model on the CPU and reports what the page may compile, for policy.test.ts. */

import * as tg from "#tapegrad";

/** What the page leaves in `globalThis.report`. */
export interface PolicyReport {
  readonly description: string;
  readonly mayCompileText: boolean;
  readonly mayCompileModules: boolean;
  readonly losses: readonly number[];
  /** Sums along rows of a larger array, and what they must be. */
  readonly sums: readonly [got: number, want: number];
}

function works(attempt: () => unknown): boolean {
  try {
    attempt();
    return true;
  } catch {
    return false;
  }
}

/** Losses of an MLP that learns the exclusive or of two numbers. */
async function train(): Promise<number[]> {
  tg.manualSeed(1);
  const model = new tg.nn.Sequential(new tg.nn.Linear(2, 16), new tg.nn.Tanh(), new tg.nn.Linear(16, 1));
  const optimizer = new tg.optim.Adam(model.parameters(), { lr: 0.05 });
  const x = tg.tensor([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]);
  const y = tg.tensor([[0], [1], [1], [0]]);
  const losses: number[] = [];
  for (let step = 0; step < 200; step++) {
    const loss = tg.F.mseLoss(model.call(x), y);
    optimizer.zeroGrad();
    loss.backward();
    optimizer.step();
    losses.push(await loss.item());
  }
  return losses;
}

const { description } = await tg.init({ device: "cpu" });
const n = 300_000;
const report: PolicyReport = {
  description,
  mayCompileText: works(() => new Function("return 1")),
  mayCompileModules: works(() => new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))),
  losses: await train(),
  sums: [await tg.arange(0, n, 1, { dtype: "float64" }).sqrt().floor().sum().item(), rootSum(n)],
};
(globalThis as unknown as { report: PolicyReport }).report = report;

function rootSum(count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += Math.floor(Math.sqrt(i));
  return sum;
}
