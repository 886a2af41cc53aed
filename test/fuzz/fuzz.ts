/**
 * The fuzzer: random calls of everything that is exported, with random shapes, dtypes, views, indices and options, a part of them spoilt on purpose. Each
 * gives the naive model's values, or a `TapegradError`; anything else is a finding, which is printed as a call that can be made again.
 */

import * as tg from "#tapegrad";
import { Dice } from "./dice.ts";
import { Given } from "./given.ts";
import { cast, category, isFloat, isModel, Refused, type Model } from "./model.ts";
import { Code } from "./ops/indexing.ts";
import type { Expected, Sample } from "./sample.ts";
import type { Target } from "./targets.ts";

/** Devices that are fuzzed. */
export type FuzzDevice = "cpu" | "webgpu";

/** Something that went wrong. */
export interface Finding {
  readonly case: number;
  readonly call: string;
  readonly problem: string;
}

/** What a run did. */
export interface Report {
  readonly calls: number;
  /** Calls that gave values which were compared with the model's. */
  readonly compared: number;
  /** Calls that were refused, as they should be. */
  readonly refused: number;
  /** Calls whose result cannot be foretold, or that were spoilt and accepted: only the absence of accidents was checked. */
  readonly survived: number;
  readonly findings: readonly Finding[];
}

/** Share of calls that are spoilt. */
const SPOILT = 0.15;

/** Results that are larger are not read: nothing but a spoilt size gives one. */
const MOST_ELEMENTS = 1 << 20;

// --- spoiling -----------------------------------------------------------------------------------------------------------

/** Values that no argument of any operation can be. */
const NEVER: readonly (() => unknown)[] = [
  () => new Code("wrong", '"wrong"'),
  () => new Code(() => 1, "() => 1"),
  () => new Code(new Date(0), "new Date(0)"),
  () => new Code(3n, "3n"),
  () => new Code(Symbol("wrong"), 'Symbol("wrong")'),
];

/** Values that some arguments may be. */
const PERHAPS: readonly (() => unknown)[] = [
  () => null,
  () => undefined,
  () => NaN,
  () => Infinity,
  () => 1.5,
  () => -1,
  () => 7,
  () => 2 ** 53,
  () => true,
  () => [],
  () => [[1]],
  () => [null],
];

interface Call {
  readonly args: readonly unknown[];
  readonly options: Readonly<Record<string, unknown>> | undefined;
  /** How it was spoilt: not at all, perhaps, or so that it must be refused. */
  readonly spoilt: "no" | "perhaps" | "surely";
}

/** Operations that ask whether something is so, and answer no for anything else. */
const ANSWERS = /isSameSize|resultType/;

function spoil(dice: Dice, sample: Sample, target: Target): Call {
  const { args, options } = sample;
  const names = Object.keys(options ?? {});
  const first = target.kind === "function" ? 0 : 1;
  const places = args
    .map((_, i) => i)
    .filter((i) => (i === target.receiver ? first === 0 : true) && (target.spoils?.includes(i) ?? true));
  const way = dice.pick(["replace", "replace", "replace", "replace", "drop", "misspell", "surplus"] as const);
  switch (way) {
    case "replace": {
      const surely = dice.chance(0.5) && !ANSWERS.test(target.name);
      const junk = dice.pick(surely ? NEVER : PERHAPS)();
      const at = dice.int(0, places.length + names.length - 1);
      const spoilt = surely ? "surely" : "perhaps";
      if (at < places.length) return { args: args.with(places[at]!, junk), options, spoilt };
      if (at - places.length < names.length && names.length > 0)
        return { args, options: { ...options, [names[at - places.length]!]: junk }, spoilt };
      break;
    }
    case "drop":
      if (
        target.spoils === undefined &&
        options === undefined &&
        args.length > first &&
        (first === 0 || target.receiver < args.length - 1)
      )
        return { args: args.slice(0, -1), options, spoilt: "perhaps" };
      break;
    case "misspell":
      // Functions of one tensor take no options, and ignore what JavaScript lets through.
      if (names.length > 0) {
        const name = dice.pick(names);
        return { args, options: { ...options, [`${name}s`]: options![name] }, spoilt: "surely" };
      }
      break;
    case "surplus":
      if (target.spoils === undefined) return { args: [...args, 1, 2, 3, 4, 5], options, spoilt: "perhaps" };
      break;
  }
  return { args, options, spoilt: "no" };
}

// --- calls as code ------------------------------------------------------------------------------------------------------

function code(value: unknown): string {
  if (value instanceof Given) return `tg.${value.toString()}`;
  if (value instanceof Code) return value.toString();
  if (Array.isArray(value)) return `[${value.map(code).join(", ")}]`;
  if (value instanceof Float64Array) return `Float64Array.of(${value.join(", ")})`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "object" && value !== null)
    return `{ ${Object.entries(value)
      .map(([k, v]) => `${k}: ${code(v)}`)
      .join(", ")} }`;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function callCode(target: Target, { args, options }: Call): string {
  const all = options === undefined ? args : [...args, options];
  if (target.kind === "function") return `${target.name}(${all.map(code).join(", ")})`;
  const self = `${code(all[target.receiver])}.${target.name.slice(2)}`;
  return target.kind === "property" ? self : `${self}(${all.toSpliced(target.receiver, 1).map(code).join(", ")})`;
}

function built(value: unknown, device: FuzzDevice): unknown {
  if (value instanceof Given) return value.build(device);
  if (value instanceof Code) return value.value;
  if (Array.isArray(value)) return value.map((v) => built(v, device));
  return value;
}

// --- one case -----------------------------------------------------------------------------------------------------------

interface Case {
  readonly number: number;
  readonly target: Target;
  readonly sample: Sample;
  readonly call: Call;
}

/** The case of a seed and a number: of a random target, or in a sweep of each in turn. */
export function caseOf(
  targets: readonly Target[],
  device: FuzzDevice,
  seed: number,
  number: number,
  sweep = false,
): Case {
  const dice = new Dice(seed, number, device === "cpu");
  const drawn = dice.pick(targets);
  const target = sweep ? targets[number % targets.length]! : drawn;
  const sample = target.generator(dice);
  const spoils = target.kind !== "property" && dice.chance(SPOILT);
  const call = spoils
    ? spoil(dice, sample, target)
    : { args: sample.args, options: sample.options, spoilt: "no" as const };
  return { number, target, sample, call };
}

type Verdict =
  | { readonly kind: "values"; readonly expected: Expected }
  | { readonly kind: "checked"; readonly check: (results: readonly Model[]) => string | null }
  | { readonly kind: "refused" }
  | { readonly kind: "open" };

/** What the model says of a case. */
function verdictOf({ target, sample, call }: Case): Verdict {
  if (call.spoilt === "surely") return { kind: "refused" };
  if (call.spoilt === "perhaps") return { kind: "open" };
  if (sample.expect === null)
    return sample.check === undefined || target.inPlace ? { kind: "open" } : { kind: "checked", check: sample.check };
  try {
    const expected = sample.expect();
    if (expected === null) return { kind: "open" };
    return {
      kind: "values",
      expected: target.inPlace ? intoReceiver(sample.args[target.receiver], expected) : expected,
    };
  } catch (error) {
    if (error instanceof Refused) return { kind: "refused" };
    throw error;
  }
}

/** The result of an operation as its in-place form writes it. */
function intoReceiver(receiver: unknown, expected: Expected): Model {
  const result = expected as Model;
  if (!(receiver instanceof Given) || !isModel(result))
    throw new TypeError("an in-place form needs a tensor and one result");
  if (
    receiver.overlaps ||
    result.shape.join() !== receiver.shape.join() ||
    category(result.dtype) > category(receiver.dtype)
  )
    throw new Refused("in place");
  return cast(result, receiver.dtype);
}

interface Outcome {
  readonly error: unknown;
  readonly threw: boolean;
  readonly value: unknown;
}

async function perform({ target, call }: Case, device: FuzzDevice): Promise<Outcome> {
  try {
    const args = call.args.map((v) => built(v, device));
    if (call.options !== undefined)
      args.push(Object.fromEntries(Object.entries(call.options).map(([k, v]) => [k, built(v, device)])));
    let value = target.call(args);
    if (value instanceof Promise) value = await value;
    return { threw: false, error: null, value };
  } catch (error) {
    return { threw: true, error, value: null };
  }
}

function tensorsOf(value: unknown): tg.Tensor[] {
  if (value instanceof tg.Tensor) return [value];
  return Array.isArray(value) ? value.filter((v) => v instanceof tg.Tensor) : [];
}

const RELATIVE = { float64: 1e-11, float32: 4e-6, float16: 4e-3 } as const;
const ABSOLUTE = { float64: 1e-12, float32: 2e-6, float16: 4e-3 } as const;

function closeTo(actual: number, expected: number, dtype: tg.DType, loose: number): boolean {
  if (actual === expected || (Number.isNaN(actual) && Number.isNaN(expected))) return true;
  if (!isFloat(dtype) || !Number.isFinite(expected) || !Number.isFinite(actual)) return false;
  const type = dtype as keyof typeof RELATIVE;
  return Math.abs(actual - expected) <= loose * (ABSOLUTE[type] + RELATIVE[type] * Math.abs(expected));
}

/** How a tensor differs from the model's, or null. */
function difference(actual: tg.Tensor, data: ArrayLike<number>, expected: Model, loose: number): string | null {
  if (actual.shape.join() !== expected.shape.join() || actual.shape.length !== expected.shape.length)
    return `shape [${actual.shape.join(", ")}] instead of [${expected.shape.join(", ")}]`;
  if (actual.dtype !== expected.dtype) return `dtype ${actual.dtype} instead of ${expected.dtype}`;
  if (data.length !== expected.data.length) return `${data.length} elements instead of ${expected.data.length}`;
  for (let i = 0; i < data.length; i++)
    if (!closeTo(data[i]!, expected.data[i]!, expected.dtype, loose))
      return `element ${i} is ${data[i]} instead of ${expected.data[i]}`;
  return null;
}

/** Random shader precision of a GPU, against that of the CPU. */
const DEVICE_LOOSE: Readonly<Record<FuzzDevice, number>> = { cpu: 1, webgpu: 8 };

function compare(
  outcome: Outcome,
  tensors: readonly tg.Tensor[],
  data: readonly ArrayLike<number>[],
  expected: Expected,
  loose: number,
): string | null {
  const { value } = outcome;
  if (isModel(expected)) {
    if (tensors.length !== 1) return `${tensors.length} tensors instead of one`;
    return difference(tensors[0]!, data[0]!, expected, loose);
  }
  if (Array.isArray(expected)) {
    if (tensors.length !== expected.length) return `${tensors.length} tensors instead of ${expected.length}`;
    for (let i = 0; i < tensors.length; i++) {
      const found = difference(tensors[i]!, data[i]!, (expected as readonly Model[])[i]!, loose);
      if (found !== null) return `result ${i}: ${found}`;
    }
    return null;
  }
  return Object.is(value, expected) ? null : `${String(value)} instead of ${JSON.stringify(expected)}`;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `threw ${String(error)}, which is no error`;
  const where =
    error.stack
      ?.split("\n")
      .find((line) => line.includes("/src/"))
      ?.trim() ?? "";
  return `${error.name}: ${error.message} ${where}`;
}

/** The GPU has no float64: asking for it is an error there, whatever else the call does. */
function lacksFloat64(device: FuzzDevice, error: unknown): boolean {
  return device === "webgpu" && error instanceof tg.TapegradError && error.message.includes("float64");
}

/** Makes calls `from` to `to` (excluded) of a seed, `batch` at a time between reads. */
export class Fuzzer {
  readonly #targets: readonly Target[];
  readonly #device: FuzzDevice;
  readonly #seed: number;
  readonly #sweep: boolean;
  readonly findings: Finding[] = [];
  calls = 0;
  compared = 0;
  refused = 0;
  survived = 0;

  constructor(targets: readonly Target[], device: FuzzDevice, seed: number, sweep = false) {
    this.#sweep = sweep;
    this.#targets = targets;
    this.#device = device;
    this.#seed = seed;
  }

  get report(): Report {
    const { calls, compared, refused, survived, findings } = this;
    return { calls, compared, refused, survived, findings };
  }

  /** Makes some calls, and reads their results together. */
  async run(from: number, to: number): Promise<void> {
    const waiting: { it: Case; outcome: Outcome; verdict: Verdict; tensors: tg.Tensor[] }[] = [];
    for (let number = from; number < to; number++) {
      this.calls++;
      const it = caseOf(this.#targets, this.#device, this.#seed, number, this.#sweep);
      const verdict = verdictOf(it);
      tg.manualSeed(number);
      const outcome = await perform(it, this.#device);
      if (outcome.threw) {
        this.#judgeError(it, verdict, outcome.error);
        continue;
      }
      const tensors = tensorsOf(outcome.value);
      if (verdict.kind === "refused" && it.sample.late !== true) {
        this.#find(it, "was accepted, but must be refused");
        continue;
      }
      if (it.sample.late === true || tensors.some((t) => t.numel() > MOST_ELEMENTS)) {
        await this.#readLate(it, verdict, tensors);
        continue;
      }
      waiting.push({ it, outcome, verdict, tensors });
    }
    let data: ArrayLike<number>[];
    try {
      data = await tg.readAll(waiting.flatMap((w) => w.tensors));
    } catch (error) {
      if (to - from === 1) {
        const [only] = waiting;
        if (only?.verdict.kind === "open" && error instanceof tg.TapegradError) this.refused++;
        else this.#find(only!.it, `could not be read: ${describe(error)}`);
        return;
      }
      // One of them cannot be read, or all of them not together: each by itself tells.
      const before = this.findings.length;
      for (const { it } of waiting) {
        this.calls--;
        await this.run(it.number, it.number + 1);
      }
      // An index that only the device knew, in a call whose result nobody wanted, is reported by whatever is read next.
      const foreign = error instanceof tg.IndexError || waiting.some((w) => w.verdict.kind === "open");
      if (this.findings.length === before && !foreign)
        this.#find(
          waiting[0]!.it,
          `with the ${waiting.length - 1} cases after it, could not be read together: ${describe(error)}`,
        );
      return;
    }
    let next = 0;
    for (const { it, outcome, verdict, tensors } of waiting) {
      const own = data.slice(next, (next += tensors.length));
      if (verdict.kind === "checked") {
        this.compared++;
        const results = tensors.map(({ shape, dtype }, i) => ({ shape, dtype, data: Array.from(own[i]!) }));
        const found = results.length === 0 ? "gave no tensor" : verdict.check(results);
        if (found !== null) this.#find(it, found);
        continue;
      }
      if (verdict.kind !== "values") {
        this.survived++;
        tensors.forEach((t, i) => {
          if (own[i]!.length !== t.numel())
            this.#find(it, `gave ${own[i]!.length} elements for shape [${t.shape.join(", ")}]`);
        });
        continue;
      }
      this.compared++;
      const found = compare(
        outcome,
        tensors,
        own,
        verdict.expected,
        (it.sample.loose ?? 1) * DEVICE_LOOSE[this.#device],
      );
      if (found !== null) this.#find(it, found);
    }
  }

  /** Reads by itself what may fail when it is read. */
  async #readLate(it: Case, verdict: Verdict, tensors: readonly tg.Tensor[]): Promise<void> {
    if (tensors.some((t) => t.numel() > MOST_ELEMENTS)) {
      this.survived++;
      if (verdict.kind === "values") this.#find(it, "gave a tensor far larger than any that was asked for");
      return;
    }
    try {
      await tg.readAll(tensors);
    } catch (error) {
      if (error instanceof tg.TapegradError && verdict.kind !== "values") this.refused++;
      else this.#find(it, `reading: ${describe(error)}`);
      return;
    }
    // Nothing is looked up for an empty result.
    const isEmpty = it.sample.late === true && tensors.every((t) => t.numel() === 0);
    if (verdict.kind === "refused" && !isEmpty) this.#find(it, "was accepted and read, but must be refused");
    else this.survived++;
  }

  #judgeError(it: Case, verdict: Verdict, error: unknown): void {
    if (!(error instanceof tg.TapegradError)) this.#find(it, describe(error));
    else if (
      (verdict.kind === "values" || verdict.kind === "checked") &&
      it.sample.mayRefuse !== true &&
      !lacksFloat64(this.#device, error)
    )
      this.#find(it, `was refused: ${error.name}: ${error.message}`);
    else this.refused++;
  }

  #find(it: Case, problem: string): void {
    this.findings.push({ case: it.number, call: callCode(it.target, it.call), problem });
  }
}
