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
    { from: 0, to: 1 },
    { from: 0, to: 2 },
    { from: 1, to: 2 },
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
