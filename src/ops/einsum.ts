/** Einstein summation. */

import { ArgumentError, ShapeError } from "../errors.ts";
import { numel, showShape } from "../graph/view.ts";
import type { Tensor } from "../tensor.ts";
import { checkTensor } from "./apply.ts";

/** An operand and the label of each of its dimensions. */
interface Labelled {
  readonly tensor: Tensor;
  readonly labels: readonly string[];
}

/**
 * Sums of products of elements whose labelled dimensions agree: `einsum("ij,jk->ik", a, b)` is a matrix product. Labels are letters; `...` stands for
 * further dimensions, which broadcast. Without `->`, the result has the labels that occur once, in alphabetical order. Operands are
 * contracted from left to right by matrix products.
 */
export function einsum(equation: string, ...operands: readonly (Tensor | readonly Tensor[])[]): Tensor {
  if (typeof equation !== "string")
    throw new ArgumentError('einsum: the first argument must be an equation, such as "ij,jk->ik"');
  const tensors = operands.flatMap((o) => o as Tensor | Tensor[]);
  tensors.forEach((t, i) => checkTensor("einsum", `operand ${i}`, t));
  if (tensors.length === 0) throw new ArgumentError("einsum: must provide at least one operand");
  const { inputs, output } = parseEquation(equation, tensors);
  const sizes = sizesOf(equation, tensors, inputs);
  for (const label of output)
    if (!sizes.has(label))
      throw new ArgumentError(
        `einsum: output subscript ${label} does not appear in the equation for any input operand`,
      );
  let rest = tensors.map((tensor, i) => withoutOnes(diagonals(tensor, inputs[i]!), sizes));
  while (rest.length > 1) {
    const [a, b, ...others] = rest as [Labelled, Labelled, ...Labelled[]];
    const needed = new Set([...output, ...others.flatMap((o) => o.labels)]);
    rest = [contract(a, b, needed), ...others];
  }
  return arrange(rest[0]!, output, sizes);
}

/** Labels of the operands and of the result; dimensions of the ellipsis are labelled by their distance from its end. */
function parseEquation(equation: string, tensors: readonly Tensor[]): { inputs: string[][]; output: string[] } {
  const compact = equation.replaceAll(" ", "");
  const [left, right, ...more] = compact.split("->") as [string, string?, ...string[]];
  if (more.length > 0) throw new ArgumentError(`einsum: "${equation}" has more than one arrow`);
  const parts = left.split(",");
  if (parts.length !== tensors.length)
    throw new ArgumentError(
      `einsum: "${equation}" has ${parts.length} operands, but ${tensors.length} ${tensors.length === 1 ? "was" : "were"} provided`,
    );
  let widest = 0;
  const inputs = parts.map((part, i) => {
    const letters = part.replace("...", "").length;
    const { shape } = tensors[i]!;
    const extra = shape.length - letters;
    const open = part.includes("...");
    if (open ? extra < 0 : extra !== 0)
      throw new ShapeError(
        `einsum: the number of subscripts in "${part}" does not match the ${shape.length} dimensions of operand ${i}, ${showShape(shape)}`,
      );
    if (open) widest = Math.max(widest, extra);
    return labelsOf(equation, part, extra);
  });
  if (right !== undefined) {
    const output = labelsOf(equation, right, widest);
    if (new Set(output).size !== output.length)
      throw new ArgumentError(`einsum: a subscript appears more than once in the output of "${equation}"`);
    return { inputs, output };
  }
  const all = inputs.flat();
  const once = [...new Set(all)].filter((l) => l.length === 1 && all.filter((m) => m === l).length === 1);
  return { inputs, output: [...labelsOf(equation, "...", widest), ...once.sort()] };
}

function labelsOf(equation: string, part: string, ellipsisRank: number): string[] {
  const [before, after, ...more] = part.split("...") as [string, string?, ...string[]];
  if (more.length > 0 || /[^A-Za-z]/.test(before + (after ?? "")))
    throw new ArgumentError(
      `einsum: "${equation}" may hold only letters, one ellipsis an operand, commas and an arrow`,
    );
  if (after === undefined) return before.split("");
  const dots = Array.from({ length: ellipsisRank }, (_, i) => `.${ellipsisRank - i}`);
  return [...before.split(""), ...dots, ...after.split("")];
}

function sizesOf(
  equation: string,
  tensors: readonly Tensor[],
  inputs: readonly (readonly string[])[],
): Map<string, number> {
  const sizes = new Map<string, number>();
  inputs.forEach((labels, i) =>
    labels.forEach((label, d) => {
      const n = tensors[i]!.shape[d]!;
      const known = sizes.get(label) ?? 1;
      if (known !== 1 && n !== 1 && known !== n)
        throw new ShapeError(
          `einsum: operand ${i} of "${equation}" has size ${n} for subscript ${label}, which does not broadcast with ${known}`,
        );
      sizes.set(label, n === 1 ? known : n);
    }),
  );
  return sizes;
}

/** A label that is repeated within an operand takes the diagonal. */
function diagonals(tensor: Tensor, labels: readonly string[]): Labelled {
  for (let d = 0; d < labels.length; d++) {
    const again = labels.indexOf(labels[d]!, d + 1);
    if (again < 0) continue;
    if (tensor.shape[d] !== tensor.shape[again])
      throw new ShapeError(
        `einsum: subscript ${labels[d]} is repeated for dimensions of sizes ${tensor.shape[d]} and ${tensor.shape[again]}`,
      );
    const next = labels.filter((_, i) => i !== d && i !== again);
    return diagonals(tensor.diagonal(0, d, again), [...next, labels[d]!]);
  }
  return { tensor, labels };
}

/** Dimensions of size one that broadcast are dropped: the product repeats them by itself. */
function withoutOnes({ tensor, labels }: Labelled, sizes: ReadonlyMap<string, number>): Labelled {
  const keep = labels.map((label, d) => !(tensor.shape[d] === 1 && sizes.get(label) !== 1));
  if (!keep.includes(false)) return { tensor, labels };
  return { tensor: tensor.reshape(tensor.shape.filter((_, d) => keep[d])), labels: labels.filter((_, d) => keep[d]) };
}

/** Sums over the labels that are not wanted. */
function reduceTo({ tensor, labels }: Labelled, wanted: (label: string) => boolean): Labelled {
  const dims = labels.flatMap((label, d) => (wanted(label) ? [] : [d]));
  if (dims.length === 0) return { tensor, labels };
  return { tensor: tensor.sum(dims), labels: labels.filter(wanted) };
}

/** The product of two operands, summed over what neither the result nor a later operand needs. */
function contract(left: Labelled, right: Labelled, needed: ReadonlySet<string>): Labelled {
  const a = reduceTo(left, (l) => needed.has(l) || right.labels.includes(l));
  const b = reduceTo(right, (l) => needed.has(l) || left.labels.includes(l));
  const shared = a.labels.filter((l) => b.labels.includes(l));
  const batch = shared.filter((l) => needed.has(l));
  const summed = shared.filter((l) => !needed.has(l));
  const freeA = a.labels.filter((l) => !shared.includes(l));
  const freeB = b.labels.filter((l) => !shared.includes(l));
  const pick = (x: Labelled, order: readonly string[]): Tensor =>
    x.tensor.permute(order.map((l) => x.labels.indexOf(l)));
  const shapeOf = (x: Labelled, order: readonly string[]): number[] =>
    order.map((l) => x.tensor.shape[x.labels.indexOf(l)]!);
  const labels = [...batch, ...freeA, ...freeB];
  if (summed.length === 0) {
    const first = pick(a, [...batch, ...freeA]);
    const second = pick(b, [...batch, ...freeB]);
    const ones = new Array<number>(freeB.length).fill(1);
    const spread = first.reshape([...first.shape, ...ones]);
    const other = second.reshape([
      ...shapeOf(b, batch),
      ...new Array<number>(freeA.length).fill(1),
      ...shapeOf(b, freeB),
    ]);
    return { tensor: spread.mul(other), labels };
  }
  const sizes = { batch: shapeOf(a, batch), m: shapeOf(a, freeA), k: shapeOf(a, summed), n: shapeOf(b, freeB) };
  const x = pick(a, [...batch, ...freeA, ...summed]).reshape([numel(sizes.batch), numel(sizes.m), numel(sizes.k)]);
  const y = pick(b, [...batch, ...summed, ...freeB]).reshape([numel(sizes.batch), numel(sizes.k), numel(sizes.n)]);
  return { tensor: x.bmm(y).reshape([...sizes.batch, ...sizes.m, ...sizes.n]), labels };
}

/** The last operand with the result's dimensions in order. */
function arrange(last: Labelled, output: readonly string[], sizes: ReadonlyMap<string, number>): Tensor {
  const { tensor, labels } = reduceTo(last, (l) => output.includes(l));
  const present = output.filter((l) => labels.includes(l));
  const ordered = tensor.permute(present.map((l) => labels.indexOf(l)));
  const shape = output.map((l) => (labels.includes(l) ? tensor.shape[labels.indexOf(l)]! : 1));
  return ordered.reshape(shape).expand(output.map((l) => sizes.get(l)!));
}
