/** Where and with what a result was measured. */

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { built } from "./built.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Facts for the JSON. */
export interface Machine {
  readonly date: string;
  readonly commit: string;
  readonly processor: string;
  readonly parallelism: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly engine: string;
  /** Load of the last minute when the run began: more than the benchmark itself makes says that others were at work. */
  readonly loadBefore: number;
}

function commit(): string {
  if (built !== null) return built.commit;
  try {
    const git = (...args: string[]): string => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--", "src") === "" ? "" : " with changes"}`;
  } catch {
    return "unknown";
  }
}

/** This machine, now. */
export function machine(): Machine {
  return {
    date: new Date().toISOString(),
    commit: commit(),
    processor: cpus()[0]?.model.trim() ?? "unknown",
    parallelism: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()} ${process.arch}`,
    engine: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    loadBefore: loadavg()[0]!,
  };
}

/** Version of the library. */
export function ownVersion(): string {
  if (built !== null) return built.version;
  return (JSON.parse(readFileSync(`${ROOT}package.json`, "utf8")) as { readonly version: string }).version;
}

/** What is known of a GPU adapter. */
export interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isSoftware: boolean;
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b/i;

/** Facts of the adapter that everyone gets. */
export async function adapterFacts(gpu: GPU): Promise<AdapterFacts> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new Error("no GPU adapter: --device webgpu needs one");
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  return {
    vendor,
    architecture,
    device,
    description,
    isSoftware: isFallbackAdapter || SOFTWARE.test(`${vendor} ${architecture} ${device} ${description}`),
  };
}
