/** The CPU device in pages whose policy (Content-Security-Policy) forbids compiling at run time, and threads. */

import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openPage, serveFolder, startChromium } from "../support/chromium.ts";
import type { PolicyReport } from "./policy.ts";

let browser: Browser;
beforeAll(async () => {
  browser = await startChromium();
});
afterAll(() => browser.close());

async function visit(policy: string): Promise<{ report: PolicyReport; problems: readonly string[] }> {
  const server = await serveFolder(".", undefined, { "Content-Security-Policy": policy });
  const { page, problems } = await openPage(browser, `${server.url}test/browser/policy.html`);
  try {
    await page
      .waitForFunction(() => "report" in globalThis, { timeout: 60_000 })
      .catch((error: unknown) => {
        throw new Error(`the page did not come to an end: ${problems.join("; ")}`, { cause: error });
      });
    const report = await page.evaluate(() => (globalThis as unknown as { report: PolicyReport }).report);
    return { report, problems };
  } finally {
    await page.close();
    await server.close();
  }
}

function expectTrained({ losses, sums }: PolicyReport): void {
  expect(losses).toHaveLength(200);
  expect(losses[0]).toBeGreaterThan(0.1);
  expect(losses.at(-1)).toBeLessThan(0.01);
  expect(sums[0]).toBe(sums[1]);
}

test("where only the site's own scripts may run, a model trains in plain JavaScript", async () => {
  const { report } = await visit("script-src 'self'");
  expect(report).toMatchObject({ description: "CPU (JavaScript)", mayCompileText: false, mayCompileModules: false });
  expectTrained(report);
});

test("where WebAssembly is allowed but workers are not, it trains on one thread", async () => {
  const { report } = await visit("script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'");
  expect(report).toMatchObject({ mayCompileText: false, mayCompileModules: true });
  expect(report.description).toContain("WebAssembly SIMD");
  expectTrained(report);
});

test("the same losses come out, as far as rounding goes", async () => {
  const [strict, free] = [await visit("script-src 'self'"), await visit("script-src 'self' 'unsafe-eval' blob:")];
  expect(free.report.description).toContain("WebAssembly SIMD");
  strict.report.losses.slice(0, 20).forEach((loss, i) => expect(loss).toBeCloseTo(free.report.losses[i]!, 4));
});
