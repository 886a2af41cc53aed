/** Rounding to a number of decimals. */

import { describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { record } from "../autograd/tape.ts";
import { isFloat } from "../dtype.ts";
import { ArgumentError, DTypeError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { elementwise, unary } from "./elementwise.ts";

const ROUND = signature<{ decimals?: number }>()("round", [], ["decimals"]);

/** Nearest integer, ties to even; with `decimals`, nearest multiple of 10^-decimals. */
export function round(input: Tensor, ...args: ArgsOf<typeof ROUND>): Tensor {
  const { decimals = 0 } = parse(ROUND, args, input);
  if (!Number.isInteger(decimals))
    throw new ArgumentError(`round: decimals must be an integer, got ${describeValue(decimals)}`);
  if (decimals === 0) return unary("round", input);
  if (!isFloat(input.dtype)) throw new DTypeError(`round: decimals need a floating point tensor, got ${input.dtype}`);
  const { dtype } = input;
  const factor = 10 ** Math.abs(decimals);
  const up = decimals > 0;
  const out = elementwise(`roundDecimals${up ? "Up" : "Down"}`, 3, [input, factor], dtype, dtype, (k, [x, s]) => {
    const scaled = up ? k.mul(x!, s!) : k.div(x!, s!);
    const rounded = k.un("round", scaled);
    return up ? k.div(rounded, s!) : k.mul(rounded, s!);
  });
  record("RoundBackward1", out, [[input, [], (g) => g.zerosLike()]]);
  return out;
}
