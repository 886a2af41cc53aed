/** The most that a GPU does, measured: bytes that a copy moves, and multiply-adds in registers. */

import type { Ceiling } from "../backend.ts";
import type { Pipelines } from "./pipelines.ts";
import type { Recorder } from "./recorder.ts";
import { foldGrid, ShaderText, WORKGROUP, type Shader, type WordWriter } from "./shader.ts";
import { SHADERS } from "./shaders.generated.ts";
import { Stopwatch } from "./stopwatch.ts";
import { TrialMemory } from "./tuner.ts";

/** Bytes that are copied at once: on hardware more than caches hold. */
const COPIED_BYTES = 2 ** 27;
const COPIED_BYTES_IN_SOFTWARE = 2 ** 22;
/** Workgroups of multiply-adds: more than any device runs at once. */
const GROUPS = 4096;
const GROUPS_IN_SOFTWARE = 8;
/** Operations of an invocation in one turn: eight chains of vectors of four, two operations each. */
const FLOPS_A_TURN = 64;
const FIRST_TURNS = 64;
const MOST_TURNS = 2 ** 16;
/** Milliseconds from which a measurement is taken for exact, and how often it is made. */
const TARGET_MS = 8;
const ROUNDS = 3;
const MOST_COPIES = 256;

/** What is measured with. */
export interface CeilingParts {
  readonly device: GPUDevice;
  readonly recorder: Recorder;
  readonly pipelines: Pipelines;
  readonly isSoftware: boolean;
  readonly segmentBytes: number;
  readonly maxGroupsPerDimension: number;
}

function copyShader(): Shader {
  const text = new ShaderText();
  text.field("count", "u32");
  text.bind("source", "vec4<u32>", 0, false);
  text.bind("copied", "vec4<u32>", 1, true);
  return text.finish("ceiling|copy", SHADERS.ceiling_copy, false);
}

function multiplyAddShader(): Shader {
  const text = new ShaderText();
  text.field("turns", "u32");
  text.field("factor", "f32");
  text.field("term", "f32");
  text.bind("result", "f32", 0, true);
  return text.finish("ceiling|fma", SHADERS.ceiling_fma, false);
}

/** Milliseconds of the fastest of some rounds. */
async function least(time: () => Promise<number>): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) best = Math.min(best, await time());
  return best;
}

/** Measures a device, on memory of its own; null if it has no memory for that, or is gone. */
export async function measureCeiling(parts: CeilingParts): Promise<Ceiling | null> {
  const { device, recorder, pipelines, isSoftware, segmentBytes, maxGroupsPerDimension } = parts;
  const stopwatch = new Stopwatch(device, recorder);
  const memory = new TrialMemory(device, recorder);
  try {
    const [copy, multiplyAdd] = [pipelines.add(copyShader()), pipelines.add(multiplyAddShader())];
    await Promise.all([copy.done, multiplyAdd.done]);
    const bytes = Math.min(isSoftware ? COPIED_BYTES_IN_SOFTWARE : COPIED_BYTES, segmentBytes);
    const groups = isSoftware ? GROUPS_IN_SOFTWARE : GROUPS;
    const taken = await memory.attempt(() => [
      memory.take(bytes),
      memory.take(bytes),
      memory.take(4 * groups * WORKGROUP),
    ]);
    if (taken === null || copy.ready === null || multiplyAdd.ready === null) return null;
    const [source, copied, result] = taken;

    const count = Math.floor(bytes / 16);
    const copyGrid = foldGrid(Math.ceil(count / WORKGROUP), maxGroupsPerDimension);
    const copying = (times: number): Promise<number> =>
      stopwatch.time((r) => {
        for (let i = 0; i < times; i++) r.dispatch(copy, [source!, copied!], copyGrid, 0, (w) => w.u32(count), 1);
      });
    await copying(1);
    const once = await copying(1);
    const copies = Math.min(Math.max(Math.ceil(TARGET_MS / Math.max(once, 0.01)), 1), MOST_COPIES);
    const copyMs = await least(() => copying(copies));

    const grid = foldGrid(groups, maxGroupsPerDimension);
    const multiplying = (turns: number): Promise<number> => {
      const words = (w: WordWriter): void => {
        w.u32(turns);
        w.f32(0.5);
        w.f32(1);
      };
      return stopwatch.time((r) => r.dispatch(multiplyAdd, [result!], grid, 0, words, 1));
    };
    let turns = FIRST_TURNS;
    await multiplying(turns);
    // Little by little: nobody knows yet what the device can do before a watchdog ends it.
    while (turns < MOST_TURNS && (await multiplying(turns)) < TARGET_MS / 2) turns *= 2;
    const multiplyMs = await least(() => multiplying(turns));
    if (copyMs === 0 || multiplyMs === 0) return null;
    return {
      bandwidth: (2 * 16 * count * copies * 1e3) / copyMs,
      flops: (FLOPS_A_TURN * turns * groups * WORKGROUP * 1e3) / multiplyMs,
    };
  } catch {
    return null; // the device is gone, which is reported by itself
  } finally {
    memory.destroy();
    stopwatch.destroy();
  }
}
