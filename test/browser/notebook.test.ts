/** The notebook's page in Chromium, on the CPU and on WebGPU: what it prints, plots and draws, its errors, its looks. */

import { readFileSync } from "node:fs";
import type { Browser, Page } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { EXERCISES, expectedCells, expectPrinted, LARGEST_DIFFERENCE, largestDifference } from "../demo/expected.ts";
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

const pytorch = JSON.parse(
  readFileSync(new URL("../../demo/notebook/pytorch.json", import.meta.url), "utf8"),
) as Readonly<Record<string, string>>;

let server: PageServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([serveDemos(), startChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

const address = (query: string): string => `${server.url}notebook/${query}`;

/** A cell on the page. */
interface Shown {
  readonly label: string;
  readonly state: string;
  readonly code: string;
  readonly coloured: number;
  readonly original: string | null;
  readonly lines: readonly string[];
}

function cellsOf(page: Page): Promise<Shown[]> {
  return page.$$eval(".cell", (cells) =>
    cells.map((cell) => ({
      label: (cell as HTMLElement).dataset.label!,
      state: (cell as HTMLElement).dataset.state!,
      code: cell.querySelector(".code")!.textContent,
      coloured: cell.querySelectorAll(".code [class^=hljs-]").length,
      original: cell.querySelector(".original .code")?.textContent ?? null,
      lines: [...cell.querySelectorAll(".output .printed")].flatMap((line) => line.textContent.split("\n")),
    })),
  );
}

const cell = (label: string): string => `.cell[data-label="${label}"]`;

/** The lines of a cell's plot: how many points each has, and whether it is drawn in dashes. */
function linesOf(page: Page, label: string): Promise<{ points: number; dashed: boolean; stroke: string }[]> {
  return page.$$eval(`${cell(label)} figure svg .curve path`, (paths) =>
    paths.map((path) => ({
      points: path.getAttribute("d")!.match(/[ML]/g)!.length,
      dashed: path.closest("[stroke-dasharray]") !== null,
      stroke: path.getAttribute("stroke")!,
    })),
  );
}

describe.for(TEST_DEVICES)("on %s", (device) => {
  let open: OpenDemo;
  let cells: Shown[];

  beforeAll(async () => {
    open = await openDemo(browser, address(`?device=${device}`));
    cells = await cellsOf(open.page);
  });

  afterAll(() => open?.page.close());

  test("runs to its end without a problem and says where it ran", async () => {
    expect(open.problems).toEqual([]);
    expect(open.warnings).toEqual([]);
    expect(await stateOf(open.page)).toBe("done");
    expect(await textOf(open.page, "#status")).toMatch(
      device === "cpu" ? /^Ran 33 cells on the CPU in / : /^Ran 33 cells on WebGPU in /,
    );
    const shown = await textOf(open.page, "#device .device");
    expect(shown).toMatch(device === "cpu" ? /^CPU CPU .*the CPU was asked for$/ : /^WebGPU \S.*WebGPU was asked for$/);
    expect(await textOf(open.page, "#device a[aria-current]")).toBe(device === "cpu" ? "CPU" : "WebGPU");
  });

  test("asks nobody but its own server", () => expectOwnRequests(open));

  test("shows every cell, its coloured code and the same in PyTorch", () => {
    expect(cells.map(({ label }) => label)).toEqual([...expectedCells.map(({ label }) => label), ...EXERCISES]);
    for (const { label, state, code, coloured, original } of cells) {
      expect(state).toBe("done");
      expect(code.length).toBeGreaterThan(10);
      expect(coloured).toBeGreaterThan(0);
      expect(original).toBe(pytorch[label] ?? null);
    }
    expect(cells.find(({ label }) => label === "5")!.code).toBe("y.backward();\nawait show(x.grad);");
  });

  test.for(expectedCells.map(({ label }) => label))("cell %s prints what the notebook shows", (label) => {
    expectPrinted(label, cells.find((shown) => shown.label === label)!.lines);
  });

  test("Ex 2 has two curves of 161 points, Ex 5 the two derivatives on both sides of the pole", async () => {
    const sine = await linesOf(open.page, "Ex 2");
    expect(sine.map(({ points, dashed }) => [points, dashed])).toEqual([
      [161, false],
      [161, false],
    ]);
    expect(new Set(sine.map(({ stroke }) => stroke)).size).toBe(2);
    const derivatives = await linesOf(open.page, "Ex 5");
    expect(derivatives.map(({ points, dashed }) => [points, dashed])).toEqual([
      [96, false],
      [96, false],
      [96, true],
      [96, true],
    ]);
  });

  test("Ex 5 draws the dependency graph and tells the largest difference", async () => {
    const names = await open.page.$$eval(`${cell("Ex 5")} .tape .node`, (nodes) =>
      nodes.map((node) => [...node.querySelectorAll("text")].map((text) => text.textContent).join(": ")).sort(),
    );
    expect(names).toEqual([
      "1/x: ReciprocalBackward0",
      "f(x): AddBackward0",
      "log x² · sin x: MulBackward0",
      "log x²: LogBackward0",
      "sin x: SinBackward0",
      "x: AccumulateGrad",
      "x²: PowBackward0",
    ]);
    expect(await open.page.$$eval(`${cell("Ex 5")} .tape .edge`, (edges) => edges.length)).toBe(8);
    expect(largestDifference(cells.at(-1)!.lines)).toBeLessThan(LARGEST_DIFFERENCE);
  });

  test("shows headings and formulas", async () => {
    expect(await textOf(open.page, "#notebook h1")).toBe("Getting familiar with torch.autograd");
    expect(await open.page.$$eval("#notebook .formula .katex-display", (all) => all.length)).toBe(8);
    expect(await open.page.$$eval(".katex-error", (all) => all.length)).toBe(0);
    const fonts = await open.page.evaluate(
      () =>
        [...document.fonts].filter(({ family, status }) => family.startsWith("KaTeX") && status === "loaded").length,
    );
    expect(fonts).toBeGreaterThan(1);
  });

  test("looks like a page with curves: a screenshot has their colours", async () => {
    const colours = await coloursOf(browser, await screenshot(open.page, `notebook-${device}`));
    expect(colours.size).toBeGreaterThan(500);
    // --curve-1 and --curve-2 of the style sheet in the light.
    expect(colours.get("1d6fd8") ?? 0).toBeGreaterThan(300);
    expect(colours.get("d4510b") ?? 0).toBeGreaterThan(300);
  });
});

describe("by hand", () => {
  let open: OpenDemo;

  beforeAll(async () => {
    open = await openDemo(browser, address("?device=cpu"));
  });

  afterAll(() => open?.page.close());

  const click = async (selector: string): Promise<string> => {
    await open.page.$eval(selector, (button) => (button as HTMLElement).click());
    return settled(open);
  };
  const linesOfCell = async (label: string): Promise<readonly string[]> =>
    (await cellsOf(open.page)).find((shown) => shown.label === label)!.lines;

  test("a cell can be run again by its button", async () => {
    expect(await click(`${cell("2")} .run`)).toBe("done");
    expectPrinted("2", await linesOfCell("2"));
    expect(await textOf(open.page, "#status")).toBe("Ran cell 2.");
  });

  test("Shift+Enter runs a cell and goes to the next", async () => {
    await open.page.focus(`${cell("7")} .run`);
    await open.page.keyboard.down("Shift");
    await open.page.keyboard.press("Enter");
    await open.page.keyboard.up("Shift");
    expect(await settled(open)).toBe("done");
    expect(await textOf(open.page, "#status")).toBe("Ran cell 7.");
    expectPrinted("7", await linesOfCell("7"));
    expect(await open.page.evaluate(() => document.activeElement?.getAttribute("aria-label"))).toBe("Run cell 8");
  });

  test("an error is shown where it happened, and running all starts afresh", async () => {
    // A person runs the cells above, and the one with y.backward() a second time.
    for (const label of ["2", "3", "4", "5"]) expect(await click(`${cell(label)} .run`)).toBe("done");
    expectPrinted("5", await linesOfCell("5"));
    expect(open.problems).toEqual([]);
    expect(await click(`${cell("5")} .run`)).toBe("failed");
    expect(await textOf(open.page, `${cell("5")} .error`)).toMatch(
      /^AutogradError .*backward through the graph a second time/i,
    );
    expect(await textOf(open.page, "#status")).toBe("Cell 5 failed.");
    expect(open.problems.splice(0).join()).toContain("console:");
    expect(await click("#run-all")).toBe("done");
    expectPrinted("5", await linesOfCell("5"));
    expect(await open.page.$$eval(".error", (all) => all.length)).toBe(0);
  });

  test("the same cell in PyTorch opens", async () => {
    await open.page.$eval(`${cell("4")} .original summary`, (summary) => summary.click());
    const height = await open.page.$eval(`${cell("4")} .original .code`, (code) => code.getBoundingClientRect().height);
    expect(height).toBeGreaterThan(20);
  });
});

describe("devices that there are not", () => {
  let open: OpenDemo | undefined;
  afterEach(() => open?.page.close());

  const hideWebGpu = (page: Page): Promise<unknown> =>
    page.evaluateOnNewDocument(() => {
      Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined });
    });

  test("an unknown one is refused, with those that exist", async () => {
    open = await openDemo(browser, address("?device=tpu"));
    expect(await stateOf(open.page)).toBe("failed");
    expect(await textOf(open.page, "#errors")).toBe("Error ?device=tpu: the device must be auto, webgpu or cpu");
    expect(await open.page.$$eval(".run:enabled, #run-all:enabled", (all) => all.length)).toBe(0);
  });

  test("without WebGPU, asking for it tells the reason", async () => {
    open = await openDemo(browser, address("?device=webgpu"), hideWebGpu);
    expect(await stateOf(open.page)).toBe("failed");
    expect(await textOf(open.page, "#errors")).toMatch(/^DeviceError init: no WebGPU device: \S/);
  });

  test("without WebGPU, auto takes the CPU and tells why", async () => {
    open = await openDemo(browser, address(""), hideWebGpu);
    expect(open.problems).toEqual([]);
    expect(await stateOf(open.page)).toBe("done");
    expect(await textOf(open.page, "#device .device")).toMatch(/^CPU .*no WebGPU device: \S/);
  });
});

describe("looks", () => {
  test.for([
    ["light", 1280],
    ["dark", 390],
  ] as const)("in the %s, %i pixels wide: accessible, nothing beside the page", async ([scheme, width]) => {
    const { page, problems } = await openDemo(browser, address("?device=cpu"), async (page) => {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height: 844 });
    });
    try {
      expect(problems).toEqual([]);
      await expectLooks(page, scheme, width);
      await screenshot(page, `notebook-${scheme}-${width}`);
    } finally {
      await page.close();
    }
  });
});
