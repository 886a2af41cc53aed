/** Chromium for tests: a server of pages, a browser with WebGPU, screenshots, and a page that runs portable tests. */

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, type Browser, type Page } from "puppeteer-core";
import { createServer } from "vite";
import { dawnEnvironment, findChromium, NO_CHROMIUM, ROOT } from "../../scripts/support/environment.ts";
import type { Outcome, TestHost } from "./host.ts";
import type { Case } from "./portable.ts";
import type { RemoteHost } from "./vitest.ts";

/** Where screenshots go. */
export const SCREENSHOTS = join(ROOT, ".cache", "screenshots");

/** A server of pages. */
export interface PageServer {
  /** Such as "http://localhost:4711/". */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves a folder of the project by vite, TypeScript included, on a free port of localhost. Without `configFile` as it is; with it
 * (such as "vite.config.ts") as that file says. `headers` come with every answer.
 */
export async function serveFolder(
  folder = ".",
  configFile?: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<PageServer> {
  const server = await createServer({
    configFile: configFile === undefined ? false : join(ROOT, configFile),
    ...(configFile === undefined ? { root: join(ROOT, folder), optimizeDeps: { noDiscovery: true } } : {}),
    cacheDir: join(ROOT, ".cache", "vite-test"),
    logLevel: "error",
    server: {
      host: "localhost",
      port: 0,
      hmr: false,
      watch: null,
      // Cross-origin isolation, as threads and precise clocks want it.
      headers: {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        ...headers,
      },
    },
  });
  await server.listen();
  const url = server.resolvedUrls?.local[0];
  if (url === undefined) throw new Error("the server of test pages has no address");
  return { url, close: () => server.close() };
}

/** Starts Chromium with WebGPU: on the GPU where Dawn finds a hardware adapter, else on SwiftShader. */
export function startChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === null) throw new Error(NO_CHROMIUM);
  const { adapter } = dawnEnvironment();
  const onHardware = adapter !== null && !adapter.isSoftware;
  return launch({
    executablePath,
    headless: true,
    protocolTimeout: 600_000,
    args: [
      "--enable-unsafe-webgpu",
      ...(onHardware ? ["--enable-features=Vulkan", "--ignore-gpu-blocklist"] : ["--use-webgpu-adapter=swiftshader"]),
      ...(process.platform === "linux" && process.getuid?.() === 0 ? ["--no-sandbox"] : []),
    ],
  });
}

/** A page, and what went wrong in it: uncaught errors, console errors, failed requests. */
export interface OpenPage {
  readonly page: Page;
  readonly problems: string[];
}

/** Opens an address in a new page of 1280 by 800 pixels and waits for its `load` event; `prepare` comes before that. */
export async function openPage(
  browser: Browser,
  url: string,
  prepare?: (page: Page) => Promise<unknown>,
): Promise<OpenPage> {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 800 });
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(`uncaught: ${error instanceof Error ? error.message : String(error)}`));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()}`);
  });
  page.on("requestfailed", (request) => problems.push(`request failed: ${request.url()}`));
  await prepare?.(page);
  await page.goto(url, { waitUntil: "load", timeout: 60_000 });
  return { page, problems };
}

/** Takes a picture of a whole page into .cache/screenshots/NAME.png and gives its bytes. */
export async function screenshot(page: Page, name: string): Promise<Uint8Array> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  return page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true, type: "png" });
}

/** In a page that hosts tests, the host; the page sets it once its modules have run. */
declare global {
  var testHost: TestHost | undefined;
}

/** Opens a page that hosts portable tests, such as "test/browser/portable.html". */
export async function openTestPage(path: string): Promise<RemoteHost> {
  const server = await serveFolder();
  const browser = await startChromium();
  let open = await openHost(browser, server.url + path);
  return {
    cases: await open.page.evaluate(() => globalThis.testHost!.list()),
    run: async (which: Case): Promise<Outcome> => {
      const { page, problems } = open;
      const outcome = await page.evaluate((asked) => globalThis.testHost!.run(asked), which);
      const seen = problems.splice(0);
      return outcome ?? (seen.length > 0 ? seen.join("\n") : null);
    },
    restart: async () => {
      await open.page.close();
      open = await openHost(browser, server.url + path);
    },
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

async function openHost(browser: Browser, url: string): Promise<OpenPage> {
  const open = await openPage(browser, url);
  try {
    await open.page.waitForFunction(() => globalThis.testHost !== undefined, { timeout: 60_000 });
  } catch (error) {
    throw new Error(`the test page ${url} did not start: ${open.problems.join("; ")}`, { cause: error });
  }
  return open;
}
