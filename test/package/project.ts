/** Projects of users, in temporary folders: the package installed from its tarball, and a program that uses it. */

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { findProgram, ROOT } from "../../scripts/support/environment.ts";
import { packPackage } from "../../scripts/support/pack.ts";

const execute = promisify(execFile);

/** What the program of every project says of itself. */
export interface Report {
  readonly type: string;
  readonly reason: string;
  readonly printed: string;
  readonly gradient: readonly number[];
}

/** The program without its import: the first cells of the notebook on a device, and a report of them. */
const BODY = `
const info = await tg.init({ device: DEVICE });
const x = tg.arange(4).requiresGrad_();
const y = x.dot(x).mul(2);
y.backward();
const report = {
  type: info.type,
  reason: info.reason,
  printed: await y.toText(),
  gradient: await x.grad.toArray(),
};
`;

/** What every report must hold, whatever the device. */
export const EXPECTED = { printed: "tensor(28., grad_fn=<MulBackward0>)", gradient: [0, 4, 8, 12] };

/** The program for a host that prints. */
export function printingProgram(device: string, from = "tapegrad"): string {
  return `import * as tg from ${JSON.stringify(from)};${BODY.replace("DEVICE", JSON.stringify(device))}
console.log(JSON.stringify(report));
tg.destroy();
`;
}

/** The program of a page that leaves to a worker what `pageProgram` does. */
export function workerPage(worker: string): string {
  return `const worker = new Worker(${JSON.stringify(worker)}, { type: "module" });
worker.onerror = (event) => console.error(event.message);
worker.onmessage = ({ data }) => { globalThis.report = data; };
`;
}

/** The program for a page, which leaves its report in a global variable, or for a worker, which posts it. */
export function pageProgram(device: string, from = "tapegrad"): string {
  return `import * as tg from ${JSON.stringify(from)};${BODY.replace("DEVICE", JSON.stringify(device))}
if (typeof document === "undefined") postMessage(report);
else globalThis.report = report;
`;
}

/** A temporary folder, by its real path. */
export function temporaryFolder(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), "tapegrad-")));
}

/** Builds the library and packs it into a folder; gives the tarball's path. */
export function buildTarball(folder: string): string {
  execFileSync(process.execPath, [join(ROOT, "scripts/build.ts")], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return packPackage(folder);
}

/** Paths of a tarball's files within the package, sorted. */
export function contentsOf(tarball: string): string[] {
  const listed = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).trim().split("\n");
  return listed.map((path) => path.replace(/^package\//, "")).sort();
}

/** A user's project. */
export class Project {
  readonly folder = temporaryFolder();

  /** Makes a folder and installs the tarball there, without a network. */
  constructor(tarball: string) {
    this.write("package.json", JSON.stringify({ name: "user", private: true, type: "module" }));
    execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", "--loglevel=error", tarball], {
      cwd: this.folder,
      shell: process.platform === "win32",
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** Writes a file of the project. */
  write(path: string, text: string): void {
    const full = join(this.folder, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }

  /** Adds a development dependency of this repository to the project. */
  link(dependency: string): void {
    symlinkSync(join(ROOT, "node_modules", dependency), join(this.folder, "node_modules", dependency), "junction");
  }

  /** Runs a program in the project; gives what it printed. */
  async run(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
    try {
      const { stdout } = await execute(command, args, { cwd: this.folder, env, encoding: "utf8", timeout: 120_000 });
      return stdout;
    } catch (error) {
      const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
      throw new Error(`${command} ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
    }
  }

  /** Runs a program that prints a report. */
  async report(command: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Report> {
    const lines = (await this.run(command, args, env)).trim().split("\n");
    return JSON.parse(lines.at(-1)!) as Report;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The Node that the user's system has, which may be older than the one the tests run in; that one if there is no other. */
export function systemNode(): string {
  const own = join(ROOT, "node_modules");
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => !folder.startsWith(own));
  return findProgram("node", path) ?? process.execPath;
}
