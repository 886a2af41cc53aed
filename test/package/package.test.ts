/** The package as users get it: packed, installed in their projects, and run there by Node, Deno, a bundler and a bare page. */

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build, preview, type PreviewServer } from "vite";
import type { Browser } from "puppeteer-core";
import { dawnEnvironment, DENO, ROOT } from "../../scripts/support/environment.ts";
import { TOOLS } from "../../scripts/support/run.ts";
import { openPage, startChromium } from "../support/chromium.ts";
import { DENO_ARGUMENTS, denoVariables } from "../support/deno.ts";
import {
  buildTarball,
  EXPECTED,
  pageProgram,
  printingProgram,
  Project,
  systemNode,
  temporaryFolder,
  type Report,
} from "./project.ts";

const folder = temporaryFolder();
let tarball: string;
let project: Project;

beforeAll(() => {
  tarball = buildTarball(folder);
  project = new Project(tarball);
});

afterAll(() => {
  project?.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe("in Node", () => {
  // Dawn's adapter must be found by a process that the tests did not prepare.
  const dawn = { ...process.env, ...dawnEnvironment().variables };

  test("runs on the CPU, and says that webgpu is not installed", async () => {
    project.write("auto.js", printingProgram("auto"));
    const report = await project.report(systemNode(), ["auto.js"]);
    expect(report).toMatchObject({ ...EXPECTED, type: "cpu" });
    expect(report.reason).toContain("npm install webgpu");
  });

  test("throws with the reason where WebGPU is asked for and not installed", async () => {
    project.write("webgpu.js", printingProgram("webgpu"));
    await expect(project.run(systemNode(), ["webgpu.js"])).rejects.toThrow("npm install webgpu");
  });

  test("runs on WebGPU with the optional peer", async () => {
    const withPeer = new Project(tarball);
    try {
      withPeer.link("webgpu");
      withPeer.write("webgpu.js", printingProgram("webgpu"));
      expect(await withPeer.report(systemNode(), ["webgpu.js"], dawn)).toMatchObject({ ...EXPECTED, type: "webgpu" });
    } finally {
      withPeer.remove();
    }
  });

  test("is imported without touching the host", async () => {
    project.write(
      "import.js",
      `for (const name of ["navigator", "window", "document", "self"])
        Object.defineProperty(globalThis, name, { configurable: true, get() { throw new Error(name + " was touched"); } });
      const tg = await import("tapegrad");
      console.log(await tg.tensor([1, 2]).mul(2).toText());`,
    );
    expect((await project.run(systemNode(), ["import.js"])).trim()).toBe("tensor([2., 4.])");
  });
});

describe("in Deno", () => {
  test.for(["cpu", "webgpu"])("runs on %s", async (device) => {
    project.write(`deno-${device}.ts`, printingProgram(device));
    const report = await project.report(DENO, [...DENO_ARGUMENTS, `deno-${device}.ts`], denoVariables());
    expect(report).toMatchObject({ ...EXPECTED, type: device });
  });
});

describe("in a page", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser?.close());

  /** Serves a folder as it is, opens its page, and gives the report found there. */
  async function reportOf(root: string, outDir: string): Promise<Report> {
    const server: PreviewServer = await preview({
      root,
      configFile: false,
      logLevel: "error",
      build: { outDir },
      preview: { host: "localhost", port: 0 },
    });
    const { page, problems } = await openPage(browser, server.resolvedUrls!.local[0]!);
    try {
      await page
        .waitForFunction(() => "report" in globalThis, { timeout: 60_000 })
        .catch((error: unknown) => {
          throw new Error(`the page gave no report: ${problems.join("; ")}`, { cause: error });
        });
      expect(problems).toEqual([]);
      return await page.evaluate(() => (globalThis as unknown as { report: Report }).report);
    } finally {
      await page.close();
      await server.close();
    }
  }

  const HEAD = '<!doctype html><meta charset="utf-8"><title>user</title><link rel="icon" href="data:,">';

  test.for(["cpu", "webgpu"])("runs bundled by vite on %s", async (device) => {
    project.write(`${device}/index.html`, `${HEAD}<script type="module" src="./main.js"></script>`);
    project.write(`${device}/main.js`, pageProgram(device));
    const root = join(project.folder, device);
    await build({ root, configFile: false, logLevel: "error", build: { outDir: "out", target: "es2023" } });
    expect(await reportOf(root, "out")).toMatchObject({ ...EXPECTED, type: device });
  });

  test.for(["tapegrad.js", "tapegrad.min.js"])("runs from a plain module script with %s", async (file) => {
    const site = `plain-${file}`;
    project.write(`${site}/index.html`, `${HEAD}<script type="module">${pageProgram("webgpu", `./${file}`)}</script>`);
    const root = join(project.folder, site);
    cpSync(join(project.folder, "node_modules/tapegrad/dist", file), join(root, file));
    expect(await reportOf(root, ".")).toMatchObject({ ...EXPECTED, type: "webgpu" });
  });
});

describe("for TypeScript", () => {
  const PROGRAM = `
import * as tg from "tapegrad";
import { F, nn, optim, tensor, type DType, type Tensor } from "tapegrad";

const dtype: DType = "float32";
const x: Tensor = tensor([1, 2], { dtype }).requiresGrad_();
const loss: Tensor = F.mseLoss(x.mul(2), tensor([0, 0]));
loss.backward();
const optimizer = new optim.SGD([x], { lr: 0.1 });
optimizer.step();
export const data: Promise<tg.TensorData> = x.data();
export const report: Promise<tg.DeviceInfo> = tg.init({ device: "auto" });
export const layers = nn;
{
  using _ = tg.noGrad();
}
`;

  const OPTIONS = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: false, types: [] };

  test.for([
    { module: "nodenext", moduleResolution: "nodenext" },
    { module: "esnext", moduleResolution: "bundler" },
  ])("type-checks without DOM and GPU types, $moduleResolution", async (modules) => {
    const name = `types-${modules.moduleResolution}`;
    project.write(`${name}/program.ts`, PROGRAM);
    const compilerOptions = { ...OPTIONS, ...modules, target: "es2022", lib: ["es2022"] };
    project.write(`${name}/tsconfig.json`, JSON.stringify({ compilerOptions }));
    expect(await project.run(process.execPath, [join(ROOT, TOOLS.tsc), "-p", name])).toBe("");
  });

  test("type-checks with DOM and GPU types, and takes a GPU and a GPUDevice", async () => {
    project.write(
      "types-gpu/program.ts",
      `${PROGRAM}
export const fromGpu = tg.init({ device: "webgpu", gpu: navigator.gpu });
export async function fromDevice(device: GPUDevice): Promise<tg.DeviceInfo> {
  return tg.init({ gpu: device });
}
`,
    );
    const compilerOptions = {
      ...OPTIONS,
      // The GPU types' own declarations do not concern us.
      skipLibCheck: true,
      module: "esnext",
      moduleResolution: "bundler",
      target: "es2024",
      lib: ["es2024", "dom"],
      typeRoots: [join(ROOT, "node_modules/@types")],
      types: [join(ROOT, "node_modules/@webgpu/types")],
    };
    project.write("types-gpu/tsconfig.json", JSON.stringify({ compilerOptions }));
    expect(await project.run(process.execPath, [join(ROOT, TOOLS.tsc), "-p", "types-gpu"])).toBe("");
  });

  test("knows what is wrong", async () => {
    project.write("types-wrong/program.ts", 'import * as tg from "tapegrad";\ntg.tensor([1], { dtyp: "float32" });\n');
    const compilerOptions = { ...OPTIONS, module: "nodenext", target: "es2022", lib: ["es2022"] };
    project.write("types-wrong/tsconfig.json", JSON.stringify({ compilerOptions }));
    await expect(project.run(process.execPath, [join(ROOT, TOOLS.tsc), "-p", "types-wrong"])).rejects.toThrow("dtyp");
  });
});
