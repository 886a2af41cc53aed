/**
 * What the tests and the tour need from the system: Chromium, and for each runner the environment in which it finds a WebGPU adapter.
 * A hardware adapter is used as it is; without one, Dawn is pointed at the SwiftShader that comes with Chromium, and Deno takes
 * Mesa's lavapipe.
 */

import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the project, without a slash at its end. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url)).replace(/[\\/]$/, "");

/** Where Deno's executable is. */
export const DENO = join(ROOT, "node_modules", "deno", process.platform === "win32" ? "deno.exe" : "deno");

/** What to tell somebody whose machine has no Chromium. */
export const NO_CHROMIUM =
  "Chromium was not found. Install it (Debian: `apt-get install chromium`; elsewhere: Chrome or Chromium 121 or newer), " +
  "or set CHROME_PATH to its executable.";

/** What to tell somebody whose machine offers Dawn no adapter. */
export const NO_DAWN_ADAPTER =
  'The package "webgpu" (Dawn) finds no WebGPU adapter in Node. Install a Vulkan driver for the GPU, or, to run on a software ' +
  "adapter, Chromium (it brings SwiftShader) and the Vulkan loader (Debian: `apt-get install chromium libvulkan1`).";

/** What to tell somebody whose machine offers Deno no adapter. */
export const NO_DENO_ADAPTER =
  "Deno finds no WebGPU adapter. Install a Vulkan driver for the GPU, or, to run on a software adapter, Mesa's lavapipe " +
  "(Debian: `apt-get install mesa-vulkan-drivers`).";

const CHROMIUM_NAMES = [
  "chromium",
  "chromium-browser",
  "google-chrome-stable",
  "google-chrome",
  "chrome",
  "microsoft-edge",
];

const CHROMIUM_PATHS: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
  ],
  linux: ["/usr/lib/chromium/chromium", "/opt/google/chrome/chrome", "/snap/bin/chromium"],
  win32: ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"].flatMap((name) => {
    const folder = process.env[name];
    return folder === undefined
      ? []
      : [join(folder, "Google/Chrome/Application/chrome.exe"), join(folder, "Chromium/Application/chrome.exe")];
  }),
};

/** Full path of a program in the folders of PATH (or in others), or null. */
export function findProgram(name: string, folders = (process.env.PATH ?? "").split(delimiter)): string | null {
  const endings = process.platform === "win32" ? [".exe", ".cmd", ""] : [""];
  for (const folder of folders) {
    if (folder === "") continue;
    for (const ending of endings) {
      const path = join(folder, name + ending);
      if (existsSync(path)) return path;
    }
  }
  return null;
}

/** Chromium's or Chrome's executable, or null. A path given by CHROME_PATH or PUPPETEER_EXECUTABLE_PATH must exist. */
export function findChromium(): string | null {
  for (const name of ["CHROME_PATH", "PUPPETEER_EXECUTABLE_PATH"]) {
    const given = process.env[name];
    if (given === undefined || given === "") continue;
    if (!existsSync(given)) throw new Error(`${name} names "${given}", which does not exist`);
    return given;
  }
  for (const name of CHROMIUM_NAMES) {
    const path = findProgram(name);
    if (path !== null) return path;
  }
  return CHROMIUM_PATHS[process.platform]?.find((path) => existsSync(path)) ?? null;
}

/** SwiftShader's Vulkan driver description beside Chromium, or null. */
export function findSwiftShader(): string | null {
  const folders = ["/usr/lib/chromium", "/usr/lib/chromium-browser", "/opt/google/chrome"];
  const chromium = findChromium();
  if (chromium !== null) folders.unshift(dirname(realpathSync(chromium)));
  for (const folder of folders) {
    const path = join(folder, "vk_swiftshader_icd.json");
    if (existsSync(path)) return path;
  }
  return null;
}

/** Whether the person who started us chose the Vulkan driver. */
function driverIsChosen(): boolean {
  return process.env.VK_ICD_FILENAMES !== undefined || process.env.VK_DRIVER_FILES !== undefined;
}

/** Adapter as a probe saw it. */
export interface SeenAdapter {
  readonly name: string;
  readonly isSoftware: boolean;
}

const REPORT_ADAPTER =
  "const i = a?.info; console.log('adapter ' + JSON.stringify(a ? " +
  "{ name: [i.vendor, i.architecture, i.description].filter(Boolean).join(' '), isSoftware: !!i.isFallbackAdapter || " +
  "/swiftshader|llvmpipe|software/i.test(i.architecture + i.description) } : null)); process.exit(0);";

const PROBE_DAWN =
  `const { create } = await import("webgpu"); const gpu = create([]); const a = await gpu.requestAdapter(); ` +
  REPORT_ADAPTER;

const PROBE_DENO = `const a = await navigator.gpu?.requestAdapter(); ` + REPORT_ADAPTER;

/** Asks for an adapter in a process of its own, because a driver that does not fit may end the process. */
function probe(command: string, args: readonly string[], env: NodeJS.ProcessEnv): SeenAdapter | null {
  const { stdout } = spawnSync(command, args, { cwd: ROOT, env, encoding: "utf8", timeout: 60_000 });
  const line = (stdout ?? "").split("\n").find((text) => text.startsWith("adapter "));
  return line === undefined ? null : (JSON.parse(line.slice("adapter ".length)) as SeenAdapter | null);
}

/** The environment without which Vulkan loaders complain. */
function baseEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir() };
}

/** Adapter, and the variables to set so that a runner finds it. */
export interface AdapterEnvironment {
  readonly adapter: SeenAdapter | null;
  readonly variables: Readonly<Record<string, string>>;
}

function findAdapter(
  ask: (env: NodeJS.ProcessEnv) => SeenAdapter | null,
  acceptsOwnSoftware: boolean,
): AdapterEnvironment {
  const base = baseEnvironment();
  const variables = { XDG_RUNTIME_DIR: base.XDG_RUNTIME_DIR! };
  const own = ask(base);
  if (driverIsChosen() || (own !== null && (acceptsOwnSoftware || !own.isSoftware))) return { adapter: own, variables };
  const driver = findSwiftShader();
  if (driver !== null) {
    const adapter = ask({ ...base, VK_ICD_FILENAMES: driver });
    if (adapter !== null) return { adapter, variables: { ...variables, VK_ICD_FILENAMES: driver } };
  }
  return { adapter: own, variables };
}

/** How Node finds an adapter through Dawn: a hardware one, else Chromium's SwiftShader, else whatever there is. */
export function dawnEnvironment(): AdapterEnvironment {
  return findAdapter((env) => probe(process.execPath, ["--input-type=module", "-e", PROBE_DAWN], env), false);
}

/** How Deno finds an adapter: hardware or lavapipe as the system has it, else Chromium's SwiftShader. */
export function denoEnvironment(): AdapterEnvironment {
  return findAdapter((env) => probe(DENO, ["eval", PROBE_DENO], { ...env, DENO_NO_UPDATE_CHECK: "1" }), true);
}
