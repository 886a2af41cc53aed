/** The page of a training step's memory, without its page: lanes add up, source maps are followed, networks learn. */

import { describe, expect, test } from "vitest";
import type { Timeline, TimelineBuffer, TimelineValue } from "#tapegrad";
import { bandsOf, bytesByKind, bytesOver, kindOf, lanesOf, showBytes, showStep } from "../../demo/memory/lanes.ts";
import { MODELS, timelineOf } from "../../demo/memory/models.ts";
import { numbersOf, originalOf } from "../../demo/memory/source-lines.ts";
import { onDevice } from "../support/device.ts";
import { TEST_DEVICES } from "../support/portable.ts";

const value = (given: Partial<TimelineValue>): TimelineValue => ({
  operation: "mul",
  shape: [2],
  dtype: "float32",
  owner: "temporary",
  site: null,
  from: 0,
  to: 0,
  writtenBy: [],
  readBy: [],
  ...given,
});

const buffer = (given: Partial<TimelineBuffer>): TimelineBuffer => ({
  bytes: 8,
  from: 0,
  to: null,
  isOld: false,
  owner: "temporary",
  values: [],
  reusedBy: null,
  ...given,
});

const step = (kind: "kernel" | "upload" | "read", phase: "forward" | "backward" | "step", bytes: number) => ({
  kind,
  phase,
  bytes,
  operations: ["mul", "add"],
});

/** Two buffers that are there, one for a moment, and one that serves a saved value and then a gradient. */
const TIMELINE: Timeline = {
  steps: [
    step("upload", "forward", 108),
    step("kernel", "forward", 1132),
    step("kernel", "backward", 1132),
    step("kernel", "step", 1132),
    step("read", "step", 132),
  ],
  buffers: [
    buffer({ bytes: 100, isOld: true, values: [value({ owner: "parameter", from: 0, to: 4 })] }),
    buffer({ bytes: 8, to: 4, values: [value({ operation: "tensor", owner: "host copy", from: 0, to: 1 })] }),
    buffer({ bytes: 50, from: 1, to: 1 }),
    buffer({
      bytes: 1000,
      from: 1,
      to: 4,
      values: [value({ owner: "saved for backward", from: 1, to: 1 }), value({ owner: "gradient", from: 2, to: 3 })],
    }),
    buffer({ bytes: 24, from: 1, values: [value({ owner: "host copy", from: 1, to: 4, readBy: [4] })] }),
    buffer({ bytes: 8, from: 4, values: [value({ owner: "optimiser state", from: 4, to: 4 })] }),
  ],
  peakBytes: 1182,
  peakAt: 1,
};

describe("lanes", () => {
  const lanes = lanesOf(TIMELINE);

  test("are in order of kind, without buffers of a moment, and end where buffers do", () => {
    expect(lanes.map(({ kind, from, to }) => [kind, from, to])).toEqual([
      ["parameter", 0, 5],
      ["optimiser state", 4, 5],
      ["gradient", 1, 4],
      ["input", 0, 4],
      ["output", 1, 5],
    ]);
    expect(lanes[2]!.stays.map(({ kind, from, to }) => [kind, from, to])).toEqual([
      ["saved value", 1, 2],
      ["gradient", 2, 4],
    ]);
  });

  test("add up to the bytes of each step", () => {
    expect(bytesOver(lanes, TIMELINE.steps.length)).toEqual(TIMELINE.steps.map(({ bytes }) => bytes));
  });

  test("tell what memory is for at a step", () => {
    const at = (position: number): object =>
      Object.fromEntries([...bytesByKind(lanes, position)].filter(([, bytes]) => bytes > 0));
    expect(at(1)).toEqual({ parameter: 100, "saved value": 1000, input: 8, output: 24 });
    expect(at(3)).toEqual({ parameter: 100, gradient: 1000, input: 8, output: 24 });
    expect(at(4)).toEqual({ parameter: 100, "optimiser state": 8, output: 24 });
  });

  test("know kinds by owner, but inputs and outputs by where they come from and go", () => {
    const kind = (given: Partial<TimelineValue>): string => kindOf(value(given), TIMELINE.steps);
    expect(kind({ owner: "parameter", operation: "tensor" })).toBe("parameter");
    expect(kind({ owner: "saved for backward", operation: "tensor" })).toBe("input");
    expect(kind({ owner: "saved for backward" })).toBe("saved value");
    expect(kind({ owner: "saved for backward", readBy: [2, 4] })).toBe("output");
    expect(kind({ owner: "recomputable" })).toBe("temporary");
    expect(kind({ owner: "written in place" })).toBe("optimiser state");
  });

  test("stand before bands of the step's parts", () => {
    expect(bandsOf(TIMELINE.steps)).toEqual([
      { phase: "forward", from: 0, to: 2 },
      { phase: "backward", from: 2, to: 3 },
      { phase: "step", from: 3, to: 5 },
    ]);
    expect(bandsOf([])).toEqual([]);
    expect(showStep(TIMELINE.steps[1]!, 1)).toBe("mul, add (kernel 2)");
    expect([0, 1023, 1536, 3 * 2 ** 20].map(showBytes)).toEqual(["0 B", "1023 B", "1.5 KiB", "3.0 MiB"]);
  });
});

test("source maps lead from a line that runs to the one that was written", () => {
  expect(numbersOf("AAgBC")).toEqual([0, 0, 16, 1]);
  expect(numbersOf("D+/B")).toEqual([-1, 1023]);
  const map = {
    sources: ["../a/model.ts"],
    sourcesContent: ["const a = 1;\n\n  const b = a.mul(2);\nconst c = b;"],
    // Line 1: column 1 from line 1; line 2: column 1 from line 3, column 11 from line 4.
    mappings: "AAAA;AAEA,UACA",
  };
  expect(originalOf(map, 1, 5)).toEqual({ file: "model.ts", line: 1, text: "const a = 1;" });
  expect(originalOf(map, 2, 3)).toEqual({ file: "model.ts", line: 3, text: "const b = a.mul(2);" });
  expect(originalOf(map, 2, 11)).toEqual({ file: "model.ts", line: 4, text: "const c = b;" });
  expect(originalOf(map, 7, 1)).toBeNull();
});

describe.for(TEST_DEVICES)("on %s", { timeout: 180_000 }, (device) => {
  test("every network trains, with the same loss with and without checkpointing, and its lanes add up", () =>
    onDevice(device, async () => {
      for (const name of Object.keys(MODELS)) {
        const losses: number[] = [];
        for (const checkpointing of [false, true]) {
          const timeline = await timelineOf(name, checkpointing);
          losses.push(timeline.result);
          const lanes = lanesOf(timeline);
          expect(bytesOver(lanes, timeline.steps.length)).toEqual(timeline.steps.map(({ bytes }) => bytes));
          const kinds = new Set(lanes.flatMap(({ stays }) => stays.map(({ kind }) => kind)));
          for (const kind of ["parameter", "optimiser state", "gradient", "input", "output"] as const)
            expect(kinds).toContain(kind);
          expect(timeline.steps.map(({ phase }) => phase)).toContain("step");
        }
        expect(losses[0]).toBeGreaterThan(0);
        expect(losses[1]).toBeCloseTo(losses[0]!, 4);
      }
    }));

  test("an unknown network is refused", () =>
    onDevice(device, async () => {
      await expect(timelineOf("rnn", false)).rejects.toThrow("the model must be mlp, cnn, gpt");
    }));
});
