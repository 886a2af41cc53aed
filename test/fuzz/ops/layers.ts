/** Modules: those that wrap a function by its own model, with parameters that are loaded; the others against compositions of functions. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { asReference, given, namedArguments, until, type Custom } from "../custom.ts";
import type { Dice } from "../dice.ts";
import { dtype, exactly, tensorOf, type Given } from "../given.ts";
import { isModel, refuse } from "../model.ts";
import { perhaps, type Generator, type Sample, type Table } from "../sample.ts";

const { nn, F } = tg;

type AnyModule = tg.nn.Module & { forward(...args: unknown[]): unknown };
type Constructor = new (...args: unknown[]) => AnyModule;

const MODULES = nn as unknown as Readonly<Record<string, Constructor>>;

/** A module without parameters: the function's arguments but the input go to its constructor. `leading` ones must stand by position there. */
function plain(
  name: string,
  generator: Generator,
  leading: readonly string[] = [],
  refused: readonly string[] = [],
): Custom {
  const moved: Generator = (dice) => {
    const sample = generator(dice);
    if (sample.args.length - 1 >= leading.length) return sample;
    const options = { ...sample.options };
    const args = [...sample.args];
    for (const l of leading.slice(args.length - 1)) {
      args.push(options[l]);
      delete options[l];
    }
    return { ...sample, args, options };
  };
  return {
    name: `nn.${name}`,
    generator: until(moved, (s) => refused.every((r) => !(r in (s.options ?? {}))) && s.args.length <= 9),
    call: ([x, ...rest]) => new MODULES[name]!(...rest).forward(x),
  };
}

/** Loads values by name, and calls the module on its input. */
function loaded(
  module: AnyModule,
  names: readonly string[],
  state: unknown,
  training: unknown,
  input: unknown,
): unknown {
  const list: unknown = Array.isArray(state)
    ? Object.fromEntries(names.map((n, i) => [n, (state as unknown[])[i]] as const).filter(([, v]) => v != null))
    : state;
  module.loadStateDict(list as Record<string, Tensor>);
  module.train(training === true);
  return module.forward(input);
}

/** A module with parameters: arguments are the input, its state in the order of `names`, the constructor's, and options. */
function withState(
  name: string,
  generator: Generator,
  order: readonly string[],
  names: readonly string[],
  construct: (
    a: Readonly<Record<string, unknown>>,
    x: Given,
  ) => { args: readonly unknown[]; options: Readonly<Record<string, unknown>> } | null,
): Custom {
  const prepared = (sample: Sample) => {
    const a = namedArguments(sample, order);
    const built = construct(a, sample.args[0] as Given);
    return built === null ? null : { a, built };
  };
  const usable = until(generator, (s) => prepared(s) !== null);
  return {
    name: `nn.${name}`,
    generator: (dice) => {
      const sample = usable(dice);
      const { a, built } = prepared(sample)!;
      const state = names.map((n) =>
        n === "numBatchesTracked" ? (a["runningMean"] == null ? null : exactly([], "int32", () => 0)) : (a[n] ?? null),
      );
      return {
        ...sample,
        args: [sample.args[0], state, a["training"] ?? a["useInputStats"] ?? false, ...built.args],
        options: given(built.options),
      };
    },
    spoils: [0, 3, 4, 5],
    call: ([x, state, training, ...rest]) => loaded(new MODULES[name]!(...rest), names, state, training, x),
  };
}

function shapeOf(v: unknown): readonly number[] {
  return (v as Given).shape;
}

const CONV = ["weight", "bias", "stride", "padding", "dilation", "groups"];
const TRANSPOSED = ["weight", "bias", "stride", "padding", "outputPadding", "groups", "dilation"];

function convolution(name: string, rank: number, transposed: boolean, generator: Generator): Custom {
  return withState(name, generator, transposed ? TRANSPOSED : CONV, ["weight", "bias"], (a) => {
    const w = shapeOf(a["weight"]);
    const groups = (a["groups"] as number | undefined) ?? 1;
    const channels = transposed ? [w[0]!, w[1]! * groups] : [w[1]! * groups, w[0]!];
    const { weight, bias, ...options } = a;
    return {
      args: [...channels, w.slice(2, 2 + rank)],
      options: { ...options, bias: bias != null, dtype: (weight as Given).dtype },
    };
  });
}

function channelNorm(name: string, ranks: readonly number[], instance: boolean, generator: Generator): Custom {
  const order = [
    "runningMean",
    "runningVar",
    "weight",
    "bias",
    instance ? "useInputStats" : "training",
    "momentum",
    "eps",
  ];
  return withState(
    name,
    generator,
    order,
    ["weight", "bias", "runningMean", "runningVar", "numBatchesTracked"],
    (a, x) => {
      const tracks = a["runningMean"] != null;
      const affine = a["weight"] != null;
      const batch = a[order[4]!] === true || (instance && a[order[4]!] === undefined);
      // Without running statistics, a module in evaluation takes the batch's.
      if (affine !== (a["bias"] != null) || !ranks.includes(x.shape.length) || (!tracks && !batch)) return null;
      if (instance && tracks && a[order[4]!] === undefined) return null;
      if ([a["weight"], a["bias"]].some((p) => p != null && shapeOf(p)[0] !== x.shape[1])) return null;
      if (x.shape[0] === 0) return null;
      return {
        args: [x.shape[1]!],
        options: { eps: a["eps"], momentum: a["momentum"], affine, trackRunningStats: tracks, dtype: x.dtype },
      };
    },
  );
}

// --- against compositions -----------------------------------------------------------------------------------------------

const FLOATS = ["float32", "float64"] as const;

/** Tensors for parameters of some shapes. */
function parameters(dice: Dice, type: "float32" | "float64", shapes: readonly (readonly number[])[]): Given[] {
  return shapes.map((shape) => tensorOf(dice, { shape, dtype: type, values: "plain" }));
}

type Gate = (x: Tensor, state: readonly Tensor[], w: readonly Tensor[]) => Tensor[];

function affine(x: Tensor, w: Tensor, b: Tensor | undefined): Tensor {
  const y = x.matmul(w.t());
  return b === undefined ? y : y.add(b);
}

const GATES: Readonly<Record<string, { readonly gates: number; readonly states: number; readonly step: Gate }>> = {
  RNN: {
    gates: 1,
    states: 1,
    step: (x, [h], [wi, wh, bi, bh]) => [
      affine(x, wi!, bi)
        .add(affine(h!, wh!, bh))
        .tanh(),
    ],
  },
  LSTM: {
    gates: 4,
    states: 2,
    step: (x, [h, c], [wi, wh, bi, bh]) => {
      const [i, f, g, o] = affine(x, wi!, bi)
        .add(affine(h!, wh!, bh))
        .chunk(4, -1) as [Tensor, Tensor, Tensor, Tensor];
      const next = f.sigmoid().mul(c!).add(i.sigmoid().mul(g.tanh()));
      return [o.sigmoid().mul(next.tanh()), next];
    },
  },
  GRU: {
    gates: 3,
    states: 1,
    step: (x, [h], [wi, wh, bi, bh]) => {
      const [ri, zi, ni] = affine(x, wi!, bi).chunk(3, -1) as [Tensor, Tensor, Tensor];
      const [rh, zh, nh] = affine(h!, wh!, bh).chunk(3, -1) as [Tensor, Tensor, Tensor];
      const z = zi.add(zh).sigmoid();
      const n = ni.add(ri.add(rh).sigmoid().mul(nh)).tanh();
      return [n.mul(z.neg().add(1)).add(z.mul(h!))];
    },
  },
};

function recurrentNames(layers: number, directions: number, bias: boolean): string[] {
  const names: string[] = [];
  for (let l = 0; l < layers; l++)
    for (let d = 0; d < directions; d++)
      for (const n of bias ? ["weightIh", "weightHh", "biasIh", "biasHh"] : ["weightIh", "weightHh"])
        names.push(`${n}L${l}${d === 1 ? "Reverse" : ""}`);
  return names;
}

/** Layers over steps, both ways, from the formula of one step. Input [steps, n, features]. */
function unrolled(
  kind: string,
  x: Tensor,
  weights: readonly Tensor[],
  layers: number,
  directions: number,
  bias: boolean,
  hidden: number,
): Tensor[] {
  const { states, step } = GATES[kind]!;
  const each = bias ? 4 : 2;
  let input = x;
  const finals: Tensor[][] = Array.from({ length: states }, () => []);
  for (let l = 0; l < layers; l++) {
    const outputs: Tensor[] = [];
    for (let d = 0; d < directions; d++) {
      const at = (l * directions + d) * each;
      const w = weights.slice(at, at + each);
      let state = Array.from({ length: states }, () => x.newZeros([x.shape[1]!, hidden]));
      const steps = input.unbind(0);
      if (d === 1) steps.reverse();
      const out: Tensor[] = [];
      for (const s of steps) {
        state = step(s, state, w);
        out.push(state[0]!);
      }
      if (d === 1) out.reverse();
      outputs.push(tg.stack(out, 0));
      state.forEach((s, i) => finals[i]!.push(s));
    }
    input = outputs.length === 1 ? outputs[0]! : tg.cat(outputs, -1);
  }
  return [input, ...finals.map((f) => tg.stack(f, 0))];
}

function recurrent(kind: "RNN" | "LSTM" | "GRU"): Custom {
  const { gates } = GATES[kind]!;
  return {
    name: `nn.${kind}`,
    generator: (dice) => {
      const type = dtype(dice, FLOATS) as "float32" | "float64";
      const [inputSize, hidden, layers, directions] = [dice.int(1, 3), dice.int(1, 3), dice.int(1, 2), dice.int(1, 2)];
      const bias = dice.chance(0.7);
      const shapes: number[][] = [];
      for (let l = 0; l < layers; l++)
        for (let d = 0; d < directions; d++) {
          shapes.push([gates * hidden, l === 0 ? inputSize : hidden * directions], [gates * hidden, hidden]);
          if (bias) shapes.push([gates * hidden], [gates * hidden]);
        }
      const batchFirst = dice.chance(0.3);
      const x = tensorOf(dice, { shape: [dice.int(1, 3), dice.int(1, 3), inputSize], dtype: type, values: "plain" });
      return {
        args: [x, parameters(dice, type, shapes), inputSize, hidden],
        options: { numLayers: layers, bias, batchFirst, bidirectional: directions === 2, dtype: type },
        expect: null,
        check: asReference(),
      };
    },
    spoils: [2, 3],
    call: ([x, state, ...rest]) => {
      const module = new MODULES[kind]!(...rest) as AnyModule & {
        numLayers: number;
        bidirectional: boolean;
        hasBias: boolean;
        batchFirst: boolean;
        hiddenSize: number;
      };
      const directions = module.bidirectional ? 2 : 1;
      const names = recurrentNames(module.numLayers, directions, module.hasBias);
      const result = loaded(module, names, state, false, x) as [Tensor, Tensor | Tensor[]];
      const steps = module.batchFirst ? (x as Tensor).transpose(0, 1) : (x as Tensor);
      const [out, ...finals] = unrolled(
        kind,
        steps,
        state as Tensor[],
        module.numLayers,
        directions,
        module.hasBias,
        module.hiddenSize,
      );
      return [...result.flat(), module.batchFirst ? out!.transpose(0, 1) : out!, ...finals];
    },
  };
}

function cell(kind: "RNN" | "LSTM" | "GRU"): Custom {
  const { gates, states, step } = GATES[kind]!;
  const name = `${kind}Cell`;
  return {
    name: `nn.${name}`,
    generator: (dice) => {
      const type = dtype(dice, FLOATS) as "float32" | "float64";
      const [inputSize, hidden, n] = [dice.int(1, 3), dice.int(1, 3), dice.int(1, 3)];
      const bias = dice.chance(0.7);
      const shapes = [
        [gates * hidden, inputSize],
        [gates * hidden, hidden],
        ...(bias ? [[gates * hidden], [gates * hidden]] : []),
      ];
      const initial = parameters(
        dice,
        type,
        Array.from({ length: states }, () => [n, hidden]),
      );
      const x = tensorOf(dice, { shape: [n, inputSize], dtype: type, values: "plain" });
      return {
        args: [x, parameters(dice, type, shapes), initial, inputSize, hidden],
        options: { bias, dtype: type },
        expect: null,
        check: asReference(),
      };
    },
    spoils: [3, 4],
    call: ([x, state, initial, ...rest]) => {
      const module = new MODULES[name]!(...rest);
      const names = ["weightIh", "weightHh", "biasIh", "biasHh"].slice(0, (state as unknown[]).length);
      module.loadStateDict(Object.fromEntries(names.map((n, i) => [n, (state as Tensor[])[i]!])));
      const first = initial as Tensor[];
      const result = module.forward(x, states === 1 ? first[0] : first) as Tensor | Tensor[];
      return [...[result].flat(), ...step(x as Tensor, first, state as Tensor[])];
    },
  };
}

/** Attention of several heads, from its formula: everything [n, length, features]. */
function heads(x: Tensor, y: Tensor, w: readonly Tensor[], count: number): [Tensor, Tensor] {
  const e = x.shape[2]!;
  const part = (t: Tensor, i: number): Tensor =>
    affine(t, w[0]!.narrow(0, i * e, e), w[1]!.narrow(0, i * e, e))
      .reshape([t.shape[0]!, t.shape[1]!, count, e / count])
      .transpose(1, 2);
  const [q, k, v] = [part(x, 0), part(y, 1), part(y, 2)];
  const weights = q
    .matmul(k.transpose(-2, -1))
    .div(Math.sqrt(e / count))
    .softmax(-1);
  const joined = weights
    .matmul(v)
    .transpose(1, 2)
    .reshape([...x.shape]);
  return [affine(joined, w[2]!, w[3]), weights.mean(1)];
}

const ATTENTION = ["inProjWeight", "inProjBias", "outProj.weight", "outProj.bias"];

function attentionShapes(e: number): number[][] {
  return [[3 * e, e], [3 * e], [e, e], [e]];
}

const MULTIHEAD: Custom = {
  name: "nn.MultiheadAttention",
  generator: (dice) => {
    const type = dtype(dice, FLOATS) as "float32" | "float64";
    const count = dice.int(1, 2);
    const e = count * dice.int(1, 2);
    const n = dice.int(1, 2);
    const [x, y] = parameters(dice, type, [
      [n, dice.int(1, 3), e],
      [n, dice.int(1, 3), e],
    ]) as [Given, Given];
    const wrong = dice.chance(0.05);
    return {
      args: [x, y, parameters(dice, type, attentionShapes(e)), e, wrong ? e + 1 : count],
      options: { batchFirst: true, dtype: type },
      expect: wrong ? () => tooMany() : null,
      check: asReference(),
    };
  },
  spoils: [],
  call: ([x, y, state, e, count, ...rest]) => {
    const module = new nn.MultiheadAttention(e as number, count as number, ...(rest as []));
    module.loadStateDict(Object.fromEntries(ATTENTION.map((n, i) => [n, (state as Tensor[])[i]!])));
    module.eval();
    const [out, weights] = module.forward(x as Tensor, y as Tensor, y as Tensor);
    return [out, weights, ...heads(x as Tensor, y as Tensor, state as Tensor[], count as number)];
  },
};

function tooMany(): never {
  return refuse("heads");
}

const ENCODER = [
  ...ATTENTION.map((n) => `selfAttn.${n}`),
  "linear1.weight",
  "linear1.bias",
  "linear2.weight",
  "linear2.bias",
  "norm1.weight",
  "norm1.bias",
  "norm2.weight",
  "norm2.bias",
];

function encoded(x: Tensor, w: readonly Tensor[], count: number, first: boolean): Tensor {
  const norm = (t: Tensor, i: number): Tensor => F.layerNorm(t, [t.shape[2]!], w[i], w[i + 1]);
  const feed = (t: Tensor): Tensor => affine(affine(t, w[4]!, w[5]).relu(), w[6]!, w[7]);
  const attend = (t: Tensor): Tensor => heads(t, t, w, count)[0];
  if (first) {
    const y = x.add(attend(norm(x, 8)));
    return y.add(feed(norm(y, 10)));
  }
  const y = norm(x.add(attend(x)), 8);
  return norm(y.add(feed(y)), 10);
}

function encoder(layers: boolean): Custom {
  return {
    name: layers ? "nn.TransformerEncoder" : "nn.TransformerEncoderLayer",
    generator: (dice) => {
      const type = dtype(dice, FLOATS) as "float32" | "float64";
      const count = dice.int(1, 2);
      const e = count * dice.int(1, 2);
      const ff = dice.int(1, 3);
      const n = layers ? dice.int(1, 2) : 1;
      const one = [...attentionShapes(e), [ff, e], [ff], [e, ff], [e], [e], [e], [e], [e]];
      const state = Array.from({ length: n }, () => parameters(dice, type, one));
      const x = tensorOf(dice, { shape: [dice.int(1, 2), dice.int(1, 3), e], dtype: type, values: "plain" });
      return {
        args: [x, state, e, count],
        options: {
          dimFeedforward: ff,
          batchFirst: true,
          normFirst: perhaps(dice, 0.5, () => true) ?? false,
          dtype: type,
        },
        expect: null,
        // Norms of equal features are quotients of rounding errors.
        check: (results) =>
          results[0]!.data.every(Number.isFinite) ? asReference(e < 3 ? 1 : 1e-2)(results) : "not finite",
      };
    },
    spoils: [],
    call: ([x, state, e, count, ...rest]) => {
      const sets = state as Tensor[][];
      const make = (): tg.nn.TransformerEncoderLayer =>
        new nn.TransformerEncoderLayer(e as number, count as number, ...(rest as []));
      const module = layers ? new nn.TransformerEncoder(make, sets.length) : make();
      const all = sets.flatMap((set, i) =>
        set.map((t, j) => [`${layers ? `layers.${i}.` : ""}${ENCODER[j]!}`, t] as const),
      );
      module.loadStateDict(Object.fromEntries(all));
      module.eval();
      const { normFirst } = rest[0] as { normFirst: boolean };
      const reference = sets.reduce((y, set) => encoded(y, set, count as number, normFirst), x as Tensor);
      return [module.forward(x as Tensor), reference];
    },
  };
}

const BILINEAR: Custom = {
  name: "nn.Bilinear",
  generator: (dice) => {
    const type = dtype(dice, FLOATS) as "float32" | "float64";
    const [a, b, o, n] = [dice.int(1, 3), dice.int(1, 3), dice.int(1, 3), dice.int(1, 3)];
    const [x, y] = parameters(dice, type, [
      [n, a],
      [n, b],
    ]) as [Given, Given];
    return {
      args: [x, y, parameters(dice, type, [[o, a, b], [o]]), a, b, o],
      options: { dtype: type },
      expect: null,
      check: asReference(),
    };
  },
  spoils: [3, 4, 5],
  call: ([x, y, state, ...rest]) => {
    const module = new MODULES["Bilinear"]!(...rest);
    const [weight, bias] = state as [Tensor, Tensor];
    module.loadStateDict({ weight, bias });
    return [module.forward(x, y), tg.einsum("na,oab,nb->no", x as Tensor, weight, y as Tensor).add(bias)];
  },
};

// --- the table ----------------------------------------------------------------------------------------------------------

function classLoss(name: string, generator: Generator): Custom {
  return {
    name: `nn.${name}`,
    generator: (dice) => {
      const sample = generator(dice);
      const { target, ...options } = namedArguments(sample, ["target", "weight"]);
      return { ...sample, args: [sample.args[0], target], options: given(options) };
    },
    call: ([input, target, ...rest]) => new MODULES[name]!(...rest).forward(input, target),
  };
}

function dropout(name: string, generator: Generator): Custom {
  return {
    name: `nn.${name}`,
    generator: (dice) => {
      const sample = generator(dice);
      const { p, training } = namedArguments(sample, ["p", "training"]);
      // A module is in training until it is told otherwise, whatever the function's default is.
      const on = training ?? name !== "AlphaDropout";
      return { ...sample, args: [sample.args[0], on], options: given({ p }) };
    },
    spoils: [0],
    call: ([x, training, ...rest]) => new MODULES[name]!(...rest).train(training === true).forward(x),
  };
}

/** Modules, by the generators of the functions that they stand for. */
export function layers(g: Table): Custom[] {
  const of = (name: string): Generator => g[name]!;
  const pools = [1, 2, 3].flatMap((r) => [
    plain(
      `MaxPool${r}d`,
      // ceilMode stands by name here.
      until(of(`maxPool${r}d`), (s) => s.args.length <= 5),
      ["kernelSize"],
      ["returnIndices"],
    ),
    plain(`AvgPool${r}d`, of(`avgPool${r}d`), ["kernelSize"]),
    plain(`AdaptiveAvgPool${r}d`, of(`adaptiveAvgPool${r}d`), ["outputSize"]),
    plain(`AdaptiveMaxPool${r}d`, of(`adaptiveMaxPool${r}d`), ["outputSize"]),
    convolution(`Conv${r}d`, r, false, of(`conv${r}d`)),
    convolution(`ConvTranspose${r}d`, r, true, of(`convTranspose${r}d`)),
    channelNorm(`BatchNorm${r}d`, r === 1 ? [2, 3] : [r + 2], false, of("batchNorm")),
    channelNorm(`InstanceNorm${r}d`, [r + 2], true, of("instanceNorm")),
    dropout(`Dropout${r}d`, of(`dropout${r}d`)),
  ]);
  return [
    ...pools,
    plain("ReLU", of("relu")),
    plain("GELU", of("gelu")),
    plain("SiLU", of("silu")),
    plain("Sigmoid", of("sigmoid")),
    plain("Tanh", of("tanh")),
    plain("LeakyReLU", of("leakyRelu")),
    plain("Softmax", of("softmax"), [], ["dtype"]),
    plain("LogSoftmax", of("logSoftmax"), [], ["dtype"]),
    plain("PixelShuffle", of("pixelShuffle")),
    plain("PixelUnshuffle", of("pixelUnshuffle")),
    plain("LocalResponseNorm", of("localResponseNorm"), ["size"]),
    {
      ...plain("Identity", (dice) => {
        const x = tensorOf(dice);
        return { args: [x], expect: () => x };
      }),
      spoils: [],
    },
    plain(
      "Flatten",
      until(of("flatten"), (s) => Object.keys(namedArguments(s, ["startDim", "endDim"])).length === 2),
    ),
    plain("Unflatten", of("unflatten"), ["dim", "sizes"]),
    plain(
      "Upsample",
      until(of("interpolate"), (s) => namedArguments(s, ["size"])["mode"] !== "cubic"),
    ),
    plain("ZeroPad2d", (dice) => {
      const sample = until(of("pad"), (s) => {
        const { pad, mode } = namedArguments(s, ["pad", "mode", "value"]);
        return (
          (pad as unknown[]).length === 4 &&
          mode === undefined &&
          namedArguments(s, ["pad", "mode", "value"])["value"] === undefined
        );
      })(dice);
      return {
        ...sample,
        args: [sample.args[0], namedArguments(sample, ["pad", "mode", "value"])["pad"]],
        options: {},
      };
    }),
    dropout("Dropout", of("dropout")),
    dropout("AlphaDropout", of("alphaDropout")),
    classLoss("MSELoss", of("mseLoss")),
    classLoss("NLLLoss", of("nllLoss")),
    classLoss("CrossEntropyLoss", of("crossEntropy")),
    withState("Linear", of("linear"), ["weight", "bias"], ["weight", "bias"], (a) => {
      const w = shapeOf(a["weight"]);
      if (w.length !== 2 || w.includes(0)) return null;
      return { args: [w[1], w[0]], options: { bias: a["bias"] != null, dtype: (a["weight"] as Given).dtype } };
    }),
    withState(
      "LayerNorm",
      of("layerNorm"),
      ["normalizedShape", "weight", "bias", "eps"],
      ["weight", "bias"],
      (a, x) => {
        const size = [a["normalizedShape"] as number | number[]].flat();
        if (size.some((n) => n === 7 || n === 0) || (a["bias"] !== undefined && a["weight"] === undefined)) return null;
        const elementwiseAffine = a["weight"] !== undefined;
        return {
          args: [a["normalizedShape"]],
          options: { eps: a["eps"], elementwiseAffine, bias: a["bias"] !== undefined, dtype: x.dtype },
        };
      },
    ),
    withState("RMSNorm", of("rmsNorm"), ["normalizedShape", "weight", "eps"], ["weight"], (a, x) => {
      const size = [a["normalizedShape"] as number | number[]].flat();
      if (size.some((n) => n === 7 || n === 0)) return null;
      return {
        args: [a["normalizedShape"]],
        options: { eps: a["eps"], elementwiseAffine: a["weight"] !== undefined, dtype: x.dtype },
      };
    }),
    withState("GroupNorm", of("groupNorm"), ["numGroups", "weight", "bias", "eps"], ["weight", "bias"], (a, x) => {
      const affineToo = a["weight"] != null;
      if (affineToo !== (a["bias"] != null)) return null;
      if ([a["weight"], a["bias"]].some((p) => isModel(p) && p.shape[0] !== x.shape[1])) return null;
      return { args: [a["numGroups"], x.shape[1]], options: { eps: a["eps"], affine: affineToo, dtype: x.dtype } };
    }),
    withState("Embedding", of("embedding"), ["weight", "paddingIdx"], ["weight"], (a) => {
      const w = shapeOf(a["weight"]);
      if (w.length !== 2 || w.includes(0)) return null;
      return { args: [w[0], w[1]], options: { paddingIdx: a["paddingIdx"], dtype: (a["weight"] as Given).dtype } };
    }),
    withState("EmbeddingBag", of("embeddingBag"), ["weight"], ["weight"], (a, x) => {
      const w = shapeOf(a["weight"]);
      if (
        x.shape.length !== 2 ||
        a["paddingIdx"] != null ||
        a["perSampleWeights"] !== undefined ||
        a["offsets"] !== undefined
      )
        return null;
      return { args: [w[0], w[1]], options: { mode: a["mode"], dtype: (a["weight"] as Given).dtype } };
    }),
    recurrent("RNN"),
    recurrent("LSTM"),
    recurrent("GRU"),
    cell("RNN"),
    cell("LSTM"),
    cell("GRU"),
    MULTIHEAD,
    encoder(false),
    encoder(true),
    BILINEAR,
    {
      name: "nn.Sequential",
      generator: of("tanh"),
      call: ([x]) => new nn.Sequential(new nn.Identity(), new nn.Tanh()).forward(x as Tensor),
    },
  ];
}
