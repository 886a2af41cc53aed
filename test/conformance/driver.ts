/** Runs a sample and compares value, gradient and second gradient with PyTorch's. */

import * as tg from "#tapegrad";
import type { DType, Tensor } from "#tapegrad";
import { ensure, expectClose, expectEqual, type TestDevice } from "../support/portable.ts";
import {
  decodeNumber,
  fixtures,
  isFixtureTensor,
  weights,
  type FixtureSample,
  type FixtureTensor,
  type FixtureValue,
} from "./fixtures.ts";
import { callerOf, camelCase, SAMPLES, type OpSample } from "./samples.ts";

/** Bounds where both sides compute in float64. The expected numbers have ten digits. */
const EXACT = { rtol: 1e-7, atol: 1e-8 };

export class Decoder {
  readonly inputs: Tensor[] = [];
  readonly #float: DType;
  readonly #given: readonly Tensor[];

  /** Tensors that require grad are made anew, or, where some are given, taken from those in order. */
  constructor(float: DType, given: readonly Tensor[] = []) {
    this.#float = float;
    this.#given = given;
  }

  value(value: FixtureValue): unknown {
    if (typeof value === "string" && (value === "nan" || value === "inf" || value === "-inf"))
      return decodeNumber(value);
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return (value as readonly FixtureValue[]).map((v) => this.value(v));
    if (isFixtureTensor(value)) return this.#tensor(value);
    if ("slice" in value) {
      const [start, end, step] = (value as { readonly slice: readonly [number | null, number | null, number | null] })
        .slice;
      return tg.slice(start, end, step);
    }
    if ("ellipsis" in value) return tg.ellipsis;
    const { dtype } = value;
    return dtype === "float32" ? this.#float : dtype;
  }

  #tensor({ t, dt, d, g }: FixtureTensor): Tensor {
    const given = g === true ? this.#given[this.inputs.length] : undefined;
    if (given !== undefined) {
      this.inputs.push(given);
      return given;
    }
    const dtype = dt === "float32" ? this.#float : dt;
    // The inputs are float32 values, also where they are computed with in float64.
    const values = Float64Array.from(d, (v) => Math.fround(decodeNumber(v)));
    const result = tg.tensor(values, { shape: t, dtype });
    if (g === true) this.inputs.push(result.requiresGrad_());
    return result;
  }
}

export function flatten(result: unknown): Tensor[] {
  if (result === null) return [];
  return Array.isArray(result) ? (result as unknown[]).flatMap(flatten) : [result as Tensor];
}

async function compare(
  actual: Tensor,
  expected: FixtureTensor,
  float: DType,
  bounds: object,
  what: string,
): Promise<void> {
  expectEqual(actual.shape, expected.t, `${what}, shape`);
  expectEqual(actual.dtype, expected.dt === "float32" ? float : expected.dt, `${what}, dtype`);
  expectClose(Array.from(await actual.data()), expected.d.map(decodeNumber), bounds, what);
}

/** Sum of tensors weighted by fixed irregular numbers. */
export function weightedSum(tensors: readonly (Tensor | null)[], seed: number): Tensor | null {
  let total: Tensor | null = null;
  tensors.forEach((t, i) => {
    if (t === null || !t.requiresGrad) return;
    const w = tg.tensor(weights(t.numel(), seed + i), { shape: [...t.shape], dtype: t.dtype });
    const term = t.mul(w).sum();
    total = total === null ? term : total.add(term);
  });
  return total;
}

async function compareGrads(
  total: Tensor,
  inputs: readonly Tensor[],
  expected: readonly (FixtureTensor | null)[],
  createGraph: boolean,
  float: DType,
  bounds: object,
  what: string,
): Promise<(Tensor | null)[]> {
  const grads = tg.autograd.grad(total, inputs, { createGraph, allowUnused: true }) as (Tensor | null)[];
  for (let i = 0; i < inputs.length; i++) {
    const g = grads[i] ?? null;
    const e = expected[i] ?? null;
    // PyTorch gives null for some zero gradients and zeros for others; so may we.
    if (g === null || e === null) {
      const zeros = e !== null ? e.d : g !== null ? Array.from(await g.data()) : [];
      ensure(
        zeros.every((v) => v === 0),
        `${what} of input ${i}: ${g === null ? "missing" : "not zero"}`,
      );
    } else await compare(g, e, float, bounds, `${what} of input ${i}`);
  }
  return grads;
}

/** A table of operations, and the file of test/fixtures with their samples. */
export interface SampleTable {
  readonly file: string;
  readonly table: Readonly<Record<string, OpSample>>;
}

const OPS: SampleTable = { file: "ops.json", table: SAMPLES };

async function runSample(
  table: SampleTable["table"],
  name: string,
  sample: FixtureSample,
  float: DType,
  bounds: object,
  what: string,
): Promise<boolean> {
  const decoder = new Decoder(float);
  const args = sample.args.map((a) => decoder.value(a));
  const options = Object.fromEntries(Object.entries(sample.kwargs).map(([k, v]) => [camelCase(k), decoder.value(v)]));
  if (table[name]?.leaveOut?.(args, options) != null) return false;
  const outs = flatten(await callerOf(name, table)(args, options));
  expectEqual(outs.length, sample.out.length, `${what}, number of results`);
  for (let i = 0; i < outs.length; i++) await compare(outs[i]!, sample.out[i]!, float, bounds, `${what}, result ${i}`);
  if (sample.grads === undefined) return true;
  const total = weightedSum(outs, 0);
  ensure(total !== null, `${what}: no result requires grad`);
  const second = sample.grads2;
  const grads = await compareGrads(
    total,
    decoder.inputs,
    sample.grads,
    second !== undefined,
    float,
    bounds,
    `${what}, gradient`,
  );
  if (second === undefined) return true;
  const total2 = weightedSum(grads, 5);
  if (total2 === null)
    ensure(
      second.every((g) => g === null || g.d.every((v) => v === 0)),
      `${what}: the gradient is not differentiable`,
    );
  else await compareGrads(total2, decoder.inputs, second, false, float, bounds, `${what}, second gradient`);
  return true;
}

/**
 * Samples of an operation that run: all of them in Node; a page and Deno, which are about what another engine and another compiler of
 * shaders make of the same kernels, take two.
 */
const MOST_SAMPLES = "document" in globalThis || "Deno" in globalThis ? 2 : Infinity;

/** Compares the samples of an operation on a device; on the CPU in float64, too. Gives how many were run. */
export async function conform(name: string, device: TestDevice, from: SampleTable = OPS): Promise<number> {
  const samples = (await fixtures(from.file))[name];
  ensure(samples !== undefined && samples.length > 0, `there are no samples of ${name}`);
  const { rtol = 2e-5, atol = 5e-6 } = from.table[name]!;
  let count = 0;
  for (let i = 0; i < samples.length && count < MOST_SAMPLES; i++) {
    const what = `${name} sample ${i}`;
    if (device === "cpu") await runSample(from.table, name, samples[i]!, "float64", EXACT, `${what} in float64`);
    if (await runSample(from.table, name, samples[i]!, "float32", { rtol, atol }, what)) count++;
  }
  ensure(count > 0, `every sample of ${name} was left out`);
  return count;
}
