/** Finds a GPU device: in browsers, workers and Deno through `navigator.gpu`, in Node through the optional package `webgpu`, or the user's own. */

import { IMMEDIATES } from "./shader.ts";
import { probeSubgroups } from "./subgroups.ts";

/** What is needed of a `GPU` (such as `navigator.gpu`). Structural, so that no GPU types are needed to name it. */
export interface GpuLike {
  requestAdapter(options?: object): Promise<object | null>;
}

/** What is needed of a `GPUDevice` that was made elsewhere. */
export interface GpuDeviceLike {
  readonly queue: object;
  readonly lost: Promise<object>;
  readonly features: { has(name: string): boolean };
  createBuffer(descriptor: never): object;
  destroy(): void;
}

/** How to look for a device. */
export interface WebGpuOptions {
  /** A `GPU` to ask for an adapter, or a `GPUDevice` to use as it is. */
  readonly gpu?: GpuLike | GpuDeviceLike | undefined;
  readonly powerPreference?: "high-performance" | "low-power" | undefined;
  /** Limits by name to keep to where they are lower than the adapter's (to see how a smaller device fares). */
  readonly limits?: Readonly<Record<string, number>> | undefined;
  /** Optional features not to use, by name; `immediate_address_space` is one, too. */
  readonly without?: readonly string[] | undefined;
}

/** A device and what is known about its adapter. */
export interface FoundDevice {
  readonly device: GPUDevice;
  /** False if the user made the device: it is not destroyed with the backend. */
  readonly owned: boolean;
  /** Bytes of parameters that a shader may take as immediates; 0 where there are none. */
  readonly immediateBytes: number;
  /** Such as "nvidia hopper: NVIDIA H200 (driver 570)". */
  readonly description: string;
  readonly isSoftware: boolean;
}

/** Why there is no device. */
export interface NoDevice {
  readonly reason: string;
}

/** Limits that are raised to what the adapter has. */
const RAISED_LIMITS = [
  "maxStorageBuffersPerShaderStage",
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** Name of a limit that the library looks at. */
export type LimitName = (typeof RAISED_LIMITS)[number];

const OPTIONAL_FEATURES = ["shader-f16", "subgroups", "timestamp-query"] as const;

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bwarp\b/i;

/** What devices came from: in Node a device breaks when the `GPU` that it came from is collected before it. */
const origins = new WeakMap<GPUDevice, readonly object[]>();

/** Looks for an adapter and asks it for a device. Never throws: a missing piece is reported as the reason. */
export async function findDevice(options: WebGpuOptions = {}): Promise<FoundDevice | NoDevice> {
  const given = options.gpu;
  if (given !== undefined && "createBuffer" in given) {
    const device = given as unknown as GPUDevice;
    // What its `GPU` can is not known.
    return { device, owned: false, immediateBytes: 0, ...describe(device.adapterInfo) };
  }
  const gpu = given === undefined ? await defaultGpu() : (given as unknown as GPU);
  if ("reason" in gpu) return gpu;
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: options.powerPreference ?? "high-performance" });
  } catch (error) {
    return { reason: `asking for a GPU adapter failed: ${messageOf(error)}` };
  }
  if (adapter === null) return { reason: "WebGPU is present but offers no adapter (is a GPU driver installed?)" };
  const limits: Record<string, number> = {};
  for (const name of RAISED_LIMITS) {
    const most = adapter.limits[name];
    limits[name] = Math.min(most, options.limits?.[name] ?? most);
  }
  const hasImmediates = gpu.wgslLanguageFeatures?.has(IMMEDIATES) && options.without?.includes(IMMEDIATES) !== true;
  const immediateBytes = hasImmediates ? (adapter.limits.maxImmediateSize ?? 0) : 0;
  if (immediateBytes > 0) limits["maxImmediateSize"] = immediateBytes;
  const wanted = OPTIONAL_FEATURES.filter((f) => adapter.features.has(f) && !options.without?.includes(f));
  try {
    const device = await adapter.requestDevice({ requiredLimits: limits, requiredFeatures: wanted });
    origins.set(device, [gpu, adapter]);
    await probeSubgroups(device);
    return { device, owned: true, immediateBytes, ...describe(adapter.info) };
  } catch (error) {
    return { reason: `the GPU adapter gave no device: ${messageOf(error)}` };
  }
}

async function defaultGpu(): Promise<GPU | NoDevice> {
  const scope = globalThis as { navigator?: { gpu?: GPU }; process?: { versions?: { node?: string } }; Deno?: unknown };
  const own = scope.navigator?.gpu;
  if (own !== undefined && own !== null) return own;
  if (scope.Deno === undefined && scope.process?.versions?.node !== undefined) return nodeGpu();
  return { reason: "this environment has no navigator.gpu (WebGPU needs a recent browser and a secure context)" };
}

/** Dawn's entry point in Node. Never collected: its devices end the process if they outlive it. */
let dawn: GPU | null = null;

async function nodeGpu(): Promise<GPU | NoDevice> {
  if (dawn !== null) return dawn;
  // The name is no literal, so that bundlers neither resolve nor include the package.
  const name = ["web", "gpu"].join("");
  let module: { create(options: string[]): GPU };
  try {
    module = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as typeof module;
  } catch (error) {
    const code = (error as { code?: string }).code;
    if (code === "ERR_MODULE_NOT_FOUND")
      return { reason: 'the package "webgpu" is not installed (npm install webgpu)' };
    return { reason: `the package "webgpu" could not be loaded: ${messageOf(error)}` };
  }
  try {
    dawn = module.create([]);
    return dawn;
  } catch (error) {
    return { reason: `the package "webgpu" could not start: ${messageOf(error)}` };
  }
}

function describe(info: GPUAdapterInfo | undefined): { description: string; isSoftware: boolean } {
  if (info === undefined) return { description: "WebGPU device", isSoftware: false };
  const name = info.description !== "" ? info.description : info.device;
  const family = [info.vendor, info.architecture].filter((s) => s !== "").join(" ");
  const description = [family, name].filter((s) => s !== "").join(": ");
  const isSoftware = info.isFallbackAdapter || SOFTWARE.test(`${family} ${name} ${info.device}`);
  return { description: description === "" ? "WebGPU adapter" : description, isSoftware };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
