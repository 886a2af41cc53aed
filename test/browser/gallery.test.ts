/** The gallery: as `npm start` serves it, and as `npm run build:demo` builds it. */

import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { Browser } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build, preview, type PreviewServer } from "vite";
import { ROOT } from "../../scripts/support/environment.ts";
import { demos } from "../../demo/demos.ts";
import { screenshot, startChromium } from "../support/chromium.ts";
import { expectLooks, expectOwnRequests, openDemo, settled, stateOf, textOf } from "./pages.ts";

let browser: Browser;

beforeAll(async () => {
  browser = await startChromium();
});

afterAll(() => browser?.close());

test("every demo of the list has a page, and every page is in the list", () => {
  const folders = readdirSync(join(ROOT, "demo"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(ROOT, "demo", entry.name, "index.html")))
    .map(({ name }) => name);
  expect(demos.map(({ folder }) => folder).sort()).toEqual(folders.sort());
});

/** Opens the gallery, checks its cards, and follows the first one on the CPU. */
async function visit(url: string): Promise<void> {
  const open = await openDemo(browser, `${url}?device=cpu`);
  try {
    expect(open.problems).toEqual([]);
    expect(await stateOf(open.page)).toBe("done");
    expect(await open.page.$$eval(".card h2", (titles) => titles.map((title) => title.textContent))).toEqual(
      demos.map(({ title }) => title),
    );
    expect(await open.page.$$eval(".card svg", (all) => all.every((svg) => svg.childElementCount > 0))).toBe(true);
    await Promise.all([
      open.page.waitForNavigation({ waitUntil: "load" }),
      open.page.$eval(".card a", (link) => link.click()),
    ]);
    expect(await settled(open)).toBe("done");
    expect(new URL(open.page.url()).search).toBe("?device=cpu");
    expect(await textOf(open.page, "#status")).toMatch(/^Ran 33 cells on the CPU/);
    expect(open.problems).toEqual([]);
    expectOwnRequests(open);
  } finally {
    await open.page.close();
  }
}

describe("npm start", () => {
  const USUAL_PORT = 5173;
  let occupant: Server;
  let child: ChildProcess;
  let output = "";
  let ended: Promise<number | null>;
  let url = "";

  beforeAll(async () => {
    // Somebody else has the usual port, if nobody had it before.
    occupant = createServer();
    await new Promise((resolve) => {
      occupant.once("error", resolve);
      occupant.listen(USUAL_PORT, "localhost", () => resolve(null));
    });
    // In a group of its own, so that it can be sent what Ctrl-C sends to everything that a terminal started.
    child = spawn(process.execPath, ["scripts/bootstrap.mjs", "scripts/start.ts", "--device=cpu"], {
      cwd: ROOT,
      detached: true,
      env: { ...process.env, CI: "", NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    ended = new Promise((resolve) => child.once("exit", resolve));
    url = await new Promise((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        output += chunk.toString();
        const found = /Local: +(http:\S+)/.exec(output);
        if (found !== null) resolve(found[1]!);
      };
      child.stdout!.on("data", read);
      child.stderr!.on("data", read);
      child.once("exit", (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
    });
  });

  afterAll(() => {
    if (child?.exitCode === null) process.kill(-child.pid!, "SIGKILL");
    occupant?.close();
  });

  test("prints the tour, then where the demos are, on a port that is free", async () => {
    expect(output).toContain("device: cpu");
    expect(output).toContain("largest difference:");
    expect(output).toContain("The demos are served here (Ctrl-C ends):");
    expect(Number(new URL(url).port)).toBeGreaterThan(USUAL_PORT);
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("<title>Tapegrad: demos</title>");
  });

  test("serves the gallery", () => visit(url), 120_000);

  test("ends cleanly on Ctrl-C", async () => {
    process.kill(-child.pid!, "SIGINT");
    expect(await ended).toBe(0);
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });
});

describe("npm run build:demo", () => {
  let server: PreviewServer;
  let url = "";
  const outDir = join(ROOT, ".cache", "dist-demo-test");

  beforeAll(async () => {
    rmSync(outDir, { recursive: true, force: true });
    const configFile = join(ROOT, "vite.config.ts");
    await build({ configFile, logLevel: "error", build: { outDir } });
    // In a folder of the server, as on a site that is not the gallery's alone.
    server = await preview({
      configFile,
      logLevel: "error",
      base: "/some/folder/",
      build: { outDir },
      preview: { host: "localhost", port: 0 },
    });
    url = server.resolvedUrls!.local[0]!;
  });

  afterAll(() => server?.close());

  test("gives pages that work in any folder of a server", () => visit(url), 120_000);

  test("tells the lines that made values as they were written, not as they were packed", async () => {
    const { page, problems } = await openDemo(browser, `${url}memory/?device=cpu`);
    try {
      await page.hover("#lane-4");
      await page.waitForFunction(() => /models\.ts, line \d+: /.test(document.getElementById("told")!.textContent));
      expect(problems).toEqual([]);
    } finally {
      await page.close();
    }
  });

  test.for([
    ["light", 1280],
    ["dark", 390],
  ] as const)("the gallery in the %s, %i pixels wide: accessible, nothing beside the page", async ([scheme, width]) => {
    const { page, problems } = await openDemo(browser, url, async (page) => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height: 844 });
    });
    try {
      expect(problems).toEqual([]);
      await expectLooks(page, scheme, width);
      await screenshot(page, `gallery-${scheme}-${width}`);
    } finally {
      await page.close();
    }
  });
});
