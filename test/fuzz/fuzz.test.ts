/** A fixed sample of the fuzzer, and the fuzzer itself: it must notice what is wrong. The long runs are `npm run fuzz`. */

import { expect, test } from "vitest";
import * as tg from "#tapegrad";
import { onDevice } from "../support/device.ts";
import { TEST_DEVICES } from "../support/portable.ts";
import { Fuzzer, type Report } from "./fuzz.ts";
import { findTargets, type Target } from "./targets.ts";

const { targets, complaints } = findTargets();
const SEED = 20;
const SWEEPS = { cpu: 5, webgpu: 1 } as const;
const BATCH = 32;

/** On the CPU everything that is exported; on the GPU, whose calls cost more, each operation by one of its names. */
const SAMPLE = {
  cpu: targets,
  webgpu: [...new Map(targets.map((t) => [t.generator, t])).values()],
} as const;

test("every export and every method has a generator, or a reason to have none", () => {
  expect(complaints).toEqual([]);
});

test.for(TEST_DEVICES)("every operation on %s", { timeout: 240_000 }, async (device) => {
  const fuzzer = new Fuzzer(SAMPLE[device], device, SEED, true);
  const total = SWEEPS[device] * SAMPLE[device].length;
  await onDevice(device, async () => {
    for (let at = 0; at < total; at += BATCH) await fuzzer.run(at, Math.min(at + BATCH, total));
  });
  const { findings, calls, compared, refused } = fuzzer.report;
  expect(findings.map((f) => `case ${f.case}: ${f.problem}\n${f.call}`)).toEqual([]);
  expect(calls).toBe(total);
  // Most calls are meaningful, and a part of them is wrong.
  expect(compared / calls).toBeGreaterThan(0.6);
  expect(refused / calls).toBeGreaterThan(0.08);
});

async function sampleOf(name: string, spoilt: (target: Target) => Target["call"]): Promise<Report> {
  const target = targets.find((t) => t.name === name)!;
  const fuzzer = new Fuzzer([{ ...target, call: spoilt(target) }], "cpu", SEED);
  await onDevice("cpu", () => fuzzer.run(0, 60));
  return fuzzer.report;
}

test("wrong values, wrong shapes, accidents and silence are found", async () => {
  const off = await sampleOf(
    "tg.exp",
    ({ call }) =>
      (args) =>
        (call(args) as tg.Tensor).mul(1.0001),
  );
  expect(off.findings.map((f) => f.problem)).toContainEqual(expect.stringMatching(/^element \d+ is .* instead of /));
  const flat = await sampleOf(
    "tg.add",
    ({ call }) =>
      (args) =>
        (call(args) as tg.Tensor).reshape(-1),
  );
  expect(flat.findings.map((f) => f.problem)).toContainEqual(expect.stringMatching(/^shape .* instead of /));
  const accident = await sampleOf("tg.sum", () => () => {
    throw new TypeError("an accident");
  });
  expect(accident.findings.map((f) => f.problem)).toContainEqual(expect.stringMatching(/^TypeError: an accident/));
  const deaf = await sampleOf("tg.matmul", () => () => tg.zeros(1));
  expect(deaf.findings.map((f) => f.problem)).toContainEqual("was accepted, but must be refused");
});

test("a case is the same again", async () => {
  const once = new Fuzzer(targets, "cpu", 1);
  const again = new Fuzzer(targets, "cpu", 1);
  await onDevice("cpu", async () => {
    await once.run(100, 110);
    await again.run(100, 110);
  });
  expect(once.report).toEqual(again.report);
});
