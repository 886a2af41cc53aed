/** The trainings of the demos, without their pages, on every device: they learn, and can be asked while they do. */

import { describe, expect, test } from "vitest";
import { CurveFit, DEFAULTS, PARAMETERS } from "../../demo/curve/fitting.ts";
import { History } from "../../demo/shared/history.ts";
import { SpiralTraining } from "../../demo/spirals/training.ts";
import { onDevice } from "../support/device.ts";
import { TEST_DEVICES } from "../support/portable.ts";

describe.for(TEST_DEVICES)("on %s", { timeout: 180_000 }, (device) => {
  test("the network tells the arms of the spiral apart", () =>
    onDevice(device, async () => {
      const training = new SpiralTraining({ pointsPerArm: 60, learningRate: 0.01 });
      const before = await training.accuracy();
      const losses = [await training.train(1), await training.train(30), await training.train(60)];
      expect(losses[1]).toBeLessThan(0.7 * losses[0]!);
      expect(losses[2]).toBeLessThan(0.3 * losses[0]!);
      expect(training.steps).toBe(91);
      expect(before).toBeLessThan(0.7);
      expect(await training.accuracy()).toBeGreaterThan(0.95);

      const picture = Array.from(await training.picture(8));
      expect(picture).toHaveLength(8 * 8 * 3);
      for (let place = 0; place < 64; place++) {
        const [a, b, c] = picture.slice(3 * place);
        expect(a! + b! + c!).toBeCloseTo(1, 5);
      }
      const points = await training.points;
      expect(points).toHaveLength(2 * 3 * 60);
      expect(new Set(await training.labels)).toEqual(new Set([0, 1, 2]));
      for (let i = 0; i < points.length; i += 2) expect(Math.hypot(points[i]!, points[i + 1]!)).toBeLessThan(1 + 1e-5);
    }));

  test("the picture puts the points where the network sees them", () =>
    onDevice(device, async () => {
      const training = new SpiralTraining({ arms: 2, pointsPerArm: 50, noise: 0, learningRate: 0.02 });
      await training.train(120);
      expect(await training.accuracy()).toBe(1);
      const size = 64;
      const picture = await training.picture(size);
      const points = await training.points;
      const labels = await training.labels;
      const hits = labels.filter((arm, i) => {
        const column = Math.round(((points[2 * i]! / 1.1 + 1) / 2) * (size - 1));
        const row = Math.round(((1 - points[2 * i + 1]! / 1.1) / 2) * (size - 1));
        return picture[(row * size + column) * 2 + arm]! > 0.5;
      });
      // Near the middle the arms are closer than the places of the picture.
      expect(hits.length).toBeGreaterThan(0.9 * labels.length);
    }));

  test("the descent finds the wave, and follows it when it moves", () =>
    onDevice(device, async () => {
      const fit = new CurveFit();
      const first = await fit.descend(1);
      const last = await fit.descend(99);
      expect(last.step).toBe(100);
      // What is left is the noise.
      expect(last.loss).toBeLessThan(1.2 * DEFAULTS.noise ** 2);
      expect(last.loss).toBeLessThan(0.1 * first.loss);
      for (const name of PARAMETERS) expect(Math.abs(last.wave[name] - DEFAULTS.target[name])).toBeLessThan(0.1);
      fit.aimAt({ ...DEFAULTS.target, a: 1, b: -0.5 });
      const moved = await fit.descend(80);
      expect(Math.abs(moved.wave.a - 1)).toBeLessThan(0.1);
      expect(Math.abs(moved.wave.b + 0.5)).toBeLessThan(0.1);
      const { x, y } = await fit.curve(7);
      expect(x.map((value) => Math.round(value))).toEqual([-3, -2, -1, 0, 1, 2, 3]);
      const { a, ω, φ, b } = moved.wave;
      for (const [i, value] of y.entries()) expect(value).toBeCloseTo(a * Math.sin(ω * x[i]! + φ) + b, 4);
    }));
});

test("the gradients that are shown are those of the loss", async () => {
  const fit = new CurveFit({ noise: 0, points: 40 });
  const { x, y } = await fit.points();
  const { start } = fit.options;
  const { gradient, loss } = await fit.descend(1);
  const lossAt = (wave: typeof start): number =>
    x.reduce((sum, v, i) => sum + (wave.a * Math.sin(wave.ω * v + wave.φ) + wave.b - y[i]!) ** 2, 0) / x.length;
  expect(loss).toBeCloseTo(lossAt(start), 5);
  for (const name of PARAMETERS) {
    const h = 1e-4;
    const slope =
      (lossAt({ ...start, [name]: start[name] + h }) - lossAt({ ...start, [name]: start[name] - h })) / (2 * h);
    expect(gradient[name]).toBeCloseTo(slope, 3);
  }
});

test("the tape of the loss names the parameters and what is computed of them", () => {
  const { nodes, edges } = new CurveFit().graph();
  expect(new Set(nodes.map(({ variable }) => variable))).toEqual(
    new Set(["a", "b", "φ", "ω", "ω x", "ω x + φ", "sin(ω x + φ)", "a sin(ω x + φ)", "f(x)", "loss"]),
  );
  expect(nodes).toHaveLength(10);
  expect(edges).toHaveLength(9);
});

test("a long history is thinned out and ends with the last value", () => {
  const history = new History();
  for (let step = 1; step <= 5000; step++) history.add(step, 1 / step);
  const { x, curves } = history.plot("", "loss");
  expect(x.length).toBeLessThanOrEqual(401);
  expect(x.length).toBeGreaterThan(190);
  expect(x[0]).toBe(1);
  expect(x.at(-1)).toBe(5000);
  expect(curves[0]!.y).toEqual(x.map((step) => 1 / step));
  expect([...x].sort((a, b) => a - b)).toEqual([...x]);
});
