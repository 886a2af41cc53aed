/** Operations whose result, or its shape, depends on values: they read, and so give promises on every device. */

import { parse, signature, type ArgsOf } from "../args.ts";
import { frozen } from "../autograd/inplace.ts";
import { isGradEnabled, withMode } from "../autograd/mode.ts";
import { record } from "../autograd/tape.ts";
import { DTypeError } from "../errors.ts";
import { broadcastShapes, sameShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { checkTensor } from "./apply.ts";
import { tensorLike } from "./creation.ts";
import { isclose } from "./statistics.ts";

/** An int32 tensor beside another. */
function indexLike(like: Tensor, data: Int32Array, shape: readonly number[]): Tensor {
  return tensorLike(like, data, { shape, dtype: "int32" });
}

/** Row-major positions of the nonzero elements. */
async function positionsOf(input: Tensor): Promise<Int32Array> {
  const data = await input.detach().data();
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) count++;
  const result = new Int32Array(count);
  let at = 0;
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) result[at++] = i;
  return result;
}

const NONZERO = signature<{ asTuple?: boolean }>()("nonzero", [], ["asTuple"]);

/** Positions of the nonzero elements (NaN among them) in row-major order: [count, dim], or with `asTuple` one vector a dimension. */
export async function nonzero(input: Tensor, options: { asTuple: true }): Promise<Tensor[]>;
export async function nonzero(input: Tensor, options?: { asTuple?: false }): Promise<Tensor>;
export async function nonzero(input: Tensor, ...args: ArgsOf<typeof NONZERO>): Promise<Tensor | Tensor[]> {
  const { asTuple = false } = parse(NONZERO, args, input);
  checkTensor("nonzero", "input", input);
  // PyTorch's tuple form sees a scalar as a vector of one element.
  const shape = asTuple && input.dim() === 0 ? [1] : input.shape;
  const flat = await positionsOf(input);
  const rank = shape.length;
  const columns = shape.map(() => new Int32Array(flat.length));
  flat.forEach((position, i) => {
    let rest = position;
    for (let d = rank - 1; d >= 0; d--) {
      columns[d]![i] = rest % shape[d]!;
      rest = Math.floor(rest / shape[d]!);
    }
  });
  if (asTuple) return columns.map((c) => indexLike(input, c, [c.length]));
  const rows = new Int32Array(flat.length * rank);
  columns.forEach((c, d) => c.forEach((v, i) => (rows[i * rank + d] = v)));
  return indexLike(input, rows, [flat.length, rank]);
}

/** `nonzero` without its tuple form. */
export function argwhere(input: Tensor): Promise<Tensor> {
  return nonzero(input);
}

const MASKED_SELECT = signature<{ mask: Tensor }>()("maskedSelect", ["mask"]);

/** The elements where `mask` is true, in row-major order, as a vector; input and mask broadcast. Differentiable by the input. */
export async function maskedSelect(input: Tensor, ...args: ArgsOf<typeof MASKED_SELECT>): Promise<Tensor> {
  const { mask } = parse(MASKED_SELECT, args, input);
  checkTensor("maskedSelect", "mask", mask);
  if (mask.dtype !== "bool") throw new DTypeError(`maskedSelect: expected a bool mask, got ${mask.dtype}`);
  const shape = broadcastShapes("maskedSelect", input.shape, mask.shape);
  // Input and grad mode are those at the call, whatever happens while the mask is read.
  const x = frozen(input);
  const grad = isGradEnabled();
  const positions = await positionsOf(mask.detach().expand(shape));
  return withMode({ grad }, () => {
    const index = indexLike(x, positions, [positions.length]);
    const out = x.detach().expand(shape).reshape([-1]).gather(0, index);
    record("MaskedSelectBackward0", out, [
      [
        x,
        [index],
        (g, at) => {
          const zeros = g.newZeros([shape.reduce((a, b) => a * b, 1)]);
          return zeros
            .scatterAdd(0, at, g)
            .reshape(shape)
            .sumToSize([...x.shape]);
        },
      ],
    ]);
    return out;
  });
}

/** True if two tensors have the same shape and equal elements. */
export async function equal(input: Tensor, other: Tensor): Promise<boolean> {
  checkTensor("equal", "input", input);
  checkTensor("equal", "other", other);
  if (!sameShape(input.shape, other.shape)) return false;
  return (await input.detach().eq(other.detach()).all().item()) as unknown as boolean;
}

type CloseArgs = readonly [
  other: Tensor,
  ...rest: (number | boolean | { rtol?: number; atol?: number; equalNan?: boolean })[],
];

/** True if all elements are close, as `isclose` has it. */
export async function allclose(input: Tensor, ...args: CloseArgs): Promise<boolean> {
  const close = isclose(input, ...(args as Parameters<typeof isclose> extends [Tensor, ...infer R] ? R : never));
  return (await close.all().item()) as unknown as boolean;
}
