/** The pages on which something is trained, in Chromium, on every device: the loss falls, and one can see it. */

import type { Browser, Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { screenshot, startChromium, type PageServer } from "../support/chromium.ts";
import { TEST_DEVICES } from "../support/portable.ts";
import {
  coloursOf,
  expectLooks,
  expectOwnRequests,
  openDemo,
  serveDemos,
  settled,
  stateOf,
  textOf,
  type OpenDemo,
} from "./pages.ts";

let server: PageServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([serveDemos(), startChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** Heights in the picture of a curve's points, from left to right. */
async function heightsOf(page: Page, place: string): Promise<number[]> {
  const path = await page.$eval(`${place} .curve path`, (curve) => curve.getAttribute("d")!);
  return [...path.matchAll(/[ML][-\d.]+,([-\d.]+)/g)].map(([, y]) => Number(y));
}

/** Checks that the loss is drawn, and has fallen: the end of its curve is lower in the picture. */
async function expectFallen(page: Page, frames: number): Promise<void> {
  const heights = await heightsOf(page, "#loss");
  expect(heights).toHaveLength(frames);
  expect(heights.at(-1)! - heights[0]!).toBeGreaterThan(20);
}

async function expectDone(open: OpenDemo): Promise<void> {
  expect(open.problems).toEqual([]);
  expect(await stateOf(open.page)).toBe("done");
  expect(await textOf(open.page, "#status")).toBe("Paused.");
  expectOwnRequests(open);
  await open.page.$eval(".program summary", (summary) => summary.click());
  expect(await textOf(open.page, "#program .code")).toContain('from "tapegrad";');
}

describe.for(TEST_DEVICES)("on %s", { timeout: 240_000 }, (device) => {
  test("spirals: the loss falls, the picture shows the arms, and it starts over", async () => {
    const open = await openDemo(browser, `${server.url}spirals/?device=${device}&steps=60`);
    try {
      await expectDone(open);
      await expectFallen(open.page, 12);
      const told = /^Step 60, loss (\S+): (\S+) % of the points are told apart\.$/.exec(
        await textOf(open.page, "#readout"),
      );
      expect(Number(told?.[1])).toBeLessThan(0.7);
      expect(Number(told?.[2])).toBeGreaterThan(75);
      const png = await screenshot(open.page, `spirals-${device}`);
      const colours = await coloursOf(browser, png);
      // Points in the colours of the three arms, in the light, upon a field of mixed ones.
      for (const colour of ["1d6fd8", "d4510b", "0f766e"]) expect(colours.get(colour) ?? 0).toBeGreaterThan(1000);
      expect(colours.size).toBeGreaterThan(2000);

      await open.page.$eval("#again", (button) => (button as HTMLElement).click());
      await open.page.waitForFunction(() => !document.getElementById("readout")!.textContent.startsWith("Step 60,"));
      expect(await settled(open)).toBe("done");
      expect(await textOf(open.page, "#readout")).toMatch(/^Step 60, /);
      expect(open.problems).toEqual([]);
    } finally {
      await open.page.close();
    }
  });

  test("curve: the loss falls, the curve meets the points, the tape is drawn, and it follows", async () => {
    const open = await openDemo(browser, `${server.url}curve/?device=${device}&steps=40`);
    try {
      await expectDone(open);
      await expectFallen(open.page, 40);
      expect(await textOf(open.page, "#readout")).toMatch(/^Step 40: mean squared distance 0\.0/);
      expect(await open.page.$$eval("#curve .points circle", (all) => all.length)).toBe(80);
      expect(await heightsOf(open.page, "#curve")).toHaveLength(121);
      expect(await open.page.$$eval("#tape .node", (all) => all.length)).toBe(10);
      expect(await open.page.$$eval("#tape .edge", (all) => all.length)).toBe(9);
      const frequency = "#parameters tr:nth-child(2) td:first-of-type";
      expect(Number(await textOf(open.page, frequency))).toBeCloseTo(2.2, 0);
      await screenshot(open.page, `curve-${device}`);

      // Moved by the keyboard, the wave draws the descent after it.
      await open.page.focus("#b");
      for (let i = 0; i < 10; i++) await open.page.keyboard.press("ArrowRight");
      await open.page.waitForFunction(() => document.getElementById("b-shown")!.textContent === "0.90");
      // Each key press started the descent anew; the last of them goes on until the offset is near.
      await open.page.waitForFunction(
        () => Number(document.querySelector("#parameters tr:nth-child(4) td:first-of-type")?.textContent) > 0.6,
        { timeout: 60_000 },
      );
      expect(await settled(open)).toBe("done");
      expect(open.problems).toEqual([]);
    } finally {
      await open.page.close();
    }
  });
});

describe.for(["spirals", "curve"])("%s", { timeout: 180_000 }, (folder) => {
  test("pauses and goes on by its button", async () => {
    const url = `${server.url}${folder}/?device=cpu&steps=100000`;
    const open = await openDemo(browser, url, async (page) => {
      // Paused by hand as soon as it runs: the page is then done.
      await page.evaluateOnNewDocument(() => {
        const timer = setInterval(() => {
          if (document.documentElement.dataset.state !== "running") return;
          clearInterval(timer);
          document.getElementById("play")!.click();
        }, 50);
      });
    });
    const { page, problems } = open;
    try {
      expect(await textOf(page, "#play")).toBe("Go on");
      const before = await textOf(page, "#readout");
      await page.$eval("#play", (button) => (button as HTMLElement).click());
      expect(await textOf(page, "#play")).toBe("Pause");
      await page.waitForFunction((text) => document.getElementById("readout")!.textContent !== text, {}, before);
      await page.$eval("#play", (button) => (button as HTMLElement).click());
      expect(await settled(open)).toBe("done");
      const paused = await textOf(page, "#readout");
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await textOf(page, "#readout")).toBe(paused);
      expect(problems).toEqual([]);
    } finally {
      await page.close();
    }
  });

  test("refuses a number of steps that is none, and a device that does not exist", async () => {
    const steps = await openDemo(browser, `${server.url}${folder}/?device=cpu&steps=-3`);
    expect(await stateOf(steps.page)).toBe("failed");
    expect(await textOf(steps.page, "#errors")).toContain("?steps=-3: give a whole number of 1 or more");
    await steps.page.close();
    const device = await openDemo(browser, `${server.url}${folder}/?device=npu`);
    expect(await stateOf(device.page)).toBe("failed");
    expect(await textOf(device.page, "#errors")).toContain("?device=npu: the device must be auto, webgpu or cpu");
    await device.page.close();
  });

  test.for([
    ["light", 1280],
    ["dark", 390],
  ] as const)("in the %s, %i pixels wide: accessible, nothing beside the page", async ([scheme, width]) => {
    const { page, problems } = await openDemo(browser, `${server.url}${folder}/?device=cpu&steps=20`, async (page) => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height: 844 });
    });
    try {
      expect(problems).toEqual([]);
      await expectLooks(page, scheme, width);
      await screenshot(page, `${folder}-${scheme}-${width}`);
    } finally {
      await page.close();
    }
  });
});
