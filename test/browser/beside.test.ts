/** A page and its workers use the library on WebGPU at the same time, in Chromium: each gets what it would get alone. */

import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPage, serveFolder, startChromium } from "../support/chromium.ts";
import { STEPS, type BesideReport } from "./beside-work.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await startChromium();
});
afterAll(() => browser.close());

test("a worker beside the page, both on WebGPU", async () => {
  const server = await serveFolder(".");
  const { page, problems } = await openPage(browser, `${server.url}test/browser/beside.html`);
  try {
    await page
      .waitForFunction(() => "reports" in globalThis, { timeout: 100_000 })
      .catch((error: unknown) => {
        throw new Error(`the page did not come to an end: ${problems.join("; ")}`, { cause: error });
      });
    expect(problems).toEqual([]);
    const reports = await page.evaluate(
      () => (globalThis as unknown as { reports: Record<"alone" | "page" | "worker" | "other", BesideReport> }).reports,
    );
    const { alone, other } = reports;
    expect(alone.device).toBe("webgpu");
    expect(alone.losses).toHaveLength(STEPS);
    for (const report of [reports.page, reports.worker]) {
      expect(report.losses).toEqual(alone.losses);
      expect(report.sums).toEqual(alone.sums);
    }
    expect(other.losses).not.toEqual(alone.losses);
    // They were at work at the same time.
    expect(Math.max(reports.page.from, reports.worker.from)).toBeLessThan(Math.min(reports.page.to, reports.worker.to));
    // Training goes down, and every step changes the parameter.
    expect(alone.losses.at(-1)).toBeLessThan(alone.losses[0]!);
    expect(new Set(alone.sums).size).toBe(STEPS);
  } finally {
    await page.close();
    await server.close();
  }
});
