/** Pages of users' projects, served as they are and opened in Chromium. */

import { preview, type PreviewServer } from "vite";
import type { Browser, Page } from "puppeteer-core";
import { openPage } from "../support/chromium.ts";
import type { Report } from "./project.ts";

/** Serves a folder as it is, opens its page, waits for `condition` to hold there and gives what `read` makes of it. */
export async function visit<R>(
  browser: Browser,
  root: string,
  outDir: string,
  condition: () => boolean,
  read: (page: Page) => Promise<R>,
): Promise<R> {
  const server: PreviewServer = await preview({
    root,
    configFile: false,
    logLevel: "error",
    build: { outDir },
    preview: { host: "localhost", port: 0 },
  });
  const { page, problems } = await openPage(browser, server.resolvedUrls!.local[0]!);
  try {
    await page.waitForFunction(condition, { timeout: 60_000 }).catch((error: unknown) => {
      throw new Error(`the page did not come to an end: ${problems.join("; ")}`, { cause: error });
    });
    if (problems.length > 0) throw new Error(`the page has problems: ${problems.join("; ")}`);
    return await read(page);
  } finally {
    await page.close();
    await server.close();
  }
}

/** The report that a page leaves in a global variable. */
export function reportOf(browser: Browser, root: string, outDir: string): Promise<Report> {
  return visit(
    browser,
    root,
    outDir,
    () => "report" in globalThis,
    (page) => page.evaluate(() => (globalThis as unknown as { report: Report }).report),
  );
}
