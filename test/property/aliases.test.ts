/** Writes through random views of one base, and reads between them, against strided arrays that share their cells. */

import fc from "fast-check";
import { describe, test } from "vitest";
import * as tg from "#tapegrad";
import { onDevice } from "../support/device.ts";
import * as model from "./model.ts";
import { apply, arrayOf, expectError, expectSame, shapeOf, stepOf, tensorOf, VIEWS, type Pair } from "./steps.ts";

/** One thing done to the aliases; the picks choose among those that there are. */
const action = fc.oneof(
  fc.record({ kind: fc.constant("view" as const), alias: fc.nat(59), step: stepOf([...VIEWS, "expand"]) }),
  fc.record({
    kind: fc.constantFrom("fill_", "add_", "mul_", "read" as const),
    alias: fc.nat(59),
    value: fc.integer({ min: -2, max: 2 }),
  }),
  fc.record({
    kind: fc.constantFrom("copy_", "add_ of", "sub_ of", "keep" as const),
    alias: fc.nat(59),
    source: fc.nat(59),
  }),
);

/** What the last kinds do to an element, given that of the source. */
const COMBINE = {
  copy_: (_: number, y: number) => y,
  "add_ of": (x: number, y: number) => x + y,
  "sub_ of": (x: number, y: number) => x - y,
};

describe.for([
  ["cpu", 800],
  ["webgpu", 15],
] as const)("on %s", ([device, numRuns]) => {
  const property = (dtype: "float32" | "int32") =>
    fc.asyncProperty(
      arrayOf(shapeOf(0, 4, 3)),
      fc.array(action, { minLength: 2, maxLength: 16 }),
      async (cells, actions) => {
        const aliases: Pair[] = [{ tensor: tensorOf(cells, dtype), model: cells }];
        // Results computed on the way keep the values of their time.
        const kept: { tensor: tg.Tensor; shape: readonly number[]; values: number[] }[] = [];
        for (const done of actions) {
          const target = aliases[done.alias % aliases.length]!;
          const { tensor: t, model: m } = target;
          if (done.kind === "view") {
            const made = apply(target, done.step);
            if (made.model !== m) aliases.push(made);
          } else if (done.kind === "read") {
            await expectSame(t, m.shape, model.elements(m));
          } else if (done.kind === "keep") {
            kept.push({ tensor: t.mul(2).retain(), shape: m.shape, values: model.elements(m).map((x) => 2 * x) });
          } else if ("value" in done) {
            const { kind, value } = done;
            const run = (): unknown =>
              kind === "fill_" ? t.fill_(value) : kind === "add_" ? t.add_(value) : t.mul_(value);
            if (model.overlaps(m) && kind !== "fill_") expectError(run, tg.ShapeError);
            else if (!model.overlaps(m)) {
              run();
              const change = (x: number): number =>
                kind === "fill_" ? value : kind === "add_" ? x + value : x * value;
              model.write(m, model.elements(m).map(change));
            }
          } else {
            const source = aliases[done.source % aliases.length]!;
            const { kind } = done;
            const run = (): unknown =>
              kind === "copy_"
                ? t.copy_(source.tensor)
                : kind === "add_ of"
                  ? t.add_(source.tensor)
                  : t.sub_(source.tensor);
            const fits = String(model.broadcast(m.shape, source.model.shape)) === String(m.shape);
            const rank = source.model.shape.length <= m.shape.length;
            if (model.overlaps(m) || !fits || !rank) expectError(run, tg.ShapeError);
            else {
              const values = model.elements(model.expand(source.model, m.shape));
              const before = model.elements(m);
              run();
              model.write(
                m,
                before.map((x, i) => COMBINE[kind](x, values[i]!)),
              );
            }
          }
        }
        for (const { tensor, model: m } of aliases) await expectSame(tensor, m.shape, model.elements(m));
        for (const { tensor, shape, values } of kept) await expectSame(tensor, shape, values);
      },
    );

  test.for(["float32", "int32"] as const)("all aliases of a %s base agree", (dtype) =>
    onDevice(device, () => fc.assert(property(dtype), { numRuns })),
  );
});
