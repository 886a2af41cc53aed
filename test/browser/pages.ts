/** What tests of demo pages share: serving, waiting, colours of a picture, accessibility. */

import axe, { type AxeResults } from "axe-core";
import type { Browser, Page } from "puppeteer-core";
import { expect } from "vitest";
import { openPage, serveFolder, type OpenPage, type PageServer } from "../support/chromium.ts";

/** Serves the demos as `npm start` does. */
export const serveDemos = (): Promise<PageServer> => serveFolder("demo", "vite.config.ts");

/** A page, its problems, the warnings on its console (as of WebGPU), and the addresses that it asked for. */
export interface OpenDemo extends OpenPage {
  readonly warnings: string[];
  readonly requests: string[];
}

/** Opens a demo page and waits until it is done or has failed; `prepare` comes before the page is loaded. */
export async function openDemo(
  browser: Browser,
  url: string,
  prepare?: (page: Page) => Promise<unknown>,
): Promise<OpenDemo> {
  const requests: string[] = [];
  const warnings: string[] = [];
  const open = await openPage(browser, url, async (page) => {
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => {
      if (message.type() === "warn") warnings.push(message.text());
    });
    await prepare?.(page);
  });
  await settled(open);
  return { ...open, warnings, requests };
}

/** Waits until a page is done or has failed; gives its state. */
export async function settled({ page, problems }: OpenPage, timeout = 120_000): Promise<string> {
  try {
    await page.waitForFunction(() => ["done", "failed"].includes(document.documentElement.dataset.state ?? ""), {
      timeout,
    });
  } catch (error) {
    throw new Error(`the page ${page.url()} did not come to an end: ${problems.join("; ")}`, { cause: error });
  }
  return stateOf(page);
}

/** The state of a page: "loading", "running", "done" or "failed". */
export function stateOf(page: Page): Promise<string> {
  return page.evaluate(() => document.documentElement.dataset.state ?? "");
}

/** The text of the first element that a selector finds. */
export function textOf(page: Page, selector: string): Promise<string> {
  return page.$eval(selector, (element) => element.textContent.trim());
}

/** How often each colour (as `rrggbb`) is in a picture. */
export async function coloursOf(browser: Browser, png: Uint8Array): Promise<Map<string, number>> {
  const page = await browser.newPage();
  try {
    const counts = await page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
      const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const context = new OffscreenCanvas(image.width, image.height).getContext("2d")!;
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      const counts = new Map<number, number>();
      for (let i = 0; i < data.length; i += 4) {
        const colour = (data[i]! << 16) | (data[i + 1]! << 8) | data[i + 2]!;
        counts.set(colour, (counts.get(colour) ?? 0) + 1);
      }
      return [...counts];
    }, Buffer.from(png).toString("base64"));
    return new Map(counts.map(([colour, count]) => [colour.toString(16).padStart(6, "0"), count]));
  } finally {
    await page.close();
  }
}

/** axe, once its script has run in the page. */
declare global {
  var axe: { run(context: Document, options: { runOnly: string[] }): Promise<AxeResults> };
}

/** Checks a page against the rules of WCAG 2 (A and AA) that a program can check. */
async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  });
  expect(violations).toEqual([]);
}

/** Checks that a page is light or dark as asked for, no wider than the window, and accessible. */
export async function expectLooks(page: Page, scheme: "light" | "dark", width: number): Promise<void> {
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
  const lightness = await page.evaluate(() => {
    const [r, g, b] = getComputedStyle(document.body)
      .backgroundColor.match(/[\d.]+/g)!
      .map(Number);
    return (r! + g! + b!) / 3;
  });
  if (scheme === "dark") expect(lightness).toBeLessThan(60);
  else expect(lightness).toBeGreaterThan(200);
  await expectAccessible(page);
}

/** Checks that a page asked nobody but its own server. */
export function expectOwnRequests({ requests, page }: OpenDemo): void {
  const { origin } = new URL(page.url());
  expect(requests.length).toBeGreaterThan(0);
  expect(requests.filter((url) => !url.startsWith(`${origin}/`) && !/^(data|blob):/.test(url))).toEqual([]);
}
