/** The page of derivatives in Chromium, on every device. */

import type { Browser } from "puppeteer-core";
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

describe.for(TEST_DEVICES)("on %s", { timeout: 180_000 }, (device) => {
  test("plots the function and its derivatives, and others when they are chosen", async () => {
    const open = await openDemo(browser, `${server.url}derivatives/?device=${device}`);
    const { page, problems } = open;
    const curves = (): Promise<number> => page.$$eval("#plot .curve path", (paths) => paths.length);
    const rows = (): Promise<string[]> => page.$$eval("#tapes tr", (all) => all.map((row) => row.textContent));
    try {
      expect(problems).toEqual([]);
      expect(await stateOf(page)).toBe("done");
      expect(await textOf(page, "#status")).toMatch(/^4 curves of 241 points in \d+ ms\.$/);
      expect(await curves()).toBe(4);
      // tanh is between -1 and 1, and its slope between 0 and 1.
      const [first, second] = await rows();
      expect(first).toMatch(/^f\(x\)2−0\.9950\.995$/);
      expect(second).toMatch(/^f′\(x\)\d+0\.0101\.000$/);
      expectOwnRequests(open);
      await screenshot(page, `derivatives-${device}`);

      await page.select("#function", "x³ − 2x");
      await page.waitForFunction(() => document.querySelector("#plot figcaption")?.textContent.includes("x³ − 2x"));
      await page.focus("#order");
      await page.keyboard.press("ArrowRight");
      await page.waitForFunction(() => document.querySelectorAll("#tapes tr").length === 5);
      expect(await settled(open)).toBe("done");
      expect(await curves()).toBe(5);
      const told = await rows();
      expect(told[3]).toMatch(/^f′′′\(x\)\d+6\.0006\.000$/);
      expect(told[4]).toMatch(/^f′′′′\(x\)\d+0\.0000\.000$/);
      expect(problems).toEqual([]);
    } finally {
      await page.close();
    }
  });
});

test("a device that does not exist is refused", async () => {
  const { page } = await openDemo(browser, `${server.url}derivatives/?device=abacus`);
  expect(await stateOf(page)).toBe("failed");
  expect(await textOf(page, "#errors")).toContain("?device=abacus: the device must be auto, webgpu or cpu");
  await page.close();
});

test.for([
  ["light", 1280],
  ["dark", 390],
] as const)("in the %s, %i pixels wide: accessible, nothing beside the page", async ([scheme, width]) => {
  const { page, problems } = await openDemo(browser, `${server.url}derivatives/?device=cpu`, async (page) => {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.setViewport({ width, height: 844 });
  });
  try {
    expect(problems).toEqual([]);
    await expectLooks(page, scheme, width);
    await screenshot(page, `derivatives-${scheme}-${width}`);
  } finally {
    await page.close();
  }
});
