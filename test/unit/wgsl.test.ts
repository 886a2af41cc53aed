/** The shader text of a few representative kernels, as snapshots: a change of the generator shows as a change of what it writes. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import * as tg from "#tapegrad";
import type { Tensor } from "#tapegrad";
import { NullBackend } from "../../src/backend/null.ts";
import { renderAttention } from "../../src/backend/webgpu/attention-shader.ts";
import { WorkBudget } from "../../src/backend/webgpu/budget.ts";
import { Choices } from "../../src/backend/webgpu/choices.ts";
import { analyse } from "../../src/backend/webgpu/fused.ts";
import { planSteps } from "../../src/backend/webgpu/fused-program.ts";
import type { DeviceFigures } from "../../src/backend/webgpu/program.ts";
import { renderMatmul } from "../../src/backend/webgpu/matmul-shader.ts";
import { renderFused } from "../../src/backend/webgpu/render.ts";
import { wholeLayout } from "../../src/backend/webgpu/variants.ts";
import { backendOf, setBackend, setDefaultBackend } from "../../src/graph/devices.ts";
import type { FusedData } from "../../src/graph/kernel.ts";
import { realize } from "../../src/graph/runtime.ts";

/** A large GPU. */
const FIGURES: DeviceFigures = {
  isSoftware: false,
  maxGroupsPerDimension: 65535,
  sharedBytes: 16384,
  subgroup: 1,
  busyGroups: 256,
  segmentBytes: 2 ** 27,
  maxBindings: 8,
  budget: new WorkBudget(false),
  choices: new Choices("a large GPU"),
};

let device: NullBackend;

beforeEach(() => {
  device = new NullBackend();
  setBackend(device);
  setDefaultBackend(device);
});
afterEach(() => {
  setDefaultBackend(backendOf("cpu"));
});

/** An input that is on the device already. */
function input(...shape: number[]): Tensor {
  const tensor = tg.randn(shape).retain();
  realize([tensor.impl.storage.node]);
  return tensor;
}

/** Every shader that computing a tensor takes, in order of their dispatches. */
function shaders(body: () => Tensor, subgroup = 1): string {
  device.reset();
  realize([body().retain().impl.storage.node]);
  const texts = device.calls.flatMap(({ program: { structure }, data }) => {
    if (structure.kind !== "fused") throw new Error(`${structure.key} is no fused kernel`);
    const plan = analyse(structure);
    const fused = data as FusedData;
    const rows = fused.outer.reduce((n, size) => n * size, 1);
    const layout = wholeLayout(
      structure,
      structure.buffers.map((_, slot) => slot),
    );
    return planSteps(plan, fused, FIGURES, rows).map(
      ({ variant }) => renderFused(plan, variant, layout, subgroup).code,
    );
  });
  expect(texts.length).toBeGreaterThan(0);
  return `\n${texts.join("\n// ----\n")}`;
}

const snapshot = (name: string): string => `./wgsl/${name}.wgsl`;

describe("WGSL", () => {
  it("of a chain of ten elementwise operations", async () => {
    const x = input(64, 128);
    const text = shaders(() => {
      let y = x;
      for (let i = 0; i < 5; i++) y = y.mul(1.5).add(x).tanh();
      return y;
    });
    await expect(text).toMatchFileSnapshot(snapshot("elementwise"));
  });

  it("of a sum of rows", async () => {
    const x = input(512, 300);
    await expect(shaders(() => x.sum(1))).toMatchFileSnapshot(snapshot("row-sum"));
  });

  it("of a sum of one long row, in chunks", async () => {
    const x = input(1_000_000);
    await expect(shaders(() => x.sum())).toMatchFileSnapshot(snapshot("long-sum"));
  });

  it("of a softmax", async () => {
    const x = input(512, 300);
    await expect(shaders(() => x.softmax(1))).toMatchFileSnapshot(snapshot("softmax"));
  });

  it("of a softmax of rows in subgroups of 32", async () => {
    const x = input(512, 300);
    await expect(shaders(() => x.softmax(1), 32)).toMatchFileSnapshot(snapshot("softmax-subgroups"));
  });

  it("of a sum with a transposed matrix", async () => {
    const [x, y] = [input(32, 48), input(48, 32)];
    await expect(shaders(() => x.add(y.t()))).toMatchFileSnapshot(snapshot("transposed-add"));
  });

  it("of a gather", async () => {
    const x = input(10, 8);
    const index = tg.tensor([1, 0, 9, 3, 3, 5], { dtype: "int32" });
    await expect(shaders(() => x.at(index))).toMatchFileSnapshot(snapshot("gather"));
  });

  it.each(["forward", "query", "keyValue"] as const)("of attention, pass %s", async (pass) => {
    const slot = { dtype: "float32", mode: "read" } as const;
    const buffers = Array.from({ length: pass === "forward" ? 4 : 7 }, () => slot);
    const { code } = renderAttention("attention", [...buffers.slice(1), { ...slot, mode: "write" }], {
      attrs: { pass, mask: "none", rank: 1 },
      tiling: { rows: 32, columns: 16 },
      width: 64,
      valueWidth: 64,
      wide: buffers.map((_, i) => i < 3),
    });
    await expect(`\n${code}`).toMatchFileSnapshot(snapshot(`attention-${pass}`));
  });

  it("of a tile of a matrix product", async () => {
    const [a, b] = [input(48, 32), input(32, 40)];
    device.reset();
    realize([a.matmul(b).retain().impl.storage.node]);
    expect(device.calls.map((c) => c.program.structure.kind)).toEqual(["routine"]);
    const { structure } = device.calls[0]!.program;
    const tiling = { tm: 32, tn: 32, tk: 16, rm: 4, rn: 4 };
    const { code } = renderMatmul(structure.key, structure.buffers, 0, tiling, true, false, false);
    await expect(`\n${code}`).toMatchFileSnapshot(snapshot("matmul"));
  });
});
