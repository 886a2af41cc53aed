/** What takes functions, gradients, files and samples: against closed forms, and what was written against what is read. */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import type { Custom } from "../custom.ts";
import type { Dice } from "../dice.ts";
import { dtype, exactly, shape, tensorOf, type Given } from "../given.ts";
import { elementwise, make, refuse, reshaped, type Model } from "../model.ts";
import { form, perhaps, type Generator } from "../sample.ts";

const FLOATS = ["float32", "float64"] as const;

function vector(dice: Dice, size = [dice.int(1, 4)], views = true): Given {
  const given = { shape: size, dtype: dtype(dice, FLOATS), values: "plain" } as const;
  return tensorOf(dice, views ? given : { ...given, views: false });
}

function mapped(x: Model, f: (v: number) => number): Model {
  return elementwise([x], x.dtype, x.dtype, f);
}

function total(x: Model, f: (v: number, i: number) => number): Model {
  return make([], x.dtype, () => x.data.reduce((s, v, i) => s + f(v, i), 0));
}

function diagonal(x: Model, f: (v: number) => number): Model {
  const n = x.data.length;
  return make([...x.shape, ...x.shape], x.dtype, (at) => {
    const [i, j] = [at.slice(0, x.shape.length), at.slice(x.shape.length)];
    if (i.join() !== j.join()) return 0;
    return n === 0 ? 0 : f(x.data[i.reduce((p, v, d) => p * x.shape[d]! + v, 0)]!);
  });
}

// Cubes, whose derivatives are known: of each element, and their sum.
const cubes = (x: Tensor): Tensor => x.mul(x).mul(x);
const cubesSum = (x: Tensor): Tensor => cubes(x).sum();

type Call = (args: readonly unknown[]) => unknown;

/** One operand, and how the call uses it: derivatives of cubes. */
function derivative(
  name: string,
  expect: (x: Given) => Model | readonly Model[],
  call: Call,
  also: (dice: Dice, x: Given) => unknown[] = () => [],
): Custom {
  return {
    name,
    generator: (dice) => {
      const x = vector(dice, shape(dice, 0, 2));
      return { args: [x, ...also(dice, x)], expect: () => expect(x), loose: 10 };
    },
    spoils: [],
    call,
  };
}

const like = (dice: Dice, x: Given): unknown[] => [tensorOf(dice, { shape: x.shape, dtype: x.dtype, values: "plain" })];

/** With a second operand v of the same shape. */
function withVector(name: string, expect: (x: Given, v: Given) => readonly Model[], call: Call): Custom {
  return {
    name,
    generator: (dice) => {
      const x = vector(dice, shape(dice, 0, 2));
      const [v] = like(dice, x) as [Given];
      return { args: [x, v], expect: () => expect(x, v), loose: 10 };
    },
    spoils: [],
    call,
  };
}

function times(x: Given, v: Given, f: (a: number) => number): Model {
  return elementwise([x, v], x.dtype, x.dtype, (a, b) => f(a) * b);
}

const { func, autograd } = tg;
const square3 = (v: number): number => 3 * v * v;
const six = (v: number): number => 6 * v;
const cube = (v: number): number => v ** 3;
const functional = autograd.functional;

const TRANSFORMS: readonly Custom[] = [
  derivative(
    "func.grad",
    (x) => mapped(x, square3),
    ([x]) => func.grad(cubesSum)(x as Tensor),
  ),
  derivative(
    "func.gradAndValue",
    (x) => [mapped(x, square3), total(x, cube)],
    ([x]) => func.gradAndValue(cubesSum)(x as Tensor),
  ),
  derivative(
    "func.valueAndGrad",
    (x) => [total(x, cube), mapped(x, square3)],
    ([x]) => func.valueAndGrad(cubesSum)(x as Tensor),
  ),
  derivative(
    "func.jacrev",
    (x) => diagonal(x, square3),
    ([x]) => func.jacrev(cubes)(x as Tensor),
  ),
  derivative(
    "func.jacfwd",
    (x) => diagonal(x, square3),
    ([x]) => func.jacfwd(cubes)(x as Tensor),
  ),
  derivative(
    "func.hessian",
    (x) => diagonal(x, six),
    ([x]) => func.hessian(cubesSum)(x as Tensor),
  ),
  withVector(
    "func.vjp",
    (x, v) => [mapped(x, cube), times(x, v, square3)],
    ([x, v]) => {
      const [out, pull] = func.vjp(cubes, x as Tensor) as unknown as [Tensor, (v: Tensor) => readonly Tensor[]];
      return [out, pull(v as Tensor)].flat();
    },
  ),
  withVector(
    "func.jvp",
    (x, v) => [mapped(x, cube), times(x, v, square3)],
    ([x, v]) => func.jvp(cubes, [x as Tensor], [v as Tensor]),
  ),
  {
    name: "func.vmap",
    generator: (dice) => {
      const x = vector(dice, [dice.int(1, 3), dice.int(1, 3)]);
      const dim = dice.int(0, 1);
      const wrong = dice.chance(0.05);
      return {
        args: [x, wrong ? 5 : dim],
        loose: 10,
        expect: () => {
          if (wrong) refuse("dimension");
          const [n, m] = x.shape as [number, number];
          const along = dim === 0 ? m : n;
          return make([dim === 0 ? n : m], x.dtype, ([i]) => {
            let s = 0;
            for (let j = 0; j < along; j++) s += x.data[dim === 0 ? i! * m + j : j * m + i!]! ** 3;
            return s;
          });
        },
      };
    },
    spoils: [1],
    call: ([x, dim]) => func.vmap(cubesSum, dim as number)(x as Tensor),
  },
  withVector(
    "autograd.functional.vjp",
    (x, v) => [mapped(x, cube), times(x, v, square3)],
    ([x, v]) => functional.vjp(cubes, x as Tensor, v as Tensor),
  ),
  withVector(
    "autograd.functional.jvp",
    (x, v) => [mapped(x, cube), times(x, v, square3)],
    ([x, v]) => functional.jvp(cubes, x as Tensor, v as Tensor),
  ),
  withVector(
    "autograd.functional.vhp",
    (x, v) => [total(x, cube), times(x, v, six)],
    ([x, v]) => functional.vhp(cubesSum, x as Tensor, v as Tensor),
  ),
  withVector(
    "autograd.functional.hvp",
    (x, v) => [total(x, cube), times(x, v, six)],
    ([x, v]) => functional.hvp(cubesSum, x as Tensor, v as Tensor),
  ),
  derivative(
    "autograd.functional.jacobian",
    (x) => diagonal(x, square3),
    ([x]) => functional.jacobian(cubes, x as Tensor),
  ),
  derivative(
    "autograd.functional.hessian",
    (x) => diagonal(x, six),
    ([x]) => functional.hessian(cubesSum, x as Tensor),
  ),
  derivative(
    "autograd.grad",
    (x) => [mapped(x, square3)],
    ([x]) => {
      const leaf = attached(x);
      return autograd.grad(cubesSum(leaf), leaf);
    },
  ),
  derivative(
    "autograd.backward",
    (x) => mapped(x, square3),
    ([x]) => {
      const leaf = attached(x);
      autograd.backward(cubesSum(leaf));
      return leaf.grad;
    },
  ),
  derivative(
    "utils.checkpoint",
    (x) => [mapped(x, cube), mapped(x, square3)],
    ([x]) => {
      const leaf = attached(x);
      const out = tg.utils.checkpoint<readonly [Tensor], Tensor>(cubes, leaf);
      const value = out.detach().clone();
      out.sum().backward();
      return [value, leaf.grad];
    },
  ),
  ...(["gradcheck", "gradgradcheck"] as const).map((name): Custom => ({
    name: `autograd.${name}`,
    generator: (dice) => {
      // Differences of float32 say nothing: the GPU lacks what it takes.
      const x = tensorOf(dice, {
        shape: shape(dice, 0, 2),
        dtype: dice.float64 ? "float64" : "float32",
        values: "plain",
      });
      return { args: [x], expect: () => (dice.float64 ? true : refuse("float32")), mayRefuse: true };
    },
    call: ([x]) => autograd[name](cubes, attached(x)),
  })),
];

/** A leaf of its own; anything but a tensor goes on as it is. */
function attached(x: unknown): Tensor {
  return x instanceof tg.Tensor ? x.detach().clone().requiresGrad_() : (x as Tensor);
}

// --- files --------------------------------------------------------------------------------------------------------------

/** Writes a tensor, perhaps spoils the bytes, and reads them: what was written, or an error, never an accident. */
function roundTrip(
  name: string,
  save: (x: Tensor) => Promise<Uint8Array> | Uint8Array,
  load: (bytes: Uint8Array, x: Tensor) => unknown,
): Custom {
  return {
    name,
    generator: (dice) => {
      const x = tensorOf(dice);
      const way = dice.chance(0.5) ? "whole" : dice.pick(["cut", "change", "change"] as const);
      return { args: [x, way, dice.unit(), dice.int(1, 255)], expect: way === "whole" ? () => x : null };
    },
    spoils: [],
    call: async ([x, way, place, by]) => {
      const bytes = (await save(x as Tensor)).slice();
      const at = Math.floor(Number(place) * bytes.length);
      if (way === "cut") return load(bytes.subarray(0, at), x as Tensor);
      if (way === "change") bytes[at] = bytes[at]! ^ Number(by);
      return load(bytes, x as Tensor);
    },
  };
}

const named = (x: unknown): Tensor => (x as Record<string, Tensor>)["x"] ?? tg.zeros(0);

const FILES: readonly Custom[] = [
  ...(["saveNpy", "loadNpy"] as const).map((n) =>
    roundTrip(
      `io.${n}`,
      (x) => tg.io.saveNpy(x),
      (b) => tg.io.loadNpy(b),
    ),
  ),
  ...(["saveNpz", "loadNpz"] as const).map((n) =>
    roundTrip(
      `io.${n}`,
      (x) => tg.io.saveNpz({ x }),
      async (b) => named(await tg.io.loadNpz(b)),
    ),
  ),
  ...(["saveSafetensors", "loadSafetensors"] as const).map((n) =>
    roundTrip(
      `io.${n}`,
      (x) => tg.io.saveSafetensors({ x }),
      (b) => named(tg.io.loadSafetensors(b)),
    ),
  ),
  ...(["saveSnapshot", "loadSnapshot"] as const).map((n) =>
    roundTrip(
      `io.${n}`,
      async (x) => tg.io.saveSnapshot(await tg.snapshot({ x: x.clone() })),
      (b, x) => {
        const state = { x: x.zerosLike() };
        tg.restore(state, tg.io.loadSnapshot(b));
        return state.x;
      },
    ),
  ),
  {
    name: "data.loadIdx",
    generator: (dice) => {
      const size = Array.from({ length: dice.int(1, 3) }, () => dice.int(1, 3));
      const n = size.reduce((a, b) => a * b, 1);
      const values = Array.from({ length: n }, () => dice.int(0, 255));
      const head = [0, 0, 8, size.length, ...size.flatMap((s) => [0, 0, 0, s])];
      const bytes = Uint8Array.from([...head, ...values]);
      if (dice.chance(0.3)) {
        const at = dice.int(0, head.length - 1);
        return { args: [dice.chance(0.5) ? bytes.slice(0, at) : bytes.with(at, dice.int(0, 255))], expect: null };
      }
      return { args: [bytes], expect: () => ({ shape: size, dtype: "uint8", data: values }) };
    },
    call: ([bytes]) => tg.data.loadIdx(bytes as Uint8Array),
  },
  {
    name: "data.loadCsv",
    generator: (dice) => {
      const [rows, columns] = [dice.int(1, 3), dice.int(1, 3)];
      const header = dice.chance(0.5);
      const delimiter = dice.pick([",", ";"]);
      const values = Array.from({ length: rows * columns }, () => dice.int(-16, 16) / 4);
      const lines = Array.from({ length: rows }, (_, r) =>
        values.slice(r * columns, (r + 1) * columns).join(delimiter),
      );
      if (header) lines.unshift(Array.from({ length: columns }, (_, c) => `c${c}`).join(delimiter));
      const broken = dice.chance(0.1);
      if (broken) lines.push(Array.from({ length: columns + 1 }, () => "x").join(delimiter));
      return {
        args: [lines.join(dice.pick(["\n", "\r\n"]))],
        options: { header, delimiter },
        expect: () => (broken ? refuse("a row") : { shape: [rows, columns], dtype: "float32", data: values }),
      };
    },
    spoils: [],
    call: ([text, ...rest]) => tg.data.loadCsv(text as string, ...(rest as [])).values,
  },
];

// --- samples ------------------------------------------------------------------------------------------------------------

function rows(dice: Dice): Given {
  return tensorOf(dice, { shape: [dice.int(1, 6), dice.int(1, 3)] });
}

function indexed(x: Model, order: readonly number[]): Model {
  const [, m] = x.shape as [number, number];
  return make([order.length, m], x.dtype, ([i, j]) => x.data[order[i!]! * m + j!]!);
}

function permutation(
  n: number,
  of: readonly number[] = Array.from({ length: n }, (_, i) => i),
): (results: readonly Model[]) => string | null {
  return ([out]) =>
    [...out!.data].sort((a, b) => a - b).join() === [...of].sort((a, b) => a - b).join()
      ? null
      : `[${out!.data.join()}] is no order of [${of.join()}]`;
}

/** The tensor of a sample. */
function sample(dataset: tg.data.Dataset<Tensor[]>, i: number): Tensor {
  return (dataset.get(i) as Tensor[])[0]!;
}

const numbers = (list: Iterable<number>): Tensor => tg.tensor(Int32Array.from(list));

const SAMPLES: readonly Custom[] = [
  {
    name: "data.DataLoader",
    generator: (dice) => {
      const x = rows(dice);
      const n = x.shape[0]!;
      const batchSize = dice.chance(0.05) ? 0 : dice.int(1, 4);
      const dropLast = dice.chance(0.3);
      return {
        args: [x],
        options: { batchSize, dropLast },
        expect: () => {
          if (batchSize === 0) refuse("batchSize");
          const batches: Model[] = [];
          for (let i = 0; i < n; i += batchSize) {
            const size = Math.min(batchSize, n - i);
            if (size === batchSize || !dropLast)
              batches.push(
                indexed(
                  x,
                  Array.from({ length: size }, (_, k) => i + k),
                ),
              );
          }
          return batches;
        },
      };
    },
    call: async ([x, ...rest]) => {
      const found: Tensor[] = [];
      for await (const batch of new tg.data.DataLoader(new tg.data.TensorDataset(x as Tensor), ...(rest as [])))
        found.push(...batch);
      return found;
    },
  },
  {
    name: "data.TensorDataset",
    generator: (dice) => {
      const x = rows(dice);
      const i = dice.int(0, x.shape[0]! - 1);
      return { args: [x, i], expect: () => reshaped(indexed(x, [i]), [x.shape[1]!]) };
    },
    call: ([x, i]) => sample(new tg.data.TensorDataset(x as Tensor), i as number),
  },
  {
    name: "data.ConcatDataset",
    generator: (dice) => {
      const x = rows(dice);
      const i = dice.int(0, x.shape[0]! - 1);
      return { args: [x, i], expect: () => reshaped(indexed(x, [i]), [x.shape[1]!]) };
    },
    spoils: [],
    call: ([x, i]) => {
      const one = new tg.data.TensorDataset(x as Tensor);
      return sample(new tg.data.ConcatDataset([one, one]), one.length + (i as number));
    },
  },
  {
    name: "data.Subset",
    generator: (dice) => {
      const x = rows(dice);
      const i = dice.int(0, x.shape[0]! - 1);
      return { args: [x, [i]], expect: () => reshaped(indexed(x, [i]), [x.shape[1]!]) };
    },
    spoils: [1],
    call: ([x, list]) => sample(new tg.data.Subset(new tg.data.TensorDataset(x as Tensor), list as number[]), 0),
  },
  {
    name: "data.randomSplit",
    generator: (dice) => {
      const n = dice.int(2, 6);
      const first = dice.int(0, n);
      const x = exactly([n, 1], "int32", (i) => i);
      const wrong = dice.chance(0.1);
      return {
        args: [x, [first, n - first + Number(wrong)]],
        expect: wrong ? () => refuse("lengths") : null,
        check: permutation(n),
      };
    },
    spoils: [1],
    call: ([x, lengths]) => {
      const parts = tg.data.randomSplit(new tg.data.TensorDataset(x as Tensor), lengths as number[]);
      const found = parts.flatMap((p) => Array.from({ length: p.length }, (_, i) => sample(p, i)));
      return tg.cat(found);
    },
  },
  {
    name: "data.SequentialSampler",
    generator: (dice) => {
      const n = dice.int(0, 6);
      return { args: [n], expect: () => make([n], "int32", ([i]) => i!) };
    },
    spoils: [],
    call: ([n]) => numbers(new tg.data.SequentialSampler({ length: n as number })),
  },
  {
    name: "data.RandomSampler",
    generator: (dice) => {
      const n = dice.int(0, 6);
      const replacement = perhaps(dice, 0.3, () => dice.chance(0.5));
      return {
        args: [n],
        options: replacement === undefined ? {} : { replacement },
        expect: null,
        check:
          replacement === true
            ? ([out]) => (out!.data.every((i) => i >= 0 && i < n) ? null : "out of range")
            : permutation(n),
      };
    },
    spoils: [],
    call: ([n, ...rest]) => numbers(new tg.data.RandomSampler({ length: n as number }, ...(rest as []))),
  },
  {
    name: "data.SubsetRandomSampler",
    generator: (dice) => {
      const list = Array.from({ length: dice.int(0, 6) }, () => dice.int(0, 20));
      return { args: [list], expect: null, check: permutation(list.length, list) };
    },
    call: ([list]) => numbers(new tg.data.SubsetRandomSampler(list as number[])),
  },
  {
    name: "data.WeightedRandomSampler",
    generator: (dice) => {
      const weights = Array.from({ length: dice.int(1, 5) }, () => dice.int(0, 2));
      const n = dice.int(0, 6);
      if (weights.every((w) => w === 0)) return { args: [weights, n], expect: () => refuse("zero") };
      return {
        args: [weights, n],
        expect: null,
        check: ([out]) =>
          out!.data.length === n && out!.data.every((i) => weights[i]! > 0) ? null : `drew [${out!.data.join()}]`,
      };
    },
    call: ([weights, n]) => numbers(new tg.data.WeightedRandomSampler(weights as number[], n as number)),
  },
  {
    name: "data.BatchSampler",
    generator: (dice) => {
      const n = dice.int(0, 7);
      const size = dice.chance(0.05) ? 0 : dice.int(1, 3);
      const dropLast = dice.chance(0.5);
      const kept = dropLast && size > 0 ? n - (n % size) : n;
      return {
        args: [n, size, dropLast],
        expect: () => (size === 0 ? refuse("size") : make([kept], "int32", ([i]) => i!)),
      };
    },
    spoils: [1, 2],
    call: ([n, size, dropLast]) =>
      numbers(
        [
          ...new tg.data.BatchSampler(
            new tg.data.SequentialSampler({ length: n as number }),
            size as number,
            dropLast as boolean,
          ),
        ].flat(),
      ),
  },
  {
    name: "data.TextDataset",
    generator: (dice) => {
      const text = Array.from({ length: dice.int(1, 9) }, () => dice.pick(["a", "b", "c"])).join("");
      const block = dice.int(1, 4);
      const letters = [...new Set(text)].sort();
      const tokens = Array.from(text, (c) => letters.indexOf(c));
      return {
        args: [text, block],
        expect: () => {
          if (text.length <= block) refuse("too short");
          const part = (from: number): Model => ({
            shape: [block],
            dtype: "int32",
            data: tokens.slice(from, from + block),
          });
          return [part(0), part(1)];
        },
      };
    },
    spoils: [1],
    call: ([text, block]) => new tg.data.TextDataset(text as string, block as number).get(0),
  },
  {
    name: "data.defaultCollate",
    generator: (dice) => {
      const x = rows(dice);
      return { args: [x], expect: () => x };
    },
    call: ([x]) => tg.data.defaultCollate(x instanceof tg.Tensor ? [...x] : (x as unknown[])),
  },
];

// --- parameters ---------------------------------------------------------------------------------------------------------

type Init = (x: Tensor, ...rest: unknown[]) => Tensor;
const INIT = tg.nn.init as unknown as Readonly<Record<string, Init>>;

function initialised(name: string, generator: Generator): Custom {
  return { name: `nn.init.${name}`, generator, call: (args) => INIT[name]!(...(args as [Tensor])) };
}

function weightOf(dice: Dice, minRank = 2): Given {
  const size = Array.from({ length: dice.chance(0.05) ? 1 : dice.int(minRank, 4) }, () => dice.int(1, 4));
  return tensorOf(dice, { shape: size, dtype: dtype(dice, FLOATS), values: "plain", views: false });
}

/** Random numbers within bounds that follow from the shape. */
function bounded(
  name: string,
  bound: (fanIn: number, fanOut: number) => number,
  options: (dice: Dice) => Record<string, unknown> = () => ({}),
): Custom {
  return initialised(name, (dice) => {
    const x = weightOf(dice);
    if (x.shape.length < 2) return { args: [x], expect: () => refuse("rank") };
    const field = x.shape.slice(2).reduce((a, b) => a * b, 1);
    const most = bound(x.shape[1]! * field, x.shape[0]! * field);
    return {
      args: [x],
      options: options(dice),
      expect: null,
      check: ([out]) => {
        const off = out!.data.find((v) => !(Math.abs(v) <= most * 1.0001));
        return off === undefined ? null : `${off} is beyond ${most}`;
      },
    };
  });
}

const PARAMETERS: readonly Custom[] = [
  ...[
    ["ones_", 1],
    ["zeros_", 0],
  ].map(([name, v]) =>
    initialised(name as string, (dice) => {
      const x = weightOf(dice);
      return { args: [x], expect: () => mapped(x, () => v as number) };
    }),
  ),
  initialised("constant_", (dice) => {
    const x = weightOf(dice);
    const val = dice.pick([0, 1, -2.5]);
    return form(dice, [x], ["val"], { val }, () => mapped(x, () => val));
  }),
  initialised("eye_", (dice) => {
    const x = weightOf(dice);
    return {
      args: [x],
      expect: () => (x.shape.length === 2 ? make(x.shape, x.dtype, ([i, j]) => Number(i === j)) : refuse("rank")),
    };
  }),
  initialised("dirac_", (dice) => {
    const x = weightOf(dice, 3);
    const groups = perhaps(dice, 0.3, () => dice.int(1, 2));
    return form(dice, [x], ["groups"], { groups }, () => {
      const g = groups ?? 1;
      if (x.shape.length < 3 || x.shape[0]! % g !== 0) refuse("rank or groups");
      const each = x.shape[0]! / g;
      return make(x.shape, x.dtype, ([o, i, ...k]) =>
        Number(o! % each === i && k.every((v, d) => v === Math.floor(x.shape[d + 2]! / 2))),
      );
    });
  }),
  initialised("uniform_", (dice) => {
    const x = weightOf(dice);
    const [a, b] = [dice.int(-3, 0), dice.int(1, 3)];
    return form(dice, [x], ["a", "b"], { a, b }, null, {
      check: ([out]) =>
        out!.data.every((v) => v >= a && v <= b) ? null : `[${out!.data.join()}] is beyond ${a} to ${b}`,
    });
  }),
  initialised("normal_", (dice) => {
    const x = weightOf(dice);
    const mean = dice.int(-3, 3);
    return form(dice, [x], ["mean", "std"], { mean, std: 0.125 }, null, {
      check: ([out]) =>
        out!.data.every((v) => Math.abs(v - mean) < 1.5) ? null : `[${out!.data.join()}] is not near ${mean}`,
    });
  }),
  initialised("truncNormal_", (dice) => {
    const x = weightOf(dice);
    const [a, b] = [-dice.int(0, 2), dice.int(1, 2)];
    return form(dice, [x], [], { a, b }, null, {
      check: ([out]) =>
        out!.data.every((v) => v >= a && v <= b) ? null : `[${out!.data.join()}] is beyond ${a} to ${b}`,
    });
  }),
  bounded("xavierUniform_", (i, o) => Math.sqrt(6 / (i + o))),
  bounded("xavierNormal_", (i, o) => 12 * Math.sqrt(2 / (i + o))),
  bounded(
    "kaimingUniform_",
    (i) => Math.sqrt(6 / i),
    () => ({ nonlinearity: "relu" }),
  ),
  bounded(
    "kaimingNormal_",
    (_, o) => 12 * Math.sqrt(2 / o),
    () => ({ mode: "fanOut", nonlinearity: "relu" }),
  ),
  initialised("orthogonal_", (dice) => {
    const x = weightOf(dice);
    if (x.shape.length < 2) return { args: [x], expect: () => refuse("rank") };
    const n = x.shape[0]!;
    const m = x.data.length / n;
    return {
      args: [x],
      expect: null,
      check: ([out]) => {
        const at = (i: number, j: number): number => (n <= m ? out!.data[i * m + j]! : out!.data[j * m + i]!);
        const [count, length] = [Math.min(n, m), Math.max(n, m)];
        for (let i = 0; i < count; i++)
          for (let k = 0; k < count; k++) {
            let dot = 0;
            for (let j = 0; j < length; j++) dot += at(i, j) * at(k, j);
            if (!(Math.abs(dot - Number(i === k)) < 1e-4)) return `vectors ${i} and ${k} have the product ${dot}`;
          }
        return null;
      },
    };
  }),
  {
    name: "nn.init.calculateFans",
    generator: (dice) => {
      const x = weightOf(dice);
      const field = x.shape.slice(2).reduce((a, b) => a * b, 1);
      return {
        args: [x],
        expect: () => (x.shape.length < 2 ? refuse("rank") : make([2], "float32", ([i]) => x.shape[1 - i!]! * field)),
      };
    },
    call: ([x]) => {
      const { fanIn, fanOut } = tg.nn.init.calculateFans(x as Tensor);
      return tg.tensor([fanIn, fanOut]);
    },
  },
  {
    name: "nn.init.calculateGain",
    generator: (dice) => {
      const gains = { linear: 1, sigmoid: 1, tanh: 5 / 3, relu: Math.SQRT2, selu: 0.75 } as const;
      const name = dice.pick(Object.keys(gains) as (keyof typeof gains)[]);
      return { args: [name], expect: () => gains[name] };
    },
    call: ([name]) => tg.nn.init.calculateGain(name as "relu"),
  },
  {
    name: "nn.utils.clipGradNorm_",
    generator: (dice) => {
      const g = vector(dice, undefined, false);
      const most = dice.pick([0.5, 1, 4]);
      const normType = perhaps(dice, 0.5, () => dice.pick([1, 2, Infinity]));
      const sizes = g.data.map(Math.abs);
      const p = normType ?? 2;
      const norm = p === Infinity ? Math.max(...sizes) : sizes.reduce((s, v) => s + v ** p, 0) ** (1 / p);
      return {
        args: [g, most],
        options: normType === undefined ? {} : { normType },
        loose: 20,
        expect: () => [make([], g.dtype, () => norm), mapped(g, (v) => v * Math.min(1, most / (norm + 1e-6)))],
      };
    },
    spoils: [1],
    call: ([g, ...rest]) => {
      const p = withGradient(g);
      return [tg.nn.utils.clipGradNorm_([p], ...(rest as [number])), p.grad];
    },
  },
  {
    name: "nn.utils.clipGradValue_",
    generator: (dice) => {
      const g = vector(dice, undefined, false);
      const most = dice.chance(0.05) ? -1 : dice.pick([0.5, 1, 4]);
      return {
        args: [g, most],
        expect: () => (most < 0 ? refuse("negative") : mapped(g, (v) => Math.min(Math.max(v, -most), most))),
      };
    },
    spoils: [1],
    call: ([g, most]) => {
      const p = withGradient(g);
      tg.nn.utils.clipGradValue_([p], most as number);
      return p.grad;
    },
  },
  {
    name: "nn.utils.parametersToVector",
    generator: (dice) => {
      const type = dtype(dice, FLOATS);
      const list = Array.from({ length: dice.int(1, 3) }, () => tensorOf(dice, { dtype: type }));
      const data = list.flatMap((t) => [...t.data]);
      return { args: [list], expect: () => ({ shape: [data.length], dtype: type, data }) };
    },
    call: ([list]) => tg.nn.utils.parametersToVector(list as Tensor[]),
  },
  {
    name: "nn.utils.vectorToParameters",
    generator: (dice) => {
      const v = vector(dice, [dice.int(2, 5)]);
      const wrong = dice.chance(0.05);
      return {
        args: [v, wrong],
        expect: () =>
          wrong
            ? refuse("size")
            : [make([1], v.dtype, () => v.data[0]!), make([v.data.length - 1], v.dtype, ([i]) => v.data[i! + 1]!)],
      };
    },
    spoils: [0],
    call: ([v, wrong]) => {
      if (!(v instanceof tg.Tensor)) return tg.nn.utils.vectorToParameters(v as Tensor, [tg.zeros(1)]);
      const list = [
        tg.zeros(1, { dtype: v.dtype }),
        tg.zeros(v.numel() - 1 + Number(wrong === true), { dtype: v.dtype }),
      ];
      tg.nn.utils.vectorToParameters(v, list);
      return list;
    },
  },
];

function withGradient(g: unknown): Tensor {
  const p = (g instanceof tg.Tensor ? g.zerosLike() : tg.zeros(1)).requiresGrad_();
  p.grad = g as Tensor;
  return p;
}

// --- pictures -------------------------------------------------------------------------------------------------------------

const PICTURES: readonly Custom[] = [
  {
    name: "tg.fromImage",
    generator: (dice) => {
      const [width, height] = [dice.int(1, 3), dice.int(1, 3)];
      const data = Uint8ClampedArray.from({ length: 4 * width * height }, () => dice.int(0, 255));
      const channels = perhaps(dice, 0.5, () => (dice.chance(0.1) ? 2 : dice.pick([1, 3, 4])));
      const layout = perhaps(dice, 0.5, () => dice.pick(["CHW", "HWC"]));
      const type = perhaps(dice, 0.5, () => dice.pick(["float32", "uint8", "int32"] as const));
      const n = channels ?? 3;
      return {
        args: [data, width, height],
        options: Object.fromEntries(
          Object.entries({ channels, layout, dtype: type }).filter(([, v]) => v !== undefined),
        ),
        expect: () => {
          if (n === 2) refuse("channels");
          const size = layout === "HWC" ? [height, width, n] : [n, height, width];
          const scale = type === undefined || type === "float32" ? 255 : 1;
          return make(size, type ?? "float32", (at) => {
            const [c, i, j] = (layout === "HWC" ? [at[2], at[0], at[1]] : at) as [number, number, number];
            return data[4 * (i * width + j) + c]! / scale;
          });
        },
      };
    },
    spoils: [1, 2],
    call: ([data, width, height, ...rest]) => tg.fromImage({ data, width, height }, ...(rest as [])),
  },
  {
    name: "tg.toImageData",
    generator: (dice) => {
      const [h, w] = [dice.int(1, 3), dice.int(1, 3)];
      const c = dice.chance(0.05) ? 2 : dice.pick([1, 3, 4]);
      const x = tensorOf(dice, { shape: [c, h, w], dtype: dtype(dice, ["uint8"]), values: "plain" });
      return {
        args: [x],
        expect: () => {
          if (c === 2) refuse("channels");
          return make([4 * h * w], "uint8", ([i]) => {
            const [pixel, k] = [Math.floor(i! / 4), i! % 4];
            if (k === 3) return c === 4 ? x.data[3 * h * w + pixel]! : 255;
            return x.data[(c === 1 ? 0 : k) * h * w + pixel]!;
          });
        },
      };
    },
    call: async ([x, ...rest]) => {
      const { data } = await tg.toImageData(x as Tensor, ...(rest as []));
      return tg.tensor(Uint8Array.from(data), { device: x instanceof tg.Tensor ? x.device : null });
    },
  },
];

/** Transformations, files, samples, parameters and pictures. */
export const PROGRAMS: readonly Custom[] = [...TRANSFORMS, ...FILES, ...SAMPLES, ...PARAMETERS, ...PICTURES];
