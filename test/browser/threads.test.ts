/** Threads in Chromium: in a page, whose main thread may not sleep, and in a worker; and a page that is not isolated, which has one thread. */

import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPage, serveFolder, startChromium } from "../support/chromium.ts";
import type { ThreadReport } from "./threads-work.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await startChromium();
});
afterAll(() => browser.close());

async function visit(headers: Readonly<Record<string, string>>): Promise<Record<"page" | "worker", ThreadReport>> {
  const server = await serveFolder(".", undefined, headers);
  const { page, problems } = await openPage(browser, `${server.url}test/browser/threads.html`);
  try {
    await page
      .waitForFunction(() => "reports" in globalThis, { timeout: 90_000 })
      .catch((error: unknown) => {
        throw new Error(`the page did not come to an end: ${problems.join("; ")}`, { cause: error });
      });
    expect(problems).toEqual([]);
    return await page.evaluate(
      () => (globalThis as unknown as { reports: Record<"page" | "worker", ThreadReport> }).reports,
    );
  } finally {
    await page.close();
    await server.close();
  }
}

test("an isolated page and its worker use threads, with the same bits as one thread", async () => {
  const { page, worker } = await visit({});
  expect([page.maySleep, worker.maySleep]).toEqual([false, true]);
  for (const report of [page, worker]) {
    expect(report).toMatchObject({
      description: "CPU (WebAssembly SIMD, 3 threads)",
      isIsolated: true,
      workers: 2,
      ended: true,
    });
    expect(report.all).toHaveLength(512 + 512 + 1);
    expect(report.all).toEqual(report.one);
  }
});

test("a page that is not isolated has one thread", async () => {
  const { page, worker } = await visit({
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Cross-Origin-Embedder-Policy": "unsafe-none",
  });
  for (const report of [page, worker]) {
    expect(report).toMatchObject({
      description: "CPU (WebAssembly SIMD, 1 thread)",
      isIsolated: false,
      workers: 0,
    });
    expect(report.all).toEqual(report.one);
  }
});
