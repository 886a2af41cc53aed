/**
 * What is called: every function that the library exports and every method of a tensor, found by looking, each with the generator that knows it. A name without
 * one is an error that says where to add it.
 */

import * as tg from "#tapegrad";
import type { Custom } from "./custom.ts";
import { ACTIVATIONS } from "./ops/activation.ts";
import { CONVOLUTIONS } from "./ops/convolution.ts";
import { CREATION } from "./ops/creation.ts";
import { ELEMENTWISE } from "./ops/elementwise.ts";
import { INDEXING } from "./ops/indexing.ts";
import { layers } from "./ops/layers.ts";
import { LOSSES } from "./ops/losses.ts";
import { MARGINS } from "./ops/margins.ts";
import { MOVEMENT } from "./ops/movement.ts";
import { NORMS } from "./ops/norms.ts";
import { OPTIMIZERS } from "./ops/optimizers.ts";
import { ORDERING } from "./ops/ordering.ts";
import { POINTWISE } from "./ops/pointwise.ts";
import { PROGRAMS } from "./ops/programs.ts";
import { REDUCTIONS } from "./ops/reduce.ts";
import { STATISTICS } from "./ops/statistics.ts";
import { STRUCTURE } from "./ops/structure.ts";
import { WINDOWS } from "./ops/windows.ts";
import type { Generator, Table } from "./sample.ts";

/** All generators by the name of the operation. */
export const GENERATORS: Table = {
  ...ELEMENTWISE,
  ...REDUCTIONS,
  ...STRUCTURE,
  ...INDEXING,
  ...CREATION,
  ...LOSSES,
  ...CONVOLUTIONS,
  ...WINDOWS,
  ...POINTWISE,
  ...ACTIVATIONS,
  ...MARGINS,
  ...NORMS,
  ...ORDERING,
  ...MOVEMENT,
  ...STATISTICS,
};

/** Other names of operations. */
const ALIASES: Readonly<Record<string, string>> = {
  absolute: "abs",
  arccos: "acos",
  arccosh: "acosh",
  arcsin: "asin",
  arcsinh: "asinh",
  arctan: "atan",
  arctan2: "atan2",
  arctanh: "atanh",
  clip: "clamp",
  trapz: "trapezoid",
  psi: "digamma",
  gammaln: "lgamma",
  expit: "sigmoid",
  multigammaln: "mvlgamma",
  concat: "cat",
  concatenate: "cat",
  divide: "div",
  fix: "trunc",
  ger: "outer",
  greater: "gt",
  greaterEqual: "ge",
  less: "lt",
  lessEqual: "le",
  moveaxis: "movedim",
  multiply: "mul",
  negative: "neg",
  notEqual: "ne",
  rowStack: "vstack",
  sgn: "sign",
  subtract: "sub",
  swapaxes: "transpose",
  swapdims: "transpose",
  trueDivide: "div",
};

/** What is no operation on tensors, and why it is left out. */
const LEFT_OUT: Readonly<Record<string, readonly string[]>> = {
  "a class or an error": [
    "Tensor",
    "TapegradError",
    "ShapeError",
    "DTypeError",
    "ArgumentError",
    "IndexError",
    "DeviceError",
    "DeviceLostError",
    "OutOfMemoryError",
    "DisposedError",
    "AutogradError",
    "LinAlgError",
    "constructor",
  ],
  "the state of the program, not of tensors": [
    "init",
    "currentDevice",
    "synchronize",
    "destroy",
    "onDeviceLost",
    "snapshot",
    "restore",
    "memory",
    "resetPeakMemory",
    "setMemoryBudget",
    "scope",
    "memorySnapshot",
    "memoryTimeline",
    "profile",
    "setDebugMode",
    "isDebugModeEnabled",
    "onDeviceLost",
    "snapshot",
    "restore",
    "compile",
    "warmup",
    "compareDevices",
    "useDeterministicAlgorithms",
    "areDeterministicAlgorithmsEnabled",
    "kernelChoices",
    "loadKernelChoices",
    "setPrintOptions",
    "getPrintOptions",
    "manualSeed",
    "seed",
    "getRngState",
    "setRngState",
    "isGradEnabled",
    "isInferenceModeEnabled",
    "setGradEnabled",
    "noGrad",
    "enableGrad",
    "inferenceMode",
  ],
  "a part of an index": ["slice"],
  "about the tape, which other tests hold to PyTorch": [
    "graph",
    "backward",
    "detach_",
    "retainGrad",
    "retainsGrad",
    "registerHook",
    "requiresGrad",
    "requiresGrad_",
    "grad",
    "gradFn",
    "isLeaf",
    "version",
    "data_",
  ],
  "reading, which every case does": [
    "readAll",
    "data",
    "dataSync",
    "toArray",
    "toArraySync",
    "tolist",
    "item",
    "itemSync",
    "toText",
    "toString",
    "toJSON",
    "length",
  ],
  "what a handle knows without computing": [
    "shape",
    "dtype",
    "device",
    "ndim",
    "size",
    "dim",
    "numel",
    "nelement",
    "elementSize",
    "stride",
    "storageOffset",
    "isContiguous",
    "isFloatingPoint",
    "isTensor",
  ],
  "the handle turned, not written, in test/portable/inplace.ts": [
    "squeeze_",
    "swapaxes_",
    "swapdims_",
    "t_",
    "transpose_",
    "unsqueeze_",
  ],
  "lifetimes, which tests of memory cover": ["dispose", "retain"],
  "float16, whose rounding the model does not follow": ["half"],
};

/** One way to call an operation. */
export interface Target {
  /** As it is written: `tg.add`, `x.add_`. */
  readonly name: string;
  readonly generator: Generator;
  readonly kind: "function" | "method" | "property";
  /** The generator's result is written into the tensor that the method is called on. */
  readonly inPlace: boolean;
  /** Positions of arguments that may be spoilt, if not all of them. */
  readonly spoils?: readonly number[];
  /** Position of that tensor among the arguments. */
  readonly receiver: number;
  call(args: readonly unknown[]): unknown;
}

type Functions = Readonly<Record<string, unknown>>;

/** Calls that are no plain function. */
const CUSTOMS: readonly Custom[] = [...layers(GENERATORS), ...OPTIMIZERS, ...PROGRAMS];

/** Namespaces of classes and of functions of functions. */
const SPACES: Readonly<Record<string, Functions>> = {
  "nn.": tg.nn,
  "nn.utils.": tg.nn.utils,
  "nn.init.": tg.nn.init,
  "optim.": tg.optim,
  "optim.lrScheduler.": tg.optim.lrScheduler,
  "func.": tg.func,
  "autograd.": tg.autograd,
  "autograd.functional.": tg.autograd.functional,
  "autograd.graph.": tg.autograd.graph,
  "utils.": tg.utils,
  "io.": tg.io,
  "data.": tg.data,
};

/** What these namespaces have that is no operation, and why it is not called. */
const NO_CALLS: readonly { readonly why: string; readonly names: readonly string[] }[] = [
  {
    why: "a base class or a container: test/unit and test/portable cover their names, order and state",
    names: [
      "nn.Module",
      "nn.ModuleDict",
      "nn.ModuleList",
      "nn.Parameter",
      "nn.ParameterList",
      "optim.Optimizer",
      "data.Dataset",
      "autograd.Function",
    ],
  },
  {
    why: "a plan of learning rates: numbers on the host, held to PyTorch's by test/conformance",
    names: Object.keys(tg.optim.lrScheduler).map((n) => `optim.lrScheduler.${n}`),
  },
  {
    why: "the state of the program, not of tensors",
    names: [
      "autograd.noGrad",
      "autograd.enableGrad",
      "autograd.inferenceMode",
      "autograd.isGradEnabled",
      "autograd.setGradEnabled",
      "autograd.detectAnomaly",
      ...Object.keys(tg.autograd.graph).map((n) => `autograd.graph.${n}`),
    ],
  },
];

function generatorOf(name: string, prefix: string): { generator: Generator; inPlace: boolean } | null {
  // A generator may be for the method or the function alone.
  const own = GENERATORS[prefix + name] ?? GENERATORS[ALIASES[name] ?? name];
  if (own !== undefined) return { generator: own, inPlace: false };
  if (!name.endsWith("_")) return null;
  const plain = name.slice(0, -1);
  const base = GENERATORS[ALIASES[plain] ?? plain];
  return base === undefined ? null : { generator: base, inPlace: true };
}

function methodNames(): string[] {
  const names = new Set<string>();
  for (
    let p: object | null = tg.Tensor.prototype;
    p !== null && p !== Object.prototype;
    p = Object.getPrototypeOf(p) as object | null
  )
    for (const name of Object.getOwnPropertyNames(p)) names.add(name);
  return [...names].sort();
}

/** Everything that is exported, and a complaint for each name that has no generator or is left out in vain. */
export function findTargets(): { readonly targets: Target[]; readonly complaints: string[] } {
  const leftOut = new Set(Object.values(LEFT_OUT).flat());
  const found: Target[] = [];
  const missing: string[] = [];
  const seen = new Set<string>();
  const functions = (prefix: string, from: Functions): void => {
    for (const [name, value] of Object.entries(from)) {
      if (typeof value !== "function") continue;
      seen.add(name);
      // A slice of dimensions is a method; the function of that name makes a part of an index.
      if (leftOut.has(name) || (prefix === "tg." && name === "unfold")) continue;
      if (CUSTOMS.some((c) => c.name === prefix + name)) continue;
      const known = generatorOf(name, prefix);
      if (known === null) missing.push(prefix + name);
      else
        found.push({
          name: prefix + name,
          kind: "function",
          inPlace: known.inPlace,
          receiver: 0,
          generator: known.generator,
          call: (args) => (value as (...a: unknown[]) => unknown)(...args),
        });
    }
  };
  functions("tg.", tg);
  functions("tg.F.", tg.F);
  functions("tg.special.", tg.special);
  for (const name of methodNames()) {
    seen.add(name);
    if (leftOut.has(name) && name !== "slice") continue;
    // It shares no more than its name with F.unfold; PyTorch's samples cover it.
    if (name === "unfold") continue;
    const known = generatorOf(name, "x.");
    if (known === null) {
      missing.push(`x.${name}`);
      continue;
    }
    const isProperty = name === "T" || name === "mT";
    const receiver = name.startsWith("polygamma") ? 1 : 0;
    found.push({
      name: `x.${name}`,
      kind: isProperty ? "property" : "method",
      inPlace: known.inPlace,
      receiver,
      generator: known.generator,
      call: (args) => {
        const self = args[receiver] as Functions;
        return isProperty
          ? self[name]
          : (self[name] as (...a: unknown[]) => unknown).call(self, ...args.toSpliced(receiver, 1));
      },
    });
  }
  found.push(...CUSTOMS.map((custom): Target => ({ ...custom, kind: "function", inPlace: false, receiver: 0 })));
  const complaints = missing.map(
    (name) =>
      `the fuzzer has no generator for ${name}: add one to a table in test/fuzz/ops, or an alias or a reason to leave it out to test/fuzz/targets.ts`,
  );
  for (const [prefix, names] of Object.entries(SPACES))
    for (const [name, value] of Object.entries(names)) {
      if (typeof value !== "function" || CUSTOMS.some((c) => c.name === prefix + name)) continue;
      if (NO_CALLS.some(({ names: list }) => list.includes(prefix + name))) continue;
      complaints.push(
        `the fuzzer does not call ${prefix}${name}: add it to test/fuzz/ops, or a reason to leave it out to NO_CALLS in test/fuzz/targets.ts`,
      );
    }
  for (const name of NO_CALLS.flatMap((n) => n.names))
    if (
      !Object.entries(SPACES).some(([prefix, names]) => name.startsWith(prefix) && name.slice(prefix.length) in names)
    )
      complaints.push(`${name} is left out of the fuzzer, but it is not exported`);
  for (const name of leftOut)
    if (!seen.has(name)) complaints.push(`${name} is left out of the fuzzer, but it is not exported`);
  for (const name of Object.keys(GENERATORS))
    if (!seen.has(name.split(".").at(-1)!))
      complaints.push(`the fuzzer has a generator for ${name}, but it is not exported`);
  return { targets: found, complaints };
}
