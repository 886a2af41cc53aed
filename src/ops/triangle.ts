/** Positions in triangles of matrices, and choices of elements. */

import { checkInteger, describeValue, parse, signature, type ArgsOf } from "../args.ts";
import { ArgumentError, ShapeError } from "../errors.ts";
import { showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { checkSizes } from "./apply.ts";
import { arange, finish, tensor, type TensorOptions } from "./creation.ts";
import { stack } from "./join.ts";

const TRIL_INDICES = signature<{ row: number; col: number; offset?: number } & TensorOptions>()(
  "trilIndices",
  ["row", "col", "offset"],
  ["dtype", "device"],
);
const TRIU_INDICES = signature<{ row: number; col: number; offset?: number } & TensorOptions>()(
  "triuIndices",
  ["row", "col", "offset"],
  ["dtype", "device"],
);

/** Rows and columns of the elements on and below a diagonal, in row-major order: [2, count] int32. */
export function trilIndices(...args: ArgsOf<typeof TRIL_INDICES>): Tensor {
  const { row, col, offset = 0, ...options } = parse(TRIL_INDICES, args);
  return positionsWhere("trilIndices", row, col, offset, options, (r, c) => c - r <= offset);
}

/** Rows and columns of the elements on and above a diagonal, in row-major order: [2, count] int32. */
export function triuIndices(...args: ArgsOf<typeof TRIU_INDICES>): Tensor {
  const { row, col, offset = 0, ...options } = parse(TRIU_INDICES, args);
  return positionsWhere("triuIndices", row, col, offset, options, (r, c) => c - r >= offset);
}

function positionsWhere(
  op: string,
  rows: number,
  columns: number,
  offset: number,
  options: TensorOptions,
  belongs: (row: number, column: number) => boolean,
): Tensor {
  checkSizes(op, [rows, columns]);
  checkInteger(op, "offset", offset);
  const found: [number[], number[]] = [[], []];
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++)
      if (belongs(r, c)) {
        found[0].push(r);
        found[1].push(c);
      }
  const data = Int32Array.from([...found[0], ...found[1]]);
  return finish(
    tensor(data, { shape: [2, found[0].length], dtype: options.dtype ?? "int32", device: options.device ?? null }),
    options,
  );
}

/** Pairs of rows of a matrix, each once: their positions as two vectors. */
export function indicesOf(matrix: Tensor, offset: number): { rows: Tensor; columns: Tensor } {
  const n = matrix.shape[0]!;
  const [rows, columns] = triuIndices(n, n, offset, { device: matrix.device }).unbind(0) as [Tensor, Tensor];
  return { rows, columns };
}

const COMBINATIONS = signature<{ r?: number; withReplacement?: boolean }>()("combinations", ["r", "withReplacement"]);

/** Most elements that `combinations` gives: their positions are listed on the host. */
const MOST_CHOICES = 2 ** 26;

/** All choices of `r` (2) elements of a vector, in order, as rows. */
export function combinations(input: Tensor, ...args: ArgsOf<typeof COMBINATIONS>): Tensor {
  const { r = 2, withReplacement = false } = parse(COMBINATIONS, args, input);
  if (input.dim() !== 1)
    throw new ShapeError(`combinations: expects a 1D vector as input, but got ${showShape(input.shape)}`);
  if (!Number.isInteger(r) || r < 0)
    throw new ArgumentError(`combinations: expects a non-negative number, but got ${describeValue(r)}`);
  if (r === 0) return input.detach().newZeros([0]);
  const n = input.numel();
  // Choices of r from n, or from n + r - 1 with replacement.
  let choices = 1;
  const from = withReplacement ? n + r - 1 : n;
  for (let i = 1; i <= Math.min(r, from - r) && choices <= MOST_CHOICES; i++) choices *= (from - i + 1) / i;
  if (n > 0 && r <= from && choices * r > MOST_CHOICES)
    throw new ArgumentError(`combinations: more than ${MOST_CHOICES} elements would be chosen for r = ${r} of ${n}`);
  if (r > from) {
    // Nothing can be chosen: r columns of no rows.
    checkSizes("combinations", [0, r]);
    return input.narrow(0, 0, 0).unsqueeze(1).expand([0, r]);
  }
  const chosen: number[][] = [];
  const choose = (list: number[], from: number): void => {
    if (list.length === r) {
      chosen.push(list);
      return;
    }
    for (let i = from; i < n; i++) choose([...list, i], withReplacement ? i : i + 1);
  };
  choose([], 0);
  const columns = Array.from({ length: r }, (_, j) => {
    const index = tensor(
      Int32Array.from(chosen, (c) => c[j]!),
      { shape: [chosen.length], device: input.device },
    );
    return input.indexSelect(0, index);
  });
  return stack(columns, 1);
}

/** Powers that are computed one by one, which is exact for small ones. */
const MOST_POWERS = 64;

const VANDER = signature<{ N?: number | null }>()("vander", ["N"]);

/** Powers 0 to N - 1 of each element, as a last dimension (`linalg.vander`). */
export function vander(x: Tensor, ...args: ArgsOf<typeof VANDER>): Tensor {
  const { N = null } = parse(VANDER, args, x);
  if (x.dim() === 0) throw new ShapeError("vander: expected a tensor of at least one dimension");
  const n = N ?? x.shape.at(-1)!;
  if (!Number.isInteger(n) || n <= 1)
    throw new ArgumentError(`vander: N must be greater than 1, got ${describeValue(n)}`);
  checkSizes("vander", [...x.shape, n]);
  if (n > MOST_POWERS) return x.unsqueeze(-1).pow(arange(n, { dtype: x.dtype, device: x.device }));
  const powers = Array.from({ length: n }, (_, i) => (i === 0 ? x.detach().onesLike() : x.pow(i)));
  return stack(powers, -1);
}
