/** Comparing derivatives with finite differences, in float64. */

import { applyOptions, describeValue } from "../args.ts";
import { ArgumentError, AutogradError } from "../errors.ts";
import { fromHost } from "../ops/creation.ts";
import { isTensor } from "../ops/apply.ts";
import type { Tensor } from "../tensor.ts";
import { grad } from "./engine.ts";

/** Bounds of the comparison. */
export interface GradcheckOptions {
  /** Step of the finite differences. */
  readonly eps?: number;
  /** Absolute tolerance. */
  readonly atol?: number;
  /** Relative tolerance. */
  readonly rtol?: number;
  /** Give false rather than throw. */
  readonly raiseException?: boolean;
}

/** A function to check. */
export type Check = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

function tensorsOf(op: string, inputs: unknown): readonly Tensor[] {
  const list: unknown = isTensor(inputs) ? [inputs] : inputs;
  if (!Array.isArray(list) || !list.every(isTensor))
    throw new ArgumentError(`${op}: inputs must be a Tensor or an array of Tensors, got ${describeValue(inputs)}`);
  return list;
}

/**
 * True if the gradients of `fn` at `inputs` agree with central differences; throws an `AutogradError` that says where they do not.
 * Inputs that require grad should be float64 tensors on the CPU.
 */
export async function gradcheck(
  fn: Check,
  inputs: Tensor | readonly Tensor[],
  options: GradcheckOptions = {},
): Promise<boolean> {
  applyOptions("gradcheck", ["eps", "atol", "rtol", "raiseException"], {}, { ...options }, {});
  const { eps = 1e-6, atol = 1e-5, rtol = 1e-3, raiseException = true } = options;
  const list = tensorsOf("gradcheck", inputs);
  const wanted = wantedOf("gradcheck", list);
  const outputs = outputsOf(fn(...list));
  for (let o = 0; o < outputs.length; o++) {
    const output = outputs[o]!;
    if (!output.requiresGrad) continue;
    const count = output.numel();
    const analytic = wanted.map((t) => new Float64Array(count * t.numel()));
    for (let i = 0; i < count; i++) {
      const seed = new Float64Array(count);
      seed[i] = 1;
      const gradient = fromHost(
        output.impl.backend,
        output.dtype === "float64" ? seed : Float32Array.from(seed),
        output.shape,
        output.dtype,
      );
      const grads = grad([output], wanted, { gradOutputs: [gradient], retainGraph: true, allowUnused: true });
      for (let w = 0; w < wanted.length; w++) {
        const g = grads[w];
        if (g != null) analytic[w]!.set(await g.data(), i * wanted[w]!.numel());
      }
    }
    for (let w = 0; w < wanted.length; w++) {
      const numeric = await differences(fn, list, wanted[w]!, o, eps);
      const n = wanted[w]!.numel();
      for (let k = 0; k < numeric.length; k++) {
        const [x, y] = [analytic[w]![k]!, numeric[k]!];
        if (Math.abs(x - y) <= atol + rtol * Math.abs(y)) continue;
        if (!raiseException) return false;
        throw new AutogradError(
          `gradcheck: Jacobian mismatch for output ${o} with respect to input ${list.indexOf(wanted[w]!)}: ` +
            `element [${Math.floor(k / n)}, ${k % n}] is ${x} by autograd but ${y} by finite differences`,
        );
      }
    }
  }
  return true;
}

/** The inputs to differentiate by. */
function wantedOf(op: string, list: readonly Tensor[]): Tensor[] {
  const wanted = list.filter((t) => t.requiresGrad);
  if (wanted.length === 0) throw new AutogradError(`${op}: at least one input must require grad`);
  for (const t of wanted)
    if (t.dtype !== "float64")
      throw new AutogradError(
        `${op}: inputs must be float64 for differences to be exact enough, got ${t.dtype}; make them on the CPU with { dtype: "float64" }`,
      );
  return wanted;
}

function outputsOf(result: Tensor | readonly Tensor[]): readonly Tensor[] {
  return isTensor(result) ? [result] : result;
}

/** Jacobian of output `o` with respect to one input, [outputs, inputs] in row-major order, by central differences. */
async function differences(
  fn: Check,
  list: readonly Tensor[],
  input: Tensor,
  o: number,
  eps: number,
): Promise<Float64Array> {
  const base = Float64Array.from(await input.data());
  const evaluate = async (values: Float64Array): Promise<ArrayLike<number>> => {
    const moved = fromHost(input.impl.backend, values, input.shape, "float64").requiresGrad_();
    return outputsOf(fn(...list.map((t) => (t === input ? moved : t))))[o]!.data();
  };
  let result: Float64Array | null = null;
  for (let j = 0; j < base.length; j++) {
    const up = base.slice();
    const down = base.slice();
    up[j]! += eps;
    down[j]! -= eps;
    const [high, low] = [await evaluate(up), await evaluate(down)];
    result ??= new Float64Array(high.length * base.length);
    for (let i = 0; i < high.length; i++) result[i * base.length + j] = (high[i]! - low[i]!) / (2 * eps);
  }
  return result ?? new Float64Array(0);
}

/** The same for gradients of gradients: checks `fn`'s gradient, weighted by random numbers, against finite differences. */
export async function gradgradcheck(
  fn: Check,
  inputs: Tensor | readonly Tensor[],
  options: GradcheckOptions = {},
): Promise<boolean> {
  const list = tensorsOf("gradgradcheck", inputs);
  wantedOf("gradgradcheck", list);
  const outputs = outputsOf(fn(...list)).filter((out) => out.requiresGrad);
  if (outputs.length === 0) throw new AutogradError("gradgradcheck: no output of the function requires grad");
  // Weights must not be special numbers; a fixed irregular sequence serves as well as a random one.
  const weights = outputs.map((out, o) => {
    const values = Float64Array.from({ length: out.numel() }, (_, i) => Math.sin(1.3 * i + o + 0.7));
    return fromHost(out.impl.backend, values, out.shape, "float64").requiresGrad_();
  });
  const first: Check = (...args) => {
    const given = args.slice(0, list.length);
    const seeds = args.slice(list.length);
    const wanted = given.filter((t) => t.requiresGrad);
    const outs = outputsOf(fn(...given)).filter((out) => out.requiresGrad);
    return grad(outs, wanted, { gradOutputs: seeds, createGraph: true, allowUnused: true }).filter(
      (g): g is Tensor => g !== null && g.requiresGrad,
    );
  };
  return gradcheck(first, [...list, ...weights], options);
}
