/** The tape as a graph: entries, edges, names. */

import { expect, test } from "vitest";
import * as tg from "#tapegrad";

test("entries are called by the tensors that they made, where names are given", () => {
  const x = tg.tensor([1, 2], { requiresGrad: true });
  const square = x.square();
  const y = square.mul(x);
  const { nodes, edges, toDot } = tg.graph(y, { names: { x, "x²": square, other: tg.ones(1) } });
  expect(nodes.map(({ name, variable }) => [name, variable])).toEqual([
    ["MulBackward0", null],
    ["PowBackward0", "x²"],
    ["AccumulateGrad", "x"],
  ]);
  expect(edges).toEqual([
    { from: 0, to: 1, input: 0, result: 0 },
    { from: 0, to: 2, input: 1, result: 0 },
    { from: 1, to: 2, input: 0, result: 0 },
  ]);
  expect(toDot()).toContain('n1 [label="x²"];');
  expect(toDot((node) => node.name)).toContain('n1 [label="PowBackward0"];');
});

test("a tensor off the tape has an empty graph", () => {
  expect(tg.graph(tg.ones(2)).nodes).toEqual([]);
});

test("an unknown option is refused", () => {
  expect(() => tg.graph(tg.ones(2), { name: {} } as object)).toThrow(
    'graph: unknown option "name" (did you mean "names"?); known are names',
  );
});

test("says shapes, saved bytes, and which input came from which result", () => {
  const x = tg.ones(2, 3).requiresGrad_();
  const squares = x.square();
  const [a, b] = squares.split(2, 1);
  const y = a!.mul(b!);
  const tape = tg.graph(y);
  const byName = (name: string) => tape.nodes.find((n) => n.name === name)!;
  const product = byName("MulBackward0");
  const parts = byName("SplitBackward0");
  expect(product.results).toEqual([{ shape: [2, 2], dtype: "float32" }]);
  expect(parts.results).toEqual([
    { shape: [2, 2], dtype: "float32" },
    { shape: [2, 1], dtype: "float32" },
  ]);
  expect(tape.edges.filter((e) => e.from === product.id)).toEqual([
    { from: product.id, to: parts.id, input: 0, result: 0 },
    { from: product.id, to: parts.id, input: 1, result: 1 },
  ]);
  expect(byName("AccumulateGrad").shape).toEqual([2, 3]);
  // The product keeps two views of one value of six elements; the square keeps its operand.
  expect([product.savedBytes, byName("PowBackward0").savedBytes, parts.savedBytes]).toEqual([24, 24, 0]);
  expect(tape.savedBytes).toBe(48);
  y.sum().backward();
  expect(tg.graph(y).nodes.find((n) => n.name === "MulBackward0")!.savedBytes).toBe(null);
  expect(tg.graph(y).savedBytes).toBe(0);
});
