/** The demo of derivatives, without its page: held to formulas, on every device. */

import { describe, expect, test } from "vitest";
import { derivativesOf, FUNCTIONS } from "../../demo/derivatives/derivatives.ts";
import { onDevice } from "../support/device.ts";
import { TEST_DEVICES } from "../support/portable.ts";

/** Derivatives by formula. */
const EXACT: Readonly<Record<string, readonly ((x: number) => number)[]>> = {
  "tanh x": [
    Math.tanh,
    (x) => 1 - Math.tanh(x) ** 2,
    (x) => -2 * Math.tanh(x) * (1 - Math.tanh(x) ** 2),
    (x) => (1 - Math.tanh(x) ** 2) * (6 * Math.tanh(x) ** 2 - 2),
  ],
  "x³ − 2x": [(x) => x ** 3 - 2 * x, (x) => 3 * x * x - 2, (x) => 6 * x, () => 6, () => 0],
  "exp(−x²)": [
    (x) => Math.exp(-x * x),
    (x) => -2 * x * Math.exp(-x * x),
    (x) => (4 * x * x - 2) * Math.exp(-x * x),
    (x) => (12 * x - 8 * x ** 3) * Math.exp(-x * x),
    (x) => (16 * x ** 4 - 48 * x * x + 12) * Math.exp(-x * x),
  ],
  "sin x²": [
    (x) => Math.sin(x * x),
    (x) => 2 * x * Math.cos(x * x),
    (x) => 2 * Math.cos(x * x) - 4 * x * x * Math.sin(x * x),
  ],
};

describe.for(TEST_DEVICES)("on %s", { timeout: 180_000 }, (device) => {
  test.for(Object.entries(EXACT))("%s", ([name, exact]) =>
    onDevice(device, async () => {
      const { x, derivatives } = await derivativesOf(name, exact.length - 1, 41);
      expect(derivatives.map(({ order }) => order)).toEqual(exact.map((_, order) => order));
      for (const { order, y } of derivatives)
        for (const [i, value] of y.entries()) {
          const right = exact[order]!(x[i]!);
          expect(Math.abs(value - right)).toBeLessThan(2e-5 * (1 + Math.abs(right)));
        }
    }),
  );

  test("every function has finite derivatives up to the fourth, and their tapes grow", () =>
    onDevice(device, async () => {
      for (const name of Object.keys(FUNCTIONS)) {
        const { derivatives } = await derivativesOf(name, 4, 9);
        for (const { y } of derivatives) expect(y.every(Number.isFinite)).toBe(true);
        expect(derivatives[1]!.entries).toBeGreaterThan(derivatives[0]!.entries);
      }
    }));
});

test("a function or an order that does not exist is refused", async () => {
  await expect(derivativesOf("cosh x", 1)).rejects.toThrow('there is no function "cosh x"; there are tanh x, ');
  await expect(derivativesOf("tanh x", -1)).rejects.toThrow("the order must be 0, 1, 2 ..., got -1");
});
