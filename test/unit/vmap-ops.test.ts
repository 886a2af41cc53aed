/** Every operation of the conformance table, vectorised, gives what a loop over the examples gives: values and gradients. */

import { describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { Decoder, flatten, weightedSum } from "../conformance/driver.ts";
import { fixtures, type FixtureSample } from "../conformance/fixtures.ts";
import { callerOf, camelCase, SAMPLES } from "../conformance/samples.ts";
import { expectClose } from "../support/portable.ts";

/** Operations that read values or take no tensors, which cannot be vectorised. */
const LEFT_OUT = new Set("argwhere masked_select nonzero tril_indices triu_indices".split(" "));

/** Samples of each operation that are tried. */
const MOST = 3;

/** Replaces the tensors of decoded arguments, in order. */
function withTensors(value: unknown, next: (t: Tensor) => Tensor): unknown {
  if (value instanceof tg.Tensor) return next(value);
  if (Array.isArray(value)) return value.map((v) => withTensors(v, next));
  return value;
}

function collect(value: unknown): Tensor[] {
  const found: Tensor[] = [];
  withTensors(value, (t) => {
    found.push(t);
    return t;
  });
  return found;
}

/** Three examples of an argument: the sample's values, and for floats others near by. */
function examplesOf(t: Tensor): Tensor {
  const x = t.detach();
  return tg.stack(x.isFloatingPoint() ? [x, x.mul(0.875), x.mul(0.75)] : [x, x, x]);
}

/** Whether each tensor has an example of its own: all of them, or only the first, or only the last. */
const PATTERNS = [() => true, (i: number) => i === 0, (i: number, count: number) => i === count - 1];

async function compareWithLoop(
  name: string,
  sample: FixtureSample,
  pattern: (typeof PATTERNS)[number],
): Promise<boolean> {
  const decoder = new Decoder("float64");
  const args = sample.args.map((a) => decoder.value(a));
  const options = Object.fromEntries(Object.entries(sample.kwargs).map(([k, v]) => [camelCase(k), decoder.value(v)]));
  if (SAMPLES[name]?.leaveOut?.(args, options) != null) return false;
  // A tensor of places to split at has to be read.
  if (name === "tensor_split" && args[1] instanceof tg.Tensor) return false;
  const given = [args, Object.values(options)];
  const tensors = collect(given);
  if (tensors.length === 0) return false;
  const inputs = tensors.map((t, i) => {
    const own = pattern(i, tensors.length);
    const value = own ? examplesOf(t) : t.detach().clone();
    return { own, value: t.requiresGrad ? value.requiresGrad_() : value };
  });
  const once = (parts: readonly Tensor[]): Tensor[] => {
    let at = 0;
    const put = (): Tensor => parts[at++]!;
    const called = args.map((a) => withTensors(a, put));
    const named = Object.fromEntries(Object.entries(options).map(([k, v]) => [k, withTensors(v, put)]));
    return flatten(callerOf(name)(called, named));
  };
  const batch = inputs.filter((i) => i.own).map((i) => i.value);
  const vectorised = tg.func.vmap((...own: Tensor[]) => {
    let at = 0;
    return once(inputs.map((i) => (i.own ? own[at++]! : i.value)));
  })(...batch);
  const rows = [0, 1, 2].map((e) => once(inputs.map((i) => (i.own ? i.value.select(0, e) : i.value))));
  const looped = rows[0]!.map((_, o) => tg.stack(rows.map((r) => r[o]!)));
  for (let o = 0; o < looped.length; o++) {
    expect(vectorised[o]!.shape).toEqual(looped[o]!.shape);
    expectClose(
      await vectorised[o]!.data(),
      await looped[o]!.data(),
      { rtol: 1e-9, atol: 1e-10 },
      `${name}, result ${o}`,
    );
  }
  const wanted = inputs.flatMap((i) => (i.value.requiresGrad ? [i.value] : []));
  const [a, b] = [weightedSum(vectorised, 0), weightedSum(looped, 0)];
  expect(a === null).toBe(b === null);
  if (a === null || b === null || wanted.length === 0) return true;
  const gradients = (total: Tensor): Tensor[] =>
    (tg.autograd.grad(total, wanted, { createGraph: true, allowUnused: true }) as (Tensor | null)[]).map(
      (g, i) => g ?? wanted[i]!.zerosLike(),
    );
  const [ga, gb] = [gradients(a), gradients(b)];
  for (let i = 0; i < wanted.length; i++)
    expectClose(await ga[i]!.data(), await gb[i]!.data(), { rtol: 1e-8, atol: 1e-9 }, `${name}, gradient ${i}`);
  const [sa, sb] = [weightedSum(ga, 5), weightedSum(gb, 5)];
  if (sa === null || sb === null) return true;
  const [ha, hb] = [gradients(sa), gradients(sb)];
  for (let i = 0; i < wanted.length; i++)
    expectClose(await ha[i]!.data(), await hb[i]!.data(), { rtol: 1e-7, atol: 1e-8 }, `${name}, second gradient ${i}`);
  return true;
}

describe("vmap of every operation", () => {
  for (const name of Object.keys(SAMPLES).filter((n) => !LEFT_OUT.has(n)))
    it(name, async () => {
      const samples = (await fixtures())[name]!;
      const step = Math.max(1, Math.floor(samples.length / MOST));
      let count = 0;
      for (let i = 0; i < samples.length; i += step)
        for (const pattern of PATTERNS) if (await compareWithLoop(name, samples[i]!, pattern)) count++;
      expect(count).toBeGreaterThan(0);
    });
});
