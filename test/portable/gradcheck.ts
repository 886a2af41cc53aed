/**
 * Every differentiable operation against finite differences in float64: its gradient, and the gradient of its gradient with respect to the
 * inputs and to what flows in from above (which comparing second gradients of a fixed sum cannot see for linear operations).
 */

import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { Decoder, flatten } from "../conformance/driver.ts";
import { fixtures, type FixtureSample } from "../conformance/fixtures.ts";
import { callerOf, camelCase, SAMPLES } from "../conformance/samples.ts";
import { ensure, suite, type PortableTest } from "../support/portable.ts";

/** Size of the Jacobian up to which a sample is checked, and how many samples, the smallest first. */
const MAX_JACOBIAN = 16000;
const MAX_SAMPLES = 2;

/** Operations all of whose samples are larger (products of batches are in higher-order.ts, clamp in numbers.ts), and a promise (in values.ts). */
const ELSEWHERE = new Set(["addbmm", "baddbmm", "bmm", "clamp", "kron", "masked_select"]);

/** Steps of the differences where results are so large that their rounding would show. */
const STEPS: Readonly<Record<string, number>> = { pow: 1e-4, float_power: 1e-4 };

function elements(sample: FixtureSample): number {
  return sample.out.reduce((sum, out) => sum + out.d.length, 0);
}

/** Checks some small samples of an operation; gives how many. */
async function check(name: string, samples: readonly FixtureSample[]): Promise<number> {
  let count = 0;
  for (const sample of samples.toSorted((a, b) => elements(a) - elements(b))) {
    if (sample.grads === undefined || count >= MAX_SAMPLES) continue;
    const decoder = new Decoder("float64");
    const decode = (d: Decoder): [unknown[], Record<string, unknown>] => [
      sample.args.map((a) => d.value(a)),
      Object.fromEntries(Object.entries(sample.kwargs).map(([k, v]) => [camelCase(k), d.value(v)])),
    ];
    const [args, options] = decode(decoder);
    if (SAMPLES[name]?.leaveOut?.(args, options) != null) continue;
    const { inputs } = decoder;
    const total = inputs.reduce((sum, t) => sum + t.numel(), 0);
    if (total === 0 || total * elements(sample) === 0 || total * elements(sample) > MAX_JACOBIAN) continue;
    const values = await Promise.all(inputs.map((t) => t.detach().data()));
    if (values.some((v) => Array.from(v).some((x) => !Number.isFinite(x)))) continue;
    const f = (...given: Tensor[]): Tensor[] => {
      const outs = flatten(callerOf(name)(...decode(new Decoder("float64", given))));
      return outs.filter((out) => out.requiresGrad);
    };
    if (f(...inputs).length === 0) continue;
    const steps = { eps: STEPS[name] ?? 1e-6 };
    await tg.autograd.gradcheck(f, inputs, steps);
    await tg.autograd.gradgradcheck(f, inputs, steps);
    count++;
  }
  return count;
}

const tests: Record<string, PortableTest> = {};
for (const name of Object.keys(SAMPLES))
  tests[name] = {
    timeout: 120_000,
    run: async () => {
      const samples = (await fixtures())[name]!;
      const count = await check(name, samples);
      const isDifferentiable = samples.some((s) => s.grads?.some((g) => g !== null && g.d.length > 0) === true);
      ensure(count > 0 || !isDifferentiable || ELSEWHERE.has(name), `no sample of ${name} was checked`);
    },
  };

/** One test an operation, on the CPU, where float64 lives. */
export const gradchecks = suite("gradcheck", tests, { devices: ["cpu"] });
