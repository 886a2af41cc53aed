/** The package as users get it: packed, installed in their projects, and run there by Node, Deno, a bundler and a bare page. */

import { cpSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build } from "vite";
import type { Browser } from "puppeteer-core";
import { dawnEnvironment, DENO, ROOT } from "../../scripts/support/environment.ts";
import { TOOLS } from "../../scripts/support/run.ts";
import { startChromium } from "../support/chromium.ts";
import { reportOf } from "./page.ts";
import { DENO_ARGUMENTS, denoVariables } from "../support/deno.ts";
import {
  buildTarball,
  contentsOf,
  EXPECTED,
  pageProgram,
  printingProgram,
  Project,
  systemNode,
  temporaryFolder,
  workerPage,
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

describe("the tarball", () => {
  const installed = (path: string): string => readFileSync(join(project.folder, "node_modules/tapegrad", path), "utf8");
  const BUNDLES = ["dist/tapegrad.js", "dist/tapegrad.min.js"];

  test("holds the library, its types, its maps, and the two texts", () => {
    const expected = ["LICENSE", "README.md", "package.json", "dist/tapegrad.d.ts"];
    expect(contentsOf(tarball)).toEqual([...expected, ...BUNDLES, ...BUNDLES.map((file) => `${file}.map`)].sort());
    expect(installed("README.md")).toBe(readFileSync(join(ROOT, "README.md"), "utf8"));
    expect(installed("LICENSE")).toContain("MIT");
  });

  test.for(BUNDLES)("%s leads to its sources", (file) => {
    expect(installed(file)).toMatch(new RegExp(`\n//# sourceMappingURL=${basename(file)}\\.map\\s*$`));
    const map = JSON.parse(installed(`${file}.map`)) as { sources: string[]; sourcesContent: string[] };
    expect(map.sources.length).toBeGreaterThan(20);
    map.sources.forEach((source, i) =>
      expect(map.sourcesContent[i]).toBe(readFileSync(join(ROOT, "dist", source), "utf8")),
    );
  });

  test.for(BUNDLES)("%s calls classes by their own names", async (file) => {
    const url = `./node_modules/tapegrad/${file}`;
    project.write(
      "names.js",
      `import { nn, optim, ShapeError } from ${JSON.stringify(url)};
      console.log([String(new nn.Linear(2, 3)), optim.AdamW.name, ShapeError.name].join(" "));`,
    );
    const printed = await project.run(systemNode(), ["names.js"]);
    expect(printed.trim()).toBe("Linear(in_features=2, out_features=3, bias=True) AdamW ShapeError");
  });

  test("has no dependency, and types that name nothing of Node, of the DOM or of WebGPU", () => {
    const { dependencies = {} } = JSON.parse(installed("package.json")) as { dependencies?: object };
    expect(dependencies).toEqual({});
    // Comments may speak of a GPUDevice.
    const types = installed("dist/tapegrad.d.ts").replaceAll(/\/\*[^]*?\*\//g, "");
    expect(types).toContain("class Tensor extends");
    expect(types).not.toMatch(/^import .* from|reference types|\bGPU[A-Z]\w*\b/m);
  });
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

  test("runs in the newer Node of the tests, imported and required", async () => {
    project.write("newer.js", printingProgram("cpu"));
    expect(await project.report(process.execPath, ["newer.js"])).toMatchObject({ ...EXPECTED, type: "cpu" });
    project.write("required.cjs", 'const tg = require("tapegrad"); console.log(String(tg.ones(2)));');
    expect((await project.run(process.execPath, ["required.cjs"])).trim()).toBe("tensor([1., 1.])");
  });

  test("runs in a worker thread", async () => {
    project.write("worker.js", printingProgram("cpu"));
    project.write("main.js", 'import { Worker } from "node:worker_threads"; new Worker("./worker.js");');
    expect(await project.report(systemNode(), ["main.js"])).toMatchObject({ ...EXPECTED, type: "cpu" });
  });

  test("is rendered on a server, bundled for it", async () => {
    project.write("server/entry.js", printingProgram("cpu"));
    const root = join(project.folder, "server");
    await build({
      root,
      configFile: false,
      logLevel: "error",
      ssr: { noExternal: true },
      build: { ssr: "entry.js", outDir: "out", target: "es2023" },
    });
    expect(await project.report(systemNode(), ["server/out/entry.js"])).toMatchObject({ ...EXPECTED, type: "cpu" });
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

describe("in Deno, by its path", () => {
  test("runs", async () => {
    project.write("deno-path.ts", printingProgram("cpu", "./node_modules/tapegrad/dist/tapegrad.min.js"));
    const report = await project.report(DENO, [...DENO_ARGUMENTS, "deno-path.ts"], denoVariables());
    expect(report).toMatchObject({ ...EXPECTED, type: "cpu" });
  });
});

describe("in a page", () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await startChromium();
  });
  afterAll(() => browser?.close());

  const HEAD = '<!doctype html><meta charset="utf-8"><title>user</title><link rel="icon" href="data:,">';

  test.for(["cpu", "webgpu"])("runs bundled by vite on %s", async (device) => {
    project.write(`${device}/index.html`, `${HEAD}<script type="module" src="./main.js"></script>`);
    project.write(`${device}/main.js`, pageProgram(device));
    const root = join(project.folder, device);
    await build({ root, configFile: false, logLevel: "error", build: { outDir: "out", target: "es2023" } });
    expect(await reportOf(browser, root, "out")).toMatchObject({ ...EXPECTED, type: device });
  });

  test.for(["tapegrad.js", "tapegrad.min.js"])("runs from a plain module script with %s", async (file) => {
    const site = `plain-${file}`;
    project.write(`${site}/index.html`, `${HEAD}<script type="module">${pageProgram("webgpu", `./${file}`)}</script>`);
    const root = join(project.folder, site);
    cpSync(join(project.folder, "node_modules/tapegrad/dist", file), join(root, file));
    expect(await reportOf(browser, root, ".")).toMatchObject({ ...EXPECTED, type: "webgpu" });
  });

  test("runs in a worker", async () => {
    project.write("worker/index.html", `${HEAD}<script type="module">${workerPage("./worker.js")}</script>`);
    project.write("worker/worker.js", pageProgram("webgpu", "./tapegrad.js"));
    const root = join(project.folder, "worker");
    cpSync(join(project.folder, "node_modules/tapegrad/dist/tapegrad.js"), join(root, "tapegrad.js"));
    expect(await reportOf(browser, root, ".")).toMatchObject({ ...EXPECTED, type: "webgpu" });
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
    { module: "nodenext", moduleResolution: "nodenext", lib: ["es2022"] },
    { module: "esnext", moduleResolution: "bundler", lib: ["es2022"] },
    { module: "esnext", moduleResolution: "bundler", lib: ["es2022", "dom"] },
    { module: "nodenext", moduleResolution: "nodenext", lib: ["esnext", "webworker"] },
  ])("type-checks without GPU types, $moduleResolution, with $lib", async (options) => {
    const name = `types-${options.moduleResolution}-${options.lib.join("-")}`;
    project.write(`${name}/program.ts`, PROGRAM);
    const compilerOptions = { ...OPTIONS, ...options, target: "es2022" };
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
