/** The page that draws the buffers of a training step, in Chromium, on every device. */

import type { Browser, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { screenshot, startChromium, type PageServer } from "../support/chromium.ts";
import { TEST_DEVICES } from "../support/portable.ts";
import { expectLooks, expectOwnRequests, openDemo, serveDemos, settled, stateOf, textOf } from "./pages.ts";

let server: PageServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([serveDemos(), startChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** Bytes of the lanes that are drawn over each step, and what the timeline itself says. */
async function totalsOf(page: Page): Promise<{ drawn: number[]; told: number[]; peak: number; text: string }> {
  return page.evaluate(() => {
    const readout = document.getElementById("readout")!;
    const told = readout.dataset.stepBytes!.split(" ").map(Number);
    const lanes = [...document.querySelectorAll<SVGElement>("#drawing .lane")].map((lane) => ({
      bytes: Number(lane.dataset.bytes),
      from: Number(lane.dataset.from),
      to: Number(lane.dataset.to),
    }));
    const drawn = told.map((_, step) =>
      lanes.reduce((sum, { bytes, from, to }) => (from <= step && step < to ? sum + bytes : sum), 0),
    );
    return { drawn, told, peak: Number(readout.dataset.peakBytes), text: readout.textContent };
  });
}

/** Chooses in a list, and waits for the page that this loads. */
async function choose(page: Page, id: string, value: string): Promise<void> {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.select(`#${id}`, value)]);
}

describe.for(TEST_DEVICES)("on %s", { timeout: 240_000 }, (device) => {
  test("the lanes add up to what the timeline says, for every network, with and without checkpointing", async () => {
    const open = await openDemo(browser, `${server.url}memory/?device=${device}`);
    const { page } = open;
    try {
      const peaks = new Map<string, number>();
      for (const [model, checkpointing] of [
        ["mlp", "off"],
        ["mlp", "on"],
        ["cnn", "on"],
        ["gpt", "on"],
      ] as const) {
        if ((await page.$eval("#model", (list) => (list as HTMLSelectElement).value)) !== model)
          await choose(page, "model", model);
        if ((await page.$eval("#checkpointing", (list) => (list as HTMLSelectElement).value)) !== checkpointing)
          await choose(page, "checkpointing", checkpointing);
        expect(await settled(open)).toBe("done");
        expect(open.problems).toEqual([]);
        const { drawn, told, peak, text } = await totalsOf(page);
        expect(drawn).toEqual(told);
        expect(told.length).toBeGreaterThan(10);
        expect(peak).toBeGreaterThanOrEqual(Math.max(...told));
        // Memory for a moment between two steps is all that may lie above what the steps show.
        expect(peak).toBeLessThan(1.2 * Math.max(...told));
        expect(text).toContain(`(${peak} bytes)`);
        expect(new URL(page.url()).searchParams.get("device")).toBe(device);
        peaks.set(`${model} ${checkpointing}`, peak);
      }
      expect(new Set(peaks.values()).size).toBe(4);
      expect(await textOf(page, "#status")).toMatch(/^One step of "GPT block", on /);
      await screenshot(page, `memory-${device}`);
      expectOwnRequests(open);
    } finally {
      await page.close();
    }
  });

  test("tells a buffer's shape, line and kernels by the keyboard and by the pointer", async () => {
    const open = await openDemo(browser, `${server.url}memory/?device=${device}&model=mlp`);
    const { page } = open;
    try {
      expect(await stateOf(page)).toBe("done");
      await page.$eval("#drawing svg", (svg) => svg.focus());
      await page.keyboard.press("ArrowDown");
      expect(await page.$eval("#lane-1", (lane) => lane.getAttribute("aria-selected"))).toBe("true");
      expect(await page.$eval("#drawing svg", (svg) => svg.getAttribute("aria-activedescendant"))).toBe("lane-1");
      expect(await textOf(page, "#told p")).toMatch(/^Buffer 2 of \d+: /);
      await page.keyboard.press("End");
      const count = await page.$$eval("#drawing .lane", (lanes) => lanes.length);
      expect(await textOf(page, "#told p")).toMatch(new RegExp(`^Buffer ${count} of ${count}: `));

      // What the second layer gave, which its tanh saved: [64, 256], made by that line, read on the way back.
      const saved = await page.$$eval("#drawing .lane", (lanes) =>
        lanes.findIndex((lane) => /saved value/.test(lane.getAttribute("aria-label")!)),
      );
      expect(saved).toBeGreaterThan(0);
      // The page may still be scrolling to the last lane.
      await expect
        .poll(
          async () => {
            await page.mouse.move(0, 0);
            await page.hover(`#lane-${saved}`);
            return textOf(page, "#told p");
          },
          { timeout: 20_000 },
        )
        .toMatch(new RegExp(`^Buffer ${saved + 1} of`));
      await page.waitForFunction(() =>
        /models\.ts, line \d+: .*forward\(x\)/.test(document.getElementById("told")!.textContent),
      );
      const told = await textOf(page, "#told");
      expect(told).toMatch(/saved value \(saved for backward\)/);
      expect(told).toMatch(/\[64, 256\] float32/);
      expect(told).toMatch(/\(kernel \d+\)/);
      expect(await page.$$eval("#drawing .line", (all) => all.length)).toBe(1);
      await page.select("#line", "none");
      expect(await page.$$eval("#drawing .line", (all) => all.length)).toBe(0);
      expect(open.problems).toEqual([]);
    } finally {
      await page.close();
    }
  });
});

describe("the page", { timeout: 120_000 }, () => {
  test.for([
    ["light", 1280],
    ["dark", 1280],
    ["light", 390],
    ["dark", 390],
  ] as const)("in the %s, %i pixels wide: accessible, nothing beside it", async ([scheme, width]) => {
    const { page, problems } = await openDemo(browser, `${server.url}memory/?device=cpu&model=gpt`, async (page) => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height: 844 });
    });
    try {
      expect(problems).toEqual([]);
      await expectLooks(page, scheme, width);
      await screenshot(page, `memory-${scheme}-${width}`);
    } finally {
      await page.close();
    }
  });

  test("says what is wrong with an unknown network", async () => {
    const { page } = await openDemo(browser, `${server.url}memory/?device=cpu&model=rnn`);
    try {
      expect(await stateOf(page)).toBe("failed");
      expect(await textOf(page, "#errors")).toContain("the model must be mlp, cnn, gpt");
    } finally {
      await page.close();
    }
  });
});
