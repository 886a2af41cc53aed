/** Modules, optimisers and schedulers against PyTorch's numbers, made by test/generate/models.py. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { loadText, weights } from "../conformance/fixtures.ts";
import { camelCase } from "../conformance/samples.ts";
import { ensure, expectClose, expectEqual, expectThrows, suite, type PortableTest } from "../support/portable.ts";

const { F, nn, optim } = tg;

interface Values {
  readonly t: number[];
  readonly d: number[];
}
interface ModuleFixture {
  readonly state: Readonly<Record<string, Values>>;
  readonly shown: string;
  readonly inputs: readonly Values[];
  readonly out: readonly Values[];
  readonly inputGrads: readonly Values[];
  readonly grads: Readonly<Record<string, Values>>;
}
interface Fixtures {
  readonly modules: Readonly<Record<string, ModuleFixture>>;
  readonly optimisers: Readonly<Record<string, readonly { options: Record<string, unknown>; out: Values[] }[]>>;
  readonly schedules: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}

let loaded: Promise<Fixtures> | null = null;
function fixtures(): Promise<Fixtures> {
  loaded ??= loadText(new URL("../fixtures/models.json", import.meta.url)).then((text) => JSON.parse(text) as Fixtures);
  return loaded;
}

const tensorOf = ({ t, d }: Values): Tensor => tg.tensor(Float64Array.from(d), { shape: t });
const BOUNDS = { rtol: 2e-4, atol: 2e-5 };

const MASK = [
  [false, true, true],
  [false, false, true],
  [false, false, false],
];

type Net = InstanceType<typeof nn.Module>;
type Made = readonly [Net, (net: never, ...inputs: Tensor[]) => unknown];
const made = <N extends Net>(net: N, call: (net: N, ...inputs: Tensor[]) => unknown): Made => [net, call];
const plain = (net: Net & { forward(...inputs: Tensor[]): unknown }): Made => made(net, (n, ...x) => n.forward(...x));

const MODULES: Readonly<Record<string, () => Made>> = {
  linear: () => made(new nn.Linear(3, 2), (n, x) => n.forward(x)),
  bilinear: () => made(new nn.Bilinear(2, 3, 2), (n, x, y) => n.forward(x, y)),
  conv: () =>
    plain(
      new nn.Conv2d(2, 4, [3, 2], {
        stride: [1, 2],
        padding: [1, 2],
        dilation: [1, 2],
        groups: 2,
        paddingMode: "circular",
      }),
    ),
  transposed: () => made(new nn.ConvTranspose2d(2, 3, 3, { stride: 2, padding: 1 }), (n, x) => n.forward(x, [6, 5])),
  "batch norm": () => plain(new nn.BatchNorm2d(2)),
  "batch norm in evaluation": () => plain(new nn.BatchNorm1d(3).eval()),
  attention: () =>
    made(new nn.MultiheadAttention(4, 2, { batchFirst: true }), (n, x) =>
      n.forward(x, x, x, { attnMask: tg.tensor(MASK) }),
    ),
  encoder: () =>
    made(
      new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 6, dropout: 0, normFirst: true, activation: "gelu" }),
      (n, x) => n.forward(x),
    ),
  "encoder, norm last": () =>
    made(new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 6, dropout: 0, batchFirst: true }), (n, x) =>
      n.forward(x, { srcMask: tg.tensor(MASK) }),
    ),
  rnn: () => made(new nn.RNN(3, 2, { nonlinearity: "relu" }), (n, x) => n.forward(x)),
  lstm: () => made(new nn.LSTM(3, 2, { numLayers: 2, bidirectional: true }), (n, x) => n.forward(x)),
  gru: () => made(new nn.GRU(3, 2, { batchFirst: true }), (n, x) => n.forward(x)),
  "lstm cell": () => made(new nn.LSTMCell(3, 2), (n, x) => n.forward(x)),
  "gru cell": () => made(new nn.GRUCell(3, 2), (n, x) => n.forward(x)),
  net: () =>
    made(
      new nn.Sequential(
        new nn.Conv2d(1, 2, 3, { padding: "same" }),
        new nn.ReLU(),
        new nn.MaxPool2d(2),
        new nn.Flatten(),
        new nn.Linear(8, 3),
      ),
      (n, x) => n.forward(x),
    ),
};

/** Modules that are shown as PyTorch shows them. */
const SHOWN = new Set([
  "linear",
  "bilinear",
  "conv",
  "transposed",
  "batch norm",
  "rnn",
  "lstm",
  "gru",
  "lstm cell",
  "net",
]);

async function checkModule(name: string): Promise<void> {
  const fixture = (await fixtures()).modules[name]!;
  const [net, call] = MODULES[name]!();
  const state = Object.fromEntries(Object.entries(fixture.state).map(([key, v]) => [key, tensorOf(v)]));
  const result = net.loadStateDict(state);
  expectEqual([result.missingKeys, result.unexpectedKeys], [[], []]);
  const inputs = fixture.inputs.map((v) => tensorOf(v).requiresGrad_());
  const outs = ([call(net as never, ...inputs)].flat(3) as (Tensor | null)[]).filter((o) => o !== null);
  expectEqual(outs.length, fixture.out.length, "number of results");
  let total = tg.zeros([]);
  for (const [i, out] of outs.entries()) {
    expectEqual([...out.shape], fixture.out[i]!.t);
    expectClose(await out.data(), fixture.out[i]!.d, BOUNDS, `result ${i}`);
    total = total.add(out.mul(tg.tensor(weights(out.numel(), i)).reshape([...out.shape])).sum());
  }
  total.backward();
  for (const [i, x] of inputs.entries())
    expectClose(await x.grad!.data(), fixture.inputGrads[i]!.d, BOUNDS, `gradient of input ${i}`);
  const parameters = new Map(net.namedParameters());
  expectEqual(parameters.size, Object.keys(fixture.grads).length, "number of parameters");
  for (const [key, v] of Object.entries(fixture.grads)) {
    const p = parameters.get(key.split(".").map(camelCase).join("."));
    ensure(p !== undefined, `there is a parameter ${key}`);
    expectClose(await p.grad!.data(), v.d, BOUNDS, `gradient of ${key}`);
  }
  if (SHOWN.has(name)) expectEqual(net.toString(), fixture.shown);
}

async function checkOptimiser(name: string): Promise<void> {
  for (const { options: given, out } of (await fixtures()).optimisers[name]!) {
    const options = Object.fromEntries(Object.entries(given).map(([k, v]) => [camelCase(k), v]));
    const wave = (count: number, seed: number): Float64Array =>
      Float64Array.from({ length: count }, (_, i) =>
        Number(Math.sin(Math.fround(i * Math.fround(1.7) + seed)).toPrecision(4)),
      );
    const params = [
      tg.tensor(wave(6, 0), { shape: [2, 3] }).requiresGrad_(),
      tg.tensor(wave(4, 2), { shape: [4] }).requiresGrad_(),
    ];
    const targets = [tg.tensor(wave(6, 3), { shape: [2, 3] }), tg.tensor(wave(4, 4), { shape: [4] })];
    const Class = (
      optim as unknown as Record<
        string,
        new (p: Tensor[], o: object) => { step(c?: unknown): unknown; zeroGrad(): void }
      >
    )[name]!;
    const optimiser = new Class(params, options);
    const closure = (): Tensor => {
      optimiser.zeroGrad();
      const losses = params.map((p, i) => p.sub(targets[i]!).square().sum().add(p.pow(4).sum()));
      const loss = losses[0]!.add(losses[1]!);
      loss.backward();
      return loss;
    };
    for (let i = 0; i < (name === "LBFGS" ? 3 : 9); i++) {
      if (name === "LBFGS") await optimiser.step(closure);
      else {
        closure();
        optimiser.step();
      }
    }
    for (const [i, p] of params.entries())
      expectClose(
        await p.data(),
        out[i]!.d,
        { rtol: 1e-3, atol: 2e-4 },
        `${name} ${JSON.stringify(given)}, parameter ${i}`,
      );
  }
}

const OPTIMISERS = [
  "RMSprop",
  "Adagrad",
  "Adadelta",
  "Adamax",
  "NAdam",
  "RAdam",
  "Rprop",
  "ASGD",
  "SGD",
  "Adam",
  "AdamW",
  "LBFGS",
];
const S = optim.lrScheduler;
type Scheduled = ConstructorParameters<typeof S.StepLR>[0];
const SCHEDULES: Readonly<Record<string, (o: Scheduled) => { step(measure: number): void }>> = {
  StepLR: (o) => new S.StepLR(o, 3, 0.5),
  MultiStepLR: (o) => new S.MultiStepLR(o, [2, 5, 5], 0.5),
  ExponentialLR: (o) => new S.ExponentialLR(o, 0.9),
  ConstantLR: (o) => new S.ConstantLR(o, { factor: 0.5, totalIters: 4 }),
  LinearLR: (o) => new S.LinearLR(o, { startFactor: 0.25, totalIters: 6 }),
  PolynomialLR: (o) => new S.PolynomialLR(o, { totalIters: 7, power: 2 }),
  CosineAnnealingLR: (o) => new S.CosineAnnealingLR(o, 5, 0.01),
  CosineAnnealingWarmRestarts: (o) => new S.CosineAnnealingWarmRestarts(o, 3, { tMult: 2, etaMin: 0.01 }),
  LambdaLR: (o) => new S.LambdaLR(o, (e) => 0.5 ** Math.floor(e / 2)),
  MultiplicativeLR: (o) => new S.MultiplicativeLR(o, (e) => (e % 2 === 1 ? 0.9 : 1.1)),
  OneCycleLR: (o) => new S.OneCycleLR(o, 0.5, { totalSteps: 14 }),
  "OneCycleLR in three": (o) =>
    new S.OneCycleLR(o, 0.5, { totalSteps: 14, threePhase: true, annealStrategy: "linear" }),
  CyclicLR: (o) => new S.CyclicLR(o, 0.1, 0.4, { stepSizeUp: 3, stepSizeDown: 2, mode: "triangular2" }),
  "CyclicLR, exp_range": (o) => new S.CyclicLR(o, 0.1, 0.4, { stepSizeUp: 3, mode: "exp_range", gamma: 0.9 }),
  SequentialLR: (o) =>
    new S.SequentialLR(o, [new S.ConstantLR(o, { factor: 0.1, totalIters: 2 }), new S.ExponentialLR(o, 0.9)], [3]),
  ChainedScheduler: (o) =>
    new S.ChainedScheduler([new S.ConstantLR(o, { factor: 0.1, totalIters: 2 }), new S.ExponentialLR(o, 0.9)]),
  ReduceLROnPlateau: (o) => new S.ReduceLROnPlateau(o, { factor: 0.5, patience: 1, cooldown: 1 }),
};
const MEASURES = [5, 4, 4, 4, 3, 3, 3, 3, 3, 3, 2, 2, 2];

async function checkSchedule(name: string): Promise<void> {
  const expected = (await fixtures()).schedules[name]!;
  const optimiser = new optim.SGD([tg.zeros(1).requiresGrad_()], { lr: 0.2, momentum: 0.9 });
  const schedule = SCHEDULES[name]!(optimiser);
  const group = optimiser.paramGroups[0]!;
  for (const [i, measure] of MEASURES.entries()) {
    expectClose([group.lr, group.momentum], expected[i], { rtol: 1e-6, atol: 1e-9 }, `${name}, epoch ${i}`);
    schedule.step(measure);
  }
}

const tests: Record<string, PortableTest | PortableTest["run"]> = {};
for (const name of Object.keys(MODULES)) tests[`module: ${name}`] = { timeout: 120_000, run: () => checkModule(name) };
for (const name of OPTIMISERS) tests[`optimiser: ${name}`] = { timeout: 120_000, run: () => checkOptimiser(name) };
for (const name of Object.keys(SCHEDULES))
  tests[`schedule: ${name}`] = { devices: ["cpu"], run: () => checkSchedule(name) };

/** Modules and training. */
export const training = suite("training conforms with PyTorch", {
  ...tests,

  "members of modules": async () => {
    class Net extends nn.Module {
      readonly body = new nn.Sequential({ first: new nn.Linear(2, 3), act: new nn.ReLU() });
      readonly heads = new nn.ModuleList([new nn.Linear(3, 1), new nn.Linear(3, 1)]);
      declare scale: Tensor;
      constructor() {
        super();
        this.registerBuffer("scale", tg.tensor([2]));
        this.registerBuffer("hidden", tg.tensor([1]), false);
      }
      override forward(x: Tensor): Tensor {
        return this.heads.at(-1).forward(this.body.forward(x)).mul(this.scale);
      }
    }
    const net = new Net();
    const names = [...net.namedParameters()].map(([name]) => name);
    expectEqual(names, [
      "body.first.weight",
      "body.first.bias",
      "heads.0.weight",
      "heads.0.bias",
      "heads.1.weight",
      "heads.1.bias",
    ]);
    expectEqual(Object.keys(net.stateDict()).sort(), [...names, "scale"].sort());
    expectEqual(
      [...net.namedModules()].map(([name]) => name),
      ["", "body", "body.first", "body.act", "heads", "heads.0", "heads.1"],
    );
    ensure(!net.eval().body.at(1).training, "eval reaches every module");
    const other = new Net();
    other.loadStateDict(net.stateDict());
    const x = tg.tensor([[1, -1]]);
    expectClose(await other.call(x).data(), await net.call(x).data(), { rtol: 0, atol: 0 });
    const hook = net.registerForwardHook((_, __, y) => (y as Tensor).mul(0));
    expectEqual(await net.call(x).item(), 0);
    hook.remove();
    await expectThrows(() => net.loadStateDict({}), 'Missing key(s) in stateDict: "scale", "body.first.weight"');
    await expectThrows(
      () => net.loadStateDict({ ...net.stateDict(), more: x }),
      'Unexpected key(s) in stateDict: "more"',
    );
    await expectThrows(() => net.loadStateDict({ ...net.stateDict(), scale: x }), "size mismatch for scale");
    net.call(x).sum().backward();
    ensure(net.getParameter("body.first.weight").grad !== null, "gradients arrive");
    net.zeroGrad();
    ensure(
      net.parameters().every((p) => p.grad === null),
      "zeroGrad forgets them",
    );
  },

  "ways to begin": async () => {
    tg.manualSeed(7);
    const q = nn.init.orthogonal_(tg.empty(3, 5), 2);
    expectClose(await q.matmul(q.t()).data(), [4, 0, 0, 0, 4, 0, 0, 0, 4], { atol: 1e-4 });
    const kaiming = await nn.init.kaimingNormal_(tg.empty(200, 50), { nonlinearity: "relu" }).std().item();
    expectClose(kaiming, Math.sqrt(2 / 50), { rtol: 0.05 });
    const cut = await nn.init.truncNormal_(tg.empty(2000), 0, 1, -1, 1).abs().max().item();
    ensure(cut <= 1, `${cut} is within the bounds`);
    const x = tg.tensor([[[1, 2, 3, 4]]]);
    expectEqual(await F.conv1d(x, nn.init.dirac_(tg.empty(1, 1, 3)), { padding: 1 }).toArray(), [[[1, 2, 3, 4]]]);
    expectEqual(await nn.init.eye_(tg.empty(2, 2)).toArray(), [
      [1, 0],
      [0, 1],
    ]);
  },

  "gradients are clipped": async () => {
    const [a, b] = [tg.tensor([0]).requiresGrad_(), tg.tensor([0, 0]).requiresGrad_()];
    a.mul(3)
      .sum()
      .add(b.mul(tg.tensor([0, 4])).sum())
      .backward();
    expectClose(await nn.utils.clipGradNorm_([a, b], 1).item(), 5);
    expectClose(await a.grad!.data(), [0.6], { rtol: 1e-4 });
    expectClose(await b.grad!.data(), [0, 0.8], { rtol: 1e-4 });
    nn.utils.clipGradValue_([a, b], 0.5);
    expectClose(await b.grad!.data(), [0, 0.5]);
    const vector = nn.utils.parametersToVector([a, b]);
    nn.utils.vectorToParameters(vector.add(1), [a, b]);
    expectClose(await b.data(), [1, 1]);
  },

  "attention with masks": async () => {
    const q = tg.linspace(-1, 1, 24).reshape(1, 2, 3, 4);
    const causal = F.scaledDotProductAttention(q, q, q, { isCausal: true });
    const mask = tg.ones(3, 3).tril().ne(0);
    const masked = F.scaledDotProductAttention(q, q, q, mask);
    expectClose(await causal.data(), await masked.data());
    expectClose(await causal.at(0, 0, 0).data(), await q.at(0, 0, 0).data());
    await expectThrows(() => F.scaledDotProductAttention(q, tg.zeros(1, 2, 3, 5), q), "must have the same width");
  },
});
