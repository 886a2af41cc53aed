/** What is asked for in the wrong way is an error of the library's own that names the call and helps. */

import { describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";

const { nn, optim, data, io, autograd } = tg;
const { lrScheduler } = optim;

/** A call that the types forbid. */
const untyped = (value: unknown): never => value as never;
/** A constructor without its types. */
const make =
  (type: unknown, ...args: readonly unknown[]): (() => unknown) =>
  () =>
    new (type as new (...args: readonly unknown[]) => unknown)(...args);

function fails(call: () => unknown, message: RegExp, kind: new (...args: never[]) => Error = tg.TapegradError): void {
  let error: unknown = null;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(kind);
  expect((error as Error).message).toMatch(message);
}

const parameters = (): Tensor[] => [tg.ones(2).requiresGrad_()];
const sgd = (): InstanceType<typeof optim.SGD> => new optim.SGD(parameters(), { lr: 1, momentum: 0.9 });
const dataset = new data.TensorDataset(tg.arange(6));

const wrong = { nonsense: 1 };
const classes: Record<string, readonly unknown[]> = {
  Linear: [3, 4],
  Bilinear: [2, 3, 4],
  Embedding: [4, 2],
  EmbeddingBag: [4, 2],
  Flatten: [],
  Upsample: [],
  MSELoss: [],
  CrossEntropyLoss: [],
  NLLLoss: [],
  Conv1d: [2, 2, 1],
  Conv2d: [2, 2, 1],
  Conv3d: [2, 2, 1],
  ConvTranspose1d: [2, 2, 1],
  ConvTranspose2d: [2, 2, 1],
  ConvTranspose3d: [2, 2, 1],
  BatchNorm1d: [2],
  BatchNorm2d: [2],
  BatchNorm3d: [2],
  InstanceNorm1d: [2],
  InstanceNorm2d: [2],
  InstanceNorm3d: [2],
  LayerNorm: [2],
  RMSNorm: [2],
  GroupNorm: [1, 2],
  LocalResponseNorm: [2],
  GELU: [],
  Softmax: [],
  LogSoftmax: [],
  LeakyReLU: [],
  Dropout: [],
  Dropout1d: [],
  Dropout2d: [],
  Dropout3d: [],
  AlphaDropout: [],
  MaxPool1d: [2],
  MaxPool2d: [2],
  MaxPool3d: [2],
  AvgPool1d: [2],
  AvgPool2d: [2],
  AvgPool3d: [2],
  RNN: [2, 2],
  LSTM: [2, 2],
  GRU: [2, 2],
  RNNCell: [2, 2],
  LSTMCell: [2, 2],
  GRUCell: [2, 2],
  MultiheadAttention: [4, 2],
  TransformerEncoderLayer: [4, 2],
};

describe("unknown options", () => {
  it.each(Object.entries(classes))("nn.%s names itself and what it knows", (name, args) => {
    const layer = (nn as unknown as Record<string, unknown>)[name];
    fails(
      make(layer, ...args, wrong),
      new RegExp(`^${name}: unknown option "nonsense".*; known are `),
      tg.ArgumentError,
    );
  });

  it("are found in every other place that takes options", () => {
    const schedulers: Record<string, readonly unknown[]> = {
      LambdaLR: [() => 1],
      MultiplicativeLR: [() => 1],
      StepLR: [2],
      MultiStepLR: [[2]],
      ExponentialLR: [0.5],
      ConstantLR: [],
      LinearLR: [],
      PolynomialLR: [],
      CosineAnnealingLR: [5],
      CosineAnnealingWarmRestarts: [5],
      OneCycleLR: [0.1],
      CyclicLR: [0.1, 0.2],
      ReduceLROnPlateau: [],
    };
    for (const [name, args] of Object.entries(schedulers)) {
      const type = (lrScheduler as unknown as Record<string, unknown>)[name];
      fails(make(type, sgd(), ...args, wrong), new RegExp(`^${name}: unknown option "nonsense"`));
    }
    for (const name of [
      "SGD",
      "Adam",
      "AdamW",
      "RMSprop",
      "Adagrad",
      "Adadelta",
      "Adamax",
      "NAdam",
      "RAdam",
      "Rprop",
      "ASGD",
      "LBFGS",
    ]) {
      const type = (optim as unknown as Record<string, unknown>)[name];
      fails(make(type, parameters(), wrong), new RegExp(`^${name}: unknown option "nonsense"`));
      fails(make(type, parameters(), "0.1"), new RegExp(`^${name}: expected the options by name`));
      expect((make(type, parameters(), 0.25)() as { paramGroups: { lr: number }[] }).paramGroups[0]!.lr).toBe(0.25);
    }
    fails(
      make(data.DataLoader, dataset, { batchsize: 2 }),
      /^DataLoader: unknown option "batchsize" \(did you mean "batchSize"\?\)/,
    );
    fails(make(data.RandomSampler, dataset, wrong), /^RandomSampler: unknown option/);
    fails(() => data.loadCsv("a\n1", untyped(wrong)), /^loadCsv: unknown option/);
    fails(() => nn.utils.clipGradNorm_(parameters(), 1, untyped(wrong)), /^clipGradNorm_: unknown option/);
    fails(() => new nn.Linear(1, 1).loadStateDict({}, untyped(wrong)), /^loadStateDict: unknown option/);
    for (const name of [
      "uniform_",
      "normal_",
      "constant_",
      "dirac_",
      "xavierUniform_",
      "xavierNormal_",
      "kaimingUniform_",
      "kaimingNormal_",
      "truncNormal_",
      "orthogonal_",
    ] as const)
      fails(
        () => (nn.init[name] as (t: Tensor, o: object) => Tensor)(tg.ones(2, 2, 1), wrong),
        new RegExp(`^${name}: unknown option`),
      );
    const attention = new nn.MultiheadAttention(4, 2);
    const x = tg.ones(3, 1, 4);
    fails(() => attention.forward(x, x, x, untyped(wrong)), /^MultiheadAttention: unknown option/);
    const layer = new nn.TransformerEncoderLayer(4, 2, { dimFeedforward: 4 });
    fails(() => layer.forward(x, untyped(wrong)), /^TransformerEncoderLayer: unknown option/);
    fails(
      () => new nn.TransformerEncoder(() => layer, 1).forward(x, untyped(wrong)),
      /^TransformerEncoder: unknown option/,
    );
  });

  it("of other kinds than expected are named", () => {
    const x = tg.ones(3);
    expect(() => tg.meshgrid(x, { indexing: untyped(Symbol("no")) })).toThrow(/^meshgrid: indexing must be/);
    expect(() => nn.init.dirac_(tg.ones(2, 2, 2), untyped(3n))).toThrow(/^dirac_: groups must be an integer/);
    expect(() => tg.vander(x, 2 ** 53)).toThrow(/^vander: .*too many elements/);
    expect(
      tg
        .vander(tg.tensor([2, 0]), 70)
        .sum(1)
        .toArraySync(),
    ).toEqual([expect.closeTo(2 ** 70, -16), 1]);
    expect(() => tg.F.tripletMarginWithDistanceLoss(x, x, x, { distanceFunction: untyped(() => 1) })).toThrow(
      /^tripletMarginWithDistanceLoss: what distanceFunction gives must be a Tensor, got 1/,
    );
  });

  it("of gradcheck and gradgradcheck reject", async () => {
    const x = tg.ones([1], { dtype: "float64" }).requiresGrad_();
    await expect(autograd.gradcheck((t) => t.mul(t), x, untyped(wrong))).rejects.toThrow(/^gradcheck: unknown option/);
    await expect(autograd.gradgradcheck((t) => t.mul(t), x, untyped(wrong))).rejects.toThrow(/unknown option/);
    await expect(autograd.gradgradcheck((t) => t.mul(t), [])).rejects.toThrow(/^gradgradcheck: at least one input/);
  });
});

describe("layers", () => {
  it("take arguments by position, by name, and mixed", () => {
    expect(new nn.Linear(3, 4, false).bias).toBeNull();
    expect(new nn.Linear(3, 4, { bias: false }).bias).toBeNull();
    expect(new nn.Linear(3, 4, true, "cpu", "float64").weight.dtype).toBe("float64");
    const conv = new nn.Conv2d(4, 8, 3, 2, 1, { groups: 2, bias: false });
    expect([conv.stride, conv.padding, conv.groups, conv.bias]).toEqual([[2, 2], [1, 1], 2, null]);
    expect(new nn.Conv2d(3, 8, 3, { stride: 2 }).forward(tg.ones(1, 3, 9, 9)).shape).toEqual([1, 8, 4, 4]);
    const up = new nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2, false, 3);
    expect([up.stride, up.padding, up.outputPadding, up.groups, up.bias, up.dilation]).toEqual([
      [2],
      [1],
      [1],
      2,
      null,
      [3],
    ]);
    expect(new nn.BatchNorm1d(3, 1e-3, null, false, false)).toMatchObject({
      eps: 1e-3,
      momentum: null,
      affine: false,
      trackRunningStats: false,
    });
    expect(new nn.BatchNorm1d(3, { momentum: 0.5 })).toMatchObject({ eps: 1e-5, momentum: 0.5, affine: true });
    expect(new nn.LayerNorm([2, 3], 1e-3, false)).toMatchObject({ eps: 1e-3, weight: null, bias: null });
    expect(new nn.LSTM(2, 3, 2, false, true)).toMatchObject({ numLayers: 2, hasBias: false, batchFirst: true });
    expect(new nn.RNN(2, 3, 1, "relu", false)).toMatchObject({ hasBias: false });
    expect(new nn.Dropout({ p: 0.25 }).p).toBe(0.25);
    expect(new nn.Dropout(0.75, true)).toMatchObject({ p: 0.75, inplace: true });
    expect(new nn.Softmax({ dim: 1 }).alongDim).toBe(1);
    expect(new nn.MaxPool2d(2, 1).forward(tg.ones(1, 1, 3, 3)).shape).toEqual([1, 1, 2, 2]);
    expect(new nn.AvgPool2d(2, 2, 1, false, false, 2).forward(tg.ones(1, 1, 2, 2)).toArraySync()).toEqual([[[[0.5, 0.5], [0.5, 0.5]]]]); // prettier-ignore
    expect(new nn.MSELoss("sum").reduction).toBe("sum");
    const { groups } = { groups: new lrScheduler.StepLR(sgd(), 2, { gamma: 0.5 }) };
    expect([groups.stepSize, groups.gamma]).toEqual([2, 0.5]);
    expect(nn.init.kaimingUniform_(tg.ones(2, 3), 0, "fanOut", "relu").abs().max().itemSync()).toBeLessThanOrEqual(
      Math.sqrt(3),
    );
  });

  it("check sizes and choices", () => {
    fails(make(nn.Linear, 3), /^Linear: outFeatures must be an integer, got nothing/);
    fails(make(nn.Linear, 3, -1), /^Linear: outFeatures must not be negative/);
    fails(make(nn.Conv2d, 3, "8", 3), /^Conv2d: outChannels must be an integer, got "8"/);
    fails(make(nn.Linear, 3, 4, true, "cpu", "float32", 1), /^Linear: 4 arguments given/);
    fails(make(nn.Dropout, 1.5), /^Dropout: dropout probability has to be between 0 and 1/);
    fails(make(nn.MSELoss, "avg"), /^MSELoss: reduction must be/);
    fails(make(nn.GELU, "erf"), /^GELU: approximate must be/);
    fails(make(nn.RNNCell, 2, 2, true, "gelu"), /^RNNCell: nonlinearity must be/);
    fails(make(nn.Softmax), /^Softmax: dim must be an integer/);
  });
});

describe("what used to be a raw TypeError", () => {
  const x = tg.ones(2).requiresGrad_();

  it("custom functions say what is missing", () => {
    class Empty extends autograd.Function {}
    fails(
      () => (untyped(Empty) as unknown) && (Empty as never as { apply(x: Tensor): void }).apply(x),
      /^Empty\.apply: .*static method forward/,
      tg.AutogradError,
    );
    class OneWay extends autograd.Function {
      static forward(_: unknown, t: Tensor): Tensor {
        return t.mul(2);
      }
    }
    fails(
      () => (OneWay as never as { apply(x: Tensor): void }).apply(x),
      /^OneWay\.apply: .*static method backward/,
      tg.AutogradError,
    );
    class Silent extends OneWay {
      static backward(): void {}
    }
    const y = (Silent as never as { apply(x: Tensor): Tensor }).apply(x).sum();
    fails(() => y.backward(), /SilentBackward returned nothing in place of gradients/, tg.AutogradError);
    class Lost extends OneWay {
      static override forward(): never {
        return undefined as never;
      }
      static backward(): null {
        return null;
      }
    }
    fails(() => (Lost as never as { apply(x: Tensor): void }).apply(x), /^Lost\.apply: forward must return a Tensor/);
  });

  it("hooks", () => {
    fails(() => x.registerHook(untyped(3)), /^registerHook: the hook must be a function.*got 3/, tg.AutogradError);
    const leaf = tg.ones(2).requiresGrad_();
    leaf.registerHook(() => untyped(3));
    fails(
      () => leaf.sum().backward(),
      /^registerHook: a hook must return a Tensor or nothing, got 3/,
      tg.AutogradError,
    );
  });

  it("grad takes a tensor of the same shape, dtype and device, or null", () => {
    const t = tg.ones(2, 3);
    fails(() => (t.grad = untyped(3)), /^grad: expected a Tensor or null, got 3/, tg.AutogradError);
    fails(() => (t.grad = tg.ones(3, 2)), /^grad: .*\[2, 3\].*\[3, 2\]/, tg.ShapeError);
    fails(() => (t.grad = tg.ones([2, 3], { dtype: "float64" })), /^grad: .*float32.*float64/, tg.DTypeError);
    fails(() => (t.grad = t), /^grad: a tensor cannot be its own/, tg.AutogradError);
    expect(t.grad).toBeNull();
    const g = tg.ones(2, 3);
    t.grad = g;
    expect(t.grad).toBe(g);
    t.grad = null;
    expect(t.grad).toBeNull();
  });

  it("reading, making and saving", async () => {
    await expect(tg.readAll(untyped([1]))).rejects.toThrow(/^readAll: element 0 must be a Tensor, got 1/);
    await expect(tg.readAll(untyped(x))).rejects.toThrow(/^readAll: expected an array of tensors/);
    fails(make(tg.Tensor), /^Tensor: tensors are not made with new; use tensor/, tg.ArgumentError);
    await expect(io.saveSafetensors(untyped({ a: 3 }))).rejects.toThrow(
      /^saveSafetensors: "a" must be a Tensor, got 3/,
    );
    await expect(io.saveSafetensors(untyped(x))).rejects.toThrow(/^saveSafetensors: expected an object of tensors/);
    await expect(io.saveNpy(untyped(3))).rejects.toThrow(/^saveNpy: .* must be a Tensor, got 3/);
    fails(() => tg.graph(untyped(3)), /^graph: the first argument must be a Tensor, got 3/);
    fails(() => tg.graph(x, { names: untyped({ a: 1 }) }), /^graph: names\["a"\] must be a Tensor/);
    for (const [name, creation] of Object.entries({ zeros: tg.zeros, ones: tg.ones, empty: tg.empty }))
      fails(() => creation(untyped(undefined)), new RegExp(`^${name}: the size is undefined`));
    expect(tg.zeros([]).shape).toEqual([]);
  });

  it("modules and loaders", () => {
    // @ts-expect-error: the compiler asks for forward
    class Bare extends nn.Module {}
    fails(() => new Bare().forward(), /^Bare: this module has no forward/, tg.ArgumentError);
    fails(() => new Bare().call(), /^Bare: this module has no forward/, tg.ArgumentError);
    const loader = new data.DataLoader(dataset, { batchSize: 2 });
    fails(() => [...(untyped(loader) as Iterable<unknown>)], /^DataLoader: .*for await/, tg.ArgumentError);
    fails(make(data.DataLoader, tg.ones(3)), /^DataLoader: the first argument must be a dataset, .*TensorDataset/);
  });

  it("devices and dtypes by other names", () => {
    fails(() => x.to(untyped("cuda")), /^to: there is no device "cuda" here: use \.to\("webgpu"\)/, tg.DeviceError);
    fails(() => x.to(untyped("cuda:0")), /no device "cuda:0"/, tg.DeviceError);
    const names: Record<string, string> = {
      long: "int32",
      float: "float32",
      "float32 ": "float32",
      double: "float64",
      "torch.int64": "int32",
      Bool: "bool",
    };
    for (const [name, dtype] of Object.entries(names))
      fails(
        () => tg.zeros(2, { dtype: untyped(name) }),
        new RegExp(`^zeros: unknown dtype "${name}" \\(use ${dtype} in its place\\)`),
        tg.DTypeError,
      );
    fails(() => tg.zeros(2, { dtype: untyped("complex64") }), /unknown dtype "complex64"; known are/, tg.DTypeError);
  });

  it("JSON has the values", () => {
    expect(JSON.stringify({ t: tg.tensor([[1, 2], [3, NaN]]), b: tg.tensor([true]), s: tg.tensor(2) })).toBe('{"t":[[1,2],[3,null]],"b":[true],"s":2}'); // prettier-ignore
    expect(JSON.stringify(tg.zeros(0, 2))).toBe("[]");
  });
});

describe("messages name the call", () => {
  it("of matmul and copy_", () => {
    const float = tg.ones(2, 2);
    const int = float.int();
    for (const [a, b] of [
      [float, int],
      [float.at(0), int.at(0)],
      [float, int.at(0)],
      [float.at(0), int],
      [float.unsqueeze(0), int],
      [float.unsqueeze(0), int.unsqueeze(0)],
    ] as const)
      // prettier-ignore
      fails(() => a.matmul(b), /^matmul: /, tg.DTypeError);
    fails(() => tg.ones(2, 3).copy_(tg.ones(2)), /^copy_: cannot broadcast shape \[2\] to \[2, 3\]/, tg.ShapeError);
    fails(() => tg.ones(3).copy_(tg.ones(1, 3)), /^copy_: .*more dimensions/, tg.ShapeError);
    fails(() => tg.ones(2, 3).copy_(tg.ones(0, 3)), /^copy_: /, tg.ShapeError);
    expect(tg.zeros(2, 3).copy_(tg.ones(2, 1)).sum().itemSync()).toBe(6);
  });

  it("of functions in place", () => {
    const square = tg.ones(2, 2);
    fails(() => square.add_(tg.ones(3)), /^add_: cannot broadcast/, tg.ShapeError);
    fails(() => square.clamp_(tg.ones(3)), /^clamp_: cannot broadcast/, tg.ShapeError);
    fails(() => square.bitwiseAnd_(square), /^bitwiseAnd_: expected integer or bool/, tg.DTypeError);
    fails(
      () => square.scatterAdd_(0, square.int(), untyped(3)),
      /^scatterAdd_: src must be a Tensor/,
      tg.ArgumentError,
    );
    fails(
      () => tg.F.batchNorm(square, untyped(3), untyped(3)),
      /^batchNorm: runningMean must be a Tensor/,
      tg.ArgumentError,
    );
  });

  it("of losses whose shapes do not fit", () => {
    const names = [
      "mseLoss",
      "l1Loss",
      "smoothL1Loss",
      "huberLoss",
      "klDiv",
      "poissonNllLoss",
      "softMarginLoss",
    ] as const;
    const losses = tg.F as unknown as Record<string, (input: Tensor, target: Tensor) => Tensor>;
    for (const name of [...names, "hingeEmbeddingLoss", "multilabelSoftMarginLoss"])
      fails(
        () => losses[name]!(tg.ones(2, 2), tg.ones(3, 5)),
        new RegExp(`^${name}: cannot broadcast \\[2, 2\\] with \\[3, 5\\]`),
        tg.ShapeError,
      );
  });

  it("of numbers that are none, also where there is nothing to compute", () => {
    const empty = tg.ones(0, 3, 1);
    fails(
      () => tg.F.localResponseNorm(empty, 3, { k: untyped(Symbol("wrong")) }),
      /^localResponseNorm: k must be a number/,
      tg.ArgumentError,
    );
    fails(() => tg.ones(0).chunk(2 ** 53), /^chunk: at most/, tg.ArgumentError);
    expect(tg.ones(0).chunk(3).length).toBe(3);
  });

  it("of frac of bool, at the call", () => {
    fails(() => tg.frac(tg.ones(2).bool()), /^frac: bool tensors are not supported/, tg.DTypeError);
  });

  it("vander is exported", () => {
    expect(tg.vander(tg.tensor([2, 3]), 3).toArraySync().length).toBe(2);
  });
});
